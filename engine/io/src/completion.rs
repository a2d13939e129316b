//! What the kernel says about one operation, copied out of its queue.
//!
//! A completion is plain data: nothing runs when it is read. Buffers that the kernel filled are not reached through
//! it but through [`ReceiveBuffers`](crate::ReceiveBuffers), which knows by itself what the ring has handed over, so an
//! old or invented completion can name a buffer but never read one that the kernel owns.

use std::io;

/// The caller's name for an operation; it comes back with each of its completions. All 64 bits are the caller's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// One receive buffer within its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u16);

/// One completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The operation it belongs to.
    pub token: Token,
    /// Bytes or another count when not negative, else a negated errno.
    pub result: i32,
    /// The kernel's flag bits (`IORING_CQE_F_*`).
    pub flags: u32,
}

impl Completion {
    /// The receive buffer that this completion handed over, which must be recycled once.
    #[must_use]
    pub fn buffer_id(&self) -> Option<BufferId> {
        io_uring::cqueue::buffer_select(self.flags).map(BufferId)
    }

    /// Whether the operation goes on: a multishot operation whose completion says `false` has ended and must be
    /// armed again to hear more.
    #[must_use]
    pub fn more(&self) -> bool {
        io_uring::cqueue::more(self.flags)
    }

    /// The count that the operation reports.
    ///
    /// # Errors
    /// The operation's own error, when it failed.
    pub fn count(&self) -> io::Result<u32> {
        u32::try_from(self.result).map_err(|_| io::Error::from_raw_os_error(-self.result))
    }

    /// Whether a receive ended for want of a buffer: nothing is lost, arm it again once buffers are back.
    #[must_use]
    pub fn is_out_of_buffers(&self) -> bool {
        self.result == -libc::ENOBUFS
    }

    /// The errno of a failed operation.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        (self.result < 0).then_some(-self.result)
    }
}
