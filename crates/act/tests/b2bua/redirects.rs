//! Redirections: followed where routes and trunks lead, passed to the caller, or refused. RFC 3261 §8.1.3.4, §21.3; RFC 5806.

use crate::peer::{Step, say, sdp};
use crate::world::{EDGE, Lab};
use act::{DiversionForm, Redirect};
use sip::{HeaderName, Message, Method};

fn moved(code: u16, contact: &'static str) -> Step {
    Step { headers: vec![("Contact", contact)], ..say(10, code) }
}

/// Carrier 1 redirects by its contacts; what the others got.
fn redirected(carriers: usize, steps: Vec<Step>) -> (Lab, sip::ClientKey) {
    let mut lab = Lab::new(carriers);
    lab.peers[1].steps = vec![steps];
    let client = lab.call("+4722");
    lab.run(2_000);
    (lab, client)
}

fn end(lab: &mut Lab) {
    if lab.b2bua.calls() > 0 {
        lab.send(0, Method::Bye, "", vec![]);
    }
    lab.settle();
}

fn diversions(invite: &Message) -> Vec<String> {
    invite.values(HeaderName::Diversion).map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

/// RFC 3261 §21.3.3: the contact is called as it stands, by its own user and parameters; RFC 5806: whose call it was goes along.
#[test]
fn a_contact_at_a_known_target_is_called_as_it_stands() {
    let (mut lab, client) = redirected(2, vec![moved(302, "<sip:+4799;npdi@192.0.2.22:5060;user=phone>")]);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let invite = lab.peers[2].requests(Method::Invite)[0];
    assert_eq!(invite.uri(), b"sip:+4799;npdi@192.0.2.22:5060;user=phone");
    assert_eq!(diversions(invite), [format!("<sip:+4722@{}>;reason=unconditional;counter=1", EDGE[1])]);
    assert_eq!(lab.b2bua.counters().redirected, 1);
    lab.hear_each_other(0, 2);
    end(&mut lab);
}

/// A number at our own address goes by the routes of who redirects: a carrier's calls go to the office.
#[test]
fn a_number_at_our_own_address_goes_by_the_routes_of_who_redirects() {
    let (mut lab, client) = redirected(1, vec![moved(302, "<sip:202@203.0.113.1:5060>")]);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert!(lab.peers[0].requests(Method::Invite)[0].uri().starts_with(b"sip:202@192.0.2.10"));
    end(&mut lab);
    let (mut lab, client) = redirected(1, vec![moved(301, "<tel:+4799>")]);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert!(lab.peers[0].requests(Method::Invite)[0].uri().starts_with(b"sip:+4799@"));
    end(&mut lab);
}

/// Only hosts that are a trunk's or ours are called: a redirection opens no door.
#[test]
fn an_unknown_host_is_never_called() {
    for contact in [
        "<sip:+4799@192.0.2.99>",
        "<sip:+4799@evil.example>",
        "<http://192.0.2.22/>",
        "<sip:+4799@192.0.2.22:5099>",
        "<sip:192.0.2.22:5060>",
        "*",
    ] {
        let (mut lab, client) = redirected(2, vec![moved(302, contact)]);
        assert_eq!(lab.peers[0].codes(client), [180, 200], "{contact}: the hunt goes on with the plan");
        let known: Vec<_> = lab.peers.iter().map(|peer| peer.addr).collect();
        assert!(lab.sent.iter().all(|(_, to, _)| known.contains(to)), "{contact}");
        assert!(lab.peers[2].requests(Method::Invite)[0].uri().starts_with(b"sip:+4722@"));
        assert_eq!(lab.b2bua.counters().redirected, 0);
        end(&mut lab);
    }
}

/// RFC 3261 §20.10: by `q`, and the next one when one fails.
#[test]
fn contacts_are_tried_by_preference() {
    let contacts = "<sip:c@192.0.2.22:5060>;q=0.1, <sip:a@192.0.2.22:5060>, <sip:b@192.0.2.22:5060>;q=0.7";
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![moved(300, contacts)]];
    lab.peers[2].steps = vec![vec![say(10, 503)], vec![say(10, 503)], vec![sdp(10, 200)]];
    let client = lab.call("+4722");
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(client), [200]);
    let users: Vec<u8> = lab.peers[2].requests(Method::Invite).iter().map(|invite| invite.uri()[4]).collect();
    assert_eq!(users, b"abc");
    end(&mut lab);
}

/// RFC 3261 §8.1.3.4: no URI twice, and no more than five.
#[test]
fn redirections_end() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![moved(302, "<sip:x@192.0.2.22:5060>")]];
    lab.peers[2].steps = vec![vec![moved(302, "<sip:x@192.0.2.21:5060>")]];
    let client = lab.call("+4722");
    lab.run(5_000);
    assert_eq!(lab.peers[0].codes(client), [503]);
    assert_eq!((lab.peers[1].requests(Method::Invite).len(), lab.peers[2].requests(Method::Invite).len()), (2, 2));
    lab.settle();
    let mut lab = Lab::new(1);
    let hop = |n: usize| {
        [
            "<sip:a@192.0.2.21:5060>",
            "<sip:b@192.0.2.21:5060>",
            "<sip:c@192.0.2.21:5060>",
            "<sip:d@192.0.2.21:5060>",
            "<sip:e@192.0.2.21:5060>",
            "<sip:f@192.0.2.21:5060>",
            "<sip:g@192.0.2.21:5060>",
        ][n]
    };
    lab.peers[1].steps = (0..7).map(|n| vec![moved(302, hop(n))]).collect();
    let client = lab.call("+4722");
    lab.run(5_000);
    assert_eq!(lab.peers[0].codes(client), [503]);
    assert_eq!(lab.peers[1].requests(Method::Invite).len(), 6);
    lab.settle();
}

