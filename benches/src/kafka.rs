//! The least of a Kafka client that reads a partition and keeps nothing: two requests, laid out by hand.
//!
//! ```text
//!   request:  length i32 | key i16 | version i16 | correlation i32 | client id | body
//!   answer:   length i32 | correlation i32 | body
//! ```
//! ListOffsets 1 and Fetch 4, the simplest that know batches. A client that decoded records would measure itself; this
//! one looks at each batch's first offset and count, which it needs in order to ask for what follows.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[cfg(test)]
mod tests;

const LIST_OFFSETS: (i16, i16) = (2, 1);
const FETCH: (i16, i16) = (1, 4);
/// Asked for at once, of a partition and of all.
const FETCH_BYTES: i32 = 8 << 20;
/// Largest answer taken: what was asked for softly, and one batch more.
const ANSWER_BYTES_MAX: usize = 16 << 20;
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Bytes of a batch before its length is over: base offset and length.
const BATCH_PREFIX_BYTES: usize = 12;
/// Where a batch says how many offsets after its first its last one is.
const LAST_DELTA_AT: usize = 23;

/// The first offset, or the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The oldest record held.
    Earliest,
    /// One past the newest.
    Latest,
}

/// A client of partition 0 of one topic.
pub struct Client {
    stream: TcpStream,
    topic: String,
    answer: Vec<u8>,
    correlation: i32,
}

/// What one fetch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// Where to go on.
    pub next_offset: i64,
    /// Bytes of whole batches.
    pub bytes: u64,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// It cannot.
    pub fn connect(address: SocketAddr, topic: &str) -> Result<Client, String> {
        let text = |error: std::io::Error| format!("kafka {address}: {error}");
        let stream = TcpStream::connect_timeout(&address, SILENCE_MAX).map_err(text)?;
        stream.set_read_timeout(Some(SILENCE_MAX)).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        Ok(Client { stream, topic: topic.to_owned(), answer: Vec::new(), correlation: 0 })
    }

    /// One end of the partition.
    ///
    /// # Errors
    /// The server refuses, or says what cannot be understood.
    pub fn offset(&mut self, end: End) -> Result<i64, String> {
        let mut body = Vec::new();
        body.extend((-1i32).to_be_bytes());
        self.begin_partition(&mut body);
        let timestamp: i64 = if end == End::Earliest { -2 } else { -1 };
        body.extend(timestamp.to_be_bytes());
        self.ask(LIST_OFFSETS, &body)?;
        let mut cursor = Cursor { bytes: &self.answer };
        read_offset(&mut cursor).ok_or("a ListOffsets answer is cut")?.map_err(|code| format!("ListOffsets says error {code}"))
    }

    /// Whole batches from the one that holds the offset, as many as one answer carries.
    ///
    /// # Errors
    /// As for [`offset`](Client::offset).
    pub fn fetch(&mut self, offset: i64) -> Result<Fetched, String> {
        let mut body = Vec::new();
        body.extend((-1i32).to_be_bytes());
        body.extend(500i32.to_be_bytes());
        body.extend(1i32.to_be_bytes());
        body.extend(FETCH_BYTES.to_be_bytes());
        body.push(0);
        self.begin_partition(&mut body);
        body.extend(offset.to_be_bytes());
        body.extend(FETCH_BYTES.to_be_bytes());
        self.ask(FETCH, &body)?;
        let mut cursor = Cursor { bytes: &self.answer };
        let batches = read_batches(&mut cursor)
            .ok_or("a Fetch answer is cut")?
            .map_err(|code| format!("Fetch at offset {offset} says error {code}"))?;
        Ok(walk(batches, offset))
    }

    /// One topic, one partition, up to where its own fields begin.
    fn begin_partition(&self, body: &mut Vec<u8>) {
        body.extend(1i32.to_be_bytes());
        string(body, &self.topic);
        body.extend(1i32.to_be_bytes());
        body.extend(0i32.to_be_bytes());
    }

    /// Sends a request and leaves its answer's body in `answer`.
    fn ask(&mut self, (key, version): (i16, i16), body: &[u8]) -> Result<(), String> {
        let text = |error: std::io::Error| format!("kafka: {error}");
        self.correlation += 1;
        let mut request = vec![0; 4];
        request.extend(key.to_be_bytes());
        request.extend(version.to_be_bytes());
        request.extend(self.correlation.to_be_bytes());
        string(&mut request, "headworks-benches");
        request.extend(body);
        let length = i32::try_from(request.len() - 4).expect("a request is short");
        request[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&request).map_err(text)?;
        let mut head = [0; 8];
        self.stream.read_exact(&mut head).map_err(text)?;
        let (length, correlation) = (i32::from_be_bytes(first(&head)), i32::from_be_bytes(first(&head[4..])));
        let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)).filter(|length| *length <= ANSWER_BYTES_MAX);
        let length = length.ok_or("an answer's length is out of bounds")?;
        if correlation != self.correlation {
            return Err(format!("answer {correlation} to request {}", self.correlation));
        }
        self.answer.resize(length, 0);
        self.stream.read_exact(&mut self.answer).map_err(text)
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend(i16::try_from(text.len()).expect("a name is short").to_be_bytes());
    out.extend(text.as_bytes());
}

