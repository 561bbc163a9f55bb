//! What has happened, counted for /metrics: decisions, attempts and their blame, plans, alarms.
//!
//! Fed with what control writes and hears, so that metrics, journal and sentences never disagree. Every label set is bounded:
//! words are a closed few, names those of the configuration, and beyond [`ROWS`] everything counts as `other`. What rules and dashboards ask
//! for is there as 0 before it has happened: of a series that begins at 1 Prometheus knows no rise. Refuses to know: the text format.

use api::{Label, MetricsSnapshot};
use decide::{Cause, Change, Decision};
use explain::{Alarm, CallRecord, Entry, Names, Record};
use model::{Admin, AttemptOutcome, Blame, Health, Observed, Signal, TrunkId};
use std::collections::BTreeMap;

/// Label sets per metric; names come and go over reloads.
const ROWS: usize = 16_384;
/// Tiers told apart, the best first.
const TIERS: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "8"];
/// Of a call that was sent to trunks that are Down, and of one that had no plan.
const LAST_RESORT: &str = "last_resort";
const NO_PLAN: &str = "none";

/// Counts by label values.
#[derive(Debug)]
struct Counts<const LABELS: usize>(BTreeMap<[String; LABELS], u64>);

impl<const LABELS: usize> Default for Counts<LABELS> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<const LABELS: usize> Counts<LABELS> {
    fn add(&mut self, labels: [&str; LABELS]) {
        let mut key = labels.map(str::to_owned);
        if self.0.len() >= ROWS && !self.0.contains_key(&key) {
            key = [(); LABELS].map(|()| "other".to_owned());
        }
        *self.0.entry(key).or_default() += 1;
    }

    fn measure(&self, metrics: &mut MetricsSnapshot, name: &str, help: &'static str, labels: [&'static str; LABELS]) {
        self.measure_with(metrics, name, help, labels, core::iter::empty());
    }

    /// With these among them, though they may never have been counted.
    fn measure_with<'a>(
        &self,
        metrics: &mut MetricsSnapshot,
        name: &str,
        help: &'static str,
        labels: [&'static str; LABELS],
        awaited: impl Iterator<Item = [&'a str; LABELS]>,
    ) {
        let never = awaited.map(|values| values.map(str::to_owned)).filter(|values| !self.0.contains_key(values));
        let counted = self.0.iter().map(|(values, count)| (values.clone(), *count));
        for (values, count) in counted.chain(never.map(|values| (values, 0))) {
            let labels: Vec<Label> = labels.into_iter().zip(values).collect();
            metrics.counter(name, help, &labels, count);
        }
    }
}

/// Everything counted since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    decisions: Counts<4>,
    shadow: Counts<4>,
    located: Counts<1>,
    attempts: Counts<2>,
    blamed: Counts<2>,
    plans: Counts<1>,
    alarms: Counts<1>,
    extra: u64,
    drilled_calls: u64,
}

impl Tally {
    /// Something was written down.
    pub(super) fn entry(&mut self, entry: &Entry) {
        match &entry.record {
            Record::Decision { who, decision } => self.decisions.add(decision_labels(&who.trunk, decision)),
            Record::Shadow { who, decision } => self.shadow.add(decision_labels(&who.trunk, decision)),
            // How a trunk serves people is told of their calls alone.
            Record::Call(call) if call.drilled => self.drilled_calls += 1,
            Record::Call(call) => self.call(call),
            Record::Alarm(alarm) if !alarm.over => self.alarms.add([alarm.what.kind()]),
            Record::Located(located) => self.located.add([located.trunk.as_str()]),
            Record::Alarm(_) | Record::Configured { .. } | Record::Operator(_) | Record::Unreadable { .. } => {}
        }
    }

    /// A shard has seen something.
    pub(super) fn signal(&mut self, names: &Names, signal: &Signal) {
        if let Observed::Attempt { outcome, .. } = signal.what {
            let trunk = name(names, signal.target.trunk);
            self.attempts.add([trunk, class(&outcome)]);
            self.blamed.add([trunk, blamed(sense::blame(&outcome))]);
        }
    }

