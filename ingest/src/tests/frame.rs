use crate::frame::{Dress, OVERHEAD_BYTES_MAX, record};
use headworks_format::record::read_record;
use proptest::prelude::*;

fn check(dress: Dress<'_>, payload: &[u8]) {
    let mut out = vec![0xa5; payload.len() + OVERHEAD_BYTES_MAX + dress.key.map_or(0, <[u8]>::len)];
    let bytes = record(&mut out, &dress, payload);
    let (read, read_bytes) = read_record(&out[..bytes]).expect("what was framed can be read");
    assert_eq!(read_bytes, bytes, "{dress:?}");
    assert_eq!((read.timestamp_delta_ms, read.offset_delta), (dress.timestamp_delta_ms, i64::from(dress.offset_delta)));
    assert_eq!((read.key, read.value), (dress.key, Some(payload)));
    match dress.received_ns {
        None => assert_eq!((read.headers, read.headers_raw), (0, &[][..])),
        Some(ns) => {
            assert_eq!(read.headers, 1);
            assert_eq!(read.headers_raw, [&[2, b't', 16][..], &ns.to_be_bytes()].concat());
        }
    }
}

proptest! {
    #[test]
    fn any_record_reads_back(
        delta in prop_oneof![-5i64..70, any::<i32>().prop_map(i64::from)],
        offset in prop_oneof![0u32..300, 0..1u32 << 28],
        key in prop::option::of(prop::collection::vec(any::<u8>(), 18)),
        received_ns in prop::option::of(any::<u64>()),
        payload in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        check(Dress { timestamp_delta_ms: delta, offset_delta: offset, key: key.as_deref(), received_ns }, &payload);
    }
}

/// Every length of a varint, on both sides of its step, the short way and the long.
#[test]
fn steps_of_varints_read_back() {
    for bits in [6, 7, 13, 14, 20] {
        for payload_bytes in [(1usize << bits) - 1, 1 << bits, (1 << bits) + 1] {
            for offset_delta in [0, 63, 64, 8191, 8192, (1 << 20) - 1, 1 << 20, (1 << 27) - 1, 1 << 27] {
                for timestamp_delta_ms in [-1, 0, 63, 64] {
                    check(Dress { timestamp_delta_ms, offset_delta, key: None, received_ns: None }, &vec![7; payload_bytes]);
                }
            }
        }
    }
}

/// The short way must not write behind the record: the next one, or a seal, stands there.
#[test]
fn nothing_is_written_behind_the_end_of_a_full_block() {
    let payload = [1; 3];
    let dress = Dress { timestamp_delta_ms: 0, offset_delta: 0, key: None, received_ns: None };
    let mut wide = [0; 64];
    let bytes = record(&mut wide, &dress, &payload);
    let mut tight = vec![0; bytes];
    assert_eq!(record(&mut tight, &dress, &payload), bytes);
    assert_eq!(tight, wide[..bytes]);
}
