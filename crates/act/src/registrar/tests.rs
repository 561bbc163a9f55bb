use super::*;
use core::net::SocketAddr;
use model::{ListenId, Rng, SocketId, Span};
use proptest::prelude::*;
use sip::auth::{Algorithm, Credentials, Realm, Secret, Session, Signed};
use sip::{SentBy, Transport};
use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const OURS: &str = "192.0.2.10:5060";

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Span::from_secs(seconds)
}

fn rules() -> RegistrarRules {
    let mut users = HashMap::with_hasher(FixedState::with_seed(1));
    for user in 200..210 {
        users.insert(Box::from(user.to_string()), Secret::Password("hush".into()));
    }
    RegistrarRules {
        listens: vec![ListenId(0)],
        phones: None,
        behind: None,
        realm: Realm {
            name: "example.net".into(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            nonce_lifetime: Span::from_secs(300),
        },
        domains: vec!["pbx.example".into()],
        users,
        expiries: Expiries { min: Span::from_secs(60), max: Span::from_secs(3_600), default: Span::from_secs(600) },
        contacts: 3,
        service_route: false,
        flow_timer: Some(Span::from_secs(120)),
        rate: 1_000,
    }
}

/// A phone and its registrar, without a network between.
struct World {
    registrar: Registrar,
    rules: RegistrarRules,
    rng: Rng,
    cseq: u32,
    now: u64,
    bound: Vec<Bound>,
    host: Option<&'static str>,
}

impl World {
    fn new() -> Self {
        let registrar = Registrar::new(100, 7, (0, 1), 1);
        Self { registrar, rules: rules(), rng: Rng::new(3), cseq: 0, now: 0, bound: Vec::new(), host: None }
    }

    fn flow(port: u16) -> Flow {
        let peer = SocketAddr::from(([203, 0, 113, 9], port));
        Flow { socket: SocketId(0), peer, transport: Transport::Udp }
    }

    fn text(&mut self, to: &str, lines: &str) -> String {
        self.cseq += 1;
        format!(
            "REGISTER sip:example.net SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK{0}\r\n\
             From: <{to}>;tag=1\r\nTo: <{to}>\r\nCall-ID: c1\r\nCSeq: {0} REGISTER\r\n{lines}Content-Length: 0\r\n\r\n",
            self.cseq
        )
    }

    fn once(&mut self, text: &str, port: u16) -> Registered {
        let message = Message::parse(text.as_bytes().to_vec()).unwrap();
        let registering = Registering {
            now: at(self.now),
            rules: &self.rules,
            rng: &mut self.rng,
            flow: Self::flow(port),
            sent_by: SentBy { name: self.host.map(Into::into), ..SentBy::new(OURS.parse().unwrap(), Transport::Udp) },
            message: &message,
        };
        let registered = self.registrar.register(registering);
        self.bound.extend(registered.bound.clone());
        registered
    }

    /// With the answer to the challenge that comes first.
    fn register_to(&mut self, to: &str, user: &str, lines: &str) -> (u16, String) {
        let text = self.text(to, lines);
        let answer = self.once(&text, 40_000).answer;
        if answer.code != 401 {
            return told(&answer);
        }
        self.cseq += 1;
        let line = credentials(&answer, user, "hush");
        let text = text.replace(&format!("CSeq: {} ", self.cseq - 1), &format!("CSeq: {} ", self.cseq));
        let text = text.replace("Content-Length", &format!("{line}\r\nContent-Length"));
        told(&self.once(&text, 40_000).answer)
    }

    fn register(&mut self, lines: &str) -> (u16, String) {
        self.register_to("sip:201@example.net", "201", lines)
    }

    fn contacts(&self) -> Vec<String> {
        let found = self.registrar.find(at(self.now), "201");
        found.map(|binding| String::from_utf8(binding.contact.to_vec()).unwrap()).collect()
    }
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.code, String::from_utf8(answer.headers.as_bytes().to_vec()).unwrap())
}

fn credentials(challenge: &Answer, user: &str, secret: &str) -> String {
    let head =
        format!("SIP/2.0 {} x\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n", challenge.code);
    let text = format!("{head}To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\n{}\r\n", told(challenge).1);
    let challenged = Message::parse(text.into_bytes()).unwrap();
    let credentials = Credentials { user: user.into(), secret: secret.into(), realm: None };
    let signed = Signed { method: "REGISTER", uri: b"sip:example.net", body: b"" };
    String::from_utf8(Session::open(&challenged, &credentials, "c").unwrap()[0].sign(&credentials, &signed)).unwrap()
}

