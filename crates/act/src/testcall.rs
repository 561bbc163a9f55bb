//! One test call: an INVITE to a set number, what came of it, and its end.
//!
//! It is a call as callers have it, by the very socket and target that theirs take, and so it shows what an OPTIONS cannot: that the
//! trunk puts calls through and that audio passes. Whatever happens it is torn down: CANCEL when its time is over, ACK and BYE for an
//! answer, also for one that comes too late. Refuses to know: when a test call is due, what its outcome means for the trunk.

use crate::b2bua::{ALLOW, reach};
use crate::nonces::Nonces;
use crate::ports::Ports;
use crate::profile::{Target, TrunkProfile};
use crate::testcall_audio::{Audio, Heard, offer};
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;
use media::player::Packet;
use media::{Component, PairId, Relay};
use model::{Instant, ListenId, Rng, Span, TestCallResult, TrunkId};
use sip::auth::{self, Credentials};
use sip::{
    Answer, ClientKey, Dialog, Draft, Endpoint, Failure, Flow, HeaderLines, Message, Method, SentBy, ServerKey,
    TimerSet,
};

/// Who calls when neither a caller nor credentials are configured.
const NOBODY: &[u8] = b"edge";

/// What a test call is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCallScript {
    /// Whom it calls: user part of the request URI.
    pub number: Vec<u8>,
    /// Who it says it is; else the user of the trunk's credentials.
    pub from: Option<Vec<u8>>,
    /// What is good.
    pub expect: Expected,
    /// INVITE to final response.
    pub deadline: Span,
    /// How long it listens after the answer, at most.
    pub listen: Span,
}

/// What a test call must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A final response with a code within one of these ranges, ends included. An answer is ended at once.
    Codes(Vec<(u16, u16)>),
    /// An answer, and audio of the target.
    Heard,
    /// An answer, audio of the target, and proof that it hears ours.
    HeardBothWays,
}

impl Expected {
    const fn listens(&self) -> bool {
        !matches!(self, Self::Codes(_))
    }

    fn holds(&self, code: u16) -> bool {
        match self {
            Self::Codes(ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&code)),
            Self::Heard | Self::HeardBothWays => (200..300).contains(&code),
        }
    }

    const fn is_proven(&self, heard: &Heard) -> bool {
        match self {
            Self::Codes(_) => true,
            Self::Heard => heard.from_target,
            Self::HeardBothWays => heard.from_target && heard.to_target,
        }
    }
}

/// What came of a test call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestCallOutcome {
    /// In one word.
    pub result: TestCallResult,
    /// INVITE to the first 18x.
    pub ringback: Option<Span>,
    /// INVITE to the answer.
    pub answer: Option<Span>,
    /// The final response.
    pub code: Option<u16>,
    /// What was heard, if it listened.
    pub heard: Option<Heard>,
}

/// Why a test call says nothing about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoVerdict {
    /// The trunk has no test call any more.
    Unset,
    /// An earlier one is not torn down yet, or too many are under way.
    Busy,
    /// No media port is free.
    NoPort,
    /// We could not send: no socket, or no transaction is free.
    NoRoom,
    /// The trunk carries as many calls as it may.
    Full,
    /// We are ending, and broke it off.
    Stopped,
}

/// What a test call acts on, for one event.
#[derive(Debug)]
pub struct TestCallWorld<'a> {
    /// Now.
    pub now: Instant,
    /// SIP.
    pub endpoint: &'a mut Endpoint,
    /// Audio.
    pub relay: &'a mut Relay,
    /// Media ports.
    pub ports: &'a mut Ports,
    /// Challenges of trunks.
    pub nonces: &'a mut Nonces,
    /// For numbers.
    pub rng: &'a mut Rng,
}

