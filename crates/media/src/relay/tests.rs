//! The relay's own rules: who is heard, where it goes, what is counted.

use super::*;
use crate::player::Law;
use proptest::prelude::*;

const A: PairId = PairId(0);
const B: PairId = PairId(1);
const NOW: Instant = Instant::from_micros(5_000_000);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn peer(rtp: &str) -> Peer {
    Peer { rtp: addr(rtp), rtcp: None, mux: false }
}

fn packet(ssrc: u32, sequence: u16) -> [u8; 172] {
    let mut packet = [0; 172];
    let header = rtp::Header { marker: false, payload_type: 8, sequence, timestamp: 160, ssrc };
    rtp::write(packet.first_chunk_mut().unwrap(), &header);
    packet
}

fn anchored() -> Relay {
    let mut relay = Relay::new(64);
    relay.join(A, B).unwrap();
    relay.expect(A, &peer("192.0.2.1:4000"));
    relay.expect(B, &peer("198.51.100.1:6000"));
    relay
}

#[test]
fn both_directions_cross() {
    let mut relay = anchored();
    let there = relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut Packet::whole(&mut packet(1, 1)));
    assert_eq!(there, Forward::Send { pair: B, component: Component::Rtp, to: addr("198.51.100.1:6000") });
    let back = relay.forward(NOW, B, Component::Rtp, addr("198.51.100.1:6000"), &mut Packet::whole(&mut packet(2, 1)));
    assert_eq!(back, Forward::Send { pair: A, component: Component::Rtp, to: addr("192.0.2.1:4000") });
    let counted = relay.release(A);
    assert_eq!((counted.first.relayed, counted.second.relayed, relay.joined()), (1, 1, 0));
}

#[test]
fn a_kept_pair_hears_everything_itself_until_it_is_let_go() {
    let mut relay = anchored();
    let (own, from) = (PairId(5), addr("203.0.113.66:9"));
    relay.keep(own).unwrap();
    assert_eq!((relay.keep(own), relay.keep(A)), (Err(NotFree(own)), Err(NotFree(A))));
    assert_eq!((relay.join(own, PairId(6)), relay.repoint(A, own)), (Err(NotFree(own)), Err(NotFree(own))));
    assert_eq!(relay.forward(NOW, own, Component::Rtp, from, &mut Packet::whole(&mut packet(1, 1))), Forward::Local);
    assert_eq!(relay.forward(NOW, own, Component::Rtcp, from, &mut Packet::whole(&mut [0; 4])), Forward::Local);
    relay.let_go(own);
    let verdict = relay.forward(NOW, own, Component::Rtp, from, &mut Packet::whole(&mut packet(1, 2)));
    assert_eq!((verdict, relay.counters().local), (Forward::Drop(Dropped::NoAnchor), 2));
}

#[test]
fn a_third_party_is_refused_and_counted() {
    let mut relay = anchored();
    relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut Packet::whole(&mut packet(1, 1)));
    let verdict =
        relay.forward(NOW, A, Component::Rtp, addr("203.0.113.66:4000"), &mut Packet::whole(&mut packet(6, 6)));
    assert_eq!(verdict, Forward::Drop(Dropped::ThirdParty));
    assert_eq!((relay.counters().third_party, relay.counted(A).first.refused), (1, 1));
}

#[test]
fn rtcp_goes_one_port_above_or_where_it_is_wanted() {
    let mut relay = anchored();
    let mut report = [0u8; 28];
    (report[0], report[1]) = (0x80, 200);
    let forward = |relay: &mut Relay, report: &mut [u8]| {
        relay.forward(NOW, A, Component::Rtcp, addr("192.0.2.1:4001"), &mut Packet::whole(report))
    };
    let to = |port| Forward::Send {
        pair: B,
        component: Component::Rtcp,
        to: SocketAddr::new(addr("198.51.100.1:1").ip(), port),
    };
    assert_eq!(forward(&mut relay, &mut report), to(6001));
    relay.expect(B, &Peer { rtcp: Some(addr("198.51.100.1:7777")), ..peer("198.51.100.1:6000") });
    assert_eq!(forward(&mut relay, &mut report), to(7777));
    relay.expect(B, &Peer { mux: true, ..peer("198.51.100.1:6000") });
    relay.expect(A, &Peer { mux: true, ..peer("192.0.2.1:4000") });
    let muxed = Forward::Send { pair: B, component: Component::Rtp, to: addr("198.51.100.1:6000") };
    assert_eq!(forward(&mut relay, &mut report), muxed);
    assert_eq!(
        relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut Packet::whole(&mut report)),
        muxed,
        "RFC 5761"
    );
}

