//! A turn allocates nothing: receive, reap, read, recycle, write, sync and submit, counted by the allocator itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use headworks_io::{
    Completion, FileSlot, Optional, Pages, ReceiveBuffers, RegionSlot, Ring, RingSetup, Token, UdpSetup, Volume, Wake, udp_listener,
};

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator with the arguments it came with; the count beside it is a
// thread-local integer without a destructor, which allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RECEIVE: Token = Token(1);
const WATCH: Token = Token(2);
const WRITE: Token = Token(3);
const SYNC: Token = Token(4);
const SOCKET: FileSlot = FileSlot(0);
const FILE: FileSlot = FileSlot(1);

struct Loop {
    ring: Ring,
    buffers: ReceiveBuffers,
    pages: Pages,
    wake: Wake,
    sender: UdpSocket,
    out: [Completion; 64],
}

fn build(directory: &std::path::Path, optional: Optional) -> Loop {
    let listener = udp_listener(&UdpSetup {
        address: "127.0.0.1:0".parse().unwrap(),
        gro: true,
        reuse_port: false,
        receive_buffer_bytes: 1 << 20,
        stamp: true,
    })
    .unwrap();
    let volume = Volume::lock(directory).unwrap();
    let file = volume.make_segment("segment", 1 << 20, &|| true).unwrap();
    let pages = Pages::new(4, 4096).unwrap();
    let wake = Wake::new().unwrap();
    let mut ring = Ring::with_optional(&RingSetup { sq_entries: 64, cq_entries: 256 }, optional).unwrap();
    ring.register_files(2).unwrap();
    ring.set_file(SOCKET, Arc::clone(&listener.fd)).unwrap();
    ring.set_file(FILE, file.fd).unwrap();
    let _ = ring.register_regions(&[Arc::clone(pages.region())]);
    let mut buffers = ReceiveBuffers::new(&mut ring, 0, 8, 2048).unwrap();
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    ring.watch(WATCH, &wake).unwrap();
    ring.submit().unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(listener.local).unwrap();
    Loop { ring, buffers, pages, wake, sender, out: [Completion::default(); 64] }
}

impl Loop {
    /// Ten packets over eight buffers, so that the receive ends and is armed again; one write and one sync.
    fn turn(&mut self) -> u64 {
        for _ in 0..10 {
            self.sender.send(b"packet").unwrap();
        }
        let page = self.pages.lease().unwrap();
        self.pages.page_mut(page).fill(1);
        self.ring.write(WRITE, FILE, RegionSlot(0), self.pages.offset(page), 4096, 0).unwrap();
        self.pages.submit(page);
        self.ring.fdatasync(SYNC, FILE).unwrap();
        if !self.wake.park() {
            self.wake.wake();
        }
        let (mut packets, mut disk) = (0, 0);
        while packets < 10 || disk < 2 {
            self.ring.submit().unwrap();
            self.ring.wait(Some(Duration::from_secs(10))).unwrap();
            let count = self.ring.reap(&mut self.out);
            assert!(count > 0, "{packets} packets, {disk} disk operations, then nothing");
            for index in 0..count {
                let completion = self.out[index];
                match completion.token {
                    RECEIVE => packets += self.on_receive(&completion),
                    WRITE | SYNC => disk += u32::from(completion.count().is_ok()),
                    _ => self.wake.unpark(),
                }
            }
            self.buffers.publish();
        }
        self.pages.done(page);
        u64::from(packets)
    }

    fn on_receive(&mut self, completion: &Completion) -> u32 {
        let count = self.buffers.datagram(completion).map_or(0, |received| received.count());
        if let Some(buffer) = completion.buffer_id() {
            self.buffers.recycle(buffer);
        }
        if !completion.more() {
            self.buffers.publish();
            self.ring.receive(RECEIVE, SOCKET, &mut self.buffers).unwrap();
        }
        count
    }
}

fn check(optional: Optional) {
    let directory = tempfile::tempdir().unwrap();
    let mut state = build(directory.path(), optional);
    let before = CALLS.get();
    let packets: u64 = (0..200).map(|_| state.turn()).sum();
    let calls = CALLS.get() - before;
    assert_eq!((packets, calls), (2000, 0), "packets and allocator calls, {optional:?}");
}

#[test]
fn a_turn_allocates_nothing() {
    check(Optional::ALL);
}

#[test]
fn a_turn_without_optional_features_allocates_nothing() {
    check(Optional::NONE);
}

#[test]
fn the_count_counts() {
    let before = CALLS.get();
    drop(std::hint::black_box(Box::new(1u8)));
    assert_eq!(CALLS.get() - before, 2);
}
