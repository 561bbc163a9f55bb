//! Trunks by TCP and TLS on real sockets: calls with audio, and what becomes of calls when a connection dies, a certificate
//! expires, a peer accepts and never answers.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{Behaviour, CallNo, Failing, Report};
use interop::agents::{agent, by_stream, dial, ended, expect, plays};
use interop::certificates::{Authority, Valid};
use interop::dns::{AT, NameServer};
use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, let_pass, namespace, wait_until};
use model::Span;
use node::lab::{LiveAgent, Order};
use sip::{Framer, Piece};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const LAN_TLS: &str = "127.0.0.10:5061";
const LIMIT: Duration = Duration::from_secs(60);

fn answered(report: &Report) -> Option<(CallNo, Span)> {
    match report {
        Report::Answered { call, after, .. } => Some((*call, *after)),
        _ => None,
    }
}

/// The usual configuration with the PBX and the carrier `acme` by TCP.
fn by_tcp() -> String {
    CONFIG
        .replace("\"udp:127.0.0.10:5060\"", "\"udp:127.0.0.10:5060\", \"tcp:127.0.0.10:5060\"")
        .replace("\"udp:127.0.0.11:5060\"", "\"udp:127.0.0.11:5060\", \"tcp:127.0.0.11:5060\"")
        .replace("sip:127.0.0.20:5060", "sip:127.0.0.20:5060;transport=tcp")
        .replace("sip:127.0.0.31:5060", "sip:127.0.0.31:5060;transport=tcp")
}

/// The same by TLS, with certificates of `authority` in the folder `files`.
fn by_tls(files: &str) -> String {
    let listen = format!("tls = {{ certificate = \"{files}/edge.pem\", key = \"{files}/edge.key\" }}\nmedia");
    let trunk =
        |ip: &str| format!("at = \"sips:{ip}\"\ntls = {{ trust = \"{files}/ca.pem\", name = \"sbc.acme.example\" }}");
    CONFIG
        .replace("\"udp:127.0.0.10:5060\"", "\"udp:127.0.0.10:5060\", \"tls:127.0.0.10:5061\"")
        .replace("\"udp:127.0.0.11:5060\"", "\"udp:127.0.0.11:5060\", \"tls:127.0.0.11:5061\"")
        .replace("media", &listen)
        .replace("at = \"sip:127.0.0.20:5060\"", &trunk("127.0.0.20"))
        .replace("at = \"sip:127.0.0.31:5060\"", &trunk("127.0.0.31"))
}

/// Both sides hear each other's tone; the call lasts two seconds.
fn talk(office: &LiveAgent, acme: &LiveAgent, to: &str) {
    office.order(dial(to, 1_300, Some(Span::from_secs(2))));
    let caller = expect(office, "the caller's end", ended);
    let callee = expect(acme, "the callee's end", ended);
    assert_eq!((caller.tone_hz, callee.tone_hz), (Some(440), Some(1_300)), "{caller:?} {callee:?}");
    assert!(caller.tone_for >= Span::from_secs(1) && callee.tone_for >= Span::from_secs(1), "{caller:?} {callee:?}");
}

fn rests(edge: &Edge) {
    wait_until("calls and ports are given back", LIMIT, || {
        let (calls, _, ports) = edge.held();
        calls == 0.0 && ports == 0.0
    });
}

#[test]
fn sipp_calls_sipp_by_tcp() {
    namespace::enter();
    let _acme = Sipp::server_by_tcp("server", "127.0.0.31");
    let edge = Edge::start(&by_tcp());
    let mut caller = Sipp::caller_by_tcp("caller", "127.0.0.20", LAN, "+4722334455", 20, 10);
    assert!(caller.finished(LIMIT), "{:?}\n{}\n{}", caller.counts(), caller.errors(), edge.log());
    rests(&edge);
}

#[test]
fn a_call_by_tcp_has_audio_both_ways() {
    namespace::enter();
    let office = by_stream("office", 20, None, plays(1_000));
    let acme = by_stream("acme", 31, None, plays(440));
    let edge = Edge::start(&by_tcp());
    talk(&office, &acme, LAN);
    rests(&edge);
}

#[test]
fn a_call_by_tls_has_audio_both_ways() {
    namespace::enter();
    let authority = Authority::new("tls-audio");
    let files = authority.folder();
    authority.issue("edge", "edge.example", Valid::Now);
    authority.issue("peer", "sbc.acme.example", Valid::Now);
    let office = by_stream("office", 20, Some(&authority.agent("peer")), plays(1_000));
    let acme = by_stream("acme", 31, Some(&authority.agent("peer")), plays(440));
    let edge = Edge::start(&by_tls(&files));
    talk(&office, &acme, LAN_TLS);
    rests(&edge);
}

