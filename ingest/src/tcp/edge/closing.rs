//! How connections end.

use super::place::State;
use super::{ASSEMBLY_BYTES, Connections, DRAINING_NS_MAX};
use crate::tcp::end::{End, LINE_BYTES_MAX};
use headworks_io::{Completion, ConnectionSlot, Ring};
use std::net::Shutdown;

impl Connections {
    /// Decides the end of a connection that is open; what is kept of it is given back.
    pub(super) fn end(&mut self, ring: &mut Ring, slot: ConnectionSlot, end: End, now_ns: u64) {
        let place = self.places[slot.0 as usize].as_mut().expect("a place in use");
        self.pages.release(&mut place.kept);
        place.heard_ns = now_ns;
        self.listeners[place.listener].parts.tally.on_end(end);
        match end {
            End::Closed if !place.is_settled() => place.state = State::Finishing,
            End::Closed | End::Failed => self.shut(ring, slot),
            told => {
                place.state = State::Telling(told);
                self.tell(ring, slot);
            }
        }
    }

    /// The peer sends no more, or is gone.
    pub(super) fn on_peers_end(&mut self, ring: &mut Ring, slot: ConnectionSlot, is_orderly: bool, now_ns: u64) {
        let place = self.place(slot);
        match place.state {
            State::Open if !is_orderly => self.end(ring, slot, End::Failed, now_ns),
            State::Open if place.decoder.is_within() => {
                let bytes = place.kept.bytes();
                self.end(ring, slot, End::Partial { bytes }, now_ns);
            }
            State::Open => self.end(ring, slot, End::Closed, now_ns),
            // It was told, and nothing more comes that would have to be thrown away. While it is being told, the send's end
            // sees that the receive has ended.
            State::Draining if !place.sending => self.shut(ring, slot),
            State::Finishing if !is_orderly => self.shut(ring, slot),
            State::Telling(_) | State::Draining | State::Finishing | State::Gone => {}
        }
    }

    /// A send ended.
    pub(super) fn on_sent(&mut self, ring: &mut Ring, slot: ConnectionSlot, completion: &Completion) {
        let place = self.place_mut(slot);
        place.sending = false;
        let (state, has_ended) = (place.state, place.ended);
        match state {
            // The peer is gone; its receive says so too, unless that has ended already.
            State::Open if completion.result < 0 => {}
            State::Finishing if completion.result < 0 => self.shut(ring, slot),
            State::Open => {
                self.tell_count(ring, slot);
            }
            State::Finishing => {
                if !self.tell_count(ring, slot) && self.place(slot).is_settled() {
                    self.shut(ring, slot);
                }
            }
            State::Telling(_) => self.tell(ring, slot),
            State::Draining if has_ended => self.shut(ring, slot),
            State::Draining => {
                // Refused only by a peer that is gone, which its receive will say.
                let _gone = ring.shut(slot, Shutdown::Write).is_err();
            }
            State::Gone => self.free_if_over(ring, slot),
        }
    }

    /// Sends the line; tried again at each sweep and each send's end while there is no room for it.
    fn tell(&mut self, ring: &mut Ring, slot: ConnectionSlot) {
        let State::Telling(end) = self.place(slot).state else { return };
        let mut line = [0; LINE_BYTES_MAX];
        let bytes = end.line(&self.listeners[self.place(slot).listener].terms(ASSEMBLY_BYTES), &mut line);
        if ring.send_to(slot, &line[..bytes]) {
            let place = self.place_mut(slot);
            place.sending = true;
            place.state = State::Draining;
        }
    }

    /// Ends both directions; the place is freed once nothing of it is under way.
    fn shut(&mut self, ring: &mut Ring, slot: ConnectionSlot) {
        self.place_mut(slot).state = State::Gone;
        // Refused only by a connection that has ended, which is what is wanted.
        let _ended = ring.shut(slot, Shutdown::Both).is_err();
        self.free_if_over(ring, slot);
    }

    /// Frees the place of a connection that is gone: nothing in flight, nothing held, nothing to be armed.
    pub(super) fn free_if_over(&mut self, ring: &mut Ring, slot: ConnectionSlot) {
        let place = self.place(slot);
        if place.state != State::Gone || place.held > 0 || !place.ended || ring.is_in_flight(slot) {
            return;
        }
        let (listed, listener) = (place.listed, place.listener);
        ring.close(slot);
        self.places[slot.0 as usize] = None;
        self.open.swap_remove(listed);
        if let Some(moved) = self.open.get(listed).copied() {
            self.place_mut(ConnectionSlot(moved)).listed = listed;
        }
        self.free.push(slot.0);
        self.listeners[listener].open -= 1;
        self.listeners[listener].parts.tally.on_free();
    }

    /// Ends the connection that has been within its record for longest, so that others have pages.
    pub(super) fn end_the_slowest(&mut self, ring: &mut Ring, now_ns: u64) {
        let within = self.open.iter().copied().filter(|slot| self.place(ConnectionSlot(*slot)).kept.bytes() > 0);
        let slowest = within.min_by_key(|slot| self.place(ConnectionSlot(*slot)).kept_since_ns);
        let slowest = slowest.expect("a pool without free pages is kept by somebody");
        self.end(ring, ConnectionSlot(slowest), End::Crowded, now_ns);
    }

    /// Looks at every connection's limits of time.
    pub(super) fn sweep(&mut self, ring: &mut Ring, now_ns: u64) {
        self.listeners.iter_mut().for_each(|listener| listener.is_waiting = false);
        for at in (0..self.open.len()).rev() {
            let slot = ConnectionSlot(self.open[at]);
            let place = self.place(slot);
            let silent_ns = now_ns.saturating_sub(place.heard_ns);
            let idle_ns_max = self.listeners[place.listener].parts.idle_ns_max;
            match place.state {
                // Who is not told because he does not read, and sends nothing either.
                State::Open if place.sending && now_ns.saturating_sub(place.sending_since_ns.max(place.heard_ns)) >= idle_ns_max => {
                    self.end(ring, slot, End::Failed, now_ns);
                }
                // Who is not listened to, for want of buffers, is not silent.
                State::Open if !place.armed => self.place_mut(slot).heard_ns = now_ns,
                State::Open if silent_ns >= idle_ns_max && place.held == 0 && place.is_settled() => self.end(ring, slot, End::Idle, now_ns),
                State::Telling(_) | State::Draining if silent_ns >= DRAINING_NS_MAX => self.shut(ring, slot),
                State::Telling(_) => self.tell(ring, slot),
                State::Finishing if silent_ns >= idle_ns_max => self.shut(ring, slot),
                State::Open | State::Draining | State::Finishing | State::Gone => {}
            }
        }
    }
}
