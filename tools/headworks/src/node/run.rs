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

use super::assemble;
use super::failure::Failure;
use super::observe::{Observer, Watched};
use super::{memory, preflight};
use crate::config::{self, Config};
use headworks_gateway::{Advertised, GatewayParts, Identity, Limits, serve};
use headworks_ingest::turn::{Ended, IngestLoop, IngestParts, IngestSetup, Stop};
use headworks_io::fatal::{Reason, fatal};
use headworks_io::uring::Registered;
use headworks_io::{Clock, Policy, cpus};
use headworks_lane::{Control, LogLoop, LoopParts, LoopSetup};
use nix::sys::signal::{SigSet, Signal};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Empty turns before a loop waits, where it has a core to itself.
const SPINS: u32 = 2000;

/// Runs until a signal ends it.
///
/// # Errors
/// What kept it from starting, or from stopping cleanly.
pub fn run(config: &Config) -> Result<(), Failure> {
    if config.pair.is_some() {
        let text =
            "the roles of a pair are not built into this release: remove [pair] and [arbiter]; `headworks check-config` reads them already";
        return Err(Failure::new(Reason::Config, text));
    }
    let signals = block_signals()?;
    let warnings = preflight::preflight()?;
    let mut assembly = assemble::assemble(config, warnings)?;
    let limits = Limits::default();
    let owners = memory::sum(assembly.ingest.len(), assembly.slots, config, &limits);
    tracing::info!("{}", memory::describe(&owners));
    let placement = Placement::of(assembly.ingest.len(), config);

    let (log, registered) = start_log(&placement, assembly.log)?;
    if let Some(error) = registered {
        assembly.warnings.push(preflight::unregistered(&error));
    }
    preflight::enforce(config.node.strict, &assembly.warnings)?;
    warn(&assembly.watched, &assembly.warnings);
    let mut ingest = Vec::new();
    for (lane, parts) in assembly.ingest.drain(..).enumerate() {
        ingest.push(start_ingest(config, &placement, lane, parts)?);
    }
    let (stop_gateway, stopped) = tokio::sync::oneshot::channel();
    let identity = identity(config, &assembly.kafka, assembly.directory.state.pair.0)?;
    let parts = (assembly.kafka, assembly.http, assembly.lanes, assembly.commits);
    let gateway = start_gateway(parts, Arc::clone(&assembly.watched), identity, limits, stopped)?;
    // The interval in which nobody listened is written down now that it has ended.
    assembly.directory.write()?;
    announce(config, &assembly.watched);

    let signal = signals.wait().map_err(|error| Failure::new(Reason::Kernel, format!("cannot wait for signals: {error}")))?;
    tracing::info!(%signal, "draining");
    notify(&[sd_notify::NotifyState::Stopping]);
    assembly.watched.ready_ns.store(0, Ordering::Release);
    for (lane, (stop, (handle, wake))) in assembly.stops.iter_mut().zip(ingest).enumerate() {
        stop.send(Stop).map_err(|_| Failure::new(Reason::Bug, "an ingest loop was told to stop twice"))?;
        wake.wake();
        let ended = join(handle, "an ingest loop");
        let close = Control::Close { lane, counters: ended.counters };
        assembly.control.send(close).map_err(|_| Failure::new(Reason::Bug, "the log loop takes no control message"))?;
        assembly.log_wake.wake();
    }
    let abandoned = join(log, "the log loop");
    // The gateway may have gone already, which is no news here.
    let _gone = stop_gateway.send(()).is_err();
    join(gateway, "the gateway");
    assembly.directory.state.stopped_cleanly = true;
    assembly.directory.write()?;
    if abandoned > 0 {
        tracing::error!(
            blocks = abandoned,
            "stopped on a full volume: blocks received last were not stored; the ledger's last durable counters stand"
        );
    } else {
        tracing::info!("stopped: everything received is durable");
    }
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
    signals.thread_block().map_err(|error| Failure::new(Reason::Kernel, format!("cannot block signals: {error}")))?;
    Ok(signals)
}

