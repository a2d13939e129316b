//! Running a node: its threads, the ready line, and the drain.
//!
//! ```text
//! main ── waits for signals
//! ├─ hw-log        pinned: all lanes' logs           (└─ hw-files: segments ahead, sidecars)
//! ├─ hw-ingest-i   pinned: lane i
//! └─ hw-gateway    Kafka and HTTP, tokio current-thread
//! ```
//!
//! Stopping, in order: ingest loops drain their sockets, seal and end; the log loop makes everything durable, writes the
//! final counters and ends; the gateway answers what is under way; the superblock says that the stop was clean.

use super::assemble::{self, Assembly, Ground, Joining};
use super::directory;
use super::failure::Failure;
use super::intake::{Beginning, Intake, LaneIntake, LogLine};
use super::observe::{Observer, Watched};
use super::preflight::Warning;
use super::sockets::{Servers, Sockets};
use super::{memory, preflight};
use crate::config::{self, Config};
use headworks_format::block::COUNTERS;
use headworks_gateway::cluster::{Broker, Cluster};
use headworks_gateway::http::administration::Token;
use headworks_gateway::lanes::{Healer, Lane};
use headworks_gateway::{Advertised, GatewayParts, Identity, Limits, serve};
use headworks_ingest::turn::{Ended, Stop};
use headworks_io::fatal::{Reason, fatal};
use headworks_io::uring::Registered;
use headworks_io::{Clock, Policy, Volume, Wake, cpus};
use headworks_lane::{Control, LaneDisk, LogLoop, LoopParts, LoopSetup, Part, Told};
use headworks_log::LaneView;
use headworks_ring::Filler;
use nix::sys::signal::{SigSet, Signal};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Empty turns before a loop waits, where it has a core to itself.
const SPINS: u32 = 2000;

/// Runs until a signal ends it.
///
/// # Errors
/// What kept it from starting, or from stopping cleanly.
pub fn run(config: &Config) -> Result<(), Failure> {
    let signals = block_signals()?;
    let warnings = preflight::preflight()?;
    match (&config.pair, &config.arbiter) {
        (Some(pair), Some(arbiter)) => super::pair::run(config, pair, arbiter, &signals, warnings),
        // One without the other is refused when the configuration is checked.
        _ => run_alone(config, &signals, warnings),
    }
}

/// One node: it leads from its first moment on.
fn run_alone(config: &Config, signals: &SigSet, mut warnings: Vec<Warning>) -> Result<(), Failure> {
    let volume = Arc::new(Volume::lock(&config.node.data[0])?);
    let lanes = directory::read(&volume).map_or_else(|_| assemble::lanes_wanted(config), |state| state.lanes);
    // Before recovery, so that what is sent meanwhile waits in the sockets.
    let sockets = Sockets::bind(config, lanes, &mut warnings)?;
    let servers = Servers::bind(config)?;
    let config = sockets.bound(config);
    let mut ground = Ground::take(&config, volume, warnings)?;
    let opened = ground.recover(&config, Part::Alone)?;
    let epoch = ground.directory.take_epoch(assemble::epoch_seen(&opened), assemble::ends(&opened))?;
    ground.directory.note_unobserved(assemble::newest_ns(&opened), sockets.bound_ns);
    let joining = Joining {
        part: Part::Alone,
        epoch,
        since_ns: sockets.bound_ns,
        shipper: None,
        cluster: Cluster::default(),
        standing: None,
        healed: Arc::default(),
    };
    let (mut node, _) = Node::start(config.clone(), assemble::assemble(&config, ground, servers, opened, joining)?)?;
    let beginnings = node.fillers.drain(..).map(|(filler, counters)| Beginning { filler, counters }).collect();
    node.take_in(&sockets, beginnings)?;
    node.serve()?;
    // The interval in which nobody listened is written down now that it has ended.
    node.ground.directory.write()?;
    node.announce(true);

    wait_for_signal(signals)?;
    node.stop()
}

