use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use super::*;
use crate::buffers::ReceiveBuffers;
use crate::pages::Pages;
use crate::testing::{RECEIVE, SOCKET, complete, directory, loopback, receiver, ring, sender};
use crate::volume::Volume;

const PAGE: usize = 4096;

/// Fills a page, writes it by the ring to a direct file, syncs, and reads the file back.
fn check_round_trip(optional: Optional) {
    let directory = directory();
    let volume = Volume::lock(directory.path()).unwrap();
    let file = volume.make_segment("segment", 1 << 20, &|| true).unwrap();
    let mut pages = Pages::new(4, PAGE).unwrap();
    let mut ring = ring(optional);
    let registered = ring.register_regions(&[Arc::clone(pages.region())]);
    // A limit on locked memory may make plain writes of registered ones; the ring then says so.
    let fixed = matches!(registered, Registered::Fixed);
    assert_eq!(fixed, ring.optional().fixed_regions, "{registered:?}");
    assert!(!fixed || optional.fixed_regions, "{registered:?} although held back");
    ring.set_file(FileSlot(2), Arc::clone(&file.fd)).unwrap();

    let _skipped = pages.lease().unwrap();
    let page = pages.lease().unwrap();
    pages.page_mut(page).fill(0xa5);
    let offset = pages.offset(page);
    ring.write(Token(1), FileSlot(2), RegionSlot(0), offset, 4096, 8192).unwrap();
    pages.submit(page);
    assert_eq!(ring.in_flight(), 1);
    let written = complete(&mut ring, 1)[0];
    assert_eq!((written.token, written.count().unwrap()), (Token(1), 4096));
    pages.done(page);
    ring.fdatasync(Token(2), FileSlot(2)).unwrap();
    let synced = complete(&mut ring, 1)[0];
    assert_eq!((synced.token, synced.result), (Token(2), 0));
    assert_eq!(ring.in_flight(), 0);

    let mut buffer = crate::AlignedBuffer::zeroed(3 * PAGE);
    crate::read_at(&file.fd, &mut buffer, 4096, 3 * PAGE).unwrap();
    let sums: Vec<usize> = buffer.chunks(PAGE).map(|page| page.iter().filter(|byte| **byte == 0xa5).count()).collect();
    assert_eq!(sums, [0, PAGE, 0]);
}

#[test]
fn write_and_fdatasync_reach_the_file_from_registered_regions() {
    check_round_trip(Optional::ALL);
}

#[test]
fn write_and_fdatasync_reach_the_file_without_optional_features() {
    check_round_trip(Optional::NONE);
}

#[test]
fn a_full_submission_queue_gives_the_token_back() {
    let mut ring = ring(Optional::ALL);
    let file = File::open("/proc/self/exe").unwrap();
    ring.set_file(FileSlot(1), Arc::new(OwnedFd::from(file))).unwrap();
    for number in 0..8 {
        ring.fdatasync(Token(number), FileSlot(1)).unwrap();
    }
    assert_eq!(ring.fdatasync(Token(99), FileSlot(1)), Err(Token(99)));
    assert_eq!(ring.in_flight(), 8);
    ring.submit().unwrap();
    ring.fdatasync(Token(99), FileSlot(1)).unwrap();
    let mut tokens: Vec<u64> = complete(&mut ring, 9).iter().map(|completion| completion.token.0).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [0, 1, 2, 3, 4, 5, 6, 7, 99]);
    assert_eq!((ring.in_flight(), ring.deferred()), (0, 0));
}

#[test]
fn a_wait_that_finds_nothing_ends_without_error() {
    for optional in [Optional::ALL, Optional::NONE] {
        let mut ring = ring(optional);
        ring.wait(Some(Duration::from_micros(50))).unwrap();
        ring.submit().unwrap();
        assert_eq!(ring.reap(&mut [Completion::default(); 4]), 0);
    }
}

