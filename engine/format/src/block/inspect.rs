//! Reading a block that may be anything: torn, rotten, misdirected, stale, or whole.

use super::write::{head_crc, nonce_low};
use super::{
    BATCHES_MAX, BLOCK_ALIGN, BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, BlockHeader, DirectoryEntry, FLAG_CONTROL, HEAD_BYTES, HEADER_BYTES, MAGIC,
    Placed, TAIL_BYTES, TailStamp, VERSION, block_bytes_for,
};
use crate::units::{EPOCH_MAX, OFFSET_MAX};
use crate::{Chain, Epoch, LaneId, Nonce, PartitionId, Sequence, batch, checksum};
use zerocopy::{FromBytes, IntoBytes};

/// Why a page is no head page of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    /// No magic, or a version that this release does not know.
    Magic,
    /// The sum over the head page differs.
    Crc,
    /// Sizes, counts or the epoch out of their ranges.
    Sizes,
    /// Entries overlap, leave gaps, do not add up to payload and records, or count offsets beyond 2⁶³.
    Directory,
}

/// What makes a block's body invalid under a valid head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// Fewer bytes than the head says.
    Short,
    /// Batch number `index` differs from its directory entry or its own CRC.
    Batch {
        /// Position in the directory.
        index: usize,
    },
    /// A padding byte is not zero.
    Padding,
    /// The tail stamp is not the head's.
    Tail,
}

/// A head page that holds together by itself: its CRC fits and its directory adds up.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    page: &'a [u8; HEAD_BYTES],
    header: &'a BlockHeader,
    entries: &'a [DirectoryEntry],
}

impl<'a> Head<'a> {
    /// Takes a page as a head page.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn parse(page: &'a [u8; HEAD_BYTES]) -> Result<Head<'a>, HeadFault> {
        let (header, rest) = BlockHeader::ref_from_prefix(&page[..]).map_err(|_| HeadFault::Sizes)?;
        if header.magic.get() != MAGIC || header.version.get() != VERSION {
            return Err(HeadFault::Magic);
        }
        if header.head_crc.get() != head_crc(page, Nonce(header.nonce.get())) {
            return Err(HeadFault::Crc);
        }
        let block_bytes = header.block_bytes.get() as usize;
        let payload_bytes = header.payload_bytes.get() as usize;
        let batches = header.batches.get() as usize;
        let sized = (BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&block_bytes)
            && block_bytes.is_multiple_of(BLOCK_ALIGN)
            && payload_bytes <= super::PAYLOAD_BYTES_MAX
            && block_bytes_for(payload_bytes) == block_bytes
            && (1..=BATCHES_MAX).contains(&batches)
            && header.epoch.get() <= EPOCH_MAX.0;
        if !sized {
            return Err(HeadFault::Sizes);
        }
        let (entries, _) = <[DirectoryEntry]>::ref_from_prefix_with_elems(rest, batches).map_err(|_| HeadFault::Sizes)?;
        let head = Head { page, header, entries };
        if head.directory_adds_up() { Ok(head) } else { Err(HeadFault::Directory) }
    }

    fn directory_adds_up(&self) -> bool {
        let mut next = HEAD_BYTES as u64;
        let mut records = 0u64;
        for entry in self.entries {
            let control = entry.partition.get() == PartitionId::CONTROL.0;
            let entry_records = u64::from(entry.records.get());
            if u64::from(entry.offset.get()) != next
                || entry.length.get() == 0
                || control != self.is_control()
                || control != (entry_records == 0)
                || entry.base_offset.get() > OFFSET_MAX - entry_records
            {
                return false;
            }
            next += u64::from(entry.length.get());
            records += entry_records;
        }
        next == HEAD_BYTES as u64 + u64::from(self.header.payload_bytes.get()) && records == u64::from(self.header.records.get())
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &'a BlockHeader {
        self.header
    }

    /// The directory.
    #[must_use]
    pub fn entries(&self) -> &'a [DirectoryEntry] {
        self.entries
    }

    /// The directory with timestamps resolved.
    pub fn placed(&self) -> impl Iterator<Item = Placed> + use<'a> {
        let wall_ns = self.header.wall_ns.get();
        self.entries.iter().map(move |entry| entry.placed(wall_ns))
    }

    /// Whether the payload is a checkpoint.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.header.flags.get() & FLAG_CONTROL != 0
    }

    /// Size of the whole block.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        self.header.block_bytes.get() as usize
    }

    /// The block's number.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.header.sequence.get())
    }

    /// The block's epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.header.epoch.get())
    }

    /// The segment's nonce.
    #[must_use]
    pub fn nonce(&self) -> Nonce {
        Nonce(self.header.nonce.get())
    }

    /// The hash that the next block must carry.
    #[must_use]
    pub fn chain(&self) -> Chain {
        Chain::of(self.page[..HEADER_BYTES].try_into().expect("a header"))
    }
}

