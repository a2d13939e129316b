//! `headworks-sim pair --seed N …`: two nodes, an arbiter, clients, and everything between them.

use super::{Simulator, parse, run};
use headworks_sim::pair::{Kinds, Mutant, Options, Outcome};
use std::collections::BTreeMap;
use std::process::ExitCode;

struct Pair(Options);

/// Runs the command.
///
/// # Errors
/// The words make no sense.
pub fn command(words: &[String]) -> Result<ExitCode, String> {
    let mut options = Options::default();
    let seeds = parse(words, |word, value| {
        match word {
            "--mutant" => options.mutant = Mutant::named(value).ok_or_else(|| format!("no mutant is called {value}"))?,
            "--faults" => options.faults = Some(Kinds::named(value)?),
            "--tell" => options.is_told = value == "yes",
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(run(&Pair(options), &seeds))
}

impl Simulator for Pair {
    type Outcome = Outcome;

    fn run(&self, seed: u64) -> Outcome {
        headworks_sim::pair::run(seed, &self.0)
    }

    fn replay(&self, seed: u64) -> String {
        let features = if cfg!(feature = "mutants") { " --features mutants" } else { "" };
        let mutant = if self.0.mutant == Mutant::None { String::new() } else { format!(" --mutant {}", self.0.mutant.name()) };
        let named = |kinds: &Kinds| format!(" --faults {}", kinds.names().collect::<Vec<_>>().join(","));
        let faults = self.0.faults.as_ref().map_or(String::new(), named);
        format!("cargo run --release -p headworks-sim{features} -- pair --seed {seed}{mutant}{faults}")
    }

    fn end(outcome: &Outcome) -> (u64, Option<String>) {
        (outcome.trace, outcome.breach.as_ref().map(|breach| format!("{breach} ({})", outcome.faults)))
    }

    fn show(&self, seed: u64, outcome: &Outcome) {
        println!("seed {seed}, faults: {}", outcome.faults);
        println!("{:#?}", outcome.counts);
    }

    fn sum(&self, outcomes: &BTreeMap<u64, Outcome>) {
        let mut sums: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (name, count) in outcomes.values().flat_map(|outcome| outcome.counts.named()) {
            *sums.entry(name).or_default() += count;
        }
        let sums: Vec<String> = sums.iter().map(|(name, sum)| format!("{name} {sum}")).collect();
        println!("{} seeds: {}", outcomes.len(), sums.join(", "));
    }
}
