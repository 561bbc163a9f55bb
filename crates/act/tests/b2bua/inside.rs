//! Inside a call: hold and resume both ways, glare, late offers, refusals, INFO, OPTIONS, UPDATE, and what does not belong.

use crate::peer::{Step, say, sdp};
use crate::world::{Lab, line_of, port_of, version_of};
use act::Ending;
use sip::{HeaderName, Method};

fn hang_up(lab: &mut Lab) {
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

fn sdp_of(lab: &Lab, peer: usize) -> Vec<u8> {
    lab.peers[peer].requests(Method::Invite).last().unwrap().body().to_vec()
}

#[test]
fn hold_and_resume_by_either_side() {
    for (who, other) in [(0, 1), (1, 0)] {
        let mut lab = Lab::answered(1);
        let before = if other == 1 { sdp_of(&lab, 1) } else { lab.ok_body() };
        lab.peers[who].describe("sendonly");
        lab.peers[other].describe("recvonly");
        let held = lab.send_sdp(who, Method::Invite);
        lab.run(500);
        assert_eq!(lab.peers[who].codes(held), [200]);
        let offer = sdp_of(&lab, other);
        assert_eq!(line_of(&offer, "a=sendonly"), "a=sendonly");
        assert_eq!(port_of(&offer), port_of(&before));
        assert_eq!(version_of(&offer), version_of(&before) + 1);
        assert!(line_of(lab.peers[who].last(held).body(), "a=recvonly") == "a=recvonly");
        lab.peers[who].describe("sendrecv");
        lab.peers[other].describe("sendrecv");
        let resumed = lab.send_sdp(who, Method::Invite);
        lab.run(500);
        assert_eq!(lab.peers[who].codes(resumed), [200]);
        let again = sdp_of(&lab, other);
        assert_eq!(version_of(&again), version_of(&before) + 2);
        assert_eq!(
            lab.speak(who, lab.peers[who].last(resumed).body().to_vec().as_slice()),
            Some(lab.peers[other].media)
        );
        assert_eq!(lab.peers[other].acks().len() + lab.peers[who].acks().len(), 1 + 2);
        hang_up(&mut lab);
    }
}

/// A refresh that changes nothing keeps the version (RFC 3264 §8).
#[test]
fn a_refresh_keeps_the_version() {
    let mut lab = Lab::answered(1);
    let before = version_of(&sdp_of(&lab, 1));
    let answered = version_of(&lab.ok_body());
    for _ in 0..3 {
        let refresh = lab.send_sdp(0, Method::Invite);
        lab.run(500);
        assert_eq!(lab.peers[0].codes(refresh), [200]);
        assert_eq!(version_of(&sdp_of(&lab, 1)), before);
        assert_eq!(version_of(&lab.ok_body()), answered);
    }
    hang_up(&mut lab);
}

#[test]
fn a_reinvite_moves_the_audio() {
    let mut lab = Lab::answered(1);
    lab.peers[0].media.set_port(6000);
    lab.peers[0].describe("sendrecv");
    lab.send_sdp(0, Method::Invite);
    lab.run(500);
    let offer = sdp_of(&lab, 1);
    assert_eq!(lab.speak(1, &offer), Some(lab.peers[0].media));
    hang_up(&mut lab);
}

#[test]
fn a_reinvite_without_an_offer_is_answered_in_its_ack() {
    for (who, other) in [(0, 1), (1, 0)] {
        let mut lab = Lab::answered(1);
        let client = lab.send(who, Method::Invite, "", vec![]);
        lab.run(500);
        assert_eq!(lab.peers[who].codes(client), [200]);
        assert!(sdp_of(&lab, other).is_empty());
        assert!(!lab.peers[who].last(client).body().is_empty());
        let acks = lab.peers[other].acks();
        let answer = acks.last().unwrap().body().to_vec();
        assert!(!answer.is_empty());
        assert_eq!(lab.speak(other, &answer), Some(lab.peers[who].media));
        hang_up(&mut lab);
    }
}

/// RFC 3261 §14.1, §14.2.
#[test]
fn glare_is_491_and_the_call_goes_on() {
    let mut lab = Lab::answered(1);
    let body = lab.peers[0].sdp();
    let first = lab.peers[0].send(lab.now, 0, Method::Invite, "application/sdp", body);
    let second = lab.send_sdp(1, Method::Invite);
    lab.run(1_000);
    let codes = (lab.peers[0].codes(first), lab.peers[1].codes(second));
    assert!(codes.0 == [491] || codes.1 == [491], "{codes:?}");
    assert!(lab.b2bua.counters().glare >= 1);
    let again = lab.send_sdp(1, Method::Invite);
    lab.run(1_000);
    assert_eq!(lab.peers[1].codes(again), [200], "once it is over, the next one is served");
    hang_up(&mut lab);
}

#[test]
fn a_reinvite_during_another_of_the_same_side_is_500() {
    let mut lab = Lab::answered(1);
    lab.peers[1].inside = vec![sdp(300, 200)];
    let first = lab.send_sdp(0, Method::Invite);
    lab.run(50);
    let second = lab.send_sdp(0, Method::Invite);
    lab.run(1_000);
    assert_eq!((lab.peers[0].codes(first), lab.peers[0].codes(second)), (vec![200], vec![500]));
    assert!(lab.peers[0].last(second).header(HeaderName::RetryAfter).is_some(), "14.2");
    hang_up(&mut lab);
}

#[test]
fn a_refused_reinvite_leaves_the_call_as_it_was() {
    let mut lab = Lab::answered(1);
    lab.peers[1].inside = vec![say(10, 488)];
    let (offer, answer) = (sdp_of(&lab, 1), lab.ok_body());
    let moved = lab.peers[0].media;
    lab.peers[0].media.set_port(6000);
    let client = lab.send_sdp(0, Method::Invite);
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [488]);
    lab.peers[0].media = moved;
    assert_eq!(lab.speak(1, &offer), Some(moved), "14.1: the session parameters stay");
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[1].media));
    assert_eq!(lab.b2bua.calls(), 1);
    hang_up(&mut lab);
}

