//! A sender of records by TCP, in either framing, that reads what comes back.

use super::wait::PATIENCE;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// A connection to a TCP listener.
#[derive(Debug)]
pub struct Sender {
    stream: TcpStream,
    /// Acknowledgement bytes that are no whole count yet.
    half: Vec<u8>,
}

/// Records behind their lengths.
pub fn with_lengths(records: &[Vec<u8>]) -> Vec<u8> {
    let framed = records.iter().flat_map(|record| {
        let length = u32::try_from(record.len()).expect("records are below 4 GiB");
        length.to_be_bytes().into_iter().chain(record.iter().copied())
    });
    framed.collect()
}

/// Records before newlines; they must not hold any.
pub fn with_newlines(records: &[Vec<u8>]) -> Vec<u8> {
    records.iter().flat_map(|record| record.iter().copied().chain([b'\n'])).collect()
}

impl Sender {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Sender {
        let stream = TcpStream::connect(address).expect("the listener takes connections");
        stream.set_nodelay(true).expect("a connection takes the option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a connection takes a limit");
        Sender { stream, half: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the listener reads");
    }

    /// Sends bytes as they are, or says that the peer has ended the connection.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends no more, and goes on reading.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// The next count of records that reached their level; none at the end.
    pub fn count(&mut self) -> Option<u64> {
        while self.half.len() < 8 {
            let mut bytes = [0; 64];
            let read = self.stream.read(&mut bytes).expect("a count within patience");
            if read == 0 {
                assert!(self.half.is_empty(), "{} bytes of a count at the end", self.half.len());
                return None;
            }
            self.half.extend_from_slice(&bytes[..read]);
        }
        let count: Vec<u8> = self.half.drain(..8).collect();
        Some(u64::from_be_bytes(count.try_into().expect("eight bytes")))
    }

    /// Everything that the listener says until it ends the connection.
    pub fn last_words(mut self) -> String {
        let mut text = Vec::new();
        match self.stream.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("neither an end nor a reset: {error}"),
        }
        String::from_utf8(text).expect("last words are text")
    }

    /// Goes away without a word: the connection is reset.
    pub fn vanish(self) {
        let linger = socket2::SockRef::from(&self.stream);
        linger.set_linger(Some(std::time::Duration::ZERO)).expect("a connection takes the option");
    }
}
