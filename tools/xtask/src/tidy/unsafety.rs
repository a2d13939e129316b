//! `unsafe` lives in `engine/ring` and `engine/io`, and nowhere else.
//!
//! The attribute in each crate root lets the compiler refuse it; the word is looked for as well, since tests, benches and
//! examples are crates of their own whose roots need no attribute to stay safe.

use super::Finding;
use super::manifest;
use super::source::words;
use super::tree::Tree;

/// The crates whose memory is shared with another thread or with the kernel.
const UNSAFE_FOLDERS: &[&str] = &["engine/ring", "engine/io"];

const FORBID: &str = "#![forbid(unsafe_code)]";

/// Every root of a library or binary forbids it.
pub fn forbidden_in_every_root(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A fuzz package is a workspace of its own: the macro that makes its entry expands to what the attribute refuses.
    let members = manifest::all(tree).filter(|manifest| !manifest.is_workspace());
    for folder in members.map(|manifest| manifest.folder()).filter(|folder| !allowed(folder)) {
        for (path, source) in tree.sources().filter(|(path, _)| is_root(path, folder)) {
            if !source.code.contains(FORBID) {
                findings.push(Finding::about(path, format!("is a crate root without `{FORBID}`; add it")));
            }
        }
    }
    findings
}

/// The word stands in no other file.
pub fn nowhere_else(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources().filter(|(path, _)| !allowed(path)) {
        for (line, code) in source.code_lines() {
            if words(code, "unsafe").next().is_some() {
                let says = "unsafe outside engine/ring and engine/io; give one of them a safe function for it";
                findings.push(Finding::at(path, line, says));
            }
        }
    }
    findings
}

fn allowed(path: &str) -> bool {
    let inside = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    UNSAFE_FOLDERS.iter().any(|folder| inside(folder))
}

fn is_root(path: &str, folder: &str) -> bool {
    let Some(inside) = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix("/src/")) else {
        return false;
    };
    let binary = inside.strip_prefix("bin/").is_some_and(|rest| !rest.contains('/') || rest.ends_with("/main.rs"));
    binary || matches!(inside, "lib.rs" | "main.rs")
}
