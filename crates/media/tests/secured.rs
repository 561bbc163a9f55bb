//! Secured sides through the relay: every pairing of plain and secured with the tone decoded at the far end, over the wrap of sequence
//! numbers, over new keys, and against whoever injects. Nothing is allocated on the way.
#![allow(clippy::expect_used, clippy::panic)]

use media::dtls::{Failed, Fingerprint, Handshake, Keys, Role, Step};
use media::player::{ToneListener, ToneTalker};
use media::srtp::{MasterKey, Secrets, Security, Suite, sdes};
use media::{Component, Dropped, Forward, Packet, PairId, Peer, Relay, Shape, rtcp, rtp};
use model::{Instant, Span};
use std::net::SocketAddr;

const A: PairId = PairId(0);
const B: PairId = PairId(1);

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// How a party protects what it sends and expects what it hears.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    /// Keys in the description, of this suite.
    Sdes(Suite),
    /// Keys given, as a handshake exports them.
    Keyed(Suite),
}

const KINDS: [Kind; 6] = [
    Kind::Plain,
    Kind::Sdes(Suite::AesCm128HmacSha1_80),
    Kind::Sdes(Suite::AesCm256HmacSha1_32),
    Kind::Keyed(Suite::AesCm128HmacSha1_80),
    Kind::Keyed(Suite::AeadAes128Gcm),
    Kind::Keyed(Suite::AeadAes256Gcm),
];

/// The edge's end and the party's.
fn ends(kind: Kind, seed: u8) -> Option<(Security, Security)> {
    let (mut here, mut there) = (Secrets::new([seed; 32]), Secrets::new([seed + 100; 32]));
    match kind {
        Kind::Plain => None,
        Kind::Sdes(suite) => {
            let value = |line: &sdes::Line| {
                let mut out = Vec::new();
                line.push(&mut out);
                out[sdes::ATTRIBUTE.len()..].to_vec()
            };
            let offer = sdes::Offer::new(&[suite], &mut here);
            let chosen = sdes::choose([value(&offer.lines()[0]).as_slice()]).expect("usable");
            let (line, party) = sdes::answer(&chosen, None, &mut there);
            Some((offer.answered(&value(&line)).expect("an answer"), party))
        }
        Kind::Keyed(suite) => {
            let ours = MasterKey::generate(suite, |key| here.fill(key));
            let theirs = MasterKey::generate(suite, |key| there.fill(key));
            Some((Security::new(suite, &theirs, &ours), Security::new(suite, &ours, &theirs)))
        }
    }
}

struct Party {
    pair: PairId,
    at: SocketAddr,
    security: Option<Security>,
    talker: ToneTalker,
    listener: ToneListener,
    /// What it heard, unprotected.
    heard: Vec<rtp::Header>,
    reports: u32,
}

impl Party {
    fn new(relay: &mut Relay, pair: PairId, at: &str, hz: u16, kind: Kind) -> Self {
        let at = addr(at);
        relay.expect(pair, &Peer { rtp: at, rtcp: None, mux: false });
        let mut party = Self {
            pair,
            at,
            security: None,
            // The sequence number wraps after 36 packets.
            talker: ToneTalker::new(hz, u32::from(hz) << 16 | 65_500),
            listener: ToneListener::new(&[440, 1_000]),
            heard: Vec::new(),
            reports: 0,
        };
        party.secure(relay, kind, hz as u8);
        party
    }

    fn secure(&mut self, relay: &mut Relay, kind: Kind, seed: u8) {
        relay.shape(self.pair, if matches!(kind, Kind::Plain) { Shape::Rtp } else { Shape::Srtp });
        let Some((edge, party)) = ends(kind, seed % 100) else { return };
        relay.secure(self.pair, Some(Box::new(edge)));
        match &mut self.security {
            Some(security) => security.renew(party),
            none => *none = Some(party),
        }
    }

