//! One eventfd from the log loop, many long polls: whoever waits for a commit is woken by it, and no one else.

use headworks_io::Wake;
use std::rc::Rc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, watch};

/// The watch on commits. Cloning shares it.
#[derive(Clone)]
pub struct Commits(Rc<Inner>);

struct Inner {
    wake: Wake,
    moved: watch::Sender<u64>,
    wanted: Notify,
    driven: std::cell::Cell<bool>,
}

impl Commits {
    /// Over the wake that the log loop rings after each group commit.
    pub fn new(wake: Wake) -> Commits {
        Commits(Rc::new(Inner { wake, moved: watch::Sender::new(0), wanted: Notify::new(), driven: std::cell::Cell::new(false) }))
    }

    /// Completes when something was committed since this call.
    pub fn next(&self) -> impl Future<Output = ()> + use<> {
        let mut moved = self.0.moved.subscribe();
        self.drive();
        // A permit is kept if the driver is not waiting for one, so the request cannot be missed.
        self.0.wanted.notify_one();
        async move {
            // The sender lives as long as the driver, which never ends; an error would be the end of the process.
            moved.changed().await.unwrap_or(());
        }
    }

    /// Wakes who waits for something that no group commit tells: a topic that can be asked for from now on.
    pub fn announce(&self) {
        self.0.moved.send_modify(|count| *count += 1);
    }

    /// Starts the one task that listens to the eventfd, on first use: before that nobody waited.
    fn drive(&self) {
        if !self.0.driven.replace(true) {
            tokio::task::spawn_local(listen(Rc::clone(&self.0)));
        }
    }
}

async fn listen(inner: Rc<Inner>) {
    // Deprecated because a type may close its descriptor under the runtime; a Wake owns its eventfd for as long as it lives.
    #[allow(deprecated)]
    let descriptor = match AsyncFd::with_interest(inner.wake.clone(), Interest::READABLE) {
        Ok(descriptor) => descriptor,
        Err(error) => {
            headworks_io::fatal::fatal(headworks_io::fatal::Reason::Kernel, format!("the commit eventfd cannot be polled: {error}"))
        }
    };
    loop {
        inner.wanted.notified().await;
        // The log loop writes the eventfd only while we are parked. A commit since the last turn is remembered and makes
        // `park` say so: then there is nothing to wait for.
        if !inner.wake.park() {
            match descriptor.readable().await {
                Ok(mut ready) => {
                    inner.wake.drain();
                    ready.clear_ready();
                }
                Err(error) => tracing::error!(%error, "the commit eventfd failed; long polls end by their time"),
            }
        }
        inner.wake.unpark();
        inner.moved.send_modify(|count| *count += 1);
    }
}
