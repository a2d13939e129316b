use super::{Evidence, Member, Verdict, decide};
use headworks_format::block::Validity;
use headworks_format::sidecar::HoleState::{Lost, Pending};

/// A column of the table: yes, no, or of no meaning.
type Column = Option<bool>;

const YES: Column = Some(true);
const NO: Column = Some(false);
const ANY: Column = None;

struct Row {
    /// valid, synced, beyond the window, persisted, alone.
    columns: [Column; 5],
    member: Option<Member>,
    verdict: Verdict,
}

const fn row(columns: [Column; 5], member: Option<Member>, verdict: Verdict) -> Row {
    Row { columns, member, verdict }
}

/// The table as the module's header draws it.
const TABLE: [Row; 10] = [
    row([YES, ANY, ANY, ANY, ANY], None, Verdict::Accept),
    row([NO, YES, ANY, ANY, YES], None, Verdict::Hole(Lost)),
    row([NO, YES, ANY, ANY, NO], None, Verdict::Hole(Pending)),
    row([NO, NO, YES, ANY, YES], None, Verdict::Hole(Lost)),
    row([NO, NO, YES, ANY, NO], None, Verdict::Hole(Pending)),
    row([NO, NO, NO, NO, ANY], None, Verdict::Cut { counted: false }),
    row([NO, NO, NO, YES, YES], None, Verdict::Cut { counted: true }),
    row([NO, NO, NO, YES, NO], Some(Member::Has), Verdict::Copy),
    row([NO, NO, NO, YES, NO], Some(Member::NeverHad), Verdict::Cut { counted: true }),
    row([NO, NO, NO, YES, NO], Some(Member::Silent), Verdict::Hole(Pending)),
];

const MEMBERS: [Member; 3] = [Member::Has, Member::NeverHad, Member::Silent];

impl Row {
    fn matches(&self, evidence: &Evidence) -> bool {
        let seen = [evidence.valid, evidence.synced, evidence.beyond_window, evidence.persisted, evidence.alone];
        let columns = self.columns.iter().zip(seen).all(|(column, seen)| column.is_none_or(|wanted| wanted == seen));
        columns && self.member.is_none_or(|member| member == evidence.member)
    }
}

fn every_evidence() -> impl Iterator<Item = Evidence> {
    (0..1u32 << 5).flat_map(|bits| {
        MEMBERS.into_iter().map(move |member| Evidence {
            valid: bits & 1 != 0,
            synced: bits & 2 != 0,
            beyond_window: bits & 4 != 0,
            persisted: bits & 8 != 0,
            alone: bits & 16 != 0,
            member,
        })
    })
}

#[test]
fn every_input_has_exactly_one_row_and_its_verdict() {
    let mut used = [false; TABLE.len()];
    for evidence in every_evidence() {
        let rows: Vec<usize> = (0..TABLE.len()).filter(|row| TABLE[*row].matches(&evidence)).collect();
        assert_eq!(rows.len(), 1, "{evidence:?} is in rows {rows:?}");
        assert_eq!(decide(&evidence), TABLE[rows[0]].verdict, "{evidence:?}");
        used[rows[0]] = true;
    }
    assert_eq!(used, [true; TABLE.len()], "a row that no input reaches");
}

#[test]
fn what_was_synced_is_never_cut_and_what_is_valid_never_lost() {
    for evidence in every_evidence() {
        let verdict = decide(&evidence);
        assert!(!(evidence.synced && matches!(verdict, Verdict::Cut { .. })), "{evidence:?} is cut");
        assert_eq!(evidence.valid, verdict == Verdict::Accept, "{evidence:?}: {verdict:?}");
    }
}

#[test]
fn lost_is_declared_only_alone_and_a_cut_of_what_was_named_is_always_counted() {
    for evidence in every_evidence() {
        let verdict = decide(&evidence);
        assert!(verdict != Verdict::Hole(Lost) || evidence.alone, "{evidence:?}");
        assert!(verdict != Verdict::Cut { counted: false } || !evidence.persisted, "{evidence:?}");
    }
}

/// All 2⁹ combinations of the parts: a block is valid only if every one holds, and the first that does not is named.
#[test]
fn a_block_is_valid_only_if_every_part_holds() {
    for bits in 0..1u32 << 9 {
        let part = |place: u32| bits & (1 << place) != 0;
        let validity = Validity {
            head: part(0),
            nonce: part(1),
            lane: part(2),
            sequence: part(3),
            chain: part(4),
            directory: part(5),
            batches: part(6),
            padding: part(7),
            tail: part(8),
        };
        assert_eq!(validity.is_valid(), bits == (1 << 9) - 1, "{validity:?}");
        assert_eq!(validity.first_fault().is_none(), validity.is_valid(), "{validity:?}");
    }
}
