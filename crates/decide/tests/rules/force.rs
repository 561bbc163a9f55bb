//! A tier that the operator puts first: what plans make of it, how it ends, and what it must leave alone.

use super::{at, missed, trunk};
use decide::*;
use model::*;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use std::collections::BTreeSet;
use std::sync::Arc;

const CARRIERS: GroupId = GroupId(0);
const HEALTHS: [Health; 5] = [Health::Unknown, Health::Up, Health::Suspect, Health::Down, Health::Probation];
const ADMINS: [Admin; 3] = [Admin::InService, Admin::Draining, Admin::OutOfService];

/// Trunk 0 calls by way of three tiers of two: 1 and 2, 3 and 4, 5 and 6.
fn shape() -> Arc<Shape> {
    let member = |id| Member { trunk: TrunkId(id), weight: 1 };
    let tiers = vec![vec![member(1), member(2)], vec![member(3), member(4)], vec![member(5), member(6)]];
    let trunk = Some(TrunkShape { targets: TargetShape::in_order([0]), ..TrunkShape::default() });
    let route = RouteRule { from: vec![TrunkId(0)], prefixes: vec![], to: CARRIERS };
    Arc::new(Shape::new(vec![trunk; 7], vec![GroupPolicy::new(CARRIERS, tiers)], vec![route]))
}

fn for_s(secs: u64) -> ForceLength {
    ForceLength::new(Span::from_secs(secs)).unwrap()
}

fn word() -> Word {
    Word { who: "ann".into(), why: "one-way audio".into() }
}

fn put(table: &mut TrunkTable, subject: Subject, change: Change) {
    let (epoch, cause) = (Epoch(table.epoch().0 + 1), Cause::Operator);
    table.apply(&Decision::bare(at(0), epoch, subject, change, cause));
}

fn health(table: &mut TrunkTable, id: u16, to: Health, share: u8) {
    put(table, Subject::Target(trunk(id)), Change::Health { from: Health::Unknown, to });
    put(table, Subject::Target(trunk(id)), Change::Share { from: 0, to: share });
}

fn planned(table: &TrunkTable, now: Instant, emergency: bool, seed: u64) -> Result<Plan, NoPlan> {
    let mut load = Load::default();
    load.resize(7);
    let facts = Facts { from: TrunkId(0), number: "+47123", emergency };
    plan(&shape(), table, &load, &facts, now, &mut Rng::new(seed))
}

/// Tiers in the order in which they are tried.
fn tiers(table: &TrunkTable, now: Instant) -> Vec<u8> {
    planned(table, now, false, 1).map(|plan| plan.attempts.iter().map(|one| one.tier).collect()).unwrap_or_default()
}

fn force(table: &mut TrunkTable, tier: u8, length: Span) {
    put(table, Subject::Group(CARRIERS), Change::Force { from: None, to: tier, length });
}

#[test]
fn the_forced_tier_is_tried_first_and_the_others_after_it() {
    let mut engine = Engine::new(shape());
    assert_eq!(tiers(engine.table(), at(1)), [0, 0, 1, 1, 2, 2]);
    let decision = engine.force(at(1), CARRIERS, 1, for_s(60), word()).unwrap();
    assert_eq!(decision.change, Change::Force { from: None, to: 1, length: Span::from_secs(60) });
    assert_eq!(tiers(engine.table(), at(1)), [1, 1, 0, 0, 2, 2]);
    let forced = planned(engine.table(), at(1), false, 1).unwrap().forced.unwrap();
    assert_eq!((forced.tier, forced.until, &*forced.word), (1, at(61), &word()), "a call can tell who and why");
    let again = engine.force(at(30), CARRIERS, 2, for_s(5), word()).unwrap();
    assert_eq!(again.change, Change::Force { from: Some(1), to: 2, length: Span::from_secs(5) });
    assert_eq!(tiers(engine.table(), at(30)), [2, 2, 0, 0, 1, 1], "a new word takes the place of the old one");
    assert_eq!(engine.deadline(), Some(at(35)), "with its time");
}

#[test]
fn it_ends_by_time_or_by_a_word_and_once() {
    let mut engine = Engine::new(shape());
    assert_eq!(engine.release(at(1), CARRIERS, Cause::Operator), None, "none is forced");
    engine.force(at(1), CARRIERS, 1, for_s(10), word()).unwrap();
    assert_eq!(engine.deadline(), Some(at(11)));
    assert_eq!(engine.force_over(at(10)), None);
    assert_eq!(tiers(engine.table(), at(11)), [0, 0, 1, 1, 2, 2], "at its end and not when the engine comes to it");
    let over = engine.force_over(at(11)).unwrap();
    assert_eq!((over.change, over.cause), (Change::Release { from: 1 }, Cause::TimeOver));
    assert_eq!((engine.force_over(at(12)), engine.deadline()), (None, None));
    engine.force(at(20), CARRIERS, 2, for_s(10), word()).unwrap();
    let released = engine.release(at(21), CARRIERS, Cause::Operator).unwrap();
    assert_eq!((released.change, released.cause), (Change::Release { from: 2 }, Cause::Operator));
    assert_eq!((tiers(engine.table(), at(21)), engine.deadline()), (vec![0, 0, 1, 1, 2, 2], None));
}

