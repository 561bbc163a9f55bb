//! One side of an anchored stream: whom it hears, and how what it says continues what was said before.
//!
//! When the source of a stream changes (the next attempt of a hunt, a re-INVITE to another host), the listener should go on
//! hearing one stream: same SSRC, next sequence number, a timestamp that has moved on by the time that passed. A source that never
//! changes passes untouched, so that SRTP passes too; a stream said to be SRTP is never touched, since its authentication covers
//! what would be changed (RFC 3711 §3.3). Refuses to know: ports, sockets.

mod continuity;

use crate::arrival::Arrivals;
use crate::comfort::Comfort;
use crate::dtls::{Fingerprint, Role};
use crate::latch::Latch;
use crate::outgo::Outgo;
use crate::quality::Quality;
use crate::quality::reception::Reception;
use crate::relay::{Blocked, Component, PairId, Shaking, Unshaken};
use crate::reports::Reports;
use crate::rtp;
use crate::speech::{Format, Speech};
use crate::srtp::Security;
use crate::stun::IceLite;
use crate::treatment::Treatment;
use crate::watch::{Heard, Watch};
use crate::xr::Asked;
use alloc::boxed::Box;
use continuity::Continuity;
use core::net::SocketAddr;
use model::{Instant, Span};

/// Who has sent nothing for longer is no sender any more (RFC 3550 §6.3.8).
const SPEAKS_WITHIN: Span = Span::from_secs(10);

/// What the packets of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Shape {
    /// RTP in the clear: a change of source is made good.
    #[default]
    Rtp,
    /// SRTP, and DTLS for its keys (RFC 5764): shaped as RTP, never changed.
    Srtp,
    /// Anything else (UDPTL of T.38): carried as it is on the RTP port, silence means nothing.
    Opaque,
}

impl Shape {
    /// By the protocol of the media line: `RTP/AVP`, `UDP/TLS/RTP/SAVPF`, `udptl`.
    pub fn of(proto: &[u8]) -> Self {
        let is = |end: &str| {
            proto.len() >= end.len() && proto[proto.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
        };
        if is("RTP/SAVP") || is("RTP/SAVPF") {
            Self::Srtp
        } else if is("RTP/AVP") || is("RTP/AVPF") {
            Self::Rtp
        } else {
            Self::Opaque
        }
    }
}

/// What was counted on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SideCounters {
    /// Packets of this side that were relayed, RTCP not counted.
    pub relayed: u64,
    /// RTCP packets of this side that were relayed.
    pub relayed_rtcp: u64,
    /// Packets at this side's ports that were refused.
    pub refused: u64,
    /// Longest time between two relayed RTP packets, holds not counted.
    pub longest_gap: Span,
    /// What was measured of its stream; none when nothing ever came.
    pub quality: Option<Quality>,
}

/// What was counted on an anchor: each side's own packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AnchorCounters {
    /// Of the first side.
    pub first: SideCounters,
    /// Of the second side.
    pub second: SideCounters,
}

