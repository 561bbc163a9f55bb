//! Hunts: when the next carrier is tried and when not, what the caller hears, and how an attempt is left.

use crate::peer::{Step, say, sdp};
use crate::world::{Lab, OFFER};
use act::Ending;
use decide::Cause;
use model::{AttemptOutcome, Health, ListenId, Observed, SocketId, Span, TransportFault, Wish};
use sip::{HeaderName, Method};

const MS: fn(u64) -> Span = Span::from_millis;

fn hang_up(lab: &mut Lab) {
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// INVITEs to carrier `index`: 0 without retransmissions means it was not tried.
fn tried(lab: &Lab, index: usize) -> usize {
    lab.peers[index].requests(Method::Invite).len()
}

#[test]
fn busy_is_the_called_partys_word_and_ends_the_hunt() {
    for code in [486, 603, 404, 484, 600, 604, 410] {
        let mut lab = Lab::new(2);
        let headers = vec![("Reason", "Q.850;cause=17"), ("Server", "carrier")];
        lab.peers[1].steps = vec![vec![Step { headers, ..say(10, code) }]];
        let client = lab.call("+4722");
        lab.run(200);
        assert_eq!(lab.peers[0].codes(client), [code]);
        let refusal = lab.peers[0].last(client);
        assert_eq!(refusal.header(HeaderName::Reason), Some(&b"Q.850;cause=17"[..]));
        assert!(refusal.header(HeaderName::Server).is_none());
        assert_eq!(tried(&lab, 2), 0);
        lab.settle();
        assert_eq!(lab.ended[0].ending, Ending::Refused(code));
        let outcome = AttemptOutcome::Refused { code, q850: Some(17), retry_after: None };
        assert_eq!(lab.ended[0].attempts[0].outcome, outcome);
    }
}

#[test]
fn a_503_moves_on_at_once() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![Step { headers: vec![("Retry-After", "30")], ..say(10, 503) }]];
    let client = lab.call("+4722");
    let began = lab.now;
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200], "the caller hears nothing of the 503");
    assert_eq!(lab.peers[2].requests_at(Method::Invite)[0].since(began), MS(5 + 5 + 10 + 5 + 5));
    let outcome = AttemptOutcome::Refused { code: 503, q850: None, retry_after: Some(Span::from_secs(30)) };
    assert!(matches!(lab.seen(1).last(), Some(Observed::Attempt { outcome: seen, .. }) if *seen == outcome));
    hang_up(&mut lab);
    let attempts = &lab.ended[0].attempts;
    assert_eq!(attempts.iter().map(|attempt| attempt.outcome).collect::<Vec<_>>(), [outcome, AttemptOutcome::Answered]);
    assert_ne!(attempts[0].call_id, attempts[1].call_id);
}

/// The product in one test: a silent carrier costs its first caller one second, not Timer B.
#[test]
fn a_silent_trunk_is_left_after_a_second() {
    let mut lab = Lab::new(2);
    lab.peers[1].dead = true;
    let client = lab.call("+4722");
    let began = lab.now;
    lab.run(1_500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(lab.peers[2].requests_at(Method::Invite)[0].since(began), MS(1_000 + 5 + 5));
    let sent = lab.sent.iter().filter(|(_, to, sent)| *to == lab.peers[1].addr && sent.method() == Method::Invite);
    assert_eq!(sent.count(), 3, "T1 is 250 ms: one packet lost, even two, are repaired before the deadline");
    let cancels = lab.sent.iter().filter(|(_, _, sent)| sent.is_request() && sent.method() == Method::Cancel);
    assert_eq!(cancels.count(), 0, "9.1: no CANCEL before a provisional response");
    let late = lab.seen(1).iter().filter(|seen| matches!(seen, Observed::Waiting { trying: false, .. })).count();
    assert_eq!(late, 1);
    hang_up(&mut lab);
    assert_eq!(lab.ended[0].attempts[0].outcome, AttemptOutcome::NoReply { after: MS(1_000) });
}

#[test]
fn one_that_wakes_up_after_it_was_left_is_cancelled() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(1_500, 180)]];
    // Its 100 is lost: nothing is heard of it before the deadline.
    lab.hush(1, 1_200);
    let client = lab.call("+4722");
    lab.run(3_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(lab.peers[1].cancels(), 1);
    hang_up(&mut lab);
}

