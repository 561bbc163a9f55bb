//! Security of audio that the edge ends: each side is shown its own keys, and hears the other one through them.

use crate::peer::{say, sdp};
use crate::world::{Lab, line_of, port_of, version_of};
use media::dtls::{Failed, Fingerprint, Handshake, Handshaker, Keys, Role, Step};
use media::sdp::Srtp;
use media::srtp::{MasterKey, Secrets, Security, Suite, sdes};
use media::{Component, Forward, Keying, Packet, PairId, rtp};
use model::{AttemptOutcome, Instant};
use sip::Method;
use std::sync::{Arc, Mutex};

const RTP: usize = 172;

/// What a peer says of keys after its formats.
fn describe(lab: &mut Lab, peer: usize, proto: &str, lines: &str) {
    let (ip, port) = (lab.peers[peer].media.ip(), lab.peers[peer].media.port());
    let body = format!(
        "v=0\r\no=peer 77 1 IN IP4 {ip}\r\ns=call\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} {proto} 8\r\na=rtpmap:8 PCMA/8000\r\n{lines}"
    );
    lab.peers[peer].body = Some(body.into_bytes());
}

fn key(seed: u8) -> MasterKey {
    MasterKey::generate(Suite::AesCm128HmacSha1_80, |key| key.fill(seed))
}

fn crypto(tag: u32, key: &MasterKey) -> String {
    let mut out = Vec::new();
    sdes::Line { tag, key: key.clone() }.push(&mut out);
    String::from_utf8(out).unwrap() + "\r\n"
}

/// An edge that can make keys, whose trunks secure their audio so: the office's first.
fn lab(trunks: &[Srtp]) -> Lab {
    let mut lab = Lab::new(trunks.len() - 1);
    lab.relay.entrust(Keying { secrets: Secrets::new([7; 32]), handshaker: None });
    for (trunk, srtp) in trunks.iter().enumerate() {
        lab.profiles.trunks[trunk].as_mut().unwrap().media.srtp = *srtp;
    }
    lab
}

/// The keys that the edge told a peer last.
fn told(lab: &Lab, peer: usize) -> Vec<sdes::Line> {
    told_in(&lab.shown_last(peer))
}

fn told_in(shown: &[u8]) -> Vec<sdes::Line> {
    let text = String::from_utf8(shown.to_vec()).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
    lines.map(|line| sdes::Line::parse(line.as_bytes()).unwrap()).collect()
}

pub fn proto(shown: &[u8]) -> String {
    line_of(shown, "m=").split(' ').nth(2).unwrap().to_owned()
}

/// A peer's end: none is in the clear.
type End = Option<Security>;

fn end(lab: &Lab, peer: usize, own: &MasterKey) -> End {
    let ours = told(lab, peer).into_iter().map(|line| line.key).find(|key| key.suite() == own.suite()).expect("a key");
    Some(Security::new(own.suite(), &ours, own))
}

/// What `one` says arrives at `other`, and each reads it by its own keys.
fn says(lab: &mut Lab, (one, from): (usize, &mut End), (other, to): (usize, &mut End), sequence: u16) {
    let mut room = [0u8; 256];
    let header = rtp::Header {
        marker: false,
        payload_type: 8,
        sequence,
        timestamp: 160 * u32::from(sequence),
        ssrc: one as u32 + 1,
    };
    rtp::write((&mut room[..12]).try_into().unwrap(), &header);
    room[12..RTP].fill(0x55);
    let plain = room[..RTP].to_vec();
    let mut packet = Packet::new(&mut room, RTP);
    if let Some(security) = from {
        security.protect(&header, &mut packet).unwrap();
    }
    let (wire, at) = (packet.bytes().to_vec(), lab.peers[one].media);
    assert_eq!(wire == plain, from.is_none());
    let port = port_of(&lab.shown_last(one));
    let pair = PairId((u32::from(port) - 10_000) / 2);
    let mut room = [0u8; 256];
    room[..wire.len()].copy_from_slice(&wire);
    let mut packet = Packet::new(&mut room, wire.len());
    let verdict = lab.relay.forward(lab.now, pair, Component::Rtp, at, &mut packet);
    let Forward::Send { to: sent, .. } = verdict else { panic!("{one} is not relayed: {verdict:?}") };
    assert_eq!(sent, lab.peers[other].media);
    if let Some(security) = to {
        let header = rtp::read(packet.bytes()).unwrap();
        assert_ne!(packet.bytes(), plain, "in the clear");
        security.unprotect(&header, &mut packet).unwrap();
    }
    assert_eq!(packet.bytes()[12..], plain[12..], "{one} to {other}");
}

