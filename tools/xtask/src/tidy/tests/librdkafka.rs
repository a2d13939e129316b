use super::check;
use crate::librdkafka::list;

#[test]
fn a_tree_without_the_list_is_found() {
    check("librdkafka", &[], &["is not there"]);
}

#[test]
fn a_line_that_is_none_is_found() {
    check("librdkafka", &[(list::PATH, "0001 sometimes\n")], &["tests.txt:1: 0001: Some(\"sometimes\") is none of"]);
}