#[test]
fn a_late_200_is_acknowledged_and_ended() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![sdp(1_500, 200)]];
    lab.hush(1, 1_400);
    let client = lab.call("+4722");
    lab.run(3_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((lab.peers[1].acks().len(), lab.peers[1].requests(Method::Bye).len()), (1, 1));
    assert!(lab.peers[1].requests(Method::Bye)[0].header(HeaderName::Reason).is_some());
    assert_eq!((lab.peers[1].open(), lab.peers[2].open(), lab.b2bua.calls()), (0, 1, 1));
    assert_eq!(lab.b2bua.counters().late_answers, 1);
    hang_up(&mut lab);
}

#[test]
fn one_that_says_100_and_nothing_more_has_stalled_after_six_seconds() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![]];
    let client = lab.call("+4722");
    let began = lab.now;
    lab.run(7_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(lab.peers[2].requests_at(Method::Invite)[0].since(began), MS(6_000 + 10 + 10));
    assert_eq!(lab.peers[1].cancels(), 1);
    let late: Vec<Span> = lab
        .seen(1)
        .iter()
        .filter_map(|seen| match seen {
            Observed::Waiting { trying: true, after, .. } => Some(*after),
            _ => None,
        })
        .collect();
    assert_eq!(late[..4], [MS(500), MS(1_000), MS(1_500), MS(2_000)], "told every half second");
    hang_up(&mut lab);
    assert!(matches!(lab.ended[0].attempts[0].outcome, AttemptOutcome::Stalled { .. }));
}

#[test]
fn a_closed_port_moves_on_in_a_round_trip() {
    let mut lab = Lab::new(2);
    lab.peers[1].closed = true;
    let client = lab.call("+4722");
    let began = lab.now;
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(lab.peers[2].requests_at(Method::Invite)[0].since(began), MS(15));
    hang_up(&mut lab);
    let fault = TransportFault::PortUnreachable;
    assert_eq!(lab.ended[0].attempts[0].outcome, AttemptOutcome::Unreachable { fault });
}

#[test]
fn all_silent_is_503_within_the_hunt() {
    let mut lab = Lab::new(3);
    for carrier in 1..=3 {
        lab.peers[carrier].dead = true;
    }
    let client = lab.call("+4722");
    let began = lab.now;
    lab.run(5_000);
    assert_eq!(lab.peers[0].codes(client), [503]);
    assert_eq!(
        lab.peers[0].last_at(client).since(began),
        MS(1_000 + 1_000 + 2_000 + 10),
        "the last one gets the time there is"
    );
    lab.settle();
    assert_eq!(lab.ended[0].attempts.len(), 3);
}

#[test]
fn the_hunt_has_an_end_however_many_carriers_stall() {
    let mut lab = Lab::new(8);
    for carrier in 1..=8 {
        lab.peers[carrier].steps = vec![vec![]];
    }
    let client = lab.call("+4722");
    let began = lab.now;
    lab.run(20_000);
    assert_eq!(lab.peers[0].codes(client), [504]);
    assert_eq!(lab.peers[0].last_at(client).since(began), MS(12_000 + 10));
    lab.settle();
}

#[test]
fn nobody_is_rung_twice_after_ringing_was_heard() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(10, 180), say(200, 503)]];
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 503]);
    assert_eq!(tried(&lab, 2), 0);
    lab.settle();
}

#[test]
fn ringing_for_ever_is_ended() {
    let mut lab = Lab::new(2);
    lab.attempt_policy(1).ring = Span::from_secs(30);
    lab.peers[1].steps = vec![vec![say(10, 180)]];
    let client = lab.call("+4722");
    lab.run(31_000);
    assert_eq!(lab.peers[0].codes(client), [180, 480]);
    assert_eq!((lab.peers[1].cancels(), tried(&lab, 2)), (1, 0));
    lab.settle();
    assert!(matches!(lab.ended[0].attempts[0].outcome, AttemptOutcome::RingTimeout { .. }));
}

/// A B2BUA that follows no redirects hides the contacts, and another carrier may take the call.
#[test]
fn a_redirect_is_not_passed_on() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(10, 302)]];
    lab.peers[2].steps = vec![vec![say(10, 302)]];
    let client = lab.call("+4722");
    lab.run(200);
    assert_eq!(lab.peers[0].codes(client), [503]);
    assert!(lab.peers[0].last(client).contact().is_none());
    assert_eq!(tried(&lab, 2), 1);
    lab.settle();
}

