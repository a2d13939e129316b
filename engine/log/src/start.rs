//! From a recovered lane to one that appends: the machine and the view that it publishes.

use crate::append::SealOrder;
use crate::append::{Config, Log, Offsets, RECEIPTS_MAX};
use crate::commit::{self, AHEAD_MAX, Ahead};
use crate::producers::Producers;
use crate::recover::{Recovered, Reopened, Segment, Unsettled};
use crate::roll::{Open, Rolled, Unnamed};
use crate::view::{LaneView, PartitionView, SealedSegment, Slot};
use headworks_format::checkpoint::{self, Partition};
use headworks_format::{LaneId, Sequence};
use std::collections::VecDeque;
use std::sync::Arc;

/// Spare files that the machine can hold at once; what retention frees beyond that waits in the log.
pub(crate) const SPARES_MAX: usize = 8;

impl Log {
    /// A log that goes on where recovery ended, over the lane's partitions (the recovered ones and new ones).
    /// The first append is preceded by a roll: every start begins a new segment.
    #[must_use]
    pub fn start(config: Config, recovered: &Recovered, mut partitions: Vec<Partition>) -> Log {
        let sealed = sealed(&recovered.segments, &partitions);
        let reopened = recovered.reopened.as_ref().map_or(recovered.next, |reopened| reopened.id.base_sequence.0);
        let first = recovered.segments.first().map_or(reopened, |segment| segment.sealed.base_sequence);
        let view = LaneView::new(config.lane, config.epoch, &partitions, sealed, first, recovered.next, config.entries_max);
        view.positions.committed.set(recovered.committed);
        let ahead = unsettled(&recovered.unsettled, &view);
        let open = recovered.reopened.as_ref().map(|reopened| open_again(reopened, &view, &partitions));
        // Room for what is made while the log runs, so that adding one allocates nothing.
        partitions.reserve_exact(checkpoint::PARTITIONS_MAX.saturating_sub(partitions.len()));
        let mut rolled = VecDeque::with_capacity(config.segments_max.max(recovered.segments.len()) + 1);
        let kept_ends = kept_ends(&view, recovered.reopened.as_ref(), &partitions);
        let segments = recovered.segments.iter().zip(kept_ends);
        rolled.extend(segments.map(|(segment, kept_end)| as_rolled(segment, config.segment_bytes, kept_end)));
        // Retention adds up to the limit, and segments being made come on top of it.
        let mut spares = VecDeque::with_capacity(SPARES_MAX.max(recovered.spares.len()) + crate::roll::SPARES_TARGET);
        spares.extend(&recovered.spares);
        let mut log = Log {
            config,
            view: Arc::new(view),
            next: recovered.next,
            chain: recovered.chain,
            counters: recovered.counters,
            offsets: Offsets { partitions },
            producers: Producers::new(recovered.producers.clone()),
            receipts: VecDeque::with_capacity(RECEIPTS_MAX),
            unnamed: Unnamed::default(),
            open,
            rolled,
            held_back: false,
            spares,
            making: 0,
            blanking: None,
            flights: VecDeque::with_capacity(config.blocks_max + 1),
            writing: 0,
            undurable_bytes: 0,
            written: recovered.next,
            durable: recovered.next,
            committed: recovered.committed,
            ahead,
            durable_records: 0,
            committed_records: 0,
            newest_ns: recovered.newest_ns,
            group: None,
            record_page_next: recovered.reopened.as_ref().map_or(0, |reopened| reopened.record_page_next),
            confirmed: recovered.next,
            quiet_since_ns: 0,
            // Block writes, one page, one sync, sidecars and segment orders.
            commands: VecDeque::with_capacity(config.blocks_max + config.segments_max + 16),
        };
        log.want_segments();
        log
    }
}

/// A lane that is recovered and not open, as readers of its blocks see it.
#[must_use]
pub fn closed_view(lane: LaneId, recovered: &Recovered) -> LaneView {
    let first = recovered.segments.first().map_or(recovered.next, |segment| segment.sealed.base_sequence);
    let sealed = sealed(&recovered.segments, &recovered.partitions);
    LaneView::new(lane, recovered.epoch, &recovered.partitions, sealed, first, recovered.next, 1)
}

