//! The slow loop's owner: judges, asks the budget, applies to its table, and knows when to look again.
//!
//! Every change goes through [`TrunkTable::apply`], so that a journal of its decisions replays to its table. Refuses to
//! know: where evidence comes from, who hears of decisions.

use crate::budget;
use crate::decision::{Cause, Change, Decision, Subject, Veto};
use crate::failback::Terms;
use crate::failback::{self, Window};
use crate::judge::{Judgement, judge, next_look, promised};
use crate::policy::HealthPolicy;
use crate::shape::Shape;
use crate::table::{TargetState, TrunkTable};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::discriminant;
use model::{Admin, Epoch, Evidence, GroupId, Health, Instant, Span, TargetId, TrunkId, Wish};

mod force;

/// Probes run fast for so long before a dwell ends, so that it ends on time.
const HURRY_BEFORE: Span = Span::from_secs(5);
/// One in doubt that never answers is probed fast for so long.
const HURRY_FOR: Span = Span::from_secs(60);
/// No peer may keep us away for longer by one answer.
const THROTTLE_MAX: Span = Span::from_secs(60);
/// So many others on the same side are asked whether they are heard, when one falls silent.
const WITNESSES: usize = 3;
/// One that was heard within so long before the silence is expected to be heard again when asked: it is probed, or calls come and go.
const USUALLY_HEARD: Span = Span::from_secs(15);
/// Once a witness is heard again, those still silent are asked at once and given so long to be heard as well: a fast probe and its
/// deadline.
const GRACE: Span = Span::from_millis(2_500);
/// They are probed fast for so long, or until they are heard.
const ASK_FOR: Span = Span::from_secs(5);
/// A throttle under way is prolonged by no less than this, or each of many 503s would be a decision.
const THROTTLE_STEP: Span = Span::from_secs(1);

/// What the engine remembers of a target besides the table: when it is looked at, what has been said, and who can be a witness.
#[derive(Clone, Debug, Default)]
struct Watch {
    look: Option<Instant>,
    hurry: bool,
    held_back: Option<(Change, Veto)>,
    /// Last time anything was heard of it.
    heard: Option<Instant>,
    /// Asked then whether it is heard: to be a witness for another, or to be none the worse for a silence of all.
    asked: Option<Instant>,
    /// Beginning of the silence for which others were asked last.
    asked_for: Option<Instant>,
    /// End of a silence that was held to be ours.
    acquitted: Option<Instant>,
}

/// A silent target for which nobody has vouched that we are not deaf.
#[derive(Clone, Copy, Debug)]
struct Unwitnessed {
    since: Instant,
    /// When somebody else was heard after all. Where all fell silent together they return together: the first to be heard does not
    /// condemn those heard a moment later.
    heard: Option<Instant>,
}

/// Table, shape, and what is due.
#[derive(Clone, Debug)]
pub struct Engine {
    shape: Arc<Shape>,
    table: TrunkTable,
    watches: BTreeMap<TargetId, Watch>,
    /// Targets by when they are to be looked at.
    agenda: BTreeSet<(Instant, TargetId)>,
    /// Those of which nothing may be held until somebody else on their side is heard.
    unwitnessed: BTreeMap<TargetId, Unwitnessed>,
    windows: BTreeMap<GroupId, Window>,
    /// Trunks that fell lately, each with when it did last.
    fallen: BTreeMap<TrunkId, Instant>,
    refused_throttles: BTreeMap<TrunkId, Instant>,
}

impl Engine {
    /// Everybody Unknown and in service.
    pub fn new(shape: Arc<Shape>) -> Self {
        let table = TrunkTable::new(&shape);
        let watches = every_target(&shape).map(|target| (target, Watch::default())).collect();
        Self {
            shape,
            table,
            watches,
            agenda: BTreeSet::new(),
            unwitnessed: BTreeMap::new(),
            windows: BTreeMap::new(),
            fallen: BTreeMap::new(),
            refused_throttles: BTreeMap::new(),
        }
    }

