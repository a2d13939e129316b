//! From received bytes to framed records.

use super::place::State;
use super::{Connections, Held};
use crate::intake::{Intake, Route, Train};
use crate::offer::{Offered, Until};
use crate::tcp::end::End;
use crate::tcp::framing::Piece;
use headworks_io::{ConnectionSlot, ReceiveBuffers, Ring};
use headworks_ring::Filler;

/// What became of one piece.
enum Placed {
    /// Framed, or kept.
    Whole,
    /// Its record cannot be framed now.
    Waits(Until),
    /// There is no page to keep it in.
    Crowded,
}

impl Connections {
    /// Frames what was received, in order, until there is no more of it, or no room for it.
    pub fn take(&mut self, ring: &mut Ring, intake: &mut Intake, filler: &mut Filler, now_ns: u64) -> Offered {
        let mut finished = 0;
        // Taken out so that its bytes can be read while places change; put back before anything is returned.
        let Some(mut buffers) = self.buffers.take() else { return Offered { finished, until: Until::Done } };
        let mut until = Until::Done;
        while let Some(held) = self.held.front().copied() {
            let (taken, stopped) = self.take_receive(ring, intake, filler, &buffers, held, now_ns);
            if stopped != Until::Done {
                self.held.front_mut().expect("just seen").taken = taken;
                until = stopped;
                break;
            }
            self.held.pop_front();
            if let Some(buffer) = held.completion.buffer_id() {
                buffers.recycle(buffer);
            }
            self.place_mut(held.slot).held -= 1;
            self.free_if_over(ring, held.slot);
            finished += 1;
        }
        self.buffers = Some(buffers);
        Offered { finished, until }
    }

    /// One receive; how many of its bytes are taken, and whether that is all.
    fn take_receive(
        &mut self,
        ring: &mut Ring,
        intake: &mut Intake,
        filler: &mut Filler,
        buffers: &ReceiveBuffers,
        held: Held,
        now_ns: u64,
    ) -> (usize, Until) {
        let Some(bytes) = buffers.bytes(&held.completion) else {
            self.on_peers_end(ring, held.slot, held.completion.result == 0, now_ns);
            return (0, Until::Done);
        };
        let mut rest = &bytes[held.taken..];
        while self.place(held.slot).state == State::Open {
            let (before, mut decoder) = (rest.len(), self.place(held.slot).decoder);
            let piece = match decoder.next(&mut rest) {
                Ok(None) => {
                    self.place_mut(held.slot).decoder = decoder;
                    break;
                }
                Ok(Some(piece)) => piece,
                Err(too_long) => {
                    let listener = self.place(held.slot).listener;
                    self.listeners[listener].on_too_long();
                    self.end(ring, held.slot, End::TooLong(too_long), now_ns);
                    break;
                }
            };
            match self.take_piece(intake, filler, held.slot, piece, now_ns) {
                Placed::Whole => self.place_mut(held.slot).decoder = decoder,
                Placed::Waits(until) => return (bytes.len() - before, until),
                Placed::Crowded => {
                    self.end_the_slowest(ring, now_ns);
                    // Again from before the piece, unless this was the slowest one.
                    rest = &bytes[bytes.len() - before..];
                }
            }
        }
        (bytes.len(), Until::Done)
    }

    fn take_piece(&mut self, intake: &mut Intake, filler: &mut Filler, slot: ConnectionSlot, piece: Piece<'_>, now_ns: u64) -> Placed {
        let place = self.places[slot.0 as usize].as_mut().expect("a place in use");
        if !piece.ends {
            if place.kept.bytes() == 0 {
                place.kept_since_ns = now_ns;
            }
            return if self.pages.keep(&mut place.kept, piece.bytes) { Placed::Whole } else { Placed::Crowded };
        }
        let listener = &mut self.listeners[place.listener];
        let Some(room) = filler.claim() else { return Placed::Waits(Until::RingFull) };
        let route = Route {
            partition: listener.parts.partition,
            key: listener.parts.key_source.then_some(&place.key[..]),
            receive_time: listener.parts.receive_time,
            received_ns: now_ns,
        };
        let bytes = place.kept.bytes() + piece.bytes.len();
        let framed = if place.kept.bytes() == 0 {
            intake.take(room, &route, Train::new(piece.bytes, None)).packets == 1
        } else {
            intake.take_parts(room, &route, bytes, self.pages.parts(&place.kept).chain(std::iter::once(piece.bytes)))
        };
        if !framed {
            return Placed::Waits(Until::BlockFull);
        }
        self.pages.release(&mut place.kept);
        listener.on_record(bytes);
        if let Some(acks) = &mut place.acks {
            acks.on_record(filler.claimed().expect("claimed above"));
            self.untold |= acks.due().is_some();
            intake.await_it();
        }
        Placed::Whole
    }
}
