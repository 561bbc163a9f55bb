//! Digits as they are told along with sound: events beside it, tones in it, requests of signalling.
//!
//! Each way is read and written here, by itself. Refuses to know: which side wants which.

pub mod inband;
pub mod info;
pub mod telephone_event;

use crate::digit::Digit;
use model::Span;

/// What is told of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is pressed.
    Began {
        /// Which.
        digit: Digit,
    },
    /// It is let go; told once for each that began.
    Ended {
        /// Which.
        digit: Digit,
        /// How long it was pressed.
        duration: Span,
    },
}
