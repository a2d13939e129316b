//! The log against a directory in memory, step by step.

mod decide;
mod follow;
mod heal;
mod identity;
mod recovery;
mod rig;
