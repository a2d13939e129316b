use super::*;
use crate::packet::{Reading, Stamp};

const RUN: u64 = 9;

/// A train of packets of this size holds as many as this, and every one reads back.
#[track_caller]
fn check(size: usize, single: bool, packets: usize) {
    let template = Template::new(RUN, 1, size);
    let mut train = Train::new(&template, single);
    for round in 0..2_u64 {
        train.clear();
        assert!(train.is_empty());
        let mut sequence = round * 1000;
        while !train.is_full() {
            train.push(5, sequence, sequence + 1);
            sequence += 1;
        }
        assert_eq!(train.len(), packets, "packets of {size} bytes");
        assert_eq!(train.bytes().len(), packets * size);
        for (sequence, packet) in (round * 1000..).zip(train.bytes().chunks(size)) {
            let stamp = Stamp { run: RUN, source: 5, sequence, intended_ns: sequence + 1 };
            assert_eq!(template.read(packet), Reading::Intact(stamp));
        }
    }
}

#[test]
fn small_packets_are_limited_by_the_kernels_segments() {
    check(48, false, 64);
    check(64, false, 64);
    check(1023, false, 64);
}

#[test]
fn large_packets_are_limited_by_the_bytes_of_a_datagram() {
    check(1024, false, 63);
    check(1400, false, 46);
    check(32_753, false, 2);
    check(32_754, false, 1);
    check(65_507, false, 1);
}

#[test]
fn without_offload_a_train_is_one_packet() {
    check(64, true, 1);
}
