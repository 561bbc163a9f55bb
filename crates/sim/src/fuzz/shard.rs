//! The body of the fuzz target `shard`: a whole shard among a PBX, a carrier and a stranger who may be a phone, who do what the script says.
//!
//! Tags and branches of ours cannot be guessed by changing bytes, so peers of the script can also answer what we have sent and speak
//! inside the dialogs we are in: what lies behind an answered call is reached too. Nor can a digest: the phone knows its password, so that what
//! lies behind the challenge, Contacts and Paths of bindings, is reached as well. Refuses to know: who makes the script.

use crate::variety::Variety;
use core::net::SocketAddr;
use edge::config::{Settings, compile, render, users};
use edge::{Control, Input, Output, Shard, ShardConfig, ShardLimits, Snapshot};
use media::{Component, Packet, PairId};
use model::{Instant, ListenId, Seq, ShardId, SocketId, Span, TransportFault, Wall};
use sip::auth::{Credentials, Session, Signed};
use sip::{Flow, HeaderName, Message, Method, Transport};
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

/// Calls and transactions the fuzzed shard may hold.
const LIMITS: (usize, usize) = (32, 256);
/// Phones' addresses that it may hold.
const ADDRESSES: usize = 16;
/// Messages of ours that the peers remember.
const REMEMBERED: usize = 8;
/// A day, after which no call is left.
const DAY: Span = Span::from_secs(86_400);

const CODES: [u16; 32] = [
    100, 180, 183, 200, 200, 180, 183, 200, 202, 300, 301, 302, 400, 401, 403, 404, 407, 408, 415, 420, 422, 423, 480,
    481, 486, 488, 491, 500, 503, 504, 600, 603,
];
const METHODS: [&str; 16] = [
    "ACK",
    "BYE",
    "INVITE",
    "UPDATE",
    "PRACK",
    "REFER",
    "INFO",
    "CANCEL",
    "ACK",
    "INVITE",
    "NOTIFY",
    "OPTIONS",
    "MESSAGE",
    "SUBSCRIBE",
    "REGISTER",
    "PUBLISH",
];

/// What the town lacks: a registrar with one user, and calls to him.
const PHONES: &str = r#"
[trunk.phones]
at = "registered"
listen = "lan"

[group.phones]
tiers = [["phones"]]
alone = true

[[route]]
prefixes = ["20"]
to = "phones"

[[route]]
from = ["phones"]
to = "carriers"

[registrar]
listen = "lan"
realm = "town.example"
users = "users.csv"
"#;

/// Trunks and routes of the simulator's town, and phones: compiled once, since a fuzzer begins many thousand times a second.
#[allow(clippy::panic, reason = "a fuzz body that cannot begin has found a fault")]
static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| match settings() {
    Ok(settings) => {
        Arc::clone(Control::new(Instant::ZERO, Wall::from_micros(0), Arc::new(settings), 1, Seq(1)).snapshot())
    }
    Err(faults) => panic!("the simulator's configuration compiles:\n{faults}"),
});

fn settings() -> Result<Settings, String> {
    let text = format!("{}{PHONES}", Variety::plain().text(true));
    let compiled = compile(&text, "fuzz.toml", &|_| None, None);
    let mut settings = compiled.settings.ok_or_else(|| render(&compiled.faults, &text, "fuzz.toml"))?;
    let rules = settings.registrar.as_mut().ok_or("it has a registrar")?;
    users("201,password,hush\n", Arc::make_mut(rules)).map_err(|fault| format!("{fault:?}"))?;
    Ok(settings)
}

/// A whole shard: the bytes are a script of inputs. Never panics, never holds more than its limits, says nothing that is not SIP, and
/// has no call left a day later.
///
/// # Panics
/// When a property does not hold; that is what a fuzzer looks for.
pub fn shard(script: &[u8]) {
    run(script);
}

/// How far a script got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reached {
    /// Most calls that the shard held.
    pub(super) calls: u64,
    /// It sent a caller the answer of a callee.
    pub(super) answered: bool,
    /// Somebody was registered.
    pub(super) registered: bool,
}

