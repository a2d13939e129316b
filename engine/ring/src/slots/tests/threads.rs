//! Real threads on real memory. Every word of a block holds a number made from the block's index, so
//! a slice that changes under its reader, or shows two blocks at once, is noticed. The tests wait for
//! each other by yielding, and count: a ring that is stuck fails and does not hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::{Drain, Filler, Readers, ring};

const WAITS_MAX: u64 = 1_000_000_000;

/// Yields, and fails when that has been done absurdly often.
struct Patience {
    what: &'static str,
    waits: u64,
}

impl Patience {
    fn new(what: &'static str) -> Patience {
        Patience { what, waits: 0 }
    }

    fn wait(&mut self) {
        self.waits += 1;
        assert!(self.waits < WAITS_MAX, "{} stuck after {} waits", self.what, self.waits);
        thread::yield_now();
    }
}

/// The word of block `index`, as the Filler writes it and as the Drain stamps it: no two alike.
fn word(index: u64, is_stamped: bool) -> [u8; 8] {
    (index * 2 + u64::from(is_stamped)).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
}

fn write(block: &mut [u8], word: [u8; 8]) {
    for place in block.as_chunks_mut().0 {
        *place = word;
    }
}

fn assert_whole(block: &[u8], word: [u8; 8], index: u64) {
    let torn = block.as_chunks().0.iter().position(|place| *place != word);
    assert_eq!(torn, None, "block {index}: first wrong word");
}

fn fill_all(mut filler: Filler, blocks: u64) {
    let mut patience = Patience::new("Filler");
    while filler.published() < blocks {
        let index = filler.published();
        match filler.claim() {
            Some(slot) => {
                write(slot, word(index, false));
                filler.publish();
            }
            None => patience.wait(),
        }
    }
}

fn drain_all(mut drain: Drain, blocks: u64, shared: &AtomicU64) {
    let mut patience = Patience::new("Drain");
    while drain.released() < blocks {
        let published = drain.published();
        if published == drain.shared() {
            patience.wait();
        }
        for index in drain.shared()..published {
            let block = drain.block_mut(index);
            assert_whole(block, word(index, false), index);
            write(block, word(index, true));
        }
        drain.share(published);
        shared.store(published, Ordering::Release);
        drain.release(published);
    }
}

/// Reads whatever it can pin around the newest shared block until all are shared; how many.
fn read_all(readers: &Readers, blocks: u64, slots: u64, shared: &AtomicU64, seed: u64) -> u64 {
    let mut patience = Patience::new("reader");
    let mut random = seed;
    let mut pinned = 0;
    loop {
        let newest = shared.load(Ordering::Acquire);
        // xorshift64; it decides how far back to look, from just ahead to already overwritten.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let index = newest.saturating_sub(random % (slots + 3));
        if let Some(pin) = readers.pin(index) {
            assert_whole(&pin, word(index, true), index);
            pinned += 1;
        }
        if newest == blocks {
            return pinned;
        }
        patience.wait();
    }
}

fn check(slots: usize, blocks: u64, seeds: &'static [u64]) {
    let (filler, drain, readers) = ring(slots);
    let slots = u64::try_from(slots).expect("64 bits");
    let shared = Arc::new(AtomicU64::new(0));
    let filling = thread::spawn(move || fill_all(filler, blocks));
    let reading: Vec<_> = seeds
        .iter()
        .map(|seed| {
            let (readers, shared) = (readers.clone(), Arc::clone(&shared));
            thread::spawn(move || read_all(&readers, blocks, slots, &shared, *seed))
        })
        .collect();
    drain_all(drain, blocks, &shared);
    filling.join().expect("Filler");
    for (reading, seed) in reading.into_iter().zip(seeds) {
        let pinned = reading.join().unwrap_or_else(|_| panic!("reader with seed {seed:#x} saw a torn block"));
        println!("seed {seed:#x}: {pinned} blocks pinned of {blocks}");
    }
    // Nobody overwrites the last block, so at least that one must be readable, whole.
    let pin = readers.pin(blocks - 1).expect("the newest block");
    assert_whole(&pin, word(blocks - 1, true), blocks - 1);
}

#[test]
fn two_threads_see_no_torn_block() {
    check(4, 20_000, &[]);
}

#[test]
fn readers_see_no_torn_block_in_one_slot() {
    check(1, 5_000, &[0x5eed_0001]);
}

#[test]
fn readers_see_no_torn_block_in_many_slots() {
    check(8, 20_000, &[0x5eed_0002, 0x5eed_0003]);
}
