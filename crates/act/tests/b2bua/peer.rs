//! A user agent on the virtual wire: it answers INVITEs by a list of steps, acknowledges what it is given, and keeps what it heard.

use model::{Instant, SocketId};
use sip::{
    Answer, ClientKey, Dialog, Draft, Endpoint, Event, Flow, Limits, Message, Method, Minter, ServerKey, TimerSet,
    Transport,
};
use std::net::SocketAddr;

/// One response to an INVITE, so many milliseconds after it came.
#[derive(Clone, Debug)]
pub struct Step {
    pub after: u64,
    pub code: u16,
    pub sdp: bool,
    pub headers: Vec<(&'static str, &'static str)>,
    /// It is to arrive (RFC 3262).
    pub reliable: bool,
    /// It comes from a branch below, with a tag of its own.
    pub branch: Option<&'static str>,
}

/// A step without SDP.
pub fn say(after: u64, code: u16) -> Step {
    Step { after, code, sdp: false, headers: Vec::new(), reliable: false, branch: None }
}

/// A step with the peer's SDP.
pub fn sdp(after: u64, code: u16) -> Step {
    Step { sdp: true, ..say(after, code) }
}

/// The same, reliably.
pub fn reliably(step: Step) -> Step {
    Step { reliable: true, ..step }
}

/// The same, from a branch below.
pub fn branch(name: &'static str, step: Step) -> Step {
    Step { branch: Some(name), ..step }
}

/// What a peer heard.
#[derive(Debug)]
pub enum Heard {
    Request(Message),
    Response(ClientKey, Message),
    Ack(Message),
    Cancelled,
    Failed(ClientKey),
    AckMissing,
    PrackMissing,
}

/// A dialog of a peer, early or confirmed.
#[derive(Clone, Debug)]
pub struct Session {
    pub dialog: Dialog,
    pub flow: Flow,
    /// Its last INVITE of ours without a body: the ACK carries the answer.
    pub late: bool,
    pub answered: bool,
    pub over: bool,
    /// The INVITE that began it, when it came in.
    pub invite: Option<ServerKey>,
}

/// One that is due.
struct Due {
    at: Instant,
    server: ServerKey,
    step: Step,
    tag: Option<Vec<u8>>,
}

/// A peer.
pub struct Peer {
    pub addr: SocketAddr,
    /// What the Call-IDs of its calls begin with.
    pub mark: &'static str,
    pub endpoint: Endpoint,
    /// Answers to an INVITE that begins a call; the last entry is used again and again.
    pub steps: Vec<Vec<Step>>,
    /// Answers to an INVITE inside a dialog.
    pub inside: Vec<Step>,
    /// Code for any other request inside a dialog.
    pub others: u16,
    /// Every request but ACK and CANCEL must be signed with this nonce, and "never" is one that nothing satisfies; a challenge may say more.
    pub asks: Option<(&'static str, &'static str)>,
    /// Code for any other request outside a dialog.
    pub outside: u16,
    /// Acknowledges 2xx.
    pub acks: bool,
    /// Acknowledges reliable provisional responses.
    pub pracks: bool,
    /// Each PRACK carries an offer.
    pub pracks_offer: bool,
    /// Its PRACKs.
    pub pracked: Vec<ClientKey>,
    seen: Vec<u32>,
    /// Headers of its answers to UPDATE.
    pub update_headers: Vec<(&'static str, &'static str)>,
    /// Answers a CANCEL by 487.
    pub yields: bool,
    /// Hears nothing and says nothing.
    pub dead: bool,
    /// Its port is closed: the network says so.
    pub closed: bool,
    pub heard: Vec<(Instant, Heard)>,
    pub sessions: Vec<Session>,
    /// Requests inside a dialog whose CSeq was lower than one before.
    pub out_of_order: usize,
    pub media: SocketAddr,
    /// Says this in place of its SDP.
    pub body: Option<Vec<u8>>,
    pub direction: &'static str,
    /// Name of its codec, to tell one answer from another.
    pub codec: &'static str,
    version: u64,
    invites: usize,
    due: Vec<Due>,
    /// 2xx of ours that wait for an ACK: dialog by our tag, CSeq number.
    waiting: Vec<(ServerKey, Vec<u8>, u32)>,
}

