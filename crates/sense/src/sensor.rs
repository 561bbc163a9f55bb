//! The one door of this crate: signals in, probe orders and evidence out.
//!
//! Refuses to know: SIP, sockets, and what anyone thinks of the evidence.

use crate::audio::Audio;
use crate::calls::{Attempt, Calls, UnderWay};
use crate::classify::is_ours;
use crate::probe::{Landed, ProbeOrder, ProbePolicy, Prober};
use crate::streak::{ProbeRow, RegistrationRow};
use crate::test_call::{NotNow, TestCallOrder, TestCallPace, TestCalls};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use model::{
    AttemptOutcome, CallRef, Evidence, Instant, Observed, Paces, ProbeResult, Rng, Signal, Span, TargetId,
    TestCallResult, TransportEvidence, TransportFault,
};

/// First probes of new targets are spread over this time.
const SPREAD: Span = Span::from_secs(1);
/// Calls in a row, silent or late, that order a probe at once: one costs little, and where calls are few the second may be long in coming.
const ASK_AFTER: u32 = 1;
/// Attempts under way that are remembered, over all targets.
const UNDER_WAY_MAX: usize = 65_536;
/// A silence of so long has been judged as one. When it ends, what was sent into it says nothing any more.
const SPELL: Span = Span::from_secs(5);
/// Older than any attempt that still rings.
const RING_MAX: Span = Span::from_secs(600);

/// What the sensor could not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Probe answers after their deadline.
    pub late_answers: u64,
    /// Probes that ended while the prober itself was stalled.
    pub stalled: u64,
    /// Probes that our own socket could not send.
    pub local_faults: u64,
    /// Signals about targets that are gone.
    pub strangers: u64,
    /// Attempts not remembered because too many were under way.
    pub overflow: u64,
    /// Test calls whose end was not reported in time.
    pub test_calls_lost: u64,
}

#[derive(Clone, Debug)]
struct Watched {
    prober: Prober,
    probes: ProbeRow,
    calls: Calls,
    transport: TransportEvidence,
    audio: Audio,
    registration: RegistrationRow,
    last_bad: Option<Instant>,
    heard: Option<Instant>,
    silent_since: Option<Instant>,
    /// Its place in the sensor's agenda.
    due: Instant,
}

