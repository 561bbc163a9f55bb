//! Places on trunks: which call held one, from when to when, and what the trunks' limits say about that.
//!
//! Counted from the records and the wire after a run, without a look at how the edge counts. Where two things happen at the same moment
//! nobody outside can tell which was first, so the edge is given the benefit. Refuses to know: why a trunk was chosen.

use super::Broken;
use decide::{CallLimits, Exclusion, NoPlan};
use model::{Instant, Span, TrunkId};

/// No second holds more calls than a limit on calls per second says.
const SECOND: Span = Span::from_secs(1);
/// So long at most a call counts against that limit: a second, and the slot of the window it began in.
const REMEMBERED: Span = Span::from_millis(1_050);

/// What holds a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// An attempt of a call, which limits bind.
    Attempt,
    /// An attempt of an emergency call, which passes them.
    Emergency,
    /// A call that came from the trunk: it counts, and is never refused for it.
    Incoming,
    /// A test call, which limits bind.
    Test,
}

impl Holder {
    const fn is_bound(self) -> bool {
        matches!(self, Self::Attempt | Self::Test)
    }

    /// It was offered to the trunk, and so counts per second too.
    const fn is_offered(self) -> bool {
        !matches!(self, Self::Incoming)
    }
}

/// One place that was held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) trunk: TrunkId,
    pub(super) shard: u8,
    pub(super) holder: Holder,
    pub(super) from: Instant,
    /// None when the wire does not show it.
    pub(super) until: Option<Instant>,
}

/// All of a run.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) all: Vec<Place>,
}

impl Places {
    /// Limits that did not hold. `limits` are those of each trunk, by its id.
    pub(super) fn over(&self, limits: &[CallLimits]) -> Vec<Broken> {
        let limits_of = |place: &Place| limits.get(place.trunk.index()).copied().unwrap_or_default();
        let bound = self.all.iter().filter(|place| place.holder.is_bound());
        bound.filter_map(|place| self.over_at(place, limits_of(place))).collect()
    }

    /// What was exceeded when this place was taken. Over all shards only those count whom limits bind; within the shard of this one, all.
    fn over_at(&self, new: &Place, limits: CallLimits) -> Option<Broken> {
        let on_trunk = || self.all.iter().filter(|place| place.trunk == new.trunk);
        let held = |place: &&Place| {
            let begun = if place.holder.is_bound() { place.from <= new.from } else { place.from < new.from };
            begun && place.until.is_some_and(|until| until > new.from)
        };
        let lately = |place: &&Place| place.from <= new.from && new.from.since(place.from) <= SECOND;
        let bound = |place: &&Place| place.holder.is_bound();
        let beside = |place: &&Place| place.shard == new.shard;
        let carried = on_trunk().filter(bound).filter(held).count();
        let carried = carried.max(on_trunk().filter(beside).filter(held).count());
        let offered = on_trunk().filter(bound).filter(lately).count();
        let exceeds = |count: usize, limit: Option<u32>| limit.is_some_and(|limit| count > limit as usize);
        let (at, trunk) = (new.from, new.trunk);
        if exceeds(carried, limits.calls) {
            return Some(Broken(format!("{carried} calls at once on {trunk:?} at {at:?}, limits {limits:?}")));
        }
        let many = exceeds(offered, limits.cps);
        many.then(|| Broken(format!("{offered} calls within a second on {trunk:?} at {at:?}, limits {limits:?}")))
    }

