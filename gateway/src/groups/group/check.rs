//! What holds inside a group between any two events.

use super::{Group, State};

impl Group {
    /// The invariants of the module's header.
    pub fn check(&self) {
        for (id, member) in &self.members {
            assert_eq!(member.waits(), member.deadline_ms.is_none(), "{id} waits or is timed, never both: {member:?}");
            assert!(
                member.join.is_none() || self.state == State::Preparing,
                "{id}: joins wait in Preparing alone, not in {:?}",
                self.state
            );
            assert!(
                member.sync.is_none() || self.state == State::Completing,
                "{id}: syncs wait in Completing alone, not in {:?}",
                self.state
            );
            assert!(!self.pending.contains_key(id), "{id} is a member or pending");
            if let Some(name) = &member.instance {
                assert_eq!(self.instances.get(name), Some(id));
            }
        }
        assert!(self.instances.values().all(|id| self.members.contains_key(id)));
        assert!(self.state == State::Stable || self.deadline_ms.is_some(), "{:?} without an end", self.state);
        if !self.members.is_empty() {
            let _exists = self.select();
        }
    }
}
