//! Messages out of a stream of bytes: a stream has no datagrams, so Content-Length says where each message ends
//! (RFC 3261 §18.3).
//!
//! However the bytes are cut on their way, the same messages come out. What cannot be framed ends the connection: behind
//! it nobody can tell where the next message begins. Refuses to know: sockets, TLS, what a message means.

use super::header::HeaderName;
use alloc::vec::Vec;
use core::fmt;
use memchr::memmem;

/// The largest message, headers and body: what an index of two bytes can address, and more than any call needs.
const LARGEST: usize = 65_535;
/// The largest head. A peer that never ends its headers holds no more than this.
const LARGEST_HEAD: usize = 16_384;

/// What stood next in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// One whole message.
    Message(Vec<u8>),
    /// A double CRLF between messages: the peer asks for a sign of life (RFC 5626 §3.5.1).
    Ping,
    /// A single CRLF between messages: the answer to a ping of ours. A ping that arrives in two halves is told as a pong
    /// and a ping.
    Pong,
}

/// Why a stream cannot be framed any further. Close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadStream {
    /// The headers do not end within the limit.
    HeadTooLarge,
    /// Head and body together are larger than a message may be.
    TooLarge,
    /// No Content-Length, which every message on a stream must have (RFC 3261 §20.14).
    NoLength,
    /// A Content-Length that is no number, or two that differ.
    BadLength,
    /// What stands where a message should begin is none.
    NotSip,
}

impl BadStream {
    /// A name for counters.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::HeadTooLarge => "head_too_large",
            Self::TooLarge => "message_too_large",
            Self::NoLength => "no_content_length",
            Self::BadLength => "bad_content_length",
            Self::NotSip => "not_sip",
        }
    }
}

impl fmt::Display for BadStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HeadTooLarge => "its headers do not end",
            Self::TooLarge => "its message is larger than 64 KiB",
            Self::NoLength => "its message has no Content-Length",
            Self::BadLength => "its Content-Length is no number",
            Self::NotSip => "it does not speak SIP",
        })
    }
}

/// The bytes of one stream that are not yet messages.
#[derive(Debug, Default)]
pub struct Framer {
    bytes: Vec<u8>,
    /// Up to here no end of the head was found.
    searched: usize,
    /// Length of the message that stands first, once its head is whole.
    length: Option<usize>,
    /// The last thing in the stream was a single CRLF.
    half_ping: bool,
    bad: Option<BadStream>,
}

impl Framer {
    /// Takes what has arrived. Whoever reads no more than it takes out again by `piece` keeps it small: after `piece` has
    /// said `None` there is less than one message in here.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.bad.is_none() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// A message has begun and is not whole.
    pub fn is_within(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// What stands next, once it is whole.
    ///
    /// # Errors
    /// The stream is lost; the same is said from then on.
    pub fn piece(&mut self) -> Result<Option<Piece>, BadStream> {
        if let Some(bad) = self.bad {
            return Err(bad);
        }
        let piece = match self.between() {
            Some(piece) => return Ok(Some(piece)),
            None => self.message(),
        };
        if let Err(bad) = piece {
            self.bad = Some(bad);
            self.bytes = Vec::new();
        }
        piece
    }

    /// CRLFs before a message (RFC 3261 §7.5).
    fn between(&mut self) -> Option<Piece> {
        if self.bytes.starts_with(b"\r\n\r\n") {
            self.take(4);
            self.half_ping = false;
            return Some(Piece::Ping);
        }
        if self.bytes.starts_with(b"\r\n") {
            self.take(2);
            self.half_ping = !self.half_ping;
            return Some(if self.half_ping { Piece::Pong } else { Piece::Ping });
        }
        None
    }

    fn message(&mut self) -> Result<Option<Piece>, BadStream> {
        if self.bytes.is_empty() || self.bytes == b"\r" {
            return Ok(None);
        }
        self.half_ping = false;
        let length = match self.length {
            Some(length) => length,
            None => match self.measure()? {
                Some(length) => *self.length.insert(length),
                None => return Ok(None),
            },
        };
        if self.bytes.len() < length {
            return Ok(None);
        }
        Ok(Some(Piece::Message(self.take(length))))
    }

    /// Length of the message that stands first; none until its head is whole.
    fn measure(&mut self) -> Result<Option<usize>, BadStream> {
        let from = self.searched.saturating_sub(3);
        let Some(end) = memmem::find(&self.bytes[from..], b"\r\n\r\n").map(|at| from + at + 4) else {
            self.searched = self.bytes.len();
            self.looks_like_sip()?;
            return if self.bytes.len() > LARGEST_HEAD { Err(BadStream::HeadTooLarge) } else { Ok(None) };
        };
        self.looks_like_sip()?;
        if end > LARGEST_HEAD {
            return Err(BadStream::HeadTooLarge);
        }
        let length = end.saturating_add(content_length(&self.bytes[..end])?);
        if length > LARGEST { Err(BadStream::TooLarge) } else { Ok(Some(length)) }
    }

    /// Asked as soon as there is a first line: whoever speaks HTTP or noise is not read to the end.
    fn looks_like_sip(&self) -> Result<(), BadStream> {
        let end = memchr::memchr(b'\n', &self.bytes);
        let begun = &self.bytes[..end.unwrap_or(self.bytes.len())];
        if !begun.iter().all(|byte| *byte == b'\r' || (b' '..0x7f).contains(byte) || *byte >= 0x80) {
            return Err(BadStream::NotSip);
        }
        if end.is_none() {
            return Ok(());
        }
        let line = begun.trim_ascii_end();
        let is = |part: Option<&[u8]>| part.is_some_and(|part| part.eq_ignore_ascii_case(b"SIP/2.0"));
        let response = is(line.get(..7)) && line.get(7) == Some(&b' ');
        let request = is(line.len().checked_sub(7).map(|at| &line[at..]));
        if response || request { Ok(()) } else { Err(BadStream::NotSip) }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(length);
        self.searched = 0;
        self.length = None;
        core::mem::replace(&mut self.bytes, rest)
    }
}

/// Content-Length of a head. Two that differ are refused: whoever believes the other one sees other messages than we do.
fn content_length(head: &[u8]) -> Result<usize, BadStream> {
    let mut found = None;
    for line in super::lines(head).skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        if HeaderName::of(line[..colon].trim_ascii_end()) != HeaderName::ContentLength {
            continue;
        }
        let value = line[colon + 1..].trim_ascii();
        let digits = !value.is_empty() && value.len() <= 9 && value.iter().all(u8::is_ascii_digit);
        let add = |sum: usize, digit: &u8| sum.wrapping_mul(10).wrapping_add(usize::from(digit.wrapping_sub(b'0')));
        let length = value.iter().fold(0, add);
        if !digits || found.is_some_and(|before| before != length) {
            return Err(BadStream::BadLength);
        }
        found = Some(length);
    }
    found.ok_or(BadStream::NoLength)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::String;
    use std::vec;

