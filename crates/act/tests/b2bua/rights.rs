//! Transfers, redirections and messages as the trunk that asks for them may have them: of its own dialogs, within what it may dial, signed
//! where another trunk wants credentials.

use crate::peer::{say, sdp};
use crate::world::{EDGE, Lab};
use decide::Barred;
use model::TrunkId;
use sip::{ClientKey, HeaderName, Message, Method};

fn refer(lab: &mut Lab, peer: usize, to: &str) -> ClientKey {
    lab.send_in(peer, 0, Method::Refer, &[("Refer-To", to)])
}

/// Codes that a peer was notified of; a NOTIFY that was challenged came twice.
fn news(lab: &Lab, peer: usize) -> Vec<u16> {
    let code = |notify: &&Message| std::str::from_utf8(&notify.body()[8..11]).unwrap().parse().unwrap();
    lab.peers[peer].requests(Method::Notify).iter().map(code).collect()
}

fn nonce_of(message: &Message) -> String {
    let line = String::from_utf8_lossy(message.header(HeaderName::Authorization).unwrap_or_default()).into_owned();
    line.split(" nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().into()
}

fn replaces(lab: &Lab, peer: usize, session: usize) -> String {
    let dialog = &lab.peers[peer].sessions[session].dialog;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (call_id, to, from) = (text(&dialog.call_id), text(&dialog.remote_tag), text(&dialog.local_tag));
    format!("<sip:+4733@y?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>")
}

fn hang_up(lab: &mut Lab, peer: usize, session: usize) {
    lab.send_in(peer, session, Method::Bye, &[]);
    lab.settle();
}

/// The office calls carrier 1, then carrier 2; its trunk keeps to these limits.
fn consulted(change: impl FnOnce(&mut act::InboundPolicy)) -> Lab {
    let mut lab = Lab::new(2);
    change(&mut lab.profiles.trunks[0].as_mut().unwrap().inbound);
    lab.call("+4722");
    lab.run(1_000);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.call("+4733");
    lab.run(1_000);
    assert_eq!((lab.peers[1].acks().len(), lab.peers[2].acks().len()), (1, 1));
    lab
}

/// The edge has credentials for carrier `trunk`, which asks for them by this nonce from now on.
fn ask(lab: &mut Lab, trunk: usize, nonce: &'static str) {
    let credentials = sip::auth::Credentials { user: "edge".into(), secret: "s3cret".into(), realm: None };
    lab.profiles.trunks[trunk].as_mut().unwrap().auth = Some(credentials);
    lab.peers[trunk].asks = Some((nonce, ""));
}

/// RFC 3891 §9: whoever has overheard the name of a dialog can do nothing with it.
#[test]
fn a_transfer_names_dialogs_of_its_own_trunk_alone() {
    let mut lab = consulted(|_| {});
    for name in [replaces(&lab, 2, 0), replaces(&lab, 0, 1)] {
        let asked = refer(&mut lab, 1, &name);
        lab.run(1_000);
        assert_eq!(lab.peers[1].codes(asked), [403], "{name}");
    }
    assert_eq!((lab.foreign.len(), lab.b2bua.counters().foreign_requests), (2, 2));
    assert_eq!((lab.b2bua.calls(), lab.b2bua.counters().transfers, news(&lab, 1).len()), (2, 0, 0));
    lab.send_in(0, 0, Method::Bye, &[]);
    hang_up(&mut lab, 0, 1);
}

/// A REFER with the right tags from an address that is not its party's: it is answered as if there were no such dialog.
#[test]
fn a_stranger_transfers_nobody() {
    let mut lab = Lab::answered(1);
    let dialog = lab.peers[0].sessions[0].dialog.clone();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (call_id, to, from) = (text(&dialog.call_id), text(&dialog.remote_tag), text(&dialog.local_tag));
    let refer = format!(
        "REFER sip:x@{} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bKstolen\r\nMax-Forwards: 70\r\n\
         From: <sip:201@192.0.2.10>;tag={from}\r\nTo: <sip:+4722@x>;tag={to}\r\nCall-ID: {call_id}\r\nCSeq: 99 REFER\r\n\
         Contact: <sip:201@192.0.2.66>\r\nRefer-To: <sip:+88213@x>\r\nContent-Length: 0\r\n\r\n",
        EDGE[0]
    );
    lab.inject("192.0.2.66:5060".parse().unwrap(), &refer);
    lab.run(1_000);
    let answers = lab.sent.iter().filter(|(_, to, _)| to.to_string() == "192.0.2.66:5060");
    assert_eq!(answers.map(|(_, _, sent)| sent.status()).collect::<Vec<_>>(), [Some(481)]);
    assert_eq!(
        (lab.foreign.len(), lab.b2bua.counters().transfers, lab.peers[1].requests(Method::Invite).len()),
        (1, 0, 1)
    );
    hang_up(&mut lab, 0, 0);
}

/// A transfer is the old way to dear numbers: its call is one of the transferor's trunk, whichever side that is.
#[test]
fn a_transfer_dials_what_the_transferors_trunk_may_dial() {
    for (peer, to) in [(0, "+88213"), (1, "+88213")] {
        let mut lab = Lab::answered(1);
        lab.profiles.trunks[peer].as_mut().unwrap().inbound.deny = vec!["+882".into()];
        let asked = refer(&mut lab, peer, &format!("<sip:{to}@x>"));
        lab.run(1_000);
        assert_eq!((lab.peers[peer].codes(asked), news(&lab, peer)), (vec![202], vec![100, 403]));
        assert_eq!(lab.barred, [(peer as u16, Barred::Prefix { prefix: "+882".into() })]);
        let invites = lab.peers.iter().map(|peer| peer.requests(Method::Invite).len()).sum::<usize>();
        assert_eq!((invites, lab.b2bua.calls()), (1, 1), "nobody is called, and the call goes on");
        hang_up(&mut lab, 0, 0);
    }
}

/// A call that was transferred counts for whoever has placed it, and once, until it ends: transfers are no way around a limit.
#[test]
fn transferred_calls_count_as_long_as_they_last() {
    let mut lab = Lab::new(2);
    lab.profiles.trunks[0].as_mut().unwrap().inbound.concurrent = Some(1);
    lab.call("+4722");
    lab.run(1_000);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    refer(&mut lab, 0, "<sip:+4799@x>");
    lab.run(1_000);
    assert_eq!(news(&lab, 0), [100, 603], "its call to the target would be a second one");
    lab.profiles.trunks[0].as_mut().unwrap().inbound.concurrent = Some(2);
    refer(&mut lab, 0, "<sip:+4799@x>");
    lab.run(2_000);
    assert_eq!(news(&lab, 0)[2..], [100, 180, 200]);
    lab.hear_each_other(1, 2);
    let (second, third) = (lab.call("+4733"), lab.call("+4744"));
    lab.run(1_000);
    assert_eq!((lab.peers[0].codes(second), lab.peers[0].codes(third)), (vec![180, 200], vec![603]));
    lab.send_in(1, 0, Method::Bye, &[]);
    lab.run(1_000);
    let fourth = lab.call("+4755");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(fourth), [180, 200], "the transferred one has ended");
    lab.send_in(0, 1, Method::Bye, &[]);
    hang_up(&mut lab, 0, 3);
}

