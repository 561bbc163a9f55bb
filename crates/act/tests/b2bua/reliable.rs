//! Provisional responses that are to arrive (RFC 3262), on either side for itself, and what they carry.

use crate::peer::{Step, reliably, say, sdp};
use crate::world::{Lab, line_of, port_of};
use act::Ending;
use sip::{ClientKey, HeaderName, Message, Method};

const ABLE: (&str, &str) = ("Supported", "100rel");
const INSISTS: (&str, &str) = ("Require", "100rel");

fn call(lab: &mut Lab, extra: &[(&str, &str)]) -> ClientKey {
    let offer = lab.peers[0].sdp();
    lab.call_with(0, "+4722", offer, extra)
}

fn call_late(lab: &mut Lab, extra: &[(&str, &str)]) -> ClientKey {
    lab.call_with(0, "+4722", vec![], extra)
}

fn hang_up(lab: &mut Lab) {
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

fn rseq(message: &Message) -> u32 {
    std::str::from_utf8(message.header(HeaderName::RSeq).unwrap()).unwrap().parse().unwrap()
}

/// §4: the callee's responses are acknowledged by us, each once, in order; the caller knows nothing of it.
#[test]
fn a_callee_alone_is_acknowledged_hop_by_hop() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![reliably(sdp(20, 183)), reliably(say(200, 180)), sdp(400, 200)]];
    let client = call(&mut lab, &[]);
    lab.run(1_000);
    assert!(lab.peers[1].requests(Method::Invite)[0].supports(b"100rel"));
    assert_eq!(lab.peers[0].codes(client), [183, 180, 200]);
    assert!(lab.peers[0].responses(client).all(|heard| heard.header(HeaderName::RSeq).is_none()));
    let pracks = lab.peers[1].requests(Method::Prack);
    assert_eq!(pracks.len(), 2);
    assert!(pracks[0].cseq().number == 2 && pracks[1].cseq().number == 3, "§12.2.1.1: one higher each");
    assert!(pracks.iter().all(|prack| prack.body().is_empty() && sip::rack(prack).unwrap().1 == 1));
    assert_eq!(sip::rack(pracks[1]).unwrap().0, sip::rack(pracks[0]).unwrap().0 + 1);
    assert_eq!(lab.peers[1].acks()[0].cseq().number, 1, "the ACK bears the INVITE's number");
    hang_up(&mut lab);
    assert_eq!(lab.peers[1].requests(Method::Bye)[0].cseq().number, 4);
}

/// §5: the answer was in the reliable 183, and the 200 has none; a caller without 100rel still gets one.
#[test]
fn an_answer_that_came_early_is_in_the_callers_200() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![reliably(sdp(20, 183)), say(400, 200)]];
    let client = call(&mut lab, &[]);
    lab.run(1_000);
    let heard: Vec<&Message> = lab.peers[0].responses(client).collect();
    let (early, last) = (heard.iter().find(|heard| heard.status() == Some(183)).unwrap(), lab.peers[0].last(client));
    assert!(!last.body().is_empty());
    assert_eq!(early.body(), last.body(), "RFC 3261 §13.2.1: the same");
    assert_eq!(last.content_type(), Some(&b"application/sdp"[..]));
    hang_up(&mut lab);
}

/// A repeated response is acknowledged once; its PRACK is repeated by its own transaction.
#[test]
fn a_repeat_or_a_gap_is_not_acknowledged() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![
        Step { headers: vec![("Require", "100rel"), ("RSeq", "50")], ..say(10, 180) },
        Step { headers: vec![("Require", "100rel"), ("RSeq", "50")], ..say(30, 180) },
        Step { headers: vec![("Require", "100rel"), ("RSeq", "52")], ..say(50, 182) },
        Step { headers: vec![("Require", "100rel"), ("RSeq", "51")], ..say(70, 183) },
        sdp(900, 200),
    ]];
    lab.peers[1].others = 200;
    let client = call(&mut lab, &[]);
    lab.run(60);
    assert_eq!(lab.b2bua.counters().pracks, 1);
    lab.run(1_000);
    assert_eq!((lab.b2bua.counters().pracks, lab.b2bua.counters().provisionals_repeated), (2, 2));
    assert_eq!(lab.peers[0].codes(client), [180, 183, 200]);
    hang_up(&mut lab);
}

