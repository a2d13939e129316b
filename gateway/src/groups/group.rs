//! One group: a machine of five states.
//!
//! ```text
//!              join                everybody is here, or time is over        the leader's sync
//!   Empty ───────────► Preparing ─────────────────────────────────► Completing ───────────► Stable
//!     ▲                  │    ▲                                        │                       │
//!     │   nobody is left │    └──── a member joins, leaves or falls silent, or does not ask ───┘
//!     ├──────────────────┘          for its assignment in time
//!     └─ long enough ─► Dead (not kept)
//! ```
//!
//! *Preparing*: members are to join again, and their joins wait. *Completing*: the joins of a generation are answered, and
//! syncs wait for the leader's. The group has one deadline, whose meaning is the state's: the end of the wait for joins,
//! the end of the wait for syncs, the end of being remembered.
//!
//! **Static members** keep their name when they start anew: the new one takes the old one's place, whose requests are fenced
//! from then on, and nobody is made to join again unless the protocol changes. When joins are waited for in vain, they stay
//! members until their session ends, while others are dropped.
//!
//! Invariants: who waits has no deadline, who does not has one; the leader is a member; every protocol list has one entry at
//! least that all others have too, so a protocol can always be chosen.

use super::coordinator::{
    Answer, Bounds, Described, DescribedMember, Effect, Join, Joined, JoinedMember, Leaver, Speaker, Sync, Synced, Ticket,
};
use super::member::{Member, Protocol};
use crate::kafka::ErrorCode;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Initial delays that one first rebalance waits at most, while members keep coming.
const INITIAL_DELAYS_MAX: u64 = 8;

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Without members.
    Empty,
    /// Its members are to join.
    Preparing,
    /// Its members wait for what the leader assigns.
    Completing,
    /// Its members work.
    Stable,
    /// Not here.
    Dead,
}

impl State {
    /// The protocol's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    bounds: Bounds,
    state: State,
    generation: i32,
    protocol_type: String,
    protocol: Option<String>,
    leader: Option<String>,
    /// By id.
    members: BTreeMap<String, Member>,
    /// The member of each name.
    instances: BTreeMap<String, String>,
    /// Ids that were given and have not come back, and until when they may.
    pending: BTreeMap<String, u64>,
    deadline_ms: Option<u64>,
    /// While a first rebalance waits for more members: when it ends at the latest.
    initial_ends_ms: Option<u64>,
}

/// Who wants to join.
enum Joiner {
    New,
    /// Comes back with the id that it was given.
    Pending,
    Member,
    /// Takes the place of this member.
    Replacing(String),
    Refused(ErrorCode),
}

