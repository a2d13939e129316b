//! The files thread: makes segments ahead of need and writes sidecars, so that the log loop never waits for either.
//!
//! Orders and replies are bounded message rings of plain values. The thread parks when there is nothing to do.

use crate::disk::LaneDisk;
use crate::mend::Mends;
use headworks_format::sidecar::Sidecar;
use headworks_io::fatal::{Reason, fatal};
use headworks_io::{DirectFile, Wake};
use headworks_log::append::SealOrder;
use headworks_log::recover::blank;
use headworks_log::view::SealedSegment;
use headworks_log::{Disk, FileNumber, LaneView};
use headworks_ring::{Receiver, Sender, message_ring};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Orders that can wait: two segments and the seals of a few rolls for each of the most lanes.
const ORDERS_MAX: usize = 512;

/// What the thread is asked to do.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// One more segment for the lane.
    Make {
        /// Place of the lane in the loop.
        lane: usize,
    },
    /// The sidecar of a rolled segment.
    Seal {
        /// Place of the lane in the loop.
        lane: usize,
        /// What to write.
        order: SealOrder,
    },
    /// A retired file taken out of the log for good.
    Blank {
        /// Place of the lane in the loop.
        lane: usize,
        /// The file.
        file: FileNumber,
    },
}

/// What came of it.
#[derive(Debug)]
pub enum Reply {
    /// A segment is ready.
    Made {
        /// Place of the lane in the loop.
        lane: usize,
        /// Its number.
        file: FileNumber,
        /// Its descriptor.
        opened: DirectFile,
    },
    /// The volume is full.
    Full {
        /// Place of the lane in the loop.
        lane: usize,
    },
    /// A sidecar is durable, or could not be made so.
    Sealed {
        /// Place of the lane in the loop.
        lane: usize,
        /// What was written.
        order: SealOrder,
        /// Why not.
        result: Result<(), String>,
    },
    /// A retired file is blank, or could not be made so.
    Blanked {
        /// Place of the lane in the loop.
        lane: usize,
        /// The file.
        file: FileNumber,
        /// Why not.
        result: Result<(), String>,
    },
    /// The volume failed while a segment was made.
    Failed {
        /// What happened.
        error: String,
    },
}

/// What the thread works on.
pub struct FilesSetup {
    /// Directories and views of the lanes, by place in the loop.
    pub lanes: Vec<(LaneDisk, Arc<LaneView>)>,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Wakes the log loop after a reply.
    pub wake: Wake,
    /// What is to be written again, where another node may have a copy.
    pub mends: Option<Mends>,
}

/// The thread's own side.
struct Files {
    setup: FilesSetup,
    orders: Receiver<Order>,
    replies: Sender<Reply>,
    /// Set when the process stops: a segment half made is given up.
    stop: Arc<AtomicBool>,
}

/// The log loop's side. Only an order wakes the thread: a wake for each write would cost as much as the write's own turn.
pub struct Desk {
    orders: Sender<Order>,
    replies: Receiver<Reply>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Desk {
    /// Hands an order over; false when there is no room for it now.
    pub fn send(&mut self, order: Order) -> bool {
        let sent = self.orders.send(order).is_ok();
        self.thread.thread().unpark();
        sent
    }

    /// The next reply.
    pub fn recv(&mut self) -> Option<Reply> {
        self.replies.recv()
    }

    /// Whether no reply waits.
    pub fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Ends the thread once it has carried out what it was ordered, all but a segment half made.
    pub fn close(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_else(|_| fatal(Reason::Bug, "the files thread panicked"));
    }
}

/// Starts the thread.
///
/// # Errors
/// No thread is to be had.
pub fn spawn(setup: FilesSetup) -> std::io::Result<Desk> {
    let (orders, order_receiver) = message_ring(ORDERS_MAX);
    let (reply_sender, replies) = message_ring(ORDERS_MAX);
    let stop = Arc::new(AtomicBool::new(false));
    let files = Files { setup, orders: order_receiver, replies: reply_sender, stop: Arc::clone(&stop) };
    let thread = thread::Builder::new().name("hw-files".into()).spawn(move || run(files))?;
    Ok(Desk { orders, replies, stop, thread })
}

fn run(mut files: Files) {
    files.setup.mends.iter().for_each(Mends::begin);
    loop {
        if let Some(mends) = &files.setup.mends {
            mends.carry_out(&mut files.setup.lanes);
        }
        while let Some(order) = files.orders.recv() {
            let reply = files.carry_out(order);
            if let Some(reply) = reply {
                // The ring of replies is as long as that of orders, so there is room for one reply an order.
                files.replies.send(reply).unwrap_or_else(|_| panic!("more replies than orders"));
                files.setup.wake.wake();
            }
        }
        if files.stop.load(Ordering::Acquire) && files.orders.is_empty() {
            return;
        }
        thread::park_timeout(Duration::from_millis(500));
    }
}

impl Files {
    fn carry_out(&mut self, order: Order) -> Option<Reply> {
        match order {
            Order::Make { lane } => self.make(lane),
            Order::Seal { lane, order } => {
                let (disk, view) = &mut self.setup.lanes[lane];
                Some(Reply::Sealed { lane, order, result: seal(disk, view, &order) })
            }
            Order::Blank { lane, file } => {
                let result = blank(&mut self.setup.lanes[lane].0, file).map_err(|error| error.message);
                Some(Reply::Blanked { lane, file, result })
            }
        }
    }

    fn make(&self, lane: usize) -> Option<Reply> {
        let stop = || !self.stop.load(Ordering::Acquire);
        match self.setup.lanes[lane].0.make(self.setup.segment_bytes, &stop) {
            Ok((file, opened)) => Some(Reply::Made { lane, file, opened }),
            Err(error) if error.full => Some(Reply::Full { lane }),
            Err(_) if !stop() => None,
            Err(error) => Some(Reply::Failed { error: error.message }),
        }
    }
}

/// The segment is durable already; once its sidecar is too, readers find it among the sealed ones.
fn seal(disk: &mut LaneDisk, view: &LaneView, order: &SealOrder) -> Result<(), String> {
    let index = view.fresh_index(order.index);
    let mut entries = index.entries();
    entries.sort_unstable();
    let sidecar = Sidecar {
        lane: view.lane,
        epoch: order.epoch,
        nonce: order.nonce,
        base_sequence: order.base_sequence,
        end_sequence: order.end_sequence,
        end_position: order.end_position,
        end_chain: order.end_chain,
        counters: order.counters,
        entries,
        holes: Vec::new(),
    };
    disk.write_sidecar(order.file, &sidecar.encode()).map_err(|error| error.message)?;
    view.add_sealed(SealedSegment {
        file: order.file,
        nonce: order.nonce,
        epoch: order.epoch,
        base_sequence: order.base_sequence.0,
        end_sequence: order.end_sequence.0,
        end_position: order.end_position,
        starts: index.starts(view.partitions.len()),
    });
    Ok(())
}
