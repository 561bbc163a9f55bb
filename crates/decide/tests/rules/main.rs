//! Rules of the slow loop, one by one, and what must hold for any evidence whatever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod any_evidence;
mod counts;
mod failback;
mod force;
mod witnesses;

use decide::*;
use model::*;
use std::sync::Arc;

fn trunk(id: u16) -> TargetId {
    TargetId { trunk: TrunkId(id), index: 0 }
}

fn at(s: u64) -> Instant {
    Instant::ZERO + Span::from_secs(s)
}

fn shape(groups: &[&[u16]]) -> Arc<Shape> {
    let tier = |id: &u16| vec![Member { trunk: TrunkId(*id), weight: 1 }];
    let group =
        |(index, ids): (usize, &&[u16])| GroupPolicy::new(GroupId(index as u16), ids.iter().map(tier).collect());
    let trunks = groups.iter().flat_map(|ids| ids.iter()).max().map_or(0, |id| usize::from(*id) + 1);
    let trunks = vec![Some(TrunkShape { targets: TargetShape::in_order([0]), ..TrunkShape::default() }); trunks];
    Arc::new(Shape::new(trunks, groups.iter().enumerate().map(group).collect(), vec![]))
}

fn good(now: Instant) -> Evidence {
    let answered = ProbeResult::Answered { code: 200, rtt: Span::from_millis(3) };
    Evidence {
        probe: ProbeEvidence { good: 3, last: Some((now, answered)), ..ProbeEvidence::default() },
        ..Evidence::default()
    }
}

fn missed(now: Instant, bad: u32) -> Evidence {
    let last = Some((now, ProbeResult::NoReply { after: Span::from_millis(1_500) }));
    Evidence {
        probe: ProbeEvidence { bad, last, ..ProbeEvidence::default() },
        last_bad: Some(now),
        ..Evidence::default()
    }
}

fn refused(now: Instant, in_row: u32) -> Evidence {
    let last = Some((now, TransportFault::PortUnreachable));
    Evidence { transport: TransportEvidence { in_row, last }, last_bad: Some(now), ..Evidence::default() }
}

fn all_up(groups: &[&[u16]]) -> Engine {
    let shape = shape(groups);
    let mut engine = Engine::new(shape.clone());
    for id in 0..shape.trunks.len() as u16 {
        let decision = engine.consider(at(0), trunk(id), &good(at(0))).unwrap();
        assert_eq!(decision.cause, Cause::FirstSeen);
    }
    while let Some(target) = engine.due(at(0)) {
        assert_eq!(engine.consider(at(0), target, &good(at(0))), None);
    }
    engine
}

fn change(decision: &Decision) -> (Health, Health) {
    match decision.change {
        Change::Health { from, to } => (from, to),
        _ => panic!("a change of health, not {decision:?}"),
    }
}

#[test]
fn missed_probes_lead_to_suspect_and_then_down_with_their_counts() {
    let mut engine = all_up(&[&[0, 1]]);
    assert_eq!(engine.consider(at(5), trunk(0), &missed(at(5), 1)), None, "one lost packet is weather");
    let suspect = engine.consider(at(6), trunk(0), &missed(at(6), 2)).unwrap();
    assert_eq!(change(&suspect), (Health::Up, Health::Suspect));
    assert_eq!(suspect.cause, Cause::ProbesFailed { count: 2, limit: 2 });
    assert!(engine.wants_hurry(trunk(0)));
    let down = engine.consider(at(7), trunk(0), &missed(at(7), 3)).unwrap();
    assert_eq!(down.cause, Cause::ProbesFailed { count: 3, limit: 3 });
    assert_eq!((down.next_look, down.epoch), (Some(Span::from_secs(30)), engine.table().epoch()));
    assert_eq!(down.evidence, Some(missed(at(7), 3)));
    assert_eq!(engine.due(at(7)), Some(trunk(0)), "a changed state is looked at once more");
    assert_eq!(engine.consider(at(7), trunk(0), &missed(at(7), 3)), None);
    assert_eq!(engine.deadline(), Some(at(32)), "to probe faster before the dwell ends");
    assert_eq!(engine.consider(at(36), trunk(0), &missed(at(36), 9)), None, "dwell is not enough");
    let back = engine.consider(at(38), trunk(0), &good(at(38))).unwrap();
    assert_eq!(change(&back), (Health::Down, Health::Probation));
}

