//! What a node says of itself over HTTP, with the sums that the tests ask for.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const SILENCE_MAX: Duration = Duration::from_secs(20);

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status code.
    pub code: u16,
    /// Its header lines.
    pub head: String,
    /// Its body.
    pub body: String,
}

/// GET of a path; the connection closes after the answer.
pub fn ask(address: SocketAddr, path: &str) -> Answer {
    try_ask(address, path).unwrap_or_else(|error| panic!("GET {path} at {address}: {error}"))
}

/// The same, where the node may be gone.
pub fn try_ask(address: SocketAddr, path: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, SILENCE_MAX)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let malformed = || std::io::Error::new(std::io::ErrorKind::InvalidData, format!("no HTTP answer: {text:?}"));
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(malformed)?;
    Ok(Answer { code, head: head.to_owned(), body: body.to_owned() })
}

impl Answer {
    /// The body of a good answer as JSON.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 200, "code {} instead of 200: {}", self.code, self.body);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

/// `/api/v1/ledger`.
#[derive(Debug, Clone)]
pub struct Ledger(pub Value);

impl Ledger {
    fn sum(&self, list: &str, of: impl Fn(&Value) -> u64) -> u64 {
        self.0[list].as_array().unwrap_or_else(|| panic!("no list {list} in {}", self.0)).iter().map(of).sum()
    }

    /// Packets that reached the sockets, this run's and earlier ones'.
    pub fn arrived(&self) -> u64 {
        self.sum("listeners", |listener| number(&listener["arrived"]))
    }

    /// Packets that reached the appliance.
    pub fn received(&self) -> u64 {
        self.sum("listeners", |listener| number(&listener["received"]))
    }

    /// Records admitted by the listeners.
    pub fn admitted(&self) -> u64 {
        self.sum("listeners", |listener| number(&listener["admitted"]))
    }

    /// Packets not yet received and not known to be dropped.
    pub fn pending(&self) -> u64 {
        self.sum("listeners", |listener| number(&listener["pending"]))
    }

    /// Packets the kernel dropped.
    pub fn dropped(&self) -> u64 {
        self.sum("listeners", |listener| counts(&listener["dropped"]))
    }

    /// Records shed, for all reasons.
    pub fn shed(&self) -> u64 {
        self.sum("listeners", |listener| counts(&listener["shed"]))
    }

    /// Records shed for this reason.
    pub fn shed_for(&self, reason: &str) -> u64 {
        self.sum("listeners", |listener| number(&listener["shed"][reason]))
    }

    /// Records admitted by the lanes.
    pub fn lanes_admitted(&self) -> u64 {
        self.sum("lanes", |lane| number(&lane["admitted"]))
    }

    /// Records durable in the lanes.
    pub fn durable(&self) -> u64 {
        self.sum("lanes", |lane| number(&lane["durable"]))
    }

    /// Records admitted and not durable.
    pub fn in_flight(&self) -> u64 {
        self.sum("lanes", |lane| number(&lane["in_flight"]))
    }

    /// Spans in which nobody listened.
    pub fn unobserved(&self) -> usize {
        self.0["unobserved"].as_array().expect("a list").len()
    }

    /// The epoch of the run.
    pub fn epoch(&self) -> u64 {
        number(&self.0["run"]["epoch"])
    }

    /// The equations, as far as a snapshot of a busy node must hold them.
    pub fn assert_balanced(&self) {
        assert_eq!(self.0["imbalance"], 0, "imbalance {} of 0 in {}", self.0["imbalance"], self.0);
        for listener in self.0["listeners"].as_array().expect("a list") {
            let of = |key: &str| number(&listener[key]);
            let (arrived, found) = (of("arrived"), counts(&listener["dropped"]) + of("received") + of("pending"));
            assert_eq!(arrived, found, "arrived {arrived}, dropped + received + pending {found}: {listener}");
            let (received, found) = (of("received"), of("admitted") + counts(&listener["shed"]) + of("dead_lettered"));
            assert_eq!(received, found, "received {received}, admitted + shed + dead-lettered {found}: {listener}");
        }
        for lane in self.0["lanes"].as_array().expect("a list") {
            let (admitted, found) = (number(&lane["admitted"]), number(&lane["durable"]) + number(&lane["in_flight"]));
            assert_eq!(admitted, found, "admitted {admitted}, durable + in flight {found}: {lane}");
        }
    }
}

/// `/api/v1/status`.
#[derive(Debug, Clone)]
pub struct Status(pub Value);

impl Status {
    /// (partition, log start, high watermark) of the stream.
    pub fn offsets(&self, stream: &str) -> Vec<(i32, i64, i64)> {
        let streams = self.0["streams"].as_array().expect("a list");
        let found = streams.iter().find(|found| found["name"] == stream).unwrap_or_else(|| panic!("no stream {stream} in {}", self.0));
        let offset = |value: &Value| value.as_i64().expect("a number");
        let partitions = found["partitions"].as_array().expect("a list").iter();
        let place = |partition: &Value| i32::try_from(offset(&partition["partition"])).expect("few partitions");
        partitions.map(|partition| (place(partition), offset(&partition["log_start"]), offset(&partition["high_watermark"]))).collect()
    }

    /// Records between log start and high watermark of all partitions.
    pub fn records(&self, stream: &str) -> u64 {
        self.offsets(stream).iter().map(|(_, start, end)| end.abs_diff(*start)).sum()
    }

    /// Warnings that contain the words.
    pub fn warns(&self, words: &str) -> bool {
        self.0["warnings"].as_array().expect("a list").iter().any(|warning| warning.as_str().is_some_and(|text| text.contains(words)))
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

fn counts(value: &Value) -> u64 {
    value.as_object().unwrap_or_else(|| panic!("{value} holds no counts")).values().map(number).sum()
}
