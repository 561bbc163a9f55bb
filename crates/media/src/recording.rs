//! A recording that a party hears in place of another one's voice, out of a WAV file.
//!
//! Telephone sound: one channel of 8,000 or 16,000 samples a second, of sixteen bits each or G.711. Whatever else there is in the file is
//! stepped over (Multimedia Programming Interface and Data Specifications 1.0, IBM and Microsoft, 1991: RIFF, WAVE). Refuses to know:
//! files, who hears it, when.

use crate::codec::{Rate, g711};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Sound in a recording at most: whoever waits longer hears it again.
pub const SECONDS_MAX: usize = 120;
/// Bytes of a file at most: that much sound, and what programs put beside it.
pub const BYTES_MAX: usize = SECONDS_MAX * 16_000 * 2 + 1_048_576;

/// Format tags (RFC 2361 §A): linear, A-law, mu-law, and the one whose tag stands further on.
const LINEAR: u16 = 1;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

/// Sound to be played, over and over.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    samples: Arc<[i16]>,
    rate: Rate,
}

impl core::fmt::Debug for Recording {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Recording").field("samples", &self.samples.len()).field("rate", &self.rate).finish()
    }
}

/// Why a file is no recording that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRecording {
    /// It does not begin as one.
    NotWav,
    /// The parts that say what it is, or the sound, are missing.
    Empty,
    /// Sound of another kind.
    Kind {
        /// Its format tag.
        tag: u16,
        /// Its channels.
        channels: u16,
        /// Samples a second.
        hz: u32,
        /// Bits a sample.
        bits: u16,
    },
    /// More than is kept in memory.
    TooLong,
}

impl core::fmt::Display for NoRecording {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const CONVERT: &str = "convert it to WAV of one channel, 8000 or 16000 Hz, 16 bits";
        match self {
            Self::NotWav => write!(f, "it is no WAV file: {CONVERT}"),
            Self::Empty => f.write_str("there is no sound in it: write the file anew"),
            Self::Kind { tag, channels, hz, bits } => {
                write!(f, "it has {channels} channels of {bits} bits at {hz} Hz, format {tag}: {CONVERT}")
            }
            Self::TooLong => write!(f, "it is longer than {SECONDS_MAX} s: cut it, it is played over and over"),
        }
    }
}

impl core::error::Error for NoRecording {}

#[derive(Clone, Copy)]
struct Kind {
    tag: u16,
    channels: u16,
    hz: u32,
    bits: u16,
}

impl Recording {
    /// Out of the bytes of a WAV file.
    ///
    /// # Errors
    /// It is none, or not of a kind that is played.
    pub fn from_wav(bytes: &[u8]) -> Result<Self, NoRecording> {
        if bytes.len() > BYTES_MAX {
            return Err(NoRecording::TooLong);
        }
        let rest = bytes.strip_prefix(b"RIFF").and_then(|rest| rest.get(4..)).ok_or(NoRecording::NotWav)?;
        let mut rest = rest.strip_prefix(b"WAVE").ok_or(NoRecording::NotWav)?;
        let mut kind = None;
        while let Some((name, body, after)) = chunk(rest) {
            match &name {
                b"fmt " => kind = read_kind(body),
                b"data" => return Self::new(kind.ok_or(NoRecording::Empty)?, body),
                _ => {}
            }
            rest = after;
        }
        Err(NoRecording::Empty)
    }

    fn new(kind: Kind, sound: &[u8]) -> Result<Self, NoRecording> {
        let Kind { tag, channels, hz, bits } = kind;
        let unknown = NoRecording::Kind { tag, channels, hz, bits };
        let rate = match hz {
            8_000 => Rate::Narrow,
            16_000 => Rate::Wide,
            _ => return Err(unknown),
        };
        let samples: Vec<i16> = match (tag, bits) {
            _ if channels != 1 => return Err(unknown),
            (LINEAR, 16) => sound.as_chunks::<2>().0.iter().map(|two| i16::from_le_bytes(*two)).collect(),
            (A_LAW, 8) => sound.iter().map(|code| g711::decode_a(*code)).collect(),
            (MU_LAW, 8) => sound.iter().map(|code| g711::decode_u(*code)).collect(),
            _ => return Err(unknown),
        };
        if samples.is_empty() {
            return Err(NoRecording::Empty);
        }
        if samples.len() > SECONDS_MAX * rate.hz() as usize {
            return Err(NoRecording::TooLong);
        }
        Ok(Self { samples: samples.into(), rate })
    }