/// §3: a caller that requires it gets each 18x reliably, though the callee knows nothing of it.
#[test]
fn a_caller_alone_is_served_reliably() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![say(20, 180), sdp(30, 183), sdp(400, 200)]];
    let client = call(&mut lab, &[INSISTS]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 183, 200]);
    let heard: Vec<&Message> = lab.peers[0].responses(client).filter(|heard| heard.status() > Some(100)).collect();
    assert!(heard[0].requires(b"100rel") && heard[1].requires(b"100rel") && !heard[2].requires(b"100rel"));
    assert_eq!(rseq(heard[1]), rseq(heard[0]) + 1);
    assert_eq!(heard[1].body(), heard[2].body(), "the answer again");
    assert!(lab.peers[1].requests(Method::Prack).is_empty());
    let pracked = lab.peers[0].pracked.clone();
    assert!(pracked.len() == 2 && pracked.iter().all(|prack| lab.peers[0].codes(*prack) == [200]));
    hang_up(&mut lab);
}

/// A caller that only supports it is told reliably what matters: descriptions.
#[test]
fn a_caller_that_supports_it_is_told_descriptions_reliably() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![say(20, 180), sdp(30, 183), sdp(400, 200)]];
    let client = call(&mut lab, &[ABLE]);
    lab.run(1_000);
    let reliable: Vec<bool> = lab.peers[0].responses(client).skip(1).map(|heard| heard.requires(b"100rel")).collect();
    assert_eq!(reliable, [false, true, false]);
    hang_up(&mut lab);
}

/// §3: repeated T1 doubling for 64*T1, then the INVITE is refused by a 5xx, and whoever rings is left.
#[test]
fn a_caller_that_acknowledges_nothing_is_refused() {
    let mut lab = Lab::new(1);
    lab.peers[0].pracks = false;
    lab.peers[1].steps = vec![vec![say(20, 180)]];
    let client = call(&mut lab, &[INSISTS]);
    lab.run(31_000);
    assert_eq!(lab.peers[0].codes(client), [180; 6], "500, 1500, 3500, 7500 and 15500 ms after the first");
    lab.run(3_000);
    assert_eq!(lab.peers[0].last(client).status(), Some(504));
    assert_eq!(lab.peers[1].cancels(), 1);
    lab.settle();
    assert_eq!((lab.ended[0].ending, lab.b2bua.counters().pracks_missing), (Ending::Refused(504), 1));
}

/// §5: no 2xx while a reliable description is not acknowledged. Without any PRACK the answered callee is ended.
#[test]
fn the_200_waits_for_the_prack_of_a_description() {
    let mut lab = Lab::new(1);
    lab.peers[0].pracks = false;
    lab.peers[1].steps = vec![vec![sdp(20, 183), sdp(100, 200)]];
    let client = call(&mut lab, &[ABLE]);
    lab.run(20_000);
    assert!(lab.peers[0].codes(client).iter().all(|code| *code == 183));
    assert_eq!(lab.peers[1].acks().len(), 1, "the callee is acknowledged at once");
    lab.run(20_000);
    assert_eq!(lab.peers[0].last(client).status(), Some(504));
    assert_eq!((lab.peers[1].requests(Method::Bye).len(), lab.peers[0].requests(Method::Bye).len()), (1, 0));
    lab.settle();
}

