//! Plans and hunts: who is tried in which order, who is not and why, and what the caller hears.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use decide::*;
use model::{Admin, AttemptOutcome, Epoch, GroupId, Health, Instant, Rng, Span, TargetId, TrunkId, Wish};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

const OFFICE: TrunkId = TrunkId(0);

fn shape(tiers: Vec<Vec<(u16, u16)>>) -> Shape {
    let trunk = Some(TrunkShape { targets: 1, ..TrunkShape::default() });
    let member = |(trunk, weight): &(u16, u16)| Member { trunk: TrunkId(*trunk), weight: *weight };
    let tiers = tiers.iter().map(|tier| tier.iter().map(member).collect()).collect();
    Shape {
        trunks: vec![trunk; 8],
        groups: vec![GroupPolicy::new(GroupId(0), tiers)],
        routes: vec![RouteRule { from: vec![OFFICE], prefixes: vec![], to: GroupId(0) }],
    }
}

fn put(table: &mut TrunkTable, subject: Subject, change: Change) {
    let epoch = Epoch(table.epoch().0 + 1);
    let (at, cause) = (Instant::ZERO, Cause::Operator);
    let none = Decision { at, epoch, subject, change, cause, evidence: None, veto: None, next_look: None, policy: 0 };
    table.apply(&none);
}

fn health(table: &mut TrunkTable, trunk: u16, to: Health) {
    let target = TargetId { trunk: TrunkId(trunk), index: 0 };
    let from = table.health(target);
    put(table, Subject::Target(target), Change::Health { from, to });
}

fn share(table: &mut TrunkTable, trunk: u16, to: u8) {
    put(table, Subject::Target(TargetId { trunk: TrunkId(trunk), index: 0 }), Change::Share { from: 0, to });
}

fn order(plan: &Plan) -> Vec<u16> {
    plan.attempts.iter().map(|attempt| attempt.target.trunk.0).collect()
}

fn call(shape: &Shape, table: &TrunkTable, facts: &Facts<'_>, rng: &mut Rng) -> Result<Plan, NoPlan> {
    let mut load = Load::default();
    load.resize(8);
    plan(shape, table, &load, facts, Instant::ZERO + Span::from_secs(1), rng)
}

const FACTS: Facts<'static> = Facts { from: OFFICE, number: "+47123", emergency: false };

#[test]
fn suspects_come_after_everyone_well_and_down_ones_not_at_all() {
    let shape = shape(vec![vec![(1, 1)], vec![(2, 1)], vec![(3, 1)], vec![(4, 1)]]);
    let mut table = TrunkTable::new(&shape);
    health(&mut table, 1, Health::Suspect);
    health(&mut table, 2, Health::Down);
    health(&mut table, 3, Health::Probation);
    let plan = call(&shape, &table, &FACTS, &mut Rng::new(1)).unwrap();
    assert_eq!(order(&plan), [4, 3, 1], "one that only waits for failback is a better backup than one in doubt");
    assert!(!plan.last_resort);
    let excluded: Vec<_> = plan.excluded.iter().map(|excluded| (excluded.trunk.0, excluded.cause)).collect();
    let down = Exclusion::Down { since: Instant::ZERO };
    assert_eq!(excluded, [(3, Exclusion::OutsideShare { share: 0 }), (2, down)]);
}

#[test]
fn when_all_are_down_all_are_tried() {
    let shape = shape(vec![vec![(1, 1)], vec![(2, 1)]]);
    let mut table = TrunkTable::new(&shape);
    health(&mut table, 1, Health::Down);
    health(&mut table, 2, Health::Down);
    let plan = call(&shape, &table, &FACTS, &mut Rng::new(1)).unwrap();
    assert_eq!((order(&plan), plan.last_resort), (vec![1, 2], true));
    put(&mut table, Subject::Trunk(TrunkId(1)), Change::Admin { from: Admin::InService, to: Admin::OutOfService });
    let plan = call(&shape, &table, &FACTS, &mut Rng::new(1)).unwrap();
    assert_eq!(order(&plan), [2], "not even as a last resort against the operator's word");
}

#[test]
fn a_call_never_goes_back_where_it_came_from_and_nobody_left_says_why() {
    let shape = shape(vec![vec![(0, 1), (1, 1)]]);
    let mut table = TrunkTable::new(&shape);
    assert_eq!(order(&call(&shape, &table, &FACTS, &mut Rng::new(1)).unwrap()), [1]);
    put(&mut table, Subject::Trunk(TrunkId(1)), Change::Throttle { asked: Span::from_secs(30), wish: Wish::NoCalls });
    let Err(NoPlan::NobodyLeft { excluded, .. }) = call(&shape, &table, &FACTS, &mut Rng::new(1)) else {
        panic!("nobody is left")
    };
    assert_eq!(excluded.len(), 2);
    let emergency = Facts { emergency: true, ..FACTS };
    assert_eq!(order(&call(&shape, &table, &emergency, &mut Rng::new(1)).unwrap()), [1], "RFC 5031 passes throttles");
    let stranger = Facts { from: TrunkId(5), ..FACTS };
    assert_eq!(call(&shape, &table, &stranger, &mut Rng::new(1)), Err(NoPlan::NoRoute));
}

