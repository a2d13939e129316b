//! One process of the drill: started, signalled, waited for, and never left behind.

use crate::node::Failure;
use headworks_io::fatal::Reason;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts it; what it writes to standard error is added to the file, what it writes to standard output makes another one anew.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, command: &mut Command, says: &Path) -> Result<Process, Failure> {
        Process::start_on(Stdio::null(), name, command, says)
    }

    /// The same for one that reads its standard input, and ends when that does.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_on_input(name: &str, command: &mut Command, says: &Path) -> Result<Process, Failure> {
        Process::start_on(Stdio::piped(), name, command, says)
    }

    fn start_on(input: Stdio, name: &str, command: &mut Command, says: &Path) -> Result<Process, Failure> {
        let refused = |error: std::io::Error| Failure::new(Reason::Config, format!("cannot start {name} ({command:?}): {error}"));
        let stderr = File::options().create(true).append(true).open(says).map_err(refused)?;
        let stdout = File::create(says.with_extension("out")).map_err(refused)?;
        let started = command.stdin(input).stdout(stdout).stderr(stderr).process_group(0).spawn();
        let child = started.map_err(|error| Failure::new(Reason::Config, format!("cannot start {name}: {error}")))?;
        Ok(Process { name: name.to_owned(), child })
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended by itself.
    pub fn signal(&mut self, signal: Signal) -> Result<(), Failure> {
        if let Some(status) = self.ended()? {
            return Err(Failure::new(Reason::Bug, format!("{} ended by itself with {status}", self.name)));
        }
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("process ids are below 2^22"));
        kill(pid, signal).map_err(|error| Failure::new(Reason::Kernel, format!("cannot send {signal} to {}: {error}", self.name)))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child.try_wait().map_err(|error| Failure::new(Reason::Kernel, format!("cannot wait for {}: {error}", self.name)))
    }

    /// kill -9, and its end.
    ///
    /// # Errors
    /// It had ended by itself.
    pub fn kill(mut self) -> Result<(), Failure> {
        self.signal(Signal::SIGKILL)?;
        let waited = self.child.wait();
        waited.map(drop).map_err(|error| Failure::new(Reason::Kernel, format!("cannot wait for {}: {error}", self.name)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone and waited for.
        let _gone = self.child.kill().is_err();
        let _status = self.child.wait();
    }
}
