//! The simulator in small, and the proof that its checks can fail.

use crate::breach::take_checked;
use crate::disk::Broken;
use crate::regime::Regime;
use crate::run::{Options, run};

fn check(seeds: core::ops::Range<u64>, options: &Options) {
    for seed in seeds {
        let outcome = run(seed, options);
        assert_eq!(outcome.breach, None, "seed {seed}, {}", outcome.regime.name());
    }
}

/// The first promise that is seen to be broken over some seeds.
fn broken(broken: Broken, look: bool) -> &'static str {
    let options = Options { regime: Some(Regime::Quiet), broken, look };
    let mut breaches = (1..30).filter_map(|seed| run(seed, &options).breach);
    breaches.next().expect("29 seeds on a disk that breaks its contract").promise
}

#[test]
fn fifty_seeds_keep_every_promise_and_every_promise_is_checked() {
    let _ = take_checked();
    check(1..51, &Options::default());
    let checked = take_checked();
    assert!(checked.len() >= 18, "{} promises were checked: {checked:?}", checked.len());
    let quarantine = checked.get("what is cut is in quarantine").copied().unwrap_or(0);
    assert!(quarantine > 0, "{quarantine} cut blocks were looked for in quarantine");
}

#[test]
fn every_regime_keeps_its_promises() {
    for (regime, _) in Regime::ALL {
        check(100..104, &Options { regime: Some(regime), ..Options::default() });
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 17, 29] {
        let (first, second) = (run(seed, &Options::default()), run(seed, &Options::default()));
        assert_eq!(first, second, "seed {seed}");
        assert_ne!(first.trace, run(seed + 1, &Options::default()).trace, "seeds {seed} and {}", seed + 1);
    }
}

#[test]
fn a_sync_that_lies_is_found_at_once() {
    assert_eq!(broken(Broken::SyncLies, true), "durable blocks were synced after they were written");
}

#[test]
fn a_sync_that_lies_is_found_after_a_crash() {
    assert_eq!(broken(Broken::SyncLies, false), "durable blocks outlive a crash");
}

#[test]
fn a_sync_that_forgets_one_write_is_found_after_a_crash() {
    let found = broken(Broken::SyncForgetsNewest, false);
    assert!(!found.is_empty(), "{found}");
}

#[test]
fn a_blank_that_lies_is_found() {
    let found = broken(Broken::BlankLies, true);
    assert!(!found.is_empty(), "{found}");
}

#[test]
fn a_read_that_forges_is_found() {
    let found = broken(Broken::ReadForges, true);
    assert!(!found.is_empty(), "{found}");
}
