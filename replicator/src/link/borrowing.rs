//! A block borrowed from the other node, for who cannot read its own any more. Waits: nothing of the pair's loop runs here.

use crate::message::{self, ENVELOPE_BYTES, FRAME_HEAD_BYTES, Fetch, Message};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Asks the node at `peer` for a block; none where it cannot read it either. `patience` is for each step of it. What comes is as
/// long as its envelope says, and nothing more is known of it.
///
/// # Errors
/// The node does not answer, or answers with something else.
pub fn borrow(peer: SocketAddr, fetch: Fetch, patience: Duration) -> io::Result<Option<Vec<u8>>> {
    let mut stream = TcpStream::connect_timeout(&peer, patience)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(patience))?;
    stream.set_read_timeout(Some(patience))?;
    let mut asked = Vec::new();
    message::encode(&Message::Fetch(fetch), &mut asked);
    stream.write_all(&asked)?;
    receive(&mut stream, fetch)
}

/// The answer: an envelope and its block, or a message that is shorter than an envelope.
fn receive(stream: &mut TcpStream, fetch: Fetch) -> io::Result<Option<Vec<u8>>> {
    let malformed = |what: String| io::Error::new(ErrorKind::InvalidData, what);
    let mut head = Vec::with_capacity(ENVELOPE_BYTES);
    loop {
        let rejected = |rejected| malformed(format!("malformed: {rejected:?}"));
        if let Some(envelope) = message::envelope(&head).map_err(rejected)? {
            if (envelope.lane, envelope.sequence) != (fetch.lane, fetch.sequence) {
                return Err(malformed(format!("block {} came for block {}", envelope.sequence, fetch.sequence)));
            }
            let mut block = vec![0; envelope.block_bytes as usize];
            stream.read_exact(&mut block)?;
            return Ok(Some(block));
        }
        if head.len() == ENVELOPE_BYTES {
            return Err(malformed("neither a block nor that it is not to be had".into()));
        }
        if let Some((message, _)) = message::next(&head).map_err(rejected)? {
            return match message {
                Message::Lacks(lacks) if (lacks.lane, lacks.sequence) == (fetch.lane, fetch.sequence) => Ok(None),
                other => Err(malformed(format!("{other:?} came for block {}", fetch.sequence))),
            };
        }
        let held = head.len();
        let wanted = if held < FRAME_HEAD_BYTES { FRAME_HEAD_BYTES } else { ENVELOPE_BYTES };
        head.resize(wanted, 0);
        let read = stream.read(&mut head[held..])?;
        head.truncate(held + read);
        if read == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed by the other node"));
        }
    }
}
