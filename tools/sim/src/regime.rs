//! Which faults a run has, and so what must still hold under them.
//!
//! ```text
//!  regime       what is harmed                        what is promised
//!  quiet        nothing but crashes, errors, fullness everything durable is there; a check finds no damage
//!  blocks       data blocks                           whole ones are served, harmed ones are holes, or cut and counted
//!  headers      header pages of segments              everything durable is there
//!  records      pages of persist records              everything durable is there
//!  sidecars     sidecars, lost or rotten              everything durable is there
//!  checkpoints  first blocks of segments              every data block that is whole is served
//!  mixed        anything                              nothing false is served; recovery ends and repeats itself
//! ```
//!
//! One kind of harm at a time is what the log's redundancy is made for: a header is told by the first block, a block by
//! the persist record. Mixed takes both away, so less is promised there.

use crate::random::Random;

/// The faults of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regime {
    /// Crashes, refused calls and full disks only.
    Quiet,
    /// Data blocks.
    Blocks,
    /// Header pages.
    Headers,
    /// Record pages.
    Records,
    /// Sidecars.
    Sidecars,
    /// First blocks.
    Checkpoints,
    /// Anything.
    Mixed,
}

impl Regime {
    /// All of them, with their names.
    pub const ALL: [(Regime, &'static str); 7] = [
        (Regime::Quiet, "quiet"),
        (Regime::Blocks, "blocks"),
        (Regime::Headers, "headers"),
        (Regime::Records, "records"),
        (Regime::Sidecars, "sidecars"),
        (Regime::Checkpoints, "checkpoints"),
        (Regime::Mixed, "mixed"),
    ];

    /// The regime of a seed: quiet in three of nine.
    #[must_use]
    pub fn drawn(random: &mut Random) -> Regime {
        let place = random.index(9);
        Regime::ALL[place.saturating_sub(2)].0
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Regime::ALL.iter().find(|(regime, _)| *regime == self).map_or("", |(_, name)| name)
    }

    /// Whether no data block is ever harmed.
    #[must_use]
    pub fn spares_data(self) -> bool {
        !matches!(self, Regime::Blocks | Regime::Mixed)
    }

    /// Whether harm is of one kind, so that the strict promises hold.
    #[must_use]
    pub fn is_strict(self) -> bool {
        self != Regime::Mixed
    }
}
