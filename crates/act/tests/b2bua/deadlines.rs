//! Deadlines and repetitions that follow a target's own past, the hedge, the caps and the retry budget.

use crate::peer::{say, sdp};
use crate::world::Lab;
use act::Ending;
use decide::Hedge;
use model::{AttemptOutcome, Begun, Health, Instant, Observed, Span};
use sip::{HeaderName, Method};

const MS: fn(u64) -> Span = Span::from_millis;

fn hang_up(lab: &mut Lab) {
    let now = lab.now;
    for session in 0..lab.peers[0].sessions.len() {
        if lab.peers[0].sessions[session].answered && !lab.peers[0].sessions[session].over {
            lab.peers[0].send(now, session, Method::Bye, "", vec![]);
        }
    }
    lab.settle();
}

/// When the INVITEs to a carrier left, since the call that was placed at `began` reached the edge.
fn invites(lab: &Lab, carrier: usize, began: Instant) -> Vec<Span> {
    let (to, began) = (lab.peers[carrier].addr, began + MS(5));
    let invites =
        lab.sent.iter().filter(|(_, peer, sent)| *peer == to && sent.is_request() && sent.method() == Method::Invite);
    invites.map(|(at, ..)| at.since(began)).collect()
}

#[test]
fn a_quick_trunk_that_falls_silent_is_left_sooner_and_its_lost_packet_repaired_before() {
    let mut lab = Lab::new(2);
    lab.pace(1, 20);
    lab.peers[1].dead = true;
    let client = lab.call("+4722");
    let began = lab.now;
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(invites(&lab, 1, began)[..3], [MS(0), MS(80), MS(240)], "T1 is 80 ms at least");
    assert_eq!(invites(&lab, 2, began), [MS(250)], "four times 20 ms, and 250 ms at least");
    hang_up(&mut lab);
    assert_eq!(lab.ended[0].attempts[0].outcome, AttemptOutcome::NoReply { after: MS(250) });
}

#[test]
fn t1_is_twice_the_usual_reply_and_never_longer_than_configured() {
    for (pace, first_repeat) in [(60, 120), (400, 250)] {
        let mut lab = Lab::new(1);
        lab.pace(1, pace);
        lab.peers[1].dead = true;
        lab.call("+4722");
        let began = lab.now;
        lab.run(1_000);
        assert_eq!(invites(&lab, 1, began)[1], MS(first_repeat));
        lab.settle();
    }
}

/// The last candidate gets all the time there is: leaving it early helps nobody.
#[test]
fn a_slow_trunk_gets_its_own_time_and_the_last_one_all() {
    let mut lab = Lab::new(2);
    lab.pace(1, 400);
    lab.peers[1].dead = true;
    lab.peers[2].dead = true;
    lab.pace(2, 10);
    let client = lab.call("+4722");
    let began = lab.now;
    lab.run(5_000);
    assert_eq!(invites(&lab, 2, began)[0], MS(1_600));
    assert_eq!(lab.peers[0].last_at(client).since(began), MS(1_600 + 2_000 + 10));
    lab.settle();
}

#[test]
fn a_fixed_deadline_does_not_follow() {
    let mut lab = Lab::new(2);
    lab.pace(1, 20);
    let policy = lab.attempt_policy(1);
    (policy.learned, policy.first_reply) = (None, MS(700));
    lab.peers[1].dead = true;
    lab.call("+4722");
    let began = lab.now;
    lab.run(1_200);
    assert_eq!(invites(&lab, 2, began), [MS(700)]);
    hang_up(&mut lab);
}

/// A 2xx repeated by the peer is acknowledged again long after 64 times a short T1 of ours (RFC 6026 §7.2).
#[test]
fn a_short_t1_forgets_no_2xx() {
    let mut lab = Lab::new(1);
    lab.pace(1, 20);
    lab.peers[1].steps = vec![vec![sdp(50, 200)]];
    let client = lab.call("+4722");
    lab.run(60);
    // The ACK is lost as long as it says nothing: the peer repeats its 200.
    lab.peers[1].dead = true;
    lab.run(10);
    lab.peers[1].dead = false;
    lab.run(12_000);
    assert_eq!(lab.peers[0].codes(client), [200]);
    assert_eq!(lab.peers[1].acks().len(), 1);
    hang_up(&mut lab);
}

