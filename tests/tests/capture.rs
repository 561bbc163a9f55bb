//! What was said in a call, from the built edge: as a file of pcap by the command, read back here packet by packet.
#![allow(clippy::expect_used, clippy::panic)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, journal, namespace, wait_until};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const OFFICE: &str = "127.0.0.20";
const ACME: &str = "127.0.0.31";
const GLOBEX: &str = "127.0.0.32";
const LIMIT: Duration = Duration::from_secs(100);
/// Of `server_sdes`.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5";

/// A message, out of a packet of a file or of HEP3.
#[derive(Debug, PartialEq)]
struct Packet {
    micros: u64,
    from: SocketAddr,
    to: SocketAddr,
    text: String,
}

impl Packet {
    /// Method or code, and which way between the edge and the one at `ip`; none when it is of another leg.
    fn on_leg(&self, ip: &str) -> Option<String> {
        let mut words = self.text.split(' ');
        let first = words.next().expect("a word");
        let word = if first == "SIP/2.0" { words.next().expect("a code") } else { first };
        let is = |address: SocketAddr| address.ip().to_string() == ip;
        match (is(self.from), is(self.to)) {
            (true, false) => Some(format!("> {word}")),
            (false, true) => Some(format!("< {word}")),
            _ => None,
        }
    }
}

fn address(ip: &[u8], port: &[u8]) -> SocketAddr {
    let ip: [u8; 4] = ip.try_into().expect("four bytes");
    SocketAddr::from((Ipv4Addr::from(ip), u16::from_be_bytes([port[0], port[1]])))
}

