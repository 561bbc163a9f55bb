//! The best few candidates, kept in order while a group is gone through: no list of all, and no sorting of it.

use crate::plan::Candidate;
use model::TargetId;

/// Attempts a plan holds at most: nobody waits for a ninth trunk, and a hunt's cost stays bounded.
pub(crate) const ATTEMPTS_MAX: usize = 8;

/// How good a target is for this call, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Up or Unknown, or on Probation and this call is in its share.
    Good,
    /// On Probation, and this call is not in its share: well, but not yet preferred.
    Outside,
    /// In doubt.
    Suspect,
    /// The operator drains its trunk: for emergency calls alone.
    Draining,
    /// Down.
    Down,
}

/// The place of a target in the order; the lower the better. One number, since places are compared far more often than made: whether its
/// tier is forced, class, tier, how full its trunk is (where the group asks for that), what its trunk has drawn, and its rank among targets
/// of one trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u128);

impl Place {
    const RANK_BITS: u32 = 3;
    const LOT_BITS: u32 = 63;
    const FULLNESS_BITS: u32 = 46;
    const TIER_BITS: u32 = 8;
    const CLASS_BITS: u32 = 3;

    /// `forced` goes before all else. `fullness` beyond its bits is as full as can be; a lot is a positive double's bits, of which the first
    /// is zero.
    pub(crate) fn new(forced: bool, class: Class, tier: u8, fullness: u64, lot: u64, rank: u8) -> Self {
        let most = (1 << Self::FULLNESS_BITS) - 1;
        let mut packed = u128::from(!forced) << Self::CLASS_BITS | u128::from(class as u8);
        packed = packed << Self::TIER_BITS | u128::from(tier);
        packed = packed << Self::FULLNESS_BITS | u128::from(fullness.min(most));
        packed = packed << Self::LOT_BITS | u128::from(lot & (u64::MAX >> 1));
        Self(packed << Self::RANK_BITS | u128::from(rank & 7))
    }
}

/// A candidate in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked {
    pub(crate) place: Place,
    pub(crate) class: Class,
    pub(crate) candidate: Candidate,
    /// Whether it may be tried first: its trunk has room for more than calls that others have failed.
    pub(crate) opens: bool,
}

/// The best few.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    best: [Option<Ranked>; ATTEMPTS_MAX],
    /// The best that may be tried first; it may not be among the best few.
    opener: Option<Ranked>,
}

impl Ranking {
    pub(crate) fn add(&mut self, new: Ranked) {
        let ahead = |known: &Option<Ranked>| known.is_none_or(|known| new.place < known.place);
        if new.opens && ahead(&self.opener) {
            self.opener = Some(new);
        }
        if !ahead(&self.best[ATTEMPTS_MAX - 1]) {
            return;
        }
        // From the end: of those in equal places the earlier stays ahead.
        let mut at = ATTEMPTS_MAX - 1;
        while at > 0 && ahead(&self.best[at - 1]) {
            self.best[at] = self.best[at - 1];
            at -= 1;
        }
        self.best[at] = Some(new);
    }

    /// The best few in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Ranked> {
        self.best.iter().map_while(Option::as_ref)
    }

    /// Whether nobody of a worse tier can have a place any more, once a forced tier has been gone through.
    pub(crate) fn is_settled(&self) -> bool {
        let good = |slot: &Option<Ranked>| slot.is_some_and(|ranked| ranked.class == Class::Good);
        good(&self.best[ATTEMPTS_MAX - 1]) && good(&self.opener)
    }

    /// Whether nobody is there but Down ones.
    pub(crate) fn is_last_resort(&self) -> bool {
        self.best[0].is_some_and(|best| best.class == Class::Down)
    }

    /// Leaves out whoever is Down.
    pub(crate) fn drop_down(&mut self) {
        let is_down = |ranked: &Ranked| ranked.class == Class::Down;
        self.best.iter_mut().for_each(|slot| *slot = slot.filter(|ranked| !is_down(ranked)));
        self.opener = self.opener.filter(|opener| !is_down(opener));
    }

    /// Puts the best that may be tried first in front. False when nobody may.
    pub(crate) fn open(&mut self) -> bool {
        let Some(opener) = self.opener else { return false };
        let same = |target: TargetId| target == opener.candidate.target;
        let from = self.iter().take_while(|ranked| !same(ranked.candidate.target)).count();
        let from = from.min(ATTEMPTS_MAX - 1);
        self.best[from] = Some(opener);
        self.best[..=from].rotate_right(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use model::{Health, TrunkId};
    use proptest::prelude::{prop_assert_eq, proptest};

    const CLASSES: [Class; 5] = [Class::Good, Class::Outside, Class::Suspect, Class::Draining, Class::Down];

    proptest! {
        #[test]
        fn the_best_few_are_those_that_sorting_would_find(
            places in proptest::collection::vec((0u8..2, 0usize..5, 0u8..3, 0u64..3, 0u64..3, 0u8..3), 0..30),
        ) {
            let mut ranking = Ranking::default();
            for (index, (behind, class, tier, fullness, lot, rank)) in (0u8..).zip(&places) {
                let (class, tier, target) = (CLASSES[*class], *tier, TargetId { trunk: TrunkId(0), index });
                let candidate = Candidate { target, tier, health: Health::Up };
                let place = Place::new(*behind == 0, class, tier, *fullness, *lot, *rank);
                ranking.add(Ranked { place, class, candidate, opens: true });
            }
            let mut sorted: Vec<usize> = (0..places.len()).collect();
            sorted.sort_by_key(|index| places[*index]);
            sorted.truncate(ATTEMPTS_MAX);
            let found: Vec<usize> = ranking.iter().map(|ranked| usize::from(ranked.candidate.target.index)).collect();
            prop_assert_eq!(found, sorted);
        }
    }
}
