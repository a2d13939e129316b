//! `headworks drill`: a few runs of some scenarios in network namespaces, and how it ends when it cannot run, or is told to stop.

use crate::harness::node::Guarded;
use crate::harness::program::{PROGRAM, call, check_end, said, text_of};
use crate::harness::{alone, is_root, loadgen, skip, wait};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The user that has nothing.
const NOBODY: u32 = 65534;
/// What a debug build on a machine with other tests needs to tell a dead node from a late one.
const PATIENT: [&str; 4] = ["--set", "pair.heartbeat=20ms", "--set", "pair.heartbeat_misses=20"];

fn ip(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("cannot run ip: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(format!("`ip {}`: {}", arguments.join(" "), text(&output.stderr))) }
}

/// Why this host lets nobody make namespaces with links between them, if it does not: tried without the drill.
fn lacks_namespaces() -> Option<String> {
    static WHY: OnceLock<Option<String>> = OnceLock::new();
    WHY.get_or_init(tried).clone()
}

fn tried() -> Option<String> {
    if !is_root() {
        return Some("network namespaces need root".to_owned());
    }
    let name = format!("hwtry{}", std::process::id());
    let tried = ip(&["netns", "add", &name])
        .and_then(|_| ip(&["-n", &name, "link", "add", "name", "one", "type", "veth", "peer", "name", "other"]))
        .and_then(|_| ip(&["-n", &name, "link", "add", "name", "both", "type", "bridge"]));
    // One that was not made cannot be removed.
    let _removed = ip(&["netns", "delete", &name]).is_ok();
    tried.err()
}

fn drill(folder: &Path, scenario: &str, count: &str) -> Command {
    // It lies beside the program, where the drill looks for it.
    assert_eq!(loadgen::binary().parent(), Path::new(PROGRAM).parent());
    let mut command = Command::new(PROGRAM);
    command.args(["drill", "run", "--scenario", scenario, "--count", count, "--data", &text_of(folder)]);
    command.args(["--report", &text_of(&folder.join("report.json"))]).args(PATIENT);
    command
}

fn namespaces_of(pid: u32) -> Vec<String> {
    let listed = ip(&["netns", "list"]).expect("it was made for this test");
    let own = format!("hw{pid}-");
    listed.lines().filter(|line| line.starts_with(&own)).map(ToOwned::to_owned).collect()
}

#[test]
fn a_few_runs_keep_every_promise_and_leave_nothing_behind() {
    if let Some(why) = lacks_namespaces() {
        return skip("a_few_runs_keep_every_promise_and_leave_nothing_behind", &why);
    }
    let _alone = alone();
    for (scenario, count) in [("kill-primary", 2), ("witness-wiped", 1), ("one-way", 1)] {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut command = drill(folder.path(), scenario, &count.to_string());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the drill starts");
        let pid = child.id();
        let output = child.wait_with_output().expect("it ends");
        let text = std::fs::read(folder.path().join("report.json")).unwrap_or_else(|error| panic!("no report: {error}\n{}", said(&output)));
        let report: Value = serde_json::from_slice(&text).expect("the report is JSON");
        check_end(&output, 0, &[&format!("drill {scenario}, {count} runs"), "machine", "client's gap", "verdict          kept"]);
        let runs = report["runs"].as_array().expect("runs");
        assert_eq!((report["scenario"].as_str(), runs.len()), (Some(scenario), count), "{report:#}");
        for run in runs {
            assert_eq!((&run["lost"], &run["doubled"]), (&0.into(), &0.into()), "{report:#}");
            assert!(run["acknowledged"].as_u64() > Some(0) && run["signs"].as_u64() > Some(0), "{report:#}");
            assert!(run["gap_ns"].as_u64() > Some(0) && run["in_sync_ns"].is_u64(), "{report:#}");
        }
        assert_eq!(namespaces_of(pid), Vec::<String>::new());
        let left: Vec<_> = std::fs::read_dir(folder.path()).expect("it lists").map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(left, ["report.json"], "the drill removes its directory");
    }
}

#[test]
fn an_interrupted_drill_removes_what_it_made_and_reports_what_it_has() {
    if let Some(why) = lacks_namespaces() {
        return skip("an_interrupted_drill_removes_what_it_made_and_reports_what_it_has", &why);
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut command = drill(folder.path(), "kill-standby", "100");
    let mut process = Guarded::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let directory = folder.path().join(format!("headworks-drill-{}", process.pid()));
    wait::until_true("clients write", || (directory.join("records.json").exists(), format!("{}", directory.display())));
    assert_eq!(namespaces_of(process.pid()).len(), 5, "four hosts and what connects them");
    let pid = process.pid();
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait("an interrupted drill ends").code(), Some(1));
    assert_eq!(namespaces_of(pid), Vec::<String>::new());
    assert!(!directory.exists(), "{} is there", directory.display());
    let report: Value = serde_json::from_slice(&std::fs::read(folder.path().join("report.json")).expect("a report")).expect("JSON");
    assert_eq!(report["is_interrupted"], true, "{report:#}");
}

#[test]
fn without_root_or_ip_it_says_what_it_needs() {
    let needs_root = ["network namespaces, which needs root: run it with sudo, or with --loopback"];
    let folder = tempfile::tempdir().expect("a temporary directory");
    if is_root() {
        // Where it lies others may not look.
        let program = folder.path().join("headworks");
        std::fs::copy(PROGRAM, &program).expect("the binary is copied");
        for path in [folder.path(), &program] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("the owner sets a mode");
        }
        let mut command = Command::new(program);
        command.args(["drill", "run", "--scenario", "kill-primary", "--report", "report.json"]).uid(NOBODY).gid(NOBODY);
        check_end(&command.output().expect("the binary starts"), 77, &needs_root);
        let output = drill(folder.path(), "kill-primary", "1").env("PATH", folder.path()).output().expect("the binary starts");
        check_end(&output, 78, &["cannot run `ip netns add", "install iproute2"]);
    } else {
        check_end(&drill(folder.path(), "kill-primary", "1").output().expect("the binary starts"), 77, &needs_root);
    }
}

#[test]
fn scenarios_are_listed_and_others_are_refused_with_their_names() {
    let names =
        ["kill-primary", "partition", "one-way", "switchover", "double-failover", "witness-loss", "docs/runbooks/drill-kill-primary.md"];
    check_end(&call(["drill", "list"]), 0, &names);
    let asked = |arguments: &[&str]| call(["drill", "run", "--report", "/dev/null", "--loopback"].iter().chain(arguments));
    check_end(&asked(&["--scenario", "kill-everybody"]), 78, &["no scenario \"kill-everybody\"; there are kill-primary, kill-standby"]);
    check_end(&asked(&["--scenario", "partition"]), 78, &["partition cuts a network, which loopback cannot: run it as root"]);
    check_end(&asked(&["--scenario", "kill-primary", "--course", "up"]), 78, &["kill-primary has no course \"up\"; it has \"\""]);
}
