//! The network between the two nodes, the arbiter and the clients, and its fault model.
//!
//! **What holds.** A connection carries whole messages from one end to the other. In a *stream* they come in order and each
//! once, late where the link is cut: a cut only holds back. *Loose* links also lose, repeat, delay and overtake, whole messages at
//! a time; and what was sent on an earlier connection of a lane may come again on a later one, as behind a relay that replays.
//!
//! **Links** have a direction: each of the six between a, b and the arbiter is cut by itself, for a time. Who dies by a kill is
//! heard to die; who loses power is silent, and whoever writes to it later is told by its next system that the connection is gone.

use super::queue::{Queue, What};
use crate::random::Random;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Frames that are remembered, to come once more.
const OLD_MAX: usize = 200;

/// Index of the arbiter among those that links join.
pub const ARBITER: usize = 2;

/// A connection between the two nodes.
#[derive(Debug)]
pub struct Connection {
    /// Whether each node's end is open.
    pub open: [bool; 2],
    /// When the last message to each node comes.
    last_ns: [u64; 2],
    /// Messages under way to each node.
    pub flying: [usize; 2],
}

/// What a network did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Harmed {
    /// Messages lost.
    pub lost: u64,
    /// Messages that came twice.
    pub repeated: u64,
    /// Messages that may overtake or be overtaken.
    pub loose: u64,
    /// Messages held back by a cut.
    pub held: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Network {
    random: Random,
    /// Parts in 1,000 that are lost, repeated, and late, on loose links.
    loose: Option<(u64, u64, u64)>,
    /// Until then swaps come late, by more than they are waited for.
    pub swaps_late_until_ns: u64,
    cut_until_ns: [[u64; 3]; 3],
    /// Connections that at least one end still has.
    pub connections: BTreeMap<u64, Connection>,
    next: u64,
    /// The last frames that were sent, and to whom: on loose links any of them may come again, on whatever connection there is then.
    old: VecDeque<(usize, Arc<[u8]>)>,
    /// The last blocks among them.
    old_blocks: VecDeque<(usize, Arc<[u8]>)>,
    /// What went wrong.
    pub harmed: Harmed,
}

impl Network {
    /// A network whose links are loose or not.
    pub fn new(mut random: Random, is_loose: bool) -> Network {
        let loose = is_loose.then(|| (random.below(60), random.below(60), random.below(100)));
        Network {
            random,
            loose,
            swaps_late_until_ns: 0,
            cut_until_ns: [[0; 3]; 3],
            connections: BTreeMap::new(),
            next: 1,
            old: VecDeque::new(),
            old_blocks: VecDeque::new(),
            harmed: Harmed::default(),
        }
    }

    /// Cuts a link for a time.
    pub fn cut(&mut self, from: usize, to: usize, until_ns: u64) {
        self.cut_until_ns[from][to] = self.cut_until_ns[from][to].max(until_ns);
    }

    /// Every link carries again, and loses nothing. A connection of loose links may wait for ever for what was lost, which no stream
    /// does: it breaks.
    pub fn heal(&mut self, queue: &mut Queue) {
        (self.cut_until_ns, self.swaps_late_until_ns) = ([[0; 3]; 3], 0);
        if self.loose.take().is_some() {
            for connection in self.connections.keys().copied().collect::<Vec<u64>>() {
                (0..2).for_each(|node| queue.after(0, What::Closed { node, connection }));
            }
        }
    }

    /// Whether a link is cut.
    pub fn is_cut(&self, from: usize, to: usize, now_ns: u64) -> bool {
        self.cut_until_ns[from][to] > now_ns
    }

    fn latency(&mut self) -> u64 {
        self.random.within(20_000, 300_000)
    }

    /// A node dials the other; its end is open once it is told so.
    pub fn dial(&mut self, queue: &mut Queue, (node, life): (usize, u64), lane: usize) {
        let now_ns = queue.now_ns;
        let free_ns = self.cut_until_ns[node][1 - node].max(self.cut_until_ns[1 - node][node]).max(now_ns);
        // A try that takes longer is given up: 0 is no connection.
        let (connection, after_ns) = if free_ns > now_ns + 200_000_000 { (0, 200_000_000) } else { (self.next, free_ns - now_ns) };
        self.next += 1;
        let after_ns = after_ns + self.latency();
        queue.after(after_ns, What::Dialled { node, life, lane, connection });
    }

    /// The connection stands at both ends.
    pub fn connect(&mut self, connection: u64) {
        self.connections.insert(connection, Connection { open: [true; 2], last_ns: [0; 2], flying: [0; 2] });
    }

