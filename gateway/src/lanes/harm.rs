//! A batch that does not hold is told to whoever may have its block from the other node, and waited for.

use headworks_format::Nonce;
use headworks_log::FileNumber;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// Places that wait to be looked at; readers of others are told to come again.
const HARMED_MAX: usize = 64;
/// How long a reader waits before it is told to come again.
const HEALED_MAX: Duration = Duration::from_secs(5);

/// A place where a batch does not hold.
#[derive(Debug)]
pub struct Harmed {
    /// The lane.
    pub lane: usize,
    /// The file.
    pub file: FileNumber,
    /// Its life.
    pub nonce: Nonce,
    /// The batch's first byte.
    pub position: u64,
    /// Told of what came of it.
    pub told: oneshot::Sender<Healing>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Healing {
    /// It holds again.
    Healed,
    /// Whoever may have it does not answer now.
    Pending,
    /// Nobody has it.
    Lost,
}

/// The reader's end.
#[derive(Debug, Clone)]
pub struct Healer(SyncSender<Harmed>);

/// Both ends.
#[must_use]
pub fn healing() -> (Healer, Receiver<Harmed>) {
    let (sender, receiver) = sync_channel(HARMED_MAX);
    (Healer(sender), receiver)
}

impl Healer {
    /// Has the block in which that place lies healed.
    pub(super) async fn heal(&self, lane: usize, (file, nonce): (FileNumber, Nonce), position: u64) -> Healing {
        let (told, tells) = oneshot::channel();
        if self.0.try_send(Harmed { lane, file, nonce, position, told }).is_err() {
            return Healing::Pending;
        }
        // Too late, or the node stops: both are no answer.
        tokio::time::timeout(HEALED_MAX, tells).await.ok().and_then(Result::ok).unwrap_or(Healing::Pending)
    }
}
