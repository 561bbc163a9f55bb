//! Samples to payloads, whatever the codec.
//!
//! Refuses to know: packets' numbers and time.

use super::vocoder::{self, NoCodec, VOCODER_BYTES, VOCODER_SAMPLES, Vocoder, Vocoders};
use super::{Rate, g711, g722, opus};
use crate::speech::{Codec, Format};
use alloc::boxed::Box;

/// Longest payload that is made, in bytes.
pub(super) const LONGEST: usize = 1_280;
/// Least and most of sound in a packet, in milliseconds.
const LEAST_MS: usize = 10;
const MOST_MS: usize = 60;

/// One codec's way from sound to bytes.
pub(super) enum Encoder {
    A,
    U,
    /// L16.
    Linear,
    G722(Box<g722::Encoder>),
    Opus(Box<opus::Encoder>),
    Vocoder(Box<dyn Vocoder>),
}

impl Encoder {
    /// For a format, and at which rate; `rate` is what the sound has, for codecs that leave a choice.
    pub(super) fn new(format: &Format, rate: Rate, vocoders: &dyn Vocoders) -> Result<(Self, Rate), NoCodec> {
        vocoder::check(format)?;
        let encoder = match format.codec {
            Codec::Pcma => Self::A,
            Codec::Pcmu => Self::U,
            Codec::L16 => Self::Linear,
            Codec::G722 => Self::G722(Box::new(g722::Encoder::new())),
            Codec::Opus => Self::Opus(Box::new(opus::Encoder::new(rate).ok_or(NoCodec::NotHere(Codec::Opus))?)),
            Codec::G729 => Self::Vocoder(vocoders.vocoder(Codec::G729).ok_or(NoCodec::NotHere(Codec::G729))?),
        };
        Ok((encoder, Rate::of(format.codec, format.clock).unwrap_or(rate)))
    }

    /// Milliseconds in a packet: as wanted where the codec's frames and the size of a datagram allow it, else the next less.
    pub(super) fn packet_ms(&self, wanted: u8, rate: Rate) -> usize {
        let wanted = usize::from(wanted).clamp(LEAST_MS, MOST_MS);
        match self {
            Self::A | Self::U | Self::G722(_) => wanted,
            Self::Linear => wanted.min(LONGEST / (2 * rate.per_ms())),
            Self::Opus(_) => opus::FRAMES_MS.into_iter().rfind(|frame| *frame <= wanted).unwrap_or(LEAST_MS),
            Self::Vocoder(_) => wanted / 10 * 10,
        }
    }

    /// The samples of one packet; how many bytes they came to. None when there is nothing to send: the codec says so of silence.
    pub(super) fn encode(&mut self, samples: &[i16], into: &mut [u8; LONGEST]) -> Option<usize> {
        let length = match self {
            Self::A => each(samples, into, g711::encode_a),
            Self::U => each(samples, into, g711::encode_u),
            Self::Linear => {
                for (two, sample) in into.as_chunks_mut::<2>().0.iter_mut().zip(samples) {
                    *two = sample.to_be_bytes();
                }
                (2 * samples.len()).min(LONGEST)
            }
            Self::G722(encoder) => encoder.encode(samples, into),
            Self::Opus(encoder) => encoder.encode(samples, into),
            Self::Vocoder(vocoder) => vocode(vocoder.as_mut(), samples, into),
        };
        (length > 0).then_some(length)
    }
}

fn each(samples: &[i16], into: &mut [u8], code: fn(i16) -> u8) -> usize {
    for (byte, sample) in into.iter_mut().zip(samples) {
        *byte = code(*sample);
    }
    samples.len().min(into.len())
}

/// Frame by frame; a shorter one, which describes silence, may only be the last of a packet (RFC 3551 §4.5.6).
fn vocode(vocoder: &mut dyn Vocoder, samples: &[i16], into: &mut [u8]) -> usize {
    let mut length = 0;
    for (samples, room) in samples.as_chunks::<VOCODER_SAMPLES>().0.iter().zip(into.as_chunks_mut::<VOCODER_BYTES>().0)
    {
        let made = vocoder.encode(samples, room);
        length += made;
        if made < VOCODER_BYTES {
            break;
        }
    }
    length
}
