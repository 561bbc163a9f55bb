//! Challenges of a trunk: answered by its credentials, whatever the request, and never heard by the caller.

use crate::peer::{Step, reliably, say, sdp};
use crate::world::Lab;
use model::TrunkId;
use sip::{HeaderName, Message, Method};

/// A lab whose carrier 1 asks for credentials that the edge has.
fn asking(nonce: &'static str) -> Lab {
    let mut lab = Lab::new(1);
    let credentials = sip::auth::Credentials { user: "edge".into(), secret: "s3cret".into(), realm: None };
    lab.profiles.trunks[1].as_mut().unwrap().auth = Some(credentials);
    lab.peers[1].asks = Some((nonce, ""));
    lab
}

/// The same with a call that is answered.
fn answered(nonce: &'static str) -> Lab {
    let mut lab = asking(nonce);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    lab
}

fn signature(message: &Message) -> String {
    String::from_utf8_lossy(message.header(HeaderName::Authorization).unwrap_or_default()).into_owned()
}

/// Each signed request's method, nonce and count, in order.
fn signed(lab: &Lab) -> Vec<(Method, String, u32)> {
    let value = |line: &str, name: &str| {
        let rest = line.split(&format!("{name}=")).nth(1)?;
        Some(rest.trim_start_matches('"').split(['"', ',']).next()?.to_owned())
    };
    let sent = lab.sent.iter().filter(|(_, to, sent)| *to == lab.peers[1].addr && sent.is_request());
    sent.filter_map(|(_, _, sent)| {
        let line = signature(sent);
        let count = u32::from_str_radix(&value(&line, "nc")?, 16).ok()?;
        Some((sent.method(), value(&line, " nonce")?, count))
    })
    .filter(|(method, ..)| *method != Method::Ack)
    .collect()
}

fn hang_up(lab: &mut Lab) {
    lab.send(0, Method::Bye, "", Vec::new());
    lab.settle();
}

/// RFC 3261 §22.2, RFC 7616 §3.4: once asked, every further request carries credentials at once, with a higher count each time; the ACK
/// repeats those of its INVITE (RFC 3261 §13.2.2.4).
#[test]
fn after_one_challenge_everything_is_signed_at_once() {
    let mut lab = answered("n1");
    assert_eq!(lab.peers[1].requests(Method::Invite).len(), 2);
    for method in [Method::Info, Method::Update] {
        let client = lab.send_sdp(0, method);
        lab.run(200);
        assert_eq!(lab.peers[0].codes(client), [200]);
    }
    let held = lab.send_sdp(0, Method::Invite);
    lab.run(500);
    assert_eq!(lab.peers[0].codes(held), [200]);
    let invites = lab.peers[1].requests(Method::Invite);
    let acks = lab.peers[1].acks();
    assert_eq!((invites.len(), acks.len()), (3, 2));
    assert_eq!([signature(acks[0]), signature(acks[1])], [signature(invites[1]), signature(invites[2])]);
    lab.send(0, Method::Bye, "", Vec::new());
    lab.run(500);
    let client = lab.call("+4733");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let counts: Vec<u32> = signed(&lab).iter().map(|(_, _, count)| *count).collect();
    assert_eq!(counts, [1, 2, 3, 4, 5, 6], "{:?}", signed(&lab));
    assert!(lab.refused.is_empty());
    let second = lab.peers[0].sessions.len() - 1;
    let now = lab.now;
    lab.peers[0].send(now, second, Method::Bye, "", Vec::new());
    lab.settle();
}

/// A new nonce inside a call: whatever is asked for it is sent again, CSeq one higher, and the caller hears the answer alone.
#[test]
fn a_challenge_inside_the_call_is_answered_whatever_the_request() {
    let nonces = ["n2", "n3", "n4", "n5", "n6"];
    let methods = [Method::Info, Method::Update, Method::Message, Method::Invite];
    let mut lab = answered("n1");
    for (method, nonce) in methods.into_iter().zip(nonces) {
        lab.peers[1].asks = Some((nonce, ""));
        let client = lab.send_sdp(0, method);
        lab.run(500);
        assert_eq!(lab.peers[0].codes(client), [200], "{method:?}");
        let heard: Vec<u32> = lab.peers[1].requests(method).iter().rev().take(2).map(|one| one.cseq().number).collect();
        assert_eq!(heard[0], heard[1] + 1, "{method:?}: the same request once more");
    }
    lab.peers[1].asks = Some((nonces[4], ""));
    lab.send(0, Method::Bye, "", Vec::new());
    lab.run(500);
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 2);
    assert_eq!((lab.peers[1].open(), lab.refused.len()), (0, 0), "the carrier knows that it is over");
    lab.settle();
}

