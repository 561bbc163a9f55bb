//! One thread for all connections of TCP, TLS and WebSocket, so that no connect, handshake or write ever holds up a shard.
//!
//! Shards hand it what is to be sent by a connection, over a ring each; it finds or opens the connection, cuts what arrives
//! into messages and hands each to the shard that owns it, and says which connections have died. Refuses to know: what a
//! message means, which trunk is whose.

mod accept;
mod connection;
mod counters;
mod outward;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod websocket;
mod wire;

pub(crate) use counters::Counters;
pub(crate) use tls::TlsPlan;
pub(crate) use tls::{client, server, server_name};
pub(crate) use wire::Wire;

use crate::clock::{Clock, wait_ms};
use crate::net::epoll::{Epoll, Trigger};
use crate::net::wake::Waker;
use crate::ring::{Receiver, Sender};
use crate::shard::Hop;
use connection::{Connection, Due, Over, Stage};
use edge::Door;
use edge::config::{ListenStreams, Settings, Socket as Bound, StreamLimits};
use model::{Instant, SocketId, Span, TransportFault};
use outward::Outward;
use rustls::{ClientConnection, Connection as Tls};
use sip::{Flow, Piece, Transmit, Transport, offered_alias, way_back_anew};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use table::Table;
use websocket::WebOver;

/// Descriptors reported by one wait.
const READY: usize = 256;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 512;
/// Messages taken from one shard in one turn.
const TAKEN_PER_TURN: usize = 1_024;
/// Bytes read from a connection at once, and how often in one turn.
const READ: usize = 16_384;
const READS_PER_TURN: usize = 4;
/// How soon a shard that fell behind is tried again.
const AGAIN: Span = Span::from_millis(2);
/// Token of the waker.
const WAKE: u64 = 0;
/// Token of the first listener; of the first connection.
const LISTENER: u64 = 1;
const CONNECTION: u64 = 1 << 32;

/// What a shard wants of a connection.
#[derive(Debug)]
pub(crate) enum ByStream {
    /// Send this by it.
    Send(Transmit),
    /// End it: its peer is kept out.
    Close(Flow),
}

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Work by this from now on; connections that live are left alone.
    Plan(Box<Plan>),
    /// End now.
    End,
}

/// What the thread works by.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    limits: StreamLimits,
    door: Door,
    tls: TlsPlan,
    clients: tls::Clients,
    sockets: Vec<Bound>,
    /// By listen.
    listens: Vec<ListenStreams>,
}

impl Plan {
    /// That of a configuration.
    pub(crate) fn new(settings: &Settings, tls: TlsPlan) -> Self {
        let sockets = settings.sockets.iter().filter(|socket| socket.transport.is_reliable());
        let clients = tls.clients(settings);
        Self {
            limits: settings.streams,
            door: Door::of(settings),
            tls,
            clients,
            sockets: sockets.cloned().collect(),
            listens: settings.listen_streams.clone(),
        }
    }

    /// Whom to trust at an address: that target, or another one of the same host, where a dialog may lead.
    fn client(&self, socket: SocketId, peer: SocketAddr) -> Option<&tls::Client> {
        let of_host = || {
            let same = self.clients.iter().find(|((of, target), _)| (*of, target.ip()) == (socket, peer.ip()));
            same.map(|(_, client)| client)
        };
        self.clients.get(&(socket, peer)).or_else(of_host)
    }

    fn socket(&self, id: SocketId) -> Option<&Bound> {
        self.sockets.iter().find(|socket| socket.id == id)
    }

    fn listen(&self, socket: SocketId) -> Option<&ListenStreams> {
        self.listens.get(self.socket(socket)?.listen.index())
    }
}

/// A socket that accepts connections.
#[derive(Debug)]
pub(crate) struct Listener {
    id: SocketId,
    transport: Transport,
    socket: TcpListener,
}

