//! A segment file: a preallocated, pre-zeroed, reused file of blocks.
//!
//! ```text
//! 0        4 KiB                        68 KiB
//! │ header │ record area: 16 pages      │ checkpoint block │ data blocks ... │ zeros or old blocks
//! │        │ a group commit writes one  │
//! ```
//!
//! A *record page* is written with each group of blocks and made durable by the same fdatasync. Present means "perhaps
//! acknowledged"; absent means "never acknowledged at a disk level by this node". Pages are used in turn, so the newest
//! is never overwritten by the next; every record also says through which block the lane was durable when it was written.

use crate::units::EPOCH_MAX;
use crate::{Chain, Epoch, LaneId, Nonce, PairId, Sequence, block, checksum};
use zerocopy::{
    FromBytes, FromZeros, IntoBytes,
    little_endian::{U16, U32, U64, U128},
};

/// Bytes of the header page and of a record page.
pub const PAGE_BYTES: usize = 4096;
/// Pages of the record area.
pub const RECORD_PAGES: usize = 16;
/// Bytes of a persist record.
pub const RECORD_BYTES: usize = 64;
/// Blocks that one group commit can cover.
pub const GROUP_BLOCKS_MAX: usize = PAGE_BYTES / RECORD_BYTES;
/// Where blocks begin.
pub const DATA_FROM: usize = PAGE_BYTES * (1 + RECORD_PAGES);
/// The smallest segment that a node is configured to make: room for a checkpoint and a few of the largest blocks.
pub const SEGMENT_BYTES_MIN: usize = 8 << 20;
/// The smallest segment that is read: a checkpoint and one block. The format holds for segments far smaller than a node
/// makes, which is what the simulator runs on.
pub const SEGMENT_BYTES_READ_MIN: usize = DATA_FROM + 2 * block::BLOCK_BYTES_MIN;
/// The largest segment.
pub const SEGMENT_BYTES_MAX: usize = 1 << 30;
/// "HWSEGMT1", little-endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HWSEGMT1");
/// Version of the segment's layout.
pub const VERSION: u16 = 1;
/// Bytes of the header's fields; the rest of its page is zero.
pub const HEADER_BYTES: usize = 128;

const _: () = assert!(DATA_FROM.is_multiple_of(block::BLOCK_ALIGN));
const _: () = assert!(SEGMENT_BYTES_MIN >= DATA_FROM + 4 * block::BLOCK_BYTES_MAX);
const _: () = assert!(GROUP_BLOCKS_MAX == 64);

layout!(
    /// First page of a segment file (the rest of the page is zero).
    SegmentHeader, HEADER_BYTES, {
    magic: U64 = "\"HWSEGMT1\"",
    version: U16 = "1",
    flags: U16 = "zero",
    crc: U32 = "CRC-32C of the page without this field",
    pair_id: U128 = "identity that both nodes of a pair share",
    lane: U32 = "lane that the segment belongs to",
    epoch: U32 = "epoch that wrote it, below 2³¹; a segment holds one epoch",
    nonce: U64 = "random, never 0; every block of the segment carries it",
    base_sequence: U64 = "sequence of its first block, a checkpoint",
    base_chain: [u8; 16] = "hash of the header of the block before the first",
    created_ns: U64 = "nanoseconds since 1970",
    window_bytes: U64 = "W: most bytes submitted and not yet durable, counted across a roll",
    segment_bytes: U64 = "size of the file, a multiple of 4 KiB",
    reserved: [u8; 32] = "zero",
});

layout!(
    /// What a group commit says of one of its blocks; a record page holds up to 64, then zeros.
    PersistRecord, RECORD_BYTES, {
    nonce: U64 = "the segment's nonce; records of the file's earlier life do not carry it",
    epoch: U32 = "the block's epoch",
    crc: U32 = "CRC-32C of the record without this field",
    sequence: U64 = "the block's number",
    position: U64 = "its first byte in the file",
    length: U32 = "its size",
    records: U32 = "records that it holds",
    chain: [u8; 16] = "hash of its header: what the next block carries",
    durable_through: U64 = "every block below this number was durable here before this group began",
});

/// A segment's header, parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentId {
    /// The pair's identity.
    pub pair: PairId,
    /// The lane.
    pub lane: LaneId,
    /// The epoch.
    pub epoch: Epoch,
    /// The nonce.
    pub nonce: Nonce,
    /// First block's number.
    pub base_sequence: Sequence,
    /// Hash of the block before it.
    pub base_chain: Chain,
    /// Nanoseconds since 1970.
    pub created_ns: u64,
    /// The window W that the writer kept.
    pub window_bytes: u64,
    /// Size of the file.
    pub segment_bytes: u64,
}

/// What the first page of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderPage {
    /// All zero: a spare that was never used.
    Blank,
    /// A header.
    Present(SegmentId),
    /// Neither: torn or rotten. Never taken for blank.
    Unreadable,
}

