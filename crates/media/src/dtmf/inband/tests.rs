use super::*;
use crate::dtmf::Told;
use crate::g711;
use core::f32::consts::TAU;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const RATES: [u32; 2] = [8_000, 16_000];
const ALL: &[u8; 16] = b"123A456B789C*0#D";

fn samples(rate: u32, ms: f32) -> usize {
    (rate as f32 * ms / 1_000.0) as usize
}

/// Two tones of these frequencies and peaks.
fn pair(rate: u32, ms: f32, hz: [f32; 2], peaks: [f32; 2]) -> Vec<i16> {
    let wave = |n: usize, index: usize| libm::sinf(TAU * hz[index] * n as f32 / rate as f32 + 0.7) * peaks[index];
    (0..samples(rate, ms)).map(|n| (wave(n, 0) + wave(n, 1)) as i16).collect()
}

fn tones(digit: u8) -> [f32; 2] {
    let (row, column) = place(Digit::of_key(digit).unwrap());
    [TONES[row], TONES[4 + column]]
}

fn silence(rate: u32, ms: f32) -> Vec<i16> {
    vec![0; samples(rate, ms)]
}

fn noisy(sound: &[i16], rms: f32, seed: u64) -> Vec<i16> {
    let mut rng = model::Rng::new(seed);
    // Twelve even ones make nearly a normal one.
    let mut normal = || (0..12).map(|_| (rng.next_u64() >> 40) as f32 / 16_777_216.0).sum::<f32>() - 6.0;
    sound.iter().map(|sample| (f32::from(*sample) + normal() * rms) as i16).collect()
}

/// In packets of 20 ms: what is told, and which packets were said to have tones.
fn listen(rate: u32, sound: &[i16]) -> (Vec<Told>, Vec<bool>) {
    let (mut detector, mut told, mut muted) = (Detector::new(rate), Vec::new(), Vec::new());
    for packet in sound.chunks(samples(rate, 20.0)) {
        muted.push(detector.take(packet, &mut |word| told.push(word)).tones);
    }
    detector.finish(&mut |word| told.push(word));
    (told, muted)
}

fn keys(told: &[Told]) -> Vec<(u8, u64)> {
    let ended = told.iter().filter_map(|word| match word {
        Told::Ended { digit, duration } => Some((digit.key() as u8, duration.as_millis())),
        Told::Began { .. } => None,
    });
    let ended: Vec<_> = ended.collect();
    assert_eq!(told.len(), 2 * ended.len(), "each begins and ends once: {told:?}");
    ended
}

fn heard(rate: u32, sound: &[i16]) -> Vec<u8> {
    keys(&listen(rate, sound).0).into_iter().map(|(key, _)| key).collect()
}

fn between(rate: u32, sound: Vec<i16>) -> Vec<i16> {
    [silence(rate, 60.0), sound, silence(rate, 60.0)].concat()
}

#[test]
fn what_is_generated_is_detected_with_its_duration() {
    for rate in RATES {
        for ms in [50.0, 100.0, 163.0, 400.0] {
            for digit in ALL {
                let mut generator = Generator::new(rate);
                generator.begin(Digit::of_key(*digit).unwrap());
                let mut sound = silence(rate, ms + 100.0);
                let (first, rest) = sound.split_at_mut(samples(rate, ms));
                generator.fill(first);
                generator.end();
                generator.fill(rest);
                assert!(!generator.is_sounding());
                // Through the law of a telephone network.
                let sound: Vec<i16> = sound.iter().map(|sample| g711::decode_a(g711::encode_a(*sample))).collect();
                let found = keys(&listen(rate, &sound).0);
                assert!(
                    matches!(found[..], [(key, long)] if key == *digit && long.abs_diff(ms as u64) <= 10),
                    "{rate} {ms} {}: {found:?}",
                    *digit as char
                );
            }
        }
    }
}

#[test]
fn forty_milliseconds_are_a_digit_and_less_than_twenty_are_none_q_24() {
    for rate in RATES {
        for digit in ALL {
            // At any place within a block.
            for offset in [0.0, 1.0, 2.3, 4.1] {
                let sound = |ms| {
                    [silence(rate, 40.0 + offset), pair(rate, ms, tones(*digit), [6_000.0; 2]), silence(rate, 60.0)]
                        .concat()
                };
                assert_eq!(heard(rate, &sound(40.0)), [*digit], "{rate} {} {offset}", *digit as char);
                assert_eq!(heard(rate, &sound(19.5)), [], "{rate} {} {offset}", *digit as char);
            }
        }
    }
}

