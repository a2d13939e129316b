//! Counting every datagram that reaches a socket, before the kernel decides whether there is room for it.
//!
//! The kernel's own drop counter counts a GRO train as one, however many datagrams it held. A socket filter runs before
//! the receive buffer is checked and sees the train's segment count, so `arrived − received` is what was dropped,
//! exactly. The filter is written out here, instruction by instruction; it keeps every packet.
//!
//! ```text
//!   r6 = context
//!   r2 = r6->gso_segs               at offset 164 of the context; 0 for a packet alone
//!   if r2 != 0 skip 1
//!   r2 = 1
//!   r1 = address of the counter     two slots; the map's only value, also mapped into this process
//!   lock *r1 += r2                  several processors may deliver at once
//!   r0 = r6->len                    keep the whole packet; never 0, the UDP header is still in front
//!   exit
//! ```
//!
//! Where the host forbids BPF (no CAP_BPF, a lockdown), attaching says so and the books are marked inexact.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sockets::{self, UdpListener};

const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_PROG_TYPE_SOCKET_FILTER: u32 = 1;
/// The map's memory may be mapped by user space (kernel 5.5).
const BPF_F_MMAPABLE: u32 = 1 << 10;
/// The 64-bit load names a map by descriptor and means the address of its value.
const BPF_PSEUDO_MAP_VALUE: u8 = 2;

/// Offsets in `struct __sk_buff`, which is the kernel's interface to user space and does not change.
const CONTEXT_LEN: i16 = 0;
const CONTEXT_GSO_SEGS: i16 = 164;

const COUNTER_BYTES: u32 = 8;
const MAPPED_BYTES: usize = 4096;
const PROGRAM_LENGTH: usize = 9;

/// A counting filter on one socket, and the counter. The filter stays on the socket as long as the socket lives.
pub struct ArrivalFilter {
    counter: NonNull<AtomicU64>,
}

// SAFETY: the counter is an atomic in a shared mapping that this value owns; any thread may read it and unmap it.
unsafe impl Send for ArrivalFilter {}
// SAFETY: through a shared reference the counter is only loaded, atomically.
unsafe impl Sync for ArrivalFilter {}

impl ArrivalFilter {
    /// Puts a filter on the listener, in place of any other. Datagrams that arrived before are not in its count: attach
    /// before the port is told to anyone.
    ///
    /// # Errors
    /// `PermissionDenied` where the host forbids BPF; what else the kernel says.
    pub fn attach(listener: &UdpListener) -> io::Result<ArrivalFilter> {
        let map = create_map()?;
        let filter = ArrivalFilter { counter: map_counter(&map)? };
        let program = load_program(&map)?;
        // The socket keeps the program and the program keeps the map, so both descriptors may close here.
        sockets::set_option(&listener.fd, libc::SOL_SOCKET, libc::SO_ATTACH_BPF, program.as_raw_fd())?;
        Ok(filter)
    }

    /// Datagrams that have reached the socket since the filter was attached. Read it after what was received, or a
    /// datagram may seem to have been received and never arrived.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        // SAFETY: the mapping is page-aligned, at least as long as the counter, and lives until drop. It is read-only
        // memory, for which a relaxed load of one word is allowed; the kernel adds to it with a locked instruction.
        let counter = unsafe { self.counter.as_ref() };
        // Relaxed suffices: a reap acquires the completion queue's tail, so this load stays behind it, and the kernel
        // counted each of those datagrams before it queued them.
        counter.load(Ordering::Relaxed)
    }
}

impl Drop for ArrivalFilter {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by map_counter with this length and is unmapped only here; `arrived` borrows
        // self, so nobody reads it any more. The kernel counts in its own memory, which the program keeps.
        let result = unsafe { libc::munmap(self.counter.as_ptr().cast(), MAPPED_BYTES) };
        debug_assert_eq!(result, 0, "munmap of a mapping of our own answered {result}");
    }
}

impl fmt::Debug for ArrivalFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrivalFilter").field("arrived", &self.arrived()).finish()
    }
}

/// `union bpf_attr` as map creation reads it; the kernel takes what is beyond as zero.
#[repr(C)]
struct MapAttributes {
    map_type: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
}

/// `union bpf_attr` as program loading reads it.
#[repr(C)]
struct ProgramAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

const _: () = assert!(size_of::<MapAttributes>() == 20);
const _: () = assert!(size_of::<ProgramAttributes>() == 48);

fn create_map() -> io::Result<OwnedFd> {
    let attributes =
        MapAttributes { map_type: BPF_MAP_TYPE_ARRAY, key_bytes: 4, value_bytes: COUNTER_BYTES, entries: 1, flags: BPF_F_MMAPABLE };
    // SAFETY: map creation reads only the attributes, which name no other memory.
    unsafe { bpf(BPF_MAP_CREATE, &attributes) }
}

fn load_program(map: &OwnedFd) -> io::Result<OwnedFd> {
    let program = program(map.as_raw_fd());
    let attributes = ProgramAttributes {
        program_type: BPF_PROG_TYPE_SOCKET_FILTER,
        instruction_count: u32::try_from(program.len()).expect("nine"),
        // Exposed, because the kernel reads both by their numbers.
        instructions: program.as_ptr().expose_provenance() as u64,
        license: c"Apache-2.0".as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_bytes: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the instructions (as many as counted) and the NUL-terminated licence live until the call returns, which is
    // all that program loading reads.
    unsafe { bpf(BPF_PROG_LOAD, &attributes) }
}

/// # Safety
/// The attributes must be what the command reads, and the memory that they name must be valid during the call.
unsafe fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are readable for the size passed; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let descriptor = i32::try_from(result).expect("a descriptor is an int");
    // SAFETY: both commands answer with a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn map_counter(map: &OwnedFd) -> io::Result<NonNull<AtomicU64>> {
    // SAFETY: a new shared mapping at an address of the kernel's choice touches no memory that is in use.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), MAPPED_BYTES, libc::PROT_READ, libc::MAP_SHARED, map.as_raw_fd(), 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(NonNull::new(address.cast()).expect("mmap does not map at 0"))
}

/// One instruction, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction {
    code: u8,
    /// Target in the low half, source in the high one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const _: () = assert!(size_of::<Instruction>() == 8);

const fn instruction(code: u8, target: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: source << 4 | target, offset, immediate }
}

fn program(map: i32) -> [Instruction; PROGRAM_LENGTH] {
    const MOVE_REGISTER: u8 = 0xbf;
    const MOVE_CONSTANT: u8 = 0xb7;
    const LOAD_WORD: u8 = 0x61;
    const LOAD_64_CONSTANT: u8 = 0x18;
    const SKIP_IF_NOT_EQUAL: u8 = 0x55;
    const ATOMIC_64: u8 = 0xdb;
    const ATOMIC_ADD: i32 = 0;
    const EXIT: u8 = 0x95;
    [
        instruction(MOVE_REGISTER, 6, 1, 0, 0),
        instruction(LOAD_WORD, 2, 6, CONTEXT_GSO_SEGS, 0),
        instruction(SKIP_IF_NOT_EQUAL, 2, 0, 1, 0),
        instruction(MOVE_CONSTANT, 2, 0, 0, 1),
        instruction(LOAD_64_CONSTANT, 1, BPF_PSEUDO_MAP_VALUE, 0, map),
        instruction(0, 0, 0, 0, 0),
        instruction(ATOMIC_64, 1, 2, 0, ATOMIC_ADD),
        instruction(LOAD_WORD, 0, 6, CONTEXT_LEN, 0),
        instruction(EXIT, 0, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests;