/// Runs the script.
pub(super) fn run(script: &[u8]) -> Reached {
    let limits = ShardLimits { calls: LIMITS.0, transactions: LIMITS.1, pairs: 64, probes: 8, addresses: ADDRESSES };
    let config = ShardConfig { shard: ShardId(0), shards: 1, node: 1, key: 7, seed: 7, limits };
    let shard = Shard::new(&config, Arc::clone(&SNAPSHOT));
    let mut bench = Bench { shard, asked: VecDeque::new(), answered: VecDeque::new(), session: None };
    for listen in 0..2u16 {
        let rtp = |n: u16| SocketAddr::from(([10, 0, listen as u8, 1], 20_000 + 2 * n));
        let pairs = (0..16).map(|n| (PairId(u32::from(listen) * 16 + u32::from(n)), rtp(n))).collect();
        bench.shard.handle(Instant::ZERO, Input::Ports { listen: ListenId(listen), pairs });
    }
    let (mut now, mut rest, mut reached) = (Instant::ZERO, script, Reached::default());
    while let [kind, length, tail @ ..] = rest {
        let (chunk, next) = tail.split_at(usize::from(*length).saturating_mul(8).min(tail.len()));
        rest = next;
        now += Span::from_millis(u64::from(*kind) * 4);
        bench.step(now, *kind, chunk);
        reached = bench.drain(reached);
    }
    for _ in 0..3 {
        now += DAY;
        bench.shard.handle(now, Input::Tick);
        bench.drain(reached);
    }
    assert_eq!(bench.shard.view().calls, 0, "no call outlives its limits");
    reached
}

/// The phone's.
fn credentials() -> Credentials {
    Credentials { user: "201".into(), secret: "hush".into(), realm: None }
}

/// The shard and what its peers remember of what it said.
struct Bench {
    shard: Shard,
    /// Requests it has sent, the last one first.
    asked: VecDeque<(Flow, Message)>,
    /// Responses it has sent.
    answered: VecDeque<(Flow, Message)>,
    /// What the phone was challenged with last.
    session: Option<Session>,
}

impl Bench {
    fn step(&mut self, now: Instant, kind: u8, chunk: &[u8]) {
        // Mostly from the PBX and a carrier, so that more than admission is reached.
        let (socket, peer) = match kind % 3 {
            0 => (SocketId(0), SocketAddr::from(([10, 0, 0, 20], 5060))),
            1 => (SocketId(1), SocketAddr::from(([10, 0, 1, 31], 5060))),
            _ => (SocketId(0), SocketAddr::from(([192, 0, 2, 9], 5060))),
        };
        match kind % 8 {
            0 => self.shard.handle(now, Input::Tick),
            1 => {
                let fault = TransportFault::PortUnreachable;
                self.shard.handle(now, Input::Undeliverable { socket, peer, sent: chunk, fault });
            }
            2 => {
                let mut packet = chunk.to_vec();
                let component = if chunk.len().is_multiple_of(2) { Component::Rtp } else { Component::Rtcp };
                // Any verdict will do; that it is reached without harm is the point.
                let _verdict = self.shard.relay(
                    now,
                    PairId(u32::from(kind) / 8),
                    component,
                    peer,
                    &mut Packet::whole(&mut packet),
                );
            }
            3 if kind & 8 != 0 => self.phone(now, chunk),
            3 => self.shard.handle(now, Input::Look { ticket: u64::from(kind), call: None, after: None, most: 1_000 }),
            4 => self.hear(now, self.answer(chunk)),
            5 => self.hear(now, self.inside(chunk)),
            _ => {
                let flow = Flow { socket, peer, transport: Transport::Udp };
                self.shard.handle(now, Input::Datagram { flow, bytes: chunk });
            }
        }
    }

    /// Gives the shard what a peer has made of a chunk, if it could.
    fn hear(&mut self, now: Instant, said: Option<(Flow, Vec<u8>)>) {
        if let Some((flow, bytes)) = said {
            self.shard.handle(now, Input::Datagram { flow, bytes: &bytes });
        }
    }

    /// The phone registers by UDP or a connection, or its connection ends, as the first byte says; the rest are lines of its REGISTER. What it
    /// was challenged with is answered.
    fn phone(&mut self, now: Instant, chunk: &[u8]) {
        let Some(([how], lines)) = chunk.split_first_chunk() else { return };
        let transport = if how & 1 == 0 { Transport::Udp } else { Transport::Tcp };
        let peer = SocketAddr::from(([192, 0, 2, 9], 5060 + u16::from(how >> 1 & 3)));
        let flow = Flow { socket: SocketId(0), peer, transport };
        if how & 0x80 != 0 {
            return self.shard.handle(now, Input::Broken { flow, fault: TransportFault::Broken });
        }
        let signed = Signed { method: "REGISTER", uri: b"sip:10.0.0.1", body: b"" };
        let line = self.session.as_mut().map(|session| session.sign(&credentials(), &signed)).unwrap_or_default();
        let number = now.since(Instant::ZERO).as_millis();
        let via = if how & 1 == 0 { "UDP" } else { "TCP" };
        let mut bytes = format!(
            "REGISTER sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{via} {peer};rport;branch=z9hG4bKr{number}\r\nFrom: <sip:201@10.0.0.1>;tag=r\r\n\
             To: <sip:201@10.0.0.1>\r\nCall-ID: r\r\nCSeq: {} REGISTER\r\n",
            1 + number % 1_000_000
        )
        .into_bytes();
        for part in [&line[..], if line.is_empty() { b"" } else { b"\r\n" }, lines] {
            bytes.extend_from_slice(part);
        }
        self.shard.handle(now, Input::Datagram { flow, bytes: &bytes });
    }

