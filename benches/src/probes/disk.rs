//! One block written and synced at a time, at the appliance's cadence: what the disk alone makes of durable latency.
//!
//! ```text
//!   due      │     │     │     │     │
//!   blocks    ▆─────▆───────────────▆▆▆──▆       ▆ write and sync; the third meets a stall
//!   pair     │▔│                               from when it began: one slow sample
//!   waited         │▔▔▔▔▔▔▔▔▔▔▔▔▔▔│            from when it was due, and so for those behind it
//! ```
//! Packets do not wait with arriving while the disk stalls, so the second is what they can see of it. The first leaves out
//! all but one of the blocks that a stall delays (Tene, "How NOT to measure latency": coordinated omission).

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use headworks_io::files::sync_data;
use headworks_io::{AlignedBuffer, Volume, write_at};

/// Blocks that the file holds: written once before, so that each write only overwrites.
const FILE_BLOCKS: u64 = 256;
/// Longest write with its sync that is told apart.
const TIME_NS_MAX: u64 = 60_000_000_000;

/// Times in ns.
pub struct Times {
    /// Of a write and its sync, from when it began.
    pub pair: Histogram<u64>,
    /// Of the same, from when the block was due.
    pub waited: Histogram<u64>,
}

/// Writes and syncs `count` blocks of `block_bytes`, one each `cadence` (at once when late).
///
/// # Errors
/// No space, or what the disk says.
///
/// # Panics
/// When `block_bytes` is no multiple of 4 KiB.
pub fn write_and_sync(folder: &Path, block_bytes: u64, cadence: Duration, count: u32) -> Result<Times, String> {
    assert!(block_bytes.is_multiple_of(4096), "blocks of {block_bytes} bytes, direct writes want multiples of 4096");
    let text = |error: std::io::Error| format!("the disk probe: {error}");
    let volume = Volume::lock(folder).map_err(|error| error.to_string())?;
    let file = volume.make_segment("synced", block_bytes * FILE_BLOCKS, &|| true).map_err(text)?;
    let bytes = usize::try_from(block_bytes).expect("a block is below 2 MiB");
    let block = AlignedBuffer::zeroed(bytes);
    let empty = Histogram::new_with_bounds(1, TIME_NS_MAX, 3).expect("bounds of a histogram");
    let mut times = Times { pair: empty.clone(), waited: empty };
    let started = Instant::now();
    for turn in 0..count {
        let due = started + cadence * turn;
        let rest = due.saturating_duration_since(Instant::now());
        thread::sleep(rest);
        let began = Instant::now();
        // How late this thread wakes is none of the disk's: a block that did not wait for one before it begins now.
        let waits_from = if rest.is_zero() { due } else { began };
        write_at(&file.fd, &block, u64::from(turn) % FILE_BLOCKS * block_bytes, bytes).map_err(text)?;
        sync_data(&file.fd).map_err(text)?;
        let since = |from: Instant| u64::try_from(from.elapsed().as_nanos()).unwrap_or(TIME_NS_MAX);
        times.pair.saturating_record(since(began));
        times.waited.saturating_record(since(waits_from));
    }
    drop(volume);
    std::fs::remove_file(folder.join("synced")).map_err(text)?;
    Ok(times)
}
