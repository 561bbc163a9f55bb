//! Attempts beside each other: who is heard, who wins, how the others are left, and when a second one is begun at all.

use crate::peer::{Step, say, sdp};
use crate::world::{Lab, line_of};
use act::{Ending, Side};
use decide::Cause;
use model::{AttemptOutcome, Begun, Health, ListenId, Observed, SocketId, Span};
use sip::{HeaderName, Method};

const MS: fn(u64) -> Span = Span::from_millis;

/// INVITEs to a carrier that it heard.
fn tried(lab: &Lab, index: usize) -> usize {
    lab.peers[index].requests(Method::Invite).len()
}

fn hang_up(lab: &mut Lab) {
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

fn outcomes(lab: &Lab) -> Vec<AttemptOutcome> {
    lab.ended[0].attempts.iter().map(|attempt| attempt.outcome).collect()
}

/// A call in set-up at carrier 1, which has said 100, when that carrier is judged Down 300 ms later.
fn in_set_up(first: Vec<Step>, second: Vec<Step>) -> (Lab, sip::ClientKey) {
    let mut lab = Lab::new(3);
    lab.peers[1].steps = vec![first];
    lab.peers[2].steps = vec![second];
    let client = lab.call("+4722");
    lab.run(300);
    lab.health(1, Health::Down);
    (lab, client)
}

#[test]
fn in_set_up_the_next_begins_beside_the_silent_one_at_once() {
    let (mut lab, client) = in_set_up(vec![], vec![say(20, 180), sdp(500, 200)]);
    lab.run(5);
    assert_eq!(tried(&lab, 2), 1, "no watch was waited for");
    assert_eq!(lab.peers[1].cancels(), 0, "the first is not left for that");
    lab.run(100);
    assert_eq!(lab.peers[0].codes(client), [180], "what makes progress first is heard");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((lab.peers[1].cancels(), tried(&lab, 3)), (1, 0));
    let cancel = lab.sent.iter().find(|(_, _, sent)| sent.is_request() && sent.method() == Method::Cancel).unwrap();
    let reason = cancel.2.header(HeaderName::Reason).unwrap();
    assert_eq!(reason, b"SIP;cause=200;text=\"Call completed elsewhere\"", "its phone shows no missed call");
    hang_up(&mut lab);
    let stalled = AttemptOutcome::Stalled { after: MS(300 - 5 + 510) };
    assert_eq!(outcomes(&lab), [stalled, AttemptOutcome::Answered], "overtaken at a trunk in doubt: that is evidence");
    let begun: Vec<Begun> = lab.ended[0].attempts.iter().map(|attempt| attempt.begun).collect();
    assert_eq!(begun, [Begun::InTurn, Begun::Beside]);
}

/// A trunk in doubt is better than one that is gone, and no better than another in doubt.
#[test]
fn beside_one_that_is_down_one_in_doubt_is_tried_and_beside_one_in_doubt_it_is_not() {
    for (fallen, tries) in [(Health::Suspect, 0), (Health::Down, 1)] {
        let mut lab = Lab::new(2);
        lab.peers[1].steps = vec![vec![say(5, 100)]];
        lab.peers[2].steps = vec![vec![say(20, 180), sdp(500, 200)]];
        lab.call("+4722");
        lab.run(300);
        lab.health(2, Health::Suspect);
        lab.health(1, fallen);
        lab.run(200);
        assert_eq!(tried(&lab, 2), tries, "{fallen:?}");
    }
}

#[test]
fn the_silent_one_wins_if_it_answers_first() {
    let (mut lab, client) = in_set_up(vec![sdp(700, 200)], vec![say(20, 180), sdp(5_000, 200)]);
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((lab.peers[1].open(), lab.peers[2].open(), lab.peers[2].cancels()), (1, 0, 1));
    let (answer, offer) = (lab.ok_body(), lab.peers[1].requests(Method::Invite)[0].body().to_vec());
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[1].media), "its ports are the anchor's again");
    assert_eq!(lab.speak(1, &offer), Some(lab.peers[0].media));
    hang_up(&mut lab);
    assert!(matches!(outcomes(&lab)[..], [AttemptOutcome::Answered, AttemptOutcome::Outrun { progressed: true, .. }]));
}

