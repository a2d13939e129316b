//! `headworks drill`: rehearses what an operator fears, on a real pair that it makes itself, and judges what came of it.
//!
//! ```text
//! scenario   what is done, as a table of steps; the runbooks hold the same words
//! network    four hosts as network namespaces on one bridge, or as addresses of loopback
//! rig        a witness and two nodes                 process   one of them           files  directories of who does not run
//! watch      how a node stands, by its own answer    log       what it said, and when
//! load       the generator, its check and its digest signs     what metrics must show of it
//! run        carries the steps out, measures         oracle    what must hold whatever was done
//! report     runs as JSON and for people             interrupt Ctrl-C ends a drill in order
//! ```
//!
//! The pair is this very program, started as an operator starts it; the load generator links none of it. Nothing outside of the drill's own
//! directory, namespaces and processes is touched, and all of it is removed at the end, whatever the end is. The directory of a drill that broke
//! a promise stays.

mod files;
mod interrupt;
mod load;
mod log;
mod network;
mod oracle;
mod process;
mod report;
mod rig;
mod run;
mod scenario;
mod signs;
mod watch;

use crate::args::{DrillCommand, DrillRunArgs};
use crate::node::Failure;
use crate::stdout::say;
use headworks_io::fatal::Reason;
use scenario::Scenario;

/// Lists the scenarios, or runs one; whether every promise was kept.
///
/// # Errors
/// The drill could not be carried out, which says nothing of the pair.
pub fn drill(command: &DrillCommand) -> Result<bool, Failure> {
    match command {
        DrillCommand::List => {
            list();
            Ok(true)
        }
        DrillCommand::Run(args) => rehearse(args),
    }
}

fn list() {
    for scenario in scenario::ALL {
        say!("{:<20} {}\n{:<20} steps and what to do: docs/runbooks/{}", scenario.name, scenario.says, "", scenario.runbook());
    }
}

fn rehearse(args: &DrillRunArgs) -> Result<bool, Failure> {
    let scenario = named(&args.scenario)?;
    if !args.loopback && !nix::unistd::geteuid().is_root() {
        return Err(Failure::new(
            Reason::Permission,
            "a drill makes network namespaces, which needs root: run it with sudo, or with --loopback where no step cuts a network",
        ));
    }
    if args.loopback && scenario.cuts_a_network() {
        return Err(Failure::new(Reason::Config, format!("{} cuts a network, which loopback cannot: run it as root", scenario.name)));
    }
    let drilled = run::all(scenario, args)?;
    let written = serde_json::to_string_pretty(&drilled).expect("a tree of numbers and strings") + "\n";
    std::fs::write(&args.report, written).map_err(|error| Failure::new(Reason::Config, format!("{}: {error}", args.report.display())))?;
    print!("{}", report::text(&drilled));
    Ok(drilled.is_kept() && !drilled.is_interrupted)
}

fn named(name: &str) -> Result<&'static Scenario, Failure> {
    let found = scenario::ALL.iter().copied().find(|scenario| scenario.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = scenario::ALL.iter().map(|scenario| scenario.name).collect();
        Failure::new(Reason::Config, format!("no scenario {name:?}; there are {}", names.join(", ")))
    })
}
