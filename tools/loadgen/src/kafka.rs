//! A Kafka consumer for one purpose: to read a topic once, from its start to where it ends now.
//!
//! [`wire`] is one connection, [`topic`] the reading of every partition, [`batch`] the record batches
//! themselves. Messages are encoded and decoded by the public codec; batches are taken apart here, so
//! that what the appliance wrote is judged by code that it does not share.
//!
//! The codec reserves memory from lengths in an answer. The answers come from the server the operator
//! named, within a frame of bounded size; a server that lies can make this program abort, nothing worse.

pub mod batch;
#[cfg(test)]
pub mod stub;
pub mod topic;
pub mod wire;

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The connection failed.
    #[error("{address}: {source}")]
    Connection {
        /// Which server.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server said no.
    #[error("{0}")]
    Refused(String),
    /// The answer is not what the protocol says.
    #[error("{0}")]
    Malformed(String),
}