/// RFC 3261 §13.2.2.4: the first 2xx is the call; every other one is acknowledged and ended.
#[test]
fn both_answer_in_the_same_instant_and_one_wins() {
    let (mut lab, client) = in_set_up(vec![sdp(800, 200)], vec![sdp(505, 200)]);
    lab.run(3_000);
    assert_eq!(lab.peers[0].codes(client), [200]);
    assert_eq!(lab.peers[1].open() + lab.peers[2].open(), 1, "one answered leg");
    let (winner, loser) = if lab.peers[1].open() == 1 { (1, 2) } else { (2, 1) };
    assert_eq!((lab.peers[loser].acks().len(), lab.peers[loser].requests(Method::Bye).len()), (1, 1));
    assert_eq!((lab.peers[winner].acks().len(), lab.peers[winner].requests(Method::Bye).len()), (1, 0));
    assert_eq!(lab.b2bua.counters().late_answers, 1);
    hang_up(&mut lab);
    let won = outcomes(&lab).iter().filter(|outcome| **outcome == AttemptOutcome::Answered).count();
    assert_eq!(won, 1, "{:?}", outcomes(&lab));
}

/// §9.1: the loser that never said anything gets its CANCEL when it first does; a 200 instead is acknowledged and ended.
#[test]
fn a_loser_that_was_silent_is_cancelled_when_it_speaks_and_ended_when_it_answers() {
    for (steps, cancels, byes) in [(vec![say(1_500, 180)], 1, 0), (vec![sdp(1_500, 200)], 0, 1)] {
        let mut lab = Lab::new(2);
        lab.peers[1].steps = vec![steps];
        lab.hush(1, 1_400);
        let client = lab.call("+4722");
        lab.run(300);
        lab.health(1, Health::Suspect);
        lab.run(600);
        assert_eq!(lab.peers[0].codes(client), [180, 200]);
        assert_eq!(lab.peers[1].cancels(), 0);
        lab.run(2_000);
        assert_eq!((lab.peers[1].cancels(), lab.peers[1].requests(Method::Bye).len()), (cancels, byes));
        assert_eq!(lab.b2bua.counters().late_replies, 1);
        assert!(matches!(lab.seen(1).last(), Some(Observed::FirstReply { .. })), "slow, and not dead");
        let replies = lab.seen(1).into_iter().filter(|seen| matches!(seen, Observed::FirstReply { .. })).count();
        assert_eq!(replies, 1, "told once");
        hang_up(&mut lab);
    }
}

#[test]
fn a_reply_after_the_deadline_is_told_of_too() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(1_500, 503)]];
    lab.hush(1, 1_400);
    lab.call("+4722");
    lab.run(3_000);
    let call = match lab.seen(1)[0] {
        Observed::AttemptStarted { call } => call,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(lab.seen(1).last(), Some(&Observed::FirstReply { call, after: MS(1_510) }));
    hang_up(&mut lab);
}

#[test]
fn the_callers_cancel_leaves_all() {
    let (mut lab, client) = in_set_up(vec![], vec![say(20, 180)]);
    lab.run(500);
    lab.cancel(client);
    lab.run(200);
    assert_eq!(lab.peers[0].codes(client), [180, 487]);
    assert_eq!((lab.peers[1].cancels(), lab.peers[2].cancels()), (1, 1));
    lab.settle();
    assert_eq!(lab.ended[0].ending, Ending::Cancelled);
    assert!(outcomes(&lab).iter().all(|outcome| matches!(outcome, AttemptOutcome::Abandoned { .. })));
}

/// The end of one attempt ends nothing while another runs.
#[test]
fn when_the_one_beside_fails_the_silent_one_goes_on_and_the_next_is_tried() {
    let (mut lab, client) = in_set_up(vec![], vec![say(20, 503)]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200], "carrier 3 took it");
    hang_up(&mut lab);
    assert!(matches!(
        outcomes(&lab)[..],
        [AttemptOutcome::Stalled { .. }, AttemptOutcome::Refused { code: 503, .. }, AttemptOutcome::Answered]
    ));
}

