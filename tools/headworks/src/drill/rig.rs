//! A real pair on four hosts: the witness and two nodes, each a process of this very program, and what is known of them.
//!
//! How a node stands is asked of it ([`super::watch`]); when it began what it does is in its log ([`super::log`]).

use super::interrupt::Interrupt;
use super::log::{Line, Log, Said};
use super::network::{Host, Network};
use super::process::Process;
use super::watch::{Role, Stand, Watch};
use crate::args::DrillRunArgs;
use crate::client;
use crate::node::{Failure, token};
use headworks_io::Clock;
use headworks_io::fatal::Reason;
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// Where nodes answer HTTP.
pub const HTTP: u16 = 9600;
/// After how long what has to come counts as not coming.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Why a run ends early.
#[derive(Debug)]
pub enum Trouble {
    /// The drill itself cannot go on.
    Failed(Failure),
    /// The pair has broken a promise.
    Broken(String),
    /// Ctrl-C.
    Interrupted,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Failed(failure)
    }
}

/// One node.
#[derive(Debug)]
pub struct Node {
    /// Where it lives.
    pub host: Host,
    /// Its name.
    pub name: &'static str,
    /// Its data directory.
    pub data: PathBuf,
    /// Everything that it said that a drill listens for.
    pub lines: Vec<Line>,
    process: Option<Process>,
    log: Log,
    watch: Watch,
    /// When the process that runs now was started, or the last one ended, on the clock that does not go back.
    since_ns: u64,
}

/// See the module.
pub struct Rig {
    /// Processes go before the namespaces that they live in.
    nodes: [Node; 2],
    witness: Option<Process>,
    /// Its hosts.
    pub network: Network,
    /// Everything that the drill writes.
    pub directory: PathBuf,
    program: PathBuf,
    settings: Vec<String>,
    /// Since when one node has led with the other in sync, if it does, in ns since 1970; who, and in which epoch.
    whole: Option<(u64, (usize, u64))>,
    /// Ends waiting.
    interrupt: Interrupt,
}