#[test]
fn an_attended_transfer_counts_once_and_places_no_call() {
    let mut lab = consulted(|policy| policy.concurrent = Some(2));
    let name = replaces(&lab, 0, 1);
    refer(&mut lab, 0, &name);
    lab.run(2_000);
    assert_eq!(news(&lab, 0), [100, 200]);
    lab.hear_each_other(1, 2);
    let (second, third) = (lab.call("+4744"), lab.call("+4755"));
    lab.run(1_000);
    assert_eq!((lab.peers[0].codes(second), lab.peers[0].codes(third)), (vec![180, 200], vec![603]));
    lab.send_in(1, 0, Method::Bye, &[]);
    hang_up(&mut lab, 0, 2);
}

/// A redirection may lead neither whoever calls nor whoever redirects around what their trunks may dial, by routes or to a target.
#[test]
fn a_redirection_dials_what_both_trunks_may_dial() {
    for (trunk, contact) in
        [(0, "<sip:+88213@192.0.2.22:5060>"), (1, "<sip:+88213@192.0.2.22:5060>"), (1, "<tel:+88213>")]
    {
        let mut lab = Lab::new(2);
        lab.profiles.trunks[trunk].as_mut().unwrap().inbound.deny = vec!["+882".into()];
        lab.peers[1].steps = vec![vec![crate::peer::Step { headers: vec![("Contact", contact)], ..say(10, 302) }]];
        let client = lab.call("+4722");
        lab.run(2_000);
        assert_eq!(lab.peers[0].codes(client), [180, 200], "the plan goes on");
        assert!(lab.peers[2].requests(Method::Invite)[0].uri().starts_with(b"sip:+4722@"), "{contact}");
        assert_eq!(lab.barred, [(trunk as u16, Barred::Prefix { prefix: "+882".into() })]);
        assert!(lab.peers[0].requests(Method::Invite).is_empty());
        hang_up(&mut lab, 0, 0);
    }
}