/// It may be the other attempt that makes the phone busy: the word is kept until that one has ended as well.
#[test]
fn busy_beside_a_silent_one_waits_for_it_and_tries_nobody_else() {
    let (mut lab, client) = in_set_up(vec![sdp(900, 200)], vec![say(20, 486)]);
    lab.run(400);
    assert!(lab.peers[0].codes(client).is_empty());
    lab.run(1_000);
    assert_eq!((lab.peers[0].codes(client), tried(&lab, 3)), (vec![200], 0));
    hang_up(&mut lab);

    let (mut lab, client) = in_set_up(vec![], vec![say(20, 486)]);
    lab.run(7_000);
    assert_eq!((lab.peers[0].codes(client), tried(&lab, 3)), (vec![486], 0), "once the silent one has stalled");
    lab.settle();
    assert!(matches!(outcomes(&lab)[..], [AttemptOutcome::Stalled { .. }, AttemptOutcome::Refused { code: 486, .. }]));
}

/// RFC 3261 §16.7 step 5.
#[test]
fn a_6xx_is_true_everywhere() {
    let (mut lab, client) = in_set_up(vec![], vec![say(20, 603)]);
    lab.run(100);
    assert_eq!((lab.peers[0].codes(client), lab.peers[1].cancels()), (vec![603], 1));
    lab.settle();
}

#[test]
fn when_the_front_one_fails_the_one_beside_takes_its_place() {
    // The first answers by 503 while the second has said nothing yet.
    let (mut lab, client) = in_set_up(vec![say(400, 503)], vec![say(300, 180), sdp(600, 200)]);
    lab.run(2_000);
    assert_eq!((lab.peers[0].codes(client), tried(&lab, 3)), (vec![180, 200], 0));
    let answer = lab.ok_body();
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[2].media));
    hang_up(&mut lab);
}

/// A call that rings at carrier 1 when that carrier dies.
fn ringing(second: Vec<Step>) -> (Lab, sip::ClientKey) {
    let mut lab = Lab::new(3);
    lab.peers[1].steps = vec![vec![sdp(100, 183)]];
    lab.peers[2].steps = vec![second];
    let client = lab.call("+4722");
    lab.run(300);
    lab.peers[1].dead = true;
    (lab, client)
}

/// A trunk that dies while it rings leaves its callers no ringback for ever: what its own transaction does not confirm is lost.
#[test]
fn a_ringing_call_is_answered_by_another_trunk_while_the_silent_one_is_asked() {
    let (mut lab, client) = ringing(vec![say(20, 180), sdp(300, 200)]);
    lab.health(1, Health::Down);
    lab.run(5);
    assert_eq!(tried(&lab, 2), 1, "at once");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [183, 200], "one ringback, one answer");
    hang_up(&mut lab);
    assert!(matches!(outcomes(&lab)[..], [AttemptOutcome::Outrun { progressed: true, .. }, AttemptOutcome::Answered]));
}

/// The other trunk is full when the first one falls, as it will be on the worst day: the call waits for a place there, and does not ring
/// for ever at a trunk that is gone.
#[test]
fn a_ringing_call_waits_for_a_place_at_a_trunk_that_is_full() {
    let (mut lab, client) = ringing(vec![say(20, 180), sdp(300, 200)]);
    lab.shape.trunks[2].as_mut().unwrap().limits.calls = Some(1);
    lab.shape.trunks[3].as_mut().unwrap().limits.calls = Some(0);
    lab.load.begin(lab.now, model::TrunkId(2));
    lab.health(1, Health::Down);
    lab.run(3_000);
    assert_eq!((lab.peers[0].codes(client), tried(&lab, 2)), (vec![183], 0), "its limit holds");
    lab.load.end(model::TrunkId(2));
    lab.run(1_500);
    assert_eq!((lab.peers[0].codes(client), tried(&lab, 2)), (vec![183, 200], 1));
    hang_up(&mut lab);
}

