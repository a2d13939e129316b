//! What a scenario found: medians with their spread, the ratio that counts, the bar it stands against.

use std::path::Path;

use serde::Serialize;

use crate::machine::Machine;

#[cfg(test)]
mod tests;

/// The median of some runs, and the least and greatest of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of the values of some runs.
    ///
    /// # Panics
    /// When there is no value.
    pub fn of(values: &[f64]) -> Spread {
        assert!(!values.is_empty(), "a spread of {} values", values.len());
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (half, last) = (sorted.len() / 2, sorted.len() - 1);
        let median = if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) };
        Spread { median, min: sorted[0], max: sorted[last] }
    }

    /// Of one value.
    pub fn one(value: f64) -> Spread {
        Spread { median: value, min: value, max: value }
    }
}

/// What the appliance is held to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
}

impl Bar {
    /// Whether a value stands up to it.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Bar::AtLeast(bar) => value >= bar,
            Bar::AtMost(bar) => value <= bar,
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The scenario.
    pub scenario: &'static str,
    /// Which of its measurements.
    pub what: String,
    /// Of subject and probe: `M records/s`, `ms` and the like.
    pub unit: &'static str,
    /// The appliance.
    pub subject: Spread,
    /// The limit or peer in the same runs.
    pub probe: Option<Spread>,
    /// Subject ÷ probe, run by run.
    pub ratio: Option<Spread>,
    /// What the median of the ratio is held to; of the subject where there is no ratio.
    pub bar: Option<Bar>,
    /// Loss, placement, whatever a reader needs to judge the figure.
    pub notes: Vec<String>,
}

impl Row {
    /// A row of a subject alone.
    pub fn of(scenario: &'static str, what: impl Into<String>, unit: &'static str, subject: Spread) -> Row {
        Row { scenario, what: what.into(), unit, subject, probe: None, ratio: None, bar: None, notes: Vec::new() }
    }

    /// The same against a bar.
    pub fn held_to(self, bar: Bar) -> Row {
        Row { bar: Some(bar), ..self }
    }

    /// The same with a remark.
    pub fn noted(mut self, note: impl Into<String>) -> Row {
        self.notes.push(note.into());
        self
    }

    /// Whether the bar is met; none where there is no bar.
    pub fn verdict(&self) -> Option<bool> {
        self.bar.map(|bar| bar.is_met(self.ratio.unwrap_or(self.subject).median))
    }
}

/// Everything that one call measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Whether figures may be held against bars; a smoke run's may not.
    pub judged: bool,
    /// What.
    pub rows: Vec<Row>,
}

impl Report {
    /// Writes the report as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| format!("figures are no JSON: {error}"))?;
        std::fs::write(path, text + "\n").map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

/// A count as a number of a figure. Counts here stay far below 2⁵³, above which a neighbour may be meant.
#[allow(clippy::cast_precision_loss)]
pub fn number(count: u64) -> f64 {
    debug_assert!(count < 1 << 53, "{count} has no exact number");
    count as f64
}
