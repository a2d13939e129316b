//! What a node and its witness say to each other, on a TCP connection that the node dials.
//!
//! ```text
//! │ length u32 │ kind u8 │ crc u32 │ body                  length counts kind, crc and body; little-endian throughout
//!
//!   request: id u64 │ witness u128 │ place u16 │ …         answer: id u64 │ witness u128 │ …
//!   33 Get                                                 49 Register   record, or nothing: it was never written
//!   34 Swap   expected u64 │ record                        50 Swapped
//!   35 Watch  beyond u64 │ wait_ms u32                     51 Refused    record, or nothing: the register as it is
//!                                                          52 Denied     why u8: 1 witness, 2 place, 3 pair
//! ```
//!
//! Each answer names the request that it belongs to and the witness's identity. A request names the witness it is meant for (0: whoever is
//! there), so that a swap can never land on one that has lost its file. Kinds are none of the pair's own, so that a node which dials the
//! wrong port is refused at its first frame. The crc is CRC-32C over length, kind and body.

use crate::message::{FRAME_HEAD_BYTES, LENGTH_BYTES, Reason, Rejected, check_sum, close, head};
use crate::register::{RECORD_BYTES, Record, Register, Swap};

/// Largest frame, its length field counted in: a swap.
pub const FRAME_BYTES_MAX: usize = FRAME_HEAD_BYTES + 8 + 16 + 2 + 8 + RECORD_BYTES;

const GET: u8 = 33;
const SWAP: u8 = 34;
const WATCH: u8 = 35;
const REGISTER: u8 = 49;
const SWAPPED: u8 = 50;
const REFUSED: u8 = 51;
const DENIED: u8 = 52;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The asker's number for it.
    pub id: u64,
    /// The witness that is meant; 0 for whoever is there.
    pub witness: u128,
    /// The pair's register.
    pub place: u16,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// What the register is.
    Get,
    /// To change it.
    Swap(Swap),
    /// What the register is, as soon as its version is another than `beyond`, or after this time.
    Watch {
        /// Version that the asker knows.
        beyond: u64,
        /// Longest wait, in milliseconds.
        wait_ms: u32,
    },
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Number of the request.
    pub id: u64,
    /// Identity of the witness that answers.
    pub witness: u128,
    /// What it says.
    pub says: Says,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// The register; none when it was never written.
    Register(Option<Register>),
    /// It was swapped, durably.
    Swapped,
    /// It was not swapped: the version was another one. The register as it is.
    Refused(Option<Register>),
    /// Nothing was done and nothing is said.
    Denied(Denied),
}

/// Why a witness answers nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Another witness was meant: this one has another file.
    OtherWitness,
    /// There is no such place.
    Place,
    /// The place belongs to another pair.
    OtherPair,
}

/// Appends a request's frame.
pub fn encode_request(request: &Request, out: &mut Vec<u8>) {
    let kind = match request.ask {
        Ask::Get => GET,
        Ask::Swap(_) => SWAP,
        Ask::Watch { .. } => WATCH,
    };
    frame(kind, out, |out| {
        out.extend_from_slice(&request.id.to_le_bytes());
        out.extend_from_slice(&request.witness.to_le_bytes());
        out.extend_from_slice(&request.place.to_le_bytes());
        match &request.ask {
            Ask::Get => {}
            Ask::Swap(swap) => {
                out.extend_from_slice(&swap.expected.to_le_bytes());
                out.extend_from_slice(&swap.register.encode()[..]);
            }
            Ask::Watch { beyond, wait_ms } => {
                out.extend_from_slice(&beyond.to_le_bytes());
                out.extend_from_slice(&wait_ms.to_le_bytes());
            }
        }
    });
}

/// Appends an answer's frame.
pub fn encode_answer(answer: &Answer, out: &mut Vec<u8>) {
    let (kind, register, why) = match answer.says {
        Says::Register(register) => (REGISTER, register, None),
        Says::Swapped => (SWAPPED, None, None),
        Says::Refused(register) => (REFUSED, register, None),
        Says::Denied(why) => (DENIED, None, Some(why)),
    };
    frame(kind, out, |out| {
        out.extend_from_slice(&answer.id.to_le_bytes());
        out.extend_from_slice(&answer.witness.to_le_bytes());
        if let Some(register) = register {
            out.extend_from_slice(&register.encode()[..]);
        }
        out.extend(why.map(denied_number));
    });
}

