//! `cargo xtask librdkafka [--idempotent] [NUMBER…]`: librdkafka's own tests against the real binary.
//!
//! ```text
//! tools/librdkafka/Cargo.toml ─ cargo vendor ─► target/librdkafka/vendor ─ configure, make ─► target/librdkafka/VERSION   (sources)
//! tools/librdkafka/tests.txt  ─ which run, which do not and why                                                          (list)
//! a node of this tree, in release, on a free port ◄─ test-runner, once a test                                      (node, runner)
//! ```
//!
//! Each test is a process of its own with a bounded time, and what it says goes to `target/librdkafka/run/NUMBER.log`. A test that skips
//! itself has not passed. When all have run the node must stop by SIGTERM, and its directory must be whole to the last byte.
//! Skipped where no compiler is, or where the sources cannot be had.

pub mod list;
mod node;
mod runner;
mod sources;

use std::path::PathBuf;

use crate::report::{Outcome, run};
use crate::workspace::Workspace;
use list::Entry;
use node::Node;
use runner::Bench;

/// Which tests of the list run.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'w> {
    /// Those marked `short`: part of `cargo xtask test`.
    Short,
    /// All that the list lets run.
    All,
    /// These numbers, whatever the list says of them.
    Numbers(&'w [&'w str]),
}

/// Runs the tests selected, with every producer idempotent if asked.
pub fn librdkafka(workspace: &Workspace, selection: Selection<'_>, idempotent: bool) -> Outcome {
    match prepare(workspace, selection) {
        Ok((entries, runner)) => against_a_node(workspace, &entries, runner, idempotent),
        Err(outcome) => outcome,
    }
}

/// Everything before the node: what runs, the test program, and the appliance.
fn prepare(workspace: &Workspace, selection: Selection<'_>) -> Result<(Vec<Entry>, PathBuf), Outcome> {
    let path = workspace.root.join(list::PATH);
    let text = std::fs::read_to_string(&path).map_err(|error| Outcome::Failed(format!("cannot read {}: {error}", path.display())))?;
    let entries = chosen(list::parse(&text).map_err(|findings| Outcome::Failed(list::shown(&findings)))?, selection);
    let runner = sources::build(workspace)?;
    match run(&mut workspace.cargo(["build", "--release", "-p", "headworks"])) {
        Outcome::Passed => Ok((entries, runner)),
        other => Err(other),
    }
}

fn chosen(entries: Vec<Entry>, selection: Selection<'_>) -> Vec<Entry> {
    match selection {
        Selection::Short => entries.into_iter().filter(Entry::is_short).collect(),
        Selection::All => entries.into_iter().filter(Entry::runs).collect(),
        Selection::Numbers(numbers) => {
            let listed = |number: &&str| entries.iter().find(|entry| entry.number == **number && entry.runs()).cloned();
            numbers.iter().map(|number| listed(number).unwrap_or_else(|| Entry::plain(number))).collect()
        }
    }
}

fn against_a_node(workspace: &Workspace, entries: &[Entry], runner: PathBuf, idempotent: bool) -> Outcome {
    let node = match Node::start(workspace) {
        Ok(node) => node,
        Err(reason) => return Outcome::Failed(reason),
    };
    let bench = match Bench::set_up(runner, &workspace.target.join("librdkafka/run"), &node.kafka, idempotent) {
        Ok(bench) => bench,
        Err(reason) => return Outcome::Failed(reason),
    };
    let verdicts = bench.run(entries);
    print!("{}", runner::summary(&verdicts));
    let failed: Vec<&str> = verdicts.iter().filter(|verdict| verdict.failed.is_some()).map(|verdict| verdict.number.as_str()).collect();
    let failed = if failed.is_empty() { None } else { Some(format!("librdkafka's tests {} failed", failed.join(", "))) };
    // The node's end is looked at whatever the tests said: it is the other half of the same question.
    match (failed, node.stop_and_verify()) {
        (None, Ok(())) => Outcome::Passed,
        (Some(reason), Ok(())) | (None, Err(reason)) => Outcome::Failed(reason),
        (Some(tests), Err(end)) => Outcome::Failed(format!("{tests}; {end}")),
    }
}

#[cfg(test)]
mod tests;
