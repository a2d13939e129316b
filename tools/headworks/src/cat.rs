//! `headworks cat DIR --stream S`: the records of a stream as they lie on disk, up to what is durable.
//!
//! Works beside a running node: it opens nothing for writing and takes only blocks that prove themselves.

use crate::args::{CatArgs, CatFormat};
use crate::node::Failure;
use crate::offline::Offline;
use headworks_format::batch::Batch;
use headworks_format::block;
use headworks_format::sidecar::Entry;
use headworks_io::fatal::Reason;
use headworks_lane::LaneDisk;
use headworks_log::recover::candidates::{Candidate, candidates, synced_through};
use headworks_log::recover::{Bounds, Depth, KnownProducers, walk};
use headworks_log::{Disk, history};
use serde_json::json;
use std::io::{self, BufWriter, Write};

/// Prints the records asked for; whether the stream's partition exists.
///
/// # Errors
/// The directory cannot be read, or standard output is gone.
pub fn run(args: &CatArgs) -> Result<bool, Failure> {
    let offline = Offline::shared(&args.dir)?;
    let from = args.offset.unwrap_or(0);
    let mut out = Printer { out: BufWriter::new(io::stdout().lock()), format: args.format, left: args.count.unwrap_or(u64::MAX), from };
    for (lane, disk) in offline.lanes.iter().enumerate() {
        let lane = headworks_format::LaneId(u32::try_from(lane).expect("at most 64 lanes"));
        let found =
            candidates(disk, lane, offline.superblock.segment_bytes).map_err(|error| Failure::new(Reason::Storage, error.message))?;
        let durable = synced_through(&found.kept);
        let mut partitions = Vec::new();
        let mut printed = false;
        for (place, candidate) in found.kept.iter().enumerate() {
            let next_base = found.kept.get(place + 1).map(|next| next.id.base_sequence.0);
            let walked = walk(disk, candidate, &bounds(candidate, durable, next_base), &partitions, &KnownProducers::new());
            partitions = walked.partitions;
            let Some(partition) = partitions.iter().find(|partition| partition.stream == args.stream && partition.number == args.partition)
            else {
                continue;
            };
            printed = true;
            for entry in walked.entries.iter().filter(|entry| entry.partition == partition.id && entry.end_offset() > from) {
                if !out.batch(disk, candidate, entry)? {
                    return out.flush().map(|()| true);
                }
            }
        }
        if printed {
            return out.flush().map(|()| true);
        }
    }
    eprintln!(
        "no partition {} of stream {} in {}; `headworks verify` counts what is there",
        args.partition,
        args.stream,
        args.dir.display()
    );
    Ok(false)
}

/// Stops at durable: blocks behind it may still be cut.
fn bounds(candidate: &Candidate, durable: u64, next_base: Option<u64>) -> Bounds {
    let until = next_base.map_or(durable, |base| base.min(durable)).max(candidate.id.base_sequence.0);
    Bounds {
        synced: durable,
        next_base: Some(until),
        window_bytes: 64 * block::BLOCK_BYTES_MAX as u64,
        later_beyond_window: false,
        alone: true,
        depth: Depth::Heads,
    }
}

struct Printer<W: Write> {
    out: W,
    format: CatFormat,
    left: u64,
    from: u64,
}

impl<W: Write> Printer<W> {
    /// Prints a batch's records; false when enough were printed.
    fn batch(&mut self, disk: &LaneDisk, candidate: &Candidate, entry: &Entry) -> Result<bool, Failure> {
        let from = entry.position / 4096 * 4096;
        let bytes =
            usize::try_from((entry.position + u64::from(entry.length)).next_multiple_of(4096) - from).expect("a batch is at most 1 MiB");
        let mut buffer = disk.buffer(bytes);
        let read = disk.read(candidate.file, from, bytes, &mut buffer).map_err(|error| Failure::new(Reason::Storage, error.message))?;
        let at = usize::try_from(entry.position - from).expect("below 4096");
        let bytes = buffer
            .get(at..at + entry.length as usize)
            .filter(|_| read > 0 && history::holds_in(entry, candidate.id.epoch, &buffer[at..at + entry.length as usize]));
        let Some(bytes) = bytes else {
            eprintln!(
                "offsets {} to {} do not hold and are passed over; `headworks verify` says more",
                entry.base_offset,
                entry.end_offset() - 1
            );
            return Ok(true);
        };
        let batch = Batch::parse_unsummed(bytes)
            .map_err(|fault| Failure::new(Reason::Storage, format!("batch at {}: {fault:?}", entry.base_offset)))?;
        if batch.is_compressed() {
            eprintln!("offsets {} to {} are compressed; read them with a Kafka client", entry.base_offset, entry.end_offset() - 1);
            return Ok(true);
        }
        let base_ms = batch.header().base_timestamp.get();
        for record in batch.records() {
            let record = record.map_err(|fault| Failure::new(Reason::Storage, format!("batch at {}: {fault:?}", entry.base_offset)))?;
            let offset = entry.base_offset + record.offset_delta.unsigned_abs();
            if offset < self.from {
                continue;
            }
            if self.left == 0 {
                return Ok(false);
            }
            self.left -= 1;
            self.record(offset, base_ms + record.timestamp_delta_ms, record.key, record.value.unwrap_or_default())
                .map_err(|error| output(&error))?;
        }
        Ok(self.left > 0)
    }

    fn record(&mut self, offset: u64, timestamp_ms: i64, key: Option<&[u8]>, value: &[u8]) -> io::Result<()> {
        match self.format {
            CatFormat::Raw => {
                self.out.write_all(value)?;
                self.out.write_all(b"\n")
            }
            CatFormat::Hex => writeln!(self.out, "{offset} {}", hex(value)),
            CatFormat::Json => {
                let text = std::str::from_utf8(value).ok();
                let (key, bytes) = (key.map(hex), text.is_none().then(|| hex(value)));
                let line = json!({"offset": offset, "timestamp_ms": timestamp_ms, "key_hex": key, "value": text, "value_hex": bytes});
                writeln!(self.out, "{line}")
            }
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| output(&error))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).expect("four bits"));
        text.push(char::from_digit(u32::from(byte & 15), 16).expect("four bits"));
        text
    })
}

fn output(error: &io::Error) -> Failure {
    Failure::new(Reason::Storage, format!("standard output: {error}"))
}
