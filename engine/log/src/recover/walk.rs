//! Walking one segment: every block is accepted, or the truth table says what becomes of its place.

use super::candidates::Candidate;
use super::window::Window;
use crate::decide::{Evidence, Member, Verdict, decide};
use crate::disk::Disk;
use headworks_format::batch::{self, Produced};
use headworks_format::block::{BLOCK_BYTES_MIN, COUNTERS, Expected, HEAD_BYTES, Head, Validity, inspect};
use headworks_format::checkpoint::{self, Checkpoint, Partition, Producer};
use headworks_format::segment::{DATA_FROM, SegmentId};
use headworks_format::sidecar::{Entry, Hole, HoleState};
use headworks_format::{Chain, PartitionId, Sequence};
use std::collections::BTreeMap;

/// What a lost block reserves in each partition where nothing tells how many records it held: the most that its header
/// could have said. Offsets are 63 bits wide; one given out twice would be a lie.
const BLOCK_RECORDS_MAX: u64 = u32::MAX as u64;

/// How much of each block is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Head page and payload.
    Payload,
    /// One page a block: for segments that were wholly durable before the last one began.
    Heads,
}

/// What the walk is told.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Every block below this number was durable here.
    pub synced: u64,
    /// First block of the next segment, where there is one.
    pub next_base: Option<u64>,
    /// W.
    pub window_bytes: u64,
    /// Whether a later segment holds a valid block more than W bytes on.
    pub later_beyond_window: bool,
    /// Whether nobody else is in the in-sync set.
    pub alone: bool,
    /// How much is read.
    pub depth: Depth,
}

/// Why a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The next segment begins here, or the file ends.
    End,
    /// The log ends here.
    Cut {
        /// Whether what is cut was perhaps acknowledged.
        counted: bool,
        /// The first part that did not hold.
        fault: &'static str,
    },
}

/// What a walk found.
#[derive(Debug, Clone)]
pub struct Walked {
    /// Batches in order of their place.
    pub entries: Vec<Entry>,
    /// Holes in order.
    pub holes: Vec<Hole>,
    /// After the last block.
    pub end_sequence: u64,
    /// Byte after the last block.
    pub end_position: u64,
    /// What the next block carries, where it is known.
    pub end_chain: Option<Chain>,
    /// The lane's partitions with their next offsets at the end.
    pub partitions: Vec<Partition>,
    /// The same at the segment's start.
    pub starts: Vec<Partition>,
    /// Last batches of the idempotent producers at the end, as far as payload was read.
    pub producers: KnownProducers,
    /// Counters of the last block.
    pub counters: Option<[u64; COUNTERS]>,
    /// Wall time of the last block in ns.
    pub newest_ns: u64,
    /// The highest committed hint.
    pub committed: u64,
    /// Valid blocks.
    pub blocks: u64,
    /// Records of valid blocks.
    pub records: u64,
    /// Why the walk ended.
    pub stop: Stop,
}

/// Producers with their partition, as they stand somewhere in the log.
pub type KnownProducers = BTreeMap<(PartitionId, i64), Producer>;

/// Walks a segment; `carried` are the partitions, and `producers` the producers, as the segment before left them.
pub fn walk<D: Disk>(disk: &D, candidate: &Candidate, bounds: &Bounds, carried: &[Partition], producers: &KnownProducers) -> Walked {
    let id = &candidate.id;
    let mut walk = Walk {
        window: Window::new(disk, candidate.file, id.segment_bytes),
        candidate,
        bounds,
        heads: None,
        found: Walked {
            entries: Vec::new(),
            holes: Vec::new(),
            end_sequence: id.base_sequence.0,
            end_position: DATA_FROM as u64,
            end_chain: Some(id.base_chain),
            partitions: carried.to_vec(),
            starts: carried.to_vec(),
            producers: producers.clone(),
            counters: None,
            newest_ns: 0,
            committed: 0,
            blocks: 0,
            records: 0,
            stop: Stop::End,
        },
    };
    while walk.step() {}
    walk.found
}

