//! One sender: the real generator, pinned, and the ledger that it left.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use headworks_io::cpus;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::guard::Registered;
use super::node::Node;
use crate::bench::Bench;

/// What to send.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Bytes of a packet's payload.
    pub packet_bytes: usize,
    /// Packets a second; none for as fast as the kernel takes them.
    pub rate: Option<u64>,
    /// Whether packets leave in segmentation-offload trains.
    pub gso: bool,
    /// For how long.
    pub duration: Duration,
    /// Where the generator runs.
    pub cpu: usize,
}

/// Senders over TCP, each acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct TcpLoad {
    /// Bytes of a record.
    pub record_bytes: usize,
    /// Connections.
    pub senders: u32,
    /// Records a second over all of them.
    pub rate: u64,
    /// For how long.
    pub duration: Duration,
    /// Where the generator runs.
    pub cpu: usize,
}

/// A sender under way; killed when the value goes.
pub struct Generator {
    child: Option<Child>,
    _registered: Registered,
}

/// What it sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sent {
    /// Packets that the kernel took.
    pub packets: u64,
    /// The same a second.
    pub per_second: u64,
    /// Packets that the kernel refused.
    pub refused: u64,
    /// What was acknowledged, by a transport that does so.
    pub acknowledged: Option<Acknowledged>,
}

/// Acknowledgements, and how long they took from when a record was due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Acknowledged {
    /// Records.
    pub records: u64,
    /// Half took no longer, ns.
    pub p50_ns: u64,
    /// 99 of 100.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// Connections that broke.
    pub broken: u64,
    /// How late the senders themselves took up 99 of 100 records, which is inside of the times above.
    pub late_p99_ns: u64,
}

impl Generator {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(bench: &Bench, target: SocketAddr, load: &Load) -> Result<Generator, String> {
        let mut command = Command::new(&bench.binaries.generator);
        command.args(["udp", "--output", "json", "--target"]).arg(target.to_string());
        command.args(["--rate", &load.rate.map_or_else(|| "max".to_owned(), |rate| rate.to_string())]);
        command.args(["--size", &load.packet_bytes.to_string(), "--duration", &format!("{}ms", load.duration.as_millis())]);
        command.arg("--ledger").arg(ledger_of(bench));
        if load.gso {
            command.arg("--gso");
        }
        Generator::spawn(command, load.cpu)
    }

    /// Starts senders over TCP.
    ///
    /// # Errors
    /// They cannot be started.
    pub fn start_tcp(bench: &Bench, node: &Node, load: &TcpLoad) -> Result<Generator, String> {
        let mut command = Command::new(&bench.binaries.generator);
        command.args(["tcp", "--ack", "--output", "json", "--target", &node.tcp.to_string(), "--http", &node.http.to_string()]);
        command.args(["--sources", &load.senders.to_string(), "--rate", &load.rate.to_string()]);
        command.args(["--size", &load.record_bytes.to_string(), "--duration", &format!("{}ms", load.duration.as_millis())]);
        command.arg("--ledger").arg(ledger_of(bench));
        Generator::spawn(command, load.cpu)
    }

    fn spawn(mut command: Command, cpu: usize) -> Result<Generator, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A child inherits the mask of the thread that starts it: one thread is pinned for that, and ends.
        let starter = thread::spawn(move || {
            cpus::pin(cpu).map_err(|error| error.to_string())?;
            command.spawn().map_err(|error| format!("cannot start the generator: {error}"))
        });
        let child = starter.join().map_err(|_| "the thread that starts the generator panicked")??;
        Ok(Generator { _registered: Registered::new(child.id()), child: Some(child) })
    }

    /// Ends it before its time, and reads what it sent.
    ///
    /// # Errors
    /// As [`Generator::finish`].
    pub fn end(self) -> Result<Sent, String> {
        let pid = self.child.as_ref().map(Child::id).ok_or("the generator was waited for")?;
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGINT).map_err(|error| format!("the generator is gone: {error}"))?;
        self.finish()
    }

    /// Waits for its end and reads what it sent.
    ///
    /// # Errors
    /// It failed, or printed no ledger.
    pub fn finish(mut self) -> Result<Sent, String> {
        let child = self.child.take().expect("finished once");
        let output = child.wait_with_output().map_err(|error| format!("the generator cannot be waited for: {error}"))?;
        if !output.status.success() {
            return Err(format!("the generator ended with {}", output.status));
        }
        parse(&output.stdout).ok_or_else(|| format!("not a generator's ledger: {}", String::from_utf8_lossy(&output.stdout)))
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only when it has ended and was waited for, which is what they are to bring about.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The generator's ledger.
fn ledger_of(bench: &Bench) -> PathBuf {
    bench.aside().join("generator.json")
}

/// Whether every record of the generator's last run is accounted for, and how many are missing: by the generator's own check.
///
/// # Errors
/// It cannot be started, or found nothing out; what it said.
pub fn missing(bench: &Bench, node: &Node) -> Result<u64, String> {
    let mut command = Command::new(&bench.binaries.generator);
    command.args(["verify", "--output", "json", "--bootstrap", &node.kafka.to_string(), "--http", &node.http.to_string()]);
    let output = command.arg("--ledger").arg(ledger_of(bench)).output().map_err(|error| format!("cannot start the check: {error}"))?;
    let found: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("the check found nothing out: {error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    match (&found["balanced"], found["missing"].as_u64()) {
        (Value::Bool(true), Some(missing)) => Ok(missing),
        (balanced, _) => Err(format!("balanced {balanced}: {}", found["reasons"])),
    }
}

fn parse(output: &[u8]) -> Option<Sent> {
    let ledger: Value = serde_json::from_slice(output).ok()?;
    let achieved = &ledger["achieved"];
    let refused = ledger["errors"].as_object()?.values().filter_map(Value::as_u64).sum();
    let acknowledged = ledger.get("answers").and_then(|answers| {
        let latency = &answers["latency"];
        Some(Acknowledged {
            records: answers["acknowledged"].as_u64()?,
            p50_ns: latency["p50_ns"].as_u64()?,
            p99_ns: latency["p99_ns"].as_u64()?,
            max_ns: latency["max_ns"].as_u64()?,
            broken: answers["connections"]["broken"].as_u64()?,
            late_p99_ns: ledger["lateness"]["p99_ns"].as_u64()?,
        })
    });
    Some(Sent { packets: achieved["packets"].as_u64()?, per_second: achieved["per_second"].as_u64()?, refused, acknowledged })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_tells_what_was_sent_and_refused() {
        let text = br#"{"achieved":{"packets":9,"per_second":3},"errors":{"EAGAIN":1,"ENOBUFS":2}}"#;
        assert_eq!(parse(text), Some(Sent { packets: 9, per_second: 3, refused: 3, acknowledged: None }));
        let text = br#"{"achieved":{"packets":9,"per_second":3},"errors":{},"lateness":{"p99_ns":5},"answers":{"acknowledged":8,
            "latency":{"p50_ns":1,"p99_ns":2,"max_ns":3},"connections":{"broken":4}}}"#;
        let acknowledged = Some(Acknowledged { records: 8, p50_ns: 1, p99_ns: 2, max_ns: 3, broken: 4, late_p99_ns: 5 });
        assert_eq!(parse(text), Some(Sent { packets: 9, per_second: 3, refused: 0, acknowledged }));
        assert_eq!(parse(b"{}"), None);
    }
}
