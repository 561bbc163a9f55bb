//! Tones put into sound that goes by: digits one after the other, each as long as it is pressed, silence between.
//!
//! It goes by the samples it is given, so that tones have their length whatever packets do. Refuses to know: clocks, codecs.

use crate::digit::Digit;
use crate::dtmf::inband::Generator;
use alloc::collections::VecDeque;
use model::Span;

/// Digits that wait for those before them.
const QUEUE_MAX: usize = 64;
/// Shortest that a receiver must find, and the pause that the slowest of them need (ITU-T Q.24, annex A); longest that is played when
/// nobody ends a digit. With nothing but the pause to hear, a receiver that takes its time must still find the end of the tone in it.
const SHORTEST: Span = Span::from_millis(40);
const PAUSE: Span = Span::from_millis(70);
const LONGEST: Span = Span::from_secs(30);

/// Too many digits wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueFull;

#[derive(Clone, Debug)]
pub(super) struct Dialler {
    generator: Generator,
    rate: u32,
    /// Each with its length; none while it is pressed.
    queue: VecDeque<(Digit, Option<Span>)>,
    /// The last of them is pressed.
    open: bool,
    /// How much of the first was played, when it has begun.
    played: Option<Span>,
    /// Silence that is still to come.
    pause: Span,
}

impl Dialler {
    /// For sound of so many samples in a second, until it is given others.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            generator: Generator::new(rate),
            rate,
            queue: VecDeque::with_capacity(QUEUE_MAX),
            open: false,
            played: None,
            pause: Span::ZERO,
        }
    }

    pub(super) fn press(&mut self, digit: Digit, duration: Span) -> Result<(), QueueFull> {
        self.add(digit, Some(duration.clamp(SHORTEST, LONGEST)))
    }

    pub(super) fn begin(&mut self, digit: Digit) -> Result<(), QueueFull> {
        self.add(digit, None)?;
        self.open = true;
        Ok(())
    }

    pub(super) fn end(&mut self, duration: Span) {
        if core::mem::take(&mut self.open)
            && let Some((_, open)) = self.queue.back_mut()
        {
            *open = Some(duration.clamp(SHORTEST, LONGEST));
        }
    }

    fn add(&mut self, digit: Digit, length: Option<Span>) -> Result<(), QueueFull> {
        if self.queue.len() == QUEUE_MAX {
            return Err(QueueFull);
        }
        self.end(SHORTEST);
        self.queue.push_back((digit, length));
        Ok(())
    }

    /// Whether sound is to be had from it. The pause behind a tone is: who hears two tones of one key with nothing in between hears one.
    pub(super) fn is_playing(&self) -> bool {
        !self.queue.is_empty() || self.pause > Span::ZERO || self.generator.is_sounding()
    }

    /// Whether a tone or its pause has begun, and what follows must follow without a break.
    pub(super) const fn is_under_way(&self) -> bool {
        self.played.is_some() || self.pause.as_micros() > 0
    }

    /// The next samples, at so many in a second: tones in place of what is there, as far as there are any.
    pub(super) fn overlay(&mut self, rate: u32, mut sound: &mut [i16]) {
        if rate != self.rate {
            (self.generator, self.rate) = (Generator::new(rate), rate);
            if let Some((digit, _)) = self.queue.front().filter(|_| self.played.is_some()) {
                self.generator.begin(*digit);
            }
        }
        while !sound.is_empty() {
            if self.pause > Span::ZERO {
                let (count, span) = self.part(self.pause, sound.len());
                self.generator.fill(&mut sound[..count]);
                self.pause = self.pause - span;
                sound = &mut sound[count..];
                continue;
            }
            let Some((digit, length)) = self.queue.front().copied() else { return };
            if self.played.is_none() {
                self.generator.begin(digit);
            }
            let played = self.played.unwrap_or(Span::ZERO);
            let left = length.unwrap_or(LONGEST) - played;
            let (count, span) = self.part(left, sound.len());
            self.generator.fill(&mut sound[..count]);
            self.played = Some(played + span);
            sound = &mut sound[count..];
            if span == left {
                self.generator.end();
                self.queue.pop_front();
                self.open &= !self.queue.is_empty();
                (self.played, self.pause) = (None, PAUSE);
            }
        }
    }

    /// As much of a time as there is room for: in samples, and what of it that is.
    fn part(&self, span: Span, room: usize) -> (usize, Span) {
        let rate = u64::from(self.rate);
        let whole = (span.as_micros().saturating_mul(rate)).div_ceil(1_000_000);
        if whole <= room as u64 {
            return (whole as usize, span);
        }
        (room, Span::from_micros(room as u64 * 1_000_000 / rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::Told;
    use crate::dtmf::inband::Detector;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn digits_are_played_one_after_the_other_each_as_long_as_it_is_pressed() {
        let digit = |key| Digit::of_key(key).unwrap();
        let mut dialler = Dialler::new(8_000);
        dialler.press(digit(b'1'), Span::from_millis(100)).unwrap();
        dialler.begin(digit(b'1')).unwrap();
        let mut sound = vec![3_000i16; 8_000];
        for (n, packet) in sound.chunks_mut(160).enumerate() {
            if n == 15 {
                dialler.end(Span::from_millis(200));
            }
            dialler.overlay(8_000, packet);
        }
        assert!(!dialler.is_playing());
        assert_eq!(sound[7_999], 3_000, "and then the sound is what it was");
        let mut told = Vec::new();
        Detector::new(8_000).take(&sound, &mut |word| told.push(word));
        let long: Vec<u64> = told
            .iter()
            .filter_map(|word| match word {
                Told::Ended { duration, .. } => Some(duration.as_millis()),
                Told::Began { .. } => None,
            })
            .collect();
        assert!(matches!(long[..], [one, two] if one.abs_diff(100) <= 10 && two.abs_diff(200) <= 10), "{long:?}");
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut dialler = Dialler::new(8_000);
        let digit = Digit::of_key(b'1').unwrap();
        assert_eq!((0..100).filter(|_| dialler.press(digit, Span::ZERO).is_ok()).count(), QUEUE_MAX);
    }
}
