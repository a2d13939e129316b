//! `headworks pair`: how a pair stands, and the operator's word in it, over a node's HTTP.
//!
//! ```text
//! switchover   POST ─► 202 ─► this node goes (it starts over) ─► it is back, and the register names the other one
//! ```
//!
//! What the node refuses is printed and ends with 1; nothing is tried twice.

use crate::args::{OrderArgs, Output, PairCommand, StatusArgs};
use crate::client;
use crate::node::{Failure, token};
use crate::status::{array, word};
use crate::stdout::say;
use headworks_io::fatal::Reason;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

/// How long a switchover may take until this node follows.
const SWITCHOVER_MAX: Duration = Duration::from_secs(15);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Carries a command out; whether it is as wanted.
///
/// # Errors
/// No node answers, or there is no token.
pub fn run(command: &PairCommand) -> Result<bool, Failure> {
    match command {
        PairCommand::Status(args) => status(args),
        PairCommand::Switchover(args) => switchover(args),
        PairCommand::Promote(args) => order(&args.order, "promote", &json!({"fenced": args.confirm_fenced})),
        PairCommand::Rejoin(args) => order(args, "rejoin", &Value::Null),
    }
}

fn status(args: &StatusArgs) -> Result<bool, Failure> {
    let status = client::get(args.http, "/api/v1/status")?;
    match args.output {
        Output::Json => say!("{}", json!({"role": status["role"], "pair": status["pair"], "peers": status["peers"]})),
        Output::Text if status["pair"].is_null() => say!("node {} is a single node", word(&status["node"])),
        Output::Text => {
            say!("node {}  role {}  epoch {}  ready {}", word(&status["node"]), word(&status["role"]), status["epoch"], status["ready"]);
            print(&status);
            array(&status, "warnings").iter().for_each(|warning| say!("  warning: {}", word(warning)));
        }
    }
    let is_whole = array(&status, "peers").iter().any(|peer| peer["in_sync"] == true && peer["connected"] == true);
    Ok(status["ready"] == true && is_whole)
}

/// The lines of a pair; none for a single node.
pub fn print(status: &Value) {
    let pair = &status["pair"];
    if pair.is_null() {
        return;
    }
    let register = &pair["register"];
    if register.is_null() {
        say!("  register  not seen yet");
    } else {
        let in_sync: Vec<String> = array(register, "in_sync").iter().map(word).collect();
        say!(
            "  register  version {}  epoch {}  primary {}  in sync {}  mode {}",
            register["version"],
            register["epoch"],
            word(&register["primary"]),
            in_sync.join(", "),
            word(&register["mode"])
        );
    }
    let arbiter = &pair["arbiter"];
    let answers = if arbiter["reachable"] == true { "answers" } else { "does not answer" };
    let frozen = arbiter["frozen"].as_str().map_or_else(String::new, |why| format!("  FROZEN: {why}"));
    say!("  arbiter  {} {answers}{frozen}", word(&arbiter["kind"]));
    for peer in array(status, "peers") {
        say!(
            "  peer {}  kafka {}  {}  {}  behind {} bytes, {:.3} s",
            word(&peer["name"]),
            word(&peer["address"]),
            if peer["connected"] == true { "connected" } else { "not connected" },
            if peer["in_sync"] == true { "in sync" } else { "not in sync" },
            peer["lag_bytes"],
            peer["lag_seconds"].as_f64().unwrap_or(0.0)
        );
    }
    let silence = |key: &str| pair["silence"][key].as_f64().unwrap_or(0.0) * 1e3;
    say!(
        "  level {}  solo records {}  uncommitted {} bytes  longest silence {:.1} of {:.0} ms  links rejected {}",
        pair["level"].as_str().unwrap_or("-"),
        pair["solo_records"],
        pair["uncommitted_bytes"],
        silence("max_seconds"),
        silence("limit_seconds"),
        pair["links_rejected"]
    );
}

/// Gives an order and prints what the node says to it; whether it was accepted.
fn order(args: &OrderArgs, act: &str, body: &Value) -> Result<bool, Failure> {
    let file = args.token_file.clone().unwrap_or_else(|| args.data.join(token::FILE_NAME));
    let token = token::read(&file).map_err(|error| {
        let text =
            format!("no token in {}: {error}; name the node's data directory with --data, or the file with --token-file", file.display());
        Failure::new(Reason::Config, text)
    })?;
    let (code, answer) = client::post(args.http, &format!("/api/v1/pair/{act}"), &token, &body.to_string())?;
    let accepted = answer["accepted"] == true;
    say!(
        "{}{}",
        if accepted { "" } else { "refused: " },
        answer["says"].as_str().map_or_else(|| format!("code {code}"), ToOwned::to_owned)
    );
    Ok(accepted)
}

fn switchover(args: &OrderArgs) -> Result<bool, Failure> {
    let before = client::get(args.http, "/api/v1/status")?;
    let led = before["pair"]["register"].clone();
    let since = Instant::now();
    if !order(args, "switchover", &Value::Null)? {
        return Ok(false);
    }
    while since.elapsed() < SWITCHOVER_MAX {
        // A node that was deposed keeps nothing: it goes, and comes back as a standby. In between nothing answers.
        let now = client::try_get(args.http, "/api/v1/status").unwrap_or(Value::Null);
        let register = &now["pair"]["register"];
        if register["primary"].is_string() && register["primary"] != led["primary"] {
            say!(
                "{} leads in epoch {} (before: {} in epoch {}); this node said so {} ms after the order",
                word(&register["primary"]),
                register["epoch"],
                word(&led["primary"]),
                led["epoch"],
                since.elapsed().as_millis()
            );
            return Ok(true);
        }
        if now["role"] == "primary" && register["epoch"].as_u64() > led["epoch"].as_u64() {
            say!("taken back: the other node did not take over in time, and this node leads in epoch {}", register["epoch"]);
            return Ok(false);
        }
        thread::park_timeout(LOOK);
    }
    say!("not seen within {} s that the other node leads; `headworks pair status` at both nodes says who does", SWITCHOVER_MAX.as_secs());
    Ok(false)
}