    /// Whether the failback window of a group is open, and when that changes: to be told at the start, after each
    /// [`Engine::reshape`] and at each change. Until it is told, a window is closed.
    pub fn set_window(&mut self, now: Instant, group: GroupId, window: Window) {
        let known = self.windows.insert(group, window);
        if known.is_some_and(|known| known.open == window.open) {
            return;
        }
        let on_trial = |target: &TargetId| self.table.health(*target) == Health::Probation;
        let waiting: Vec<TargetId> = self.watches.keys().copied().filter(on_trial).collect();
        for target in waiting {
            self.look_at(target, Some(now));
        }
    }

    /// Follows a new configuration; what is held of trunks that stay is kept. Everybody is looked at by the new policy.
    pub fn reshape(&mut self, now: Instant, shape: Arc<Shape>) {
        self.table.reshape(now, &shape);
        self.windows.clear();
        let mut old = core::mem::take(&mut self.watches);
        let mut kept = |target: &TargetId| Watch { look: None, ..old.remove(target).unwrap_or_default() };
        self.watches = every_target(&shape).map(|target| (target, kept(&target))).collect();
        self.unwitnessed.retain(|target, _| self.watches.contains_key(target));
        self.agenda.clear();
        for target in every_target(&shape) {
            self.look_at(target, Some(now));
        }
        self.shape = shape;
    }

    /// Follows new targets of one trunk: the others are as they were. `shape` may have new targets of further trunks already, if those
    /// are followed before anything else is asked.
    pub fn relocate(&mut self, now: Instant, trunk: TrunkId, shape: Arc<Shape>) {
        let targets: Vec<u8> = shape.trunk(trunk).map(|trunk| trunk.frame().targets).unwrap_or_default();
        self.table.relocate(now, trunk, &targets);
        let stays = |target: &TargetId| target.trunk != trunk || targets.contains(&target.index);
        self.watches.retain(|target, _| stays(target));
        self.unwitnessed.retain(|target, _| stays(target));
        self.agenda.retain(|(_, target)| stays(target));
        for index in targets.iter().copied() {
            let target = TargetId { trunk, index };
            if let alloc::collections::btree_map::Entry::Vacant(slot) = self.watches.entry(target) {
                slot.insert(Watch::default());
                self.look_at(target, Some(now));
            }
        }
        self.shape = shape;
    }

    /// Judges one target by fresh evidence. The decision, if any, has been applied; one with a veto has not, and is
    /// returned once per situation.
    pub fn consider(&mut self, now: Instant, target: TargetId, seen: &Evidence) -> Option<Decision> {
        let shape = self.shape.clone();
        self.hear(now, target, seen);
        if let Some(since) = seen.silent_since {
            self.ask_witnesses(now, target, since);
        }
        let policy = &shape.trunk(target.trunk)?.health;
        let held = self.table.target(target)?;
        let terms = failback::terms(&shape, &self.table, &self.windows, target.trunk);
        let judgement = judge(policy, &terms, held, seen, now);
        let decision = match judgement.filter(|judgement| !self.is_echo(now, target, seen, judgement)) {
            Some(judgement) => self.carry_out(now, target, seen, judgement),
            None => None,
        };
        self.look_again(now, target, seen, decision.as_ref().is_some_and(Decision::enforced));
        decision
    }

    /// The operator's word, which needs no evidence and no budget. `InService` also forgives everything and lets the
    /// trunk be preferred at once. None when it says nothing new.
    pub fn operator(&mut self, now: Instant, trunk: TrunkId, to: Admin) -> Option<Decision> {
        self.shape.trunk(trunk)?;
        let from = self.table.admin(trunk);
        if from == to && to != Admin::InService {
            return None;
        }
        let change = Change::Admin { from, to };
        let decision = self.decision(now, Subject::Trunk(trunk), change, Cause::Operator, trunk);
        self.table.apply(&decision);
        let own: Vec<TargetId> = self.watches.keys().copied().filter(|target| target.trunk == trunk).collect();
        for target in own {
            if let Some(watch) = self.watches.get_mut(&target) {
                (watch.hurry, watch.held_back) = (to == Admin::InService, None);
            }
            self.look_at(target, Some(now));
        }
        self.wake_others(now, change);
        Some(decision)
    }

