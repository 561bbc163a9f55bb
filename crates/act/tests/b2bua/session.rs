//! Session timers of both legs (RFC 4028): elected, refreshed, lapsed; 422 both ways.

use crate::peer::{Step, say, sdp};
use crate::world::{Lab, version_of};
use act::{DialogPolicy, Ending};
use model::Span;
use sip::{HeaderName, Method, Refresher, SessionPolicy};

fn policy(trunk: usize, lab: &mut Lab) -> &mut SessionPolicy {
    lab.profiles.trunks[trunk].as_mut().unwrap().dialogs.session.as_mut().unwrap()
}

/// The carrier's answer to an INVITE agrees on this.
fn agreeing(lab: &mut Lab, expires: &'static str) {
    lab.peers[1].steps = vec![vec![Step { headers: vec![("Session-Expires", expires)], ..sdp(100, 200) }]];
    lab.peers[1].inside = vec![Step { headers: vec![("Session-Expires", expires)], ..sdp(10, 200) }];
    lab.peers[1].update_headers = vec![("Session-Expires", expires)];
}

fn up(lab: &mut Lab, extra: &[(&str, &str)]) -> sip::ClientKey {
    let offer = lab.peers[0].sdp();
    let client = lab.call_with(0, "+4722", offer, extra);
    lab.run(1_000);
    assert_eq!(lab.peers[0].last(client).status(), Some(200));
    client
}

