//! The edge, and calls through it that stay up: one caller, one carrier, both as small as SIP lets them be.

use super::load::{SIDES, Ways};
use super::{RELAY_AT, machine};
use interop::{http, wait_until};
use sip::{HeaderName, Message, Method};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const EDGE: &str = "127.0.0.10:5060";
const CALLER: &str = "127.0.0.20:5060";
const CARRIER: &str = "127.0.0.31:5060";
/// Between two calls: two hundred a second.
const BETWEEN: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(60);

/// Starts the edge on its processor, with one path for media, and waits until it is ready.
pub(crate) fn start_edge(path: &str) -> Child {
    let config = format!(
        "[edge]\nname = \"bench\"\nmedia_io = \"{path}\"\n\n[listen.all]\nsip = \"udp:{EDGE}\"\nmedia = \"127.0.0.10:20000-59999\"\n\n\
         [trunk.caller]\nat = \"sip:{CALLER}\"\nlisten = \"all\"\n\n[trunk.carrier]\nat = \"sip:{CARRIER}\"\nlisten = \"all\"\n\n\
         [group.carriers]\ntiers = [[\"carrier\"]]\nalone = true\n\n[[route]]\nfrom = [\"caller\"]\nto = \"carriers\"\n"
    );
    let file = std::env::temp_dir().join(format!("bench-media-{}.toml", std::process::id()));
    std::fs::write(&file, config).expect("a configuration file");
    let binary = std::env::var_os("THROUGHLINE_BIN").unwrap_or_else(|| "target/release/throughline".into());
    let mut command = Command::new(&binary);
    command.arg("run").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let process = machine::pinned(&mut command, RELAY_AT).spawn().expect("the edge starts; is it built?");
    wait_until("the edge is ready", LIMIT, || http::ask("GET", "/readyz").is_some_and(|(code, _)| code == 200));
    // It has been read.
    std::fs::remove_file(&file).expect("the file that was written");
    process
}

/// Sets calls up, and says where each side of each is to send its media.
pub(crate) fn establish(calls: usize) -> Ways {
    let caller = UdpSocket::bind(CALLER).expect("the caller's socket");
    let carrier = UdpSocket::bind(CARRIER).expect("the carrier's socket");
    let (offers, offered) = channel();
    let (answers, answered) = channel();
    let at = caller.try_clone().expect("a second handle");
    // They go on answering until the process ends.
    std::thread::spawn(move || {
        receive(&at, |message, from| {
            if message.status() == Some(200) && message.cseq().method == Method::Invite {
                at.send_to(ack(message).as_bytes(), from).expect("sent");
                answers.send((number(message), media(message))).expect("somebody waits");
            }
        });
    });
    std::thread::spawn(move || {
        receive(&carrier, |message, from| match message.method() {
            Method::Invite if message.is_request() => {
                carrier.send_to(response(message, SIDES[1]).as_bytes(), from).expect("sent");
                offers.send((number(message), media(message))).expect("somebody waits");
            }
            Method::Ack => {}
            _ if message.is_request() => {
                carrier.send_to(response(message, "").as_bytes(), from).expect("sent");
            }
            _ => {}
        });
    });
    // The carrier is found alive before the first call.
    wait_until("the carrier is up", LIMIT, || http::metric("throughline_epoch") > 0.0);
    for call in 0..calls {
        caller.send_to(invite(call).as_bytes(), EDGE).expect("sent");
        std::thread::sleep(BETWEEN);
    }
    let (offered, answered) = (collected(&offered, calls), collected(&answered, calls));
    answered.into_iter().zip(offered).map(|(answer, offer)| [answer, offer]).collect()
}

/// The address of each call, by its number.
fn collected(from: &Receiver<(usize, SocketAddr)>, calls: usize) -> Vec<SocketAddr> {
    let mut all: Vec<Option<SocketAddr>> = vec![None; calls];
    while all.iter().any(Option::is_none) {
        let (call, at) = from.recv_timeout(LIMIT).expect("every call is answered");
        all[call] = Some(at);
    }
    all.into_iter().flatten().collect()
}

fn receive(socket: &UdpSocket, mut each: impl FnMut(&Message, SocketAddr)) {
    let mut room = vec![0; 65_535];
    while let Ok((length, from)) = socket.recv_from(&mut room) {
        if let Ok(message) = Message::parse(room[..length].to_vec()) {
            each(&message, from);
        }
    }
}

/// The number of a call stands in the number that it calls.
fn number(message: &Message) -> usize {
    let text = String::from_utf8_lossy(message.header(HeaderName::To).unwrap_or_default()).into_owned();
    let digits = text.split("sip:+47").nth(1).and_then(|rest| rest.split('@').next()).unwrap_or_default();
    digits.parse().unwrap_or_else(|_| panic!("a number in {text}"))
}

fn media(message: &Message) -> SocketAddr {
    let text = String::from_utf8_lossy(message.body()).into_owned();
    let after = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default().to_owned();
    let port = after("m=audio ").split(' ').next().unwrap_or_default().to_owned();
    format!("{}:{port}", after("c=IN IP4 ")).parse().unwrap_or_else(|_| panic!("an address of media in {text}"))
}

fn sdp(at: &str) -> String {
    let (ip, port) = at.split_once(':').expect("an address");
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\na=ptime:20\r\n")
}

fn invite(call: usize) -> String {
    let body = sdp(SIDES[0]);
    format!(
        "INVITE sip:+47{call:08}@127.0.0.10 SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKi{call}\r\nMax-Forwards: 70\r\n\
         From: <sip:bench@127.0.0.20>;tag=c{call}\r\nTo: <sip:+47{call:08}@127.0.0.10>\r\nCall-ID: bench-{call}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:{CALLER}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn ack(answer: &Message) -> String {
    let call = number(answer);
    let header = |name| String::from_utf8_lossy(answer.header(name).unwrap_or_default()).into_owned();
    let contact = header(HeaderName::Contact);
    let target = contact.split(['<', '>']).nth(1).unwrap_or_default();
    format!(
        "ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKa{call}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
        header(HeaderName::From),
        header(HeaderName::To),
        header(HeaderName::CallId)
    )
}

/// 200, with a description of media at `at` if that is not empty.
fn response(request: &Message, at: &str) -> String {
    let header = |name| String::from_utf8_lossy(request.header(name).unwrap_or_default()).into_owned();
    let vias: Vec<String> =
        request.values(HeaderName::Via).map(|via| format!("Via: {}\r\n", String::from_utf8_lossy(via))).collect();
    let (to, body) = (header(HeaderName::To), if at.is_empty() { String::new() } else { sdp(at) });
    let tag = if to.contains(";tag=") { String::new() } else { format!(";tag=s{}", header(HeaderName::CallId).len()) };
    format!(
        "SIP/2.0 200 OK\r\n{}From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{CARRIER}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        vias.concat(),
        header(HeaderName::From),
        header(HeaderName::CallId),
        header(HeaderName::CSeq),
        body.len()
    )
}
