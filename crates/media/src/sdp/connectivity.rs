//! What a description says of ICE and of bundles, and what ours says of them to a side that does ICE (RFC 8839, RFC 9143).
//!
//! We tell one candidate, the address that the side is shown anyway: who makes no checks of its own has no more. Of a bundle we answer the
//! first stream alone, since each of ours has its own port; the others stay where they are (RFC 9143 §7.3.3). Refuses to know: checks.

use super::parse::{Sdp, Stream};
use crate::srtp::Secrets;
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64Unpadded, Encoding as _};
use core::fmt;
use core::net::SocketAddr;
use zeroize::Zeroizing;

/// Lines of the session: one end makes no checks (RFC 8839 §5.3), and keeps to RFC 8445 (§10 there).
const SESSION_LINES: &[u8] = b"a=ice-lite\r\na=ice-options:ice2\r\n";
/// Type-preference of a host candidate, the one address, the first component (RFC 8445 §5.1.2.1).
const PRIORITY: u32 = 126 << 24 | 65_535 << 8 | 255;
/// Lengths of name and password (RFC 8839 §5.4).
const UFRAG: core::ops::RangeInclusive<usize> = 4..=256;
const PASSWORD: core::ops::RangeInclusive<usize> = 22..=256;

/// Name and password of one end of ICE, for one stream.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) ufrag: String,
    pub(crate) password: Zeroizing<String>,
}

impl Credentials {
    /// New ones. Others than before are a restart (RFC 8839 §4.4.1.1.1).
    pub fn new(secrets: &mut Secrets) -> Self {
        let (mut name, mut password) = ([0; 6], Zeroizing::new([0; 18]));
        secrets.fill(&mut name);
        secrets.fill(&mut *password);
        Self {
            ufrag: Base64Unpadded::encode_string(&name),
            password: Zeroizing::new(Base64Unpadded::encode_string(&*password)),
        }
    }

    /// The name.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The lines of a stream that is received at `addr`: name, password, the one candidate.
    pub fn lines(&self, addr: SocketAddr) -> String {
        let Self { ufrag, password } = self;
        let (ip, port) = (addr.ip(), addr.port());
        alloc::format!(
            "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{}\r\na=candidate:1 1 UDP {PRIORITY} {ip} {port} typ host\r\na=end-of-candidates\r\n",
            password.as_str()
        )
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// How a stream is shown to a side: beyond address and port, which all are shown.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reach {
    /// Our end of ICE.
    pub ice: Option<Credentials>,
    /// Its name in the description (RFC 5888 §4).
    pub mid: Option<Vec<u8>>,
    /// It is the one of a bundle.
    pub bundled: bool,
}

impl<'a> Sdp<'a> {
    /// What the writer says of its end of ICE for a stream; none when it does none.
    pub fn credentials(&self, stream: &Stream<'_>) -> Option<Credentials> {
        let of = |name, lengths: core::ops::RangeInclusive<usize>| {
            let value = core::str::from_utf8(self.values(stream, name).first()?).ok()?;
            lengths.contains(&value.len()).then(|| String::from(value))
        };
        Some(Credentials { ufrag: of("ice-ufrag", UFRAG)?, password: Zeroizing::new(of("ice-pwd", PASSWORD)?) })
    }

