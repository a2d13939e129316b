//! The TCP framings under the fuzzer: whatever the bytes and wherever they are cut, records are the same as in one piece, none
//! is larger than the limit, and no byte is looked at twice or left over.
//!
//! `cargo xtask fuzz framing`. Input: │ framing and limit, 1 B │ number of cuts n, 1 B │ n cuts, u16 each │ the connection's bytes │

#![no_main]

use headworks_ingest::tcp::framing::{Decoder, Framing};
use libfuzzer_sys::fuzz_target;

/// Records and how far they reach: their bytes with an end mark each, and whether the decoder gave up.
fn decode<'c>(framing: Framing, record_bytes_max: u32, chunks: impl Iterator<Item = &'c [u8]>) -> (Vec<Vec<u8>>, bool) {
    let mut decoder = Decoder::new(framing, record_bytes_max);
    let (mut records, mut open) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let mut rest = chunk;
        loop {
            let before = rest.len();
            match decoder.next(&mut rest) {
                Ok(None) => break assert!(rest.is_empty(), "{} bytes are left", rest.len()),
                Ok(Some(piece)) => {
                    assert!(rest.len() < before || piece.ends, "a piece of nothing that ends nothing");
                    open.extend_from_slice(piece.bytes);
                    assert!(open.len() <= record_bytes_max as usize, "{} bytes of {record_bytes_max}", open.len());
                    if piece.ends {
                        records.push(std::mem::take(&mut open));
                    }
                }
                Err(_) => return (records, true),
            }
        }
    }
    (records, false)
}

fuzz_target!(|input: &[u8]| {
    let [choice, cuts, rest @ ..] = input else { return };
    let framing = if choice & 1 == 0 { Framing::Length } else { Framing::Newline };
    let record_bytes_max = 1 << (choice >> 1 & 15);
    let Some((places, bytes)) = rest.split_at_checked(2 * usize::from(*cuts)) else { return };
    let mut places: Vec<usize> =
        places.chunks(2).map(|place| usize::from(u16::from_be_bytes([place[0], place[1]])) % (bytes.len() + 1)).collect();
    places.sort_unstable();
    places.push(bytes.len());
    let mut from = 0;
    let cut = places.into_iter().map(|to| &bytes[std::mem::replace(&mut from, to)..to]);
    assert_eq!(decode(framing, record_bytes_max, cut), decode(framing, record_bytes_max, std::iter::once(bytes)));
});
