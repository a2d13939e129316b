//! The coordinator's edge: tickets and who waits under them, the clock, and the one task that wakes it.

use super::coordinator::{Answer, Coordinator, Effect, Event, Ticket};
use crate::limits::Limits;
use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// The desk.
#[derive(Debug)]
pub struct Desk {
    coordinator: RefCell<Coordinator>,
    waiting: RefCell<HashMap<Ticket, oneshot::Sender<Answer>>>,
    next_ticket: Cell<u64>,
    began: Instant,
    moved: Notify,
}

impl Desk {
    /// Over a coordinator without groups. To be made on a runtime with time.
    #[must_use]
    pub fn new(limits: &Limits) -> Desk {
        Desk {
            coordinator: RefCell::new(Coordinator::new(limits.groups)),
            waiting: RefCell::default(),
            next_ticket: Cell::new(0),
            began: Instant::now(),
            moved: Notify::new(),
        }
    }

    /// The coordinator as it is.
    pub fn coordinator(&self) -> Ref<'_, Coordinator> {
        self.coordinator.borrow()
    }

    /// Hands a request to the coordinator; what is returned only waits. Who drops it before it is answered is gone.
    pub fn ask(&self, group: &str, event: impl FnOnce(Ticket) -> Event) -> Waiting<'_> {
        let ticket = Ticket(self.next_ticket.get());
        self.next_ticket.set(ticket.0 + 1);
        let (tell, told) = oneshot::channel();
        self.waiting.borrow_mut().insert(ticket, tell);
        self.happens(event(ticket));
        self.moved.notify_one();
        Waiting { desk: self, ticket, group: group.to_owned(), told }
    }

    /// The same for what is answered at once and changes no deadline but to a later one.
    pub fn ask_now(&self, event: impl FnOnce(Ticket) -> Event) -> Answer {
        let ticket = Ticket(self.next_ticket.get());
        self.next_ticket.set(ticket.0 + 1);
        let mut effects = Vec::new();
        self.coordinator.borrow_mut().on(self.now_ms(), event(ticket), &mut effects);
        let own = effects.iter().position(|effect| effect.ticket == ticket).expect("answered at once");
        let answer = effects.swap_remove(own).answer;
        self.deliver(effects);
        answer
    }

    /// Wakes the coordinator when its time has come; never ends.
    pub async fn run(&self) {
        loop {
            let moved = self.moved.notified();
            let deadline = self.coordinator.borrow().next_deadline_ms();
            match deadline {
                None => moved.await,
                Some(deadline) if deadline <= self.now_ms() => {
                    self.happens(Event::Time);
                    // Whatever the next deadline is, others have their turn first.
                    tokio::task::yield_now().await;
                }
                Some(deadline) => {
                    let due = tokio::time::sleep_until(self.began + Duration::from_millis(deadline));
                    tokio::select! {
                        () = moved => {}
                        () = due => {}
                    }
                }
            }
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn happens(&self, event: Event) {
        let mut effects = Vec::new();
        self.coordinator.borrow_mut().on(self.now_ms(), event, &mut effects);
        self.deliver(effects);
    }

    fn deliver(&self, effects: Vec<Effect>) {
        for Effect { ticket, answer } in effects {
            if let Some(tell) = self.waiting.borrow_mut().remove(&ticket) {
                // Who does not listen any more has said so, or is just about to.
                let _ = tell.send(answer);
            }
        }
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Waiting<'d> {
    desk: &'d Desk,
    ticket: Ticket,
    group: String,
    told: oneshot::Receiver<Answer>,
}

impl Waiting<'_> {
    /// The answer.
    pub async fn answer(mut self) -> Answer {
        (&mut self.told).await.expect("every ticket is answered while its owner waits")
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.desk.waiting.borrow_mut().remove(&self.ticket).is_some() {
            self.desk.happens(Event::Gone(self.ticket, std::mem::take(&mut self.group)));
            self.desk.moved.notify_one();
        }
    }
}
