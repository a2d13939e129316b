//! Waiting for a state, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// Between two looks. Parking, since nobody unparks a test: the look is what counts, not the pause.
const PAUSE: Duration = Duration::from_millis(5);

/// Long enough for everything that happens at all on a shared machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `look` gives a value; fails with what the last look said instead.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) if Instant::now() >= deadline => panic!("{what}: not after {PATIENCE:?}; the last look said: {instead}"),
            Err(_) => thread::park_timeout(PAUSE),
        }
    }
}

/// [`until`] for a condition, with the words that describe the state when it does not hold.
pub fn until_true(what: &str, mut look: impl FnMut() -> (bool, String)) {
    until(what, || match look() {
        (true, _) => Ok(()),
        (false, instead) => Err(instead),
    });
}
