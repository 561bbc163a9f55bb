//! What a description says of keys: read, taken out of it, and put in for a side whose security ends here.
//!
//! A side is shown its own security and never the other's: what passes between the two is a description in the clear. Refuses to
//! know: what keys are made of, who is offered what.

use super::parse::{Sdp, Stream, lines, media_words};
use crate::Shape;
use alloc::vec::Vec;
use core::ops::Range;
use smallvec::SmallVec;

/// How a trunk's audio is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Srtp {
    /// As both ends agree on it, and not by us.
    #[default]
    Pass,
    /// Not at all.
    Off,
    /// By keys in descriptions (RFC 4568).
    Sdes,
    /// By keys of a handshake (RFC 5763).
    Dtls,
}

/// Attributes that secure a stream, or offer to (RFC 4568, RFC 4567, RFC 8122, RFC 4145, RFC 8842, RFC 6189), and those that offer other
/// protocols and lines in their place (RFC 5939).
const SECURING: [&[u8]; 13] = [
    b"crypto",
    b"key-mgmt",
    b"fingerprint",
    b"setup",
    b"connection",
    b"tls-id",
    b"zrtp-hash",
    b"acap",
    b"tcap",
    b"pcfg",
    b"acfg",
    b"csup",
    b"creq",
];
/// What a page says of its audio to another page: sources, their names, extensions and reports that only such a peer makes sense of (RFC
/// 5576, RFC 8830, RFC 8285, RFC 4585, RFC 5506). Towards anybody else it would be a kilobyte of noise.
const OF_PAGES: [&[u8]; 8] =
    [b"ssrc", b"ssrc-group", b"msid", b"msid-semantic", b"extmap", b"extmap-allow-mixed", b"rtcp-fb", b"rtcp-rsize"];
/// In the clear.
const CLEAR: &[u8] = b"RTP/AVP";

/// What is said of a stream towards one side.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Lock {
    /// Protocol of its media line.
    pub proto: Vec<u8>,
    /// Whole lines at its end.
    pub lines: Vec<u8>,
    /// RTCP is on the port of RTP, or is not (RFC 5761), whatever the other side says.
    pub mux: Option<bool>,
}

impl<'a> Sdp<'a> {
    /// Values of an attribute of a stream; those of the session when the stream has none.
    pub fn values(&self, stream: &Stream<'_>, name: &str) -> SmallVec<[&'a [u8]; 4]> {
        let own = self.values_in(stream.lines.clone(), name);
        if own.is_empty() { self.session_values(name) } else { own }
    }

    /// Values of an attribute of the session.
    pub fn session_values(&self, name: &str) -> SmallVec<[&'a [u8]; 4]> {
        self.values_in(self.session.clone(), name)
    }

    fn values_in(&self, range: Range<usize>, name: &str) -> SmallVec<[&'a [u8]; 4]> {
        lines(self.text, range).filter_map(|(_, line)| value(line, name)).collect()
    }

    /// The same in the clear: protocols without security, and none of the lines that give some. Of the audio of a page what concerns only
    /// pages is left out as well.
    pub fn unlocked(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len());
        let page = self.streams().iter().any(|stream| stream.ice);
        self.unlock(&mut out, self.session.clone(), false, page);
        for stream in self.streams() {
            let page = stream.ice && stream.kind == b"audio";
            match Shape::of(stream.proto) {
                Shape::Opaque => out.extend_from_slice(&self.text[stream.lines.clone()]),
                shape => self.unlock(&mut out, stream.lines.clone(), shape == Shape::Srtp, page),
            }
        }
        out
    }

    fn unlock(&self, out: &mut Vec<u8>, range: Range<usize>, locked: bool, page: bool) {
        for (range, line) in lines(self.text, range) {
            match line {
                [b'm', b'=', rest @ ..] if locked => media_line(out, rest, CLEAR),
                [b'a', b'=', rest @ ..] if is_one_of(rest, &SECURING) || page && is_one_of(rest, &OF_PAGES) => {}
                // Keys as they once were told (RFC 8866 §5.12).
                [b'k', b'=', ..] => {}
                _ => out.extend_from_slice(&self.text[range]),
            }
        }
    }

    /// The same with this security, by position of the stream; none is a stream that stays as it is.
    pub fn locked(&self, wanted: &[Option<Lock>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + 512);
        out.extend_from_slice(&self.text[self.session.clone()]);
        for (index, stream) in self.streams().iter().enumerate() {
            match wanted.get(index).and_then(Option::as_ref) {
                Some(lock) => self.lock(&mut out, stream.lines.clone(), lock),
                None => out.extend_from_slice(&self.text[stream.lines.clone()]),
            }
        }
        out
    }

    fn lock(&self, out: &mut Vec<u8>, range: Range<usize>, lock: &Lock) {
        end_line(out);
        for (range, line) in lines(self.text, range) {
            match line {
                [b'm', b'=', rest @ ..] => media_line(out, rest, &lock.proto),
                b"a=rtcp-mux" if lock.mux.is_some() => {}
                _ => out.extend_from_slice(&self.text[range]),
            }
        }
        end_line(out);
        if lock.mux == Some(true) {
            out.extend_from_slice(b"a=rtcp-mux\r\n");
        }
        out.extend_from_slice(&lock.lines);
    }
}

pub(super) fn end_line(out: &mut Vec<u8>) {
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
}

/// The value of a line that is this attribute.
fn value<'l>(line: &'l [u8], name: &str) -> Option<&'l [u8]> {
    line.strip_prefix(b"a=")?.strip_prefix(name.as_bytes())?.strip_prefix(b":").map(<[u8]>::trim_ascii)
}

