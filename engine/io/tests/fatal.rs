//! `fatal` ends the whole process with one line and the reason's exit code; seen from outside.

use std::process::Command;

use headworks_io::fatal::{Reason, fatal};

const VARIABLE: &str = "HEADWORKS_TEST_FATAL";

/// Not a test of its own: the process that the test below starts, which dies here. Without the
/// variable it does nothing.
#[test]
fn child() {
    let Ok(code) = std::env::var(VARIABLE) else {
        return;
    };
    let reason = Reason::ALL.into_iter().find(|reason| reason.exit_code().to_string() == code);
    let _unwound = Loud;
    fatal(reason.expect("a code of this list"), "first line\nsecond line");
}

/// Speaks up if anything unwinds.
struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        eprintln!("a destructor ran");
    }
}

#[test]
fn each_reason_ends_the_process_with_its_code_and_one_line() {
    for reason in Reason::ALL {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(VARIABLE, reason.exit_code().to_string())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(reason.exit_code()), "{reason:?}");
        let line = format!("headworks: {}: first line second line\n", reason.words());
        assert_eq!(String::from_utf8_lossy(&output.stderr), line);
    }
}
