//! Time that named threads of a process ran, as the scheduler counts it.
//!
//! Unlike a rate it does not depend on how fast the sender is or on who else wants the processor: time per packet tells
//! what a loop costs even where the sender is the limit.

use std::fs;
use std::path::Path;

/// Nanoseconds that the threads called `name` have run since they began, user and system together.
///
/// # Errors
/// The process is gone, or has no such thread.
pub fn run_ns(pid: u32, name: &str) -> Result<u64, String> {
    let folder = format!("/proc/{pid}/task");
    let tasks = fs::read_dir(&folder).map_err(|error| format!("cannot list {folder}: {error}"))?;
    // A thread that ends meanwhile is skipped: it is none of those that run as long as the process.
    let times: Vec<u64> = tasks.filter_map(|task| thread_ns(&task.ok()?.path(), name)).collect();
    if times.is_empty() {
        return Err(format!("process {pid} has no thread {name}"));
    }
    Ok(times.iter().sum())
}

/// The first number of `schedstat`: time on a processor.
fn thread_ns(task: &Path, name: &str) -> Option<u64> {
    if fs::read_to_string(task.join("comm")).ok()?.trim() != name {
        return None;
    }
    fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_not_there_is_an_error() {
        let error = run_ns(std::process::id(), "no such thread").unwrap_err();
        assert!(error.contains("no such thread"), "{error}");
    }

    #[test]
    fn time_of_a_thread_only_grows() {
        let name = fs::read_to_string("/proc/thread-self/comm").unwrap();
        let before = run_ns(std::process::id(), name.trim()).unwrap();
        let sum: u64 = (0..100_000u64).map(std::hint::black_box).sum();
        let after = run_ns(std::process::id(), name.trim()).unwrap();
        assert!(after >= before, "{after} after {before}, sum {sum}");
    }
}
