//! Taking a file out of the log for good, before it is written again.
//!
//! ```text
//! header page ─► sync ─► record area ─► sync ─► first block's head ─► sync
//! ```
//!
//! A roll writes header, checkpoint and blocks without a sync between them, so after a crash any of them may have
//! survived. If the file still had its old header, a survivor would stand in the middle of a segment that calls itself
//! whole: retired records would come back, with holes, and records that were cut could come back over those that took
//! their offsets. A blank file cannot be taken for anything but what is newly written there.
//!
//! If we die on the way, the first block still says what the file was, and it is judged once more as what it was: nothing
//! of it has been overwritten. The order makes sure that no records are left where the first block is gone.

use crate::disk::{Disk, DiskError, FileNumber};
use headworks_format::block::HEAD_BYTES;
use headworks_format::segment::{DATA_FROM, PAGE_BYTES};

/// Makes a file blank, durable when this returns. Its blocks behind the first stay as they are: nothing points to them.
///
/// # Errors
/// A write or an fdatasync failed: a storage fault.
pub fn blank<D: Disk>(disk: &mut D, file: FileNumber) -> Result<(), DiskError> {
    let parts = [(0, PAGE_BYTES), (PAGE_BYTES, DATA_FROM - PAGE_BYTES), (DATA_FROM, HEAD_BYTES)];
    let zeros = disk.buffer(DATA_FROM);
    for (position, bytes) in parts {
        disk.write(file, position as u64, &zeros.as_ref()[..bytes])?;
        disk.sync(file)?;
    }
    Ok(())
}
