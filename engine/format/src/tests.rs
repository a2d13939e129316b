//! What the tests of several modules share: batches and blocks made the way ingest and log make them; and facts about
//! all structures together.

use crate::block::{self, COUNTERS, HEAD_BYTES, Placed, Seal, Stamp};
use crate::{
    Chain, Epoch, Field, LaneId, Nonce, PairId, PartitionId, Sequence, batch, checksum, record, register, render, segment, sidecar,
    superblock, witness,
};
use proptest::prelude::*;

/// A record for [`batch_of`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub timestamp_delta_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Sample {
    pub(crate) fn of(value: &[u8]) -> Sample {
        Sample { value: Some(value.to_vec()), ..Sample::default() }
    }
}

/// Any small record.
pub(crate) fn any_sample() -> impl Strategy<Value = Sample> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let headers = prop::collection::vec((bytes(), prop::option::of(bytes())), 0..3);
    (any::<i64>(), prop::option::of(bytes()), prop::option::of(bytes()), headers)
        .prop_map(|(timestamp_delta_ms, key, value, headers)| Sample { timestamp_delta_ms, key, value, headers })
}

/// One framed record.
pub(crate) fn framed(offset_delta: i64, sample: &Sample) -> Vec<u8> {
    let mut body = vec![0];
    put(&mut body, sample.timestamp_delta_ms);
    put(&mut body, offset_delta);
    put_nullable(&mut body, sample.key.as_deref());
    put_nullable(&mut body, sample.value.as_deref());
    put(&mut body, length(&sample.headers));
    for (key, value) in &sample.headers {
        put_nullable(&mut body, Some(key));
        put_nullable(&mut body, value.as_deref());
    }
    let mut framed = Vec::new();
    put(&mut framed, length(&body));
    framed.extend(body);
    framed
}

/// A closed batch of the records.
pub(crate) fn batch_of(samples: &[Sample]) -> Vec<u8> {
    let mut bytes = vec![0; batch::BATCH_HEADER_BYTES];
    for (place, sample) in samples.iter().enumerate() {
        bytes.extend(framed(i64::try_from(place).unwrap(), sample));
    }
    let closing = batch::Closing {
        records: u32::try_from(samples.len()).unwrap(),
        records_crc: checksum::crc32c(&bytes[batch::BATCH_HEADER_BYTES..]),
        base_timestamp_ms: 1_700_000_000_000,
        max_timestamp_ms: 1_700_000_000_009,
    };
    batch::close(&mut bytes, &closing);
    bytes
}

fn put(out: &mut Vec<u8>, value: i64) {
    let mut bytes = [0; record::VARINT_BYTES_MAX];
    let taken = record::write_varint(&mut bytes, value);
    out.extend(&bytes[..taken]);
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put(out, bytes.map_or(-1, length));
    out.extend(bytes.unwrap_or_default());
}

fn length<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap()
}

/// What the log stamps in these tests.
pub(crate) const STAMP: Stamp = Stamp {
    pair: PairId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
    lane: LaneId(3),
    epoch: Epoch(7),
    nonce: Nonce(0x8877_6655_4433_2211),
    sequence: Sequence(41),
    chain: Chain([0xab; 16]),
    committed: 40,
};

/// The first offset that a partition gets in these tests.
pub(crate) const FIRST_OFFSET: u64 = 1_000;

/// A sealed and stamped block of the batches, and its batches as the log saw them placed.
pub(crate) fn block_of(contents: &[(PartitionId, Vec<Sample>)], stamp: &Stamp) -> (Vec<u8>, Vec<Placed>) {
    let mut slot = vec![0x5a; block::BLOCK_BYTES_MAX];
    let (mut at, mut records) = (HEAD_BYTES, 0);
    for (index, (partition, samples)) in contents.iter().enumerate() {
        let bytes = batch_of(samples);
        slot[at..at + bytes.len()].copy_from_slice(&bytes);
        let crc = checksum::crc32c(&bytes[batch::CRC_FROM..]);
        let count = u32::try_from(samples.len()).unwrap();
        block::directory_entry(&mut slot, index, *partition, at, bytes.len(), count, crc, Some(i64::try_from(index).unwrap() - 5));
        (at, records) = (at + bytes.len(), records + count);
    }
    let seal = Seal { payload_bytes: at - HEAD_BYTES, batches: contents.len(), records, flags: 0, wall_ns: WALL_NS, counters: counters() };
    stamped(slot, &seal, stamp)
}