/// One side.
#[derive(Debug)]
pub(crate) struct Side {
    /// The pair by which its packets leave.
    pub(crate) peer: PairId,
    pub(crate) latch: Latch,
    /// Where its RTCP goes, when the SDP says; else one above RTP.
    pub(crate) rtcp: Option<SocketAddr>,
    /// Where its RTCP came from first, since the last change of its address.
    pub(crate) rtcp_heard: Option<SocketAddr>,
    /// It agrees to RTCP on the RTP port (RFC 5761).
    pub(crate) mux: bool,
    pub(crate) shape: Shape,
    pub(crate) counters: SideCounters,
    /// What is heard of it.
    pub(crate) watch: Watch,
    /// What it reports, and is told.
    pub(crate) reports: Reports,
    /// Extended reports that its description asks for.
    pub(crate) asked: Asked,
    /// Whether what it is sent arrives.
    pub(crate) arrivals: Arrivals,
    /// Nobody may hear it yet.
    pub(crate) gated: bool,
    /// What a drill keeps from passing.
    pub(crate) blocked: Blocked,
    held: bool,
    last_packet: Option<Instant>,
    /// Its last RTCP packet that was taken.
    pub(crate) last_report: Option<Instant>,
    /// What is heard of this side goes on over changes of its source.
    pub(crate) continuity: Continuity,
    /// What it hears while nothing of the other side comes.
    pub(crate) comfort: Option<Box<Comfort>>,
    /// The format it is spoken to in, where that is known.
    pub(crate) spoken_to: Option<Format>,
    /// What it speaks, once its offer or answer was understood.
    pub(crate) speech: Option<Box<Speech>>,
    /// What is done with what it says, when its listener speaks otherwise; and when that is seen to next.
    pub(crate) treatment: Option<Box<Treatment>>,
    pub(crate) treatment_due: Option<Instant>,
    /// What left in its name because of that.
    pub(crate) outgo: Outgo,
    /// When it is next seen to that it is sent something, and what it had been sent when that was seen to last.
    pub(crate) kept_alive: (Instant, u64),
    /// What it shares with us, when we end its security.
    pub(crate) security: Option<Box<Security>>,
    /// Its checks are answered.
    pub(crate) ice: Option<Box<IceLite>>,
    /// The handshake that its keys come out of, until it is over and a while after.
    pub(crate) shaking: Option<Box<Shaking>>,
    /// The same for its reports, where they have a port of their own, and what came of it.
    pub(crate) report_shaking: Option<Box<Shaking>>,
    pub(crate) report_security: Option<Box<Security>>,
    /// It is met at another port of ours than its keys were made by, and its peer may take that for a reason to begin another handshake.
    pub(crate) may_begin_anew: bool,
    /// There was no room for one of ours: when it is tried again, from which port on.
    pub(crate) anew_at: Option<(Instant, Component)>,
    /// Whose certificate its keys came with, and who we were.
    pub(crate) shaken_with: Option<(Fingerprint, Role)>,
    /// Why none came out of it.
    pub(crate) unshaken: Option<Unshaken>,
}

impl Side {
    pub(crate) fn new(peer: PairId) -> Self {
        Self {
            peer,
            latch: Latch::default(),
            rtcp: None,
            rtcp_heard: None,
            mux: false,
            shape: Shape::default(),
            counters: SideCounters::default(),
            watch: Watch::default(),
            reports: Reports::default(),
            asked: Asked::default(),
            arrivals: Arrivals::default(),
            gated: false,
            blocked: Blocked::default(),
            held: false,
            last_packet: None,
            last_report: None,
            continuity: Continuity::default(),
            comfort: None,
            spoken_to: None,
            speech: None,
            treatment: None,
            treatment_due: None,
            outgo: Outgo::default(),
            kept_alive: (Instant::ZERO, 0),
            security: None,
            ice: None,
            shaking: None,
            report_shaking: None,
            report_security: None,
            may_begin_anew: false,
            anew_at: None,
            shaken_with: None,
            unshaken: None,
        }
    }

    /// Another party is at this side from now on, whom nobody knows: whoever hears it goes on hearing one stream.
    pub(crate) fn give_way(&mut self) {
        let mut continuity = core::mem::take(&mut self.continuity);
        continuity.begin_again();
        *self = Self { continuity, ..Self::new(self.peer) };
    }

    /// This one stays, and another hears it from now on: what was measured and counted was for the one before.
    pub(crate) fn begin_anew(&mut self) {
        self.counters = SideCounters::default();
        self.watch = Watch::default();
        self.reports = Reports::default();
        self.arrivals = Arrivals::default();
        self.continuity = Continuity::default();
        (self.treatment, self.treatment_due, self.outgo) = (None, None, Outgo::default());
        self.kept_alive = (Instant::ZERO, 0);
    }

    /// The SDP says where this side listens.
    pub(crate) fn expect(&mut self, rtp: SocketAddr, rtcp: Option<SocketAddr>, mux: bool) {
        let before = self.latch.send_to();
        self.latch.expect(rtp);
        if self.latch.send_to() != before || self.rtcp != rtcp {
            self.rtcp_heard = None;
            self.arrivals = Arrivals::default();
        }
        self.rtcp = rtcp;
        self.mux = mux;
    }