    /// The next packet as it goes over the wire.
    fn wire(&mut self) -> Vec<u8> {
        let packet = self.talker.next_packet();
        self.protected(&packet)
    }

    fn protected(&mut self, plain: &[u8]) -> Vec<u8> {
        with_room(plain, |packet| {
            let Some(security) = &mut self.security else { return };
            if rtcp::is_rtcp(plain) {
                security.protect_report(packet).expect("a report");
            } else {
                let header = rtp::read(plain).expect("RTP");
                security.protect(&header, packet).expect("a packet");
            }
        })
    }

    fn hears(&mut self, now: Instant, wire: &[u8]) {
        let plain = with_room(wire, |packet| {
            let Some(security) = &mut self.security else { return };
            if rtcp::is_rtcp(wire) {
                security.unprotect_report(packet).expect("an authentic report");
            } else {
                let header = rtp::read(wire).expect("SRTP");
                security.unprotect(&header, packet).expect("an authentic packet");
            }
        });
        if rtcp::is_rtcp(&plain) {
            assert_eq!(rtcp::parts(&plain).next().map(|part| part.kind), Some(rtcp::SENDER));
            self.reports += 1;
        } else {
            self.heard.push(rtp::read(&plain).expect("RTP"));
            self.listener.feed(now, &plain);
        }
    }
}

