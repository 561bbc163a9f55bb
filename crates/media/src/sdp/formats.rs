//! The formats of an audio line: which encodings, by which numbers, in packets of which length (RFC 8866 §6.6, RFC 3551 §6).
//!
//! An encoding that nobody here knows is a format all the same: it can pass, be left out or be moved, only not be made. Refuses to
//! know: what is done with them.

use super::parse::{Sdp, Stream, lines};
use crate::speech::{Codec, Digits, Format};
use alloc::vec::Vec;

/// Formats of one line that are told apart; a line of more is left as it is.
const FORMATS_MAX: usize = 64;
/// Packet length while nobody says otherwise (RFC 3551 §4.2).
pub const PACKET_MS: u8 = 20;

/// One format, as the writer of a description says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described<'a> {
    /// Its number in this description.
    pub payload_type: u8,
    /// Encoding name; empty when neither the writer nor RFC 3551 says it.
    pub name: &'a [u8],
    /// Ticks of its clock in a second.
    pub clock: u32,
    /// Channels of sound.
    pub channels: u8,
    /// Its parameters; empty when there are none.
    pub fmtp: &'a [u8],
}

impl Described<'_> {
    /// Digits and other events (RFC 4733 §2).
    pub fn is_event(&self) -> bool {
        self.name.eq_ignore_ascii_case(b"telephone-event")
    }

    /// Comfort noise (RFC 3389).
    pub const fn is_noise(&self) -> bool {
        self.name.eq_ignore_ascii_case(b"CN")
    }

    /// Other formats once more in the same packet (RFC 2198), repairs of them (RFC 5109), or tones by their frequencies (RFC 4733 §4): no
    /// speech by itself.
    pub fn is_beside(&self) -> bool {
        [&b"red"[..], b"ulpfec", b"parityfec", b"tone"].iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }

    /// It carries what people say.
    pub fn is_sound(&self) -> bool {
        !self.is_event() && !self.is_noise() && !self.is_beside()
    }

    /// The encoding, when it is one that could be made here: one channel of a clock that is in use for it.
    pub fn codec(&self) -> Option<Codec> {
        let codec = Codec::of(self.name)?;
        let fits = match codec {
            // RFC 7587 §7: always written with two channels.
            Codec::Opus => self.clock == 48_000,
            Codec::L16 => matches!(self.clock, 8_000 | 16_000) && self.channels == 1,
            _ => self.clock == 8_000 && self.channels == 1,
        };
        fits.then_some(codec)
    }

    /// As the packets' treatment knows it, when the encoding could be made.
    pub fn format(&self, packet_ms: u8) -> Option<Format> {
        Some(Format { codec: self.codec()?, payload_type: self.payload_type, clock: self.clock, packet_ms })
    }

    /// The same encoding, whatever its number. Parameters are not compared: whoever answers has read them (RFC 3264 §6.1).
    pub fn is_same_as(&self, other: &Described<'_>) -> bool {
        !self.name.is_empty()
            && self.name.eq_ignore_ascii_case(other.name)
            && (self.clock, self.channels) == (other.clock, other.channels)
    }
}

/// The formats of one audio line, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formats<'a> {
    /// In the writer's order; each number once.
    pub list: Vec<Described<'a>>,
    /// Milliseconds in each packet that the writer wants (RFC 8866 §6.4).
    pub ptime: Option<u8>,
    /// Milliseconds in each packet that it bears at most.
    pub maxptime: Option<u8>,
}

