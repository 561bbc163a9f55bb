//! Calls to and from phones that have registered: by the preferred way first, equal ones together, dead ones passed over.

use crate::peer::{say, sdp};
use crate::strangers::forged_by;
use crate::world::Lab;
use act::{Binding, Bound, Expiries, RegistrarRules};
use decide::{Exclusion, GroupPolicy, Member, Shape};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{AttemptOutcome, Begun, GroupId, ListenId, Name, SocketId, Span, TrunkId};
use sip::auth::{Algorithm, Realm, Secret};
use sip::{Flow, HeaderName, Method, Transport};

/// Carriers 1 and 2 are phones now, which only their registrations name: their Contacts lead nowhere.
pub fn phones(qs: &[(usize, u16)]) -> Lab {
    let mut lab = Lab::new(2);
    let mut users = HashMap::with_hasher(FixedState::with_seed(0));
    users.insert("201".into(), Secret::Password("hush".into()));
    lab.profiles.trunks[1].as_mut().unwrap().targets.clear();
    lab.profiles.trunks[2] = None;
    lab.profiles.reindex();
    lab.shape.trunks[1].as_mut().unwrap().many = true;
    let mut groups = lab.shape.groups().to_vec();
    groups[0] = GroupPolicy::new(GroupId(0), vec![vec![Member { trunk: TrunkId(1), weight: 1 }]]);
    let mut routes = lab.shape.routes().to_vec();
    routes[1].to = GroupId(0);
    lab.shape = Shape::new(lab.shape.trunks.clone(), groups, routes);
    let second = Span::from_secs(1);
    lab.rules = Some(RegistrarRules {
        listens: vec![ListenId(1)],
        phones: Some(TrunkId(1)),
        behind: None,
        realm: Realm { name: "x".into(), algorithms: vec![Algorithm::Md5], nonce_lifetime: second.times(300) },
        domains: vec![],
        users,
        expiries: Expiries { min: second.times(60), max: second.times(3_600), default: second.times(600) },
        contacts: 5,
        service_route: false,
        flow_timer: None,
        rate: 100,
    });
    bind(&mut lab, "201", qs);
    lab
}

fn bind(lab: &mut Lab, aor: &str, qs: &[(usize, u16)]) {
    let ways: Vec<_> = qs.iter().map(|(peer, q)| (*peer, *q, "")).collect();
    bind_by(lab, aor, &ways);
}

/// The same, and so their Contacts end.
pub fn bind_by(lab: &mut Lab, aor: &str, ways: &[(usize, u16, &str)]) {
    let binding = |(peer, q, end): &(usize, u16, &str)| Binding {
        contact: format!("sip:{aor}@10.9.8.{peer}:5062;ob{end}").into_bytes().into(),
        flow: Flow { socket: SocketId(1), peer: lab.peers[*peer].addr, transport: Transport::Udp },
        path: vec![],
        instance: Some(format!("<urn:uuid:{peer}>").into_bytes().into()),
        reg_id: None,
        q: *q,
        call_id: (*b"c").into(),
        cseq: 1,
        expires: lab.now + Span::from_secs(600),
    };
    let bound = Bound { aor: Name::from(aor), bindings: ways.iter().map(binding).collect() };
    lab.registrar.install(lab.now, &bound);
}

fn tried(lab: &Lab, index: usize) -> usize {
    lab.peers[index].requests(Method::Invite).len()
}

#[test]
fn a_phone_is_called_by_its_flow_and_its_contact_is_the_request_uri() {
    let mut lab = phones(&[(1, 1_000)]);
    let client = lab.call("201");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let invite = lab.peers[1].requests(Method::Invite)[0].clone();
    assert_eq!(invite.uri(), b"sip:201@10.9.8.1:5062;ob");
    assert_eq!(lab.peers[1].acks().len(), 1);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1);
    assert!(lab.signals.is_empty(), "what a phone does says nothing about a trunk: {:?}", lab.signals);
}

#[test]
fn nobody_registered_is_480() {
    let mut lab = phones(&[]);
    let client = lab.call("201");
    lab.run(100);
    assert_eq!(lab.peers[0].codes(client), [480]);
    lab.settle();
    let plan = lab.ended[0].plan.as_ref().unwrap();
    let why = plan.excluded.iter().map(|out| out.cause);
    assert!(plan.attempts.is_empty() && why.eq([Exclusion::NobodyThere]), "whoever asks why is told: {plan:?}");
}

