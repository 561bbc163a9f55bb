//! A group as it is now: its tiers, which of them carries calls and why not a better one, and what comes next for each member.
//!
//! Read from the shape and the table, so that it says what the router sees. Refuses to know: how calls are spread over shards.

use crate::record::Names;
use crate::words::{self, outcome::count};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use decide::{Engine, Failback, Forced, GroupPolicy, HealthPolicy, Member, TargetState, Wait, Word};
use model::{Admin, GroupId, Health, Instant, Name, Span, TargetId, TrunkId};
use serde::{Deserialize, Serialize};

/// Members named in one sentence: each has a line of its own, and hundreds would hide what the sentence says.
const NAMED: usize = 16;

/// One group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    /// Its name.
    pub name: Name,
    /// The tier that carries calls, 0 the best; none when nobody but a last resort is left.
    pub active: Option<u8>,
    /// The tier that the operator has put first.
    #[serde(default)]
    pub forced: Option<ForcedView>,
    /// The terms on which a recovered trunk gets calls again, in words.
    pub failback: String,
    /// Best tier first.
    pub tiers: Vec<TierView>,
}

/// A tier that the operator has put first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForcedView {
    /// Which, 0 the best.
    pub tier: u8,
    /// For how long yet.
    pub left: Span,
    /// Who said so; empty when nobody knows.
    pub who: String,
    /// Why, in his own words; empty when he gave none.
    pub why: String,
    /// The same in words, with what comes next.
    pub sentence: String,
}

/// One tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TierView {
    /// Its members.
    pub members: Vec<MemberView>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// The trunk.
    pub trunk: Name,
    /// Its weight within the tier.
    pub weight: u16,
    /// Health of its best target.
    pub health: Health,
    /// What the operator wants.
    pub admin: Admin,
    /// Share of its calls it may get, in percent.
    pub share: u8,
    /// How long its health has been so.
    pub held: Span,
    /// Time left in which it asked for no calls.
    pub throttled: Option<Span>,
    /// It takes calls in its turn.
    pub takes: bool,
    /// What comes next, in words; empty when nothing is due.
    pub next: String,
}

/// The group as it is at `now`; none when there is none by this id.
pub fn group_view(engine: &Engine, group: GroupId, names: &Names, now: Instant) -> Option<GroupView> {
    let policy = engine.shape().group(group)?;
    let name = names.groups.get(group.index()).cloned()?;
    let look = Look { engine, names, now };
    let tier = |members: &Vec<Member>| TierView { members: members.iter().map(|one| look.member(*one)).collect() };
    let tiers: Vec<TierView> = policy.tiers.iter().map(tier).collect();
    let carries = |good: &dyn Fn(&MemberView) -> bool| tiers.iter().position(|tier| tier.members.iter().any(good));
    // Those in doubt are used before anybody is a last resort.
    let in_doubt = |member: &MemberView| member.is_free() && member.health != Health::Down;
    let forced = engine.table().forced(group).filter(|forced| forced.until > now);
    let ahead = forced.filter(|forced| {
        let tier = tiers.get(usize::from(forced.tier));
        tier.is_some_and(|tier| tier.members.iter().any(in_doubt))
    });
    let in_turn = || carries(&|member| member.takes).or_else(|| carries(&in_doubt));
    let active = ahead.map(|forced| forced.tier).or_else(|| in_turn().and_then(|tier| u8::try_from(tier).ok()));
    let forced = forced.map(|forced| forced_view(forced, now));
    Some(GroupView { name, active, forced, failback: terms(policy), tiers })
}

fn forced_view(forced: &Forced, now: Instant) -> ForcedView {
    let Word { who, why } = &*forced.word;
    let sentence = format!("{}; then its tiers are tried in their usual order", words::call::forced(forced, now));
    ForcedView { tier: forced.tier, left: forced.until.since(now), who: who.clone(), why: why.clone(), sentence }
}

/// What comes next for one trunk, in words; empty when nothing is due.
pub fn trunk_next(engine: &Engine, names: &Names, trunk: TrunkId, now: Instant) -> String {
    Look { engine, names, now }.next(trunk, engine.table().admin(trunk))
}

