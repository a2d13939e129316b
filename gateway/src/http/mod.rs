//! HTTP: metrics for machines, the ledger and the status as JSON, and one page for people.
//!
//! ```text
//!   GET /                 the page                      GET /api/v1/ledger   where every packet went
//!   GET /metrics          OpenMetrics text              GET /api/v1/status   what the appliance is doing
//!   GET /healthz          the process answers           GET /readyz          it does its part
//!   POST /api/v1/pair/…   what an operator orders, with the node's token: see `administration`
//! ```
//!
//! What is asked is read-only and cheap, nothing is cached. It refuses: other methods (405), other paths
//! (404), more connections than allowed (they wait), and connections that stop moving.

pub mod administration;
mod exposition;
mod listener;
mod questions;
pub mod report;
mod routes;

#[cfg(test)]
mod tests;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::counters::Counters;
use crate::limits::Limits;
use administration::{Act, Token};

pub use exposition::render;
use report::{LedgerReport, MetricsReport, StatusReport};

/// The appliance as it can be seen from outside. Asked on the gateway's thread, once a request; an
/// answer is a snapshot and must not block.
pub trait Observed: 'static {
    /// Where every packet went. A snapshot that balances.
    fn ledger(&self) -> LedgerReport;
    /// What the appliance is doing.
    fn status(&self) -> StatusReport;
    /// Whether it does its part: a single node or a primary takes and serves packets, a standby is in sync.
    ///
    /// # Errors
    /// A sentence for the operator that says why not.
    fn ready(&self) -> Result<(), String>;
    /// The numbers of a scrape.
    fn metrics(&self) -> MetricsReport;
    /// Begins what an operator orders; what will happen.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn administer(&self, act: &Act) -> Result<String, String>;
}

/// Serves HTTP until `closing` turns true, then until the requests under way are answered. To be run
/// inside a `LocalSet`.
pub async fn listen<O: Observed>(
    listener: TcpListener,
    observed: O,
    token: Token,
    counters: Counters,
    limits: Limits,
    mut closing: watch::Receiver<bool>,
) {
    let (ask, asked) = questions::channel();
    let answering = questions::answer(observed, asked);
    let routes = routes::routes(ask, token, counters).into_make_service_with_connect_info::<listener::Remote>();
    let listener = listener::Bounded::new(listener, limits.http_connections_max, limits.stall_max);
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async move {
        // An error means that the sender is gone, which ends us just as well.
        let _ = closing.wait_for(|closing| *closing).await;
    });
    // Serving ends first: its routes hold the asking side, and the answering side ends with them.
    let (served, ()) = tokio::join!(serving.into_future(), answering);
    if let Err(error) = served {
        tracing::error!(%error, "the HTTP server ended");
    }
}
