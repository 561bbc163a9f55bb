//! What trunks carry right now, and whether one may be offered another call.
//!
//! Kept by each shard for itself: a shard reads no shared memory, so a limit is divided among the shards of a node, and each keeps its
//! own part. The parts add up to the limit, so it is never exceeded; the price is that calls which happen to be steered unevenly are
//! refused somewhat before the whole of it is used. Refuses to know: health, policies, who asks.

use crate::plan::Exclusion;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use model::{Instant, Qualities, TrunkId};
use serde::{Deserialize, Serialize};

/// How much a trunk may carry, over all shards of a node. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallLimits {
    /// Calls at once.
    pub calls: Option<u32>,
    /// Calls offered per second: no second, wherever it begins, holds more.
    pub cps: Option<u32>,
    /// Share of both limits, in percent, that is kept for calls which another trunk has failed already, and for emergency calls. Default
    /// 0. One who has waited for a first trunk in vain is worth more than one who has just dialled, and when a whole load arrives at a
    /// backup, the newcomers are those who can be refused fast. At least one call may always be an ordinary one.
    pub headroom: u8,
}

/// A slot of the rate windows.
const SLOT_US: u64 = 50_000;
/// Those that a second can touch: twenty whole ones, and one more when it begins inside one.
const SLOTS: usize = 21;

/// Events of the last second, counted in slots. Two events no more than a second apart are always in the same window, so what is
/// compared with a limit is never too little; events may be counted for up to a slot longer than a second, so a limit that is
/// pressed all the time yields 20/21 of itself at worst. The whole of it may come in at once.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Rate {
    newest: u64,
    counts: [u32; SLOTS],
    total: u32,
}

impl Rate {
    fn add(&mut self, now: Instant) {
        let slot = now.as_micros() / SLOT_US;
        let passed = slot.saturating_sub(self.newest).min(SLOTS as u64);
        for stale in 1..=passed {
            let count = &mut self.counts[index(self.newest + stale)];
            self.total -= core::mem::take(count);
        }
        self.newest = self.newest.max(slot);
        self.counts[index(self.newest)] += 1;
        self.total += 1;
    }

    fn last_second(&self, now: Instant) -> u32 {
        let slot = now.as_micros() / SLOT_US;
        let passed = slot.saturating_sub(self.newest);
        if passed >= SLOTS as u64 || self.total == 0 {
            return 0;
        }
        let stale: u32 = (1..=passed).map(|stale| self.counts[index(self.newest + stale)]).sum();
        self.total - stale
    }
}

const fn index(slot: u64) -> usize {
    (slot % SLOTS as u64) as usize
}

/// Whether a trunk may be offered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Any call.
    Free,
    /// Only one that another trunk has failed, or an emergency call.
    Headroom(Exclusion),
    /// None but an emergency call.
    Full(Exclusion),
}

/// What trunks carry right now, kept by the shard that asks for plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Calls at once, by `TrunkId`.
    pub calls: Vec<u32>,
    /// How good trunks have been lately, as control has published it.
    pub qualities: Arc<Qualities>,
    /// Calls offered, by `TrunkId`; there from the first call on.
    rates: Vec<Option<Box<Rate>>>,
    offered: Rate,
    refused: Rate,
    shard: u32,
    shards: u32,
}

impl Default for Load {
    fn default() -> Self {
        Self::of_shard(0, 1)
    }
}

impl Load {
    /// That of shard `shard`, counted from 0, of `shards`: each limit is divided among them.
    pub fn of_shard(shard: u8, shards: u8) -> Self {
        Self {
            calls: Vec::new(),
            qualities: Arc::default(),
            rates: Vec::new(),
            offered: Rate::default(),
            refused: Rate::default(),
            shard: u32::from(shard),
            shards: u32::from(shards.max(1)),
        }
    }

    /// Room for `trunks` trunks; counts of those that stay are kept.
    pub fn resize(&mut self, trunks: usize) {
        self.calls.resize(trunks, 0);
        self.rates.resize(trunks, None);
    }

