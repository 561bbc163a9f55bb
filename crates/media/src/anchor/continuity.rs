//! What is heard of a side over changes of its source: one SSRC, numbers that go on, timestamps that move by the time that passed.
//!
//! A source that never changes passes untouched. Refuses to know: addresses, what is measured of a stream.

use crate::rtcp::Renamed;
use crate::rtp;
use model::{Instant, Span};

/// Timestamp units per millisecond of the audio we expect, until somebody knows better: 8 kHz. Another clock only makes the step
/// between two sources a little long or short, which jitter buffers bear.
const TICKS_PER_MS: u32 = 8;
/// Least step of time between two sources: one packet of the usual length.
const STEP_MS: u64 = 20;
/// A source heard this shortly before another speaks may have packets on the way.
const OVERLAP: Span = Span::from_millis(200);
/// Packets of an earlier source, within [`OVERLAP`], that show two sources at once and no change.
const RETURNS_MAX: u8 = 3;
/// No source has moved so often.
const NOBODY: u32 = u32::MAX;
/// Sequence numbers that a stream may miss and still be the same one (RFC 3550 §A.1, MAX_DROPOUT).
const DROPOUT_MAX: u16 = 3_000;

/// Keeps one stream going over changes of its source.
#[derive(Clone, Debug)]
pub(crate) struct Continuity {
    source: Option<u32>,
    /// The source before, and how it was known, as long as the same address speaks.
    pub(super) before: Option<(u32, Option<Mapped>)>,
    /// Packets of the source before since the present one speaks.
    returns: u8,
    /// Two sources at once: both pass as they are.
    several: bool,
    /// How often the address had changed.
    moves: u32,
    /// Set once the source has changed: what the listener knows.
    mapped: Option<Mapped>,
    last_sequence: u16,
    last_timestamp: u32,
    last_at: Instant,
    /// Of its clock: by how much a gap without packets takes its timestamps on.
    pub(super) ticks_per_ms: u32,
}

impl Default for Continuity {
    fn default() -> Self {
        Self {
            source: None,
            before: None,
            returns: 0,
            several: false,
            moves: 0,
            mapped: None,
            last_sequence: 0,
            last_timestamp: 0,
            last_at: Instant::ZERO,
            ticks_per_ms: TICKS_PER_MS,
        }
    }
}

/// How a source is known to the listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapped {
    ssrc: u32,
    sequence_add: u16,
    timestamp_add: u32,
}

impl Mapped {
    #[inline]
    fn write(&self, header: &rtp::Header, packet: &mut [u8]) -> (u16, u32) {
        let sequence = header.sequence.wrapping_add(self.sequence_add);
        let timestamp = header.timestamp.wrapping_add(self.timestamp_add);
        if let Some(head) = packet.first_chunk_mut::<{ rtp::HEADER }>() {
            head[2..4].copy_from_slice(&sequence.to_be_bytes());
            head[4..8].copy_from_slice(&timestamp.to_be_bytes());
            head[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        }
        (sequence, timestamp)
    }
}

impl Continuity {
    pub(super) fn known_as(&self) -> Option<u32> {
        self.mapped.map(|mapped| mapped.ssrc).or(self.source)
    }

    /// Whoever speaks next goes on from here, whatever its name and its address: it is not the one before.
    pub(super) const fn begin_again(&mut self) {
        (self.before, self.returns, self.several, self.moves) = (None, 0, false, NOBODY);
    }

    pub(super) const fn last(&self) -> (u32, Instant) {
        (self.last_timestamp, self.last_at)
    }

    /// How the present source is known to the listener, when by other numbers than its own.
    pub(crate) fn renamed(&self) -> Option<Renamed> {
        let (from, mapped) = (self.source?, self.mapped?);
        let Mapped { ssrc, sequence_add, timestamp_add } = mapped;
        Some(Renamed { from, to: ssrc, sequence_add, timestamp_add })
    }

    /// The newest packet of the present source as it came, and when.
    pub(crate) fn newest(&self) -> Option<(rtp::Header, Instant)> {
        let ssrc = self.source?;
        let (sequence_add, timestamp_add) = self.mapped.map_or((0, 0), |to| (to.sequence_add, to.timestamp_add));
        let sequence = self.last_sequence.wrapping_sub(sequence_add);
        let timestamp = self.last_timestamp.wrapping_sub(timestamp_add);
        Some((rtp::Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }, self.last_at))
    }

    #[inline(always)]
    pub(super) fn carry(&mut self, now: Instant, moves: u32, header: &rtp::Header, packet: &mut [u8]) {
        let first = self.source.is_none();
        if (self.source != Some(header.ssrc) || self.moves != moves) && !self.change(now, moves, header, packet) {
            return;
        }
        let (sequence, timestamp) = match &self.mapped {
            Some(mapped) => mapped.write(header, packet),
            None => (header.sequence, header.timestamp),
        };
        // Only forward: a packet that was overtaken does not move what has been heard.
        if first || sequence.wrapping_sub(self.last_sequence) < 0x8000 {
            self.last_sequence = sequence;
            self.last_timestamp = timestamp;
        }
        self.last_at = now;
    }

    /// Another SSRC, or another address. False when the packet is not of the stream that goes on, and is dealt with.
    #[cold]
    fn change(&mut self, now: Instant, moves: u32, header: &rtp::Header, packet: &mut [u8]) -> bool {
        let Some(source) = self.source else {
            (self.source, self.moves) = (Some(header.ssrc), moves);
            return true;
        };
        if self.moves == moves {
            if self.several {
                return false;
            }
            if let Some((ssrc, mapped)) = self.before
                && ssrc == header.ssrc
                && now.since(self.last_at) < OVERLAP
            {
                self.returned(mapped, header, packet);
                return false;
            }
            self.before = Some((source, self.mapped));
        } else {
            (self.moves, self.before, self.several) = (moves, None, false);
            if source == header.ssrc && self.is_next(header.sequence) {
                // The same stream from another port.
                return true;
            }
        }
        self.returns = 0;
        let passed = (now.since(self.last_at).as_millis().max(STEP_MS) * u64::from(self.ticks_per_ms)) as u32;
        self.mapped = Some(Mapped {
            ssrc: self.mapped.map_or(source, |mapped| mapped.ssrc),
            sequence_add: self.last_sequence.wrapping_add(1).wrapping_sub(header.sequence),
            timestamp_add: self.last_timestamp.wrapping_add(passed).wrapping_sub(header.timestamp),
        });
        self.source = Some(header.ssrc);
        true
    }

    /// A packet of the source before: late, or a sign that both speak at once.
    fn returned(&mut self, before: Option<Mapped>, header: &rtp::Header, packet: &mut [u8]) {
        self.returns += 1;
        if self.returns >= RETURNS_MAX {
            self.several = true;
            self.mapped = None;
        } else if let Some(mapped) = before {
            mapped.write(header, packet);
        }
    }

    fn is_next(&self, sequence: u16) -> bool {
        let add = self.mapped.map_or(0, |mapped| mapped.sequence_add);
        (1..DROPOUT_MAX).contains(&sequence.wrapping_add(add).wrapping_sub(self.last_sequence))
    }
}
