//! Calls in the town: among phones, from a phone to the carrier, from the carrier to a phone. Each is answered at once, lasts a while and is
//! ended by its caller; it has gone well when both sides have heard of its end.
//!
//! Callers repeat what nothing is heard of, as RFC 3261 §17.1 has it, so that an edge that is away for a moment may still put the call through.
//! Callees keep nothing: they answer each request for itself. Refuses to know: sockets, clocks, who is registered.

use model::{Instant, Span};
use sip::{HeaderName, Message, Method};
use std::collections::BTreeMap;
use std::net::SocketAddrV4;

/// How long a call lasts.
const TALK: Span = Span::from_secs(2);
/// T1, and the end after 64 of it.
const T1_MS: u64 = 500;
const PATIENCE: Span = Span::from_secs(32);
/// What everybody offers and answers. No audio is sent.
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
/// What the carrier's numbers begin with.
pub(super) const ABROAD: &str = "+479";

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// A phone, by its number.
    Phone(usize),
    /// The carrier.
    Carrier,
}

/// One side as it is addressed.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) party: Party,
    /// The user of its address.
    pub(super) user: String,
    /// Where it is.
    pub(super) at: SocketAddrV4,
    /// The edge, as it sees it.
    pub(super) edge: SocketAddrV4,
    pub(super) by_tcp: bool,
}

/// What has become of the calls of one phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallsSeen {
    /// Placed.
    pub placed: u64,
    /// Answered.
    pub answered: u64,
    /// Ended well: both sides know.
    pub ended: u64,
    /// Not: by what was heard last, a code, or 0 for nothing.
    pub lost: BTreeMap<u16, u64>,
    /// When the first of them that was placed in this phase was answered.
    pub first_answer: Option<Instant>,
}

impl CallsSeen {
    /// Calls that were lost, whatever was heard.
    pub fn all_lost(&self) -> u64 {
        self.lost.values().sum()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Inviting,
    Talking,
    Ending,
}

#[derive(Debug)]
struct Call {
    phase: usize,
    from: Side,
    to: Side,
    state: State,
    since: Instant,
    turn: u32,
    pause: u64,
    /// To of the 200, and where its Contact is.
    dialog: Option<(String, String)>,
    said: Vec<u8>,
    /// The Call-ID that the callee has seen.
    far: Option<Vec<u8>>,
    /// The caller, and the callee, have heard of the end.
    over: (bool, bool),
    heard: u16,
}

/// What somebody says now, and when a call has its next turn.
#[derive(Debug, Default)]
pub(super) struct Moves {
    pub(super) says: Vec<(Party, Vec<u8>)>,
    pub(super) next: Option<(Instant, u64, u32)>,
}

/// All calls under way.
#[derive(Debug)]
pub(super) struct Calls {
    live: BTreeMap<u64, Call>,
    /// Calls of phones, and those that callees have heard of by their own Call-ID.
    busy: BTreeMap<usize, u64>,
    far: BTreeMap<Vec<u8>, u64>,
    placed: u64,
    phase: usize,
    pub(super) seen: Vec<CallsSeen>,
}

impl Calls {
    pub(super) fn new() -> Self {
        let seen = vec![CallsSeen::default()];
        Self { live: BTreeMap::new(), busy: BTreeMap::new(), far: BTreeMap::new(), placed: 0, phase: 0, seen }
    }

    /// Calls from now on are counted by themselves.
    pub(super) fn begin_phase(&mut self) {
        self.phase += 1;
        self.seen.push(CallsSeen::default());
    }

    /// Calls under way.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    pub(super) fn is_busy(&self, phone: usize) -> bool {
        self.busy.contains_key(&phone)
    }

    /// Number of the call that is placed next.
    pub(super) const fn next_number(&self) -> u64 {
        self.placed + 1
    }

