use std::path::PathBuf;
use std::process::Command;

use super::{Work, plan, run_filtered};
use crate::report::{Outcome, show};
use crate::workspace::Workspace;

fn workspace(members: &[&str]) -> Workspace {
    Workspace {
        root: PathBuf::from("/checkout"),
        target: PathBuf::from("/checkout/target"),
        members: members.iter().map(|member| (*member).to_owned()).collect(),
    }
}

fn check(members: &[&str], names: &[&str]) {
    let steps = plan(&workspace(members));
    let planned: Vec<_> = steps.iter().map(|step| step.name).collect();
    assert_eq!(planned, names, "for members {members:?}");
}

fn shown(members: &[&str], name: &str) -> String {
    let steps = plan(&workspace(members));
    let step = steps.iter().find(|step| step.name == name);
    match &step.expect("the step is planned").work {
        Work::Run(command) | Work::WithTools(command) | Work::Filtered(command) => show(command),
        Work::Tidy => "tidy".to_owned(),
        Work::Fuzz => "fuzz".to_owned(),
        Work::Librdkafka => "librdkafka".to_owned(),
    }
}

#[test]
fn a_package_that_is_not_there_has_no_step() {
    let always = ["fmt", "clippy", "tidy", "tests", "testrelease"];
    check(&["engine/format"], &always);
    let mut all = always.to_vec();
    all.extend(["loom", "simulator", "simulator, pair", "simulator, without each rule"]);
    all.extend(["faults, short column", "librdkafka, short", "fuzz, 30 s each"]);
    check(&["engine/ring", "tools/sim", "tools/headworks"], &all);
    all.push("benches, tiny");
    check(&["engine/ring", "tools/sim", "tools/headworks", "benches"], &all);
}

#[test]
fn testrelease_takes_every_engine_crate_and_no_other() {
    let typed = shown(&["engine/format", "ingest", "engine/log", "tools/sim"], "testrelease");
    assert!(typed.ends_with("test --no-fail-fast --profile testrelease -p headworks-format -p headworks-log"), "{typed}");
}

#[test]
fn loom_builds_the_ring_alone_in_its_own_folder() {
    let typed = shown(&["engine/ring"], "loom");
    assert!(typed.contains("RUSTFLAGS=\"--cfg loom\""), "{typed}");
    assert!(typed.contains("CARGO_TARGET_DIR=/checkout/target/loom"), "{typed}");
    assert!(typed.ends_with("test -p headworks-ring --release --lib loom"), "{typed}");
}

#[test]
fn the_simulator_runs_a_thousand_seeds() {
    let typed = shown(&["tools/sim"], "simulator");
    assert!(typed.ends_with("run --release -p headworks-sim -- --seeds 1000"), "{typed}");
}

#[test]
fn the_pair_runs_five_hundred_seeds_and_is_run_without_each_rule() {
    let typed = shown(&["tools/sim"], "simulator, pair");
    assert!(typed.ends_with("run --release -p headworks-sim -- pair --seeds 500"), "{typed}");
    let typed = shown(&["tools/sim"], "simulator, without each rule");
    assert!(typed.ends_with("--features mutants --lib pair::tests::mutants"), "{typed}");
}

#[test]
fn a_filter_that_matches_nothing_fails() {
    // `true` lists nothing and ends well: what a test binary does with a filter that is misspelt.
    let outcome = run_filtered(&mut Command::new("true"));
    assert_eq!(outcome, Outcome::Failed("`true` matches no test".to_owned()));
}
