//! A scrape: plain numbers in, OpenMetrics text out.
//!
//! The lanes' counters have one writer each and no lock, so they cannot live in a metrics library's
//! families. They arrive as a [`MetricsReport`] and a collector renders them; a registry is built for
//! each scrape, which costs some microseconds a few times a minute. An empty list leaves its metric
//! out.
//!
//! Counters are named here without `_total`: the encoder appends it.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::report::{CauseCount, HistogramReport, ListenerLaneCount, MetricsReport, NamedCount, PairStatus, PeerStatus};
use crate::counters::Counters;

/// Renders one scrape.
///
/// # Errors
/// When the encoder refuses a value; that is a bug.
pub fn render(report: MetricsReport, counters: &Counters) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("headworks");
    counters.register(&mut registry);
    registry.register_collector(Box::new(Scrape(report)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Scrape(MetricsReport);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let report = &self.0;
        let mut out = Exposition { encoder };
        intake(&mut out, report)?;
        connections(&mut out, report)?;
        log(&mut out, report)?;
        pair(&mut out, report)?;
        out.gauges(
            "ledger_imbalance_records",
            "What the ledger's equations leave over; must be 0",
            report.ledger_imbalance.iter().map(|imbalance| ([("listener", imbalance.listener.clone())], imbalance.records)),
        )?;
        out.gauges(
            "consumer_lag_records",
            "Records between a group's committed offset and the high watermark",
            report.consumer_lag.iter().map(|lag| {
                let labels = [("group", lag.group.clone()), ("topic", lag.topic.clone()), ("partition", lag.partition.to_string())];
                (labels, lag.records)
            }),
        )?;
        out.gauges("build_info", "Always 1; the labels say what runs", [([("version", report.version.clone())], 1i64)].into_iter())
    }
}

fn intake(out: &mut Exposition<'_>, report: &MetricsReport) -> fmt::Result {
    out.counters("arrived_packets", "Packets that reached the socket, before the receive-buffer check", by_lane(&report.arrived_packets))?;
    out.counters("rx_packets", "Packets that reached the appliance", by_lane(&report.received_packets))?;
    out.counters("rx_bytes", "Bytes that reached the appliance", by_lane(&report.received_bytes))?;
    out.counters(
        "rx_drops",
        "Packets dropped before the appliance could receive them, by cause",
        by_cause("listener", "cause", &report.dropped_packets),
    )?;
    out.counters("admitted_records", "Records taken into the log", by_name("stream", &report.admitted_records))?;
    out.counters("shed_records", "Records refused by the appliance, by reason", by_cause("stream", "reason", &report.shed_records))?;
    out.counters(
        "dlq_records",
        "Records put aside in a dead-letter stream, by reason",
        by_cause("stream", "reason", &report.dead_lettered_records),
    )
}

fn connections(out: &mut Exposition<'_>, report: &MetricsReport) -> fmt::Result {
    out.gauges("tcp_connections", "Connections that a TCP listener has", by_lane(&report.connections).into_iter())?;
    out.counters(
        "tcp_connections_ended",
        "Connections of a TCP listener that ended, by reason",
        by_cause("listener", "reason", &report.connections_ended),
    )?;
    out.counters("tcp_accept_failures", "Times that a connection could not be accepted", by_lane(&report.accepts_failed))
}

fn log(out: &mut Exposition<'_>, report: &MetricsReport) -> fmt::Result {
    out.gauges(
        "ring_occupancy_ratio",
        "Share of a lane's ring in use",
        report.ring_occupancy.iter().map(|ratio| ([("lane", ratio.lane.to_string())], ratio.ratio)),
    )?;
    out.counters("segment_write_bytes", "Bytes written to segments", by_name("volume", &report.segment_write_bytes))?;
    out.gauges("volume_free_bytes", "Bytes free in the volume's file system", by_name("volume", &report.volume_free_bytes).into_iter())?;
    out.histogram("fdatasync_duration_seconds", "Duration of fdatasync", report.fdatasync_duration.as_ref())?;
    out.histogram("durable_latency_seconds", "From receipt to durable", report.durable_latency.as_ref())?;
    out.counter("consumed_bytes", "Bytes of batches handed to consumers", report.consumed_bytes)?;
    out.counter("consumed_copied_bytes", "Bytes that were copied in memory on the way to consumers", report.copied_bytes)?;
    out.gauge("quarantine_files", "Files in quarantine: what was cut from logs", report.quarantine.files)?;
    out.gauge("quarantine_bytes", "Bytes in quarantine", report.quarantine.bytes)?;
    out.gauges(
        "hole_blocks",
        "Blocks that cannot be read, as the last recovery found them",
        [("pending", report.holes.pending), ("lost", report.holes.lost)].map(|(state, blocks)| ([("state", state)], blocks)).into_iter(),
    )?;
    out.counter("healed_blocks", "Blocks that did not hold and were healed from the other node", report.holes.healed)?;
    out.gauges(
        "log_position",
        "Positions of a lane as block sequences",
        report.log_positions.iter().map(|position| {
            let labels = [("lane", position.lane.to_string()), ("position", position.position.to_owned())];
            (labels, position.block)
        }),
    )
}