    /// Places one.
    pub(super) fn place(&mut self, now: Instant, from: Side, to: Side) -> Moves {
        self.placed += 1;
        let number = self.placed;
        for side in [&from, &to] {
            if let Party::Phone(phone) = side.party {
                self.busy.insert(phone, number);
            }
        }
        self.seen[self.phase].placed += 1;
        let said = request(&from, number, "INVITE", 1, &to.user, None);
        let call = Call {
            phase: self.phase,
            from,
            to,
            state: State::Inviting,
            since: now,
            turn: 0,
            pause: T1_MS,
            dialog: None,
            said: said.clone(),
            far: None,
            over: (false, false),
            heard: 0,
        };
        let moves =
            Moves { says: vec![(call.from.party, said)], next: Some((now + Span::from_millis(T1_MS), number, 0)) };
        self.live.insert(number, call);
        moves
    }

    /// A call's turn: a repeat, the end of the talk, or the end of its caller's patience.
    pub(super) fn turn(&mut self, now: Instant, number: u64, turn: u32) -> Moves {
        let Some(call) = self.live.get_mut(&number).filter(|call| call.turn == turn) else { return Moves::default() };
        let mut says = false;
        if call.state == State::Talking {
            (call.state, call.since, call.pause, call.heard) = (State::Ending, now, T1_MS, 0);
            call.said = request(&call.from, number, "BYE", 2, &call.to.user, call.dialog.as_ref());
            says = true;
        } else if now.since(call.since) >= PATIENCE {
            self.lose(number);
            return Moves::default();
        } else {
            call.pause = (call.pause * 2).min(8 * T1_MS);
            says = says || !(call.from.by_tcp || call.heard >= 100);
        }
        call.turn += 1;
        let says = if says { vec![(call.from.party, call.said.clone())] } else { Vec::new() };
        Moves { says, next: Some((now + Span::from_millis(call.pause), number, call.turn)) }
    }

    /// A response to a caller.
    pub(super) fn response(&mut self, now: Instant, message: &Message) -> Moves {
        let mut moves = Moves::default();
        let (Some(number), Some(status)) = (number_of(message.call_id()), message.status()) else { return moves };
        let Some(call) = self.live.get_mut(&number) else { return moves };
        let invited = message.cseq().method == Method::Invite;
        match (call.state, invited, status) {
            // A repeated answer: its ACK was lost.
            (State::Talking | State::Ending, true, 200..300) => moves.says.push((call.from.party, call.ack(number))),
            (State::Inviting, true, 100..200) | (State::Ending, false, 100..200) => call.heard = status,
            (State::Inviting, true, 200..300) => {
                let contact = message.contact().map(|contact| text(contact.uri)).unwrap_or_default();
                call.dialog = Some((text(message.header(HeaderName::To).unwrap_or_default()), contact));
                (call.state, call.heard) = (State::Talking, status);
                call.turn += 1;
                moves.says.push((call.from.party, call.ack(number)));
                moves.next = Some((now + TALK, number, call.turn));
                let seen = &mut self.seen[call.phase];
                seen.answered += 1;
                seen.first_answer = seen.first_answer.or(Some(now));
            }
            (State::Inviting, true, 300..) => {
                call.heard = status;
                let to = text(message.header(HeaderName::To).unwrap_or_default());
                let dialog = (to, String::new());
                moves.says.push((call.from.party, request(&call.from, number, "ACK", 1, &call.to.user, Some(&dialog))));
                self.lose(number);
            }
            (State::Ending, false, 200..300) => {
                (call.over.0, call.heard) = (true, status);
                self.finish(number);
            }
            (State::Ending, false, 300..) => {
                call.heard = status;
                self.lose(number);
            }
            _ => {}
        }
        moves
    }

