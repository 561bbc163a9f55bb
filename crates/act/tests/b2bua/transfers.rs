//! Transfers: blind and attended, by either side, and every way in which one may fail. RFC 3515, 3891, 4488, 5589.

use crate::peer::{Step, say, sdp};
use crate::world::{EDGE, Lab, Weather, line_of, port_of, version_of};
use act::{Ending, Transfer};
use sip::{ClientKey, HeaderName, Message, Method};

/// Codes of the status lines that a peer was notified of, and the last subscription state.
pub fn news(lab: &Lab, peer: usize) -> (Vec<u16>, String) {
    let notifies = lab.peers[peer].requests(Method::Notify);
    let code = |notify: &&Message| std::str::from_utf8(&notify.body()[8..11]).unwrap().parse().unwrap();
    let state = notifies.last().and_then(|notify| notify.named("Subscription-State")).unwrap_or_default();
    (notifies.iter().map(code).collect(), String::from_utf8(state.to_vec()).unwrap())
}

pub fn refer(lab: &mut Lab, peer: usize, to: &str) -> ClientKey {
    lab.send_in(peer, 0, Method::Refer, &[("Refer-To", to)])
}

/// The office (peer 0) calls carrier 1; carrier 1 transfers it to a number of the office's own, or the office to one of the carriers'.
pub fn hang_up(lab: &mut Lab, peer: usize, session: usize) {
    lab.send_in(peer, session, Method::Bye, &[]);
    lab.settle();
}

/// RFC 5589 §6.1: REFER, 202, NOTIFY 100, the call to the target, NOTIFY 180 and 200; the party that stays is re-invited, the transferor let go.
#[test]
fn a_blind_transfer_by_the_caller_joins_the_carrier_with_the_target() {
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    let asked = refer(&mut lab, 0, "<sip:+4799@198.51.100.1>");
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(asked), [202]);
    assert!(lab.peers[0].last(asked).contact().is_some(), "RFC 6665 §4.1.2.1");
    let (codes, state) = news(&lab, 0);
    assert_eq!((codes, state.as_str()), (vec![100, 180, 200], "terminated;reason=noresource"));
    let first = lab.peers[0].requests(Method::Notify)[0];
    assert_eq!(first.header(HeaderName::Event).unwrap(), b"refer;id=8");
    assert_eq!(first.content_type().unwrap(), b"message/sipfrag;version=2.0");
    // The plan hunts as for any call of the office's: carrier 1 refuses, carrier 2 rings.
    assert_eq!(lab.peers[1].requests(Method::Invite).len(), 3, "its own call, the refused attempt, the re-INVITE");
    assert_eq!(lab.peers[2].requests(Method::Invite).len(), 1);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 1, "the transferor is let go");
    lab.hear_each_other(1, 2);
    assert_eq!(lab.b2bua.calls(), 1);
    assert_eq!((lab.b2bua.counters().transfers, lab.b2bua.counters().transferred), (1, 1));
    lab.peers[1].others = 200;
    hang_up(&mut lab, 2, 0);
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1);
    assert!(matches!(lab.ended[0].ending, Ending::Ended("the call was transferred")));
    assert_eq!(lab.ended[1].called, b"+4799");
}

#[test]
fn a_blind_transfer_by_the_callee_joins_the_caller_with_the_target() {
    let mut lab = Lab::answered(1);
    let before = version_of(&lab.ok_body());
    // A carrier's calls go to the office: a second phone of it is the target.
    let asked = refer(&mut lab, 1, "<sip:202@203.0.113.1;user=phone>");
    lab.run(2_000);
    assert_eq!(lab.peers[1].codes(asked), [202]);
    assert_eq!(news(&lab, 1).0, [100, 180, 200]);
    let invites = lab.peers[0].requests(Method::Invite);
    assert_eq!(invites.len(), 2, "the call to 202, and the re-INVITE of 201");
    assert!(invites[0].uri().starts_with(b"sip:202@"), "12.2.1.1: by our own routes");
    assert_eq!(invites[0].from().uri, b"sip:201@198.51.100.1:5060", "it comes from the party that stays");
    let again = invites[1].body();
    assert!(version_of(again) > before, "RFC 3264 §8");
    assert_eq!(
        line_of(again, "o=").split(' ').nth(1),
        line_of(&lab.ok_body(), "o=").split(' ').nth(1),
        "its own session"
    );
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1);
    lab.send_in(0, 0, Method::Info, &[]);
    lab.run(500);
    assert_eq!(lab.peers[0].requests(Method::Info).len(), 1, "the two phones are one call");
    hang_up(&mut lab, 0, 1);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 1);
}

