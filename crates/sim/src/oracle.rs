//! What must always hold, whatever the network and the trunks do.
//!
//! It watches the wire, the agents' reports and the journal. Refuses to know: how the edge does it.

use crate::town::TEST_NUMBER;
use agent::{CallNo, Report};
use decide::{Change, NoPlan, Subject};
use edge::Tested;
use explain::{AttemptRecord, Entry, Record};
use model::{AttemptOutcome, Health, Instant, Span, TargetId};
use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet};

/// Shortest dwell of the default policy.
const DWELL: Span = Span::from_secs(30);

/// An invariant that did not hold, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

/// A leg that the edge began, as the wire shows it.
#[derive(Clone, Copy, Debug, Default)]
struct Leg {
    /// A 2xx to its INVITE reached the edge.
    answered: bool,
    /// The edge sent an ACK.
    acknowledged: bool,
    /// A BYE left the edge or reached it.
    ended: bool,
}

/// The watcher.
#[derive(Debug, Default)]
pub struct Oracle {
    /// By agent and call: final outcomes reported to the caller.
    finals: BTreeMap<(usize, CallNo), u32>,
    /// By branch of a caller's INVITE: distinct final codes the edge sent.
    codes: BTreeMap<Vec<u8>, BTreeSet<u16>>,
    /// By Call-ID: legs that begin with an INVITE of the edge.
    attempts_on_wire: BTreeMap<Vec<u8>, Leg>,
    /// Of them, test calls, which no record counts.
    tests_on_wire: usize,
    tested: Vec<Tested>,
    attempts_recorded: usize,
    down_since: BTreeMap<TargetId, Instant>,
    entries: Vec<Entry>,
    calls_recorded: usize,
    answered: usize,
    broken: Vec<Broken>,
}

impl Oracle {
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
    pub(crate) fn reached_edge(&mut self, bytes: &[u8]) {
        let Ok(message) = sip::Message::parse(bytes.to_vec()) else { return };
        let Some(leg) = self.attempts_on_wire.get_mut(message.call_id()) else { return };
        match message.status() {
            Some(code) if (200..300).contains(&code) && message.cseq().method == sip::Method::Invite => {
                leg.answered = true
            }
            None if message.method() == sip::Method::Bye => leg.ended = true,
            _ => {}
        }
    }

    /// Nothing to see on this side yet, besides that the agent was reached.
    pub(crate) fn seen_by_agent(&mut self, _agent: usize, bytes: &[u8]) {
        if sip::scan(bytes).is_none() {
            self.broken.push(Broken("the edge sent something that is not SIP".to_owned()));
        }
    }

    pub(crate) fn sent_by_edge(&mut self, bytes: &[u8]) {
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
            None if message.method() == sip::Method::Invite && message.to().tag().is_none() => {
                let is_test = sip::Uri::parse(message.uri()).is_ok_and(|uri| uri.user() == TEST_NUMBER.as_bytes());
                let leg = self.attempts_on_wire.entry(message.call_id().to_vec());
                self.tests_on_wire += usize::from(is_test && matches!(leg, Place::Vacant(_)));
                leg.or_default();
            }
            None => {
                if let Some(leg) = self.attempts_on_wire.get_mut(message.call_id()) {
                    leg.acknowledged |= message.method() == sip::Method::Ack;
                    leg.ended |= message.method() == sip::Method::Bye;
                }
            }
            Some(_) => {}
        }
    }

    pub(crate) fn entry(&mut self, now: Instant, entry: &Entry) {
        match &entry.record {
            Record::Decision { decision, .. } if decision.enforced() => {
                if let (Subject::Target(target), Change::Health { from, to }) = (decision.subject, decision.change) {
                    self.health_changed(now, target, from, to);
                }
            }
            Record::Call(call) => {
                self.calls_recorded += 1;
                self.attempts_recorded += call.attempts.len();
                let carried = |attempt: &&AttemptRecord| attempt.outcome == AttemptOutcome::Answered;
                if call.attempts.iter().filter(carried).count() > 1 {
                    self.broken.push(Broken(format!("call {} has two answered legs", call.call)));
                }
                if let Err(NoPlan::NobodyLeft { .. }) = call.plan {
                    self.broken
                        .push(Broken(format!("call {} had an empty plan though trunks were in service", call.call)));
                }
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
        let unfinished = |leg: &&Leg| leg.answered && !(leg.acknowledged && leg.ended);
        for leg in self.attempts_on_wire.values().filter(unfinished) {
            self.broken.push(Broken(format!("an answered leg was not acknowledged and ended: {leg:?}")));
        }
        let wire = self.attempts_on_wire.len() - self.tests_on_wire;
        if wire != self.attempts_recorded {
            let recorded = self.attempts_recorded;
            self.broken.push(Broken(format!("{wire} attempts on the wire, {recorded} in the records")));
        }
        if self.calls_recorded != self.finals.len() {
            let (recorded, dialled) = (self.calls_recorded, self.finals.len());
            self.broken.push(Broken(format!("{dialled} calls dialled, {recorded} recorded")));
        }
        self.broken
    }
}
