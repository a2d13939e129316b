//! An operator as arbiter: each node keeps a register of its own, and nobody goes on without the other but by a word.

use super::*;

fn manual() -> Settings {
    Settings { mode: Mode::Manual, may_run_alone: false, ..settings() }
}

fn by_hand(version: u64, epoch: u32, primary: Member, standby: Option<Member>) -> Register {
    Register { mode: Mode::Manual, ..register(version, epoch, primary, standby) }
}

/// The primary has been left alone by an operator.
fn vouched(version: u64, epoch: u32, primary: Member) -> Register {
    Register { mode: Mode::Vouched, ..register(version, epoch, primary, None) }
}

fn claim(register: Register) -> Event {
    Event::Claim { of: Some((PEER, register)) }
}

/// A primary in epoch 6 that requires PEER, which has said that it follows.
fn primary() -> Rig {
    let mut rig = Rig::with(manual(), KEPT);
    assert_eq!(swap_of(&rig.start(by_hand(7, 4, ME, Some(PEER)))), None, "PEER is asked first whether it leads now");
    let swap = rig.swap_by(claim(by_hand(3, 4, ME, Some(PEER))));
    assert_eq!(swap.register, by_hand(8, 6, ME, Some(PEER)), "it takes every second epoch");
    rig.lead();
    rig
}

const PROMOTE: Event = Event::Order(Order::Promote { fenced: 2 });

#[test]
fn a_standby_leads_by_a_word_that_names_the_primary_and_never_by_silence() {
    let here = by_hand(7, 4, PEER, Some(ME));
    let mut rig = Rig::with(manual(), KEPT);
    rig.start(here);
    rig.now_ns = 3 * DETECT_NS;
    assert!(rig.tell(Event::Tick).contains(&Effect::Read));
    assert_eq!(rig.tell(found(here)), [Effect::Note(Note::AwaitsOperator)]);
    assert_eq!(rig.tell(Event::Order(Order::Promote { fenced: 3 })), [Effect::Read]);
    assert_eq!(rig.tell(found(here)), [Effect::Note(Note::MayNotLead)], "not the primary");
    assert_eq!(rig.tell(PROMOTE), [Effect::Read]);
    assert_eq!(rig.swap_by(found(here)).register, vouched(8, 5, ME));
    let led = rig.lead();
    assert_eq!(gates(&led), [(0, OPEN), (1, OPEN)]);
    assert!(led.contains(&Effect::Note(Note::Alone)), "{led:?}");
}

#[test]
fn a_word_is_good_for_one_look() {
    let lacks = by_hand(7, 4, PEER, None);
    let mut rig = Rig::with(manual(), KEPT);
    rig.start(lacks);
    rig.tell(PROMOTE);
    assert_eq!(rig.tell(found(lacks)), [Effect::Note(Note::MayNotLead)], "not in sync");
    rig.tell(claim(by_hand(5, 4, PEER, Some(ME))));
    rig.tell(Event::SwapEnded(SwapEnd::Swapped));
    rig.now_ns = 3 * DETECT_NS;
    rig.tell(Event::Tick);
    assert_eq!(
        rig.tell(found(by_hand(8, 4, PEER, Some(ME)))),
        [Effect::Note(Note::AwaitsOperator)],
        "in sync since, and told nothing since"
    );
}

