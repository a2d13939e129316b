//! x
#[path = "../harness/mod.rs"]
mod harness;
