//! Whoever connects: let in or turned away, each refusal with its count; and for whom a load balancer has connected.
//!
//! Refuses to know: what is sent.

use super::connection::{Connection, Over};
use super::websocket::Origins;
use super::wire::{NoIntroduction, Wire};
use super::{StreamThread, counters, ready};
use rustls::{Connection as Tls, ServerConnection};
use sip::Flow;
use std::io;
use std::net::TcpStream;

/// Accepted from one listener in one turn.
const ACCEPTED_PER_TURN: usize = 64;

impl StreamThread {
    pub(super) fn accept(&mut self, index: usize) {
        for _ in 0..ACCEPTED_PER_TURN {
            let Some(listener) = self.listeners.get(index) else { return };
            match listener.socket.accept() {
                Ok((socket, peer)) => {
                    let flow = Flow { socket: listener.id, peer, transport: listener.transport };
                    self.take_in(flow, socket);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.counters.accept_failed.add(1);
                    return;
                }
            }
        }
    }

    /// Takes an accepted connection in, if there is room for it.
    fn take_in(&mut self, flow: Flow, socket: TcpStream) {
        let limits = &self.plan.limits;
        let listen = self.plan.listen(flow.socket);
        let announced = listen.is_some_and(|listen| !listen.proxies.is_empty());
        let has_to_agree = announced || flow.transport.is_secure() || flow.transport.is_web();
        let refused = if announced && !listen.is_some_and(|listen| listen.is_proxy(flow.peer.ip())) {
            Some(&self.counters.refused_no_proxy)
        } else if self.table.len() >= limits.connections {
            Some(&self.counters.refused_full)
        } else if has_to_agree && self.handshakes >= limits.handshakes {
            Some(&self.counters.refused_handshakes)
        } else {
            // Whoever comes through a load balancer is asked once it has said who that is.
            (!announced).then(|| self.unwelcome(flow)).flatten()
        };
        if let Some(count) = refused {
            return count.add(1);
        }
        let origins = Origins(listen.map(|listen| listen.origins.clone()).unwrap_or_default());
        let tls = match self.server(flow) {
            Ok(tls) => tls,
            Err(()) => return self.counters.handshake_failed.add(1),
        };
        let ready = ready(&socket, limits.pong);
        let wire = Wire::new(socket, tls);
        if ready.and_then(|()| self.admit(Connection::accepted(flow, announced, &origins, wire, self.now))).is_ok() {
            self.counters.accepted.add(1);
        } else {
            self.counters.accept_failed.add(1);
        }
    }

    /// Why whoever connects so has no connection.
    fn unwelcome(&self, flow: Flow) -> Option<&counters::Count> {
        if !self.plan.door.admits(flow) {
            Some(&self.counters.refused_unwelcome)
        } else if self.table.of_source(flow.peer.ip()) >= self.plan.limits.per_source {
            Some(&self.counters.refused_source)
        } else {
            None
        }
    }

    /// Hears from a load balancer for whom it has connected.
    pub(super) fn introduce(&mut self, number: usize) -> Result<(), Over> {
        let Some(connection) = self.table.get_mut(number) else { return Ok(()) };
        let header = match connection.wire.introduction() {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(()),
            Err(NoIntroduction::Other) => return Err(Over::NoProxyHeader),
            Err(NoIntroduction::Fault(fault)) => return Err(Over::Fault(fault)),
        };
        let flow = Flow { peer: header.source.unwrap_or(connection.flow.peer), ..connection.flow };
        // One that speaks for itself wants to know whether we live, and is no caller.
        if header.source.is_some()
            && let Some(count) = self.unwelcome(flow)
        {
            count.add(1);
            return Err(Over::TurnedAway);
        }
        self.table.rename(number, flow.peer);
        let Some(connection) = self.table.get_mut(number) else { return Ok(()) };
        connection.introduced();
        self.handshakes -= usize::from(!connection.is_pending());
        let due = connection.due(&self.plan.limits).0;
        self.look = Some(self.look.map_or(due, |at| at.min(due)));
        Ok(())
    }

    fn server(&self, flow: Flow) -> Result<Option<Tls>, ()> {
        if !flow.transport.is_secure() {
            return Ok(None);
        }
        let config = self.plan.tls.servers.get(&flow.socket).ok_or(())?;
        ServerConnection::new(config.clone()).map(|tls| Some(Tls::Server(tls))).map_err(|_| ())
    }
}
