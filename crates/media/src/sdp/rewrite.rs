//! A description as the other side should see it: our address and ports, nothing that leads around us.
//!
//! Refuses to know: which ports, and for whom.

use super::parse::{Sdp, lines};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::IpAddr;
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
}

/// Attributes that name addresses or other ways to reach the peer. `crypto` stays: we relay what it protects.
const HIDDEN: [&[u8]; 11] = [
    b"candidate:",
    b"remote-candidates:",
    b"end-of-candidates",
    b"ice-ufrag:",
    b"ice-pwd:",
    b"ice-options:",
    b"ice-lite",
    b"rtcp:",
    b"group:",
    b"mid:",
    b"alt:",
];

impl Sdp<'_> {
    /// The same description with our addresses. The old way to hold, an address of zeros, keeps its meaning as `a=inactive`
    /// would be a change the far side did not ask for: the zeros are kept.
    pub fn rewrite(&self, facing: &Facing<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + 64);
        self.rewrite_lines(&mut out, self.session.clone(), facing, None);
        for (index, stream) in self.streams().iter().enumerate() {
            let ours = facing.ports.get(index).copied().flatten().filter(|_| stream.port != 0).unwrap_or(0);
            self.rewrite_lines(&mut out, stream.lines.clone(), facing, Some(ours));
        }
        out
    }

    fn rewrite_lines(&self, out: &mut Vec<u8>, range: Range<usize>, facing: &Facing<'_>, port: Option<u16>) {
        let addr = facing.addr.to_string();
        let family = if facing.addr.is_ipv4() { "IP4" } else { "IP6" };
        for (range, line) in lines(self.text, range) {
            match line {
                [b'o', b'=', ..] => {
                    let (session, version) = (facing.session.to_string(), facing.version.to_string());
                    push(out, &["o=- ", &session, " ", &version, " IN ", family, " ", &addr, "\r\n"]);
                }
                [b's', b'=', ..] => push(out, &["s=-\r\n"]),
                [b'c', b'=', rest @ ..] => {
                    let zeros = rest.ends_with(b" 0.0.0.0");
                    push(
                        out,
                        &["c=IN ", family, " ", if zeros && facing.addr.is_ipv4() { "0.0.0.0" } else { &addr }, "\r\n"],
                    );
                }
                [b'm', b'=', rest @ ..] => media_line(out, rest, port.unwrap_or(0)),
                [b'a', b'=', rest @ ..] if HIDDEN.iter().any(|hidden| rest.starts_with(hidden)) => {}
                // Who the peer is, and how to reach it otherwise, is not for the far side.
                [b'u' | b'e' | b'p' | b'i', b'=', ..] => {}
                _ => out.extend_from_slice(&self.text[range]),
            }
        }
    }
}

fn media_line(out: &mut Vec<u8>, value: &[u8], port: u16) {
    let mut words = value.splitn(3, |byte| *byte == b' ');
    let (kind, _, rest) = (words.next().unwrap_or_default(), words.next(), words.next().unwrap_or_default());
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
        Facing { session: 7, version: 3, addr: "2001:db8::1".parse().unwrap(), ports }
    }

    #[test]
    fn addresses_are_ours_and_the_rest_is_theirs() {
        let out = Sdp::parse(OFFER.as_bytes()).unwrap().rewrite(&facing(&[Some(20_000), None]));
        let expected = "v=0\r\no=- 7 3 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 101\r\n\
            a=rtpmap:8 PCMA/8000\r\na=fmtp:101 0-15\r\nm=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
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
                attributes.iter().filter(|line| !HIDDEN.iter().any(|hidden| line.as_bytes()[2..].starts_with(hidden))).collect();
            let mut offer = String::from("v=0\r\no=- 1 1 IN IP4 10.9.8.7\r\ns=-\r\nc=IN IP4 10.9.8.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n");
            attributes.iter().for_each(|line| offer += &format!("{line}\r\n"));
            let out = String::from_utf8(Sdp::parse(offer.as_bytes()).unwrap().rewrite(&facing(&[Some(20_000)]))).unwrap();
            prop_assert!(!out.contains("c=IN IP4 10.9.8.7") && !out.contains("o=- 1 1"));
            let tail: vec::Vec<&str> = out.lines().skip_while(|line| !line.starts_with("m=")).skip(1).map(str::trim_end).collect();
            prop_assert_eq!(tail, kept.iter().map(|line| line.trim_end()).collect::<vec::Vec<_>>());
            prop_assert!(Sdp::parse(out.as_bytes()).is_ok());
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
