//! `headworks check-config FILE`: what would be in effect, or everything that is wrong.
//!
//! The answer is the one that `run --config FILE` would act on: the environment counts here too, and every value names its place, so that a
//! variable left behind in a unit file is seen. Nothing is opened, made or locked.

use std::process::ExitCode;

use crate::args::CheckConfigArgs;
use crate::config::{Config, ConfigErrors, Sources};
use crate::stdout;

/// Prints the effective configuration to stdout (0), or every problem to stderr (78).
pub fn check_config(args: &CheckConfigArgs) -> ExitCode {
    let sources = Sources::with_process_environment(Some(args.file.clone()), None, args.set.clone());
    match Config::resolve(&sources) {
        Ok(resolved) => {
            stdout::write(format_args!("{resolved}"));
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::from(ConfigErrors::EXIT)
        }
    }
}