    pub(crate) const fn rate(&self) -> Rate {
        self.rate
    }

    /// The sample at a moment of its playing.
    pub(crate) fn sample(&self, at: u64) -> i16 {
        let index = (at % self.samples.len().max(1) as u64) as usize;
        self.samples.get(index).copied().unwrap_or_default()
    }
}

/// The first chunk: its name, its bytes, what follows. One that says that it is longer than the file is as long as the file: so
/// write programs that do not know the length when they begin.
fn chunk(bytes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let (name, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = (u32::from_le_bytes(*length) as usize).min(rest.len());
    let (body, after) = rest.split_at(length);
    // Chunks begin at even places.
    Some((*name, body, after.get(length % 2..).unwrap_or_default()))
}

fn read_kind(body: &[u8]) -> Option<Kind> {
    let two = |at: usize| body.get(at..at + 2).map(|two| u16::from_le_bytes([two[0], two[1]]));
    let hz = body.get(4..8)?.first_chunk::<4>().map(|four| u32::from_le_bytes(*four))?;
    let tag = match two(0)? {
        EXTENSIBLE => two(24)?,
        tag => tag,
    };
    Some(Kind { tag, channels: two(2)?, hz, bits: two(14)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn wav(tag: u16, channels: u16, hz: u32, bits: u16, sound: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
        // What programs like to say of themselves, of odd length.
        file.extend_from_slice(b"LIST\x03\0\0\0abc\0");
        file.extend_from_slice(b"fmt \x10\0\0\0");
        file.extend_from_slice(&tag.to_le_bytes());
        file.extend_from_slice(&channels.to_le_bytes());
        file.extend_from_slice(&hz.to_le_bytes());
        file.extend_from_slice(&(hz * u32::from(channels) * u32::from(bits) / 8).to_le_bytes());
        file.extend_from_slice(&(channels * bits / 8).to_le_bytes());
        file.extend_from_slice(&bits.to_le_bytes());
        file.extend_from_slice(b"data");
        file.extend_from_slice(&(sound.len() as u32).to_le_bytes());
        file.extend_from_slice(sound);
        file
    }

    #[test]
    fn linear_sound_and_both_laws_are_played_over_and_over() {
        let linear = Recording::from_wav(&wav(1, 1, 16_000, 16, &[1, 0, 0xff, 0xff, 0, 0x80])).unwrap();
        assert_eq!(linear.rate(), Rate::Wide);
        let heard: Vec<i16> = (0..7).map(|at| linear.sample(at)).collect();
        assert_eq!(heard, [1, -1, i16::MIN, 1, -1, i16::MIN, 1]);
        for (tag, code) in [(6, g711::encode_a(1_000)), (7, g711::encode_u(1_000))] {
            let law = Recording::from_wav(&wav(tag, 1, 8_000, 8, &[code; 5])).unwrap();
            assert!((950..=1_050).contains(&law.sample(11)), "{}", law.sample(11));
        }
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_what_it_is() {
        assert_eq!(Recording::from_wav(b"OggS"), Err(NoRecording::NotWav));
        assert_eq!(Recording::from_wav(&wav(1, 1, 8_000, 16, &[])), Err(NoRecording::Empty));
        for (tag, channels, hz, bits) in [(1, 2, 8_000, 16), (1, 1, 44_100, 16), (1, 1, 8_000, 8), (85, 1, 8_000, 16)] {
            let refused = Recording::from_wav(&wav(tag, channels, hz, bits, &[0; 8]));
            assert_eq!(refused, Err(NoRecording::Kind { tag, channels, hz, bits }));
        }
        let long = vec![0; 2 * (SECONDS_MAX * 8_000 + 1)];
        assert_eq!(Recording::from_wav(&wav(1, 1, 8_000, 16, &long)), Err(NoRecording::TooLong));
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_no_reason_to_end() {
        let whole = wav(1, 1, 8_000, 16, &[7; 40]);
        for end in 0..whole.len() {
            if let Ok(recording) = Recording::from_wav(&whole[..end]) {
                assert!(recording.samples.len() <= 20 && end > whole.len() - 40);
            }
        }
    }
}