#[test]
fn one_and_a_half_percent_astray_is_a_digit_and_three_and_a_half_is_none_q_24() {
    for rate in RATES {
        for digit in ALL {
            let [row, column] = tones(*digit);
            for (by_row, by_column) in [(1.5, 1.5), (1.5, -1.5), (-1.5, 1.5), (-1.5, -1.5)] {
                let hz = [row * (1.0 + by_row / 100.0), column * (1.0 + by_column / 100.0)];
                let sound = between(rate, pair(rate, 50.0, hz, [6_000.0; 2]));
                assert_eq!(heard(rate, &sound), [*digit], "{rate} {} {by_row} {by_column}", *digit as char);
            }
            for (by_row, by_column) in [(3.5, 0.0), (-3.5, 0.0), (0.0, 3.5), (0.0, -3.5), (3.5, 3.5), (-5.0, -5.0)] {
                let hz = [row * (1.0 + by_row / 100.0), column * (1.0 + by_column / 100.0)];
                let sound = between(rate, pair(rate, 200.0, hz, [6_000.0; 2]));
                assert_eq!(heard(rate, &sound), [], "{rate} {} {by_row} {by_column}", *digit as char);
            }
        }
    }
}

#[test]
fn twist_has_limits_either_way_q_24() {
    let by = |db: f32| libm::powf(10.0, db / 20.0);
    for rate in RATES {
        for digit in ALL {
            let sound = |row: f32, column: f32| {
                between(rate, pair(rate, 60.0, tones(*digit), [4_000.0 * by(row), 4_000.0 * by(column)]))
            };
            assert_eq!(heard(rate, &sound(0.0, 4.0)), [*digit], "column louder {}", *digit as char);
            assert_eq!(heard(rate, &sound(8.0, 0.0)), [*digit], "row louder {}", *digit as char);
            assert_eq!(heard(rate, &sound(0.0, 9.0)), [], "column much louder {}", *digit as char);
            assert_eq!(heard(rate, &sound(12.0, 0.0)), [], "row much louder {}", *digit as char);
        }
    }
}

#[test]
fn loud_and_soft_ones_are_found_and_whispered_ones_are_not() {
    for rate in RATES {
        // Peaks of 0 dBm0 each, which clip together, down to -30 dBm0.
        for (peak, found) in [(16_000.0, true), (5_000.0, true), (750.0, true), (200.0, false)] {
            let sound = between(rate, pair(rate, 60.0, tones(b'5'), [peak; 2]));
            assert_eq!(!heard(rate, &sound).is_empty(), found, "{rate} {peak}");
        }
    }
}

#[test]
fn all_are_found_in_noise_15_db_below() {
    for rate in RATES {
        for digit in ALL {
            for seed in 0..10 {
                // RMS of the pair is its peak; 15 dB are a factor of 5.6.
                let sound = between(rate, pair(rate, 60.0, tones(*digit), [5_000.0; 2]));
                assert_eq!(
                    heard(rate, &noisy(&sound, 5_000.0 / 5.62, seed)),
                    [*digit],
                    "{rate} {} {seed}",
                    *digit as char
                );
            }
        }
    }
}

#[test]
fn a_break_of_ten_milliseconds_is_none_and_one_of_forty_is_two_digits_q_24() {
    for rate in RATES {
        for digit in ALL {
            for offset in [0.0, 1.7, 3.3] {
                let sound = |ms| {
                    let tone = || pair(rate, 60.0, tones(*digit), [6_000.0; 2]);
                    [silence(rate, 40.0 + offset), tone(), silence(rate, ms), tone(), silence(rate, 60.0)].concat()
                };
                assert_eq!(heard(rate, &sound(10.0)), [*digit], "{rate} {} {offset}", *digit as char);
                assert_eq!(heard(rate, &sound(40.0)), [*digit; 2], "{rate} {} {offset}", *digit as char);
            }
        }
    }
}

#[test]
fn of_a_digit_that_is_taken_out_less_than_25_ms_are_heard() {
    for rate in RATES {
        for digit in ALL {
            for offset in 0..20 {
                let offset = offset as f32;
                let sound =
                    [silence(rate, 40.0 + offset), pair(rate, 100.0, tones(*digit), [6_000.0; 2]), silence(rate, 99.0)]
                        .concat();
                let (_, muted) = listen(rate, &sound);
                let from = samples(rate, 40.0 + offset);
                let packet = samples(rate, 20.0);
                let leaked = (from..from + samples(rate, 100.0)).filter(|n| !muted[n / packet]).count();
                let leaked_ms = leaked as f32 * 1_000.0 / rate as f32;
                assert!(leaked_ms < 25.0, "{rate} {} {offset}: {leaked_ms} ms", *digit as char);
                let after = muted.len() - 1;
                assert!(!muted[after] && !muted[0] && !muted[1], "and nothing else is taken out");
            }
        }
    }
}

