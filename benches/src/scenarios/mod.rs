//! One scenario a file: what is loaded, what is measured beside it, and the bar.

mod catch_up;
mod connections;
mod gso1400;
mod gso64;
mod history;
mod idle;
mod latency;
mod memory;
mod pair;
mod recovery;
mod rings;
mod single;
mod tails;
mod tcp_senders;
mod throughput;
mod versus_kafka;

use crate::bench::Bench;
use crate::figures::Row;

/// A scenario.
pub struct Scenario {
    /// What it is called by.
    pub name: &'static str,
    /// What it measures.
    pub what: &'static str,
    /// Whether `all` and `smoke` measure it too; else it needs more than this project, and runs when it is named.
    pub is_own: bool,
    /// Measures it.
    pub run: fn(&Bench) -> Result<Vec<Row>, String>,
}

const ALL: [Scenario; 15] = [
    own("gso64", "64 B in trains, durable records against receiving alone", gso64::run),
    own("gso1400", "1400 B in trains, durable bytes against receiving and writing alone", gso1400::run),
    own("single", "one packet a send, the rate without loss against the sender's own", single::run),
    own("latency", "receive stamp to durable against the disk's own write and sync", latency::run),
    own("history", "one client reading history against reading the files", history::run),
    own("tails", "eight consumers at the end of a partition beside packets", tails::run),
    own("connections", "memory of idle Kafka connections", connections::run),
    own("tcp-senders", "a thousand TCP senders, acknowledged, against linger and the disk's own write and sync", tcp_senders::run),
    own("memory", "resident size over a soak", memory::run),
    own("recovery", "recovery of a large log, with and without sidecars", recovery::run),
    own("idle", "processor time of a node with nothing to do", idle::run),
    own("pair", "processor time of a pair's primary for each durable byte against a single node's", pair::run),
    own("catch-up", "a standby that is behind, against reading, sending and writing the same files", catch_up::run),
    own("rings", "the rings alone", rings::run),
    Scenario {
        is_own: false,
        ..own("versus-kafka", "Apache Kafka's own broker beside the appliance, by its own client", versus_kafka::run)
    },
];

const fn own(name: &'static str, what: &'static str, run: fn(&Bench) -> Result<Vec<Row>, String>) -> Scenario {
    Scenario { name, what, is_own: true, run }
}

/// The scenarios that a name stands for.
///
/// # Errors
/// No scenario is called so.
pub fn chosen(name: &str) -> Result<Vec<&'static Scenario>, String> {
    let all = matches!(name, "all" | "smoke");
    let chosen: Vec<&Scenario> = ALL.iter().filter(|scenario| all && scenario.is_own || scenario.name == name).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        return Err(format!("no scenario is called {name}; there are {}, all and smoke", names.join(", ")));
    }
    Ok(chosen)
}
