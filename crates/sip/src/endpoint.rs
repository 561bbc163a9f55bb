//! The one door in and out: owns the transactions, parses what comes, sends what must go, and again when time asks.
//!
//! Manners: call one of `receive`, `request`, `respond`, `ack`, `cancel`, `confirm`, `undeliverable`, `broken`, `expire`, then drain
//! `poll_transmit` and `poll_event`; `deadline` says when `expire` is due. What the queues hold is bounded by what one such
//! call can cause: a few entries, and for `expire` a few per transaction, whose number is limited.
//! Refuses to know: calls, trunks, dialogs' meaning, sockets and clocks.

mod counters;
mod event;
mod large;
mod receive;
mod reliable;
mod send;
#[cfg(test)]
mod tests;

pub use counters::Counters;
pub use event::{Event, Failure, Full, Rejected};

use crate::dialog::Reliable;
use crate::message::Message;
use crate::mint::{Minter, Token};
use crate::timers::{TimerId, Timers};
use crate::transaction::invite_client::InviteClient;
use crate::transaction::invite_server::InviteServer;
use crate::transaction::request_client::RequestClient;
use crate::transaction::request_server::RequestServer;
use crate::transaction::table::{Id, Table};
use crate::transaction::timers::{Fired, TimerSet};
use crate::transport::{Flow, SentBy, Transmit, Transport};
use crate::wire::{HeaderName, Method, NameAddr, Uri};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::SocketAddr;
use foldhash::fast::FixedState;
use model::{Instant, SocketId, TransportFault};
use smallvec::SmallVec;

/// Names a request of ours. Stays unique: once its transaction is gone it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(Id);

/// Names a request of a peer. Stays unique: once its transaction is gone it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerKey(Id);

/// How much an endpoint takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Transactions of both kinds. A call set up and torn down leaves about four behind for half a minute, so that 2,000 calls
    /// a second hold 250,000. An eighth more is kept for what ends calls: requests inside dialogs that come in, and all but
    /// INVITE that go out.
    pub transactions: usize,
    /// 2xx with different To tags to one INVITE; more are dropped and counted.
    pub forks: usize,
    /// Retry-After of the 503 sent when the table is full, in seconds.
    pub retry_after_s: u32,
    /// Timers of the server transactions.
    pub serving: TimerSet,
}

impl Default for Limits {
    fn default() -> Self {
        Self { transactions: 300_000, forks: 8, retry_after_s: 5, serving: TimerSet::default() }
    }
}

/// The SIP endpoint of one shard.
#[derive(Debug)]
pub struct Endpoint {
    minter: Minter,
    limits: Limits,
    hasher: FixedState,
    sockets: Vec<Option<SentBy>>,
    /// Who takes large requests by a stream.
    streams: large::Streams,
    clients: Table<Client>,
    servers: Table<Server>,
    timers: Timers<Wake>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    counters: Counters,
    /// What we call ourselves in answers; empty when we do not.
    product: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Wake {
    Client(Id),
    Server(Id),
}

/// How often a request is sent once more when its connection dies: a peer that has restarted leaves two dead ones, its own and ours.
const ANEW_MAX: u8 = 2;

/// The one timer a transaction has set. It may be earlier than needed: then it fires for nothing and is set anew, which
/// is cheaper than to move it at every message.
type Armed = Option<(Instant, TimerId)>;

#[derive(Debug)]
enum ClientMachine {
    Invite(InviteClient),
    Request(RequestClient),
}

#[derive(Debug)]
struct Client {
    branch: Token,
    method: Method,
    flow: Flow,
    machine: ClientMachine,
    /// What is repeated: the request, after a 3xx-6xx to INVITE its ACK; empty once neither is needed.
    bytes: Vec<u8>,
    forks: Vec<Fork>,
    cancel_reason: Option<Box<[u8]>>,
    /// It went by a stream for its size, and nobody has answered.
    as_datagram: Option<Box<large::AsDatagram>>,
    /// Its user was told that it failed. Of what still comes he hears a 2xx alone, for that must be ended.
    failed: bool,
    /// How often its connection has died, and it was sent once more by another one.
    asked_anew: u8,
    armed: Armed,
}

/// A 2xx to our INVITE, by its To tag, and the ACK it got.
#[derive(Debug)]
struct Fork {
    tag: Box<[u8]>,
    ack: Option<(Flow, Box<[u8]>)>,
}

#[derive(Debug)]
enum ServerMachine {
    Invite(InviteServer),
    Request(RequestServer),
}

#[derive(Debug)]
struct Server {
    identity: Box<[u8]>,
    /// Second hash of From tag, Call-ID and CSeq; tells merged requests (8.2.2.2).
    merge: u64,
    /// Where responses go.
    flow: Flow,
    /// Where the request came from, which the responses' Via must say (18.2.1, RFC 3581 4).
    source: Flow,
    machine: ServerMachine,
    /// The request, until the final response is given.
    request: Option<Message>,
    /// The response that a repeated request gets again; empty when there is none, or none is needed.
    last: Vec<u8>,
    /// Our To tag, once one was used, so that all our responses agree (8.2.6.2, 9.2).
    tag: SmallVec<[u8; 24]>,
    cancelled: bool,
    /// Provisional responses that are to arrive.
    reliable: Option<Box<Reliable>>,
    armed: Armed,
}

impl Client {
    fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            ClientMachine::Invite(machine) => machine.deadline(),
            ClientMachine::Request(machine) => machine.deadline(),
        }
    }

    fn is_pending(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite(machine) => machine.is_pending(),
            ClientMachine::Request(machine) => machine.is_pending(),
        }
    }

    /// The request once more, by another connection; none when that has been done too often, nobody wants it any more, or its peer has
    /// fallen silent and others can be asked instead.
    fn once_more(
        &mut self,
        fault: TransportFault,
        anew: &dyn Fn(Option<SocketAddr>) -> Flow,
    ) -> Option<(Flow, Vec<u8>)> {
        let wanted = match &self.machine {
            ClientMachine::Invite(machine) => machine.is_wanted(),
            ClientMachine::Request(_) => true,
        };
        if self.asked_anew == ANEW_MAX || !wanted || self.bytes.is_empty() {
            return None;
        }
        let request = Message::parse(self.bytes.clone()).ok()?;
        if fault != TransportFault::Broken && request.to().tag().is_none() {
            return None;
        }
        self.asked_anew += 1;
        // A strict router stands in the request URI (16.12.1.1).
        let route = request.values(HeaderName::Route).next().and_then(|route| Uri::parse(NameAddr::of(route).uri).ok());
        let loose = route.filter(|route| route.params().get("lr").is_some());
        let hop = loose.or_else(|| Uri::parse(request.uri()).ok());
        self.flow = anew(hop.and_then(|hop| hop.socket_addr(self.flow.transport)));
        Some((self.flow, self.bytes.clone()))
    }

    /// Our own CANCEL, or one that has failed: the user hears no more of it.
    fn is_silent(&self) -> bool {
        self.method == Method::Cancel || self.failed
    }
}

