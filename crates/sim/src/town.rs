//! The town around one edge: its shards and control, a PBX, carriers, the network between them, and one clock.
//!
//! Everything happens in order of virtual time; machines are drained after each input. Refuses to know: what should
//! happen; that is the oracle's.

use crate::air::{Air, Airs};
use crate::network::{Arrival, Datagram, Network, Weather};
use crate::oracle::Oracle;
use crate::zone::Zone;
use agent::{Agent, AgentConfig, Behaviour, Dial, Failing};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use edge::config::Settings;
use edge::{By, Control, ControlInput, ControlOutput, Input, Output, Shard, ShardConfig, ShardLimits, TrunkAct};
use media::{Component, Forward, Packet, PairId};
use model::{ForceLength, GroupId, Instant, ListenId, Seq, ShardId, Span, TransportFault, TrunkId, Wall};
use sip::{Flow, TimerSet, Transmit, Transport};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Room behind a packet, as a receive buffer has it.
const ROOM_BEHIND: usize = 64;
/// Secret of the town's edge.
const KEY: u64 = 0x7468_726f_7567_686c;
/// Wall clock at the start of every run: 2026-01-01T00:00:00Z.
const EPOCH_US: i64 = 1_767_225_600_000_000;
/// Port pairs each shard begins with, per listen.
const STOCK: u32 = 16;

/// The number of test calls, which carriers echo; callers never dial it.
pub(crate) const TEST_NUMBER: &str = "+4721000000";

/// The tiers of the carriers' group, as the configuration has them.
pub(crate) const CARRIERS: &str = "[[\"acme\"], [\"globex\"]]";

/// That group, the first of the configuration.
const CARRIERS_ID: GroupId = GroupId(0);

/// The edge's configuration, which a seed may vary.
pub(crate) const CONFIG: &str = r#"
[edge]
name = "town"

[listen.lan]
sip = ["udp:10.0.0.1:5060"]
media = "10.0.0.1:20000-29999"

[listen.wan]
sip = ["udp:10.0.1.1:5060"]
media = "10.0.1.1:30000-39999"

[trunk.office]
at = ["sip:10.0.0.20:5060"]
listen = "lan"

[trunk.acme]
at = "sip:10.0.1.31:5060"
listen = "wan"
test_call = { number = "+4721000000", every = "30s" }

[trunk.globex]
at = "sip:10.0.1.32:5060"
listen = "wan"

[trunk.initech]
at = "sip:10.0.1.33:5060"
listen = "wan"

[group.carriers]
tiers = [["acme"], ["globex"]]

[group.pbx]
tiers = [["office"]]
alone = true

[[route]]
from = ["office"]
to = "carriers"

[[route]]
from = ["acme", "globex", "initech"]
to = "pbx"
"#;

/// Where the agents live: the PBX, the two carriers of the group, and one that brings calls in and never fails.
pub(crate) const AGENTS: [Neighbour; 4] = [
    Neighbour { user: "office", ip: [10, 0, 0, 20], fails: false },
    Neighbour { user: "acme", ip: [10, 0, 1, 31], fails: true },
    Neighbour { user: "globex", ip: [10, 0, 1, 32], fails: true },
    Neighbour { user: "initech", ip: [10, 0, 1, 33], fails: false },
];

/// An agent beside the edge.
pub(crate) struct Neighbour {
    user: &'static str,
    ip: [u8; 4],
    /// It has outages.
    fails: bool,
}

/// The town.
pub struct Town {
    now: Instant,
    settings: Arc<Settings>,
    shards: Vec<Shard>,
    control: Control,
    agents: Vec<Agent>,
    network: Network,
    airs: Airs,
    pairs: Pairs,
    /// What names lead to.
    pub(crate) zone: Zone,
    /// What watches.
    pub oracle: Oracle,
}

/// The edge's media ports: which pair of which shard an address belongs to, and back.
#[derive(Default)]
struct Pairs {
    by_addr: BTreeMap<SocketAddr, (usize, PairId, Component)>,
    by_pair: Vec<Vec<SocketAddr>>,
    next_port: BTreeMap<u16, u16>,
}

impl Pairs {
    fn address(&self, shard: usize, pair: PairId, component: Component) -> SocketAddr {
        let mut at = self.by_pair[shard][pair.0 as usize];
        if component == Component::Rtcp {
            at.set_port(at.port() + 1);
        }
        at
    }
}

