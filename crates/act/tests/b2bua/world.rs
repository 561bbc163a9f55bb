//! The B2BUA among peers on a virtual wire, by a virtual clock.
//!
//! The edge has two listens: 198.51.100.1 (audio at 198.51.100.9) towards the office, 203.0.113.1 (audio at 203.0.113.9) towards the
//! carriers. Peer 0 is the office; the others are carriers in the order of the plan.

use crate::peer::Peer;
use crate::shards::Shards;
use act::{
    B2bua, Bound, Cidr, Effect, EndedCall, ListenProfile, Phones, Ports, Profiles, Registrar, RegistrarRules, Target,
    TrunkProfile, World,
};
use decide::{
    AttemptPolicy, Cause, Change, Decision, GroupPolicy, Load, Member, RouteRule, Shape, Subject, TargetShape,
    TrunkShape, TrunkTable,
};
use media::{Component, Forward, PairId, Relay};
use model::{
    DrillFault, Epoch, GroupId, Health, Instant, ListenId, Name, Observed, Rng, ShardId, Signal, SocketId, Span,
    TargetId, TransportFault, TrunkId,
};
use sip::{Endpoint, Flow, Limits, Message, Method, Minter, TimerSet, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

pub const EDGE: [&str; 2] = ["198.51.100.1:5060", "203.0.113.1:5060"];
pub const PAIRS: u32 = 32;
/// Of our tokens.
pub const KEY: u64 = 42;
/// How a Via offers overload control.
pub const OFFER: &str = ";oc;oc-algo=\"loss,rate\"";

/// A packet on the wire.
struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// How the wire treats packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Per thousand.
    pub lost: u64,
    /// Per thousand.
    pub doubled: u64,
    /// Further delay at most, in milliseconds.
    pub jitter: u64,
}

pub struct Lab {
    pub now: Instant,
    pub endpoint: Endpoint,
    pub b2bua: B2bua,
    pub relay: Relay,
    pub ports: Ports,
    pub profiles: Profiles,
    pub shape: Shape,
    pub paces: model::Paces,
    pub service_routes: act::ServiceRoutes,
    pub drill: Option<act::Drill>,
    pub table: TrunkTable,
    pub load: Load,
    pub nonces: act::Nonces,
    pub rng: Rng,
    effects: Vec<Effect>,
    pub peers: Vec<Peer>,
    pub signals: Vec<Signal>,
    pub ended: Vec<EndedCall>,
    /// Whose each Call-ID is.
    legs: BTreeMap<Vec<u8>, model::CallRef>,
    /// Who spoke inside a dialog that is not theirs.
    pub foreign: Vec<SocketAddr>,
    /// Trunks that have refused our credentials, and how.
    pub refused: Vec<(u16, u16)>,
    /// Trunks whose calls were refused as fraud, and why.
    pub barred: Vec<(u16, decide::Barred)>,
    pub registrar: Registrar,
    /// Phones register here when there are any.
    pub rules: Option<RegistrarRules>,
    pub bound: Vec<Bound>,
    pub auth_failed: u32,
    /// Everything the edge has put on the wire.
    pub sent: Vec<(Instant, SocketAddr, Message)>,
    wire: BTreeMap<(Instant, u64), Packet>,
    serial: u64,
    pub weather: Weather,
    chance: Rng,
    /// What peers write in place of our offer of overload control.
    pub overload: &'static str,
    /// What a peer says before this time is lost.
    hushed: Vec<(SocketAddr, Instant)>,
    pub shards: Shards,
}

fn target(addr: SocketAddr, socket: u16) -> Target {
    Target { index: 0, addr, transport: Transport::Udp, socket: SocketId(socket) }
}

/// T1 of trunks, as their configuration has it by default: an attempt's first reply must survive a lost packet.
fn timers() -> TimerSet {
    TimerSet { t1: Span::from_millis(250), ..TimerSet::default() }
}

