//! Rules of the slow loop, one by one, and what must hold for any evidence whatever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use decide::*;
use model::*;
use proptest::prelude::*;
use proptest::strategy::Strategy;
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
fn we_suspect_ourselves_when_unrelated_trunks_fall_together_but_not_for_long() {
    let mut engine = all_up(&[&[0, 1], &[2, 3], &[4, 5]]);
    assert!(engine.consider(at(5), trunk(0), &refused(at(5), 2)).unwrap().enforced());
    assert!(engine.consider(at(5), trunk(2), &refused(at(5), 2)).unwrap().enforced());
    engine.consider(at(5), trunk(4), &refused(at(5), 2)).unwrap();
    let vetoed = engine.consider(at(5), trunk(4), &refused(at(5), 2)).unwrap();
    assert_eq!(vetoed.veto, Some(Veto::SuspectOurselves { trunks: 3 }));
    assert_eq!(engine.table().health(trunk(4)), Health::Suspect);
    while let Some(target) = engine.due(at(5)) {
        engine.consider(at(5), target, &refused(at(5), 2));
    }
    assert_eq!(engine.deadline(), Some(at(6)));
    assert_eq!(engine.due(at(6)), Some(trunk(4)));
    let down = engine.consider(at(6), trunk(4), &refused(at(6), 3)).unwrap();
    assert!(down.enforced(), "a second later it is its own fault");
}

