//! The real clients that tests talk to: found, or installed where that is allowed, or named as skipped with the reason.
//!
//! | tool | found as | installed by | tests learn it from |
//! |---|---|---|---|
//! | kcat | `kcat` on the search path | apt, when root | `HEADWORKS_KCAT` |
//! | confluent-kafka, kafka-python, aiokafka | `target/venv/bin/python` | pip into that venv | `HEADWORKS_PYTHON` |
//!
//! What builds librdkafka's tests (a C and a C++ compiler, make, python) is found or installed by apt in the same way, when they are built.
//!
//! A variable is set only when its tool has answered here, so a test that finds the variable must use the tool and may fail by
//! it, and a test that does not find it says so and returns. Nothing is installed outside `target/` but Debian packages, those
//! only by root, and nothing that already works is touched.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::report::{Outcome, Report, run};
use crate::workspace::Workspace;

/// Pinned: a client that changes under the tests makes every failure a question. Each with what tells that it is there.
const PYTHON_CLIENTS: [(&str, &str); 3] = [
    ("confluent-kafka==2.16.1", "import confluent_kafka as c; assert c.version() == '2.16.1', c.version()"),
    ("kafka-python==3.0.12", "import kafka as k; assert k.__version__ == '3.0.12', k.__version__"),
    ("aiokafka==0.14.0", "import aiokafka as a; assert a.__version__ == '0.14.0', a.__version__"),
];

/// Variables for every later step: one for each tool that answered.
pub type Variables = Vec<(&'static str, OsString)>;

/// Makes each tool a step of the report and returns what the tests are told.
pub fn ensure(workspace: &Workspace, report: &mut Report) -> Variables {
    let mut variables = Variables::new();
    report.step("tool kcat", || {
        let outcome = ensure_kcat();
        if outcome == Outcome::Passed {
            variables.push(("HEADWORKS_KCAT", "kcat".into()));
        }
        outcome
    });
    report.step("tools confluent-kafka, kafka-python, aiokafka", || {
        let python = workspace.target.join("venv/bin/python");
        let outcome = ensure_python_clients(workspace, &python);
        if outcome == Outcome::Passed {
            variables.push(("HEADWORKS_PYTHON", python.into()));
        }
        outcome
    });
    variables
}

fn ensure_kcat() -> Outcome {
    let mut probe = Command::new("kcat");
    probe.arg("-V");
    if answers(&mut probe) {
        return Outcome::Passed;
    }
    match install(&["kcat"]) {
        Ok(()) if answers(&mut probe) => Outcome::Passed,
        Ok(()) => Outcome::Skipped("kcat was installed and does not run".to_owned()),
        Err(reason) => Outcome::Skipped(reason),
    }
}

fn ensure_python_clients(workspace: &Workspace, python: &PathBuf) -> Outcome {
    let imports = PYTHON_CLIENTS.map(|(_, probe)| probe).join("\n");
    let mut probe = Command::new(python);
    probe.args(["-c", &imports]);
    if answers(&mut probe) {
        return Outcome::Passed;
    }
    if !answers(Command::new(python).arg("--version"))
        && let Err(reason) = make_venv(workspace)
    {
        return Outcome::Skipped(reason);
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet"]).args(PYTHON_CLIENTS.map(|(package, _)| package));
    match run(&mut pip) {
        Outcome::Passed if answers(&mut probe) => Outcome::Passed,
        Outcome::Passed => Outcome::Skipped(format!("a client does not import; try: {imports:?}")),
        Outcome::Failed(reason) | Outcome::Skipped(reason) => Outcome::Skipped(reason),
    }
}

/// Programs with the Debian packages that have them: all answer, or this says why one does not.
pub fn ensure_programs(needs: &[(&str, &'static str)]) -> Result<(), String> {
    let missing = || needs.iter().filter(|(program, _)| !answers(Command::new(program).arg("--version")));
    let packages: Vec<&str> = missing().map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    install(&packages)?;
    missing().next().map_or(Ok(()), |(program, package)| Err(format!("{package} was installed and {program} does not run")))
}

/// A venv under the target folder. Debian ships python without the part that fills one, so a first failure is worth one
/// package; `--clear` removes what that failure left behind.
fn make_venv(workspace: &Workspace) -> Result<(), String> {
    let make = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]);
        run(command.arg(workspace.target.join("venv")))
    };
    if make() == Outcome::Passed {
        return Ok(());
    }
    install(&["python3", "python3-venv"])?;
    match make() {
        Outcome::Passed => Ok(()),
        Outcome::Failed(reason) | Outcome::Skipped(reason) => Err(reason),
    }
}

/// Installs Debian packages, or says why it may not.
fn install(packages: &[&str]) -> Result<(), String> {
    let wanted = packages.join(" ");
    let by_hand = format!("install by hand: apt-get install {wanted}");
    if !is_root().map_err(|error| format!("cannot read who runs this: {error}"))? {
        return Err(format!("{wanted} not here and not root; {by_hand}"));
    }
    if !answers(Command::new("apt-get").arg("--version")) {
        return Err(format!("{wanted} not here and neither is apt-get"));
    }
    apt(&["update", "--quiet=2"])?;
    let mut words = vec!["install", "--quiet=2", "--yes", "--no-install-recommends"];
    words.extend(packages);
    apt(&words)
}

fn apt(words: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
    match run(&mut command) {
        Outcome::Passed => Ok(()),
        Outcome::Failed(reason) | Outcome::Skipped(reason) => Err(reason),
    }
}

/// The owner of a process's own folder is its effective user.
fn is_root() -> std::io::Result<bool> {
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

/// Whether a program starts and ends well; what it prints is of no interest.
fn answers(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    quiet.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
