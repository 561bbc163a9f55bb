//! The relay table of one shard: what comes in at a pair of ports leaves by the pair it is joined to.
//!
//! `forward` is the path every packet takes: an index into a table, a comparison of addresses, no allocation, no lock, no hash.
//! Refuses to know: sockets, calls.

use crate::anchor::{AnchorCounters, Shape, Side};
use crate::{rtcp, rtp};
use alloc::vec::Vec;
use core::net::SocketAddr;
use model::{Instant, Span};

/// A pair of local ports, RTP and RTCP: its place in the tables of relay and node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairId(pub u32);

impl PairId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which port of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Component {
    /// The even one.
    Rtp,
    /// One above it.
    Rtcp,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// It leaves.
    Send {
        /// By this pair.
        pair: PairId,
        /// By this port of it.
        component: Component,
        /// To this address.
        to: SocketAddr,
    },
    /// It is for us: whoever keeps the pair listens to it.
    Local,
    /// It does not, for this reason.
    Drop(Dropped),
}

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// No call uses the pair.
    NoAnchor,
    /// It is not the peer who speaks.
    ThirdParty,
    /// Neither RTP nor RTCP.
    NotRtp,
    /// The other side has not said where it listens.
    NoPeer,
    /// Early media that may not be heard.
    Gated,
}

/// What the relay has counted since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// RTP packets sent on.
    pub relayed: u64,
    /// RTCP packets sent on.
    pub relayed_rtcp: u64,
    /// Packets for us.
    pub local: u64,
    /// See [`Dropped::NoAnchor`].
    pub no_anchor: u64,
    /// See [`Dropped::ThirdParty`].
    pub third_party: u64,
    /// See [`Dropped::NotRtp`].
    pub not_rtp: u64,
    /// See [`Dropped::NoPeer`].
    pub no_peer: u64,
    /// See [`Dropped::Gated`].
    pub gated: u64,
}

impl Counters {
    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("relayed", self.relayed),
            ("relayed_rtcp", self.relayed_rtcp),
            ("local", self.local),
            ("dropped_no_anchor", self.no_anchor),
            ("dropped_third_party", self.third_party),
            ("dropped_not_rtp", self.not_rtp),
            ("dropped_no_peer", self.no_peer),
            ("dropped_gated", self.gated),
        ]
        .into_iter()
    }
}

/// Where a side wants its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// RTP.
    pub rtp: SocketAddr,
    /// RTCP, when the SDP says; else one above RTP.
    pub rtcp: Option<SocketAddr>,
    /// RTCP on the RTP port (RFC 5761).
    pub mux: bool,
}

/// A pair is joined already, or beyond the table's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFree(pub PairId);

/// The relay table.
#[derive(Debug)]
pub struct Relay {
    sides: Vec<Option<Side>>,
    /// Pairs that are joined to none, and whose packets are for us; few.
    local: Vec<PairId>,
    limit: usize,
    counters: Counters,
}

impl Relay {
    /// For pairs numbered below `limit`.
    pub const fn new(limit: usize) -> Self {
        let counters = Counters {
            relayed: 0,
            relayed_rtcp: 0,
            local: 0,
            no_anchor: 0,
            third_party: 0,
            not_rtp: 0,
            no_peer: 0,
            gated: 0,
        };
        Self { sides: Vec::new(), local: Vec::new(), limit, counters }
    }

    /// Joins two pairs: what comes in at one leaves by the other.
    ///
    /// # Errors
    /// One of them is joined already or numbered beyond the limit.
    pub fn join(&mut self, first: PairId, second: PairId) -> Result<(), NotFree> {
        for pair in [first, second] {
            if !self.is_free(pair) || first == second {
                return Err(NotFree(pair));
            }
        }
        let length = first.index().max(second.index()) + 1;
        if self.sides.len() < length {
            self.sides.resize_with(length, || None);
        }
        self.sides[first.index()] = Some(Side::new(second));
        self.sides[second.index()] = Some(Side::new(first));
        Ok(())
    }