#[test]
fn when_the_questions_are_exhausted_the_caller_hears_what_it_has_missed() {
    let (mut lab, client) = ringing(vec![say(20, 180), sdp(5_000, 200)]);
    lab.health(1, Health::Down);
    lab.run(590);
    assert_eq!(lab.peers[0].codes(client), [183], "two ringbacks at once are not heard");
    lab.run(50);
    assert_eq!(lab.peers[0].codes(client), [183, 180]);
    assert_eq!(lab.b2bua.counters().asked_after, 3);
    lab.run(6_000);
    assert_eq!(lab.peers[0].codes(client), [183, 180, 200]);
    hang_up(&mut lab);
    assert!(matches!(outcomes(&lab)[..], [AttemptOutcome::WentSilent { .. }, AttemptOutcome::Answered]));
}

/// Doubt is no certainty: a phone rings twice only once a question went unanswered.
#[test]
fn at_a_trunk_in_doubt_the_question_comes_first() {
    let (mut lab, client) = ringing(vec![say(20, 180), sdp(300, 200)]);
    lab.health(1, Health::Suspect);
    lab.run(190);
    assert_eq!((lab.b2bua.counters().asked_after, tried(&lab, 2)), (1, 0));
    lab.run(30);
    assert_eq!(tried(&lab, 2), 1);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [183, 200]);
    hang_up(&mut lab);
}

/// One that rings on while its trunk is down says so when it is asked: the one begun beside it is left before it rings for long, the caller
/// hears nothing of either, and it is answered in the end.
#[test]
fn a_ringing_attempt_that_lives_is_left_in_peace() {
    let mut lab = Lab::new(3);
    lab.peers[1].steps = vec![vec![say(100, 180), sdp(8_000, 200)]];
    lab.peers[2].steps = vec![vec![say(20, 180), sdp(3_000, 200)]];
    let client = lab.call("+4722");
    lab.run(300);
    lab.health(1, Health::Down);
    lab.run(2_000);
    assert_eq!(
        (tried(&lab, 2), lab.peers[2].cancels(), tried(&lab, 3)),
        (1, 1, 0),
        "once, and not with every question"
    );
    lab.run(8_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert!(lab.b2bua.counters().asked_after > 3);
    hang_up(&mut lab);
    assert!(matches!(outcomes(&lab)[..], [AttemptOutcome::Answered, AttemptOutcome::Outrun { .. }]));
}

/// The trunk that was left because another one rang has not failed: it is tried again when that one is lost after all.
#[test]
fn one_that_vouched_for_itself_and_dies_later_is_moved_all_the_same() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(100, 180)]];
    let client = lab.call("+4722");
    lab.run(300);
    lab.health(1, Health::Down);
    lab.run(2_000);
    lab.peers[1].dead = true;
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(tried(&lab, 2), 2);
    hang_up(&mut lab);
    let two = [AttemptOutcome::Outrun { after: MS(10), progressed: false }, AttemptOutcome::Answered];
    assert_eq!(outcomes(&lab)[1..], two[..]);
}

/// A trunk that refuses new calls may refuse a question too, so its ringing calls are not asked.
#[test]
fn a_ringing_attempt_at_a_trunk_that_refuses_is_not_asked() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(100, 180), sdp(3_000, 200)]];
    let client = lab.call("+4722");
    lab.run(300);
    lab.health_because(1, Health::Down, Cause::CallsFailed { count: 3, limit: 3 });
    lab.run(5_000);
    assert_eq!((lab.peers[0].codes(client), tried(&lab, 2)), (vec![180, 200], 0));
    assert_eq!(lab.b2bua.counters().asked_after, 0);
    hang_up(&mut lab);
}

