//! The edges of the pair: files, sockets, clocks and threads. What is decided, the pure modules decide.
//!
//! ```text
//! file        an arbiter's file: opened and mended, its effects carried out
//! server      a witness: one thread, one poll loop, several nodes
//! arbiter     a node's arbiter: one thread that asks a witness over TCP, or keeps the register in its own directory
//! ```

pub mod arbiter;
pub mod file;
pub mod server;
