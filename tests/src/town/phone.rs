//! One phone of the town: how it registers, and when it comes again.
//!
//! As RFC 3261 §10 and §22, RFC 7616 and RFC 5626 §4.5 have it: a REGISTER, repeats while nothing is heard, the answer to a challenge, the same
//! nonce with a higher count as long as it is good, another one when it is stale, a renewal well before the end, the pause that a 503 asks for.
//! Refuses to know: sockets, clocks, the other phones.

use model::{Instant, Rng, Span};
use sip::auth::{Credentials, Session, Signed, is_stale};
use sip::{HeaderName, Message};
use std::net::SocketAddrV4;

/// RFC 3261 §17.1.2.2: T1 doubled up to T2, and the end after 64 of T1.
const REPEATS_MS: [u64; 10] = [500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_500];
/// By a connection nothing is repeated; its end is the same.
const PATIENCE: Span = Span::from_secs(32);
/// Challenges in a row that a phone answers before it takes its password for refused.
const CHALLENGES: u32 = 3;

/// What a phone does next.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// It says this.
    pub(super) says: Option<Vec<u8>>,
    /// It has its turn then; what was set before is void.
    pub(super) next: Option<Instant>,
}

/// What an answer to a REGISTER was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    Challenged,
    Stale,
    PutOff,
    Refused,
    /// To something that the phone does not wait for any more.
    Late,
}

/// One phone.
#[derive(Debug)]
pub(super) struct Phone {
    pub(super) number: usize,
    /// Where it is.
    pub(super) at: SocketAddrV4,
    pub(super) by_tcp: bool,
    /// Number of its next turn: earlier ones are void.
    pub(super) turn: u32,
    /// It has been registered since it was switched on.
    pub(super) fresh: bool,
    /// Until when it is, as it was told.
    pub(super) until: Instant,
    /// Since when.
    pub(super) since: Instant,
    session: Option<Session>,
    /// Times it was switched on: each has a Call-ID of its own.
    boots: u32,
    cseq: u32,
    /// What it has asked and not heard the answer of.
    asked: Option<Vec<u8>>,
    repeats: usize,
    challenges: u32,
    /// How long it waits after it was refused or has heard nothing.
    recovery: Span,
    expires_s: u32,
}

/// The user of a phone: seven digits that begin with a 2.
pub(super) fn user(number: usize) -> String {
    format!("2{number:06}")
}

/// The password of a phone.
pub(super) fn secret(number: usize) -> String {
    format!("hush-{number}")
}

impl Phone {
    pub(super) fn new(number: usize, at: SocketAddrV4, by_tcp: bool, expires_s: u32, recovery: Span) -> Self {
        Self {
            number,
            at,
            by_tcp,
            turn: 0,
            fresh: false,
            until: Instant::ZERO,
            since: Instant::ZERO,
            session: None,
            boots: 0,
            cseq: 0,
            asked: None,
            repeats: 0,
            challenges: 0,
            recovery,
            expires_s,
        }
    }

    /// It is switched off and on again: it remembers nothing but its password.
    pub(super) fn reboot(&mut self) {
        (self.session, self.asked, self.fresh) = (None, None, false);
        (self.cseq, self.challenges, self.boots) = (0, 0, self.boots + 1);
    }

    /// Its connection has died: nobody reaches it until it has another one.
    pub(super) fn cut_off(&mut self, now: Instant, rng: &mut Rng) -> Step {
        (self.asked, self.until) = (None, now);
        Step { says: None, next: Some(now + self.pause(rng)) }
    }

    /// Whether it is registered, as far as it knows.
    pub(super) fn is_registered(&self, now: Instant) -> bool {
        self.until > now
    }

    /// Its turn: the first word, a repeat, or the end of its patience.
    pub(super) fn turn(&mut self, now: Instant, rng: &mut Rng) -> Step {
        let Some(asked) = &self.asked else { return self.ask(now) };
        match REPEATS_MS.get(self.repeats).filter(|_| !self.by_tcp) {
            Some(pause) => {
                self.repeats += 1;
                Step { says: Some(asked.clone()), next: Some(now + Span::from_millis(*pause)) }
            }
            None => {
                self.asked = None;
                Step { says: None, next: Some(now + self.pause(rng)) }
            }
        }
    }

    /// Whether what it says next is a repeat.
    pub(super) fn repeats(&self) -> bool {
        self.asked.is_some()
    }

