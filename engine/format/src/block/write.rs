//! Writing a block: first the ingest loop's half, then the log's.

use super::{
    BATCHES_MAX, BLOCK_ALIGN, BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, BlockHeader, COUNTERS, DirectoryEntry, ENTRY_BYTES, HEAD_BYTES,
    HEADER_BYTES, MAGIC, TAIL_BYTES, TIME_DELTA_UNKNOWN, TailStamp, VERSION,
};
use crate::batch::Produced;
use crate::{Chain, Epoch, LaneId, Nonce, PairId, PartitionId, Sequence, batch, checksum};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// What the producer of a block knows when it seals it.
#[derive(Debug, Clone, Copy)]
pub struct Seal {
    /// Bytes of batches that stand from byte 4096 on.
    pub payload_bytes: usize,
    /// Directory entries written with [`directory_entry`].
    pub batches: usize,
    /// Records of all batches.
    pub records: u32,
    /// [`super::FLAG_CONTROL`] or 0.
    pub flags: u16,
    /// Nanoseconds since 1970.
    pub wall_ns: u64,
    /// The lane's cumulative counters.
    pub counters: [u64; COUNTERS],
}

/// What only the log knows.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The pair's identity.
    pub pair: PairId,
    /// The lane.
    pub lane: LaneId,
    /// The writing epoch.
    pub epoch: Epoch,
    /// The segment's nonce.
    pub nonce: Nonce,
    /// The block's number.
    pub sequence: Sequence,
    /// Hash of the previous block's header.
    pub chain: Chain,
    /// Blocks known committed.
    pub committed: u64,
}

/// One batch with its place in the block and the offset that the log gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its partition.
    pub partition: PartitionId,
    /// Bytes from the block's first byte.
    pub offset: u32,
    /// Bytes of the batch.
    pub length: u32,
    /// Records of the batch.
    pub records: u32,
    /// Offset of its first record.
    pub base_offset: u64,
    /// The batch's own CRC-32C.
    pub crc: u32,
    /// Largest timestamp in ms since 1970; none where it must be looked up in the batch.
    pub max_timestamp_ms: Option<i64>,
}

/// A batch as the log stamped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamped {
    /// Where it stands.
    pub placed: Placed,
    /// What [`ticket`] left for it; 0: nobody asked.
    pub ticket: u64,
    /// Its producer's own numbering, where it has one.
    pub produced: Option<Produced>,
}

/// The size of a block for that much payload.
#[must_use]
pub fn block_bytes_for(payload_bytes: usize) -> usize {
    (HEAD_BYTES + payload_bytes + TAIL_BYTES).next_multiple_of(BLOCK_ALIGN).max(BLOCK_BYTES_MIN)
}

/// The header of a block that this process sealed; none if the bytes are shorter than one.
#[must_use]
pub fn header(block: &[u8]) -> Option<&BlockHeader> {
    BlockHeader::ref_from_prefix(block).ok().map(|(header, _)| header)
}

/// Writes directory entry `index`; the base offset is left for the log.
///
/// Panics when `index` is beyond the directory.
#[allow(clippy::too_many_arguments)]
pub fn directory_entry(
    block: &mut [u8],
    index: usize,
    partition: PartitionId,
    offset: usize,
    length: usize,
    records: u32,
    crc: u32,
    max_time_delta_ms: Option<i64>,
) {
    assert!(index < BATCHES_MAX, "entry {index} of at most {BATCHES_MAX}");
    let delta = max_time_delta_ms.and_then(|ms| i32::try_from(ms).ok()).unwrap_or(TIME_DELTA_UNKNOWN);
    let entry = DirectoryEntry {
        partition: partition.0.into(),
        offset: narrow(offset).into(),
        length: narrow(length).into(),
        records: records.into(),
        base_offset: 0.into(),
        crc: crc.into(),
        max_time_delta_ms: delta.into(),
    };
    let at = HEADER_BYTES + index * ENTRY_BYTES;
    block[at..at + ENTRY_BYTES].copy_from_slice(entry.as_bytes());
}

/// Asks to be told, under this number, where the log puts the batch of directory entry `index`: it stands in the place of
/// the base offset until the log sets that, and so never reaches the disk. 0 asks for nothing.
///
/// Panics when `index` is beyond the directory.
pub fn ticket(block: &mut [u8], index: usize, ticket: u64) {
    assert!(index < BATCHES_MAX, "entry {index} of at most {BATCHES_MAX}");
    let at = HEADER_BYTES + index * ENTRY_BYTES;
    let (entry, _) = DirectoryEntry::mut_from_prefix(&mut block[at..]).expect("within the head page");
    entry.base_offset = ticket.into();
}

