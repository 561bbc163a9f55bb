//! Early dialogs: forks below us, attempts one after the other, requests before the answer, early media that may not pass.

use crate::peer::{Step, branch, reliably, say, sdp};
use crate::world::{Lab, line_of};
use act::EarlyMedia;
use sip::{ClientKey, HeaderName, Message, Method};

fn hang_up(lab: &mut Lab) {
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

fn heard(lab: &Lab, client: ClientKey) -> Vec<&Message> {
    lab.peers[0].responses(client).filter(|heard| heard.status() > Some(100)).collect()
}

fn tag(message: &Message) -> &[u8] {
    message.to().tag().unwrap()
}

/// RFC 3261 §13.2.1, §12.1: each branch that describes itself is an early dialog of its own, and the 200 confirms the one it is from.
#[test]
fn branches_below_are_dialogs_of_their_own() {
    let mut lab = Lab::new(1);
    let (left, right) = ("left", "right");
    lab.peers[1].steps = vec![vec![
        branch(left, sdp(20, 183)),
        branch(right, sdp(60, 183)),
        branch(left, say(100, 180)),
        branch(left, sdp(200, 200)),
    ]];
    let client = lab.call("+4722");
    lab.run(1_000);
    let said = heard(&lab, client);
    assert_eq!(lab.peers[0].codes(client), [183, 183, 180, 200]);
    assert!(tag(said[0]) != tag(said[1]) && tag(said[0]) == tag(said[2]) && tag(said[0]) == tag(said[3]));
    assert_eq!(said[0].body(), said[3].body(), "in one dialog there is one answer");
    assert_eq!(lab.peers[1].acks()[0].to().tag(), Some(left.as_bytes()));
    assert_eq!(lab.b2bua.counters().early_dialogs, 1);
    hang_up(&mut lab);
    assert_eq!(lab.peers[1].requests(Method::Bye)[0].to().tag(), Some(left.as_bytes()));
}

/// The 200 is from a branch that was never heard.
#[test]
fn a_branch_may_answer_that_never_rang() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![branch("left", sdp(20, 183)), branch("right", sdp(200, 200))]];
    let client = lab.call("+4722");
    lab.run(1_000);
    let said = heard(&lab, client);
    assert!(tag(said[0]) != tag(said[1]));
    assert_eq!(lab.peers[1].acks()[0].to().tag(), Some(&b"right"[..]));
    hang_up(&mut lab);
}

/// While nobody has described himself, one dialog does for all: an attempt that is left is not seen.
#[test]
fn ringing_alone_makes_no_second_dialog() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps =
        vec![vec![branch("left", say(20, 180)), branch("right", say(60, 180)), branch("right", sdp(90, 200))]];
    let client = lab.call("+4722");
    lab.run(1_000);
    let said = heard(&lab, client);
    assert!(said.iter().all(|message| tag(message) == tag(said[0])));
    assert_eq!(lab.b2bua.counters().early_dialogs, 0);
    hang_up(&mut lab);
}

/// RFC 6228: a branch is over, the call is not; and it is no ringing.
#[test]
fn a_199_rings_nobody() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps =
        vec![vec![branch("left", say(20, 199)), branch("right", say(60, 180)), branch("right", sdp(90, 200))]];
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    hang_up(&mut lab);
}

/// A request of the caller in an early dialog that is not the last one: each dialog has its own row of numbers (RFC 3261 §12.2.2).
#[test]
fn a_request_finds_its_early_dialog() {
    let mut lab = Lab::new(1);
    let (left, right) = (reliably(branch("left", sdp(20, 183))), branch("right", sdp(300, 183)));
    lab.peers[1].steps = vec![vec![left, right, branch("left", say(900, 200))]];
    let offer = lab.peers[0].sdp();
    let client = lab.call_with(0, "+4722", offer, &[("Supported", "100rel")]);
    lab.run(500);
    let (first, second) = (heard(&lab, client)[0].clone(), heard(&lab, client)[1].clone());
    let flow = lab.peers[0].sessions[0].flow;
    let mut sent = Vec::new();
    for (early, number) in [(&second, 9), (&first, 9), (&first, 8)] {
        let mut dialog = sip::Dialog::uac(early).unwrap();
        dialog.local_seq = number;
        let mut draft = dialog.request(Method::Update);
        draft.headers.push("Contact", b"<sip:201@192.0.2.10:5060>");
        sent.push(lab.peers[0].endpoint.request(lab.now, flow, draft, &sip::TimerSet::default()).unwrap());
        lab.run(50);
    }
    let codes: Vec<_> = sent.iter().map(|update| lab.peers[0].codes(*update)).collect();
    assert_eq!(codes, [[200], [200], [500]]);
    lab.peers[0].sessions[0].dialog.local_seq = 20;
    lab.run(1_000);
    assert_eq!(lab.peers[0].last(client).status(), Some(200));
    hang_up(&mut lab);
}