struct Walk<'a, D: Disk> {
    window: Window<'a, D>,
    candidate: &'a Candidate,
    bounds: &'a Bounds,
    /// Heads from the first hole on, once there is one.
    heads: Option<Vec<(u64, u64)>>,
    found: Walked,
}

impl<D: Disk> Walk<'_, D> {
    /// Looks at the place of one block; false at the end.
    fn step(&mut self) -> bool {
        let (sequence, position) = (self.found.end_sequence, self.found.end_position);
        if self.bounds.next_base.is_some_and(|base| sequence >= base) || position + BLOCK_BYTES_MIN as u64 > self.candidate.id.segment_bytes
        {
            return false;
        }
        let expected = Expected {
            lane: self.candidate.id.lane,
            nonce: self.candidate.id.nonce,
            sequence: Sequence(sequence),
            chain: self.found.end_chain,
        };
        let mut depth = self.bounds.depth;
        if depth == Depth::Heads && self.is_control_at(position) {
            // Names and offsets are taken from it, so its content must prove itself too.
            depth = Depth::Payload;
        }
        let bytes = match depth {
            Depth::Payload => self.window.block_at(position),
            Depth::Heads => self.window.page_at(position),
        };
        let (validity, head) = match depth {
            Depth::Payload => inspect(bytes, &expected),
            Depth::Heads => heads_only(bytes, &expected),
        };
        if let (true, Some(head)) = (validity.is_valid(), head) {
            let checkpoint = head.is_control().then(|| checkpoint::of_block(bytes)).flatten();
            self.found.accept(&head, (depth == Depth::Payload).then_some(bytes));
            if let Some(checkpoint) = checkpoint {
                self.found.take_checkpoint(position, checkpoint);
            }
            return true;
        }
        let fault = validity.first_fault().unwrap_or("block");
        // A head that proves itself and has the expected number tells what its rotten body held.
        let known = head.filter(|_| validity.nonce && validity.lane && validity.sequence).map(|head| Known::of(&head, position));
        self.refuse(fault, known)
    }

    fn refuse(&mut self, fault: &'static str, known: Option<Known>) -> bool {
        let sequence = self.found.end_sequence;
        let evidence = Evidence {
            valid: false,
            synced: sequence < self.bounds.synced,
            beyond_window: self.bounds.later_beyond_window || self.beyond_window(),
            persisted: self.candidate.records.iter().any(|record| record.names_block() && record.sequence.0 == sequence),
            alone: self.bounds.alone,
            member: Member::Silent,
        };
        match decide(&evidence) {
            Verdict::Hole(state) => self.pass_hole(fault, known, state),
            Verdict::Cut { counted } => {
                self.found.stop = Stop::Cut { counted, fault };
                false
            }
            Verdict::Accept | Verdict::Copy => {
                unreachable!("an invalid block with a silent member is a hole or a cut")
            }
        }
    }

    /// Whether a valid head of our nonce stands more than W bytes further on.
    fn beyond_window(&mut self) -> bool {
        let from = self.found.end_position + self.bounds.window_bytes.max(1);
        let next = self.found.end_sequence;
        let id = &self.candidate.id;
        let mut position = from.next_multiple_of(HEAD_BYTES as u64);
        while position + BLOCK_BYTES_MIN as u64 <= id.segment_bytes {
            if let Some(head) = self.window.head_at(position)
                && head.nonce() == id.nonce
                && head.header().lane.get() == id.lane.0
                && head.sequence().0 > next
            {
                return true;
            }
            position += HEAD_BYTES as u64;
        }
        false
    }

    /// Leaves the hole behind: everything up to the next block of ours, or up to where the log is known to reach.
    fn pass_hole(&mut self, fault: &'static str, known: Option<Known>, state: HoleState) -> bool {
        let (sequence, position) = (self.found.end_sequence, self.found.end_position);
        let from = known.as_ref().map_or(position + HEAD_BYTES as u64, |known| known.end_position);
        let below = self.bounds.next_base.unwrap_or(u64::MAX);
        let next = self.next_head(from, |found| found > sequence && found <= below);
        // What was not durable is no hole: behind the last durable block the log may end.
        let reach = self.bounds.synced.max(sequence + 1).min(self.bounds.next_base.unwrap_or(u64::MAX));
        let (end_sequence, end_position) = match next {
            Some((found, at)) => (found, at),
            None if known.is_some() && reach == sequence + 1 => (reach, from),
            None => (reach, self.end_of_last_record(reach).unwrap_or(from)),
        };
        let recorded = |wanted: u64| self.candidate.records.iter().find(move |record| record.names_block() && record.sequence.0 == wanted);
        let chain = known
            .as_ref()
            .filter(|_| end_sequence == sequence + 1)
            .map(|known| known.chain)
            .or_else(|| recorded(end_sequence - 1).map(|record| record.chain));
        // The first block's records are known from its directory where that is whole.
        let others = (sequence + u64::from(known.is_some())..end_sequence)
            .map(|lost| recorded(lost).map_or(BLOCK_RECORDS_MAX, |record| u64::from(record.records)))
            .sum::<u64>();
        self.found.reserve(known.as_ref(), others);
        let (blocks, bytes) = (end_sequence - sequence, end_position - position);
        self.found.holes.push(Hole { sequence: Sequence(sequence), blocks, position, bytes, chain, reason: reason(fault), state });
        (self.found.end_sequence, self.found.end_position, self.found.end_chain) = (end_sequence, end_position, chain);
        true
    }

    fn end_of_last_record(&self, below: u64) -> Option<u64> {
        let last = self
            .candidate
            .records
            .iter()
            .filter(|record| record.names_block() && record.sequence.0 < below)
            .max_by_key(|record| record.sequence)?;
        Some(last.position + u64::from(last.length)).filter(|end| *end > self.found.end_position)
    }

    /// The block with which the log goes on behind a hole: its number and its position. Of the heads of ours from `from` on
    /// the longest run whose numbers rise with their positions is the log; a block that went astray is not on it.
    fn next_head(&mut self, from: u64, wanted: impl Fn(u64) -> bool) -> Option<(u64, u64)> {
        if self.heads.is_none() {
            // One scan serves all holes of a segment.
            self.heads = Some(heads_from(&mut self.window, &self.candidate.id, from));
        }
        let heads = self.heads.iter().flatten();
        let after: Vec<(u64, u64)> = heads.filter(|(number, position)| *position >= from && wanted(*number)).copied().collect();
        first_of_longest_rise(&after)
    }

    /// Whether a head page at `position` says that it is a checkpoint's.
    fn is_control_at(&mut self, position: u64) -> bool {
        self.window.head_alone_at(position).is_some_and(|head| head.is_control())
    }
}

