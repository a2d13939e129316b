//! Bytes of a segment written again in place, by the one thread that may: it also blanks what retention gives back, so a file
//! cannot become another segment between the look at its header and the write.

use crate::disk::LaneDisk;
use headworks_format::Nonce;
use headworks_format::segment::{HeaderPage, PAGE_BYTES};
use headworks_log::{Disk, DiskError, FileNumber, LaneView};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

/// How long the thread may take; it may have a segment to make first.
const MENDED_MAX: Duration = Duration::from_secs(30);

/// What is written where.
#[derive(Debug)]
pub struct Mend {
    /// Place of the lane in the loop.
    pub lane: usize,
    /// The file.
    pub file: FileNumber,
    /// The life of the file that the bytes belong to.
    pub nonce: Nonce,
    /// Where.
    pub position: u64,
    /// What.
    pub bytes: Vec<u8>,
}

type Order = (Mend, Sender<Result<(), String>>);

/// The asking end. One order at a time: whoever asks waits.
#[derive(Debug, Clone)]
pub struct Mender {
    orders: Sender<Order>,
    thread: Arc<OnceLock<Thread>>,
}

/// The end of the files thread.
#[derive(Debug)]
pub struct Mends {
    orders: Receiver<Order>,
    thread: Arc<OnceLock<Thread>>,
}

/// Both ends.
#[must_use]
pub fn mending() -> (Mender, Mends) {
    let (sender, receiver) = mpsc::channel();
    let thread = Arc::default();
    (Mender { orders: sender, thread: Arc::clone(&thread) }, Mends { orders: receiver, thread })
}

impl Mender {
    /// Writes and waits until it is durable and was read back.
    ///
    /// # Errors
    /// The file was given back, the disk failed, or the node stops.
    pub fn mend(&self, mend: Mend) -> Result<(), String> {
        let (done, mended) = mpsc::channel();
        let stops = |_| "the node stops".to_owned();
        self.orders.send((mend, done)).map_err(|error| stops(error.to_string()))?;
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
        mended.recv_timeout(MENDED_MAX).map_err(|error| stops(error.to_string()))?
    }
}

impl Mends {
    /// The calling thread carries the orders out from now on.
    pub(crate) fn begin(&self) {
        self.thread.get_or_init(thread::current);
    }

    /// Carries out what was ordered; `lanes` by their place in the loop.
    pub(crate) fn carry_out(&self, lanes: &mut [(LaneDisk, Arc<LaneView>)]) {
        while let Ok((mend, done)) = self.orders.try_recv() {
            let mended = match lanes.get_mut(mend.lane) {
                Some((disk, _)) => write(disk, &mend),
                None => Err(format!("there is no lane {}", mend.lane)),
            };
            // Who asked may have given up.
            drop(done.send(mended));
        }
    }
}

fn write(disk: &mut LaneDisk, mend: &Mend) -> Result<(), String> {
    let (file, bytes) = (mend.file, mend.bytes.len());
    let text = |error: DiskError| error.message;
    let mut page = disk.buffer(PAGE_BYTES);
    disk.read(file, 0, PAGE_BYTES, &mut page).map_err(text)?;
    let is_same = matches!(page.first_chunk().map(HeaderPage::parse), Some(HeaderPage::Present(id)) if id.nonce == mend.nonce);
    if !is_same {
        return Err(format!("{file} was given back meanwhile"));
    }
    disk.write(file, mend.position, &mend.bytes).map_err(text)?;
    disk.sync(file).map_err(text)?;
    // A sector may take a write and not keep it.
    let mut back = disk.buffer(bytes);
    let read = disk.read(file, mend.position, bytes, &mut back).map_err(text)?;
    let holds = read == bytes && back[..bytes] == mend.bytes;
    if holds { Ok(()) } else { Err(format!("{file} does not keep what is written at byte {}: replace the disk", mend.position)) }
}
