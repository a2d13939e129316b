//! One io_uring for one pinned loop: queue operations, submit, wait, reap. Nothing runs when a completion is reaped.
//!
//! ```text
//!   write, fdatasync, receive, accept, send, watch, cancel ──► submission queue ──submit/wait──► kernel
//!                                              reap ◄── completion queue ◄──────────────────────────┘
//! ```
//!
//! A ring belongs to the thread that made it (SINGLE_ISSUER): it is not `Send`, and the kernel would refuse every other
//! thread. Files and regions are named by slot. An operation that finds the submission queue full gives its token back;
//! the caller submits and tries again. Between `new` and drop the ring allocates only when something is registered or
//! armed for the first time.
//!
//! It refuses reads into caller memory, links and timeouts: the loop counts completions, and waits with a time limit.
//!
//! Memory: whatever the kernel may read or write is owned here (regions, receive buffers) until nothing is in flight;
//! see `teardown`.

use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headworks_ring::Region;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter};

use crate::buffers::Group;
use crate::completion::{Completion, Token};
use crate::setup::{self, Optional, RingSetup, SetupError};
use crate::wake::Wake;

mod connections;
mod operations;
mod register;
mod teardown;

pub use connections::{Accepted, ConnectionSlot, SEND_BYTES_MAX, Way};
pub use register::Registered;

/// Place of a file in a ring's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileSlot(pub u32);

/// Place of a region in a ring's table: its index in the list that was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegionSlot(pub u16);

/// One io_uring, its registered files and regions, and the buffers that it receives into.
///
/// ```compile_fail
/// fn must_be_send<T: Send>() {}
/// must_be_send::<headworks_io::Ring>();
/// ```
pub struct Ring {
    submitter: ManuallyDrop<Submitter<'static>>,
    queue: ManuallyDrop<SubmissionQueue<'static>>,
    completions: ManuallyDrop<CompletionQueue<'static>>,
    /// What the three above borrow: one heap place that never moves, freed after them in `teardown`.
    kernel: NonNull<IoUring>,
    files: Vec<Option<Arc<OwnedFd>>>,
    regions: ManuallyDrop<Vec<Arc<Region>>>,
    groups: ManuallyDrop<Vec<Rc<Group>>>,
    /// Which group each receive takes its buffers from, by token: a completion names only the buffer.
    receives: Vec<(Token, usize)>,
    watched: Vec<Wake>,
    connections: ManuallyDrop<connections::Connections>,
    in_flight: usize,
    deferred: u64,
    optional: Optional,
    _not_send: PhantomData<*const ()>,
}

impl Ring {
    /// A ring of this thread, with all that the kernel offers.
    ///
    /// # Errors
    /// io_uring is disabled, lacks an operation, or is refused otherwise.
    pub fn new(setup: &RingSetup) -> Result<Ring, SetupError> {
        Ring::with_optional(setup, Optional::ALL)
    }

    /// As [`new`](Ring::new), with optional features held back.
    ///
    /// # Errors
    /// As for [`new`](Ring::new).
    pub fn with_optional(setup: &RingSetup, optional: Optional) -> Result<Ring, SetupError> {
        let (ring, mut optional) = setup::build(setup, optional)?;
        let kernel = NonNull::from(Box::leak(Box::new(ring)));
        // SAFETY: `kernel` points to a leaked box, so it is valid, never moves and lives until teardown frees it. This
        // is its only reference: the borrowing parts take over and nothing goes through `kernel` until they are gone.
        let (mut submitter, queue, completions) = unsafe { (*kernel.as_ptr()).split() };
        // Costs a descriptor look-up at each entry where refused, and changes nothing else.
        optional.ring_fd &= submitter.register_ring_fd().is_ok();
        Ok(Ring {
            submitter: ManuallyDrop::new(submitter),
            queue: ManuallyDrop::new(queue),
            completions: ManuallyDrop::new(completions),
            kernel,
            files: Vec::new(),
            regions: ManuallyDrop::new(Vec::new()),
            groups: ManuallyDrop::new(Vec::new()),
            receives: Vec::with_capacity(64),
            watched: Vec::with_capacity(16),
            connections: ManuallyDrop::default(),
            in_flight: 0,
            deferred: 0,
            optional,
            _not_send: PhantomData,
        })
    }

