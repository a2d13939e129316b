//! The file of an arbiter: who it is, and places for registers.
//!
//! ```text
//! 0        4 KiB     8 KiB                 8 KiB + 8 KiB × place
//! │ head 0 │ head 1 │ place 0: slot 0 │ slot 1 │ place 1: slot 0 │ slot 1 │ …  64 places
//! ```
//!
//! The heads are equal and never change: whoever formats the file draws its identity. Both slots of a place hold the same record
//! ([`crate::register`]) but while it changes. It refuses nothing by itself: what a file means is the arbiter's to say.

use crate::checksum;
use crate::register::RECORD_BYTES;
use zerocopy::{
    FromBytes, FromZeros, IntoBytes,
    little_endian::{U16, U32, U64, U128},
};

/// Bytes of a head.
pub const HEAD_BYTES: usize = 4096;
/// Heads of a file.
pub const HEADS: usize = 2;
/// Places of a file, each for the register of one pair.
pub const PLACES: usize = 64;
/// Slots of a place.
pub const SLOTS: usize = 2;
/// Bytes of a file.
pub const FILE_BYTES: usize = HEADS * HEAD_BYTES + PLACES * SLOTS * RECORD_BYTES;
/// "HWWITNS1", little-endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HWWITNS1");
/// Version of the file's format.
pub const VERSION: u16 = 1;

layout!(
    /// One head of the file.
    WitnessHead, HEAD_BYTES, {
    magic: U64 = "\"HWWITNS1\"",
    version: U16 = "1",
    places: U16 = "places for registers, 64",
    crc: U32 = "CRC-32C of the head without this field",
    incarnation: U128 = "identity of the file, drawn when it was formatted; not 0",
    created_ns: U64 = "nanoseconds since 1970 of the format",
    reserved: [u8; 4056] = "0",
});

/// What the file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Of the file; not 0.
    pub incarnation: u128,
    /// Nanoseconds since 1970 of the format.
    pub created_ns: u64,
}

/// What a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Whole.
    Present(Identity),
    /// Written by a release with another format version.
    Version(u16),
    /// Torn, rotten, blank, or of no such file.
    Unreadable,
}

/// Where a head begins.
#[must_use]
pub fn head_offset(head: usize) -> usize {
    head * HEAD_BYTES
}

/// Where a slot begins.
#[must_use]
pub fn slot_offset(place: usize, slot: usize) -> usize {
    HEADS * HEAD_BYTES + (place * SLOTS + slot) * RECORD_BYTES
}

impl Identity {
    /// A head's bytes.
    #[must_use]
    pub fn encode(&self) -> Box<[u8; HEAD_BYTES]> {
        assert!(self.incarnation != 0, "no identity: {self:?}");
        let mut head = WitnessHead::new_zeroed();
        head.magic = MAGIC.into();
        head.version = VERSION.into();
        head.places = u16::try_from(PLACES).expect("64 places").into();
        head.incarnation = self.incarnation.into();
        head.created_ns = self.created_ns.into();
        head.crc = head_crc(&head).into();
        let mut bytes = Box::new([0; HEAD_BYTES]);
        bytes.copy_from_slice(head.as_bytes());
        bytes
    }
}

impl Head {
    /// Reads one head; the bytes may be more or fewer than a head's.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Head {
        let Ok((head, _)) = WitnessHead::ref_from_prefix(bytes) else { return Head::Unreadable };
        if head.magic.get() != MAGIC || head.crc.get() != head_crc(head) {
            return Head::Unreadable;
        }
        if head.version.get() != VERSION {
            return Head::Version(head.version.get());
        }
        let identity = Identity { incarnation: head.incarnation.get(), created_ns: head.created_ns.get() };
        let possible = identity.incarnation != 0 && usize::from(head.places.get()) == PLACES;
        if possible { Head::Present(identity) } else { Head::Unreadable }
    }
}

fn head_crc(head: &WitnessHead) -> u32 {
    const CRC_AT: usize = core::mem::offset_of!(WitnessHead, crc);
    let bytes = head.as_bytes();
    checksum::crc32c_of(&[&bytes[..CRC_AT], &bytes[CRC_AT + 4..]])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const IDENTITY: Identity = Identity { incarnation: 66, created_ns: 77 };

    #[test]
    fn a_head_reads_back_and_every_byte_of_it_is_covered() {
        let mut bytes = IDENTITY.encode();
        assert_eq!(Head::parse(&bytes[..]), Head::Present(IDENTITY));
        for at in 0..HEAD_BYTES {
            bytes[at] ^= 0x40;
            assert_eq!(Head::parse(&bytes[..]), Head::Unreadable, "byte {at} flipped");
            bytes[at] ^= 0x40;
        }
        assert_eq!(Head::parse(&bytes[..HEAD_BYTES - 1]), Head::Unreadable);
        assert_eq!(Head::parse(&[0; HEAD_BYTES]), Head::Unreadable);
    }

    #[test]
    fn another_version_is_named_and_an_impossible_head_is_none() {
        let resummed = |change: fn(&mut WitnessHead)| {
            let mut bytes = IDENTITY.encode();
            let (head, _) = WitnessHead::mut_from_prefix(&mut bytes[..]).expect("a head's bytes");
            change(head);
            head.crc = head_crc(head).into();
            Head::parse(&bytes[..])
        };
        assert_eq!(resummed(|head| head.version = 2.into()), Head::Version(2));
        assert_eq!(resummed(|head| head.places = 63.into()), Head::Unreadable);
        assert_eq!(resummed(|head| head.incarnation = 0.into()), Head::Unreadable);
    }

    #[test]
    fn slots_fill_the_file() {
        assert_eq!(slot_offset(0, 0), HEADS * HEAD_BYTES);
        assert_eq!(slot_offset(PLACES - 1, SLOTS - 1) + RECORD_BYTES, FILE_BYTES);
    }
}
