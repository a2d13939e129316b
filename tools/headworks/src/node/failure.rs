//! Why the program stops before or while it runs: a reason with its exit code, and a text that says what to do.

use headworks_io::fatal::Reason;
use headworks_io::{SocketError, VolumeError};
use headworks_lane::OpenError;

/// A reason and its text.
#[derive(Debug)]
pub struct Failure {
    /// Gives the exit code.
    pub reason: Reason,
    /// What happened, the value seen, the likely cause, what to type next.
    pub text: String,
}

impl Failure {
    /// With a text of one's own.
    pub fn new(reason: Reason, text: impl Into<String>) -> Failure {
        Failure { reason, text: text.into() }
    }
}

impl From<VolumeError> for Failure {
    fn from(error: VolumeError) -> Failure {
        Failure::new(error.reason(), error.to_string())
    }
}

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Failure {
        Failure::new(error.reason(), error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        let reason = match &error {
            OpenError::Volume(volume) => volume.reason(),
            OpenError::Disk(_) => Reason::Storage,
            OpenError::Memory(_) => Reason::Kernel,
        };
        Failure::new(reason, error.to_string())
    }
}