/// Number and position of every head page of the segment's nonce and lane from `from` on.
pub(crate) fn heads_from<D: Disk>(window: &mut Window<'_, D>, id: &SegmentId, from: u64) -> Vec<(u64, u64)> {
    let last = id.segment_bytes.saturating_sub(BLOCK_BYTES_MIN as u64);
    let positions = (from.next_multiple_of(HEAD_BYTES as u64)..=last).step_by(HEAD_BYTES);
    let ours = |position| {
        let head = window.head_at(position)?;
        (head.nonce() == id.nonce && head.header().lane.get() == id.lane.0).then(|| (head.sequence().0, position))
    };
    positions.filter_map(ours).collect()
}

/// What a valid head says of a block whose body does not hold.
struct Known {
    end_position: u64,
    chain: Chain,
    ends: Vec<Entry>,
}

impl Known {
    fn of(head: &Head<'_>, position: u64) -> Known {
        Known {
            end_position: position + head.block_bytes() as u64,
            chain: head.chain(),
            ends: if head.is_control() { Vec::new() } else { head.placed().map(|placed| Entry::of(&placed, position)).collect() },
        }
    }
}

fn heads_only<'a>(page: &'a [u8], expected: &Expected) -> (Validity, Option<Head<'a>>) {
    let Some(Ok(head)) = page.first_chunk::<HEAD_BYTES>().map(Head::parse) else {
        return (Validity::default(), None);
    };
    let validity = Validity { batches: true, padding: true, tail: true, ..Validity::of_head(&head, expected) };
    (validity, Some(head))
}

