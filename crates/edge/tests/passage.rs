//! Phones that register through a whole shard at a PBX of two addresses, in virtual time: credentials go end to end, the next address serves
//! when one does not, and calls come back by the phone's own flow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alone;

use alone::alone;
use edge::{Control, ControlInput, ControlOutput, Input, KeptBindings, Output, Shard};
use model::{Instant, ShardId, SocketId, Span, TransportFault, Wall};
use sip::auth::{Credentials, Session, Signed};
use sip::{Flow, HeaderName, Message, Method, NameAddr, Transport, Uri};
use std::collections::VecDeque;

const CONFIG: &str = "[listen.lan]\nsip = [\"udp:192.0.2.10:5060\", \"tcp:192.0.2.10:5060\"]\n\
    [trunk.pbx]\nat = [\"sip:192.0.2.20:5060\", \"sip:192.0.2.21:5060\"]\nlisten = \"lan\"\nchallenge = \"pass\"\n\
    [trunk.phones]\nat = \"registered\"\nlisten = \"lan\"\n\
    [group.phones]\ntiers = [[\"phones\"]]\nalone = true\n[group.office]\ntiers = [[\"pbx\"], [\"phones\"]]\n\
    [[route]]\nfrom = [\"pbx\"]\nto = \"phones\"\n[[route]]\nfrom = [\"phones\"]\nto = \"office\"\n\
    [registrar]\nlisten = \"lan\"\nrealm = \"example.net\"\nbehind = \"pbx\"\n";
const FIRST: &str = "192.0.2.20:5060";
const SECOND: &str = "192.0.2.21:5060";
/// 201's phone behind its NAT, and 202's.
const PHONE: &str = "203.0.113.9:40000";
const OTHER: &str = "203.0.113.8:40001";
const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"abc\", algorithm=MD5, qop=\"auth\"\r\n";

/// How one address of the PBX is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// Asks for a password, takes any, grants so many seconds.
    Serves(u64),
    /// Refuses everything with this.
    Says(u16),
    Silent,
}

/// A shard between phones and the PBX.
struct Lab {
    control: Control,
    shard: Shard,
    now: Instant,
    moods: [(&'static str, Mood); 2],
    /// What the edge sent: when, to whom, what.
    sent: Vec<(Instant, String, Message)>,
    kept: Vec<KeptBindings>,
    alarms: Vec<String>,
    branch: u32,
    cseq: u32,
}

impl Lab {
    fn new() -> Self {
        let (control, shard) = alone(CONFIG);
        Self {
            control,
            shard,
            now: Instant::ZERO,
            moods: [(FIRST, Mood::Serves(300)), (SECOND, Mood::Serves(300))],
            sent: Vec::new(),
            kept: Vec::new(),
            alarms: Vec::new(),
            branch: 0,
            cseq: 0,
        }
    }

    fn comes(&mut self, from: &str, text: &str) {
        let flow = Flow { socket: SocketId(0), peer: from.parse().unwrap(), transport: Transport::Udp };
        self.shard.handle(self.now, Input::Datagram { flow, bytes: text.as_bytes() });
        self.drain();
    }

    fn drain(&mut self) {
        let mut answers = VecDeque::new();
        while let Some(output) = self.shard.poll() {
            let wall = Wall::from_micros(self.now.since(Instant::ZERO).as_micros() as i64);
            match output {
                Output::Datagram(transmit) => {
                    let (to, message) = (transmit.flow.peer.to_string(), Message::parse(transmit.bytes).unwrap());
                    answers.extend(self.served(&to, &message).map(|answer| (to.clone(), answer)));
                    self.sent.push((self.now, to, message));
                }
                Output::Bound(bound) => {
                    self.control.handle(self.now, wall, ControlInput::Bound { shard: ShardId(0), bound });
                }
                Output::Notice(notice) => self.control.handle(self.now, wall, ControlInput::Notice(notice)),
                _ => {}
            }
        }
        while let Some(output) = self.control.poll() {
            match output {
                ControlOutput::Keep(kept) => self.kept.push(kept),
                ControlOutput::Entry(entry) => self.alarms.push(explain::sentence(&entry)),
                _ => {}
            }
        }
        for (from, text) in answers {
            self.comes(&from, &text);
        }
    }

    /// What an address of the PBX answers to a REGISTER.
    fn served(&self, to: &str, message: &Message) -> Option<String> {
        let mood = self.moods.iter().find(|(address, _)| *address == to)?.1;
        if !message.is_request() || message.method() != Method::Register {
            return None;
        }
        let asked: Vec<String> =
            message.values(HeaderName::Contact).map(|value| String::from_utf8(value.to_vec()).unwrap()).collect();
        let (status, lines) = match mood {
            Mood::Silent => return None,
            Mood::Says(code) => (format!("{code} No"), String::from("Min-Expires: 900\r\n")),
            Mood::Serves(_) if message.header(HeaderName::Authorization).is_none() => {
                (String::from("401 Who"), CHALLENGE.to_owned())
            }
            Mood::Serves(_) if asked.iter().all(|contact| contact.contains("expires=0")) => {
                (String::from("200 OK"), String::new())
            }
            Mood::Serves(time) => {
                let granted = |contact: &String| {
                    format!("Contact: {};expires={time}\r\n", contact.split(";expires").next().unwrap())
                };
                (String::from("200 OK"), asked.iter().map(granted).collect())
            }
        };
        Some(answer(message, &status, &lines))
    }

    fn run(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(due) = self.shard.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.shard.handle(self.now, Input::Tick);
            self.drain();
        }
        self.now = until;
    }

    fn text(&mut self, method: &str, uri: &str, from: (&str, &str), to: &str, lines: &str) -> String {
        self.branch += 1;
        self.cseq += 1;
        let (user, address) = from;
        let call = if method == "REGISTER" { user.to_owned() } else { format!("c{}", self.branch) };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@example.net>;tag=1\r\nTo: <{to}>\r\nCall-ID: {call}\r\nCSeq: {} {method}\r\n{lines}Content-Length: 0\r\n\r\n",
            self.branch, self.cseq
        )
    }

