//! Rows: how often the same thing happened without its opposite in between.
//!
//! Calls overlap, so "in between" is asked by when a call *began*: a phone that answers now, rung before the trunk broke,
//! does not prove that the trunk takes calls now. Refuses to know: what the things are.

use model::{Instant, ProbeEvidence, ProbeResult, RegistrationEvidence, RegistrationState};

/// Bad attempts in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    count: u32,
    began: Option<Instant>,
}

impl Row {
    /// One more; `started` is when the attempt was sent.
    pub(crate) fn bad(&mut self, started: Instant) {
        self.count = self.count.saturating_add(1);
        self.began = Some(self.began.map_or(started, |began| began.min(started)));
    }

    /// A good attempt ends the row, unless it was sent before the row began. Says whether no row is left.
    pub(crate) fn good(&mut self, started: Instant) -> bool {
        if self.began.is_none_or(|began| started >= began) {
            *self = Self::default();
        }
        self.count == 0
    }

    /// How many.
    pub(crate) const fn count(self) -> u32 {
        self.count
    }
}

/// Probes in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProbeRow(pub(crate) ProbeEvidence);

impl ProbeRow {
    /// One more probe ended.
    pub(crate) fn push(&mut self, at: Instant, result: ProbeResult, alive: bool, fast: bool) {
        let row = &mut self.0;
        if alive {
            row.good = row.good.saturating_add(1);
            (row.bad, row.bad_fast) = (0, 0);
        } else {
            row.good = 0;
            row.bad = row.bad.saturating_add(1);
            row.bad_fast = row.bad_fast.saturating_add(u32::from(fast));
        }
        row.last = Some((at, result));
    }

    /// A long silence is over: the row of those that were lost in it ends.
    pub(crate) fn resume(&mut self) {
        (self.0.bad, self.0.bad_fast) = (0, 0);
    }
}

/// What has become of our registration, in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegistrationRow(pub(crate) RegistrationEvidence);

impl RegistrationRow {
    /// One more change. Says whether it is bad for the target.
    pub(crate) fn push(&mut self, at: Instant, state: RegistrationState) -> bool {
        let row = &mut self.0;
        row.last = Some((at, state));
        let good = state == RegistrationState::Registered;
        (row.good, row.bad) = if good { (row.good.saturating_add(1), 0) } else { (0, row.bad.saturating_add(1)) };
        !good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    #[test]
    fn a_call_sent_before_the_row_does_not_end_it() {
        let mut row = Row::default();
        row.bad(at(100));
        row.bad(at(120));
        assert!(!row.good(at(50)));
        assert_eq!(row.count(), 2);
        assert!(row.good(at(110)));
        assert_eq!(row.count(), 0);
    }

    #[test]
    fn good_and_bad_probes_are_never_both_above_zero() {
        let mut row = ProbeRow::default();
        let silence = ProbeResult::NoReply { after: Span::from_millis(1_500) };
        let answer = ProbeResult::Answered { code: 200, rtt: Span::from_millis(3) };
        row.push(at(0), answer, true, false);
        row.push(at(1), silence, false, true);
        assert_eq!((row.0.good, row.0.bad, row.0.bad_fast), (0, 1, 1));
        row.push(at(2), answer, true, true);
        assert_eq!((row.0.good, row.0.bad, row.0.bad_fast), (1, 0, 0));
    }
}
