//! The log against a directory in memory, step by step.

mod append;
mod catalog;
mod decide;
mod history;
mod identity;
mod recovery;
mod retain;
mod rig;