#[test]
fn good_probes_do_not_shorten_a_dwell_and_a_relapse_doubles_it() {
    let mut engine = all_up(&[&[0, 1]]);
    engine.consider(at(5), trunk(0), &refused(at(5), 2)).unwrap();
    assert_eq!(engine.consider(at(34), trunk(0), &good(at(34))), None);
    engine.consider(at(35), trunk(0), &good(at(35))).unwrap();
    let relapse = engine.consider(at(40), trunk(0), &missed(at(40), 2)).unwrap();
    assert_eq!((relapse.cause, relapse.next_look), (Cause::Relapse, Some(Span::from_secs(60))));
    assert_eq!(engine.table().target(trunk(0)).unwrap().relapses(), 1);
    let restored = engine.operator(at(41), TrunkId(0), Admin::InService).unwrap();
    assert_eq!(restored.cause, Cause::Operator);
    let held = engine.table().target(trunk(0)).unwrap();
    assert_eq!((held.relapses(), held.health(), held.share()), (0, Health::Unknown, 100));
    assert_eq!(engine.consider(at(41), trunk(0), &missed(at(40), 2)), None, "old evidence has been judged");
    assert_eq!(engine.consider(at(42), trunk(0), &good(at(42))).unwrap().cause, Cause::FirstSeen);
}

#[test]
fn doublings_are_forgiven_by_time_up() {
    let mut engine = all_up(&[&[0, 1]]);
    let fall_and_return = |engine: &mut Engine, from: u64| {
        let down = engine.consider(at(from), trunk(0), &refused(at(from), 2)).unwrap();
        let dwell = down.next_look.unwrap().as_secs();
        let mut now = from + dwell;
        engine.consider(at(now), trunk(0), &good(at(now))).unwrap();
        while engine.table().health(trunk(0)) != Health::Up {
            now += 20;
            engine.consider(at(now), trunk(0), &good(at(now)));
        }
        (dwell, now)
    };
    let (first, up) = fall_and_return(&mut engine, 10);
    let (second, up) = fall_and_return(&mut engine, up + 60);
    let (third, _) = fall_and_return(&mut engine, up + 1_260);
    assert_eq!((first, second, third), (30, 60, 30), "twenty minutes Up forgive both");
}

#[test]
fn calls_that_fail_again_after_a_doubt_lead_straight_down() {
    let mut engine = all_up(&[&[0, 1]]);
    let failing = |now: Instant, blamed_in_row| {
        let outcome = AttemptOutcome::Refused { code: 500, q850: None, retry_after: None };
        let calls = CallEvidence { blamed_in_row, last_bad: Some((now, outcome)), ..CallEvidence::default() };
        Evidence { calls, last_bad: Some(now), ..good(now) }
    };
    assert_eq!(change(&engine.consider(at(5), trunk(0), &failing(at(5), 3)).unwrap()), (Health::Up, Health::Suspect));
    let calm = engine.consider(at(15), trunk(0), &Evidence { last_bad: Some(at(5)), ..good(at(15)) }).unwrap();
    assert_eq!(change(&calm), (Health::Suspect, Health::Up), "calls have succeeded since");
    assert_eq!(calm.cause, Cause::Calm { probes: 3, calm: Span::from_secs(10) });
    let again = engine.consider(at(20), trunk(0), &failing(at(20), 3)).unwrap();
    assert_eq!(change(&again), (Health::Up, Health::Down));
    assert_eq!(again.cause, Cause::CallsFailed { count: 3, limit: 3 });
}

