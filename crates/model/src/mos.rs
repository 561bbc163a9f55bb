//! Mean opinion score: how good speech sounds, from 1 (bad) to 5.
//!
//! Always an estimate by the E-model of ITU-T G.107, since nobody has asked a listener. Refuses to know: how it is estimated.

use core::fmt;
use serde::{Deserialize, Serialize};

/// An estimated mean opinion score, in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u16", into = "u16")]
pub struct Mos(u16);

impl Mos {
    /// Nothing can be understood.
    pub const WORST: Self = Self(100);
    /// What no line reaches: the E-model ends at 4.5.
    pub const BEST: Self = Self(500);

    /// From hundredths; what is beyond either end is that end.
    pub const fn from_hundredths(hundredths: u16) -> Self {
        match hundredths {
            0..=100 => Self::WORST,
            101..=499 => Self(hundredths),
            _ => Self::BEST,
        }
    }

    /// From tenths, in the same manner.
    pub const fn from_tenths(tenths: u16) -> Self {
        Self::from_hundredths(tenths.saturating_mul(10))
    }

    /// In tenths, as it is told: 0.1 is less than any listener notices.
    pub const fn tenths(self) -> u16 {
        (self.0 + 5) / 10
    }

    /// In hundredths.
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

/// What a record of another program says is held to the ends as well.
impl From<u16> for Mos {
    fn from(hundredths: u16) -> Self {
        Self::from_hundredths(hundredths)
    }
}

impl From<Mos> for u16 {
    fn from(score: Mos) -> Self {
        score.0
    }
}

/// With one decimal, as scores are told: more would claim what an estimate does not know.
impl fmt::Display for Mos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.tenths();
        write!(f, "{}.{}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_score_is_told_with_one_decimal_and_stays_between_one_and_five() {
        let said = [0, 100, 434, 435, 441, 900].map(|hundredths| Mos::from_hundredths(hundredths).to_string());
        assert_eq!(said, ["1.0", "1.0", "4.3", "4.4", "4.4", "5.0"]);
    }
}
