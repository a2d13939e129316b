//! Requests and answers of a witness under the fuzzer: whatever the bytes, decoding never panics, and what was understood is written again
//! byte for byte; and whatever a file holds, opening it never panics and opens twice as itself.
//!
//! `cargo xtask fuzz witness`. Input: │ kind, 1 B │ body │, behind a head with a right length and sum, so that bodies are reached at
//! all; then the same bytes as they are; then over the head and the first place of a file.

#![no_main]

use headworks_replicator::witness::{self, Effect};
use libfuzzer_sys::fuzz_target;

/// Bytes of a file of registers.
const FILE_BYTES: usize = 532_480;

fn check(bytes: &[u8]) {
    let mut again = Vec::new();
    if let Ok(Some((request, frame_bytes))) = witness::decode_request(bytes) {
        witness::encode_request(&request, &mut again);
        assert_eq!(again, bytes[..frame_bytes], "{request:?} is written in another way than it was read");
    }
    again.clear();
    if let Ok(Some((answer, frame_bytes))) = witness::decode_answer(bytes) {
        witness::encode_answer(&answer, &mut again);
        assert_eq!(again, bytes[..frame_bytes], "{answer:?} is written in another way than it was read");
    }
}

fn check_file(bytes: &[u8]) {
    let mut file = vec![0; FILE_BYTES];
    let bytes = &bytes[..bytes.len().min(FILE_BYTES)];
    file[..bytes.len()].copy_from_slice(bytes);
    let Ok(opened) = witness::open(&file) else { return };
    for effect in &opened.repairs {
        if let Effect::Write { offset, page } = effect {
            file[*offset..offset + page.len()].copy_from_slice(&page[..]);
        }
    }
    let again = witness::open(&file).expect("a mended file opens");
    assert_eq!((again.witness, again.repairs), (opened.witness, vec![Effect::Sync]));
}

/// CRC-32C, bit by bit: the fuzzer must not need the code that it is to find wrong.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

fuzz_target!(|input: &[u8]| {
    check(input);
    check_file(input);
    let [kind, body @ ..] = input else { return };
    let Ok(length) = u32::try_from(body.len() + 5) else { return };
    let mut frame = length.to_le_bytes().to_vec();
    frame.push(*kind);
    let crc = crc32c(frame.iter().chain(body).copied());
    frame.extend(crc.to_le_bytes());
    frame.extend(body);
    check(&frame);
});
