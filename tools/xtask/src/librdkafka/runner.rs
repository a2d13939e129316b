//! Each test in a process of its own, and the judgement of what that process said.
//!
//! The runner's exit code is not enough: it is 0 for a test that skipped itself, for a number that matches nothing, for a part of a name that
//! no subtest has, and for a test whose every subtest is left out in quick mode. So its summary must say that a test of this number passed,
//! that it took a time that is not nothing, and each part must have passed somewhere.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::list::Entry;

/// What the runner is told that the broker is. It skips tests of later features by it.
const KAFKA_VERSION: &str = "3.9.0";
/// Tests at once. They sleep more than they work.
const WORKERS: usize = 2;
/// What the tests' own limits of time are multiplied by. 0059 may take ten seconds of the ten that it has: it seeks ten times, and when a
/// seek meets the client's own pause for a full queue, it waits for a second.
const PATIENCE: u32 = 2;
/// The longest that one run of a test may take; the runner's own limits are far below.
const TIME_MAX: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What the runner's summary says of a test that did not even make a client.
const NO_TIME: &str = "0.000s";

/// Where tests run.
#[derive(Debug)]
pub struct Bench {
    program: PathBuf,
    /// Logs of the tests, and a folder each in which it may write.
    folder: PathBuf,
    conf: PathBuf,
    idempotent: bool,
}

/// How a test ended.
#[derive(Debug)]
pub struct Verdict {
    /// Which.
    pub number: String,
    /// What is wrong, if anything.
    pub failed: Option<String>,
    took: Duration,
}

impl Bench {
    /// Clears the folder and writes the configuration that every test reads.
    pub fn set_up(program: PathBuf, folder: &Path, kafka: &str, idempotent: bool) -> Result<Self, String> {
        let says = |error: std::io::Error| format!("cannot set up {}: {error}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(says)?;
        }
        fs::create_dir_all(folder).map_err(says)?;
        let conf = folder.join("test.conf");
        fs::write(&conf, format!("bootstrap.servers={kafka}\ntest.timeout.multiplier={PATIENCE}\n")).map_err(says)?;
        Ok(Self { program, folder: folder.to_path_buf(), conf, idempotent })
    }

    /// Runs all of them, some at once; verdicts in the order of the entries.
    pub fn run(&self, entries: &[Entry]) -> Vec<Verdict> {
        let next = Mutex::new(entries.iter());
        let work = || {
            let mut verdicts = Vec::new();
            // The lock is let go before the test runs: the statement ends with it.
            while let Some(entry) = { next.lock().map_or(None, |mut next| next.next()) } {
                verdicts.push(self.verdict(entry));
            }
            verdicts
        };
        let mut verdicts: Vec<Verdict> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        });
        // A worker that panicked takes its verdicts with it; a test without one has failed.
        for entry in entries.iter().filter(|entry| !verdicts.iter().any(|verdict| verdict.number == entry.number)).collect::<Vec<_>>() {
            let failed = Some("its worker panicked".to_owned());
            verdicts.push(Verdict { number: entry.number.clone(), failed, took: Duration::ZERO });
        }
        verdicts.sort_by(|a, b| a.number.cmp(&b.number));
        verdicts
    }

    fn verdict(&self, entry: &Entry) -> Verdict {
        let began = Instant::now();
        let parts: Vec<Option<&str>> =
            if entry.only.is_empty() { vec![None] } else { entry.only.iter().map(|part| Some(&**part)).collect() };
        let failed = parts.into_iter().find_map(|part| self.run_once(entry, part).err());
        let verdict = Verdict { number: entry.number.clone(), failed, took: began.elapsed() };
        println!("   {verdict}");
        verdict
    }

    fn run_once(&self, entry: &Entry, part: Option<&str>) -> Result<(), String> {
        let name = part.map_or_else(|| entry.number.clone(), |part| format!("{}-{part}", entry.number));
        let (folder, log) = (self.folder.join(&name), self.folder.join(format!("{name}.log")));
        let at_log = |reason: String| format!("{reason}; see {}", log.display());
        let says = |error: std::io::Error| at_log(format!("did not start: {error}"));
        fs::create_dir_all(&folder).map_err(says)?;
        let output = File::create(&log).map_err(says)?;
        let mut command = self.command(entry, part);
        command.current_dir(folder).stdin(Stdio::null()).stdout(output.try_clone().map_err(says)?).stderr(output);
        let status = within(command.spawn().map_err(says)?, TIME_MAX).map_err(&at_log)?;
        let said = fs::read(&log).map_err(says)?;
        judge(&String::from_utf8_lossy(&said), &entry.number, part, status.success()).map_err(&at_log)
    }

    fn command(&self, entry: &Entry, part: Option<&str>) -> Command {
        let mut command = Command::new(&self.program);
        // Nothing of this environment may steer the tests but what finds programs and libraries.
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        command.env("TESTS", &entry.number).env("TEST_KAFKA_VERSION", KAFKA_VERSION).env("RDKAFKA_TEST_CONF", &self.conf);
        if let Some(root) = self.program.ancestors().nth(2) {
            let libraries = std::env::join_paths([root.join("src"), root.join("src-cpp")]);
            command.env("LD_LIBRARY_PATH", libraries.unwrap_or_default());
        }
        command.envs(part.map(|part| ("SUBTESTS", part)));
        // One test a process, and none that needs no broker.
        command.args(["-p1", "-L"]);
        command.args((!entry.full).then_some("-Q")).args(self.idempotent.then_some("-P"));
        command
    }
}

