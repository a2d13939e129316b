//! `cargo xtask model [STEPS]`: the pair's model, searched and walked further than the tests can afford.
//!
//! The tests visit every state that 8 to 11 steps from each scene lead to. Each further step takes about twice the time and
//! memory; the number of states of every scene is printed.

use std::process::Command;

use crate::report::{Outcome, run};
use crate::workspace::Workspace;

/// Steps from each scene when nobody says: minutes, and a gigabyte or two.
pub const STEPS: u32 = 10;

/// Random walks beyond what is searched.
const WALKS: u32 = 100_000;

/// Searches so many steps from each scene.
pub fn model(workspace: &Workspace, steps: u32) -> Outcome {
    run(&mut command(workspace, steps))
}

fn command(workspace: &Workspace, steps: u32) -> Command {
    let mut command = workspace.cargo(["test", "--release", "-p", "headworks-replicator", "--lib", "model", "--", "--nocapture"]);
    command.env("HEADWORKS_MODEL_STEPS", steps.to_string()).env("HEADWORKS_MODEL_WALKS", WALKS.to_string());
    command
}
