//! Another party takes the place of one that is gone, at the same pair: whoever stays goes on hearing one stream.
//!
//! Where the old one was, what was counted of it, what it spoke and its keys go with it. Only its numbers and its clock, as the one who
//! stays knows them, are gone on from. Refuses to know: why it is gone, and who comes.

use super::{AnchorCounters, PairId, Relay};

impl Relay {
    /// From now on another party is at the side that `stays` is joined to. What was counted until then.
    pub fn succeed(&mut self, stays: PairId) -> AnchorCounters {
        let counted = self.counted(stays);
        let Some(other) = self.side(stays).map(|side| side.peer) else { return counted };
        if let Some(gone) = self.side(other) {
            gone.give_way();
        }
        if let Some(side) = self.side(stays) {
            side.begin_anew();
        }
        self.unfinished.retain(|(pair, _)| *pair != other);
        for pair in [stays, other] {
            self.begin_to_keep_alive(pair);
            self.begin_to_report(pair);
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::Law;
    use crate::relay::{Component, Forward, Peer};
    use crate::{Packet, rtp};
    use core::net::SocketAddr;
    use model::{Instant, Span};

    const A: PairId = PairId(0);
    const B: PairId = PairId(1);
    const C: PairId = PairId(2);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_secs(100) + Span::from_millis(ms)
    }

    fn of(party: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, party], 4_000))
    }

    fn anchored() -> Relay {
        let mut relay = Relay::new(64);
        relay.join(A, B).unwrap();
        for (side, party) in [(A, 1), (B, 2)] {
            relay.expect(side, &Peer { rtp: of(party), rtcp: None, mux: false });
        }
        relay.tick(at(0));
        while relay.poll_made().is_some() {}
        relay
    }

    /// One packet of a party; whom it went to, and by which numbers.
    fn speaks(relay: &mut Relay, ms: u64, pair: PairId, party: u8, n: u16) -> Option<(SocketAddr, rtp::Header)> {
        let mut bytes = [0x2b; 172];
        let header = rtp::Header {
            marker: false,
            payload_type: 8,
            sequence: n,
            timestamp: u32::from(n) * 160,
            ssrc: u32::from(party),
        };
        rtp::write(bytes.first_chunk_mut().unwrap(), &header);
        let mut packet = Packet::whole(&mut bytes);
        match relay.forward(at(ms), pair, Component::Rtp, of(party), &mut packet) {
            Forward::Send { to, .. } => Some((to, rtp::read(packet.bytes()).unwrap())),
            _ => None,
        }
    }

    /// RFC 3550 §5.1: one stream has one name, numbers without gaps and a clock that goes on; comfort noise and the next party are of it.
    #[test]
    fn who_stays_hears_one_stream_of_the_one_before_of_comfort_noise_and_of_the_next() {
        let mut relay = anchored();
        let mut heard = std::vec::Vec::new();
        for n in 0..50 {
            heard.push((at(20 * u64::from(n)), speaks(&mut relay, 20 * u64::from(n), B, 2, 700 + n).unwrap().1));
        }
        relay.succeed(A);
        relay.comfort(at(4_000), A, &Law::A.format(), None).unwrap();
        assert_eq!(speaks(&mut relay, 4_000, B, 2, 900), None, "whoever was there is a stranger now");
        relay.repoint(A, C).unwrap();
        for ms in (4_000..4_500).step_by(20) {
            relay.tick(at(ms));
            while let Some(made) = relay.poll_made() {
                assert_eq!((made.pair, made.to), (A, of(1)));
                heard.extend(rtp::read(made.packet).map(|header| (at(ms), header)));
            }
        }
        relay.expect(C, &Peer { rtp: of(3), rtcp: None, mux: false });
        for n in 0..50 {
            let ms = 4_500 + 20 * u64::from(n);
            heard.push((at(ms), speaks(&mut relay, ms, C, 3, 9_000 + n).unwrap().1));
        }
        assert_eq!(heard.len(), 125);
        for pair in heard.windows(2) {
            let [(then, before), (now, after)] = pair else { continue };
            assert_eq!((after.ssrc, after.sequence), (2, before.sequence + 1));
            assert_eq!(u64::from(after.timestamp - before.timestamp), now.since(*then).as_millis() * 8);
        }
        let (to, header) = speaks(&mut relay, 5_600, A, 1, 33).unwrap();
        assert_eq!((to, header.ssrc, header.sequence), (of(3), 1, 33), "to the next one it is a stream of its own");
    }

    #[test]
    fn each_of_the_two_is_counted_for_itself() {
        let mut relay = anchored();
        (0..30).for_each(|n| assert!(speaks(&mut relay, 20 * u64::from(n), B, 2, n).is_some()));
        (0..20).for_each(|n| assert!(speaks(&mut relay, 20 * u64::from(n), A, 1, n).is_some()));
        let before = relay.succeed(A);
        assert_eq!((before.first.relayed, before.second.relayed), (20, 30));
        relay.expect(B, &Peer { rtp: of(3), rtcp: None, mux: false });
        (0..5).for_each(|n| assert!(speaks(&mut relay, 9_000 + 20 * u64::from(n), B, 3, n).is_some()));
        let after = relay.release(A);
        assert_eq!((after.first.relayed, after.second.relayed), (0, 5));
        assert!(after.second.longest_gap <= Span::from_millis(20), "what was before is no gap of his");
        assert_eq!(relay.succeed(A), AnchorCounters::default(), "nobody is there");
    }

    /// Hundreds of parties are kept at the same moment, and the machine was busy: all of what is due leaves, and no number is missing.
    #[test]
    fn comfort_of_many_who_are_kept_leaves_without_a_hole_however_much_of_it_is_due_at_once() {
        const MANY: u32 = 300;
        let mut relay = Relay::new(2 * MANY as usize);
        for n in 0..MANY {
            let (stays, gone) = (PairId(2 * n), PairId(2 * n + 1));
            relay.join(stays, gone).unwrap();
            relay.expect(stays, &Peer { rtp: of(1), rtcp: None, mux: false });
            relay.succeed(stays);
            relay.comfort(at(0), stays, &Law::A.format(), None).unwrap();
        }
        let mut heard = std::vec![std::vec::Vec::new(); MANY as usize];
        // Once by the clock, and once after a stall.
        for ms in [0, 20, 40, 160] {
            let mut ticks = 0;
            while relay.deadline().is_some_and(|due| due <= at(ms)) {
                relay.tick(at(ms));
                while let Some(made) = relay.poll_made() {
                    heard[made.pair.0 as usize / 2].extend(rtp::read(made.packet).map(|header| header.sequence));
                }
                ticks += 1;
                assert!(ticks < 100, "it comes to an end");
            }
        }
        for heard in heard {
            assert_eq!(heard.len(), 9);
            assert!(heard.windows(2).all(|two| two[1] == two[0].wrapping_add(1)), "{heard:?}");
        }
        assert_eq!(relay.counters().unsent, 0);
        for _ in 0..2 {
            relay.tick(at(400));
        }
        assert!(
            relay.deadline().is_some_and(|due| due > at(400)),
            "and who asks for nothing is not kept at it for ever"
        );
        assert!(relay.counters().unsent > 0);
    }
}
