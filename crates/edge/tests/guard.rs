//! A whole shard among strangers: they are kept out and told of, and the trunks' calls notice nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alone;

use alone::alone;
use edge::config::compile;
use edge::{Control, ControlInput, ControlOutput, Input, Notice, Output, Shard};
use explain::{Alarm, Record, ShutOutCause};
use model::{Instant, ShardId, SocketId, Span, Wall};
use sip::{Flow, Message, Transport};

const EXAMPLE: &str = "[listen.lan]\nsip = [\"udp:192.0.2.10:5060\"]\n[trunk.office]\nat = \"sip:192.0.2.20:5060\"\nlisten = \"lan\"\n\
    [trunk.acme]\nat = \"sip:192.0.2.30:5060\"\nlisten = \"lan\"\n[group.carriers]\ntiers = [[\"acme\"]]\n\
    [[route]]\nfrom = [\"office\"]\nto = \"carriers\"\n";
const STRANGER: &str = "203.0.113.9:5060";

struct Bench {
    control: Control,
    shard: Shard,
    sent: Vec<(String, Message)>,
    notices: Vec<Notice>,
    ended: Vec<explain::CallRecord>,
    closed: Vec<Flow>,
}

impl Bench {
    fn new(more: &str) -> Self {
        Self::of(&format!("{EXAMPLE}{more}"))
    }

    fn of(text: &str) -> Self {
        let (control, shard) = alone(text);
        Self { control, shard, sent: Vec::new(), notices: Vec::new(), ended: Vec::new(), closed: Vec::new() }
    }

    fn comes(&mut self, ms: u64, from: &str, text: &str) {
        self.comes_by(Transport::Udp, ms, from, text);
    }

    fn comes_by(&mut self, transport: Transport, ms: u64, from: &str, text: &str) {
        let flow = Flow { socket: SocketId(0), peer: from.parse().unwrap(), transport };
        let now = Instant::ZERO + Span::from_millis(ms);
        self.shard.handle(now, Input::Datagram { flow, bytes: text.as_bytes() });
        while let Some(output) = self.shard.poll() {
            match output {
                Output::Datagram(transmit) => {
                    self.sent.push((transmit.flow.peer.to_string(), Message::parse(transmit.bytes).unwrap()));
                }
                Output::Notice(notice) => self.notices.push(notice),
                Output::Ended(record) => self.ended.push(*record),
                Output::Close(flow) => self.closed.push(flow),
                _ => {}
            }
        }
    }

    fn count(&self, name: &str) -> u64 {
        self.shard.view().counters.iter().find(|(known, _)| known == name).unwrap().1
    }

    fn answers(&self, to: &str) -> Vec<u16> {
        self.sent.iter().filter(|(peer, _)| peer == to).filter_map(|(_, message)| message.status()).collect()
    }
}

fn request(method: &str, from: &str, call_id: &str, extra: &str) -> String {
    format!(
        "{method} sip:+4722@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bK{call_id}\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:+4722@192.0.2.10>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\nContact: <sip:a@{from}>\r\nMax-Forwards: 70\r\n{extra}\
         Content-Length: 0\r\n\r\n"
    )
}

/// A scanner hears nothing from its first word on, and the operator is told once; an honest stranger is refused.
#[test]
fn a_scanner_is_shut_out_and_told_of() {
    let mut bench = Bench::new("");
    bench.comes(0, STRANGER, &request("OPTIONS", STRANGER, "a", "User-Agent: friendly-scanner\r\n"));
    for n in 0..100 {
        bench.comes(n, STRANGER, &request("INVITE", STRANGER, &format!("b{n}"), ""));
    }
    assert_eq!(bench.answers(STRANGER), [0; 0]);
    assert_eq!((bench.count("guard_banned"), bench.count("guard_shut_out")), (100, 1));
    assert_eq!((bench.count("sip_received"), bench.shard.view().guarded.len()), (0, 1));
    let told = bench.notices.remove(0);
    assert!(matches!(&told, Notice::ShutOut { cause: ShutOutCause::Scanner, .. }), "{told:?}");
    bench.control.handle(Instant::ZERO, Wall::from_micros(0), ControlInput::Notice(told));
    let written = std::iter::from_fn(|| bench.control.poll()).find_map(|output| match output {
        ControlOutput::Entry(entry) => match &entry.record {
            Record::Alarm(alarm) if matches!(alarm.what, Alarm::SourceShutOut { .. }) => {
                Some(explain::sentence(&entry))
            }
            _ => None,
        },
        _ => None,
    });
    let wanted = "source 203.0.113.9 is shut out for 5 min: its software calls itself a scanner";
    assert!(written.as_ref().is_some_and(|said| said.contains(wanted)), "{written:?}");
    bench.comes(200, "203.0.113.10:5060", &request("OPTIONS", "203.0.113.10:5060", "c", ""));
    assert_eq!(bench.answers("203.0.113.10:5060"), [403]);
}

