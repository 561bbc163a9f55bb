//! Learning the peer's true media address once, and refusing hijack.
//!
//! The SDP says where a peer expects media; behind NAT it sends from elsewhere. The rule:
//! - A packet from exactly the expected address latches at once.
//! - One from the expected IP address, another port, latches at once: a NAT that keeps the address.
//! - One from another IP address latches only while nothing has come from the expected one, and only as the third in a row of
//!   one source, each numbered one after the other: a stray or guessed packet does not steal a call.
//! - Once latched, only that source counts. It is left for another only when the SDP says a new address, or when it has been
//!   silent for five seconds and the expected IP address speaks.
//! - After a new SDP the old source is heard until the first packet of the new one, so audio flows on.
//!
//! Refuses to know: who the peer is, what the packets say.

use core::net::SocketAddr;
use model::{Instant, Span};

/// Silence after which the expected IP address may speak from a new port.
const MAY_MOVE_AFTER: Span = Span::from_secs(5);
/// Packets in a row that a stranger's address must show.
const STRANGER_PROOF: u8 = 3;

/// What is known of a peer's media address.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Latch {
    expected: Option<SocketAddr>,
    latched: Option<SocketAddr>,
    last_heard: Instant,
    /// The latched source is the one of before the last SDP.
    stale: bool,
    candidate: Option<Candidate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    next: u16,
    seen: u8,
}

impl Latch {
    /// The SDP says this address. Learning begins anew; the old source is heard until the new one speaks.
    pub fn expect(&mut self, addr: SocketAddr) {
        if self.expected == Some(addr) {
            return;
        }
        self.expected = Some(addr);
        self.stale = self.latched.is_some();
        self.candidate = None;
    }

    /// Where media to the peer goes.
    #[inline]
    pub fn send_to(&self) -> Option<SocketAddr> {
        if self.stale { self.expected } else { self.latched.or(self.expected) }
    }

    /// Whether a packet from there is the peer's. `rtp` is SSRC and sequence number; RTCP proves nothing and has none.
    #[inline]
    pub fn accepts(&mut self, now: Instant, from: SocketAddr, rtp: Option<(u32, u16)>) -> bool {
        if self.latched == Some(from) && !self.stale {
            self.last_heard = now;
            return true;
        }
        self.learns(now, from, rtp)
    }

    #[cold]
    fn learns(&mut self, now: Instant, from: SocketAddr, rtp: Option<(u32, u16)>) -> bool {
        let Some(expected) = self.expected else { return false };
        let free = self.latched.is_none() || self.stale;
        let silent = now.since(self.last_heard) >= MAY_MOVE_AFTER;
        if from.ip() == expected.ip() && rtp.is_some() && (free || silent) {
            // The old peer may share the new one's address only if it is the new one.
            self.settle(now, from);
            return true;
        }
        if self.latched == Some(from) {
            // Stale, and still all there is.
            self.last_heard = now;
            return true;
        }
        if self.latched.is_none() && rtp.is_some_and(|rtp| self.stranger_proves(from, rtp)) {
            self.settle(now, from);
            return true;
        }
        false
    }

    fn stranger_proves(&mut self, from: SocketAddr, (ssrc, sequence): (u32, u16)) -> bool {
        let seen = match self.candidate {
            Some(known) if known.from == from && known.ssrc == ssrc && known.next == sequence => known.seen + 1,
            _ => 1,
        };
        self.candidate = Some(Candidate { from, ssrc, next: sequence.wrapping_add(1), seen });
        seen >= STRANGER_PROOF
    }

    fn settle(&mut self, now: Instant, from: SocketAddr) {
        self.latched = Some(from);
        self.last_heard = now;
        self.stale = false;
        self.candidate = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const NOW: Instant = Instant::from_micros(1_000_000);

    fn latched(from: &str) -> Latch {
        let mut latch = Latch::default();
        latch.expect(addr("192.0.2.1:4000"));
        assert!(latch.accepts(NOW, addr(from), Some((1, 1))));
        latch
    }

    #[test]
    fn nothing_is_accepted_before_an_sdp() {
        assert!(!Latch::default().accepts(NOW, addr("192.0.2.1:4000"), Some((1, 1))));
    }

    #[test]
    fn a_third_party_is_refused_once_latched() {
        let mut latch = latched("192.0.2.1:4000");
        for n in 0..100 {
            assert!(!latch.accepts(NOW, addr("203.0.113.66:4000"), Some((9, n))));
            assert!(!latch.accepts(NOW, addr("192.0.2.1:4002"), Some((9, n))), "not even from the same host");
        }
        assert_eq!(latch.send_to(), Some(addr("192.0.2.1:4000")));
    }

    #[test]
    fn another_port_of_the_expected_address_is_a_nat() {
        assert_eq!(latched("192.0.2.1:61000").send_to(), Some(addr("192.0.2.1:61000")));
    }

    #[test]
    fn another_address_must_show_three_packets_in_a_row() {
        let mut latch = Latch::default();
        latch.expect(addr("10.0.0.5:4000"));
        let nat = addr("203.0.113.9:50000");
        assert!(!latch.accepts(NOW, nat, Some((1, 65_534))));
        assert!(!latch.accepts(NOW, nat, Some((1, 65_535))));
        assert!(latch.accepts(NOW, nat, Some((1, 0))));
        let mut latch = Latch::default();
        latch.expect(addr("10.0.0.5:4000"));
        for n in [1, 7, 3, 90, 2] {
            assert!(!latch.accepts(NOW, nat, Some((1, n))), "guesses in no order prove nothing");
        }
    }

    #[test]
    fn after_a_new_sdp_the_old_source_is_heard_until_the_new_one_speaks() {
        let mut latch = latched("192.0.2.1:4000");
        latch.expect(addr("192.0.2.7:6000"));
        assert_eq!(latch.send_to(), Some(addr("192.0.2.7:6000")));
        assert!(latch.accepts(NOW, addr("192.0.2.1:4000"), Some((1, 2))));
        assert!(latch.accepts(NOW, addr("192.0.2.7:6000"), Some((2, 1))));
        assert!(!latch.accepts(NOW, addr("192.0.2.1:4000"), Some((1, 3))));
    }

    #[test]
    fn the_same_sdp_again_changes_nothing() {
        let mut latch = latched("192.0.2.1:61000");
        latch.expect(addr("192.0.2.1:4000"));
        assert_eq!(latch.send_to(), Some(addr("192.0.2.1:61000")));
    }

    #[test]
    fn a_silent_source_may_move_to_another_port_of_its_address() {
        let mut latch = latched("192.0.2.1:4000");
        let later = NOW + Span::from_secs(6);
        assert!(!latch.accepts(later, addr("203.0.113.66:4000"), Some((1, 1))));
        assert!(latch.accepts(later, addr("192.0.2.1:4444"), Some((1, 1))));
    }

    #[test]
    fn rtcp_alone_does_not_latch() {
        let mut latch = Latch::default();
        latch.expect(addr("192.0.2.1:4000"));
        assert!(!latch.accepts(NOW, addr("192.0.2.1:4001"), None));
    }
}
