//! The command line. Only what this release has is listed: a command that is not built is unknown, not a stub.
//!
//! ```text
//! headworks [run] [--config FILE] [--data DIR] [--set section.key=value]...
//! headworks check-config FILE | status | verify DIR | cat DIR --stream S | witness --data DIR --listen ADDR
//! headworks pair status | switchover | promote --confirm-fenced NAME | rejoin
//! headworks drill list | drill run --scenario NAME --report FILE | version
//! ```
//! Without a command the appliance runs. A line that cannot be understood ends with code 2; values of settings are judged later, by the
//! configuration, with code 78.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  headworks                            embedded default: loopback only,
                                       data in ./headworks-data
  headworks --data /var/lib/headworks --set log.linger=5ms
  headworks run --config /etc/headworks/headworks.toml
  headworks check-config /etc/headworks/headworks.toml
  headworks status -o json
  headworks pair status
  headworks cat /var/lib/headworks --stream events --count 10
  headworks witness --data /var/lib/headworks-witness --listen 10.0.0.3:9701

Settings, each over the ones before: embedded default, file, environment
(HEADWORKS_LOG_LINGER=5ms), --set log.linger=5ms, --data.

Exit codes: 0 ok, 1 negative answer, 2 usage, 69 port busy, 70 bug,
71 kernel feature, 74 storage fault, 75 directory in use, 77 permission,
78 configuration.";

const RUN_EXAMPLES: &str = "\
Examples:
  headworks run
  headworks run --config /etc/headworks/headworks.toml
  headworks run --data /tmp/try --set listener.udp.address=127.0.0.1:0";

const CHECK_EXAMPLES: &str = "\
Examples:
  headworks check-config headworks.toml
  headworks check-config headworks.toml --set node.lanes=2";

const STATUS_EXAMPLES: &str = "\
Examples:
  headworks status
  headworks status --http 127.0.0.1:9600 -o json";

const VERIFY_EXAMPLES: &str = "\
Exit codes: 0 clean, 1 damage found, 75 the directory is in use.

Examples:
  headworks verify /var/lib/headworks
  headworks verify /var/lib/headworks -o json";

const CAT_EXAMPLES: &str = "\
Examples:
  headworks cat /var/lib/headworks --stream events --count 10
  headworks cat /var/lib/headworks --stream events --offset 1000 --format json";

const WITNESS_EXAMPLES: &str = "\
Runs on a third host, outside the data path, and keeps who is primary for up
to 64 pairs. Prints `ready witness=ADDR data=DIR`; SIGTERM ends it with 0.

Examples:
  headworks witness --data /var/lib/headworks-witness --listen 10.0.0.3:9701
  headworks witness --data /tmp/witness --listen 127.0.0.1:0";

const PAIR_EXAMPLES: &str = "\
status needs no token. The others show the node's token, which stands in the
file admin.token of its data directory.

Exit codes: 0 done, 1 refused or not so, 78 no node answers, or no token.

Examples:
  headworks pair status --http 127.0.0.1:9600
  headworks pair switchover --data /var/lib/headworks
  headworks pair promote --confirm-fenced a --data /var/lib/headworks
  headworks pair rejoin --token-file /run/headworks.token";

const PAIR_STATUS_EXAMPLES: &str = "\
Exit codes: 0 the node does its part: a primary whose standby is in sync, or a
standby in sync; 1 it does not, or nobody is in sync with it.

Examples:
  headworks pair status
  headworks pair status --http 10.0.0.1:9600 -o json";

const SWITCHOVER_EXAMPLES: &str = "\
Typed at the primary. It drains its sockets, the standby gets what it lacks
and leads; this node starts over and follows. Waits for that, 15 s at most.
Needs a witness. Where the operator is the arbiter: stop it, and promote.

Examples:
  headworks pair switchover --data /var/lib/headworks";

const PROMOTE_EXAMPLES: &str = "\
Typed at the node that is to lead, or to go on alone. NAME is the other node,
of which you have made sure that it does not run and will not come back as
primary: power off, or its port down. A node that was not in sync is refused,
and so is a NAME that is still heard. Where the operator is the arbiter, nothing
else changes who leads; a word is good for one loss.

Examples:
  headworks pair promote --confirm-fenced a --data /var/lib/headworks";

const REJOIN_EXAMPLES: &str = "\
Typed at a standby. It starts over, as after a crash, and compares its log
with the primary's again; what the primary does not have goes to quarantine.

Examples:
  headworks pair rejoin --data /var/lib/headworks";

const DRILL_EXAMPLES: &str = "\
Makes a pair of its own, with a witness, in network namespaces (root), puts
load on it, does what the scenario says, and judges: exit code 1 if a single
promise was broken. `headworks-loadgen` must lie beside this program.

--beside starts COMMAND (words, no shell) with two more arguments, the servers
and a topic. It writes a line to standard output when a record is acknowledged
for the first time; it ends when its standard input does, with a last line in
JSON: acknowledged, failed, and gap_ns, the longest time without an answer.

Examples:
  headworks drill list
  headworks drill run --scenario kill-primary --report drill.json
  headworks drill run --scenario partition --count 30 --report drill.json
  headworks drill run --scenario kill-standby --loopback --report drill.json";

/// Ingests streams of packets durably and serves them to Kafka clients.
#[derive(Debug, Parser)]
#[command(name = "headworks", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

