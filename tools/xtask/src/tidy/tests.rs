//! Each rule fires on a tree that breaks it and is silent on one that does not.

mod decisions;
mod direction;
mod lengths;
mod librdkafka;
mod machine;
mod manifest;
mod promises;
mod unsafety;
mod way;
mod words;

use super::tree::Tree;
use super::{Finding, RULES, findings};
use crate::workspace;

/// Runs the rule of that name over a tree of these files: one finding for each wanted text, in order, each holding it.
fn check(rule: &str, files: &[(&str, &str)], wanted: &[&str]) {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.add((*path).to_owned(), (*text).to_owned());
    }
    let rule = RULES.iter().find(|known| known.name == rule).expect("a rule of that name");
    let found: Vec<String> = (rule.find)(&tree).iter().map(Finding::to_string).collect();
    assert_eq!(found.len(), wanted.len(), "found {found:#?}, wanted {wanted:#?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.contains(wanted), "found {found:?}, wanted {wanted:?}");
    }
}

const MEMBER: &str = "[package]\nname = \"headworks-log\"\n[lints]\nworkspace = true\n";

#[test]
fn this_tree_is_tidy() {
    let tree = Tree::read(&workspace::root()).expect("a checkout");
    let found = findings(&tree);
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}