/// The number that a hole's sidecar entry gives to the part that did not hold.
#[must_use]
pub fn reason(fault: &str) -> u32 {
    let parts = ["head page", "directory", "nonce", "lane", "sequence", "chain", "batch", "padding", "tail stamp"];
    parts.iter().position(|part| *part == fault).map_or(0, |place| u32::try_from(place + 1).expect("nine parts"))
}

impl Walked {
    /// Takes a valid block in; `block`: its bytes, where more than its head was read.
    fn accept(&mut self, head: &Head<'_>, block: Option<&[u8]>) {
        let position = self.end_position;
        if !head.is_control() {
            for placed in head.placed() {
                let entry = Entry::of(&placed, position);
                self.advance(&entry);
                self.entries.push(entry);
                let produced = block.and_then(|block| batch::produced(&block[placed.offset as usize..]));
                if let Some(produced) = produced {
                    self.note(placed.partition, &produced, placed.base_offset);
                }
            }
        }
        self.counters = Some(head.header().counters.map(|counter| counter.get()));
        self.newest_ns = self.newest_ns.max(head.header().wall_ns.get());
        self.committed = self.committed.max(head.header().committed.get());
        self.blocks += 1;
        self.records += u64::from(head.header().records.get());
        self.end_sequence += 1;
        self.end_position += head.block_bytes() as u64;
        self.end_chain = Some(head.chain());
    }

    /// Later entries say exactly where a partition stands, also behind a hole. One that no readable checkpoint names
    /// keeps its number and its offsets under a name of its own: forgetting it would give its offsets out again.
    pub(super) fn advance(&mut self, entry: &Entry) {
        let known = |partitions: &[Partition]| partitions.iter().position(|partition| partition.id == entry.partition);
        if known(&self.starts).is_none() {
            self.starts.push(unnamed(entry));
        }
        let place = known(&self.partitions).unwrap_or_else(|| {
            self.partitions.push(unnamed(entry));
            self.partitions.len() - 1
        });
        self.partitions[place].next_offset = entry.end_offset();
    }

    fn note(&mut self, partition: PartitionId, produced: &Produced, base_offset: u64) {
        self.producers
            .entry((partition, produced.id))
            .and_modify(|known| known.add(produced, base_offset))
            .or_insert_with(|| Producer::begin(partition, produced, base_offset));
    }

    /// A control block names the partitions and says where each one stands, and who produced what last.
    fn take_checkpoint(&mut self, position: u64, checkpoint: Checkpoint) {
        if position == DATA_FROM as u64 {
            self.starts.clone_from(&checkpoint.partitions);
        }
        self.partitions = checkpoint.partitions;
        self.producers = checkpoint.producers.into_iter().map(|producer| ((producer.partition, producer.id), producer)).collect();
    }

    /// Offsets of lost blocks stay reserved: exactly where a directory is whole, else for every partition of the lane.
    fn reserve(&mut self, known: Option<&Known>, others: u64) {
        if let Some(known) = known {
            known.ends.iter().for_each(|entry| self.advance(entry));
        }
        self.partitions.iter_mut().for_each(|partition| partition.next_offset += others);
    }
}

/// The first of the longest run in which numbers rise, in order of positions (patience sorting, n log n).
pub(crate) fn first_of_longest_rise(heads: &[(u64, u64)]) -> Option<(u64, u64)> {
    // For each length the run of that length that ends lowest: its last number and the first head of the run.
    let mut runs: Vec<(u64, (u64, u64))> = Vec::new();
    for head in heads {
        let length = runs.partition_point(|(last, _)| *last < head.0);
        let first = length.checked_sub(1).map_or(*head, |shorter| runs[shorter].1);
        if length == runs.len() {
            runs.push((head.0, first));
        } else {
            runs[length] = (head.0, first);
        }
    }
    runs.last().map(|(_, first)| *first)
}

/// A partition whose name cannot be read, as it stands before `entry`.
fn unnamed(entry: &Entry) -> Partition {
    Partition {
        id: entry.partition,
        stream: format!("unnamed-{}", entry.partition),
        number: 0,
        next_offset: entry.base_offset,
        log_start: entry.base_offset,
    }
}
