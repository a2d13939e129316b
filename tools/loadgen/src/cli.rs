//! The command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::appliance::report::Level;
use crate::ledger::SOURCES_MAX;
use crate::pace::Rate;
use crate::quantity;

/// How long a run takes that neither a duration nor a count ends.
pub const DURATION_DEFAULT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  headworks-loadgen udp --target 127.0.0.1:9000 --rate 100k --size 1400 --duration 10s \\
      --http 127.0.0.1:9600 --ledger run.json
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

const VERIFY_EXAMPLES: &str = "\
Examples:
  headworks-loadgen verify --bootstrap 127.0.0.1:9092 --http 127.0.0.1:9600 --topic events \\
      --ledger run.json
  With latency, for a program:
    headworks-loadgen verify --bootstrap 127.0.0.1:9092 --http 127.0.0.1:9600 --topic events \\
        --ledger run.json --latency -o json

Exits 0 only if every packet sent is stored once or counted by the appliance under a named cause.";

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
    /// Read the topic back and account for every packet of a run
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Verify),
}

/// How to print the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Options of `udp`.
#[derive(Debug, Args)]
pub struct Udp {
    /// Where to send: an address and port
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub target: SocketAddr,
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
    /// Flows, each from its own port with its own sequence
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(SOURCES_MAX)))]
    pub sources: u32,
    /// Send up to 64 packets a call as segmentation-offload trains
    #[arg(long)]
    pub gso: bool,
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

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Kafka server, host and port
    #[arg(long, value_name = "ADDR")]
    pub bootstrap: String,
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
        ] {
            Cli::try_parse_from(line.split_whitespace()).unwrap();
        }
    }

    #[test]
    fn a_wrong_line_is_refused_with_exit_2() {
        for line in [
            "x",
            "x tcp --target 127.0.0.1:9000",
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
