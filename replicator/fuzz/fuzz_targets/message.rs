//! Messages of the other node under the fuzzer: whatever the bytes, decoding neither panics nor makes anything, and what was
//! understood is written again byte for byte.
//!
//! `cargo xtask fuzz message`. Input: │ kind, 1 B │ body │, behind a head with a right length and sum, so that bodies are
//! reached at all; then the same bytes as they are.

#![no_main]

use headworks_replicator::message::{self, Message};
use libfuzzer_sys::fuzz_target;

fn check(bytes: &[u8]) {
    let envelope = message::envelope(bytes);
    let Ok(Some((message, frame_bytes))) = message::next(bytes) else { return };
    let mut again = Vec::new();
    message::encode(&message, &mut again);
    assert_eq!(again, bytes[..frame_bytes], "{message:?} is written in another way than it was read");
    if let Message::Append(append) = message {
        assert_eq!(envelope, Ok(Some(append.envelope)));
    }
}

/// CRC-32C, bit by bit: the fuzzer must not need the code that it is to find wrong.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

fuzz_target!(|input: &[u8]| {
    check(input);
    let [kind, body @ ..] = input else { return };
    let Ok(length) = u32::try_from(body.len() + 5) else { return };
    let mut frame = length.to_le_bytes().to_vec();
    frame.push(*kind);
    let summed = if *kind == 3 { &body[..body.len().min(60)] } else { body };
    let crc = crc32c(frame.iter().chain(summed).copied());
    frame.extend(crc.to_le_bytes());
    frame.extend(body);
    check(&frame);
});
