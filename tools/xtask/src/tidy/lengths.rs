//! Columns of a line, lines of a function, lines of a file.
//!
//! What was too long when the limit came is listed in a file with its length, one a line:
//!
//! ```text
//! function ingest/src/intake.rs take 84
//! file gateway/src/http/page.rs 700
//! ```
//!
//! It is a ratchet: a listed length is exact, so it must be lowered when the code shrinks and can never cover growth, and an
//! entry that is not needed any more must go. Several functions of one name in one file share an entry: the longest counts.

use std::collections::BTreeMap;

use super::Finding;
use super::source::numbered;
use super::tree::Tree;

const COLUMNS_MAX: usize = 160;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 600;

/// Where the exceptions are listed.
pub const ALLOWED: &str = "tools/xtask/tidy-allow.txt";

/// What is too long, as the list names it, with where it is and how long.
type TooLong = BTreeMap<String, (String, usize, usize)>;

/// No line of Rust is wider than a screen.
pub fn columns(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| file.source.is_some()) {
        for (line, text) in numbered(&file.text) {
            let columns = text.chars().count();
            if columns > COLUMNS_MAX {
                let says = format!("{columns} columns of at most {COLUMNS_MAX}; break the line");
                findings.push(Finding::at(&file.path, line, says));
            }
        }
    }
    findings
}

/// No function and no file is longer than its limit, but for those listed at exactly their length.
pub fn ratchet(tree: &Tree) -> Vec<Finding> {
    let list = tree.file(ALLOWED).map_or("", |file| file.text.as_str());
    let mut too_long = too_long(tree);
    let mut findings = Vec::new();
    let entries = numbered(list).filter(|(_, entry)| !entry.trim().is_empty() && !entry.starts_with('#'));
    for (line, entry) in entries {
        let mut find = |says: String| findings.push(Finding::at(ALLOWED, line, says));
        let Some((what, lines)) = parse(entry) else {
            find(format!("is neither `function PATH NAME LINES` nor `file PATH LINES`: {entry:?}"));
            continue;
        };
        match too_long.get(what) {
            None => find(format!("{what} is not too long any more; remove the entry")),
            Some((_, _, now)) if *now < lines => find(format!("{what} has shrunk to {now}; lower the entry")),
            Some((_, _, now)) if *now > lines => continue,
            Some(_) => {}
        }
        too_long.remove(what);
    }
    findings.extend(too_long.into_values().map(|(path, line, lines)| grown(&path, line, lines)));
    findings
}

fn parse(entry: &str) -> Option<(&str, usize)> {
    let (what, lines) = entry.trim().rsplit_once(' ')?;
    Some((what, lines.parse().ok()?))
}

fn grown(path: &str, line: usize, lines: usize) -> Finding {
    let (noun, limit) = if line == 0 { ("file", FILE_LINES_MAX) } else { ("function", FUNCTION_LINES_MAX) };
    Finding::at(path, line, format!("{noun} of {lines} lines, at most {limit}; split it by idea"))
}

fn too_long(tree: &Tree) -> TooLong {
    let mut found = TooLong::new();
    for file in tree.files() {
        let Some(source) = &file.source else { continue };
        let path = &file.path;
        for function in source.functions() {
            if function.lines > FUNCTION_LINES_MAX {
                let entry = found.entry(format!("function {path} {}", function.name)).or_default();
                if function.lines > entry.2 {
                    *entry = (path.clone(), function.line, function.lines);
                }
            }
        }
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            found.insert(format!("file {path}"), (path.clone(), 0, lines));
        }
    }
    found
}
