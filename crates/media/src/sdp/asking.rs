//! A description whose reader is asked for extended reports (RFC 3611 §5.1).
//!
//! Either side may ask, in an offer and in an answer, whatever the other one asks for (RFC 3611 §5.2). Refuses to know: who is asked.

use super::locks::end_line;
use super::parse::Sdp;
use crate::Shape;
use alloc::vec::Vec;

/// What is read of them here: how a call sounds, and what came of it.
const ASKED: &[u8] = b"a=rtcp-xr:voip-metrics stat-summary=loss,dup,jitt\r\n";

impl Sdp<'_> {
    /// The same, and whoever reads it is asked for extended reports of its audio. One that is asked by the other side already is asked
    /// that, and of audio whose reports nobody here can read, unless `secured` by us, nothing.
    pub fn asking(&self, secured: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + 2 * ASKED.len());
        out.extend_from_slice(&self.text[self.session.clone()]);
        for stream in self.streams() {
            end_line(&mut out);
            out.extend_from_slice(&self.text[stream.lines.clone()]);
            let shape = Shape::of(stream.proto);
            let reads = shape == Shape::Rtp || shape == Shape::Srtp && secured;
            if stream.kind == b"audio" && stream.port != 0 && reads && stream.extended.is_empty() {
                end_line(&mut out);
                out.extend_from_slice(ASKED);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    const AUDIO: &str = "m=audio 4000 RTP/AVP 8\r\na=ptime:20\r\n";

    fn asking(streams: &str, secured: bool) -> String {
        let text = String::from(HEAD) + streams;
        let asking = String::from_utf8(Sdp::parse(text.as_bytes()).unwrap().asking(secured)).unwrap();
        String::from(asking.strip_prefix(HEAD).unwrap())
    }

    #[test]
    fn audio_that_we_can_read_is_asked_about_once_3611_5_1() {
        let asked = String::from(AUDIO) + "a=rtcp-xr:voip-metrics stat-summary=loss,dup,jitt\r\n";
        let others = "m=video 5000 RTP/AVP 31\r\nm=audio 0 RTP/AVP 8\r\nm=image 6000 udptl t38\r\n";
        assert_eq!(asking(&(String::from(AUDIO) + others), false), asked.clone() + others);
        assert_eq!(asking(&asked, false), asked, "it is told again");
        assert_eq!(asking(AUDIO.trim_end(), false), asked, "the last line has no end");
        let other = String::from(AUDIO) + "a=rtcp-xr:stat-summary\r\n";
        assert_eq!(asking(&other, false), other, "the other side asks");
        let [locked, asked] = [AUDIO, &asked].map(|text| text.replace("RTP/AVP", "RTP/SAVP"));
        assert_eq!((asking(&locked, false), asking(&locked, true)), (locked.clone(), asked));
        let read = Sdp::parse([HEAD, AUDIO].concat().as_bytes()).unwrap().asking(false);
        let extended = Sdp::parse(&read).unwrap().streams()[0].extended;
        assert!(extended.summary && extended.metrics, "as we read what a peer asks us");
    }
}
