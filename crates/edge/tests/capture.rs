//! What a shard keeps of what was said: whole calls on both legs, by their Call-IDs, nothing of whom the guard keeps out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alone;

use alone::alone;
use edge::{Captured, Input, Output, Shard};
use model::{CallRef, Instant, SocketId, Span};
use sip::capture::Passed;
use sip::{Flow, Transport};
use std::sync::Arc;

const OFFICE: &str = "192.0.2.20:5060";
const ACME: &str = "192.0.2.30:5060";

fn config(capture: &str) -> String {
    format!(
        "[edge]\ncapture = {capture}\n[listen.lan]\nsip = [\"udp:192.0.2.10:5060\"]\n[trunk.office]\nat = \"sip:{OFFICE}\"\nlisten = \"lan\"\n\
         [trunk.acme]\nat = \"sip:{ACME}\"\nlisten = \"lan\"\n[group.carriers]\ntiers = [[\"acme\"]]\n\
         [[route]]\nfrom = [\"office\"]\nto = \"carriers\"\n"
    )
}

struct Bench {
    shard: Shard,
    now: Instant,
    /// Messages that left, in order.
    sent: Vec<String>,
    ended: Vec<explain::CallRecord>,
    /// What a collector is told: first word, and whose it is.
    told: Vec<(String, Option<CallRef>)>,
}

impl Bench {
    fn new(capture: &str) -> Self {
        Self::of(&config(capture))
    }

    fn of(config: &str) -> Self {
        let (_, shard) = alone(config);
        Self { shard, now: Instant::ZERO, sent: Vec::new(), ended: Vec::new(), told: Vec::new() }
    }

    /// A millisecond later this comes by UDP.
    fn comes(&mut self, from: &str, text: &str) {
        self.now += Span::from_millis(1);
        let flow = Flow { socket: SocketId(0), peer: from.parse().unwrap(), transport: Transport::Udp };
        self.shard.handle(self.now, Input::Datagram { flow, bytes: text.as_bytes() });
        while let Some(output) = self.shard.poll() {
            match output {
                Output::Datagram(transmit) => self.sent.push(String::from_utf8(transmit.bytes).unwrap()),
                Output::Ended(record) => self.ended.push(*record),
                Output::Passed { passed, call } => self.told.push((way(&passed), call)),
                _ => {}
            }
        }
    }

    fn said(&mut self, call: CallRef, call_ids: &[&str]) -> Captured {
        let call_ids: Arc<[Vec<u8>]> = call_ids.iter().map(|id| id.as_bytes().to_vec()).collect();
        self.shard.handle(self.now, Input::Capture { ticket: 7, call, call_ids });
        let answer = std::iter::from_fn(|| self.shard.poll()).find_map(|output| match output {
            Output::Captured { ticket: 7, said } => Some(said),
            _ => None,
        });
        answer.expect("an answer")
    }

    fn live(&mut self) -> CallRef {
        self.shard.handle(self.now, Input::Look { ticket: 1, call: None, after: None, most: 9 });
        let calls = std::iter::from_fn(|| self.shard.poll()).find_map(|output| match output {
            Output::View { calls, .. } => Some(calls),
            _ => None,
        });
        calls.expect("a view").last().expect("a call").call
    }

