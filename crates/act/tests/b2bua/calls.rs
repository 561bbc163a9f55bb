//! Calls that reach someone: both directions, what passes, what stays hidden, late offer, who may call.

use crate::peer::{Step, say, sdp};
use crate::world::{EDGE, Lab, line_of, port_of};
use act::{Ending, Side};
use model::{AttemptOutcome, Observed, Span};
use sip::{HeaderName, Method};

#[test]
fn a_plain_call_is_answered_and_ended() {
    let mut lab = Lab::answered(1);
    let bye = lab.send(0, Method::Bye, "", vec![]);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(bye), [200]);
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1);
    lab.settle();
    let call = &lab.ended[0];
    assert_eq!(call.ending, Ending::Bye(Side::Caller));
    assert_eq!((call.attempts.len(), call.attempts[0].outcome), (1, AttemptOutcome::Answered));
    assert_eq!((call.caller.as_slice(), call.called.as_slice()), (&b"201"[..], &b"+4722"[..]));
    assert!(call.progressed.is_some() && call.answered.is_some());
}

#[test]
fn the_callee_may_end_it_and_a_carrier_may_call_in() {
    let mut lab = Lab::new(1);
    let offer = lab.peers[1].sdp();
    let client = lab.call_with(1, "201", offer, &[]);
    lab.run(500);
    assert_eq!(lab.peers[1].codes(client), [180, 200]);
    let bye = lab.send(0, Method::Bye, "", vec![]);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(bye), [200]);
    lab.settle();
    assert_eq!(lab.ended[0].ending, Ending::Bye(Side::Callee));
}

#[test]
fn each_side_sees_the_edge_alone() {
    let mut lab = Lab::answered(1);
    let invite = lab.peers[1].requests(Method::Invite)[0];
    let text = String::from_utf8(invite.bytes().to_vec()).unwrap();
    assert!(text.starts_with("INVITE sip:+4722@192.0.2.21:5060 SIP/2.0\r\n"), "{text}");
    assert!(!text.contains("192.0.2.10") && !text.contains("198.51.100"), "{text}");
    assert!(text.contains("From: \"Ann\" <sip:201@203.0.113.1:5060>;tag="), "{text}");
    assert_eq!(invite.max_forwards(), Some(69));
    let (outer, inner) = (lab.peers[0].sessions[0].dialog.clone(), lab.peers[1].sessions[0].dialog.clone());
    assert_ne!(outer.call_id, inner.call_id);
    assert_ne!((outer.local_tag, outer.remote_tag), (inner.remote_tag, inner.local_tag));
    for (_, to, sent) in &lab.sent {
        let text = String::from_utf8_lossy(sent.bytes()).into_owned();
        let hidden = if to.ip().to_string() == "192.0.2.10" { "192.0.2.21" } else { "192.0.2.10" };
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn what_is_said_about_the_call_passes_both_ways() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![Step { headers: vec![("X-Route", "b")], ..sdp(50, 183) }, sdp(200, 200)]];
    let offer = lab.peers[0].sdp();
    let extra = [
        ("P-Asserted-Identity", "<sip:+4799@pbx>"),
        ("Privacy", "id"),
        ("Diversion", "<sip:202@pbx>;reason=unconditional"),
        ("User-to-User", "56a390f3;encoding=hex"),
        ("Subject", "lunch"),
        ("Supported", "100rel, timer, replaces"),
        ("Session-Expires", "1800"),
        ("Max-Breadth", "60"),
    ];
    let client = lab.call_with(0, "+4722", offer, &extra);
    lab.run(500);
    let invite = lab.peers[1].requests(Method::Invite)[0];
    for (name, value) in &extra[..5] {
        assert_eq!(invite.named(name), Some(value.as_bytes()), "{name}");
    }
    // What the caller can do is its own affair: these are our words on this leg.
    let supported: Vec<&[u8]> = invite.values(HeaderName::Supported).collect();
    assert_eq!(supported, [&b"timer"[..], b"100rel"]);
    assert_eq!(invite.header(HeaderName::SessionExpires), Some(&b"1800"[..]));
    let progress = lab.peers[0].responses(client).find(|message| message.status() == Some(183)).unwrap();
    assert_eq!(progress.named("X-Route"), Some(&b"b"[..]));
    lab.send(1, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn audio_is_anchored_both_ways() {
    let mut lab = Lab::answered(1);
    let invite = lab.peers[1].requests(Method::Invite)[0];
    let (towards_carrier, answer) = (invite.body().to_vec(), lab.ok_body());
    assert_eq!(line_of(&towards_carrier, "c="), "c=IN IP4 203.0.113.9");
    assert_eq!(line_of(&answer, "c="), "c=IN IP4 198.51.100.9");
    assert_eq!(line_of(&towards_carrier, "s="), "s=-");
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[1].media));
    assert_eq!(lab.speak(1, &towards_carrier), Some(lab.peers[0].media));
    lab.send(0, Method::Bye, "", vec![]);
    lab.run(100);
    assert_eq!(lab.speak(0, &answer), None, "after the end nothing is relayed");
    lab.settle();
    let media = lab.ended[0].media.unwrap();
    assert_eq!((media.first.relayed, media.second.relayed), (1, 1));
}