    /// A phone registers for a time; the answer to it, if there is one by then, and its headers.
    fn register(&mut self, user: &str, from: &str, lines: &str) -> (u16, Message) {
        let before = self.sent.len();
        let to = format!("sip:{user}@example.net");
        let contact = format!("Contact: <sip:{user}@10.0.0.5:5060>{lines}\r\n");
        let text = self.text("REGISTER", "sip:example.net", (user, "10.0.0.5:5060"), &to, &contact);
        self.comes(from, &text);
        self.run(Span::from_secs(10));
        let first = self.told(before, from);
        if first.status() != Some(401) {
            return (first.status().unwrap(), first);
        }
        let credentials = Credentials { user: user.to_owned(), secret: "hush".into(), realm: None };
        let signed = Signed { method: "REGISTER", uri: b"sip:example.net", body: b"" };
        let line =
            Session::open(&first, &credentials, "c").expect("the PBX's challenge")[0].sign(&credentials, &signed);
        let line = String::from_utf8(line).unwrap();
        let before = self.sent.len();
        let text =
            self.text("REGISTER", "sip:example.net", (user, "10.0.0.5:5060"), &to, &format!("{contact}{line}\r\n"));
        self.comes(from, &text);
        self.run(Span::from_secs(10));
        let passed = self.sent[before..].iter().filter(|(_, _, message)| message.method() == Method::Register);
        for (_, _, message) in passed.filter(|(_, _, message)| message.is_request()) {
            let kept = message.headers().any(|header| header.line.trim_ascii_end() == line.as_bytes());
            assert!(kept, "its credentials reach the PBX as they were");
        }
        let last = self.told(before, from);
        (last.status().unwrap(), last)
    }

    /// The last response that went to somebody.
    fn told(&self, after: usize, to: &str) -> Message {
        let mut responses =
            self.sent[after..].iter().filter(|(_, peer, message)| peer == to && message.status().is_some());
        responses.next_back().expect("an answer").2.clone()
    }

    fn requests(&self, method: Method, to: &str) -> Vec<&Message> {
        let all = self.sent.iter().filter(|(_, peer, message)| peer == to && message.is_request());
        all.map(|(_, _, message)| message).filter(|message| message.method() == method).collect()
    }

    /// The Contact that the PBX was given last for a user.
    fn contact(&self, user: &str) -> String {
        let named = |message: &&&Message| message.to().uri == format!("sip:{user}@example.net").as_bytes();
        let all = [self.requests(Method::Register, FIRST), self.requests(Method::Register, SECOND)].concat();
        let last = all.iter().rfind(named).expect("a REGISTER");
        let contact = last.values(HeaderName::Contact).next().map(NameAddr::of).expect("a Contact");
        String::from_utf8(contact.uri.to_vec()).unwrap()
    }

    fn invite(&mut self, from: (&str, &str), to: &str) {
        let contact = format!("Contact: <sip:{}@{}>\r\n", from.0, from.1);
        let text = self.text("INVITE", to, from, to, &contact);
        self.comes(from.1, &text);
    }