    /// 503 with Retry-After (RFC 3261 §20.33): no calls for so long, 60 s at most. A trunk without which a group has
    /// nobody left is offered calls all the same: refused by it or by us is the same to the caller, and its next answer
    /// may be better (§21.5.4 says SHOULD NOT, and this is the reason not to).
    pub fn throttle(&mut self, now: Instant, trunk: TrunkId, asked: Span) -> Option<Decision> {
        self.shape.trunk(trunk)?;
        let asked = asked.min(THROTTLE_MAX);
        let known = self.table.throttle(trunk).filter(|throttle| throttle.wish == Wish::NoCalls);
        let known = known.map_or(now, |throttle| throttle.until.max(now));
        if now + asked < known + THROTTLE_STEP {
            return None;
        }
        let change = Change::Throttle { asked, wish: Wish::NoCalls };
        let mut decision = self.decision(now, Subject::Trunk(trunk), change, Cause::RetryAfter, trunk);
        decision.next_look = Some(asked);
        if budget::is_last(&self.shape, &self.table, trunk, now) {
            let said = self.refused_throttles.get(&trunk).is_some_and(|at| now.since(*at) < THROTTLE_MAX);
            if said {
                return None;
            }
            self.refused_throttles.insert(trunk, now);
            return Some(hold_back(decision, Veto::LastUsable));
        }
        self.table.apply(&decision);
        Some(decision)
    }

    /// What a peer wishes by overload control (RFC 7339), or that it takes all calls again; whoever tells this tells it again
    /// within 60 s while it lasts. Unlike a 503 it is heeded even where nobody else is left: a server that says how much
    /// it can take serves fewer calls when it is offered more. A Retry-After under way goes first.
    pub fn overload(&mut self, now: Instant, trunk: TrunkId, wish: Option<Wish>, validity: Span) -> Option<Decision> {
        self.shape.trunk(trunk)?;
        let known = self.table.throttle(trunk).filter(|throttle| throttle.until > now);
        if known.is_some_and(|throttle| throttle.wish == Wish::NoCalls) {
            return None;
        }
        let change = match (wish, known) {
            (Some(wish), _) => Change::Throttle { asked: THROTTLE_MAX, wish },
            (None, Some(known)) => Change::Throttle { asked: Span::ZERO, wish: known.wish },
            (None, None) => return None,
        };
        let decision = self.decision(now, Subject::Trunk(trunk), change, Cause::Overload { validity }, trunk);
        self.table.apply(&decision);
        Some(decision)
    }

    /// When [`Engine::due`] has somebody, or [`Engine::force_over`] a decision.
    pub fn deadline(&self) -> Option<Instant> {
        let forced = self.table.all_forced().map(|(_, forced)| forced.until);
        self.agenda.first().map(|(at, _)| *at).into_iter().chain(forced).min()
    }

    /// A target whose state time alone may change; to be considered with fresh evidence.
    pub fn due(&mut self, now: Instant) -> Option<TargetId> {
        let (_, target) = self.agenda.first().copied().filter(|(at, _)| *at <= now)?;
        self.look_at(target, None);
        Some(target)
    }

    /// What is held.
    pub const fn table(&self) -> &TrunkTable {
        &self.table
    }

