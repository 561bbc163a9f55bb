//! The one door of this crate: signals in, probe orders and evidence out.
//!
//! Refuses to know: SIP, sockets, and what anyone thinks of the evidence.

use crate::calls::{Calls, UnderWay};
use crate::classify::is_ours;
use crate::probe::{ProbeOrder, ProbePolicy, Prober};
use crate::streak::ProbeRow;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use model::{
    AttemptOutcome, Evidence, Instant, Observed, Paces, ProbeResult, Rng, Signal, Span, TargetId, TransportEvidence,
    TransportFault,
};

/// First probes of new targets are spread over this time.
const SPREAD: Span = Span::from_secs(1);
/// Calls in a row, silent or late, that order a probe at once.
const ASK_AFTER: u32 = 3;
/// Attempts under way that are remembered, over all targets.
const UNDER_WAY_MAX: usize = 65_536;
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
}

#[derive(Clone, Debug)]
struct Watched {
    prober: Prober,
    probes: ProbeRow,
    calls: Calls,
    transport: TransportEvidence,
    last_bad: Option<Instant>,
}

impl Watched {
    fn new(policy: ProbePolicy, first: Instant) -> Self {
        let (probes, calls, transport) = (ProbeRow::default(), Calls::default(), TransportEvidence::default());
        Self { prober: Prober::new(policy, first), probes, calls, transport, last_bad: None }
    }

    fn refused(&mut self, at: Instant, fault: TransportFault) {
        if !is_ours(fault) {
            self.transport.in_row = self.transport.in_row.saturating_add(1);
            self.transport.last = Some((at, fault));
            self.last_bad = Some(at);
        }
    }

    fn heard(&mut self) {
        self.transport.in_row = 0;
    }
}

/// Evidence about every target, and when to probe whom.
#[derive(Debug)]
pub struct Sensor {
    targets: BTreeMap<TargetId, Watched>,
    under_way: UnderWay,
    orders: VecDeque<ProbeOrder>,
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
            orders: VecDeque::new(),
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
            self.targets.insert(*target, watched);
        }
        let targets = &self.targets;
        self.under_way.retain(|target, _| targets.contains_key(&target));
        self.dirty.retain(|target| targets.contains_key(target));
        self.orders.retain(|order| targets.contains_key(&order.target));
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
            Observed::Probe { order, result } => match watched.prober.landed(order) {
                Some(fast) => probe_ended(watched, &mut self.counters, at, result, fast),
                None => self.counters.late_answers += 1,
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
                watched.heard();
                self.learned |= watched.calls.first_reply(&mut attempt, after);
                under_way.update(target, call, attempt);
            }
            Observed::Waiting { call, after, trying } => {
                let attempt = under_way.get(target, call, before(at, after));
                if !watched.calls.waits(at, call, attempt, after, trying) {
                    return;
                }
                watched.last_bad = Some(at);
            }
            Observed::Progress { call, after } => {
                let mut attempt = under_way.get(target, call, before(at, after));
                watched.heard();
                self.learned |= watched.calls.progress(at, &mut attempt);
                under_way.update(target, call, attempt);
            }
            Observed::Attempt { call, outcome } => {
                let attempt = under_way.get(target, call, before(at, waited(&outcome)));
                under_way.end(target, call);
                if let AttemptOutcome::Unreachable { fault } = outcome {
                    watched.refused(at, fault);
                } else if matches!(
                    outcome,
                    AttemptOutcome::Answered | AttemptOutcome::Redirected { .. } | AttemptOutcome::Refused { .. }
                ) {
                    watched.heard();
                }
                if watched.calls.ended(at, call, attempt, outcome) {
                    watched.last_bad = Some(at);
                }
            }
            Observed::Transport { fault } => watched.refused(at, fault),
            // Kept by their own rows.
            Observed::Media { .. } | Observed::Registration { .. } | Observed::TestCall { .. } => return,
        }
        if watched.calls.unanswered(now) >= ASK_AFTER && watched.last_bad == Some(at) {
            watched.prober.at_once(now);
        }
        self.dirty.insert(target);
    }

    /// Probe at once and faster, or at the normal pace again.
    pub fn hurry(&mut self, now: Instant, target: TargetId, on: bool) {
        if let Some(watched) = self.targets.get_mut(&target) {
            watched.prober.hurry(now, on);
        }
    }

    /// Another sensor has ordered this probe: its end counts here as well, by this one's own deadline and accepted codes.
    /// For a sensor whose probes are all off, which watches beside the one that orders.
    pub fn adopt(&mut self, now: Instant, order: &ProbeOrder) {
        if let Some(watched) = self.targets.get_mut(&order.target) {
            watched.prober.adopt(now, order);
        }
    }

    /// Health or share changed: good calls are counted from here. When nothing bad has just happened, the target is
    /// returning, and its rows and window of failed calls begin anew.
    pub fn mark(&mut self, now: Instant, target: TargetId) {
        if let Some(watched) = self.targets.get_mut(&target) {
            watched.calls.mark(now, watched.last_bad);
        }
    }

    /// Time has passed: ends probes by their deadline, and orders those that are due.
    pub fn tick(&mut self, now: Instant) {
        for (target, watched) in &mut self.targets {
            while let Some(overdue) = watched.prober.overdue(now) {
                if overdue.stalled {
                    self.counters.stalled += 1;
                    continue;
                }
                let result = ProbeResult::NoReply { after: watched.prober.policy.deadline };
                watched.probes.push(now, result, false, overdue.fast);
                watched.last_bad = Some(now);
                self.dirty.insert(*target);
            }
            if let Some(order) = watched.prober.order(now, *target, self.next_order, &mut self.rng) {
                self.next_order += 1;
                self.orders.push_back(order);
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
            last_bad: watched.last_bad,
            ..Evidence::default()
        }
    }

    /// When `tick` is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.targets.values().filter_map(|watched| watched.prober.deadline()).min()
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

fn probe_ended(watched: &mut Watched, counters: &mut Counters, at: Instant, result: ProbeResult, fast: bool) {
    match result {
        ProbeResult::Unreachable { fault } if is_ours(fault) => {
            counters.local_faults += 1;
            return;
        }
        ProbeResult::Unreachable { fault } => watched.refused(at, fault),
        ProbeResult::Answered { .. } => watched.heard(),
        ProbeResult::NoReply { .. } => {}
    }
    let alive = watched.prober.policy.is_alive(&result);
    watched.probes.push(at, result, alive, fast);
    if !alive {
        watched.last_bad = Some(at);
    }
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
