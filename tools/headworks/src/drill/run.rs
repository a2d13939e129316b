//! Runs of a scenario, one after the other on one pair: load, steps, measure, judge.
//!
//! ```text
//! in sync ─► load begins ─► read once ─► some ms ─► steps ──────────────► in sync ─► load ends ─► read back, compare
//!                                                    │ cause                 │
//!                                                    ├─ detected: a node's line `leading` or `alone`, behind the swap
//!                                                    ├─ resumed: the client's gap ends
//!                                                    └─ in sync again, by what both nodes answer
//! ```
//!
//! A run that breaks a promise in the middle of its steps ends the drill, since nothing is known of the pair then; one that is found wanting
//! afterwards does not.

use super::files;
use super::interrupt::Interrupt;
use super::load::{self, Findings, Load, Orders};
use super::log::Said;
use super::network::Host;
use super::oracle;
use super::report::{Drilled, Run};
use super::rig::{Rig, Trouble};
use super::scenario::{Course, Expect, Party, Put, Scenario, Step};
use super::signs::Signs;
use crate::args::DrillRunArgs;
use crate::node::{Failure, directory};
use headworks_io::Clock;
use headworks_io::fatal::Reason;
use nix::sys::signal::Signal;
use std::fs;
use std::path::{Path, PathBuf};

/// How long the load runs before the cause, drawn between the two, in ms: the cause comes at no particular moment of it.
const BEFORE_MS: (u64, u64) = (100, 400);
/// How long it runs after the pair is in sync again.
const AFTER_MS: u64 = 150;

/// Runs a scenario as often as asked.
///
/// # Errors
/// The drill could not be carried out.
pub fn all(scenario: &Scenario, args: &DrillRunArgs) -> Result<Drilled, Failure> {
    let interrupt = Interrupt::begin()?;
    let directory = directory_of(args)?;
    let seed = args.seed.map_or_else(|| directory::random_u128().map(low), Ok)?;
    let mut drilled = Drilled::new(scenario.name, seed, &args.set, &args.rate);
    let ended = rehearse(scenario, args, &directory, interrupt, &mut drilled);
    match ended {
        Ok(()) => {}
        Err(Trouble::Broken(what)) => drilled.broken.push(what),
        Err(Trouble::Interrupted) => drilled.is_interrupted = true,
        Err(Trouble::Failed(failure)) => {
            remove(&directory);
            return Err(failure);
        }
    }
    drilled.hold_against(scenario);
    let healthy = drilled.runs.iter().take(if scenario.silences() { 1 } else { usize::MAX });
    drilled.silence_ns.0 = healthy.map(|run| run.silence_ns).max().unwrap_or(0);
    if args.keep || !(drilled.is_kept() || drilled.is_interrupted) {
        drilled.kept_in = Some(directory);
    } else {
        remove(&directory);
    }
    Ok(drilled)
}

fn directory_of(args: &DrillRunArgs) -> Result<PathBuf, Failure> {
    let base = args.data.clone().unwrap_or_else(std::env::temp_dir);
    let path = base.join(format!("headworks-drill-{}", std::process::id()));
    fs::create_dir_all(&path).map_err(|error| Failure::new(Reason::Storage, format!("{}: {error}", path.display())))?;
    Ok(path)
}

fn remove(directory: &Path) {
    if let Err(error) = fs::remove_dir_all(directory) {
        tracing::warn!("{} could not be removed: {error}", directory.display());
    }
}

fn low(number: u128) -> u64 {
    u64::try_from(number & u128::from(u64::MAX)).expect("64 bits")
}

fn rehearse(
    scenario: &Scenario,
    args: &DrillRunArgs,
    directory: &Path,
    interrupt: Interrupt,
    drilled: &mut Drilled,
) -> Result<(), Trouble> {
    let courses = chosen(scenario, args)?;
    let mut rig = Rig::make(args, directory.to_owned(), interrupt)?;
    let mut draw = Draw(drilled.seed);
    let orders = Orders { rate: &args.rate, beside: args.beside.as_deref() };
    for number in 0..args.count {
        let course = courses[number as usize % courses.len()];
        let mut run = Run { number, course: course.name.to_owned(), ..Run::default() };
        let ended = Drill { rig: &mut rig, draw: &mut draw, run: &mut run, orders, led: 0 }.carry_out(course);
        let is_over = match ended {
            Ok(()) => false,
            // Said in the run; what is left of the pair is evidence.
            Err(Trouble::Broken(what)) => {
                run.broken.push(what);
                true
            }
            Err(trouble) => return Err(trouble),
        };
        eprintln!("{}", run.line());
        drilled.runs.push(run);
        if is_over {
            return Ok(());
        }
    }
    drilled.silence_ns.1 = rig.stand(0).silence_ns.1;
    drilled.broken.extend(oracle::at_the_end(&mut rig, args.count)?);
    Ok(())
}

