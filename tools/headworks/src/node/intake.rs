//! The side of a node that takes in: sockets for senders and the ingest loops behind them. It is there only while the node
//! leads; what comes before (lanes, log loop, gateway) does not depend on it.

use super::failure::Failure;
use super::observe::{ListenerBook, Watched};
use super::preflight::Warning;
use super::run::{Placement, join, spawn, wait_told};
use super::sockets::Sockets;
use crate::config::Config;
use headworks_format::PartitionId;
use headworks_format::block::COUNTERS;
use headworks_format::checkpoint::Partition;
use headworks_ingest::batches::Batches;
use headworks_ingest::turn::{Ended, IngestLoop, IngestParts, IngestSetup, Progress, Stop};
use headworks_io::Wake;
use headworks_io::fatal::{Reason, fatal};
use headworks_lane::{Control, Grow};
use headworks_ledger::{Book, Counts};
use headworks_log::LaneView;
use headworks_log::catalog::{self, Stream};
use headworks_log::view::PartitionView;
use headworks_ring::{Filler, Sender, message_ring};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Name of the listener that takes batches from clients, in the books.
const KAFKA: &str = "kafka";
/// What stands in its books for the stream: it writes to any topic.
const TOPICS: &str = "topics";
/// The longest that the partitions of configured streams may take to be durable.
const NAMED_MAX: Duration = Duration::from_secs(30);

/// What of a lane waits for the node to lead.
pub struct LaneIntake {
    /// Its published state.
    pub view: Arc<LaneView>,
    /// Wakes its ingest loop.
    pub wake: Wake,
    /// Batches that clients make.
    pub batches: Batches,
    /// Their books.
    pub book: Book,
}

/// The way to the log loop.
#[derive(Clone)]
pub struct LogLine {
    /// Wakes it.
    pub wake: Wake,
    /// Orders.
    pub control: Arc<Mutex<Sender<Control>>>,
    /// Partitions to be made.
    pub grow: Arc<Mutex<Sender<Grow>>>,
}

impl LogLine {
    /// Sends an order.
    ///
    /// # Errors
    /// Nobody has taken those before: a bug.
    pub fn order(&self, control: Control) -> Result<(), Failure> {
        let mut sender = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send(control).map_err(|_| Failure::new(Reason::Bug, "the log loop takes no control message"))?;
        self.wake.wake();
        Ok(())
    }
}

/// A lane's progress as its ingest loop sees it.
struct LaneProgress {
    view: Arc<LaneView>,
    uncommitted_bytes_max: u64,
}

impl Progress for LaneProgress {
    fn writing(&self) -> u64 {
        // Written first: submitted can only have grown since.
        let written = self.view.positions.written.load();
        self.view.positions.submitted.load().saturating_sub(written)
    }

    fn disk_full(&self) -> bool {
        self.view.disk_full.load(Ordering::Relaxed)
    }

    fn shared_slots(&self) -> u64 {
        self.view.positions.shared_slots.load()
    }

    fn is_backlogged(&self) -> bool {
        self.view.positions.uncommitted_bytes.load() > self.uncommitted_bytes_max
    }

    fn committed_slots(&self) -> u64 {
        self.view.positions.committed_slots.load()
    }
}

/// What a lane brings when the node begins to lead.
pub struct Beginning {
    /// The ring's producing end.
    pub filler: Filler,
    /// The lane's counters so far.
    pub counters: [u64; COUNTERS],
}

/// The running intake.
pub struct Intake {
    lanes: Vec<(JoinHandle<Ended>, Wake, Sender<Stop>)>,
}

