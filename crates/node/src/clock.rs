//! The one place that reads the clocks.
//!
//! All threads of a node share one origin, so that an instant means the same everywhere; the wall clock is only ever
//! printed or stored. Refuses to know: who asks, and why.

use model::{Instant, Span, Wall};
use std::time::{Duration, SystemTime};

/// A running clock. Copies share the origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// Starts a clock: from here on `now` counts from zero.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
    pub fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// Time since the start.
    #[inline]
    pub fn now(&self) -> Instant {
        // 2^64 µs are half a million years.
        Instant::from_micros(self.origin.elapsed().as_micros() as u64)
    }

    /// The civil time at which instants began. It moves when somebody sets the clock.
    pub(crate) fn zero(&self) -> Wall {
        Wall::from_micros(self.wall().as_micros().saturating_sub_unsigned(self.now().as_micros()))
    }

    /// What the standard library calls this instant, for a machine of others that counts by it.
    pub(crate) fn moment(&self, at: Instant) -> std::time::Instant {
        self.origin + Duration::from_micros(at.as_micros())
    }

    /// The instant of a moment; what was before the start is the start.
    pub(crate) fn instant(&self, moment: std::time::Instant) -> Instant {
        Instant::from_micros(moment.saturating_duration_since(self.origin).as_micros() as u64)
    }

    /// Civil time, for records.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn wall(&self) -> Wall {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Wall::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Milliseconds an epoll may wait: rounded up, so that a timer is due when the wait is over; -1 for ever.
pub(crate) fn wait_ms(now: Instant, until: Option<Instant>) -> i32 {
    until.map_or(-1, |at| span_ms(at.since(now)))
}

/// A span as epoll counts it, rounded up. A very long one is cut, which costs one idle turn a day.
pub(crate) fn span_ms(span: Span) -> i32 {
    const DAY_MS: u64 = 86_400_000;
    span.as_micros().div_ceil(1_000).min(DAY_MS) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_shorter_than_the_timer() {
        let at = |us| Some(Instant::from_micros(us));
        let now = Instant::from_micros(1_000);
        assert_eq!(wait_ms(now, None), -1);
        assert_eq!(wait_ms(now, at(500)), 0);
        assert_eq!(wait_ms(now, at(1_001)), 1);
        assert_eq!(wait_ms(now, at(3_000)), 2);
        assert_eq!(wait_ms(now, Some(Instant::FAR)), 86_400_000);
    }

    #[test]
    fn copies_share_the_origin() {
        let clock = Clock::start();
        let copy = clock;
        let first = clock.now();
        assert!(copy.now() >= first);
        assert!(clock.wall().civil().0 >= 2024);
    }
}