#[test]
fn everybody_at_once_across_groups_is_us() {
    let mut engine = all_up(&[&[0], &[1]]);
    engine.consider(at(5), trunk(0), &refused(at(5), 2)).unwrap();
    engine.consider(at(5), trunk(1), &refused(at(5), 2)).unwrap();
    let vetoed = engine.consider(at(5), trunk(1), &refused(at(5), 2)).unwrap();
    assert_eq!(vetoed.veto, Some(Veto::SuspectOurselves { trunks: 2 }));
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
fn manual_failback_waits_for_the_operator() {
    let given = shape(&[&[0, 1]]);
    let manual = GroupPolicy { failback: Failback::Manual, ..given.groups()[0].clone() };
    let mut engine = Engine::new(Arc::new(Shape::new(given.trunks.clone(), vec![manual], vec![])));
    engine.consider(at(0), trunk(0), &good(at(0))).unwrap();
    engine.consider(at(0), trunk(1), &good(at(0))).unwrap();
    engine.consider(at(5), trunk(0), &refused(at(5), 2)).unwrap();
    engine.consider(at(35), trunk(0), &good(at(35))).unwrap();
    let held_back = engine.consider(at(36), trunk(0), &good(at(36))).unwrap();
    assert_eq!(held_back.veto, Some(Veto::ManualFailback));
    assert_eq!(engine.consider(at(9_999), trunk(0), &good(at(9_999))), None);
    assert_eq!(engine.table().share(trunk(0)), 0);
    engine.operator(at(10_000), TrunkId(0), Admin::InService).unwrap();
    assert_eq!(engine.table().share(trunk(0)), 100);
}

/// Trunk 0 on Probation since second 35, trunk 1 Up, in groups that fall back as said.
fn recovering(failback: &[Failback]) -> Engine {
    let tiers: Vec<&[u16]> = failback.iter().map(|_| &[0, 1][..]).collect();
    let plain = shape(&tiers);
    let groups = plain.groups().iter().zip(failback);
    let groups = groups.map(|(group, failback)| GroupPolicy { failback: failback.clone(), ..group.clone() }).collect();
    let given = Shape::new(plain.trunks.clone(), groups, plain.routes().to_vec());
    let mut engine = Engine::new(Arc::new(given));
    engine.consider(at(0), trunk(0), &good(at(0))).unwrap();
    engine.consider(at(0), trunk(1), &good(at(0))).unwrap();
    engine.consider(at(5), trunk(0), &refused(at(5), 2)).unwrap();
    engine.consider(at(35), trunk(0), &good(at(35))).unwrap();
    assert_eq!(engine.table().health(trunk(0)), Health::Probation);
    while let Some(target) = engine.due(at(36)) {
        let seen = if target == trunk(0) { good(at(35)) } else { good(at(36)) };
        engine.consider(at(36), target, &seen);
    }
    engine
}

#[test]
fn a_closed_window_holds_failback_back_and_its_opening_wakes_it() {
    let window = Failback::Window { after: Span::from_secs(60) };
    let mut engine = recovering(&[window]);
    let opens = Window { open: false, changes: Some(at(500)) };
    engine.set_window(at(36), GroupId(0), opens);
    assert_eq!(engine.due(at(36)), Some(trunk(0)));
    assert_eq!(engine.consider(at(36), trunk(0), &good(at(36))), None, "not quiet for long enough to ask");
    assert_eq!(engine.deadline(), Some(at(95)));
    let held_back = engine.consider(at(95), trunk(0), &good(at(95))).unwrap();
    assert_eq!(held_back.veto, Some(Veto::OutsideWindow { opens_in: Some(Span::from_secs(405)) }));
    assert_eq!(engine.deadline(), Some(at(500)), "looked at when it opens");
    engine.set_window(at(155), GroupId(0), opens);
    assert_eq!(engine.deadline(), Some(at(500)), "told the same again, it does nothing");
    assert_eq!(engine.consider(at(300), trunk(0), &good(at(300))), None, "said already");
    engine.set_window(at(400), GroupId(0), Window { open: true, changes: None });
    assert_eq!(engine.due(at(400)), Some(trunk(0)), "a clock that was set opens it early");
    let begun = engine.consider(at(400), trunk(0), &good(at(400))).unwrap();
    assert!(begun.enforced() && begun.change == Change::Share { from: 0, to: 5 }, "{begun:?}");
    engine.set_window(at(401), GroupId(0), Window { open: false, changes: None });
    let step = engine.consider(at(420), trunk(0), &good(at(420))).unwrap();
    assert_eq!(step.change, Change::Share { from: 5, to: 25 }, "what has begun goes on");
}

#[test]
fn a_member_of_several_groups_waits_for_the_most_patient() {
    let window = Failback::Window { after: Span::from_secs(10) };
    let mut engine = recovering(&[Failback::After(Span::from_secs(90)), window.clone(), window]);
    engine.set_window(at(36), GroupId(1), Window { open: false, changes: Some(at(50)) });
    engine.set_window(at(36), GroupId(2), Window { open: false, changes: Some(at(200)) });
    let first = |engine: &mut Engine, s| engine.consider(at(s), trunk(0), &good(at(s)));
    assert_eq!(first(&mut engine, 124), None, "90 s of quiet come first");
    let later = Veto::OutsideWindow { opens_in: Some(Span::from_secs(75)) };
    assert_eq!(first(&mut engine, 125).unwrap().veto, Some(later));
    engine.set_window(at(130), GroupId(1), Window { open: true, changes: None });
    assert_eq!(first(&mut engine, 131), None);
    engine.set_window(at(200), GroupId(2), Window { open: true, changes: None });
    assert!(first(&mut engine, 200).unwrap().enforced());
}

#[test]
fn a_window_nobody_has_told_of_is_closed() {
    let mut engine = recovering(&[Failback::Window { after: Span::from_secs(10) }]);
    let held_back = engine.consider(at(45), trunk(0), &good(at(45))).unwrap();
    assert_eq!(held_back.veto, Some(Veto::OutsideWindow { opens_in: None }));
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

#[derive(Clone, Debug)]
enum Step {
    Look { target: u16, after_ms: u64, seen: Box<Evidence> },
    Operator { trunk: u16, to: u8 },
    Throttle { trunk: u16, asked_s: u64 },
}

/// Any evidence at all, with times within the last 20 s.
fn step() -> impl Strategy<Value = Step> {
    let probe = (0u32..5, 0u32..5, 0u64..20_000);
    let calls = (0u32..5, 0u32..5, 0u32..5, 0u32..8, 0u32..30, 0u64..20_000);
    let look = (0u16..4, 0u64..40_000, probe, calls, 0u32..3).prop_map(|(target, after_ms, probe, calls, refusals)| {
        let ago = |ms: u64| Instant::from_micros(ms * 1_000);
        let result = ProbeResult::NoReply { after: Span::ZERO };
        let outcome = AttemptOutcome::NoReply { after: Span::ZERO };
        let (good, bad) = if probe.0 > probe.1 { (probe.0, 0) } else { (0, probe.1) };
        let seen = Evidence {
            probe: ProbeEvidence { good, bad, bad_fast: bad / 2, last: Some((ago(probe.2), result)) },
            calls: CallEvidence {
                silent_in_row: calls.0,
                late: calls.1,
                blamed_in_row: calls.2,
                good_in_row: calls.3,
                good_since_mark: calls.3,
                window: Share { part: calls.4 / 2, of: calls.4 },
                last_bad: Some((ago(calls.5), outcome)),
                ..CallEvidence::default()
            },
            transport: TransportEvidence { in_row: refusals, last: None },
            last_bad: Some(ago(calls.5.min(probe.2))),
            ..Evidence::default()
        };
        Step::Look { target, after_ms, seen: Box::new(seen) }
    });
    prop_oneof![
        20 => look,
        1 => (0u16..4, 0u8..3).prop_map(|(trunk, to)| Step::Operator { trunk, to }),
        1 => (0u16..4, 0u64..200).prop_map(|(trunk, asked_s)| Step::Throttle { trunk, asked_s }),
    ]
}

/// Turns "so long ago" into times before `now`.
fn dated(seen: &Evidence, now: Instant) -> Evidence {
    let date = |ago: Instant| Instant::from_micros(now.as_micros().saturating_sub(ago.as_micros()));
    let mut seen = seen.clone();
    seen.probe.last = seen.probe.last.map(|(ago, result)| (date(ago), result));
    seen.calls.last_bad = seen.calls.last_bad.map(|(ago, outcome)| (date(ago), outcome));
    seen.transport.last = (seen.transport.in_row > 0).then_some((now, TransportFault::PortUnreachable));
    seen.last_bad = seen.last_bad.map(date);
    seen
}

fn live(steps: &[Step]) -> (Engine, Vec<Decision>) {
    let mut engine = Engine::new(shape(&[&[0, 1, 2], &[2, 3]]));
    let (mut now, mut journal) = (Instant::ZERO, vec![]);
    for step in steps {
        match step {
            Step::Look { target, after_ms, seen } => {
                now += Span::from_millis(*after_ms);
                let seen = dated(seen, now);
                journal.extend(engine.consider(now, trunk(*target), &seen));
                let mut looks = 0;
                while let Some(target) = engine.due(now) {
                    journal.extend(engine.consider(now, target, &seen));
                    looks += 1;
                    assert!(looks < 200, "looking again comes to an end");
                }
                assert!(engine.deadline().is_none_or(|at| at > now));
            }
            Step::Operator { trunk, to } => {
                let to = [Admin::InService, Admin::Draining, Admin::OutOfService][usize::from(*to)];
                journal.extend(engine.operator(now, TrunkId(*trunk), to));
            }
            Step::Throttle { trunk, asked_s } => {
                journal.extend(engine.throttle(now, TrunkId(*trunk), Span::from_secs(*asked_s)));
            }
        }
    }
    (engine, journal)
}

proptest! {
    #[test]
    fn replay_gives_the_live_table(steps in proptest::collection::vec(step(), 1..120)) {
        let (engine, journal) = live(&steps);
        let mut table = TrunkTable::new(&shape(&[&[0, 1, 2], &[2, 3]]));
        for decision in &journal {
            let before = table.clone();
            table.apply(decision);
            prop_assert_eq!(decision.enforced(), before != table, "{:?}", decision);
            prop_assert_eq!(decision.epoch, table.epoch());
        }
        prop_assert_eq!(&table, engine.table());
    }

    #[test]
    fn nobody_returns_before_the_dwell(steps in proptest::collection::vec(step(), 1..200)) {
        let (_, journal) = live(&steps);
        for id in 0..4 {
            // When Down or Suspect began, and how long it was to last at least.
            let mut held: Option<(Instant, Span)> = None;
            for decision in journal.iter().filter(|decision| decision.enforced()) {
                match (decision.subject, decision.change) {
                    (Subject::Trunk(TrunkId(trunk)), Change::Admin { to: Admin::InService, .. }) if trunk == id => held = None,
                    (Subject::Target(target), Change::Health { from, to }) if target == trunk(id) => {
                        let served = held.is_none_or(|(since, span)| decision.at.since(since) >= span);
                        match (from, to) {
                            (Health::Down, to) => prop_assert!(to == Health::Probation && served, "{:?}", decision),
                            (Health::Suspect, Health::Up | Health::Probation) => prop_assert!(served, "{:?}", decision),
                            (_, Health::Unknown) => prop_assert!(false, "only the operator makes Unknown"),
                            _ => {}
                        }
                        let holds = matches!(to, Health::Down | Health::Suspect);
                        held = decision.next_look.filter(|_| holds).map(|span| (decision.at, span));
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn nobody_rises_after_too_many_falls(steps in proptest::collection::vec(step(), 1..200)) {
        let (_, journal) = live(&steps);
        let shape = shape(&[&[0, 1, 2], &[2, 3]]);
        let mut table = TrunkTable::new(&shape);
        for decision in &journal {
            if let (Subject::Target(target), Change::Health { from, to }, true) =
                (decision.subject, decision.change, decision.enforced())
            {
                let rises = to == Health::Probation || (from, to) == (Health::Suspect, Health::Up);
                let falls = table.target(target).unwrap().falls_within(decision.at, Span::from_secs(600));
                let free = |id| table.usable(id) && table.throttle(id).is_none_or(|throttle| throttle.until <= decision.at);
                let alone = shape.groups_of(target.trunk).any(|group| {
                    !group.members().any(|other| other.trunk != target.trunk && free(other.trunk))
                });
                prop_assert!(!rises || alone || falls <= 6, "{} falls: {:?}", falls, decision);
            }
            table.apply(decision);
        }
    }

    #[test]
    fn the_last_usable_trunk_of_a_group_never_goes_down(steps in proptest::collection::vec(step(), 1..200)) {
        let (_, journal) = live(&steps);
        let shape = shape(&[&[0, 1, 2], &[2, 3]]);
        let mut table = TrunkTable::new(&shape);
        for decision in &journal {
            table.apply(decision);
            if let (Subject::Target(target), Change::Health { to: Health::Down, .. }, true) =
                (decision.subject, decision.change, decision.enforced())
            {
                for group in shape.groups_of(target.trunk) {
                    prop_assert!(group.members().any(|member| table.usable(member.trunk)), "{:?}", decision);
                }
            }
        }
    }
}

/// Evidence of a target that has not answered what was sent at `since`, `bad` probes in all.
fn silent_since(since: Instant, now: Instant, bad: u32) -> Evidence {
    Evidence { silent_since: Some(since), heard: Some(at(4)), ..missed(now, bad) }
}

fn heard(now: Instant) -> Evidence {
    Evidence { heard: Some(now), ..good(now) }
}

#[test]
fn a_silent_trunk_is_doubted_only_when_somebody_else_on_its_side_was_heard_since() {
    let mut engine = all_up(&[&[0, 1]]);
    engine.consider(at(4), trunk(1), &heard(at(4)));
    assert_eq!(engine.consider(at(6), trunk(0), &silent_since(at(5), at(6), 1)), None, "one lost probe");
    engine.consider(at(6), trunk(1), &Evidence { heard: Some(at(4)), ..good(at(4)) });
    assert!(engine.wants_hurry(trunk(1)), "but the other is asked already");
    let held_back = engine.consider(at(8), trunk(0), &silent_since(at(5), at(8), 3)).unwrap();
    assert_eq!(held_back.veto, Some(Veto::SuspectOurselves { trunks: 2 }));
    assert_eq!(engine.table().health(trunk(0)), Health::Up, "no traffic is shuffled for it");
    assert_eq!(engine.consider(at(9), trunk(0), &silent_since(at(5), at(9), 4)), None, "said once");
    assert_eq!(engine.consider(at(9), trunk(1), &heard(at(9))), None);
    assert!(!engine.wants_hurry(trunk(1)), "it has answered");
    assert_eq!(engine.due(at(9)), Some(trunk(0)), "which frees the judgement");
    assert_eq!(engine.consider(at(9), trunk(0), &silent_since(at(5), at(9), 4)), None, "after a moment of grace");
    assert!(engine.wants_hurry(trunk(0)), "in which it is asked, or an idle one would not be heard in time");
    let down = engine.consider(at(12), trunk(0), &silent_since(at(5), at(12), 6)).unwrap();
    assert_eq!((change(&down), down.veto), ((Health::Up, Health::Down), None));
}

#[test]
fn calls_that_were_sent_into_a_silence_of_all_are_held_against_nobody_when_it_is_over() {
    let mut engine = all_up(&[&[0, 1]]);
    engine.consider(at(4), trunk(1), &heard(at(4)));
    let held_back = engine.consider(at(8), trunk(0), &silent_since(at(5), at(8), 3)).unwrap();
    assert_eq!(held_back.veto, Some(Veto::SuspectOurselves { trunks: 2 }));
    let late = |now: Instant, from: Instant| {
        let calls = CallEvidence { late: 45, unheard: 45, ..CallEvidence::default() };
        Evidence { calls, last_bad: Some(now), heard: Some(from), ..Evidence::default() }
    };
    assert_eq!(engine.consider(at(9), trunk(0), &late(at(9), at(9))), None, "an echo of the silence");
    assert_eq!(engine.consider(at(10), trunk(0), &late(at(10), at(9))), None);
    let doubt = engine.consider(at(12), trunk(0), &late(at(12), at(9))).unwrap();
    assert_eq!((change(&doubt), doubt.veto), ((Health::Up, Health::Suspect), None), "what is late now was sent later");
}

#[test]
fn a_neighbour_that_is_never_heard_is_no_witness_to_wait_for() {
    let mut engine = all_up(&[&[0, 1]]);
    engine.consider(at(4), trunk(1), &heard(at(4)));
    let late = silent_since(at(25), at(28), 3);
    let down = engine.consider(at(28), trunk(0), &late).unwrap();
    assert_eq!((change(&down), down.veto), ((Health::Up, Health::Down), None), "heard 21 s before: nobody expects it");
}

#[test]
fn where_all_fall_silent_together_nothing_changes() {
    let mut engine = all_up(&[&[0, 1, 2]]);
    for id in 0..3 {
        engine.consider(at(4), trunk(id), &heard(at(4)));
    }
    let mut said = 0;
    for second in 8..30 {
        for id in 0..3 {
            let seen = silent_since(at(5), at(second), second as u32 - 5);
            let decision = engine.consider(at(second), trunk(id), &seen);
            assert!(decision.as_ref().is_none_or(|decision| !decision.enforced()), "{decision:?}");
            said += u32::from(decision.is_some());
        }
    }
    assert_eq!(said, 3, "each says so once");
    assert!((0..3).all(|id| engine.table().health(trunk(id)) == Health::Up));
    for id in 0..3 {
        assert_eq!(engine.consider(at(31), trunk(id), &heard(at(31))), None, "and all is as before");
    }
}

#[test]
fn a_failing_share_of_an_outage_that_is_over_is_no_news() {
    let mut engine = all_up(&[&[0, 1]]);
    let outcome = AttemptOutcome::NoReply { after: Span::from_secs(1) };
    let share = |heard| {
        let window = Share { part: 90, of: 100 };
        let calls = CallEvidence { window, last_bad: Some((at(9), outcome)), ..CallEvidence::default() };
        Evidence { calls, last_bad: Some(at(9)), heard, ..good(at(10)) }
    };
    assert_eq!(engine.consider(at(10), trunk(0), &share(Some(at(10)))), None, "heard since");
    let down = engine.consider(at(10), trunk(0), &share(Some(at(9)))).unwrap();
    assert_eq!(down.cause, Cause::FailureShare { percent: 90, limit: 50, of: 100 });
}

#[test]
fn calls_that_get_no_reply_at_all_take_more_of_them_or_longer_than_those_that_stall() {
    let late = |engine: &mut Engine, late, unheard, silent_ms: u64| {
        let now = at(20);
        let calls = CallEvidence { late, unheard, ..CallEvidence::default() };
        let silent_since = (silent_ms > 0).then(|| Instant::from_micros(now.as_micros() - silent_ms * 1_000));
        let seen = Evidence { calls, last_bad: Some(now), heard: Some(now), silent_since, ..good(now) };
        engine.consider(now, trunk(0), &seen).map(|decision| decision.cause)
    };
    let alone = || all_up(&[&[0]]);
    assert_eq!(late(&mut alone(), 5, 0, 0), Some(Cause::CallsLate { count: 5, limit: 5 }), "stalled");
    assert_eq!(late(&mut alone(), 9, 9, 800), None, "slow for a moment");
    assert_eq!(late(&mut alone(), 10, 10, 300), Some(Cause::CallsLate { count: 10, limit: 10 }), "many at once");
    assert_eq!(late(&mut alone(), 3, 3, 1_000), Some(Cause::CallsLate { count: 3, limit: 3 }), "long enough");
}

/// The 100 of the next call, or its answer, is no excuse for those that fail by what the trunk says or leaves unsaid after it.
#[test]
fn a_trunk_that_is_heard_is_excused_of_its_silence_only() {
    let ms = |ms: u64| Instant::ZERO + Span::from_millis(ms);
    let judged = |calls: CallEvidence| {
        let seen = Evidence { calls, last_bad: Some(ms(20_000)), heard: Some(ms(20_002)), ..good(at(20)) };
        all_up(&[&[0]]).consider(ms(20_005), trunk(0), &seen).map(|decision| decision.cause)
    };
    let late = |late, unheard| CallEvidence { late, unheard, ..CallEvidence::default() };
    assert_eq!(judged(late(5, 0)), Some(Cause::CallsLate { count: 5, limit: 5 }), "stalled");
    assert_eq!(judged(late(10, 10)), None, "it replies again");
    let failing = |outcome| CallEvidence {
        window: Share { part: 60, of: 100 },
        last_bad: Some((ms(20_000), outcome)),
        ..CallEvidence::default()
    };
    let refused = AttemptOutcome::Refused { code: 500, q850: None, retry_after: None };
    let share = Some(Cause::FailureShare { percent: 60, limit: 50, of: 100 });
    assert_eq!(judged(failing(refused)), share);
    assert_eq!(judged(failing(AttemptOutcome::Stalled { after: Span::from_secs(2) })), share);
    assert_eq!(judged(failing(AttemptOutcome::NoReply { after: Span::from_secs(1) })), None);
}

#[test]
fn audio_that_is_not_heard_takes_a_trunk_down_for_media() {
    let mut engine = all_up(&[&[0, 1]]);
    let media = |part, of| {
        let last_bad = Some((at(9), MediaOutcome::Silent { after: Span::from_secs(5) }));
        let media = MediaEvidence { silent: Share { part, of }, last_bad, ..MediaEvidence::default() };
        Evidence { media, last_bad: Some(at(9)), ..good(at(9)) }
    };
    assert_eq!(engine.consider(at(9), trunk(0), &media(1, 1)), None, "one call says nothing");
    assert_eq!(engine.consider(at(9), trunk(0), &media(3, 7)), None, "most are heard");
    let doubt = engine.consider(at(9), trunk(0), &media(2, 3)).unwrap();
    assert_eq!(
        (change(&doubt), doubt.cause),
        ((Health::Up, Health::Suspect), Cause::MediaSilent { count: 2, limit: 2, of: 3 })
    );
    let down = engine.consider(at(9), trunk(0), &media(3, 4)).unwrap();
    assert_eq!(
        (change(&down), down.cause),
        ((Health::Suspect, Health::Down), Cause::MediaSilent { count: 3, limit: 3, of: 4 })
    );
}

#[test]
fn holes_in_audio_and_lost_registrations_are_doubts_and_no_more() {
    let mut engine = all_up(&[&[0, 1]]);
    let last_bad = Some((at(9), MediaOutcome::Lossy { permille: 80 }));
    let media = MediaEvidence { lossy: Share { part: 9, of: 9 }, last_bad, ..MediaEvidence::default() };
    let lossy = Evidence { media, last_bad: Some(at(9)), ..good(at(9)) };
    let doubt = engine.consider(at(9), trunk(0), &lossy).unwrap();
    assert_eq!(doubt.cause, Cause::MediaLossy { count: 9, limit: 3, of: 9 });
    assert_eq!(engine.consider(at(9), trunk(0), &lossy), None, "not Down");
    let last = Some((at(9), RegistrationState::Refused { code: 403 }));
    let registration = RegistrationEvidence { good: 0, bad: 2, last };
    let lost = Evidence { registration, last_bad: Some(at(9)), ..good(at(9)) };
    let doubt = engine.consider(at(9), trunk(1), &lost).unwrap();
    assert_eq!(
        (change(&doubt), doubt.cause),
        ((Health::Up, Health::Suspect), Cause::RegistrationLost { count: 2, limit: 2 })
    );
    assert_eq!(engine.consider(at(9), trunk(1), &lost), None);
}

#[test]
fn synthetic_calls_doubt_condemn_and_earn() {
    let mut engine = all_up(&[&[0, 1]]);
    let tested = |now: Instant, good_calls, bad| {
        let result = TestCallResult::NoTone { from_target: false, to_target: true };
        let test_calls = TestCallEvidence { good: good_calls, bad, last: Some((now, result)) };
        Evidence { test_calls, last_bad: Some(at(9)), ..good(now) }
    };
    let doubt = engine.consider(at(9), trunk(0), &tested(at(9), 0, 1)).unwrap();
    assert_eq!(
        (change(&doubt), doubt.cause),
        ((Health::Up, Health::Suspect), Cause::TestCallsFailed { count: 1, limit: 1 })
    );
    let down = engine.consider(at(9), trunk(0), &tested(at(9), 0, 2)).unwrap();
    assert_eq!(change(&down), (Health::Suspect, Health::Down));
    let trial = engine.consider(at(39), trunk(0), &good(at(39))).unwrap();
    assert_eq!(change(&trial), (Health::Down, Health::Probation));
    let first = engine.consider(at(99), trunk(0), &good(at(99))).unwrap();
    assert_eq!(first.change, Change::Share { from: 0, to: 5 });
    let step = engine.consider(at(100), trunk(0), &tested(at(100), 1, 0)).unwrap();
    assert_eq!((step.change, step.cause), (Change::Share { from: 5, to: 25 }, Cause::EarnedByTestCall { count: 1 }));
    let relapse = engine.consider(at(101), trunk(0), &tested(at(101), 0, 1)).unwrap();
    assert_eq!((change(&relapse), relapse.cause), ((Health::Probation, Health::Down), Cause::Relapse));
}
