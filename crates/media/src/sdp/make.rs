//! An audio line with other formats than its writer chose: some left out, moved, numbered otherwise, or added.
//!
//! What is said of a format goes with it; what is said of none stays where it is, byte for byte, and so does every stream that nothing is
//! wanted of. Refuses to know: which formats are wanted, and why.

use super::formats::of_format;
use super::parse::{Sdp, lines, media_words};
use crate::speech::Codec;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::Range;
use smallvec::SmallVec;

/// One format of a line that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// As its writer has it.
    Kept(u8),
    /// The same by another number.
    Renumbered {
        /// In the description.
        from: u8,
        /// As it is written.
        to: u8,
    },
    /// An encoding the description does not have.
    Made {
        /// The encoding.
        codec: Codec,
        /// Its number.
        payload_type: u8,
        /// Its clock.
        clock: u32,
    },
    /// Telephone-events the description does not have.
    Events {
        /// Their number.
        payload_type: u8,
        /// Their clock.
        clock: u32,
    },
}

impl Written {
    /// Its number as it is written.
    pub const fn payload_type(&self) -> u8 {
        match *self {
            Self::Kept(number) => number,
            Self::Renumbered { to, .. } => to,
            Self::Made { payload_type, .. } | Self::Events { payload_type, .. } => payload_type,
        }
    }
}

/// An audio line as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Line {
    /// Its formats, best first.
    pub formats: SmallVec<[Written; 8]>,
    /// Milliseconds in each packet, when they are to be other than its writer's.
    pub ptime: Option<u8>,
}

impl Line {
    /// As what a format of the description is written, when it is.
    fn number_of(&self, payload_type: u8) -> Option<u8> {
        self.formats.iter().find_map(|format| match *format {
            Written::Kept(number) if number == payload_type => Some(number),
            Written::Renumbered { from, to } if from == payload_type => Some(to),
            _ => None,
        })
    }
}

impl Sdp<'_> {
    /// The same description with these lines, by position of the stream; none is a stream that stays as it is.
    pub fn with_lines(&self, wanted: &[Option<Line>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + 256);
        out.extend_from_slice(&self.text[self.session.clone()]);
        for (index, stream) in self.streams().iter().enumerate() {
            match wanted.get(index).and_then(Option::as_ref) {
                Some(line) => self.write_line(&mut out, stream.lines.clone(), line),
                None => out.extend_from_slice(&self.text[stream.lines.clone()]),
            }
        }
        out
    }

    fn write_line(&self, out: &mut Vec<u8>, range: Range<usize>, line: &Line) {
        if !out.is_empty() && !out.ends_with(b"\n") {
            push(out, &["\r\n"]);
        }
        for (range, text) in lines(self.text, range) {
            match text {
                [b'm', b'=', rest @ ..] => media_line(out, rest, line),
                [b'a', b'=', rest @ ..] => match of_a_format(rest) {
                    Some((name, payload_type, rest)) => {
                        if let Some(number) = line.number_of(payload_type) {
                            out.extend_from_slice(b"a=");
                            out.extend_from_slice(name);
                            push(out, &[&number.to_string(), " "]);
                            out.extend_from_slice(rest);
                            push(out, &["\r\n"]);
                        }
                    }
                    None if line.ptime.is_some() && rest.starts_with(b"ptime:") => {}
                    None => out.extend_from_slice(&self.text[range]),
                },
                _ => out.extend_from_slice(&self.text[range]),
            }
        }
        if !out.ends_with(b"\n") {
            push(out, &["\r\n"]);
        }
        line.formats.iter().for_each(|format| made(out, format));
        if let Some(ptime) = line.ptime {
            push(out, &["a=ptime:", &ptime.to_string(), "\r\n"]);
        }
    }
}

/// Name with its colon, number and rest of an attribute that is of one format.
fn of_a_format(value: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    [&b"rtpmap:"[..], b"fmtp:", b"rtcp-fb:"].into_iter().find_map(|name| {
        let (payload_type, rest) = of_format(value, name)?;
        Some((&value[..name.len()], payload_type, rest))
    })
}

/// Kind, port and protocol as they are, and the formats.
fn media_line(out: &mut Vec<u8>, value: &[u8], line: &Line) {
    let Some((kind, port, rest)) = media_words(value) else { return };
    let proto = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
    out.extend_from_slice(&[b"m=", kind, b" ", port, b" ", proto].concat());
    for format in &line.formats {
        push(out, &[" ", &format.payload_type().to_string()]);
    }
    push(out, &["\r\n"]);
}

