//! Real witnesses, killed, frozen, rolled back and lied to: what a node may believe of its arbiter.
//!
//! ```text
//! kills     kill -9 in the middle of swaps of two clients: versions dense, one winner each, no answer forgotten
//! frozen    SIGSTOP: a swap is unknown, and lands later or never
//! damage    torn, rotten, wiped, rolled back: mended, refused, or visible to who asks
//! clients   garbage, other pairs, other places, many connections
//! manual    the register in a node's own directory
//! storage   a full disk, a first start that is killed
//! ```

mod clients;
mod damage;
mod frozen;
#[path = "../harness/mod.rs"]
mod harness;
mod kills;
mod manual;
mod storage;

use harness::node::{Node, log_beside};
use harness::program::{command, text_of};
use harness::wait;
use headworks_format::{Epoch, PairId};
use headworks_io::Wake;
use headworks_replicator::link::arbiter::{Arbiter, ArbiterHandle, Order, WitnessSettings};
use headworks_replicator::register::{Member, Mode, Register, Swap};
use headworks_replicator::witness::{Answered, Ask, Outcome};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

/// A witness's command on this directory.
fn witness_command(data: &Path, listen: &str) -> Command {
    command(["witness", "--data", &text_of(data), "--listen", listen])
}

/// A running witness; the harness knows it by its ready line like any node.
fn start(data: &Path) -> Node {
    start_on(data, "127.0.0.1:0")
}

/// The same where its clients know it.
fn start_on(data: &Path, listen: &str) -> Node {
    Node::start_by(witness_command(data, listen), data)
}

/// One that is to end before it is ready.
fn refused(data: &Path) -> Output {
    let _absent = std::fs::remove_file(log_beside(data)).is_err();
    match Node::try_start(witness_command(data, "127.0.0.1:0"), data) {
        Ok(node) => panic!("a witness that was to be refused is ready: {}", node.ready),
        Err((status, text)) => Output { status, stdout: Vec::new(), stderr: text.into_bytes() },
    }
}

/// A register that this client swaps in: its epoch tells one swap from another.
fn register(client: u128, epoch: u32) -> Register {
    Register {
        version: 1,
        pair: PairId(7),
        lanes: 2,
        segment_bytes: 1 << 28,
        epoch: Epoch(epoch),
        primary: Member { node: client, incarnation: 10 },
        standby: None,
        mode: Mode::Auto,
    }
}

/// A node's side: one order after the other.
struct Client {
    handle: ArbiterHandle,
    token: u64,
    /// The witness that it pinned.
    arbiter: u128,
}

impl Client {
    fn of(settings: WitnessSettings) -> Client {
        let handle = ArbiterHandle::witness(settings, Wake::new().expect("a wake")).expect("a thread");
        Client { handle, token: 0, arbiter: 0 }
    }

    fn to(address: SocketAddr) -> Client {
        Client::of(WitnessSettings::at(address))
    }

    /// Orders something and waits for its end.
    fn ask(&mut self, ask: Ask) -> Answered {
        self.order(ask);
        self.answered()
    }

    fn order(&mut self, ask: Ask) {
        self.token += 1;
        self.handle.order(Order { token: self.token, arbiter: self.arbiter, ask });
    }

    fn answered(&mut self) -> Answered {
        let answered = wait::until("every order ends", || self.handle.next().ok_or_else(|| "nothing came".to_owned()));
        if answered.arbiter != 0 && self.arbiter == 0 {
            self.arbiter = answered.arbiter;
        }
        answered
    }

    fn get(&mut self) -> Outcome {
        self.ask(Ask::Get).outcome
    }

    fn swap(&mut self, swap: Swap) -> Outcome {
        self.ask(Ask::Swap(swap)).outcome
    }

    /// What the register is; asks until somebody answers.
    fn read(&mut self) -> Option<Register> {
        wait::until("the witness answers", || match self.get() {
            Outcome::Read(register) => Ok(register),
            other => Err(format!("{other:?}")),
        })
    }

    /// Swaps in the next register of this client, from what is there.
    fn advance(&mut self, client: u128, epoch: u32) -> Register {
        let swap = Swap::from(self.read().as_ref(), register(client, epoch));
        assert_eq!(self.swap(swap), Outcome::Swapped, "nobody else swaps");
        swap.register
    }
}
