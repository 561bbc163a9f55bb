//! The E-model of ITU-T G.107 (06/2015): one rating R, and the opinion score that follows from it, for a line as it is measured.
//!
//! The whole default formula, `R = Ro - Is - Id - Ie,eff + A`, so that its published values come out; what the edge cannot know (noise
//! of the rooms, echo of the sets) stays at the default. What it gives is an estimate: nobody has listened. Every name is that of
//! the recommendation. Refuses to know: packets, how loss was counted.

use crate::speech::Codec;
use libm::{exp, log10, pow, sqrt};
use model::Mos;

/// What a line is made of (G.107 Table 2). The default is the recommendation's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Send loudness rating, dB.
    pub slr: f64,
    /// Receive loudness rating, dB.
    pub rlr: f64,
    /// Sidetone masking rating, dB.
    pub stmr: f64,
    /// D-value of the talker's telephone.
    pub ds: f64,
    /// D-value of the listener's telephone.
    pub dr: f64,
    /// Talker echo loudness rating, dB.
    pub telr: f64,
    /// Weighted echo path loss, dB.
    pub wepl: f64,
    /// Mean one-way delay of the echo path, ms.
    pub t: f64,
    /// Round-trip delay in a four-wire loop, ms.
    pub tr: f64,
    /// Absolute delay, mouth to ear, ms.
    pub ta: f64,
    /// Quantising distortion units.
    pub qdu: f64,
    /// Equipment impairment factor.
    pub ie: f64,
    /// Packet-loss robustness factor.
    pub bpl: f64,
    /// Packets lost, percent.
    pub ppl: f64,
    /// Burst ratio: 1 for losses by chance.
    pub burst_r: f64,
    /// Circuit noise, dBm0p.
    pub nc: f64,
    /// Noise floor at the receive side, dBmp.
    pub nfor: f64,
    /// Room noise at the send side, dB(A).
    pub ps: f64,
    /// Room noise at the receive side, dB(A).
    pub pr: f64,
    /// Advantage factor.
    pub a: f64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            slr: 8.0,
            rlr: 2.0,
            stmr: 15.0,
            ds: 3.0,
            dr: 3.0,
            telr: 65.0,
            wepl: 110.0,
            t: 0.0,
            tr: 0.0,
            ta: 0.0,
            qdu: 1.0,
            ie: 0.0,
            bpl: 4.3,
            ppl: 0.0,
            burst_r: 1.0,
            nc: -70.0,
            nfor: -64.0,
            ps: 35.0,
            pr: 35.0,
            a: 0.0,
        }
    }
}

/// How a codec sounds without loss (Ie), and how it bears loss (Bpl). G.711 and G.729 by G.113 Appendix I (05/2002); receivers are
/// taken to conceal losses, as nearly all do. For the others nothing is published on the scale of narrow band: theirs are provisional.
pub const fn impairment(codec: Codec) -> (f64, f64) {
    match codec {
        Codec::Pcma | Codec::Pcmu => (0.0, 25.1),
        Codec::G729 => (11.0, 19.0),
        // Provisional: no worse than G.711 as it is, and as it bears loss.
        Codec::L16 => (0.0, 25.1),
        // Provisional: its loss is heard longer, since what is decoded depends on what was before.
        Codec::G722 => (0.0, 14.0),
        // Provisional.
        Codec::Opus => (0.0, 20.0),
    }
}

/// What is measured of one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Its codec.
    pub codec: Codec,
    /// Packets lost or too late, 0 to 1.
    pub loss: f64,
    /// See [`super::bursts::Bursts::ratio`].
    pub burst_ratio: f64,
    /// Mouth to ear, ms, as far as it is known.
    pub delay_ms: f64,
}

impl Measured {
    /// Rating of this direction: an estimate.
    pub fn rating(&self) -> f64 {
        let (ie, bpl) = impairment(self.codec);
        let delay = self.delay_ms.clamp(0.0, 5_000.0);
        let line = Line {
            ie,
            bpl,
            ppl: (self.loss * 100.0).clamp(0.0, 100.0),
            burst_r: self.burst_ratio.max(1.0),
            t: delay,
            tr: 2.0 * delay,
            ta: delay,
            ..Line::default()
        };
        line.rating()
    }

    /// Opinion score of this direction: an estimate.
    pub fn mos(&self) -> Mos {
        mos(self.rating())
    }
}

