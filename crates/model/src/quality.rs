//! Quality: how many of a trunk's recent attempts were not its own failure.
//!
//! `sense` counts, control publishes with every snapshot, `decide` weighs by it where a group asks for that. It is no health:
//! nobody goes Down by it. Refuses to know: which outcome is whose fault.

use crate::TrunkId;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The quality of every trunk, in percent: attempts of the last minute not blamed on it, of all (RFC 6076 §4.6 counts NER much the
/// same way). 100 while nothing is known, so that a new trunk gets its full share.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Qualities(Vec<u8>);

impl Qualities {
    const BEST: u8 = 100;

    /// Nothing is known yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One trunk's, 0 to 100.
    pub fn of(&self, trunk: TrunkId) -> u8 {
        self.0.get(trunk.index()).copied().unwrap_or(Self::BEST)
    }

    /// Notes one trunk's; more than 100 is 100.
    pub fn set(&mut self, trunk: TrunkId, percent: u8) {
        if self.0.len() <= trunk.index() {
            self.0.resize(trunk.index() + 1, Self::BEST);
        }
        self.0[trunk.index()] = percent.min(Self::BEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_found_and_the_rest_is_at_its_best() {
        let mut qualities = Qualities::new();
        qualities.set(TrunkId(2), 40);
        qualities.set(TrunkId(3), 250);
        let found = [0, 2, 3, 9].map(|trunk| qualities.of(TrunkId(trunk)));
        assert_eq!(found, [100, 40, 100, 100]);
    }
}
