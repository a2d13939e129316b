//! The pair under test.
//!
//! How a node stands is read from what it wrote to standard error since it was started last: it leads from its line `leading` until it starts
//! over, and is in sync with the other between its lines `in sync` and `alone`.

use crate::harness::loadgen::{self, Running};
use crate::harness::node::{Node, lasting_address, log_beside};
use crate::harness::program::{self, command, text_of};
use crate::harness::{http, wait};
use serde_json::Value;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use tempfile::TempDir;

/// Records that go by between one event and the next.
const ENOUGH: u64 = 500;

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It does not run.
    Gone,
    /// It follows, or does not know yet what it is.
    Follows,
    /// It leads in that epoch; whether the other is in sync.
    Leads(u32, bool),
}

struct Place {
    name: &'static str,
    data: PathBuf,
    kafka: SocketAddr,
    pair: SocketAddr,
    node: Option<Node>,
    /// Bytes that its predecessors wrote to standard error.
    said_before: usize,
}

/// Nodes, and their witness where they have one; gone when it goes.
pub struct Pair {
    places: [Place; 2],
    witness: Option<Node>,
    /// Settings of both, beyond what makes them a pair.
    more: Vec<String>,
    folder: TempDir,
}

impl Pair {
    /// A new pair, once it is in sync: the first node leads.
    pub fn start() -> Pair {
        Pair::start_with(&[])
    }

    /// The same with more settings.
    pub fn start_with(more: &[&str]) -> Pair {
        let more = more.iter().copied().map(str::to_owned).collect();
        let folder = tempfile::tempdir().expect("a temporary directory");
        let data = folder.path().join("witness");
        let witness = Node::start_by(command(["witness", "--data", &text_of(&data), "--listen", "127.0.0.1:0"]), &data);
        let mut pair = Pair { places: places(&folder), witness: Some(witness), more, folder };
        pair.begin(0);
        wait::until("the first node leads", || match pair.stand(0) {
            Stand::Leads(..) => Ok(()),
            other => Err(format!("{other:?}: {}", pair.said(0))),
        });
        pair.begin(1);
        assert_eq!(pair.in_sync().0, 0, "who was there first leads");
        pair
    }

    /// A new pair whose arbiter is its operator, once it is in sync: the two found it together, and the first by name leads.
    pub fn start_by_hand() -> Pair {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut pair = Pair { places: places(&folder), witness: None, more: Vec::new(), folder };
        pair.begin_both();
        assert_eq!(pair.in_sync().0, 0, "whose name sorts first leads");
        pair
    }

    /// Starts both nodes at once: by hand neither is ready without the other.
    pub fn begin_both(&mut self) {
        let begun = thread::scope(|scope| {
            let pair = &*self;
            [0, 1].map(|at| scope.spawn(move || pair.started(at))).map(|begun| begun.join().expect("it starts"))
        });
        for (place, (node, said_before)) in self.places.iter_mut().zip(begun) {
            (place.node, place.said_before) = (Some(node), said_before);
        }
    }

    /// Starts a node where it was.
    pub fn begin(&mut self, at: usize) {
        let (node, said_before) = self.started(at);
        (self.places[at].node, self.places[at].said_before) = (Some(node), said_before);
    }

    fn started(&self, at: usize) -> (Node, usize) {
        let (own, other) = (&self.places[at], &self.places[1 - at]);
        let witness = self.witness.as_ref().map(|witness| witness.address("witness"));
        let mut settings = settings(own.name, witness, (own.pair, other.pair));
        settings.push(format!("kafka.address={}", own.kafka));
        // A port of the kernel's choice that is opened only when the node leads could be another socket's by then.
        settings.extend(["udp", "tcp"].map(|name| format!("listener.{name}.address={}", lasting_address())));
        let settings: Vec<&str> = settings.iter().chain(&self.more).map(String::as_str).collect();
        let said_before = std::fs::read(log_beside(&own.data)).map_or(0, |said| said.len());
        (Node::start(&own.data, &settings), said_before)
    }

    /// `headworks pair` at a node, with its token.
    pub fn order(&self, at: usize, arguments: &[&str]) -> Output {
        let place = &self.places[at];
        let http = place.node.as_ref().expect("it runs").address("http").to_string();
        let data = text_of(&place.data);
        let shown: &[&str] = if arguments[0] == "status" { &[] } else { &["--data", &data] };
        program::call(["pair"].iter().chain(arguments).chain(&["--http", &http]).chain(shown))
    }

    /// A node's metric, as it is scraped.
    pub fn metric(&self, at: usize, name: &str) -> String {
        let scrape = self.places[at].node.as_ref().expect("it runs").ask("/metrics").body;
        let line = scrape.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{scrape}")).rsplit(' ').next().expect("a value").to_owned()
    }