/// RFC 3261 §15: the caller may end an early dialog by BYE; its INVITE is owed an answer.
#[test]
fn a_bye_in_an_early_dialog_ends_the_call() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![branch("left", sdp(20, 183)), branch("right", sdp(60, 183))]];
    let client = lab.call("+4722");
    lab.run(200);
    lab.peers[0].sessions[0].dialog = sip::Dialog::uac(heard(&lab, client)[0]).unwrap();
    let bye = lab.send(0, Method::Bye, "", vec![]);
    lab.run(200);
    assert_eq!((lab.peers[0].codes(bye), lab.peers[0].last(client).status()), (vec![200], Some(487)));
    lab.settle();
}

/// RFC 3311 §5.1: the callee offers anew before the answer; both sides had their first answer reliably.
#[test]
fn a_callee_may_update_before_the_answer() {
    let able = ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE");
    for (caller_allows, code) in [(true, 200), (false, 500)] {
        let mut lab = Lab::new(1);
        lab.peers[1].steps = vec![vec![reliably(Step { headers: vec![able], ..sdp(20, 183) }), say(900, 200)]];
        let offer = lab.peers[0].sdp();
        let mut extra = vec![("Supported", "100rel")];
        extra.extend(caller_allows.then_some(able));
        let client = lab.call_with(0, "+4722", offer, &extra);
        lab.run(200);
        lab.peers[1].describe("sendonly");
        let update = lab.send_sdp(1, Method::Update);
        lab.run(200);
        assert_eq!(lab.peers[1].codes(update), [code]);
        assert_eq!(lab.peers[0].requests(Method::Update).len(), usize::from(caller_allows));
        if caller_allows {
            assert_eq!(line_of(lab.peers[0].requests(Method::Update)[0].body(), "a=sendonly"), "a=sendonly");
            assert_eq!(line_of(lab.peers[1].last(update).body(), "c="), "c=IN IP4 203.0.113.9");
        } else {
            assert!(lab.peers[1].last(update).header(HeaderName::RetryAfter).is_some(), "§5.2");
        }
        lab.run(1_000);
        assert_eq!(lab.peers[0].last(client).status(), Some(200));
        hang_up(&mut lab);
    }
}

/// The caller offers anew before the answer.
#[test]
fn a_caller_may_update_before_the_answer() {
    let able = ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE");
    for (reliable, code) in [(true, 200), (false, 500)] {
        let mut lab = Lab::new(1);
        let early = Step { headers: vec![able], ..sdp(20, 183) };
        lab.peers[1].steps = vec![vec![if reliable { reliably(early) } else { early }, sdp(900, 200)]];
        let offer = lab.peers[0].sdp();
        let client = lab.call_with(0, "+4722", offer, &[("Supported", "100rel"), able]);
        lab.run(200);
        lab.peers[0].describe("sendonly");
        let update = lab.send_sdp(0, Method::Update);
        lab.run(200);
        assert_eq!(lab.peers[0].codes(update), [code]);
        assert_eq!(lab.peers[1].requests(Method::Update).len(), usize::from(reliable));
        lab.run(1_000);
        assert_eq!(lab.peers[0].last(client).status(), Some(200));
        hang_up(&mut lab);
    }
}

/// RFC 3261 §15: a callee has no BYE before it has answered.
#[test]
fn a_callee_cannot_bye_before_it_has_answered() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![say(20, 180), sdp(900, 200)]];
    let client = lab.call("+4722");
    lab.run(200);
    let bye = lab.send(1, Method::Bye, "", vec![]);
    lab.peers[1].sessions[0].over = false;
    lab.run(100);
    assert_eq!(lab.peers[1].codes(bye), [403]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].last(client).status(), Some(200));
    hang_up(&mut lab);
}