/// §12.2.1.2.
#[test]
fn a_reinvite_answered_481_or_408_or_not_at_all_ends_the_call() {
    for code in [481, 408] {
        let mut lab = Lab::answered(1);
        lab.peers[1].inside = vec![say(10, code)];
        let client = lab.send_sdp(0, Method::Invite);
        lab.run(500);
        assert_eq!(lab.peers[0].codes(client), [code]);
        assert_eq!(lab.peers[0].requests(Method::Bye).len(), 1);
        lab.settle();
        assert!(matches!(lab.ended[0].ending, Ending::Ended(_)));
    }
    let mut lab = Lab::answered(1);
    lab.peers[1].dead = true;
    let client = lab.send_sdp(0, Method::Invite);
    lab.run(40_000);
    assert_eq!(lab.peers[0].codes(client), [408]);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 1);
    lab.settle();
}

#[test]
fn a_reinvite_may_be_cancelled() {
    let mut lab = Lab::answered(1);
    lab.peers[1].inside = vec![say(10, 180)];
    let client = lab.send_sdp(0, Method::Invite);
    lab.run(200);
    lab.cancel(client);
    lab.run(200);
    assert_eq!(lab.peers[0].last(client).status(), Some(487));
    assert_eq!((lab.peers[1].cancels(), lab.b2bua.calls()), (1, 1));
    hang_up(&mut lab);
}

