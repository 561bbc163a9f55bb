//! By whom a call was diverted before, and by redirections that the edge has followed: Diversion (RFC 5806), History-Info (RFC 7044), and
//! either made from the other (RFC 7544).
//!
//! Refuses to know: who may see it.

use super::{Crossing, Shown};
use alloc::format;
use alloc::vec::Vec;
use sip::{HeaderLines, HeaderName, Message, NameAddr, Uri};
use smallvec::SmallVec;

/// How a trunk is told that a call was diverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiversionForm {
    /// As it came.
    Pass,
    /// Not at all.
    Strip,
    /// By Diversion.
    Diversion,
    /// By History-Info.
    History,
    /// By both.
    Both,
}

/// Diversions of one call that are told on, at most.
const DIVERSIONS_MAX: usize = 10;

/// Reasons of RFC 5806 §4 and the causes of RFC 4458 §2.1 that mean the same (RFC 7544 §5, §6). The first of a cause is its word.
const REASONS: [(&str, &str); 7] = [
    ("unconditional", "302"),
    ("user-busy", "486"),
    ("no-answer", "408"),
    ("deflection", "480"),
    ("deflection", "487"),
    ("unavailable", "503"),
    ("unknown", "404"),
];

/// One diversion: who diverted, and why.
struct Diverted<'m> {
    uri: &'m [u8],
    /// A word of RFC 5806.
    reason: &'m [u8],
    private: bool,
}

/// Writes Diversion and History-Info.
pub(super) fn push(
    message: &Message,
    crossing: &Crossing<'_>,
    shown: Option<&Shown>,
    strips: impl Fn(HeaderName) -> bool,
    out: &mut HeaderLines,
) {
    let form = crossing.to.identity.diversion;
    let has = |name| message.header(name).is_some();
    // Only an INVITE is diverted; in anything else there is nothing to tell.
    let (diversion, history) = match (form, shown) {
        (DiversionForm::Strip, _) => return,
        (DiversionForm::Pass, _) | (_, None) => (false, false),
        (form, Some(_)) => (
            form != DiversionForm::History && !has(HeaderName::Diversion),
            form != DiversionForm::Diversion && !has(HeaderName::HistoryInfo),
        ),
    };
    if form != DiversionForm::History && !strips(HeaderName::Diversion) {
        push_followed(shown, out);
        match diversion {
            true => push_diversions(message, crossing, out),
            false => copy(message, crossing, HeaderName::Diversion, out),
        }
    }
    if form != DiversionForm::Diversion && !strips(HeaderName::HistoryInfo) {
        match shown.filter(|_| history) {
            Some(shown) => push_history(message, crossing, shown, out),
            None => {
                copy(message, crossing, HeaderName::HistoryInfo, out);
                if let Some(shown) = shown.filter(|_| form != DiversionForm::Pass) {
                    push_more_history(message, shown, out);
                }
            }
        }
    }
}

/// Redirections that the edge has followed, before what earlier ones have said (RFC 5806 §5).
fn push_followed(shown: Option<&Shown>, out: &mut HeaderLines) {
    for (uri, reason) in shown.iter().flat_map(|shown| &shown.diverted) {
        out.push("Diversion", &[b"<", uri.as_slice(), b">;reason=", reason.as_bytes(), b";counter=1"].concat());
    }
}

fn copy(message: &Message, crossing: &Crossing<'_>, name: HeaderName, out: &mut HeaderLines) {
    for value in message.values(name) {
        out.push(name.as_str(), &crossing.readdressed(value));
    }
}

