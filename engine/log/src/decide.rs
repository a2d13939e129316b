//! What recovery does with the bytes where a block should stand: one truth table, enumerated whole by a test.
//!
//! *At or below synced*: the block's number is below the highest `durable_through` of this node's own persist records.
//! *Beyond the window*: a valid block of our nonce stands more than W bytes further on, which a torn tail cannot explain,
//! since no more than W bytes are ever submitted and not yet durable. *Persisted*: a group commit recorded the block, so it
//! was perhaps acknowledged. *Alone*: the registered in-sync set is this node alone.
//!
//! ```text
//!  valid  synced  beyond  persisted  alone  member      verdict
//!  yes    –       –       –          –      –           accept
//!  no     yes     –       –          yes    –           hole, lost        CORRUPT: never truncated
//!  no     yes     –       –          no     –           hole, pending
//!  no     no      yes     –          yes    –           hole, lost        CORRUPT
//!  no     no      yes     –          no     –           hole, pending
//!  no     no      no      no         –      –           cut               TAIL: never acknowledged
//!  no     no      no      yes        yes    –           cut, counted      UNDECIDED, and nobody to ask
//!  no     no      no      yes        no     has it      copy
//!  no     no      no      yes        no     never had   cut, counted
//!  no     no      no      yes        no     silent      cut, counted
//! ```
//!
//! A silent member is no reason to keep the place of such a block: a hole counts as part of the log, so whoever follows would
//! acknowledge as durable what the power tore, and the primary would commit it with one copy. Cut, it is shipped again.

use headworks_format::sidecar::HoleState;

/// What a member of the registered in-sync set answered about a block, under a promised epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// It has the block.
    Has,
    /// It never had the block.
    NeverHad,
    /// It did not answer.
    Silent,
}

/// Everything the decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Evidence {
    /// Every part of the block holds.
    pub valid: bool,
    /// Its number is below what was durable.
    pub synced: bool,
    /// A valid block of our nonce stands more than W further on.
    pub beyond_window: bool,
    /// A persist record names it.
    pub persisted: bool,
    /// Nobody else is in the in-sync set.
    pub alone: bool,
    /// What the other member said; of no meaning when alone.
    pub member: Member,
}

/// What recovery does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The block is part of the log.
    Accept,
    /// The block's place, number and offsets stay; its bytes cannot be served.
    Hole(HoleState),
    /// The log ends before it: copy to quarantine, then cut. `counted`: it may have been acknowledged at `disk`.
    Cut {
        /// Whether to count what it held as acknowledged at `disk` and lost.
        counted: bool,
    },
    /// The member's copy takes its place.
    Copy,
}

/// The table.
#[must_use]
pub fn decide(evidence: &Evidence) -> Verdict {
    let hole = Verdict::Hole(if evidence.alone { HoleState::Lost } else { HoleState::Pending });
    match evidence {
        Evidence { valid: true, .. } => Verdict::Accept,
        Evidence { synced: true, .. } | Evidence { beyond_window: true, .. } => hole,
        Evidence { persisted: false, .. } => Verdict::Cut { counted: false },
        Evidence { alone: true, .. } => Verdict::Cut { counted: true },
        Evidence { member: Member::Has, .. } => Verdict::Copy,
        Evidence { member: Member::NeverHad | Member::Silent, .. } => Verdict::Cut { counted: true },
    }
}