    /// Waits until a node's status is as wanted.
    pub fn until(&self, at: usize, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let address = self.places[at].node.as_ref().expect("it runs").address("http");
        wait::until(what, || match http::try_ask(address, "/api/v1/status").ok().filter(|answer| answer.code == 200) {
            Some(answer) if is_so(&answer.json()) => Ok(answer.json()),
            other => Err(format!("{other:?}: {}", self.said(at))),
        })
    }

    /// kill -9.
    pub fn kill(&mut self, at: usize) {
        self.places[at].node.take().expect("it runs").kill();
    }

    /// A node that has ended by itself.
    pub fn gone(&mut self, at: usize) {
        let ended = self.places[at].node.take().expect("it ran").ended();
        assert!(ended.is_some(), "{} runs", self.places[at].name);
    }

    /// A running node.
    pub fn node(&mut self, at: usize) -> &mut Node {
        self.places[at].node.as_mut().expect("it runs")
    }

    /// Empties the directory of a node that does not run, as a new disk is.
    pub fn wipe(&self, at: usize) {
        assert!(self.places[at].node.is_none(), "{} runs", self.places[at].name);
        std::fs::remove_dir_all(&self.places[at].data).expect("a directory of a node that is gone");
    }

    /// Names of what a node keeps in quarantine.
    pub fn quarantined(&self, at: usize) -> Vec<String> {
        let kept = std::fs::read_dir(self.places[at].data.join("quarantine")).expect("a directory of a node");
        kept.map(|entry| entry.expect("as before").file_name().to_string_lossy().into_owned()).collect()
    }

    /// Turns bytes over in each page of the middle third of what stands in the first segment of each lane of a node, as a bad disk
    /// would.
    pub fn rot(&self, at: usize) {
        let lanes =
            std::fs::read_dir(&self.places[at].data).expect("the directory of a node").map(|entry| entry.expect("as before").path());
        let lanes = lanes.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lane-")));
        let harmed: usize = lanes.map(|lane| rot(&lane.join("000000.seg"))).sum();
        assert!(harmed > 0, "nothing of {} could be harmed", self.places[at].name);
    }

    /// What it has written to standard error since it was started last.
    pub fn said(&self, at: usize) -> String {
        let place = &self.places[at];
        let said = std::fs::read(log_beside(&place.data)).expect("a node that was started has its file");
        String::from_utf8_lossy(&said[place.said_before..]).into_owned()
    }

    /// How it stands.
    pub fn stand(&self, at: usize) -> Stand {
        if self.places[at].node.is_none() {
            return Stand::Gone;
        }
        let mut stand = Stand::Follows;
        for line in self.said(at).lines() {
            stand = match (line.split_once(" leading epoch="), stand) {
                (Some((_, epoch)), _) => Stand::Leads(epoch.trim().parse().expect("an epoch"), false),
                (None, Stand::Leads(epoch, _)) if line.contains(" in sync: ") => Stand::Leads(epoch, true),
                (None, Stand::Leads(epoch, _)) if line.contains(" alone: ") || line.contains(" waiting: ") => Stand::Leads(epoch, false),
                (None, _) if line.contains(" starting over") => Stand::Follows,
                (None, stand) => stand,
            };
        }
        stand
    }

    /// Waits until the node stands so; its epoch, 0 where it does not lead.
    pub fn await_stand(&self, what: &str, at: usize, is_wanted: impl Fn(Stand) -> bool) -> u32 {
        wait::until(what, || match self.stand(at) {
            stand if is_wanted(stand) => Ok(if let Stand::Leads(epoch, _) = stand { epoch } else { 0 }),
            stand => Err(format!("{stand:?}\na: {}\nb: {}", self.said(0), self.said(1))),
        })
    }

    /// Waits until one leads with the other in sync; who, and in which epoch.
    pub fn in_sync(&self) -> (usize, u32) {
        wait::until("one leads and the other is in sync", || match [self.stand(0), self.stand(1)] {
            [Stand::Leads(epoch, true), Stand::Follows] => Ok((0, epoch)),
            [Stand::Follows, Stand::Leads(epoch, true)] => Ok((1, epoch)),
            other => Err(format!("{other:?}\na: {}\nb: {}", self.said(0), self.said(1))),
        })
    }

    /// Begins to write, once it is in sync; who leads in which epoch, and the load, of which some is committed already.
    pub fn under_load(&mut self) -> ((usize, u32), Running) {
        let before = self.in_sync();
        let load = self.load();
        self.more_at(before.0);
        (before, load)
    }

    /// Begins to write with acks = all to whoever leads.
    pub fn load(&self) -> Running {
        let target = format!("{},{}", self.places[0].kafka, self.places[1].kafka);
        let ledger = self.folder.path().join("run.json");
        let arguments = ["kafka", "--target", &target, "--rate", "2k", "--size", "120", "--sources", "2", "--acks", "all"];
        let more = ["--request-timeout", "500ms", "--duration", "120s"];
        let mut generator = loadgen::begin_unasked(&[&arguments[..], &more].concat(), &ledger);
        generator.under_way();
        generator
    }

