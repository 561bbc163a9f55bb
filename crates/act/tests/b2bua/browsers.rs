//! Phones in pages: they are shown ICE-lite and a handshake, whatever the other side speaks, and nothing of theirs passes to it.

use crate::audio::{ACME, OFFICE};
use crate::locks::{TLS, by_handshake, handshakes, keyed_by, proto};
use crate::peer::sdp;
use crate::phones::{bind_by, phones};
use crate::world::{Lab, line_of, port_of};
use decide::{Keyless, Note};
use media::dtls::{Failed, Fingerprint, Handshake, Handshaker, Role, Step};
use media::sdp::{Credentials, Sdp, Srtp};
use model::Instant;
use sip::Method;
use std::net::SocketAddr;
use std::sync::Arc;

const PASSWORD: &str = "0123456789012345678901";
/// Where a page's checks come from: another place than its description says.
const FOUND: &str = "203.0.113.77:50000";

/// A page's description: `lines` end its audio.
fn page(lab: &Lab, peer: usize, setup: &str, ufrag: &str) -> Vec<u8> {
    let (ip, port) = (lab.peers[peer].media.ip(), lab.peers[peer].media.port());
    format!(
        "v=0\r\no=page 77 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=group:BUNDLE 0\r\na=msid-semantic: WMS x\r\n\
         m=audio {port} {TLS} 8\r\na=rtpmap:8 PCMA/8000\r\na=mid:0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{PASSWORD}\r\n\
         a=candidate:1 1 udp 2113937151 8c2f.local 50000 typ host\r\na=msid:x y\r\na=ssrc:7 cname:z\r\na=sendrecv\r\n{}",
        by_handshake(b"page", setup)
    )
    .into_bytes()
}

/// What a description of ours says of our end of ICE, and that it says all that is due.
fn ours(shown: &[u8]) -> Credentials {
    let sdp = Sdp::parse(shown).unwrap();
    let text = std::str::from_utf8(shown).unwrap();
    let (audio, ip) = (&sdp.streams()[0], line_of(shown, "c=").rsplit(' ').next().unwrap());
    let candidate = format!("a=candidate:1 1 UDP 2130706431 {ip} {} typ host", audio.port);
    assert_eq!((line_of(shown, "a=candidate"), line_of(shown, "a=ice-lite")), (candidate.as_str(), "a=ice-lite"));
    assert!(audio.rtcp_mux && text.contains("a=end-of-candidates\r\n"), "{text}");
    assert_eq!(text.matches("a=candidate").count(), 1, "one");
    sdp.credentials(audio).expect("a name and a password")
}

/// Nothing of a page passes to a side that is none.
fn assert_plain(shown: &[u8]) {
    let text = std::str::from_utf8(shown).unwrap();
    assert_eq!(proto(shown), "RTP/AVP");
    for gone in ["ice", "candidate", "fingerprint", "setup", "group", "mid", "ssrc", "local", "0.0.0.0", "inactive"] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
}

/// A check of a page, by what it was shown: whether it is answered, to where it came from.
fn is_answered(lab: &mut Lab, shown: &[u8], own: &Credentials, ufrag: &str) -> bool {
    let password = line_of(shown, "a=ice-pwd:").trim_start_matches("a=ice-pwd:").to_owned();
    let check = media::stun::request(&password, &format!("{}:{ufrag}", own.ufrag()), 7, true);
    let mut room = check.clone();
    room.resize(check.len() + 64, 0);
    let mut packet = media::Packet::new(&mut room, check.len());
    let pair = media::PairId((u32::from(port_of(shown)) - 10_000) / 2);
    let from: SocketAddr = FOUND.parse().unwrap();
    let verdict = lab.relay.forward(lab.now, pair, media::Component::Rtp, from, &mut packet);
    matches!(verdict, media::Forward::Send { to, .. } if to == from)
}

