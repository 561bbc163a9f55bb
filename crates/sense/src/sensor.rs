//! The one door of this crate: signals in, probe orders and evidence out.
//!
//! Refuses to know: SIP, sockets, and what anyone thinks of the evidence.

use crate::blame::BlamePolicy;
use crate::calls::UnderWay;
use crate::probe::{Landed, ProbeOrder, ProbePolicy};
use crate::streak::ProbeRow;
use crate::test_call::{NotNow, TestCallOrder, TestCallPace, TestCalls};
use crate::watched::Watched;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use model::{Evidence, Instant, Observed, Paces, ProbeResult, Qualities, Rng, Signal, Span, TargetId, TrunkId};

/// First probes of new targets are spread over this time.
const SPREAD: Span = Span::from_secs(1);
/// Calls in a row, silent or late, that order a probe at once: one costs little, and where calls are few the second may be long in coming.
const ASK_AFTER: u32 = 1;
/// Attempts under way that are remembered, over all targets.
const UNDER_WAY_MAX: usize = 65_536;

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
                    if watched.prober.replace(now, policy.clone()) {
                        // What probes have said holds nobody down who is not probed any more.
                        watched.probes = ProbeRow::default();
                    }
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

    /// Start and reload: whose fault outcomes are, for trunks that have a table of their own.
    pub fn install_blames(&mut self, blames: &[(TargetId, BlamePolicy)]) {
        for (target, watched) in &mut self.targets {
            let own = blames.iter().find(|(known, _)| known == target);
            watched.calls.blames(own.map(|(_, policy)| policy.clone()).unwrap_or_default());
        }
    }

    /// Share of recent attempts, in percent, that were not blamed on the trunk; by its best target (1 − NER is what is left).
    pub fn qualities(&mut self, now: Instant) -> Qualities {
        let mut best: BTreeMap<TrunkId, u8> = BTreeMap::new();
        for (target, watched) in &mut self.targets {
            let good = 100 - watched.calls.failed_share(now).percent().min(100) as u8;
            let known = best.entry(target.trunk).or_insert(good);
            *known = good.max(*known);
        }
        let mut qualities = Qualities::default();
        for (trunk, good) in best {
            qualities.set(trunk, good);
        }
        qualities
    }

    /// One signal of a shard.
    pub fn observe(&mut self, now: Instant, signal: &Signal) {
        let (target, at) = (signal.target, signal.at);
        let Some(watched) = self.targets.get_mut(&target) else {
            self.counters.strangers += 1;
            return;
        };
        let evidence = match signal.what {
            Observed::Probe { order, result } => {
                watched.probe_landed(&mut self.counters, at, order, result);
                true
            }
            Observed::AttemptStarted { call } => {
                self.counters.overflow += u64::from(!self.under_way.start(target, call, at));
                // Says nothing yet.
                false
            }
            Observed::FirstReply { .. }
            | Observed::Waiting { .. }
            | Observed::Progress { .. }
            | Observed::Attempt { .. } => {
                let news = watched.attempt(at, target, &mut self.under_way, signal.what);
                self.learned |= news.learned;
                news.evidence
            }
            Observed::Media { call, outcome } => {
                // Audio of a live call says nothing about whether signalling is answered.
                if watched.audio.push(at, call, outcome) {
                    watched.last_bad = Some(at);
                }
                true
            }
            Observed::Registration { state, .. } => {
                if watched.registration.push(at, state) {
                    watched.last_bad = Some(at);
                }
                true
            }
            Observed::Transport { fault } => {
                watched.refused(at, fault);
                true
            }
            Observed::TestCall { order, result } => {
                let landed = watched.test_ended(&mut self.tests, at, (target, order), result);
                self.counters.late_answers += u64::from(!landed);
                landed
            }
            // A wish for fewer calls says nothing about health; see `overload`.
            Observed::Overload { .. } => false,
        };
        if !evidence {
            return;
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

    /// Somebody wants to know now: a probe at once, or as soon as the fast pace allows.
    pub fn probe_now(&mut self, now: Instant, target: TargetId) {
        if let Some(watched) = self.targets.get_mut(&target) {
            watched.prober.at_once(now);
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
            self.tests.forgive(target);
        }
    }

    /// The operator vouches for it: whatever failed until now, even just now, is forgotten.
    pub fn forgive(&mut self, now: Instant, target: TargetId) {
        if let Some(watched) = self.targets.get_mut(&target) {
            watched.forgive(now);
            self.tests.forgive(target);
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