#[test]
fn control_hears_of_a_late_attempt_when_it_is_late_for_this_trunk() {
    for (pace, first) in [(None, 500), (Some(20), 250), (Some(100), 400), (Some(300), 1_200)] {
        let mut lab = Lab::new(1);
        if let Some(pace) = pace {
            lab.pace(1, pace);
        }
        lab.peers[1].dead = true;
        lab.call("+4722");
        lab.run(1_900);
        let told = lab.seen(1).into_iter().filter_map(|seen| match seen {
            Observed::Waiting { after, .. } => Some(after),
            _ => None,
        });
        let told: Vec<Span> = told.collect();
        assert_eq!(told[0], MS(first), "{pace:?}");
        let pause = MS(first.min(500));
        assert!(told.windows(2).all(|pair| pair[1] - pair[0] == pause), "{pace:?}: {told:?}");
        lab.settle();
    }
}

fn hedging(share: u8) -> Lab {
    let mut lab = Lab::new(3);
    lab.pace(1, 40);
    lab.attempt_policy(1).hedge = Some(Hedge { share });
    lab.peers[0].steps = vec![vec![say(10, 180)]];
    lab
}

#[test]
fn a_hedge_wins_when_the_first_is_slower_than_usual() {
    let mut lab = hedging(100);
    lab.peers[1].dead = true;
    let client = lab.call("+4722");
    let began = lab.now;
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((invites(&lab, 2, began), invites(&lab, 3, began)), (vec![MS(40)], vec![]));
    hang_up(&mut lab);
    let attempts = &lab.ended[0].attempts;
    assert!(matches!(attempts[0].outcome, AttemptOutcome::Outrun { progressed: false, .. }), "{attempts:?}");
    assert_eq!((attempts[1].begun, attempts[1].outcome), (Begun::Hedge, AttemptOutcome::Answered));
    assert_eq!(lab.b2bua.counters().hedged, 1);
}

#[test]
fn a_hedge_loses_when_the_first_rings_before_it() {
    let mut lab = hedging(100);
    // Its 100 is late; then it rings at once.
    lab.hush(1, 55);
    lab.peers[1].steps = vec![vec![say(60, 180), sdp(1_000, 200)]];
    lab.peers[2].steps = vec![vec![say(300, 180), sdp(600, 200)]];
    let client = lab.call("+4722");
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((lab.peers[1].open(), lab.peers[2].cancels()), (1, 1));
    hang_up(&mut lab);
    let attempts = &lab.ended[0].attempts;
    assert!(matches!(attempts[1].outcome, AttemptOutcome::Outrun { .. }));
    assert_eq!(attempts[0].outcome, AttemptOutcome::Answered);
}

#[test]
fn nothing_is_hedged_once_there_is_a_reply_nor_without_a_pace_nor_by_default() {
    for (hedge, pace, silent) in [(Some(100), Some(40), false), (Some(100), None, true), (None, Some(40), true)] {
        let mut lab = Lab::new(2);
        lab.attempt_policy(1).hedge = hedge.map(|share| Hedge { share });
        if let Some(pace) = pace {
            lab.pace(1, pace);
        }
        lab.peers[1].steps = vec![vec![say(2_000, 180)]];
        if silent {
            lab.hush(1, 240);
        }
        let client = lab.call("+4722");
        lab.run(230);
        assert_eq!(lab.peers[2].requests(Method::Invite).len(), 0);
        lab.cancel(client);
        lab.settle();
    }
}

#[test]
fn hedges_are_capped_by_their_share_of_calls() {
    let mut lab = hedging(20);
    lab.peers[1].dead = true;
    for call in 0..10 {
        lab.call(&format!("+47{call}"));
    }
    lab.run(200);
    assert_eq!(lab.b2bua.counters().hedged, 2, "a fifth of ten");
    lab.run(2_000);
    hang_up(&mut lab);
}

