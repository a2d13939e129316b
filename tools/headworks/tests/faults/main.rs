//! The fault column: the real binary under kill -9, full disks, flipped bits and more packets than it can take.
//!
//! `HEADWORKS_FAULTS` chooses the column: `short` runs every fault a few times, `full` at the counts that the matrix asks for. Unset means
//! `short`; in a build with debug assertions it means once each, since there the assertions are what is wanted.

mod blasts;
mod flips;
mod full_disk;
mod groups;
#[path = "../harness/mod.rs"]
mod harness;
mod image;
mod kills;
mod rot;
mod startup;

use harness::program;
use std::path::Path;

/// How often each fault happens.
#[derive(Debug, Clone, Copy)]
struct Column {
    /// kill -9 under load.
    kills: usize,
    /// kill -9 at a random moment of start-up.
    startup_kills: usize,
    /// Every so-manieth byte of a head page is flipped.
    head_bytes_step: usize,
    /// Random bits flipped and looked for in process.
    flips: usize,
    /// Of such, those with a start-up each.
    rotten_starts: usize,
    /// Length of a blast.
    blast: &'static str,
}

const ONCE: Column = Column { kills: 1, startup_kills: 3, head_bytes_step: 64, flips: 20, rotten_starts: 2, blast: "100ms" };
const SHORT: Column = Column { kills: 5, startup_kills: 10, head_bytes_step: 1, flips: 500, rotten_starts: 5, blast: "300ms" };
const FULL: Column = Column { kills: 50, startup_kills: 200, head_bytes_step: 1, flips: 5_000, rotten_starts: 50, blast: "5s" };

impl Column {
    fn chosen() -> Column {
        match std::env::var("HEADWORKS_FAULTS").as_deref() {
            Ok("full") => FULL,
            Ok("short") => SHORT,
            Ok(other) => panic!("HEADWORKS_FAULTS={other}: write short or full"),
            Err(_) if cfg!(debug_assertions) => ONCE,
            Err(_) => SHORT,
        }
    }
}

/// `verify` of the directory must find it clean.
fn assert_clean(data: &Path, what: &str) {
    let output = program::call(["verify", &program::text_of(data)]);
    let said = program::said(&output);
    assert_eq!(output.status.code(), Some(0), "{what}: {}\n{said}", output.status);
}
