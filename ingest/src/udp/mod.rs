//! UDP: sockets, their arrival filters, and the trains that wait to be framed.

mod listener;
mod sockets;

pub use listener::{Listen, Listener};
pub(crate) use sockets::key_of;
pub use sockets::{COMPLETIONS, RECEIVE_BYTES, Sockets};