    /// The SDP of `side` says where it wants its media. What is latched stays until the new address speaks.
    pub fn expect(&mut self, side: PairId, peer: &Peer) {
        if let Some(side) = self.side(side) {
            side.expect(peer.rtp, peer.rtcp, peer.mux);
        }
    }

    /// What the packets that come in at `side` are. Until it is said they are RTP in the clear.
    pub fn shape(&mut self, side: PairId, shape: Shape) {
        if let Some(side) = self.side(side) {
            side.shape = shape;
        }
    }

    /// Silence of `side` from here to its next packet is meant: a description has changed.
    pub fn pause(&mut self, side: PairId) {
        if let Some(side) = self.side(side) {
            side.pause();
        }
    }

    /// `side` is on hold, or no longer: what it sends meanwhile is relayed, its silence is no gap.
    pub fn hold(&mut self, side: PairId, on: bool) {
        if let Some(side) = self.side(side) {
            side.hold(on);
        }
    }

    /// What `side` sends is not to be heard, or is again: early media that its trunk may not give (RFC 5009 §4). It latches nothing
    /// meanwhile. Reports and handshakes pass, for they are no media.
    pub fn gate(&mut self, side: PairId, on: bool) {
        if let Some(side) = self.side(side) {
            side.gated = on;
        }
    }

    /// How long nothing of `side` was relayed; `None` before its first packet and while silence is meant.
    pub fn silence(&self, now: Instant, side: PairId) -> Option<Span> {
        self.sides.get(side.index())?.as_ref()?.silence(now)
    }

    /// Replaces the pair joined to `first`: the next attempt of a hunt leaves by another listen. What `first` sent and heard goes on.
    ///
    /// # Errors
    /// The new pair is not free, or `first` is not joined.
    pub fn repoint(&mut self, first: PairId, second: PairId) -> Result<(), NotFree> {
        let old = self.side(first).map(|side| side.peer).ok_or(NotFree(first))?;
        if !self.is_free(second) {
            return Err(NotFree(second));
        }
        if self.sides.len() <= second.index() {
            self.sides.resize_with(second.index() + 1, || None);
        }
        let moved = self.sides[old.index()].take();
        self.sides[second.index()] = moved;
        if let Some(side) = self.side(first) {
            side.peer = second;
        }
        Ok(())
    }

    /// Ends an anchor and says what it counted.
    pub fn release(&mut self, first: PairId) -> AnchorCounters {
        let Some(side) = self.sides.get_mut(first.index()).and_then(Option::take) else {
            return AnchorCounters::default();
        };
        let other = self.sides.get_mut(side.peer.index()).and_then(Option::take);
        AnchorCounters { first: side.counters, second: other.map(|side| side.counters).unwrap_or_default() }
    }

    /// What an anchor has counted so far.
    pub fn counted(&self, first: PairId) -> AnchorCounters {
        let side = |pair: PairId| self.sides.get(pair.index()).and_then(Option::as_ref);
        let second = side(first).and_then(|first| side(first.peer));
        let counters = |side: Option<&Side>| side.map(|side| side.counters).unwrap_or_default();
        AnchorCounters { first: counters(side(first)), second: counters(second) }
    }

    /// From now on what comes in at `pair` is for us. Joined pairs pay nothing for it: it is asked only about a pair that is joined to
    /// none.
    ///
    /// # Errors
    /// The pair is joined or kept already, or beyond the limit.
    pub fn keep(&mut self, pair: PairId) -> Result<(), NotFree> {
        if !self.is_free(pair) {
            return Err(NotFree(pair));
        }
        self.local.push(pair);
        Ok(())
    }

    /// The opposite of [`Relay::keep`].
    pub fn let_go(&mut self, pair: PairId) {
        self.local.retain(|kept| *kept != pair);
    }

