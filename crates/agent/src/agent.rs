//! The agent machine: one SIP socket, many calls, audio in twenty-millisecond packets.
//!
//! Refuses to know: sockets and clocks. The driver opens a UDP socket per `Output::OpenMedia` and closes it when told.

use crate::behaviour::{Behaviour, Failing};
use crate::call::{Audio, Call, CallNo, Due, State};
use crate::offer;
use crate::report::{Heard, Report};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use media::player::{ToneListener, ToneTalker};
use media::sdp::Direction;
use model::{Instant, ShardId, SocketId, Span, TransportFault};
use sip::{
    Answer, ClientKey, Dialog, Draft, Endpoint, Event, Failure, Flow, HeaderLines, Limits, Message, Method, Minter,
    ServerKey, TimerSet, Transmit, Transport, Uri,
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
    /// Sends no SDP in the INVITE; the answer offers and our ACK answers.
    pub late_offer: bool,
    /// What it plays, in hertz.
    pub tone_hz: u16,
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
        endpoint.bind(SOCKET, Transport::Udp, config.sip);
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
                let flow = Flow { socket: SOCKET, peer: from, transport: Transport::Udp };
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
        format!("<sip:{}@{}>", self.config.user, self.config.sip)
    }

    // --- calls we place ---------------------------------------------------------------------------------------

    fn dial(&mut self, now: Instant, dial: Dial) {
        let Some(audio) = self.audio(now, dial.tone_hz) else { return };
        let no = CallNo(self.next);
        self.next += 1;
        let tag = self.endpoint.minter().tag();
        let call_id = self.endpoint.minter().call_id();
        let mut headers = HeaderLines::new();
        headers.push("From", format!("<sip:{}@{}>;tag={}", self.config.user, self.config.sip, tag.as_str()).as_bytes());
        headers.push("To", format!("<sip:{}@{}>", dial.number, dial.to).as_bytes());
        headers.push("Call-ID", call_id.as_bytes());
        headers.push("CSeq", b"1 INVITE");
        headers.push("Contact", self.contact().as_bytes());
        let mut draft =
            Draft { headers, ..Draft::new(Method::Invite, format!("sip:{}@{}", dial.number, dial.to).into_bytes()) };
        if !dial.late_offer {
            draft.headers.push("Content-Type", b"application/sdp");
            draft.body = offer::describe(audio.session, audio.version, audio.local, Direction::SendRecv);
        }
        let flow = Flow { socket: SOCKET, peer: dial.to, transport: Transport::Udp };
        let Ok(client) = self.endpoint.request(now, flow, draft, &self.config.timers) else {
            self.close(audio.local.port());
            return self.report(Report::Failed { call: no, fault: Some(TransportFault::Local) });
        };
        self.calls.insert(Call {
            no,
            state: State::Calling,
            flow,
            dialog: None,
            server: None,
            client: Some(client),
            cseq: 1,
            reinvite: None,
            started: now,
            ring_at: None,
            answer_at: None,
            hang_up_after: dial.hang_up_after,
            hang_up_at: None,
            give_up_at: dial.give_up_after.map(|after| now + after),
            late_offer: dial.late_offer,
            audio,
        });
    }

    fn response(&mut self, now: Instant, client: ClientKey, message: &Message) {
        let code = message.status().unwrap_or(0);
        if self.options == Some(client) && code >= 200 {
            self.options = None;
            return self.report(Report::Options { code });
        }
        let Some(slot) =
            self.calls.iter().find(|(_, c)| c.client == Some(client) || c.reinvite == Some(client)).map(|(s, _)| s)
        else {
            return;
        };
        if self.calls[slot].reinvite == Some(client) {
            return self.reinvite_answered(now, slot, client, message);
        }
        match code {
            100 => {}
            101..200 => self.progressed(now, slot, message),
            200..300 => self.call_answered(now, slot, client, message),
            _ => {
                let after = now.since(self.calls[slot].started);
                let call = self.remove(slot);
                self.report(Report::Refused { call: call.no, code, after });
            }
        }
    }

    fn progressed(&mut self, now: Instant, slot: usize, message: &Message) {
        let call = &mut self.calls[slot];
        if !message.body().is_empty() {
            call.audio.learn(now, message.body());
        }
        let report =
            Report::Progress { call: call.no, code: message.status().unwrap_or(0), after: now.since(call.started) };
        self.report(report);
    }

    fn call_answered(&mut self, now: Instant, slot: usize, client: ClientKey, message: &Message) {
        let call = &mut self.calls[slot];
        let Ok(dialog) = Dialog::uac(message) else { return };
        let offered = call.audio.learn(now, message.body());
        let mut ack = dialog.ack(call.cseq);
        if call.late_offer {
            let direction = offered.map_or(Direction::SendRecv, offer::mirror);
            call.audio.direction = direction;
            ack.headers.push("Content-Type", b"application/sdp");
            ack.body = offer::describe(call.audio.session, call.audio.version, call.audio.local, direction);
        }
        let leaving = call.state == State::Leaving;
        call.dialog = Some(dialog);
        call.state = State::Up;
        call.give_up_at = None;
        call.hang_up_at = call.hang_up_after.map(|after| now + after);
        let (flow, no, after) = (call.flow, call.no, now.since(call.started));
        self.endpoint.ack(now, client, flow, ack);
        if leaving {
            // Our CANCEL crossed the answer (RFC 3261 §9.1): the call is up and must be ended by BYE.
            return self.hang_up(now, no);
        }
        self.report(Report::Answered { call: no, after });
    }

    // --- calls we take ----------------------------------------------------------------------------------------

    fn request(&mut self, now: Instant, server: ServerKey, flow: Flow, message: &Message) {
        if self.behaviour.failing == Some(Failing::Unavailable) {
            return self.endpoint.respond(now, server, Answer::new(503));
        }
        let known = message.to().tag().map(<[u8]>::to_vec);
        match (message.method(), known) {
            (Method::Options, None) => self.endpoint.respond(now, server, Answer::new(200)),
            (Method::Invite, None) => self.called(now, server, flow, message),
            (_, None) => self.endpoint.respond(now, server, Answer::new(405)),
            (method, Some(_)) => match self.dialog_of(message) {
                Some(slot) => self.in_dialog(now, slot, server, method, message),
                None => self.endpoint.respond(now, server, Answer::new(481)),
            },
        }
    }

    fn called(&mut self, now: Instant, server: ServerKey, flow: Flow, message: &Message) {
        let behaviour = self.behaviour;
        match (behaviour.failing, behaviour.refuse) {
            // The endpoint has said 100 already, and nothing follows.
            (Some(Failing::Stall), _) => return,
            (Some(Failing::Grey), _) => return self.endpoint.respond(now, server, Answer::new(500)),
            (_, Some(code)) => return self.endpoint.respond(now, server, Answer::new(code)),
            _ => {}
        }
        let tag = self.endpoint.minter().tag();
        let Ok(dialog) = Dialog::uas(message, tag.as_bytes()) else {
            return self.endpoint.respond(now, server, Answer::new(400));
        };
        let Some(mut audio) = self.audio(now, behaviour.tone_hz) else {
            return self.endpoint.respond(now, server, Answer::new(486));
        };
        let late_offer = message.body().is_empty();
        if !late_offer && let Some(offered) = audio.learn(now, message.body()) {
            audio.direction = offer::mirror(offered);
        }
        // Before the answer only early media is sent.
        audio.mute |= !behaviour.early_media;
        let no = CallNo(self.next);
        self.next += 1;
        self.calls.insert(Call {
            no,
            state: State::Called,
            flow,
            dialog: Some(dialog),
            server: Some(server),
            client: None,
            cseq: 0,
            reinvite: None,
            started: now,
            ring_at: Some(now + behaviour.ring_after),
            answer_at: behaviour.answer_after.map(|after| now + after),
            hang_up_after: behaviour.hang_up_after,
            hang_up_at: None,
            give_up_at: None,
            late_offer,
            audio,
        });
        let number = Uri::parse(message.uri()).ok().map(|uri| String::from_utf8_lossy(uri.user()).into_owned());
        self.report(Report::Incoming { call: no, number: number.unwrap_or_default() });
    }

    fn ring(&mut self, now: Instant, slot: usize) {
        let early = self.behaviour.early_media;
        let mut answer = self.dialog_answer(slot, if early { 183 } else { 180 });
        let call = &mut self.calls[slot];
        call.ring_at = None;
        if early && !call.late_offer {
            answer.headers.push("Content-Type", b"application/sdp");
            answer.body =
                offer::describe(call.audio.session, call.audio.version, call.audio.local, call.audio.direction);
        }
        if let Some(server) = call.server {
            self.endpoint.respond(now, server, answer);
        }
    }

    fn answer(&mut self, now: Instant, slot: usize) {
        let mut answer = self.dialog_answer(slot, 200);
        let mute = self.mute();
        let call = &mut self.calls[slot];
        (call.ring_at, call.answer_at) = (None, None);
        call.state = State::Accepted;
        call.audio.mute = mute;
        answer.headers.push("Content-Type", b"application/sdp");
        answer.body = offer::describe(call.audio.session, call.audio.version, call.audio.local, call.audio.direction);
        if let Some(server) = call.server {
            self.endpoint.respond(now, server, answer);
        }
    }

    /// A response that carries our tag and Contact.
    fn dialog_answer(&self, slot: usize, code: u16) -> Answer {
        let mut answer = Answer::new(code);
        answer.to_tag = self.calls[slot].dialog.as_ref().map(|dialog| dialog.local_tag.clone());
        answer.headers.push("Contact", self.contact().as_bytes());
        answer
    }

    fn acknowledged(&mut self, now: Instant, message: &Message) {
        let Some(slot) = self.dialog_of(message) else { return };
        let call = &mut self.calls[slot];
        if let Some(server) = call.server.take() {
            self.endpoint.confirm(now, server);
        }
        if call.late_offer && !message.body().is_empty() {
            call.audio.learn(now, message.body());
        }
        if call.state == State::Accepted {
            call.state = State::Up;
            call.hang_up_at = call.hang_up_after.map(|after| now + after);
            let report = Report::Answered { call: call.no, after: now.since(call.started) };
            self.report(report);
        }
    }

    fn cancelled(&mut self, now: Instant, server: ServerKey) {
        self.endpoint.respond(now, server, Answer::new(487));
        if let Some(slot) = self.calls.iter().find(|(_, call)| call.server == Some(server)).map(|(slot, _)| slot) {
            let after = now.since(self.calls[slot].started);
            let call = self.remove(slot);
            self.report(Report::Refused { call: call.no, code: 487, after });
        }
    }

    // --- calls that are up ------------------------------------------------------------------------------------

    fn in_dialog(&mut self, now: Instant, slot: usize, server: ServerKey, method: Method, message: &Message) {
        let call = &mut self.calls[slot];
        if call.dialog.as_mut().is_some_and(|dialog| dialog.accepts(message).is_err()) {
            return self.endpoint.respond(now, server, Answer::new(500));
        }
        match method {
            Method::Bye => {
                self.endpoint.respond(now, server, Answer::new(200));
                self.end(slot, false);
            }
            Method::Invite => self.reinvited(now, slot, server, message),
            _ => self.endpoint.respond(now, server, Answer::new(200)),
        }
    }

    fn reinvited(&mut self, now: Instant, slot: usize, server: ServerKey, message: &Message) {
        if self.calls[slot].reinvite.is_some() {
            // Glare (RFC 3261 §14.2).
            return self.endpoint.respond(now, server, Answer::new(491));
        }
        let mut answer = self.dialog_answer(slot, 200);
        let call = &mut self.calls[slot];
        let offered = call.audio.learn(now, message.body());
        call.audio.direction = offered.map_or(Direction::SendRecv, offer::mirror);
        call.audio.version += 1;
        call.late_offer = message.body().is_empty();
        call.server = Some(server);
        if let Some(dialog) = call.dialog.as_mut() {
            dialog.refresh_target(message);
        }
        answer.headers.push("Content-Type", b"application/sdp");
        answer.body = offer::describe(call.audio.session, call.audio.version, call.audio.local, call.audio.direction);
        self.endpoint.respond(now, server, answer);
    }

    fn hold(&mut self, now: Instant, no: CallNo, hold: bool) {
        let Some(slot) = self.find(no) else { return };
        let contact = self.contact();
        let call = &mut self.calls[slot];
        let (State::Up, Some(dialog), None) = (call.state, call.dialog.as_mut(), call.reinvite) else { return };
        let direction = if hold { Direction::SendOnly } else { Direction::SendRecv };
        call.audio.version += 1;
        let mut draft = dialog.request(Method::Invite);
        call.cseq = dialog.local_seq;
        draft.headers.push("Contact", contact.as_bytes());
        draft.headers.push("Content-Type", b"application/sdp");
        draft.body = offer::describe(call.audio.session, call.audio.version, call.audio.local, direction);
        call.audio.direction = direction;
        call.reinvite = self.endpoint.request(now, call.flow, draft, &self.config.timers).ok();
    }

    fn reinvite_answered(&mut self, now: Instant, slot: usize, client: ClientKey, message: &Message) {
        let code = message.status().unwrap_or(0);
        if code < 200 {
            return;
        }
        let call = &mut self.calls[slot];
        call.reinvite = None;
        let no = call.no;
        if code < 300 {
            call.audio.learn(now, message.body());
            if let Some(dialog) = call.dialog.as_mut() {
                dialog.refresh_target(message);
                let ack = dialog.ack(call.cseq);
                let flow = call.flow;
                self.endpoint.ack(now, client, flow, ack);
            }
        }
        self.report(Report::Reinvited { call: no, code });
    }

    fn hang_up(&mut self, now: Instant, no: CallNo) {
        let Some(slot) = self.find(no) else { return };
        let call = &mut self.calls[slot];
        match (call.state, call.client, call.dialog.as_mut()) {
            (State::Calling, Some(client), _) => {
                call.state = State::Leaving;
                call.give_up_at = None;
                self.endpoint.cancel(now, client, None);
            }
            (State::Called, _, _) => {
                if let Some(server) = call.server {
                    self.endpoint.respond(now, server, Answer::new(480));
                }
                self.remove(slot);
            }
            (State::Up | State::Accepted, _, Some(dialog)) => {
                let draft = dialog.request(Method::Bye);
                let flow = call.flow;
                // When no transaction can be had the call is over all the same.
                let _sent = self.endpoint.request(now, flow, draft, &self.config.timers);
                self.end(slot, true);
            }
            _ => {}
        }
    }

    fn end(&mut self, slot: usize, by_us: bool) {
        let call = self.remove(slot);
        self.report(Report::Ended { call: call.no, by_us, heard: heard(&call.audio) });
    }

    fn remove(&mut self, slot: usize) -> Call {
        let call = self.calls.remove(slot);
        self.close(call.audio.local.port());
        call
    }

    fn dialog_of(&self, message: &Message) -> Option<usize> {
        let (call_id, tag) = (message.call_id(), message.to().tag()?);
        let ours = |call: &Call| call.dialog.as_ref().is_some_and(|d| d.local_tag == tag && d.call_id == call_id);
        self.calls.iter().find(|(_, call)| ours(call)).map(|(slot, _)| slot)
    }

    // --- events and time --------------------------------------------------------------------------------------

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Request { server, flow, message } => self.request(now, server, flow, &message),
            Event::Cancelled { server } => self.cancelled(now, server),
            Event::Ack { message, .. } => self.acknowledged(now, &message),
            Event::Response { client, message, .. } => self.response(now, client, &message),
            Event::ClientFailed { client, why } => self.failed(client, why),
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
        let flow = Flow { socket: SOCKET, peer: to, transport: Transport::Udp };
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

    // --- audio ------------------------------------------------------------------------------------------------

    fn audio(&mut self, now: Instant, tone_hz: u16) -> Option<Audio> {
        let port = self.free_ports.pop_front()?;
        self.out.push_back(Output::OpenMedia(port));
        let ssrc = self.config.seed.wrapping_mul(0x9e37_79b9).wrapping_add(u64::from(self.next)) as u32;
        Some(Audio {
            local: SocketAddr::new(self.config.media_ip, port),
            session: now.as_micros() + u64::from(self.next),
            version: 1,
            remote: None,
            direction: Direction::SendRecv,
            mute: self.mute(),
            talker: ToneTalker::new(tone_hz, ssrc),
            listener: ToneListener::new(&TONES),
            next_packet: None,
        })
    }

    fn play(&mut self, now: Instant, slot: usize, at: Instant) {
        let audio = &mut self.calls[slot].audio;
        // In step with the last one, unless that was long ago: then nothing is made up for.
        let step = if now.since(at) > LATE_PACKET { now } else { at };
        audio.next_packet = Some(step + PACKET_TIME);
        let packet = audio.talker.next_packet();
        if let Some(to) = audio.remote.filter(|_| audio.may_send()) {
            let port = audio.local.port();
            self.out.push_back(Output::Media { port, to, packet: packet.to_vec() });
        }
    }

    fn media(&mut self, now: Instant, port: u16, packet: &[u8]) {
        if let Some((_, call)) = self.calls.iter_mut().find(|(_, call)| call.audio.local.port() == port) {
            call.audio.listener.feed(now, packet);
        }
    }

    fn close(&mut self, port: u16) {
        self.free_ports.push_back(port);
        self.out.push_back(Output::CloseMedia(port));
    }
}

fn heard(audio: &Audio) -> Heard {
    let tone = audio.listener.loudest();
    Heard {
        packets: audio.listener.packets(),
        tone_hz: tone.map(|(hz, _)| hz),
        tone_for: tone.map_or(Span::ZERO, |(_, long)| long),
        longest_gap: audio.listener.longest_gap(),
    }
}