impl Listener {
    /// Listens where this socket of a configuration is.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(wanted: &Bound) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(wanted.bind), Type::STREAM, Some(Protocol::TCP))?;
        // What lingers of an earlier run's connections must not keep the next one from starting.
        socket.set_reuse_address(true)?;
        if wanted.bind.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&wanted.bind.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self { id: wanted.id, transport: wanted.transport, socket: socket.into() })
    }
}

/// The thread's ends of all rings.
pub(crate) struct Links {
    /// Wakes this thread.
    pub(crate) waker: Waker,
    /// From control.
    pub(crate) orders: Receiver<Order>,
    /// From each shard.
    pub(crate) wants: Vec<Receiver<ByStream>>,
    /// To each shard.
    pub(crate) hops: Vec<Sender<Hop>>,
}

/// Everything of the thread.
pub(crate) struct StreamThread {
    clock: Clock,
    now: Instant,
    epoll: Epoll,
    waker: Waker,
    orders: Receiver<Order>,
    wants: Vec<Receiver<ByStream>>,
    outward: Outward,
    plan: Plan,
    listeners: Vec<Listener>,
    table: Table,
    /// Accepted connections that have not agreed on TLS.
    handshakes: usize,
    /// Connections to be served in this turn.
    calls: Vec<usize>,
    /// When the connections are looked through for what is due.
    look: Option<Instant>,
    rings_hold_more: bool,
    buffer: Vec<u8>,
    counters: Arc<Counters>,
}

impl StreamThread {
    /// Takes open listeners; nothing runs yet. `key` is that of steering.
    ///
    /// # Errors
    /// When the kernel gives no descriptors.
    pub(crate) fn new(
        clock: Clock,
        key: u64,
        plan: Plan,
        listeners: Vec<Listener>,
        links: Links,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(READY)?;
        epoll.add(&links.waker, WAKE, Trigger::Edge)?;
        for (index, listener) in listeners.iter().enumerate() {
            epoll.add(&listener.socket, LISTENER + index as u64, Trigger::Level)?;
        }
        Ok(Self {
            now: clock.now(),
            clock,
            epoll,
            waker: links.waker,
            orders: links.orders,
            wants: links.wants,
            outward: Outward::new(key, links.hops, counters.clone()),
            plan,
            listeners,
            table: Table::default(),
            handshakes: 0,
            calls: Vec::new(),
            look: None,
            rings_hold_more: false,
            buffer: vec![0; READ],
            counters,
        })
    }

    /// Turns until it is told to end.
    ///
    /// # Errors
    /// When waiting itself fails.
    pub(crate) fn run(mut self) -> io::Result<()> {
        while self.turn()? {}
        Ok(())
    }

    /// One turn; false when told to end.
    fn turn(&mut self) -> io::Result<bool> {
        let patience = self.patience();
        let ready = self.epoll.wait(patience)?;
        self.now = self.clock.now();
        let mut woken = std::mem::take(&mut self.rings_hold_more);
        for index in 0..ready {
            match self.epoll.event(index).0 {
                WAKE => woken = true,
                token if token >= CONNECTION => self.call((token - CONNECTION) as usize),
                token => self.accept((token - LISTENER) as usize),
            }
        }
        if woken {
            self.waker.awake();
            if !self.take_orders() || !self.take_wants() {
                return Ok(false);
            }
        }
        // While a shard is behind nothing more is read; the network holds it back from whoever sends.
        let reading = self.outward.pay();
        for number in std::mem::take(&mut self.calls) {
            self.serve(number, reading);
        }
        if self.look.is_some_and(|at| at <= self.now) {
            self.look_after();
        }
        self.counters.live.set(self.table.len() as u64);
        Ok(true)
    }

    fn patience(&mut self) -> i32 {
        if self.rings_hold_more {
            return 0;
        }
        if !self.outward.pay() {
            return wait_ms(self.now, Some(self.now + AGAIN));
        }
        if self.calls.is_empty() { wait_ms(self.now, self.look) } else { 0 }
    }