    fn is_free(&self, pair: PairId) -> bool {
        pair.index() < self.limit
            && self.sides.get(pair.index()).is_none_or(Option::is_none)
            && !self.local.contains(&pair)
    }

    /// A packet at a pair that is joined to none.
    #[cold]
    fn unjoined(&mut self, pair: PairId) -> Forward {
        if self.local.contains(&pair) {
            self.counters.local += 1;
            return Forward::Local;
        }
        self.drop(Dropped::NoAnchor)
    }

    /// Pairs that are joined.
    pub fn joined(&self) -> usize {
        self.sides.iter().flatten().count()
    }

    /// What was counted since the start.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// One packet that came in at `component` of `pair`. Changes it in place when its source has changed. Allocates nothing.
    #[inline]
    pub fn forward(
        &mut self,
        now: Instant,
        pair: PairId,
        component: Component,
        from: SocketAddr,
        packet: &mut [u8],
    ) -> Forward {
        match component {
            Component::Rtp => match rtp::read(packet) {
                Some(header) => self.forward_rtp(now, pair, from, &header, packet),
                None => self.forward_other(now, pair, component, from, packet),
            },
            Component::Rtcp => self.forward_other(now, pair, component, from, packet),
        }
    }

    #[inline]
    fn forward_rtp(
        &mut self,
        now: Instant,
        pair: PairId,
        from: SocketAddr,
        header: &rtp::Header,
        packet: &mut [u8],
    ) -> Forward {
        let Some(Some(side)) = self.sides.get_mut(pair.index()) else { return self.unjoined(pair) };
        if side.gated {
            return self.drop(Dropped::Gated);
        }
        if side.shape == Shape::Opaque {
            return self.forward_opaque(now, pair, from);
        }
        if !side.latch.accepts(now, from, (header.ssrc, header.sequence)) {
            side.counters.refused += 1;
            return self.drop(Dropped::ThirdParty);
        }
        let out = side.peer;
        let to = match self.sides.get(out.index()) {
            Some(Some(other)) => other.latch.send_to(),
            _ => None,
        };
        let (Some(to), Some(Some(side))) = (to, self.sides.get_mut(pair.index())) else {
            return self.drop(Dropped::NoPeer);
        };
        side.passed(now, header, packet);
        self.counters.relayed += 1;
        Forward::Send { pair: out, component: Component::Rtp, to }
    }

    /// RTCP on its own port or on that of RTP; DTLS; what no one needs to understand.
    fn forward_other(
        &mut self,
        now: Instant,
        pair: PairId,
        component: Component,
        from: SocketAddr,
        packet: &mut [u8],
    ) -> Forward {
        let Some(Some(side)) = self.sides.get_mut(pair.index()) else { return self.unjoined(pair) };
        let opaque = match side.shape {
            Shape::Rtp => false,
            // Handshakes of DTLS are told apart by their first byte (RFC 7983 §7).
            Shape::Srtp => packet.first().is_some_and(|first| (20..=63).contains(first)),
            Shape::Opaque => true,
        };
        if opaque && component == Component::Rtp {
            return self.forward_opaque(now, pair, from);
        }
        if !rtcp::is_rtcp(packet) {
            return self.drop(Dropped::NotRtp);
        }
        if !side.reports(from, component == Component::Rtcp) {
            side.counters.refused += 1;
            return self.drop(Dropped::ThirdParty);
        }
        self.forward_report(pair, packet)
    }

