//! The store over lanes.

use super::chunks::Chunks;
use super::commits::Commits;
use super::door::{Door, DoorParts};
use super::files::{self, Sidecars};
use super::harm::{Healer, Healing};
use crate::cluster::Cluster;
use crate::store::{AppendError, Appended, CreateError, EpochEnd, Level, PartitionState, ReadError, Store, TimedOffset, Topic};
use bytes::{Bytes, BytesMut};
use headworks_format::sidecar::Entry;
use headworks_format::{Epoch, Nonce, batch};
use headworks_io::Wake;
use headworks_log::history::{self, Hint, Place};
use headworks_log::view::{Found, SealedSegment};
use headworks_log::{Disk, FileNumber, LaneView};
use headworks_ring::Readers;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Looks that one read takes before it says that the storage fails: a segment may be given back between look and read.
const LOOKS_MAX: usize = 8;

/// A lane as the gateway sees it.
pub struct Lane<D> {
    /// Its published state.
    pub view: Arc<LaneView>,
    /// Its ring's readers.
    pub readers: Readers,
    /// Its directory.
    pub disk: Arc<D>,
    /// Where producers come in.
    pub door: DoorParts,
}

/// A lane's read side.
pub(super) struct Reading<D> {
    pub view: Arc<LaneView>,
    pub readers: Readers,
    pub disk: Arc<D>,
}

/// What reading came to; shared with the metrics. Each number stands for itself.
#[derive(Debug, Clone, Default)]
pub struct Reads(Arc<ReadCounts>);

#[derive(Debug, Default)]
struct ReadCounts {
    unreadable: AtomicU64,
    copied_bytes: AtomicU64,
    read_bytes: AtomicU64,
}

impl Reads {
    /// Batches that did not hold and were passed over.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.0.unreadable.load(Ordering::Relaxed)
    }

    /// Bytes of batches that were copied: out of ring slots, and out of chunks of history that should not be held for them.
    #[must_use]
    pub fn copied_bytes(&self) -> u64 {
        self.0.copied_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of batches that were handed to consumers.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.0.read_bytes.load(Ordering::Relaxed)
    }
}

/// Bytes of batches together.
fn bytes_of(batches: &[Bytes]) -> u64 {
    batches.iter().map(|bytes| bytes.len() as u64).sum()
}

/// Where a partition lives: the lane, and its place in the lane's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct At {
    pub lane: usize,
    pub place: usize,
}

/// The committed log of all lanes.
pub struct LaneStore<D: Disk> {
    pub(super) lanes: Vec<Reading<D>>,
    pub(super) doors: Vec<RefCell<Door>>,
    cluster: Cluster,
    /// Which beginning to lead was taken note of, and where each lane's epoch began then.
    begun: Cell<u64>,
    took_over: RefCell<Vec<u64>>,
    /// Partitions in all lanes when topics were last made of them.
    partitions_seen: Cell<usize>,
    pub(super) topics: RefCell<BTreeMap<String, Vec<At>>>,
    /// Names of topics that are being made.
    pub(super) making: RefCell<BTreeSet<String>>,
    /// Partitions that are being made, by lane.
    pub(super) growing: RefCell<Vec<usize>>,
    pub(super) next_id: Cell<u32>,
    producers_made: Cell<u32>,
    pub(super) commits: Commits,
    pub(super) sidecars: Sidecars,
    chunks: Chunks<D::Buffer>,
    hints: RefCell<HashMap<At, Hint>>,
    reads: Reads,
    healer: Option<Healer>,
}

