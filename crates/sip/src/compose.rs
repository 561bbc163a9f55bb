//! Writing messages: requests and responses from drafts, ACK and CANCEL from the INVITE they belong to.
//!
//! RFC 3261 §8.1.1, §8.2.6, §9.1, §17.1.1.3. Refuses to know: when anything is sent.

use crate::message::Message;
use crate::transport::{Flow, Transport};
use crate::wire::{HeaderName, Method, NameAddr, Via, lines, split_list};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Hops a request of ours may make (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// Complete header lines, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct HeaderLines(Vec<u8>);

impl HeaderLines {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a line. Line ends inside the value, folds too, become blanks, so that no value can smuggle in a header.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.0.reserve(name.len() + value.len() + 4);
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        let start = self.0.len();
        self.0.extend_from_slice(value);
        for byte in &mut self.0[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// Adds a line as it came, folds and line end included.
    pub fn push_raw(&mut self, line: &[u8]) {
        self.0.extend_from_slice(line.trim_ascii_end());
        self.0.extend_from_slice(b"\r\n");
    }

    /// Gives the first line of this name another value; adds one when there is none.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        let mut out = Self(Vec::with_capacity(self.0.len() + value.len()));
        let mut done = false;
        for line in lines(&self.0) {
            let is_it = line
                .split(|byte| *byte == b':')
                .next()
                .is_some_and(|own| own.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes()));
            if is_it && !done {
                done = true;
                out.push(name, value);
            } else {
                out.push_raw(line);
            }
        }
        if !done {
            out.push(name, value);
        }
        *self = out;
    }

    /// Whether there is a line of this name.
    fn has(&self, name: &[u8]) -> bool {
        let named = |line: &[u8]| {
            line.split_at_checked(name.len()).is_some_and(|(start, rest)| {
                start.eq_ignore_ascii_case(name) && rest.trim_ascii_start().starts_with(b":")
            })
        };
        self.0.split(|byte| *byte == b'\n').any(named)
    }

    /// The lines.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A request to be sent: the endpoint adds Via, Max-Forwards and Content-Length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its method.
    pub method: Method,
    /// Its request URI.
    pub uri: Vec<u8>,
    /// Its other headers.
    pub headers: HeaderLines,
    /// Its body.
    pub body: Vec<u8>,
    /// Hops it may make.
    pub max_forwards: u8,
    /// Its Via tells that we understand overload control (RFC 7339 §4.1).
    pub overload: bool,
}

impl Draft {
    /// One without headers and body.
    pub const fn new(method: Method, uri: Vec<u8>) -> Self {
        Self { method, uri, headers: HeaderLines::new(), body: Vec::new(), max_forwards: MAX_FORWARDS, overload: false }
    }
}

/// A response to be sent: the endpoint copies Via, From, To, Call-ID and CSeq from the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub code: u16,
    /// Reason phrase; the usual one of the code when none.
    pub phrase: Option<Vec<u8>>,
    /// Tag added to To, when the request has none.
    pub to_tag: Option<Vec<u8>>,
    /// Its other headers.
    pub headers: HeaderLines,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// One without headers and body.
    pub const fn new(code: u16) -> Self {
        Self { code, phrase: None, to_tag: None, headers: HeaderLines::new(), body: Vec::new() }
    }
}

/// The bytes of a request. Its Via asks for a response where the request came from (RFC 3581 §3).
pub(crate) fn request(draft: &Draft, transport: Transport, sent_by: SocketAddr, branch: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + draft.uri.len() + draft.headers.0.len() + draft.body.len());
    push_all(&mut out, &[draft.method.as_str().as_bytes(), b" ", &draft.uri, b" SIP/2.0\r\nVia: SIP/2.0/"]);
    push_text(&mut out, transport);
    out.push(b' ');
    push_text(&mut out, sent_by);
    push_all(&mut out, &[b";rport;branch=", branch]);
    if draft.overload {
        // Loss must be among what is offered (RFC 7339 §4.2); rate is RFC 7415.
        out.extend_from_slice(b";oc;oc-algo=\"loss,rate\"");
    }
    out.extend_from_slice(b"\r\nMax-Forwards: ");
    push_number(&mut out, usize::from(draft.max_forwards));
    push_all(&mut out, &[b"\r\n", &draft.headers.0]);
    finish(out, &draft.body)
}

