//! What agents say and hear: a tone in A-law packets of 20 ms, and which tone came back for how long.
//!
//! Refuses to know: sockets, when a packet is due.

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

/// Plays a tone.
#[derive(Clone, Debug)]
pub struct ToneTalker {
    generator: Generator,
    header: rtp::Header,
}

impl ToneTalker {
    /// A tone of `hz` (0 is silence) as source `ssrc`.
    pub fn new(hz: u16, ssrc: u32) -> Self {
        let header = rtp::Header { marker: true, payload_type: PCMA, sequence: ssrc as u16, timestamp: ssrc, ssrc };
        Self { generator: Generator::new(hz), header }
    }

    /// The next packet.
    pub fn next_packet(&mut self) -> [u8; rtp::HEADER + FRAME] {
        let mut packet = [0; rtp::HEADER + FRAME];
        let (head, payload) = packet.split_at_mut(rtp::HEADER);
        if let Some(head) = head.first_chunk_mut() {
            rtp::write(head, &self.header);
        }
        for (byte, sample) in payload.iter_mut().zip(self.generator.frame()) {
            *byte = g711::encode_a(sample);
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
    /// For these frequencies, in hertz.
    pub fn new(frequencies: &[u16]) -> Self {
        let heard = frequencies.iter().map(|hz| (*hz, 0)).collect();
        Self { heard, packets: 0, last: None, longest_gap: Span::ZERO }
    }

    /// One RTP packet.
    pub fn feed(&mut self, now: Instant, packet: &[u8]) {
        let (Some(header), Some(payload)) = (rtp::read(packet), rtp::payload(packet)) else { return };
        let decode = match header.payload_type {
            PCMA => g711::decode_a,
            PCMU => g711::decode_u,
            _ => return,
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
        let mut frequencies = [0u16; 16];
        let count = self.heard.len().min(frequencies.len());
        for (slot, (hz, _)) in frequencies.iter_mut().zip(&self.heard) {
            *slot = *hz;
        }
        if let Some(hz) = tone::detect(&frame[..length], &frequencies[..count]) {
            self.heard.iter_mut().filter(|(known, _)| *known == hz).for_each(|(_, frames)| *frames += 1);
        }
    }

    /// The frequency heard longest and for how long, when any was.
    pub fn loudest(&self) -> Option<(u16, Span)> {
        let (hz, frames) = self.heard.iter().max_by_key(|(_, frames)| *frames)?;
        (*frames > 0).then(|| (*hz, PACKET_TIME.times(u64::from(*frames))))
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

    #[test]
    fn what_one_plays_the_other_hears() {
        let mut talker = ToneTalker::new(440, 99);
        let mut listener = ToneListener::new(&[440, 1_000]);
        for n in 0..50 {
            listener.feed(Instant::ZERO + Span::from_millis(20 * n), &talker.next_packet());
        }
        listener.feed(Instant::ZERO + Span::from_secs(2), &talker.next_packet());
        assert_eq!(listener.loudest(), Some((440, Span::from_millis(1_020))));
        assert_eq!((listener.packets(), listener.longest_gap()), (51, Span::from_millis(1_020)));
    }
}