/// The trunk of a peer: the office inside, carriers outside.
fn trunk_of((index, peer): (usize, &Peer)) -> Option<TrunkProfile> {
    let listen = u16::from(index > 0);
    Some(TrunkProfile {
        name: Name::from(address_of(index).as_str()),
        targets: vec![target(peer.addr, listen)],
        listen: ListenId(listen),
        interfaces: Vec::new(),
        timers: timers(),
        auth: None,
        accept: Vec::<Cidr>::new(),
        overload: false,
        large_by_tcp: false,
        dialogs: act::DialogPolicy::default(),
        session_max: Span::from_secs(12 * 3600),
        interworking: act::Interworking::NEUTRAL,
        media: media::sdp::MediaPolicy::NEUTRAL,
        inbound: act::InboundPolicy::default(),
        transfer: act::Transfer::Act,
        redirect: act::Redirect::Follow,
        challenge: act::Challenge::Answer,
    })
}

/// Where a peer is.
fn address_of(index: usize) -> String {
    if index == 0 { "192.0.2.10:5060".into() } else { format!("192.0.2.{}:5060", 20 + index) }
}

/// The end of one shard of the edge: its sockets bound, its ports in stock.
pub fn edge(profiles: &Profiles, shard: u8, seed: u64) -> (Endpoint, Ports) {
    let mut endpoint = Endpoint::new(Minter::new(1, ShardId(shard), KEY, seed), Limits::default(), seed);
    let mut ports = Ports::new(4096);
    for (index, addr) in EDGE.iter().enumerate() {
        endpoint.bind(SocketId(index as u16), Transport::Udp, addr.parse().unwrap());
        let first = index as u32 * PAIRS;
        let ip = profiles.listens[index].media.unwrap();
        let pair = |n: u32| (PairId(n), SocketAddr::new(ip, 10_000 * (u16::from(shard) + 1) + 2 * n as u16));
        ports.stock(Instant::ZERO, ListenId(index as u16), &(first..first + PAIRS).map(pair).collect::<Vec<_>>());
    }
    (endpoint, ports)
}

/// The office calls by the carriers, and these call the office.
fn shape(carriers: usize) -> Shape {
    let member = |trunk: u16| Member { trunk: TrunkId(trunk), weight: 1 };
    let tiers = (1..=carriers as u16).map(|trunk| vec![member(trunk)]).collect();
    let rule = |from: Vec<TrunkId>, to: u16| RouteRule { from, prefixes: vec![], to: GroupId(to) };
    let all: Vec<TrunkId> = (1..=carriers as u16).map(TrunkId).collect();
    Shape::new(
        vec![Some(TrunkShape { targets: TargetShape::in_order([0]), ..TrunkShape::default() }); carriers + 1],
        vec![GroupPolicy::new(GroupId(0), tiers), GroupPolicy::new(GroupId(1), vec![vec![member(0)]])],
        vec![rule(vec![TrunkId(0)], 0), rule(all, 1)],
    )
}

impl Lab {
    /// An office and `carriers` carriers, one per tier.
    pub fn new(carriers: usize) -> Self {
        Self::seeded(carriers, 1)
    }

