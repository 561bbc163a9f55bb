//! Who decides in a run: the edge's own control machine and planner, or a peer's ways in their place.
//!
//! Refuses to know: laws, outages, what is counted.

use super::peer::PeerMind;
use decide::{AttemptPolicy, Candidate, Facts, GroupPolicy, Load, Next, SoFar, Subject, TargetState};
use edge::config::Settings;
use edge::{Control, ControlInput, ControlOutput};
use explain::{Entry, Record};
use model::{Admin, AttemptOutcome, GroupId, Health, Instant, Name, Rng, Seq, Signal, Span, TargetId, TrunkId, Wall};
use std::sync::Arc;

/// Midnight of the day in which every simulation begins, 2026-06-01 UTC: so that sentences show times since its start.
pub(super) const DAY: Wall = Wall::from_micros(1_780_272_000_000_000);

/// Who decides.
pub(super) enum Mind {
    Edge(Box<EdgeMind>),
    Peer(Box<PeerMind>),
}

/// The edge.
pub(super) struct EdgeMind {
    control: Control,
    load: Load,
    rng: Rng,
    due: Option<Instant>,
    clock: Clock,
    /// The group that most calls go to.
    group: Option<GroupPolicy>,
}

/// What a mind says unasked.
pub(super) enum Told {
    /// Send OPTIONS.
    Probe { order: u64, target: TargetId, waits: Span },
    /// The table has changed.
    Changed,
    /// A decision.
    Entry(Arc<Entry>),
    /// A peer's.
    Said { target: TargetId, to: Health, words: String },
}

/// How long one attempt may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) first_reply: Span,
    pub(super) progress: Span,
    pub(super) ring: Span,
    pub(super) t1: Span,
    /// What is left of the hunt, when that is less.
    pub(super) rest: Span,
}

impl EdgeMind {
    pub(super) fn new(settings: Arc<Settings>, clock: Clock, seed: u64, facts: &Facts<'_>) -> Self {
        let mut load = Load::default();
        load.resize(settings.shape.trunks.len());
        let mut rng = Rng::new(seed ^ 0x706c_616e);
        let control = Control::new(Instant::ZERO, clock.wall(Instant::ZERO), settings.clone(), seed, Seq(1));
        let table = control.snapshot().table.clone();
        let group = decide::plan(&settings.shape, &table, &load, facts, Instant::ZERO, &mut rng)
            .ok()
            .and_then(|plan| settings.shape.group(plan.group).cloned());
        let due = control.deadline();
        Self { control, load, rng, due, clock, group }
    }

    fn handle(&mut self, now: Instant, input: ControlInput) {
        self.control.handle(now, self.clock.wall(now), input);
        self.due = self.control.deadline();
    }

    fn policy(&self, target: TargetId) -> Option<&AttemptPolicy> {
        Some(&self.control.snapshot().settings.shape.trunk(target.trunk)?.attempt)
    }

    fn limits(&self, target: TargetId, left: usize, hunted: Span) -> Limits {
        let snapshot = self.control.snapshot();
        let default = AttemptPolicy::default();
        let policy = self.policy(target).unwrap_or(&default);
        let rest = policy.hunt - hunted;
        let first_reply = policy.first_reply_within(snapshot.paces.of(target), left);
        let profile = snapshot.settings.profiles.trunk(target.trunk);
        let t1 = profile.map_or(Span::from_millis(500), |profile| profile.timers.t1);
        // A lost packet is repaired before the deadline: T1 follows what the target usually takes.
        let t1 = t1.min(Span::from_micros(first_reply.as_micros() / 2));
        Limits { first_reply, progress: policy.progress, ring: policy.ring, t1, rest }
    }

    /// The best tier that carries calls now: one that is well before one in doubt.
    fn active(&self, now: Instant) -> Option<u8> {
        let group = self.group.as_ref()?;
        let table = &self.control.snapshot().table;
        let free = |trunk: TrunkId| {
            table.admin(trunk) == Admin::InService && table.throttle(trunk).is_none_or(|throttle| throttle.until <= now)
        };
        let well = |state: &TargetState| match state.health() {
            Health::Up | Health::Unknown => true,
            Health::Probation => state.share() >= 50,
            Health::Suspect | Health::Down => false,
        };
        let doubted = |state: &TargetState| state.health() == Health::Suspect;
        let tier_where = |good: &dyn Fn(&TargetState) -> bool| {
            let has = |member: &decide::Member| free(member.trunk) && table.targets(member.trunk).iter().any(good);
            group.tiers.iter().position(|tier| tier.iter().any(has)).map(|tier| tier as u8)
        };
        tier_where(&well).or_else(|| tier_where(&doubted))
    }
}

impl Mind {
    pub(super) fn signal(&mut self, now: Instant, signal: Signal) {
        match self {
            Self::Edge(edge) => edge.handle(now, ControlInput::Signal(signal)),
            Self::Peer(peer) => peer.signal(&signal),
        }
    }

