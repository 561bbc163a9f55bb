//! rtpengine in user space as the relay, asked for its sessions by its own control protocol: dictionaries in bencode, over UDP.

use super::load::{SIDES, Ways};
use super::{RELAY_AT, machine};
use interop::wait_until;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = "/usr/bin/rtpengine";
const ADDRESS: &str = "127.0.0.40";
const CONTROL: &str = "127.0.0.40:2223";
const LIMIT: Duration = Duration::from_secs(30);

/// Whether there is one to compare with.
pub(crate) fn is_installed() -> bool {
    Path::new(PROGRAM).exists()
}

/// Starts it on its processor: one thread for media, no kernel module.
pub(crate) fn start() -> Child {
    let mut command = Command::new(PROGRAM);
    command.args(["--foreground", "--log-stderr", "--log-level=3", "--table=-1", "--num-threads=1", "--timeout=600"]);
    command.args([
        "--port-min=20000",
        "--port-max=65000",
        &format!("--interface={ADDRESS}"),
        &format!("--listen-ng={CONTROL}"),
    ]);
    let folder = std::env::temp_dir().join(format!("bench-rtpengine-{}", std::process::id()));
    command.arg(format!("--pidfile={}", folder.display()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let process = machine::pinned(&mut command, RELAY_AT).spawn().expect("rtpengine starts");
    wait_until("rtpengine answers", LIMIT, || ask(&control(), "ping", "d7:command4:pinge").is_some());
    process
}

/// Sets so many sessions up, and says where each side of each is to send its media.
pub(crate) fn sessions(calls: usize) -> Ways {
    let control = control();
    let session = |call: usize| {
        let offer = ask(&control, &format!("o{call}"), &said("offer", call, SIDES[0])).expect("an answer to an offer");
        let answer =
            ask(&control, &format!("a{call}"), &said("answer", call, SIDES[1])).expect("an answer to an answer");
        [media(&answer), media(&offer)]
    };
    (0..calls).map(session).collect()
}

fn control() -> UdpSocket {
    let socket = UdpSocket::bind((ADDRESS, 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a limit");
    // Nobody there yet is found out by the first question.
    socket.connect(CONTROL).expect("an address");
    socket
}

fn ask(control: &UdpSocket, cookie: &str, dictionary: &str) -> Option<String> {
    control.send(format!("{cookie} {dictionary}").as_bytes()).ok()?;
    let mut room = vec![0; 65_535];
    let length = control.recv(&mut room).ok()?;
    String::from_utf8_lossy(&room[..length]).strip_prefix(&format!("{cookie} ")).map(str::to_owned)
}

/// One command about a session, its keys in the order of bencode.
fn said(command: &str, call: usize, at: &str) -> String {
    let (ip, port) = at.split_once(':').expect("an address");
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
    );
    let text = |text: &str| format!("{}:{text}", text.len());
    let mut pairs = vec![
        ("ICE", text("remove")),
        ("call-id", text(&format!("bench-{call}"))),
        ("command", text(command)),
        ("from-tag", text(&format!("f{call}"))),
        ("replace", format!("l{}{}e", text("origin"), text("session connection"))),
        ("sdp", text(&sdp)),
    ];
    if command == "answer" {
        pairs.push(("to-tag", text(&format!("t{call}"))));
    }
    pairs.push(("transport-protocol", text("RTP/AVP")));
    format!("d{}e", pairs.iter().map(|(key, value)| text(key) + value).collect::<String>())
}

fn media(reply: &str) -> SocketAddr {
    let after = |start: &str| {
        reply.split(start).nth(1).and_then(|rest| rest.split([' ', '\r', '\n']).next()).unwrap_or_default()
    };
    let at = format!("{}:{}", after("c=IN IP4 "), after("m=audio "));
    at.parse().unwrap_or_else(|_| panic!("an address of media in {reply}"))
}