    pub fn seeded(carriers: usize, seed: u64) -> Self {
        let peers: Vec<Peer> =
            (0..=carriers).map(|index| Peer::new(&address_of(index), seed * 100 + index as u64)).collect();
        let listen = |name: &str, socket: u16, media: &str| ListenProfile {
            name: Name::from(name),
            sockets: vec![SocketId(socket)],
            media: Some(media.parse().unwrap()),
            media_bind: Some(media.parse().unwrap()),
        };
        let profiles = Profiles::new(
            peers.iter().enumerate().map(trunk_of).collect(),
            vec![listen("inside", 0, "198.51.100.9"), listen("outside", 1, "203.0.113.9")],
            vec![b"112".to_vec()],
        );
        let shape = shape(carriers);
        let (endpoint, ports) = edge(&profiles, 0, seed);
        let mut load = Load::default();
        load.resize(carriers + 1);
        Self {
            now: Instant::ZERO + Span::from_secs(100),
            endpoint,
            b2bua: B2bua::new(100, ShardId(0), seed),
            relay: Relay::new(4096),
            ports,
            profiles,
            paces: model::Paces::new(),
            service_routes: act::ServiceRoutes::default(),
            drill: None,
            table: TrunkTable::new(&shape),
            shape,
            load,
            nonces: act::Nonces::default(),
            rng: Rng::new(seed),
            effects: Vec::new(),
            peers,
            signals: Vec::new(),
            ended: Vec::new(),
            foreign: Vec::new(),
            legs: BTreeMap::new(),
            refused: Vec::new(),
            barred: Vec::new(),
            registrar: Registrar::new(100, 7, (0, 1), seed),
            rules: None,
            bound: Vec::new(),
            auth_failed: 0,
            sent: Vec::new(),
            wire: BTreeMap::new(),
            serial: 0,
            weather: Weather::default(),
            chance: Rng::new(seed ^ 0xc0ffee),
            overload: OFFER,
            hushed: Vec::new(),
            shards: Shards::default(),
        }
    }

    /// The office's calls go by this rule from now on.
    pub fn route_office(&mut self, change: impl FnOnce(&mut RouteRule)) {
        let mut routes = self.shape.routes().to_vec();
        change(&mut routes[0]);
        self.shape = Shape::new(self.shape.trunks.clone(), self.shape.groups().to_vec(), routes);
    }

    pub fn attempt_policy(&mut self, trunk: usize) -> &mut AttemptPolicy {
        &mut self.shape.trunks[trunk].as_mut().unwrap().attempt
    }

    /// The table says so from now on; a fall is one into silence.
    pub fn health(&mut self, trunk: u16, to: Health) {
        self.health_because(trunk, to, Cause::CallsSilent { count: 3, limit: 3 });
    }

    /// So soon the first reply of carrier `trunk` usually comes.
    pub fn pace(&mut self, trunk: u16, first_reply: u64) {
        let pace = model::Pace { first_reply: Some(Span::from_millis(first_reply)), progress: None };
        self.paces.set(TargetId { trunk: TrunkId(trunk), index: 0 }, pace);
    }

    pub fn health_because(&mut self, trunk: u16, to: Health, cause: Cause) {
        let subject = TargetId { trunk: TrunkId(trunk), index: 0 };
        let from = self.table.health(subject);
        let epoch = Epoch(self.table.epoch().0 + 1);
        let change = Change::Health { from, to };
        self.table.apply(&Decision::bare(self.now, epoch, Subject::Target(subject), change, cause));
        let (b2bua, mut world) = self.world();
        b2bua.table_changed(&mut world);
        self.flush();
    }

    fn world(&mut self) -> (&mut B2bua, World<'_>) {
        // Tests change addresses in place.
        self.profiles.reindex();
        let world = World {
            paces: &self.paces,
            service_routes: &self.service_routes,
            now: self.now,
            endpoint: &mut self.endpoint,
            relay: &mut self.relay,
            ports: &mut self.ports,
            profiles: &self.profiles,
            shape: &self.shape,
            table: &self.table,
            phones: self.rules.as_ref().map(|rules| Phones { registrar: &mut self.registrar, rules }),
            drill: self.drill.as_ref(),
            load: &mut self.load,
            nonces: &mut self.nonces,
            rng: &mut self.rng,
            out: &mut self.effects,
        };
        (&mut self.b2bua, world)
    }

    /// What the drill breaks has changed.
    pub fn drill_changed(&mut self) {
        let (b2bua, mut world) = self.world();
        b2bua.drill_changed(&mut world);
        self.flush();
    }

    /// The office calls `number` with an offer.
    pub fn call(&mut self, number: &str) -> sip::ClientKey {
        let offer = self.peers[0].sdp();
        self.call_with(0, number, offer, &[])
    }