fn is_one_of(attribute: &[u8], names: &[&[u8]]) -> bool {
    let name = attribute.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
    names.contains(&name)
}

/// The line with another protocol.
fn media_line(out: &mut Vec<u8>, value: &[u8], proto: &[u8]) {
    let Some((kind, port, rest)) = media_words(value) else { return };
    let formats = rest.iter().position(|byte| *byte == b' ').map_or(&b""[..], |space| &rest[space..]);
    out.extend_from_slice(&[b"m=", kind, b" ", port, b" ", proto, formats, b"\r\n"].concat());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;

    const SECURED: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=fingerprint:sha-256 00\r\na=setup:actpass\r\n\
        m=audio 4000 RTP/SAVPF 8 101\r\nk=clear:x\r\na=rtpmap:8 PCMA/8000\r\na=crypto:1 X inline:y\r\na=crypto:2 Z inline:w\r\na=acap:1 crypto:1 X\r\n\
        a=ptime:20\r\nm=image 5000 udptl t38\r\na=setup:active\r\n";
    const CLEARED: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\nm=image 5000 udptl t38\r\na=setup:active\r\n";

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_secures_is_read_and_taken_out_and_the_rest_stays() {
        let sdp = Sdp::parse(SECURED.as_bytes()).unwrap();
        let audio = &sdp.streams()[0];
        assert_eq!(sdp.values(audio, "crypto").as_slice(), [&b"1 X inline:y"[..], b"2 Z inline:w"]);
        assert_eq!(sdp.values(audio, "setup").as_slice(), [b"actpass"], "the session's");
        assert_eq!(sdp.values(&sdp.streams()[1], "setup").as_slice(), [b"active"]);
        assert_eq!(text(sdp.unlocked()), CLEARED);
        let feedback = CLEARED.replace("RTP/AVP", "RTP/AVPF");
        assert_eq!(text(Sdp::parse(feedback.as_bytes()).unwrap().unlocked()), feedback, "what was clear stays");
    }

    #[test]
    fn what_only_pages_understand_is_left_out_of_their_audio_alone() {
        let lines = "a=ice-ufrag:peer\r\na=msid:x y\r\na=extmap:1 urn:x\r\na=rtcp-fb:8 nack\r\na=ssrc:7 cname:z\r\na=rtcp-rsize\r\n";
        let page = std::format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS x\r\n\
             m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n{lines}a=ptime:20\r\nm=video 4002 UDP/TLS/RTP/SAVPF 96\r\n{lines}"
        );
        let out = text(Sdp::parse(page.as_bytes()).unwrap().unlocked());
        let (audio, video) = out.split_once("m=video").unwrap();
        assert!(audio.ends_with("t=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=ice-ufrag:peer\r\na=ptime:20\r\n"), "{audio}");
        assert!(video.ends_with(lines), "{video}");
        let phone = page.replace("a=ice-ufrag:peer\r\n", "");
        assert!(text(Sdp::parse(phone.as_bytes()).unwrap().unlocked()).contains("a=rtcp-fb:8 nack"), "no page");
    }

    #[test]
    fn a_side_is_shown_its_own_security() {
        let lock = |mux| Lock { proto: b"RTP/SAVP".to_vec(), lines: b"a=crypto:1 A inline:b\r\n".to_vec(), mux };
        let sdp = Sdp::parse(CLEARED.as_bytes()).unwrap();
        let expected =
            CLEARED.replace("RTP/AVP", "RTP/SAVP").replace("ptime:20\r\n", "ptime:20\r\na=crypto:1 A inline:b\r\n");
        assert_eq!(text(sdp.locked(&[Some(lock(None))])), expected);
        let muxed = text(sdp.locked(&[Some(lock(Some(true)))]));
        assert_eq!(muxed, expected.replace("a=crypto", "a=rtcp-mux\r\na=crypto"));
        let unmuxed =
            Sdp::parse(muxed.as_bytes()).unwrap().locked(&[Some(Lock { lines: Vec::new(), ..lock(Some(false)) })]);
        assert_eq!(text(unmuxed), expected);
        let cut = CLEARED.trim_end();
        let out = Sdp::parse(cut.as_bytes()).unwrap().locked(&[None, Some(lock(None))]);
        assert!(text(out).ends_with("a=setup:active\r\na=crypto:1 A inline:b\r\n"));
        assert_eq!(text(sdp.locked(&[])), CLEARED);
    }

    proptest! {
        #[test]
        fn whatever_was_locked_is_clear_again(
            attributes in prop::collection::vec("a=[a-z]{3,8}:[ -~]{0,30}", 0..10), bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut clear = String::from("v=0\r\no=- 1 1 IN IP4 10.9.8.7\r\ns=-\r\nc=IN IP4 10.9.8.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n");
            attributes.iter().for_each(|line| clear += &std::format!("{line}\r\n"));
            let lock = Lock { proto: b"UDP/TLS/RTP/SAVPF".to_vec(), lines: b"a=setup:active\r\na=crypto:1 A inline:b\r\n".to_vec(), mux: None };
            let clear = Sdp::parse(clear.as_bytes()).unwrap().unlocked();
            let locked = Sdp::parse(&clear).unwrap().locked(&[Some(lock)]);
            prop_assert_eq!(Shape::of(Sdp::parse(&locked).unwrap().streams()[0].proto), Shape::Srtp);
            prop_assert_eq!(Sdp::parse(&locked).unwrap().unlocked(), clear);
            let mut text = b"v=0\r\no=x\r\n".to_vec();
            text.extend(bytes);
            if let Ok(sdp) = Sdp::parse(&text) {
                let _ = (sdp.unlocked(), sdp.locked(&[Some(Lock::default())]));
            }
        }
    }
}