/// How far it has come.
#[derive(Debug)]
enum State {
    /// The INVITE waits for a final response.
    Calling(ClientKey),
    /// It was given up: the CANCEL is sent, or waits for the first provisional response.
    Leaving(ClientKey),
    /// Answered; it talks and listens.
    Talking(Dialog),
    /// The BYE is on its way.
    Ending(ClientKey, Dialog),
    /// Nothing is left of it.
    Over,
}

/// One test call.
#[derive(Debug)]
pub struct TestCall {
    script: TestCallScript,
    flow: Flow,
    timers: TimerSet,
    trunk: TrunkId,
    auth: Option<Credentials>,
    /// What its URI names.
    host: Vec<u8>,
    call_id: Vec<u8>,
    tag: Vec<u8>,
    from: Vec<u8>,
    cseq: u32,
    /// Challenges answered, to INVITE and to BYE.
    authorised: (u8, u8),
    /// The lines that signed its INVITE, which the ACK repeats (RFC 3261 §13.2.2.4).
    signed: Vec<Vec<u8>>,
    sent: Instant,
    ringback: Option<Span>,
    answer: Option<Span>,
    offer: Vec<u8>,
    audio: Option<Audio>,
    state: State,
    /// When its patience ends, for the answer or for the audio.
    until: Option<Instant>,
    outcome: Option<Result<TestCallOutcome, NoVerdict>>,
}

impl TestCall {
    /// Sends the INVITE. `media` is the listen that has ports for its audio.
    ///
    /// # Errors
    /// Nothing was sent, and nothing is proven.
    pub fn place(
        world: &mut TestCallWorld<'_>,
        script: &TestCallScript,
        (id, trunk): (TrunkId, &TrunkProfile),
        target: Target,
        media: Option<ListenId>,
    ) -> Result<Self, NoVerdict> {
        let sent_by = world.endpoint.sent_by(target.socket).ok_or(NoVerdict::NoRoom)?;
        let taken = media.and_then(|listen| world.ports.take(listen));
        if taken.is_none() && (media.is_some() || script.expect.listens()) {
            return Err(NoVerdict::NoPort);
        }
        if let Some((pair, _)) = taken
            && world.relay.keep(pair).is_err()
        {
            world.ports.release(world.now, pair);
            return Err(NoVerdict::NoPort);
        }
        let user = trunk.auth.as_ref().map(|auth| auth.user.as_bytes().to_vec());
        let session = world.rng.next_u64() >> 20;
        let mut call = Self {
            flow: Flow { socket: target.socket, peer: target.addr, transport: target.transport },
            timers: trunk.timers,
            trunk: id,
            auth: trunk.auth.clone(),
            call_id: world.endpoint.minter().call_id().as_bytes().to_vec(),
            host: trunk.interworking.host_at(target.addr).into_owned(),
            tag: world.endpoint.minter().tag().as_bytes().to_vec(),
            from: script.from.clone().or(user).unwrap_or_else(|| NOBODY.to_vec()),
            cseq: 1,
            authorised: (0, 0),
            signed: Vec::new(),
            sent: world.now,
            ringback: None,
            answer: None,
            offer: offer(session, taken.map(|(_, rtp)| rtp), sent_by.addr.ip()),
            audio: taken.map(|(pair, _)| Audio::new(pair, world.rng.next_u64() as u32)),
            state: State::Over,
            until: Some(world.now + script.deadline),
            outcome: None,
            script: script.clone(),
        };
        if call.invite(world, &sent_by) {
            return Ok(call);
        }
        call.free(world);
        Err(NoVerdict::NoRoom)
    }

    /// Whether the transaction is its own.
    pub fn owns(&self, client: ClientKey) -> bool {
        match &self.state {
            State::Calling(own) | State::Leaving(own) | State::Ending(own, _) => *own == client,
            State::Talking(_) | State::Over => false,
        }
    }

    /// Whether a request of the target belongs to its dialog.
    pub fn owns_dialog(&self, message: &Message) -> bool {
        message.call_id() == self.call_id && message.to().tag() == Some(&self.tag)
    }

