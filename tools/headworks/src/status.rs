//! `headworks status`: what a running node says of itself, over HTTP.

use crate::args::Output;
use crate::node::Failure;
use headworks_io::fatal::Reason;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const ANSWER_BYTES_MAX: u64 = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints the node's status; whether it is ready.
///
/// # Errors
/// No node answers there.
pub fn run(address: SocketAddr, output: Output) -> Result<bool, Failure> {
    let status = ask(address, "/api/v1/status")?;
    let ledger = ask(address, "/api/v1/ledger")?;
    let ready = status["ready"].as_bool().unwrap_or(false);
    match output {
        Output::Json => println!("{}", serde_json::json!({"status": status, "ledger": ledger})),
        Output::Text => print_text(&status, &ledger),
    }
    Ok(ready)
}

fn ask(address: SocketAddr, path: &str) -> Result<Value, Failure> {
    let none = |error: std::io::Error| {
        Failure::new(
            Reason::Config,
            format!(
                "no node answers at http://{address}{path}: {error}; name its address with --http (the ready line and `[http] \
                    address` say it)"
            ),
        )
    };
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(none)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(none)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").map_err(none)?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).map_err(none)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body)
        .map_err(|error| Failure::new(Reason::Config, format!("what answers at {address} is no headworks node: {error}")))
}

fn print_text(status: &Value, ledger: &Value) {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    println!(
        "node {}  role {}  epoch {}  ready {}  up {} s  version {}",
        word(&status["node"]),
        word(&status["role"]),
        status["epoch"],
        status["ready"],
        status["uptime_seconds"],
        word(&status["version"])
    );
    for listener in array(status, "listeners") {
        println!("  {:<8} {:<6} {}", word(&listener["name"]), word(&listener["kind"]), word(&listener["address"]));
    }
    for lane in array(status, "lanes") {
        println!(
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
            println!(
                "  {}/{}  offsets {} to {}",
                word(&stream["name"]),
                partition["partition"],
                partition["log_start"],
                partition["high_watermark"]
            );
        }
    }
    for listener in array(ledger, "listeners") {
        println!(
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
        println!(
            "  lane {}  records admitted {}  durable {}  in flight {}",
            lane["lane"], lane["admitted"], lane["durable"], lane["in_flight"]
        );
    }
    println!("  imbalance {}", ledger["imbalance"]);
    array(status, "warnings").iter().for_each(|warning| println!("  warning: {}", word(warning)));
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn total(counts: &Value) -> u64 {
    counts.as_object().map_or(0, |counts| counts.values().filter_map(Value::as_u64).sum())
}
