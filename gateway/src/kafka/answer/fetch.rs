//! Fetch: batches as they lie, and a wait that ends by event.
//!
//! ```text
//!   take the watch ─► look at every partition, read what is new ─► enough? ─► answer
//!         ▲                                                          │ no
//!         └──── a commit ◄──────── wait ─────► deadline, shutdown ───┴──────► answer
//! ```
//!
//! The watch is taken *before* the look, so a commit in between ends the wait at once. What has been
//! read stays read: a wake-up reads only what came since. An answer goes at once when any partition
//! has an error, when `bytes_min` is reached, when the limits are, or when nothing was asked.
//!
//! Sessions (KIP-227) are declined by answering session id 0, which obliges us to list every
//! partition asked, the empty ones too; a request that names a session gets
//! FETCH_SESSION_ID_NOT_FOUND and comes back without one.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::super::broker::Broker;
use super::super::dispatch::Asked;
use super::super::errors::ErrorCode;
use super::super::request::fetch::Fetch;
use super::gather::Gather;
use super::{Reply, fetch_body};
use crate::store::Store;

/// Answers with what is there, waiting for it as long as the client wants and the limits allow.
pub async fn answer<S: Store>(broker: &Broker<S>, asked: Asked, request: &Fetch<'_>) -> Reply {
    if request.session_id != 0 || request.session_epoch > 0 {
        let error = ErrorCode::FetchSessionIdNotFound;
        return Reply { parts: fetch_body::write(asked, error, &[]), error, _holds: Vec::new() };
    }
    let mut gather = Gather::new(request, broker.limits.reply_bytes_max);
    collect(broker, request, &mut gather).await;
    let error = gather.first_error();
    Reply { parts: fetch_body::write(asked, ErrorCode::None, gather.topics()), error, _holds: gather.into_holds() }
}

async fn collect<S: Store>(broker: &Broker<S>, request: &Fetch<'_>, gather: &mut Gather<'_>) {
    let wait_ms_max = u64::try_from(request.wait_ms_max).unwrap_or(0);
    let wait_max = Duration::from_millis(wait_ms_max).min(broker.limits.fetch_wait_max);
    let deadline = Instant::now() + wait_max;
    loop {
        let commits = pin!(broker.store.commits());
        gather.look(&broker.store, &broker.replies).await;
        if gather.is_enough() || Instant::now() >= deadline {
            return;
        }
        tokio::select! {
            () = commits => {}
            () = sleep_until(deadline) => return,
            () = broker.closed() => return,
        }
    }
}
