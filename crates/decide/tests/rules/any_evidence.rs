//! What must hold for any evidence whatever.

use super::*;
use proptest::prelude::*;
use proptest::strategy::Strategy;

#[derive(Clone, Debug)]
enum Step {
    Look { target: u16, after_ms: u64, seen: Box<Evidence> },
    Operator { trunk: u16, to: u8 },
    Throttle { trunk: u16, asked_s: u64 },
    Force { group: u16, tier: u8, for_s: u64 },
    Release { group: u16 },
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
        1 => (0u16..3, 0u8..4, 1u64..200).prop_map(|(group, tier, for_s)| Step::Force { group, tier, for_s }),
        1 => (0u16..3).prop_map(|group| Step::Release { group }),
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
                journal.extend(core::iter::from_fn(|| engine.force_over(now)));
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
            Step::Force { group, tier, for_s } => {
                let length = ForceLength::new(Span::from_secs(*for_s)).unwrap();
                journal.extend(engine.force(now, GroupId(*group), *tier, length, Word::default()));
            }
            Step::Release { group } => journal.extend(engine.release(now, GroupId(*group), Cause::Operator)),
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
