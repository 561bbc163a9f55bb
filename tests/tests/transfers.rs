//! An attended transfer on real sockets whose two calls lie in two shards: the parties hear each other's tone afterwards, the transferor is
//! out of both calls, and nothing is left of it.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{CallNo, Report};
use interop::agents::{agent, ended, expect, plays};
use interop::edge::{CONFIG, Edge};
use interop::{became_true, http, let_pass, namespace, wait_until};
use model::Span;
use node::lab::{LiveAgent, Order};
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const LIMIT: Duration = Duration::from_secs(30);

/// A PBX that is no more than its signalling: it places calls, joins them, and agrees to whatever it is asked.
struct Pbx {
    socket: UdpSocket,
    notified: Vec<String>,
    byes: u32,
    /// Via lines of what was asked, which a repeat has too.
    asked: BTreeSet<String>,
}

/// What names a call of the PBX, and where its requests go.
struct Dialog {
    call_id: String,
    tag: String,
    to: String,
    target: String,
}

impl Pbx {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.20:5060").expect("the office's address");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
        Self { socket, notified: Vec::new(), byes: 0, asked: BTreeSet::new() }
    }

    fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), LAN).expect("it leaves");
    }

    /// Takes what comes, answers what is asked, until `wanted` is there.
    fn hear<T>(&mut self, what: &str, wanted: impl Fn(&Self, &str) -> Option<T>) -> T {
        let mut found = None;
        let heard = became_true(LIMIT, || {
            while found.is_none() {
                let Some(text) = self.take() else { break };
                found = wanted(self, &text);
            }
            found.is_some()
        });
        assert!(heard, "waited in vain for {what}; notified {:?}", self.notified);
        found.expect("it is there")
    }

    /// The next message, answered when it asks for that.
    fn take(&mut self) -> Option<String> {
        let mut buffer = [0; 65_536];
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with("SIP/2.0") || text.starts_with("ACK") {
            return Some(text);
        }
        let echoed =
            |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
        let lines: Vec<_> = text.lines().filter(echoed).collect();
        self.send(&format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n")));
        if !self.asked.insert(lines.first().map_or_else(String::new, |via| (*via).to_owned())) {
            return Some(text);
        }
        self.byes += u32::from(text.starts_with("BYE"));
        if text.starts_with("NOTIFY") {
            self.notified.push(text.lines().last().unwrap_or_default().to_owned());
        }
        Some(text)
    }

    /// Calls a number and waits for the answer.
    fn call(&mut self, number: &str, call_id: &str) -> Dialog {
        let sdp =
            "v=0\r\no=- 1 1 IN IP4 127.0.0.20\r\ns=-\r\nc=IN IP4 127.0.0.20\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n";
        let to = format!("<sip:{number}@{LAN}>");
        let dialog = Dialog {
            call_id: call_id.to_owned(),
            tag: format!("t{call_id}"),
            to,
            target: format!("sip:{number}@{LAN}"),
        };
        let offer = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
        self.send(&request("INVITE", 1, &dialog, &offer));
        let answer = self.hear("an answer", |_, text| {
            let is_it = text.starts_with("SIP/2.0 200") && text.contains("CSeq: 1 INVITE") && text.contains(call_id);
            is_it.then(|| text.to_owned())
        });
        let line =
            |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).expect("a header").trim().to_owned();
        let target = line("Contact:").trim_matches(['<', '>']).to_owned();
        let dialog = Dialog { to: line("To:"), target, ..dialog };
        self.send(&request("ACK", 1, &dialog, "Content-Length: 0\r\n\r\n"));
        dialog
    }
}

fn request(method: &str, cseq: u32, dialog: &Dialog, rest: &str) -> String {
    let Dialog { call_id, tag, to, target } = dialog;
    format!(
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.20:5060;branch=z9hG4bK{call_id}{method}{cseq}\r\nMax-Forwards: 70\r\n\
         From: <sip:201@127.0.0.20>;tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:201@127.0.0.20:5060>\r\n{rest}"
    )
}

