//! What the recent past holds: attempts and failures of the last minute, and how soon a target usually replies.
//!
//! Both of fixed size: a busy trunk costs no more memory than a quiet one. Refuses to know: what counts as failure.

use model::{Instant, Share, Span};

/// One-second buckets.
const BUCKETS: usize = 60;

/// Attempts and failures of the last 60 s.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    buckets: [(u32, u32); BUCKETS],
    second: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self { buckets: [(0, 0); BUCKETS], second: 0 }
    }
}

impl Window {
    /// Counts `part` failures and `of` attempts now.
    pub(crate) fn add(&mut self, now: Instant, part: u32, of: u32) {
        self.age(now);
        let bucket = &mut self.buckets[(self.second % BUCKETS as u64) as usize];
        bucket.0 = bucket.0.saturating_add(part);
        bucket.1 = bucket.1.saturating_add(of);
    }

    /// The failed share. A failure after ringing was counted as an attempt when it rang, maybe in a bucket that is gone.
    pub(crate) fn share(&mut self, now: Instant) -> Share {
        self.age(now);
        let sum = self
            .buckets
            .iter()
            .fold((0u32, 0u32), |sum, bucket| (sum.0.saturating_add(bucket.0), sum.1.saturating_add(bucket.1)));
        Share { part: sum.0, of: sum.1.max(sum.0) }
    }

    fn age(&mut self, now: Instant) {
        let second = now.as_micros() / 1_000_000;
        let gone = second.saturating_sub(self.second).min(BUCKETS as u64);
        for step in 1..=gone {
            self.buckets[((self.second + step) % BUCKETS as u64) as usize] = (0, 0);
        }
        if gone == BUCKETS as u64 {
            self.buckets = [(0, 0); BUCKETS];
        }
        self.second = self.second.max(second);
    }
}

/// Buckets per doubling: each is at most 25 % wide.
const PER_DOUBLING: u64 = 4;
/// From 1 ms to 2^12 ms and beyond.
const DELAYS: usize = 48;
/// Calls before their delays count as known.
pub(crate) const KNOWN: u32 = 100;
/// When so many are counted all are halved, so that the old ones fade.
const FADE: u32 = 1_000;
/// The learned limit is this many times p95: late is what is rare by far, not the slowest twentieth.
const FACTOR: u64 = 4;
/// Delays of one kind, in logarithmic buckets.
#[derive(Clone, Debug)]
pub(crate) struct Delays {
    counts: [u32; DELAYS],
    total: u32,
}

impl Default for Delays {
    fn default() -> Self {
        Self { counts: [0; DELAYS], total: 0 }
    }
}

impl Delays {
    /// One more delay.
    pub(crate) fn add(&mut self, delay: Span) {
        self.counts[bucket_of(delay)] += 1;
        self.total += 1;
        if self.total >= FADE {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
    }

    /// The 95th percentile; none while fewer than `known` have been seen.
    pub(crate) fn usual(&self, known: u32) -> Option<Span> {
        (self.total >= known).then(|| self.p95())
    }

    /// From when on it is late: 4 × p95, but never before `floor`; none while fewer than `known` have been seen.
    pub(crate) fn late_after(&self, known: u32, floor: Span) -> Option<Span> {
        self.usual(known).map(|usual| usual.times(FACTOR).max(floor))
    }

    /// Upper edge of the bucket that holds the 95th percentile.
    fn p95(&self) -> Span {
        let wanted = u64::from(self.total) * 95 / 100;
        let mut seen = 0u64;
        let bucket = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen > wanted
        });
        upper_edge(bucket.unwrap_or(DELAYS - 1))
    }
}

fn bucket_of(delay: Span) -> usize {
    // Bucket 4d + q holds [2^d × (1 + q/4), 2^d × (1 + (q+1)/4)) ms.
    let us = delay.as_micros().max(1_000);
    let doubling = u64::from((us / 1_000).ilog2());
    let base = 1_000u64 << doubling;
    let quarter = (us - base) * PER_DOUBLING / base;
    usize::try_from(doubling * PER_DOUBLING + quarter).unwrap_or(usize::MAX).min(DELAYS - 1)
}

fn upper_edge(bucket: usize) -> Span {
    let (doubling, quarter) = (bucket as u64 / PER_DOUBLING, bucket as u64 % PER_DOUBLING);
    Span::from_micros((1_000u64 << doubling) * (PER_DOUBLING + quarter + 1) / PER_DOUBLING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_secs(s)
    }

    #[test]
    fn the_window_forgets_after_sixty_seconds() {
        let mut window = Window::default();
        window.add(at(5), 1, 1);
        window.add(at(30), 0, 3);
        assert_eq!(window.share(at(64)), Share { part: 1, of: 4 });
        assert_eq!(window.share(at(65)), Share { part: 0, of: 3 });
        assert_eq!(window.share(at(500)), Share { part: 0, of: 0 });
    }

    #[test]
    fn what_is_usual_is_unknown_while_cold_and_follows_when_it_changes() {
        let mut delays = Delays::default();
        for _ in 0..KNOWN - 1 {
            delays.add(Span::from_millis(4));
        }
        assert_eq!(delays.usual(KNOWN), None);
        delays.add(Span::from_millis(4));
        assert_eq!(delays.usual(KNOWN), Some(Span::from_millis(5)), "the upper edge of its bucket");
        assert_eq!(delays.late_after(KNOWN, Span::from_millis(250)), Some(Span::from_millis(250)));
        for _ in 0..5_000 {
            delays.add(Span::from_millis(400));
        }
        assert_eq!(delays.late_after(KNOWN, Span::ZERO), Some(Span::from_millis(448 * 4)), "the old ones have faded");
    }

    proptest! {
        #[test]
        fn a_delay_lies_below_its_buckets_upper_edge(us in 1_000u64..4_000_000) {
            let edge = upper_edge(bucket_of(Span::from_micros(us)));
            prop_assert!(edge.as_micros() > us && edge.as_micros() <= us * 5 / 4 + 1_000, "{edge:?} {us}");
        }
    }
}