    /// Why it is not so that nobody could take a call which shard `shard` refused at `at`; none when it is.
    pub(super) fn contradict(&self, shard: u8, at: Instant, refusal: &NoPlan, limits: &[CallLimits]) -> Option<String> {
        let NoPlan::NobodyLeft { excluded, .. } = refusal else { return Some("no route".to_owned()) };
        let mut full = false;
        for out in excluded {
            let known = limits.get(out.trunk.index()).copied().unwrap_or_default();
            let (carried, offered) = self.at_most(shard, out.trunk, at);
            full |= match out.cause {
                Exclusion::CallLimit { limit, part } if known.calls == Some(limit) && carried >= part => true,
                Exclusion::RateLimit { limit, part } if known.cps == Some(limit) && offered >= part => true,
                Exclusion::Headroom { percent } if known.headroom == percent && carried.max(offered) > 0 => true,
                cause @ (Exclusion::CallLimit { .. } | Exclusion::RateLimit { .. } | Exclusion::Headroom { .. }) => {
                    return Some(format!("{carried} calls on {:?} and {offered} of late are not {cause:?}", out.trunk));
                }
                _ => false,
            };
        }
        (!full).then(|| "none of its trunks was full".to_owned())
    }

    /// Calls a shard may have counted on a trunk, at once and of late.
    fn at_most(&self, shard: u8, trunk: TrunkId, at: Instant) -> (u32, u32) {
        let here = || self.all.iter().filter(|place| (place.shard, place.trunk) == (shard, trunk) && place.from <= at);
        let carried = here().filter(|place| place.until.is_none_or(|until| until >= at)).count();
        let lately = |place: &&Place| place.holder.is_offered() && at.since(place.from) <= REMEMBERED;
        (carried as u32, here().filter(lately).count() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decide::Excluded;
    use model::GroupId;

    const ACME: TrunkId = TrunkId(1);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    fn place(shard: u8, holder: Holder, from: u64, until: u64) -> Place {
        Place { trunk: ACME, shard, holder, from: at(from), until: Some(at(until)) }
    }

    fn limits(calls: Option<u32>, cps: Option<u32>) -> Vec<CallLimits> {
        vec![CallLimits::default(), CallLimits { calls, cps, headroom: 0 }]
    }

    #[test]
    fn one_more_at_once_than_may_be_is_seen_over_all_shards() {
        let mut places = Places { all: vec![place(0, Holder::Attempt, 0, 500), place(1, Holder::Test, 100, 300)] };
        assert_eq!(places.over(&limits(Some(2), None)), []);
        assert_eq!(places.over(&limits(Some(1), None)).len(), 1);
        places.all.push(place(2, Holder::Attempt, 300, 400));
        assert_eq!(places.over(&limits(Some(2), None)), [], "where one ends another may begin");
        places.all.push(place(0, Holder::Emergency, 350, 900));
        assert_eq!(places.over(&limits(Some(2), None)), [], "an emergency call passes");
        places.all.push(place(0, Holder::Attempt, 360, 370));
        assert_eq!(places.over(&limits(Some(2), None)).len(), 1, "and counts for those who come after");
    }

    #[test]
    fn any_second_counts() {
        let all = [0, 900, 1_000, 2_100].map(|from| place(0, Holder::Attempt, from, from)).to_vec();
        let places = Places { all };
        assert_eq!(places.over(&limits(None, Some(2))).len(), 1);
        assert_eq!(places.over(&limits(None, Some(3))), []);
    }

    #[test]
    fn a_refusal_must_be_true() {
        let out = |cause| NoPlan::NobodyLeft {
            group: GroupId(0),
            excluded: vec![Excluded { trunk: ACME, cause }],
            unnamed: 0,
        };
        let places = Places { all: vec![place(1, Holder::Incoming, 0, 500)] };
        let full = out(Exclusion::CallLimit { limit: 2, part: 1 });
        let known = limits(Some(2), None);
        assert_eq!(places.contradict(1, at(200), &full, &known), None);
        assert!(places.contradict(0, at(200), &full, &known).is_some(), "another shard's call");
        assert!(places.contradict(1, at(600), &full, &known).is_some(), "it is over");
        assert!(places.contradict(1, at(200), &full, &limits(None, None)).is_some(), "there is no such limit");
        assert!(places.contradict(1, at(200), &out(Exclusion::Draining), &known).is_some());
        let rate = out(Exclusion::RateLimit { limit: 2, part: 1 });
        assert!(places.contradict(1, at(200), &rate, &limits(None, Some(2))).is_some(), "nobody was offered");
    }
}
