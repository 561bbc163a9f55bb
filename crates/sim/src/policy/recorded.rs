//! How trunks behaved, from the journal of a live edge.
//!
//! An attempt at a trunk at some moment ends as the recorded attempt at that trunk did which was sent nearest to it in time. What is
//! assumed by that: the trunk would have treated the other call alike, whatever its number; it had the same room; probes fared as
//! calls did. Where nobody called, what probes showed is taken from the decisions they led to. A trunk of which nothing at all is
//! recorded is taken to be well. Refuses to know: where records are kept.

use super::carrier::Timetable;
use decide::{Cause, Change, Decision};
use explain::{CallRecord, Ending, Entry, Record};
use model::{AttemptOutcome, Health, Instant, ProbeResult, Span};
use std::collections::BTreeMap;

/// Calls taken from one journal at most: about 100 bytes each.
const CALLS_MAX: usize = 2_000_000;
/// What a trunk that is well does.
const WELL: Attempt = Attempt {
    sent: Instant::ZERO,
    reply: Some(Span::from_millis(20)),
    progress: Some(Span::from_millis(200)),
    took: Span::from_secs(6),
    outcome: AttemptOutcome::Answered,
    talk: Span::from_secs(60),
};

/// One attempt as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    sent: Instant,
    reply: Option<Span>,
    progress: Option<Span>,
    took: Span,
    outcome: AttemptOutcome,
    talk: Span,
}

/// One trunk as it was, in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    attempts: Vec<Attempt>,
}

/// A journal's calls: when they came and from whom, how each trunk behaved, and what became of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Happened {
    /// When each call came, from which trunk, and whom it dialled; in order of time.
    pub arrivals: Vec<(Instant, String, String)>,
    /// Every trunk that was tried.
    pub trunks: BTreeMap<String, Recording>,
    /// Calls that were lost: refused by a trunk's fault, or given up by the caller before anything rang.
    pub lost: u64,
    /// Attempts on the wire.
    pub attempts: u64,
    /// Of each call that reached somebody, what failed attempts cost its caller.
    pub delays: Vec<Span>,
    /// Calls that were not taken, since there were too many.
    pub more: u64,
    /// First call and last end.
    pub span: Option<(Instant, Instant)>,
}

impl Happened {
    /// Takes one entry of the journal.
    pub fn entry(&mut self, entry: &Entry) {
        match &entry.record {
            Record::Call(call) => self.call(call),
            Record::Decision { who, decision } => self.probed(&who.trunk, decision),
            Record::Configured { .. } | Record::Operator(_) | Record::Alarm { .. } => {}
        }
    }

    /// What probes had shown when something was decided by them.
    fn probed(&mut self, trunk: &str, decision: &Decision) {
        let Change::Health { to, .. } = decision.change else { return };
        let silent = matches!(decision.cause, Cause::ProbesFailed { .. }) && decision.is_of_silence();
        let well = matches!(to, Health::Up | Health::Probation)
            && decision.evidence.as_ref().is_some_and(|seen| seen.probe.good > 0);
        if !silent && !well {
            return;
        }
        let after = Span::from_millis(1_500);
        let seen = Attempt { sent: decision.at, ..WELL };
        let gone = AttemptOutcome::NoReply { after };
        let seen = if silent { Attempt { reply: None, progress: None, took: after, outcome: gone, ..seen } } else { seen };
        self.trunks.entry(trunk.to_owned()).or_default().attempts.push(seen);
    }

    fn call(&mut self, call: &CallRecord) {
        if self.arrivals.len() >= CALLS_MAX {
            self.more += 1;
            return;
        }
        self.arrivals.push((call.invited, call.from.to_string(), call.called.clone()));
        let (first, last) = self.span.unwrap_or((call.invited, call.ended));
        self.span = Some((first.min(call.invited), last.max(call.ended)));
        let talk = call.answered.map_or(Span::ZERO, |answered| call.ended.since(answered));
        for attempt in &call.attempts {
            self.attempts += 1;
            self.trunks.entry(attempt.trunk.to_string()).or_default().attempts.push(Attempt {
                sent: attempt.sent,
                reply: attempt.first_reply,
                progress: attempt.progress,
                took: attempt.took,
                outcome: attempt.outcome,
                talk,
            });
        }
        let fault = matches!(call.ending, Ending::Refused { code } if code == 408 || code >= 500 && code < 600);
        let in_vain = call.ending == Ending::Cancelled && call.progressed.is_none();
        self.lost += u64::from(fault || in_vain);
        if let (false, false, Some(last)) = (fault, in_vain, call.attempts.last()) {
            self.delays.push(last.sent.since(call.invited));
        }
    }