/// A node that runs.
pub struct Node {
    /// What it was told.
    pub config: Config,
    placement: Placement,
    limits: Limits,
    /// What is watched.
    pub watched: Arc<Watched>,
    /// The way to the log loop.
    pub line: LogLine,
    /// The directory with its superblock.
    pub ground: Ground,
    /// The producing end of each lane's ring, until somebody has taken it, and the counters that its log began with.
    pub fillers: Vec<(Filler, [u64; COUNTERS])>,
    intakes: Vec<LaneIntake>,
    intake: Option<Intake>,
    /// Whether an intake has been stopped for good.
    has_stopped: bool,
    /// What it came to, once it has ended.
    ended: Arc<Mutex<Vec<Ended>>>,
    identity: Identity,
    log: JoinHandle<u64>,
    serving: Option<Serving>,
    gateway: Option<(tokio::sync::oneshot::Sender<()>, JoinHandle<()>)>,
}

/// What the gateway will be made of.
struct Serving {
    servers: Servers,
    lanes: Vec<Lane<LaneDisk>>,
    commits: Wake,
    healer: Option<Healer>,
    token: Token,
}

impl Node {
    /// Starts the log loop over the assembled lanes; returns when each has what it needs to go on.
    ///
    /// # Errors
    /// io_uring, memory or a thread is not to be had.
    pub fn start(config: Config, assembly: Assembly) -> Result<(Node, mpsc::Receiver<Told>), Failure> {
        let Assembly { log, line, told, intakes, fillers, lanes, commits, servers, watched, mut ground, slots, healer, healing: _ } =
            assembly;
        let limits = Limits::default();
        tracing::info!("{}", memory::describe(&memory::sum(intakes.len(), slots, &config, &limits)));
        let placement = Placement::of(intakes.len(), &config);
        let (log, unregistered) = start_log(&placement, log)?;
        ground.warnings.extend(unregistered.map(|error| preflight::unregistered(&error)));
        let identity = identity(&config, &servers.kafka, &ground)?;
        let serving = Some(Serving { servers, lanes, commits, healer, token: ground.token.clone() });
        let node = Node {
            config,
            placement,
            limits,
            watched,
            line,
            ground,
            fillers,
            intakes,
            intake: None,
            has_stopped: false,
            ended: Arc::default(),
            identity,
            log,
            serving,
            gateway: None,
        };
        Ok((node, told))
    }

    /// Begins to take in from senders.
    ///
    /// # Errors
    /// A socket, a thread or memory is not to be had, or the host lacks something and `node.strict` makes that an error.
    pub fn take_in(&mut self, sockets: &Sockets, beginnings: Vec<Beginning>) -> Result<(), Failure> {
        let lanes = self.intakes.drain(..).zip(beginnings).collect();
        let (intake, warnings) = Intake::start(&self.config, &self.placement, sockets, lanes, &self.line, &self.watched)?;
        self.intake = Some(intake);
        self.ground.warnings.extend(warnings);
        preflight::enforce(self.config.node.strict, &self.ground.warnings)?;
        warn(&self.watched, &std::mem::take(&mut self.ground.warnings));
        Ok(())
    }

    /// Begins to answer clients.
    ///
    /// # Errors
    /// The gateway's thread is not to be had.
    pub fn serve(&mut self) -> Result<(), Failure> {
        let serving = self.serving.take().ok_or_else(|| Failure::new(Reason::Bug, "the gateway was started twice"))?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let gateway = start_gateway(serving, Arc::clone(&self.watched), self.identity.clone(), self.limits, stopped)?;
        self.gateway = Some((stop, gateway));
        Ok(())
    }

    /// Says that everything serves; on standard output the first time.
    pub fn announce(&self, is_first: bool) {
        announce(&self.config, &self.watched, is_first);
    }

    /// Where clients are told to connect.
    #[must_use]
    pub fn advertised(&self) -> &Advertised {
        &self.identity.advertised
    }

    /// Whether the intake was stopped for another node to take over.
    #[must_use]
    pub fn has_stopped_taking_in(&self) -> bool {
        self.has_stopped
    }

