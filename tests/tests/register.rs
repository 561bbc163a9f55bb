//! Registrations on real sockets: phones at the edge, over a restart of it too, and the edge at a carrier that refuses and then does not.
#![allow(clippy::expect_used)]

use interop::edge::Edge;
use interop::sipp::Sipp;
use interop::{http, namespace, wait_until};
use sip::Message;
use sip::auth::{Credentials, Session, Signed};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const LAN: &str = "127.0.0.10:5060";

const PHONES: &str = r#"
[edge]
data = "DATA"
[listen.lan]
sip = ["udp:127.0.0.10:5060"]
media = "127.0.0.10:20000-20099"
[trunk.office]
at = "sip:127.0.0.20:5060"
listen = "lan"
[trunk.phones]
at = "registered"
listen = "lan"
[group.phones]
tiers = [["phones"]]
alone = true
[group.office]
tiers = [["office"]]
alone = true
[[route]]
from = ["office"]
to = "phones"
[[route]]
from = ["phones"]
to = "office"
[registrar]
listen = "lan"
realm = "example.net"
algorithms = ["MD5"]
users = "users.csv"
"#;

/// A phone at `ip`: SIPp registers as this user by digest.
fn register(ip: &str, user: &str, secret: &str) -> bool {
    let mut phone = Sipp::registering(ip, LAN, (user, secret));
    phone.finished(Duration::from_secs(20))
}

