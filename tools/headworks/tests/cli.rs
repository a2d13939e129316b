//! The real binary's command line: what it lists, what it refuses, and with which code and words.
//!
//! Nothing here starts an appliance; every call ends by itself.

use std::path::PathBuf;
use std::process::{Command, Output};

const GOOD: &str = "\
[node]
name = \"a\"
[log]
linger = \"3ms\"
[[stream]]
name = \"events\"
[[listener]]
name = \"udp\"
kind = \"udp\"
address = \"127.0.0.1:0\"
stream = \"events\"
";

/// The commands of this release, each of them in `--help` and no other.
const COMMANDS: [&str; 9] = ["run", "check-config", "status", "verify", "cat", "pair", "witness", "drill", "version"];

/// Runs the binary with nothing in its environment but `variables`.
fn headworks(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headworks"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command.output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// The code, and every part in the stream where that code speaks: stdout for 0, stderr for all others.
fn check(output: &Output, code: i32, parts: &[&str]) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "code {:?} of {code}\nstdout: {out}\nstderr: {err}", output.status.code());
    let (speaks, silent) = if code == 0 { (&out, &err) } else { (&err, &out) };
    assert!(silent.is_empty(), "{} bytes of 0 in the other stream: {silent}", silent.len());
    for part in parts {
        assert!(speaks.contains(part), "`{part}` is not in:\n{speaks}");
    }
}

/// A configuration file in a directory that lasts as long as the value.
struct ConfigFile {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl ConfigFile {
    fn new(text: &str) -> ConfigFile {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("headworks.toml");
        std::fs::write(&path, text).expect("the file is written");
        ConfigFile { _dir: dir, path }
    }

