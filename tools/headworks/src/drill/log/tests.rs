//! Lines as nodes write them.

use super::*;

fn check(line: &str, wanted: Option<(u64, Said)>) {
    assert_eq!(parse(line), wanted.map(|(at_ns, said)| Line { at_ns, said }), "{line}");
}

#[test]
fn the_lines_of_a_node_are_understood() {
    let at = 1_795_860_182_123_456_000;
    check("2026-11-28T10:03:02.123456Z  INFO leading epoch=3", Some((at, Said::Leading(3))));
    check("2026-11-28T10:03:02.123456Z ERROR alone: records are committed once they are durable here only", Some((at, Said::Alone)));
}

#[test]
fn other_lines_say_nothing() {
    for line in ["", "try:  printf 'hello'", "2026-11-28T10:03:02.123456Z  INFO serving epoch=3", "no time INFO leading epoch=3"] {
        check(line, None);
    }
}

#[test]
fn times_are_those_of_the_calendar() {
    assert_eq!(since_1970("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(since_1970("2000-02-29T23:59:59.5Z"), Some(951_868_799_500_000_000));
    assert_eq!(since_1970("2024-12-31T00:00:00.000001Z"), Some(1_735_603_200_000_001_000));
}
