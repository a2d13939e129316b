//! `headworks cat`: what was sent, from the files, beside a running node and without one.

use crate::harness::node::Node;
use crate::harness::packets::{self, named};
use crate::harness::program::{call, check_end, said, text_of};
use crate::harness::random::Random;
use crate::harness::wait;
use std::path::Path;
use std::process::Output;

fn cat(data: &Path, more: &[&str]) -> Output {
    let data = text_of(data);
    call([&["cat", &data, "--stream", "events"], more].concat())
}

fn raw(packets: &[Vec<u8>]) -> Vec<u8> {
    packets.iter().flat_map(|packet| [packet.as_slice(), b"\n"].concat()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every format gives what was sent.
fn check_formats(data: &Path, sent: &[Vec<u8>]) {
    let output = cat(data, &[]);
    assert!(output.stdout == raw(sent), "raw: {} bytes of {}", output.stdout.len(), raw(sent).len());
    let output = cat(data, &["--format", "hex"]);
    let wanted: String = sent.iter().enumerate().map(|(offset, packet)| format!("{offset} {}\n", hex(packet))).collect();
    assert!(output.stdout == wanted.as_bytes(), "hex: {}", said(&output));
    let output = cat(data, &["--format", "json"]);
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert_eq!(lines.len(), sent.len(), "lines of JSON");
    for (offset, (line, packet)) in lines.iter().zip(sent).enumerate() {
        assert_eq!(line["offset"], offset, "{line}");
        let value = line["value"].as_str().map(|text| text.as_bytes().to_vec());
        let found = value.map_or_else(|| line["value_hex"].as_str().expect("text or hex").to_owned(), |value| hex(&value));
        assert_eq!(found, hex(packet), "offset {offset}");
    }
}

#[test]
fn equals_what_was_sent_beside_a_live_node_and_without_one() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let node = Node::start(&data, &["node.lanes=1"]);
    let mut random = Random::announced("cat");
    let mut sent: Vec<_> = (0..500).map(|number| named(0, number, 100)).collect();
    sent.extend(packets::of_sizes(&mut random, &[1, 64, 1400, 65_507]));
    packets::send(&packets::source(node.udp()), &sent);
    node.settled(sent.len() as u64);
    // What is durable is written down by the group after it, which a quiet node starts by itself.
    let wanted = raw(&sent).len();
    wait::until_true("the files say that all of it is durable", || {
        let found = cat(&data, &[]).stdout.len();
        (found == wanted, format!("{found} bytes of {wanted}"))
    });
    check_formats(&data, &sent);
    node.stop();
    check_formats(&data, &sent);
}

#[test]
fn offset_and_count_choose_records() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let node = Node::start(&data, &["node.lanes=1"]);
    let sent: Vec<_> = (0..100).map(|number| named(0, number, 64)).collect();
    packets::send(&packets::source(node.udp()), &sent);
    node.settled(100);
    node.stop();
    for (from, count) in [(0, 1), (0, 100), (37, 5), (99, 10), (100, 10)] {
        let output = cat(&data, &["--offset", &from.to_string(), "--count", &count.to_string()]);
        let wanted = raw(&sent[from..(from + count).min(100)]);
        assert!(output.stdout == wanted, "{count} from {from}: {}", said(&output));
        assert_eq!(output.status.code(), Some(0), "{count} from {from}: {}", said(&output));
    }
}

#[test]
fn records_of_every_run_follow_each_other() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let sent: Vec<_> = (0..90).map(|number| named(0, number, 64)).collect();
    for run in sent.chunks(30) {
        let node = Node::start(&data, &["node.lanes=1"]);
        packets::send(&packets::source(node.udp()), run);
        node.stop();
    }
    check_formats(&data, &sent);
}

#[test]
fn unknown_stream_or_partition_is_a_negative_answer() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    Node::start(&data, &["node.lanes=1"]).stop();
    check_end(&call(["cat", &text_of(&data), "--stream", "other"]), 1, &["no partition 0 of stream other"]);
    check_end(&cat(&data, &["--partition", "7"]), 1, &["no partition 7 of stream events"]);
}

/// Flips a byte of the record that holds the text, in whichever segment it lies.
fn damage(data: &Path, text: &[u8]) {
    let folder = data.join("lane-00");
    for entry in std::fs::read_dir(&folder).expect("a lane's folder lists") {
        let path = entry.expect("an entry").path();
        let mut bytes = std::fs::read(&path).expect("a segment reads");
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text) {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).expect("a segment can be written");
            return;
        }
    }
    panic!("no file in {} holds {:?}", folder.display(), String::from_utf8_lossy(text));
}

#[test]
fn holes_are_named_and_passed_over() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let node = Node::start(&data, &["node.lanes=1"]);
    let sent: Vec<_> = (0..300).map(|number| named(0, number, 200)).collect();
    let socket = packets::source(node.udp());
    for (round, packets) in sent.chunks(100).enumerate() {
        packets::send(&socket, packets);
        node.settled((round as u64 + 1) * 100);
    }
    node.stop();
    damage(&data, &named(0, 150, 200));

    let verified = call(["verify", &text_of(&data)]);
    check_end(&verified, 1, &["damage"]);
    let output = cat(&data, &[]);
    let printed: Vec<usize> =
        output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| packets::name_of(line).1).collect();
    let missing: Vec<usize> = (0..300).filter(|number| !printed.contains(number)).collect();
    let (Some(first), Some(last)) = (missing.first(), missing.last()) else { panic!("the damaged record is printed: {}", said(&output)) };
    assert!(missing.contains(&150) && missing.len() == last - first + 1 && missing.len() <= 100, "one batch is missing: {missing:?}");
    let named_range = format!("offsets {first} to {last} do not hold");
    assert!(said(&output).contains(&named_range), "{named_range}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.is_sorted(), "what is printed is in order");

    // A start makes it a hole: the offsets stay taken, and everything else is served and printed as before.
    let node = Node::start(&data, &["node.lanes=1"]);
    let served: Vec<usize> = super::values(&node, 0).iter().map(|value| packets::name_of(value).1).collect();
    assert_eq!(served, printed, "what the node serves is what is printed");
    node.stop();
    assert_eq!(cat(&data, &[]).stdout, output.stdout, "after the start");
    check_end(&call(["verify", &text_of(&data)]), 1, &["DAMAGE", "cannot be read"]);
}
