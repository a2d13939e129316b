//! The command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::appliance::report::Level;
use crate::ledger::{Framing, SOURCES_MAX};
use crate::pace::Rate;
use crate::producer::{Acks, PRODUCERS_MAX};
use crate::quantity;

/// How long a run takes that neither a duration nor a count ends.
pub const DURATION_DEFAULT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  headworks-loadgen udp --target 127.0.0.1:9000 --rate 100k --size 1400 --duration 10s \\
      --http 127.0.0.1:9600 --ledger run.json
  headworks-loadgen tcp --target 127.0.0.1:9001 --rate 50k --size 512 --sources 1000 --ack \
      --ledger run.json
  headworks-loadgen kafka --target 127.0.0.1:9092 --rate 50k --size 512 --topic orders \
      --ledger run.json
  headworks-loadgen verify --bootstrap 127.0.0.1:9092 --http 127.0.0.1:9600 --topic events \\
      --ledger run.json

Exit codes: 0 done, or every packet accounted for; 1 failed, or not; 2 wrong usage.";

const UDP_EXAMPLES: &str = "\
Examples:
  One source, 100,000 packets a second for ten seconds:
    headworks-loadgen udp --target 127.0.0.1:9000 --rate 100k --size 64 --duration 10s \\
        --ledger run.json
  As fast as the kernel takes segmentation-offload trains, eight flows:
    headworks-loadgen udp --target 127.0.0.1:9000 --rate max --gso --sources 8 --size 64 \\
        --duration 10s --ledger run.json
  A million packets, with the appliance's ledger recorded first:
    headworks-loadgen udp --target 127.0.0.1:9000 --rate 200k --count 1M --size 1400 \\
        --http 127.0.0.1:9600 --ledger run.json

The ledger file is exact after the end of the run and after SIGINT or SIGTERM; after kill -9 it holds
an upper bound and says so.";

const TCP_EXAMPLES: &str = "\
Examples:
  A thousand senders of 50 records a second each, acknowledged (listener.tcp.ack=true):
    headworks-loadgen tcp --target 127.0.0.1:9001 --rate 50k --size 512 --sources 1000 --ack \\
        --duration 10s --http 127.0.0.1:9600 --ledger run.json
  Lines instead of lengths; each is a packet in hex, twice its size:
    headworks-loadgen tcp --target 127.0.0.1:9001 --rate 10k --size 64 --framing newline \\
        --ledger run.json

A connection that ends early is made again. Nothing is sent twice: what was on its way and not
acknowledged stands in the ledger as unknown.";

const KAFKA_EXAMPLES: &str = "\
Examples:
  Four idempotent producers, batches of up to 64 KiB that wait for 5 ms:
    headworks-loadgen kafka --target 127.0.0.1:9092 --rate 50k --size 512 --topic orders \\
        --sources 4 --duration 10s --ledger run.json
  Through a failover: any of the servers may know the leader; the gap is reported:
    headworks-loadgen kafka --target 10.0.0.1:9092,10.0.0.2:9092 --rate 5k --size 512 \\
        --topic orders --request-timeout 1s --duration 60s --ledger run.json -o json

With acks = all what was not acknowledged is sent again and must be stored once; with 0 or 1 nothing
is sent twice. Source n writes to partition n modulo their number.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  headworks-loadgen verify --bootstrap 127.0.0.1:9092 --http 127.0.0.1:9600 --topic events \\
      --ledger run.json
  With latency, for a program:
    headworks-loadgen verify --bootstrap 127.0.0.1:9092 --http 127.0.0.1:9600 --topic events \\
        --ledger run.json --latency -o json

Exits 0 only if every packet sent is stored once or counted by the appliance under a named cause.";

const DIGEST_EXAMPLES: &str = "\
Examples:
  Before and after a failover, with the same file:
    headworks-loadgen digest --bootstrap 10.0.0.1:9092,10.0.0.2:9092 --topic orders --file orders.sums

Exits 0 only if every offset holds what it held at every call before.";