    /// What it decides by.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// On what terms a trunk on Probation gets its calls back, now.
    pub fn terms(&self, trunk: TrunkId) -> Terms<'_> {
        failback::terms(&self.shape, &self.table, &self.windows, trunk)
    }

    /// Whether a target should be probed fast: not known yet, newly in doubt, or Down with its dwell
    /// nearly over; and once it answers, until it is back.
    pub fn wants_hurry(&self, target: TargetId) -> bool {
        self.watches.get(&target).is_some_and(|watch| watch.hurry)
    }

    /// Applies a judgement if the budget allows. Who may not go Down is demoted to Suspect first, then the veto is said.
    fn carry_out(&mut self, now: Instant, target: TargetId, seen: &Evidence, judgement: Judgement) -> Option<Decision> {
        self.fallen.retain(|_, at| now.since(*at) < budget::SAME_TIME);
        let change = judgement.change;
        let (change, veto) = match self.lacks_witness(now, target, change, seen) {
            Some(veto) => (change, Some(veto)),
            None => {
                let veto = judgement.veto;
                let veto = veto.or_else(|| budget::veto(&self.shape, &self.table, target, change, &self.fallen, now));
                demote(change, veto)
            }
        };
        let mut decision = self.decision(now, Subject::Target(target), change, judgement.cause, target.trunk);
        decision.evidence = Some(seen.clone());
        match veto {
            Some(veto) => self.say_once(target, decision, veto),
            None => Some(self.enforce(now, target, decision)),
        }
    }

    fn enforce(&mut self, now: Instant, target: TargetId, mut decision: Decision) -> Decision {
        self.table.apply(&decision);
        if matches!(decision.change, Change::Health { to: Health::Suspect | Health::Down, .. }) {
            self.fallen.insert(target.trunk, now);
        }
        if let (Some(trunk), Some(held)) = (self.shape.trunk(target.trunk), self.table.target(target)) {
            let terms = failback::terms(&self.shape, &self.table, &self.windows, target.trunk);
            decision.next_look = promised(&trunk.health, &terms, held);
        }
        if let Some(watch) = self.watches.get_mut(&target) {
            watch.held_back = None;
        }
        self.unwitnessed.remove(&target);
        self.wake_others(now, decision.change);
        decision
    }

    /// Notes that a target is heard; those that could not be judged for want of a witness are asked, and looked at again.
    fn hear(&mut self, now: Instant, target: TargetId, seen: &Evidence) {
        let Some(watch) = self.watches.get_mut(&target) else { return };
        if seen.heard <= watch.heard {
            return;
        }
        watch.heard = seen.heard;
        if self.unwitnessed.remove(&target).is_some() {
            (watch.held_back, watch.acquitted) = (None, Some(now));
        }
        let waiting: Vec<TargetId> =
            self.unwitnessed.keys().copied().filter(|other| other.trunk != target.trunk).collect();
        for other in waiting {
            self.ask(now, other);
        }
    }

    /// Whether a judgement rests on what was sent into a silence that was held to be ours: such calls are told to be late for a moment
    /// after it is over, one by one as their deadlines pass.
    fn is_echo(&self, now: Instant, target: TargetId, seen: &Evidence, judgement: &Judgement) -> bool {
        let acquitted = self.watches.get(&target).and_then(|watch| watch.acquitted);
        acquitted.is_some_and(|at| now.since(at) < GRACE)
            && seen.silent_since.is_none()
            && matches!(judgement.cause, Cause::CallsLate { .. } | Cause::CallsSilent { .. })
    }

    /// Has a target probed at once.
    fn ask(&mut self, now: Instant, target: TargetId) {
        if let Some(watch) = self.watches.get_mut(&target) {
            watch.asked = Some(now);
        }
        self.look_at(target, Some(now));
    }

    /// Who could tell that our own uplink works while `trunk` has been silent since then: trunks of the same side that were heard shortly
    /// before and are not Down.
    fn witnesses(&self, trunk: TrunkId, since: Instant) -> impl Iterator<Item = (TargetId, Instant)> {
        let side = self.shape.trunk(trunk).map(|trunk| trunk.side);
        let same_side = move |other: &TrunkId| self.shape.trunk(*other).map(|other| other.side) == side;
        let heard = self.watches.iter().filter_map(|(target, watch)| Some((*target, watch.heard?)));
        heard.filter(move |(target, heard)| {
            target.trunk != trunk
                && *heard + USUALLY_HEARD >= since
                && same_side(&target.trunk)
                && self.table.admin(target.trunk) == Admin::InService
                && self.table.health(*target) != Health::Down
        })
    }

    /// A target that has fallen silent may be dead, or we may be deaf. Something is held against it when somebody else on its side was
    /// heard after its silence began; when there are others and none of them was, no traffic is shuffled on account of it: its calls
    /// hunt on by themselves.
    fn lacks_witness(&mut self, now: Instant, target: TargetId, change: Change, seen: &Evidence) -> Option<Veto> {
        let falls = matches!(change, Change::Health { to: Health::Suspect | Health::Down, .. });
        let since = seen.silent_since.filter(|_| falls)?;
        let (mut others, mut witnessed) = (BTreeSet::new(), false);
        for (other, heard) in self.witnesses(target.trunk, since) {
            others.insert(other.trunk);
            witnessed |= heard >= since;
        }
        let trunks = u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(1);
        let veto = Some(Veto::SuspectOurselves { trunks });
        if !others.is_empty() && !witnessed {
            self.unwitnessed.entry(target).or_insert(Unwitnessed { since: now, heard: None });
            return veto;
        }
        let waits = self.unwitnessed.get_mut(&target)?;
        let heard = *waits.heard.get_or_insert(now);
        // A witness that answers as soon as it is asked was never silent.
        let together = heard.since(waits.since) >= budget::SAME_TIME;
        veto.filter(|_| together && now.since(heard) < GRACE)
    }

    /// Has some of the others probed at once, so that their word is there by the time it is needed.
    fn ask_witnesses(&mut self, now: Instant, target: TargetId, since: Instant) {
        let Some(watch) = self.watches.get_mut(&target) else { return };
        if watch.asked_for.replace(since) == Some(since) {
            return;
        }
        let silent = self.witnesses(target.trunk, since).filter(|(_, heard)| *heard < since);
        // One target of each trunk: several of one that is dead would tell nothing.
        let asked: BTreeMap<TrunkId, TargetId> = silent.map(|(other, _)| (other.trunk, other)).collect();
        for other in asked.into_values().take(WITNESSES) {
            self.ask(now, other);
        }
    }

    /// Sets when a target is looked at again, if at all.
    fn look_at(&mut self, target: TargetId, at: Option<Instant>) {
        let Some(watch) = self.watches.get_mut(&target) else { return };
        if let Some(old) = watch.look {
            self.agenda.remove(&(old, target));
        }
        watch.look = at;
        if let Some(at) = at {
            self.agenda.insert((at, target));
        }
    }

    /// A veto is news once; the situation is over when the target changes or another veto takes its place.
    fn say_once(&mut self, target: TargetId, decision: Decision, veto: Veto) -> Option<Decision> {
        let watch = self.watches.get_mut(&target)?;
        let known = watch.held_back.is_some_and(|(change, by)| {
            let same = discriminant(&by) == discriminant(&veto);
            same && (change == decision.change || matches!(veto, Veto::SuspectOurselves { .. }))
        });
        watch.held_back = Some((decision.change, veto));
        (!known).then(|| hold_back(decision, veto))
    }

    /// What one trunk does may free another, or leave it alone: those that wait for that are looked at again. One that comes into doubt is
    /// still usable, still counted and still a witness: nothing is held back less for it, and where hundreds do so at once each would have
    /// all the others judged anew.
    fn wake_others(&mut self, now: Instant, change: Change) {
        let doubt = matches!(change, Change::Health { from, to: Health::Suspect } if from != Health::Down);
        let waits = |(target, watch): (&TargetId, &Watch)| {
            let freed = watch.held_back.is_some() && !doubt;
            (freed || self.table.health(*target) == Health::Probation).then_some(*target)
        };
        let waiting: Vec<TargetId> = self.watches.iter().filter_map(waits).collect();
        for target in waiting {
            self.look_at(target, Some(now));
        }
    }

    fn look_again(&mut self, now: Instant, target: TargetId, seen: &Evidence, changed: bool) {
        let (Some(trunk), Some(held)) = (self.shape.trunk(target.trunk), self.table.target(target)) else { return };
        let terms = failback::terms(&self.shape, &self.table, &self.windows, target.trunk);
        let Some(watch) = self.watches.get_mut(&target) else { return };
        watch.asked = watch.asked.filter(|at| seen.heard < Some(*at) && now.since(*at) < ASK_FOR);
        watch.hurry = wants_hurry(held, &trunk.health, seen, now) || watch.asked.is_some();
        let asked = watch.asked.map(|at| at + ASK_FOR);
        if changed {
            // A changed state may have more to say at once, such as Down after Suspect.
            return self.look_at(target, Some(now));
        }
        let mut look = next_look(&trunk.health, &terms, held, seen, now);
        if let (Health::Down, Some(end)) = (held.health(), look) {
            let hurry = before(end, HURRY_BEFORE);
            look = Some(if hurry > now { hurry } else { end });
        }
        let freed = match watch.held_back {
            Some((_, Veto::SuspectOurselves { .. })) => Some(now + budget::SAME_TIME),
            Some((_, Veto::TooManyFlips { .. })) => held.fall_expires(now, budget::FLIP_SPAN),
            _ => None,
        };
        self.look_at(target, [look, freed, asked].into_iter().flatten().min());
    }

    /// That of the table once the decision to come is applied.
    const fn next_epoch(&self) -> Epoch {
        Epoch(self.table.epoch().0 + 1)
    }

    fn decision(&self, at: Instant, subject: Subject, change: Change, cause: Cause, trunk: TrunkId) -> Decision {
        let policy = self.shape.trunk(trunk).map_or(0, |trunk| trunk.health.fingerprint());
        Decision { policy, ..Decision::bare(at, self.next_epoch(), subject, change, cause) }
    }
}