impl Server {
    fn deadline(&self) -> Option<Instant> {
        let machine = match &self.machine {
            ServerMachine::Invite(machine) => machine.deadline(),
            ServerMachine::Request(machine) => machine.deadline(),
        };
        let reliable = self.reliable.as_ref().and_then(|reliable| reliable.deadline());
        machine.into_iter().chain(reliable).min()
    }
}

impl Endpoint {
    /// An endpoint without sockets. `seed` keys its hash tables.
    pub fn new(minter: Minter, limits: Limits, seed: u64) -> Self {
        Self {
            minter,
            limits,
            hasher: FixedState::with_seed(seed),
            sockets: Vec::new(),
            streams: large::Streams::new(),
            clients: Table::new(),
            servers: Table::new(),
            // One timer a transaction: the limit, its reserve, and a CANCEL beside each INVITE. So `set` never refuses.
            timers: Timers::new(limits.transactions.saturating_mul(3)),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            product: Vec::new(),
        }
    }

    /// Mints Call-IDs and tags.
    pub fn minter(&mut self) -> &mut Minter {
        &mut self.minter
    }

    /// What answers call us that do not say it themselves (RFC 3261 §20.35); a text on one line, empty when nothing does.
    pub fn name(&mut self, product: &str) {
        self.product.clear();
        self.product.extend_from_slice(product.as_bytes());
    }

    /// Makes a local socket known: its transport, and the address that Via and, by default, Contact advertise.
    pub fn bind(&mut self, socket: SocketId, transport: Transport, sent_by: SocketAddr) {
        self.bind_as(socket, SentBy::new(sent_by, transport));
    }

    /// The same for one that may have a name.
    pub fn bind_as(&mut self, socket: SocketId, sent_by: SentBy) {
        if self.sockets.len() <= socket.index() {
            self.sockets.resize(socket.index() + 1, None);
        }
        self.sockets[socket.index()] = Some(sent_by);
    }

    /// The advertised address and the transport of a socket.
    pub fn sent_by(&self, socket: SocketId) -> Option<SentBy> {
        if socket == SocketId::BETWEEN_SHARDS {
            let Flow { peer: addr, transport, .. } = Flow::to_shard(self.minter.shard());
            return Some(SentBy::new(addr, transport));
        }
        self.sockets.get(socket.index()).cloned().flatten()
    }

    /// The request behind a key, until its final response was given.
    pub fn request_of(&self, server: ServerKey) -> Option<&Message> {
        self.servers.get(server.0)?.request.as_ref()
    }

    /// Runs all timers due at `now`.
    pub fn expire(&mut self, now: Instant) {
        while let Some(wake) = self.timers.pop(now) {
            match wake {
                Wake::Client(id) => {
                    if let Some(client) = self.clients.get_mut(id) {
                        client.armed = None;
                    }
                    self.settle_client(now, id);
                }
                Wake::Server(id) => {
                    if let Some(server) = self.servers.get_mut(id) {
                        server.armed = None;
                    }
                    self.settle_server(now, id);
                }
            }
        }
    }

