//! `cargo xtask sim [pair] --seed N | --seeds N [--from N]`: the simulator, in release: a lane's log over a faulty disk, or with `pair`
//! two nodes, an arbiter and clients.
//!
//! The simulator reads and refuses its own arguments; its last line carries the hash of the trace, by which two runs of one
//! seed are compared. `--seed N` with the number that a failure printed replays that failure.

use std::process::Command;

use crate::report::{Outcome, run};
use crate::workspace::Workspace;

/// What `cargo xtask test` runs.
pub const SEEDS: &str = "1000";
/// What it runs of the pair: about a minute.
pub const PAIR_SEEDS: &str = "500";

/// Runs the simulator with these arguments.
pub fn sim(workspace: &Workspace, words: &[&str]) -> Outcome {
    run(&mut command(workspace, words))
}

/// The simulator in release with these arguments.
pub fn command(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = workspace.cargo(["run", "--release", "-p", "headworks-sim", "--"]);
    command.args(words);
    command
}
