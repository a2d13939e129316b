//! Models of the slot ring: loom runs each through every interleaving and every stale value that the
//! orderings allow (within the preemption bound where three threads meet), and fails where two
//! accesses to a slot's bytes are not ordered.
//!
//! Outcomes are tallied beside the model, so that a model which no longer reaches the race it is
//! about fails too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::loom::model::Builder;
use ::loom::thread;

use super::{Drain, Filler, Readers, slot_ring};
use crate::region::{PAGE_BYTES, Region};

/// How often a model ended in each of its ways, over all interleavings.
struct Tally<const WAYS: usize>([AtomicUsize; WAYS]);

impl<const WAYS: usize> Tally<WAYS> {
    fn new() -> Arc<Self> {
        Arc::new(Self([const { AtomicUsize::new(0) }; WAYS]))
    }

    fn count(&self, way: usize) {
        self.0[way].fetch_add(1, Ordering::Relaxed);
    }

    fn check_all_seen(&self) {
        let seen: Vec<usize> = self.0.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        assert!(seen.iter().all(|n| *n > 0), "a way was never taken: {seen:?}");
    }
}

fn check(preemptions_max: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions_max;
    builder.check(model);
}

fn ring(slots: usize) -> (Filler, Drain, Readers) {
    let region = Region::map(slots * PAGE_BYTES).expect("heap memory");
    slot_ring(Arc::new(region), slots, PAGE_BYTES)
}

/// What block `index` is filled with: never the zero of a fresh slot.
fn mark(index: u64) -> u8 {
    u8::try_from(index + 1).expect("a model has few blocks")
}

/// Fills and publishes the next block, if there is room.
fn fill(filler: &mut Filler) -> bool {
    let index = filler.published();
    let Some(slot) = filler.claim() else {
        return false;
    };
    slot[0] = mark(index);
    slot[PAGE_BYTES - 1] = mark(index);
    filler.publish();
    true
}

/// Checks, stamps and shares every published block.
fn share_all(drain: &mut Drain) {
    let published = drain.published();
    for index in drain.shared()..published {
        let block = drain.block_mut(index);
        assert_eq!(block[0], mark(index), "first byte of block {index}");
        block[1] = mark(index);
    }
    drain.share(published);
}

/// Whether block `index` could be pinned; if so, it is that block, stamped, from first to last look.
fn read(readers: &Readers, index: u64) -> bool {
    let Some(pin) = readers.pin(index) else {
        return false;
    };
    let first_look = [pin[0], pin[1], pin[PAGE_BYTES - 1]];
    thread::yield_now();
    let last_look = [pin[0], pin[1], pin[PAGE_BYTES - 1]];
    assert_eq!(first_look, [mark(index); 3], "block {index} at first");
    assert_eq!(last_look, [mark(index); 3], "block {index} at last");
    true
}

#[test]
fn publish_carries_the_bytes_and_release_gives_the_slot_back() {
    check(None, || {
        let (mut filler, mut drain, _) = ring(2);
        let filling = thread::spawn(move || {
            for _ in 0..4 {
                if !fill(&mut filler) {
                    thread::yield_now();
                }
            }
            filler.published()
        });
        for _ in 0..2 {
            share_all(&mut drain);
            drain.release(drain.shared());
            thread::yield_now();
        }
        let published = filling.join().expect("filler");
        share_all(&mut drain);
        assert_eq!(drain.shared(), published, "every block arrived");
    });
}

#[test]
fn claim_and_pin_never_both_go_ahead() {
    let tally = Tally::<2>::new();
    let seen = Arc::clone(&tally);
    check(None, move || {
        let (mut filler, mut drain, readers) = ring(1);
        assert!(fill(&mut filler));
        share_all(&mut drain);
        drain.release(1);
        let reading = thread::spawn(move || read(&readers, 0));
        let filled = fill(&mut filler);
        let was_read = reading.join().expect("reader");
        seen.count(usize::from(was_read));
        // With nobody inside any more, the Filler always comes on.
        assert!(filled || fill(&mut filler), "no reader, yet no room");
    });
    tally.check_all_seen();
}