/// The segments as readers see them. A partition that a segment does not know has no record in it: it starts there where
/// it starts in the next one, and where none knows it, it is new.
fn sealed(segments: &[Segment], partitions: &[Partition]) -> VecDeque<Arc<SealedSegment>> {
    let mut starts: Vec<u64> = partitions.iter().map(|partition| partition.next_offset).collect();
    let mut sealed = VecDeque::with_capacity(segments.len());
    for segment in segments.iter().rev() {
        for (start, partition) in starts.iter_mut().zip(partitions) {
            let known = segment.starts.iter().find(|known| known.id == partition.id);
            *start = known.map_or(*start, |known| known.next_offset);
        }
        sealed.push_front(Arc::new(SealedSegment { starts: starts.clone(), ..segment.sealed.clone() }));
    }
    sealed
}

/// What is durable here and perhaps not elsewhere is hidden again, and shown once the gate lets it through.
fn unsettled(unsettled: &[Unsettled], view: &LaneView) -> VecDeque<Ahead> {
    let mut ahead = VecDeque::with_capacity(AHEAD_MAX);
    for Unsettled { through, entry } in unsettled {
        let Some(place) = view.place(entry.partition) else { continue };
        view.partitions[place].lower(entry.base_offset);
        let run = Ahead { through: *through, place, end_offset: entry.end_offset(), slot: Slot::NONE, bytes: 0, records: 0 };
        commit::push(&mut ahead, run);
    }
    ahead
}

/// The segment in which a follower goes on, with the index that it had.
fn open_again(reopened: &Reopened, view: &LaneView, partitions: &[Partition]) -> Open {
    let index = view.free_index().expect("a new view has free indexes");
    let Reopened { file, id, .. } = reopened;
    let start_of = |partition: &Partition| {
        let known = reopened.starts.iter().find(|known| known.id == partition.id);
        Partition { next_offset: known.map_or(0, |known| known.next_offset), ..partition.clone() }
    };
    let starts: Vec<Partition> = partitions.iter().map(start_of).collect();
    view.open_index(index, *file, id.nonce, id.epoch, id.base_sequence.0, &starts);
    reopened.entries.iter().for_each(|entry| view.fresh_index(index).push_again(entry));
    Open {
        file: *file,
        nonce: id.nonce,
        epoch: id.epoch,
        base_sequence: id.base_sequence.0,
        base_chain: id.base_chain,
        created_ns: id.created_ns,
        first_ns: None,
        position: reopened.position,
        index,
        header_written: true,
        checkpoint_busy: false,
    }
}

/// Where each of the found segments ends in the partition that is kept: where the next one begins in it.
fn kept_ends(view: &LaneView, reopened: Option<&Reopened>, partitions: &[Partition]) -> Vec<u64> {
    let sealed = view.sealed();
    let kept = view.partitions.iter().position(PartitionView::is_kept);
    let Some(place) = kept else { return vec![0; sealed.len()] };
    let own = &partitions[place];
    let again = reopened.and_then(|reopened| reopened.starts.iter().find(|known| known.id == own.id));
    let last = again.unwrap_or(own).next_offset;
    sealed.iter().skip(1).map(|segment| segment.start_of(place)).chain([last]).collect()
}

fn as_rolled(segment: &Segment, segment_bytes: u64, kept_end: u64) -> Rolled {
    let known = &segment.sealed;
    let order = SealOrder {
        file: known.file,
        index: usize::MAX,
        nonce: known.nonce,
        epoch: known.epoch,
        base_sequence: Sequence(known.base_sequence),
        end_sequence: Sequence(known.end_sequence),
        end_position: known.end_position,
        end_chain: headworks_format::Chain::START,
        counters: [0; headworks_format::block::COUNTERS],
    };
    Rolled { order, bytes: segment_bytes, newest_ns: segment.newest_ns, kept_end, ordered: true, sealed: true }
}