impl<'a> Formats<'a> {
    /// Of a stream of a description; none when it is no audio by RTP, or its formats are no numbers.
    pub fn of(sdp: &Sdp<'a>, stream: &Stream<'a>) -> Option<Self> {
        if !stream.kind.eq_ignore_ascii_case(b"audio") || !is_rtp(stream.proto) {
            return None;
        }
        let mut formats = Self { list: Vec::new(), ptime: None, maxptime: None };
        for word in stream.formats.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
            let payload_type = number::<u8>(word).filter(|number| *number < 128)?;
            if formats.list.len() >= FORMATS_MAX || formats.by_number(payload_type).is_some() {
                return None;
            }
            let (name, clock, channels) = fixed(payload_type);
            formats.list.push(Described { payload_type, name, clock, channels, fmtp: b"" });
        }
        for (_, line) in lines(sdp.text, stream.lines.clone()) {
            if let Some(value) = line.strip_prefix(b"a=") {
                formats.attribute(value);
            }
        }
        Some(formats)
    }

    fn attribute(&mut self, value: &'a [u8]) {
        if let Some((payload_type, rest)) = of_format(value, b"rtpmap:") {
            let known = self.list.iter_mut().find(|format| format.payload_type == payload_type);
            if let (Some(format), Some((name, clock, channels))) = (known, map(rest)) {
                (format.name, format.clock, format.channels) = (name, clock, channels);
            }
        } else if let Some((payload_type, rest)) = of_format(value, b"fmtp:") {
            if let Some(format) = self.list.iter_mut().find(|format| format.payload_type == payload_type) {
                format.fmtp = rest;
            }
        } else if let Some(rest) = value.strip_prefix(b"ptime:") {
            self.ptime = milliseconds(rest);
        } else if let Some(rest) = value.strip_prefix(b"maxptime:") {
            self.maxptime = milliseconds(rest);
        }
    }

    /// The format with this number.
    pub fn by_number(&self, payload_type: u8) -> Option<&Described<'a>> {
        self.list.iter().find(|format| format.payload_type == payload_type)
    }

    /// The one that this format of an answer or offer means: of the same number if its encoding is the same, else of another.
    pub fn meant_by(&self, other: &Described<'_>) -> Option<&Described<'a>> {
        let same = |format: &&Described<'a>| format.is_same_as(other);
        self.by_number(other.payload_type)
            .filter(|format| same(format) || format.name.is_empty() && other.name.is_empty())
            .or_else(|| self.list.iter().find(same))
    }

    /// Milliseconds in each packet that is sent to the writer.
    pub fn packet_ms(&self) -> u8 {
        let wanted = self.ptime.unwrap_or(PACKET_MS);
        self.maxptime.map_or(wanted, |most| wanted.min(most))
    }

    /// Number of comfort noise, when the writer knows it.
    pub fn noise(&self) -> Option<u8> {
        self.list.iter().find(|format| format.is_noise() && format.clock == 8_000).map(|format| format.payload_type)
    }

    /// Its telephone-events; those of this clock first.
    pub fn events(&self, clock: u32) -> Option<Digits> {
        let events = || self.list.iter().filter(|format| format.is_event());
        let event = events().find(|format| format.clock == clock).or_else(|| events().next())?;
        Some(Digits::Events { payload_type: event.payload_type, clock: event.clock })
    }
}

/// `RTP/AVP`, `RTP/SAVPF`, `UDP/TLS/RTP/SAVPF` and so on.
fn is_rtp(proto: &[u8]) -> bool {
    let profiles = [&b"RTP/AVP"[..], b"RTP/AVPF", b"RTP/SAVP", b"RTP/SAVPF"];
    profiles.iter().any(|profile| {
        let cut = proto.len().saturating_sub(profile.len());
        proto[cut..].eq_ignore_ascii_case(profile) && (cut == 0 || proto[cut - 1] == b'/')
    })
}

/// Number and rest of an attribute that is of one format: `rtpmap:8 PCMA/8000`.
pub(super) fn of_format<'v>(value: &'v [u8], attribute: &[u8]) -> Option<(u8, &'v [u8])> {
    let rest = value.strip_prefix(attribute)?;
    let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    Some((number(&rest[..end])?, rest[end..].trim_ascii()))
}

/// `PCMA/8000` or `opus/48000/2`.
fn map(text: &[u8]) -> Option<(&[u8], u32, u8)> {
    let mut parts = text.split(|byte| *byte == b'/').map(<[u8]>::trim_ascii);
    let (name, clock) = (parts.next().filter(|name| !name.is_empty())?, number::<u32>(parts.next()?)?);
    let channels = parts.next().map_or(Some(1), number::<u8>)?;
    (clock > 0).then_some((name, clock, channels))
}

/// Some write `20.0`.
fn milliseconds(text: &[u8]) -> Option<u8> {
    let whole = text.trim_ascii().split(|byte| *byte == b'.').next()?;
    number::<u8>(whole).filter(|ms| *ms > 0)
}