    /// When [`Mind::tick`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Edge(edge) => edge.due,
            Self::Peer(peer) => Some(peer.deadline()),
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        match self {
            Self::Edge(edge) => edge.handle(now, ControlInput::Tick),
            Self::Peer(peer) => peer.tick(now),
        }
    }

    pub(super) fn poll(&mut self) -> Option<Told> {
        match self {
            Self::Edge(edge) => loop {
                return match edge.control.poll()? {
                    ControlOutput::Probe(order) => {
                        Some(Told::Probe { order: order.order, target: order.target, waits: order.deadline })
                    }
                    ControlOutput::Update(_) => Some(Told::Changed),
                    ControlOutput::Entry(entry) => Some(Told::Entry(entry)),
                    // A world of policies has neither test calls nor names nor phones.
                    ControlOutput::TestCall(_)
                    | ControlOutput::Tested { .. }
                    | ControlOutput::Lookup(_)
                    | ControlOutput::Bindings { .. }
                    | ControlOutput::Forgive(_)
                    | ControlOutput::Drill(_)
                    | ControlOutput::Keep(_) => continue,
                };
            },
            Self::Peer(peer) => {
                if let Some((target, to, words)) = peer.said.pop() {
                    return Some(Told::Said { target, to, words });
                }
                let (order, target) = peer.probes.pop()?;
                Some(Told::Probe { order, target, waits: peer.peer.deadline })
            }
        }
    }

    /// Candidates in order; none when nobody may take the call.
    pub(super) fn plan(&mut self, now: Instant, facts: &Facts<'_>) -> Vec<Candidate> {
        match self {
            Self::Edge(edge) => {
                let snapshot = edge.control.snapshot().clone();
                let shape = &snapshot.settings.shape;
                let plan = decide::plan(shape, &snapshot.table, &edge.load, facts, now, &mut edge.rng);
                plan.map(|plan| plan.attempts).unwrap_or_default()
            }
            Self::Peer(peer) => {
                let mut rng = Rng::new(now.as_micros());
                peer.plan(&mut rng)
            }
        }
    }

    pub(super) fn limits(&self, target: TargetId, left: usize, hunted: Span) -> Limits {
        match self {
            Self::Edge(edge) => edge.limits(target, left, hunted),
            Self::Peer(peer) => Limits {
                first_reply: peer.peer.first_reply,
                progress: peer.peer.progress,
                ring: Span::from_secs(180),
                t1: Span::from_millis(500),
                rest: Span::MAX,
            },
        }
    }

    pub(super) fn after(&self, target: TargetId, outcome: &AttemptOutcome, so_far: &SoFar) -> Next {
        match self {
            Self::Edge(edge) => {
                edge.policy(target).map_or(Next::Stop { code: 503 }, |policy| decide::after(policy, outcome, so_far))
            }
            Self::Peer(peer) => peer.after(outcome, so_far),
        }
    }

    /// The edge looks at attempts that wait, tells of them, and leaves them for better ones; peers do not.
    pub(super) const fn watches(&self) -> bool {
        matches!(self, Self::Edge(_))
    }

    pub(super) const fn hears_icmp(&self) -> bool {
        matches!(self, Self::Edge(_))
    }

    pub(super) fn health(&self, target: TargetId) -> Health {
        match self {
            Self::Edge(edge) => edge.control.snapshot().table.health(target),
            Self::Peer(peer) if peer.is_inactive(target) => Health::Down,
            Self::Peer(_) => Health::Up,
        }
    }

    /// In doubt or down because nothing is heard of it.
    pub(super) fn is_silent(&self, target: TargetId) -> bool {
        match self {
            Self::Edge(edge) => edge.control.snapshot().table.target(target).is_some_and(TargetState::is_silent),
            Self::Peer(_) => false,
        }
    }

    /// The best tier that carries calls now.
    pub(super) fn active(&self, now: Instant) -> Option<u8> {
        match self {
            Self::Edge(edge) => edge.active(now),
            Self::Peer(peer) => peer.active(),
        }
    }

    pub(super) fn begin(&mut self, now: Instant, trunk: TrunkId) {
        if let Self::Edge(edge) = self {
            edge.load.begin(now, trunk);
        }
    }

    pub(super) fn end(&mut self, trunk: TrunkId) {
        if let Self::Edge(edge) = self {
            edge.load.end(trunk);
        }
    }
}

/// Targets of the group that these calls go to, by tier: what a peer is configured with.
pub(super) fn tiers(settings: &Settings, facts: &Facts<'_>) -> Vec<Vec<TargetId>> {
    let shape = &settings.shape;
    let route = shape.routes().iter().find(|rule| rule.from.is_empty() || rule.from.contains(&facts.from));
    let group = shape.group(route.map_or(GroupId(0), |rule| rule.to));
    let tiers = group.map(|group| group.tiers.as_slice()).unwrap_or_default();
    let targets = |trunk: TrunkId| {
        let targets = shape.trunk(trunk).into_iter().flat_map(|trunk| &trunk.targets);
        targets.map(move |target| TargetId { trunk, index: target.number })
    };
    tiers.iter().map(|tier| tier.iter().flat_map(|member| targets(member.trunk)).collect()).collect()
}

/// Name of a trunk.
pub(super) fn name(settings: &Settings, trunk: TrunkId) -> Name {
    settings.names.trunks.get(trunk.index()).cloned().unwrap_or_else(|| Name::from("?"))
}

/// The decision in an entry, with the trunk it is about; none about a group.
pub(super) fn decision(entry: &Entry) -> Option<(TrunkId, &decide::Decision)> {
    let Record::Decision { decision, .. } = &entry.record else { return None };
    let trunk = match decision.subject {
        Subject::Target(target) => target.trunk,
        Subject::Trunk(trunk) => trunk,
        Subject::Group(_) => return None,
    };
    Some((trunk, decision))
}

/// The clock on the wall of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The end of the warm-up.
    pub(super) zero: Instant,
    /// What the clock shows then.
    pub(super) shows: Wall,
}

impl Clock {
    /// What the clock shows at a moment.
    pub(super) const fn wall(self, now: Instant) -> Wall {
        Wall::from_micros(self.shows.as_micros() + now.as_micros() as i64 - self.zero.as_micros() as i64)
    }
}
