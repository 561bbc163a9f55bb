//! The SIP port of an agent that speaks TCP or TLS: what it accepts and what it opens, and whole messages both ways.
//!
//! Looked at in turns, like the agent's other sockets. Refuses to know: what the messages say.

use crate::streams::{Wire, begin, client, ready, server, server_name};
use edge::config::{ListenTls, TrunkTls};
use model::Span;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection as Tls, ServerConfig, ServerConnection};
use sip::{Framer, Piece, Transmit};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

/// Connections of one agent at most.
const MOST: usize = 256;
/// As long as an agent waits for what it sent to be acknowledged.
const LIFE: Span = Span::from_secs(10);

/// Who an agent is and whom it trusts under TLS.
#[derive(Clone, Debug)]
pub struct AgentTls {
    /// As one that is connected to.
    pub listen: ListenTls,
    /// As one that connects.
    pub trust: TrunkTls,
}

struct One {
    peer: SocketAddr,
    wire: Wire,
    framer: Framer,
    out: Vec<u8>,
}

/// As one that is connected to, as one that connects, and whom that trusts.
type Configured = (Arc<ServerConfig>, Arc<ClientConfig>, TrunkTls);

/// The port.
pub(super) struct StreamPort {
    bind: SocketAddr,
    listener: TcpListener,
    tls: Option<Configured>,
    all: Vec<One>,
    /// It accepts, and neither reads nor says anything.
    deaf: bool,
}

impl StreamPort {
    pub(super) fn open(bind: SocketAddr, tls: Option<&AgentTls>) -> io::Result<Self> {
        let listener = TcpListener::bind(bind)?;
        listener.set_nonblocking(true)?;
        let tls = tls.map(configured).transpose().map_err(io::Error::other)?;
        Ok(Self { bind, listener, tls, all: Vec::new(), deaf: false })
    }

    /// Everything to be watched.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = std::os::fd::RawFd> + '_ {
        use std::os::fd::{AsFd, AsRawFd};
        // What is never read would be ready for ever.
        let read = self.all.iter().filter(|_| !self.deaf);
        let wires = read.map(|one| one.wire.as_fd().as_raw_fd());
        std::iter::once(self.listener.as_raw_fd()).chain(wires)
    }

    /// Closes every connection, as a firewall or a restart does; the port goes on.
    pub(super) fn cut(&mut self) {
        self.all.clear();
    }

    /// Cuts, and accepts from now on without a word; or speaks again.
    pub(super) fn deafen(&mut self, deaf: bool) {
        self.cut();
        self.deaf = deaf;
    }

    /// Cuts, and shows this certificate from now on. One that cannot be read leaves the port without TLS, which nobody believes.
    pub(super) fn become_other(&mut self, tls: &AgentTls) {
        self.cut();
        self.tls = configured(tls).ok();
    }

    /// What has arrived, and from whom.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        while let Ok((socket, peer)) = self.listener.accept() {
            let tls = self.tls.as_ref().map(|(server, ..)| ServerConnection::new(server.clone()));
            if let (Ok(tls), Ok(())) = (tls.transpose(), ready(&socket, LIFE)) {
                self.add(peer, socket, tls.map(Tls::Server));
            }
        }
        let mut messages = Vec::new();
        if self.deaf {
            return messages;
        }
        self.all.retain_mut(|one| one.turn(buffer, &mut messages));
        messages
    }

    /// Sends by the connection to that peer, or by one that came from its host, or by a new one. What cannot be sent is lost, as on any
    /// transport.
    pub(super) fn send(&mut self, transmit: &Transmit) {
        let peer = transmit.flow.peer;
        if self.to(peer).is_none() {
            let Ok(socket) = begin(self.bind, peer, LIFE) else { return };
            let Ok(tls) = self.tls.as_ref().map(|tls| start(tls, peer)).transpose() else { return };
            self.add(peer, socket, tls);
        }
        if let Some(one) = self.to(peer) {
            one.out.extend_from_slice(&transmit.bytes);
            // An end is seen by the next look.
            let _ended = one.wire.write(&mut one.out);
        }
    }

    fn to(&mut self, peer: SocketAddr) -> Option<&mut One> {
        let exact = self.all.iter().position(|one| one.peer == peer);
        let index = exact.or_else(|| self.all.iter().position(|one| one.peer.ip() == peer.ip()))?;
        self.all.get_mut(index)
    }

    fn add(&mut self, peer: SocketAddr, socket: TcpStream, tls: Option<Tls>) {
        if self.all.len() < MOST {
            self.all.push(One { peer, wire: Wire::new(socket, tls), framer: Framer::default(), out: Vec::new() });
        }
    }
}

fn configured(tls: &AgentTls) -> Result<Configured, String> {
    let here = Path::new("");
    Ok((server(&tls.listen, here)?, client(&tls.trust, here, &mut None)?, tls.trust.clone()))
}

fn start(tls: &Configured, peer: SocketAddr) -> Result<Tls, String> {
    let name: ServerName<'static> = server_name(&tls.2, peer)?;
    ClientConnection::new(tls.1.clone(), name).map(Tls::Client).map_err(|error| error.to_string())
}

impl One {
    /// Does what can be done; false when it is over.
    fn turn(&mut self, buffer: &mut [u8], messages: &mut Vec<(SocketAddr, Vec<u8>)>) -> bool {
        loop {
            match self.wire.read(buffer) {
                Ok(0) => break,
                Ok(count) => self.framer.push(&buffer[..count]),
                Err(_) => return false,
            }
        }
        loop {
            match self.framer.piece() {
                Ok(Some(Piece::Message(bytes))) => messages.push((self.peer, bytes)),
                Ok(Some(Piece::Ping)) => self.out.extend_from_slice(b"\r\n"),
                Ok(Some(Piece::Pong)) => {}
                Ok(None) => break,
                Err(_) => return false,
            }
        }
        self.wire.write(&mut self.out).is_ok()
    }
}
