//! `headworks-sim --seed N`, or `--seeds N [--from N]`: runs the simulator and says how to replay what fails.
#![forbid(unsafe_code)]

use headworks_sim::{Options, Outcome, Regime, run, take_checked};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const USAGE: &str =
    "usage: headworks-sim (--seed N | --seeds N [--from N]) [--regime quiet|blocks|headers|records|sidecars|checkpoints|mixed]";

/// Threads that run seeds.
const THREADS: usize = 2;

struct Arguments {
    first: u64,
    count: u64,
    single: bool,
    options: Options,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match parse(&words) {
        Ok(arguments) => {
            if arguments.single {
                one(&arguments)
            } else {
                many(&arguments)
            }
        }
        Err(says) => {
            eprintln!("{says}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(words: &[String]) -> Result<Arguments, String> {
    let mut arguments = Arguments { first: 1, count: 0, single: false, options: Options::default() };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"));
        match word.as_str() {
            "--seed" => {
                (arguments.first, arguments.count, arguments.single) = (number()?, 1, true);
            }
            "--seeds" => arguments.count = number()?,
            "--from" => arguments.first = number()?,
            "--regime" => {
                let known = Regime::ALL.iter().find(|(_, name)| name == value);
                let (regime, _) = known.ok_or_else(|| format!("no regime is called {value}"))?;
                arguments.options.regime = Some(*regime);
            }
            _ => return Err(format!("{word} is no option")),
        }
    }
    if arguments.count == 0 {
        return Err("no seed is asked for".into());
    }
    Ok(arguments)
}

fn replay(seed: u64, options: &Options) -> String {
    let regime = options.regime.map_or(String::new(), |regime| format!(" --regime {}", regime.name()));
    format!("cargo run --release -p headworks-sim -- --seed {seed}{regime}")
}

/// An assertion in the log ends the process: say which seed it was.
fn run_seed(seed: u64, options: &Options) -> Outcome {
    struct Replay<'a>(u64, &'a Options);
    thread_local! {
        static SAYS: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
    }
    static HOOKED: AtomicBool = AtomicBool::new(false);
    let current = Replay(seed, options);
    SAYS.set(replay(current.0, current.1));
    if !HOOKED.swap(true, Ordering::Relaxed) {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            SAYS.with_borrow(|says| eprintln!("replay with: {says}"));
        }));
    }
    run(seed, options)
}

fn one(arguments: &Arguments) -> ExitCode {
    let seed = arguments.first;
    let outcome = run_seed(seed, &arguments.options);
    println!("seed {seed}, regime {}", outcome.regime.name());
    println!("{:#?}", outcome.counts);
    for (promise, times) in take_checked() {
        println!("{times:>9}  {promise}");
    }
    println!("trace {:#018x}", outcome.trace);
    match outcome.breach {
        None => ExitCode::SUCCESS,
        Some(breach) => {
            println!("BROKEN {breach}");
            ExitCode::FAILURE
        }
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let outcomes = Mutex::new(BTreeMap::new());
    let checked = Mutex::new(BTreeMap::<&'static str, u64>::new());
    let worker = || {
        while !failed.load(Ordering::Relaxed) {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= arguments.count {
                break;
            }
            let outcome = run_seed(arguments.first + place, &arguments.options);
            if outcome.breach.is_some() {
                failed.store(true, Ordering::Relaxed);
            }
            let mut outcomes = outcomes.lock().expect("no thread panics with it");
            outcomes.insert(arguments.first + place, outcome);
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
    let checked = checked.into_inner().expect("no thread panics with it");
    summary(&outcomes, &checked, &arguments.options)
}

fn summary(outcomes: &BTreeMap<u64, Outcome>, checked: &BTreeMap<&'static str, u64>, options: &Options) -> ExitCode {
    let sum = |count: fn(&Outcome) -> u64| outcomes.values().map(count).sum::<u64>();
    for (promise, times) in checked {
        println!("{times:>12}  {promise}");
    }
    println!(
        "{} blocks, {} durable, {} rolls, {} retired, {} torn writes, {} refused calls, {} holes, {} cut, {} batches read",
        sum(|outcome| outcome.counts.blocks),
        sum(|outcome| outcome.counts.durable),
        sum(|outcome| outcome.counts.rolls),
        sum(|outcome| outcome.counts.retired),
        sum(|outcome| outcome.counts.torn),
        sum(|outcome| outcome.counts.refused),
        sum(|outcome| outcome.counts.holes),
        sum(|outcome| outcome.counts.cut),
        sum(|outcome| outcome.counts.batches_read),
    );
    let mut trace = headworks_sim::trace::Trace::default();
    for (seed, outcome) in outcomes {
        trace.add(*seed, &[outcome.trace]);
        if let Some(breach) = &outcome.breach {
            println!("seed {seed} ({}) BROKEN {breach}", outcome.regime.name());
            println!("replay with: {}", replay(*seed, options));
        }
    }
    println!(
        "{} seeds, {} crashes, {} faults, trace {:#018x}",
        outcomes.len(),
        sum(|outcome| outcome.counts.crashes),
        sum(|outcome| outcome.counts.faults),
        trace.value()
    );
    let failed = outcomes.values().filter(|outcome| outcome.breach.is_some()).count();
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    ExitCode::from(u8::from(failed > 0))
}
