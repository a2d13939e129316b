//! The payload of a generated packet: who sent it, which one it is, when it should have left, and a
//! checksum over all of it.
//!
//! Independent of the transport: a UDP datagram, a framed record or a produced value is these same
//! bytes. All integers are little-endian; every byte is covered by the checksum.
//!
//! ```text
//!  0        8        16     20       24         32           40        44            size-4  size
//!  | magic  | run    | size | source | sequence | intended   | version | filler …    | CRC-32C |
//!  | 8 B    | u64    | u32  | u32    | u64      | u64, ns    | u32     | size - 48 B | u32     |
//! ```
//!
//! The filler is the same in all packets of a run, made from the run's seed: the sender patches
//! twenty bytes of header and the checksum in place and never copies a payload, and the reader knows
//! every byte it must find. The checksum stands last so that one pass over what is before it makes
//! it; magic first, so that what is not ours is told apart by eight bytes.
//!
//! Where records end with a newline a packet travels as lower-case hex, since its bytes could be newlines: twice its size.
//!
//! Refused: nothing is guessed. Bytes with our magic that are damaged in any way are `Corrupt` and
//! say how; they are never taken for somebody else's.

use crc_fast::crc32_iscsi;

#[cfg(test)]
mod tests;

/// First bytes of every generated packet.
pub const MAGIC: [u8; 8] = *b"HWLOAD\r\n";

/// Layout described above.
pub const VERSION: u32 = 1;

/// Bytes of header and checksum: the smallest packet.
pub const PACKET_BYTES_MIN: usize = HEADER_BYTES + CHECKSUM_BYTES;

/// The largest payload of an IPv4 datagram: 65,535 less 20 of IP and 8 of UDP.
pub const PACKET_BYTES_MAX: usize = 65_507;

const HEADER_BYTES: usize = 44;
const CHECKSUM_BYTES: usize = 4;
const _: () = assert!(PACKET_BYTES_MIN == 48 && PACKET_BYTES_MIN <= PACKET_BYTES_MAX);

/// What tells one packet from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The run of the generator.
    pub run: u64,
    /// The flow within the run, from 0.
    pub source: u32,
    /// Position within the source, dense from the first.
    pub sequence: u64,
    /// When the schedule wanted it sent, nanoseconds since 1970.
    pub intended_ns: u64,
}

/// What bytes read back turn out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A whole packet, as it was sent.
    Intact(Stamp),
    /// Bytes that begin with our magic and are not what any generator sent.
    Corrupt(Damage),
    /// Not a generated packet.
    Foreign,
}

/// What is wrong with a corrupt packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Shorter than header and checksum.
    Short,
    /// The length is not the one the header states.
    Length,
    /// A layout that no generator writes.
    Version,
    /// The checksum does not match the bytes.
    Checksum,
    /// The checksum matches, the filler is not this run's.
    Filler,
    /// It began as one of ours in hex, and is not hex.
    Hex,
}

/// The bytes that all packets of one run share.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    run: u64,
}

impl Template {
    /// A packet of `size` bytes of the run with everything but source, sequence, time and checksum.
    ///
    /// # Panics
    /// `size` is outside of [`PACKET_BYTES_MIN`] to [`PACKET_BYTES_MAX`].
    pub fn new(run: u64, seed: u64, size: usize) -> Self {
        assert!(
            (PACKET_BYTES_MIN..=PACKET_BYTES_MAX).contains(&size),
            "a packet of {size} bytes, must be {PACKET_BYTES_MIN} to {PACKET_BYTES_MAX}"
        );
        let mut bytes = vec![0; size];
        let stated = u32::try_from(size).expect("65,507 at most, asserted above");
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&run.to_le_bytes());
        bytes[16..20].copy_from_slice(&stated.to_le_bytes());
        bytes[40..44].copy_from_slice(&VERSION.to_le_bytes());
        fill(&mut bytes[HEADER_BYTES..size - CHECKSUM_BYTES], seed);
        Self { bytes, run }
    }

    /// The bytes to copy once into a buffer that [`stamp`] then patches.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads a packet back. Packets of other runs are checked too, all but their filler.
    pub fn read(&self, bytes: &[u8]) -> Reading {
        match read(bytes) {
            Reading::Intact(stamp) if stamp.run == self.run && !self.matches(bytes) => Reading::Corrupt(Damage::Filler),
            reading => reading,
        }
    }

    /// Reads back a packet that travelled as hex.
    pub fn read_hex(&self, text: &[u8], bytes: &mut Vec<u8>) -> Reading {
        match from_hex(text, bytes) {
            true => self.read(bytes),
            false if bytes.starts_with(&MAGIC) => Reading::Corrupt(Damage::Hex),
            false => Reading::Foreign,
        }
    }

    /// Whether size and filler are those of this run.
    fn matches(&self, bytes: &[u8]) -> bool {
        let middle = HEADER_BYTES..self.bytes.len() - CHECKSUM_BYTES;
        bytes.len() == self.bytes.len() && bytes[middle.clone()] == self.bytes[middle]
    }
}

/// Patches a copy of a [`Template`] into one packet: source, sequence, intended time, checksum.
///
/// # Panics
/// `packet` is shorter than header and checksum.
pub fn stamp(packet: &mut [u8], source: u32, sequence: u64, intended_ns: u64) {
    packet[20..24].copy_from_slice(&source.to_le_bytes());
    packet[24..32].copy_from_slice(&sequence.to_le_bytes());
    packet[32..40].copy_from_slice(&intended_ns.to_le_bytes());
    let (covered, checksum) = packet.split_at_mut(packet.len() - CHECKSUM_BYTES);
    checksum.copy_from_slice(&crc32_iscsi(covered).to_le_bytes());
}

/// Reads what any generator may have sent, without knowing the run.
pub fn read(bytes: &[u8]) -> Reading {
    if !bytes.starts_with(&MAGIC) {
        return Reading::Foreign;
    }
    if bytes.len() < PACKET_BYTES_MIN {
        return Reading::Corrupt(Damage::Short);
    }
    if usize::try_from(u32_at(bytes, 16)) != Ok(bytes.len()) {
        return Reading::Corrupt(Damage::Length);
    }
    let covered = bytes.len() - CHECKSUM_BYTES;
    if crc32_iscsi(&bytes[..covered]) != u32_at(bytes, covered) {
        return Reading::Corrupt(Damage::Checksum);
    }
    if u32_at(bytes, 40) != VERSION {
        return Reading::Corrupt(Damage::Version);
    }
    Reading::Intact(Stamp { run: u64_at(bytes, 8), source: u32_at(bytes, 20), sequence: u64_at(bytes, 24), intended_ns: u64_at(bytes, 32) })
}

/// Bytes that depend on the seed and on nothing else (splitmix64, of which every state is good).
fn fill(bytes: &mut [u8], seed: u64) {
    let mut state = seed;
    for word in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        word.copy_from_slice(&mixed.to_le_bytes()[..word.len()]);
    }
}

/// Adds the bytes to the text, two digits each.
pub fn to_hex(bytes: &[u8], text: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xF)]]));
}

/// Reads digits up to the first that is none; whether all of the text was such, in pairs.
fn from_hex(text: &[u8], bytes: &mut Vec<u8>) -> bool {
    bytes.clear();
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    for [high, low] in pairs {
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return false };
        bytes.push(high << 4 | low);
    }
    rest.is_empty()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes, as sliced"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes, as sliced"))
}