fn hear_each_other(lab: &mut Lab, a: &mut End, (peer, b): (usize, &mut End), sequence: u16) {
    says(lab, (0, a), (peer, b), sequence);
    says(lab, (peer, b), (0, a), sequence);
}

fn hang_up(lab: &mut Lab) {
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

fn assert_answered(lab: &mut Lab) {
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
}

#[test]
fn a_plain_side_calls_one_with_keys() {
    let mut lab = lab(&[Srtp::Pass, Srtp::Sdes]);
    describe(&mut lab, 1, "RTP/SAVP", &crypto(3, &key(1)));
    assert_answered(&mut lab);
    let offer = lab.peers[1].requests(Method::Invite)[0].body().to_vec();
    assert_eq!((proto(&offer), told_in(&offer).len()), ("RTP/SAVP".into(), 3));
    let answer = lab.ok_body();
    assert_eq!(
        (proto(&answer), told_in(&answer).len()),
        ("RTP/AVP".into(), 0),
        "nothing of the other side's keys passes"
    );
    let (mut a, mut b) = (None, end(&lab, 1, &key(1)));
    hear_each_other(&mut lab, &mut a, (1, &mut b), 1);
    hang_up(&mut lab);
}

#[test]
fn a_side_with_keys_calls_a_plain_one() {
    for caller in [Srtp::Pass, Srtp::Sdes] {
        let mut lab = lab(&[caller, Srtp::Off]);
        let other = MasterKey::generate(Suite::AesCm256HmacSha1_80, |key| key.fill(9));
        let lines = format!("a=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\n{}{}", crypto(7, &key(1)), crypto(8, &other));
        describe(&mut lab, 0, "RTP/SAVPF", &lines);
        assert_answered(&mut lab);
        let offer = lab.peers[1].requests(Method::Invite)[0].body().to_vec();
        assert_eq!((proto(&offer), line_of(&offer, "a=crypto")), ("RTP/AVP".into(), ""));
        let answer = lab.ok_body();
        let lines = told_in(&answer);
        assert_eq!((proto(&answer), lines.len(), lines[0].tag), ("RTP/SAVPF".into(), 1, 8), "the one that is best");
        let (mut a, mut b) = (end(&lab, 0, &other), None);
        hear_each_other(&mut lab, &mut a, (1, &mut b), 1);
        hang_up(&mut lab);
    }
}

/// Both have keys, of their own each.
fn both() -> (Lab, End, End) {
    let mut lab = lab(&[Srtp::Sdes, Srtp::Sdes]);
    describe(&mut lab, 0, "RTP/SAVP", &crypto(1, &key(1)));
    describe(&mut lab, 1, "RTP/SAVP", &crypto(3, &key(2)));
    assert_answered(&mut lab);
    let (a, b) = (end(&lab, 0, &key(1)), end(&lab, 1, &key(2)));
    (lab, a, b)
}

#[test]
fn two_sides_with_keys_never_see_each_others() {
    let (mut lab, mut a, mut b) = both();
    let shown = format!("{:?}", (told(&lab, 0), told(&lab, 1)));
    assert!(!shown.contains("inline"), "{shown}");
    let all: Vec<MasterKey> = [told(&lab, 0), told(&lab, 1)].concat().into_iter().map(|line| line.key).collect();
    assert!(!all.contains(&key(1)) && !all.contains(&key(2)) && all.len() == 4);
    assert!(all.iter().enumerate().all(|(n, key)| !all[..n].contains(key)), "each key is told once");
    hear_each_other(&mut lab, &mut a, (1, &mut b), 1);
    hang_up(&mut lab);
}

#[test]
fn an_offer_inside_the_call_with_the_same_keys_changes_nothing_and_one_with_new_keys_renews() {
    let (mut lab, mut a, mut b) = both();
    for n in 1..10 {
        hear_each_other(&mut lab, &mut a, (1, &mut b), n);
    }
    let (before, told_before) = (lab.shown_last(1), told(&lab, 0));
    let client = lab.send_sdp(0, Method::Invite);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [200]);
    assert_eq!((lab.shown_last(1), told(&lab, 0)), (before.clone(), told_before.clone()));
    hear_each_other(&mut lab, &mut a, (1, &mut b), 10);
    // Hold keeps the keys.
    let held = String::from_utf8(lab.peers[0].body.clone().unwrap()).unwrap() + "a=sendonly\r\n";
    let client = lab.send(0, Method::Invite, "application/sdp", held.into_bytes());
    lab.run(1_000);
    assert_eq!((lab.peers[0].codes(client), told(&lab, 1)), (vec![200], told_in(&before)));
    assert_eq!(version_of(&lab.shown_last(1)), version_of(&before) + 1);
    // Another key of the caller: the callee is told nothing of it.
    describe(&mut lab, 0, "RTP/SAVP", &crypto(1, &key(3)));
    let client = lab.send_sdp(0, Method::Invite);
    lab.run(1_000);
    assert_eq!((lab.peers[0].codes(client), told(&lab, 0)), (vec![200], told_before.clone()), "ours goes on");
    let renewed = Security::new(Suite::AesCm128HmacSha1_80, &told_before[0].key, &key(3));
    a.as_mut().unwrap().renew(renewed);
    hear_each_other(&mut lab, &mut a, (1, &mut b), 11);
    // And one of the callee, by an offer of its own.
    describe(&mut lab, 1, "RTP/SAVP", &crypto(5, &key(4)));
    let client = lab.send_sdp(1, Method::Invite);
    lab.run(1_000);
    assert_eq!(lab.peers[1].codes(client), [200]);
    let ours = told(&lab, 1).remove(0);
    assert_eq!((ours.tag, told_in(&before).contains(&sdes::Line { tag: 3, key: ours.key.clone() })), (5, true));
    b.as_mut().unwrap().renew(Security::new(Suite::AesCm128HmacSha1_80, &ours.key, &key(4)));
    hear_each_other(&mut lab, &mut a, (1, &mut b), 12);
    hang_up(&mut lab);
}

