//! The error codes we answer with: numbers and names of the protocol.

/// An error code of the Kafka protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i16)]
pub enum ErrorCode {
    /// No error.
    #[default]
    None = 0,
    /// The offset lies outside of what the partition holds.
    OffsetOutOfRange = 1,
    /// No such topic or partition.
    UnknownTopicOrPartition = 3,
    /// No coordinator for this key (now).
    CoordinatorNotAvailable = 15,
    /// The version of the request is not spoken, or a field's meaning is not known in it.
    UnsupportedVersion = 35,
    /// The request asks for what this broker never does.
    InvalidRequest = 42,
    /// The disk failed the read.
    KafkaStorageError = 56,
    /// The fetch names a session we do not keep.
    FetchSessionIdNotFound = 70,
    /// The client's leader epoch is older than ours.
    FencedLeaderEpoch = 74,
    /// The client's leader epoch is newer than ours.
    UnknownLeaderEpoch = 75,
    /// No topic with this id.
    UnknownTopicId = 100,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> i16 {
        self as i16
    }

    /// The protocol's name, as metrics carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::OffsetOutOfRange => "OFFSET_OUT_OF_RANGE",
            Self::UnknownTopicOrPartition => "UNKNOWN_TOPIC_OR_PARTITION",
            Self::CoordinatorNotAvailable => "COORDINATOR_NOT_AVAILABLE",
            Self::UnsupportedVersion => "UNSUPPORTED_VERSION",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::KafkaStorageError => "KAFKA_STORAGE_ERROR",
            Self::FetchSessionIdNotFound => "FETCH_SESSION_ID_NOT_FOUND",
            Self::FencedLeaderEpoch => "FENCED_LEADER_EPOCH",
            Self::UnknownLeaderEpoch => "UNKNOWN_LEADER_EPOCH",
            Self::UnknownTopicId => "UNKNOWN_TOPIC_ID",
        }
    }

    /// This error, or `later` where this is none: the first error of an answer names it.
    #[must_use]
    pub fn or(self, later: Self) -> Self {
        if self == Self::None { later } else { self }
    }
}

/// The epoch rule of Fetch, ListOffsets and OffsetForLeaderEpoch: an older epoch is fenced, a newer
/// one unknown, -1 is not checked.
pub fn check_epoch(asked: i32, ours: i32) -> ErrorCode {
    match asked {
        -1 => ErrorCode::None,
        asked if asked < ours => ErrorCode::FencedLeaderEpoch,
        asked if asked > ours => ErrorCode::UnknownLeaderEpoch,
        _ => ErrorCode::None,
    }
}