/// What the reader knows of the block that should stand here.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// The lane.
    pub lane: LaneId,
    /// The segment's nonce.
    pub nonce: Nonce,
    /// The next number.
    pub sequence: Sequence,
    /// Hash of the block before; none behind a hole, whose hash is lost with it.
    pub chain: Option<Chain>,
}

/// Each part of validity by itself; a block is valid when all hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Validity {
    /// Magic, version, head CRC, sizes.
    pub head: bool,
    /// The segment's nonce.
    pub nonce: bool,
    /// The lane.
    pub lane: bool,
    /// The expected number.
    pub sequence: bool,
    /// The previous block's hash, where it is known.
    pub chain: bool,
    /// The directory adds up.
    pub directory: bool,
    /// Every batch equals its entry and its CRC.
    pub batches: bool,
    /// Padding is zero.
    pub padding: bool,
    /// The tail stamp is the head's.
    pub tail: bool,
}

impl Validity {
    /// Whether every part holds.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.head && self.nonce && self.lane && self.sequence && self.chain && self.directory && self.batches && self.padding && self.tail
    }

    /// The first part that does not hold, by name.
    #[must_use]
    pub fn first_fault(&self) -> Option<&'static str> {
        let parts = [
            (self.head, "head page"),
            (self.directory, "directory"),
            (self.nonce, "nonce"),
            (self.lane, "lane"),
            (self.sequence, "sequence"),
            (self.chain, "chain"),
            (self.batches, "batch"),
            (self.padding, "padding"),
            (self.tail, "tail stamp"),
        ];
        parts.iter().find(|(holds, _)| !holds).map(|(_, name)| *name)
    }

    /// The parts that a head page alone can show.
    #[must_use]
    pub fn of_head(head: &Head<'_>, expected: &Expected) -> Validity {
        Validity {
            head: true,
            directory: true,
            nonce: head.nonce() == expected.nonce,
            lane: head.header.lane.get() == expected.lane.0,
            sequence: head.sequence() == expected.sequence,
            chain: expected.chain.is_none_or(|chain| chain.0 == head.header.chain),
            ..Validity::default()
        }
    }
}

/// Looks at the bytes where a block should stand; a head that parses is returned with what was found.
#[must_use]
pub fn inspect<'a>(bytes: &'a [u8], expected: &Expected) -> (Validity, Option<Head<'a>>) {
    let Some(page) = bytes.first_chunk::<HEAD_BYTES>() else {
        return (Validity::default(), None);
    };
    let head = match Head::parse(page) {
        Ok(head) => head,
        Err(HeadFault::Directory) => {
            return (Validity { head: true, ..Validity::default() }, None);
        }
        Err(_) => return (Validity::default(), None),
    };
    let mut validity = Validity::of_head(&head, expected);
    match check_body(&head, bytes) {
        Ok(()) => (validity.batches, validity.padding, validity.tail) = (true, true, true),
        Err(BodyFault::Short | BodyFault::Batch { .. }) => {}
        Err(BodyFault::Padding) => validity.batches = true,
        Err(BodyFault::Tail) => (validity.batches, validity.padding) = (true, true),
    }
    (validity, Some(head))
}

/// Checks everything behind the head page: batches in order, then padding, then the tail stamp.
///
/// # Errors
/// The first thing that does not hold.
pub fn check_body(head: &Head<'_>, bytes: &[u8]) -> Result<(), BodyFault> {
    let block = bytes.get(..head.block_bytes()).ok_or(BodyFault::Short)?;
    for (index, entry) in head.entries.iter().enumerate() {
        let from = entry.offset.get() as usize;
        let content = &block[from..from + entry.length.get() as usize];
        if !holds(head, entry, content) {
            return Err(BodyFault::Batch { index });
        }
    }
    let tail_at = block.len() - TAIL_BYTES;
    if block[HEAD_BYTES + head.header.payload_bytes.get() as usize..tail_at].iter().any(|byte| *byte != 0) {
        return Err(BodyFault::Padding);
    }
    let stamp = TailStamp { sequence: head.header.sequence, epoch: head.header.epoch, nonce_low: nonce_low(head.nonce()).into() };
    if block[tail_at..] != *stamp.as_bytes() {
        return Err(BodyFault::Tail);
    }
    Ok(())
}

/// Whether the content is what its entry says, with the fields that Kafka's CRC skips.
fn holds(head: &Head<'_>, entry: &DirectoryEntry, content: &[u8]) -> bool {
    if head.is_control() {
        return checksum::crc32c(content) == entry.crc.get();
    }
    let Ok(batch) = batch::Batch::parse(content) else {
        return false;
    };
    let header = batch.header();
    header.crc.get() == entry.crc.get()
        && u64::try_from(header.base_offset.get()) == Ok(entry.base_offset.get())
        && u32::try_from(header.leader_epoch.get()) == Ok(head.header.epoch.get())
        && u32::try_from(header.record_count.get()) == Ok(entry.records.get())
}