    fn count(&self, name: &str) -> u64 {
        self.shard.view().counters.iter().find(|(known, _)| known == name).unwrap().1
    }

    fn set(&mut self, first: Mood, second: Mood) {
        self.moods = [(FIRST, first), (SECOND, second)];
    }
}

fn answer(message: &Message, status: &str, lines: &str) -> String {
    let kept = [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];
    let copied: String = message
        .headers()
        .filter(|header| kept.contains(&header.name))
        .map(|header| format!("{}\r\n", String::from_utf8_lossy(header.line.trim_ascii_end())))
        .collect();
    format!("SIP/2.0 {status}\r\n{copied}{lines}Content-Length: 0\r\n\r\n")
}

fn expires(answer: &Message) -> Option<u64> {
    let contact = answer.values(HeaderName::Contact).next().map(NameAddr::of)?;
    core::str::from_utf8(contact.params.get("expires")?).ok()?.parse().ok()
}

#[test]
fn the_phone_is_asked_by_the_pbx_and_granted_what_it_grants() {
    let mut lab = Lab::new();
    let (code, answer) = lab.register("201", PHONE, ";expires=600");
    assert_eq!(code, 200);
    assert!(expires(&answer).is_some_and(|left| (289..=300).contains(&left)), "the PBX's time: {:?}", expires(&answer));
    let own = answer.values(HeaderName::Contact).next().map(NameAddr::of).unwrap();
    assert_eq!(own.uri, b"sip:201@10.0.0.5:5060", "the phone finds its own Contact");
    let contact = lab.contact("201");
    assert!(contact.starts_with("sip:201~") && contact.ends_with("@192.0.2.10:5060"), "{contact}");
    let asked = lab.requests(Method::Register, FIRST);
    assert_eq!((asked.len(), asked[0].uri(), asked[0].call_id()), (2, &b"sip:example.net"[..], &b"201"[..]));
    assert_eq!(asked[0].max_forwards(), Some(69));
    assert!(lab.requests(Method::Register, SECOND).is_empty());
    let before = contact;
    lab.register("201", PHONE, ";expires=600");
    assert_eq!(lab.contact("201"), before, "the PBX has one binding of it, and not one for each time");
    lab.register("201", PHONE, ";expires=0");
    lab.invite(("1", FIRST), &before);
    assert_eq!(lab.told(0, FIRST).status(), Some(480), "it has gone");
}

#[test]
fn what_the_pbx_refuses_it_refuses_the_phone() {
    let mut lab = Lab::new();
    lab.set(Mood::Says(423), Mood::Silent);
    let (code, answer) = lab.register("201", PHONE, ";expires=10");
    assert_eq!((code, answer.named("Min-Expires")), (423, Some(&b"900"[..])));
    lab.set(Mood::Says(403), Mood::Silent);
    assert_eq!(lab.register("201", PHONE, "").0, 403, "somebody decided, and is not asked elsewhere");
    assert!(lab.requests(Method::Register, SECOND).is_empty());
    let text = lab.text("REGISTER", "sip:elsewhere", ("201", "10.0.0.5:5060"), "sip:201@elsewhere", "");
    lab.comes(PHONE, &text);
    assert_eq!(lab.told(0, PHONE).status(), Some(404), "not a domain of its");
}

/// Mission R2: the next address serves when one is silent or refuses everything; it is told where phones register now, and phones come
/// back when the first is well.
#[test]
fn the_next_address_serves_when_one_does_not_and_it_is_told() {
    for mood in [Mood::Silent, Mood::Says(503), Mood::Says(500)] {
        let mut lab = Lab::new();
        assert_eq!(lab.register("201", PHONE, ";expires=600").0, 200);
        lab.set(mood, Mood::Serves(200));
        let begun = lab.now;
        let (code, answer) = lab.register("201", PHONE, ";expires=600");
        assert_eq!(code, 200, "{mood:?}");
        assert!(expires(&answer).is_some_and(|left| left <= 200), "granted by the second");
        let second = lab.sent.iter().find(|(_, to, _)| to == SECOND).expect("asked").0;
        assert!(second.since(begun) <= Span::from_secs(3), "{mood:?}: after {}", second.since(begun));
        let tries = lab.sent.iter().filter(|(at, to, _)| to == FIRST && *at > second).count();
        assert_eq!(tries, 0, "{mood:?}: the second REGISTER, with credentials, goes to who asked for them");
        let told = "phones register at 192.0.2.21:5060 of trunk pbx now, and no longer at 192.0.2.20:5060";
        assert!(lab.alarms.iter().any(|said| said.contains(told)), "{:?}", lab.alarms);
        assert_eq!(lab.count("registrar_passed_over"), 1);
        lab.set(Mood::Serves(300), Mood::Serves(200));
        lab.run(Span::from_secs(30));
        let (_, answer) = lab.register("201", PHONE, ";expires=600");
        assert!(expires(&answer).is_some_and(|left| left > 200), "{mood:?}: back at the first");
    }
}

