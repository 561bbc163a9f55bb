//! Digits as events that go out: a packet at once, one every packet time, three at the end.
//!
//! Refuses to know: sequence numbers and sources, which are those of the stream the events go into; clocks.

use super::{Block, LENGTH, SEGMENT_MAX, ticks};
use crate::digit::Digit;
use alloc::collections::VecDeque;
use model::{Instant, Span};

/// Digits that wait for those before them.
const QUEUE_MAX: usize = 64;
/// Silence between two digits: receivers of tones need 40 ms (ITU-T Q.24), and this may become tones again.
const GAP: Span = Span::from_millis(40);
/// How often the end is said (RFC 4733 §2.5.1.4).
const ENDS: u8 = 3;
/// Shortest and longest digit. One that nobody ends is ended.
const SHORTEST: Span = Span::from_millis(40);
const LONGEST: Span = Span::from_secs(30);
/// Power that is said: -10 dBm0, what a telephone sends.
const VOLUME: u8 = 10;

/// Too many digits wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

/// What a packet of an event is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// It is the first of its event.
    pub marker: bool,
    /// How far its timestamp is after that of the event's first packet: zero but in long events.
    pub offset: u32,
    /// Its payload.
    pub payload: [u8; LENGTH],
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    digit: Digit,
    /// None while it is not known when it ends.
    duration: Option<Span>,
    /// It was let go already while it was being said.
    over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Playing {
    since: Instant,
    /// Ticks of the segments before.
    offset: u32,
    /// What was said last of the present segment.
    said: u16,
    first: bool,
    /// Ends that are still to be said, once it is over.
    ends: Option<u8>,
}

/// Makes the events of one stream.
#[derive(Clone, Debug)]
pub struct Sender {
    clock: u32,
    step: Span,
    queue: VecDeque<Pressed>,
    playing: Option<Playing>,
    due: Instant,
    /// A digit that has begun is the last of the queue and not yet ended.
    open: bool,
    /// How long it is known to be pressed, where whoever hears it says so.
    known: Option<Span>,
}

impl Sender {
    /// For events whose clock has so many ticks in a second, in a stream of packets of this length.
    pub fn new(clock: u32, packet_ms: u8) -> Self {
        let step = Span::from_millis(u64::from(packet_ms.clamp(10, 60)));
        let queue = VecDeque::with_capacity(QUEUE_MAX);
        Self { clock, step, queue, playing: None, due: Instant::ZERO, open: false, known: None }
    }

    /// A digit of a known length.
    ///
    /// # Errors
    /// Too many wait.
    pub fn press(&mut self, now: Instant, digit: Digit, duration: Span) -> Result<(), QueueFull> {
        self.add(now, Pressed { digit, duration: Some(duration.clamp(SHORTEST, LONGEST)), over: false })
    }

    /// A digit that is pressed now and let go later.
    ///
    /// # Errors
    /// Too many wait.
    pub fn begin(&mut self, now: Instant, digit: Digit) -> Result<(), QueueFull> {
        self.add(now, Pressed { digit, duration: None, over: false })?;
        (self.open, self.known) = (true, None);
        Ok(())
    }

    /// What was begun last lasts, so far so long: no more is said of it until more is known.
    pub const fn goes_on(&mut self, so_far: Span) {
        self.known = Some(so_far);
    }

    /// What was begun last has lasted so long.
    pub fn end(&mut self, duration: Span) {
        let playing = self.playing.is_some() && self.queue.len() == 1;
        if core::mem::take(&mut self.open)
            && let Some(pressed) = self.queue.back_mut()
        {
            pressed.over = playing;
            pressed.duration = Some(duration.clamp(SHORTEST, LONGEST));
        }
    }

    /// When the next packet is due; none while there is nothing to say.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.queue.is_empty()).then_some(self.due)
    }

    /// Whether a digit is being said.
    pub const fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// The next packet that is due, if one is.
    pub fn poll(&mut self, now: Instant) -> Option<Event> {
        let pressed = self.queue.front().copied()?;
        if now < self.due {
            return None;
        }
        let mut playing =
            self.playing.unwrap_or(Playing { since: self.due, offset: 0, said: 0, first: true, ends: None });
        if playing.first && now.since(playing.since) > self.step {
            // It has waited for somebody to ask.
            playing.since = now;
        }
        let since = now.since(playing.since);
        let passed = match pressed {
            Pressed { over: true, duration: Some(duration), .. } => duration,
            // The first packet says one packet time, as though the key had been pressed that long ago: so no update is lost to its making.
            Pressed { duration: Some(_), .. } => since + self.step,
            // Of one that is let go later no more is said than is known of it.
            Pressed { duration: None, .. } => self.known.map_or(since, |known| since.min(known)).max(self.step),
        };
        let length = pressed.duration.unwrap_or(LONGEST);
        if playing.ends.is_none() && passed >= length {
            playing.ends = Some(ENDS);
        }
        let total = ticks(passed.min(length), self.clock);
        let event = match total.saturating_sub(playing.offset) {
            // The end of a segment: said as an update, and the next one begins where it ends (RFC 4733 §2.5.1.3).
            beyond if beyond > SEGMENT_MAX => {
                let event = playing.say(pressed.digit, SEGMENT_MAX as u16, false);
                playing.offset += SEGMENT_MAX;
                playing.said = 0;
                self.playing = Some(playing);
                return Some(event);
            }
            ticks => {
                let said = (ticks as u16).max(playing.said);
                playing.say(pressed.digit, said, playing.ends.is_some())
            }
        };
        self.playing = Some(playing);
        self.due = now + self.step;
        if let Some(left) = &mut playing.ends {
            *left -= 1;
            let left = *left;
            self.playing = Some(playing);
            if left == 0 {
                self.next(now);
            }
        }
        Some(event)
    }

    fn add(&mut self, now: Instant, pressed: Pressed) -> Result<(), QueueFull> {
        if self.queue.len() == QUEUE_MAX {
            return Err(QueueFull);
        }
        // One that was never ended is, by the next one.
        self.end(SHORTEST);
        if self.queue.is_empty() {
            self.due = self.due.max(now);
        }
        self.queue.push_back(pressed);
        Ok(())
    }

    /// The digit is said; the next one waits for the gap, of which the repeated ends were a part: the last of them leaves one packet
    /// time after the end.
    fn next(&mut self, now: Instant) {
        self.queue.pop_front();
        self.open &= !self.queue.is_empty();
        self.playing = None;
        self.due = now + self.step.max(GAP - self.step);
    }
}

impl Playing {
    fn say(&mut self, digit: Digit, duration: u16, end: bool) -> Event {
        self.said = duration;
        let payload = Block { code: digit.event(), end, volume: VOLUME, duration }.write();
        Event { marker: core::mem::take(&mut self.first), offset: self.offset, payload }
    }
}