fn with_room(bytes: &[u8], then: impl FnOnce(&mut Packet<'_>)) -> Vec<u8> {
    let mut room = bytes.to_vec();
    room.resize(bytes.len() + 32, 0);
    let mut packet = Packet::new(&mut room, bytes.len());
    then(&mut packet);
    packet.bytes().to_vec()
}

/// Through the relay: what leaves, and by which pair.
fn relayed(
    relay: &mut Relay,
    now: Instant,
    (pair, component, from): (PairId, Component, SocketAddr),
    wire: &[u8],
) -> Result<(PairId, Vec<u8>), Dropped> {
    let mut room = wire.to_vec();
    room.resize(wire.len() + 64, 0);
    let mut packet = Packet::new(&mut room, wire.len());
    match relay.forward(now, pair, component, from, &mut packet) {
        Forward::Send { pair, .. } => Ok((pair, packet.bytes().to_vec())),
        Forward::Drop(why) => Err(why),
        verdict => panic!("{verdict:?}"),
    }
}

fn one_exchange(relay: &mut Relay, now: Instant, from: &mut Party, to: &mut Party) {
    let wire = from.wire();
    let (pair, out) = relayed(relay, now, (from.pair, Component::Rtp, from.at), &wire).expect("relayed");
    assert_eq!(pair, to.pair);
    to.hears(now, &out);
}

fn at(n: u64) -> Instant {
    Instant::ZERO + Span::from_millis(1_000 + 20 * n)
}

#[test]
fn a_tone_crosses_between_all_kinds_over_the_wrap_of_sequence_numbers() {
    for a_kind in KINDS {
        for b_kind in KINDS {
            let mut relay = Relay::new(8);
            relay.join(A, B).expect("free");
            let mut a = Party::new(&mut relay, A, "192.0.2.1:4000", 440, a_kind);
            let mut b = Party::new(&mut relay, B, "198.51.100.1:6000", 1_000, b_kind);
            for n in 0..80 {
                one_exchange(&mut relay, at(n), &mut a, &mut b);
                one_exchange(&mut relay, at(n), &mut b, &mut a);
                if n % 25 == 10 {
                    report_crosses(&mut relay, at(n), &mut a, &mut b);
                    report_crosses(&mut relay, at(n), &mut b, &mut a);
                }
            }
            assert_eq!(b.listener.loudest().map(|(hz, _)| hz), Some(440), "{a_kind:?} to {b_kind:?}");
            assert_eq!(a.listener.loudest().map(|(hz, _)| hz), Some(1_000), "{b_kind:?} to {a_kind:?}");
            assert_eq!((a.heard.len(), b.heard.len(), a.reports, b.reports), (80, 80, 3, 3));
            let dropped = relay.counters();
            assert_eq!((dropped.unauthentic, dropped.replayed, dropped.no_key), (0, 0, 0));
        }
    }
}

fn report_crosses(relay: &mut Relay, now: Instant, from: &mut Party, to: &mut Party) {
    let ssrc = to.heard.last().expect("heard").ssrc;
    let mut report = Vec::new();
    rtcp::push_sender(&mut report, ssrc, &rtcp::SenderInfo::default(), &[]);
    let wire = from.protected(&report);
    let port = SocketAddr::new(from.at.ip(), from.at.port() + 1);
    let (_, out) = relayed(relay, now, (from.pair, Component::Rtcp, port), &wire).expect("relayed");
    to.hears(now, &out);
}

#[test]
fn new_keys_in_mid_call_cost_nothing_and_rollover_counters_go_on() {
    for kind in [Kind::Sdes(Suite::AesCm128HmacSha1_80), Kind::Keyed(Suite::AeadAes256Gcm)] {
        let mut relay = Relay::new(8);
        relay.join(A, B).expect("free");
        let mut a = Party::new(&mut relay, A, "192.0.2.1:4000", 440, kind);
        let mut b = Party::new(&mut relay, B, "198.51.100.1:6000", 1_000, kind);
        for n in 0..200 {
            if n % 60 == 59 {
                a.secure(&mut relay, kind, n as u8);
            }
            if n == 100 {
                // A refreshed session tells the same keys again.
                b.secure(&mut relay, kind, 1_000u16 as u8);
            }
            one_exchange(&mut relay, at(n), &mut a, &mut b);
            one_exchange(&mut relay, at(n), &mut b, &mut a);
        }
        assert_eq!((a.heard.len(), b.heard.len()), (200, 200), "{kind:?}");
    }
}

/// A secured caller who has heard a plain callee for a second.
fn a_second_heard() -> (Relay, Party, Party) {
    let mut relay = Relay::new(8);
    relay.join(A, B).expect("free");
    let mut a = Party::new(&mut relay, A, "192.0.2.1:4000", 440, Kind::Sdes(Suite::AesCm128HmacSha1_80));
    let mut b = Party::new(&mut relay, B, "198.51.100.1:6000", 1_000, Kind::Plain);
    for n in 0..50 {
        one_exchange(&mut relay, at(n), &mut b, &mut a);
    }
    (relay, a, b)
}

#[test]
fn a_hunt_to_another_trunk_is_one_stream_to_a_secured_caller() {
    let (mut relay, mut a, _) = a_second_heard();
    relay.repoint(A, PairId(2)).expect("free");
    let kind = Kind::Sdes(Suite::AesCm128HmacSha1_80);
    let mut c = Party::new(&mut relay, PairId(2), "203.0.113.1:8000", 440, kind);
    for n in 50..100 {
        one_exchange(&mut relay, at(n), &mut c, &mut a);
        one_exchange(&mut relay, at(n), &mut a, &mut c);
    }
    let steps = a.heard.windows(2).map(|two| (two[1].ssrc, two[1].sequence.wrapping_sub(two[0].sequence)));
    assert!(
        steps.into_iter().all(|step| step == (a.heard[0].ssrc, 1)),
        "one source without a seam, protected after it was renumbered"
    );
}

#[test]
fn what_is_injected_never_latches_never_moves_a_window_and_never_crosses() {
    let kind = Kind::Sdes(Suite::AesCm128HmacSha1_80);
    let mut relay = Relay::new(8);
    relay.join(A, B).expect("free");
    let mut a = Party::new(&mut relay, A, "192.0.2.1:4000", 440, kind);
    let mut b = Party::new(&mut relay, B, "198.51.100.1:6000", 1_000, Kind::Plain);
    let mut forged = 0;
    let inject = |relay: &mut Relay, from: &str, wire: &[u8]| {
        let verdict = relayed(relay, at(0), (A, Component::Rtp, addr(from)), wire);
        assert!(
            matches!(verdict, Err(Dropped::Unauthentic | Dropped::ThirdParty | Dropped::Replayed)),
            "{from} {verdict:?}"
        );
    };
    // Before the party has spoken: from its address, from another of its ports, and three in a row from elsewhere, which would latch
    // if they were in the clear.
    let mut liar = ToneTalker::new(440, 440 << 16 | 65_500);
    for from in
        ["192.0.2.1:4000", "192.0.2.1:4444", "203.0.113.66:9", "203.0.113.66:9", "203.0.113.66:9", "203.0.113.66:9"]
    {
        let mut wire = liar.next_packet().to_vec();
        wire.extend([7; 10]);
        inject(&mut relay, from, &wire);
        forged += 1;
    }
    // Far ahead, which would move the window and the rollover counter.
    for sequence in (0..=65_535u16).step_by(1_111) {
        let mut wire = liar.next_packet().to_vec();
        wire[2..4].copy_from_slice(&sequence.to_be_bytes());
        wire.extend([7; 10]);
        inject(&mut relay, "192.0.2.1:4000", &wire);
        forged += 1;
    }
    assert_eq!(relayed(&mut relay, at(1), (B, Component::Rtp, b.at), &b.wire()).map(|(pair, _)| pair), Ok(A));
    let first = a.wire();
    let (_, out) = relayed(&mut relay, at(1), (A, Component::Rtp, a.at), &first).expect("the true one latches");
    b.hears(at(1), &out);
    // What was recorded is told again, by whom ever.
    inject(&mut relay, "192.0.2.1:4000", &first);
    inject(&mut relay, "203.0.113.66:9", &first);
    let mut report = Vec::new();
    rtcp::push_sender(&mut report, 7, &rtcp::SenderInfo::default(), &[]);
    report.extend([0x80, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let verdict = relayed(&mut relay, at(1), (A, Component::Rtcp, addr("192.0.2.1:4001")), &report);
    assert_eq!(verdict, Err(Dropped::Unauthentic));
    for n in 2..100 {
        one_exchange(&mut relay, at(n), &mut a, &mut b);
    }
    assert_eq!(b.heard.len(), 99);
    let counters = *relay.counters();
    let refused = counters.unauthentic + counters.replayed + counters.third_party;
    assert_eq!((refused, counters.no_key), (forged + 3, 0), "{counters:?}");
    assert!(counters.unauthentic > 50 && counters.replayed == 1, "{counters:?}");
}

#[test]
fn a_stranger_who_proves_itself_by_its_tags_is_the_party_behind_a_nat() {
    let kind = Kind::Sdes(Suite::AeadAes128Gcm);
    let mut relay = Relay::new(8);
    relay.join(A, B).expect("free");
    let mut a = Party::new(&mut relay, A, "10.0.0.5:4000", 440, kind);
    let mut b = Party::new(&mut relay, B, "198.51.100.1:6000", 1_000, Kind::Plain);
    a.at = addr("203.0.113.9:50000");
    for _ in 0..2 {
        let wire = a.wire();
        assert_eq!(relayed(&mut relay, at(0), (A, Component::Rtp, a.at), &wire), Err(Dropped::ThirdParty));
    }
    one_exchange(&mut relay, at(0), &mut a, &mut b);
    one_exchange(&mut relay, at(0), &mut b, &mut a);
}

#[test]
fn while_keys_are_awaited_nothing_crosses_and_nothing_leaves_in_the_clear() {
    let mut relay = Relay::new(8);
    relay.join(A, B).expect("free");
    let mut a = Party::new(&mut relay, A, "192.0.2.1:4000", 440, Kind::Plain);
    let mut b = Party::new(&mut relay, B, "198.51.100.1:6000", 1_000, Kind::Plain);
    relay.secure(A, Some(Box::new(Security::pending())));
    assert!(!relay.is_secured(A));
    for party in [&mut a, &mut b] {
        let wire = party.wire();
        let verdict = relayed(&mut relay, at(0), (party.pair, Component::Rtp, party.at), &wire);
        assert_eq!(verdict, Err(Dropped::NoKey));
    }
    relay.secure(A, None);
    let (edge, party) = ends(Kind::Keyed(Suite::AeadAes128Gcm), 5).expect("keys");
    relay.secure(A, Some(Box::new(Security::pending())));
    relay.secure(A, Some(Box::new(edge)));
    a.security = Some(party);
    assert!(relay.is_secured(A));
    one_exchange(&mut relay, at(1), &mut a, &mut b);
    one_exchange(&mut relay, at(1), &mut b, &mut a);
    assert_eq!(relay.counters().no_key, 2);
}

#[test]
fn what_the_relay_makes_itself_is_protected_too() {
    let (mut relay, mut a, mut b) = a_second_heard();
    relay.comfort(at(50), A, &media::player::Law::A.format(), None).unwrap();
    for n in 50..100 {
        relay.tick(at(n));
        while let Some(made) = relay.poll_made() {
            if !made.packet.is_empty() {
                let wire = made.packet.to_vec();
                a.hears(at(n), &wire);
            }
        }
    }
    for n in 100..150 {
        one_exchange(&mut relay, at(n), &mut b, &mut a);
    }
    assert_eq!(a.heard.len(), 150);
    let steps = a.heard.windows(2).map(|two| (two[1].ssrc, two[1].sequence.wrapping_sub(two[0].sequence)));
    assert!(steps.into_iter().all(|step| step == (a.heard[0].ssrc, 1)), "noise, and the party again, in one stream");
}

#[test]
fn a_secured_packet_allocates_nothing() {
    for suite in Suite::ALL {
        let mut relay = Relay::new(8);
        relay.join(A, B).expect("free");
        let mut a = Party::new(&mut relay, A, "192.0.2.1:4000", 440, Kind::Keyed(suite));
        let _b = Party::new(&mut relay, B, "198.51.100.1:6000", 1_000, Kind::Keyed(suite));
        let mut wires: Vec<(usize, [u8; 256])> = (0..2_000)
            .map(|_| {
                let wire = a.wire();
                let mut room = [0; 256];
                room[..wire.len()].copy_from_slice(&wire);
                (wire.len(), room)
            })
            .collect();
        let before = allocations::made();
        for (n, (length, room)) in wires.iter_mut().enumerate() {
            let from = if n % 7 == 3 { addr_of(9) } else { a.at };
            let mut packet = Packet::new(room, *length);
            relay.forward(at(n as u64), A, Component::Rtp, from, &mut packet);
        }
        assert_eq!(allocations::made() - before, 0, "{suite:?}");
        assert!(relay.counters().relayed > 1_500, "{suite:?}: {:?}", relay.counters());
    }
}

const fn addr_of(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 66)), port)
}

