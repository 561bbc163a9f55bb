//! Drills again and again: a trunk is due so long after its last drill, whoever made that, and at once when there was none.
//!
//! When the last one was, the edge knows, over its own restarts and this command's; so nothing is kept here, and a drill by hand counts. By
//! intervals and not by times of day: those would come twice or never on the days when clocks are changed. Refuses to know: how a drill is
//! made, whether it was good.

use edge::config::text::duration;
use model::Span;
use serde_json::Value;

/// Bounds of the time between two drills.
const LEAST: Span = Span::from_secs(10);
const MOST: Span = Span::from_secs(90 * 86_400);
/// How long the edge may have before the first one: trunks are probed before they are judged.
const SETTLE: Span = Span::from_secs(60);
/// When one that was cut short is tried again.
const AGAIN: Span = Span::from_secs(3_600);
/// How long is waited at most until the edge is asked again what is due: it may have been reloaded, or drilled by hand.
pub(super) const LOOK: Span = Span::from_secs(300);
/// How long is waited at least.
pub(super) const PAUSE: Span = Span::from_secs(5);
/// How long after something went wrong: the edge works out anew what can be drilled each time it is asked.
pub(super) const RETRY: Span = Span::from_secs(60);

/// The last drill of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    /// Microseconds since 1970, by the edge's clock.
    ended: i64,
    /// It came to its end.
    whole: bool,
}

/// The time between two drills, as an argument.
pub(super) fn interval(word: &str) -> Result<Span, String> {
    duration(word, LEAST, MOST)
}

/// What the edge knows of the last drill of each of these trunks.
pub(super) fn last(known: &Value, trunks: &[&str]) -> Vec<Option<Last>> {
    let of = |trunk: &&str| {
        let result = known["results"].get(*trunk)?;
        Some(Last { ended: result["ended"].as_i64()?, whole: result["whole"].as_bool()? })
    };
    trunks.iter().map(of).collect()
}

/// How long until the next drill, at `now` by the edge's clock, when this command has run for so long. A clock that was set back delays one by
/// an interval at most.
pub(super) fn wait(every: Span, now: i64, age: Span, last: &[Option<Last>]) -> Span {
    let left = |last: &Option<Last>| {
        let Some(Last { ended, whole }) = *last else { return Span::ZERO };
        let interval = if whole { every } else { every.min(AGAIN) };
        let passed = u64::try_from(now.saturating_sub(ended)).unwrap_or(0);
        interval - Span::from_micros(passed)
    };
    let due = last.iter().map(left).min().unwrap_or(Span::ZERO);
    due.max(SETTLE.min(every) - age)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    const HOUR: i64 = 3_600_000_000;
    const DAY: Span = Span::from_secs(86_400);
    const LONG: Span = Span::from_secs(1_000);

    fn at(ended: i64, whole: bool) -> Option<Last> {
        Some(Last { ended, whole })
    }

    fn hours(every: Span, now: i64, last: &[Option<Last>]) -> u64 {
        wait(every, now, LONG, last).as_micros() / HOUR as u64
    }

    #[test]
    fn what_was_never_drilled_is_due_once_the_edge_has_settled() {
        assert_eq!(wait(DAY, 0, LONG, &[None]), Span::ZERO);
        assert_eq!(wait(DAY, 0, Span::from_secs(20), &[None]), Span::from_secs(40));
        assert_eq!(wait(LEAST, 0, Span::ZERO, &[None]), LEAST);
        assert_eq!(hours(DAY, 5 * HOUR, &[at(HOUR, true), None]), 0, "the one that waits longest counts");
    }

    #[test]
    fn each_is_due_an_interval_after_its_last_one_whoever_made_that() {
        assert_eq!(hours(DAY, 5 * HOUR, &[at(HOUR, true)]), 20);
        assert_eq!(hours(DAY, 5 * HOUR, &[at(4 * HOUR, true), at(2 * HOUR, true)]), 21);
        assert_eq!(wait(DAY, 40 * HOUR, LONG, &[at(HOUR, true)]), Span::ZERO, "it was off meanwhile");
    }

    #[test]
    fn one_that_was_cut_short_is_made_up_for_soon_and_not_at_once() {
        assert_eq!(wait(DAY, HOUR, LONG, &[at(HOUR, false)]), AGAIN);
        assert_eq!(wait(LEAST, HOUR, LONG, &[at(HOUR, false)]), LEAST);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_by_an_interval_at_most() {
        assert_eq!(wait(DAY, HOUR, LONG, &[at(900 * HOUR, true)]), DAY);
    }

    /// Ninety days of virtual time over a failing, a cut and many good drills: never more than an interval and an hour without one.
    #[test]
    fn a_backup_is_never_left_untested_for_longer_than_the_interval() {
        let (mut now, mut last, mut longest) = (0_i64, None, 0_i64);
        for round in 0..200 {
            let waited = i64::try_from(wait(DAY, now, LONG, &[last]).as_micros()).unwrap();
            now += waited;
            longest = longest.max(last.map_or(0, |last: Last| now - last.ended));
            last = at(now, round % 7 != 0);
        }
        assert_eq!(longest, 24 * HOUR);
        assert!(now > 90 * 24 * HOUR, "and no more often");
    }

    #[test]
    fn what_the_edge_tells_is_read_by_trunk() {
        let known = json!({ "results": { "acme": { "ended": 7, "whole": true } } });
        assert_eq!(last(&known, &["acme", "initech"]), [at(7, true), None]);
        assert_eq!(interval("24h"), Ok(DAY));
        assert!(interval("1s").unwrap_err().contains("too short") && interval("24").is_err());
    }
}