impl<D: Disk + Send + Sync + 'static> LaneStore<D>
where
    D::Buffer: Send + 'static,
{
    /// Over the lanes; `commits` is rung by the log loop after each group commit.
    #[must_use]
    pub fn new(lanes: Vec<Lane<D>>, commits: Wake, reads: Reads, cluster: Cluster) -> LaneStore<D> {
        let split = |lane: Lane<D>| {
            let Lane { view, readers, disk, door } = lane;
            (Reading { view, readers, disk }, RefCell::new(Door::new(door)))
        };
        let (lanes, doors): (Vec<_>, _) = lanes.into_iter().map(split).unzip();
        let catalog = Catalog::of(&lanes);
        LaneStore {
            growing: RefCell::new(vec![0; lanes.len()]),
            took_over: RefCell::new(vec![0; lanes.len()]),
            lanes,
            doors,
            cluster,
            begun: Cell::new(0),
            partitions_seen: Cell::new(catalog.partitions),
            topics: RefCell::new(catalog.topics),
            making: RefCell::default(),
            next_id: Cell::new(catalog.next_id),
            producers_made: Cell::new(0),
            commits: Commits::new(commits),
            sidecars: Sidecars::default(),
            chunks: Chunks::default(),
            hints: RefCell::default(),
            reads,
            healer: None,
        }
    }

    /// What does not hold is healed by whoever listens there.
    #[must_use]
    pub fn with_healer(self, healer: Option<Healer>) -> LaneStore<D> {
        LaneStore { healer, ..self }
    }

    fn state_at(&self, at: At) -> PartitionState {
        let view = &self.lanes[at.lane].view;
        // Log start first: it only grows, and never beyond a watermark read later.
        let log_start = view.log_start(at.place);
        let high_watermark = view.partitions[at.place].high_watermark();
        PartitionState {
            log_start: offset(log_start),
            high_watermark: offset(high_watermark),
            log_end: offset(view.partitions[at.place].log_end().max(high_watermark)),
            leader_epoch: i32::try_from(view.epoch().0).expect("epochs are below 2^31"),
        }
    }

    pub(super) async fn read_at(&self, at: At, asked: u64, bytes_max: usize) -> Result<Vec<Bytes>, ReadError> {
        let view = &self.lanes[at.lane].view;
        let mut from = asked;
        for _ in 0..LOOKS_MAX {
            match self.look(at, from, bytes_max).await {
                // Retention was faster than the read: what begins behind the gap is not what was asked for.
                Some(Outcome::Batches(batches)) if begins_behind(&batches, from) && from < view.log_start(at.place) => {
                    return Err(ReadError::OutOfRange(self.state_at(at)));
                }
                Some(Outcome::Batches(batches)) => return Ok(batches),
                Some(Outcome::End) if from == asked => return Ok(Vec::new()),
                // Not lost: the reader comes again until the other node has answered.
                Some(Outcome::Pending) if from == asked => return Err(ReadError::Storage),
                Some(Outcome::End | Outcome::Pending) => break,
                Some(Outcome::Lost(end)) => from = end,
                None => {}
            }
        }
        if from > asked {
            // Nothing up to here can be read any more: said by an empty batch, so that the consumer goes on behind it.
            return Ok(vec![Bytes::copy_from_slice(&batch::empty(asked, from, view.epoch()))]);
        }
        tracing::error!(lane = at.lane, place = at.place, offset = from, "no batch could be read after {LOOKS_MAX} looks");
        Err(ReadError::Storage)
    }

    /// One look for the batch that contains `from` or the first after it; none when its segment was given back meanwhile.
    async fn look(&self, at: At, from: u64, bytes_max: usize) -> Option<Outcome> {
        let lane = &self.lanes[at.lane];
        let hint = self.hints.borrow().get(&at).copied();
        // Before the look: what is committed later is not what was lost.
        let high_watermark = lane.view.partitions[at.place].high_watermark();
        match history::find(&lane.view, at.place, from, bytes_max, hint) {
            Place::Beyond => Some(Outcome::End),
            Place::Fresh { file, nonce, epoch, batches } => {
                let last = batches.last().expect("at least one batch");
                self.hints.borrow_mut().insert(at, Hint { nonce, at: last.at, offset: last.entry.base_offset });
                self.fresh(at, (file, nonce, epoch), &batches).await
            }
            Place::Sealed(segments) => match self.sealed(at, &segments, (from, high_watermark), bytes_max).await? {
                Outcome::End => {
                    Some(Outcome::Lost(history::after_sealed(&lane.view, at.place, from).unwrap_or(high_watermark).max(from + 1)))
                }
                found => Some(found),
            },
        }
    }

    /// Batches of a fresh segment: from the slots as far as they are still there, else from the file.
    async fn fresh(&self, at: At, (file, nonce, epoch): (FileNumber, Nonce, Epoch), batches: &[Found]) -> Option<Outcome> {
        let copied = copy_tail(&self.lanes[at.lane].readers, batches);
        if !copied.is_empty() {
            self.reads.0.copied_bytes.fetch_add(bytes_of(&copied), Ordering::Relaxed);
            return Some(Outcome::Batches(copied));
        }
        let read = self.history(at, file, epoch, batches.iter().map(|found| found.entry).collect()).await;
        self.judge(at, (file, nonce), read).await
    }

    /// Batches of the first of the segments that has any, or the end of them; none when one was given back meanwhile.
    async fn sealed(&self, at: At, segments: &[Arc<SealedSegment>], (from, below): (u64, u64), bytes_max: usize) -> Option<Outcome> {
        let lane = &self.lanes[at.lane];
        let partition = lane.view.partitions[at.place].id;
        for segment in segments {
            let entries = self.sidecars.entries(&lane.disk, segment.file, segment.nonce).await?;
            let run: Vec<Entry> = history::run_of(&entries, partition, from, below, bytes_max).to_vec();
            if run.is_empty() {
                continue;
            }
            let read = self.history(at, segment.file, segment.epoch, run).await;
            if segment.end_sequence <= lane.view.start() {
                return None;
            }
            return self.judge(at, (segment.file, segment.nonce), read).await;
        }
        Some(Outcome::End)
    }

    async fn history(&self, at: At, file: FileNumber, epoch: Epoch, entries: Vec<Entry>) -> Vec<files::Read> {
        let (read, copied) = self.chunks.read(at.lane, &self.lanes[at.lane].disk, file, epoch, entries).await;
        self.reads.0.copied_bytes.fetch_add(copied, Ordering::Relaxed);
        read
    }

    /// Takes what holds up to the first batch that does not. If that is the first of all, it is had from elsewhere and looked at
    /// again, or lost.
    async fn judge(&self, at: At, segment: (FileNumber, Nonce), read: Vec<files::Read>) -> Option<Outcome> {
        let first = read.first().map(|read| read.entry);
        let batches: Vec<Bytes> = read.into_iter().map_while(|read| read.bytes).collect();
        match first {
            Some(entry) if batches.is_empty() => self.pass_over(at, segment, &entry).await,
            _ => Some(Outcome::Batches(batches)),
        }
    }

    async fn pass_over(&self, at: At, segment: (FileNumber, Nonce), entry: &Entry) -> Option<Outcome> {
        let healing = match &self.healer {
            Some(healer) => healer.heal(at.lane, segment, entry.position).await,
            None => Healing::Lost,
        };
        match healing {
            Healing::Healed => return None,
            Healing::Pending => return Some(Outcome::Pending),
            Healing::Lost => {}
        }
        if self.reads.0.unreadable.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(partition = %entry.partition, offset = entry.base_offset, records = entry.records, "a batch does not \
                hold and is passed over; `headworks verify` lists all damage");
        }
        Some(Outcome::Lost(entry.end_offset()))
    }
}

