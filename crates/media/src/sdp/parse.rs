//! Reading a session description: its lines, its streams, their addresses (RFC 8866 §5).
//!
//! Refuses to know: what is done with it.

use super::direction::Direction;
use crate::xr::Asked;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;
use smallvec::SmallVec;

/// Streams a description may have; more are a mistake or an attack.
pub(crate) const STREAMS_MAX: usize = 16;
/// The attribute of RFC 3611.
const EXTENDED: &[u8] = b"rtcp-xr:";
/// Longest description.
const BYTES_MAX: usize = 65_535;

/// Why a body is no session description that can be anchored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// It does not begin with `v=0`, or a line has no `x=` form: another body, multipart among them.
    NotSdp,
    /// Longer than 65,535 bytes.
    TooLong,
    /// More than 16 streams.
    TooManyStreams,
    /// A media line without kind, port, protocol or format, or with a port beyond 65,535.
    MediaLine,
    /// No origin line.
    NoOrigin,
    /// An active stream without an address that is an IP literal of one host.
    NoAddress,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream<'a> {
    /// `audio`, `video`, …
    pub kind: &'a [u8],
    /// RTP port; 0 is a refused or removed stream.
    pub port: u16,
    /// `RTP/AVP` and so on.
    pub proto: &'a [u8],
    /// Formats as written.
    pub formats: &'a [u8],
    /// Where its media goes: its own connection line, else the session's.
    pub addr: Option<IpAddr>,
    /// Port of RTCP and its address, when said (RFC 3605).
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// RTCP on the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// Extended reports that are asked for (RFC 3611 §5.1).
    pub extended: Asked,
    /// Its writer does ICE: an address of zeros is one that is still to come, and no hold (RFC 8840 §4.1.1).
    pub ice: bool,
    /// Who may send. The old way to hold, an address of zeros, is read as inactive (RFC 3264 §8.4).
    pub direction: Direction,
    /// Lines of this stream, as positions in the text: its media line first.
    pub(crate) lines: Range<usize>,
}

/// A session description that borrows its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdp<'a> {
    pub(crate) text: &'a [u8],
    streams: SmallVec<[Stream<'a>; 2]>,
    /// Lines before the first stream.
    pub(crate) session: Range<usize>,
}

impl<'a> Sdp<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// See [`SdpError`].
    pub fn parse(text: &'a [u8]) -> Result<Self, SdpError> {
        if text.len() > BYTES_MAX {
            return Err(SdpError::TooLong);
        }
        if lines(text, 0..text.len()).next().is_none_or(|(_, line)| line != b"v=0") {
            return Err(SdpError::NotSdp);
        }
        let mut sdp = Sdp { text, streams: SmallVec::new(), session: 0..text.len() };
        let (mut session_addr, mut session_direction, mut origin) = (None, Direction::SendRecv, false);
        let mut session_asked = Asked::default();
        let mut session_ice = false;
        for (range, line) in lines(text, 0..text.len()) {
            let (kind, value) = match line {
                [kind, b'=', value @ ..] => (*kind, value),
                [] => continue,
                _ => return Err(SdpError::NotSdp),
            };
            match (kind, sdp.streams.last_mut()) {
                (b'm', _) => {
                    if sdp.streams.is_empty() {
                        sdp.session.end = range.start;
                    }
                    if sdp.streams.len() >= STREAMS_MAX {
                        return Err(SdpError::TooManyStreams);
                    }
                    let mut stream = media_line(value).ok_or(SdpError::MediaLine)?;
                    stream.addr = session_addr;
                    stream.direction = session_direction;
                    stream.extended = session_asked;
                    stream.ice = session_ice;
                    stream.lines = range.start..range.end;
                    sdp.streams.push(stream);
                }
                (b'o', None) => origin = true,
                (b'c', None) => session_addr = connection(value),
                (b'c', Some(stream)) => stream.addr = connection(value),
                (b'a', None) if is_ice(value) => session_ice = true,
                (b'a', None) => match value.strip_prefix(EXTENDED) {
                    Some(asked) => session_asked = Asked::of(asked),
                    None => session_direction = Direction::of(value).unwrap_or(session_direction),
                },
                (b'a', Some(stream)) => attribute(stream, value),
                _ => {}
            }
            if let Some(stream) = sdp.streams.last_mut() {
                stream.lines.end = range.end;
            }
        }
        if !origin {
            return Err(SdpError::NoOrigin);
        }
        for stream in &mut sdp.streams {
            match stream.addr {
                Some(addr) if addr.is_unspecified() && stream.ice => {}
                Some(addr) if addr.is_unspecified() => stream.direction = Direction::Inactive,
                // A relay that sends to a group would multiply what it is sent.
                Some(addr) if stream.port != 0 && !is_one_host(addr) => return Err(SdpError::NoAddress),
                None if stream.port != 0 => return Err(SdpError::NoAddress),
                _ => {}
            }
        }
        Ok(sdp)
    }

    /// Its streams in order.
    pub fn streams(&self) -> &[Stream<'a>] {
        &self.streams
    }

    /// Its text.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }
}

