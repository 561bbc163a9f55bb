//! One half of the band: adaptive quantizer and adaptive predictor (ITU-T G.722 §3.2 to §3.6, §6.2.1).
//!
//! Numbers are those of the Recommendation's sixteen-bit arithmetic: 2^15 is one for coefficients of the predictor.
//! Refuses to know: the other half.

/// Decision levels of the lower quantizer (Table 14/G.722), as it scales them by 2^12.
const LEVELS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121, 1_219, 1_339,
    1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// What the lower half is taken to have been, to six bits.
const OUT_SIX: [i32; 30] = [
    17, 54, 91, 130, 170, 211, 254, 300, 347, 396, 447, 501, 558, 618, 682, 750, 822, 899, 982, 1_072, 1_170, 1_279,
    1_399, 1_535, 1_689, 1_873, 2_088, 2_376, 2_738, 3_101,
];
/// The same to four bits: what both ends predict from, so that bits taken from the rest do no harm to the prediction.
const OUT_FOUR: [i32; 8] = [0, 150, 323, 530, 786, 1_121, 1_612, 2_557];
/// How each of those moves the scale.
const MOVE_FOUR: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1_198, 3_042];
/// The only decision level of the higher quantizer.
const LEVEL_TWO: i32 = 564;
/// What the higher half is taken to have been.
const OUT_TWO: [i32; 2] = [202, 926];
/// How each of those moves the scale.
const MOVE_TWO: [i32; 2] = [-214, 798];

/// An octave of scales: 2^11 times 2^(n/32), rounded.
const OCTAVE: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834,
    2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// By six-bit code, signed; codes that no encoder sends are the smallest.
const BY_SIX: [i32; 64] = by_six();
/// By four-bit code: what it was, signed, and how it moves the scale.
const BY_FOUR: [(i32, i32); 16] = by_four();
/// By two-bit code, likewise.
const BY_TWO: [(i32, i32); 4] =
    [(-OUT_TWO[1], MOVE_TWO[1]), (-OUT_TWO[0], MOVE_TWO[0]), (OUT_TWO[1], MOVE_TWO[1]), (OUT_TWO[0], MOVE_TWO[0])];

/// The code of an interval of the lower quantizer (Table 15/G.722), 0 the innermost.
const fn code_six(interval: usize, negative: bool) -> usize {
    match (negative, interval) {
        (true, 0 | 1) => 63 - interval,
        (true, _) => 33 - interval,
        (false, _) => 61 - interval,
    }
}

const fn by_six() -> [i32; 64] {
    let (mut table, mut interval) = ([-OUT_SIX[0]; 64], 0);
    while interval < OUT_SIX.len() {
        table[code_six(interval, true)] = -OUT_SIX[interval];
        table[code_six(interval, false)] = OUT_SIX[interval];
        interval += 1;
    }
    table
}

const fn by_four() -> [(i32, i32); 16] {
    let (mut table, mut code) = ([(OUT_FOUR[0], MOVE_FOUR[0]); 16], 1);
    while code < 15 {
        // One to seven fall below zero, eight to fourteen rise above, both from the outermost inwards.
        let interval = if code < 8 { 8 - code } else { 15 - code };
        let out = if code < 8 { -OUT_FOUR[interval] } else { OUT_FOUR[interval] };
        table[code] = (out, MOVE_FOUR[interval]);
        code += 1;
    }
    table
}

/// What is not the same in both halves.
#[derive(Debug)]
pub(super) struct Kind {
    /// Upper end of the logarithm of the scale.
    top: i32,
    /// How many octaves the scale is below it.
    octaves: i32,
    /// The scale to begin with.
    first: i32,
}

/// The lower half.
pub(super) const LOW: Kind = Kind { top: 18_432, octaves: 8, first: 32 };
/// The higher half.
pub(super) const HIGH: Kind = Kind { top: 22_528, octaves: 10, first: 8 };

/// Its state.
#[derive(Clone, Debug)]
pub(super) struct Band {
    kind: &'static Kind,
    /// What is predicted, and the part of it that the zeros have.
    predicted: i32,
    zeros: i32,
    /// The last two of what was put together again, and of that without the poles.
    rebuilt: [i32; 2],
    partial: [i32; 2],
    /// The last six differences.
    differences: [i32; 6],
    poles: [i32; 2],
    weights: [i32; 6],
    /// Logarithm of the scale, and the scale.
    log: i32,
    scale: i32,
}

impl Band {
    pub(super) const fn new(kind: &'static Kind) -> Self {
        Self {
            kind,
            predicted: 0,
            zeros: 0,
            rebuilt: [0; 2],
            partial: [0; 2],
            differences: [0; 6],
            poles: [0; 2],
            weights: [0; 6],
            log: 0,
            scale: kind.first,
        }
    }

    pub(super) fn encode_six(&mut self, value: i32) -> u8 {
        let difference = clip(value - self.predicted);
        let size = if difference < 0 { !difference } else { difference };
        let interval = LEVELS.partition_point(|level| size >= (level * self.scale) >> 12);
        let code = code_six(interval, difference < 0) as u8;
        self.follow_four(code >> 2);
        code
    }

