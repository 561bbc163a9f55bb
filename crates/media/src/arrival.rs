//! Whether what a side is sent arrives there, by its own reports.
//!
//! A receiver says how far it has come in the stream it hears (RFC 3550 §6.4.1), and leaves the stream out when it has heard nothing of it
//! since its last report (§6.4). Who never spoke of the stream may be unable to, and is not believed to be deaf, unless he is known to
//! speak of what he hears. Refuses to know: what the stream is, how he is known.

use crate::reports::SILENT_AFTER;
use crate::rtcp::Block;
use model::{Instant, Span};

/// Packets sent since it moved: some may be on their way.
const ENOUGH: u64 = 20;

/// What a side says of what it hears.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals {
    /// How far it had come when it last moved on, if it had begun, and what it had been sent by then.
    come: Option<(Option<u32>, u64)>,
    /// Since then it would have told, had it heard anything.
    since: Option<Instant>,
    /// Its first and its last report since in which it had not, though it had been sent enough.
    stuck: Option<(Instant, Instant)>,
}

impl Arrivals {
    /// Its report of what it hears, when it has been sent so many packets; none when it leaves that out.
    pub(crate) fn told(&mut self, now: Instant, sent: u64, block: Option<&Block>) {
        let Some((highest, before)) = self.come else {
            self.come = block.map(|block| (Some(block.highest), sent));
            return;
        };
        // All but lost is lost: there are no 256 of 256.
        match block.filter(|block| Some(block.highest) != highest && block.fraction_lost < u8::MAX) {
            Some(block) => {
                self.come = Some((Some(block.highest), sent));
                (self.stuck, self.since) = (None, None);
            }
            // What was sent before the first such report has not arrived by the last.
            None if self.stuck.is_some() || sent.saturating_sub(before) >= ENOUGH => {
                let first = self.stuck.map_or(self.since.unwrap_or(now), |(first, _)| first);
                self.stuck = Some((first, now));
            }
            None => {}
        }
    }

    /// Its like speak of what they hear: a report from here on that leaves it out says that it has heard nothing.
    pub(crate) fn are_spoken_of(&mut self, now: Instant, sent: u64) {
        if self.come.is_none() {
            (self.come, self.since) = (Some((None, sent)), Some(now));
        }
    }

    /// It has spoken of what it hears.
    pub(crate) fn were_spoken_of(&self) -> bool {
        self.come.is_some_and(|(highest, _)| highest.is_some())
    }

    /// For how long nothing has arrived, as it has said of late.
    pub(crate) fn unheard(&self, now: Instant) -> Option<Span> {
        let (first, last) = self.stuck.filter(|(_, last)| now.since(*last) < SILENT_AFTER)?;
        Some(last.since(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    fn block(highest: u32, fraction_lost: u8) -> Option<Block> {
        Some(Block { highest, fraction_lost, ..Block::default() })
    }

    #[test]
    fn one_that_comes_no_further_while_it_is_sent_packets_hears_nothing() {
        for stuck in [block(500, 0), block(900, 255), None] {
            let mut side = Arrivals::default();
            side.told(at(5_000), 250, block(500, 0).as_ref());
            side.told(at(5_100), 255, stuck.as_ref());
            assert_eq!(side.unheard(at(5_100)), None, "on their way");
            side.told(at(10_000), 500, stuck.as_ref());
            assert_eq!(side.unheard(at(10_000)), Some(Span::ZERO), "what was sent before this");
            side.told(at(15_000), 750, stuck.as_ref());
            assert_eq!(side.unheard(at(16_000)), Some(Span::from_secs(5)), "has not arrived by now");
            assert_eq!(side.unheard(at(30_000)), None, "it says nothing any more");
            side.told(at(31_000), 1_500, block(1_400, 90).as_ref());
            assert_eq!(side.unheard(at(31_000)), None, "it has moved on");
        }
    }

    #[test]
    fn one_that_is_sent_nothing_or_never_spoke_of_it_says_nothing() {
        let mut side = Arrivals::default();
        side.told(at(5_000), 250, block(500, 0).as_ref());
        (2..20).for_each(|n| side.told(at(5_000 * n), 255, block(500, 0).as_ref()));
        assert_eq!(side.unheard(at(95_000)), None, "a pause");
        let mut side = Arrivals::default();
        (1..20).for_each(|n| side.told(at(5_000 * n), 250 * n, None));
        assert_eq!(side.unheard(at(95_000)), None);
        assert!(!side.were_spoken_of());
    }

    #[test]
    fn one_whose_like_speak_of_it_is_believed_when_it_has_heard_nothing_from_the_beginning() {
        let mut side = Arrivals::default();
        side.are_spoken_of(at(0), 0);
        side.told(at(300), 15, None);
        assert_eq!(side.unheard(at(300)), None, "on their way");
        (1..4).for_each(|n| side.told(at(1_000 * n), 50 * n, None));
        assert_eq!(side.unheard(at(3_100)), Some(Span::from_secs(3)), "since the answer");
        assert!(!side.were_spoken_of());
        side.told(at(5_000), 250, block(240, 0).as_ref());
        assert_eq!((side.unheard(at(5_000)), side.were_spoken_of()), (None, true), "it was late");
    }
}