/// The courses that runs take in turn.
fn chosen<'a>(scenario: &'a Scenario, args: &DrillRunArgs) -> Result<Vec<&'a Course>, Failure> {
    let Some(name) = &args.course else { return Ok(scenario.courses.iter().collect()) };
    let found: Vec<&Course> = scenario.courses.iter().filter(|course| course.name == name).collect();
    if found.is_empty() {
        let names: Vec<String> = scenario.courses.iter().map(|course| format!("{:?}", course.name)).collect();
        return Err(Failure::new(Reason::Config, format!("{} has no course {name:?}; it has {}", scenario.name, names.join(", "))));
    }
    Ok(found)
}

/// Numbers that a seed gives again: splitmix64.
struct Draw(u64);

impl Draw {
    fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        least + (mixed ^ (mixed >> 31)) % (most - least + 1)
    }

    /// Even in the logarithm: as often between 100 and 1,000 as between 1,000 and 10,000.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn often(&mut self, least: u64, most: u64) -> u64 {
        const STEPS: u64 = 1 << 20;
        let share = self.between(0, STEPS) as f64 / STEPS as f64;
        let drawn = least as f64 * (most as f64 / least as f64).powf(share);
        (drawn as u64).clamp(least, most)
    }
}

/// One run under way.
struct Drill<'a> {
    rig: &'a mut Rig,
    draw: &'a mut Draw,
    run: &'a mut Run,
    orders: Orders<'a>,
    /// The highest epoch in which anybody had led when the last cause came.
    led: u64,
}

/// What a run began with.
struct Before {
    primary: usize,
    epoch: u64,
    signs: Signs,
}

/// Moments of a run, in ns since 1970.
#[derive(Clone, Copy, Default)]
struct Moments {
    cause: Option<u64>,
    /// The last step that mended something.
    mended: Option<u64>,
}