/// Both connections die in the middle of a call: the audio goes on, the caller's re-INVITE and BYE come by a new one, and reach the carrier
/// by another.
fn outlives_its_connections(office: &LiveAgent, acme: &LiveAgent, to: &str, edge: &Edge) {
    office.order(dial(to, 1_300, None));
    let (call, _) = expect(office, "the answer", answered);
    let_pass(Duration::from_secs(1));
    office.order(Order::Cut);
    acme.order(Order::Cut);
    wait_until("the edge has moved the caller's leg", LIMIT, || http::metric("throughline_call_moved_total") >= 1.0);
    office.order(Order::Hold(call, false));
    let code = expect(office, "the answer to the re-INVITE", |report| match report {
        Report::Reinvited { code, .. } => Some(*code),
        _ => None,
    });
    assert_eq!(code, 200, "it has passed by both new connections");
    let_pass(Duration::from_secs(1));
    office.order(Order::HangUp(call));
    let (caller, callee) = (expect(office, "the caller's end", ended), expect(acme, "the callee's end", ended));
    assert_eq!((caller.tone_hz, callee.tone_hz), (Some(440), Some(1_300)), "{caller:?} {callee:?}");
    let gap = caller.longest_gap.max(callee.longest_gap);
    assert!(gap < Span::from_millis(500), "audio does not go by the connection: {caller:?} {callee:?}");
    rests(edge);
}

#[test]
fn a_live_call_by_tcp_outlives_its_connections() {
    namespace::enter();
    let office = by_stream("office", 20, None, plays(1_000));
    let acme = by_stream("acme", 31, None, plays(440));
    let edge = Edge::start(&by_tcp());
    outlives_its_connections(&office, &acme, LAN, &edge);
}

#[test]
fn a_live_call_by_tls_outlives_its_connections() {
    namespace::enter();
    let authority = Authority::new("tls-outlives");
    let files = authority.folder();
    authority.issue("edge", "edge.example", Valid::Now);
    authority.issue("peer", "sbc.acme.example", Valid::Now);
    let office = by_stream("office", 20, Some(&authority.agent("peer")), plays(1_000));
    let acme = by_stream("acme", 31, Some(&authority.agent("peer")), plays(440));
    let edge = Edge::start(&by_tls(&files));
    outlives_its_connections(&office, &acme, LAN_TLS, &edge);
}

/// The same, and the callee ends it: the edge's BYE finds the caller, whose connection is gone, at its Contact.
#[test]
fn a_caller_without_a_connection_is_found_at_its_contact() {
    namespace::enter();
    let office = by_stream("office", 20, None, plays(1_000));
    let acme = by_stream("acme", 31, None, Behaviour { hang_up_after: Some(Span::from_secs(4)), ..plays(440) });
    let edge = Edge::start(&by_tcp());
    office.order(dial(LAN, 1_300, None));
    expect(&office, "the answer", answered);
    office.order(Order::Cut);
    wait_until("the edge has moved the caller's leg", LIMIT, || http::metric("throughline_call_moved_total") >= 1.0);
    expect(&office, "the caller's end", ended);
    expect(&acme, "the callee's end", ended);
    rests(&edge);
}

/// The same, but the edge has not been told that the connection is gone: its BYE finds that out, and so of
/// the connection it has to the caller itself, and goes by a new one.
#[test]
fn a_bye_by_a_connection_that_was_dead_is_sent_once_more() {
    namespace::enter();
    let office = by_stream("office", 20, None, plays(1_000));
    let acme = by_stream("acme", 31, None, Behaviour { hang_up_after: Some(Span::from_secs(3)), ..plays(440) });
    let edge = Edge::start(&by_tcp());
    office.order(dial(LAN, 1_300, None));
    expect(&office, "the answer", answered);
    namespace::forget("127.0.0.20");
    office.order(Order::Cut);
    expect(&office, "the caller's end", ended);
    expect(&acme, "the callee's end", ended);
    assert!(http::metric("throughline_sip_asked_anew_total") >= 1.0, "{}", edge.log());
    rests(&edge);
}