#[test]
fn failing_share_and_silence_need_their_minimum() {
    let mut engine = all_up(&[&[0, 1]]);
    let outcome = AttemptOutcome::NoReply { after: Span::from_secs(1) };
    let calls = |part, of| {
        let calls =
            CallEvidence { window: Share { part, of }, last_bad: Some((at(9), outcome)), ..CallEvidence::default() };
        Evidence { calls, last_bad: Some(at(9)), ..good(at(9)) }
    };
    assert_eq!(engine.consider(at(9), trunk(0), &calls(19, 19)), None, "a share of few calls says nothing");
    assert_eq!(engine.consider(at(9), trunk(0), &calls(3, 20)), None);
    let doubt = engine.consider(at(9), trunk(0), &calls(4, 20)).unwrap();
    assert_eq!(doubt.cause, Cause::FailureShare { percent: 20, limit: 20, of: 20 });
    assert_eq!(change(&doubt), (Health::Up, Health::Suspect));
    let down = engine.consider(at(9), trunk(0), &calls(10, 20)).unwrap();
    assert_eq!(down.cause, Cause::FailureShare { percent: 50, limit: 50, of: 20 });
    let silent = |bad_fast| {
        let mut seen = missed(at(9), 1);
        seen.probe.bad_fast = bad_fast;
        let last_bad = Some((at(9), outcome));
        seen.calls = CallEvidence { silent_in_row: 3, last_bad, ..CallEvidence::default() };
        seen
    };
    assert_eq!(engine.consider(at(9), trunk(1), &silent(0)), None, "silence alone may be someone behind the trunk");
    let vetoed = engine.consider(at(9), trunk(1), &silent(1)).unwrap();
    assert_eq!(vetoed.cause, Cause::CallsSilent { count: 3, limit: 3 });
    assert_eq!(change(&vetoed), (Health::Up, Health::Suspect), "the other is Down: this one stays in, demoted");
}

#[test]
fn the_budget_speaks_once() {
    let mut engine = all_up(&[&[0, 1, 2]]);
    assert!(engine.consider(at(5), trunk(0), &refused(at(5), 2)).unwrap().enforced());
    let demoted = engine.consider(at(8), trunk(1), &refused(at(8), 2)).unwrap();
    assert_eq!((change(&demoted), demoted.veto), ((Health::Up, Health::Suspect), None));
    let epoch = engine.table().epoch();
    let vetoed = engine.consider(at(8), trunk(1), &refused(at(8), 3)).unwrap();
    assert_eq!((vetoed.veto, vetoed.epoch), (Some(Veto::TooManyOut { percent: 66, limit: 50 }), epoch));
    assert_eq!(engine.table().epoch(), epoch, "nothing changed");
    assert_eq!(engine.consider(at(9), trunk(1), &refused(at(9), 4)), None, "said already");
}

#[test]
fn throttle_is_bounded_and_not_death() {
    let mut engine = all_up(&[&[0, 1]]);
    let throttled = engine.throttle(at(5), TrunkId(0), Span::from_secs(3_600)).unwrap();
    assert_eq!(throttled.change, Change::Throttle { asked: Span::from_secs(60), wish: Wish::NoCalls });
    assert_eq!(engine.throttle(at(5), TrunkId(0), Span::from_secs(3_600)), None, "each of many 503s is no decision");
    assert_eq!(engine.table().health(trunk(0)), Health::Up);
    let last = engine.throttle(at(6), TrunkId(1), Span::from_secs(5)).unwrap();
    assert_eq!(last.veto, Some(Veto::LastUsable));
    assert_eq!(engine.throttle(at(7), TrunkId(1), Span::from_secs(5)), None, "said already");
}

#[test]
fn overload_is_heeded_even_by_the_last_one_and_taken_back() {
    let mut engine = all_up(&[&[0]]);
    let (wish, span) = (Wish::Loss { percent: 30 }, Span::from_secs(5));
    assert_eq!(engine.overload(at(4), TrunkId(0), None, Span::ZERO), None, "nothing to take back");
    let begun = engine.overload(at(5), TrunkId(0), Some(wish), span).unwrap();
    assert!(begun.enforced() && begun.cause == Cause::Overload { validity: span });
    assert_eq!(begun.change, Change::Throttle { asked: Span::from_secs(60), wish });
    let over = engine.overload(at(9), TrunkId(0), None, Span::ZERO).unwrap();
    assert_eq!(over.change, Change::Throttle { asked: Span::ZERO, wish });
    assert!(engine.table().throttle(TrunkId(0)).unwrap().until <= at(9));
    assert_eq!(engine.overload(at(9), TrunkId(7), Some(wish), span), None, "nobody");
}

