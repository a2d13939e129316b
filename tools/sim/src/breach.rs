//! A check that did not hold, and the count of those that did: a check that never ran has shown nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The promise.
    pub promise: &'static str,
    /// What was found.
    pub found: String,
}

impl Breach {
    /// A broken promise.
    #[must_use]
    pub fn new(promise: &'static str, found: String) -> Breach {
        Breach { promise, found }
    }
}

impl core::fmt::Display for Breach {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.promise, self.found)
    }
}

thread_local! {
    static CHECKED: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Counts the check and says what was found where it does not hold.
///
/// # Errors
/// It does not hold.
pub fn check(promise: &'static str, holds: bool, found: impl FnOnce() -> String) -> Result<(), Breach> {
    CHECKED.with_borrow_mut(|checked| *checked.entry(promise).or_default() += 1);
    if holds { Ok(()) } else { Err(Breach::new(promise, found())) }
}

/// How often each promise was checked on this thread since the last call.
#[must_use]
pub fn take_checked() -> BTreeMap<&'static str, u64> {
    CHECKED.take()
}
