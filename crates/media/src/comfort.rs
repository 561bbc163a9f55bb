//! Comfort noise that we make: what a party hears while the other side of its call is being reached again.
//!
//! Soft noise in G.711, 20 ms a packet: a line that is dead silent is hung up on. It stops by itself when the far side is heard again.
//! Refuses to know: why the far side is silent, who listens.

use crate::g711;
use crate::player::{Law, Packet};
use crate::rtp;
use crate::tone::FRAME;
use model::{Instant, Rng, Span};

/// Sound in one packet.
const PACKET_TIME: Span = Span::from_millis(20);
/// Loudest sample: about -62 dBov, below a quiet room and above nothing (RFC 3389 §3 codes such levels).
const LOUDEST: u64 = 40;
/// How late a packet may be before those that are overdue are left out.
const LAG_MAX: Span = Span::from_millis(200);

/// A source of comfort noise.
#[derive(Clone, Debug)]
pub(crate) struct Comfort {
    header: rtp::Header,
    law: Law,
    noise: Rng,
    due: Instant,
}

impl Comfort {
    /// Begins at once.
    pub(crate) fn new(now: Instant, law: Law, ssrc: u32) -> Self {
        let payload_type = law.payload_type();
        let header = rtp::Header { marker: true, payload_type, sequence: ssrc as u16, timestamp: ssrc, ssrc };
        Self { header, law, noise: Rng::new(u64::from(ssrc)), due: now }
    }

    /// In which law it is.
    pub(crate) const fn law(&self) -> Law {
        self.law
    }

    /// When its next packet is due.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// The packet that is due.
    pub(crate) fn packet(&mut self, now: Instant) -> Packet {
        if now.since(self.due) > LAG_MAX {
            self.due = now;
        }
        self.due += PACKET_TIME;
        let mut packet = [0; rtp::HEADER + FRAME];
        let (head, payload) = packet.split_at_mut(rtp::HEADER);
        if let Some(head) = head.first_chunk_mut() {
            rtp::write(head, &self.header);
        }
        for byte in payload {
            let sample = (self.noise.next_u64() % (2 * LOUDEST + 1)) as i16 - LOUDEST as i16;
            *byte = match self.law {
                Law::A => g711::encode_a(sample),
                Law::Mu => g711::encode_u(sample),
            };
        }
        self.header.marker = false;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(FRAME as u32);
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone;

    #[test]
    fn it_is_soft_and_not_dead_and_comes_every_20_ms() {
        for law in [Law::A, Law::Mu] {
            let mut comfort = Comfort::new(Instant::ZERO, law, 7);
            for n in 0..50u64 {
                let due = Instant::ZERO + PACKET_TIME.times(n);
                assert_eq!(comfort.due(), due);
                let packet = comfort.packet(due);
                let decode = if law == Law::A { g711::decode_a } else { g711::decode_u };
                let samples: std::vec::Vec<i16> = packet[rtp::HEADER..].iter().map(|code| decode(*code)).collect();
                assert!(!tone::is_loud(&samples) && samples.iter().any(|sample| sample.abs() > 10));
                let header = rtp::read(&packet).unwrap();
                assert_eq!(
                    (header.sequence, header.timestamp, header.marker),
                    (7 + n as u16, 7 + 160 * n as u32, n == 0)
                );
            }
        }
    }

    #[test]
    fn who_asks_late_gets_no_burst() {
        let mut comfort = Comfort::new(Instant::ZERO, Law::A, 7);
        let late = Instant::ZERO + Span::from_secs(3);
        comfort.packet(late);
        assert_eq!(comfort.due(), late + PACKET_TIME);
    }
}
