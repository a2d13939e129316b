//! What an arbiter's file says when it is opened, and what has to be mended before anything is answered from it.
//!
//! ```text
//! slot 0      slot 1        the place holds
//! blank       blank         nothing: it was never written
//! whole       equal         the register
//! whole       whole, other  the one with the higher version; the other slot is written again
//! whole       not whole     the whole one; the other slot is written again
//! not whole   not whole     damage: nothing is opened        (blank beside unreadable, too: no crash leaves that)
//! ```
//!
//! What was read may stand in a cache of the kernel or the disk only, written by a process that died before its sync. So every opening
//! ends with one, before the first answer.

use super::{Effect, Witness};
use crate::register::{RECORD_BYTES, Record, Register};
use headworks_format::witness::{FILE_BYTES, HEAD_BYTES, HEADS, Head, Identity, PLACES, VERSION, head_offset, slot_offset};
use std::fmt;

/// A file that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its registers.
    pub witness: Witness,
    /// To be done before anything is answered.
    pub repairs: Vec<Effect>,
    /// What was mended.
    pub notes: Vec<Note>,
}

/// A page that did not hold and was written again from its twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// A copy of the head.
    Head {
        /// Which.
        head: usize,
    },
    /// A slot that could not be read.
    Damaged {
        /// Of which place.
        place: usize,
        /// Which.
        slot: usize,
        /// Version of the register that the other slot holds.
        version: u64,
    },
    /// A slot with an older register: a swap was cut off behind its answer.
    Behind {
        /// Of which place.
        place: usize,
        /// Version that stands.
        version: u64,
    },
}

/// Why a file is not opened. Nothing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is no file of this kind by its size.
    Length(usize),
    /// It is of another format version.
    Version(u16),
    /// No copy of the head can be read, or they differ.
    Head,
    /// No slot of a place can be read, or they cannot be of one register.
    Place(usize),
}

/// Reads a file.
///
/// # Errors
/// It is damaged beyond what its copies can mend, or not ours.
pub fn open(bytes: &[u8]) -> Result<Opened, Fault> {
    if bytes.len() != FILE_BYTES {
        return Err(Fault::Length(bytes.len()));
    }
    let (mut repairs, mut notes) = (Vec::new(), Vec::new());
    let identity = open_heads(bytes, &mut repairs, &mut notes)?;
    let mut places = Box::new([None; PLACES]);
    for (place, register) in places.iter_mut().enumerate() {
        *register = open_place(bytes, place, &mut repairs, &mut notes)?;
    }
    repairs.push(Effect::Sync);
    Ok(Opened { witness: Witness { identity, places }, repairs, notes })
}

fn open_heads(bytes: &[u8], repairs: &mut Vec<Effect>, notes: &mut Vec<Note>) -> Result<Identity, Fault> {
    let heads: [Head; HEADS] = std::array::from_fn(|head| Head::parse(page(bytes, head_offset(head))));
    let identity = match heads {
        [Head::Version(version), _] | [_, Head::Version(version)] => return Err(Fault::Version(version)),
        [Head::Present(one), Head::Present(other)] if one != other => return Err(Fault::Head),
        [Head::Present(identity), _] | [_, Head::Present(identity)] => identity,
        [Head::Unreadable, Head::Unreadable] => return Err(Fault::Head),
    };
    for head in (0..HEADS).filter(|head| heads[*head] == Head::Unreadable) {
        repairs.push(Effect::Write { offset: head_offset(head), page: identity.encode() });
        notes.push(Note::Head { head });
    }
    Ok(identity)
}

fn open_place(bytes: &[u8], place: usize, repairs: &mut Vec<Effect>, notes: &mut Vec<Note>) -> Result<Option<Register>, Fault> {
    let slot = |slot| Record::parse(page(bytes, slot_offset(place, slot)));
    let mut mend = |slot, register: Register, note| {
        repairs.push(Effect::Write { offset: slot_offset(place, slot), page: register.encode() });
        notes.push(note);
        Ok(Some(register))
    };
    match (slot(0), slot(1)) {
        (Record::Blank, Record::Blank) => Ok(None),
        (Record::Version(version), _) | (_, Record::Version(version)) => Err(Fault::Version(version)),
        (Record::Present(one), Record::Present(other)) if one == other => Ok(Some(one)),
        (Record::Present(one), Record::Present(other)) if one.version == other.version || one.pair != other.pair => {
            Err(Fault::Place(place))
        }
        (Record::Present(one), Record::Present(other)) => {
            let (newer, slot) = if one.version > other.version { (one, 1) } else { (other, 0) };
            mend(slot, newer, Note::Behind { place, version: newer.version })
        }
        (Record::Present(whole), _) => mend(1, whole, Note::Damaged { place, slot: 1, version: whole.version }),
        (_, Record::Present(whole)) => mend(0, whole, Note::Damaged { place, slot: 0, version: whole.version }),
        (Record::Blank | Record::Unreadable, Record::Blank | Record::Unreadable) => Err(Fault::Place(place)),
    }
}

fn page(bytes: &[u8], offset: usize) -> &[u8] {
    &bytes[offset..offset + RECORD_BYTES]
}

const _: () = assert!(HEAD_BYTES == RECORD_BYTES);

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Head { head } => write!(f, "copy {head} of the head did not hold and was written again"),
            Note::Damaged { place, slot, version } => write!(
                f,
                "slot {slot} of register {place} did not hold and was written again from the other, of version {version}; if no write was \
                    cut off by a power failure, look at the disk (`dmesg`, `smartctl -a`)"
            ),
            Note::Behind { place, version } => {
                write!(
                    f,
                    "register {place}: the last swap, to version {version}, was cut off behind its first write; its second slot was written again"
                )
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Length(bytes) => write!(f, "has {bytes} bytes, a file of registers has {FILE_BYTES}"),
            Fault::Version(version) => write!(f, "has format version {version}, this release reads version {VERSION}"),
            Fault::Head => write!(f, "neither copy of its head can be trusted"),
            Fault::Place(place) => write!(f, "neither slot of register {place} can be trusted"),
        }
    }
}