/// Diversion from History-Info, the last diversion first (RFC 7544 §6).
fn push_diversions(message: &Message, crossing: &Crossing<'_>, out: &mut HeaderLines) {
    let entries: SmallVec<[NameAddr<'_>; 8]> =
        message.values(HeaderName::HistoryInfo).map(NameAddr::of).take(DIVERSIONS_MAX + 1).collect();
    for pair in entries.windows(2).rev() {
        let [before, entry] = pair else { continue };
        let Some(reason) = Uri::parse(entry.uri).ok().and_then(|uri| uri.params().get("cause")).map(reason_of) else {
            continue;
        };
        // Who diverted is the entry it was mapped from, or else the one before (RFC 7044 §5).
        let from = entry.params.get("mp").and_then(|mp| entries.iter().find(|e| e.params.get("index") == Some(mp)));
        let uri = from.unwrap_or(before).uri;
        let Some(bare) = bare(uri, crossing) else { continue };
        let private = memchr::memmem::find(uri, b"Privacy=").is_some();
        let mut value = [b"<", bare.as_slice(), b">;reason=", reason.as_bytes()].concat();
        if private {
            value.extend_from_slice(b";privacy=full");
        }
        out.push("Diversion", &value);
    }
}

/// History-Info from Diversion, the first diversion first (RFC 7544 §5).
fn push_history(message: &Message, crossing: &Crossing<'_>, shown: &Shown, out: &mut HeaderLines) {
    let diverted: SmallVec<[Diverted<'_>; 4]> =
        message.values(HeaderName::Diversion).map(diverted).take(DIVERSIONS_MAX).collect();
    let (mut index, mut cause) = (Vec::new(), None);
    for one in diverted.iter().rev() {
        let Some(uri) = bare(one.uri, crossing) else { continue };
        push_entry(&uri, one.private, &mut index, cause, out);
        cause = Some(cause_of(one.reason));
    }
    for (uri, reason) in shown.diverted.iter().rev() {
        push_entry(uri, false, &mut index, cause, out);
        cause = Some(cause_of(reason.as_bytes()));
    }
    if cause.is_some() {
        let mut uri = Vec::new();
        shown.push_called(&mut uri);
        push_entry(&uri, false, &mut index, cause, out);
    }
}

/// Redirections that the edge has followed, after a history that came: its last entry is whose call it was (RFC 7044 §9.2).
fn push_more_history(message: &Message, shown: &Shown, out: &mut HeaderLines) {
    let last = message.values(HeaderName::HistoryInfo).last().map(NameAddr::of);
    let mut index = last.and_then(|last| last.params.get("index").map(<[u8]>::to_vec)).unwrap_or_else(|| b"1".to_vec());
    let mut called = Vec::new();
    shown.push_called(&mut called);
    let mut from = shown.diverted.iter().rev().peekable();
    while let Some((_, reason)) = from.next() {
        let uri = from.peek().map_or(&called, |(next, _)| next);
        push_entry(uri, false, &mut index, Some(cause_of(reason.as_bytes())), out);
    }
}

/// One entry, a step deeper than the one before it.
fn push_entry(uri: &[u8], private: bool, index: &mut Vec<u8>, cause: Option<&str>, out: &mut HeaderLines) {
    let before = index.clone();
    index.extend_from_slice(if index.is_empty() { b"1" } else { b".1" });
    let mut value = [b"<", uri].concat();
    if let Some(cause) = cause {
        value.extend_from_slice(format!(";cause={cause}").as_bytes());
    }
    if private {
        value.extend_from_slice(b"?Privacy=history");
    }
    value.extend_from_slice(b">;index=");
    value.extend_from_slice(index);
    if cause.is_some() {
        value.extend_from_slice(b";mp=");
        value.extend_from_slice(&before);
    }
    out.push("History-Info", &value);
}

fn diverted(value: &[u8]) -> Diverted<'_> {
    let addr = NameAddr::of(value);
    Diverted {
        uri: addr.uri,
        reason: addr.params.get("reason").unwrap_or(b"unknown"),
        private: addr.params.get("privacy").is_some_and(|privacy| !privacy.eq_ignore_ascii_case(b"off")),
    }
}

/// A URI without parameters and headers, its number as the reader writes it.
fn bare(uri: &[u8], crossing: &Crossing<'_>) -> Option<Vec<u8>> {
    let uri = Uri::parse(uri).ok()?;
    let number = crossing.number(uri.user());
    let mut out = [uri.scheme(), b":", &number].concat();
    if !uri.host().is_empty() {
        if !number.is_empty() {
            out.push(b'@');
        }
        out.extend_from_slice(crossing.host_for(&uri).unwrap_or(uri.host()));
        if let Some(port) = uri.port().filter(|_| crossing.host_for(&uri).is_none()) {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
    }
    Some(out)
}

fn cause_of(reason: &[u8]) -> &'static str {
    let reason = reason.strip_prefix(b"\"").and_then(|reason| reason.strip_suffix(b"\"")).unwrap_or(reason);
    REASONS.iter().find(|(word, _)| word.as_bytes().eq_ignore_ascii_case(reason)).map_or("404", |(_, cause)| cause)
}

fn reason_of(cause: &[u8]) -> &'static str {
    REASONS.iter().find(|(_, known)| known.as_bytes() == cause).map_or("unknown", |(word, _)| word)
}