    /// Waits until the node has committed so many more records than now.
    pub fn more_at(&mut self, at: usize) {
        let known = self.node(at).status().records("events");
        wait::until_true("more is committed", || {
            let records = self.node(at).status().records("events");
            (records >= known + ENOUGH, format!("{records}, and {known} at first"))
        });
    }

    /// Ends the load and both nodes, and judges what is left.
    pub fn judge(mut self, load: Running) {
        let (leader, _) = self.in_sync();
        self.more_at(leader);
        let path = self.end(load);
        let found = loadgen::accounted(self.node(leader), "events", &path);
        check(&found);
        let (held, wanted) = (self.stop(), number(&found["acknowledged"]));
        assert!(held >= wanted, "{held} records are held, {wanted} were acknowledged");
    }

    /// Ends the load; where it wrote down what was acknowledged.
    pub fn end(&mut self, load: Running) -> PathBuf {
        let path = load.ledger.clone();
        let ledger = load.interrupted();
        assert_eq!(ledger["answers"]["fatal"], serde_json::json!({}), "{ledger}");
        path
    }

    /// What a consumer of that node finds of what was acknowledged.
    pub fn account(&mut self, at: usize, ledger: &Path) {
        let found = loadgen::accounted(self.node(at), "events", ledger);
        check(&found);
    }

    /// Ends both nodes in good order and compares what they hold; how many records.
    pub fn stop(&mut self) -> u64 {
        let (leader, _) = self.in_sync();
        // Who follows goes first: a leader that is told to stop would hand over.
        for at in [1 - leader, leader] {
            self.places[at].node.take().expect("it runs").stop();
        }
        self.compare()
    }

    /// Both directories are clean and hold the same records; how many.
    fn compare(&self) -> u64 {
        let [a, b] = [0, 1].map(|at| self.records(at));
        assert!(a == b, "the nodes hold different records: {} and {} bytes of them", a.len(), b.len());
        a.iter().filter(|byte| **byte == b'\n').count() as u64
    }

    /// Every record of a clean directory, a line each.
    fn records(&self, at: usize) -> Vec<u8> {
        let data = text_of(&self.places[at].data);
        program::check_end(&program::call(["verify", &data]), 0, &[]);
        let output = program::call(["cat", &data, "--stream", "events", "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "cat: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

fn places(folder: &TempDir) -> [Place; 2] {
    ["a", "b"].map(|name| Place {
        name,
        data: folder.path().join(name),
        kafka: lasting_address(),
        pair: lasting_address(),
        node: None,
        said_before: 0,
    })
}

/// What makes a node one of a pair: its name, its witness or else its operator, where it listens and where its peer does.
pub fn settings(name: &str, witness: Option<SocketAddr>, (listen, peer): (SocketAddr, SocketAddr)) -> Vec<String> {
    let arbiter = match witness {
        Some(address) => ["arbiter.kind=witness".to_owned(), format!("arbiter.address={address}")],
        None => ["arbiter.kind=manual", "pair.min_in_sync=2"].map(str::to_owned),
    };
    let own = [
        format!("node.name={name}"),
        format!("pair.listen={listen}"),
        format!("pair.peer={peer}"),
        "pair.heartbeat=20ms".to_owned(),
        "pair.heartbeat_misses=10".to_owned(),
    ];
    own.into_iter().chain(arbiter).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// Harms the file's middle third; how many pages.
fn rot(segment: &Path) -> usize {
    const PAGE_BYTES: usize = 4096;
    let bytes = std::fs::read(segment).expect("a lane has a first segment");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("something stands there");
    let file = OpenOptions::new().write(true).open(segment).expect("as before");
    let pages: Vec<usize> = (end / 3 / PAGE_BYTES..2 * end / 3 / PAGE_BYTES).collect();
    for page in &pages {
        // Behind a batch header, or among the fields of a head page.
        let at = page * PAGE_BYTES + 100;
        let turned: Vec<u8> = bytes[at..at + 8].iter().map(|byte| !byte).collect();
        file.write_all_at(&turned, at as u64).expect("a byte is written");
    }
    // The nodes read the disk and not what the system holds of it.
    file.sync_all().expect("as before");
    pages.len()
}

/// What was acknowledged is stored, each record once, and the rest is named.
#[track_caller]
fn check(found: &Value) {
    assert!(number(&found["acknowledged"]) >= ENOUGH, "{found}");
    let wrong = ["acknowledged_missing", "duplicated", "corrupted", "unclaimed", "reordered"].map(|name| number(&found[name]));
    assert_eq!(wrong, [0; 5], "{found}");
}