#[test]
fn a_phone_registers_by_its_flow_and_is_told_its_expiry_10_3_8() {
    let mut world = World::new();
    let (code, headers) = world.register("Contact: <sip:201@10.0.0.5:5060>\r\nExpires: 300\r\n");
    assert_eq!(code, 200);
    let binding = world.registrar.find(at(0), "201").next().unwrap().clone();
    assert_eq!(binding.flow, World::flow(40_000), "behind a NAT its Contact leads nowhere");
    let granted = binding.expires.since(at(0)).as_secs();
    assert!((150..=300).contains(&granted), "a newcomer is sent into the later half: {granted}");
    assert!(headers.contains(&format!("Contact: <sip:201@10.0.0.5:5060>;expires={granted}\r\n")), "{headers}");
    assert_eq!(world.bound.len(), 1);
    // A query changes nothing and tells the same.
    assert!(world.register("").1.contains("sip:201@10.0.0.5:5060"));
    assert_eq!(world.bound.len(), 1);
    // Renewals stay near what was wished.
    world.now = 100;
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5:5060>\r\nExpires: 300\r\n").0, 200);
    let renewed = world.registrar.find(at(100), "201").next().unwrap().expires.since(at(100)).as_secs();
    assert!((270..=300).contains(&renewed), "{renewed}");
    world.now = 401;
    world.registrar.expire(at(401));
    assert!(world.registrar.is_empty() && world.contacts().is_empty());
}

#[test]
fn only_its_user_binds_an_address_10_3_3_and_4() {
    let mut world = World::new();
    let contact = "Contact: <sip:201@10.0.0.5>\r\n";
    assert_eq!(world.register_to("sip:201@example.net", "202", contact).0, 403);
    assert_eq!(world.register_to("sip:201@elsewhere.net", "201", contact).0, 404);
    assert_eq!(world.register_to("sip:201@PBX.example", "201", contact).0, 200);
    assert_eq!(world.register_to("sip:201@sbc.example.com", "201", contact).0, 404);
    world.host = Some("sbc.example.com");
    assert_eq!(world.register_to("sip:201@SBC.example.com", "201", contact).0, 200, "the name of the listen is ours");
    assert_eq!(world.register_to("sip:201@192.0.2.10:5060", "201", contact).0, 200, "many phones know but our address");
    let text = world.text("sip:201@example.net", contact);
    let challenge = world.once(&text, 1).answer;
    for (user, secret) in [("201", "wrong"), ("999", "hush")] {
        let line = credentials(&challenge, user, secret);
        let text = text.replace("Content-Length", &format!("{line}\r\nContent-Length"));
        let registered = world.once(&text, 1);
        assert_eq!(registered.answer.code, 401, "neither is told from the other");
        assert!(registered.failed, "a guess");
        assert!(!told(&registered.answer).1.contains("stale"));
    }
    assert_eq!(world.registrar.counters().auth_failed, 2);
}

#[test]
fn the_wildcard_removes_all_and_stands_alone_10_3_6() {
    let mut world = World::new();
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>, <sip:201@10.0.0.6>;q=0.5\r\n").0, 200);
    assert_eq!(world.contacts(), ["sip:201@10.0.0.5", "sip:201@10.0.0.6"]);
    assert_eq!(world.register("Contact: *\r\nExpires: 60\r\n").0, 400);
    assert_eq!(world.register("Contact: *\r\n").0, 400);
    assert_eq!(world.register("Contact: *, <sip:201@10.0.0.7>\r\nExpires: 0\r\n").0, 400);
    assert_eq!(world.contacts().len(), 2);
    assert_eq!(world.register("Contact: *\r\nExpires: 0\r\n").0, 200);
    assert!(world.contacts().is_empty());
    assert!(world.bound.last().unwrap().bindings.is_empty());
}

#[test]
fn expiries_of_a_contact_come_before_the_message_s_10_3_7() {
    let mut world = World::new();
    let (code, headers) = world.register("Contact: <sip:201@10.0.0.5>;expires=59\r\nExpires: 600\r\n");
    assert_eq!((code, headers.contains("Min-Expires: 60")), (423, true));
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>;expires=90000\r\nExpires: 0\r\n").0, 200);
    let expires = world.registrar.find(at(0), "201").next().unwrap().expires;
    assert!(expires <= at(3_600) && expires >= at(1_800));
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>;expires=0\r\n").0, 200);
    assert!(world.contacts().is_empty());
    // All or nothing: the second Contact is refused, so that the first is not bound either.
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>, <sip:201@10.0.0.6>;expires=5\r\n").0, 423);
    assert!(world.contacts().is_empty());
}

