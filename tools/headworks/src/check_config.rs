//! `headworks check-config FILE`: what would be in effect, or everything that is wrong.
//!
//! The answer is the one that `run --config FILE` would act on: the environment counts here too, and every value names its place, so that a
//! variable left behind in a unit file is seen. Nothing is opened, made or locked.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::CheckConfigArgs;
use crate::config::{Config, ConfigErrors, Sources};

/// Prints the effective configuration to stdout (0), or every problem to stderr (78).
pub fn check_config(args: &CheckConfigArgs) -> ExitCode {
    let sources = Sources::with_process_environment(Some(args.file.clone()), None, args.set.clone());
    match Config::resolve(&sources) {
        Ok(resolved) => print(&resolved.to_string()),
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::from(ConfigErrors::EXIT)
        }
    }
}

/// A reader that has seen enough (`| head`) is no failure; any other refusal of the output is, or a script would take half for the whole.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("standard output cannot be written: {error}; give it room or another place");
            ExitCode::FAILURE
        }
    }
}