    pub fn call_with(&mut self, peer: usize, number: &str, body: Vec<u8>, extra: &[(&str, &str)]) -> sip::ClientKey {
        let edge = EDGE[usize::from(peer > 0)].parse().unwrap();
        let client = self.peers[peer].call(self.now, edge, number, body, extra);
        self.flush();
        client
    }

    /// A call that is answered by carrier 1, and both legs' sessions are number 0.
    pub fn answered(carriers: usize) -> Self {
        let mut lab = Self::new(carriers);
        let client = lab.call("+4722");
        lab.run(1_000);
        assert_eq!(lab.peers[0].codes(client), [180, 200]);
        assert_eq!(lab.peers[1].acks().len(), 1);
        lab
    }

    pub fn send(&mut self, peer: usize, method: Method, kind: &str, body: Vec<u8>) -> sip::ClientKey {
        let client = self.peers[peer].send(self.now, 0, method, kind, body);
        self.flush();
        client
    }

    pub fn send_sdp(&mut self, peer: usize, method: Method) -> sip::ClientKey {
        let body = self.peers[peer].sdp();
        self.send(peer, method, "application/sdp", body)
    }

    /// A request with further headers inside session number `session` of a peer.
    pub fn send_in(&mut self, peer: usize, session: usize, method: Method, extra: &[(&str, &str)]) -> sip::ClientKey {
        let client = self.peers[peer].send_with(self.now, session, method, "", vec![], extra);
        self.flush();
        client
    }

    /// All media of a stream passes: what `one` speaks arrives at `other`, and the other way.
    pub fn hear_each_other(&mut self, one: usize, other: usize) {
        let (to_one, to_other) = (self.shown_last(one), self.shown_last(other));
        assert_eq!(self.speak(one, &to_one), Some(self.peers[other].media), "{one} to {other}");
        assert_eq!(self.speak(other, &to_other), Some(self.peers[one].media), "{other} to {one}");
    }

    /// The last description that the edge has sent to a peer.
    pub fn shown_last(&self, peer: usize) -> Vec<u8> {
        let to_it = |(_, to, sent): &&(Instant, SocketAddr, Message)| {
            *to == self.peers[peer].addr && sent.body().starts_with(b"v=0")
        };
        self.sent.iter().rev().find(to_it).expect("a description").2.body().to_vec()
    }

    pub fn cancel(&mut self, client: sip::ClientKey) {
        self.peers[0].endpoint.cancel(self.now, client, None);
        self.flush();
    }

    /// Something written by hand, from a peer to the edge.
    pub fn inject(&mut self, from: SocketAddr, text: &str) {
        self.inject_at(0, from, text);
    }

    /// The same, to one of the edge's sockets.
    pub fn inject_at(&mut self, socket: usize, from: SocketAddr, text: &str) {
        self.put(from, EDGE[socket].parse().unwrap(), text.as_bytes().to_vec());
    }

    /// The description in the last 200 that the edge gave the office.
    pub fn ok_body(&self) -> Vec<u8> {
        let office = self.peers[0].addr;
        let ok = |(_, to, sent): &&(Instant, SocketAddr, Message)| {
            *to == office && sent.status() == Some(200) && sent.method() == Method::Invite
        };
        self.sent.iter().rev().find(ok).expect("a 200").2.body().to_vec()
    }

    /// The edge ends all its calls.
    pub fn close(&mut self) {
        let (b2bua, mut world) = self.world();
        b2bua.close(&mut world);
        self.flush();
    }

