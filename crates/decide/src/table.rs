//! The trunk table: what is held of every trunk and target. Only a [`Decision`] changes it.
//!
//! Folding the enforced decisions of a journal over a fresh table gives the live one, bit for bit; so everything that
//! damping remembers (relapses, doubts, falls) lives here and not in the engine. Refuses to know: evidence, clocks.

use crate::decision::{Change, Decision, Subject};
use crate::forced::Forced;
use crate::policy::HealthPolicy;
use crate::shape::{Shape, TrunkFrame};
use alloc::vec::Vec;
use model::{Admin, Epoch, GroupId, Health, Instant, Span, TargetId, Throttle, TrunkId};
use serde::{Deserialize, Serialize};

/// Times of falls remembered per target; a flip limit above it is never reached.
const FALLS_KEPT: usize = 16;

/// What is held of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetState {
    index: u8,
    health: Health,
    share: u8,
    since: Instant,
    stepped: Instant,
    downs: u32,
    doubts: u32,
    by_calls: bool,
    silent: bool,
    falls: Vec<Instant>,
}

impl TargetState {
    const fn new(index: u8, since: Instant) -> Self {
        Self {
            index,
            health: Health::Unknown,
            share: 100,
            since,
            stepped: since,
            downs: 0,
            doubts: 0,
            by_calls: false,
            silent: false,
            falls: Vec::new(),
        }
    }

    /// Its number within its trunk.
    pub const fn index(&self) -> u8 {
        self.index
    }

    /// Health as decided.
    pub const fn health(&self) -> Health {
        self.health
    }

    /// In doubt or down because nothing is heard of it, as against one that refuses.
    pub const fn is_silent(&self) -> bool {
        self.silent
    }

    /// Share of its calls it gets, in percent: 100 unless on Probation.
    pub const fn share(&self) -> u8 {
        self.share
    }

    /// When health changed last.
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// When health or share changed last.
    pub const fn stepped(&self) -> Instant {
        self.stepped
    }

    /// Times it went Down again before the last time was forgiven.
    pub const fn relapses(&self) -> u32 {
        self.downs.saturating_sub(1)
    }

    /// How long it stays Down: the policy's dwell, doubled per relapse, up to the longest.
    pub fn dwell(&self, policy: &HealthPolicy) -> Span {
        doubled(policy.dwell, self.relapses(), policy.dwell_max)
    }

    /// How long nothing bad may happen before doubt ends: the policy's calm, doubled per doubt that is not forgiven.
    pub fn calm(&self, policy: &HealthPolicy) -> Span {
        doubled(policy.calm, self.doubts.saturating_sub(1), policy.dwell_max)
    }

    /// Whether failing calls now would be a relapse: calls have failed before, or it has been Down, and too little time
    /// Up has passed since for that to be forgiven.
    pub fn on_record(&self, now: Instant, forgive: Span) -> bool {
        // The doubt under way is not its own precedent.
        let present = u32::from(self.health == Health::Suspect);
        let forgiven = self.forgiven(now, forgive);
        self.downs > forgiven || (self.by_calls && self.doubts > forgiven + present)
    }

    /// Falls (from Up, Unknown or Probation to worse) within `span` before `now`.
    pub fn falls_within(&self, now: Instant, span: Span) -> u32 {
        self.falls.iter().filter(|at| now.since(**at) < span).count() as u32
    }

    /// When the oldest remembered fall within `span` stops counting.
    pub fn fall_expires(&self, now: Instant, span: Span) -> Option<Instant> {
        self.falls.iter().find(|at| now.since(**at) < span).map(|at| *at + span)
    }

    /// How many doublings the present time Up makes good.
    fn forgiven(&self, now: Instant, forgive: Span) -> u32 {
        if self.health != Health::Up || forgive == Span::ZERO {
            return 0;
        }
        u32::try_from(now.since(self.since).as_micros() / forgive.as_micros()).unwrap_or(u32::MAX)
    }

    fn enter(&mut self, decision: &Decision, to: Health, forgive: Span) {
        let at = decision.at;
        let forgiven = self.forgiven(at, forgive);
        self.downs = self.downs.saturating_sub(forgiven);
        self.doubts = self.doubts.saturating_sub(forgiven);
        self.by_calls &= self.doubts > 0;
        if matches!(to, Health::Suspect | Health::Down) && !matches!(self.health, Health::Suspect | Health::Down) {
            if self.falls.len() == FALLS_KEPT {
                self.falls.remove(0);
            }
            self.falls.push(at);
        }
        match to {
            Health::Suspect => {
                self.doubts = self.doubts.saturating_add(1);
                self.by_calls |= decision.cause.rests_on_calls();
            }
            Health::Down => self.downs = self.downs.saturating_add(1),
            Health::Unknown | Health::Up | Health::Probation => {}
        }
        self.silent = matches!(to, Health::Suspect | Health::Down) && decision.is_of_silence();
        self.share = if to == Health::Probation { 0 } else { 100 };
        self.health = to;
        self.since = at;
        self.stepped = at;
    }

