//! What a loop can ask of the kernel: each call queues one entry, or gives its token back.
//!
//! Every entry that names memory names memory that the ring owns until teardown; that is the whole argument for each
//! `unsafe` here.

use std::os::fd::AsRawFd;
use std::rc::Rc;

use io_uring::types::{Fd, Fixed, FsyncFlags};
use io_uring::{opcode, squeue};

use super::{FileSlot, RegionSlot, Ring};
use crate::buffers::ReceiveBuffers;
use crate::completion::Token;
use crate::wake::Wake;

/// Receives and watches that one ring may name over its life; more is a caller that invents tokens without end.
const ARMED_MAX: usize = 1024;

impl Ring {
    /// Queues a write of `bytes` bytes of a region, from `region_offset`, to `file_offset`. The completion's result is
    /// the bytes written; a short write is the caller's to judge. The kernel reads the region until then.
    ///
    /// # Errors
    /// The token, when the submission queue is full.
    ///
    /// # Panics
    /// When the range is not in the region, or a slot is not in its table.
    pub fn write(
        &mut self,
        token: Token,
        file: FileSlot,
        region: RegionSlot,
        region_offset: usize,
        bytes: u32,
        file_offset: u64,
    ) -> Result<(), Token> {
        self.assert_file(file);
        let slot = usize::from(region.0);
        assert!(slot < self.regions.len(), "region slot {slot}, {} are registered", self.regions.len());
        let source = &self.regions[slot];
        let end = region_offset.checked_add(bytes as usize).expect("a range within the address space");
        assert!(end <= source.bytes(), "write of a region's bytes to {end}, it has {}", source.bytes());
        // wrapping_add, not add: the address goes to the kernel and is not dereferenced here.
        let address = source.base().as_ptr().wrapping_add(region_offset).cast_const();
        let entry = if self.optional.fixed_regions {
            opcode::WriteFixed::new(Fixed(file.0), address, bytes, region.0).offset(file_offset).build()
        } else {
            opcode::Write::new(Fixed(file.0), address, bytes).offset(file_offset).build()
        };
        // SAFETY: push demands that the entry's memory stays valid until completion: it lies in a region (checked just
        // above) that `regions` keeps mapped until teardown has seen nothing in flight.
        unsafe { self.push(token, entry) }
    }

    /// Queues an fdatasync: it covers the writes that had *completed* when it is submitted.
    ///
    /// # Errors
    /// The token, when the submission queue is full.
    ///
    /// # Panics
    /// When the slot is not in the table.
    pub fn fdatasync(&mut self, token: Token, file: FileSlot) -> Result<(), Token> {
        self.assert_file(file);
        let entry = opcode::Fsync::new(Fixed(file.0)).flags(FsyncFlags::DATASYNC).build();
        // SAFETY: the operation names no memory.
        unsafe { self.push(token, entry) }
    }

    /// Arms a receive that goes on: each arrival takes one buffer of the group and makes one completion. It ends, with
    /// a completion that says no [`more`](crate::Completion::more), when no buffer is left (`ENOBUFS`; arm again once buffers
    /// are back), after an empty datagram, and on an error. Two receives of one ring with different groups need
    /// different tokens.
    ///
    /// # Errors
    /// The token, when the submission queue is full.
    ///
    /// # Panics
    /// When the buffers belong to another ring, or the token was used for a receive into another group.
    pub fn receive(&mut self, token: Token, socket: FileSlot, buffers: &mut ReceiveBuffers) -> Result<(), Token> {
        self.assert_file(socket);
        let group = buffers.group();
        let index = self.groups.iter().position(|known| Rc::ptr_eq(known, group));
        let index = index.expect("receive into buffers that another ring was given");
        let entry = opcode::RecvMsgMulti::new(Fixed(socket.0), group.message(), group.id()).build();
        match self.receives.iter().find(|(known, _)| *known == token) {
            Some((_, known)) => assert_eq!(*known, index, "{token:?} already receives into another group"),
            None => {
                assert!(self.receives.len() < ARMED_MAX, "{} receives, at most {ARMED_MAX}", self.receives.len());
                self.receives.push((token, index));
            }
        }
        // SAFETY: the message header and all buffers of the group are owned by `groups`, which keeps them until
        // teardown has seen nothing in flight. No reference to a buffer exists while the kernel has it: the group
        // lends out only what a completion handed over and takes it back before the kernel gets it again.
        unsafe { self.push(token, entry) }
    }

    /// Arms a watch of a [`Wake`] that goes on: one completion for each time that it is written. It ends, with no
    /// [`more`](crate::Completion::more), only on an error or an overflow; arm again then.
    ///
    /// # Errors
    /// The token, when the submission queue is full.
    pub fn watch(&mut self, token: Token, wake: &Wake) -> Result<(), Token> {
        if !self.watched.iter().any(|known| known.same(wake)) {
            assert!(self.watched.len() < ARMED_MAX, "{} watches, at most {ARMED_MAX}", self.watched.len());
            // Held so that the descriptor's number cannot become another file's before the entry is submitted.
            self.watched.push(wake.clone());
        }
        let events = u32::from(libc::POLLIN.unsigned_abs());
        let entry = opcode::PollAdd::new(Fd(wake.as_raw_fd()), events).multi(true).build();
        // SAFETY: the operation names no memory.
        unsafe { self.push(token, entry) }
    }

    /// Queues the end of one operation that is in flight under `target`. Both complete: `own` with 0 or `ENOENT` or
    /// `EALREADY`, the target with `ECANCELED` unless it was faster.
    ///
    /// # Errors
    /// The own token, when the submission queue is full.
    pub fn cancel(&mut self, own: Token, target: Token) -> Result<(), Token> {
        let entry = opcode::AsyncCancel::new(target.0).build();
        // SAFETY: the operation names no memory.
        unsafe { self.push(own, entry) }
    }

    /// # Safety
    /// All memory that the entry names must stay valid until its last completion.
    pub(super) unsafe fn push(&mut self, token: Token, entry: squeue::Entry) -> Result<(), Token> {
        // SAFETY: the caller's promise is the one that the queue demands.
        unsafe { self.queue.push(&entry.user_data(token.0)) }.map_err(|_| token)?;
        self.in_flight += 1;
        Ok(())
    }

    pub(super) fn assert_file(&self, slot: FileSlot) {
        assert!((slot.0 as usize) < self.files.len(), "file slot {}, the table has {}", slot.0, self.files.len());
    }
}
