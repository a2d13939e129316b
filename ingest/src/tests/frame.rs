use crate::frame::{Dress, OVERHEAD_BYTES_MAX, Template, record};
use headworks_format::record::read_record;
use proptest::prelude::*;

fn check(dress: Dress<'_>, payload: &[u8]) {
    let mut out = vec![0xa5; payload.len() + OVERHEAD_BYTES_MAX + dress.key.map_or(0, <[u8]>::len)];
    let bytes = record(&mut out, &dress, payload);
    if let Some(template) = Template::of(&dress, payload.len()) {
        let mut by_template = vec![0x5a; out.len()];
        assert!(template.fits(dress.offset_delta, payload.len()));
        assert_eq!(template.write(&mut by_template, dress.offset_delta, payload), bytes, "{dress:?}");
        assert_eq!(by_template[..bytes], out[..bytes], "{dress:?}");
    }
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

/// A template serves exactly the offsets with as many digits and the size that it was made for.
#[test]
fn a_template_serves_its_own_offsets_and_size_only() {
    for (first, end) in [(0, 64), (64, 8192), (8192, 1 << 20), (1 << 20, 1 << 27)] {
        let dress = Dress { timestamp_delta_ms: 0, offset_delta: first, key: None, received_ns: None };
        let template = Template::of(&dress, 100).expect("a plain packet");
        assert!(template.fits(first, 100) && template.fits(end - 1, 100));
        assert!(!template.fits(end, 100) && !template.fits(first, 99));
        assert!(first == 0 || !template.fits(first - 1, 100));
        for offset_delta in [first, (first + end) / 2, end - 1] {
            check(Dress { offset_delta, ..dress }, &[9; 100]);
            let (mut one, mut other) = ([0; 256], [1; 256]);
            let bytes = template.write(&mut one, offset_delta, &[9; 100]);
            assert_eq!(record(&mut other, &Dress { offset_delta, ..dress }, &[9; 100]), bytes);
            assert_eq!(one[..bytes], other[..bytes], "offset {offset_delta}");
        }
    }
}

#[test]
fn what_is_dressed_or_large_has_no_template() {
    let plain = Dress { timestamp_delta_ms: 0, offset_delta: 0, key: None, received_ns: None };
    for dress in [
        Dress { key: Some(b"k"), ..plain },
        Dress { received_ns: Some(1), ..plain },
        Dress { timestamp_delta_ms: 64, ..plain },
        Dress { timestamp_delta_ms: -1, ..plain },
        Dress { offset_delta: 1 << 27, ..plain },
    ] {
        assert!(Template::of(&dress, 10).is_none(), "{dress:?}");
    }
    assert!(Template::of(&plain, 7999).is_some() && Template::of(&plain, 8000).is_none());
}