enum Outcome {
    /// At least one batch.
    Batches(Vec<Bytes>),
    /// Nothing more here.
    End,
    /// The first batch does not hold; where the next one begins.
    Lost(u64),
    /// The first batch does not hold, and whoever may have it does not answer now.
    Pending,
}

/// Whether the first of the batches begins behind the offset.
fn begins_behind(batches: &[Bytes], offset: u64) -> bool {
    let base = batches.first().and_then(|bytes| bytes.first_chunk()).map_or(0, |base| u64::from_be_bytes(*base));
    base > offset
}

/// Copies batches out of ring slots, block by block, until one is gone.
fn copy_tail(readers: &Readers, batches: &[Found]) -> Vec<Bytes> {
    let mut copied = Vec::new();
    for block in batches.chunk_by(|a, b| a.slot == b.slot) {
        let Some(pin) = readers.pin(block[0].slot.0) else { break };
        let mut bytes = BytesMut::with_capacity(block.iter().map(|found| found.entry.length as usize).sum());
        for found in block {
            let at = usize::try_from(found.entry.position - found.block_position).expect("within a block");
            bytes.extend_from_slice(&pin[at..at + found.entry.length as usize]);
        }
        copied.push(bytes.freeze());
    }
    copied
}

pub(super) fn offset(value: u64) -> i64 {
    i64::try_from(value).expect("offsets stay below 2^63")
}