#[test]
fn an_overtaken_request_changes_nothing_10_3_7() {
    let mut world = World::new();
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>\r\n").0, 200);
    world.cseq = 0;
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>;expires=0\r\n").0, 500);
    world.cseq = 0;
    assert_eq!(world.register("Contact: *\r\nExpires: 0\r\n").0, 500);
    assert_eq!(world.contacts().len(), 1);
}

#[test]
fn a_phone_that_forgets_its_contacts_is_not_locked_out() {
    let mut world = World::new();
    for port in 1..=5 {
        world.now += 10;
        let lines = format!("Contact: <sip:201@10.0.0.5:{port}>\r\nExpires: 3600\r\n");
        let text = world.text("sip:201@example.net", &lines).replace("c1", &format!("c{port}x"));
        let challenge = world.once(&text, 40_000).answer;
        let line = credentials(&challenge, "201", "hush");
        let text = text.replace("Content-Length", &format!("{line}\r\nContent-Length"));
        assert_eq!(world.once(&text, 40_000).answer.code, 200);
    }
    assert_eq!(world.contacts().len(), 3);
    assert!(world.contacts().contains(&"sip:201@10.0.0.5:5".to_string()));
    assert_eq!(world.registrar.counters().displaced, 2);
    let four: Vec<String> = (1..=4).map(|port| format!("<sip:201@10.0.0.7:{port}>")).collect();
    assert_eq!(world.register(&format!("Contact: {}\r\n", four.join(", "))).0, 403);
}

#[test]
fn a_path_is_kept_and_shown_3327_5_3() {
    let mut world = World::new();
    let path = "Path: <sip:p2.example.net;lr>, <sip:p1.example.net;lr>\r\nContact: <sip:201@10.0.0.5>\r\n";
    let (code, headers) = world.register(path);
    assert_eq!((code, headers.as_str()), (420, "Unsupported: path\r\n"));
    let (code, headers) = world.register(&format!("Supported: path\r\n{path}"));
    assert_eq!(code, 200);
    assert!(headers.contains("Path: <sip:p2.example.net;lr>\r\nPath: <sip:p1.example.net;lr>\r\n"), "{headers}");
    let binding = world.registrar.find(at(0), "201").next().unwrap();
    assert_eq!(binding.path.len(), 2);
    assert_eq!(world.register("Require: path, rocket\r\nContact: <sip:201@10.0.0.5>\r\n").1, "Unsupported: rocket\r\n");
}

/// RFC 5626 §5.3: what was registered by a connection ends with it, for all who share it; other flows of the same users stay.
#[test]
fn bindings_end_with_their_connection() {
    let mut registrar = Registrar::new(100, 7, (0, 1), 1);
    let by = |transport, port| Flow { transport, ..World::flow(port) };
    let (tcp, other, udp) = (by(Transport::Tcp, 1), by(Transport::Tcp, 2), by(Transport::Udp, 1));
    let binding = |flow: Flow, id: u8| Binding {
        contact: format!("sip:x@10.0.0.5:{id}").into_bytes().into(),
        flow,
        path: vec![],
        instance: None,
        reg_id: None,
        q: 1_000,
        call_id: (*b"c").into(),
        cseq: 1,
        expires: at(600),
    };
    let put = |registrar: &mut Registrar, aor: &str, bindings: Vec<Binding>| {
        registrar.install(at(0), &Bound { aor: Name::from(aor), bindings: bindings.into() });
    };
    put(&mut registrar, "201", vec![binding(tcp, 1), binding(tcp, 2), binding(udp, 3)]);
    put(&mut registrar, "202", vec![binding(tcp, 4)]);
    put(&mut registrar, "203", vec![binding(other, 5)]);
    assert_eq!(registrar.broken(at(1), udp), [], "nothing is broken where there is no connection");
    let left: Vec<(Name, usize)> =
        registrar.broken(at(1), tcp).into_iter().map(|bound| (bound.aor, bound.bindings.len())).collect();
    assert_eq!(left, [("201".into(), 1), ("202".into(), 0)]);
    assert_eq!(registrar.find(at(1), "201").map(|binding| binding.flow).collect::<Vec<_>>(), [udp]);
    assert!(!registrar.is_bound(tcp) && registrar.is_bound(other) && registrar.len() == 2);
    assert_eq!((registrar.counters().broken, registrar.broken(at(1), tcp)), (3, vec![]));
    // Who comes back by a new one is not taken for the old one's.
    put(&mut registrar, "203", vec![binding(by(Transport::Tcp, 9), 5)]);
    assert_eq!(registrar.broken(at(2), other), []);
}