impl Drill<'_> {
    fn carry_out(&mut self, course: &Course) -> Result<(), Trouble> {
        let number = self.run.number;
        load::prepare(self.rig, number)?;
        let (primary, _) = self.rig.await_in_sync()?;
        let load = Load::begin(self.rig, primary, number, self.orders)?;
        oracle::constant(self.rig, number)?;
        let wait_ms = self.draw.between(BEFORE_MS.0, BEFORE_MS.1);
        self.rig.hold(wait_ms)?;
        // On a machine that does other work the roles may have changed since.
        let signs = Signs::at_both(self.rig)?;
        let (primary, epoch) = self.rig.await_in_sync()?;
        let before = Before { primary, epoch, signs };
        self.run.silence_ns = self.rig.stand(primary).silence_ns.0;
        let mut moments = Moments::default();
        for step in course.steps {
            let now_ns = Clock.realtime_ns();
            if step.is_cause() {
                moments.cause.get_or_insert(now_ns);
                self.led = self.rig.epoch();
            }
            if step.mends() {
                moments.mended = Some(now_ns);
            }
            self.step(*step, &before)?;
        }
        self.rig.hold(AFTER_MS)?;
        self.rig.await_in_sync()?;
        self.measure(&before, moments);
        let found = load.end(self.rig)?;
        self.judge(course, &before, moments, &found);
        oracle::constant(self.rig, number)
    }

    fn step(&mut self, step: Step, before: &Before) -> Result<(), Trouble> {
        let node = |party| if party == Party::Primary { before.primary } else { 1 - before.primary };
        match step {
            Step::Kill(Party::Witness) => self.rig.kill_witness(),
            Step::Kill(party) => self.rig.kill(node(party)),
            Step::KillBoth(apart_ms) => self.kill_both(before, apart_ms),
            Step::Start(Party::Witness) => self.rig.start_witness(),
            Step::Start(party) => self.rig.start(node(party)),
            Step::Switchover => self.rig.order(before.primary, "switchover"),
            Step::Pause(party) => self.rig.signal(node(party), Signal::SIGSTOP),
            Step::Resume(party) => self.rig.signal(node(party), Signal::SIGCONT),
            Step::Wipe(party) => Ok(files::empty(&self.rig.node(node(party)).data)?),
            Step::CopyWitness => Ok(files::copy(&self.rig.witness_data(), &self.rig.directory.join("witness-old"))?),
            Step::SwapWitness(put) => self.swap_witness(put),
            Step::RestoreWitness => self.restore_witness(),
            Step::Cut(from, target) => Ok(self.rig.network.set_lost(self.host(from, before), self.host(target, before), true)?),
            Step::Heal => Ok(self.rig.network.heal()?),
            Step::Hold(least, most) => {
                let ms = self.draw.between(least, most);
                self.rig.hold(ms)
            }
            Step::HoldOften(least, most) => {
                let ms = self.draw.often(least, most);
                self.rig.hold(ms)
            }
            Step::AwaitLead(party) => self.await_lead(node(party)),
            Step::AwaitInSync => self.rig.await_in_sync().map(drop),
            Step::ForbidLead(party, ms) => self.forbid_lead(node(party), ms),
            Step::See(party, line) => {
                let seen = before.signs.await_line(self.rig, node(party), line)?;
                self.note_sign(seen);
                Ok(())
            }
            Step::SeeMoved(party, counter) => {
                let seen = before.signs.await_moved(self.rig, node(party), counter)?;
                self.note_sign(seen);
                Ok(())
            }
        }
    }

    fn note_sign(&mut self, seen: Result<(), String>) {
        match seen {
            Ok(()) => self.run.signs += 1,
            Err(missing) => self.run.broken.push(missing),
        }
    }

    fn host(&self, party: Party, before: &Before) -> Host {
        match party {
            Party::Primary => self.rig.node(before.primary).host,
            Party::Standby => self.rig.node(1 - before.primary).host,
            Party::Witness => Host::Witness,
        }
    }

    fn kill_both(&mut self, before: &Before, apart_ms: u64) -> Result<(), Trouble> {
        let first = if self.draw.between(0, 1) == 0 { before.primary } else { 1 - before.primary };
        self.rig.kill(first)?;
        let apart_ms = self.draw.between(0, apart_ms);
        self.rig.hold(apart_ms)?;
        self.rig.kill(1 - first)
    }

    /// It leads in a higher epoch than anybody had when the last cause came.
    fn await_lead(&mut self, at: usize) -> Result<(), Trouble> {
        let (name, led) = (self.rig.node(at).name, self.led);
        self.rig.until(&format!("node {name} leads in an epoch above {led}"), |rig| rig.stand(at).leads() > Some(led))
    }

    fn forbid_lead(&mut self, at: usize, ms: u64) -> Result<(), Trouble> {
        let until_ns = Clock.monotonic_ns() + ms * 1_000_000;
        while Clock.monotonic_ns() < until_ns {
            self.rig.hold(5)?;
            if self.rig.stand(at).leads().is_some() {
                return Err(Trouble::Broken(format!("node {} leads, though it lacks acknowledged records", self.rig.node(at).name)));
            }
        }
        Ok(())
    }

    fn swap_witness(&mut self, put: Put) -> Result<(), Trouble> {
        self.rig.kill_witness()?;
        let (own, aside) = (self.rig.witness_data(), self.rig.directory.join("witness-aside"));
        files::rename(&own, &aside)?;
        if put == Put::Old {
            files::rename(&self.rig.directory.join("witness-old"), &own)?;
        }
        self.rig.start_witness()
    }

    fn restore_witness(&mut self) -> Result<(), Trouble> {
        self.rig.kill_witness()?;
        let own = self.rig.witness_data();
        files::remove(&own)?;
        files::rename(&self.rig.directory.join("witness-aside"), &own)?;
        self.rig.start_witness()
    }

    /// Times, from what the nodes have said and answered.
    fn measure(&mut self, before: &Before, moments: Moments) {
        let Some(cause_ns) = moments.cause else { return };
        let lines = (0..2).flat_map(|at| self.rig.node(at).lines.iter()).filter(|line| line.at_ns >= cause_ns);
        let lines: Vec<_> = lines.collect();
        let first = |is: fn(&Said) -> bool| {
            let at_ns = lines.iter().filter(|line| is(&line.said)).map(|line| line.at_ns).min();
            at_ns.map(|at_ns| at_ns - cause_ns)
        };
        self.run.detected_ns = first(|_| true);
        self.run.leads_ns = first(|said| matches!(said, Said::Leading(_)));
        let from_ns = moments.mended.unwrap_or(cause_ns);
        self.run.in_sync_ns = self.rig.whole_since_ns().map(|since_ns| since_ns.saturating_sub(from_ns));
        self.run.epochs = self.rig.epoch() - before.epoch;
        self.run.changed = self.rig.leader().is_some_and(|(at, _)| at != before.primary);
    }

    fn judge(&mut self, course: &Course, before: &Before, moments: Moments, found: &Findings) {
        let run = &mut *self.run;
        (run.acknowledged, run.lost, run.doubled) = (found.acknowledged, found.lost, found.doubled);
        let (from_ns, to_ns) = found.gap;
        run.gap_ns = to_ns - from_ns;
        run.beside_gap_ns = found.beside.map(|beside| beside.gap_ns);
        run.resumed_ns = moments.mended.map(|mended_ns| if from_ns < mended_ns { to_ns.saturating_sub(mended_ns) } else { 0 });
        for (count, what) in [
            (found.lost, "acknowledged records are missing"),
            (found.doubled, "records are stored more than once"),
            (found.corrupted, "records are not what was sent"),
            (found.fatal, "batches were refused for good"),
            (found.beside.map_or(0, |beside| beside.failed), "records of the client beside the generator were given up"),
        ] {
            if count > 0 {
                run.broken.push(format!("{count} {what}"));
            }
        }
        if found.acknowledged == 0 || found.beside.is_some_and(|beside| beside.acknowledged == 0) {
            run.broken.push("nothing was acknowledged".to_owned());
        }
        let is_kept = match course.expect {
            Expect::Failover => run.changed && run.epochs > 0,
            Expect::Stay => !run.changed && run.epochs == 0,
            Expect::Epochs(most) => run.epochs <= most,
        };
        if !is_kept {
            let (changed, epochs, expect) = (run.changed, run.epochs, course.expect);
            let led = self.rig.node(before.primary).name;
            run.broken.push(format!("{expect:?} was expected of {led}, which led; {epochs} epochs were begun, changed: {changed}"));
        }
    }
}