    fn message(body: &str) -> Vec<u8> {
        format!("INFO sip:a@b SIP/2.0\r\nCall-ID: 1\r\nl : {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    /// Pushes in pieces of these sizes, over and over, and takes out all that is whole after each.
    fn cut(bytes: &[u8], sizes: &[usize]) -> Result<Vec<Piece>, BadStream> {
        let (mut framer, mut out, mut at) = (Framer::default(), Vec::new(), 0);
        for size in sizes.iter().cycle() {
            let end = bytes.len().min(at + size);
            framer.push(&bytes[at..end]);
            while let Some(piece) = framer.piece()? {
                out.push(piece);
            }
            if end == bytes.len() {
                break;
            }
            at = end;
        }
        Ok(out)
    }

    fn messages(pieces: Vec<Piece>) -> Vec<Vec<u8>> {
        pieces
            .into_iter()
            .filter_map(|piece| if let Piece::Message(bytes) = piece { Some(bytes) } else { None })
            .collect()
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_messages_are_the_same_18_3(
            bodies in proptest::collection::vec("[a-z\r\n]{0,60}", 0..6),
            blanks in proptest::collection::vec(0usize..4, 6),
            sizes in proptest::collection::vec(1usize..50, 1..12),
        ) {
            let (mut stream, mut sent) = (Vec::new(), Vec::new());
            for (body, blanks) in bodies.iter().zip(&blanks) {
                stream.extend("\r\n".repeat(*blanks).bytes());
                stream.extend(message(body));
                sent.push(message(body));
            }
            let pieces = cut(&stream, &sizes).expect("a good stream");
            let pings = pieces.iter().filter(|piece| **piece == Piece::Ping).count();
            let doubles: usize = bodies.iter().zip(&blanks).map(|(_, blanks)| blanks / 2).sum();
            prop_assert_eq!(pings, doubles, "each double CRLF is one ping");
            prop_assert_eq!(messages(pieces), sent);
        }

        #[test]
        fn noise_is_refused_or_waits_and_never_grows(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let mut framer = Framer::default();
            framer.push(&bytes);
            while let Ok(Some(_)) = framer.piece() {}
            prop_assert!(framer.bytes.len() <= LARGEST);
        }
    }

    #[test]
    fn what_cannot_be_framed_is_named() {
        let head = |line: &str| format!("INFO sip:a@b SIP/2.0\r\n{line}\r\n\r\n").into_bytes();
        for (bytes, bad) in [
            (head("Call-ID: 1"), BadStream::NoLength),
            (head("Content-Length: x"), BadStream::BadLength),
            (head("Content-Length: -1"), BadStream::BadLength),
            (head("Content-Length: 1\r\nl: 2"), BadStream::BadLength),
            (head("Content-Length: 65535"), BadStream::TooLarge),
            (head("Content-Length: 99999999999999999999"), BadStream::BadLength),
            (b"GET / HTTP/1.1\r\n".to_vec(), BadStream::NotSip),
            (vec![0x16, 0x03, 0x01], BadStream::NotSip),
            ([&b"INFO sip:a@b SIP/2.0\r\nX: "[..], &vec![b'a'; LARGEST_HEAD]].concat(), BadStream::HeadTooLarge),
            (vec![b'A'; LARGEST_HEAD + 1], BadStream::HeadTooLarge),
        ] {
            let mut framer = Framer::default();
            framer.push(&bytes);
            assert_eq!(framer.piece(), Err(bad), "{}", String::from_utf8_lossy(&bytes[..40.min(bytes.len())]));
            framer.push(&message(""));
            assert_eq!(framer.piece(), Err(bad), "it stays lost");
            assert!(!framer.is_within() && !bad.reason().is_empty());
        }
        let same = head("Content-Length: 0\r\nl: 0");
        assert_eq!(cut(&same, &[7]), Ok(vec![Piece::Message(same.clone())]));
    }

    #[test]
    fn a_ping_and_a_pong_are_told_apart_rfc_5626_3_5_1() {
        assert_eq!(cut(b"\r\n\r\n", &[4]), Ok(vec![Piece::Ping]));
        assert_eq!(cut(b"\r\n", &[2]), Ok(vec![Piece::Pong]));
        assert_eq!(cut(b"\r\n\r\n", &[1]), Ok(vec![Piece::Pong, Piece::Ping]));
        let response = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(cut(response, &[3]), Ok(vec![Piece::Message(response.to_vec())]));
    }
}
