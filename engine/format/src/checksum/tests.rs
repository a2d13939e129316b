use super::*;
use proptest::prelude::*;

/// One bit at a time, straight from the polynomial.
fn by_definition(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 })
    })
}

fn check(bytes: &[u8], wanted: u32) {
    assert_eq!(crc32c(bytes), wanted, "{:#010x} of {bytes:02x?}, wanted {wanted:#010x}", crc32c(bytes));
    assert_eq!(by_definition(bytes), wanted, "the definition gives {:#010x}", by_definition(bytes));
}

#[test]
fn known_vectors_of_rfc_3720() {
    let ascending: Vec<u8> = (0..32).collect();
    let descending: Vec<u8> = (0..32).rev().collect();
    check(b"", 0);
    check(b"123456789", 0xe306_9283);
    check(&[0; 32], 0x8a91_36aa);
    check(&[0xff; 32], 0x62a8_ab43);
    check(&ascending, 0x46dd_794e);
    check(&descending, 0x113f_db5c);
}

#[test]
fn an_empty_persist_record_does_not_sum_to_zero() {
    check(&[0; 60], 0x5a0b_0531);
}

proptest! {
    #[test]
    fn parts_and_joints_equal_the_whole(bytes in prop::collection::vec(any::<u8>(), 0..3_000), cut in any::<prop::sample::Index>()) {
        let (front, back) = bytes.split_at(cut.index(bytes.len() + 1));
        let whole = by_definition(&bytes);
        prop_assert_eq!(crc32c(&bytes), whole);
        prop_assert_eq!(crc32c_of(&[front, back]), whole);
        prop_assert_eq!(combine(crc32c(front), crc32c(back), back.len()), whole);
        let mut running = Running::default();
        running.update(front);
        prop_assert_eq!(running.value(), crc32c(front));
        running.update(back);
        prop_assert_eq!(running.value(), whole);
    }
}
