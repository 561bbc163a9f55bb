//! What must always hold, whatever the network and the trunks do.
//!
//! It watches the wire, the agents' reports and the journal. Refuses to know: how the edge does it.

mod forced;
mod legs;
mod places;

use agent::{CallNo, Report};
use decide::{CallLimits, Change, NoPlan, Subject};
use edge::Tested;
use edge::config::Settings;
use explain::{AttemptRecord, CallRecord, Entry, Record};
use forced::Forced;
use legs::Legs;
use model::{AttemptOutcome, Begun, CallRef, Health, Instant, Name, Span, TargetId, TrunkId, Wall};
use places::{Holder, Place, Places};
use std::collections::{BTreeMap, BTreeSet};

/// Shortest dwell of the default policy.
const DWELL: Span = Span::from_secs(30);
/// Attempts of one call at once, at most.
const BESIDE_MAX: usize = 3;

/// An invariant that did not hold, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

/// The watcher.
#[derive(Debug, Default)]
pub struct Oracle {
    /// By agent and call: final outcomes reported to the caller.
    finals: BTreeMap<(usize, CallNo), u32>,
    /// By branch of a caller's INVITE: distinct final codes the edge sent.
    codes: BTreeMap<Vec<u8>, BTreeSet<u16>>,
    legs: Legs,
    tested: Vec<Tested>,
    /// By `TrunkId`.
    limits: Vec<CallLimits>,
    /// By `TrunkId`.
    names: Vec<Name>,
    /// The one trunk that gets test calls.
    proven: Option<TrunkId>,
    down_since: BTreeMap<TargetId, Instant>,
    forced: Forced,
    entries: Vec<Entry>,
    calls_recorded: usize,
    /// Of them, those that the edge placed itself, to reach a party again that a call had lost.
    rescues_recorded: usize,
    answered: usize,
    broken: Vec<Broken>,
}

impl Oracle {
    /// One that knows what the edge is configured to keep to.
    pub(crate) fn of(settings: &Settings) -> Self {
        let trunks = settings.shape.trunks.iter();
        let limits = trunks.map(|trunk| trunk.as_ref().map(|trunk| trunk.limits).unwrap_or_default());
        let proven = settings.tested().first().map(|(target, _)| target.trunk);
        Self { limits: limits.collect(), names: settings.names.trunks.clone(), proven, ..Self::default() }
    }

    /// An agent begins a call.
    pub fn dialled(&mut self, agent: usize, call: CallNo) {
        self.finals.insert((agent, call), 0);
    }

    /// Calls dialled.
    pub fn dials(&self) -> usize {
        self.finals.len()
    }

    /// Calls recorded by the edge.
    pub fn calls_recorded(&self) -> usize {
        self.calls_recorded
    }

    /// Calls that were answered, seen by callers.
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// Calls refused since nobody could take them.
    pub fn crowded_out(&self) -> usize {
        self.calls().filter(|(call, _)| matches!(call.plan, Err(NoPlan::NobodyLeft { .. }))).count()
    }

    /// Calls planned while the operator had put a tier first.
    pub fn forced(&self) -> usize {
        self.calls().filter(|(call, _)| call.plan.as_ref().is_ok_and(|plan| plan.forced.is_some())).count()
    }

    /// Attempts begun beside one that was late.
    pub fn hedged(&self) -> usize {
        self.calls().flat_map(|(call, _)| &call.attempts).filter(|attempt| attempt.begun == Begun::Hedge).count()
    }

    /// The records of calls, each with the time at which it was written.
    fn calls(&self) -> impl Iterator<Item = (&CallRecord, Wall)> {
        self.entries.iter().filter_map(|entry| match &entry.record {
            Record::Call(call) => Some((&**call, entry.wall)),
            _ => None,
        })
    }