    fn call(&mut self, call: &CallRecord) {
        self.extra += (call.attempts.len() as u64).saturating_sub(1);
        let tier = match &call.plan {
            Ok(plan) if plan.last_resort => LAST_RESORT,
            Ok(plan) => plan.attempts.first().map_or(NO_PLAN, |first| tier(usize::from(first.tier))),
            Err(_) => NO_PLAN,
        };
        self.plans.add([tier]);
    }

    /// Adds all of it, of an edge that has these trunks, and at most so many tiers in a group.
    pub(super) fn measure(&self, metrics: &mut MetricsSnapshot, names: &Names, tiers: usize) {
        let trunks = || names.trunks.iter().map(|name| name.as_str()).filter(|name| !name.is_empty());
        let of_decisions = ["trunk", "change", "cause", "enforced"];
        self.decisions.measure(metrics, "decisions", "Decisions about trunks.", of_decisions);
        self.located.measure(metrics, "names_moved", "Times the names of a trunk led elsewhere.", ["trunk"]);
        self.shadow.measure(metrics, "shadow_decisions", "What the shadow policy would have decided.", of_decisions);
        // All outcomes and blames of each trunk would be half of what a scrape has; none is asked for by itself but these.
        let answered = trunks().map(|trunk| [trunk, class(&AttemptOutcome::Answered)]);
        let help = "Attempts that ended, by outcome.";
        self.attempts.measure_with(metrics, "attempts", help, ["trunk", "outcome"], answered);
        let failed = trunks().map(|trunk| [trunk, blamed(Blame::Trunk)]);
        let help = "Attempts that ended, by whose fault.";
        self.blamed.measure_with(metrics, "attempts_blamed", help, ["trunk", "blame"], failed);
        let tiers = (0..tiers.min(TIERS.len() + 1)).map(tier);
        let plans = tiers.chain([LAST_RESORT, NO_PLAN]).map(|tier| [tier]);
        let help = "Calls that ended, by the tier of their first choice.";
        self.plans.measure_with(metrics, "plans", help, ["tier"], plans);
        let kinds = Alarm::KINDS.into_iter().map(|kind| [kind]);
        self.alarms.measure_with(metrics, "alarms_raised", "Alarms raised.", ["kind"], kinds);
        let extra = "Attempts after the first of their call, of calls that ended.";
        metrics.counter("attempts_extra", extra, &[], self.extra);
        metrics.counter(
            "drilled_calls",
            "Calls of drills that ended; no other metric of calls counts them.",
            &[],
            self.drilled_calls,
        );
    }
}

fn name(names: &Names, trunk: TrunkId) -> &str {
    names.trunks.get(trunk.index()).map_or("?", |name| name.as_str())
}

fn decision_labels<'a>(trunk: &'a str, decision: &Decision) -> [&'a str; 4] {
    let enforced = if decision.enforced() { "true" } else { "false" };
    [trunk, change(&decision.change), cause(&decision.cause), enforced]
}

/// `up_suspect`: from, to.
const fn change(change: &Change) -> &'static str {
    match change {
        Change::Health { from, to } => health(*from, *to),
        Change::Share { .. } => "share",
        Change::Admin { to: Admin::InService, .. } => "in_service",
        Change::Admin { to: Admin::Draining, .. } => "draining",
        Change::Admin { to: Admin::OutOfService, .. } => "out_of_service",
        Change::Throttle { .. } => "throttle",
        Change::Force { .. } => "force",
        Change::Release { .. } => "release",
    }
}

