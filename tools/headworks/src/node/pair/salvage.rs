//! Packets of a divergent tail find their way back into the stream: from quarantine to whoever leads, as a Kafka producer.
//!
//! ```text
//! divergent-from-N-….bin ─► blocks that prove themselves ─► batches of listened streams ─► Produce, acks=all ─► salvaged-from-N-….bin
//! ```
//!
//! Nobody was told that these records are committed, but their senders do not send them again: they came in by UDP or TCP. Only
//! such are taken. What a client produced it sends again itself, so batches of idempotent producers, and those of topics that
//! nobody listens for, stay in quarantine alone. A crash between the answer and the file's new name stores a batch twice: what is
//! salvaged is stored at least once, and behind what came meanwhile.

use crate::config::Config;
use crate::node::failure::Failure;
use crate::node::run::spawn;
use headworks_format::batch;
use headworks_format::block::{BLOCK_ALIGN, HEAD_BYTES, Head, check_body};
use headworks_gateway::cluster::Cluster;
use headworks_io::Volume;
use headworks_log::LaneView;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How copies of a divergent tail are called, and how once their packets are stored.
const WAITING: &str = "divergent-from-";
const DONE: &str = "salvaged-from-";
/// How often there is looked.
const EVERY: Duration = Duration::from_secs(1);
/// How long the leader may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The longest answer to one batch.
const ANSWER_BYTES_MAX: usize = 4096;

/// What salvage needs of the node.
pub struct Salvage {
    /// The folder of quarantine.
    pub quarantine: Volume,
    /// The lanes, for the names of partitions.
    pub views: Vec<Arc<LaneView>>,
    /// Who leads.
    pub cluster: Cluster,
    /// Where this node's own clients connect.
    pub own: String,
    /// Streams that listeners feed.
    pub streams: BTreeSet<String>,
}

/// A batch of packets, and where it belongs.
#[derive(Debug, PartialEq, Eq)]
struct Packets<'b> {
    stream: String,
    partition: i32,
    records: u32,
    batch: &'b [u8],
}

/// Names of the streams that listeners feed.
#[must_use]
pub fn listened(config: &Config) -> BTreeSet<String> {
    config.listeners.iter().map(|listener| listener.stream.clone()).collect()
}

/// Starts the thread that looks for copies and stores their packets.
///
/// # Errors
/// No thread is to be had.
pub fn start(salvage: Salvage) -> Result<(), Failure> {
    spawn("hw-salvage", move || {
        loop {
            if let Err(error) = salvage.look() {
                tracing::debug!(%error, "salvage waits");
            }
            thread::park_timeout(EVERY);
        }
    })
    .map(drop)
}

impl Salvage {
    fn look(&self) -> io::Result<()> {
        for entry in self.quarantine.list()?.into_iter().filter(|entry| entry.name.starts_with(WAITING)) {
            let records = self.store(&entry.name)?;
            let done = entry.name.replacen(WAITING, DONE, 1);
            fs::rename(self.quarantine.file_path(&entry.name)?, self.quarantine.file_path(&done)?)?;
            self.quarantine.sync_directory()?;
            tracing::warn!(records, copy = done, "packets of a divergent tail are stored again");
        }
        Ok(())
    }

    /// Hands the packets of a copy to the leader; how many records.
    fn store(&self, name: &str) -> io::Result<u64> {
        let bytes = fs::read(self.quarantine.file_path(name)?)?;
        let packets = packets(&bytes, |lane, partition| self.named(lane, partition));
        let mut stored = 0;
        let mut leader = None;
        for packets in &packets {
            let stream = match &mut leader {
                Some(stream) => stream,
                none => none.insert(self.connect()?),
            };
            produce(stream, packets)?;
            stored += u64::from(packets.records);
        }
        Ok(stored)
    }

    /// Stream and number of a partition that listeners feed.
    fn named(&self, lane: u32, id: headworks_format::PartitionId) -> Option<(String, i32)> {
        let view = self.views.get(lane as usize)?;
        let known = view.partitions.iter().find(|known| known.id == id)?;
        self.streams.contains(&known.stream).then(|| (known.stream.clone(), known.number.cast_signed()))
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "nobody is known to lead");
        let other = || self.cluster.other().map(|other| format!("{}:{}", other.host, other.port));
        let address = if self.cluster.leads() { self.own.clone() } else { other().ok_or_else(unknown)? };
        let stream = TcpStream::connect_timeout(&address.to_socket_addrs()?.next().ok_or_else(unknown)?, ANSWER_MAX)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The batches of a copy that hold packets; what does not prove itself is passed over, a page at a time.
fn packets<'b>(copy: &'b [u8], named: impl Fn(u32, headworks_format::PartitionId) -> Option<(String, i32)>) -> Vec<Packets<'b>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(page) = copy.get(at..).and_then(|rest| rest.first_chunk::<HEAD_BYTES>()) {
        let whole = Head::parse(page).ok().filter(|head| check_body(head, &copy[at..]).is_ok());
        let Some(head) = whole else {
            at += BLOCK_ALIGN;
            continue;
        };
        let lane = head.header().lane.get();
        for placed in head.placed().filter(|_| !head.is_control()) {
            let from = at + placed.offset as usize;
            let batch = &copy[from..from + placed.length as usize];
            if batch::produced(batch).is_none()
                && let Some((stream, partition)) = named(lane, placed.partition)
            {
                found.push(Packets { stream, partition, records: placed.records, batch });
            }
        }
        at += head.block_bytes();
    }
    found
}

/// Produce, version 3, acks=all, of one batch; waits for its answer.
fn produce(stream: &mut TcpStream, packets: &Packets<'_>) -> io::Result<()> {
    stream.write_all(&request(packets))?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {length} bytes to one batch")));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    match error_of(&answer) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::other(format!("the leader answers error {code}"))),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the leader's answer is none")),
    }
}

fn request(packets: &Packets<'_>) -> Vec<u8> {
    const PRODUCE: i16 = 0;
    const VERSION: i16 = 3;
    const ALL: i16 = -1;
    let string = |out: &mut Vec<u8>, text: &str| {
        out.extend(i16::try_from(text.len()).expect("names have at most 249 bytes").to_be_bytes());
        out.extend(text.as_bytes());
    };
    let mut body = Vec::with_capacity(packets.batch.len() + 128);
    [PRODUCE, VERSION].iter().for_each(|number| body.extend(number.to_be_bytes()));
    body.extend(0i32.to_be_bytes());
    string(&mut body, "headworks-salvage");
    body.extend((-1i16).to_be_bytes());
    body.extend(ALL.to_be_bytes());
    body.extend(i32::try_from(ANSWER_MAX.as_millis()).expect("ten seconds").to_be_bytes());
    body.extend(1i32.to_be_bytes());
    string(&mut body, &packets.stream);
    body.extend(1i32.to_be_bytes());
    body.extend(packets.partition.to_be_bytes());
    body.extend(i32::try_from(packets.batch.len()).expect("batches have at most a mebibyte and a little").to_be_bytes());
    body.extend(packets.batch);
    let mut framed = Vec::with_capacity(body.len() + 4);
    framed.extend(u32::try_from(body.len()).expect("as above").to_be_bytes());
    framed.extend(body);
    framed
}

/// The error code of the one partition that an answer is about.
fn error_of(answer: &[u8]) -> Option<i16> {
    // Correlation id and number of topics, then the topic's name, number of partitions, partition.
    let name_bytes = u16::from_be_bytes(answer.get(8..10)?.try_into().ok()?) as usize;
    let at = 10 + name_bytes + 8;
    Some(i16::from_be_bytes(answer.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
