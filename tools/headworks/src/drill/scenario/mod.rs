//! Scenarios: what is done to a pair, step by step. A step's words are what the runbook tells an operator to do, and a test holds the two together.
//!
//! "The primary" and "the standby" are those of a run, whatever becomes of them in it.

mod cut;
mod kill;
mod pause;
mod planned;
mod replace;
mod witness;

use std::fmt;

#[cfg(test)]
mod tests;

/// A host of the drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// Who leads when a run begins.
    Primary,
    /// Who follows when a run begins.
    Standby,
    /// The arbiter.
    Witness,
}

/// One thing that is done, or waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// kill -9.
    Kill(Party),
    /// kill -9 of both nodes, so many ms apart at most.
    KillBoth(u64),
    /// Started again where it was.
    Start(Party),
    /// The operator's order to the primary that the roles change.
    Switchover,
    /// SIGSTOP.
    Pause(Party),
    /// SIGCONT.
    Resume(Party),
    /// The directory of one that does not run is emptied.
    Wipe(Party),
    /// A copy of the witness's directory is put aside.
    CopyWitness,
    /// The witness's directory is put aside, and that copy, or nothing, takes its place.
    SwapWitness(Put),
    /// The witness's own directory is put back.
    RestoreWitness,
    /// What one sends to the other gets lost.
    Cut(Party, Party),
    /// Nothing gets lost any more.
    Heal,
    /// So many ms pass, drawn between the two.
    Hold(u64, u64),
    /// The same, short times being as likely as long ones: the draw is even in the logarithm.
    HoldOften(u64, u64),
    /// The node leads in a higher epoch.
    AwaitLead(Party),
    /// One node leads and the other is in sync.
    AwaitInSync,
    /// The node must not lead for so many ms.
    ForbidLead(Party, u64),
    /// The node comes to show this line at `/metrics`.
    See(Party, &'static str),
    /// The counter of this name is higher there than when the run began.
    SeeMoved(Party, &'static str),
}

/// What takes the place of the witness's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Nothing: a new witness.
    Blank,
    /// An old copy.
    Old,
}

/// Who must lead when a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Who stood by, in a higher epoch.
    Failover,
    /// Who led, and no epoch was begun.
    Stay,
    /// Either, and at most so many epochs were begun.
    Epochs(u64),
}

/// One way through a scenario.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// What tells it from the others; empty where there is one.
    pub name: &'static str,
    /// What is done.
    pub steps: &'static [Step],
    /// What must come of it.
    pub expect: Expect,
}

/// What a time must not exceed on a machine that has nothing else to do.
#[derive(Debug, Clone, Copy)]
pub struct Bar {
    /// What is measured.
    pub of: Measure,
    /// How many of a hundred runs must keep it.
    pub percent: usize,
    /// The longest that is good enough.
    pub ms_max: u64,
}

/// A time of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The longest time in which records were due and nothing was acknowledged.
    Gap,
    /// The same, for the client of `--beside`.
    Beside,
    /// From the last step that mends something until records are acknowledged again, if they were not.
    Resumed,
}

/// A rehearsal. Runs take its courses in turn.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// As the command line has it.
    pub name: &'static str,
    /// One line.
    pub says: &'static str,
    /// Its courses.
    pub courses: &'static [Course],
    /// What its times are held against.
    pub bars: &'static [Bar],
}

/// Every scenario there is.
pub const ALL: &[&Scenario] = &[
    &kill::PRIMARY,
    &kill::STANDBY,
    &kill::BOTH,
    &kill::DOUBLE_FAILOVER,
    &pause::PRIMARY,
    &pause::STANDBY,
    &cut::PARTITION,
    &cut::ONE_WAY,
    &planned::SWITCHOVER,
    &replace::STANDBY_DISK,
    &replace::STALE_NODE,
    &witness::LOSS,
    &witness::WIPED,
    &witness::ROLLED_BACK,
];