/// G.107 Annex B: R to the mean opinion score of a conversation.
pub fn mos(r: f64) -> Mos {
    let score = if r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6
    };
    // Below R = 6.5 the cubic dips under one (Annex B note).
    Mos::from_hundredths((score.max(1.0) * 100.0 + 0.5) as u16)
}

/// Sum of levels, dB.
fn together(levels: &[f64]) -> f64 {
    10.0 * log10(levels.iter().map(|level| pow(10.0, level / 10.0)).sum())
}

/// `(1 + x^n)^(1/n)`, which the model's curves are made of.
fn bend(x: f64, n: f64) -> f64 {
    pow(1.0 + pow(x, n), 1.0 / n)
}

impl Line {
    /// R, by formula 7-1.
    pub fn rating(&self) -> f64 {
        let no = self.noise();
        let ro = 15.0 - 1.5 * (self.slr + no);
        let sidetone = self.sidetone();
        let is = self.loudness(no) + sidetone + self.quantising(ro);
        let id = self.talker_echo(no, sidetone) + self.listener_echo(ro) + self.delay();
        ro - is - id - self.equipment() + self.a
    }

    /// No: all noise, referred to 0 dBr (7-3 to 7-7).
    fn noise(&self) -> f64 {
        let olr = self.slr + self.rlr;
        let nos = self.ps - self.slr - self.ds - 100.0 + 0.004 * pow(self.ps - olr - self.ds - 14.0, 2.0);
        let lstr = self.stmr + self.dr;
        let pre = self.pr + 10.0 * log10(1.0 + pow(10.0, (10.0 - lstr) / 10.0));
        let nor = self.rlr - 121.0 + pre + 0.008 * pow(pre - 35.0, 2.0);
        together(&[self.nc, nos, nor, self.nfor + self.rlr])
    }

    /// Iolr: too loud a line (7-9, 7-10).
    fn loudness(&self, no: f64) -> f64 {
        let xolr = self.slr + self.rlr + 0.2 * (64.0 + no - self.rlr);
        20.0 * (bend(xolr / 8.0, 8.0) - xolr / 8.0)
    }

    /// Ist: sidetone that is not as it should be (7-11, 7-12).
    fn sidetone(&self) -> f64 {
        let echo = exp(-self.t / 4.0) * pow(10.0, -self.telr / 10.0);
        let stmro = -10.0 * log10(pow(10.0, -self.stmr / 10.0) + echo);
        12.0 * bend((stmro - 13.0) / 6.0, 8.0)
            - 28.0 * bend((stmro + 1.0) / 19.4, 35.0)
            - 13.0 * bend((stmro - 3.0) / 33.0, 13.0)
            + 29.0
    }

