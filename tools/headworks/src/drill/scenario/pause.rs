//! Processes that stand still and go on: what a deposed primary does with what it had in hand.

use super::Party::{Primary, Standby};
use super::Step::{AwaitInSync, AwaitLead, Hold, HoldOften, Pause, Resume, See, SeeMoved};
use super::{Course, DOWNGRADED, Expect, FAILOVER_BARS, FAILOVERS, Scenario, WHOLE};

/// The primary stands still.
pub const PRIMARY: Scenario = Scenario {
    name: "pause-primary",
    says: "the primary is frozen and wakes up deposed, or before anybody noticed",
    courses: &[
        Course {
            name: "0.1 to 30 s",
            steps: &[Pause(Primary), HoldOften(100, 30_000), Resume(Primary), Hold(500, 500), AwaitInSync],
            expect: Expect::Epochs(1),
        },
        Course {
            name: "until the standby leads",
            steps: &[
                Pause(Primary),
                AwaitLead(Standby),
                SeeMoved(Standby, FAILOVERS),
                Hold(0, 400),
                Resume(Primary),
                AwaitInSync,
                See(Primary, "headworks_role{role=\"standby\"} 1"),
            ],
            expect: Expect::Failover,
        },
    ],
    bars: &[],
};

/// The standby stands still.
pub const STANDBY: Scenario = Scenario {
    name: "pause-standby",
    says: "the standby is frozen; the primary goes on alone; the frozen one wakes up and catches up",
    courses: &[Course {
        name: "",
        steps: &[Pause(Standby), See(Primary, DOWNGRADED), HoldOften(1, 5000), Resume(Standby), AwaitInSync, See(Primary, WHOLE)],
        expect: Expect::Stay,
    }],
    bars: FAILOVER_BARS,
};
