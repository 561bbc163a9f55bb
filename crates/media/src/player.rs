//! What agents say and hear: a tone in G.711 packets of 20 ms, and which tone came back for how long.
//!
//! Refuses to know: sockets, clocks.

use crate::speech::{Codec, Format};
use crate::tone::{self, FRAME, Generator};
use crate::{g711, rtp};
use alloc::vec::Vec;
use model::{Instant, Span};

/// Payload type of PCMA (RFC 3551 §6).
const PCMA: u8 = 8;
/// Payload type of PCMU (RFC 3551 §6).
const PCMU: u8 = 0;
/// Audio in one packet.
const PACKET_TIME: Span = Span::from_millis(20);

/// Frequencies one listener may know.
const KNOWN_MAX: usize = 16;
/// How far a talker may lag before it leaves packets out rather than send them in a burst.
const LAG_MAX: Span = Span::from_millis(200);

/// A packet of a talker.
pub type Packet = [u8; rtp::HEADER + FRAME];

/// Which G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Law {
    /// PCMA, payload type 8.
    #[default]
    A,
    /// PCMU, payload type 0.
    Mu,
}

impl Law {
    /// Its payload type (RFC 3551 §6).
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::A => PCMA,
            Self::Mu => PCMU,
        }
    }

    /// As a description has it, in packets of 20 ms.
    pub const fn format(self) -> Format {
        let codec = match self {
            Self::A => Codec::Pcma,
            Self::Mu => Codec::Pcmu,
        };
        Format { codec, payload_type: self.payload_type(), clock: 8_000, packet_ms: 20 }
    }
}

/// Plays a tone.
#[derive(Clone, Debug)]
pub struct ToneTalker {
    generator: Generator,
    header: rtp::Header,
    law: Law,
    due: Option<Instant>,
}

impl ToneTalker {
    /// A tone of `hz` (0 is silence) as source `ssrc`.
    pub fn new(hz: u16, ssrc: u32) -> Self {
        let header = rtp::Header { marker: true, payload_type: PCMA, sequence: ssrc as u16, timestamp: ssrc, ssrc };
        Self { generator: Generator::new(hz), header, law: Law::A, due: None }
    }

    /// The same in this law; A-law is what it is without.
    #[must_use]
    pub const fn in_law(mut self, law: Law) -> Self {
        self.law = law;
        self.header.payload_type = law.payload_type();
        self
    }

    /// The packet due by `now` and when it was due; ask until there is none, then again 20 ms after the last. The first is due at
    /// once. Who asks more than 200 ms late gets no burst: its numbers go on, its time is left out.
    pub fn due_packet(&mut self, now: Instant) -> Option<(Instant, Packet)> {
        let mut due = self.due.unwrap_or(now);
        if due > now {
            return None;
        }
        if now.since(due) > LAG_MAX {
            let missed = now.since(due).as_micros() / PACKET_TIME.as_micros();
            self.header.timestamp = self.header.timestamp.wrapping_add((missed as u32).wrapping_mul(FRAME as u32));
            due += PACKET_TIME.times(missed);
        }
        self.due = Some(due + PACKET_TIME);
        Some((due, self.next_packet()))
    }

    /// The next packet, for who keeps the time.
    pub fn next_packet(&mut self) -> Packet {
        let mut packet = [0; rtp::HEADER + FRAME];
        let (head, payload) = packet.split_at_mut(rtp::HEADER);
        if let Some(head) = head.first_chunk_mut() {
            rtp::write(head, &self.header);
        }
        let encode = match self.law {
            Law::A => g711::encode_a,
            Law::Mu => g711::encode_u,
        };
        for (byte, sample) in payload.iter_mut().zip(self.generator.frame()) {
            *byte = encode(sample);
        }
        self.header.marker = false;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(FRAME as u32);
        packet
    }
}

/// Listens for tones.
#[derive(Clone, Debug)]
pub struct ToneListener {
    heard: Vec<(u16, u32)>,
    packets: u64,
    last: Option<Instant>,
    longest_gap: Span,
}

impl ToneListener {
    /// For these frequencies, in hertz; those beyond the sixteenth are not listened for.
    pub fn new(frequencies: &[u16]) -> Self {
        let heard = frequencies.iter().take(KNOWN_MAX).map(|hz| (*hz, 0)).collect();
        Self { heard, packets: 0, last: None, longest_gap: Span::ZERO }
    }

