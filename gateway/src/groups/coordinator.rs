//! All groups: events in, effects out.
//!
//! ```text
//!   (now, event) ─► Coordinator::on ─► effects: each answers one waiting request
//!                        └─ next_deadline_ms ─► when Event::Time is wanted
//! ```
//!
//! Every request comes with a ticket and is answered under it exactly once, at once or later, unless its client goes away
//! first and that is told by [`Event::Gone`]. What an event does to a group depends on the group's state alone, see
//! [`super::group`]; a group that is not here is [`State::Dead`].

use super::group::Group;
pub use super::group::State;
pub use super::member::Protocol;
use super::member::bytes_of;
use crate::kafka::ErrorCode;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Bounds of the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Groups.
    pub groups_max: usize,
    /// Members of a group, those included that were given an id and have not come back yet.
    pub members_max: usize,
    /// Bytes that members of a group tell about themselves.
    pub group_bytes_max: usize,
    /// The same over all groups.
    pub bytes_max: usize,
    /// Shortest session.
    pub session_ms_min: u64,
    /// Longest session, and longest wait for a member to join again.
    pub session_ms_max: u64,
    /// How long the first rebalance of an empty group waits for more members.
    pub initial_delay_ms: u64,
    /// How long a group without members is remembered.
    pub empty_ms_max: u64,
}

/// Names one waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// The group.
    pub group: String,
    /// The generation it believes in; -1: none.
    pub generation: i32,
    /// Its id; empty: none.
    pub member: String,
    /// Its name across restarts.
    pub instance: Option<String>,
}

/// A member joins, for the first time or again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The group.
    pub group: String,
    /// Its id; empty: it has none yet.
    pub member: String,
    /// The id that it gets if it has none; never given to anybody before.
    pub fresh: String,
    /// Its name across restarts.
    pub instance: Option<String>,
    /// How long it may be silent.
    pub session_ms: u64,
    /// How long others wait for it to join again.
    pub rebalance_ms: u64,
    /// What kind of group: `consumer`.
    pub protocol_type: String,
    /// By its preference.
    pub protocols: Vec<Protocol>,
    /// It is to come back with its id before it counts (since version 4).
    pub id_first: bool,
    /// It understands that a leader is not to assign (since version 9).
    pub skips_assignment: bool,
    /// Name of its client.
    pub client: String,
    /// Where it comes from.
    pub host: String,
}

/// A member asks for its assignment; the leader brings all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Who.
    pub speaker: Speaker,
    /// Kind of group it believes in (since version 5).
    pub protocol_type: Option<String>,
    /// Protocol it believes in (since version 5).
    pub protocol: Option<String>,
    /// By member.
    pub assignments: Vec<(String, Bytes)>,
}

/// A member that leaves: its id, or its name across restarts, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaver {
    /// Its id; empty: by its name.
    pub member: String,
    /// Its name across restarts.
    pub instance: Option<String>,
}

/// What happens to the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member joins.
    Join(Ticket, Join),
    /// A member asks for its assignment.
    Sync(Ticket, Sync),
    /// A member is alive.
    Heartbeat(Ticket, Speaker),
    /// Members leave a group.
    Leave(Ticket, String, Vec<Leaver>),
    /// May this member commit offsets now?
    Commit(Ticket, Speaker),
    /// A group is to be forgotten with its offsets.
    Delete(Ticket, String),
    /// The client of a waiting request of this group is gone.
    Gone(Ticket, String),
    /// Time has passed.
    Time,
}

/// An effect: the answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Which request.
    pub ticket: Ticket,
    /// Its answer.
    pub answer: Answer,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To a join.
    Joined(Joined),
    /// To a sync.
    Synced(Synced),
    /// To a heartbeat, a question whether to commit, a deletion.
    Plain(ErrorCode),
    /// To a leave: for each leaver.
    Left(Vec<ErrorCode>),
}