#[test]
fn the_better_refusal_wins_over_the_last_one() {
    let mut lab = Lab::new(2);
    lab.attempt_policy(1).move_on = vec![403];
    lab.peers[1].steps = vec![vec![say(10, 403)]];
    lab.peers[2].steps = vec![vec![say(10, 503)]];
    let client = lab.call("+4722");
    lab.run(200);
    assert_eq!(lab.peers[0].codes(client), [403]);
    lab.settle();
}

/// When every carrier is Down they are tried all the same.
#[test]
fn the_last_resort_is_tried() {
    let mut lab = Lab::new(2);
    lab.health(1, Health::Down);
    lab.health(2, Health::Down);
    let client = lab.call("+4722");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    hang_up(&mut lab);
    assert!(lab.ended[0].plan.as_ref().unwrap().last_resort);
}

/// A call in flight need not wait out its deadline once the table knows that its trunk is down.
#[test]
fn a_waiting_attempt_is_accompanied_when_its_trunk_goes_down() {
    for to in [Health::Suspect, Health::Down] {
        let mut lab = Lab::new(2);
        lab.health(2, Health::Up);
        lab.peers[1].steps = vec![vec![]];
        let client = lab.call("+4722");
        let began = lab.now;
        lab.run(1_200);
        lab.health(1, to);
        lab.run(1_500);
        assert_eq!(lab.peers[0].codes(client), [180, 200], "{to:?}");
        let at = lab.peers[2].requests_at(Method::Invite)[0].since(began);
        assert_eq!(at, MS(1_200 + 5), "at once, not at the next look");
        assert_eq!(lab.peers[1].cancels(), 1);
        hang_up(&mut lab);
    }
}

#[test]
fn it_is_not_left_when_nothing_better_is_there_or_it_rings_already() {
    for (second, steps) in [(Health::Suspect, vec![]), (Health::Probation, vec![]), (Health::Up, vec![say(20, 180)])] {
        let mut lab = Lab::new(2);
        lab.peers[1].steps = vec![steps];
        let client = lab.call("+4722");
        lab.run(50);
        lab.health(2, second);
        lab.health(1, Health::Suspect);
        lab.run(2_500);
        assert_eq!(tried(&lab, 2), 0, "{second:?}");
        lab.cancel(client);
        lab.settle();
    }
}

/// The caller's port stays while the callee's side moves to the listen of the next trunk.
#[test]
fn a_hunt_across_listens_moves_the_callees_side_only() {
    let mut lab = Lab::new(2);
    lab.attempt_policy(1).hunt_after_progress = true;
    let second = lab.profiles.trunks[2].as_mut().unwrap();
    second.listen = ListenId(0);
    second.targets[0].socket = SocketId(0);
    lab.peers[1].steps = vec![vec![sdp(10, 183), say(100, 503)]];
    let client = lab.call("+4722");
    lab.run(60);
    let early = lab.peers[0].responses(client).last().unwrap().body().to_vec();
    assert_eq!(lab.speak(0, &early), Some(lab.peers[1].media));
    lab.run(1_000);
    let offer = lab.peers[2].requests(Method::Invite)[0].body().to_vec();
    assert!(String::from_utf8(offer.clone()).unwrap().contains("c=IN IP4 198.51.100.9"));
    assert_eq!(lab.speak(0, &early), Some(lab.peers[2].media));
    assert_eq!(lab.speak(2, &offer), Some(lab.peers[0].media));
    assert_eq!(lab.relay.joined(), 2);
    hang_up(&mut lab);
}

/// A listen without ports is no reason to lose a call that another listen can carry, first or in the middle of a hunt.
#[test]
fn a_trunk_whose_listen_has_no_port_left_is_passed_over() {
    // The last trunk leaves by the office's own listen; those before it by the other one, which has no port any more.
    for refused_first in [false, true] {
        let last = if refused_first { 3 } else { 2 };
        let mut lab = Lab::new(last);
        let by_lan: &[usize] = if refused_first { &[1, 3] } else { &[2] };
        for trunk in by_lan {
            let trunk = lab.profiles.trunks[*trunk].as_mut().unwrap();
            trunk.listen = ListenId(0);
            trunk.targets[0].socket = SocketId(0);
        }
        if refused_first {
            lab.peers[1].steps = vec![vec![say(10, 503)]];
        }
        let taken: Vec<_> = core::iter::from_fn(|| lab.ports.take(ListenId(1))).collect();
        let client = lab.call("+4722");
        lab.run(500);
        assert_eq!(lab.peers[0].codes(client), [180, 200], "refused first: {refused_first}");
        assert_eq!((tried(&lab, last - 1), tried(&lab, last)), (0, 1));
        taken.into_iter().for_each(|(pair, _)| lab.ports.release(lab.now, pair));
        hang_up(&mut lab);
        assert_eq!(lab.ended[0].attempts.len(), 1 + usize::from(refused_first), "what was never sent is no attempt");
    }
}

