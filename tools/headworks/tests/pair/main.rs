//! A real pair on loopback, a witness beside it or nobody, and what befalls its nodes while records are written with acks = all.
//!
//! ```text
//! rig       witness and two nodes, and how they stand, by what they say of themselves
//! losses    kill -9 of either, a node that stands still, a node that comes back with nothing
//! harm      a bad disk under one of them
//! operated  a pair as an operator has it: looked at over HTTP and ordered by `headworks pair`
//! operation what is seen, what is ordered, what is refused
//! drills    `headworks drill` in network namespaces, a few runs of some scenarios, and how it ends
//! by_hand   the same losses where an operator is the arbiter: nobody goes on without the other but by a word
//! ```
//! After every loss: nothing acknowledged is missing, nothing is there twice, both nodes hold the same records, and both directories are clean.

mod by_hand;
mod disk;
mod drills;
mod harm;
#[path = "../harness/mod.rs"]
mod harness;
mod losses;
mod operated;
mod operation;
mod rig;
