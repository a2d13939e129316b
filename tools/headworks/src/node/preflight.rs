//! What the host gives, looked at before anything is opened: errors stop, warnings say their cost once.
//!
//! With `node.strict = true` a warning is an error.

use super::failure::Failure;
use headworks_io::fatal::Reason;
use headworks_io::{Ring, RingSetup};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A finding that does not stop the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What was observed and what it costs.
    pub text: String,
    /// What to do.
    pub fix: String,
}

impl core::fmt::Display for Warning {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} — {}", self.text, self.fix)
    }
}

/// Descriptors that a node may come to need: segments, connections, sockets.
const DESCRIPTORS_WANTED: u64 = 65_536;

/// Looks at the host.
///
/// # Errors
/// io_uring is not to be had.
pub fn preflight() -> Result<Vec<Warning>, Failure> {
    let ring = Ring::new(&RingSetup { sq_entries: 8, cq_entries: 16 }).map_err(|error| Failure::new(error.reason(), error.to_string()))?;
    drop(ring);
    let mut warnings = Vec::new();
    warnings.extend(raise_descriptors());
    Ok(warnings)
}

/// More descriptors within the hard limit; too few is a warning, since small nodes do without.
fn raise_descriptors() -> Option<Warning> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let wanted = hard.min(DESCRIPTORS_WANTED);
    if soft < wanted
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    {
        return Some(Warning {
            text: format!("the limit of open files stays at {soft}: {error}; a long retention needs one for each segment"),
            fix: "start with `ulimit -n 65536`, or LimitNOFILE=65536 in the unit".into(),
        });
    }
    (wanted < 1024).then(|| Warning {
        text: format!("at most {wanted} files may be open; a long retention needs one for each segment"),
        fix: "raise the hard limit: LimitNOFILE=65536 in the unit".into(),
    })
}

/// The receive buffer that a socket got against what was asked for.
#[must_use]
pub fn receive_buffer(listener: &str, got: usize, asked: u64) -> Option<Warning> {
    ((got as u64) < asked).then(|| Warning {
        text: format!(
            "listener {listener} has a receive buffer of {got} bytes, {asked} were asked for: bursts longer than it are \
            dropped by the kernel (and counted)"
        ),
        fix: format!("grant CAP_NET_ADMIN, or `sysctl -w net.core.rmem_max={asked}`"),
    })
}

/// The filter that counts arrivals could not be attached.
#[must_use]
pub fn inexact(listener: &str, error: &std::io::Error) -> Warning {
    Warning {
        text: format!(
            "listener {listener} cannot count arrivals ({error}): the ledger says \"exact\": false, and a dropped GRO train counts as one"
        ),
        fix: "grant CAP_BPF, or `sysctl -w kernel.unprivileged_bpf_disabled=0`".into(),
    }
}

/// The kernel refused to pin the rings' memory.
#[must_use]
pub fn unregistered(error: &str) -> Warning {
    Warning {
        text: format!(
            "the rings' memory is not registered with io_uring ({error}): each write pins its pages anew, some microseconds a MiB"
        ),
        fix: "grant CAP_IPC_LOCK, or raise the limit: LimitMEMLOCK=infinity in the unit".into(),
    }
}

/// The file system has no direct I/O.
#[must_use]
pub fn buffered(path: &str) -> Warning {
    Warning {
        text: format!("the file system of {path} refuses O_DIRECT: writes pass through the page cache"),
        fix: "use ext4 or XFS on a local disk".into(),
    }
}

/// Warnings become an error where the operator asked for it.
///
/// # Errors
/// There is a warning and `strict` is set.
pub fn enforce(strict: bool, warnings: &[Warning]) -> Result<(), Failure> {
    match warnings.first() {
        Some(first) if strict => {
            Err(Failure::new(Reason::Kernel, format!("node.strict = true and {} warnings, the first: {first}", warnings.len())))
        }
        _ => Ok(()),
    }
}