#[test]
fn all_provisional_answers_and_the_final_one_share_one_to_tag() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[2].steps = vec![vec![say(10, 180), sdp(50, 183), sdp(90, 200)]];
    let client = lab.call("+4722");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 183, 200]);
    let tags: Vec<_> = lab.peers[0]
        .responses(client)
        .filter(|message| message.status() != Some(100))
        .map(|message| message.to().tag().unwrap().to_vec())
        .collect();
    assert!(tags.windows(2).all(|pair| pair[0] == pair[1]));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// RFC 3261 §13.2.1: the 200 offers, the ACK answers; so the callee's ACK must wait for the caller's.
#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut lab = Lab::new(1);
    let client = lab.call_with(0, "+4722", vec![], &[]);
    lab.run(500);
    assert!(lab.peers[1].requests(Method::Invite)[0].body().is_empty());
    let offer = lab.peers[0].last(client).body().to_vec();
    assert_eq!(line_of(&offer, "c="), "c=IN IP4 198.51.100.9");
    let acks = lab.peers[1].acks();
    assert_eq!(acks.len(), 1);
    let answer = acks[0].body().to_vec();
    assert_eq!(line_of(&answer, "c="), "c=IN IP4 203.0.113.9");
    assert_eq!(lab.speak(0, &offer), Some(lab.peers[1].media));
    assert_eq!(lab.speak(1, &answer), Some(lab.peers[0].media));
    lab.send(1, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn a_repeated_200_is_acknowledged_again_and_changes_nothing() {
    let mut lab = Lab::new(1);
    lab.peers[0].acks = false;
    let client = lab.call("+4722");
    lab.run(3_000);
    let finals = lab.sent.iter().filter(|(_, _, sent)| sent.status() == Some(200) && sent.method() == Method::Invite);
    assert!(finals.count() >= 3, "13.3.1.4: the 200 is repeated until its ACK");
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(lab.peers[1].acks().len(), 1);
    // 64*T1 later both sides get BYE.
    lab.run(40_000);
    assert_eq!((lab.peers[0].requests(Method::Bye).len(), lab.peers[1].requests(Method::Bye).len()), (1, 1));
    lab.settle();
    assert!(matches!(lab.ended[0].ending, Ending::Ended(_)));
    assert_eq!(lab.b2bua.counters().acks_missing, 1);
}

#[test]
fn a_missing_ack_of_a_late_offer_ends_the_callee_too() {
    let mut lab = Lab::new(1);
    lab.peers[0].acks = false;
    lab.call_with(0, "+4722", vec![], &[]);
    lab.run(45_000);
    assert_eq!(lab.peers[1].acks().len(), 1, "the callee's 200 is acknowledged before its BYE");
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1);
    lab.settle();
}

#[test]
fn strangers_get_403_and_leave_nothing() {
    let mut lab = Lab::new(1);
    lab.inject(
        "192.0.2.99:5060".parse().unwrap(),
        "INVITE sip:+4722@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:+4722@198.51.100.1>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.99>\r\nContent-Length: 0\r\n\r\n",
    );
    lab.run(100);
    let codes: Vec<_> = lab.sent.iter().filter_map(|(_, _, sent)| sent.status()).collect();
    assert_eq!(codes, [100, 403]);
    assert_eq!(lab.b2bua.counters().strangers, 1);
    lab.settle();
    assert!(lab.ended.is_empty());
}

#[test]
fn an_unknown_number_is_404_and_a_full_edge_says_when_to_come_again() {
    let mut lab = Lab::new(1);
    lab.route_office(|rule| rule.prefixes = vec!["+47".into()]);
    let unrouted = lab.call("+4622");
    lab.run(100);
    assert_eq!(lab.peers[0].codes(unrouted), [404]);
    lab.b2bua.drain();
    let drained = lab.call("+4722");
    lab.run(100);
    let refusal = lab.peers[0].last(drained);
    assert_eq!(refusal.status(), Some(503));
    assert!(refusal.header(HeaderName::RetryAfter).is_some());
    lab.settle();
    assert_eq!(lab.ended.len(), 1, "a call that was turned away was never one");
    assert_eq!(lab.ended[0].ending, Ending::Refused(404));
}