/// The same in sentences: who carries calls, which tier is forced, the terms of coming back, then each member.
pub fn why_group(view: &GroupView) -> Vec<String> {
    let mut sentences = Vec::new();
    sentences.push(who_carries(view));
    sentences.extend(view.forced.iter().map(|forced| format!("group {}: {}", view.name, forced.sentence)));
    sentences.push(format!("failback of group {}: {}", view.name, view.failback));
    for (number, tier) in (1usize..).zip(&view.tiers) {
        sentences.extend(tier.members.iter().map(|member| {
            let next = if member.next.is_empty() { String::new() } else { format!("; {}", member.next) };
            format!("trunk {} (tier {number}) {}{next}", member.trunk, member.state())
        }));
    }
    sentences
}

fn who_carries(view: &GroupView) -> String {
    let GroupView { name, active, forced, tiers, .. } = view;
    let reasons = |tiers: &[TierView]| {
        listed(
            tiers.iter().flat_map(|tier| &tier.members).map(|one| format!("{} {}", one.trunk, one.state())).collect(),
        )
    };
    let Some(active) = active.map(usize::from) else {
        let left = tiers.iter().flat_map(|tier| &tier.members).any(MemberView::is_free);
        let then = if left { "; whoever is Down is tried as a last resort" } else { "; calls are refused" };
        return format!("group {name}: no tier carries calls: {}{then}", reasons(tiers));
    };
    let of = |tier: &TierView| {
        let carriers = tier.members.iter().filter(|one| one.takes || (one.is_free() && one.health != Health::Down));
        let aside = |one: &MemberView| match one.health {
            _ if one.takes => "",
            Health::Probation => ", on trial",
            _ => ", in doubt",
        };
        let named = carriers.map(|one| format!("{}{}", one.trunk, aside(one)));
        listed(named.collect())
    };
    let carrier = tiers.get(active).map(of).unwrap_or_default();
    let words = format!("group {name}: tier {} ({carrier}) carries calls", active + 1);
    match forced.as_ref().map(|forced| usize::from(forced.tier)) {
        Some(tier) if tier == active => format!("{words}, since the operator forces it"),
        Some(tier) => {
            let cannot = reasons(tiers.get(tier..=tier).unwrap_or_default());
            format!("{words}, since tier {}, which the operator forces, cannot: {cannot}", tier + 1)
        }
        None if active == 0 => words,
        None => format!("{words}, since no better one can: {}", reasons(tiers.get(..active).unwrap_or_default())),
    }
}

fn listed(all: Vec<String>) -> String {
    let shown = all.get(..NAMED).unwrap_or(&all).join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl MemberView {
    /// Neither the operator nor the peer keeps calls away.
    fn is_free(&self) -> bool {
        self.admin == Admin::InService && self.throttled.is_none()
    }

    /// As it is; reads after its name.
    fn state(&self) -> String {
        let Self { health, held, share, .. } = self;
        let on = if *health == Health::Probation { "on " } else { "" };
        let mut words = format!("is {on}{} for {held}", health.word());
        if *health == Health::Probation {
            words += &format!(" with {share} % of its calls");
        }
        if self.admin != Admin::InService {
            words += &format!(", and {}", self.admin.words());
        }
        if let Some(left) = self.throttled {
            words += &format!(", and asked for no calls for another {left}");
        }
        words
    }
}

struct Look<'a> {
    engine: &'a Engine,
    names: &'a Names,
    now: Instant,
}

