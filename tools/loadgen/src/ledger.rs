//! The generator's ledger: a JSON file that says what was sent, so that another program, later, can
//! ask what became of it.
//!
//! ```text
//! {"format":1, "state":"complete", "run_id":"1f0c…", "seed":1, "transport":"udp", "target":"…",
//!  "size":64, "rate":"100000", "gso":true, "started_ns":…, "ended_ns":…,
//!  "offered":{"packets":…,"per_second":…}, "achieved":{"packets":…,"per_second":…},
//!  "errors":{"ECONNREFUSED":…}, "sources":[{"source":0,"first_sequence":0,"sent":…,"sent_max":…}],
//!  "framing":"length", "answers":{…what a transport that answers was told: answers.rs…},
//!  "before":{…the appliance's ledger before the first packet…}}
//! ```
//!
//! *Sent* is what the kernel took, or began to take. While the generator runs the file stands as `running` and holds an
//! upper bound for each source (`sent_max`), written **before** the sender may pass it; so whatever
//! ends the process, kill -9 too, the file never claims less than what may be on its way. `complete`
//! and `interrupted` (a signal, obeyed) are exact: there `sent` equals `sent_max`.
//!
//! The file is replaced by rename, never written in place: a reader finds the old one or the new one.
//! The last write is synced to disk; those on the way are not, since they guard against the death of
//! this process, and a sync each second would disturb the disk under test.
//!
//! Refused on reading: another format, sources that are not dense, bounds that contradict each other,
//! numbers that no run can reach.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::appliance::Report;
use crate::packet::{PACKET_BYTES_MAX, PACKET_BYTES_MIN};
pub use answers::Quantiles;

pub mod answers;
#[cfg(test)]
pub mod tests;

/// Layout described above.
pub const FORMAT: u32 = 1;

/// Most sources of one run.
pub const SOURCES_MAX: u32 = 4096;

/// Most packets of one source: a day at twelve million a second. Bounds what a verifier reserves.
pub const SOURCE_PACKETS_MAX: u64 = 1 << 40;

/// How far the run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Under way, or cut off without warning: `sent` is a lower bound and `sent_max` an upper one.
    Running,
    /// Ended as planned; exact.
    Complete,
    /// Ended early by a signal; exact.
    Interrupted,
}

/// Packets, and packets a second over the run's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// How many.
    pub packets: u64,
    /// How many a second, rounded.
    pub per_second: u64,
}

/// What one source sent: sequences `first_sequence` to `first_sequence + sent - 1`, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its number, from 0.
    pub source: u32,
    /// Sequence of its first packet.
    pub first_sequence: u64,
    /// Packets the kernel took; while running, at least this many.
    pub sent: u64,
    /// No more than this many were sent.
    pub sent_max: u64,
}

/// How records are told apart in a stream of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// u32 big-endian before each record.
    Length,
    /// A newline behind each record, which is the packet in hex: its bytes could be newlines.
    Newline,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// [`FORMAT`].
    pub format: u32,
    /// How far the run has come.
    pub state: State,
    /// Drawn at random for each run; 16 hex digits, as JSON's numbers end at 53 bits elsewhere.
    #[serde(with = "hex")]
    pub run_id: u64,
    /// What the filler of the packets is made from.
    pub seed: u64,
    /// `udp`, `tcp` or `kafka`.
    pub transport: String,
    /// Where to.
    pub target: String,
    /// Bytes of a packet's payload.
    pub size: usize,
    /// The rate asked for: packets a second, or `max`.
    pub rate: String,
    /// Whether packets left in segmentation-offload trains.
    pub gso: bool,
    /// Of a stream of bytes; absent for packets and batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framing: Option<Framing>,
    /// Start of the schedule, nanoseconds since 1970.
    pub started_ns: u64,
    /// After the last packet; while running, when this was written.
    pub ended_ns: u64,
    /// What the schedule asked for.
    pub offered: Flow,
    /// What the kernel took.
    pub achieved: Flow,
    /// Packets the kernel refused, by the name of the error; none of them counts as sent.
    pub errors: BTreeMap<String, u64>,
    /// One entry a source, in order.
    pub sources: Vec<Source>,
    /// How late packets left against the schedule: what the generator itself adds. Absent without a schedule, and while
    /// running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness: Option<Quantiles>,
    /// What was answered, by a transport that answers; absent while running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<answers::Answers>,
    /// The appliance's ledger before the first packet, if the generator was told where to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Report>,
}