/// RFC 5589 §6.3: the target cannot be had, the transferor hears of it and keeps its call.
#[test]
fn a_target_that_refuses_leaves_the_call_as_it_was() {
    for (steps, code) in
        [(vec![say(10, 486)], 486), (vec![say(10, 180), say(100, 603)], 603), (vec![say(10, 404)], 404)]
    {
        let mut lab = Lab::answered(1);
        lab.peers[1].steps = vec![steps];
        refer(&mut lab, 0, "<sip:+4799@198.51.100.1>");
        lab.run(2_000);
        let (codes, state) = news(&lab, 0);
        assert_eq!((codes.last(), state.as_str()), (Some(&code), "terminated;reason=noresource"));
        assert_eq!((lab.b2bua.calls(), lab.b2bua.counters().transfers_failed), (1, 1));
        assert!(lab.peers[0].requests(Method::Bye).is_empty() && lab.peers[1].requests(Method::Bye).is_empty());
        let resumed = lab.send_sdp(0, Method::Invite);
        lab.run(500);
        assert_eq!(lab.peers[0].codes(resumed), [200], "the call goes on");
        lab.hear_each_other(0, 1);
        hang_up(&mut lab, 0, 0);
    }
}

/// Nobody routes there: a transfer goes where a call of the transferor's trunk could go, and nowhere else.
#[test]
fn a_target_without_a_route_is_404_and_the_host_of_the_uri_is_never_called() {
    let mut lab = Lab::answered(1);
    lab.route_office(|rule| rule.prefixes = vec!["+47".into()]);
    refer(&mut lab, 0, "<sip:900123@192.0.2.99>");
    lab.run(1_000);
    assert_eq!(news(&lab, 0).0, [100, 404]);
    refer(&mut lab, 0, "<sip:+4799@192.0.2.99:5070;maddr=192.0.2.98>");
    lab.run(2_000);
    assert!(lab.sent.iter().all(|(_, to, _)| !to.to_string().starts_with("192.0.2.9")));
    hang_up(&mut lab, 1, 0);
}

/// The party that stays will not have it: the target is let go, and the transferor keeps its call.
#[test]
fn a_party_that_refuses_its_reinvite_stays_with_the_transferor() {
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[1].inside = vec![say(10, 488)];
    refer(&mut lab, 0, "<sip:+4799@198.51.100.1>");
    lab.run(2_000);
    assert_eq!(news(&lab, 0).0, [100, 180, 488]);
    assert_eq!((lab.peers[2].requests(Method::Bye).len(), lab.b2bua.calls()), (1, 1));
    lab.peers[1].inside = vec![sdp(10, 200)];
    let resumed = lab.send_sdp(0, Method::Invite);
    lab.run(500);
    assert_eq!(lab.peers[0].codes(resumed), [200]);
    lab.hear_each_other(0, 1);
    hang_up(&mut lab, 0, 0);
}

/// A party that is gone is gone for the transferor too (RFC 3261 §12.2.1.2).
#[test]
fn a_party_that_no_longer_knows_its_call_ends_it() {
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[1].inside = vec![say(10, 481)];
    refer(&mut lab, 0, "<sip:+4799@198.51.100.1>");
    lab.run(2_000);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 1);
    lab.peers[1].sessions[0].over = true;
    lab.settle();
    assert_eq!(lab.ended.len(), 2);
}

