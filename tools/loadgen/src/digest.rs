//! `headworks-loadgen digest`: what every offset of a topic holds, and whether it ever held anything else.
//!
//! ```text
//!  FILE: a line an offset ──► held before ┐
//!                                         ├► the same: added behind    another: changed, and exit 1
//!  every record of every partition ───────┘
//! ```
//!
//! A line is `partition offset sum`; the sum is over time, receive time and value of the record. The file only grows, so a call after each of many
//! failovers compares what each leader serves with what every leader before it served. An offset that was served once and lies at or above the
//! high watermark now is *withdrawn*, which is as bad as a changed one. What lies below the log's start when all is read is not missed:
//! retention took it.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::kafka::batch::Record;
use crate::kafka::topic::{Extent, Found, Topic};

#[cfg(test)]
mod tests;

/// What to compare, and where.
#[derive(Debug, Clone)]
pub struct Question {
    /// Kafka, `host:port`, one or several.
    pub bootstrap: Vec<String>,
    /// The topic.
    pub topic: String,
    /// What it held before.
    pub file: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Digest {
    /// Records that the topic holds.
    pub records: u64,
    /// Of them, those at offsets that were not known before.
    pub added: u64,
    /// Offsets that hold something else than before.
    pub changed: u64,
    /// Offsets that were served before and are not any more, though they lie behind the log's start.
    pub withdrawn: u64,
    /// Batches that are not what was written.
    pub damaged: u64,
    /// The first thing wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

impl Digest {
    /// Whether every offset holds what it ever held.
    pub fn is_constant(&self) -> bool {
        self.changed == 0 && self.withdrawn == 0 && self.damaged == 0
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.first.is_none() {
            self.first = Some(what());
        }
    }
}

/// Sums by partition and offset.
type Sums = HashMap<(i32, i64), u64>;

/// Reads the whole topic, compares, and adds what is new to the file.
///
/// # Errors
/// The topic cannot be read, or the file read or written; a sentence that says which.
pub fn digest(question: &Question) -> Result<Digest, String> {
    let unfit = |error: std::io::Error| format!("{}: {error}", question.file.display());
    let mut held = read(&question.file)?;
    let open = || Topic::open(&question.bootstrap, &question.topic).map_err(|error| error.to_string());
    let mut topic = open()?;
    let file = OpenOptions::new().create(true).append(true).open(&question.file).map_err(unfit)?;
    let mut lines = BufWriter::new(file);
    let mut digest = Digest::default();
    for extent in topic.extents().to_vec() {
        let mut fresh = Vec::new();
        let read = topic.read(extent, |found| on_found(extent.partition, &found, &mut held, &mut fresh, &mut digest));
        read.map_err(|error| error.to_string())?;
        for (offset, sum) in fresh {
            writeln!(lines, "{} {offset} {sum:016x}", extent.partition).map_err(unfit)?;
        }
    }
    // Where the logs start by now: retention may have taken something before it was read.
    open()?.extents().iter().for_each(|extent| rest(*extent, &held, &mut digest));
    lines.flush().map_err(unfit)?;
    Ok(digest)
}

/// Takes out of `held` what the topic still holds.
fn on_found(partition: i32, found: &Found<'_>, held: &mut Sums, fresh: &mut Vec<(i64, u64)>, digest: &mut Digest) {
    let batch = match found {
        Found::Batch(batch) => batch,
        Found::Gap { .. } => return,
        Found::Damage(error) => {
            digest.damaged += 1;
            return digest.note(|| format!("partition {partition}: {error}"));
        }
    };
    for record in batch.records() {
        match record {
            Ok(record) => on_record(partition, &record, held, fresh, digest),
            Err(error) => {
                digest.damaged += 1;
                digest.note(|| format!("partition {partition}: {error}"));
            }
        }
    }
}

fn on_record(partition: i32, record: &Record<'_>, held: &mut Sums, fresh: &mut Vec<(i64, u64)>, digest: &mut Digest) {
    digest.records += 1;
    let sum = sum(record);
    match held.remove(&(partition, record.offset)) {
        None => {
            digest.added += 1;
            fresh.push((record.offset, sum));
        }
        Some(before) if before == sum => {}
        Some(before) => {
            digest.changed += 1;
            digest.note(|| format!("partition {partition} offset {}: {sum:016x}, and {before:016x} before", record.offset));
        }
    }
}

/// What was served before and was not found now.
fn rest(extent: Extent, held: &Sums, digest: &mut Digest) {
    let lost = held.keys().filter(|(partition, offset)| *partition == extent.partition && *offset >= extent.log_start);
    let (count, first) = lost.fold((0, i64::MAX), |(count, first), (_, offset)| (count + 1, first.min(*offset)));
    if count > 0 {
        digest.withdrawn += count;
        let (partition, end) = (extent.partition, extent.high_watermark);
        digest.note(|| format!("partition {partition}: {count} offsets from {first} on were served before; the high watermark is {end}"));
    }
}

fn sum(record: &Record<'_>) -> u64 {
    let mut sum = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    sum.update(&record.timestamp_ms.to_le_bytes());
    sum.update(&record.receive_time_ns.unwrap_or(i64::MIN).to_le_bytes());
    sum.update(record.value);
    sum.finalize()
}

/// What the file says; nothing where there is none yet.
fn read(path: &Path) -> Result<Sums, String> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Sums::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let mut sums = Sums::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| format!("{}: {error}", path.display()))?;
        let (place, sum) =
            parse(&line).ok_or_else(|| format!("{} line {}: no `partition offset sum`: {line:?}", path.display(), at + 1))?;
        sums.insert(place, sum);
    }
    Ok(sums)
}

fn parse(line: &str) -> Option<((i32, i64), u64)> {
    let mut words = line.split(' ');
    let place = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let sum = u64::from_str_radix(words.next()?, 16).ok()?;
    words.next().is_none().then_some((place, sum))
}