    /// How the writer names a stream.
    pub fn mid(&self, stream: &Stream<'_>) -> Option<&'a [u8]> {
        self.values(stream, "mid").first().copied()
    }

    /// The stream is the first live one of a bundle that the writer wants, or has agreed to.
    pub fn is_first_of_bundle(&self, stream: &Stream<'_>) -> bool {
        let Some(mid) = self.mid(stream) else { return false };
        self.session_values("group").into_iter().filter_map(|group| group.strip_prefix(b"BUNDLE ")).any(|group| {
            let mut mids = group.split(|byte| *byte == b' ').filter(|mid| !mid.is_empty());
            let live = |mid: &[u8]| self.streams().iter().any(|one| one.port != 0 && self.mid(one) == Some(mid));
            mids.find(|mid| live(mid)) == Some(mid)
        })
    }
}

/// What the lines of a session say of all its streams.
pub(crate) fn push_session(out: &mut Vec<u8>, reach: &[Reach]) {
    if reach.iter().any(|reach| reach.ice.is_some()) {
        out.extend_from_slice(SESSION_LINES);
    }
    let bundled = reach.iter().find(|reach| reach.bundled).and_then(|reach| reach.mid.as_ref());
    if let Some(mid) = bundled {
        out.extend_from_slice(&[b"a=group:BUNDLE ", &mid[..], b"\r\n"].concat());
    }
}

/// What the lines of one stream say, which is received there; none is one that is closed.
pub(crate) fn push_stream(out: &mut Vec<u8>, reach: &Reach, addr: Option<SocketAddr>) {
    if let Some(mid) = &reach.mid {
        out.extend_from_slice(&[b"a=mid:", &mid[..], b"\r\n"].concat());
    }
    if let (Some(ice), Some(addr)) = (&reach.ice, addr) {
        out.extend_from_slice(ice.lines(addr).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Facing;
    use proptest::prelude::*;
    use std::string::ToString as _;

    const PAGE: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=group:BUNDLE x 0 1\r\na=ice-options:trickle\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 8\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:peer\r\na=ice-pwd:0123456789012345678901\r\na=mid:0\r\na=sendrecv\r\n\
        a=candidate:1 1 udp 2113937151 8c2f.local 50000 typ host\r\na=rtcp-mux\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:peer\r\na=ice-pwd:short\r\na=mid:1\r\n";

    fn ours() -> Credentials {
        Credentials::new(&mut Secrets::new([4; 32]))
    }

    #[test]
    fn what_a_page_says_of_its_end_is_read_8839_5_4() {
        let sdp = Sdp::parse(PAGE.as_bytes()).unwrap();
        let [audio, video] = sdp.streams() else { panic!("two streams") };
        let found = sdp.credentials(audio).unwrap();
        assert_eq!((found.ufrag(), found.password.as_str()), ("peer", "0123456789012345678901"));
        assert_eq!(sdp.credentials(video), None, "RFC 8839 §5.4: a password has 22 characters");
        assert_eq!((sdp.mid(audio), sdp.mid(video)), (Some(&b"0"[..]), Some(&b"1"[..])));
        assert_eq!((sdp.is_first_of_bundle(audio), sdp.is_first_of_bundle(video)), (true, false));
        assert!(audio.ice && audio.direction.sends(), "no address yet is no hold (RFC 8840 §4.1.1)");
    }

    #[test]
    fn a_bundle_begins_with_its_first_live_stream_9143_7_3() {
        let text = PAGE.replace("m=audio 9", "m=audio 0");
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let [audio, video] = sdp.streams() else { panic!("two streams") };
        assert_eq!((sdp.is_first_of_bundle(audio), sdp.is_first_of_bundle(video)), (false, true));
        let text = PAGE.replace("a=group:BUNDLE x 0 1", "a=group:LS 0 1");
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        assert!(!sdp.is_first_of_bundle(&sdp.streams()[0]));
    }

    #[test]
    fn a_side_that_does_ice_is_shown_one_candidate_and_nothing_of_the_others_8839_5() {
        let sdp = Sdp::parse(PAGE.as_bytes()).unwrap();
        let reach = [
            Reach { ice: Some(ours()), mid: Some(b"0".to_vec()), bundled: true },
            Reach { ice: Some(ours()), mid: Some(b"1".to_vec()), bundled: false },
        ];
        let addr = "203.0.113.5".parse().unwrap();
        let facing = Facing { session: 7, version: 3, addr, ports: &[Some(30_000), None], reach: &reach };
        let text = String::from_utf8(sdp.rewrite(&facing)).unwrap();
        let (session, streams) = text.split_once("m=audio").unwrap();
        assert!(session.ends_with("a=ice-lite\r\na=ice-options:ice2\r\na=group:BUNDLE 0\r\n"), "{session}");
        assert!(session.contains("c=IN IP4 203.0.113.5\r\n"), "{session}");
        let (audio, video) = streams.split_once("m=video").unwrap();
        let (ours, lines) = (ours(), audio.lines().collect::<Vec<_>>());
        assert!(lines.contains(&"a=candidate:1 1 UDP 2130706431 203.0.113.5 30000 typ host"), "{audio}");
        for line in [
            "a=mid:0",
            "a=sendrecv",
            "a=end-of-candidates",
            &std::format!("a=ice-ufrag:{}", ours.ufrag),
            &std::format!("a=ice-pwd:{}", ours.password.as_str()),
        ] {
            assert_eq!(lines.iter().filter(|found| **found == line).count(), 1, "{line}: {audio}");
        }
        assert!(!text.contains("local") && !text.contains("peer") && !audio.contains("inactive"), "{text}");
        assert!(video.starts_with(" 0 ") && video.contains("a=mid:1") && !video.contains("candidate"), "{video}");
        let shown = Sdp::parse(text.as_bytes()).unwrap();
        assert_eq!(shown.credentials(&shown.streams()[0]), Some(ours), "what we have told is read again");
        assert!(shown.is_first_of_bundle(&shown.streams()[0]));
    }

    #[test]
    fn names_are_long_enough_and_passwords_are_not_printed() {
        let ours = ours();
        assert!(UFRAG.contains(&ours.ufrag.len()) && PASSWORD.contains(&ours.password.len()));
        assert!(!std::format!("{ours:?}").contains(ours.password.as_str()));
        assert_ne!(ours, Credentials::new(&mut Secrets::new([5; 32])));
        assert!(ours.lines("[2001:db8::5]:30000".parse().unwrap()).contains(" 2001:db8::5 30000 "));
    }

    proptest! {
        #[test]
        fn any_session_is_survived(lines in prop::collection::vec("a=(group:BUNDLE|mid:|ice-ufrag:|ice-pwd:)[ -~]{0,30}", 0..8)) {
            let text = ["v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\n", &lines.join("\r\n"), "\r\nm=audio 4 RTP/AVP 8\r\n", &lines.join("\r\n")].concat();
            let sdp = Sdp::parse(text.as_bytes()).unwrap();
            let stream = &sdp.streams()[0];
            let _ = (sdp.is_first_of_bundle(stream), sdp.credentials(stream).map(|found| found.ufrag.to_string()));
        }
    }
}
