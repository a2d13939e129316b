//! Pairs of runs: probe, subject, probe, subject, so that what disturbs the machine disturbs both.
//!
//! Before each run the processors are looked at, and a busy machine is waited for, for a bounded time: a figure taken
//! beside a compiler says nothing. What was seen stands in the row, whether the wait helped or not.

use crate::bench::Bench;
use crate::figures::{Row, Spread};
use crate::quiet::{self, Look};

/// What a probe and its subject came to, run by run.
#[derive(Debug, Default)]
pub struct Pairs {
    probe: Vec<f64>,
    subject: Vec<f64>,
    looks: Vec<Look>,
}

impl Pairs {
    /// Both, as often as the scale says.
    ///
    /// # Errors
    /// What a run failed of.
    pub fn measure(
        bench: &Bench,
        mut probe: impl FnMut() -> Result<f64, String>,
        mut subject: impl FnMut() -> Result<f64, String>,
    ) -> Result<Pairs, String> {
        let mut pairs = Pairs::default();
        for _ in 0..bench.scale.runs {
            pairs.looks.push(quiet::wait_quiet(bench.scale.quiet));
            pairs.probe.push(probe()?);
            pairs.looks.push(quiet::wait_quiet(bench.scale.quiet));
            pairs.subject.push(subject()?);
        }
        Ok(pairs)
    }

    /// The probe's runs.
    pub fn probes(&self) -> &[f64] {
        &self.probe
    }

    /// The row: subject and probe in the unit given, and their ratio pair by pair.
    pub fn row(&self, scenario: &'static str, what: impl Into<String>, unit: &'static str) -> Row {
        let ratios: Vec<f64> =
            self.subject.iter().zip(&self.probe).map(|(subject, probe)| subject / probe.max(f64::MIN_POSITIVE)).collect();
        let row = Row::of(scenario, what, unit, Spread::of(&self.subject));
        let row = Row { probe: Some(Spread::of(&self.probe)), ratio: Some(Spread::of(&ratios)), ..row };
        row.noted(quiet::note(&self.looks))
    }
}
