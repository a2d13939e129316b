//! The arbiter: the real witness over a file in memory that tears and forgets what was not synced.

use crate::random::Random;
use headworks_format::witness::Identity;
use headworks_replicator::register::{RECORD_BYTES, Register};
use headworks_replicator::witness::{Answer, Ask, Effect, Request, Says, Witness, decode_request, encode_answer, open};

/// Sectors are written whole.
const SECTOR_BYTES: usize = 512;

/// See the module.
#[derive(Debug)]
pub struct Arbiter {
    random: Random,
    /// None while it is down.
    witness: Option<Witness>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Box<[u8; RECORD_BYTES]>)>,
    /// Effects until it dies.
    pub fuse: Option<u32>,
    /// Answers before it has synced: shows that the checks can fail.
    forgets: bool,
    /// Crashes.
    pub crashes: u64,
    /// Swaps done.
    pub swaps: u64,
}

impl Arbiter {
    /// A new one.
    pub fn new(random: Random, forgets: bool) -> Arbiter {
        let (witness, made) = Witness::format(Identity { incarnation: 77, created_ns: 1 });
        let mut arbiter =
            Arbiter { random, witness: None, durable: Vec::new(), unsynced: Vec::new(), fuse: None, forgets, crashes: 0, swaps: 0 };
        let made = arbiter.carry_out(&made);
        assert!(made, "nothing fails at first");
        arbiter.witness = Some(witness);
        arbiter
    }

    /// Whether it is there.
    pub fn is_up(&self) -> bool {
        self.witness.is_some()
    }

    /// Who it is, while it is there.
    pub fn incarnation(&self) -> Option<u128> {
        self.witness.as_ref().map(Witness::incarnation)
    }

    /// What it holds, or will hold when it is up again: the truth that no node has.
    pub fn register(&self) -> Option<Register> {
        let opened;
        let witness = match &self.witness {
            Some(witness) => witness,
            None => {
                opened = open(&self.durable).ok()?;
                &opened.witness
            }
        };
        witness.register(0, 0).ok().flatten()
    }

    /// Answers a question, or dies over it.
    pub fn answer(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (request, _) = decode_request(bytes).ok().flatten()?;
        let says = self.says(&request)?;
        let mut out = Vec::new();
        let witness = self.witness.as_ref().map_or(77, Witness::incarnation);
        encode_answer(&Answer { id: request.id, witness, says }, &mut out);
        Some(out)
    }

    fn says(&mut self, request: &Request) -> Option<Says> {
        let witness = self.witness.as_mut()?;
        let Ask::Swap(swap) = &request.ask else {
            return Some(witness.register(request.witness, request.place).map_or_else(Says::Denied, Says::Register));
        };
        let swapping = match witness.swap(request.witness, request.place, swap) {
            Ok(swapping) => swapping,
            Err(why) => return Some(Says::Denied(why)),
        };
        let says = match swapping.answer {
            headworks_replicator::register::SwapAnswer::Swapped => Says::Swapped,
            headworks_replicator::register::SwapAnswer::Refused(register) => Says::Refused(register),
        };
        let forgets = self.forgets;
        let is_done = |effect: &&Effect| !forgets || **effect != Effect::Sync;
        for effect in swapping.before.iter().filter(is_done) {
            if !self.carry_out(effect) {
                return None;
            }
        }
        self.swaps += u64::from(says == Says::Swapped);
        // Behind the answer: whether it dies here, the answer is on its way.
        let _lives = swapping.behind.iter().filter(is_done).all(|effect| self.carry_out(effect));
        Some(says)
    }

    /// Carries an effect out; false when it died instead.
    fn carry_out(&mut self, effect: &Effect) -> bool {
        match &mut self.fuse {
            Some(0) => {
                self.crash();
                return false;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        match effect {
            Effect::Replace(file) => {
                self.durable.clone_from(file);
                self.unsynced.clear();
            }
            Effect::Write { offset, page } => self.unsynced.push((*offset, page.clone())),
            Effect::Sync => {
                for (offset, page) in std::mem::take(&mut self.unsynced) {
                    self.durable[offset..offset + RECORD_BYTES].copy_from_slice(&page[..]);
                }
            }
        }
        true
    }

    /// Dies: what was not synced is there, torn or not.
    pub fn crash(&mut self) {
        (self.witness, self.fuse) = (None, None);
        self.crashes += 1;
        for (offset, page) in std::mem::take(&mut self.unsynced) {
            let temper = self.random.below(3);
            for at in (0..RECORD_BYTES).step_by(SECTOR_BYTES) {
                if temper == 0 || (temper == 1 && self.random.chance(500)) {
                    self.durable[offset + at..offset + at + SECTOR_BYTES].copy_from_slice(&page[at..at + SECTOR_BYTES]);
                }
            }
        }
    }

    /// Its file, as a copy that an operator makes.
    pub fn copy(&self) -> Vec<u8> {
        self.durable.clone()
    }

    /// It has this file from now on: an older copy, or its own again. It is down.
    pub fn restore(&mut self, file: Vec<u8>) {
        self.crash();
        self.durable = file;
    }

    /// Its file is gone: it is another arbiter from now on, which knows nothing.
    pub fn wipe(&mut self, incarnation: u128) {
        self.crash();
        let (witness, made) = Witness::format(Identity { incarnation, created_ns: 1 });
        self.carry_out(&made);
        self.witness = Some(witness);
    }

    /// Starts again; what it says of its file if it cannot.
    ///
    /// # Errors
    /// The file is damaged, which no crash may do.
    pub fn start(&mut self) -> Result<(), String> {
        if self.is_up() {
            return Ok(());
        }
        let opened = open(&self.durable).map_err(|fault| fault.to_string())?;
        for repair in &opened.repairs {
            if !self.carry_out(repair) {
                return Ok(());
            }
        }
        self.witness = Some(opened.witness);
        Ok(())
    }
}
