//! `headworks witness`: the arbiter of up to 64 pairs, on a host of its own and outside the data path.
//!
//! ```text
//! main       waits for signals
//! └─ hw-witness   file, sockets: one poll loop
//! ```
//!
//! A directory without a file is formatted: a new witness, with an identity of its own that every answer carries. A file that cannot be
//! trusted stops the start. A failed write or sync ends the process with 74, at once and for good.

use crate::args::WitnessArgs;
use crate::node::{self, Failure, directory};
use headworks_format::witness::Identity;
use headworks_io::fatal::{Reason, fatal};
use headworks_io::{Clock, Volume};
use headworks_replicator::link::file::{FileError, RegisterFile, WITNESS_FILE};
use headworks_replicator::link::server::{Event, Server};
use std::net::TcpListener;

/// Serves until a signal ends it.
///
/// # Errors
/// What kept it from starting.
pub fn run(args: &WitnessArgs) -> Result<(), Failure> {
    let signals = node::block_signals()?;
    let volume = Volume::lock(&args.data)?;
    let listener = node::server(args.listen, "witness", "--listen HOST:PORT")?;
    let identity = Identity { incarnation: directory::random_u128()?, created_ns: Clock.realtime_ns() };
    let (file, notes) = RegisterFile::open(volume, WITNESS_FILE, identity).map_err(explain)?;
    notes.iter().for_each(|note| tracing::warn!("{note}"));
    let incarnation = format!("{:032x}", file.incarnation());
    if file.incarnation() == identity.incarnation {
        tracing::info!(incarnation, "{} is new: formatted", args.data.display());
    } else {
        tracing::info!(incarnation, "{} opened", args.data.display());
    }
    let line = ready_line(&listener, args)?;
    let server = Server::new(listener, file, Box::new(say));
    let server = server.map_err(|error| Failure::new(Reason::Kernel, format!("the witness cannot begin: {error}")))?;
    let stop = server.stop();
    let loop_thread = node::spawn("hw-witness", move || {
        if let Err(error) = server.run() {
            fatal(Reason::Storage, error.to_string());
        }
    })?;
    println!("{line}");
    node::notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(&line)]);

    let signal = signals.wait().map_err(|error| Failure::new(Reason::Kernel, format!("cannot wait for signals: {error}")))?;
    tracing::info!(%signal, "stopping: every swap that was answered is durable");
    node::notify(&[sd_notify::NotifyState::Stopping]);
    stop.stop();
    node::join(loop_thread, "the witness");
    Ok(())
}

fn ready_line(listener: &TcpListener, args: &WitnessArgs) -> Result<String, Failure> {
    let address = listener.local_addr();
    let address = address.map_err(|error| Failure::new(Reason::Kernel, format!("a bound socket has no address: {error}")))?;
    Ok(format!("ready witness={address} data={}", args.data.display()))
}

fn explain(error: FileError) -> Failure {
    let reason = match &error {
        FileError::Damaged { fault: headworks_replicator::witness::Fault::Version(_), .. } => Reason::Config,
        FileError::Os { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied => Reason::Permission,
        FileError::Damaged { .. } | FileError::Os { .. } => Reason::Storage,
    };
    Failure::new(reason, error.to_string())
}

fn say(event: Event) {
    match event {
        Event::Swapped { place, register, peer } => tracing::info!(
            place,
            version = register.version,
            epoch = register.epoch.0,
            primary = format!("{:032x}", register.primary.node),
            standby = register.standby.map_or_else(|| "none".to_owned(), |standby| format!("{:032x}", standby.node)),
            %peer,
            "register swapped"
        ),
        Event::Denied { why, peer } => tracing::warn!(?why, %peer, "request denied"),
        Event::Closed { why, peer, closed } => tracing::warn!(?why, %peer, closed, "connection closed"),
        Event::Accept(error) => tracing::warn!(%error, "a connection could not be taken"),
    }
}