#[test]
fn flows_of_one_phone_live_side_by_side_5626_6() {
    let mut world = World::new();
    let of = |port: u16, id: u32| {
        format!(
            "Supported: outbound\r\nContact: <sip:201@10.0.0.5:{port}>;reg-id={id};+sip.instance=\"<urn:uuid:0-1>\"\r\n"
        )
    };
    let (code, headers) = world.register(&of(1, 1));
    assert_eq!(code, 200);
    assert!(headers.contains("Require: outbound\r\nFlow-Timer: 120\r\n"), "{headers}");
    assert_eq!(world.register(&of(2, 2)).0, 200);
    assert_eq!(world.contacts().len(), 2);
    // The same flow from another port takes the place of the old one.
    assert_eq!(world.register(&of(3, 1)).0, 200);
    let mut contacts = world.contacts();
    contacts.sort();
    assert_eq!(contacts, ["sip:201@10.0.0.5:2", "sip:201@10.0.0.5:3"]);
    assert_eq!(world.register(&of(3, 0)).0, 400);
    // A proxy between that does not keep flows.
    let text = world.text("sip:201@example.net", &of(4, 3)).replacen(
        "From:",
        "Via: SIP/2.0/UDP a;branch=z9hG4bKp\r\nFrom:",
        1,
    );
    assert_eq!(world.once(&text, 1).answer.code, 439);
}

#[test]
fn a_public_gruu_names_the_phone_5627_5_3() {
    let mut world = World::new();
    let contact = "Contact: <sip:201@10.0.0.5>;+sip.instance=\"<urn:uuid:0-1>\"\r\n";
    assert!(!world.register(contact).1.contains("gruu"));
    let (_, headers) = world.register(&format!("Supported: gruu\r\n{contact}"));
    assert!(headers.contains(";pub-gruu=\"sip:201@example.net;gr=urn:uuid:0-1\""), "{headers}");
}

#[test]
fn a_flood_is_sent_apart() {
    let mut world = World::new();
    world.rules.rate = 10;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let text = world.text("sip:201@example.net", "");
        let (code, headers) = told(&world.once(&text, 1).answer);
        if code == 503 {
            seen.insert(headers);
        }
    }
    assert_eq!(world.registrar.counters().put_off, 95, "half of a second is kept for those who are known");
    assert!(seen.len() > 10, "{seen:?}");
    world.now = 1;
    assert_eq!(world.register("").0, 200, "whoever comes in the next second is served");
}

#[test]
fn a_full_registrar_serves_those_it_has() {
    let mut world = World::new();
    world.registrar = Registrar::new(1, 7, (0, 1), 1);
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>\r\n").0, 200);
    assert_eq!(world.register_to("sip:202@example.net", "202", "Contact: <sip:202@10.0.0.5>\r\n").0, 503);
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>\r\n").0, 200);
}

