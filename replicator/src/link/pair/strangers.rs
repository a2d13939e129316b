//! Connections that were let in, until they have said what they are for.
//!
//! ```text
//! Hello ─► a lane asks to follow        Fetch ─► a block is wanted, and lent        Claim ─► two registers are to be compared
//! ```

use super::PairLoop;
use crate::link::arbiter::Arbiter;
use crate::link::compare::Asking;
use crate::link::connection::{Connection, Lost};
use crate::link::host::Host;
use crate::link::lending::{LENT_MAX, Lending};
use crate::message::{self, Fetch, Message};
use crate::register::{Member, Register};

/// Connections that have not said yet what they are for.
const STRANGERS_MAX: usize = 128;
/// How long one may say nothing.
const STRANGER_NS_MAX: u64 = 2_000_000_000;

impl<H: Host, A: Arbiter> PairLoop<H, A> {
    /// Lets connections in, and passes on those that have said what they are for.
    pub(super) fn let_in(&mut self, now_ns: u64) -> usize {
        let mut done = 0;
        while let Ok((stream, _)) = self.listener.accept() {
            done += 1;
            if self.strangers.len() < STRANGERS_MAX
                && let Ok(connection) = Connection::new(stream)
            {
                self.strangers.push((connection, now_ns));
            } else {
                self.rejected += 1;
            }
        }
        for (mut connection, since_ns) in std::mem::take(&mut self.strangers) {
            match said(&mut connection) {
                Ok(Some(First::Asks(asking))) if (asking.lane as usize) < self.lanes.len() => {
                    // Who asks again has given up the connection on which it asked before.
                    self.asking.retain(|(_, before)| before.lane != asking.lane || before.from.member != asking.from.member);
                    self.asking.push((connection, asking));
                    done += 1;
                }
                Ok(Some(First::Borrows(fetch))) if self.may_lend(&fetch) => {
                    self.begin_to_lend(connection, fetch, now_ns);
                    done += 1;
                }
                Ok(Some(First::Claims(of))) if self.inquiry.is_some() => {
                    self.answer_claim(connection, of, now_ns);
                    done += 1;
                }
                Ok(None) if now_ns.saturating_sub(since_ns) < STRANGER_NS_MAX => self.strangers.push((connection, since_ns)),
                _ => self.rejected += 1,
            }
        }
        done
    }

    fn may_lend(&self, fetch: &Fetch) -> bool {
        fetch.pair == self.pair && (fetch.lane as usize) < self.lanes.len() && self.lent.len() < LENT_MAX
    }

    fn begin_to_lend(&mut self, connection: Connection, fetch: Fetch, now_ns: u64) {
        match Lending::of(connection, self.host.log(fetch.lane), self.shard.kept().promised, fetch, now_ns) {
            Ok(lending) => self.lent.extend(lending),
            Err(lost) => self.could_not_lend(&lost),
        }
    }

    /// Goes on with the blocks that are lent.
    pub(super) fn lend(&mut self, now_ns: u64) {
        for mut lending in std::mem::take(&mut self.lent) {
            match lending.go_on(now_ns) {
                Ok(true) => self.lent.push(lending),
                Ok(false) => {}
                Err(lost) => self.could_not_lend(&lost),
            }
        }
    }

    fn could_not_lend(&mut self, lost: &Lost) {
        self.rejected += 1;
        self.host.say(&format!("a block could not be lent to the other node: {}", lost.why));
    }
}

/// What a connection that was let in is for.
enum First {
    /// A lane wants to follow.
    Asks(Asking),
    /// A block is wanted.
    Borrows(Fetch),
    /// Two registers are to be compared: this is the other's.
    Claims(Option<(Member, Register)>),
}

/// What a connection that was let in says first.
fn said(connection: &mut Connection) -> Result<Option<First>, Lost> {
    connection.fill()?;
    let next = message::next(connection.received()).map_err(|rejected| Lost::given_up(format!("malformed: {rejected:?}")))?;
    let Some((message, bytes)) = next else { return Ok(None) };
    let first = match message {
        Message::Hello(hello) => First::Asks(Asking::of(&hello)),
        Message::Fetch(fetch) => First::Borrows(fetch),
        Message::Claim(claim) if claim.asks => First::Claims(claim.of),
        _ => return Err(Lost::given_up("the first message asks for nothing")),
    };
    connection.consume(bytes);
    Ok(Some(first))
}
