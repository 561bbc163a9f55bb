//! Exchanges that meet, that are refused, and UPDATE towards those who do not know it (RFC 3261 §14, RFC 3311 §5).

use crate::peer::{Step, say, sdp};
use crate::world::{Lab, line_of, version_of};
use act::Ending;
use sip::Method;

fn hang_up(lab: &mut Lab) {
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// §14.1: 2.1 to 4 s on the leg whose Call-ID is ours, up to 2 s on the other.
#[test]
fn a_reinvite_that_met_another_is_offered_again_on_its_leg() {
    for (who, other, least, most) in [(0, 1, 2_100, 4_000), (1, 0, 0, 2_000)] {
        let mut lab = Lab::answered(1);
        lab.peers[other].inside = vec![say(10, 491)];
        lab.peers[who].describe("sendonly");
        let held = lab.send_sdp(who, Method::Invite);
        lab.run(30);
        lab.peers[other].inside = vec![sdp(10, 200)];
        assert!(lab.peers[who].codes(held).is_empty(), "the side that asked waits");
        lab.run(5_000);
        assert_eq!(lab.peers[who].codes(held), [200]);
        let at = lab.peers[other].requests_at(Method::Invite);
        let tries = &at[at.len() - 2..];
        let pause = tries[1].since(tries[0]).as_millis();
        assert!((least..most + 100).contains(&pause), "{pause}");
        let offers = lab.peers[other].requests(Method::Invite);
        let again = offers.last().unwrap();
        assert_eq!(line_of(again.body(), "a=sendonly"), "a=sendonly");
        assert_eq!(lab.b2bua.counters().offered_again, 1);
        hang_up(&mut lab);
    }
}

#[test]
fn glare_without_end_is_passed_on_and_changes_nothing() {
    let mut lab = Lab::answered(1);
    let shown = lab.peers[1].requests(Method::Invite)[0].body().to_vec();
    lab.peers[1].inside = vec![say(10, 491)];
    lab.peers[0].describe("sendonly");
    let held = lab.send_sdp(0, Method::Invite);
    lab.run(20_000);
    assert_eq!(lab.peers[0].codes(held), [491]);
    assert_eq!(lab.peers[1].requests(Method::Invite).len(), 1 + 4);
    assert_eq!(lab.b2bua.calls(), 1);
    lab.peers[0].describe("sendrecv");
    lab.peers[1].inside = vec![sdp(10, 200)];
    lab.send_sdp(0, Method::Invite);
    lab.run(100);
    let offers = lab.peers[1].requests(Method::Invite);
    let last = offers.last().unwrap().body();
    assert_eq!(version_of(last), version_of(&shown), "what was refused never was: the session is as before (§14.1)");
    hang_up(&mut lab);
}

#[test]
fn a_reinvite_that_waits_for_its_turn_may_be_cancelled() {
    let mut lab = Lab::answered(1);
    lab.peers[1].inside = vec![say(10, 491)];
    let held = lab.send_sdp(0, Method::Invite);
    lab.run(100);
    lab.cancel(held);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(held), [487]);
    lab.run(10_000);
    assert_eq!((lab.peers[1].requests(Method::Invite).len(), lab.b2bua.calls()), (2, 1));
    hang_up(&mut lab);
}

#[test]
fn a_call_may_end_while_a_reinvite_waits_for_its_turn() {
    let mut lab = Lab::answered(1);
    lab.peers[1].inside = vec![say(10, 491)];
    let held = lab.send_sdp(0, Method::Invite);
    lab.run(100);
    lab.send(1, Method::Bye, "", vec![]);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(held), [487]);
    lab.settle();
    assert!(matches!(lab.ended[0].ending, Ending::Bye(act::Side::Callee)));
}

/// An UPDATE with an offer for who does not know the method goes as a re-INVITE.
#[test]
fn update_becomes_a_reinvite_for_who_does_not_know_it() {
    for learned in [false, true] {
        let mut lab = Lab::new(1);
        let allow = if learned { "INVITE, ACK, BYE, CANCEL" } else { "INVITE, ACK, BYE, CANCEL, UPDATE" };
        lab.peers[1].steps = vec![vec![Step { headers: vec![("Allow", allow)], ..sdp(10, 200) }]];
        lab.peers[1].others = 501;
        lab.call("+4722");
        lab.run(500);
        lab.peers[0].describe("sendonly");
        lab.peers[1].describe("recvonly");
        let update = lab.send_sdp(0, Method::Update);
        lab.run(500);
        assert_eq!(lab.peers[0].codes(update), [200]);
        assert_eq!(line_of(lab.peers[0].last(update).body(), "a=recvonly"), "a=recvonly");
        assert!(lab.peers[0].last(update).contact().is_some(), "RFC 3311 §5.2");
        let offers = lab.peers[1].requests(Method::Invite);
        assert_eq!(line_of(offers.last().unwrap().body(), "a=sendonly"), "a=sendonly");
        assert_eq!((offers.len(), lab.peers[1].acks().len()), (2, 2));
        assert_eq!(lab.peers[1].requests(Method::Update).len(), usize::from(!learned));
        let empty = lab.send(0, Method::Update, "", vec![]);
        lab.run(100);
        assert_eq!(lab.peers[0].codes(empty), [200], "without an offer it concerns this leg alone");
        assert_eq!(lab.peers[1].requests(Method::Update).len(), usize::from(!learned));
        hang_up(&mut lab);
    }
}