/// One rings at a time: the silent one that begins to ring after all, while another is heard, is left.
#[test]
fn a_silent_one_that_rings_late_is_left() {
    let (mut lab, client) = in_set_up(vec![say(900, 180)], vec![say(20, 180), sdp(3_000, 200)]);
    lab.run(4_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((lab.peers[1].cancels(), lab.peers[2].cancels()), (1, 0));
    hang_up(&mut lab);
}

/// And one that rings while the one beside it has not yet, keeps the call.
#[test]
fn a_silent_one_that_rings_first_is_kept_and_the_one_beside_it_left() {
    let (mut lab, client) = in_set_up(vec![say(400, 180), sdp(3_000, 200)], vec![say(900, 180), sdp(1_500, 200)]);
    lab.run(200);
    assert_eq!((lab.peers[0].codes(client), lab.peers[2].cancels()), (vec![180], 1), "before it rings as well");
    lab.run(4_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((lab.peers[1].cancels(), lab.peers[2].cancels()), (0, 1));
    hang_up(&mut lab);
}

#[test]
fn three_run_at_once_and_no_more() {
    let mut lab = Lab::new(5);
    for carrier in 1..=5 {
        lab.peers[carrier].steps = vec![vec![]];
    }
    let client = lab.call("+4722");
    for carrier in 1..=4 {
        lab.run(200);
        lab.health(carrier, Health::Down);
    }
    lab.run(1_000);
    let sent: Vec<usize> = (1..=5).map(|carrier| tried(&lab, carrier)).collect();
    assert_eq!(sent, [1, 1, 1, 0, 0]);
    lab.run(20_000);
    assert_eq!(lab.peers[0].codes(client).len(), 1, "one final answer");
    lab.settle();
}

#[test]
fn nothing_begins_beside_one_that_is_in_no_doubt_or_without_anyone_better() {
    use Health::{Down, Probation, Suspect};
    for (first, second, third) in [(Suspect, Suspect, Suspect), (Down, Down, Probation)] {
        let mut lab = Lab::new(3);
        lab.peers[1].steps = vec![vec![]];
        let client = lab.call("+4722");
        lab.health(2, second);
        lab.health(3, third);
        lab.run(100);
        lab.health(1, first);
        lab.run(2_000);
        assert_eq!((tried(&lab, 2), tried(&lab, 3)), (0, 0));
        lab.cancel(client);
        lab.settle();
    }
    // The second one is at work, and in no doubt: a third is not needed however often the first is looked at.
    let (mut lab, client) = in_set_up(vec![], vec![]);
    lab.run(3_000);
    assert_eq!((tried(&lab, 2), tried(&lab, 3)), (1, 0));
    lab.cancel(client);
    lab.settle();
}

/// The best candidate by the table of now is begun beside, not the next one of an old plan.
#[test]
fn a_candidate_in_doubt_by_now_is_passed_over() {
    let mut lab = Lab::new(3);
    lab.peers[1].steps = vec![vec![]];
    lab.call("+4722");
    lab.run(100);
    lab.health(2, Health::Down);
    lab.health(1, Health::Down);
    lab.run(1_000);
    assert_eq!((tried(&lab, 2), tried(&lab, 3)), (0, 1));
    hang_up(&mut lab);

    let mut lab = Lab::new(3);
    lab.peers[1].steps = vec![vec![say(200, 503)]];
    lab.call("+4722");
    lab.run(100);
    lab.health(2, Health::Down);
    lab.run(1_000);
    assert_eq!((tried(&lab, 2), tried(&lab, 3)), (0, 1), "nor is it next when the first has failed");
    hang_up(&mut lab);
}

/// Health is that of a target: the second address of the same trunk may be the better one.
#[test]
fn another_target_of_the_same_trunk_will_do() {
    let mut lab = Lab::new(2);
    let other = lab.profiles.trunks[2].as_ref().unwrap().targets[0];
    let second = act::Target { index: 1, ..other };
    lab.profiles.trunks[1].as_mut().unwrap().targets.push(second);
    lab.shape.trunks[1].as_mut().unwrap().targets = decide::TargetShape::in_order([0, 1]);
    let mut groups = lab.shape.groups().to_vec();
    groups[0].tiers.truncate(1);
    lab.shape = decide::Shape::new(lab.shape.trunks.clone(), groups, lab.shape.routes().to_vec());
    lab.table = decide::TrunkTable::new(&lab.shape);
    lab.peers[1].steps = vec![vec![]];
    let client = lab.call("+4722");
    lab.run(100);
    assert_eq!((tried(&lab, 1), tried(&lab, 2)), (1, 0));
    lab.health(1, Health::Down);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(lab.peers[2].open(), 1);
    hang_up(&mut lab);
}

#[test]
fn a_reinvite_goes_to_the_winners_leg() {
    for first in [vec![], vec![sdp(700, 200)]] {
        let (mut lab, _) = in_set_up(first.clone(), vec![say(20, 180), sdp(600, 200)]);
        lab.run(3_000);
        let winner = if first.is_empty() { 2 } else { 1 };
        lab.peers[0].media.set_port(4_444);
        lab.peers[0].describe("sendrecv");
        let again = lab.send_sdp(0, Method::Invite);
        lab.run(500);
        assert_eq!(lab.peers[0].codes(again), [200]);
        let inside = lab.peers[winner].requests(Method::Invite);
        assert_eq!(inside.len(), 2, "winner {winner}");
        assert!(inside[1].to().tag().is_some());
        let answer = lab.ok_body();
        assert_eq!(lab.speak(0, &answer), Some(lab.peers[winner].media));
        hang_up(&mut lab);
        assert_eq!(lab.ended[0].ending, Ending::Bye(Side::Caller));
    }
}

/// RFC 3261 §13.2.1: with a late offer the winner's 200 offers, and only the winner is acknowledged with the caller's answer.
#[test]
fn a_late_offer_with_two_attempts_is_answered_to_the_winner() {
    for (moved, first) in [(false, vec![]), (true, vec![sdp(30, 183)])] {
        let mut lab = Lab::new(2);
        if moved {
            let second = lab.profiles.trunks[2].as_mut().unwrap();
            second.listen = ListenId(0);
            second.targets[0].socket = SocketId(0);
        }
        lab.peers[1].steps = vec![first];
        lab.peers[2].steps = vec![vec![sdp(20, 183), sdp(300, 200)]];
        let client = lab.call_with(0, "+4722", vec![], &[]);
        lab.run(100);
        if moved {
            lab.peers[1].dead = true;
        }
        lab.health(1, Health::Down);
        lab.run(2_000);
        assert_eq!(lab.peers[0].codes(client), [183, 200]);
        let acks = lab.peers[2].acks();
        let answer = acks[0].body().to_vec();
        let ours = if moved { "c=IN IP4 198.51.100.9" } else { "c=IN IP4 203.0.113.9" };
        assert_eq!((acks.len(), line_of(&answer, "c=")), (1, ours));
        let offer = lab.peers[0].last(client).body().to_vec();
        assert_eq!(lab.speak(0, &offer), Some(lab.peers[2].media));
        assert_eq!(lab.speak(2, &answer), Some(lab.peers[0].media));
        hang_up(&mut lab);
    }
}

/// The loser's early audio goes to ports of its own: nobody hears it once another one has won, and it takes nothing from the winner.
#[test]
fn early_audio_of_the_loser_does_not_touch_the_winners() {
    let (mut lab, client) = ringing(vec![sdp(20, 183), sdp(400, 200)]);
    let early = lab.peers[0].responses(client).last().unwrap().body().to_vec();
    let first = lab.peers[1].requests(Method::Invite)[0].body().to_vec();
    assert_eq!(lab.speak(0, &early), Some(lab.peers[1].media));
    assert_eq!(lab.speak(1, &first), Some(lab.peers[0].media));
    lab.health(1, Health::Down);
    lab.run(200);
    let second = lab.peers[2].requests(Method::Invite)[0].body().to_vec();
    assert_eq!(lab.speak(2, &second), None, "beside the front one it is not heard");
    assert_eq!(lab.speak(1, &first), Some(lab.peers[0].media));
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [183, 200]);
    let answer = lab.ok_body();
    assert_eq!(lab.speak(1, &first), None, "the loser talks to nobody");
    assert_eq!(lab.speak(2, &second), Some(lab.peers[0].media));
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[2].media));
    assert_eq!(lab.relay.joined(), 2);
    hang_up(&mut lab);
    let media = lab.ended[0].media.unwrap();
    assert_eq!((media.first.relayed, media.second.relayed), (2, 3), "nothing that was heard is lost from the count");
}

