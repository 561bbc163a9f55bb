//! What a listener hears where a stream changes hands: a hunt, a re-INVITE, a NAT, a hold. Only the public doors are used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use media::sdp::{Facing, Sdp};
use media::{Component, Dropped, Forward, Packet, PairId, Peer, Relay, rtp};
use model::{Instant, Span};
use proptest::prelude::*;
use std::net::SocketAddr;

const CALLER: PairId = PairId(0);
const CALLEE: PairId = PairId(1);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

fn peer(rtp: &str) -> Peer {
    Peer { rtp: addr(rtp), rtcp: None, mux: false }
}

fn anchored(caller: &str, callee: &str) -> Relay {
    let mut relay = Relay::new(16);
    relay.join(CALLER, CALLEE).unwrap();
    relay.expect(CALLER, &peer(caller));
    relay.expect(CALLEE, &peer(callee));
    relay
}

/// One packet from `from`; what leaves, or why nothing did.
fn say(
    relay: &mut Relay,
    ms: u64,
    pair: PairId,
    from: &str,
    source: (u32, u16, u32),
) -> Result<(SocketAddr, rtp::Header), Dropped> {
    let (ssrc, sequence, timestamp) = source;
    let mut packet = [0u8; 172];
    let header = rtp::Header { marker: false, payload_type: 8, sequence, timestamp, ssrc };
    rtp::write(packet.first_chunk_mut().unwrap(), &header);
    match relay.forward(at(ms), pair, Component::Rtp, addr(from), &mut Packet::whole(&mut packet)) {
        Forward::Send { to, .. } => Ok((to, rtp::read(&packet).unwrap())),
        Forward::Local | Forward::Made => Err(Dropped::NoAnchor),
        Forward::Drop(why) => Err(why),
    }
}

#[test]
fn a_late_packet_of_the_old_port_does_not_lock_out_the_new_port_of_the_same_host() {
    let mut relay = anchored("192.0.2.1:4000", "198.51.100.1:6000");
    say(&mut relay, 1_000, CALLEE, "198.51.100.1:6000", (7, 1, 160)).unwrap();
    // The next attempt ends at the same carrier's media host, another port; the old stream has a packet in flight.
    relay.expect(CALLEE, &peer("198.51.100.1:6002"));
    say(&mut relay, 1_020, CALLEE, "198.51.100.1:6000", (7, 2, 320)).expect("heard until the new one speaks");
    say(&mut relay, 1_040, CALLEE, "198.51.100.1:6002", (9, 1, 160)).expect("exactly the address of the SDP");
    assert_eq!(say(&mut relay, 1_060, CALLEE, "198.51.100.1:6000", (7, 3, 480)), Err(Dropped::ThirdParty));
    let (to, _) = say(&mut relay, 1_060, CALLER, "192.0.2.1:4000", (1, 1, 1)).unwrap();
    assert_eq!(to, addr("198.51.100.1:6002"));
}

#[test]
fn a_peer_behind_nat_is_still_heard_and_reached_after_it_names_another_private_port() {
    let mut relay = anchored("192.0.2.1:4000", "10.0.0.5:4000");
    for n in 0..5 {
        let _ = say(&mut relay, 1_000 + 20 * n, CALLEE, "203.0.113.9:50000", (7, n as u16, 160));
    }
    relay.expect(CALLEE, &peer("10.0.0.5:4002"));
    let (to, _) = say(&mut relay, 1_200, CALLER, "192.0.2.1:4000", (1, 1, 1)).unwrap();
    assert_eq!(to, addr("203.0.113.9:50000"), "a private address cannot be reached; its NAT can");
    let news: Vec<_> =
        (0..3).map(|n| say(&mut relay, 1_220, CALLEE, "203.0.113.9:50002", (8, n, 160)).is_ok()).collect();
    assert_eq!(news, [false, false, true], "three packets in a row prove the new hole in the NAT");
    let (to, _) = say(&mut relay, 1_300, CALLER, "192.0.2.1:4000", (1, 2, 2)).unwrap();
    assert_eq!(to, addr("203.0.113.9:50002"));
}

#[test]
fn the_next_trunk_may_be_behind_nat_too() {
    let mut relay = anchored("192.0.2.1:4000", "198.51.100.1:6000");
    say(&mut relay, 1_000, CALLEE, "198.51.100.1:6000", (7, 1, 160)).unwrap();
    relay.expect(CALLEE, &peer("10.1.1.1:8000"));
    let heard = (0..3).filter(|n| say(&mut relay, 1_100, CALLEE, "203.0.113.20:9000", (9, *n, 160)).is_ok()).count();
    assert_eq!(heard, 1, "the third packet in a row latches, although an old source was known");
}

