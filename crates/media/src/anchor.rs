//! One side of an anchored stream: whom it hears, and how what it says continues what was said before.
//!
//! When the source of a stream changes (the next attempt of a hunt, a re-INVITE to another host), the listener should go on
//! hearing one stream: same SSRC, next sequence number, a timestamp that has moved on by the time that passed. A source that never
//! changes passes untouched, so that SRTP passes too. Refuses to know: ports, sockets.

use crate::latch::Latch;
use crate::relay::PairId;
use crate::rtp;
use core::net::SocketAddr;
use model::{Instant, Span};

/// Timestamp units per millisecond of the audio we expect: 8 kHz. Another clock only makes the step between two sources a little
/// long or short, which jitter buffers bear.
const TICKS_PER_MS: u64 = 8;

/// What was counted on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SideCounters {
    /// RTP packets of this side that were relayed.
    pub relayed: u64,
    /// Packets at this side's ports that were refused.
    pub refused: u64,
    /// Longest time between two relayed RTP packets, holds not counted.
    pub longest_gap: Span,
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
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// The pair by which its packets leave.
    pub(crate) peer: PairId,
    pub(crate) latch: Latch,
    /// Where its RTCP goes, when the SDP says; else one above RTP.
    pub(crate) rtcp: Option<SocketAddr>,
    /// It wants RTCP on the RTP port (RFC 5761).
    pub(crate) mux: bool,
    pub(crate) counters: SideCounters,
    last_packet: Option<Instant>,
    continuity: Continuity,
}

impl Side {
    pub(crate) fn new(peer: PairId) -> Self {
        Self {
            peer,
            latch: Latch::default(),
            rtcp: None,
            mux: false,
            counters: SideCounters::default(),
            last_packet: None,
            continuity: Continuity::default(),
        }
    }

    /// A packet of this side is on its way out.
    #[inline]
    pub(crate) fn passed(&mut self, now: Instant, header: &rtp::Header, packet: &mut [u8]) {
        self.counters.relayed += 1;
        if let Some(last) = self.last_packet {
            let gap = now.since(last);
            if gap > self.counters.longest_gap {
                self.counters.longest_gap = gap;
            }
        }
        self.last_packet = Some(now);
        self.continuity.carry(now, header, packet);
    }

    /// Silence from here on is meant, until the next packet.
    pub(crate) fn pause(&mut self) {
        self.last_packet = None;
    }

    /// Where RTCP to this side goes.
    pub(crate) fn rtcp_to(&self) -> Option<SocketAddr> {
        let rtp = self.latch.send_to()?;
        if self.mux {
            return Some(rtp);
        }
        self.rtcp.or_else(|| rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port)))
    }
}

/// Keeps one stream going over changes of its source.
#[derive(Clone, Debug, Default)]
struct Continuity {
    source: Option<u32>,
    /// Set once the source has changed: what the listener knows.
    mapped: Option<Mapped>,
    last_sequence: u16,
    last_timestamp: u32,
    last_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Mapped {
    ssrc: u32,
    sequence_add: u16,
    timestamp_add: u32,
}

impl Continuity {
    #[inline]
    fn carry(&mut self, now: Instant, header: &rtp::Header, packet: &mut [u8]) {
        if self.source != Some(header.ssrc) {
            self.change(now, header);
        }
        let (mut sequence, mut timestamp) = (header.sequence, header.timestamp);
        if let Some(mapped) = self.mapped {
            sequence = sequence.wrapping_add(mapped.sequence_add);
            timestamp = timestamp.wrapping_add(mapped.timestamp_add);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
            packet[8..12].copy_from_slice(&mapped.ssrc.to_be_bytes());
        }
        // Only forward: a packet that was overtaken does not move what has been heard.
        if sequence.wrapping_sub(self.last_sequence) < 0x8000 || self.last_at == Instant::ZERO {
            self.last_sequence = sequence;
            self.last_timestamp = timestamp;
        }
        self.last_at = now;
    }

    #[cold]
    fn change(&mut self, now: Instant, header: &rtp::Header) {
        if let Some(first) = self.source {
            let ssrc = self.mapped.map_or(first, |mapped| mapped.ssrc);
            let passed = (now.since(self.last_at).as_millis().max(20) * TICKS_PER_MS) as u32;
            self.mapped = Some(Mapped {
                ssrc,
                sequence_add: self.last_sequence.wrapping_add(1).wrapping_sub(header.sequence),
                timestamp_add: self.last_timestamp.wrapping_add(passed).wrapping_sub(header.timestamp),
            });
        }
        self.source = Some(header.ssrc);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> [u8; 20] {
        let mut packet = [0; 20];
        let header = rtp::Header { marker: false, payload_type: 8, sequence, timestamp, ssrc };
        rtp::write((&mut packet[..12]).try_into().unwrap(), &header);
        packet
    }

    fn carry(side: &mut Side, ms: u64, ssrc: u32, sequence: u16, timestamp: u32) -> rtp::Header {
        let mut packet = packet(ssrc, sequence, timestamp);
        let header = rtp::read(&packet).unwrap();
        side.passed(Instant::ZERO + Span::from_millis(ms), &header, &mut packet);
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
}
