//! `headworks`: one binary for the appliance and for looking at what it keeps.
//!
//! args → config → preflight → assemble → run. Every way to end has one exit code.
#![forbid(unsafe_code)]

mod args;
mod cat;
mod check_config;
mod client;
mod config;
mod drill;
mod node;
mod offline;
mod pair;
mod status;
mod stdout;
mod verify;
mod witness;

use args::{Args, Command};
use clap::Parser as _;
use headworks_io::fatal::Reason;
use node::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    begin_logging();
    match carry_out(args.into_command()) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("headworks: {}: {}", failure.reason.words(), failure.text);
            ExitCode::from(u8::try_from(failure.reason.exit_code()).expect("exit codes are below 256"))
        }
    }
}

/// Carries out the command.
fn carry_out(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(run) => {
            let sources = config::Sources::with_process_environment(run.config, run.data, run.set);
            let config = config::Config::load(&sources).map_err(|errors| Failure::new(Reason::Config, errors.to_string()))?;
            node::run(&config).map(|()| ExitCode::SUCCESS)
        }
        Command::CheckConfig(check) => Ok(check_config::check_config(&check)),
        Command::Status(status) => status::run(status.http, status.output).map(answer),
        Command::Verify(verify) => verify::run(&verify.dir, verify.output).map(answer),
        Command::Cat(cat) => cat::run(&cat).map(answer),
        Command::Pair(args) => pair::run(&args.command).map(answer),
        Command::Witness(args) => witness::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Drill(args) => drill::drill(&args.command).map(answer),
        Command::Version(version) => {
            print_version(version.verbose);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// 0 for a positive answer, 1 for a negative one.
fn answer(positive: bool) -> ExitCode {
    ExitCode::from(u8::from(!positive))
}

fn print_version(verbose: bool) {
    stdout::say!("headworks {}", env!("CARGO_PKG_VERSION"));
    if verbose {
        stdout::say!("block format {}", headworks_format::block::VERSION);
        stdout::say!("segment format {}", headworks_format::segment::VERSION);
        stdout::say!("superblock format {}", headworks_format::superblock::VERSION);
        stdout::say!("witness format {}", headworks_format::witness::VERSION);
    }
}

/// Everything but the ready line goes to standard error; no colour off a terminal or with NO_COLOR.
fn begin_logging() {
    use std::io::IsTerminal as _;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colour).with_target(false).init();
}