fn hang_up(lab: &mut Lab) {
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn an_offer_with_ice_is_answered_by_ice_lite_and_the_other_side_sees_none_of_it() {
    let (mut lab, begun) = handshakes(&[Srtp::Pass, Srtp::Off]);
    lab.peers[0].body = Some(page(&lab, 0, "actpass", "peer"));
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_plain(&lab.shown_last(1));
    let answer = lab.ok_body();
    let own = ours(&answer);
    assert_eq!((proto(&answer), line_of(&answer, "a=setup")), (TLS.into(), "a=setup:active"));
    assert_eq!((line_of(&answer, "a=group"), line_of(&answer, "a=mid")), ("a=group:BUNDLE 0", "a=mid:0"));
    assert_eq!(begun.roles(), [Role::Client]);
    assert!(!is_answered(&mut lab, &answer, &own, "stranger"), "of another session");
    assert!(is_answered(&mut lab, &answer, &own, "peer"));
    // The same again is no restart, another name is one (RFC 8839 §4.4.1.1.1).
    lab.send_sdp(0, Method::Invite);
    lab.run(1_000);
    assert_eq!(ours(&lab.ok_body()), own);
    lab.peers[0].body = Some(page(&lab, 0, "actpass", "again"));
    lab.send_sdp(0, Method::Invite);
    lab.run(1_000);
    let (answer, restarted) = (lab.ok_body(), ours(&lab.ok_body()));
    assert_ne!(restarted.ufrag(), own.ufrag());
    assert!(is_answered(&mut lab, &answer, &restarted, "again") && !is_answered(&mut lab, &answer, &own, "peer"));
    assert_eq!(begun.roles().len(), 1, "the handshake goes on (RFC 8842 §4)");
    // An offer of the other side's is told by what it has.
    lab.send_sdp(1, Method::Invite);
    lab.run(1_000);
    let offer = lab.shown_last(0);
    assert_eq!((ours(&offer), line_of(&offer, "a=setup")), (restarted, "a=setup:actpass"));
    assert_eq!((line_of(&offer, "a=group"), proto(&offer)), ("a=group:BUNDLE 0", TLS.into()));
    hang_up(&mut lab);
}

#[test]
fn a_side_without_ice_is_told_of_none() {
    let (mut lab, _) = handshakes(&[Srtp::Dtls, Srtp::Dtls]);
    let body = String::from_utf8(page(&lab, 0, "actpass", "peer")).unwrap();
    let kept = body.lines().filter(|line| !line.contains("ice-")).map(|line| line.replace("0.0.0.0", "192.0.2.9"));
    let without = kept.collect::<Vec<_>>().join("\r\n") + "\r\n";
    lab.peers[0].body = Some(without.into_bytes());
    lab.peers[1].body = Some(page(&lab, 1, "active", "peer"));
    lab.call("+4722");
    lab.run(1_000);
    for shown in [lab.ok_body(), lab.shown_last(1)] {
        let text = String::from_utf8(shown).unwrap();
        assert!(text.contains("fingerprint") && !text.contains("ice") && !text.contains("candidate"), "{text}");
    }
    hang_up(&mut lab);
}

#[test]
fn phones_by_websocket_are_offered_ice_and_a_handshake_and_others_plain_audio() {
    let mut lab = phones(&[]);
    let begun = keyed_by(&mut lab);
    bind_by(&mut lab, "201", &[(1, 1_000, ";transport=ws"), (2, 1_000, "")]);
    lab.peers[1].body = Some(page(&lab, 1, "active", "peer"));
    lab.peers[1].steps = vec![vec![sdp(200, 200)]];
    lab.peers[2].steps = vec![vec![crate::peer::say(10, 180)]];
    let client = lab.call("201");
    lab.run(100);
    let (web, plain) = (lab.shown_last(1), lab.shown_last(2));
    assert_plain(&plain);
    assert_eq!((proto(&web), line_of(&web, "a=setup")), (TLS.into(), "a=setup:actpass"));
    let own = ours(&web);
    assert_eq!(line_of(&web, "a=fingerprint"), format!("a=fingerprint:{}", Fingerprint::of(b"ours")));
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_plain(&lab.ok_body());
    assert_eq!(begun.roles(), [Role::Server], "it begins");
    assert!(is_answered(&mut lab, &web, &own, "peer"));
    hang_up(&mut lab);
}

/// Two pages ring together: each has an end of ICE of its own, and the one that answers is found by it.
#[test]
fn pages_that_ring_together_have_each_their_own_ice() {
    for winner in [1, 2] {
        let mut lab = phones(&[]);
        keyed_by(&mut lab);
        bind_by(&mut lab, "201", &[(1, 1_000, ";transport=ws"), (2, 1_000, ";transport=ws")]);
        for peer in [1, 2] {
            lab.peers[peer].body = Some(page(&lab, peer, "active", "peer"));
            let answer = sdp(200, 200);
            lab.peers[peer].steps = vec![vec![if peer == winner { answer } else { crate::peer::say(10, 180) }]];
        }
        lab.call("201");
        lab.run(1_000);
        let shown = [lab.shown_last(1), lab.shown_last(2)];
        let own = [ours(&shown[0]), ours(&shown[1])];
        assert_ne!(own[0].ufrag(), own[1].ufrag());
        assert!(is_answered(&mut lab, &shown[winner - 1], &own[winner - 1], "peer"), "{winner}");
        hang_up(&mut lab);
    }
}

#[test]
fn without_an_anchor_or_a_certificate_what_pages_say_passes_untouched() {
    for anchored in [true, false] {
        let mut lab = phones(&[]);
        if !anchored {
            keyed_by(&mut lab);
            lab.profiles.listens.iter_mut().for_each(|listen| (listen.media, listen.media_bind) = (None, None));
        }
        bind_by(&mut lab, "201", &[(1, 1_000, ";transport=ws")]);
        lab.peers[0].body = Some(page(&lab, 0, "actpass", "one"));
        lab.peers[1].body = Some(page(&lab, 1, "active", "two"));
        lab.call("201");
        lab.run(1_000);
        let shown = lab.shown_last(1);
        assert_eq!(line_of(&shown, "a=fingerprint"), format!("a=fingerprint:{}", Fingerprint::of(b"page")));
        assert_eq!(line_of(&shown, "a=ice-ufrag") == "a=ice-ufrag:one", !anchored);
        hang_up(&mut lab);
    }
}

/// Handshakes that fail by the first word of the peer.
#[derive(Debug)]
struct Failing;

impl Handshake for Failing {
    fn take(&mut self, _: Instant, _: &[u8]) -> Result<(), Failed> {
        Err(Failed)
    }

    fn tick(&mut self, _: Instant) -> Result<(), Failed> {
        Ok(())
    }

    fn poll<'a>(&mut self, _: &'a mut [u8]) -> Step<'a> {
        Step::Wait(None)
    }
}