/// A check as a browser makes it, by the lines it was shown.
fn nomination(lines: &str) -> Vec<u8> {
    let value = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name)).expect("a line").to_owned();
    media::stun::request(&value("a=ice-pwd:"), &format!("{}:peer", value("a=ice-ufrag:")), 7, true)
}

#[test]
fn a_check_tells_where_a_side_is_and_a_strangers_does_not() {
    let mut relay = Relay::new(8);
    relay.join(A, B).expect("free");
    let mut a = Party::new(&mut relay, A, "10.0.0.5:4000", 440, Kind::Keyed(Suite::AeadAes128Gcm));
    let mut b = Party::new(&mut relay, B, "198.51.100.1:6000", 1_000, Kind::Plain);
    let own = media::sdp::Credentials::new(&mut Secrets::new([8; 32]));
    let lines = own.lines(addr("203.0.113.5:30000"));
    relay.ice(A, Some(Box::new(media::stun::IceLite::new(own))));
    let mut forged = nomination(&lines);
    forged[40] ^= 1;
    let verdict = relayed(&mut relay, at(0), (A, Component::Rtp, addr("203.0.113.66:9")), &forged);
    assert_eq!(verdict, Err(Dropped::BadCheck));
    a.at = addr("203.0.113.9:50000");
    let (pair, answer) = relayed(&mut relay, at(0), (A, Component::Rtp, a.at), &nomination(&lines)).expect("answered");
    assert!(pair == A && media::stun::is_stun(&answer));
    one_exchange(&mut relay, at(1), &mut a, &mut b);
    one_exchange(&mut relay, at(1), &mut b, &mut a);
    let counters = *relay.counters();
    assert_eq!((counters.checks, counters.bad_checks), (1, 1));
}

