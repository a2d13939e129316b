//! A lane's directory in memory: read by the product's own check, and flipped at will; and where its blocks are, read by FORMAT.md alone.

use headworks_format::LaneId;
use headworks_io::Volume;
use headworks_lane::{LaneDisk, lane_folder};
use headworks_log::{Disk, DiskError, FileNumber};
use std::collections::BTreeMap;
use std::path::Path;

/// Where blocks begin in a segment.
const DATA_FROM: usize = 68 << 10;
const BLOCK_MAGIC: &[u8] = b"HWBLOCK1";
const SEGMENT_MAGIC: &[u8] = b"HWSEGMT1";

/// Segments and sidecars of one lane.
#[derive(Debug, Clone, Default)]
pub struct Image {
    segments: BTreeMap<FileNumber, Vec<u8>>,
    sidecars: BTreeMap<FileNumber, Vec<u8>>,
}

/// One block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its file.
    pub file: FileNumber,
    /// Its first byte there.
    pub position: usize,
    /// Its size.
    pub bytes: usize,
    /// First offset and count of each of its batches; none in a checkpoint.
    pub offsets: Vec<(u64, u64)>,
}

impl Image {
    /// Reads lane 0 of a data directory.
    pub fn of(data: &Path) -> Image {
        let folder = Volume::peek(data).and_then(|volume| volume.folder(&lane_folder(LaneId(0))));
        let folder = folder.expect("a data directory has a lane 0");
        let path = folder.path().to_owned();
        let disk = LaneDisk::new(folder, None);
        let mut image = Image::default();
        for (file, _) in disk.files().expect("a lane lists") {
            image.segments.insert(file, std::fs::read(path.join(file.to_string())).expect("a segment reads"));
            if let Some(bytes) = disk.read_sidecar(file).expect("a sidecar reads") {
                image.sidecars.insert(file, bytes);
            }
        }
        image
    }

    /// Bytes of a segment file.
    pub fn segment_bytes(&self) -> u64 {
        self.segments.values().next().expect("a lane has segments").len() as u64
    }

    /// All blocks of the log, in the order of their files and places.
    pub fn blocks(&self) -> Vec<Block> {
        self.segments.iter().flat_map(|(file, bytes)| blocks_of(*file, bytes)).collect()
    }

    /// Changes one byte.
    pub fn flip(&mut self, file: FileNumber, position: usize, mask: u8) {
        let byte = &mut self.segments.get_mut(&file).expect("a file of the image")[position];
        *byte ^= mask;
    }
}

/// Blocks lie one behind the other and carry the segment's nonce; the first place that has none is the end.
fn blocks_of(file: FileNumber, bytes: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !bytes.starts_with(SEGMENT_MAGIC) {
        return blocks;
    }
    // The same place in the header page and in a block: byte 40.
    let nonce = &bytes[40..48];
    let mut position = DATA_FROM;
    while let Some(head) = bytes.get(position..position + 4096) {
        if !head.starts_with(BLOCK_MAGIC) || head[40..48] != *nonce {
            break;
        }
        let u32_at = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let batches = (0..u32_at(64) as usize).map(|place| 256 + 32 * place);
        let offsets = batches.map(|at| (u64_at(at + 16), u64::from(u32_at(at + 12)))).filter(|(_, count)| *count > 0).collect();
        let size = u32_at(56) as usize;
        blocks.push(Block { file, position, bytes: size, offsets });
        position += size;
    }
    blocks
}

fn unwritable() -> DiskError {
    DiskError { message: "an image is for looking at".to_owned(), full: false }
}

impl Disk for Image {
    type Buffer = Vec<u8>;

    fn buffer(&self, bytes: usize) -> Vec<u8> {
        vec![0; bytes]
    }

    fn files(&self) -> Result<Vec<(FileNumber, u64)>, DiskError> {
        Ok(self.segments.iter().map(|(file, bytes)| (*file, bytes.len() as u64)).collect())
    }

    fn read(&self, file: FileNumber, position: u64, bytes: usize, into: &mut Vec<u8>) -> Result<usize, DiskError> {
        let from = usize::try_from(position).expect("images are small");
        let held = self.segments[&file].get(from..).unwrap_or_default();
        let count = bytes.min(held.len());
        into[..count].copy_from_slice(&held[..count]);
        Ok(count)
    }

    fn read_sidecar(&self, file: FileNumber) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.sidecars.get(&file).cloned())
    }

    fn write_sidecar(&mut self, _: FileNumber, _: &[u8]) -> Result<(), DiskError> {
        Err(unwritable())
    }

    fn write(&mut self, _: FileNumber, _: u64, _: &[u8]) -> Result<(), DiskError> {
        Err(unwritable())
    }

    fn sync(&mut self, _: FileNumber) -> Result<(), DiskError> {
        Err(unwritable())
    }

    fn quarantine(&mut self, _: &str, _: &[u8]) -> Result<(), DiskError> {
        Err(unwritable())
    }
}