#[test]
fn claim_that_gave_way_leaves_the_block_readable() {
    let tally = Tally::<2>::new();
    let seen = Arc::clone(&tally);
    check(Some(3), move || {
        let (mut filler, mut drain, readers) = ring(1);
        assert!(fill(&mut filler));
        share_all(&mut drain);
        drain.release(1);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let readers = readers.clone();
                thread::spawn(move || read(&readers, 0))
            })
            .collect();
        let filled = fill(&mut filler);
        for reading in others {
            reading.join().expect("reader");
        }
        seen.count(usize::from(filled));
        assert_eq!(read(&readers, 0), !filled, "block 0 lies there exactly as long as block 1 was not claimed");
    });
    tally.check_all_seen();
}

#[test]
fn claim_waits_for_a_pin_taken_before() {
    check(None, || {
        let (mut filler, mut drain, readers) = ring(1);
        assert!(fill(&mut filler));
        share_all(&mut drain);
        let pin = readers.pin(0).expect("shared");
        drain.release(1);
        let filling = thread::spawn(move || fill(&mut filler));
        assert_eq!([pin[0], pin[PAGE_BYTES - 1]], [mark(0); 2]);
        drop(pin);
        filling.join().expect("filler");
    });
}

#[test]
fn pin_sees_the_stamp_of_what_was_shared() {
    let tally = Tally::<2>::new();
    let seen = Arc::clone(&tally);
    check(None, move || {
        let (mut filler, mut drain, readers) = ring(2);
        assert!(fill(&mut filler) && fill(&mut filler));
        let reading = thread::spawn(move || (read(&readers, 1), read(&readers, 0)));
        share_all(&mut drain);
        let (last, first) = reading.join().expect("reader");
        assert!(first || !last, "blocks are shared in order");
        seen.count(usize::from(first));
    });
    tally.check_all_seen();
}

#[test]
fn pin_on_an_unreleased_block_does_not_race_with_release() {
    check(None, || {
        let (mut filler, mut drain, readers) = ring(1);
        assert!(fill(&mut filler));
        share_all(&mut drain);
        let reading = thread::spawn(move || read(&readers, 0));
        assert_eq!(drain.block(0)[0], mark(0));
        drain.release(1);
        fill(&mut filler);
        reading.join().expect("reader");
    });
}

#[test]
fn reader_meets_a_slot_across_a_whole_lap() {
    let tally = Tally::<3>::new();
    let seen = Arc::clone(&tally);
    check(Some(3), move || {
        let (mut filler, mut drain, readers) = ring(1);
        assert!(fill(&mut filler));
        share_all(&mut drain);
        drain.release(1);
        let reading = thread::spawn(move || {
            if read(&readers, 0) {
                0
            } else if read(&readers, 1) {
                1
            } else {
                2
            }
        });
        if fill(&mut filler) {
            share_all(&mut drain);
        }
        seen.count(reading.join().expect("reader"));
    });
    tally.check_all_seen();
}

#[test]
fn all_three_threads_on_one_slot() {
    check(Some(2), || {
        let (mut filler, mut drain, readers) = ring(1);
        assert!(fill(&mut filler));
        let filling = thread::spawn(move || {
            for _ in 0..2 {
                if fill(&mut filler) {
                    break;
                }
                thread::yield_now();
            }
        });
        let reading = thread::spawn(move || {
            read(&readers, 0);
            read(&readers, 1);
        });
        share_all(&mut drain);
        drain.release(1);
        filling.join().expect("filler");
        share_all(&mut drain);
        reading.join().expect("reader");
    });
}

#[test]
fn pin_outlives_the_ends() {
    check(None, || {
        let (mut filler, mut drain, readers) = ring(1);
        assert!(fill(&mut filler));
        share_all(&mut drain);
        let pin = readers.pin(0).expect("shared");
        let gone = thread::spawn(move || drop((filler, drain, readers)));
        assert_eq!(pin[0], mark(0));
        drop(pin);
        gone.join().expect("owner of the ends");
    });
}