impl<D: Disk + Send + Sync + 'static> Store for LaneStore<D>
where
    D::Buffer: Send + 'static,
{
    fn leads(&self) -> bool {
        self.cluster.leads()
    }

    fn leadership(&self) -> Option<u64> {
        self.look_around();
        let committed = |(lane, next): (&Reading<D>, &u64)| lane.view.positions.committed.load() >= *next;
        let all = self.lanes.iter().zip(&*self.took_over.borrow()).all(committed);
        (self.cluster.leads() && all).then(|| self.begun.get())
    }

    fn topics(&self) -> Vec<Topic> {
        self.look_around();
        let topic =
            |(name, at): (&String, &Vec<At>)| Topic { name: name.clone(), partitions: i32::try_from(at.len()).expect("few partitions") };
        self.topics.borrow().iter().map(topic).collect()
    }

    fn state(&self, topic: &str, partition: i32) -> Option<PartitionState> {
        self.at(topic, partition).map(|at| self.state_at(at))
    }

    async fn read(&self, topic: &str, partition: i32, from: i64, bytes_max: usize) -> Result<Vec<Bytes>, ReadError> {
        let at = self.at(topic, partition).ok_or(ReadError::UnknownPartition)?;
        let state = self.state_at(at);
        if from < state.log_start || from > state.log_end {
            return Err(ReadError::OutOfRange(state));
        }
        let batches = self.read_at(at, from.unsigned_abs(), bytes_max).await?;
        self.reads.0.read_bytes.fetch_add(bytes_of(&batches), Ordering::Relaxed);
        Ok(batches)
    }

    async fn offset_at_time(&self, topic: &str, partition: i32, time_ms: i64) -> Result<Option<TimedOffset>, ReadError> {
        let at = self.at(topic, partition).ok_or(ReadError::UnknownPartition)?;
        self.first_at_or_after(at, time_ms).await
    }

    async fn latest_timestamp(&self, topic: &str, partition: i32) -> Result<Option<TimedOffset>, ReadError> {
        let at = self.at(topic, partition).ok_or(ReadError::UnknownPartition)?;
        self.latest(at).await
    }

    fn end_of_epoch(&self, topic: &str, partition: i32, epoch: i32) -> Option<EpochEnd> {
        let at = self.at(topic, partition)?;
        let (epoch, end) = history::end_of_epoch(&self.lanes[at.lane].view, at.place, u32::try_from(epoch).ok()?)?;
        Some(EpochEnd { epoch: i32::try_from(epoch).expect("epochs are below 2^31"), end_offset: offset(end) })
    }

    fn commits(&self) -> impl Future<Output = ()> {
        self.commits.next()
    }

    fn room(&self) -> impl Future<Output = ()> {
        self.room_at_the_doors()
    }

    fn append<'s>(
        &'s self,
        topic: &str,
        partition: i32,
        batch: Bytes,
        level: Level,
    ) -> impl Future<Output = Result<Appended, AppendError>> + use<'s, D> {
        let handed = self.append_now(topic, partition, batch, level);
        async move {
            let (at, place) = handed?;
            Ok(self.reached(at, place, level).await)
        }
    }

    fn create_topic(&self, name: &str, partitions: i32) -> impl Future<Output = Result<(), CreateError>> {
        self.make_topic(name, partitions)
    }

    fn release_below(&self, topic: &str, partition: i32, offset: i64) {
        if let Some(at) = self.at(topic, partition) {
            self.lanes[at.lane].view.partitions[at.place].release_below(offset.unsigned_abs());
        }
    }

    fn newer_half(&self, topic: &str, partition: i32) -> i64 {
        let Some(at) = self.at(topic, partition) else { return 0 };
        // The oldest goes only when two sealed ones stand behind it, so half of them is never the last moment.
        let sealed = self.segments(at);
        sealed.get(sealed.len() / 2).map_or(0, |middle| offset(middle.start_of(at.place)))
    }

    fn producer_id(&self) -> i64 {
        if !self.cluster.leads() {
            // Epochs are the leader's to count; a random number of the half that it never gives is nobody else's.
            let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), self.producers_made.get());
            return (random >> 2 | 1 << 62).cast_signed();
        }
        // Every start takes a higher epoch, durable before anything is served.
        let epoch = self.lanes.first().map_or(0, |lane| lane.view.epoch().0);
        let made = self.producers_made.replace(self.producers_made.get() + 1);
        i64::from(epoch) << 32 | i64::from(made)
    }
}

