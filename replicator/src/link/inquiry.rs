//! Asks the other node what its register says, on a connection of its own for each question, as often as there is cause.
//!
//! ```text
//! dial ─► Claim (asks) ─► Claim ─► told, closed ─► a pause ─► …
//! ```

use super::connection::{Connection, Lost};
use super::dialling::Dialling;
use crate::message::{self, Message};
use crate::register::{Member, Register};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

/// Between one question and the next.
const EVERY_NS: u64 = 100_000_000;
/// How long an answer may take.
const ANSWER_NS_MAX: u64 = 500_000_000;

/// What the other node has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Its name.
    pub name: String,
    /// Node and register; none when that was never written.
    pub of: Option<(Member, Register)>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Inquiry {
    peer: SocketAddr,
    dialling: Dialling,
    asked: Option<(Connection, u64)>,
    due_ns: u64,
}

impl Inquiry {
    pub(super) fn new(peer: SocketAddr) -> Inquiry {
        Inquiry { peer, dialling: Dialling::default(), asked: None, due_ns: 0 }
    }

    /// The descriptor of a connection that is there, whose answer is waited for.
    pub(super) fn answers(&self) -> Option<BorrowedFd<'_>> {
        self.asked.as_ref().map(|(connection, _)| connection.fd())
    }

    /// The descriptor of a connection that is being made.
    pub(super) fn dials(&self) -> Option<BorrowedFd<'_>> {
        self.dialling.fd()
    }

    /// Goes on; `ask` puts this node's own claim on a new connection. What the other has answered, once it has.
    pub(super) fn step(&mut self, now_ns: u64, ask: impl FnOnce(&mut Connection) -> Result<(), Lost>) -> Option<Told> {
        if let Some((connection, since_ns)) = &mut self.asked {
            return match answer(connection) {
                Ok(None) if now_ns.saturating_sub(*since_ns) < ANSWER_NS_MAX => None,
                Ok(Some(told)) => {
                    self.rest(now_ns);
                    Some(told)
                }
                // Whoever does not answer is asked again.
                Ok(None) | Err(_) => {
                    self.rest(now_ns);
                    None
                }
            };
        }
        if now_ns < self.due_ns {
            return None;
        }
        let mut connection = self.dialling.step(self.peer, now_ns)?;
        match ask(&mut connection) {
            Ok(()) => self.asked = Some((connection, now_ns)),
            Err(_) => self.rest(now_ns),
        }
        None
    }

    /// Nobody is to be asked now.
    pub(super) fn stop(&mut self) {
        self.asked = None;
        self.dialling.pause(0);
    }

    fn rest(&mut self, now_ns: u64) {
        (self.asked, self.due_ns) = (None, now_ns + EVERY_NS);
    }
}

fn answer(connection: &mut Connection) -> Result<Option<Told>, Lost> {
    connection.flush()?;
    connection.fill()?;
    told(connection)
}

/// The claim that a connection has brought, once it is whole.
pub(super) fn told(connection: &mut Connection) -> Result<Option<Told>, Lost> {
    let next = message::next(connection.received()).map_err(|rejected| Lost::given_up(format!("malformed: {rejected:?}")))?;
    match next {
        Some((Message::Claim(claim), _)) => Ok(Some(Told { name: claim.name.to_owned(), of: claim.of })),
        Some(_) => Err(Lost::given_up("the answer to a claim is none")),
        None => Ok(None),
    }
}
