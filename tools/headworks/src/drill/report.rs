//! What a drill came to: every run as JSON, and a page for people.
//!
//! *Broken* is what must never be, on any machine: something acknowledged is missing, an offset changed, a metric did not show what was done.
//! A *bar* is a time: it is met or missed, and missing one does not make a drill fail, since a machine that does other work misses it, too.

use super::scenario::{Bar, Measure, Scenario};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

#[cfg(test)]
mod tests;

/// One run. Times in ns; absent where the run had no such moment.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Run {
    /// From 0.
    pub number: u32,
    /// Which course of the scenario it took.
    pub course: String,
    /// From the cause until a node had noticed and had it registered: it leads, or it is alone.
    pub detected_ns: Option<u64>,
    /// From the cause until a new primary had swapped the register and promised the epoch.
    pub leads_ns: Option<u64>,
    /// The longest time in which records were due and nothing was acknowledged, as the client saw it.
    pub gap_ns: u64,
    /// The same, as the client beside the generator saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside_gap_ns: Option<u64>,
    /// From the last step that mends something until records were acknowledged again; 0 when they were already.
    pub resumed_ns: Option<u64>,
    /// From the last step that mends something, or from the cause, until both nodes commit again; 0 when they never ceased to.
    pub in_sync_ns: Option<u64>,
    /// The longest silence of the other node that the primary had seen before the cause.
    pub silence_ns: u64,
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Of them, missing.
    pub lost: u64,
    /// Stored more than once.
    pub doubled: u64,
    /// Epochs begun.
    pub epochs: u64,
    /// Whether another node led in the end.
    pub changed: bool,
    /// Signs that were looked for at `/metrics`, and seen.
    pub signs: u32,
    /// Promises that were not kept.
    pub broken: Vec<String>,
}

/// Where a drill ran.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub processors: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The program's version, and whether it is a debug build.
    pub program: String,
}

/// The middle, the 99th of a hundred, and the longest of the times of some runs, in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half took no longer.
    pub p50_ns: u64,
    /// 99 of 100.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// Of how many.
    pub runs: usize,
}

/// A bar, and what was seen.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// Its words.
    pub bar: String,
    /// What was measured, in ns; absent when no run measured it.
    pub seen_ns: Option<u64>,
    /// Whether that is good enough.
    pub is_met: bool,
}

/// All of them.
#[derive(Debug, Clone, Serialize)]
pub struct Drilled {
    /// The scenario.
    pub scenario: String,
    /// What its times were drawn from.
    pub seed: u64,
    /// Settings of the nodes over those of every drill.
    pub settings: Vec<String>,
    /// Acknowledged records a second that were due.
    pub rate: String,
    /// Where it ran.
    pub machine: Machine,
    /// The longest silence of a healthy node, and from which on it would have counted as gone.
    pub silence_ns: (u64, u64),
    /// The scenario's bars.
    pub bars: Vec<Held>,
    /// What did not hold of the drill as a whole.
    pub broken: Vec<String>,
    /// Whether it was ended by a signal before its last run.
    pub is_interrupted: bool,
    /// Where logs and data are, if a promise was broken.
    pub kept_in: Option<PathBuf>,
    /// In order.
    pub runs: Vec<Run>,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        let kernel =
            std::fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned());
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        Machine {
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            kernel,
            program: format!("{} {build}", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl Spread {
    /// Of these, if there are any.
    pub fn of(mut ns: Vec<u64>) -> Option<Spread> {
        ns.sort_unstable();
        let max_ns = *ns.last()?;
        Some(Spread { p50_ns: at(&ns, 50), p99_ns: at(&ns, 99), max_ns, runs: ns.len() })
    }
}

/// The time that so many of a hundred do not exceed, of times in order.
fn at(ns: &[u64], percent: usize) -> u64 {
    ns[(ns.len() * percent).div_ceil(100).max(1) - 1]
}

impl Drilled {
    /// Before the first run.
    pub fn new(scenario: &str, seed: u64, settings: &[String], rate: &str) -> Drilled {
        Drilled {
            scenario: scenario.to_owned(),
            seed,
            settings: settings.to_vec(),
            rate: rate.to_owned(),
            machine: Machine::here(),
            silence_ns: (0, 0),
            bars: Vec::new(),
            broken: Vec::new(),
            is_interrupted: false,
            kept_in: None,
            runs: Vec::new(),
        }
    }

    /// Whether every promise was kept, in at least one run.
    pub fn is_kept(&self) -> bool {
        !self.runs.is_empty() && self.broken.is_empty() && self.runs.iter().all(|run| run.broken.is_empty())
    }

    /// Holds the times against the scenario's bars.
    pub fn hold_against(&mut self, scenario: &Scenario) {
        // A client beside the generator is there only if it was asked for.
        let is_measured = |bar: &&Bar| bar.of != Measure::Beside || self.runs.iter().any(|run| run.beside_gap_ns.is_some());
        self.bars = scenario.bars.iter().filter(is_measured).map(|bar| held(bar, &self.runs)).collect();
    }
}

fn held(bar: &Bar, runs: &[Run]) -> Held {
    let of = |run: &Run| match bar.of {
        Measure::Gap => Some(run.gap_ns),
        Measure::Beside => run.beside_gap_ns,
        Measure::Resumed => run.resumed_ns,
    };
    let mut ns: Vec<u64> = runs.iter().filter_map(of).collect();
    ns.sort_unstable();
    let seen_ns = (!ns.is_empty()).then(|| at(&ns, bar.percent));
    let words = if bar.percent == 100 { "at most".to_owned() } else { format!("p{} at most", bar.percent) };
    Held {
        bar: format!("{} {words} {} ms", bar.of, bar.ms_max),
        seen_ns,
        is_met: seen_ns.is_some_and(|seen_ns| seen_ns <= bar.ms_max * 1_000_000),
    }
}

impl Run {
    /// One line, as a run ends.
    pub fn line(&self) -> String {
        let ms = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), millis);
        let (detected, gap, paired) = (ms(self.detected_ns), millis(self.gap_ns), ms(self.in_sync_ns));
        let mut line = format!("run {:>3} {:<40} detected {detected} ms, gap {gap} ms, in sync {paired} ms", self.number, self.course);
        for broken in &self.broken {
            write!(line, "\n        BROKEN: {broken}").expect("a string takes every write");
        }
        line
    }
}

