//! One appliance: started on free ports with its data in a folder of the bench, asked for its books, ended.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::guard::Registered;
use super::http;
use crate::bench::{Bench, Placement};

/// Longest wait for a node to be ready: it writes its first segment, and may recover a large log.
const READY_MAX: Duration = Duration::from_secs(120);

/// Longest wait for a node to end, or for its books to close.
const END_MAX: Duration = Duration::from_secs(60);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// A running appliance; killed when the value goes.
pub struct Node {
    child: Child,
    _registered: Registered,
    log: PathBuf,
    /// Its UDP listener.
    pub udp: SocketAddr,
    /// Its TCP listener.
    pub tcp: SocketAddr,
    /// Its Kafka listener.
    pub kafka: SocketAddr,
    /// Its HTTP listener.
    pub http: SocketAddr,
}

/// Its books at a moment, over all listeners and lanes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Books {
    /// Packets that reached the socket.
    pub arrived: u64,
    /// Of these, dropped by the kernel.
    pub dropped: u64,
    /// Of these, seen by the appliance.
    pub received: u64,
    /// Arrived, and neither received nor known to be dropped yet.
    pub pending: u64,
    /// Records taken in.
    pub admitted: u64,
    /// Records durable.
    pub durable: u64,
    /// Whether arrivals were counted independently.
    pub exact: bool,
}

impl Books {
    /// What happened since an earlier moment.
    pub fn since(&self, earlier: &Books) -> Books {
        Books {
            arrived: self.arrived - earlier.arrived,
            dropped: self.dropped - earlier.dropped,
            received: self.received - earlier.received,
            pending: self.pending,
            admitted: self.admitted - earlier.admitted,
            durable: self.durable - earlier.durable,
            exact: self.exact,
        }
    }
}

impl Node {
    /// Starts a node of one lane on `data` and waits until it is ready. `settings` are `section.key=value`.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time; with the last it said.
    pub fn start(bench: &Bench, data: &Path, placement: &Placement, retention_bytes: u64, settings: &[String]) -> Result<Node, String> {
        let log = data.with_extension("log");
        let out = File::create(&log).map_err(|error| format!("cannot make {}: {error}", log.display()))?;
        let scale = &bench.scale;
        let mut settings_all = vec![
            "listener.udp.address=127.0.0.1:0".to_owned(),
            "listener.tcp.address=127.0.0.1:0".to_owned(),
            "kafka.address=127.0.0.1:0".to_owned(),
            "http.address=127.0.0.1:0".to_owned(),
            "node.lanes=1".to_owned(),
            format!("node.ingest_cpus={}", placement.ingest),
            format!("node.log_cpu={}", placement.log),
            format!("log.segment={}MiB", scale.segment_bytes >> 20),
            format!("log.ring={}MiB", scale.ring_bytes >> 20),
            format!("log.retention.size={}MiB", retention_bytes >> 20),
        ];
        settings_all.extend_from_slice(settings);
        let mut command = Command::new(&bench.binaries.appliance);
        // Nothing of the caller's environment: a HEADWORKS_ variable there would change what is measured.
        command.env_clear().arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(out);
        command.args(settings_all.iter().flat_map(|setting| ["--set", setting]));
        let mut child = command.spawn().map_err(|error| format!("cannot start {}: {error}", bench.binaries.appliance.display()))?;
        let output = child.stdout.take().expect("standard output is piped");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let registered = Registered::new(child.id());
        let mut node = Node { child, _registered: registered, log, udp: nowhere, tcp: nowhere, kafka: nowhere, http: nowhere };
        let ready =
            ready_line(output).ok_or_else(|| format!("the node ended, or was not ready within {READY_MAX:?}: {}", node.last_words()))?;
        [node.udp, node.tcp, node.kafka, node.http] = addresses(&ready).ok_or_else(|| format!("not a ready line: {ready:?}"))?;
        Ok(node)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its books now.
    ///
    /// # Errors
    /// It does not answer, or not with a ledger.
    pub fn books(&self) -> Result<Books, String> {
        let text = self.get("/api/v1/ledger")?;
        parse_books(&text).ok_or_else(|| format!("not a ledger: {text}"))
    }

    /// Its status.
    ///
    /// # Errors
    /// It does not answer, or not with JSON.
    pub fn status(&self) -> Result<Value, String> {
        let text = self.get("/api/v1/status")?;
        serde_json::from_str(&text).map_err(|error| format!("not a status: {error}: {text}"))
    }

    /// One of its counters.
    ///
    /// # Errors
    /// It does not answer, or has no such metric.
    pub fn counter(&self, name: &str) -> Result<u64, String> {
        let metrics = self.metrics()?;
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            // Labels or the value: else it is another metric whose name begins so.
            rest.starts_with(['{', ' ']).then(|| rest.rsplit_once(' ')?.1.parse().ok())?
        };
        let value = metrics.lines().find_map(of);
        value.ok_or_else(|| format!("no {name} among the metrics"))
    }

    /// Its metrics as text.
    ///
    /// # Errors
    /// It does not answer.
    pub fn metrics(&self) -> Result<String, String> {
        self.get("/metrics")
    }

    /// One answer; a node that gives none has mostly said why.
    fn get(&self, path: &str) -> Result<String, String> {
        http::get(self.http, path).map_err(|error| format!("{error}; the node's last words: {}", self.last_words()))
    }

