//! Clients: each sends one batch after another to whoever it takes for the leader, again and again until it is acknowledged.

use super::batches;
use crate::random::Random;

/// When a client wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// On every disk in sync.
    Committed,
    /// On the leader's disk.
    Disk,
}

/// A batch that is not acknowledged yet.
#[derive(Debug, Clone)]
pub struct Out {
    /// Number of its first record.
    pub first: i32,
    /// Its records.
    pub records: u32,
    /// Whether the client numbers its batches, so that one that comes twice is known.
    pub numbered: bool,
    /// As it is sent.
    pub bytes: Vec<u8>,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    random: Random,
    /// The lane that it writes to.
    pub lane: usize,
    /// The stream that it writes to.
    pub stream: String,
    /// When it wants to be told.
    pub level: Level,
    next: i32,
    /// What is not acknowledged.
    pub out: Option<Out>,
    /// Counts what it has sent.
    pub attempt: u64,
    /// Whom it takes for the leader.
    pub leader: usize,
    /// Acknowledged batches.
    pub acked: u64,
}

impl Client {
    /// The client of that number.
    pub fn new(number: usize, mut random: Random, lanes: u32) -> Client {
        let lane = random.index(lanes as usize);
        let level = if random.chance(800) { Level::Committed } else { Level::Disk };
        let stream = format!("stream-{}", random.below(3));
        Client { random, lane, stream, level, next: 0, out: None, attempt: 0, leader: number % 2, acked: 0 }
    }

    /// Makes its next batch.
    pub fn make(&mut self, number: usize) -> &Out {
        let (records, filler) = (u32::try_from(self.random.within(1, 4)).expect("small"), self.random.index(300));
        let numbered = self.level == Level::Committed;
        let bytes = batches::make(number, self.next, records, numbered, filler);
        let out = Out { first: self.next, records, numbered, bytes };
        self.next += i32::try_from(records).expect("small");
        self.out.insert(out)
    }

    /// How long it thinks.
    pub fn pause_ns(&mut self) -> u64 {
        if self.random.chance(300) { self.random.within(50_000, 500_000) } else { self.random.within(1_000_000, 30_000_000) }
    }
}