    /// Stops the intake for good, apart from the node: what is returned does it, on any thread, and ends when nothing more is
    /// appended.
    pub fn stop_taking_in(&mut self, drain_ns_max: u64) -> impl FnOnce() -> Result<(), Failure> + Send + use<> {
        self.has_stopped = true;
        let (intake, kept) = (self.intake.take(), Arc::clone(&self.ended));
        let views: Vec<_> = self.watched.lanes.iter().map(|lane| Arc::clone(&lane.view)).collect();
        move || {
            let ended = intake.map_or_else(|| Ok(Vec::new()), |intake| intake.stop(Stop { drain_ns_max }))?;
            kept.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&ended);
            // What was sealed last has its number when the log loop has been there, which takes it a turn or two.
            let is_stamped = |(view, ended): (&Arc<LaneView>, &Ended)| view.positions.stamped_slots.load() >= ended.published;
            while !views.iter().zip(&ended).all(is_stamped) {
                thread::park_timeout(Duration::from_micros(100));
            }
            Ok(())
        }
    }

    /// Drains and ends, in order.
    ///
    /// # Errors
    /// A thread is not to be reached, or the superblock cannot be written.
    pub fn stop(mut self) -> Result<(), Failure> {
        notify(&[sd_notify::NotifyState::Stopping]);
        self.watched.ready_ns.store(0, Ordering::Release);
        let lanes = self.watched.lanes.len();
        let ended = match self.intake.take() {
            Some(intake) => intake.stop(Stop::DRAINED)?,
            // Stopped before, for a handover that this node may have taken back.
            None => std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner)),
        };
        for lane in 0..lanes {
            let counters = ended.get(lane).map(|ended| ended.counters);
            self.line.order(Control::Close { lane, counters })?;
        }
        let abandoned = join(self.log, "the log loop");
        if let Some((stop, gateway)) = self.gateway.take() {
            // The gateway may have gone already, which is no news here.
            let _gone = stop.send(()).is_err();
            join(gateway, "the gateway");
        }
        self.ground.directory.state.stopped_cleanly = true;
        self.ground.directory.write()?;
        if abandoned > 0 {
            tracing::error!(
                blocks = abandoned,
                "stopped without room in the log: blocks received last were not stored; the ledger's last durable counters stand"
            );
        } else {
            tracing::info!("stopped: everything received is durable");
        }
        Ok(())
    }
}

/// Waits for the signal that ends the node.
///
/// # Errors
/// It cannot be waited for.
pub fn wait_for_signal(signals: &SigSet) -> Result<(), Failure> {
    let signal = signals.wait().map_err(|error| Failure::new(Reason::Kernel, format!("cannot wait for signals: {error}")))?;
    tracing::info!(%signal, "draining");
    Ok(())
}

/// Signals go to the main thread, which waits for them; every other thread inherits the block.
///
/// # Errors
/// The kernel refuses the mask.
pub fn block_signals() -> Result<SigSet, Failure> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    // Nor may a limit of the size of files (RLIMIT_FSIZE) end the process without a word: the write fails, and is named.
    let mut blocked = signals;
    blocked.add(Signal::SIGXFSZ);
    blocked.thread_block().map_err(|error| Failure::new(Reason::Kernel, format!("cannot block signals: {error}")))?;
    Ok(signals)
}

/// Which loop runs where, and whether it may spin.
pub struct Placement {
    log: Option<usize>,
    /// The CPU of each ingest loop.
    pub lanes: Vec<Option<usize>>,
    /// What a loop does when there is nothing to do.
    pub idle: Policy,
}

