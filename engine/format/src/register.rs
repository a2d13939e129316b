//! The register of a pair, as an arbiter keeps it and as it travels: who is primary, in which epoch, with whom in sync.
//!
//! One record of 4 KiB. An arbiter that keeps it in a file has two places for it and writes them in turn; the whole record
//! with the highest version counts, so a torn write costs the change that was never answered and nothing else.
//!
//! It refuses what no pair can be: an epoch that is no leader epoch, lanes beyond the limit, a standby that is the primary.

use crate::superblock::LANES_MAX;
use crate::units::EPOCH_MAX;
use crate::{Epoch, PairId, checksum};
use zerocopy::{
    FromBytes, FromZeros, IntoBytes,
    little_endian::{U16, U32, U64, U128},
};

/// Bytes of a record.
pub const RECORD_BYTES: usize = 4096;
/// "HWREGIS1", little-endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HWREGIS1");
/// Version of the record's format.
pub const VERSION: u16 = 1;

layout!(
    /// One record of the register.
    RegisterRecord, RECORD_BYTES, {
    magic: U64 = "\"HWREGIS1\"",
    version: U16 = "1",
    mode: U16 = "0 automatic, 1 manual, 2 frozen, 3 manual and left alone by the operator",
    crc: U32 = "CRC-32C of the record without this field",
    register_version: U64 = "counts the swaps; what a swap must name, from 1",
    pair_id: U128 = "identity that both nodes of the pair share",
    primary_node: U128 = "identity of the primary",
    primary_incarnation: U128 = "identity of the primary's disk",
    standby_node: U128 = "identity of the other member in sync; 0 when the primary is alone",
    standby_incarnation: U128 = "identity of that member's disk; 0 when the primary is alone",
    segment_bytes: U64 = "size of a segment, equal on both nodes",
    epoch: U32 = "epoch of the primary, 1 to 2³¹ − 1",
    lanes: U32 = "number of lanes, equal on both nodes",
    reserved: [u8; 3976] = "0",
});

/// A node with a disk: one whose disk is new is another member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Member {
    /// Identity of the node, not 0.
    pub node: u128,
    /// Identity of its disk, not 0.
    pub incarnation: u128,
}

/// Who may change the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// The nodes, by themselves.
    Auto,
    /// An operator; the nodes keep both copies or wait.
    Manual,
    /// An operator, who has vouched that the other node is fenced: the primary commits alone until another is in sync.
    Vouched,
    /// Nobody: an operator looks into it.
    Frozen,
}

/// What the register says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Register {
    /// Counts the swaps, from 1; 0 is a register that was never written, which is no [`Register`].
    pub version: u64,
    /// Identity of the pair.
    pub pair: PairId,
    /// Lanes of each node.
    pub lanes: u32,
    /// Size of a segment on each node.
    pub segment_bytes: u64,
    /// Fencing epoch of the primary.
    pub epoch: Epoch,
    /// Who sequences.
    pub primary: Member,
    /// The other member in sync, without whom nothing is committed.
    pub standby: Option<Member>,
    /// Who may change it.
    pub mode: Mode,
}

/// What a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Never written.
    Blank,
    /// Whole.
    Present(Register),
    /// Written by a release with another format version.
    Version(u16),
    /// Torn or rotten, or of no register.
    Unreadable,
}

impl Register {
    /// Whether the member holds every committed record by what is registered.
    #[must_use]
    pub fn in_sync(&self, member: Member) -> bool {
        self.primary == member || self.standby == Some(member)
    }

    /// The record's bytes.
    ///
    /// Panics on what [`Record::parse`] would refuse: whoever makes a register knows its members and limits.
    #[must_use]
    pub fn encode(&self) -> Box<[u8; RECORD_BYTES]> {
        assert!(self.is_possible(), "no register: {self:?}");
        let mut record = RegisterRecord::new_zeroed();
        record.magic = MAGIC.into();
        record.version = VERSION.into();
        record.mode = mode_number(self.mode).into();
        record.register_version = self.version.into();
        record.pair_id = self.pair.0.into();
        record.primary_node = self.primary.node.into();
        record.primary_incarnation = self.primary.incarnation.into();
        record.standby_node = self.standby.map_or(0, |standby| standby.node).into();
        record.standby_incarnation = self.standby.map_or(0, |standby| standby.incarnation).into();
        record.segment_bytes = self.segment_bytes.into();
        record.epoch = self.epoch.0.into();
        record.lanes = self.lanes.into();
        record.crc = record_crc(&record).into();
        let mut bytes = Box::new([0; RECORD_BYTES]);
        bytes.copy_from_slice(record.as_bytes());
        bytes
    }

    fn decode(record: &RegisterRecord) -> Option<Register> {
        let standby = Member { node: record.standby_node.get(), incarnation: record.standby_incarnation.get() };
        let register = Register {
            version: record.register_version.get(),
            pair: PairId(record.pair_id.get()),
            lanes: record.lanes.get(),
            segment_bytes: record.segment_bytes.get(),
            epoch: Epoch(record.epoch.get()),
            primary: Member { node: record.primary_node.get(), incarnation: record.primary_incarnation.get() },
            standby: Some(standby).filter(|standby| standby.node != 0 || standby.incarnation != 0),
            mode: mode_of(record.mode.get())?,
        };
        Some(register).filter(Register::is_possible)
    }

    fn is_possible(&self) -> bool {
        let is_member = |member: Member| member.node != 0 && member.incarnation != 0;
        self.version > 0
            && (1..=EPOCH_MAX.0).contains(&self.epoch.0)
            && (1..=LANES_MAX).contains(&(self.lanes as usize))
            && is_member(self.primary)
            && self.standby.is_none_or(|standby| is_member(standby) && standby.node != self.primary.node)
    }
}

impl Record {
    /// Reads one record; the bytes may be more or fewer than a record's.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Record {
        if bytes.iter().take(RECORD_BYTES).all(|byte| *byte == 0) {
            return Record::Blank;
        }
        let Ok((record, _)) = RegisterRecord::ref_from_prefix(bytes) else {
            return Record::Unreadable;
        };
        if record.magic.get() != MAGIC || record.crc.get() != record_crc(record) {
            return Record::Unreadable;
        }
        if record.version.get() != VERSION {
            return Record::Version(record.version.get());
        }
        Register::decode(record).map_or(Record::Unreadable, Record::Present)
    }
}

fn mode_number(mode: Mode) -> u16 {
    match mode {
        Mode::Auto => 0,
        Mode::Manual => 1,
        Mode::Frozen => 2,
        Mode::Vouched => 3,
    }
}

fn mode_of(number: u16) -> Option<Mode> {
    [Mode::Auto, Mode::Manual, Mode::Frozen, Mode::Vouched].into_iter().find(|mode| mode_number(*mode) == number)
}

fn record_crc(record: &RegisterRecord) -> u32 {
    const CRC_AT: usize = core::mem::offset_of!(RegisterRecord, crc);
    let bytes = record.as_bytes();
    checksum::crc32c_of(&[&bytes[..CRC_AT], &bytes[CRC_AT + 4..]])
}

#[cfg(test)]
pub(crate) mod tests;