/// A connection is let in like a datagram, message by message; that of somebody who is shut out is ended.
#[test]
fn the_connection_of_a_scanner_is_ended() {
    let mut bench = Bench::new("");
    bench.comes_by(Transport::Tcp, 0, "203.0.113.10:40000", &request("OPTIONS", "203.0.113.10:40000", "a", ""));
    assert_eq!((bench.answers("203.0.113.10:40000"), bench.closed.len()), (vec![403], 0), "an honest stranger");
    let scans = |n: u64| request("OPTIONS", STRANGER, &format!("b{n}"), "User-Agent: friendly-scanner\r\n");
    for (n, peer) in [(0, STRANGER), (1, "203.0.113.9:40001")] {
        bench.comes_by(Transport::Tcp, n, peer, &scans(n));
    }
    let closed: Vec<String> = bench.closed.iter().map(|flow| flow.peer.to_string()).collect();
    assert_eq!(closed, [STRANGER, "203.0.113.9:40001"], "and the next one he opens");
    assert_eq!((bench.count("guard_scanners"), bench.count("guard_banned")), (1, 1));
}

/// What is no SIP, or broken SIP, is dropped and counted; its source is shut out. The same from a trunk is answered for ever.
#[test]
fn broken_messages_shut_out_strangers_and_no_trunk() {
    let mut bench = Bench::new("[guard]\nmalformed = 10\n");
    for from in [STRANGER, "192.0.2.20:5060"] {
        for n in 0..50 {
            let text = request("INVITE", from, &format!("m{n}"), "").replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia");
            bench.comes(n, from, &text);
        }
    }
    assert_eq!((bench.answers(STRANGER).len(), bench.answers("192.0.2.20:5060").len()), (10, 50));
    assert_eq!((bench.count("guard_banned"), bench.notices.len()), (40, 1));
}

/// The route of a flood: whatever strangers send, a trunk is served as if they were not there.
#[test]
fn a_trunk_is_served_whatever_strangers_send() {
    let mut bench = Bench::new("[guard]\nanswers = 5\n");
    for n in 0..20_000_u64 {
        let from = format!("198.51.{}.{}:5060", n / 200 % 200, n % 200);
        bench.comes(n / 20, &from, &request("INVITE", &from, &format!("s{n}"), ""));
        if n % 1_000 == 0 {
            bench.comes(n / 20, "192.0.2.20:5060", &request("OPTIONS", "192.0.2.20:5060", &format!("o{n}"), ""));
        }
    }
    assert_eq!(bench.answers("192.0.2.20:5060"), [200; 20]);
    let to_strangers = bench.sent.iter().filter(|(peer, _)| peer.starts_with("198.51.")).count();
    assert!(to_strangers <= 2 * 10, "100 and 403 to each of at most ten: {to_strangers}");
    assert!(bench.shard.view().transactions <= 64, "what is dropped holds nothing");
}

/// RFC 3261 §26.1.4: who speaks inside a call that is not his is told of, and shut out when he goes on.
#[test]
fn whoever_speaks_inside_foreign_calls_is_told_of() {
    let mut bench = Bench::new("[guard]\nfailures = 3\n");
    bench.comes(0, "192.0.2.20:5060", &request("INVITE", "192.0.2.20:5060", "call", ""));
    let tag = {
        let ok = |message: &&(String, Message)| message.0.starts_with("192.0.2.30") && message.1.is_request();
        let invite = bench.sent.iter().find(ok).expect("an attempt").1.clone();
        let ringing = format!(
            "SIP/2.0 180 Ringing\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=c\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\nContact: <sip:c@192.0.2.30>\r\n\r\n",
            String::from_utf8_lossy(invite.header(sip::HeaderName::Via).unwrap()),
            String::from_utf8_lossy(invite.header(sip::HeaderName::From).unwrap()),
            String::from_utf8_lossy(invite.header(sip::HeaderName::To).unwrap()),
            String::from_utf8_lossy(invite.call_id()),
        );
        bench.comes(10, "203.0.113.77:5060", &ringing);
        assert_eq!(bench.count("sip_foreign_responses"), 1, "nor does a stranger answer for the carrier");
        bench.comes(10, "192.0.2.30:5060", &ringing);
        let told = bench.sent.iter().rev().find(|(_, message)| message.status() == Some(180)).expect("it rings");
        String::from_utf8(told.1.to().tag().unwrap().to_vec()).unwrap()
    };
    for n in 0..5_u64 {
        let bye = request("BYE", STRANGER, "call", "")
            .replace("branch=z9hG4bKcall", &format!("branch=z9hG4bKf{n}"))
            .replace("To: <sip:+4722@192.0.2.10>", &format!("To: <sip:+4722@192.0.2.10>;tag={tag}"));
        bench.comes(20 + n, STRANGER, &bye);
    }
    assert_eq!(bench.answers(STRANGER), [481, 481, 481], "then he is shut out");
    assert_eq!(bench.count("call_foreign_requests"), 3);
    let told = |notice: &&Notice| matches!(notice, Notice::Foreign { source } if source.to_string() == STRANGER);
    assert_eq!(bench.notices.iter().filter(told).count(), 3);
    assert!(bench.notices.iter().any(|one| matches!(one, Notice::ShutOut { cause: ShutOutCause::Failures, .. })));
}

