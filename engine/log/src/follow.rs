//! Following: blocks that another node stamped are written as they are, to the same segments, under the same numbers.
//!
//! Who receives them has proved each one whole before it comes here; this half holds it against the lane's own end. Nothing is
//! ever cut to make a block fit: one that does not is refused, and what then happens is decided elsewhere.
//!
//! A segment begins where the primary's did: a block of another nonce closes the open one. Its first block is a checkpoint.

use crate::append::{Log, Placing, Room, Source};
use crate::producers::Producers;
use crate::view::Slot;
use headworks_format::block::{HEAD_BYTES, Head};
use headworks_format::{Epoch, Nonce, PartitionId, Sequence, batch, checkpoint};

/// Why a block is not the lane's next one. The node stops: its log and the primary's are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The block's number.
    pub sequence: Sequence,
    /// What does not fit, with both values.
    pub reason: String,
}

impl Log {
    /// Whether the block with that head can be followed now; [`Room::Roll`] asks for [`Log::follow_roll`] first.
    #[must_use]
    pub fn room_to_follow(&self, head: &Head<'_>) -> Room {
        match self.room(head.block_bytes(), head.entries().len()) {
            // Age and size were the primary's to judge: its nonce says where a segment begins.
            Room::Append | Room::Roll if self.is_in_open(head.nonce()) => Room::Append,
            Room::Append | Room::Roll => self.room_to_roll(),
            wait @ Room::Wait(_) => wait,
        }
    }

    fn is_in_open(&self, nonce: Nonce) -> bool {
        self.open.as_ref().is_some_and(|open| open.nonce == nonce)
    }

    /// Begins the segment that the block with that head is the first of.
    pub fn follow_roll(&mut self, head: &Head<'_>) {
        let (nonce, epoch) = (head.nonce(), head.epoch());
        self.begin_segment(nonce, epoch, head.header().wall_ns.get());
        self.want_segments();
        if epoch != self.view.epoch() {
            self.view.set_epoch(epoch);
        }
    }

    /// Takes the block of ring slot `slot` as it is and orders its write. The owner must have asked [`Log::room_to_follow`].
    ///
    /// # Errors
    /// It is not the lane's next block.
    pub fn follow(&mut self, block: &[u8], slot: u64) -> Result<(), Unfit> {
        let page: &[u8; HEAD_BYTES] = block.first_chunk().expect("a slot is larger than a head page");
        let unfit = |reason: String| Unfit { sequence: Sequence(self.next), reason };
        let head = Head::parse(page).map_err(|fault| unfit(format!("its head does not hold: {fault:?}")))?;
        self.fits(&head).map_err(unfit)?;
        let open = self.open.as_ref().expect("room said that a segment is open");
        let (index, position) = (open.index, open.position);
        let first = self.view.fresh_index(index).len();
        if !head.is_control() {
            self.take_batches(&head, block, slot, index, position).map_err(|reason| Unfit { sequence: head.sequence(), reason })?;
        } else if head.sequence().0 == self.view.start() {
            self.take_producers(block);
        }
        let last = self.view.fresh_index(index).len();
        let header = head.header();
        self.counters = header.counters.map(|counter| counter.get());
        self.chain = head.chain();
        let (bytes, records, wall_ns) = (header.block_bytes.get(), header.records.get(), header.wall_ns.get());
        let placing = Placing { source: Source::Slot(slot), bytes, records, wall_ns, followed: true, entries: (index, first, last) };
        self.submit(&placing);
        if head.is_control() {
            self.unnamed.order(self.next);
        }
        Ok(())
    }

    fn fits(&self, head: &Head<'_>) -> Result<(), String> {
        let header = head.header();
        let (pair, lane) = (header.pair_id.get(), header.lane.get());
        if pair != self.config.pair.0 || lane != self.config.lane.0 {
            return Err(format!(
                "it belongs to lane {lane} of pair {pair:x}, this is lane {} of {:x}",
                self.config.lane, self.config.pair.0
            ));
        }
        if head.sequence() != Sequence(self.next) {
            return Err(format!("its number is {}, the lane's next is {}", head.sequence(), self.next));
        }
        if header.chain != self.chain.0 {
            return Err(format!("the block before it hashes to {:02x?}, the lane's last to {:02x?}", header.chain, self.chain.0));
        }
        let open = self.open.as_ref().ok_or("no segment is open")?;
        if head.nonce() != open.nonce || open.position + head.block_bytes() as u64 > self.config.segment_bytes {
            return Err(format!(
                "{} B of nonce {:x} do not fit segment {} at {}",
                head.block_bytes(),
                head.nonce().0,
                open.file,
                open.position
            ));
        }
        Ok(())
    }

    fn take_batches(&mut self, head: &Head<'_>, block: &[u8], slot: u64, index: usize, position: u64) -> Result<(), String> {
        for placed in head.placed() {
            let place = self.place_of(placed.partition).ok_or_else(|| format!("no checkpoint named its partition {}", placed.partition))?;
            let own = self.offsets.take(place, placed.records);
            if own != placed.base_offset {
                return Err(format!("offset {} of partition {}, the lane's next is {own}", placed.base_offset, placed.partition));
            }
            if place < self.view.partitions.len() {
                self.view.partitions[place].extend(own + u64::from(placed.records));
            }
            self.view.fresh_index(index).push(&placed, position, Slot(slot));
            if let Some(produced) = batch::produced(&block[placed.offset as usize..]) {
                self.producers.note(placed.partition, &produced, placed.base_offset);
            }
        }
        Ok(())
    }

    /// The first block of a lane that begins anew: who produced before it, only this checkpoint says. Later ones say what is known.
    fn take_producers(&mut self, block: &[u8]) {
        if let Some(checkpoint) = checkpoint::of_block(block) {
            self.producers = Producers::new(checkpoint.producers);
        }
    }

    /// The place of a partition, shown to readers already or not.
    fn place_of(&self, partition: PartitionId) -> Option<usize> {
        let shown = self.view.partitions.len();
        let unshown = || self.offsets.partitions[shown..].iter().position(|known| known.id == partition).map(|at| shown + at);
        self.view.place(partition).or_else(unshown)
    }

    /// Whether the lane knows the partition, shown to readers already or not.
    #[must_use]
    pub fn knows(&self, partition: PartitionId) -> bool {
        self.place_of(partition).is_some()
    }

    /// From here on this node stamps, in its own epoch: the open segment is closed, and the next append begins a new one.
    /// Every block that was followed is durable.
    pub fn lead(&mut self, epoch: Epoch) {
        assert!(self.flights.is_empty(), "{} blocks are not durable", self.flights.len());
        assert!(epoch > self.view.epoch(), "epoch {epoch} after {}", self.view.epoch());
        self.close_open();
        self.config.epoch = epoch;
        self.view.set_epoch(epoch);
    }

    /// The idempotent producers' last batches, for who judges the next ones.
    #[must_use]
    pub fn producers(&self) -> &crate::producers::Producers {
        &self.producers
    }

    /// Counters of the last block.
    #[must_use]
    pub fn counters(&self) -> [u64; headworks_format::block::COUNTERS] {
        self.counters
    }

    /// Number of the next block.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }
}
