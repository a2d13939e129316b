//! Nodes that come back with less than they had.

use super::Party::{Primary, Standby};
use super::Step::{AwaitInSync, AwaitLead, ForbidLead, Hold, Kill, See, SeeMoved, Start, Wipe};
use super::{Course, DOWNGRADED, Expect, FAILOVER_BARS, SOLO_RECORDS, Scenario, WHOLE};

/// A new disk.
pub const STANDBY_DISK: Scenario = Scenario {
    name: "disk-replaced",
    says: "the standby's disk is replaced by an empty one",
    courses: &[Course {
        name: "",
        steps: &[Kill(Standby), See(Primary, DOWNGRADED), Wipe(Standby), Start(Standby), AwaitInSync, See(Primary, WHOLE)],
        expect: Expect::Stay,
    }],
    bars: FAILOVER_BARS,
};

/// An old node.
pub const STALE_NODE: Scenario = Scenario {
    name: "stale-node",
    says: "the primary went on alone and is lost, and only the node that lacks its records comes back",
    courses: &[Course {
        name: "",
        steps: &[
            Kill(Standby),
            See(Primary, DOWNGRADED),
            SeeMoved(Primary, SOLO_RECORDS),
            Hold(0, 300),
            Kill(Primary),
            Start(Standby),
            ForbidLead(Standby, 2000),
            Start(Primary),
            AwaitLead(Primary),
            AwaitInSync,
            See(Primary, WHOLE),
        ],
        expect: Expect::Epochs(1),
    }],
    bars: &[],
};