/// A handshake that says what it is told to, one step for each packet of the peer.
#[derive(Debug)]
struct Scripted {
    suite: Suite,
    steps: Vec<u8>,
    certificate: &'static [u8],
}

const MATERIAL: [u8; 60] = {
    let mut material = [0; 60];
    let mut n = 0;
    while n < 60 {
        material[n] = n as u8;
        n += 1;
    }
    material
};

impl Handshake for Scripted {
    fn take(&mut self, _: Instant, packet: &[u8]) -> Result<(), Failed> {
        self.steps = packet[1..].to_vec();
        if packet[1] == b'x' { Err(Failed) } else { Ok(()) }
    }

    fn tick(&mut self, _: Instant) -> Result<(), Failed> {
        self.steps = b"s".to_vec();
        Ok(())
    }

    fn poll<'a>(&mut self, room: &'a mut [u8]) -> Step<'a> {
        if self.steps.is_empty() {
            return Step::Wait(None);
        }
        match self.steps.remove(0) {
            b's' => {
                room[..3].copy_from_slice(&[22, 1, 1]);
                Step::Send(&room[..3])
            }
            b'c' => {
                room[..self.certificate.len()].copy_from_slice(self.certificate);
                Step::Certificate(&room[..self.certificate.len()])
            }
            _ => {
                room[..60].copy_from_slice(&MATERIAL);
                Step::Keys(Keys { suite: self.suite, material: &room[..60] })
            }
        }
    }
}

