//! Datagrams of one turn that wait to leave by one socket, and those that did not.
//!
//! Refuses to know: what they say.

use crate::net::udp::{SipSocket, Unsent, send};
use model::TransportFault;
use sip::Transmit;

/// A turn's datagrams for one socket.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Vec<Transmit>,
    unsent: Vec<Unsent>,
    failed: Vec<(Transmit, Option<TransportFault>)>,
}

impl Outbox {
    /// One more.
    pub(crate) fn push(&mut self, transmit: Transmit) {
        self.waiting.push(transmit);
    }

    /// None waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sends all that wait, in order; returns how many left.
    pub(crate) fn send(&mut self, by: &SipSocket) -> usize {
        let datagrams = self.waiting.iter().map(|transmit| (transmit.flow.peer, transmit.bytes.as_slice()));
        let sent = send(by, datagrams, &mut self.unsent);
        // From the last, so that the places of the others stay; each is rare.
        for unsent in self.unsent.drain(..).rev() {
            let transmit = self.waiting.swap_remove(unsent.index);
            self.failed.push((transmit, unsent.fault));
        }
        self.waiting.clear();
        sent
    }

    /// The next that did not leave; without a fault when there was only no room.
    pub(crate) fn unsent(&mut self) -> Option<(Transmit, Option<TransportFault>)> {
        self.failed.pop()
    }
}
