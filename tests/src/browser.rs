//! A page that speaks SIP by WebSocket, without a browser around it: its messages are written out by hand, as pages write them (RFC 7118 §5).

use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

const LIMIT: Duration = Duration::from_secs(30);
/// Nobody can look this up, and nobody has to (RFC 7118 §5).
pub const HOST: &str = "df7jal23ls0d.invalid";

/// One page and its connection.
pub struct Page {
    socket: WebSocket<TcpStream>,
    call_id: String,
    /// Tag of whoever answered.
    to: String,
    /// Contact of whoever answered.
    target: String,
}

impl Page {
    /// Opens a WebSocket from this address as a page of `origin`.
    pub fn open(ip: Ipv4Addr, edge: &str, origin: &str) -> Self {
        let stream = connect(ip, edge.parse().expect("an address"));
        let mut request = format!("ws://{edge}/").into_client_request().expect("a request");
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
        request.headers_mut().insert("Origin", HeaderValue::from_str(origin).expect("an origin"));
        let (socket, _) = tungstenite::client(request, stream).expect("a WebSocket");
        let port = socket.get_ref().local_addr().expect("an address").port();
        Self { socket, call_id: format!("page-{port}"), to: String::new(), target: String::new() }
    }

    fn request(&mut self, method: &str, number: u32, branch: &str, body: &str) {
        let target = if self.target.is_empty() { "sip:+4722334455@edge.example" } else { &self.target };
        // No Content-Length: a message of WebSocket is whole by itself.
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/WS {HOST};branch=z9hG4bK{branch}-{}\r\nMax-Forwards: 70\r\n\
             From: <sip:page@edge.example>;tag=page\r\nTo: <sip:+4722334455@edge.example>{}\r\nCall-ID: {}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:page@{HOST};transport=ws>\r\n{kind}\r\n{body}",
            self.call_id, self.to, self.call_id
        );
        self.socket.send(Message::text(text)).expect("sent");
    }

    /// The next message whose first line has this in it.
    pub fn hears(&mut self, wanted: &str) -> String {
        loop {
            let message = self.socket.read().unwrap_or_else(|error| panic!("waited in vain for {wanted}: {error}"));
            if !message.is_text() && !message.is_binary() {
                continue;
            }
            let text = String::from_utf8_lossy(&message.into_data()).into_owned();
            let first = text.lines().next().unwrap_or_default();
            if first.contains(wanted) {
                return text;
            }
            assert!(!first.starts_with("SIP/2.0 4") && !first.starts_with("SIP/2.0 5"), "instead of {wanted}: {text}");
        }
    }

    /// Calls with an offer, and acknowledges the answer, which is returned.
    pub fn calls(&mut self, offer: &str) -> String {
        self.request("INVITE", 1, "invite", offer);
        let answer = self.hears("200 ");
        let to = header(&answer, "To");
        self.to = to.split_once(";tag=").map(|(_, tag)| format!(";tag={tag}")).expect("a tag");
        let contact = header(&answer, "Contact");
        self.target = contact.trim_start_matches('<').split('>').next().expect("a URI").to_owned();
        self.request("ACK", 1, "ack", "");
        answer
    }

    /// Ends its call.
    pub fn hangs_up(&mut self) {
        self.request("BYE", 2, "bye", "");
        self.hears("200 ");
    }

    /// Waits until the other side ends the call; the BYE is returned.
    pub fn is_hung_up_on(&mut self) -> String {
        let bye = self.hears("BYE ");
        let mut answer = String::from("SIP/2.0 200 OK\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            answer.push_str(&format!("{name}: {}\r\n", header(&bye, name)));
        }
        self.socket.send(Message::text(format!("{answer}\r\n"))).expect("sent");
        bye
    }
}

/// The first header of this name.
pub fn header(message: &str, name: &str) -> String {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {message}")).to_owned()
}

/// A connection of TCP from an address.
pub fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("bound");
    socket.connect(&to.into()).expect("connected");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    socket.into()
}
