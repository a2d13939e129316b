//! Models of the message ring: every interleaving of two threads, every stale value allowed.

use std::sync::Arc;

use ::loom::model;
use ::loom::thread;

use super::{Full, Receiver, message_ring};

/// Takes what waits now and checks that it continues the count.
fn take(receiver: &mut Receiver<Box<u32>>, expected: &mut u32) {
    while let Some(value) = receiver.recv() {
        assert_eq!(*value, *expected, "values come in order, none twice");
        *expected += 1;
    }
}

#[test]
fn values_arrive_once_and_in_order() {
    model(|| {
        let (mut sender, mut receiver) = message_ring(2);
        let sending = thread::spawn(move || {
            let mut sent = 0;
            for _ in 0..4 {
                match sender.send(Box::new(sent)) {
                    Ok(()) => sent += 1,
                    Err(Full(value)) => {
                        assert_eq!(*value, sent, "the value comes back");
                        thread::yield_now();
                    }
                }
            }
            sent
        });
        let mut received = 0;
        for _ in 0..2 {
            take(&mut receiver, &mut received);
            thread::yield_now();
        }
        let sent = sending.join().expect("sender");
        take(&mut receiver, &mut received);
        assert_eq!(received, sent, "all that was sent was received");
    });
}

#[test]
fn storage_larger_than_the_capacity_is_not_used_up() {
    model(|| {
        let (mut sender, mut receiver) = message_ring(3);
        let sending = thread::spawn(move || {
            let sent = (0..4).filter(|n| sender.send(Box::new(*n)).is_ok()).count();
            (sent, sender)
        });
        let first = receiver.recv();
        let (sent, sender) = sending.join().expect("sender");
        assert!(sent == 3 || first.is_some(), "{sent} of 3 fitted, none taken");
        let taken = usize::from(first.is_some());
        assert_eq!(receiver.len(), sent - taken);
        drop(sender);
    });
}

#[test]
fn abandoned_by_the_sender_means_everything_is_there() {
    model(|| {
        let (mut sender, mut receiver) = message_ring(2);
        let sending = thread::spawn(move || {
            sender.send(Box::new(0)).expect("room");
            sender.send(Box::new(1)).expect("room");
        });
        if receiver.is_abandoned() {
            let mut received = 0;
            take(&mut receiver, &mut received);
            assert_eq!(received, 2, "both values were sent before it went");
        }
        sending.join().expect("sender");
        assert!(receiver.is_abandoned());
    });
}

#[test]
fn free_room_is_there_to_be_sent_into() {
    model(|| {
        let (mut sender, mut receiver) = message_ring(1);
        sender.send(Box::new(0)).expect("room");
        let receiving = thread::spawn(move || receiver.recv());
        if sender.free() == 1 {
            sender.send(Box::new(1)).expect("only the Sender takes room");
        }
        let value = receiving.join().expect("receiver").expect("one value");
        assert_eq!(*value, 0);
    });
}

#[test]
fn what_is_left_is_dropped_by_the_last_half() {
    model(|| {
        let witness = Arc::new(());
        let (mut sender, mut receiver) = message_ring(2);
        let sent = Arc::clone(&witness);
        let sending = thread::spawn(move || {
            sender.send(Arc::clone(&sent)).expect("room");
            sender.send(sent).expect("room");
        });
        drop(receiver.recv());
        drop(receiver);
        sending.join().expect("sender");
        assert_eq!(Arc::strong_count(&witness), 1, "every value was dropped");
    });
}
