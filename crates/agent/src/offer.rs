//! The SDP an agent speaks: one audio stream, PCMA and PCMU or one of them, twenty milliseconds a packet.
//!
//! Refuses to know: what the other side said; the call decides what to answer.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use media::player::Law;
use media::sdp::{Direction, Stream};

/// Number of telephone-events in what we describe.
pub(crate) const EVENTS: u8 = 101;

/// The laws that an agent speaks, best first: this one alone, or both.
pub(crate) fn laws(only: Option<Law>) -> impl Iterator<Item = Law> {
    [Law::A, Law::Mu].into_iter().filter(move |law| only.is_none_or(|only| only == *law))
}

/// The best of them that a stream lists.
pub(crate) fn common(only: Option<Law>, stream: &Stream<'_>) -> Option<Law> {
    let lists = |law: Law| {
        let mut formats = stream.formats.split(|byte| *byte == b' ').filter_map(|format| str::from_utf8(format).ok());
        formats.any(|format| format.parse() == Ok(law.payload_type()))
    };
    laws(only).find(|law| lists(*law))
}

/// A session description of ours.
pub(crate) fn describe(
    session: u64,
    version: u64,
    rtp: SocketAddr,
    direction: Direction,
    only: Option<Law>,
) -> Vec<u8> {
    let family = if rtp.is_ipv4() { "IP4" } else { "IP6" };
    let ip = rtp.ip();
    let port = rtp.port();
    let direction = match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    };
    let (mut formats, mut maps) = (String::new(), String::new());
    for law in laws(only) {
        let (number, name) = (law.payload_type(), if law == Law::A { "PCMA" } else { "PCMU" });
        formats += &format!("{number} ");
        maps += &format!("a=rtpmap:{number} {name}/8000\r\n");
    }
    format!(
        "v=0\r\no=- {session} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {formats}{EVENTS}\r\n{maps}\
         a=rtpmap:{EVENTS} telephone-event/8000\r\na=fmtp:{EVENTS} 0-15\r\na=ptime:20\r\na={direction}\r\n"
    )
    .into_bytes()
}

/// The audio of a call is to give way to a fax (RFC 3362, ITU-T T.38 Annex D): its line is closed, and one for the fax comes after it.
pub(crate) fn describe_fax(session: u64, version: u64, rtp: SocketAddr) -> Vec<u8> {
    let family = if rtp.is_ipv4() { "IP4" } else { "IP6" };
    let (ip, port) = (rtp.ip(), rtp.port());
    format!(
        "v=0\r\no=- {session} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio 0 RTP/AVP 8\r\nm=image {port} udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxRateManagement:transferredTCF\r\n"
    )
    .into_bytes()
}

/// What we answer to a direction that was offered (RFC 3264 §6.1).
pub(crate) const fn mirror(offered: Direction) -> Direction {
    match offered {
        Direction::SendRecv => Direction::SendRecv,
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        Direction::Inactive => Direction::Inactive,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use media::sdp::Sdp;

    fn described(only: Option<Law>) -> Vec<u8> {
        describe(1, 1, SocketAddr::from(([192, 0, 2, 1], 40_000)), Direction::SendRecv, only)
    }

    #[test]
    fn an_agent_of_one_law_describes_it_alone_and_finds_it_in_what_others_describe() {
        let text = described(Some(Law::Mu));
        let text = core::str::from_utf8(&text).unwrap();
        assert!(text.contains("m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 "), "{text}");
        for (theirs, ours, law) in [
            (None, None, Some(Law::A)),
            (None, Some(Law::Mu), Some(Law::Mu)),
            (Some(Law::Mu), None, Some(Law::Mu)),
            (Some(Law::Mu), Some(Law::A), None),
        ] {
            let text = described(theirs);
            let sdp = Sdp::parse(&text).unwrap();
            assert_eq!(common(ours, &sdp.streams()[0]), law, "{theirs:?} {ours:?}");
        }
    }
}