/// What a member that joins is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// None: it is a member of the generation.
    pub error: ErrorCode,
    /// The generation, -1 without one.
    pub generation: i32,
    /// Kind of group.
    pub protocol_type: Option<String>,
    /// The protocol chosen.
    pub protocol: Option<String>,
    /// Id of the leader.
    pub leader: String,
    /// Its own id.
    pub member: String,
    /// The leader is not to assign.
    pub skip_assignment: bool,
    /// For the leader: everybody.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member: String,
    /// Its name across restarts.
    pub instance: Option<String>,
    /// What it tells about itself under the protocol chosen.
    pub metadata: Bytes,
}

/// What a member is told that asks for its assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// None: here it is.
    pub error: ErrorCode,
    /// Kind of group.
    pub protocol_type: Option<String>,
    /// The protocol chosen.
    pub protocol: Option<String>,
    /// The assignment.
    pub assignment: Bytes,
}

impl Joined {
    /// A refusal.
    #[must_use]
    pub fn refused(error: ErrorCode, member: &str) -> Joined {
        Joined {
            error,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            member: member.to_owned(),
            skip_assignment: false,
            members: Vec::new(),
        }
    }
}

impl Synced {
    /// A refusal.
    #[must_use]
    pub fn refused(error: ErrorCode) -> Synced {
        Synced { error, protocol_type: None, protocol: None, assignment: Bytes::new() }
    }
}

/// A group from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Where it stands.
    pub state: State,
    /// Its generation, 0 before the first.
    pub generation: i32,
    /// Kind of group; empty while it has had no member.
    pub protocol_type: String,
    /// The protocol chosen.
    pub protocol: Option<String>,
    /// Id of the leader.
    pub leader: Option<String>,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member: String,
    /// Its name across restarts.
    pub instance: Option<String>,
    /// Name of its client.
    pub client: String,
    /// Where it comes from.
    pub host: String,
    /// What it tells about itself under the protocol chosen.
    pub metadata: Bytes,
    /// What it was given.
    pub assignment: Bytes,
}

/// The coordinator.
#[derive(Debug)]
pub struct Coordinator {
    bounds: Bounds,
    groups: BTreeMap<String, Group>,
}

impl Coordinator {
    /// Without groups.
    #[must_use]
    pub fn new(bounds: Bounds) -> Coordinator {
        Coordinator { bounds, groups: BTreeMap::new() }
    }

