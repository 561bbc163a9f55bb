//! Pace: how soon a target usually reacts, learned from its own past.
//!
//! `sense` learns it, control publishes it with every snapshot, `decide` turns it into deadlines. It is no health: a slow target is
//! not a bad one, and nothing is held against it.

use crate::{Span, TargetId};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// 95th percentiles of one target. `None` while too little is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pace {
    /// INVITE to the first response of any kind.
    pub first_reply: Option<Span>,
    /// INVITE to the first response other than 100 (RFC 6076 §4.3).
    pub progress: Option<Span>,
}

/// The pace of every target.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Paces(Vec<Vec<Pace>>);

impl Paces {
    /// Nothing is known yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One target's; unknown for one that is not there.
    pub fn of(&self, target: TargetId) -> Pace {
        let trunk = self.0.get(target.trunk.index());
        trunk.and_then(|targets| targets.get(usize::from(target.index))).copied().unwrap_or_default()
    }

    /// Notes one target's.
    pub fn set(&mut self, target: TargetId, pace: Pace) {
        let (trunk, index) = (target.trunk.index(), usize::from(target.index));
        if self.0.len() <= trunk {
            self.0.resize_with(trunk + 1, Vec::new);
        }
        let targets = &mut self.0[trunk];
        if targets.len() <= index {
            targets.resize(index + 1, Pace::default());
        }
        targets[index] = pace;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrunkId;

    #[test]
    fn what_was_set_is_found_and_the_rest_is_unknown() {
        let mut paces = Paces::new();
        let target = TargetId { trunk: TrunkId(3), index: 1 };
        let pace = Pace { first_reply: Some(Span::from_millis(9)), progress: None };
        paces.set(target, pace);
        assert_eq!(paces.of(target), pace);
        assert_eq!(paces.of(TargetId { index: 0, ..target }), Pace::default());
        assert_eq!(paces.of(TargetId { trunk: TrunkId(9), index: 0 }), Pace::default());
    }
}
