//! Ends before and after an answer: CANCEL at every stage, BYE of either side, both at once.

use crate::peer::{say, sdp};
use crate::world::Lab;
use act::{Ending, Side};
use model::{AttemptOutcome, Observed, TransportFault};
use sip::{HeaderName, Method};

fn cancelled(lab: &mut Lab, client: sip::ClientKey) {
    assert_eq!(lab.peers[0].last(client).status(), Some(487));
    lab.settle();
    assert_eq!(lab.ended.len(), 1);
    assert_eq!(lab.ended[0].ending, Ending::Cancelled);
    let last = lab.ended[0].attempts.last().unwrap();
    assert!(matches!(last.outcome, AttemptOutcome::Abandoned { .. }), "{:?}", last.outcome);
}

#[test]
fn cancel_while_it_rings_is_passed_on() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(10, 180)]];
    let client = lab.call("+4722");
    lab.run(1_000);
    lab.cancel(client);
    lab.run(100);
    assert_eq!(lab.peers[1].cancels(), 1);
    assert!(lab.peers[2].requests(Method::Invite).is_empty());
    cancelled(&mut lab, client);
}

#[test]
fn cancel_after_100_alone() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![]];
    let client = lab.call("+4722");
    lab.run(500);
    lab.cancel(client);
    lab.run(100);
    assert_eq!(lab.peers[1].cancels(), 1);
    cancelled(&mut lab, client);
}

/// §9.1: the CANCEL waits for a provisional response; the caller does not.
#[test]
fn cancel_while_the_trunk_is_silent_stops_the_hunt() {
    let mut lab = Lab::new(2);
    lab.hush(1, 700);
    lab.peers[1].steps = vec![vec![say(900, 180)]];
    let client = lab.call("+4722");
    lab.run(500);
    lab.cancel(client);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(client), [487]);
    assert_eq!(lab.peers[1].cancels(), 0);
    lab.run(1_000);
    assert_eq!(lab.peers[1].cancels(), 1);
    assert!(lab.peers[2].requests(Method::Invite).is_empty());
    cancelled(&mut lab, client);
}

#[test]
fn cancel_during_the_second_attempt() {
    let mut lab = Lab::new(3);
    lab.peers[1].dead = true;
    lab.peers[2].steps = vec![vec![]];
    let client = lab.call("+4722");
    lab.run(1_300);
    lab.cancel(client);
    lab.run(100);
    assert_eq!(lab.peers[2].cancels(), 1);
    assert!(lab.peers[3].requests(Method::Invite).is_empty());
    cancelled(&mut lab, client);
    assert_eq!(lab.ended[0].attempts.len(), 2);
}

/// The 200 is on its way to us when the caller gives up: it is acknowledged and ended.
#[test]
fn cancel_crosses_the_callees_200() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![say(10, 180), sdp(200, 200)]];
    let client = lab.call("+4722");
    lab.run(206);
    lab.cancel(client);
    lab.run(500);
    assert_eq!((lab.peers[1].acks().len(), lab.peers[1].requests(Method::Bye).len()), (1, 1));
    cancelled(&mut lab, client);
}

/// The CANCEL comes after our 200 has left: it is void (§9.2), and the caller ends the call itself.
#[test]
fn cancel_crosses_our_200() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![sdp(200, 200)]];
    let client = lab.call("+4722");
    lab.run(217);
    lab.cancel(client);
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [200]);
    assert_eq!(lab.b2bua.calls(), 1);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    assert_eq!(lab.ended[0].ending, Ending::Bye(Side::Caller));
}

/// §15: a caller may end an early dialog by BYE; its INVITE still gets 487 (§15.1.2).
#[test]
fn a_bye_in_the_early_dialog_is_as_good_as_a_cancel() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![say(10, 180)]];
    let client = lab.call("+4722");
    lab.run(500);
    let early = lab.peers[0].responses(client).last().unwrap().clone();
    let mut dialog = sip::Dialog::uac(&early).unwrap();
    dialog.local_seq = 7;
    lab.peers[0].sessions[0].dialog = dialog;
    let bye = lab.send(0, Method::Bye, "", vec![]);
    lab.run(100);
    assert_eq!(lab.peers[0].codes(bye), [200]);
    assert_eq!(lab.peers[1].cancels(), 1);
    cancelled(&mut lab, client);
}