/// A failure of one in doubt is never hedged into one in doubt.
#[test]
fn nothing_is_hedged_by_a_trunk_in_doubt() {
    let mut lab = hedging(100);
    lab.health(2, Health::Suspect);
    lab.health(3, Health::Down);
    lab.peers[1].steps = vec![vec![sdp(200, 200)]];
    lab.hush(1, 150);
    lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.b2bua.counters().hedged, 0);
    hang_up(&mut lab);
}

/// The plan is as old as the call: what its trunks carry is looked at when the attempt is made.
#[test]
fn a_cap_holds_for_those_who_come_by_a_hunt() {
    let mut lab = Lab::new(3);
    lab.shape.trunks[2].as_mut().unwrap().limits.calls = Some(2);
    lab.peers[1].steps = vec![vec![say(100, 503)]];
    let clients: Vec<_> = (0..5).map(|call| lab.call(&format!("+47{call}"))).collect();
    lab.run(150);
    assert_eq!(lab.load.calls[1..], [0, 2, 3], "the plans of all five had room there");
    lab.run(1_000);
    for client in clients {
        assert_eq!(lab.peers[0].codes(client), [180, 200]);
    }
    hang_up(&mut lab);
}

#[test]
fn a_rate_holds_too_and_when_nobody_is_left_the_caller_may_come_again() {
    let mut lab = Lab::new(2);
    lab.shape.trunks[2].as_mut().unwrap().limits.cps = Some(1);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    let clients = [lab.call("+471"), lab.call("+472")];
    let emergency = lab.call("112");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(clients[0]), [180, 200]);
    assert_eq!(lab.peers[0].codes(clients[1]), [503]);
    assert!(lab.peers[0].last(clients[1]).header(HeaderName::RetryAfter).is_some());
    assert_eq!(lab.peers[0].codes(emergency), [180, 200], "RFC 5031: it passes");
    hang_up(&mut lab);
}

/// A storm of failures: the backup is offered a hundred calls and a fifth of all, not all of them again.
#[test]
fn the_retry_budget_ends_hunts_and_emergency_calls_pass() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[2].steps = vec![vec![say(10, 486)]];
    let calls = 149;
    let clients: Vec<_> = (0..calls)
        .map(|call| {
            let client = lab.call(&format!("+47{call}"));
            lab.run(50);
            client
        })
        .collect();
    let last = *clients.last().unwrap();
    let refusal = lab.peers[0].last(last);
    assert_eq!(refusal.status(), Some(503));
    assert!(refusal.header(HeaderName::RetryAfter).is_some());
    let tried = lab.peers[2].requests(Method::Invite).len();
    assert_eq!(tried, 100 + calls as usize / 5);
    assert_eq!(lab.b2bua.counters().retries_refused, calls - tried as u64);
    let emergency = lab.call("112");
    lab.run(100);
    assert_eq!(lab.peers[0].codes(emergency), [486], "it reached the second trunk");
    // A minute later all is forgotten.
    lab.run(61_000);
    let later = lab.call("+47");
    lab.run(100);
    assert_eq!(lab.peers[0].codes(later), [486]);
    lab.settle();
    let spared = lab.ended.iter().filter(|call| call.ending == Ending::OutOfRetries(503)).count();
    assert_eq!(spared as u64, lab.b2bua.counters().retries_refused);
}

/// Beside a silent attempt nothing begins that the budget refuses, and the call goes on with the attempt it has.
#[test]
fn the_budget_holds_back_attempts_beside_as_well() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[2].steps = vec![vec![say(10, 486)]];
    for call in 0..140 {
        lab.call(&format!("+47{call}"));
        lab.run(50);
    }
    let before = lab.peers[2].requests(Method::Invite).len();
    lab.peers[1].steps = vec![vec![sdp(3_000, 200)]];
    let client = lab.call("+47");
    lab.run(100);
    lab.health(1, Health::Down);
    lab.run(4_000);
    assert_eq!(lab.peers[0].codes(client), [200]);
    assert_eq!(lab.peers[2].requests(Method::Invite).len(), before);
    hang_up(&mut lab);
}