/// §7.4, §10: we refresh at half the interval, by re-INVITE with what was shown before, version and all.
#[test]
fn we_refresh_a_carrier_that_wants_us_to() {
    let mut lab = Lab::new(1);
    agreeing(&mut lab, "600;refresher=uac");
    up(&mut lab, &[]);
    let first = lab.peers[1].requests(Method::Invite)[0].body().to_vec();
    lab.run(290_000);
    assert_eq!(lab.peers[1].requests(Method::Invite).len(), 1);
    lab.run(20_000);
    let invites = lab.peers[1].requests(Method::Invite);
    assert_eq!(invites.len(), 2);
    assert_eq!(invites[1].header(HeaderName::SessionExpires), Some(&b"600;refresher=uac"[..]));
    assert_eq!(invites[1].body(), first, "the same description, in the same version (RFC 3264 §8)");
    assert_eq!(version_of(invites[1].body()), version_of(&first));
    assert!(lab.peers[0].requests(Method::Invite).is_empty(), "the caller's leg has no timer of its own");
    lab.run(1_800_000);
    assert_eq!((lab.b2bua.calls(), lab.b2bua.counters().refreshed), (1, 7));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// §7.4: UPDATE without a description, when the peer allows it.
#[test]
fn we_refresh_by_update_whoever_allows_it() {
    let mut lab = Lab::new(1);
    agreeing(&mut lab, "600;refresher=uac");
    lab.peers[1].steps[0][0].headers.push(("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE"));
    up(&mut lab, &[]);
    lab.run(310_000);
    let updates = lab.peers[1].requests(Method::Update);
    assert_eq!(updates.len(), 1);
    assert!(updates[0].body().is_empty() && updates[0].contact().is_some());
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// The method is not known after all: the re-INVITE follows at once.
#[test]
fn an_update_that_is_not_allowed_becomes_a_reinvite() {
    let mut lab = Lab::new(1);
    agreeing(&mut lab, "600;refresher=uac");
    lab.peers[1].steps[0][0].headers.push(("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE"));
    lab.peers[1].others = 405;
    up(&mut lab, &[]);
    lab.run(310_000);
    assert_eq!((lab.peers[1].requests(Method::Update).len(), lab.peers[1].requests(Method::Invite).len()), (1, 2));
    lab.run(600_000);
    assert_eq!(lab.peers[1].requests(Method::Update).len(), 1);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// §9: the caller is refreshed by whom it names, and told so in the 200.
#[test]
fn the_callers_leg_is_elected_for_itself() {
    for (asked, answered, refreshes) in [
        ("600;refresher=uas", "600;refresher=uas", 1),
        ("600", "600;refresher=uas", 1),
        ("7200", "1800;refresher=uas", 0),
    ] {
        let mut lab = Lab::new(1);
        let client = up(&mut lab, &[("Supported", "timer"), ("Session-Expires", asked)]);
        let answer = lab.peers[0].last(client);
        assert_eq!(answer.header(HeaderName::SessionExpires), Some(answered.as_bytes()));
        assert!(!answer.requires(b"timer"));
        lab.run(310_000);
        assert_eq!(lab.peers[0].requests(Method::Invite).len(), refreshes, "{asked}");
        assert_eq!(lab.peers[1].requests(Method::Invite).len(), 1, "the other leg has its own");
        lab.send(0, Method::Bye, "", vec![]);
        lab.settle();
    }
}

/// §10: a peer that was to refresh and does not: BYE to both a third of the interval, 32 s at most, before the end.
#[test]
fn a_call_that_nobody_refreshes_ends() {
    let mut lab = Lab::new(1);
    let client = up(&mut lab, &[("Supported", "timer"), ("Session-Expires", "600;refresher=uac")]);
    assert!(lab.peers[0].last(client).requires(b"timer"), "§9: the caller must know that it is to refresh");
    lab.run(560_000);
    assert_eq!(lab.b2bua.calls(), 1);
    lab.run(10_000);
    assert_eq!((lab.peers[0].requests(Method::Bye).len(), lab.peers[1].requests(Method::Bye).len()), (1, 1));
    lab.settle();
    assert_eq!(lab.ended[0].ending, Ending::Ended("the session was not refreshed"));
    assert_eq!(lab.b2bua.counters().not_refreshed, 1);
}

#[test]
fn whoever_refreshes_keeps_the_call() {
    for method in [Method::Update, Method::Invite] {
        let mut lab = Lab::new(1);
        up(&mut lab, &[("Supported", "timer"), ("Session-Expires", "600;refresher=uac")]);
        for _ in 0..4 {
            lab.run(299_000);
            let refresh =
                if method == Method::Invite { lab.send_sdp(0, method) } else { lab.send(0, method, "", vec![]) };
            lab.run(1_000);
            assert_eq!(lab.peers[0].last(refresh).status(), Some(200));
        }
        assert_eq!(lab.b2bua.calls(), 1, "{method:?}");
        lab.send(0, Method::Bye, "", vec![]);
        lab.settle();
    }
}

/// A callee that has vanished does not answer the refresh: the call ends, and its caller is told.
#[test]
fn a_refresh_without_an_answer_ends_the_call() {
    let mut lab = Lab::new(1);
    agreeing(&mut lab, "600;refresher=uac");
    up(&mut lab, &[]);
    lab.peers[1].dead = true;
    lab.run(345_000);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 1);
    lab.settle();
    assert_eq!(lab.ended[0].ending, Ending::Ended("the session was not refreshed"));
}

/// RFC 3261 §12.2.1.2: a restarted callee knows nothing of the call.
#[test]
fn a_refresh_answered_481_ends_the_call() {
    let mut lab = Lab::new(1);
    agreeing(&mut lab, "600;refresher=uac");
    up(&mut lab, &[]);
    lab.peers[1].inside = vec![say(10, 481)];
    lab.run(310_000);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 1);
    lab.settle();
}

/// A refresh refused for now is tried again until the session lapses.
#[test]
fn a_refresh_refused_for_now_is_tried_again() {
    let mut lab = Lab::new(1);
    agreeing(&mut lab, "600;refresher=uac");
    up(&mut lab, &[]);
    let good = std::mem::replace(&mut lab.peers[1].inside, vec![say(10, 491)]);
    lab.run(320_000);
    lab.peers[1].inside = good;
    lab.run(900_000);
    assert_eq!(lab.b2bua.calls(), 1);
    lab.peers[1].inside = vec![say(10, 500)];
    lab.run(700_000);
    assert_eq!(lab.b2bua.calls(), 0, "nobody has refreshed it");
    lab.settle();
}

/// §7.3, §9: 422 both ways.
#[test]
fn too_short_a_session_is_refused_and_ours_lengthened() {
    let mut lab = Lab::new(1);
    let offer = lab.peers[0].sdp();
    let client = lab.call_with(0, "+4722", offer, &[("Supported", "timer"), ("Session-Expires", "60")]);
    lab.run(100);
    let refusal = lab.peers[0].last(client);
    assert_eq!((refusal.status(), refusal.header(HeaderName::MinSe)), (Some(422), Some(&b"90"[..])));
    assert!(lab.peers[1].requests(Method::Invite).is_empty());
    policy(1, &mut lab).expires = Span::from_secs(300);
    let refuse = |least| vec![Step { headers: vec![("Min-SE", least)], ..say(10, 422) }];
    lab.peers[1].steps = vec![refuse("900"), refuse("1200"), vec![sdp(10, 200)]];
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [200]);
    let invites = lab.peers[1].requests(Method::Invite);
    let intervals: Vec<_> = invites.iter().map(|invite| invite.header(HeaderName::SessionExpires).unwrap()).collect();
    assert_eq!(intervals, [&b"300"[..], b"900", b"1200"]);
    assert_eq!(invites[2].header(HeaderName::MinSe), Some(&b"1200"[..]));
    assert!(invites.iter().all(|invite| invite.call_id() == invites[0].call_id()), "one attempt, one Call-ID");
    let now = lab.now;
    lab.peers[0].send(now, 1, Method::Bye, "", vec![]);
    lab.settle();
}

