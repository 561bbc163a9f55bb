//! One core's worth of calls: SIP endpoint, B2BUA, media relay and ports behind one door.
//!
//! A shard reads no shared memory and no clock: configuration and trunk table reach it as `Input::Update`, time beside
//! every input. One mutation, then drain. Refuses to know: sockets, other shards, who judges trunks.

mod capture;
mod drilled;
mod legs;
mod registrations;
mod shown;

use self::capture::Tap;
use crate::call_record;
use crate::guard::{Arrival, Guard, Offence, Shut, Standing};
use crate::io::{Input, Notice, Output, Snapshot};
use crate::options::{self, Probes, Situation};
use crate::test_calls::TestCalls;
use act::{B2bua, Effect, Nonces, Passages, Phones, Ports, Registrants, Registrar, TestCallWorld, World};
use core::net::SocketAddr;
use decide::Load;
use media::codec::Vocoders;
use media::{Component, Forward, Keying, Made, Packet, PairId, Relay};
use model::{Instant, Rng, ShardId};
use sip::{Answer, Endpoint, Event, Flow, Message, Method, Minter, Rejected, ServerKey};
use std::collections::VecDeque;
use std::sync::Arc;

/// How much a shard may hold.
#[derive(Clone, Debug)]
pub struct ShardLimits {
    /// Calls.
    pub calls: usize,
    /// SIP transactions.
    pub transactions: usize,
    /// Media port pairs.
    pub pairs: usize,
    /// Probes on the wire.
    pub probes: usize,
    /// Phones' addresses with bindings; every shard knows all of them.
    pub addresses: usize,
}

impl Default for ShardLimits {
    fn default() -> Self {
        Self { calls: 50_000, transactions: 400_000, pairs: 65_536, probes: 4_096, addresses: 1_000_000 }
    }
}

/// What makes one shard different from another.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Which one.
    pub shard: ShardId,
    /// Of how many: each holds its part of a trunk's limits.
    pub shards: u8,
    /// Number of the node, minted into tokens.
    pub node: u16,
    /// Secret of all tokens and of steering; the same for all shards of a node.
    pub key: u64,
    /// Seed of its tags, weights and hashes.
    pub seed: u64,
    /// How much it may hold.
    pub limits: ShardLimits,
}

/// One shard.
pub struct Shard {
    shard: ShardId,
    snapshot: Arc<Snapshot>,
    endpoint: Endpoint,
    relay: Relay,
    ports: Ports,
    b2bua: B2bua,
    probes: Probes,
    test_calls: TestCalls,
    guard: Guard,
    nonces: Nonces,
    /// Key of the marks that tokens of ours bear.
    key: u64,
    registrar: Registrar,
    passages: Passages,
    registrants: Registrants,
    /// Of how many shards this is one.
    shards: u8,
    load: Load,
    rng: Rng,
    draining: bool,
    effects: Vec<Effect>,
    out: VecDeque<Output>,
    tap: Tap,
    /// When it was last told something.
    now: Instant,
    counters: Counters,
}

