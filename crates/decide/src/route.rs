//! Routing: facts of a call and the trunk table become a plan.
//!
//! One pass over the group, whose cost grows with its members and with nothing else; a plan allocates its own two lists and nothing
//! besides. Refuses to know: SIP, who asks.

use crate::load::{CallLimits, Load, Room};
use crate::lot;
use crate::plan::{Candidate, Excluded, Exclusion, Facts, NoPlan, Plan};
use crate::policy::{GroupPolicy, Member, Strategy};
use crate::ranking::{Class, Place, Ranked, Ranking};
use crate::shape::{Shape, TargetShape};
use crate::table::{TargetState, TrunkTable, rank};
use crate::turns::Turns;
use alloc::vec::Vec;
use model::{Admin, GroupId, Health, Instant, Rng, TargetId, TrunkId, Wish};

/// Trunks that a plan names as left out; the rest is counted. Nobody reads a longer list, and each call's is stored.
const NAMED_MAX: usize = 16;

/// The order in which targets are tried for one call, and who is not tried and why.
///
/// Tiers in order among those Up or Unknown (inside a tier by the group's strategy; those on Probation for their share of
/// calls); then those on Probation outside their share, who are well but not yet preferred; then all Suspect ones; and if that is
/// nobody, every Down one as a last resort. Draining, out of service, throttled and full trunks, and the one the call came from, are
/// never tried; one that asked for fewer calls is not tried for those. A trunk that has nothing left but its headroom is not tried first.
///
/// A tier that the operator forces goes before all others with whoever of it is not Down, on Probation and in doubt too; of an emergency call
/// with those alone that are Up or Unknown. Then come the others as ever.
///
/// When whoever is left is merely full, there is no last resort: a caller who is refused at once and told when to come again is better
/// served than one who waits for dead trunks, and so are those whose calls are under way.
///
/// An emergency call (RFC 5031) passes throttles and limits, is nobody's canary, and tries draining trunks after all others and Down
/// targets at the very end. Who is out of service stays out: that may be because calls are lost there.
///
/// # Errors
/// No route matches, or nobody in the group may take the call.
pub fn plan(
    shape: &Shape,
    table: &TrunkTable,
    load: &Load,
    facts: &Facts<'_>,
    now: Instant,
    rng: &mut Rng,
) -> Result<Plan, NoPlan> {
    let (route, group) = shape.route(facts).ok_or(NoPlan::NoRoute)?;
    let scene = Scene { shape, table, load, facts, now };
    let mut hunt = Hunt::default();
    let forced = table.forced(group.id).filter(|forced| forced.until > now);
    let first = forced.map(|forced| forced.tier);
    let numbered =
        || group.tiers.iter().enumerate().map(|(tier, members)| (u8::try_from(tier).unwrap_or(u8::MAX), members));
    // The forced tier goes first through the hunt too, which ends when nobody behind could have a place.
    let (ahead, behind) = (numbered().filter(|(tier, _)| Some(*tier) == first), numbered());
    for (tier, members) in ahead.chain(behind.filter(|(tier, _)| Some(*tier) != first)) {
        if hunt.ranking.is_settled() {
            break;
        }
        let by_limit = group.strategy == Strategy::LeastLoaded && all_limited(shape, members);
        let draw = Draw { strategy: group.strategy, alone: members.len() == 1, by_limit, forced: Some(tier) == first };
        for member in members {
            hunt.admit(&scene, &draw, *member, tier, rng);
        }
    }
    let last_resort = hunt.finish(&scene, group.id)?;
    let mut attempts = Vec::with_capacity(hunt.ranking.iter().count());
    attempts.extend(hunt.ranking.iter().map(|ranked| ranked.candidate));
    let (excluded, unnamed) = (hunt.out.named, hunt.out.unnamed);
    let (epoch, group, emergency) = (table.epoch(), group.id, facts.emergency);
    Ok(Plan { epoch, route, group, attempts, excluded, unnamed, last_resort, emergency, forced: forced.cloned() })
}

/// Whether calls from a trunk can be placed at all, for whoever asks without calling: somebody in the group that `number` leads to is not
/// Down and may take calls. A number without a route asks about every group that calls from there can be led to. A limit on calls per
/// second does not count: it is over within a second, and the asker would stay away for much longer.
///
/// A trunk without any route is told yes: it is a carrier that never calls, and would take us for dead.
pub fn can_place(shape: &Shape, table: &TrunkTable, load: &Load, facts: &Facts<'_>, now: Instant) -> bool {
    let scene = Scene { shape, table, load, facts, now };
    if let Some((_, group)) = shape.route(facts) {
        return scene.serves(group);
    }
    let mut groups = shape.groups_from(facts.from).peekable();
    groups.peek().is_none() || groups.any(|group| scene.serves(group))
}

/// What a call is planned by.
struct Scene<'a> {
    shape: &'a Shape,
    table: &'a TrunkTable,
    load: &'a Load,
    facts: &'a Facts<'a>,
    now: Instant,
}

