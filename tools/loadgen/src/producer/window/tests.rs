use super::*;
use crate::kafka::batch::split;
use crate::ledger::answers::Span;

const PACKET_BYTES: usize = 64;

fn window(acks: Acks) -> Window {
    let mut window = Window::new(0, acks, &Template::new(1, 1, PACKET_BYTES), 1 << 16);
    if acks == Acks::All {
        window.on_identity(7, 2);
    }
    window
}

/// Takes up so many packets and sends them as one batch.
fn batch(window: &mut Window, packets: u64) -> Bytes {
    (0..packets).for_each(|_| window.take(window.next() * 1_000, 0));
    window.send().unwrap()
}

/// Producer id, epoch and sequence in a batch.
fn identity(batch: &[u8]) -> (i64, i16, i32) {
    let id = i64::from_be_bytes(batch[43..51].try_into().unwrap());
    let epoch = i16::from_be_bytes(batch[51..53].try_into().unwrap());
    (id, epoch, i32::from_be_bytes(batch[53..57].try_into().unwrap()))
}

fn code(error: ResponseError) -> i16 {
    error.code()
}

/// Acknowledged and unknown so far.
#[track_caller]
fn check(window: &Window, acknowledged: &[Span], unknown: &[Span]) {
    assert_eq!(window.answered.acknowledged.iter().collect::<Vec<_>>(), acknowledged);
    assert_eq!(window.answered.unknown.iter().collect::<Vec<_>>(), unknown);
}

#[test]
fn batches_are_numbered_in_order_and_acknowledged_in_order() {
    let mut window = window(Acks::All);
    let first = batch(&mut window, 3);
    let second = batch(&mut window, 2);
    assert_eq!((identity(&first), identity(&second)), ((7, 2, 0), (7, 2, 3)));
    assert_eq!(split(&second).unwrap().0.count, 2);
    assert_eq!(window.on_answer(0, 10_000, 0), Ok(Verdict::Goes));
    check(&window, &[Span(0, 3)], &[]);
    assert_eq!(window.on_answer(0, 20_000, 0), Ok(Verdict::Goes));
    check(&window, &[Span(0, 5)], &[]);
    assert!(window.is_empty() && window.on_answer(0, 0, 0).is_err(), "nothing was asked");
    assert_eq!(window.waits.latency().unwrap().samples, 5);
}

#[test]
fn five_are_under_way_at_most() {
    let mut window = window(Acks::All);
    (0..5).for_each(|_| drop(batch(&mut window, 1)));
    assert!(!window.has_room());
    window.on_answer(0, 0, 0).unwrap();
    assert!(window.has_room());
}

#[test]
fn after_a_break_the_same_bytes_go_again_before_anything_new() {
    let mut window = window(Acks::All);
    let sent = [batch(&mut window, 3), batch(&mut window, 1), batch(&mut window, 4)];
    window.on_answer(0, 1, 0).unwrap();
    window.on_broken();
    assert!(window.has_to_repeat());
    assert_eq!([window.send().unwrap(), window.send().unwrap()], [sent[1].clone(), sent[2].clone()]);
    assert!(!window.has_to_repeat());
    assert_eq!(identity(&batch(&mut window, 1)), (7, 2, 8));
    // It was stored the first time.
    assert_eq!(window.on_answer(code(ResponseError::DuplicateSequenceNumber), 2, 0), Ok(Verdict::Goes));
    check(&window, &[Span(0, 4)], &[]);
}

#[test]
fn an_error_that_passes_leads_to_another_connection() {
    let mut window = window(Acks::All);
    batch(&mut window, 3);
    assert_eq!(window.on_answer(code(ResponseError::NotLeaderOrFollower), 1, 0), Ok(Verdict::Again));
    window.on_broken();
    assert_eq!(window.retriable["NotLeaderOrFollower"], 1);
    assert!(window.has_to_repeat() && window.fatal.is_empty());
    check(&window, &[], &[]);
}

#[test]
fn an_error_that_does_not_pass_gives_up_what_is_under_way_and_the_identity() {
    let mut window = window(Acks::All);
    batch(&mut window, 3);
    batch(&mut window, 2);
    assert_eq!(window.on_answer(code(ResponseError::OutOfOrderSequenceNumber), 1, 0), Ok(Verdict::Again));
    window.on_broken();
    check(&window, &[], &[Span(0, 5)]);
    assert_eq!(window.fatal["OutOfOrderSequenceNumber"], 1);
    assert!(window.lacks_identity());
    window.on_identity(8, 0);
    assert_eq!(identity(&batch(&mut window, 1)), (8, 0, 0));
}

#[test]
fn with_acks_1_nothing_is_sent_twice() {
    let mut window = window(Acks::Leader);
    assert_eq!(identity(&batch(&mut window, 3)), (-1, -1, -1));
    batch(&mut window, 2);
    window.on_answer(0, 1, 0).unwrap();
    window.on_broken();
    assert!(window.is_empty() && !window.has_to_repeat());
    check(&window, &[Span(0, 3)], &[Span(3, 5)]);
    batch(&mut window, 2);
    assert_eq!(window.on_answer(code(ResponseError::MessageTooLarge), 2, 0), Ok(Verdict::Goes));
    check(&window, &[Span(0, 3)], &[Span(3, 7)]);
}

#[test]
fn with_acks_0_a_broken_connection_makes_all_of_it_unknown() {
    let mut window = window(Acks::None);
    batch(&mut window, 3);
    window.on_broken();
    batch(&mut window, 2);
    window.end(9, 0);
    assert!(window.is_empty());
    assert_eq!(window.sent(), 5);
    check(&window, &[], &[Span(0, 3)]);
    assert_eq!(window.waits.gap(), None, "who is not answered has no gaps");
}

#[test]
fn what_grows_at_the_end_was_not_sent_and_what_waits_is_unknown() {
    let mut window = window(Acks::All);
    batch(&mut window, 3);
    window.take(5_000, 0);
    window.end(9_000, 0);
    assert_eq!((window.next(), window.sent()), (4, 3));
    check(&window, &[], &[Span(0, 3)]);
    assert_eq!(window.waits.gap().map(|gap| (gap.from_ns, gap.to_ns)), Some((0, 9_000)));
}

#[test]
fn a_batch_is_full_below_its_bytes() {
    let mut window = Window::new(0, Acks::Leader, &Template::new(1, 1, PACKET_BYTES), 1_000);
    while !window.is_full() {
        window.take(0, 0);
    }
    let bytes = window.send().unwrap();
    assert!((1_000 - 2 * (PACKET_BYTES + RECORD_BYTES_OWN)..=1_000).contains(&bytes.len()), "{} bytes", bytes.len());
    // One record always fits.
    let mut small = Window::new(0, Acks::Leader, &Template::new(1, 1, 4_000), 1_000);
    assert!(!small.is_full());
    small.take(0, 0);
    assert!(small.is_full());
}
