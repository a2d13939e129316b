//! The store's write side over lanes: appends, and topics made while the node runs.

use super::door::Decided;
use super::sequences::Place;
use super::store::{At, LaneStore, Reading, offset};
use crate::store::{AppendError, Appended, CreateError, Level};
use bytes::Bytes;
use headworks_format::PartitionId;
use headworks_format::batch::BATCH_BYTES_MAX;
use headworks_format::checkpoint::{NAME_BYTES_MAX, PARTITIONS_MAX, Partition};
use headworks_log::Disk;
use std::sync::atomic::Ordering;

/// Bytes of batches that all doors may hold before requests wait.
pub(super) const HELD_BYTES_MAX: usize = 64 << 20;

impl<D: Disk> LaneStore<D> {
    /// Hands the batch to its lane now; what is returned only waits.
    pub(super) fn append_now(&self, topic: &str, partition: i32, batch: Bytes, level: Level) -> Result<(At, Place), AppendError> {
        if !self.leads_now() {
            return Err(AppendError::NotLeader);
        }
        // Before anything is stored, so that who tries again does not meet its own batch, or a log that may have to be cut.
        if level == Level::Committed && self.waits() {
            return Err(AppendError::TooFewInSync);
        }
        let at = self.at(topic, partition).ok_or(AppendError::UnknownPartition)?;
        if batch.len() > BATCH_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes_max: BATCH_BYTES_MAX });
        }
        let lane = &self.lanes[at.lane];
        if lane.view.disk_full.load(Ordering::Acquire) {
            return Err(AppendError::Busy);
        }
        match self.doors[at.lane].borrow_mut().append(lane.view.partitions[at.place].id, batch) {
            Decided::Stands(place) => Ok((at, place)),
            Decided::OutOfOrder { found, expected } => Err(AppendError::OutOfOrder { found, expected }),
            Decided::Fenced => Err(AppendError::ProducerFenced),
            Decided::Malformed => Err(AppendError::Interrupted),
        }
    }

    /// Waits until the doors hold less than their bound. Lanes of a full volume do not count: appends to them are refused at once.
    pub(super) async fn room_at_the_doors(&self) {
        while self.held_bytes() >= HELD_BYTES_MAX && self.leads_now() {
            // The watch before the look: what is taken in between completes it.
            let moved = self.commits.next();
            self.doors.iter().for_each(|door| door.borrow_mut().collect());
            if self.held_bytes() >= HELD_BYTES_MAX {
                moved.await;
            }
        }
    }

    fn held_bytes(&self) -> usize {
        let doors = self.doors.iter().zip(&self.lanes).filter(|(_, lane)| !lane.view.disk_full.load(Ordering::Acquire));
        doors.map(|(door, _)| door.borrow().held_bytes()).sum()
    }

    /// Waits until what stands at `place` has reached the level.
    pub(super) async fn reached(&self, at: At, place: Place, level: Level) -> Appended {
        let view = &self.lanes[at.lane].view;
        if level == Level::Received {
            return Appended { base_offset: -1, log_start: offset(view.log_start(at.place)) };
        }
        let position = if level == Level::Disk { &view.positions.durable } else { &view.positions.committed };
        loop {
            // The watch before the look: a commit in between completes it.
            let moved = self.commits.next();
            let through = position.load();
            self.doors[at.lane].borrow_mut().collect();
            if let Some(stand) = place.get()
                && stand.sequence < through
            {
                return Appended { base_offset: offset(stand.base_offset), log_start: offset(view.log_start(at.place)) };
            }
            moved.await;
        }
    }

    /// Makes a topic: partition p in lane p mod lanes.
    pub(super) async fn make_topic(&self, name: &str, partitions: i32) -> Result<(), CreateError> {
        if !is_topic_name(name) {
            return Err(CreateError::Name);
        }
        if !self.leads_now() {
            return Err(CreateError::NotLeader);
        }
        if self.topics.borrow().contains_key(name) || self.making.borrow().contains(name) {
            return Err(CreateError::Exists);
        }
        let count = self.room_for(partitions)?;
        self.making.borrow_mut().insert(name.to_owned());
        let mut made = Vec::with_capacity(count);
        for number in 0..count {
            made.push(self.grow(name, number).await);
        }
        self.shown(&made).await;
        let at = made.iter().map(|(lane, id)| At { lane: *lane, place: self.lanes[*lane].view.place(*id).expect("just seen") });
        self.topics.borrow_mut().insert(name.to_owned(), at.collect());
        self.making.borrow_mut().remove(name);
        self.commits.announce();
        Ok(())
    }

    fn room_for(&self, partitions: i32) -> Result<usize, CreateError> {
        let mut growing = self.growing.borrow_mut();
        // What is being made stands in no view yet.
        let room = |(lane, growing): (&Reading<D>, &usize)| PARTITIONS_MAX.saturating_sub(lane.view.partitions.len() + growing);
        let max = most_partitions(&self.lanes.iter().zip(&*growing).map(room).collect::<Vec<_>>());
        let count = usize::try_from(partitions).unwrap_or(0);
        if count == 0 || count > max {
            return Err(CreateError::Partitions { partitions, max: i32::try_from(max).unwrap_or(i32::MAX) });
        }
        (0..count).for_each(|number| growing[number % self.lanes.len()] += 1);
        Ok(count)
    }

    /// Asks the lane for the partition, as soon as it takes the order.
    async fn grow(&self, name: &str, number: usize) -> (usize, PartitionId) {
        let lane = number % self.lanes.len();
        let id = PartitionId(self.next_id.replace(self.next_id.get() + 1));
        let number = u32::try_from(number).expect("a lane has at most 2,048 partitions");
        let mut partition = Partition { id, stream: name.to_owned(), number, next_offset: 0, log_start: 0 };
        loop {
            let moved = self.commits.next();
            match self.doors[lane].borrow_mut().grow(partition) {
                Ok(()) => return (lane, id),
                Err(back) => partition = back,
            }
            moved.await;
        }
    }

    /// Waits until every one of the partitions is durable and shown.
    async fn shown(&self, made: &[(usize, PartitionId)]) {
        loop {
            let moved = self.commits.next();
            if made.iter().all(|(lane, id)| self.lanes[*lane].view.place(*id).is_some()) {
                let mut growing = self.growing.borrow_mut();
                made.iter().for_each(|(lane, _)| growing[*lane] -= 1);
                return;
            }
            moved.await;
        }
    }
}

/// Partitions that a topic can have where each lane has room for so many: partition p goes to lane p mod lanes.
pub(super) fn most_partitions(rooms: &[usize]) -> usize {
    rooms.iter().enumerate().map(|(lane, room)| room * rooms.len() + lane).min().unwrap_or(0)
}

/// Whether Kafka's own broker would take the name.
fn is_topic_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(letter) && name != "." && name != ".."
}
