//! The edges of the pair: files, sockets, clocks and threads. What is decided, the pure modules decide.
//!
//! ```text
//! file        an arbiter's file: opened and mended, its effects carried out
//! server      a witness: one thread, one poll loop, several nodes
//! pair        a node's pair: one thread, one poll loop over everything; begin here
//!   lane        a lane of it: its connection, what it ships or receives, its log
//!   connection, dialling, shipping, receiving
//!   compare     its log and the other node's, before it follows
//!   words       what the machine says and hears, as messages
//!   lending     one block to the other node, which cannot read its own any more
//!   pace        how long the peer is behind
//!   host        what it asks of the node around it
//! borrowing   such a block from the other node
//!   inquiry     what the other node's register says, where each keeps one
//! founding    the first meeting of two nodes of which none has a register
//! arbiter     a node's arbiter: one thread that asks a witness over TCP, or keeps the register in its own directory
//! ```

pub mod arbiter;
pub mod borrowing;
pub mod compare;
mod connection;
mod dialling;
pub mod file;
pub mod founding;
pub mod host;
mod inquiry;
mod lane;
mod lending;
mod pace;
pub mod pair;
mod receiving;
pub mod server;
mod shipping;
pub mod words;
