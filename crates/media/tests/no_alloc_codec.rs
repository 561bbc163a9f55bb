//! Sound from packets and packets from sound cost no allocation, whatever happens to the packets.
#![allow(clippy::expect_used)]

use media::codec::{BuiltIn, Depacketizer, Packetizer, Rate, Vocoders};
use media::{Codec, Format, rtp};
use model::{Instant, Rng, Span};

fn format(codec: Codec, packet_ms: u8) -> Format {
    Format { codec, payload_type: 97, clock: codec.clock().unwrap_or(16_000), packet_ms }
}

/// Packets, some lost, late, twice, of noise, of events, cut short, after a pause; how many were heard of them.
fn run(first: Codec, second: Codec) -> u64 {
    let mut source = Packetizer::new(&format(first, 20), Rate::Narrow, &BuiltIn).expect("built in");
    let ear = Depacketizer::new(&format(first, 20), Rate::Wide, &BuiltIn).expect("built in");
    let mut ear = ear.with_noise(Some(13));
    let mouth = Packetizer::new(&format(second, 30), ear.rate(), &BuiltIn).expect("built in");
    let mut mouth = mouth.with_noise(Some(13));
    let (mut rng, mut now, mut at, mut sequence, mut made) = (Rng::new(4), Instant::ZERO, 0u64, 0u16, 0u64);
    let before = allocations::made();
    for n in 0..1_500u64 {
        let chance = rng.next_u64() % 100;
        let loud = if n % 200 < 150 { 51 } else { 59 };
        let mut samples = [0i16; 160];
        samples.iter_mut().for_each(|sample| *sample = (rng.next_u64() as i64 >> loud) as i16);
        at += if chance == 0 { 8_000 } else { 0 };
        now += Span::from_millis(if chance == 0 { 1_020 } else { 20 });
        let sound = media::codec::Sound { at, samples: &mut samples, origin: media::codec::Origin::Spoken };
        source.put(&sound, &mut |packet| {
            let payload_type = match chance {
                5 => 13,
                6 => 101,
                _ => packet.payload_type,
            };
            let sequence = if chance == 3 { sequence.wrapping_sub(9) } else { sequence };
            let ssrc = 1 + n as u32 / 150;
            let header =
                rtp::Header { marker: packet.marker, payload_type, sequence, timestamp: packet.timestamp, ssrc };
            let payload = if chance == 4 { &packet.payload[..1] } else { packet.payload };
            if !(8..=20).contains(&chance) {
                ear.take(now, &header, payload, &mut |sound| mouth.put(&sound, &mut |_| made += 1));
            }
        });
        ear.go_on_quietly(&mut |sound| mouth.put(&sound, &mut |_| made += 1));
        (at, sequence) = (at + 160, sequence.wrapping_add(1));
    }
    assert_eq!(allocations::made() - before, 0, "{first:?} to {second:?}");
    let counts = ear.counts();
    let all = [counts.lost, counts.concealed, counts.late, counts.noise, counts.other, counts.restarts];
    assert!(all.iter().all(|count| *count > 0), "everything happened: {counts:?}");
    made
}

#[test]
fn no_packet_allocates() {
    // The library that speaks Opus allocates in every frame: it is the only one that does.
    for codec in Codec::ALL.into_iter().filter(|codec| BuiltIn.has(*codec) && *codec != Codec::Opus) {
        for (first, second) in [(codec, Codec::Pcmu), (Codec::Pcmu, codec)] {
            assert!(run(first, second) > 400, "{first:?} to {second:?}");
        }
    }
}
