//! To the shards: each message to the one that owns it, each end of a connection to all.
//!
//! On a stream nobody repeats a message, so none may be dropped for want of room: what a full ring refuses waits here, and
//! while it does, no connection is read. Refuses to know: connections.

use super::counters::Counters;
use crate::ring::Sender;
use crate::shard::Hop;
use edge::steer;
use model::{ShardId, TransportFault};
use sip::{Flow, Transmit};
use std::collections::VecDeque;
use std::sync::Arc;

/// What may wait for one shard.
const OWED: usize = 16_384;

/// The ways to all shards.
pub(super) struct Outward {
    key: u64,
    shards: Vec<(Sender<Hop>, VecDeque<Hop>)>,
    counters: Arc<Counters>,
}

impl Outward {
    pub(super) fn new(key: u64, shards: Vec<Sender<Hop>>, counters: Arc<Counters>) -> Self {
        Self { key, shards: shards.into_iter().map(|ring| (ring, VecDeque::new())).collect(), counters }
    }

    /// A message has arrived. One that nobody can read goes to some shard, to be counted.
    pub(super) fn message(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.counters.messages_in.add(1);
        let owner = self.owner(&bytes).unwrap_or(ShardId(0));
        self.tell(owner.index(), Hop::Datagram(flow, bytes));
    }

    /// A message could not be sent.
    pub(super) fn refused(&mut self, transmit: Transmit, fault: TransportFault) {
        let Flow { socket, peer, .. } = transmit.flow;
        let owner = self.owner(&transmit.bytes).unwrap_or(ShardId(0));
        self.tell(owner.index(), Hop::Refused(socket, peer, transmit.bytes, fault));
    }

    /// A connection by which messages have passed is over.
    pub(super) fn broken(&mut self, flow: Flow, fault: TransportFault) {
        for shard in 0..self.shards.len() {
            self.tell(shard, Hop::Broken(flow, fault));
        }
    }

    /// Tries again what found no room; true when nothing waits any more.
    pub(super) fn pay(&mut self) -> bool {
        let mut paid = true;
        for (ring, owed) in &mut self.shards {
            while !owed.is_empty() && ring.has_room() {
                if let Some(hop) = owed.pop_front() {
                    // There is room, and nobody else writes.
                    let _sent = ring.send(hop);
                }
            }
            paid &= owed.is_empty();
        }
        paid
    }

    fn owner(&self, bytes: &[u8]) -> Option<ShardId> {
        steer(self.key, u8::try_from(self.shards.len()).unwrap_or(u8::MAX), bytes)
    }

    fn tell(&mut self, shard: usize, hop: Hop) {
        let Some((ring, owed)) = self.shards.get_mut(shard) else { return };
        if owed.is_empty() && ring.has_room() {
            // There is room, and nobody else writes.
            let _sent = ring.send(hop);
        } else if owed.len() < OWED {
            owed.push_back(hop);
        } else {
            self.counters.reports_lost.add(1);
        }
    }
}
