use super::*;
use crate::witness::tests::register;
use proptest::prelude::*;

fn requests() -> Vec<Request> {
    let swap = Swap::from(Some(&register(4)), register(5));
    let asks = [Ask::Get, Ask::Swap(swap), Ask::Watch { beyond: 9, wait_ms: 1000 }];
    asks.into_iter().map(|ask| Request { id: 5, witness: 66, place: 3, ask }).collect()
}

fn answers() -> Vec<Answer> {
    let says =
        [Says::Register(None), Says::Register(Some(register(2))), Says::Swapped, Says::Refused(None), Says::Refused(Some(register(2)))];
    let says = says.into_iter().chain(DENIALS.map(Says::Denied));
    says.map(|says| Answer { id: 5, witness: 66, says }).collect()
}

fn encoded<T>(encode: fn(&T, &mut Vec<u8>), what: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(what, &mut bytes);
    bytes
}

#[test]
fn every_message_reads_back_and_no_part_of_one_is_one() {
    for request in requests() {
        let bytes = encoded(encode_request, &request);
        (0..bytes.len()).for_each(|end| assert_eq!(decode_request(&bytes[..end]), Ok(None), "{end} bytes of {request:?}"));
        assert_eq!(decode_request(&[&bytes[..], b"more"].concat()), Ok(Some((request, bytes.len()))));
        assert!(decode_answer(&bytes).is_err(), "a request is no answer: {request:?}");
    }
    for answer in answers() {
        let bytes = encoded(encode_answer, &answer);
        (0..bytes.len()).for_each(|end| assert_eq!(decode_answer(&bytes[..end]), Ok(None), "{end} bytes of {answer:?}"));
        assert_eq!(decode_answer(&bytes), Ok(Some((answer, bytes.len()))));
        assert!(decode_request(&bytes).is_err(), "an answer is no request: {answer:?}");
    }
}

#[test]
fn every_flipped_byte_is_found() {
    for request in requests() {
        let bytes = encoded(encode_request, &request);
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            assert!(!matches!(decode_request(&bytes), Ok(Some(_))), "byte {at} of {request:?}");
        }
    }
}

#[test]
fn a_length_is_refused_as_soon_as_it_is_there() {
    for length in [0, 4, FRAME_BYTES_MAX - LENGTH_BYTES + 1, u32::MAX as usize] {
        let bytes = u32::try_from(length).unwrap().to_le_bytes();
        assert_eq!(decode_request(&bytes), Err(Rejected { reason: Reason::Length, position: 0 }), "{length}");
    }
}

#[test]
fn a_body_with_more_or_less_or_no_register_is_refused() {
    let body = |kind: u8, body: &[u8]| {
        let mut bytes = Vec::new();
        frame(kind, &mut bytes, |out| out.extend_from_slice(body));
        decode_request(&bytes).unwrap_err().reason
    };
    assert_eq!(body(GET, &[0; 27]), Reason::Rest);
    assert_eq!(body(GET, &[0; 25]), Reason::Ends);
    assert_eq!(body(SWAP, &[0; 34]), Reason::Ends);
    assert_eq!(body(SWAP, &[0; 34 + RECORD_BYTES]), Reason::Limit("a register"));
    assert_eq!(body(1, &[0; 26]), Reason::Kind);
    let mut bytes = Vec::new();
    frame(DENIED, &mut bytes, |out| out.extend_from_slice(&[9; 25]));
    assert_eq!(decode_answer(&bytes).unwrap_err().reason, Reason::Limit("a reason"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 30u8..60) {
        let _no_request = decode_request(&bytes).is_ok();
        let mut framed = Vec::new();
        frame(kind, &mut framed, |out| out.extend_from_slice(&bytes));
        let _request = decode_request(&framed).is_ok();
        let _answer = decode_answer(&framed).is_ok();
    }
}

/// The first inputs of the fuzzer were made by another hand, from this module's header: each of them is understood.
#[test]
fn corpus_of_the_fuzzer_is_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/witness");
    let mut messages = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus folder") {
        let path = entry.expect("an entry").path();
        let input = std::fs::read(&path).expect("a corpus file");
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("file")) {
            continue;
        }
        let mut framed = Vec::new();
        frame(input[0], &mut framed, |out| out.extend_from_slice(&input[1..]));
        let (request, answer) = (decode_request(&framed), decode_answer(&framed));
        assert!(matches!(request, Ok(Some(_))) || matches!(answer, Ok(Some(_))), "{}: {request:?}, {answer:?}", path.display());
        messages += 1;
    }
    assert_eq!(messages, 8, "files with a message");
}
