//! Replaces: which dialog of ours a header names, and what it is called on the other side (RFC 3891).
//!
//! Both legs of a call are ours, so that a name on one of them is translated into the name on the other. Refuses to know: what becomes of
//! whoever is replaced.

use super::B2bua;
use super::call::{Phase, Side};
use alloc::vec::Vec;
use model::TrunkId;
use sip::{HeaderName, Message, Params};

/// Longest value that is looked at.
const LENGTH_MAX: usize = 512;

/// A dialog by its name, as its own user agent sees it: its tag is `to` (RFC 3891 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replaces {
    pub(super) call_id: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) from: Vec<u8>,
    pub(super) early_only: bool,
}

/// A leg that a Replaces names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replaced {
    pub(super) slot: usize,
    /// The party whose place is taken.
    pub(super) leaves: Side,
    /// Its call is answered.
    pub(super) confirmed: bool,
}

impl Replaces {
    /// Reads a header value (RFC 3891 §6.1).
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        if value.len() > LENGTH_MAX {
            return None;
        }
        let end = memchr::memchr(b';', value)?;
        let params = Params::of(&value[end + 1..]);
        let tag = |name: &str| params.get(name).filter(|tag| !tag.is_empty()).map(<[u8]>::to_vec);
        let call_id = value[..end].trim_ascii().to_vec();
        let early_only = params.get("early-only").is_some();
        (!call_id.is_empty()).then_some(())?;
        Some(Self { call_id, to: tag("to-tag")?, from: tag("from-tag")?, early_only })
    }

    /// The one of an INVITE, when it has one; more than one is as bad as none that can be read (RFC 3891 §3).
    pub(super) fn of(invite: &Message) -> Result<Option<Self>, BadReplaces> {
        let mut lines = invite.headers().filter(|header| header.name == HeaderName::Replaces);
        match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(line), None) => Self::parse(line.value).map(Some).ok_or(BadReplaces),
            (Some(_), Some(_)) => Err(BadReplaces),
        }
    }

    /// The one among the headers of a URI, where it is escaped (RFC 3891 §7.1, RFC 3261 §19.1.1).
    pub(super) fn in_uri(headers: &[u8]) -> Option<Vec<u8>> {
        headers.split(|byte| *byte == b'&').find_map(|header| {
            let equals = memchr::memchr(b'=', header)?;
            header[..equals].eq_ignore_ascii_case(b"Replaces").then(|| unescape(&header[equals + 1..]))
        })
    }

    /// As the header of a URI.
    pub(super) fn escaped(&self) -> Vec<u8> {
        let early: &[u8] = if self.early_only { b";early-only" } else { b"" };
        escape(&[&self.call_id, &b";to-tag="[..], &self.to, b";from-tag=", &self.from, early].concat())
    }
}

/// A Replaces that names nothing; answered 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadReplaces;

impl B2bua {
    /// The leg it names. Whoever names its own dialog with us is the one who leaves; who names our dialog with somebody else, as we told it
    /// in a REFER, means that one to stay.
    pub(super) fn replaced(&self, name: &Replaces) -> Option<Replaced> {
        let find = |ours: &[u8], theirs: &[u8]| {
            let (slot, side) = self.by_tag.get(ours).copied()?;
            let call = self.calls.get(slot)?;
            let dialog = &call.leg(side)?.dialog;
            (dialog.call_id == name.call_id && dialog.remote_tag == theirs).then_some((
                slot,
                side,
                call.phase == Phase::Up,
            ))
        };
        let own = find(&name.to, &name.from).map(|(slot, leaves, confirmed)| Replaced { slot, leaves, confirmed });
        let told = || {
            let (slot, stays, confirmed) = find(&name.from, &name.to)?;
            Some(Replaced { slot, leaves: stays.other(), confirmed })
        };
        own.or_else(told)
    }

    /// The one who leaves a named call is this trunk's.
    pub(super) fn is_partys(&self, found: &Replaced, trunk: TrunkId) -> bool {
        let leg = self.calls.get(found.slot).and_then(|call| call.leg(found.leaves));
        leg.is_some_and(|leg| leg.trunk == trunk)
    }

    /// What the far party of the named call calls its dialog with us.
    pub(super) fn mapped(&self, name: &Replaces) -> Option<Replaces> {
        let found = self.replaced(name)?;
        let dialog = &self.calls.get(found.slot)?.leg(found.leaves.other())?.dialog;
        Some(Replaces {
            call_id: dialog.call_id.clone(),
            to: dialog.remote_tag.clone(),
            from: dialog.local_tag.clone(),
            early_only: name.early_only,
        })
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let hex = |at: usize| text.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (byte, hex(at + 1), hex(at + 2)) {
            out.push((high << 4 | low) as u8);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    out
}

/// Everything but what RFC 3261 §25.1 calls unreserved.
fn escape(text: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len() * 2);
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(byte);
        } else {
            out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3891 §6.1, the examples' shape.
    #[test]
    fn a_dialog_is_named_by_call_id_and_both_tags() {
        let name = Replaces::parse(b"98732@sip.example.com ;from-tag=r33th4x0r ;to-tag=ff87ff").unwrap();
        assert_eq!(
            (&name.call_id[..], &name.to[..], &name.from[..]),
            (&b"98732@sip.example.com"[..], &b"ff87ff"[..], &b"r33th4x0r"[..])
        );
        assert!(!name.early_only);
        assert!(Replaces::parse(b"1@a;to-tag=1;from-tag=2;early-only").unwrap().early_only);
        for bad in [&b""[..], b"1@a", b";to-tag=1;from-tag=2", b"1@a;to-tag=1", b"1@a;to-tag=;from-tag=2", &[b'a'; 600]]
        {
            assert_eq!(Replaces::parse(bad), None, "{bad:?}");
        }
    }

    /// RFC 3261 §19.1.2: what is no part of a URI is escaped in it.
    #[test]
    fn it_stands_escaped_in_a_uri() {
        let name = Replaces { call_id: b"1@a".to_vec(), to: b"x".to_vec(), from: b"y".to_vec(), early_only: true };
        let escaped = name.escaped();
        assert_eq!(escaped, b"1%40a%3Bto-tag%3Dx%3Bfrom-tag%3Dy%3Bearly-only");
        let headers = [&b"Subject=x&replaces="[..], &escaped, b"&Accept-Contact=z"].concat();
        assert_eq!(Replaces::parse(&Replaces::in_uri(&headers).unwrap()), Some(name));
        assert_eq!(Replaces::in_uri(b"Subject=x"), None);
        assert_eq!(unescape(b"%4%zz%41%"), b"%4%zzA%");
    }
}