/// How a whole trunk stands to this call, whatever its health.
enum Gate {
    Open,
    /// Open, but not to begin with.
    NotFirst(Exclusion),
    /// Open to an emergency call, after all others.
    Draining,
    Shut(Exclusion),
}

impl Scene<'_> {
    fn limits(&self, trunk: TrunkId) -> CallLimits {
        self.shape.trunk(trunk).map(|trunk| trunk.limits).unwrap_or_default()
    }

    /// In the very order of the table's.
    fn targets(&self, trunk: TrunkId) -> &[TargetShape] {
        self.shape.trunk(trunk).map_or(&[], |trunk| &trunk.targets)
    }

    fn gate(&self, trunk: TrunkId, limits: &CallLimits) -> Gate {
        let emergency = self.facts.emergency;
        if self.facts.from == trunk && !self.shape.trunk(trunk).is_some_and(|trunk| trunk.many) {
            return Gate::Shut(Exclusion::CameFromIt);
        }
        match self.table.admin(trunk) {
            Admin::InService if emergency => return Gate::Open,
            Admin::InService => {}
            Admin::Draining if emergency => return Gate::Draining,
            Admin::Draining => return Gate::Shut(Exclusion::Draining),
            Admin::OutOfService => return Gate::Shut(Exclusion::OutOfService),
        }
        if let Some((wish, until)) = self.wish(trunk).filter(|(wish, _)| wish.bars()) {
            return Gate::Shut(match wish {
                Wish::NoCalls => Exclusion::Throttled { until },
                Wish::Loss { .. } | Wish::Rate { .. } => Exclusion::Overloaded { wish },
            });
        }
        match self.load.room(self.now, trunk, limits) {
            Room::Free => Gate::Open,
            Room::Headroom(cause) => Gate::NotFirst(cause),
            Room::Full(cause) => Gate::Shut(cause),
        }
    }

    /// What a trunk asks for, while that holds.
    fn wish(&self, trunk: TrunkId) -> Option<(Wish, Instant)> {
        let throttle = self.table.throttle(trunk).filter(|throttle| throttle.until > self.now)?;
        Some((throttle.wish, throttle.until))
    }

    /// Whether this call is one that the peer has asked not to get. Of a loss each call bears its share by chance (RFC 7339
    /// §7.2), so that no caller is always the one.
    fn withheld(&self, trunk: TrunkId, rng: &mut Rng) -> Option<Exclusion> {
        let (wish, _) = self.wish(trunk).filter(|_| !self.facts.emergency)?;
        let withheld = match wish {
            Wish::NoCalls => true,
            Wish::Loss { percent } => rng.below(100) < u64::from(percent),
            Wish::Rate { cps } => self.load.offered(self.now, trunk) >= self.load.part(cps, trunk),
        };
        withheld.then_some(Exclusion::Overloaded { wish })
    }

    /// Whether somebody in a group may take a call, now or within a second.
    fn serves(&self, group: &GroupPolicy) -> bool {
        group.members().any(|member| {
            let at_once = CallLimits { cps: None, ..self.limits(member.trunk) };
            matches!(self.gate(member.trunk, &at_once), Gate::Open) && self.lives(member.trunk)
        })
    }

    fn lives(&self, trunk: TrunkId) -> bool {
        self.table.targets(trunk).iter().any(|target| target.health() != Health::Down)
    }
}

/// How members of a tier are put in order.
struct Draw {
    strategy: Strategy,
    alone: bool,
    by_limit: bool,
    /// The operator has put this tier first.
    forced: bool,
}

impl Draw {
    /// Whether one of this tier goes before all other tiers.
    const fn is_ahead(&self, class: Class, emergency: bool) -> bool {
        self.forced
            && match class {
                Class::Good => true,
                Class::Outside | Class::Suspect => !emergency,
                Class::Draining | Class::Down => false,
            }
    }

    /// How full a trunk is, for comparison alone.
    fn fullness(&self, scene: &Scene<'_>, member: Member) -> u64 {
        if self.alone || self.strategy != Strategy::LeastLoaded {
            return 0;
        }
        let limit = scene.shape.trunk(member.trunk).and_then(|trunk| trunk.limits.calls).filter(|_| self.by_limit);
        let size = limit.map_or(u32::from(member.weight), |limit| scene.load.part(limit, member.trunk));
        (u64::from(scene.load.calls(member.trunk)) << 20) / u64::from(size.max(1))
    }

    fn lot(&self, scene: &Scene<'_>, member: Member, rng: &mut Rng) -> u64 {
        let weight = u32::from(member.weight.max(1));
        match self.strategy {
            _ if self.alone => 0,
            Strategy::Weighted | Strategy::LeastLoaded => lot::draw(rng, weight),
            Strategy::Quality => lot::draw(rng, weight * u32::from(scene.load.qualities.of(member.trunk).max(1))),
        }
    }
}

