//! Whether a packet is admitted: what is refused is counted under its reason, never silently.

use headworks_ledger::Counts;

/// Why the appliance refuses a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
    /// It was cut short on the way in, so it is not what was sent.
    Oversize,
    /// What the kernel handed over makes no sense.
    Malformed,
    /// The ring is full and no segment can be made for want of space.
    DiskFull,
}

/// What is known of a train before it is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The receive buffer was too small for it.
    pub truncated: bool,
    /// No slot can be claimed.
    pub ring_full: bool,
    /// The volume is full.
    pub disk_full: bool,
}

/// Decides over a train.
///
/// A full ring by itself is no reason: the packets wait in the socket, and the kernel counts what overflows.
///
/// # Errors
/// The reason to shed it.
pub fn admit(facts: &Facts) -> Result<(), Shed> {
    match facts {
        Facts { truncated: true, .. } => Err(Shed::Oversize),
        Facts { ring_full: true, disk_full: true, .. } => Err(Shed::DiskFull),
        _ => Ok(()),
    }
}

/// Enters refused packets into the books.
pub fn count(counts: &mut Counts, reason: Shed, packets: u64) {
    counts.received += packets;
    match reason {
        Shed::Oversize => counts.shed_oversize += packets,
        Shed::Malformed => counts.shed_malformed += packets,
        Shed::DiskFull => counts.shed_disk_full += packets,
    }
}
