//! The appliance's job, done by the real binary: packets in, the same bytes out, through every stop and start.

mod cat;
mod clients;
mod consume;
mod delivery;
mod gates;
mod groups;
#[path = "../harness/mod.rs"]
mod harness;
mod loads;
mod observe;
mod produce;
mod retention;
mod stop;
mod tcp;
mod tcp_ends;

use harness::node::Node;
use harness::program;
use std::path::Path;

/// Settings that `--set` cannot express: a second UDP listener, on IPv6.
const TWO_LISTENERS: &str = "\
[[stream]]
name = \"events\"
[[listener]]
name = \"udp\"
kind = \"udp\"
address = \"127.0.0.1:0\"
stream = \"events\"
[[listener]]
name = \"six\"
kind = \"udp\"
address = \"[::1]:0\"
stream = \"events\"
[[listener]]
name = \"tcp\"
kind = \"tcp\"
address = \"127.0.0.1:0\"
stream = \"events\"
";

/// A node with listeners `udp` on IPv4 and `six` on IPv6, both filling `events`.
fn start_with_two_listeners(folder: &Path, settings: &[&str]) -> Node {
    let file = folder.join("headworks.toml");
    std::fs::write(&file, TWO_LISTENERS).expect("a temporary folder takes a file");
    let data = folder.join("data");
    let mut command = program::command(program::run_arguments(&data, settings));
    command.arg("--config").arg(file);
    Node::start_by(command, &data)
}

/// The values of all records of a partition.
fn values(node: &Node, partition: i32) -> Vec<Vec<u8>> {
    let records = node.kafka().read_all("events", partition);
    records.into_iter().map(|record| record.value.map(|value| value.to_vec()).unwrap_or_default()).collect()
}

/// `verify` of the directory must find it clean.
fn assert_clean(data: &Path) {
    let output = program::call(["verify", &program::text_of(data)]);
    program::check_end(&output, 0, &["clean"]);
}
