//! Which requests are spoken, in which versions: one table, used by the dispatcher, by the reader
//! and by the answer to ApiVersions, so that what is advertised is what is read.
//!
//! The minimums are those that Apache Kafka 4 itself kept after surveying clients, the maximums stop
//! before topic ids (Fetch 13). Three entries exist for what clients infer rather than for what they
//! ask:
//!
//! * **Produce** is listed although every Produce is refused. librdkafka (2.0.2, Debian's kcat,
//!   among others) concludes from Produce 3 *and* Fetch 4 that a broker knows record batches of
//!   magic 2, and a consumer that has not concluded so asks for Fetch versions no longer spoken.
//!   A producer gets INVALID_REQUEST with a sentence that says why (see `answer::produce`).
//! * **FindCoordinator** is listed because librdkafka ties LZ4 to its presence. It answers
//!   COORDINATOR_NOT_AVAILABLE.
//! * **Fetch 12** because librdkafka 2.6.0 sends it whatever the broker says.
//!
//! InitProducerId is absent, so that an idempotent producer is told at once.

use std::ops::RangeInclusive;

/// The requests spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// 0.
    Produce,
    /// 1.
    Fetch,
    /// 2.
    ListOffsets,
    /// 3.
    Metadata,
    /// 10.
    FindCoordinator,
    /// 18.
    ApiVersions,
    /// 23.
    OffsetForLeaderEpoch,
}

/// One line of the table.
#[derive(Debug)]
pub struct Api {
    /// Which request.
    pub key: Key,
    /// Its number on the wire.
    pub number: i16,
    /// Its name in log lines and metrics.
    pub name: &'static str,
    /// Versions that are read and answered, and advertised.
    pub versions: RangeInclusive<i16>,
    /// First version in the flexible encoding.
    pub flexible_min: i16,
}

/// Every request spoken, by number.
pub static TABLE: [Api; 7] = [
    api(Key::Produce, 0, "Produce", 3..=9, 9),
    api(Key::Fetch, 1, "Fetch", 4..=12, 12),
    api(Key::ListOffsets, 2, "ListOffsets", 1..=7, 6),
    api(Key::Metadata, 3, "Metadata", 0..=12, 9),
    api(Key::FindCoordinator, 10, "FindCoordinator", 0..=4, 3),
    api(Key::ApiVersions, 18, "ApiVersions", 0..=4, 3),
    api(Key::OffsetForLeaderEpoch, 23, "OffsetForLeaderEpoch", 2..=4, 4),
];

const fn api(key: Key, number: i16, name: &'static str, versions: RangeInclusive<i16>, flexible_min: i16) -> Api {
    Api { key, number, name, versions, flexible_min }
}

impl Api {
    /// The line with this number, if there is one.
    #[must_use]
    pub fn find(number: i16) -> Option<&'static Self> {
        TABLE.iter().find(|api| api.number == number)
    }

    /// Whether this version is read and answered.
    #[must_use]
    pub fn accepts(&self, version: i16) -> bool {
        self.versions.contains(&version)
    }

    /// Whether the response header of this version ends in tagged fields. ApiVersions never has
    /// them: its answer must be readable by a client that does not know the version yet.
    #[must_use]
    pub fn response_tagged(&self, version: i16) -> bool {
        self.key != Key::ApiVersions && version >= self.flexible_min
    }
}