    /// An answer to it.
    pub(super) fn hear(&mut self, now: Instant, rng: &mut Rng, message: &Message) -> (Answer, Step) {
        let status = message.status().unwrap_or(0);
        if self.asked.is_none() || message.cseq().number != self.cseq || status < 200 {
            return (Answer::Late, Step::default());
        }
        self.asked = None;
        let challenges = std::mem::take(&mut self.challenges);
        match status {
            200 => {
                let granted = self.granted(message);
                self.since = if self.is_registered(now) { self.since } else { now };
                (self.fresh, self.until) = (true, now + granted);
                // Well before the end, and not all at the same part of it.
                let rest = granted.percent(70 + rng.below(25));
                (Answer::Accepted, Step { says: None, next: Some(now + rest) })
            }
            401 if challenges < CHALLENGES && self.open(message) => {
                self.challenges = challenges + 1;
                let what = if is_stale(message) { Answer::Stale } else { Answer::Challenged };
                (what, self.ask(now))
            }
            503 => {
                let wished = message.retry_after().unwrap_or(self.recovery);
                let late = Span::from_millis(rng.below(1_000));
                (Answer::PutOff, Step { says: None, next: Some(now + wished + late) })
            }
            _ => (Answer::Refused, Step { says: None, next: Some(now + self.pause(rng)) }),
        }
    }

    /// RFC 5626 §4.5: between half and all of the time that all phones have.
    fn pause(&self, rng: &mut Rng) -> Span {
        let whole = self.recovery.as_micros();
        Span::from_micros(whole / 2 + rng.below(whole / 2 + 1))
    }

    /// Seconds for its own Contact.
    fn granted(&self, message: &Message) -> Span {
        let of = |value: &[u8]| {
            let text = String::from_utf8_lossy(value).into_owned();
            text.split(";expires=").nth(1)?.split(';').next()?.trim().parse().ok()
        };
        let seconds = message.values(HeaderName::Contact).find_map(of);
        Span::from_secs(seconds.unwrap_or(u64::from(self.expires_s)))
    }

    /// Takes a challenge. Every second phone is an old one, which knows MD5 alone and passes over what it does not know.
    fn open(&mut self, challenge: &Message) -> bool {
        let parsed;
        let known = if self.number.is_multiple_of(2) {
            let text = String::from_utf8_lossy(challenge.bytes()).into_owned();
            let lines = text.split_inclusive("\r\n").filter(|line| !line.contains("algorithm=SHA-256"));
            match Message::parse(lines.collect::<String>().into_bytes()) {
                Ok(message) => {
                    parsed = message;
                    &parsed
                }
                Err(_) => return false,
            }
        } else {
            challenge
        };
        let opened = Session::open(known, &self.credentials(), &format!("c{}", self.number));
        self.session = opened.ok().and_then(|mut sessions| sessions.pop());
        self.session.is_some()
    }

    fn credentials(&self) -> Credentials {
        Credentials { user: user(self.number), secret: secret(self.number), realm: None }
    }

    fn ask(&mut self, now: Instant) -> Step {
        self.cseq += 1;
        let credentials = self.credentials();
        let signed = Signed { method: "REGISTER", uri: b"sip:example.net", body: b"" };
        let line = self.session.as_mut().map(|session| session.sign(&credentials, &signed));
        let line = line.map(|line| String::from_utf8_lossy(&line).into_owned() + "\r\n").unwrap_or_default();
        let (at, boots, cseq, expires) = (self.at, self.boots, self.cseq, self.expires_s);
        let (user, number) = (&credentials.user, self.number);
        let (word, parameter) = if self.by_tcp { ("TCP", ";transport=tcp") } else { ("UDP", "") };
        let text = format!(
            "REGISTER sip:example.net SIP/2.0\r\nVia: SIP/2.0/{word} {at};rport;branch=z9hG4bK{number}b{boots}c{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@example.net>;tag={number}b{boots}\r\nTo: <sip:{user}@example.net>\r\nCall-ID: {number}-{boots}@phone\r\n\
             CSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{at}{parameter}>\r\nUser-Agent: Phone 1.0\r\nExpires: {expires}\r\n\
             {line}Content-Length: 0\r\n\r\n"
        );
        self.asked = Some(text.clone().into_bytes());
        self.repeats = 1;
        let pause = if self.by_tcp { PATIENCE } else { Span::from_millis(REPEATS_MS[0]) };
        Step { says: Some(text.into_bytes()), next: Some(now + pause) }
    }
}
