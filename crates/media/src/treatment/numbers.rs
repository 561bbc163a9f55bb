//! The numbers of a stream that packets are put into and taken out of: its listener sees none missing, and none twice.
//!
//! Packets that pass keep their distances, so that a loss before us is still a loss to the listener. Refuses to know: why a packet is
//! put in or taken out.

use crate::rtp;
use model::{Instant, Span};

/// When and with which timestamp the newest sound left.
#[derive(Clone, Copy, Debug)]
struct Sounded {
    at: Instant,
    timestamp: u32,
    clock: u32,
}

/// The numbers of one direction.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    source: u32,
    known: bool,
    /// Newest sequence numbers, as they came and as they left.
    came: Option<u16>,
    left: Option<u16>,
    /// What is added to those that pass; and what was added to those before this one.
    add: u16,
    before: (u16, u16),
    timestamp_add: u32,
    /// Something was put in or taken out since the last packet that passed; sound was made in another time.
    moved: bool,
    retimed: bool,
    sounded: Option<Sounded>,
}

impl Numbers {
    /// `source` is the name of the stream until its speaker is heard.
    pub(super) const fn new(source: u32) -> Self {
        Self {
            source,
            known: false,
            came: None,
            left: None,
            add: 0,
            before: (0, 0),
            timestamp_add: 0,
            moved: false,
            retimed: false,
            sounded: None,
        }
    }

    /// A packet of the speaker's has come. True when it is the first of a source.
    pub(super) fn hear(&mut self, now: Instant, header: &rtp::Header) -> bool {
        let first = !self.known || self.source != header.ssrc;
        if first {
            // Another source has numbers of its own; that it continues the one before is seen to behind us.
            let sounded = Some(Sounded { at: now, timestamp: header.timestamp, clock: 0 });
            *self = Self { known: true, sounded, ..Self::new(header.ssrc) };
        }
        first
    }

    /// The speaker was heard before, without us: this was its newest packet, and when it came.
    pub(super) fn follow(&mut self, newest: &rtp::Header, at: Instant, clock: u32) {
        let sounded = Some(Sounded { at, timestamp: newest.timestamp, clock });
        let (came, left) = (Some(newest.sequence), Some(newest.sequence));
        *self = Self { known: true, came, left, sounded, ..Self::new(newest.ssrc) };
    }

    /// A packet that goes on by its own numbers, its payload type aside.
    pub(super) fn pass(&mut self, now: Instant, header: &rtp::Header, clock: Option<u32>) -> rtp::Header {
        let newest = self.came.is_none_or(|came| (header.sequence.wrapping_sub(came) as i16) > 0);
        if newest && self.moved {
            self.before = (header.sequence, self.add);
            if let Some(left) = self.left {
                self.add = left.wrapping_add(1).wrapping_sub(header.sequence);
            }
            self.moved = false;
        }
        if let Some(clock) = clock.filter(|_| newest && self.retimed) {
            let time = self.time(now, clock);
            self.timestamp_add = time.wrapping_sub(header.timestamp);
            self.retimed = false;
        }
        let overtaken = !newest && (header.sequence.wrapping_sub(self.before.0) as i16) < 0;
        let add = if overtaken { self.before.1 } else { self.add };
        let timestamp = header.timestamp.wrapping_add(self.timestamp_add);
        let sequence = header.sequence.wrapping_add(add);
        if newest {
            (self.came, self.left) = (Some(header.sequence), Some(sequence));
            if let Some(clock) = clock {
                self.sounded = Some(Sounded { at: now, timestamp, clock });
            }
        }
        rtp::Header { sequence, timestamp, ..*header }
    }

    /// A packet that does not go on.
    pub(super) fn take_out(&mut self, header: &rtp::Header) {
        if self.came.is_none_or(|came| (header.sequence.wrapping_sub(came) as i16) > 0) {
            self.came = Some(header.sequence);
        }
        // Nothing has left yet: the stream begins with what comes next.
        self.left.get_or_insert(header.sequence.wrapping_add(self.add).wrapping_sub(1));
        self.moved = true;
    }