    /// Lets `ms` pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + Span::from_millis(ms);
        self.flush();
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let packet = entry.remove();
                self.deliver(&packet);
                self.flush();
            }
            let now = self.now;
            for shard in 0..self.shard_count() {
                self.turn_to(shard);
                self.endpoint.expire(now);
                self.ports.expire(now);
                let (b2bua, mut world) = self.world();
                b2bua.expire(&mut world);
                self.flush();
            }
            for peer in &mut self.peers {
                peer.expire(now);
            }
            self.flush();
        }
        self.now = end;
    }

    fn next(&self) -> Option<Instant> {
        let wire = self.wire.keys().next().map(|key| key.0);
        let peers = self.peers.iter().filter_map(Peer::deadline);
        let edge = [self.endpoint.deadline(), self.b2bua.deadline(), self.ports.deadline()].into_iter().flatten();
        peers.chain(edge).chain(wire).chain(self.elsewhere_due()).min()
    }

    fn deliver(&mut self, packet: &Packet) {
        let edge = EDGE.iter().position(|addr| *addr == packet.to.to_string());
        if let Some(socket) = edge {
            let flow = Flow { socket: SocketId(socket as u16), peer: packet.from, transport: Transport::Udp };
            self.turn_to(self.owner_of(&packet.bytes));
            // A refusal was answered where it must be; its counter tells.
            let _refused = self.endpoint.receive(self.now, flow, &packet.bytes);
            return;
        }
        let Some(index) = self.peers.iter().position(|peer| peer.addr == packet.to) else { return };
        if self.peers[index].closed {
            let socket = EDGE.iter().position(|addr| *addr == packet.from.to_string()).unwrap();
            let sender = sip::scan(&packet.bytes).and_then(|scan| sip::owner(KEY, scan.branch));
            self.turn_to(sender.map_or(0, |(_, shard)| shard.0));
            let (now, fault) = (self.now, TransportFault::PortUnreachable);
            self.endpoint.undeliverable(now, SocketId(socket as u16), packet.to, &packet.bytes, fault);
        } else if !self.peers[index].dead {
            let flow = Flow { socket: SocketId(0), peer: packet.from, transport: Transport::Udp };
            let _refused = self.peers[index].endpoint.receive(self.now, flow, &packet.bytes);
        }
    }

    /// Everyone says what they have to say now.
    fn flush(&mut self) {
        self.flush_shard();
        while self.pass_between() {
            self.flush_shard();
        }
        self.flush_peers();
        self.flush_effects();
    }

    /// The shard that acts does.
    fn flush_shard(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            let (b2bua, mut world) = self.world();
            b2bua.event(&mut world, event);
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            if let Some(to) = transmit.flow.shard() {
                self.say_between(to, transmit.bytes);
                continue;
            }
            let from = EDGE[transmit.flow.socket.index()].parse().unwrap();
            let message = Message::parse(transmit.bytes.clone()).expect("the edge writes what it can read");
            self.sent.push((self.now, transmit.flow.peer, message));
            self.put(from, transmit.flow.peer, transmit.bytes);
        }
    }

    fn flush_peers(&mut self) {
        let now = self.now;
        for index in 0..self.peers.len() {
            self.peers[index].drain(now);
            while let Some(transmit) = self.peers[index].endpoint.poll_transmit() {
                if !self.peers[index].dead {
                    let from = self.peers[index].addr;
                    let text = String::from_utf8(transmit.bytes).expect("peers write text");
                    self.put(from, transmit.flow.peer, text.replace(OFFER, self.overload).into_bytes());
                }
            }
        }
    }

    fn flush_effects(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::AuthFailed(_) => self.auth_failed += 1,
                // Nobody registers through this lab.
                Effect::RegistrarMoved { .. } | Effect::RegistrarGone(_) => panic!("no trunk is behind"),
                Effect::Bound(bound) => self.bound.push(bound),
                Effect::Signal(signal) => self.signals.push(signal),
                Effect::Leg(call, call_id) => drop(self.legs.insert(call_id, call)),
                Effect::Ended(call) => {
                    self.legs_were_told(&call);
                    self.ended.push(*call);
                }
                Effect::Barred(trunk, why) => self.barred.push((trunk.0, why)),
                Effect::CredentialsRefused(trunk, code) => self.refused.push((trunk.0, code)),
                Effect::Foreign(flow) => self.foreign.push(flow.peer),
            }
        }
    }

    /// Of each Call-ID that was on the wire it was said whose it is. What a drill has failed was on none.
    fn legs_were_told(&self, call: &EndedCall) {
        let sent = call.attempts.iter().filter(|attempt| attempt.fault.is_none());
        for attempt in sent {
            assert_eq!(self.legs.get(&attempt.call_id), Some(&call.call), "{call:?}");
        }
        assert!(call.call_id.is_empty() || self.legs.contains_key(&call.call_id), "{call:?}");
    }

    /// What `peer` says is lost for so many milliseconds.
    pub fn hush(&mut self, peer: usize, ms: u64) {
        self.hushed.push((self.peers[peer].addr, self.now + Span::from_millis(ms)));
    }

    fn put(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let copies = 1 + u64::from(self.chance.below(1_000) < self.weather.doubled);
        for _ in 0..copies {
            let hushed = self.hushed.iter().any(|(addr, until)| *addr == from && self.now < *until);
            if hushed || self.chance.below(1_000) < self.weather.lost {
                continue;
            }
            let at = self.now + Span::from_millis(5 + self.chance.below(self.weather.jitter + 1));
            self.serial += 1;
            self.wire.insert((at, self.serial), Packet { from, to, bytes: bytes.clone() });
        }
    }

    /// An RTP packet of `peer` to the port that `sdp` told it: where it leaves to.
    pub fn speak(&mut self, peer: usize, sdp: &[u8]) -> Option<SocketAddr> {
        let mut packet = [0u8; 172];
        packet[..12].copy_from_slice(&[0x80, 8, 0, 1, 0, 0, 0, 160, 0, 0, 0, peer as u8 + 1]);
        let ip = line_of(sdp, "c=").rsplit(' ').next().unwrap_or_default().parse().ok()?;
        self.relayed(self.peers[peer].media, SocketAddr::new(ip, port_of(sdp)), &mut packet)
    }

    /// Any packet of `peer` to this port of the edge: where it leaves to, and as what.
    pub fn pass(&mut self, port: u16, from: SocketAddr, packet: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
        let pair = PairId((u32::from(port) - 10_000) / 2);
        let mut packet = packet.to_vec();
        match self.relay.forward(self.now, pair, Component::Rtp, from, &mut media::Packet::whole(&mut packet)) {
            Forward::Send { to, .. } => Some((to, packet)),
            Forward::Local | Forward::Made | Forward::Drop(_) => None,
        }
    }

    /// A report (RTCP) of `peer`, to the port above the one that it was told.
    pub fn report(&mut self, peer: usize) {
        let pair = PairId((u32::from(port_of(&self.shown_last(peer))) - 10_000) / 2);
        let from = SocketAddr::new(self.peers[peer].media.ip(), self.peers[peer].media.port() + 1);
        let mut bytes = [0u8; 8];
        bytes[..4].copy_from_slice(&[0x80, 201, 0, 1]);
        self.relay.forward(self.now, pair, Component::Rtcp, from, &mut media::Packet::whole(&mut bytes));
    }

    /// A report of `peer`: how far it has come in what it hears of `of`.
    pub fn report_of(&mut self, peer: usize, of: usize, highest: u32) {
        let pair = PairId((u32::from(port_of(&self.shown_last(peer))) - 10_000) / 2);
        let from = SocketAddr::new(self.peers[peer].media.ip(), self.peers[peer].media.port() + 1);
        let mut bytes = Vec::new();
        let block = media::rtcp::Block { ssrc: of as u32 + 1, highest, ..media::rtcp::Block::default() };
        media::rtcp::push_receiver(&mut bytes, peer as u32 + 1, &[block]);
        self.relay.forward(self.now, pair, Component::Rtcp, from, &mut media::Packet::whole(&mut bytes));
    }

    /// What the relay has to tell, as a shard passes it on.
    pub fn tell(&mut self) {
        let (b2bua, mut world) = self.world();
        while let Some((pair, event)) = world.relay.poll_event() {
            b2bua.media(&mut world, pair, event);
        }
        self.flush();
    }

    /// The same, with what was made of it.
    pub fn pass_all(&mut self, port: u16, from: SocketAddr, packet: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut out: Vec<_> = self.pass(port, from, packet).into_iter().collect();
        while let Some(made) = self.relay.poll_made() {
            out.push((made.to, made.packet.to_vec()));
        }
        out
    }

    /// What was seen of a trunk.
    pub fn seen(&self, trunk: u16) -> Vec<Observed> {
        self.signals.iter().filter(|signal| signal.target.trunk == TrunkId(trunk)).map(|signal| signal.what).collect()
    }

    /// Everything ends: no call, leg, port, timer or transaction is left, nobody is left in an answered leg, the record's attempts are
    /// those of the wire, and every INVITE that the edge took got its record.
    pub fn settle(&mut self) {
        for _ in 0..4 {
            self.run(40_000);
        }
        for shard in 0..self.shard_count() {
            self.turn_to(shard);
            self.shard_is_at_rest();
        }
        self.turn_to(0);
        for (index, peer) in self.peers.iter().enumerate() {
            assert!(peer.dead || peer.closed || peer.open() == 0, "peer {index} is left in a call");
            assert!(peer.out_of_order == 0 || self.weather.jitter > 0, "peer {index} saw a CSeq fall");
        }
        let invites = self
            .sent
            .iter()
            .filter(|(_, _, sent)| sent.is_request() && sent.method() == Method::Invite && sent.to().tag().is_none());
        let on_wire: BTreeSet<Vec<u8>> = invites.map(|(_, _, invite)| invite.call_id().to_vec()).collect();
        // What a drill plays is recorded and never sent; a fault of the audio is none of the INVITE's.
        let sent = |fault| matches!(fault, None | Some(DrillFault::RtpFrom | DrillFault::RtpTo));
        let attempts = self.ended.iter().flat_map(|call| &call.attempts).filter(|attempt| sent(attempt.fault));
        let recorded: Vec<Vec<u8>> = attempts.map(|attempt| attempt.call_id.clone()).collect();
        assert_eq!(recorded.len(), on_wire.len(), "attempts on the wire and in the records");
        assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>(), on_wire);
    }

    fn shard_is_at_rest(&self) {
        assert_eq!(self.b2bua.calls(), 0, "calls");
        assert_eq!(self.b2bua.deadline(), None, "timers of calls");
        // A map that forgets nothing shows only in memory, years later.
        let inside = format!("{:?}", self.b2bua);
        for map in
            ["by_tag", "by_client", "by_server", "byes", "left", "leaving", "told", "pracked", "pages", "setting_up"]
        {
            let entries = inside.split(&format!(" {map}: {{")).nth(1);
            assert!(entries.is_none_or(|rest| rest.starts_with('}')), "{map} is not empty: {inside}");
        }
        assert_eq!(self.endpoint.transactions(), 0, "transactions");
        assert_eq!(self.relay.joined(), 0, "anchors");
        assert_eq!((self.ports.used(), self.ports.ready()), (0, 2 * PAIRS as usize), "ports");
        assert!(self.load.calls.iter().all(|calls| *calls == 0), "load {:?}", self.load.calls);
    }
}

/// Port of the first media line.
pub fn port_of(sdp: &[u8]) -> u16 {
    let text = std::str::from_utf8(sdp).unwrap();
    let line = text.lines().find(|line| line.starts_with("m=")).expect("a media line");
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A line of an SDP, or nothing.
pub fn line_of<'a>(sdp: &'a [u8], start: &str) -> &'a str {
    std::str::from_utf8(sdp).unwrap().lines().find(|line| line.starts_with(start)).unwrap_or_default()
}

/// Version in the `o=` line.
pub fn version_of(sdp: &[u8]) -> u64 {
    line_of(sdp, "o=").split(' ').nth(2).unwrap().parse().unwrap()
}