#[test]
fn a_new_source_with_the_old_ssrc_continues_the_old_numbers() {
    let mut relay = anchored("192.0.2.1:4000", "198.51.100.1:6000");
    let (_, last) = say(&mut relay, 1_000, CALLEE, "198.51.100.1:6000", (7, 40_000, 900_000)).unwrap();
    relay.expect(CALLEE, &peer("203.0.113.1:8000"));
    let (_, next) = say(&mut relay, 1_020, CALLEE, "203.0.113.1:8000", (7, 3, 160)).unwrap();
    assert_eq!((next.ssrc, next.sequence), (7, last.sequence.wrapping_add(1)), "some senders use one SSRC for ever");
    assert_eq!(next.timestamp, last.timestamp + 160);
}

#[test]
fn the_same_stream_from_another_port_is_not_renumbered() {
    let mut relay = anchored("192.0.2.1:4000", "198.51.100.1:6000");
    say(&mut relay, 1_000, CALLEE, "198.51.100.1:6000", (7, 100, 16_000)).unwrap();
    relay.expect(CALLEE, &peer("198.51.100.1:6002"));
    // Four packets were lost on the way; the listener must see the hole, and the numbers SRTP was made with.
    let (_, next) = say(&mut relay, 1_100, CALLEE, "198.51.100.1:6002", (7, 105, 16_800)).unwrap();
    assert_eq!((next.ssrc, next.sequence, next.timestamp), (7, 105, 16_800));
}

#[test]
fn a_stream_of_two_sources_at_once_is_left_as_it_is() {
    let mut relay = anchored("192.0.2.1:4000", "198.51.100.1:6000");
    let mut changed = 0;
    for n in 0..100u16 {
        for (ssrc, base) in [(7, 0u16), (9, 30_000)] {
            let sent = (ssrc, base + n, u32::from(n) * 160);
            let (_, out) = say(&mut relay, 1_000 + 20 * u64::from(n), CALLEE, "198.51.100.1:6000", sent).unwrap();
            changed += u32::from((out.ssrc, out.sequence, out.timestamp) != sent);
        }
    }
    assert!(changed <= 3, "two sources were forged into one: {changed} packets changed");
}

#[test]
fn a_packet_whose_lengths_are_beyond_its_end_is_no_rtp() {
    let mut relay = anchored("192.0.2.1:4000", "198.51.100.1:6000");
    let mut packet = [0u8; 14];
    packet[0] = 0x80 | 0x10 | 0x0f;
    let verdict =
        relay.forward(at(1), CALLEE, Component::Rtp, addr("198.51.100.1:6000"), &mut Packet::whole(&mut packet));
    assert_eq!(verdict, Forward::Drop(Dropped::NotRtp));
}

#[test]
fn rtcp_reaches_a_peer_behind_nat() {
    let mut relay = anchored("192.0.2.1:4000", "10.0.0.5:4000");
    for n in 0..3 {
        let _ = say(&mut relay, 1_000, CALLEE, "203.0.113.9:50000", (7, n, 160));
    }
    say(&mut relay, 1_000, CALLER, "192.0.2.1:4000", (1, 1, 1)).unwrap();
    relay.expect(CALLEE, &Peer { rtcp: Some(addr("10.0.0.5:4001")), ..peer("10.0.0.5:4000") });
    let mut report = [0u8; 8];
    (report[0], report[1], report[3]) = (0x80, 201, 1);
    relay.forward(at(1_001), CALLEE, Component::Rtcp, addr("203.0.113.9:50001"), &mut Packet::whole(&mut report));
    let verdict =
        relay.forward(at(1_002), CALLER, Component::Rtcp, addr("192.0.2.1:4001"), &mut Packet::whole(&mut report));
    let expected = Forward::Send { pair: CALLEE, component: Component::Rtcp, to: addr("203.0.113.9:50001") };
    assert_eq!(verdict, expected, "to where its reports come from, not to its private address");
}

#[test]
fn rtcp_is_put_on_the_rtp_port_only_when_both_agreed_5761_5_1_1() {
    let mut relay = anchored("192.0.2.1:4000", "198.51.100.1:6000");
    relay.expect(CALLER, &Peer { mux: true, ..peer("192.0.2.1:4000") });
    let mut report = [0u8; 8];
    (report[0], report[1], report[3]) = (0x80, 201, 1);
    let verdict =
        relay.forward(at(1), CALLEE, Component::Rtcp, addr("198.51.100.1:6001"), &mut Packet::whole(&mut report));
    let expected = Forward::Send { pair: CALLER, component: Component::Rtcp, to: addr("192.0.2.1:4001") };
    assert_eq!(verdict, expected, "offered, but not answered");
}

