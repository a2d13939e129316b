//! What is true of the pair as a whole, which no node sees, and the promises that are held against it.

use super::batches::as_sent;
use crate::breach::{Breach, check};
use headworks_format::block::{HEAD_BYTES, Head};
use headworks_format::{Chain, Epoch, batch};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A batch that a client was told is committed.
#[derive(Debug, Clone, Copy)]
pub struct Acked {
    /// Its lane.
    pub lane: usize,
    /// Its partition.
    pub partition: u32,
    /// Its first offset.
    pub base: u64,
    /// Its block.
    pub sequence: u64,
    /// That block's chain: which one it is.
    pub chain: Chain,
}

/// A committed batch.
#[derive(Debug, Clone)]
struct Batch {
    sequence: u64,
    bytes: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Truth {
    /// Committed blocks of each lane.
    pub committed: Vec<BTreeMap<u64, Chain>>,
    /// Every block that was ever stamped.
    blocks: BTreeMap<[u8; 16], Arc<[u8]>>,
    /// Committed batches by lane, partition and offset.
    batches: BTreeMap<(usize, u32, u64), Batch>,
    /// Every batch that a client has sent.
    sent: BTreeSet<Vec<u8>>,
    /// Where batches of clients that number them are committed.
    once: BTreeMap<(i64, i32), (usize, u32, u64)>,
    committers: BTreeMap<Epoch, usize>,
    /// How far each lane was committed by who led in an epoch.
    through: BTreeMap<Epoch, Vec<u64>>,
    leaders: BTreeMap<Epoch, (usize, u64)>,
    /// What clients were told.
    pub acked: Vec<Acked>,
    /// Blocks that each node's log called durable, by lane.
    pub durable: [Vec<BTreeMap<u64, Chain>>; 2],
    register_epoch: Epoch,
    /// What a rotten disk has lost is not looked for.
    pub rots: bool,
}

impl Truth {
    /// Nothing has happened.
    pub fn new(lanes: u32) -> Truth {
        let lanes = lanes as usize;
        Truth {
            committed: vec![BTreeMap::new(); lanes],
            blocks: BTreeMap::new(),
            batches: BTreeMap::new(),
            sent: BTreeSet::new(),
            once: BTreeMap::new(),
            committers: BTreeMap::new(),
            through: BTreeMap::new(),
            leaders: BTreeMap::new(),
            acked: Vec::new(),
            durable: [vec![BTreeMap::new(); lanes], vec![BTreeMap::new(); lanes]],
            register_epoch: Epoch(0),
            rots: false,
        }
    }

    /// A client sends a batch.
    pub fn sends(&mut self, bytes: &[u8]) {
        self.sent.insert(bytes.to_vec());
    }

    /// A block was stamped, or taken from the other node.
    pub fn has_block(&mut self, chain: Chain, bytes: &Arc<[u8]>) {
        self.blocks.entry(chain.0).or_insert_with(|| Arc::clone(bytes));
    }

    /// The register was looked at.
    ///
    /// # Errors
    /// An epoch went back.
    pub fn register(&mut self, epoch: Epoch) -> Result<(), Breach> {
        let before = std::mem::replace(&mut self.register_epoch, epoch);
        check("epochs only rise", epoch >= before, || format!("epoch {epoch} after {before}"))
    }

    /// A node leads. What was committed in earlier epochs is in its log; a later one may have begun already, and then it commits nothing.
    ///
    /// # Errors
    /// Another one does, in the same epoch, or committed blocks are not in its log.
    pub fn leads(&mut self, node: (usize, u64), epoch: Epoch, lanes: &[&BTreeMap<u64, Chain>], starts: &[u64]) -> Result<(), Breach> {
        let known = *self.leaders.entry(epoch).or_insert(node);
        check("one node leads an epoch", known == node, || format!("{node:?} leads epoch {epoch}, and {known:?} did"))?;
        let through = |lane: usize| self.through.range(..epoch).map(|(_, through)| through[lane]).max().unwrap_or(0);
        for (lane, chains) in lanes.iter().enumerate() {
            for (sequence, chain) in self.committed[lane].range(starts[lane]..through(lane).max(starts[lane])) {
                check("whoever leads has everything committed", chains.get(sequence) == Some(chain) || self.rots, || {
                    format!("node {} leads epoch {epoch} of lane {lane} without block {sequence} as it was committed", node.0)
                })?;
            }
        }
        for acked in &self.acked {
            let later = acked.sequence >= through(acked.lane);
            let has = later || acked.sequence < starts[acked.lane] || lanes[acked.lane].get(&acked.sequence) == Some(&acked.chain);
            check("whoever leads has everything acknowledged", has || self.rots, || {
                format!("node {} leads epoch {epoch} of lane {} without block {}", node.0, acked.lane, acked.sequence)
            })?;
        }
        Ok(())
    }

