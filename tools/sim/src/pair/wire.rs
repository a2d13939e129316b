//! Whole frames of the real wire.

use headworks_format::Epoch;
use headworks_format::block::{HEAD_BYTES, Head};
use headworks_replicator::message::{self, ENVELOPE_BYTES, Envelope, Message, encode, encode_envelope};
use std::sync::Arc;

/// A message's frame.
pub fn frame(message: &Message<'_>) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    bytes.into()
}

/// An envelope and its block.
pub fn append(block: &[u8], lane: u32, epoch: Epoch, committed: u64) -> Arc<[u8]> {
    let page: &[u8; HEAD_BYTES] = block.first_chunk().expect("a block has a head page");
    let head = Head::parse(page).expect("a block that was proved");
    let mut bytes = Vec::with_capacity(ENVELOPE_BYTES + block.len());
    encode_envelope(&Envelope::of(&head, lane, epoch, committed), &mut bytes);
    bytes.extend_from_slice(block);
    bytes.into()
}

/// The envelope and the block of a frame that is an append.
pub fn block_of(frame: &[u8]) -> Option<(Envelope, &[u8])> {
    let envelope = message::envelope(frame).ok().flatten()?;
    Some((envelope, &frame[ENVELOPE_BYTES..]))
}

/// The message of a frame.
///
/// # Errors
/// It is none.
pub fn message(frame: &[u8]) -> Result<Message<'_>, String> {
    let next = message::next(frame).map_err(|rejected| format!("malformed: {rejected:?}"))?;
    next.map(|(message, _)| message).ok_or_else(|| "half a message".into())
}

/// The lane that a frame is for, as far as it says.
pub fn lane_of(frame: &[u8]) -> usize {
    match (block_of(frame), message(frame)) {
        (Some((envelope, _)), _) => envelope.lane as usize,
        (None, Ok(Message::Ack(ack))) => ack.lane as usize,
        (None, Ok(Message::Hello(hello))) => hello.lane.0 as usize,
        (None, Ok(Message::Welcome(welcome))) => welcome.lane.0 as usize,
        (None, _) => 0,
    }
}
