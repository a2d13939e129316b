//! The slot ring beside a model that is too simple to be wrong: a `VecDeque` of the blocks that
//! still lie in memory, three positions and a list of pins.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Drain, Filler, Pin, Readers, ring};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Claim, and write this byte all over the slot.
    Fill(u8),
    Publish,
    /// Overwrite one not yet shared block, chosen by the number, with this byte.
    Stamp(usize, u8),
    /// Share or release up to so many blocks.
    Share(u64),
    Release(u64),
    /// Pin a block this far before (or a little after) the newest.
    Pin(u64),
    Unpin(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<u8>().prop_map(Step::Fill),
        4 => Just(Step::Publish),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(which, byte)| Step::Stamp(which, byte)),
        3 => (0_u64..4).prop_map(Step::Share),
        3 => (0_u64..4).prop_map(Step::Release),
        3 => (0_u64..20).prop_map(Step::Pin),
        3 => any::<usize>().prop_map(Step::Unpin),
    ];
    vec(step, 0..200)
}

struct Oracle {
    filler: Filler,
    drain: Drain,
    readers: Readers,
    pins: Vec<(Pin, u8)>,

    capacity: u64,
    /// What the published blocks that still lie in memory are filled with; the last is the newest.
    blocks: VecDeque<u8>,
    /// The byte in the claimed slot.
    claimed: Option<u8>,
    published: u64,
    shared: u64,
    released: u64,
}

impl Oracle {
    fn new(slots: u32) -> Oracle {
        let (filler, drain, readers) = ring(usize::try_from(slots).expect("small"));
        Oracle {
            filler,
            drain,
            readers,
            pins: Vec::new(),
            capacity: u64::from(slots),
            blocks: VecDeque::new(),
            claimed: None,
            published: 0,
            shared: 0,
            released: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Fill(byte) => self.fill(byte),
            Step::Publish => self.publish(),
            Step::Stamp(which, byte) => self.stamp(which, byte),
            Step::Share(count) => {
                self.shared = self.published.min(self.shared + count);
                self.drain.share(self.shared);
            }
            Step::Release(count) => {
                self.released = self.shared.min(self.released + count);
                self.drain.release(self.released);
            }
            Step::Pin(back) => self.pin((self.published + 2).saturating_sub(back)),
            Step::Unpin(which) => {
                if !self.pins.is_empty() {
                    self.pins.swap_remove(which % self.pins.len());
                }
            }
        }
        self.agree();
    }

    fn fill(&mut self, byte: u8) {
        let is_free = self.claimed.is_some() || self.next_slot_is_free();
        let slot = self.filler.claim();
        assert_eq!(slot.is_some(), is_free, "claim of block {}", self.published);
        let Some(slot) = slot else { return };
        slot.fill(byte);
        if self.claimed.replace(byte).is_none() && self.lap() == self.capacity {
            self.blocks.pop_front();
        }
    }

    fn next_slot_is_free(&self) -> bool {
        let old = self.published.checked_sub(self.capacity);
        old.is_none_or(|old| old < self.released && self.pins.iter().all(|(pin, _)| pin.index() != old))
    }

    fn publish(&mut self) {
        if let Some(byte) = self.claimed.take() {
            self.filler.publish();
            self.blocks.push_back(byte);
            self.published += 1;
        }
    }

    fn stamp(&mut self, which: usize, byte: u8) {
        let open = self.published - self.shared;
        if open == 0 {
            return;
        }
        let index = self.shared + u64::try_from(which).expect("64 bits") % open;
        let position = position(self.oldest(), index);
        let block = self.drain.block_mut(index);
        assert_eq!(block[0], self.blocks[position], "block {index}");
        block.fill(byte);
        self.blocks[position] = byte;
    }

    fn pin(&mut self, index: u64) {
        let is_there = (self.oldest()..self.shared).contains(&index);
        let pin = self.readers.pin(index);
        assert_eq!(pin.is_some(), is_there, "pin of block {index}");
        if let Some(pin) = pin {
            let byte = self.blocks[position(self.oldest(), index)];
            self.pins.push((pin, byte));
        }
    }

    /// Index of the oldest block in memory.
    fn oldest(&self) -> u64 {
        self.published - self.lap()
    }

    /// How many blocks are in memory, the claimed one aside.
    fn lap(&self) -> u64 {
        u64::try_from(self.blocks.len()).expect("64 bits")
    }

    fn agree(&mut self) {
        let in_use = self.published - self.released + u64::from(self.claimed.is_some());
        assert_eq!(u64::try_from(self.filler.in_use()), Ok(in_use));
        assert_eq!(self.filler.published(), self.published);
        assert_eq!(self.filler.claimed(), self.claimed.map(|_| self.published), "claimed");
        assert_eq!(self.drain.published(), self.published);
        for index in self.released..self.shared {
            assert_eq!(self.drain.block(index)[4095], self.blocks[position(self.oldest(), index)], "block {index}");
        }
        for (pin, byte) in &self.pins {
            let wrong = pin.iter().position(|found| found != byte);
            assert_eq!(wrong, None, "pinned block {} changed", pin.index());
        }
    }
}

fn position(oldest: u64, index: u64) -> usize {
    usize::try_from(index - oldest).expect("below the capacity")
}

fn check(slots: u32, steps: &[Step]) {
    let mut oracle = Oracle::new(slots);
    for step in steps {
        oracle.step(*step);
    }
}

proptest! {
    #[test]
    fn ring_does_what_the_oracle_does(exponent in 0_u32..4, steps in steps()) {
        check(1 << exponent, &steps);
    }
}
