//! Shadow mode: a second policy beside the live one, which sees the same and is never obeyed.
//!
//! It has a sensor and an engine of its own, so that its streaks, marks and dwells are those it would have had. It sends
//! nothing: it watches the live edge's probes, judged by its own deadline and accepted codes, and calls go where the live
//! policy sends them. So its interval between probes is not tried out, and a trunk that it would have left sooner still
//! shows how calls fare there. Refuses to know: files, the journal.

use crate::config::Settings;
use crate::window::{Calendar, WindowTimer};
use decide::{Change, Decision, Engine, Member, Shape, TrunkShape};
use model::{Admin, AttemptOutcome, GroupId, Instant, Observed, Signal, TargetId, TrunkId, Wall};
use sense::{BlamePolicy, ProbeOrder, ProbePolicy, Sensor};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a second configuration says about the trunks of the live one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowPolicy {
    /// Fingerprint of its text.
    pub fingerprint: u32,
    /// Its policies by the live configuration's ids. A trunk that only one of the two knows is a hole; there are no routes,
    /// since it plans no calls.
    pub shape: Arc<Shape>,
    /// How it would look at each target.
    pub probes: Vec<(TargetId, ProbePolicy)>,
    /// What it would hold against each target, where that is not the usual.
    pub blames: Vec<(TargetId, BlamePolicy)>,
    /// How it would probe and blame the targets of each trunk, by `TrunkId`.
    pub(crate) watches: Vec<Option<(ProbePolicy, BlamePolicy)>>,
    /// Failback windows of its groups, which keep the ids they have there.
    pub windows: Vec<(GroupId, Calendar)>,
}

impl ShadowPolicy {
    /// Takes over what `other` says about trunks that `live` knows by the same name.
    pub fn new(live: &Settings, other: &Settings) -> Self {
        let place = |names: &[model::Name], name: &str| {
            let index = names.iter().position(|known| !known.is_empty() && known.as_str() == name)?;
            u16::try_from(index).ok().map(TrunkId)
        };
        let theirs = |id: TrunkId| place(&other.names.trunks, live.names.trunks.get(id.index())?);
        let ours = |id: TrunkId| place(&live.names.trunks, other.names.trunks.get(id.index())?);
        let trunks = (0_u16..).zip(&live.shape.trunks).map(|(id, trunk)| {
            let policy = other.shape.trunk(theirs(TrunkId(id))?)?;
            let live = trunk.as_ref()?;
            Some(TrunkShape { targets: live.targets.clone(), many: live.many, side: live.side, ..policy.clone() })
        });
        let groups = other.shape.groups().iter().map(|group| {
            let member = |member: &Member| Some(Member { trunk: ours(member.trunk)?, ..*member });
            let tiers = group.tiers.iter().map(|tier| tier.iter().filter_map(member).collect::<Vec<_>>());
            decide::GroupPolicy { tiers: tiers.filter(|tier| !tier.is_empty()).collect(), ..group.clone() }
        });
        let shape = Shape::new(trunks.collect(), groups.collect(), Vec::new());
        // Of a trunk all targets are probed and blamed alike.
        let watches = (0_u16..).zip(&live.watches).map(|(id, watch)| {
            let (probe, blame) = other.watches.get(theirs(TrunkId(id))?.index())?.as_ref()?;
            let (live, _) = watch.as_ref()?;
            Some((ProbePolicy { on: probe.on && live.on, ..probe.clone() }, blame.clone()))
        });
        let policy = Self {
            fingerprint: other.fingerprint,
            probes: Vec::new(),
            blames: Vec::new(),
            windows: other.windows.clone(),
            watches: watches.collect(),
            shape: Arc::new(shape),
        };
        policy.follow(live)
    }

    /// The same with the targets that trunks have now.
    #[must_use]
    pub(crate) fn follow(&self, live: &Settings) -> Self {
        let mut trunks = self.shape.trunks.clone();
        for (trunk, live) in trunks.iter_mut().zip(&live.shape.trunks) {
            if let (Some(trunk), Some(live)) = (trunk, live) {
                trunk.targets.clone_from(&live.targets);
            }
        }
        let shape = Shape::new(trunks, self.shape.groups().to_vec(), self.shape.routes().to_vec());
        let watch = |target: &TargetId| self.watches.get(target.trunk.index())?.as_ref();
        let targets = || live.probes.iter().map(|(target, _)| *target);
        let probes = targets().filter_map(|target| Some((target, watch(&target)?.0.clone())));
        let blames = targets().filter_map(|target| {
            let (_, blame) = watch(&target)?;
            (*blame != BlamePolicy::default()).then(|| (target, blame.clone()))
        });
        Self { probes: probes.collect(), blames: blames.collect(), shape: Arc::new(shape), ..self.clone() }
    }
}

