//! What strangers have done lately, by source: a table of fixed size, for there are more addresses than memory.
//!
//! A source is an IPv4 address or an IPv6 network of 64 bits, which is what one subscriber has. The table is cut into small sets; a new
//! source takes the place of the one of its set that was seen longest ago, and of one that is shut out only when all are. So a
//! flood from made-up addresses makes the table forget, but not grow, and forgets shut-outs last.
//! Of each that is kept out it is known since when, until when, what for and how much of its was dropped: an operator asks.

use super::{GuardPolicy, Whom};
use crate::view::{GuardedFor, GuardedView};
use core::fmt;
use core::hash::BuildHasher;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use explain::ShutOutCause;
use foldhash::fast::FixedState;
use model::{Instant, Span};

/// Sets of the table: a power of two.
const SETS: usize = 1_024;
/// Sources of a set.
const WAYS: usize = 8;
/// Doublings that are counted.
const STRIKES: u8 = 16;

/// Where something came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// One address.
    V4(u32),
    /// The first half of an address.
    V6(u64),
    /// A registered phone: its address and port, since others may be behind the same address.
    Phone(SocketAddr),
}

impl Source {
    pub(super) fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(addr) => Self::V4(addr.to_bits()),
            IpAddr::V6(addr) => Self::V6((addr.to_bits() >> 64) as u64),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(bits) => write!(f, "{}", Ipv4Addr::from_bits(*bits)),
            Self::Phone(addr) => write!(f, "{addr}"),
            Self::V6(half) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*half) << 64)),
        }
    }
}

/// What a source has done within the window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) malformed: u32,
    pub(super) requests: u32,
    pub(super) failures: u32,
    pub(super) registers: u32,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    source: Source,
    seen: Instant,
    /// When the window of the tally began.
    since: Instant,
    tally: Tally,
    /// Shut out until then, for this, the so-manieth time.
    until: Option<Instant>,
    cause: ShutOutCause,
    strikes: u8,
    /// More than its limit of the window is dropped, until the window ends.
    limited: Option<Limit>,
    /// Since when it is kept out or limited without a pause, and how much of its was dropped since.
    began: Instant,
    dropped: u64,
}

/// A source that sends more than it may, and is not shut out for it.
#[derive(Clone, Copy, Debug)]
struct Limit {
    what: GuardedFor,
    until: Instant,
}

impl Slot {
    fn is_shut_out(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    /// Why it is kept out or limited now, and until when.
    fn held(&self, now: Instant) -> Option<(GuardedFor, Instant)> {
        let shut_out = self.until.filter(|until| *until > now).map(|until| (GuardedFor::ShutOut(self.cause), until));
        let limited = self.limited.filter(|limit| limit.until > now).map(|limit| (limit.what, limit.until));
        shut_out.or(limited)
    }

    /// Something begins to be dropped: from now on, unless it was already.
    fn begin(&mut self, now: Instant) {
        if self.held(now).is_none() {
            (self.began, self.dropped) = (now, 0);
        }
    }
}

/// All sources that are remembered.
#[derive(Debug)]
pub(super) struct Sources {
    /// Empty until the first stranger comes.
    slots: Vec<Option<Slot>>,
    hasher: FixedState,
}

impl Sources {
    pub(super) fn new(seed: u64) -> Self {
        Self { slots: Vec::new(), hasher: FixedState::with_seed(seed) }
    }

    /// Where the set of a source begins.
    fn set(&self, source: Source) -> usize {
        // The upper half, as the lower one is what maps take.
        ((self.hasher.hash_one(source) >> 32) as usize % SETS) * WAYS
    }

    /// Whether a source is shut out.
    pub(super) fn is_shut_out(&self, now: Instant, source: Source) -> bool {
        let first = self.set(source);
        let set = self.slots.get(first..first + WAYS).unwrap_or_default();
        set.iter().flatten().any(|slot| slot.source == source && slot.is_shut_out(now))
    }

