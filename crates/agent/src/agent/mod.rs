//! The agent machine: one SIP socket, many calls, audio in twenty-millisecond packets.
//!
//! Refuses to know: sockets and clocks. The driver opens a UDP socket per `Output::OpenMedia` and closes it when told.

mod audio;
mod callee;
mod caller;
mod session;

use crate::behaviour::{Behaviour, Failing};
use crate::call::{Call, CallNo, Due, State};
use crate::digits::KeyPress;
use crate::report::{Heard, Report};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use audio::heard;
use core::net::{IpAddr, SocketAddr};
use model::{Instant, ShardId, SocketId, Span, TransportFault};
use sip::{
    ClientKey, Draft, Endpoint, Event, Failure, Flow, HeaderLines, Limits, Method, Minter, TimerSet, Transmit,
    Transport,
};
use slab::Slab;

/// The one SIP socket of an agent.
const SOCKET: SocketId = SocketId(0);
/// Audio in one packet.
const PACKET_TIME: Span = Span::from_millis(20);
/// A packet later than this is not sent in haste, with those after it, but begins a new rhythm.
const LATE_PACKET: Span = Span::from_millis(100);
/// Tones an agent listens for, in hertz; far enough apart for 8 kHz audio in packets of 20 ms.
const TONES: [u16; 8] = [350, 440, 620, 850, 1_000, 1_300, 1_700, 2_100];

/// What makes an agent.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// User part of its address.
    pub user: String,
    /// Its SIP address.
    pub sip: SocketAddr,
    /// The transport it speaks there.
    pub transport: Transport,
    /// Address of its audio.
    pub media_ip: IpAddr,
    /// First of its RTP ports, even.
    pub first_port: u16,
    /// How many calls it takes at once; one RTP port each.
    pub calls: u16,
    /// Seed of its tags.
    pub seed: u64,
    /// Its timers.
    pub timers: TimerSet,
}

/// A call to place.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Where the INVITE goes.
    pub to: SocketAddr,
    /// User part of the request URI.
    pub number: String,
    /// What its Call-ID begins with.
    pub mark: String,
    /// Sends no SDP in the INVITE; the answer offers and our ACK answers.
    pub late_offer: bool,
    /// What it plays, in hertz.
    pub tone_hz: u16,
    /// Keys it presses, in order.
    pub presses: Vec<KeyPress>,
    /// BYE so long after the answer; none talks until told.
    pub hang_up_after: Option<Span>,
    /// CANCEL so long after the INVITE when there is no answer yet.
    pub give_up_after: Option<Span>,
}

/// What reaches an agent.
#[derive(Debug)]
pub enum Input<'a> {
    /// A SIP datagram.
    Datagram {
        /// Sender.
        from: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// The network refused a datagram of ours.
    Undeliverable {
        /// To whom.
        peer: SocketAddr,
        /// The beginning of what was sent.
        sent: &'a [u8],
        /// How it was refused.
        fault: TransportFault,
    },
    /// An RTP packet.
    Media {
        /// Port that received it.
        port: u16,
        /// The packet.
        packet: &'a [u8],
    },
    /// Behave so from now on.
    Behave(Behaviour),
    /// Place a call.
    Dial(Dial),
    /// End a call, or give it up.
    HangUp(CallNo),
    /// Hold (true) or resume (false) a call by re-INVITE.
    Hold(CallNo, bool),
    /// Offer to go on by fax (T.38) in place of audio.
    Fax(CallNo),
    /// Ask the peer how it is.
    Options(SocketAddr),
    /// Time has passed.
    Tick,
}

/// What leaves an agent.
#[derive(Debug)]
pub enum Output {
    /// A SIP datagram.
    Datagram(Transmit),
    /// An RTP packet.
    Media {
        /// Port it leaves by.
        port: u16,
        /// To whom.
        to: SocketAddr,
        /// The packet.
        packet: Vec<u8>,
    },
    /// Open this RTP port.
    OpenMedia(u16),
    /// Close it.
    CloseMedia(u16),
    /// Tell the driver.
    Report(Report),
}

/// One SIP user agent.
pub struct Agent {
    config: AgentConfig,
    behaviour: Behaviour,
    endpoint: Endpoint,
    calls: Slab<Call>,
    next: u32,
    free_ports: VecDeque<u16>,
    options: Option<ClientKey>,
    out: VecDeque<Output>,
}

impl Agent {
    /// An agent without calls.
    pub fn new(config: AgentConfig, behaviour: Behaviour) -> Self {
        let minter = Minter::new(0, ShardId(0), config.seed, config.seed ^ 0xa6e7);
        let limits = Limits { transactions: usize::from(config.calls) * 32 + 256, ..Limits::default() };
        let mut endpoint = Endpoint::new(minter, limits, config.seed);
        endpoint.bind(SOCKET, config.transport, config.sip);
        let free_ports = (0..config.calls).map(|n| config.first_port + 2 * n).collect();
        Self {
            config,
            behaviour,
            endpoint,
            calls: Slab::new(),
            next: 1,
            free_ports,
            options: None,
            out: VecDeque::new(),
        }
    }

    /// Its SIP address.
    pub fn address(&self) -> SocketAddr {
        self.config.sip
    }

    /// How it behaves.
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// Calls it has.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Calls it has that are answered.
    pub fn answered(&self) -> usize {
        self.calls.iter().filter(|(_, call)| call.state == State::Up).count()
    }

