//! A stream's clock beside our own: jitter (RFC 3550 §A.8), jumps of timestamps, pauses of the talker, drift.
//!
//! Kept in microseconds, so that a stream may change its codec and with it its clock. Refuses to know: sequence numbers, sources.

use model::{Instant, Span};

/// Transit that changes by more is looked at: is it delay, or a jump of timestamps?
const JUMP_US: u64 = 1_000_000;
/// Longer ago than any call is.
const PASSED_US: u64 = 1 << 40;
/// Sound in one packet, at most.
const PACKET_US: i64 = 100_000;
/// Over so long the shortest transit is taken, which no queue has lengthened.
const CALM: Span = Span::from_secs(10);
/// Windows of that length before a drift can be told.
const DRIFTS_AFTER: u32 = 3;

/// Arrival against timestamps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// Microseconds per tick, in 16.16 fixed point; zero while the clock is unknown.
    tick: i64,
    /// Ticks in a second.
    rate: u32,
    /// A packet of this source has come.
    runs: bool,
    last_at: Instant,
    last_timestamp: u32,
    /// Sixteen times the jitter in microseconds, as §A.8 keeps it.
    jitter: u64,
    jitter_max: u64,
    jitter_sum: u64,
    measured: u64,
    /// How much longer than the first packet the last one was under way, in microseconds, 16 bits of fraction below.
    transit: i64,
    jumps: u32,
    /// Timestamps moved on without packets, as in a pause of the talker.
    pauses: u32,
    drift: Drift,
}

/// The shortest transits of the first calm window and of the last.
#[derive(Clone, Copy, Debug, Default)]
struct Drift {
    until: Instant,
    least: i64,
    windows: u32,
    first: (Instant, i64),
    last: (Instant, i64),
}

impl Clock {
    /// Ticks in a second of what comes now; zero when they are unknown.
    pub(super) fn set(&mut self, rate: u32) {
        if rate != self.rate {
            self.rate = rate;
            self.tick = (1_000_000i64 << 16).checked_div(i64::from(rate)).unwrap_or(0);
            // Two clocks have no transit in common.
            self.runs = false;
        }
    }

    /// Another source begins, with a transit of its own.
    pub(super) const fn begin(&mut self) {
        self.runs = false;
    }

    /// Jitter now.
    pub(super) const fn jitter(&self) -> Span {
        Span::from_micros(self.jitter >> 4)
    }

    /// Jitter at its worst.
    pub(super) const fn jitter_max(&self) -> Span {
        Span::from_micros(self.jitter_max >> 4)
    }

    /// Mean of the jitter over all packets.
    pub(super) fn jitter_mean(&self) -> Span {
        Span::from_micros((self.jitter_sum >> 4) / self.measured.max(1))
    }

    /// Jitter in ticks.
    pub(super) fn jitter_ticks(&self) -> u32 {
        u32::try_from((self.jitter >> 4) * u64::from(self.rate) / 1_000_000).unwrap_or(u32::MAX)
    }

    /// Times that timestamps jumped.
    pub(super) const fn jumps(&self) -> u32 {
        self.jumps
    }

    /// Times that the talker paused.
    pub(super) const fn pauses(&self) -> u32 {
        self.pauses
    }

    /// See [`Drift`].
    pub(super) fn skew_ppm(&self) -> Option<i32> {
        self.drift.ppm()
    }

    pub(super) const fn known(&self) -> bool {
        self.tick != 0 && self.measured > 0
    }

    #[inline(always)]
    pub(super) fn arrive(&mut self, now: Instant, timestamp: u32, ahead: u16) {
        let forward = timestamp.wrapping_sub(self.last_timestamp) as i32;
        if !self.runs || self.tick == 0 {
            self.first(now, timestamp);
            return;
        }
        // The packets of a telephone-event all have the time it began (RFC 4733 §2.5.1.2): they say nothing of jitter.
        if forward == 0 {
            return;
        }
        let passed = now.since(self.last_at).as_micros().min(PASSED_US) as i64;
        let sound = i64::from(forward) * self.tick;
        let (exactly, sound) = ((passed << 16) - sound, sound >> 16);
        let late = (exactly + 0x8000) >> 16;
        (self.last_at, self.last_timestamp) = (now, timestamp);
        if (late.unsigned_abs() > JUMP_US || sound > PACKET_US) && !self.is_steady(late, sound, ahead) {
            return;
        }
        let jitter = self.jitter + late.unsigned_abs() - ((self.jitter + 8) >> 4);
        self.jitter = jitter;
        self.jitter_max = self.jitter_max.max(jitter);
        self.jitter_sum += jitter;
        self.measured += 1;
        self.transit += exactly;
        self.drift.least = self.drift.least.min(self.transit);
        if now >= self.drift.until {
            self.drift.turn(now, self.transit);
        }
    }

    #[cold]
    fn first(&mut self, now: Instant, timestamp: u32) {
        (self.last_at, self.last_timestamp, self.runs) = (now, timestamp, true);
        self.transit = 0;
        self.drift = Drift { until: now + CALM, ..Drift::default() };
    }

    /// Much time between two packets, by the one clock or by both: a pause of the talker, a delay of the network, or neither. False
    /// when the timestamps have jumped, which tells nothing of the network.
    #[cold]
    fn is_steady(&mut self, late: i64, sound: i64, ahead: u16) -> bool {
        let each = sound / i64::from(ahead.max(1));
        if late.unsigned_abs() > JUMP_US && !(1..=PACKET_US).contains(&each) {
            self.jumps += 1;
            self.drift = Drift { until: self.last_at + CALM, least: self.transit, ..Drift::default() };
            return false;
        }
        self.pauses += u32::from(ahead == 1 && sound > PACKET_US);
        true
    }
}

impl Drift {
    #[cold]
    fn turn(&mut self, now: Instant, transit: i64) {
        self.last = (now, self.least);
        if self.windows == 0 {
            self.first = self.last;
        }
        self.windows = self.windows.saturating_add(1);
        (self.until, self.least) = (now + CALM, transit);
    }

    fn ppm(&self) -> Option<i32> {
        if self.windows < DRIFTS_AFTER {
            return None;
        }
        let seconds = i64::try_from(self.last.0.since(self.first.0).as_secs()).ok().filter(|seconds| *seconds > 0)?;
        // A fast clock stamps more time than passes: its packets seem to be under way for less and less.
        i32::try_from(((self.first.1 - self.last.1) / seconds) >> 16).ok()
    }
}
