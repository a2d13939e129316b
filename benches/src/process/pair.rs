//! A pair of appliances and its witness, all on loopback and on one disk.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::guard::Registered;
use super::node::{Node, ready_line};
use crate::bench::{Bench, Placement};

/// Longest wait for a pair to be in sync.
const IN_SYNC_MAX: Duration = Duration::from_secs(300);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// A witness under way; killed when the value goes.
struct Witness {
    child: Child,
    _registered: Registered,
    address: SocketAddr,
}

impl Witness {
    fn start(bench: &Bench, data: &Path) -> Result<Witness, String> {
        let log = data.with_extension("log");
        let out = File::create(&log).map_err(|error| format!("cannot make {}: {error}", log.display()))?;
        let mut command = Command::new(&bench.binaries.appliance);
        command.env_clear().args(["witness", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(out).spawn();
        let mut child = started.map_err(|error| format!("cannot start a witness: {error}"))?;
        let output = child.stdout.take().expect("standard output is piped");
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut witness = Witness { _registered: Registered::new(child.id()), child, address: nowhere };
        let ready = ready_line(output).ok_or("the witness is not ready")?;
        let said = ready.split(' ').find_map(|word| word.strip_prefix("witness=")?.parse().ok());
        witness.address = said.ok_or_else(|| format!("not a witness' ready line: {ready:?}"))?;
        Ok(witness)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Both fail only when it was waited for already, which is what they are to bring about.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A pair. The node that was started first leads: nothing here ends it.
pub struct Pair<'a> {
    bench: &'a Bench,
    placement: Placement,
    retention_bytes: u64,
    folder: PathBuf,
    lanes: [SocketAddr; 2],
    witness: Witness,
    primary: Node,
    standby: Option<Node>,
}

impl<'a> Pair<'a> {
    /// Starts all three and waits until the nodes are in sync.
    ///
    /// # Errors
    /// One cannot be started, or they are not in sync in time.
    pub fn start(bench: &'a Bench, folder: &Path, placement: &Placement, retention_bytes: u64) -> Result<Pair<'a>, String> {
        let witness = Witness::start(bench, &folder.join("witness"))?;
        let lanes = [free_address()?, free_address()?];
        let data = folder.join("a");
        let primary = Node::start(bench, &data, placement, retention_bytes, &settings("a", witness.address, lanes))?;
        let (folder, placement) = (folder.to_owned(), placement.clone());
        let mut pair = Pair { bench, placement, retention_bytes, folder, lanes, witness, primary, standby: None };
        pair.start_standby()?;
        pair.wait_in_sync()?;
        Ok(pair)
    }

    /// The node that leads.
    pub fn primary(&self) -> &Node {
        &self.primary
    }

    /// The data directory of the node that leads.
    pub fn primary_data(&self) -> PathBuf {
        self.folder.join("a")
    }

    /// The node that follows.
    ///
    /// # Errors
    /// It does not run.
    pub fn standby(&self) -> Result<&Node, String> {
        self.standby.as_ref().ok_or_else(|| "the standby does not run".to_owned())
    }

    /// Starts the node that follows; it is not in sync yet.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_standby(&mut self) -> Result<(), String> {
        let [a, b] = self.lanes;
        let settings = settings("b", self.witness.address, [b, a]);
        self.standby = Some(Node::start(self.bench, &self.folder.join("b"), &self.placement, self.retention_bytes, &settings)?);
        Ok(())
    }

    /// Ends the node that follows, as a power cut would, and waits until the other one goes on alone.
    ///
    /// # Errors
    /// It was gone already, or the other one does not go on.
    pub fn kill_standby(&mut self) -> Result<(), String> {
        self.standby.take().ok_or("the standby does not run")?.kill()?;
        self.wait("the primary goes on alone", |pair| Ok(!pair.is_in_sync()?))
    }

    /// Whether the node that leads has the other one in sync.
    ///
    /// # Errors
    /// It does not answer, or does not lead any more: nothing that is measured holds then.
    pub fn is_in_sync(&self) -> Result<bool, String> {
        let status = self.primary.status()?;
        if status["role"] != "primary" {
            return Err(format!("the node that led is {} now", status["role"]));
        }
        Ok(peer_is(&status, "in_sync"))
    }

    /// Waits until both are in sync.
    ///
    /// # Errors
    /// They are not in time.
    pub fn wait_in_sync(&self) -> Result<(), String> {
        self.wait("the pair is in sync", Pair::is_in_sync)
    }

    /// Waits until the standby's connections stand.
    ///
    /// # Errors
    /// They do not in time.
    pub fn wait_connected(&self) -> Result<(), String> {
        self.wait("the standby is connected", |pair| Ok(peer_is(&pair.primary.status()?, "connected")))
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Pair<'a>) -> Result<bool, String>) -> Result<(), String> {
        let since = Instant::now();
        while since.elapsed() < IN_SYNC_MAX {
            if is_so(self)? {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        Err(format!("{what}: not within {IN_SYNC_MAX:?}"))
    }

    /// Ends both, the one that follows first, so that nothing is handed over.
    ///
    /// # Errors
    /// One does not end well.
    pub fn stop(self) -> Result<(), String> {
        self.standby.map_or(Ok(()), Node::stop)?;
        self.primary.stop()
    }
}

fn peer_is(status: &Value, what: &str) -> bool {
    status["peers"].as_array().is_some_and(|peers| peers.iter().any(|peer| peer[what] == true))
}

/// What makes a node one of a pair. A figure is taken on a machine with few processors, where a heartbeat comes late without
/// anything being wrong: the longest silence allowed is 200 ms instead of 50.
fn settings(name: &str, witness: SocketAddr, [own, other]: [SocketAddr; 2]) -> Vec<String> {
    vec![
        format!("node.name={name}"),
        format!("pair.listen={own}"),
        format!("pair.peer={other}"),
        "pair.heartbeat=20ms".to_owned(),
        "pair.heartbeat_misses=10".to_owned(),
        "arbiter.kind=witness".to_owned(),
        format!("arbiter.address={witness}"),
    ]
}

/// An address that nobody has now. Both nodes have to know both before they start.
fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map_err(|error| format!("no free port: {error}"))
}
