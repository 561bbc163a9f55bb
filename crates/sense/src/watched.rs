//! Everything known of one target: its prober, its rows and windows, and when it was heard.
//!
//! Each kind of evidence has its own place, so that none erases another. Refuses to know: other targets, limits.

use crate::audio::Audio;
use crate::calls::{Attempt, Calls, UnderWay};
use crate::classify::is_ours;
use crate::probe::{Landed, ProbePolicy, Prober};
use crate::sensor::Counters;
use crate::streak::{ProbeRow, RegistrationRow};
use crate::test_call::TestCalls;
use model::{
    AttemptOutcome, CallRef, Instant, Observed, ProbeResult, Span, TargetId, TestCallResult, TransportEvidence,
    TransportFault,
};

/// A silence of so long has been judged as one. When it ends, what calls were sent into it say nothing any more, and rows end.
const SPELL: Span = Span::from_secs(5);

/// What a signal has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Evidence.
    pub(crate) evidence: bool,
    /// How soon the target usually reacts.
    pub(crate) learned: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) prober: Prober,
    pub(crate) probes: ProbeRow,
    pub(crate) calls: Calls,
    pub(crate) transport: TransportEvidence,
    pub(crate) audio: Audio,
    pub(crate) registration: RegistrationRow,
    pub(crate) last_bad: Option<Instant>,
    pub(crate) heard: Option<Instant>,
    pub(crate) silent_since: Option<Instant>,
    /// Its place in the sensor's agenda.
    pub(crate) due: Instant,
}

impl Watched {
    pub(crate) fn new(policy: ProbePolicy, first: Instant) -> Self {
        Self {
            prober: Prober::new(policy, first),
            probes: ProbeRow::default(),
            calls: Calls::default(),
            transport: TransportEvidence::default(),
            audio: Audio::default(),
            registration: RegistrationRow::default(),
            last_bad: None,
            heard: None,
            silent_since: None,
            due: Instant::FAR,
        }
    }

    pub(crate) fn refused(&mut self, at: Instant, fault: TransportFault) {
        if !is_ours(fault) {
            self.transport.in_row = self.transport.in_row.saturating_add(1);
            self.transport.last = Some((at, fault));
            self.last_bad = Some(at);
        }
    }

    /// A response of any kind.
    pub(crate) fn heard(&mut self, at: Instant) {
        self.transport.in_row = 0;
        self.heard = self.heard.max(Some(at));
        let Some(since) = self.silent_since.take() else { return };
        self.calls.heard_again(since, at);
        self.prober.heard_again();
        if at.since(since) >= SPELL {
            self.calls.resume(at);
            self.probes.resume();
        }
    }

    /// Rows of failures begin anew; what is usual here stays known.
    pub(crate) fn forgive(&mut self, now: Instant) {
        self.transport.in_row = 0;
        self.probes.resume();
        self.prober.heard_again();
        self.calls.mark(now, None);
        self.audio.clear();
    }

    /// What was sent then has not been answered in time. What was sent before something else was heard is merely lost.
    pub(crate) fn silent(&mut self, sent: Instant) {
        if self.heard.is_none_or(|heard| sent > heard) {
            self.silent_since = Some(self.silent_since.map_or(sent, |since| since.min(sent)));
        }
    }

    pub(crate) fn probe_ended(&mut self, counters: &mut Counters, at: Instant, result: ProbeResult, landed: Landed) {
        match result {
            ProbeResult::Unreachable { fault } if is_ours(fault) => {
                counters.local_faults += 1;
                return;
            }
            ProbeResult::Unreachable { fault } => self.refused(at, fault),
            ProbeResult::Answered { .. } => self.heard(at),
            ProbeResult::NoReply { .. } => self.silent(landed.sent),
        }
        let alive = self.prober.policy.is_alive(&result);
        self.probes.push(at, result, alive, landed.fast);
        if !alive {
            self.last_bad = Some(at);
        }
    }

