//! How trunks behaved, from the journal of a live edge.
//!
//! An attempt at a trunk at some moment ends as the recorded attempt at that trunk did which was sent nearest to it in time. What is
//! assumed by that: the trunk would have treated the other call alike, whatever its number; it had the same room; probes fared as
//! calls did. Where nobody called, what probes showed is taken from the decisions they led to. A trunk of which nothing at all is
//! recorded is taken to be well. Refuses to know: where records are kept.

use super::carrier::Timetable;
use super::tally::Spread;
use decide::{Cause, Change, Decision};
use explain::{CallRecord, Ending, Entry, Record};
use model::{AttemptOutcome, Health, Instant, ProbeResult, Span, Wall};
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

/// One call as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// When it came.
    pub at: Instant,
    /// From which trunk.
    pub from: String,
    /// Whom it dialled.
    pub called: String,
    /// Refused by a trunk's fault, or given up by the caller before anything rang.
    pub lost: bool,
    /// Attempts on the wire.
    pub attempts: u32,
    /// What failed attempts cost its caller.
    pub added: Span,
}

/// A journal's calls: when they came and from whom, how each trunk behaved, and what became of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Happened {
    /// The calls of the trunk that most came from, in order of time.
    pub calls: Vec<Arrival>,
    /// Every trunk that was tried.
    pub trunks: BTreeMap<String, Recording>,
    /// Calls that came from other trunks: only one place of call is simulated.
    pub elsewhere: u64,
    /// Calls that were not taken, since there were too many.
    pub more: u64,
    /// First call and last end.
    pub span: Option<(Instant, Instant)>,
    /// What the clock on the wall showed at the first call.
    pub began: Wall,
    /// Wall-clock time of the present start's own zero, in microseconds: an edge counts its time anew each time it is started.
    base: Option<u64>,
}

/// Before the first call, probes find out who is there.
const PRELUDE: Span = Span::from_secs(2);

impl Happened {
    /// Takes one entry of the journal.
    pub fn entry(&mut self, entry: &Entry) {
        match &entry.record {
            Record::Call(call) => {
                self.rebase(entry.wall, call.ended);
                self.call(call);
            }
            Record::Decision { who, decision } => {
                self.rebase(entry.wall, decision.at);
                self.probed(&who.trunk, decision);
            }
            Record::Configured { start: true, .. } => self.base = None,
            Record::Configured { .. }
            | Record::Located(_)
            | Record::Operator(_)
            | Record::Alarm(_)
            | Record::Shadow { .. }
            | Record::Unreadable { .. } => {}
        }
    }

    /// The first record of a start tells where that start's zero lies.
    fn rebase(&mut self, wall: Wall, at: Instant) {
        let zero = wall.as_micros().unsigned_abs().saturating_sub(at.as_micros());
        self.base.get_or_insert(zero);
    }

    /// A moment of the present start, on the clock of all starts.
    fn at(&self, at: Instant) -> Instant {
        Instant::from_micros(self.base.unwrap_or(0).saturating_add(at.as_micros()))
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
        let seen = Attempt { sent: self.at(decision.at), ..WELL };
        let gone = AttemptOutcome::NoReply { after };
        let seen =
            if silent { Attempt { reply: None, progress: None, took: after, outcome: gone, ..seen } } else { seen };
        self.trunks.entry(trunk.to_owned()).or_default().attempts.push(seen);
    }

    fn call(&mut self, call: &CallRecord) {
        if self.calls.len() >= CALLS_MAX {
            self.more += 1;
            return;
        }
        let (invited, ended) = (self.at(call.invited), self.at(call.ended));
        let (first, last) = self.span.unwrap_or((invited, ended));
        self.span = Some((first.min(invited), last.max(ended)));
        let talk = call.answered.map_or(Span::ZERO, |answered| call.ended.since(answered));
        for attempt in &call.attempts {
            let sent = self.at(attempt.sent);
            self.trunks.entry(attempt.trunk.to_string()).or_default().attempts.push(Attempt {
                sent,
                reply: attempt.first_reply,
                progress: attempt.progress,
                took: attempt.took,
                outcome: attempt.outcome,
                talk,
            });
        }
        let fault = matches!(call.ending, Ending::Refused { code: 408 | 500..=599 });
        let in_vain = call.ending == Ending::Cancelled && call.progressed.is_none();
        // Who heard ringing before waits no longer than he likes.
        let last = call.attempts.last().filter(|last| call.progressed.is_none_or(|progressed| progressed >= last.sent));
        self.calls.push(Arrival {
            at: invited,
            from: call.from.to_string(),
            called: call.called.clone(),
            lost: fault || in_vain,
            attempts: call.attempts.len() as u32,
            added: last.map_or(Span::ZERO, |last| last.sent.since(call.invited)),
        });
    }

