//! What an offer and its answer come to: RFC 3264 §6.
//!
//! Streams are matched by their place, since an answer has exactly as many as its offer. Refuses to know: codecs, who is caller.

use super::direction::Direction;
use super::parse::{STREAMS_MAX, Sdp, Stream};
use alloc::vec::Vec;

/// One stream as both sides now hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Neither side refused it by port 0.
    pub live: bool,
    /// As the offerer sees it; inactive when refused.
    pub direction: Direction,
    /// Both want RTCP on the RTP port (RFC 5761 §5.1.1).
    pub mux: bool,
}

/// Why an answer does not fit its offer. The stream is counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Another number of streams.
    Count {
        /// In the offer.
        offered: usize,
        /// In the answer.
        answered: usize,
    },
    /// A stream of another kind.
    Kind(usize),
    /// A stream of another protocol.
    Proto(usize),
    /// A stream that was offered with port 0 is answered with another.
    Revived(usize),
}

/// What offer and answer come to.
///
/// A direction beyond what was offered is cut to it rather than refused: endpoints that answer `sendrecv` to a hold are many, and
/// the offerer's word counts (RFC 3264 §6.1).
///
/// # Errors
/// The answer is of another offer, see [`Mismatch`]; the call should not rest on it.
pub fn agree(offer: &Sdp<'_>, answer: &Sdp<'_>) -> Result<Vec<Agreed>, Mismatch> {
    let (offered, answered) = (offer.streams(), answer.streams());
    if offered.len() != answered.len() {
        return Err(Mismatch::Count { offered: offered.len(), answered: answered.len() });
    }
    let pairs = offered.iter().zip(answered).take(STREAMS_MAX);
    pairs.enumerate().map(|(index, (offered, answered))| agree_stream(index, offered, answered)).collect()
}

fn agree_stream(index: usize, offered: &Stream<'_>, answered: &Stream<'_>) -> Result<Agreed, Mismatch> {
    if offered.kind != answered.kind {
        return Err(Mismatch::Kind(index));
    }
    let live = offered.port != 0 && answered.port != 0;
    // Of a refused stream nothing but its place counts (RFC 3264 §6).
    if live && !offered.proto.eq_ignore_ascii_case(answered.proto) {
        return Err(Mismatch::Proto(index));
    }
    if offered.port == 0 && answered.port != 0 {
        return Err(Mismatch::Revived(index));
    }
    let both = offered.direction.and(answered.direction.reversed());
    let direction = if live { both } else { Direction::Inactive };
    Ok(Agreed { live, direction, mux: live && offered.rtcp_mux && answered.rtcp_mux })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn text(lines: &str) -> String {
        String::from("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n") + lines
    }

    fn of(offer: &str, answer: &str) -> Result<Vec<Agreed>, Mismatch> {
        let (offer, answer) = (text(offer), text(answer));
        agree(&Sdp::parse(offer.as_bytes()).unwrap(), &Sdp::parse(answer.as_bytes()).unwrap())
    }

    const AUDIO: &str = "m=audio 4000 RTP/AVP 8\r\n";
    const VIDEO: &str = "m=video 5000 RTP/AVP 31\r\n";

    #[test]
    fn a_refused_stream_keeps_its_place_3264_6() {
        let refused = VIDEO.replace("5000", "0");
        let agreed = of(&(String::from(AUDIO) + VIDEO), &(String::from(AUDIO) + &refused)).unwrap();
        assert_eq!((agreed[0].live, agreed[1].live), (true, false));
        assert_eq!((agreed[0].direction, agreed[1].direction), (Direction::SendRecv, Direction::Inactive));
    }

    #[test]
    fn an_answer_to_another_offer_is_told_apart() {
        let both = String::from(AUDIO) + VIDEO;
        assert_eq!(of(&both, AUDIO), Err(Mismatch::Count { offered: 2, answered: 1 }));
        assert_eq!(of(&both, &(String::from(VIDEO) + AUDIO)), Err(Mismatch::Kind(0)));
        assert_eq!(of(AUDIO, &AUDIO.replace("AVP", "SAVP")), Err(Mismatch::Proto(0)));
        assert_eq!(of(&AUDIO.replace("4000", "0"), AUDIO), Err(Mismatch::Revived(0)));
    }

    #[test]
    fn hold_and_resume_3264_8_4() {
        let with = |direction: &str| String::from(AUDIO) + "a=" + direction + "\r\n";
        let direction = |offer: &str, answer: &str| of(&with(offer), &with(answer)).unwrap()[0].direction;
        assert_eq!(direction("sendonly", "recvonly"), Direction::SendOnly);
        assert_eq!(direction("sendonly", "sendrecv"), Direction::SendOnly, "no more than was offered");
        assert_eq!(direction("sendonly", "sendonly"), Direction::Inactive, "both hold");
        assert_eq!(direction("inactive", "inactive"), Direction::Inactive);
        assert_eq!(direction("sendrecv", "sendrecv"), Direction::SendRecv, "resumed");
    }

    #[test]
    fn mux_takes_two_5761_5_1_1() {
        let mux = String::from(AUDIO) + "a=rtcp-mux\r\n";
        assert!(of(&mux, &mux).unwrap()[0].mux);
        assert!(!of(&mux, AUDIO).unwrap()[0].mux);
    }
}
