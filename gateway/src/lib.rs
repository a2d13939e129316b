//! The gateway: how the committed log is read (Kafka's wire protocol) and how the appliance is
//! watched (HTTP).
//!
//! Both run on one unpinned, current-thread tokio runtime, beside the pinned loops and never in
//! their way. The gateway knows the log only through [`store::Store`] and the rest of the appliance
//! only through [`http::Observed`]; it owns no position, makes no decision about durability, and
//! what a client does here cannot hold a ring slot or a segment.
//!
//! ```text
//!   kafka listener ─► kafka::listener ─► connection ─► dispatch ─► answer ─► Store
//!    http listener ─► http::listener  ─► axum ─► questions ─► Observed
//! ```
//!
//! It refuses: transactions, fetch sessions, and every length that it has not compared with the bytes
//! that are there.

#![forbid(unsafe_code)]

pub mod cluster;
pub mod counters;
pub mod groups;
pub mod http;
pub mod kafka;
pub mod lanes;
pub mod limits;
#[cfg(test)]
mod memory;
mod serve;
pub mod store;

pub use limits::Limits;
pub use serve::{Advertised, GatewayParts, Identity, ServeError, Shutdown, serve};