#[test]
fn equal_phones_ring_together_and_the_others_are_told_who_answered() {
    let mut lab = phones(&[(1, 1_000), (2, 1_000)]);
    lab.peers[1].steps = vec![vec![say(10, 180)]];
    lab.peers[2].steps = vec![vec![say(30, 180), sdp(800, 200)]];
    let client = lab.call("201");
    lab.run(600);
    assert_eq!((tried(&lab, 1), tried(&lab, 2)), (1, 1));
    assert_eq!(lab.peers[0].codes(client), [180], "one ringback for both");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let cancel = lab.sent.iter().find(|(_, to, sent)| *to == lab.peers[1].addr && sent.method() == Method::Cancel);
    let reason = cancel.expect("a CANCEL").2.header(HeaderName::Reason).unwrap_or_default();
    assert!(reason.starts_with(b"SIP;cause=200"), "RFC 3326: no missed call");
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    assert_eq!(lab.ended[0].attempts[1].begun, Begun::Forked);
    assert!(matches!(lab.ended[0].attempts[0].outcome, AttemptOutcome::Outrun { .. }));
}

#[test]
fn one_that_is_busy_leaves_the_other_ringing() {
    let mut lab = phones(&[(1, 1_000), (2, 1_000)]);
    lab.peers[1].steps = vec![vec![say(10, 180), say(100, 486)]];
    lab.peers[2].steps = vec![vec![say(30, 180), sdp(800, 200)]];
    let client = lab.call("201");
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(client).last(), Some(&200));
}

#[test]
fn the_preferred_phone_is_rung_first_and_the_next_when_it_is_busy() {
    let mut lab = phones(&[(2, 1_000), (1, 500)]);
    lab.peers[2].steps = vec![vec![say(10, 486)]];
    let client = lab.call("201");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let mut lab = phones(&[(2, 1_000), (1, 500)]);
    lab.peers[2].steps = vec![vec![say(10, 603)]];
    let client = lab.call("201");
    lab.run(1_000);
    assert_eq!((lab.peers[0].codes(client), tried(&lab, 1)), (vec![603], 0), "RFC 3261 16.7: he declined everywhere");
}

#[test]
fn a_dead_contact_is_passed_over_and_forgotten() {
    let mut lab = phones(&[(2, 1_000), (1, 500)]);
    lab.peers[2].closed = true;
    let client = lab.call("201");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(lab.bound[0].bindings.len(), 1);
    assert_eq!(lab.registrar.find(lab.now, "201").count(), 1);
}

#[test]
fn a_silent_contact_is_passed_over_and_comes_last_from_then_on() {
    let mut lab = phones(&[(2, 1_000), (1, 500)]);
    lab.peers[2].dead = true;
    let client = lab.call("201");
    lab.run(40_000);
    assert_eq!(lab.peers[0].codes(client).last(), Some(&200));
    let order: Vec<u16> = lab.registrar.find(lab.now, "201").map(|binding| binding.q).collect();
    assert_eq!(order, [500, 0]);
}

#[test]
fn a_phone_calls_by_its_flow_and_another_phone_may_be_called() {
    // Peers of this wire call themselves 201.
    let mut lab = phones(&[]);
    bind(&mut lab, "202", &[(2, 1_000)]);
    let offer = lab.peers[1].sdp();
    let client = lab.call_with(1, "202", offer.clone(), &[]);
    lab.run(50);
    assert_eq!(lab.peers[1].codes(client), [407], "a name that is not bound to this flow is asked who it is");
    let wrong = "Digest username=\"201\", realm=\"x\", nonce=\"n\", uri=\"sip:202@203.0.113.1:5060\", response=\"r\"";
    let client = lab.call_with(1, "202", offer.clone(), &[("Proxy-Authorization", wrong)]);
    lab.run(50);
    assert_eq!((lab.peers[1].codes(client), lab.auth_failed), (vec![407], 1), "a guess is told to whoever watches");
    bind(&mut lab, "201", &[(1, 1_000)]);
    let client = lab.call_with(1, "202", offer, &[]);
    lab.run(1_000);
    assert_eq!(lab.peers[1].codes(client), [180, 200]);
    assert_eq!(tried(&lab, 2), 1);
}

