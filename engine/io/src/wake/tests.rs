use std::sync::atomic::AtomicU64;

use super::*;

fn readable(wake: &Wake) -> bool {
    let mut poll = libc::pollfd { fd: wake.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one record, writable for the length of the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    assert!(ready >= 0, "poll answered {ready}");
    ready == 1
}

#[test]
fn a_busy_sleeper_costs_no_system_call_and_hears_of_it_when_it_parks() {
    let wake = Wake::new().unwrap();
    wake.wake();
    wake.wake();
    assert!(!readable(&wake));
    assert!(wake.park(), "work may have come");
    assert!(!wake.park(), "it was told once");
}

#[test]
fn a_parked_sleeper_is_woken_once() {
    let wake = Wake::new().unwrap();
    assert!(!wake.park());
    wake.wake();
    wake.wake();
    assert!(readable(&wake));
    assert!(wake.drain());
    assert!(!wake.drain() && !readable(&wake));
    wake.unpark();
    assert!(!wake.park());
}

#[test]
fn unpark_without_a_wake_leaves_nothing_behind() {
    let wake = Wake::new().unwrap();
    assert!(!wake.park());
    wake.unpark();
    wake.wake();
    assert!(!readable(&wake));
}

/// Sleeps for ever until readable, as a loop would.
fn sleep(wake: &Wake) {
    let mut poll = libc::pollfd { fd: wake.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one record, writable for the length of the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 10_000) };
    assert_eq!(ready, 1, "a wake was lost");
    wake.drain();
}

#[test]
fn no_wake_is_lost_between_two_threads() {
    const ITEMS: u64 = 50_000;
    let wake = Wake::new().unwrap();
    let published = Arc::new(AtomicU64::new(0));
    let waker = {
        let (wake, published) = (wake.clone(), Arc::clone(&published));
        std::thread::spawn(move || {
            for item in 1..=ITEMS {
                published.store(item, Ordering::Release);
                wake.wake();
                if item % 64 == 0 {
                    std::thread::yield_now();
                }
            }
        })
    };
    let mut seen = 0;
    while seen < ITEMS {
        let now = published.load(Ordering::Acquire);
        if now > seen {
            seen = now;
        } else if !wake.park() {
            sleep(&wake);
            wake.unpark();
        }
    }
    waker.join().unwrap();
}
