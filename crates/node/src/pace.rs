//! When to let media packets gather for a moment before they are relayed.
//!
//! A wake-up costs more than a packet. Few streams: each packet is relayed as it comes. Many: once an interval, all that
//! came in it. SIP is never made to wait. Refuses to know: sockets.

use model::{Instant, Span};

/// How often the packet rate is looked at.
const WINDOW: Span = Span::from_millis(100);

/// Decides between "as it comes" and "once an interval".
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Span,
    since: Instant,
    packets: u32,
    gathering: bool,
}

impl Pace {
    /// Gathers for `interval` when that is worth it; never when it is zero.
    pub(crate) fn new(interval: Span) -> Self {
        Self { interval, since: Instant::ZERO, packets: 0, gathering: false }
    }

    /// So many packets were relayed. Returns the new state when it changed.
    pub(crate) fn relayed(&mut self, now: Instant, packets: u32) -> Option<bool> {
        self.packets = self.packets.saturating_add(packets);
        let window = now.since(self.since);
        if window < WINDOW || self.interval == Span::ZERO {
            return None;
        }
        // Worth it from two packets an interval, no longer from one: between them nothing changes.
        let intervals = window.as_micros() / self.interval.as_micros().max(1);
        let packets = u64::from(self.packets);
        let gathering = packets >= if self.gathering { intervals } else { 2 * intervals };
        (self.since, self.packets) = (now, 0);
        let changed = gathering != self.gathering;
        self.gathering = gathering;
        changed.then_some(gathering)
    }

    /// Whether packets are being gathered: for how long at most.
    #[inline]
    pub(crate) fn gathering(&self) -> Option<Span> {
        self.gathering.then_some(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets every `gap_us` for a second; how it ends.
    fn run(pace: &mut Pace, from_ms: u64, gap_us: u64) -> bool {
        let start = from_ms * 1_000;
        for at in (start..start + 1_000_000).step_by(gap_us as usize) {
            pace.relayed(Instant::from_micros(at), 1);
        }
        pace.gathering().is_some()
    }

    #[test]
    fn gathers_at_many_packets_and_not_at_few() {
        let mut pace = Pace::new(Span::from_millis(1));
        assert!(!run(&mut pace, 0, 1_000), "a thousand packets a second are relayed as they come");
        assert!(run(&mut pace, 1_000, 100), "ten thousand are gathered");
        assert!(run(&mut pace, 2_000, 700), "between the two nothing changes");
        assert!(!run(&mut pace, 3_000, 2_000), "five hundred are not gathered");
        assert!(!run(&mut pace, 4_000, 700));
    }

    #[test]
    fn a_zero_interval_never_gathers() {
        let mut pace = Pace::new(Span::ZERO);
        assert!(!run(&mut pace, 0, 10));
    }
}
