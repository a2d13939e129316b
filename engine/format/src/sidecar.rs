//! The sidecar of a rolled segment: where it ends, its holes, and one entry for each batch.
//!
//! ```text
//! 0        256                           256 + entries × 40
//! │ header │ entries, 40 B, by partition │ holes, 56 B │
//! │        │ and offset                  │             │
//! └── one CRC over all of it ───────────────────────────┘
//! ```
//!
//! Written and fsynced only when every block of the segment is durable (or declared a hole), so its presence with the
//! segment's nonce means: nothing here needs to be walked. It can always be rebuilt from the segment, so one that does
//! not hold together in every number is refused: readers search its entries and reserve memory by its lengths.

use crate::batch::BATCH_BYTES_MAX;
use crate::segment::{DATA_FROM, SEGMENT_BYTES_MAX};
use crate::units::OFFSET_MAX;
use crate::{Chain, Epoch, LaneId, Nonce, PartitionId, Sequence, block::COUNTERS, block::Placed, checksum};
use zerocopy::{
    FromBytes, FromZeros, IntoBytes,
    little_endian::{I64, U16, U32, U64},
};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 256;
/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 40;
/// Bytes of a hole.
pub const HOLE_BYTES: usize = 56;
/// "HWINDEX1", little-endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HWINDEX1");
/// Version of the layout.
pub const VERSION: u16 = 1;
/// Batches that one segment may hold; an index that is full rolls the segment.
pub const ENTRIES_MAX: usize = 1 << 16;
/// Bytes of the largest sidecar of a segment without holes: set aside when the segment is made, so that a full volume
/// cannot keep a segment from being sealed.
pub const RESERVED_BYTES: usize = HEADER_BYTES + ENTRIES_MAX * ENTRY_BYTES;
/// Timestamp of a batch that must be looked up in its bytes.
pub const TIMESTAMP_UNKNOWN: i64 = i64::MIN;

layout!(
    /// Header of a sidecar.
    SidecarHeader, HEADER_BYTES, {
    magic: U64 = "\"HWINDEX1\"",
    version: U16 = "1",
    flags: U16 = "zero",
    crc: U32 = "CRC-32C of the whole file without this field",
    lane: U32 = "the segment's lane",
    epoch: U32 = "the segment's epoch",
    nonce: U64 = "the segment's nonce; another one means that the sidecar is of the file's earlier life",
    base_sequence: U64 = "first block's number",
    end_sequence: U64 = "number after the last block",
    end_position: U64 = "byte after the last block",
    end_chain: [u8; 16] = "hash of the last block's header",
    entries: U32 = "batches",
    holes: U32 = "holes",
    counters: [U64; COUNTERS] = "the lane's ledger counters of the last block",
    reserved: [u8; 48] = "zero",
});

layout!(
    /// One batch of a segment.
    IndexEntry, ENTRY_BYTES, {
    base_offset: U64 = "offset of its first record",
    partition: U32 = "its partition",
    records: U32 = "its records",
    position: U64 = "its first byte in the segment file",
    length: U32 = "its bytes",
    crc: U32 = "its own CRC-32C: what is read is checked before it is served",
    max_timestamp_ms: I64 = "largest timestamp; −2⁶³: look into the batch",
});

layout!(
    /// A range of blocks that cannot be read.
    HoleEntry, HOLE_BYTES, {
    sequence: U64 = "first block's number",
    blocks: U64 = "number of blocks",
    position: U64 = "first byte",
    bytes: U64 = "bytes up to the next valid block",
    chain: [u8; 16] = "hash that the next block carries, or zero where it is unknown",
    reason: U32 = "first part that failed: 1 head page, 2 directory, 3 nonce, 4 lane, 5 sequence, 6 chain, 7 batch, 8 padding, 9 tail stamp; 0 other",
    state: U32 = "0 pending (a copy may be had), 1 lost (declared)",
});

/// A batch in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its partition.
    pub partition: PartitionId,
    /// Offset of its first record.
    pub base_offset: u64,
    /// Its records.
    pub records: u32,
    /// Its first byte in the segment.
    pub position: u64,
    /// Its bytes.
    pub length: u32,
    /// Its CRC.
    pub crc: u32,
    /// Its largest timestamp, or [`TIMESTAMP_UNKNOWN`].
    pub max_timestamp_ms: i64,
}