#[test]
fn a_caller_who_does_not_give_what_its_trunk_wants_hears_488() {
    let rows: [(Srtp, &str, &str); 4] = [
        (Srtp::Sdes, "RTP/AVP", ""),
        (Srtp::Sdes, "RTP/SAVP", "a=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\n"),
        (
            Srtp::Off,
            "RTP/SAVP",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n",
        ),
        (
            Srtp::Dtls,
            "RTP/SAVP",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r\n",
        ),
    ];
    for (wanted, proto, lines) in rows {
        let mut lab = lab(&[wanted, Srtp::Off]);
        describe(&mut lab, 0, proto, lines);
        let client = lab.call("+4722");
        lab.run(1_000);
        assert_eq!(
            (lab.peers[0].codes(client), lab.b2bua.counters().not_secured),
            (vec![488], 1),
            "{wanted:?} {lines}"
        );
        assert_eq!((lab.seen(1).len(), lab.peers[1].requests(Method::Invite).len()), (0, 0));
        lab.settle();
    }
    // For help he is heard all the same (RFC 5031).
    let mut lab = lab(&[Srtp::Sdes, Srtp::Off]);
    let client = lab.call("112");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    lab.hear_each_other(0, 1);
    hang_up(&mut lab);
}

#[test]
fn a_trunk_that_answers_without_keys_is_let_go_and_the_plain_one_after_it_takes_the_call() {
    let mut lab = lab(&[Srtp::Off, Srtp::Sdes, Srtp::Off]);
    describe(&mut lab, 1, "RTP/AVP", "");
    lab.peers[1].steps = vec![vec![sdp(10, 200)]];
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let bye = lab.peers[1].requests(Method::Bye)[0].header(sip::HeaderName::Reason).unwrap();
    assert_eq!(bye, b"SIP;cause=488;text=\"audio is not secured as offered\"");
    assert_eq!(lab.b2bua.counters().not_secured, 1);
    lab.hear_each_other(0, 2);
    hang_up(&mut lab);
    let refused = AttemptOutcome::Refused { code: 488, q850: None, retry_after: None };
    assert_eq!(lab.ended[0].attempts[0].outcome, refused);
}