    /// When `expire` is next due.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing the user must know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Transactions alive, of both kinds.
    pub fn transactions(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether one more transaction fits; `urgent` ones may use the reserve.
    fn has_room(&self, urgent: bool) -> bool {
        let reserve = if urgent { self.limits.transactions / 8 } else { 0 };
        self.transactions() < self.limits.transactions + reserve
    }

    fn client_hash(&self, branch: &[u8], cancel: bool) -> u64 {
        self.hasher.hash_one((branch, cancel))
    }

    /// Lets a client transaction do what is due, and sets its timer for what is not.
    fn settle_client(&mut self, now: Instant, id: Id) {
        while let Some(client) = self.clients.get_mut(id) {
            let deadline = client.deadline();
            if deadline.is_none_or(|at| at > now) {
                rearm(&mut self.timers, &mut client.armed, deadline, Wake::Client(id));
                return;
            }
            self.fire_client(now, id);
        }
    }

    fn fire_client(&mut self, now: Instant, id: Id) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let fired = match &mut client.machine {
            ClientMachine::Invite(machine) => machine.expire(now),
            ClientMachine::Request(machine) => machine.expire(now),
        };
        match fired {
            Fired::Nothing => {}
            Fired::Repeat => {
                self.counters.request_repeats += 1;
                let (flow, bytes) = (client.flow, client.bytes.clone());
                self.transmit(flow, bytes);
            }
            Fired::End if client.is_pending() => self.fail_client(id, Failure::NoReply),
            Fired::End => self.drop_client(id),
        }
    }

    /// Ends a client transaction without a final response.
    fn fail_client(&mut self, id: Id, why: Failure) {
        self.tell_failure(id, why);
        self.drop_client(id);
    }

    /// The network refused a request that nobody has answered.
    fn refuse_client(&mut self, id: Id, why: Failure) {
        self.tell_failure(id, why);
        let over = match self.clients.get_mut(id).map(|client| &mut client.machine) {
            Some(ClientMachine::Invite(machine)) => machine.refused(),
            _ => true,
        };
        if over {
            self.drop_client(id);
        }
    }

    fn tell_failure(&mut self, id: Id, why: Failure) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if !client.is_silent() {
            client.failed = true;
            match why {
                Failure::NoReply => self.counters.no_reply += 1,
                Failure::Unreachable(_) => self.counters.unreachable += 1,
            }
            self.events.push_back(Event::ClientFailed { client: ClientKey(id), why });
        }
    }

    fn drop_client(&mut self, id: Id) {
        if let Some((_, timer)) = self.clients.remove(id).and_then(|client| client.armed) {
            self.timers.cancel(timer);
        }
    }

    /// Lets a server transaction do what is due, and sets its timer for what is not.
    fn settle_server(&mut self, now: Instant, id: Id) {
        while let Some(server) = self.servers.get_mut(id) {
            let deadline = server.deadline();
            if deadline.is_none_or(|at| at > now) {
                rearm(&mut self.timers, &mut server.armed, deadline, Wake::Server(id));
                return;
            }
            self.fire_server(now, id);
        }
    }

    fn fire_server(&mut self, now: Instant, id: Id) {
        if self.fire_reliable(now, id) {
            return;
        }
        let Some(server) = self.servers.get_mut(id) else { return };
        let fired = match &mut server.machine {
            ServerMachine::Invite(machine) => machine.expire(now),
            ServerMachine::Request(machine) => machine.expire(now),
        };
        match fired {
            Fired::Nothing => {}
            Fired::Repeat => {
                self.counters.response_repeats += 1;
                let (flow, bytes) = (server.flow, server.last.clone());
                self.transmit(flow, bytes);
            }
            Fired::End => self.end_server(id),
        }
    }

    fn end_server(&mut self, id: Id) {
        let Some(server) = self.servers.remove(id) else { return };
        if let Some((_, timer)) = server.armed {
            self.timers.cancel(timer);
        }
        match server.machine {
            ServerMachine::Invite(machine) if machine.is_unconfirmed() => {
                self.counters.acks_missing += 1;
                self.events.push_back(Event::AckMissing { server: ServerKey(id) });
            }
            // Timer H: the caller was refused and will see that by itself; no dialog is left to end.
            ServerMachine::Invite(machine) if machine.is_unacknowledged() => self.counters.acks_missing_refusal += 1,
            ServerMachine::Request(machine) if machine.is_pending() => self.counters.unanswered += 1,
            _ => {}
        }
    }

    fn transmit(&mut self, flow: Flow, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.counters.sent += 1;
        self.transmits.push_back(Transmit { flow, bytes });
    }
}

/// Sets a transaction's timer unless an earlier one is set already.
fn rearm(timers: &mut Timers<Wake>, armed: &mut Armed, deadline: Option<Instant>, wake: Wake) {
    match (*armed, deadline) {
        (None, None) => {}
        (Some((set, _)), Some(at)) if set <= at => {}
        (_, deadline) => {
            if let Some((_, timer)) = armed.take() {
                timers.cancel(timer);
            }
            *armed = deadline.map(|at| (at, timers.set(at, wake)));
        }
    }
}
