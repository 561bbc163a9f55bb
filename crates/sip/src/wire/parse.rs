//! One pass over a message: where its start line, header lines and body are (RFC 3261 §7).
//!
//! Nothing is copied or changed: unknown headers, order, folding, compact forms, comma lists and bytes that are no
//! UTF-8 stay as they came. Lenient where RFC 4475 calls a message valid, strict where two readers could read two
//! things. Refuses to know: what headers mean, beyond those without which nothing can be matched or answered.

use super::cseq::{self, CSeq};
use super::header::HeaderName;
use super::method::Method;
use super::uri::Uri;
use super::via::Via;
use alloc::vec::Vec;
use core::ops::Range;

/// Largest message: what a UDP datagram holds.
const BYTES_MAX: usize = 65_535;
/// Most header lines; the longest INVITE seen in the wild has some sixty.
const LINES_MAX: usize = 256;
/// Most Via values, on however many lines; Max-Forwards begins at 70, and nobody is that far away.
const VIAS_MAX: usize = 64;

/// Why bytes are no message we can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// More than 65,535 bytes.
    TooLong,
    /// No start line, or one that is neither a request's nor a response's.
    StartLine,
    /// A request's start line with blanks or characters where none belong (RFC 4475 §3.1.2.7 to §3.1.2.10), or a sip URI that
    /// has no host or port that can be read (RFC 5118 §4.2).
    RequestLine,
    /// Another version than SIP/2.0 (RFC 3261 §21.5.6).
    Version,
    /// The headers do not end.
    Truncated,
    /// A header line without a name, or with a CR that ends no line: some would read two headers there.
    HeaderLine,
    /// More header lines or Via lines than anybody needs.
    TooManyHeaders,
    /// A header that may be there once is there twice, and differs.
    Repeated,
    /// No Via, From, To, Call-ID or CSeq, or an empty one (RFC 3261 §8.1.1).
    Missing,
    /// The top Via cannot be read.
    Via,
    /// A Via below the top one cannot be read: answers go by all of them (RFC 4475 §3.1.2.1).
    LowerVia,
    /// From or To begins a quotation that does not end: nobody can say what in it is the address (RFC 4475 §3.1.2.6).
    Address,
    /// CSeq is no number and method, or names another method than the start line (RFC 3261 §8.1.1.5).
    CSeq,
    /// Content-Length is no number, or larger than the datagram (RFC 3261 §18.3).
    ContentLength,
    /// Max-Forwards is no number up to 255.
    MaxForwards,
}

impl Malformed {
    /// A label for counters.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::StartLine => "start_line",
            Self::RequestLine => "request_line",
            Self::Version => "version",
            Self::Truncated => "truncated",
            Self::HeaderLine => "header_line",
            Self::TooManyHeaders => "too_many_headers",
            Self::Repeated => "repeated_header",
            Self::Missing => "missing_header",
            Self::Via => "via",
            Self::LowerVia => "lower_via",
            Self::Address => "address",
            Self::CSeq => "cseq",
            Self::ContentLength => "content_length",
            Self::MaxForwards => "max_forwards",
        }
    }

    /// Status code for a request that suffers from it, when there is enough of it to answer.
    pub const fn code(self) -> Option<u16> {
        match self {
            Self::Version => Some(505),
            Self::TooLong | Self::StartLine | Self::Via => None,
            _ => Some(400),
        }
    }
}

/// The start line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Request { method: Method, text: Range<u16>, uri: Range<u16> },
    Response { status: u16, phrase: Range<u16> },
}

/// One header line, folds included. All positions are within the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: HeaderName,
    pub(crate) start: u16,
    pub(crate) name_end: u16,
    pub(crate) value: u16,
    pub(crate) value_end: u16,
    pub(crate) end: u16,
}

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) start: Start,
    pub(crate) lines: Vec<Line>,
    pub(crate) body: Range<u16>,
    pub(crate) cseq: CSeq,
}

/// Indexes a message.
pub(crate) fn index(bytes: &[u8]) -> Result<Index, Malformed> {
    if bytes.len() > BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    // Blank lines before the start line are ignored (7.5).
    let from = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).ok_or(Malformed::StartLine)?;
    let (line_end, next) = line(bytes, from).ok_or(Malformed::StartLine)?;
    let start = start_line(bytes, from, line_end)?;
    let (lines, body) = header_lines(bytes, next)?;
    let mut index =
        Index { start, lines, body: at(body)..at(bytes.len()), cseq: CSeq { number: 0, method: Method::Other } };
    index.check(bytes)?;
    Ok(index)
}

/// Positions fit: the message is not longer than `BYTES_MAX`.
const fn at(position: usize) -> u16 {
    position as u16
}