#[test]
fn a_wish_for_fewer_calls_is_heeded_by_chance_or_by_rate() {
    let shape = shape(vec![vec![(1, 1)], vec![(2, 1)]]);
    let (mut table, mut rng) = (TrunkTable::new(&shape), Rng::new(42));
    let ask = |table: &mut TrunkTable, wish| {
        put(table, Subject::Trunk(TrunkId(1)), Change::Throttle { asked: Span::from_secs(30), wish });
    };
    let mut first = |table: &TrunkTable, facts: &Facts<'_>| {
        let calls = (0..10_000).map(|_| call(&shape, table, facts, &mut rng).unwrap());
        calls.filter(|plan| plan.attempts[0].target.trunk.0 == 1).count()
    };
    let wish = Wish::Loss { percent: 30 };
    ask(&mut table, wish);
    // Standard deviation is 46 calls; five of them.
    let got = first(&table, &FACTS);
    assert!((6_770..=7_230).contains(&got), "{got}");
    assert_eq!(first(&table, &Facts { emergency: true, ..FACTS }), 10_000, "RFC 5031 passes");
    ask(&mut table, Wish::Loss { percent: 100 });
    let plan = call(&shape, &table, &FACTS, &mut Rng::new(1)).unwrap();
    let cause = Exclusion::Overloaded { wish: Wish::Loss { percent: 100 } };
    assert_eq!((order(&plan), plan.excluded[0].cause), (vec![2], cause));
    ask(&mut table, Wish::Rate { cps: 2 });
    let (mut load, now) = (Load::default(), Instant::ZERO + Span::from_secs(5));
    load.resize(8);
    let mut offered = |at: Instant| {
        let chosen = plan_order(&shape, &table, &load, at)[0];
        load.begin(at, TrunkId(chosen));
        chosen
    };
    assert_eq!([offered(now), offered(now), offered(now), offered(now + Span::from_secs(1))], [1, 1, 2, 1]);
    let over = now + Span::from_secs(30);
    assert_eq!([offered(over), offered(over), offered(over)], [1, 1, 1], "a wish ends");
}

fn plan_order(shape: &Shape, table: &TrunkTable, load: &Load, now: Instant) -> Vec<u16> {
    order(&plan(shape, table, load, &FACTS, now, &mut Rng::new(1)).unwrap())
}

#[test]
fn limits_hold_and_prefixes_choose() {
    let mut shape = shape(vec![vec![(1, 1)], vec![(2, 1)]]);
    shape.trunks[1].as_mut().unwrap().limits = CallLimits { calls: Some(2), cps: Some(1) };
    shape.routes.insert(0, RouteRule { from: vec![], prefixes: vec!["+46".into()], to: GroupId(9) });
    let table = TrunkTable::new(&shape);
    let mut load = Load::default();
    load.resize(8);
    let now = Instant::ZERO + Span::from_secs(5);
    load.begin(now, TrunkId(1));
    let seen = plan(&shape, &table, &load, &FACTS, now, &mut Rng::new(1)).unwrap();
    assert_eq!(seen.excluded[0].cause, Exclusion::RateLimit { limit: 1 });
    let later = now + Span::from_secs(1);
    assert_eq!(order(&plan(&shape, &table, &load, &FACTS, later, &mut Rng::new(1)).unwrap()), [1, 2]);
    load.begin(later, TrunkId(1));
    let full = plan(&shape, &table, &load, &FACTS, later + Span::from_secs(1), &mut Rng::new(1)).unwrap();
    assert_eq!(full.excluded[0].cause, Exclusion::CallLimit { limit: 2 });
    let sweden = Facts { number: "+4612", ..FACTS };
    assert_eq!(plan(&shape, &table, &load, &sweden, now, &mut Rng::new(1)), Err(NoPlan::NoRoute), "no such group");
}

#[test]
fn weights_and_canary_shares_are_honoured() {
    let weighted = shape(vec![vec![(1, 3), (2, 1)]]);
    let (table, mut rng) = (TrunkTable::new(&weighted), Rng::new(42));
    let mut first = |shape: &Shape, table: &TrunkTable, trunk: u16| {
        let calls = (0..10_000).map(|_| call(shape, table, &FACTS, &mut rng).unwrap());
        calls.filter(|plan| plan.attempts[0].target.trunk.0 == trunk).count()
    };
    // Standard deviation is 43 calls; five of them.
    assert!((7_285..=7_715).contains(&first(&weighted, &table, 1)));
    let tiered = shape(vec![vec![(1, 1)], vec![(2, 1)]]);
    let mut table = TrunkTable::new(&tiered);
    health(&mut table, 1, Health::Probation);
    assert_eq!(first(&tiered, &table, 1), 0, "before failback");
    share(&mut table, 1, 5);
    assert!((390..=610).contains(&first(&tiered, &table, 1)));
    share(&mut table, 1, 100);
    assert_eq!(first(&tiered, &table, 1), 10_000);
}

