//! What a pair does while it is drilled: records by Kafka with acks = all, and some packets by UDP; and what the generator says of them afterwards.
//!
//! The generator is its own program and shares no code with the nodes. It lies beside this one.

use super::network::Host;
use super::process::Process;
use super::rig::{HTTP, Rig, Trouble};
use crate::node::Failure;
use headworks_io::fatal::Reason;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Runs that write to one topic: reading it back after each takes no longer in the hundredth run than in the tenth.
const RUNS_OF_A_TOPIC: u32 = 20;
/// Packets a second: enough that some are under way at any moment.
const PACKETS_RATE: &str = "500";
const SIZE: &str = "100";
/// After so long without an answer the generator's client looks for another leader. A frozen or unreachable primary answers nothing.
const REQUEST_TIMEOUT: &str = "300ms";

/// A load under way.
#[derive(Debug)]
pub struct Load {
    records: Process,
    packets: Process,
    beside: Option<Process>,
    topic: String,
    ledger: PathBuf,
}

/// What became of the acknowledged records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Findings {
    /// Acknowledged.
    pub acknowledged: u64,
    /// Acknowledged and not there.
    pub lost: u64,
    /// There more than once.
    pub doubled: u64,
    /// There, and not what was sent.
    pub corrupted: u64,
    /// The longest time in which records were due and nothing was acknowledged: when it began and ended, in ns since 1970.
    pub gap: (u64, u64),
    /// Answers after which the client gave up.
    pub fatal: u64,
    /// What the client beside it says.
    pub beside: Option<Beside>,
}

/// What a client beside the generator says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside {
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Records given up.
    pub failed: u64,
    /// The longest time without an answer.
    pub gap_ns: u64,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Orders<'a> {
    /// Records a second.
    pub rate: &'a str,
    /// A client beside the generator.
    pub beside: Option<&'a str>,
}

/// The topic that acknowledged records of a run go to.
pub fn topic(run: u32) -> String {
    format!("drill-{}", run / RUNS_OF_A_TOPIC)
}

/// Makes the topic of a run where there is none yet, so that the time which that takes is in no run's figures.
pub fn prepare(rig: &Rig, run: u32) -> Result<(), Trouble> {
    if !run.is_multiple_of(RUNS_OF_A_TOPIC) {
        return Ok(());
    }
    let ledger = rig.directory.join("first.json").to_string_lossy().into_owned();
    let (bootstrap, topic) = (rig.bootstrap(), topic(run));
    let arguments =
        ["kafka", "--target", &bootstrap, "--topic", &topic, "--rate", "1k", "--count", "100", "--size", SIZE, "--ledger", &ledger];
    ask(rig, &[&arguments[..], &["-o", "json"]].concat()).map(drop)
}

impl Load {
    /// Begins to send; packets go to that node.
    pub fn begin(rig: &mut Rig, primary: usize, run: u32, orders: Orders<'_>) -> Result<Load, Trouble> {
        let (topic, ledger, packets_ledger) = (topic(run), rig.directory.join("records.json"), rig.directory.join("packets.json"));
        for stale in [&ledger, &packets_ledger] {
            // There is none before the first run.
            let _absent = std::fs::remove_file(stale).is_err();
        }
        let seed = (u64::from(run) + 2).to_string();
        let mut command = rig.network.command(Host::Client, rig.generator());
        command.args(["kafka", "--target", &rig.bootstrap(), "--topic", &topic, "--rate", orders.rate, "--size", SIZE, "--sources", "2"]);
        command
            .args(["--linger", "2ms", "--request-timeout", REQUEST_TIMEOUT, "--duration", "1h", "--seed", &seed, "--ledger"])
            .arg(&ledger);
        let records = Process::start("the generator", &mut command, &rig.directory.join("records.log"))?;
        let mut command = rig.network.command(Host::Client, rig.generator());
        command.args(["udp", "--target", &rig.address(primary, 9000).to_string(), "--rate", PACKETS_RATE, "--size", SIZE]);
        command.args(["--duration", "1h", "--seed", &seed, "--ledger"]).arg(&packets_ledger);
        let packets = Process::start("the generator of packets", &mut command, &rig.directory.join("packets.log"))?;
        let beside = orders.beside.map(|command| begin_beside(rig, command, &topic)).transpose()?;
        rig.until("the generator sends", |_| ledger.exists() && packets_ledger.exists())?;
        if beside.is_some() {
            let says = rig.directory.join(BESIDE_LOG).with_extension("out");
            rig.until("the client beside the generator is answered", |_| std::fs::metadata(&says).is_ok_and(|file| file.len() > 0))?;
        }
        Ok(Load { records, packets, beside, topic, ledger })
    }

