//! Where records begin and end in a connection's bytes.
//!
//! ```text
//! length:   │ u32 big-endian n │ n bytes │ u32 │ ...          every n from 0 to the listener's record_max
//! newline:  │ bytes │ \n │ bytes │ \n │ ...                   the newline is no part of the record; a carriage return is
//! ```
//!
//! A pure decoder: it is fed whatever a receive brought and cuts it into pieces that borrow from it. A record that lies
//! whole in one receive is one piece; the parts of one that does not are the caller's to keep. A record's size is known or
//! bounded before anything of it is kept, so that no peer makes anybody reserve what it only announces.

/// How a listener's connections tell their records apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Each record behind its length, u32 big-endian.
    Length,
    /// Each record before a newline.
    Newline,
}

/// A part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'c> {
    /// Its bytes; may be none.
    pub bytes: &'c [u8],
    /// Whether the record ends here.
    pub ends: bool,
}

/// A record larger than the listener takes: nothing behind it can be told apart any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// Bytes announced (`length`), or seen without an end (`newline`).
    pub bytes: u64,
}

/// Where a connection stands in its framing. Small and `Copy`: who could not place a piece goes back to the decoder that it
/// had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    record_bytes_max: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a length, of which so many bytes were seen.
    Length { bytes: [u8; 4], seen: u8 },
    /// In a record of which so many bytes are missing.
    Body { left: u32 },
    /// In a line of which so many bytes were seen.
    Line { seen: u32 },
}

const LENGTH: State = State::Length { bytes: [0; 4], seen: 0 };
const LINE: State = State::Line { seen: 0 };

impl Decoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub fn new(framing: Framing, record_bytes_max: u32) -> Decoder {
        let state = match framing {
            Framing::Length => LENGTH,
            Framing::Newline => LINE,
        };
        Decoder { record_bytes_max, state }
    }

    /// The next piece of the chunk, which is shortened by it; none when the chunk is used up.
    ///
    /// # Errors
    /// [`TooLong`]; the decoder is of no more use then.
    pub fn next<'c>(&mut self, chunk: &mut &'c [u8]) -> Result<Option<Piece<'c>>, TooLong> {
        loop {
            match self.state {
                State::Length { mut bytes, seen } => {
                    let Some((first, rest)) = chunk.split_first() else { return Ok(None) };
                    *chunk = rest;
                    bytes[usize::from(seen)] = *first;
                    self.state = if seen < 3 { State::Length { bytes, seen: seen + 1 } } else { self.body(u32::from_be_bytes(bytes))? };
                }
                State::Body { left } => return Ok(self.in_body(left, chunk)),
                State::Line { seen } => return self.in_line(seen, chunk),
            }
        }
    }

    /// Whether a record has begun and not ended, a length counted in.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.state != LENGTH && self.state != LINE
    }

    fn body(&self, length: u32) -> Result<State, TooLong> {
        if length > self.record_bytes_max {
            return Err(TooLong { bytes: u64::from(length) });
        }
        Ok(State::Body { left: length })
    }

    fn in_body<'c>(&mut self, left: u32, chunk: &mut &'c [u8]) -> Option<Piece<'c>> {
        let there = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        if there == 0 && left > 0 {
            return None;
        }
        let (bytes, rest) = chunk.split_at(left.min(there) as usize);
        *chunk = rest;
        let ends = there >= left;
        self.state = if ends { LENGTH } else { State::Body { left: left - there } };
        Some(Piece { bytes, ends })
    }

    fn in_line<'c>(&mut self, seen: u32, chunk: &mut &'c [u8]) -> Result<Option<Piece<'c>>, TooLong> {
        if chunk.is_empty() {
            return Ok(None);
        }
        let end = memchr::memchr(b'\n', chunk);
        let (bytes, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
        let line = u64::from(seen) + bytes.len() as u64;
        if line > u64::from(self.record_bytes_max) {
            return Err(TooLong { bytes: line });
        }
        *chunk = rest.get(1..).unwrap_or_default();
        self.state = if end.is_some() { LINE } else { State::Line { seen: u32::try_from(line).expect("at most record_max") } };
        Ok(Some(Piece { bytes, ends: end.is_some() }))
    }
}

#[cfg(test)]
mod tests;
