//! What the log was given and what it said of it: the truth that the checks compare the disk with.

use crate::breach::{Breach, check};
use crate::disk::SimDisk;
use headworks_format::Nonce;
use headworks_format::block::{self, COUNTERS};
use headworks_log::FileNumber;
use std::collections::{BTreeMap, BTreeSet};

/// A batch of an appended block.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// Its partition's id.
    pub partition: u32,
    /// Offset of its first record.
    pub base: u64,
    /// Its records.
    pub records: u32,
    /// Its first byte in the block.
    pub at: usize,
    /// Its bytes.
    pub length: usize,
}

/// An appended block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its segment's nonce.
    pub nonce: Nonce,
    /// Where it was written.
    pub file: FileNumber,
    /// Its first byte there.
    pub position: u64,
    /// Its bytes, stamped.
    pub bytes: Vec<u8>,
    /// Its batches; none in a checkpoint.
    pub batches: Vec<Batch>,
    /// Its records.
    pub records: u64,
    /// Whether the log said that it is durable, or recovery took it into the log.
    pub durable: bool,
    /// Whether recovery said that it is lost.
    pub lost: bool,
}

/// The truth of one run.
#[derive(Debug, Default)]
pub struct Model {
    /// The log's blocks that are not retired, by number.
    pub live: BTreeMap<u64, Block>,
    /// Every block number below was retired by the log itself.
    pub start: u64,
    /// For each partition the offset that its next record must get.
    pub next: BTreeMap<u32, u64>,
    /// The counters of each data block that was not cut, by number.
    counters: BTreeMap<u64, [u64; COUNTERS]>,
    /// The end of each batch that was not cut, by block number.
    ends: BTreeMap<u64, Vec<(u32, u64)>>,
    /// Every batch that was ever appended, by partition and offset.
    ever: BTreeMap<(u32, u64), Vec<Vec<u8>>>,
    /// Names of partitions by id.
    pub names: BTreeMap<u32, String>,
}

impl Model {
    /// Takes an appended block; its offsets must be the next of their partitions.
    ///
    /// # Errors
    /// An offset is given out twice or left out.
    pub fn append(&mut self, sequence: u64, file: FileNumber, position: u64, bytes: Vec<u8>) -> Result<(), Breach> {
        let page = bytes.first_chunk().expect("a block has a head page");
        let head = block::Head::parse(page).map_err(|fault| Breach::new("stamped blocks hold", format!("block {sequence}: {fault:?}")))?;
        let (nonce, records) = (head.nonce(), u64::from(head.header().records.get()));
        let mut batches = Vec::new();
        if !head.is_control() {
            self.counters.insert(sequence, head.header().counters.map(|counter| counter.get()));
            batches.extend(head.placed().map(|placed| Batch {
                partition: placed.partition.0,
                base: placed.base_offset,
                records: placed.records,
                at: placed.offset as usize,
                length: placed.length as usize,
            }));
        }
        for batch in &batches {
            let next = self.next.entry(batch.partition).or_default();
            check("offsets are dense and never given twice", batch.base == *next, || {
                format!("partition {}: offset {} given, {next} is next", batch.partition, batch.base)
            })?;
            *next += u64::from(batch.records);
            self.ends.entry(sequence).or_default().push((batch.partition, *next));
            self.ever.entry((batch.partition, batch.base)).or_default().push(bytes[batch.at..batch.at + batch.length].to_vec());
        }
        let block = Block { nonce, file, position, bytes, batches, records, durable: false, lost: false };
        self.live.insert(sequence, block);
        Ok(())
    }

    /// The log says that everything below `durable` is: by the contract of the disk it must be on the medium.
    ///
    /// # Errors
    /// A block is not there.
    pub fn durable(&mut self, durable: u64, disk: &SimDisk, look: bool) -> Result<u64, Breach> {
        let mut newly = 0;
        for (sequence, block) in self.live.range_mut(..durable).rev().take_while(|(_, block)| !block.durable) {
            block.durable = true;
            newly += 1;
            check(
                "durable blocks were synced after they were written",
                !look || disk.should_hold(block.file, block.position, &block.bytes),
                || format!("block {sequence} is called durable and {} does not hold it", block.file),
            )?;
        }
        Ok(newly)
    }

    /// Takes out what recovery cut and, below `first`, what retention took: the blocks that left at the end.
    pub fn leave(&mut self, first: u64, next: u64) -> BTreeMap<u64, Block> {
        self.live = self.live.split_off(&first);
        self.counters.split_off(&next);
        self.ends.split_off(&next);
        self.live.split_off(&next)
    }

    /// The end of each partition over all blocks that were not cut.
    #[must_use]
    pub fn ends(&self) -> BTreeMap<u32, u64> {
        let mut ends = BTreeMap::new();
        for (partition, end) in self.ends.values().flatten() {
            let known = ends.entry(*partition).or_insert(0);
            *known = (*known).max(*end);
        }
        ends
    }

    /// Forgets where partitions ended, but for some that have records in the log yet.
    pub fn keep_partitions(&mut self, keep: impl Fn(u32) -> bool) {
        let used: BTreeSet<u32> = self.live.values().flat_map(|block| block.batches.iter().map(|batch| batch.partition)).collect();
        for ends in self.ends.values_mut() {
            ends.retain(|(partition, _)| keep(*partition) || used.contains(partition));
        }
    }

    /// Forgets the offsets of lost blocks that were never called durable.
    pub fn drop_unseen(&mut self) {
        for (sequence, _) in self.live.iter().filter(|(_, block)| block.lost && !block.durable) {
            self.ends.remove(sequence);
        }
    }

    /// The counters of the last data block that was not cut.
    #[must_use]
    pub fn last_counters(&self) -> [u64; COUNTERS] {
        self.counters.last_key_value().map_or([0; COUNTERS], |(_, counters)| *counters)
    }

    /// Whether these bytes were ever appended there.
    #[must_use]
    pub fn was_produced(&self, partition: u32, base: u64, bytes: &[u8]) -> bool {
        self.ever.get(&(partition, base)).is_some_and(|all| all.iter().any(|known| known == bytes))
    }

    /// The live batches: block number and bytes, by partition and offset.
    #[must_use]
    pub fn batches(&self) -> BTreeMap<(u32, u64), (u64, &[u8])> {
        let of_block = |(sequence, block)| {
            let (sequence, block): (&u64, &Block) = (sequence, block);
            block.batches.iter().map(move |batch| {
                let bytes = &block.bytes[batch.at..batch.at + batch.length];
                ((batch.partition, batch.base), (*sequence, bytes))
            })
        };
        self.live.iter().flat_map(of_block).collect()
    }

    /// The files that hold live blocks.
    #[must_use]
    pub fn files(&self) -> Vec<FileNumber> {
        let files: BTreeSet<_> = self.live.values().map(|block| block.file).collect();
        files.into_iter().collect()
    }
}
