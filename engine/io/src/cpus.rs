//! Which processors this process may use, and pinning a loop to one.
//!
//! A processor set aside with `isolcpus` is not in a new process's affinity mask, and crates that list "all cores" from
//! that mask never name it. So the number is taken as given, and the pinning itself is what tells whether it is allowed.

use std::fmt;
use std::io;

use core_affinity::CoreId;

/// Processors that a mask of the C library's fixed size can name.
const CPUS_MAX: usize = libc::CPU_SETSIZE as usize;

/// A processor that could not be pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinError {
    /// The processor that was asked for.
    pub cpu: usize,
    /// The processors that this thread may run on.
    pub allowed: Vec<usize>,
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot run on processor {}; this process may use {:?}: it does not exist, is offline, or a cpuset \
             forbids it (`taskset -cp $$` and `cat /sys/devices/system/cpu/online` show which)",
            self.cpu, self.allowed
        )
    }
}

impl std::error::Error for PinError {}

/// The processors that the calling thread may run on, ascending.
#[must_use]
pub fn allowed() -> Vec<usize> {
    // SAFETY: a cpu_set_t is an array of integers, for which zero bytes are a value: the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes at most the size passed, which is the size of `set`; 0 means the calling thread.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    // EINVAL is the only possible failure: a kernel built for more processors than the mask can name.
    assert_eq!(result, 0, "the kernel's affinity mask is wider than {CPUS_MAX} processors");
    // SAFETY: CPU_ISSET demands an index below CPU_SETSIZE, which the range keeps.
    (0..CPUS_MAX).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// The processors that were set aside at boot (`isolcpus=`), ascending.
///
/// # Errors
/// The file cannot be read, or holds what is not a list of processors.
pub fn isolated() -> io::Result<Vec<usize>> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/isolated")?;
    parse_list(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("not a processor list: {:?}", text.trim())))
}

/// Binds the calling thread to one processor.
///
/// # Errors
/// The processor does not exist or is not allowed; the thread then stays as it was.
pub fn pin(cpu: usize) -> Result<(), PinError> {
    // The range is checked here because a mask of fixed size has no place for a larger number.
    if cpu < CPUS_MAX && core_affinity::set_for_current(CoreId { id: cpu }) {
        return Ok(());
    }
    Err(PinError { cpu, allowed: allowed() })
}

/// `0-3,8,10-11` as the kernel prints it; an empty line is no processor.
fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= CPUS_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_parse_as_the_kernel_prints_them() {
        assert_eq!(parse_list("\n"), Some(vec![]));
        assert_eq!(parse_list("0-2,5,7-8\n"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(parse_list("3-1"), None);
        assert_eq!(parse_list("0-99999999999"), None);
        assert_eq!(parse_list("a"), None);
    }

    #[test]
    fn pinning_leaves_exactly_one_allowed_processor() {
        std::thread::spawn(|| {
            let first = allowed()[0];
            pin(first).unwrap();
            assert_eq!(allowed(), [first]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_processor_that_does_not_exist_is_refused_with_the_allowed_ones() {
        let before = allowed();
        for cpu in [1000, CPUS_MAX, usize::MAX] {
            let error = pin(cpu).unwrap_err();
            assert_eq!((error.cpu, error.allowed.as_slice()), (cpu, before.as_slice()));
        }
        assert_eq!(allowed(), before);
    }

    #[test]
    fn isolated_is_a_list_on_this_host() {
        isolated().unwrap();
    }
}
