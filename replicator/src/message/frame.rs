//! Frames: where one message ends and the next begins, and that it came as it was sent.

use super::body::{Reader, read_envelope, read_message, write_envelope, write_message};
use super::{ENVELOPE_BYTES, Envelope, FRAME_BYTES_MAX, Message};
use headworks_format::checksum;

/// Bytes before a body: length, kind, crc.
pub const FRAME_HEAD_BYTES: usize = 9;
/// Bytes of the length field, which does not count itself.
pub(crate) const LENGTH_BYTES: usize = 4;
/// Kind and crc, which the length counts.
const LENGTH_MIN: usize = FRAME_HEAD_BYTES - LENGTH_BYTES;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A frame shorter than its head or longer than any message.
    Length,
    /// Its sum does not fit.
    Sum,
    /// No message of that kind.
    Kind,
    /// The body ends before what it should hold.
    Ends,
    /// Bytes are left behind what it holds.
    Rest,
    /// A number, a text or a list is beyond its limit, or out of order.
    Limit(&'static str),
}

/// Bytes that are no message: what is wrong, and at which byte of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// What is wrong.
    pub reason: Reason,
    /// At which byte, from the frame's first.
    pub position: usize,
}

/// The head of a frame whose first bytes are there.
pub(crate) struct Head {
    /// Bytes of the whole frame.
    pub frame_bytes: usize,
    pub kind: u8,
    crc: u32,
}

/// Appends the message's frame to `out`.
///
/// Panics on a text, list or block beyond its limit, which their types or configuration refuse earlier.
pub fn encode(message: &Message<'_>, out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    let kind = write_message(message, out);
    let frame_bytes = out.len() - from;
    let summed = if kind == KIND_APPEND { ENVELOPE_BYTES } else { frame_bytes };
    close(&mut out[from..from + summed], kind, frame_bytes - summed, FRAME_BYTES_MAX);
}

/// Appends the frame of an Append up to its block, which the caller sends from where it lies.
pub fn encode_envelope(envelope: &Envelope, out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    write_envelope(envelope, out);
    close(&mut out[from..], KIND_APPEND, envelope.block_bytes as usize, FRAME_BYTES_MAX);
}

/// The kind whose block the sum does not cover.
pub(super) const KIND_APPEND: u8 = 3;

/// Writes the head of a frame of which `behind` bytes are not here.
pub(crate) fn close(frame: &mut [u8], kind: u8, behind: usize, frame_bytes_max: usize) {
    let frame_bytes = frame.len() + behind;
    assert!(frame_bytes <= frame_bytes_max, "a frame of {frame_bytes} B, at most {frame_bytes_max}");
    let length = u32::try_from(frame_bytes - LENGTH_BYTES).expect("no frame has 4 GiB");
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    frame[LENGTH_BYTES] = kind;
    let crc = sum(frame);
    frame[LENGTH_BYTES + 1..FRAME_HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
}

fn sum(frame: &[u8]) -> u32 {
    checksum::crc32c_of(&[&frame[..=LENGTH_BYTES], &frame[FRAME_HEAD_BYTES..]])
}

/// The first message of `bytes` and the bytes that its frame takes; none when more have to come.
///
/// # Errors
/// The bytes are no message, whatever comes behind them: the connection is of no more use.
pub fn next(bytes: &[u8]) -> Result<Option<(Message<'_>, usize)>, Rejected> {
    let Some(head) = head(bytes, FRAME_BYTES_MAX)? else { return Ok(None) };
    let Some(frame) = bytes.get(..head.frame_bytes) else { return Ok(None) };
    let summed = if head.kind == KIND_APPEND { envelope_bytes(frame)? } else { frame };
    check_sum(summed, &head)?;
    let mut reader = Reader::new(frame, FRAME_HEAD_BYTES);
    let message = read_message(head.kind, &mut reader)?;
    reader.finish()?;
    Ok(Some((message, head.frame_bytes)))
}

/// The envelope that `bytes` begin with; none when more have to come, or when they begin with another message. The block is
/// the `block_bytes` behind the first [`ENVELOPE_BYTES`].
///
/// # Errors
/// As [`next`].
pub fn envelope(bytes: &[u8]) -> Result<Option<Envelope>, Rejected> {
    let Some(head) = head(bytes, FRAME_BYTES_MAX)?.filter(|head| head.kind == KIND_APPEND) else { return Ok(None) };
    let Some(here) = bytes.get(..ENVELOPE_BYTES) else { return Ok(None) };
    check_sum(here, &head)?;
    let envelope = read_envelope(&mut Reader::new(here, FRAME_HEAD_BYTES))?;
    let announced = ENVELOPE_BYTES + envelope.block_bytes as usize;
    if announced != head.frame_bytes {
        return Err(Rejected { reason: if announced > head.frame_bytes { Reason::Ends } else { Reason::Rest }, position: ENVELOPE_BYTES });
    }
    Ok(Some(envelope))
}

/// What the sum of an Append covers.
fn envelope_bytes(frame: &[u8]) -> Result<&[u8], Rejected> {
    frame.get(..ENVELOPE_BYTES).ok_or(Rejected { reason: Reason::Ends, position: frame.len() })
}

/// A length is refused as soon as it is there, so that nobody waits for, or makes room for, what is only announced.
pub(crate) fn head(bytes: &[u8], frame_bytes_max: usize) -> Result<Option<Head>, Rejected> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if !(LENGTH_MIN..=frame_bytes_max - LENGTH_BYTES).contains(&length) {
        return Err(Rejected { reason: Reason::Length, position: 0 });
    }
    let Some(head) = bytes.first_chunk::<FRAME_HEAD_BYTES>() else { return Ok(None) };
    let [_, _, _, _, kind, crc @ ..] = *head;
    Ok(Some(Head { frame_bytes: LENGTH_BYTES + length, kind, crc: u32::from_le_bytes(crc) }))
}

pub(crate) fn check_sum(summed: &[u8], head: &Head) -> Result<(), Rejected> {
    if sum(summed) == head.crc {
        return Ok(());
    }
    Err(Rejected { reason: Reason::Sum, position: LENGTH_BYTES + 1 })
}