/// What the shard itself counts; its parts count the rest.
#[derive(Clone, Debug)]
struct Counters {
    /// By reason; each is there from the start, so that a rule can be written before it is needed.
    rejected: [(&'static str, u64); Rejected::REASONS.len()],
    /// Messages that came by a socket as if it were the way between shards.
    forged_ways: u64,
    probes_unsent: u64,
    options_answered: u64,
    credentials_refused: u64,
    /// What was seen of a drill's calls.
    signals_spared: u64,
}

impl Counters {
    fn new() -> Self {
        let rejected = Rejected::REASONS.map(|reason| (reason, 0));
        Self {
            rejected,
            forged_ways: 0,
            probes_unsent: 0,
            options_answered: 0,
            credentials_refused: 0,
            signals_spared: 0,
        }
    }

    fn reject(&mut self, reason: &'static str) {
        if let Some((_, count)) = self.rejected.iter_mut().find(|(known, _)| *known == reason) {
            *count += 1;
        }
    }
}

impl Shard {
    /// An empty shard that works by `snapshot`.
    pub fn new(config: &ShardConfig, snapshot: Arc<Snapshot>) -> Self {
        let minter = Minter::new(config.node, config.shard, config.key, config.seed);
        let limits = sip::Limits { transactions: config.limits.transactions, ..sip::Limits::default() };
        let mut shard = Self {
            shard: config.shard,
            endpoint: Endpoint::new(minter, limits, config.seed),
            relay: Relay::new(config.limits.pairs),
            ports: Ports::new(config.limits.pairs),
            b2bua: B2bua::new(config.limits.calls, config.shard, config.seed),
            probes: Probes::new(config.limits.probes),
            test_calls: TestCalls::default(),
            guard: Guard::new(snapshot.settings.guard.clone(), config.shards, config.seed ^ config.key),
            nonces: Nonces::default(),
            key: config.key,
            registrar: Registrar::new(
                config.limits.addresses,
                config.key,
                (config.shard.0, config.shards),
                config.seed,
            ),
            passages: Passages::default(),
            registrants: Registrants::default(),
            shards: config.shards.max(1),
            load: Load::of_shard(config.shard.0, config.shards),
            rng: Rng::new(config.seed),
            draining: false,
            effects: Vec::new(),
            out: VecDeque::new(),
            tap: Tap::new(),
            now: Instant::ZERO,
            counters: Counters::new(),
            snapshot,
        };
        shard.bind();
        shard.follow_registrations(Instant::ZERO);
        shard
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = now;
        match input {
            // Whoever gives a socket this number would let strangers in as ourselves.
            Input::Datagram { flow, .. } | Input::Passed { flow, .. } if flow.is_between_shards() => {
                self.counters.forged_ways += 1;
            }
            Input::Between { from, bytes } => self.receive(now, Flow::to_shard(from), bytes),
            Input::Datagram { flow, bytes } => match self.screen(now, flow, bytes) {
                Ok(()) => self.receive(now, flow, bytes),
                Err(shut) if flow.transport.is_reliable() && shut.is_of_the_source() => {
                    self.out.push_back(Output::Close(flow));
                }
                Err(_) => {}
            },
            Input::Passed { flow, bytes } => {
                let arrival = self.arrival(flow, bytes);
                match self.guard.screen_passed(now, &arrival) {
                    Ok(()) => self.receive(now, flow, bytes),
                    Err(_) if flow.transport.is_reliable() => self.out.push_back(Output::Close(flow)),
                    Err(_) => {}
                }
            }
            Input::Undeliverable { socket, peer, sent, fault } => {
                self.endpoint.undeliverable(now, socket, peer, sent, fault);
            }
            Input::Broken { flow, fault } => {
                let profiles = &self.snapshot.settings.profiles;
                // RFC 5626 §5.3: a phone is reached by the flow it has registered by, and never where its Contact says.
                let is_phone = self.registrar.is_phones(flow);
                let anew = |hop: Option<_>| act::way_anew(profiles, flow, hop.filter(|_| !is_phone));
                self.endpoint.broken(now, flow, fault, &anew);
                self.unbind(now, flow);
                let (b2bua, mut world) = self.split(now);
                b2bua.broken(&mut world, flow, fault);
            }
            Input::Update(snapshot) => self.update(now, snapshot),
            Input::Probe(order) => self.probe(now, order),
            Input::TestCall(order) => self.test_call(now, order),
            Input::Ports { listen, pairs } => self.ports.stock(now, listen, &pairs),
            Input::Bindings(all) => all.iter().for_each(|bound| self.registrar.install(now, bound)),
            Input::Forgive(whom) => self.guard.forgive(now, whom),
            Input::Look { ticket, call, after, most } => self.look(now, ticket, call, after, most),
            Input::Capture { ticket, call, call_ids } => self.capture(ticket, call, &call_ids),
            Input::Drain => self.drain(now),
            Input::Close => {
                self.drain(now);
                let (b2bua, mut world) = self.split(now);
                b2bua.close(&mut world);
            }
            Input::Tick => self.tick(now),
        }
        self.settle(now);
    }

    /// Whether a datagram may come in at all. Whoever passes it on to another shard asks first: what is kept out makes no work there.
    pub fn lets_in(&mut self, now: Instant, flow: Flow, bytes: &[u8]) -> bool {
        self.screen(now, flow, bytes).is_ok()
    }

    fn screen(&mut self, now: Instant, flow: Flow, bytes: &[u8]) -> Result<(), Shut> {
        let arrival = self.arrival(flow, bytes);
        self.guard.screen(now, &arrival)
    }

    fn arrival<'a>(&self, flow: Flow, bytes: &'a [u8]) -> Arrival<'a> {
        let settings = &self.snapshot.settings;
        let listen = settings.profiles.side_of(flow.socket);
        let registrar = settings.registrar.as_ref();
        Arrival {
            from: flow.peer,
            listen,
            registers: registrar.is_some_and(|rules| listen.is_some_and(|listen| rules.listens.contains(&listen))),
            standing: self.standing(flow),
            key: self.key,
            bytes,
        }
    }

