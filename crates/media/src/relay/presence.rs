//! What the relay knows of one side's presence: whether it should be heard, and what came of it.
//!
//! Asked for now and then about a live call, never per packet. Refuses to know: what silence means.

use super::{PairId, Relay};
use crate::anchor::Shape;
use model::{Instant, Span};

/// One side of a live call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// It may be heard: it is on no hold, it is no fax, nothing keeps it from being relayed.
    pub expected: bool,
    /// Its RTP packets that were relayed.
    pub packets: u64,
    /// Time since the last of its RTCP packets that was relayed.
    pub reported: Option<Span>,
    /// By its own reports nothing of what it was sent has arrived for so long.
    pub unheard_by_peer: Option<Span>,
    /// It has said by its reports that something arrives.
    pub tells: bool,
    /// Packets at its ports that were refused.
    pub refused: u64,
    /// Time since the last one relayed, when there was one and silence is not meant.
    pub silence: Option<Span>,
    /// The longest time between two of them, holds not counted.
    pub longest_gap: Span,
}

impl Relay {
    /// What came of `side` so far; none when it is joined to nothing.
    pub fn presence(&self, now: Instant, side: PairId) -> Option<Presence> {
        let side = self.sides.get(side.index())?.as_ref()?;
        Some(Presence {
            expected: !side.is_held() && !side.gated && side.shape != Shape::Opaque,
            packets: side.counters.relayed,
            reported: side.last_report.map(|last| now.since(last)),
            unheard_by_peer: side.arrivals.unheard(now),
            tells: side.arrivals.were_spoken_of(),
            refused: side.counters.refused,
            silence: side.silence(now),
            longest_gap: side.counters.longest_gap,
        })
    }

    /// Whoever is at `side` is known to report what it hears: when it leaves that out, it hears nothing.
    pub fn tells(&mut self, now: Instant, side: PairId) {
        let other = self.side(side).map(|side| side.peer);
        let sent = other.and_then(|other| self.side(other)).map_or(0, |other| other.left());
        if let Some(side) = self.side(side) {
            side.arrivals.are_spoken_of(now, sent);
        }
    }

    /// `side` has been silent for too long: its audio is learned anew, as after a new description. What it was known by is still heard,
    /// and is where it is reached until another source proves itself.
    pub fn relatch(&mut self, side: PairId) {
        if let Some(side) = self.side(side) {
            side.latch.reopen();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{Component, Forward, Peer};
    use crate::{Packet, rtp};
    use core::net::SocketAddr;

    const A: PairId = PairId(0);
    const B: PairId = PairId(1);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    fn anchored() -> Relay {
        let mut relay = Relay::new(64);
        relay.join(A, B).unwrap();
        for (side, rtp) in [(A, "192.0.2.1:4000"), (B, "198.51.100.1:6000")] {
            relay.expect(side, &Peer { rtp: rtp.parse().unwrap(), rtcp: None, mux: false });
        }
        relay
    }

    fn speaks(relay: &mut Relay, ms: u64, side: PairId, from: &str, sequence: u16) -> Option<SocketAddr> {
        let mut bytes = [0; 172];
        let header = rtp::Header { marker: false, payload_type: 8, sequence, timestamp: 160, ssrc: 7 };
        rtp::write(bytes.first_chunk_mut().unwrap(), &header);
        let mut packet = Packet::whole(&mut bytes);
        match relay.forward(at(ms), side, Component::Rtp, from.parse().unwrap(), &mut packet) {
            Forward::Send { to, .. } => Some(to),
            _ => None,
        }
    }

    #[test]
    fn presence_is_what_came_and_whether_more_may_come() {
        let mut relay = anchored();
        assert_eq!(relay.presence(at(0), PairId(9)), None);
        let nothing = relay.presence(at(0), A).unwrap();
        assert_eq!((nothing.expected, nothing.packets, nothing.silence), (true, 0, None));
        speaks(&mut relay, 100, A, "192.0.2.1:4000", 1);
        speaks(&mut relay, 140, A, "192.0.2.1:4000", 2);
        speaks(&mut relay, 150, A, "203.0.113.66:9", 3);
        let heard = relay.presence(at(200), A).unwrap();
        assert_eq!((heard.packets, heard.refused), (2, 1));
        assert_eq!((heard.silence, heard.longest_gap), (Some(Span::from_millis(60)), Span::from_millis(40)));
        relay.hold(A, true);
        assert!(!relay.presence(at(200), A).unwrap().expected);
        relay.hold(A, false);
        relay.gate(A, true);
        assert!(!relay.presence(at(200), A).unwrap().expected);
        relay.shape(B, Shape::Opaque);
        assert!(!relay.presence(at(200), B).unwrap().expected);
    }

    /// A NAT that has lost its binding gives the peer another address: it never comes to the one that was latched.
    #[test]
    fn a_side_that_is_learned_anew_may_be_found_elsewhere() {
        let mut relay = anchored();
        for n in 1..4 {
            speaks(&mut relay, 20 * u64::from(n), A, "203.0.113.5:7000", n);
        }
        let there = |relay: &mut Relay, n| speaks(relay, 9_000, B, "198.51.100.1:6000", n);
        assert_eq!(there(&mut relay, 1), Some("203.0.113.5:7000".parse().unwrap()), "found behind a NAT");
        for n in 4..9 {
            assert_eq!(speaks(&mut relay, 9_000 + 20 * u64::from(n), A, "203.0.113.6:8000", n), None, "a third party");
        }
        relay.relatch(A);
        assert_eq!(there(&mut relay, 2), Some("203.0.113.5:7000".parse().unwrap()), "reached where it was");
        for (n, passes) in [(9, false), (10, false), (11, true)] {
            let heard = speaks(&mut relay, 9_500, A, "203.0.113.6:8000", n);
            assert_eq!(heard.is_some(), passes, "as the third in a row");
        }
        assert_eq!(there(&mut relay, 3), Some("203.0.113.6:8000".parse().unwrap()));
    }

    #[test]
    fn who_speaks_again_closes_the_door_behind_him() {
        let mut relay = anchored();
        for n in 1..4 {
            speaks(&mut relay, 20 * u64::from(n), A, "203.0.113.5:7000", n);
        }
        relay.relatch(A);
        assert!(speaks(&mut relay, 4_000, A, "203.0.113.5:7000", 4).is_some());
        for n in 5..12 {
            assert_eq!(speaks(&mut relay, 4_100, A, "203.0.113.6:8000", n), None);
        }
    }

    #[test]
    fn nothing_changes_for_who_speaks_on_from_where_he_was() {
        let mut relay = anchored();
        speaks(&mut relay, 20, A, "192.0.2.1:4000", 1);
        relay.relatch(A);
        assert!(speaks(&mut relay, 40, A, "192.0.2.1:4000", 2).is_some());
        assert_eq!(speaks(&mut relay, 60, A, "203.0.113.66:9", 3), None);
        assert_eq!(speaks(&mut relay, 80, B, "198.51.100.1:6000", 1), Some("192.0.2.1:4000".parse().unwrap()));
    }
}
