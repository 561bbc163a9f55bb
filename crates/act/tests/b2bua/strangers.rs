//! Whoever knows a call's identifiers is not thereby its party: strangers, and other trunks, neither end nor move it.

use crate::peer::say;
use crate::world::Lab;
use sip::{HeaderName, Message, Method};
use std::net::SocketAddr;

/// A host that is no trunk's.
const STRANGER: &str = "192.0.2.99:5060";

/// A request as the office would send it inside its dialog, with another branch and the next CSeq.
fn forged(lab: &Lab, method: &str, cseq: u32) -> String {
    forged_by(lab, 0, method, cseq)
}

/// The same as another peer would send it.
pub fn forged_by(lab: &Lab, peer: usize, method: &str, cseq: u32) -> String {
    let dialog = &lab.peers[peer].sessions[0].dialog;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!(
        "{method} sip:198.51.100.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bKforged{method}{cseq}\r\n\
         From: {};tag={}\r\nTo: {};tag={}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <sip:me@192.0.2.99>\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        text(&dialog.local_uri),
        text(&dialog.local_tag),
        text(&dialog.remote_uri),
        text(&dialog.remote_tag),
        text(&dialog.call_id),
    )
}

fn answers_to(lab: &Lab, addr: SocketAddr) -> Vec<&Message> {
    lab.sent.iter().filter(|(_, to, _)| *to == addr).map(|(_, _, message)| message).collect()
}

/// RFC 3261 §26.1.4: a BYE by somebody else tears a session down. From a stranger, and from another trunk at the right listen and the
/// wrong one, it is answered as if there were no such call; that of the party itself ends it.
#[test]
fn a_bye_from_anywhere_else_ends_nothing() {
    let mut lab = Lab::answered(2);
    let carrier = lab.peers[2].addr;
    let from = |peer: SocketAddr| [peer, SocketAddr::new(peer.ip(), 9_999)];
    for (turn, peer) in from(STRANGER.parse().unwrap()).into_iter().chain(from(carrier)).enumerate() {
        for (round, method) in ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS", "ACK"].into_iter().enumerate() {
            let text = forged(&lab, method, 100 + (turn * 6 + round) as u32);
            lab.inject(peer, &text);
        }
        lab.run(100);
    }
    let answers = answers_to(&lab, STRANGER.parse().unwrap());
    assert!(answers.iter().all(|answer| matches!(answer.status(), Some(100 | 481))), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.header(HeaderName::Contact).is_none() && answer.body().is_empty()));
    assert_eq!((lab.b2bua.calls(), lab.b2bua.counters().foreign_requests), (1, 24));
    assert_eq!(lab.foreign.len(), 24, "each is told, with its source");
    assert_eq!(lab.peers[1].requests(Method::Bye).len() + lab.peers[1].requests(Method::Info).len(), 0);
    // The forged CSeq numbers were not taken in, nor was the forged address: the party goes on as before, from another port too.
    let dialog = lab.peers[0].sessions[0].dialog.clone();
    let office = SocketAddr::new(lab.peers[0].addr.ip(), 40_000);
    let info = lab.send(1, Method::Info, "text/plain", b"x".to_vec());
    lab.run(100);
    assert_eq!(lab.peers[1].codes(info), [200], "the other way still leads to the office");
    let bye = forged(&lab, "BYE", dialog.local_seq + 1).replace("192.0.2.99", "192.0.2.10");
    lab.inject(office, &bye);
    lab.run(500);
    assert_eq!((lab.b2bua.calls(), lab.peers[1].requests(Method::Bye).len()), (0, 1));
    lab.peers[0].sessions[0].over = true;
    lab.settle();
}

/// The same office at the carriers' side is somebody else: its addresses are known where it belongs.
#[test]
fn a_partys_address_at_the_wrong_listen_is_no_party() {
    let mut lab = Lab::answered(1);
    let (office, text) = (lab.peers[0].addr, forged(&lab, "BYE", 100));
    lab.inject_at(1, office, &text);
    lab.run(100);
    assert_eq!((lab.b2bua.calls(), lab.b2bua.counters().foreign_requests), (1, 1));
    lab.send(0, Method::Bye, "", Vec::new());
    lab.settle();
}

/// A peer of several addresses may speak from any that is its trunk's, and from where its Contact is.
#[test]
fn every_address_of_the_trunk_is_its_party() {
    for by_accept in [true, false] {
        let mut lab = Lab::answered(1);
        if by_accept {
            let range = act::Cidr { addr: "192.0.2.96".parse().unwrap(), bits: 29 };
            lab.profiles.trunks[0].as_mut().unwrap().accept.push(range);
        } else {
            // An UPDATE of the party itself moves its Contact.
            let moved = forged(&lab, "UPDATE", 50);
            let office = lab.peers[0].addr;
            lab.inject(office, &moved);
            lab.run(100);
        }
        let text = forged(&lab, "BYE", 100);
        lab.inject(STRANGER.parse().unwrap(), &text);
        lab.run(500);
        assert_eq!((lab.b2bua.calls(), lab.foreign.len()), (0, 0));
        lab.peers[0].sessions[0].over = true;
        lab.settle();
    }
}

/// RFC 3261 §9.1, §22.1: a CANCEL cannot be challenged, so its source is what there is.
#[test]
fn a_cancel_from_anywhere_else_cancels_nothing() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![say(10, 180), crate::peer::sdp(2_000, 200)]];
    let client = lab.call("+4722");
    lab.run(200);
    let office = lab.peers[0].addr;
    let invite = lab.sent.iter().find(|(_, to, sent)| *to == office && sent.status() == Some(180)).unwrap();
    let line = |name| String::from_utf8(invite.2.header(name).unwrap().to_vec()).unwrap();
    let (via, from) = (line(HeaderName::Via), line(HeaderName::From));
    let cancel = format!(
        "CANCEL sip:+4722@198.51.100.1:5060 SIP/2.0\r\nVia: {via}\r\nFrom: {from}\r\nTo: <sip:x@y>\r\nCall-ID: {}\r\n\
         CSeq: {} CANCEL\r\nContent-Length: 0\r\n\r\n",
        line(HeaderName::CallId),
        invite.2.cseq().number
    );
    lab.inject(STRANGER.parse().unwrap(), &cancel);
    lab.run(3_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200], "it goes on to ring, and is answered");
    assert_eq!((lab.peers[1].cancels(), lab.endpoint.counters().foreign_cancels), (0, 1));
    lab.send(0, Method::Bye, "", Vec::new());
    lab.settle();
}
