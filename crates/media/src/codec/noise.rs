//! Comfort noise of RFC 3389: the level of a quiet room, told in a byte, made into noise.
//!
//! The shape of its spectrum, which may follow the level, is heeded by nobody who plays it for two hundred milliseconds at a time;
//! it is read past. Refuses to know: when it is played.

use model::Rng;

/// Full scale: a square wave as loud as it gets is 0 dBov (RFC 3389 §3).
const FULL: f32 = 32_767.0;
/// Louder noise than this comforts nobody: it is held there.
const LOUDEST: u8 = 30;

/// A source of noise at the level it was told.
#[derive(Clone, Debug)]
pub(super) struct Noise {
    rng: Rng,
    /// Largest sample.
    peak: i32,
}

impl Noise {
    pub(super) fn new() -> Self {
        Self { rng: Rng::new(0x3389), peak: 0 }
    }

    /// Takes the level of a packet; false when the packet is empty, which none may be.
    pub(super) fn learn(&mut self, payload: &[u8]) -> bool {
        let Some(level) = payload.first() else { return false };
        let below = f32::from((level & 0x7f).max(LOUDEST));
        // Even noise between two peaks has its root mean square at peak / sqrt(3).
        let peak = FULL * libm::powf(10.0, -below / 20.0) * libm::sqrtf(3.0);
        self.peak = libm::roundf(peak) as i32;
        true
    }

    pub(super) fn fill(&mut self, samples: &mut [i16]) {
        for four in samples.chunks_mut(4) {
            let random = self.rng.next_u64();
            for (n, sample) in four.iter_mut().enumerate() {
                let even = i32::from((random >> (16 * n)) as u16 as i16);
                *sample = ((even * self.peak + (1 << 14)) >> 15) as i16;
            }
        }
    }
}

/// The level of some sound in −dBov, 0 to 127, as a comfort noise packet tells it (RFC 3389 §3).
pub fn level_of(samples: &[i16]) -> u8 {
    let energy: u64 = samples.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    if energy == 0 {
        return 127;
    }
    let mean = energy as f32 / samples.len() as f32;
    let below = -10.0 * libm::log10f(mean / (FULL * FULL));
    libm::roundf(below.clamp(0.0, 127.0)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_as_loud_as_it_was_told_3389_3() {
        for level in [30, 40, 55, 70, 78] {
            let (mut noise, mut samples) = (Noise::new(), [0; 4_000]);
            assert!(noise.learn(&[level, 1, 2, 3]));
            noise.fill(&mut samples);
            assert!(level_of(&samples).abs_diff(level) <= 1, "{level} became {}", level_of(&samples));
        }
    }

    #[test]
    fn the_ends_of_the_scale() {
        let (mut noise, mut samples) = (Noise::new(), [9; 160]);
        assert!(!noise.learn(&[]));
        assert!(noise.learn(&[127]));
        noise.fill(&mut samples);
        assert_eq!((samples, level_of(&samples)), ([0; 160], 127));
        assert!(noise.learn(&[0]));
        noise.fill(&mut samples);
        assert!(level_of(&samples) >= 29, "held below what hurts");
        assert_eq!((level_of(&[i16::MAX; 8]), level_of(&[])), (0, 127));
    }
}