    /// Takes an event; what it answers is added to `effects`. Time never goes back.
    pub fn on(&mut self, now_ms: u64, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Join(ticket, join) => self.on_join(now_ms, ticket, &join, effects),
            Event::Sync(ticket, sync) => match self.groups.get_mut(&sync.speaker.group) {
                Some(group) => group.on_sync(now_ms, ticket, &sync, effects),
                None => effects.push(Effect { ticket, answer: Answer::Synced(Synced::refused(ErrorCode::UnknownMemberId)) }),
            },
            Event::Heartbeat(ticket, speaker) => {
                let group = self.groups.get_mut(&speaker.group);
                let error = group.map_or(ErrorCode::UnknownMemberId, |group| group.on_heartbeat(now_ms, &speaker));
                effects.push(plain(ticket, error));
            }
            Event::Leave(ticket, group, leavers) => self.on_leave(now_ms, ticket, &group, &leavers, effects),
            Event::Commit(ticket, speaker) => {
                let group = self.groups.get_mut(&speaker.group);
                let error = group.map_or_else(|| commit_without_group(&speaker), |group| group.on_commit(now_ms, &speaker));
                effects.push(plain(ticket, error));
            }
            Event::Delete(ticket, group) => effects.push(plain(ticket, self.on_delete(&group))),
            Event::Gone(ticket, group) => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.on_gone(now_ms, ticket, effects);
                }
            }
            Event::Time => self.groups.retain(|_, group| !group.is_due(now_ms) || group.on_time(now_ms, effects)),
        }
    }

    /// When the next thing is to be done without a request: send [`Event::Time`] then.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.groups.values().filter_map(Group::wake_ms).min()
    }

    /// Where a group stands.
    #[must_use]
    pub fn state(&self, group: &str) -> State {
        self.groups.get(group).map_or(State::Dead, Group::state)
    }

    /// Whether a group has members.
    #[must_use]
    pub fn has_members(&self, group: &str) -> bool {
        !matches!(self.state(group), State::Empty | State::Dead)
    }

    /// A group from outside; none if it is dead.
    #[must_use]
    pub fn describe(&self, group: &str) -> Option<Described> {
        self.groups.get(group).map(Group::describe)
    }

    /// Every group that is not dead: name, state, kind.
    pub fn list(&self) -> impl Iterator<Item = (&str, State, &str)> {
        self.groups.iter().map(|(name, group)| (name.as_str(), group.state(), group.protocol_type()))
    }

    /// What no group has to be asked for.
    fn refusal(&self, join: &Join) -> Option<ErrorCode> {
        let bytes = bytes_of(&join.protocols);
        let known = self.groups.get(&join.group);
        let others: usize = self.groups.iter().filter(|(name, _)| **name != join.group).map(|(_, group)| group.bytes()).sum();
        let own = known.map_or(0, |group| group.bytes_without(&join.member));
        if !(self.bounds.session_ms_min..=self.bounds.session_ms_max).contains(&join.session_ms) {
            Some(ErrorCode::InvalidSessionTimeout)
        } else if known.is_none() && !join.member.is_empty() {
            Some(ErrorCode::UnknownMemberId)
        } else if join.protocol_type.is_empty() || join.protocols.is_empty() {
            Some(ErrorCode::InconsistentGroupProtocol)
        } else if own + bytes > self.bounds.group_bytes_max {
            Some(ErrorCode::GroupMaxSizeReached)
        } else if (known.is_none() && self.groups.len() >= self.bounds.groups_max) || others + own + bytes > self.bounds.bytes_max {
            // Room comes back when other groups end, and this is the error that makes a client ask again.
            Some(ErrorCode::CoordinatorNotAvailable)
        } else {
            None
        }
    }

    fn on_join(&mut self, now_ms: u64, ticket: Ticket, join: &Join, effects: &mut Vec<Effect>) {
        if let Some(error) = self.refusal(join) {
            effects.push(Effect { ticket, answer: Answer::Joined(Joined::refused(error, &join.member)) });
            return;
        }
        let group = self.groups.entry(join.group.clone()).or_insert_with(|| Group::new(now_ms, self.bounds));
        group.on_join(now_ms, ticket, join, effects);
    }

    fn on_leave(&mut self, now_ms: u64, ticket: Ticket, group: &str, leavers: &[Leaver], effects: &mut Vec<Effect>) {
        let left = match self.groups.get_mut(group) {
            Some(group) => leavers.iter().map(|leaver| group.on_leave(now_ms, leaver, effects)).collect(),
            None => vec![ErrorCode::UnknownMemberId; leavers.len()],
        };
        effects.push(Effect { ticket, answer: Answer::Left(left) });
    }

    fn on_delete(&mut self, group: &str) -> ErrorCode {
        match self.state(group) {
            // Whether it has offsets, which is all that is left of a dead group, is not known here.
            State::Dead => ErrorCode::None,
            State::Empty => {
                self.groups.remove(group);
                ErrorCode::None
            }
            _ => ErrorCode::NonEmptyGroup,
        }
    }
}

fn plain(ticket: Ticket, error: ErrorCode) -> Effect {
    Effect { ticket, answer: Answer::Plain(error) }
}

/// Nobody is a member of a group that is not here; but who assigns partitions by hand commits without being one.
fn commit_without_group(speaker: &Speaker) -> ErrorCode {
    if speaker.generation < 0 { ErrorCode::None } else { ErrorCode::IllegalGeneration }
}

#[cfg(test)]
impl Coordinator {
    /// What holds inside between any two events.
    pub(super) fn check(&self) {
        self.groups.values().for_each(Group::check);
    }
}
