//! How far a source of records came in one go.

/// Why it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Everything that was received is framed.
    Done,
    /// The open block is full: seal it and go on.
    BlockFull,
    /// No slot is free: the rest waits, and nothing more is received in its place.
    RingFull,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// Receives that were taken whole.
    pub finished: usize,
    /// Why it stopped.
    pub until: Until,
}
