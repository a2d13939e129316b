//! A running node.
//!
//! Started on ports that the kernel picks and known by its one ready line. What it writes to standard error goes to a file beside the data,
//! and every failure shows it.

use super::http::{Ledger, Status};
use super::kafka::Client;
use super::wait::{self, PATIENCE};
use super::{http, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::thread;

/// A process that is killed when its owner forgets it.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Guarded {
    /// Starts it.
    pub fn spawn(command: &mut Command) -> Guarded {
        Guarded { child: command.spawn().expect("the program starts"), ended: None }
    }

    /// Its standard input and output, which must be piped.
    pub fn pipes(&mut self) -> (ChildStdin, ChildStdout) {
        (self.child.stdin.take().expect("a piped input"), self.child.stdout.take().expect("a piped output"))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal; one that has ended takes none. SIGSTOP returns when it stands still.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended.is_some() {
            return;
        }
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("process ids are below 2^22"));
        kill(pid, signal).expect("a child that was not waited for takes signals");
        if signal == Signal::SIGSTOP {
            // `kill` returns when the signal is sent; a thread on another processor may do some more until it takes it.
            wait::until("every thread stands still", || running_thread(self.child.id()).map_or(Ok(()), Err));
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended
    }

    /// Waits for its end.
    pub fn wait(&mut self, what: &str) -> ExitStatus {
        wait::until(what, || self.ended().ok_or_else(|| "it still runs".to_owned()))
    }
}

/// The line of one thread of the process that does not stand still; the kernel's own workers for it are none.
fn running_thread(pid: u32) -> Option<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a child that was not waited for has its threads listed");
    let line = |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("stat")).ok();
    let stands = |line: &String| line.contains("(iou-") || line.rsplit(") ").next().is_some_and(|state| state.starts_with('T'));
    tasks.filter_map(line).find(|line| !stands(line))
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // It may end by itself in between; either way it is gone and waited for.
            let _gone = self.child.kill().is_err();
            let _status = self.child.wait();
        }
    }
}

/// A node that said it is ready.
#[derive(Debug)]
pub struct Node {
    process: Guarded,
    /// The ready line.
    pub ready: String,
    addresses: BTreeMap<String, String>,
    /// Its data directory.
    pub data: PathBuf,
    log: PathBuf,
}

impl Node {
    /// Starts a node on the directory and waits until it is ready.
    pub fn start(data: &Path, settings: &[&str]) -> Node {
        Node::start_by(program::command(program::run_arguments(data, settings)), data)
    }

    /// The same by a command of one's own.
    pub fn start_by(command: Command, data: &Path) -> Node {
        Node::try_start(command, data)
            .unwrap_or_else(|(status, text)| panic!("the node ended with {status} instead of being ready:\n{text}"))
    }

    /// Starts a node; how it ended and what it said if it did not become ready.
    pub fn try_start(mut command: Command, data: &Path) -> Result<Node, (ExitStatus, String)> {
        let log = log_beside(data);
        let stderr = File::options().create(true).append(true).open(&log).expect("the log file opens");
        let mut process = Guarded::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr));
        let stdout = process.child.stdout.take().expect("piped above");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout);
            let mut line = String::new();
            // An empty line stands for the end; after the first line nothing may follow, and reading on keeps the pipe open.
            let _read = lines.read_line(&mut line);
            let _heard = tell.send(line);
            let mut rest = String::new();
            let _read = lines.read_to_string(&mut rest);
            assert!(rest.is_empty(), "standard output says more than its one line: {rest}");
        });
        let line = told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no ready line after {PATIENCE:?}:\n{}", text(&log)));
        let Some(words) = line.strip_prefix("ready ") else {
            return Err((process.wait("a node that says it is not ready ends"), text(&log)));
        };
        let addresses = words
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Ok(Node { process, ready: line.trim_end().to_owned(), addresses, data: data.to_owned(), log })
    }

    /// An address of the ready line, by its word.
    pub fn address(&self, word: &str) -> SocketAddr {
        let found = self.addresses.get(word).unwrap_or_else(|| panic!("no {word}= in: {}", self.ready));
        found.parse().unwrap_or_else(|error| panic!("{word}={found}: {error}"))
    }

    /// Where packets go.
    pub fn udp(&self) -> SocketAddr {
        self.address("udp")
    }

    /// A connection to its Kafka listener.
    pub fn kafka(&self) -> Client {
        Client::open(self.address("kafka"))
    }

    /// One answer over HTTP.
    pub fn ask(&self, path: &str) -> http::Answer {
        http::ask(self.address("http"), path)
    }

    /// Its books.
    pub fn ledger(&self) -> Ledger {
        Ledger(self.ask("/api/v1/ledger").json())
    }

    /// Its state.
    pub fn status(&self) -> Status {
        Status(self.ask("/api/v1/status").json())
    }

    /// Waits until every packet that arrived is durable or counted, with at least `arrived` since the books began.
    pub fn settled(&self, arrived: u64) -> Ledger {
        wait::until("the books close", || {
            let ledger = self.ledger();
            let open = ledger.pending() + ledger.in_flight();
            if ledger.arrived() >= arrived && open == 0 {
                Ok(ledger)
            } else {
                Err(format!("{arrived} arrivals wanted; {}\n{}", ledger.0, self.log()))
            }
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Tells it to stop; it must then end by itself.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// SIGTERM, and exit 0 within patience.
    pub fn stop(mut self) {
        self.terminate();
        self.stopped();
    }

    /// Waits for the end of a node that was told to stop: exit 0.
    pub fn stopped(&mut self) {
        let status = self.process.wait("the node stops");
        assert_eq!(status.code(), Some(0), "stopped with {status}:\n{}", self.log());
    }

    /// kill -9; returns when the process is gone.
    pub fn kill(mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.wait("a killed process ends");
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// From now on the system refuses every write behind the first bytes of a file, as a disk does that fails: the superblock can be
    /// written, and a segment cannot.
    pub fn refuse_writes_behind(&self, bytes: u64) {
        let arguments = [format!("--pid={}", self.pid()), format!("--fsize={bytes}")];
        let output = Command::new("prlimit").args(arguments).output().expect("prlimit is part of util-linux");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Waits until it has ended by itself; its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.process.wait("the node ends by itself").code()
    }

    /// Whether it still runs; fails with what it said if not.
    pub fn assert_alive(&mut self) {
        let ended = self.process.ended();
        assert!(ended.is_none(), "the node ended with {ended:?}:\n{}", self.log());
    }

    /// What it and its predecessors on the same directory wrote to standard error.
    pub fn log(&self) -> String {
        text(&self.log)
    }
}

/// An address that a node can have again after it was ended. It lies below the ports that the kernel gives to clients: one of those
/// may be taken, while the node is away, by the very client that looks for it.
pub fn lasting_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    // Other processes run the same tests: each begins elsewhere.
    let begin = u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start)).expect("below the number of ports");
    for _ in PORTS {
        let port = PORTS.start + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port in {PORTS:?}")
}

/// The file for the standard error of nodes on this directory.
pub fn log_beside(data: &Path) -> PathBuf {
    data.with_extension("stderr")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| format!("{} cannot be read: {error}", path.display()))
}