impl Placement {
    /// The log loop on the first allowed CPU, lane i on the (i+1)-th; with two CPUs or fewer nothing spins.
    fn of(lanes: usize, config: &Config) -> Placement {
        let allowed = cpus::allowed();
        let cpu = |place: usize| allowed.get(place % allowed.len().max(1)).copied();
        let idle = if allowed.len() <= 2 { Policy::Wait } else { Policy::SpinThenWait { spins: SPINS } };
        Placement {
            log: match config.node.log_cpu {
                config::Placement::Auto => cpu(0),
                config::Placement::Fixed(cpu) => Some(cpu),
            },
            lanes: (0..lanes)
                .map(|lane| match &config.node.ingest_cpus {
                    config::Placement::Auto => cpu(lane + 1),
                    config::Placement::Fixed(cpus) => cpus.get(lane % cpus.len().max(1)).copied(),
                })
                .collect(),
            idle,
        }
    }
}

/// Pins the calling thread, where a CPU was chosen.
pub fn pin(cpu: Option<usize>) {
    if let Some(cpu) = cpu
        && let Err(error) = cpus::pin(cpu)
    {
        tracing::warn!("{error}; the loop runs wherever the scheduler puts it");
    }
}

/// What a thread tells of its beginning.
type Began<T> = Result<T, String>;

/// Starts the log loop and waits until every lane has an open, durable segment. Says why buffers were not registered.
fn start_log(placement: &Placement, parts: LoopParts) -> Result<(JoinHandle<u64>, Option<String>), Failure> {
    let setup = LoopSetup { segment_bytes: parts.lanes[0].segment_bytes, cpu: placement.log, idle: placement.idle, fixed_buffers: true };
    let (tell, told) = mpsc::channel::<Began<Option<String>>>();
    let handle = spawn("hw-log", move || {
        pin(setup.cpu);
        match LogLoop::new(parts, &setup) {
            Ok(log) => {
                let registered = if let Registered::Plain(error) = log.registered() { Some(error.to_string()) } else { None };
                log.run(|| drop(tell.send(Ok(registered.clone()))))
            }
            Err(error) => {
                drop(tell.send(Err(error.clone())));
                fatal(Reason::Kernel, format!("the log loop: {error}"))
            }
        }
    })?;
    Ok((handle, wait_told(&told, "the log loop")?))
}

/// Waits until a thread has told of its beginning.
///
/// # Errors
/// What it told, or that it told nothing for too long.
pub fn wait_told<T>(told: &mpsc::Receiver<Began<T>>, who: &str) -> Result<T, Failure> {
    // Making the first segment writes it whole; on a slow disk that takes its time.
    match told.recv_timeout(Duration::from_secs(300)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::new(Reason::Kernel, format!("{who}: {error}"))),
        Err(_) => Err(Failure::new(
            Reason::Storage,
            format!(
                "{who} was not ready within 300 s: the volume has no room for a first segment, or hardly writes; `df -h` and \
                    `dmesg` say which"
            ),
        )),
    }
}

fn start_gateway(
    serving: Serving,
    watched: Arc<Watched>,
    identity: Identity,
    limits: Limits,
    stopped: tokio::sync::oneshot::Receiver<()>,
) -> Result<JoinHandle<()>, Failure> {
    let Serving { servers: Servers { kafka, http }, lanes, commits, healer, token } = serving;
    spawn("hw-gateway", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).thread_name("hw-history").build();
        let runtime = runtime.unwrap_or_else(|error| fatal(Reason::Kernel, format!("the gateway has no runtime: {error}")));
        let store = assemble::store(lanes, commits, healer, &watched);
        // A dropped sender means that the process ends anyway.
        let shutdown = Box::pin(async move { drop(stopped.await) });
        let parts = GatewayParts {
            kafka,
            http,
            store,
            observed: Observer(Arc::clone(&watched)),
            token,
            identity,
            cluster: watched.cluster.clone(),
            limits,
            shutdown,
        };
        runtime.block_on(serve(parts)).unwrap_or_else(|error| fatal(Reason::Kernel, error.to_string()));
    })
}

/// The id of a single node's broker.
const BROKER_ALONE: i32 = 1;

/// The broker of a node of the pair, by what it said of itself; none when that is no address.
#[must_use]
pub fn broker_of(node: u128, address: &str) -> Option<Broker> {
    let (host, port) = address.rsplit_once(':')?;
    Some(Broker { id: broker_id(node), host: host.into(), port: port.parse().ok()? })
}

