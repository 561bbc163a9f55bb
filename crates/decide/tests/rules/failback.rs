//! When a trunk that has recovered gets its calls back: at once, in a window, or by hand.

use super::*;

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