#[test]
fn a_primary_waits_for_its_standby_until_a_word_names_it() {
    let mut rig = primary();
    for lane in 0..2 {
        rig.hello(lane, PEER);
        rig.ack(lane, 3);
    }
    let lost = rig.tell(Event::LinkLost { lane: 0, reset: true });
    assert_eq!(swap_of(&lost), None, "nobody is dropped");
    assert!(lost.contains(&Effect::Note(Note::Stalled)), "{lost:?}");
    rig.tell(found(by_hand(8, 6, ME, Some(PEER))));
    assert_eq!(swap_of(&rig.tell(Event::Order(Order::Promote { fenced: 3 }))), None, "not whom it waits for");
    assert_eq!(rig.swap_by(PROMOTE).register, vouched(9, 6, ME));
    assert_eq!(gates(&rig.tell(Event::SwapEnded(SwapEnd::Swapped))), [(0, OPEN), (1, OPEN)]);

    // It comes back, is in sync again, and is lost again: that takes another word.
    let lowered: Vec<Effect> = [0, 1].into_iter().flat_map(|lane| rig.hello(lane, PEER)).collect();
    let seen: Vec<Effect> = lowered.iter().filter_map(seen_of).flat_map(|seen| rig.tell(seen)).collect();
    assert_eq!(swap_of(&seen).map(|swap| swap.register), Some(by_hand(10, 6, ME, Some(PEER))), "{lowered:?} {seen:?}");
    let told = rig.tell(Event::SwapEnded(SwapEnd::Swapped));
    assert!(told.contains(&Effect::Send { lane: 0, message: Outbound::Claim }), "who follows takes it over: {told:?}");
    assert_eq!(swap_of(&rig.tell(Event::LinkLost { lane: 0, reset: true })), None);
}

#[test]
fn a_standby_that_is_there_and_says_nothing_is_missed_and_dials_again() {
    let mut rig = primary();
    for lane in 0..2 {
        rig.hello(lane, PEER);
        rig.ack(lane, 3);
    }
    rig.now_ns += DETECT_NS;
    let missed = rig.tell(Event::Tick);
    assert!(missed.contains(&Effect::Note(Note::Stalled)), "{missed:?}");
    assert!(missed.contains(&Effect::CloseLink { lane: 1, why: Close::Silent }), "{missed:?}");
    assert_eq!(swap_of(&missed), None, "it stays in sync");
    let back: Vec<Effect> = [0, 1].into_iter().flat_map(|lane| rig.hello(lane, PEER)).collect();
    assert!(back.contains(&Effect::Note(Note::Paired)), "{back:?}");

    let two = Settings { may_run_alone: false, ..settings() };
    let mut rig = paired_with(two);
    rig.now_ns += DETECT_NS;
    let missed = rig.tell(Event::Tick);
    assert!(missed.contains(&Effect::Note(Note::Stalled)), "where a witness decides, too: {missed:?}");
    assert!(!missed.contains(&Effect::CloseLink { lane: 1, why: Close::Silent }), "but there it could take the lead for that: {missed:?}");
}

/// The log loop's answer to a gate that was lowered.
fn seen_of(effect: &Effect) -> Option<Event> {
    match effect {
        Effect::Gate { lane, serial, .. } if *serial > 0 => Some(Event::GateSeen { lane: *lane, serial: *serial, committed: 3 }),
        _ => None,
    }
}

#[test]
fn a_founder_commits_nothing_before_another_is_in_sync() {
    let mut rig = Rig::with(manual(), Kept::default());
    rig.start(by_hand(1, 1, ME, None));
    let led = rig.lead();
    assert_eq!(gates(&led), []);
    assert!(led.contains(&Effect::Note(Note::Stalled)), "{led:?}");
}

#[test]
fn who_led_before_asks_first_and_follows_whom_an_operator_has_promoted() {
    let mut rig = Rig::with(manual(), KEPT);
    rig.start(by_hand(7, 4, ME, Some(PEER)));
    assert_eq!(rig.shard.role(), Role::Starting);
    assert_eq!(rig.swap_by(claim(vouched(9, 5, PEER))).register, vouched(8, 5, PEER), "versions are each node's own");
    rig.tell(Event::SwapEnded(SwapEnd::Swapped));
    assert_eq!(rig.shard.role(), Role::Standby);
}

#[test]
fn who_led_before_leads_without_an_answer_but_commits_nothing() {
    let mut rig = Rig::with(manual(), KEPT);
    rig.start(by_hand(7, 4, ME, Some(PEER)));
    rig.now_ns = 3 * DETECT_NS;
    let swap = rig.swap_by(found(by_hand(7, 4, ME, Some(PEER))));
    assert_eq!(swap.register, by_hand(8, 6, ME, Some(PEER)));
    assert_eq!(gates(&rig.lead()), []);
}