/// RFC 3326: why a caller gave up is told to those who ring.
#[test]
fn a_cancel_says_why() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![say(20, 180)]];
    let client = lab.call("+4722");
    lab.run(100);
    let why = b"SIP;cause=200;text=\"Call completed elsewhere\"";
    lab.peers[0].endpoint.cancel(lab.now, client, Some(why));
    lab.run(100);
    let cancel = lab.sent.iter().find(|(_, _, sent)| sent.is_request() && sent.method() == Method::Cancel).unwrap();
    assert_eq!(cancel.2.header(HeaderName::Reason), Some(&why[..]));
    lab.settle();
}

/// RFC 3960 §3.1, RFC 5009 §4: early media that a trunk may not give is ringing.
#[test]
fn early_media_passes_as_the_trunk_may() {
    let allowed = vec![("P-Early-Media", "sendrecv")];
    let forbidden = vec![("P-Early-Media", "inactive")];
    for (policy, headers, code) in [
        (EarlyMedia::Pass, vec![], 183),
        (EarlyMedia::Ring, allowed.clone(), 180),
        (EarlyMedia::Authorised, allowed, 183),
        (EarlyMedia::Authorised, forbidden, 180),
        (EarlyMedia::Authorised, vec![], 180),
    ] {
        let mut lab = Lab::new(1);
        lab.profiles.trunks[1].as_mut().unwrap().dialogs.early_media = policy;
        lab.peers[1].steps = vec![vec![Step { headers, ..sdp(20, 183) }, say(100, 180), sdp(200, 200)]];
        let client = lab.call("+4722");
        lab.run(1_000);
        assert_eq!(lab.peers[0].codes(client), [code, 180, 200], "{policy:?}");
        let said = heard(&lab, client);
        assert_eq!(said[0].body().is_empty(), code == 180);
        assert!(said[1].body().is_empty() && !said[2].body().is_empty());
        let asks = lab.peers[1].requests(Method::Invite)[0].named("P-Early-Media");
        assert_eq!(asks.is_some(), policy == EarlyMedia::Authorised);
        hang_up(&mut lab);
    }
}

/// What may not be heard is not relayed either, whatever its sender was told; from the answer on it is, and so is another trunk's.
#[test]
fn early_media_that_may_not_pass_goes_nowhere() {
    for (policy, says, heard) in [
        (EarlyMedia::Pass, "inactive", true),
        (EarlyMedia::Ring, "sendrecv", false),
        (EarlyMedia::Authorised, "sendonly", true),
        (EarlyMedia::Authorised, "inactive", false),
    ] {
        let mut lab = Lab::new(2);
        lab.profiles.trunks[1].as_mut().unwrap().dialogs.early_media = policy;
        let told = Step { headers: vec![("P-Early-Media", says)], ..sdp(20, 183) };
        lab.peers[1].steps = vec![vec![told, say(400, 180), sdp(600, 200)]];
        lab.call("+4722");
        lab.run(300);
        let offer = lab.peers[1].requests(Method::Invite)[0].body().to_vec();
        assert_eq!(lab.speak(1, &offer).is_some(), heard, "{policy:?} {says}");
        assert_eq!(lab.relay.counters().gated, u64::from(!heard));
        lab.run(1_000);
        assert_eq!(lab.speak(1, &offer), Some(lab.peers[0].media), "answered: {policy:?} {says}");
        hang_up(&mut lab);
    }
    let mut lab = Lab::new(2);
    lab.profiles.trunks[1].as_mut().unwrap().dialogs.early_media = EarlyMedia::Ring;
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[2].steps = vec![vec![sdp(20, 183), sdp(900, 200)]];
    lab.call("+4722");
    lab.run(300);
    let offer = lab.peers[2].requests(Method::Invite)[0].body().to_vec();
    assert_eq!(lab.speak(2, &offer), Some(lab.peers[0].media), "the next trunk may");
    lab.run(1_000);
    hang_up(&mut lab);
}

/// A reliable answer that the caller may not hear yet is in its 200.
#[test]
fn an_answer_behind_the_gate_comes_with_the_200() {
    let mut lab = Lab::new(1);
    lab.profiles.trunks[1].as_mut().unwrap().dialogs.early_media = EarlyMedia::Ring;
    lab.peers[1].steps = vec![vec![reliably(sdp(20, 183)), say(200, 200)]];
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let answer = lab.peers[0].last(client).body().to_vec();
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[1].media));
    hang_up(&mut lab);
}
