//! Each promise and each refusal alone. Beside an oracle: `tests/oracle.rs`; on threads: `tests/threads.rs`.

mod oracle;
mod threads;

use std::sync::Arc;

use super::{Drain, Filler, Pin, Readers, slot_ring};
use crate::region::{PAGE_BYTES, Region};

fn ring(slots: usize) -> (Filler, Drain, Readers) {
    let region = Region::map(slots * PAGE_BYTES).expect("memory");
    slot_ring(Arc::new(region), slots, PAGE_BYTES)
}

/// What every byte of block `index` is: never what an earlier block of the same slot was.
fn mark(index: u64) -> u8 {
    u8::try_from(index % 251).expect("below 251")
}

fn fill(filler: &mut Filler) -> bool {
    let index = filler.published();
    let Some(slot) = filler.claim() else {
        return false;
    };
    slot.fill(mark(index));
    filler.publish();
    true
}

/// Fills `blocks` blocks, then shares and releases through the given positions.
fn check(slots: usize, blocks: u64, shared: u64, released: u64) -> (Filler, Drain, Readers) {
    let (mut filler, mut drain, readers) = ring(slots);
    for index in 0..blocks {
        assert!(fill(&mut filler), "block {index} of {slots} slots");
    }
    drain.share(shared);
    drain.release(released);
    assert_eq!((drain.published(), drain.shared(), drain.released()), (blocks, shared, released));
    (filler, drain, readers)
}

#[test]
fn claim_gives_the_same_slot_until_it_is_published() {
    let (mut filler, _drain, _readers) = ring(2);
    let first = filler.claim().expect("room").as_ptr();
    assert_eq!(filler.claim().expect("claimed").as_ptr(), first);
    assert_eq!(filler.claimed(), Some(0));
    filler.publish();
    assert_eq!((filler.claimed(), filler.published()), (None, 1));
    assert_ne!(filler.claim().expect("room").as_ptr(), first);
}

#[test]
fn full_until_released_and_not_only_shared() {
    let (mut filler, mut drain, _readers) = check(2, 2, 0, 0);
    assert!(filler.claim().is_none());
    drain.share(2);
    assert!(filler.claim().is_none());
    drain.release(1);
    assert!(fill(&mut filler));
    assert!(filler.claim().is_none(), "only one was released");
}

#[test]
fn in_use_counts_the_claimed_and_the_unreleased() {
    let (mut filler, mut drain, _readers) = check(4, 2, 0, 0);
    assert_eq!(filler.in_use(), 2);
    assert!(filler.claim().is_some());
    assert_eq!(filler.in_use(), 3);
    drain.share(2);
    assert_eq!(filler.in_use(), 3);
    drain.release(2);
    assert_eq!(filler.in_use(), 1);
}

#[test]
fn released_block_is_readable_until_really_claimed() {
    let (mut filler, _drain, readers) = check(1, 1, 1, 1);
    assert_eq!(readers.pin(0).expect("still there")[0], mark(0));
    assert!(filler.claim().is_some());
    assert!(readers.pin(0).is_none(), "being overwritten");
    filler.publish();
    assert!(readers.pin(0).is_none(), "overwritten");
    assert!(readers.pin(1).is_none(), "not shared");
}

#[test]
fn pinned_slot_is_not_claimed_and_stays_pinnable() {
    let (mut filler, _drain, readers) = check(1, 1, 1, 1);
    let pin = readers.pin(0).expect("shared");
    assert!(filler.claim().is_none());
    let second = readers.pin(0).expect("the claim gave way");
    drop(pin);
    assert!(filler.claim().is_none(), "one reader is still inside");
    assert!(second.iter().all(|byte| *byte == mark(0)));
    drop(second);
    assert!(filler.claim().is_some());
}

#[test]
fn pin_of_one_slot_does_not_hold_another() {
    let (mut filler, _drain, readers) = check(2, 2, 2, 2);
    let _pin = readers.pin(1).expect("shared");
    assert!(fill(&mut filler), "slot 0 is free");
    assert!(filler.claim().is_none(), "slot 1 is pinned");
}

#[test]
fn indices_that_are_no_block_are_never_pinned() {
    let (_filler, _drain, readers) = check(4, 2, 1, 0);
    for index in [1, 2, 3, 4, 5, u64::MAX - 1, u64::MAX] {
        assert!(readers.pin(index).is_none(), "block {index}");
    }
    assert!(readers.pin(0).is_some());
}