#[test]
fn a_primary_that_requires_the_other_yields_to_one_that_does_not() {
    let mut rig = primary();
    assert_eq!(swap_of(&rig.tell(claim(vouched(9, 5, PEER)))), None, "not to an epoch below its own, which it would have to refuse");
    assert_eq!(swap_of(&rig.tell(claim(by_hand(9, 7, PEER, Some(ME))))), None, "not to one that requires it as well");
    let mut rig = primary();
    assert_eq!(rig.swap_by(claim(vouched(9, 7, PEER))).register, vouched(9, 7, PEER));
    let deposed = rig.tell(Event::SwapEnded(SwapEnd::Swapped));
    assert_eq!(deposed.first(), Some(&Effect::StopServing), "{deposed:?}");
    assert_eq!(deposed.last(), Some(&Effect::StartOver(StartOver::Deposed)));
}

#[test]
fn a_primary_that_does_not_require_the_other_takes_an_epoch_above_it() {
    let mut rig = Rig::with(manual(), KEPT);
    rig.start(vouched(7, 5, ME));
    rig.lead();
    let claimed = rig.tell(claim(by_hand(9, 10, PEER, Some(ME))));
    let Some(Effect::Persist(kept)) = claimed.first().copied() else { panic!("{claimed:?}") };
    assert_eq!((kept.promised, claimed.len()), (Epoch(10), 1));
    assert_eq!(rig.tell(Event::Persisted(kept)).last(), Some(&Effect::StartOver(StartOver::Outbid)));
    let mut again = Rig::with(manual(), kept);
    assert_eq!(swap_of(&again.start(vouched(8, 7, ME))).unwrap().register, vouched(9, 11, ME));
}

#[test]
fn two_words_freeze_the_node_that_sees_the_later_one() {
    let mut rig = Rig::with(manual(), KEPT);
    rig.start(vouched(7, 4, ME));
    rig.lead();
    assert_eq!(rig.tell(claim(vouched(9, 5, PEER))), [], "the other one sees it");
    assert_eq!(rig.tell(claim(vouched(9, 7, PEER))), [Effect::Note(Note::Frozen(Freeze::Contested))]);
    assert_eq!(rig.shard.frozen(), Some(Freeze::Contested));
}

#[test]
fn a_standby_takes_its_primarys_register_over_and_no_strangers() {
    let mut rig = Rig::with(manual(), KEPT);
    rig.start(by_hand(7, 4, PEER, None));
    assert_eq!(rig.tell(claim(by_hand(5, 4, PEER, None))), [], "it is that already");
    assert_eq!(rig.tell(claim(by_hand(5, 3, PEER, Some(ME)))), [], "an older epoch");
    assert_eq!(rig.tell(claim(by_hand(5, 6, ME, Some(PEER)))), [], "who does not lead by its own word");
    assert_eq!(rig.tell(claim(Register { pair: PairId(8), ..by_hand(5, 6, PEER, Some(ME)) })), [], "another pair");
    assert_eq!(rig.swap_by(claim(by_hand(5, 4, PEER, Some(ME)))).register, by_hand(8, 4, PEER, Some(ME)));
    let mut blank = Rig::with(manual(), Kept::default());
    assert_eq!(blank.tell(Event::Tick), [Effect::Read]);
    assert_eq!(blank.tell(Event::RegisterRead(Read::Found { arbiter: ARBITER, register: None })), [persist_of(ARBITER)]);
    assert_eq!(blank.shard.role(), Role::Standby, "nobody founds a pair by itself");
    assert_eq!(blank.swap_by(claim(by_hand(5, 4, PEER, None))).register, by_hand(1, 4, PEER, None));
}

fn persist_of(arbiter: u128) -> Effect {
    Effect::Persist(Kept { arbiter, ..Kept::default() })
}

#[test]
fn where_a_witness_decides_a_claim_is_nobodys_word() {
    assert_eq!(paired().tell(claim(register(99, 7, PEER, None))), []);
}