/// An ACK is for the INVITE of its own CSeq: a late repeat of the first one confirms nothing newer.
#[test]
fn an_old_ack_confirms_nothing() {
    let mut lab = Lab::answered(1);
    let first_ack = lab.peers[0].sessions[0].dialog.ack(7);
    lab.peers[0].acks = false;
    let client = lab.send(0, Method::Invite, "", vec![]);
    lab.run(100);
    let before = lab.peers[1].acks().len();
    let flow = lab.peers[0].sessions[0].flow;
    lab.peers[0].endpoint.ack(lab.now, client, flow, first_ack);
    lab.run(3_000);
    assert_eq!(lab.peers[1].acks().len(), before, "the far side's 200 waits for the ACK with the answer");
    let repeats = lab
        .sent
        .iter()
        .filter(|(_, to, sent)| *to == lab.peers[0].addr && sent.status() == Some(200) && sent.cseq().number == 8);
    assert!(repeats.count() >= 3, "the 200 is repeated until its own ACK");
    hang_up(&mut lab);
}

#[test]
fn info_is_relayed_and_options_answered_here() {
    for (who, other) in [(0, 1), (1, 0)] {
        let mut lab = Lab::answered(1);
        let info = lab.send(who, Method::Info, "application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n".to_vec());
        let options = lab.send(who, Method::Options, "", vec![]);
        lab.run(200);
        assert_eq!((lab.peers[who].codes(info), lab.peers[who].codes(options)), (vec![200], vec![200]));
        let infos = lab.peers[other].requests(Method::Info);
        assert_eq!(infos.len(), 1);
        assert_eq!(infos[0].body(), b"Signal=5\r\nDuration=160\r\n");
        assert_eq!(infos[0].content_type(), Some(&b"application/dtmf-relay"[..]));
        assert!(lab.peers[other].requests(Method::Options).is_empty());
        assert!(lab.peers[who].last(options).header(HeaderName::Allow).is_some());
        hang_up(&mut lab);
    }
}

#[test]
fn a_refused_info_is_refused_and_the_call_goes_on() {
    let mut lab = Lab::answered(1);
    lab.peers[1].others = 415;
    let info = lab.send(0, Method::Info, "application/x", b"x".to_vec());
    lab.run(200);
    assert_eq!((lab.peers[0].codes(info), lab.b2bua.calls()), (vec![415], 1));
    hang_up(&mut lab);
}

/// RFC 3261 §8.2.1, RFC 3903: what has no meaning inside a call is refused with what has.
#[test]
fn publish_inside_a_call_is_405_with_what_we_allow() {
    let mut lab = Lab::answered(1);
    let client = lab.send(0, Method::Publish, "", vec![]);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(client), [405]);
    assert!(lab.peers[0].last(client).header(HeaderName::Allow).is_some());
    hang_up(&mut lab);
}

/// RFC 6665: packages pass with their own words, either way; bodies that name dialogs (RFC 4235) are nobody's business on the other leg.
#[test]
fn subscriptions_pass_and_dialog_packages_do_not() {
    for (who, other) in [(0, 1), (1, 0)] {
        let mut lab = Lab::answered(1);
        let subscribed = lab.send_in(who, 0, Method::Subscribe, &[("Event", "conference"), ("Expires", "60")]);
        let body = b"<conference-info/>".to_vec();
        let told = lab.peers[other].send_with(
            lab.now,
            0,
            Method::Notify,
            "application/conference-info+xml",
            body.clone(),
            &[("Event", "conference"), ("Subscription-State", "active;expires=60")],
        );
        let nosy = lab.send_in(who, 0, Method::Subscribe, &[("Event", "dialog;call-id=x")]);
        lab.run(500);
        assert_eq!((lab.peers[who].codes(subscribed), lab.peers[other].codes(told)), (vec![200], vec![200]));
        assert!(lab.peers[who].last(subscribed).contact().is_some(), "RFC 6665 §4.1.2.1");
        let request = lab.peers[other].requests(Method::Subscribe)[0];
        assert_eq!(
            (request.header(HeaderName::Event), request.header(HeaderName::Expires)),
            (Some(&b"conference"[..]), Some(&b"60"[..]))
        );
        assert!(request.contact().is_some());
        let notify = lab.peers[who].requests(Method::Notify)[0];
        assert_eq!((notify.body(), notify.content_type()), (&body[..], Some(&b"application/conference-info+xml"[..])));
        assert_eq!(notify.named("Subscription-State"), Some(&b"active;expires=60"[..]));
        assert_eq!(lab.peers[who].codes(nosy), [489]);
        hang_up(&mut lab);
    }
}