#[test]
fn pin_keeps_the_memory_after_every_end_is_gone() {
    let (filler, drain, readers) = check(1, 1, 1, 1);
    let region = Arc::downgrade(drain.region());
    let pin: Pin = readers.pin(0).expect("shared");
    drop((filler, drain, readers));
    assert_eq!((pin.index(), pin.len()), (0, PAGE_BYTES));
    assert!(pin.iter().all(|byte| *byte == mark(0)));
    drop(pin);
    assert!(region.upgrade().is_none(), "the last pin let it go");
}

#[test]
fn rings_in_one_region_lie_side_by_side() {
    let region = Arc::new(Region::map(12 * PAGE_BYTES).expect("memory"));
    let (mut first, first_drain, _) = slot_ring(Arc::clone(&region), 4, PAGE_BYTES);
    let (mut second, second_drain, _) = slot_ring(Arc::clone(&region), 2, 2 * PAGE_BYTES);
    let offsets: Vec<_> = (0..5).map(|n| first_drain.region_offset(n)).collect();
    assert_eq!(offsets, [0, 4096, 8192, 12288, 0]);
    let offsets: Vec<_> = (0..3).map(|n| second_drain.region_offset(n)).collect();
    assert_eq!(offsets, [16384, 24576, 16384]);
    let slot = first.claim().expect("room").as_ptr();
    assert_eq!(slot, region.base().as_ptr());
    let slot = second.claim().expect("room").as_ptr();
    assert_eq!(slot, region.base().as_ptr().wrapping_add(16384));
    assert_eq!((second_drain.slot_bytes(), second_drain.capacity()), (8192, 2));
}

#[test]
#[should_panic(expected = "block 1 was published without a claim")]
fn publish_without_a_claim_is_refused() {
    let (mut filler, _drain, _readers) = check(2, 1, 0, 0);
    filler.publish();
}

#[test]
#[should_panic(expected = "block 0 cannot be written: blocks below 1 are shared")]
fn writing_a_shared_block_is_refused() {
    check(2, 2, 1, 0).1.block_mut(0);
}

#[test]
#[should_panic(expected = "block 1 is not published yet: published through 1")]
fn writing_an_unpublished_block_is_refused() {
    check(2, 1, 0, 0).1.block_mut(1);
}

#[test]
#[should_panic(expected = "block 0 may be gone: blocks below 1 are released")]
fn reading_a_released_block_is_refused() {
    let _ = check(2, 1, 1, 1).1.block(0);
}

#[test]
#[should_panic(expected = "block 0 is not shared yet: shared through 0")]
fn reading_an_unshared_block_is_refused() {
    let _ = check(2, 1, 0, 0).1.block(0);
}

#[test]
#[should_panic(expected = "block 1 is not published yet: published through 1")]
fn sharing_beyond_published_is_refused() {
    check(2, 1, 1, 0).1.share(2);
}

#[test]
#[should_panic(expected = "cannot share through 0: already shared through 1")]
fn sharing_backwards_is_refused() {
    check(2, 1, 1, 0).1.share(0);
}

#[test]
#[should_panic(expected = "cannot release through 2: shared through 1")]
fn releasing_beyond_shared_is_refused() {
    check(2, 2, 1, 0).1.release(2);
}

#[test]
#[should_panic(expected = "cannot release through 0: already released through 1")]
fn releasing_backwards_is_refused() {
    check(2, 1, 1, 1).1.release(0);
}

#[test]
#[should_panic(expected = "3 slots: not a power of two")]
fn odd_capacity_is_refused() {
    ring(3);
}

#[test]
#[should_panic(expected = "the ring needs 2101248 bytes, the region has 2097152 bytes left")]
fn region_too_small_is_refused() {
    let region = Arc::new(Region::map(1).expect("memory"));
    let _ = slot_ring(region, 1, 513 * PAGE_BYTES);
}

#[test]
#[should_panic(expected = "4097 bytes a slot: not a multiple of 4096")]
fn odd_slot_is_refused() {
    let region = Arc::new(Region::map(1).expect("memory"));
    let _ = slot_ring(region, 1, PAGE_BYTES + 1);
}

#[test]
fn ends_move_between_threads_and_only_readers_are_shared() {
    // Ambiguous, so not compiling, if the type were Sync as well.
    trait NotSync<Marker> {
        const HOLDS: bool = true;
    }
    impl<T: ?Sized> NotSync<()> for T {}
    impl<T: ?Sized + Sync> NotSync<u8> for T {}
    fn moves<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    const { assert!(<Filler as NotSync<_>>::HOLDS && <Drain as NotSync<_>>::HOLDS) };
    moves::<Filler>();
    moves::<Drain>();
    shared::<Readers>();
    shared::<Pin>();
    shared::<Region>();
}