/// A firewall has forgotten the connection to the carrier, and nobody is told: the BYE that goes by it is lost with it, and is sent once more
/// by a new one as soon as nothing of it is acknowledged.
#[test]
fn a_bye_by_a_forgotten_connection_is_sent_once_more() {
    namespace::enter();
    let office = by_stream("office", 20, None, plays(1_000));
    let acme = by_stream("acme", 31, None, plays(440));
    let edge = Edge::start(&format!("{}\n[streams]\npong = \"2s\"\n", by_tcp()));
    office.order(dial(LAN, 1_300, None));
    let (call, _) = expect(&office, "the answer", answered);
    namespace::forget_open("127.0.0.31");
    office.order(Order::HangUp(call));
    expect(&office, "the caller's end", ended);
    expect(&acme, "the callee's end", ended);
    assert!(http::metric("throughline_sip_asked_anew_total") >= 1.0, "{}", edge.log());
    rests(&edge);
}

/// A carrier closes the connection on the INVITE, as one that has restarted does: it is asked once more before its call goes elsewhere.
#[test]
fn an_invite_by_a_connection_that_dies_is_sent_once_more() {
    namespace::enter();
    let office = by_stream("office", 20, None, plays(1_000));
    let globex = agent("globex", 32, plays(850));
    let acme = TcpListener::bind("127.0.0.31:5060").expect("a free port");
    let twice = move || (serve_until_invited(&acme), serve_until_invited(&acme));
    let acme = std::thread::Builder::new().spawn(twice).expect("a thread");
    let edge = Edge::start(&by_tcp());
    wait_until("the trunk answers", LIMIT, || http::health("acme") == "up");
    office.order(dial(LAN, 1_300, Some(Span::from_secs(1))));
    let (first, second) = acme.join().expect("both INVITEs");
    assert_eq!(first, second, "the same request, to the letter");
    // It closed the second one too, and its port with it.
    assert_eq!(expect(&office, "the end", ended).tone_hz, Some(850), "{}", edge.log());
    expect(&globex, "the end", ended);
    assert!(http::metric("throughline_sip_asked_anew_total") >= 1.0);
    rests(&edge);
}

/// Takes one connection, answers OPTIONS on it, and closes it on an INVITE, which it returns.
fn serve_until_invited(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, mut framer) = (listener.accept().expect("a connection").0, Framer::default());
    let mut buffer = [0; 4_096];
    loop {
        while let Some(piece) = framer.piece().expect("a stream of SIP") {
            let Piece::Message(bytes) = piece else { continue };
            let text = String::from_utf8(bytes.clone()).expect("text");
            if text.starts_with("INVITE ") {
                return bytes;
            }
            let copied =
                |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
            let headers: Vec<&str> = text.lines().filter(copied).collect();
            let answer = format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"));
            stream.write_all(answer.as_bytes()).expect("sent");
        }
        let count = stream.read(&mut buffer).expect("a message");
        assert!(count > 0, "the edge keeps its connection");
        framer.push(&buffer[..count]);
    }
}

/// A carrier's process is killed and its port closed: calls go to the next carrier at once, and the trunk is taken out.
#[test]
fn a_tcp_trunk_that_is_killed_costs_no_call() {
    namespace::enter();
    let office = by_stream("office", 20, None, plays(1_000));
    let acme = by_stream("acme", 31, None, plays(440));
    let globex = agent("globex", 32, plays(850));
    let edge = Edge::start(&by_tcp());
    talk(&office, &acme, LAN);
    acme.order(Order::Behave(Behaviour { failing: Some(Failing::Closed), ..plays(440) }));
    for _ in 0..3 {
        office.order(dial(LAN, 1_300, Some(Span::from_secs(1))));
        let (_, after) = expect(&office, "the answer", answered);
        assert!(after < Span::from_secs(2), "refused at once, tried elsewhere at once: {after}");
        assert_eq!(expect(&office, "the end", ended).tone_hz, Some(850));
        expect(&globex, "the end", ended);
    }
    wait_until("the trunk is down", LIMIT, || http::health("acme") == "down");
    acme.order(Order::Behave(plays(440)));
    wait_until("the trunk is back", LIMIT, || http::health("acme") != "down");
    rests(&edge);
}

/// The office calls while acme is not well: globex answers in time and is heard, and acme is taken out.
fn goes_by_globex(office: &LiveAgent, globex: &LiveAgent, to: &str, within: Span, why: &str) {
    office.order(dial(to, 1_300, Some(Span::from_secs(1))));
    let (_, after) = expect(office, "the answer", answered);
    assert!(after < within, "{why}: {after}");
    assert_eq!(expect(office, "the end", ended).tone_hz, Some(850));
    expect(globex, "the end", ended);
    wait_until("the trunk is down", LIMIT, || http::health("acme") == "down");
}

