//! A pair as an operator has it: two real nodes and a witness on loopback, looked at over HTTP and ordered by `headworks pair`.
//!
//! ```text
//! witness ◄── a leads ══► b follows      switchover at a ─► b leads, a starts over and follows      kill b ─► a leads
//! ```

use crate::harness::node::{Node, lasting_address};
use crate::harness::program::{call, command, text_of};
use crate::harness::{http, wait};
use crate::rig::settings;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

/// A node of the pair.
pub struct Half {
    pub node: Node,
    http: SocketAddr,
    settings: Vec<String>,
}

/// Two nodes and their witness.
pub struct Pair {
    pub a: Half,
    pub b: Half,
    pub _witness: Node,
}

impl Half {
    fn start(folder: &Path, name: &str, witness: SocketAddr, addresses: (SocketAddr, SocketAddr)) -> Half {
        let mut settings = settings(name, Some(witness), addresses);
        settings.push("node.lanes=1".to_owned());
        Half::on(&folder.join(name), settings)
    }

    fn on(data: &Path, settings: Vec<String>) -> Half {
        let node = Node::start(data, &settings.iter().map(String::as_str).collect::<Vec<_>>());
        let http = node.address("http");
        Half { node, http, settings }
    }

    /// Where the other node reaches it.
    pub fn pair_address(&self) -> SocketAddr {
        let listen = self.settings.iter().find_map(|setting| setting.strip_prefix("pair.listen="));
        listen.expect("a node of a pair listens").parse().expect("an address")
    }

    /// Starts it again, after it has ended.
    pub fn again(self) -> Half {
        let (data, settings) = (self.node.data.clone(), self.settings);
        drop(self.node);
        Half::on(&data, settings)
    }

    /// What it says of itself; nothing while it starts over.
    fn status(&self) -> Option<Value> {
        http::try_ask(self.http, "/api/v1/status").ok().filter(|answer| answer.code == 200).map(|answer| answer.json())
    }

    /// Waits until its status is as wanted.
    pub fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        wait::until(what, || match self.status() {
            Some(status) if is_so(&status) => Ok(status),
            other => Err(format!("{other:?}\n{}", self.node.log())),
        })
    }

    pub fn metric(&self, name: &str) -> String {
        let scrape = http::ask(self.http, "/metrics").body;
        let line = scrape.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{scrape}")).rsplit(' ').next().expect("a value").to_owned()
    }

    /// `headworks pair` at this node, with its token where one is needed.
    pub fn pair(&self, arguments: &[&str]) -> Output {
        let http = self.http.to_string();
        let data = text_of(&self.node.data);
        let shown: &[&str] = if arguments[0] == "status" { &[] } else { &["--data", &data] };
        call(["pair"].iter().chain(arguments).chain(&["--http", &http]).chain(shown))
    }
}

impl Pair {
    /// Waits until b is in sync with a, which leads.
    pub fn start(folder: &Path) -> Pair {
        let at = folder.join("witness");
        let witness = Node::start_by(command(["witness", "--data", &text_of(&at), "--listen", "127.0.0.1:0"]), &at);
        let (address, of_a, of_b) = (witness.address("witness"), lasting_address(), lasting_address());
        let a = Half::start(folder, "a", address, (of_a, of_b));
        let b = Half::start(folder, "b", address, (of_b, of_a));
        b.until("b stands by, in sync", |status| status["role"] == "standby" && status["ready"] == true);
        a.until("a knows b", |status| status["peers"][0]["in_sync"] == true && status["pair"]["level"] == "peer-disk");
        Pair { a, b, _witness: witness }
    }
}
