//! One UDP listener in one lane: its socket, its arrival filter, its books.
//!
//! *Settling.* `arrived − received` is what waits in the socket plus what was dropped. Which it is, is known when the
//! socket is empty: then everything missing was dropped. It takes two looks with nothing in between, since a packet may
//! have passed the filter on another CPU and not have reached the queue yet, and the kernel's own drop counter must have
//! moved: a difference that it does not confirm stays pending and is seen.

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
    drops_settled: u32,
    looked: Option<(Counts, u64)>,
}

/// Time between the two looks that settle a difference.
const SETTLE_AFTER_NS: u64 = 1_000_000;

impl Listener {
    pub(super) fn new(parts: Listen, slot: FileSlot) -> Listener {
        let counts = Counts { exact: u64::from(parts.filter.is_some()), ..Counts::default() };
        Listener { parts, slot, counts, armed: false, drops_settled: 0, looked: None }
    }

    /// Takes the books up to now. `quiet`: this turn found nothing to receive and holds nothing back.
    pub(super) fn account(&mut self, quiet: bool, now_ns: u64) {
        match &self.parts.filter {
            Some(filter) => {
                self.counts.arrived = filter.arrived();
                if quiet && self.counts.pending() > 0 {
                    self.settle(now_ns);
                }
            }
            None => {
                if quiet && let Ok(queue) = self.parts.socket.queue() {
                    self.counts.dropped_kernel_rcvbuf += u64::from(queue.drops.wrapping_sub(self.drops_settled));
                    self.drops_settled = queue.drops;
                }
                self.counts.arrived = self.counts.received + self.counts.dropped_kernel_rcvbuf;
            }
        }
        self.parts.clerk.publish(&self.counts);
    }

    fn settle(&mut self, now_ns: u64) {
        let Ok(queue) = self.parts.socket.queue() else { return };
        if queue.bytes > 0 || queue.drops == self.drops_settled {
            self.looked = None;
            return;
        }
        match self.looked {
            Some((counts, since)) if counts == self.counts => {
                if now_ns.saturating_sub(since) >= SETTLE_AFTER_NS {
                    self.counts.dropped_kernel_rcvbuf = self.counts.arrived - self.counts.received;
                    self.drops_settled = queue.drops;
                    self.looked = None;
                }
            }
            _ => self.looked = Some((self.counts, now_ns)),
        }
    }

    /// Whether a difference waits to be settled, so that the loop looks again soon.
    pub(super) fn is_settling(&self) -> bool {
        self.counts.pending() > 0
    }

    /// Whether nothing waits in the socket.
    pub(super) fn is_drained(&self) -> bool {
        self.parts.socket.queue().map_or(true, |queue| queue.bytes == 0)
    }
}
