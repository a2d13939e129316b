//! Four hosts: the nodes, the witness, and the clients'.
//!
//! ```text
//!   namespace hwPID-net: one bridge
//!    │a           │b           │w           │c        veth pairs
//!  hwPID-a      hwPID-b      hwPID-w      hwPID-c     eth0, 10.77.0.1 to 4
//! ```
//!
//! What one host sends to another gets lost when its permanent neighbour entry is given a hardware address that nobody has: silently, in that
//! direction only, for every protocol, at once and for connections that stand already. It takes nothing but `ip`, where a packet filter would take a
//! second tool and a kernel module. Namespaces that are deleted take links and addresses along.
//!
//! Without root: four addresses of loopback, and nothing that could be cut.

use crate::node::Failure;
use headworks_io::fatal::Reason;
use std::net::Ipv4Addr;
use std::process::Command;

/// The hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Node a.
    A,
    /// Node b.
    B,
    /// The witness.
    Witness,
    /// Clients, and the drill itself.
    Client,
}

const HOSTS: [Host; 4] = [Host::A, Host::B, Host::Witness, Host::Client];

/// An address that no interface has: locally administered, as the others.
const NOBODY: &str = "02:77:00:00:00:ff";

/// See the module.
#[derive(Debug)]
pub enum Network {
    /// Of namespaces, with what their names begin with.
    Namespaces(Namespaces),
    /// On loopback, by the third byte of its addresses.
    Loopback(u8),
}

/// Namespaces that go when this goes.
#[derive(Debug)]
pub struct Namespaces {
    prefix: String,
    made: Vec<String>,
}

impl Network {
    /// Makes it.
    ///
    /// # Errors
    /// `ip` is not there or refuses.
    pub fn make(is_loopback: bool) -> Result<Network, Failure> {
        let process = std::process::id();
        if is_loopback {
            return Ok(Network::Loopback(u8::try_from(process % 250).expect("below 250")));
        }
        let mut namespaces = Namespaces { prefix: format!("hw{process}"), made: Vec::new() };
        namespaces.connect()?;
        Ok(Network::Namespaces(namespaces))
    }

    /// A host's address.
    pub fn address(&self, host: Host) -> Ipv4Addr {
        match self {
            Network::Namespaces(_) => Ipv4Addr::new(10, 77, 0, host.number()),
            Network::Loopback(third) => Ipv4Addr::new(127, 77, *third, host.number()),
        }
    }

    /// A command that runs on a host.
    pub fn command(&self, host: Host, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match self {
            Network::Loopback(_) => Command::new(program),
            Network::Namespaces(namespaces) => {
                let mut command = Command::new("ip");
                // It replaces itself by the program: the process is the program's own.
                command.args(["netns", "exec", &namespaces.name(host)]).arg(program);
                command
            }
        }
    }

    /// This thread, and what it starts, is on the clients' host from now on.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn enter(&self) -> Result<(), Failure> {
        let Network::Namespaces(namespaces) = self else { return Ok(()) };
        let path = format!("/run/netns/{}", namespaces.name(Host::Client));
        let refused = |error: std::io::Error| Failure::new(Reason::Kernel, format!("cannot enter {path}: {error}"));
        let namespace = std::fs::File::open(&path).map_err(refused)?;
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).map_err(|error| refused(error.into()))
    }

    /// From now on what one sends to the other is lost, or is not.
    ///
    /// # Errors
    /// It is a network of loopback, or `ip` refuses.
    pub fn set_lost(&self, from: Host, target: Host, is_lost: bool) -> Result<(), Failure> {
        let Network::Namespaces(namespaces) = self else {
            return Err(Failure::new(Reason::Bug, "loopback cannot be cut"));
        };
        namespaces.neighbour(from, target, if is_lost { NOBODY.to_owned() } else { target.hardware() })
    }

    /// Nothing is lost any more.
    ///
    /// # Errors
    /// `ip` refuses.
    pub fn heal(&self) -> Result<(), Failure> {
        let Network::Namespaces(_) = self else { return Ok(()) };
        pairs().try_for_each(|(from, target)| self.set_lost(from, target, false))
    }
}

impl Namespaces {
    fn name(&self, host: Host) -> String {
        format!("{}-{}", self.prefix, host.letter())
    }

    fn connect(&mut self) -> Result<(), Failure> {
        let switch = format!("{}-net", self.prefix);
        self.add(&switch)?;
        ip(&["-n", &switch, "link", "add", "name", "bridge", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "dev", "bridge", "up"])?;
        for host in HOSTS {
            let (name, address, hardware) = (self.name(host), format!("10.77.0.{}/24", host.number()), host.hardware());
            self.add(&name)?;
            ip(&["-n", &switch, "link", "add", "name", host.letter(), "type", "veth", "peer", "name", "eth0"])?;
            ip(&["-n", &switch, "link", "set", "dev", "eth0", "netns", &name])?;
            ip(&["-n", &switch, "link", "set", "dev", host.letter(), "master", "bridge", "up"])?;
            ip(&["-n", &name, "link", "set", "dev", "eth0", "address", &hardware, "up"])?;
            ip(&["-n", &name, "link", "set", "dev", "lo", "up"])?;
            ip(&["-n", &name, "address", "add", &address, "dev", "eth0"])?;
        }
        pairs().try_for_each(|(from, target)| self.neighbour(from, target, target.hardware()))
    }

    fn add(&mut self, name: &str) -> Result<(), Failure> {
        ip(&["netns", "add", name])?;
        self.made.push(name.to_owned());
        Ok(())
    }

    fn neighbour(&self, from: Host, target: Host, hardware: String) -> Result<(), Failure> {
        let (name, address) = (self.name(from), format!("10.77.0.{}", target.number()));
        ip(&["-n", &name, "neighbour", "replace", &address, "lladdr", &hardware, "nud", "permanent", "dev", "eth0"])
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.made {
            if let Err(failure) = ip(&["netns", "delete", name]) {
                tracing::error!("{}; remove it by `ip netns delete {name}`", failure.text);
            }
        }
    }
}

impl Host {
    fn letter(self) -> &'static str {
        match self {
            Host::A => "a",
            Host::B => "b",
            Host::Witness => "w",
            Host::Client => "c",
        }
    }

    fn number(self) -> u8 {
        match self {
            Host::A => 1,
            Host::B => 2,
            Host::Witness => 3,
            Host::Client => 4,
        }
    }

    fn hardware(self) -> String {
        format!("02:77:00:00:00:{:02x}", self.number())
    }
}

/// Every two hosts, in both orders.
fn pairs() -> impl Iterator<Item = (Host, Host)> {
    HOSTS.into_iter().flat_map(|from| HOSTS.into_iter().filter(move |target| *target != from).map(move |target| (from, target)))
}

fn ip(arguments: &[&str]) -> Result<(), Failure> {
    let line = arguments.join(" ");
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| Failure::new(Reason::Config, format!("cannot run `ip {line}`: {error}; install iproute2")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(Reason::Kernel, format!("`ip {line}` ended with {}: {}", output.status, said.trim())))
}