const fn health(from: Health, to: Health) -> &'static str {
    match (from, to) {
        (Health::Unknown, Health::Up) => "unknown_up",
        (Health::Unknown, Health::Suspect) => "unknown_suspect",
        (Health::Unknown, Health::Down) => "unknown_down",
        (Health::Up, Health::Suspect) => "up_suspect",
        (Health::Up, Health::Down) => "up_down",
        (Health::Suspect, Health::Up) => "suspect_up",
        (Health::Suspect, Health::Down) => "suspect_down",
        (Health::Suspect, Health::Probation) => "suspect_probation",
        (Health::Down, Health::Probation) => "down_probation",
        (Health::Probation, Health::Up) => "probation_up",
        (Health::Probation, Health::Down) => "probation_down",
        _ => "other",
    }
}

const fn cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::FirstSeen => "first_seen",
        Cause::ProbesFailed { .. } => "probes_failed",
        Cause::CallsLate { .. } => "calls_late",
        Cause::CallsFailed { .. } => "calls_failed",
        Cause::CallsSilent { .. } => "calls_silent",
        Cause::Refused { .. } => "refused",
        Cause::FailureShare { .. } => "failure_share",
        Cause::MediaSilent { .. } => "media_silent",
        Cause::MediaLossy { .. } => "media_lossy",
        Cause::MediaPoor { .. } => "media_poor",
        Cause::RegistrationLost { .. } => "registration_lost",
        Cause::TestCallsFailed { .. } => "test_calls_failed",
        Cause::Overload { .. } => "overload",
        Cause::EarnedByTestCall { .. } => "earned_by_test_call",
        Cause::Calm { .. } => "calm",
        Cause::DwellOver { .. } => "dwell_over",
        Cause::Stable { .. } => "stable",
        Cause::EarnedByCalls { .. } => "earned_by_calls",
        Cause::EarnedByTime { .. } => "earned_by_time",
        Cause::Relapse => "relapse",
        Cause::RetryAfter => "retry_after",
        Cause::Operator => "operator",
        Cause::TimeOver => "time_over",
        Cause::Reconfigured => "reconfigured",
    }
}

const fn class(outcome: &AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Answered => "answered",
        AttemptOutcome::Redirected { .. } => "redirected",
        AttemptOutcome::Refused { code: 486 | 600, .. } => "busy",
        AttemptOutcome::Refused { code: 404 | 410 | 484 | 604, .. } => "no_such_number",
        AttemptOutcome::Refused { code: 603 | 607 | 608, .. } => "declined",
        AttemptOutcome::Refused { code: 480, .. } => "unavailable",
        AttemptOutcome::Refused { code: 487, .. } => "cancelled",
        AttemptOutcome::Refused { code: 503, .. } => "refused_503",
        AttemptOutcome::Refused { code: 500..=599, .. } => "refused_5xx",
        AttemptOutcome::Refused { code: 600..=699, .. } => "refused_6xx",
        AttemptOutcome::Refused { .. } => "refused_4xx",
        AttemptOutcome::NoReply { .. } => "no_reply",
        AttemptOutcome::Stalled { .. } => "stalled",
        AttemptOutcome::RingTimeout { .. } => "ring_timeout",
        AttemptOutcome::WentSilent { .. } => "went_silent",
        AttemptOutcome::CutShort { .. } => "cut_short",
        AttemptOutcome::Unreachable { .. } => "unreachable",
        AttemptOutcome::Abandoned { .. } => "abandoned",
        AttemptOutcome::Outrun { .. } => "outrun",
    }
}

fn tier(index: usize) -> &'static str {
    TIERS.get(index).copied().unwrap_or("more")
}

