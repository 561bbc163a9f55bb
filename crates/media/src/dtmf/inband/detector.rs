//! Tones of a digit, found.
//!
//! Eight filters of Goertzel's run over blocks of 5 ms. Four blocks are looked at together: two halves of 10 ms each, whose difference in
//! phase tells a frequency to a few hertz, as no filter of that length could. Refuses to know: what is done with what is found.

use super::{TONES, key};
use crate::digit::Digit;
use crate::dtmf::Told;
use alloc::boxed::Box;
use core::f32::consts::{PI, TAU};
use model::Span;

const BLOCK_MS: u64 = 5;
/// Blocks that are looked at together: two halves of two.
const WINDOW: usize = 4;
const HALF_SECONDS: f32 = 0.010;
/// Samples of a window at the highest rate.
const SAMPLES_MAX: usize = 320;

/// Windows in a row from which a sound is taken to be a digit, and kept from whoever must not hear it; and from which it is told.
/// Together they last 25 and 35 ms: what sounds for less than 20 ms does not fill them, what sounds for 40 ms does (Q.24).
const LIKELY: u32 = 2;
const SURE: u32 = 4;
/// Windows in a row without its tones that end a digit. A break of 10 ms does not (Q.24).
const OVER: u32 = 3;
/// How much longer or shorter than the windows it filled a digit is, for those it filled in part at its end.
const EDGES: Span = Span::from_millis(6);

/// Softest peak of one tone: -34 dBm0.
const PEAK_MIN: f32 = 450.0;
/// Share of all energy that must be in the two tones, with what the filters keep out of tones that are astray and without it: at 15 dB
/// of noise 0.97 and 0.86. And what must still be in them while a digit lasts.
const PURITY: f32 = 0.88;
const PURITY_FILTERED: f32 = 0.78;
const PURITY_LASTING: f32 = 0.5;
/// How much louder the column's tone may be than the row's (6 dB), and the other way round (10 dB).
const TWIST: f32 = 4.0;
const TWIST_REVERSE: f32 = 10.0;
/// How much louder than its neighbours a tone must be: 3 dB.
const ABOVE_NEIGHBOURS: f32 = 2.0;
/// How far a tone may be from its place: between the 1.5 % that must be heard and the 3.5 % that must not.
const ASTRAY: f32 = 0.0225;
/// How much a tone may differ in loudness between the halves of a window (5 dB), and both together between the windows until a digit
/// is sure (1.5 dB). Tones are steady, voices are not.
const UNSTEADY: f32 = 3.2;
const UNSTEADY_ALL: f32 = 1.4;
/// How many hertz a tone may wander until a digit is sure: voices glide.
const WANDERING: f32 = 8.0;
/// How much softer than at its begin a digit may become: 10 dB.
const FADED: f32 = 0.1;
/// Most of a tone's energy that may be at twice its frequency: voices have harmonics.
const HARMONIC: f32 = 0.04;

/// A complex number.
#[derive(Clone, Copy, Debug, Default)]
struct Complex {
    re: f32,
    im: f32,
}

impl Complex {
    fn turn(angle: f32) -> Self {
        Self { re: libm::cosf(angle), im: libm::sinf(angle) }
    }

    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }
}

/// One of the eight filters.
#[derive(Clone, Copy, Debug, Default)]
struct Filter {
    coefficient: f32,
    before: f32,
    last: f32,
    /// Turns a block's outcome to its place in time, and that place from block to block.
    forward: Complex,
    back: Complex,
    place: Complex,
    step: Complex,
    /// Outcomes of the last blocks, oldest first.
    blocks: [Complex; WINDOW],
}

impl Filter {
    fn new(hz: f32, rate: f32, length: usize) -> Self {
        let omega = TAU * hz / rate;
        Self {
            coefficient: 2.0 * libm::cosf(omega),
            forward: Complex::turn(-omega * (length - 1) as f32),
            back: Complex::turn(-omega),
            place: Complex::turn(0.0),
            step: Complex::turn(-omega * length as f32),
            ..Self::default()
        }
    }

    #[inline]
    fn take(&mut self, sample: f32) {
        let next = sample + self.coefficient * self.last - self.before;
        (self.before, self.last) = (self.last, next);
    }

    fn finish_block(&mut self) {
        let outcome = Complex { re: self.last - self.back.re * self.before, im: -self.back.im * self.before };
        self.blocks.rotate_left(1);
        self.blocks[WINDOW - 1] = outcome.times(self.forward).times(self.place);
        let place = self.place.times(self.step);
        // Stays of length one for ever.
        let correct = 1.5 - 0.5 * place.power();
        self.place = Complex { re: place.re * correct, im: place.im * correct };
        (self.before, self.last) = (0.0, 0.0);
    }

    fn halves(&self) -> [Complex; 2] {
        [self.blocks[0].plus(self.blocks[1]), self.blocks[2].plus(self.blocks[3])]
    }
}

