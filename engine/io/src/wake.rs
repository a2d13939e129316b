//! Putting a loop to sleep and waking it from another thread, at the price of a system call only when it really sleeps.
//!
//! ```text
//!            park                     wake                      a wake while the sleeper is busy leaves Notified:
//!   Busy ───────────► Parked ───────────────► Notified          its next park says "look again" and does not sleep
//!    ▲                  │ unpark                │ unpark, park
//!    └──────────────────┴───────────────────────┘
//! ```
//!
//! The loss to fear: the waker publishes work and finds nobody asleep, while the sleeper finds no work and goes to
//! sleep. The waker does *publish; fence; read state*, the sleeper *write state; fence; look for work*, so at least one
//! of the two sees the other (store-load, both fences SeqCst). Here the state also remembers: once a wake finds the
//! sleeper busy, `Notified` stays until the sleeper has cleared it, and the look that follows the clearing sees the work.
//!
//! One sleeper, any number of wakers. The descriptor is readable after a wake, so an epoll or tokio loop can be the
//! sleeper too; such a loop calls [`drain`](Wake::drain). A ring's watch hears each write and needs no drain.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

const BUSY: u32 = 0;
const PARKED: u32 = 1;
const NOTIFIED: u32 = 2;

/// A wake-up of one sleeper, shared by cloning.
#[derive(Clone, Debug)]
pub struct Wake {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU32,
    event: File,
}

impl Wake {
    /// A wake whose sleeper is busy.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub fn new() -> io::Result<Wake> {
        // SAFETY: eventfd demands nothing of its caller.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is fresh, open, and owned by nobody else.
        let event = unsafe { File::from_raw_fd(descriptor) };
        Ok(Wake { shared: Arc::new(Shared { state: AtomicU32::new(BUSY), event }) })
    }

    /// Wakes the sleeper. Call it after the work has been published. Any thread.
    ///
    /// # Panics
    /// When the descriptor cannot be written, which no kernel does.
    pub fn wake(&self) {
        let state = &self.shared.state;
        // Pairs with the fences in park and unpark: either this load sees the state they wrote, or the look for work
        // that follows them sees what was published before this call.
        fence(Ordering::SeqCst);
        if state.load(Ordering::Relaxed) == NOTIFIED {
            return;
        }
        // Of several wakers one finds Parked and writes. AcqRel: what this thread published happens before the
        // sleeper's clearing swap reads Notified.
        if state.swap(NOTIFIED, Ordering::AcqRel) == PARKED {
            self.notify();
        }
    }

    fn notify(&self) {
        match (&self.shared.event).write(&1u64.to_ne_bytes()) {
            Ok(_) => {}
            // The counter is at its limit: the descriptor is readable already.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("an eventfd refuses a write of 8 bytes: {error}"),
        }
    }

    /// Announces sleep. `true`: work may have come, look again and do not sleep. `false`: sleep until the descriptor
    /// tells or a time is over, then [`unpark`](Wake::unpark). To be called after a look for work that found none.
    #[must_use]
    pub fn park(&self) -> bool {
        let state = &self.shared.state;
        if state.compare_exchange(BUSY, PARKED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return false;
        }
        self.unpark();
        true
    }

    /// The sleeper is busy again; to be called before it looks for work. Harmless when it did not sleep.
    pub fn unpark(&self) {
        self.shared.state.swap(BUSY, Ordering::AcqRel);
        // Pairs with the fence in wake: a wake that read the state before this swap published its work before the
        // look that follows.
        fence(Ordering::SeqCst);
    }

    /// Takes the descriptor's readiness away; `true` when there was some.
    ///
    /// # Panics
    /// When the descriptor cannot be read, which no kernel does.
    pub fn drain(&self) -> bool {
        let mut count = [0; 8];
        match (&self.shared.event).read(&mut count) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => panic!("an eventfd refuses a read of 8 bytes: {error}"),
        }
    }

    pub(crate) fn same(&self, other: &Wake) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.event.as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