/// Sends packets that can be told apart, and checks what became of each.
#[derive(Debug, Parser)]
#[command(name = "headworks-loadgen", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send UDP packets on an open-loop schedule
    #[command(after_help = UDP_EXAMPLES)]
    Udp(Udp),
    /// Send records over TCP connections on an open-loop schedule
    #[command(after_help = TCP_EXAMPLES)]
    Tcp(Tcp),
    /// Produce records by Kafka's protocol on an open-loop schedule
    #[command(after_help = KAFKA_EXAMPLES)]
    Kafka(Kafka),
    /// Read the topic back and account for every packet of a run
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Verify),
    /// Compare what every offset of a topic holds with what it held at earlier calls
    #[command(after_help = DIGEST_EXAMPLES)]
    Digest(Digest),
}

/// How to print the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Options of every sender.
#[derive(Debug, Args)]
pub struct Common {
    /// Packets a second over all sources (100000, 100k, 2M), or max
    #[arg(long, value_name = "N|max", value_parser = quantity::rate)]
    pub rate: Rate,
    /// Payload of a packet, 48 to 65507 bytes (64, 1400, 4KiB)
    #[arg(long, value_name = "BYTES", value_parser = quantity::packet_size)]
    pub size: usize,
    /// How long to send (500ms, 10s, 2m); 10s unless --count is given
    #[arg(long, value_parser = quantity::duration_above_zero)]
    pub duration: Option<Duration>,
    /// End after this many packets of the schedule (1000000, 1M)
    #[arg(long, value_name = "N", value_parser = quantity::count)]
    pub count: Option<u64>,
    /// What the filler of the packets is made from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the ledger of the run goes
    #[arg(long, value_name = "FILE")]
    pub ledger: PathBuf,
    /// Record the appliance's own ledger before the first packet
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// How to print the result
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Options of `udp`.
#[derive(Debug, Args)]
pub struct Udp {
    /// Where to send: an address and port
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub target: SocketAddr,
    /// Flows, each from its own port with its own sequence
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(SOURCES_MAX)))]
    pub sources: u32,
    /// Send up to 64 packets a call as segmentation-offload trains
    #[arg(long)]
    pub gso: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of the command")]
    pub common: Common,
}

/// Options of `tcp`.
#[derive(Debug, Args)]
pub struct Tcp {
    /// Where to send: an address and port
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub target: SocketAddr,
    /// Connections, each with its own sequence
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(SOURCES_MAX)))]
    pub sources: u32,
    /// How records are told apart; the listener's own `framing`
    #[arg(long, value_enum, default_value_t = Framing::Length)]
    pub framing: Framing,
    /// Wait for acknowledgements; the listener needs `ack = true`
    #[arg(long)]
    pub ack: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of the command")]
    pub common: Common,
}