/// Whoever calls for help by the name of the service gets through, and the carrier hears that name (RFC 5031).
#[test]
fn an_emergency_service_is_called_by_its_urn() {
    let headers = vec![("WWW-Authenticate", "Digest realm=\"carrier\", nonce=\"abc\", qop=\"auth\", algorithm=MD5")];
    let mut lab = Lab::new(1);
    lab.profiles.trunks[1].as_mut().unwrap().auth =
        Some(sip::auth::Credentials { user: "edge".into(), secret: "s3cret".into(), realm: None });
    lab.shape.trunks[1].as_mut().unwrap().limits.calls = Some(0);
    lab.peers[1].steps = vec![vec![Step { headers, ..say(10, 401) }], vec![say(10, 180), sdp(50, 200)]];
    let client = lab.call("urn:service:sos.fire");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let invites = lab.peers[1].requests(Method::Invite);
    assert_eq!((invites.len(), invites[1].uri()), (2, &b"urn:service:sos.fire"[..]));
    assert_eq!(invites[1].to().uri, b"urn:service:sos.fire");
    let signed = String::from_utf8(invites[1].header(HeaderName::Authorization).unwrap().to_vec()).unwrap();
    assert!(signed.contains("uri=\"urn:service:sos.fire\""), "{signed}");
    hang_up(&mut lab);
    assert_eq!(lab.ended[0].called, b"urn:service:sos.fire");
    for other in ["urn:service:sosfoo", "urn:service:counseling"] {
        let client = lab.call(other);
        lab.run(100);
        assert_eq!(lab.peers[0].codes(client), [503], "{other}: no emergency, and the trunk is full");
    }
}

/// A trunk whose listen has no audio address cannot take a call that is anchored already; the others can.
#[test]
fn a_trunk_that_cannot_be_anchored_is_passed_over() {
    let mut lab = Lab::new(3);
    lab.profiles.listens.push(act::ListenProfile {
        name: model::Name::from("bare"),
        sockets: vec![SocketId(1)],
        media: None,
        media_bind: None,
    });
    lab.profiles.trunks[2].as_mut().unwrap().listen = ListenId(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    let client = lab.call("+4722");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((tried(&lab, 2), tried(&lab, 3)), (0, 1));
    hang_up(&mut lab);
}

#[test]
fn a_challenge_is_answered_with_the_trunks_credentials_once() {
    let challenge = || {
        let headers =
            vec![("WWW-Authenticate", "Digest realm=\"carrier\", nonce=\"abc\", qop=\"auth\", algorithm=MD5")];
        Step { headers, ..say(10, 401) }
    };
    let mut lab = Lab::new(2);
    let trunk = lab.profiles.trunks[1].as_mut().unwrap();
    trunk.auth = Some(sip::auth::Credentials { user: "edge".into(), secret: "s3cret".into(), realm: None });
    lab.peers[1].steps = vec![vec![challenge()], vec![say(10, 180), sdp(50, 200)]];
    let client = lab.call("+4722");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let invites = lab.peers[1].requests(Method::Invite);
    assert_eq!(invites.len(), 2);
    assert_eq!(invites[0].call_id(), invites[1].call_id());
    assert_eq!((invites[0].cseq().number, invites[1].cseq().number), (1, 2));
    assert!(invites[1].header(HeaderName::Authorization).is_some());
    hang_up(&mut lab);
    assert_eq!(lab.ended[0].attempts.len(), 1, "one attempt, however often its INVITE is sent");

    // Refused again: the credentials are wrong; the caller is not asked for ours.
    let mut lab = Lab::new(1);
    let trunk = lab.profiles.trunks[1].as_mut().unwrap();
    trunk.auth = Some(sip::auth::Credentials { user: "edge".into(), secret: "wrong".into(), realm: None });
    lab.peers[1].steps = vec![vec![challenge()]];
    let client = lab.call("+4722");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [403]);
    assert!(lab.peers[0].last(client).header(HeaderName::WwwAuthenticate).is_none());
    assert_eq!(tried(&lab, 1), 2);
    lab.settle();
}