#[test]
fn a_repointed_anchor_keeps_its_caller() {
    let mut relay = anchored();
    relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut Packet::whole(&mut packet(1, 1)));
    relay.repoint(A, PairId(9)).unwrap();
    relay.expect(PairId(9), &peer("203.0.113.1:8000"));
    let there = relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut Packet::whole(&mut packet(1, 2)));
    assert_eq!(there, Forward::Send { pair: PairId(9), component: Component::Rtp, to: addr("203.0.113.1:8000") });
    assert_eq!(
        relay.forward(NOW, B, Component::Rtp, addr("1.1.1.1:1"), &mut Packet::whole(&mut packet(1, 2))),
        Forward::Drop(Dropped::NoAnchor)
    );
    assert!(relay.join(B, PairId(3)).is_ok(), "the old pair is free");
}

#[test]
fn pairs_are_joined_once_and_within_the_limit() {
    let mut relay = anchored();
    assert_eq!(relay.join(A, PairId(5)), Err(NotFree(A)));
    assert_eq!(relay.join(PairId(64), PairId(5)), Err(NotFree(PairId(64))));
    assert_eq!(relay.join(PairId(5), PairId(5)), Err(NotFree(PairId(5))));
}

#[test]
fn fax_is_carried_as_it_is_and_from_no_one_else() {
    let mut relay = anchored();
    relay.shape(A, Shape::Opaque);
    let mut udptl = [0u8, 1, 2, 3, 4];
    let mut forward = |from| relay.forward(NOW, A, Component::Rtp, addr(from), &mut Packet::whole(&mut udptl));
    assert!(matches!(forward("192.0.2.1:4000"), Forward::Send { pair: B, .. }));
    assert_eq!(forward("203.0.113.66:4000"), Forward::Drop(Dropped::ThirdParty));
    assert_eq!((udptl, relay.counted(A).first.relayed), ([0, 1, 2, 3, 4], 1));
    assert_eq!(relay.silence(NOW, A), None, "the silence of a fax means nothing");
}

#[test]
fn dtls_passes_for_srtp_alone_7983_7() {
    let mut relay = anchored();
    let mut hello = [22u8; 60];
    let forward = |relay: &mut Relay, hello: &mut [u8]| {
        relay.forward(NOW, A, Component::Rtp, addr("192.0.2.1:4000"), &mut Packet::whole(hello))
    };
    assert_eq!(forward(&mut relay, &mut hello), Forward::Drop(Dropped::NotRtp));
    relay.shape(A, Shape::Srtp);
    assert!(matches!(forward(&mut relay, &mut hello), Forward::Send { .. }));
    assert_eq!(forward(&mut relay, &mut [0u8; 60]), Forward::Drop(Dropped::NotRtp), "STUN leads around us");
}

#[test]
fn srtp_that_passes_is_never_touched_3711_3_3() {
    let mut relay = anchored();
    relay.shape(B, Shape::Srtp);
    for mut sent in [packet(7, 10), packet(9, 500), packet(9, 501)] {
        let before = sent;
        let mut passing = Packet::whole(&mut sent);
        let verdict = relay.forward(NOW, B, Component::Rtp, addr("198.51.100.1:6000"), &mut passing);
        assert!(matches!(verdict, Forward::Send { .. }));
        assert_eq!(sent, before, "another source, as it is");
    }
}

#[test]
fn a_goodbye_of_the_trunk_that_is_left_does_not_end_what_the_caller_hears() {
    let mut relay = anchored();
    relay.forward(NOW, B, Component::Rtp, addr("198.51.100.1:6000"), &mut Packet::whole(&mut packet(7, 1)));
    let mut bye = Vec::new();
    rtcp::push_receiver(&mut bye, 7, &[]);
    rtcp::push_bye(&mut bye, 7);
    let before = bye.clone();
    relay.forward(NOW, B, Component::Rtcp, addr("198.51.100.1:6001"), &mut Packet::whole(&mut bye));
    assert_eq!(bye, before, "while nothing has changed it passes untouched");
    relay.expect(B, &peer("203.0.113.1:8000"));
    relay.forward(NOW, B, Component::Rtcp, addr("198.51.100.1:6001"), &mut Packet::whole(&mut bye));
    assert_eq!(rtcp::parts(&bye).last().map(|part| (part.kind, part.count)), Some((rtcp::BYE, 0)));
}

