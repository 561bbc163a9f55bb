//! What passes from shard to shard, and from the thread of connections to a shard: one hop by a bounded ring.
//!
//! What another shard has received at the wrong socket, and what it says of its own accord when a transfer has joined two calls. A ring that
//! is full refuses; what is said by a shard itself then fails at once, and what came by the network comes again. Refuses to know: what a
//! message means.

use super::{ShardThread, TAKEN_PER_TURN};
use edge::Input;
use model::{ShardId, SocketId, TransportFault};
use sip::{Flow, Transmit};
use std::net::SocketAddr;

/// From one shard to another, what arrived at the wrong one and what is said between them; from the thread of connections, what arrived by
/// them.
#[derive(Debug)]
pub(crate) enum Hop {
    /// A SIP message.
    Datagram(Flow, Vec<u8>),
    /// A SIP message of that shard's own, which has passed no socket.
    Between(ShardId, Vec<u8>),
    /// A refusal.
    Refused(SocketId, SocketAddr, Vec<u8>, TransportFault),
    /// A connection is dead.
    Broken(Flow, TransportFault),
}

impl ShardThread {
    pub(super) fn hop(&mut self, to: ShardId, hop: Hop) {
        if let Some(Some(ring)) = self.links.hops_out.get_mut(to.index())
            && ring.send(hop).is_ok()
        {
            self.counters.hops += 1;
        }
    }

    /// Hands a message to another shard. What finds no room, or no such shard, was not sent.
    pub(super) fn between(&mut self, to: ShardId, transmit: Transmit) {
        let Transmit { flow: Flow { socket, peer, .. }, bytes } = transmit;
        let unsent = match self.links.hops_out.get_mut(to.index()) {
            Some(Some(ring)) => match ring.send(Hop::Between(self.config.shard, bytes)) {
                Err(Hop::Between(_, bytes)) => Some(bytes),
                _ => None,
            },
            _ => Some(bytes),
        };
        match unsent {
            Some(bytes) => {
                let fault = TransportFault::Local;
                self.shard.handle(self.now, Input::Undeliverable { socket, peer, sent: &bytes, fault });
            }
            None => self.counters.hops += 1,
        }
    }

    /// Empties the rings, up to a limit for each.
    pub(super) fn take_hops(&mut self) {
        for from in 0..self.links.hops_in.len() {
            for taken in 0.. {
                let Some(hop) = self.links.hops_in[from].next() else { break };
                match hop {
                    // What another shard passes on it has let in; what comes by a connection nobody has looked at.
                    Hop::Datagram(flow, bytes) if flow.transport.is_reliable() => {
                        self.input(Input::Datagram { flow, bytes: &bytes });
                    }
                    Hop::Datagram(flow, bytes) => self.input(Input::Passed { flow, bytes: &bytes }),
                    Hop::Between(from, bytes) => self.input(Input::Between { from, bytes: &bytes }),
                    Hop::Refused(socket, peer, sent, fault) => {
                        self.input(Input::Undeliverable { socket, peer, sent: &sent, fault });
                    }
                    Hop::Broken(flow, fault) => self.input(Input::Broken { flow, fault }),
                }
                if taken == TAKEN_PER_TURN {
                    self.rings_hold_more = true;
                    break;
                }
            }
        }
    }
}
