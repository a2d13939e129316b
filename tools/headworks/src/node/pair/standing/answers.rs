//! What is answered to an operator's order: what will happen, or why nothing will.

use super::{Standing, heard_ns_ago, is_connected, lock, role_name};
use crate::config::ArbiterKind;
use headworks_gateway::http::administration::Act;
use headworks_replicator::event::{Event, Order};
use headworks_replicator::link::host::Seen;
use headworks_replicator::register::{Mode, Register};
use headworks_replicator::shard::Role;
use std::time::Instant;

impl Standing {
    /// Judges an order by what was seen last, and passes it on if it can be carried out.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn administer(&self, act: &Act) -> Result<String, String> {
        let seen = lock(&self.seen).clone();
        let register = seen.register.ok_or("the register is not known yet: the arbiter has not answered since this node started")?;
        let (order, says) = match act {
            Act::Switchover => self.switchover(&seen, &register)?,
            Act::Promote { fenced } => self.promote(&seen, &register, fenced)?,
            Act::Rejoin => self.rejoin(&seen)?,
        };
        *lock(&self.ordered) = Some(Instant::now());
        self.tell(Event::Order(order));
        Ok(says)
    }

    fn switchover(&self, seen: &Seen, register: &Register) -> Result<(Order, String), String> {
        let other = self.other();
        if !matches!(seen.role, Some(Role::Primary(_))) {
            let primary = self.name_of(register.primary);
            return Err(format!("this node is {}: order it at the primary, {primary}", role_name(seen.role)));
        }
        if register.mode != Mode::Auto {
            return Err("the operator is the arbiter: stop this node, then `headworks pair promote` on the other one".into());
        }
        self.arbiter_decides(seen)?;
        if register.standby.is_none() {
            return Err(format!(
                "{other} is not in sync: it lacks records that are committed here; `headworks pair status` says how far it is"
            ));
        }
        if !is_connected(seen) {
            return Err(format!("{other} is not connected"));
        }
        let says = format!(
            "{other} is to lead: this node takes no packet any more, {other} gets what it lacks and takes over, and this node starts over \
                and follows; if that takes longer than a second this node goes on to lead"
        );
        Ok((Order::Switchover, says))
    }

    fn promote(&self, seen: &Seen, register: &Register, fenced: &str) -> Result<(Order, String), String> {
        let known = lock(&self.peer).clone();
        let known = known.ok_or("this node has never met another one: there is nobody to be fenced")?;
        if fenced != known.name {
            return Err(format!("the other node is {}, not {fenced}: nothing is done", known.name));
        }
        // Whom the register means: another disk of the same name has taken the place of one that is gone.
        let meant = match seen.role {
            Some(Role::Standby) if register.primary.node != self.me.node => register.primary.node,
            _ => register.standby.map_or(known.node, |standby| standby.node),
        };
        if meant == known.node && self.hears(seen) {
            let ms = heard_ns_ago(seen) / 1_000_000;
            return Err(format!(
                "{fenced} is not fenced: it is connected, and was heard {ms} ms ago; to change roles use `headworks pair switchover`"
            ));
        }
        self.arbiter_decides(seen)?;
        let order = Order::Promote { fenced: meant };
        match seen.role {
            Some(Role::Primary(_)) if register.standby.is_none() => Err("this node leads alone already".into()),
            Some(Role::Primary(_)) => {
                Ok((order, format!("this node goes on without {fenced}: records are committed once they are durable here")))
            }
            Some(Role::Standby) if !self.is_in_sync(seen) => Err(format!(
                "this node was not in sync with {fenced}: it lacks committed records and cannot lead; start {fenced} again, or see \
                    docs/runbooks/peer-lost.md"
            )),
            Some(Role::Standby) if register.primary == self.me && !seen.needs_repair => {
                Err("the register names this node as primary already: it leads once it has looked again".into())
            }
            Some(Role::Standby) => {
                let disk = if seen.needs_repair { ", though its disk has failed: by your word it is good again" } else { "" };
                Ok((order, format!("this node is to lead alone, in epoch {} or above{disk}", register.epoch.0 + 1)))
            }
            role => Err(format!("this node is {}", role_name(role))),
        }
    }

    fn rejoin(&self, seen: &Seen) -> Result<(Order, String), String> {
        match seen.role {
            Some(Role::Standby) => Ok((Order::Rejoin, "this node starts over and compares its log with the primary's again".into())),
            role => Err(format!("this node is {}: only a standby rejoins", role_name(role))),
        }
    }

    /// Whether the arbiter can be asked to change the register.
    fn arbiter_decides(&self, seen: &Seen) -> Result<(), String> {
        if seen.frozen.is_some() {
            return Err("the register is not trusted: nothing is changed until it is; see docs/runbooks/frozen-register.md".into());
        }
        if self.kind == ArbiterKind::Witness && !seen.arbiter_answers {
            return Err("the witness does not answer: no role can change before it does".into());
        }
        Ok(())
    }
}