#[test]
fn a_tier_that_is_not_there_is_not_forced() {
    let mut engine = Engine::new(shape());
    let before = engine.table().clone();
    assert_eq!(engine.force(at(1), CARRIERS, 3, for_s(10), word()), None);
    assert_eq!(engine.force(at(1), GroupId(1), 0, for_s(10), word()), None);
    assert_eq!(engine.table(), &before);
}

/// Whatever is well enough to take a call goes first; whoever is Down does not, so that a dead tier costs no caller a wait.
#[test]
fn those_on_trial_and_in_doubt_of_it_go_first_and_those_down_do_not() {
    let mut table = TrunkTable::new(&shape());
    health(&mut table, 3, Health::Suspect, 100);
    health(&mut table, 4, Health::Probation, 0);
    force(&mut table, 1, Span::from_secs(60));
    let tried = |table: &TrunkTable| -> Vec<u16> {
        planned(table, at(1), false, 1).unwrap().attempts.iter().map(|one| one.target.trunk.0).collect()
    };
    assert_eq!(tried(&table)[..2], [4, 3]);
    let plan = planned(&table, at(1), false, 1).unwrap();
    assert_eq!(plan.excluded, [], "one on Probation is in its turn");
    let emergency = planned(&table, at(1), true, 1).unwrap();
    assert_eq!(emergency.attempts[0].tier, 0, "a call for help is no trial");
    health(&mut table, 4, Health::Down, 100);
    assert_eq!(tried(&table)[0], 3);
    health(&mut table, 3, Health::Down, 100);
    assert_eq!(tiers(&table, at(1)), [0, 0, 2, 2]);
    assert!(!planned(&table, at(1), false, 1).unwrap().last_resort);
}

/// Dwell, failback and doubts go on as if nothing had been said.
#[test]
fn what_is_held_of_trunks_is_the_same_with_it_and_without() {
    let run = |forced: bool| {
        let mut engine = Engine::new(shape());
        if forced {
            engine.force(at(1), CARRIERS, 2, for_s(30), word()).unwrap();
        }
        let mut told = Vec::new();
        for second in 2..200 {
            let bad = if (10..20).contains(&second) { missed(at(second), 3) } else { super::good(at(second)) };
            told.extend(engine.consider(at(second), trunk(1), &bad));
            told.extend(engine.consider(at(second), trunk(5), &super::good(at(second))));
            engine.force_over(at(second));
        }
        let told: Vec<_> =
            told.into_iter().map(|one| (one.at, one.subject, one.change, one.cause, one.next_look)).collect();
        (told, (1..7).map(|id| engine.table().target(trunk(id)).cloned()).collect::<Vec<_>>())
    };
    let (told, held) = run(true);
    assert!(
        told.iter().any(|(_, _, change, ..)| matches!(change, Change::Share { .. })),
        "it fell and came back: {told:?}"
    );
    assert_eq!((told, held), run(false));
}

proptest! {
    #[test]
    fn a_live_forced_tier_is_always_first_nobody_is_lost_and_nothing_is_left(
        states in proptest::collection::vec((0usize..5, 0usize..3, 0u8..=100), 6),
        tier in 0u8..3,
        emergency in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut table = TrunkTable::new(&shape());
        for (id, (health_index, admin, share)) in (1u16..).zip(&states) {
            health(&mut table, id, HEALTHS[*health_index], *share);
            if *admin > 0 {
                let change = Change::Admin { from: Admin::InService, to: ADMINS[*admin] };
                put(&mut table, Subject::Trunk(TrunkId(id)), change);
            }
        }
        let without = planned(&table, at(1), emergency, seed);
        let mut with = table.clone();
        force(&mut with, tier, Span::from_secs(60));
        let of_tier = &states[usize::from(tier) * 2..usize::from(tier) * 2 + 2];
        let well = |health: Health| match health {
            Health::Up | Health::Unknown => true,
            Health::Suspect | Health::Probation => !emergency,
            Health::Down => false,
        };
        let live = of_tier.iter().any(|(health, admin, _)| *admin == 0 && well(HEALTHS[*health]));
        let plan = planned(&with, at(1), emergency, seed);
        let tried = |plan: &Result<Plan, NoPlan>| -> BTreeSet<TargetId> {
            plan.iter().flat_map(|plan| plan.attempts.iter().map(|one| one.target)).collect()
        };
        prop_assert_eq!(tried(&plan), tried(&without));
        if let Ok(plan) = &plan {
            prop_assert!(!live || plan.attempts[0].tier == tier, "{:?}", plan);
            prop_assert!(plan.attempts.iter().all(|one| with.admin(one.target.trunk) != Admin::OutOfService));
        }
        // Its time is over, and nobody has said so yet; then somebody has.
        let same = |later: &TrunkTable| {
            let plain = |plan: Result<Plan, NoPlan>| plan.map(|plan| (plan.attempts, plan.excluded, plan.last_resort, plan.forced));
            plain(planned(later, at(60), emergency, seed)) == plain(planned(&table, at(60), emergency, seed))
        };
        prop_assert!(same(&with));
        put(&mut with, Subject::Group(CARRIERS), Change::Release { from: tier });
        prop_assert!(same(&with));
    }
}
