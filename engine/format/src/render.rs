//! Renders the tables of `FORMAT.md` from the structures themselves; a test compares them with the file, so that the
//! specification cannot say anything else than the code.

use crate::units::{EPOCH_MAX, OFFSET_MAX};
use crate::{Field, batch, block, checkpoint, committed, register, segment, sidecar, superblock, witness};
use core::fmt::Write as _;

/// Every table of `FORMAT.md` with its name: the structures, then counters and limits.
#[must_use]
pub fn tables() -> Vec<(&'static str, String)> {
    let structures = structures().into_iter().map(|(name, fields)| (name, table(fields)));
    let committed = [("Committed key", parts(&committed::KEY_FIELDS)), ("Committed value", parts(&committed::VALUE_FIELDS))];
    structures.chain(committed).chain([("Counters", counters()), ("Limits", limits())]).collect()
}

/// Every structure with the heading that it has in `FORMAT.md`.
#[must_use]
pub fn structures() -> Vec<(&'static str, &'static [Field])> {
    vec![
        ("Block header", block::BlockHeader::FIELDS),
        ("Directory entry", block::DirectoryEntry::FIELDS),
        ("Tail stamp", block::TailStamp::FIELDS),
        ("Record batch header", batch::BatchHeader::FIELDS),
        ("Segment header", segment::SegmentHeader::FIELDS),
        ("Persist record", segment::PersistRecord::FIELDS),
        ("Checkpoint header", checkpoint::CheckpointHeader::FIELDS),
        ("Checkpoint partition", checkpoint::CheckpointPartition::FIELDS),
        ("Checkpoint producer", checkpoint::CheckpointProducer::FIELDS),
        ("Sidecar header", sidecar::SidecarHeader::FIELDS),
        ("Index entry", sidecar::IndexEntry::FIELDS),
        ("Hole", sidecar::HoleEntry::FIELDS),
        ("Superblock copy", superblock::SuperblockPage::FIELDS),
        ("Register record", register::RegisterRecord::FIELDS),
        ("Witness head", witness::WitnessHead::FIELDS),
    ]
}

/// One structure as a Markdown table.
#[must_use]
pub fn table(fields: &[Field]) -> String {
    let mut text = String::from("| offset | bytes | field | meaning |\n| ---: | ---: | --- | --- |\n");
    for field in fields {
        writeln!(text, "| {} | {} | `{}` | {} |", field.offset, field.bytes, field.name, field.meaning).expect("writing to a string");
    }
    text
}

/// A sequence of parts of no fixed length as a Markdown table.
fn parts(fields: &[(&str, &str, &str)]) -> String {
    let mut text = String::from("| bytes | field | meaning |\n| ---: | --- | --- |\n");
    for (bytes, name, meaning) in fields {
        writeln!(text, "| {bytes} | `{name}` | {meaning} |").expect("writing to a string");
    }
    text
}

/// The counters of a block's header as a Markdown table.
#[must_use]
pub fn counters() -> String {
    let mut text = String::from("| index | counter |\n| ---: | --- |\n");
    for (index, name) in block::COUNTER_NAMES.iter().enumerate() {
        writeln!(text, "| {index} | `{name}` |").expect("writing to a string");
    }
    text
}

/// Limits and sizes as a Markdown table.
#[must_use]
pub fn limits() -> String {
    let rows: [(&str, usize); 23] = [
        ("page and head page, bytes", block::HEAD_BYTES),
        ("smallest block, bytes", block::BLOCK_BYTES_MIN),
        ("largest block, bytes", block::BLOCK_BYTES_MAX),
        ("largest payload, bytes", block::PAYLOAD_BYTES_MAX),
        ("largest record batch, bytes", batch::BATCH_BYTES_MAX),
        ("batches of a block", block::BATCHES_MAX),
        ("record pages of a segment", segment::RECORD_PAGES),
        ("blocks of a group commit", segment::GROUP_BLOCKS_MAX),
        ("first block of a segment at byte", segment::DATA_FROM),
        ("smallest segment that is made, bytes", segment::SEGMENT_BYTES_MIN),
        ("smallest segment that is read, bytes", segment::SEGMENT_BYTES_READ_MIN),
        ("largest segment, bytes", segment::SEGMENT_BYTES_MAX),
        ("batches of a segment", sidecar::ENTRIES_MAX),
        ("partitions of a lane", checkpoint::PARTITIONS_MAX),
        ("name of a stream, bytes", checkpoint::NAME_BYTES_MAX),
        ("name of a consumer group, bytes", committed::NAME_BYTES_MAX),
        ("text of a committed offset, bytes", committed::METADATA_BYTES_MAX),
        ("lanes of a node", superblock::LANES_MAX),
        ("name of a node, bytes", superblock::NAME_BYTES_MAX),
        ("intervals unobserved", superblock::UNOBSERVED_MAX),
        ("superblock file, bytes", superblock::FILE_BYTES),
        ("largest epoch", EPOCH_MAX.0 as usize),
        ("largest offset", usize::try_from(OFFSET_MAX).expect("64-bit targets only")),
    ];
    let mut text = String::from("| limit | value |\n| --- | ---: |\n");
    for (name, value) in rows {
        writeln!(text, "| {name} | {value} |").expect("writing to a string");
    }
    text
}
