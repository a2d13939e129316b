//! Between turns: one poll over every descriptor, until something is there or time is to be told of.

use super::PairLoop;
use crate::link::arbiter::Arbiter;
use crate::link::connection::Connection;
use crate::link::host::Host;
use crate::link::lane::Lane;
use crate::link::shipping::Shipped;
use headworks_io::Clock;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::os::fd::AsFd as _;
use std::time::Duration;

impl<H: Host, A: Arbiter> PairLoop<H, A> {
    /// Sleeps until something is there or time is to be told of.
    pub(super) fn wait(&mut self) {
        if self.wake.park() {
            return;
        }
        let due_ns = (self.ticked_ns + self.tick_ns).saturating_sub(Clock.monotonic_ns());
        let writable = {
            let mut fds = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN), PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            let mut owners = vec![None, None];
            for (connection, _) in &self.strangers {
                fds.push(PollFd::new(connection.fd(), PollFlags::POLLIN));
                owners.push(None);
            }
            for lending in &self.lent {
                fds.push(PollFd::new(lending.fd(), PollFlags::POLLOUT));
                owners.push(None);
            }
            for (fd, flag) in
                self.inquiry.iter().flat_map(|inquiry| [(inquiry.answers(), PollFlags::POLLIN), (inquiry.dials(), PollFlags::POLLOUT)])
            {
                fds.extend(fd.map(|fd| PollFd::new(fd, flag)));
                owners.extend(fd.map(|_| None));
            }
            for (at, lane) in self.lanes.iter().enumerate() {
                if let Some(connection) = &lane.connection {
                    fds.push(PollFd::new(connection.fd(), flags(lane, connection, self.is_promising(at))));
                    owners.push(Some(at));
                } else if let Some(fd) = lane.dialling.fd() {
                    fds.push(PollFd::new(fd, PollFlags::POLLOUT));
                    owners.push(None);
                }
            }
            // Whatever it says, the turn that follows looks at everything without blocking.
            let _woken = ppoll(&mut fds, Some(TimeSpec::from_duration(Duration::from_nanos(due_ns))), None).is_ok();
            let is_writable =
                |fd: &PollFd<'_>| fd.revents().is_some_and(|events| events.intersects(PollFlags::POLLOUT | PollFlags::POLLERR));
            let ready = fds.iter().zip(&owners).filter(|(fd, _)| is_writable(fd)).filter_map(|(_, owner)| *owner);
            ready.collect::<Vec<usize>>()
        };
        for at in writable {
            if let Some(connection) = &mut self.lanes[at].connection {
                connection.on_writable();
            }
        }
        self.wake.unpark();
        self.wake.drain();
    }
}

/// What a lane waits for.
fn flags<D: headworks_log::Disk>(lane: &Lane<D>, connection: &Connection, is_promising: bool) -> PollFlags {
    let mut flags = PollFlags::empty();
    // The wake tells when to go on.
    if !lane.holds_back() && !is_promising {
        flags |= PollFlags::POLLIN;
    }
    if connection.is_full() || lane.shipped == Shipped::Full {
        flags |= PollFlags::POLLOUT;
    }
    flags
}
