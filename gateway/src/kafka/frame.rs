//! Frames on the wire: a big-endian length of four bytes, then so many bytes.
//!
//! ```text
//!   request   │ length i32 │ prefix, header, body │        length in 8 ..= request_bytes_max
//!   answer    │ length i32 │ part │ part │ part ...       written with vectored writes
//! ```
//!
//! The length is compared with the cap and the memory for it is taken from the budget before any of
//! it is reserved. A frame of up to [`SMALL_BYTES`] takes nothing from the budget: clients that keep
//! large frames half sent can fill the budget until their deadline, but every ordinary request
//! still gets through.

use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::answer::Reply;
use super::budget::{Budget, Hold};
use crate::limits::Limits;

/// Frames up to this length are free: with the default limits they add up to 16 MiB at most.
const SMALL_BYTES: usize = 16 << 10;

/// Length of the shortest request: key, version and correlation id.
const REQUEST_BYTES_MIN: usize = 8;

/// Parts handed to the kernel in one call.
const SLICES_MAX: usize = 64;

/// Why no frame came or no answer went.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The client has gone, between two frames.
    #[error("closed by the client")]
    Ended,
    /// Nothing was asked for too long.
    #[error("silent for {} s", .0.as_secs())]
    Idle(Duration),
    /// A frame or an answer made no progress for too long.
    #[error("no byte {direction} for {} s", .after.as_secs())]
    Stalled {
        /// `sent` or `read`, by the client.
        direction: &'static str,
        /// How long.
        after: Duration,
    },
    /// The length is no request's.
    #[error("frame of {length} bytes, where {REQUEST_BYTES_MIN} to {length_max} are allowed")]
    Length {
        /// What the client said.
        length: i32,
        /// What is allowed.
        length_max: usize,
    },
    /// The socket failed, or ended inside a frame.
    #[error("{0}")]
    Socket(#[from] io::Error),
}

/// A request with its share of the budget.
#[derive(Debug)]
pub struct Frame {
    /// The bytes after the length.
    pub bytes: Bytes,
    /// Given back when the request has been answered.
    _hold: Option<Hold>,
}

/// Reads the next frame.
///
/// # Errors
/// [`FrameError`]; the connection is of no more use then.
pub async fn read<R: AsyncRead + Unpin>(stream: &mut R, limits: &Limits, budget: &Rc<Budget>) -> Result<Frame, FrameError> {
    let length = read_length(stream, limits).await?;
    let length_bytes = usize::try_from(length)
        .ok()
        .filter(|bytes| (REQUEST_BYTES_MIN..=limits.request_bytes_max).contains(bytes))
        .ok_or(FrameError::Length { length, length_max: limits.request_bytes_max })?;
    let hold = if length_bytes > SMALL_BYTES { Some(budget.take_at_least(length_bytes, length_bytes).await) } else { None };
    let mut bytes = BytesMut::with_capacity(length_bytes);
    while bytes.len() < length_bytes {
        let left_bytes = length_bytes - bytes.len();
        let mut window = (&mut *stream).take(u64::try_from(left_bytes).unwrap_or(u64::MAX));
        progress("sent", limits, window.read_buf(&mut bytes)).await?;
    }
    Ok(Frame { bytes: bytes.freeze(), _hold: hold })
}

/// The four bytes before a frame. Before the first of them silence is allowed for long and the end is
/// an ordinary one; after it neither is.
async fn read_length<R: AsyncRead + Unpin>(stream: &mut R, limits: &Limits) -> Result<i32, FrameError> {
    let mut length = [0u8; 4];
    let mut filled = match timeout(limits.idle_max, stream.read(&mut length)).await {
        Err(_) => return Err(FrameError::Idle(limits.idle_max)),
        Ok(Ok(0)) => return Err(FrameError::Ended),
        Ok(count) => count?,
    };
    while filled < length.len() {
        filled += progress("sent", limits, stream.read(&mut length[filled..])).await?;
    }
    Ok(i32::from_be_bytes(length))
}

/// Writes an answer, part by part, copying none of them.
///
/// # Errors
/// [`FrameError`] when the client stops reading or is gone.
pub async fn write<W: AsyncWrite + Unpin>(stream: &mut W, limits: &Limits, mut reply: Reply) -> Result<(), FrameError> {
    let mut first = 0;
    while first < reply.parts.len() {
        if reply.parts[first].is_empty() {
            first += 1;
            continue;
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(&reply.parts[first..]) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        let written = stream.write_vectored(&slices[..count]);
        let written = progress("read", limits, written).await?;
        advance(&mut reply.parts, &mut first, written);
    }
    Ok(())
}

/// Drops what has been written. A part that is through is freed at once.
fn advance(parts: &mut [Bytes], first: &mut usize, mut written_bytes: usize) {
    while written_bytes > 0 {
        let part = &mut parts[*first];
        let taken = written_bytes.min(part.len());
        part.advance(taken);
        written_bytes -= taken;
        if part.is_empty() {
            *part = Bytes::new();
            *first += 1;
        }
    }
}

/// One read or write that must move at least one byte before the deadline.
async fn progress(direction: &'static str, limits: &Limits, moved: impl Future<Output = io::Result<usize>>) -> Result<usize, FrameError> {
    match timeout(limits.stall_max, moved).await {
        Err(_) => Err(FrameError::Stalled { direction, after: limits.stall_max }),
        Ok(Ok(0)) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Ok(count) => Ok(count?),
    }
}