/// Closes the producer's half: header fields it knows, an empty rest of the directory, zero padding. Returns the block's size.
///
/// Panics on a payload that does not fit, which is the producer's bug.
pub fn seal(slot: &mut [u8], seal: &Seal) -> usize {
    let block_bytes = block_bytes_for(seal.payload_bytes);
    assert!(block_bytes <= slot.len().min(BLOCK_BYTES_MAX), "block of {block_bytes} B in a slot of {} B", slot.len());
    assert!((1..=BATCHES_MAX).contains(&seal.batches), "{} batches, 1 to {BATCHES_MAX}", seal.batches);
    let mut header = BlockHeader::new_zeroed();
    header.magic = MAGIC.into();
    header.version = VERSION.into();
    header.flags = seal.flags.into();
    header.block_bytes = narrow(block_bytes).into();
    header.payload_bytes = narrow(seal.payload_bytes).into();
    header.batches = narrow(seal.batches).into();
    header.records = seal.records.into();
    header.wall_ns = seal.wall_ns.into();
    header.counters = seal.counters.map(Into::into);
    slot[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    slot[HEADER_BYTES + seal.batches * ENTRY_BYTES..HEAD_BYTES].fill(0);
    slot[HEAD_BYTES + seal.payload_bytes..block_bytes].fill(0);
    block_bytes
}

/// Fills the log's half of a sealed block and returns its chain hash, which the next block carries.
///
/// `base_offset` is asked once a batch in order, with its partition and record count, and gives the batch's first offset;
/// `placed` sees each batch with its place. Neither the payload nor a batch CRC is touched.
pub fn stamp(
    block: &mut [u8],
    stamp: &Stamp,
    mut base_offset: impl FnMut(PartitionId, u32) -> u64,
    mut placed: impl FnMut(Stamped),
) -> Chain {
    let (batches, block_bytes, wall_ns) = {
        let (header, _) = BlockHeader::ref_from_prefix(block).expect("a slot is larger than a header");
        (header.batches.get() as usize, header.block_bytes.get() as usize, header.wall_ns.get())
    };
    assert!(batches <= BATCHES_MAX && block_bytes <= block.len(), "{batches} batches in {block_bytes} B of a {} B slot", block.len());
    for index in 0..batches {
        let at = HEADER_BYTES + index * ENTRY_BYTES;
        let (entry, _) = DirectoryEntry::mut_from_prefix(&mut block[at..]).expect("within the head page");
        let partition = PartitionId(entry.partition.get());
        if partition == PartitionId::CONTROL {
            continue;
        }
        let ticket = entry.base_offset.get();
        let offset = base_offset(partition, entry.records.get());
        entry.base_offset = offset.into();
        let place = Placed {
            partition,
            offset: entry.offset.get(),
            length: entry.length.get(),
            records: entry.records.get(),
            base_offset: offset,
            crc: entry.crc.get(),
            max_timestamp_ms: entry.max_timestamp_ms(wall_ns),
        };
        let batch = &mut block[place.offset as usize..];
        batch::stamp(batch, offset, stamp.epoch);
        placed(Stamped { placed: place, ticket, produced: batch::produced(batch) });
    }
    let tail = TailStamp { sequence: stamp.sequence.0.into(), epoch: stamp.epoch.0.into(), nonce_low: nonce_low(stamp.nonce).into() };
    block[block_bytes - TAIL_BYTES..block_bytes].copy_from_slice(tail.as_bytes());
    stamp_header(block, stamp)
}

fn stamp_header(block: &mut [u8], stamp: &Stamp) -> Chain {
    let (header, _) = BlockHeader::mut_from_prefix(block).expect("a slot is larger than a header");
    header.pair_id = stamp.pair.0.into();
    header.lane = stamp.lane.0.into();
    header.epoch = stamp.epoch.0.into();
    header.nonce = stamp.nonce.0.into();
    header.sequence = stamp.sequence.0.into();
    header.chain = stamp.chain.0;
    header.committed = stamp.committed.into();
    let crc = head_crc(block[..HEAD_BYTES].try_into().expect("a head page"), stamp.nonce);
    let (header, _) = BlockHeader::mut_from_prefix(block).expect("as above");
    header.head_crc = crc.into();
    Chain::of(block[..HEADER_BYTES].try_into().expect("a header"))
}

/// The head page's sum: seeded with the nonce, without its own field.
pub(super) fn head_crc(page: &[u8; HEAD_BYTES], nonce: Nonce) -> u32 {
    const CRC_AT: usize = core::mem::offset_of!(BlockHeader, head_crc);
    checksum::crc32c_of(&[&nonce.0.to_le_bytes(), &page[..CRC_AT], &page[CRC_AT + 4..]])
}

/// The half of the nonce that the tail stamp repeats.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn nonce_low(nonce: Nonce) -> u32 {
    nonce.0 as u32
}

impl DirectoryEntry {
    /// The batch's largest timestamp, if the entry holds it.
    #[must_use]
    pub fn max_timestamp_ms(&self, wall_ns: u64) -> Option<i64> {
        let wall_ms = i64::try_from(wall_ns / 1_000_000).ok()?;
        let delta = self.max_time_delta_ms.get();
        (delta != TIME_DELTA_UNKNOWN).then_some(wall_ms + i64::from(delta))
    }

    /// The entry with its place, as [`stamp`] reported it when the block was written.
    #[must_use]
    pub fn placed(&self, wall_ns: u64) -> Placed {
        Placed {
            partition: PartitionId(self.partition.get()),
            offset: self.offset.get(),
            length: self.length.get(),
            records: self.records.get(),
            base_offset: self.base_offset.get(),
            crc: self.crc.get(),
            max_timestamp_ms: self.max_timestamp_ms(wall_ns),
        }
    }
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("sizes within a block stay below 2^32")
}
