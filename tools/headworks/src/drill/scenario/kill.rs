//! Processes that die.

use super::Party::{Primary, Standby};
use super::Step::{AwaitInSync, AwaitLead, Hold, Kill, KillBoth, See, SeeMoved, Start};
use super::{Course, DOWNGRADED, Expect, FAILOVER_BARS, FAILOVERS, SOLO_RECORDS, Scenario, WHOLE};

/// The primary dies.
pub const PRIMARY: Scenario = Scenario {
    name: "kill-primary",
    says: "the primary's process dies; the standby takes over; the dead one comes back and follows",
    courses: &[Course {
        name: "",
        steps: &[
            Kill(Primary),
            AwaitLead(Standby),
            SeeMoved(Standby, FAILOVERS),
            See(Standby, DOWNGRADED),
            SeeMoved(Standby, SOLO_RECORDS),
            Start(Primary),
            AwaitInSync,
            See(Standby, WHOLE),
            See(Primary, "headworks_role{role=\"standby\"} 1"),
        ],
        expect: Expect::Failover,
    }],
    bars: FAILOVER_BARS,
};

/// The standby dies.
pub const STANDBY: Scenario = Scenario {
    name: "kill-standby",
    says: "the standby's process dies; the primary goes on alone; the dead one comes back and catches up",
    courses: &[Course {
        name: "",
        steps: &[
            Kill(Standby),
            See(Primary, DOWNGRADED),
            SeeMoved(Primary, SOLO_RECORDS),
            Start(Standby),
            AwaitInSync,
            See(Primary, WHOLE),
        ],
        expect: Expect::Stay,
    }],
    bars: FAILOVER_BARS,
};

/// Both die.
pub const BOTH: Scenario = Scenario {
    name: "kill-both",
    says: "both processes die within 50 ms and come back",
    courses: &[Course { name: "", steps: &[KillBoth(50), Start(Primary), Start(Standby), AwaitInSync], expect: Expect::Epochs(3) }],
    bars: &[],
};

/// One dies after the other.
pub const DOUBLE_FAILOVER: Scenario = Scenario {
    name: "double-failover",
    says: "the primary dies, and then, at several moments, its successor or the one that comes back",
    courses: &[
        Course {
            name: "in sync between",
            steps: &[
                Kill(Primary),
                AwaitLead(Standby),
                Start(Primary),
                AwaitInSync,
                Kill(Standby),
                AwaitLead(Primary),
                Start(Standby),
                AwaitInSync,
            ],
            expect: Expect::Epochs(2),
        },
        Course {
            name: "killed while it catches up",
            steps: &[
                Kill(Primary),
                AwaitLead(Standby),
                Start(Primary),
                Hold(0, 100),
                Kill(Primary),
                Hold(0, 50),
                Start(Primary),
                AwaitInSync,
            ],
            expect: Expect::Failover,
        },
        Course {
            name: "successor killed while the other catches up",
            steps: &[
                Kill(Primary),
                AwaitLead(Standby),
                Start(Primary),
                Hold(0, 100),
                Kill(Standby),
                Hold(0, 50),
                Start(Standby),
                AwaitInSync,
            ],
            expect: Expect::Epochs(3),
        },
    ],
    bars: &[],
};
