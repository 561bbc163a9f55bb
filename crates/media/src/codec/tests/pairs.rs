//! Every ordered pair of codecs: a tone and speech into the first, out of it, into the second, out of it.

use super::signal::{decibels, likeness, snr, speech, tone};
use super::*;

/// Least signal to noise in decibels that a tone of 440 Hz and speech have after the pair, whichever of the two is the coarser.
const LIMITS: &[(Codec, f64, f64)] =
    &[(Codec::Pcma, 33.0, 30.0), (Codec::Pcmu, 33.0, 30.0), (Codec::G722, 25.0, 20.0), (Codec::L16, 45.0, 40.0)];

/// What is lost when two codecs' noises come together, and the band that the narrower of them does not have.
const TOGETHER: f64 = 3.5;

fn limits(first: Codec, second: Codec) -> (f64, f64) {
    let of = |codec| LIMITS.iter().find(|limit| limit.0 == codec).map(|limit| (limit.1, limit.2)).unwrap();
    let (first, second) = (of(first), of(second));
    (first.0.min(second.0) - TOGETHER, first.1.min(second.1) - TOGETHER)
}

/// Least likeness of spectra after a pair in which one does not keep the wave.
const LIKENESS: &[(Codec, f64, f64)] = &[(Codec::Opus, 0.85, 0.95)];

/// A sound at `rate` through one codec; what comes out, and its rate.
fn through(codec: Codec, packet_ms: u8, rate: Rate, sound: &[i16]) -> (Vec<i16>, Rate) {
    let format = format(codec, packet_ms);
    let mut packetizer = Packetizer::new(&format, rate, &BuiltIn).unwrap();
    let made = packets(&mut packetizer, sound, 20 * rate.per_ms());
    let mut depacketizer = Depacketizer::new(&format, rate, &BuiltIn).unwrap();
    let heard = hear(&mut depacketizer, &made);
    assert!(heard.iter().all(|(_, origin, _)| *origin == Origin::Spoken), "{codec:?}");
    assert_eq!(depacketizer.counts().lost, 0);
    (line(&heard), depacketizer.rate())
}

/// Through two; what comes out at the rate that went in.
fn through_two(first: Codec, second: Codec, packet_ms: [u8; 2], sound: &[i16]) -> Vec<i16> {
    let (between, rate) = through(first, packet_ms[0], Rate::Narrow, sound);
    let (mut out, rate) = through(second, packet_ms[1], rate, &between);
    if rate == Rate::Wide {
        let mut narrow = std::vec![0; out.len() / 2];
        let mut resampler = resample::Resampler::new(Rate::Wide, Rate::Narrow).unwrap();
        for (wide, narrow) in out.chunks(960).zip(narrow.chunks_mut(480)) {
            resampler.run(wide, narrow);
        }
        out = narrow;
    }
    out
}

#[test]
fn every_codec_becomes_every_other() {
    let (tone, speech) = (tone(440, 8_000, 8_000, 10_000.0), speech(8_000, 8_000));
    for (first, ..) in LIMITS {
        for (second, ..) in LIMITS {
            let (for_tone, for_speech) = limits(*first, *second);
            for (what, was, limit) in [("a tone", &tone, for_tone), ("speech", &speech, for_speech)] {
                let is = through_two(*first, *second, [20, 20], was);
                let noise = snr(was, &is);
                assert!(noise > limit, "{what} from {first:?} to {second:?}: {noise:.1} dB, not {limit}");
                let off = decibels(&was[1_000..]) - decibels(&is[1_000..]);
                assert!(off.abs() < 1.0, "{what} from {first:?} to {second:?} is {off:.1} dB softer");
            }
        }
    }
}

