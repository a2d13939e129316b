//! The superblock: who this directory is. Four copies of one page in one file; two must agree to open.
//!
//! A change is written in two [`HALVES`], each followed by an fdatasync: while one half may be torn, the other holds two
//! whole copies, of the old state or of the new one. That argument needs four equal copies to begin with, and a crash
//! leaves less: after a torn *second* half only copies 0 and 1 are whole, and they are what the next change would write
//! first. So whoever opens the file first rewrites, with the state that was found, the copies that [`differing`] names,
//! and syncs; the two that agree are not touched by that.
//!
//! ```text
//!   old old │ old old     write 0, 1    ~   ~  │ old old     die here: old
//!   new new │ old old     write 2, 3    new new │ ~   ~      die here: new
//!   new new │ new new
//! ```
//!
//! On one node the superblock is also the register: every start takes epoch + 1 and persists it here before anything
//! is appended.

use crate::units::EPOCH_MAX;
use crate::{Epoch, PairId, checksum};
use zerocopy::{
    FromBytes, FromZeros, IntoBytes,
    little_endian::{U16, U32, U64, U128},
};

/// Bytes of a copy.
pub const COPY_BYTES: usize = 4096;
/// Copies in the file.
pub const COPIES: usize = 4;
/// Bytes of the file.
pub const FILE_BYTES: usize = COPY_BYTES * COPIES;
/// Copies that must agree.
pub const QUORUM: usize = 2;
/// Copies in the order in which a change is written, with an fdatasync after each half.
pub const HALVES: [[usize; 2]; 2] = [[0, 1], [2, 3]];
/// Name of the file in the data directory.
pub const FILE_NAME: &str = "superblock";
/// "HWSUPER1", little-endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HWSUPER1");
/// Version of the on-disk format as a whole.
pub const VERSION: u16 = 1;
/// Lanes that a node can have.
pub const LANES_MAX: usize = 64;
/// Bytes of a node's name.
pub const NAME_BYTES_MAX: usize = 64;
/// Intervals in which nobody listened, newest last.
pub const UNOBSERVED_MAX: usize = 16;

layout!(
    /// One copy of the superblock.
    SuperblockPage, COPY_BYTES, {
    magic: U64 = "\"HWSUPER1\"",
    version: U16 = "1",
    flags: U16 = "bit 0: needs repair; bit 1: stopped cleanly",
    crc: U32 = "CRC-32C of the copy without this field",
    generation: U64 = "counts the writes; the highest generation that two copies agree on is the state",
    pair_id: U128 = "identity that both nodes of a pair share; random at format",
    node_id: U128 = "identity of this node; random at format",
    incarnation: U128 = "identity of this disk; random at format",
    lanes: U32 = "number of lanes, fixed at first start",
    promised_epoch: U32 = "highest epoch ever answered or taken, below 2³¹",
    last_epoch: U32 = "epoch of the last start, at most `promised_epoch`",
    name_bytes: U32 = "bytes of the node's name",
    segment_bytes: U64 = "size of a segment, fixed at first start",
    register_version: U64 = "version of the arbiter's register last seen (0 on one node)",
    created_ns: U64 = "nanoseconds since 1970 of the format",
    name: [u8; NAME_BYTES_MAX] = "the node's name, UTF-8",
    last_epoch_start: [U64; LANES_MAX] = "sequence at which the last epoch began, by lane",
    unobserved: [U64; 2 * UNOBSERVED_MAX] = "pairs {from, to} of ns since 1970 in which nobody listened; zero: unused",
    arbiter: U128 = "identity of the arbiter that the register is kept by (0: none known)",
    reserved: [u8; 3136] = "zero",
});

