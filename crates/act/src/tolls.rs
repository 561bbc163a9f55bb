//! What a source trunk may dial, how much and how fast: a PBX that was broken into calls expensive numbers, many at once, at night.
//!
//! Counted for each trunk that calls come from, and only for those that have a limit. Each shard holds its part of a limit, as for all limits.
//! Emergency calls pass. Refuses to know: what a call costs, where it goes.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use decide::{Barred, Load};
use model::{Instant, Span, TrunkId};

/// What calls from a trunk must keep to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct InboundPolicy {
    /// Numbers that begin so are refused, unless a longer prefix of `allow` fits.
    pub deny: Vec<String>,
    /// When there are any, only numbers that begin so are placed, unless a longer prefix of `deny` fits.
    pub allow: Vec<String>,
    /// Calls at once.
    pub concurrent: Option<u32>,
    /// Calls begun within an hour.
    pub per_hour: Option<u32>,
    /// Calls begun within a second.
    pub cps: Option<u32>,
}

impl InboundPolicy {
    /// The longest prefix decides; of equal ones the refusal.
    pub(crate) fn bars(&self, number: &str) -> Option<Barred> {
        let longest = |list: &[String]| {
            list.iter().filter(|prefix| number.starts_with(prefix.as_str())).max_by_key(|prefix| prefix.len()).cloned()
        };
        match (longest(&self.deny), longest(&self.allow)) {
            (Some(deny), Some(allow)) if allow.len() > deny.len() => None,
            (Some(prefix), _) => Some(Barred::Prefix { prefix }),
            (None, None) if !self.allow.is_empty() => Some(Barred::NotAllowed),
            (None, _) => None,
        }
    }

    const fn counts(&self) -> bool {
        self.concurrent.is_some() || self.per_hour.is_some() || self.cps.is_some()
    }
}

/// Events within a sliding time, in sixty slots; an event counts for up to a slot longer.
#[derive(Clone, Debug)]
struct Window {
    slot: Span,
    newest: u64,
    counts: [u32; SLOTS],
}

const SLOTS: usize = 60;

impl Window {
    const fn of(length: Span) -> Self {
        Self { slot: Span::from_micros(length.as_micros() / (SLOTS as u64 - 1)), newest: 0, counts: [0; SLOTS] }
    }

    fn count(&mut self, now: Instant) -> u32 {
        let slot = now.as_micros() / self.slot.as_micros().max(1);
        for stale in 1..=slot.saturating_sub(self.newest).min(SLOTS as u64) {
            self.counts[((self.newest + stale) % SLOTS as u64) as usize] = 0;
        }
        self.newest = self.newest.max(slot);
        self.counts.iter().sum()
    }

    fn add(&mut self, now: Instant) {
        self.count(now);
        let newest = &mut self.counts[(self.newest % SLOTS as u64) as usize];
        *newest = newest.saturating_add(1);
    }
}

#[derive(Clone, Debug)]
struct Toll {
    at_once: u32,
    hour: Window,
    second: Window,
}

/// What came from each trunk with limits.
#[derive(Debug, Default)]
pub(crate) struct Tolls {
    /// By trunk: as many as the configuration has.
    counted: BTreeMap<TrunkId, Toll>,
}

impl Tolls {
    /// Why a call may not be placed, if it may not. One that may be is counted, until `end`.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        load: &Load,
        (from, policy): (TrunkId, &InboundPolicy),
        number: &str,
    ) -> Result<Option<Counted>, Barred> {
        if let Some(barred) = policy.bars(number) {
            return Err(barred);
        }
        if !policy.counts() {
            return Ok(None);
        }
        let fresh =
            || Toll { at_once: 0, hour: Window::of(Span::from_secs(3_600)), second: Window::of(Span::from_secs(1)) };
        let toll = self.counted.entry(from).or_insert_with(fresh);
        let seen = [toll.second.count(now), toll.at_once, toll.hour.count(now)];
        type Why = fn(u32, u32) -> Barred;
        let limits: [(Option<u32>, Why); 3] = [
            (policy.cps, |limit, part| Barred::Rate { limit, part }),
            (policy.concurrent, |limit, part| Barred::AtOnce { limit, part }),
            (policy.per_hour, |limit, part| Barred::PerHour { limit, part }),
        ];
        for ((limit, why), seen) in limits.into_iter().zip(seen) {
            let Some(limit) = limit else { continue };
            let part = load.part(limit, from);
            if seen >= part {
                return Err(why(limit, part));
            }
        }
        toll.at_once += 1;
        toll.hour.add(now);
        toll.second.add(now);
        Ok(Some(Counted(from)))
    }

    /// A call that was let through is over.
    pub(crate) fn end(&mut self, counted: Counted) {
        if let Some(toll) = self.counted.get_mut(&counted.0) {
            toll.at_once = toll.at_once.saturating_sub(1);
        }
    }
}

