//! What the relay has to do by time, and when: soonest first.
//!
//! A task that was set is never taken back: when it comes up, its side says whether it still holds. Refuses to know: what a task does.

use crate::relay::PairId;
use alloc::collections::BinaryHeap;
use core::cmp::Reverse;
use model::Instant;

/// What is due at a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// The next packet of comfort noise to it.
    Comfort,
    /// Time to see whether it was sent anything.
    KeepAlive,
    /// Digits that are being told of what it says.
    Treatment,
    /// Its handshake is seen to.
    Handshake,
    /// Time to see whether it needs a report.
    Report,
}

/// All that is due.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    tasks: BinaryHeap<Reverse<(Instant, PairId, Task)>>,
}

impl Agenda {
    /// A side sets a task again only when it has come up, and leaves those behind that it had when it was released: there are no more tasks
    /// than kinds of them for each side, handshakes twice, and for each that was released within the time of the longest.
    pub(crate) fn set(&mut self, at: Instant, pair: PairId, task: Task) {
        self.tasks.push(Reverse((at, pair, task)));
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.tasks.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next task that is due by `now`, and when it was.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Instant, PairId, Task)> {
        if self.deadline()? > now {
            return None;
        }
        self.tasks.pop().map(|Reverse(due)| due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;

    #[test]
    fn the_soonest_comes_first_and_none_before_its_time() {
        let at = |ms| Instant::ZERO + Span::from_millis(ms);
        let mut agenda = Agenda::default();
        for (ms, pair) in [(30, 1), (10, 2), (20, 3)] {
            agenda.set(at(ms), PairId(pair), Task::Comfort);
        }
        assert_eq!((agenda.deadline(), agenda.due(at(9))), (Some(at(10)), None));
        assert_eq!(agenda.due(at(25)), Some((at(10), PairId(2), Task::Comfort)));
        assert_eq!(agenda.due(at(25)), Some((at(20), PairId(3), Task::Comfort)));
        assert_eq!((agenda.due(at(25)), agenda.deadline()), (None, Some(at(30))));
    }
}