/// RFC 5589 §6.1: a transferor may hang up at once, and the transfer goes on without it.
#[test]
fn a_transferor_need_not_wait() {
    for reached in [true, false] {
        let mut lab = Lab::answered(2);
        lab.peers[1].steps = vec![vec![say(10, 503)]];
        if !reached {
            lab.peers[2].steps = vec![vec![say(100, 486)]];
        }
        refer(&mut lab, 0, "<sip:+4799@198.51.100.1>");
        lab.run(40);
        let bye = lab.send(0, Method::Bye, "", vec![]);
        lab.run(20);
        assert_eq!(lab.peers[0].codes(bye), [200]);
        assert!(lab.peers[1].requests(Method::Bye).is_empty(), "the party that stays waits");
        let refused = lab.send_in(1, 0, Method::Info, &[]);
        lab.run(30);
        assert_eq!(lab.peers[1].codes(refused), [500], "there is nobody to pass it to yet");
        lab.run(2_000);
        assert!(lab.peers[0].requests(Method::Bye).is_empty(), "who has left is not let go again");
        if reached {
            lab.hear_each_other(1, 2);
            hang_up(&mut lab, 1, 0);
        } else {
            lab.settle();
            assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1, "nobody is left to return to");
        }
    }
}

#[test]
fn who_is_to_be_transferred_may_hang_up() {
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[2].steps = vec![vec![say(10, 180)]];
    refer(&mut lab, 0, "<sip:+4799@198.51.100.1>");
    lab.run(500);
    hang_up(&mut lab, 1, 0);
    assert_eq!((lab.peers[0].requests(Method::Bye).len(), lab.peers[2].cancels()), (1, 1));
}

/// The target hangs up while the party that stays is asked: that one has moved by then, and is told.
#[test]
fn a_target_that_hangs_up_at_once_ends_the_new_call_only_after_it_is_one() {
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[1].inside = vec![sdp(300, 200)];
    refer(&mut lab, 0, "<sip:+4799@198.51.100.1>");
    lab.run(400);
    let bye = lab.send_in(2, 0, Method::Bye, &[]);
    lab.settle();
    assert_eq!(lab.peers[2].codes(bye), [200]);
    assert_eq!(news(&lab, 0).0, [100, 180, 200]);
    assert_eq!((lab.peers[0].requests(Method::Bye).len(), lab.peers[1].requests(Method::Bye).len()), (1, 1));
}

/// RFC 4488 §4: no subscription is wanted, and none is made.
#[test]
fn a_referral_without_subscription_is_200_and_silent() {
    let mut lab = Lab::answered(1);
    let asked = lab.send_in(1, 0, Method::Refer, &[("Refer-To", "<sip:202@203.0.113.1>"), ("Refer-Sub", "false")]);
    lab.run(2_000);
    assert_eq!(lab.peers[1].codes(asked), [200]);
    assert_eq!(lab.peers[1].last(asked).named("Refer-Sub"), Some(&b"false"[..]));
    assert!(lab.peers[1].requests(Method::Notify).is_empty());
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1);
    hang_up(&mut lab, 0, 1);
}

/// RFC 6665 §4.1.2.3: who does not want to hear any more says so.
#[test]
fn a_subscription_may_be_ended() {
    let mut lab = Lab::answered(1);
    lab.peers[1].steps = vec![vec![say(10, 180), sdp(500, 200)]];
    refer(&mut lab, 0, "<sip:+4799@198.51.100.1>");
    lab.run(100);
    let ended = lab.send_in(0, 0, Method::Subscribe, &[("Event", "refer;id=8"), ("Expires", "0")]);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(ended), [200]);
    assert_eq!(news(&lab, 0).1, "terminated;reason=timeout");
    let told = lab.peers[0].requests(Method::Notify).len();
    lab.run(2_000);
    assert_eq!(lab.peers[0].requests(Method::Notify).len(), told);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 1, "the transfer is done all the same");
    hang_up(&mut lab, 1, 0);
}