    /// Everything has been taken: puts it in order, and begins its clock shortly before the first call.
    pub fn done(&mut self) {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for call in &self.calls {
            *places.entry(&call.from).or_default() += 1;
        }
        let busiest = places.iter().max_by_key(|(_, calls)| **calls).map(|(place, _)| (*place).to_owned());
        let all = self.calls.len();
        self.calls.retain(|call| Some(&call.from) == busiest.as_ref());
        self.elsewhere = (all - self.calls.len()) as u64;
        self.calls.sort_by_key(|call| call.at);
        let Some((first, last)) = self.span else { return };
        self.began = Wall::from_micros(i64::try_from(first.as_micros()).unwrap_or(i64::MAX));
        let since = |at: Instant| Instant::ZERO + PRELUDE + at.since(first);
        self.calls.iter_mut().for_each(|call| call.at = since(call.at));
        for recording in self.trunks.values_mut() {
            recording.attempts.iter_mut().for_each(|attempt| attempt.sent = since(attempt.sent));
            recording.attempts.sort_by_key(|attempt| attempt.sent);
        }
        self.span = Some((since(first), since(last)));
    }

    /// Calls that were lost.
    pub fn lost(&self) -> usize {
        self.calls.iter().filter(|call| call.lost).count()
    }

    /// Attempts on the wire.
    pub fn attempts(&self) -> u64 {
        self.calls.iter().map(|call| u64::from(call.attempts)).sum()
    }

    /// What failed attempts cost the callers that were put through.
    pub fn added(&self) -> Spread {
        let mut spread = Spread::default();
        self.calls.iter().filter(|call| !call.lost).for_each(|call| spread.add(call.added));
        spread
    }

    /// What happened, in a line.
    pub fn text(&self) -> String {
        let from = self.calls.first().map_or("?", |call| call.from.as_str());
        let added = self.added();
        format!(
            "{} calls from {from}, {} lost; {} attempts; failed ones added p99 {}, most {}; {} calls from elsewhere and {} beyond the limit are left out\n",
            self.calls.len(),
            self.lost(),
            self.attempts(),
            added.permille(990),
            added.max(),
            self.elsewhere,
            self.more
        )
    }

    /// The same for machines: times in microseconds.
    pub fn json(&self) -> serde_json::Value {
        let added = self.added();
        serde_json::json!({
            "from": self.calls.first().map(|call| &call.from), "calls": self.calls.len(), "lost": self.lost(),
            "attempts": self.attempts(), "elsewhere": self.elsewhere, "not_taken": self.more,
            "added_us": { "p99": added.permille(990).as_micros(), "max": added.max().as_micros() },
        })
    }
}

