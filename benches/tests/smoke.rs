//! Every scenario, tiny, with the real binaries: benches that are not run do rot.

use std::process::Command;

#[test]
#[cfg_attr(debug_assertions, ignore = "minutes with debug assertions; `cargo xtask test` runs it in release")]
fn every_scenario_runs_tiny_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_headworks-benches")).args(["smoke", "--json"]).arg(&json).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["judged"], false, "a smoke run is held to no bar");
    let rows = report["rows"].as_array().unwrap();
    for name in
        ["gso64", "gso1400", "single", "latency", "history", "tcp-senders", "memory", "recovery", "idle", "pair", "catch-up", "rings"]
    {
        assert!(rows.iter().any(|row| row["scenario"] == name), "no row of {name} in {report:#}");
    }
}

#[test]
fn an_unknown_scenario_is_refused_with_the_known_ones() {
    let output = Command::new(env!("CARGO_BIN_EXE_headworks-benches")).arg("nothing").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("gso64") && said.contains("smoke"), "{}: {said}", output.status);
}