impl Peer {
    pub fn new(addr: &str, seed: u64) -> Self {
        let addr: SocketAddr = addr.parse().unwrap();
        let mut endpoint =
            Endpoint::new(Minter::new(9, model::ShardId(0), 0x5eed ^ seed, seed), Limits::default(), seed);
        endpoint.bind(SocketId(0), Transport::Udp, addr);
        Self {
            addr,
            mark: "",
            endpoint,
            steps: vec![vec![say(20, 180), sdp(200, 200)]],
            inside: vec![sdp(10, 200)],
            others: 200,
            asks: None,
            outside: 200,
            acks: true,
            pracks: true,
            pracks_offer: false,
            pracked: Vec::new(),
            seen: Vec::new(),
            update_headers: Vec::new(),
            yields: true,
            dead: false,
            closed: false,
            heard: Vec::new(),
            sessions: Vec::new(),
            out_of_order: 0,
            media: SocketAddr::new(addr.ip(), 4000),
            body: None,
            direction: "sendrecv",
            codec: "PCMA",
            version: 1,
            invites: 0,
            due: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Changes what its SDP says from now on.
    pub fn describe(&mut self, direction: &'static str) {
        self.direction = direction;
        self.version += 1;
    }

    pub fn sdp(&self) -> Vec<u8> {
        if let Some(body) = &self.body {
            return body.clone();
        }
        let (ip, port, version, codec) = (self.media.ip(), self.media.port(), self.version, self.codec);
        let direction = self.direction;
        format!(
            "v=0\r\no=peer 77 {version} IN IP4 {ip}\r\ns=call\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n\
             a=rtpmap:8 {codec}/8000\r\na={direction}\r\n"
        )
        .into_bytes()
    }

    /// When it wants the floor.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.iter().map(|due| due.at).chain(self.endpoint.deadline()).min()
    }

    pub fn expire(&mut self, now: Instant) {
        self.endpoint.expire(now);
        while let Some(index) = self.due.iter().position(|due| due.at <= now) {
            let due = self.due.remove(index);
            self.take_step(now, due);
        }
        self.drain(now);
    }

    /// A branch below is a dialog of its own.
    fn fork(&mut self, due: &mut Due) {
        let Some(name) = due.step.branch else { return };
        let main = self.sessions.iter().find(|session| Some(&session.dialog.local_tag) == due.tag.as_ref()).cloned();
        due.tag = Some(name.as_bytes().to_vec());
        if let Some(mut session) = main
            && !self.sessions.iter().any(|known| known.dialog.local_tag == name.as_bytes())
        {
            session.dialog.local_tag = name.as_bytes().to_vec();
            self.sessions.push(session);
        }
    }

    fn take_step(&mut self, now: Instant, mut due: Due) {
        self.fork(&mut due);
        let mut answer = Answer::new(due.step.code);
        answer.to_tag.clone_from(&due.tag);
        answer.headers.push("Contact", format!("<sip:{}>", self.addr).as_bytes());
        for (name, value) in &due.step.headers {
            answer.headers.push(name, value.as_bytes());
        }
        if due.step.sdp {
            answer.headers.push("Content-Type", b"application/sdp");
            answer.body = self.sdp();
        }
        if let (200..300, Some(request)) = (due.step.code, self.endpoint.request_of(due.server)) {
            let tag = due.tag.as_deref().or(request.to().tag()).unwrap_or_default().to_vec();
            let cseq = request.cseq().number;
            if let Some(session) = self.sessions.iter_mut().find(|session| session.dialog.local_tag == tag) {
                session.answered = true;
            }
            self.waiting.push((due.server, tag, cseq));
        }
        if due.step.reliable {
            assert!(self.endpoint.respond_reliably(now, due.server, answer), "the last one has arrived");
        } else {
            self.endpoint.respond(now, due.server, answer);
        }
    }

    /// Lets the endpoint speak, and does what a user agent does.
    pub fn drain(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Request { server, flow, message } => {
                    self.request(now, server, flow, &message);
                    self.heard.push((now, Heard::Request(message)));
                }
                Event::Cancelled { server, .. } => {
                    self.heard.push((now, Heard::Cancelled));
                    if self.yields {
                        self.due.retain(|due| due.server != server);
                        self.endpoint.respond(now, server, Answer::new(487));
                    }
                }
                Event::Ack { message, .. } => {
                    self.acknowledged(now, &message);
                    self.heard.push((now, Heard::Ack(message)));
                }
                Event::Response { client, message, flow } => {
                    self.response(now, client, flow, &message);
                    self.heard.push((now, Heard::Response(client, message)));
                }
                Event::ClientFailed { client, .. } => self.heard.push((now, Heard::Failed(client))),
                Event::PrackMissing { .. } => self.heard.push((now, Heard::PrackMissing)),
                Event::AckMissing { server } => {
                    self.give_up(server);
                    self.heard.push((now, Heard::AckMissing));
                }
            }
        }
    }

    /// No ACK came: nobody is there.
    fn give_up(&mut self, server: ServerKey) {
        let Some((_, tag, _)) = self.waiting.iter().find(|(known, ..)| *known == server) else { return };
        if let Some(session) = self.sessions.iter_mut().find(|session| session.dialog.local_tag == *tag) {
            session.over = true;
        }
    }

    /// Whether a request bears no credentials for the nonce that is asked for; then it was challenged.
    fn challenged(&mut self, now: Instant, server: ServerKey, message: &Message) -> bool {
        let Some((nonce, more)) = self.asks else { return false };
        let signed = message.header(sip::HeaderName::Authorization).unwrap_or_default();
        if nonce != "never" && String::from_utf8_lossy(signed).contains(&format!("nonce=\"{nonce}\"")) {
            return false;
        }
        let mut answer = Answer::new(401);
        let line = format!("Digest realm=\"carrier\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256{more}");
        answer.headers.push("WWW-Authenticate", line.as_bytes());
        self.endpoint.respond(now, server, answer);
        true
    }

    fn request(&mut self, now: Instant, server: ServerKey, flow: Flow, message: &Message) {
        if self.challenged(now, server, message) {
            return;
        }
        if message.to().tag().is_some() {
            return self.request_inside(now, server, message);
        }
        if message.method() != Method::Invite {
            return self.endpoint.respond(now, server, Answer::new(self.outside));
        }
        let steps = self.steps[self.invites.min(self.steps.len() - 1)].clone();
        self.invites += 1;
        let tag = self.endpoint.minter().tag().as_bytes().to_vec();
        let dialog = Dialog::uas(message, &tag).unwrap();
        self.sessions.push(Session { dialog, flow, late: false, answered: false, over: false, invite: Some(server) });
        self.schedule(now, server, &steps, Some(tag));
    }

    fn schedule(&mut self, now: Instant, server: ServerKey, steps: &[Step], tag: Option<Vec<u8>>) {
        for step in steps {
            let at = now + model::Span::from_millis(step.after);
            self.due.push(Due { at, server, step: step.clone(), tag: tag.clone() });
        }
    }

    fn request_inside(&mut self, now: Instant, server: ServerKey, message: &Message) {
        let Some(session) = self.sessions.iter_mut().find(|session| session.dialog.matches(message)) else {
            return self.endpoint.respond(now, server, Answer::new(481));
        };
        if session.dialog.accepts(message).is_err() {
            self.out_of_order += 1;
            return self.endpoint.respond(now, server, Answer::new(500));
        }
        session.dialog.refresh_target(message);
        match message.method() {
            Method::Prack => {
                let (rseq, _) = sip::rack(message).expect("a RAck");
                let invite = session.invite.expect("an INVITE");
                let code = if self.endpoint.acknowledge(now, invite, rseq) { 200 } else { 481 };
                self.endpoint.respond(now, server, Answer::new(code));
            }
            Method::Update => {
                let mut answer = Answer::new(self.others);
                answer.headers.push("Contact", format!("<sip:{}>", self.addr).as_bytes());
                for (name, value) in &self.update_headers {
                    answer.headers.push(name, value.as_bytes());
                }
                if !message.body().is_empty() && self.others == 200 {
                    answer.headers.push("Content-Type", b"application/sdp");
                    answer.body = self.sdp();
                }
                self.endpoint.respond(now, server, answer);
            }
            Method::Invite => {
                let steps = self.inside.clone();
                self.schedule(now, server, &steps, None);
            }
            Method::Bye => {
                session.over = true;
                self.endpoint.respond(now, server, Answer::new(200));
            }
            _ => self.endpoint.respond(now, server, Answer::new(self.others)),
        }
    }

    fn acknowledged(&mut self, now: Instant, message: &Message) {
        let (tag, cseq) = (message.to().tag().unwrap_or_default(), message.cseq().number);
        if let Some(index) = self.waiting.iter().position(|(_, known, number)| known == tag && *number == cseq) {
            let (server, ..) = self.waiting.remove(index);
            self.endpoint.confirm(now, server);
        }
    }

    fn response(&mut self, now: Instant, client: ClientKey, flow: Flow, message: &Message) {
        let code = message.status().unwrap_or(0);
        if self.pracks && message.requires(b"100rel") && (101..200).contains(&code) {
            self.prack(now, flow, message);
        }
        if message.method() != Method::Invite || !(200..300).contains(&code) {
            return;
        }
        let fresh = Dialog::uac(message).unwrap();
        let known = |session: &&mut Session| {
            session.dialog.local_tag == fresh.local_tag && session.dialog.call_id == fresh.call_id
        };
        let sdp = self.sdp();
        let session = match self.sessions.iter_mut().find(known) {
            Some(session) => {
                if session.dialog.remote_tag.is_empty() || !session.answered {
                    // Numbers of an early dialog are used up.
                    let used = session.dialog.local_seq;
                    session.dialog = fresh;
                    session.dialog.local_seq = session.dialog.local_seq.max(used);
                } else {
                    session.dialog.refresh_target(message);
                }
                session.flow = flow;
                session
            }
            None => return,
        };
        session.answered = true;
        if !self.acks {
            return;
        }
        let mut ack = session.dialog.ack(message.cseq().number);
        if session.late {
            ack.headers.push("Content-Type", b"application/sdp");
            ack.body = sdp;
        }
        self.endpoint.ack(now, client, flow, ack);
    }

    /// Acknowledges a reliable response, with the answer when it carried an offer.
    fn prack(&mut self, now: Instant, flow: Flow, message: &Message) {
        let rseq = std::str::from_utf8(message.header(sip::HeaderName::RSeq).unwrap()).unwrap().parse().unwrap();
        if self.seen.contains(&rseq) {
            return;
        }
        self.seen.push(rseq);
        let sdp = self.sdp();
        let fresh = Dialog::uac(message).unwrap();
        let session = self.sessions.iter_mut().find(|session| session.dialog.call_id == fresh.call_id).unwrap();
        let mut dialog = fresh;
        dialog.local_seq = session.dialog.local_seq.max(dialog.local_seq);
        let mut draft = dialog.request(Method::Prack);
        session.dialog = dialog;
        draft.headers.push("RAck", &sip::rack_value(rseq, message.cseq().number));
        let answers = session.late && !message.body().is_empty();
        if answers || self.pracks_offer {
            draft.headers.push("Content-Type", b"application/sdp");
            draft.body = sdp;
        }
        let client = self.endpoint.request(now, flow, draft, &TimerSet::default()).unwrap();
        self.pracked.push(client);
    }

    /// Begins a call. `body` is its offer; empty is a late offer.
    pub fn call(
        &mut self,
        now: Instant,
        edge: SocketAddr,
        number: &str,
        body: Vec<u8>,
        extra: &[(&str, &str)],
    ) -> ClientKey {
        let uri = if number.contains(':') { number.to_string() } else { format!("sip:{number}@{edge}") };
        let mut draft = Draft::new(Method::Invite, uri.into_bytes());
        let (tag, call_id) = (self.endpoint.minter().tag(), self.endpoint.minter().call_id());
        let call_id = [self.mark.as_bytes(), call_id.as_bytes()].concat();
        let from = format!("\"Ann\" <sip:201@{}>", self.addr);
        draft.headers.push("From", format!("{from};tag={}", tag.as_str()).as_bytes());
        let to = [b"<", &draft.uri[..], b">"].concat();
        draft.headers.push("To", &to);
        draft.headers.push("Call-ID", &call_id);
        draft.headers.push("CSeq", b"7 INVITE");
        draft.headers.push("Contact", format!("<sip:201@{}>", self.addr).as_bytes());
        for (name, value) in extra {
            draft.headers.push(name, value.as_bytes());
        }
        if !body.is_empty() && !extra.iter().any(|(name, _)| *name == "Content-Type") {
            draft.headers.push("Content-Type", b"application/sdp");
        }
        let late = body.is_empty();
        draft.body = body;
        let flow = Flow { socket: SocketId(0), peer: edge, transport: Transport::Udp };
        let dialog = Dialog {
            call_id,
            local_tag: tag.as_bytes().to_vec(),
            remote_tag: Vec::new(),
            local_uri: from.into_bytes(),
            remote_uri: Vec::new(),
            remote_target: Vec::new(),
            route_set: Vec::new(),
            local_seq: 7,
            remote_seq: None,
        };
        self.sessions.push(Session { dialog, flow, late, answered: false, over: false, invite: None });
        self.endpoint.request(now, flow, draft, &TimerSet::default()).unwrap()
    }

    /// A request inside its session number `session`.
    pub fn send(&mut self, now: Instant, session: usize, method: Method, kind: &str, body: Vec<u8>) -> ClientKey {
        self.send_with(now, session, method, kind, body, &[])
    }

    /// The same with further headers.
    pub fn send_with(
        &mut self,
        now: Instant,
        session: usize,
        method: Method,
        kind: &str,
        body: Vec<u8>,
        extra: &[(&str, &str)],
    ) -> ClientKey {
        let (addr, flow) = (self.addr, self.sessions[session].flow);
        let session = &mut self.sessions[session];
        if method == Method::Invite {
            session.late = body.is_empty();
        }
        if method == Method::Bye {
            session.over = true;
        }
        let mut draft = session.dialog.request(method);
        draft.headers.push("Contact", format!("<sip:201@{addr}>").as_bytes());
        for (name, value) in extra {
            draft.headers.push(name, value.as_bytes());
        }
        if !body.is_empty() {
            draft.headers.push("Content-Type", kind.as_bytes());
        }
        draft.body = body;
        self.endpoint.request(now, flow, draft, &TimerSet::default()).unwrap()
    }

    // What it heard, for tests to ask about.

    /// Status codes of all responses to `client`, 100 left out, in order.
    pub fn codes(&self, client: ClientKey) -> Vec<u16> {
        self.responses(client).filter_map(Message::status).filter(|code| *code != 100).collect()
    }

    pub fn responses(&self, client: ClientKey) -> impl Iterator<Item = &Message> {
        self.heard.iter().filter_map(move |(_, heard)| match heard {
            Heard::Response(known, message) if *known == client => Some(message),
            _ => None,
        })
    }

    /// The final response to `client`.
    pub fn last(&self, client: ClientKey) -> &Message {
        self.responses(client).filter(|message| message.status() >= Some(200)).last().expect("a final response")
    }

    /// How often `client` came to an end: by a final response, or by failing.
    pub fn ends(&self, client: ClientKey) -> usize {
        let ended = |heard: &Heard| match heard {
            Heard::Response(known, message) => *known == client && message.status() >= Some(200),
            Heard::Failed(known) => *known == client,
            _ => false,
        };
        self.heard.iter().filter(|(_, heard)| ended(heard)).count()
    }

    /// When the final response to `client` came.
    pub fn last_at(&self, client: ClientKey) -> Instant {
        let found = self.heard.iter().rev().find(
            |(_, heard)| matches!(heard, Heard::Response(known, message) if *known == client && message.status() >= Some(200)),
        );
        found.expect("a final response").0
    }

    /// All requests of a method.
    pub fn requests(&self, method: Method) -> Vec<&Message> {
        let requests = self.heard.iter().filter_map(|(_, heard)| match heard {
            Heard::Request(message) => Some(message),
            _ => None,
        });
        requests.filter(|message| message.method() == method).collect()
    }

    /// When each request of a method came.
    pub fn requests_at(&self, method: Method) -> Vec<Instant> {
        let of = |heard: &Heard| matches!(heard, Heard::Request(message) if message.method() == method);
        self.heard.iter().filter(|(_, heard)| of(heard)).map(|(at, _)| *at).collect()
    }

    pub fn acks(&self) -> Vec<&Message> {
        self.heard
            .iter()
            .filter_map(|(_, heard)| if let Heard::Ack(message) = heard { Some(message) } else { None })
            .collect()
    }

    pub fn cancels(&self) -> usize {
        self.heard.iter().filter(|(_, heard)| matches!(heard, Heard::Cancelled)).count()
    }

    /// Answered sessions that nobody has ended.
    pub fn open(&self) -> usize {
        self.sessions.iter().filter(|session| session.answered && !session.over).count()
    }
}
