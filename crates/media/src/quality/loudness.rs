//! How loud a side is, by the codes of G.711 as they pass: level, silence, clipping.
//!
//! A packet now and then is looked at, and of it a code here and there: energy does not care which. Levels are in dBov as of RFC 6464,
//! 0 for the loudest square wave of sixteen bits. Refuses to know: other codecs, packets.

use crate::g711;
use crate::player::Law;
use libm::log10;

/// At or below this level nobody speaks: twenty decibels under the noise of a quiet room as a telephone sends it.
const QUIET_DBOV: i32 = -60;
/// Steps from one code that is looked at to the next grow up to this and begin again, so that no tone is met at its zeroes alone.
const STEP_MAX: usize = 8;
/// A packet is looked at so far: 40 ms.
const CODES: usize = 320;
/// Share of what is new in the level now, as a shift: an eighth.
const SMOOTH: u32 = 3;

/// Energy of each code: the square of its sample.
static A_LAW: [u32; 256] = table(true);
/// Same, of mu-law.
static MU_LAW: [u32; 256] = table(false);
/// Energy of the loudest sample of sixteen bits.
const FULL: f64 = 32_767.0 * 32_767.0;
/// Mean energy of a packet at the level of silence.
const QUIET: u64 = quiet();

const fn table(a: bool) -> [u32; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let sample = if a { g711::decode_a(code as u8) } else { g711::decode_u(code as u8) };
        table[code] = (sample as i32 * sample as i32) as u32;
        code += 1;
    }
    table
}

const fn quiet() -> u64 {
    // A thousandth of the amplitude is -60 dB.
    let amplitude = 32_767 / 1_000;
    amplitude * amplitude
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Loudness {
    /// Packets that were looked at.
    looks: u32,
    /// Of them, those of silence.
    quiet: u32,
    /// Of them, those with two samples or more at the end of the range.
    clipped: u32,
    /// Sum of mean energies.
    sum: u64,
    /// Mean energy, smoothed.
    now: u64,
    loudest: u64,
}

impl Loudness {
    /// One packet's payload. Says whether it is silence.
    pub fn look(&mut self, law: Law, payload: &[u8]) -> bool {
        let (energies, full) = match law {
            Law::A => (&A_LAW, A_LAW[0xaa]),
            Law::Mu => (&MU_LAW, MU_LAW[0x80]),
        };
        let (mut sum, mut count, mut full_scale) = (0u64, 0u64, 0u32);
        let (mut at, mut step) = (self.looks as usize % STEP_MAX, 1);
        while at < payload.len().min(CODES) {
            let energy = energies[usize::from(payload[at])];
            sum += u64::from(energy);
            count += 1;
            full_scale += u32::from(energy == full);
            at += step;
            step = step % STEP_MAX + 1;
        }
        let Some(mean) = sum.checked_div(count) else { return false };
        self.looks = self.looks.saturating_add(1);
        self.sum = self.sum.saturating_add(mean);
        self.now = if self.looks == 1 { mean } else { self.now - (self.now >> SMOOTH) + (mean >> SMOOTH) };
        self.loudest = self.loudest.max(mean);
        self.clipped += u32::from(full_scale >= 2);
        let quiet = mean <= QUIET;
        self.quiet += u32::from(quiet);
        quiet
    }

    /// Mean level, dBov; none when nothing was looked at. Silence counts: it is what was sent.
    pub fn level(&self) -> Option<i8> {
        (self.looks > 0).then(|| dbov(self.sum as f64 / f64::from(self.looks)))
    }

    /// Level of the last packets, dBov.
    pub fn level_now(&self) -> Option<i8> {
        (self.looks > 0).then(|| dbov(self.now as f64))
    }

    /// Level of the loudest packet, dBov.
    pub fn peak(&self) -> Option<i8> {
        (self.looks > 0).then(|| dbov(self.loudest as f64))
    }

    /// Packets of silence, per thousand of those looked at.
    pub fn quiet_permille(&self) -> Option<u16> {
        permille(self.quiet, self.looks)
    }

    /// Packets that are cut off at the end of the range, per thousand.
    pub fn clipped_permille(&self) -> Option<u16> {
        permille(self.clipped, self.looks)
    }
}

fn permille(part: u32, of: u32) -> Option<u16> {
    (u64::from(part) * 1_000).checked_div(u64::from(of)).map(|permille| permille as u16)
}

/// Mean energy to dBov, 0 to -127 as RFC 6464 ends it.
fn dbov(energy: f64) -> i8 {
    if energy < 1.0 {
        return -127;
    }
    libm::round(10.0 * log10(energy / FULL)).clamp(-127.0, 0.0) as i8
}

const _: () = assert!(QUIET_DBOV == -60, "a thousandth of the amplitude");

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;
    use std::vec::Vec;

    fn tone(law: Law, hz: f64, dbov: f64, packet: usize) -> Vec<u8> {
        // A sine has half the energy of a square wave.
        let amplitude = 32_767.0 * 10f64.powf(dbov / 20.0) * 2f64.sqrt();
        (0..160)
            .map(|n| {
                let sample = amplitude * (2.0 * PI * hz * (packet * 160 + n) as f64 / 8_000.0).sin();
                let sample = sample.clamp(-32_768.0, 32_767.0) as i16;
                if law == Law::A { g711::encode_a(sample) } else { g711::encode_u(sample) }
            })
            .collect()
    }

    #[test]
    fn a_tone_has_its_level_in_both_laws() {
        for law in [Law::A, Law::Mu] {
            for (hz, level) in [(1_004.0, -10.0), (440.0, -25.0), (1_600.0, -20.0), (2_000.0, -20.0), (400.0, -40.0)] {
                let mut loudness = Loudness::default();
                (0..50).for_each(|packet| {
                    assert!(!loudness.look(law, &tone(law, hz, level, packet * 8 + packet % 3)));
                });
                let found = f64::from(loudness.level().unwrap());
                assert!((found - level).abs() <= 1.0, "{law:?} {hz} Hz: {found} for {level}");
                assert_eq!(loudness.quiet_permille(), Some(0));
            }
        }
    }

    #[test]
    fn silence_is_told_from_a_whisper() {
        let mut loudness = Loudness::default();
        assert!(loudness.look(Law::A, &[0xd5; 160]) && loudness.look(Law::A, &[0x55; 160]), "digital silence");
        assert!(loudness.look(Law::Mu, &[0xff; 160]));
        assert!(loudness.look(Law::Mu, &tone(Law::Mu, 440.0, -66.0, 0)));
        assert!(!loudness.look(Law::Mu, &tone(Law::Mu, 440.0, -54.0, 0)));
        assert_eq!(loudness.quiet_permille(), Some(800));
        assert!(!loudness.look(Law::A, &[]), "nothing is no silence");
        assert_eq!(Loudness::default().level(), None);
    }

    #[test]
    fn a_tone_too_loud_is_clipped() {
        let mut loudness = Loudness::default();
        (0..10).for_each(|packet| {
            loudness.look(Law::A, &tone(Law::A, 440.0, 3.0, packet));
        });
        assert_eq!(loudness.clipped_permille(), Some(1_000));
        assert_eq!(loudness.peak().map(|peak| peak >= -2), Some(true));
        let mut loudness = Loudness::default();
        (0..10).for_each(|packet| {
            loudness.look(Law::A, &tone(Law::A, 440.0, -6.0, packet));
        });
        assert_eq!(loudness.clipped_permille(), Some(0));
    }
}