    /// Whose a flow is.
    fn standing(&self, flow: Flow) -> Standing {
        if self.is_trunks(flow) {
            Standing::Trunk
        } else if self.registrar.is_bound(flow) {
            Standing::Phone
        } else {
            Standing::Stranger { phones: self.registrar.behind(flow.peer.ip()) }
        }
    }

    fn offence(&mut self, now: Instant, flow: Flow, offence: Offence) {
        let standing = self.standing(flow);
        self.guard.offence(now, flow.peer, standing, offence);
    }

    fn receive(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        self.tap.received(now, flow, bytes);
        let profiles = &self.snapshot.settings.profiles;
        let is_one_peer = |asked: Flow, came: Flow| profiles.is_one_peer(asked.socket, asked.peer, came.peer);
        let Err(rejected) = self.endpoint.receive_among(now, flow, bytes, &is_one_peer) else { return };
        self.counters.reject(rejected.reason());
        if matches!(rejected, Rejected::Malformed(_)) {
            self.offence(now, flow, Offence::Malformed);
        }
    }

    /// A request inside a call that is not its sender's. A trunk that errs is told of; a stranger is also held to it.
    fn foreign(&mut self, now: Instant, flow: Flow) {
        self.offence(now, flow, Offence::Failure);
        self.guard.tell(now, Notice::Foreign { source: flow.peer });
    }