/// A carrier that goes on refusing is bounded, and its refusal is the attempt's end.
#[test]
fn a_carrier_that_refuses_for_ever_is_left() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![Step { headers: vec![("Min-SE", "900")], ..say(10, 422) }]];
    policy(1, &mut lab).expires = Span::from_secs(300);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[1].requests(Method::Invite).len(), 2, "the same Min-SE again is no news");
    assert!(lab.peers[0].last(client).status() >= Some(400));
    lab.settle();
}

#[test]
fn a_trunk_without_session_timers_hears_nothing_of_them() {
    let mut lab = Lab::new(1);
    for trunk in lab.profiles.trunks.iter_mut().flatten() {
        trunk.dialogs = DialogPolicy { session: None, ..DialogPolicy::default() };
    }
    let client = up(&mut lab, &[("Supported", "timer"), ("Session-Expires", "600")]);
    assert!(lab.peers[0].last(client).header(HeaderName::SessionExpires).is_none());
    let invite = lab.peers[1].requests(Method::Invite)[0];
    assert!(invite.header(HeaderName::SessionExpires).is_none() && !invite.supports(b"timer"));
    lab.run(2_000_000);
    assert_eq!(lab.b2bua.calls(), 1);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// §7.2: a peer that knows nothing of timers is refreshed all the same when we are to be the refresher.
#[test]
fn we_may_refresh_a_peer_that_knows_no_timers() {
    let mut lab = Lab::new(1);
    policy(1, &mut lab).refresher = Some(Refresher::Us);
    up(&mut lab, &[]);
    lab.run(905_000);
    assert_eq!(lab.peers[1].requests(Method::Invite).len(), 2);
    lab.run(1_800_000);
    assert_eq!(lab.peers[1].requests(Method::Invite).len(), 4, "and goes on");
    lab.send(1, Method::Bye, "", vec![]);
    lab.settle();
}

/// A party that a transfer has joined with somebody new keeps its session: what its re-INVITE agreed on is refreshed in the new call, and by
/// nobody in the old one.
#[test]
fn a_transferred_party_is_refreshed_in_its_new_call() {
    let mut lab = Lab::new(2);
    agreeing(&mut lab, "600;refresher=uac");
    up(&mut lab, &[]);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.send_in(0, 0, Method::Refer, &[("Refer-To", "<sip:+4799@x>")]);
    lab.run(2_000);
    assert_eq!(lab.b2bua.counters().transferred, 1);
    let refreshes = |lab: &Lab| {
        let invites = lab.peers[1].requests(Method::Invite);
        invites.iter().filter(|invite| invite.to().tag().is_some()).count()
            + lab.peers[1].requests(Method::Update).len()
    };
    let joined = refreshes(&lab);
    lab.run(620_000);
    let after = refreshes(&lab);
    assert!((1..=3).contains(&(after - joined)), "half the interval each: {}", after - joined);
    assert_eq!((lab.b2bua.calls(), lab.b2bua.counters().not_refreshed), (1, 0));
    lab.hear_each_other(1, 2);
    lab.send_in(2, 0, Method::Bye, &[]);
    lab.settle();
}
