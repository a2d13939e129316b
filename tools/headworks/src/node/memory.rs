//! The node's memory as a sum with an owner a line, printed at start. Nothing on the data path is taken later.

use crate::config::{Config, ListenerKind};
use headworks_format::block::BLOCK_BYTES_MAX;
use headworks_format::checkpoint::{PARTITIONS_MAX, PRODUCER_BYTES, PRODUCERS_MAX};
use headworks_gateway::lanes::{CHUNK_BYTES, CHUNKS_MAX, SPARES_MAX};
use headworks_log::view::{INDEXES, OpenIndex, Partitions};

/// One owner.
pub struct Owner {
    /// What it is for.
    pub name: &'static str,
    /// Bytes.
    pub bytes: usize,
}

/// What a node of that shape takes.
#[must_use]
pub fn sum(lanes: usize, slots: usize, config: &Config, limits: &headworks_gateway::Limits) -> Vec<Owner> {
    let tcp = config.listeners.iter().filter(|listener| listener.kind == ListenerKind::Tcp);
    let connections_max: usize = tcp.map(|listener| listener.connections_max as usize).sum();
    let listeners = config.listeners.len() + 1;
    vec![
        Owner { name: "ring slots", bytes: lanes * slots * BLOCK_BYTES_MAX },
        Owner { name: "receive buffers", bytes: lanes * headworks_ingest::udp::RECEIVE_BYTES },
        Owner { name: "TCP connections, at most", bytes: lanes * headworks_ingest::tcp::edge::memory_bytes(connections_max) },
        Owner {
            name: "indexes of fresh segments",
            bytes: lanes * INDEXES * OpenIndex::bytes(PARTITIONS_MAX, headworks_format::sidecar::ENTRIES_MAX),
        },
        // Twice: the log's own table of producers, and the gateway's.
        Owner { name: "partitions and producers", bytes: lanes * (Partitions::BYTES + 2 * PRODUCERS_MAX * PRODUCER_BYTES) },
        Owner { name: "checkpoints and pages", bytes: lanes * (BLOCK_BYTES_MAX + (16 << 10)) },
        Owner { name: "chunks of history", bytes: (CHUNKS_MAX + SPARES_MAX) * usize::try_from(CHUNK_BYTES).expect("2 MiB") },
        Owner { name: "answers to consumers, at most", bytes: limits.replies_buffered_bytes_max },
        Owner { name: "requests of consumers, at most", bytes: limits.requests_buffered_bytes_max },
        Owner { name: "books", bytes: lanes * listeners * 256 },
    ]
}

/// The sum on one line.
#[must_use]
pub fn describe(owners: &[Owner]) -> String {
    let total: usize = owners.iter().map(|owner| owner.bytes).sum();
    let parts: Vec<String> = owners.iter().map(|owner| format!("{} {}", owner.name, mib(owner.bytes))).collect();
    format!("memory {} = {}", mib(total), parts.join(" + "))
}

fn mib(bytes: usize) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & ((1 << 20) - 1)) * 10) >> 20)
}
