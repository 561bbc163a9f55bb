//! One agent on real sockets: a thread that waits on its SIP socket, its RTP sockets and its clock.
//!
//! The lab and the interop tests drive agents through this. Refuses to know: what the agent does.

use super::stream_port::{AgentTls, StreamPort};
use crate::clock::Clock;
use agent::{Agent, AgentConfig, Behaviour, CallNo, Dial, Failing, Input, Output, Report};
use model::Instant;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Orders and reports that may wait.
const BACKLOG: usize = 4_096;
/// First of the ports that a caller hears audio at.
const CALLER_PORTS: u16 = 46_000;
/// Longest wait before orders are looked at, in milliseconds.
const LONGEST_WAIT_MS: i32 = 10;

/// What an agent can be told to do.
#[derive(Debug)]
pub enum Order {
    /// Behave so from now on.
    Behave(Behaviour),
    /// Place a call.
    Dial(Dial),
    /// End a call.
    HangUp(CallNo),
    /// Hold or resume a call.
    Hold(CallNo, bool),
    /// Offer to go on by fax (T.38) in place of audio.
    Fax(CallNo),
    /// Ask a peer how it is.
    Options(SocketAddr),
    /// Close every connection; the port goes on.
    Cut,
    /// Close every connection, and from now on accept those that come without a word on them, of TLS or of SIP; or speak again.
    Deaf(bool),
    /// Close every connection, and from now on be this one under TLS.
    Become(AgentTls),
    /// End.
    Stop,
}

/// An agent that lives on its own thread.
#[derive(Debug)]
pub struct LiveAgent {
    orders: SyncSender<Order>,
    /// What it reports.
    pub reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
    clock: Clock,
}

impl LiveAgent {
    /// Binds its SIP socket and starts.
    ///
    /// # Errors
    /// When the SIP address cannot be bound or no thread can be had.
    pub fn start(config: AgentConfig, behaviour: Behaviour) -> io::Result<Self> {
        let sip = Port::Datagrams(bind(config.sip)?);
        Self::start_by(config, sip, None, behaviour)
    }

    /// One that calls by UDP from `own`, a few calls at once.
    ///
    /// # Errors
    /// When that address cannot be bound or no thread can be had.
    pub fn caller(own: SocketAddr, behaviour: Behaviour) -> io::Result<Self> {
        let config = AgentConfig {
            user: "drill".to_owned(),
            sip: own,
            transport: sip::Transport::Udp,
            media_ip: own.ip(),
            first_port: CALLER_PORTS,
            calls: 4,
            seed: crate::net::process::secret()?,
            timers: sip::TimerSet::default(),
        };
        Self::start(config, behaviour)
    }

    /// The same for one that speaks TCP, or TLS when it is told who it is.
    ///
    /// # Errors
    /// As above, and when a certificate cannot be read.
    pub fn start_by_stream(config: AgentConfig, tls: Option<AgentTls>, behaviour: Behaviour) -> io::Result<Self> {
        let sip = Port::Streams(StreamPort::open(config.sip, tls.as_ref())?);
        Self::start_by(config, sip, tls, behaviour)
    }

    fn start_by(config: AgentConfig, sip: Port, tls: Option<AgentTls>, behaviour: Behaviour) -> io::Result<Self> {
        let address = config.sip;
        let by_stream = matches!(sip, Port::Streams(_));
        let clock = Clock::start();
        let (orders, orders_in) = sync_channel(BACKLOG);
        let (reports_out, reports) = sync_channel(BACKLOG);
        let name = format!("agent-{}", config.user);
        let live = Live {
            agent: Agent::new(config, behaviour),
            clock,
            sip: Some(sip),
            by_stream,
            tls,
            rtp: BTreeMap::new(),
            orders: orders_in,
            reports: reports_out,
        };
        let thread = Builder::new().name(name).spawn(move || live.run())?;
        Ok(Self { orders, reports, thread: Some(thread), address, clock })
    }

    /// Its SIP address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its clock shows now, by which it tells when it has heard something.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Tells it to do something. An agent that has ended does nothing.
    pub fn order(&self, order: Order) {
        // The only error is that the thread has ended, and then there is nobody to obey.
        let _ended = self.orders.send(order);
    }
}

impl Drop for LiveAgent {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic in the agent's thread has been printed there already.
            let _panicked = thread.join();
        }
    }
}

/// Where SIP comes and goes.
enum Port {
    Datagrams(UdpSocket),
    Streams(StreamPort),
}

struct Live {
    agent: Agent,
    clock: Clock,
    /// None while the agent plays one whose port is closed.
    sip: Option<Port>,
    by_stream: bool,
    tls: Option<AgentTls>,
    rtp: BTreeMap<u16, UdpSocket>,
    orders: Receiver<Order>,
    reports: SyncSender<Report>,
}

