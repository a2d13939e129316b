use super::{Decoder, Framing, TooLong};
use proptest::prelude::*;

const RECORD_MAX: u32 = 1000;

/// Everything the decoder makes of the chunks: the records, and how it ended.
fn decode(framing: Framing, chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Result<bool, TooLong>) {
    let mut decoder = Decoder::new(framing, RECORD_MAX);
    let (mut records, mut open) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let mut rest = *chunk;
        loop {
            match decoder.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(piece)) => {
                    open.extend_from_slice(piece.bytes);
                    if piece.ends {
                        records.push(std::mem::take(&mut open));
                    }
                }
                Err(error) => return (records, Err(error)),
            }
        }
        assert!(rest.is_empty(), "{} bytes were left", rest.len());
    }
    (records, Ok(decoder.is_within()))
}

fn encode(framing: Framing, records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        if framing == Framing::Length {
            bytes.extend_from_slice(&u32::try_from(record.len()).unwrap().to_be_bytes());
        }
        bytes.extend_from_slice(record);
        if framing == Framing::Newline {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// Cuts bytes at the places, in any order and more than once each.
fn cut<'b>(bytes: &'b [u8], places: &[usize]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.sort_unstable();
    let ends = places.iter().copied().chain([bytes.len()]);
    let begins = std::iter::once(0).chain(places.iter().copied());
    begins.zip(ends).map(|(begin, end)| &bytes[begin..end]).collect()
}

#[track_caller]
fn check(framing: Framing, chunks: &[&[u8]], records: &[&[u8]], end: Result<bool, TooLong>) {
    let records: Vec<Vec<u8>> = records.iter().map(|record| record.to_vec()).collect();
    assert_eq!(decode(framing, chunks), (records, end));
}

proptest! {
    #[test]
    fn records_come_out_as_they_went_in_however_they_are_cut(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
        places in prop::collection::vec(any::<usize>(), 0..40),
        tail in 0_usize..3,
    ) {
        for framing in [Framing::Length, Framing::Newline] {
            let mut records = records.clone();
            if framing == Framing::Newline {
                records.iter_mut().flatten().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
            }
            let mut bytes = encode(framing, &records);
            bytes.extend(std::iter::repeat_n(0, tail));
            prop_assert_eq!(decode(framing, &cut(&bytes, &places)), (records, Ok(tail > 0)));
        }
    }

    #[test]
    fn any_bytes_in_any_cut_give_the_same_as_in_one(
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(b'\n'), any::<u8>()], 0..3000),
        places in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        for framing in [Framing::Length, Framing::Newline] {
            let (records, end) = decode(framing, &cut(&bytes, &places));
            let (whole, at_once) = decode(framing, &[&bytes]);
            prop_assert_eq!(&records, &whole);
            // A line is given up as soon as it is too long, so only that it is so does not hang on the cut.
            prop_assert_eq!(end.is_err(), at_once.is_err());
            prop_assert!(records.iter().all(|record| record.len() <= RECORD_MAX as usize));
        }
    }
}

#[test]
fn a_length_of_nothing_is_an_empty_record() {
    check(Framing::Length, &[&[0, 0, 0, 0, 0, 0, 0, 1, b'x']], &[b"", b"x"], Ok(false));
    check(Framing::Newline, &[b"\n\r\nx\n"], &[b"", b"\r", b"x"], Ok(false));
}

#[test]
fn the_largest_record_passes_and_one_byte_more_does_not() {
    let largest = vec![b'a'; RECORD_MAX as usize];
    let longer = vec![b'a'; RECORD_MAX as usize + 1];
    for framing in [Framing::Length, Framing::Newline] {
        check(framing, &[&encode(framing, std::slice::from_ref(&largest))], &[&largest], Ok(false));
        check(framing, &[&encode(framing, std::slice::from_ref(&longer))], &[], Err(TooLong { bytes: u64::from(RECORD_MAX) + 1 }));
    }
}

#[test]
fn an_absurd_length_is_refused_before_anything_of_it_is_there() {
    check(Framing::Length, &[&[0xff], &[0xff, 0xff], &[0xff]], &[], Err(TooLong { bytes: u64::from(u32::MAX) }));
}

#[test]
fn a_line_without_end_is_refused_when_it_is_too_long() {
    let half = vec![b'a'; RECORD_MAX as usize / 2];
    check(Framing::Newline, &[&half, &half, b"a"], &[], Err(TooLong { bytes: u64::from(RECORD_MAX) + 1 }));
}

#[test]
fn half_a_record_is_seen_as_such() {
    check(Framing::Length, &[&[0]], &[], Ok(true));
    check(Framing::Length, &[&[0, 0, 0, 2, 7]], &[], Ok(true));
    check(Framing::Newline, &[b"x"], &[], Ok(true));
}
