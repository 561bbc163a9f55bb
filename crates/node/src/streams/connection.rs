//! One connection: what stage it is in, what waits to leave by it, when something must have happened.
//!
//! Refuses to know: other connections, shards, epoll.

use super::wire::Wire;
use edge::config::StreamLimits;
use model::{Instant, TransportFault};
use sip::{BadStream, Flow, Framer, Piece, Transmit};
use std::net::SocketAddr;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// TCP is not there yet.
    Connecting,
    /// TLS is not agreed on yet.
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
    /// What it sends cannot be framed.
    Bad(BadStream),
}

impl Over {
    /// What shards are told.
    pub(super) const fn fault(self) -> TransportFault {
        match self {
            Self::Fault(fault) => fault,
            Self::Late | Self::Silent => TransportFault::TimedOut,
            Self::Unread => TransportFault::NotRead,
            Self::Idle | Self::Unwelcome | Self::Bad(_) => TransportFault::Broken,
        }
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    Over(Over),
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
    framer: Framer,
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
    /// It has answered a ping before, so that it will again.
    pongs: bool,
}

impl Connection {
    pub(super) fn new(flow: Flow, ours: bool, wire: Wire, now: Instant) -> Self {
        let stage = match (ours, wire.is_handshaking()) {
            (true, _) => Stage::Connecting,
            (false, true) => Stage::Handshaking,
            (false, false) => Stage::Open,
        };
        Self {
            flow,
            ours,
            wire,
            stage,
            alias: None,
            fresh: !ours,
            called: false,
            framer: Framer::default(),
            out: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            begun: now,
            used: now,
            pinged: None,
            heard: now,
            pongs: false,
        }
    }

    /// Takes a message to send; what is refused for want of room comes back.
    pub(super) fn push(&mut self, now: Instant, transmit: Transmit, limits: &StreamLimits) -> Result<(), Transmit> {
        self.used = now;
        if self.stage == Stage::Open {
            self.out.extend_from_slice(&transmit.bytes);
            return Ok(());
        }
        if self.waiting_bytes + transmit.bytes.len() > limits.unread {
            return Err(transmit);
        }
        self.waiting_bytes += transmit.bytes.len();
        self.waiting.push(transmit);
        Ok(())
    }

    /// Answers a ping, or asks for a sign of life.
    pub(super) fn push_blank(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
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
        if self.stage == Stage::Handshaking && !self.wire.is_handshaking() {
            self.stage = Stage::Open;
            self.heard = now;
            for transmit in self.waiting.drain(..) {
                self.out.extend_from_slice(&transmit.bytes);
            }
            self.wire.write(&mut self.out).map_err(Over::Fault)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Writes what can be written.
    pub(super) fn write(&mut self, limits: &StreamLimits) -> Result<(), Over> {
        if self.stage != Stage::Connecting {
            self.wire.write(&mut self.out).map_err(Over::Fault)?;
        }
        if self.out.len() > limits.unread { Err(Over::Unread) } else { Ok(()) }
    }

    /// Takes bytes that arrived.
    pub(super) fn arrived(&mut self, bytes: &[u8]) {
        self.framer.push(bytes);
    }

    /// The next whole message or blank.
    pub(super) fn next(&mut self, now: Instant) -> Result<Option<Piece>, Over> {
        let piece = self.framer.piece().map_err(Over::Bad)?;
        match &piece {
            Some(Piece::Message(_)) => self.used = now,
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
        let life = match self.pinged {
            _ if !self.ours => return idle,
            Some(at) if self.pongs => (at + limits.pong, Due::Over(Over::Silent)),
            Some(at) => (at + limits.keep_alive, Due::Ping),
            None => (self.heard + limits.keep_alive, Due::Ping),
        };
        if life.0 < idle.0 { life } else { idle }
    }

    /// Asks for a sign of life (RFC 5626 §4.4.1).
    pub(super) fn ping(&mut self, now: Instant) {
        self.pinged = Some(now);
        self.push_blank(b"\r\n\r\n");
    }
}
