//! Copying files as a standby that catches up has them copied, with nothing in between: read, sent over TCP, written.
//!
//! ```text
//!   file ─► O_DIRECT read, 1 MiB ─► loopback TCP ─► O_DIRECT write, 1 MiB ─► fdatasync at the end
//! ```
//!
//! One thread on each side. What is written goes over a file that was written before, as the segments of a log that keeps its
//! size do.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use headworks_io::files::sync_data;
use headworks_io::{AlignedBuffer, DirectFile, Volume, read_at, write_at};

use crate::figures::number;

/// Bytes of one read and of one write.
const PIECE_BYTES: usize = 1 << 20;

/// Where copies go, made once for many.
pub struct Target {
    file: DirectFile,
    bytes: u64,
    _volume: Volume,
}

impl Target {
    /// A file of that size, written with zeros.
    ///
    /// # Errors
    /// No space, or the folder cannot be used.
    pub fn make(folder: &Path, bytes: u64) -> Result<Target, String> {
        let volume = Volume::lock(folder).map_err(|error| error.to_string())?;
        let file = volume.make_segment("copy", bytes, &|| true).map_err(|error| format!("the copy probe: {error}"))?;
        Ok(Target { file, bytes, _volume: volume })
    }

    /// Bytes a second at which the files are copied, as far as they fit.
    ///
    /// # Errors
    /// A file cannot be read, or the connection or the disk fails.
    pub fn copy(&self, paths: &[PathBuf]) -> Result<f64, String> {
        let text = |error: std::io::Error| format!("the copy probe: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let started = Instant::now();
        let copied = thread::scope(|scope| {
            let sender = scope.spawn(move || send(TcpStream::connect(address)?, paths, self.bytes));
            let copied = listener.accept().and_then(|(stream, _)| self.receive(stream)).map_err(text)?;
            let sent = sender.join().map_err(|_| "the copy probe panicked".to_owned())?.map_err(text)?;
            if sent == copied { Ok(copied) } else { Err(format!("the copy probe: {sent} bytes were sent, {copied} came")) }
        })?;
        Ok(number(copied) / started.elapsed().as_secs_f64())
    }

    fn receive(&self, mut stream: TcpStream) -> std::io::Result<u64> {
        let (mut buffer, mut at) = (AlignedBuffer::zeroed(PIECE_BYTES), 0);
        while at < self.bytes {
            match stream.read_exact(&mut buffer) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
            write_at(&self.file.fd, &buffer, at, PIECE_BYTES)?;
            at += PIECE_BYTES as u64;
        }
        sync_data(&self.file.fd)?;
        Ok(at)
    }
}

/// Sends whole pieces of the files, in order, up to that many bytes.
fn send(mut stream: TcpStream, paths: &[PathBuf], bytes_max: u64) -> std::io::Result<u64> {
    let (mut buffer, mut sent) = (AlignedBuffer::zeroed(PIECE_BYTES), 0);
    for path in paths {
        let file: File = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
        for piece in 0..file.metadata()?.len() / PIECE_BYTES as u64 {
            if sent == bytes_max {
                return Ok(sent);
            }
            read_at(&file, &mut buffer, piece * PIECE_BYTES as u64, PIECE_BYTES)?;
            stream.write_all(&buffer)?;
            sent += PIECE_BYTES as u64;
        }
    }
    Ok(sent)
}
