//! Payloads to samples, whatever the codec.
//!
//! Refuses to know: packets' order and time.

use super::resample::MOST;
use super::vocoder::{self, NoCodec, VOCODER_BYTES, VOCODER_SAMPLES, Vocoder, Vocoders};
use super::{Origin, Rate, g711, g722, opus};
use crate::speech::{Codec, Format};
use alloc::boxed::Box;

/// Bytes of a frame that describes silence (G.729 Annex B).
const VOCODER_SILENCE: usize = 2;

/// One codec's way from bytes to sound.
pub(super) enum Decoder {
    /// G.711: a table.
    Law(&'static [i16; 256]),
    /// L16.
    Linear,
    G722(Box<g722::Decoder>),
    Opus(Box<opus::Decoder>),
    Vocoder(Box<dyn Vocoder>),
}

/// What came of the beginning of a payload.
pub(super) struct Piece {
    pub(super) bytes: usize,
    pub(super) samples: usize,
    /// Concealed when it was no whole frame after all.
    pub(super) origin: Origin,
}

impl Decoder {
    /// For a format, and at which rate; `rate` is what is wanted, for codecs that leave a choice.
    pub(super) fn new(format: &Format, rate: Rate, vocoders: &dyn Vocoders) -> Result<(Self, Rate), NoCodec> {
        vocoder::check(format)?;
        let decoder = match format.codec {
            Codec::Pcma => Self::Law(&g711::FROM_A),
            Codec::Pcmu => Self::Law(&g711::FROM_U),
            Codec::L16 => Self::Linear,
            Codec::G722 => Self::G722(Box::new(g722::Decoder::new())),
            Codec::Opus => Self::Opus(Box::new(opus::Decoder::new(rate).ok_or(NoCodec::NotHere(Codec::Opus))?)),
            Codec::G729 => Self::Vocoder(vocoders.vocoder(Codec::G729).ok_or(NoCodec::NotHere(Codec::G729))?),
        };
        Ok((decoder, Rate::of(format.codec, format.clock).unwrap_or(rate)))
    }

    /// Samples in a payload; none when it makes no whole frame.
    pub(super) fn samples(&self, payload: &[u8]) -> Option<usize> {
        let length = payload.len();
        let samples = match self {
            Self::Law(_) => length,
            Self::Linear => length.is_multiple_of(2).then_some(length / 2)?,
            Self::G722(_) => 2 * length,
            Self::Opus(decoder) => decoder.samples(payload)?,
            Self::Vocoder(_) => {
                let (frames, rest) = (length / VOCODER_BYTES, length % VOCODER_BYTES);
                (rest == 0 || rest == VOCODER_SILENCE).then_some((frames + usize::from(rest > 0)) * VOCODER_SAMPLES)?
            }
        };
        (samples > 0).then_some(samples)
    }

    /// As much of a payload as there is room for.
    pub(super) fn decode(&mut self, payload: &[u8], into: &mut [i16; MOST]) -> Piece {
        let whole = payload.len();
        match self {
            Self::Law(table) => {
                let bytes = whole.min(MOST);
                for (sample, code) in into.iter_mut().zip(payload) {
                    *sample = table[usize::from(*code)];
                }
                Piece { bytes, samples: bytes, origin: Origin::Spoken }
            }
            Self::Linear => {
                let bytes = whole.min(2 * MOST);
                for (sample, two) in into.iter_mut().zip(payload.as_chunks::<2>().0) {
                    *sample = i16::from_be_bytes(*two);
                }
                Piece { bytes, samples: bytes / 2, origin: Origin::Spoken }
            }
            Self::G722(decoder) => {
                let bytes = whole.min(MOST / 2);
                Piece { bytes, samples: decoder.decode(&payload[..bytes], into), origin: Origin::Spoken }
            }
            Self::Opus(decoder) => {
                let (samples, is_whole) = decoder.decode(payload, into);
                let origin = match is_whole {
                    false => Origin::Concealed,
                    true if opus::is_silence(payload) => Origin::Noise,
                    true => Origin::Spoken,
                };
                Piece { bytes: whole, samples, origin }
            }
            Self::Vocoder(vocoder) => {
                let mut frame = [0; VOCODER_SAMPLES];
                let bytes = whole.min(VOCODER_BYTES);
                vocoder.decode(&payload[..bytes], &mut frame);
                into[..VOCODER_SAMPLES].copy_from_slice(&frame);
                let origin = if bytes == VOCODER_SILENCE { Origin::Noise } else { Origin::Spoken };
                Piece { bytes, samples: VOCODER_SAMPLES, origin }
            }
        }
    }

    /// Whether the codec makes up by itself what was lost.
    pub(super) const fn conceals(&self) -> bool {
        matches!(self, Self::Opus(_) | Self::Vocoder(_))
    }

    /// What may have been in packets that were lost; `next` is the payload after them, when it follows at once. Only for a codec that
    /// conceals.
    pub(super) fn conceal(&mut self, samples: &mut [i16], next: Option<&[u8]>) {
        match self {
            Self::Law(_) | Self::Linear | Self::G722(_) => samples.fill(0),
            Self::Opus(decoder) => decoder.conceal(samples, next),
            Self::Vocoder(vocoder) => {
                let (frames, rest) = samples.as_chunks_mut::<VOCODER_SAMPLES>();
                frames.iter_mut().for_each(|frame| vocoder.conceal(frame));
                rest.fill(0);
            }
        }
    }

    /// Another source begins.
    pub(super) fn restart(&mut self) {
        match self {
            Self::G722(decoder) => **decoder = g722::Decoder::new(),
            Self::Opus(decoder) => decoder.restart(),
            Self::Law(_) | Self::Linear | Self::Vocoder(_) => {}
        }
    }
}
