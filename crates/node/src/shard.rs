//! One shard's thread: a loop that waits, reads, lets the shard think, and writes.
//!
//! It owns its SIP sockets, its media sockets and its `edge::Shard`; what belongs to another shard goes one hop by ring.
//! A turn costs one wait, one clock reading, one receiving and one sending call for each SIP socket that has something,
//! and two calls for each media packet. Refuses to know: what a message means, who judges trunks.

mod hops;
mod rings;

pub(crate) use hops::Hop;
pub(crate) use rings::{Links, Order, Report};

use crate::clock::{Clock, wait_ms};
use crate::counters::{Counters, Elsewhere};
use crate::hep::Hep;
use crate::net::epoll::{Epoll, Trigger};
use crate::net::faults::ErrorQueue;
use crate::net::media::{MediaSockets, Relays};
use crate::net::udp::{Inbox, SipSocket};
use crate::pace::Pace;
use crate::ring::Sender;
use crate::sockets::Sockets;
use crate::stock::Stock;
use crate::streams::ByStream;
use edge::config::MediaIo;
use edge::{Input, Output, Shard, ShardConfig, ShardView, Snapshot, steer};
use media::codec::Vocoders;
use media::{Component, Forward, Keying, Made, Packet, PairId};
use model::{Instant, ShardId, SocketId, Span, TransportFault};
use sip::{Flow, Transmit, Transport};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Descriptors reported by one wait: SIP sockets, the waker and the set of media sockets.
const READY: usize = 64;
/// Refusals read from a socket in one turn.
const REFUSALS: usize = 64;
/// Media port pairs opened in one turn.
const OPENED_PER_TURN: usize = 4;
/// Items taken from each ring in one turn.
const TAKEN_PER_TURN: usize = 256;
/// How soon a report that must not be lost and found a full ring is tried again: control empties it without a word.
const AGAIN: Span = Span::from_millis(20);
/// Token of the waker.
const WAKE: u64 = 0;
/// Token of the set of media sockets.
const MEDIA: u64 = 1;
/// Token of SIP socket slot 0.
const SIP: u64 = 2;

/// How a shard's thread works, beside what its shard is.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// How many shards there are.
    pub(crate) shards: u8,
    /// How long media packets may gather.
    pub(crate) gather: Span,
    /// Media port pairs opened for each listen before the shard is ready.
    pub(crate) first_stock: u32,
    /// Gives back to the system what this thread has freed.
    pub(crate) relief: fn(),
}

/// How long after its last call a shard gives memory back: by then its transactions have ended too (64·T1, RFC 3261 §17).
/// Again and again while it rests, because what others held of its memory (records on their way to the journal) comes back later.
const RELIEF_AFTER: Span = Span::from_secs(35);

/// Everything of one shard's thread.
pub(crate) struct ShardThread {
    config: ShardConfig,
    manner: Manner,
    clock: Clock,
    now: Instant,
    shard: Shard,
    snapshot: Arc<Snapshot>,
    links: Links,
    prompt: Epoll,
    sockets: Sockets,
    inbox: Inbox,
    refusals: ErrorQueue,
    media: MediaSockets,
    pace: Pace,
    relayed: Instant,
    media_waits: bool,
    stock: Stock,
    hep: Hep,
    rings_hold_more: bool,
    /// Control has been told that the first ports are open.
    ready: bool,
    /// Told to drain; until control has been told that no call is left.
    draining: bool,
    /// When memory is given back; none while there are calls.
    relief_due: Option<Instant>,
    counters: Counters,
}

impl ShardThread {
    /// Keys of secured parties are made with this.
    pub(crate) fn entrust(&mut self, keying: Keying) {
        self.shard.entrust(keying);
    }

    /// Sound is made from and into the codecs that there are here.
    pub(crate) fn speak_by(&mut self, codecs: Arc<dyn Vocoders>) {
        self.shard.speak_by(codecs);
    }

