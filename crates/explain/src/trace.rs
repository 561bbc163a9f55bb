//! A call's trace: its record told as stretches of time that lie within each other, as OpenTelemetry's collectors take them.
//!
//! The same record gives the same trace, ids and all, so that whoever holds a call's row can name its trace. Numbers of people are cut
//! as in sentences. Refuses to know: how a trace is encoded and sent, and which calls are worth one.

use crate::record::{AttemptRecord, CallRecord, Direction, Ending};
use crate::redact::Redacted;
use crate::stream::StreamRecord;
use crate::words;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use decide::{Noted, Whose};
use model::{AttemptOutcome, Instant, Name, Span, TargetId, Wall};

/// Spans of attempts at most: ids have a byte for a span's number, and nobody reads on.
const ATTEMPTS_MAX: usize = 64;

/// Characters of a text at most: peers choose some of them, and hundreds of spans wait in memory.
const TEXT_MAX: usize = 1_024;

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// When the INVITE came, in microseconds since 1970, and the call's reference: sixteen hexadecimal digits each.
    pub id: u128,
    /// The call itself first.
    pub spans: Vec<TraceSpan>,
}

/// What a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// What somebody asked of the edge: the call.
    Server,
    /// What the edge asked of somebody: an attempt.
    Client,
    /// Neither.
    Internal,
}

/// One stretch of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSpan {
    /// Its own among those of its trace, never zero.
    pub id: u64,
    /// What it is part of; none for the call itself.
    pub parent: Option<u64>,
    /// What, in few words that many calls have in common.
    pub name: String,
    /// Who asked whom.
    pub kind: SpanKind,
    /// Its beginning.
    pub start: Wall,
    /// Its end, not before its beginning.
    pub end: Wall,
    /// What is known of it.
    pub attributes: Vec<Attribute>,
    /// What happened meanwhile, in order.
    pub events: Vec<Happened>,
    /// Why it is held to have failed, if it has.
    pub fault: Option<String>,
}

/// A name and what it stands for.
pub type Attribute = (&'static str, TraceValue);

/// What an attribute can say.
#[derive(Clone, Debug, PartialEq)]
pub enum TraceValue {
    /// Text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction.
    Real(f64),
    /// Yes or no.
    Truth(bool),
}

/// One moment of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// When.
    pub at: Wall,
    /// What, in one word.
    pub name: &'static str,
    /// What is known of it.
    pub attributes: Vec<Attribute>,
}

/// The trace of a call that was over at `ended`. `address` tells where a target is, as far as that is known.
pub fn trace(call: &CallRecord, ended: Wall, address: impl Fn(TargetId) -> Option<SocketAddr>) -> Trace {
    let start = call.wall(call.invited, ended);
    let id = u128::from(start.as_micros().unsigned_abs()) << 64 | u128::from(call.call.0);
    let mut spans = Spans { call, ended, list: Vec::with_capacity(3 + call.attempts.len()) };
    let root = spans.whole();
    spans.decision(root);
    for (number, attempt) in call.attempts.iter().enumerate().take(ATTEMPTS_MAX) {
        spans.attempt(root, number + 1, attempt, address(attempt.target));
    }
    if let Some(answered) = call.answered {
        spans.talk(root, answered);
    }
    Trace { id, spans: spans.list }
}

impl CallRecord {
    /// Something is to be learned from it: it failed, it took more than one attempt, or something was done about its audio.
    pub fn stands_out(&self) -> bool {
        self.attempts.len() > 1 || !self.notes.is_empty() || has_failed(self)
    }
}

/// Through a trunk, or through us. Busy, declined and mistaken numbers are none of it, nor is a caller who gives up.
const fn has_failed(call: &CallRecord) -> bool {
    match &call.ending {
        Ending::Refused { code } => matches!(*code, 500..=599),
        Ending::OutOfRetries { .. } | Ending::Ended { .. } => true,
        Ending::Cancelled | Ending::Bye { .. } => false,
    }
}

/// An attempt that the trunk, or the way to it, has failed.
const fn is_failure(outcome: AttemptOutcome) -> bool {
    match outcome {
        AttemptOutcome::Refused { code, .. } => matches!(code, 408 | 500..=599),
        AttemptOutcome::NoReply { .. }
        | AttemptOutcome::Stalled { .. }
        | AttemptOutcome::WentSilent { .. }
        | AttemptOutcome::CutShort { .. }
        | AttemptOutcome::Unreachable { .. } => true,
        AttemptOutcome::Answered
        | AttemptOutcome::Redirected { .. }
        | AttemptOutcome::RingTimeout { .. }
        | AttemptOutcome::Abandoned { .. }
        | AttemptOutcome::Outrun { .. } => false,
    }
}

/// The spans of a trace as they come.
struct Spans<'c> {
    call: &'c CallRecord,
    ended: Wall,
    list: Vec<TraceSpan>,
}

