//! librdkafka's sources, out of the Rust package that carries them, and its test program, built from them.
//!
//! The version stands in `tools/librdkafka/Cargo.toml` and nowhere else, exact; cargo checks the package against the lock file beside it.
//! What is built lies in a folder named after the version, and is there when its mark is: the mark is written last, so a build that
//! was cut short is begun again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::report::{Outcome, run, show};
use crate::tools;
use crate::workspace::Workspace;

const PACKAGE: &str = "rdkafka-sys";
const FOLDER: &str = "tools/librdkafka";
const MARK: &str = "built-by-xtask";
/// Nothing that its tests of a broker need is left out: they speak plain text, and the codecs come with the sources.
const CONFIGURE: [&str; 4] = ["configure", "--disable-curl", "--disable-gssapi", "--disable-ssl"];
/// What builds it: the program that must answer, and the Debian package that has it.
const NEEDS: [(&str, &str); 4] = [("cc", "gcc"), ("c++", "g++"), ("make", "make"), ("python3", "python3")];

/// The test program; built only if it is not there.
pub fn build(workspace: &Workspace) -> Result<PathBuf, Outcome> {
    let version = version(workspace).map_err(Outcome::Failed)?;
    let built = workspace.target.join("librdkafka").join(&version);
    let runner = built.join("tests/test-runner");
    if built.join(MARK).exists() {
        return Ok(runner);
    }
    tools::ensure_programs(&NEEDS).map_err(Outcome::Skipped)?;
    let sources = fetch(workspace, &version).map_err(Outcome::Skipped)?;
    compile(&sources, &built).map_err(Outcome::Failed)?;
    Ok(runner)
}

/// The version of the package that the manifest asks for, as in `rdkafka-sys = { version = "=1.2.3+4.5.6", … }`.
fn version(workspace: &Workspace) -> Result<String, String> {
    let manifest = workspace.root.join(FOLDER).join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(|error| format!("cannot read {}: {error}", manifest.display()))?;
    exact_version(&text).map(str::to_owned).ok_or_else(|| format!("{} names no exact version of {PACKAGE}", manifest.display()))
}

pub(super) fn exact_version(manifest: &str) -> Option<&str> {
    let line = manifest.lines().find(|line| line.starts_with(PACKAGE))?;
    let (_, from) = line.split_once("\"=")?;
    from.split('"').next().filter(|version| !version.is_empty())
}

/// Lets cargo fetch and check the package; the folder of librdkafka in it.
fn fetch(workspace: &Workspace, version: &str) -> Result<PathBuf, String> {
    let vendor = workspace.target.join("librdkafka/vendor");
    let mut command = workspace.cargo(["vendor", "--quiet", "--locked", "--versioned-dirs"]);
    command.current_dir(workspace.root.join(FOLDER)).arg(&vendor).stdout(Stdio::null());
    match run(&mut command) {
        Outcome::Passed => Ok(vendor.join(format!("{PACKAGE}-{version}")).join("librdkafka")),
        Outcome::Failed(reason) | Outcome::Skipped(reason) => Err(reason),
    }
}

fn compile(sources: &Path, built: &Path) -> Result<(), String> {
    if built.exists() {
        fs::remove_dir_all(built).map_err(|error| format!("cannot clear {}: {error}", built.display()))?;
    }
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(sources).arg(built);
    if let Outcome::Failed(reason) = run(&mut copy) {
        return Err(reason);
    }
    let log = built.join("build.log");
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = format!("-j{jobs}");
    let mut configure = Command::new("bash");
    configure.args(CONFIGURE);
    let mut libraries = Command::new("make");
    libraries.args([&jobs, "libs"]);
    let mut tests = Command::new("make");
    tests.args([&jobs, "-C", "tests", "build"]);
    for command in [&mut configure, &mut libraries, &mut tests] {
        into_log(command.current_dir(built), &log)?;
    }
    fs::write(built.join(MARK), "").map_err(|error| format!("cannot mark {} as built: {error}", built.display()))
}

/// Runs a command whose output is long and of interest only when it fails.
fn into_log(command: &mut Command, log: &Path) -> Result<(), String> {
    let shown = show(command);
    println!("   $ {shown}");
    let open = || -> std::io::Result<(File, File)> {
        let file = File::options().create(true).append(true).open(log)?;
        Ok((file.try_clone()?, file))
    };
    let (stdout, stderr) = open().map_err(|error| format!("cannot write {}: {error}", log.display()))?;
    match command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}; see {}", log.display())),
        Err(error) => Err(format!("`{shown}` did not start: {error}")),
    }
}