/// The id of a node's broker in a pair: the same for ever, and another for every node.
fn broker_id(node: u128) -> i32 {
    // Above the few low numbers that tools take for their own.
    let folded = (node ^ (node >> 64)) & 0x3fff_ffff;
    i32::try_from(folded).expect("30 bits") + 1000
}

fn identity(config: &Config, kafka: &TcpListener, ground: &Ground) -> Result<Identity, Failure> {
    let state = &ground.directory.state;
    let node_id = if config.pair.is_some() { broker_id(state.node_id) } else { BROKER_ALONE };
    Ok(Identity { cluster_id: cluster_id(state.pair.0), node_id, advertised: advertised(config, kafka)? })
}

/// Where clients are told to connect.
///
/// # Errors
/// A bound socket without an address.
pub fn advertised(config: &Config, kafka: &TcpListener) -> Result<Advertised, Failure> {
    let bound: SocketAddr =
        kafka.local_addr().map_err(|error| Failure::new(Reason::Kernel, format!("the Kafka socket has no address: {error}")))?;
    Ok(config.kafka.advertise.as_ref().map_or_else(
        || Advertised { host: bound.ip().to_string(), port: bound.port() },
        |advertise| Advertised { host: advertise.host.clone(), port: if advertise.port == 0 { bound.port() } else { advertise.port } },
    ))
}

/// The pair's identity as Kafka writes cluster ids: 22 characters of URL-safe base64.
fn cluster_id(pair: u128) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |place: u32| {
        // 22 digits of 6 bits hold 132 bits: the last one is padded with four zeros.
        let shift = 122_i64 - 6 * i64::from(place);
        let bits = if shift >= 0 { pair >> shift } else { pair << -shift };
        char::from(ALPHABET[usize::try_from(bits & 63).expect("six bits")])
    };
    (0..22).map(digit).collect()
}

fn warn(watched: &Watched, warnings: &[preflight::Warning]) {
    let mut shown = watched.warnings.lock().unwrap_or_else(PoisonError::into_inner);
    for warning in warnings {
        tracing::warn!("{warning}");
        shown.push(warning.to_string());
    }
}

/// The one line on standard output, and three to try.
fn announce(config: &Config, watched: &Watched, is_first: bool) {
    watched.ready_ns.store(Clock.realtime_ns(), Ordering::Release);
    let mut line = format!("ready node={}", config.node.name);
    let mut kinds = Vec::new();
    for listener in &watched.listeners {
        let first = !kinds.contains(&&listener.kind);
        kinds.push(&listener.kind);
        let key = if first { listener.kind.clone() } else { format!("{}.{}", listener.kind, listener.name) };
        line.push_str(&format!(" {key}={}", listener.address));
    }
    if is_first {
        println!("{line} data={}", config.node.data[0].display());
    }
    let address =
        |kind: &str| watched.listeners.iter().find(|listener| listener.kind == kind).map_or("-", |listener| listener.address.as_str());
    let (host, port) = address("udp").rsplit_once(':').unwrap_or(("-", "-"));
    let stream = config.listeners.first().map_or("events", |listener| listener.stream.as_str());
    eprintln!(
        "try:  printf 'hello' > /dev/udp/{host}/{port}\n      kcat -b {} -t {stream} -C -e\n      http://{}/",
        address("kafka"),
        address("http")
    );
    notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(&line)]);
}

/// Tells the service manager, if there is one.
pub fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// A named thread.
///
/// # Errors
/// None is to be had.
pub fn spawn<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, Failure> {
    thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map_err(|error| Failure::new(Reason::Kernel, format!("no thread for {name}: {error}")))
}

/// Waits for a thread; one that panicked is a bug.
pub fn join<T>(handle: JoinHandle<T>, who: &str) -> T {
    handle.join().unwrap_or_else(|_| fatal(Reason::Bug, format!("{who} panicked")))
}
