//! The budget: what is taken comes back, and waiting ends by event.

use super::*;

#[test]
fn takes_no_more_than_there_is_and_gives_it_back() {
    let budget = Budget::new(100);
    let first = budget.take(70);
    let second = budget.take(70);
    assert_eq!((first.bytes(), second.bytes()), (70, 30));
    drop(first);
    assert_eq!(budget.free_bytes(), 70);
    drop(second);
    assert_eq!(budget.free_bytes(), 100);
}

#[test]
fn overdrawn_gives_nothing_until_paid_back() {
    let budget = Budget::new(100);
    let mut large = budget.take(10);
    large.settle(150);
    assert_eq!(budget.free_bytes(), -50);
    assert_eq!(budget.take(1).bytes(), 0);
    large.settle(20);
    assert_eq!(budget.take(100).bytes(), 80);
}

#[tokio::test]
async fn waits_until_enough_is_released() {
    let budget = Budget::new(100);
    let mut held = budget.take(100);
    let (waited, ()) = tokio::join!(budget.take_at_least(50, 80), async {
        for bytes in [90, 60, 45] {
            tokio::task::yield_now().await;
            held.settle(bytes);
        }
    });
    assert_eq!(waited.bytes(), 55);
}

#[tokio::test]
async fn more_than_the_whole_is_the_whole() {
    let budget = Budget::new(100);
    assert_eq!(budget.take_at_least(500, 800).await.bytes(), 100);
}