impl Entry {
    /// The entry of a batch that was placed in a block at `block_position`.
    #[must_use]
    pub fn of(placed: &Placed, block_position: u64) -> Entry {
        Entry {
            partition: placed.partition,
            base_offset: placed.base_offset,
            records: placed.records,
            position: block_position + u64::from(placed.offset),
            length: placed.length,
            crc: placed.crc,
            max_timestamp_ms: placed.max_timestamp_ms.unwrap_or(TIMESTAMP_UNKNOWN),
        }
    }

    /// Offset after its last record.
    #[must_use]
    pub fn end_offset(&self) -> u64 {
        self.base_offset + u64::from(self.records)
    }
}

/// Whether a hole may still be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoleState {
    /// A member of the in-sync set may have a copy.
    Pending,
    /// Declared lost: nobody else can have one.
    Lost,
}

/// A range of blocks that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// First block's number.
    pub sequence: Sequence,
    /// Number of blocks.
    pub blocks: u64,
    /// First byte.
    pub position: u64,
    /// Bytes.
    pub bytes: u64,
    /// What the next block must carry, where it is known.
    pub chain: Option<Chain>,
    /// Number of the part that did not hold, as [`HoleEntry`] lists them.
    pub reason: u32,
    /// Pending or lost.
    pub state: HoleState,
}

/// A sidecar's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// The segment's lane.
    pub lane: LaneId,
    /// The segment's epoch.
    pub epoch: Epoch,
    /// The segment's nonce.
    pub nonce: Nonce,
    /// First block's number.
    pub base_sequence: Sequence,
    /// Number after the last block.
    pub end_sequence: Sequence,
    /// Byte after the last block.
    pub end_position: u64,
    /// Hash of the last block's header.
    pub end_chain: Chain,
    /// Counters of the last block.
    pub counters: [u64; COUNTERS],
    /// Batches, sorted by partition, then offset.
    pub entries: Vec<Entry>,
    /// Holes in order.
    pub holes: Vec<Hole>,
}

impl Sidecar {
    /// The file's bytes; entries are sorted on the way.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut entries = self.entries.clone();
        entries.sort_unstable();
        let mut header = SidecarHeader::new_zeroed();
        header.magic = MAGIC.into();
        header.version = VERSION.into();
        header.lane = self.lane.0.into();
        header.epoch = self.epoch.0.into();
        header.nonce = self.nonce.0.into();
        header.base_sequence = self.base_sequence.0.into();
        header.end_sequence = self.end_sequence.0.into();
        header.end_position = self.end_position.into();
        header.end_chain = self.end_chain.0;
        header.entries = count(entries.len()).into();
        header.holes = count(self.holes.len()).into();
        header.counters = self.counters.map(Into::into);
        let mut bytes = header.as_bytes().to_vec();
        entries.iter().for_each(|entry| bytes.extend_from_slice(entry_bytes(entry).as_bytes()));
        self.holes.iter().for_each(|hole| bytes.extend_from_slice(hole_bytes(hole).as_bytes()));
        let crc = file_crc(&bytes);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The bytes of the sidecar that begins a longer file, as its header says; none for a blank or foreign start.
    #[must_use]
    pub fn bytes_in(start: &[u8]) -> Option<usize> {
        let (header, _) = SidecarHeader::ref_from_prefix(start).ok()?;
        (header.magic.get() == MAGIC)
            .then(|| HEADER_BYTES + header.entries.get() as usize * ENTRY_BYTES + header.holes.get() as usize * HOLE_BYTES)
    }

