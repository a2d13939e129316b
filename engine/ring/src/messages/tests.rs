use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Full, Receiver, Sender, message_ring};

/// A value that shows when it was dropped: the oracle knows how many are alive.
type Value = (u32, Arc<()>);

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Recv,
    Free,
    Len,
    DropSender,
    DropReceiver,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => Just(Step::Send),
        10 => Just(Step::Recv),
        3 => Just(Step::Free),
        3 => Just(Step::Len),
        1 => Just(Step::DropSender),
        1 => Just(Step::DropReceiver),
    ];
    vec(step, 0..200)
}

/// The ring beside a `VecDeque` that does the same.
struct Oracle {
    capacity: usize,
    sender: Option<Sender<Value>>,
    receiver: Option<Receiver<Value>>,
    queue: VecDeque<u32>,
    sent: u32,
    witness: Arc<()>,
}

impl Oracle {
    fn new(capacity: usize) -> Oracle {
        let (sender, receiver) = message_ring(capacity);
        Oracle { capacity, sender: Some(sender), receiver: Some(receiver), queue: VecDeque::new(), sent: 0, witness: Arc::new(()) }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send => self.send(),
            Step::Recv => self.recv(),
            Step::Free => {
                if let Some(sender) = &mut self.sender {
                    assert_eq!(sender.free(), self.capacity - self.queue.len());
                }
            }
            Step::Len => {
                if let Some(receiver) = &self.receiver {
                    assert_eq!(receiver.len(), self.queue.len());
                    assert_eq!(receiver.is_empty(), self.queue.is_empty());
                }
            }
            Step::DropSender => self.sender = None,
            Step::DropReceiver => self.receiver = None,
        }
        self.agree();
    }

    fn send(&mut self) {
        let Some(sender) = &mut self.sender else {
            return;
        };
        let result = sender.send((self.sent, Arc::clone(&self.witness)));
        if self.queue.len() < self.capacity {
            assert!(result.is_ok(), "{} of {}", self.queue.len(), self.capacity);
            self.queue.push_back(self.sent);
            self.sent += 1;
        } else {
            let Full((value, _)) = result.expect_err("the oracle is full");
            assert_eq!(value, self.sent, "the value comes back");
        }
    }

    fn recv(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            let value = receiver.recv().map(|(value, _)| value);
            assert_eq!(value, self.queue.pop_front());
        }
    }

    fn agree(&self) {
        if let Some(sender) = &self.sender {
            assert_eq!(sender.is_abandoned(), self.receiver.is_none());
        }
        if let Some(receiver) = &self.receiver {
            assert_eq!(receiver.is_abandoned(), self.sender.is_none());
        }
        let alive = if self.sender.is_none() && self.receiver.is_none() { 0 } else { self.queue.len() };
        assert_eq!(Arc::strong_count(&self.witness) - 1, alive, "values alive");
    }
}

fn check(capacity: usize, steps: &[Step]) {
    let mut oracle = Oracle::new(capacity);
    for step in steps {
        oracle.step(*step);
    }
}

proptest! {
    #[test]
    fn ring_is_a_bounded_queue(capacity in 1_usize..20, steps in steps()) {
        check(capacity, &steps);
    }
}

#[test]
fn full_gives_the_value_back() {
    let (mut sender, _receiver) = message_ring(1);
    assert_eq!(sender.send("first"), Ok(()));
    assert_eq!(sender.send("second"), Err(Full("second")));
}

#[test]
fn full_names_no_content() {
    assert_eq!(format!("{:?}, {}", Full("secret"), Full("secret")), "Full(..), the message ring is full");
}

#[test]
fn capacity_is_exact_when_it_is_not_a_power_of_two() {
    let (mut sender, mut receiver) = message_ring(5);
    for lap in 0..3 {
        let fitting = (0..100).take_while(|n| sender.send(*n).is_ok()).count();
        assert_eq!(fitting, 5, "lap {lap}");
        assert_eq!(std::iter::from_fn(|| receiver.recv()).count(), 5);
    }
}

#[test]
fn abandoned_ring_still_gives_what_was_sent() {
    let (mut sender, mut receiver) = message_ring(4);
    sender.send(1).expect("room");
    drop(sender);
    assert!(receiver.is_abandoned());
    assert_eq!(receiver.recv(), Some(1));
    assert_eq!(receiver.recv(), None);
}

#[test]
#[should_panic(expected = "a message ring of 0 values")]
fn no_capacity_is_refused() {
    drop(message_ring::<u8>(0));
}

#[test]
fn halves_move_between_threads_but_are_not_shared() {
    // Ambiguous, so not compiling, if the type were Sync as well.
    trait NotSync<Marker> {
        const HOLDS: bool = true;
    }
    impl<T: ?Sized> NotSync<()> for T {}
    impl<T: ?Sized + Sync> NotSync<u8> for T {}
    fn moves<T: Send>() {}
    const { assert!(<Sender<u8> as NotSync<_>>::HOLDS && <Receiver<u8> as NotSync<_>>::HOLDS) };
    moves::<Sender<u8>>();
    moves::<Receiver<u8>>();
}

#[test]
fn two_threads_lose_and_double_nothing() {
    const VALUES: u64 = 200_000;
    const TRIES_MAX: u64 = 1_000_000_000;
    let (mut sender, mut receiver) = message_ring(64);
    let sending = thread::spawn(move || {
        let mut tries = 0_u64;
        for value in 0..VALUES {
            let mut value = Box::new(value);
            while let Err(Full(back)) = sender.send(value) {
                value = back;
                tries += 1;
                assert!(tries < TRIES_MAX, "stuck at {value} after {tries} tries");
                thread::yield_now();
            }
        }
    });
    let mut expected = 0;
    let mut idle = 0_u64;
    loop {
        // Asked before the last look: what it sent before it went cannot be missed.
        let is_last_look = receiver.is_abandoned();
        while let Some(value) = receiver.recv() {
            assert_eq!(*value, expected);
            expected += 1;
        }
        if is_last_look {
            break;
        }
        idle += 1;
        assert!(idle < TRIES_MAX, "stuck at {expected} after {idle} looks");
        thread::yield_now();
    }
    sending.join().expect("sender");
    assert_eq!(expected, VALUES);
}
