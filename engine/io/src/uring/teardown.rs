//! The end of a ring: nothing that the kernel may still touch is freed.
//!
//! Closing a ring does not stop its operations: the kernel ends them later, on a thread of its own, and a receive under
//! way may still be filling a buffer. So a ring first cancels all that is in flight and reaps until nothing is left,
//! and only then lets regions and buffers go. A disk write cannot be cancelled, only awaited; if a device holds one
//! for longer than the drain lasts, the memory is leaked, for good and on purpose: a leak is sound, a page given back
//! under a transfer is not.
//!
//! Entries queued and never submitted are not submitted here: they die with the queue.

use std::time::Duration;

use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring};

use super::Ring;
use crate::completion::Completion;

/// Rounds of waiting for operations to end, and the length of one.
const DRAIN_ROUNDS_MAX: u32 = 100;
const DRAIN_ROUND: Duration = Duration::from_millis(50);

impl Ring {
    /// Cancels and reaps until nothing submitted is left, or the rounds are over.
    fn drain(&mut self) -> bool {
        self.queue.sync();
        let unsubmitted = self.queue.len();
        let limit = Timespec::from(DRAIN_ROUND);
        // ENOENT (nothing to cancel), ETIME (not ended yet) and success all lead to the same next step: reap what
        // comes. The count of what is in flight decides, not this answer.
        let _ = self.submitter.register_sync_cancel(Some(limit), CancelBuilder::any());
        let mut out = [Completion::default(); 64];
        for _ in 0..DRAIN_ROUNDS_MAX {
            while self.reap(&mut out) > 0 {}
            if self.in_flight == unsubmitted {
                return true;
            }
            let args = SubmitArgs::new().timespec(&limit);
            if self.enter(0, 1, EnterFlags::GETEVENTS, &args).is_err() {
                return false;
            }
        }
        self.in_flight == unsubmitted
    }

    /// Lets go of what outlives the ring's descriptor unless asked back. Best effort: the kernel does the same itself
    /// when the ring closes, only later, and a port or lock would seem taken until then.
    fn unregister(&mut self) {
        if self.optional.ring_fd {
            // The thread's table would hold the ring open until the thread ends.
            let _ = self.submitter.unregister_ring_fd();
        }
        if !self.files.is_empty() {
            let _ = self.submitter.unregister_files();
        }
        for group in self.groups.iter() {
            let _ = self.submitter.unregister_buf_ring(group.id());
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if !self.drain() {
            // The ring stays open and everything that it may touch stays mapped.
            return;
        }
        self.unregister();
        // SAFETY: each of the three is dropped once, here, and not used again: they borrow from `kernel`, which is
        // freed after them. `kernel` came from Box::leak in `with_optional` and is taken back once. Regions, groups and
        // connections go last: nothing is in flight (drained above) and the ring is closed, so the kernel has no use for them.
        unsafe {
            std::mem::ManuallyDrop::drop(&mut self.submitter);
            std::mem::ManuallyDrop::drop(&mut self.queue);
            std::mem::ManuallyDrop::drop(&mut self.completions);
            drop(Box::<IoUring>::from_raw(self.kernel.as_ptr()));
            std::mem::ManuallyDrop::drop(&mut self.regions);
            std::mem::ManuallyDrop::drop(&mut self.groups);
            std::mem::ManuallyDrop::drop(&mut self.connections);
        }
    }
}
