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
    /// Nobody is known to lead; ask again.
    LeaderNotAvailable = 5,
    /// Ask again, and ask who leads first.
    NotLeaderOrFollower = 6,
    /// The level asked for was not reached in time.
    RequestTimedOut = 7,
    /// Larger than any block can hold.
    MessageTooLarge = 10,
    /// What goes with a committed offset is longer than it may be.
    OffsetMetadataTooLarge = 12,
    /// The committed offsets are still being read.
    CoordinatorLoadInProgress = 14,
    /// No coordinator for this key (now).
    CoordinatorNotAvailable = 15,
    /// Ask for the coordinator again.
    NotCoordinator = 16,
    /// No valid name of a topic.
    InvalidTopic = 17,
    /// The other node is not in sync, and nothing is committed without it; ask again.
    NotEnoughReplicas = 19,
    /// Acks other than 0, 1 and -1.
    InvalidRequiredAcks = 21,
    /// The member speaks of a generation that is over.
    IllegalGeneration = 22,
    /// The member can do no protocol that the others can.
    InconsistentGroupProtocol = 23,
    /// No name of a group.
    InvalidGroupId = 24,
    /// No member of the group.
    UnknownMemberId = 25,
    /// A session shorter or longer than allowed.
    InvalidSessionTimeout = 26,
    /// Join again.
    RebalanceInProgress = 27,
    /// More offsets in one commit than fit a batch.
    InvalidCommitOffsetSize = 28,
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
    /// The broker that leads makes topics.
    NotController = 41,
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
    /// The group has members.
    NonEmptyGroup = 68,
    /// There is no such group.
    GroupIdNotFound = 69,
    /// The fetch names a session we do not keep.
    FetchSessionIdNotFound = 70,
    /// The client's leader epoch is older than ours.
    FencedLeaderEpoch = 74,
    /// The client's leader epoch is newer than ours.
    UnknownLeaderEpoch = 75,
    /// A codec that this version of the request does not allow.
    UnsupportedCompressionType = 76,
    /// The leader has just begun, and does not know yet how far the log is committed.
    OffsetNotAvailable = 78,
    /// The member is to come back with the id that it is given.
    MemberIdRequired = 79,
    /// The group takes no more.
    GroupMaxSizeReached = 81,
    /// Another member has taken over this name.
    FencedInstanceId = 82,
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
            Self::LeaderNotAvailable => "LEADER_NOT_AVAILABLE",
            Self::NotLeaderOrFollower => "NOT_LEADER_OR_FOLLOWER",
            Self::RequestTimedOut => "REQUEST_TIMED_OUT",
            Self::MessageTooLarge => "MESSAGE_TOO_LARGE",
            Self::OffsetMetadataTooLarge => "OFFSET_METADATA_TOO_LARGE",
            Self::CoordinatorLoadInProgress => "COORDINATOR_LOAD_IN_PROGRESS",
            Self::CoordinatorNotAvailable => "COORDINATOR_NOT_AVAILABLE",
            Self::NotCoordinator => "NOT_COORDINATOR",
            Self::InvalidTopic => "INVALID_TOPIC_EXCEPTION",
            Self::NotEnoughReplicas => "NOT_ENOUGH_REPLICAS",
            Self::InvalidRequiredAcks => "INVALID_REQUIRED_ACKS",
            Self::IllegalGeneration => "ILLEGAL_GENERATION",
            Self::InconsistentGroupProtocol => "INCONSISTENT_GROUP_PROTOCOL",
            Self::InvalidGroupId => "INVALID_GROUP_ID",
            Self::UnknownMemberId => "UNKNOWN_MEMBER_ID",
            Self::InvalidSessionTimeout => "INVALID_SESSION_TIMEOUT",
            Self::RebalanceInProgress => "REBALANCE_IN_PROGRESS",
            Self::InvalidCommitOffsetSize => "INVALID_COMMIT_OFFSET_SIZE",
            Self::UnsupportedVersion => "UNSUPPORTED_VERSION",
            Self::TopicAlreadyExists => "TOPIC_ALREADY_EXISTS",
            Self::InvalidPartitions => "INVALID_PARTITIONS",
            Self::InvalidReplicationFactor => "INVALID_REPLICATION_FACTOR",
            Self::InvalidConfig => "INVALID_CONFIG",
            Self::NotController => "NOT_CONTROLLER",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::OutOfOrderSequenceNumber => "OUT_OF_ORDER_SEQUENCE_NUMBER",
            Self::InvalidProducerEpoch => "INVALID_PRODUCER_EPOCH",
            Self::TransactionalIdAuthorizationFailed => "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
            Self::KafkaStorageError => "KAFKA_STORAGE_ERROR",
            Self::NonEmptyGroup => "NON_EMPTY_GROUP",
            Self::GroupIdNotFound => "GROUP_ID_NOT_FOUND",
            Self::FetchSessionIdNotFound => "FETCH_SESSION_ID_NOT_FOUND",
            Self::FencedLeaderEpoch => "FENCED_LEADER_EPOCH",
            Self::UnknownLeaderEpoch => "UNKNOWN_LEADER_EPOCH",
            Self::UnsupportedCompressionType => "UNSUPPORTED_COMPRESSION_TYPE",
            Self::OffsetNotAvailable => "OFFSET_NOT_AVAILABLE",
            Self::MemberIdRequired => "MEMBER_ID_REQUIRED",
            Self::GroupMaxSizeReached => "GROUP_MAX_SIZE_REACHED",
            Self::FencedInstanceId => "FENCED_INSTANCE_ID",
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