impl Handshaker for Failing {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(b"ours")
    }

    fn begin(&self, _: Instant, _: Role) -> Box<dyn Handshake> {
        Box::new(Self)
    }
}

/// A carrier whose handshake comes to nothing is silent for that reason: the call says so.
#[test]
fn a_handshake_that_gives_no_keys_is_told_with_the_call() {
    for fails in [false, true] {
        let (mut lab, _) = handshakes(&[Srtp::Off, Srtp::Dtls]);
        let secrets = media::srtp::Secrets::new([7; 32]);
        lab.relay.entrust(media::Keying { secrets, handshaker: Some(Arc::new(Failing)) });
        let (ip, port) = (lab.peers[1].media.ip(), lab.peers[1].media.port());
        let body = format!(
            "v=0\r\no=peer 77 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} UDP/TLS/RTP/SAVP 8\r\n{}",
            by_handshake(b"carrier", "active")
        );
        lab.peers[1].body = Some(body.into_bytes());
        let client = lab.call("+4722");
        lab.run(1_000);
        assert_eq!(lab.peers[0].codes(client), [180, 200]);
        if fails {
            let (at, from) = (port_of(&lab.shown_last(ACME)), lab.peers[ACME].media);
            assert_eq!(lab.pass(at, from, &[22; 40]), None);
        }
        lab.talk(6_000, &[OFFICE]);
        let keyless: Vec<Note> = lab
            .notes()
            .into_iter()
            .map(|noted| noted.what)
            .filter(|what| matches!(what, Note::NotKeyed { .. }))
            .collect();
        let why = if fails { Keyless::Failed } else { Keyless::Unfinished };
        assert_eq!((keyless, lab.b2bua.counters().audio_not_keyed), (vec![Note::NotKeyed { why }], 1));
        assert!(
            lab.notes().iter().any(|noted| matches!(noted.what, Note::Silent { never: true, .. })),
            "and it is missed"
        );
        assert_eq!(lab.relay.counters().handshakes_failed, u64::from(fails));
        hang_up(&mut lab);
    }
}

/// Without a fingerprint there is nothing to believe: the call says so, whoever has written it.
#[test]
fn a_description_without_a_fingerprint_is_told_with_the_call() {
    let (mut lab, _) = handshakes(&[Srtp::Dtls, Srtp::Off]);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [488]);
    lab.settle();
    let notes: Vec<_> = lab.ended[0].notes.iter().map(|noted| (noted.whose, noted.what)).collect();
    assert_eq!(notes, [(decide::Whose::Caller, Note::NotSecured)]);
    let (mut lab, _) = handshakes(&[Srtp::Off, Srtp::Dtls]);
    lab.call("+4722");
    lab.run(1_000);
    lab.settle();
    let notes: Vec<_> = lab.ended[0].notes.iter().map(|noted| (noted.whose, noted.what)).collect();
    assert_eq!(notes, [(decide::Whose::Callee, Note::NotSecured)]);
}