/// Harmonics of a voice that glides, under formants that wander, in syllables; a little breath.
fn voice(rate: u32, seconds: usize, seed: u64) -> Vec<i16> {
    let mut rng = model::Rng::new(seed);
    let mut even = move |from: f32, to: f32| from + (to - from) * ((rng.next_u64() >> 40) as f32 / 16_777_216.0);
    let mut sound = Vec::new();
    let mut phase = 0.0f32;
    while sound.len() < rate as usize * seconds {
        let (length, pause) = (even(60.0, 400.0), even(0.0, 120.0));
        let (from, to) = (even(85.0, 300.0), even(85.0, 300.0));
        let formants = [even(250.0, 900.0), even(850.0, 2_300.0), even(2_200.0, 3_000.0)];
        let (count, loud) = (samples(rate, length), even(3_000.0, 12_000.0));
        for n in 0..count {
            let share = n as f32 / count as f32;
            let pitch = from + (to - from) * share;
            phase += TAU * pitch / rate as f32;
            let mut sum = 0.0;
            for harmonic in 1..=(3_400.0 / pitch) as u32 {
                let hz = pitch * harmonic as f32;
                let gain: f32 = formants
                    .iter()
                    .zip([1.0, 0.6, 0.25])
                    .map(|(formant, weight)| {
                        let away = (hz - formant) / 90.0;
                        weight / (1.0 + away * away)
                    })
                    .sum();
                sum += libm::sinf(phase * harmonic as f32) * gain;
            }
            let envelope = libm::sinf(core::f32::consts::PI * share);
            sound.push((sum * loud * envelope + even(-60.0, 60.0)).clamp(-32_000.0, 32_000.0) as i16);
            if phase > 1_000.0 * TAU {
                phase -= 1_000.0 * TAU;
            }
        }
        sound.extend(silence(rate, pause));
    }
    sound
}

/// Chords of an equal-tempered scale with their overtones.
fn music(rate: u32, seconds: usize, seed: u64) -> Vec<i16> {
    let mut rng = model::Rng::new(seed);
    let mut sound = Vec::new();
    while sound.len() < rate as usize * seconds {
        let notes: Vec<f32> =
            (0..1 + rng.next_u64() % 4).map(|_| 110.0 * libm::powf(2.0, (rng.next_u64() % 48) as f32 / 12.0)).collect();
        let count = samples(rate, 80.0 + (rng.next_u64() % 500) as f32);
        for n in 0..count {
            let time = n as f32 / rate as f32;
            let fade = libm::expf(-3.0 * time);
            let one = |hz: f32| {
                (1..=4)
                    .map(|overtone| libm::sinf(TAU * hz * overtone as f32 * time) / (overtone * overtone) as f32)
                    .sum::<f32>()
            };
            let sum: f32 = notes.iter().map(|hz| one(*hz)).sum();
            sound.push((sum * fade * 5_000.0) as i16);
        }
    }
    sound
}

#[test]
fn voices_and_music_dial_nothing() {
    for seed in 0..4 {
        for rate in RATES {
            assert_eq!(heard(rate, &voice(rate, 40, seed)), [], "voice {seed} at {rate}");
            assert_eq!(heard(rate, &music(rate, 40, seed)), [], "music {seed} at {rate}");
        }
    }
}

#[test]
fn call_progress_tones_and_noise_dial_nothing() {
    for rate in RATES {
        // Dial, ring, busy of several countries; fax, answer tone; one tone of a digit alone.
        for hz in [
            [350.0, 440.0],
            [440.0, 480.0],
            [480.0, 620.0],
            [425.0, 425.0],
            [1_100.0, 1_100.0],
            [2_100.0, 2_100.0],
            [697.0, 697.0],
            [1_633.0, 1_633.0],
            [697.0, 770.0],
            [1_209.0, 1_336.0],
        ] {
            assert_eq!(heard(rate, &pair(rate, 1_000.0, hz, [6_000.0; 2])), [], "{hz:?}");
        }
        assert_eq!(heard(rate, &noisy(&silence(rate, 20_000.0), 4_000.0, 3)), []);
    }
}

#[test]
fn digits_follow_each_other() {
    for rate in RATES {
        let mut sound = silence(rate, 33.0);
        for digit in ALL {
            sound.extend(pair(rate, 60.0, tones(*digit), [6_000.0; 2]));
            sound.extend(silence(rate, 45.0));
        }
        assert_eq!(heard(rate, &sound), ALL);
    }
}

proptest! {
    #[test]
    fn any_sound_is_survived_and_what_begins_ends(
        pieces in prop::collection::vec((prop::collection::vec(any::<i16>(), 0..50), 0usize..16, 0usize..800), 0..12),
        rate in prop::sample::select(RATES.to_vec()),
    ) {
        let mut sound = Vec::new();
        for (noise, digit, tone) in pieces {
            sound.extend(noise);
            sound.extend(&pair(rate, 200.0, tones(ALL[digit]), [8_000.0; 2])[..tone.min(samples(rate, 200.0))]);
        }
        let (told, _) = listen(rate, &sound);
        keys(&told);
    }
}