    /// A request to a phone or the carrier; what it says to it.
    pub(super) fn request(&mut self, to: Party, at: SocketAddrV4, message: &Message) -> Option<Vec<u8>> {
        let call_id = message.call_id();
        match message.method() {
            Method::Ack => return None,
            Method::Invite => {
                let dialled = || text(message.uri()).split(ABROAD).nth(1)?.split('@').next()?.parse().ok();
                let number = match to {
                    Party::Phone(phone) => self.busy.get(&phone).copied(),
                    Party::Carrier => dialled(),
                };
                let call = number.and_then(|number| Some((number, self.live.get_mut(&number)?)));
                if let Some((number, call)) = call.filter(|(_, call)| call.to.party == to) {
                    call.far = Some(call_id.to_vec());
                    self.far.insert(call_id.to_vec(), number);
                }
            }
            Method::Bye => {
                if let Some(number) = self.far.remove(call_id) {
                    if let Some(call) = self.live.get_mut(&number) {
                        call.over.1 = true;
                    }
                    self.finish(number);
                } else if let Some(number) = number_of(call_id) {
                    // The edge ends it in the place of its caller.
                    self.lose(number);
                }
            }
            _ => {}
        }
        Some(answer(at, message))
    }

    /// The connection of a phone has died: a call of its own is over.
    pub(super) fn hears_no_more(&mut self, phone: usize) {
        let number = self.busy.get(&phone).copied();
        let own = |number: &u64| self.live.get(number).is_some_and(|call| call.from.party == Party::Phone(phone));
        if let Some(number) = number.filter(own) {
            self.lose(number);
        }
    }

    /// Ended well, once both sides know.
    fn finish(&mut self, number: u64) {
        if self.live.get(&number).is_some_and(|call| call.over == (true, true))
            && let Some(call) = self.forget(number)
        {
            self.seen[call.phase].ended += 1;
        }
    }

    fn lose(&mut self, number: u64) {
        if let Some(call) = self.forget(number) {
            *self.seen[call.phase].lost.entry(call.heard).or_insert(0) += 1;
        }
    }

    fn forget(&mut self, number: u64) -> Option<Call> {
        let call = self.live.remove(&number)?;
        for side in [&call.from, &call.to] {
            if let Party::Phone(phone) = side.party {
                self.busy.remove(&phone);
            }
        }
        if let Some(far) = &call.far {
            self.far.remove(far);
        }
        Some(call)
    }
}

impl Call {
    fn ack(&self, number: u64) -> Vec<u8> {
        request(&self.from, number, "ACK", 1, &self.to.user, self.dialog.as_ref())
    }
}

/// A request of a caller; inside the dialog when there is one. The ACK to a refusal has the branch of its INVITE (RFC 3261 §17.1.1.3).
fn request(
    from: &Side,
    number: u64,
    method: &str,
    cseq: u32,
    called: &str,
    dialog: Option<&(String, String)>,
) -> Vec<u8> {
    let Side { user, at, edge, by_tcp, .. } = from;
    let (word, parameter) = if *by_tcp { ("TCP", ";transport=tcp") } else { ("UDP", "") };
    let address = format!("sip:{called}@{edge}");
    let (to, uri) = match dialog {
        None => (format!("<{address}>"), address),
        Some((to, contact)) if contact.is_empty() => (to.clone(), address),
        Some((to, contact)) => (to.clone(), contact.clone()),
    };
    let branch = if dialog.is_some_and(|(_, contact)| !contact.is_empty()) { method } else { "INVITE" };
    let body = if method == "INVITE" { SDP } else { "" };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{word} {at};rport;branch=z9hG4bK{branch}{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@example.net>;tag=f{number}\r\nTo: {to}\r\nCall-ID: {number}@town\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:{user}@{at}{parameter}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// 200 to whatever it is.
fn answer(at: SocketAddrV4, message: &Message) -> Vec<u8> {
    let vias: String = message.values(HeaderName::Via).map(|via| format!("Via: {}\r\n", text(via))).collect();
    let line = |name| text(message.header(name).unwrap_or_default());
    let tag = if message.to().tag().is_some() { "" } else { ";tag=callee" };
    let body = if message.method() == Method::Invite { SDP } else { "" };
    format!(
        "SIP/2.0 200 OK\r\n{vias}From: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{at}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        line(HeaderName::From),
        line(HeaderName::To),
        line(HeaderName::CallId),
        line(HeaderName::CSeq),
        body.len()
    )
    .into_bytes()
}

fn number_of(call_id: &[u8]) -> Option<u64> {
    core::str::from_utf8(call_id).ok()?.strip_suffix("@town")?.parse().ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