impl Recording {
    /// What becomes of an INVITE sent now.
    pub(super) fn invite(&self, sent: Instant) -> Timetable {
        let was = self.nearest(sent);
        // Our own deadline, or another attempt that was quicker, says only that nothing had come by then; whoever waits longer hears
        // no more.
        let ours = matches!(
            was.outcome,
            AttemptOutcome::NoReply { .. }
                | AttemptOutcome::Stalled { .. }
                | AttemptOutcome::WentSilent { .. }
                | AttemptOutcome::CutShort { .. }
                | AttemptOutcome::Outrun { progressed: false, .. }
        );
        let gave_up_early = matches!(was.outcome, AttemptOutcome::Abandoned { progressed: false, .. });
        Timetable {
            reply: was.reply.map(|after| sent + after),
            progress: was.progress.map(|after| sent + after),
            end: (!ours && !gave_up_early).then(|| (sent + was.took, alone(was.outcome))),
            nominal: was.progress.unwrap_or(was.took),
            talk: was.talk,
            mute: false,
            vain: false,
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

/// How an attempt would have ended with no other one beside it: one that rang while another one answered, rang at a trunk that is well.
const fn alone(outcome: AttemptOutcome) -> AttemptOutcome {
    match outcome {
        AttemptOutcome::Outrun { progressed: true, .. } => AttemptOutcome::Answered,
        outcome => outcome,
    }
}

const fn is_bad(outcome: &AttemptOutcome) -> bool {
    matches!(
        outcome,
        AttemptOutcome::NoReply { .. }
            | AttemptOutcome::Stalled { .. }
            | AttemptOutcome::WentSilent { .. }
            | AttemptOutcome::CutShort { .. }
            | AttemptOutcome::Outrun { progressed: false, .. }
            | AttemptOutcome::Unreachable { .. }
            | AttemptOutcome::Refused { code: 408 | 500..=599, .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Weather;
    use crate::policy::{Peer, Policy, run_recorded};
    use crate::town::Town;
    use crate::variety::Variety;
    use agent::Failing;

    fn attempt(ms: u64, outcome: AttemptOutcome) -> Attempt {
        let reply = matches!(outcome, AttemptOutcome::Answered).then_some(Span::from_millis(9));
        Attempt { sent: Instant::ZERO + Span::from_millis(ms), reply, outcome, ..WELL }
    }

    /// Real call records of the whole edge: the town's, in which acme falls silent for ten seconds.
    fn lived() -> (Happened, Policy) {
        let settings = Variety::plain().settings(true, None).unwrap();
        let mut town = Town::new(settings.clone(), 1, Weather::CALM, 5);
        for tenth in 0..400_u64 {
            town.run_until(Instant::ZERO + Span::from_millis(2_000 + tenth * 100));
            match tenth {
                150 => town.fail(1, Some(Failing::Silent)),
                250 => town.fail(1, None),
                _ => {}
            }
            town.dial(0, "+4722334455", Span::from_millis(500), None, false);
        }
        town.run_until(Instant::ZERO + Span::from_secs(80));
        let mut happened = Happened::default();
        town.oracle.entries().iter().for_each(|entry| happened.entry(entry));
        happened.done();
        (happened, Policy::Edge(settings))
    }

    #[test]
    fn a_recorded_day_under_its_own_policy_is_that_day_again() {
        let (happened, policy) = lived();
        assert_eq!((happened.calls.len(), happened.lost(), happened.elsewhere), (400, 0, 0));
        let report = run_recorded(&happened, &policy, 1).unwrap();
        assert_eq!((report.calls, report.lost(), report.changes), (400, 0, 1), "{}", report.text());
        let was = happened.attempts();
        assert!(report.attempts.abs_diff(was) <= 4, "{} attempts, {was} on record\n{}", report.attempts, report.text());
        let limit = Span::from_millis(1_100);
        assert!((1..limit.as_micros()).contains(&happened.added().max().as_micros()), "on record");
        assert!(report.worst > Span::ZERO && report.worst < limit, "{}", report.worst);
    }

    #[test]
    fn a_recorded_day_under_another_policy_is_another_day() {
        let (happened, policy) = lived();
        let ours = run_recorded(&happened, &policy, 1).unwrap();
        let theirs = Policy::Peer(policy.settings().clone(), Peer::kamailio());
        let theirs = run_recorded(&happened, &theirs, 1).unwrap();
        assert_eq!(theirs.calls, ours.calls, "the same calls");
        assert!(theirs.attempts > ours.attempts + 50, "every call tries the silent trunk: {}", theirs.text());
        assert!(theirs.worst >= Span::from_secs(2) && ours.worst < Span::from_secs(2));
    }

    #[test]
    fn two_starts_of_an_edge_follow_each_other() {
        let (happened, _) = lived();
        let record = |wall: i64, ms: u64| Entry {
            seq: model::Seq(1),
            wall: Wall::from_micros(wall),
            record: Record::Decision {
                who: explain::Who { trunk: "acme".into(), group: None, target: None, only_target: true },
                decision: Decision {
                    evidence: Some(model::Evidence {
                        probe: model::ProbeEvidence { good: 3, ..Default::default() },
                        ..Default::default()
                    }),
                    ..Decision::bare(
                        Instant::ZERO + Span::from_millis(ms),
                        model::Epoch(1),
                        decide::Subject::Trunk(model::TrunkId(0)),
                        Change::Health { from: Health::Down, to: Health::Probation },
                        Cause::DwellOver { dwell: Span::ZERO, probes: 3 },
                    )
                },
            },
        };
        let start = Record::Configured { fingerprint: 0, names: explain::Names::default(), start: true, frames: None };
        let mut again = Happened { base: None, ..happened };
        again.entry(&record(1_000_000_000, 500));
        again.entry(&Entry { seq: model::Seq(2), wall: Wall::from_micros(9_000_000_000), record: start });
        again.entry(&record(9_000_700_000, 500));
        let seen: Vec<u64> = again.trunks["acme"].attempts.iter().rev().take(2).map(|a| a.sent.as_micros()).collect();
        assert_eq!(seen[0] - seen[1], 8_000_700_000, "by the clock on the wall");
    }

    #[test]
    fn an_attempt_that_was_outrun_is_no_end_of_the_call_that_meets_it_again() {
        let after = Span::from_millis(700);
        let outrun = |progressed| attempt(1_000, AttemptOutcome::Outrun { after, progressed });
        let silent = Recording { attempts: vec![Attempt { progress: None, took: after, ..outrun(false) }] };
        let again = silent.invite(Instant::ZERO);
        assert_eq!((again.reply, again.end), (None, None), "how long it is waited for, the policy says");
        let rang = Recording { attempts: vec![Attempt { took: after, ..outrun(true) }] };
        assert_eq!(rang.invite(Instant::ZERO).end, Some((Instant::ZERO + after, AttemptOutcome::Answered)));
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