#[test]
fn both_hang_up_at_once() {
    let mut lab = Lab::answered(1);
    let first = lab.peers[0].send(lab.now, 0, Method::Bye, "", vec![]);
    let second = lab.send(1, Method::Bye, "", vec![]);
    lab.run(200);
    assert_eq!(lab.peers[0].codes(first), [200]);
    assert!(matches!(lab.peers[1].codes(second)[..], [200 | 481]));
    lab.settle();
    assert_eq!(lab.ended.len(), 1);
}

#[test]
fn a_bye_whose_answer_is_lost_is_answered_again() {
    let mut lab = Lab::answered(1);
    lab.weather.lost = 1_000;
    let bye = lab.send(0, Method::Bye, "", vec![]);
    lab.run(300);
    lab.weather.lost = 0;
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(bye), [200]);
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1);
    lab.settle();
}

#[test]
fn a_bye_to_a_peer_that_is_gone_still_ends_the_call() {
    let mut lab = Lab::answered(1);
    lab.peers[1].closed = true;
    lab.send(0, Method::Bye, "", vec![]);
    lab.run(100);
    assert_eq!(lab.b2bua.calls(), 0);
    let fault = TransportFault::PortUnreachable;
    assert!(lab.seen(1).contains(&Observed::Transport { fault }), "what the network says of a trunk is told");
    lab.peers[1].sessions[0].over = true;
    lab.settle();
}

/// The ACK is lost for good and the caller hangs up: nothing of the answer is repeated after its BYE.
#[test]
fn a_bye_stands_for_the_missing_ack() {
    let mut lab = Lab::new(1);
    lab.peers[0].acks = false;
    lab.call("+4722");
    lab.run(1_000);
    lab.send(0, Method::Bye, "", vec![]);
    lab.run(100);
    let answers = |lab: &Lab| {
        let ours = |(_, _, sent): &&(model::Instant, std::net::SocketAddr, sip::Message)| {
            sent.status() == Some(200) && sent.method() == Method::Invite
        };
        lab.sent.iter().filter(ours).count()
    };
    let before = answers(&lab);
    lab.run(10_000);
    assert_eq!(answers(&lab), before);
    lab.settle();
}

#[test]
fn a_bye_while_a_reinvite_runs_answers_it_too() {
    let mut lab = Lab::answered(1);
    lab.peers[1].inside = vec![];
    let held = lab.send_sdp(0, Method::Invite);
    lab.run(100);
    lab.send(1, Method::Bye, "", vec![]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(held), [487]);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 1);
    lab.settle();
}

#[test]
fn a_bye_while_an_info_is_on_its_way_answers_it_too() {
    let mut lab = Lab::answered(1);
    let info = lab.peers[0].send(lab.now, 0, Method::Info, "application/dtmf-relay", b"Signal=5\r\n".to_vec());
    lab.peers[1].dead = true;
    lab.run(100);
    lab.peers[1].dead = false;
    lab.send(1, Method::Bye, "", vec![]);
    lab.run(5_000);
    assert!(matches!(lab.peers[0].codes(info)[..], [481 | 487]));
    lab.settle();
}

/// The callee's 200 carried the offer and still waits for an ACK when the caller hangs up.
#[test]
fn a_bye_before_the_ack_of_a_late_offer() {
    let mut lab = Lab::new(1);
    lab.peers[0].acks = false;
    lab.call_with(0, "+4722", vec![], &[]);
    lab.run(500);
    lab.send(0, Method::Bye, "", vec![]);
    lab.run(100);
    assert_eq!((lab.peers[1].acks().len(), lab.peers[1].requests(Method::Bye).len()), (1, 1));
    lab.settle();
}

/// The edge must end: whoever talks gets a BYE, whoever calls a refusal, whoever rings a CANCEL, each with the reason.
#[test]
fn all_calls_are_ended_when_the_edge_ends() {
    let mut lab = Lab::answered(1);
    lab.peers[1].steps = vec![vec![say(20, 180)]];
    let rings = lab.call("+4723");
    lab.run(200);
    lab.close();
    lab.run(200);
    assert_eq!(lab.peers[0].last(rings).status(), Some(503));
    assert_eq!((lab.peers[1].cancels(), lab.b2bua.calls()), (1, 0));
    for peer in &lab.peers {
        let bye = peer.requests(Method::Bye)[0];
        assert!(bye.header(HeaderName::Reason).is_some());
    }
    let late = lab.call("+4724");
    lab.run(200);
    assert_eq!(lab.peers[0].codes(late), [503]);
    lab.settle();
    assert!(lab.ended.iter().any(|call| call.ending == Ending::Ended("the edge is being shut down")));
}