#[test]
fn retry_after_goes_before_overload() {
    let mut engine = all_up(&[&[0, 1]]);
    let (wish, span) = (Wish::Rate { cps: 10 }, Span::from_secs(5));
    assert!(engine.overload(at(5), TrunkId(0), Some(wish), span).is_some());
    let barred = engine.throttle(at(6), TrunkId(0), Span::from_secs(10)).unwrap();
    assert!(barred.enforced());
    assert_eq!(engine.overload(at(7), TrunkId(0), Some(wish), span), None);
    assert_eq!(engine.overload(at(7), TrunkId(0), None, span), None, "nor does it end it");
    assert_eq!(engine.table().throttle(TrunkId(0)).unwrap().wish, Wish::NoCalls);
    assert!(engine.overload(at(16), TrunkId(0), Some(wish), span).is_some());
    // One that asks for fewer calls still takes some, so the other may be barred.
    assert!(engine.throttle(at(17), TrunkId(1), Span::from_secs(10)).unwrap().enforced());
}

#[test]
fn the_operator_wins_over_any_probe() {
    let mut engine = all_up(&[&[0, 1]]);
    assert!(engine.operator(at(5), TrunkId(0), Admin::OutOfService).is_some());
    assert_eq!(engine.operator(at(6), TrunkId(0), Admin::OutOfService), None);
    engine.consider(at(7), trunk(0), &good(at(7)));
    assert_eq!(engine.table().admin(TrunkId(0)), Admin::OutOfService);
    engine.consider(at(8), trunk(1), &refused(at(8), 2)).unwrap();
    let vetoed = engine.consider(at(8), trunk(1), &refused(at(8), 2)).unwrap();
    assert_eq!(vetoed.veto, Some(Veto::LastUsable), "one that is out is nobody's backup");
}

#[test]
fn one_that_falls_too_often_waits_before_it_may_rise() {
    let mut engine = all_up(&[&[0, 1]]);
    // Doubt by probes alone, seven times; the last return is held back until the first fall is ten minutes old.
    let mut policy = (*shape(&[&[0, 1]])).clone();
    policy.trunks[0].as_mut().unwrap().health.dwell_max = Span::from_secs(10);
    engine.reshape(at(1), Arc::new(policy));
    while let Some(target) = engine.due(at(1)) {
        assert_eq!(engine.consider(at(1), target, &good(at(1))), None);
    }
    for fall in 0..7 {
        let now = 10 + fall * 20;
        let doubt = engine.consider(at(now), trunk(0), &missed(at(now), 2)).unwrap();
        assert_eq!(change(&doubt), (Health::Up, Health::Suspect));
        let calm = engine.consider(at(now + 10), trunk(0), &good(at(now + 10))).unwrap();
        let veto = (fall == 6).then_some(Veto::TooManyFlips { count: 7, limit: 6 });
        assert_eq!((change(&calm), calm.veto), ((Health::Suspect, Health::Up), veto));
    }
    assert_eq!(engine.consider(at(609), trunk(0), &good(at(609))), None);
    assert_eq!(engine.deadline(), Some(at(610)));
    assert!(engine.consider(at(610), trunk(0), &good(at(610))).unwrap().enforced());
}

#[test]
fn a_trunk_that_stays_dead_is_not_probed_fast_for_ever() {
    let mut engine = all_up(&[&[0, 1]]);
    let mut hurry_after = |s: u64, seen: &Evidence| {
        engine.consider(at(s), trunk(0), seen);
        engine.wants_hurry(trunk(0))
    };
    assert!(hurry_after(5, &missed(at(5), 2)), "in doubt");
    hurry_after(6, &missed(at(6), 3));
    assert!(!hurry_after(10, &missed(at(10), 4)), "Down");
    assert!(hurry_after(32, &missed(at(32), 5)), "the dwell ends soon");
    assert!(!hurry_after(40, &missed(at(40), 6)), "it ended, and nobody is there");
    let mut once = good(at(50));
    once.probe.good = 1;
    assert!(hurry_after(50, &once), "it answers");
}