/// Nobody decides: who is registered by this flow stays so for the rest of his time, others come again, and phones call each other.
#[test]
fn a_dead_pbx_leaves_phones_that_are_registered_and_they_call_each_other() {
    let mut lab = Lab::new();
    assert_eq!(lab.register("201", PHONE, ";expires=600").0, 200);
    assert_eq!(lab.register("202", OTHER, ";expires=600").0, 200);
    lab.set(Mood::Silent, Mood::Says(503));
    let (code, answer) = lab.register("201", PHONE, ";expires=600");
    assert_eq!(code, 200);
    assert!(expires(&answer).is_some_and(|left| left < 280), "what is left, and no more: {:?}", expires(&answer));
    let (code, answer) = lab.register("203", "203.0.113.7:40000", ";expires=600");
    assert!(code == 503 && answer.retry_after().is_some(), "nobody knows who that is: {code}");
    let (code, _) = lab.register("201", "203.0.113.7:40000", ";expires=600");
    assert_eq!(code, 503, "by another flow it may be anybody");
    assert_eq!((lab.count("registrar_unserved"), lab.count("registrar_survived")), (3, 1));
    let told = lab.alarms.iter().filter(|said| said.contains("no target of trunk pbx serves")).count();
    assert_eq!(told, 1, "{:?}", lab.alarms);
    lab.invite(("201", PHONE), "sip:202@example.net");
    lab.run(Span::from_secs(10));
    let rung = lab.requests(Method::Invite, OTHER);
    assert_eq!(rung.first().expect("rung").uri(), b"sip:202@10.0.0.5:5060");
    lab.run(Span::from_secs(300));
    assert_eq!(lab.register("201", PHONE, ";expires=600").0, 503, "its time is over, and only the PBX can grant more");
}

/// R1: the PBX calls the Contact it was given, and the phone is reached by its own flow, whatever address it writes; of several phones of a
/// user the one that is meant.
#[test]
fn the_pbx_calls_by_the_token_and_the_phone_calls_the_pbx() {
    let mut lab = Lab::new();
    lab.register("201", PHONE, ";expires=600");
    let contact = lab.contact("201");
    let text = |lab: &mut Lab, line: &str| {
        let lines = format!("Contact: <sip:201@10.0.0.6:5060>;expires=600\r\n{line}");
        lab.text("REGISTER", "sip:example.net", ("201", "10.0.0.6:5060"), "sip:201@example.net", &lines)
    };
    let register = text(&mut lab, "Authorization: Digest username=\"201\"\r\n");
    lab.comes(OTHER, &register);
    let second = lab.contact("201");
    assert_ne!(contact, second);
    lab.invite(("1", SECOND), &second);
    assert_eq!((lab.requests(Method::Invite, PHONE).len(), lab.requests(Method::Invite, OTHER).len()), (0, 1));
    assert_eq!(lab.requests(Method::Invite, OTHER)[0].uri(), b"sip:201@10.0.0.6:5060");
    lab.invite(("1", FIRST), &contact);
    assert_eq!(lab.requests(Method::Invite, PHONE)[0].uri(), b"sip:201@10.0.0.5:5060");
    lab.invite(("1", FIRST), "sip:201~00000000@192.0.2.10");
    assert_eq!(lab.told(0, FIRST).status(), Some(480), "no other phone is rung in the place of one that has gone");
    lab.invite(("201", PHONE), "sip:+4722@example.net");
    let called = lab.requests(Method::Invite, FIRST);
    assert!(called.iter().any(|invite| Uri::parse(invite.uri()).unwrap().user() == b"+4722"));
    lab.invite(("201", "203.0.113.77:5060"), "sip:+4722@example.net");
    assert_eq!(lab.told(0, "203.0.113.77:5060").status(), Some(403), "who has not registered calls nobody");
}

