//! What 20 ms of sound cost in each codec, both ways. Printed, never asserted: `cargo bench -p media --bench codec`.
#![allow(clippy::expect_used, clippy::disallowed_methods)]

use media::codec::{BuiltIn, Depacketizer, Origin, Packetizer, Rate, Sound, Vocoders};
use media::{Codec, Format, rtp};
use model::Span;
use std::hint::black_box;
use std::time::Instant;

const PACKETS: usize = 500;
const ROUNDS: usize = 5;

/// Like a voice: harmonics of a pitch, four syllables a second.
fn voice(rate: Rate) -> Vec<i16> {
    let sample = |n: usize| {
        let time = n as f32 / rate.hz() as f32;
        let turn = core::f32::consts::TAU * time;
        let harmonics = (1..20u8).map(|k| (turn * 130.0 * f32::from(k)).sin() / f32::from(k));
        (4_000.0 * (0.6 - 0.4 * (turn * 4.0).cos()) * harmonics.sum::<f32>()) as i16
    };
    (0..PACKETS * 20 * rate.per_ms()).map(sample).collect()
}

fn best(mut run: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        run();
        began.elapsed().as_nanos() as f64 / PACKETS as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}

/// Nanoseconds of a packet into and out of this format, and into a made up one.
fn measure(format: &Format, rate: Rate) -> [f64; 3] {
    let voice = voice(rate);
    let mut sent = Vec::new();
    let make = |sent: &mut Vec<Vec<u8>>| {
        sent.clear();
        let mut packetizer = Packetizer::new(format, rate, &BuiltIn).expect("built in");
        for (n, samples) in voice.chunks(20 * rate.per_ms()).enumerate() {
            let (mut samples, at) = (samples.to_vec(), (n * 20 * rate.per_ms()) as u64);
            let sound = Sound { at, samples: &mut samples, origin: Origin::Spoken };
            packetizer.put(&sound, &mut |packet| sent.push(packet.payload.to_vec()));
        }
    };
    let encode = best(|| make(&mut sent));
    let decode = |every: usize| {
        let mut depacketizer = Depacketizer::new(format, rate, &BuiltIn).expect("built in");
        for (n, payload) in sent.iter().enumerate().filter(|(n, _)| every == 0 || n % every != 0) {
            let timestamp = n as u32 * format.clock / 50;
            let (marker, payload_type, sequence) = (false, format.payload_type, n as u16);
            let header = rtp::Header { marker, payload_type, sequence, timestamp, ssrc: 1 };
            let now = model::Instant::ZERO + Span::from_millis(20 * n as u64);
            depacketizer.take(now, &header, payload, &mut |sound| {
                black_box(sound);
            });
        }
    };
    let (whole, holed) = (best(|| decode(0)), best(|| decode(4)));
    // Of four packets one was made up and three were decoded.
    [encode, whole, 4.0 * holed - 3.0 * whole]
}

fn main() {
    println!("20 ms of sound, best of {ROUNDS} rounds, in microseconds");
    println!("{:<8}{:>8}{:>10}{:>10}{:>10}", "codec", "Hz", "encode", "decode", "conceal");
    for codec in Codec::ALL.into_iter().filter(|codec| BuiltIn.has(*codec)) {
        for rate in [Rate::Narrow, Rate::Wide] {
            let payload_type = codec.fixed_payload_type().unwrap_or(97);
            let clock = codec.clock().unwrap_or(rate.hz());
            let format = Format { codec, payload_type, clock, packet_ms: 20 };
            let [encode, decode, conceal] = measure(&format, rate).map(|ns| ns / 1_000.0);
            println!("{:<8}{:>8}{encode:>10.2}{decode:>10.2}{conceal:>10.2}", codec.name(), rate.hz());
        }
    }
    println!("Sound of the other rate is resampled on its way in; out comes each codec's own.");
}
