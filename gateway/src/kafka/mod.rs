//! Kafka's wire protocol, reading side.
//!
//! ```text
//!   listener    takes connections, keeps their number bounded
//!   connection  frame in, answer out, strictly in order; stalls and silence have deadlines
//!   frame       four bytes of length, then the request; an answer as a list of parts
//!   dispatch    key and version -> request -> answer
//!   request/    our own bounded reader: the only code that looks at bytes from the network
//!   answer/     one file a request; the batches of a fetch are never copied
//!   forward     topics that a node which stands by has the leader make
//!   budget      how many bytes all connections together may hold
//! ```
//!
//! A connection's requests are answered one after another, which is what the protocol promises its
//! clients; a waiting fetch holds up only its own connection. What a connection holds while idle is
//! a socket and a task, no buffer.

mod answer;
pub mod batch;
mod broker;
mod budget;
mod connection;
mod dispatch;
mod errors;
mod forward;
mod frame;
mod listener;
pub mod request;
pub mod versions;

#[cfg(test)]
mod tests;

pub use broker::Broker;
pub use errors::ErrorCode;
pub use listener::listen;