impl Town {
    /// An edge of `shards` shards, and its neighbours, in this weather.
    pub fn new(settings: Arc<Settings>, shards: u8, weather: Weather, seed: u64) -> Self {
        let now = Instant::ZERO;
        let control = Control::new(now, wall(now), settings.clone(), seed, Seq(1));
        let snapshot = control.snapshot().clone();
        let limits = ShardLimits { calls: 2_000, transactions: 20_000, pairs: 4_096, probes: 64, addresses: 10_000 };
        let shard = |shard: u8| {
            let config = ShardConfig {
                shard: ShardId(shard),
                shards,
                node: 1,
                key: KEY,
                seed: seed ^ u64::from(shard) << 32,
                limits: limits.clone(),
            };
            Shard::new(&config, snapshot.clone())
        };
        let mut town = Self {
            now,
            shards: (0..shards).map(shard).collect(),
            control,
            agents: AGENTS.iter().zip(seed..).map(|(neighbour, seed)| agent(neighbour, &settings, seed)).collect(),
            network: Network::new(weather, seed ^ 0x77ea),
            airs: Airs::new(AGENTS.len(), seed),
            pairs: Pairs { by_pair: vec![Vec::new(); usize::from(shards)], ..Pairs::default() },
            zone: Zone::default(),
            oracle: Oracle::of(&settings),
            settings,
        };
        for shard in 0..town.shards.len() {
            for listen in 0..town.settings.listens.len() {
                town.stock(shard, ListenId(listen as u16), STOCK);
            }
        }
        town.drain_control();
        town
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The weather changes.
    pub fn weather(&mut self, weather: Weather) {
        self.network.set(weather);
    }

    /// Audio to and from an agent is lost so from now on; its signalling passes.
    pub fn air(&mut self, agent: usize, air: Air) {
        self.airs.set(agent, air);
    }

    /// An agent fails so, or works again.
    pub fn fail(&mut self, agent: usize, failing: Option<Failing>) {
        let behaviour = Behaviour { failing, ..self.agents[agent].behaviour() };
        self.behave(agent, behaviour);
    }

    /// An agent behaves so from now on.
    pub fn behave(&mut self, agent: usize, behaviour: Behaviour) {
        self.agents[agent].handle(self.now, agent::Input::Behave(behaviour));
        self.drain_agent(agent);
    }

    /// An agent calls through the edge.
    pub fn dial(&mut self, agent: usize, number: &str, talk: Span, give_up: Option<Span>, late_offer: bool) {
        let ip = if agent == 0 { [10, 0, 0, 1] } else { [10, 0, 1, 1] };
        let dial = Dial {
            to: SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), 5060),
            number: number.to_owned(),
            mark: String::new(),
            late_offer,
            tone_hz: 1_000,
            presses: Vec::new(),
            hang_up_after: Some(talk),
            give_up_after: give_up,
        };
        self.oracle.dialled(agent, self.agents[agent].next_call());
        self.agents[agent].handle(self.now, agent::Input::Dial(dial));
        self.drain_agent(agent);
    }

    /// The connection between the edge and an agent that is reached by TCP dies, with all that is on its way.
    #[cfg(test)]
    pub(crate) fn cut(&mut self, agent: usize) {
        let peer = self.agents[agent].address();
        let sockets = self.settings.sockets.iter().filter(|socket| socket.transport.is_reliable());
        for (id, bind, transport) in sockets.map(|one| (one.id, one.bind, one.transport)).collect::<Vec<_>>() {
            self.network.cut(bind, peer);
            let flow = Flow { socket: id, peer, transport };
            for shard in 0..self.shards.len() {
                self.shards[shard].handle(self.now, Input::Broken { flow, fault: TransportFault::Broken });
                self.drain_shard(shard);
            }
        }
    }

    /// The operator acts.
    pub fn operate(&mut self, trunk: TrunkId, act: TrunkAct) {
        self.tell(ControlInput::Operate { trunk, act, by: By::way("sim") });
    }

    /// The operator puts a tier of the carriers first.
    pub fn force(&mut self, tier: u8, length: ForceLength) {
        self.tell(ControlInput::Force { group: CARRIERS_ID, tier, length, by: By::way("sim") });
    }

    /// He takes his word back.
    pub fn release(&mut self) {
        self.tell(ControlInput::Release { group: CARRIERS_ID, by: By::way("sim") });
    }

    /// Control is told of something for which this town has no source.
    #[cfg(test)]
    pub(crate) fn observe(&mut self, target: model::TargetId, what: model::Observed) {
        let signal = model::Signal { at: self.now, target, what };
        self.tell(ControlInput::Signal(signal));
    }

    /// A new configuration is taken in the middle of everything.
    pub fn reload(&mut self, settings: Arc<Settings>) {
        self.settings = settings.clone();
        self.tell(ControlInput::Reload(Ok(settings)));
    }

    /// Control is told, and what it says is heard.
    fn tell(&mut self, input: ControlInput) {
        self.control.handle(self.now, wall(self.now), input);
        self.drain_control();
    }

    /// Lets everything happen that happens until `until`.
    pub fn run_until(&mut self, until: Instant) {
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = until;
    }

    /// Calls the edge has, transactions it holds, port pairs not free, calls counted on trunks, calls the agents have.
    pub fn left(&self) -> [(&'static str, u64); 5] {
        let views: Vec<_> = self.shards.iter().map(Shard::view).collect();
        [
            ("calls", views.iter().map(|view| view.calls).sum()),
            ("transactions", views.iter().map(|view| view.transactions).sum()),
            ("port pairs", views.iter().map(|view| view.ports_used).sum()),
            ("calls counted on trunks", views.iter().flat_map(|view| &view.trunk_calls).map(|n| u64::from(*n)).sum()),
            ("calls of agents", self.agents.iter().zip(&AGENTS).map(calls_left).sum()),
        ]
    }

    /// The control machine, for its table.
    pub fn control(&self) -> &Control {
        &self.control
    }

    fn next(&self) -> Option<Instant> {
        let shards = self.shards.iter().filter_map(Shard::deadline);
        let agents = self.agents.iter().filter_map(Agent::deadline);
        shards
            .chain(agents)
            .chain(self.network.deadline())
            .chain(self.control.deadline())
            .chain(self.zone.deadline())
            .min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(arrival) = self.network.arrive(now) {
            self.arrive(arrival);
        }
        for shard in 0..self.shards.len() {
            if self.shards[shard].deadline().is_some_and(|at| at <= now) {
                self.shards[shard].handle(now, Input::Tick);
                self.drain_shard(shard);
            }
        }
        for agent in 0..self.agents.len() {
            if self.agents[agent].deadline().is_some_and(|at| at <= now) {
                self.agents[agent].handle(now, agent::Input::Tick);
                self.drain_agent(agent);
            }
        }
        while let Some((question, reply)) = self.zone.answer(now) {
            self.control.handle(now, wall(now), ControlInput::Resolved { question, reply });
            self.drain_control();
        }
        if self.control.deadline().is_some_and(|at| at <= now) {
            self.control.handle(now, wall(now), ControlInput::Tick);
            self.drain_control();
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Datagram(datagram) => match self.resident(datagram.to) {
                Resident::Edge(socket) => self.arrive_at_edge(socket, &datagram),
                Resident::Agent(agent) => self.arrive_at_agent(agent, datagram),
                Resident::Nobody => self.arrive_media(datagram),
            },
            Arrival::Refused(datagram) => {
                let fault = TransportFault::PortUnreachable;
                match self.resident(datagram.from) {
                    Resident::Edge(socket) => {
                        let shard = self.shard_of_sent(&datagram.bytes);
                        let input = Input::Undeliverable {
                            socket: socket.socket,
                            peer: datagram.to,
                            sent: &datagram.bytes,
                            fault,
                        };
                        self.shards[shard].handle(self.now, input);
                        self.drain_shard(shard);
                    }
                    Resident::Agent(agent) => {
                        let input = agent::Input::Undeliverable { peer: datagram.to, sent: &datagram.bytes, fault };
                        self.agents[agent].handle(self.now, input);
                        self.drain_agent(agent);
                    }
                    Resident::Nobody => {}
                }
            }
        }
    }

    fn arrive_at_edge(&mut self, flow: Flow, datagram: &Datagram) {
        self.oracle.reached_edge(self.now, &datagram.bytes);
        let shard = edge::steer(KEY, self.shards.len() as u8, &datagram.bytes).map_or(0, ShardId::index);
        let flow = Flow { peer: datagram.from, ..flow };
        self.shards[shard].handle(self.now, Input::Datagram { flow, bytes: &datagram.bytes });
        self.drain_shard(shard);
    }

    fn arrive_at_agent(&mut self, agent: usize, datagram: Datagram) {
        if self.agents[agent].behaviour().failing == Some(Failing::Closed) {
            return self.network.refuse(self.now, datagram);
        }
        let input = agent::Input::Datagram { from: datagram.from, bytes: &datagram.bytes };
        self.agents[agent].handle(self.now, input);
        self.drain_agent(agent);
    }

    fn arrive_media(&mut self, mut datagram: Datagram) {
        if let Some((shard, pair, component)) = self.pairs.by_addr.get(&datagram.to).copied() {
            let length = datagram.bytes.len();
            datagram.bytes.resize(length + ROOM_BEHIND, 0);
            let mut packet = Packet::new(&mut datagram.bytes, length);
            let verdict = self.shards[shard].relay(self.now, pair, component, datagram.from, &mut packet);
            let bytes = packet.bytes().to_vec();
            if let Forward::Send { pair, component, to } = verdict {
                let from = self.pairs.address(shard, pair, component);
                self.network.send(self.now, Datagram { from, to, bytes });
            }
            self.send_made(shard);
            return;
        }
        if let Some(agent) = self.agents.iter().position(|agent| agent.address().ip() == datagram.to.ip())
            && !self.airs.loses_to(agent)
        {
            let input = agent::Input::Media { port: datagram.to.port(), packet: &datagram.bytes };
            self.agents[agent].handle(self.now, input);
            self.drain_agent(agent);
        }
    }

    /// What the relay of a shard has made itself.
    fn send_made(&mut self, shard: usize) {
        while let Some(made) = self.shards[shard].poll_made() {
            let (to, bytes) = (made.to, made.packet.to_vec());
            let from = self.pairs.address(shard, made.pair, made.component);
            self.network.send(self.now, Datagram { from, to, bytes });
        }
    }

    fn drain_shard(&mut self, shard: usize) {
        self.send_made(shard);
        while let Some(output) = self.shards[shard].poll() {
            match output {
                Output::Datagram(transmit) => {
                    self.oracle.sent_by_edge(self.now, &transmit.bytes);
                    let from = self.settings.sockets[transmit.flow.socket.index()].bind;
                    self.network.send(self.now, Datagram { from, to: transmit.flow.peer, bytes: transmit.bytes });
                }
                Output::Between { to, transmit } => self.pass_between(shard, to, transmit),
                Output::Signal(signal) => {
                    self.control.handle(self.now, wall(self.now), ControlInput::Signal(signal));
                    self.drain_control();
                }
                Output::Ended(record) => {
                    self.control.handle(self.now, wall(self.now), ControlInput::Ended(record));
                    self.drain_control();
                }
                Output::Tested(tested) => {
                    self.oracle.tested(&tested);
                    self.control.handle(self.now, wall(self.now), ControlInput::Tested(tested));
                    self.drain_control();
                }
                Output::ServiceRoute(route) => {
                    self.control.handle(self.now, wall(self.now), ControlInput::ServiceRoute(route));
                    self.drain_control();
                }
                Output::Bound(bound) => {
                    let shard = ShardId(shard as u8);
                    self.control.handle(self.now, wall(self.now), ControlInput::Bound { shard, bound });
                    self.drain_control();
                }
                Output::Media { pair, component, to, packet } => {
                    let from = self.pairs.address(shard, pair, component);
                    self.network.send(self.now, Datagram { from, to, bytes: packet.to_vec() });
                }
                Output::Notice(notice) => {
                    self.control.handle(self.now, wall(self.now), ControlInput::Notice(notice));
                    self.drain_control();
                }
                Output::WantPorts { listen, count } => self.stock(shard, listen, count),
                // All who speak here are trunks, and no guard shuts those out.
                Output::View { .. } | Output::Passed { .. } | Output::Captured { .. } | Output::Close(_) => {}
            }
        }
    }

    /// From one shard to another, at once: no network is between them.
    fn pass_between(&mut self, from: usize, to: ShardId, transmit: Transmit) {
        if to.index() < self.shards.len() {
            self.shards[to.index()]
                .handle(self.now, Input::Between { from: ShardId(from as u8), bytes: &transmit.bytes });
            return self.drain_shard(to.index());
        }
        let Transmit { flow: Flow { socket, peer, .. }, bytes } = transmit;
        let fault = TransportFault::Local;
        self.shards[from].handle(self.now, Input::Undeliverable { socket, peer, sent: &bytes, fault });
    }

    fn drain_control(&mut self) {
        while let Some(output) = self.control.poll() {
            match output {
                ControlOutput::Update(snapshot) => {
                    for shard in 0..self.shards.len() {
                        self.shards[shard].handle(self.now, Input::Update(snapshot.clone()));
                        self.drain_shard(shard);
                    }
                }
                ControlOutput::Probe(order) => {
                    let shard = order.target.trunk.index() % self.shards.len();
                    self.shards[shard].handle(self.now, Input::Probe(order));
                    self.drain_shard(shard);
                }
                ControlOutput::TestCall(order) => {
                    let shard = order.target.trunk.index() % self.shards.len();
                    self.shards[shard].handle(self.now, Input::TestCall(order));
                    self.drain_shard(shard);
                }
                ControlOutput::Lookup(question) => self.zone.ask(self.now, question),
                ControlOutput::Bindings { except, bound } => {
                    let others = (0..self.shards.len()).filter(|shard| except.is_none_or(|one| one.index() != *shard));
                    for shard in others.collect::<Vec<_>>() {
                        self.shards[shard].handle(self.now, Input::Bindings(&bound));
                        self.drain_shard(shard);
                    }
                }
                ControlOutput::Tested { .. }
                | ControlOutput::Keep(_)
                | ControlOutput::Forgive(_)
                | ControlOutput::Drill(_) => {}
                ControlOutput::Entry(entry) => self.oracle.entry(self.now, &entry),
            }
        }
    }

    fn drain_agent(&mut self, agent: usize) {
        while let Some(output) = self.agents[agent].poll() {
            match output {
                agent::Output::Datagram(transmit) => {
                    let from = self.agents[agent].address();
                    self.network.send(self.now, Datagram { from, to: transmit.flow.peer, bytes: transmit.bytes });
                }
                agent::Output::Media { .. } if self.airs.loses_from(agent) => {}
                agent::Output::Media { port, to, packet } => {
                    let from = SocketAddr::new(self.agents[agent].address().ip(), port);
                    self.network.send(self.now, Datagram { from, to, bytes: packet });
                }
                agent::Output::Report(report) => self.oracle.report(agent, &report),
                agent::Output::OpenMedia(_) | agent::Output::CloseMedia(_) => {}
            }
        }
    }

    fn stock(&mut self, shard: usize, listen: ListenId, count: u32) {
        let Some(range) = self.settings.listens[listen.index()].media else { return };
        let mut ready = Vec::new();
        for _ in 0..count {
            let next = self.pairs.next_port.entry(listen.0).or_insert(range.first);
            if *next >= range.last {
                break;
            }
            let rtp = SocketAddr::new(range.bind, *next);
            *next += 2;
            let pair = PairId(self.pairs.by_pair[shard].len() as u32);
            self.pairs.by_pair[shard].push(rtp);
            self.pairs.by_addr.insert(rtp, (shard, pair, Component::Rtp));
            self.pairs.by_addr.insert(SocketAddr::new(range.bind, rtp.port() + 1), (shard, pair, Component::Rtcp));
            ready.push((pair, rtp));
        }
        self.shards[shard].handle(self.now, Input::Ports { listen, pairs: ready });
        self.drain_shard(shard);
    }

    fn resident(&self, addr: SocketAddr) -> Resident {
        if let Some(socket) = self.settings.sockets.iter().find(|socket| socket.bind == addr) {
            return Resident::Edge(Flow { socket: socket.id, peer: addr, transport: socket.transport });
        }
        self.agents.iter().position(|agent| agent.address() == addr).map_or(Resident::Nobody, Resident::Agent)
    }

    /// The shard that sent this: a request by its branch, as a response to it would be steered.
    fn shard_of_sent(&self, bytes: &[u8]) -> usize {
        let shard = sip::scan(bytes).and_then(|scan| sip::owner(KEY, scan.branch));
        shard.map(|(_, shard)| shard.index()).filter(|shard| *shard < self.shards.len()).unwrap_or(0)
    }
}