/// RFC 3261 §22.2: a transferor that wants credentials for its NOTIFYs gets them, and is let go by a signed BYE.
#[test]
fn notifications_are_signed() {
    let mut lab = Lab::answered(1);
    ask(&mut lab, 1, "n1");
    refer(&mut lab, 1, "<sip:202@x>");
    lab.run(120);
    lab.peers[1].asks = Some(("n2", ""));
    lab.run(2_000);
    let taken = |notify: &&&Message| ["n1", "n2"].contains(&nonce_of(notify).as_str());
    let notifies = lab.peers[1].requests(Method::Notify);
    assert_eq!(notifies.iter().filter(taken).count(), 4, "{:?}", news(&lab, 1));
    assert_eq!(news(&lab, 1), [100, 100, 180, 200, 200], "the first of a nonce twice");
    assert!(lab.refused.is_empty());
    let byes = lab.peers[1].requests(Method::Bye);
    assert_eq!((byes.len(), nonce_of(byes[0]).as_str()), (1, "n2"), "after the last NOTIFY was taken");
    hang_up(&mut lab, 0, 1);
}

/// The same for the re-INVITE of the party that stays, whose ACK repeats the credentials (RFC 3261 §13.2.2.4).
#[test]
fn the_party_that_stays_may_want_credentials() {
    let mut lab = Lab::answered(2);
    ask(&mut lab, 1, "n1");
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    refer(&mut lab, 0, "<sip:+4799@x>");
    lab.run(150);
    lab.peers[1].asks = Some(("n2", ""));
    lab.run(2_000);
    assert_eq!(news(&lab, 0), [100, 180, 200]);
    let invites = lab.peers[1].requests(Method::Invite);
    let inside: Vec<&&Message> = invites.iter().filter(|invite| invite.to().tag().is_some()).collect();
    assert_eq!((inside.len(), inside[1].cseq().number), (2, inside[0].cseq().number + 1));
    assert_eq!(nonce_of(inside[1]), "n2");
    let acks = lab.peers[1].acks();
    assert_eq!(acks.last().unwrap().header(HeaderName::Authorization), inside[1].header(HeaderName::Authorization));
    lab.hear_each_other(1, 2);
    hang_up(&mut lab, 2, 0);
}

/// And for the far party of a call that is fetched.
#[test]
fn a_party_that_is_fetched_may_want_credentials() {
    let mut lab = consulted(|_| {});
    ask(&mut lab, 2, "n1");
    let name = replaces(&lab, 0, 1);
    refer(&mut lab, 0, &name);
    lab.run(2_000);
    assert_eq!((news(&lab, 0), lab.b2bua.counters().transferred), (vec![100, 200], 1));
    lab.hear_each_other(1, 2);
    hang_up(&mut lab, 1, 0);
}