/// Lines with their positions (line end included) and text (line end not included).
pub(crate) fn lines(text: &[u8], within: Range<usize>) -> impl Iterator<Item = (Range<usize>, &[u8])> {
    let mut from = within.start;
    core::iter::from_fn(move || {
        if from >= within.end {
            return None;
        }
        let rest = &text[from..within.end];
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |feed| feed + 1);
        let range = from..from + length;
        from += length;
        Some((range.clone(), text[range].trim_ascii_end()))
    })
}

/// Kind, port and the rest of a media line; more than one space between them is borne.
pub(crate) fn media_words(value: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (kind, rest) = word(value)?;
    let (port, rest) = word(rest)?;
    Some((kind, port, rest))
}

/// The first word and what follows the spaces behind it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b' ').filter(|end| *end > 0)?;
    Some((&text[..end], text[end..].trim_ascii_start()))
}

fn media_line(value: &[u8]) -> Option<Stream<'_>> {
    let (kind, port, rest) = media_words(value)?;
    let (proto, formats) = word(rest)?;
    // `port/count` is for layered codecs; the first port is the one that counts.
    let port = port.split(|byte| *byte == b'/').next()?;
    let port = core::str::from_utf8(port).ok()?.parse().ok()?;
    if formats.is_empty() {
        return None;
    }
    let direction = Direction::SendRecv;
    Some(Stream {
        kind,
        port,
        proto,
        formats,
        addr: None,
        rtcp: None,
        rtcp_mux: false,
        extended: Asked::default(),
        ice: false,
        direction,
        lines: 0..0,
    })
}