impl Group {
    pub fn new(now_ms: u64, bounds: Bounds) -> Group {
        Group {
            bounds,
            state: State::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            deadline_ms: Some(now_ms + bounds.empty_ms_max),
            initial_ends_ms: None,
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn protocol_type(&self) -> &str {
        &self.protocol_type
    }

    pub fn bytes(&self) -> usize {
        self.members.values().map(Member::bytes).sum()
    }

    pub fn bytes_without(&self, member: &str) -> usize {
        self.members.iter().filter(|(id, _)| *id != member).map(|(_, member)| member.bytes()).sum()
    }

    /// When something is to be done by itself.
    pub fn wake_ms(&self) -> Option<u64> {
        let silences = self.members.values().filter_map(|member| member.deadline_ms);
        silences.chain(self.pending.values().copied()).chain(self.deadline_ms).min()
    }

    pub fn is_due(&self, now_ms: u64) -> bool {
        self.wake_ms().is_some_and(|wake| wake <= now_ms)
    }

    pub fn on_join(&mut self, now_ms: u64, ticket: Ticket, join: &Join, effects: &mut Vec<Effect>) {
        let mut refuse = |error, member: &str| effects.push(Effect { ticket, answer: Answer::Joined(Joined::refused(error, member)) });
        let joiner = self.joiner(join);
        let own = match &joiner {
            Joiner::Refused(error) => return refuse(*error, &join.member),
            Joiner::Replacing(old) => old.as_str(),
            _ => join.member.as_str(),
        };
        if !self.supports(join, own) {
            return refuse(ErrorCode::InconsistentGroupProtocol, &join.member);
        }
        match joiner {
            Joiner::New if self.members.len() + self.pending.len() >= self.bounds.members_max => {
                refuse(ErrorCode::GroupMaxSizeReached, &join.member);
            }
            // Else each try of a client that loses its connection would leave a member behind that nobody is.
            Joiner::New if join.id_first && join.instance.is_none() => {
                self.pending.insert(join.fresh.clone(), now_ms + join.session_ms);
                refuse(ErrorCode::MemberIdRequired, &join.fresh);
            }
            Joiner::New => self.add(now_ms, &join.fresh, Member::new(ticket, join, false), join, effects),
            Joiner::Pending => {
                self.pending.remove(&join.member);
                self.add(now_ms, &join.member, Member::new(ticket, join, true), join, effects);
            }
            Joiner::Member => self.rejoin(now_ms, ticket, join, effects),
            Joiner::Replacing(old) => self.replace(now_ms, ticket, join, &old, effects),
            Joiner::Refused(_) => unreachable!("refused above"),
        }
    }

    pub fn on_sync(&mut self, now_ms: u64, ticket: Ticket, sync: &Sync, effects: &mut Vec<Effect>) {
        let refusal = self.stranger(&sync.speaker).or_else(|| self.wrong_generation(sync.speaker.generation)).or_else(|| {
            let other = |asked: &Option<String>, ours: Option<&str>| asked.as_deref().is_some_and(|asked| Some(asked) != ours);
            let inconsistent = other(&sync.protocol_type, Some(&self.protocol_type)) || other(&sync.protocol, self.protocol.as_deref());
            match self.state {
                _ if inconsistent => Some(ErrorCode::InconsistentGroupProtocol),
                State::Preparing => Some(ErrorCode::RebalanceInProgress),
                _ => None,
            }
        });
        if let Some(error) = refusal {
            effects.push(Effect { ticket, answer: Answer::Synced(Synced::refused(error)) });
            return;
        }
        let id = &sync.speaker.member;
        let member = self.members.get_mut(id).expect("no stranger");
        if let Some(earlier) = member.sync.replace(ticket) {
            effects.push(Effect { ticket: earlier, answer: Answer::Synced(Synced::refused(ErrorCode::RebalanceInProgress)) });
        }
        member.owes_sync = false;
        member.heard(now_ms);
        if self.state == State::Completing && self.leader.as_ref() == Some(id) {
            for (member, assignment) in &sync.assignments {
                if let Some(member) = self.members.get_mut(member) {
                    member.assignment = assignment.clone();
                }
            }
            self.state = State::Stable;
        }
        if self.state == State::Stable {
            self.hand_out(now_ms, effects);
        }
    }

    pub fn on_heartbeat(&mut self, now_ms: u64, speaker: &Speaker) -> ErrorCode {
        if let Some(error) = self.stranger(speaker).or_else(|| self.wrong_generation(speaker.generation)) {
            return error;
        }
        self.members.get_mut(&speaker.member).expect("no stranger").heard(now_ms);
        if self.state == State::Preparing { ErrorCode::RebalanceInProgress } else { ErrorCode::None }
    }

    pub fn on_leave(&mut self, now_ms: u64, leaver: &Leaver, effects: &mut Vec<Effect>) -> ErrorCode {
        let named = leaver.instance.as_ref().map(|name| self.instances.get(name));
        let id = match named {
            Some(None) => return ErrorCode::UnknownMemberId,
            Some(Some(id)) if !leaver.member.is_empty() && *id != leaver.member => return ErrorCode::FencedInstanceId,
            Some(Some(id)) => id.clone(),
            None => leaver.member.clone(),
        };
        if self.pending.remove(&id).is_none() {
            if !self.members.contains_key(&id) {
                return ErrorCode::UnknownMemberId;
            }
            self.remove(&id, ErrorCode::UnknownMemberId, effects);
        }
        self.on_fewer(now_ms, effects);
        ErrorCode::None
    }

    pub fn on_commit(&mut self, now_ms: u64, speaker: &Speaker) -> ErrorCode {
        if speaker.generation < 0 && self.state == State::Empty {
            return ErrorCode::None;
        }
        if let Some(error) = self.stranger(speaker).or_else(|| self.wrong_generation(speaker.generation)) {
            return error;
        }
        self.members.get_mut(&speaker.member).expect("no stranger").heard(now_ms);
        if self.state == State::Completing { ErrorCode::RebalanceInProgress } else { ErrorCode::None }
    }

    /// The client of a waiting request is gone.
    pub fn on_gone(&mut self, now_ms: u64, ticket: Ticket, effects: &mut Vec<Effect>) {
        let waiting = self.members.iter_mut().find(|(_, member)| member.join == Some(ticket) || member.sync == Some(ticket));
        let Some((id, member)) = waiting else { return };
        if member.join == Some(ticket) {
            member.join = None;
        } else {
            member.sync = None;
        }
        if member.told {
            // It may come back under its id, within its session.
            member.heard(now_ms);
            return;
        }
        let id = id.clone();
        self.remove(&id, ErrorCode::UnknownMemberId, effects);
        self.on_fewer(now_ms, effects);
    }

    /// Whether the group is kept.
    pub fn on_time(&mut self, now_ms: u64, effects: &mut Vec<Effect>) -> bool {
        let count = self.members.len() + self.pending.len();
        self.pending.retain(|_, until| *until > now_ms);
        self.remove_where(|member| member.deadline_ms.is_some_and(|deadline| deadline <= now_ms), effects);
        if self.members.len() + self.pending.len() < count {
            self.on_fewer(now_ms, effects);
        }
        if self.deadline_ms.is_none_or(|deadline| deadline > now_ms) {
            return true;
        }
        match self.state {
            State::Preparing => self.complete(now_ms, effects),
            State::Completing | State::Stable => {
                self.remove_where(|member| member.owes_sync, effects);
                self.on_fewer(now_ms, effects);
            }
            State::Empty if self.pending.is_empty() => return false,
            State::Empty | State::Dead => self.deadline_ms = Some(now_ms + self.bounds.empty_ms_max),
        }
        true
    }

    pub fn describe(&self) -> Described {
        let stable = self.protocol.as_deref().filter(|_| self.state == State::Stable);
        let member = |(id, member): (&String, &Member)| DescribedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            client: member.client.clone(),
            host: member.host.clone(),
            metadata: stable.map_or_else(Bytes::new, |protocol| member.metadata(protocol)),
            assignment: member.assignment.clone(),
        };
        Described {
            state: self.state,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: self.members.iter().map(member).collect(),
        }
    }

    fn joiner(&self, join: &Join) -> Joiner {
        let named = join.instance.as_ref().and_then(|name| self.instances.get(name));
        match named {
            Some(old) if join.member.is_empty() => Joiner::Replacing(old.clone()),
            Some(other) if *other != join.member => Joiner::Refused(ErrorCode::FencedInstanceId),
            Some(_) => Joiner::Member,
            None if join.member.is_empty() => Joiner::New,
            None if join.instance.is_some() => Joiner::Refused(ErrorCode::UnknownMemberId),
            None if self.pending.contains_key(&join.member) => Joiner::Pending,
            None if self.members.contains_key(&join.member) => Joiner::Member,
            None => Joiner::Refused(ErrorCode::UnknownMemberId),
        }
    }

    /// Whether the others can do one of its protocols.
    fn supports(&self, join: &Join, own: &str) -> bool {
        let others = || self.members.iter().filter(|(id, _)| *id != own).map(|(_, member)| member);
        if others().next().is_none() {
            return true;
        }
        let by_all = |protocol: &Protocol| others().all(|member| member.supports(&protocol.name));
        self.protocol_type == join.protocol_type && join.protocols.iter().any(by_all)
    }

    fn stranger(&self, speaker: &Speaker) -> Option<ErrorCode> {
        match speaker.instance.as_ref().map(|name| self.instances.get(name)) {
            Some(Some(id)) if *id != speaker.member => Some(ErrorCode::FencedInstanceId),
            Some(None) => Some(ErrorCode::UnknownMemberId),
            _ if !self.members.contains_key(&speaker.member) => Some(ErrorCode::UnknownMemberId),
            _ => None,
        }
    }

    fn wrong_generation(&self, generation: i32) -> Option<ErrorCode> {
        (generation != self.generation).then_some(ErrorCode::IllegalGeneration)
    }

    fn add(&mut self, now_ms: u64, id: &str, member: Member, join: &Join, effects: &mut Vec<Effect>) {
        if self.members.is_empty() {
            self.protocol_type = join.protocol_type.clone();
        }
        if let Some(name) = &member.instance {
            self.instances.insert(name.clone(), id.to_owned());
        }
        // The first to come leads.
        self.leader.get_or_insert_with(|| id.to_owned());
        self.members.insert(id.to_owned(), member);
        if self.state == State::Preparing {
            if let Some(ends_ms) = self.initial_ends_ms {
                self.deadline_ms = Some(ends_ms.min(now_ms + self.bounds.initial_delay_ms));
            }
            self.complete_if_all_joined(now_ms, effects);
        } else {
            self.prepare(now_ms, effects);
        }
    }

    fn rejoin(&mut self, now_ms: u64, ticket: Ticket, join: &Join, effects: &mut Vec<Effect>) {
        let is_leader = self.leader.as_ref() == Some(&join.member);
        let member = self.members.get_mut(&join.member).expect("found before");
        let same = member.protocols == join.protocols;
        if self.state == State::Completing && same || self.state == State::Stable && same && !is_leader {
            // It has not heard its answer, or has no news: nobody else needs to know.
            member.heard(now_ms);
            effects.push(Effect { ticket, answer: Answer::Joined(self.joined(&join.member)) });
            return;
        }
        member.update(join);
        if let Some(earlier) = member.join.replace(ticket) {
            effects.push(Effect { ticket: earlier, answer: Answer::Joined(Joined::refused(ErrorCode::RebalanceInProgress, &join.member)) });
        }
        member.heard(now_ms);
        if self.state == State::Preparing {
            self.complete_if_all_joined(now_ms, effects);
        } else {
            self.prepare(now_ms, effects);
        }
    }

    /// A static member starts anew under a new id.
    fn replace(&mut self, now_ms: u64, ticket: Ticket, join: &Join, old: &str, effects: &mut Vec<Effect>) {
        let mut member = self.members.remove(old).expect("every name has its member");
        release(old, &mut member, ErrorCode::FencedInstanceId, effects);
        member.update(join);
        member.told = false;
        let (id, name) = (join.fresh.clone(), join.instance.clone().expect("only a named one replaces"));
        let was_leader = self.leader.as_deref() == Some(old);
        self.instances.insert(name, id.clone());
        self.members.insert(id.clone(), member);
        if was_leader {
            self.leader = Some(id.clone());
        }
        let goes_on = self.state == State::Stable && self.protocol.as_ref() == Some(&self.select());
        let member = self.members.get_mut(&id).expect("just put there");
        if goes_on {
            member.told = true;
            member.heard(now_ms);
            let mut joined = self.joined(&id);
            joined.skip_assignment = was_leader && join.skips_assignment;
            if was_leader && !join.skips_assignment {
                // One that does not know how to skip is told that its former self leads, so that it assigns nothing.
                joined.leader = old.to_owned();
                joined.members.clear();
            }
            effects.push(Effect { ticket, answer: Answer::Joined(joined) });
            return;
        }
        member.join = Some(ticket);
        member.heard(now_ms);
        if self.state == State::Preparing {
            self.complete_if_all_joined(now_ms, effects);
        } else {
            self.prepare(now_ms, effects);
        }
    }

    /// Fewer members or fewer ids given than before.
    fn on_fewer(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        match self.state {
            State::Stable | State::Completing => self.prepare(now_ms, effects),
            State::Preparing => self.complete_if_all_joined(now_ms, effects),
            State::Empty | State::Dead => {}
        }
    }

    /// Calls everybody to join again.
    fn prepare(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let first = self.state == State::Empty;
        for member in self.members.values_mut() {
            if let Some(ticket) = member.sync.take() {
                effects.push(Effect { ticket, answer: Answer::Synced(Synced::refused(ErrorCode::RebalanceInProgress)) });
                member.heard(now_ms);
            }
        }
        self.state = State::Preparing;
        let rebalance_ms = self.rebalance_ms();
        if first {
            let ends_ms = now_ms + rebalance_ms.min(self.bounds.initial_delay_ms * INITIAL_DELAYS_MAX);
            self.initial_ends_ms = Some(ends_ms);
            self.deadline_ms = Some(ends_ms.min(now_ms + self.bounds.initial_delay_ms));
        } else {
            self.initial_ends_ms = None;
            self.deadline_ms = Some(now_ms + rebalance_ms);
        }
        self.complete_if_all_joined(now_ms, effects);
    }

    fn complete_if_all_joined(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let all = self.pending.is_empty() && self.members.values().all(|member| member.join.is_some());
        if all && (self.initial_ends_ms.is_none() || self.members.is_empty()) {
            self.complete(now_ms, effects);
        }
    }

    /// Begins the next generation with who is here.
    fn complete(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        self.remove_where(|member| member.join.is_none() && !member.is_static(), effects);
        if !self.members.is_empty() && self.members.values().all(|member| member.join.is_none()) {
            // Static members alone, none of them here: there is nobody to lead. Their sessions end them.
            self.deadline_ms = Some(now_ms + self.rebalance_ms());
            return;
        }
        self.initial_ends_ms = None;
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.state = State::Empty;
            self.protocol = None;
            self.leader = None;
            self.deadline_ms = Some(now_ms + self.bounds.empty_ms_max);
            return;
        }
        self.protocol = Some(self.select());
        self.elect();
        self.state = State::Completing;
        self.deadline_ms = Some(now_ms + self.rebalance_ms());
        let here: Vec<(String, Ticket)> =
            self.members.iter().filter_map(|(id, member)| member.join.map(|ticket| (id.clone(), ticket))).collect();
        for (id, ticket) in here {
            effects.push(Effect { ticket, answer: Answer::Joined(self.joined(&id)) });
            self.members.get_mut(&id).expect("found above").join = None;
        }
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            // Who was waiting begins a session now; the silence of an absent one goes on.
            member.owes_sync = member.deadline_ms.is_none();
            if member.owes_sync {
                member.told = true;
                member.heard(now_ms);
            }
        }
    }

    /// The leader stays while it is here.
    fn elect(&mut self) {
        let is_here = |id: &String| self.members.get(id).is_some_and(|member| member.join.is_some());
        if !self.leader.as_ref().is_some_and(is_here) {
            self.leader = self.members.keys().find(|id| is_here(id)).cloned();
        }
    }

    /// Gives their assignments to all who asked.
    fn hand_out(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let (protocol_type, protocol) = (Some(self.protocol_type.clone()), self.protocol.clone());
        for member in self.members.values_mut() {
            if let Some(ticket) = member.sync.take() {
                let (protocol_type, protocol) = (protocol_type.clone(), protocol.clone());
                let synced = Synced { error: ErrorCode::None, protocol_type, protocol, assignment: member.assignment.clone() };
                effects.push(Effect { ticket, answer: Answer::Synced(synced) });
                member.heard(now_ms);
            }
        }
        if !self.members.values().any(|member| member.owes_sync) {
            self.deadline_ms = None;
        }
    }

    /// What a member is told of the generation.
    fn joined(&self, id: &str) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let leader = self.leader.clone().unwrap_or_default();
        let everybody = || {
            let member = |(id, member): (&String, &Member)| JoinedMember {
                member: id.clone(),
                instance: member.instance.clone(),
                metadata: member.metadata(&protocol),
            };
            self.members.iter().map(member).collect()
        };
        Joined {
            error: ErrorCode::None,
            generation: self.generation,
            protocol_type: Some(self.protocol_type.clone()),
            members: if leader == id { everybody() } else { Vec::new() },
            protocol: Some(protocol),
            leader,
            member: id.to_owned(),
            skip_assignment: false,
        }
    }

    /// The protocol that most members like best, of those that all can do.
    fn select(&self) -> String {
        let by_all = |name: &str| self.members.values().all(|member| member.supports(name));
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let liked = member.protocols.iter().map(|protocol| protocol.name.as_str()).find(|name| by_all(name));
            *votes.entry(liked.expect("joins without a common protocol are refused")).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
        most.expect("asked only where there are members").0.to_owned()
    }

    fn rebalance_ms(&self) -> u64 {
        self.members.values().map(|member| member.rebalance_ms).max().unwrap_or(0)
    }

    fn remove_where(&mut self, gone: impl Fn(&Member) -> bool, effects: &mut Vec<Effect>) {
        let gone: Vec<String> = self.members.iter().filter(|(_, member)| gone(member)).map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| self.remove(id, ErrorCode::UnknownMemberId, effects));
    }

    fn remove(&mut self, id: &str, error: ErrorCode, effects: &mut Vec<Effect>) {
        let mut member = self.members.remove(id).expect("removed once");
        release(id, &mut member, error, effects);
        if let Some(name) = &member.instance {
            self.instances.remove(name);
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = None;
        }
    }
}

/// Answers what waits of a member that is no more.
fn release(id: &str, member: &mut Member, error: ErrorCode, effects: &mut Vec<Effect>) {
    if let Some(ticket) = member.join.take() {
        effects.push(Effect { ticket, answer: Answer::Joined(Joined::refused(error, id)) });
    }
    if let Some(ticket) = member.sync.take() {
        effects.push(Effect { ticket, answer: Answer::Synced(Synced::refused(error)) });
    }
}

#[cfg(test)]
mod check;
