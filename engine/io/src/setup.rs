//! How a ring is asked for, and what to tell an operator whose kernel says no.
//!
//! The flags are one fixed set for a pinned loop, all in kernel 6.1: SINGLE_ISSUER and DEFER_TASKRUN (completions are
//! worked off only when the loop enters the kernel, never by interrupting it), COOP_TASKRUN, TASKRUN_FLAG (without it a
//! submit that does not wait cannot know that completions are pending), SUBMIT_ALL (one bad entry does not hold back
//! the rest), CQSIZE and CLAMP. What later kernels add is [`Optional`]: used where present, never needed.
//!
//! Not used: SQPOLL, which costs a processor, excludes DEFER_TASKRUN and slows loops that mostly reap; IOPOLL, which
//! excludes sockets.

use std::fmt;
use std::io;

use io_uring::{IoUring, Probe, opcode};

use crate::fatal::Reason;

/// Queue sizes of one ring; the kernel rounds up to powers of two and clamps to its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSetup {
    /// Operations queued between two submits.
    pub sq_entries: u32,
    /// Completions held before the kernel must allocate: at least twice the receive buffers, plus the writes.
    pub cq_entries: u32,
}

impl Default for RingSetup {
    fn default() -> Self {
        RingSetup { sq_entries: 256, cq_entries: 4096 }
    }
}

/// What a ring uses when it may and the kernel has it. Switched off, each falls back to the same behaviour at a higher
/// price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Optional {
    /// No indirection array between the loop and its submission entries (kernel 6.6).
    pub no_sqarray: bool,
    /// A waiting loop does not count as waiting for a disk (kernel 6.15).
    pub no_iowait: bool,
    /// Regions are registered, so that their pages are pinned once and not at every write.
    pub fixed_regions: bool,
    /// The ring's own descriptor is registered, which saves a look-up at every entry.
    pub ring_fd: bool,
}

impl Optional {
    /// Everything, where the kernel has it.
    pub const ALL: Optional = Optional { no_sqarray: true, no_iowait: true, fixed_regions: true, ring_fd: true };
    /// Nothing beyond kernel 6.1.
    pub const NONE: Optional = Optional { no_sqarray: false, no_iowait: false, fixed_regions: false, ring_fd: false };
}

/// Why there is no ring. `Display` says the cause and what to type.
#[derive(Debug)]
pub enum SetupError {
    /// `kernel.io_uring_disabled` forbids it; the value seen.
    Disabled(u32),
    /// This kernel lacks a needed operation or feature.
    MissingOpcode(&'static str),
    /// Any other refusal.
    Os(io::Error),
}

impl SetupError {
    /// The reason to exit with.
    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason::Kernel
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::Disabled(value) => write!(
                f,
                "io_uring is disabled on this host: kernel.io_uring_disabled is {value}; \
                 type `sysctl -w kernel.io_uring_disabled=0`"
            ),
            SetupError::MissingOpcode(name) => {
                write!(f, "this kernel's io_uring has no {name}; Linux 6.1 or newer is needed, `uname -r` shows what runs")
            }
            SetupError::Os(error) => {
                write!(f, "io_uring cannot be set up: {error}; {}", hint(error))
            }
        }
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SetupError::Os(error) => Some(error),
            SetupError::Disabled(_) | SetupError::MissingOpcode(_) => None,
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => "the kernel is built without it (CONFIG_IO_URING) or a seccomp profile hides it",
        Some(libc::EPERM | libc::EACCES) => {
            "a seccomp profile or security module forbids it; for a container allow io_uring_setup, io_uring_enter, io_uring_register"
        }
        Some(libc::ENOMEM) => "locked memory is short: raise it with `ulimit -l unlimited` or LimitMEMLOCK=infinity",
        Some(libc::EMFILE | libc::ENFILE) => "descriptors are used up: raise `ulimit -n` or LimitNOFILE",
        Some(libc::EINVAL) => "Linux 6.1 or newer is needed, `uname -r` shows what runs",
        _ => "`dmesg` may say more",
    }
}

/// Builds the ring and says which optional parts are in force. `fixed_regions` and `ring_fd` are decided later, when
/// there is something to register.
pub(crate) fn build(setup: &RingSetup, optional: Optional) -> Result<(IoUring, Optional), SetupError> {
    let mut granted = optional;
    let mut built = builder(setup, optional.no_sqarray).build(setup.sq_entries);
    if optional.no_sqarray && is_errno(&built, libc::EINVAL) {
        granted.no_sqarray = false;
        built = builder(setup, false).build(setup.sq_entries);
    }
    let ring = built.map_err(|error| explain(error, disabled_setting()))?;
    granted.no_iowait &= ring.params().is_feature_no_iowait();
    require_features(&ring)?;
    require_opcodes(&ring)?;
    Ok((ring, granted))
}

fn builder(setup: &RingSetup, no_sqarray: bool) -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(setup.cq_entries)
        .setup_clamp();
    if no_sqarray {
        builder.setup_no_sqarray();
    }
    builder
}

fn is_errno<T>(result: &io::Result<T>, errno: i32) -> bool {
    matches!(result, Err(error) if error.raw_os_error() == Some(errno))
}

/// The setting, or `None` where the kernel has no such switch (before 6.6).
fn disabled_setting() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?;
    text.trim().parse().ok()
}

/// The switch answers EPERM, and so does a seccomp profile: only the setting tells them apart.
pub(crate) fn explain(error: io::Error, disabled: Option<u32>) -> SetupError {
    match (error.raw_os_error(), disabled) {
        (Some(libc::EPERM), Some(value)) if value != 0 => SetupError::Disabled(value),
        _ => SetupError::Os(error),
    }
}

fn require_features(ring: &IoUring) -> Result<(), SetupError> {
    let params = ring.params();
    let needed = [
        ("IORING_FEAT_NODROP", params.is_feature_nodrop()),
        ("IORING_FEAT_EXT_ARG", params.is_feature_ext_arg()),
        ("IORING_FEAT_SUBMIT_STABLE", params.is_feature_submit_stable()),
    ];
    first_missing(&needed)
}

fn require_opcodes(ring: &IoUring) -> Result<(), SetupError> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(SetupError::Os)?;
    let needed = [
        ("IORING_OP_WRITE", probe.is_supported(opcode::Write::CODE)),
        ("IORING_OP_WRITE_FIXED", probe.is_supported(opcode::WriteFixed::CODE)),
        ("IORING_OP_FSYNC", probe.is_supported(opcode::Fsync::CODE)),
        ("IORING_OP_RECVMSG", probe.is_supported(opcode::RecvMsgMulti::CODE)),
        ("IORING_OP_ACCEPT", probe.is_supported(opcode::AcceptMulti::CODE)),
        ("IORING_OP_RECV", probe.is_supported(opcode::RecvMulti::CODE)),
        ("IORING_OP_SEND", probe.is_supported(opcode::Send::CODE)),
        ("IORING_OP_POLL_ADD", probe.is_supported(opcode::PollAdd::CODE)),
        ("IORING_OP_ASYNC_CANCEL", probe.is_supported(opcode::AsyncCancel::CODE)),
    ];
    first_missing(&needed)
}

pub(crate) fn first_missing(needed: &[(&'static str, bool)]) -> Result<(), SetupError> {
    match needed.iter().find(|(_, present)| !present) {
        Some((name, _)) => Err(SetupError::MissingOpcode(name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
