//! What an operator wants.

use super::Party::{Primary, Standby};
use super::Step::{AwaitInSync, AwaitLead, See, SeeMoved, Switchover};
use super::{Bar, Course, Expect, FAILOVERS, Measure, Scenario};

/// The roles change.
pub const SWITCHOVER: Scenario = Scenario {
    name: "switchover",
    says: "the primary hands over to the standby when an operator says so",
    courses: &[Course {
        name: "",
        steps: &[
            Switchover,
            AwaitLead(Standby),
            SeeMoved(Standby, FAILOVERS),
            AwaitInSync,
            See(Standby, "headworks_downgraded 0"),
            See(Primary, "headworks_role{role=\"standby\"} 1"),
        ],
        expect: Expect::Failover,
    }],
    bars: &[Bar { of: Measure::Gap, percent: 100, ms_max: 50 }],
};