/// RFC 7616 §3.3: a nonce that was too old is no wrong password, and costs a further try; for ever it is not tried.
#[test]
fn a_stale_nonce_gets_one_more_try_and_no_loop() {
    let stale = |nonce: &'static str| {
        let line: &'static str = match nonce {
            "a" => "Digest realm=\"carrier\", nonce=\"a\", qop=\"auth\"",
            "b" => "Digest realm=\"carrier\", nonce=\"b\", qop=\"auth\", stale=true",
            _ => "Digest realm=\"carrier\", nonce=\"c\", qop=\"auth\", stale=true",
        };
        vec![Step { headers: vec![("WWW-Authenticate", line)], ..say(10, 401) }]
    };
    let mut lab = asking("");
    lab.peers[1].asks = None;
    lab.peers[1].steps = vec![stale("a"), stale("b"), vec![say(10, 180), sdp(50, 200)]];
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!((lab.peers[0].codes(client), lab.refused.len()), (vec![180, 200], 0));
    hang_up(&mut lab);

    let mut lab = asking("");
    lab.peers[1].asks = None;
    lab.peers[1].steps = vec![stale("a"), stale("b"), stale("c"), stale("b"), stale("c")];
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!((lab.peers[0].codes(client), lab.peers[1].requests(Method::Invite).len()), (vec![403], 3));
    assert_eq!(lab.refused, [(1, 401)]);
    lab.settle();
}

/// Refused again and again: told as the fault of our credentials; the other side is never asked for ours, and everything ends.
#[test]
fn wrong_credentials_are_told_and_asked_of_nobody() {
    let mut lab = answered("n1");
    for (method, code) in [(Method::Info, 403), (Method::Invite, 488)] {
        lab.peers[1].asks = Some(("never", ""));
        let client = lab.send_sdp(0, method);
        lab.run(500);
        let refusal = lab.peers[0].last(client);
        assert_eq!(refusal.status(), Some(code));
        assert!(refusal.header(HeaderName::WwwAuthenticate).is_none());
    }
    assert_eq!(lab.refused, [(1, 401), (1, 401)]);
    lab.send(0, Method::Bye, "", Vec::new());
    lab.run(500);
    assert_eq!((lab.peers[1].requests(Method::Bye).len(), lab.refused.len()), (2, 3), "twice, and no more");
    lab.peers[1].sessions.iter_mut().for_each(|session| session.over = true);
    lab.settle();
}

/// A 403 to what was signed: about us while the trunk has never taken our credentials, about the call once it has.
#[test]
fn a_403_after_a_challenge_is_the_credentials_fault_until_they_have_worked() {
    let mut lab = asking("n1");
    lab.peers[1].steps = vec![vec![say(10, 403)]];
    let client = lab.call("+4722");
    lab.run(500);
    assert_eq!((lab.peers[0].codes(client), lab.refused.clone()), (vec![403], vec![(1, 403)]));
    assert!(!lab.nonces.are_proven(TrunkId(1)));
    lab.peers[1].steps = vec![vec![], vec![say(10, 486)], vec![say(10, 403)]];
    lab.peers[1].asks = Some(("n2", ""));
    lab.call("+4733");
    lab.run(500);
    lab.peers[1].asks = Some(("n3", ""));
    let client = lab.call("+4744");
    lab.run(500);
    assert_eq!((lab.peers[0].codes(client), lab.refused.len()), (vec![403], 1), "a barred number");
    lab.settle();
}

/// The answer of an attempt that was left is acknowledged and ended, by a BYE that is signed too.
#[test]
fn the_bye_of_a_late_answer_is_signed() {
    let mut lab = asking("n1");
    lab.attempt_policy(1).ring = model::Span::from_secs(2);
    lab.peers[1].yields = false;
    lab.peers[1].steps = vec![vec![say(10, 180), sdp(2_500, 200)]];
    lab.call("+4722");
    lab.run(2_400);
    lab.peers[1].asks = Some(("n2", ""));
    lab.run(3_000);
    assert_eq!((lab.peers[1].requests(Method::Bye).len(), lab.peers[1].open()), (2, 0));
    lab.settle();
}

/// Each method's CSeq numbers at carrier 1, in order.
fn numbers(lab: &Lab, method: Method) -> Vec<u32> {
    lab.peers[1].requests(method).iter().map(|request| request.cseq().number).collect()
}

