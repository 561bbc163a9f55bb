//! What a webhook is posted of an alarm, how that is signed, and what an answer to it means.
//!
//! Refuses to know: HTTP, names, who tries and when.

use crate::post::Tried;
use explain::{AlarmRecord, Entry, Record, Severity, sentence};
use hmac::{Hmac, KeyInit, Mac};
use model::{Name, Wall};
use serde::Serialize;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Posts of one webhook that wait; a storm of alarms makes room for its newest.
pub const WAITING: usize = 256;
/// Alarms under way that are remembered, so that their end says when they began. Each is one of the configuration's, so this is
/// only reached by one of thousands of trunks.
const UNDER_WAY: usize = 4_096;

/// What is posted, as JSON. Fields may be added; none changes its meaning.
#[derive(Serialize)]
struct Body<'a> {
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
        let body = Body {
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
        Some((alarm, serde_json::to_string(&body).ok()?))
    }
}

/// The body of a test post, of whose record this is: told apart by its `status` and `kind`, and about nothing.
pub fn test_body(edge: &Name, entry: &Entry) -> String {
    let at = entry.wall.to_string();
    let body = Body {
        id: &format!("{edge}:test:{}", entry.wall.as_micros() / 1_000),
        status: "test",
        kind: "test",
        severity: Severity::Info.word(),
        sentence: &sentence(entry),
        edge: edge.as_str(),
        trunk: None,
        group: None,
        since: at.clone(),
        at,
        seq: entry.seq.0,
    };
    // Texts and numbers alone: nothing of it can fail to be written.
    serde_json::to_string(&body).unwrap_or_default()
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

/// What a status says of a post (RFC 9110 §15). A redirection is not followed: whom the edge tells is its configuration's affair.
pub const fn tried(status: u16) -> Tried {
    match status {
        200..=299 => Tried::Taken { except: 0 },
        408 | 425 | 429 | 500..=599 => Tried::Later,
        _ => Tried::Refused,
    }
}

#[cfg(test)]
mod tests;
