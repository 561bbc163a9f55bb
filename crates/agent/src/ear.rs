//! What a call has sounded like, in order: which tone from when to when, and whether all of it was one stream.
//!
//! A party that is kept over an outage should hear one source, numbers without holes and a clock that goes on (RFC 3550 §5.1). Refuses to
//! know: who sends, what a tone is.

use alloc::vec::Vec;
use media::rtp;
use model::{Instant, Span};

/// Spells, jumps and gaps that are kept; those that come later are not.
const KEPT: usize = 64;
/// The same sound after this is another spell.
const APART: Span = Span::from_millis(200);
/// Longer is a click to be heard.
const CLICK: Span = Span::from_millis(60);
/// Sound in one packet.
const PACKET_TIME: Span = Span::from_millis(20);
/// Ticks of G.711 in a millisecond.
const TICKS_PER_MS: u64 = 8;

/// The same sound for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// Its tone in hertz; none is sound without one.
    pub tone_hz: Option<u16>,
    /// Its first packet.
    pub from: Instant,
    /// Its last packet.
    pub until: Instant,
}

/// Whether what was heard was one stream.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Stream {
    /// Times another source spoke.
    pub changes: u32,
    /// Sequence numbers that never came.
    pub missing: u32,
    /// Where the clock of the stream went on by more than a packet and a click.
    pub jumps: Vec<Span>,
    /// Where nothing came for longer than a packet and a click.
    pub gaps: Vec<Span>,
}

/// Listens to one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ear {
    pub(crate) spells: Vec<Spell>,
    pub(crate) stream: Stream,
    last: Option<(Instant, rtp::Header)>,
}

impl Ear {
    /// A packet with this tone.
    pub(crate) fn hear(&mut self, now: Instant, packet: &[u8], tone_hz: Option<u16>) {
        let Some(header) = rtp::read(packet) else { return };
        if let Some((at, before)) = self.last.replace((now, header)) {
            self.compare(now.since(at), &before, &header);
        }
        let full = self.spells.len() >= KEPT;
        match self.spells.last_mut() {
            Some(spell) if full || spell.tone_hz == tone_hz && now.since(spell.until) < APART => spell.until = now,
            _ => self.spells.push(Spell { tone_hz, from: now, until: now }),
        }
    }

    fn compare(&mut self, passed: Span, before: &rtp::Header, header: &rtp::Header) {
        let stream = &mut self.stream;
        stream.changes += u32::from(header.ssrc != before.ssrc);
        let step = header.sequence.wrapping_sub(before.sequence);
        if header.ssrc == before.ssrc && step > 1 && step < 0x8000 {
            stream.missing += u32::from(step) - 1;
        }
        let told = Span::from_millis(u64::from(header.timestamp.wrapping_sub(before.timestamp)) / TICKS_PER_MS);
        for (span, kept) in [(told, &mut stream.jumps), (passed, &mut stream.gaps)] {
            if span > PACKET_TIME + CLICK && kept.len() < KEPT {
                kept.push(span);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(ear: &mut Ear, ms: u64, tone: u16, numbers: (u32, u16, u32)) {
        let mut packet = [0; rtp::HEADER];
        let (ssrc, sequence, timestamp) = numbers;
        rtp::write(&mut packet, &rtp::Header { marker: false, payload_type: 8, sequence, timestamp, ssrc });
        ear.hear(Instant::ZERO + Span::from_millis(ms), &packet, (tone > 0).then_some(tone));
    }

    #[test]
    fn spells_of_tone_noise_and_tone_are_told_apart_and_one_stream_is_seen_to_be_one() {
        let mut ear = Ear::default();
        (0..50).for_each(|n| hear(&mut ear, 20 * n, 440, (7, n as u16, n as u32 * 160)));
        // Nothing for four seconds, and the clock goes on.
        (0..50).for_each(|n| hear(&mut ear, 5_000 + 20 * n, 0, (7, 50 + n as u16, (250 + n as u32) * 160)));
        (0..50).for_each(|n| hear(&mut ear, 6_000 + 20 * n, 850, (7, 100 + n as u16, (300 + n as u32) * 160)));
        let spells: Vec<(Option<u16>, u64)> =
            ear.spells.iter().map(|spell| (spell.tone_hz, spell.until.since(spell.from).as_millis())).collect();
        assert_eq!(spells, [(Some(440), 980), (None, 980), (Some(850), 980)]);
        let outage = [Span::from_millis(4_020)];
        let Stream { changes, missing, jumps, gaps } = ear.stream;
        assert_eq!((changes, missing, &jumps[..], &gaps[..]), (0, 0, &outage[..], &outage[..]));
    }

    #[test]
    fn another_source_a_hole_and_a_jump_are_seen() {
        let mut ear = Ear::default();
        hear(&mut ear, 0, 440, (7, 1, 0));
        hear(&mut ear, 20, 440, (9, 500, 90_000));
        hear(&mut ear, 40, 440, (9, 503, 90_480));
        assert_eq!((ear.stream.changes, ear.stream.missing), (1, 2));
        assert_eq!(ear.stream.jumps.len(), 1, "{:?}", ear.stream);
        (0..1_000).for_each(|n| hear(&mut ear, 1_000 * n, (n % 2) as u16, (9, n as u16, 0)));
        assert_eq!((ear.spells.len(), ear.stream.gaps.len()), (KEPT, KEPT), "and no more is kept");
    }
}
