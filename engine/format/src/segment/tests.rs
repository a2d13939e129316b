use super::*;
use crate::tests::{STAMP, WALL_NS};
use proptest::prelude::*;

fn sample() -> SegmentId {
    SegmentId {
        pair: STAMP.pair,
        lane: STAMP.lane,
        epoch: STAMP.epoch,
        nonce: STAMP.nonce,
        base_sequence: STAMP.sequence,
        base_chain: STAMP.chain,
        created_ns: WALL_NS,
        window_bytes: 64 << 20,
        segment_bytes: 256 << 20,
    }
}

fn written(id: &SegmentId) -> [u8; PAGE_BYTES] {
    let mut page = [0x5a; PAGE_BYTES];
    id.write(&mut page);
    page
}

fn persisted(sequence: u64) -> Persisted {
    Persisted {
        nonce: STAMP.nonce,
        epoch: STAMP.epoch,
        sequence: Sequence(sequence),
        position: DATA_FROM as u64 + 8192 * sequence,
        length: 8192,
        records: 12,
        chain: Chain([u8::try_from(sequence).unwrap(); 16]),
        durable_through: sequence / 2,
    }
}

/// A page of three blocks and a confirmation.
pub(crate) fn record_page() -> Vec<u8> {
    let mut page = vec![0; PAGE_BYTES];
    (0..3).for_each(|index| write_record(&mut page, index, &persisted(index as u64 + 7)));
    write_record(&mut page, 3, &Persisted::confirmation(STAMP.nonce, STAMP.epoch, 10));
    page
}

/// What the page holds must be exactly those.
fn check(page: &[u8], wanted: &[Persisted]) {
    assert_eq!(read_records(page).collect::<Vec<_>>(), wanted);
}

fn any_id() -> impl Strategy<Value = SegmentId> {
    let sizes = (SEGMENT_BYTES_READ_MIN / PAGE_BYTES..=SEGMENT_BYTES_MAX / PAGE_BYTES).prop_map(|pages| (pages * PAGE_BYTES) as u64);
    let names = (any::<u128>(), any::<u32>(), 0..=EPOCH_MAX.0, any::<u64>());
    (names, any::<u64>(), any::<[u8; 16]>(), any::<u64>(), any::<u64>(), sizes).prop_map(
        |((pair, lane, epoch, nonce), sequence, chain, created_ns, window_bytes, segment_bytes)| SegmentId {
            pair: PairId(pair),
            lane: LaneId(lane),
            epoch: Epoch(epoch),
            nonce: Nonce(nonce),
            base_sequence: Sequence(sequence),
            base_chain: Chain(chain),
            created_ns,
            window_bytes,
            segment_bytes,
        },
    )
}

#[test]
fn zeros_are_blank_and_one_bit_is_not() {
    let mut page = [0; PAGE_BYTES];
    assert_eq!(HeaderPage::parse(&page), HeaderPage::Blank);
    for at in 0..PAGE_BYTES {
        page[at] = 1;
        assert_eq!(HeaderPage::parse(&page), HeaderPage::Unreadable, "byte {at} is 1");
        page[at] = 0;
    }
}

#[test]
fn every_byte_of_the_header_page_is_covered() {
    let mut page = written(&sample());
    for at in 0..PAGE_BYTES {
        page[at] ^= 0xff;
        assert_eq!(HeaderPage::parse(&page), HeaderPage::Unreadable, "byte {at}");
        page[at] ^= 0xff;
    }
    assert_eq!(HeaderPage::parse(&page), HeaderPage::Present(sample()));
}

#[test]
fn a_torn_header_is_never_blank() {
    let page = written(&sample());
    for sectors in 1..8 {
        let mut torn = [0; PAGE_BYTES];
        torn[..sectors * 512].copy_from_slice(&page[..sectors * 512]);
        // The rest of the page is zero anyway: the first sector is the whole header.
        assert_eq!(HeaderPage::parse(&torn), HeaderPage::Present(sample()), "{sectors} sectors");
        torn[64..512].fill(0);
        assert_eq!(HeaderPage::parse(&torn), HeaderPage::Unreadable, "half a header");
    }
}

