use super::*;

fn counts(of: &[(&str, u64)]) -> Counts {
    of.iter().map(|(cause, count)| ((*cause).to_owned(), *count)).collect()
}

fn listener(name: &str, lane: u32, dropped: u64, shed: u64) -> Listener {
    Listener {
        name: name.to_owned(),
        lane,
        exact: true,
        arrived: 1000 + shed + dropped,
        dropped: counts(&[("kernel_rcvbuf", dropped)]),
        received: 1000 + shed,
        admitted: 1000,
        shed: counts(&[("policy", shed)]),
        dead_lettered: 0,
        pending: 0,
    }
}

fn report(listeners: Vec<Listener>) -> Report {
    Report { listeners, ..Report::default() }
}

/// What was counted between the two is lost to this many, or cannot be said for this reason.
#[track_caller]
fn check(now: &Report, before: Option<&Report>, of: Option<&str>, expected: Result<u64, &str>) {
    match (now.since(before, of), expected) {
        (Ok(counted), Ok(lost)) => assert_eq!(counted.lost(), lost, "{counted:?}"),
        (Err(reason), Err(words)) => assert!(reason.contains(words), "{reason} lacks {words:?}"),
        (counted, expected) => panic!("{counted:?}, expected {expected:?}"),
    }
}

#[test]
fn without_a_report_before_totals_count() {
    let now = report(vec![listener("udp", 0, 5, 2), listener("udp", 1, 1, 0)]);
    check(&now, None, None, Ok(8));
}

#[test]
fn with_a_report_before_only_what_grew_counts() {
    let before = report(vec![listener("udp", 0, 5, 2)]);
    let now = report(vec![listener("udp", 0, 9, 3), listener("udp", 1, 1, 0)]);
    check(&now, Some(&before), None, Ok(4 + 1 + 1));
    let counted = now.since(Some(&before), None).unwrap();
    assert_eq!(counted.dropped, counts(&[("kernel_rcvbuf", 5)]));
    assert_eq!(counted.shed, counts(&[("policy", 1)]));
    assert!(counted.since_before_run && counted.exact);
}

#[test]
fn a_dead_letter_is_a_named_cause() {
    let mut now = report(vec![listener("udp", 0, 0, 0)]);
    now.listeners[0].dead_lettered = 3;
    check(&now, None, None, Ok(3));
}

#[test]
fn only_the_named_listener_is_compared() {
    let now = report(vec![listener("udp", 0, 5, 0), listener("tcp", 0, 7, 0)]);
    check(&now, None, Some("tcp"), Ok(7));
    check(&now, None, Some("raw"), Err("no listener `raw`"));
}

#[test]
fn a_counter_that_went_back_is_an_error() {
    let before = report(vec![listener("udp", 0, 5, 2)]);
    let now = report(vec![listener("udp", 0, 4, 2)]);
    check(&now, Some(&before), None, Err("went back from 1007 to 1006"));
    let mut now = report(vec![listener("udp", 0, 5, 2)]);
    now.listeners[0].shed.clear();
    check(&now, Some(&before), None, Err("policy of udp, lane 0, went back from 2 to 0"));
}

#[test]
fn one_inexact_listener_makes_the_sum_inexact() {
    let mut now = report(vec![listener("udp", 0, 0, 0), listener("udp", 1, 0, 0)]);
    now.listeners[1].exact = false;
    assert!(!now.since(None, None).unwrap().exact);
}

#[test]
fn books_are_open_while_records_are_on_their_way() {
    let mut now = report(vec![listener("udp", 0, 0, 0)]);
    now.lanes = vec![Lane { lane: 0, admitted: 9, durable: 9, committed: 7, in_flight: 0 }];
    assert_eq!(now.unsettled(Level::Disk), None);
    assert!(now.unsettled(Level::PeerDisk).unwrap().contains("2 not committed"));
    now.lanes[0].in_flight = 4;
    assert!(now.unsettled(Level::Disk).unwrap().contains("4 in flight"));
    now.lanes[0].in_flight = 0;
    now.listeners[0].pending = 1;
    assert!(now.unsettled(Level::Disk).unwrap().contains("1 pending"));
}

#[test]
fn the_contracts_shape_is_read_and_a_missing_count_is_not_zero() {
    let text = r#"{"run":{"epoch":3,"since":1700000000000},"listeners":[{"name":"udp","lane":0,
        "exact":true,"arrived":5,"dropped":{"kernel_rcvbuf":1},"received":4,"admitted":4,"shed":{},
        "dead_lettered":0,"pending":0}],"lanes":[{"lane":0,"admitted":4,"durable":4,"committed":4,
        "in_flight":0}],"host":{"softnet_dropped":0},"unobserved":[{"from":1,"to":2}],
        "imbalance":0}"#;
    let read: Report = serde_json::from_str(text).unwrap();
    assert_eq!(read.since(None, None).unwrap().lost(), 1);
    assert_eq!(read.unobserved, [Span { from: 1, to: 2 }]);
    let lacking = text.replace("\"pending\":0", "\"other\":0");
    assert!(serde_json::from_str::<Report>(&lacking).is_err());
}

#[test]
fn an_appliance_that_was_started_again_is_compared_as_a_whole() {
    let mut before = report(vec![listener("udp", 0, 5, 2), listener("tcp", 0, 0, 0)]);
    before.run.epoch = 3;
    let mut now = report(vec![listener("(earlier runs)", 0, 9, 2), listener("udp", 0, 1, 0)]);
    now.run.epoch = 4;
    now.listeners[0].arrived += 1000;
    check(&now, Some(&before), None, Ok(5));
    // Of one listener alone it cannot be told.
    check(&now, Some(&before), Some("udp"), Err("went back"));
    now.listeners[0].arrived = 0;
    check(&now, Some(&before), None, Err("arrived of all listeners"));
}