/// The bytes of a response (RFC 3261 §8.2.6): the top Via says where the request really came from. `product` is what we call ourselves in
/// answers that do not say it themselves (§20.35); empty when we do not.
pub(crate) fn response(request: &Message, source: Flow, answer: &Answer, product: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + answer.headers.0.len() + answer.body.len());
    status_line(&mut out, answer.code, answer.phrase.as_deref());
    push_vias(
        &mut out,
        request.headers().filter(|header| header.name == HeaderName::Via).map(|header| header.value),
        source,
    );
    push_all(&mut out, &[b"From: ", request.header(HeaderName::From).unwrap_or_default(), b"\r\nTo: "]);
    out.extend_from_slice(request.header(HeaderName::To).unwrap_or_default());
    if let Some(tag) = answer.to_tag.as_deref().filter(|_| request.to().tag().is_none()) {
        push_all(&mut out, &[b";tag=", tag]);
    }
    push_all(&mut out, &[b"\r\nCall-ID: ", request.call_id(), b"\r\nCSeq: "]);
    out.extend_from_slice(request.header(HeaderName::CSeq).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
    if let Some(timestamp) = request.header(HeaderName::Timestamp).filter(|_| answer.code == 100) {
        // 8.2.6.1: a 100 gives it back.
        push_all(&mut out, &[b"Timestamp: ", timestamp, b"\r\n"]);
    }
    if forms_dialog(request, answer.code) {
        // 12.1.1: the route set is the caller's to learn.
        for header in request.headers().filter(|header| header.name == HeaderName::RecordRoute) {
            push_all(&mut out, &[b"Record-Route: ", header.value, b"\r\n"]);
        }
    }
    if !product.is_empty() && !answer.headers.has(b"Server") {
        push_all(&mut out, &[b"Server: ", product, b"\r\n"]);
    }
    out.extend_from_slice(&answer.headers.0);
    finish(out, &answer.body)
}

/// ACK for a 3xx–6xx, from the INVITE's own bytes (17.1.1.3): same URI, Via, Route, From, Call-ID; To of the response.
pub(crate) fn ack_refusal(invite: &[u8], response: &Message) -> Option<Vec<u8>> {
    let invite = Message::parse(invite.to_vec()).ok()?;
    Some(companion(&invite, "ACK", response.header(HeaderName::To).unwrap_or_default(), None))
}

/// CANCEL, from the INVITE's own bytes (9.1): same URI, Via, Route, From, To, Call-ID and CSeq number.
pub(crate) fn cancel(invite: &[u8], reason: Option<&[u8]>) -> Option<Vec<u8>> {
    let invite = Message::parse(invite.to_vec()).ok()?;
    Some(companion(&invite, "CANCEL", invite.header(HeaderName::To).unwrap_or_default(), reason))
}

fn companion(invite: &Message, method: &str, to: &[u8], reason: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    push_all(&mut out, &[method.as_bytes(), b" ", invite.uri(), b" SIP/2.0\r\nVia: "]);
    out.extend_from_slice(invite.values(HeaderName::Via).next().unwrap_or_default());
    out.extend_from_slice(b"\r\nMax-Forwards: ");
    push_number(&mut out, usize::from(MAX_FORWARDS));
    out.extend_from_slice(b"\r\n");
    for route in invite.headers().filter(|header| header.name == HeaderName::Route) {
        push_all(&mut out, &[b"Route: ", route.value, b"\r\n"]);
    }
    push_all(&mut out, &[b"From: ", invite.header(HeaderName::From).unwrap_or_default(), b"\r\nTo: ", to]);
    push_all(&mut out, &[b"\r\nCall-ID: ", invite.call_id(), b"\r\nCSeq: "]);
    push_number(&mut out, invite.cseq().number as usize);
    push_all(&mut out, &[b" ", method.as_bytes(), b"\r\n"]);
    if let Some(reason) = reason {
        push_all(&mut out, &[b"Reason: ", reason, b"\r\n"]);
    }
    finish(out, &[])
}

/// An answer to a request that could not be parsed, from those of its lines that can be told apart (8.2.6.1). `None` when it is
/// no request, an ACK, or too little of it is there.
pub(crate) fn refusal_of_unparsed(bytes: &[u8], code: u16, source: Flow) -> Option<Vec<u8>> {
    let scan = crate::wire::scan(bytes)?;
    if scan.is_response || scan.first == b"ACK" {
        return None;
    }
    let value_of = |wanted: HeaderName| lines_of(bytes, wanted).next();
    let (from, to, cseq) = (value_of(HeaderName::From)?, value_of(HeaderName::To)?, value_of(HeaderName::CSeq)?);
    let call_id = value_of(HeaderName::CallId)?;
    let top = value_of(HeaderName::Via)?;
    Via::of_any_version(split_list(top).next()?)?;
    let mut out = Vec::with_capacity(512);
    status_line(&mut out, code, None);
    push_vias(&mut out, lines_of(bytes, HeaderName::Via).take(64), source);
    push_all(&mut out, &[b"From: ", from, b"\r\nTo: ", to]);
    if NameAddr::of(to).tag().is_none() {
        out.extend_from_slice(b";tag=malformed");
    }
    push_all(&mut out, &[b"\r\nCall-ID: ", call_id, b"\r\nCSeq: ", cseq, b"\r\n"]);
    Some(finish(out, &[]))
}

