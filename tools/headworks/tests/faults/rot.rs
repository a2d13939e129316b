//! A start over rot: the node starts, serves the rest, and serves nothing that was not sent.

use crate::Column;
use crate::harness::kafka::{self, EARLIEST, LATEST};
use crate::harness::node::Node;
use crate::harness::packets::{self, named};
use crate::harness::program::{call, check_end, text_of};
use crate::harness::random::Random;
use crate::harness::{alone, wait};
use crate::image::{Block, Image};
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const SETTINGS: [&str; 2] = ["node.lanes=1", "log.ring=4MiB"];
const PACKETS: usize = 24_000;
const PACKET_BYTES: usize = 1000;

/// Waits until the files themselves say that so many records are durable: `cat` stops where they do not.
pub fn all_confirmed(data: &Path, records: usize) {
    let (data, last) = (text_of(data), (records - 1).to_string());
    wait::until_true("the last group is confirmed", || {
        let output = call(["cat", &data, "--stream", "events", "--offset", &last, "--format", "hex"]);
        (!output.stdout.is_empty(), format!("`cat` gives {} bytes from offset {last} on", output.stdout.len()))
    });
}

#[test]
fn one_flipped_bit_costs_its_block_at_most_and_nothing_false_is_served() {
    let _alone = alone();
    let mut random = Random::announced("rot");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let whole = folder.path().join("whole");
    let truth = fill(&whole, random.below(2) == 0);
    let blocks: Vec<Block> = Image::of(&whole).blocks();
    assert!(blocks.iter().map(|block| block.file).collect::<std::collections::BTreeSet<_>>().len() >= 3, "a few segments");
    for round in 0..Column::chosen().rotten_starts {
        let data = folder.path().join(format!("rotten-{round}"));
        copy(&whole, &data);
        let block = &blocks[usize::try_from(random.below(blocks.len() as u64)).expect("few blocks")];
        // Head pages are a small part of a block and the more interesting one.
        let within = if round % 2 == 0 { 4096 } else { block.bytes };
        let at = usize::try_from(random.below(within as u64)).expect("a block is small");
        let what = format!("round {round}: byte {at} of the block at {} of {}", block.position, block.file);
        flip(&data, block, at, 1 << random.below(8));
        check_end(&call(["verify", &text_of(&data)]), 1, &["damage found"]);
        check_served(&data, block, &truth, &what);
        std::fs::remove_dir_all(&data).expect("a stopped node's data can go");
    }
}

/// A few segments of records; what each offset holds.
fn fill(data: &Path, killed: bool) -> BTreeMap<i64, Vec<u8>> {
    let node = Node::start(data, &SETTINGS);
    let sent: Vec<_> = (0..PACKETS).map(|number| named(0, number, PACKET_BYTES)).collect();
    packets::send(&packets::source(node.udp()), &sent);
    node.settled(PACKETS as u64);
    all_confirmed(data, PACKETS);
    if killed {
        node.kill()
    } else {
        node.stop()
    }
    (0..).zip(sent).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a fresh folder");
    for entry in std::fs::read_dir(from).expect("a folder lists") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("entries have names"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("there is room");
        }
    }
}

fn flip(data: &Path, block: &Block, at: usize, mask: u8) {
    let path = data.join("lane-00").join(block.file.to_string());
    let file = std::fs::File::options().read(true).write(true).open(path).expect("the segment opens");
    let mut byte = [0];
    let position = (block.position + at) as u64;
    file.read_exact_at(&mut byte, position).expect("it reads");
    file.write_all_at(&[byte[0] ^ mask], position).expect("it writes");
}

/// Everything outside of the block is served as it was sent, and nothing else is.
fn check_served(data: &Path, block: &Block, truth: &BTreeMap<i64, Vec<u8>>, what: &str) {
    let node = Node::start(data, &SETTINGS);
    let mut client = node.kafka();
    let (start, end) = (client.offset_at("events", 0, EARLIEST).0, client.offset_at("events", 0, LATEST).0);
    let (first, last) = (*truth.keys().next().expect("records"), *truth.keys().next_back().expect("records"));
    assert_eq!(start, first, "{what}: log start\n{}", node.log());
    assert!(end > last, "{what}: the end is {end}, offset {last} was given out before");
    // One more record behind what was there, whatever became of it: a fetch passes over what is lost to the batch that follows.
    let behind = named(1, 0, 64);
    packets::send(&packets::source(node.udp()), std::slice::from_ref(&behind));
    wait::until_true("a new record is durable", || {
        let now = client.offset_at("events", 0, LATEST).0;
        (now == end + 1, format!("the end is {now}, it was {end}"))
    });
    let mut served = BTreeMap::new();
    client.read_batches("events", 0, start, end + 1, |_, batch| {
        for record in kafka::decoded(batch) {
            served.insert(record.offset, record.value.as_deref().unwrap_or_default().to_vec());
        }
    });
    assert_eq!(served.remove(&end), Some(behind), "{what}: the new record");
    for (offset, value) in &served {
        assert!(truth.get(offset) == Some(value), "{what}: offset {offset} is served as it was never sent\n{}", node.log());
    }
    let lost = |offset: i64| block.offsets.iter().any(|(base, count)| (*base..base + count).contains(&offset.unsigned_abs()));
    let missing: Vec<i64> = truth.keys().copied().filter(|offset| !served.contains_key(offset) && !lost(*offset)).collect();
    assert!(
        missing.is_empty(),
        "{what}: {} offsets beside the block are not served, the first {:?}\n{}",
        missing.len(),
        missing.first(),
        node.log()
    );
    node.stop();
}