/// A sealed and stamped control block with that content.
pub(crate) fn control_block_of(content: &[u8], stamp: &Stamp) -> Vec<u8> {
    let mut slot = vec![0x5a; block::BLOCK_BYTES_MAX];
    slot[HEAD_BYTES..HEAD_BYTES + content.len()].copy_from_slice(content);
    block::directory_entry(&mut slot, 0, PartitionId::CONTROL, HEAD_BYTES, content.len(), 0, checksum::crc32c(content), None);
    let seal =
        Seal { payload_bytes: content.len(), batches: 1, records: 0, flags: block::FLAG_CONTROL, wall_ns: WALL_NS, counters: counters() };
    stamped(slot, &seal, stamp).0
}

pub(crate) const WALL_NS: u64 = 1_700_000_000_123_456_789;

pub(crate) fn counters() -> [u64; COUNTERS] {
    core::array::from_fn(|index| 100 + index as u64)
}

fn stamped(mut slot: Vec<u8>, seal: &Seal, stamp: &Stamp) -> (Vec<u8>, Vec<Placed>) {
    let block_bytes = block::seal(&mut slot, seal);
    slot.truncate(block_bytes);
    let (mut next, mut placed) = (std::collections::BTreeMap::new(), Vec::new());
    let offsets = |partition, records| {
        let next = next.entry(partition).or_insert(FIRST_OFFSET);
        *next += u64::from(records);
        *next - u64::from(records)
    };
    block::stamp(&mut slot, stamp, offsets, |stamped| placed.push(stamped.placed));
    (slot, placed)
}

/// Numbers that look random and are the same in every run (xorshift64*, Vigna 2016).
pub(crate) struct Bits(pub u64);

impl Bits {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit
    }
}

/// First half of the SHA-256 of `bytes`, in hex.
fn fingerprint(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn structures_are_dense_and_named_once() {
    for (name, fields) in render::structures() {
        let mut next = 0;
        for Field { name: field, offset, bytes, meaning } in fields {
            assert_eq!(*offset, next, "{name}.{field} begins at {offset}, the field before ends at {next}");
            assert!(*bytes > 0 && !meaning.is_empty() && !meaning.contains('|'), "{name}.{field} has no row");
            next += bytes;
        }
    }
    let mut names: Vec<_> = render::structures().iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), render::structures().len(), "two structures have one heading");
}

/// The bytes of every structure with given content. Whoever changes one of these changes what is on disks out there:
/// it takes a new version of that structure, and readers of the old one.
#[test]
fn bytes_are_frozen() {
    let id = segment::SegmentId {
        pair: STAMP.pair,
        lane: STAMP.lane,
        epoch: STAMP.epoch,
        nonce: STAMP.nonce,
        base_sequence: STAMP.sequence,
        base_chain: STAMP.chain,
        created_ns: WALL_NS,
        window_bytes: 64 << 20,
        segment_bytes: 256 << 20,
    };
    let mut page = [0; segment::PAGE_BYTES];
    id.write(&mut page);
    let checkpoint = crate::checkpoint::tests::encoded(&crate::checkpoint::tests::sample());
    let structures = [
        ("segment header", page.to_vec()),
        ("block", block_of(&[(PartitionId(5), vec![Sample::of(b"a packet")])], &STAMP).0),
        ("checkpoint block", control_block_of(&checkpoint, &STAMP)),
        ("record page", segment::tests::record_page()),
        ("sidecar", sidecar::tests::sample().encode()),
        ("superblock copy", superblock::tests::state(3).encode()),
        ("register record", register::tests::register(3).encode().to_vec()),
        ("witness head", witness::tests::IDENTITY.encode().to_vec()),
    ];
    let found: Vec<_> = structures.iter().map(|(name, bytes)| (*name, fingerprint(bytes))).collect();
    let frozen = [
        ("segment header", "94da34c8c68ae407a720d47b1028b154"),
        ("block", "3585519f2b44689792102ba3cf4a3724"),
        ("checkpoint block", "a8bb7db16de679f42a28d961ce4fd0d2"),
        ("record page", "8f9d46cc4eded6a06f692b346cc07f01"),
        ("sidecar", "2a25ef92760e6d858d6604b4b7e9d919"),
        ("superblock copy", "192b54fd9099d3b811594d25d78166cb"),
        ("register record", "bd6f32ed68159aeced377a07ffcbe396"),
        ("witness head", "1462daaf34fbe3d2da305e6b278cc419"),
    ];
    assert_eq!(found, frozen.map(|(name, print): (&str, &str)| (name, print.to_owned())));
}
