//! Receiving and throwing away: the ingest loop's way to the kernel without framing, ring, log and books.
//!
//! ```text
//!   socket ─► multishot receive ─► buffer ─► count packets and bytes ─► back to the kernel
//!                                               └─► sink: says when to stop taking (a full ring), is told of each MiB
//! ```
//!
//! Socket, arrival filter, buffer count and size, completion handling and idle policy are those of the ingest loop, as is
//! the rule of arming again. With [`Discard`] this is the receive-only limit.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use headworks_io::{
    ArrivalFilter, Completion, FileSlot, ReceiveBuffers, ReceiveError, Ring, RingSetup, Token, UdpListener, UdpSetup, Wake, cpus,
    udp_listener,
};

/// As the ingest loop has them.
const BUFFERS: u16 = 256;
const BUFFER_BYTES: u32 = 64 << 10;
const COMPLETIONS_MAX: usize = 256;
const RECEIVE_BUFFER_BYTES: usize = 64 << 20;

/// Its thread.
pub const THREAD: &str = "probe-receive";

const RECEIVE: Token = Token(0);
const WAKE: Token = Token(1);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Where received bytes go.
pub trait Sink: Send + 'static {
    /// Whether more may be taken.
    fn has_room(&mut self) -> bool;
    /// So many bytes were taken.
    fn took(&mut self, bytes: u64);
}

/// Nowhere.
pub struct Discard;

impl Sink for Discard {
    fn has_room(&mut self) -> bool {
        true
    }

    fn took(&mut self, _bytes: u64) {}
}

/// A receive loop on its own pinned thread; ended when the value goes.
pub struct ReceiveProbe {
    /// Where to send.
    pub address: SocketAddr,
    counts: Arc<Counts>,
    /// Counts as the appliance's does, on the sender's processor; nobody asks it.
    _filter: ArrivalFilter,
    wake: Wake,
    thread: Option<JoinHandle<Result<(), String>>>,
}

#[derive(Default)]
struct Counts {
    packets: AtomicU64,
    bytes: AtomicU64,
    stop: AtomicBool,
}

impl ReceiveProbe {
    /// Binds a socket on loopback and starts to receive on a processor. `wake` wakes the loop: the sink's other side
    /// uses it when there is room again.
    ///
    /// # Errors
    /// No socket, no ring, or no such processor.
    pub fn start(cpu: usize, gro: bool, wake: Wake, sink: impl Sink) -> Result<ReceiveProbe, String> {
        let setup = UdpSetup {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            gro,
            reuse_port: false,
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
            stamp: false,
        };
        let socket = udp_listener(&setup).map_err(|error| error.to_string())?;
        let filter = ArrivalFilter::attach(&socket).map_err(|error| format!("no arrival filter: {error}"))?;
        let (address, counts) = (socket.local, Arc::new(Counts::default()));
        let parts = (socket, Arc::clone(&counts), wake.clone());
        let thread = thread::Builder::new().name(THREAD.into()).spawn(move || {
            cpus::pin(cpu).map_err(|error| error.to_string())?;
            Loop::new(parts, sink)?.run()
        });
        let thread = thread.map_err(|error| format!("no thread for the receive probe: {error}"))?;
        Ok(ReceiveProbe { address, counts, _filter: filter, wake, thread: Some(thread) })
    }

    /// Datagrams received so far.
    pub fn packets(&self) -> u64 {
        // Relaxed: a count that nothing else is ordered by.
        self.counts.packets.load(Ordering::Relaxed)
    }

    /// Ends the loop.
    ///
    /// # Errors
    /// What the loop failed of.
    pub fn stop(mut self) -> Result<(), String> {
        self.end()
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        // Release pairs with the loop's acquire, though only the flag itself matters.
        self.counts.stop.store(true, Ordering::Release);
        self.wake.wake();
        thread.join().unwrap_or_else(|_| Err("the receive probe panicked".to_owned()))
    }
}