/// The password of a trunk is in nothing that leaves the edge or is shown: packets, records, sentences, views, debug prints.
#[test]
fn a_secret_is_in_nothing_that_is_shown() {
    const SECRET: &str = "sesame77-open";
    let auth = format!("at = \"sip:192.0.2.30:5060\"\nauth = {{ user = \"u1001\", secret = \"{SECRET}\" }}");
    let text = EXAMPLE.replace("at = \"sip:192.0.2.30:5060\"", &auth);
    let compiled = compile(&text, "edge.toml", &|_| None, None);
    let mut shown = format!("{compiled:?}") + &edge::config::render(&compiled.faults, &text, "edge.toml");
    let mut bench = Bench::of(&text);
    bench.comes(0, "192.0.2.20:5060", &request("INVITE", "192.0.2.20:5060", "call", ""));
    let mut asked = 0;
    for round in 0..3_u64 {
        let sent = bench
            .sent
            .iter()
            .rev()
            .find(|(peer, one)| peer == "192.0.2.30:5060" && one.method() == sip::Method::Invite);
        let invite = sent.expect("an INVITE").1.clone();
        asked += u32::from(invite.header(sip::HeaderName::Authorization).is_some());
        let line = |name| String::from_utf8_lossy(invite.header(name).unwrap()).into_owned();
        use sip::HeaderName::{CSeq, CallId, From, To, Via};
        let refusal = format!(
            "SIP/2.0 401 Unauthorized\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=c\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             WWW-Authenticate: Digest realm=\"acme\", nonce=\"{round}\", qop=\"auth\"\r\n\r\n",
            line(Via),
            line(From),
            line(To),
            line(CallId),
            line(CSeq),
        );
        bench.comes(10 + round, "192.0.2.30:5060", &refusal);
    }
    assert!(asked > 0, "it was used");
    let told = bench.notices.iter().any(|one| matches!(one, Notice::CredentialsRefused { code: 401, .. }));
    assert!(told, "{:?}", bench.notices);
    for notice in core::mem::take(&mut bench.notices) {
        bench.control.handle(Instant::ZERO, Wall::from_micros(0), ControlInput::Notice(notice));
    }
    for record in core::mem::take(&mut bench.ended) {
        bench.control.handle(Instant::ZERO, Wall::from_micros(0), ControlInput::Ended(Box::new(record)));
    }
    while let Some(output) = bench.control.poll() {
        shown += &format!("{output:?}");
        if let ControlOutput::Entry(entry) = &output {
            shown += &explain::sentence(entry);
        }
    }
    assert!(shown.contains("refuses our credentials with 401"), "{shown}");
    shown +=
        &format!("{:?}{:?}{:?}", bench.shard.view(), bench.control.view(Instant::ZERO, &[]), bench.control.snapshot());
    shown.extend(bench.sent.iter().map(|(_, message)| String::from_utf8_lossy(message.bytes()).into_owned()));
    assert!(!shown.contains(SECRET) && shown.contains("u1001"));
}

/// What shards say to each other passes no guard, so that nothing from a socket may be taken for it, whoever let it in.
#[test]
fn nothing_from_a_socket_is_taken_for_another_shards_word() {
    let mut bench = Bench::new("");
    let flow = Flow::to_shard(ShardId(1));
    let text = request("INVITE", "192.0.0.8:2", "a", "Replaces: x;to-tag=1;from-tag=2\r\n");
    for input in [Input::Datagram { flow, bytes: text.as_bytes() }, Input::Passed { flow, bytes: text.as_bytes() }] {
        bench.shard.handle(Instant::ZERO, input);
        assert!(bench.shard.poll().is_none(), "it is not even answered");
    }
    assert_eq!((bench.count("sip_forged_ways"), bench.count("sip_received")), (2, 0));
    // By its own way the same is another shard's: there is no such call, it goes nowhere, and only that shard hears of it.
    bench.shard.handle(Instant::ZERO, Input::Between { from: ShardId(1), bytes: text.as_bytes() });
    let answers: Vec<_> = std::iter::from_fn(|| bench.shard.poll()).collect();
    let mut codes = answers.iter().filter_map(|output| match output {
        Output::Between { to: ShardId(1), transmit } => Message::parse(transmit.bytes.clone()).unwrap().status(),
        Output::Datagram(_) => panic!("it leaves the edge: {output:?}"),
        _ => None,
    });
    assert_eq!(codes.next_back(), Some(400), "it does not say who asks");
}
