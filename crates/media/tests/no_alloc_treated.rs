//! A treated stream allocates nothing once it runs: packets of sound in another codec, tones found and told, digits dialled.
#![allow(clippy::unwrap_used)]

use media::codec::{BuiltIn, Origin, Packetizer, Rate, Sound};
use media::dtmf::inband::Generator;
use media::{Codec, Component, Digit, Digits, Format, Packet, PairId, Peer, Relay, Speech, rtp};
use model::{Instant, Span};
use std::net::SocketAddr;

const A: PairId = PairId(0);
const B: PairId = PairId(1);

fn speech(codec: Codec, payload_type: u8, digits: Digits) -> Speech {
    let format = Format { codec, payload_type, clock: 8_000, packet_ms: 20 };
    Speech { formats: [format].into_iter().collect(), digits, noise: None }
}

/// A second of packets: a tone of 200 ms, then silence, then events.
fn packets(codec: Codec) -> Vec<Vec<u8>> {
    let rate = Rate::of(codec, 8_000).unwrap();
    let payload_type = codec.fixed_payload_type().unwrap();
    let mut packetizer =
        Packetizer::new(&Format { codec, payload_type, clock: 8_000, packet_ms: 20 }, rate, &BuiltIn).unwrap();
    let (mut generator, mut packets) = (Generator::new(rate.hz()), Vec::new());
    generator.begin(Digit::of_key(b'5').unwrap());
    let mut sound = vec![0i16; 20 * rate.per_ms()];
    for n in 0..40u64 {
        if n == 10 {
            generator.end();
        }
        generator.fill(&mut sound);
        let at = n * sound.len() as u64;
        packetizer.put(&Sound { at, samples: &mut sound, origin: Origin::Spoken }, &mut |encoded| {
            let mut packet = vec![0; rtp::HEADER];
            packet[1] = payload_type;
            packet.extend(encoded.payload);
            packets.push(packet);
        });
    }
    for n in 0..10u8 {
        let mut packet = vec![0; rtp::HEADER];
        packet[1] = 101;
        packet.extend([7, u8::from(n > 6) << 7, 0, 160]);
        packets.push(packet);
    }
    packets
}

#[test]
fn what_is_treated_allocates_nothing() {
    let events = Digits::Events { payload_type: 101, clock: 8_000 };
    let ways = [
        (speech(Codec::Pcma, 8, Digits::Inband), speech(Codec::G722, 9, events)),
        (speech(Codec::G722, 9, events), speech(Codec::Pcmu, 0, Digits::Inband)),
        (speech(Codec::Pcma, 8, events), speech(Codec::Pcma, 8, Digits::Info)),
        (speech(Codec::Pcma, 8, Digits::Info), speech(Codec::Pcma, 8, events)),
    ];
    for (a, b) in &ways {
        let mut relay = Relay::new(8);
        relay.join(A, B).unwrap();
        let address = |side: PairId| SocketAddr::from(([192, 0, 2, 1 + side.0 as u8], 4_000));
        for side in [A, B] {
            relay.expect(side, &Peer { rtp: address(side), rtcp: None, mux: false });
        }
        relay.interwork(A, a, b).unwrap();
        let mut packets = packets(a.formats[0].codec);
        let (mut before, mut made, mut told) = (0, 0u64, 0u64);
        for n in 0..50 * 30u32 {
            // The first seconds take what room there is to be taken.
            if n == 50 * 5 {
                before = allocations::made();
            }
            let now = Instant::ZERO + Span::from_millis(1_000 + 20 * u64::from(n));
            let turn = n as usize % 50;
            let packet = &mut packets[turn];
            let header = rtp::Header {
                marker: false,
                payload_type: packet[1] & 0x7f,
                sequence: n as u16,
                timestamp: if turn >= 40 { (n - turn as u32 + 40) * 160 } else { n * 160 },
                ssrc: 7,
            };
            let mut copy = [0; 400];
            copy[..packet.len()].copy_from_slice(packet);
            rtp::write(copy.first_chunk_mut().unwrap(), &header);
            let length = packet.len();
            relay.tick(now);
            relay.forward(now, A, Component::Rtp, address(A), &mut Packet::new(&mut copy, length));
            if a.digits == Digits::Info && turn == 5 {
                relay.dial(now, B, Digit::of_key(b'9').unwrap(), Span::from_millis(120)).unwrap();
            }
            while relay.poll_made().is_some() {
                made += 1;
            }
            while relay.poll_event().is_some() {
                told += 1;
            }
        }
        let dialled = if a.digits == Digits::Info { 30 - 5 } else { 0 };
        // A digit by signalling is not a packet: it may look up what its sides speak.
        assert!(allocations::made() - before <= 4 * dialled, "allocations between {a:?} and {b:?}");
        assert!(made > 100 || told >= 29, "{made} made, {told} told");
    }
}