    fn take_orders(&mut self) -> bool {
        while let Some(order) = self.orders.next() {
            match order {
                Order::Plan(plan) => self.plan = *plan,
                Order::End => return false,
            }
        }
        // Control is gone, and nobody could end this thread any more.
        !self.orders.ended()
    }

    fn take_wants(&mut self) -> bool {
        for shard in 0..self.wants.len() {
            for taken in 0.. {
                let Some(wanted) = self.wants[shard].next() else { break };
                // Control tells this thread first: the plan that the shard already works by is here.
                if !self.take_orders() {
                    return false;
                }
                match wanted {
                    ByStream::Send(transmit) => self.send(transmit),
                    ByStream::Close(flow) => self.shut(flow),
                }
                if taken == TAKEN_PER_TURN {
                    self.rings_hold_more = true;
                    break;
                }
            }
        }
        true
    }

    /// Sends by the connection the flow names; a response whose connection is gone by a new one (RFC 3261 §18.2.2).
    fn send(&mut self, transmit: Transmit) {
        let flow = transmit.flow;
        let anew = way_back_anew(&transmit.bytes, flow);
        // A request to a target under TLS must reach whoever proves to be that target, and who connected from its address has not.
        let is_target = self.plan.clients.contains_key(&(flow.socket, flow.peer));
        let found = self.table.find(flow.socket, flow.peer, anew.is_some() || !is_target);
        let number = found.map(Ok).unwrap_or_else(|| {
            let to = anew.map_or(flow, |peer| Flow { peer, ..flow });
            self.table.find(to.socket, to.peer, anew.is_some()).map_or_else(|| self.connect(to), Ok)
        });
        match number {
            Ok(number) => self.push(number, transmit),
            Err(fault) => self.outward.refused(transmit, fault),
        }
    }

    /// Ends the connection of somebody who is kept out.
    fn shut(&mut self, flow: Flow) {
        if let Some(number) = self.table.find(flow.socket, flow.peer, true) {
            self.close(number, Over::Unwelcome);
        }
    }

    fn push(&mut self, number: usize, transmit: Transmit) {
        let Some(connection) = self.table.get_mut(number) else { return };
        match connection.push(self.now, transmit, &self.plan.limits) {
            Ok(()) => {
                self.counters.messages_out.add(1);
                self.call(number);
            }
            Err(transmit) => {
                self.counters.refused_waiting.add(1);
                self.outward.refused(transmit, TransportFault::TimedOut);
            }
        }
    }

    /// Begins a connection to where a flow leads.
    fn connect(&mut self, flow: Flow) -> Result<usize, TransportFault> {
        if flow.transport.is_web() {
            self.counters.refused_web.add(1);
            return Err(TransportFault::Broken);
        }
        if self.table.len() >= self.plan.limits.connections {
            self.counters.refused_full.add(1);
            return Err(TransportFault::Local);
        }
        let tls = self.client(flow)?;
        let bind = self.plan.socket(flow.socket).map(|socket| socket.bind).ok_or(TransportFault::Local)?;
        let socket = begin(bind, flow.peer, self.plan.limits.pong).map_err(|error| {
            self.counters.connect_failed.add(1);
            wire::fault(&error)
        })?;
        self.counters.begun.add(1);
        self.admit(Connection::begun(flow, Wire::new(socket, tls), self.now)).map_err(|_| TransportFault::Local)
    }

    fn client(&self, flow: Flow) -> Result<Option<Tls>, TransportFault> {
        if !flow.transport.is_secure() {
            return Ok(None);
        }
        let Some(client) = self.plan.client(flow.socket, flow.peer) else {
            self.counters.refused_no_trust.add(1);
            return Err(TransportFault::CertificateUntrusted);
        };
        let tls = ClientConnection::new(client.config.clone(), client.name.clone());
        tls.map(|tls| Some(Tls::Client(tls))).map_err(|error| tls::fault(&error))
    }

