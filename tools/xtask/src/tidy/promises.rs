//! SPECIFICATION.md: a promise is a table row, and its last cell names the tests that keep it, or says `pending`.
//!
//! ```text
//! | P3 | no acknowledgement before its level | `log::durable::sync_covers_only_earlier_writes` |
//!                                                └ crate, modules, function
//! | P9 | a pair survives one volume             | pending: replication |
//! ```
//!
//! The crate is its folder's name; every module on the way must be a folder, a file or an inline module where the function
//! is, `tests` itself may be left out; the function must be a test. A promise whose test was renamed is one that nobody keeps.

use super::Finding;
use super::source::{Source, identifier_after, numbered, words};
use super::tree::Tree;

const DOCUMENT: &str = "SPECIFICATION.md";

/// Every promise has tests that exist, or is pending.
pub fn have_tests(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file(DOCUMENT) else {
        return vec![Finding::about(DOCUMENT, "is not there; it holds the promises and the tests that keep them")];
    };
    let rows = promises(&file.text);
    if rows.is_empty() {
        return vec![Finding::about(DOCUMENT, "holds no promise; write them as rows of a table")];
    }
    let mut findings = Vec::new();
    for (line, cell) in rows {
        let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
        if tests.is_empty() && words(cell, "pending").next().is_none() {
            findings.push(Finding::at(DOCUMENT, line, "names no test; name one as `crate::path::test`, or say pending"));
        }
        let lost = tests.into_iter().filter(|test| !exists(tree, test));
        findings.extend(lost.map(|test| Finding::at(DOCUMENT, line, format!("names {test}, which is no test here"))));
    }
    findings
}

/// The last cell of each table row, with its line. The row before a separator is a header, and no promise.
fn promises(text: &str) -> Vec<(usize, &str)> {
    let is_separator = |row: &str| row.starts_with('|') && row.contains("--") && !row.contains(char::is_alphanumeric);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_header = |line: usize| lines.get(line).is_some_and(|next| is_separator(next));
    let rows = numbered(text).filter(|(line, row)| row.trim().starts_with('|') && !is_separator(row.trim()) && !is_header(*line));
    rows.map(|(line, row)| (line, last_cell(row))).collect()
}

fn last_cell(row: &str) -> &str {
    let row = row.trim().trim_end_matches('|');
    row.rsplit('|').next().unwrap_or(row)
}

/// Whether `crate::modules::function` is a test.
fn exists(tree: &Tree, test: &str) -> bool {
    let mut path: Vec<&str> = test.split("::").collect();
    let Some(function) = path.pop().filter(|_| !path.is_empty()) else {
        return false;
    };
    let Some(folder) = tree.crate_folder(path.remove(0)) else {
        return false;
    };
    let prefix = format!("{folder}/");
    let mut inside = tree.sources().filter_map(|(path, source)| Some((path.strip_prefix(&prefix)?, source)));
    inside.any(|(file, source)| path.iter().all(|module| holds_module(file, source, module)) && has_test(source, function))
}

fn holds_module(file: &str, source: &Source, module: &str) -> bool {
    let file = file.strip_suffix(".rs").unwrap_or(file);
    let inline = || words(&source.code, "mod").any(|start| identifier_after(&source.code, start + "mod".len()) == module);
    file.split('/').any(|part| part == module) || inline()
}

/// Whether the function is there with a test attribute: one of the lines between it and the item before it holds `test`.
fn has_test(source: &Source, function: &str) -> bool {
    let lines: Vec<&str> = source.code.lines().map(str::trim).collect();
    let gives = |line: &str| words(line, "fn").any(|start| identifier_after(line, start + "fn".len()) == function);
    let is_test = |at: usize| {
        let above = lines[..at].iter().rev().take_while(|line| !line.ends_with(['}', '{', ';']));
        above.into_iter().chain([&lines[at]]).any(|line| line.contains("#[") && words(line, "test").next().is_some())
    };
    (0..lines.len()).any(|at| gives(lines[at]) && is_test(at))
}
