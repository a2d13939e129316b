//! Starting over: the process replaces itself. A node that was deposed, or whose log must be cut, keeps nothing in memory that
//! could still act on what it believed; it begins as it does after a crash, with the same arguments.

use crate::node::failure::Failure;
use headworks_io::fatal::{Reason, fatal};
use headworks_io::{Volume, VolumeError};
use nix::unistd::execve;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// (Without the prefix of settings.) Set in the environment of a process that has started over: its ready line stands on standard output already.
const STARTED_OVER: &str = "HW_STARTED_OVER";
/// How long the writes of the process before may hold the directory's lock.
const LOCK_MAX: Duration = Duration::from_secs(10);
/// How long an answer that is under way may take to its socket.
const ANSWER_GRACE: Duration = Duration::from_millis(200);

/// Whether this process has started over.
#[must_use]
pub fn has_started_over() -> bool {
    std::env::var_os(STARTED_OVER).is_some()
}

/// Waits until the answer to an order that was accepted then has gone out.
pub fn let_answer_out(accepted: Instant) {
    while let Some(left) = ANSWER_GRACE.checked_sub(accepted.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// Replaces the process by itself. `settled` are settings that were picked at start and have to stay.
pub fn start_over(settled: &[String]) -> ! {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // A process that has started over before carries them already.
    for setting in settled.iter().filter(|setting| !std::env::args().any(|argument| argument == **setting)) {
        arguments.extend(["--set".into(), setting.into()]);
    }
    let environment = std::env::vars_os().filter(|(name, _)| name != STARTED_OVER).chain([(STARTED_OVER.into(), "1".into())]);
    let environment = environment.map(|(name, value)| [name, "=".into(), value].into_iter().collect());
    let program = std::env::current_exe().unwrap_or_else(|error| fatal(Reason::Kernel, format!("cannot find this program: {error}")));
    // The standard library's exec lets SIGPIPE kill again just before it calls the kernel's: a thread that answers a client then
    // would end the process, and nothing would come after it.
    let replaced = execve(
        &as_c(program.into_os_string()),
        &arguments.into_iter().map(as_c).collect::<Vec<_>>(),
        &environment.map(as_c).collect::<Vec<_>>(),
    );
    let Err(error) = replaced;
    fatal(Reason::Kernel, format!("cannot start over: {error}; start the node again"))
}

fn as_c(text: OsString) -> CString {
    CString::new(text.into_vec()).unwrap_or_else(|error| fatal(Reason::Bug, format!("what the kernel gave has a zero byte: {error}")))
}

/// Takes the directory's lock. Behind a start over the last writes may still hold it.
///
/// # Errors
/// It is held by another process, or cannot be taken.
pub fn lock(data: &Path) -> Result<Volume, Failure> {
    let since = Instant::now();
    loop {
        match Volume::lock(data) {
            Err(VolumeError::InUse { .. }) if has_started_over() && since.elapsed() < LOCK_MAX => {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            locked => return Ok(locked?),
        }
    }
}