    pub(super) fn decode_six(&mut self, code: u8) -> i32 {
        let value = self.predicted + ((BY_SIX[usize::from(code & 63)] * self.scale) >> 12);
        self.follow_four(code >> 2);
        value
    }

    fn follow_four(&mut self, code: u8) {
        let (out, step) = BY_FOUR[usize::from(code & 15)];
        self.follow((out * self.scale) >> 12, step);
    }

    pub(super) fn encode_two(&mut self, value: i32) -> u8 {
        let difference = clip(value - self.predicted);
        let size = if difference < 0 { !difference } else { difference };
        let outer = size >= (LEVEL_TWO * self.scale) >> 12;
        let code = u8::from(!outer) | u8::from(difference >= 0) << 1;
        self.decode_two(code);
        code
    }

    pub(super) fn decode_two(&mut self, code: u8) -> i32 {
        let (out, step) = BY_TWO[usize::from(code & 3)];
        let difference = (out * self.scale) >> 12;
        let value = self.predicted + difference;
        self.follow(difference, step);
        value
    }

    /// Both ends do this after every code: scale and predictor follow what was sent.
    fn follow(&mut self, difference: i32, step: i32) {
        self.log = (((self.log * 32_512) >> 15) + step).clamp(0, self.kind.top);
        let mantissa = OCTAVE[(self.log >> 6 & 31) as usize];
        let down = self.kind.octaves - (self.log >> 11);
        self.scale = (if down < 0 { mantissa << -down } else { mantissa >> down }) << 2;

        let (rebuilt, partial) = (clip(self.predicted + difference), clip(self.zeros + difference));
        self.follow_poles(partial);
        self.follow_zeros(difference);
        self.rebuilt = [rebuilt, self.rebuilt[0]];
        self.partial = [partial, self.partial[0]];
        self.predict(difference);
    }

    /// §3.6.3: by the signs of the last three partial sums alone, leaking, and held where the filter is stable.
    fn follow_poles(&mut self, partial: i32) {
        let same = |other: i32| (partial ^ other) >= 0;
        let [first, second] = self.poles;
        let pull = clip(first << 2);
        let pull = if same(self.partial[0]) { clip(-pull) } else { pull } >> 7;
        let push = if same(self.partial[1]) { 128 } else { -128 };
        let second = clip(clip(pull + push) + ((second * 32_512) >> 15)).clamp(-12_288, 12_288);
        let push = if same(self.partial[0]) { 192 } else { -192 };
        let most = 15_360 - second;
        self.poles = [clip(push + ((first * 32_640) >> 15)).clamp(-most, most), second];
    }

    /// §3.6.4: by the signs of this difference and the six before, leaking.
    fn follow_zeros(&mut self, difference: i32) {
        let push = if difference == 0 { 0 } else { 128 };
        for (weight, old) in self.weights.iter_mut().zip(self.differences) {
            let push = if (difference ^ old) >= 0 { push } else { -push };
            *weight = clip(push + ((*weight * 32_640) >> 15));
        }
    }

    /// §3.6.1, §3.6.2: what comes next, two poles and six zeros.
    fn predict(&mut self, difference: i32) {
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        let zeros = self.weights.iter().zip(self.differences).map(|(weight, old)| (weight * clip(old << 1)) >> 15);
        self.zeros = clip(zeros.sum());
        let poles = self.poles.iter().zip(self.rebuilt).map(|(pole, old)| (pole * clip(old << 1)) >> 15);
        self.predicted = clip(clip(poles.sum()) + self.zeros);
    }
}

/// To sixteen bits.
fn clip(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_octave_has_thirty_two_even_steps() {
        for (n, scale) in OCTAVE.iter().enumerate() {
            assert_eq!(*scale, libm::round(2_048.0 * libm::exp2(n as f64 / 32.0)) as i32);
        }
    }

    #[test]
    fn codes_of_six_bits_are_those_of_the_tables() {
        let codes = [(0, true, 63), (1, true, 62), (2, true, 31), (29, true, 4), (0, false, 61), (29, false, 32)];
        for (interval, negative, code) in codes {
            assert_eq!(code_six(interval, negative), code);
        }
        assert_eq!((BY_SIX[61], BY_SIX[63], BY_SIX[0], BY_SIX[4], BY_SIX[32]), (17, -17, -17, -3_101, 3_101));
        assert_eq!((BY_FOUR[0], BY_FOUR[15]), ((0, -60), (0, -60)));
        assert_eq!((BY_FOUR[1], BY_FOUR[7]), ((-2_557, 3_042), (-150, -30)));
        assert_eq!((BY_FOUR[8], BY_FOUR[14]), ((2_557, 3_042), (150, -30)));
    }

    #[test]
    fn each_level_lies_between_what_its_neighbours_become() {
        for (n, level) in LEVELS.iter().enumerate() {
            assert!(OUT_SIX[n] < *level && *level < OUT_SIX[n + 1]);
        }
    }
}