/// Credentials that are not taken are told of, and the call is as it was.
#[test]
fn credentials_that_are_refused_leave_the_call_as_it_was() {
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    refer(&mut lab, 0, "<sip:+4799@x>");
    lab.run(150);
    ask(&mut lab, 1, "never");
    lab.run(2_000);
    assert_eq!((news(&lab, 0), lab.refused.as_slice()), (vec![100, 180, 403], [(1, 401)].as_slice()));
    assert_eq!((lab.b2bua.calls(), lab.peers[2].requests(Method::Bye).len()), (1, 1));
    lab.peers[1].asks = None;
    hang_up(&mut lab, 0, 0);
}

/// A REFER that is passed on is signed too.
#[test]
fn a_referral_that_is_passed_on_is_signed() {
    let mut lab = Lab::answered(1);
    lab.profiles.trunks[0].as_mut().unwrap().transfer = act::Transfer::Pass;
    ask(&mut lab, 1, "n1");
    lab.peers[1].others = 202;
    let asked = refer(&mut lab, 0, "<sip:+4799@x>");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(asked), [202]);
    let passed = lab.peers[1].requests(Method::Refer);
    assert_eq!((passed.len(), nonce_of(passed[1]).as_str()), (2, "n1"));
    assert_eq!(passed[0].header(HeaderName::ReferTo), passed[1].header(HeaderName::ReferTo));
    hang_up(&mut lab, 0, 0);
}

fn page(lab: &mut Lab, number: &str) -> u16 {
    let text = format!(
        "MESSAGE sip:{number}@{} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
         From: <sip:201@192.0.2.10>;tag=1\r\nTo: <sip:{number}@x>\r\nCall-ID: page{}\r\nCSeq: 1 MESSAGE\r\n\
         Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
        EDGE[0],
        lab.sent.len(),
        lab.sent.len(),
    );
    let office = lab.peers[0].addr;
    lab.inject(office, &text);
    lab.run(1_000);
    let answers = lab.sent.iter().rev().find(|(_, to, sent)| *to == office && !sent.is_request());
    answers.expect("an answer").2.status().unwrap()
}

/// RFC 3428 §4: a MESSAGE outside a call is challenged as anything else, and signed at once the next time.
#[test]
fn messages_are_signed() {
    let mut lab = Lab::new(1);
    ask(&mut lab, 1, "n1");
    assert_eq!((page(&mut lab, "+4722"), page(&mut lab, "+4722")), (200, 200));
    let sent = lab.peers[1].requests(Method::Message);
    let seen: Vec<(u32, String)> = sent.iter().map(|one| (one.cseq().number, nonce_of(one))).collect();
    assert_eq!(seen, [(1, String::new()), (2, "n1".into()), (1, "n1".into())]);
    assert_eq!(sent[0].call_id(), sent[1].call_id());
    assert!(lab.nonces.are_proven(TrunkId(1)) && lab.refused.is_empty());
    lab.peers[1].asks = Some(("never", ""));
    assert_eq!((page(&mut lab, "+4722"), lab.refused.as_slice()), (403, [(1, 401)].as_slice()));
    lab.settle();
}

#[test]
fn who_may_not_be_called_may_not_be_written_to() {
    let mut lab = Lab::new(1);
    lab.profiles.trunks[0].as_mut().unwrap().inbound.deny = vec!["+882".into()];
    assert_eq!((page(&mut lab, "+88213"), page(&mut lab, "+4722")), (403, 200));
    assert_eq!((lab.barred.len(), lab.peers[1].requests(Method::Message).len()), (1, 1));
    lab.settle();
}

