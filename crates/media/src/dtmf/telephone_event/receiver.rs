//! What comes in as events, told as digits: each once, whatever is lost, repeated or overtaken on the way.
//!
//! Refuses to know: clocks; who asks passes time in.

use super::{Block, LENGTH, SEGMENT_MAX, span};
use crate::digit::Digit;
use crate::dtmf::Told;
use crate::rtp;
use model::{Instant, Span};

/// An event of which nothing more is heard for so long is over: all three ends were lost. RFC 4733 §2.5.1.2 has an update every
/// 50 ms at the latest.
const UPDATE_MAX: Span = Span::from_millis(250);
/// A packet of an old event is late or a repetition for so long, and then a new event of somebody who counts time anew.
const LATE_MAX: Span = Span::from_millis(400);
/// Events, or segments of them, whose repetitions are known as such.
const HEARD: usize = 4;

/// Why a packet says no digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its payload is no row of events.
    Malformed,
    /// It is another event than a digit.
    NoDigit,
    /// It is of an event before the one that is known, and nothing of it came in time.
    Late,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    digit: Digit,
    /// Timestamp of its present segment.
    segment: u32,
    /// Ticks of the segments before.
    before: u32,
    /// Ticks of the present segment, as far as it is known.
    duration: u32,
    over: bool,
    last: Instant,
}

impl Known {
    fn told(&self, clock: u32) -> Told {
        Told::Ended { digit: self.digit, duration: span(self.before.saturating_add(self.duration), clock) }
    }
}

/// Listens to the events of one stream.
#[derive(Clone, Debug)]
pub struct Receiver {
    clock: u32,
    source: Option<u32>,
    known: Option<Known>,
    /// Timestamps of what was told last.
    heard: [Option<u32>; HEARD],
}

impl Receiver {
    /// For events whose clock has so many ticks in a second.
    pub const fn new(clock: u32) -> Self {
        Self { clock, source: None, known: None, heard: [None; HEARD] }
    }

    /// A packet of events. What it says that was not said before is told, in order.
    ///
    /// # Errors
    /// It says nothing that can be used; what was known before holds.
    pub fn take(
        &mut self,
        now: Instant,
        header: &rtp::Header,
        payload: &[u8],
        tell: &mut dyn FnMut(Told),
    ) -> Result<(), Refused> {
        self.tick(now, tell);
        if payload.len() < LENGTH {
            return Err(Refused::Malformed);
        }
        if self.source != Some(header.ssrc) {
            // Another source counts otherwise; what the one before had begun is over.
            self.finish(tell);
            (self.source, self.known, self.heard) = (Some(header.ssrc), None, [None; HEARD]);
        }
        let (mut timestamp, mut result, mut marker) = (header.timestamp, Ok(()), header.marker);
        // Several in one packet follow each other without a gap (RFC 4733 §2.5.1.5). Bytes behind the last whole one mean nothing.
        for bytes in payload.chunks_exact(LENGTH) {
            let block = Block::read([bytes[0], bytes[1], bytes[2], bytes[3]]);
            match block.digit() {
                Some(digit) => {
                    let taken = self.block(now, timestamp, marker, digit, block, tell);
                    result = result.and(taken);
                }
                None => result = result.and(Err(Refused::NoDigit)),
            }
            timestamp = timestamp.wrapping_add(u32::from(block.duration));
            marker = false;
        }
        result
    }

    /// When something is due though nothing comes.
    pub fn deadline(&self) -> Option<Instant> {
        self.known.filter(|known| !known.over).map(|known| known.last + UPDATE_MAX)
    }

    /// An event of which nothing more is heard is over.
    pub fn tick(&mut self, now: Instant, tell: &mut dyn FnMut(Told)) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.finish(tell);
        }
    }

    /// Nothing more will come: what has begun is over.
    pub fn finish(&mut self, tell: &mut dyn FnMut(Told)) {
        if let Some(known) = self.known.as_mut().filter(|known| !known.over) {
            known.over = true;
            tell(known.told(self.clock));
        }
    }

    fn block(
        &mut self,
        now: Instant,
        timestamp: u32,
        marker: bool,
        digit: Digit,
        block: Block,
        tell: &mut dyn FnMut(Told),
    ) -> Result<(), Refused> {
        let duration = u32::from(block.duration);
        let Some(known) = &mut self.known else {
            self.begin(now, timestamp, digit, block, tell);
            return Ok(());
        };
        let ahead = timestamp.wrapping_sub(known.segment);
        let long_ago = known.over && now.since(known.last) >= LATE_MAX;
        match ahead {
            0 if known.digit == digit && !(long_ago && (marker || duration < known.duration)) => {
                known.last = now;
                if !known.over {
                    known.duration = known.duration.max(duration);
                    if block.end {
                        self.finish(tell);
                    }
                }
                return Ok(());
            }
            // The same event in its next segment, or in one after that (RFC 4733 §2.5.1.3).
            1..0x8000_0000 if known.digit == digit && !known.over && !marker && ahead.is_multiple_of(SEGMENT_MAX) => {
                known.before = known.before.saturating_add(ahead);
                (known.segment, known.duration, known.last) = (timestamp, duration, now);
                self.remember(timestamp);
                if block.end {
                    self.finish(tell);
                }
                return Ok(());
            }
            // Its earlier segments, the events before it: told already, or too late to be put into the row.
            0 | 0x8000_0000.. if !long_ago => {
                return if self.heard.contains(&Some(timestamp)) { Ok(()) } else { Err(Refused::Late) };
            }
            _ => {}
        }
        self.finish(tell);
        self.begin(now, timestamp, digit, block, tell);
        Ok(())
    }

    fn remember(&mut self, timestamp: u32) {
        self.heard.rotate_right(1);
        self.heard[0] = Some(timestamp);
    }

    fn begin(&mut self, now: Instant, timestamp: u32, digit: Digit, block: Block, tell: &mut dyn FnMut(Told)) {
        tell(Told::Began { digit });
        self.remember(timestamp);
        let duration = u32::from(block.duration);
        self.known = Some(Known { digit, segment: timestamp, before: 0, duration, over: false, last: now });
        if block.end {
            self.finish(tell);
        }
    }
}
