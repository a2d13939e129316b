//! Packets in: received, admitted, framed where they will be written from, sealed into blocks.
//!
//! ```text
//! udp (edge) ─► admit ──────────► intake ─► frame      in place, in a ring slot
//! tcp (edge) ─► framing ─► assembly ┘ │ └───► seal       when the block is full, old, or the disk is idle
//! batches ────────────────────────────┘
//! turn (edge): one pinned loop steps all of them
//! ```
//!
//! Everything but the edges is pure: no I/O, no clock. The one copy of a payload on its way in is [`frame`]'s.
#![forbid(unsafe_code)]

pub mod admit;
pub mod batches;
pub mod frame;
pub mod intake;
pub mod offer;
pub mod seal;
pub mod settle;
pub mod tcp;
pub mod turn;
pub mod udp;

#[cfg(test)]
mod tests;