/// Waits for a process as long as it may take, and no longer.
fn within(mut child: Child, time_max: Duration) -> Result<ExitStatus, String> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if began.elapsed() < time_max => std::thread::sleep(LOOK_EVERY),
            Ok(None) => {
                // It may end by itself in between; either way it is gone and waited for.
                let _gone = child.kill();
                let _status = child.wait();
                return Err(format!("not done after {time_max:?}"));
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

/// What a run said, held against what it was asked to do.
pub(super) fn judge(said: &str, number: &str, part: Option<&str>, ended_well: bool) -> Result<(), String> {
    let lines: Vec<String> = said.lines().map(uncoloured).collect();
    if let Some(at) = lines.iter().position(|line| line.starts_with("### Test ") && line.contains(" failed at ")) {
        let reason = lines.get(at + 1).map_or("", String::as_str);
        let place = lines[at].split(" failed at ").nth(1).and_then(|place| place.split("()").next()).unwrap_or_default();
        return Err(format!("{} ({place})", reason.trim()));
    }
    let rows: Vec<Row> = lines.iter().filter_map(|line| Row::read(line, number)).collect();
    if !ended_well {
        return Err("the runner ended badly and names no reason".to_owned());
    }
    if let Some(row) = rows.iter().find(|row| !matches!(row.state, "PASSED" | "SKIPPED")) {
        return Err(format!("{} {}", row.state, row.why));
    }
    match rows.iter().find(|row| row.state == "PASSED") {
        None => {
            let why = rows.iter().map(|row| row.why).find(|why| !why.is_empty());
            return Err(format!("no test of this number ran: {}", why.unwrap_or("the runner does not know it")));
        }
        Some(row) if row.took == NO_TIME => return Err("it passed without doing anything".to_owned()),
        Some(_) => {}
    }
    match part {
        Some(part) if !lines.iter().any(|line| passed_part(line, part)) => Err(format!("no subtest with {part} in its name passed")),
        _ => Ok(()),
    }
}

/// `| 0012_produce_consume                     |     PASSED |   2.034s |`, and a reason behind it where there is one.
struct Row<'l> {
    state: &'l str,
    took: &'l str,
    why: &'l str,
}

impl<'l> Row<'l> {
    /// The row, if it is one of a test with this number.
    fn read(line: &'l str, number: &str) -> Option<Self> {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let [name, state, took, ..] = cells[..] else { return None };
        name.strip_prefix(number)?.starts_with('_').then(|| Row { state, took, why: cells.get(3).copied().unwrap_or_default() })
    }
}

/// `[ test_partitioner:234: PASS (0.06s) ]`
fn passed_part(line: &str, part: &str) -> bool {
    line.rsplit_once("[ ").is_some_and(|(_, subtest)| subtest.contains(part) && subtest.contains(": PASS ("))
}

/// Without the terminal's colours: ESC, `[`, digits and semicolons, `m`.
fn uncoloured(line: &str) -> String {
    let mut pieces = line.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('m').map_or("", |(_, rest)| rest))
}

/// What failed, where nobody scrolls past it, and the counts.
pub fn summary(verdicts: &[Verdict]) -> String {
    let failed: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.failed.is_some()).collect();
    let mut text = String::new();
    for verdict in &failed {
        text += &format!("   {verdict}\n");
    }
    text + &format!("   {} of {} of librdkafka's tests passed\n", verdicts.len() - failed.len(), verdicts.len())
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (number, took) = (&self.number, self.took.as_secs_f64());
        match &self.failed {
            None => write!(to, "{number}  passed  {took:>6.1} s"),
            Some(reason) => write!(to, "{number}  FAILED  {took:>6.1} s  {reason}"),
        }
    }
}
