//! What steering needs of a message, without parsing it and without allocating: Call-ID, top branch, CSeq method,
//! the tags of To and Replaces.
//!
//! Stops as soon as it has them. Refuses to know: whether the message is valid; it says only where it belongs.

use super::header::HeaderName;
use super::name_addr::NameAddr;
use super::params::Params;
use super::split::find_bare;
use super::via::Via;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Scan<'a> {
    /// A response rather than a request.
    pub is_response: bool,
    /// Method of a request, `SIP/2.0` of a response.
    pub first: &'a [u8],
    /// Call-ID.
    pub call_id: &'a [u8],
    /// Branch of the top Via; empty when it has none.
    pub branch: &'a [u8],
    /// Method named by CSeq.
    pub cseq_method: &'a [u8],
    /// To, whole.
    pub to: &'a [u8],
    /// Tag of To, when it has one.
    pub to_tag: Option<&'a [u8]>,
    /// Of an INVITE that takes a place: the tag by which that dialog is found (RFC 3891 §3).
    pub replaced_tag: Option<&'a [u8]>,
}

/// Scans a message, whole or cut short by an ICMP error; `None` when it has no start line or no Call-ID.
pub fn scan(bytes: &[u8]) -> Option<Scan<'_>> {
    let mut lines = lines(bytes);
    let start = lines.next()?;
    let first = &start[..memchr::memchr(b' ', start)?];
    let mut scan = Scan {
        first,
        is_response: first.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/")),
        ..Scan::default()
    };
    let (mut seen_via, mut seen_to) = (false, false);
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let value = line[colon + 1..].trim_ascii();
        match HeaderName::of(line[..colon].trim_ascii_end()) {
            HeaderName::Via if !seen_via => {
                seen_via = true;
                let top = &value[..find_bare(value, b',').unwrap_or(value.len())];
                scan.branch = Via::parse(top).and_then(|via| via.branch()).unwrap_or_default();
            }
            HeaderName::CallId if scan.call_id.is_empty() => scan.call_id = value,
            HeaderName::To if !seen_to => {
                seen_to = true;
                scan.to = value;
                scan.to_tag = NameAddr::of(value).tag();
            }
            HeaderName::CSeq if scan.cseq_method.is_empty() => {
                scan.cseq_method = super::cseq::parse(value).map_or(&[], |(_, method)| method);
            }
            HeaderName::Replaces => {
                let params = &value[memchr::memchr(b';', value).unwrap_or(value.len())..];
                scan.replaced_tag = scan.replaced_tag.or_else(|| Params(params).get("to-tag"));
            }
            _ => continue,
        }
        // Only an INVITE outside a dialog may take a place, which it says anywhere.
        let is_open = scan.first == b"INVITE" && scan.to_tag.is_none() && scan.replaced_tag.is_none();
        if seen_via && seen_to && !is_open && !scan.call_id.is_empty() && !scan.cseq_method.is_empty() {
            break;
        }
    }
    (!scan.call_id.is_empty()).then_some(scan)
}

/// Start line and header lines with their folds, until the blank line or the end.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let from = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    Lines(&bytes[from..])
}

struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut searched = 0;
        let (end, next) = loop {
            let Some(feed) = memchr::memchr(b'\n', &self.0[searched..]) else { break (self.0.len(), self.0.len()) };
            let after = searched + feed + 1;
            if !matches!(self.0.get(after), Some(b' ' | b'\t')) {
                break (after - 1, after);
            }
            searched = after;
        };
        let line = self.0[..end].trim_ascii_end();
        self.0 = &self.0[next..];
        (!line.is_empty()).then_some(line)
    }
}
