//! The end of the process when no answer is possible: one line, one exit code for each reason, nothing else.
//!
//! It ends the whole process: one dead loop must not leave the others serving. Nothing unwinds and no destructor runs,
//! because the state that they would act on is what has just been found wrong; what was acknowledged is on disk, and
//! the next start recovers as it would from a power cut.

use std::io::Write;

/// Why the process ends. Each has its exit code, which operators and supervisors may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// 69: a port is taken.
    PortBusy,
    /// 70: an assumption of this program was wrong.
    Bug,
    /// 71: the kernel lacks or refuses a feature.
    Kernel,
    /// 74: storage failed.
    Storage,
    /// 75: the data directory is in use.
    InUse,
    /// 77: not permitted.
    Permission,
    /// 78: the configuration is wrong.
    Config,
}

impl Reason {
    /// Every reason, in order of exit code.
    pub const ALL: [Reason; 7] =
        [Reason::PortBusy, Reason::Bug, Reason::Kernel, Reason::Storage, Reason::InUse, Reason::Permission, Reason::Config];

    /// The exit code.
    #[must_use]
    pub const fn exit_code(self) -> i32 {
        match self {
            Reason::PortBusy => 69,
            Reason::Bug => 70,
            Reason::Kernel => 71,
            Reason::Storage => 74,
            Reason::InUse => 75,
            Reason::Permission => 77,
            Reason::Config => 78,
        }
    }

    /// The words that begin the line.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Reason::PortBusy => "port busy",
            Reason::Bug => "bug",
            Reason::Kernel => "kernel",
            Reason::Storage => "storage",
            Reason::InUse => "directory in use",
            Reason::Permission => "permission",
            Reason::Config => "configuration",
        }
    }
}

/// Writes one line to standard error and ends the process at once with the reason's code.
pub fn fatal(reason: Reason, message: impl AsRef<str>) -> ! {
    let line = line(reason, message.as_ref());
    // One write, so that two dying loops do not mix their lines. If standard error is gone there is nobody left to
    // tell; the exit code still speaks.
    let _ = std::io::stderr().write_all(line.as_bytes());
    // SAFETY: _exit demands nothing of its caller. It is chosen over exit because exit runs destructors and handlers
    // while the other threads still run.
    unsafe { libc::_exit(reason.exit_code()) }
}

fn line(reason: Reason, message: &str) -> String {
    let flat: Vec<&str> = message.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect();
    format!("headworks: {}: {}\n", reason.words(), flat.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_code_and_words() {
        let codes: Vec<i32> = Reason::ALL.iter().map(|reason| reason.exit_code()).collect();
        assert_eq!(codes, [69, 70, 71, 74, 75, 77, 78]);
        let mut words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.words()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        assert_eq!(line(Reason::Storage, "write failed\n  at 4096\r\n"), "headworks: storage: write failed at 4096\n");
    }
}