fn phones() -> std::path::PathBuf {
    let name = format!("throughline-register-{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("users.csv"), "201,password,hush\ncaller,password,hush\n").expect("users");
    folder
}

#[test]
fn a_phone_registers_is_called_calls_and_outlives_a_restart() {
    namespace::enter();
    let folder = phones();
    let mut edge = Edge::start_in(folder.clone(), PHONES);
    assert!(!register("127.0.0.50", "201", "wrong"), "a wrong password is refused");
    let call = |ip: &str| Sipp::caller("caller_brief", ip, LAN, "201", 1, 1).finished(LIMIT);
    let unbound = Sipp::caller("caller_expects_480", "127.0.0.20", LAN, "201", 1, 1).finished(LIMIT);
    assert!(unbound, "nobody has registered");
    // The caller of our scenarios calls himself so; a phone may have several lines.
    assert!(register("127.0.0.50", "201", "hush") && register("127.0.0.50", "caller", "hush"));
    let phone = Sipp::server("server", "127.0.0.50");
    assert!(call("127.0.0.20"), "from the office to the phone");
    drop(phone);
    let office = Sipp::server("server", "127.0.0.20");
    assert!(call("127.0.0.50"), "from the phone, known by its flow");
    drop(office);
    edge.signal(libc::SIGTERM);
    assert_eq!(edge.ended(LIMIT), Some(0));
    let edge = Edge::start_in(folder, PHONES);
    let _phone = Sipp::server("server", "127.0.0.50");
    assert!(call("127.0.0.20"), "what was bound before the restart is bound after it: {}", edge.log());
}

/// Strangers hear nothing but who registers, and three hundred phones that come from one address within a second are no attack; one who
/// tries passwords is, until an operator forgives him.
#[test]
fn a_house_of_phones_is_served_and_a_guesser_is_shut_out() {
    namespace::enter();
    let guarded = format!("{PHONES}[guard]\nstrangers = \"silent\"\nanswers = 1\nrequests = 20\nfailures = 3\n");
    let edge = Edge::start_in(phones(), &guarded);
    let mut house = Sipp::house("127.0.0.51", LAN, ("201", "hush"), 300);
    assert!(house.finished(LIMIT), "{:?}", house.counts());
    assert_eq!(http::metric("throughline_guard_shut_out_total"), 0.0);
    for _ in 0..3 {
        assert!(!register("127.0.0.52", "201", "wrong"));
    }
    wait_until("he is shut out", LIMIT, || http::metric("throughline_guard_shut_out_total") >= 1.0);
    wait_until("and told of", LIMIT, || http::get("/v1/alarms").to_string().contains("source_shut_out"));
    assert!(register("127.0.0.51", "201", "hush"), "the house is served as ever");
    let phone = Sipp::server("server", "127.0.0.51");
    assert!(Sipp::caller("caller_brief", "127.0.0.20", LAN, "201", 1, 1).finished(LIMIT));
    drop(phone);
    let (shown, _) = edge.command(&["guard"]);
    let line = shown.lines().find(|line| line.starts_with("127.0.0.52 "));
    assert!(line.is_some_and(|line| line.contains("shut out: wrong passwords")), "{shown}");
    assert!(edge.command(&["guard", "forgive", "127.0.0.52"]).1);
    wait_until("he is forgiven", LIMIT, || http::metric("throughline_guard_forgiven_total") >= 1.0);
    assert!(register("127.0.0.52", "201", "hush"), "and heard again");
}

/// A phone by a connection: whatever its Contact says, it is called by the connection it has registered by.
#[test]
fn a_phone_by_tcp_is_reached_by_its_own_connection() {
    namespace::enter();
    let text = PHONES.replace("\"udp:127.0.0.10:5060\"", "\"udp:127.0.0.10:5060\", \"tcp:127.0.0.10:5060\"");
    let _edge = Edge::start_in(phones(), &text);
    let elsewhere = TcpListener::bind("127.0.0.51:5070").expect("where its Contact says");
    let mut phone = TcpStream::connect(LAN).expect("the edge listens");
    phone.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let from = phone.local_addr().expect("its own address");
    let register = |cseq: u32, line: &str| {
        format!(
            "REGISTER sip:example.net SIP/2.0\r\nVia: SIP/2.0/TCP {from};branch=z9hG4bKr{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:201@example.net>;tag=1\r\nTo: <sip:201@example.net>\r\nCall-ID: tcp\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:201@127.0.0.51:5070;transport=tcp>\r\nExpires: 300\r\n{line}Content-Length: 0\r\n\r\n"
        )
    };
    phone.write_all(register(1, "").as_bytes()).expect("sent");
    let challenge = heard(&mut phone);
    assert_eq!(challenge.status(), Some(401));
    let credentials = Credentials { user: "201".to_owned(), secret: "hush".into(), realm: None };
    let signed = Signed { method: "REGISTER", uri: b"sip:example.net", body: b"" };
    let line = Session::open(&challenge, &credentials, "c").expect("a challenge")[0].sign(&credentials, &signed);
    let line = format!("{}\r\n", String::from_utf8(line).expect("text"));
    phone.write_all(register(2, &line).as_bytes()).expect("sent");
    assert_eq!(heard(&mut phone).status(), Some(200));
    let _caller = Sipp::caller("caller_brief", "127.0.0.20", LAN, "201", 1, 1);
    let invite = heard(&mut phone);
    assert_eq!((invite.method(), invite.uri()), (sip::Method::Invite, &b"sip:201@127.0.0.51:5070;transport=tcp"[..]));
    // RFC 5626 §5.3: when that connection is dead there is no other way to it.
    drop(phone);
    wait_until("it is forgotten", LIMIT, || http::metric("throughline_registrar_broken_total") >= 1.0);
    elsewhere.set_nonblocking(true).expect("a look");
    assert!(elsewhere.accept().is_err(), "nobody is sought where its Contact says");
}

/// The next message of a connection, whole.
fn heard(stream: &mut TcpStream) -> Message {
    let mut bytes = Vec::new();
    let mut one = [0; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut one).expect("the edge speaks");
        bytes.push(one[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("its body");
    bytes.extend(body);
    Message::parse(bytes).expect("SIP")
}

const BEHIND: &str = r#"
[edge]
data = "DATA"
[listen.lan]
sip = ["udp:127.0.0.10:5060"]
media = "127.0.0.10:20000-20099"
[trunk.pbx]
at = ["sip:127.0.0.21:5060", "sip:127.0.0.22:5060"]
listen = "lan"
probe = { on = false }
[trunk.phones]
at = "registered"
listen = "lan"
[group.phones]
tiers = [["phones"]]
alone = true
[[route]]
from = ["pbx"]
to = "phones"
[registrar]
listen = "lan"
realm = "example.net"
behind = "pbx"
"#;

/// A phone registers through the edge at a PBX of two addresses. The first goes away, and the second is registered at; it calls the phone
/// by the Contact it was given, also after a restart of the edge.
#[test]
fn a_phone_registers_through_the_edge_and_the_second_address_of_the_pbx_serves() {
    namespace::enter();
    let folder = phones();
    let mut edge = Edge::start_in(folder.clone(), BEHIND);
    let socket = |address: &str| {
        let socket = UdpSocket::bind(address).expect("an address");
        socket.set_read_timeout(Some(LIMIT)).expect("a timeout");
        socket
    };
    let (first, second, phone) = (socket("127.0.0.21:5060"), socket("127.0.0.22:5060"), socket("127.0.0.50:5060"));
    let register = |cseq: u32, line: &str| {
        let text = format!(
            "REGISTER sip:example.net SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5060;rport;branch=z9hG4bKr{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:201@example.net>;tag=1\r\nTo: <sip:201@example.net>\r\nCall-ID: behind\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:201@10.0.0.5:5060>\r\nExpires: 600\r\n{line}Content-Length: 0\r\n\r\n"
        );
        phone.send_to(text.as_bytes(), LAN).expect("sent");
    };
    register(1, "");
    replied(
        &first,
        "401 Unauthorized",
        "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n",
    );
    let challenge = datagram(&phone);
    assert_eq!(challenge.status(), Some(401));
    let credentials = Credentials { user: "201".to_owned(), secret: "hush".into(), realm: None };
    let signed = Signed { method: "REGISTER", uri: b"sip:example.net", body: b"" };
    let line = Session::open(&challenge, &credentials, "c").expect("a challenge")[0].sign(&credentials, &signed);
    let line = format!("{}\r\n", String::from_utf8(line).expect("text"));
    register(2, &line);
    let asked = replied(&first, "200 OK", "Expires: 300\r\n");
    assert!(asked.headers().any(|header| header.line.trim_ascii_end() == line.trim_end().as_bytes()));
    assert_eq!(datagram(&phone).status(), Some(200));
    // Whoever is asked after this is not there.
    drop(first);
    register(3, &line);
    let contact = asked.contact().expect("a Contact").uri.to_vec();
    let asked = replied(&second, "200 OK", "Expires: 300\r\n");
    assert_eq!(asked.contact().map(|contact| contact.uri), Some(&contact[..]));
    assert_eq!(datagram(&phone).status(), Some(200));
    wait_until("it is told", LIMIT, || http::get("/v1/alarms").to_string().contains("registrar_moved"));
    edge.signal(libc::SIGTERM);
    assert_eq!(edge.ended(LIMIT), Some(0));
    let _edge = Edge::start_in(folder, BEHIND);
    let contact = String::from_utf8(contact).expect("text");
    let invite = format!(
        "INVITE {contact} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.22:5060;branch=z9hG4bKi\r\nMax-Forwards: 70\r\n\
         From: <sip:1@pbx>;tag=1\r\nTo: <{contact}>\r\nCall-ID: back\r\nCSeq: 1 INVITE\r\nContact: <sip:1@127.0.0.22>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    second.send_to(invite.as_bytes(), LAN).expect("sent");
    let rung = datagram(&phone);
    assert_eq!((rung.method(), rung.uri()), (sip::Method::Invite, &b"sip:201@10.0.0.5:5060"[..]));
}

/// The next datagram.
fn datagram(socket: &UdpSocket) -> Message {
    let mut buffer = [0; 4_096];
    let (length, _) = socket.recv_from(&mut buffer).expect("the edge speaks");
    Message::parse(buffer[..length].to_vec()).expect("SIP")
}

/// The next request, which is answered.
fn replied(socket: &UdpSocket, status: &str, lines: &str) -> Message {
    let request = datagram(socket);
    let kept = ["Via", "From", "To", "Call-ID", "CSeq", "Contact"];
    let copied = request.headers().filter(|header| kept.iter().any(|name| header.line.starts_with(name.as_bytes())));
    let copied: String =
        copied.map(|header| String::from_utf8_lossy(header.line.trim_ascii_end()).into_owned() + "\r\n").collect();
    let answer = format!("SIP/2.0 {status}\r\n{copied}{lines}Content-Length: 0\r\n\r\n");
    socket.send_to(answer.as_bytes(), LAN).expect("sent");
    request
}

const CARRIER: &str = r#"
[listen.wan]
sip = ["udp:127.0.0.11:5060"]
media = "127.0.0.11:30000-30099"
[trunk.acme]
at = "sip:127.0.0.31:5060"
listen = "wan"
register = { user = "u1001", domain = "acme.example", retry = "1s", retry_max = "2s" }
[group.carriers]
tiers = [["acme"]]
alone = true
[[route]]
to = "carriers"
"#;

#[test]
fn a_carrier_that_refuses_is_registered_at_when_it_does_no_more() {
    namespace::enter();
    let (refuses, ended) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let socket = UdpSocket::bind("127.0.0.31:5060").expect("the carrier's address");
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    let carrier = {
        let (refuses, ended) = (refuses.clone(), ended.clone());
        let serve = move || serve(&socket, &refuses, &ended);
        std::thread::Builder::new().name("carrier".to_owned()).spawn(serve).expect("a thread")
    };
    let mut edge = Edge::start(CARRIER);
    let shown = |words: &str| edge.command(&["trunks"]).0.contains(words);
    wait_until("the refusal is shown", LIMIT, || shown("was refused with 403"));
    assert_eq!(http::metric("throughline_trunk_registered"), 0.0);
    wait_until("the alarm is raised", LIMIT, || http::get("/v1/alarms").to_string().contains("registration_lost"));
    refuses.store(false, Ordering::Relaxed);
    wait_until("it is registered", LIMIT, || shown("registered") && !shown("not registered"));
    assert_eq!(http::metric("throughline_trunk_registered"), 1.0);
    edge.signal(libc::SIGTERM);
    assert_eq!(edge.ended(LIMIT), Some(0));
    ended.store(true, Ordering::Relaxed);
    assert!(carrier.join().expect("the carrier"), "draining takes the registration back");
}

/// Answers REGISTERs until the end; whether one of them took the registration back.
fn serve(socket: &UdpSocket, refuses: &AtomicBool, ended: &AtomicBool) -> bool {
    let (mut buffer, mut left) = ([0; 4_096], false);
    while !ended.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let is_register = text.starts_with("REGISTER ");
        let good = !is_register || !refuses.load(Ordering::Relaxed);
        left |= is_register && good && text.contains("Expires: 0\r\n");
        let kept =
            |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:", "Contact:"].iter().any(|n| line.starts_with(n));
        let lines: Vec<&str> = text.lines().filter(kept).collect();
        let status = if good { "200 OK" } else { "403 Forbidden" };
        let answer = format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
        // Whoever asked may have ended.
        let _gone = socket.send_to(answer.as_bytes(), from);
    }
    left
}
