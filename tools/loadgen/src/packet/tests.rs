use super::*;

const RUN: u64 = 0x0123_4567_89AB_CDEF;
const SEED: u64 = 42;

fn stamped(size: usize) -> Vec<u8> {
    let mut bytes = Template::new(RUN, SEED, size).bytes().to_vec();
    stamp(&mut bytes, 3, 77, 1_700_000_000_123_456_789);
    bytes
}

/// What the template of the run says of the bytes.
#[track_caller]
fn check(bytes: &[u8], size: usize, expected: Reading) {
    assert_eq!(Template::new(RUN, SEED, size).read(bytes), expected);
}

fn expected() -> Stamp {
    Stamp { run: RUN, source: 3, sequence: 77, intended_ns: 1_700_000_000_123_456_789 }
}

#[test]
fn what_was_stamped_is_read_back_at_every_size() {
    for size in (PACKET_BYTES_MIN..=200).chain([1400, 9000, PACKET_BYTES_MAX]) {
        check(&stamped(size), size, Reading::Intact(expected()));
    }
}

#[test]
fn the_checksum_is_the_one_the_standard_names() {
    assert_eq!(crc32_iscsi(b"123456789"), 0xE306_9283);
}

#[test]
fn a_packet_stamped_again_in_place_is_the_new_packet() {
    let mut bytes = stamped(64);
    stamp(&mut bytes, 4, 78, 5);
    let wanted = Stamp { run: RUN, source: 4, sequence: 78, intended_ns: 5 };
    check(&bytes, 64, Reading::Intact(wanted));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let intact = stamped(96);
    for bit in 0..intact.len() * 8 {
        let mut bytes = intact.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let reading = Template::new(RUN, SEED, 96).read(&bytes);
        let noticed = match reading {
            Reading::Intact(_) => false,
            Reading::Corrupt(_) => bit >= 64,
            Reading::Foreign => bit < 64,
        };
        assert!(noticed, "bit {bit} flipped was read as {reading:?}");
    }
}

#[test]
fn every_truncation_is_corrupt_until_the_magic_is_gone() {
    let intact = stamped(80);
    for length in 0..intact.len() {
        let wanted = match length {
            0..8 => Reading::Foreign,
            8..PACKET_BYTES_MIN => Reading::Corrupt(Damage::Short),
            _ => Reading::Corrupt(Damage::Length),
        };
        check(&intact[..length], 80, wanted);
    }
}

#[test]
fn another_seeds_filler_is_corrupt_though_its_checksum_is_right() {
    let mut bytes = Template::new(RUN, SEED + 1, 64).bytes().to_vec();
    stamp(&mut bytes, 0, 0, 0);
    check(&bytes, 64, Reading::Corrupt(Damage::Filler));
}

#[test]
fn another_size_than_the_runs_is_corrupt() {
    check(&stamped(64), 65, Reading::Corrupt(Damage::Filler));
}

#[test]
fn another_layout_is_corrupt_though_its_checksum_is_right() {
    let mut bytes = stamped(64);
    bytes[40] = 2;
    stamp(&mut bytes, 0, 0, 0);
    check(&bytes, 64, Reading::Corrupt(Damage::Version));
}

#[test]
fn another_run_is_read_and_keeps_its_name() {
    let mut bytes = Template::new(RUN + 1, SEED, 64).bytes().to_vec();
    stamp(&mut bytes, 0, 9, 8);
    let wanted = Stamp { run: RUN + 1, source: 0, sequence: 9, intended_ns: 8 };
    check(&bytes, 64, Reading::Intact(wanted));
}

#[test]
fn records_of_others_are_foreign() {
    for bytes in [&b""[..], b"hello", &[0; 200], b"HWLOAD", b"hwload\r\n and more of it"] {
        check(bytes, 64, Reading::Foreign);
    }
}
