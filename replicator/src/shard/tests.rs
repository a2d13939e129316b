//! Each rule of the pair, by a test that fails without it; then handovers, and what no event may do.

use super::*;
use crate::event::{Introduction, Read};
use crate::message::{Ack, Envelope, PROTOCOL, Refusal, Verdict};
use crate::register::Swap;
use headworks_format::Chain;
use proptest::prelude::*;

mod handover;
mod rig;
mod rules;
mod wild;

use rig::*;
