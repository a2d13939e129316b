//! From handlers that must be `Send` to an [`Observed`] that need not be.
//!
//! axum's handlers have to be `Send`; what they ask about lives on the gateway's thread and holds
//! whatever it likes. So a handler sends a question and one local task answers. The queue is as long
//! as there may be connections, and a full queue makes handlers wait, not pile up.

use tokio::sync::{mpsc, oneshot};

use super::Observed;
use super::administration::Act;
use super::report::{LedgerReport, MetricsReport, StatusReport};

/// Questions that may wait.
const QUESTIONS_MAX: usize = 64;

/// A question, with the way back for its answer.
#[derive(Debug)]
pub enum Question {
    /// Where every packet went.
    Ledger(oneshot::Sender<LedgerReport>),
    /// What the appliance is doing.
    Status(oneshot::Sender<StatusReport>),
    /// Whether it is ready.
    Ready(oneshot::Sender<Result<(), String>>),
    /// The numbers of a scrape.
    Metrics(oneshot::Sender<MetricsReport>),
    /// An operator's order.
    Order(Act, oneshot::Sender<Result<String, String>>),
}

/// Nobody answers any more: the appliance stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopping;

/// The asking side.
#[derive(Debug, Clone)]
pub struct Ask(mpsc::Sender<Question>);

impl Ask {
    /// Asks and waits for the answer.
    pub async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, Stopping> {
        let (reply, replied) = oneshot::channel();
        let sent = self.0.send(question(reply)).await;
        sent.map_err(|_| Stopping)?;
        replied.await.map_err(|_| Stopping)
    }
}

/// A queue of questions.
pub fn channel() -> (Ask, mpsc::Receiver<Question>) {
    let (ask, asked) = mpsc::channel(QUESTIONS_MAX);
    (Ask(ask), asked)
}

/// Answers until nobody can ask any more.
pub async fn answer<O: Observed>(observed: O, mut asked: mpsc::Receiver<Question>) {
    while let Some(question) = asked.recv().await {
        // A client that has gone does not wait for its answer; that is no error of ours.
        let _gone = match question {
            Question::Ledger(reply) => reply.send(observed.ledger()).is_err(),
            Question::Status(reply) => reply.send(observed.status()).is_err(),
            Question::Ready(reply) => reply.send(observed.ready()).is_err(),
            Question::Metrics(reply) => reply.send(observed.metrics()).is_err(),
            Question::Order(act, reply) => reply.send(observed.administer(&act)).is_err(),
        };
    }
}