    /// Everything has been taken: puts it in order.
    pub fn done(&mut self) {
        self.arrivals.sort_by_key(|(at, ..)| *at);
        for recording in self.trunks.values_mut() {
            recording.attempts.sort_by_key(|attempt| attempt.sent);
        }
        self.delays.sort_unstable();
    }
}

impl Recording {
    /// What becomes of an INVITE sent now.
    pub(super) fn invite(&self, sent: Instant) -> Timetable {
        let was = self.nearest(sent);
        // Our own deadline says only that nothing had come by then; whoever waits longer hears no more.
        let ours = matches!(
            was.outcome,
            AttemptOutcome::NoReply { .. } | AttemptOutcome::Stalled { .. } | AttemptOutcome::WentSilent { .. }
        );
        let gave_up_early = matches!(was.outcome, AttemptOutcome::Abandoned { progressed: false, .. });
        Timetable {
            reply: was.reply.map(|after| sent + after),
            progress: was.progress.map(|after| sent + after),
            end: (!ours && !gave_up_early).then(|| (sent + was.took, was.outcome)),
            nominal: was.progress.unwrap_or(was.took),
            talk: was.talk,
            mute: false,
            hit: is_bad(&was.outcome),
        }
    }

    /// What becomes of an OPTIONS: it fares as calls do, since probes are not recorded one by one. One that is refused is answered.
    pub(super) fn options(&self, sent: Instant) -> Option<(Instant, ProbeResult)> {
        let was = self.nearest(sent);
        match (was.reply, was.outcome) {
            (Some(rtt), _) => Some((sent + rtt, ProbeResult::Answered { code: 200, rtt })),
            (None, AttemptOutcome::Unreachable { fault }) => {
                Some((sent + was.took, ProbeResult::Unreachable { fault }))
            }
            (None, _) => None,
        }
    }

    /// Whether it said anything then.
    pub(super) fn answers(&self, at: Instant) -> bool {
        self.nearest(at).reply.is_some()
    }

    fn nearest(&self, at: Instant) -> Attempt {
        let after = self.attempts.partition_point(|attempt| attempt.sent < at);
        let next = self.attempts.get(after);
        let before = after.checked_sub(1).and_then(|index| self.attempts.get(index));
        let away = |attempt: &Attempt| attempt.sent.since(at).max(at.since(attempt.sent));
        let near = [before, next].into_iter().flatten().min_by_key(|attempt| away(attempt));
        near.copied().unwrap_or(WELL)
    }
}

const fn is_bad(outcome: &AttemptOutcome) -> bool {
    matches!(
        outcome,
        AttemptOutcome::NoReply { .. }
            | AttemptOutcome::Stalled { .. }
            | AttemptOutcome::WentSilent { .. }
            | AttemptOutcome::Unreachable { .. }
            | AttemptOutcome::Refused { code: 408 | 500..=599, .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(ms: u64, outcome: AttemptOutcome) -> Attempt {
        let reply = matches!(outcome, AttemptOutcome::Answered).then_some(Span::from_millis(9));
        Attempt { sent: Instant::ZERO + Span::from_millis(ms), reply, outcome, ..WELL }
    }

    #[test]
    fn the_attempt_nearest_in_time_tells_before_and_after() {
        let gone = AttemptOutcome::NoReply { after: Span::from_secs(1) };
        let attempts = vec![attempt(1_000, AttemptOutcome::Answered), attempt(3_000, gone)];
        let recording = Recording { attempts };
        let at = |ms: u64| Instant::ZERO + Span::from_millis(ms);
        assert_eq!(recording.invite(at(1_900)).reply, Some(at(1_909)));
        assert_eq!((recording.invite(at(2_100)).reply, recording.invite(at(2_100)).end), (None, None));
        assert!(recording.answers(at(0)) && !recording.answers(at(90_000)));
        assert!(Recording::default().answers(at(5)), "of whom nothing is recorded is well");
    }
}
