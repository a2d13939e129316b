//! The way of a packet, to be read in one sitting: ARCHITECTURE.md names its files in order, and they exist.
//!
//! ```text
//! ingest/udp → ingest/intake → ring/slots → …
//! └ crate    └ module: <crate>/src/intake.rs or <crate>/src/intake/mod.rs
//! ```
//!
//! A reader who follows that line must not end at a file that was renamed. The line is found by its first step; a list that
//! breaks over lines goes on to the backtick that closes it. A step named twice, or one that is no path, is refused: then the
//! line is no order any more.

use super::Finding;
use super::tree::Tree;

const DOCUMENT: &str = "ARCHITECTURE.md";
const FIRST: &str = "ingest/udp →";

/// Each step of the way is a file, and no step comes twice.
pub fn exists_in_order(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file(DOCUMENT) else {
        return vec![Finding::about(DOCUMENT, "is not there; it draws the crates and the way of a packet")];
    };
    let Some(start) = file.text.find(FIRST) else {
        let says = format!("names no way of a packet; write it as `{FIRST} …`");
        return vec![Finding::about(DOCUMENT, says)];
    };
    let line = file.text[..start].matches('\n').count() + 1;
    let list = file.text[start..].split('`').next().unwrap_or_default();
    let steps: Vec<&str> = list.split('→').map(str::trim).collect();
    let wrong = steps.iter().enumerate().filter_map(|(index, step)| {
        if steps[..index].contains(step) {
            return Some(format!("the way of a packet comes to {step} twice"));
        }
        missing(tree, step)
    });
    wrong.map(|says| Finding::at(DOCUMENT, line, says)).collect()
}

/// What is wrong with one step, if anything.
fn missing(tree: &Tree, step: &str) -> Option<String> {
    let Some((name, module)) = step.split_once('/') else {
        return Some(format!("the way of a packet has a step that is no file: {step:?}; write crate/module"));
    };
    let Some(folder) = tree.crate_folder(name) else {
        return Some(format!("the way of a packet goes through {step}, and there is no crate {name}"));
    };
    let files = [format!("{folder}/src/{module}.rs"), format!("{folder}/src/{module}/mod.rs")];
    if files.iter().any(|file| tree.has(file)) {
        return None;
    }
    Some(format!("the way of a packet goes through {step}, and neither {} nor {} is there", files[0], files[1]))
}