    /// What is heard of it is RTP in the clear, or has become so.
    #[inline]
    pub(crate) fn is_clear(&self) -> bool {
        self.shape == Shape::Rtp || self.shape == Shape::Srtp && self.security.is_some()
    }

    /// An RTP packet of this side that can be read has come, and goes on as it is.
    #[inline(always)]
    pub(crate) fn passes(&mut self, now: Instant, header: &rtp::Header, packet: &mut [u8]) {
        self.continuity.carry(now, self.latch.moves(), header, packet);
    }

    /// An RTP packet of this side has come: it is counted and measured; `clear` when it can be read.
    #[inline(always)]
    pub(crate) fn came(&mut self, now: Instant, header: &rtp::Header, packet: &[u8], clear: bool) {
        self.watch.hear(now, header, packet, clear);
        self.counters.relayed += 1;
        if !self.held {
            if let Some(last) = self.last_packet {
                let gap = now.since(last);
                if gap > self.counters.longest_gap {
                    self.counters.longest_gap = gap;
                }
            }
            self.last_packet = Some(now);
        }
    }

    /// What is heard of this side has a clock of so many ticks a second.
    pub(crate) const fn ticks_by(&mut self, clock: u32) {
        self.continuity.ticks_per_ms = clock / 1_000;
    }

    /// A packet that we made stands for this side: whoever hears it hears one stream.
    pub(crate) fn stand_in(&mut self, now: Instant, packet: &mut [u8]) {
        if let Some(header) = rtp::read(packet) {
            self.continuity.carry(now, self.latch.moves(), &header, packet);
            // Whom we stood in for is not late when it speaks again: it goes on from here.
            self.continuity.before = None;
        }
    }

    /// What was counted and measured so far. The way of its voice leads to the edge and on to the other side.
    pub(crate) fn counted(&self, other: Option<&Self>) -> SideCounters {
        let far = other.and_then(|other| other.reports.round_trip).unwrap_or_default();
        let near = self.reports.round_trip.unwrap_or_default();
        // Where its voice is played it waits in a buffer. Ours is thought to be twice the jitter; what is longer, the far end has told.
        let told = other.and_then(|other| other.reports.metrics).map_or(0, |metrics| u64::from(metrics.end_delay));
        let thought = self.watch.reception().and_then(Reception::jitter_mean).unwrap_or_default().times(2);
        let beyond = Span::from_millis(told).as_micros().saturating_sub(thought.as_micros());
        let way = Span::from_micros((near.as_micros() + far.as_micros()) / 2 + beyond);
        let sent = other.map_or(0, |other| other.counters.relayed);
        let told_loss_permille = self
            .reports
            .says_lost
            .and_then(|lost| (u64::from(lost) * 1_000).checked_div(sent).map(|permille| permille.min(1_000) as u16));
        let quality = self.watch.quality(way);
        let round_trip = self.reports.round_trip;
        let told = self.reports.metrics;
        let quality = quality.map(|quality| Quality { round_trip, told_loss_permille, told, ..quality });
        SideCounters { quality, ..self.counters }
    }

    /// By which name the other side knows its stream.
    pub(crate) fn known_as(&self) -> Option<u32> {
        self.continuity.known_as()
    }

    /// The timestamp that the other side would be told now; none when it was told none of late, or the clock is unknown.
    pub(crate) fn told_at(&self, now: Instant) -> Option<u32> {
        let (told, at) = self.continuity.last();
        let passed = now.since(at);
        let clock = self.treatment.as_ref().map_or_else(|| self.watch.clock(), |treatment| treatment.clock());
        let rate = clock.filter(|_| passed < SPEAKS_WITHIN)?;
        Some(told.wrapping_add((passed.as_micros() * u64::from(rate) / 1_000_000) as u32))
    }