    /// Hands queued operations to the kernel and works off what it holds back, so that completions become visible.
    /// Never waits; makes no system call when there is nothing to do.
    ///
    /// # Errors
    /// What the kernel says, except for a full completion queue or a shortage that passes: those leave the operations
    /// queued for the next submit, and count in [`deferred`](Ring::deferred).
    pub fn submit(&mut self) -> io::Result<()> {
        self.queue.sync();
        let pending = self.queue.taskrun() || self.queue.cq_overflow();
        if self.queue.is_empty() && !pending {
            return Ok(());
        }
        // Deferred completions are worked off only by an entry that carries GETEVENTS.
        let flags = if pending { EnterFlags::GETEVENTS } else { EnterFlags::empty() };
        self.enter(self.queued(), 0, flags, &SubmitArgs::new())
    }

    /// Submits, then waits until at least one completion can be reaped or the time is over; `None` waits for ever.
    /// Returns at once when one is already there. A signal ends the wait early.
    ///
    /// # Errors
    /// As for [`submit`](Ring::submit).
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.completions.sync();
        if !self.completions.is_empty() {
            return self.submit();
        }
        self.queue.sync();
        let mut flags = EnterFlags::GETEVENTS;
        if self.optional.no_iowait {
            flags |= EnterFlags::NO_IOWAIT;
        }
        let queued = self.queued();
        match timeout.map(Timespec::from) {
            Some(limit) => self.enter(queued, 1, flags, &SubmitArgs::new().timespec(&limit)),
            None => self.enter(queued, 1, flags, &SubmitArgs::new()),
        }
    }

    fn queued(&self) -> u32 {
        u32::try_from(self.queue.len()).expect("a submission queue is shorter than 2^32")
    }

    fn enter(&mut self, queued: u32, want: u32, flags: EnterFlags, args: &SubmitArgs<'_, '_>) -> io::Result<()> {
        let flags = flags | EnterFlags::EXT_ARG;
        // SAFETY: enter demands an argument that matches the flags: EXT_ARG goes with a SubmitArgs, whose time limit
        // the caller keeps alive. Entries up to `queued` were published by sync, each pushed under push's contract.
        let entered = unsafe { self.submitter.enter(queued, want, flags.bits(), Some(args)) };
        // The kernel has consumed entries: without this the queue would look full until the next submit.
        self.queue.sync();
        match entered.as_ref().map_err(io::Error::raw_os_error) {
            Ok(_) | Err(Some(libc::ETIME | libc::EINTR)) => Ok(()),
            Err(Some(libc::EBUSY | libc::EAGAIN)) => {
                self.deferred += 1;
                Ok(())
            }
            Err(_) => entered.map(drop),
        }
    }

    /// Copies completions out, as many as are there and fit, and returns how many. Runs nothing, allocates nothing,
    /// enters no kernel: what a submit or wait made visible is there.
    pub fn reap(&mut self, out: &mut [Completion]) -> usize {
        self.completions.sync();
        let mut count = 0;
        while count < out.len() {
            let Some(entry) = self.completions.next() else {
                break;
            };
            let completion = Completion { token: Token(entry.user_data()), result: entry.result(), flags: entry.flags() };
            self.settle(&completion);
            out[count] = completion;
            count += 1;
        }
        // Publishes how far was read, so that the kernel may fill those places again.
        self.completions.sync();
        count
    }

    fn settle(&mut self, completion: &Completion) {
        if !completion.more() {
            assert!(self.in_flight > 0, "a completion of {:?} with 0 in flight", completion.token);
            self.in_flight -= 1;
        }
        self.connections.settle(completion);
        if let Some(buffer) = completion.buffer_id() {
            self.groups[self.group_of(completion.token)].hand_over(buffer, completion.result);
        }
    }

    /// Which group the receive takes its buffers from.
    fn group_of(&self, token: Token) -> usize {
        if token.connection().is_some() {
            return self.connections.group();
        }
        let armed = self.receives.iter().find(|(known, _)| *known == token);
        armed.expect("only an armed receive is given a buffer").1
    }

    /// Operations queued or submitted whose last completion has not been reaped; an armed receive or watch is one.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Submits that the kernel put off for want of room or memory.
    #[must_use]
    pub fn deferred(&self) -> u64 {
        self.deferred
    }

    /// Which optional features are in force.
    #[must_use]
    pub fn optional(&self) -> Optional {
        self.optional
    }
}

#[cfg(test)]
mod tests;
