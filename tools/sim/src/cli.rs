//! What both simulators' commands share: which seeds, on how many threads, and how to replay one that fails.

pub mod lane;
pub mod pair;

use headworks_sim::take_checked;
use headworks_sim::trace::Trace;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Threads that run seeds.
const THREADS: usize = 2;

/// How often each promise was checked.
pub type Checked = BTreeMap<&'static str, u64>;

/// Which seeds.
#[derive(Debug, Clone, Copy)]
pub struct Seeds {
    first: u64,
    count: u64,
    single: bool,
}

/// A simulator with its options.
pub trait Simulator: Sync {
    /// How a run went.
    type Outcome: Send;

    /// Runs a seed.
    fn run(&self, seed: u64) -> Self::Outcome;
    /// What replays it.
    fn replay(&self, seed: u64) -> String;
    /// The hash over all that happened, and the promise that was broken, if any.
    fn end(outcome: &Self::Outcome) -> (u64, Option<String>);
    /// Says how one went.
    fn show(&self, seed: u64, outcome: &Self::Outcome);
    /// Says what all of them did.
    fn sum(&self, outcomes: &BTreeMap<u64, Self::Outcome>);
}

/// Takes the words apart; `option` takes those that are the simulator's own, each with its value.
///
/// # Errors
/// A word that nobody knows, or a value that is none.
pub fn parse(words: &[String], mut option: impl FnMut(&str, &str) -> Result<bool, String>) -> Result<Seeds, String> {
    let mut seeds = Seeds { first: 1, count: 0, single: false };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"));
        match word.as_str() {
            "--seed" => (seeds.first, seeds.count, seeds.single) = (number()?, 1, true),
            "--seeds" => seeds.count = number()?,
            "--from" => seeds.first = number()?,
            _ if option(word, value)? => {}
            _ => return Err(format!("{word} is no option")),
        }
    }
    if seeds.count == 0 {
        return Err("no seed is asked for".into());
    }
    Ok(seeds)
}

/// Runs the seeds.
pub fn run<S: Simulator>(simulator: &S, seeds: &Seeds) -> ExitCode {
    say_replay_on_panic();
    if seeds.single { one(simulator, seeds.first) } else { many(simulator, seeds) }
}

thread_local! {
    static REPLAY: RefCell<String> = const { RefCell::new(String::new()) };
}

/// An assertion in what is simulated ends the process: say which seed it was.
fn say_replay_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        REPLAY.with_borrow(|says| eprintln!("replay with: {says}"));
    }));
}

fn run_seed<S: Simulator>(simulator: &S, seed: u64) -> S::Outcome {
    REPLAY.set(simulator.replay(seed));
    simulator.run(seed)
}

fn one<S: Simulator>(simulator: &S, seed: u64) -> ExitCode {
    let outcome = run_seed(simulator, seed);
    simulator.show(seed, &outcome);
    for (promise, times) in take_checked() {
        println!("{times:>9}  {promise}");
    }
    let (trace, broken) = S::end(&outcome);
    println!("trace {trace:#018x}");
    match broken {
        None => ExitCode::SUCCESS,
        Some(broken) => {
            println!("BROKEN {broken}");
            ExitCode::FAILURE
        }
    }
}

fn many<S: Simulator>(simulator: &S, seeds: &Seeds) -> ExitCode {
    let (outcomes, checked) = every(simulator, seeds);
    for (promise, times) in &checked {
        println!("{times:>12}  {promise}");
    }
    simulator.sum(&outcomes);
    let (mut trace, mut failed) = (Trace::default(), 0);
    for (seed, outcome) in &outcomes {
        let (value, broken) = S::end(outcome);
        trace.add(*seed, &[value]);
        if let Some(broken) = broken {
            failed += 1;
            println!("seed {seed} BROKEN {broken}");
            println!("replay with: {}", simulator.replay(*seed));
        }
    }
    println!("{} passed, {failed} failed, trace {:#018x}", outcomes.len() - failed, trace.value());
    ExitCode::from(u8::from(failed > 0))
}

/// Runs them on all threads, until one fails.
fn every<S: Simulator>(simulator: &S, seeds: &Seeds) -> (BTreeMap<u64, S::Outcome>, Checked) {
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let outcomes = Mutex::new(BTreeMap::new());
    let checked = Mutex::new(Checked::new());
    let worker = || {
        while !failed.load(Ordering::Relaxed) {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= seeds.count {
                break;
            }
            let outcome = run_seed(simulator, seeds.first + place);
            if S::end(&outcome).1.is_some() {
                failed.store(true, Ordering::Relaxed);
            }
            outcomes.lock().expect("no thread panics with it").insert(seeds.first + place, outcome);
        }
        let mut checked = checked.lock().expect("no thread panics with it");
        for (promise, times) in take_checked() {
            *checked.entry(promise).or_default() += times;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(worker);
        }
    });
    let outcomes = outcomes.into_inner().expect("no thread panics with it");
    (outcomes, checked.into_inner().expect("no thread panics with it"))
}