/// What the tones of one group come to in a window.
#[derive(Clone, Copy, Debug)]
struct Group {
    best: usize,
    /// Energy of the best, by halves, on the scale of the samples' energy.
    halves: [f32; 2],
    second: f32,
    /// Hertz from its place.
    astray: f32,
}

impl Group {
    fn of(filters: &[Filter], half_length: f32) -> Self {
        let (mut best, mut halves, mut second) = (0, [0.0; 2], 0.0);
        for (index, filter) in filters.iter().enumerate() {
            let power = filter.halves().map(|half| half.power() * 2.0 / half_length);
            let sum = power[0] + power[1];
            if sum > halves[0] + halves[1] {
                second = halves[0] + halves[1];
                (best, halves) = (index, power);
            } else if sum > second {
                second = sum;
            }
        }
        let [one, two] = filters[best].halves();
        let turned = two.times(Complex { re: one.re, im: -one.im });
        let astray = libm::atan2f(turned.im, turned.re) / (2.0 * PI * HALF_SECONDS);
        Self { best, halves, second, astray }
    }

    fn energy(&self) -> f32 {
        self.halves[0] + self.halves[1]
    }

    /// All of the tone's energy: what is astray is not let through whole.
    fn whole(&self) -> f32 {
        let away = PI * self.astray * HALF_SECONDS;
        let through = if away.abs() < 0.01 { 1.0 } else { libm::sinf(away) / away };
        self.energy() / (through * through)
    }

    fn is_clear(&self, hz: f32) -> bool {
        let [one, two] = self.halves;
        self.energy() >= ABOVE_NEIGHBOURS * self.second
            && self.astray.abs() <= ASTRAY * hz
            && one <= UNSTEADY * two
            && two <= UNSTEADY * one
    }
}

/// What a window is.
#[derive(Clone, Copy, Debug)]
struct Window {
    digit: Option<Digit>,
    /// It is all that a digit must be; else only what a digit may become while it lasts.
    strict: bool,
    energy: f32,
    /// How far row and column are from their places, in hertz.
    astray: [f32; 2],
    /// How much fainter each is than the other, at least one: the louder blurs where the fainter is.
    faint: [f32; 2],
}

impl Window {
    fn is_like(&self, first: &Self) -> bool {
        let near = |index: usize| (self.astray[index] - first.astray[index]).abs() <= WANDERING * self.faint[index];
        self.strict
            && self.energy <= UNSTEADY_ALL * first.energy
            && first.energy <= UNSTEADY_ALL * self.energy
            && near(0)
            && near(1)
    }
}

#[derive(Clone, Copy, Debug)]
struct Sounding {
    digit: Digit,
    first: Window,
    /// Windows in a row at its begin.
    windows: u32,
    told: bool,
    /// Its end was told already.
    over: bool,
    /// Block at whose end it was found first, and heard last.
    since: u64,
    last: u64,
}

impl Sounding {
    fn duration(&self) -> Span {
        Span::from_millis((self.last - self.since) * BLOCK_MS) + EDGES
    }
}

/// What is heard in a piece of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Hearing {
    /// Tones of a digit sound in it, or likely so: to whoever hears of digits otherwise it should be silent.
    pub tones: bool,
}

/// Listens to one stream of sound.
#[derive(Clone, Debug)]
pub struct Detector {
    filters: Box<[Filter; 8]>,
    rate: f32,
    length: usize,
    taken: usize,
    energy: f32,
    energies: [f32; WINDOW],
    /// The last samples, as a ring.
    recent: Box<[i16; SAMPLES_MAX]>,
    next: usize,
    /// Blocks since the start.
    block: u64,
    sounding: Option<Sounding>,
}

impl Detector {
    /// For so many samples in a second: 8000 or 16000.
    pub fn new(rate: u32) -> Self {
        let rate = if rate > 8_000 { 16_000 } else { 8_000 };
        let length = (rate as usize) * BLOCK_MS as usize / 1_000;
        let filters = TONES.map(|hz| Filter::new(hz, rate as f32, length));
        Self {
            filters: Box::new(filters),
            rate: rate as f32,
            length,
            taken: 0,
            energy: 0.0,
            energies: [0.0; WINDOW],
            recent: Box::new([0; SAMPLES_MAX]),
            next: 0,
            block: 0,
            sounding: None,
        }
    }

    /// The next samples. What they say is told, in order.
    pub fn take(&mut self, sound: &[i16], tell: &mut dyn FnMut(Told)) -> Hearing {
        let mut tones = self.sounds();
        for sample in sound {
            let value = f32::from(*sample);
            self.energy += value * value;
            for filter in self.filters.iter_mut() {
                filter.take(value);
            }
            self.recent[self.next] = *sample;
            self.next = (self.next + 1) % (self.length * WINDOW);
            self.taken += 1;
            if self.taken == self.length {
                self.finish_block(tell);
                tones |= self.sounds();
            }
        }
        Hearing { tones }
    }