/// RFC 3262 §3 ends an INVITE whose reliable response is not acknowledged: a PRACK is signed when that is asked for, with the description
/// that it carries.
#[test]
fn a_prack_is_signed() {
    for late in [false, true] {
        let mut lab = asking("n1");
        let allow = ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE");
        lab.peers[1].steps = vec![vec![reliably(Step { headers: vec![allow], ..sdp(100, 183) }), say(900, 200)]];
        let offer = if late { Vec::new() } else { lab.peers[0].sdp() };
        let client = lab.call_with(0, "+4722", offer, &[("Supported", "100rel")]);
        lab.run(60);
        lab.peers[1].asks = Some(("n2", ""));
        lab.run(2_000);
        assert_eq!(lab.peers[0].codes(client), [183, 200]);
        let pracks = lab.peers[1].requests(Method::Prack);
        assert_eq!(pracks.len(), 2, "late: {late}");
        assert!(signature(pracks[1]).contains("n2") && pracks[1].body().is_empty() != late);
        assert_eq!(numbers(&lab, Method::Prack), [3, 4], "RFC 3261 §22.2");
        assert!(lab.refused.is_empty());
        hang_up(&mut lab);
    }
}

/// An UPDATE before the answer is sent in an early dialog, and signed there.
#[test]
fn an_update_before_the_answer_is_signed() {
    let mut lab = asking("n1");
    let allow = ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE");
    lab.peers[1].steps = vec![vec![reliably(Step { headers: vec![allow], ..sdp(20, 183) }), say(900, 200)]];
    let offer = lab.peers[0].sdp();
    let client = lab.call_with(0, "+4722", offer, &[("Supported", "100rel"), ("Allow", "INVITE, UPDATE, PRACK")]);
    lab.run(300);
    assert_eq!(lab.peers[0].codes(client), [183]);
    lab.peers[1].asks = Some(("n2", ""));
    let update = lab.send_sdp(0, Method::Update);
    lab.run(300);
    assert_eq!(lab.peers[0].codes(update), [200]);
    let asked = numbers(&lab, Method::Update);
    assert!(asked.len() == 2 && asked[1] == asked[0] + 1, "{asked:?}");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [183, 200]);
    hang_up(&mut lab);
}

/// A session whose refreshes are challenged lives on, by UPDATE and by re-INVITE, whose ACK repeats the credentials.
#[test]
fn a_refresh_is_signed() {
    for (allow, method) in [("INVITE, ACK, BYE, UPDATE", Method::Update), ("INVITE, ACK, BYE", Method::Invite)] {
        let mut lab = asking("n1");
        let agreed = ("Session-Expires", "600;refresher=uac");
        lab.peers[1].steps = vec![vec![Step { headers: vec![agreed, ("Allow", allow)], ..sdp(100, 200) }]];
        lab.peers[1].inside = vec![Step { headers: vec![agreed], ..sdp(10, 200) }];
        lab.peers[1].update_headers = vec![agreed];
        let client = lab.call("+4722");
        lab.run(1_000);
        assert_eq!(lab.peers[0].last(client).status(), Some(200));
        let before = numbers(&lab, method).len();
        for nonce in ["n2", "n3", "n4"] {
            lab.peers[1].asks = Some((nonce, ""));
            lab.run(310_000);
        }
        assert_eq!((lab.b2bua.calls(), numbers(&lab, method).len() - before), (1, 6), "{method:?}");
        assert_eq!((lab.b2bua.counters().refreshed, lab.b2bua.counters().not_refreshed), (3, 0));
        if method == Method::Invite {
            let (last, acks) = (*lab.peers[1].requests(Method::Invite).last().unwrap(), lab.peers[1].acks());
            assert_eq!(signature(acks.last().unwrap()), signature(last));
        }
        assert!(lab.refused.is_empty());
        hang_up(&mut lab);
    }
}

/// A trunk that asks what nobody can answer is set up wrongly, and another may not be: the hunt goes on, nothing is held against its health,
/// and it is told of.
#[test]
fn a_challenge_that_nobody_can_answer_moves_on() {
    for knows in [false, true] {
        let mut lab = Lab::new(2);
        if knows {
            lab.profiles.trunks[1].as_mut().unwrap().auth =
                Some(sip::auth::Credentials { user: "edge".into(), secret: "wrong".into(), realm: None });
        }
        lab.peers[1].asks = Some(("never", ""));
        let client = lab.call("+4722");
        lab.run(1_000);
        assert_eq!(lab.peers[0].codes(client), [180, 200]);
        assert_eq!(lab.peers[1].requests(Method::Invite).len(), 1 + usize::from(knows));
        assert_eq!(lab.refused, [(1, 401)], "the alarm names the trunk");
        hang_up(&mut lab);
    }
    let mut lab = Lab::new(2);
    lab.peers[1].asks = Some(("never", ""));
    lab.peers[2].asks = Some(("never", ""));
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [403], "and the caller is not asked for ours");
    assert!(lab.peers[0].last(client).header(HeaderName::WwwAuthenticate).is_none());
    lab.settle();
}

