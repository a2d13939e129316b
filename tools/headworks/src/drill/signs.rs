//! Signs at `/metrics`: that what was done to a pair shows where an operator's alerts look.

use super::rig::{Rig, Trouble};
use crate::node::Failure;
use headworks_io::Clock;

#[cfg(test)]
mod tests;

/// For how long a sign is waited for.
const PATIENCE_NS: u64 = 5_000_000_000;
/// Between two looks, in ms.
const LOOK_MS: u64 = 10;

/// What both nodes showed when a run began.
#[derive(Debug)]
pub struct Signs {
    before: [String; 2],
}

impl Signs {
    /// As they are now.
    ///
    /// # Errors
    /// A node does not answer.
    pub fn at_both(rig: &Rig) -> Result<Signs, Failure> {
        Ok(Signs { before: [rig.metrics(0)?, rig.metrics(1)?] })
    }

    /// Waits until a node shows a line; what is missing if it does not.
    pub fn await_line(&self, rig: &mut Rig, at: usize, line: &str) -> Result<Result<(), String>, Trouble> {
        let seen = until(rig, at, |shown| shown.lines().any(|found| found == line))?;
        Ok(if seen { Ok(()) } else { Err(format!("node {} does not show `{line}`", rig.node(at).name)) })
    }

    /// Waits until a counter is higher than when the run began; what is missing if it is not. It must be of a process that was not started since.
    pub fn await_moved(&self, rig: &mut Rig, at: usize, counter: &str) -> Result<Result<(), String>, Trouble> {
        let before = value(&self.before[at], counter).unwrap_or(0.0);
        let seen = until(rig, at, |shown| value(shown, counter).is_some_and(|now| now > before))?;
        Ok(if seen { Ok(()) } else { Err(format!("`{counter}` of node {} has not risen above {before}", rig.node(at).name)) })
    }
}

/// Whether it becomes so. A node that does not answer shows nothing yet.
fn until(rig: &mut Rig, at: usize, is_so: impl Fn(&str) -> bool) -> Result<bool, Trouble> {
    let until_ns = Clock.monotonic_ns() + PATIENCE_NS;
    while Clock.monotonic_ns() < until_ns {
        if rig.metrics(at).is_ok_and(|shown| is_so(&shown)) {
            return Ok(true);
        }
        rig.hold(LOOK_MS)?;
    }
    Ok(false)
}

/// The value of a metric; without labels in the name, the sum over all of them.
fn value(shown: &str, name: &str) -> Option<f64> {
    let of = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let rest = if rest.starts_with('{') { rest.split_once('}')?.1 } else { rest };
        rest.strip_prefix(' ')?.parse::<f64>().ok()
    };
    shown.lines().filter_map(of).reduce(|sum, value| sum + value)
}
