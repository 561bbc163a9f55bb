//! What is played in place of a packet that was lost: the last pitch period again and again, fading.
//!
//! In the manner of ITU-T G.711 Appendix I, but without its delay of 3.75 ms: where a period meets what was there before, the step
//! between them is spread over the beginning of the period instead of blending back in time. When sound comes again, what was
//! made up goes on under it for a moment and fades out. Refuses to know: packets, and how sound was encoded.

use super::Rate;
use alloc::boxed::Box;

/// The longest pitch period that is looked for, in milliseconds: 66 Hz.
const LONGEST_MS: usize = 15;
/// The shortest in eighths of a millisecond: 400 Hz.
const SHORTEST_EIGHTHS: usize = 20;
/// What is compared to find it, in milliseconds.
const TEMPLATE_MS: usize = 20;
/// Past that is kept, in milliseconds: the template, and a period before it.
const PAST_MS: usize = TEMPLATE_MS + LONGEST_MS;
/// The same in samples at the higher rate.
const PAST: usize = PAST_MS * 16;
const LONGEST: usize = LONGEST_MS * 16;
/// Made up sound is as loud as it was for so long, in milliseconds, and fades over as much as the next says.
const HOLD_MS: usize = 20;
const FADE_MS: usize = 100;
/// Under sound that comes again it goes on for so long, in milliseconds.
const REJOIN_MS: usize = 5;

/// Of one stream.
#[derive(Debug)]
pub(super) struct Concealer {
    rate: Rate,
    /// The last that was heard, made up or not, oldest first.
    past: Box<[i16; PAST]>,
    /// What is played again, of which `length` samples count.
    period: Box<[i16; LONGEST]>,
    length: usize,
    /// Samples made up since sound stopped; none while there is sound.
    made: Option<usize>,
}

impl Concealer {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, past: Box::new([0; PAST]), period: Box::new([0; LONGEST]), length: 1, made: None }
    }

    /// Forgets what was heard: a new stream begins.
    pub(super) fn restart(&mut self) {
        self.past.fill(0);
        self.made = None;
    }

    /// Time goes on without sound: what comes next is not joined to what was made up.
    pub(super) const fn pause(&mut self) {
        self.made = None;
    }

    /// Sound came: it is remembered, and joined to what was made up before it.
    pub(super) fn hear(&mut self, samples: &mut [i16]) {
        if let Some(made) = self.made.take() {
            let over = (REJOIN_MS * self.rate.per_ms()).min(samples.len());
            for (n, sample) in samples.iter_mut().take(over).enumerate() {
                let old = i32::from(self.made_up(made + n));
                let (rise, whole) = (n as i32 + 1, over as i32 + 1);
                *sample = ((i32::from(*sample) * rise + old * (whole - rise)) / whole) as i16;
            }
        }
        self.remember(samples);
    }

    /// Makes up the next samples.
    pub(super) fn conceal(&mut self, samples: &mut [i16]) {
        let made = match self.made {
            Some(made) => made,
            None => {
                self.find_period();
                0
            }
        };
        for (n, sample) in samples.iter_mut().enumerate() {
            *sample = self.made_up(made + n);
        }
        self.made = Some(made + samples.len());
        self.remember(samples);
    }

    fn past_now(&self) -> &[i16] {
        &self.past[PAST - PAST_MS * self.rate.per_ms()..]
    }

    fn remember(&mut self, samples: &[i16]) {
        let kept = samples.len().min(PAST);
        self.past.copy_within(kept.., 0);
        self.past[PAST - kept..].copy_from_slice(&samples[samples.len() - kept..]);
    }

    /// The sample so many after sound stopped.
    fn made_up(&self, n: usize) -> i16 {
        let (hold, fade) = (HOLD_MS * self.rate.per_ms(), FADE_MS * self.rate.per_ms());
        let left = (hold + fade).saturating_sub(n).min(fade) as i32;
        (i32::from(self.period[n % self.length]) * left / fade as i32) as i16
    }

    /// Takes the last period out of the past, so that it can follow itself and what was last heard.
    fn find_period(&mut self) {
        let lag = self.lag();
        let past = &self.past[PAST - PAST_MS * self.rate.per_ms()..];
        let last = past.len() - 1;
        // Where the period begins is one period ago; what was before that should be what is now. It is not quite: the difference
        // is carried on and lost over a quarter of the period.
        let step = i32::from(past[last]) - i32::from(past[last - lag]);
        let over = (lag / 4).max(1);
        for n in 0..lag {
            let carried = step * over.saturating_sub(n) as i32 / (over as i32 + 1);
            let sample = i32::from(past[last + 1 - lag + n]) + carried;
            self.period[n] = sample.clamp(-32_768, 32_767) as i16;
        }
        self.length = lag;
    }

    /// The period by which the past is most like itself. At the higher rate first by every second sample.
    fn lag(&self) -> usize {
        let (past, per_ms) = (self.past_now(), self.rate.per_ms());
        let (shortest, longest) = (SHORTEST_EIGHTHS * per_ms / 8, LONGEST_MS * per_ms);
        let stride = per_ms / 8;
        let coarse = best((shortest..=longest).step_by(stride), past, per_ms, stride);
        if stride == 1 {
            return coarse;
        }
        best((coarse - 1).max(shortest)..=(coarse + 1).min(longest), past, per_ms, 1)
    }
}

