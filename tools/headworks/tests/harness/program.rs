//! The binary itself, for calls that end by themselves, and the judgement of how they ended.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// The appliance's binary.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_headworks");

/// A command with nothing in its environment: what stands in ours must not configure a node.
pub fn command(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear();
    command
}

/// Runs it to its end.
pub fn call(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    command(arguments).output().expect("the binary starts")
}

/// `run` on this directory with ports that the kernel picks; later settings win.
pub fn run_arguments(data: &Path, settings: &[&str]) -> Vec<String> {
    let fixed = [
        "node.name=test",
        "log.segment=8MiB",
        "listener.udp.address=127.0.0.1:0",
        "listener.tcp.address=127.0.0.1:0",
        "kafka.address=127.0.0.1:0",
        "http.address=127.0.0.1:0",
    ];
    let mut arguments = vec!["run".to_owned(), "--data".to_owned(), text_of(data)];
    for setting in fixed.iter().chain(settings) {
        arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    arguments
}

/// A path as an argument.
pub fn text_of(path: &Path) -> String {
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

/// Both streams as text, for messages.
pub fn said(output: &Output) -> String {
    format!("stdout: {}\nstderr: {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// It ended with this code, and each of the parts stands in what it said.
pub fn check_end(output: &Output, code: i32, parts: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "ended with {} instead of code {code}\n{said}", output.status);
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in what was said\n{said}");
    }
}