#[test]
fn each_attempt_has_keys_of_its_own_and_a_plain_one_none() {
    let mut lab = lab(&[Srtp::Pass, Srtp::Sdes, Srtp::Sdes, Srtp::Off]);
    describe(&mut lab, 0, "RTP/SAVP", &crypto(1, &key(1)));
    // The first one is heard before it fails.
    lab.attempt_policy(1).hunt_after_progress = true;
    describe(&mut lab, 1, "RTP/SAVP", &crypto(3, &key(2)));
    lab.peers[1].steps = vec![vec![sdp(10, 183), say(400, 503)]];
    lab.peers[2].steps = vec![vec![say(10, 503)]];
    let client = lab.call("+4722");
    lab.run(300);
    let (mut a, mut b) = (end(&lab, 0, &key(1)), end(&lab, 1, &key(2)));
    says(&mut lab, (0, &mut a), (1, &mut b), 1);
    let ours = told(&lab, 0);
    lab.run(1_500);
    assert_eq!(lab.peers[0].codes(client), [183, 180, 200]);
    let (first, second) = (told(&lab, 1), told(&lab, 2));
    assert!(first.len() == 3 && second.len() == 3 && first.iter().all(|line| !second.contains(line)));
    assert_eq!((told(&lab, 3), told(&lab, 0)), (vec![], ours), "the caller's key goes on");
    hear_each_other(&mut lab, &mut a, (3, &mut None), 2);
    hang_up(&mut lab);
}

#[test]
fn a_late_offer_is_made_and_answered_by_its_own_keys() {
    let mut lab = lab(&[Srtp::Sdes, Srtp::Sdes]);
    describe(&mut lab, 0, "RTP/SAVP", &crypto(3, &key(1)));
    describe(&mut lab, 1, "RTP/SAVP", &crypto(1, &key(2)));
    let client = lab.call_with(0, "+4722", vec![], &[]);
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((told(&lab, 0).len(), told(&lab, 1).len()), (3, 1));
    let (mut a, mut b) = (end(&lab, 0, &key(1)), end(&lab, 1, &key(2)));
    hear_each_other(&mut lab, &mut a, (1, &mut b), 1);
    hang_up(&mut lab);
}

#[test]
fn without_a_policy_keys_pass_as_they_came() {
    let mut lab = lab(&[Srtp::Pass, Srtp::Pass]);
    describe(&mut lab, 0, "RTP/SAVP", &crypto(1, &key(1)));
    describe(&mut lab, 1, "RTP/SAVP", &crypto(1, &key(2)));
    assert_answered(&mut lab);
    assert_eq!((told(&lab, 1)[0].key == key(1), told(&lab, 0)[0].key == key(2)), (true, true));
    hang_up(&mut lab);
}

/// Handshakes that are begun and never end; who we are in each.
#[derive(Debug, Default)]
pub struct Begun(Mutex<Vec<Role>>);

impl Begun {
    pub fn roles(&self) -> Vec<Role> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Debug)]
struct Endless;

impl Handshake for Endless {
    fn take(&mut self, _: Instant, _: &[u8]) -> Result<(), Failed> {
        Ok(())
    }

    fn tick(&mut self, _: Instant) -> Result<(), Failed> {
        Ok(())
    }

    fn poll<'a>(&mut self, _: &'a mut [u8]) -> Step<'a> {
        Step::Wait(None)
    }
}

impl Handshaker for Begun {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(b"ours")
    }

    fn begin(&self, _: Instant, role: Role) -> Box<dyn Handshake> {
        self.0.lock().unwrap().push(role);
        Box::new(Endless)
    }
}

pub const TLS: &str = "UDP/TLS/RTP/SAVPF";

pub fn handshakes(trunks: &[Srtp]) -> (Lab, Arc<Begun>) {
    let mut lab = lab(trunks);
    let begun = keyed_by(&mut lab);
    (lab, begun)
}