/// The state of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Counts the writes.
    pub generation: u64,
    /// Identity of the pair.
    pub pair: PairId,
    /// Identity of this node.
    pub node_id: u128,
    /// Identity of this disk.
    pub incarnation: u128,
    /// The node's name, at most 64 bytes.
    pub name: String,
    /// Lanes.
    pub lanes: u32,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Highest epoch ever answered or taken.
    pub promised_epoch: Epoch,
    /// Epoch of the last start.
    pub last_epoch: Epoch,
    /// Where it began, one number a lane.
    pub last_epoch_start: Vec<u64>,
    /// Whether the disk failed or a hole is pending.
    pub needs_repair: bool,
    /// Whether the last run drained before it stopped.
    pub stopped_cleanly: bool,
    /// Register version last seen.
    pub register_version: u64,
    /// The arbiter that keeps the register; 0 for none.
    pub arbiter: u128,
    /// Nanoseconds since 1970.
    pub created_ns: u64,
    /// Intervals {from, to} in ns since 1970 in which nobody listened, at most 16, newest last.
    pub unobserved: Vec<(u64, u64)>,
}

/// What a copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copy {
    /// Never written.
    Blank,
    /// Whole.
    Present(Superblock),
    /// Written by a release with another format version.
    Version(u16),
    /// Torn or rotten.
    Unreadable,
}

/// Why no state can be taken from four copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenFault {
    /// All copies are blank: a directory that was never formatted.
    Blank,
    /// Written by another format version.
    Version(u16),
    /// No two copies agree; how many are whole.
    Damaged {
        /// Copies that are whole by themselves.
        whole: usize,
    },
}

impl Superblock {
    /// Adds an interval in which nobody listened, forgetting the oldest beyond the limit.
    pub fn add_unobserved(&mut self, from_ns: u64, to_ns: u64) {
        self.unobserved.push((from_ns, to_ns));
        let excess = self.unobserved.len().saturating_sub(UNOBSERVED_MAX);
        self.unobserved.drain(..excess);
    }

    /// The bytes of one copy.
    ///
    /// Panics on a name, lane count or history beyond its limit, which configuration refuses earlier.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let lanes = self.lanes as usize;
        assert!(self.name.len() <= NAME_BYTES_MAX, "name of {} B, at most {NAME_BYTES_MAX}", self.name.len());
        assert!(
            (1..=LANES_MAX).contains(&lanes) && self.last_epoch_start.len() == lanes,
            "{lanes} lanes, {} starts, 1 to {LANES_MAX}",
            self.last_epoch_start.len()
        );
        assert!(self.unobserved.len() <= UNOBSERVED_MAX, "{} intervals unobserved, at most {UNOBSERVED_MAX}", self.unobserved.len());
        let mut page = SuperblockPage::new_zeroed();
        page.magic = MAGIC.into();
        page.version = VERSION.into();
        page.flags = (u16::from(self.needs_repair) | u16::from(self.stopped_cleanly) << 1).into();
        page.generation = self.generation.into();
        page.pair_id = self.pair.0.into();
        page.node_id = self.node_id.into();
        page.incarnation = self.incarnation.into();
        page.lanes = self.lanes.into();
        page.promised_epoch = self.promised_epoch.0.into();
        page.last_epoch = self.last_epoch.0.into();
        page.name_bytes = u32::try_from(self.name.len()).expect("checked above").into();
        page.segment_bytes = self.segment_bytes.into();
        page.register_version = self.register_version.into();
        page.arbiter = self.arbiter.into();
        page.created_ns = self.created_ns.into();
        page.name[..self.name.len()].copy_from_slice(self.name.as_bytes());
        page.last_epoch_start.iter_mut().zip(&self.last_epoch_start).for_each(|(to, from)| *to = (*from).into());
        for (pair, (from, to)) in page.unobserved.chunks_exact_mut(2).zip(&self.unobserved) {
            (pair[0], pair[1]) = ((*from).into(), (*to).into());
        }
        page.crc = page_crc(&page).into();
        page.as_bytes().to_vec()
    }

    fn decode(page: &SuperblockPage) -> Option<Superblock> {
        let lanes = page.lanes.get() as usize;
        let name = page.name.get(..page.name_bytes.get() as usize)?;
        let (promised, last) = (page.promised_epoch.get(), page.last_epoch.get());
        if lanes == 0 || lanes > LANES_MAX || promised > EPOCH_MAX.0 || last > promised {
            return None;
        }
        Some(Superblock {
            generation: page.generation.get(),
            pair: PairId(page.pair_id.get()),
            node_id: page.node_id.get(),
            incarnation: page.incarnation.get(),
            name: core::str::from_utf8(name).ok()?.to_owned(),
            lanes: page.lanes.get(),
            segment_bytes: page.segment_bytes.get(),
            promised_epoch: Epoch(promised),
            last_epoch: Epoch(last),
            last_epoch_start: page.last_epoch_start[..lanes].iter().map(|start| start.get()).collect(),
            needs_repair: page.flags.get() & 1 != 0,
            stopped_cleanly: page.flags.get() & 2 != 0,
            register_version: page.register_version.get(),
            arbiter: page.arbiter.get(),
            created_ns: page.created_ns.get(),
            unobserved: page.unobserved.chunks_exact(2).map(|pair| (pair[0].get(), pair[1].get())).filter(|pair| pair.1 != 0).collect(),
        })
    }
}