fn text(lab: &mut Lab, peer: usize, number: &str, extra: &str) -> Vec<u16> {
    let (from, n) = (lab.peers[peer].addr, lab.sent.len());
    let text = format!(
        "MESSAGE sip:{number}@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKtext{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:201@x>;tag=1\r\nTo: <sip:{number}@x>\r\nCall-ID: text{n}\r\nCSeq: 1 MESSAGE\r\n{extra}\
         Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    );
    lab.inject_at(peer, from, &text);
    lab.run(30_000);
    let answers = lab.sent.iter().skip(n).filter(|(_, to, sent)| *to == from && !sent.is_request());
    answers.filter_map(|(_, _, sent)| sent.status()).collect()
}

fn texts(lab: &Lab, peer: usize) -> usize {
    lab.peers[peer].requests(Method::Message).len()
}

/// RFC 3428 §6: a text goes to the user's phones by their flows, one after the other until one takes it; nobody registered is 480.
#[test]
fn a_text_goes_to_the_preferred_phone_that_takes_it() {
    let mut lab = phones(&[(2, 1_000), (1, 500)]);
    assert_eq!(text(&mut lab, 0, "201", ""), [200]);
    assert_eq!((texts(&lab, 1), texts(&lab, 2)), (0, 1));
    let got = lab.peers[2].requests(Method::Message)[0];
    assert_eq!((got.uri(), got.body()), (&b"sip:201@10.9.8.2:5062;ob"[..], &b"hi"[..]));
    for (first, answer, others) in [(405, 200, 1), (302, 200, 1), (603, 603, 0)] {
        let mut lab = phones(&[(2, 1_000), (1, 500)]);
        lab.peers[2].outside = first;
        assert_eq!((text(&mut lab, 0, "201", ""), texts(&lab, 1)), (vec![answer], others), "{first}");
        assert!(lab.signals.is_empty(), "a phone says nothing about a trunk");
    }
    let mut lab = phones(&[(2, 1_000)]);
    lab.peers[2].outside = 302;
    assert_eq!((text(&mut lab, 0, "201", ""), text(&mut lab, 0, "202", "")), (vec![480], vec![480]));
}

/// What a call learns of a phone a text learns as well: one whose port is closed is forgotten, one that is silent comes last.
#[test]
fn a_text_passes_over_dead_and_silent_phones() {
    let mut lab = phones(&[(2, 1_000), (1, 500)]);
    lab.peers[2].closed = true;
    assert_eq!((text(&mut lab, 0, "201", ""), texts(&lab, 1)), (vec![200], 1));
    assert_eq!((lab.registrar.find(lab.now, "201").count(), lab.bound.len()), (1, 1));
    let mut lab = phones(&[(2, 1_000), (1, 500)]);
    lab.peers[2].dead = true;
    assert_eq!((text(&mut lab, 0, "201", ""), texts(&lab, 1)), (vec![200], 1));
    let order: Vec<u16> = lab.registrar.find(lab.now, "201").map(|binding| binding.q).collect();
    assert_eq!(order, [500, 0]);
}

/// A phone sends a text as it calls: by its flow, or else by its password; who is neither trunk nor phone is asked who he is.
#[test]
fn a_phone_sends_texts_as_itself() {
    let mut lab = phones(&[]);
    bind(&mut lab, "202", &[(2, 1_000)]);
    assert_eq!((text(&mut lab, 1, "202", ""), texts(&lab, 2)), (vec![407], 0));
    let wrong =
        "Proxy-Authorization: Digest username=\"201\", realm=\"x\", nonce=\"n\", uri=\"sip:202@x\", response=\"r\"\r\n";
    assert_eq!((text(&mut lab, 1, "202", wrong), lab.auth_failed), (vec![407], 1));
    bind(&mut lab, "201", &[(1, 1_000)]);
    assert_eq!((text(&mut lab, 1, "202", ""), texts(&lab, 2)), (vec![200], 1));
}

/// A phone goes from one network to another within a call: unknown there at first, it registers and goes on, and is reached there.
#[test]
fn a_phone_that_has_moved_goes_on_with_its_call_once_it_has_registered() {
    let mut lab = phones(&[(1, 1_000)]);
    let client = lab.call("201");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let moved = "192.0.2.77:7777".parse().unwrap();
    let told = |lab: &Lab| -> Vec<u16> {
        lab.sent.iter().filter(|(_, to, _)| *to == moved).filter_map(|(_, _, message)| message.status()).collect()
    };
    let ask = |lab: &mut Lab, cseq: u32| {
        let text = forged_by(lab, 1, "OPTIONS", cseq).replace("192.0.2.99:5060", "192.0.2.77:7777");
        lab.inject_at(1, moved, &text);
        lab.run(100);
    };
    ask(&mut lab, 100);
    assert_eq!((told(&lab), lab.foreign.len()), (vec![481], 1), "it could be anybody");
    let mut bound = Bound { aor: Name::from("201"), bindings: lab.registrar.find(lab.now, "201").cloned().collect() };
    let binding = Binding {
        flow: Flow { socket: SocketId(1), peer: moved, transport: Transport::Udp },
        ..bound.bindings[0].clone()
    };
    bound.bindings = vec![binding.clone()].into();
    lab.registrar.install(lab.now, &Bound { aor: Name::from("202"), ..bound.clone() });
    ask(&mut lab, 101);
    assert_eq!(told(&lab), [481, 481], "another's phone is there");
    lab.registrar.install(lab.now, &bound);
    ask(&mut lab, 102);
    assert_eq!(told(&lab), [481, 481, 200]);
    lab.send(0, Method::Bye, "", vec![]);
    lab.run(100);
    let bye =
        |(_, to, message): &&(model::Instant, std::net::SocketAddr, sip::Message)| *to == moved && message.is_request();
    assert_eq!(lab.sent.iter().find(bye).map(|(_, _, sent)| sent.method()), Some(Method::Bye));
}
