//! The list of librdkafka's tests only grows: what passed once runs, and what does not run says why.

use super::Finding;
use super::tree::Tree;
use crate::librdkafka::list;

/// Finds what the list has lost.
pub fn list_only_grows(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file(list::PATH) else {
        return vec![Finding::about(list::PATH, "is not there; it says which of librdkafka's tests run")];
    };
    list::check(&file.text).into_iter().map(|(line, says)| Finding::at(list::PATH, line, says)).collect()
}
