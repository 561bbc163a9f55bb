//! Tones: made by a sine, found by Goertzel's filter (Goertzel, Amer. Math. Monthly 65, 1958).

/// Samples a second.
pub const RATE: f32 = 8_000.0;
/// Samples in a packet of 20 ms.
pub const FRAME: usize = 160;
/// Peak of a tone: about −10 dBm0.
const PEAK: f32 = 10_000.0;
/// Share of a frame's energy that must be in one frequency for it to count as a tone.
const PURITY: f32 = 0.5;
/// Mean energy per sample below which a frame is silence.
const SILENCE: f32 = 10_000.0;

/// Plays one frequency without a break between frames.
#[derive(Clone, Debug)]
pub struct Generator {
    step: f32,
    phase: f32,
}

impl Generator {
    /// In hertz; 0 is silence.
    pub fn new(hz: u16) -> Self {
        Self { step: core::f32::consts::TAU * f32::from(hz) / RATE, phase: 0.0 }
    }

    /// The next twenty milliseconds.
    pub fn frame(&mut self) -> [i16; FRAME] {
        let mut frame = [0; FRAME];
        for sample in &mut frame {
            *sample = (libm::sinf(self.phase) * PEAK) as i16;
            self.phase = libm::fmodf(self.phase + self.step, core::f32::consts::TAU);
        }
        frame
    }
}

/// Whether a frame is more than silence: a tone, a voice, music, noise.
pub fn is_loud(frame: &[i16]) -> bool {
    !frame.is_empty() && energy(frame) / frame.len() as f32 >= SILENCE
}

fn energy(frame: &[i16]) -> f32 {
    frame.iter().map(|sample| f32::from(*sample) * f32::from(*sample)).sum()
}

/// Which of these frequencies a frame is, when it is one of them and nothing much beside.
pub fn detect(frame: &[i16], frequencies: &[u16]) -> Option<u16> {
    if !is_loud(frame) {
        return None;
    }
    let (energy, length) = (energy(frame), frame.len() as f32);
    let powers = frequencies.iter().map(|hz| (*hz, goertzel(frame, *hz)));
    let (hz, power) = powers.max_by(|a, b| a.1.total_cmp(&b.1))?;
    // A pure tone has half its length times its energy as its power.
    (power / (energy * length / 2.0) >= PURITY).then_some(hz)
}

fn goertzel(frame: &[i16], hz: u16) -> f32 {
    let omega = core::f32::consts::TAU * f32::from(hz) / RATE;
    let coefficient = 2.0 * libm::cosf(omega);
    let (mut before, mut last) = (0.0f32, 0.0f32);
    for sample in frame {
        let next = f32::from(*sample) + coefficient * last - before;
        (before, last) = (last, next);
    }
    before * before + last * last - coefficient * before * last
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [u16; 8] = [350, 440, 620, 850, 1_000, 1_300, 1_700, 2_100];

    #[test]
    fn each_tone_is_heard_as_itself_and_as_no_other() {
        for hz in ALL {
            let mut generator = Generator::new(hz);
            for _ in 0..20 {
                assert_eq!(detect(&generator.frame(), &ALL), Some(hz));
            }
            let others: std::vec::Vec<u16> = ALL.iter().copied().filter(|other| *other != hz).collect();
            assert_eq!(detect(&generator.frame(), &others), None, "{hz} Hz is none of the others");
        }
    }

    #[test]
    fn silence_and_noise_are_no_tone() {
        assert_eq!(detect(&Generator::new(0).frame(), &ALL), None);
        let mut rng = model::Rng::new(5);
        let noise: std::vec::Vec<i16> = (0..FRAME).map(|_| (rng.next_u64() >> 50) as i16 - 8_192).collect();
        assert_eq!(detect(&noise, &ALL), None);
        assert!(is_loud(&noise) && is_loud(&Generator::new(440).frame()) && !is_loud(&[30; FRAME]) && !is_loud(&[]));
        assert_eq!(detect(&[], &ALL), None);
    }
}