/// End of the text of the line at `from`, and start of the next line.
fn line(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let feed = from + memchr::memchr(b'\n', bytes.get(from..)?)?;
    let end = if feed > from && bytes[feed - 1] == b'\r' { feed - 1 } else { feed };
    Some((end, feed + 1))
}

fn start_line(bytes: &[u8], from: usize, end: usize) -> Result<Start, Malformed> {
    let text = &bytes[from..end];
    if text.contains(&0) {
        return Err(Malformed::StartLine);
    }
    let first = memchr::memchr(b' ', text).ok_or(Malformed::StartLine)?;
    if text.len() > 4 && text[..4].eq_ignore_ascii_case(b"SIP/") {
        return status_line(bytes, from, end, first);
    }
    let method = &text[..first];
    if method.is_empty() || !method.iter().all(is_token) {
        return Err(Malformed::StartLine);
    }
    let last = memchr::memrchr(b' ', text).unwrap_or(first);
    let (uri, version) = (text.get(first + 1..last).unwrap_or_default(), &text[last + 1..]);
    if !has_uri_bytes(uri) {
        // Whoever wrote SIP/2.0 at the end waits for an answer, and repeats itself without one.
        let tail = text.trim_ascii_end().last_chunk::<8>();
        let is_sip = tail.is_some_and(|tail| tail.eq_ignore_ascii_case(b" SIP/2.0"));
        return Err(if is_sip { Malformed::RequestLine } else { Malformed::StartLine });
    }
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        let is_sip = version.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"SIP/"));
        return Err(if is_sip { Malformed::Version } else { Malformed::StartLine });
    }
    // Without brackets the colons of an IPv6 address and the one before a port cannot be told apart (RFC 5118 §4.2, §4.3).
    if !is_request_uri(uri) {
        return Err(Malformed::RequestLine);
    }
    Ok(Start::Request {
        method: Method::of(method),
        text: at(from)..at(from + first),
        uri: at(from + first + 1)..at(from + last),
    })
}

fn has_uri_bytes(uri: &[u8]) -> bool {
    !uri.is_empty() && uri.iter().all(is_uri)
}

/// May stand in a request line.
pub(crate) fn is_request_uri(uri: &[u8]) -> bool {
    has_uri_bytes(uri) && (!is_sip_scheme(uri) || Uri::parse(uri).is_ok())
}

fn is_sip_scheme(uri: &[u8]) -> bool {
    let scheme = uri.split(|&byte| byte == b':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips")
}

fn status_line(bytes: &[u8], from: usize, end: usize, first: usize) -> Result<Start, Malformed> {
    let text = &bytes[from..end];
    if !text[..first].eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(Malformed::Version);
    }
    let code = text.get(first + 1..first + 4).ok_or(Malformed::StartLine)?;
    let status = core::str::from_utf8(code).ok().and_then(|code| code.parse().ok()).ok_or(Malformed::StartLine)?;
    // The blank before an empty phrase is often forgotten.
    let separated = matches!(text.get(first + 4), None | Some(b' '));
    if !(100..700).contains(&status) || !code.iter().all(u8::is_ascii_digit) || !separated {
        return Err(Malformed::StartLine);
    }
    Ok(Start::Response { status, phrase: at((from + first + 5).min(end))..at(end) })
}

fn header_lines(bytes: &[u8], mut from: usize) -> Result<(Vec<Line>, usize), Malformed> {
    let mut lines: Vec<Line> = Vec::with_capacity(24);
    loop {
        let (end, next) = line(bytes, from).ok_or(Malformed::Truncated)?;
        if end == from {
            return Ok((lines, next));
        }
        if matches!(bytes[from], b' ' | b'\t') {
            // A fold continues the line before it (7.3.1).
            let last = lines.last_mut().ok_or(Malformed::HeaderLine)?;
            let text = &bytes[from..end];
            if memchr::memchr(b'\r', text).is_some() {
                return Err(Malformed::HeaderLine);
            }
            let lead = text.len() - text.trim_ascii_start().len();
            if lead < text.len() {
                if last.value == last.value_end {
                    // Nothing stood on the line of the name: the value begins here.
                    last.value = at(from + lead);
                }
                last.value_end = at(from + trimmed_len(text));
            }
            last.end = at(next);
        } else {
            if lines.len() >= LINES_MAX {
                return Err(Malformed::TooManyHeaders);
            }
            lines.push(header_line(bytes, from, end, next)?);
        }
        from = next;
    }
}

fn trimmed_len(text: &[u8]) -> usize {
    text.trim_ascii_end().len()
}