/// RFC 3311: an offer in an UPDATE is bridged, and the Contacts of both are targets from then on (§5.1, §5.2).
#[test]
fn update_is_bridged_and_refreshes_the_target() {
    let mut lab = Lab::answered(1);
    lab.peers[0].describe("sendonly");
    let body = lab.peers[0].sdp();
    let now = lab.now;
    let flow = lab.peers[0].sessions[0].flow;
    let mut draft = lab.peers[0].sessions[0].dialog.request(Method::Update);
    draft.headers.push("Contact", b"<sip:moved@192.0.2.10:5060>");
    draft.headers.push("Content-Type", b"application/sdp");
    draft.body = body;
    let update = lab.peers[0].endpoint.request(now, flow, draft, &sip::TimerSet::default()).unwrap();
    lab.run(200);
    assert_eq!(lab.peers[0].codes(update), [200]);
    assert!(lab.peers[0].last(update).contact().is_some());
    let passed = lab.peers[1].requests(Method::Update)[0];
    assert_eq!(line_of(passed.body(), "c="), "c=IN IP4 203.0.113.9");
    assert_eq!(line_of(passed.body(), "a=sendonly"), "a=sendonly");
    lab.send(1, Method::Bye, "", vec![]);
    lab.run(100);
    assert_eq!(lab.peers[0].requests(Method::Bye)[0].uri(), b"sip:moved@192.0.2.10:5060");
    lab.settle();
}

#[test]
fn an_unknown_dialog_is_481_and_an_old_cseq_500() {
    let mut lab = Lab::answered(1);
    let real = lab.peers[0].sessions[0].dialog.clone();
    lab.peers[0].sessions[0].dialog.remote_tag = b"other".to_vec();
    let unknown = lab.send(0, Method::Info, "", vec![]);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(unknown), [481]);
    lab.peers[0].sessions[0].dialog = real;
    let _newer = lab.send(0, Method::Info, "", vec![]);
    lab.run(100);
    lab.peers[0].sessions[0].dialog.local_seq -= 2;
    let older = lab.send(0, Method::Info, "", vec![]);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(older), [500], "12.2.2");
    lab.peers[0].sessions[0].dialog.local_seq += 5;
    hang_up(&mut lab);
    assert_eq!(lab.b2bua.counters().unknown_dialogs, 1);
}

#[test]
fn a_second_stream_gets_ports_of_its_own_and_gives_them_back() {
    let mut lab = Lab::answered(1);
    let two = |peer: &crate::peer::Peer| {
        let mut body = peer.sdp();
        body.extend_from_slice(b"m=video 4002 RTP/AVP 31\r\na=sendrecv\r\n");
        body
    };
    let body = two(&lab.peers[0]);
    lab.send(0, Method::Invite, "application/sdp", body);
    lab.run(300);
    assert_eq!(lab.relay.joined(), 4);
    let offer = String::from_utf8(sdp_of(&lab, 1)).unwrap();
    assert!(offer.contains("m=video 1") && !offer.contains("m=video 4002"), "{offer}");
    hang_up(&mut lab);
}

#[test]
fn a_carriers_challenge_inside_the_call_does_not_reach_the_caller() {
    let mut lab = Lab::answered(1);
    let headers = vec![("WWW-Authenticate", "Digest realm=\"carrier\", nonce=\"abc\"")];
    lab.peers[1].inside = vec![Step { headers, ..say(10, 401) }];
    let client = lab.send_sdp(0, Method::Invite);
    lab.run(300);
    let refusal = lab.peers[0].last(client);
    assert_eq!(refusal.status(), Some(488));
    assert!(refusal.header(HeaderName::WwwAuthenticate).is_none());
    hang_up(&mut lab);
}

