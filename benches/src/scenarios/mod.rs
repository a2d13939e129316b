//! One scenario a file: what is loaded, what is measured beside it, and the bar.

mod gso1400;
mod gso64;
mod history;
mod idle;
mod latency;
mod memory;
mod recovery;
mod rings;
mod single;
mod throughput;

use crate::bench::Bench;
use crate::figures::Row;

/// A scenario.
pub struct Scenario {
    /// What it is called by.
    pub name: &'static str,
    /// What it measures.
    pub what: &'static str,
    /// Measures it.
    pub run: fn(&Bench) -> Result<Vec<Row>, String>,
}

const ALL: [Scenario; 9] = [
    Scenario { name: "gso64", what: "64 B in trains, durable records against receiving alone", run: gso64::run },
    Scenario { name: "gso1400", what: "1400 B in trains, durable bytes against receiving and writing alone", run: gso1400::run },
    Scenario { name: "single", what: "one packet a send, the rate without loss against the sender's own", run: single::run },
    Scenario { name: "latency", what: "receive stamp to durable against the disk's own write and sync", run: latency::run },
    Scenario { name: "history", what: "one client reading history against reading the files", run: history::run },
    Scenario { name: "memory", what: "resident size over a soak", run: memory::run },
    Scenario { name: "recovery", what: "recovery of a large log, with and without sidecars", run: recovery::run },
    Scenario { name: "idle", what: "processor time of a node with nothing to do", run: idle::run },
    Scenario { name: "rings", what: "the rings alone", run: rings::run },
];

/// The scenarios that a name stands for.
///
/// # Errors
/// No scenario is called so.
pub fn chosen(name: &str) -> Result<Vec<&'static Scenario>, String> {
    let all = matches!(name, "all" | "smoke");
    let chosen: Vec<&Scenario> = ALL.iter().filter(|scenario| all || scenario.name == name).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        return Err(format!("no scenario is called {name}; there are {}, all and smoke", names.join(", ")));
    }
    Ok(chosen)
}