#[test]
fn the_one_beside_may_leave_by_another_listen() {
    let mut lab = Lab::new(2);
    let second = lab.profiles.trunks[2].as_mut().unwrap();
    second.listen = ListenId(0);
    second.targets[0].socket = SocketId(0);
    lab.peers[1].steps = vec![vec![]];
    lab.call("+4722");
    lab.run(100);
    lab.health(1, Health::Down);
    lab.run(1_000);
    let (offer, answer) = (lab.peers[2].requests(Method::Invite)[0].body().to_vec(), lab.ok_body());
    assert_eq!(line_of(&offer, "c="), "c=IN IP4 198.51.100.9");
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[2].media));
    assert_eq!(lab.speak(2, &offer), Some(lab.peers[0].media));
    hang_up(&mut lab);
}

#[test]
fn without_a_port_for_it_nothing_begins_beside_and_the_call_goes_on() {
    let (mut lab, client) = {
        let mut lab = Lab::new(2);
        lab.peers[1].steps = vec![vec![sdp(900, 200)]];
        let client = lab.call("+4722");
        lab.run(100);
        (lab, client)
    };
    let mut taken = Vec::new();
    while let Some((pair, _)) = lab.ports.take(ListenId(1)) {
        taken.push(pair);
    }
    lab.health(1, Health::Down);
    lab.run(2_000);
    assert_eq!((lab.peers[0].codes(client), tried(&lab, 2)), (vec![200], 0));
    assert!(lab.b2bua.counters().no_ports > 0);
    for pair in taken {
        lab.ports.release(lab.now, pair);
    }
    hang_up(&mut lab);
}

