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
    /// A batch whose length or sum does not hold.
    CorruptMessage = 2,
    /// No such topic or partition.
    UnknownTopicOrPartition = 3,
    /// Ask again, and ask who leads first.
    NotLeaderOrFollower = 6,
    /// The level asked for was not reached in time.
    RequestTimedOut = 7,
    /// Larger than any block can hold.
    MessageTooLarge = 10,
    /// No coordinator for this key (now).
    CoordinatorNotAvailable = 15,
    /// No valid name of a topic.
    InvalidTopic = 17,
    /// Acks other than 0, 1 and -1.
    InvalidRequiredAcks = 21,
    /// The version of the request is not spoken, or a field's meaning is not known in it.
    UnsupportedVersion = 35,
    /// There is a topic of this name.
    TopicAlreadyExists = 36,
    /// Fewer than one partition, or more than there is room for.
    InvalidPartitions = 37,
    /// Other copies than the pair keeps.
    InvalidReplicationFactor = 38,
    /// A setting that topics do not have.
    InvalidConfig = 40,
    /// The request asks for what this broker never does.
    InvalidRequest = 42,
    /// A batch that does not follow its producer's last one.
    OutOfOrderSequenceNumber = 45,
    /// A later incarnation of the producer has written.
    InvalidProducerEpoch = 47,
    /// Transactions are not served.
    TransactionalIdAuthorizationFailed = 53,
    /// The disk failed the read.
    KafkaStorageError = 56,
    /// The fetch names a session we do not keep.
    FetchSessionIdNotFound = 70,
    /// The client's leader epoch is older than ours.
    FencedLeaderEpoch = 74,
    /// The client's leader epoch is newer than ours.
    UnknownLeaderEpoch = 75,
    /// A codec that this version of the request does not allow.
    UnsupportedCompressionType = 76,
    /// Not exactly one batch of magic 2 with whole records.
    InvalidRecord = 87,
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
            Self::CorruptMessage => "CORRUPT_MESSAGE",
            Self::UnknownTopicOrPartition => "UNKNOWN_TOPIC_OR_PARTITION",
            Self::NotLeaderOrFollower => "NOT_LEADER_OR_FOLLOWER",
            Self::RequestTimedOut => "REQUEST_TIMED_OUT",
            Self::MessageTooLarge => "MESSAGE_TOO_LARGE",
            Self::CoordinatorNotAvailable => "COORDINATOR_NOT_AVAILABLE",
            Self::InvalidTopic => "INVALID_TOPIC_EXCEPTION",
            Self::InvalidRequiredAcks => "INVALID_REQUIRED_ACKS",
            Self::UnsupportedVersion => "UNSUPPORTED_VERSION",
            Self::TopicAlreadyExists => "TOPIC_ALREADY_EXISTS",
            Self::InvalidPartitions => "INVALID_PARTITIONS",
            Self::InvalidReplicationFactor => "INVALID_REPLICATION_FACTOR",
            Self::InvalidConfig => "INVALID_CONFIG",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::OutOfOrderSequenceNumber => "OUT_OF_ORDER_SEQUENCE_NUMBER",
            Self::InvalidProducerEpoch => "INVALID_PRODUCER_EPOCH",
            Self::TransactionalIdAuthorizationFailed => "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
            Self::KafkaStorageError => "KAFKA_STORAGE_ERROR",
            Self::FetchSessionIdNotFound => "FETCH_SESSION_ID_NOT_FOUND",
            Self::FencedLeaderEpoch => "FENCED_LEADER_EPOCH",
            Self::UnknownLeaderEpoch => "UNKNOWN_LEADER_EPOCH",
            Self::UnsupportedCompressionType => "UNSUPPORTED_COMPRESSION_TYPE",
            Self::InvalidRecord => "INVALID_RECORD",
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