    /// The journal.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn tested(&mut self, tested: &Tested) {
        self.tested.push(*tested);
    }

    /// Test calls that have ended.
    pub fn test_calls(&self) -> &[Tested] {
        &self.tested
    }

    pub(crate) fn report(&mut self, agent: usize, report: &Report) {
        let (call, answered) = match report {
            Report::Answered { call, .. } => (call, true),
            Report::Refused { call, .. } | Report::Failed { call, .. } => (call, false),
            _ => return,
        };
        if let Some(count) = self.finals.get_mut(&(agent, *call)) {
            *count += 1;
            self.answered += usize::from(answered);
            if let Report::Failed { fault, .. } = report {
                self.broken.push(Broken(format!("call {call:?} of agent {agent} got no final response ({fault:?})")));
            }
        }
    }

    /// What reaches the edge.
    pub(crate) fn reached_edge(&mut self, now: Instant, bytes: &[u8]) {
        if let Ok(message) = sip::Message::parse(bytes.to_vec()) {
            self.legs.reached(now, &message);
        }
    }

    pub(crate) fn sent_by_edge(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(message) = sip::Message::parse(bytes.to_vec()) else {
            return self
                .broken
                .push(Broken(format!("the edge sent a malformed message: {}", String::from_utf8_lossy(bytes))));
        };
        match message.status() {
            Some(code) if code >= 200 && message.cseq().method == sip::Method::Invite => {
                let codes = self.codes.entry(message.via().branch().unwrap_or_default().to_vec()).or_default();
                codes.insert(code);
                if codes.len() > 1 {
                    self.broken.push(Broken(format!("two final responses to one INVITE: {codes:?}")));
                }
            }
            None => self.legs.sent(now, &message),
            Some(_) => {}
        }
    }

    pub(crate) fn entry(&mut self, now: Instant, entry: &Entry) {
        match &entry.record {
            Record::Decision { decision, .. } if decision.enforced() => {
                self.forced.decided(decision);
                if let (Subject::Target(target), Change::Health { from, to }) = (decision.subject, decision.change) {
                    self.health_changed(now, target, from, to);
                }
            }
            Record::Call(call) => {
                self.calls_recorded += 1;
                let again = call.notes.iter().filter(|noted| matches!(noted.what, decide::Note::Called { .. }));
                self.rescues_recorded += again.count();
            }
            _ => {}
        }
        if let Some(last) = self.entries.last()
            && last.seq.0 + 1 != entry.seq.0
        {
            self.broken.push(Broken(format!("journal jumps from {:?} to {:?}", last.seq, entry.seq)));
        }
        self.entries.push(entry.clone());
    }

    fn health_changed(&mut self, now: Instant, target: TargetId, from: Health, to: Health) {
        if to == Health::Down {
            self.down_since.insert(target, now);
        }
        if from == Health::Down {
            let held = self.down_since.get(&target).map_or(Span::MAX, |since| now.since(*since));
            if held < DWELL {
                self.broken.push(Broken(format!("{target:?} left Down after {held}, before its dwell of {DWELL}")));
            }
        }
    }

    /// What did not hold, now that the run is over and everything has come to rest.
    pub fn verdict(mut self, left: &[(&'static str, u64)]) -> Vec<Broken> {
        for ((agent, call), count) in &self.finals {
            if *count != 1 {
                self.broken.push(Broken(format!("call {call:?} of agent {agent} ended {count} times instead of once")));
            }
        }
        for (what, count) in left.iter().filter(|(_, count)| *count > 0) {
            self.broken.push(Broken(format!("{count} {what} left after the end")));
        }
        let unfinished: Vec<Broken> = self.legs.unfinished().collect();
        self.broken.extend(unfinished);
        let of_calls = self.check_calls();
        self.broken.extend(of_calls);
        let (recorded, dialled, again) = (self.calls_recorded, self.finals.len(), self.rescues_recorded);
        if recorded != dialled + again {
            self.broken.push(Broken(format!("{dialled} calls dialled and {again} again, {recorded} recorded")));
        }
        self.broken
    }

    /// What the records say, against the wire, against the limits, and against what a hunt may do.
    fn check_calls(&self) -> Vec<Broken> {
        let mut broken = Vec::new();
        let mut recorded = BTreeSet::new();
        for (call, ended) in self.calls() {
            broken.extend(self.forced.contradict(call));
            broken.extend(self.check_attempts(call, explain::cdr(call, ended).attempts as usize, &mut recorded));
        }
        let on_wire: BTreeSet<&[u8]> = self.legs.attempts().collect();
        for missing in on_wire.difference(&recorded) {
            broken.push(Broken(format!("attempt {} is in no record", String::from_utf8_lossy(missing))));
        }
        let places = self.places(self.calls().map(|(call, _)| call));
        broken.extend(places.over(&self.limits));
        for (call, _) in self.calls() {
            let Err(refusal) = &call.plan else { continue };
            if let Some(why) = places.contradict(shard_of(call.call), call.invited, refusal, &self.limits) {
                broken.push(Broken(format!("call {} had an empty plan, but {why}: {refusal:?}", call.call)));
            }
        }
        broken
    }

    /// The attempts of one call. `counted` is how many its CDR has.
    fn check_attempts<'a>(
        &self,
        call: &'a CallRecord,
        counted: usize,
        recorded: &mut BTreeSet<&'a [u8]>,
    ) -> Vec<Broken> {
        let mut broken = Vec::new();
        let carried = call.attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Answered);
        if carried.count() > 1 {
            broken.push(Broken(format!("call {} has two answered legs", call.call)));
        }
        let mut on_wire = 0;
        for attempt in &call.attempts {
            let id = attempt.call_id.as_bytes();
            let leg = self.legs.by_id.get(id).filter(|leg| recorded.insert(id) && leg.begun == attempt.sent);
            let Some(leg) = leg else {
                broken.push(Broken(format!("attempt {} is not on the wire as recorded", attempt.call_id)));
                continue;
            };
            on_wire += 1;
            // Whoever answers and does not carry the call is told so at once.
            let carries = attempt.outcome == AttemptOutcome::Answered;
            if !carries && leg.is_answered() && leg.hung_up != leg.answered {
                broken.push(Broken(format!("call {} had another answered leg: {leg:?}", call.call)));
            }
            let at_once = call.attempts.iter().filter(|other| is_running(other, attempt.sent)).count();
            if at_once > BESIDE_MAX {
                broken.push(Broken(format!("call {} had {at_once} attempts at once", call.call)));
            }
        }
        if on_wire != counted {
            broken.push(Broken(format!("call {}: {on_wire} attempts on the wire, {counted} in its CDR", call.call)));
        }
        broken
    }

    /// Every place that a call, an attempt or a test call held on a trunk.
    fn places<'a>(&self, calls: impl Iterator<Item = &'a CallRecord>) -> Places {
        let mut all = Vec::new();
        for call in calls {
            let shard = shard_of(call.call);
            let emergency = call.plan.as_ref().is_ok_and(|plan| plan.emergency);
            if let Some(from) = self.names.iter().position(|name| *name == call.from) {
                let (trunk, holder) = (TrunkId(from as u16), Holder::Incoming);
                all.push(Place { trunk, shard, holder, from: call.invited, until: Some(call.ended) });
            }
            let holder = if emergency { Holder::Emergency } else { Holder::Attempt };
            all.extend(call.attempts.iter().map(|attempt| {
                let carries = attempt.outcome == AttemptOutcome::Answered;
                let until = if carries { call.ended } else { attempt.sent + attempt.took };
                Place { trunk: attempt.target.trunk, shard, holder, from: attempt.sent, until: Some(until) }
            }));
        }
        let tests = self.legs.by_id.iter().filter(|(_, leg)| leg.is_test).zip(core::iter::repeat(self.proven));
        all.extend(tests.filter_map(|((id, leg), proven)| {
            let shard = crate::town::owner(id)?;
            Some(Place { trunk: proven?, shard, holder: Holder::Test, from: leg.begun, until: leg.over() })
        }));
        Places { all }
    }
}

/// Whether an attempt runs at this moment, the one included at which it begins.
fn is_running(attempt: &AttemptRecord, at: Instant) -> bool {
    attempt.sent <= at && attempt.sent + attempt.took > at
}

/// The shard that numbered a call.
const fn shard_of(call: CallRef) -> u8 {
    (call.0 >> 56) as u8
}
