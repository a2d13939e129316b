//! Identities and positions. Each is its own type, so that a sequence cannot stand where an epoch is meant.

use core::fmt;

macro_rules! unit {
    ($(#[$meta:meta])* $name:ident($inner:ty)) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

unit!(
    /// A lane: one pinned ingest loop with its ring and its log; the unit of ordering and durability.
    LaneId(u32)
);
unit!(
    /// A fencing epoch, strictly increasing over the life of a directory; Kafka's leader epoch, hence below 2³¹.
    Epoch(u32)
);
unit!(
    /// The number of a block within its lane: dense, from 0, never used twice within an epoch.
    Sequence(u64)
);
unit!(
    /// A random number that a segment's blocks carry, so that a reused file's old blocks are never taken for new ones.
    Nonce(u64)
);
unit!(
    /// The identity that both nodes of a pair share.
    PairId(u128)
);
unit!(
    /// A stream's partition, numbered over the whole node by the catalog; a partition lives wholly in one lane.
    PartitionId(u32)
);

impl PartitionId {
    /// Marks control content (a checkpoint) in a block's directory; never a stream's partition.
    pub const CONTROL: PartitionId = PartitionId(u32::MAX);
}

impl Sequence {
    /// The sequence after this one.
    #[must_use]
    pub fn next(self) -> Sequence {
        Sequence(self.0 + 1)
    }
}

/// The largest epoch: Kafka's leader epoch is a signed 32-bit number.
pub const EPOCH_MAX: Epoch = Epoch(0x7fff_ffff);

/// The largest offset: Kafka's is a signed 64-bit number.
pub const OFFSET_MAX: u64 = i64::MAX.cast_unsigned();

/// Hash over the 256 bytes of a block's header, carried by the block after it: the log is one chain.
///
/// The first 16 bytes of SHA-256 (FIPS 180-4). Once a block, so its cost does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Chain(pub [u8; 16]);

impl Chain {
    /// What the first block of a lane carries.
    pub const START: Chain = Chain([0; 16]);

    /// The hash of a header's bytes.
    #[must_use]
    pub fn of(header: &[u8; crate::block::HEADER_BYTES]) -> Chain {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(header);
        let mut chain = [0; 16];
        chain.copy_from_slice(&digest[..16]);
        Chain(chain)
    }
}