    /// Its books once nothing is on its way: all that arrived is received or known as dropped, all admitted is durable.
    ///
    /// # Errors
    /// The books do not close in time, which is a fault of the appliance and no slowness.
    pub fn closed_books(&self) -> Result<Books, String> {
        let started = Instant::now();
        loop {
            let books = self.books()?;
            if books.pending == 0 && books.admitted == books.durable && books.arrived == books.received + books.dropped {
                return Ok(books);
            }
            if started.elapsed() > END_MAX {
                return Err(format!("the books do not close: {books:?}"));
            }
            thread::sleep(LOOK);
        }
    }

    /// Resident bytes.
    ///
    /// # Errors
    /// The process is gone.
    pub fn resident_bytes(&self) -> Result<u64, String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).map_err(|error| format!("the node is gone: {error}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: Option<u64> = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| "the node's status shows no VmRSS".to_owned())
    }

    /// Processor time that it used since it started, in ticks of a hundredth of a second.
    ///
    /// # Errors
    /// The process is gone.
    pub fn processor_ticks(&self) -> Result<u64, String> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid())).map_err(|error| format!("the node is gone: {error}"))?;
        parse_ticks(&text).ok_or_else(|| format!("not a stat line: {text:?}"))
    }

    /// Ends it with a drain.
    ///
    /// # Errors
    /// It does not end in time, or with a failure.
    pub fn stop(mut self) -> Result<(), String> {
        self.signal(Signal::SIGTERM)?;
        let started = Instant::now();
        while started.elapsed() < END_MAX {
            match self.child.try_wait().map_err(|error| format!("the node cannot be waited for: {error}"))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the node ended with {status}: {}", self.last_words())),
                None => thread::sleep(LOOK),
            }
        }
        Err(format!("the node did not end within {END_MAX:?}: {}", self.last_words()))
    }

    /// Ends it without a word, as a power cut would.
    ///
    /// # Errors
    /// It was gone already.
    pub fn kill(mut self) -> Result<(), String> {
        self.signal(Signal::SIGKILL)?;
        self.child.wait().map(drop).map_err(|error| format!("the node cannot be waited for: {error}"))
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = i32::try_from(self.pid()).expect("process ids are positive ints");
        kill(Pid::from_raw(pid), signal).map_err(|error| format!("{signal} for the node: {error}: {}", self.last_words()))
    }

    /// The end of what it logged.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail only when it was waited for already, which is what they are to bring about.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The first line that a node prints; none when it ends or stays silent. The thread goes on reading, so that the pipe
/// never fills, and ends with the node.
pub(super) fn ready_line(output: ChildStdout) -> Option<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(tell.send(line))));
    told.recv_timeout(READY_MAX).ok()
}

/// `ready node=N udp=ADDR tcp=ADDR kafka=ADDR http=ADDR data=DIR`
fn addresses(line: &str) -> Option<[SocketAddr; 4]> {
    let of = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok());
    Some([of("udp")?, of("tcp")?, of("kafka")?, of("http")?])
}

fn parse_books(text: &str) -> Option<Books> {
    let ledger: Value = serde_json::from_str(text).ok()?;
    let mut books = Books { exact: true, ..Books::default() };
    for listener in ledger["listeners"].as_array()? {
        books.arrived += listener["arrived"].as_u64()?;
        books.dropped += listener["dropped"].as_object()?.values().filter_map(Value::as_u64).sum::<u64>();
        books.received += listener["received"].as_u64()?;
        books.pending += listener["pending"].as_u64()?;
        books.exact &= listener["exact"].as_bool()?;
    }
    for lane in ledger["lanes"].as_array()? {
        books.admitted += lane["admitted"].as_u64()?;
        books.durable += lane["durable"].as_u64()?;
    }
    Some(books)
}

/// User and system time: fields 14 and 15, counted behind the name, which may hold anything but ends with the last `)`.
fn parse_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_gives_four_addresses() {
        let line = "ready node=a udp=127.0.0.1:1 tcp=127.0.0.1:4 kafka=127.0.0.1:2 http=127.0.0.1:3 data=/x";
        assert_eq!(addresses(line).unwrap().map(|address| address.port()), [1, 4, 2, 3]);
        assert_eq!(addresses("ready node=a udp=127.0.0.1:1"), None);
    }

    #[test]
    fn books_add_up_over_listeners_and_lanes() {
        let listener = r#"{"arrived":5,"dropped":{"a":1,"b":1},"received":3,"pending":0,"exact":true}"#;
        let lane = r#"{"admitted":3,"durable":2}"#;
        let text = format!(r#"{{"listeners":[{listener},{listener}],"lanes":[{lane},{lane}]}}"#);
        let expected = Books { arrived: 10, dropped: 4, received: 6, pending: 0, admitted: 6, durable: 4, exact: true };
        assert_eq!(parse_books(&text), Some(expected));
        assert_eq!(parse_books("{}"), None);
    }

    #[test]
    fn processor_time_is_found_behind_any_name() {
        assert_eq!(parse_ticks("7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14"), Some(11 + 12));
        assert_eq!(parse_ticks("7 (a) S 1"), None);
    }
}