#[test]
fn numbers_out_of_range_are_unreadable() {
    let refused = |what: &str, id: SegmentId| assert_eq!(HeaderPage::parse(&written(&id)), HeaderPage::Unreadable, "{what}");
    for bytes in [0, SEGMENT_BYTES_READ_MIN - PAGE_BYTES, SEGMENT_BYTES_MIN + 512, SEGMENT_BYTES_MAX + PAGE_BYTES, usize::MAX] {
        refused(&format!("a segment of {bytes} bytes"), SegmentId { segment_bytes: bytes as u64, ..sample() });
    }
    refused("an epoch of 2³¹", SegmentId { epoch: Epoch(EPOCH_MAX.0 + 1), ..sample() });
}

#[test]
fn another_version_is_unreadable() {
    let mut page = written(&sample());
    let (header, _) = SegmentHeader::mut_from_prefix(&mut page[..]).unwrap();
    header.version = (VERSION + 1).into();
    let crc = header_crc(&page);
    let (header, _) = SegmentHeader::mut_from_prefix(&mut page[..]).unwrap();
    header.crc = crc.into();
    assert_eq!(HeaderPage::parse(&page), HeaderPage::Unreadable);
}

#[test]
fn records_stand_where_they_were_written() {
    let confirmation = Persisted::confirmation(STAMP.nonce, STAMP.epoch, 10);
    let all = [persisted(7), persisted(8), persisted(9), confirmation];
    check(&record_page(), &all);
    assert_eq!(all.map(|record| record.names_block()), [true, true, true, false]);
    check(&[0; PAGE_BYTES], &[]);
    let mut full = vec![0; PAGE_BYTES];
    let most: Vec<_> = (0..GROUP_BLOCKS_MAX as u64).map(persisted).collect();
    most.iter().enumerate().for_each(|(index, record)| write_record(&mut full, index, record));
    check(&full, &most);
}

#[test]
fn a_torn_record_is_passed_over_and_its_neighbours_are_read() {
    let page = record_page();
    let all: Vec<_> = read_records(&page).collect();
    for at in 0..4 * RECORD_BYTES {
        let mut torn = page.clone();
        torn[at] ^= 0x80;
        let mut left = all.clone();
        left.remove(at / RECORD_BYTES);
        check(&torn, &left);
    }
}

#[test]
fn a_page_torn_between_two_groups_gives_whole_records_of_both() {
    let mut older = vec![0; PAGE_BYTES];
    (0..20).for_each(|index| write_record(&mut older, index, &persisted(index as u64)));
    let mut newer = vec![0; PAGE_BYTES];
    (0..10).for_each(|index| write_record(&mut newer, index, &persisted(100 + index as u64)));
    older[..512].copy_from_slice(&newer[..512]);
    let wanted: Vec<_> = (100..108).chain(8..20).map(persisted).collect();
    check(&older, &wanted);
}

#[test]
#[should_panic(expected = "record 64 of at most 64")]
fn a_record_beyond_the_page_is_the_callers_bug() {
    write_record(&mut [0; PAGE_BYTES], GROUP_BLOCKS_MAX, &persisted(1));
}

proptest! {
    #[test]
    fn headers_round_trip(id in any_id()) {
        prop_assert_eq!(HeaderPage::parse(&written(&id)), HeaderPage::Present(id));
    }

    #[test]
    fn records_round_trip(
        place in 0..GROUP_BLOCKS_MAX,
        (nonce, epoch, sequence, position) in any::<(u64, u32, u64, u64)>(),
        (length, records, chain, durable_through) in any::<(u32, u32, [u8; 16], u64)>(),
    ) {
        let record = Persisted {
            nonce: Nonce(nonce),
            epoch: Epoch(epoch),
            sequence: Sequence(sequence),
            position,
            length,
            records,
            chain: Chain(chain),
            durable_through,
        };
        let mut page = vec![0; PAGE_BYTES];
        write_record(&mut page, place, &record);
        prop_assert_eq!(read_records(&page).collect::<Vec<_>>(), [record]);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), PAGE_BYTES), short in 0..PAGE_BYTES) {
        prop_assert_eq!(HeaderPage::parse(bytes.first_chunk().unwrap()), HeaderPage::Unreadable);
        prop_assert_eq!(read_records(&bytes[..short]).count(), 0);
    }
}