    /// Ends it, and reads everything back.
    pub fn end(mut self, rig: &mut Rig) -> Result<Findings, Trouble> {
        for process in [&mut self.packets, &mut self.records] {
            process.signal(Signal::SIGTERM).map_err(|failure| Trouble::Broken(failure.text))?;
        }
        // Signals are blocked in who the drill starts, until that unblocks them; every program can read to the end of its input.
        self.beside.iter_mut().for_each(Process::end_input);
        let mut clients: Vec<&mut Process> = [&mut self.packets, &mut self.records].into_iter().chain(&mut self.beside).collect();
        rig.until("clients end", |_| clients.iter_mut().all(|process| matches!(process.ended(), Ok(Some(_)))))?;
        let ledger = read(&self.ledger)?;
        let answers = &ledger["answers"];
        let fatal = answers["fatal"].as_object().map_or(0, |errors| errors.values().filter_map(Value::as_u64).sum());
        let leader = rig.leader().map_or(0, |(at, _)| at);
        let (bootstrap, http, path) = (rig.bootstrap(), rig.address(leader, HTTP).to_string(), self.ledger.to_string_lossy().into_owned());
        let arguments = ["verify", "--bootstrap", &bootstrap, "--http", &http, "--topic", &self.topic, "-o", "json", "--ledger", &path];
        let (found, _balanced) = ask(rig, &arguments)?;
        let count = |key: &str| found[key].as_u64().ok_or_else(|| Trouble::Broken(format!("the check says no {key}: {found}")));
        let gap = |key: &str| answers["gap"][key].as_u64().unwrap_or(0);
        Ok(Findings {
            acknowledged: count("acknowledged")?,
            lost: count("acknowledged_missing")?,
            doubled: count("duplicated")?,
            corrupted: count("corrupted")?,
            gap: (gap("from_ns"), gap("to_ns")),
            fatal,
            beside: self.beside.as_ref().map(|_| end_beside(rig)).transpose()?,
        })
    }
}

/// Its standard output goes to the file of that name.
const BESIDE_LOG: &str = "beside.log";

fn begin_beside(rig: &Rig, command: &str, topic: &str) -> Result<Process, Failure> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or_else(|| Failure::new(Reason::Config, "--beside names no program"))?;
    let mut command = rig.network.command(Host::Client, program);
    command.args(words).args([&rig.bootstrap(), topic]);
    Process::start_on_input("the client beside the generator", &mut command, &rig.directory.join(BESIDE_LOG))
}

fn end_beside(rig: &Rig) -> Result<Beside, Failure> {
    let path = rig.directory.join(BESIDE_LOG).with_extension("out");
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::new(Reason::Storage, format!("{}: {error}", path.display())))?;
    let said: Value = serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_default();
    let count = |key: &str| {
        let unfit = || Failure::new(Reason::Config, format!("the client of --beside says no {key}: {said}; its last line has to be JSON"));
        said[key].as_u64().ok_or_else(unfit)
    };
    Ok(Beside { acknowledged: count("acknowledged")?, failed: count("failed")?, gap_ns: count("gap_ns")? })
}

/// Compares what every offset holds with what it held at every call before.
pub fn digest(rig: &Rig, topic: &str) -> Result<(), Trouble> {
    let file = rig.directory.join(format!("{topic}.sums")).to_string_lossy().into_owned();
    let (found, is_constant) = ask(rig, &["digest", "--bootstrap", &rig.bootstrap(), "--topic", topic, "--file", &file])?;
    if is_constant { Ok(()) } else { Err(Trouble::Broken(format!("offsets of {topic} do not hold what they held: {found}"))) }
}

/// How often a question is asked. A primary may change while it is answered: a needless failover breaks no promise.
const ASKED_MAX: u32 = 5;
/// How long to wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(300);

/// Calls the generator for an answer in JSON; whether it was a positive one.
fn ask(rig: &Rig, arguments: &[&str]) -> Result<(Value, bool), Trouble> {
    let mut answer = ask_once(rig, arguments);
    for _ in 1..ASKED_MAX {
        match &answer {
            Err(Trouble::Broken(why)) => tracing::warn!("{why}; asked again"),
            _ => break,
        }
        thread::sleep(PAUSE);
        answer = ask_once(rig, arguments);
    }
    answer
}

fn ask_once(rig: &Rig, arguments: &[&str]) -> Result<(Value, bool), Trouble> {
    let output = rig.network.command(Host::Client, rig.generator()).args(arguments).output();
    let output = output.map_err(|error| Failure::new(Reason::Config, format!("cannot run {}: {error}", rig.generator().display())))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let answer = serde_json::from_slice(&output.stdout);
    let answer = answer.map_err(|_| Trouble::Broken(format!("`{}` gave no answer: {}", arguments.join(" "), said.trim())))?;
    Ok((answer, output.status.success()))
}

fn read(path: &Path) -> Result<Value, Failure> {
    let unfit = |error: String| Failure::new(Reason::Storage, format!("{}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| unfit(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| unfit(error.to_string()))
}