    /// Watches a new connection and serves it in this turn.
    fn admit(&mut self, connection: Connection) -> io::Result<usize> {
        let next = self.table.next();
        self.epoll.add(&connection.wire, CONNECTION + next as u64, Trigger::EdgeBoth)?;
        let due = connection.due(&self.plan.limits).0;
        self.handshakes += usize::from(connection.is_pending());
        let number = self.table.insert(connection);
        self.look = Some(self.look.map_or(due, |at| at.min(due)));
        self.call(number);
        Ok(number)
    }

    fn call(&mut self, number: usize) {
        if let Some(connection) = self.table.get_mut(number).filter(|connection| !connection.called) {
            connection.called = true;
            self.calls.push(number);
        }
    }

    /// Lets a connection do all it can.
    fn serve(&mut self, number: usize, reading: bool) {
        let Some(connection) = self.table.get_mut(number) else { return };
        connection.called = false;
        if !reading && connection.stage == Stage::Open {
            let written = connection.write(&self.plan.limits);
            self.call(number);
            return written.unwrap_or_else(|over| self.close(number, over));
        }
        if let Err(over) = self.advance(number).and_then(|()| self.read(number)).and_then(|()| self.write(number)) {
            self.close(number, over);
        }
    }

    fn advance(&mut self, number: usize) -> Result<(), Over> {
        if self.table.get_mut(number).is_some_and(|connection| connection.stage == Stage::Announcing) {
            self.introduce(number)?;
        }
        let Some(connection) = self.table.get_mut(number) else { return Ok(()) };
        if !matches!(connection.stage, Stage::Open | Stage::Announcing) && connection.advance(self.now)? {
            self.handshakes -= usize::from(!connection.ours);
            let due = connection.due(&self.plan.limits).0;
            self.look = Some(self.look.map_or(due, |at| at.min(due)));
        }
        Ok(())
    }