/// A carrier accepts connections and says nothing on them: its callers wait for the first reply and no longer, as by UDP.
#[test]
fn a_tcp_trunk_that_never_answers_is_left_in_time() {
    namespace::enter();
    let office = by_stream("office", 20, None, plays(1_000));
    let acme = by_stream("acme", 31, None, plays(440));
    let globex = agent("globex", 32, plays(850));
    let edge = Edge::start(&by_tcp());
    talk(&office, &acme, LAN);
    acme.order(Order::Behave(Behaviour { failing: Some(Failing::Silent), ..plays(440) }));
    goes_by_globex(&office, &globex, LAN, Span::from_secs(4), "the first reply's deadline and no more");
    rests(&edge);
}

/// A carrier whose certificate has expired is not spoken to; its calls go elsewhere, and `why` says it in words.
#[test]
fn a_tls_trunk_with_an_expired_certificate_costs_no_call() {
    namespace::enter();
    let authority = Authority::new("tls-expired");
    let files = authority.folder();
    authority.issue("edge", "edge.example", Valid::Now);
    authority.issue("peer", "sbc.acme.example", Valid::Now);
    authority.issue("expired", "sbc.acme.example", Valid::NoMore);
    let office = by_stream("office", 20, Some(&authority.agent("peer")), plays(1_000));
    let _acme = by_stream("acme", 31, Some(&authority.agent("expired")), plays(440));
    let globex = agent("globex", 32, plays(850));
    let edge = Edge::start(&by_tls(&files));
    goes_by_globex(&office, &globex, LAN_TLS, Span::from_secs(3), "refused at once");
    let (why, good) = edge.command(&["why", "trunk", "acme"]);
    assert!(good && why.contains("certificate expired"), "{why}");
    rests(&edge);
}

/// A carrier accepts connections and never says a word of TLS: that is over within `connect`, and its calls go elsewhere.
#[test]
fn a_tls_trunk_that_never_speaks_is_left_in_time() {
    namespace::enter();
    let authority = Authority::new("tls-silent");
    let files = authority.folder();
    authority.issue("edge", "edge.example", Valid::Now);
    authority.issue("peer", "sbc.acme.example", Valid::Now);
    let office = by_stream("office", 20, Some(&authority.agent("peer")), plays(1_000));
    // The kernel accepts what nobody takes out of its queue.
    let _acme = TcpListener::bind("127.0.0.31:5061").expect("a free port");
    let globex = agent("globex", 32, plays(850));
    let edge = Edge::start(&by_tls(&files));
    goes_by_globex(&office, &globex, LAN_TLS, Span::from_secs(4), "the limit of a connection and no more");
    rests(&edge);
}

/// SIGHUP: whoever connects then sees the new certificate, and who is connected goes on by the old one.
#[test]
fn a_reload_takes_new_certificates_and_leaves_connections_alone() {
    namespace::enter();
    let (old, new) = (Authority::new("tls-old"), Authority::new("tls-new"));
    let (files, others) = (old.folder(), new.folder());
    old.issue("edge", "edge.example", Valid::Now);
    old.issue("peer", "sbc.acme.example", Valid::Now);
    new.issue("edge", "edge.example", Valid::Now);
    let config = by_tls(&files).replace("[trunk.acme]", "accept = [\"127.0.0.21\"]\n\n[trunk.acme]");
    let office = by_stream("office", 20, Some(&old.agent("peer")), plays(1_000));
    let acme = by_stream("acme", 31, Some(&old.agent("peer")), plays(440));
    let edge = Edge::start(&config);
    office.order(dial(LAN_TLS, 1_300, None));
    let (call, _) = expect(&office, "the answer", answered);
    for file in ["edge.pem", "edge.key"] {
        std::fs::copy(format!("{others}/{file}"), format!("{files}/{file}")).expect("a copied file");
    }
    edge.signal(libc::SIGHUP);
    wait_until("the reload is on record", LIMIT, || edge.log().contains("reload"));
    // It trusts the new authority alone, and so would not speak to an edge with the old certificate.
    let mut trust = old.agent("peer");
    trust.trust.trust = Some(format!("{others}/ca.pem"));
    let second = by_stream("second", 21, Some(&trust), plays(1_000));
    second.order(dial(LAN_TLS, 1_300, Some(Span::from_secs(1))));
    assert_eq!(expect(&second, "the end of the second call", ended).tone_hz, Some(440));
    expect(&acme, "the end of the second call", ended);
    assert!(http::metric("throughline_call_moved_total") == 0.0, "the first call is where it was");
    office.order(Order::HangUp(call));
    assert_eq!(expect(&acme, "the end of the first call", ended).tone_hz, Some(1_300));
    rests(&edge);
}