    /// The same, and what it has sent now is counted as dropped if it is.
    pub(super) fn keeps_out(&mut self, now: Instant, source: Source) -> bool {
        let first = self.set(source);
        let set = self.slots.get_mut(first..first + WAYS).unwrap_or_default();
        let Some(slot) = set.iter_mut().flatten().find(|slot| slot.source == source && slot.is_shut_out(now)) else {
            return false;
        };
        slot.dropped = slot.dropped.saturating_add(1);
        true
    }

    /// A message of a source goes no further, since it has sent its share of this window.
    pub(super) fn limit(&mut self, now: Instant, source: Source, what: GuardedFor, window: Span) {
        let slot = self.slot(now, source);
        // A window that follows another over the limit is the same story.
        if slot.limited.is_none_or(|limit| now.since(limit.until) >= window) {
            slot.begin(now);
        }
        slot.limited = Some(Limit { what, until: slot.since + window });
        slot.dropped = slot.dropped.saturating_add(1);
    }

    /// Forgets what was held against a source, or against all of an address. How many were kept out or limited.
    pub(super) fn forgive(&mut self, now: Instant, whom: Whom) -> u32 {
        let mut forgiven = 0;
        for place in &mut self.slots {
            if let Some(slot) = place.take_if(|slot| whom.covers(slot.source)) {
                forgiven += u32::from(slot.held(now).is_some());
            }
        }
        forgiven
    }

    /// What a source has done within the window that is under way.
    pub(super) fn tally(&mut self, now: Instant, source: Source, window: Span) -> &mut Tally {
        let slot = self.slot(now, source);
        if now.since(slot.since) >= window {
            (slot.since, slot.tally) = (now, Tally::default());
        }
        &mut slot.tally
    }

    /// Shuts a source out and says for how long: twice as long as the last time, unless that is long past.
    pub(super) fn shut_out(&mut self, now: Instant, source: Source, cause: ShutOutCause, policy: &GuardPolicy) -> Span {
        let slot = self.slot(now, source);
        if slot.until.is_some_and(|until| now.since(until) >= policy.longest) {
            slot.strikes = 0;
        }
        slot.begin(now);
        // A guess has been answered; what else shuts a source out goes no further.
        slot.dropped = slot.dropped.saturating_add(u64::from(cause != ShutOutCause::Failures));
        let length = policy.ban.times(1 << slot.strikes).min(policy.longest);
        slot.strikes = (slot.strikes + 1).min(STRIKES);
        (slot.until, slot.cause, slot.tally) = (Some(now + length), cause, Tally::default());
        length
    }

    fn slot(&mut self, now: Instant, source: Source) -> &mut Slot {
        if self.slots.is_empty() {
            self.slots.resize(SETS * WAYS, None);
        }
        let first = self.set(source);
        let set = &mut self.slots[first..first + WAYS];
        let known = set.iter().position(|slot| slot.is_some_and(|slot| slot.source == source));
        let place = known.unwrap_or_else(|| worst(set, now));
        let fresh = Slot {
            source,
            seen: now,
            since: now,
            tally: Tally::default(),
            until: None,
            cause: ShutOutCause::Requests,
            strikes: 0,
            limited: None,
            began: now,
            dropped: 0,
        };
        if known.is_none() {
            set[place] = None;
        }
        let slot = set[place].get_or_insert(fresh);
        slot.seen = now;
        slot
    }

    /// Who is shut out or limited, in no order.
    pub(super) fn held(&self, now: Instant) -> Vec<GuardedView> {
        let view = |slot: &Slot| {
            let (why, until) = slot.held(now)?;
            Some(GuardedView {
                source: slot.source.to_string(),
                why,
                held: now.since(slot.began),
                left: until.since(now),
                times: slot.strikes,
                dropped: slot.dropped,
            })
        };
        self.slots.iter().flatten().filter_map(view).collect()
    }
}

/// Whose place a new source takes: a free one, else whoever is not shut out and was seen longest ago, else whoever is free soonest.
fn worst(set: &[Option<Slot>], now: Instant) -> usize {
    let rank = |slot: &Option<Slot>| match slot {
        None => (0, Instant::ZERO),
        Some(slot) if !slot.is_shut_out(now) => (1, slot.seen),
        Some(slot) => (2, slot.until.unwrap_or(now)),
    };
    (0..set.len()).min_by_key(|index| rank(&set[*index])).unwrap_or(0)
}
