//! Which requests are spoken, in which versions: one table, used by the dispatcher, by the reader
//! and by the answer to ApiVersions, so that what is advertised is what is read.
//!
//! The minimums are those that Apache Kafka 4 itself kept after surveying clients, the maximums stop
//! before topic ids (Fetch 13, OffsetCommit and OffsetFetch 10). Two entries exist for what clients infer rather than for what they
//! ask:
//!
//! * **Produce** is advertised from 0 although only 3 and later are read, as Apache Kafka 4 does: librdkafka up to 2.11.0
//!   (Debian's kcat among them) looks at version 0 and else silently compresses nothing.
//! * **Fetch 12** because librdkafka 2.6.0 sends it whatever the broker says.

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
    /// 8.
    OffsetCommit,
    /// 9.
    OffsetFetch,
    /// 10.
    FindCoordinator,
    /// 11.
    JoinGroup,
    /// 12.
    Heartbeat,
    /// 13.
    LeaveGroup,
    /// 14.
    SyncGroup,
    /// 18.
    ApiVersions,
    /// 19.
    CreateTopics,
    /// 22.
    InitProducerId,
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
    /// Versions that are read and answered.
    pub versions: RangeInclusive<i16>,
    /// The first version that is advertised.
    pub advertised_min: i16,
    /// First version in the flexible encoding.
    pub flexible_min: i16,
}

/// Every request spoken, by number.
pub static TABLE: [Api; 15] = [
    Api { advertised_min: 0, ..api(Key::Produce, 0, "Produce", 3..=9, 9) },
    api(Key::Fetch, 1, "Fetch", 4..=12, 12),
    api(Key::ListOffsets, 2, "ListOffsets", 1..=7, 6),
    api(Key::Metadata, 3, "Metadata", 0..=12, 9),
    api(Key::OffsetCommit, 8, "OffsetCommit", 2..=9, 8),
    api(Key::OffsetFetch, 9, "OffsetFetch", 1..=9, 6),
    api(Key::FindCoordinator, 10, "FindCoordinator", 0..=4, 3),
    api(Key::JoinGroup, 11, "JoinGroup", 0..=9, 6),
    api(Key::Heartbeat, 12, "Heartbeat", 0..=4, 4),
    api(Key::LeaveGroup, 13, "LeaveGroup", 0..=5, 4),
    api(Key::SyncGroup, 14, "SyncGroup", 0..=5, 4),
    api(Key::ApiVersions, 18, "ApiVersions", 0..=4, 3),
    api(Key::CreateTopics, 19, "CreateTopics", 2..=7, 5),
    api(Key::InitProducerId, 22, "InitProducerId", 0..=4, 2),
    api(Key::OffsetForLeaderEpoch, 23, "OffsetForLeaderEpoch", 2..=4, 4),
];

const fn api(key: Key, number: i16, name: &'static str, versions: RangeInclusive<i16>, flexible_min: i16) -> Api {
    let advertised_min = *versions.start();
    Api { key, number, name, versions, advertised_min, flexible_min }
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