    /// Packets of it that were sent on, and bytes of sound in them, as a report has them.
    pub(crate) fn sent(&self) -> (u32, u32) {
        let heads = self.counters.relayed * rtp::HEADER as u64;
        self.outgo.of(self.counters.relayed as u32, self.watch.bytes().saturating_sub(heads) as u32)
    }

    /// Packets that left in its name.
    pub(crate) fn left(&self) -> u64 {
        self.sent().0.into()
    }

    /// What is heard of it now.
    pub(crate) fn heard(&self, now: Instant) -> Heard {
        self.watch.heard(now, self.held, self.shape == Shape::Opaque)
    }

    /// Silence from here on is meant, until the next packet.
    pub(crate) const fn pause(&mut self) {
        self.last_packet = None;
    }

    /// Silence is meant as long as the hold lasts, whatever is heard meanwhile.
    pub(crate) const fn hold(&mut self, on: bool) {
        if self.held != on {
            self.last_packet = None;
        }
        self.held = on;
    }

    pub(crate) const fn is_held(&self) -> bool {
        self.held
    }

    /// Time since the last relayed packet, when there was one and silence is not meant.
    pub(crate) fn silence(&self, now: Instant) -> Option<Span> {
        self.last_packet.map(|last| now.since(last))
    }

    /// Whether RTCP from there is this side's. On its own port, the first source is where reports to it go.
    pub(crate) fn reports(&mut self, from: SocketAddr, own_port: bool) -> bool {
        let declared = self.rtcp.is_some_and(|rtcp| rtcp.ip() == from.ip());
        if !(self.latch.accepts_report(from) || declared) {
            return false;
        }
        if own_port && self.rtcp_heard.is_none() {
            self.rtcp_heard = Some(from);
        }
        true
    }