#[test]
fn an_answer_that_cannot_be_used_is_ended_and_the_next_is_tried() {
    let mut lab = Lab::new(2);
    let broken = vec![("Content-Type", "application/sdp")];
    lab.peers[1].steps = vec![vec![Step { headers: broken, ..sdp(10, 200) }]];
    lab.peers[1].codec = "PCMA/8000\r\nm=nonsense";
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((lab.peers[1].open(), lab.peers[2].open()), (0, 1));
    hang_up(&mut lab);
}

#[test]
fn limits_count_attempts_while_they_last() {
    let mut lab = Lab::new(2);
    lab.shape.trunks[1].as_mut().unwrap().limits.calls = Some(1);
    lab.call("+4722");
    lab.run(300);
    let second = lab.call("+4733");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(second), [180, 200]);
    assert_eq!((tried(&lab, 1), tried(&lab, 2)), (1, 1));
    assert_eq!(lab.load.calls, [2, 1, 1], "each call counts on the trunk it came from and on the one that carries it");
    hang_up_all(&mut lab);
}

fn hang_up_all(lab: &mut Lab) {
    let now = lab.now;
    for session in 0..lab.peers[0].sessions.len() {
        lab.peers[0].send(now, session, Method::Bye, "", vec![]);
    }
    lab.settle();
}

/// What a carrier says of its own hosts stays with it.
#[test]
fn a_warning_does_not_name_the_carriers_host() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps =
        vec![vec![Step { headers: vec![("Warning", "399 sbc7.carrier.example \"no\"")], ..say(10, 488) }]];
    let client = lab.call("+4722");
    lab.run(100);
    assert!(lab.peers[0].last(client).named("Warning").is_none());
    lab.settle();
}

/// An emergency number passes the limits that hold others back.
#[test]
fn an_emergency_call_passes_limits() {
    let mut lab = Lab::new(1);
    lab.shape.trunks[1].as_mut().unwrap().limits.calls = Some(0);
    let other = lab.call("+4722");
    let emergency = lab.call("112");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(other), [503]);
    assert_eq!(lab.peers[0].codes(emergency), [180, 200]);
    hang_up_all(&mut lab);
}

/// The plan is made when the call comes in; what has become full meanwhile is passed over, or a limit would be no limit.
#[test]
fn a_trunk_that_has_become_full_is_passed_over() {
    for (calls, codes) in [(Some(1), vec![503]), (Some(2), vec![180, 200]), (None, vec![180, 200])] {
        let mut lab = Lab::new(2);
        lab.peers[1].steps = vec![vec![say(500, 503)]];
        lab.shape.trunks[2].as_mut().unwrap().limits.calls = calls;
        let client = lab.call("+4722");
        lab.run(100);
        lab.load.begin(lab.now, model::TrunkId(2));
        lab.run(1_000);
        assert_eq!(lab.peers[0].codes(client), codes, "{calls:?}");
        let full = calls == Some(1);
        assert_eq!((tried(&lab, 2), lab.b2bua.counters().passed_over), (usize::from(!full), u64::from(full)));
        lab.load.end(model::TrunkId(2));
        hang_up_all(&mut lab);
    }
}

/// So is one that was full when the plan was made: the caller hears when to come again, although it was another trunk that failed him.
#[test]
fn who_is_failed_by_one_trunk_while_the_other_is_full_is_told_when_to_come_again() {
    for (calls, told) in [(Some(0), true), (None, false)] {
        let mut lab = Lab::new(2);
        lab.peers[1].dead = true;
        lab.peers[2].dead = true;
        lab.shape.trunks[2].as_mut().unwrap().limits.calls = calls;
        let client = lab.call("+4722");
        lab.run(40_000);
        assert_eq!(lab.peers[0].codes(client), [503], "{calls:?}");
        assert_eq!(lab.peers[0].last(client).retry_after().is_some(), told, "{calls:?}");
        lab.settle();
        assert_eq!(lab.ended[0].attempts.len(), if told { 1 } else { 2 }, "{calls:?}");
    }
}

