//! Routing: facts of a call and the trunk table become a plan.
//!
//! Refuses to know: SIP, who asks.

use crate::plan::{Candidate, Excluded, Exclusion, Facts, NoPlan, Plan};
use crate::policy::{GroupPolicy, Member, RouteRule};
use crate::shape::{Load, Shape};
use crate::table::{TrunkTable, rank};
use alloc::vec::Vec;
use model::{Admin, Health, Instant, Rng, RouteId, TargetId, Throttle, TrunkId, Wish};

/// Attempts a plan holds at most: nobody waits for a ninth trunk, and a hunt's cost stays bounded.
const ATTEMPTS_MAX: usize = 8;

/// The order in which targets are tried for one call, and who is not tried and why.
///
/// Tiers in order among those Up or Unknown (weighted at random inside a tier; those on Probation for their share of
/// calls); then those on Probation outside their share, who are well but not yet preferred; then all Suspect ones; and if
/// that is nobody, every Down one as a last resort. Draining, out of service, throttled and full trunks, and the one the call came from, are never tried.
/// One that asked for fewer calls is not tried for those.
///
/// An emergency call (RFC 5031) passes throttles and limits, is nobody's canary, and tries Down targets at the end.
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
    let (route, group) = find_route(shape, facts).ok_or(NoPlan::NoRoute)?;
    let mut hunt = Sorted::default();
    for (tier, members) in group.tiers.iter().enumerate() {
        let tier = u8::try_from(tier).unwrap_or(u8::MAX);
        for trunk in weighted_order(members, rng) {
            match gate(shape, table, load, facts, now, trunk, rng) {
                Some(cause) => hunt.excluded.push(Excluded { trunk, cause }),
                None => hunt.admit(table, facts, trunk, tier, rng),
            }
        }
    }
    hunt.finish(facts.emergency).map_or_else(
        |excluded| Err(NoPlan::NobodyLeft { group: group.id, excluded }),
        |(attempts, excluded, last_resort)| {
            Ok(Plan { epoch: table.epoch(), route, group: group.id, attempts, excluded, last_resort })
        },
    )
}

/// First match wins.
fn find_route<'a>(shape: &'a Shape, facts: &Facts<'_>) -> Option<(RouteId, &'a GroupPolicy)> {
    let index = shape.routes.iter().position(|rule| matches(rule, facts))?;
    let group = shape.group(shape.routes[index].to)?;
    Some((RouteId(u16::try_from(index).ok()?), group))
}

fn matches(rule: &RouteRule, facts: &Facts<'_>) -> bool {
    let from = rule.from.is_empty() || rule.from.contains(&facts.from);
    let number =
        rule.prefixes.is_empty() || rule.prefixes.iter().any(|prefix| facts.number.starts_with(prefix.as_str()));
    from && number
}

/// Members drawn one by one, each with a chance in proportion to its weight among those left.
fn weighted_order(members: &[Member], rng: &mut Rng) -> Vec<TrunkId> {
    let mut left: Vec<Member> = members.to_vec();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let total: u64 = left.iter().map(|member| u64::from(member.weight.max(1))).sum();
        let mut draw = rng.below(total);
        let drawn = left.iter().position(|member| {
            let weight = u64::from(member.weight.max(1));
            let hit = draw < weight;
            draw = draw.saturating_sub(weight);
            hit
        });
        order.push(left.remove(drawn.unwrap_or(0)).trunk);
    }
    order
}