    /// One RTP packet, and the tone in it, if there is one.
    pub fn feed(&mut self, now: Instant, packet: &[u8]) -> Option<u16> {
        let (header, payload) = (rtp::read(packet)?, rtp::payload(packet)?);
        let decode = match header.payload_type {
            PCMA => g711::decode_a,
            PCMU => g711::decode_u,
            _ => return None,
        };
        self.packets += 1;
        if let Some(last) = self.last {
            self.longest_gap = self.longest_gap.max(now.since(last));
        }
        self.last = Some(now);
        let mut frame = [0i16; FRAME];
        let length = payload.len().min(FRAME);
        for (sample, code) in frame.iter_mut().zip(payload) {
            *sample = decode(*code);
        }
        let mut frequencies = [0u16; KNOWN_MAX];
        let count = self.heard.len();
        for (slot, (hz, _)) in frequencies.iter_mut().zip(&self.heard) {
            *slot = *hz;
        }
        let hz = tone::detect(&frame[..length], &frequencies[..count])?;
        self.heard.iter_mut().filter(|(known, _)| *known == hz).for_each(|(_, frames)| *frames += 1);
        Some(hz)
    }

    /// The frequency heard longest and for how long, when any was.
    pub fn loudest(&self) -> Option<(u16, Span)> {
        let (hz, frames) = self.heard.iter().max_by_key(|(_, frames)| *frames)?;
        (*frames > 0).then(|| (*hz, PACKET_TIME.times(u64::from(*frames))))
    }

    /// Each frequency and how long it was heard, as they were given.
    pub fn heard(&self) -> impl Iterator<Item = (u16, Span)> + '_ {
        self.heard.iter().map(|(hz, frames)| (*hz, PACKET_TIME.times(u64::from(*frames))))
    }

    /// Packets received.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Longest time between two packets.
    pub const fn longest_gap(&self) -> Span {
        self.longest_gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_one_plays_the_other_hears() {
        let mut talker = ToneTalker::new(440, 99);
        let mut listener = ToneListener::new(&[440, 1_000]);
        for n in 0..50 {
            let tone = listener.feed(Instant::ZERO + Span::from_millis(20 * n), &talker.next_packet());
            assert_eq!(tone, Some(440));
        }
        listener.feed(Instant::ZERO + Span::from_secs(2), &talker.next_packet());
        assert_eq!(listener.loudest(), Some((440, Span::from_millis(1_020))));
        assert_eq!((listener.packets(), listener.longest_gap()), (51, Span::from_millis(1_020)));
    }

    #[test]
    fn both_laws_are_heard_by_content_and_each_tone_apart() {
        for law in [Law::A, Law::Mu] {
            let mut low = ToneTalker::new(440, 1).in_law(law);
            let mut high = ToneTalker::new(1_000, 2).in_law(law);
            let mut listener = ToneListener::new(&[440, 1_000, 1_700]);
            for n in 0..40 {
                let packet = if n < 30 { low.next_packet() } else { high.next_packet() };
                listener.feed(Instant::ZERO + Span::from_millis(20 * n), &packet);
            }
            let heard: Vec<(u16, Span)> = listener.heard().collect();
            assert_eq!(heard, [(440, Span::from_millis(600)), (1_000, Span::from_millis(200)), (1_700, Span::ZERO)]);
        }
    }

    #[test]
    fn packets_are_due_every_20_ms_and_never_in_a_burst() {
        let mut talker = ToneTalker::new(440, 7);
        let at = |ms| Instant::ZERO + Span::from_millis(ms);
        let (due, first) = talker.due_packet(at(1_000)).unwrap();
        assert_eq!((due, talker.due_packet(at(1_019))), (at(1_000), None));
        let (due, second) = talker.due_packet(at(1_025)).unwrap();
        let (first, second) = (rtp::read(&first).unwrap(), rtp::read(&second).unwrap());
        assert_eq!(due, at(1_020), "late by what the asker is late, not more each time");
        assert_eq!((second.sequence, second.timestamp), (first.sequence + 1, first.timestamp + 160));
        let burst = core::iter::from_fn(|| talker.due_packet(at(5_000))).count();
        assert_eq!(burst, 1, "four seconds of silence are not made up for");
        let next = rtp::read(&talker.due_packet(at(5_020)).unwrap().1).unwrap();
        assert_eq!((next.sequence, next.timestamp), (first.sequence + 3, first.timestamp + 201 * 160));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0usize..3) {
            let mut bytes = bytes;
            if let Some(head) = bytes.first_chunk_mut::<2>() {
                *head = [0x80 | head[0] & 0x1f, [PCMA, PCMU, 101][kind]];
            }
            let mut listener = ToneListener::new(&[440; 20]);
            listener.feed(Instant::ZERO, &bytes);
            prop_assert!(listener.packets() <= 1);
        }
    }
}
