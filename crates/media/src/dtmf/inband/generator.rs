//! Tones of a digit, made.
//!
//! Refuses to know: when they are to be made.

use super::{TONES, place};
use crate::digit::Digit;

/// Peaks: -9 dBm0 of the row's tone, -7 dBm0 of the column's, which the line weakens more.
const ROW: f32 = 8_100.0;
const COLUMN: f32 = 10_200.0;
/// Milliseconds in which the tones rise and fall: without them they click.
const RAMP_MS: u32 = 2;

/// Plays the tones of one digit at a time, without a break between pieces.
#[derive(Clone, Debug)]
pub struct Generator {
    rate: f32,
    /// Phase and step of both tones.
    tones: [(f32, f32); 2],
    /// Loudness now, and what it changes by with each sample.
    gain: f32,
    ramp: f32,
    on: bool,
}

impl Generator {
    /// For so many samples in a second.
    pub fn new(rate: u32) -> Self {
        let ramp = 1_000.0 / (rate * RAMP_MS) as f32;
        Self { rate: rate as f32, tones: [(0.0, 0.0); 2], gain: 0.0, ramp, on: false }
    }

    /// The tones of this digit begin.
    pub fn begin(&mut self, digit: Digit) {
        let (row, column) = place(digit);
        let step = |tone: usize| (0.0, core::f32::consts::TAU * TONES[tone] / self.rate);
        (self.tones, self.gain, self.on) = ([step(row), step(4 + column)], 0.0, true);
    }

    /// They fall silent.
    pub const fn end(&mut self) {
        self.on = false;
    }

    /// Whether anything is still to be heard.
    pub fn is_sounding(&self) -> bool {
        self.on || self.gain > 0.0
    }

    /// The next samples, in place of what is there.
    pub fn fill(&mut self, sound: &mut [i16]) {
        for sample in sound {
            self.gain = if self.on { (self.gain + self.ramp).min(1.0) } else { (self.gain - self.ramp).max(0.0) };
            let mut sum = 0.0;
            for ((phase, step), peak) in self.tones.iter_mut().zip([ROW, COLUMN]) {
                sum += libm::sinf(*phase) * peak;
                *phase += *step;
                if *phase >= core::f32::consts::TAU {
                    *phase -= core::f32::consts::TAU;
                }
            }
            *sample = (sum * self.gain) as i16;
        }
    }
}
