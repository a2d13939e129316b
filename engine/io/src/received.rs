//! One receive taken apart: who sent it, its bytes, and what the kernel said beside them.
//!
//! ```text
//!   buffer: │ source length, control length, payload length, flags: 4 × u32 │ source 32 B │ control 80 B │ payload │
//! ```
//! With GRO one receive may hold a train: datagrams of one sender, all of `segment_bytes` but the last.
//! Everything here is bounds-checked arithmetic over bytes; a buffer that makes no sense is [`ReceiveError::Malformed`].

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Room for a source address: an IPv6 socket address takes 28 bytes.
pub(crate) const NAME_BYTES: usize = 32;
/// Room for control messages: a receive stamp takes 32 bytes, the size of a train's datagrams 24, the rest is spare.
pub(crate) const CONTROL_BYTES: usize = 80;
const COUNTS_BYTES: usize = 16;
/// Bytes before the payload.
pub(crate) const HEAD_BYTES: usize = COUNTS_BYTES + NAME_BYTES + CONTROL_BYTES;
const CONTROL_HEADER_BYTES: usize = 16;

const _: () = assert!(HEAD_BYTES == 128);
const _: () = assert!(NAME_BYTES >= size_of::<libc::sockaddr_in6>());
const _: () = assert!(CONTROL_HEADER_BYTES == size_of::<libc::cmsghdr>());

/// Where a datagram came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Source {
    /// IPv6, or IPv4 mapped into it (`::ffff:a.b.c.d`).
    pub address: [u8; 16],
    /// The port.
    pub port: u16,
}

impl Source {
    /// The same as the standard library writes it; mapped addresses become IPv4 again.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V6(Ipv6Addr::from(self.address)).to_canonical(), self.port)
    }
}

/// One receive.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Who sent it.
    pub source: Source,
    /// All its bytes: one datagram, or a train of them.
    pub payload: &'a [u8],
    /// Bytes of each datagram of a train but the last; `None` for a datagram alone.
    pub segment_bytes: Option<u16>,
    /// Bytes were cut off because the buffer was too small.
    pub truncated: bool,
    /// Wall time of arrival in the kernel, where the socket stamps.
    pub stamp_ns: Option<u64>,
}

impl<'a> Received<'a> {
    /// The datagrams in order; an empty payload is one empty datagram.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let segment = self.segment();
        let payload = self.payload;
        // chunks yields nothing for an empty slice, but an empty datagram is a datagram.
        let empty = payload.is_empty().then_some(payload);
        empty.into_iter().chain(payload.chunks(segment))
    }

    /// How many datagrams there are, at least one.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.payload.len().div_ceil(self.segment()).max(1)).expect("a buffer is below 2 MiB")
    }

    fn segment(&self) -> usize {
        self.segment_bytes.map_or(self.payload.len(), usize::from).max(1)
    }
}

/// Why a completion holds no datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveError {
    /// No buffer was left: the receive has ended; arm it again once buffers are back. Nothing is lost by this alone,
    /// packets wait in the socket.
    OutOfBuffers,
    /// The receive was cancelled.
    Cancelled,
    /// Another errno; the receive has ended.
    Os(i32),
    /// The buffer holds what no receive leaves there; `bytes` is what was written.
    Malformed {
        /// Bytes written to the buffer.
        bytes: usize,
    },
}

impl ReceiveError {
    pub(crate) fn without_buffer(result: i32) -> ReceiveError {
        match -result {
            libc::ENOBUFS => ReceiveError::OutOfBuffers,
            libc::ECANCELED => ReceiveError::Cancelled,
            errno if errno > 0 => ReceiveError::Os(errno),
            _ => ReceiveError::Malformed { bytes: 0 },
        }
    }
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReceiveError::OutOfBuffers => write!(f, "no receive buffer is left"),
            ReceiveError::Cancelled => write!(f, "the receive was cancelled"),
            ReceiveError::Os(errno) => write!(f, "receive failed: {}", std::io::Error::from_raw_os_error(*errno)),
            ReceiveError::Malformed { bytes } => {
                write!(f, "a receive left {bytes} bytes that make no sense")
            }
        }
    }
}