impl Watched {
    fn new(policy: ProbePolicy, first: Instant) -> Self {
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

    fn refused(&mut self, at: Instant, fault: TransportFault) {
        if !is_ours(fault) {
            self.transport.in_row = self.transport.in_row.saturating_add(1);
            self.transport.last = Some((at, fault));
            self.last_bad = Some(at);
        }
    }

    /// A response of any kind.
    fn heard(&mut self, at: Instant) {
        self.transport.in_row = 0;
        self.heard = self.heard.max(Some(at));
        if self.silent_since.take().is_some_and(|since| at.since(since) >= SPELL) {
            self.calls.resume(at);
            self.probes.resume();
            self.prober.resume();
        }
    }

    /// What was sent then has not been answered in time. What was sent before something else was heard is merely lost.
    fn silent(&mut self, sent: Instant) {
        if self.heard.is_none_or(|heard| sent > heard) {
            self.silent_since = Some(self.silent_since.map_or(sent, |since| since.min(sent)));
        }
    }

    fn probe_ended(&mut self, counters: &mut Counters, at: Instant, result: ProbeResult, landed: Landed) {
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
}

/// Evidence about every target, and when to probe whom.
#[derive(Clone, Debug)]
pub struct Sensor {
    targets: BTreeMap<TargetId, Watched>,
    under_way: UnderWay,
    /// Targets by when their prober is due.
    agenda: BTreeSet<(Instant, TargetId)>,
    orders: VecDeque<ProbeOrder>,
    tests: TestCalls,
    dirty: BTreeSet<TargetId>,
    next_order: u64,
    rng: Rng,
    learned: bool,
    counters: Counters,
}

impl Sensor {
    /// Nobody watched yet. The seed decides jitter and spread, so that a run can be repeated.
    pub fn new(seed: u64) -> Self {
        Self {
            targets: BTreeMap::new(),
            under_way: UnderWay::new(UNDER_WAY_MAX, seed),
            agenda: BTreeSet::new(),
            orders: VecDeque::new(),
            tests: TestCalls::default(),
            dirty: BTreeSet::new(),
            next_order: 0,
            rng: Rng::new(seed),
            learned: false,
            counters: Counters::default(),
        }
    }

    /// Start and reload: evidence of targets that stay is kept, new ones are first probed within a second.
    pub fn install(&mut self, now: Instant, targets: &[(TargetId, ProbePolicy)]) {
        let mut old = core::mem::take(&mut self.targets);
        self.agenda.clear();
        for (target, policy) in targets {
            let watched = match old.remove(target) {
                Some(mut watched) => {
                    watched.prober.replace(now, policy.clone());
                    watched
                }
                None => {
                    let first = now + Span::from_micros(self.rng.below(SPREAD.as_micros()));
                    Watched::new(policy.clone(), first)
                }
            };
            self.targets.insert(*target, Watched { due: Instant::FAR, ..watched });
            self.plan_ahead(*target);
        }
        let targets = &self.targets;
        self.under_way.retain(|target, _| targets.contains_key(&target));
        self.dirty.retain(|target| targets.contains_key(target));
        self.orders.retain(|order| targets.contains_key(&order.target));
    }

    /// Start and reload: who gets test calls, and how often.
    pub fn install_tests(&mut self, now: Instant, targets: &[(TargetId, TestCallPace)]) {
        self.tests.install(now, targets, &mut self.rng);
    }

    /// A test call as soon as the limits allow: one more look at a target before real calls return to it, when those are few.
    /// False when it has no test call.
    pub fn test_now(&mut self, now: Instant, target: TargetId) -> bool {
        let is_set = self.tests.soon(now, target);
        self.lost_tests(now);
        is_set
    }

    /// A test call at once, because a person asks for it; the number of its order.
    ///
    /// # Errors
    /// See [`NotNow`].
    pub fn test_asked(&mut self, now: Instant, target: TargetId) -> Result<u64, NotNow> {
        self.tests.ask(now, target, &mut self.rng)
    }

    /// The next test call to place.
    pub fn poll_test(&mut self) -> Option<TestCallOrder> {
        self.tests.poll()
    }

    /// A test call that was not placed, or broken off by us: it says nothing about its target.
    pub fn test_void(&mut self, now: Instant, target: TargetId, order: u64) {
        self.tests.landed(now, target, order, None);
    }

    /// One signal of a shard.
    pub fn observe(&mut self, now: Instant, signal: &Signal) {
        let (target, at) = (signal.target, signal.at);
        let Some(watched) = self.targets.get_mut(&target) else {
            self.counters.strangers += 1;
            return;
        };
        let under_way = &mut self.under_way;
        match signal.what {
            Observed::Probe { order, result } => match watched.prober.landed(order, round_trip(&result)) {
                Some(landed) => watched.probe_ended(&mut self.counters, at, result, landed),
                None => {
                    // Too late for its deadline, and yet a sign of life.
                    self.counters.late_answers += 1;
                    if matches!(result, ProbeResult::Answered { .. }) {
                        watched.heard(at);
                    }
                }
            },
            Observed::AttemptStarted { call } => {
                if !under_way.start(target, call, at) {
                    self.counters.overflow += 1;
                    under_way.retain(|_, started| now.since(started) < RING_MAX);
                }
                // Says nothing yet.
                return;
            }
            Observed::FirstReply { call, after } => {
                let mut attempt = under_way.get(target, call, before(at, after));
                watched.heard(at);
                self.learned |= watched.calls.first_reply(&mut attempt, after);
                under_way.update(target, call, attempt);
            }
            Observed::Waiting { call, after, trying } => {
                let attempt = under_way.get(target, call, before(at, after));
                if !watched.calls.waits(at, call, attempt, after, trying) {
                    return;
                }
                watched.last_bad = Some(at);
                if !trying {
                    watched.silent(attempt.started);
                }
            }
            Observed::Progress { call, after } => {
                let mut attempt = under_way.get(target, call, before(at, after));
                watched.heard(at);
                self.learned |= watched.calls.progress(at, &mut attempt);
                under_way.update(target, call, attempt);
            }
            Observed::Attempt { call, outcome } => {
                let attempt = under_way.get(target, call, before(at, waited(&outcome)));
                under_way.end(target, call);
                watched.attempt_ended(at, call, attempt, outcome);
            }
            Observed::Media { call, outcome } => {
                // Audio of a live call says nothing about whether signalling is answered.
                if watched.audio.push(at, call, outcome) {
                    watched.last_bad = Some(at);
                }
            }
            Observed::Registration { state } => {
                if watched.registration.push(at, state) {
                    watched.last_bad = Some(at);
                }
            }
            Observed::Transport { fault } => watched.refused(at, fault),
            Observed::TestCall { order, result } => {
                if !test_ended(watched, &mut self.tests, at, (target, order), result) {
                    self.counters.late_answers += 1;
                    return;
                }
            }
            // A wish for fewer calls says nothing about health; see `overload`.
            Observed::Overload { .. } => return,
        }
        if watched.calls.unanswered(now) >= ASK_AFTER && watched.last_bad == Some(at) {
            watched.prober.at_once(now);
        }
        self.plan_ahead(target);
        self.dirty.insert(target);
    }

    /// Probe at once and faster, or at the normal pace again.
    pub fn hurry(&mut self, now: Instant, target: TargetId, on: bool) {
        if let Some(watched) = self.targets.get_mut(&target) {
            watched.prober.hurry(now, on);
            self.plan_ahead(target);
        }
    }

    /// Another sensor has ordered this probe: its end counts here as well, by this one's own deadline and accepted codes.
    /// For a sensor whose probes are all off, which watches beside the one that orders.
    pub fn adopt(&mut self, now: Instant, order: &ProbeOrder) {
        if let Some(watched) = self.targets.get_mut(&order.target) {
            watched.prober.adopt(now, order);
            self.plan_ahead(order.target);
        }
    }

    /// Health or share changed: good calls are counted from here. When nothing bad has just happened, the target is
    /// returning, and its rows and window of failed calls begin anew.
    pub fn mark(&mut self, now: Instant, target: TargetId) {
        if let Some(watched) = self.targets.get_mut(&target)
            && watched.calls.mark(now, watched.last_bad)
        {
            watched.audio.clear();
        }
    }

    /// Time has passed: ends probes by their deadline, and orders those that are due.
    pub fn tick(&mut self, now: Instant) {
        self.lost_tests(now);
        while let Some((_, target)) = self.agenda.first().copied().filter(|(due, _)| *due <= now) {
            let Some(watched) = self.targets.get_mut(&target) else { break };
            while let Some(overdue) = watched.prober.overdue(now) {
                if overdue.stalled || overdue.excused {
                    self.counters.stalled += u64::from(overdue.stalled);
                    continue;
                }
                let landed = Landed { sent: overdue.sent, fast: overdue.fast };
                let result = ProbeResult::NoReply { after: overdue.after };
                watched.probe_ended(&mut self.counters, now, result, landed);
                self.dirty.insert(target);
            }
            let proven = watched.calls.last_good();
            if let Some(order) = watched.prober.order(now, target, self.next_order, proven, &mut self.rng) {
                self.next_order += 1;
                self.orders.push_back(order);
            }
            self.plan_ahead(target);
        }
    }

    /// Puts a target where it belongs on the agenda.
    fn plan_ahead(&mut self, target: TargetId) {
        let Some(watched) = self.targets.get_mut(&target) else { return };
        let due = watched.prober.deadline().unwrap_or(Instant::FAR);
        if due != watched.due {
            self.agenda.remove(&(watched.due, target));
            watched.due = due;
            if due != Instant::FAR {
                self.agenda.insert((due, target));
            }
        }
    }

    /// The next probe to send.
    pub fn poll(&mut self) -> Option<ProbeOrder> {
        self.orders.pop_front()
    }

    /// A target whose evidence has changed since this was asked last.
    pub fn dirty(&mut self) -> Option<TargetId> {
        self.dirty.pop_first()
    }

    /// Everything that still counts about a target; empty for one that is not watched.
    pub fn evidence(&mut self, now: Instant, target: TargetId) -> Evidence {
        let Some(watched) = self.targets.get_mut(&target) else { return Evidence::default() };
        Evidence {
            probe: watched.probes.0.clone(),
            calls: watched.calls.evidence(now),
            transport: watched.transport.clone(),
            media: watched.audio.evidence(now),
            registration: watched.registration.0.clone(),
            test_calls: self.tests.evidence(target),
            last_bad: watched.last_bad,
            heard: watched.heard,
            silent_since: watched.silent_since,
            ..Evidence::default()
        }
    }

    /// When `tick` is due.
    pub fn deadline(&self) -> Option<Instant> {
        let probes = self.agenda.first().map(|(due, _)| *due);
        [probes, self.tests.deadline()].into_iter().flatten().min()
    }

    fn lost_tests(&mut self, now: Instant) {
        self.counters.test_calls_lost += self.tests.tick(now, &mut self.rng);
    }

    /// Whether any pace has changed since this was asked for the last time with [`Sensor::paces`].
    pub const fn learned(&self) -> bool {
        self.learned
    }

    /// How soon each target usually reacts.
    pub fn paces(&mut self) -> Paces {
        self.learned = false;
        let mut paces = Paces::new();
        for (target, watched) in &self.targets {
            paces.set(*target, watched.calls.pace());
        }
        paces
    }

    /// What could not be used, and why.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// How long the answer took, when there was one.
const fn round_trip(result: &ProbeResult) -> Option<Span> {
    match result {
        ProbeResult::Answered { rtt, .. } => Some(*rtt),
        ProbeResult::NoReply { .. } | ProbeResult::Unreachable { .. } => None,
    }
}

/// A test call has ended; false when it was given up before.
fn test_ended(
    watched: &mut Watched,
    tests: &mut TestCalls,
    at: Instant,
    (target, order): (TargetId, u64),
    result: TestCallResult,
) -> bool {
    match result {
        // Our own socket could not send: nothing is proven.
        TestCallResult::Unreachable { fault } if is_ours(fault) => return tests.landed(at, target, order, None),
        TestCallResult::Unreachable { fault } => watched.refused(at, fault),
        TestCallResult::Good { .. } | TestCallResult::Refused { .. } | TestCallResult::NoTone { .. } => {
            watched.heard(at);
        }
        TestCallResult::NoReply { .. } => {}
    }
    let landed = tests.landed(at, target, order, Some(result));
    if landed && !matches!(result, TestCallResult::Good { .. }) {
        watched.last_bad = Some(at);
    }
    landed
}

/// How long an attempt had been under way, as far as its outcome says.
const fn waited(outcome: &AttemptOutcome) -> Span {
    match outcome {
        AttemptOutcome::NoReply { after }
        | AttemptOutcome::Stalled { after }
        | AttemptOutcome::WentSilent { after }
        | AttemptOutcome::RingTimeout { after }
        | AttemptOutcome::Abandoned { after, .. } => *after,
        _ => Span::ZERO,
    }
}

const fn before(at: Instant, span: Span) -> Instant {
    Instant::from_micros(at.as_micros().saturating_sub(span.as_micros()))
}