    /// A packet of ours. Sound says the clock that its time is in.
    pub(super) fn put_in(
        &mut self,
        now: Instant,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        clock: Option<u32>,
    ) -> rtp::Header {
        let sequence = self.left.map_or(self.source as u16, |left| left.wrapping_add(1));
        (self.left, self.moved) = (Some(sequence), true);
        if let Some(clock) = clock {
            self.retimed = true;
            self.sounded = Some(Sounded { at: now, timestamp, clock });
        }
        rtp::Header { marker, payload_type, sequence, timestamp, ssrc: self.source }
    }

    /// The time it is now in the stream, by this clock when it has none yet.
    pub(super) fn time(&mut self, now: Instant, clock: u32) -> u32 {
        let begins = Sounded { at: now, timestamp: self.source, clock: 0 };
        let sounded = *self.sounded.get_or_insert(begins);
        let passed = now.since(sounded.at).max(Span::from_millis(1));
        let clock = if sounded.clock == 0 { clock } else { sounded.clock };
        sounded.timestamp.wrapping_add((passed.as_micros().saturating_mul(u64::from(clock)) / 1_000_000) as u32)
    }

    /// Whether any sound has left.
    pub(super) fn has_sounded(&self) -> bool {
        self.clock().is_some()
    }

    /// The clock of the newest sound that has left.
    pub(super) fn clock(&self) -> Option<u32> {
        self.sounded.map(|sounded| sounded.clock).filter(|clock| *clock > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16) -> rtp::Header {
        rtp::Header { marker: false, payload_type: 8, sequence, timestamp: u32::from(sequence) * 160, ssrc: 9 }
    }

    fn at(n: u16) -> Instant {
        Instant::ZERO + Span::from_millis(1_000 + 20 * u64::from(n))
    }

    #[test]
    fn what_is_put_in_moves_what_follows_and_a_loss_stays_one() {
        let mut numbers = Numbers::new(1);
        numbers.hear(at(10), &header(10));
        let pass = |numbers: &mut Numbers, n: u16| numbers.pass(at(n), &header(n), Some(8_000)).sequence;
        assert_eq!((pass(&mut numbers, 10), pass(&mut numbers, 12), pass(&mut numbers, 11)), (10, 12, 11));
        let event = numbers.put_in(at(13), 101, true, 5, None);
        assert_eq!((event.sequence, event.ssrc), (13, 9));
        assert_eq!((pass(&mut numbers, 14), pass(&mut numbers, 16)), (14, 16), "moved to follow, then as they are");
        assert_eq!(numbers.put_in(at(16), 101, false, 5, None).sequence, 17);
        assert_eq!(
            (pass(&mut numbers, 17), pass(&mut numbers, 15)),
            (18, 15),
            "one that was overtaken keeps its place"
        );
    }

    #[test]
    fn what_is_taken_out_is_not_missed() {
        let mut numbers = Numbers::new(1);
        numbers.hear(at(10), &header(10));
        numbers.pass(at(10), &header(10), Some(8_000));
        for n in 11..15 {
            numbers.take_out(&header(n));
        }
        let next = numbers.pass(at(15), &header(15), Some(8_000));
        assert_eq!((next.sequence, next.timestamp), (11, 15 * 160), "and its time is its own");
    }

    #[test]
    fn time_goes_on_between_sound_that_passes_and_sound_that_is_made() {
        let mut numbers = Numbers::new(1);
        numbers.hear(at(10), &header(10));
        numbers.pass(at(10), &header(10), Some(8_000));
        let time = numbers.time(at(11), 8_000);
        assert_eq!(time, 11 * 160);
        numbers.put_in(at(11), 8, false, time + 5, Some(8_000));
        assert_eq!(numbers.pass(at(12), &header(12), Some(8_000)).timestamp, 12 * 160 + 5);
    }
}