fn scripted() -> Box<Scripted> {
    Box::new(Scripted { suite: Suite::AesCm128HmacSha1_80, steps: Vec::new(), certificate: b"the certificate" })
}

fn shakes(relay: &mut Relay, now: Instant, from: &str, script: &[u8]) -> (Forward, usize) {
    let mut packet = vec![22];
    packet.extend(script);
    let verdict = relay.forward(now, A, Component::Rtp, addr(from), &mut Packet::whole(&mut packet));
    let mut made = 0;
    while let Some(packet) = relay.poll_made() {
        made += usize::from(packet.packet == [22, 1, 1] && packet.to == addr(from));
    }
    (verdict, made)
}

fn shaking(expected: &[u8]) -> (Relay, Party, Party) {
    let mut relay = Relay::new(200);
    relay.join(A, B).expect("free");
    let a = Party::new(&mut relay, A, "192.0.2.1:4000", 440, Kind::Plain);
    let b = Party::new(&mut relay, B, "198.51.100.1:6000", 1_000, Kind::Plain);
    relay.shape(A, Shape::Srtp);
    relay.shake(at(0), A, (Fingerprint::of(expected), Role::Server), scripted()).expect("room");
    (relay, a, b)
}

#[test]
fn keys_of_a_handshake_secure_its_side_and_latch_it_5764_4_2() {
    let (mut relay, mut a, mut b) = shaking(b"the certificate");
    relay.expect(A, &Peer { rtp: addr("192.0.2.1:9"), rtcp: None, mux: true });
    let verdict = shakes(&mut relay, at(0), "203.0.113.66:9", b"sck");
    assert_eq!(verdict, (Forward::Drop(Dropped::ThirdParty), 0), "not from where the side may be");
    assert_eq!(shakes(&mut relay, at(0), "192.0.2.1:4000", b"ssc"), (Forward::Made, 2));
    assert!(!relay.is_secured(A));
    assert_eq!(shakes(&mut relay, at(0), "192.0.2.1:4000", b"ks"), (Forward::Made, 1));
    assert!(relay.is_secured(A));
    assert_eq!(relay.shakes_with(A), Some((Fingerprint::of(b"the certificate"), Role::Server)));
    let keys = Keys { suite: Suite::AesCm128HmacSha1_80, material: &MATERIAL };
    a.security = keys.security(Role::Client);
    for n in 0..50 {
        one_exchange(&mut relay, at(n), &mut b, &mut a);
        one_exchange(&mut relay, at(n), &mut a, &mut b);
    }
    assert_eq!(shakes(&mut relay, at(60), "192.0.2.1:4000", b"s").1, 1, "its end is told again to who asks");
    relay.tick(at(5_000));
    assert_eq!(shakes(&mut relay, at(5_000), "192.0.2.1:4000", b"s").1, 0, "and not for ever");
    assert_eq!(relay.counters().handshakes_failed, 0);
}