    /// What is to be done next, if anything.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(news) = self.tap.poll() {
            return Some(news);
        }
        if let Some(transmit) = self.endpoint.poll_transmit() {
            return Some(match transmit.flow.shard() {
                Some(to) => Output::Between { to, transmit },
                None => {
                    self.tap.sent(self.now, transmit.flow, &transmit.bytes);
                    Output::Datagram(transmit)
                }
            });
        }
        self.out.pop_front()
    }

    /// When `Input::Tick` is due.
    pub fn deadline(&self) -> Option<Instant> {
        let (calls, tests) = (self.b2bua.deadline(), self.test_calls.deadline());
        let registrations = [self.registrar.deadline(), self.registrants.deadline()];
        let due = [self.endpoint.deadline(), calls, self.ports.deadline(), tests, self.relay.deadline()];
        due.into_iter().chain(registrations).flatten().min()
    }

    /// One RTP or RTCP packet of port pair `pair`: where it goes, or why nowhere. What is for a test call is taken in. Allocates nothing.
    #[inline]
    pub fn relay(
        &mut self,
        now: Instant,
        pair: PairId,
        component: Component,
        from: SocketAddr,
        packet: &mut Packet<'_>,
    ) -> Forward {
        let verdict = self.relay.forward(now, pair, component, from, packet);
        if matches!(verdict, Forward::Local) {
            self.test_calls.media(now, pair, component, from, packet.bytes());
        }
        verdict
    }

    /// Keys of secured parties are made with this from now on; without it none is secured.
    pub fn entrust(&mut self, keying: Keying) {
        self.relay.entrust(keying);
    }

    /// Sound is made from and into the codecs that there are here; until it is said, those that are built in.
    pub fn speak_by(&mut self, codecs: Arc<dyn Vocoders>) {
        self.relay.speak_by(codecs);
    }

    /// The next packet that the relay has made: ask until there is none, after each packet of which something was made and after each
    /// `Input::Tick`.
    #[inline]
    pub fn poll_made(&mut self) -> Option<Made<'_>> {
        self.relay.poll_made()
    }

    /// No call is left, and none is being ended.
    pub fn idle(&self) -> bool {
        self.b2bua.is_idle() && self.test_calls.is_idle() && self.registrants.is_idle()
    }

    fn update(&mut self, now: Instant, snapshot: Arc<Snapshot>) {
        let epoch = self.snapshot.table.epoch();
        let reloaded = !Arc::ptr_eq(&self.snapshot.settings, &snapshot.settings);
        let drill_changed = self.snapshot.drill != snapshot.drill;
        self.snapshot = snapshot;
        self.guard.install(&self.snapshot.settings.guard);
        let profiles = &self.snapshot.settings.profiles;
        self.nonces.retain(|trunk| profiles.trunk(trunk).is_some_and(|profile| profile.auth.is_some()));
        self.bind();
        if reloaded {
            self.ports.reorder();
            self.follow_registrations(now);
        }
        if self.snapshot.table.epoch() != epoch {
            let (b2bua, mut world) = self.split(now);
            b2bua.table_changed(&mut world);
        }
        self.follow_drill(now, drill_changed);
    }

    fn bind(&mut self) {
        self.endpoint.name(&self.snapshot.settings.product);
        for socket in &self.snapshot.settings.sockets {
            self.endpoint.bind_as(socket.id, socket.seen_as());
        }
        self.endpoint.large_requests_by(self.snapshot.settings.large_ways());
        self.tap.follow(&self.snapshot.settings, self.shards);
        self.load.resize(self.snapshot.settings.profiles.trunks.len());
        self.load.qualities = self.snapshot.qualities.clone();
    }

    fn probe(&mut self, now: Instant, order: sense::ProbeOrder) {
        if self.play_probe(now, &order) {
            return;
        }
        let profiles = self.snapshot.settings.profiles.clone();
        let sent = options::profile_of(&profiles, order.target)
            .is_some_and(|profile| self.probes.send(now, &mut self.endpoint, &mut self.nonces, profile, order));
        self.counters.probes_unsent += u64::from(!sent);
    }

    fn test_call(&mut self, now: Instant, order: sense::TestCallOrder) {
        let snapshot = self.snapshot.clone();
        let (test_calls, mut world, load) = self.split_tests(now);
        let answer = test_calls.place(&mut world, &snapshot.settings, load, order);
        self.out.extend(answer);
    }

    fn drain(&mut self, now: Instant) {
        self.draining = true;
        self.b2bua.drain();
        let (test_calls, mut world, _) = self.split_tests(now);
        test_calls.drain(&mut world);
        self.registrations(now, Registrants::drain);
    }

    fn tick(&mut self, now: Instant) {
        self.endpoint.expire(now);
        self.ports.expire(now);
        self.relay.tick(now);
        self.registrar.expire(now);
        self.registrations(now, Registrants::tick);
        let (b2bua, mut world) = self.split(now);
        while let Some((pair, event)) = world.relay.poll_event() {
            b2bua.media(&mut world, pair, event);
        }
        b2bua.expire(&mut world);
        let mut out = core::mem::take(&mut self.out);
        let (test_calls, mut world, _) = self.split_tests(now);
        test_calls.tick(&mut world, &mut out);
        self.out = out;
    }

    /// Drains what the parts have to say to each other until none has anything left.
    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            self.event(now, event);
        }
        for effect in core::mem::take(&mut self.effects) {
            match effect {
                Effect::Foreign(flow) => self.foreign(now, flow),
                Effect::Barred(trunk, why) => self.guard.tell(now, Notice::Barred { trunk, why }),
                Effect::CredentialsRefused(trunk, code) => {
                    self.counters.credentials_refused += 1;
                    self.guard.tell(now, Notice::CredentialsRefused { trunk, code });
                }
                Effect::Signal(signal) if self.is_spared(&signal) => self.counters.signals_spared += 1,
                Effect::Signal(signal) => self.out.push_back(Output::Signal(signal)),
                Effect::Bound(bound) => self.out.push_back(Output::Bound(bound)),
                Effect::RegistrarMoved { trunk, before, now: served_by } => {
                    self.guard.tell(now, Notice::RegistrarMoved { trunk, before, now: served_by });
                }
                Effect::RegistrarGone(trunk) => self.guard.tell(now, Notice::RegistrarGone { trunk }),
                Effect::AuthFailed(flow) => self.offence(now, flow, Offence::Failure),
                Effect::Leg(call, call_id) => self.tap.leg(call, call_id),
                Effect::Ended(call) => {
                    self.tap.ended(now, &call);
                    let record = call_record::ended(&self.snapshot.settings, *call);
                    self.out.push_back(Output::Ended(Box::new(record)));
                }
            }
        }
        self.test_calls.settle(&mut self.load, &mut self.out);
        self.out.extend(core::iter::from_fn(|| self.guard.poll()).map(Output::Notice));
        while let Some((listen, count)) = self.ports.want() {
            self.out.push_back(Output::WantPorts { listen, count });
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        let profiles = &self.snapshot.settings.profiles;
        match event {
            Event::Request { server, flow, message } if asks_us(&message) => {
                self.answer_options(now, server, flow, &message)
            }
            Event::Request { server, flow, message }
                if message.method() == Method::Register && self.registers(flow) =>
            {
                self.register(now, server, flow, &message);
            }
            Event::Response { client, message, .. } if self.probes.owns(client) => {
                let profiles = self.snapshot.settings.profiles.clone();
                let (endpoint, nonces, rng) = (&mut self.endpoint, &mut self.nonces, &mut self.rng);
                if self.probes.challenged(now, (endpoint, nonces, rng), client, &profiles, &message) {
                    return;
                }
                let wish = self.probes.overload(now, client, &self.snapshot.settings.profiles, &message);
                let signal = self.probes.answered(now, client, message.status().unwrap_or(0));
                self.out.extend(wish.into_iter().chain(signal).map(Output::Signal));
            }
            Event::ClientFailed { client, why } if self.probes.owns(client) => {
                let signal = self.probes.failed(now, client, why);
                self.out.extend(signal.map(Output::Signal));
            }
            Event::Response { client, message, .. } if self.passages.owns(client) => {
                self.passing(now, |passages, world| passages.response(world, client, &message));
            }
            Event::ClientFailed { client, why } if self.passages.owns(client) => {
                self.passing(now, |passages, world| passages.failed(world, client, why));
            }
            Event::Response { client, message, .. } if self.registrants.owns(client) => {
                self.registrations(now, |all, world| all.response(world, client, &message));
            }
            Event::ClientFailed { client, why } if self.registrants.owns(client) => {
                self.registrations(now, |all, world| all.failed(world, client, why));
            }
            Event::Response { client, message, .. } if self.test_calls.owns(client) => {
                let (test_calls, mut world, _) = self.split_tests(now);
                test_calls.response(&mut world, client, &message);
            }
            Event::ClientFailed { client, why } if self.test_calls.owns(client) => {
                let (test_calls, mut world, _) = self.split_tests(now);
                test_calls.failed(&mut world, client, why);
            }
            Event::Request { flow, message, server } if self.test_calls.is_foreign(profiles, flow, &message) => {
                self.endpoint.respond(now, server, Answer::new(481));
                self.foreign(now, flow);
            }
            Event::Request { server, message, .. } if self.test_calls.owns_dialog(&message) => {
                let (test_calls, mut world, _) = self.split_tests(now);
                test_calls.request(&mut world, server, &message);
            }
            event => {
                let (b2bua, mut world) = self.split(now);
                b2bua.event(&mut world, event);
            }
        }
    }

    fn answer_options(&mut self, now: Instant, server: ServerKey, flow: Flow, message: &Message) {
        let settings = &self.snapshot.settings;
        let situation = Situation {
            now,
            profiles: &settings.profiles,
            shape: &settings.shape,
            table: &self.snapshot.table,
            load: &self.load,
            draining: self.draining,
        };
        let answer = options::answer(&situation, flow, message);
        self.counters.options_answered += 1;
        self.endpoint.respond(now, server, answer);
    }

    /// The B2BUA, and beside it the world it acts on.
    fn split(&mut self, now: Instant) -> (&mut B2bua, World<'_>) {
        let world = World {
            now,
            endpoint: &mut self.endpoint,
            relay: &mut self.relay,
            ports: &mut self.ports,
            profiles: &self.snapshot.settings.profiles,
            shape: &self.snapshot.settings.shape,
            table: &self.snapshot.table,
            paces: &self.snapshot.paces,
            service_routes: &self.snapshot.service_routes,
            drill: self.snapshot.drill.as_deref(),
            phones: self
                .snapshot
                .settings
                .registrar
                .as_deref()
                .map(|rules| Phones { registrar: &mut self.registrar, rules }),
            load: &mut self.load,
            nonces: &mut self.nonces,
            rng: &mut self.rng,
            out: &mut self.effects,
        };
        (&mut self.b2bua, world)
    }

    /// The test calls, and beside them the world they act on.
    fn split_tests(&mut self, now: Instant) -> (&mut TestCalls, TestCallWorld<'_>, &mut Load) {
        let world = TestCallWorld {
            now,
            endpoint: &mut self.endpoint,
            relay: &mut self.relay,
            ports: &mut self.ports,
            nonces: &mut self.nonces,
            rng: &mut self.rng,
        };
        (&mut self.test_calls, world, &mut self.load)
    }
}

/// An OPTIONS outside any dialog asks about us, not about a call.
fn asks_us(message: &Message) -> bool {
    message.method() == Method::Options && message.to().tag().is_none()
}
