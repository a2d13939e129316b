//! The command line.

use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p headworks-benches -- gso64
  cargo run --release -p headworks-benches -- all --json figures.json
  cargo run --release -p headworks-benches -- recovery --bytes 2
  cargo run --release -p headworks-benches -- smoke

Scenarios: gso64 gso1400 single latency history tails connections
tcp-senders memory recovery idle pair catch-up; rings, which names its
command; and versus-kafka, which needs Java and Maven and runs only when it is
named.";

/// Measures the appliance against what this machine can do at best.
#[derive(Debug, clap::Parser)]
#[command(name = "headworks-benches", after_help = EXAMPLES)]
pub struct Args {
    /// A scenario, `all`, or `smoke` (every scenario, tiny, not judged)
    pub name: String,
    /// Pairs of probe and subject; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Seconds that one run measures
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// GiB that memory and recovery keep on the disk, and that catch-up copies, up to 5; less where the disk has less
    #[arg(long = "bytes", value_name = "GIB", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub gib: u64,
    /// Seconds that memory soaks
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    pub soak: u64,
    /// Longest wait, in seconds, for other processes to leave the processors alone before each run
    #[arg(long, default_value_t = 10)]
    pub quiet: u64,
    /// Where data goes; a new directory beside the build, gone afterwards, unless given
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Binaries that are there already (`headworks`, `headworks-loadgen`), instead of building them
    #[arg(long, value_name = "DIR")]
    pub binaries: Option<PathBuf>,
    /// Also writes the figures there, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
