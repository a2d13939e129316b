//! Both servers on the calling runtime until shutdown, then a bounded drain.
//!
//! The order at the end: no new connection is taken, waiting fetches are answered with what they
//! have, requests under way are answered, and after `drain_max` what is left is dropped. A client
//! that is cut off loses nothing but its answer, for reading changes nothing here.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::rc::Rc;

use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::cluster::Cluster;
use crate::counters::Counters;
use crate::http::administration::{Act, Token};
use crate::http::report::{LedgerReport, MetricsReport, StatusReport};
use crate::http::{self, Observed};
use crate::kafka;
use crate::limits::Limits;
use crate::store::Store;

/// Completes when the appliance is to stop.
pub type Shutdown = Pin<Box<dyn Future<Output = ()>>>;

/// Where clients are told to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// Host name or address, as clients resolve it; never a wildcard.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Who we are to a Kafka client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The same on both nodes of a pair.
    pub cluster_id: String,
    /// Our broker id.
    pub node_id: i32,
    /// Our address.
    pub advertised: Advertised,
}

/// All that the gateway is made of.
pub struct GatewayParts<S, O> {
    /// Kafka listener, bound.
    pub kafka: TcpListener,
    /// HTTP listener, bound.
    pub http: TcpListener,
    /// The log.
    pub store: S,
    /// The appliance as HTTP shows it.
    pub observed: O,
    /// Opens what may be ordered over HTTP.
    pub token: Token,
    /// Who we are.
    pub identity: Identity,
    /// Who leads.
    pub cluster: Cluster,
    /// What clients may take.
    pub limits: Limits,
    /// When to stop.
    pub shutdown: Shutdown,
}

/// Why the gateway could not begin. Once begun it ends only by shutdown.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listener could not be handed to the runtime.
    #[error("the {listener} listener cannot be served: {source}")]
    Listener {
        /// `kafka` or `http`.
        listener: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Serves both until `shutdown` completes, then drains for at most `limits.drain_max`. To be run on
/// a current-thread runtime with I/O and time enabled.
///
/// # Errors
/// [`ServeError::Listener`] before anything is served; never later.
pub async fn serve<S: Store, O: Observed>(parts: GatewayParts<S, O>) -> Result<(), ServeError> {
    let kafka_listener = adopt(parts.kafka, "kafka")?;
    let http_listener = adopt(parts.http, "http")?;
    let (close, closing) = watch::channel(false);
    let counters = Counters::default();
    let broker = Rc::new(kafka::Broker::new(parts.store, parts.identity, parts.cluster, parts.limits, counters.clone(), closing.clone()));

    let tasks = LocalSet::new();
    let observed = WithGroups { observed: parts.observed, broker: Rc::clone(&broker) };
    let kafka = tasks.spawn_local(kafka::listen(broker, kafka_listener));
    let http = tasks.spawn_local(http::listen(http_listener, observed, parts.token, counters, parts.limits, closing));
    tasks
        .run_until(async move {
            parts.shutdown.await;
            // Every receiver lives in a task of this set, so a failed send means all have ended.
            close.send_replace(true);
            let drained = async { tokio::join!(kafka, http) };
            match tokio::time::timeout(parts.limits.drain_max, drained).await {
                Ok((kafka, http)) => {
                    for ended in [kafka, http] {
                        if let Err(error) = ended {
                            tracing::error!(%error, "a gateway server ended abnormally");
                        }
                    }
                }
                Err(_) => tracing::warn!(
                    drain_ms_max = parts.limits.drain_max.as_millis(),
                    "clients still reading at the end of the drain were cut off"
                ),
            }
        })
        .await;
    Ok(())
}

/// The appliance with its groups, which only the gateway knows.
struct WithGroups<S, O> {
    observed: O,
    broker: Rc<kafka::Broker<S>>,
}

impl<S: Store, O: Observed> Observed for WithGroups<S, O> {
    fn ledger(&self) -> LedgerReport {
        self.observed.ledger()
    }

    fn status(&self) -> StatusReport {
        StatusReport { groups: self.broker.groups(), ..self.observed.status() }
    }

    fn ready(&self) -> Result<(), String> {
        self.observed.ready()
    }

    fn metrics(&self) -> MetricsReport {
        MetricsReport { consumer_lag: self.broker.lag(), ..self.observed.metrics() }
    }

    fn administer(&self, act: &Act) -> Result<String, String> {
        self.observed.administer(act)
    }
}

fn adopt(listener: TcpListener, name: &'static str) -> Result<tokio::net::TcpListener, ServeError> {
    listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener))
        .map_err(|source| ServeError::Listener { listener: name, source })
}
