use super::*;

/// Text that must be taken as the value, or refused with a reason that contains the words.
#[track_caller]
fn check<T: PartialEq + std::fmt::Debug>(parsed: Result<T, String>, expected: Result<T, &'static str>) {
    match (parsed, expected) {
        (Ok(value), Ok(wanted)) => assert_eq!(value, wanted),
        (Err(reason), Err(words)) => assert!(reason.contains(words), "{reason:?} lacks {words:?}"),
        (parsed, expected) => panic!("parsed {parsed:?}, expected {expected:?}"),
    }
}

#[test]
fn a_duration_is_a_number_and_a_unit() {
    check(duration("10s"), Ok(Duration::from_secs(10)));
    check(duration("250ms"), Ok(Duration::from_millis(250)));
    check(duration("7us"), Ok(Duration::from_micros(7)));
    check(duration("2m"), Ok(Duration::from_secs(120)));
    check(duration("1h"), Ok(Duration::from_secs(3600)));
    check(duration("0s"), Ok(Duration::ZERO));
}

#[test]
fn a_duration_without_unit_is_refused_with_a_proposal() {
    check(duration("10"), Err("try `10s`"));
}

#[test]
fn a_duration_of_nonsense_is_refused() {
    check(duration("s"), Err("whole number"));
    check(duration("1.5s"), Err("unknown unit"));
    check(duration("-1s"), Err("whole number"));
    check(duration("10d"), Err("unknown unit"));
    check(duration("99999999999999999999s"), Err("too large"));
    check(duration("18446744073709551615h"), Err("longer than 30 days"));
    check(duration("721h"), Err("longer than 30 days"));
    check(duration_above_zero("0s"), Err("longer than zero"));
}

#[test]
fn a_size_is_in_bytes() {
    check(size("1400"), Ok(1400));
    check(size("1400B"), Ok(1400));
    check(size("64KiB"), Ok(65_536));
    check(size("2KB"), Ok(2_000));
    check(size("1MiB"), Ok(1 << 20));
    check(size("KiB"), Err("whole number"));
    check(size("1kib"), Err("unknown unit"));
}

#[test]
fn a_packet_holds_the_stamp_and_fits_a_datagram() {
    check(packet_size("48"), Ok(48));
    check(packet_size("65507"), Ok(65_507));
    check(packet_size("47"), Err("too few"));
    check(packet_size("65508"), Err("do not fit"));
    check(packet_size("64KiB"), Err("65507 at most"));
}

#[test]
fn a_rate_is_packets_a_second_or_max() {
    check(rate("max"), Ok(Rate::Max));
    check(rate("50k"), Ok(Rate::PerSecond(NonZeroU64::new(50_000).unwrap())));
    check(rate("2M"), Ok(Rate::PerSecond(NonZeroU64::new(2_000_000).unwrap())));
    check(rate("1"), Ok(Rate::PerSecond(NonZeroU64::new(1).unwrap())));
    check(rate("0"), Err("sends nothing"));
    check(rate("fast"), Err("or `max`"));
    check(rate("2000M"), Err("more than one a nanosecond"));
}

#[test]
fn a_count_is_at_least_one() {
    check(count("5"), Ok(5));
    check(count("3M"), Ok(3_000_000));
    check(count("0"), Err("at least 1"));
}