#[test]
fn a_caller_may_give_up_while_the_200_waits() {
    for by_bye in [false, true] {
        let mut lab = Lab::new(1);
        lab.peers[0].pracks = false;
        lab.peers[1].steps = vec![vec![sdp(20, 183), sdp(100, 200)]];
        let client = call(&mut lab, &[ABLE]);
        lab.run(300);
        if by_bye {
            let early = lab.peers[0].responses(client).last().unwrap();
            lab.peers[0].sessions[0].dialog = sip::Dialog::uac(early).unwrap();
            lab.send(0, Method::Bye, "", vec![]);
        } else {
            lab.cancel(client);
        }
        lab.run(300);
        assert_eq!(lab.peers[0].last(client).status(), Some(487));
        assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1);
        lab.settle();
    }
}

/// The callee hangs up while the caller has not acknowledged yet: its INVITE is refused, for BYE has no place in an early dialog.
#[test]
fn a_callee_may_hang_up_while_the_200_waits() {
    let mut lab = Lab::new(1);
    lab.peers[0].pracks = false;
    lab.peers[1].steps = vec![vec![sdp(20, 183), sdp(100, 200)]];
    let client = call(&mut lab, &[ABLE]);
    lab.run(300);
    lab.send(1, Method::Bye, "", vec![]);
    lab.run(300);
    assert_eq!(lab.peers[0].last(client).status(), Some(487));
    assert!(lab.peers[0].requests(Method::Bye).is_empty());
    lab.settle();
}

/// §5: a late offer is asked for, made in the callee's reliable 183, answered in the caller's PRACK; each on its own leg.
#[test]
fn a_late_offer_is_answered_in_the_prack() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![reliably(sdp(20, 183)), say(400, 200)]];
    let client = call_late(&mut lab, &[ABLE]);
    lab.run(200);
    let offer = lab.peers[0].responses(client).last().unwrap();
    assert!(offer.status() == Some(183) && offer.requires(b"100rel") && !offer.body().is_empty());
    assert_eq!(line_of(offer.body(), "c="), "c=IN IP4 198.51.100.9");
    let offer = offer.body().to_vec();
    let prack = lab.peers[1].requests(Method::Prack)[0];
    assert_eq!(line_of(prack.body(), "c="), "c=IN IP4 203.0.113.9");
    let answer = prack.body().to_vec();
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [183, 200]);
    assert!(lab.peers[0].last(client).body().is_empty(), "all was said");
    assert_eq!((lab.peers[1].acks().len(), lab.peers[1].acks()[0].body().len()), (1, 0));
    assert_eq!(lab.speak(0, &offer), Some(lab.peers[1].media));
    assert_eq!(lab.speak(1, &answer), Some(lab.peers[0].media));
    hang_up(&mut lab);
}

/// A late offer by a caller without 100rel: the callee is not told of it either, and the ACK answers.
#[test]
fn a_late_offer_without_100rel_is_answered_in_the_ack() {
    let mut lab = Lab::new(1);
    let client = call_late(&mut lab, &[]);
    lab.run(1_000);
    assert!(!lab.peers[1].requests(Method::Invite)[0].supports(b"100rel"));
    assert_eq!(lab.peers[0].last(client).status(), Some(200));
    assert!(!lab.peers[1].acks()[0].body().is_empty());
    hang_up(&mut lab);
}

/// An offer in a PRACK goes to the callee as an UPDATE, and its answer comes back in the 200 of the PRACK (§5, RFC 3311 §5.1).
#[test]
fn an_offer_in_a_prack_is_bridged() {
    let mut lab = Lab::new(1);
    let allow = ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE");
    lab.peers[1].steps = vec![vec![reliably(Step { headers: vec![allow], ..sdp(20, 183) }), say(400, 200)]];
    lab.peers[0].pracks_offer = true;
    let client = call(&mut lab, &[ABLE]);
    lab.run(200);
    let update = lab.peers[1].requests(Method::Update)[0];
    assert_eq!(line_of(update.body(), "c="), "c=IN IP4 203.0.113.9");
    let prack = lab.peers[0].pracked[0];
    assert_eq!(lab.peers[0].codes(prack), [200]);
    let answer = lab.peers[0].last(prack).body().to_vec();
    assert_eq!(line_of(&answer, "c="), "c=IN IP4 198.51.100.9");
    assert_eq!(lab.speak(0, &answer), Some(lab.peers[1].media));
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [183, 200]);
    hang_up(&mut lab);
}

