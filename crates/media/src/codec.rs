//! Sound in packets: from one side's packets to sixteen-bit samples, and from samples to packets of the other side.
//!
//! A [`Depacketizer`] and a [`Packetizer`] put one behind the other make one side's codec into the other's. Both make all they
//! need when they are made: no packet allocates, but in Opus, whose library does. Between them goes [`Sound`], which carries its
//! own time, so that a pause of the one side is the same pause for the other.
//! Refuses to know: who speaks, which packets are meant for whom, clocks.

mod conceal;
mod decoder;
mod depacketizer;
mod encoder;
pub mod g711;
mod g722;
mod noise;
mod opus;
mod packetizer;
mod resample;
#[cfg(test)]
mod tests;
mod vocoder;

pub use depacketizer::{Counts, Depacketizer};
pub use noise::level_of;
pub use packetizer::{Encoded, Packetizer};
pub use vocoder::{BuiltIn, NoCodec, VOCODER_BYTES, VOCODER_SAMPLES, Vocoder, Vocoders};

use crate::speech::Codec;

/// Samples a second that sound has between the codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rate {
    /// 8000, as telephones have had it.
    Narrow,
    /// 16000.
    Wide,
}

impl Rate {
    /// Samples in a second.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Narrow => 8_000,
            Self::Wide => 16_000,
        }
    }

    /// Samples in a millisecond.
    pub const fn per_ms(self) -> usize {
        self.hz() as usize / 1_000
    }

    /// The rate that a codec's sound has by nature; none for Opus, which can be had at either.
    pub const fn of(codec: Codec, clock: u32) -> Option<Self> {
        match codec {
            Codec::Pcma | Codec::Pcmu | Codec::G729 => Some(Self::Narrow),
            Codec::G722 => Some(Self::Wide),
            Codec::L16 if clock == 16_000 => Some(Self::Wide),
            Codec::L16 => Some(Self::Narrow),
            Codec::Opus => None,
        }
    }
}

/// Where a piece of sound is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Out of a packet.
    Spoken,
    /// Made up in place of packets that were lost.
    Concealed,
    /// Made to the level that a comfort noise packet has told (RFC 3389), or a codec's own such packet.
    Noise,
}

/// A piece of sound, never longer than 120 ms.
#[derive(Debug)]
pub struct Sound<'a> {
    /// When its first sample is: samples since the first of the stream, pauses included. It never goes back.
    pub at: u64,
    /// The samples; whoever listens may change them.
    pub samples: &'a mut [i16],
    /// Where it is from.
    pub origin: Origin,
}
