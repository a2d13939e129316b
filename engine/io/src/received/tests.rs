use super::*;

fn control(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
    let mut message = ((CONTROL_HEADER_BYTES + data.len()) as u64).to_ne_bytes().to_vec();
    message.extend(level.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(data);
    message.resize(message.len().next_multiple_of(8), 0);
    message
}

fn buffer(name: &[u8], control: &[u8], payload_bytes: u32, flags: i32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = |length: usize| u32::try_from(length).unwrap();
    for word in [count(name.len()), count(control.len()), payload_bytes, flags.unsigned_abs()] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(name);
    bytes.resize(COUNTS_BYTES + NAME_BYTES, 0);
    bytes.extend(control);
    bytes.resize(HEAD_BYTES, 0);
    bytes.extend(payload);
    bytes
}

fn name() -> Vec<u8> {
    let mut name = libc::sa_family_t::try_from(libc::AF_INET).unwrap().to_ne_bytes().to_vec();
    name.extend(9000u16.to_be_bytes());
    name.extend([192, 0, 2, 7]);
    name.resize(16, 0);
    name
}

fn train(payload: &[u8], segment_bytes: i32) -> Vec<u8> {
    let note = control(libc::SOL_UDP, libc::UDP_GRO, &segment_bytes.to_ne_bytes());
    buffer(&name(), &note, u32::try_from(payload.len()).unwrap(), 0, payload)
}

#[track_caller]
fn check_datagrams(payload: &[u8], segment_bytes: i32, wanted: &[&[u8]]) {
    let bytes = train(payload, segment_bytes);
    let received = parse(&bytes).unwrap();
    let datagrams: Vec<&[u8]> = received.datagrams().collect();
    assert_eq!(datagrams, wanted);
    assert_eq!(received.count() as usize, wanted.len());
}

#[test]
fn a_train_is_cut_at_each_segment() {
    check_datagrams(b"aabbc", 2, &[b"aa", b"bb", b"c"]);
    check_datagrams(b"aabb", 2, &[b"aa", b"bb"]);
    check_datagrams(b"aa", 2, &[b"aa"]);
    check_datagrams(b"a", 2, &[b"a"]);
    check_datagrams(b"", 2, &[b""]);
    check_datagrams(b"whole", 0, &[b"whole"]);
    check_datagrams(b"whole", -1, &[b"whole"]);
    check_datagrams(b"whole", 1 << 20, &[b"whole"]);
}

#[test]
fn stamp_and_segment_size_come_from_their_messages() {
    let mut stamp = 1_700_000_000i64.to_ne_bytes().to_vec();
    stamp.extend(5i64.to_ne_bytes());
    let mut notes = control(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &stamp);
    notes.extend(control(libc::SOL_UDP, libc::UDP_GRO, &3i32.to_ne_bytes()));
    let bytes = buffer(&name(), &notes, 6, 0, b"abcdef");
    let received = parse(&bytes).unwrap();
    assert_eq!(received.stamp_ns, Some(1_700_000_000_000_000_005));
    assert_eq!(received.segment_bytes, Some(3));
    assert_eq!(received.source.socket_address(), "192.0.2.7:9000".parse().unwrap());
}

#[test]
fn a_cut_datagram_is_told_by_flag_and_by_length() {
    assert!(parse(&buffer(&name(), &[], 3, libc::MSG_TRUNC, b"abc")).unwrap().truncated);
    assert!(parse(&buffer(&name(), &[], 9, 0, b"abc")).unwrap().truncated);
    assert!(!parse(&buffer(&name(), &[], 3, 0, b"abc")).unwrap().truncated);
}

#[test]
fn every_buffer_shorter_than_its_head_is_malformed() {
    let whole = buffer(&name(), &[], 0, 0, b"");
    for bytes in 0..HEAD_BYTES {
        assert_eq!(parse(&whole[..bytes]).unwrap_err(), ReceiveError::Malformed { bytes });
    }
    parse(&whole).unwrap();
}

#[test]
fn an_unknown_or_missing_source_is_malformed() {
    let mut unix = name();
    unix[0] = 1;
    for name in [&unix[..], &name()[..5], &[]] {
        assert!(parse(&buffer(name, &[], 0, 0, b"")).is_err(), "{name:?}");
    }
}

#[test]
fn random_heads_never_panic() {
    let seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut state = seed;
    for round in 0..20_000 {
        let mut bytes = train(b"0123456789", 3);
        for _ in 0..4 {
            // Xorshift: the low bits choose the place, the high ones the byte.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let place = usize::try_from(state % HEAD_BYTES as u64).unwrap();
            bytes[place] = state.to_be_bytes()[0];
        }
        let outcome = std::panic::catch_unwind(|| {
            if let Ok(received) = parse(&bytes) {
                assert_eq!(received.datagrams().count(), received.count() as usize);
            }
        });
        assert!(outcome.is_ok(), "seed {seed:#x}, round {round}");
    }
}

#[test]
fn errors_are_told_apart() {
    assert_eq!(ReceiveError::without_buffer(-libc::ENOBUFS), ReceiveError::OutOfBuffers);
    assert_eq!(ReceiveError::without_buffer(-libc::ECANCELED), ReceiveError::Cancelled);
    assert_eq!(ReceiveError::without_buffer(-libc::EIO), ReceiveError::Os(libc::EIO));
    assert_eq!(ReceiveError::without_buffer(0), ReceiveError::Malformed { bytes: 0 });
}
