//! Buffers that the kernel takes by itself, one for each arrival: a provided-buffer ring over one mapping.
//!
//! ```text
//!   table (shared with the kernel): one 16-byte entry a buffer, at position tail & (entries - 1)
//!     entry 0: │ address u64 │ bytes u32 │ id u16 │ TAIL u16 │   the tail lies in entry 0 and is stored alone
//!     entry n: │ address u64 │ bytes u32 │ id u16 │ -        │
//!   storage: buffer 0 │ buffer 1 │ ...          each: head 128 B │ payload, rounded up to 64 B
//!     head: │ counts 16 │ source address 32 │ control messages 80 │
//! ```
//!
//! A buffer is in one of two hands. *The kernel's*: from recycling until a completion names it; nobody reads it here.
//! *Ours*: from the moment the ring reaps that completion until it is recycled. The ring records the hand-over, not the
//! caller, so no completion, old or made up, opens a buffer that the kernel may be filling.
//!
//! Buffers have one size. Sharing one among several arrivals (`IOU_PBUF_RING_INC`) fails with EFAULT in recvmsg on
//! kernels before the middle of 2026.

use std::cell::Cell;
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use headworks_ring::Region;
use io_uring::types::BufRingEntry;

use crate::aligned::AlignedBuffer;
use crate::completion::{BufferId, Completion};
use crate::received::{self, CONTROL_BYTES, HEAD_BYTES, NAME_BYTES, ReceiveError, Received};
use crate::uring::Ring;

/// Most buffers in one group; the kernel's limit.
pub const ENTRIES_MAX: u16 = 1 << 15;

/// Largest payload of one buffer: a whole GRO train and more.
pub const BUFFER_BYTES_MAX: u32 = 1 << 20;

/// Buffers start on cache lines, so that control messages are aligned and neighbours share no line.
const STRIDE_MULTIPLE: usize = 64;

/// A buffer in the kernel's hands; every other value is ours, with that many bytes in it.
const WITH_KERNEL: u32 = u32::MAX;

const _: () = assert!(size_of::<BufRingEntry>() == 16);
const _: () = assert!(HEAD_BYTES.is_multiple_of(STRIDE_MULTIPLE));

/// A group of receive buffers: the owner's half. The ring holds the memory too, and longer.
pub struct ReceiveBuffers {
    group: Rc<Group>,
    /// Entries written, counted without end; the shared tail is its low half once published.
    written: u16,
}

/// What the ring and the owner share.
pub(crate) struct Group {
    id: u16,
    entries: u16,
    stride: usize,
    table: AlignedBuffer,
    storage: Region,
    message: libc::msghdr,
    /// For each buffer, whose it is.
    holds: Box<[Cell<u32>]>,
    held: Cell<usize>,
}

impl ReceiveBuffers {
    /// Makes `entries` buffers (a power of two, at most 32,768) with room for `buffer_bytes` bytes of payload each, and
    /// gives all to the kernel as group `group` of this ring. 64 KiB hold any GRO train; without GRO 2 KiB are plenty.
    ///
    /// # Errors
    /// The memory cannot be mapped, or the kernel refuses the group (a number that is taken says `EEXIST`).
    ///
    /// # Panics
    /// When `entries` or `buffer_bytes` is out of range.
    pub fn new(ring: &mut Ring, group: u16, entries: u16, buffer_bytes: u32) -> io::Result<ReceiveBuffers> {
        assert!(entries.is_power_of_two() && entries <= ENTRIES_MAX, "{entries} buffers: a power of two up to {ENTRIES_MAX} is needed");
        assert!((1..=BUFFER_BYTES_MAX).contains(&buffer_bytes), "buffers of {buffer_bytes} bytes, 1 to {BUFFER_BYTES_MAX} are possible");
        let shared = Rc::new(Group::new(group, entries, buffer_bytes)?);
        ring.adopt(Rc::clone(&shared))?;
        let mut buffers = ReceiveBuffers { group: shared, written: 0 };
        for id in 0..entries {
            buffers.offer(BufferId(id));
        }
        buffers.publish();
        Ok(buffers)
    }

    /// Takes apart what a completion of a receive into this group brought.
    ///
    /// # Errors
    /// The receive failed or ended, or the buffer holds what no receive leaves there.
    ///
    /// # Panics
    /// When the completion's buffer was recycled already, or is not of this group.
    pub fn datagram(&self, completion: &Completion) -> Result<Received<'_>, ReceiveError> {
        let Some(id) = completion.buffer_id() else {
            return Err(ReceiveError::without_buffer(completion.result));
        };
        received::parse(self.group.bytes(id))
    }

    /// The bytes that a completion of a connection's receive brought; none without a buffer.
    ///
    /// # Panics
    /// As for [`datagram`](ReceiveBuffers::datagram).
    #[must_use]
    pub fn bytes(&self, completion: &Completion) -> Option<&[u8]> {
        completion.buffer_id().map(|id| self.group.bytes(id))
    }

    /// Takes a buffer back; the kernel has it after the next [`publish`](ReceiveBuffers::publish).
    ///
    /// # Panics
    /// When the buffer is not ours: recycled twice, or never handed over.
    pub fn recycle(&mut self, buffer: BufferId) {
        self.group.take_back(buffer);
        self.offer(buffer);
    }

    /// Gives the kernel every buffer recycled since the last call.
    pub fn publish(&mut self) {
        // Release: pairs with the kernel's acquire of the tail, so that it finds the entries written whole, and our
        // reads of the buffers' last bytes done.
        self.group.tail().store(self.written, Ordering::Release);
    }

    /// Buffers in our hands: handed over and not recycled.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.group.held.get()
    }

    /// Buffers of the group.
    #[must_use]
    pub fn entries(&self) -> u16 {
        self.group.entries
    }

    /// Payload bytes that one buffer can hold.
    #[must_use]
    pub fn payload_bytes_max(&self) -> usize {
        self.group.stride - HEAD_BYTES
    }

    pub(crate) fn group(&self) -> &Rc<Group> {
        &self.group
    }

    /// Writes the next entry. The kernel looks at it only once the tail has moved past it.
    fn offer(&mut self, buffer: BufferId) {
        let address = self.group.place(buffer).as_ptr().expose_provenance() as u64;
        let bytes = u32::try_from(self.group.stride).expect("a stride below 2 MiB");
        let entry = self.group.entry(self.written & (self.group.entries - 1));
        // SAFETY: `entry` points into the table, which is aligned and lives as long as the group. The kernel does not
        // read this entry before publish: it lies beyond the tail, and no more entries are ever written than there are
        // buffers, each of which is in one place only. The setters write address, bytes and id and leave the last two
        // bytes alone, which in entry 0 are the tail. No reference is made to memory that the kernel writes: it writes
        // nothing in the table.
        unsafe {
            (*entry).set_addr(address);
            (*entry).set_len(bytes);
            (*entry).set_bid(buffer.0);
        }
        self.written = self.written.wrapping_add(1);
    }
}