/// The edge can begin handshakes.
pub fn keyed_by(lab: &mut Lab) -> Arc<Begun> {
    let begun = Arc::new(Begun::default());
    lab.relay.entrust(Keying { secrets: Secrets::new([7; 32]), handshaker: Some(begun.clone()) });
    begun
}

pub fn by_handshake(certificate: &[u8], setup: &str) -> String {
    format!("a=fingerprint:{}\r\na=setup:{setup}\r\na=rtcp-mux\r\n", Fingerprint::of(certificate))
}

#[test]
fn roles_of_handshakes_are_those_of_the_answers_5763_5() {
    for (setup, role) in [("active", Role::Server), ("passive", Role::Client)] {
        let (mut lab, begun) = handshakes(&[Srtp::Dtls, Srtp::Dtls]);
        describe(&mut lab, 0, TLS, &by_handshake(b"office", "actpass"));
        describe(&mut lab, 1, "UDP/TLS/RTP/SAVP", &by_handshake(b"carrier", setup));
        lab.peers[1].steps = vec![vec![sdp(10, 183), sdp(200, 200)]];
        let client = lab.call("+4722");
        lab.run(1_000);
        assert_eq!(lab.peers[0].codes(client), [183, 200]);
        let (offer, answer) = (lab.shown_last(1), lab.ok_body());
        let ours = format!("a=fingerprint:{}", Fingerprint::of(b"ours"));
        assert_eq!((proto(&offer), line_of(&offer, "a=setup")), ("UDP/TLS/RTP/SAVP".into(), "a=setup:actpass"));
        assert_eq!((proto(&answer), line_of(&answer, "a=setup")), (TLS.into(), "a=setup:active"), "who answers begins");
        assert_eq!((line_of(&offer, "a=finger"), line_of(&answer, "a=finger")), (ours.as_str(), ours.as_str()));
        assert_eq!(line_of(&offer, "a=rtcp-mux"), "a=rtcp-mux");
        assert_eq!(*begun.0.lock().unwrap(), [role, Role::Client], "once each, however often it is told");
        // The same again begins no other, and another certificate does.
        let client = lab.send_sdp(0, Method::Invite);
        lab.run(1_000);
        assert_eq!((lab.peers[0].codes(client), begun.0.lock().unwrap().len()), (vec![200], 2));
        describe(&mut lab, 0, TLS, &by_handshake(b"another", "actpass"));
        lab.send_sdp(0, Method::Invite);
        lab.run(1_000);
        assert_eq!(begun.0.lock().unwrap().len(), 3);
        hang_up(&mut lab);
    }
}

#[test]
fn nothing_passes_in_the_clear_while_a_handshake_runs_and_a_plain_side_sees_nothing_of_it() {
    let (mut lab, begun) = handshakes(&[Srtp::Dtls, Srtp::Off]);
    describe(&mut lab, 0, TLS, &by_handshake(b"office", "passive"));
    assert_answered(&mut lab);
    let offer = lab.shown_last(1);
    assert_eq!((proto(&offer), line_of(&offer, "a=setup"), line_of(&offer, "a=finger")), ("RTP/AVP".into(), "", ""));
    assert_eq!(line_of(&lab.ok_body(), "a=setup"), "a=setup:active");
    assert_eq!(*begun.0.lock().unwrap(), [Role::Client]);
    let (to_office, to_carrier) = (lab.shown_last(0), lab.shown_last(1));
    assert_eq!((lab.speak(0, &to_office), lab.speak(1, &to_carrier)), (None, None));
    assert_eq!(lab.relay.counters().no_key, 2);
    hang_up(&mut lab);
}

