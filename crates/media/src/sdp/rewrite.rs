//! A description as the other side should see it: our address and ports, nothing that leads around us.
//!
//! Refuses to know: which ports, and for whom.

use super::connectivity::{Reach, push_session, push_stream};
use super::direction::Direction;
use super::hide::hides;
use super::parse::{Sdp, connection, lines, media_words};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

/// What one side is shown.
#[derive(Clone, Copy, Debug)]
pub struct Facing<'a> {
    /// Our session's number towards this side; the same for the whole call.
    pub session: u64,
    /// Its version; rises by one with every change (RFC 8866 §5.2).
    pub version: u64,
    /// Our address.
    pub addr: IpAddr,
    /// Our RTP port per stream; none is shown as port 0.
    pub ports: &'a [Option<u16>],
    /// What it is told of ICE and bundles, by position of the stream; nothing where there is none.
    pub reach: &'a [Reach],
}

/// One stream as it is shown: none for the lines of the session.
#[derive(Clone, Copy)]
struct Shown {
    port: u16,
    /// Its address is zeros and ours cannot say that: `a=inactive` says it.
    inactive: bool,
    /// Its writer does ICE.
    ice: bool,
}

impl Sdp<'_> {
    /// The same description with our addresses. The old way to hold, an address of zeros, stays what it is; towards IPv6, which
    /// never knew it, it becomes `a=inactive` (RFC 3264 §8.4).
    pub fn rewrite(&self, facing: &Facing<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + 64);
        self.rewrite_lines(&mut out, self.session.clone(), facing, None);
        if !facing.reach.is_empty() {
            end_line(&mut out);
            push_session(&mut out, facing.reach);
        }
        for (index, stream) in self.streams().iter().enumerate() {
            let port = facing.ports.get(index).copied().flatten().filter(|_| stream.port != 0).unwrap_or(0);
            let zeros = !stream.ice && stream.addr.is_some_and(|addr| addr.is_unspecified());
            let shown = Shown { port, inactive: zeros && facing.addr.is_ipv6(), ice: stream.ice };
            self.rewrite_lines(&mut out, stream.lines.clone(), facing, Some(shown));
            if shown.inactive {
                end_line(&mut out);
                push(&mut out, &["a=", Direction::Inactive.name(), "\r\n"]);
            }
            if let Some(reach) = facing.reach.get(index) {
                end_line(&mut out);
                push_stream(&mut out, reach, (port != 0).then(|| SocketAddr::new(facing.addr, port)));
            }
        }
        out
    }

    fn rewrite_lines(&self, out: &mut Vec<u8>, range: Range<usize>, facing: &Facing<'_>, shown: Option<Shown>) {
        let addr = facing.addr.to_string();
        let family = if facing.addr.is_ipv4() { "IP4" } else { "IP6" };
        let ice = shown.map_or_else(|| self.streams().iter().any(|stream| stream.ice), |shown| shown.ice);
        for (range, line) in lines(self.text, range) {
            match line {
                [b'o', b'=', ..] => {
                    let (session, version) = (facing.session.to_string(), facing.version.to_string());
                    push(out, &["o=- ", &session, " ", &version, " IN ", family, " ", &addr, "\r\n"]);
                }
                [b's', b'=', ..] => push(out, &["s=-\r\n"]),
                [b'c', b'=', rest @ ..] => {
                    let zeros = connection(rest).is_some_and(|addr| addr.is_unspecified());
                    let zeros = zeros && facing.addr.is_ipv4() && !ice;
                    push(out, &["c=IN ", family, " ", if zeros { "0.0.0.0" } else { &addr }, "\r\n"]);
                }
                [b'm', b'=', rest @ ..] => media_line(out, rest, shown.map_or(0, |shown| shown.port)),
                [b'a', b'=', rest @ ..] if hides(rest) => {}
                [b'a', b'=', rest @ ..]
                    if shown.is_some_and(|shown| shown.inactive) && Direction::of(rest).is_some() => {}
                // A blank line is no part of a description (RFC 8866 §9): it is borne, and not passed on.
                [] => {}
                // Who the peer is, and how to reach it otherwise, is not for the far side.
                [b'u' | b'e' | b'p' | b'i', b'=', ..] => {}
                _ => out.extend_from_slice(&self.text[range]),
            }
        }
    }
}

fn end_line(out: &mut Vec<u8>) {
    if !out.is_empty() && !out.ends_with(b"\n") {
        push(out, &["\r\n"]);
    }
}

