//! One connection: what stage it is in, what waits to leave by it, when something must have happened.
//!
//! Refuses to know: other connections, shards, epoll.

use super::websocket::{Origins, WebOver, WebSocket};
use super::wire::Wire;
use edge::config::StreamLimits;
use model::{Instant, TransportFault};
use sip::{BadStream, Flow, Framer, Piece, Transmit};
use std::net::SocketAddr;
use tungstenite::protocol::frame::coding::CloseCode;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// TCP is not there yet.
    Connecting,
    /// The load balancer it comes through has not said for whom it is.
    Announcing,
    /// TLS or WebSocket is not agreed on yet.
    Handshaking,
    /// Messages pass.
    Open,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The network or the peer ended it.
    Fault(TransportFault),
    /// It was not there in time.
    Late,
    /// No message for too long.
    Idle,
    /// No sign of life.
    Silent,
    /// The peer does not read.
    Unread,
    /// The peer is kept out.
    Unwelcome,
    /// It was turned away, and that is counted.
    TurnedAway,
    /// No header of the PROXY protocol stood first.
    NoProxyHeader,
    /// What it sends cannot be framed.
    Bad(BadStream),
    /// Its WebSocket is over.
    Web(WebOver),
}

impl Over {
    /// What shards are told.
    pub(super) const fn fault(self) -> TransportFault {
        match self {
            Self::Fault(fault) => fault,
            Self::Late | Self::Silent => TransportFault::TimedOut,
            Self::Unread => TransportFault::NotRead,
            Self::Idle | Self::Unwelcome | Self::TurnedAway | Self::NoProxyHeader | Self::Bad(_) | Self::Web(_) => {
                TransportFault::Broken
            }
        }
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    Over(Over),
}

/// How messages are told apart.
enum Framing {
    /// By their length.
    Stream(Framer),
    /// By their frames.
    Web(Box<WebSocket>),
}

/// One connection.
pub(super) struct Connection {
    pub(super) flow: Flow,
    /// We opened it.
    pub(super) ours: bool,
    pub(super) wire: Wire,
    pub(super) stage: Stage,
    /// The target that is reached by it, although that opened it.
    pub(super) alias: Option<SocketAddr>,
    /// Nothing has come by it yet that could have said so.
    pub(super) fresh: bool,
    /// It is among those to be served.
    pub(super) called: bool,
    framing: Framing,
    out: Vec<u8>,
    /// Messages for a connection that is not open yet, to be given back if it never is.
    waiting: Vec<Transmit>,
    waiting_bytes: usize,
    begun: Instant,
    /// The last message, in or out.
    used: Instant,
    /// A ping of ours that has no answer yet.
    pinged: Option<Instant>,
    /// The last sign that it lives, or ping of ours.
    heard: Instant,
    /// It has answered a ping before, so that it will again. A WebSocket always does.
    pongs: bool,
    /// A message has come by it.
    spoken: bool,
}

impl Connection {
    /// One that we begin.
    pub(super) fn begun(flow: Flow, wire: Wire, now: Instant) -> Self {
        Self::new(flow, Stage::Connecting, Framing::Stream(Framer::default()), wire, now)
    }

    /// One that was accepted, through a load balancer that says for whom or not.
    pub(super) fn accepted(flow: Flow, announced: bool, origins: &Origins, wire: Wire, now: Instant) -> Self {
        let framing = if flow.transport.is_web() {
            Framing::Web(Box::new(WebSocket::new(origins.clone())))
        } else {
            Framing::Stream(Framer::default())
        };
        let stage = if announced { Stage::Announcing } else { Stage::Handshaking };
        let mut connection = Self::new(flow, stage, framing, wire, now);
        if !announced {
            connection.introduced();
        }
        connection
    }

    fn new(flow: Flow, stage: Stage, framing: Framing, wire: Wire, now: Instant) -> Self {
        let (ours, pongs) = (stage == Stage::Connecting, matches!(framing, Framing::Web(_)));
        Self {
            flow,
            ours,
            wire,
            stage,
            alias: None,
            fresh: !ours,
            called: false,
            framing,
            out: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            begun: now,
            used: now,
            pinged: None,
            heard: now,
            pongs,
            spoken: false,
        }
    }

    /// It is known for whom it is.
    pub(super) fn introduced(&mut self) {
        self.stage = if self.is_handshaking() { Stage::Handshaking } else { Stage::Open };
    }

    /// Accepted, and no message can pass yet.
    pub(super) fn is_pending(&self) -> bool {
        !self.ours && self.stage != Stage::Open
    }

    fn is_handshaking(&self) -> bool {
        let upgrading = matches!(&self.framing, Framing::Web(web) if web.is_upgrading());
        self.wire.is_handshaking() || upgrading
    }