    /// Iq: quantising distortion (7-13 to 7-17).
    fn quantising(&self, ro: f64) -> f64 {
        let q = 37.0 - 15.0 * log10(self.qdu);
        let g = 1.07 + 0.258 * q + 0.0602 * q * q;
        let y = (ro - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0;
        let z = 46.0 / 30.0 - g / 40.0;
        15.0 * log10(1.0 + pow(10.0, y) + pow(10.0, z))
    }

    /// Idte: the talker hears himself (7-19 to 7-24).
    fn talker_echo(&self, no: f64, sidetone: f64) -> f64 {
        let t = self.t;
        let mut terv = self.telr - 40.0 * log10((1.0 + t / 10.0) / (1.0 + t / 150.0)) + 6.0 * exp(-0.3 * t * t);
        if self.stmr < 9.0 {
            terv += sidetone / 2.0;
        }
        let re = 80.0 + 2.5 * (terv - 14.0);
        let half = (-1.5 * (no - self.rlr) - re) / 2.0;
        let idte = (half + sqrt(half * half + 100.0) - 1.0) * (1.0 - exp(-t));
        if self.stmr > 20.0 { sqrt(idte * idte + sidetone * sidetone) } else { idte }
    }

    /// Idle: the listener hears an echo of the talker (7-25, 7-26).
    fn listener_echo(&self, ro: f64) -> f64 {
        let rle = 10.5 * (self.wepl + 7.0) * pow(self.tr + 1.0, -0.25);
        let half = (ro - rle) / 2.0;
        half + sqrt(half * half + 169.0)
    }

    /// Idd: it takes too long, echo or not (7-27, 7-28, with sT = 1 and mT = 100 ms).
    fn delay(&self) -> f64 {
        if self.ta <= 100.0 {
            return 0.0;
        }
        let x = log10(self.ta / 100.0) / log10(2.0);
        25.0 * (bend(x, 6.0) - 3.0 * bend(x / 3.0, 6.0) + 2.0)
    }

    /// Ie,eff: codec and packet loss (7-29).
    fn equipment(&self) -> f64 {
        self.ie + (95.0 - self.ie) * self.ppl / (self.ppl / self.burst_r + self.bpl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(found: f64, published: f64, by: f64) {
        assert!((found - published).abs() <= by, "{found} is not within {by} of {published}");
    }

    fn score(r: f64) -> f64 {
        f64::from(mos(r).hundredths()) / 100.0
    }

    #[test]
    fn the_defaults_rate_93_2_g_107_table_2() {
        near(Line::default().rating(), 93.2, 0.05);
        near(score(93.2), 4.41, 0.005);
    }

    #[test]
    fn scores_are_those_of_g_107_annex_b_table_b_1() {
        for (r, published) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            near(score(r), published, 0.015);
        }
        assert_eq!([score(-5.0), score(0.0), score(3.0), score(100.0), score(140.0)], [1.0, 1.0, 1.0, 4.5, 4.5]);
    }

    /// Ie of lossy lines as G.113 Appendix I lists them: percent lost, then G.729A with VAD, and G.711 with concealment, random loss.
    #[test]
    fn loss_impairs_as_g_113_appendix_i_lists_it() {
        let default = Line::default().rating();
        let rated =
            |codec, percent: f64| Measured { codec, loss: percent / 100.0, burst_ratio: 1.0, delay_ms: 0.0 }.rating();
        let g729 = [(0.0, 11.0), (1.0, 15.0), (2.0, 19.0), (3.0, 23.0), (4.0, 26.0), (8.0, 36.0), (16.0, 49.0)];
        for (percent, ie) in g729 {
            near(default - rated(Codec::G729, percent), ie, 0.6);
            near(score(rated(Codec::G729, percent)), score(default - ie), 0.05);
        }
        let g711 =
            [(0.0, 0.0), (1.0, 5.0), (2.0, 7.0), (3.0, 10.0), (5.0, 15.0), (7.0, 20.0), (10.0, 25.0), (15.0, 35.0)];
        for (percent, ie) in g711 {
            near(score(rated(Codec::Pcma, percent)), score(default - ie), 0.1);
        }
    }

    #[test]
    fn without_concealment_one_percent_of_g_711_costs_eighteen_points() {
        let lossy = Line { ppl: 1.0, ..Line::default() };
        near(Line::default().rating() - lossy.rating(), 95.0 / 5.3, 1e-9);
        let bursty = Line { burst_r: 4.0, ..lossy };
        assert!(bursty.rating() < lossy.rating(), "and more when it comes together");
    }

    /// What the formulas come to, in the shape of the curves of G.114 and G.131: with 65 dB of echo loss 150 ms are borne, with 45 dB 50 ms.
    #[test]
    fn delay_costs_little_up_to_150_ms_and_much_beyond_g_114() {
        let at = |ms, telr| Line { t: ms, tr: 2.0 * ms, ta: ms, telr, ..Line::default() }.rating();
        near(at(100.0, 65.0), 90.7, 0.1);
        near(at(150.0, 65.0), 89.5, 0.1);
        near(at(300.0, 65.0), 72.7, 0.1);
        near(at(400.0, 65.0), 62.2, 0.1);
        near(at(50.0, 45.0), 82.4, 0.1);
        near(at(100.0, 45.0), 70.1, 0.1);
    }

    #[test]
    fn sidetone_beyond_its_limits_counts_as_7_4_1_says() {
        let echo = Line { t: 60.0, tr: 120.0, ta: 60.0, telr: 45.0, ..Line::default() };
        let (little, much) = (Line { stmr: 25.0, ..echo }, Line { stmr: 5.0, ..echo });
        assert!(little.rating() < echo.rating() && much.rating() < echo.rating());
    }

    proptest! {
        #[test]
        fn more_loss_and_more_delay_never_sound_better(
            codec in 0usize..6, loss in 0.0f64..0.9, more in 0.0f64..0.1, ratio in 0.0f64..9.0, ms in 0.0f64..800.0, later in 0.0f64..200.0,
        ) {
            let codec = Codec::ALL[codec];
            let here = Measured { codec, loss, burst_ratio: ratio, delay_ms: ms };
            let worse = Measured { loss: loss + more, delay_ms: ms + later, ..here };
            prop_assert!(worse.rating() <= here.rating() + 1e-6);
            prop_assert!(here.rating().is_finite() && here.mos() >= Mos::WORST);
        }
    }
}
