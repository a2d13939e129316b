//! Reading back as the gateway does: find the batch, read it, take it only if it holds.

use crate::breach::{Breach, check};
use crate::disk::SimDisk;
use crate::model::Model;
use crate::node::World;
use crate::regime::Regime;
use headworks_format::Epoch;
use headworks_format::segment::PAGE_BYTES;
use headworks_format::sidecar::{Entry, Sidecar};
use headworks_log::history::{self, Place};
use headworks_log::view::LaneView;
use headworks_log::{Disk, FileNumber};

/// The bytes of a batch, if what lies there is the batch that the entry describes.
#[must_use]
pub fn read<D: Disk<Buffer = Vec<u8>>>(disk: &D, file: FileNumber, epoch: Epoch, entry: &Entry) -> Option<Vec<u8>> {
    let page = PAGE_BYTES as u64;
    let from = entry.position / page * page;
    let skip = usize::try_from(entry.position - from).expect("below a page");
    let wanted = skip + entry.length as usize;
    let mut buffer = disk.buffer(wanted.next_multiple_of(PAGE_BYTES));
    let bytes = buffer.len();
    let read = disk.read(file, from, bytes, &mut buffer).ok()?;
    let found = buffer.get(skip..wanted).filter(|_| read >= wanted)?;
    history::holds_in(entry, epoch, found).then(|| found.to_vec())
}

/// Reads somewhere in a partition of a running node.
///
/// # Errors
/// What is served is false, or what is whole is not served.
pub fn look(world: &mut World, view: &LaneView) -> Result<(), Breach> {
    let place = world.schedule.index(view.partitions.len());
    let (start, end) = (view.log_start(place), view.partitions[place].high_watermark());
    if start >= end {
        return Ok(());
    }
    let offset = world.schedule.within(start, end - 1);
    world.trace.add(7, &[start, end, offset]);
    let (disk, model, regime) = (&world.disk, &world.model, world.harm.regime);
    let partition = view.partitions[place].id;
    let found = serve(disk, view, place, offset, |file, epoch, entry| compare(disk, model, regime, (file, epoch), entry))?;
    world.counts.batches_read += found;
    check("a kept offset is found", found > 0 || regime != Regime::Quiet, || {
        format!("partition {partition}, offset {offset} of {start} to {end}")
    })
}

/// Finds batches as the gateway does, and gives each to `one`, which says whether it was served (1) or not (0); how many were.
///
/// # Errors
/// What `one` finds.
pub fn serve<D: Disk>(
    disk: &D,
    view: &LaneView,
    place: usize,
    offset: u64,
    mut one: impl FnMut(FileNumber, Epoch, &Entry) -> Result<u64, Breach>,
) -> Result<u64, Breach> {
    const BYTES_MAX: usize = 12 << 10;
    let (partition, end) = (view.partitions[place].id, view.partitions[place].high_watermark());
    let mut found = 0;
    match history::find(view, place, offset, BYTES_MAX, None) {
        Place::Beyond => {}
        Place::Fresh { file, epoch, batches, .. } => {
            for batch in batches {
                found += one(file, epoch, &batch.entry)?;
            }
        }
        Place::Sealed(segments) => {
            for segment in segments {
                let bytes = disk.read_sidecar(segment.file).ok().flatten();
                let sidecar = bytes.and_then(|bytes| Sidecar::parse(&bytes)).filter(|sidecar| sidecar.nonce == segment.nonce);
                let Some(sidecar) = sidecar else { continue };
                for entry in history::run_of(&sidecar.entries, partition, offset, end, BYTES_MAX) {
                    found += one(segment.file, segment.epoch, entry)?;
                }
                if found > 0 {
                    break;
                }
            }
        }
    }
    Ok(found)
}

/// One batch against the truth; 1 if it was served.
///
/// # Errors
/// It is false, or it is whole on the disk and not served.
pub fn compare(disk: &SimDisk, model: &Model, regime: Regime, (file, epoch): (FileNumber, Epoch), entry: &Entry) -> Result<u64, Breach> {
    let says = |what: &str| format!("partition {}, offset {}, {file} at {}: {what}", entry.partition, entry.base_offset, entry.position);
    // Reads are of whole pages, so a bad sector beside the batch is in the way too.
    let from = entry.position / PAGE_BYTES as u64 * PAGE_BYTES as u64;
    let end = (entry.position + u64::from(entry.length)).next_multiple_of(PAGE_BYTES as u64);
    let pages = usize::try_from(end - from).expect("a batch is small");
    let Some(bytes) = read(disk, file, epoch, entry) else {
        let harmed = !disk.is_intact(file, from, pages);
        check("only what is harmed is not served", harmed, || says("whole, and refused"))?;
        return Ok(0);
    };
    check("what is served was appended there", model.was_produced(entry.partition.0, entry.base_offset, &bytes), || {
        says("never appended there")
    })?;
    check("no fault shows in a quiet run", regime != Regime::Quiet || disk.is_intact(file, entry.position, entry.length as usize), || {
        says("harmed in a quiet run")
    })?;
    Ok(1)
}