impl Drop for ReceiveProbe {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("headworks-benches: {error}");
        }
    }
}

struct Loop<S> {
    ring: Ring,
    buffers: ReceiveBuffers,
    counts: Arc<Counts>,
    wake: Wake,
    sink: S,
    held: VecDeque<Completion>,
    completions: [Completion; COMPLETIONS_MAX],
    armed: bool,
}

impl<S: Sink> Loop<S> {
    fn new((socket, counts, wake): (UdpListener, Arc<Counts>, Wake), sink: S) -> Result<Loop<S>, String> {
        let text = |error: std::io::Error| format!("the receive probe: {error}");
        let setup = RingSetup { sq_entries: 64, cq_entries: 2 * u32::from(BUFFERS) + 64 };
        let mut ring = Ring::new(&setup).map_err(|error| error.to_string())?;
        ring.register_files(1).map_err(text)?;
        ring.set_file(FileSlot(0), socket.fd).map_err(text)?;
        let buffers = ReceiveBuffers::new(&mut ring, 1, BUFFERS, BUFFER_BYTES).map_err(text)?;
        ring.watch(WAKE, &wake).map_err(|_| "no room for the first submission")?;
        let held = VecDeque::with_capacity(usize::from(BUFFERS));
        let completions = [Completion::default(); COMPLETIONS_MAX];
        Ok(Loop { ring, buffers, counts, wake, sink, held, completions, armed: false })
    }

    fn run(mut self) -> Result<(), String> {
        while !self.counts.stop.load(Ordering::Acquire) {
            if self.turn()? == 0 {
                self.wait()?;
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<usize, String> {
        self.ring.submit().map_err(|error| format!("the receive probe's submit: {error}"))?;
        let reaped = self.ring.reap(&mut self.completions);
        for at in 0..reaped {
            self.sort(self.completions[at])?;
        }
        let taken = self.take()?;
        self.buffers.publish();
        if !self.armed && self.buffers.outstanding() * 4 <= usize::from(BUFFERS) * 3 {
            self.armed = self.ring.receive(RECEIVE, FileSlot(0), &mut self.buffers).is_ok();
        }
        Ok(taken)
    }

    fn sort(&mut self, completion: Completion) -> Result<(), String> {
        if completion.token == WAKE {
            self.wake.drain();
            if !completion.more() {
                self.ring.watch(WAKE, &self.wake).map_err(|_| "no room to watch the wake again")?;
            }
            return Ok(());
        }
        self.armed &= completion.more();
        if completion.buffer_id().is_some() {
            self.held.push_back(completion);
        }
        Ok(())
    }

    /// Counts what was received and gives the buffers back, as long as the sink has room.
    fn take(&mut self) -> Result<usize, String> {
        let mut taken = 0;
        while self.sink.has_room() {
            let Some(completion) = self.held.pop_front() else { break };
            match self.buffers.datagram(&completion) {
                Ok(received) => {
                    self.counts.packets.fetch_add(u64::from(received.count()), Ordering::Relaxed);
                    self.counts.bytes.fetch_add(received.payload.len() as u64, Ordering::Relaxed);
                    self.sink.took(received.payload.len() as u64);
                }
                Err(ReceiveError::OutOfBuffers | ReceiveError::Cancelled) => {}
                Err(error) => return Err(format!("the receive probe: {error}")),
            }
            self.buffers.recycle(completion.buffer_id().expect("held completions have buffers"));
            taken += 1;
        }
        Ok(taken)
    }

    fn wait(&mut self) -> Result<(), String> {
        // Sleep is announced, then looked once more at what others may have changed meanwhile.
        let news = self.wake.park() || (!self.held.is_empty() && self.sink.has_room()) || self.counts.stop.load(Ordering::Acquire);
        if !news {
            self.ring.wait(Some(WAIT_MAX)).map_err(|error| format!("the receive probe's wait: {error}"))?;
        }
        self.wake.unpark();
        Ok(())
    }
}