    /// Takes a message to send; what is refused for want of room comes back.
    pub(super) fn push(&mut self, now: Instant, transmit: Transmit, limits: &StreamLimits) -> Result<(), Transmit> {
        self.used = now;
        if self.stage == Stage::Open {
            self.frame(&transmit.bytes);
            return Ok(());
        }
        if self.waiting_bytes + transmit.bytes.len() > limits.unread {
            return Err(transmit);
        }
        self.waiting_bytes += transmit.bytes.len();
        self.waiting.push(transmit);
        Ok(())
    }

    /// Answers a ping (RFC 5626 §3.5.1). A WebSocket has answered it already.
    pub(super) fn pong(&mut self) {
        if matches!(self.framing, Framing::Stream(_)) {
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn frame(&mut self, message: &[u8]) {
        match &mut self.framing {
            Framing::Stream(_) => self.out.extend_from_slice(message),
            Framing::Web(web) => web.send(message),
        }
        self.take_frames();
    }

    fn take_frames(&mut self) {
        if let Framing::Web(web) = &mut self.framing {
            self.out.append(web.outgoing());
        }
    }

    /// Goes on to the next stage if it can; true when it has just opened.
    pub(super) fn advance(&mut self, now: Instant) -> Result<bool, Over> {
        if self.stage == Stage::Connecting {
            if !self.wire.connected().map_err(Over::Fault)? {
                return Ok(false);
            }
            self.stage = Stage::Handshaking;
        }
        self.wire.write(&mut self.out).map_err(Over::Fault)?;
        if self.stage == Stage::Handshaking && !self.is_handshaking() {
            self.stage = Stage::Open;
            self.heard = now;
            for transmit in core::mem::take(&mut self.waiting) {
                self.frame(&transmit.bytes);
            }
            self.wire.write(&mut self.out).map_err(Over::Fault)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Writes what can be written.
    pub(super) fn write(&mut self, limits: &StreamLimits) -> Result<(), Over> {
        if !matches!(self.stage, Stage::Connecting | Stage::Announcing) {
            self.wire.write(&mut self.out).map_err(Over::Fault)?;
        }
        if self.out.len() > limits.unread { Err(Over::Unread) } else { Ok(()) }
    }

    /// Takes bytes that arrived.
    pub(super) fn arrived(&mut self, bytes: &[u8]) {
        match &mut self.framing {
            Framing::Stream(framer) => framer.push(bytes),
            Framing::Web(web) => web.push(bytes),
        }
    }

    /// The next whole message or blank.
    pub(super) fn next(&mut self, now: Instant) -> Result<Option<Piece>, Over> {
        let piece = match &mut self.framing {
            Framing::Stream(framer) => framer.piece().map_err(Over::Bad),
            Framing::Web(web) => web.piece().map_err(Over::Web),
        };
        self.take_frames();
        let piece = piece?;
        match &piece {
            Some(Piece::Message(_)) => {
                self.used = now;
                self.spoken = true;
            }
            Some(Piece::Ping) => self.used = now,
            Some(Piece::Pong) => self.pongs |= self.pinged.is_some(),
            None => return Ok(None),
        }
        self.heard = now;
        self.pinged = None;
        Ok(piece)
    }

    /// What never left because the connection never opened.
    pub(super) fn give_back(&mut self) -> Vec<Transmit> {
        core::mem::take(&mut self.waiting)
    }

    /// What must happen next, and when.
    pub(super) fn due(&self, limits: &StreamLimits) -> (Instant, Due) {
        if self.stage != Stage::Open {
            let within = if self.ours { limits.connect } else { limits.handshake };
            return (self.begun + within, Due::Over(Over::Late));
        }
        let idle = (self.used + limits.idle, Due::Over(Over::Idle));
        let is_web = matches!(self.framing, Framing::Web(_));
        let life = match self.pinged {
            _ if !self.ours && !is_web => return idle,
            Some(at) if self.pongs => (at + limits.pong, Due::Over(Over::Silent)),
            Some(at) => (at + limits.keep_alive, Due::Ping),
            None => (self.heard + limits.keep_alive, Due::Ping),
        };
        // Nobody can connect to a browser: one that has spoken and answers our pings stays.
        if life.0 < idle.0 || (is_web && self.spoken) { life } else { idle }
    }

    /// Asks for a sign of life (RFC 5626 §4.4.1).
    pub(super) fn ping(&mut self, now: Instant) {
        self.pinged = Some(now);
        match &mut self.framing {
            Framing::Stream(_) => self.out.extend_from_slice(b"\r\n\r\n"),
            Framing::Web(web) => web.ping(),
        }
        self.take_frames();
    }

    /// Says why it is over, where that can be said, as far as it goes without waiting.
    pub(super) fn goodbye(&mut self, over: Over) {
        if let Framing::Web(web) = &mut self.framing {
            web.close(match over {
                Over::Unwelcome => CloseCode::Policy,
                _ => CloseCode::Away,
            });
        }
        self.take_frames();
        if self.stage == Stage::Connecting || self.stage == Stage::Announcing {
            return;
        }
        // The connection ends either way.
        let _gone = self.wire.write(&mut self.out);
        self.wire.goodbye();
    }
}
