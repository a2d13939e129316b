//! `cargo xtask bench [smoke|NAME] [ARGS]`: one scenario of the benches, in release.
//!
//! Without a name it runs `smoke`, which is every scenario made tiny: it shows that they work, never how fast they are.

use crate::report::{Outcome, run};
use crate::workspace::Workspace;

/// Runs the scenario named first; what follows the name goes to it unread.
pub fn bench(workspace: &Workspace, words: &[&str]) -> Outcome {
    let scenario = if words.is_empty() { &["smoke"] } else { words };
    let mut command = workspace.cargo(["run", "--release", "-p", "headworks-benches", "--"]);
    run(command.args(scenario))
}
