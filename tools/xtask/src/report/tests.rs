use std::process::Command;
use std::time::Duration;

use super::{Outcome, Report, run, seconds, show};

fn check(outcomes: &[Outcome], last_line: &str, failed: bool) {
    let mut report = Report::default();
    for (index, outcome) in outcomes.iter().enumerate() {
        report.add(&format!("step {index}"), outcome.clone(), Duration::from_secs(1));
    }
    let summary = report.summary();
    assert_eq!(summary.lines().last(), Some(last_line), "in\n{summary}");
    assert_eq!(report.failed(), failed);
}

#[test]
fn the_last_line_counts_the_steps() {
    let failed = Outcome::Failed("exit status: 1".to_owned());
    let skipped = Outcome::Skipped("not root".to_owned());
    check(&[Outcome::Passed], "1 passed, 0 failed, 0 skipped", false);
    check(&[Outcome::Passed, skipped.clone()], "1 passed, 0 failed, 1 skipped", false);
    check(&[failed, Outcome::Passed, skipped], "1 passed, 1 failed, 1 skipped", true);
}

#[test]
fn a_reason_stands_in_the_summary() {
    let mut report = Report::default();
    report.step("kcat", || Outcome::Skipped("not root".to_owned()));
    assert!(report.summary().contains("kcat: not root"), "{}", report.summary());
}

#[test]
fn a_command_is_judged_by_its_exit_code() {
    assert_eq!(run(&mut Command::new("true")), Outcome::Passed);
    let failed = Outcome::Failed("`false` ended with exit status: 1".to_owned());
    assert_eq!(run(&mut Command::new("false")), failed);
    let absent = run(&mut Command::new("no-such-program-anywhere"));
    assert!(matches!(&absent, Outcome::Failed(reason) if reason.contains("did not start")), "{absent:?}");
}

#[test]
fn a_command_is_shown_as_typed() {
    let mut command = Command::new("/some/folder/cargo");
    command.args(["test", "-p", "a b"]).env("RUSTFLAGS", "--cfg loom");
    command.env("PATH", "/x:/y");
    assert_eq!(show(&command), "RUSTFLAGS=\"--cfg loom\" cargo test -p \"a b\"");
}

#[test]
fn times_read_as_seconds_then_minutes() {
    assert_eq!(seconds(Duration::from_millis(41_230)), "41.2 s");
    assert_eq!(seconds(Duration::from_secs(187)), "3 min 07 s");
}