impl SegmentId {
    /// Writes the header page.
    pub fn write(&self, page: &mut [u8; PAGE_BYTES]) {
        page.fill(0);
        let (header, _) = SegmentHeader::mut_from_prefix(&mut page[..]).expect("a page is larger");
        header.magic = MAGIC.into();
        header.version = VERSION.into();
        header.pair_id = self.pair.0.into();
        header.lane = self.lane.0.into();
        header.epoch = self.epoch.0.into();
        header.nonce = self.nonce.0.into();
        header.base_sequence = self.base_sequence.0.into();
        header.base_chain = self.base_chain.0;
        header.created_ns = self.created_ns.into();
        header.window_bytes = self.window_bytes.into();
        header.segment_bytes = self.segment_bytes.into();
        let crc = header_crc(page);
        let (header, _) = SegmentHeader::mut_from_prefix(&mut page[..]).expect("as above");
        header.crc = crc.into();
    }
}

impl HeaderPage {
    /// Reads the first page of a segment file.
    #[must_use]
    pub fn parse(page: &[u8; PAGE_BYTES]) -> HeaderPage {
        if page.iter().all(|byte| *byte == 0) {
            return HeaderPage::Blank;
        }
        let Ok((header, _)) = SegmentHeader::ref_from_prefix(&page[..]) else {
            return HeaderPage::Unreadable;
        };
        let segment_bytes = header.segment_bytes.get();
        let sized = (SEGMENT_BYTES_READ_MIN as u64..=SEGMENT_BYTES_MAX as u64).contains(&segment_bytes)
            && segment_bytes.is_multiple_of(PAGE_BYTES as u64)
            && header.epoch.get() <= EPOCH_MAX.0;
        if header.magic.get() != MAGIC || header.version.get() != VERSION || header.crc.get() != header_crc(page) || !sized {
            return HeaderPage::Unreadable;
        }
        HeaderPage::Present(SegmentId {
            pair: PairId(header.pair_id.get()),
            lane: LaneId(header.lane.get()),
            epoch: Epoch(header.epoch.get()),
            nonce: Nonce(header.nonce.get()),
            base_sequence: Sequence(header.base_sequence.get()),
            base_chain: Chain(header.base_chain),
            created_ns: header.created_ns.get(),
            window_bytes: header.window_bytes.get(),
            segment_bytes,
        })
    }
}

fn header_crc(page: &[u8; PAGE_BYTES]) -> u32 {
    const CRC_AT: usize = core::mem::offset_of!(SegmentHeader, crc);
    checksum::crc32c_of(&[&page[..CRC_AT], &page[CRC_AT + 4..]])
}

/// One block as its group commit recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persisted {
    /// The segment's nonce.
    pub nonce: Nonce,
    /// The block's epoch.
    pub epoch: Epoch,
    /// The block's number.
    pub sequence: Sequence,
    /// Its first byte in the file.
    pub position: u64,
    /// Its size.
    pub length: u32,
    /// Its records.
    pub records: u32,
    /// Hash of its header.
    pub chain: Chain,
    /// Blocks below this number were durable.
    pub durable_through: u64,
}

impl Persisted {
    /// A record that names no block, only how far the lane is durable; length 0 says so.
    #[must_use]
    pub fn confirmation(nonce: Nonce, epoch: Epoch, durable_through: u64) -> Persisted {
        Persisted {
            nonce,
            epoch,
            sequence: Sequence(durable_through),
            position: 0,
            length: 0,
            records: 0,
            chain: Chain::START,
            durable_through,
        }
    }

    /// Whether it names a block.
    #[must_use]
    pub fn names_block(&self) -> bool {
        self.length != 0
    }

    fn encode(&self) -> PersistRecord {
        let mut record = PersistRecord::new_zeroed();
        record.nonce = self.nonce.0.into();
        record.epoch = self.epoch.0.into();
        record.sequence = self.sequence.0.into();
        record.position = self.position.into();
        record.length = self.length.into();
        record.records = self.records.into();
        record.chain = self.chain.0;
        record.durable_through = self.durable_through.into();
        record.crc = record_crc(&record).into();
        record
    }
}

fn record_crc(record: &PersistRecord) -> u32 {
    const CRC_AT: usize = core::mem::offset_of!(PersistRecord, crc);
    let bytes = record.as_bytes();
    checksum::crc32c_of(&[&bytes[..CRC_AT], &bytes[CRC_AT + 4..]])
}

/// Writes record `index` of a page that was zeroed for its group.
///
/// Panics when `index` is beyond the page.
pub fn write_record(page: &mut [u8], index: usize, persisted: &Persisted) {
    assert!(index < GROUP_BLOCKS_MAX, "record {index} of at most {GROUP_BLOCKS_MAX}");
    page[index * RECORD_BYTES..][..RECORD_BYTES].copy_from_slice(persisted.encode().as_bytes());
}

/// The records of a page that hold together; torn and foreign ones are passed over.
pub fn read_records(page: &[u8]) -> impl Iterator<Item = Persisted> + '_ {
    page.chunks_exact(RECORD_BYTES).filter_map(|bytes| {
        let record = PersistRecord::ref_from_bytes(bytes).ok()?;
        // 60 zero bytes sum to 0x5a0b_0531, not to 0, so an empty place never passes.
        (record.crc.get() == record_crc(record)).then(|| Persisted {
            nonce: Nonce(record.nonce.get()),
            epoch: Epoch(record.epoch.get()),
            sequence: Sequence(record.sequence.get()),
            position: record.position.get(),
            length: record.length.get(),
            records: record.records.get(),
            chain: Chain(record.chain),
            durable_through: record.durable_through.get(),
        })
    })
}

#[cfg(test)]
pub(crate) mod tests;
