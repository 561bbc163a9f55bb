//! The WebSocket of a browser: the upgrade of HTTP (RFC 6455 §4.2), then one SIP message in each message (RFC 7118 §5).
//!
//! tungstenite speaks the protocol over a pipe of two buffers that are filled and emptied here, so it waits for nothing. It is a server
//! alone: nobody can connect to a browser. Refuses to know: sockets, TLS, deadlines, what a SIP message means.

use sip::Piece;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use tungstenite::Error;
use tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response, ServerHandshake};
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::http::{HeaderValue, StatusCode, header};
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Message, WebSocketConfig};

/// The largest head of an upgrade.
const LARGEST_HEAD: usize = 16_384;
/// The largest message: what the parser can address.
const LARGEST: usize = 65_535;
/// Read out of the pipe at once; each open socket keeps a buffer of that size.
const READ: usize = 4_096;
/// The subprotocol (RFC 7118 §4.1).
const SIP: &str = "sip";
const REFUSED: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const UPGRADE: &[u8] =
    b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Whose pages may connect; pages alone say what they are of (RFC 6455 §10.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origins(pub(crate) Arc<[String]>);

impl Origins {
    fn admit(&self, origin: Option<&HeaderValue>) -> bool {
        let is = |allowed: &String, origin: &HeaderValue| {
            allowed == "*" || origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes())
        };
        origin.is_none_or(|origin| self.0.iter().any(|allowed| is(allowed, origin)))
    }
}

/// Why a WebSocket is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebOver {
    /// Its page is of an origin that is not listed.
    Origin,
    /// What came is no upgrade to SIP over WebSocket.
    NoUpgrade,
    /// It sent more than a message may have.
    TooLarge,
    /// It broke the protocol.
    Violation,
    /// It said that it goes.
    Closed,
}

/// Bytes that came and bytes that are to go.
#[derive(Debug, Default)]
struct Pipe {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.incoming.read(into)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What an upgrade must have.
#[derive(Debug)]
struct Upgrade(Origins);

impl Callback for Upgrade {
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        let refuse = |status| {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = status;
            refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            refusal.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            refusal
        };
        if !self.0.admit(request.headers().get(header::ORIGIN)) {
            return Err(refuse(StatusCode::FORBIDDEN));
        }
        let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
        let mut words = offered.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        // RFC 7118 §4.1: a client that wants SIP says so, and hears it in the answer.
        if !words.any(|word| word.trim_ascii() == SIP.as_bytes()) {
            return Err(refuse(StatusCode::BAD_REQUEST));
        }
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SIP));
        Ok(response)
    }
}

enum State {
    Upgrading(MidHandshake<ServerHandshake<Pipe, Upgrade>>),
    Open(tungstenite::WebSocket<Pipe>),
    /// It is over; the last words are in here.
    Over(WebOver, Vec<u8>),
}

/// One WebSocket.
pub(crate) struct WebSocket {
    state: State,
    /// Bytes of the upgrade so far.
    head: usize,
}

