//! A thousand Kafka clients that do nothing: what each costs the node in memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::bench::Bench;
use crate::figures::{Bar, Row, Spread, number};
use crate::process::Node;

const NAME: &str = "connections";
const CONNECTIONS: usize = 1000;
const BAR_KIB: f64 = 64.0;
/// ApiVersions 0 without a client id: length, key, version, correlation, null.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// Resident bytes of a node with the connections open, each of which has asked once, against those before.
///
/// # Errors
/// The node, or a connection to it.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let mut costs = Vec::new();
    for _ in 0..bench.scale.runs {
        let scratch = bench.scratch("connections-")?;
        let node = Node::start(bench, &scratch.path().join("data"), &bench.placements()[0], bench.scale.retention_bytes, &[])?;
        // One comes and goes first: what is made once is not a connection's.
        drop(connect(&node)?);
        let before = node.resident_bytes()?;
        let open: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(&node)).collect::<Result<_, _>>()?;
        let after = node.resident_bytes()?;
        costs.push(number(after.saturating_sub(before)) / number(CONNECTIONS as u64) / 1024.0);
        drop(open);
        node.stop()?;
    }
    let row = Row::of(NAME, format!("resident for each of {CONNECTIONS} idle Kafka connections"), "KiB", Spread::of(&costs));
    Ok(vec![row.held_to(Bar::AtMost(BAR_KIB))])
}

/// A connection that has been served once.
fn connect(node: &Node) -> Result<TcpStream, String> {
    let text = |error: std::io::Error| format!("kafka {}: {error}", node.kafka);
    let mut stream = TcpStream::connect(node.kafka).map_err(text)?;
    stream.write_all(&API_VERSIONS).map_err(text)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).map_err(text)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).map_err(text)?;
    Ok(stream)
}