    /// Reads a sidecar; none if it is not whole, so that the segment is scanned instead.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Sidecar> {
        let (header, rest) = SidecarHeader::ref_from_prefix(bytes).ok()?;
        if header.magic.get() != MAGIC || header.version.get() != VERSION {
            return None;
        }
        let entries_bytes = (header.entries.get() as usize).checked_mul(ENTRY_BYTES)?;
        let holes_bytes = (header.holes.get() as usize).checked_mul(HOLE_BYTES)?;
        if entries_bytes.checked_add(holes_bytes) != Some(rest.len()) || header.crc.get() != file_crc(bytes) {
            return None;
        }
        let (entries, holes) = rest.split_at(entries_bytes);
        let sidecar = Sidecar {
            lane: LaneId(header.lane.get()),
            epoch: Epoch(header.epoch.get()),
            nonce: Nonce(header.nonce.get()),
            base_sequence: Sequence(header.base_sequence.get()),
            end_sequence: Sequence(header.end_sequence.get()),
            end_position: header.end_position.get(),
            end_chain: Chain(header.end_chain),
            counters: header.counters.map(|counter| counter.get()),
            entries: <[IndexEntry]>::ref_from_bytes(entries).ok()?.iter().map(entry).collect(),
            holes: <[HoleEntry]>::ref_from_bytes(holes).ok()?.iter().map(hole).collect::<Option<_>>()?,
        };
        sidecar.holds_together().then_some(sidecar)
    }

    /// Everything lies within the segment; batches are in order without overlap, holes in order within its blocks.
    fn holds_together(&self) -> bool {
        let ordered = |pair: &[Entry]| {
            pair[0].partition < pair[1].partition || pair[0].partition == pair[1].partition && pair[0].end_offset() <= pair[1].base_offset
        };
        let mut next = self.base_sequence.0;
        let mut hole_follows = |hole: &Hole| {
            let follows = hole.blocks > 0 && hole.sequence.0 >= next;
            next = hole.sequence.0.saturating_add(hole.blocks);
            follows && next <= self.end_sequence.0
        };
        self.base_sequence <= self.end_sequence
            && self.end_position <= SEGMENT_BYTES_MAX as u64
            && self.entries.iter().all(|entry| self.has_room_for(entry))
            && self.entries.windows(2).all(ordered)
            && self.holes.iter().all(|hole| hole_follows(hole) && self.holds_bytes(hole.position, hole.bytes))
    }

    fn has_room_for(&self, entry: &Entry) -> bool {
        entry.length as usize <= BATCH_BYTES_MAX
            && self.holds_bytes(entry.position, u64::from(entry.length))
            && entry.base_offset <= OFFSET_MAX - u64::from(entry.records)
    }

    fn holds_bytes(&self, position: u64, bytes: u64) -> bool {
        position >= DATA_FROM as u64 && position.checked_add(bytes).is_some_and(|end| end <= self.end_position)
    }
}

const CRC_AT: usize = core::mem::offset_of!(SidecarHeader, crc);

fn file_crc(bytes: &[u8]) -> u32 {
    checksum::crc32c_of(&[&bytes[..CRC_AT], &bytes[CRC_AT + 4..]])
}

fn count(items: usize) -> u32 {
    u32::try_from(items).expect("an index holds at most 65,536 entries")
}

fn entry_bytes(entry: &Entry) -> IndexEntry {
    IndexEntry {
        base_offset: entry.base_offset.into(),
        partition: entry.partition.0.into(),
        records: entry.records.into(),
        position: entry.position.into(),
        length: entry.length.into(),
        crc: entry.crc.into(),
        max_timestamp_ms: entry.max_timestamp_ms.into(),
    }
}

fn entry(bytes: &IndexEntry) -> Entry {
    Entry {
        partition: PartitionId(bytes.partition.get()),
        base_offset: bytes.base_offset.get(),
        records: bytes.records.get(),
        position: bytes.position.get(),
        length: bytes.length.get(),
        crc: bytes.crc.get(),
        max_timestamp_ms: bytes.max_timestamp_ms.get(),
    }
}

fn hole_bytes(hole: &Hole) -> HoleEntry {
    HoleEntry {
        sequence: hole.sequence.0.into(),
        blocks: hole.blocks.into(),
        position: hole.position.into(),
        bytes: hole.bytes.into(),
        chain: hole.chain.unwrap_or(Chain::START).0,
        reason: hole.reason.into(),
        state: u32::from(hole.state == HoleState::Lost).into(),
    }
}

/// None for a state that this version does not know: what is lost is declared, never guessed.
fn hole(bytes: &HoleEntry) -> Option<Hole> {
    let chain = Chain(bytes.chain);
    let state = match bytes.state.get() {
        0 => HoleState::Pending,
        1 => HoleState::Lost,
        _ => return None,
    };
    Some(Hole {
        sequence: Sequence(bytes.sequence.get()),
        blocks: bytes.blocks.get(),
        position: bytes.position.get(),
        bytes: bytes.bytes.get(),
        chain: (chain != Chain::START).then_some(chain),
        reason: bytes.reason.get(),
        state,
    })
}

#[cfg(test)]
pub(crate) mod tests;
