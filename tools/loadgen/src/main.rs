//! `headworks-loadgen`: sends packets that can be told apart, and accounts for every one of them.
//!
//! ```text
//!  pace      when each packet is due            ┐
//!  packet    what each packet says of itself    │
//!  load      what a run is told                 ├ of no transport
//!  ledger    what was sent, as a file           │
//!  journal   keeps it ahead of the sender       ┘
//!  udp, tcp, producer  send          verify      reads back and judges
//!  appliance its ledger over HTTP    kafka       its topics, and the wire
//!  digest    whether an offset ever held anything else
//! ```
//!
//! It links no crate of the engine: what checks the appliance shares no code with it.
//!
//! stdout carries the result, as a table or as JSON; warnings and errors go to stderr. Exit codes: 0 done,
//! or every packet accounted for; 1 failed, or not; 2 wrong usage.

#![forbid(unsafe_code)]

mod appliance;
mod cli;
mod clock;
mod digest;
mod journal;
mod kafka;
mod ledger;
mod load;
mod pace;
mod packet;
mod producer;
mod quantity;
mod report;
mod stop;
mod tcp;
mod udp;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use cli::{Cli, Command, Common, DURATION_DEFAULT, Output};
use load::{Load, Sent};
use stop::Stop;

fn main() -> ExitCode {
    // Usage errors end here with exit code 2.
    let done = match Cli::parse().command {
        Command::Udp(options) => udp(options),
        Command::Tcp(options) => tcp(options),
        Command::Kafka(options) => kafka(options),
        Command::Verify(options) => verify(options),
        Command::Digest(options) => digest(options),
    };
    done.unwrap_or_else(|reason| {
        eprintln!("error: {reason}");
        ExitCode::FAILURE
    })
}

fn udp(options: cli::Udp) -> Result<ExitCode, String> {
    let (target, gso) = (options.target, options.gso);
    send(options.common, options.sources, |load, stop| udp::send(&udp::Plan { target, load, gso }, stop))
}

fn tcp(options: cli::Tcp) -> Result<ExitCode, String> {
    let (target, framing, ack) = (options.target, options.framing, options.ack);
    send(options.common, options.sources, |load, stop| tcp::send(&tcp::Plan { target, load, framing, ack }, stop))
}

fn kafka(options: cli::Kafka) -> Result<ExitCode, String> {
    let cli::Kafka { target, sources, topic, acks, linger, batch, request_timeout, common } = options;
    send(common, sources, |load, stop| {
        let plan = producer::Plan { servers: target, topic, acks, linger, batch_bytes: batch, patience: request_timeout, load };
        producer::send(&plan, stop)
    })
}

/// A sender: 0 once the run is over, early or not, and its ledger stands.
fn send(common: Common, sources: u32, run: impl FnOnce(Load, &Stop) -> Result<Sent, String>) -> Result<ExitCode, String> {
    let stop = Stop::on_signals().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let endless = common.duration.is_none() && common.count.is_none();
    let path = common.ledger.clone();
    let load = Load {
        rate: common.rate,
        size: common.size,
        duration: if endless { Some(DURATION_DEFAULT) } else { common.duration },
        count: common.count,
        sources,
        seed: common.seed,
        ledger: common.ledger,
        http: common.http,
    };
    let sent = run(load, &stop)?;
    for warning in report::warnings(&sent) {
        eprintln!("warning: {warning}");
    }
    match common.output {
        Output::Table => print(&report::table(&sent.ledger, &path))?,
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

/// `digest`: 0 only if every offset holds what it ever held.
fn digest(options: cli::Digest) -> Result<ExitCode, String> {
    let cli::Digest { bootstrap, topic, file } = options;
    let digest = digest::digest(&digest::Question { bootstrap, topic, file })?;
    print(&json(&digest))?;
    Ok(if digest.is_constant() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
