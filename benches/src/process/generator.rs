//! One sender: the real generator, pinned, and the ledger that it left.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use headworks_io::cpus;
use serde_json::Value;

use super::guard::Registered;
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
        command.arg("--ledger").arg(bench.aside().join("generator.json"));
        if load.gso {
            command.arg("--gso");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let cpu = load.cpu;
        // A child inherits the mask of the thread that starts it: one thread is pinned for that, and ends.
        let starter = thread::spawn(move || {
            cpus::pin(cpu).map_err(|error| error.to_string())?;
            command.spawn().map_err(|error| format!("cannot start the generator: {error}"))
        });
        let child = starter.join().map_err(|_| "the thread that starts the generator panicked")??;
        Ok(Generator { _registered: Registered::new(child.id()), child: Some(child) })
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

fn parse(output: &[u8]) -> Option<Sent> {
    let ledger: Value = serde_json::from_slice(output).ok()?;
    let achieved = &ledger["achieved"];
    let refused = ledger["errors"].as_object()?.values().filter_map(Value::as_u64).sum();
    Some(Sent { packets: achieved["packets"].as_u64()?, per_second: achieved["per_second"].as_u64()?, refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_tells_what_was_sent_and_refused() {
        let text = br#"{"achieved":{"packets":9,"per_second":3},"errors":{"EAGAIN":1,"ENOBUFS":2}}"#;
        assert_eq!(parse(text), Some(Sent { packets: 9, per_second: 3, refused: 3 }));
        assert_eq!(parse(b"{}"), None);
    }
}
