//! What a ring is told once, so that it need not be told at every operation: files, regions, buffer groups.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;

use headworks_ring::Region;

use super::{FileSlot, Ring};
use crate::buffers::Group;

/// An empty place in the kernel's file table.
const NO_FILE: RawFd = -1;

/// How a ring's writes reach its regions.
#[derive(Debug)]
pub enum Registered {
    /// The pages are pinned once, for all writes.
    Fixed,
    /// Plain writes, which pin pages each time; the reason, mostly a limit on locked memory. Held back by
    /// [`Optional`](crate::Optional), the reason is `Unsupported`.
    Plain(io::Error),
}

impl Ring {
    /// Makes the table of files, all empty. Once in a ring's life.
    ///
    /// # Errors
    /// What the kernel says; mostly a limit on descriptors.
    ///
    /// # Panics
    /// When there is a table already, or of no slots.
    pub fn register_files(&mut self, slots: u32) -> io::Result<()> {
        assert!(self.files.is_empty() && slots > 0, "{slots} file slots asked, {} there", self.files.len());
        self.submitter.register_files_sparse(slots)?;
        self.files.resize(slots as usize, None);
        Ok(())
    }

    /// Puts a file in a slot, in place of what was there; operations under way go on with the file they began with.
    /// The ring keeps the descriptor open.
    ///
    /// # Errors
    /// What the kernel says; the slot is then as it was.
    ///
    /// # Panics
    /// When the slot is not in the table.
    pub fn set_file(&mut self, slot: FileSlot, file: Arc<OwnedFd>) -> io::Result<()> {
        self.update_file(slot, file.as_raw_fd())?;
        self.files[slot.0 as usize] = Some(file);
        Ok(())
    }

    /// Empties a slot. The kernel keeps the file open until operations under way are done.
    ///
    /// # Errors
    /// What the kernel says; the slot is then as it was.
    ///
    /// # Panics
    /// When the slot is not in the table.
    pub fn clear_file(&mut self, slot: FileSlot) -> io::Result<()> {
        self.update_file(slot, NO_FILE)?;
        self.files[slot.0 as usize] = None;
        Ok(())
    }

    fn update_file(&mut self, slot: FileSlot, descriptor: RawFd) -> io::Result<()> {
        self.assert_file(slot);
        // Entries that are queued but not submitted name a slot, not a file: they must not find another file there.
        self.submit()?;
        let updated = self.submitter.register_files_update(slot.0, &[descriptor])?;
        assert_eq!(updated, 1, "one file slot was to be updated, the kernel says {updated}");
        Ok(())
    }

    /// Gives the ring the regions that it writes from; [`RegionSlot`](crate::RegionSlot) n is the n-th. Once in a
    /// ring's life. Where pinning is refused, writes work all the same, at a higher price.
    ///
    /// # Panics
    /// When regions were registered before, or there are none or more than 65,536.
    pub fn register_regions(&mut self, regions: &[Arc<Region>]) -> Registered {
        assert!(self.regions.is_empty(), "{} regions are registered already", self.regions.len());
        assert!(!regions.is_empty() && regions.len() <= 1 << 16, "{} regions, 1 to 65536 fit", regions.len());
        self.regions.extend_from_slice(regions);
        match self.pin_regions() {
            Ok(()) => Registered::Fixed,
            Err(error) => {
                self.optional.fixed_regions = false;
                Registered::Plain(error)
            }
        }
    }

    fn pin_regions(&self) -> io::Result<()> {
        if !self.optional.fixed_regions {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let vectors: Vec<libc::iovec> =
            self.regions.iter().map(|region| libc::iovec { iov_base: region.base().as_ptr().cast(), iov_len: region.bytes() }).collect();
        // SAFETY: each vector is a whole mapping, kept by `regions` until teardown has seen nothing in flight.
        unsafe { self.submitter.register_buffers(&vectors) }
    }

    /// Makes a buffer group known to the kernel and keeps its memory.
    pub(crate) fn adopt(&mut self, group: Rc<Group>) -> io::Result<()> {
        assert!(group.entries().is_power_of_two(), "{} buffers are not a power of two", group.entries());
        let table = group.table_address();
        // SAFETY: the table is page-aligned, as long as its entries and owned by the group, which is kept in `groups`
        // (or, on failure, was never known to the kernel) until teardown has seen nothing in flight.
        unsafe { self.submitter.register_buf_ring_with_flags(table, group.entries(), group.id(), 0) }?;
        self.groups.push(group);
        Ok(())
    }
}
