//! The relay's path allocates nothing: counted by the allocator itself, over every verdict it can reach.
#![allow(clippy::expect_used)]

use media::{Component, Counters, Dropped, Forward, Packet, PairId, Peer, Relay, Shape};
use model::{Instant, Span};
use std::net::SocketAddr;

const CALLER: PairId = PairId(0);
const CALLEE: PairId = PairId(1);
/// Joined to one that has not said where it listens.
const EARLY: PairId = PairId(2);
/// Joined to nothing.
const IDLE: PairId = PairId(7);
/// Kept for ourselves.
const KEPT: PairId = PairId(8);

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn peer(rtp: SocketAddr) -> Peer {
    Peer { rtp, rtcp: None, mux: false }
}

/// RTP; now and then a whole RTCP compound, DTLS, or nothing that is known.
fn fill(packet: &mut [u8; 172], n: u32) {
    packet[..2].copy_from_slice(&match n {
        _ if n.is_multiple_of(97) => [0x81, 200],
        _ if n.is_multiple_of(93) => [0x80, 203],
        _ if n.is_multiple_of(89) => [22, 254],
        _ if n.is_multiple_of(83) => [0, 0],
        _ => [0x80, 8],
    });
    // The length of a compound of one; of RTP the sequence number.
    let second = if packet[1] >= 200 { 42 } else { n as u16 };
    packet[2..4].copy_from_slice(&second.to_be_bytes());
    // The source changes now and then, so that continuity is written too.
    packet[8..12].copy_from_slice(&(n / 10_000).to_be_bytes());
}

#[test]
fn two_million_packets_allocate_nothing() {
    let (caller, stranger) = (addr("192.0.2.1:4000"), addr("203.0.113.66:9"));
    let callees = [addr("198.51.100.1:6000"), addr("198.51.100.1:6002"), addr("10.0.0.5:6000")];
    let nat = addr("203.0.113.9:50000");
    let mut relay = Relay::new(16);
    relay.join(CALLER, CALLEE).expect("free");
    relay.join(EARLY, PairId(3)).expect("free");
    relay.keep(KEPT).expect("free");
    relay.expect(CALLER, &peer(caller));
    relay.expect(EARLY, &peer(caller));
    let (mut packet, mut now, mut callee) = ([0u8; 172], Instant::ZERO, callees[0]);
    let (mut dropped, mut local) = ([0u64; 5], 0u64);
    let before = allocations::made();
    for n in 0..2_000_000u32 {
        now += Span::from_micros(100);
        if n.is_multiple_of(50_000) {
            // A hunt, a hold, another shape: what signalling does meanwhile costs the packets nothing either.
            let turn = (n / 50_000) as usize;
            callee = callees[turn % 3];
            relay.expect(CALLEE, &peer(callee));
            callee = if turn % 3 == 2 { nat } else { callee };
            relay.hold(CALLER, turn % 2 == 1);
            relay.gate(CALLEE, turn % 13 == 3);
            relay.shape(CALLEE, [Shape::Rtp, Shape::Rtp, Shape::Rtp, Shape::Srtp, Shape::Opaque][turn % 5]);
        }
        fill(&mut packet, n);
        let (pair, from) = match n % 6 {
            0 | 1 => (CALLER, caller),
            2 | 3 => (CALLEE, callee),
            4 => ([CALLER, CALLEE][(n / 6 % 2) as usize], stranger),
            _ => ([IDLE, EARLY, PairId(u32::MAX), KEPT][(n / 6 % 4) as usize], caller),
        };
        let component = if n.is_multiple_of(31) { Component::Rtcp } else { Component::Rtp };
        match relay.forward(now, pair, component, from, &mut Packet::whole(&mut packet)) {
            Forward::Send { .. } => {}
            Forward::Local => local += 1,
            Forward::Made => panic!("nothing is made of what passes as it is"),
            Forward::Drop(Dropped::NoAnchor) => dropped[0] += 1,
            Forward::Drop(Dropped::ThirdParty) => dropped[1] += 1,
            Forward::Drop(Dropped::NotRtp) => dropped[2] += 1,
            Forward::Drop(Dropped::NoPeer) => dropped[3] += 1,
            Forward::Drop(Dropped::Gated) => dropped[4] += 1,
            Forward::Drop(Dropped::Unauthentic | Dropped::Replayed | Dropped::NoKey | Dropped::BadCheck) => {
                panic!("no side is secured")
            }
            Forward::Drop(Dropped::Drilled) => {
                panic!("nothing is blocked")
            }
        }
    }
    let after = allocations::made();
    assert_eq!(after - before, 0, "allocations on the packet path");
    let counters = *relay.counters();
    assert!(counters.relayed > 1_000_000 && counters.relayed_rtcp > 5_000, "{counters:?}");
    assert!(local > 50_000 && local == counters.local, "{local} and {counters:?}");
    assert!(dropped.iter().all(|dropped| *dropped > 1_000), "every way out was taken: {dropped:?}");
    let Counters { no_anchor, third_party, not_rtp, no_peer, gated, .. } = counters;
    assert_eq!(dropped, [no_anchor, third_party, not_rtp, no_peer, gated]);
}