/// The same when the callee cannot take another offer: 488 to the offer, and the response counts as acknowledged.
#[test]
fn an_offer_in_a_prack_that_cannot_pass_is_488() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![sdp(20, 183), sdp(400, 200)]];
    lab.peers[0].pracks_offer = true;
    let client = call(&mut lab, &[ABLE]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(lab.peers[0].pracked[0]), [488]);
    assert_eq!(lab.peers[0].codes(client), [183, 200]);
    hang_up(&mut lab);
}

/// §3: a PRACK that fits nothing.
#[test]
fn a_prack_for_nothing_is_481() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![sdp(20, 183), sdp(2_000, 200)]];
    let client = call(&mut lab, &[ABLE]);
    lab.run(200);
    let mut strays = Vec::new();
    for rack in ["1 7 INVITE", "nonsense"] {
        let flow = lab.peers[0].sessions[0].flow;
        let mut draft = lab.peers[0].sessions[0].dialog.request(Method::Prack);
        draft.headers.push("RAck", rack.as_bytes());
        let now = lab.now;
        strays.push(lab.peers[0].endpoint.request(now, flow, draft, &sip::TimerSet::default()).unwrap());
    }
    lab.run(100);
    assert_eq!((lab.peers[0].codes(strays[0]), lab.peers[0].codes(strays[1])), (vec![481], vec![400]));
    assert_eq!(lab.b2bua.counters().stray_pracks, 1);
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(client), [183, 200]);
    hang_up(&mut lab);
}

/// RFC 3261 §8.2.2.3: a trunk that is not to use it is told so, and a callee's trunk is not offered it.
#[test]
fn a_trunk_may_go_without() {
    let mut lab = Lab::new(1);
    for trunk in lab.profiles.trunks.iter_mut().flatten() {
        trunk.dialogs.reliable = false;
    }
    let client = call(&mut lab, &[INSISTS]);
    lab.run(100);
    let refusal = lab.peers[0].last(client);
    assert_eq!((refusal.status(), refusal.header(HeaderName::Unsupported)), (Some(420), Some(&b"100rel"[..])));
    let client = call(&mut lab, &[ABLE]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert!(!lab.peers[1].requests(Method::Invite)[0].supports(b"100rel"));
    let now = lab.now;
    lab.peers[0].send(now, 1, Method::Bye, "", vec![]);
    lab.settle();
}

/// No rerouting strands a response that waits for its PRACK: it is the caller's and ours, whatever becomes of the attempt.
#[test]
fn an_attempt_that_is_left_strands_nothing() {
    let mut lab = Lab::new(2);
    lab.attempt_policy(1).hunt_after_progress = true;
    lab.peers[1].steps = vec![vec![reliably(sdp(20, 183)), say(100, 503)]];
    lab.peers[2].steps = vec![vec![reliably(sdp(20, 183)), say(300, 200)]];
    let client = call(&mut lab, &[INSISTS]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [183, 183, 200]);
    let heard: Vec<&Message> = lab.peers[0].responses(client).skip(1).collect();
    assert!(heard[0].to().tag() != heard[1].to().tag() && heard[1].to().tag() == heard[2].to().tag());
    assert_eq!(rseq(heard[1]), rseq(heard[0]) + 1, "one row of numbers for one INVITE (§3)");
    assert_eq!(port_of(heard[0].body()), port_of(heard[1].body()));
    assert!(lab.peers[0].pracked.iter().all(|prack| lab.peers[0].codes(*prack) == [200]));
    hang_up(&mut lab);
}