/// What is said of a format that we add.
fn made(out: &mut Vec<u8>, format: &Written) {
    let number = format.payload_type().to_string();
    match format {
        Written::Kept(_) | Written::Renumbered { .. } => {}
        Written::Made { codec, clock, .. } => {
            let channels = if *codec == Codec::Opus { "/2" } else { "" };
            push(out, &["a=rtpmap:", &number, " ", codec.name(), "/", &clock.to_string(), channels, "\r\n"]);
            match codec {
                // RFC 7587 §6.1: a receiver's wish, and without one none is sent.
                Codec::Opus => push(out, &["a=fmtp:", &number, " useinbandfec=1\r\n"]),
                // RFC 4856 §2.1.9: without it Annex B is meant.
                Codec::G729 => push(out, &["a=fmtp:", &number, " annexb=no\r\n"]),
                _ => {}
            }
        }
        Written::Events { clock, .. } => {
            push(out, &["a=rtpmap:", &number, " telephone-event/", &clock.to_string(), "\r\n"]);
            push(out, &["a=fmtp:", &number, " 0-15\r\n"]);
        }
    }
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 4000/2 RTP/AVP 111 8 96 101\r\nb=AS:64\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\na=rtcp-fb:111 nack\r\n\
        a=rtcp-fb:* nack\r\na=rtpmap:96 AMR/8000\r\na=fmtp:96 octet-align=1\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n\
        a=x-own:1 2\r\nm=video 5000 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n";

    fn with(formats: &[Written], ptime: Option<u8>) -> String {
        let line = Line { formats: formats.iter().copied().collect(), ptime };
        String::from_utf8(Sdp::parse(OFFER.as_bytes()).unwrap().with_lines(&[Some(line)])).unwrap()
    }

    #[test]
    fn what_is_said_of_a_format_goes_with_it_and_the_rest_stays() {
        let out = with(&[Written::Kept(8), Written::Renumbered { from: 101, to: 100 }, Written::Kept(96)], None);
        let expected = OFFER
            .replace("RTP/AVP 111 8 96 101", "RTP/AVP 8 100 96")
            .replace("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\na=rtcp-fb:111 nack\r\n", "")
            .replace("rtpmap:101", "rtpmap:100");
        assert_eq!(out, expected);
    }

    #[test]
    fn what_is_made_is_described() {
        let events = Written::Events { payload_type: 102, clock: 8_000 };
        let make = |codec, payload_type, clock| Written::Made { codec, payload_type, clock };
        let made = [make(Codec::G722, 9, 8_000), make(Codec::Opus, 97, 48_000), make(Codec::G729, 18, 8_000), events];
        let out = with(&[&made[..], &[make(Codec::L16, 98, 16_000), Written::Kept(8)]].concat(), Some(30));
        for line in [
            "m=audio 4000/2 RTP/AVP 9 97 18 102 98 8\r\nb=AS:64\r\n",
            "a=rtpmap:9 G722/8000\r\n",
            "a=rtpmap:97 opus/48000/2\r\na=fmtp:97 useinbandfec=1\r\n",
            "a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n",
            "a=rtpmap:102 telephone-event/8000\r\na=fmtp:102 0-15\r\n",
            "a=rtpmap:98 L16/16000\r\na=ptime:30\r\nm=video 5000",
        ] {
            assert!(out.contains(line), "{line} in {out}");
        }
        assert!(!out.contains("a=ptime:20") && !out.contains("AMR") && out.contains("a=x-own:1 2\r\n"), "{out}");
    }

    #[test]
    fn a_text_that_ends_within_a_line_is_ended_first() {
        let cut = OFFER.trim_end();
        let events = Written::Events { payload_type: 96, clock: 8_000 };
        let line = Line { formats: [Written::Kept(31), events].into_iter().collect(), ptime: None };
        let out = Sdp::parse(cut.as_bytes()).unwrap().with_lines(&[None, Some(line)]);
        assert!(out.ends_with(b"a=rtpmap:31 H261/90000\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n"));
        assert_eq!(Sdp::parse(cut.as_bytes()).unwrap().with_lines(&[]), cut.as_bytes(), "nothing wanted");
    }
}
