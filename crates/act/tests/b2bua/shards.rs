//! A second shard of the same edge: the lab's own fields are those of the one that acts, and the other one's are kept here meanwhile.
//!
//! What comes is steered as the edge steers it; what shards say to each other arrives at once, or not at all when the way is cut.

use crate::world::{KEY, Lab, PAIRS, edge};
use act::{B2bua, Ports};
use decide::Load;
use media::{Component, Forward, Packet, PairId, Relay};
use model::{Instant, ListenId, ShardId, SocketId, TransportFault};
use sip::{Endpoint, Flow};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// First media port of the first shard; the next one's begin so much higher.
const FIRST_PORT: u16 = 10_000;

/// What a shard has for itself.
struct Shard {
    endpoint: Endpoint,
    b2bua: B2bua,
    relay: Relay,
    ports: Ports,
    load: Load,
}

/// Both shards as far as they are not the lab's own fields.
#[derive(Default)]
pub struct Shards {
    /// The one whose fields are the lab's.
    pub here: u8,
    other: Option<Box<Shard>>,
    /// Where calls from outside begin.
    pub fresh: u8,
    /// Nothing gets from shard to shard.
    pub cut: bool,
    /// What one has said to the other.
    said: VecDeque<(u8, ShardId, Vec<u8>)>,
}

impl Lab {
    /// The same lab with a second shard.
    pub fn with_second_shard(mut self) -> Self {
        let (endpoint, ports) = edge(&self.profiles, 1, 77);
        let mut load = Load::default();
        load.resize(self.profiles.trunks.len());
        let b2bua = B2bua::new(100, ShardId(1), 77);
        self.shards.other = Some(Box::new(Shard { endpoint, b2bua, relay: Relay::new(4096), ports, load }));
        self
    }

    /// The lab's fields are that shard's from now on.
    pub fn turn_to(&mut self, shard: u8) {
        let Some(other) = self.shards.other.as_mut().filter(|_| self.shards.here != shard) else { return };
        std::mem::swap(&mut self.endpoint, &mut other.endpoint);
        std::mem::swap(&mut self.b2bua, &mut other.b2bua);
        std::mem::swap(&mut self.relay, &mut other.relay);
        std::mem::swap(&mut self.ports, &mut other.ports);
        std::mem::swap(&mut self.load, &mut other.load);
        self.shards.here = shard;
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> u8 {
        1 + u8::from(self.shards.other.is_some())
    }

    /// When the shard that does not act has something to do.
    pub fn elsewhere_due(&self) -> Option<Instant> {
        let other = self.shards.other.as_ref()?;
        [other.endpoint.deadline(), other.b2bua.deadline(), other.ports.deadline()].into_iter().flatten().min()
    }

    /// The shard that a message from outside belongs to.
    pub fn owner_of(&self, bytes: &[u8]) -> u8 {
        let Some(scan) = sip::scan(bytes) else { return 0 };
        let ours = |token: &[u8]| sip::owner(KEY, token).map(|(_, shard)| shard.0);
        if scan.is_response {
            return ours(scan.branch).unwrap_or(0);
        }
        let tag = scan.to_tag.or(scan.replaced_tag).and_then(ours).or_else(|| ours(scan.call_id));
        tag.unwrap_or(self.shards.fresh)
    }

    /// The shard that acts has said this to another one.
    pub fn say_between(&mut self, to: ShardId, bytes: Vec<u8>) {
        self.shards.said.push_back((self.shards.here, to, bytes));
    }

    /// Brings what was said; true when there was something.
    pub fn pass_between(&mut self) -> bool {
        let Some((from, to, bytes)) = self.shards.said.pop_front() else { return false };
        if self.shards.cut || to.0 >= self.shard_count() {
            self.turn_to(from);
            let peer = Flow::to_shard(to).peer;
            self.endpoint.undeliverable(self.now, SocketId::BETWEEN_SHARDS, peer, &bytes, TransportFault::Local);
        } else {
            self.turn_to(to.0);
            self.endpoint.receive(self.now, Flow::to_shard(ShardId(from)), &bytes).expect("shards know what they say");
        }
        true
    }

    /// Shard, pair and local address of a media port of the edge.
    fn port(&self, at: SocketAddr) -> Option<(u8, PairId)> {
        let ours = self.profiles.listens.iter().any(|listen| listen.media == Some(at.ip()));
        let number = at.port().checked_sub(FIRST_PORT).filter(|_| ours)?;
        Some(((number / FIRST_PORT) as u8, PairId(u32::from(number % FIRST_PORT) / 2)))
    }

    /// Where a packet to a port of the edge leaves to at last, through as many shards as it takes.
    pub fn relayed(&mut self, mut from: SocketAddr, mut to: SocketAddr, packet: &mut [u8]) -> Option<SocketAddr> {
        while let Some((shard, pair)) = self.port(to) {
            self.turn_to(shard);
            let Forward::Send { pair, to: next, .. } =
                self.relay.forward(self.now, pair, Component::Rtp, from, &mut Packet::whole(packet))
            else {
                return None;
            };
            let listen = ListenId((pair.0 / PAIRS) as u16);
            let ip = self.profiles.listen(listen).and_then(|listen| listen.media).expect("its address");
            from = SocketAddr::new(ip, FIRST_PORT * (u16::from(shard) + 1) + 2 * pair.0 as u16);
            to = next;
        }
        Some(to)
    }
}
