//! Learning the peer's true media address once, and refusing hijack (RFC 7362 §4).
//!
//! The SDP says where a peer expects media; behind NAT it sends from elsewhere. The rule:
//! - A packet from exactly the expected address latches at once.
//! - One from the expected IP address, another port, latches at once: a NAT that keeps the address.
//! - One from another IP address latches only while nothing, RTCP included, has come from the expected one, and only as the third
//!   in a row of one source, each numbered one after the other: a stray or guessed packet does not steal a call.
//! - Once latched, only that source counts. It is left for another only when the SDP says a new address, or when it has been
//!   silent for five seconds and the expected IP address speaks.
//! - After a new SDP learning begins anew. The old source is heard until the first packet of the new one, so audio flows on, but
//!   what it says proves nothing: it may only be late.
//! - We send to the latched address, else to the expected one. After a new SDP that is the expected one again, with one exception:
//!   a peer behind NAT that names another port of the same address is reached where it was, until it speaks from elsewhere.
//!
//! The same address told again is no new SDP: a refreshed session opens no door.
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
    /// The stale source is the NAT of a host that only named another of its ports.
    reaches: bool,
    /// The expected IP address has reported by RTCP: it is not behind another one.
    reported: bool,
    candidate: Option<Candidate>,
    /// It was opened because the source had been silent: what it says again is not late.
    reopened: bool,
    moves: u32,
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
        let Some(before) = self.expected.replace(addr) else { return };
        if before == addr {
            return;
        }
        let nat = if self.stale { self.reaches } else { self.latched.is_some_and(|latched| latched != before) };
        self.reaches = nat && before.ip() == addr.ip();
        self.stale = self.latched.is_some();
        self.reopened = false;
        self.reported = false;
        self.candidate = None;
    }

    /// The source has been silent for too long: learning begins anew, and what was latched is heard and reached until another source has
    /// proven itself. A peer that has reported from its own address is behind no other one, and strangers prove nothing.
    pub fn reopen(&mut self) {
        self.stale = self.latched.is_some();
        self.reaches = self.stale;
        self.reopened = self.stale;
        self.candidate = None;
    }

    /// The peer has proven to be there by other means than packets of its stream.
    pub fn prove(&mut self, now: Instant, at: SocketAddr) {
        self.settle(now, at);
    }

    /// A source is known, and it is of the present SDP.
    pub const fn is_latched(&self) -> bool {
        self.latched.is_some() && !self.stale
    }

    /// Whether the peer may speak from there, though nothing proves it: where it was found, or the IP address that its SDP says.
    pub fn may_be_at(&self, from: SocketAddr) -> bool {
        self.latched == Some(from) || self.expected.is_some_and(|expected| expected.ip() == from.ip())
    }

    /// Where media to the peer goes.
    #[inline]
    pub fn send_to(&self) -> Option<SocketAddr> {
        let found = if self.stale && !self.reaches { None } else { self.latched.as_ref() };
        found.or(self.expected.as_ref()).copied()
    }

    /// How often the source has become another one, the first included.
    #[inline]
    pub const fn moves(&self) -> u32 {
        self.moves
    }

    /// The source is still the one of before the last SDP.
    pub const fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether an RTP packet from there is the peer's. `rtp` is its SSRC and sequence number.
    #[inline]
    pub fn accepts(&mut self, now: Instant, from: SocketAddr, rtp: (u32, u16)) -> bool {
        self.knows(now, from) || self.learns(now, from, Some(rtp))
    }

    /// Whether a packet that is not RTP and is carried as it is (UDPTL, DTLS) is the peer's. It has no number that could prove a
    /// stranger, so that only the expected IP address latches by it.
    pub fn accepts_opaque(&mut self, now: Instant, from: SocketAddr) -> bool {
        self.knows(now, from) || self.learns(now, from, None)
    }

    /// Whether RTCP from there is the peer's: it comes from the IP address of RTP. It never latches RTP.
    pub fn accepts_report(&mut self, from: SocketAddr) -> bool {
        let expected = self.expected.is_some_and(|expected| expected.ip() == from.ip());
        self.reported |= expected;
        let open = self.latched.is_none() || self.stale;
        (expected && open) || self.latched.is_some_and(|latched| latched.ip() == from.ip())
    }

    /// The peer was found at another IP address than its SDP says: what its SDP says of RTCP is of no use either.
    pub fn is_elsewhere(&self) -> bool {
        match (self.send_to(), self.expected) {
            (Some(found), Some(expected)) => found.ip() != expected.ip(),
            _ => false,
        }
    }

    #[inline]
    fn knows(&mut self, now: Instant, from: SocketAddr) -> bool {
        let known = self.latched == Some(from) && !self.stale;
        if known {
            self.last_heard = now;
        }
        known
    }

    #[cold]
    fn learns(&mut self, now: Instant, from: SocketAddr, rtp: Option<(u32, u16)>) -> bool {
        let Some(expected) = self.expected else { return false };
        let open = self.latched.is_none() || self.stale;
        let old = self.latched == Some(from);
        let home = from.ip() == expected.ip();
        let may_move = now.since(self.last_heard) >= MAY_MOVE_AFTER;
        // A packet of the old source may be late; from exactly the address the SDP says it is not.
        let new = from == expected || (home && !old) || (old && self.reopened);
        let settles = if open {
            new || (!old && !home && !self.reported && rtp.is_some_and(|rtp| self.stranger_proves(from, rtp)))
        } else {
            home && may_move
        };
        if settles {
            self.settle(now, from);
        } else if old {
            self.last_heard = now;
        }
        settles || old
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
        if self.latched != Some(from) {
            self.moves = self.moves.wrapping_add(1);
        }
        self.latched = Some(from);
        self.last_heard = now;
        self.stale = false;
        self.reopened = false;
        self.reaches = false;
        self.candidate = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const NOW: Instant = Instant::from_micros(1_000_000);

    fn latched(from: &str) -> Latch {
        let mut latch = Latch::default();
        latch.expect(addr("192.0.2.1:4000"));
        assert!(latch.accepts(NOW, addr(from), (1, 1)));
        latch
    }

    #[test]
    fn nothing_is_accepted_before_an_sdp() {
        assert!(!Latch::default().accepts(NOW, addr("192.0.2.1:4000"), (1, 1)));
    }

    #[test]
    fn a_third_party_is_refused_once_latched() {
        let mut latch = latched("192.0.2.1:4000");
        for n in 0..100 {
            assert!(!latch.accepts(NOW, addr("203.0.113.66:4000"), (9, n)));
            assert!(!latch.accepts(NOW, addr("192.0.2.1:4002"), (9, n)), "not even from the same host");
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
        assert!(!latch.accepts(NOW, nat, (1, 65_534)));
        assert!(!latch.accepts(NOW, nat, (1, 65_535)));
        assert!(latch.accepts(NOW, nat, (1, 0)));
        let mut latch = Latch::default();
        latch.expect(addr("10.0.0.5:4000"));
        for n in [1, 7, 3, 90, 2] {
            assert!(!latch.accepts(NOW, nat, (1, n)), "guesses in no order prove nothing");
        }
    }

    #[test]
    fn after_a_new_sdp_the_old_source_is_heard_until_the_new_one_speaks() {
        let mut latch = latched("192.0.2.1:4000");
        latch.expect(addr("192.0.2.7:6000"));
        assert_eq!(latch.send_to(), Some(addr("192.0.2.7:6000")));
        assert!(latch.accepts(NOW, addr("192.0.2.1:4000"), (1, 2)));
        assert!(latch.accepts(NOW, addr("192.0.2.7:6000"), (2, 1)));
        assert!(!latch.accepts(NOW, addr("192.0.2.1:4000"), (1, 3)));
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
        assert!(!latch.accepts(later, addr("203.0.113.66:4000"), (1, 1)));
        assert!(latch.accepts(later, addr("192.0.2.1:4444"), (1, 1)));
    }

    #[test]
    fn rtcp_alone_does_not_latch_but_shows_that_the_expected_host_is_there() {
        let mut latch = Latch::default();
        latch.expect(addr("192.0.2.1:4000"));
        assert!(latch.accepts_report(addr("192.0.2.1:4001")));
        assert!(!latch.accepts_report(addr("203.0.113.66:4001")));
        assert_eq!(latch.moves(), 0);
        let taken = (0..50).any(|n| latch.accepts(NOW, addr("203.0.113.66:4000"), (6, n)));
        assert!(!taken, "no stranger while the peer listens in silence");
        assert!(latch.accepts(NOW, addr("192.0.2.1:61000"), (1, 1)));
    }

    #[test]
    fn an_opaque_packet_latches_from_the_expected_host_alone() {
        let mut latch = Latch::default();
        latch.expect(addr("192.0.2.1:4000"));
        assert!((0..9).all(|_| !latch.accepts_opaque(NOW, addr("203.0.113.66:4000"))));
        assert!(latch.accepts_opaque(NOW, addr("192.0.2.1:4000")));
        assert!(!latch.accepts_opaque(NOW, addr("192.0.2.1:4002")));
    }

    #[test]
    fn a_hunt_through_three_trunks_sends_to_the_last_even_when_none_before_it_moved() {
        let mut latch = latched("192.0.2.1:4000");
        latch.expect(addr("198.51.100.1:6000"));
        latch.expect(addr("198.51.100.1:6002"));
        assert_eq!(latch.send_to(), Some(addr("198.51.100.1:6002")), "the first trunk is nobody's NAT");
        assert!(latch.accepts(NOW, addr("192.0.2.1:4000"), (1, 2)) && latch.is_stale());
    }

    proptest! {
        /// Whatever a stranger sends, a source that is latched stays, unless five seconds were silent.
        #[test]
        fn a_latched_source_is_never_taken_by_another_host(
            guesses in prop::collection::vec((any::<u32>(), any::<u16>(), 1u8..=254, any::<u16>(), 0u64..100), 1..60),
        ) {
            let mut latch = latched("192.0.2.1:4000");
            let mut now = NOW;
            for (ssrc, sequence, host, port, ms) in guesses {
                now += Span::from_millis(ms);
                let stranger = SocketAddr::from(([203, 0, 113, host], port));
                prop_assert!(!latch.accepts(now, stranger, (ssrc, sequence)));
                prop_assert!(!latch.accepts_opaque(now, stranger) && !latch.accepts_report(stranger));
            }
            prop_assert_eq!(latch.send_to(), Some(addr("192.0.2.1:4000")));
        }
    }
}