/// A trunk that a reload has taken out of the configuration keeps its calls, hold and resume included.
#[test]
fn a_call_outlives_its_trunk_in_the_configuration() {
    for gone in [0, 1] {
        let mut lab = Lab::answered(1);
        lab.profiles.trunks[gone] = None;
        for (who, other) in [(0, 1), (1, 0)] {
            lab.peers[who].describe("sendonly");
            let held = lab.send_sdp(who, Method::Invite);
            lab.run(500);
            assert_eq!(lab.peers[who].codes(held), [200]);
            let edge = ["c=IN IP4 198.51.100.9", "c=IN IP4 203.0.113.9"];
            assert_eq!(line_of(&sdp_of(&lab, other), "c="), edge[other]);
            assert_eq!(line_of(lab.peers[who].last(held).body(), "c="), edge[who]);
        }
        hang_up(&mut lab);
    }
}

/// RFC 3311 §5.2: one offer at a time, whichever method carries it.
#[test]
fn an_offer_while_another_is_open_is_491() {
    for (first, second) in
        [(Method::Update, Method::Invite), (Method::Update, Method::Update), (Method::Invite, Method::Update)]
    {
        let mut lab = Lab::answered(1);
        lab.peers[0].dead = true;
        lab.peers[1].inside = vec![];
        let body = lab.peers[1].sdp();
        lab.send(1, first, "application/sdp", body);
        lab.run(20);
        lab.peers[0].dead = false;
        let refused = lab.send_sdp(0, second);
        lab.run(12);
        assert_eq!(lab.peers[0].codes(refused), [491], "{first:?} {second:?}");
        lab.run(2_000);
        hang_up(&mut lab);
    }
}

#[test]
fn the_network_blames_whom_it_could_not_reach() {
    for (who, other) in [(0, 1), (1, 0)] {
        let mut lab = Lab::answered(1);
        lab.peers[other].closed = true;
        let info = lab.send(who, Method::Info, "text/plain", b"x".to_vec());
        lab.run(100);
        assert_eq!(lab.peers[who].codes(info), [504], "RFC 4320 §4.2");
        let fault = model::TransportFault::PortUnreachable;
        assert!(lab.seen(other as u16).contains(&model::Observed::Transport { fault }));
        assert!(!lab.seen(who as u16).contains(&model::Observed::Transport { fault }));
        lab.peers[other].closed = false;
        hang_up(&mut lab);
    }
}

/// The old way to hold (RFC 2543 §B.5, RFC 3264 §8.4): zeros stay zeros, and the audio goes on where it was afterwards.
#[test]
fn hold_by_zeros_is_understood() {
    let mut lab = Lab::answered(1);
    let answer = lab.ok_body();
    let body = String::from_utf8(lab.peers[0].sdp()).unwrap().replace("c=IN IP4 192.0.2.10", "c=IN IP4 0.0.0.0");
    let held = lab.send(0, Method::Invite, "application/sdp", body.into_bytes());
    lab.run(500);
    assert_eq!(lab.peers[0].codes(held), [200]);
    assert_eq!(line_of(&sdp_of(&lab, 1), "c="), "c=IN IP4 0.0.0.0");
    lab.send_sdp(0, Method::Invite);
    lab.run(500);
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[1].media));
    assert_eq!(lab.speak(1, &sdp_of(&lab, 1)), Some(lab.peers[0].media));
    hang_up(&mut lab);
}

#[test]
fn a_message_has_no_contact_and_an_update_has() {
    let mut lab = Lab::answered(1);
    lab.send(0, Method::Message, "text/plain", b"hello".to_vec());
    lab.send(0, Method::Update, "", vec![]);
    lab.run(200);
    assert!(lab.peers[1].requests(Method::Message)[0].contact().is_none(), "RFC 3428 §4");
    assert!(lab.peers[1].requests(Method::Update)[0].contact().is_some(), "RFC 3311 §5.1");
    hang_up(&mut lab);
}
