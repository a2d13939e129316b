//! `cargo xtask`: what a developer and CI run, one file a command.
//!
//! ```text
//! cargo xtask test              everything, step by step; what CI runs
//! cargo xtask tidy              the rules that no compiler checks
//! cargo xtask bench [NAME]      one scenario of the benches, in release
//! cargo xtask sim --seeds N     the simulator, in release; `sim pair --seeds N`: of two nodes
//! cargo xtask model [STEPS]     the pair's model, searched further than the tests do
//! cargo xtask faults [--full]   the fault matrix against the real binary
//! cargo xtask fuzz [TARGET]     decoders of untrusted bytes under libFuzzer
//! cargo xtask librdkafka        librdkafka's own tests against the real binary
//! ```
//!
//! It links no engine crate and nothing from a registry: it must build in a second on a tree whose engine does not compile,
//! since it is the one that says so. It refuses to guess: an unknown word is a usage error, never ignored.
#![forbid(unsafe_code)]

mod bench;
mod faults;
mod fuzz;
mod librdkafka;
mod model;
mod report;
mod sim;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use librdkafka::Selection;
use report::Outcome;
use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test                              run everything that CI runs
  tidy                              check the rules that no compiler checks
  bench [smoke|NAME] [ARGS]         one scenario, in release; smoke when no name is given
  sim [pair] --seed N | --seeds N [--from N]   the simulator, in release
  model [STEPS]                     every order of that many steps of the pair's model; 10 when not given
  faults [--full]                   the short column of the fault matrix, or all of it
  fuzz [--seconds N] [TARGET]       each fuzz target, or the one named, for N seconds; 600 when N is not given
  librdkafka [--idempotent] [NUMBER…]   librdkafka's own tests: all that the list lets run, or the ones named

exit codes: 0 all well, 1 something failed, 2 not a command
";

/// Usage errors, as everywhere in this project.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let [] | ["help" | "-h" | "--help"] = words[..] {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let workspace = match Workspace::open() {
        Ok(workspace) => workspace,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            return ExitCode::FAILURE;
        }
    };
    match words[..] {
        ["test"] => test::test(&workspace),
        ["tidy"] => exit(tidy::tidy(&workspace)),
        ["bench", ref rest @ ..] => exit(bench::bench(&workspace, rest)),
        ["sim", ref rest @ ..] if !rest.is_empty() => exit(sim::sim(&workspace, rest)),
        ["model", ref rest @ ..] if steps(rest).is_some() => exit(model::model(&workspace, steps(rest).unwrap_or(model::STEPS))),
        ["faults"] => exit(faults::faults(&workspace, faults::Column::Short)),
        ["fuzz", ref rest @ ..] if fuzz_words(rest).is_some() => {
            let (seconds, target) = fuzz_words(rest).unwrap_or((fuzz::LONG_SECONDS, None));
            exit(fuzz::fuzz(&workspace, seconds, target))
        }
        ["librdkafka", ref rest @ ..] if librdkafka_words(rest).is_some() => {
            let (numbers, idempotent) = librdkafka_words(rest).unwrap_or_default();
            let selection = if numbers.is_empty() { Selection::All } else { Selection::Numbers(numbers) };
            exit(librdkafka::librdkafka(&workspace, selection, idempotent))
        }
        ["faults", "--full"] => exit(faults::faults(&workspace, faults::Column::Full)),
        _ => {
            eprint!("xtask: not a command: {}\n\n{USAGE}", words.join(" "));
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Steps of `model`; none when the words are something else.
fn steps(words: &[&str]) -> Option<u32> {
    match words {
        [] => Some(model::STEPS),
        [steps] => steps.parse().ok().filter(|steps| *steps > 0),
        _ => None,
    }
}

/// Seconds and target of `fuzz`; none when the words are something else.
fn fuzz_words<'w>(words: &[&'w str]) -> Option<(u32, Option<&'w str>)> {
    let (seconds, rest) = match words {
        ["--seconds", seconds, rest @ ..] => (seconds.parse().ok().filter(|seconds| *seconds > 0)?, rest),
        rest => (fuzz::LONG_SECONDS, rest),
    };
    match rest {
        [] => Some((seconds, None)),
        [target] if !target.starts_with('-') => Some((seconds, Some(target))),
        _ => None,
    }
}

/// Numbers of `librdkafka`, and whether producers are idempotent; none when the words are something else.
fn librdkafka_words<'w, 's>(words: &'s [&'w str]) -> Option<(&'s [&'w str], bool)> {
    let (numbers, idempotent) = match words {
        ["--idempotent", numbers @ ..] => (numbers, true),
        numbers => (numbers, false),
    };
    numbers.iter().all(|number| librdkafka::list::is_number(number)).then_some((numbers, idempotent))
}

/// The exit code of a command that is one step.
fn exit(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Passed => ExitCode::SUCCESS,
        Outcome::Failed(reason) | Outcome::Skipped(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}
