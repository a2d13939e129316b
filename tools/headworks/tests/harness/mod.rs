//! Real nodes, real clients and real faults for the tests of the binary.
//!
//! ```text
//! node      a running appliance: started on ports 0, known by its ready line, ended by signal; never outlives its test
//! http      what it says of itself        kafka    what a consumer gets
//! packets   what is sent to it            loadgen  the generator and its check, as their own processes
//! mount     file systems that are full or read-only
//! ```
//! Nothing here waits for a time to pass: [`wait::until`] asks for a state until a deadline, and a state that does not come is a failure that
//! says what was there instead. Every child is killed when its guard is dropped.
#![allow(dead_code, reason = "each test target uses its own part of the harness")]

pub mod http;
pub mod kafka;
pub mod loadgen;
pub mod mount;
pub mod node;
pub mod packets;
pub mod program;
pub mod random;
pub mod records;
pub mod wait;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A test that fills the machine takes this first: two of them at once would measure each other.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says why a test did not run; the caller returns.
pub fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
}

/// The client that a variable names; without it, the test is skipped and says so.
pub fn tool(variable: &str, test: &str) -> Option<std::ffi::OsString> {
    let found = std::env::var_os(variable);
    if found.is_none() {
        skip(test, &format!("{variable} is not set"));
    }
    found
}

/// Whether this process may mount, change owners and set limits.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").expect("procfs is mounted").uid() == 0
}
