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
    /// In doubt.
    Suspect,
    /// On Probation, and this call is not in its share.
    Outside,
    /// The operator drains its trunk: for emergency calls alone.
    Draining,
    /// Down.
    Down,
}

/// The place of a target in the order; the lower the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) class: Class,
    pub(crate) tier: u8,
    /// How full its trunk is, where the group asks for that; else zero.
    pub(crate) fullness: u64,
    /// What its trunk has drawn.
    pub(crate) lot: u64,
    /// Among targets of one trunk.
    pub(crate) rank: u8,
}

/// A candidate in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked {
    pub(crate) place: Place,
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
        if new.opens && self.opener.is_none_or(|known| new.place < known.place) {
            self.opener = Some(new);
        }
        let after = |known: &Option<Ranked>| known.is_none_or(|known| new.place < known.place);
        // From the end: of those in equal places the earlier stays ahead.
        let at = ATTEMPTS_MAX - self.best.iter().rev().take_while(|known| after(known)).count();
        let mut carried = Some(new);
        for slot in &mut self.best[at..] {
            core::mem::swap(slot, &mut carried);
            if carried.is_none() {
                break;
            }
        }
    }

    /// The best few in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Ranked> {
        self.best.iter().map_while(Option::as_ref)
    }

    /// Whether nobody is there but Down ones.
    pub(crate) fn is_last_resort(&self) -> bool {
        self.best[0].is_some_and(|best| best.place.class == Class::Down)
    }

    /// Leaves out whoever is Down.
    pub(crate) fn drop_down(&mut self) {
        let is_down = |ranked: &Ranked| ranked.place.class == Class::Down;
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