/// RFC 3515 §2.4.2 and our own limits: what cannot be done is refused at once, and the call goes on.
#[test]
fn what_is_no_transfer_is_refused() {
    for (headers, code) in [
        (vec![], 400),
        (vec![("Refer-To", "<sip:1@a>"), ("Refer-To", "<sip:2@a>")], 400),
        (vec![("Refer-To", "<nonsense>")], 400),
        (vec![("Refer-To", "<mailto:a@b>")], 416),
        (vec![("Refer-To", "<http://192.0.2.1/x>")], 416),
        (vec![("Refer-To", "<sip:1@a;method=BYE>")], 501),
    ] {
        let mut lab = Lab::answered(1);
        let asked = lab.send_in(0, 0, Method::Refer, &headers);
        lab.run(500);
        assert_eq!(lab.peers[0].codes(asked), [code], "{headers:?}");
        assert_eq!((lab.b2bua.calls(), lab.b2bua.counters().transfers_refused), (1, 1));
        hang_up(&mut lab, 0, 0);
    }
    let mut lab = Lab::answered(1);
    lab.profiles.trunks[0].as_mut().unwrap().transfer = Transfer::Refuse;
    let asked = refer(&mut lab, 0, "<sip:+4799@a>");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(asked), [603]);
    hang_up(&mut lab, 0, 0);
}

/// One thing at a time: a second REFER, and any offer, waits until the transfer is over (RFC 3261 §14.1).
#[test]
fn during_a_transfer_nothing_else_changes_the_call() {
    let mut lab = Lab::answered(1);
    lab.peers[1].steps = vec![vec![say(10, 180), sdp(1_000, 200)]];
    refer(&mut lab, 0, "<sip:+4799@198.51.100.1>");
    lab.run(100);
    let second = refer(&mut lab, 0, "<sip:+4798@198.51.100.1>");
    let held = lab.send_sdp(1, Method::Invite);
    lab.run(100);
    assert_eq!((lab.peers[0].codes(second), lab.peers[1].codes(held)), (vec![491], vec![491]));
    let info = lab.send_in(1, 0, Method::Info, &[]);
    lab.run(100);
    assert_eq!(lab.peers[1].codes(info), [200], "what changes nothing passes");
    lab.run(2_000);
    hang_up(&mut lab, 1, 0);
}

/// The audio that was on hold is offered to the target as it is when it is not.
#[test]
fn a_party_on_hold_is_taken_off_it() {
    let mut lab = Lab::answered(2);
    lab.peers[0].describe("sendonly");
    lab.peers[1].describe("recvonly");
    lab.send_sdp(0, Method::Invite);
    lab.run(500);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[1].describe("sendrecv");
    refer(&mut lab, 0, "<sip:+4799@198.51.100.1>");
    lab.run(2_000);
    let offer = lab.peers[2].requests(Method::Invite)[0].body().to_vec();
    assert!(line_of(&offer, "a=recvonly").is_empty() && port_of(&offer) > 0);
    lab.hear_each_other(1, 2);
    hang_up(&mut lab, 1, 0);
}

/// A Replaces value for a peer's session, as its own user agent sees it.
pub fn name_of(lab: &Lab, peer: usize, session: usize) -> (String, String, String) {
    let dialog = &lab.peers[peer].sessions[session].dialog;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&dialog.call_id), text(&dialog.remote_tag), text(&dialog.local_tag))
}

/// The office has two calls, to carrier 1 and carrier 2.
fn consulted() -> Lab {
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.call("+4733");
    lab.run(1_000);
    assert_eq!(lab.peers[2].acks().len(), 1);
    lab
}

/// RFC 5589 §7.3: both calls go through us, so that their far parties are joined and both legs of the transferor end.
#[test]
fn an_attended_transfer_joins_the_far_parties() {
    let mut lab = consulted();
    let (call_id, to, from) = name_of(&lab, 0, 1);
    let asked =
        refer(&mut lab, 0, &format!("<sip:+4733@198.51.100.1?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>"));
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(asked), [202]);
    assert_eq!(news(&lab, 0).0, [100, 200]);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 2, "both legs of the transferor");
    assert_eq!((lab.peers[2].requests(Method::Invite).len(), lab.peers[2].requests(Method::Bye).len()), (2, 0));
    lab.hear_each_other(1, 2);
    assert_eq!(lab.b2bua.calls(), 1);
    let info = lab.send_in(2, 0, Method::Info, &[]);
    lab.run(500);
    assert_eq!((lab.peers[2].codes(info), lab.peers[1].requests(Method::Info).len()), (vec![200], 1));
    hang_up(&mut lab, 1, 0);
    assert_eq!(lab.peers[2].requests(Method::Bye).len(), 1);
}

