//! Words and calls that have no place, each with what stands there instead.
//!
//! Names are looked for in code and marks in comments, so a string or a sentence may hold any of them.

use super::Finding;
use super::source::{Source, identifier_after, words};
use super::tree::Tree;

/// In code anywhere.
const IN_CODE: &[(&str, &str)] = &[
    ("todo!", "write it, or leave the feature out"),
    ("unimplemented!", "write it, or return an error that says what is missing"),
    ("dbg!", "use tracing, or an assertion that states both numbers"),
    ("#[ignore", "mend the test or delete it; one that lacks a tool says so and returns"),
];

/// In the code of tests.
const IN_TESTS: &[(&str, &str)] =
    &[("thread::sleep", "wait for the event: a completion, a message, a line of output, or a clock that the test steps")];

/// In comments.
const IN_COMMENTS: &[(&str, &str)] =
    &[("FIXME", "mend it, or state the limit as a fact"), ("XXX", "say what the reader must know as a sentence")];

/// What types are not called, by how their names end.
const TYPE_ENDINGS: &[&str] = &["Manager", "Managers", "Helper", "Helpers"];
const TYPE_KEYWORDS: &[&str] = &["struct", "enum", "trait", "type", "union"];

/// What modules are not called.
const MODULE_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers"];

/// Names of the standard library's own that begin as ours may not.
const STANDARD_NAMES: &[&str] = &["get_mut", "get_ref"];

/// Finds them all.
pub fn banned(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        let mut find = |line: usize, says: String| findings.push(Finding::at(path, line, says));
        let tests_from = tests_begin(path, source);
        for (line, code) in source.code_lines() {
            phrases(code, IN_CODE, |says| find(line, says));
            if line >= tests_from {
                phrases(code, IN_TESTS, |says| find(line, format!("{says} (in a test)")));
            }
            names(code, |says| find(line, says));
        }
        for (line, comment) in source.comment_lines() {
            phrases(comment, IN_COMMENTS, |says| find(line, says));
        }
    }
    findings
}

fn phrases(text: &str, table: &[(&str, &str)], mut find: impl FnMut(String)) {
    for (phrase, instead) in table {
        if words(text, phrase).next().is_some() {
            find(format!("{phrase}: {instead}"));
        }
    }
}

/// The names that a line of code gives.
fn names(code: &str, mut find: impl FnMut(String)) {
    let given = |keyword: &'static str| words(code, keyword).map(move |start| identifier_after(code, start + keyword.len()));
    for name in given("fn") {
        if name.starts_with("get_") && !STANDARD_NAMES.contains(&name) {
            find(format!("fn {name}: name it for what it returns: {}", &name["get_".len()..]));
        }
    }
    for name in TYPE_KEYWORDS.iter().flat_map(|keyword| given(keyword)) {
        if TYPE_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            find(format!("type {name}: name it for what it is or owns"));
        }
    }
    for name in given("mod").filter(|name| MODULE_NAMES.contains(name)) {
        find(format!("mod {name}: name it for the one idea it holds"));
    }
}

/// The line from which a file is test code: the first of a test file, that of an inline test module, or none.
fn tests_begin(path: &str, source: &Source) -> usize {
    if path.ends_with("/tests.rs") || path.contains("/tests/") {
        return 1;
    }
    let inline = |(_, code): &(usize, &str)| code.trim_start().starts_with("mod tests {");
    source.code_lines().find(inline).map_or(usize::MAX, |(line, _)| line)
}
