//! A drill: its calls meet trunks that are broken for them alone, and lead on as a real fault would.

use crate::peer::say;
use crate::world::Lab;
use act::{Drill, Ending};
use decide::{Exclusion, Rescue};
use model::{AttemptOutcome, DrillFault, Span, TransportFault, TrunkId};
use sip::Method;

const MARK: &str = "drill-1-";
const NUMBER: &str = "+4722";
const ACME: TrunkId = TrunkId(1);

/// The office drills with two carriers, of which the first is broken.
fn drilling(fault: DrillFault) -> Lab {
    let mut lab = Lab::new(2);
    lab.peers[0].mark = MARK;
    lab.drill = Some(Drill {
        mark: MARK.into(),
        callers: vec![(lab.peers[0].addr, TrunkId(0))],
        numbers: vec![NUMBER.into()],
        faults: vec![(ACME, fault)],
        all_calls: false,
    });
    lab
}

fn tried(lab: &Lab, carrier: usize) -> usize {
    lab.peers[carrier].requests(Method::Invite).len()
}

#[test]
fn a_fault_is_played_and_the_next_trunk_carries_the_call() {
    let unreachable = |fault| AttemptOutcome::Unreachable { fault };
    let refused = |code| AttemptOutcome::Refused { code, q850: None, retry_after: None };
    let second = Span::from_secs(1);
    for (fault, outcome) in [
        (DrillFault::Refuse, unreachable(TransportFault::PortUnreachable)),
        (DrillFault::Code(503), refused(503)),
        (DrillFault::Grey, refused(500)),
        (DrillFault::Silent, AttemptOutcome::NoReply { after: second }),
    ] {
        let mut lab = drilling(fault);
        let client = lab.call(NUMBER);
        lab.run(2_000);
        assert_eq!(lab.peers[0].codes(client), [180, 200], "{fault:?}");
        assert_eq!((tried(&lab, 1), tried(&lab, 2)), (0, 1), "{fault:?}: nothing is sent to whom is broken");
        lab.send(0, Method::Bye, "", vec![]);
        lab.settle();
        let ended = &lab.ended[0];
        assert!(ended.drilled && lab.b2bua.is_of_drill(ended.call));
        assert_eq!((ended.attempts[0].outcome, ended.attempts[0].fault), (outcome, Some(fault)));
        assert_eq!((ended.attempts[1].outcome, ended.attempts[1].fault), (AttemptOutcome::Answered, None));
        assert_eq!(lab.b2bua.counters().drill_faults, 1);
    }
}

#[test]
fn a_trunk_that_stalls_has_shown_a_100_and_no_more() {
    let mut lab = drilling(DrillFault::Stall);
    let client = lab.call(NUMBER);
    lab.run(10_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    let attempt = &lab.ended[0].attempts[0];
    assert!(matches!(attempt.outcome, AttemptOutcome::Stalled { .. }), "{attempt:?}");
    assert_eq!(attempt.first_reply, Some(Span::ZERO));
}

#[test]
fn a_trunk_without_an_address_is_left_out_of_the_plan() {
    let mut lab = drilling(DrillFault::Dns);
    let client = lab.call(NUMBER);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    let plan = lab.ended[0].plan.as_ref().unwrap();
    assert!(plan.excluded.iter().any(|out| out.trunk == ACME && out.cause == Exclusion::Drilled), "{plan:?}");
    assert_eq!((plan.attempts.len(), lab.ended[0].attempts.len()), (1, 1));
}

#[test]
fn calls_of_others_never_meet_a_fault_that_is_the_drills_own() {
    let mut lab = drilling(DrillFault::Silent);
    lab.peers[0].mark = "";
    let client = lab.call("+4733");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((tried(&lab, 1), tried(&lab, 2)), (1, 0));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    assert!(!lab.ended[0].drilled && !lab.b2bua.is_of_drill(lab.ended[0].call));
}

#[test]
fn a_fault_for_all_calls_is_met_by_all() {
    let mut lab = drilling(DrillFault::Code(503));
    lab.peers[0].mark = "";
    lab.drill.as_mut().unwrap().all_calls = true;
    let client = lab.call("+4733");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((tried(&lab, 1), tried(&lab, 2)), (0, 1));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    assert_eq!((lab.ended[0].drilled, lab.ended[0].attempts[0].fault), (false, Some(DrillFault::Code(503))));
}

#[test]
fn it_dials_numbers_for_testing_and_few_at_once() {
    let mut lab = drilling(DrillFault::Silent);
    let other = lab.call("+4733");
    lab.run(100);
    assert_eq!(lab.peers[0].codes(other), [403]);
    lab.peers[2].steps = vec![vec![say(20, 180)]];
    let codes: Vec<u16> = (0..5)
        .map(|_| {
            let client = lab.call(NUMBER);
            lab.run(100);
            lab.peers[0].codes(client).first().copied().unwrap_or(0)
        })
        .collect();
    assert_eq!(codes, [0, 0, 0, 0, 503], "the fifth is one too many");
}

#[test]
fn it_takes_nothing_from_what_real_calls_may_try_again() {
    let mut lab = drilling(DrillFault::Code(503));
    for _ in 0..200 {
        let client = lab.call(NUMBER);
        lab.run(300);
        assert_eq!(lab.peers[0].codes(client), [180, 200]);
        let session = lab.peers[0].sessions.len() - 1;
        lab.send_in(0, session, Method::Bye, &[]);
        lab.settle();
    }
    assert_eq!(lab.b2bua.counters().retries_refused, 0);
    assert!(lab.ended.iter().all(|ended| ended.ending == Ending::Bye(act::Side::Caller)));
}

#[test]
fn audio_is_blocked_in_one_direction_until_the_trunk_is_mended() {
    for (fault, from_carrier, to_carrier) in [(DrillFault::RtpFrom, false, true), (DrillFault::RtpTo, true, false)] {
        let mut lab = drilling(fault);
        let client = lab.call(NUMBER);
        lab.run(1_000);
        assert_eq!((lab.peers[0].codes(client), tried(&lab, 1)), (vec![180, 200], 1), "its signalling is as ever");
        let passes = |lab: &mut Lab, one: usize| {
            let to = lab.shown_last(one);
            lab.speak(one, &to).is_some()
        };
        assert_eq!((passes(&mut lab, 1), passes(&mut lab, 0)), (from_carrier, to_carrier), "{fault:?}");
        lab.drill = None;
        lab.drill_changed();
        assert_eq!((passes(&mut lab, 1), passes(&mut lab, 0)), (true, true), "{fault:?}");
        assert!(lab.relay.counters().drilled > 0);
    }
}

#[test]
fn who_is_called_again_in_a_drill_is_called_by_it() {
    let mut lab = drilling(DrillFault::RtpFrom);
    lab.shape.trunks[1].as_mut().unwrap().audio.rescue = Rescue::On;
    lab.call(NUMBER);
    lab.run(1_000);
    lab.talk(8_000, &[0, 1]);
    assert_eq!((tried(&lab, 1), tried(&lab, 2)), (1, 1));
    lab.talk(1_000, &[0, 2]);
    lab.hear_each_other(0, 2);
    lab.send(2, Method::Bye, "", vec![]);
    lab.settle();
    assert_eq!(lab.ended.len(), 2);
    assert!(lab.ended.iter().all(|ended| ended.drilled && lab.b2bua.is_of_drill(ended.call)), "{:?}", lab.ended);
}