/// The target of the consultation will not have it: both calls stay.
#[test]
fn an_attended_transfer_that_fails_leaves_both_calls() {
    for code in [488, 500] {
        let mut lab = consulted();
        lab.peers[2].inside = vec![say(10, code)];
        let (call_id, to, from) = name_of(&lab, 0, 1);
        refer(&mut lab, 0, &format!("<sip:x@y?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>"));
        lab.run(2_000);
        assert_eq!(news(&lab, 0).0, [100, code]);
        assert_eq!(lab.b2bua.calls(), 2);
        for session in [0, 1] {
            let info = lab.send_in(0, session, Method::Info, &[]);
            lab.run(500);
            assert_eq!(lab.peers[0].codes(info), [200]);
            lab.send_in(0, session, Method::Bye, &[]);
        }
        lab.settle();
    }
}

/// A consultation that still rings: who asks has left it, and the target is called anew, on behalf of who stays.
#[test]
fn an_attended_transfer_to_a_call_that_rings_is_a_blind_one() {
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[2].steps = vec![vec![say(10, 180)], vec![say(10, 180), sdp(200, 200)]];
    let ringing = lab.call("+4733");
    lab.run(500);
    let tag = lab.peers[0].responses(ringing).last().unwrap().to().tag().unwrap().to_vec();
    let (call_id, _, from) = name_of(&lab, 0, 1);
    let to = String::from_utf8(tag).unwrap();
    refer(&mut lab, 0, &format!("<sip:+4733@y?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>"));
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(ringing).last(), Some(&487));
    assert_eq!((news(&lab, 0).0, lab.peers[2].cancels()), (vec![100, 180, 200], 1));
    lab.hear_each_other(1, 2);
    hang_up(&mut lab, 1, 0);
}

/// A dialog that is not ours may be the target's: its name goes along (RFC 5589 §7.3).
#[test]
fn an_unknown_replaces_goes_along() {
    let mut lab = Lab::answered(1);
    refer(&mut lab, 0, "<sip:+4799@y?Replaces=far%40away%3Bto-tag%3D1%3Bfrom-tag%3D2>");
    lab.run(2_000);
    let invites = lab.peers[1].requests(Method::Invite);
    assert_eq!(invites[1].header(HeaderName::Replaces).unwrap(), b"far@away;to-tag=1;from-tag=2");
    hang_up(&mut lab, 1, 0);
}

/// RFC 3891 §3: who knows a dialog of his own trunk takes its place; the one who leaves is ended, the far party stays.
#[test]
fn an_invite_with_replaces_takes_a_place() {
    let mut lab = Lab::answered(1);
    let (call_id, to, from) = name_of(&lab, 0, 0);
    let name = format!("{call_id};to-tag={to};from-tag={from}");
    let offer = lab.peers[0].sdp();
    let client = lab.call_with(0, "+4722", offer, &[("Replaces", &name), ("Require", "replaces")]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [200]);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 1, "the one whose place it was");
    assert_eq!((lab.peers[1].requests(Method::Invite).len(), lab.b2bua.calls()), (2, 1));
    lab.hear_each_other(0, 1);
    hang_up(&mut lab, 0, 1);
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1);
}