impl Rig {
    /// Makes the hosts and starts witness and nodes; returns when the pair is in sync.
    ///
    /// # Errors
    /// Something is not to be had, or the pair does not come to be in sync.
    pub fn make(args: &DrillRunArgs, directory: PathBuf, interrupt: Interrupt) -> Result<Rig, Trouble> {
        let program = std::env::current_exe();
        let program = program.map_err(|error| Failure::new(Reason::Kernel, format!("cannot find this program: {error}")))?;
        let network = Network::make(args.loopback)?;
        network.enter()?;
        let node = |host, name: &'static str| -> Result<Node, Failure> {
            Ok(Node {
                host,
                name,
                data: directory.join(name),
                lines: Vec::new(),
                process: None,
                log: Log::new(directory.join(format!("{name}.log"))),
                watch: Watch::begin(SocketAddr::from((network.address(host), HTTP)))?,
                since_ns: 0,
            })
        };
        let nodes = [node(Host::A, "a")?, node(Host::B, "b")?];
        let settings = args.set.clone();
        let mut rig = Rig { nodes, witness: None, network, directory, program, settings, whole: None, interrupt };
        rig.start_witness()?;
        rig.start(0)?;
        rig.until("the first node leads", |rig| rig.stand(0).leads().is_some())?;
        rig.start(1)?;
        rig.await_in_sync()?;
        Ok(rig)
    }

    /// A node.
    pub fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// Where a node's service is.
    pub fn address(&self, at: usize, port: u16) -> SocketAddr {
        SocketAddr::from((self.network.address(self.nodes[at].host), port))
    }

    /// Both nodes' Kafka addresses, as clients are given them.
    pub fn bootstrap(&self) -> String {
        format!("{},{}", self.address(0, 9092), self.address(1, 9092))
    }

    /// Starts the witness, and waits until it serves.
    pub fn start_witness(&mut self) -> Result<(), Trouble> {
        let address = SocketAddr::from((self.network.address(Host::Witness), 9701));
        let mut command = self.network.command(Host::Witness, &self.program);
        command.args(["witness", "--listen", &address.to_string(), "--data"]).arg(self.witness_data());
        self.witness = Some(Process::start("the witness", &mut command, &self.directory.join("witness.log"))?);
        let ready = self.directory.join("witness.out");
        self.until("the witness serves", |_| std::fs::read_to_string(&ready).is_ok_and(|text| text.contains("ready ")))
    }

    /// kill -9 of the witness.
    pub fn kill_witness(&mut self) -> Result<(), Trouble> {
        Ok(self.witness.take().map_or(Ok(()), Process::kill)?)
    }

    /// The witness's directory.
    pub fn witness_data(&self) -> PathBuf {
        self.directory.join("witness")
    }

    /// Starts a node, without waiting.
    pub fn start(&mut self, at: usize) -> Result<(), Trouble> {
        let config = self.configuration(at)?;
        let node = &self.nodes[at];
        let mut command = self.network.command(node.host, &self.program);
        command.args(["run", "--config"]).arg(config);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        let process = Process::start(&format!("node {}", node.name), &mut command, node.log.path())?;
        self.nodes[at].process = Some(process);
        self.forget(at);
        Ok(())
    }

    fn configuration(&self, at: usize) -> Result<PathBuf, Failure> {
        let (node, own, other) =
            (&self.nodes[at], self.network.address(self.nodes[at].host), self.network.address(self.nodes[1 - at].host));
        let (name, data, witness) = (node.name, node.data.display(), self.network.address(Host::Witness));
        let text = format!(
            "[node]\nname = \"{name}\"\ndata = [\"{data}\"]\nlanes = 1\n\
             [log]\nring = \"16MiB\"\nsegment = \"16MiB\"\nretention = {{ size = \"1GiB\" }}\n\
             [[stream]]\nname = \"events\"\n\
             [[listener]]\nname = \"udp\"\nkind = \"udp\"\naddress = \"{own}:9000\"\nstream = \"events\"\nreceive_buffer = \"4MiB\"\n\
             [kafka]\naddress = \"{own}:9092\"\n[http]\naddress = \"{own}:9600\"\n\
             [pair]\npeer = \"{other}:9700\"\nlisten = \"{own}:9700\"\n\
             [arbiter]\nkind = \"witness\"\naddress = \"{witness}:9701\"\n"
        );
        let path = self.directory.join(format!("{name}.toml"));
        std::fs::write(&path, text).map_err(|error| Failure::new(Reason::Storage, format!("{}: {error}", path.display())))?;
        Ok(path)
    }

    /// kill -9 of a node, and its end.
    pub fn kill(&mut self, at: usize) -> Result<(), Trouble> {
        let killed = self.nodes[at].process.take().map_or(Ok(()), Process::kill);
        killed.map_err(|failure| Trouble::Broken(failure.text))?;
        self.forget(at);
        self.look()
    }

    /// What a node said of itself before it ended, or was started, counts no more.
    fn forget(&mut self, at: usize) {
        self.nodes[at].since_ns = Clock.monotonic_ns();
    }

    /// A signal to a node.
    pub fn signal(&mut self, at: usize, signal: Signal) -> Result<(), Trouble> {
        let Some(process) = &mut self.nodes[at].process else {
            return Err(Failure::new(Reason::Bug, "a step signals a node that does not run").into());
        };
        process.signal(signal).map_err(|failure| Trouble::Broken(failure.text))
    }

    /// Waits for the end of a node that was told to stop.
    pub fn await_end(&mut self, at: usize) -> Result<(), Trouble> {
        let name = self.nodes[at].name;
        let mut process = self.nodes[at].process.take();
        let mut status = None;
        self.until(&format!("node {name} stops"), |_| {
            status = process.as_mut().and_then(|process| process.ended().ok().flatten());
            status.is_some()
        })?;
        self.forget(at);
        match status.and_then(|status| status.code()) {
            Some(0) => Ok(()),
            code => Err(Trouble::Broken(format!("node {name} was stopped in order and ended with code {code:?}"))),
        }
    }

    /// Gives a node an operator's order.
    ///
    /// # Errors
    /// It refuses.
    pub fn order(&self, at: usize, act: &str) -> Result<(), Trouble> {
        let file = self.nodes[at].data.join(token::FILE_NAME);
        let token = token::read(&file).map_err(|error| Failure::new(Reason::Storage, format!("{}: {error}", file.display())))?;
        let (code, answer) = client::post(self.address(at, HTTP), &format!("/api/v1/pair/{act}"), &token, "null")?;
        if answer["accepted"] == true {
            return Ok(());
        }
        Err(Trouble::Broken(format!("node {} refuses `pair {act}` with {code}: {answer}", self.nodes[at].name)))
    }

    /// How a node stands, by what it said since its process was started.
    pub fn stand(&self, at: usize) -> Stand {
        self.nodes[at].watch.stand(self.nodes[at].since_ns)
    }

    /// Who leads in the highest epoch, and that epoch.
    pub fn leader(&self) -> Option<(usize, u64)> {
        (0..2).filter_map(|at| Some((at, self.stand(at).leads()?))).max_by_key(|(_, epoch)| *epoch)
    }

    /// The highest epoch in which anybody ever began to lead.
    pub fn epoch(&self) -> u64 {
        let led = self.nodes.iter().flat_map(|node| &node.lines);
        led.filter_map(|line| if let Said::Leading(epoch) = line.said { Some(epoch) } else { None }).max().unwrap_or(0)
    }

    /// Who leads with the other in sync, by what both say, and in which epoch.
    fn leader_of_both(&self) -> Option<(usize, u64)> {
        let (at, epoch) = self.leader()?;
        let (leads, follows) = (self.stand(at), self.stand(1 - at));
        let are_whole = leads.role == Role::Primary { is_whole: true } && follows.role == Role::Standby { is_ready: true };
        (are_whole && follows.epoch == epoch).then_some((at, epoch))
    }

    /// Since when it has been so without a break, in ns since 1970.
    pub fn whole_since_ns(&self) -> Option<u64> {
        self.whole.map(|(since_ns, _)| since_ns)
    }

    /// Waits until one node leads with the other in sync; who, and in which epoch.
    pub fn await_in_sync(&mut self) -> Result<(usize, u64), Trouble> {
        let mut found = None;
        self.until("one node leads and the other is in sync", |rig| {
            found = rig.whole.map(|(_, leader)| leader);
            found.is_some()
        })?;
        Ok(found.expect("it was waited for"))
    }

    /// What a node shows at `/metrics`.
    pub fn metrics(&self, at: usize) -> Result<String, Failure> {
        client::text_at(self.address(at, HTTP), "/metrics")
    }

    /// Lets time pass, and follows the logs.
    pub fn hold(&mut self, ms: u64) -> Result<(), Trouble> {
        let until_ns = Clock.monotonic_ns() + ms * 1_000_000;
        while Clock.monotonic_ns() < until_ns {
            self.look()?;
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until it is so.
    ///
    /// # Errors
    /// It does not become so, a process ends by itself, or the drill is interrupted.
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&Rig) -> bool) -> Result<(), Trouble> {
        let until_ns = Clock.monotonic_ns() + PATIENCE_NS;
        loop {
            self.look()?;
            if is_so(self) {
                return Ok(());
            }
            if Clock.monotonic_ns() >= until_ns {
                let stands: Vec<String> = (0..2).map(|at| self.stands(at)).collect();
                return Err(Trouble::Broken(format!("{what}: not within {} s; {}", PATIENCE_NS / 1_000_000_000, stands.join(", "))));
            }
            thread::sleep(LOOK);
        }
    }

    /// Takes in what the nodes have said.
    fn look(&mut self) -> Result<(), Trouble> {
        if self.interrupt.is_raised() {
            return Err(Trouble::Interrupted);
        }
        for node in &mut self.nodes {
            node.look()?;
        }
        let leader = self.leader_of_both();
        self.whole = match (leader, self.whole) {
            (Some(now), Some((since_ns, before))) if now == before => Some((since_ns, now)),
            (Some(now), _) => Some((Clock.realtime_ns(), now)),
            (None, _) => None,
        };
        Ok(())
    }

    fn stands(&self, at: usize) -> String {
        let node = &self.nodes[at];
        let runs = if node.process.is_some() { "runs" } else { "does not run" };
        format!("node {} {runs} and says {:?}", node.name, self.stand(at))
    }

    /// Runs this program to its end on the clients' host: what it says on standard output, and its exit code.
    pub fn call(&self, arguments: &[&str], directory: &Path) -> Result<(Vec<u8>, Option<i32>), Failure> {
        let output = std::process::Command::new(&self.program).args(arguments).arg(directory).output();
        let output = output.map_err(|error| Failure::new(Reason::Kernel, format!("cannot run {}: {error}", self.program.display())))?;
        Ok((output.stdout, output.status.code()))
    }

    /// Where the generator is: beside this program.
    pub fn generator(&self) -> PathBuf {
        self.program.with_file_name("headworks-loadgen")
    }
}

impl Node {
    fn look(&mut self) -> Result<(), Trouble> {
        if !self.log.path().exists() {
            return Ok(());
        }
        let lines = self.log.follow().map_err(|error| Failure::new(Reason::Storage, format!("{}: {error}", self.log.path().display())))?;
        self.lines.extend(lines);
        if let Some(process) = &mut self.process
            && let Some(status) = process.ended()?
        {
            return Err(Trouble::Broken(format!("node {} ended by itself with {status}; see {}", self.name, self.log.path().display())));
        }
        Ok(())
    }
}