#[test]
fn a_foreign_certificate_and_keys_without_one_are_never_believed() {
    let (mut relay, ..) = shaking(b"another certificate");
    assert_eq!(shakes(&mut relay, at(0), "192.0.2.1:4000", b"sck").1, 1);
    assert!(!relay.is_secured(A) && relay.counters().handshakes_foreign == 1);
    assert_eq!(shakes(&mut relay, at(1), "192.0.2.1:4000", b"sck"), (Forward::Drop(Dropped::NotRtp), 0));
    let (mut relay, ..) = shaking(b"the certificate");
    shakes(&mut relay, at(0), "192.0.2.1:4000", b"k");
    assert!(!relay.is_secured(A) && relay.counters().handshakes_failed == 1);
    let (mut relay, ..) = shaking(b"the certificate");
    shakes(&mut relay, at(0), "192.0.2.1:4000", b"x");
    assert_eq!(relay.counters().handshakes_failed, 1);
}

#[test]
fn a_handshake_goes_on_by_another_pair() {
    let mut relay = Relay::new(8);
    relay.join(B, A).expect("free");
    relay.expect(A, &Peer { rtp: addr("192.0.2.1:4000"), rtcp: None, mux: true });
    let expected = (Fingerprint::of(b"the certificate"), Role::Client);
    relay.shake(at(0), A, expected, scripted()).expect("room");
    relay.repoint(B, PairId(5)).expect("free");
    relay.tick(at(1));
    let made = relay.poll_made().map(|made| (made.pair, made.to));
    assert_eq!(made, Some((PairId(5), addr("192.0.2.1:4000"))));
    relay.tick(at(2_000));
    assert_eq!(relay.counters().handshakes_failed, 1, "and is given up there");
}

#[test]
fn handshakes_have_a_limit_in_number_and_in_time() {
    let (mut relay, ..) = shaking(b"the certificate");
    let expected = (Fingerprint::of(b"the certificate"), Role::Server);
    for n in 1..70 {
        let pair = PairId(2 * n);
        relay.join(pair, PairId(2 * n + 1)).expect("free");
        assert_eq!(relay.shake(at(0), pair, expected, scripted()).is_ok(), n < 64, "{n}");
    }
    relay.tick(at(1_000));
    assert_eq!(relay.counters().handshakes_failed, 0);
    relay.tick(at(2_000));
    assert_eq!((relay.counters().handshakes_failed, relay.counters().handshakes_refused), (64, 6));
    assert!(relay.shake(at(2_000), PairId(138), expected, scripted()).is_ok(), "there is room again");
}