impl Args {
    /// The command that was asked for; none means run.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the appliance (also without any command)
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Check a configuration file and print what would be in effect
    #[command(after_help = CHECK_EXAMPLES)]
    CheckConfig(CheckConfigArgs),
    /// Ask a running appliance for its state
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Check every segment of a data directory that no appliance is using
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Print a stream's durable records from a data directory
    #[command(after_help = CAT_EXAMPLES)]
    Cat(CatArgs),
    /// Look at a pair, or change who leads
    #[command(after_help = PAIR_EXAMPLES)]
    Pair(PairArgs),
    /// Keep the registers of pairs: the arbiter, on a host of its own
    #[command(after_help = WITNESS_EXAMPLES)]
    Witness(WitnessArgs),
    /// Rehearse failures on a real pair that is made for it
    #[command(after_help = DRILL_EXAMPLES)]
    Drill(DrillArgs),
    /// Print the version
    Version(VersionArgs),
}

/// `run`.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Configuration file (TOML); none is read unless named here
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data directory, over any other setting of node.data
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// One setting, over file and environment; streams and listeners by name
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = assignment)]
    pub set: Vec<String>,
}

/// `check-config`.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckConfigArgs {
    /// Configuration file (TOML)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// One setting, over file and environment; streams and listeners by name
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = assignment)]
    pub set: Vec<String>,
}

/// `status`.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusArgs {
    /// HTTP address of the appliance
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9600")]
    pub http: SocketAddr,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// `verify`.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// Data directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// `cat`.
#[derive(Clone, Debug, clap::Args)]
pub struct CatArgs {
    /// Data directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Stream (topic)
    #[arg(long, value_name = "NAME")]
    pub stream: String,
    /// Partition
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub partition: u32,
    /// First offset; the oldest that is kept unless given
    #[arg(long, value_name = "N")]
    pub offset: Option<u64>,
    /// Records to print; all that are durable unless given
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// How to print a record
    #[arg(long, value_enum, default_value_t = CatFormat::Raw)]
    pub format: CatFormat,
}

/// `pair`.
#[derive(Clone, Debug, clap::Args)]
pub struct PairArgs {
    #[command(subcommand)]
    pub command: PairCommand,
}

/// What to do with a pair.
#[derive(Clone, Debug, Subcommand)]
pub enum PairCommand {
    /// How the pair stands, as one node sees it
    #[command(after_help = PAIR_STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Let the standby lead
    #[command(after_help = SWITCHOVER_EXAMPLES)]
    Switchover(OrderArgs),
    /// Lead, or go on, without the other node, which is fenced
    #[command(after_help = PROMOTE_EXAMPLES)]
    Promote(PromoteArgs),
    /// Let a standby start over and compare its log again
    #[command(after_help = REJOIN_EXAMPLES)]
    Rejoin(OrderArgs),
}

/// Which node is ordered, and by what right.
#[derive(Clone, Debug, clap::Args)]
pub struct OrderArgs {
    /// HTTP address of the node
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9600")]
    pub http: SocketAddr,
    /// File with the node's token
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub token_file: Option<PathBuf>,
    /// The node's data directory, whose admin.token is used
    #[arg(long, value_name = "DIR", default_value = "./headworks-data")]
    pub data: PathBuf,
}

/// `pair promote`.
#[derive(Clone, Debug, clap::Args)]
pub struct PromoteArgs {
    /// The other node's name: it does not run, and will not come back as primary
    #[arg(long, value_name = "NAME")]
    pub confirm_fenced: String,
    #[command(flatten)]
    pub order: OrderArgs,
}

/// `witness`.
#[derive(Clone, Debug, clap::Args)]
pub struct WitnessArgs {
    /// Directory of its own; a new one is another witness
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Address that the nodes connect to; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
}

/// `drill`.
#[derive(Clone, Debug, clap::Args)]
pub struct DrillArgs {
    #[command(subcommand)]
    #[allow(missing_docs, reason = "a comment here would become the help of the command")]
    pub command: DrillCommand,
}

/// What to do with drills.
#[derive(Clone, Debug, Subcommand)]
pub enum DrillCommand {
    /// Print every scenario with one line
    List,
    /// Carry a scenario out
    #[command(after_help = DRILL_EXAMPLES)]
    Run(DrillRunArgs),
}

/// `drill run`.
#[derive(Clone, Debug, clap::Args)]
pub struct DrillRunArgs {
    /// The scenario; `headworks drill list` names them
    #[arg(long, value_name = "NAME")]
    pub scenario: String,
    /// Where every run goes, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: PathBuf,
    /// Runs, one after the other on the same pair
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    /// Only this course of the scenario; its courses in turn unless given
    #[arg(long, value_name = "NAME")]
    pub course: Option<String>,
    /// Keep logs and data in any case; they stay by themselves when a promise was broken
    #[arg(long)]
    pub keep: bool,
    /// Records a second that clients send with acks = all (2000, 2k)
    #[arg(long, value_name = "N", default_value = "2k")]
    pub rate: String,
    /// A client of your own beside the generator
    #[arg(long, value_name = "COMMAND")]
    pub beside: Option<String>,
    /// What the moments of causes are drawn from; another one each time unless given
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where the drill makes its own directory; the system's for temporary files unless given
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Without namespaces and root, on addresses of loopback
    #[arg(long)]
    pub loopback: bool,
    /// One setting of both nodes
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = assignment)]
    pub set: Vec<String>,
}

/// `version`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct VersionArgs {
    /// Also what it was built for and with
    #[arg(long)]
    pub verbose: bool,
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Form of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CatFormat {
    /// The value's bytes as they are and a newline
    Raw,
    /// One JSON object a line
    Json,
    /// Offset and hexadecimal bytes
    Hex,
}

/// Form only: whether the key exists and takes the value is the configuration's to say, with its hint.
fn assignment(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("write section.key=value, such as log.linger=5ms".to_owned()),
    }
}
