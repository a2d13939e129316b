use super::*;

fn claim(source: u32, sent: u64) -> Source {
    Source { source, first_sequence: 0, sent, sent_max: sent }
}

/// After these packets (source, sequence), in this order in one partition, the account says this.
#[track_caller]
fn check(claims: &[Source], found: &[(u32, u64)], expected: Total) {
    let mut account = Account::new(claims);
    account.begin_partition();
    for (source, sequence) in found {
        account.note(*source, *sequence);
    }
    assert_eq!(account.total(), expected, "after {found:?}");
}

fn total(sent: u64, stored: u64) -> Total {
    Total { sent, sent_max: sent, stored, missing: sent - stored, ..Total::default() }
}

#[test]
fn all_stored_in_order_leaves_nothing() {
    let found: Vec<_> = (0..200).map(|sequence| (0, sequence)).collect();
    check(&[claim(0, 200)], &found, total(200, 200));
    check(&[claim(0, 0)], &[], total(0, 0));
}

#[test]
fn gaps_are_missing_wherever_they_lie() {
    let all = [(0, 0), (0, 63), (0, 64), (0, 65), (0, 129)];
    check(&[claim(0, 130)], &all, total(130, 5));
    check(&[claim(0, 10)], &[], total(10, 0));
    check(&[claim(0, 10)], &[(0, 9)], total(10, 1));
}

#[test]
fn each_further_copy_is_a_duplicate_and_not_a_disorder() {
    let found = [(0, 0), (0, 1), (0, 0), (0, 0), (0, 2)];
    check(&[claim(0, 3)], &found, Total { duplicated: 2, ..total(3, 3) });
}

#[test]
fn a_packet_after_a_later_one_is_reordered() {
    let found = [(0, 0), (0, 3), (0, 1), (0, 2), (0, 4)];
    check(&[claim(0, 5)], &found, Total { reordered: 2, ..total(5, 5) });
}

#[test]
fn sources_are_judged_apart() {
    let found = [(0, 1), (1, 0), (0, 0), (1, 1), (1, 1)];
    let expected = Total { reordered: 1, duplicated: 1, ..total(5, 4) };
    check(&[claim(0, 2), claim(1, 3)], &found, expected);
}

#[test]
fn what_the_ledger_does_not_claim_sets_no_bit() {
    let mut later = claim(0, 3);
    later.first_sequence = 100;
    let found = [(0, 99), (0, 100), (0, 103), (1, 0), (u32::MAX, 0), (0, u64::MAX)];
    check(&[later], &found, Total { unclaimed: 5, ..total(3, 1) });
}

#[test]
fn order_is_forgotten_between_partitions_and_copies_are_not() {
    let mut account = Account::new(&[claim(0, 4)]);
    for partition in [[2, 3], [0, 1], [1, 3]] {
        account.begin_partition();
        partition.iter().for_each(|sequence| account.note(0, *sequence));
    }
    assert_eq!(account.total(), Total { duplicated: 2, ..total(4, 4) });
}

#[test]
fn a_run_cut_off_was_sent_as_far_as_it_is_stored() {
    let cut = Source { source: 0, first_sequence: 0, sent: 2, sent_max: 100 };
    let expected = Total { sent: 8, sent_max: 100, stored: 2, missing: 6, ..Total::default() };
    check(&[cut], &[(0, 0), (0, 7)], expected);
    let expected = Total { sent: 2, sent_max: 100, stored: 1, missing: 1, ..Total::default() };
    check(&[cut], &[(0, 0)], expected);
}

#[test]
fn random_losses_copies_and_swaps_agree_with_a_set() {
    for seed in 1..=20_u64 {
        let mut state = seed;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut account = Account::new(&[claim(0, 500)]);
        let mut set = std::collections::BTreeSet::new();
        let mut copies = 0;
        for _ in 0..700 {
            let sequence = draw(500);
            account.note(0, sequence);
            copies += u64::from(!set.insert(sequence));
        }
        let total = account.total();
        let stored = u64::try_from(set.len()).unwrap();
        assert_eq!((total.stored, total.missing), (stored, 500 - stored), "seed {seed}");
        assert_eq!(total.duplicated, copies, "seed {seed}");
    }
}
