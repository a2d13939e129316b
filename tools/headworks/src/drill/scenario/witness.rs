//! Arbiters that are away, or have forgotten.

use super::Party::{Primary, Standby, Witness};
use super::Step::{AwaitInSync, CopyWitness, Hold, Kill, RestoreWitness, See, Start, SwapWitness};
use super::{Course, DOWNGRADED, Expect, HEALED_BARS, Put, Scenario, WHOLE};

/// It is lost.
pub const LOSS: Scenario = Scenario {
    name: "witness-loss",
    says: "the witness is killed and comes back; records flow meanwhile",
    courses: &[Course {
        name: "",
        steps: &[
            Kill(Witness),
            See(Primary, "headworks_arbiter_reachable 0"),
            See(Standby, "headworks_arbiter_reachable 0"),
            Hold(500, 1500),
            Start(Witness),
            See(Primary, "headworks_arbiter_reachable 1"),
            AwaitInSync,
        ],
        expect: Expect::Stay,
    }],
    bars: HEALED_BARS,
};

/// It comes back with nothing.
pub const WIPED: Scenario = Scenario {
    name: "witness-wiped",
    says: "the witness comes back blank, which is another witness: nobody listens to it",
    courses: &[Course {
        name: "",
        steps: &[
            SwapWitness(Put::Blank),
            See(Primary, "headworks_register_frozen 1"),
            Hold(500, 1000),
            RestoreWitness,
            See(Primary, "headworks_register_frozen 0"),
            See(Standby, "headworks_register_frozen 0"),
            AwaitInSync,
        ],
        expect: Expect::Stay,
    }],
    bars: HEALED_BARS,
};

/// It comes back as it was.
pub const ROLLED_BACK: Scenario = Scenario {
    name: "witness-rolled-back",
    says: "the witness comes back with an old register: nobody believes it, and nobody changes roles",
    courses: &[Course {
        name: "",
        steps: &[
            CopyWitness,
            Kill(Standby),
            See(Primary, DOWNGRADED),
            Start(Standby),
            AwaitInSync,
            See(Primary, WHOLE),
            SwapWitness(Put::Old),
            See(Primary, "headworks_register_frozen 1"),
            Hold(500, 1000),
            RestoreWitness,
            See(Primary, "headworks_register_frozen 0"),
            See(Standby, "headworks_register_frozen 0"),
            AwaitInSync,
        ],
        expect: Expect::Stay,
    }],
    bars: HEALED_BARS,
};