#[test]
fn reports_name_the_stream_the_listener_knows_3550_7_2() {
    let mut relay = anchored();
    relay.forward(NOW, B, Component::Rtp, addr("198.51.100.1:6000"), &mut Packet::whole(&mut packet(7, 1)));
    relay.expect(B, &peer("203.0.113.1:8000"));
    relay.forward(NOW, B, Component::Rtp, addr("203.0.113.1:8000"), &mut Packet::whole(&mut packet(9, 500)));
    let mut report = Vec::new();
    rtcp::push_sender(&mut report, 9, &rtcp::SenderInfo::default(), &[]);
    relay.forward(NOW, B, Component::Rtcp, addr("203.0.113.1:8001"), &mut Packet::whole(&mut report));
    assert_eq!(rtcp::parts(&report).next().and_then(|part| part.ssrc()), Some(7));
    let mut answer = Vec::new();
    rtcp::push_receiver(&mut answer, 1, &[rtcp::Block { ssrc: 7, highest: 2, ..rtcp::Block::default() }]);
    relay.forward(NOW, A, Component::Rtcp, addr("192.0.2.1:4001"), &mut Packet::whole(&mut answer));
    let block = rtcp::parts(&answer).next().and_then(|part| part.blocks().next()).unwrap();
    assert_eq!((block.ssrc, block.highest), (9, 500), "and back");
    assert_eq!(relay.counted(A).first.relayed_rtcp, 1);
}

#[test]
fn comfort_noise_goes_on_as_the_stream_that_was_heard_until_that_is_heard_again() {
    let mut relay = anchored();
    let at = |ms| NOW + Span::from_millis(ms);
    let heard = |made: Made<'_>| (made.pair, made.to, rtp::read(made.packet).unwrap());
    relay.forward(NOW, B, Component::Rtp, addr("198.51.100.1:6000"), &mut Packet::whole(&mut packet(7, 100)));
    relay.tick(NOW);
    relay.comfort(at(400), A, &Law::Mu.format(), None).unwrap();
    assert_eq!(relay.deadline(), Some(at(400)));
    for n in 0..5u16 {
        relay.tick(at(400 + 20 * u64::from(n)));
        let (pair, to, header) = heard(relay.poll_made().unwrap());
        assert_eq!((pair, to), (A, addr("192.0.2.1:4000")));
        assert_eq!((header.ssrc, header.sequence, header.payload_type), (7, 101 + n, 0));
        assert_eq!(header.timestamp, 160 + 8 * (400 + 20 * u32::from(n)), "as if it had never stopped");
        assert_eq!(relay.poll_made(), None);
    }
    // The far side is heard again, from elsewhere and as another source.
    relay.expect(B, &peer("203.0.113.1:8000"));
    let mut back = packet(9, 5_000);
    relay.forward(at(500), B, Component::Rtp, addr("203.0.113.1:8000"), &mut Packet::whole(&mut back));
    assert_eq!(rtp::read(&back).map(|header| (header.ssrc, header.sequence)), Some((7, 106)));
    relay.tick(at(540));
    assert_eq!(relay.poll_made(), None);
    assert_eq!(relay.counters().comfort, 5);
}

#[test]
fn comfort_noise_ends_when_none_is_asked_for_and_with_its_call() {
    let mut relay = anchored();
    relay.comfort(NOW, A, &Law::A.format(), None).unwrap();
    relay.comfort(NOW, A, &Law::A.format(), None).unwrap();
    relay.tick(NOW);
    assert!(relay.poll_made().is_some() && relay.poll_made().is_none(), "asked twice, it comes once");
    relay.end_comfort(A);
    relay.tick(NOW + Span::from_millis(10));
    assert_eq!(relay.poll_made(), None);
    let again = NOW + Span::from_millis(15);
    relay.comfort(again, A, &Law::Mu.format(), None).unwrap();
    relay.tick(again + Span::from_millis(10));
    assert!(relay.poll_made().is_some() && relay.poll_made().is_none(), "what was set before counts no more");
    relay.release(A);
    relay.tick(NOW + Span::from_secs(1));
    assert_eq!(relay.poll_made(), None);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..200), pair in 0u32..70, rtcp: bool, shape in 0usize..3) {
        let mut relay = anchored();
        relay.shape(A, [Shape::Rtp, Shape::Srtp, Shape::Opaque][shape]);
        let component = if rtcp { Component::Rtcp } else { Component::Rtp };
        relay.forward(NOW, PairId(pair), component, addr("192.0.2.1:4000"), &mut Packet::whole(&mut bytes));
        let counted: u64 = relay.counters().iter().map(|(_, n)| n).sum();
        prop_assert_eq!(counted, 1, "every packet is counted once");
    }
}
