//! Heads that lie under a right sum: sizes out of range, entries that do not add up, entries that are not the batch.

use super::flips::resum;
use super::*;
use zerocopy::FromBytes;

/// The block with its header changed and the sum made right again.
fn header_lies(what: &str, fault: HeadFault, change: impl Fn(&mut BlockHeader)) {
    let mut block = whole();
    change(BlockHeader::mut_from_prefix(&mut block).unwrap().0);
    resum(&mut block);
    refused(what, fault, &block);
}

/// The block with its directory changed, likewise.
fn entries_lie(what: &str, fault: Option<HeadFault>, change: impl Fn(&mut [DirectoryEntry])) {
    let mut block = whole();
    let (entries, _) = <[DirectoryEntry]>::mut_from_prefix_with_elems(&mut block[HEADER_BYTES..], 3).unwrap();
    change(entries);
    resum(&mut block);
    match fault {
        Some(fault) => refused(what, fault, &block),
        None => assert_eq!(inspect(&block, &EXPECTED).0.first_fault(), Some("batch"), "{what}"),
    }
}

fn refused(what: &str, fault: HeadFault, block: &[u8]) {
    assert_eq!(Head::parse(block.first_chunk().unwrap()).err(), Some(fault), "{what}");
    let wanted = if fault == HeadFault::Directory { "directory" } else { "head page" };
    check(block, Some(wanted));
}

#[test]
fn sizes_out_of_range_are_refused() {
    let sizes = |what, change: fn(&mut BlockHeader)| header_lies(what, HeadFault::Sizes, change);
    sizes("no block at all", |header| header.block_bytes = 0.into());
    sizes("a page only", |header| header.block_bytes = 4096.into());
    sizes("not a multiple of 4 KiB", |header| header.block_bytes = 8191.into());
    sizes("a page more than the payload takes", |header| header.block_bytes = 12_288.into());
    sizes("beyond the largest block", |header| header.block_bytes = (1_064_960 + 4096).into());
    sizes("4 GiB", |header| header.block_bytes = u32::MAX.into());
    sizes("a payload of 4 GiB", |header| header.payload_bytes = u32::MAX.into());
    sizes("a payload beyond the block", |header| header.payload_bytes = 4_081.into());
    sizes("no batch", |header| header.batches = 0.into());
    sizes("a batch more than the directory holds", |header| header.batches = 121.into());
    sizes("2³² − 1 batches", |header| header.batches = u32::MAX.into());
    sizes("an epoch of 2³¹", |header| header.epoch = 0x8000_0000.into());
}

#[test]
fn another_magic_or_version_is_refused() {
    header_lies("magic", HeadFault::Magic, |header| header.magic = (MAGIC ^ 1).into());
    header_lies("version", HeadFault::Magic, |header| header.version = (VERSION + 1).into());
    let zeros = vec![0; BLOCK_BYTES_MIN];
    refused("zeros", HeadFault::Magic, &zeros);
}

#[test]
fn a_directory_that_does_not_add_up_is_refused() {
    let lies = |what, change: fn(&mut [DirectoryEntry])| entries_lie(what, Some(HeadFault::Directory), change);
    lies("the second overlaps the first", |entries| entries[1].offset -= 1);
    lies("a gap before the second", |entries| entries[1].offset += 1);
    lies("the first begins in the head page", |entries| entries[0].offset = 4_095.into());
    lies("the first begins behind byte 4096", |entries| entries[0].offset = 4_097.into());
    lies("an empty batch", |entries| {
        entries[0].length = 0.into();
        entries[1].offset = 4_096.into();
    });
    lies("the last is longer than the payload", |entries| entries[2].length += 1);
    lies("the last is shorter than the payload", |entries| entries[2].length -= 1);
    lies("lengths of 4 GiB", |entries| entries.iter_mut().for_each(|entry| entry.length = u32::MAX.into()));
    lies("two batches changed places", |entries| entries.swap(0, 1));
    lies("a record more", |entries| entries[0].records += 1);
    lies("a batch without records", |entries| {
        let records = entries[0].records;
        entries[2].records += records;
        entries[0].records = 0.into();
    });
    lies("records whose sum passes 2³²", |entries| entries.iter_mut().for_each(|entry| entry.records = u32::MAX.into()));
    lies("control content among batches", |entries| entries[1].partition = PartitionId::CONTROL.0.into());
    lies("offsets beyond 2⁶³", |entries| entries[0].base_offset = (crate::units::OFFSET_MAX - 1).into());
    lies("offsets beyond 2⁶⁴", |entries| entries[0].base_offset = u64::MAX.into());
}

#[test]
fn a_header_that_does_not_fit_its_directory_is_refused() {
    let lies = |what, change: fn(&mut BlockHeader)| header_lies(what, HeadFault::Directory, change);
    lies("a record more than the batches have", |header| header.records += 1);
    lies("a byte more than the batches have", |header| header.payload_bytes += 1);
    lies("a batch fewer", |header| header.batches -= 1);
    lies("a batch more", |header| header.batches += 1);
    lies("batches said to be a checkpoint", |header| header.flags = FLAG_CONTROL.into());
}

#[test]
fn a_control_block_counts_no_records() {
    let mut block = control_block_of(b"content", &STAMP);
    BlockHeader::mut_from_prefix(&mut block).unwrap().0.records = 1.into();
    let (entry, _) = DirectoryEntry::mut_from_prefix(&mut block[HEADER_BYTES..]).unwrap();
    entry.records = 1.into();
    resum(&mut block);
    refused("a control block with a record", HeadFault::Directory, &block);
}

#[test]
fn an_entry_that_is_not_its_batch_is_found() {
    let lies = |what, change: fn(&mut [DirectoryEntry])| entries_lie(what, None, change);
    lies("another sum", |entries| entries[1].crc += 1);
    lies("another first offset", |entries| entries[1].base_offset += 1);
    lies("records moved from one to the other", |entries| {
        entries[0].records += 1;
        entries[2].records -= 1;
    });
    lies("a byte moved from one to the other", |entries| {
        entries[0].length += 1;
        entries[1].offset += 1;
        entries[1].length -= 1;
    });
    let mut block = whole();
    BlockHeader::mut_from_prefix(&mut block).unwrap().0.epoch += 1;
    resum(&mut block);
    check(&block, Some("batch"));
}