impl Group {
    fn new(id: u16, entries: u16, buffer_bytes: u32) -> io::Result<Group> {
        let stride = (HEAD_BYTES + buffer_bytes as usize).next_multiple_of(STRIDE_MULTIPLE);
        let count = usize::from(entries);
        // SAFETY: a msghdr is integers and pointers, for which zero bytes are values: null and empty.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        // With provided buffers only the two lengths count: they are the room set aside in each buffer.
        message.msg_namelen = u32::try_from(NAME_BYTES).expect("a constant below 2^32");
        message.msg_controllen = CONTROL_BYTES;
        Ok(Group {
            id,
            entries,
            stride,
            table: AlignedBuffer::zeroed(count * size_of::<BufRingEntry>()),
            storage: Region::map(count * stride)?,
            message,
            holds: vec![Cell::new(WITH_KERNEL); count].into_boxed_slice(),
            held: Cell::new(0),
        })
    }

    pub(crate) fn id(&self) -> u16 {
        self.id
    }

    pub(crate) fn entries(&self) -> u16 {
        self.entries
    }

    pub(crate) fn table_address(&self) -> u64 {
        self.table.base().as_ptr().expose_provenance() as u64
    }

    /// The header that the kernel reads when a receive is submitted; it stays where it is, behind an Rc.
    pub(crate) fn message(&self) -> *const libc::msghdr {
        &raw const self.message
    }

    /// A completion named this buffer: it is ours now, with `result` bytes in it.
    pub(crate) fn hand_over(&self, buffer: BufferId, result: i32) {
        let hold = &self.holds[usize::from(buffer.0)];
        assert_eq!(hold.get(), WITH_KERNEL, "{buffer:?} handed over twice");
        // A failed receive leaves nothing in the buffer, but the buffer is ours to recycle all the same.
        let bytes = u32::try_from(result).unwrap_or(0);
        assert!(bytes as usize <= self.stride, "{bytes} bytes in a buffer of {}", self.stride);
        hold.set(bytes);
        self.held.set(self.held.get() + 1);
    }

    fn take_back(&self, buffer: BufferId) {
        let hold = &self.holds[usize::from(buffer.0)];
        assert_ne!(hold.get(), WITH_KERNEL, "{buffer:?} is recycled but not ours");
        hold.set(WITH_KERNEL);
        self.held.set(self.held.get() - 1);
    }

    fn bytes(&self, buffer: BufferId) -> &[u8] {
        let bytes = self.holds[usize::from(buffer.0)].get();
        assert_ne!(bytes, WITH_KERNEL, "{buffer:?} is read but not ours");
        // SAFETY: the buffer lies in storage (its index is below the number of buffers), which was zeroed, lives as
        // long as self and is longer than `bytes` there (checked at hand-over). It is ours: the kernel gets it again
        // only by take_back and publish, which borrow the ReceiveBuffers exclusively, while the slice borrows them.
        unsafe { std::slice::from_raw_parts(self.place(buffer).as_ptr(), bytes as usize) }
    }

    fn place(&self, buffer: BufferId) -> NonNull<u8> {
        debug_assert!(buffer.0 < self.entries, "{buffer:?} of {}", self.entries);
        // SAFETY: every caller's buffer is below `entries` (an index into `holds`, or counted up to it), so the offset
        // stays within the mapping of entries * stride bytes.
        unsafe { self.storage.base().add(usize::from(buffer.0) * self.stride) }
    }

    fn entry(&self, position: u16) -> *mut BufRingEntry {
        debug_assert!(position < self.entries, "entry {position} of {}", self.entries);
        self.table.base().as_ptr().cast::<BufRingEntry>().wrapping_add(usize::from(position))
    }

    fn tail(&self) -> &AtomicU16 {
        let first = self.entry(0).cast_const();
        // SAFETY: `first` is entry 0 of a page-aligned, zeroed table. The tail there is two bytes aligned to two, live
        // as long as self, and touched by this side only through this atomic: entries are written field by field
        // around it. The kernel only reads it.
        unsafe { AtomicU16::from_ptr(BufRingEntry::tail(first).cast_mut()) }
    }
}

#[cfg(test)]
mod tests;
