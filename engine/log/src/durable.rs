//! Group commit, self-clocked: the next group begins when the last one ends and covers all that was written by then.
//!
//! ```text
//!  blocks written ──► records page written ──► fdatasync ──► durable, published; next group
//!                     (a 4 KiB page that names the blocks, made durable by the same fdatasync)
//! ```
//!
//! A block is durable when an fdatasync that *started after* its write had completed has completed, and so has every
//! block's before it. A group stays within one segment: the first group of a new segment begins after the last of the
//! old one has ended, which costs one fdatasync a roll and spares every reader the question of half a group.
//!
//! If we die between page and fdatasync, page or blocks may survive or not, in any mixture: recovery takes the page as
//! "perhaps acknowledged" and the blocks by their own proof.

use crate::FileNumber;
use crate::append::{Command, Log, PageKind, Source, StorageFault};
use crate::view::Slot;
use headworks_format::segment::{self, GROUP_BLOCKS_MAX, PAGE_BYTES, Persisted, RECORD_PAGES};
use headworks_format::{Epoch, Nonce, Sequence};

/// How long the log is quiet before it writes down, without a sync, that its last group is durable.
pub const CONFIRM_AFTER_NS: u64 = 10_000_000;

/// A group commit under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// Every block below this number is covered.
    pub through: u64,
    pub file: FileNumber,
    pub nonce: Nonce,
    pub epoch: Epoch,
    pub stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The records page is being written.
    Recording,
    /// The fdatasync is under way.
    Syncing,
    /// A confirmation: a records page without blocks, and no sync behind it.
    Confirming,
}

impl Log {
    /// A block's write ended.
    ///
    /// # Errors
    /// It failed or was short: a storage fault, after which nothing may be written or acknowledged.
    pub fn on_block_written(&mut self, sequence: u64, result: Result<u32, String>) -> Result<(), StorageFault> {
        let first = self.flights.front().map_or(self.next, |flight| flight.sequence);
        let place = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
        assert!(place < self.flights.len(), "block {sequence} written, under way are {first} to {}", self.next);
        let flight = &mut self.flights[place];
        assert!(flight.sequence == sequence && !flight.written, "block {} stands in the place of {sequence}", flight.sequence);
        check("block write", flight.file, flight.bytes, result)?;
        flight.written = true;
        self.writing -= 1;
        if flight.source == Source::Checkpoint {
            self.view_open_mut(|open| open.checkpoint_busy = false);
        }
        self.advance_written();
        Ok(())
    }

    /// A page's write ended.
    ///
    /// # Errors
    /// It failed or was short.
    pub fn on_page_written(&mut self, kind: PageKind, result: Result<u32, String>) -> Result<(), StorageFault> {
        let bytes = u32::try_from(PAGE_BYTES).expect("4096");
        match kind {
            PageKind::Header => {
                let file = self.open.as_ref().map_or(FileNumber(0), |open| open.file);
                check("segment header write", file, bytes, result)?;
                self.view_open_mut(|open| open.header_written = true);
                self.advance_written();
            }
            PageKind::Records => {
                let group = self.group.as_mut().expect("a records page is written within a group");
                check("persist records write", group.file, bytes, result)?;
                match group.stage {
                    Stage::Recording => {
                        group.stage = Stage::Syncing;
                        let file = group.file;
                        self.commands.push_back(Command::Sync { file });
                    }
                    Stage::Confirming => self.group = None,
                    Stage::Syncing => {
                        panic!("records page written during the sync of {}", group.file)
                    }
                }
            }
        }
        Ok(())
    }

