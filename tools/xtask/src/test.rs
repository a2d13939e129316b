//! `cargo xtask test`: everything that must hold before a change lands, cheapest first.
//!
//! The plan is data made from the workspace's members, so a package that is not there has no step and one that has come cannot
//! be forgotten. Every step runs; the exit code is 1 when any failed.

use std::process::{Command, ExitCode, Stdio};

use crate::faults::Column;
use crate::librdkafka::Selection;
use crate::report::{Outcome, Report, run, show};
use crate::workspace::Workspace;
use crate::{faults, fuzz, librdkafka, sim, tidy, tools};

/// One step of the plan.
#[derive(Debug)]
struct Step {
    name: &'static str,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// Passes when the command does.
    Run(Command),
    /// The same, for tests that talk to real clients: it is told which of them are here.
    WithTools(Command),
    /// A test run under a filter. A filter that matches nothing passes by running nothing, so it is asked first what it lists.
    Filtered(Command),
    /// The rules that no compiler checks.
    Tidy,
    /// Decoders of untrusted bytes under the fuzzer, for a short while.
    Fuzz,
    /// The short ones of librdkafka's own tests.
    Librdkafka,
}

/// Runs the plan and prints the summary; 0 when nothing failed, else 1.
pub fn test(workspace: &Workspace) -> ExitCode {
    let mut report = Report::default();
    let variables = tools::ensure(workspace, &mut report);
    for step in plan(workspace) {
        report.step(step.name, || match step.work {
            Work::Tidy => tidy::tidy(workspace),
            Work::Fuzz => fuzz::fuzz(workspace, fuzz::SHORT_SECONDS, None),
            Work::Librdkafka => librdkafka::librdkafka(workspace, Selection::Short, false),
            Work::Run(mut command) => run(&mut command),
            Work::WithTools(mut command) => run(command.envs(variables.iter().cloned())),
            Work::Filtered(mut command) => run_filtered(&mut command),
        });
    }
    print!("{}", report.summary());
    if report.failed() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn plan(workspace: &Workspace) -> Vec<Step> {
    let step = |name, work| Step { name, work };
    let cargo = |line: &str| Work::Run(workspace.cargo(line.split(' ')));
    let mut steps = vec![
        step("fmt", cargo("fmt --all --check")),
        step("clippy", cargo("clippy --workspace --all-targets -- -D warnings")),
        step("tidy", Work::Tidy),
        step("tests", Work::WithTools(tests(workspace))),
        step("testrelease", Work::Run(testrelease(workspace))),
    ];
    if workspace.has("engine/ring") {
        steps.push(step("loom", Work::Filtered(loom(workspace))));
    }
    if workspace.has("tools/sim") {
        let simulator = sim::command(workspace, &["--seeds", sim::SEEDS]);
        steps.push(step("simulator", Work::Run(simulator)));
        let pair = sim::command(workspace, &["pair", "--seeds", sim::PAIR_SEEDS]);
        steps.push(step("simulator, pair", Work::Run(pair)));
        steps.push(step("simulator, without each rule", Work::Filtered(mutants(workspace))));
    }
    if workspace.has("tools/headworks") {
        let short = faults::command(workspace, Column::Short);
        steps.push(step("faults, short column", Work::WithTools(short)));
        steps.push(step("librdkafka, short", Work::Librdkafka));
        steps.push(step("fuzz, 30 s each", Work::Fuzz));
    }
    if workspace.has("benches") {
        steps.push(step("benches, tiny", Work::Filtered(benches(workspace))));
    }
    steps
}

/// Every test; one that fails does not hide what comes after it.
fn tests(workspace: &Workspace) -> Command {
    workspace.cargo(["test", "--workspace", "--no-fail-fast"])
}

/// Engine tests without debug assertions: what release code does where an assertion would have spoken.
fn testrelease(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo(["test", "--no-fail-fast", "--profile", "testrelease"]);
    for package in workspace.engine_packages() {
        command.args(["-p", &package]);
    }
    command
}

/// The ring alone: other crates react to `cfg(loom)` too. Its own target folder, since the flag would rebuild everything.
fn loom(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo(["test", "-p", "headworks-ring", "--release", "--lib", "loom"]);
    command.env("RUSTFLAGS", "--cfg loom");
    command.env("CARGO_TARGET_DIR", workspace.target.join("loom"));
    command
}

/// The pair's rules taken away one by one, each of which the simulator has to miss. Optimised, and with panics that can be caught.
fn mutants(workspace: &Workspace) -> Command {
    workspace.cargo("test --profile testrelease -p headworks-sim --features mutants --lib pair::tests::mutants".split(' '))
}

/// Every scenario of the benches once and tiny, in release: with debug assertions it takes minutes and shows no more.
fn benches(workspace: &Workspace) -> Command {
    workspace.cargo("test --release -p headworks-benches --test smoke every_scenario".split(' '))
}

fn run_filtered(command: &mut Command) -> Outcome {
    match listed(command) {
        Ok(0) => Outcome::Failed(format!("`{}` matches no test", show(command))),
        Ok(_) => run(command),
        Err(reason) => Outcome::Failed(reason),
    }
}

/// How many tests the same command with `--list` names; the build's messages go to this terminal.
fn listed(command: &Command) -> Result<usize, String> {
    let mut list = Command::new(command.get_program());
    list.args(command.get_args()).args(["--", "--list"]);
    let set = |(name, value): (_, Option<_>)| Some((name, value?));
    list.envs(command.get_envs().filter_map(set));
    if let Some(folder) = command.get_current_dir() {
        list.current_dir(folder);
    }
    println!("   $ {}", show(&list));
    let output =
        list.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|error| format!("`{}` did not start: {error}", show(&list)))?;
    if !output.status.success() {
        return Err(format!("`{}` ended with {}", show(&list), output.status));
    }
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.lines().filter(|line| line.ends_with(": test")).count())
}

#[cfg(test)]
mod tests;
