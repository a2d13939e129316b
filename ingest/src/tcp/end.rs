//! Why a connection ends, what its peer is told, and how often each came.
//!
//! A peer that did something wrong, or that is turned away, gets one line of text naming value, limit and listener; after
//! that its end is closed. What it still sends is thrown away for a while first, since a connection that is closed with
//! unread bytes is reset, and a reset may overtake the line.

use super::framing::TooLong;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the longest line.
pub const LINE_BYTES_MAX: usize = 256;
/// Bytes of a listener's name that a line repeats.
const NAME_BYTES_MAX: usize = 64;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer closed it between two records.
    Closed,
    /// The peer closed it within a record of which so many bytes were there.
    Partial {
        /// Bytes of the record that had come.
        bytes: usize,
    },
    /// It was reset, or the network failed.
    Failed,
    /// A record larger than the listener takes.
    TooLong(TooLong),
    /// Nothing came for so long.
    Idle,
    /// One connection more than the listener takes.
    Refused,
    /// The lane's memory for records under way is used up, and this connection has been within one for longest.
    Crowded,
}

/// Number of kinds.
pub const KINDS: usize = 7;
/// Their names, in the order of [`End::kind`].
pub const NAMES: [&str; KINDS] = ["closed", "partial", "failed", "record_max", "idle_max", "connections_max", "assembly_max"];

/// What a line repeats of its listener.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'l> {
    /// Its name.
    pub listener: &'l str,
    /// Largest record in bytes.
    pub record_bytes_max: u32,
    /// Longest silence in ns.
    pub idle_ns_max: u64,
    /// Most connections in this lane.
    pub connections_max: u32,
    /// Bytes of all records under way in this lane.
    pub assembly_bytes: usize,
}

impl End {
    /// Its place among the kinds.
    #[must_use]
    pub fn kind(&self) -> usize {
        match self {
            End::Closed => 0,
            End::Partial { .. } => 1,
            End::Failed => 2,
            End::TooLong(_) => 3,
            End::Idle => 4,
            End::Refused => 5,
            End::Crowded => 6,
        }
    }

    /// Writes what the peer is told; returns its bytes, 0 for a peer that is told nothing.
    pub fn line(&self, terms: &Terms<'_>, out: &mut [u8; LINE_BYTES_MAX]) -> usize {
        let name = terms.listener.get(..NAME_BYTES_MAX).unwrap_or(terms.listener);
        let mut rest = &mut out[..];
        let written = match self {
            End::Closed | End::Failed => return 0,
            End::Partial { bytes } => {
                writeln!(rest, "listener {name}: the connection ended {bytes} bytes into a record, which is not stored")
            }
            End::TooLong(TooLong { bytes }) => writeln!(
                rest,
                "listener {name}: a record of {bytes} bytes, record_max is {}; nothing behind it can be told apart",
                terms.record_bytes_max
            ),
            End::Idle => writeln!(rest, "listener {name}: nothing came for idle_max, {} s", terms.idle_ns_max / 1_000_000_000),
            End::Refused => writeln!(
                rest,
                "listener {name}: {} connections are open in this lane, which is connections_max; try again later",
                terms.connections_max
            ),
            End::Crowded => writeln!(
                rest,
                "listener {name}: records under way fill all {} bytes of the lane, and this connection's has been so for longest",
                terms.assembly_bytes
            ),
        };
        assert!(written.is_ok(), "{self:?} is longer than {LINE_BYTES_MAX} bytes");
        let left = rest.len();
        LINE_BYTES_MAX - left
    }
}

/// A listener's connections in one lane, counted by its loop and read by whoever looks. Each number stands for itself.
#[derive(Debug, Default)]
pub struct Tally {
    open: AtomicU64,
    ended: [AtomicU64; KINDS],
    accepts_failed: AtomicU64,
}

impl Tally {
    /// One was opened.
    pub fn on_open(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// One's end was decided.
    pub fn on_end(&self, end: End) {
        self.ended[end.kind()].fetch_add(1, Ordering::Relaxed);
    }

    /// One's place is free again.
    pub fn on_free(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// One could not be accepted, mostly for want of descriptors; it waits.
    pub fn on_accept_failed(&self) {
        self.accepts_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How often none could be accepted.
    #[must_use]
    pub fn accepts_failed(&self) -> u64 {
        self.accepts_failed.load(Ordering::Relaxed)
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// How many ended, by kind.
    #[must_use]
    pub fn ended(&self) -> [u64; KINDS] {
        std::array::from_fn(|kind| self.ended[kind].load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms<'_> =
        Terms { listener: "tcp", record_bytes_max: 1000, idle_ns_max: 300_000_000_000, connections_max: 4096, assembly_bytes: 1 << 26 };

    #[track_caller]
    fn check(end: End, wanted: &[&str]) {
        let mut out = [0; LINE_BYTES_MAX];
        let bytes = end.line(&TERMS, &mut out);
        let line = std::str::from_utf8(&out[..bytes]).expect("text");
        assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line:?}");
        assert!(wanted.iter().all(|word| line.contains(word)), "{line:?} has not all of {wanted:?}");
    }

    #[test]
    fn a_line_names_value_limit_and_listener() {
        check(End::TooLong(TooLong { bytes: 4_294_967_295 }), &["listener tcp", "4294967295", "record_max is 1000"]);
        check(End::Idle, &["listener tcp", "idle_max, 300 s"]);
        check(End::Refused, &["listener tcp", "4096", "connections_max"]);
        check(End::Crowded, &["listener tcp", "67108864"]);
        check(End::Partial { bytes: 17 }, &["listener tcp", "17 bytes into a record"]);
    }

    #[test]
    fn the_longest_line_fits() {
        let name = "n".repeat(300);
        let terms = Terms {
            listener: &name,
            record_bytes_max: u32::MAX,
            idle_ns_max: u64::MAX,
            connections_max: u32::MAX,
            assembly_bytes: usize::MAX,
        };
        let ends = [End::Partial { bytes: usize::MAX }, End::TooLong(TooLong { bytes: u64::MAX }), End::Idle, End::Refused, End::Crowded];
        for end in ends {
            assert!(end.line(&terms, &mut [0; LINE_BYTES_MAX]) > NAME_BYTES_MAX, "{end:?}");
        }
    }

    #[test]
    fn who_ended_it_alone_is_told_nothing() {
        let mut out = [0; LINE_BYTES_MAX];
        assert_eq!([End::Closed, End::Failed].map(|end| end.line(&TERMS, &mut out)), [0, 0]);
    }

    #[test]
    fn every_kind_has_its_name_and_its_count() {
        let ends = [
            End::Closed,
            End::Partial { bytes: 1 },
            End::Failed,
            End::TooLong(TooLong { bytes: 1 }),
            End::Idle,
            End::Refused,
            End::Crowded,
        ];
        let tally = Tally::default();
        for (kind, end) in ends.into_iter().enumerate() {
            assert_eq!(end.kind(), kind, "{end:?} is {}", NAMES[kind]);
            (0..=kind).for_each(|_| tally.on_end(end));
        }
        assert_eq!(tally.ended(), [1, 2, 3, 4, 5, 6, 7]);
    }
}
