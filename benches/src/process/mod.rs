//! The appliance and its generator as processes: built, started, asked, ended. Whatever happens, none outlives its value.

mod binaries;
mod generator;
pub mod guard;
mod http;
pub mod kafka;
mod node;
mod pair;
pub mod threads;

pub use binaries::Binaries;
pub use generator::{Acknowledged, Generator, Load, Sent, TcpLoad, missing};
pub use node::{Books, Node};
pub use pair::Pair;