impl Copy {
    /// Reads one copy.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Copy {
        if bytes.iter().all(|byte| *byte == 0) {
            return Copy::Blank;
        }
        let Ok((page, _)) = SuperblockPage::ref_from_prefix(bytes) else {
            return Copy::Unreadable;
        };
        if page.magic.get() != MAGIC || page.crc.get() != page_crc(page) {
            return Copy::Unreadable;
        }
        if page.version.get() != VERSION {
            return Copy::Version(page.version.get());
        }
        Superblock::decode(page).map_or(Copy::Unreadable, Copy::Present)
    }
}

/// The state that at least two copies agree on, the newest if there are two such.
///
/// # Errors
/// Says whether the directory is blank, of another version, or damaged.
pub fn open(file: &[u8]) -> Result<Superblock, OpenFault> {
    let copies: Vec<Copy> = file.chunks(COPY_BYTES).take(COPIES).map(Copy::parse).collect();
    let agreed = copies
        .iter()
        .filter_map(|copy| match copy {
            Copy::Present(state) if copies.iter().filter(|other| *other == copy).count() >= QUORUM => Some(state),
            _ => None,
        })
        .max_by_key(|state| state.generation);
    if let Some(state) = agreed {
        return Ok(state.clone());
    }
    let versions = copies.iter().find_map(|copy| if let Copy::Version(version) = copy { Some(*version) } else { None });
    match versions {
        Some(version) => Err(OpenFault::Version(version)),
        None if copies.iter().all(|copy| *copy == Copy::Blank) => Err(OpenFault::Blank),
        None => Err(OpenFault::Damaged { whole: copies.iter().filter(|copy| matches!(copy, Copy::Present(_))).count() }),
    }
}

/// The copies of `file` that are not `state`: to be rewritten with it, and synced, before the first change.
///
/// Not one of the copies that made [`open`] agree is among them, so a crash meanwhile costs nothing.
#[must_use]
pub fn differing(file: &[u8], state: &Superblock) -> Vec<usize> {
    let holds = |index: &usize| {
        let from = index * COPY_BYTES;
        file.get(from..from + COPY_BYTES).is_some_and(|copy| matches!(Copy::parse(copy), Copy::Present(found) if found == *state))
    };
    (0..COPIES).filter(|index| !holds(index)).collect()
}

fn page_crc(page: &SuperblockPage) -> u32 {
    const CRC_AT: usize = core::mem::offset_of!(SuperblockPage, crc);
    let bytes = page.as_bytes();
    checksum::crc32c_of(&[&bytes[..CRC_AT], &bytes[CRC_AT + 4..]])
}

#[cfg(test)]
pub(crate) mod tests;
