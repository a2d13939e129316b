//! The counters of one listener in one lane, and what must hold between them.

/// Counters in a block's header.
pub const SLOTS: usize = 16;

/// Names of the counters by their place in a block's header.
pub const NAMES: [&str; SLOTS] = [
    "arrived",
    "dropped_kernel_rcvbuf",
    "received",
    "admitted",
    "shed_policy",
    "shed_malformed",
    "shed_oversize",
    "shed_disk_full",
    "dead_lettered",
    "received_bytes",
    "exact",
    "reserved_11",
    "reserved_12",
    "reserved_13",
    "reserved_14",
    "reserved_15",
];

/// Cumulative counts of packets (a GRO train counts as its datagrams).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Reached the socket, as the kernel filter counted.
    pub arrived: u64,
    /// Refused by a full receive buffer.
    pub dropped_kernel_rcvbuf: u64,
    /// Taken from the socket.
    pub received: u64,
    /// Framed into a block.
    pub admitted: u64,
    /// Refused by a policy.
    pub shed_policy: u64,
    /// Refused because they do not hold together.
    pub shed_malformed: u64,
    /// Refused because they are too large.
    pub shed_oversize: u64,
    /// Refused because no segment could be made.
    pub shed_disk_full: u64,
    /// Kept with their cause in a dead-letter stream.
    pub dead_lettered: u64,
    /// Payload bytes of what was received.
    pub received_bytes: u64,
    /// 1 while `arrived` is exact: the kernel filter is attached.
    pub exact: u64,
}

impl Counts {
    /// What was refused by the appliance, by reason.
    #[must_use]
    pub fn shed(&self) -> [(&'static str, u64); 4] {
        [
            ("policy", self.shed_policy),
            ("malformed", self.shed_malformed),
            ("oversize", self.shed_oversize),
            ("disk_full", self.shed_disk_full),
        ]
    }

    /// Everything refused by the appliance.
    #[must_use]
    pub fn shed_sum(&self) -> u64 {
        self.shed().iter().map(|(_, count)| count).sum()
    }

    /// Arrived, but neither received nor known dropped yet: it waits in the socket, or its drop is not settled.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.arrived.saturating_sub(self.dropped_kernel_rcvbuf + self.received)
    }

    /// By how much the books do not balance; 0 always, or there is a bug.
    ///
    /// More accounted for than arrived, or received packets that ended in no place or in two.
    #[must_use]
    pub fn imbalance(&self) -> u64 {
        let overdrawn = (self.dropped_kernel_rcvbuf + self.received).saturating_sub(self.arrived);
        overdrawn + self.received.abs_diff(self.admitted + self.shed_sum() + self.dead_lettered)
    }

    /// By place in a block's header.
    #[must_use]
    pub fn to_slots(&self) -> [u64; SLOTS] {
        [
            self.arrived,
            self.dropped_kernel_rcvbuf,
            self.received,
            self.admitted,
            self.shed_policy,
            self.shed_malformed,
            self.shed_oversize,
            self.shed_disk_full,
            self.dead_lettered,
            self.received_bytes,
            self.exact,
            0,
            0,
            0,
            0,
            0,
        ]
    }

    /// The reverse of [`Counts::to_slots`].
    #[must_use]
    pub fn from_slots(slots: &[u64; SLOTS]) -> Counts {
        Counts {
            arrived: slots[0],
            dropped_kernel_rcvbuf: slots[1],
            received: slots[2],
            admitted: slots[3],
            shed_policy: slots[4],
            shed_malformed: slots[5],
            shed_oversize: slots[6],
            shed_disk_full: slots[7],
            dead_lettered: slots[8],
            received_bytes: slots[9],
            exact: slots[10],
        }
    }

    /// The counts of both; exact only where both are.
    #[must_use]
    pub fn plus(&self, other: &Counts) -> Counts {
        let (a, b) = (self.to_slots(), other.to_slots());
        let sum = Counts::from_slots(&std::array::from_fn(|slot| a[slot] + b[slot]));
        Counts { exact: self.exact.min(other.exact), ..sum }
    }

    /// These counts as the carried books of an earlier run: what was pending then is neither received nor dropped, and
    /// stands in the interval in which nobody looked.
    #[must_use]
    pub fn carried(&self) -> Counts {
        Counts { arrived: self.dropped_kernel_rcvbuf + self.received, ..*self }
    }
}
