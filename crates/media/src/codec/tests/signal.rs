//! Signals to try codecs with, and what became of them.

use std::f64::consts::TAU;
use std::vec::Vec;

/// A sine.
pub(in crate::codec) fn tone(hz: u32, rate: u32, count: usize, peak: f64) -> Vec<i16> {
    (0..count).map(|n| (peak * (TAU * f64::from(hz) * n as f64 / f64::from(rate)).sin()) as i16).collect()
}

/// Like a voice: harmonics of a gliding pitch under moving formants, in syllables of four a second that do not fall silent.
pub(in crate::codec) fn speech(rate: u32, count: usize) -> Vec<i16> {
    let mut phase = 0.0f64;
    let sample = |n: usize| {
        let time = n as f64 / f64::from(rate);
        let pitch = 120.0 + 20.0 * (TAU * 0.7 * time).sin();
        phase += TAU * pitch / f64::from(rate);
        let syllable = 0.55 - 0.45 * (TAU * 4.0 * time).cos();
        let formants = [500.0 + 200.0 * (TAU * 1.3 * time).sin(), 1_500.0 + 400.0 * (TAU * 0.9 * time).sin(), 2_500.0];
        let mut sum = 0.0;
        for harmonic in 1..=24 {
            let hz = pitch * f64::from(harmonic);
            let gain: f64 = formants.iter().map(|formant| 1.0 / (1.0 + ((hz - formant) / 150.0).powi(2))).sum();
            sum += (gain + 0.02) * (phase * f64::from(harmonic)).sin();
        }
        (1_800.0 * syllable * sum).clamp(-32_000.0, 32_000.0) as i16
    };
    (0..count).map(sample).collect()
}

/// Mean power, as decibels of one bit.
pub(in crate::codec) fn decibels(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    10.0 * (energy / samples.len().max(1) as f64 + 1e-9).log10()
}

/// How far the difference of two signals is below the first, in decibels; delay, down to a hundredth of a sample, and level are
/// taken out, and the first eighth is left out, in which filters settle.
pub(in crate::codec) fn snr(was: &[i16], is: &[i16]) -> f64 {
    let most = 400.min(was.len() / 4);
    let by = |a: &f64, b: &f64| correlation(was, is, *a).total_cmp(&correlation(was, is, *b));
    let whole = (0..most).map(|n| n as f64).max_by(by).unwrap_or(0.0);
    let tenth = around(whole, 0.1).max_by(by).unwrap_or(whole);
    around(tenth, 0.01).map(|shift| snr_at(was, is, shift)).fold(f64::NEG_INFINITY, f64::max)
}

fn around(shift: f64, step: f64) -> impl Iterator<Item = f64> {
    (-7..=7).map(move |n| shift + f64::from(n) * step).filter(|shift| *shift >= 0.0)
}

/// `is` is later by `shift`: pairs of what belongs together.
fn pairs(was: &[i16], is: &[i16], shift: f64) -> impl Iterator<Item = (f64, f64)> {
    let (whole, part) = ((shift + 1e-6) as usize, (shift + 1e-6).fract());
    let from = was.len() / 8 + 8;
    (from..was.len().min(is.len().saturating_sub(whole + 16)))
        .map(move |n| (f64::from(was[n]), between(is, n + whole, part)))
}

/// A sample between two, by sixteen of its neighbours.
fn between(samples: &[i16], at: usize, part: f64) -> f64 {
    if part < 1e-3 {
        return f64::from(samples[at]);
    }
    let weigh = |k: i32| {
        let x = f64::from(k) - part;
        let window = 0.5 + 0.5 * (TAU * x / 18.0).cos();
        window * (TAU / 2.0 * x).sin() / (TAU / 2.0 * x)
    };
    (-7..=8).map(|k| weigh(k) * f64::from(samples[at.saturating_add_signed(k as isize)])).sum()
}

fn correlation(was: &[i16], is: &[i16], shift: f64) -> f64 {
    let (mut product, mut energy) = (0.0, 1.0);
    for (a, b) in pairs(was, is, shift).take(1_000) {
        product += a * b;
        energy += b * b;
    }
    product / f64::sqrt(energy)
}

fn snr_at(was: &[i16], is: &[i16], shift: f64) -> f64 {
    let (mut signal, mut product, mut energy) = (0.0, 0.0, 1e-9);
    for (a, b) in pairs(was, is, shift).take(2_000) {
        (signal, product, energy) = (signal + a * a, product + a * b, energy + b * b);
    }
    let gain = product / energy;
    let noise: f64 = pairs(was, is, shift).take(2_000).map(|(a, b)| (a - gain * b).powi(2)).sum();
    10.0 * (signal / (noise + 1e-9)).log10()
}

/// How much the spectra of two signals at 8 kHz are alike, piece by piece of 32 ms: 1 when they are the same but for level, about a half for
/// signals that have nothing to do with each other. Delay is taken out.
pub(in crate::codec) fn likeness(was: &[i16], is: &[i16]) -> f64 {
    let by = |a: &f64, b: &f64| correlation(was, is, *a).total_cmp(&correlation(was, is, *b));
    let shift = (0..400.min(was.len() / 4)).map(|n| n as f64).max_by(by).unwrap_or(0.0) as usize;
    let pieces = was.chunks_exact(256).zip(is[shift..].chunks_exact(256)).skip(8);
    let alike: Vec<f64> = pieces.map(|(was, is)| cosine(&spectrum(was), &spectrum(is))).collect();
    alike.iter().sum::<f64>() / alike.len().max(1) as f64
}

/// Amplitudes from 125 Hz to 3.5 kHz.
fn spectrum(samples: &[i16]) -> Vec<f64> {
    let amplitude = |bin: usize| {
        let turn = TAU * 125.0 * bin as f64 / 8_000.0;
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let window = 0.5 - 0.5 * (TAU * (n as f64 + 0.5) / samples.len() as f64).cos();
            let (sin, cos) = (turn * n as f64).sin_cos();
            (real, imaginary) =
                (real + window * f64::from(*sample) * cos, imaginary + window * f64::from(*sample) * sin);
        }
        real.hypot(imaginary)
    };
    (1..=28).map(amplitude).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let of = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    of(a, b) / (of(a, a) * of(b, b) + 1e-9).sqrt()
}