impl Spans<'_> {
    /// A moment of the call: what lies before or after it is told at its beginning or end.
    fn moment(&self, at: Instant) -> Wall {
        let call = self.call;
        call.wall(at.clamp(call.invited, call.ended.max(call.invited)), self.ended)
    }

    /// One more, within the call; its id.
    fn push(&mut self, parent: Option<u64>, name: String, kind: SpanKind, from: Instant, to: Instant) -> u64 {
        let number = self.list.len() as u64 + 1;
        // The call's serial and random part stay in it, so that ids of different calls differ too.
        let id = self.call.call.0 << 8 | number & 0xff;
        let (start, end) = (self.moment(from), self.moment(to.max(from)));
        let (attributes, events) = (Vec::new(), Vec::new());
        self.list.push(TraceSpan { id, parent, name, kind, start, end, attributes, events, fault: None });
        id
    }

    /// What the last one is told to be.
    fn tell(&mut self, attributes: Vec<Attribute>, events: Vec<Happened>, fault: Option<String>) {
        if let Some(last) = self.list.last_mut() {
            (last.attributes, last.events, last.fault) = (attributes, events, fault);
        }
    }

    /// The call itself, from its INVITE to its end.
    fn whole(&mut self) -> u64 {
        let call = self.call;
        let id = self.push(None, format!("call from {}", call.from), SpanKind::Server, call.invited, call.ended);
        let carried = call.carried().map(|attempt| attempt.trunk.as_str());
        let mut events = Vec::new();
        for (at, name) in [(call.progressed, "ringing"), (call.answered, "answered")] {
            events.extend(at.map(|at| Happened { at: self.moment(at), name, attributes: Vec::new() }));
        }
        events.extend(self.noted(|noted| call.answered.is_none_or(|answered| noted.at < answered)));
        events.sort_by_key(|event| event.at);
        let fault = has_failed(call).then(|| words::call::ending(call, carried));
        self.tell(about_call(call, carried), events, fault);
        id
    }

    /// What was decided, until the first attempt.
    fn decision(&mut self, root: u64) {
        let call = self.call;
        let until = call.attempts.first().map_or(call.ended, |attempt| attempt.sent);
        self.push(Some(root), String::from("route"), SpanKind::Internal, call.invited, until);
        let mut about = Vec::new();
        if let Some(group) = &call.group {
            about.push(text("throughline.group", group));
        }
        let (plan, fault) = match &call.plan {
            Ok(plan) => {
                // Routes are counted from one where people see them, as in the file.
                about.push(("throughline.route", TraceValue::Whole(i64::from(plan.route.0) + 1)));
                about.push(("throughline.epoch", whole(plan.epoch.0)));
                about.push(("throughline.candidates", whole(plan.attempts.len() as u64)));
                about.push(("throughline.last_resort", TraceValue::Truth(plan.last_resort)));
                (words::call::plan(plan, call.group.as_ref(), &call.trunks, call.invited), None)
            }
            Err(none) => {
                let why = words::call::no_plan(none, call.group.as_ref(), &call.trunks, call.invited);
                let fault = has_failed(call).then(|| cut(&why));
                (why, fault)
            }
        };
        about.push(text("throughline.plan", &plan));
        self.tell(about, Vec::new(), fault);
    }

    /// One attempt, from its INVITE until it was answered, refused or left.
    fn attempt(&mut self, root: u64, number: usize, attempt: &AttemptRecord, address: Option<SocketAddr>) {
        let (sent, name) = (attempt.sent, format!("attempt {}", attempt.trunk));
        self.push(Some(root), name, SpanKind::Client, sent, sent + attempt.took);
        let fault = is_failure(attempt.outcome).then(|| words::outcome::attempt(attempt.outcome));
        self.tell(about_attempt(number, attempt, address), Vec::new(), fault);
    }

    /// The talk, from the answer to the end.
    fn talk(&mut self, root: u64, answered: Instant) {
        let call = self.call;
        self.push(Some(root), String::from("talk"), SpanKind::Internal, answered, call.ended);
        let mut about = Vec::new();
        if let Some(media) = &call.media {
            about.push(("throughline.caller.packets", whole(media.from_caller)));
            about.push(("throughline.callee.packets", whole(media.from_callee)));
            about.extend(media.caller.iter().flat_map(|stream| heard(stream, CALLER)));
            about.extend(media.callee.iter().flat_map(|stream| heard(stream, CALLEE)));
        }
        let events = self.noted(|noted| noted.at >= answered);
        self.tell(about, events, None);
    }

    fn noted(&self, wanted: impl Fn(&Noted) -> bool) -> Vec<Happened> {
        let call = self.call;
        let callee = call.carried().map_or("the callee", |attempt| attempt.trunk.as_str());
        let told = |noted: &Noted| Happened {
            at: self.moment(noted.at),
            name: noted.what.word(),
            attributes: [
                text("throughline.whose", if noted.whose == Whose::Caller { "caller" } else { "callee" }),
                text("throughline.sentence", &words::audio::note(noted, &call.from, callee)),
            ]
            .to_vec(),
        };
        call.notes.iter().filter(|noted| wanted(noted)).map(told).collect()
    }
}

