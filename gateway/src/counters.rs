//! The gateway's own counters. They are written by the one gateway thread and read by the scrape on
//! the same thread, so the locks inside `Family` are never contended; the lanes' counters do not go
//! through here.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the request histogram in seconds: from a look-up in memory (under 100 µs) to the
/// longest wait of a fetch (30 s).
const DURATION_BOUNDS_SECONDS: [f64; 12] = [0.0001, 0.000_316, 0.001, 0.003_16, 0.01, 0.0316, 0.1, 0.316, 1.0, 3.16, 10.0, 31.6];

/// Labels of a request count.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    api: &'static str,
    error: &'static str,
}

/// Labels of a request duration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabels {
    api: &'static str,
}

/// Labels of a closed connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Labels of an administrative request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone)]
struct DurationBuckets;

impl MetricConstructor<Histogram> for DurationBuckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(DURATION_BOUNDS_SECONDS)
    }
}

/// Counters of the gateway; clones share them.
#[derive(Debug, Clone)]
pub struct Counters {
    requests: Family<RequestLabels, Counter>,
    durations: Family<ApiLabels, Histogram, DurationBuckets>,
    closed: Family<ReasonLabels, Counter>,
    connections: Gauge,
    administered: Family<OutcomeLabels, Counter>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(DurationBuckets),
            closed: Family::default(),
            connections: Gauge::default(),
            administered: Family::default(),
        }
    }
}

impl Counters {
    /// A request was answered; `error` is `NONE` or the first error in the answer.
    pub fn on_answered(&self, api: &'static str, error: &'static str, took: Duration) {
        self.requests.get_or_create(&RequestLabels { api, error }).inc();
        self.durations.get_or_create(&ApiLabels { api }).observe(took.as_secs_f64());
    }

    /// A connection was closed by us.
    pub fn on_closed(&self, reason: &'static str) {
        self.closed.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// So many Kafka connections are open.
    pub fn on_connections(&self, open: usize) {
        self.connections.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// An administrative request was answered.
    pub fn on_administered(&self, outcome: &'static str) {
        self.administered.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Connections closed by us for this reason so far.
    #[must_use]
    pub fn closed_count(&self, reason: &'static str) -> u64 {
        self.closed.get_or_create(&ReasonLabels { reason }).get()
    }

    /// Requests answered with this API and error so far.
    #[must_use]
    pub fn answered_count(&self, api: &'static str, error: &'static str) -> u64 {
        self.requests.get_or_create(&RequestLabels { api, error }).get()
    }

    /// Puts the counters under their names into a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("kafka_requests", "Kafka requests answered, by API and first error", self.requests.clone());
        registry.register(
            "kafka_request_duration_seconds",
            "Time from a whole Kafka request to its answer, waiting included",
            self.durations.clone(),
        );
        registry.register("kafka_connections_closed", "Kafka connections closed by the appliance, by reason", self.closed.clone());
        registry.register("kafka_connections", "Kafka connections open", self.connections.clone());
        registry.register("administrative_requests", "Administrative requests over HTTP, by outcome", self.administered.clone());
    }
}
