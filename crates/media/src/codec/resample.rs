//! From 8 to 16 kHz and back, by a half-band filter (ITU-T G.191's is longer; telephony needs no more).
//!
//! Every second coefficient of such a filter is zero and the middle one a half. 47 of them hold what lies beyond 4.6 kHz 55 dB
//! down and keep 3.4 kHz, for 1.4 ms of delay. Refuses to know: packets, codecs.

use super::Rate;
use alloc::boxed::Box;

/// Coefficients on either side of the middle that are not zero.
const SIDE: usize = 12;
/// Samples that the filter looks at: at 16 kHz when it goes down, at 8 kHz when it goes up.
const SPAN_DOWN: usize = 4 * SIDE - 1;
const SPAN_UP: usize = 2 * SIDE;
/// Samples of the past that are kept.
const PAST: usize = SPAN_DOWN - 1;
/// Most that is resampled at once: 120 ms at 16 kHz.
pub(super) const MOST: usize = 1_920;

/// Scaled by 2^14.
const ONE: f64 = 16_384.0;
/// Shape of the Kaiser window: 55 dB.
const SHAPE: f64 = 5.3;

/// The way between two rates.
pub(super) struct Resampler {
    way: Way,
    /// Past and present in one line.
    line: Box<[i16; PAST + MOST]>,
    /// The coefficients beside the middle, outwards.
    side: [i32; SIDE],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Resampler {
    /// None when there is nothing to do.
    pub(super) fn new(from: Rate, to: Rate) -> Option<Self> {
        let way = match (from, to) {
            (Rate::Narrow, Rate::Wide) => Way::Up,
            (Rate::Wide, Rate::Narrow) => Way::Down,
            _ => return None,
        };
        Some(Self { way, line: Box::new([0; PAST + MOST]), side: side() })
    }

    /// The same sound at the other rate; how many samples it has. An odd one at the end is left out on the way down.
    pub(super) fn run(&mut self, samples: &[i16], into: &mut [i16]) -> usize {
        let count = match self.way {
            Way::Up => samples.len().min(into.len() / 2).min(MOST),
            Way::Down => (samples.len() / 2).min(into.len()).min(MOST / 2) * 2,
        };
        self.line[PAST..PAST + count].copy_from_slice(&samples[..count]);
        let made = match self.way {
            Way::Up => self.up(count, into),
            Way::Down => self.down(count, into),
        };
        self.line.copy_within(count..count + PAST, 0);
        made
    }

    fn up(&self, count: usize, into: &mut [i16]) -> usize {
        for (n, pair) in into.as_chunks_mut::<2>().0.iter_mut().take(count).enumerate() {
            let span = &self.line[PAST + n + 1 - SPAN_UP..=PAST + n];
            pair[0] = span[SIDE - 1];
            let mut sum = 1 << 12;
            for (k, h) in self.side.iter().enumerate() {
                sum += h * (i32::from(span[SIDE - 1 - k]) + i32::from(span[SIDE + k]));
            }
            pair[1] = clip(sum >> 13);
        }
        2 * count
    }

    fn down(&self, count: usize, into: &mut [i16]) -> usize {
        for (n, sample) in into.iter_mut().take(count / 2).enumerate() {
            let middle = PAST + 2 * n + 2 - 2 * SIDE;
            let mut sum = (i32::from(self.line[middle]) << 13) + (1 << 13);
            for (k, h) in self.side.iter().enumerate() {
                sum += h * (i32::from(self.line[middle - 2 * k - 1]) + i32::from(self.line[middle + 2 * k + 1]));
            }
            *sample = clip(sum >> 14);
        }
        count / 2
    }
}

fn clip(value: i32) -> i16 {
    value.clamp(-32_768, 32_767) as i16
}

/// The ideal filter under a Kaiser window (Kaiser 1974), its sum exactly one half on both sides together.
fn side() -> [i32; SIDE] {
    let mut ideal = [0.0; SIDE];
    for (k, h) in ideal.iter_mut().enumerate() {
        let (n, edge) = ((2 * k + 1) as f64, (2 * SIDE) as f64);
        let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
        let window = bessel(SHAPE * libm::sqrt(1.0 - (n / edge) * (n / edge))) / bessel(SHAPE);
        *h = sign * window / (core::f64::consts::PI * n);
    }
    let sum: f64 = ideal.iter().sum();
    let mut side = ideal.map(|h| libm::round(h * ONE / (4.0 * sum)) as i32);
    // What rounding took or gave goes to the largest, so that a level stays a level.
    side[0] += ONE as i32 / 4 - side.iter().sum::<i32>();
    side
}

/// Modified Bessel function of order zero, by its series.
fn bessel(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..32 {
        term *= (x / 2.0 / f64::from(k)) * (x / 2.0 / f64::from(k));
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::signal::{decibels, snr, tone};
    use std::vec;
    use std::vec::Vec;

    fn resampled(from: Rate, to: Rate, samples: &[i16]) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut all = Vec::new();
        for piece in samples.chunks(160) {
            let mut into = [0; 320];
            let made = resampler.run(piece, &mut into);
            all.extend_from_slice(&into[..made]);
        }
        all
    }

    #[test]
    fn what_both_rates_hold_comes_through_level_and_clean() {
        for hz in [50, 300, 1_000, 2_500, 3_300] {
            let (narrow, wide) = (tone(hz, 8_000, 2_000, 10_000.0), tone(hz, 16_000, 4_000, 10_000.0));
            let (up, down) = (resampled(Rate::Narrow, Rate::Wide, &narrow), resampled(Rate::Wide, Rate::Narrow, &wide));
            assert_eq!((up.len(), down.len()), (4_000, 2_000));
            for (what, was, is) in [("up", &wide, &up), ("down", &narrow, &down)] {
                let off = decibels(&was[200..]) - decibels(&is[200..]);
                assert!(off.abs() < 0.3, "{hz} Hz {what}: {off} dB");
            }
            let back = resampled(Rate::Wide, Rate::Narrow, &up);
            assert!(snr(&narrow, &back) > 50.0, "{hz} Hz: {} dB", snr(&narrow, &back));
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_50_db_down() {
        for hz in [4_700, 5_000, 6_000, 7_000, 7_900] {
            let wide = tone(hz, 16_000, 4_000, 10_000.0);
            let alias = decibels(&wide) - decibels(&resampled(Rate::Wide, Rate::Narrow, &wide)[100..]);
            assert!(alias > 50.0, "{hz} Hz is only {alias} dB down");
        }
        for hz in [300, 1_000, 3_300] {
            // The image of a tone at 8 kHz lies as far above 4 kHz as the tone below: what is no tone of this frequency is it.
            let up = resampled(Rate::Narrow, Rate::Wide, &tone(hz, 8_000, 2_000, 10_000.0));
            let clean = snr(&tone(hz, 16_000, 4_000, 10_000.0), &up);
            assert!(clean > 50.0, "{hz} Hz has an image only {clean} dB down");
        }
    }

    #[test]
    fn a_level_stays_a_level_and_the_loudest_is_no_overflow() {
        for level in [1_000, -20_000, i16::MAX, i16::MIN] {
            for (from, to) in [(Rate::Narrow, Rate::Wide), (Rate::Wide, Rate::Narrow)] {
                let made = resampled(from, to, &vec![level; 1_600]);
                assert!(made[200..].iter().all(|sample| (i32::from(*sample) - i32::from(level)).abs() <= 1));
            }
        }
        let square: Vec<i16> = (0..1_600).map(|n| if n % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        assert_eq!(resampled(Rate::Narrow, Rate::Wide, &square).len(), 3_200);
        assert!(Resampler::new(Rate::Wide, Rate::Wide).is_none());
    }
}
