//! G.722 at 64 kbit/s (ITU-T G.722): sound of 7 kHz in the bits of a telephone line.
//!
//! Two quadrature mirror filters part the band at 4 kHz; each half is ADPCM of its own, six bits for the lower, two for the
//! higher. The other two modes only take bits away from the lower half, and RTP does not use them (RFC 3551 §4.5.2).
//! Refuses to know: packets.

mod band;

use band::{Band, HIGH, LOW};

/// The mirror filter's coefficients (Table 11/G.722), scaled by 2^13: those of even index. It is symmetric, so that those of odd
/// index are the same ones backwards.
const MIRROR: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// The last 24 values in a filter, as two lines of twelve, the newest first.
#[derive(Clone, Debug)]
struct Lines {
    first: [i32; 12],
    second: [i32; 12],
}

impl Lines {
    const fn new() -> Self {
        Self { first: [0; 12], second: [0; 12] }
    }

    /// Takes one pair in; the sums over those of even and those of odd index.
    fn turn(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.first.copy_within(..11, 1);
        self.second.copy_within(..11, 1);
        (self.first[0], self.second[0]) = (first, second);
        let even = self.first.iter().zip(MIRROR).map(|(value, h)| value * h).sum();
        let odd = self.second.iter().zip(MIRROR.iter().rev()).map(|(value, h)| value * h).sum();
        (even, odd)
    }
}

/// Sound to bytes.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    lines: Lines,
    low: Band,
    high: Band,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { lines: Lines::new(), low: Band::new(&LOW), high: Band::new(&HIGH) }
    }

    /// Two samples at 16 kHz to each byte; an odd one at the end is left out.
    pub(super) fn encode(&mut self, samples: &[i16], into: &mut [u8]) -> usize {
        let mut length = 0;
        for (pair, byte) in samples.as_chunks::<2>().0.iter().zip(into) {
            // §3.1: the newer of the two goes with the even coefficients.
            let (a, b) = self.lines.turn(i32::from(pair[1]), i32::from(pair[0]));
            let (low, high) = (limit((a + b) >> 14), limit((a - b) >> 14));
            *byte = self.high.encode_two(high) << 6 | self.low.encode_six(low);
            length += 1;
        }
        length
    }
}

/// Bytes to sound.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    lines: Lines,
    low: Band,
    high: Band,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { lines: Lines::new(), low: Band::new(&LOW), high: Band::new(&HIGH) }
    }

    /// Two samples at 16 kHz of each byte; how many they are.
    pub(super) fn decode(&mut self, bytes: &[u8], into: &mut [i16]) -> usize {
        let mut length = 0;
        for (byte, pair) in bytes.iter().zip(into.as_chunks_mut::<2>().0) {
            let low = limit(self.low.decode_six(byte & 0x3f));
            let high = limit(self.high.decode_two(byte >> 6));
            // §4.4: the difference goes with the even coefficients and gives the earlier sample.
            let (a, b) = self.lines.turn(low - high, low + high);
            *pair = [to_sample(a >> 11), to_sample(b >> 11)];
            length += 2;
        }
        length
    }
}

/// Fifteen bits are what each half has.
fn limit(value: i32) -> i32 {
    value.clamp(-16_384, 16_383)
}

fn to_sample(value: i32) -> i16 {
    value.clamp(-32_768, 32_767) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::signal;
    use std::vec::Vec;

    fn through(samples: &[i16]) -> (Vec<u8>, Vec<i16>) {
        let (mut bytes, mut heard) = (std::vec![0; samples.len() / 2], std::vec![0; samples.len()]);
        assert_eq!(Encoder::new().encode(samples, &mut bytes), bytes.len());
        assert_eq!(Decoder::new().decode(&bytes, &mut heard), heard.len());
        (bytes, heard)
    }

    /// FNV-1a, so that a change of one bit anywhere shows.
    fn sum(bytes: impl IntoIterator<Item = u8>) -> u64 {
        bytes
            .into_iter()
            .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// Noise of every loudness, from full scale to a few bits.
    fn noise(seed: &mut u32) -> u32 {
        *seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        *seed
    }

    fn little(samples: &[i16]) -> impl Iterator<Item = u8> + '_ {
        samples.iter().flat_map(|sample| sample.to_le_bytes())
    }

    /// The sums are those of another implementation, run beside this one; of any bytes it was the same but for what is held here at
    /// full scale and wraps around there.
    #[test]
    fn every_bit_is_the_one_that_others_send_and_hear() {
        let mut seed = 1;
        let samples: Vec<i16> = (0..24_000).map(|n| (noise(&mut seed) >> 16) as i16 >> (1 + n / 2_000 % 12)).collect();
        let (bytes, heard) = through(&samples);
        assert_eq!(sum(bytes), 0x13d3_559e_bc74_5c7a);
        assert_eq!(sum(little(&heard)), 0x2aac_dee4_f8b4_3426);
        let any: Vec<u8> = (0..8_000).map(|_| (noise(&mut seed) >> 24) as u8).collect();
        let mut heard = std::vec![0; 16_000];
        Decoder::new().decode(&any, &mut heard);
        assert_eq!(sum(little(&heard)), 0x1891_2608_ddfb_2583);
    }

    #[test]
    fn tones_of_the_whole_band_come_through_as_loud_as_they_were() {
        for hz in [100, 300, 1_000, 2_000, 3_400, 4_500, 6_000, 6_800] {
            let tone = signal::tone(hz, 16_000, 6_000, 8_000.0);
            let (_, heard) = through(&tone);
            let (was, is) = (signal::decibels(&tone[2_000..]), signal::decibels(&heard[2_000..]));
            assert!((was - is).abs() < 1.0, "{hz} Hz: {was} dB became {is} dB");
            assert!(signal::snr(&tone, &heard) > 18.0, "{hz} Hz: {} dB", signal::snr(&tone, &heard));
        }
    }

    #[test]
    fn silence_stays_silence_and_full_scale_is_no_overflow() {
        let (_, heard) = through(&[0; 3_200]);
        assert!(heard.iter().all(|sample| sample.abs() < 20), "{:?}", heard.iter().max());
        let square: Vec<i16> = (0..16_000).map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        assert!(signal::decibels(&through(&square).1) > 80.0);
    }

    #[test]
    fn an_odd_sample_at_the_end_and_no_room_are_no_harm() {
        let mut byte = [0; 1];
        assert_eq!(Encoder::new().encode(&[1, 2, 3], &mut byte), 1);
        assert_eq!(Encoder::new().encode(&[1, 2, 3, 4], &mut byte), 1);
        assert_eq!(Decoder::new().decode(&[1, 2, 3], &mut [0; 3]), 2);
    }
}