/// The page.
pub fn text(drilled: &Drilled) -> String {
    let (machine, count) = (&drilled.machine, drilled.runs.len());
    let mut page = format!("drill {}, {count} runs, seed {}\n", drilled.scenario, drilled.seed);
    let mut line = |name: &str, value: String| writeln!(page, "{name:<16} {value}").expect("a string takes every write");
    line("machine", format!("{} processors, kernel {}, headworks {}", machine.processors, machine.kernel, machine.program));
    line("load", format!("{} records/s with acks = all, and 500 packets/s", drilled.rate));
    line("silence", format!("longest of a healthy node {} ms of {} ms", millis(drilled.silence_ns.0), millis(drilled.silence_ns.1)));
    let mut courses: Vec<&str> = drilled.runs.iter().map(|run| run.course.as_str()).collect();
    courses.sort_unstable();
    courses.dedup();
    for course in courses {
        let runs: Vec<&Run> = drilled.runs.iter().filter(|run| run.course == course).collect();
        page.push_str(&of_course(course, &runs));
    }
    let mut line = |name: &str, value: String| writeln!(page, "{name:<16} {value}").expect("a string takes every write");
    for held in &drilled.bars {
        let seen = held.seen_ns.map_or_else(|| "not measured".to_owned(), |ns| format!("{} ms", millis(ns)));
        line(if held.is_met { "bar met" } else { "bar MISSED" }, format!("{}: {seen}", held.bar));
    }
    for (number, broken) in drilled.runs.iter().flat_map(|run| run.broken.iter().map(move |broken| (run.number, broken))) {
        line("BROKEN", format!("run {number}: {broken}"));
    }
    drilled.broken.iter().for_each(|broken| line("BROKEN", broken.clone()));
    if let Some(path) = &drilled.kept_in {
        line("logs and data", path.display().to_string());
    }
    let missed = drilled.bars.iter().filter(|held| !held.is_met).count();
    let times = if missed == 0 { String::new() } else { format!(", {missed} of {} bars missed", drilled.bars.len()) };
    let until = if drilled.is_interrupted { ", interrupted" } else { "" };
    line("verdict", format!("{}{times}{until}", if drilled.is_kept() { "kept" } else { "BROKEN" }));
    page
}

fn of_course(course: &str, runs: &[&Run]) -> String {
    let mut lines = String::new();
    let sum = |of: fn(&Run) -> u64| runs.iter().map(|run| of(run)).sum::<u64>().to_string();
    let mut line = |name: &str, value: String| writeln!(lines, "  {name:<14} {value}").expect("a string takes every write");
    if !course.is_empty() {
        line("course", format!("{course}, {} runs", runs.len()));
    }
    let spread = |of: &dyn Fn(&Run) -> Option<u64>| spread(runs.iter().filter_map(|run| of(run)).collect());
    line("detected", spread(&|run| run.detected_ns));
    line("new primary", spread(&|run| run.leads_ns));
    line("client's gap", spread(&|run| Some(run.gap_ns)));
    if runs.iter().any(|run| run.beside_gap_ns.is_some()) {
        line("gap beside", spread(&|run| run.beside_gap_ns));
    }
    line("resumed", spread(&|run| run.resumed_ns));
    line("in sync again", spread(&|run| run.in_sync_ns));
    line("acknowledged", sum(|run| run.acknowledged));
    line("lost", sum(|run| run.lost));
    line("doubled", sum(|run| run.doubled));
    line("epochs begun", sum(|run| run.epochs));
    line("signs seen", sum(|run| u64::from(run.signs)));
    lines
}

fn spread(ns: Vec<u64>) -> String {
    let Some(Spread { p50_ns, p99_ns, max_ns, runs }) = Spread::of(ns) else { return "-".to_owned() };
    format!("p50 {} ms, p99 {} ms, longest {} ms, of {runs}", millis(p50_ns), millis(p99_ns), millis(max_ns))
}

fn millis(ns: u64) -> String {
    format!("{}.{}", ns / 1_000_000, ns / 100_000 % 10)
}