/// A failover, as the generator's client sees it.
const FAILOVER_BARS: &[Bar] = &[
    Bar { of: Measure::Gap, percent: 50, ms_max: 150 },
    Bar { of: Measure::Gap, percent: 99, ms_max: 500 },
    Bar { of: Measure::Beside, percent: 100, ms_max: 1000 },
];

/// A network that heals.
const HEALED_BARS: &[Bar] = &[Bar { of: Measure::Resumed, percent: 100, ms_max: 1000 }];

const DOWNGRADED: &str = "headworks_downgraded 1";
const WHOLE: &str = "headworks_downgraded 0";
/// By any cause: a node that is killed while it was late counts as silent.
const FAILOVERS: &str = "headworks_failovers_total";
const SOLO_RECORDS: &str = "headworks_solo_records_total";

impl Scenario {
    /// Whether it needs namespaces.
    pub fn cuts_a_network(&self) -> bool {
        self.courses.iter().flat_map(|course| course.steps).any(|step| matches!(step, Step::Cut(..)))
    }

    /// Whether it makes a node silent that lives: the longest silence seen is one of a healthy node in its first run only.
    pub fn silences(&self) -> bool {
        self.courses.iter().flat_map(|course| course.steps).any(|step| matches!(step, Step::Cut(..) | Step::Pause(_)))
    }

    /// Its page below `docs/runbooks`.
    pub fn runbook(&self) -> String {
        format!("drill-{}.md", self.name)
    }
}

impl Step {
    /// Whether it is a cause, from which times are taken.
    pub fn is_cause(&self) -> bool {
        matches!(self, Step::Kill(_) | Step::KillBoth(_) | Step::Switchover | Step::Pause(_) | Step::Cut(..) | Step::SwapWitness(_))
    }

    /// Whether it gives back what a step before took.
    pub fn mends(&self) -> bool {
        matches!(self, Step::Start(_) | Step::Resume(_) | Step::Heal | Step::RestoreWitness)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Party::Primary => "the primary",
            Party::Standby => "the standby",
            Party::Witness => "the witness",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Kill(party) => write!(to, "Kill {party} (`kill -9`)."),
            Step::KillBoth(apart) => write!(to, "Kill both nodes (`kill -9`), at most {apart} ms apart."),
            Step::Start(party) => write!(to, "Start {party} again, as it was started before."),
            Step::Switchover => write!(to, "Order the switchover at the primary (`headworks pair switchover`)."),
            Step::Pause(party) => write!(to, "Freeze {party} (`kill -STOP`)."),
            Step::Resume(party) => write!(to, "Let {party} run again (`kill -CONT`)."),
            Step::Wipe(party) => write!(to, "Empty the data directory of {party}: a new disk."),
            Step::CopyWitness => write!(to, "Copy the witness's directory, as a backup would."),
            Step::SwapWitness(Put::Blank) => write!(to, "Stop the witness, put its directory aside and start it on an empty one."),
            Step::SwapWitness(Put::Old) => write!(to, "Stop the witness, put its directory aside and start it on the old copy."),
            Step::RestoreWitness => write!(to, "Stop the witness and start it on the directory that was put aside."),
            Step::Cut(from, target) => write!(to, "Drop everything that {from} sends to {target}."),
            Step::Heal => write!(to, "Let everything pass again."),
            Step::Hold(least, most) if least == most => write!(to, "Wait {least} ms."),
            Step::Hold(least, most) => write!(to, "Wait {least} to {most} ms."),
            Step::HoldOften(least, most) => write!(to, "Wait {least} to {most} ms, most often a short while."),
            Step::AwaitLead(party) => write!(to, "Wait until {party} leads in a higher epoch."),
            Step::AwaitInSync => write!(to, "Wait until one node leads and the other is in sync (`headworks pair status`)."),
            Step::ForbidLead(party, ms) => write!(to, "See for {ms} ms that {party} does not lead."),
            Step::See(party, line) => write!(to, "See `{line}` at {party}."),
            Step::SeeMoved(party, counter) => write!(to, "See that `{counter}` has risen at {party}."),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Measure::Gap => "client's gap",
            Measure::Beside => "gap beside",
            Measure::Resumed => "resumed",
        })
    }
}