/// RFC 3261 §14.1: a party that has a re-INVITE of its own under way is asked again, a while later and not for ever.
#[test]
fn a_party_that_answers_491_is_asked_again() {
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[1].inside = vec![say(10, 491)];
    refer(&mut lab, 0, "<sip:+4799@x>");
    lab.run(1_000);
    let inside =
        |lab: &Lab| lab.peers[1].requests(Method::Invite).iter().filter(|one| one.to().tag().is_some()).count();
    assert_eq!((inside(&lab), news(&lab, 0)), (1, vec![100, 180]), "it is ours by Call-ID, so it waits 2.1 s");
    lab.peers[1].inside = vec![sdp(10, 200)];
    lab.run(5_000);
    assert_eq!((inside(&lab), news(&lab, 0)), (2, vec![100, 180, 200]));
    lab.hear_each_other(1, 2);
    hang_up(&mut lab, 1, 0);
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab.peers[1].inside = vec![say(10, 491)];
    refer(&mut lab, 0, "<sip:+4799@x>");
    lab.run(20_000);
    assert_eq!((inside(&lab), news(&lab, 0)), (4, vec![100, 180, 491]));
    assert_eq!((lab.b2bua.calls(), lab.peers[2].requests(Method::Bye).len()), (1, 1));
    hang_up(&mut lab, 0, 0);
}

/// While it waits, whoever asked may leave, or the party that stays: nothing is left behind.
#[test]
fn who_leaves_while_491_is_waited_out_leaves_nothing_behind() {
    for (peer, session) in [(0, 0), (1, 0), (2, 0)] {
        let mut lab = Lab::answered(2);
        lab.peers[1].steps = vec![vec![say(10, 503)]];
        lab.peers[1].inside = vec![say(10, 491)];
        refer(&mut lab, 0, "<sip:+4799@x>");
        lab.run(1_000);
        lab.send_in(peer, session, Method::Bye, &[]);
        lab.run(1_000);
        lab.peers[1].inside = vec![sdp(10, 200)];
        lab.run(6_000);
        for (peer, session) in [(0, 0), (1, 0), (2, 0)] {
            if !lab.peers[peer].sessions[session].over {
                lab.send_in(peer, session, Method::Bye, &[]);
                lab.run(500);
            }
        }
        lab.settle();
    }
}

/// The call that a callee has placed by its transfer is one of its trunk's, though the caller's trunk is another.
#[test]
fn a_callees_transfer_counts_for_the_callees_trunk() {
    let mut lab = Lab::answered(1);
    lab.profiles.trunks[1].as_mut().unwrap().inbound.concurrent = Some(1);
    refer(&mut lab, 1, "<sip:202@x>");
    lab.run(2_000);
    assert_eq!(news(&lab, 1), [100, 180, 200]);
    let call = |lab: &mut Lab| {
        let offer = lab.peers[1].sdp();
        let client = lab.call_with(1, "203", offer, &[]);
        lab.run(1_000);
        lab.peers[1].codes(client)
    };
    assert_eq!(call(&mut lab), [603]);
    lab.send_in(0, 0, Method::Bye, &[]);
    lab.run(1_000);
    assert_eq!(call(&mut lab), [180, 200], "the joined one has ended");
    let last = lab.peers[1].sessions.len() - 1;
    hang_up(&mut lab, 1, last);
}

/// What a consultation was counted for goes on when its far party is joined with a call that had come in.
#[test]
fn a_consultation_counts_on_in_the_joined_call() {
    let mut lab = Lab::new(2);
    lab.profiles.trunks[0].as_mut().unwrap().inbound.concurrent = Some(1);
    let offer = lab.peers[1].sdp();
    let came = lab.call_with(1, "201", offer, &[]);
    lab.run(1_000);
    assert_eq!(lab.peers[1].codes(came), [180, 200]);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    let consulted = lab.call("+4733");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(consulted), [180, 200]);
    let name = replaces(&lab, 0, 1);
    refer(&mut lab, 0, &name);
    lab.run(2_000);
    assert_eq!(news(&lab, 0), [100, 200]);
    lab.hear_each_other(1, 2);
    let second = lab.call("+4744");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(second), [603]);
    lab.send_in(1, 0, Method::Bye, &[]);
    lab.run(1_000);
    let third = lab.call("+4755");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(third), [180, 200]);
    let last = lab.peers[0].sessions.len() - 1;
    hang_up(&mut lab, 0, last);
}
