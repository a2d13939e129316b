//! The truth table, whole: every combination of the evidence, each against the row of the documented table that fits it.

use crate::decide::{Evidence, Member, Verdict, decide};
use headworks_format::block::Validity;
use headworks_format::sidecar::HoleState;

/// A row of the documented table: what it asks of each input (none: any), and its verdict.
type Row = ([Option<bool>; 5], Option<Member>, Verdict);

const fn row(asks: [Option<bool>; 5], member: Option<Member>, verdict: Verdict) -> Row {
    (asks, member, verdict)
}

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);
const LOST: Verdict = Verdict::Hole(HoleState::Lost);
const PENDING: Verdict = Verdict::Hole(HoleState::Pending);
const CUT: Verdict = Verdict::Cut { counted: false };
const COUNTED: Verdict = Verdict::Cut { counted: true };

/// valid, synced, beyond the window, persisted, alone; the member's answer.
const TABLE: [Row; 10] = [
    row([YES, None, None, None, None], None, Verdict::Accept),
    row([NO, YES, None, None, YES], None, LOST),
    row([NO, YES, None, None, NO], None, PENDING),
    row([NO, NO, YES, None, YES], None, LOST),
    row([NO, NO, YES, None, NO], None, PENDING),
    row([NO, NO, NO, NO, None], None, CUT),
    row([NO, NO, NO, YES, YES], None, COUNTED),
    row([NO, NO, NO, YES, NO], Some(Member::Has), Verdict::Copy),
    row([NO, NO, NO, YES, NO], Some(Member::NeverHad), COUNTED),
    row([NO, NO, NO, YES, NO], Some(Member::Silent), COUNTED),
];

fn every_evidence() -> impl Iterator<Item = Evidence> {
    (0..32u32).flat_map(|bits| {
        [Member::Has, Member::NeverHad, Member::Silent].map(|member| Evidence {
            valid: bits & 1 != 0,
            synced: bits & 2 != 0,
            beyond_window: bits & 4 != 0,
            persisted: bits & 8 != 0,
            alone: bits & 16 != 0,
            member,
        })
    })
}

fn fits((asks, member, _): &Row, evidence: &Evidence) -> bool {
    let inputs = [evidence.valid, evidence.synced, evidence.beyond_window, evidence.persisted, evidence.alone];
    asks.iter().zip(inputs).all(|(ask, input)| ask.is_none_or(|ask| ask == input)) && member.is_none_or(|member| member == evidence.member)
}

#[test]
fn every_evidence_fits_one_row_and_gets_its_verdict() {
    let mut used = [0; TABLE.len()];
    for evidence in every_evidence() {
        let rows: Vec<usize> = (0..TABLE.len()).filter(|place| fits(&TABLE[*place], &evidence)).collect();
        assert_eq!(rows.len(), 1, "{evidence:?} fits rows {rows:?}");
        assert_eq!(decide(&evidence), TABLE[rows[0]].2, "{evidence:?}");
        used[rows[0]] += 1;
    }
    assert_eq!(used.iter().sum::<i32>(), 96, "{used:?}");
    assert!(used.iter().all(|times| *times > 0), "{used:?}");
}

#[test]
fn nothing_that_was_durable_is_ever_cut() {
    for evidence in every_evidence().filter(|evidence| evidence.synced) {
        assert!(!matches!(decide(&evidence), Verdict::Cut { .. }), "{evidence:?}");
    }
}

#[test]
fn a_hole_is_declared_lost_only_alone() {
    for evidence in every_evidence().filter(|evidence| decide(evidence) == LOST) {
        assert!(evidence.alone, "{evidence:?}");
    }
}

#[test]
fn only_a_block_of_which_every_part_holds_is_valid() {
    for bits in 0..1u32 << 9 {
        let holds = |bit: u32| bits & 1 << bit != 0;
        let validity = Validity {
            head: holds(0),
            nonce: holds(1),
            lane: holds(2),
            sequence: holds(3),
            chain: holds(4),
            directory: holds(5),
            batches: holds(6),
            padding: holds(7),
            tail: holds(8),
        };
        let all = bits == (1 << 9) - 1;
        assert_eq!(validity.is_valid(), all, "{validity:?}");
        assert_eq!(validity.first_fault().is_none(), all, "{validity:?}");
        if let Some(fault) = validity.first_fault() {
            assert_ne!(crate::recover::reason(fault), 0, "{fault} has a number in the sidecar");
        }
    }
}
