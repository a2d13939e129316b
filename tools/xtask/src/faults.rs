//! `cargo xtask faults [--full]`: the fault matrix against the real binary, in release.
//!
//! The matrix is the test target `faults` of the appliance; it reads from `HEADWORKS_FAULTS` which column to run, `short` or
//! `full`. The short column is part of `cargo xtask test`; the full one runs for hours and only by hand.

use std::process::Command;

use crate::report::{Outcome, run};
use crate::workspace::Workspace;

/// How much of the matrix runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Minutes: every fault once.
    Short,
    /// Hours: every fault at the count that the matrix asks for.
    Full,
}

/// Runs the matrix.
pub fn faults(workspace: &Workspace, column: Column) -> Outcome {
    run(&mut command(workspace, column))
}

/// The test target with its column set.
pub fn command(workspace: &Workspace, column: Column) -> Command {
    let arguments = ["test", "--release", "-p", "headworks", "--test", "faults", "--", "--nocapture"];
    let mut command = workspace.cargo(arguments);
    command.env(
        "HEADWORKS_FAULTS",
        match column {
            Column::Short => "short",
            Column::Full => "full",
        },
    );
    command
}