    /// A node has committed a block; `leads`: in which epoch it does.
    ///
    /// # Errors
    /// Another block is committed there, or somebody else commits in that epoch.
    pub fn commits(&mut self, node: usize, lane: usize, sequence: u64, chain: Chain, leads: Option<Epoch>) -> Result<(), Breach> {
        if let Some(epoch) = leads {
            let committer = *self.committers.entry(epoch).or_insert(node);
            check("one node commits in an epoch", committer == node, || format!("nodes {committer} and {node} commit in epoch {epoch}"))?;
            let lanes = self.committed.len();
            let through = &mut self.through.entry(epoch).or_insert_with(|| vec![0; lanes])[lane];
            *through = (*through).max(sequence + 1);
        }
        let known = self.committed[lane].get(&sequence).copied();
        check("what is committed never changes", known.is_none_or(|known| known == chain), || {
            format!("node {node} commits another block {sequence} of lane {lane} ({leads:?})")
        })?;
        if known.is_some() {
            return Ok(());
        }
        check("only who leads commits first", leads.is_some(), || {
            format!("node {node} follows and commits block {sequence} of lane {lane} before anybody")
        })?;
        self.committed[lane].insert(sequence, chain);
        let Some(bytes) = self.blocks.get(&chain.0).cloned() else {
            return Err(Breach::new("what is committed was stamped", format!("block {sequence} of lane {lane}")));
        };
        self.shows(lane, sequence, &bytes)
    }

    /// A block's batches are shown to consumers from now on.
    fn shows(&mut self, lane: usize, sequence: u64, block: &[u8]) -> Result<(), Breach> {
        let page = block.first_chunk::<HEAD_BYTES>().expect("a block has a head page");
        let head = Head::parse(page).map_err(|fault| Breach::new("stamped blocks hold", format!("{fault:?}")))?;
        if head.is_control() {
            return Ok(());
        }
        for placed in head.placed() {
            let at = placed.offset as usize;
            let bytes = block[at..at + placed.length as usize].to_vec();
            let key = (lane, placed.partition.0, placed.base_offset);
            check("nothing is committed that was not produced", self.sent.contains(&as_sent(&bytes)), || format!("{key:?}"))?;
            if let Some(produced) = batch::produced(&bytes) {
                let before = self.once.insert((produced.id, produced.first), key);
                check("a numbered batch is committed once", before.is_none(), || {
                    format!("batch {} of client {} stands at {before:?} and {key:?}", produced.first, produced.id)
                })?;
            }
            let before = self.batches.insert(key, Batch { sequence, bytes });
            check("an offset is given once", before.is_none(), || format!("{key:?}"))?;
        }
        Ok(())
    }

    /// A client is told that its batch is committed.
    ///
    /// # Errors
    /// It is not, or another one stands there.
    pub fn acknowledges(&mut self, lane: usize, partition: u32, base: u64, sent: &[u8]) -> Result<(), Breach> {
        let found = self.batches.get(&(lane, partition, base));
        let same = found.is_some_and(|found| as_sent(&found.bytes) == sent);
        check("what is acknowledged is committed", same, || {
            format!("offset {base} of partition {partition} in lane {lane}: {}", if found.is_some() { "another batch" } else { "nothing" })
        })?;
        if let Some(found) = found {
            let (sequence, chain) = (found.sequence, self.committed[lane][&found.sequence]);
            self.acked.push(Acked { lane, partition, base, sequence, chain });
        }
        Ok(())
    }

    /// A consumer is given a batch.
    ///
    /// # Errors
    /// It is none that is committed there.
    pub fn serves(&self, lane: usize, partition: u32, base: u64, bytes: &[u8]) -> Result<(), Breach> {
        let same = self.batches.get(&(lane, partition, base)).is_some_and(|known| known.bytes == bytes);
        check("what is served is committed, byte for byte", same, || format!("offset {base} of partition {partition} in lane {lane}"))
    }

    /// A node's log has called a block durable.
    pub fn is_durable(&mut self, node: usize, lane: usize, sequence: u64, chain: Chain) {
        self.durable[node][lane].insert(sequence, chain);
    }

    /// A node's log is what it was found to be, after a start or a cut: what was durable is there, or in quarantine, or, below `shared`,
    /// is committed or in the other node's log as well.
    ///
    /// # Errors
    /// It is nowhere.
    pub fn finds(
        &mut self,
        (node, lane): (usize, usize),
        found: &BTreeMap<u64, Chain>,
        start: u64,
        shared: u64,
        is_kept: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Breach> {
        let before = std::mem::replace(&mut self.durable[node][lane], found.clone());
        for (sequence, chain) in before.range(start..).filter(|(sequence, chain)| found.get(sequence) != Some(*chain)) {
            let elsewhere = self.committed[lane].get(sequence) == Some(chain) || self.durable[1 - node][lane].get(sequence) == Some(chain);
            let kept = (*sequence < shared && elsewhere) || self.blocks.get(&chain.0).is_some_and(|bytes| is_kept(bytes));
            check("what was durable is in the log or in quarantine", kept || self.rots, || {
                format!("block {sequence} of lane {lane} of node {node} is nowhere")
            })?;
        }
        Ok(())
    }

    /// Lane, partition and offset of everything that was acknowledged.
    pub fn acknowledged(&self) -> BTreeSet<(usize, u32, u64)> {
        self.acked.iter().map(|acked| (acked.lane, acked.partition, acked.base)).collect()
    }

    /// A node's disk is gone.
    pub fn loses_disk(&mut self, node: usize) {
        self.durable[node].iter_mut().for_each(BTreeMap::clear);
    }
}