/// Values of lines of this name that hold nothing but printable text and folds. They end where the headers do: what a body
/// says is never taken for a header.
fn lines_of(bytes: &[u8], wanted: HeaderName) -> impl Iterator<Item = &[u8]> {
    lines(bytes).skip(1).filter_map(move |line| {
        let colon = memchr::memchr(b':', line)?;
        let value = line[colon + 1..].trim_ascii();
        let printable = value.iter().enumerate().all(|(at, byte)| match byte {
            b'\r' => value.get(at + 1) == Some(&b'\n'),
            b'\n' | b'\t' => true,
            _ => *byte >= b' ' && *byte != 0x7f,
        });
        (HeaderName::of(line[..colon].trim_ascii_end()) == wanted && printable && !value.is_empty()).then_some(value)
    })
}

fn push_vias<'a>(out: &mut Vec<u8>, values: impl Iterator<Item = &'a [u8]>, source: Flow) {
    let mut top = true;
    for value in values {
        out.extend_from_slice(b"Via: ");
        if top {
            let first = split_list(value).next().unwrap_or_default();
            push_top_via(out, first, source);
            let rest = &value[first.as_ptr() as usize - value.as_ptr() as usize + first.len()..];
            out.extend_from_slice(rest);
            top = false;
        } else {
            out.extend_from_slice(value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// RFC 3581 §4: an empty rport is filled, and received said with it; RFC 3261 §18.2.1: received when sent-by is another host.
fn push_top_via(out: &mut Vec<u8>, value: &[u8], source: Flow) {
    let Some(via) = Via::of_any_version(value) else { return out.extend_from_slice(value) };
    let asks = via.has_rport();
    if !asks && via.ip() == Some(source.peer.ip()) {
        return out.extend_from_slice(value);
    }
    let head = memchr::memchr(b';', value).unwrap_or(value.len());
    out.extend_from_slice(value[..head].trim_ascii_end());
    for (name, param) in via.params().iter() {
        if name.eq_ignore_ascii_case(b"received") || name.eq_ignore_ascii_case(b"rport") {
            continue;
        }
        push_all(out, &[b";", name]);
        if let Some(param) = param {
            push_all(out, &[b"=", param]);
        }
    }
    out.extend_from_slice(b";received=");
    push_text(out, source.peer.ip());
    if asks {
        out.extend_from_slice(b";rport=");
        push_number(out, usize::from(source.peer.port()));
    }
}

/// Record-Route is copied into responses that may make a dialog (RFC 3261 §12.1.1).
fn forms_dialog(request: &Message, code: u16) -> bool {
    (101..300).contains(&code)
        && matches!(request.method(), Method::Invite | Method::Subscribe | Method::Refer | Method::Notify)
}

fn status_line(out: &mut Vec<u8>, code: u16, given: Option<&[u8]>) {
    out.extend_from_slice(b"SIP/2.0 ");
    push_number(out, usize::from(code));
    push_all(out, &[b" ", given.unwrap_or_else(|| phrase(code).as_bytes()), b"\r\n"]);
}

fn finish(mut out: Vec<u8>, body: &[u8]) -> Vec<u8> {
    out.extend_from_slice(b"Content-Length: ");
    push_number(&mut out, body.len());
    push_all(&mut out, &[b"\r\n\r\n", body]);
    out
}

fn push_all(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn push_text(out: &mut Vec<u8>, text: impl ToString) {
    out.extend_from_slice(text.to_string().as_bytes());
}

fn push_number(out: &mut Vec<u8>, mut number: usize) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The usual reason phrase of a status code (RFC 3261 §21 and its extensions).
pub fn phrase(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        608 => "Rejected",
        _ => match code / 100 {
            1 => "Progress",
            2 => "OK",
            3 => "Redirect",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn a_line_is_set_in_its_place_and_folds_stay() {
        let mut headers = HeaderLines::new();
        headers.push("From", b"a");
        headers.push_raw(b"Subject: one\r\n two\r\n");
        headers.push("CSeq", b"1 BYE");
        headers.push("X", b"CSeq: 9");
        headers.set("cseq", b"2 BYE");
        headers.set("Y", b"new");
        let text = String::from_utf8_lossy(headers.as_bytes());
        assert_eq!(text, "From: a\r\nSubject: one\r\n two\r\ncseq: 2 BYE\r\nX: CSeq: 9\r\nY: new\r\n");
    }
}