    fn forward_report(&mut self, pair: PairId, packet: &mut [u8]) -> Forward {
        let Some(Some(side)) = self.sides.get(pair.index()) else { return self.drop(Dropped::NoAnchor) };
        let out = side.peer;
        let Some(Some(other)) = self.sides.get(out.index()) else { return self.drop(Dropped::NoPeer) };
        // Both must have agreed, since an offer alone may be answered without (RFC 5761 §5.1.1).
        let mux = side.mux && other.mux;
        let component = if mux { Component::Rtp } else { Component::Rtcp };
        let Some(to) = (if mux { other.latch.send_to() } else { other.rtcp_to() }) else {
            return self.drop(Dropped::NoPeer);
        };
        let (sender, heard) = (side.continuity.renamed(), other.continuity.renamed());
        if side.shape == Shape::Rtp && (sender.is_some() || heard.is_some() || side.latch.is_stale()) {
            rtcp::rename(packet, sender.as_ref(), heard.as_ref());
        }
        if let Some(side) = self.side(pair) {
            side.counters.relayed_rtcp += 1;
        }
        self.counters.relayed_rtcp += 1;
        Forward::Send { pair: out, component, to }
    }

    fn forward_opaque(&mut self, now: Instant, pair: PairId, from: SocketAddr) -> Forward {
        let Some(side) = self.side(pair) else { return self.drop(Dropped::NoAnchor) };
        if !side.latch.accepts_opaque(now, from) {
            side.counters.refused += 1;
            return self.drop(Dropped::ThirdParty);
        }
        let out = side.peer;
        let Some(to) = self.side(out).and_then(|other| other.latch.send_to()) else {
            return self.drop(Dropped::NoPeer);
        };
        if let Some(side) = self.side(pair) {
            side.counters.relayed += 1;
        }
        self.counters.relayed += 1;
        Forward::Send { pair: out, component: Component::Rtp, to }
    }

    fn side(&mut self, pair: PairId) -> Option<&mut Side> {
        self.sides.get_mut(pair.index()).and_then(Option::as_mut)
    }

    fn drop(&mut self, why: Dropped) -> Forward {
        match why {
            Dropped::NoAnchor => self.counters.no_anchor += 1,
            Dropped::ThirdParty => self.counters.third_party += 1,
            Dropped::NotRtp => self.counters.not_rtp += 1,
            Dropped::NoPeer => self.counters.no_peer += 1,
            Dropped::Gated => self.counters.gated += 1,
        }
        Forward::Drop(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: PairId = PairId(0);
    const B: PairId = PairId(1);
    const NOW: Instant = Instant::from_micros(5_000_000);

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn peer(rtp: &str) -> Peer {
        Peer { rtp: addr(rtp), rtcp: None, mux: false }
    }

    fn packet(ssrc: u32, sequence: u16) -> [u8; 172] {
        let mut packet = [0; 172];
        let header = rtp::Header { marker: false, payload_type: 8, sequence, timestamp: 160, ssrc };
        rtp::write(packet.first_chunk_mut().unwrap(), &header);
        packet
    }

    fn anchored() -> Relay {
        let mut relay = Relay::new(64);
        relay.join(A, B).unwrap();
        relay.expect(A, &peer("192.0.2.1:4000"));
        relay.expect(B, &peer("198.51.100.1:6000"));
        relay
    }

    #[test]
    fn both_directions_cross() {
        let mut relay = anchored();
        let there = relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut packet(1, 1));
        assert_eq!(there, Forward::Send { pair: B, component: Component::Rtp, to: addr("198.51.100.1:6000") });
        let back = relay.forward(NOW, B, Component::Rtp, addr("198.51.100.1:6000"), &mut packet(2, 1));
        assert_eq!(back, Forward::Send { pair: A, component: Component::Rtp, to: addr("192.0.2.1:4000") });
        let counted = relay.release(A);
        assert_eq!((counted.first.relayed, counted.second.relayed, relay.joined()), (1, 1, 0));
    }

    #[test]
    fn a_kept_pair_hears_everything_itself_until_it_is_let_go() {
        let mut relay = anchored();
        let (own, from) = (PairId(5), addr("203.0.113.66:9"));
        relay.keep(own).unwrap();
        assert_eq!((relay.keep(own), relay.keep(A)), (Err(NotFree(own)), Err(NotFree(A))));
        assert_eq!((relay.join(own, PairId(6)), relay.repoint(A, own)), (Err(NotFree(own)), Err(NotFree(own))));
        assert_eq!(relay.forward(NOW, own, Component::Rtp, from, &mut packet(1, 1)), Forward::Local);
        assert_eq!(relay.forward(NOW, own, Component::Rtcp, from, &mut [0; 4]), Forward::Local);
        relay.let_go(own);
        let verdict = relay.forward(NOW, own, Component::Rtp, from, &mut packet(1, 2));
        assert_eq!((verdict, relay.counters().local), (Forward::Drop(Dropped::NoAnchor), 2));
    }

    #[test]
    fn a_third_party_is_refused_and_counted() {
        let mut relay = anchored();
        relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut packet(1, 1));
        let verdict = relay.forward(NOW, A, Component::Rtp, addr("203.0.113.66:4000"), &mut packet(6, 6));
        assert_eq!(verdict, Forward::Drop(Dropped::ThirdParty));
        assert_eq!((relay.counters().third_party, relay.counted(A).first.refused), (1, 1));
    }