impl WebSocket {
    pub(crate) fn new(origins: Origins) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let upgrade = ServerHandshake::start(Pipe::default(), Upgrade(origins), Some(config));
        Self { state: State::Upgrading(upgrade), head: 0 }
    }

    /// HTTP has not become WebSocket yet.
    pub(crate) fn is_upgrading(&self) -> bool {
        matches!(self.state, State::Upgrading(_))
    }

    /// Takes what has arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Upgrading(upgrade) => {
                self.head += bytes.len();
                if self.head > LARGEST_HEAD {
                    self.state = State::Over(WebOver::NoUpgrade, REFUSED.to_vec());
                } else {
                    upgrade.get_mut().get_mut().incoming.extend(bytes);
                }
            }
            State::Open(socket) => socket.get_mut().incoming.extend(bytes),
            State::Over(..) => {}
        }
    }

    /// What stands next, once it is whole. Pings are answered here.
    ///
    /// # Errors
    /// It is over; the same is said from then on.
    pub(crate) fn piece(&mut self) -> Result<Option<Piece>, WebOver> {
        if self.is_upgrading() {
            self.upgrade();
        }
        loop {
            let socket = match &mut self.state {
                State::Upgrading(_) => return Ok(None),
                State::Open(socket) => socket,
                State::Over(over, _) => return Err(*over),
            };
            let message = match socket.read() {
                Ok(Message::Text(text)) => text.as_bytes().to_vec(),
                Ok(Message::Binary(bytes)) => bytes.to_vec(),
                Ok(Message::Ping(_)) => return Ok(Some(Piece::Ping)),
                Ok(Message::Pong(_)) => return Ok(Some(Piece::Pong)),
                Ok(Message::Close(_) | Message::Frame(_)) => continue,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => {
                    self.over(&error);
                    continue;
                }
            };
            if message.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
                return Ok(Some(Piece::Message(message)));
            }
            // Some clients keep the connection alive as they would a stream (RFC 5626 §3.5.1), and want to hear the answer.
            match message.len() {
                4.. => {
                    self.send(b"\r\n");
                    return Ok(Some(Piece::Ping));
                }
                2 => return Ok(Some(Piece::Pong)),
                _ => {}
            }
        }
    }

    /// Goes on with the upgrade.
    fn upgrade(&mut self) {
        let nothing = State::Over(WebOver::NoUpgrade, Vec::new());
        let State::Upgrading(upgrade) = std::mem::replace(&mut self.state, nothing) else { return };
        self.state = match upgrade.handshake() {
            Ok(socket) => State::Open(socket),
            Err(HandshakeError::Interrupted(upgrade)) => State::Upgrading(upgrade),
            Err(HandshakeError::Failure(Error::Http(refusal))) => {
                let over = if refusal.status() == StatusCode::FORBIDDEN { WebOver::Origin } else { WebOver::NoUpgrade };
                let mut words = Vec::new();
                // A vector takes everything.
                let _written = tungstenite::handshake::server::write_response(&mut words, &refusal);
                State::Over(over, words)
            }
            Err(HandshakeError::Failure(Error::Protocol(
                tungstenite::error::ProtocolError::MissingConnectionUpgradeHeader
                | tungstenite::error::ProtocolError::MissingUpgradeWebSocketHeader
                | tungstenite::error::ProtocolError::MissingSecWebSocketVersionHeader,
            ))) => State::Over(WebOver::NoUpgrade, UPGRADE.to_vec()),
            Err(HandshakeError::Failure(_)) => State::Over(WebOver::NoUpgrade, REFUSED.to_vec()),
        };
    }

    fn over(&mut self, error: &Error) {
        let (over, code) = match error {
            Error::ConnectionClosed | Error::AlreadyClosed => (WebOver::Closed, None),
            Error::Capacity(_) => (WebOver::TooLarge, Some(CloseCode::Size)),
            Error::Utf8(_) => (WebOver::Violation, Some(CloseCode::Invalid)),
            _ => (WebOver::Violation, Some(CloseCode::Protocol)),
        };
        if let Some(code) = code {
            self.close(code);
        }
        let words = std::mem::take(self.outgoing());
        self.state = State::Over(over, words);
    }

    /// Sends a message: as text when it is, since clients exist that read nothing else.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let message = std::str::from_utf8(bytes).map_or_else(|_| Message::binary(bytes.to_vec()), Message::text);
        self.write(message);
    }

    /// Asks for a sign of life, which every WebSocket gives (RFC 6455 §5.5.2).
    pub(crate) fn ping(&mut self) {
        self.write(Message::Ping(tungstenite::Bytes::new()));
    }

    fn write(&mut self, message: Message) {
        if let State::Open(socket) = &mut self.state {
            // The pipe takes everything; what is left to fail is a socket that is closing, and reading tells that.
            let _closing = socket.send(message);
        }
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self, code: CloseCode) {
        if let State::Open(socket) = &mut self.state {
            // It may be closing already.
            let _closing = socket.close(Some(CloseFrame { code, reason: "".into() }));
            let _closing = socket.flush();
        }
    }

    /// What is to be written; whoever writes takes it out.
    pub(crate) fn outgoing(&mut self) -> &mut Vec<u8> {
        match &mut self.state {
            State::Upgrading(upgrade) => &mut upgrade.get_mut().get_mut().outgoing,
            State::Open(socket) => &mut socket.get_mut().outgoing,
            State::Over(_, words) => words,
        }
    }
}

#[cfg(test)]
mod tests;