#[test]
fn reports_have_a_handshake_of_their_own_where_they_have_a_port_of_their_own_5764_4_1() {
    for (mux, each) in [(true, 1), (false, 2)] {
        let (mut lab, begun) = handshakes(&[Srtp::Dtls, Srtp::Dtls]);
        let lines = |certificate: &[u8], setup| {
            let lines = by_handshake(certificate, setup);
            if mux { lines } else { lines.replace("a=rtcp-mux\r\n", "") }
        };
        describe(&mut lab, 0, TLS, &lines(b"office", "actpass"));
        describe(&mut lab, 1, "UDP/TLS/RTP/SAVP", &lines(b"carrier", "active"));
        assert_answered(&mut lab);
        assert_eq!(line_of(&lab.shown_last(1), "a=rtcp-mux"), "a=rtcp-mux", "it is offered");
        assert_eq!(line_of(&lab.ok_body(), "a=rtcp-mux") == "a=rtcp-mux", mux, "and answered as it was offered");
        let roles = [vec![Role::Server; each], vec![Role::Client; each]].concat();
        assert_eq!(begun.roles(), roles, "reports are protected as whom the audio is");
        // Told again it is the same.
        lab.send_sdp(0, Method::Invite);
        lab.run(1_000);
        assert_eq!(begun.roles(), roles);
        hang_up(&mut lab);
    }
}

/// Handshakes with a carrier that are over as soon as they are begun.
#[derive(Debug, Default)]
struct Quick(Arc<Mutex<usize>>);

#[derive(Debug)]
struct Over(u8);

/// What each of them gives.
const KEYS: Keys<'static> = Keys {
    suite: Suite::AesCm128HmacSha1_80,
    material: b"key of client...key of server...salt of clientsalt of server",
};

impl Handshake for Over {
    fn take(&mut self, _: Instant, _: &[u8]) -> Result<(), Failed> {
        Ok(())
    }

    fn tick(&mut self, _: Instant) -> Result<(), Failed> {
        Ok(())
    }

    fn poll<'a>(&mut self, _: &'a mut [u8]) -> Step<'a> {
        self.0 += 1;
        match self.0 {
            1 => Step::Certificate(b"carrier"),
            2 => Step::Keys(KEYS),
            _ => Step::Wait(None),
        }
    }
}

impl Handshaker for Quick {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(b"ours")
    }

    fn begin(&self, _: Instant, _: Role) -> Box<dyn Handshake> {
        *self.0.lock().unwrap() += 1;
        Box::new(Over(0))
    }
}

#[test]
fn audio_that_moves_to_another_interface_goes_on_by_the_keys_it_has_8842_3_2() {
    // Where the peer begins handshakes it may begin another; where we do, we do (RFC 5763 §6.6).
    moves_under_keys("active", Role::Client, 1);
    moves_under_keys("passive", Role::Server, 2);
}

fn moves_under_keys(setup: &str, role: Role, handshakes: usize) {
    let mut lab = lab(&[Srtp::Off, Srtp::Dtls]);
    let begun = Arc::new(Mutex::new(0));
    let handshaker = Arc::new(Quick(begun.clone()));
    lab.relay.entrust(Keying { secrets: Secrets::new([7; 32]), handshaker: Some(handshaker) });
    lab.has_two_interfaces(1);
    describe(&mut lab, 1, "UDP/TLS/RTP/SAVP", &by_handshake(b"carrier", setup));
    assert_answered(&mut lab);
    lab.relay.tick(lab.now);
    let (mut office, mut carrier) = (None, KEYS.security(role));
    for n in 1..50 {
        hear_each_other(&mut lab, &mut office, (1, &mut carrier), n);
        lab.run(100);
    }
    let before = lab.shown_last(1);
    for n in 50..90 {
        says(&mut lab, (0, &mut office), (1, &mut carrier), n);
        lab.run(100);
    }
    let after = lab.shown_last(1);
    assert_eq!([line_of(&before, "c="), line_of(&after, "c=")], ["c=IN IP4 203.0.113.9", "c=IN IP4 198.51.100.9"]);
    for same in ["m=audio", "a=fingerprint", "a=setup", "a=rtcp-mux"] {
        let [before, after] =
            [&before, &after].map(|shown| line_of(shown, same).replace(&port_of(shown).to_string(), "PORT"));
        assert_eq!(before, after);
    }
    for n in 90..100 {
        hear_each_other(&mut lab, &mut office, (1, &mut carrier), n);
        lab.run(100);
    }
    assert_eq!(*begun.lock().unwrap(), handshakes);
    hang_up(&mut lab);
    assert_eq!(lab.b2bua.counters().audio_moved, 1);
}
