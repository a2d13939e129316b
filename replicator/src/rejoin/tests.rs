use super::*;

/// A log is the epochs of its blocks: (epoch, sequence) names a block once the blocks before it are the same.
type Log = Vec<u32>;

/// Every log of up to `blocks` blocks in epochs 1 to 3.
fn logs(blocks: usize) -> Vec<Log> {
    let mut all: Vec<Log> = vec![vec![]];
    let mut longest = all.clone();
    for _ in 0..blocks {
        let longer = |log: &Log| (*log.last().unwrap_or(&1)..=3).map(|epoch| [&log[..], &[epoch]].concat()).collect::<Vec<_>>();
        longest = longest.iter().flat_map(longer).collect();
        all.extend(longest.clone());
    }
    all
}

/// The chain of a log's block: all that came before it.
fn chain(log: &[u32], sequence: u64) -> Option<Chain> {
    let before = log.get(..usize::try_from(sequence).ok()?)?;
    let mut chain = Chain::START;
    before.iter().zip(&mut chain.0).for_each(|(epoch, byte)| *byte = u8::try_from(*epoch).unwrap());
    Some(chain)
}

/// The epochs of what is left of a log that starts there.
fn history(log: &[u32], start: usize) -> Vec<(Epoch, u64)> {
    let mut history: Vec<(Epoch, u64)> = Vec::new();
    for (sequence, epoch) in log.iter().enumerate().skip(start) {
        if history.last().is_none_or(|(last, _)| last.0 != *epoch) {
            history.push((Epoch(*epoch), sequence as u64));
        }
    }
    history
}

fn in_common(a: &[u32], b: &[u32]) -> u64 {
    a.iter().zip(b).take_while(|(a, b)| a == b).count() as u64
}

/// Whether both have a block of an epoch. One node leads an epoch, so two logs of which that is so are the same up to there.
fn share_an_epoch(a: &[u32], b: &[u32]) -> bool {
    a.iter().any(|epoch| b.contains(epoch))
}

fn judged(standby: &[u32], primary: &[u32], start: u64) -> Verdict {
    let (ours, theirs) = (history(primary, usize::try_from(start).unwrap()), history(standby, 0));
    let end = chain(standby, standby.len() as u64).unwrap();
    let start = End { sequence: start, chain: chain(primary, start).unwrap() };
    let standby = Lineage { history: &theirs, end: standby.len() as u64 };
    verdict(standby, end, Lineage { history: &ours, end: primary.len() as u64 }, start, |at| chain(primary, at))
}

#[test]
fn every_pair_of_logs_gets_its_verdict() {
    let all = logs(5);
    let (mut verdicts, mut told) = ([0u32; 3], 0);
    for standby in &all {
        for primary in &all {
            let common = in_common(standby, primary);
            let behind = usize::try_from(common).unwrap();
            let may_be = !share_an_epoch(&standby[behind..], &primary[behind..]);
            for start in (0..=primary.len() as u64).filter(|start| *start == 0 || may_be) {
                let end = standby.len() as u64;
                let point = |sequence| End { sequence, chain: chain(primary, sequence).unwrap() };
                let untold = start > 0 && common == start && !share_an_epoch(standby, &primary[behind..]);
                let found = judged(standby, primary, start);
                let shared = if let Verdict::Restart { shared, .. } = found { shared } else { 0 };
                assert!(shared <= common, "{shared} of {common} blocks: {standby:?} behind {primary:?} from {start}");
                told += u32::from(shared > 0);
                let (row, wanted) = match () {
                    () if common < start || (untold && common < end) => (0, Verdict::Restart { from: point(start), shared }),
                    () if common < end => (1, Verdict::Truncate { to: point(common) }),
                    () => (2, Verdict::Follow { from: point(end) }),
                };
                verdicts[row] += 1;
                assert_eq!(found, wanted, "{standby:?} behind {primary:?} from {start}");
            }
        }
    }
    assert!(verdicts.iter().all(|count| *count > 100) && told > 100, "{verdicts:?}, {told} restarts with something shared");
}

#[test]
fn a_log_that_parts_before_the_start_of_the_other_begins_anew() {
    // B led epoch 2 and went on; A, which wrote a block of epoch 1 that B never had, comes back when B keeps epoch 3 only.
    let b = [1, 2, 3, 3];
    let restart = Verdict::Restart { from: End { sequence: 2, chain: chain(&b, 2).unwrap() }, shared: 0 };
    assert_eq!(judged(&[1, 1], &b, 2), restart);
    assert_eq!(judged(&[1, 1, 1], &b, 2), restart);
}

#[test]
fn a_fast_double_failover_does_not_cut_what_was_committed_kip_101() {
    // A led epoch 1 and wrote three blocks; B had two of them, led epoch 2 without writing, and A led epoch 3 at its own end.
    let (a, b) = (vec![1, 1, 1, 3], vec![1, 1]);
    assert_eq!(judged(&b, &a, 0), Verdict::Follow { from: End { sequence: 2, chain: chain(&a, 2).unwrap() } });
    // The other way round: B led epoch 2 and wrote over A's third block; its number alone would not have told.
    let b = vec![1, 1, 2, 3];
    assert_eq!(judged(&[1, 1, 1], &b, 0), Verdict::Truncate { to: End { sequence: 2, chain: chain(&b, 2).unwrap() } });
}

#[test]
fn an_epoch_shared_after_a_difference_proves_nothing_kip_279() {
    let (standby, primary) = (vec![1, 2, 3], vec![1, 1, 3]);
    assert_eq!(judged(&standby, &primary, 0), Verdict::Truncate { to: End { sequence: 1, chain: chain(&primary, 1).unwrap() } });
}

#[test]
fn histories_that_lie_are_refused_by_the_chain() {
    let history = [(Epoch(1), 0)];
    let log = Lineage { history: &history, end: 2 };
    let found = verdict(log, Chain([9; 16]), log, End::BLANK, |at| chain(&[1, 1], at));
    assert_eq!(found, Verdict::Refuse(Refusal::NothingInCommon));
}

#[test]
fn what_is_missing_of_an_old_history_is_left_to_the_chain() {
    let log = [1, 1, 2, 2, 3];
    let (long, short) = (history(&log, 0), [(Epoch(3), 4)]);
    let (whole, recent) = (Lineage { history: &long, end: 5 }, Lineage { history: &short, end: 5 });
    assert_eq!((common_point(whole, recent), common_point(recent, whole)), (5, 5));
    let old = Lineage { history: &long[..1], end: 2 };
    assert_eq!(common_point(old, recent), 2, "as far as it goes, to be proved");
    let began_later = [(Epoch(2), 3), (Epoch(3), 4)];
    assert_eq!(common_point(whole, Lineage { history: &began_later, end: 5 }), 5, "a log that begins within an epoch");
}
