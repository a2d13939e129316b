//! Benches of the whole appliance: the real binaries, each beside a limit or a peer measured in the same run.
//!
//! ```text
//!   args ──► bench: scale, binaries, a directory on the disk under test
//!              └──► scenarios/NAME ──► runner: probe, subject, probe, subject … ──► rows ──► table, JSON
//!                        │                ├─ probes/    what this machine could do at best, in this process
//!                        │                └─ process/   the appliance and its generator, as processes
//! ```
//!
//! A figure here is a ratio; absolute numbers are its context. Nothing fails for being slow: a missed bar is a row that
//! says so. What does fail is a run whose books do not close, or a scenario that cannot run at all.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod figures;
mod kafka;
mod machine;
mod probes;
mod process;
mod quiet;
mod runner;
mod scenarios;
mod table;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use bench::Bench;
use figures::{Report, Row};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("headworks-benches: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let chosen = scenarios::chosen(&args.name)?;
    process::guard::watch()?;
    let bench = Bench::prepare(args)?;
    let machine = machine::describe(bench.folder());
    print!("{}", table::machine(&machine));
    let mut rows: Vec<Row> = Vec::new();
    for scenario in chosen {
        eprintln!("{}: {}", scenario.name, scenario.what);
        let found = (scenario.run)(&bench).map_err(|error| format!("{}: {error}", scenario.name))?;
        print!("{}", table::rows(&found, bench.scale.judged));
        rows.extend(found);
    }
    let report = Report { machine, judged: bench.scale.judged, rows };
    match &args.json {
        Some(path) => report.write(path),
        None => Ok(()),
    }
}
