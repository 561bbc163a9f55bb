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

#[cfg(test)]
mod tests {
    use super::*;
    use model::SocketId;
    use sip::{Flow, Transport};
    use std::net::{SocketAddr, UdpSocket};

    fn transmit(peer: SocketAddr, bytes: &[u8]) -> Transmit {
        Transmit { flow: Flow { socket: SocketId(0), peer, transport: Transport::Udp }, bytes: bytes.to_vec() }
    }

    #[test]
    fn what_did_not_leave_comes_back_whole_and_the_rest_leaves_in_order() {
        let by = SipSocket::open("127.0.0.85:0".parse().expect("an address"), false).expect("a socket");
        let to = UdpSocket::bind("127.0.0.85:0").expect("a socket");
        let peer = to.local_addr().expect("an address");
        let large = vec![1; 65_508];
        let mut outbox = Outbox::default();
        for bytes in [&b"a"[..], &large, b"b", &large, b"c"] {
            outbox.push(transmit(peer, bytes));
        }
        assert_eq!(outbox.send(&by), 3);
        assert!(outbox.is_empty());
        for _ in 0..2 {
            let (back, fault) = outbox.unsent().expect("one that did not leave");
            assert_eq!((back.bytes.len(), back.flow.peer, fault), (65_508, peer, Some(TransportFault::TooLarge)));
        }
        assert!(outbox.unsent().is_none());
        let mut got = [0; 8];
        for want in *b"abc" {
            let (length, _) = to.recv_from(&mut got).expect("a datagram");
            assert_eq!(&got[..length], [want]);
        }
    }
}
