//! From a recovered lane to one that appends: the machine and the view that it publishes.

use crate::append::SealOrder;
use crate::append::{Config, Log, Offsets, RECEIPTS_MAX, Unnamed};
use crate::producers::Producers;
use crate::recover::{Recovered, Segment};
use crate::roll::Rolled;
use crate::view::{LaneView, SealedSegment};
use headworks_format::Sequence;
use headworks_format::checkpoint::{self, Partition};
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
        let first = recovered.segments.first().map_or(recovered.next, |segment| segment.sealed.base_sequence);
        let view = LaneView::new(config.lane, config.epoch, &partitions, sealed, first, recovered.next, config.entries_max);
        // Room for what is made while the log runs, so that adding one allocates nothing.
        partitions.reserve_exact(checkpoint::PARTITIONS_MAX.saturating_sub(partitions.len()));
        let mut rolled = VecDeque::with_capacity(config.segments_max.max(recovered.segments.len()) + 1);
        rolled.extend(recovered.segments.iter().map(|segment| as_rolled(segment, config.segment_bytes)));
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
            open: None,
            rolled,
            spares,
            making: 0,
            blanking: None,
            flights: VecDeque::with_capacity(config.blocks_max + 1),
            writing: 0,
            undurable_bytes: 0,
            written: recovered.next,
            durable: recovered.next,
            durable_records: 0,
            newest_ns: recovered.newest_ns,
            group: None,
            record_page_next: 0,
            confirmed: recovered.next,
            quiet_since_ns: 0,
            // Block writes, one page, one sync, sidecars and segment orders.
            commands: VecDeque::with_capacity(config.blocks_max + config.segments_max + 16),
        };
        log.want_segments();
        log
    }
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

fn as_rolled(segment: &Segment, segment_bytes: u64) -> Rolled {
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
    Rolled { order, bytes: segment_bytes, newest_ns: segment.newest_ns, ordered: true, sealed: true }
}