impl std::error::Error for ReceiveError {}

/// Takes a buffer's bytes apart; `buffer` is exactly what the kernel wrote.
pub(crate) fn parse(buffer: &[u8]) -> Result<Received<'_>, ReceiveError> {
    let malformed = ReceiveError::Malformed { bytes: buffer.len() };
    let (head, room) = buffer.split_at_checked(HEAD_BYTES).ok_or(malformed)?;
    let name_bytes = word(head, 0) as usize;
    let control_bytes = word(head, 4) as usize;
    let payload_bytes = word(head, 8) as usize;
    let flags = word(head, 12);
    let control_start = COUNTS_BYTES + NAME_BYTES;
    let name = head[COUNTS_BYTES..control_start].get(..name_bytes).ok_or(malformed)?;
    let control = head[control_start..].get(..control_bytes).ok_or(malformed)?;
    let source = source(name).ok_or(malformed)?;
    // The count is of what was received, which is more than what fitted when the datagram was cut.
    let payload = &room[..payload_bytes.min(room.len())];
    let notes = notes(control);
    Ok(Received {
        source,
        payload,
        segment_bytes: notes.segment_bytes,
        truncated: flags & libc::MSG_TRUNC.unsigned_abs() != 0 || payload_bytes > payload.len(),
        stamp_ns: notes.stamp_ns,
    })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(array(&bytes[at..]))
}

/// The first N bytes. The caller has checked that they are there.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("a slice whose length was checked")
}

fn source(name: &[u8]) -> Option<Source> {
    let family = u16::from_ne_bytes(*name.first_chunk()?);
    let port = u16::from_be_bytes(*name.get(2..)?.first_chunk()?);
    match i32::from(family) {
        libc::AF_INET => {
            let address: [u8; 4] = *name.get(4..)?.first_chunk()?;
            let mapped = std::net::Ipv4Addr::from(address).to_ipv6_mapped();
            Some(Source { address: mapped.octets(), port })
        }
        libc::AF_INET6 => Some(Source { address: *name.get(8..)?.first_chunk()?, port }),
        _ => None,
    }
}

#[derive(Default)]
struct Notes {
    segment_bytes: Option<u16>,
    stamp_ns: Option<u64>,
}

/// Walks the control messages: │ length u64 │ level i32 │ kind i32 │ data │, each padded to eight bytes.
fn notes(mut control: &[u8]) -> Notes {
    let mut notes = Notes::default();
    while control.len() >= CONTROL_HEADER_BYTES {
        let length = usize::try_from(u64::from_ne_bytes(array(control))).expect("64-bit lengths");
        if length < CONTROL_HEADER_BYTES || length > control.len() {
            break;
        }
        let level = i32::from_ne_bytes(array(&control[8..]));
        let kind = i32::from_ne_bytes(array(&control[12..]));
        notes.take(level, kind, &control[CONTROL_HEADER_BYTES..length]);
        control = control.get(length.next_multiple_of(8)..).unwrap_or_default();
    }
    notes
}

impl Notes {
    fn take(&mut self, level: i32, kind: i32, data: &[u8]) {
        match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let bytes = data.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
                self.segment_bytes = bytes.and_then(|bytes| u16::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => self.stamp_ns = stamp(data),
            _ => {}
        }
    }
}

fn stamp(data: &[u8]) -> Option<u64> {
    let seconds = u64::try_from(i64::from_ne_bytes(*data.first_chunk()?)).ok()?;
    let nanoseconds = u64::try_from(i64::from_ne_bytes(*data.get(8..)?.first_chunk()?)).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

#[cfg(test)]
mod tests;