/// RFC 3891 §3: 481 for what is unknown, 486 for early-only on an answered call, 400 for two; and 403 for another trunk's dialog.
#[test]
fn an_invite_with_replaces_may_be_refused() {
    let mut lab = Lab::answered(1);
    let (call_id, to, from) = name_of(&lab, 0, 0);
    let name = format!("{call_id};to-tag={to};from-tag={from}");
    let early = format!("{name};early-only");
    let unknown = format!("{call_id};to-tag={to};from-tag=x");
    for (peer, headers, code) in [
        (0, vec![("Replaces", unknown.as_str())], 481),
        (0, vec![("Replaces", "nonsense")], 400),
        (0, vec![("Replaces", name.as_str()), ("Replaces", name.as_str())], 400),
        (0, vec![("Replaces", early.as_str())], 486),
        (1, vec![("Replaces", name.as_str())], 403),
    ] {
        let offer = lab.peers[peer].sdp();
        let client = lab.call_with(peer, "+4722", offer, &headers);
        lab.run(500);
        assert_eq!(lab.peers[peer].codes(client), [code], "{headers:?}");
    }
    assert_eq!(lab.b2bua.calls(), 1);
    hang_up(&mut lab, 0, 0);
}

/// With `pass` the other party acts: numbers at our address, dialogs by the names it knows, fragments without what lies below.
#[test]
fn a_referral_may_be_passed_on() {
    let mut lab = consulted();
    lab.profiles.trunks[0].as_mut().unwrap().transfer = Transfer::Pass;
    lab.peers[1].others = 202;
    let (call_id, to, from) = name_of(&lab, 0, 1);
    let far = name_of(&lab, 2, 0);
    let refer_to = format!("<sip:+4733@192.0.2.10?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>");
    let asked = lab.send_in(0, 0, Method::Refer, &[("Refer-To", &refer_to), ("Referred-By", "<sip:201@192.0.2.10>")]);
    lab.run(500);
    assert_eq!(lab.peers[0].codes(asked), [202]);
    assert_eq!(lab.peers[0].last(asked).contact().unwrap().uri, format!("sip:{}", EDGE[0]).as_bytes());
    let passed = lab.peers[1].requests(Method::Refer)[0];
    let uri = String::from_utf8(passed.header(HeaderName::ReferTo).unwrap().to_vec()).unwrap();
    let escaped = |text: &str| text.replace('@', "%40");
    assert_eq!(
        uri,
        format!("<sip:+4733@{}?Replaces={}%3Bto-tag%3D{}%3Bfrom-tag%3D{}>", EDGE[1], escaped(&far.0), far.2, far.1)
    );
    assert_eq!(passed.header(HeaderName::ReferredBy).unwrap(), format!("<sip:201@{}>", EDGE[1]).as_bytes());
    lab.peers[0].others = 200;
    let fragment = b"SIP/2.0 200 OK\r\nContact: <sip:secret@192.0.2.21>\r\n".to_vec();
    let news = lab.peers[1].send_with(
        lab.now,
        0,
        Method::Notify,
        "message/sipfrag;version=2.0",
        fragment,
        &[("Event", "refer"), ("Subscription-State", "terminated;reason=noresource")],
    );
    lab.run(500);
    assert_eq!(lab.peers[1].codes(news), [200]);
    let heard = lab.peers[0].requests(Method::Notify)[0];
    assert_eq!(heard.body(), b"SIP/2.0 200 OK\r\n");
    assert_eq!(heard.header(HeaderName::Event).unwrap(), b"refer");
    // The party that was referred calls the target by that name, and takes the transferor's place there.
    let name = format!("{};to-tag={};from-tag={}", far.0, far.2, far.1);
    let offer = lab.peers[1].sdp();
    let taken = lab.call_with(1, "+4733", offer, &[("Replaces", &name)]);
    lab.run(1_000);
    assert_eq!(lab.peers[1].codes(taken), [200]);
    lab.hear_each_other(1, 2);
    lab.send_in(0, 0, Method::Bye, &[]);
    lab.run(500);
    hang_up(&mut lab, 2, 0);
}

