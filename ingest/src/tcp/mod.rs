//! TCP: connections in, records out, acknowledgements back.
//!
//! ```text
//! receive ─► framing ──► whole record ──────────────► intake        edge: sockets, places, ends
//!               └► piece ─► assembly ─► its last piece ─┘           the rest: pure
//! ring released ─► acks ─► cumulative count ─► peer
//! ```
//!
//! A full ring stops the recycling of receive buffers and with it the receiving, which TCP tells the sender: nothing is
//! dropped. What a peer does wrong costs that peer its connection and nobody else anything: its bytes are bounded before
//! they are kept, a record of its that lies half here holds pages of a pool that is not given to the slowest, and what it
//! does not read is one send of a few bytes.

pub mod acks;
pub mod assembly;
pub mod edge;
pub mod end;
pub mod framing;