    /// Where RTCP to this side goes, on a port of its own.
    pub(crate) fn rtcp_to(&self) -> Option<SocketAddr> {
        let rtp = self.latch.send_to()?;
        let declared = self.rtcp.filter(|_| !self.latch.is_elsewhere());
        let heard = self.rtcp_heard.filter(|heard| heard.ip() == declared.unwrap_or(rtp).ip());
        heard.or(declared).or_else(|| rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> [u8; 20] {
        let mut packet = [0; 20];
        let header = rtp::Header { marker: false, payload_type: 8, sequence, timestamp, ssrc };
        rtp::write((&mut packet[..12]).try_into().unwrap(), &header);
        packet
    }

    fn carry(side: &mut Side, ms: u64, ssrc: u32, sequence: u16, timestamp: u32) -> rtp::Header {
        let mut packet = packet(ssrc, sequence, timestamp);
        let header = rtp::read(&packet).unwrap();
        let now = Instant::ZERO + Span::from_millis(ms);
        side.came(now, &header, &packet, true);
        side.passes(now, &header, &mut packet);
        rtp::read(&packet).unwrap()
    }

    #[test]
    fn one_source_passes_untouched() {
        let mut side = Side::new(PairId(1));
        for n in 0..200u16 {
            let out = carry(&mut side, 1_000 + 20 * u64::from(n), 7, n.wrapping_add(65_500), u32::from(n) * 160);
            assert_eq!((out.ssrc, out.sequence, out.timestamp), (7, n.wrapping_add(65_500), u32::from(n) * 160));
        }
    }

    #[test]
    fn a_second_source_continues_the_first() {
        let mut side = Side::new(PairId(1));
        carry(&mut side, 1_000, 7, 65_535, 1_000);
        let first = carry(&mut side, 1_100, 9, 500, 90_000);
        assert_eq!((first.ssrc, first.sequence, first.timestamp), (7, 0, 1_000 + 800));
        let second = carry(&mut side, 1_120, 9, 501, 90_160);
        assert_eq!((second.ssrc, second.sequence, second.timestamp), (7, 1, 1_960));
        let third = carry(&mut side, 1_140, 11, 3, 5);
        assert_eq!((third.ssrc, third.sequence, third.timestamp), (7, 2, 1_960 + 160));
    }

    #[test]
    fn the_longest_gap_counts_and_a_pause_does_not() {
        let mut side = Side::new(PairId(1));
        for ms in [1_000, 1_020, 1_065, 1_085] {
            carry(&mut side, ms, 7, 1, 1);
        }
        side.pause();
        carry(&mut side, 9_000, 7, 2, 2);
        assert_eq!(side.counters.longest_gap, Span::from_millis(45));
        assert_eq!(side.counters.relayed, 5);
    }

    #[test]
    fn a_hold_is_no_gap_even_when_a_late_packet_falls_into_it() {
        let mut side = Side::new(PairId(1));
        carry(&mut side, 1_000, 7, 1, 1);
        carry(&mut side, 1_020, 7, 2, 161);
        side.hold(true);
        carry(&mut side, 1_500, 7, 3, 321);
        assert_eq!(side.silence(Instant::ZERO + Span::from_secs(9)), None, "held");
        side.hold(false);
        carry(&mut side, 30_000, 7, 4, 481);
        carry(&mut side, 30_070, 7, 5, 641);
        assert_eq!(side.counters.longest_gap, Span::from_millis(70));
        assert_eq!(side.silence(Instant::ZERO + Span::from_millis(30_100)), Some(Span::from_millis(30)));
    }

    #[test]
    fn a_late_packet_of_the_source_before_keeps_its_own_numbers() {
        let mut side = Side::new(PairId(1));
        carry(&mut side, 1_000, 7, 10, 1_600);
        assert_eq!(carry(&mut side, 1_020, 9, 500, 90_000).sequence, 11);
        let late = carry(&mut side, 1_025, 7, 9, 1_440);
        assert_eq!((late.ssrc, late.sequence, late.timestamp), (7, 9, 1_440));
        assert_eq!(carry(&mut side, 1_040, 9, 501, 90_160).sequence, 12, "and the new one goes on");
    }

    #[test]
    fn the_protocol_says_the_shape() {
        let of = |proto: &str| Shape::of(proto.as_bytes());
        assert_eq!([of("RTP/AVP"), of("rtp/avpf"), of("UDP/RTP/AVP")], [Shape::Rtp; 3]);
        assert_eq!([of("RTP/SAVP"), of("UDP/TLS/RTP/SAVPF")], [Shape::Srtp; 2]);
        assert_eq!([of("udptl"), of("AVP"), of("")], [Shape::Opaque; 3]);
    }

    proptest! {
        /// Sources take over from each other at any moment with any numbers: the listener hears one stream without a seam.
        #[test]
        fn the_listener_hears_one_stream(
            spurts in prop::collection::vec((any::<u32>(), any::<u16>(), any::<u32>(), 1u16..40, 20u64..3_000), 1..12),
        ) {
            let mut side = Side::new(PairId(1));
            let (mut ms, mut last) = (1_000, None::<rtp::Header>);
            for (index, (ssrc, sequence, timestamp, packets, pause)) in spurts.into_iter().enumerate() {
                // Each spurt is another host's, as after a hunt: the latch moves.
                side.latch.expect(SocketAddr::from(([192, 0, 2, 1], 4_000 + index as u16)));
                side.latch.accepts(Instant::ZERO, SocketAddr::from(([192, 0, 2, 1], 4_000 + index as u16)), (ssrc, 0));
                ms += pause;
                for n in 0..packets {
                    let sent = (sequence.wrapping_add(n), timestamp.wrapping_add(u32::from(n) * 160));
                    let heard = carry(&mut side, ms, ssrc, sent.0, sent.1);
                    if let Some(last) = last {
                        prop_assert_eq!(heard.ssrc, last.ssrc);
                        let step = heard.sequence.wrapping_sub(last.sequence);
                        let forward = heard.timestamp.wrapping_sub(last.timestamp);
                        prop_assert!(step == 1, "sequence stepped by {}", step);
                        prop_assert!((1..0x8000_0000).contains(&forward), "time went back: {}", forward);
                    }
                    last = Some(heard);
                    ms += 20;
                }
            }
        }
    }
}
