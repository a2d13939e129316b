//! Steps with a header, a time and an outcome, and the summary that closes a run.
//!
//! ```text
//! ══ clippy
//!    $ cargo clippy --workspace --all-targets -- -D warnings
//!    … the tool's own output …
//! ── clippy: passed in 41.2 s
//! ```
//!
//! All steps run even when one fails: one run names everything that is wrong. A skipped step always carries its reason, and
//! is repeated at the end where nobody scrolls past it. The last line is plain, for whoever counts: `N passed, N failed, N skipped`.

use std::process::Command;
use std::time::{Duration, Instant};

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran and found nothing.
    Passed,
    /// It ran, or could not be started, and this is what is wrong.
    Failed(String),
    /// It could not run here, for this reason.
    Skipped(String),
}

/// The steps so far.
#[derive(Debug, Default)]
pub struct Report {
    steps: Vec<Ended>,
}

#[derive(Debug)]
struct Ended {
    name: String,
    outcome: Outcome,
    took: Duration,
}

impl Report {
    /// Runs one step between its header and its time.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome) {
        println!("\n══ {name}");
        let began = Instant::now();
        let outcome = work();
        let took = began.elapsed();
        println!("── {name}: {} in {}", verb(&outcome), seconds(took));
        self.add(name, outcome, took);
    }

    fn add(&mut self, name: &str, outcome: Outcome, took: Duration) {
        self.steps.push(Ended { name: name.to_owned(), outcome, took });
    }

    /// Whether any step failed.
    pub fn failed(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::Failed(_))) > 0
    }

    /// One line a step, with the reason where it did not pass, and the plain line of counts.
    pub fn summary(&self) -> String {
        let total = self.steps.iter().map(|step| step.took).sum();
        let mut text = format!("\n══ summary, {}\n", seconds(total));
        for step in &self.steps {
            let (word, took) = (verb(&step.outcome), seconds(step.took));
            text += &format!("{word:>9}  {took:>12}  {}", step.name);
            if let Outcome::Failed(reason) | Outcome::Skipped(reason) = &step.outcome {
                text += &format!(": {reason}");
            }
            text.push('\n');
        }
        let passed = self.count(|outcome| *outcome == Outcome::Passed);
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        text + &format!("\n{passed} passed, {failed} failed, {skipped} skipped\n")
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.steps.iter().filter(|step| is(&step.outcome)).count()
    }
}

/// Says the command as one would type it, runs it with this terminal and no input, and judges it by its exit code.
pub fn run(command: &mut Command) -> Outcome {
    let shown = show(command);
    println!("   $ {shown}");
    match command.stdin(std::process::Stdio::null()).status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("`{shown}` ended with {status}")),
        Err(error) => Outcome::Failed(format!("`{shown}` did not start: {error}")),
    }
}

/// The command with the variables set for it, without the folder that its program lies in.
pub fn show(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy().into_owned();
        // The search path is long and says nothing; what was put in front of it is named by other variables.
        (name != "PATH").then(|| format!("{}={}", name.to_string_lossy(), quoted(&value)))
    });
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let arguments = command.get_args().map(|argument| quoted(&argument.to_string_lossy()));
    let words = variables.chain([program.to_string_lossy().into_owned()]);
    words.chain(arguments).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains(char::is_whitespace) {
        return format!("\"{word}\"");
    }
    word.to_owned()
}

fn verb(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "FAILED",
        Outcome::Skipped(_) => "skipped",
    }
}

/// A duration as a reader of minutes wants it: `41.2 s`, `3 min 07 s`.
fn seconds(took: Duration) -> String {
    if took < Duration::from_secs(60) {
        return format!("{:.1} s", took.as_secs_f64());
    }
    format!("{} min {:02} s", took.as_secs() / 60, took.as_secs() % 60)
}

#[cfg(test)]
mod tests;