impl Intake {
    /// Starts an ingest loop for each lane; returns when all of them listen.
    ///
    /// # Errors
    /// A socket, a thread or memory is not to be had.
    pub fn start(
        config: &Config,
        placement: &Placement,
        sockets: &Sockets,
        lanes: Vec<(LaneIntake, Beginning)>,
        log: &LogLine,
        watched: &Watched,
    ) -> Result<(Intake, Vec<Warning>), Failure> {
        let (mut books, mut warnings, mut started) = (Vec::new(), Vec::new(), Vec::new());
        // Of each lane its part.
        let uncommitted_bytes_max = config.pair.as_ref().map_or(u64::MAX, |pair| pair.uncommitted_bytes_max / lanes.len().max(1) as u64);
        for (place, (lane, beginning)) in lanes.into_iter().enumerate() {
            let listening = sockets.of_lane(config, place, &lane.view, &mut books, &mut warnings)?;
            books.push(ListenerBook {
                listener: KAFKA.into(),
                stream: TOPICS.into(),
                lane: lane.view.lane.0,
                book: lane.book,
                tally: None,
            });
            let carried = Counts::from_slots(&beginning.counters).carried();
            watched.lanes[place].carried.set(carried).map_err(|_| Failure::new(Reason::Bug, "a lane began to lead twice"))?;
            let (stop, control) = message_ring(1);
            let wake = lane.wake.clone();
            let parts = IngestParts {
                listeners: listening.udp,
                tcp: listening.tcp,
                filler: beginning.filler,
                progress: Arc::new(LaneProgress { view: lane.view, uncommitted_bytes_max }),
                wake: wake.clone(),
                log: log.wake.clone(),
                carried,
                control,
                batches: lane.batches,
            };
            started.push((start_loop(config, placement, place, parts)?, wake, stop));
        }
        watched.books.set(books).map_err(|_| Failure::new(Reason::Bug, "the node began to lead twice"))?;
        Ok((Intake { lanes: started }, warnings))
    }

    /// Ends the loops: sockets are drained as long as `stop` says, and what was received is sealed. What each lane's loop left.
    ///
    /// # Errors
    /// A loop is not to be reached: a bug.
    pub fn stop(mut self, stop: Stop) -> Result<Vec<Ended>, Failure> {
        for (_, wake, sender) in &mut self.lanes {
            sender.send(stop).map_err(|_| Failure::new(Reason::Bug, "an ingest loop was told to stop twice"))?;
            wake.wake();
        }
        Ok(self.lanes.into_iter().map(|(handle, _, _)| join(handle, "an ingest loop")).collect())
    }
}

fn start_loop(config: &Config, placement: &Placement, lane: usize, parts: IngestParts) -> Result<JoinHandle<Ended>, Failure> {
    let cpu = placement.lanes[lane];
    let setup = IngestSetup { linger_ns: config.log.linger_ns, depth: config.log.depth as u64, idle: placement.idle };
    let (tell, told) = mpsc::channel();
    let handle = spawn(&format!("hw-ingest-{lane}"), move || {
        super::run::pin(cpu);
        match IngestLoop::new(parts, setup) {
            Ok(ingest) => {
                drop(tell.send(Ok(())));
                ingest.run()
            }
            Err(error) => {
                drop(tell.send(Err(error.clone())));
                fatal(Reason::Kernel, format!("ingest loop {lane}: {error}"))
            }
        }
    })?;
    wait_told(&told, "an ingest loop")?;
    Ok(handle)
}

/// Makes the partitions that the configured streams ask for and a lane does not have yet: one that another node led before.
/// Returns when they can be written to.
///
/// # Errors
/// They are not durable after half a minute.
pub fn ensure_streams(config: &Config, views: &[Arc<LaneView>], log: &LogLine) -> Result<(), Failure> {
    let streams: Vec<Stream> = config.streams.iter().map(|stream| Stream { name: stream.name.clone() }).collect();
    let known = |view: &Arc<LaneView>| view.partitions.iter().map(as_partition).collect::<Vec<Partition>>();
    let before: Vec<Vec<Partition>> = views.iter().map(known).collect();
    let mut after = before.clone();
    catalog::extend(&mut after, &streams);
    let mut asked: Vec<(usize, PartitionId)> = Vec::new();
    let since = Instant::now();
    for (lane, partitions) in after.into_iter().enumerate() {
        for partition in partitions.into_iter().skip(before[lane].len()) {
            asked.push((lane, partition.id));
            let view = PartitionView::of(&partition);
            let mut wanted = Grow { lane, partition, view };
            // As fast as the log loop takes them: there may be more than its ring holds.
            while let Err(full) = log.grow.lock().unwrap_or_else(PoisonError::into_inner).send(wanted) {
                wanted = full.0;
                log.wake.wake();
                if since.elapsed() > NAMED_MAX {
                    return Err(Failure::new(Reason::Bug, "the log loop takes no partitions"));
                }
                thread::sleep(Duration::from_micros(200));
            }
        }
    }
    log.wake.wake();
    while !asked.iter().all(|(lane, id)| views[*lane].place(*id).is_some()) {
        if since.elapsed() > NAMED_MAX {
            return Err(Failure::new(Reason::Storage, "partitions of configured streams were not durable within 30 s; check the volume"));
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

fn as_partition(view: &PartitionView) -> Partition {
    Partition { id: view.id, stream: view.stream.clone(), number: view.number, next_offset: view.high_watermark(), log_start: 0 }
}
