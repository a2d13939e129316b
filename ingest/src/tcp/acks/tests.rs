use super::{Acks, Level, Reached};
use proptest::prelude::*;

/// A lane in which blocks below have reached every level.
fn all(below: u64) -> Reached {
    Reached { durable: below, peer_memory: below, committed: below }
}

proptest! {
    /// Records are framed into blocks in order and blocks are released in order: what is told never passes what is released,
    /// never falls, and reaches everything in the end.
    #[test]
    fn the_count_never_runs_ahead_and_reaches_everything(steps in prop::collection::vec(0_u8..5, 1..200)) {
        let mut acks = Acks::new(Level::Durable);
        let (mut block, mut released) = (0, 0);
        let mut framed: Vec<u64> = Vec::new();
        for step in steps {
            match step {
                0 | 1 => {
                    acks.on_record(block);
                    framed.push(block);
                }
                2 => block += 1,
                3 if released < block => released += 1,
                _ => {}
            }
            acks.on_reached(&all(released));
            let reached = framed.iter().filter(|block| **block < released).count() as u64;
            if let Some(count) = acks.due() {
                prop_assert!(count <= reached, "{count} told, {reached} stored");
                acks.on_told(count);
            }
            prop_assert!(!acks.is_settled() || reached == framed.len() as u64);
        }
        acks.on_reached(&all(block + 1));
        if let Some(count) = acks.due() {
            acks.on_told(count);
        }
        prop_assert!(acks.is_settled());
        prop_assert_eq!(acks.told, framed.len() as u64);
    }
}

#[test]
fn each_of_few_blocks_is_told_when_it_is_released() {
    let mut acks = Acks::new(Level::Durable);
    [7, 7, 8, 9].into_iter().for_each(|block| acks.on_record(block));
    let due = |acks: &mut Acks, released| {
        acks.on_reached(&all(released));
        let due = acks.due();
        due.inspect(|count| acks.on_told(*count))
    };
    assert_eq!([7, 8, 8, 9, 10, 11].map(|released| due(&mut acks, released)), [None, Some(2), None, Some(3), Some(4), None]);
}

#[test]
fn what_only_has_to_be_received_is_told_at_once() {
    let mut acks = Acks::new(Level::Received);
    acks.on_record(5);
    assert_eq!(acks.due(), Some(1));
}

#[test]
fn each_level_waits_for_its_own_position() {
    let reached = Reached { durable: 3, peer_memory: 2, committed: 1 };
    for (level, told) in [(Level::Received, 4), (Level::Durable, 3), (Level::PeerMemory, 2), (Level::Committed, 1)] {
        let mut acks = Acks::new(level);
        (0..4).for_each(|block| acks.on_record(block));
        acks.on_reached(&reached);
        assert_eq!(acks.due(), Some(told), "{level:?}");
    }
}