#[test]
fn a_caller_is_known_by_his_flow_or_his_password() {
    let mut world = World::new();
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>\r\n").0, 200);
    let invite = |from: &str, line: &str| {
        let text = format!(
            "INVITE sip:example.net SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK9\r\nFrom: <sip:{from}@example.net>;tag=1\r\n\
             To: <sip:x@example.net>\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\n{line}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into_bytes()).unwrap()
    };
    let mut ask = |port, message: &Message| world.registrar.caller(at(1), &world.rules, World::flow(port), message);
    assert!(matches!(ask(40_000, &invite("201", "")), Caller::User(name) if &*name == "201"));
    let Caller::Challenge { answer, failed: false } = ask(40_000, &invite("202", "")) else { panic!("another's flow") };
    assert_eq!(answer.code, 407);
    let Caller::Challenge { answer, .. } = ask(9, &invite("201", "")) else { panic!("another flow") };
    let line = credentials(&answer, "201", "hush").replace("REGISTER", "INVITE");
    // The answer is for a REGISTER, so it is wrong for an INVITE.
    let Caller::Challenge { failed, .. } = ask(9, &invite("201", &format!("{line}\r\n"))) else {
        panic!("wrong method")
    };
    assert!(failed);
}

#[test]
fn others_install_what_the_owner_tells() {
    let mut world = World::new();
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>\r\nExpires: 300\r\n").0, 200);
    let mut other = Registrar::new(100, 7, (1, 2), 2);
    other.install(at(0), &world.bound[0]);
    assert_eq!(other.find(at(0), "201").count(), 1);
    assert_eq!(other.deadline(), world.registrar.deadline());
    let aor = Name::from("201");
    assert_eq!(other.dead(at(1), &aor, b"sip:201@10.0.0.5", World::flow(1)), None, "it has moved");
    let doubted = other.suspect(at(1), &aor, b"sip:201@10.0.0.5", World::flow(40_000)).unwrap();
    assert_eq!(doubted.bindings[0].q, 0);
    assert_eq!(other.suspect(at(1), &aor, b"sip:201@10.0.0.5", World::flow(40_000)), None, "once is enough");
    let gone = other.dead(at(1), &aor, b"sip:201@10.0.0.5", World::flow(40_000)).unwrap();
    assert!(gone.bindings.is_empty() && other.is_empty());
    other.install(at(5_000), &world.bound[0]);
    assert!(other.is_empty(), "what has run out is not taken over");
}

/// A site of 100,000 phones gets its power back: all come within the minutes that the rate allows, and then spread out.
#[test]
fn a_hundred_thousand_phones_that_came_together_do_not_come_together_again() {
    const PHONES: usize = 100_000;
    let (expiries, mut rng) = (rules().expiries, Rng::new(11));
    let wish = Span::from_secs(3_600);
    // Each asks again when half of what it was granted is over, as many stacks do.
    let mut due: Vec<u64> = (0..PHONES as u64).map(|phone| phone / 1_000).collect();
    let mut peaks = Vec::new();
    for round in 0..4 {
        for at in &mut due {
            *at += expiries.granted(&mut rng, wish, round > 0).as_secs() / 2;
        }
        let mut seconds = std::collections::BTreeMap::new();
        due.iter().for_each(|at| *seconds.entry(*at).or_insert(0u32) += 1);
        peaks.push(seconds.into_values().max().unwrap());
    }
    std::println!("{PHONES} phones within 100 s at 1000/s; the busiest second of each renewal after that: {peaks:?}");
    assert!(peaks.iter().all(|peak| *peak < 200), "{peaks:?}");
}

proptest! {
    #[test]
    fn whatever_comes_is_answered_and_limits_hold(
        lines in proptest::collection::vec(
            prop_oneof![
                "Contact: <sip:20[0-9]@10.0.0.[1-9]>(;q=[0-9.]{1,4})?(;expires=[0-9]{1,4})?\r\n",
                "(Contact|Expires|Path|Require|Supported|To): [ -~]{0,40}\r\n",
            ], 0..6)
    ) {
        let mut world = World::new();
        for line in lines {
            let text = world.text("sip:201@example.net", &line);
            if Message::parse(text.clone().into_bytes()).is_ok() {
                let (code, _) = world.register(&line);
                prop_assert!(matches!(code, 200 | 400 | 401 | 403 | 404 | 420 | 423 | 439 | 500 | 503), "{}", code);
            }
            prop_assert!(world.contacts().len() <= world.rules.contacts);
        }
    }
}

/// A crowd of unknown senders takes the rate: who has answered a challenge is served all the same, and who is where phones are.
#[test]
fn whoever_is_known_or_answers_goes_before_a_crowd() {
    let mut world = World::new();
    world.rules.rate = 8;
    let contact = "Contact: <sip:201@10.0.0.5>\r\n";
    let text = world.text("sip:201@example.net", contact);
    let challenge = world.once(&text, 1).answer;
    let crowd = |world: &mut World| {
        for _ in 0..50 {
            let text = world.text("sip:202@example.net", "");
            world.once(&text, 2);
        }
        let text = world.text("sip:202@example.net", "");
        world.once(&text, 2).answer.code
    };
    assert_eq!(crowd(&mut world), 503);
    let line = credentials(&challenge, "201", "hush");
    let text =
        world.text("sip:201@example.net", contact).replace("Content-Length", &format!("{line}\r\nContent-Length"));
    assert_eq!(
        world.once(&text, 1).answer.code,
        200,
        "its second request is served, so that the first was not in vain"
    );
    let flow = World::flow(1);
    assert!(world.registrar.is_bound(flow) && !world.registrar.is_bound(World::flow(2)));
    assert_eq!(world.registrar.behind(flow.peer.ip()), 1);
    let text = world.text("sip:203@example.net", "");
    assert_eq!(world.once(&text, 3).answer.code, 401, "somebody else where phones are");
}

#[test]
fn a_user_who_was_taken_out_of_the_rules_calls_no_more() {
    let mut world = World::new();
    assert_eq!(world.register("Contact: <sip:201@10.0.0.5>\r\n").0, 200);
    world.rules.users.remove("201");
    let text = world.text("sip:201@example.net", "").replace("REGISTER", "INVITE");
    let message = Message::parse(text.into_bytes()).unwrap();
    let caller = world.registrar.caller(at(1), &world.rules, World::flow(40_000), &message);
    assert!(matches!(caller, Caller::Challenge { failed: false, .. }), "{caller:?}");
}
