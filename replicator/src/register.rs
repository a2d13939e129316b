//! The register and its one way to change: compare and swap.
//!
//! Its bytes are [`headworks_format::register`]'s. Every arbiter answers a swap by [`swapped`], so that a witness, a file and
//! the model in the tests cannot differ in what a swap means.

pub use headworks_format::register::{Member, Mode, RECORD_BYTES, Record, Register};

/// A change: the register that is to be, if the version is still the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Swap {
    /// The version that the change was made from; 0 when the register was never written.
    pub expected: u64,
    /// The register that is to be, of the version after that one.
    pub register: Register,
}

/// What an arbiter says to a swap that it has taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapAnswer {
    /// The register is now the one asked for, durably.
    Swapped,
    /// Nothing has changed: the version was another one. The register as it is; none when it was never written.
    Refused(Option<Register>),
}

impl Swap {
    /// The change from `current` to `register`, whose version is set to the one after.
    #[must_use]
    pub fn from(current: Option<&Register>, register: Register) -> Swap {
        let expected = version_of(current);
        Swap { expected, register: Register { version: expected + 1, ..register } }
    }
}

/// The version of a register, 0 for one that was never written.
#[must_use]
pub fn version_of(register: Option<&Register>) -> u64 {
    register.map_or(0, |register| register.version)
}

/// What becomes of `current` by a swap, and what is answered. The caller makes it durable before it answers.
#[must_use]
pub fn swapped(current: Option<Register>, swap: &Swap) -> (Option<Register>, SwapAnswer) {
    if version_of(current.as_ref()) == swap.expected && swap.register.version == swap.expected + 1 {
        return (Some(swap.register), SwapAnswer::Swapped);
    }
    (current, SwapAnswer::Refused(current))
}

#[cfg(test)]
mod tests;