/// Why a ledger file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be read or replaced.
    #[error("cannot {action} the ledger file {path}: {source}", path = path.display())]
    File {
        /// `read`, `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not JSON of this shape.
    #[error("{path} is not a ledger of headworks-loadgen: {source}", path = path.display())]
    Shape {
        /// Which file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// The numbers contradict each other.
    #[error("the ledger {path} contradicts itself: {reason}", path = path.display())]
    Contradiction {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
}

/// Whether a write waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Survives the death of the process.
    Renamed,
    /// Survives the loss of power too.
    Synced,
}

impl Ledger {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// It cannot be read, is not of this shape, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        let fails = |source| LedgerError::File { action: "read", path: path.to_owned(), source };
        let text = fs::read(path).map_err(fails)?;
        let ledger: Ledger = serde_json::from_slice(&text).map_err(|source| LedgerError::Shape { path: path.to_owned(), source })?;
        ledger.contradiction().map_or(Ok(()), |reason| Err(LedgerError::Contradiction { path: path.to_owned(), reason })).map(|()| ledger)
    }

    /// Replaces the file as one step.
    ///
    /// # Errors
    /// The file beside it cannot be written, synced or renamed; the old file then stands as it was.
    pub fn write(&self, path: &Path, durability: Durability) -> Result<(), LedgerError> {
        let mut text = serde_json::to_vec_pretty(self).expect("a tree of numbers and strings");
        text.push(b'\n');
        replace(path, &text, durability).map_err(|source| LedgerError::File { action: "write", path: path.to_owned(), source })
    }

    /// Packets sent; while running, at least.
    pub fn sent(&self) -> u64 {
        self.sources.iter().map(|source| source.sent).sum()
    }

    /// The first thing that cannot be.
    fn contradiction(&self) -> Option<String> {
        if self.format != FORMAT {
            return Some(format!("format {} is not {FORMAT}", self.format));
        }
        if !(PACKET_BYTES_MIN..=PACKET_BYTES_MAX).contains(&self.size) {
            return Some(format!("packets of {} bytes", self.size));
        }
        if self.sources.len() > usize::try_from(SOURCES_MAX).expect("4096") {
            return Some(format!("{} sources, {SOURCES_MAX} at most", self.sources.len()));
        }
        let mut sources = self.sources.iter().enumerate();
        let of_sources = sources.find_map(|(index, source)| self.contradiction_of(index, source));
        of_sources.or_else(|| self.answers.as_ref()?.contradiction(self.sources.iter().map(|source| source.sent_max)))
    }

    fn contradiction_of(&self, index: usize, source: &Source) -> Option<String> {
        let Source { source: number, sent, sent_max, first_sequence } = *source;
        if usize::try_from(number) != Ok(index) {
            return Some(format!("source {number} in place {index}"));
        }
        if sent > sent_max {
            return Some(format!("source {number}: sent {sent} exceeds its bound {sent_max}"));
        }
        if self.state != State::Running && sent != sent_max {
            return Some(format!("source {number}: {sent} sent, bound {sent_max}, and not running"));
        }
        if sent_max > SOURCE_PACKETS_MAX || first_sequence.checked_add(sent_max).is_none() {
            return Some(format!("source {number}: {sent_max} packets from {first_sequence}"));
        }
        None
    }
}

/// Writes beside the file, then renames over it; syncs file and folder if asked to.
///
/// If we die before the rename, the old file stands and a `.new` lies beside it, which the next write
/// truncates.
fn replace(path: &Path, text: &[u8], durability: Durability) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = File::create(&beside)?;
    file.write_all(text)?;
    if durability == Durability::Synced {
        file.sync_all()?;
    }
    fs::rename(&beside, path)?;
    if durability == Durability::Synced {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// A u64 as 16 hex digits.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{value:016x}"))
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        u64::from_str_radix(&text, 16).map_err(|reason| D::Error::custom(format!("`{text}` is not a hex number: {reason}")))
    }
}
