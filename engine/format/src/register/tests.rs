use super::*;
use proptest::prelude::*;

/// A register of that version.
pub(crate) fn register(version: u64) -> Register {
    Register {
        version,
        pair: PairId(11),
        lanes: 2,
        segment_bytes: 256 << 20,
        epoch: Epoch(5),
        primary: Member { node: 22, incarnation: 33 },
        standby: Some(Member { node: 44, incarnation: 55 }),
        mode: Mode::Auto,
    }
}

fn any_register() -> impl Strategy<Value = Register> {
    let member = || (1..u128::MAX, 1..u128::MAX).prop_map(|(node, incarnation)| Member { node, incarnation });
    let mode = prop_oneof![Just(Mode::Auto), Just(Mode::Manual), Just(Mode::Frozen), Just(Mode::Vouched)];
    (1..u64::MAX, any::<u128>(), 1..=64u32, any::<u64>(), 1..=EPOCH_MAX.0, member(), prop::option::of(member()), mode).prop_map(
        |(version, pair, lanes, segment_bytes, epoch, primary, standby, mode)| Register {
            version,
            pair: PairId(pair),
            lanes,
            segment_bytes,
            epoch: Epoch(epoch),
            primary,
            standby: standby.filter(|standby| standby.node != primary.node),
            mode,
        },
    )
}

/// The record after a change of its bytes, with a sum that fits.
fn resummed(change: impl FnOnce(&mut RegisterRecord)) -> Record {
    let mut bytes = register(7).encode();
    let (record, _) = RegisterRecord::mut_from_prefix(&mut bytes[..]).unwrap();
    change(record);
    record.crc = record_crc(record).into();
    Record::parse(&bytes[..])
}

proptest! {
    #[test]
    fn any_register_reads_back(register in any_register()) {
        prop_assert_eq!(Record::parse(&register.encode()[..]), Record::Present(register));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(!matches!(Record::parse(&bytes), Record::Present(_)));
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let whole = register(7).encode();
    for bit in 0..RECORD_BYTES * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Record::parse(&bytes[..]), Record::Unreadable, "bit {bit}");
    }
}

#[test]
fn blank_torn_short_and_of_another_version_are_told_apart() {
    assert_eq!(Record::parse(&[0; RECORD_BYTES]), Record::Blank);
    assert_eq!(Record::parse(&register(7).encode()[..512]), Record::Unreadable);
    let torn = [&register(8).encode()[..16], &register(7).encode()[16..]].concat();
    assert_eq!(Record::parse(&torn), Record::Unreadable);
    assert_eq!(resummed(|record| record.version = 2.into()), Record::Version(2));
}

#[test]
fn what_no_pair_can_be_is_refused_with_a_right_sum() {
    assert_eq!(resummed(|_| ()), Record::Present(register(7)));
    let changes: [fn(&mut RegisterRecord); 9] = [
        |record| record.register_version = 0.into(),
        |record| record.epoch = 0.into(),
        |record| record.epoch = (EPOCH_MAX.0 + 1).into(),
        |record| record.lanes = 0.into(),
        |record| record.lanes = 65.into(),
        |record| record.primary_node = 0.into(),
        |record| record.standby_incarnation = 0.into(),
        |record| record.standby_node = 22.into(),
        |record| record.mode = 4.into(),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert_eq!(resummed(change), Record::Unreadable, "change {index}");
    }
}

#[test]
fn a_member_is_a_node_with_its_disk() {
    let register = register(1);
    let standby = register.standby.unwrap();
    assert!(register.in_sync(register.primary) && register.in_sync(standby));
    assert!(!register.in_sync(Member { incarnation: 56, ..standby }), "a wiped disk is another member");
    assert!(!Register { standby: None, ..register }.in_sync(standby));
}