/// RFC 3261 §21.3.4 diverts nobody; §21.3.5 is no place to call.
#[test]
fn a_proxy_to_be_used_diverts_nobody_and_an_alternative_service_is_no_place() {
    let (mut lab, _) = redirected(2, vec![moved(305, "<sip:+4722@192.0.2.22:5060>")]);
    assert!(diversions(lab.peers[2].requests(Method::Invite)[0]).is_empty());
    end(&mut lab);
    let (mut lab, _) = redirected(1, vec![moved(380, "<sip:+4799@192.0.2.21:5060>")]);
    assert_eq!(lab.peers[1].requests(Method::Invite).len(), 1);
    end(&mut lab);
}

/// Passed: the caller gets the numbers at our address and nobody's own; nothing else is tried.
#[test]
fn a_redirection_may_be_passed_to_the_caller() {
    let mut lab = Lab::new(2);
    lab.profiles.trunks[1].as_mut().unwrap().redirect = Redirect::Pass;
    lab.peers[1].steps = vec![vec![moved(302, "<sip:+4799@192.0.2.21:5070>;q=0.5, <sip:192.0.2.21>")]];
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [302]);
    let answer = lab.peers[0].last(client);
    let contacts: Vec<&[u8]> = answer.values(HeaderName::Contact).collect();
    assert_eq!(contacts, [format!("<sip:+4799@{}>;q=0.5", EDGE[0]).as_bytes()]);
    assert!(lab.peers[2].requests(Method::Invite).is_empty());
    lab.settle();
}

#[test]
fn a_redirection_may_be_refused() {
    let mut lab = Lab::new(2);
    lab.profiles.trunks[1].as_mut().unwrap().redirect = Redirect::Refuse;
    lab.peers[1].steps = vec![vec![moved(302, "<sip:x@192.0.2.22:5060>")]];
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert!(lab.peers[2].requests(Method::Invite)[0].uri().starts_with(b"sip:+4722@"));
    end(&mut lab);
}

/// A transfer's target may be redirected as any call's.
#[test]
fn a_transfers_target_may_be_elsewhere() {
    let mut lab = Lab::answered(2);
    lab.peers[1].steps = vec![vec![moved(302, "<sip:+4788@192.0.2.22:5060>")]];
    lab.send_in(0, 0, Method::Refer, &[("Refer-To", "<sip:+4799@198.51.100.1>")]);
    lab.run(2_000);
    assert!(lab.peers[2].requests(Method::Invite)[0].uri().starts_with(b"sip:+4788@"));
    lab.hear_each_other(1, 2);
    lab.send_in(1, 0, Method::Bye, &[]);
    lab.settle();
}

/// Carrier 1 redirects to carrier 2, whose terms say in which form it is told; what it is told, in order.
fn told(form: DiversionForm, extra: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let mut lab = Lab::new(2);
    lab.profiles.trunks[2].as_mut().unwrap().interworking.identity.diversion = form;
    lab.peers[1].steps = vec![vec![moved(302, "<sip:+4799@192.0.2.22:5060>")]];
    let offer = lab.peers[0].sdp();
    lab.call_with(0, "+4722", offer, extra);
    lab.run(2_000);
    let invite = lab.peers[2].requests(Method::Invite)[0];
    let history = invite.values(HeaderName::HistoryInfo).map(|value| String::from_utf8(value.to_vec()).unwrap());
    let told = (diversions(invite), history.collect());
    end(&mut lab);
    told
}

/// One hand writes who diverted, by the terms of who is told: what came and what we have followed, none of it twice (RFC 5806 §5, RFC 7544).
#[test]
fn a_redirection_we_follow_is_told_in_the_trunks_own_form_and_once() {
    let came = ("Diversion", "<sip:33@pbx>;reason=user-busy");
    let (ours, theirs) =
        (format!("<sip:+4722@{}>;reason=unconditional;counter=1", EDGE[1]), "<sip:33@pbx>;reason=user-busy".to_owned());
    for form in [DiversionForm::Pass, DiversionForm::Diversion] {
        assert_eq!(told(form, &[came]), (vec![ours.clone(), theirs.clone()], vec![]), "{form:?}");
    }
    assert_eq!(told(DiversionForm::Strip, &[came]), (vec![], vec![]));
    let history = vec![
        "<sip:33@pbx>;index=1".to_owned(),
        format!("<sip:+4722@{};cause=486>;index=1.1;mp=1", EDGE[1]),
        format!("<sip:+4722@{};cause=302>;index=1.1.1;mp=1.1", EDGE[1]),
    ];
    assert_eq!(told(DiversionForm::History, &[came]), (vec![], history.clone()));
    assert_eq!(told(DiversionForm::Both, &[came]), (vec![ours.clone(), theirs], history));
    let entries =
        [("History-Info", "<sip:33@pbx>;index=1"), ("History-Info", "<sip:+4722@pbx;cause=486>;index=1.1;mp=1")];
    let (none, longer) = told(DiversionForm::History, &entries);
    assert_eq!((none.len(), longer.len()), (0, 3));
    assert_eq!(longer[2], format!("<sip:+4722@{};cause=302>;index=1.1.1;mp=1.1", EDGE[1]));
    let (both, _) = told(DiversionForm::Diversion, &entries);
    assert_eq!(both, [ours, "<sip:33@pbx>;reason=user-busy".into()]);
}