    /// A response to a request of ours: code, which request, which fork; then lines of its own.
    fn answer(&self, chunk: &[u8]) -> Option<(Flow, Vec<u8>)> {
        let ([code, which, fork], lines) = chunk.split_first_chunk()?;
        let (flow, request) = self.asked.get(usize::from(*which))?;
        let mut bytes = format!("SIP/2.0 {} Any\r\n", CODES[usize::from(*code) % CODES.len()]).into_bytes();
        for header in request.headers() {
            match header.name {
                HeaderName::To if request.to().tag().is_none() => {
                    bytes.extend_from_slice(header.line.trim_ascii_end());
                    bytes.extend_from_slice(format!(";tag=f{}\r\n", fork % 3).as_bytes());
                }
                HeaderName::Via | HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq => {
                    bytes.extend_from_slice(header.line);
                }
                _ => {}
            }
        }
        bytes.extend_from_slice(format!("Contact: <sip:f@{}>\r\n", flow.peer).as_bytes());
        bytes.extend_from_slice(lines);
        Some((*flow, bytes))
    }

    /// A request inside a dialog of ours: method and side, which dialog, how far its CSeq goes on; then lines of its own.
    fn inside(&self, chunk: &[u8]) -> Option<(Flow, Vec<u8>)> {
        let ([method, which, further], lines) = chunk.split_first_chunk()?;
        let callee = method & 0x80 != 0;
        let (flow, known) = if callee { &self.asked } else { &self.answered }.get(usize::from(*which))?;
        let (from, mut to) = (known.header(HeaderName::From)?, known.header(HeaderName::To)?.to_vec());
        if known.to().tag().is_none() {
            to.extend_from_slice(format!(";tag=f{}", further / 64 % 3).as_bytes());
        }
        let (local, remote) = if callee { (&to[..], from) } else { (from, &to[..]) };
        let uri = known.contact().map_or(&b"sip:x@10.0.0.1"[..], |contact| contact.uri);
        let name = METHODS[usize::from(*method) % METHODS.len()];
        let number = known.cseq().number.saturating_add(u32::from(further % 4));
        // A CANCEL has the branch of what it cancels (RFC 3261 §9.1).
        let branch = match known.via().branch() {
            Some(branch) if name == "CANCEL" => branch.to_vec(),
            _ => format!("z9hG4bK{number}{name}{further}").into_bytes(),
        };
        let (number, peer) = (number.to_string(), flow.peer.to_string());
        let mut bytes = Vec::with_capacity(512 + lines.len());
        for part in [
            name.as_bytes(),
            b" ",
            uri,
            b" SIP/2.0\r\nVia: SIP/2.0/UDP ",
            peer.as_bytes(),
            b";branch=",
            &branch,
            b"\r\nMax-Forwards: 70\r\nFrom: ",
            local,
            b"\r\nTo: ",
            remote,
            b"\r\nCall-ID: ",
            known.call_id(),
            b"\r\nCSeq: ",
            number.as_bytes(),
            b" ",
            name.as_bytes(),
            b"\r\nContact: <sip:f@",
            peer.as_bytes(),
            b">\r\n",
            lines,
        ] {
            bytes.extend_from_slice(part);
        }
        Some((*flow, bytes))
    }

    /// Takes what it says.
    fn drain(&mut self, mut reached: Reached) -> Reached {
        while let Some(output) = self.shard.poll() {
            let Output::Datagram(transmit) = output else { continue };
            // The answer to what cannot be read quotes it, faults and all.
            let refusals: [&[u8]; 2] = [b"SIP/2.0 4", b"SIP/2.0 505"];
            let quotes = refusals.iter().any(|start| transmit.bytes.starts_with(start));
            let sent = Message::parse(transmit.bytes.clone());
            assert!(quotes || sent.is_ok(), "{sent:?}: {}", transmit.bytes.escape_ascii());
            let Ok(sent) = sent else { continue };
            reached.answered |= sent.status() == Some(200) && sent.method() == Method::Invite;
            if sent.status() == Some(401) {
                let opened = Session::open(&sent, &credentials(), "c");
                self.session = opened.ok().and_then(|all| all.into_iter().next());
            }
            let side = if sent.is_request() { &mut self.asked } else { &mut self.answered };
            side.push_front((transmit.flow, sent));
            side.truncate(REMEMBERED);
        }
        let view = self.shard.view();
        assert!(view.calls <= LIMITS.0 as u64 && view.transactions <= LIMITS.1 as u64, "limits hold: {view:?}");
        assert!(view.registered <= ADDRESSES as u64, "limits hold: {view:?}");
        reached.calls = reached.calls.max(view.calls);
        reached.registered |= view.registered > 0;
        reached
    }
}
