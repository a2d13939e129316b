//! One UDP listener in one lane: its socket, its arrival filter, its books.

use crate::settle::{Queue, Settling, contradicted};
use headworks_format::PartitionId;
use headworks_io::{ArrivalFilter, FileSlot, UdpListener};
use headworks_ledger::{Clerk, Counts};

/// What a listener is made of.
pub struct Listen {
    /// The bound socket.
    pub socket: UdpListener,
    /// The filter that counts arrivals; without it the books say that they are not exact.
    pub filter: Option<ArrivalFilter>,
    /// Where its packets go.
    pub partition: PartitionId,
    /// Whether records carry the source as key.
    pub key_source: bool,
    /// Whether records carry the receive time.
    pub receive_time: bool,
    /// Its books.
    pub clerk: Clerk,
}

/// A listener in its loop.
pub struct Listener {
    pub(super) parts: Listen,
    pub(super) slot: FileSlot,
    pub(super) counts: Counts,
    pub(super) armed: bool,
    settling: Settling,
}

impl Listener {
    pub(super) fn new(parts: Listen, slot: FileSlot) -> Listener {
        let counts = Counts { exact: u64::from(parts.filter.is_some()), ..Counts::default() };
        Listener { parts, slot, counts, armed: false, settling: Settling::default() }
    }

    /// Takes the books up to now. `quiet`: this turn found nothing to receive and holds nothing back.
    pub(super) fn account(&mut self, quiet: bool, now_ns: u64) {
        match &self.parts.filter {
            Some(filter) => {
                self.counts.arrived = filter.arrived();
                self.counts.dropped_kernel_rcvbuf -= contradicted(&self.counts);
                if quiet && self.counts.pending() > 0 {
                    self.settle(now_ns);
                }
            }
            None => {
                if quiet && let Some(queue) = self.queue() {
                    self.counts.dropped_kernel_rcvbuf += self.settling.inexact(queue);
                }
                self.counts.arrived = self.counts.received + self.counts.dropped_kernel_rcvbuf;
            }
        }
        self.parts.clerk.publish(&self.counts);
    }

    fn settle(&mut self, now_ns: u64) {
        if let Some(queue) = self.queue()
            && let Some(dropped) = self.settling.look(&self.counts, queue, now_ns)
        {
            self.counts.dropped_kernel_rcvbuf = dropped;
        }
    }

    /// What the kernel says of the socket; none if it does not say, and then nothing is settled.
    fn queue(&self) -> Option<Queue> {
        self.parts.socket.queue().ok().map(|queue| Queue { bytes: queue.bytes, drops: queue.drops })
    }

    /// Whether a difference waits to be settled, so that the loop looks again soon.
    pub(super) fn is_settling(&self) -> bool {
        self.counts.pending() > 0
    }

    /// Whether nothing waits in the socket.
    pub(super) fn is_drained(&self) -> bool {
        self.queue().is_none_or(|queue| queue.bytes == 0)
    }
}