/// Whether calls by limit can be compared: they cannot with those of a trunk that has none.
fn all_limited(shape: &Shape, members: &[Member]) -> bool {
    members.iter().all(|member| shape.trunk(member.trunk).is_some_and(|trunk| trunk.limits.calls.is_some()))
}

/// Trunks that are left out: the first few by name.
#[derive(Debug, Default)]
struct LeftOut {
    named: Vec<Excluded>,
    unnamed: u32,
    /// Of the unnamed, those that are Down.
    unnamed_down: u32,
}

impl LeftOut {
    fn add(&mut self, trunk: TrunkId, cause: Exclusion) {
        if self.named.len() < NAMED_MAX {
            return self.named.push(Excluded { trunk, cause });
        }
        self.unnamed += 1;
        self.unnamed_down += u32::from(matches!(cause, Exclusion::Down { .. }));
    }

    /// Down ones are tried after all.
    fn drop_down(&mut self) {
        self.named.retain(|out| !matches!(out.cause, Exclusion::Down { .. }));
        self.unnamed -= core::mem::take(&mut self.unnamed_down);
    }
}

/// Candidates found so far, and those left out.
#[derive(Default)]
struct Hunt {
    ranking: Ranking,
    out: LeftOut,
    /// Somebody who is not Down is left out since it is full.
    full: bool,
}

impl Hunt {
    fn admit(&mut self, scene: &Scene<'_>, draw: &Draw, member: Member, tier: u8, rng: &mut Rng) {
        let trunk = member.trunk;
        let gate = scene.gate(trunk, &scene.limits(trunk));
        if let Gate::Shut(cause) = gate {
            let full = matches!(cause, Exclusion::CallLimit { .. } | Exclusion::RateLimit { .. });
            self.full |= full && scene.lives(trunk);
            return self.out.add(trunk, cause);
        }
        if let Some(cause) = scene.withheld(trunk, rng) {
            return self.out.add(trunk, cause);
        }
        let (fullness, lot) = (draw.fullness(scene, member), draw.lot(scene, member, rng));
        let mut in_turn = false;
        let mut best: Option<&TargetState> = None;
        let turns = Turns::draw(scene.targets(trunk), rng);
        let states = scene.table.targets(trunk);
        for state in turns.iter().filter_map(|place| states.get(place)) {
            let class = match (class_of(state, scene.facts, rng), &gate) {
                (Class::Down, _) => Class::Down,
                (_, Gate::Draining) => Class::Draining,
                (class, _) => class,
            };
            let ahead = draw.is_ahead(class, scene.facts.emergency);
            in_turn |= class == Class::Good || ahead;
            if best.is_none_or(|best| rank(state.health()) < rank(best.health())) {
                best = Some(state);
            }
            let target = TargetId { trunk, index: state.index() };
            self.ranking.add(Ranked {
                place: Place::new(ahead, class, tier, fullness, lot, rank(state.health())),
                class,
                candidate: Candidate { target, tier, health: state.health() },
                opens: !matches!(gate, Gate::NotFirst(_)),
            });
        }
        // The trunk is spoken of as its best target is.
        match best.map(|best| (best.health(), best)) {
            None => self.out.add(trunk, Exclusion::NoAddress),
            Some((Health::Down, best)) => self.out.add(trunk, Exclusion::Down { since: best.since() }),
            Some((Health::Probation, best)) if !in_turn => {
                self.out.add(trunk, Exclusion::OutsideShare { share: best.share() });
            }
            _ => {}
        }
    }

    /// Settles whether Down ones are tried and who is first. True when this is the last resort.
    fn finish(&mut self, scene: &Scene<'_>, group: GroupId) -> Result<bool, NoPlan> {
        let last_resort = self.ranking.is_last_resort() && !self.full;
        if last_resort || scene.facts.emergency {
            self.out.drop_down();
        } else {
            self.ranking.drop_down();
        }
        self.name_passed_over(scene);
        if self.ranking.open() {
            return Ok(last_resort);
        }
        let out = core::mem::take(&mut self.out);
        Err(NoPlan::NobodyLeft { group, excluded: out.named, unnamed: out.unnamed })
    }

    /// Names those that are ahead of the first who may be tried first.
    fn name_passed_over(&mut self, scene: &Scene<'_>) {
        let mut last = None;
        for ranked in self.ranking.iter().take_while(|ranked| !ranked.opens) {
            let trunk = ranked.candidate.target.trunk;
            if last.replace(trunk) != Some(trunk)
                && let Gate::NotFirst(cause) = scene.gate(trunk, &scene.limits(trunk))
            {
                self.out.add(trunk, cause);
            }
        }
    }
}

fn class_of(state: &TargetState, facts: &Facts<'_>, rng: &mut Rng) -> Class {
    match state.health() {
        Health::Up | Health::Unknown => Class::Good,
        Health::Suspect => Class::Suspect,
        Health::Down => Class::Down,
        Health::Probation if !facts.emergency && rng.below(100) < u64::from(state.share()) => Class::Good,
        Health::Probation => Class::Outside,
    }
}
