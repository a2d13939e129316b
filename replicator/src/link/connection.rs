//! One non-blocking TCP connection: frames in, frames and blocks out, nothing that waits.

use crate::message::{self, Message};
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes that are taken in at once while no block is being received: more than the longest message that is none.
const INPUT_BYTES: usize = 32 << 10;
/// Bytes of messages that may wait to be sent; a peer that lets more come together reads nothing.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Bytes that the kernel may hold on either side of a connection: a few blocks.
const SOCKET_BYTES: usize = 4 << 20;

/// The connection is of no more use.
#[derive(Debug)]
pub struct Lost {
    /// Whether the other side's system closed it, as it does when its process dies.
    pub reset: bool,
    /// What happened.
    pub why: String,
}

impl Lost {
    pub(super) fn given_up(why: impl Into<String>) -> Lost {
        Lost { reset: false, why: why.into() }
    }

    fn by(error: &io::Error) -> Lost {
        let reset = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted);
        Lost { reset, why: error.to_string() }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    sent: usize,
    /// The kernel had no room: to be tried again when it says so.
    is_full: bool,
}

impl Connection {
    /// Takes a connected stream over.
    ///
    /// # Errors
    /// It cannot be made non-blocking.
    pub fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let socket = socket2::SockRef::from(&stream);
        socket.set_send_buffer_size(SOCKET_BYTES)?;
        socket.set_recv_buffer_size(SOCKET_BYTES)?;
        let (input, output) = (Vec::with_capacity(INPUT_BYTES), Vec::with_capacity(4096));
        Ok(Connection { stream, input, taken: 0, output, sent: 0, is_full: false })
    }

    /// Its descriptor.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// What was received and not consumed.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        &self.input[self.taken..]
    }

    /// Gives back what was understood.
    pub fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
        assert!(self.taken <= self.input.len(), "{} bytes consumed of {}", self.taken, self.input.len());
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
        }
    }

    /// Receives into the connection's own buffer; 0 when nothing is there.
    ///
    /// # Errors
    /// The connection ended, or its frame is longer than any message.
    pub fn fill(&mut self) -> Result<usize, Lost> {
        self.input.drain(..self.taken);
        self.taken = 0;
        let held = self.input.len();
        if held == INPUT_BYTES {
            return Err(Lost::given_up("a message that is longer than any"));
        }
        self.input.resize(INPUT_BYTES, 0);
        let read = receive(&mut self.stream, &mut self.input[held..]);
        self.input.truncate(held + *read.as_ref().unwrap_or(&0));
        read
    }

    /// Receives straight to where the bytes will be written from; 0 when nothing is there.
    ///
    /// # Errors
    /// The connection ended.
    pub fn fill_into(&mut self, into: &mut [u8]) -> Result<usize, Lost> {
        receive(&mut self.stream, into)
    }

    /// Queues a message.
    ///
    /// # Errors
    /// The peer takes nothing.
    pub fn queue(&mut self, message: &Message<'_>) -> Result<(), Lost> {
        message::encode(message, &mut self.output);
        if self.output.len() - self.sent > OUTPUT_BYTES_MAX {
            return Err(Lost::given_up("the peer reads nothing"));
        }
        Ok(())
    }

    /// Sends what is queued; whether all of it went.
    ///
    /// # Errors
    /// The connection ended.
    pub fn flush(&mut self) -> Result<bool, Lost> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(bytes) => self.sent += bytes,
                Err(error) if is_for_later(&error) => {
                    self.is_full |= error.kind() == ErrorKind::WouldBlock;
                    return Ok(false);
                }
                Err(error) => return Err(Lost::by(&error)),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Sends what is in two places, as far as the kernel takes it. Only when nothing is queued: the caller has flushed.
    ///
    /// # Errors
    /// The connection ended.
    pub fn send(&mut self, first: &[u8], second: &[u8]) -> Result<usize, Lost> {
        match self.stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]) {
            Ok(bytes) => Ok(bytes),
            Err(error) if is_for_later(&error) => {
                self.is_full |= error.kind() == ErrorKind::WouldBlock;
                Ok(0)
            }
            Err(error) => Err(Lost::by(&error)),
        }
    }

    /// Whether the kernel said that it has no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// The kernel has room again, or is to be asked.
    pub fn on_writable(&mut self) {
        self.is_full = false;
    }
}

fn receive(stream: &mut TcpStream, into: &mut [u8]) -> Result<usize, Lost> {
    match stream.read(into) {
        Ok(0) => Err(Lost { reset: true, why: "closed by the other side".into() }),
        Ok(bytes) => Ok(bytes),
        Err(error) if is_for_later(&error) => Ok(0),
        Err(error) => Err(Lost::by(&error)),
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