const fn blamed(blame: Blame) -> &'static str {
    match blame {
        Blame::None => "nobody",
        Blame::Trunk => "trunk",
        Blame::Called => "called",
        Blame::Caller => "caller",
        Blame::Us => "us",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use explain::{Alarm, AlarmRecord, Who};
    use model::{CallRef, Epoch, Instant, Seq, TargetId, Wall};

    fn entry(record: Record) -> Entry {
        Entry { seq: Seq(1), wall: Wall::from_micros(0), record }
    }

    #[test]
    fn decisions_attempts_and_alarms_are_counted_by_their_words() {
        let mut tally = Tally::default();
        let change = Change::Health { from: Health::Up, to: Health::Suspect };
        let cause = Cause::ProbesFailed { count: 2, limit: 2 };
        let decision = Decision::bare(Instant::ZERO, Epoch(1), decide::Subject::Trunk(TrunkId(0)), change, cause);
        let who = Who { trunk: "acme".into(), group: None, target: None, only_target: true };
        for veto in [None, None, Some(decide::Veto::LastUsable)] {
            let decision = Decision { veto, ..decision.clone() };
            tally.entry(&entry(Record::Decision { who: who.clone(), decision }));
        }
        let up_suspect = |enforced: &str| ["acme", "up_suspect", "probes_failed", enforced].map(str::to_owned);
        assert_eq!(tally.decisions.0.get(&up_suspect("true")), Some(&2));
        assert_eq!(tally.decisions.0.get(&up_suspect("false")), Some(&1));
        for over in [false, true] {
            let what = Alarm::GroupHasNobody { group: "carriers".into() };
            tally.entry(&entry(Record::Alarm(AlarmRecord { what, over })));
        }
        assert_eq!(tally.alarms.0.values().sum::<u64>(), 1, "its end is no second alarm");
        let names = Names { trunks: vec!["office".into(), "acme".into()], groups: Vec::new() };
        let busy = AttemptOutcome::Refused { code: 486, q850: None, retry_after: None };
        let target = TargetId { trunk: TrunkId(1), index: 0 };
        let what = Observed::Attempt { call: CallRef(1), outcome: busy };
        tally.signal(&names, &Signal { at: Instant::ZERO, target, what });
        assert_eq!(tally.attempts.0.get(&["acme", "busy"].map(str::to_owned)), Some(&1));
        assert_eq!(tally.blamed.0.get(&["acme", "called"].map(str::to_owned)), Some(&1));
    }

    /// An alert on the first call of its kind sees a rise from 0, and every trunk has its share of answers when nobody has answered.
    #[test]
    fn what_is_asked_for_is_there_before_it_has_happened() {
        let mut tally = Tally::default();
        let names = Names { trunks: vec!["acme".into(), "".into()], groups: Vec::new() };
        let target = TargetId { trunk: TrunkId(0), index: 0 };
        let what = Observed::Attempt { call: CallRef(1), outcome: AttemptOutcome::Answered };
        tally.signal(&names, &Signal { at: Instant::ZERO, target, what });
        let mut metrics = MetricsSnapshot::new();
        tally.measure(&mut metrics, &names, 12);
        let text = metrics.render_plain().expect("text");
        let of = |family: &str| {
            let mut lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(family)).collect();
            lines.sort_unstable();
            lines.join(" ")
        };
        assert_eq!(of("throughline_attempts_total{"), "trunk=\"acme\",outcome=\"answered\"} 1");
        let blamed = "trunk=\"acme\",blame=\"nobody\"} 1 trunk=\"acme\",blame=\"trunk\"} 0";
        assert_eq!(of("throughline_attempts_blamed_total{"), blamed);
        let tiers = ["1", "2", "3", "4", "5", "6", "7", "8", "last_resort", "more", "none"];
        assert_eq!(of("throughline_plans_total{tier="), tiers.map(|tier| format!("\"{tier}\"}} 0")).join(" "));
        assert_eq!(of("throughline_alarms_raised_total{").split(' ').count(), 2 * Alarm::KINDS.len());
    }

    #[test]
    fn label_sets_are_bounded() {
        let mut counts = Counts::<1>::default();
        (0..ROWS + 100).for_each(|n| counts.add([&n.to_string()]));
        assert_eq!(counts.0.len(), ROWS + 1);
        assert_eq!(counts.0.get(&["other".to_owned()]), Some(&100));
        counts.add(["7"]);
        assert_eq!(counts.0.get(&["7".to_owned()]), Some(&2), "those known go on counting");
    }
}
