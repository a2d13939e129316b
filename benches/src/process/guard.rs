//! No process outlives these benches, even when a signal ends them: destructors do not run then, so a thread waits for the
//! signal and ends what is registered, by its id.

use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

/// The code that a shell shows for a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Waits for SIGINT and SIGTERM from now on. To be called before any thread or process is started.
///
/// # Errors
/// The signals cannot be blocked, or there is no thread to be had.
pub fn watch() -> Result<(), String> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block().map_err(|error| format!("cannot block signals: {error}"))?;
    let wait = move || {
        let signal = signals.wait();
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        for pid in running.iter() {
            // It fails only for a process that has ended, which is what it is to bring about.
            let _ended = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
        eprintln!("headworks-benches: ended by {signal:?}, with {} processes of its own", running.len());
        process::exit(INTERRUPTED)
    };
    thread::Builder::new().name("signals".into()).spawn(wait).map(drop).map_err(|error| format!("no thread for signals: {error}"))
}

/// A process of ours that runs, until the value goes. Made while the process cannot have been waited for yet.
pub struct Registered(u32);

impl Registered {
    /// From now on a signal ends this process too.
    pub fn new(pid: u32) -> Registered {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
        Registered(pid)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|pid| *pid != self.0);
    }
}