    /// Sends a message from a node.
    pub fn send(&mut self, queue: &mut Queue, from: usize, connection: u64, bytes: Arc<[u8]>) {
        let to = 1 - from;
        let cut_ns = self.cut_until_ns[from][to];
        let mut delay_ns = self.latency();
        let mut times = 1;
        if self.loose.is_some() {
            remember(&mut self.old, to, &bytes);
            if super::wire::block_of(&bytes).is_some() {
                remember(&mut self.old_blocks, to, &bytes);
            }
        }
        if let Some((lost, repeated, late)) = self.loose {
            if cut_ns > queue.now_ns || self.random.chance(lost) {
                self.harmed.lost += 1;
                return;
            }
            if self.random.chance(repeated) {
                self.harmed.repeated += 1;
                times = 2;
            }
            if self.random.chance(late) {
                self.harmed.loose += 1;
                delay_ns += self.random.below(60_000_000);
            }
        }
        self.harmed.held += u64::from(cut_ns > queue.now_ns);
        let Some(known) = self.connections.get_mut(&connection) else { return };
        for _ in 0..times {
            let mut time_ns = cut_ns.max(queue.now_ns) + delay_ns;
            if self.loose.is_none() {
                time_ns = time_ns.max(known.last_ns[to]);
            }
            known.last_ns[to] = known.last_ns[to].max(time_ns);
            known.flying[to] += 1;
            queue.at(time_ns, What::Frame { node: to, connection, bytes: Arc::clone(&bytes) });
            delay_ns += self.random.below(20_000_000);
        }
    }

    /// Messages under way to a node on a connection.
    pub fn flying(&self, connection: u64, to: usize) -> usize {
        self.connections.get(&connection).map_or(0, |known| known.flying[to])
    }

    /// A message has come to the system of a node: whether anybody there has the connection. Who has not is told to hang up, unless
    /// the system itself is down.
    pub fn arrives(&mut self, queue: &mut Queue, node: usize, connection: u64, is_up: bool) -> bool {
        let latency = self.latency();
        let Some(known) = self.connections.get_mut(&connection) else { return false };
        known.flying[node] = known.flying[node].saturating_sub(1);
        if !known.open[node] && known.open[1 - node] && is_up {
            let time_ns = self.cut_until_ns[node][1 - node].max(queue.now_ns) + latency;
            queue.at(time_ns, What::Closed { node: 1 - node, connection });
        }
        known.open[node]
    }

    /// Every connection of a node is closed; its system says so, if it can.
    pub fn close_all(&mut self, queue: &mut Queue, node: usize, says: bool) {
        let open: Vec<u64> = self.connections.iter().filter(|(_, known)| known.open[node]).map(|(connection, _)| *connection).collect();
        open.into_iter().for_each(|connection| self.close(queue, node, connection, says));
    }

    /// The oldest block to a node that is such a one.
    pub fn old_block(&self, to: usize, is: impl Fn(&[u8]) -> bool) -> Option<Arc<[u8]>> {
        self.old_blocks.iter().find(|(node, bytes)| *node == to && is(bytes)).map(|(_, bytes)| Arc::clone(bytes))
    }

    /// One more message is under way to a node.
    pub fn comes(&mut self, connection: u64, node: usize) {
        if let Some(known) = self.connections.get_mut(&connection) {
            known.flying[node] += 1;
        }
    }

    /// A frame that was sent some time ago, and to whom.
    pub fn old(&mut self) -> Option<(usize, Arc<[u8]>)> {
        let place = self.random.index(self.old.len().max(1));
        self.old.get(place).cloned()
    }

    /// One end closes, and its system says so, if it can.
    pub fn close(&mut self, queue: &mut Queue, node: usize, connection: u64, says: bool) {
        let latency = self.latency();
        let Some(known) = self.connections.get_mut(&connection) else { return };
        known.open[node] = false;
        let other = 1 - node;
        if !known.open[other] {
            self.connections.remove(&connection);
        } else if says {
            let time_ns = (self.cut_until_ns[node][other].max(queue.now_ns) + latency).max(known.last_ns[other]);
            queue.at(time_ns, What::Closed { node: other, connection });
        }
    }

    /// When a message between a node and the arbiter comes; none when it is lost.
    pub fn comes_ns(&mut self, from: usize, to: usize, now_ns: u64, swaps: bool) -> Option<u64> {
        let mut delay_ns = self.latency();
        if swaps && self.swaps_late_until_ns > now_ns {
            self.harmed.loose += 1;
            delay_ns += self.random.below(2_500_000_000);
        }
        if let Some((lost, _, late)) = self.loose {
            if self.random.chance(lost) {
                self.harmed.lost += 1;
                return None;
            }
            if self.random.chance(2 * late) {
                self.harmed.loose += 1;
                delay_ns += self.random.below(400_000_000);
            }
        }
        let cut_ns = self.cut_until_ns[from][to];
        if cut_ns > now_ns {
            self.harmed.held += 1;
            // What is on its way may be sent again by the system when the link is back.
            return self.random.chance(500).then_some(cut_ns + delay_ns);
        }
        Some(now_ns + delay_ns)
    }
}

fn remember(old: &mut VecDeque<(usize, Arc<[u8]>)>, to: usize, bytes: &Arc<[u8]>) {
    if old.len() == OLD_MAX {
        old.pop_front();
    }
    old.push_back((to, Arc::clone(bytes)));
}
