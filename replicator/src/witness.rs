//! The arbiter's own side: registers in a file, and what a swap does to it, step by step.
//!
//! ```text
//!             slot 0  slot 1
//! swap        v       v        write slot 0     ~    v      die here: v, and nobody was told otherwise
//!             v+1     v        sync, answer     v+1  v      die here: v+1; the next start repeats slot 1
//!             v+1     v        write slot 1     v+1  ~      die here: v+1
//!             v+1     v+1      sync
//! ```
//!
//! Why the second slot is written again behind the answer and not only by the next swap: with the last two registers in turn, one
//! rotten page makes the one before the present one, whole and silently. With two equal slots, what was answered stands twice, and one
//! damaged slot costs nothing. The answer waits for one sync all the same.
//!
//! The first register of a place is written with the whole file, beside it, and renamed. So no crash leaves a place with a torn slot
//! and a blank one, and such a place is damage: nobody starts blank over what cannot be read.
//!
//! Pure: requests in, answers and [`Effect`]s out. It refuses a place that does not exist, a register of another pair than the place's,
//! and who asks for another arbiter: whoever lost its file is another one, and knows nothing (a witness with amnesia must not vote).

mod calls;
mod contents;
mod wire;

pub use calls::{Answered, Calls, Outcome, Unreachable};
pub use contents::{Fault, Note, Opened, open};
pub use headworks_format::witness::PLACES;
pub use wire::{Answer, Ask, Denied, FRAME_BYTES_MAX, Request, Says, decode_answer, decode_request, encode_answer, encode_request};

use crate::register::{RECORD_BYTES, Register, Swap, SwapAnswer, swapped};
use headworks_format::witness::{FILE_BYTES, HEADS, Identity, SLOTS, head_offset, slot_offset};

/// What is to be done to the file, in order; the first that fails ends the process, and is never tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The whole file, written beside it, made durable, and renamed over it.
    Replace(Vec<u8>),
    /// A page, in place.
    Write {
        /// Where it begins.
        offset: usize,
        /// What is written.
        page: Box<[u8; RECORD_BYTES]>,
    },
    /// Everything written so far made durable.
    Sync,
}

/// A swap's answer, and when it may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swapping {
    /// To be done before the answer leaves, and before anybody else is told of the register.
    pub before: Vec<Effect>,
    /// What is answered.
    pub answer: SwapAnswer,
    /// To be done behind the answer, and before anything else is asked.
    pub behind: Vec<Effect>,
}

/// The registers of a file; what stands here is what the file will say when every effect is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    identity: Identity,
    places: Box<[Option<Register>; PLACES]>,
}

impl Witness {
    /// One without a register, and the effect that makes its file.
    #[must_use]
    pub fn format(identity: Identity) -> (Witness, Effect) {
        let witness = Witness { identity, places: Box::new([None; PLACES]) };
        let file = Effect::Replace(witness.file());
        (witness, file)
    }

    /// Identity of the file: a new file is another arbiter.
    #[must_use]
    pub fn incarnation(&self) -> u128 {
        self.identity.incarnation
    }

    /// The register of a place; none when it was never written.
    ///
    /// # Errors
    /// There is no such place, or the question is for another arbiter; 0 means whoever is there.
    pub fn register(&self, witness: u128, place: u16) -> Result<Option<Register>, Denied> {
        if witness != 0 && witness != self.identity.incarnation {
            return Err(Denied::OtherWitness);
        }
        self.places.get(usize::from(place)).copied().ok_or(Denied::Place)
    }

    /// Swaps the register of a place, if the version is the expected one.
    ///
    /// # Errors
    /// As [`Witness::register`], or the place belongs to another pair.
    pub fn swap(&mut self, witness: u128, place: u16, swap: &Swap) -> Result<Swapping, Denied> {
        let current = self.register(witness, place)?;
        if current.is_some_and(|current| current.pair != swap.register.pair) {
            return Err(Denied::OtherPair);
        }
        let (register, answer) = swapped(current, swap);
        let place = usize::from(place);
        self.places[place] = register;
        let (before, behind) = match (answer, register) {
            (SwapAnswer::Swapped, Some(register)) if current.is_some() => (rewrite(place, 0, &register), rewrite(place, 1, &register)),
            (SwapAnswer::Swapped, _) => (vec![Effect::Replace(self.file())], Vec::new()),
            (SwapAnswer::Refused(_), _) => (Vec::new(), Vec::new()),
        };
        Ok(Swapping { before, answer, behind })
    }

    /// The file's bytes.
    fn file(&self) -> Vec<u8> {
        let mut file = vec![0; FILE_BYTES];
        let mut put = |offset: usize, page: &[u8]| file[offset..offset + page.len()].copy_from_slice(page);
        let head = self.identity.encode();
        (0..HEADS).for_each(|at| put(head_offset(at), &head[..]));
        for (place, register) in self.places.iter().enumerate() {
            let Some(register) = register else { continue };
            let record = register.encode();
            (0..SLOTS).for_each(|slot| put(slot_offset(place, slot), &record[..]));
        }
        file
    }
}

fn rewrite(place: usize, slot: usize, register: &Register) -> Vec<Effect> {
    vec![Effect::Write { offset: slot_offset(place, slot), page: register.encode() }, Effect::Sync]
}

#[cfg(test)]
mod tests;