#[test]
fn reap_takes_as_many_as_fit_and_keeps_the_rest() {
    let listener = loopback();
    let (mut ring, mut buffers) = receiver(&listener, 16, 64);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    let sender = sender(listener.local);
    for number in 0..5u8 {
        sender.send(&[number]).unwrap();
    }
    let mut seen = Vec::new();
    for completion in complete(&mut ring, 2).into_iter().chain(complete(&mut ring, 3)) {
        seen.push(buffers.datagram(&completion).unwrap().payload[0]);
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

#[test]
fn a_submit_that_does_not_wait_makes_deferred_completions_visible() {
    let listener = loopback();
    let (mut ring, mut buffers) = receiver(&listener, 16, 64);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    ring.submit().unwrap();
    // Loopback delivers within send, so the completion is pending when send returns.
    sender(listener.local).send(b"now").unwrap();
    let mut out = [Completion::default(); 4];
    assert_eq!(ring.reap(&mut out), 0, "no completion is posted before the loop enters the kernel");
    ring.submit().unwrap();
    assert_eq!(ring.reap(&mut out), 1);
    assert_eq!(buffers.datagram(&out[0]).unwrap().payload, b"now");
}

#[test]
fn a_full_completion_queue_loses_nothing() {
    let listener = loopback();
    let mut ring = Ring::new(&RingSetup { sq_entries: 2, cq_entries: 4 }).unwrap();
    ring.register_files(1).unwrap();
    ring.set_file(SOCKET, Arc::clone(&listener.fd)).unwrap();
    let mut buffers = ReceiveBuffers::new(&mut ring, 0, 64, 64).unwrap();
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    ring.submit().unwrap();
    let sender = sender(listener.local);
    for number in 0..40u8 {
        sender.send(&[number]).unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 40 {
        let completion = complete(&mut ring, 1)[0];
        if let Ok(received) = buffers.datagram(&completion) {
            seen.push(received.payload[0]);
        }
        if !completion.more() {
            ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
        }
    }
    assert!(seen.iter().copied().eq(0..40), "{seen:?}");
}

#[test]
fn cancel_ends_a_receive() {
    let listener = loopback();
    let (mut ring, mut buffers) = receiver(&listener, 4, 64);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    ring.submit().unwrap();
    ring.cancel(Token(8), RECEIVE).unwrap();
    let mut completions = complete(&mut ring, 2);
    completions.sort_unstable_by_key(|completion| completion.token);
    assert_eq!(buffers.datagram(&completions[0]).unwrap_err(), crate::ReceiveError::Cancelled);
    assert_eq!((completions[1].token, completions[1].result), (Token(8), 0));
    assert_eq!(ring.in_flight(), 0);
    ring.cancel(Token(9), RECEIVE).unwrap();
    assert_eq!(complete(&mut ring, 1)[0].errno(), Some(libc::ENOENT));
}

#[test]
fn a_wake_from_another_thread_ends_the_wait() {
    let wake = Wake::new().unwrap();
    let mut ring = ring(Optional::ALL);
    ring.watch(Token(3), &wake).unwrap();
    ring.submit().unwrap();
    for _ in 0..100 {
        assert!(!wake.park());
        let other = wake.clone();
        let thread = std::thread::spawn(move || other.wake());
        let completion = complete(&mut ring, 1)[0];
        assert!(completion.token == Token(3) && completion.more(), "{completion:?}");
        wake.unpark();
        thread.join().unwrap();
    }
    assert_eq!(ring.in_flight(), 1, "the watch stays armed");
}

#[test]
fn a_dropped_ring_lets_go_of_its_socket() {
    let listener = loopback();
    let local = listener.local;
    let (mut ring, mut buffers) = receiver(&listener, 4, 64);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    ring.submit().unwrap();
    drop(listener);
    assert!(UdpSocket::bind(local).is_err(), "the ring holds the socket");
    drop(ring);
    UdpSocket::bind(local).unwrap();
}

#[test]
fn a_datagram_in_our_hands_outlives_the_ring() {
    let listener = loopback();
    let (mut ring, mut buffers) = receiver(&listener, 4, 64);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    sender(listener.local).send(b"kept").unwrap();
    let completion = complete(&mut ring, 1)[0];
    drop(ring);
    assert_eq!(buffers.datagram(&completion).unwrap().payload, b"kept");
}

#[test]
fn a_lock_held_by_a_ring_stands_until_the_ring_is_gone() {
    let directory = directory();
    let volume = Volume::lock(directory.path()).unwrap();
    let mut ring = ring(Optional::ALL);
    ring.set_file(FileSlot(3), volume.lock_fd()).unwrap();
    drop(volume);
    let error = Volume::lock(directory.path()).unwrap_err();
    assert!(matches!(error, crate::VolumeError::InUse { .. }), "{error}");
    drop(ring);
    Volume::lock(directory.path()).unwrap();
}

#[test]
fn a_cleared_slot_answers_bad_descriptor() {
    let listener = loopback();
    let (mut ring, _buffers) = receiver(&listener, 4, 64);
    ring.clear_file(SOCKET).unwrap();
    ring.fdatasync(Token(1), SOCKET).unwrap();
    assert_eq!(complete(&mut ring, 1)[0].errno(), Some(libc::EBADF));
}

#[test]
#[should_panic(expected = "write of a region's bytes to")]
fn a_write_beyond_its_region_is_a_bug() {
    let pages = Pages::new(1, PAGE).unwrap();
    let mut ring = ring(Optional::NONE);
    let _ = ring.register_regions(&[Arc::clone(pages.region())]);
    let beyond = pages.region().bytes() - PAGE + 1;
    let _ = ring.write(Token(1), FileSlot(0), RegionSlot(0), beyond, 4096, 0);
}

#[test]
#[should_panic(expected = "file slot 4, the table has 4")]
fn a_slot_outside_the_table_is_a_bug() {
    let _ = ring(Optional::ALL).fdatasync(Token(1), FileSlot(4));
}

#[test]
#[should_panic(expected = "another ring")]
fn buffers_of_another_ring_are_a_bug() {
    let listener = loopback();
    let (_first, mut buffers) = receiver(&listener, 4, 64);
    let (mut second, _) = receiver(&listener, 4, 64);
    let _ = second.receive(RECEIVE, SOCKET, &mut buffers);
}