/// A call was counted among those of this trunk, whose limits may be set and lifted while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted(TrunkId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, proptest};
    use std::vec;

    const PBX: TrunkId = TrunkId(0);

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    fn list(prefixes: &[&str]) -> Vec<String> {
        prefixes.iter().map(|prefix| (*prefix).into()).collect()
    }

    #[test]
    fn the_longest_prefix_decides() {
        let policy = InboundPolicy {
            deny: list(&["+882", "900", "+4782"]),
            allow: list(&["+47", "+88299"]),
            ..InboundPolicy::default()
        };
        let bars = |number| policy.bars(number);
        assert_eq!((bars("+4722334455"), bars("+8829912")), (None, None));
        assert_eq!(bars("+88213"), Some(Barred::Prefix { prefix: "+882".into() }));
        assert_eq!(bars("+47820"), Some(Barred::Prefix { prefix: "+4782".into() }));
        assert_eq!(bars("+46"), Some(Barred::NotAllowed));
        let only_deny = InboundPolicy { deny: list(&["900"]), ..InboundPolicy::default() };
        assert_eq!((only_deny.bars("+46"), InboundPolicy::default().bars("900")), (None, None));
        let both = InboundPolicy { deny: list(&["9"]), allow: list(&["9"]), ..InboundPolicy::default() };
        assert_eq!(both.bars("91"), Some(Barred::Prefix { prefix: "9".into() }), "of equal ones the refusal");
    }

    #[test]
    fn calls_at_once_an_hour_and_a_second_are_limited() {
        let policy = InboundPolicy { concurrent: Some(2), per_hour: Some(5), cps: Some(2), ..InboundPolicy::default() };
        let (mut tolls, load) = (Tolls::default(), Load::default());
        let ask = |tolls: &mut Tolls, ms| tolls.admit(at(ms), &load, (PBX, &policy), "1");
        let one = ask(&mut tolls, 0).unwrap().unwrap();
        assert!(ask(&mut tolls, 1).is_ok());
        assert_eq!(ask(&mut tolls, 2), Err(Barred::Rate { limit: 2, part: 2 }));
        assert_eq!(ask(&mut tolls, 2_000), Err(Barred::AtOnce { limit: 2, part: 2 }));
        tolls.end(one);
        for turn in 0..3 {
            let more = ask(&mut tolls, 4_000 + turn * 2_000).unwrap().unwrap();
            tolls.end(more);
        }
        assert_eq!(ask(&mut tolls, 20_000), Err(Barred::PerHour { limit: 5, part: 5 }));
        assert!(ask(&mut tolls, 3_700_000).is_ok(), "an hour later");
    }

    #[test]
    fn a_trunk_without_limits_is_not_counted() {
        let (mut tolls, load) = (Tolls::default(), Load::default());
        let open = InboundPolicy { deny: list(&["900"]), ..InboundPolicy::default() };
        for _ in 0..100 {
            assert_eq!(tolls.admit(at(0), &load, (PBX, &open), "1"), Ok(None));
        }
        assert!(tolls.counted.is_empty());
        tolls.end(Counted(PBX));
    }

    proptest! {
        /// No hour, wherever it begins, holds more than the limit.
        #[test]
        fn no_hour_holds_more(gaps in proptest::collection::vec(0u64..600_000, 300), limit in 1u32..20) {
            let policy = InboundPolicy { per_hour: Some(limit), ..InboundPolicy::default() };
            let (mut tolls, load, mut now) = (Tolls::default(), Load::default(), 0);
            let mut begun = vec![];
            for gap in gaps {
                now += gap;
                if let Ok(Some(counted)) = tolls.admit(at(now), &load, (PBX, &policy), "1") {
                    begun.push(now);
                    tolls.end(counted);
                }
            }
            for (index, first) in begun.iter().enumerate() {
                let within = begun[index..].iter().take_while(|at| **at - first < 3_600_000).count();
                prop_assert!(within as u32 <= limit);
            }
        }
    }
}