    fn read(&mut self, number: usize) -> Result<(), Over> {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.table.get_mut(number) else { return Ok(()) };
            if matches!(connection.stage, Stage::Connecting | Stage::Announcing) {
                return Ok(());
            }
            let count = match connection.wire.read(&mut self.buffer) {
                Ok(0) => return self.advance(number),
                Ok(count) => count,
                Err(fault) => return Err(Over::Fault(fault)),
            };
            connection.arrived(&self.buffer[..count]);
            self.advance(number)?;
            self.pieces(number)?;
            // What has come may have made it a WebSocket.
            self.advance(number)?;
        }
        // There is more; others have their turn first.
        self.call(number);
        Ok(())
    }

    fn pieces(&mut self, number: usize) -> Result<(), Over> {
        let Some(connection) = self.table.get_mut(number) else { return Ok(()) };
        let (flow, mut alias) = (connection.flow, None);
        while let Some(piece) = connection.next(self.now)? {
            match piece {
                Piece::Message(bytes) => {
                    if std::mem::take(&mut connection.fresh)
                        && let Some(target) = target_of(connection, &bytes, &self.plan)
                    {
                        alias = Some(target);
                    }
                    self.outward.message(flow, bytes);
                }
                Piece::Ping => connection.pong(),
                Piece::Pong => {}
            }
        }
        if let Some(target) = alias {
            self.table.alias(number, target);
            self.counters.aliased.add(1);
        }
        Ok(())
    }

    fn write(&mut self, number: usize) -> Result<(), Over> {
        self.table.get_mut(number).map_or(Ok(()), |connection| connection.write(&self.plan.limits))
    }

    /// Ends a connection, and says so to whom it concerns.
    fn close(&mut self, number: usize, over: Over) {
        let Some(mut connection) = self.table.remove(number) else { return };
        self.count(&connection, over);
        self.handshakes -= usize::from(connection.is_pending());
        let (flow, fault) = (connection.flow, over.fault());
        tracing::debug!("connection {} {} by socket {} is over: {over:?}", flow.transport, flow.peer, flow.socket.0);
        // Shards look through all they have for it, which nobody may cost them who has said nothing.
        if connection.stage == Stage::Open && !connection.fresh {
            self.outward.broken(flow, fault);
            if let Some(peer) = connection.alias {
                self.outward.broken(Flow { peer, ..flow }, fault);
            }
        }
        for transmit in connection.give_back() {
            self.outward.refused(transmit, fault);
        }
        connection.goodbye(over);
    }

    fn count(&self, connection: &Connection, over: Over) {
        let counters = &self.counters;
        let opened = connection.stage == Stage::Open;
        let count = match over {
            Over::Idle => &counters.closed_idle,
            Over::Silent => &counters.closed_silent,
            Over::Unread => &counters.closed_unread,
            Over::Unwelcome => &counters.closed_unwelcome,
            Over::Bad(_) | Over::Web(WebOver::TooLarge | WebOver::Violation) => &counters.closed_bad_stream,
            Over::Web(WebOver::Origin) => &counters.refused_origin,
            Over::Web(WebOver::NoUpgrade) => &counters.refused_upgrade,
            Over::Web(WebOver::Closed) => &counters.closed_by_peer,
            Over::TurnedAway => return,
            Over::NoProxyHeader => &counters.refused_proxy_header,
            Over::Fault(_) | Over::Late if connection.stage == Stage::Announcing => &counters.refused_proxy_header,
            Over::Fault(_) | Over::Late if !connection.ours && !opened => &counters.handshake_failed,
            Over::Late => &counters.connect_timed_out,
            Over::Fault(TransportFault::TimedOut) if opened => &counters.closed_silent,
            Over::Fault(_) if opened => &counters.closed_by_peer,
            Over::Fault(_) if connection.stage == Stage::Handshaking => &counters.tls_failed,
            Over::Fault(_) => &counters.connect_failed,
        };
        count.add(1);
    }

    /// Does what is due on every connection, and finds out when the next thing is.
    fn look_after(&mut self) {
        let limits = self.plan.limits;
        let due: Vec<(usize, Due)> = self
            .table
            .iter()
            .filter_map(|(number, connection)| {
                let (at, due) = connection.due(&limits);
                (at <= self.now).then_some((number, due))
            })
            .collect();
        for (number, due) in due {
            match due {
                Due::Over(over) => self.close(number, over),
                Due::Ping => {
                    if let Some(connection) = self.table.get_mut(number) {
                        connection.ping(self.now);
                    }
                    self.call(number);
                }
            }
        }
        self.look = self.table.iter().map(|(_, connection)| connection.due(&limits).0).min();
    }
}

/// The target that offers to be reached by a connection it has opened, and has proved to be that target: RFC 5923 §8.2 and §9.1 let
/// nobody offer it who has not shown a certificate, or anyone at its address could draw its calls to himself.
fn target_of(connection: &Connection, bytes: &[u8], plan: &Plan) -> Option<SocketAddr> {
    let target = offered_alias(bytes, connection.flow)?;
    let client = plan.clients.get(&(connection.flow.socket, target))?;
    connection.wire.is_proved(&client.name).then_some(target)
}

/// Begins to connect from the address we listen at, so that the peer knows who calls.
pub(crate) fn begin(bind: SocketAddr, peer: SocketAddr, life: Span) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(peer), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if !bind.ip().is_unspecified() {
        socket.bind(&SocketAddr::new(bind.ip(), 0).into())?;
    }
    match socket.connect(&peer.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let socket: TcpStream = socket.into();
    ready(&socket, life)?;
    Ok(socket)
}

/// Options of every connection: small messages leave at once, and what is not acknowledged for `life` ends it.
pub(crate) fn ready(socket: &TcpStream, life: Span) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    let life = Duration::from_micros(life.as_micros());
    socket2::SockRef::from(socket).set_tcp_user_timeout(Some(life))
}