fn about_call(call: &CallRecord, carried: Option<&str>) -> Vec<Attribute> {
    let mut about = [
        text("network.protocol.name", "sip"),
        text("throughline.call", &call.call.to_string()),
        text("sip.call_id", &call.call_id),
        text("throughline.from", &call.from),
        text("throughline.caller", &Redacted(&call.caller).to_string()),
        text("throughline.called", &Redacted(&call.called).to_string()),
        text("throughline.ending", call.ending.word()),
        ("throughline.attempts", whole(call.attempts.len() as u64)),
    ]
    .to_vec();
    about.extend(call.code().map(|code| ("sip.response.status_code", TraceValue::Whole(i64::from(code)))));
    about.extend(carried.map(|trunk| text("throughline.trunk", trunk)));
    about.extend(call.progressed.map(|at| ("throughline.pdd_ms", ms(at.since(call.invited)))));
    about.extend(call.answered.map(|at| ("throughline.setup_ms", ms(at.since(call.invited)))));
    if call.drilled {
        about.push(("throughline.drilled", TraceValue::Truth(true)));
    }
    if has_failed(call) {
        let code = call.code().filter(|code| *code >= 300).map(|code| code.to_string());
        about.push(text("error.type", code.as_deref().unwrap_or_else(|| call.ending.word())));
    }
    match &call.ending {
        Ending::Bye { by } => about.push(text("throughline.ended_by", side(*by))),
        Ending::Ended { why } => about.push(text("throughline.ended_why", why)),
        Ending::Refused { .. } | Ending::OutOfRetries { .. } | Ending::Cancelled => {}
    }
    about
}

const fn side(side: Direction) -> &'static str {
    match side {
        Direction::Caller => "caller",
        Direction::Callee => "callee",
    }
}

fn about_attempt(number: usize, attempt: &AttemptRecord, address: Option<SocketAddr>) -> Vec<Attribute> {
    let outcome = attempt.outcome;
    let mut about = [
        text("network.protocol.name", "sip"),
        ("throughline.attempt", whole(number as u64)),
        text("throughline.trunk", &attempt.trunk),
        ("throughline.target", TraceValue::Whole(i64::from(attempt.target.index) + 1)),
        text("sip.call_id", &attempt.call_id),
        text("throughline.begun", attempt.begun.word()),
        text("throughline.outcome", outcome.word()),
        text("throughline.sentence", &words::outcome::attempt(outcome)),
    ]
    .to_vec();
    if let Some(address) = address {
        about.push(text("network.peer.address", &address.ip().to_string()));
        about.push(("network.peer.port", TraceValue::Whole(i64::from(address.port()))));
    }
    let code = if outcome == AttemptOutcome::Answered { Some(200) } else { outcome.code() };
    about.extend(code.map(|code| ("sip.response.status_code", TraceValue::Whole(i64::from(code)))));
    if is_failure(outcome) {
        let code = outcome.code().map(|code| code.to_string());
        about.push(text("error.type", code.as_deref().unwrap_or_else(|| outcome.word())));
    }
    about.extend(attempt.first_reply.map(|span| ("throughline.first_reply_ms", ms(span))));
    about.extend(attempt.progress.map(|span| ("throughline.progress_ms", ms(span))));
    about.extend(attempt.fault.map(|fault| text("throughline.drill", &fault.word())));
    about
}

/// Names of what is told of one side's audio: codec, loss, jitter, opinion score.
type Names = [&'static str; 4];
const CALLER: Names = [
    "throughline.caller.codec",
    "throughline.caller.loss_permille",
    "throughline.caller.jitter_ms",
    "throughline.caller.mos",
];
const CALLEE: Names = [
    "throughline.callee.codec",
    "throughline.callee.loss_permille",
    "throughline.callee.jitter_ms",
    "throughline.callee.mos",
];

fn heard(stream: &StreamRecord, [codec, loss, jitter, mos]: Names) -> impl Iterator<Item = Attribute> {
    let told = [
        stream.codec.as_ref().map(|name: &Name| text(codec, name)),
        Some((loss, TraceValue::Whole(i64::from(stream.loss_permille())))),
        stream.jitter.map(|span| (jitter, ms(span))),
        stream.mos.map(|score| (mos, TraceValue::Real(f64::from(score.hundredths()) / 100.0))),
    ];
    told.into_iter().flatten()
}

fn text(name: &'static str, value: &str) -> Attribute {
    (name, TraceValue::Text(cut(value)))
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

fn whole(number: u64) -> TraceValue {
    TraceValue::Whole(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Milliseconds with three decimals.
fn ms(span: Span) -> TraceValue {
    TraceValue::Real(span.as_micros() as f64 / 1_000.0)
}

#[cfg(test)]
mod tests;