/// The first N bytes of a slice that is known to have them.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("a length that was checked")
}

/// Bytes taken from the front; none when there are too few.
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(first(self.take(2)?)))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(first(self.take(4)?)))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(first(self.take(8)?)))
    }

    /// Passes over one topic's name and one partition's number, each the only one of its list; gives the error code.
    fn partition(&mut self) -> Option<i16> {
        self.i32().filter(|topics| *topics == 1)?;
        let name = self.i16()?;
        self.take(usize::try_from(name).ok()?)?;
        self.i32().filter(|partitions| *partitions == 1)?;
        self.i32()?;
        self.i16()
    }
}

/// ListOffsets 1: topics [name, partitions [index, error, timestamp, offset]].
fn read_offset(cursor: &mut Cursor<'_>) -> Option<Result<i64, i16>> {
    let error = cursor.partition()?;
    cursor.i64()?;
    let offset = cursor.i64()?;
    Some(if error == 0 { Ok(offset) } else { Err(error) })
}

/// Fetch 4: throttle, topics [name, partitions [index, error, high watermark, last stable, aborted [], records]].
fn read_batches<'a>(cursor: &mut Cursor<'a>) -> Option<Result<&'a [u8], i16>> {
    cursor.i32()?;
    let error = cursor.partition()?;
    if error != 0 {
        return Some(Err(error));
    }
    cursor.i64()?;
    cursor.i64()?;
    let aborted = usize::try_from(cursor.i32()?).unwrap_or(0);
    cursor.take(aborted.checked_mul(16)?)?;
    let bytes = usize::try_from(cursor.i32()?).unwrap_or(0);
    Some(Ok(cursor.take(bytes)?))
}

/// Steps over whole batches; the last one may be cut, and then is not counted.
fn walk(mut batches: &[u8], offset: i64) -> Fetched {
    let mut fetched = Fetched { next_offset: offset, bytes: 0 };
    while batches.len() > LAST_DELTA_AT + 4 {
        let length = i32::from_be_bytes(first(&batches[8..]));
        let Some(whole) = usize::try_from(length).ok().and_then(|length| length.checked_add(BATCH_PREFIX_BYTES)) else { break };
        let Some((_, rest)) = batches.split_at_checked(whole) else { break };
        let last_delta = i32::from_be_bytes(first(&batches[LAST_DELTA_AT..]));
        fetched.next_offset = i64::from_be_bytes(first(batches)) + i64::from(last_delta) + 1;
        fetched.bytes += whole as u64;
        batches = rest;
    }
    fetched
}
