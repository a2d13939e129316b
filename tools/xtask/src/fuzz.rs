//! `cargo xtask fuzz [--seconds N] [TARGET]`: every decoder of untrusted bytes under libFuzzer, on the stable toolchain.
//!
//! ```text
//! gateway/fuzz      request   frames of Kafka requests, each allocation capped
//! ingest/fuzz       framing   bytes of TCP connections, cut anywhere
//! replicator/fuzz   message   bytes from the other node of a pair
//! replicator/fuzz   witness   bytes from a node to its witness, and back
//! ```
//!
//! What the compiler must do for the fuzzer (count edges, trace comparisons) are code generation flags, which stable has;
//! only a sanitizer would need nightly, and code that forbids `unsafe` has little to show one. Inputs that reach new code go to
//! `target/fuzz/corpus`; the ones in the repository are read and never written. A finding stops the run, and its input is
//! named by the fuzzer. Skipped where no C++ compiler is: the fuzzer itself is built from its sources.

use std::num::NonZero;
use std::path::Path;
use std::process::Command;

use crate::report::{Outcome, run};
use crate::workspace::Workspace;

/// Seconds for each target in `cargo xtask test`.
pub const SHORT_SECONDS: u32 = 30;
/// Seconds for each target when nobody says: the long run that a decoder has to pass once.
pub const LONG_SECONDS: u32 = 600;

/// Folder of the package, target, and most MiB that one allocation may ask for.
const TARGETS: [(&str, &str, u32); 4] =
    [("gateway/fuzz", "request", 2), ("ingest/fuzz", "framing", 16), ("replicator/fuzz", "message", 2), ("replicator/fuzz", "witness", 2)];

const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Clink-dead-code";

/// Runs all targets, or the one named, for so long each.
pub fn fuzz(workspace: &Workspace, seconds: u32, only: Option<&str>) -> Outcome {
    if let Some(name) = only
        && !TARGETS.iter().any(|(_, target, _)| *target == name)
    {
        let known: Vec<&str> = TARGETS.iter().map(|(_, target, _)| *target).collect();
        return Outcome::Failed(format!("no fuzz target is named {name}: there are {}", known.join(", ")));
    }
    if !compiles_cpp() {
        return Outcome::Skipped("no C++ compiler answers as `c++`: libFuzzer is built from its sources".to_owned());
    }
    let targets: Vec<_> = TARGETS.into_iter().filter(|(_, target, _)| only.is_none_or(|name| name == *target)).collect();
    let mut folders: Vec<&str> = targets.iter().map(|(folder, ..)| *folder).collect();
    folders.dedup();
    if let Some(failed) = folders.into_iter().map(|folder| run(&mut build(workspace, folder))).find(|built| *built != Outcome::Passed) {
        return failed;
    }
    // A hunt is one thread; each has a processor to itself.
    let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
    for some in targets.chunks(at_once) {
        let hunts = some.iter().map(|(folder, target, mib_max)| hunt(workspace, folder, target, *mib_max, seconds));
        if let Some(failed) = all_at_once(hunts.collect()).into_iter().find(|ended| *ended != Outcome::Passed) {
            return failed;
        }
    }
    Outcome::Passed
}

fn all_at_once(commands: Vec<Command>) -> Vec<Outcome> {
    std::thread::scope(|scope| {
        let running: Vec<_> = commands.into_iter().map(|mut command| scope.spawn(move || run(&mut command))).collect();
        running.into_iter().map(|hunt| hunt.join().expect("a command's end does not panic")).collect()
    })
}

fn compiles_cpp() -> bool {
    Command::new("c++").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The flags hold for a named platform only, so that what runs while building is built without them.
fn build(workspace: &Workspace, folder: &str) -> Command {
    let mut command = workspace.cargo(["build", "--release", "--target", &platform()]);
    command.current_dir(workspace.root.join(folder)).env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", workspace.target.join("fuzz"));
    command
}

fn hunt(workspace: &Workspace, folder: &str, target: &str, mib_max: u32, seconds: u32) -> Command {
    let found = workspace.target.join("fuzz/corpus").join(target);
    let mut command = Command::new(workspace.target.join("fuzz").join(platform()).join("release").join(target));
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-malloc_limit_mb={mib_max}"),
        "-max_len=65536".to_owned(),
        "-rss_limit_mb=1024".to_owned(),
        "-timeout=10".to_owned(),
        "-print_final_stats=1".to_owned(),
        "-verbosity=0".to_owned(),
        format!("-artifact_prefix={}/", workspace.target.join("fuzz").display()),
    ]);
    // The first folder takes what is new.
    if std::fs::create_dir_all(&found).is_ok() {
        command.arg(found);
    }
    let seeds: &Path = &workspace.root.join(folder).join("corpus").join(target);
    command.arg(seeds);
    command
}

fn platform() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}