/// The second policy at work. What it would have decided waits in a queue that control empties each time.
pub(crate) struct Shadow {
    policy: Arc<ShadowPolicy>,
    sensor: Sensor,
    engine: Engine,
    windows: WindowTimer,
    out: VecDeque<Decision>,
}

impl Shadow {
    /// Begins knowing nothing, besides what the operator wants of each trunk.
    pub(crate) fn new(now: Instant, policy: Arc<ShadowPolicy>, admin: impl Fn(TrunkId) -> Admin) -> Self {
        let mut engine = Engine::new(policy.shape.clone());
        for id in (0..policy.shape.trunks.len()).filter_map(|index| u16::try_from(index).ok()).map(TrunkId) {
            if admin(id) != Admin::InService {
                engine.operator(now, id, admin(id));
            }
        }
        // It draws no lots, since it orders no probes.
        let mut sensor = Sensor::new(0);
        sensor.install(now, &silent(&policy.probes));
        sensor.install_blames(&policy.blames);
        let mut windows = WindowTimer::default();
        windows.reset(now);
        Self { policy, sensor, engine, windows, out: VecDeque::new() }
    }

    /// A reload.
    pub(crate) fn replace(&mut self, now: Instant, policy: Arc<ShadowPolicy>) {
        self.engine.reshape(now, policy.shape.clone());
        self.windows.reset(now);
        self.sensor.install(now, &silent(&policy.probes));
        self.sensor.install_blames(&policy.blames);
        self.policy = policy;
    }

    /// What the live edge has seen.
    pub(crate) fn signal(&mut self, now: Instant, signal: &Signal) {
        self.sensor.observe(now, signal);
        if let Observed::Attempt {
            outcome: AttemptOutcome::Refused { code: 503, retry_after: Some(asked), .. }, ..
        } = signal.what
        {
            self.out.extend(self.engine.throttle(now, signal.target.trunk, asked));
        }
    }

    /// The live edge probes.
    pub(crate) fn ordered(&mut self, now: Instant, order: &ProbeOrder) {
        if self.policy.probes.iter().any(|(target, policy)| *target == order.target && policy.on) {
            self.sensor.adopt(now, order);
        }
    }

    /// The operator's word holds for both, and the live decision tells it.
    pub(crate) fn operator(&mut self, now: Instant, trunk: TrunkId, admin: Admin) {
        self.engine.operator(now, trunk, admin);
        if admin == Admin::InService {
            for (target, _) in self.policy.probes.iter().filter(|(target, _)| target.trunk == trunk) {
                self.sensor.forgive(now, *target);
            }
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.sensor.tick(now);
    }

    /// Judges everyone whose evidence or clock gives reason to.
    pub(crate) fn settle(&mut self, now: Instant, wall: Wall) {
        self.windows.tick(now, wall, &self.policy.windows, &mut self.engine);
        while let Some(target) = self.sensor.dirty() {
            self.consider(now, target);
        }
        while let Some(target) = self.engine.due(now) {
            self.consider(now, target);
        }
    }

    /// What it would have decided.
    pub(crate) fn poll(&mut self) -> Option<Decision> {
        self.out.pop_front()
    }

    /// When it has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.sensor.deadline(), self.engine.deadline(), self.windows.deadline()].into_iter().flatten().min()
    }

    fn consider(&mut self, now: Instant, target: TargetId) {
        let seen = self.sensor.evidence(now, target);
        let Some(decision) = self.engine.consider(now, target, &seen) else { return };
        if decision.enforced() && matches!(decision.change, Change::Health { .. } | Change::Share { .. }) {
            self.sensor.mark(now, target);
        }
        self.out.push_back(decision);
    }
}

/// The same, none of them ordering probes.
fn silent(probes: &[(TargetId, ProbePolicy)]) -> Vec<(TargetId, ProbePolicy)> {
    probes.iter().map(|(target, policy)| (*target, ProbePolicy { on: false, ..policy.clone() })).collect()
}
