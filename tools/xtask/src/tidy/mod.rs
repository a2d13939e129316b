//! `cargo xtask tidy`: the rules that no compiler checks, run over the files that git knows or would add.
//!
//! A rule is a function from the tree to what it found; it does no I/O, so its test is a tree of two strings. Rules read text,
//! with comments and literals told apart by a small lexer ([`source`]): they need no parser, and so no dependency, and hold on
//! a tree that does not compile. A finding says where, which rule, and what to do instead.

mod decisions;
mod direction;
mod lengths;
mod librdkafka;
mod machine;
mod manifest;
mod promises;
mod source;
mod tree;
mod unsafety;
mod way;
mod words;

use std::fmt;

use crate::report::Outcome;
use crate::workspace::Workspace;
use tree::Tree;

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the root.
    pub path: String,
    /// The line, from 1; 0 where the finding is about the file.
    pub line: usize,
    /// What is wrong and what to do instead.
    pub says: String,
}

/// A rule: its name, and the function that finds its breaches.
struct Rule {
    name: &'static str,
    find: fn(&Tree) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    rule("forbid-unsafe", unsafety::forbidden_in_every_root),
    rule("unsafe", unsafety::nowhere_else),
    rule("lints", manifest::lints_come_from_the_workspace),
    rule("direction", direction::arrows_point_down),
    rule("edge", direction::io_only_at_the_edge),
    rule("way", way::exists_in_order),
    rule("words", words::banned),
    rule("columns", lengths::columns),
    rule("lengths", lengths::ratchet),
    rule("promises", promises::have_tests),
    rule("decisions", decisions::are_dated),
    rule("librdkafka", librdkafka::list_only_grows),
    rule("machine", machine::nothing_of_this_machine),
];

const fn rule(name: &'static str, find: fn(&Tree) -> Vec<Finding>) -> Rule {
    Rule { name, find }
}

/// Runs every rule over the workspace and prints what they found.
pub fn tidy(workspace: &Workspace) -> Outcome {
    let tree = match Tree::read(&workspace.root) {
        Ok(tree) => tree,
        Err(reason) => return Outcome::Failed(reason),
    };
    let findings = findings(&tree);
    for finding in &findings {
        eprintln!("{finding}");
    }
    println!("   {} rules over {} files", RULES.len(), tree.files().count());
    match findings.len() {
        0 => Outcome::Passed,
        count => Outcome::Failed(format!("{count} findings")),
    }
}

/// Every finding of every rule, as printed.
fn findings(tree: &Tree) -> Vec<String> {
    let of_rule = |rule: &Rule| {
        let name = rule.name;
        let found = (rule.find)(tree);
        found.into_iter().map(move |finding| format!("{finding} [{name}]"))
    };
    RULES.iter().flat_map(of_rule).collect()
}

impl Finding {
    /// About a line, from 1.
    pub fn at(path: &str, line: usize, says: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, says: says.into() }
    }

    /// About a whole file, or one that is not there.
    pub fn about(path: &str, says: impl Into<String>) -> Self {
        Self::at(path, 0, says)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(to, "{}: {}", self.path, self.says),
            line => write!(to, "{}:{line}: {}", self.path, self.says),
        }
    }
}

#[cfg(test)]
mod tests;
