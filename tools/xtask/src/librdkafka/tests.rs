use super::list::{self, check, parse};
use super::runner::judge;
use super::sources::exact_version;
use super::{Selection, chosen};

const OWN: &str = include_str!("../../../librdkafka/tests.txt");

fn fails(said: &str, part: Option<&str>, wanted: &str) {
    let reason = judge(said, "0011", part, true).expect_err("it did not pass");
    assert!(reason.contains(wanted), "{reason:?}, wanted {wanted:?}");
}

const PASSED: &str = "|\u{1b}[32m 0011_produce_batch                       |     PASSED |   2.034s \u{1b}[0m|\n";

#[test]
fn a_test_that_ran_and_passed_has_passed() {
    assert_eq!(judge(PASSED, "0011", None, true), Ok(()));
    let with_a_local_one = format!("{PASSED}| 0011_mock | SKIPPED | 0.000s | Filtered due to negative test flags\n");
    assert_eq!(judge(&with_a_local_one, "0011", None, true), Ok(()));
}

#[test]
fn a_test_that_did_nothing_has_not_passed() {
    fails("", None, "does not know it");
    fails("| 0012_other | PASSED | 1.000s |\n", None, "does not know it");
    fails("| 0011_produce_batch | SKIPPED | 0.000s | Test skipped due to quick mode\n", None, "due to quick mode");
    fails("| 0011_produce_batch | PASSED | 0.000s |\n", None, "without doing anything");
    fails("| 0011_produce_batch | RUNNING | 3.000s |\n", None, "RUNNING");
    assert!(judge(PASSED, "0011", None, false).is_err());
}

#[test]
fn a_failure_is_told_in_its_own_words() {
    let said = "### Test \"0011_produce_batch (a:1)\" failed at test.c:6004:verify() at Sat Nov 28 2026: ###\nmetadata failed\n";
    assert_eq!(judge(said, "0011", None, false), Err("metadata failed (test.c:6004:verify)".to_owned()));
}

#[test]
fn a_part_must_have_passed_by_name() {
    let said = format!("\u{1b}[36m[0011_produce_batch / 0.079s] \u{1b}[32m[ test_partitioner:234: PASS (0.06s) ]\u{1b}[0m\n{PASSED}");
    assert_eq!(judge(&said, "0011", Some("partitioner"), true), Ok(()));
    fails(&said, Some("compaction"), "no subtest with compaction");
}

#[test]
fn the_list_of_this_tree_is_whole() {
    assert_eq!(check(OWN), Vec::new());
}

#[test]
fn what_has_passed_cannot_leave_the_list() {
    let without = OWN.replace("\n0012  short\n", "\n");
    assert_eq!(check(&without).len(), 2, "{:?}", check(&without));
    let absent = OWN.replace("\n0012  short\n", "\n0012  absent  it is slow\n");
    let found = check(&absent);
    assert!(found.len() == 1 && found[0].1.contains("does not run any more"), "{found:?}");
}

#[test]
fn what_runs_is_held_to_it() {
    let found = check(&format!("{OWN}9999  runs\n"));
    assert!(found.len() == 1 && found[0].1.contains("add it to PASSED"), "{found:?}");
}

#[test]
fn a_line_says_how_or_why_not() {
    let entries = parse("# a comment\n0001 short full\n0002 runs only=a,b\n0003 absent because\n").expect("a list");
    assert!(entries[0].is_short() && entries[0].full && entries[0].only.is_empty());
    assert!(entries[1].runs() && !entries[1].is_short() && entries[1].only == ["a", "b"]);
    assert!(!entries[2].runs());
    for wrong in ["1 runs", "0001", "0001 absent", "0001 runs only=", "0001 runs quickly", "0002 runs\n0001 runs", "0001 runs\n0001 runs"] {
        assert!(parse(wrong).is_err(), "{wrong:?} is read");
    }
}

#[test]
fn selections_are_of_the_list_but_numbers_may_be_any() {
    let entries = || parse("0001 short\n0002 runs full\n0003 absent because\n").expect("a list");
    let numbers = |selection| chosen(entries(), selection).into_iter().map(|entry| entry.number).collect::<Vec<_>>();
    assert_eq!(numbers(Selection::Short), ["0001"]);
    assert_eq!(numbers(Selection::All), ["0001", "0002"]);
    assert_eq!(numbers(Selection::Numbers(&["0003", "0002"])), ["0003", "0002"]);
    assert!(chosen(entries(), Selection::Numbers(&["0002"]))[0].full);
}

#[test]
fn the_version_is_the_exact_one_of_the_manifest() {
    let own = include_str!("../../../librdkafka/Cargo.toml");
    assert!(exact_version(own).is_some_and(|version| version.contains('+')), "{:?}", exact_version(own));
    assert_eq!(exact_version("rdkafka-sys = \"4\"\n"), None);
    assert_eq!(list::PATH, "tools/librdkafka/tests.txt");
}
