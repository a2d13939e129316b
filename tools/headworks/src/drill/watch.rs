//! How a node stands, by its own answer to `GET /api/v1/status`, asked for over and over by a thread of its own.
//!
//! ```text
//! asked ──► answered: role, epoch, register, level          asked before the process that runs now: not heard
//!       └─► no answer: not heard
//! ```
//!
//! A log line says that something was begun; the register and the role say that it is so. What is shown is a node's tick old at most (half a
//! heartbeat), and a look apart. A node that stands still does not answer, and its last word counts until it does: so what it says is used
//! together with what the other one says.

use crate::client;
use crate::node::{self, Failure};
use crate::status::array;
use headworks_io::Clock;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Between two questions.
const LOOK: Duration = Duration::from_millis(10);

/// What a node does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// It does not answer, or does not know yet.
    #[default]
    Unheard,
    /// It follows; whether it is in sync and could take over.
    Standby {
        /// Its `/readyz`.
        is_ready: bool,
    },
    /// It leads; whether what it commits is on both disks.
    Primary {
        /// Both stand in the register, the other one is connected, and the level is `peer-disk`.
        is_whole: bool,
    },
}

/// How a node stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stand {
    /// Its role.
    pub role: Role,
    /// The epoch that the register had when it saw it last; 0 when it has not.
    pub epoch: u64,
    /// Whether it does not trust the register.
    pub is_frozen: bool,
    /// The longest silence of the other one while it was connected, and from which on it counts as gone, in ns.
    pub silence_ns: (u64, u64),
    /// When it was asked, on the clock that does not go back.
    asked_ns: u64,
}

impl Stand {
    /// The epoch in which it leads, if it does.
    pub fn leads(&self) -> Option<u64> {
        matches!(self.role, Role::Primary { .. }).then_some(self.epoch)
    }

    /// By an answer to a question of that moment.
    fn of(status: &Value, asked_ns: u64) -> Stand {
        let (pair, peer) = (&status["pair"], &status["peers"][0]);
        let is_whole = array(&pair["register"], "in_sync").len() == 2
            && pair["level"] == "peer-disk"
            && peer["in_sync"] == true
            && peer["connected"] == true;
        let silence_ns = |key: &str| ns(pair["silence"][key].as_f64().unwrap_or(0.0));
        Stand {
            role: match status["role"].as_str() {
                Some("primary") => Role::Primary { is_whole },
                Some("standby") => Role::Standby { is_ready: status["ready"] == true },
                _ => Role::Unheard,
            },
            epoch: pair["register"]["epoch"].as_u64().unwrap_or(0),
            is_frozen: pair["arbiter"]["frozen"].is_string(),
            silence_ns: (silence_ns("max_seconds"), silence_ns("limit_seconds")),
            asked_ns,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Stand>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to ask, from the network that the caller is in.
    ///
    /// # Errors
    /// There is no thread.
    pub fn begin(address: SocketAddr) -> Result<Watch, Failure> {
        let (seen, is_over) = (Arc::new(Mutex::new(Stand::default())), Arc::new(AtomicBool::new(false)));
        let (shown, ends) = (Arc::clone(&seen), Arc::clone(&is_over));
        let thread = node::spawn("hw-drill-watch", move || {
            while !ends.load(Ordering::Acquire) {
                let asked_ns = Clock.monotonic_ns();
                let answer = client::try_get(address, "/api/v1/status");
                let stand = answer.map_or_else(|_| Stand { asked_ns, ..Stand::default() }, |status| Stand::of(&status, asked_ns));
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = stand;
                thread::park_timeout(LOOK);
            }
        })?;
        Ok(Watch { seen, is_over, thread: Some(thread) })
    }

    /// What was heard last, if it was asked for after that moment of the clock that does not go back.
    pub fn stand(&self, after_ns: u64) -> Stand {
        let stand = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if stand.asked_ns > after_ns { stand } else { Stand::default() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // One that panicked has shown nothing since; nobody looks any more.
            let _panicked = thread.join().is_err();
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}