/// The best of these lags.
fn best(lags: impl Iterator<Item = usize>, past: &[i16], per_ms: usize, stride: usize) -> usize {
    let (mut best, mut most) = (LONGEST_MS * per_ms, 0.0);
    for lag in lags {
        let likeness = likeness(past, lag, TEMPLATE_MS * per_ms, stride);
        if likeness > most {
            (best, most) = (lag, likeness);
        }
    }
    best
}

/// How much the end of the past is like itself a lag before: the normalised correlation, squared, nothing when it is opposed.
fn likeness(past: &[i16], lag: usize, template: usize, stride: usize) -> f32 {
    let (now, before) = (&past[past.len() - template..], &past[past.len() - template - lag..past.len() - lag]);
    let (mut product, mut energy) = (0i64, 0i64);
    for (a, b) in now.iter().zip(before).step_by(stride) {
        product += i64::from(i32::from(*a) * i32::from(*b));
        energy += i64::from(i32::from(*b) * i32::from(*b));
    }
    if product <= 0 || energy == 0 {
        return 0.0;
    }
    let product = product as f32;
    product * product / energy as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::signal::{decibels, speech, tone};

    #[test]
    fn a_lost_packet_of_a_tone_is_hardly_heard() {
        for (rate, hz) in [(Rate::Narrow, 200), (Rate::Narrow, 440), (Rate::Wide, 440), (Rate::Wide, 300)] {
            let frame = 20 * rate.per_ms();
            let whole = tone(hz, rate.hz(), 10 * frame, 10_000.0);
            let mut concealer = Concealer::new(rate);
            let mut heard = whole.clone();
            for (n, piece) in heard.chunks_mut(frame).enumerate() {
                if n == 5 {
                    piece.fill(0);
                    concealer.conceal(piece);
                } else {
                    concealer.hear(piece);
                }
            }
            let lost = 5 * frame..6 * frame;
            let off = decibels(&whole[lost.clone()]) - decibels(&heard[lost.clone()]);
            assert!(off.abs() < 1.0, "{hz} Hz at {rate:?}: {off} dB");
            // No step is larger than the tone itself makes, but for a little: nothing clicks.
            let steps = |sound: &[i16]| sound.windows(2).map(|two| (two[1] - two[0]).abs()).max().unwrap();
            assert!(steps(&heard) < steps(&whole) * 3 / 2, "{hz} Hz at {rate:?}: {}", steps(&heard));
        }
    }

    #[test]
    fn speech_keeps_its_energy_for_a_while_and_is_gone_after_120_ms() {
        let mut concealer = Concealer::new(Rate::Narrow);
        let mut before = speech(8_000, 8_000);
        concealer.hear(&mut before);
        let mut made = [0; 1_600];
        concealer.conceal(&mut made);
        assert!((decibels(&before[7_700..]) - decibels(&made[..160])).abs() < 6.0);
        assert!(made[..640].chunks(80).all(|piece| decibels(piece) > 40.0));
        assert!(made[960..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn nothing_comes_of_nothing_and_of_the_loudest_no_overflow() {
        let mut made = [9; 400];
        Concealer::new(Rate::Wide).conceal(&mut made);
        assert_eq!(made, [0; 400]);
        let mut concealer = Concealer::new(Rate::Wide);
        concealer.hear(&mut std::vec![i16::MIN; 2_000]);
        concealer.conceal(&mut made);
        assert_eq!(made[0], i16::MIN);
        concealer.restart();
        concealer.conceal(&mut made);
        assert_eq!(made, [0; 400]);
    }
}