fn header_line(bytes: &[u8], from: usize, end: usize, next: usize) -> Result<Line, Malformed> {
    let text = &bytes[from..end];
    let colon = memchr::memchr(b':', text).ok_or(Malformed::HeaderLine)?;
    let name = text[..colon].trim_ascii_end();
    let bare_cr = memchr::memchr(b'\r', text).is_some();
    if name.is_empty() || bare_cr || !name.iter().all(is_token) {
        return Err(Malformed::HeaderLine);
    }
    let value = &text[colon + 1..];
    let lead = value.len() - value.trim_ascii_start().len();
    let start = from + colon + 1 + lead;
    Ok(Line {
        name: HeaderName::of(name),
        start: at(from),
        name_end: at(from + name.len()),
        value: at(start),
        value_end: at(start.max(from + trimmed_len(text))),
        end: at(next),
    })
}

/// RFC 3261 §25.1, `token`.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte)
}

/// May be in a URI: neither blank nor control, and nothing that encloses one. Bytes that are no ASCII are let through.
fn is_uri(byte: &u8) -> bool {
    *byte > b' ' && *byte != 0x7f && !matches!(byte, b'<' | b'>' | b'"')
}

impl Index {
    /// The value of the first line of this name.
    pub(crate) fn value<'a>(&self, bytes: &'a [u8], name: HeaderName) -> Option<&'a [u8]> {
        self.lines.iter().find(|line| line.name == name).map(|line| line.value(bytes))
    }

    /// What must hold before anybody can match or answer the message.
    fn check(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.check_repeated(bytes)?;
        for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            if self.value(bytes, name).is_none_or(<[u8]>::is_empty) {
                return Err(Malformed::Missing);
            }
        }
        // Commas bound the members of a line from above, and nobody needs that many of either.
        let vias = self.lines.iter().filter(|line| line.name == HeaderName::Via);
        if vias.map(|line| 1 + memchr::memchr_iter(b',', line.value(bytes)).count()).sum::<usize>() > VIAS_MAX {
            return Err(Malformed::TooManyHeaders);
        }
        self.check_vias(bytes)?;
        for name in [HeaderName::From, HeaderName::To] {
            if super::split::is_unclosed(self.value(bytes, name).unwrap_or_default()) {
                return Err(Malformed::Address);
            }
        }
        self.check_cseq(bytes)?;
        self.check_body(bytes)?;
        let hops = self.value(bytes, HeaderName::MaxForwards).map(|value| number(value).filter(|hops| *hops <= 255));
        if hops == Some(None) {
            return Err(Malformed::MaxForwards);
        }
        Ok(())
    }

    fn check_vias(&self, bytes: &[u8]) -> Result<(), Malformed> {
        let lines = self.lines.iter().filter(|line| line.name == HeaderName::Via);
        let mut vias = lines.flat_map(|line| super::split_list(line.value(bytes))).map(Via::parse);
        if vias.next().flatten().is_none() {
            return Err(Malformed::Via);
        }
        if vias.all(|via| via.is_some()) { Ok(()) } else { Err(Malformed::LowerVia) }
    }

    fn check_repeated(&self, bytes: &[u8]) -> Result<(), Malformed> {
        let singles = self.lines.iter().filter(|line| line.name.is_single());
        let mut first: [Option<(HeaderName, &[u8])>; 8] = [None; 8];
        for line in singles {
            let value = line.value(bytes);
            for seen in &mut first {
                match seen {
                    Some((name, before)) if *name == line.name && *before != value => return Err(Malformed::Repeated),
                    Some((name, _)) if *name == line.name => break,
                    Some(_) => {}
                    None => {
                        *seen = Some((line.name, value));
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn check_cseq(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let value = self.value(bytes, HeaderName::CSeq).unwrap_or_default();
        let (number, text) = cseq::parse(value).ok_or(Malformed::CSeq)?;
        if let Start::Request { text: method, .. } = &self.start
            && text != &bytes[usize::from(method.start)..usize::from(method.end)]
        {
            return Err(Malformed::CSeq);
        }
        self.cseq = CSeq { number, method: Method::of(text) };
        Ok(())
    }

    /// On datagrams the body may be longer than said, and is cut; it may not be shorter (18.3).
    fn check_body(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let Some(value) = self.value(bytes, HeaderName::ContentLength) else { return Ok(()) };
        let length = number(value).ok_or(Malformed::ContentLength)?;
        let available = u32::from(self.body.end - self.body.start);
        if length > available {
            return Err(Malformed::ContentLength);
        }
        self.body.end = self.body.start + length as u16;
        Ok(())
    }
}

impl Line {
    /// The value, trimmed; folds inside stay.
    pub(crate) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[usize::from(self.value)..usize::from(self.value_end)]
    }
}

/// A decimal number without sign.
pub(crate) fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(text).ok()?.parse().ok()
}
