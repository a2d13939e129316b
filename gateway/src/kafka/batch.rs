//! As much of a record batch as serving it takes: where it ends, and which offset follows.
//!
//! ```text
//!   0            8         12       16      17    21      23                27          61
//!   │ base offset│ length  │ epoch  │ magic │ crc │ attrs │ last offset delta│ ...      │ records
//! ```
//!
//! The log has verified what it hands out; this looks again only because a batch that does not end
//! where its run of bytes ends would put every later offset of the answer out of step.

#[cfg(test)]
mod tests;

use bytes::Bytes;

/// Bytes before the records of a batch.
pub const HEADER_BYTES: usize = 61;
/// Bytes that the length field does not count: base offset and the field itself.
const UNCOUNTED_BYTES: usize = 12;
const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;
const LAST_OFFSET_DELTA_AT: usize = 23;
const MAGIC: u8 = 2;

/// The offset after the last record in `run`, one or more whole batches; `None` when `run` is
/// anything else, or does not go on from `offset` upwards.
#[must_use]
pub fn offset_after(run: &Bytes, offset: i64) -> Option<i64> {
    let mut left: &[u8] = run;
    let mut next = offset;
    while !left.is_empty() {
        let header = left.first_chunk::<HEADER_BYTES>()?;
        let batch_bytes = first_bytes(left)?;
        let delta = i64::from(int32(header, LAST_OFFSET_DELTA_AT));
        let after = int64(header).checked_add(delta)?.checked_add(1)?;
        if delta < 0 || after <= next {
            return None;
        }
        next = after;
        left = left.get(batch_bytes..)?;
    }
    Some(next)
}

/// Bytes of the batch at the start of `run`, which may be cut short; `None` when that is none.
#[must_use]
pub fn first_bytes(run: &[u8]) -> Option<usize> {
    let header = run.first_chunk::<HEADER_BYTES>()?;
    let length = usize::try_from(int32(header, LENGTH_AT)).ok()?;
    let batch_bytes = length.checked_add(UNCOUNTED_BYTES)?;
    (header[MAGIC_AT] == MAGIC && batch_bytes >= HEADER_BYTES).then_some(batch_bytes)
}

fn int32(header: &[u8; HEADER_BYTES], at: usize) -> i32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&header[at..at + 4]);
    i32::from_be_bytes(bytes)
}

fn int64(header: &[u8; HEADER_BYTES]) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&header[..8]);
    i64::from_be_bytes(bytes)
}
