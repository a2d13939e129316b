//! What is the same, what is new, and what must never happen.

use super::*;

const VALUE: &[u8] = b"a value";

fn record(offset: i64, value: &[u8]) -> Record<'_> {
    Record { offset, timestamp_ms: 7, receive_time_ns: None, value }
}

/// A topic of one partition that holds these, after one that held those.
fn check(before: &[(i64, &[u8])], now: &[(i64, &[u8])], log_start: i64) -> Digest {
    let (mut held, mut fresh, mut digest) = (Sums::new(), Vec::new(), Digest::default());
    for (offset, value) in before {
        held.insert((0, *offset), sum(&record(*offset, value)));
    }
    for (offset, value) in now {
        on_record(0, &record(*offset, value), &mut held, &mut fresh, &mut digest);
    }
    rest(Extent::new(0, log_start, 100), &held, &mut digest);
    assert_eq!(digest.added, fresh.len() as u64, "what is new is written down");
    digest
}

#[test]
fn what_is_the_same_or_new_is_constant() {
    let digest = check(&[(0, VALUE)], &[(0, VALUE), (1, VALUE)], 0);
    assert!(digest.is_constant(), "{digest:?}");
    assert_eq!((digest.records, digest.added), (2, 1));
}

#[test]
fn an_offset_that_holds_something_else_is_changed() {
    let digest = check(&[(0, VALUE)], &[(0, b"another")], 0);
    assert_eq!((digest.changed, digest.is_constant()), (1, false), "{digest:?}");
}

#[test]
fn an_offset_that_is_served_no_more_is_withdrawn_unless_retention_took_it() {
    let held: &[(i64, &[u8])] = &[(4, VALUE), (5, VALUE)];
    assert_eq!(check(held, &held[..1], 0).withdrawn, 1);
    assert_eq!(check(held, &held[1..], 5).withdrawn, 0);
}

#[test]
fn a_line_is_a_partition_an_offset_and_a_sum() {
    assert_eq!(parse("1 20 00000000000000ff"), Some(((1, 20), 255)));
    for line in ["", "1 2", "1 2 3 4", "x 2 3"] {
        assert_eq!(parse(line), None, "{line:?}");
    }
}