/// The primary is Down and a whole load arrives at a backup of half its size: its limits hold, its calls succeed, everyone else is refused
/// within milliseconds and told different times to come again, and an emergency call passes.
#[test]
fn a_backup_of_half_the_size_takes_half_and_refuses_the_rest_at_once() {
    let mut lab = Lab::new(2);
    lab.health(1, Health::Down);
    lab.health(2, Health::Up);
    lab.shape.trunks[2].as_mut().unwrap().limits.cps = Some(5);
    let mut clients = Vec::new();
    for _ in 0..30 {
        clients.push(lab.call("+4722"));
        lab.run(100);
    }
    let emergency = lab.call("112");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(emergency), [180, 200]);
    assert_eq!(tried(&lab, 1), 0, "the excess is not sent to the dead primary");
    let times = lab.peers[2].requests_at(Method::Invite);
    for (index, first) in times[..times.len() - 1].iter().enumerate() {
        let within = times[index..times.len() - 1].iter().filter(|at| at.since(*first) <= Span::from_secs(1)).count();
        assert!(within <= 5, "{within} within a second");
    }
    let taken = clients.iter().filter(|client| lab.peers[0].codes(**client) == [180, 200]).count();
    let refused: Vec<_> = clients.iter().filter(|client| lab.peers[0].codes(**client) == [503]).collect();
    assert!((14..=16).contains(&taken) && taken + refused.len() == 30, "{taken} taken, {} refused", refused.len());
    let waits = refused.iter().map(|client| {
        let wait = lab.peers[0].last(**client).retry_after().expect("a refusal says when to come again").as_secs();
        assert!((5..=20).contains(&wait), "{wait}");
        wait
    });
    assert!(waits.collect::<std::collections::BTreeSet<_>>().len() > 3, "callers do not return in step");
    hang_up_all(&mut lab);
}

/// A trunk that refuses new calls may refuse a question too, so its ringing calls are not asked.
#[test]
fn a_ringing_attempt_at_a_trunk_that_refuses_is_not_asked() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(100, 180), sdp(3_000, 200)]];
    let client = lab.call("+4722");
    lab.run(300);
    lab.health_because(1, Health::Down, Cause::CallsFailed { count: 3, limit: 3 });
    lab.health(2, Health::Up);
    lab.run(5_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(lab.b2bua.counters().asked_after, 0);
    hang_up(&mut lab);
}

#[test]
fn overload_control_is_offered_and_heard_where_it_is_wanted() {
    for wanted in [true, false] {
        let mut lab = Lab::new(1);
        lab.profiles.trunks[1].as_mut().unwrap().overload = wanted;
        // RFC 7339 §6: the server turns our offer into its word.
        lab.overload = ";oc=30;oc-algo=\"loss\";oc-validity=5000;oc-seq=7.5";
        let client = lab.call("+4722");
        lab.run(500);
        assert_eq!(lab.peers[0].codes(client), [180, 200]);
        let mut invites = lab.sent.iter().filter(|(_, _, sent)| sent.is_request() && sent.method() == Method::Invite);
        assert_eq!(invites.next().unwrap().2.bytes().windows(OFFER.len()).any(|text| text == OFFER.as_bytes()), wanted);
        let told =
            Observed::Overload { wish: Wish::Loss { percent: 30 }, validity: Span::from_secs(5), seq: Some(750_000) };
        let heard = lab.seen(1).into_iter().filter(|seen| matches!(seen, Observed::Overload { .. }));
        let heard: Vec<_> = heard.collect();
        assert_eq!(heard.contains(&told), wanted, "{heard:?}");
        assert_eq!(heard.is_empty(), !wanted);
        hang_up(&mut lab);
    }
}

#[test]
fn a_word_of_overload_that_was_not_asked_for_is_not_heard() {
    let mut lab = Lab::new(1);
    lab.call("+4722");
    lab.run(6);
    let invite = lab.sent.iter().find(|(_, _, sent)| sent.method() == Method::Invite && sent.is_request());
    let via = String::from_utf8(invite.unwrap().2.header(HeaderName::Via).unwrap().to_vec()).unwrap();
    assert!(!via.contains("oc"), "not offered: {via}");
    let peer = lab.peers[1].addr;
    let head = |name| String::from_utf8(invite.unwrap().2.header(name).unwrap().to_vec()).unwrap();
    let trying = format!(
        "SIP/2.0 100 Trying\r\nVia: {via};oc=100;oc-algo=\"loss\"\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Content-Length: 0\r\n\r\n",
        head(HeaderName::From),
        head(HeaderName::To),
        head(HeaderName::CallId),
        head(HeaderName::CSeq)
    );
    lab.inject_at(1, peer, &trying);
    lab.run(500);
    assert!(lab.seen(1).iter().any(|seen| matches!(seen, Observed::FirstReply { .. })));
    assert!(!lab.seen(1).iter().any(|seen| matches!(seen, Observed::Overload { .. })));
}
