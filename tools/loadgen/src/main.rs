//! `headworks-loadgen`: sends packets that can be told apart, and accounts for every one of them.
//!
//! ```text
//!  pace      when each packet is due            ┐
//!  packet    what each packet says of itself    ├ of no transport
//!  ledger    what was sent, as a file           ┘
//!  udp       sends                   verify      reads back and judges
//!  appliance its ledger over HTTP    kafka       its topics
//! ```
//!
//! It links no crate of the engine: what checks the appliance shares no code with it.
//!
//! stdout carries the result, as a table or as JSON; warnings and errors go to stderr. Exit codes: 0 done,
//! or every packet accounted for; 1 failed, or not; 2 wrong usage.

#![forbid(unsafe_code)]

mod appliance;
mod cli;
mod kafka;
mod ledger;
mod pace;
mod packet;
mod quantity;
mod stop;
mod udp;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use cli::{Cli, Command, DURATION_DEFAULT, Output};

fn main() -> ExitCode {
    // Usage errors end here with exit code 2.
    let done = match Cli::parse().command {
        Command::Udp(options) => send(options),
        Command::Verify(options) => verify(options),
    };
    done.unwrap_or_else(|reason| {
        eprintln!("error: {reason}");
        ExitCode::FAILURE
    })
}

/// `udp`: 0 once the run is over, early or not, and its ledger stands.
fn send(options: cli::Udp) -> Result<ExitCode, String> {
    let stop = stop::Stop::on_signals().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let endless = options.duration.is_none() && options.count.is_none();
    let plan = udp::Plan {
        target: options.target,
        rate: options.rate,
        size: options.size,
        duration: if endless { Some(DURATION_DEFAULT) } else { options.duration },
        count: options.count,
        sources: options.sources,
        gso: options.gso,
        seed: options.seed,
        ledger: options.ledger,
        http: options.http,
    };
    let sent = udp::send(&plan, &stop)?;
    for warning in udp::report::warnings(&sent) {
        eprintln!("warning: {warning}");
    }
    match options.output {
        Output::Table => print(&udp::report::table(&sent.ledger, &plan.ledger))?,
        Output::Json => print(&json(&sent.ledger))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `verify`: 0 only if every packet is accounted for.
fn verify(options: cli::Verify) -> Result<ExitCode, String> {
    let findings = verify::verify(&verify::Question {
        bootstrap: options.bootstrap,
        http: options.http,
        topic: options.topic,
        ledger: options.ledger,
        level: options.level,
        listener: options.listener,
        timeout: options.timeout,
        latency: options.latency,
    })?;
    match options.output {
        Output::Table => print(&verify::report::table(&findings))?,
        Output::Json => print(&json(&findings))?,
    }
    Ok(if findings.balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn json(result: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(result).expect("a tree of numbers and strings");
    text.push('\n');
    text
}

/// Prints the result; a reader that went away is a failure, not a crash.
fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| format!("cannot print the result: {error}"))
}