    /// Makes the shard with its sockets; nothing runs yet.
    ///
    /// # Errors
    /// When the kernel gives no descriptors.
    pub(crate) fn new(
        config: ShardConfig,
        manner: Manner,
        clock: Clock,
        snapshot: Arc<Snapshot>,
        links: Links,
        sockets: Vec<(SocketAddr, SipSocket)>,
    ) -> io::Result<Self> {
        let prompt = Epoll::new(READY)?;
        prompt.add(&links.waker, WAKE, Trigger::Edge)?;
        let media = MediaSockets::new(config.limits.pairs)?;
        prompt.add(&media, MEDIA, Trigger::Level)?;
        let mut thread = Self {
            now: clock.now(),
            shard: Shard::new(&config, snapshot.clone()),
            stock: Stock::new(config.shard, manner.shards),
            pace: Pace::new(manner.gather),
            inbox: Inbox::new(),
            hep: Hep::default(),
            refusals: ErrorQueue::new(),
            sockets: Sockets::default(),
            rings_hold_more: false,
            relayed: Instant::ZERO,
            media_waits: false,
            ready: false,
            draining: false,
            relief_due: None,
            counters: Counters::default(),
            config,
            manner,
            clock,
            snapshot,
            links,
            prompt,
            media,
        };
        thread.sockets.take(sockets, &thread.prompt, SIP)?;
        thread.sockets.name(&thread.snapshot.settings);
        thread.hep.follow(thread.snapshot.settings.hep.as_ref());
        thread.stock.configure(&thread.snapshot.settings.listens, thread.manner.first_stock);
        Ok(thread)
    }