/// R1 over a restart: what the store has kept is all that is needed, since the token is made anew from it.
#[test]
fn a_restart_finds_the_phone_by_the_token_it_gave_before() {
    let mut lab = Lab::new();
    lab.register("201", PHONE, ";expires=600");
    let (contact, kept) = (lab.contact("201"), lab.kept.clone());
    let mut lab = Lab::new();
    lab.control.handle(lab.now, Wall::from_micros(20_000_000), ControlInput::Restore(kept));
    while let Some(output) = lab.control.poll() {
        if let ControlOutput::Bindings { bound, .. } = output {
            lab.shard.handle(lab.now, Input::Bindings(&bound));
        }
    }
    lab.invite(("1", FIRST), &contact);
    assert_eq!(lab.requests(Method::Invite, PHONE)[0].uri(), b"sip:201@10.0.0.5:5060");
}

/// A connection that ends while its REGISTER is under way: what the PBX grants then would lead into nothing.
#[test]
fn what_is_granted_to_a_connection_that_has_ended_is_not_bound() {
    let mut lab = Lab::new();
    lab.set(Mood::Silent, Mood::Silent);
    let contact = "Contact: <sip:201@10.0.0.5:5060;transport=tcp>;expires=600\r\n";
    let text = lab.text("REGISTER", "sip:example.net", ("201", "10.0.0.5:5060"), "sip:201@example.net", contact);
    let flow = Flow { socket: SocketId(1), peer: PHONE.parse().unwrap(), transport: Transport::Tcp };
    lab.shard.handle(lab.now, Input::Datagram { flow, bytes: text.as_bytes() });
    lab.drain();
    let asked = lab.requests(Method::Register, FIRST)[0].clone();
    lab.shard.handle(lab.now, Input::Broken { flow, fault: TransportFault::Broken });
    lab.drain();
    lab.comes(FIRST, &answer(&asked, "200 OK", "Expires: 300\r\n"));
    assert_eq!((lab.shard.view().registered, lab.count("registrar_left"), lab.count("registrar_accepted")), (0, 1, 0));
}

/// RFC 3428: texts go as calls do. The PBX writes to the Contact it was given, a phone writes by the flow it registered from; what the PBX
/// did not manage in time is no 408 to the phone (RFC 4320 §4.2), and its challenge is the phone's to answer.
#[test]
fn texts_go_to_the_phone_that_is_meant_and_from_phones_to_the_pbx() {
    let mut lab = Lab::new();
    lab.register("201", PHONE, ";expires=600");
    let contact = lab.contact("201");
    let text = lab.text("MESSAGE", &contact, ("1", SECOND), &contact, "");
    lab.comes(SECOND, &text);
    let came = lab.requests(Method::Message, PHONE)[0].clone();
    assert_eq!(came.uri(), b"sip:201@10.0.0.5:5060");
    lab.comes(PHONE, &answer(&came, "200 OK", ""));
    assert_eq!(lab.told(0, SECOND).status(), Some(200));
    let gone = lab.text("MESSAGE", "sip:201~00000000@192.0.2.10", ("1", FIRST), "sip:201@x", "");
    lab.comes(FIRST, &gone);
    assert_eq!(lab.told(0, FIRST).status(), Some(480), "no other phone gets it in the place of one that has gone");
    for (says, lines, hears) in [("401 Who", CHALLENGE, 401), ("408 Late", "", 504), ("200 OK", "", 200)] {
        let before = lab.sent.len();
        let text = lab.text("MESSAGE", "sip:202@example.net", ("201", PHONE), "sip:202@example.net", "");
        lab.comes(PHONE, &text);
        let mut at = before;
        while at < lab.sent.len() {
            let (_, to, asked) = lab.sent[at].clone();
            at += 1;
            if (to == FIRST || to == SECOND) && asked.is_request() && asked.method() == Method::Message {
                lab.comes(&to, &answer(&asked, says, lines));
            }
        }
        assert_eq!(lab.told(before, PHONE).status(), Some(hears), "{says}");
    }
    let text = lab.text("MESSAGE", "sip:202@example.net", ("203", OTHER), "sip:202@example.net", "");
    lab.comes(OTHER, &text);
    assert_eq!(lab.told(0, OTHER).status(), Some(403), "who has not registered writes to nobody");
}

/// A wrong password is refused by the PBX, and held against its sender here.
#[test]
fn guesses_at_the_pbx_are_offences_here() {
    let mut lab = Lab::new();
    lab.set(Mood::Says(403), Mood::Silent);
    for _ in 0..3 {
        let lines = "Contact: <sip:201@10.0.0.5>\r\nAuthorization: Digest username=\"201\"\r\n";
        let text = lab.text("REGISTER", "sip:example.net", ("201", "10.0.0.5:5060"), "sip:201@example.net", lines);
        lab.comes("203.0.113.66:5060", &text);
    }
    assert_eq!(lab.count("registrar_auth_failed"), 3);
}