/// Who may not go Down is in doubt all the same, which costs nothing while anyone better is left.
const fn demote(change: Change, veto: Option<Veto>) -> (Change, Option<Veto>) {
    match (change, veto) {
        (Change::Health { from, to: Health::Down }, Some(_)) if !matches!(from, Health::Suspect) => {
            (Change::Health { from, to: Health::Suspect }, None)
        }
        other => other,
    }
}

fn hold_back(decision: Decision, veto: Veto) -> Decision {
    Decision { epoch: Epoch(decision.epoch.0 - 1), veto: Some(veto), ..decision }
}

/// Fast probes are for a change that may be near; one that has been dead for long is not worth a probe a second.
fn wants_hurry(held: &TargetState, policy: &HealthPolicy, seen: &Evidence, now: Instant) -> bool {
    let answers = seen.probe.good > 0;
    match held.health() {
        Health::Unknown => true,
        Health::Suspect => answers || now.since(held.since()) < HURRY_FOR,
        Health::Down => {
            let end = held.since() + held.dwell(policy);
            now + HURRY_BEFORE >= end && (answers || now < end)
        }
        Health::Up | Health::Probation => false,
    }
}

const fn before(at: Instant, span: Span) -> Instant {
    Instant::from_micros(at.as_micros().saturating_sub(span.as_micros()))
}

fn every_target(shape: &Shape) -> impl Iterator<Item = TargetId> {
    (0u16..).zip(&shape.trunks).flat_map(|(id, trunk)| {
        let targets = trunk.iter().flat_map(|trunk| &trunk.targets);
        targets.map(move |target| TargetId { trunk: TrunkId(id), index: target.number })
    })
}