impl Look<'_> {
    fn member(&self, member: Member) -> MemberView {
        let (table, now) = (self.engine.table(), self.now);
        let trunk = member.trunk;
        let health = table.trunk_health(trunk);
        let best = self.best(trunk);
        let share = best.map_or(0, |(_, state)| state.share());
        let admin = table.admin(trunk);
        let throttle = table.throttle(trunk).filter(|one| one.until > now && one.wish.bars());
        let throttled = throttle.map(|one| one.until.since(now));
        let well = matches!(health, Health::Up | Health::Unknown) || (health == Health::Probation && share > 0);
        MemberView {
            trunk: self.names.trunks.get(trunk.index()).cloned().unwrap_or_else(|| Name::from("?")),
            weight: member.weight,
            health,
            admin,
            share,
            held: best.map_or(Span::ZERO, |(_, state)| now.since(state.since())),
            throttled,
            takes: well && admin == Admin::InService && throttled.is_none(),
            next: self.next(trunk, admin),
        }
    }

    /// The target by which the trunk is judged.
    fn best(&self, trunk: TrunkId) -> Option<(TargetId, &TargetState)> {
        let health = self.engine.table().trunk_health(trunk);
        let best = self.engine.table().targets(trunk).iter().find(|state| state.health() == health)?;
        Some((TargetId { trunk, index: best.index() }, best))
    }

    fn next(&self, trunk: TrunkId, admin: Admin) -> String {
        match admin {
            Admin::InService => {}
            Admin::Draining | Admin::OutOfService => return String::from("no calls until the operator restores it"),
        }
        let (Some(shape), Some((_, held))) = (self.engine.shape().trunk(trunk), self.best(trunk)) else {
            return String::new();
        };
        let policy = &shape.health;
        match held.health() {
            Health::Up => String::new(),
            Health::Unknown => String::from("Up at its first good probe or call"),
            Health::Suspect => self.after_doubt(policy, held),
            Health::Down => self.after_down(policy, held),
            Health::Probation if held.share() > 0 => format!(
                "the next step after {} or {} without a fault",
                count(policy.canary_calls, "good call", "good calls"),
                policy.canary_time
            ),
            Health::Probation => match self.engine.terms(trunk).wait {
                Wait::Operator => String::from("calls again when the operator restores it: failback is manual"),
                Wait::Quiet(span) => {
                    let left = (held.since() + span).since(self.now);
                    format!("first calls in {left} if nothing bad happens")
                }
                Wait::Closed { opens: Some(opens), .. } => {
                    format!("calls again when its failback window opens in {}", opens.since(self.now))
                }
                Wait::Closed { opens: None, .. } => String::from("calls again when its failback window opens"),
                Wait::Nothing => String::from("first calls at once: nobody else can carry them"),
            },
        }
    }

    fn after_doubt(&self, policy: &HealthPolicy, held: &TargetState) -> String {
        let calm = held.calm(policy);
        let probes = count(policy.rise, "probe", "probes in a row");
        format!("used after trunks that are Up, until {probes} answered and {calm} without a fault")
    }

    fn after_down(&self, policy: &HealthPolicy, held: &TargetState) -> String {
        let end = held.since() + held.dwell(policy);
        let probes = count(policy.rise, "probe is", "probes in a row are");
        if end > self.now {
            format!("on trial in {} at the earliest, once {probes} answered", end.since(self.now))
        } else {
            format!("its dwell is over; on trial once {probes} answered")
        }
    }
}

