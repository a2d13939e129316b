//! The first meeting of two nodes where an operator is the arbiter, before either has a register: who founds the pair.
//!
//! A pair is founded only when both are there and neither knows of one. So a blank disk beside a node that is merely away never makes a
//! second pair of the same two: it waits. Of two blank nodes the one whose name sorts first founds; the other waits until it has.
//!
//! ```text
//! I know none ─► ask ─┬─ a register ─────────────► that is the pair
//!                     ├─ none, my name first ────► I found it
//!                     └─ none, its name first ───► ask again        no answer ─► ask again
//! ```

use super::connection::{Connection, Lost};
use super::inquiry::{Inquiry, Told, told};
use crate::message::{Claim, Message};
use crate::register::Register;
use headworks_io::Clock;
use std::cmp::Ordering;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

/// Between two looks at everything.
const LOOK: Duration = Duration::from_millis(5);
/// Connections that have not asked yet.
const STRANGERS_MAX: usize = 16;
/// How long one may say nothing.
const STRANGER_NS_MAX: u64 = 500_000_000;

/// What came of the meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// This node founds the pair.
    Founds,
    /// The pair is founded; its register as the other node has it.
    Pair(Register),
    /// Both nodes have the same name.
    SameName,
    /// The node was told to stop.
    Stopped,
}

/// Asks and answers until it is clear whose pair it is.
///
/// # Errors
/// The listener cannot be made non-blocking.
pub fn meet(listener: &TcpListener, peer: SocketAddr, name: &str, mut is_over: impl FnMut() -> bool) -> io::Result<Met> {
    listener.set_nonblocking(true)?;
    let blank = |asks| Message::Claim(Claim { asks, name, of: None });
    let mut inquiry = Inquiry::new(peer);
    let mut strangers: Vec<(Connection, u64)> = Vec::new();
    while !is_over() {
        let now_ns = Clock.monotonic_ns();
        if let Some(met) = inquiry.step(now_ns, |connection| connection.queue(&blank(true))).and_then(|told| judge(name, &told)) {
            return Ok(met);
        }
        let room = STRANGERS_MAX - strangers.len();
        let come = listener.incoming().take(room).map_while(Result::ok).filter_map(|stream| Connection::new(stream).ok());
        strangers.extend(come.map(|connection| (connection, now_ns)));
        for (mut connection, since_ns) in std::mem::take(&mut strangers) {
            match heard(&mut connection, &blank(false)) {
                Ok(Some(told)) => {
                    if let Some(met) = judge(name, &told) {
                        return Ok(met);
                    }
                }
                Ok(None) if now_ns.saturating_sub(since_ns) < STRANGER_NS_MAX => strangers.push((connection, since_ns)),
                // A lane that wants to follow, or nobody of this pair: there is nothing to follow here.
                Ok(None) | Err(_) => {}
            }
        }
        thread::park_timeout(LOOK);
    }
    Ok(Met::Stopped)
}

fn judge(name: &str, told: &Told) -> Option<Met> {
    match (told.of, name.cmp(&told.name)) {
        (Some((_, register)), _) => Some(Met::Pair(register)),
        (None, Ordering::Less) => Some(Met::Founds),
        (None, Ordering::Equal) => Some(Met::SameName),
        (None, Ordering::Greater) => None,
    }
}

/// What a stranger says of its register; it is answered in kind.
fn heard(connection: &mut Connection, answer: &Message<'_>) -> Result<Option<Told>, Lost> {
    connection.fill()?;
    let told = told(connection)?;
    if told.is_some() {
        connection.queue(answer)?;
        connection.flush()?;
    }
    Ok(told)
}

#[cfg(test)]
mod tests;