fn media_line(out: &mut Vec<u8>, value: &[u8], port: u16) {
    let Some((kind, _, rest)) = media_words(value) else { return };
    out.extend_from_slice(b"m=");
    out.extend_from_slice(kind);
    push(out, &[" ", &port.to_string(), " "]);
    out.extend_from_slice(rest);
    out.extend_from_slice(b"\r\n");
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::{format, vec};

    const OFFER: &str = "v=0\r\no=alice 11 22 IN IP4 10.0.0.9\r\ns=secret\r\ni=about\r\nu=http://x\r\ne=a@b\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n\
        a=group:BUNDLE 0 1\r\nm=audio 4000/2 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtcp:4001 IN IP4 10.0.0.9\r\n\
        a=candidate:1 1 UDP 1 10.0.0.9 4000 typ host\r\na=ice-ufrag:x\r\na=fmtp:101 0-15\r\nm=video 5000 RTP/AVP 31\r\nc=IN IP4 10.0.0.8\r\n";

    fn facing(ports: &[Option<u16>]) -> Facing<'_> {
        Facing { session: 7, version: 3, addr: "2001:db8::1".parse().unwrap(), ports, reach: &[] }
    }

    #[test]
    fn addresses_are_ours_and_the_rest_is_theirs() {
        let out = Sdp::parse(OFFER.as_bytes()).unwrap().rewrite(&facing(&[Some(20_000), None]));
        let expected = "v=0\r\no=- 7 3 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 101\r\n\
            a=rtpmap:8 PCMA/8000\r\na=fmtp:101 0-15\r\nm=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn blank_lines_are_not_passed_on_8866_9() {
        let offer = OFFER.replace("t=0 0\r\n", "\r\nt=0 0\r\n\n") + "\r\n \r\nu=http://x\r\n";
        let out = Sdp::parse(offer.as_bytes()).unwrap().rewrite(&facing(&[Some(20_000), None]));
        assert_eq!(out, Sdp::parse(OFFER.as_bytes()).unwrap().rewrite(&facing(&[Some(20_000), None])));
    }

    #[test]
    fn a_stream_refused_by_its_writer_stays_refused() {
        let offer = OFFER.replace("audio 4000/2", "audio 0");
        let out = Sdp::parse(offer.as_bytes()).unwrap().rewrite(&facing(&[Some(20_000), Some(20_002)]));
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("m=audio 0 ") && text.contains("m=video 20002 "), "{text}");
    }

    proptest! {
        #[test]
        fn nothing_of_the_peers_address_is_left_and_other_lines_stay(
            attributes in prop::collection::vec("a=[a-z]{3,8}:[ -~]{0,30}", 0..10),
        ) {
            let kept: vec::Vec<&String> =
                attributes.iter().filter(|line| !hides(&line.as_bytes()[2..])).collect();
            let mut offer = String::from("v=0\r\no=- 1 1 IN IP4 10.9.8.7\r\ns=-\r\nc=IN IP4 10.9.8.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n");
            attributes.iter().for_each(|line| offer += &format!("{line}\r\n"));
            let out = String::from_utf8(Sdp::parse(offer.as_bytes()).unwrap().rewrite(&facing(&[Some(20_000)]))).unwrap();
            prop_assert!(!out.contains("c=IN IP4 10.9.8.7") && !out.contains("o=- 1 1"));
            let tail: vec::Vec<&str> = out.lines().skip_while(|line| !line.starts_with("m=")).skip(1).map(str::trim_end).collect();
            prop_assert_eq!(tail, kept.iter().map(|line| line.trim_end()).collect::<vec::Vec<_>>());
            prop_assert!(Sdp::parse(out.as_bytes()).is_ok());
        }

        /// Reading what was written and writing it again changes nothing; places, kinds, formats and directions stay.
        #[test]
        fn streams_keep_their_places(
            streams in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), 0usize..5), 0..16), v6: bool, session_hold: bool,
        ) {
            let mut offer = String::from("v=0\no=- 1 1 IN IP4 10.9.8.7\ns=-\n");
            offer += if session_hold { "c=IN IP4 0.0.0.0\nt=0 0\n" } else { "c=IN IP4 10.9.8.7\nt=0 0\n" };
            for (index, (audio, refused, own, direction)) in streams.iter().enumerate() {
                let (kind, port) = (if *audio { "audio" } else { "image" }, if *refused { 0 } else { 4_000 + 2 * index });
                offer += &format!("m={kind} {port} RTP/AVP 8 {index}\n");
                offer += if *own { "c=IN IP6 2001:db8::77\n" } else { "" };
                offer += ["", "a=sendrecv\n", "a=sendonly\n", "a=recvonly\n", "a=inactive\n"][*direction];
            }
            let ports: vec::Vec<Option<u16>> = (0..streams.len()).map(|index| (index % 3 != 2).then_some(20_000 + 2 * index as u16)).collect();
            let addr = if v6 { "2001:db8::1" } else { "192.0.2.99" }.parse().unwrap();
            let facing = Facing { session: 7, version: 3, addr, ports: &ports, reach: &[] };
            let theirs = Sdp::parse(offer.as_bytes()).unwrap();
            let out = theirs.rewrite(&facing);
            let ours = Sdp::parse(&out).unwrap();
            prop_assert_eq!(ours.streams().len(), streams.len());
            for (index, (theirs, ours)) in theirs.streams().iter().zip(ours.streams()).enumerate() {
                let port = if theirs.port == 0 { 0 } else { ports[index].unwrap_or(0) };
                prop_assert_eq!((theirs.kind, theirs.formats, port), (ours.kind, ours.formats, ours.port));
                prop_assert_eq!(theirs.direction, ours.direction);
                prop_assert!(ours.addr == Some(addr) || ours.addr.is_some_and(|addr| addr.is_unspecified()));
            }
            prop_assert!(!String::from_utf8_lossy(&out).contains("10.9.8.7"));
            prop_assert_eq!(&ours.rewrite(&facing), &out);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut text = b"v=0\r\no=x\r\n".to_vec();
            text.extend(bytes);
            if let Ok(sdp) = Sdp::parse(&text) {
                sdp.rewrite(&facing(&[Some(4)]));
            }
        }
    }
}