    /// Turns until it is told to end.
    ///
    /// # Errors
    /// When waiting itself fails, which leaves nothing to do but end.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut go_on = self.begin()?;
        while go_on {
            go_on = self.turn()?;
        }
        Ok(())
    }

    /// The first ports, and what control has handed out, before whoever has called meanwhile: his packets wait in the sockets and rings. Or else
    /// the calls of the first moments after a restart would meet an edge that has no port and knows no phone, and be refused.
    fn begin(&mut self) -> io::Result<bool> {
        self.now = self.clock.now();
        if self.snapshot.settings.media_io == MediaIo::IoUring {
            self.use_ring();
        }
        while self.stock.wants() {
            self.open_some();
        }
        while let Some(order) = self.links.orders.next() {
            if !self.obey(order)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Media by io_uring, or a word why not. It belongs to this thread, and so it is made here.
    fn use_ring(&mut self) {
        let shard = self.config.shard.0;
        match self.media.use_ring() {
            Ok(()) => tracing::info!("shard {shard}: media goes by io_uring"),
            Err(error) => tracing::warn!("shard {shard}: no io_uring ({error}): media goes by the portable path"),
        }
    }

    /// One turn; false when told to end.
    fn turn(&mut self) -> io::Result<bool> {
        let patience = self.patience();
        let ready = match self.pace.gathering() {
            Some(interval) if patience > 0 => self.prompt.wait_micros(self.until_relayed(interval))?,
            _ => self.prompt.wait(patience)?,
        };
        self.now = self.clock.now();
        let mut media_ready = self.media_waits;
        let mut go_on = true;
        self.counters.turns += 1;
        if self.rings_hold_more {
            go_on = self.take_from_rings()?;
        }
        for index in 0..ready {
            match self.prompt.event(index) {
                (WAKE, _) => go_on &= self.take_from_rings()?,
                (MEDIA, _) => media_ready = true,
                (token, error) => self.serve((token - SIP) as usize, error),
            }
        }
        if self.shard.deadline().is_some_and(|at| at <= self.now) {
            self.input(Input::Tick);
        }
        self.open_some();
        self.send();
        let gathered = self.pace.gathering().is_some_and(|interval| self.now.since(self.relayed) >= interval);
        if media_ready || gathered {
            self.relay()?;
        }
        self.rest();
        self.relieve();
        Ok(go_on)
    }

    /// How long the wait may be, in milliseconds. `now` is that of the last turn: a timer is late by what that turn took.
    fn patience(&self) -> i32 {
        if self.media_waits || self.stock.wants() || self.rings_hold_more || self.sockets.any_waits() {
            return 0;
        }
        let gather = self.pace.gathering().map(|interval| self.relayed + interval);
        let owed = self.owes_report().then(|| self.now + AGAIN);
        let due = [self.shard.deadline(), gather, self.relief_due, owed].into_iter().flatten().min();
        wait_ms(self.now, due)
    }

    /// Microseconds until what has gathered is due, or something sooner. By a fresh look at the clock: relaying many packets has taken a good
    /// part of the interval, and a wait that began with the turn would make them all late by it.
    fn until_relayed(&self, interval: Span) -> u64 {
        let due = [Some(self.relayed + interval), self.shard.deadline()].into_iter().flatten().min();
        due.map_or(0, |due| due.since(self.clock.now()).as_micros())
    }

    /// What control waits for is true, and the ring had no room for the word.
    fn owes_report(&self) -> bool {
        (!self.ready && !self.stock.wants()) || (self.draining && self.shard.idle())
    }

    /// Lets the shard take one input, then does what it wants done.
    fn input(&mut self, input: Input<'_>) {
        self.shard.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(made) = self.shard.poll_made() {
            self.media.send(made.pair, made.component, made.to, made.packet);
        }
        while let Some(output) = self.shard.poll() {
            match output {
                Output::Datagram(transmit) if transmit.flow.transport.is_reliable() => self.stream(transmit),
                Output::Datagram(transmit) => {
                    if !self.sockets.push(transmit) {
                        self.counters.no_socket += 1;
                    }
                }
                Output::Between { to, transmit } => self.between(to, transmit),
                Output::Close(flow) => self.close(flow),
                Output::Signal(signal) => self.report(Report::Signal(signal)),
                Output::Ended(record) => self.report(Report::Ended(record)),
                Output::Tested(tested) => self.report(Report::Tested(tested)),
                Output::Notice(notice) => self.report(Report::Notice(notice)),
                Output::ServiceRoute(route) => self.report(Report::ServiceRoute(route)),
                Output::Bound(bound) => self.report(Report::Bound(bound)),
                Output::Media { pair, component, to, packet } => {
                    self.media.send(pair, component, to, &packet[..]);
                }
                Output::WantPorts { listen, count } => self.stock.want(listen, count),
                Output::Passed { passed, call } => self.hep.tell(self.clock.zero(), &passed, call),
                Output::Captured { ticket, said } => self.report(Report::Captured { ticket, said }),
                Output::View { ticket, mut view, calls } => {
                    self.count_into(&mut view);
                    self.report(Report::View { ticket, view, calls });
                }
            }
        }
    }

    /// Hands a message to the thread of connections. One that finds no room was not sent, and its call goes elsewhere.
    fn stream(&mut self, transmit: Transmit) {
        let unsent = match &mut self.links.streams {
            Some(ring) => match ring.send(ByStream::Send(transmit)) {
                Err(ByStream::Send(transmit)) => Some(transmit),
                _ => None,
            },
            None => Some(transmit),
        };
        if let Some(transmit) = unsent {
            self.counters.stream_full += 1;
            let Flow { socket, peer, .. } = transmit.flow;
            let fault = TransportFault::Local;
            self.shard.handle(self.now, Input::Undeliverable { socket, peer, sent: &transmit.bytes, fault });
        }
    }

    /// Asks for the end of a connection. When that finds no room, the next message by it asks again.
    fn close(&mut self, flow: Flow) {
        if let Some(ring) = &mut self.links.streams {
            let _counted = ring.send(ByStream::Close(flow));
        }
    }

    /// A report that finds the ring full is lost, and the ring counts it.
    fn report(&mut self, report: Report) {
        let _counted = self.links.reports.send(report);
    }

    /// A report that control waits for: false when the ring is full, and then the next turn tries again.
    fn reported(&mut self, report: Report) -> bool {
        self.links.reports.has_room() && self.links.reports.send(report).is_ok()
    }

    /// Reads what a SIP socket has: refusals first, since they end attempts that late answers would not save.
    fn serve(&mut self, slot: usize, error: bool) {
        let Some(id) = self.sockets.get(slot).and_then(|slot| slot.id) else { return };
        if error {
            self.serve_refusals(slot, id);
        }
        let Some(from) = self.sockets.get(slot) else { return };
        match self.inbox.receive(&from.socket) {
            Ok(count) => {
                self.counters.datagrams_in += count as u64;
                for index in 0..count {
                    self.datagram(id, index);
                }
            }
            Err(_) => self.counters.receive_failed += 1,
        }
    }

    fn datagram(&mut self, socket: SocketId, index: usize) {
        let Some((peer, bytes)) = self.inbox.datagram(index) else { return };
        let flow = Flow { socket, peer, transport: Transport::Udp };
        let owner = self.owner(bytes);
        if owner != self.config.shard {
            if self.shard.lets_in(self.now, flow, bytes) {
                let hop = Hop::Datagram(flow, bytes.to_vec());
                self.hop(owner, hop);
            }
            return;
        }
        self.shard.handle(self.now, Input::Datagram { flow, bytes });
        self.drain();
    }

    /// Whose a datagram is. One that nobody can read is ours, to be counted.
    fn owner(&self, bytes: &[u8]) -> ShardId {
        if self.manner.shards <= 1 {
            return self.config.shard;
        }
        steer(self.config.key, self.manner.shards, bytes).unwrap_or(self.config.shard)
    }

    /// The kernel may give a refusal to another shard's socket of the same address than the one that sent; if what came
    /// back is too short to tell whose it was, all are told, and its branch finds the one.
    fn serve_refusals(&mut self, slot: usize, socket: SocketId) {
        for _ in 0..REFUSALS {
            let Some(from) = self.sockets.get(slot) else { return };
            let Some(refused) = from.socket.refused(&mut self.refusals) else { return };
            self.counters.refusals += 1;
            let (peer, fault) = (refused.peer, refused.fault);
            let owner = if self.manner.shards <= 1 {
                Some(self.config.shard)
            } else {
                steer(self.config.key, self.manner.shards, refused.sent)
            };
            if owner.is_none_or(|owner| owner == self.config.shard) {
                self.shard.handle(self.now, Input::Undeliverable { socket, peer, sent: refused.sent, fault });
            }
            if owner != Some(self.config.shard) {
                let sent = refused.sent.to_vec();
                let others =
                    (0..self.manner.shards).map(ShardId).filter(|shard| owner.is_none_or(|owner| owner == *shard));
                for other in others {
                    self.hop(other, Hop::Refused(socket, peer, sent.clone(), fault));
                }
            }
            self.drain();
        }
    }

    /// Sends what has gathered, one call for each socket, and tells the shard what could not be sent.
    fn send(&mut self) {
        for index in 0..self.sockets.len() {
            let Some(slot) = self.sockets.get_mut(index).filter(|slot| !slot.outbox.is_empty()) else { continue };
            let sent = slot.outbox.send(&slot.socket);
            self.counters.datagrams_out += sent as u64;
            // Telling may make new datagrams; they leave in the next turn, which then waits for nothing.
            while let Some((transmit, fault)) = self.sockets.get_mut(index).and_then(|slot| slot.outbox.unsent()) {
                let Some(fault) = fault else {
                    self.counters.send_full += 1;
                    continue;
                };
                self.counters.send_failed += 1;
                let Flow { socket, peer, .. } = transmit.flow;
                self.input(Input::Undeliverable { socket, peer, sent: &transmit.bytes, fault });
            }
        }
    }

    fn relay(&mut self) -> io::Result<()> {
        let now = self.now;
        let (packets, more) = self.media.relay(&mut At { now, shard: &mut self.shard })?;
        self.relayed = now;
        self.media_waits = more;
        match self.pace.relayed(now, packets) {
            Some(true) => self.prompt.remove(&self.media),
            Some(false) => self.prompt.add(&self.media, MEDIA, Trigger::Level),
            None => Ok(()),
        }
    }

    /// Opens a few of the media ports that are wanted; a listen that can have no more for now is told so by an empty list.
    fn open_some(&mut self) {
        for _ in 0..OPENED_PER_TURN {
            let Some(wish) = self.stock.next() else { break };
            match self.media.open(wish.bind, wish.port) {
                Ok((pair, _)) => {
                    self.stock.opened(wish.listen);
                    let pairs = vec![(pair, SocketAddr::new(wish.advertised, wish.port))];
                    self.input(Input::Ports { listen: wish.listen, pairs });
                }
                // Somebody else's port; the next one may be free.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => self.counters.ports_taken += 1,
                Err(_) => {
                    self.counters.ports_failed += 1;
                    self.stock.give_up(wish.listen);
                    self.input(Input::Ports { listen: wish.listen, pairs: Vec::new() });
                }
            }
        }
        while let Some(listen) = self.stock.used_up() {
            self.input(Input::Ports { listen, pairs: Vec::new() });
        }
        if !self.ready && !self.stock.wants() {
            let refused = self.counters.ports_taken + self.counters.ports_failed;
            self.ready = self.reported(Report::Ready { pairs: self.media.len(), refused });
        }
    }

    /// Empties the rings, up to a limit for each; false when told to end.
    fn take_from_rings(&mut self) -> io::Result<bool> {
        self.links.waker.awake();
        self.rings_hold_more = false;
        for taken in 0.. {
            let Some(order) = self.links.orders.next() else { break };
            if !self.obey(order)? {
                return Ok(false);
            }
            if taken == TAKEN_PER_TURN {
                self.rings_hold_more = true;
                break;
            }
        }
        self.take_hops();
        Ok(true)
    }

    fn obey(&mut self, order: Order) -> io::Result<bool> {
        match order {
            Order::Sockets(opened) => self.sockets.take(opened, &self.prompt, SIP)?,
            Order::Update(snapshot) => {
                if !Arc::ptr_eq(&snapshot.settings, &self.snapshot.settings) {
                    self.sockets.name(&snapshot.settings);
                    self.hep.follow(snapshot.settings.hep.as_ref());
                    self.stock.configure(&snapshot.settings.listens, self.manner.first_stock);
                }
                self.snapshot = snapshot.clone();
                self.input(Input::Update(snapshot));
            }
            Order::Probe(order) => self.input(Input::Probe(order)),
            Order::TestCall(order) => self.input(Input::TestCall(order)),
            Order::Bindings(bound) => self.input(Input::Bindings(&bound)),
            Order::Forgive(whom) => self.input(Input::Forgive(whom)),
            Order::Look { ticket, call, after, most } => self.input(Input::Look { ticket, call, after, most }),
            Order::Capture { ticket, call, call_ids } => self.input(Input::Capture { ticket, call, call_ids }),
            Order::Drain => {
                self.draining = true;
                self.input(Input::Drain);
            }
            Order::Close => {
                self.draining = true;
                self.input(Input::Close);
            }
            Order::End => return Ok(false),
        }
        Ok(true)
    }

    /// What waits for the last call to end.
    fn rest(&mut self) {
        if !(self.draining || self.sockets.any_stale()) || !self.shard.idle() {
            return;
        }
        self.sockets.close_stale();
        if self.draining {
            self.draining = !self.reported(Report::Idle);
        }
    }

    /// While it has no calls the thread gives memory back, from some time after the last of them.
    fn relieve(&mut self) {
        if !self.shard.idle() {
            self.relief_due = None;
        } else if self.relief_due.is_none_or(|due| due <= self.now) {
            if self.relief_due.is_some() {
                (self.manner.relief)();
            }
            self.relief_due = Some(self.now + RELIEF_AFTER);
        }
    }

    fn count_into(&self, view: &mut ShardView) {
        let elsewhere = Elsewhere {
            media: self.media.counters(),
            hep: self.hep.counters,
            media_fallbacks: self.media.fallbacks(),
            ports_exhausted: self.stock.exhausted(),
            reports_lost: self.links.reports.refused(),
            hops_lost: self.links.hops_out.iter().flatten().map(Sender::refused).sum(),
        };
        let named = self.counters.named(&elsewhere);
        view.counters.extend(named.into_iter().map(|(name, count)| (name.to_owned(), count)));
    }
}

/// A shard at one moment, as the media sockets see it.
struct At<'a> {
    now: Instant,
    shard: &'a mut edge::Shard,
}

impl Relays for At<'_> {
    #[inline]
    fn forward(&mut self, pair: PairId, component: Component, from: SocketAddr, packet: &mut Packet<'_>) -> Forward {
        self.shard.relay(self.now, pair, component, from, packet)
    }

    #[inline]
    fn poll_made(&mut self) -> Option<Made<'_>> {
        self.shard.poll_made()
    }
}

#[cfg(test)]
mod tests;
