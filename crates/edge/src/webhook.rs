//! Alarms on their way out: what one post says, how it is signed, and which one is tried when.
//!
//! One [`Line`] for each webhook: in order, one at a time, so that "over" never comes before "raised". It is a state machine
//! that sees neither socket nor clock. Refuses to know: HTTP, names, who tries.

use crate::config::Webhook;
use explain::{AlarmRecord, Entry, Record, sentence};
use hmac::{Hmac, KeyInit, Mac};
use model::{Instant, Name, Rng, Span, Wall};
use serde::Serialize;
use sha2::Sha256;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

/// Posts of one webhook that wait; a storm of alarms makes room for its newest.
pub const WAITING: usize = 256;
/// Alarms under way that are remembered, so that their end says when they began. Each is one of the configuration's, so this is
/// only reached by one of thousands of trunks.
const UNDER_WAY: usize = 4_096;
/// Rest after the first try that failed; doubles with each further one.
const REST_FIRST: Span = Span::from_secs(1);
/// Longest rest.
const REST_MOST: Span = Span::from_secs(60);

/// What is posted, as JSON. Fields may be added; none changes its meaning.
#[derive(Serialize)]
struct Post<'a> {
    /// The same when it is raised and when it is over, and of no other alarm.
    id: &'a str,
    status: &'static str,
    kind: &'static str,
    severity: &'static str,
    sentence: &'a str,
    edge: &'a str,
    trunk: Option<&'a str>,
    group: Option<&'a str>,
    /// When it was raised.
    since: String,
    /// When this was said.
    at: String,
    /// Number of the record in the journal.
    seq: u64,
}

/// Puts alarms into words for whoever is told.
#[derive(Debug, Default)]
pub struct Writer {
    /// When each alarm under way was raised.
    since: BTreeMap<String, Wall>,
}

impl Writer {
    /// The alarm of a record and the body of its post; none when the record is about something else.
    pub fn body<'e>(&mut self, edge: &Name, entry: &'e Entry) -> Option<(&'e AlarmRecord, String)> {
        let Record::Alarm(alarm) = &entry.record else { return None };
        let subject = alarm.what.subject();
        let since = if alarm.over {
            self.since.remove(&subject).unwrap_or(entry.wall)
        } else {
            if self.since.len() < UNDER_WAY {
                self.since.insert(subject.clone(), entry.wall);
            }
            entry.wall
        };
        let post = Post {
            id: &format!("{edge}:{subject}:{}", since.as_micros() / 1_000),
            status: if alarm.over { "over" } else { "raised" },
            kind: alarm.what.kind(),
            severity: alarm.what.severity().word(),
            sentence: &sentence(entry),
            edge: edge.as_str(),
            trunk: alarm.what.trunk().map(Name::as_str),
            group: alarm.what.group().map(Name::as_str),
            since: since.to_string(),
            at: entry.wall.to_string(),
            seq: entry.seq.0,
        };
        Some((alarm, serde_json::to_string(&post).ok()?))
    }
}

/// The value of the header `Throughline-Signature`: the time of the try in seconds, and HMAC-SHA256 (RFC 2104) of that time, a full
/// stop and the body. The time is signed too, so that an old post that somebody sends again is told from a new one.
pub fn signature(secret: &str, at: Wall, body: &str) -> String {
    let seconds = at.as_micros() / 1_000_000;
    let mut value = format!("t={seconds},v1=");
    // Any length is a good key for HMAC.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        mac.update(format!("{seconds}.{body}").as_bytes());
        for byte in mac.finalize().into_bytes() {
            // Writing into a `String` cannot fail.
            let _ok = write!(value, "{byte:02x}");
        }
    }
    value
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was taken.
    Taken,
    /// Not now: no answer, a server's fault, or a receiver that has too much to do.
    Later,
    /// The receiver does not want it, and would not the next time.
    Refused,
}

impl Tried {
    /// What a status says (RFC 9110 §15). A redirection is not followed: whom the edge tells is its configuration's affair.
    pub const fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            408 | 425 | 429 | 500..=599 => Self::Later,
            _ => Self::Refused,
        }
    }
}

/// Posts counted by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken by the receiver.
    pub taken: u64,
    /// Tries that will be repeated.
    pub again: u64,
    /// Dropped: too many waited.
    pub full: u64,
    /// Dropped: nobody took it for too long.
    pub late: u64,
    /// Dropped: the receiver does not want it.
    pub refused: u64,
}

/// One webhook's posts, in order.
#[derive(Debug)]
pub struct Line {
    waiting: VecDeque<Waiting>,
    /// The first one is being tried.
    trying: bool,
    counts: Counts,
    rng: Rng,
}

#[derive(Debug)]
struct Waiting {
    body: Arc<str>,
    /// When it was to be told.
    since: Instant,
    /// When it is tried next.
    due: Instant,
    tries: u32,
}

impl Line {
    /// An empty one. Lines with other seeds rest for other times.
    pub const fn new(seed: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            trying: false,
            counts: Counts { taken: 0, again: 0, full: 0, late: 0, refused: 0 },
            rng: Rng::new(seed),
        }
    }

    /// One more. When too many wait, the oldest that is not being tried makes room.
    pub fn push(&mut self, now: Instant, body: Arc<str>) {
        if self.waiting.len() >= WAITING {
            self.waiting.remove(usize::from(self.trying));
            self.counts.full += 1;
        }
        self.waiting.push_back(Waiting { body, since: now, due: now, tries: 0 });
    }

    /// What is to be tried now; what became of it must be told by [`Line::tried`] before there is another one.
    pub fn poll(&mut self, now: Instant) -> Option<Arc<str>> {
        let first = self.waiting.front().filter(|first| !self.trying && first.due <= now)?;
        self.trying = true;
        Some(first.body.clone())
    }

    /// What became of the one that was tried.
    pub fn tried(&mut self, now: Instant, plan: &Webhook, tried: Tried) {
        if !std::mem::take(&mut self.trying) {
            return;
        }
        let rest = self.rest();
        let Some(first) = self.waiting.front_mut() else { return };
        let late = now.since(first.since) + rest > plan.give_up;
        let slot = match tried {
            Tried::Later if !late => {
                first.tries = first.tries.saturating_add(1);
                first.due = now + rest;
                self.counts.again += 1;
                return;
            }
            Tried::Taken => &mut self.counts.taken,
            Tried::Later => &mut self.counts.late,
            Tried::Refused => &mut self.counts.refused,
        };
        *slot += 1;
        self.waiting.pop_front();
    }

    /// When there is something to try; none while one is being tried, or nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.front().filter(|_| !self.trying).map(|first| first.due)
    }

    /// How many wait, the one that is being tried among them.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What became of posts so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Doubling, and between half of it and all of it, so that several edges do not come at the same moment.
    fn rest(&mut self) -> Span {
        let tries = self.waiting.front().map_or(0, |first| first.tries.min(16));
        let whole = REST_FIRST.times(1 << tries).min(REST_MOST).as_micros();
        Span::from_micros(whole / 2 + self.rng.below(whole / 2 + 1))
    }
}

#[cfg(test)]
mod tests;
