//! Each rule of the pair, by a test that fails without it; then handovers, an operator as arbiter, and what no event may do.

use super::*;
use crate::event::{Introduction, Read};
use crate::message::{Ack, Envelope, PROTOCOL, Refusal, Verdict};
use crate::register::Swap;
use headworks_format::Chain;
use headworks_format::units::EPOCH_MAX;
use proptest::prelude::*;

mod by_hand;
mod handover;
mod rig;
mod rules;
mod wild;

use rig::*;
