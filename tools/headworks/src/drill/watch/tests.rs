//! Answers of nodes, and what they come to.

use super::*;
use serde_json::json;

fn check(status: &Value, role: Role, epoch: u64) {
    let stand = Stand::of(status, 1);
    assert_eq!((stand.role, stand.epoch), (role, epoch), "{status}");
}

fn primary(in_sync: &[&str], level: &str, is_connected: bool) -> Value {
    let pair = json!({"register": {"epoch": 7, "in_sync": in_sync}, "level": level});
    json!({"role": "primary", "ready": true, "pair": pair, "peers": [{"in_sync": in_sync.len() == 2, "connected": is_connected}]})
}

#[test]
fn a_primary_is_whole_when_register_level_and_connection_say_so() {
    check(&primary(&["a", "b"], "peer-disk", true), Role::Primary { is_whole: true }, 7);
    for status in [primary(&["a"], "peer-disk", true), primary(&["a", "b"], "disk", true), primary(&["a", "b"], "peer-disk", false)] {
        check(&status, Role::Primary { is_whole: false }, 7);
    }
}

#[test]
fn a_standby_is_ready_or_not_and_who_starts_is_not_heard() {
    check(&json!({"role": "standby", "ready": true, "pair": {"register": {"epoch": 3}}}), Role::Standby { is_ready: true }, 3);
    check(&json!({"role": "standby", "ready": false, "pair": {"register": null}}), Role::Standby { is_ready: false }, 0);
    check(&json!({"role": "starting"}), Role::Unheard, 0);
}