    /// Number of the call that the next `Dial` makes.
    pub fn next_call(&self) -> CallNo {
        CallNo(self.next)
    }

    /// What a call has heard so far.
    pub fn heard(&self, no: CallNo) -> Option<Heard> {
        self.find(no).map(|slot| heard(&self.calls[slot].audio))
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram { from, bytes } if !self.deaf() => {
                let flow = Flow { socket: SOCKET, peer: from, transport: self.config.transport };
                // A rejected message is counted by the endpoint; an agent has nobody else to tell.
                let _counted = self.endpoint.receive(now, flow, bytes);
            }
            Input::Datagram { .. } => {}
            Input::Undeliverable { peer, sent, fault } => self.endpoint.undeliverable(now, SOCKET, peer, sent, fault),
            Input::Media { port, packet } => self.media(now, port, packet),
            Input::Behave(behaviour) => self.behave(behaviour),
            Input::Dial(dial) => self.dial(now, dial),
            Input::HangUp(no) => self.hang_up(now, no),
            Input::Hold(no, hold) => self.hold(now, no, hold),
            Input::Fax(no) => self.fax(now, no),
            Input::Options(to) => self.ask(now, to),
            Input::Tick => {
                self.endpoint.expire(now);
                self.expire(now);
            }
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.event(now, event);
        }
    }

    /// What is to be done next, if anything.
    pub fn poll(&mut self) -> Option<Output> {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            if !self.deaf() {
                return Some(Output::Datagram(transmit));
            }
        }
        self.out.pop_front()
    }

    /// When `Input::Tick` is due.
    pub fn deadline(&self) -> Option<Instant> {
        let calls = self.calls.iter().filter_map(|(_, call)| call.due().map(|(at, _)| at)).min();
        match (self.endpoint.deadline(), calls) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Drops everything, both ways.
    fn deaf(&self) -> bool {
        matches!(self.behaviour.failing, Some(Failing::Silent | Failing::Closed))
    }

    fn behave(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
        let mute = self.mute();
        for (_, call) in &mut self.calls {
            call.audio.mute = mute;
        }
    }

    fn mute(&self) -> bool {
        matches!(self.behaviour.failing, Some(Failing::NoRtp | Failing::Silent | Failing::Closed))
    }

    fn find(&self, no: CallNo) -> Option<usize> {
        self.calls.iter().find(|(_, call)| call.no == no).map(|(slot, _)| slot)
    }

    fn report(&mut self, report: Report) {
        self.out.push_back(Output::Report(report));
    }

    fn contact(&self) -> String {
        let at = SocketAddr::new(self.behaviour.says.unwrap_or(self.config.sip.ip()), self.config.sip.port());
        format!("<sip:{}@{at}>", self.config.user)
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Request { server, flow, message } => self.request(now, server, flow, &message),
            Event::Cancelled { server, .. } => self.cancelled(now, server),
            Event::Ack { message, .. } => self.acknowledged(now, &message),
            Event::Response { client, message, .. } => self.response(now, client, &message),
            Event::ClientFailed { client, why } => self.failed(client, why),
            // It answers nothing reliably.
            Event::PrackMissing { .. } => {}
            Event::AckMissing { server } => {
                if let Some(no) = self.calls.iter().find(|(_, c)| c.server == Some(server)).map(|(_, c)| c.no) {
                    self.hang_up(now, no);
                }
            }
        }
    }

    fn failed(&mut self, client: ClientKey, why: Failure) {
        if self.options == Some(client) {
            self.options = None;
        }
        if let Some(slot) = self.calls.iter().find(|(_, call)| call.client == Some(client)).map(|(slot, _)| slot)
            && matches!(self.calls[slot].state, State::Calling | State::Leaving)
        {
            let call = self.remove(slot);
            let fault = match why {
                Failure::Unreachable(fault) => Some(fault),
                Failure::NoReply => None,
            };
            self.report(Report::Failed { call: call.no, fault });
        }
    }

    fn ask(&mut self, now: Instant, to: SocketAddr) {
        let tag = self.endpoint.minter().tag();
        let call_id = self.endpoint.minter().call_id();
        let mut headers = HeaderLines::new();
        headers.push("From", format!("<sip:{}@{}>;tag={}", self.config.user, self.config.sip, tag.as_str()).as_bytes());
        headers.push("To", format!("<sip:{to}>").as_bytes());
        headers.push("Call-ID", call_id.as_bytes());
        headers.push("CSeq", b"1 OPTIONS");
        let draft = Draft { headers, ..Draft::new(Method::Options, format!("sip:{to}").into_bytes()) };
        let flow = Flow { socket: SOCKET, peer: to, transport: self.config.transport };
        self.options = self.endpoint.request(now, flow, draft, &self.config.timers).ok();
    }

    fn expire(&mut self, now: Instant) {
        let slots: Vec<usize> = self.calls.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            while let Some((at, due)) = self.calls.get(slot).and_then(Call::due) {
                if at > now {
                    break;
                }
                let no = self.calls[slot].no;
                match due {
                    Due::Ring => self.ring(now, slot),
                    Due::Answer => self.answer(now, slot),
                    Due::Packet => self.play(now, slot, at),
                    Due::Press => self.press(now, slot),
                    Due::HangUp => {
                        self.calls[slot].hang_up_at = None;
                        self.hang_up(now, no);
                    }
                    Due::GiveUp => {
                        self.calls[slot].give_up_at = None;
                        self.hang_up(now, no);
                    }
                }
            }
        }
    }
}
