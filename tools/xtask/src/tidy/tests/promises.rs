use super::check;

const TEST: &str = "#[test]\nfn torn_tail_is_truncated() {}\nfn bare() {}\n";

fn cell(cell: &str, wanted: &[&str]) {
    let text = format!("# S\n\n| no | promise | tests |\n|---|---|---|\n| 1 | `Volume::lock` is one | {cell} |\n");
    let files = [
        ("SPECIFICATION.md", text.as_str()),
        ("engine/log/Cargo.toml", ""),
        ("engine/log/src/recovery/tests.rs", TEST),
        ("tools/headworks/Cargo.toml", ""),
        (
            "tools/headworks/tests/faults.rs",
            "mod kill {\n    #[tokio::test(\n        flavor = \"x\",\n    )]\n    async fn loses_nothing() {}\n}\n",
        ),
    ];
    check("promises", &files, wanted);
}

#[test]
fn tests_that_exist_are_found_by_path() {
    cell("`log::recovery::torn_tail_is_truncated`", &[]);
    cell("`headworks_log::recovery::tests::torn_tail_is_truncated`, `headworks::faults::kill::loses_nothing`", &[]);
}

#[test]
fn a_test_that_is_not_there_is_found() {
    let says = ["SPECIFICATION.md:5: names log::"];
    cell("`log::recovery::torn_tail`", &says);
    cell("`log::append::torn_tail_is_truncated`", &says);
    cell("`log::recovery::bare`", &says);
    cell("`log::recovery::torn_tail_is_truncated` and `lag::a`", &["names lag::a, which is no test"]);
}

#[test]
fn a_promise_without_a_test_must_be_pending() {
    cell("pending: replication", &[]);
    cell("later", &["SPECIFICATION.md:5: names no test"]);
    check("promises", &[("SPECIFICATION.md", "# None\n")], &["holds no promise"]);
    check("promises", &[], &["SPECIFICATION.md: is not there"]);
}