/// All that is said to one side tells nothing of the other: neither addresses nor dialogs, over a whole transfer.
#[test]
fn no_side_learns_of_another() {
    let mut lab = consulted();
    lab.peers[2].inside =
        vec![Step { headers: vec![("Warning", "399 192.0.2.22 \"hidden\""), ("Server", "c2")], ..sdp(10, 200) }];
    let (call_id, to, from) = name_of(&lab, 0, 1);
    let refer_to = format!("<sip:+4733@198.51.100.1?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>");
    lab.send_in(0, 0, Method::Refer, &[("Refer-To", &refer_to), ("Referred-By", "<sip:201@192.0.2.10>")]);
    lab.run(2_000);
    lab.send_in(1, 0, Method::Info, &[]);
    lab.run(500);
    hang_up(&mut lab, 1, 0);
    let mut secrets: Vec<(usize, Vec<u8>)> = Vec::new();
    for (index, peer) in lab.peers.iter().enumerate() {
        secrets.push((index, peer.addr.ip().to_string().into_bytes()));
        for session in &peer.sessions {
            let dialog = &session.dialog;
            secrets.extend([&dialog.call_id, &dialog.local_tag, &dialog.remote_tag].map(|text| (index, text.clone())));
        }
    }
    for (_, to, message) in &lab.sent {
        for (whose, secret) in secrets.iter().filter(|(_, secret)| !secret.is_empty()) {
            let known = lab.peers[*whose].addr == *to || message.bytes().windows(secret.len()).all(|at| at != secret);
            let text = String::from_utf8_lossy(message.bytes());
            assert!(known, "{to} learns {} of peer {whose}:\n{text}", String::from_utf8_lossy(secret));
        }
    }
}

/// Transfers on a wire that loses, doubles and reorders, to targets that do what targets do, while anyone may hang up: whatever becomes of
/// them, nothing is left of it.
#[test]
fn whatever_the_weather_a_transfer_ends_clean() {
    let mut transferred = 0;
    for seed in 0..120 {
        let mut rng = model::Rng::new(seed);
        let mut lab = Lab::seeded(2, seed);
        lab.call("+4722");
        lab.run(1_000);
        let attended = rng.below(2) == 0;
        if attended {
            lab.peers[1].steps = vec![vec![say(10, 503)]];
            let when = [50, 400, 1_000][rng.below(3) as usize];
            lab.peers[2].steps = vec![vec![say(10, 180), sdp(when, 200)], vec![say(10, 180), sdp(100, 200)]];
            lab.call("+4733");
            lab.run(600);
        } else {
            lab.peers[1].steps = vec![vec![say(10, [486, 503, 503][rng.below(3) as usize])]];
            lab.peers[2].steps = vec![vec![say(20, 180), sdp(20 + rng.below(600), 200)]];
        }
        lab.weather = Weather { lost: rng.below(250), doubled: rng.below(150), jitter: rng.below(60) };
        for peer in [1, 2] {
            let answer = [sdp(10 + rng.below(300), 200), sdp(10, 200), say(10, 488), say(10, 481)]
                [rng.below(4) as usize]
                .clone();
            lab.peers[peer].inside = vec![answer];
        }
        let replaces = lab.peers[0].sessions.get(1).map(|_| name_of(&lab, 0, 1));
        let to = match replaces {
            Some((call_id, to, from)) => {
                format!("<sip:+4733@y?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>")
            }
            None => "<sip:+4733@y>".into(),
        };
        refer(&mut lab, 0, &to);
        // Somebody may lose patience at any moment.
        for _ in 0..rng.below(3) {
            lab.run(rng.below(700));
            let peer = rng.below(3) as usize;
            let open = |session: &crate::peer::Session| session.answered && !session.over;
            if let Some(session) = lab.peers[peer].sessions.iter().position(open) {
                lab.send_in(peer, session, Method::Bye, &[]);
            }
        }
        lab.run(60_000);
        lab.weather = Weather::default();
        transferred += lab.b2bua.counters().transferred;
        for peer in 0..3 {
            for session in 0..lab.peers[peer].sessions.len() {
                if lab.peers[peer].sessions[session].answered && !lab.peers[peer].sessions[session].over {
                    lab.send_in(peer, session, Method::Bye, &[]);
                    lab.run(2_000);
                }
            }
        }
        // Peers that knew nothing of their dialogs any more, or gave up waiting for an ACK, are no longer asked.
        lab.weather.jitter = 1;
        lab.settle();
    }
    assert!(transferred > 20, "{transferred} were joined");
}