    /// The operator vouches for it: nothing is held against it any more, and it is not on trial.
    fn restore(&mut self, at: Instant) {
        let health = if self.health == Health::Up { Health::Up } else { Health::Unknown };
        *self = Self { health, ..Self::new(self.index, at) };
    }
}

fn doubled(base: Span, times: u32, most: Span) -> Span {
    let factor = 1u64.checked_shl(times.min(63)).unwrap_or(u64::MAX);
    base.times(factor).min(most.max(base))
}

/// What is held of one trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TrunkState {
    admin: Admin,
    throttle: Option<Throttle>,
    forgive: Span,
    /// Best first, which is not the order of their numbers.
    targets: Vec<TargetState>,
}

impl TrunkState {
    fn new(frame: &TrunkFrame, now: Instant) -> Self {
        let targets = frame.targets.iter().map(|index| TargetState::new(*index, now)).collect();
        Self { admin: Admin::InService, throttle: None, forgive: frame.forgive, targets }
    }

    /// Each target that is still there keeps what is held of it, wherever it stands now. Nothing is known of a new one yet.
    fn follow(&mut self, frame: &TrunkFrame, now: Instant) {
        let old = core::mem::take(&mut self.targets);
        let held = |index: &u8| {
            let known = old.iter().find(|old| old.index == *index).cloned();
            known.unwrap_or_else(|| TargetState::new(*index, now))
        };
        self.targets = frame.targets.iter().map(held).collect();
        self.forgive = frame.forgive;
    }
}

/// What is held of every trunk, at one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkTable {
    epoch: Epoch,
    trunks: Vec<Option<TrunkState>>,
    /// The tiers that are forced, by group: few, and mostly none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    forced: Vec<(GroupId, Forced)>,
}

impl TrunkTable {
    /// Everybody Unknown and in service.
    pub fn new(shape: &Shape) -> Self {
        Self::framed(&shape.frames())
    }

    /// The same from as much of a configuration as the journal has.
    pub fn framed(frames: &[Option<TrunkFrame>]) -> Self {
        let new = |frame: &TrunkFrame| TrunkState::new(frame, Instant::ZERO);
        let trunks = frames.iter().map(|frame| frame.as_ref().map(new)).collect();
        Self { epoch: Epoch(0), trunks, forced: Vec::new() }
    }

    /// The only mutator of what is held. A decision that was held back changes nothing.
    pub fn apply(&mut self, decision: &Decision) {
        if !decision.enforced() {
            return;
        }
        self.epoch = decision.epoch;
        let (trunk, index) = match decision.subject {
            Subject::Target(target) => (target.trunk, Some(target.index)),
            Subject::Trunk(trunk) => (trunk, None),
            Subject::Group(group) => return self.force(group, decision),
        };
        let Some(Some(trunk)) = self.trunks.get_mut(trunk.index()) else { return };
        let target = index.and_then(|index| trunk.targets.iter_mut().find(|target| target.index == index));
        match (decision.change, target) {
            (Change::Health { to, .. }, Some(target)) => target.enter(decision, to, trunk.forgive),
            (Change::Share { to, .. }, Some(target)) => {
                target.share = to;
                target.stepped = decision.at;
            }
            (Change::Admin { to, .. }, None) => {
                trunk.admin = to;
                if to == Admin::InService {
                    trunk.throttle = None;
                    trunk.targets.iter_mut().for_each(|target| target.restore(decision.at));
                }
            }
            (Change::Throttle { asked, wish }, None) => {
                trunk.throttle = Some(Throttle { until: decision.at + asked, asked, wish });
            }
            // A health of a whole trunk, the operator's word on one target, a tier of a trunk: no such decision is ever built.
            (Change::Health { .. } | Change::Share { .. }, None)
            | (Change::Admin { .. } | Change::Throttle { .. }, Some(_))
            | (Change::Force { .. } | Change::Release { .. }, _) => {}
        }
    }