fn frame(kind: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let from = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    body(out);
    close(&mut out[from..], kind, 0, FRAME_BYTES_MAX);
}

/// The first request of `bytes` and the bytes that its frame takes; none when more have to come.
///
/// # Errors
/// The bytes are no request, whatever comes behind them: the connection is of no more use.
pub fn decode_request(bytes: &[u8]) -> Result<Option<(Request, usize)>, Rejected> {
    let Some((kind, mut body)) = next(bytes)? else { return Ok(None) };
    let (id, witness, place) = (u64::from_le_bytes(body.take()?), u128::from_le_bytes(body.take()?), u16::from_le_bytes(body.take()?));
    let ask = match kind {
        GET => Ask::Get,
        SWAP => {
            let expected = u64::from_le_bytes(body.take()?);
            let register = body.register()?.ok_or(body.rejected(Reason::Ends))?;
            Ask::Swap(Swap { expected, register })
        }
        WATCH => Ask::Watch { beyond: u64::from_le_bytes(body.take()?), wait_ms: u32::from_le_bytes(body.take()?) },
        _ => return Err(Rejected { reason: Reason::Kind, position: LENGTH_BYTES }),
    };
    Ok(Some((Request { id, witness, place, ask }, body.finish()?)))
}

/// The first answer of `bytes` and the bytes that its frame takes; none when more have to come.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_answer(bytes: &[u8]) -> Result<Option<(Answer, usize)>, Rejected> {
    let Some((kind, mut body)) = next(bytes)? else { return Ok(None) };
    let (id, witness) = (u64::from_le_bytes(body.take()?), u128::from_le_bytes(body.take()?));
    let says = match kind {
        REGISTER => Says::Register(body.register()?),
        SWAPPED => Says::Swapped,
        REFUSED => Says::Refused(body.register()?),
        DENIED => {
            let number = u8::from_le_bytes(body.take()?);
            let why = DENIALS.into_iter().find(|why| denied_number(*why) == number);
            Says::Denied(why.ok_or(body.rejected(Reason::Limit("a reason")))?)
        }
        _ => return Err(Rejected { reason: Reason::Kind, position: LENGTH_BYTES }),
    };
    Ok(Some((Answer { id, witness, says }, body.finish()?)))
}

const DENIALS: [Denied; 3] = [Denied::OtherWitness, Denied::Place, Denied::OtherPair];

fn denied_number(why: Denied) -> u8 {
    match why {
        Denied::OtherWitness => 1,
        Denied::Place => 2,
        Denied::OtherPair => 3,
    }
}

/// A frame's kind and body.
fn next(bytes: &[u8]) -> Result<Option<(u8, Body<'_>)>, Rejected> {
    let Some(head) = head(bytes, FRAME_BYTES_MAX)? else { return Ok(None) };
    let Some(frame) = bytes.get(..head.frame_bytes) else { return Ok(None) };
    check_sum(frame, &head)?;
    Ok(Some((head.kind, Body { frame, at: FRAME_HEAD_BYTES })))
}

/// Takes a body apart.
struct Body<'a> {
    frame: &'a [u8],
    at: usize,
}

impl Body<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Rejected> {
        let taken = self.frame[self.at..].first_chunk::<N>().ok_or(self.rejected(Reason::Ends))?;
        self.at += N;
        Ok(*taken)
    }

    /// A whole record, or nothing at the end of the frame.
    fn register(&mut self) -> Result<Option<Register>, Rejected> {
        if self.at == self.frame.len() {
            return Ok(None);
        }
        let from = self.at;
        let record = Record::parse(&self.take::<RECORD_BYTES>()?);
        let Record::Present(register) = record else { return Err(Rejected { reason: Reason::Limit("a register"), position: from }) };
        Ok(Some(register))
    }

    /// Nothing may be left; the bytes of the frame.
    fn finish(&self) -> Result<usize, Rejected> {
        if self.at == self.frame.len() { Ok(self.at) } else { Err(self.rejected(Reason::Rest)) }
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        Rejected { reason, position: self.at }
    }
}

#[cfg(test)]
mod tests;
