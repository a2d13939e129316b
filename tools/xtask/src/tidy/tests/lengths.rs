use super::check;
use crate::tidy::lengths;

const PATH: &str = "ingest/src/a.rs";

fn ratchet(code: &str, allowed: &str, wanted: &[&str]) {
    check("lengths", &[(PATH, code), (lengths::ALLOWED, allowed)], wanted);
}

fn function_of(lines: usize) -> String {
    format!("\nfn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
}

#[test]
fn a_wide_line_is_found() {
    check("columns", &[(PATH, &"é".repeat(160)), ("README.md", &"x".repeat(161))], &[]);
    check("columns", &[(PATH, &format!("\n{}", "x".repeat(161)))], &["a.rs:2: 161 columns of at most 160"]);
}

#[test]
fn a_long_function_or_file_is_found() {
    ratchet(&function_of(70), "", &[]);
    ratchet(&function_of(71), "", &["a.rs:2: function of 71 lines, at most 70"]);
    ratchet(&"\n".repeat(600), "", &[]);
    ratchet(&"\n".repeat(601), "", &["a.rs: file of 601 lines, at most 600"]);
}

#[test]
fn a_listed_length_is_exact() {
    let code = function_of(80);
    ratchet(&code, "# why\n\nfunction ingest/src/a.rs long 80\n", &[]);
    ratchet(&code, "function ingest/src/a.rs long 79\n", &["function of 80 lines"]);
    ratchet(&code, "function ingest/src/a.rs long 81\n", &["txt:1: function ingest/src/a.rs long has shrunk to 80"]);
    ratchet(&"\n".repeat(700), "file ingest/src/a.rs 700\n", &[]);
}

#[test]
fn an_entry_that_is_not_needed_is_found() {
    ratchet("", "file ingest/src/a.rs 700\n", &["file ingest/src/a.rs is not too long any more"]);
    ratchet("", "ingest\n", &["is neither `function PATH NAME LINES` nor"]);
}
