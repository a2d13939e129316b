//! The load generator and its check, as processes of their own.
//!
//! It is another package, so its binary need not be beside the appliance's: it is built there, once, where it is missing or older than its
//! source.

use super::node::{Guarded, Node};
use super::wait;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

/// How a run is to send.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// Packets a second, or `max`.
    pub rate: &'a str,
    /// Payload of a packet.
    pub size: usize,
    /// Flows.
    pub sources: u32,
    /// Whether in segmentation-offload trains.
    pub gso: bool,
    /// `--duration 1s` or `--count 1000`, both halves.
    pub until: [&'a str; 2],
}

/// A run under way.
#[derive(Debug)]
pub struct Running {
    process: Guarded,
    /// Its ledger.
    pub ledger: PathBuf,
}

/// The generator's binary.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let appliance = Path::new(super::program::PROGRAM);
        let folder = appliance.parent().expect("a binary lies in a folder");
        let binary = folder.join("headworks-loadgen");
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("loadgen");
        let built = modified(&binary);
        if built.is_none_or(|built| newest(&package.join("src")) > built) {
            build(folder, &package);
        }
        assert!(binary.exists(), "{} was built and is not there", binary.display());
        binary
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn newest(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a folder lists").path());
    let times = paths.map(|path| if path.is_dir() { newest(&path) } else { modified(&path).unwrap_or(SystemTime::UNIX_EPOCH) });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// With the profile and the target folder of the appliance's own binary.
fn build(folder: &Path, package: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()).expect("a profile's folder has a name") {
        "debug" => "dev",
        named => named,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "headworks-loadgen", "--profile", profile, "--target-dir"]);
    let status = command.arg(folder.parent().expect("profiles lie in a target folder")).current_dir(package).status().expect("cargo runs");
    assert!(status.success(), "{command:?} ended with {status}");
}

fn command(node: &Node, load: &Load<'_>, ledger: &Path) -> Command {
    let mut command = Command::new(binary());
    command.args(["udp", "--target", &node.udp().to_string(), "--http", &node.address("http").to_string()]);
    command.args(["--rate", load.rate, "--size", &load.size.to_string(), "--sources", &load.sources.to_string()]);
    command.args(load.until).arg("--ledger").arg(ledger);
    if load.gso {
        command.arg("--gso");
    }
    command
}

/// Sends to the end; the run must succeed.
pub fn send(node: &Node, load: &Load<'_>, ledger: &Path) {
    let output = command(node, load, ledger).output().expect("the generator starts");
    assert!(output.status.success(), "{load:?} ended with {}\n{}", output.status, super::program::said(&output));
}

/// Begins to send.
pub fn begin(node: &Node, load: &Load<'_>, ledger: &Path) -> Running {
    let mut command = command(node, load, ledger);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Running { process: Guarded::spawn(&mut command), ledger: ledger.to_owned() }
}

/// Begins to send by these arguments: all but the ledger's place and where the appliance's own is asked for.
pub fn begin_by(node: &Node, arguments: &[&str], ledger: &Path) -> Running {
    let http = node.address("http").to_string();
    begin_unasked(&[arguments, &["--http", &http]].concat(), ledger)
}

/// Begins to send by these arguments, without a question to an appliance that may be gone by the end.
pub fn begin_unasked(arguments: &[&str], ledger: &Path) -> Running {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--ledger").arg(ledger);
    let said = ledger.with_extension("said");
    let said = std::fs::File::create(&said).unwrap_or_else(|error| panic!("{}: {error}", said.display()));
    command.stdout(Stdio::null()).stderr(said);
    Running { process: Guarded::spawn(&mut command), ledger: ledger.to_owned() }
}

impl Running {
    /// Ends it by SIGTERM: its ledger is exact then.
    pub fn interrupt(mut self) {
        self.process.signal(Signal::SIGTERM);
        self.process.wait("the generator stops");
    }

    /// Ends a sender that is answered by SIGTERM, which must succeed; its ledger.
    pub fn interrupted(mut self) -> Value {
        self.process.signal(Signal::SIGTERM);
        let status = self.process.wait("the generator stops");
        let said = std::fs::read_to_string(self.ledger.with_extension("said")).unwrap_or_default();
        assert!(status.success(), "the generator ended with {status}: {said}");
        let text = std::fs::read(&self.ledger).expect("a run leaves its ledger");
        serde_json::from_slice(&text).expect("a ledger is JSON")
    }

    /// Waits until it has begun: its ledger stands.
    pub fn under_way(&mut self) {
        wait::until("the generator writes its ledger", || {
            assert!(self.process.ended().is_none(), "the generator ended early with {:?}", self.process.ended());
            if self.ledger.exists() { Ok(()) } else { Err("no ledger yet".to_owned()) }
        });
    }
}

/// Reads the topic `events` back and accounts for every packet of the run.
pub fn verify(node: &Node, ledger: &Path) -> Output {
    verify_in(node, "events", ledger)
}

fn verify_in(node: &Node, topic: &str, ledger: &Path) -> Output {
    let mut command = Command::new(binary());
    command.args(["verify", "--bootstrap", &node.address("kafka").to_string(), "--http", &node.address("http").to_string()]);
    command.args(["--output", "json", "--topic", topic, "--ledger"]).arg(ledger).output().expect("the check starts")
}

/// [`verify`] of that topic must find every packet accounted for; what it found.
pub fn accounted(node: &Node, topic: &str, ledger: &Path) -> Value {
    let output = verify_in(node, topic, ledger);
    let said = super::program::said(&output);
    assert!(output.status.success(), "{}: {}\n{said}\n{}", topic, output.status, node.log());
    serde_json::from_slice(&output.stdout).expect("findings are JSON")
}

/// [`verify`] must find every packet of the run stored once or counted under a cause.
pub fn assert_accounted(node: &Node, ledger: &Path, what: &str) -> String {
    let output = verify(node, ledger);
    let said = super::program::said(&output);
    assert!(output.status.success(), "{what}: {}\n{said}\n{}", output.status, node.log());
    said
}