/// References of the calls there are: the first two digits name the shard.
fn calls() -> Vec<String> {
    let seen = http::get("/v1/calls");
    let list = seen.as_array().or_else(|| seen["calls"].as_array()).cloned().unwrap_or_default();
    list.iter().filter_map(|call| Some(call["call"].as_str()?.to_owned())).collect()
}

fn shards() -> Vec<String> {
    calls().iter().map(|call| call[..2].to_owned()).collect()
}

fn incoming(agent: &LiveAgent) -> CallNo {
    expect(agent, "a call", |report| if let Report::Incoming { call, .. } = report { Some(*call) } else { None })
}

/// RFC 5589 §7.3.
#[test]
fn the_parties_of_two_shards_hear_each_other_after_an_attended_transfer() {
    namespace::enter();
    let (acme, globex) = (agent("acme", 31, plays(440)), agent("globex", 32, plays(850)));
    let second = "[group.second]\ntiers = [[\"globex\"]]\nalone = true\n\n[[route]]\nfrom = [\"office\"]\nprefixes = [\"+4733\"]\nto = \"second\"\n\n[[route]]\nfrom = [\"office\"]";
    let edge = Edge::start_with(&CONFIG.replacen("[[route]]\nfrom = [\"office\"]", second, 1), &["--shards", "2"]);
    let mut pbx = Pbx::new();
    let first = pbx.call("+4722334455", "first");
    let stays = incoming(&acme);
    // By its Call-ID a call lies where it lies; one of a few lies elsewhere than the first.
    let mut tries = 0;
    let other = loop {
        let other = pbx.call("+4733445566", &format!("second{tries}"));
        incoming(&globex);
        wait_until("both calls are seen", LIMIT, || calls().len() == 2);
        if shards().windows(2).all(|two| two[0] != two[1]) {
            break other;
        }
        pbx.send(&request("BYE", 2, &other, "Content-Length: 0\r\n\r\n"));
        expect(&globex, "the end of one that lay beside the first", ended);
        wait_until("it is over", LIMIT, || calls().len() == 1);
        tries += 1;
    };
    let tag = other.to.rsplit("tag=").next().expect("a tag");
    let name = format!("{}%3Bto-tag%3D{tag}%3Bfrom-tag%3D{}", other.call_id, other.tag);
    let refer_to = format!("Refer-To: <sip:+4733445566@{LAN}?Replaces={name}>\r\nContent-Length: 0\r\n\r\n");
    pbx.send(&request("REFER", 2, &first, &refer_to));
    pbx.hear("both BYEs", |pbx, _| (pbx.byes == 2).then_some(()));
    assert_eq!(pbx.notified, ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    assert_eq!(http::metric("throughline_call_transfers_apart_total"), 1.0, "{}", edge.log());
    let mut halves = calls();
    halves.sort();
    assert_eq!(shards().len(), 2, "each shard has its half: {halves:?}");
    let_pass(Duration::from_millis(1_500));
    acme.order(Order::HangUp(stays));
    for (who, heard, wanted) in
        [("acme", expect(&acme, "its end", ended), 850), ("globex", expect(&globex, "its end", ended), 440)]
    {
        assert_eq!(heard.tone_hz, Some(wanted), "{who}: {heard:?}");
        assert!(heard.tone_for >= Span::from_secs(1), "{who}: {heard:?}");
    }
    wait_until("calls and ports are given back", LIMIT, || {
        let (calls, _, ports) = edge.held();
        calls == 0.0 && ports == 0.0
    });
    // One story: each half names the other.
    let told = |half: &String| http::sentences(&format!("/v1/why/call/{half}")).join("\n");
    wait_until("both halves are recorded", LIMIT, || {
        halves.iter().all(|half| http::ask("GET", &format!("/v1/why/call/{half}")).is_some_and(|(code, _)| code == 200))
    });
    for (half, other) in [(&halves[0], &halves[1]), (&halves[1], &halves[0])] {
        assert!(told(half).contains(&format!("the other half is call {other}")), "{}", told(half));
    }
}