    /// A call is offered to a trunk and counts until [`Load::end`].
    pub fn begin(&mut self, now: Instant, trunk: TrunkId) {
        self.offered.add(now);
        if let Some(rate) = self.rates.get_mut(trunk.index()) {
            rate.get_or_insert_default().add(now);
        }
        if let Some(calls) = self.calls.get_mut(trunk.index()) {
            *calls = calls.saturating_add(1);
        }
    }

    /// A call, or an attempt that came to nothing, has left a trunk.
    pub fn end(&mut self, trunk: TrunkId) {
        if let Some(calls) = self.calls.get_mut(trunk.index()) {
            *calls = calls.saturating_sub(1);
        }
    }

    /// A call was refused, since nobody may take it.
    pub fn refuse(&mut self, now: Instant) {
        self.refused.add(now);
    }

    /// Calls refused within the last second, in percent of those offered to trunks: 100 is twice the load that can be taken.
    pub fn excess(&self, now: Instant) -> u32 {
        let (refused, offered) = (u64::from(self.refused.last_second(now)), u64::from(self.offered.last_second(now)));
        u32::try_from(refused * 100 / offered.max(1)).unwrap_or(u32::MAX)
    }

    /// Calls a trunk carries.
    pub fn calls(&self, trunk: TrunkId) -> u32 {
        self.calls.get(trunk.index()).copied().unwrap_or(0)
    }

    /// Calls offered to a trunk within the last second.
    pub fn offered(&self, now: Instant, trunk: TrunkId) -> u32 {
        let rate = self.rates.get(trunk.index()).and_then(Option::as_ref);
        rate.map_or(0, |rate| rate.last_second(now))
    }

    /// This shard's part of a limit on a trunk. What does not divide evenly goes to other shards for other trunks.
    pub fn part(&self, limit: u32, trunk: TrunkId) -> u32 {
        if self.shards == 1 {
            return limit;
        }
        let turn = (self.shard + u32::from(trunk.0)) % self.shards;
        limit / self.shards + u32::from(turn < limit % self.shards)
    }

    /// Whether a trunk may be offered a call that another one has failed: the whole limit counts, headroom included. A plan is made
    /// once and others begin calls meanwhile, so each attempt after the first asks again.
    pub fn has_room(&self, now: Instant, trunk: TrunkId, limits: &CallLimits) -> bool {
        !matches!(self.room(now, trunk, limits), Room::Full(_))
    }

    /// Whether a trunk may be offered a call, and to whom it is shut otherwise.
    pub(crate) fn room(&self, now: Instant, trunk: TrunkId, limits: &CallLimits) -> Room {
        let mut kept = false;
        if let Some(limit) = limits.calls {
            let (part, calls) = (self.part(limit, trunk), self.calls(trunk));
            if calls >= part {
                return Room::Full(Exclusion::CallLimit { limit, part });
            }
            kept = calls >= ordinary(part, limits.headroom);
        }
        if let Some(limit) = limits.cps {
            let (part, offered) = (self.part(limit, trunk), self.offered(now, trunk));
            if offered >= part {
                return Room::Full(Exclusion::RateLimit { limit, part });
            }
            kept |= offered >= ordinary(part, limits.headroom);
        }
        if kept { Room::Headroom(Exclusion::Headroom { percent: limits.headroom }) } else { Room::Free }
    }
}