/// The shard that minted this token.
pub(crate) fn owner(token: &[u8]) -> Option<u8> {
    sip::owner(KEY, token).map(|(_, shard)| shard.0)
}

enum Resident {
    Edge(Flow),
    Agent(usize),
    Nobody,
}

/// A carrier that was dead when its BYE came keeps its call; those that never fail must have none.
fn calls_left((agent, neighbour): (&Agent, &Neighbour)) -> u64 {
    if neighbour.fails { 0 } else { agent.calls() as u64 }
}

fn agent(neighbour: &Neighbour, settings: &Settings, seed: u64) -> Agent {
    let ip = IpAddr::V4(Ipv4Addr::from(neighbour.ip));
    let targets = settings.profiles.trunks.iter().flatten().flat_map(|trunk| &trunk.targets);
    let transport =
        targets.clone().find(|target| target.addr.ip() == ip).map_or(Transport::Udp, |target| target.transport);
    let config = AgentConfig {
        transport,
        user: neighbour.user.to_owned(),
        sip: SocketAddr::new(ip, 5060),
        media_ip: ip,
        first_port: 40_000,
        calls: 500,
        seed,
        timers: TimerSet::default(),
    };
    Agent::new(config, works())
}

/// How a neighbour behaves that works.
pub(crate) fn works() -> Behaviour {
    Behaviour { echo_number: Some(TEST_NUMBER), ..Behaviour::default() }
}

fn wall(now: Instant) -> Wall {
    Wall::from_micros(EPOCH_US + now.as_micros() as i64)
}