/// Who waits for the last call to end waits for its BYEs too, or a lost one would never be repeated.
#[test]
fn it_is_idle_when_the_last_bye_is_answered() {
    let mut lab = Lab::answered(1);
    lab.hush(1, 1_000);
    lab.send(0, Method::Bye, "", vec![]);
    lab.run(100);
    assert_eq!((lab.b2bua.calls(), lab.b2bua.is_idle()), (0, false));
    lab.run(2_000);
    assert!(lab.b2bua.is_idle());
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1, "by a repeat");
    lab.settle();
}

#[test]
fn no_port_is_503_and_counted_and_takes_nothing() {
    let mut lab = Lab::new(1);
    while lab.ports.take(model::ListenId(1)).is_some() {}
    let client = lab.call("+4722");
    lab.run(100);
    assert_eq!(lab.peers[0].codes(client), [503]);
    assert_eq!((lab.b2bua.counters().no_ports, lab.b2bua.calls(), lab.relay.joined()), (1, 0, 0));
    assert!(lab.peers[1].requests(Method::Invite).is_empty());
    assert!(lab.ended[0].attempts.is_empty());
}

/// A carrier that sends the call back: each time round costs a hop, and the trunk it came from is never its way out.
#[test]
fn a_loop_through_a_carrier_ends_by_itself() {
    let mut lab = Lab::new(1);
    let offer = lab.peers[0].sdp();
    let client = lab.call_with(0, "+4722", offer, &[("X-Hops", "1")]);
    lab.run(500);
    assert_eq!(lab.peers[1].requests(Method::Invite)[0].max_forwards(), Some(69));
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    lab.inject(
        lab.peers[0].addr,
        "INVITE sip:+4722@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKx\r\nMax-Forwards: 0\r\n\
         From: <sip:a@b>;tag=1\r\nTo: <sip:+4722@198.51.100.1>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.10>\r\n\
         Content-Length: 0\r\n\r\n",
    );
    lab.run(100);
    assert!(lab.sent.iter().any(|(_, _, sent)| sent.status() == Some(483)));
    // The group of the other route holds only the office: a call from there has nobody left.
    lab.route_office(|rule| rule.to = model::GroupId(1));
    let back = lab.call("+4722");
    lab.run(100);
    assert_eq!(lab.peers[0].codes(back), [503]);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn a_forgotten_call_is_ended_with_a_reason() {
    let mut lab = Lab::new(1);
    lab.profiles.trunks[0].as_mut().unwrap().session_max = Span::from_secs(60);
    lab.call("+4722");
    lab.run(59_000);
    assert_eq!(lab.b2bua.calls(), 1);
    lab.run(3_000);
    let bye = lab.peers[0].requests(Method::Bye)[0];
    assert!(bye.header(HeaderName::Reason).is_some());
    lab.settle();
    assert!(matches!(lab.ended[0].ending, Ending::Ended(why) if why.contains("longer")));
    assert_eq!(lab.b2bua.counters().expired, 1);
}

/// RFC 3261 §13.2.1: the first description in a dialog is its answer, so that another attempt's is in a dialog of its own.
#[test]
fn early_audio_keeps_its_port_when_the_answer_says_another_codec() {
    let mut lab = Lab::new(2);
    lab.attempt_policy(1).hunt_after_progress = true;
    lab.peers[1].steps = vec![vec![sdp(10, 183), say(100, 503)]];
    lab.peers[2].codec = "PCMU";
    lab.peers[2].steps = vec![vec![sdp(10, 183), sdp(100, 200)]];
    let client = lab.call("+4722");
    lab.run(60);
    let early = lab.peers[0].responses(client).last().unwrap().body().to_vec();
    assert_eq!(lab.speak(0, &early), Some(lab.peers[1].media));
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [183, 183, 200]);
    let answers: Vec<Vec<u8>> = lab.peers[0].responses(client).skip(1).map(|message| message.body().to_vec()).collect();
    assert_eq!(port_of(&answers[0]), port_of(&answers[1]));
    assert_eq!(port_of(&answers[1]), port_of(&answers[2]));
    let tags: Vec<_> =
        lab.peers[0].responses(client).skip(1).map(|message| message.to().tag().unwrap().to_vec()).collect();
    assert!(tags[0] != tags[1] && tags[1] == tags[2], "another attempt's answer, another dialog");
    assert_eq!(answers[1], answers[2], "the same answer again keeps its version");
    assert!(line_of(&answers[2], "a=rtpmap").contains("PCMA"), "what he heard first he goes on in");
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn a_fork_that_answers_second_is_acknowledged_and_ended() {
    let mut lab = Lab::new(1);
    let client = lab.call("+4722");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let invite = lab.peers[1].requests(Method::Invite)[0].clone();
    let via = String::from_utf8(invite.header(HeaderName::Via).unwrap().to_vec()).unwrap();
    let value = |name| String::from_utf8(invite.header(name).unwrap().to_vec()).unwrap();
    let text = format!(
        "SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: {}\r\nTo: {};tag=fork\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:fork@192.0.2.21:5060>\r\nContent-Length: 0\r\n\r\n",
        value(HeaderName::From),
        value(HeaderName::To),
        value(HeaderName::CallId)
    );
    let carrier = lab.peers[1].addr;
    lab.inject_at(1, carrier, &text);
    lab.run(100);
    let forked = |method: Method| {
        lab.sent.iter().filter(|(_, _, sent)| sent.method() == method && sent.to().tag() == Some(b"fork")).count()
    };
    assert_eq!((forked(Method::Ack), forked(Method::Bye)), (1, 1));
    assert_eq!(lab.b2bua.calls(), 1, "the first answer stands");
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn signalling_only_passes_the_description_untouched() {
    let mut lab = Lab::new(1);
    lab.profiles.listens[1].media = None;
    let offer = lab.peers[0].sdp();
    let client = lab.call_with(0, "+4722", offer.clone(), &[]);
    lab.run(500);
    assert_eq!(lab.peers[1].requests(Method::Invite)[0].body(), offer);
    assert_eq!(lab.peers[0].last(client).body(), lab.peers[1].sdp());
    assert_eq!(lab.relay.joined(), 0);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    assert!(lab.ended[0].media.is_none());
}

/// What control hears of a call that goes well (RFC 6076 §4.3: post-dial delay).
#[test]
fn signals_of_a_good_call() {
    let mut lab = Lab::answered(1);
    let seen = lab.seen(1);
    let Observed::AttemptStarted { call } = seen[0] else { panic!("{seen:?}") };
    let ms = Span::from_millis;
    let outcome = AttemptOutcome::Answered;
    assert_eq!(
        seen[1..],
        [
            Observed::FirstReply { call, after: ms(10) },
            Observed::Progress { call, after: ms(30) },
            Observed::Attempt { call, outcome },
        ]
    );
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn an_answer_without_ringing_is_progress_too() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![sdp(50, 200)]];
    lab.call("+4722");
    lab.run(200);
    assert!(lab.seen(1).iter().any(|seen| matches!(seen, Observed::Progress { .. })), "{:?}", lab.seen(1));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    assert_eq!(lab.ended[0].attempts[0].progress, Some(Span::from_millis(60)));
}

/// Bodies of several parts come with emergency calls (RFC 6442) and from ISUP interworking (RFC 3204).
#[test]
fn a_description_among_other_parts_is_bridged_all_the_same() {
    let mut lab = Lab::new(1);
    let offer = String::from_utf8(lab.peers[0].sdp()).unwrap();
    let body = format!(
        "--b1\r\nContent-Type: application/sdp\r\n\r\n{offer}\r\n--b1\r\nContent-Type: application/pidf+xml\r\n\
         Content-ID: <here>\r\n\r\n<presence/>\r\n--b1--\r\n"
    );
    let kind = [("Content-Type", "multipart/mixed;boundary=b1"), ("Geolocation", "<cid:here>")];
    let client = lab.call_with(0, "+4722", body.into_bytes(), &kind);
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let sent = String::from_utf8(lab.peers[1].requests(Method::Invite)[0].body().to_vec()).unwrap();
    assert!(sent.contains("c=IN IP4 203.0.113.9") && sent.contains("<presence/>"), "{sent}");
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn a_tel_uri_is_a_number_too() {
    let mut lab = Lab::new(1);
    let offer = lab.peers[0].sdp();
    let client = lab.call_with(0, "tel:+4722", offer, &[]);
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(lab.peers[1].requests(Method::Invite)[0].uri(), b"sip:+4722@192.0.2.21:5060");
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    assert_eq!(EDGE.len(), lab.profiles.listens.len());
}
