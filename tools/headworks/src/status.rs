//! `headworks status`: what a running node says of itself, over HTTP.

use crate::args::Output;
use crate::node::Failure;
use crate::stdout::say;
use crate::{client, pair};
use serde_json::Value;
use std::net::SocketAddr;

/// Prints the node's status; whether it is ready.
///
/// # Errors
/// No node answers there.
pub fn run(address: SocketAddr, output: Output) -> Result<bool, Failure> {
    let status = client::get(address, "/api/v1/status")?;
    let ledger = client::get(address, "/api/v1/ledger")?;
    let ready = status["ready"].as_bool().unwrap_or(false);
    match output {
        Output::Json => say!("{}", serde_json::json!({"status": status, "ledger": ledger})),
        Output::Text => print_text(&status, &ledger),
    }
    Ok(ready)
}

fn print_text(status: &Value, ledger: &Value) {
    say!(
        "node {}  role {}  epoch {}  ready {}  up {} s  version {}",
        word(&status["node"]),
        word(&status["role"]),
        status["epoch"],
        status["ready"],
        status["uptime_seconds"],
        word(&status["version"])
    );
    pair::print(status);
    for listener in array(status, "listeners") {
        say!("  {:<8} {:<6} {}", word(&listener["name"]), word(&listener["kind"]), word(&listener["address"]));
    }
    for lane in array(status, "lanes") {
        say!(
            "  lane {}  submitted {}  written {}  durable {}  committed {}  ring {:.0} %",
            lane["lane"],
            lane["submitted"],
            lane["written"],
            lane["durable"],
            lane["committed"],
            lane["ring_occupancy"].as_f64().unwrap_or(0.0) * 100.0
        );
    }
    for stream in array(status, "streams") {
        for partition in array(stream, "partitions") {
            say!(
                "  {}/{}  offsets {} to {}",
                word(&stream["name"]),
                partition["partition"],
                partition["log_start"],
                partition["high_watermark"]
            );
        }
    }
    for listener in array(ledger, "listeners") {
        say!(
            "  {:<8} lane {}  arrived {}  dropped {}  received {}  admitted {}  shed {}  pending {}{}",
            word(&listener["name"]),
            listener["lane"],
            listener["arrived"],
            total(&listener["dropped"]),
            listener["received"],
            listener["admitted"],
            total(&listener["shed"]),
            listener["pending"],
            if listener["exact"] == true { "" } else { "  (arrivals not exact)" },
        );
    }
    for lane in array(ledger, "lanes") {
        say!(
            "  lane {}  records admitted {}  durable {}  in flight {}",
            lane["lane"],
            lane["admitted"],
            lane["durable"],
            lane["in_flight"]
        );
    }
    say!("  imbalance {}", ledger["imbalance"]);
    let (quarantine, holes) = (&status["quarantine"], &status["holes"]);
    say!(
        "  quarantine {} files  {} bytes  holes {} pending  {} lost",
        quarantine["files"],
        quarantine["bytes"],
        holes["pending"],
        holes["lost"]
    );
    array(status, "warnings").iter().for_each(|warning| say!("  warning: {}", word(warning)));
}

/// Text as it is, anything else as JSON.
pub fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// A list of an object; empty where there is none.
pub fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn total(counts: &Value) -> u64 {
    counts.as_object().map_or(0, |counts| counts.values().filter_map(Value::as_u64).sum())
}