fn is_one_host(addr: IpAddr) -> bool {
    !addr.is_multicast() && addr != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// `IN IP4 192.0.2.1` or `IN IP6 2001:db8::1`, with or without a TTL.
pub(crate) fn connection(value: &[u8]) -> Option<IpAddr> {
    let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (_, family, addr) = (words.next()?, words.next()?, words.next()?);
    let addr = addr.split(|byte| *byte == b'/').next()?;
    let addr = core::str::from_utf8(addr).ok()?;
    match family {
        b"IP4" => addr.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        b"IP6" => addr.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    }
}

fn is_ice(attribute: &[u8]) -> bool {
    attribute.starts_with(b"ice-ufrag:")
}

fn attribute(stream: &mut Stream<'_>, value: &[u8]) {
    if let Some(direction) = Direction::of(value) {
        stream.direction = direction;
    } else if is_ice(value) {
        stream.ice = true;
    } else if value == b"rtcp-mux" {
        stream.rtcp_mux = true;
    } else if let Some(asked) = value.strip_prefix(EXTENDED) {
        stream.extended = Asked::of(asked);
    } else if let Some(rest) = value.strip_prefix(b"rtcp:") {
        let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let port = core::str::from_utf8(&rest[..end]).ok().and_then(|port| port.parse().ok());
        let addr = rest.get(end + 1..).and_then(connection).filter(|addr| is_one_host(*addr) && !addr.is_unspecified());
        stream.rtcp = port.filter(|port| *port != 0).map(|port| (port, addr));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=sendonly\r\n\
        m=audio 4000 RTP/AVP 8 0\r\na=rtcp:4009 IN IP4 192.0.2.3\r\na=sendrecv\r\n\
        m=video 0 RTP/AVP 31\r\nm=image 5000 udptl t38\r\nc=IN IP6 2001:db8::1\r\n";

    #[test]
    fn extended_reports_are_asked_for_by_the_session_or_by_a_stream_3611_5_1() {
        let summary = OFFER.replace("t=0 0\r\n", "t=0 0\r\na=rtcp-xr:stat-summary=loss\r\n");
        let both = summary.replace("a=sendrecv\r\n", "a=sendrecv\r\na=rtcp-xr:voip-metrics\r\n");
        let (summary_only, metrics_only) =
            (Asked { summary: true, metrics: false }, Asked { summary: false, metrics: true });
        for (text, wanted) in [(OFFER, Asked::default()), (&summary, summary_only), (&both, metrics_only)] {
            assert_eq!(Sdp::parse(text.as_bytes()).unwrap().streams()[0].extended, wanted);
        }
    }

    #[test]
    fn streams_take_what_the_session_says_unless_they_say_otherwise() {
        let sdp = Sdp::parse(OFFER.as_bytes()).unwrap();
        let [audio, video, image] = sdp.streams() else { panic!("three streams") };
        assert_eq!(
            (audio.port, audio.addr, audio.direction),
            (4000, Some("192.0.2.1".parse().unwrap()), Direction::SendRecv)
        );
        assert_eq!(audio.rtcp, Some((4009, Some("192.0.2.3".parse().unwrap()))));
        assert_eq!((video.port, video.direction), (0, Direction::SendOnly));
        assert_eq!((image.kind, image.addr), (&b"image"[..], Some("2001:db8::1".parse().unwrap())));
    }

    #[test]
    fn the_old_way_to_hold_is_inactive_3264_8_4() {
        let held = OFFER.replacen("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0", 1);
        assert_eq!(Sdp::parse(held.as_bytes()).unwrap().streams()[0].direction, Direction::Inactive);
    }

    #[test]
    fn nonsense_is_told_apart() {
        let of = |text: &str| Sdp::parse(text.as_bytes()).map(|_| ()).unwrap_err();
        assert_eq!(of("this is not SDP"), SdpError::NotSdp);
        assert_eq!(of(&OFFER.replace("audio 4000", "audio 99999")), SdpError::MediaLine);
        assert_eq!(of(&OFFER.replace("RTP/AVP 8 0", "RTP/AVP")), SdpError::MediaLine);
        assert_eq!(of(&OFFER.replacen("c=IN IP4 192.0.2.1\r\n", "", 1)), SdpError::NoAddress);
        assert_eq!(of(&OFFER.replacen("c=IN IP4 192.0.2.1", "c=IN IP4 host.example", 1)), SdpError::NoAddress);
        assert_eq!(of(&OFFER.replacen("o=", "u=", 1)), SdpError::NoOrigin);
        assert_eq!(of(&(OFFER.to_owned() + &"m=audio 4000 RTP/AVP 8\r\n".repeat(20))), SdpError::TooManyStreams);
    }

    #[test]
    fn sloppy_spaces_are_borne_and_groups_are_not() {
        let sloppy = OFFER.replace("m=audio 4000 RTP/AVP 8 0", "m=audio  4000   RTP/AVP  8 0 ");
        let sdp = Sdp::parse(sloppy.as_bytes()).unwrap();
        let audio = &sdp.streams()[0];
        assert_eq!((audio.port, audio.proto, audio.formats), (4000, &b"RTP/AVP"[..], &b"8 0"[..]));
        for group in ["224.2.1.1/127", "255.255.255.255"] {
            let offer = OFFER.replacen("c=IN IP4 192.0.2.1", &("c=IN IP4 ".to_owned() + group), 1);
            assert_eq!(Sdp::parse(offer.as_bytes()).map(|_| ()), Err(SdpError::NoAddress), "{group}");
        }
        let rtcp = OFFER.replace("a=rtcp:4009 IN IP4 192.0.2.3", "a=rtcp:0");
        assert_eq!(Sdp::parse(rtcp.as_bytes()).unwrap().streams()[0].rtcp, None);
    }

    #[test]
    fn other_bodies_are_told_apart() {
        let multipart = "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b1--\r\n";
        assert_eq!(Sdp::parse(multipart.as_bytes()).map(|_| ()), Err(SdpError::NotSdp));
        assert_eq!(Sdp::parse(b"").map(|_| ()), Err(SdpError::NotSdp));
        let version = OFFER.replacen("v=0", "v=01", 1);
        assert_eq!(Sdp::parse(version.as_bytes()).map(|_| ()), Err(SdpError::NotSdp));
        let long = OFFER.to_owned() + &"a=x\r\n".repeat(20_000);
        assert_eq!(Sdp::parse(long.as_bytes()).map(|_| ()), Err(SdpError::TooLong));
    }

    use std::borrow::ToOwned;
}