/// Options of `kafka`.
#[derive(Debug, Args)]
pub struct Kafka {
    /// Servers, host and port, with commas between several
    #[arg(long, value_name = "ADDR,...", value_delimiter = ',', required = true, value_parser = server)]
    pub target: Vec<String>,
    /// Producers, each with its own connection and sequence
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(PRODUCERS_MAX)))]
    pub sources: u32,
    /// The topic to write to
    #[arg(long, value_name = "TOPIC", default_value = "events")]
    pub topic: String,
    /// When a record counts as taken; all is idempotent
    #[arg(long, value_enum, default_value_t = Acks::All)]
    pub acks: Acks,
    /// How long a batch waits for more records
    #[arg(long, default_value = "5ms", value_parser = quantity::duration)]
    pub linger: Duration,
    /// Bytes of a batch, up to 1MiB
    #[arg(long, value_name = "BYTES", default_value = "64KiB", value_parser = quantity::batch_size)]
    pub batch: usize,
    /// How long an answer may take before its connection is given up
    #[arg(long, default_value = "3s", value_parser = quantity::duration_above_zero)]
    pub request_timeout: Duration,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of the command")]
    pub common: Common,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Kafka servers, host and port, with commas between several
    #[arg(long, value_name = "ADDR,...", value_delimiter = ',', required = true, value_parser = server)]
    pub bootstrap: Vec<String>,
    /// The appliance's HTTP, host and port
    #[arg(long, value_name = "ADDR")]
    pub http: String,
    /// The topic that the packets went to
    #[arg(long, value_name = "TOPIC", default_value = "events")]
    pub topic: String,
    /// The ledger that the generator wrote
    #[arg(long, value_name = "FILE")]
    pub ledger: PathBuf,
    /// How far records must have come before the topic is read
    #[arg(long, value_enum, default_value_t = Level::Disk)]
    pub level: Level,
    /// Compare the counts of this listener only
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// How long the appliance's books may take to close
    #[arg(long, default_value = "30s", value_parser = quantity::duration)]
    pub timeout: Duration,
    /// Measure from intended send time to the record's time
    #[arg(long)]
    pub latency: bool,
    /// How to print the result
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Options of `digest`.
#[derive(Debug, Args)]
pub struct Digest {
    /// Kafka servers, host and port, with commas between several
    #[arg(long, value_name = "ADDR,...", value_delimiter = ',', required = true, value_parser = server)]
    pub bootstrap: Vec<String>,
    /// The topic
    #[arg(long, value_name = "TOPIC", default_value = "events")]
    pub topic: String,
    /// A line for each offset ever seen; made at the first call, and only added to
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

/// A host and port, looked up each time that it is connected to.
fn server(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    match port {
        Some(1..) => Ok(text.to_owned()),
        _ => Err("give a host and a port, such as 127.0.0.1:9092".to_owned()),
    }
}

/// The first address that the text names.
fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| format!("{error}; give an address and a port, such as 127.0.0.1:9000"))?;
    let first = found.next().ok_or_else(|| "the name has no address".to_owned())?;
    if first.port() == 0 {
        return Err("port 0 cannot be sent to".to_owned());
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_contracts_lines_are_taken() {
        for line in [
            "x udp --target 127.0.0.1:9000 --rate max --size 64 --duration 10s --sources 4 --gso \
             --seed 3 --count 5 --ledger f -o json --http 127.0.0.1:9600",
            "x verify --bootstrap 127.0.0.1:9092 --http 127.0.0.1:9600 --topic events --ledger f \
             -o json --level peer-disk --timeout 30s",
            "x tcp --target 127.0.0.1:9001 --rate 50k --size 512 --duration 10s --sources 1000 --framing newline \
             --ack --ledger f -o json --http 127.0.0.1:9600",
            "x kafka --target 127.0.0.1:9092,[::1]:9093 --rate max --size 512 --count 9 --sources 4 --topic t \
             --acks all --linger 0ms --batch 1MiB --request-timeout 1s --ledger f -o json --http 127.0.0.1:9600",
            "x verify --bootstrap a:9092,b:9092 --http 127.0.0.1:9600 --ledger f",
            "x digest --bootstrap a:9092,b:9092 --topic t --file f",
        ] {
            Cli::try_parse_from(line.split_whitespace()).unwrap();
        }
    }

    #[test]
    fn a_wrong_line_is_refused_with_exit_2() {
        for line in [
            "x",
            "x tcp --target 127.0.0.1:9000",
            "x tcp --target 127.0.0.1:9000 --rate max --size 64 --framing json --ledger f",
            "x tcp --target 127.0.0.1:9000 --rate max --size 64 --sources 4097 --ledger f",
            "x kafka --target 127.0.0.1 --rate max --size 64 --ledger f",
            "x kafka --target 127.0.0.1:9092, --rate max --size 64 --ledger f",
            "x kafka --target 127.0.0.1:9092 --rate max --size 64 --acks 2 --ledger f",
            "x kafka --target 127.0.0.1:9092 --rate max --size 64 --batch 2MiB --ledger f",
            "x udp --target 127.0.0.1:9000 --rate max --size 47 --ledger f",
            "x udp --target 127.0.0.1:9000 --rate max --size 64 --duration 10 --ledger f",
            "x udp --target 127.0.0.1:0 --rate max --size 64 --ledger f",
            "x udp --target 127.0.0.1 --rate max --size 64 --ledger f",
            "x udp --target 127.0.0.1:9000 --rate max --size 64 --sources 0 --ledger f",
        ] {
            let error = Cli::try_parse_from(line.split_whitespace()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