const HELD: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8\r\na=sendrecv\r\na=source-filter: incl IN IP4 * 10.0.0.9\r\na=altc:1 IP4 10.0.0.9 4000\r\n\
    a=ice-pacing:50\r\na=rtcp-mux\r\n";

#[test]
fn a_hold_by_zeros_is_a_hold_towards_ipv6_too() {
    let facing =
        Facing { session: 1, version: 1, addr: "2001:db8::1".parse().unwrap(), ports: &[Some(20_000)], reach: &[] };
    let out = Sdp::parse(HELD.as_bytes()).unwrap().rewrite(&facing);
    let seen = Sdp::parse(&out).unwrap();
    assert_eq!(seen.streams()[0].direction, media::sdp::Direction::Inactive, "{}", String::from_utf8_lossy(&out));
}

#[test]
fn every_attribute_that_names_an_address_is_taken_away() {
    let facing =
        Facing { session: 1, version: 1, addr: "192.0.2.99".parse().unwrap(), ports: &[Some(20_000)], reach: &[] };
    let out = String::from_utf8(Sdp::parse(HELD.as_bytes()).unwrap().rewrite(&facing)).unwrap();
    assert!(!out.contains("10.0.0.9") && !out.contains("ice-") && out.contains("a=rtcp-mux"), "{out}");
}

#[test]
fn media_is_never_promised_to_a_multicast_group() {
    let asked = HELD.replace("c=IN IP4 0.0.0.0", "c=IN IP4 224.2.17.12/127");
    assert!(Sdp::parse(asked.as_bytes()).is_err(), "a relay would multiply what it is sent");
}

/// One attempt of a hunt: what its trunk sends, and how much of the trunk before is still on the way when it begins.
type Attempt = (u8, u16, u32, u16, u32, u16, u16);

proptest! {
    /// Attempts follow each other, on the same media host or another, with late packets of the one before. The caller hears one
    /// source, numbered without a hole; whoever speaks from the address of the SDP is heard from the first packet.
    #[test]
    fn over_a_whole_hunt_the_caller_hears_one_stream(
        attempts in prop::collection::vec(
            (1u8..4, any::<u16>(), any::<u32>(), any::<u16>(), any::<u32>(), 1u16..30, 0u16..4), 1..8,
        ),
    ) {
        let mut relay = anchored("192.0.2.1:4000", "198.51.100.200:6000");
        let mut last: Option<rtp::Header> = None;
        let mut before: Option<(String, (u32, u16, u32))> = None;
        let mut ms = 1_000;
        for (index, attempt) in attempts.into_iter().enumerate() {
            let (host, _, ssrc, sequence, timestamp, packets, late): Attempt = attempt;
            let from = format!("198.51.100.{host}:{}", 10_000 + 2 * index);
            relay.expect(CALLEE, &peer(&from));
            for _ in 0..late {
                let Some((old, next)) = &mut before else { break };
                let (_, heard) = say(&mut relay, ms, CALLEE, old, *next).expect("the old one is heard until the new one speaks");
                prop_assert_eq!(heard.sequence, last.unwrap().sequence.wrapping_add(1));
                last = Some(heard);
                *next = (next.0, next.1.wrapping_add(1), next.2.wrapping_add(160));
                ms += 20;
            }
            let mut next = (ssrc, sequence, timestamp);
            for _ in 0..packets {
                let (_, heard) = say(&mut relay, ms, CALLEE, &from, next).expect("the address of the SDP is heard at once");
                if let Some(last) = last {
                    prop_assert_eq!(heard.ssrc, last.ssrc);
                    prop_assert_eq!(heard.sequence, last.sequence.wrapping_add(1));
                    prop_assert!((1..0x8000_0000).contains(&heard.timestamp.wrapping_sub(last.timestamp)));
                }
                last = Some(heard);
                next = (next.0, next.1.wrapping_add(1), next.2.wrapping_add(160));
                ms += 20;
            }
            if let Some((old, source)) = before.replace((from, next)) {
                prop_assert_eq!(say(&mut relay, ms, CALLEE, &old, source), Err(Dropped::ThirdParty));
            }
        }
    }
}
