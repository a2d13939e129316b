use std::num::NonZeroU64;
use std::time::Duration;

use super::*;
use crate::ledger::Framing;
use crate::ledger::answers::Span;
use crate::pace::{Pace, Rate};
use crate::packet::Template;

const PACKET_BYTES: usize = 60;
const RECORD_BYTES: usize = 64;
const SECOND_NS: u64 = 1_000_000_000;

/// The only source of a run of ten records a second for ten seconds.
struct Case {
    source: Source,
    recorder: Recorder,
    waits: Waits,
}

impl Case {
    fn new(ack: bool) -> Case {
        let pace = Pace::new(Rate::PerSecond(NonZeroU64::new(10).unwrap()), Some(Duration::from_secs(10)), None);
        let recorder = Recorder::new(&Template::new(1, 1, PACKET_BYTES), Framing::Length);
        Case { source: Source::new(0, Share::new(&pace, 0, 1), RECORD_BYTES, ack), recorder, waits: Waits::default() }
    }

    fn fill(&mut self, now_ns: u64) -> Ready {
        self.source.fill(&mut self.recorder, (0, now_ns), (u64::MAX, false), |_| {})
    }

    /// What is due at the time is made, and the kernel takes so many bytes of it.
    fn write(&mut self, now_ns: u64, bytes: usize) {
        assert_eq!(self.fill(now_ns), Ready::Bytes);
        self.source.on_written(bytes);
    }

    fn told(&mut self, count: u64, now_ns: u64) -> Result<(), String> {
        self.source.on_answer(&count.to_be_bytes(), now_ns, 0, &mut self.waits)
    }

    /// Acknowledged and unknown at the end, of how many.
    #[track_caller]
    fn check(mut self, sent: u64, acknowledged: &[Span], unknown: &[Span]) -> Waits {
        let (found, answered) = self.source.end(10 * SECOND_NS, 0, &mut self.waits);
        assert_eq!(found, sent);
        assert_eq!(answered.acknowledged.iter().collect::<Vec<_>>(), acknowledged);
        assert_eq!(answered.unknown.iter().collect::<Vec<_>>(), unknown);
        self.waits
    }
}

#[test]
fn what_is_due_is_made_once_and_with_its_own_time() {
    let mut case = Case::new(true);
    assert_eq!(case.fill(SECOND_NS - 1), Ready::Bytes);
    assert_eq!(case.source.bytes().len(), 10 * RECORD_BYTES);
    case.source.on_written(10 * RECORD_BYTES);
    assert_eq!(case.fill(SECOND_NS - 1), Ready::Nothing);
    case.told(4, SECOND_NS).unwrap();
    case.told(10, 2 * SECOND_NS).unwrap();
    let waits = case.check(10, &[Span(0, 10)], &[]);
    // The fifth was due at 0.4 s and told of at 2 s.
    let latency = waits.latency().unwrap();
    assert_eq!(latency.samples, 10);
    assert!(latency.max_ns.abs_diff(1_600_000_000) < 2_000_000, "{latency:?}");
    assert_eq!(waits.gap().map(|gap| gap.length_ns), Some(SECOND_NS));
}

#[test]
fn what_was_under_way_when_a_connection_broke_is_unknown_and_the_rest_goes_by_the_next() {
    let mut case = Case::new(true);
    // Six whole records and half of the seventh.
    case.write(SECOND_NS - 1, 6 * RECORD_BYTES + 30);
    case.told(4, SECOND_NS).unwrap();
    case.source.on_broken();
    assert_eq!(case.source.bytes().len(), 3 * RECORD_BYTES, "three were not begun");
    assert_eq!(case.fill(SECOND_NS - 1), Ready::Bytes);
    case.source.on_written(3 * RECORD_BYTES);
    case.told(3, 3 * SECOND_NS).unwrap();
    assert!(case.source.is_answered());
    let waits = case.check(10, &[Span(0, 4), Span(7, 10)], &[Span(4, 7)]);
    assert_eq!(waits.latency().unwrap().samples, 7);
    assert_eq!(waits.gap().map(|gap| (gap.from_ns, gap.to_ns)), Some((SECOND_NS, 3 * SECOND_NS)));
}

#[test]
fn without_acknowledgements_nothing_of_a_broken_connection_is_known() {
    let mut case = Case::new(false);
    case.write(SECOND_NS - 1, 10 * RECORD_BYTES);
    case.source.on_broken();
    case.write(2 * SECOND_NS - 1, 10 * RECORD_BYTES);
    case.source.on_finished();
    case.check(20, &[], &[Span(0, 10)]);
}

#[test]
fn what_the_kernel_never_began_was_not_sent() {
    let mut case = Case::new(true);
    case.write(SECOND_NS - 1, 2 * RECORD_BYTES);
    case.told(2, SECOND_NS).unwrap();
    case.source.on_broken();
    let waits = case.check(2, &[Span(0, 2)], &[]);
    assert_eq!(waits.gap().map(|gap| gap.to_ns), Some(10 * SECOND_NS), "a gap that never ends lasts to the end of the run");
}

#[test]
fn a_count_that_cannot_be_is_refused() {
    let mut case = Case::new(true);
    case.write(SECOND_NS - 1, 3 * RECORD_BYTES + 1);
    case.told(2, SECOND_NS).unwrap();
    assert!(case.told(1, SECOND_NS).unwrap_err().contains("1 records acknowledged after 2, of 3 sent"));
    assert!(case.told(4, SECOND_NS).unwrap_err().contains("4 records acknowledged after 2, of 3 sent"));
}

#[test]
fn a_source_stops_at_the_bound_of_the_ledger_and_at_a_signal() {
    let mut case = Case::new(true);
    let terms = |allowed, stops| ((0, SECOND_NS - 1), (allowed, stops));
    let (times, bound) = terms(4, false);
    assert_eq!(case.source.fill(&mut case.recorder, times, bound, |_| {}), Ready::Bytes);
    assert_eq!(case.source.bytes().len(), 4 * RECORD_BYTES);
    case.source.on_written(4 * RECORD_BYTES);
    assert_eq!(case.source.fill(&mut case.recorder, times, bound, |_| {}), Ready::Held);
    let (times, stopped) = terms(u64::MAX, true);
    assert_eq!(case.source.fill(&mut case.recorder, times, stopped, |_| {}), Ready::Done);
}

#[test]
fn a_line_is_kept_as_last_words() {
    let mut case = Case::new(true);
    case.source.on_answer(b"listener tcp: try again later\n", 1, 0, &mut case.waits).unwrap();
    assert_eq!(case.source.last_words().as_deref(), Some("listener tcp: try again later"));
}
