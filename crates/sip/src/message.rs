//! A message with its index: the bytes as they came, and typed views of them.
//!
//! Refuses to know: transactions and dialogs; it answers what it says, not what it means.

use crate::wire::{CSeq, HeaderName, Index, Method, NameAddr, Overload, Start, Via, index, split_list};
use alloc::vec::Vec;
use core::ops::Range;
use model::Span;

pub use crate::wire::Malformed;

/// A parsed message. It owns its bytes and keeps every one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
    index: Index,
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name, when we know it.
    pub name: HeaderName,
    /// Its name as sent.
    pub raw_name: &'a [u8],
    /// Its value, trimmed; folds inside stay.
    pub value: &'a [u8],
    /// The whole line with folds and line end.
    pub line: &'a [u8],
}

impl Message {
    /// Parses a message.
    ///
    /// # Errors
    /// What makes it one that cannot be served; see [`Malformed`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Malformed> {
        let index = index(&bytes)?;
        Ok(Self { bytes, index })
    }

    /// Exactly what came in.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A request rather than a response.
    pub fn is_request(&self) -> bool {
        matches!(self.index.start, Start::Request { .. })
    }

    /// Method of a request; of a response that of its CSeq.
    pub fn method(&self) -> Method {
        match self.index.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => self.index.cseq.method,
        }
    }

    /// Text of a request's method; empty for a response.
    pub fn method_text(&self) -> &[u8] {
        match &self.index.start {
            Start::Request { text, .. } => self.at(text),
            Start::Response { .. } => &[],
        }
    }

    /// Request URI; empty for a response.
    pub fn uri(&self) -> &[u8] {
        match &self.index.start {
            Start::Request { uri, .. } => self.at(uri),
            Start::Response { .. } => &[],
        }
    }

    /// Status code of a response.
    pub fn status(&self) -> Option<u16> {
        match self.index.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// Reason phrase of a response; empty for a request.
    pub fn reason_phrase(&self) -> &[u8] {
        match &self.index.start {
            Start::Request { .. } => &[],
            Start::Response { phrase, .. } => self.at(phrase),
        }
    }

    /// Value of the first line of this name.
    pub fn header(&self, name: HeaderName) -> Option<&[u8]> {
        self.index.value(&self.bytes, name)
    }

    /// Value of the first line of this name, for headers we have no name for; any case.
    pub fn named(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|header| header.raw_name.eq_ignore_ascii_case(name.as_bytes())).map(|header| header.value)
    }

    /// Values of all lines of this name, comma lists split.
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.headers().filter(move |header| header.name == name).flat_map(|header| split_list(header.value))
    }

    /// Values of all lines of this name, comma lists split, for headers we have no name for; any case.
    pub fn named_values<'a>(&'a self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.headers().filter(move |header| header.raw_name.eq_ignore_ascii_case(name.as_bytes()));
        lines.flat_map(|header| split_list(header.value))
    }

    /// All header lines in order.
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.index.lines.iter().map(|line| Header {
            name: line.name,
            raw_name: self.at(&(line.start..line.name_end)),
            value: line.value(&self.bytes),
            line: self.at(&(line.start..line.end)),
        })
    }

    /// Call-ID.
    pub fn call_id(&self) -> &[u8] {
        self.header(HeaderName::CallId).unwrap_or_default()
    }

    /// CSeq.
    pub fn cseq(&self) -> CSeq {
        self.index.cseq
    }

    /// From.
    pub fn from(&self) -> NameAddr<'_> {
        NameAddr::of(self.header(HeaderName::From).unwrap_or_default())
    }

    /// To.
    pub fn to(&self) -> NameAddr<'_> {
        NameAddr::of(self.header(HeaderName::To).unwrap_or_default())
    }

    /// The top Via.
    pub fn via(&self) -> Via<'_> {
        self.values(HeaderName::Via).next().and_then(Via::parse).unwrap_or_default()
    }

    /// The first Contact.
    pub fn contact(&self) -> Option<NameAddr<'_>> {
        self.values(HeaderName::Contact).next().filter(|value| !value.is_empty()).map(NameAddr::of)
    }

    /// Max-Forwards, when given.
    pub fn max_forwards(&self) -> Option<u8> {
        let value = crate::wire::number(self.header(HeaderName::MaxForwards)?)?;
        u8::try_from(value).ok()
    }

    /// The body, as long as Content-Length says.
    pub fn body(&self) -> &[u8] {
        self.at(&self.index.body)
    }

    /// Content-Type as sent.
    pub fn content_type(&self) -> Option<&[u8]> {
        self.header(HeaderName::ContentType)
    }

    /// Its sender understands an extension (RFC 3261 §20.37).
    pub fn supports(&self, option: &[u8]) -> bool {
        self.values(HeaderName::Supported).any(|tag| tag.eq_ignore_ascii_case(option)) || self.requires(option)
    }

    /// Its sender insists on an extension (RFC 3261 §20.32).
    pub fn requires(&self, option: &[u8]) -> bool {
        self.values(HeaderName::Require).any(|tag| tag.eq_ignore_ascii_case(option))
    }

    /// Q.850 cause of a Reason header (RFC 3326 §2).
    pub fn q850(&self) -> Option<u8> {
        self.values(HeaderName::Reason).map(NameAddr::of).find_map(|reason| {
            // `Q.850;cause=34` has the shape of an address without brackets.
            let cause = reason.uri.eq_ignore_ascii_case(b"Q.850").then(|| reason.params.get("cause"))??;
            crate::wire::number(cause).and_then(|cause| u8::try_from(cause).ok()).filter(|cause| *cause <= 127)
        })
    }

    /// Retry-After (RFC 3261 §20.33); at most an hour is believed.
    pub fn retry_after(&self) -> Option<Span> {
        let value = self.header(HeaderName::RetryAfter)?;
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let seconds = crate::wire::number(&value[..digits])?;
        Some(Span::from_secs(u64::from(seconds).min(3_600)))
    }

    /// What the sender of this response asks of us in the Via that we wrote (RFC 7339 §4). To be believed only of whom we told
    /// that we understand it.
    pub fn overload(&self) -> Option<Overload> {
        self.via().overload().filter(|_| !self.is_request())
    }

    fn at(&self, range: &Range<u16>) -> &[u8] {
        &self.bytes[usize::from(range.start)..usize::from(range.end)]
    }
}
