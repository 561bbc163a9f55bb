//! Whose fault a silence is: a trunk's when somebody else is heard meanwhile, and else likely ours.

use super::*;

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
