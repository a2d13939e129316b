//! What the gateway allows a client to take. Every queue, buffer and wait of this crate has its
//! bound here; the defaults suit an appliance with some hundred consumers.

use crate::groups::coordinator::Bounds;
use std::time::Duration;

/// Bounds of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open Kafka connections; one more is accepted, counted and closed.
    pub kafka_connections_max: usize,
    /// Open HTTP connections; more wait in the listener's backlog.
    pub http_connections_max: usize,
    /// Length of one request frame in bytes.
    pub request_bytes_max: usize,
    /// Bytes of request frames buffered over all connections, small frames excepted.
    pub requests_buffered_bytes_max: usize,
    /// Bytes of record batches in one answer; one batch more may come.
    pub reply_bytes_max: usize,
    /// Bytes of record batches buffered over all connections; one batch a connection more may come.
    pub replies_buffered_bytes_max: usize,
    /// Longest wait of a fetch, whatever the client asks.
    pub fetch_wait_max: Duration,
    /// How long a client may take to read or send the next byte of something begun.
    pub stall_max: Duration,
    /// How long a connection may be silent between requests.
    pub idle_max: Duration,
    /// How long the answers under way may take after shutdown was asked for.
    pub drain_max: Duration,
    /// Consumer groups and their members.
    pub groups: Bounds,
    /// Committed offsets over all groups.
    pub committed_offsets_max: usize,
    /// Bytes that they take in memory, about.
    pub committed_bytes_max: usize,
    /// Series of consumer lag in one scrape.
    pub lag_series_max: usize,
    /// How long what a group has committed outlives its last member, by the time of the newest commit of any group.
    pub offsets_retention: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            kafka_connections_max: 1024,
            http_connections_max: 64,
            // The largest batch with what stands around it, for several partitions: Apache Kafka's own client counts batches alone.
            request_bytes_max: 8 << 20,
            requests_buffered_bytes_max: 64 << 20,
            reply_bytes_max: 64 << 20,
            replies_buffered_bytes_max: 256 << 20,
            fetch_wait_max: Duration::from_secs(30),
            stall_max: Duration::from_secs(30),
            idle_max: Duration::from_secs(600),
            drain_max: Duration::from_secs(5),
            groups: Bounds {
                groups_max: 1024,
                members_max: 1024,
                group_bytes_max: 4 << 20,
                bytes_max: 64 << 20,
                // Apache Kafka asks for 6 s; on one machine a second is long.
                session_ms_min: 1_000,
                session_ms_max: 1_800_000,
                // Long enough for the consumers of one deployment that start together, which saves them a second rebalance;
                // Apache Kafka's own 3 s make everybody else wait for nothing.
                initial_delay_ms: 250,
                empty_ms_max: 60_000,
            },
            committed_offsets_max: 100_000,
            committed_bytes_max: 64 << 20,
            lag_series_max: 2_000,
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
        }
    }
}
