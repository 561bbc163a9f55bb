//! Digits as tones in the sound: ITU-T Q.23 says which, Q.24 what must be heard and what must not.
//!
//! A voice is not to dial: what counts as a digit has nearly all of its energy in one tone of each group, each at its place and steady.
//! Refuses to know: packets, codecs.

mod detector;
mod generator;
#[cfg(test)]
mod tests;

use crate::digit::Digit;
pub use detector::{Detector, Hearing};
pub use generator::Generator;

/// Frequencies in hertz: the four rows of keys, then the four columns (Q.23).
const TONES: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// Keys as they lie on a telephone.
const KEYS: [[u8; 4]; 4] = [*b"123A", *b"456B", *b"789C", *b"*0#D"];

/// The key at a row and a column.
fn key(row: usize, column: usize) -> Option<Digit> {
    Digit::of_key(*KEYS.get(row)?.get(column)?)
}

/// Row and column of a key.
fn place(digit: Digit) -> (usize, usize) {
    let key = digit.key() as u8;
    let row = KEYS.iter().position(|row| row.contains(&key)).unwrap_or(0);
    (row, KEYS[row].iter().position(|other| *other == key).unwrap_or(0))
}