    fn attempt_ended(&mut self, at: Instant, call: CallRef, attempt: Attempt, outcome: AttemptOutcome) {
        match outcome {
            AttemptOutcome::Unreachable { fault } => self.refused(at, fault),
            AttemptOutcome::Answered | AttemptOutcome::Redirected { .. } | AttemptOutcome::Refused { .. } => {
                self.heard(at);
            }
            AttemptOutcome::NoReply { .. } => self.silent(attempt.started),
            // It rang when it was sent; since when it is silent, only the questions tell, and they were asked just now.
            AttemptOutcome::WentSilent { .. } => self.silent(at),
            _ => {}
        }
        if self.calls.ended(at, call, attempt, outcome) {
            self.last_bad = Some(at);
        }
    }

    /// The answer to a probe, or what the network said to it.
    pub(crate) fn probe_landed(&mut self, counters: &mut Counters, at: Instant, order: u64, result: ProbeResult) {
        match self.prober.landed(order, round_trip(&result)) {
            Some(landed) => self.probe_ended(counters, at, result, landed),
            None => {
                // Too late for its deadline, and yet a sign of life.
                counters.late_answers += 1;
                if matches!(result, ProbeResult::Answered { .. }) {
                    self.heard(at);
                }
            }
        }
    }

    /// Something about an attempt under way, or its end.
    pub(crate) fn attempt(&mut self, at: Instant, target: TargetId, under_way: &mut UnderWay, what: Observed) -> News {
        match what {
            Observed::FirstReply { call, after } => {
                let mut attempt = under_way.get(target, call, before(at, after));
                self.heard(at);
                let learned = self.calls.first_reply(&mut attempt, after);
                under_way.update(target, call, attempt);
                News { evidence: true, learned }
            }
            Observed::Waiting { call, after, trying } => {
                let attempt = under_way.get(target, call, before(at, after));
                let late = self.calls.waits(at, call, attempt, after, trying);
                if late {
                    self.last_bad = Some(at);
                    if !trying {
                        self.silent(attempt.started);
                    }
                }
                News { evidence: late, learned: false }
            }
            Observed::Progress { call, after } => {
                let mut attempt = under_way.get(target, call, before(at, after));
                self.heard(at);
                let learned = self.calls.progress(at, &mut attempt);
                under_way.update(target, call, attempt);
                News { evidence: true, learned }
            }
            Observed::Attempt { call, outcome } => {
                let attempt = under_way.get(target, call, before(at, waited(&outcome)));
                under_way.end(target, call);
                self.attempt_ended(at, call, attempt, outcome);
                News { evidence: true, learned: false }
            }
            _ => News::default(),
        }
    }

    /// A test call has ended; false when nobody waited for it any more.
    pub(crate) fn test_ended(
        &mut self,
        tests: &mut TestCalls,
        at: Instant,
        (target, order): (TargetId, u64),
        result: TestCallResult,
    ) -> bool {
        match result {
            // Our own socket could not send: nothing is proven.
            TestCallResult::Unreachable { fault } if is_ours(fault) => return tests.landed(at, target, order, None),
            TestCallResult::Unreachable { fault } => self.refused(at, fault),
            TestCallResult::Good { .. } | TestCallResult::Refused { .. } | TestCallResult::NoTone { .. } => {
                self.heard(at);
            }
            TestCallResult::NoReply { .. } => {}
        }
        let landed = tests.landed(at, target, order, Some(result));
        if landed && !matches!(result, TestCallResult::Good { .. }) {
            self.last_bad = Some(at);
        }
        landed
    }
}

/// How long the answer took, when there was one.
const fn round_trip(result: &ProbeResult) -> Option<Span> {
    match result {
        ProbeResult::Answered { rtt, .. } => Some(*rtt),
        ProbeResult::NoReply { .. } | ProbeResult::Unreachable { .. } => None,
    }
}

/// How long an attempt had been under way, as far as its outcome says.
const fn waited(outcome: &AttemptOutcome) -> Span {
    match outcome {
        AttemptOutcome::NoReply { after }
        | AttemptOutcome::Stalled { after }
        | AttemptOutcome::WentSilent { after }
        | AttemptOutcome::RingTimeout { after }
        | AttemptOutcome::Abandoned { after, .. }
        | AttemptOutcome::CutShort { after, .. }
        | AttemptOutcome::Outrun { after, .. } => *after,
        _ => Span::ZERO,
    }
}

const fn before(at: Instant, span: Span) -> Instant {
    Instant::from_micros(at.as_micros().saturating_sub(span.as_micros()))
}
