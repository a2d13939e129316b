//! Limits of this machine, measured in the same run: what remains of a scenario when the appliance's own work is left out.
//!
//! They use the appliance's own edge to the kernel (`headworks-io`), so that a better receive path or write path raises
//! the limit as well, and the ratio shows only what stands between the two.

pub mod copy;
pub mod disk;
pub mod read;
pub mod receive;
pub mod write;
