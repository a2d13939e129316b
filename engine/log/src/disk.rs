//! What the log needs of a lane's directory outside the loop: recovery, sidecars, history, offline checks.
//!
//! Implemented by the real volume and by the simulated disk. Every call is synchronous: none of this runs on a pinned loop.

/// The number in a segment file's name; files keep their names, the header says what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileNumber(pub u32);

impl core::fmt::Display for FileNumber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:06}.seg", self.0)
    }
}

/// Why a call on the directory failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskError {
    /// What was tried, on which file, and what the system said.
    pub message: String,
    /// The volume is full: not a fault, space may come back.
    pub full: bool,
}

impl core::fmt::Display for DiskError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for DiskError {}

/// A lane's directory.
pub trait Disk {
    /// A buffer that a read may go to (aligned where the volume asks for it).
    type Buffer: AsRef<[u8]> + AsMut<[u8]>;

    /// A zeroed buffer of `bytes`, a multiple of 4 KiB.
    fn buffer(&self, bytes: usize) -> Self::Buffer;

    /// The segment files, in the order of their numbers, with their sizes in bytes.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn files(&self) -> Result<Vec<(FileNumber, u64)>, DiskError>;

    /// Fills the first `bytes` of `into` from `position`; both multiples of 4 KiB. Returns fewer only at the end of the file.
    ///
    /// # Errors
    /// The bytes cannot be read (a bad sector, a lost disk): the caller treats them as unreadable, never as absent.
    fn read(&self, file: FileNumber, position: u64, bytes: usize, into: &mut Self::Buffer) -> Result<usize, DiskError>;

    /// A segment's sidecar as it lies; none if there is no such file.
    ///
    /// # Errors
    /// The file exists but cannot be read.
    fn read_sidecar(&self, file: FileNumber) -> Result<Option<Vec<u8>>, DiskError>;

    /// Replaces a segment's sidecar: durable when this returns. A crash may leave one that does not parse, never one that
    /// parses and is false.
    ///
    /// # Errors
    /// The sidecar could not be made durable.
    fn write_sidecar(&mut self, file: FileNumber, bytes: &[u8]) -> Result<(), DiskError>;

    /// Writes `bytes` at `position`, both multiples of 4 KiB; not durable before [`Disk::sync`]. Recovery writes only to
    /// header pages that it heals and to files that left the log.
    ///
    /// # Errors
    /// The write failed or was short, which is never tried again.
    fn write(&mut self, file: FileNumber, position: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Makes every write to the file durable.
    ///
    /// # Errors
    /// The fdatasync failed, which is never tried again.
    fn sync(&mut self, file: FileNumber) -> Result<(), DiskError>;

    /// Keeps bytes that are about to leave the log, durable when this returns.
    ///
    /// # Errors
    /// The bytes could not be kept; the caller must not cut them.
    fn quarantine(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError>;
}
