use crate::seal::{READY_BYTES, State, due_in_ns, is_due};

const LINGER_NS: u64 = 2_000_000;

fn state(payload_bytes: usize, age_ns: u64, writing: u64) -> State {
    State { payload_bytes, age_ns, awaited: false, writing, undurable: writing, depth: 8, linger_ns: LINGER_NS }
}

/// The whole policy: every payload class × age class × write class against its rule.
#[test]
fn policy_is_the_table() {
    for payload_bytes in [0, 1, READY_BYTES - 1, READY_BYTES, READY_BYTES + 1] {
        for age_ns in [0, LINGER_NS - 1, LINGER_NS, LINGER_NS + 1] {
            for writing in [0, 1, 7, 8, 9] {
                let old_enough = age_ns >= LINGER_NS && writing < 8;
                let ready = payload_bytes >= READY_BYTES && writing == 0;
                let expected = payload_bytes > 0 && (old_enough || ready);
                assert_eq!(is_due(&state(payload_bytes, age_ns, writing)), expected, "{payload_bytes} B, {age_ns} ns, {writing} writing");
            }
        }
    }
}

#[test]
fn waiting_for_age_ends_when_the_block_is_due() {
    for age_ns in [0, 1, LINGER_NS / 2, LINGER_NS, 3 * LINGER_NS] {
        let due_in = due_in_ns(&state(1, age_ns, 0)).expect("a block with room to write becomes due by age");
        assert!(is_due(&state(1, age_ns + due_in, 0)), "age {age_ns}, due in {due_in}");
    }
}

#[test]
fn nothing_to_wait_for_without_a_block_or_with_all_writes_under_way() {
    assert_eq!(due_in_ns(&state(0, 0, 0)), None);
    assert_eq!(due_in_ns(&state(100, 0, 8)), None);
}

#[test]
fn a_block_that_a_client_waits_for_goes_once_all_before_it_is_durable() {
    for (payload_bytes, age_ns, undurable, due) in [
        (100, 0, 0, true),
        (100, 0, 1, false),
        (100, LINGER_NS - 1, 9, false),
        (100, LINGER_NS, 9, true),
        (READY_BYTES, 0, 9, true),
        (0, LINGER_NS, 0, false),
    ] {
        let awaited = State { awaited: true, undurable, ..state(payload_bytes, age_ns, 0) };
        assert_eq!(is_due(&awaited), due, "{awaited:?}");
    }
}
