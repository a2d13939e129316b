//! Telling what the kernel dropped from what it still holds.
//!
//! `arrived − received` is what waits in the socket plus what was dropped. Which it is, is known when the socket is empty:
//! then everything missing was dropped. It takes two looks with nothing in between, since a packet may have passed the
//! filter on another CPU and not have reached the queue yet, and the kernel's own drop counter must have moved: a
//! difference that it does not confirm stays pending and is seen. (The counter itself is no count of packets: it takes a
//! whole GRO train for one.)
//!
//! No time between looks is long enough for certain: a hypervisor may take that other CPU away for as long as it likes.
//! So what was settled is an opinion until the books contradict it: when a packet that was given up is received after
//! all, [`contradicted`] takes it back.

use headworks_ledger::Counts;

/// Time between the two looks: longer than a CPU is commonly taken away within a delivery, so that taking back is rare.
pub const BETWEEN_LOOKS_NS: u64 = 10_000_000;

/// What the kernel says of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Bytes that wait in it.
    pub bytes: u32,
    /// Its own count of drops since it was opened; wraps.
    pub drops: u32,
}

/// Packets counted as dropped that were not: by how much drops and receptions exceed what arrived.
///
/// Exact at any moment at which `arrived` was read after the last reception was counted: every packet passes the filter
/// before anything else happens to it.
#[must_use]
pub fn contradicted(counts: &Counts) -> u64 {
    (counts.dropped_kernel_rcvbuf + counts.received).saturating_sub(counts.arrived).min(counts.dropped_kernel_rcvbuf)
}

/// Where settling stands for one socket.
#[derive(Debug, Clone, Default)]
pub struct Settling {
    drops_settled: u32,
    looked: Option<(Counts, u64)>,
}

impl Settling {
    /// A look at a socket whose loop has nothing left to take: how many packets were dropped so far, once that is known.
    pub fn look(&mut self, counts: &Counts, queue: Queue, now_ns: u64) -> Option<u64> {
        if queue.bytes > 0 || queue.drops == self.drops_settled {
            self.looked = None;
            return None;
        }
        match self.looked {
            Some((seen, since)) if seen == *counts => {
                if now_ns.saturating_sub(since) < BETWEEN_LOOKS_NS {
                    return None;
                }
                self.looked = None;
                self.drops_settled = queue.drops;
                Some(counts.arrived - counts.received)
            }
            _ => {
                self.looked = Some((*counts, now_ns));
                None
            }
        }
    }

    /// Without a filter there is only the kernel's counter: the drops since the last call.
    pub fn inexact(&mut self, queue: Queue) -> u64 {
        let since = queue.drops.wrapping_sub(self.drops_settled);
        self.drops_settled = queue.drops;
        u64::from(since)
    }
}