fn number<T: core::str::FromStr>(text: &[u8]) -> Option<T> {
    core::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// What the audio numbers of RFC 3551 §6 mean without an `rtpmap`.
const fn fixed(payload_type: u8) -> (&'static [u8], u32, u8) {
    match payload_type {
        0 => (b"PCMU", 8_000, 1),
        3 => (b"GSM", 8_000, 1),
        4 => (b"G723", 8_000, 1),
        5 => (b"DVI4", 8_000, 1),
        6 => (b"DVI4", 16_000, 1),
        7 => (b"LPC", 8_000, 1),
        8 => (b"PCMA", 8_000, 1),
        9 => (b"G722", 8_000, 1),
        10 => (b"L16", 44_100, 2),
        11 => (b"L16", 44_100, 1),
        12 => (b"QCELP", 8_000, 1),
        13 => (b"CN", 8_000, 1),
        14 => (b"MPA", 90_000, 1),
        15 => (b"G728", 8_000, 1),
        16 => (b"DVI4", 11_025, 1),
        17 => (b"DVI4", 22_050, 1),
        18 => (b"G729", 8_000, 1),
        _ => (b"", 0, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn text(media: &str) -> String {
        String::from("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n") + media
    }

    /// Numbers, names and clocks.
    fn read(media: &str) -> Option<Vec<(u8, String, u32)>> {
        let text = text(media);
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let formats = Formats::of(&sdp, &sdp.streams()[0])?;
        let said = |format: &Described<'_>| {
            (format.payload_type, String::from_utf8_lossy(format.name).into_owned(), format.clock)
        };
        Some(formats.list.iter().map(said).collect())
    }

    #[test]
    fn numbers_without_a_map_mean_what_3551_6_says() {
        let read = read("m=audio 4000 RTP/AVP 8 0 9 18 13 96 35\r\na=rtpmap:96 AMR-WB/16000\r\n").unwrap();
        let names: Vec<&str> = read.iter().map(|(_, name, _)| name.as_str()).collect();
        assert_eq!(names, ["PCMA", "PCMU", "G722", "G729", "CN", "AMR-WB", ""]);
        assert_eq!(read[2].2, 8_000, "§4.5.2: an error that became the rule");
        assert_eq!(read[5].2, 16_000);
    }

    #[test]
    fn a_map_wins_over_the_table_and_parameters_go_with_it() {
        let text = text(
            "m=audio 4000 RTP/AVP 111 101 8\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n\
             a=rtpmap:101 Telephone-Event/48000\r\na=fmtp:101 0-16\r\na=rtpmap:8 L16/16000\r\na=ptime:30\r\na=maxptime:60\r\n",
        );
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let formats = Formats::of(&sdp, &sdp.streams()[0]).unwrap();
        assert_eq!((formats.ptime, formats.maxptime, formats.packet_ms()), (Some(30), Some(60), 30));
        let codecs: Vec<_> = formats.list.iter().map(Described::codec).collect();
        assert_eq!(codecs, [Some(Codec::Opus), None, Some(Codec::L16)]);
        assert_eq!(formats.list[0].fmtp, b"useinbandfec=1");
        assert_eq!(formats.events(8_000), Some(Digits::Events { payload_type: 101, clock: 48_000 }));
        assert_eq!(formats.noise(), None);
    }

    #[test]
    fn what_is_no_audio_by_rtp_has_no_formats() {
        for other in
            ["m=video 4000 RTP/AVP 31", "m=image 4000 udptl t38", "m=audio 4000 udptl 8", "m=audio 4000 XRTP/AVP 8"]
        {
            assert_eq!(read(&(String::from(other) + "\r\n")), None, "{other}");
        }
        for odd in ["8 8", "8 128", "8 x", "8 +9"] {
            assert_eq!(read(&(String::from("m=audio 4000 RTP/AVP ") + odd + "\r\n")), None, "{odd}");
        }
        assert!(read("m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n").is_some());
    }

    #[test]
    fn a_format_is_found_by_its_number_first() {
        let text = text("m=audio 4000 RTP/AVP 96 97 8\r\na=rtpmap:96 AMR/8000\r\na=rtpmap:97 AMR/8000\r\n");
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let formats = Formats::of(&sdp, &sdp.streams()[0]).unwrap();
        let find = |payload_type, name| {
            let other = Described { payload_type, name, clock: 8_000, channels: 1, fmtp: b"" };
            formats.meant_by(&other).map(|format| format.payload_type)
        };
        assert_eq!([find(97, b"amr"), find(100, b"AMR"), find(8, b"PCMA")], [Some(97), Some(96), Some(8)]);
        assert_eq!([find(97, b"iLBC"), find(8, b"")], [None, None], "a number is no name");
    }
}