    fn count(&self, name: &str) -> u64 {
        self.shard.view().counters.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// A call of the office that acme refuses with 486.
    fn refused(&mut self, call_id: &str) {
        self.comes(OFFICE, &request("INVITE", OFFICE, call_id, ""));
        let asked = self.sent.last().unwrap().clone();
        assert!(asked.starts_with("INVITE "), "{asked}");
        self.comes(ACME, &answer(&asked, "486 Busy Here"));
        let told = self.sent.last().unwrap().clone();
        assert!(told.starts_with("SIP/2.0 486"), "{told}");
        self.comes(OFFICE, &request("ACK", OFFICE, call_id, &format!(";tag={}", tag(&told))));
    }
}

fn request(method: &str, from: &str, call_id: &str, tag: &str) -> String {
    format!(
        "{method} sip:+4722@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bK{call_id}\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:+4722@192.0.2.10>{tag}\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\nContact: <sip:a@{from}>\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn lines(message: &str, name: &str) -> String {
    message.lines().filter(|line| line.starts_with(name)).map(|line| format!("{line}\r\n")).collect()
}

fn tag(message: &str) -> String {
    lines(message, "To:").split(";tag=").nth(1).unwrap().trim().to_owned()
}

fn answer(asked: &str, status: &str) -> String {
    let [via, from, to] = ["Via:", "From:", "To:"].map(|name| lines(asked, name));
    let [call_id, cseq] = ["Call-ID:", "CSeq:"].map(|name| lines(asked, name));
    format!("SIP/2.0 {status}\r\n{via}{from}{}\r\n;tag=9\r\n{call_id}{cseq}Content-Length: 0\r\n\r\n", to.trim_end())
        .replace("\r\n;tag=9", ";tag=9")
}

/// Method or code, and between whom.
fn way(one: &Passed<Vec<u8>>) -> String {
    let text = String::from_utf8_lossy(&one.bytes);
    let word = text.strip_prefix("SIP/2.0 ").unwrap_or(&text).split(' ').next().unwrap();
    let (from, to) = (one.from.to_string(), one.to.to_string());
    format!("{word} {}>{}", &from[8..10], &to[8..10])
}

fn first_lines(said: &Captured) -> Vec<String> {
    said.messages.iter().map(way).collect()
}

const WHOLE: [&str; 7] =
    ["INVITE 20>10", "100 10>20", "INVITE 10>30", "486 30>10", "ACK 10>30", "486 10>20", "ACK 20>10"];

/// In progress it is known to its shard, afterwards by the Call-IDs of its record.
#[test]
fn both_legs_of_a_call_are_kept_in_order() {
    let mut bench = Bench::new("\"64KiB\"");
    bench.comes(OFFICE, &request("INVITE", OFFICE, "one@office", ""));
    let call = bench.live();
    let said = bench.said(call, &[]);
    assert_eq!((said.live, said.begins, said.left_off), (true, true, 0));
    assert_eq!(first_lines(&said), WHOLE[..3]);
    let asked = bench.sent.last().unwrap().clone();
    bench.comes(ACME, &answer(&asked, "486 Busy Here"));
    let told = bench.sent.last().unwrap().clone();
    bench.comes(OFFICE, &request("ACK", OFFICE, "one@office", &format!(";tag={}", tag(&told))));
    bench.refused("two@office");
    let record = bench.ended.remove(0);
    assert_eq!(record.call, call);
    let said = bench.said(call, &[&record.call_id, &record.attempts[0].call_id]);
    assert_eq!((said.live, said.begins), (false, true));
    assert_eq!(first_lines(&said), WHOLE);
    assert!(said.messages.is_sorted_by_key(|message| message.at));
    assert_eq!(said.messages[0].bytes, request("INVITE", OFFICE, "one@office", "").into_bytes());
    assert_eq!(bench.said(call, &[]), Captured::default(), "nobody has told its Call-IDs, and it is over");
}

/// The beginning makes room first, and that is told; in the end nothing is left.
#[test]
fn what_made_room_is_missed() {
    let mut bench = Bench::new("\"64KiB\"");
    bench.refused("one@office");
    let record = bench.ended.remove(0);
    let ids = [record.call_id.as_str(), record.attempts[0].call_id.as_str()];
    let mut kept = WHOLE.len();
    for more in 0..100 {
        let said = bench.said(record.call, &ids);
        assert!(said.messages.len() <= kept, "what is gone comes not back");
        kept = said.messages.len();
        assert_eq!(first_lines(&said), WHOLE[WHOLE.len() - kept..], "the youngest stay");
        assert_eq!(said.begins, kept == WHOLE.len());
        bench.refused(&format!("more-{more}@office"));
    }
    assert_eq!(kept, 0);
}

#[test]
fn what_the_guard_drops_and_what_is_of_no_call_is_not_kept() {
    let mut bench = Bench::new("\"64KiB\"");
    let scan =
        request("INVITE", "203.0.113.9:5060", "scan", "").replace("Max-", "User-Agent: friendly-scanner\r\nMax-");
    bench.comes("203.0.113.9:5060", &scan);
    bench.comes(OFFICE, &request("OPTIONS", OFFICE, "ping@office", ""));
    assert_eq!((bench.sent.len(), bench.count("capture_kept")), (1, 0), "an answer to OPTIONS");
    bench.refused("one@office");
    assert_eq!((bench.count("capture_kept"), bench.count("capture_unfit")), (WHOLE.len() as u64, 0));
}

#[test]
fn it_can_be_switched_off() {
    let mut bench = Bench::new("false");
    bench.refused("one@office");
    let record = bench.ended.remove(0);
    assert_eq!(bench.said(record.call, &[&record.call_id]), Captured::default());
    assert_eq!(bench.count("capture_kept"), 0);
}

/// Both legs bear one reference, from the INVITE that makes the call to the ACK after its end; what is of no call bears none.
#[test]
fn a_collector_is_told_everything_and_whose_it_is() {
    let hep = config("false") + "[hep]\nto = \"udp:192.0.2.60:9060\"\n";
    let mut bench = Bench::of(&hep);
    bench.refused("zero@office");
    bench.comes(OFFICE, &request("ACK", OFFICE, "zero@office", ";tag=1"));
    assert!(bench.told.last().is_some_and(|(_, call)| call.is_some()), "a moment after its end");
    (bench.told, bench.ended) = (Vec::new(), Vec::new());
    bench.refused("one@office");
    let one = bench.ended.remove(0).call;
    let told: Vec<&str> = bench.told.iter().map(|(way, _)| way.as_str()).collect();
    assert_eq!(told, WHOLE);
    assert!(bench.told.iter().all(|(_, call)| *call == Some(one)), "{:?}", bench.told);
    bench.told.clear();
    bench.comes(OFFICE, &request("OPTIONS", OFFICE, "ping@office", ""));
    assert_eq!(bench.told, [("OPTIONS 20>10".to_owned(), None), ("200 10>20".to_owned(), None)]);
    // Again by the same Call-ID, as after a challenge: it is the later call's, and stays so when the first one is forgotten.
    bench.told.clear();
    let again = |method: &str| {
        let first = request(method, OFFICE, "one@office", "");
        first.replace("z9hG4bKone", "z9hG4bKtwo").replace("CSeq: 1", "CSeq: 2")
    };
    bench.comes(OFFICE, &again("INVITE"));
    let two = bench.live();
    bench.now += Span::from_secs(40);
    bench.refused("three@office");
    bench.comes(OFFICE, &again("CANCEL"));
    let (_, call) = bench.told.iter().rfind(|(way, _)| way == "CANCEL 20>10").unwrap();
    assert_eq!(*call, Some(two));
    // What comes so late is of no call any more.
    bench.comes(OFFICE, &request("ACK", OFFICE, "zero@office", ";tag=1"));
    assert_eq!(bench.told.last(), Some(&("ACK 20>10".to_owned(), None)));
    assert_ne!(one, two);
}

#[test]
fn nobody_is_told_where_there_is_no_collector() {
    let mut bench = Bench::new("\"64KiB\"");
    bench.refused("one@office");
    assert_eq!(bench.told, []);
}
