//! `headworks-sim [pair] --seed N`, or `--seeds N [--from N]`: runs the simulator and says how to replay what fails.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

const USAGE: &str =
    "usage: headworks-sim (--seed N | --seeds N [--from N]) [--regime quiet|blocks|headers|records|sidecars|checkpoints|mixed]
       headworks-sim pair (--seed N | --seeds N [--from N]) [--mutant NAME] [--faults NAME,…] [--tell yes]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((first, rest)) if first == "pair" => cli::pair::command(rest),
        _ => cli::lane::command(&words),
    };
    done.unwrap_or_else(|says| {
        eprintln!("{says}\n{USAGE}");
        ExitCode::from(2)
    })
}