#[test]
fn codecs_that_do_not_keep_the_wave_keep_its_spectrum() {
    let (tone, speech) = (tone(440, 8_000, 8_000, 10_000.0), speech(8_000, 12_000));
    let mut bad = Vec::new();
    for (first, for_tone, for_speech) in LIKENESS {
        for second in LIMITS.iter().map(|limit| limit.0).chain(LIKENESS.iter().map(|limit| limit.0)) {
            for (one, two) in [(*first, second), (second, *first)] {
                for (what, was, limit) in [("a tone", &tone, for_tone), ("speech", &speech, for_speech)] {
                    let is = through_two(one, two, [20, 20], was);
                    let alike = likeness(was, &is);
                    let off = decibels(&was[1_000..]) - decibels(&is[1_000..]);
                    if alike < *limit || off.abs() > 1.5 {
                        bad.push(std::format!("{what} from {one:?} to {two:?}: {alike:.3}, {off:.1} dB softer"));
                    }
                }
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn packets_of_one_length_become_packets_of_another() {
    let tone = tone(440, 8_000, 3_600, 10_000.0);
    for codec in [Codec::Pcma, Codec::G722, Codec::L16] {
        for first in [10, 30, 60] {
            for second in [10, 20, 30, 40, 60] {
                let is = through_two(Codec::Pcmu, codec, [first, second], &tone);
                assert!(is.len() + 8 * 60 >= tone.len(), "nothing is lost but what fills no packet");
                let (noise, limit) = (snr(&tone, &is), limits(Codec::Pcmu, codec).0);
                assert!(noise > limit, "{first} ms of PCMU to {second} ms of {codec:?}: {noise:.1} dB");
            }
        }
    }
}

#[test]
fn packets_are_as_long_as_wanted_or_the_next_less() {
    for (codec, wanted, made, bytes) in [
        (Codec::Pcma, 20, 20, 160),
        (Codec::Pcmu, 60, 60, 480),
        (Codec::Pcmu, 200, 60, 480),
        (Codec::Pcmu, 0, 10, 80),
        (Codec::G722, 30, 30, 240),
        (Codec::L16, 60, 40, 1_280),
        (Codec::Opus, 30, 20, 0),
        (Codec::Opus, 60, 60, 0),
    ] {
        let mut packetizer = Packetizer::new(&format(codec, wanted), Rate::Wide, &BuiltIn).unwrap();
        assert_eq!(packetizer.packet_ms(), made, "{codec:?}");
        let packets = packets(&mut packetizer, &[0; 4_000], 160);
        assert!(packets.iter().all(|packet| bytes == 0 || packet.payload.len() == bytes), "{codec:?}");
        let step = packetizer.format().clock / 1_000 * made as u32;
        let steps = packets.windows(2).map(|two| two[1].header.timestamp.wrapping_sub(two[0].header.timestamp));
        assert!(steps.into_iter().all(|found| found == step), "{codec:?}");
        let markers: Vec<bool> = packets.iter().map(|packet| packet.header.marker).collect();
        assert!(markers[0] && !markers[1..].contains(&true));
    }
}

#[test]
fn what_is_not_here_says_so() {
    let g729 = format(Codec::G729, 20);
    assert_eq!(Depacketizer::new(&g729, Rate::Narrow, &BuiltIn).err(), Some(NoCodec::NotHere(Codec::G729)));
    assert_eq!(Packetizer::new(&g729, Rate::Narrow, &BuiltIn).err(), Some(NoCodec::NotHere(Codec::G729)));
    assert!(!BuiltIn.has(Codec::G729) && BuiltIn.has(Codec::G722));
    let odd = Format { clock: 44_100, ..format(Codec::L16, 20) };
    assert_eq!(Packetizer::new(&odd, Rate::Narrow, &BuiltIn).err(), Some(NoCodec::Clock(odd)));
    let odd = Format { clock: 16_000, ..format(Codec::G722, 20) };
    let error = Depacketizer::new(&odd, Rate::Wide, &BuiltIn).err().unwrap();
    assert_eq!(std::format!("{error}"), "G722/16000 cannot be spoken here");
}