#[test]
fn a_reload_keeps_what_is_held_of_trunks_that_stay() {
    let mut engine = all_up(&[&[0, 1, 2]]);
    engine.consider(at(5), trunk(0), &refused(at(5), 2)).unwrap();
    engine.operator(at(5), TrunkId(1), Admin::OutOfService).unwrap();
    let epoch = engine.table().epoch();
    let mut next = (*shape(&[&[0, 1, 2]])).clone();
    next.trunks[1].as_mut().unwrap().targets = TargetShape::in_order([1, 2]);
    next.trunks[2] = None;
    engine.reshape(at(6), Arc::new(next));
    let table = engine.table();
    assert_eq!(table.epoch(), Epoch(epoch.0 + 1));
    assert_eq!(table.health(trunk(0)), Health::Down);
    assert_eq!(table.trunk_health(TrunkId(1)), Health::Unknown, "other targets than before");
    assert_eq!(table.admin(TrunkId(1)), Admin::OutOfService, "only the operator ends that");
    assert!(table.targets(TrunkId(2)).is_empty());
    assert_eq!(engine.consider(at(7), trunk(2), &good(at(7))), None);
}

/// What is held is held of an address: it stays with its number, whatever place it has, and never passes to who stands there now.
#[test]
fn a_reload_keeps_what_is_held_of_each_target_that_stays() {
    let target = |index| TargetId { trunk: TrunkId(0), index };
    let with = |targets: &[u8]| {
        let mut shape = (*shape(&[&[0, 1]])).clone();
        shape.trunks[0].as_mut().unwrap().targets = TargetShape::in_order(targets.iter().copied());
        Arc::new(shape)
    };
    let mut engine = Engine::new(with(&[0, 1, 2]));
    for index in 0..3 {
        engine.consider(at(1), target(index), &good(at(1))).unwrap();
    }
    engine.consider(at(5), target(1), &refused(at(5), 2)).unwrap();
    assert_eq!(engine.table().health(target(1)), Health::Down);
    // The first is gone, a new one comes, and those that stay change places.
    engine.reshape(at(6), with(&[3, 2, 1]));
    let held =
        |table: &TrunkTable| table.targets(TrunkId(0)).iter().map(|t| (t.index(), t.health())).collect::<Vec<_>>();
    assert_eq!(held(engine.table()), [(3, Health::Unknown), (2, Health::Up), (1, Health::Down)]);
    assert_eq!(engine.table().target(target(0)), None);
    assert_eq!(engine.consider(at(7), target(0), &good(at(7))), None, "late word of one that is gone");
    // Who comes back after it was gone is a stranger.
    engine.reshape(at(8), with(&[3, 2, 1, 4]));
    assert_eq!(engine.table().health(target(4)), Health::Unknown);
    let one = engine.shape().trunks[..1].to_vec();
    let group = GroupPolicy::new(GroupId(0), vec![vec![Member { trunk: TrunkId(0), weight: 1 }]]);
    let routed = Shape::new(one, vec![group], vec![RouteRule { from: vec![], prefixes: vec![], to: GroupId(0) }]);
    let facts = Facts { from: TrunkId(9), number: "1", emergency: false };
    let plan = plan(&routed, engine.table(), &Load::default(), &facts, at(9), &mut model::Rng::new(1)).unwrap();
    let tried: Vec<u8> = plan.attempts.iter().map(|candidate| candidate.target.index).collect();
    assert_eq!(tried, [2, 3, 4], "the well one, then the unknown by their place; who is Down is left out");
}

/// Callers who hear it ring there are asked after only when it is silent, so that must be known of every fall.
#[test]
fn what_rests_on_silence_is_told_from_what_does_not() {
    let fall = |cause: Cause, evidence: Evidence| {
        let mut engine = all_up(&[&[0, 1]]);
        let seen = Evidence { transport: refused(at(5), 2).transport, ..evidence.clone() };
        let decision = engine.consider(at(5), trunk(0), &seen).unwrap();
        Decision { cause, evidence: Some(evidence), ..decision }.is_of_silence()
    };
    let silent = Evidence { silent_since: Some(at(3)), ..Evidence::default() };
    let late = Cause::CallsLate { count: 5, limit: 5 };
    for cause in [Cause::Relapse, late] {
        assert!(fall(cause, silent.clone()), "{cause:?}");
        assert!(!fall(cause, Evidence::default()), "{cause:?}: stalled or refused ones were heard");
    }
}