/// What a caller writes who has been asked with this nonce.
fn answer_to(nonce: &str) -> String {
    format!("Digest username=\"ann\", realm=\"carrier\", nonce=\"{nonce}\", uri=\"sip:+4722@edge\", response=\"0\"")
}

/// A lab with two carriers; the second leaves its challenges to callers, and is tried first.
fn passing(nonce: &'static str) -> Lab {
    let mut lab = Lab::new(2);
    lab.profiles.trunks[2].as_mut().unwrap().challenge = act::Challenge::Pass;
    lab.peers[2].asks = Some((nonce, ""));
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab
}

/// Digest pass-through (RFC 3261 §22.3 does it for proxies): the challenge reaches the caller as it was given, and what he answers reaches
/// the trunk that has asked, first and alone, in his own words; the ACK repeats it (§13.2.2.4).
#[test]
fn a_passed_challenge_is_the_callers_to_answer() {
    let mut lab = passing("n1");
    let offer = lab.peers[0].sdp();
    let client = lab.call("+4722");
    lab.run(500);
    let asked = lab.peers[0].last(client);
    assert_eq!(asked.status(), Some(401));
    let challenge = String::from_utf8_lossy(asked.header(HeaderName::WwwAuthenticate).unwrap()).into_owned();
    assert!(challenge.contains("realm=\"carrier\"") && challenge.contains("nonce=\"n1\""), "{challenge}");
    lab.peers[1].steps = vec![vec![say(10, 180), sdp(50, 200)]];
    let answer = answer_to("n1");
    let client = lab.call_with(0, "+4722", offer, &[("Authorization", &answer)]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(lab.peers[1].requests(Method::Invite).len(), 1, "whoever has asked comes first now");
    let invites = lab.peers[2].requests(Method::Invite);
    assert_eq!(invites.last().unwrap().header(HeaderName::Authorization), Some(answer.as_bytes()));
    assert_eq!(signature(lab.peers[2].acks()[0]), answer);
    assert_eq!((lab.refused.len(), lab.b2bua.counters().challenges_passed), (0, 1));
    let second = lab.peers[0].sessions.len() - 1;
    lab.send_in(0, second, Method::Bye, &[("Authorization", &answer)]);
    lab.settle();
}

/// Nobody else sees what a caller answers: another trunk could try it at the one that has asked.
#[test]
fn a_callers_answer_goes_to_no_other_trunk() {
    let mut lab = passing("n1");
    lab.call("+4722");
    lab.run(500);
    lab.peers[2].steps = vec![vec![say(10, 503)]];
    lab.peers[1].steps = vec![vec![say(10, 180), sdp(50, 200)]];
    for nonce in ["n1", "of our own registrar"] {
        let (offer, answer) = (lab.peers[0].sdp(), answer_to(nonce));
        lab.peers[2].asks = None;
        let client = lab.call_with(0, "+4722", offer, &[("Authorization", &answer)]);
        lab.run(1_000);
        assert_eq!(lab.peers[0].codes(client), [180, 200]);
        let last = lab.peers[0].sessions.len() - 1;
        lab.send_in(0, last, Method::Bye, &[]);
        lab.run(500);
    }
    assert!(lab.peers[1].requests(Method::Invite).iter().all(|invite| signature(invite).is_empty()));
    let told: Vec<bool> = lab.peers[2].requests(Method::Invite).iter().map(|one| !signature(one).is_empty()).collect();
    assert_eq!(told, [false, true], "its own answer alone");
    lab.settle();
}

/// Inside the call too, requests and re-INVITEs: asked, answered, acknowledged with the same credentials; messages outside a call as well.
#[test]
fn a_challenge_inside_the_call_is_passed_too() {
    let mut lab = passing("n1");
    lab.peers[2].asks = None;
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    for (method, nonce) in [(Method::Info, "n2"), (Method::Invite, "n3")] {
        lab.peers[2].asks = Some((nonce, ""));
        let asked = lab.send_sdp(0, method);
        lab.run(500);
        assert_eq!(lab.peers[0].codes(asked), [401], "{method:?}");
        assert!(lab.peers[0].last(asked).header(HeaderName::WwwAuthenticate).is_some());
        let (answer, sdp, now) = (answer_to(nonce), lab.peers[0].sdp(), lab.now);
        let again = lab.peers[0].send_with(now, 0, method, "application/sdp", sdp, &[("Authorization", &answer)]);
        lab.run(500);
        assert_eq!(lab.peers[0].codes(again), [200], "{method:?}");
    }
    assert_eq!(signature(lab.peers[2].acks().last().unwrap()), answer_to("n3"));
    lab.peers[2].asks = None;
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}
