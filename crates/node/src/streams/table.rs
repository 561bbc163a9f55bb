//! All connections, by number and by who is at the other end, and how many each address has.
//!
//! Refuses to know: what passes on them.

use super::connection::Connection;
use model::SocketId;
use slab::Slab;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The table. Its owner keeps the limits.
#[derive(Default)]
pub(super) struct Table {
    all: Slab<Connection>,
    /// By socket, peer and whether we opened it.
    by_flow: BTreeMap<(SocketId, SocketAddr, bool), usize>,
    /// Accepted ones by which a target is reached, by where that target listens; at most one each.
    by_alias: BTreeMap<(SocketId, SocketAddr), usize>,
    /// Accepted ones.
    by_source: BTreeMap<IpAddr, usize>,
}

impl Table {
    /// The number the next connection will have.
    pub(super) fn next(&self) -> usize {
        self.all.vacant_key()
    }

    /// Puts one in. Another one with the same ends is no longer found by them, and lives on until it is closed.
    pub(super) fn insert(&mut self, connection: Connection) -> usize {
        let flow = (connection.flow.socket, connection.flow.peer, connection.ours);
        if !connection.ours {
            *self.by_source.entry(connection.flow.peer.ip()).or_default() += 1;
        }
        let number = self.all.insert(connection);
        self.by_flow.insert(flow, number);
        number
    }

    /// A connection is another one's than it seemed: it came through a load balancer.
    pub(super) fn rename(&mut self, number: usize, peer: SocketAddr) {
        let Some(connection) = self.all.get_mut(number) else { return };
        let before = core::mem::replace(&mut connection.flow.peer, peer);
        let (socket, ours) = (connection.flow.socket, connection.ours);
        self.forget(number, (socket, before, ours));
        self.by_flow.insert((socket, peer, ours), number);
        if !ours {
            *self.by_source.entry(peer.ip()).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, number: usize) -> Option<Connection> {
        let connection = self.all.try_remove(number)?;
        self.forget(number, (connection.flow.socket, connection.flow.peer, connection.ours));
        if let Some(alias) = connection.alias
            && self.by_alias.get(&(connection.flow.socket, alias)) == Some(&number)
        {
            self.by_alias.remove(&(connection.flow.socket, alias));
        }
        Some(connection)
    }

    fn forget(&mut self, number: usize, flow: (SocketId, SocketAddr, bool)) {
        if self.by_flow.get(&flow) == Some(&number) {
            self.by_flow.remove(&flow);
        }
        let (_, peer, ours) = flow;
        if !ours && let Some(count) = self.by_source.get_mut(&peer.ip()) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&peer.ip());
            }
        }
    }

    /// From now on what goes to a target goes by this connection, which the target opened, unless we have one of our own.
    pub(super) fn alias(&mut self, number: usize, target: SocketAddr) {
        if let Some(connection) = self.all.get_mut(number) {
            connection.alias = Some(target);
            self.by_alias.insert((connection.flow.socket, target), number);
        }
    }

    /// The connection to a peer: ours, or else one that proves to be its own, or else, when it will do, any that came from there.
    pub(super) fn find(&self, socket: SocketId, peer: SocketAddr, accepted_too: bool) -> Option<usize> {
        let ours = self.by_flow.get(&(socket, peer, true)).or_else(|| self.by_alias.get(&(socket, peer)));
        ours.or_else(|| self.by_flow.get(&(socket, peer, false)).filter(|_| accepted_too)).copied()
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Connection> {
        self.all.get_mut(number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Connection)> {
        self.all.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Accepted connections from an address.
    pub(super) fn of_source(&self, source: IpAddr) -> usize {
        self.by_source.get(&source).copied().unwrap_or(0)
    }
}
