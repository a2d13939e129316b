//! The program as a process: how it ends, and what it leaves behind.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_headworks-loadgen");

/// A sender under way, and the socket it sends to.
struct Sender {
    child: Child,
    target: UdpSocket,
    received: u64,
    ledger: PathBuf,
}

impl Sender {
    /// Started for a minute; returns once it has sent.
    fn start(folder: &Path) -> Self {
        let target = UdpSocket::bind("127.0.0.1:0").unwrap();
        target.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let ledger = folder.join("run.json");
        let child = Command::new(PROGRAM)
            .args(["udp", "--rate", "2000", "--size", "64", "--duration", "60s", "-o", "json"])
            .arg("--target")
            .arg(target.local_addr().unwrap().to_string())
            .arg("--ledger")
            .arg(&ledger)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut sender = Self { child, target, received: 0, ledger };
        for _ in 0..50 {
            sender.receive();
        }
        sender
    }

    fn receive(&mut self) {
        self.target.recv(&mut [0; 64]).unwrap();
        self.received += 1;
    }

    /// Ends it, takes in what is still in the socket, and reads the ledger.
    fn end(mut self, signal: Signal) -> (Output, u64, Value) {
        let process = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(process, signal).unwrap();
        let output = self.child.wait_with_output().unwrap();
        // On loopback a packet is in the receiver's socket before its send returns.
        self.target.set_nonblocking(true).unwrap();
        while self.target.recv(&mut [0; 64]).is_ok() {
            self.received += 1;
        }
        let ledger = serde_json::from_slice(&fs::read(&self.ledger).unwrap()).unwrap();
        (output, self.received, ledger)
    }
}

/// A signal that can be obeyed ends the run early, with success and with an exact ledger.
#[track_caller]
fn check_obeyed(signal: Signal) {
    let folder = tempfile::tempdir().unwrap();
    let (output, received, ledger) = Sender::start(folder.path()).end(signal);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(ledger["state"], "interrupted");
    assert_eq!(ledger["sources"][0]["sent"], received);
    assert_eq!(ledger["sources"][0]["sent_max"], received);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, ledger, "what was printed against the file");
}

/// The program with these arguments exits with this code and says these words on stderr.
#[track_caller]
fn check_exit(arguments: &[&str], code: i32, words: &str) {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said:?} lacks {words:?}");
}

#[test]
fn sigterm_leaves_an_exact_ledger() {
    check_obeyed(Signal::SIGTERM);
}

#[test]
fn sigint_leaves_an_exact_ledger() {
    check_obeyed(Signal::SIGINT);
}

#[test]
fn sigkill_leaves_a_ledger_whose_bound_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (_, received, ledger) = Sender::start(folder.path()).end(Signal::SIGKILL);
    assert_eq!(ledger["state"], "running");
    let source = &ledger["sources"][0];
    let (sent, sent_max) = (source["sent"].as_u64().unwrap(), source["sent_max"].as_u64().unwrap());
    assert!((sent..=sent_max).contains(&received), "{sent} <= {received} <= {sent_max}");
}

#[test]
fn wrong_usage_exits_2() {
    check_exit(&[], 2, "Usage");
    check_exit(&["kafka"], 2, "--target");
    check_exit(&["sctp"], 2, "unrecognized subcommand");
    check_exit(&["udp", "--size", "12"], 2, "too few");
    check_exit(&["udp", "--duration", "10"], 2, "try `10s`");
}

#[test]
fn what_cannot_be_done_exits_1() {
    let unused = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("run.json").display().to_string();
    let sends = ["udp", "--target", &unused, "--rate", "1", "--size", "48", "--ledger", &ledger];
    check_exit(&[&sends[..], &["--http", "127.0.0.1:1"]].concat(), 1, "cannot ask http://127.0.0.1:1");
    assert!(!folder.path().join("run.json").exists(), "a ledger without a packet");
    let asks = ["verify", "--bootstrap", "127.0.0.1:1", "--http", "127.0.0.1:1", "--ledger", &ledger];
    check_exit(&asks, 1, "cannot read the ledger file");
}

#[test]
fn help_names_what_is_built_and_nothing_else() {
    let output = Command::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && help.contains("Examples:"), "{help}");
    for (command, built) in [("  udp ", true), ("  verify ", true), ("  tcp ", true), ("  kafka ", true), ("  sctp", false)] {
        assert_eq!(help.contains(command), built, "{command} in {help}");
    }
}
