//! The node under test: this tree's own, in release, with small segments so that much of what is read comes from closed ones.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::report::{Outcome, run};
use crate::workspace::Workspace;

const SETTINGS: [&str; 7] = [
    "node.name=librdkafka",
    "node.lanes=2",
    "log.segment=16MiB",
    "listener.udp.address=127.0.0.1:0",
    "listener.tcp.address=127.0.0.1:0",
    "kafka.address=127.0.0.1:0",
    "http.address=127.0.0.1:0",
];

/// A node that said it is ready. One that is forgotten is killed.
#[derive(Debug)]
pub struct Node {
    child: Child,
    program: PathBuf,
    data: PathBuf,
    log: PathBuf,
    /// Where its Kafka listener is.
    pub kafka: String,
}

impl Node {
    /// Starts one on an empty directory and waits until it is ready.
    pub fn start(workspace: &Workspace) -> Result<Self, String> {
        let folder = workspace.target.join("librdkafka");
        let (program, data, log) = (workspace.target.join("release/headworks"), folder.join("node"), folder.join("node.log"));
        if data.exists() {
            fs::remove_dir_all(&data).map_err(|error| format!("cannot clear {}: {error}", data.display()))?;
        }
        let stderr = File::create(&log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let mut command = Command::new(&program);
        command.env_clear().arg("run").arg("--data").arg(&data);
        SETTINGS.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn();
        let child = child.map_err(|error| format!("{} did not start: {error}", program.display()))?;
        let mut node = Self { child, program, data, log, kafka: String::new() };
        node.kafka = node.ready()?;
        Ok(node)
    }

    /// Reads the ready line, all that it ever writes to standard output; its Kafka address.
    fn ready(&mut self) -> Result<String, String> {
        let stdout = self.child.stdout.take().ok_or("standard output was not piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(|error| format!("no ready line: {error}"))?;
        let kafka = line.split_whitespace().find_map(|word| word.strip_prefix("kafka="));
        kafka.map(str::to_owned).ok_or_else(|| format!("the node is not ready ({line:?}); see {}", self.log.display()))
    }

    /// Ends it by SIGTERM and checks every byte that it leaves.
    pub fn stop_and_verify(mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the node ended by itself with {status}; see {}", self.log.display()));
        }
        // By the shell, whose own word `kill` is: the standard library sends no signal but the last one.
        let kill = format!("kill -TERM {}", self.child.id());
        let told = Command::new("sh").args(["-c", &kill]).status();
        if !told.is_ok_and(|status| status.success()) {
            return Err(format!("`{kill}` failed"));
        }
        let status = self.child.wait().map_err(|error| format!("the node cannot be waited for: {error}"))?;
        if !status.success() {
            return Err(format!("the node stopped with {status}; see {}", self.log.display()));
        }
        match run(Command::new(&self.program).arg("verify").arg(&self.data)) {
            Outcome::Passed => Ok(()),
            Outcome::Failed(reason) | Outcome::Skipped(reason) => Err(reason),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // It may end by itself in between; either way it is gone and waited for.
            let _gone = self.child.kill();
            let _status = self.child.wait();
        }
    }
}
