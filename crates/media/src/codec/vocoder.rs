//! Codecs that are not part of this program, and the question which ones there are.
//!
//! G.729 is spoken by a library that the machine may have or not: whoever can load one gives it as [`Vocoders`]. Without it
//! G.729 only passes through. Refuses to know: libraries, files.

use crate::speech::{Codec, Format};
use alloc::boxed::Box;
use core::fmt;

/// Samples in a frame: 10 ms at 8 kHz.
pub const VOCODER_SAMPLES: usize = 80;
/// Longest frame, in bytes.
pub const VOCODER_BYTES: usize = 10;

/// One direction of one call in G.729. Neither of its functions may allocate.
pub trait Vocoder: Send {
    /// A frame to at most ten bytes; how many they are.
    fn encode(&mut self, samples: &[i16; VOCODER_SAMPLES], into: &mut [u8; VOCODER_BYTES]) -> usize;
    /// A frame of ten bytes, or of two that describe silence.
    fn decode(&mut self, frame: &[u8], into: &mut [i16; VOCODER_SAMPLES]);
    /// What may have been in a frame that was lost, or was not sent because nobody spoke.
    fn conceal(&mut self, into: &mut [i16; VOCODER_SAMPLES]);
}

/// Which codecs sound can be made from and into.
pub trait Vocoders: Send + Sync {
    /// Whether this one can be spoken and understood here, not just passed through.
    fn has(&self, codec: Codec) -> bool {
        BuiltIn.has(codec)
    }

    /// One more speaker of a codec that is not built in; none when it is not there.
    fn vocoder(&self, codec: Codec) -> Option<Box<dyn Vocoder>>;
}

/// The codecs of this program alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn;

impl Vocoders for BuiltIn {
    fn has(&self, codec: Codec) -> bool {
        match codec {
            Codec::Pcma | Codec::Pcmu | Codec::G722 | Codec::L16 | Codec::Opus => true,
            Codec::G729 => false,
        }
    }

    fn vocoder(&self, _codec: Codec) -> Option<Box<dyn Vocoder>> {
        None
    }
}

/// Why sound cannot be made from or into a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCodec {
    /// Nothing here speaks it: let it pass through, or offer the other side something else.
    NotHere(Codec),
    /// It can be spoken, but not at this clock: offer another one.
    Clock(Format),
}

impl fmt::Display for NoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHere(codec) => write!(f, "{} can only be passed through here", codec.name()),
            Self::Clock(format) => write!(f, "{}/{} cannot be spoken here", format.codec.name(), format.clock),
        }
    }
}

impl core::error::Error for NoCodec {}

/// Whether a format's clock is one its codec can be spoken at.
pub(super) fn check(format: &Format) -> Result<(), NoCodec> {
    let known = match format.codec.clock() {
        Some(clock) => format.clock == clock,
        None => matches!(format.clock, 8_000 | 16_000),
    };
    if known { Ok(()) } else { Err(NoCodec::Clock(*format)) }
}