    fn path(&self) -> &str {
        self.path.to_str().expect("a temporary path is UTF-8")
    }
}

/// The first words below `Commands:`.
fn listed_commands(help: &str) -> Vec<String> {
    let section = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands = section.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    commands.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

mod check_config {
    use super::*;

    #[test]
    fn good_file_prints_what_is_in_effect() {
        let file = ConfigFile::new(GOOD);
        let output = headworks(&["check-config", file.path()], &[]);
        check(
            &output,
            0,
            &[
                "[node]\n",
                "name = \"a\"",
                "linger = \"3ms\"",
                "# line 4",
                "[[listener]]\nname = \"udp\"\n",
                "segment = \"256MiB\"",
                "# default",
            ],
        );
    }

    #[test]
    fn printed_configuration_is_a_good_file() {
        let first = headworks(&["check-config", ConfigFile::new(GOOD).path()], &[]);
        let again = ConfigFile::new(&text(&first.stdout));
        check(&headworks(&["check-config", again.path()], &[]), 0, &["linger = \"3ms\""]);
    }

    #[test]
    fn environment_and_set_are_laid_over_the_file() {
        let file = ConfigFile::new(GOOD);
        let variables = [("HEADWORKS_LOG_LINGER", "4ms"), ("HEADWORKS_LOG_DEPTH", "4")];
        let output = headworks(&["check-config", file.path(), "--set", "log.linger=5ms"], &variables);
        check(&output, 0, &["linger = \"5ms\"", "# --set log.linger=5ms", "depth = 4", "# environment variable HEADWORKS_LOG_DEPTH"]);
    }

    #[test]
    fn bad_file_names_line_key_reason_and_nearest() {
        let file = ConfigFile::new(&GOOD.replace("linger = \"3ms\"", "lingr = \"3ms\""));
        let output = headworks(&["check-config", file.path()], &[]);
        check(&output, 78, &["headworks.toml line 4, column 1: ", "log.lingr: unknown key", "the nearest valid key is `log.linger`"]);
    }

    #[test]
    fn every_problem_has_a_line_of_its_own() {
        let file = ConfigFile::new(&GOOD.replace("\"3ms\"", "\"3min\"").replace("stream = \"events\"", "stream = \"event\""));
        let output = headworks(&["check-config", file.path(), "--set", "log.ring=5MiB"], &[("HEADWORKS_HTTP_ADRESS", "x")]);
        check(
            &output,
            78,
            &[
                "line 4, column 1: log.linger: ",
                "line 11, column 1: listener.udp.stream: ",
                "HEADWORKS_HTTP_ADRESS: ",
                "--set log.ring=5MiB: log.ring: ",
            ],
        );
        let lines = text(&output.stderr).lines().count();
        assert_eq!(lines, 4, "{lines} lines of 4");
    }

    #[test]
    fn absent_file_is_a_configuration_error() {
        check(&headworks(&["check-config", "/nonexistent/headworks.toml"], &[]), 78, &["/nonexistent/headworks.toml: cannot be opened"]);
    }

    #[test]
    fn parts_of_later_releases_are_named_as_such() {
        let pair = "[pair]\npeer = \"10.0.0.2:9700\"\nlisten = \"0.0.0.0:9700\"\n";
        let file = ConfigFile::new(&format!("{GOOD}{pair}[arbiter]\nkind = \"etcd\"\n"));
        check(&headworks(&["check-config", file.path()], &[]), 78, &["line 16", "arbiter.kind", "`etcd` is an arbiter of a later release"]);
    }

    #[test]
    fn a_pair_is_printed_with_its_arbiter() {
        let file = ConfigFile::new(&format!(
            "{GOOD}[pair]\npeer = \"10.0.0.2:9700\"\nlisten = \"0.0.0.0:9700\"\n[arbiter]\nkind = \"witness\"\naddress = \"10.0.0.3:9701\"\n"
        ));
        let parts =
            ["[pair]\npeer = \"10.0.0.2:9700\"", "min_in_sync = 1", "uncommitted_max = \"1GiB\"", "heartbeat = \"10ms\"", "[arbiter]\n"];
        check(&headworks(&["check-config", file.path()], &[]), 0, &parts);
    }
}

mod run {
    use super::*;

    #[test]
    fn bad_settings_end_before_anything_is_opened() {
        for arguments in [&["--set", "log.lingr=2ms"][..], &["run", "--set", "log.lingr=2ms"][..]] {
            check(&headworks(arguments, &[]), 78, &["--set log.lingr=2ms: log.lingr: unknown key", "`log.linger`"]);
        }
    }
}

mod usage {
    use super::*;

    #[test]
    fn lines_that_cannot_be_understood_end_with_2() {
        let table: [&[&str]; 12] = [
            &["--nonsense"],
            &["doctor"],
            &["help"],
            &["check-config"],
            &["verify"],
            &["cat", "/tmp"],
            &["cat", "/tmp", "--stream", "events", "--format", "xml"],
            &["cat", "/tmp", "--stream", "events", "--offset", "-1"],
            &["status", "--http", "nowhere"],
            &["status", "-o", "yaml"],
            &["--set", "no-equals-sign"],
            &["--data", "/tmp/a", "version"],
        ];
        for arguments in table {
            check(&headworks(arguments, &[]), 2, &["error: "]);
        }
    }
}

mod help {
    use super::*;

    #[test]
    fn lists_exactly_the_commands_that_are_built() {
        let output = headworks(&["--help"], &[]);
        check(&output, 0, &["Usage:", "Examples:", "Exit codes:", "--config <FILE>", "--data <DIR>", "--set <SECTION.KEY=VALUE>"]);
        assert_eq!(listed_commands(&text(&output.stdout)), COMMANDS);
    }

    #[test]
    fn every_command_has_its_own_with_examples() {
        for command in COMMANDS.iter().filter(|command| **command != "version") {
            check(&headworks(&[command, "--help"], &[]), 0, &["Usage:", "Examples:", &format!("headworks {command}")]);
        }
        check(&headworks(&["version", "--help"], &[]), 0, &["Usage:", "--verbose"]);
    }

    #[test]
    fn has_no_colour_off_a_terminal() {
        let output = headworks(&["--help"], &[("TERM", "xterm-256color")]);
        check(&output, 0, &[]);
        assert!(!output.stdout.contains(&0x1b), "{} bytes with an escape among them", output.stdout.len());
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), GOOD).expect("it takes a few lines");
    let config = file.path().to_str().expect("temporary names are UTF-8");
    for arguments in [&["version", "--verbose"][..], &["drill", "list"], &["check-config", config]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_headworks"));
        let output = command.args(arguments).stdout(writer).stderr(std::process::Stdio::piped()).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    }
}