    fn force(&mut self, group: GroupId, decision: &Decision) {
        self.forced.retain(|(known, _)| *known != group);
        if let Change::Force { to: tier, length, .. } = decision.change {
            let word = decision.word.clone().unwrap_or_default();
            let at = self.forced.partition_point(|(known, _)| *known < group);
            self.forced.insert(at, (group, Forced { tier, until: decision.at + length, word }));
        }
    }

    /// Follows a new configuration: a trunk with the same id keeps the operator's word and what its peer has asked for, and each of its
    /// targets that is still there keeps what is held of it, wherever it stands now. Nothing is known of a new one yet.
    pub fn reshape(&mut self, now: Instant, shape: &Shape) {
        self.reframe(now, &shape.frames());
    }

    /// The same from as much of a configuration as the journal has.
    pub fn reframe(&mut self, now: Instant, frames: &[Option<TrunkFrame>]) {
        self.trunks.resize(frames.len(), None);
        for (trunk, frame) in self.trunks.iter_mut().zip(frames) {
            match (&mut *trunk, frame) {
                (Some(state), Some(frame)) => state.follow(frame, now),
                (None, Some(frame)) => *trunk = Some(TrunkState::new(frame, now)),
                (_, None) => *trunk = None,
            }
        }
        self.epoch = Epoch(self.epoch.0 + 1);
    }

    /// Follows new targets of one trunk, as [`TrunkTable::reshape`] does.
    pub fn relocate(&mut self, now: Instant, trunk: TrunkId, targets: &[u8]) {
        if let Some(Some(state)) = self.trunks.get_mut(trunk.index()) {
            let forgive = state.forgive;
            state.follow(&TrunkFrame { targets: targets.to_vec(), forgive }, now);
        }
        self.epoch = Epoch(self.epoch.0 + 1);
    }

    /// Grows by one with every applied decision and every new configuration.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Everything held of one target.
    pub fn target(&self, id: TargetId) -> Option<&TargetState> {
        self.trunk(id.trunk)?.targets.iter().find(|target| target.index == id.index)
    }

    /// The targets of a trunk, best first.
    pub fn targets(&self, id: TrunkId) -> &[TargetState] {
        self.trunk(id).map_or(&[], |trunk| &trunk.targets)
    }

    /// Health of one target; Unknown when there is no such target.
    pub fn health(&self, id: TargetId) -> Health {
        self.target(id).map_or(Health::Unknown, TargetState::health)
    }

    /// Health of a trunk's best target; Unknown when it has none.
    pub fn trunk_health(&self, id: TrunkId) -> Health {
        self.targets(id).iter().map(TargetState::health).min_by_key(|health| rank(*health)).unwrap_or_default()
    }

    /// Share of its calls a target gets, in percent.
    pub fn share(&self, id: TargetId) -> u8 {
        self.target(id).map_or(100, TargetState::share)
    }

    /// When a target's health changed last.
    pub fn since(&self, id: TargetId) -> Instant {
        self.target(id).map_or(Instant::ZERO, TargetState::since)
    }

    /// What the operator wants of a trunk.
    pub fn admin(&self, id: TrunkId) -> Admin {
        self.trunk(id).map_or(Admin::OutOfService, |trunk| trunk.admin)
    }

    /// The trunk's last request for no or fewer calls; it may be over by now.
    pub fn throttle(&self, id: TrunkId) -> Option<Throttle> {
        self.trunk(id)?.throttle
    }

    /// The tier of a group that the operator has put first; its time may be over by now.
    pub fn forced(&self, id: GroupId) -> Option<&Forced> {
        self.forced.iter().find(|(group, _)| *group == id).map(|(_, forced)| forced)
    }

    /// All tiers that are forced, by group.
    pub fn all_forced(&self) -> impl Iterator<Item = (GroupId, &Forced)> {
        self.forced.iter().map(|(group, forced)| (*group, forced))
    }

    /// In service, and at least one target is not Down.
    pub fn usable(&self, id: TrunkId) -> bool {
        self.admin(id) == Admin::InService && self.targets(id).iter().any(|target| target.health != Health::Down)
    }

    fn trunk(&self, id: TrunkId) -> Option<&TrunkState> {
        self.trunks.get(id.index()).and_then(Option::as_ref)
    }
}

/// Best first.
pub(crate) const fn rank(health: Health) -> u8 {
    match health {
        Health::Up => 0,
        Health::Unknown => 1,
        Health::Probation => 2,
        Health::Suspect => 3,
        Health::Down => 4,
    }
}