impl Live {
    fn run(mut self) {
        let mut buffer = vec![0; 65_536];
        loop {
            self.wait();
            loop {
                match self.orders.try_recv() {
                    Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return,
                    Ok(order) => self.obey(order),
                    Err(TryRecvError::Empty) => break,
                }
            }
            self.receive_sip(&mut buffer);
            self.receive_rtp(&mut buffer);
            let now = self.clock.now();
            if self.agent.deadline().is_some_and(|at| at <= now) {
                self.agent.handle(now, Input::Tick);
            }
            self.drain();
        }
    }

    fn obey(&mut self, order: Order) {
        let input = match order {
            Order::Behave(behaviour) => {
                self.open_or_close(behaviour);
                Input::Behave(behaviour)
            }
            Order::Dial(dial) => Input::Dial(dial),
            Order::HangUp(call) => Input::HangUp(call),
            Order::Hold(call, hold) => Input::Hold(call, hold),
            Order::Fax(call) => Input::Fax(call),
            Order::Options(to) => Input::Options(to),
            Order::Cut => return self.on_port(StreamPort::cut),
            Order::Deaf(deaf) => return self.on_port(|port| port.deafen(deaf)),
            Order::Become(tls) => {
                self.on_port(|port| port.become_other(&tls));
                self.tls = Some(tls);
                return;
            }
            Order::Stop => return,
        };
        let now = self.clock.now();
        self.agent.handle(now, input);
        self.drain();
    }

    /// Does something to the port of one that speaks TCP or TLS; another has none.
    fn on_port(&mut self, act: impl FnOnce(&mut StreamPort)) {
        if let Some(Port::Streams(port)) = &mut self.sip {
            act(port);
        }
    }

    /// A closed port is what makes the kernel answer with ICMP.
    fn open_or_close(&mut self, behaviour: Behaviour) {
        if behaviour.failing == Some(Failing::Closed) {
            self.sip = None;
        } else if self.sip.is_none() {
            let address = self.agent.address();
            self.sip = if self.by_stream {
                StreamPort::open(address, self.tls.as_ref()).ok().map(Port::Streams)
            } else {
                bind(address).ok().map(Port::Datagrams)
            };
        }
    }

    fn wait(&self) {
        let now = self.clock.now();
        let due = self.agent.deadline().map_or(LONGEST_WAIT_MS, |at| at.since(now).as_micros().div_ceil(1_000) as i32);
        let sip: Vec<RawFd> = match &self.sip {
            None => Vec::new(),
            Some(Port::Datagrams(socket)) => vec![socket.as_raw_fd()],
            Some(Port::Streams(port)) => port.descriptors().collect(),
        };
        let all = sip.into_iter().chain(self.rtp.values().map(AsRawFd::as_raw_fd));
        let mut waiting: Vec<libc::pollfd> =
            all.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
        // SAFETY: the pointer and length are those of a live Vec of pollfd, and poll writes only within it.
        unsafe { libc::poll(waiting.as_mut_ptr(), waiting.len() as libc::nfds_t, due.clamp(0, LONGEST_WAIT_MS)) };
    }

    fn receive_sip(&mut self, buffer: &mut [u8]) {
        if let Some(Port::Streams(port)) = &mut self.sip {
            for (from, bytes) in port.receive(buffer) {
                let now = self.clock.now();
                self.agent.handle(now, Input::Datagram { from, bytes: &bytes });
                self.drain();
            }
            return;
        }
        while let Some(Port::Datagrams(socket)) = &self.sip {
            let Ok((length, from)) = socket.recv_from(buffer) else { return };
            let now = self.clock.now();
            self.agent.handle(now, Input::Datagram { from, bytes: &buffer[..length] });
            self.drain();
        }
    }

    fn receive_rtp(&mut self, buffer: &mut [u8]) {
        let now = self.clock.now();
        for (port, socket) in &self.rtp {
            while let Ok((length, _)) = socket.recv_from(buffer) {
                self.agent.handle(now, Input::Media { port: *port, packet: &buffer[..length] });
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll() {
            match output {
                // A datagram that cannot be sent is one that was lost; SIP repeats it and RTP does not care.
                Output::Datagram(transmit) => match &mut self.sip {
                    None => {}
                    Some(Port::Datagrams(socket)) => {
                        let _lost = socket.send_to(&transmit.bytes, transmit.flow.peer);
                    }
                    Some(Port::Streams(port)) => port.send(&transmit),
                },
                Output::Media { port, to, packet } => {
                    let _lost = self.rtp.get(&port).map(|socket| socket.send_to(&packet, to));
                }
                Output::OpenMedia(port) => {
                    if let Ok(socket) = bind(SocketAddr::new(self.agent.address().ip(), port)) {
                        self.rtp.insert(port, socket);
                    }
                }
                Output::CloseMedia(port) => {
                    self.rtp.remove(&port);
                }
                // Nobody listens when the driver has gone or sleeps; the agent goes on.
                Output::Report(report) => {
                    let _unheard = self.reports.try_send(report);
                }
            }
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
