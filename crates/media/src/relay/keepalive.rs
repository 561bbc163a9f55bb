//! Keeping the way to a side open: who is sent nothing for long is forgotten by the NAT and the firewall between.
//!
//! While its other side is silent, or on hold, a side is sent an empty datagram now and then, which no receiver takes for sound (RFC 6263
//! §4.1); a fax is left alone. It is seen to by time and by what was counted: a packet that passes pays nothing for it. Refuses to know: who is behind a NAT.

use super::{Component, PairId, Relay};
use crate::agenda::Task;
use crate::anchor::Shape;
use model::{Instant, Span};

/// Nothing for so long, and an empty datagram is sent: UDP bindings last 30 s and more (RFC 6263 §1 says 15 s is what to keep below).
const EVERY: Span = Span::from_secs(15);

impl Relay {
    /// A side is joined: it is seen to at the next tick, and every while from then on.
    pub(super) fn begin_to_keep_alive(&mut self, pair: PairId) {
        self.outbox.make_room();
        self.agenda.set(Instant::ZERO, pair, Task::KeepAlive);
    }

    pub(super) fn keep_alive(&mut self, now: Instant, at: Instant, pair: PairId) {
        let sent = self.sent_to(pair);
        let Some(side) = self.side(pair) else { return };
        let (due, before) = side.kept_alive;
        if due != at {
            // Set for a call that had the pair before.
            return;
        }
        let idle = sent == before && due != Instant::ZERO && side.shape != Shape::Opaque;
        let to = side.latch.send_to().filter(|_| idle);
        side.kept_alive = (now + EVERY, sent);
        self.agenda.set(now + EVERY, pair, Task::KeepAlive);
        if let Some(to) = to {
            self.counters.kept_alive += 1;
            self.make(pair, Component::Rtp, to, &[]);
        }
    }

    /// Packets that a side was sent: those of the other one.
    fn sent_to(&self, pair: PairId) -> u64 {
        let side = |pair: PairId| self.sides.get(pair.index())?.as_ref();
        side(pair).and_then(|own| side(own.peer)).map_or(0, |other| other.counters.relayed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Peer;
    use crate::{Packet, rtp};
    use core::net::SocketAddr;
    use std::vec::Vec;

    const A: PairId = PairId(0);
    const B: PairId = PairId(1);

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_secs(100 + s)
    }

    fn anchored() -> Relay {
        let mut relay = Relay::new(64);
        relay.join(A, B).unwrap();
        for (side, rtp) in [(A, "192.0.2.1:4000"), (B, "198.51.100.1:6000")] {
            relay.expect(side, &Peer { rtp: rtp.parse().unwrap(), rtcp: None, mux: false });
        }
        relay
    }

    fn speaks(relay: &mut Relay, s: u64, sequence: u16) {
        let mut bytes = [0; 172];
        let header = rtp::Header { marker: false, payload_type: 8, sequence, timestamp: 160, ssrc: 7 };
        rtp::write(bytes.first_chunk_mut().unwrap(), &header);
        let from = "192.0.2.1:4000".parse().unwrap();
        relay.forward(at(s), A, Component::Rtp, from, &mut Packet::whole(&mut bytes));
    }

    fn made(relay: &mut Relay) -> Vec<(PairId, SocketAddr, usize)> {
        core::iter::from_fn(|| relay.poll_made().map(|made| (made.pair, made.to, made.packet.len()))).collect()
    }

    #[test]
    fn who_is_sent_nothing_is_sent_an_empty_datagram_and_nobody_else_6263_4_1() {
        let mut relay = anchored();
        relay.tick(at(0));
        assert_eq!(made(&mut relay), Vec::new(), "a call that has only begun");
        assert!(relay.deadline().is_some_and(|due| due <= at(15)));
        for second in 1..60 {
            speaks(&mut relay, second, second as u16);
            relay.tick(at(second));
            let sent = made(&mut relay);
            let expected = if second % 15 == 0 { vec![(A, "192.0.2.1:4000".parse().unwrap(), 0)] } else { vec![] };
            assert_eq!(sent, expected, "second {second}: only who speaks hears nothing");
        }
        assert_eq!(relay.counters().kept_alive, 3);
    }

    #[test]
    fn a_pair_that_is_used_again_is_seen_to_once() {
        let mut relay = anchored();
        relay.tick(at(0));
        relay.release(A);
        relay.join(A, B).unwrap();
        relay.expect(A, &Peer { rtp: "192.0.2.9:4000".parse().unwrap(), rtcp: None, mux: false });
        relay.tick(at(5));
        relay.tick(at(15));
        assert_eq!(made(&mut relay), []);
        relay.tick(at(20));
        assert_eq!(made(&mut relay), [(A, "192.0.2.9:4000".parse().unwrap(), 0)]);
    }

    use std::vec;
}