    /// The group's fdatasync ended: what it covers is durable and, as far as the gate lets it, committed. `durable` sees the wall
    /// time in ns and the records of each block that this node stamped.
    ///
    /// # Errors
    /// It failed: the kernel may have dropped the pages, so it is never tried again.
    pub fn on_synced(&mut self, result: Result<(), String>, mut durable: impl FnMut(u64, u32)) -> Result<(), StorageFault> {
        let group = self.group.take().expect("a sync ends within a group");
        assert!(group.stage == Stage::Syncing, "a sync ended in stage {:?}", group.stage);
        result.map_err(|error| StorageFault { job: "fdatasync", file: group.file, error })?;
        while let Some(flight) = self.flights.front().copied()
            && flight.sequence < group.through
        {
            self.flights.pop_front();
            self.undurable_bytes -= u64::from(flight.bytes);
            // Before its batches: a block that follows a checkpoint in the same group may be the first of a partition.
            self.publish_named(flight.sequence + 1);
            self.go_ahead(&flight);
            if flight.records > 0 {
                // Not the largest: a clock that was ahead once must not make everything old for good.
                self.newest_ns = flight.wall_ns;
            }
            if flight.records > 0 && !flight.followed {
                self.durable_records += u64::from(flight.records);
                durable(flight.wall_ns, flight.records);
            }
        }
        assert!(group.through > self.durable, "durable through {} after {}", group.through, self.durable);
        self.durable = group.through;
        self.commit();
        Ok(())
    }

    /// Advances time: begins a group if none is under way, commits what the gate lets through, seals rolled segments, retires
    /// old ones.
    pub fn tick(&mut self, now_ns: u64) {
        self.commit();
        if self.group.is_none() {
            self.begin_group(now_ns);
        }
        self.seal_rolled();
        self.retire();
    }

    fn begin_group(&mut self, now_ns: u64) {
        if self.written > self.durable {
            self.quiet_since_ns = now_ns;
            let first = self.flights.front().expect("written blocks stay in flight until durable");
            let (file, nonce, epoch, first) = (first.file, first.nonce, first.epoch, first.sequence);
            let same_file =
                self.flights.iter().take(GROUP_BLOCKS_MAX).take_while(|flight| flight.file == file && flight.sequence < self.written);
            let through = first + same_file.count() as u64;
            self.launch(Group { through, file, nonce, epoch, stage: Stage::Recording });
        } else if let Some(open) = &self.open
            && self.flights.is_empty()
            && self.durable > self.confirmed
            && now_ns.saturating_sub(self.quiet_since_ns) >= CONFIRM_AFTER_NS
        {
            let stage = Stage::Confirming;
            let group = Group { through: self.durable, file: open.file, nonce: open.nonce, epoch: open.epoch, stage };
            self.launch(group);
        }
    }

    fn launch(&mut self, group: Group) {
        let page = self.record_page_next % RECORD_PAGES as u64;
        self.record_page_next += 1;
        self.group = Some(group);
        let position = (1 + page) * PAGE_BYTES as u64;
        self.commands.push_back(Command::WritePage { kind: PageKind::Records, file: group.file, position });
    }

    /// Fills the page that [`PageKind::Records`] names.
    pub fn record_page(&mut self, page: &mut [u8]) {
        let group = self.group.expect("a records page belongs to a group");
        page[..PAGE_BYTES].fill(0);
        self.confirmed = self.durable;
        if group.stage == Stage::Confirming {
            segment::write_record(page, 0, &Persisted::confirmation(group.nonce, group.epoch, self.durable));
            return;
        }
        for (place, flight) in self.flights.iter().take_while(|flight| flight.sequence < group.through).enumerate() {
            let persisted = Persisted {
                nonce: flight.nonce,
                epoch: flight.epoch,
                sequence: Sequence(flight.sequence),
                position: flight.position,
                length: flight.bytes,
                records: flight.records,
                chain: flight.chain,
                durable_through: self.durable,
            };
            segment::write_record(page, place, &persisted);
        }
    }

    /// Blocks of a new segment count as written only once its header is.
    fn advance_written(&mut self) {
        let headless = self.open.as_ref().filter(|open| !open.header_written).map(|open| open.file);
        let first = self.flights.front().map_or(self.next, |flight| flight.sequence);
        let done = self.flights.iter().take_while(|flight| flight.written && Some(flight.file) != headless).count();
        self.written = self.written.max(first + done as u64);
        self.view.positions.written.set(self.written);
    }
}

fn check(job: &'static str, file: FileNumber, wanted: u32, result: Result<u32, String>) -> Result<(), StorageFault> {
    match result {
        Ok(bytes) if bytes == wanted => Ok(()),
        Ok(bytes) => Err(StorageFault { job, file, error: format!("wrote {bytes} of {wanted} bytes") }),
        Err(error) => Err(StorageFault { job, file, error }),
    }
}

const _: () = assert!(Slot::NONE.0 == u64::MAX);

#[cfg(test)]
mod tests;
