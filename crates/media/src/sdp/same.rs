//! Whether two descriptions ask for the same audio: then whoever has been told the one need not be told the other.
//!
//! An offer is for what changes (RFC 3264 §8). Names and numbers of sessions, remarks, and how a format that everybody knows is spelled
//! change nothing; where it is not sure, they differ. Refuses to know: who is told.

use super::formats::{Described, Formats};
use super::parse::{Sdp, Stream, lines};
use alloc::vec::Vec;
use core::ops::Range;

/// Attributes that are read for themselves, or that ask for nothing.
const ASIDE: [&[u8]; 11] = [
    b"sendrecv",
    b"sendonly",
    b"recvonly",
    b"inactive",
    b"rtcp-mux",
    b"rtpmap",
    b"fmtp",
    b"ptime",
    b"tool",
    b"charset",
    b"rtcp",
];

impl<'a> Sdp<'a> {
    /// Both ask for the same: streams at the same places, in the same formats, directions and security.
    pub fn asks_for_the_same(&self, other: &Sdp<'_>) -> bool {
        let mut pairs = self.streams().iter().zip(other.streams());
        self.streams().len() == other.streams().len()
            && self.attributes(self.session.clone()) == other.attributes(other.session.clone())
            && pairs.all(|(stream, its)| {
                same_place(stream, its)
                    && same_formats((self, stream), (other, its))
                    && self.attributes(stream.lines.clone()) == other.attributes(its.lines.clone())
            })
    }

    /// Whatever else is said, in an order of its own.
    fn attributes(&self, range: Range<usize>) -> Vec<&'a [u8]> {
        let asks = |line: &[u8]| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            !ASIDE.contains(&name)
        };
        let values = lines(self.text, range).filter_map(|(_, line)| line.strip_prefix(b"a="));
        let mut values: Vec<&[u8]> = values.map(<[u8]>::trim_ascii_end).filter(|line| asks(line)).collect();
        values.sort_unstable();
        values
    }
}

/// The same kind of stream at the same ports, in the same direction.
fn same_place(stream: &Stream<'_>, its: &Stream<'_>) -> bool {
    let what = (stream.kind, stream.proto) == (its.kind, its.proto);
    let place = (stream.port, stream.addr, stream.rtcp, stream.rtcp_mux);
    what && place == (its.port, its.addr, its.rtcp, its.rtcp_mux) && stream.direction == its.direction
}

/// The same formats by the same numbers, in packets of the same length. What cannot be told apart is the same when it is spelled so.
fn same_formats<'a, 'b>((one, stream): (&Sdp<'a>, &Stream<'a>), (other, its): (&Sdp<'b>, &Stream<'b>)) -> bool {
    let (Some(formats), Some(its_formats)) = (Formats::of(one, stream), Formats::of(other, its)) else {
        return one.text[stream.lines.clone()] == other.text[its.lines.clone()];
    };
    let is_same = |(a, b): (&Described<'_>, &Described<'_>)| {
        // Which events there are is told to whoever sends them: digits are among them always (RFC 4733 §3.2).
        let parameters = a.is_event() || a.fmtp.eq_ignore_ascii_case(b.fmtp);
        a.payload_type == b.payload_type && (a.is_same_as(b) || a.name.is_empty() && b.name.is_empty()) && parameters
    };
    formats.list.len() == its_formats.list.len()
        && formats.packet_ms() == its_formats.packet_ms()
        && formats.list.iter().zip(&its_formats.list).all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: &str = "v=0\r\no=acme 1 7 IN IP4 192.0.2.9\r\ns=acme\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 101\r\n\
        a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";

    fn same(other: &str) -> bool {
        let asks = |one: &str, other: &str| {
            let (one, other) = (Sdp::parse(one.as_bytes()).unwrap(), Sdp::parse(other.as_bytes()).unwrap());
            one.asks_for_the_same(&other)
        };
        assert_eq!(asks(ACME, other), asks(other, ACME));
        asks(ACME, other)
    }

    #[test]
    fn what_is_only_spelled_otherwise_is_the_same() {
        assert!(same(ACME));
        assert!(same(&ACME.replace("acme", "globex").replace(" 1 7 ", " 99 1 ")));
        assert!(
            same(&ACME.replace("a=rtpmap:8 PCMA/8000\r\n", "").replace("a=sendrecv\r\n", "")),
            "RFC 3551 §6, RFC 8866 §6.7"
        );
        assert!(same(&ACME.replace("0-15", "0-16").replace("a=sendrecv", "a=ptime:20\r\na=sendrecv")));
        assert!(same(&ACME.replace("\r\n", "\n")));
    }

    #[test]
    fn what_asks_for_something_else_is_not() {
        for (what, by) in [
            ("8 101", "0 101"),
            ("8 101", "8 0 101"),
            ("8 101", "101 8"),
            ("101", "96"),
            ("4000", "4002"),
            ("4000", "0"),
            ("c=IN IP4 192.0.2.9", "c=IN IP4 192.0.2.10"),
            ("RTP/AVP", "RTP/SAVP"),
            ("a=sendrecv", "a=sendonly"),
            ("a=sendrecv", "a=ptime:30"),
            ("a=sendrecv", "a=rtcp-mux"),
            ("a=sendrecv", "a=rtcp:9000"),
            ("a=sendrecv", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"),
            ("a=sendrecv", "a=sendrecv\r\nm=video 4010 RTP/AVP 96"),
        ] {
            assert!(!same(&ACME.replace(what, by)), "{what} {by}");
        }
        let opus = ACME
            .replace("RTP/AVP 8", "RTP/AVP 111")
            .replace("8 PCMA/8000", "111 opus/48000/2\r\na=fmtp:111 useinbandfec=1");
        let other = opus.replace("useinbandfec=1", "useinbandfec=0");
        let (one, other) = (Sdp::parse(opus.as_bytes()).unwrap(), Sdp::parse(other.as_bytes()).unwrap());
        assert!(!one.asks_for_the_same(&other));
    }
}