/// What keeps a whole trunk out of the hunt, whatever its health.
fn gate(
    shape: &Shape,
    table: &TrunkTable,
    load: &Load,
    facts: &Facts<'_>,
    now: Instant,
    trunk: TrunkId,
    rng: &mut Rng,
) -> Option<Exclusion> {
    if facts.from == trunk {
        return Some(Exclusion::CameFromIt);
    }
    match table.admin(trunk) {
        Admin::InService => {}
        Admin::Draining => return Some(Exclusion::Draining),
        Admin::OutOfService => return Some(Exclusion::OutOfService),
    }
    if facts.emergency {
        return None;
    }
    let throttle = table.throttle(trunk).filter(|throttle| throttle.until > now);
    if let Some(cause) = throttle.and_then(|throttle| withheld(throttle, load.offered(now, trunk), rng)) {
        return Some(cause);
    }
    let limits = shape.trunk(trunk)?.limits;
    if let Some(limit) = limits.calls
        && load.calls(trunk) >= limit
    {
        return Some(Exclusion::CallLimit { limit });
    }
    if let Some(limit) = limits.cps
        && load.offered(now, trunk) >= limit
    {
        return Some(Exclusion::RateLimit { limit });
    }
    None
}

/// Whether this call is one that the peer has asked not to get. Of a loss each call bears its share by chance (RFC 7339
/// §7.2), so that no caller is always the one.
fn withheld(throttle: Throttle, offered: u32, rng: &mut Rng) -> Option<Exclusion> {
    let wish = throttle.wish;
    match wish {
        Wish::NoCalls => Some(Exclusion::Throttled { until: throttle.until }),
        Wish::Loss { percent } => (rng.below(100) < u64::from(percent)).then_some(Exclusion::Overloaded { wish }),
        Wish::Rate { cps } => (offered >= cps).then_some(Exclusion::Overloaded { wish }),
    }
}

/// Candidates by how good they are, each list in order of tier and draw.
#[derive(Default)]
struct Sorted {
    good: Vec<Candidate>,
    suspect: Vec<Candidate>,
    outside: Vec<Candidate>,
    down: Vec<Candidate>,
    excluded: Vec<Excluded>,
    down_trunks: Vec<Excluded>,
}

impl Sorted {
    /// Sorts the targets of one trunk, best health first.
    fn admit(&mut self, table: &TrunkTable, facts: &Facts<'_>, trunk: TrunkId, tier: u8, rng: &mut Rng) {
        let states = table.targets(trunk);
        let mut targets: Vec<(u8, &crate::table::TargetState)> =
            states.iter().enumerate().map(|(index, state)| (index as u8, state)).collect();
        targets.sort_by_key(|(_, state)| rank(state.health()));
        for (index, state) in &targets {
            let target = TargetId { trunk, index: *index };
            let candidate = Candidate { target, tier, health: state.health() };
            match state.health() {
                Health::Up | Health::Unknown => self.good.push(candidate),
                Health::Suspect => self.suspect.push(candidate),
                Health::Down => self.down.push(candidate),
                Health::Probation if !facts.emergency && rng.below(100) < u64::from(state.share()) => {
                    self.good.push(candidate);
                }
                Health::Probation => self.outside.push(candidate),
            }
        }
        // The trunk is spoken of as its best target is.
        match targets.first().map(|(_, state)| state) {
            Some(best) if best.health() == Health::Down => {
                self.down_trunks.push(Excluded { trunk, cause: Exclusion::Down { since: best.since() } });
            }
            Some(best)
                if best.health() == Health::Probation && !self.good.iter().any(|good| good.target.trunk == trunk) =>
            {
                self.excluded.push(Excluded { trunk, cause: Exclusion::OutsideShare { share: best.share() } });
            }
            _ => {}
        }
    }

    /// Attempts, exclusions and whether this is the last resort; or the exclusions, when nobody is left.
    fn finish(mut self, emergency: bool) -> Result<(Vec<Candidate>, Vec<Excluded>, bool), Vec<Excluded>> {
        let mut attempts = self.good;
        attempts.append(&mut self.outside);
        attempts.append(&mut self.suspect);
        let last_resort = attempts.is_empty();
        if last_resort || emergency {
            attempts.append(&mut self.down);
        } else {
            self.excluded.append(&mut self.down_trunks);
        }
        attempts.truncate(ATTEMPTS_MAX);
        if attempts.is_empty() { Err(self.excluded) } else { Ok((attempts, self.excluded, last_resort)) }
    }
}
