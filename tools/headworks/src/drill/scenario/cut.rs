//! Networks between two of the three that lose everything, both ways and one way.
//!
//! A primary without its witness cannot drop a standby that is late, and a standby that is late enough then takes over: that is as it should be,
//! and on a machine that does other work it happens. Once.

use super::Party::{self, Primary, Standby, Witness};
use super::Step::{self, AwaitInSync, Cut, Heal, Hold, See};
use super::{Course, DOWNGRADED, Expect, HEALED_BARS, Scenario, WHOLE};

const ANSWERS: &str = "headworks_arbiter_reachable 1";
const NO_ANSWER: &str = "headworks_arbiter_reachable 0";

/// Both ways.
pub const PARTITION: Scenario = Scenario {
    name: "partition",
    says: "two of the three do not hear each other",
    courses: &[
        Course { name: "primary | standby", steps: &both((Primary, Standby), (Primary, DOWNGRADED, WHOLE)), expect: Expect::Epochs(1) },
        Course { name: "primary | witness", steps: &both((Primary, Witness), (Primary, NO_ANSWER, ANSWERS)), expect: Expect::Epochs(1) },
        Course { name: "standby | witness", steps: &both((Standby, Witness), (Standby, NO_ANSWER, ANSWERS)), expect: Expect::Stay },
    ],
    bars: HEALED_BARS,
};

/// One way.
pub const ONE_WAY: Scenario = Scenario {
    name: "one-way",
    says: "one of the three is not heard by another, which it hears",
    courses: &[
        Course { name: "primary to standby", steps: &one((Primary, Standby), (Primary, DOWNGRADED, WHOLE)), expect: Expect::Epochs(1) },
        Course { name: "standby to primary", steps: &one((Standby, Primary), (Primary, DOWNGRADED, WHOLE)), expect: Expect::Epochs(1) },
        Course { name: "primary to witness", steps: &one((Primary, Witness), (Primary, NO_ANSWER, ANSWERS)), expect: Expect::Epochs(1) },
        Course { name: "witness to primary", steps: &one((Witness, Primary), (Primary, NO_ANSWER, ANSWERS)), expect: Expect::Epochs(1) },
        Course { name: "standby to witness", steps: &one((Standby, Witness), (Standby, NO_ANSWER, ANSWERS)), expect: Expect::Stay },
        Course { name: "witness to standby", steps: &one((Witness, Standby), (Standby, NO_ANSWER, ANSWERS)), expect: Expect::Stay },
    ],
    bars: HEALED_BARS,
};

/// Who shows what while the cut lasts, and when it has healed.
type Shows = (Party, &'static str, &'static str);

const fn both((one, other): (Party, Party), (at, cut, healed): Shows) -> [Step; 7] {
    [Cut(one, other), Cut(other, one), See(at, cut), Hold(1000, 1500), Heal, AwaitInSync, See(at, healed)]
}

const fn one((from, target): (Party, Party), (at, cut, healed): Shows) -> [Step; 6] {
    [Cut(from, target), See(at, cut), Hold(1000, 1500), Heal, AwaitInSync, See(at, healed)]
}