#[test]
fn the_hunt_moves_on_and_stops_by_rule() {
    let policy = AttemptPolicy { move_on: vec![480], stop: vec![502], ..AttemptPolicy::default() };
    let so_far = SoFar { elapsed: Span::from_secs(1), left: 1, progress_relayed: false };
    let refused = |code| AttemptOutcome::Refused { code, q850: None, retry_after: None };
    for code in [408, 480, 500, 503, 504] {
        assert_eq!(after(&policy, &refused(code), &so_far), Next::Next, "{code}");
    }
    for code in [486, 600, 603, 604, 606, 607, 608, 404, 410, 484, 428, 436, 438, 502] {
        assert_eq!(after(&policy, &refused(code), &so_far), Next::Stop { code }, "{code}");
    }
    let silent = AttemptOutcome::NoReply { after: Span::from_secs(1) };
    assert_eq!(after(&policy, &silent, &so_far), Next::Next);
    let last = SoFar { left: 0, ..so_far };
    assert_eq!(after(&policy, &silent, &last), Next::Stop { code: 503 });
    let long = SoFar { elapsed: Span::from_secs(12), ..so_far };
    assert_eq!(after(&policy, &silent, &long), Next::Stop { code: 503 }, "the hunt's own deadline");
    let rang = SoFar { progress_relayed: true, ..so_far };
    assert_eq!(after(&policy, &refused(500), &rang), Next::Stop { code: 500 }, "the caller has heard someone's phone");
    let circuits = AttemptOutcome::Refused { code: 403, q850: Some(34), retry_after: None };
    assert_eq!(after(&policy, &circuits, &so_far), Next::Next, "no circuit: another trunk has some");
    assert_eq!(after(&policy, &refused(401), &so_far), Next::Stop { code: 403 }, "a challenge is not the caller's");
}

#[test]
fn a_word_about_the_called_party_wins() {
    let refused = |code| AttemptOutcome::Refused { code, q850: None, retry_after: None };
    let silent = AttemptOutcome::NoReply { after: Span::from_secs(1) };
    assert_eq!(final_code(&[refused(486), silent]), 486);
    assert_eq!(final_code(&[refused(500), silent]), 500);
    assert_eq!(final_code(&[silent, silent]), 503);
    assert_eq!(final_code(&[refused(408)]), 504);
    assert_eq!(final_code(&[]), 503);
}

const HEALTHS: [Health; 5] = [Health::Unknown, Health::Up, Health::Suspect, Health::Down, Health::Probation];

proptest! {
    #[test]
    fn a_plan_is_never_empty_while_anyone_is_in_service(
        states in proptest::collection::vec((0usize..5, 0usize..3, 0u8..=100), 6),
        seed in any::<u64>(),
    ) {
        let shape = shape(vec![vec![(1, 2), (2, 1)], vec![(3, 1), (4, 1)], vec![(5, 1), (6, 7)]]);
        let mut table = TrunkTable::new(&shape);
        let admins = [Admin::InService, Admin::Draining, Admin::OutOfService];
        for (index, (health_index, admin, percent)) in states.iter().enumerate() {
            let trunk = index as u16 + 1;
            health(&mut table, trunk, HEALTHS[*health_index]);
            share(&mut table, trunk, *percent);
            let to = admins[*admin];
            if to != Admin::InService {
                put(&mut table, Subject::Trunk(TrunkId(trunk)), Change::Admin { from: Admin::InService, to });
            }
        }
        let in_service = states.iter().any(|(_, admin, _)| *admin == 0);
        match call(&shape, &table, &FACTS, &mut Rng::new(seed)) {
            Ok(plan) => {
                prop_assert!(!plan.attempts.is_empty() && plan.attempts.len() <= 8);
                let mut tried = order(&plan);
                prop_assert!(tried.iter().all(|trunk| table.admin(TrunkId(*trunk)) == Admin::InService));
                tried.sort_unstable();
                tried.dedup();
                prop_assert_eq!(tried.len(), plan.attempts.len(), "nobody twice");
                let all_down = plan.attempts.iter().all(|attempt| attempt.health == Health::Down);
                let some_down = plan.attempts.iter().any(|attempt| attempt.health == Health::Down);
                prop_assert_eq!((plan.last_resort, plan.last_resort), (all_down, some_down));
            }
            Err(NoPlan::NobodyLeft { .. }) => prop_assert!(!in_service),
            Err(NoPlan::NoRoute) => prop_assert!(false, "there is a route"),
        }
    }
}