/// What ordinary calls may use of a part. Headroom is rounded up, or a small part would have none.
fn ordinary(part: u32, headroom: u8) -> u32 {
    if headroom == 0 {
        return part;
    }
    let kept = (u64::from(part) * u64::from(headroom.min(100))).div_ceil(100) as u32;
    (part - kept).max(part.min(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    const ONE: TrunkId = TrunkId(1);

    fn load(trunks: usize) -> Load {
        let mut load = Load::default();
        load.resize(trunks);
        load
    }

    #[test]
    fn load_forgets_a_second_but_not_a_call() {
        let mut load = load(2);
        let now = Instant::ZERO + Span::from_millis(400);
        load.begin(now, ONE);
        load.begin(now, ONE);
        assert_eq!((load.calls(ONE), load.offered(now, ONE)), (2, 2));
        let next = now + Span::from_millis(1_050);
        assert_eq!((load.calls(ONE), load.offered(next, ONE)), (2, 0));
        load.begin(next, ONE);
        load.end(ONE);
        assert_eq!((load.calls(ONE), load.offered(next, ONE)), (2, 1));
        load.begin(next, TrunkId(7));
        load.end(TrunkId(7));
        assert_eq!(load.offered(next, TrunkId(7)), 0, "unknown trunks carry nothing");
    }

    #[test]
    fn headroom_is_kept_and_the_rest_is_used() {
        let limits = CallLimits { calls: Some(10), cps: None, headroom: 20 };
        let mut load = load(2);
        let mut rooms = Vec::new();
        for _ in 0..11 {
            rooms.push(load.room(Instant::ZERO, ONE, &limits));
            load.begin(Instant::ZERO, ONE);
        }
        let kept = Room::Headroom(Exclusion::Headroom { percent: 20 });
        assert!(rooms[..8].iter().all(|room| *room == Room::Free), "{rooms:?}");
        assert_eq!(rooms[8..], [kept, kept, Room::Full(Exclusion::CallLimit { limit: 10, part: 10 })]);
        assert_eq!(
            [(1, 50), (0, 50), (3, 100), (5, 10), (4, 0)].map(|(part, room)| ordinary(part, room)),
            [1, 0, 1, 4, 4]
        );
    }

    #[test]
    fn excess_is_what_is_refused_of_what_is_taken() {
        let mut load = load(2);
        assert_eq!(load.excess(Instant::ZERO), 0);
        for _ in 0..4 {
            load.begin(Instant::ZERO, ONE);
            load.refuse(Instant::ZERO);
        }
        assert_eq!(load.excess(Instant::ZERO), 100);
        load.refuse(Instant::ZERO);
        load.refuse(Instant::ZERO);
        assert_eq!(load.excess(Instant::ZERO), 150);
        assert_eq!(load.excess(Instant::ZERO + Span::from_secs(2)), 0);
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_the_limit_and_a_pressed_limit_is_used(
            gaps in proptest::collection::vec(0u64..200_000, 400),
            cps in 1u32..40,
            hunting in proptest::bool::ANY,
        ) {
            let limits = CallLimits { calls: None, cps: Some(cps), headroom: 10 };
            let (mut load, mut now) = (load(2), Instant::from_micros(77));
            let mut begun: Vec<u64> = Vec::new();
            let mut refused_of = 0u32;
            for gap in gaps {
                now += Span::from_micros(gap);
                let room = load.room(now, ONE, &limits);
                if room == Room::Free || (hunting && load.has_room(now, ONE, &limits)) {
                    load.begin(now, ONE);
                    begun.push(now.as_micros());
                } else {
                    // Whoever is refused finds the limit used within the last second and one slot.
                    let lately = begun.iter().filter(|at| now.as_micros() - **at <= 1_000_000 + SLOT_US).count();
                    let may = if hunting { cps } else { ordinary(cps, 10) };
                    prop_assert!(lately as u32 >= may);
                    refused_of += 1;
                }
            }
            for (index, first) in begun.iter().enumerate() {
                let within = begun[index..].iter().take_while(|at| **at - first <= 1_000_000).count();
                prop_assert!(within as u32 <= cps, "{within} within a second, limit {cps}");
            }
            prop_assert_eq!(begun.len() as u32 + refused_of, 400);
        }

        #[test]
        fn parts_add_up_to_the_limit(limit in 0u32..1_000, shards in 1u8..33, trunk in 0u16..100) {
            let parts: Vec<u32> = (0..shards).map(|shard| Load::of_shard(shard, shards).part(limit, TrunkId(trunk))).collect();
            prop_assert_eq!(parts.iter().sum::<u32>(), limit);
            prop_assert!(parts.iter().max().unwrap_or(&0) - parts.iter().min().unwrap_or(&0) <= 1);
        }
    }
}
