//! One agent on real sockets: a thread that waits on its SIP socket, its RTP sockets and its clock.
//!
//! The lab and the interop tests drive agents through this. Refuses to know: what the agent does.

use crate::clock::Clock;
use agent::{Agent, AgentConfig, Behaviour, CallNo, Dial, Failing, Input, Output, Report};
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Orders and reports that may wait.
const BACKLOG: usize = 4_096;
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
    /// Ask a peer how it is.
    Options(SocketAddr),
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
}

impl LiveAgent {
    /// Binds its SIP socket and starts.
    ///
    /// # Errors
    /// When the SIP address cannot be bound or no thread can be had.
    pub fn start(config: AgentConfig, behaviour: Behaviour) -> io::Result<Self> {
        let address = config.sip;
        let sip = bind(address)?;
        let (orders, orders_in) = sync_channel(BACKLOG);
        let (reports_out, reports) = sync_channel(BACKLOG);
        let name = format!("agent-{}", config.user);
        let live = Live {
            agent: Agent::new(config, behaviour),
            clock: Clock::start(),
            sip: Some(sip),
            rtp: BTreeMap::new(),
            orders: orders_in,
            reports: reports_out,
        };
        let thread = Builder::new().name(name).spawn(move || live.run())?;
        Ok(Self { orders, reports, thread: Some(thread), address })
    }

    /// Its SIP address.
    pub fn address(&self) -> SocketAddr {
        self.address
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

struct Live {
    agent: Agent,
    clock: Clock,
    /// None while the agent plays one whose port is closed.
    sip: Option<UdpSocket>,
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
            Order::Options(to) => Input::Options(to),
            Order::Stop => return,
        };
        let now = self.clock.now();
        self.agent.handle(now, input);
        self.drain();
    }

    /// A closed port is what makes the kernel answer with ICMP.
    fn open_or_close(&mut self, behaviour: Behaviour) {
        if behaviour.failing == Some(Failing::Closed) {
            self.sip = None;
        } else if self.sip.is_none() {
            self.sip = bind(self.agent.address()).ok();
        }
    }

    fn wait(&self) {
        let now = self.clock.now();
        let due = self.agent.deadline().map_or(LONGEST_WAIT_MS, |at| at.since(now).as_micros().div_ceil(1_000) as i32);
        let sockets = self.sip.iter().chain(self.rtp.values());
        let mut waiting: Vec<libc::pollfd> =
            sockets.map(|socket| libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 }).collect();
        // SAFETY: the pointer and length are those of a live Vec of pollfd, and poll writes only within it.
        unsafe { libc::poll(waiting.as_mut_ptr(), waiting.len() as libc::nfds_t, due.clamp(0, LONGEST_WAIT_MS)) };
    }

    fn receive_sip(&mut self, buffer: &mut [u8]) {
        while let Some(Ok((length, from))) = self.sip.as_ref().map(|socket| socket.recv_from(buffer)) {
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
                Output::Datagram(transmit) => {
                    let _lost = self.sip.as_ref().map(|socket| socket.send_to(&transmit.bytes, transmit.flow.peer));
                }
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
