//! `headworks-loadgen verify`: where did every packet of the run go?
//!
//! ```text
//!  ledger file ──► account ◄── kafka: every record of every partition
//!                    │ sent, stored, missing, duplicated, reordered
//!                    ▼
//!  /api/v1/ledger ► findings ──► balanced: exit 0     anything else: exit 1, and why
//!  (after − before)
//! ```
//!
//! First the appliance's ledger is polled until nothing is on its way; then the topic is read to its
//! high watermark; then what is missing from it must be what the appliance counted as dropped, shed or
//! dead-lettered, packet for packet. [`account`] keeps a bit a packet, [`latency`] the histograms,
//! [`findings`] the judgement.

pub mod account;
pub mod findings;
pub mod latency;
pub mod report;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::appliance::report::Level;
use crate::appliance::{self, Report};
use crate::kafka::batch::{Batch, Record};
use crate::kafka::topic::{Found, Topic};
use crate::ledger::{Framing, Ledger};
use crate::packet::{Reading, Template};
use account::Account;
use findings::{Findings, Partition, Seen, judge};
use latency::Latencies;

#[cfg(test)]
mod tests;

/// Time between two looks at the appliance's ledger.
const LOOK: Duration = Duration::from_millis(100);

/// What to check, and where.
#[derive(Debug, Clone)]
pub struct Question {
    /// Kafka, `host:port`, one or several.
    pub bootstrap: Vec<String>,
    /// HTTP, `host:port`.
    pub http: String,
    /// The topic that the packets went to.
    pub topic: String,
    /// The generator's ledger.
    pub ledger: PathBuf,
    /// How far records must have come before the topic is read.
    pub level: Level,
    /// Compare only this listener's counts.
    pub listener: Option<String>,
    /// How long the books may take to close.
    pub timeout: Duration,
    /// Whether to measure.
    pub latency: bool,
}

/// Reads everything and judges.
///
/// # Errors
/// The ledger file, the appliance's ledger or the topic cannot be read: a sentence that says which. What
/// was read and is wrong is no error but a finding.
pub fn verify(question: &Question) -> Result<Findings, String> {
    let ledger = Ledger::read(&question.ledger).map_err(|error| error.to_string())?;
    let after = settled(question)?;
    let counted = after.since(ledger.before.as_ref(), question.listener.as_deref());
    let mut topic = Topic::open(&question.bootstrap, &question.topic).map_err(|error| error.to_string())?;
    let mut reader = Reader::new(&ledger, question.latency);
    for extent in topic.extents().to_vec() {
        reader.begin(Partition {
            partition: extent.partition,
            log_start: extent.log_start,
            high_watermark: extent.high_watermark,
            records: 0,
        });
        let read = topic.read(extent, |found| reader.on_found(found));
        read.map_err(|error| error.to_string())?;
    }
    let latency = reader.latencies.map(|latencies| latencies.summaries()).unwrap_or_default();
    let total = reader.account.total();
    let answered = ledger.answers.as_ref().map(|answers| reader.account.answered(answers)).unwrap_or_default();
    Ok(judge(&question.topic, &ledger, (&total, &answered), reader.seen, counted, &after, latency))
}

/// The appliance's ledger once nothing is on its way, and nothing came between two looks.
fn settled(question: &Question) -> Result<Report, String> {
    let deadline = Instant::now() + question.timeout;
    let mut before = appliance::ledger(&question.http)?;
    loop {
        thread::sleep(LOOK);
        let now = appliance::ledger(&question.http)?;
        let open = now.unsettled(question.level);
        if open.is_none() && now.same_counts(&before) {
            return Ok(now);
        }
        if Instant::now() >= deadline {
            let open = open.unwrap_or_else(|| "counts still grow: something sends".to_owned());
            let waited = question.timeout;
            return Err(format!("the appliance's books are still open after {waited:?}: {open}"));
        }
        before = now;
    }
}

/// Takes the topic in, record by record.
struct Reader {
    run: u64,
    template: Template,
    /// Whether packets travelled as hex, and the bytes of the last one.
    hex: Option<Vec<u8>>,
    account: Account,
    latencies: Option<Latencies>,
    seen: Seen,
}

impl Reader {
    fn new(ledger: &Ledger, latency: bool) -> Self {
        Self {
            run: ledger.run_id,
            template: Template::new(ledger.run_id, ledger.seed, ledger.size),
            hex: (ledger.framing == Some(Framing::Newline)).then(Vec::new),
            account: Account::new(&ledger.sources),
            latencies: latency.then(Latencies::default),
            seen: Seen::default(),
        }
    }

    fn begin(&mut self, partition: Partition) {
        self.account.begin_partition();
        self.seen.partitions.push(partition);
    }

    fn on_found(&mut self, found: Found<'_>) {
        match found {
            Found::Batch(batch) if batch.is_plain() => self.on_batch(&batch),
            // What a producer compressed did not come from a listener: not ours.
            Found::Batch(batch) => self.seen.foreign += u64::from(batch.count),
            Found::Gap { from, to } => self.seen.offset_gaps += from.abs_diff(to),
            Found::Damage(error) => self.seen.damage(error.to_string()),
        }
    }

    fn on_batch(&mut self, batch: &Batch<'_>) {
        for record in batch.records() {
            match record {
                Ok(record) => self.on_record(&record),
                Err(error) => self.seen.damage(error.to_string()),
            }
        }
    }

    #[inline]
    fn on_record(&mut self, record: &Record<'_>) {
        if let Some(partition) = self.seen.partitions.last_mut() {
            partition.records += 1;
        }
        let reading = match &mut self.hex {
            Some(bytes) => self.template.read_hex(record.value, bytes),
            None => self.template.read(record.value),
        };
        match reading {
            Reading::Intact(stamp) if stamp.run == self.run => {
                self.account.note(stamp.source, stamp.sequence);
                if let Some(latencies) = &mut self.latencies {
                    latencies.note(stamp.intended_ns, record);
                }
            }
            Reading::Intact(_) | Reading::Foreign => self.seen.foreign += 1,
            Reading::Corrupt(damage) => self.seen.corrupt(damage),
        }
    }
}
