//! The coordinator as a machine: every state against every event, what members experience, and random orders of events.

mod committed;
mod orders;
mod stories;
mod stream;
mod table;

use super::coordinator::*;
use crate::kafka::ErrorCode;
use bytes::Bytes;

const BOUNDS: Bounds = Bounds {
    groups_max: 3,
    members_max: 4,
    group_bytes_max: 2_000,
    bytes_max: 3_000,
    session_ms_min: 1_000,
    session_ms_max: 60_000,
    initial_delay_ms: 250,
    empty_ms_max: 60_000,
};
const SESSION_MS: u64 = 10_000;
const REBALANCE_MS: u64 = 30_000;
const GROUP: &str = "group";

/// A coordinator on a clock of its own.
struct Rig {
    coordinator: Coordinator,
    now_ms: u64,
    tickets: u64,
    /// Answers that came without being waited for, by ticket.
    answers: Vec<Effect>,
}

impl Rig {
    fn new() -> Rig {
        Rig { coordinator: Coordinator::new(BOUNDS), now_ms: 0, tickets: 0, answers: Vec::new() }
    }

    fn send(&mut self, event: impl FnOnce(Ticket) -> Event) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.coordinator.on(self.now_ms, event(ticket), &mut self.answers);
        ticket
    }

    /// The answer under a ticket, if it has come.
    fn answer(&mut self, ticket: Ticket) -> Option<Answer> {
        let place = self.answers.iter().position(|effect| effect.ticket == ticket)?;
        Some(self.answers.remove(place).answer)
    }

    fn joined(&mut self, ticket: Ticket) -> Joined {
        match self.answer(ticket) {
            Some(Answer::Joined(joined)) => joined,
            other => panic!("{other:?} for a join"),
        }
    }

    fn synced(&mut self, ticket: Ticket) -> Synced {
        match self.answer(ticket) {
            Some(Answer::Synced(synced)) => synced,
            other => panic!("{other:?} for a sync"),
        }
    }

    fn plain(&mut self, ticket: Ticket) -> ErrorCode {
        match self.answer(ticket) {
            Some(Answer::Plain(error)) => error,
            other => panic!("{other:?} where a code was to come"),
        }
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while let Some(deadline) = self.coordinator.next_deadline_ms().filter(|deadline| *deadline <= until) {
            self.now_ms = deadline.max(self.now_ms);
            self.coordinator.on(self.now_ms, Event::Time, &mut self.answers);
            let next = self.coordinator.next_deadline_ms();
            assert!(next.is_none_or(|next| next > self.now_ms), "what was due at {} is due again at {next:?}", self.now_ms);
        }
        self.now_ms = until;
    }

    fn join(&mut self, join: Join) -> Ticket {
        self.send(|ticket| Event::Join(ticket, join))
    }

    fn sync(&mut self, speaker: Speaker, assignments: &[(&str, &str)]) -> Ticket {
        let assignments =
            assignments.iter().map(|(member, text)| ((*member).to_owned(), Bytes::copy_from_slice(text.as_bytes()))).collect();
        self.send(|ticket| Event::Sync(ticket, Sync { speaker, protocol_type: None, protocol: None, assignments }))
    }

    fn heartbeat(&mut self, speaker: Speaker) -> ErrorCode {
        let ticket = self.send(|ticket| Event::Heartbeat(ticket, speaker));
        self.plain(ticket)
    }

    fn commit(&mut self, speaker: Speaker) -> ErrorCode {
        let ticket = self.send(|ticket| Event::Commit(ticket, speaker));
        self.plain(ticket)
    }

    fn leave(&mut self, leavers: Vec<Leaver>) -> Vec<ErrorCode> {
        let ticket = self.send(|ticket| Event::Leave(ticket, GROUP.to_owned(), leavers));
        match self.answer(ticket) {
            Some(Answer::Left(left)) => left,
            other => panic!("{other:?} for a leave"),
        }
    }

    fn state(&self) -> State {
        self.coordinator.state(GROUP)
    }

    /// A stable group of these members, the first of which leads; each asks for its assignment, which is its own name.
    fn stable(&mut self, members: &[&str]) -> i32 {
        let generation = self.completing(members);
        let assignments: Vec<_> = members.iter().map(|member| (*member, *member)).collect();
        let tickets: Vec<_> = members.iter().map(|member| self.sync(speaker(member, generation), &assignments)).collect();
        for (ticket, member) in tickets.into_iter().zip(members) {
            assert_eq!(self.synced(ticket).assignment, member.as_bytes());
        }
        assert_eq!(self.state(), State::Stable);
        generation
    }

    /// A group whose members wait for the leader's assignment.
    fn completing(&mut self, members: &[&str]) -> i32 {
        let tickets: Vec<_> = members.iter().map(|member| self.join(fresh(member))).collect();
        self.pass(BOUNDS.initial_delay_ms);
        let joined: Vec<_> = tickets.into_iter().map(|ticket| self.joined(ticket)).collect();
        assert!(joined.iter().all(|joined| joined.error == ErrorCode::None && joined.leader == members[0]), "{joined:?}");
        assert_eq!(self.state(), State::Completing);
        joined[0].generation
    }
}

fn protocols(names: &[&str]) -> Vec<Protocol> {
    let protocol = |name: &&str| Protocol { name: (*name).to_owned(), metadata: Bytes::copy_from_slice(name.as_bytes()) };
    names.iter().map(protocol).collect()
}

/// The first join of a client that speaks an older version: it is a member at once, under this id.
fn fresh(id: &str) -> Join {
    Join {
        group: GROUP.to_owned(),
        member: String::new(),
        fresh: id.to_owned(),
        instance: None,
        session_ms: SESSION_MS,
        rebalance_ms: REBALANCE_MS,
        protocol_type: "consumer".to_owned(),
        protocols: protocols(&["range"]),
        id_first: false,
        skips_assignment: false,
        client: "client".to_owned(),
        host: "/127.0.0.1".to_owned(),
    }
}

/// A join of a member that has its id.
fn again(id: &str) -> Join {
    Join { member: id.to_owned(), fresh: "unused".to_owned(), ..fresh(id) }
}

/// The first join of a named member.
fn named(name: &str, id: &str) -> Join {
    Join { instance: Some(name.to_owned()), ..fresh(id) }
}

fn speaker(member: &str, generation: i32) -> Speaker {
    Speaker { group: GROUP.to_owned(), generation, member: member.to_owned(), instance: None }
}

fn leaver(member: &str) -> Leaver {
    Leaver { member: member.to_owned(), instance: None }
}