    /// Whether the pair is its own.
    pub fn owns_pair(&self, pair: PairId) -> bool {
        self.audio.as_ref().is_some_and(|audio| audio.pair == pair)
    }

    /// Nothing is left of it, no transaction that could still bring an answer.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// It is still a call at the target, as far as we know.
    pub const fn is_up(&self) -> bool {
        !matches!(self.state, State::Over | State::Ending(..))
    }

    /// What came of it; told once.
    pub fn poll(&mut self) -> Option<Result<TestCallOutcome, NoVerdict>> {
        self.outcome.take()
    }

    /// When [`TestCall::tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let packet = self.audio.as_ref().and_then(Audio::deadline);
        [self.until, packet].into_iter().flatten().min()
    }

    /// The packet due by `now`, its pair and where it goes; ask until there is none.
    pub fn due_packet(&mut self, now: Instant) -> Option<(PairId, SocketAddr, Packet)> {
        let audio = self.audio.as_mut()?;
        let (to, packet) = audio.due_packet(now)?;
        Some((audio.pair, to, packet))
    }

    /// A packet that came in at its pair. Allocates nothing, and decides nothing: that is the tick's.
    pub fn media(&mut self, now: Instant, component: Component, from: SocketAddr, packet: &[u8]) {
        if let Some(audio) = self.audio.as_mut() {
            audio.feed(now, component, from, packet);
        }
    }

    /// A response to one of its requests.
    pub fn response(&mut self, world: &mut TestCallWorld<'_>, client: ClientKey, message: &Message) {
        let code = message.status().unwrap_or(0);
        if !self.owns(client) {
            return;
        }
        if !matches!(self.state, State::Ending(..)) {
            return self.invited(world, client, code, message);
        }
        if code >= 200 && !self.bye_again(world, message) {
            self.state = State::Over;
        }
    }

    /// One of its requests has come to nothing.
    pub fn failed(&mut self, world: &mut TestCallWorld<'_>, client: ClientKey, why: Failure) {
        if !self.owns(client) {
            return;
        }
        if matches!(self.state, State::Calling(_)) {
            let result = match why {
                Failure::NoReply => TestCallResult::NoReply { after: world.now.since(self.sent) },
                Failure::Unreachable(fault) => TestCallResult::Unreachable { fault },
            };
            self.conclude(world, result, None);
        }
        self.state = State::Over;
    }

    /// A request of the target inside the dialog.
    pub fn request(&mut self, world: &mut TestCallWorld<'_>, server: ServerKey, message: &Message) {
        let mut answer = Answer::new(match message.method() {
            Method::Bye | Method::Info | Method::Options => 200,
            // What was agreed stays as it is (RFC 3261 §14.2, RFC 3311 §5.2): the call is over in a moment.
            Method::Invite => 488,
            Method::Update if message.body().is_empty() => 200,
            Method::Update => 488,
            _ => 405,
        });
        answer.headers.push("Allow", ALLOW);
        world.endpoint.respond(world.now, server, answer);
        // Before its 200 has come, or while we leave, a BYE decides nothing: the INVITE's own end does.
        if message.method() == Method::Bye && matches!(self.state, State::Talking(_)) {
            self.judge(world);
            self.state = State::Over;
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, world: &mut TestCallWorld<'_>) {
        let overdue = self.until.is_some_and(|until| until <= world.now);
        match &self.state {
            State::Calling(client) if overdue => {
                let client = *client;
                // It leaves once a provisional response has come (RFC 3261 §9.1); an answer that crosses it is ended.
                world.endpoint.cancel(world.now, client, Some(b"SIP;cause=408;text=\"test call over\""));
                self.state = State::Leaving(client);
                self.conclude(world, TestCallResult::NoReply { after: self.script.deadline }, None);
            }
            State::Talking(_) => {
                let heard = self.audio.as_ref().map(Audio::heard).unwrap_or_default();
                if overdue || self.script.expect.is_proven(&heard) {
                    self.judge(world);
                    self.bye(world);
                }
            }
            _ => {}
        }
    }

    /// Breaks it off: the process is about to end.
    pub fn hang_up(&mut self, world: &mut TestCallWorld<'_>) {
        match &self.state {
            State::Calling(client) => {
                let client = *client;
                world.endpoint.cancel(world.now, client, None);
                self.state = State::Leaving(client);
            }
            State::Talking(_) => self.bye(world),
            State::Leaving(_) | State::Ending(..) | State::Over => return,
        }
        self.outcome = Some(Err(NoVerdict::Stopped));
        self.free(world);
    }

    fn invited(&mut self, world: &mut TestCallWorld<'_>, client: ClientKey, code: u16, message: &Message) {
        let waits = matches!(self.state, State::Calling(_));
        match code {
            // Whatever a 180 to 189 is called, the caller hears that it goes on.
            180..=189 if waits => {
                self.ringback.get_or_insert(world.now.since(self.sent));
            }
            0..=199 => {}
            200..=299 => {
                world.nonces.accepted(self.trunk, message);
                self.answered(world, client, code, message);
            }
            401 | 407 if waits && self.invite_again(world, message) => {}
            _ => {
                if waits {
                    self.decided(world, code);
                }
                self.state = State::Over;
            }
        }
    }

    fn answered(&mut self, world: &mut TestCallWorld<'_>, client: ClientKey, code: u16, message: &Message) {
        let waits = matches!(self.state, State::Calling(_));
        let Ok(dialog) = Dialog::uac(message) else {
            // Without a Contact there is no way to acknowledge or end it; the target gives up by itself (RFC 3261 §13.3.1.4).
            if waits {
                self.conclude(world, TestCallResult::Refused { code }, Some(code));
            }
            self.state = State::Over;
            return;
        };
        let mut ack = dialog.ack(message.cseq().number);
        self.signed.iter().for_each(|line| ack.headers.push_raw(line));
        world.endpoint.ack(world.now, client, reach(&dialog, self.flow), ack);
        self.state = State::Talking(dialog);
        if !waits {
            // It crossed our CANCEL.
            return self.bye(world);
        }
        self.answer = Some(world.now.since(self.sent));
        if !self.script.expect.listens() {
            self.decided(world, code);
            return self.bye(world);
        }
        let talks = self.audio.as_mut().is_some_and(|audio| audio.begin(world.now, message.body()));
        self.until = Some(if talks { world.now + self.script.listen } else { world.now });
        if !talks {
            self.tick(world);
        }
    }

    /// A final response decides.
    fn decided(&mut self, world: &mut TestCallWorld<'_>, code: u16) {
        let result = if self.script.expect.holds(code) {
            TestCallResult::Good { ringback: self.ringback, answer: self.answer }
        } else {
            TestCallResult::Refused { code }
        };
        self.conclude(world, result, Some(code));
    }

    /// What was heard decides.
    fn judge(&mut self, world: &mut TestCallWorld<'_>) {
        let heard = self.audio.as_ref().map(Audio::heard).unwrap_or_default();
        let result = if self.script.expect.is_proven(&heard) {
            TestCallResult::Good { ringback: self.ringback, answer: self.answer }
        } else {
            TestCallResult::NoTone { from_target: heard.from_target, to_target: heard.to_target }
        };
        self.conclude(world, result, Some(200));
    }

    fn conclude(&mut self, world: &mut TestCallWorld<'_>, result: TestCallResult, code: Option<u16>) {
        let listened = self.answer.is_some() && self.script.expect.listens();
        let heard = self.audio.as_ref().filter(|_| listened).map(Audio::heard);
        let (ringback, answer) = (self.ringback, self.answer);
        self.outcome = Some(Ok(TestCallOutcome { result, ringback, answer, code, heard }));
        self.free(world);
    }

    /// Its ports are given back, its patience ends.
    fn free(&mut self, world: &mut TestCallWorld<'_>) {
        self.until = None;
        if let Some(audio) = self.audio.take() {
            world.relay.let_go(audio.pair);
            world.ports.release(world.now, audio.pair);
        }
    }

    /// Sends the INVITE, signed with what is known of the trunk's challenges. False when that cannot be.
    fn invite(&mut self, world: &mut TestCallWorld<'_>, sent_by: &SentBy) -> bool {
        let mut headers = HeaderLines::new();
        let ours = format!("{}", sent_by.host());
        let ours = [b"<sip:", &self.from[..], b"@", ours.as_bytes()].concat();
        headers.push("From", &[&ours[..], b">;tag=", &self.tag].concat());
        headers.push("To", &[b"<", &self.uri()[..], b">"].concat());
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", format!("{} INVITE", self.cseq).as_bytes());
        let parameters = format!("{}>", sent_by.parameters());
        headers.push("Contact", &[&ours[..], parameters.as_bytes()].concat());
        headers.push("Allow", ALLOW);
        headers.push("Content-Type", b"application/sdp");
        let mut draft = Draft { headers, body: self.offer.clone(), ..Draft::new(Method::Invite, self.uri()) };
        self.signed = world.nonces.sign(self.trunk, self.auth.as_ref(), &mut draft);
        let sent = world.endpoint.request(world.now, self.flow, draft, &self.timers);
        self.state = sent.map_or(State::Over, State::Calling);
        !matches!(self.state, State::Over)
    }

    fn uri(&self) -> Vec<u8> {
        [b"sip:", &self.script.number[..], b"@", &self.host].concat()
    }

    /// Answers a challenge of the INVITE: once, and once more when only the nonce was too old.
    fn invite_again(&mut self, world: &mut TestCallWorld<'_>, challenge: &Message) -> bool {
        let tries = if auth::is_stale(challenge) { 2 } else { 1 };
        if self.authorised.0 >= tries {
            return false;
        }
        if !self.challenged(world, challenge) {
            return false;
        }
        let Some(sent_by) = world.endpoint.sent_by(self.flow.socket) else { return false };
        self.authorised.0 += 1;
        self.cseq += 1;
        self.invite(world, &sent_by)
    }

    fn challenged(&self, world: &mut TestCallWorld<'_>, challenge: &Message) -> bool {
        let Some(credentials) = &self.auth else { return false };
        world.nonces.challenged(self.trunk, credentials, challenge, world.rng)
    }

    fn bye(&mut self, world: &mut TestCallWorld<'_>) {
        let State::Talking(mut dialog) = core::mem::replace(&mut self.state, State::Over) else { return };
        let mut draft = dialog.request(Method::Bye);
        let to = reach(&dialog, self.flow);
        world.nonces.sign(self.trunk, self.auth.as_ref(), &mut draft);
        // When no transaction can be had, the target's own session expiry ends it.
        if let Ok(client) = world.endpoint.request(world.now, to, draft, &self.timers) {
            self.state = State::Ending(client, dialog);
        }
    }

    /// A BYE that was challenged is sent once more, or the call would stay up at the target.
    fn bye_again(&mut self, world: &mut TestCallWorld<'_>, challenge: &Message) -> bool {
        let State::Ending(_, dialog) = &self.state else { return false };
        if !matches!(challenge.status(), Some(401 | 407)) || self.authorised.1 > 0 {
            return false;
        }
        let mut dialog = dialog.clone();
        let mut draft = dialog.request(Method::Bye);
        if !self.challenged(world, challenge) {
            return false;
        }
        world.nonces.sign(self.trunk, self.auth.as_ref(), &mut draft);
        let to = reach(&dialog, self.flow);
        let Ok(client) = world.endpoint.request(world.now, to, draft, &self.timers) else { return false };
        self.authorised.1 += 1;
        self.state = State::Ending(client, dialog);
        true
    }
}