#[test]
fn a_refused_update_keeps_the_session() {
    let mut lab = Lab::answered(1);
    let shown = lab.peers[1].requests(Method::Invite)[0].body().to_vec();
    lab.peers[1].others = 488;
    lab.peers[0].describe("sendonly");
    let update = lab.send_sdp(0, Method::Update);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(update), [488]);
    lab.peers[0].describe("sendrecv");
    lab.send_sdp(0, Method::Invite);
    lab.run(100);
    assert_eq!(version_of(lab.peers[1].requests(Method::Invite)[1].body()), version_of(&shown));
    hang_up(&mut lab);
}

/// §12.2.1.2, RFC 5057: whoever no longer knows the dialog ends the call, whatever request tells it.
#[test]
fn a_request_answered_481_or_not_at_all_ends_the_call() {
    for (who, other) in [(0, 1), (1, 0)] {
        let mut lab = Lab::answered(1);
        lab.peers[other].others = 481;
        let info = lab.send(who, Method::Info, "text/plain", b"x".to_vec());
        lab.run(200);
        assert_eq!(lab.peers[who].codes(info), [481]);
        assert_eq!(lab.peers[who].requests(Method::Bye).len(), 1);
        lab.settle();
        let mut lab = Lab::answered(1);
        lab.peers[other].dead = true;
        lab.send(who, Method::Info, "text/plain", b"x".to_vec());
        lab.run(40_000);
        assert_eq!(lab.peers[who].requests(Method::Bye).len(), 1, "no answer at all");
        lab.settle();
    }
}

/// Both sides hang up at once (RFC 5407 §3.1.5): each BYE is answered, and that is all.
#[test]
fn byes_that_cross_are_both_answered() {
    let mut lab = Lab::answered(1);
    let caller = lab.peers[0].send(lab.now, 0, Method::Bye, "", vec![]);
    let callee = lab.send(1, Method::Bye, "", vec![]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(caller), [200]);
    assert!(matches!(lab.peers[1].codes(callee)[..], [200] | [481]));
    lab.settle();
    assert_eq!(lab.ended.len(), 1);
}

/// Double hold: each side holds the other, and each resumes for itself.
#[test]
fn both_may_hold() {
    let mut lab = Lab::answered(1);
    for (who, other, offers, answers) in [
        (0, 1, "sendonly", "recvonly"),
        (1, 0, "inactive", "inactive"),
        (0, 1, "recvonly", "sendonly"),
        (1, 0, "sendrecv", "sendrecv"),
    ] {
        lab.peers[who].describe(offers);
        lab.peers[other].describe(answers);
        let held = lab.send_sdp(who, Method::Invite);
        lab.run(300);
        assert_eq!(lab.peers[who].codes(held), [200]);
        let wanted = format!("a={answers}");
        assert_eq!(line_of(lab.peers[who].last(held).body(), &wanted), wanted);
    }
    hang_up(&mut lab);
}

fn fax(lab: &Lab, peer: usize, port: u16) -> Vec<u8> {
    let ip = lab.peers[peer].media.ip();
    format!(
        "v=0\r\no=peer 77 9 IN IP4 {ip}\r\ns=call\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\nm=image {port} udptl t38\r\n\
         a=T38FaxVersion:0\r\na=T38FaxMaxDatagram:316\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"
    )
    .into_bytes()
}

/// A fax begins as audio and goes on as T.38 (RFC 3362, T.38 annex D): the image has ports of its own, anchored, and its attributes pass.
#[test]
fn a_fax_goes_on_by_t38_and_its_packets_pass_as_they_are() {
    let mut lab = Lab::answered(1);
    let offer = fax(&lab, 1, 5_000);
    lab.peers[0].body = Some(fax(&lab, 0, 5_002));
    let switched = lab.send(1, Method::Invite, "application/sdp", offer);
    lab.run(300);
    assert_eq!(lab.peers[1].codes(switched), [200]);
    let shown = lab.peers[0].requests(Method::Invite)[0].body().to_vec();
    let text = String::from_utf8(shown.clone()).unwrap();
    assert!(
        text.contains("m=audio 0 ") && text.contains("udptl t38") && text.contains("T38FaxMaxDatagram:316"),
        "{text}"
    );
    let image: u16 = line_of(&shown, "m=image").split(' ').nth(1).unwrap().parse().unwrap();
    assert!(image != 5_000 && image >= 10_000, "anchored: {text}");
    // UDPTL begins with a sequence number, not with a version: 0x00 would be no RTP at all.
    let udptl = [0x00, 0x01, 0x02, 0x06, 0x00];
    let fax_of = |peer: usize, port: u16| std::net::SocketAddr::new(lab.peers[peer].media.ip(), port);
    let (from, to) = (fax_of(0, 5_002), fax_of(1, 5_000));
    assert_eq!(lab.pass(image, from, &udptl), Some((to, udptl.to_vec())));
    lab.peers[0].body = None;
    hang_up(&mut lab);
}

/// 488 to the image: the audio goes on both ways as it was (§14.1).
#[test]
fn a_fax_that_is_refused_keeps_its_audio() {
    let mut lab = Lab::answered(1);
    let (offer, answer) = (lab.peers[1].requests(Method::Invite)[0].body().to_vec(), lab.ok_body());
    lab.peers[0].inside = vec![say(10, 488)];
    let body = fax(&lab, 1, 5_000);
    let switched = lab.send(1, Method::Invite, "application/sdp", body);
    lab.run(300);
    assert_eq!(lab.peers[1].codes(switched), [488]);
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[1].media));
    assert_eq!(lab.speak(1, &offer), Some(lab.peers[0].media));
    assert_eq!(lab.b2bua.calls(), 1);
    hang_up(&mut lab);
}