#[test]
fn a_challenge_to_the_one_beside_is_answered() {
    let header = ("WWW-Authenticate", "Digest realm=\"carrier\", nonce=\"abc\", qop=\"auth\", algorithm=MD5");
    let mut lab = Lab::new(2);
    let credentials = sip::auth::Credentials { user: "edge".into(), secret: "s3cret".into(), realm: None };
    lab.profiles.trunks[2].as_mut().unwrap().auth = Some(credentials);
    lab.peers[1].steps = vec![vec![]];
    lab.peers[2].steps = vec![vec![Step { headers: vec![header], ..say(10, 401) }], vec![say(10, 180), sdp(50, 200)]];
    let client = lab.call("+4722");
    lab.run(300);
    lab.health(1, Health::Down);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let invites = lab.peers[2].requests(Method::Invite);
    assert_eq!(invites.len(), 2);
    assert_eq!(invites[0].body(), invites[1].body(), "the same ports of its own");
    assert!(invites[1].header(HeaderName::Authorization).is_some());
    let (answer, offer) = (lab.ok_body(), invites[1].body().to_vec());
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[2].media));
    assert_eq!(lab.speak(2, &offer), Some(lab.peers[0].media));
    hang_up(&mut lab);
    assert_eq!(lab.ended[0].attempts.len(), 2);
}

/// What it answers cannot be read: the one it was promoted over has its own ports back.
#[test]
fn an_unusable_answer_beside_gives_the_front_its_place_back() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![sdp(900, 200)]];
    lab.peers[2].steps = vec![vec![sdp(50, 200)]];
    lab.peers[2].codec = "PCMA/8000\r\nm=nonsense";
    let client = lab.call("+4722");
    lab.run(300);
    lab.health(1, Health::Down);
    lab.run(3_000);
    assert_eq!(lab.peers[0].codes(client), [200]);
    assert_eq!((lab.peers[1].open(), lab.peers[2].open()), (1, 0));
    let (answer, offer) = (lab.ok_body(), lab.peers[1].requests(Method::Invite)[0].body().to_vec());
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[1].media));
    assert_eq!(lab.speak(1, &offer), Some(lab.peers[0].media));
    hang_up(&mut lab);
}

/// Only calls in set-up at a target that became worse are touched.
#[test]
fn a_table_that_says_nothing_worse_touches_nobody() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(100, 180), sdp(4_000, 200)]];
    lab.call("+4722");
    lab.run(300);
    lab.health(1, Health::Down);
    lab.run(20);
    let asked = lab.b2bua.counters().asked_after;
    assert_eq!(asked, 1);
    for other in [Health::Up, Health::Suspect, Health::Up] {
        lab.health(2, other);
    }
    assert_eq!(lab.b2bua.counters().asked_after, asked);
    lab.run(5_000);
    hang_up(&mut lab);
}