/// UDP over IPv4 behind no other header, in a file of pcap of little-endian microseconds.
fn packets(mut file: &[u8]) -> Vec<Packet> {
    fn number(bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
    let head = file.split_off(..24).expect("a head");
    assert_eq!((number(&head[..4]), number(&head[20..])), (0xa1b2_c3d4, 101), "a file of pcap, link type RAW");
    let mut found = Vec::new();
    while let Some(record) = file.split_off(..16) {
        let packet = file.split_off(..number(&record[8..12]) as usize).expect("a whole packet");
        let (ip, udp) = packet.split_at(20);
        assert_eq!((ip[0], ip[9], usize::from(u16::from_be_bytes([udp[4], udp[5]]))), (0x45, 17, udp.len()));
        found.push(Packet {
            micros: number(&record[..4]) * 1_000_000 + number(&record[4..8]),
            from: address(&ip[12..16], &udp[..2]),
            to: address(&ip[16..20], &udp[2..4]),
            text: String::from_utf8(udp[8..].to_vec()).expect("SIP in text"),
        });
    }
    assert!(file.is_empty());
    found
}

/// The message of a packet of HEP3 by UDP over IPv4, and whose it is said to be.
fn heard(packet: &[u8]) -> (Packet, Option<String>) {
    let short = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    assert_eq!((&packet[..4], short(4)), (&b"HEP3"[..], packet.len()));
    let (mut at, mut chunks) = (6, BTreeMap::new());
    while at < packet.len() {
        assert_eq!(short(at), 0, "a generic chunk");
        let end = at + short(at + 4);
        assert!(chunks.insert(short(at + 2), &packet[at + 6..end]).is_none(), "each chunk once");
        at = end;
    }
    let number = |kind: usize| chunks[&kind].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    assert_eq!([1, 2, 11, 12].map(number), [2, 17, 1, 7], "IPv4, UDP, SIP, the agent's number");
    assert_eq!(chunks[&14], b"geheim");
    let text = |kind: usize| chunks.get(&kind).map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"));
    let message = Packet {
        micros: number(9) * 1_000_000 + number(10),
        from: address(chunks[&3], chunks[&7]),
        to: address(chunks[&4], chunks[&8]),
        text: text(15).expect("a payload"),
    };
    (message, text(17))
}

fn leg(packets: &[Packet], ip: &str) -> Vec<String> {
    packets.iter().filter_map(|packet| packet.on_leg(ip)).collect()
}

/// Keys of descriptions, in the order of the packets.
fn keys(packets: &[Packet]) -> Vec<String> {
    let lines = packets.iter().flat_map(|packet| packet.text.lines()).filter(|line| line.starts_with("a=crypto:"));
    let keys = lines.filter_map(|line| line.split_once("inline:")?.1.split('|').next());
    keys.map(str::to_owned).collect()
}

/// The reference of the one call that is over.
fn recorded() -> String {
    wait_until("the call is on record", LIMIT, || !journal::calls().is_empty());
    journal::calls()[0]["call"].as_str().expect("a reference").to_owned()
}

/// Plain audio from the office; acme refuses, globex takes the call and secures its side.
#[test]
fn a_call_is_read_back_with_both_legs_and_all_attempts_and_without_keys() {
    namespace::enter();
    let _acme = Sipp::server("server_503", ACME);
    let _globex = Sipp::server("server_sdes", GLOBEX);
    let secured = CONFIG.replace("[trunk.globex]\n", "[trunk.globex]\nsrtp = \"sdes\"\n");
    let edge = Edge::start(&secured);
    let file = edge.folder().join("call.pcap");
    let path = file.to_str().expect("a path in text");
    let mut caller = Sipp::caller("caller", OFFICE, LAN, "+4722334455", 1, 1);
    let up = || http::get("/v1/calls")["calls"].as_array().and_then(|calls| Some(calls.first()?.clone()));
    wait_until("the call is answered", LIMIT, || up().is_some_and(|call| call["state"] == "answered"));
    let call = up().expect("the call lasts two seconds")["call"].as_str().expect("a reference").to_owned();
    let (said, good) = edge.command(&["pcap", "call", &call, "-o", path]);
    assert!(good && said.contains("messages, 20"), "{said}");
    let live = packets(&std::fs::read(&file).expect("the file"));
    assert!(leg(&live, OFFICE).starts_with(&["> INVITE", "< 100", "< 180", "< 200"].map(str::to_owned)), "in progress");
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    assert_eq!(recorded(), call);

    let (said, good) = edge.command(&["pcap", "call", &call, "-o", path]);
    let all = packets(&std::fs::read(&file).expect("the file"));
    assert!(good && said.contains(&format!("{} messages, 20", all.len())) && !said.contains("no more"), "{said}");
    assert_eq!(leg(&all, OFFICE), ["> INVITE", "< 100", "< 180", "< 200", "> ACK", "> BYE", "< 200"]);
    assert_eq!(leg(&all, ACME), ["< INVITE", "> 503", "< ACK"]);
    assert_eq!(leg(&all, GLOBEX), ["< INVITE", "> 180", "> 200", "< ACK", "< BYE", "> 200"]);
    assert_eq!(all.len(), 7 + 3 + 6, "nothing but these: no audio, no probe");
    assert!(all.is_sorted_by_key(|packet| packet.micros));
    let lasted = all[all.len() - 1].micros - all[0].micros;
    assert!((2_000_000..100_000_000).contains(&lasted), "the caller talks for two seconds: {lasted} µs");
    let edges = [("127.0.0.10:5060", OFFICE), ("127.0.0.11:5060", ACME), ("127.0.0.11:5060", GLOBEX)];
    for (edge, other) in edges {
        let ends = |packet: &Packet| [packet.from, packet.to].map(|end| end.to_string());
        let of_leg = all.iter().filter(|packet| packet.on_leg(other).is_some());
        assert!(of_leg.map(ends).all(|ends| ends.contains(&edge.to_owned())), "{other} talks to {edge}");
    }
    let keys = keys(&all);
    assert!(
        keys.len() > 2 && keys.iter().any(|key| key.len() == KEY.len()),
        "an offer of several, an answer: {keys:?}"
    );
    assert!(keys.iter().all(|key| key.trim_end_matches('=').bytes().all(|byte| byte == b'X')), "{keys:?}");

    let (said, good) = edge.command(&["pcap", "call", "1", "-o", path]);
    assert!(!good && said.contains("there is no call 0000000000000001"), "{said}");
}

/// With little memory the first of many calls is gone, and without any there is nothing to ask for.
#[test]
fn what_is_kept_no_more_and_what_never_was_is_said() {
    namespace::enter();
    let _acme = Sipp::server("server", ACME);
    let _globex = Sipp::server("server", GLOBEX);
    let small = CONFIG.replace("[edge]", "[edge]\ncapture = \"64KiB\"");
    let edge = Edge::start(&small);
    let mut caller = Sipp::caller("caller", OFFICE, LAN, "+4722334455", 60, 20);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    let call = recorded();
    let (said, good) = edge.command(&["pcap", "call", &call, "-o", "-"]);
    assert!(!good && said.contains("is kept any more; ") && said.contains("larger `capture`"), "{said}");
    edge.rewrite(&small.replace("\"64KiB\"", "false"));
    let (said, good) = edge.command(&["reload"]);
    assert!(good, "{said}");
    let (said, good) = edge.command(&["pcap", "call", &call]);
    assert!(!good && said.contains("this edge keeps no messages; write `capture"), "{said}");
}

/// Another collector is followed by a reload. What it is told is what the file has, with one correlation for both legs and all attempts; probes have none.
#[test]
fn a_collector_is_told_the_same_as_it_passes() {
    namespace::enter();
    let [before, collector] = ["127.0.0.50:9061", "127.0.0.50:9060"].map(|at| {
        let socket = UdpSocket::bind(at).expect("the collector's socket");
        socket.set_read_timeout(Some(LIMIT)).expect("a timeout");
        socket
    });
    let _acme = Sipp::server("server_503", ACME);
    let _globex = Sipp::server("server_sdes", GLOBEX);
    let secured = CONFIG.replace("[trunk.globex]\n", "[trunk.globex]\nsrtp = \"sdes\"\n");
    let hep = "[hep]\nto = \"udp:127.0.0.50:9060\"\nid = 7\npassword = \"env:HEP\"\n";
    let with_hep = format!("{secured}{hep}");
    let edge = Edge::start_knowing(&with_hep.replace(":9060", ":9061"), &[("HEP", "geheim")]);
    let mut bytes = vec![0; 65_535];
    let (length, _) = before.recv_from(&mut bytes).expect("a packet");
    assert!(heard(&bytes[..length]).0.text.contains(" OPTIONS\r\n"), "a probe, to the collector of the start");
    edge.rewrite(&with_hep);
    let (said, good) = edge.command(&["reload"]);
    assert!(good, "{said}");
    assert_eq!(http::get("/v1/calls")["missing"], 0, "behind the reload each shard was asked this");
    let mut caller = Sipp::caller("caller", OFFICE, LAN, "+4722334455", 1, 1);
    let (mut told, mut others, mut byes) = (Vec::new(), Vec::new(), 0);
    while byes < 2 {
        let (length, _) = collector.recv_from(&mut bytes).expect("a packet");
        let (message, call) = heard(&bytes[..length]);
        byes += usize::from(message.text.starts_with("SIP/2.0 200") && message.text.contains(" BYE\r\n"));
        if call.is_some() { told.push((message, call)) } else { others.push(message) }
    }
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    let call = recorded();
    assert!(told.iter().all(|(_, of)| of.as_ref() == Some(&call)), "all of {call}");
    let told: Vec<Packet> = told.into_iter().map(|(message, _)| message).collect();
    assert_eq!(leg(&told, GLOBEX), ["< INVITE", "> 180", "> 200", "< ACK", "< BYE", "> 200"]);
    let file = edge.folder().join("call.pcap");
    let (said, good) = edge.command(&["pcap", "call", &call, "-o", file.to_str().expect("a path in text")]);
    assert!(good, "{said}");
    let kept = packets(&std::fs::read(&file).expect("the file"));
    let untimed = |all: &[Packet]| -> Vec<_> { all.iter().map(|one| (one.from, one.to, one.text.clone())).collect() };
    assert_eq!(untimed(&told), untimed(&kept));
    let apart = told.iter().zip(&kept).map(|(told, kept)| told.micros.abs_diff(kept.micros)).max();
    assert!(apart.is_some_and(|apart| apart < 1_000_000), "one clock: {apart:?} µs apart");
    assert!(others.iter().all(|other| other.text.contains(" OPTIONS\r\n")), "{others:?}");
    let sent = http::metric("throughline_hep_sent_total");
    assert!(sent >= (told.len() + others.len()) as f64 && http::metric("throughline_hep_full_total") == 0.0, "{sent}");
}
