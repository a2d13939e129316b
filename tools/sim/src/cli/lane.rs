//! `headworks-sim --seed N …`: a lane's log over a faulty disk.

use super::{Simulator, parse, run};
use headworks_sim::{Options, Outcome, Regime};
use std::collections::BTreeMap;
use std::process::ExitCode;

struct Lane(Options);

/// Runs the command.
///
/// # Errors
/// The words make no sense.
pub fn command(words: &[String]) -> Result<ExitCode, String> {
    let mut options = Options::default();
    let seeds = parse(words, |word, value| {
        if word != "--regime" {
            return Ok(false);
        }
        let known = Regime::ALL.iter().find(|(_, name)| *name == value);
        let (regime, _) = known.ok_or_else(|| format!("no regime is called {value}"))?;
        options.regime = Some(*regime);
        Ok(true)
    })?;
    Ok(run(&Lane(options), &seeds))
}

impl Simulator for Lane {
    type Outcome = Outcome;

    fn run(&self, seed: u64) -> Outcome {
        headworks_sim::run(seed, &self.0)
    }

    fn replay(&self, seed: u64) -> String {
        let regime = self.0.regime.map_or(String::new(), |regime| format!(" --regime {}", regime.name()));
        format!("cargo run --release -p headworks-sim -- --seed {seed}{regime}")
    }

    fn end(outcome: &Outcome) -> (u64, Option<String>) {
        (outcome.trace, outcome.breach.as_ref().map(|breach| format!("{breach} ({})", outcome.regime.name())))
    }

    fn show(&self, seed: u64, outcome: &Outcome) {
        println!("seed {seed}, regime {}", outcome.regime.name());
        println!("{:#?}", outcome.counts);
    }

    fn sum(&self, outcomes: &BTreeMap<u64, Outcome>) {
        let sum = |count: fn(&Outcome) -> u64| outcomes.values().map(count).sum::<u64>();
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
        println!(
            "{} seeds, {} crashes, {} faults",
            outcomes.len(),
            sum(|outcome| outcome.counts.crashes),
            sum(|outcome| outcome.counts.faults)
        );
    }
}
