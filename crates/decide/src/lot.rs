//! Draws by weight, one member at a time: each draws a lot, and the lowest lots win.
//!
//! A lot is an exponentially distributed time with the member's weight as its rate. Of several such times the earliest is each one's
//! with a chance in proportion to its weight, and so on among those left: the very order that drawing one by one gives, but in one
//! pass and without a list of those left. Arithmetic alone, so that a seed gives the same lots on every machine.

use core::f64::consts::{LN_2, SQRT_2};
use model::Rng;

/// One member's lot. Only comparing lots means anything.
pub(crate) fn draw(rng: &mut Rng, weight: u32) -> u64 {
    // 53 bits, and a half so that it is never zero.
    let uniform = ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let time = -ln(uniform) / f64::from(weight.max(1));
    // Doubles that are not negative are ordered as their bits are.
    time.max(0.0).to_bits()
}

/// Natural logarithm of a positive, normal number, to eleven digits: `core` has none.
fn ln(x: f64) -> f64 {
    const FRACTION: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let mut power = (bits >> 52) as f64 - 1023.0;
    let mut m = f64::from_bits((bits & FRACTION) | 1023 << 52);
    if m > SQRT_2 {
        m /= 2.0;
        power += 1.0;
    }
    // ln m = 2 artanh s, and |s| is below 0.172 here.
    let s = (m - 1.0) / (m + 1.0);
    let t = s * s;
    let series =
        1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + t * (1.0 / 9.0 + t * (1.0 / 11.0 + t / 13.0)))));
    power * LN_2 + 2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_the_logarithm() {
        for n in 1..20_000u32 {
            let x = f64::from(n) / 10_000.0;
            assert!((ln(x) - x.ln()).abs() < 1e-10, "{x}: {} is not {}", ln(x), x.ln());
        }
        let least = 0.5 / (1u64 << 53) as f64;
        assert!((ln(least) - least.ln()).abs() < 1e-10);
    }
}
