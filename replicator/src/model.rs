//! The model: two of the real machines, an arbiter, disks and a network, run through every order of events within a bound.
//!
//! ```text
//! network    every message that was ever sent may arrive now: late, twice, out of order, or never
//! arbiter    a swap is served, answered or not; what was not answered may still land, whoever sent it and whatever became of him
//! disk       a crash keeps what was synced, and all or nothing of what was not; a promise that was not written is gone;
//!            one disk is lost whole, and is another member after that
//! operator   says that a node is fenced, rightly or not, and waits for what becomes of that; what he never does: promote a node while the
//!            other has gone on without it
//! time       every timeout may fire at any moment: the machines are set to wait for nothing
//! ```
//!
//! What must hold after every step, whoever did it:
//!
//! * what was committed once is at its place in every log that is led or committed later, and never another block (where an operator is
//!   the arbiter: in every log but that of a leader who waits for the other node, until that one has answered);
//! * one node at most commits in an epoch;
//! * nobody cuts what he knows to be committed, or halts for a contradiction: no disk and no arbiter lies here;
//! * who answered in an epoch never answers in a lower one, not even after a crash.
//!
//! A log has one lane, and a block is one byte: its epoch and its record. A chain is the bytes before it, so that equal
//! chains are equal logs. States are told apart by 64 bits of hash: among a million, two fall together with a chance of one
//! in thirty million.
//!
//! The bound: three records, three epochs, two crashes and one lost disk, and all orders of 8 to 11 steps from each scene;
//! more steps by `cargo xtask model`. What makes it small: a read of the register is answered at once (what it says is used later,
//! by a swap that may come too late), a sender's newest Hello and acknowledgement take the place of older ones, a standby is not
//! told what is committed.
//!
//! `search` visits every state within a bound; `walk` goes far beyond it at random.

mod network;
mod node;
mod scenes;
mod search;
mod walk;
mod world;
