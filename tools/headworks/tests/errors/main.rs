//! What cannot work, and what the binary says then: each reason with its exit code and words that tell the operator what to do.

mod directory;
#[path = "../harness/mod.rs"]
mod harness;
mod host;
mod offline;
mod superblock;

use harness::node::{Node, log_beside};
use harness::program::{check_end, command, run_arguments};
use std::path::Path;
use std::process::{Command, Output};

/// Runs a node that is to end by itself before it is ready; its end.
fn refused_by(command: Command, data: &Path) -> Output {
    match Node::try_start(command, data) {
        Ok(node) => panic!("a node that was to be refused is ready: {}\n{}", node.ready, node.log()),
        Err((status, text)) => Output { status, stdout: Vec::new(), stderr: text.into_bytes() },
    }
}

/// The same on a directory, with settings.
fn refused(data: &Path, settings: &[&str]) -> Output {
    refused_by(command(run_arguments(data, settings)), data)
}

/// A node on the directory must end with this code and these words.
fn check_refused(data: &Path, settings: &[&str], code: i32, parts: &[&str]) {
    // What nodes before it said is of no interest.
    let _absent = std::fs::remove_file(log_beside(data)).is_err();
    check_end(&refused(data, settings), code, parts);
}

/// A directory that a node has used and left.
fn used(folder: &Path) -> std::path::PathBuf {
    let data = folder.join("data");
    Node::start(&data, &["node.lanes=1"]).stop();
    data
}