    #[test]
    fn rtcp_goes_one_port_above_or_where_it_is_wanted() {
        let mut relay = anchored();
        let mut report = [0u8; 28];
        (report[0], report[1]) = (0x80, 200);
        let forward = |relay: &mut Relay, report: &mut [u8]| {
            relay.forward(NOW, A, Component::Rtcp, addr("192.0.2.1:4001"), report)
        };
        let to = |port| Forward::Send {
            pair: B,
            component: Component::Rtcp,
            to: SocketAddr::new(addr("198.51.100.1:1").ip(), port),
        };
        assert_eq!(forward(&mut relay, &mut report), to(6001));
        relay.expect(B, &Peer { rtcp: Some(addr("198.51.100.1:7777")), ..peer("198.51.100.1:6000") });
        assert_eq!(forward(&mut relay, &mut report), to(7777));
        relay.expect(B, &Peer { mux: true, ..peer("198.51.100.1:6000") });
        relay.expect(A, &Peer { mux: true, ..peer("192.0.2.1:4000") });
        let muxed = Forward::Send { pair: B, component: Component::Rtp, to: addr("198.51.100.1:6000") };
        assert_eq!(forward(&mut relay, &mut report), muxed);
        assert_eq!(relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut report), muxed, "RFC 5761");
    }

    #[test]
    fn a_repointed_anchor_keeps_its_caller() {
        let mut relay = anchored();
        relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut packet(1, 1));
        relay.repoint(A, PairId(9)).unwrap();
        relay.expect(PairId(9), &peer("203.0.113.1:8000"));
        let there = relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut packet(1, 2));
        assert_eq!(there, Forward::Send { pair: PairId(9), component: Component::Rtp, to: addr("203.0.113.1:8000") });
        assert_eq!(
            relay.forward(NOW, B, Component::Rtp, addr("1.1.1.1:1"), &mut packet(1, 2)),
            Forward::Drop(Dropped::NoAnchor)
        );
        assert!(relay.join(B, PairId(3)).is_ok(), "the old pair is free");
    }

    #[test]
    fn pairs_are_joined_once_and_within_the_limit() {
        let mut relay = anchored();
        assert_eq!(relay.join(A, PairId(5)), Err(NotFree(A)));
        assert_eq!(relay.join(PairId(64), PairId(5)), Err(NotFree(PairId(64))));
        assert_eq!(relay.join(PairId(5), PairId(5)), Err(NotFree(PairId(5))));
    }

    #[test]
    fn fax_is_carried_as_it_is_and_from_no_one_else() {
        let mut relay = anchored();
        relay.shape(A, Shape::Opaque);
        let mut udptl = [0u8, 1, 2, 3, 4];
        let mut forward = |from| relay.forward(NOW, A, Component::Rtp, addr(from), &mut udptl);
        assert!(matches!(forward("192.0.2.1:4000"), Forward::Send { pair: B, .. }));
        assert_eq!(forward("203.0.113.66:4000"), Forward::Drop(Dropped::ThirdParty));
        assert_eq!((udptl, relay.counted(A).first.relayed), ([0, 1, 2, 3, 4], 1));
        assert_eq!(relay.silence(NOW, A), None, "the silence of a fax means nothing");
    }

    #[test]
    fn dtls_passes_for_srtp_alone_7983_7() {
        let mut relay = anchored();
        let mut hello = [22u8; 60];
        let forward =
            |relay: &mut Relay, hello: &mut [u8]| relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), hello);
        assert_eq!(forward(&mut relay, &mut hello), Forward::Drop(Dropped::NotRtp));
        relay.shape(A, Shape::Srtp);
        assert!(matches!(forward(&mut relay, &mut hello), Forward::Send { .. }));
        assert_eq!(forward(&mut relay, &mut [0u8; 60]), Forward::Drop(Dropped::NotRtp), "STUN leads around us");
    }

    #[test]
    fn a_goodbye_of_the_trunk_that_is_left_does_not_end_what_the_caller_hears() {
        let mut relay = anchored();
        relay.forward(NOW, B, Component::Rtp, addr("198.51.100.1:6000"), &mut packet(7, 1));
        let mut bye = Vec::new();
        rtcp::push_receiver(&mut bye, 7, &[]);
        rtcp::push_bye(&mut bye, 7);
        let before = bye.clone();
        relay.forward(NOW, B, Component::Rtcp, addr("198.51.100.1:6001"), &mut bye);
        assert_eq!(bye, before, "while nothing has changed it passes untouched");
        relay.expect(B, &peer("203.0.113.1:8000"));
        relay.forward(NOW, B, Component::Rtcp, addr("198.51.100.1:6001"), &mut bye);
        assert_eq!(rtcp::parts(&bye).last().map(|part| (part.kind, part.count)), Some((rtcp::BYE, 0)));
    }

    #[test]
    fn reports_name_the_stream_the_listener_knows_3550_7_2() {
        let mut relay = anchored();
        relay.forward(NOW, B, Component::Rtp, addr("198.51.100.1:6000"), &mut packet(7, 1));
        relay.expect(B, &peer("203.0.113.1:8000"));
        relay.forward(NOW, B, Component::Rtp, addr("203.0.113.1:8000"), &mut packet(9, 500));
        let mut report = Vec::new();
        rtcp::push_sender(&mut report, 9, &rtcp::SenderInfo::default(), &[]);
        relay.forward(NOW, B, Component::Rtcp, addr("203.0.113.1:8001"), &mut report);
        assert_eq!(rtcp::parts(&report).next().and_then(|part| part.ssrc()), Some(7));
        let mut answer = Vec::new();
        rtcp::push_receiver(&mut answer, 1, &[rtcp::Block { ssrc: 7, highest: 2, ..rtcp::Block::default() }]);
        relay.forward(NOW, A, Component::Rtcp, addr("192.0.2.1:4001"), &mut answer);
        let block = rtcp::parts(&answer).next().and_then(|part| part.blocks().next()).unwrap();
        assert_eq!((block.ssrc, block.highest), (9, 500), "and back");
        assert_eq!(relay.counted(A).first.relayed_rtcp, 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..200), pair in 0u32..70, rtcp: bool, shape in 0usize..3) {
            let mut relay = anchored();
            relay.shape(A, [Shape::Rtp, Shape::Srtp, Shape::Opaque][shape]);
            let component = if rtcp { Component::Rtcp } else { Component::Rtp };
            relay.forward(NOW, PairId(pair), component, addr("192.0.2.1:4000"), &mut bytes);
            let counted: u64 = relay.counters().iter().map(|(_, n)| n).sum();
            prop_assert_eq!(counted, 1, "every packet is counted once");
        }
    }
}