/// The carrier `acme` by the name `at`, asked of the test's name server.
fn by_name(config: &str, at: &str, tls: &str) -> String {
    let dns = format!("[dns]\nservers = [\"{AT}:53\"]\ntimeout = \"1s\"\nretry = \"1s\"\n\n[listen.lan]");
    let (before, rest) = config.split_once("[trunk.acme]").expect("the trunk");
    let (_, after) = rest.split_once("listen = ").expect("its listen");
    format!("{before}[trunk.acme]\nat = \"{at}\"\n{tls}listen = {after}").replacen("[listen.lan]", &dns, 1)
}

fn leads_to(count: usize) -> bool {
    let trunks = http::get("/v1/trunks");
    let acme = trunks["trunks"].as_array().and_then(|trunks| trunks.iter().find(|one| one["name"] == "acme").cloned());
    acme.and_then(|acme| acme["targets"].as_array().map(Vec::len)) == Some(count)
}

/// RFC 3263 §4.1, §4.2: SRV of TCP, by priority.
#[test]
fn a_name_leads_by_tcp() {
    namespace::enter();
    let _dns = NameServer::start(
        "_sip._tcp.acme SRV 10 0 5060 a\n_sip._tcp.acme SRV 20 0 5060 b\na A 127.0.0.31\nb A 127.0.0.33\n",
    );
    let office = by_stream("office", 20, None, plays(1_000));
    let (a, b) = (by_stream("a", 31, None, plays(440)), by_stream("b", 33, None, plays(620)));
    let edge = Edge::start(&by_name(&by_tcp(), "sip:acme.example;transport=tcp", ""));
    wait_until("the name leads to both hosts", LIMIT, || leads_to(2));
    talk(&office, &a, LAN);
    a.order(Order::Behave(Behaviour { failing: Some(Failing::Closed), ..plays(440) }));
    office.order(dial(LAN, 1_300, Some(Span::from_secs(1))));
    assert_eq!(expect(&office, "the end", ended).tone_hz, Some(620), "{}", edge.log());
    expect(&b, "the end", ended);
    rests(&edge);
}

/// NAPTR asks for TLS, and SRV leads to a host of another name.
const BY_TLS: &str = "acme NAPTR 10 10 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.acme\n\
                      _sips._tcp.acme SRV 10 0 5061 sbc\nsbc A 127.0.0.31\n";

/// A PBX by address, and the carrier by name with a certificate for `host`; who the edge is to both.
fn named(files: &str, authority: &Authority, host: &str) -> (LiveAgent, LiveAgent, Edge) {
    authority.issue("edge", "edge.example", Valid::Now);
    authority.issue("peer", "sbc.acme.example", Valid::Now);
    authority.issue("named", host, Valid::Now);
    let office = by_stream("office", 20, Some(&authority.agent("peer")), plays(1_000));
    let acme = by_stream("acme", 31, Some(&authority.agent("named")), plays(440));
    let trust = format!("tls = {{ trust = \"{files}/ca.pem\" }}\n");
    let edge = Edge::start(&by_name(&by_tls(files), "sip:acme.example", &trust));
    wait_until("the name leads to its host", LIMIT, || leads_to(1));
    (office, acme, edge)
}

/// The certificate is for the name that was asked for (RFC 5922 §7.2).
#[test]
fn a_name_leads_by_tls() {
    namespace::enter();
    let _dns = NameServer::start(BY_TLS);
    let authority = Authority::new("tls-name");
    let (office, acme, edge) = named(&authority.folder(), &authority, "acme.example");
    talk(&office, &acme, LAN_TLS);
    rests(&edge);
}

/// A certificate for the host that SRV leads to proves nothing: DNS is believed about where, and never about who.
#[test]
fn a_name_that_leads_to_another_host_by_tls_costs_no_call() {
    namespace::enter();
    let _dns = NameServer::start(BY_TLS);
    let authority = Authority::new("tls-led");
    let globex = agent("globex", 32, plays(850));
    let (office, _acme, edge) = named(&authority.folder(), &authority, "sbc.example");
    office.order(dial(LAN_TLS, 1_300, Some(Span::from_secs(1))));
    assert_eq!(expect(&office, "the end", ended).tone_hz, Some(850), "{}", edge.log());
    expect(&globex, "the end", ended);
    wait_until("the trunk is down", LIMIT, || http::health("acme") == "down");
    let (why, good) = edge.command(&["why", "trunk", "acme"]);
    assert!(good && why.contains("certificate of another host"), "{why}");
    rests(&edge);
}