/// The topics that the lanes' partitions make up.
struct Catalog {
    topics: BTreeMap<String, Vec<At>>,
    next_id: u32,
    partitions: usize,
}

impl Catalog {
    fn of<D>(lanes: &[Reading<D>]) -> Catalog {
        let mut topics: BTreeMap<String, Vec<(u32, At)>> = BTreeMap::new();
        let (mut next_id, mut partitions) = (0, 0);
        for (lane, parts) in lanes.iter().enumerate() {
            for (place, partition) in parts.view.partitions.iter().enumerate() {
                topics.entry(partition.stream.clone()).or_default().push((partition.number, At { lane, place }));
                next_id = next_id.max(partition.id.0 + 1);
                partitions += 1;
            }
        }
        let by_number = |(name, mut at): (String, Vec<(u32, At)>)| {
            at.sort_unstable();
            (name, at.into_iter().map(|(_, at)| at).collect())
        };
        Catalog { topics: topics.into_iter().map(by_number).collect(), next_id, partitions }
    }
}

impl<D: Disk> LaneStore<D> {
    /// Takes note of what another thread has changed: that this node leads from now on, and, while it follows, of the partitions
    /// that came with the primary's blocks.
    fn look_around(&self) {
        let begun = self.cluster.begun();
        if begun != self.begun.get() {
            self.begun.set(begun);
            let taken = self.cluster.taken();
            *self.took_over.borrow_mut() = taken.iter().map(|lane| lane.next).collect();
            for (door, lane) in self.doors.iter().zip(&taken) {
                door.borrow_mut().take_over(lane);
            }
            self.list_topics();
        } else if !self.cluster.leads() {
            let partitions: usize = self.lanes.iter().map(|lane| lane.view.partitions.len()).sum();
            if partitions != self.partitions_seen.get() {
                self.list_topics();
            }
        }
    }

    pub(super) fn waits(&self) -> bool {
        self.cluster.waits()
    }

    pub(super) fn leads_now(&self) -> bool {
        self.look_around();
        self.cluster.leads()
    }

    fn list_topics(&self) {
        let catalog = Catalog::of(&self.lanes);
        *self.topics.borrow_mut() = catalog.topics;
        self.next_id.set(self.next_id.get().max(catalog.next_id));
        self.partitions_seen.set(catalog.partitions);
    }

    pub(super) fn at(&self, topic: &str, partition: i32) -> Option<At> {
        self.look_around();
        self.topics.borrow().get(topic)?.get(usize::try_from(partition).ok()?).copied()
    }

    /// Everything committed of a partition, segment by segment, oldest first.
    pub(super) fn fresh_entries(&self, at: At) -> Vec<(FileNumber, Epoch, Vec<Entry>)> {
        let view = &self.lanes[at.lane].view;
        let partition = &view.partitions[at.place];
        let high_watermark = partition.high_watermark();
        let entries = |index: &&headworks_log::view::OpenIndex| {
            index.read(|file, _, epoch| {
                let committed =
                    index.batches(partition.id, 0, 0).map(|found| found.entry).take_while(|entry| entry.end_offset() <= high_watermark);
                (file, epoch, committed.collect())
            })
        };
        view.open_indexes().iter().filter_map(entries).collect()
    }

    pub(super) fn segments(&self, at: At) -> Vec<Arc<SealedSegment>> {
        self.lanes[at.lane].view.sealed()
    }
}

/// A sidecar's entries, shared with its cache.
pub(super) type Entries = Rc<Vec<Entry>>;