    /// How long the digit was heard so far that was told and is not over yet.
    pub fn so_far(&self) -> Option<Span> {
        self.sounding.filter(|sounding| sounding.told && !sounding.over).map(|sounding| sounding.duration())
    }

    /// No more sound comes for now: a digit in it is over. Sound that goes on with its tones after all is still that digit, and told no more.
    pub fn hush(&mut self, tell: &mut dyn FnMut(Told)) {
        if let Some(mut sounding) = self.sounding.filter(|sounding| sounding.told) {
            self.end(&sounding, tell);
            sounding.over = true;
            self.sounding = Some(sounding);
        }
    }

    /// The sound is over: so is a digit in it.
    pub fn finish(&mut self, tell: &mut dyn FnMut(Told)) {
        if let Some(sounding) = self.sounding.take() {
            self.end(&sounding, tell);
        }
    }

    fn sounds(&self) -> bool {
        self.sounding.is_some_and(|sounding| sounding.windows >= LIKELY)
    }

    fn finish_block(&mut self, tell: &mut dyn FnMut(Told)) {
        self.block += 1;
        self.taken = 0;
        self.energies.rotate_left(1);
        self.energies[WINDOW - 1] = core::mem::take(&mut self.energy);
        for filter in self.filters.iter_mut() {
            filter.finish_block();
        }
        let window = self.window();
        let Some(mut sounding) = self.sounding else { return self.begin(window) };
        let same = window.digit == Some(sounding.digit) && window.energy >= FADED * sounding.first.energy;
        let goes_on = same && (sounding.told || window.is_like(&sounding.first));
        if goes_on {
            sounding.last = self.block;
            sounding.windows += 1;
            if !sounding.told && sounding.windows >= SURE {
                sounding.told = true;
                tell(Told::Began { digit: sounding.digit });
            }
            self.sounding = Some(sounding);
        } else if !sounding.told {
            self.begin(window);
        } else if self.block - sounding.last >= u64::from(OVER) || window.strict {
            // Another digit without any pause ends it too.
            self.end(&sounding, tell);
            self.begin(window);
        }
    }

    fn begin(&mut self, window: Window) {
        let digit = window.digit.filter(|_| window.strict);
        self.sounding = digit.map(|digit| Sounding {
            digit,
            first: window,
            windows: 1,
            told: false,
            over: false,
            since: self.block,
            last: self.block,
        });
    }

    fn end(&self, sounding: &Sounding, tell: &mut dyn FnMut(Told)) {
        if sounding.told && !sounding.over {
            tell(Told::Ended { digit: sounding.digit, duration: sounding.duration() });
        }
    }

    fn window(&self) -> Window {
        let half = (self.length * WINDOW / 2) as f32;
        let total: f32 = self.energies.iter().sum();
        let row = Group::of(&self.filters[..4], half);
        let column = Group::of(&self.filters[4..], half);
        let energy = row.energy() + column.energy();
        let loud = PEAK_MIN * PEAK_MIN * half;
        let digit = key(row.best, column.best).filter(|_| energy > 0.0 && energy >= PURITY_LASTING * total);
        let strict = digit.is_some()
            && row.energy().min(column.energy()) >= loud
            && energy >= PURITY_FILTERED * total
            && row.whole() + column.whole() >= PURITY * total
            && column.energy() <= TWIST * row.energy()
            && row.energy() <= TWIST_REVERSE * column.energy()
            && row.is_clear(TONES[row.best])
            && column.is_clear(TONES[4 + column.best])
            && self.has_no_harmonics(&row, &column);
        let twist = libm::sqrtf(column.energy() / row.energy().max(1.0));
        let faint = [twist.max(1.0), (1.0 / twist.max(0.01)).max(1.0)];
        Window { digit, strict, energy, astray: [row.astray, column.astray], faint }
    }

    /// Asked last, of the few windows that are all else that a digit must be.
    fn has_no_harmonics(&self, row: &Group, column: &Group) -> bool {
        let (row_hz, column_hz) = (TONES[row.best] + row.astray, TONES[4 + column.best] + column.astray);
        let near = (2.0 * row_hz - column_hz).abs() < 250.0;
        (near || self.at(2.0 * row_hz) <= HARMONIC * row.energy())
            && self.at(2.0 * column_hz) <= HARMONIC * column.energy()
    }

    /// Energy of the window at any frequency.
    fn at(&self, hz: f32) -> f32 {
        let coefficient = 2.0 * libm::cosf(TAU * hz / self.rate);
        let (mut before, mut last) = (0.0f32, 0.0f32);
        let length = self.length * WINDOW;
        for index in 0..length {
            let sample = f32::from(self.recent[(self.next + index) % length]);
            (before, last) = (last, sample + coefficient * last - before);
        }
        (before * before + last * last - coefficient * before * last) * 2.0 / length as f32
    }
}