fn terms(group: &GroupPolicy) -> String {
    let steps: Vec<String> = group.ramp.iter().map(|step| format!("{step} %")).collect();
    let steps = steps.join(", ");
    match &group.failback {
        Failback::Manual => {
            format!("manual, a trunk that has recovered waits for the operator's restore; steps {steps}")
        }
        Failback::Window { after } => format!(
            "a trunk that has recovered gets calls within the failback window after {after} on Probation without a fault, in \
             steps of {steps} of them, at once when nobody else can carry them"
        ),
        Failback::After(span) => format!(
            "a trunk that has recovered gets calls after {span} on Probation without a fault, in steps of {steps} of them, at \
             once when nobody else can carry them"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use decide::{Engine, Shape, TargetShape, TrunkShape};
    use model::{Evidence, ForceLength, ProbeEvidence, ProbeResult};

    fn engine(failback: Failback) -> Engine {
        let trunk = Some(TrunkShape { targets: TargetShape::in_order([0]), ..TrunkShape::default() });
        let member = |trunk| Member { trunk: TrunkId(trunk), weight: 1 };
        let mut group = GroupPolicy::new(GroupId(0), [[member(1)].to_vec(), [member(2)].to_vec()].to_vec());
        group.failback = failback;
        let trunks = [trunk.clone(), trunk.clone(), trunk].to_vec();
        Engine::new(Arc::new(Shape::new(trunks, [group].to_vec(), Vec::new())))
    }

    fn names() -> Names {
        Names {
            trunks: ["office", "acme", "globex"].map(Name::from).to_vec(),
            groups: [Name::from("carriers")].to_vec(),
        }
    }

    fn at(second: u64) -> Instant {
        Instant::ZERO + Span::from_secs(second)
    }

    fn probes(engine: &mut Engine, second: u64, trunk: u16, good: u32, bad: u32) {
        let now = at(second);
        let result = if bad > 0 {
            ProbeResult::NoReply { after: Span::from_millis(1_500) }
        } else {
            ProbeResult::Answered { code: 200, rtt: Span::from_millis(9) }
        };
        let probe = ProbeEvidence { good, bad, bad_fast: 0, last: Some((now, result)) };
        let last_bad = (bad > 0).then_some(now);
        engine.consider(
            now,
            TargetId { trunk: TrunkId(trunk), index: 0 },
            &Evidence { probe, last_bad, ..Evidence::default() },
        );
    }

    fn told(engine: &Engine, second: u64) -> Vec<String> {
        let view = group_view(engine, GroupId(0), &names(), at(second));
        why_group(&view.expect("the group"))
    }

    #[test]
    fn who_carries_calls_and_what_comes_next() {
        let mut engine = engine(Failback::After(Span::from_secs(60)));
        for trunk in [1, 2] {
            probes(&mut engine, 1, trunk, 1, 0);
        }
        assert_eq!(told(&engine, 2)[0], "group carriers: tier 1 (acme) carries calls");
        probes(&mut engine, 10, 1, 0, 3);
        assert_eq!(
            told(&engine, 20),
            [
                "group carriers: tier 2 (globex) carries calls, since no better one can: acme is Down for 10 s",
                "failback of group carriers: a trunk that has recovered gets calls after 1 min on Probation without a fault, \
                 in steps of 5 %, 25 %, 100 % of them, at once when nobody else can carry them",
                "trunk acme (tier 1) is Down for 10 s; on trial in 20 s at the earliest, once 3 probes in a row are answered",
                "trunk globex (tier 2) is Up for 19 s",
            ]
        );
        probes(&mut engine, 45, 1, 3, 0);
        let said = told(&engine, 50);
        assert_eq!(
            said[0],
            "group carriers: tier 2 (globex) carries calls, since no better one can: acme is on Probation for 5 s with 0 % of \
             its calls"
        );
        assert!(said[2].ends_with("; first calls in 55 s if nothing bad happens"), "{said:?}");
    }

    #[test]
    fn one_in_doubt_carries_calls_when_nobody_better_is_left() {
        let mut engine = engine(Failback::Manual);
        probes(&mut engine, 1, 1, 1, 0);
        probes(&mut engine, 2, 2, 0, 3);
        probes(&mut engine, 3, 1, 0, 2);
        assert_eq!(told(&engine, 4)[0], "group carriers: tier 1 (acme, in doubt) carries calls");
    }

    #[test]
    fn a_forced_tier_is_told_with_who_why_and_how_long() {
        let mut engine = engine(Failback::After(Span::from_secs(60)));
        for trunk in [1, 2] {
            probes(&mut engine, 1, trunk, 1, 0);
        }
        let length = ForceLength::new(Span::from_secs(1_800)).expect("half an hour");
        let word = Word { who: "ann".into(), why: "one-way audio".into() };
        assert!(engine.force(at(10), GroupId(0), 1, length, word).is_some());
        let view = group_view(&engine, GroupId(0), &names(), at(70)).expect("the group");
        let forced = view.forced.as_ref().expect("forced");
        assert_eq!((view.active, forced.tier, forced.left), (Some(1), 1, Span::from_secs(1_740)));
        assert_eq!(
            why_group(&view)[..2],
            [
                "group carriers: tier 2 (globex) carries calls, since the operator forces it",
                "group carriers: operator ann forces tier 2 for another 29 min (\"one-way audio\"); then its tiers are tried in \
                 their usual order",
            ]
        );
        probes(&mut engine, 80, 2, 0, 3);
        assert_eq!(
            told(&engine, 90)[0],
            "group carriers: tier 1 (acme) carries calls, since tier 2, which the operator forces, cannot: globex is Down for \
             10 s"
        );
        let after = group_view(&engine, GroupId(0), &names(), at(1_810)).expect("the group");
        assert_eq!((after.active, after.forced), (Some(0), None), "its time is over");
    }

    #[test]
    fn the_operator_and_a_manual_failback_are_told() {
        let mut engine = engine(Failback::Manual);
        for trunk in [1, 2] {
            probes(&mut engine, 1, trunk, 1, 0);
        }
        probes(&mut engine, 10, 1, 0, 3);
        probes(&mut engine, 45, 1, 3, 0);
        let said = told(&engine, 50);
        assert!(said[1].contains("manual, a trunk that has recovered waits for the operator's restore"), "{said:?}");
        assert!(said[2].ends_with("; calls again when the operator restores it: failback is manual"), "{said:?}");
        engine.operator(at(51), TrunkId(1), Admin::OutOfService);
        engine.operator(at(51), TrunkId(2), Admin::Draining);
        let said = told(&engine, 52);
        assert!(said[0].starts_with("group carriers: no tier carries calls: acme is on Probation"), "{said:?}");
        assert!(said[0].ends_with("; calls are refused"), "{said:?}");
        assert!(said[3].contains(", and draining; no calls until the operator restores it"), "{said:?}");
    }
}