/// Which loop runs where, and whether it may spin.
struct Placement {
    log: Option<usize>,
    lanes: Vec<Option<usize>>,
    idle: Policy,
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

fn pin(cpu: Option<usize>) {
    if let Some(cpu) = cpu
        && let Err(error) = cpus::pin(cpu)
    {
        tracing::warn!("{error}; the loop runs wherever the scheduler puts it");
    }
}

type Told<T> = Result<T, String>;

/// Starts the log loop and waits until every lane has an open, durable segment. Says why buffers were not registered.
fn start_log(placement: &Placement, parts: LoopParts) -> Result<(JoinHandle<u64>, Option<String>), Failure> {
    let setup = LoopSetup { segment_bytes: parts.lanes[0].segment_bytes, cpu: placement.log, idle: placement.idle, fixed_buffers: true };
    let (tell, told) = mpsc::channel::<Told<Option<String>>>();
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

fn start_ingest(
    config: &Config,
    placement: &Placement,
    lane: usize,
    parts: IngestParts,
) -> Result<(JoinHandle<Ended>, headworks_io::Wake), Failure> {
    let cpu = placement.lanes[lane];
    let setup = IngestSetup { linger_ns: config.log.linger_ns, depth: config.log.depth as u64, idle: placement.idle };
    let wake = parts.wake.clone();
    let (tell, told) = mpsc::channel::<Told<()>>();
    let handle = spawn(&format!("hw-ingest-{lane}"), move || {
        pin(cpu);
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
    Ok((handle, wake))
}

fn wait_told<T>(told: &mpsc::Receiver<Told<T>>, who: &str) -> Result<T, Failure> {
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

type GatewaySide = (TcpListener, TcpListener, Vec<headworks_gateway::lanes::Lane<headworks_lane::LaneDisk>>, headworks_io::Wake);

fn start_gateway(
    parts: GatewaySide,
    watched: Arc<Watched>,
    identity: Identity,
    limits: Limits,
    stopped: tokio::sync::oneshot::Receiver<()>,
) -> Result<JoinHandle<()>, Failure> {
    let (kafka, http, lanes, commits) = parts;
    spawn("hw-gateway", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).thread_name("hw-history").build();
        let runtime = runtime.unwrap_or_else(|error| fatal(Reason::Kernel, format!("the gateway has no runtime: {error}")));
        let store = assemble::store(lanes, commits, &watched);
        // A dropped sender means that the process ends anyway.
        let shutdown = Box::pin(async move { drop(stopped.await) });
        let parts = GatewayParts { kafka, http, store, observed: Observer(watched), identity, limits, shutdown };
        runtime.block_on(serve(parts)).unwrap_or_else(|error| fatal(Reason::Kernel, error.to_string()));
    })
}

fn identity(config: &Config, kafka: &TcpListener, pair: u128) -> Result<Identity, Failure> {
    let bound: SocketAddr =
        kafka.local_addr().map_err(|error| Failure::new(Reason::Kernel, format!("the Kafka socket has no address: {error}")))?;
    let advertised = config.kafka.advertise.as_ref().map_or_else(
        || Advertised { host: bound.ip().to_string(), port: bound.port() },
        |advertise| Advertised { host: advertise.host.clone(), port: if advertise.port == 0 { bound.port() } else { advertise.port } },
    );
    Ok(Identity { cluster_id: cluster_id(pair), node_id: 1, advertised })
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
fn announce(config: &Config, watched: &Watched) {
    watched.ready_ns.store(Clock.realtime_ns(), Ordering::Release);
    let mut line = format!("ready node={}", config.node.name);
    let mut kinds = Vec::new();
    for listener in &watched.listeners {
        let first = !kinds.contains(&&listener.kind);
        kinds.push(&listener.kind);
        let key = if first { listener.kind.clone() } else { format!("{}.{}", listener.kind, listener.name) };
        line.push_str(&format!(" {key}={}", listener.address));
    }
    println!("{line} data={}", config.node.data[0].display());
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

/// A thread of this name.
///
/// # Errors
/// The kernel gives none.
pub fn spawn<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, Failure> {
    thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map_err(|error| Failure::new(Reason::Kernel, format!("no thread for {name}: {error}")))
}

/// Waits for a thread's end; its panic is the whole process's.
pub fn join<T>(handle: JoinHandle<T>, who: &str) -> T {
    handle.join().unwrap_or_else(|_| fatal(Reason::Bug, format!("{who} panicked")))
}