fn pair(out: &mut Exposition<'_>, report: &MetricsReport) -> fmt::Result {
    let lag = &report.replication_lag;
    out.gauges("replication_lag_bytes", "Bytes a peer is behind", lag.iter().map(|lag| ([("peer", lag.peer.clone())], lag.bytes)))?;
    out.gauges("replication_lag_seconds", "Seconds a peer is behind", lag.iter().map(|lag| ([("peer", lag.peer.clone())], lag.seconds)))?;
    out.gauges("role", "1 for the role this node has", [([("role", report.role.clone())], 1i64)].into_iter())?;
    out.gauge("epoch", "Leader epoch", report.epoch)?;
    let peers = |of: fn(&PeerStatus) -> bool| report.peers.iter().map(move |peer| ([("peer", peer.name.clone())], i64::from(of(peer))));
    out.gauges("peer_connected", "Whether every lane of the peer has its connection", peers(|peer| peer.connected))?;
    out.gauges("peer_in_sync", "Whether the register has the peer in sync", peers(|peer| peer.in_sync))?;
    report.pair.as_ref().map_or(Ok(()), |pair| standing(out, pair))
}

fn standing(out: &mut Exposition<'_>, pair: &PairStatus) -> fmt::Result {
    let failovers = pair.failovers.iter().map(|(cause, count)| ([("cause", cause.clone())], *count)).collect();
    out.counters("failovers", "Times that this node has begun to lead, by cause", failovers)?;
    if let Some(register) = &pair.register {
        out.gauge("register_version", "Version of the register as last seen", register.version)?;
    }
    out.gauge("arbiter_reachable", "Whether the arbiter answered when it was asked last", i64::from(pair.arbiter.reachable))?;
    out.gauge("register_frozen", "Whether the register is not trusted; must be 0", i64::from(pair.arbiter.frozen.is_some()))?;
    if let Some(level) = &pair.level {
        let downgraded = i64::from(level != "peer-disk");
        out.gauge("downgraded", "On a primary, whether records are committed without the peer, or not at all", downgraded)?;
    }
    out.counter("solo_records", "Records committed while this node was alone", pair.solo_records)?;
    out.gauge("uncommitted_bytes", "Bytes durable here and not committed", pair.uncommitted_bytes)?;
    out.gauge("peer_silence_seconds_max", "Longest silence of the connected peer", pair.silence.max_seconds)?;
    out.gauge("peer_silence_limit_seconds", "Silence from which on the peer counts as gone", pair.silence.limit_seconds)?;
    out.counter("links_rejected", "Connections, messages and blocks for the pair that were refused", pair.links_rejected)?;
    out.gauge("needs_repair", "Whether this node's disk has failed, so that it does not lead; must be 0", i64::from(pair.needs_repair))?;
    let awaits = "Whether the other node is missed, and an operator has to say whether this one goes on without it";
    out.gauge("awaits_operator", awaits, i64::from(pair.awaits_operator))
}

fn by_lane(counts: &[ListenerLaneCount]) -> Vec<([(&'static str, String); 2], u64)> {
    let labels = |count: &ListenerLaneCount| [("listener", count.listener.clone()), ("lane", count.lane.to_string())];
    counts.iter().map(|count| (labels(count), count.count)).collect()
}

fn by_name(label: &'static str, counts: &[NamedCount]) -> Vec<([(&'static str, String); 1], u64)> {
    counts.iter().map(|count| ([(label, count.name.clone())], count.count)).collect()
}

fn by_cause(owner: &'static str, cause: &'static str, counts: &[CauseCount]) -> Vec<([(&'static str, String); 2], u64)> {
    counts
        .iter()
        .map(|count| {
            let labels = [(owner, count.owner.clone()), (cause, count.cause.clone())];
            (labels, count.count)
        })
        .collect()
}

/// A value of a gauge: whole, signed or a fraction.
trait Value {
    fn write(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result;
}

impl Value for u64 {
    fn write(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(self)
    }
}

impl Value for i64 {
    fn write(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(self)
    }
}

impl Value for f64 {
    fn write(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(self)
    }
}

struct Exposition<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Exposition<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: impl Value) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        value.write(&mut metric)
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, u64, u64>(&count, None)
    }

    fn gauges<L: EncodeLabelSet, V: Value>(&mut self, name: &str, help: &str, series: impl Iterator<Item = (L, V)>) -> fmt::Result {
        let mut series = series.peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            value.write(&mut metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters<L: EncodeLabelSet>(&mut self, name: &str, help: &str, series: Vec<(L, u64)>) -> fmt::Result {
        if series.is_empty() {
            return Ok(());
        }
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in series {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: Option<&HistogramReport>) -> fmt::Result {
        let Some(histogram) = histogram else {
            return Ok(());
        };
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        let buckets = single_buckets(histogram);
        metric.encode_histogram::<NoLabelSet>(histogram.sum_seconds, histogram.count, &buckets, None)
    }
}

/// The encoder adds buckets up, so the cumulative counts are taken apart for it. What lies above the
/// last bound goes into an infinite bucket, which the format demands.
fn single_buckets(histogram: &HistogramReport) -> Vec<(f64, u64)> {
    let mut below = 0;
    let mut single = Vec::with_capacity(histogram.buckets.len() + 1);
    for (bound_seconds, cumulative) in &histogram.buckets {
        if bound_seconds.is_finite() {
            single.push((*bound_seconds, cumulative.saturating_sub(below)));
            below = below.max(*cumulative);
        }
    }
    single.push((f64::INFINITY, histogram.count.saturating_sub(below)));
    single
}
