//! When the open block is sealed: full; or old while the disk can take a write; or large enough while none is under way; or
//! waited for by a client once all before it is durable.
//!
//! While `depth` writes are under way a block keeps filling: it could not be written sooner, and larger blocks cost less.
//! The same holds for a block that a client waits for while an fdatasync is under way: that one does not cover it, and the
//! next begins only when it has ended. Until then it gathers what others send, and all of it shares one write and one sync.

/// What is ready to go at once when the log is idle.
pub const READY_BYTES: usize = 256 << 10;

/// What the decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Payload bytes of the open block; 0: none.
    pub payload_bytes: usize,
    /// Nanoseconds since its first packet.
    pub age_ns: u64,
    /// Blocks handed over and not yet written.
    pub writing: u64,
    /// Blocks handed over and not yet durable.
    pub undurable: u64,
    /// Whether a client waits for an answer about something in it.
    pub awaited: bool,
    /// Most writes under way.
    pub depth: u64,
    /// How long a block may wait for more packets, in ns.
    pub linger_ns: u64,
}

/// Whether to seal now (a full block is sealed without being asked for).
#[must_use]
pub fn is_due(state: &State) -> bool {
    let old = state.age_ns >= state.linger_ns && state.writing < state.depth;
    let large = state.payload_bytes >= READY_BYTES && state.writing == 0;
    let awaited = state.awaited && state.undurable == 0;
    state.payload_bytes > 0 && (old || large || awaited)
}

/// Nanoseconds until the block's age alone can make it due; none when there is no block or a write must end first.
#[must_use]
pub fn due_in_ns(state: &State) -> Option<u64> {
    (state.payload_bytes > 0 && state.writing < state.depth).then(|| state.linger_ns.saturating_sub(state.age_ns))
}
