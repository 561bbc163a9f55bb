//! What is counted in a run, in memory that does not grow with it.
//!
//! Delays go into logarithmic buckets, the timeline into a fixed number of columns, decisions into a list with an end. Nothing of the
//! warm-up is counted. Refuses to know: why anything happened, how it is shown.

use super::outage::Outage;
use model::{Health, Instant, Span};

/// Columns of the timeline.
pub(super) const COLUMNS: usize = 480;
/// Sub-buckets of one doubling: none is wider than 6 %.
const FINE: u64 = 16;
/// Up to 2^26 ms.
const BUCKETS: usize = 27 * FINE as usize;
/// A Down so soon after an outage still has the outage for its reason.
const GRACE: Span = Span::from_secs(5);

/// A distribution of delays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    counts: Vec<u32>,
    count: u64,
    max: Span,
}

impl Default for Spread {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, max: Span::ZERO }
    }
}

impl Spread {
    /// One more.
    pub fn add(&mut self, delay: Span) {
        let index = bucket(delay.as_millis());
        self.counts[index] = self.counts[index].saturating_add(1);
        self.count += 1;
        self.max = self.max.max(delay);
    }

    /// The delay that so many of a thousand do not exceed, to the upper edge of its bucket.
    pub fn permille(&self, permille: u64) -> Span {
        let wanted = (self.count * permille).div_ceil(1_000);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted && *count > 0 {
                return Span::from_millis(edge(index)).min(self.max);
            }
        }
        Span::ZERO
    }

    /// The longest.
    pub const fn max(&self) -> Span {
        self.max
    }

    /// How many.
    pub const fn count(&self) -> u64 {
        self.count
    }
}

fn bucket(ms: u64) -> usize {
    if ms < FINE {
        return ms as usize;
    }
    let doubling = u64::from(ms.ilog2()) - 3;
    let index = doubling * FINE + (ms >> (doubling - 1)) - FINE;
    (index as usize).min(BUCKETS - 1)
}

const fn edge(index: usize) -> u64 {
    let index = index as u64;
    if index < FINE {
        return index;
    }
    let (doubling, fine) = (index / FINE, index % FINE);
    ((FINE + fine + 1) << (doubling - 1)) - 1
}

/// One column of the timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) calls: u32,
    pub(super) lost: u32,
    /// The longest delay added to a call that began in it.
    pub(super) delay: Span,
}

/// One trunk in one column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Calls that reached somebody through it.
    pub(super) carried: u32,
    /// Attempts.
    pub(super) tried: u32,
    /// Health at its end, and the worst in it.
    pub(super) health: Health,
    pub(super) worst: Health,
}

/// What is known of one outage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) attempts: u64,
    pub(super) suspect: Option<Span>,
    pub(super) down: Option<Span>,
}

/// Everything counted.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    zero: Instant,
    length: Span,
    pub(super) columns: Vec<Column>,
    pub(super) stretches: Vec<Vec<Stretch>>,
    health: Vec<Health>,
    filled: usize,
    pub(super) outages: Vec<(usize, Outage, Seen)>,
    pub(super) delays: Spread,
    pub(super) worst: Span,
    pub(super) calls: u64,
    pub(super) answered: u64,
    pub(super) called_party: u64,
    pub(super) refused: u64,
    pub(super) gave_up: u64,
    pub(super) mute: u64,
    pub(super) redials: u64,
    pub(super) attempts: u64,
    /// Attempts that an outage touched: once, however many outages overlap.
    pub(super) touched: u64,
    pub(super) changes: u32,
    active: Option<u8>,
    pub(super) downs: u32,
    pub(super) false_downs: u32,
    pub(super) false_doubts: u32,
}

impl Tally {
    /// `outages` with the place of their trunks in the list of trunks, of which there are so many.
    pub(super) fn new(zero: Instant, length: Span, trunks: usize, outages: Vec<(usize, Outage)>) -> Self {
        let outages = outages.into_iter().map(|(trunk, outage)| (trunk, outage, Seen::default())).collect();
        Self {
            zero,
            length,
            columns: vec![Column::default(); COLUMNS],
            stretches: vec![vec![Stretch::default(); COLUMNS]; trunks],
            health: vec![Health::Unknown; trunks],
            filled: 0,
            outages,
            delays: Spread::default(),
            worst: Span::ZERO,
            calls: 0,
            answered: 0,
            called_party: 0,
            refused: 0,
            gave_up: 0,
            mute: 0,
            redials: 0,
            attempts: 0,
            touched: 0,
            changes: 0,
            active: None,
            downs: 0,
            false_downs: 0,
            false_doubts: 0,
        }
    }

    /// Whether a moment is watched.
    pub(super) fn watches(&self, at: Instant) -> bool {
        at >= self.zero && at.since(self.zero) < self.length
    }

    /// The column of a moment.
    fn column(&self, at: Instant) -> usize {
        let at = at.since(self.zero).as_micros();
        ((at * COLUMNS as u64 / self.length.as_micros().max(1)) as usize).min(COLUMNS - 1)
    }

    pub(super) fn call(&mut self, began: Instant) {
        if self.watches(began) {
            self.calls += 1;
            let column = self.column(began);
            self.columns[column].calls += 1;
        }
    }

    /// An attempt; `hit` when an outage touches it.
    pub(super) fn attempt(&mut self, at: Instant, trunk: usize, hit: bool) {
        if !self.watches(at) {
            return;
        }
        self.attempts += 1;
        let column = self.column(at);
        self.stretches[trunk][column].tried += 1;
        let since = at.since(self.zero);
        let mut touched = false;
        for (failing, outage, seen) in &mut self.outages {
            if *failing == trunk && hit && outage.holds(since) {
                seen.attempts += 1;
                touched = true;
            }
        }
        self.touched += u64::from(touched);
    }

    /// A call reached somebody through a trunk, later than it would have by so much.
    pub(super) fn reached(&mut self, began: Instant, trunk: usize, added: Span) {
        if self.watches(began) {
            self.delays.add(added);
            self.worst = self.worst.max(added);
            let column = self.column(began);
            self.columns[column].delay = self.columns[column].delay.max(added);
            self.stretches[trunk][column].carried += 1;
        }
    }

    /// A call is lost now, after its caller has waited for so long.
    pub(super) fn lost(&mut self, began: Instant, now: Instant, waited: Span, gave_up: bool) {
        if self.watches(began) {
            self.refused += u64::from(!gave_up);
            self.gave_up += u64::from(gave_up);
            self.worst = self.worst.max(waited);
            self.lose(now);
        }
    }

    /// A call is answered now and its caller hears nothing.
    pub(super) fn unheard(&mut self, began: Instant, now: Instant) {
        if self.watches(began) {
            self.mute += 1;
            self.lose(now);
        }
    }

    fn lose(&mut self, now: Instant) {
        let column = self.column(now);
        self.columns[column].lost += 1;
    }

    /// The tier that carries calls; none is nobody, which is no change by itself.
    pub(super) fn active(&mut self, at: Instant, tier: Option<u8>) {
        if tier.is_none() || tier == self.active {
            return;
        }
        self.changes += u32::from(self.active.is_some() && self.watches(at));
        self.active = tier;
    }

    /// A trunk's health has become another.
    pub(super) fn health(&mut self, at: Instant, trunk: usize, to: Health) {
        self.fill(at);
        let from = core::mem::replace(&mut self.health[trunk], to);
        if at < self.zero {
            return;
        }
        let column = self.column(at);
        let stretch = &mut self.stretches[trunk][column];
        stretch.worst = worse(stretch.worst, to);
        stretch.health = to;
        let since = at.since(self.zero);
        for (failing, outage, seen) in &mut self.outages {
            if *failing == trunk && since >= outage.start && since < outage.end + GRACE {
                let after = since - outage.start;
                match to {
                    Health::Suspect => seen.suspect = seen.suspect.or(Some(after)),
                    Health::Down => seen.down = seen.down.or(Some(after)),
                    _ => {}
                }
            }
        }
        let meant = |(failing, outage, _): &(usize, Outage, Seen)| {
            *failing == trunk && !outage.harmless && since >= outage.start && since < outage.end + GRACE
        };
        let deserved = self.outages.iter().any(meant);
        if self.watches(at) {
            let falls = matches!(from, Health::Up | Health::Unknown) && matches!(to, Health::Suspect | Health::Down);
            self.false_doubts += u32::from(falls && !deserved);
            self.downs += u32::from(to == Health::Down);
            self.false_downs += u32::from(to == Health::Down && !deserved);
        }
    }

    /// Time has come so far: columns before it hold what is held now.
    pub(super) fn fill(&mut self, at: Instant) {
        let column = if at < self.zero { 0 } else { self.column(at) };
        for filled in self.filled..=column {
            for (stretches, health) in self.stretches.iter_mut().zip(&self.health) {
                let stretch = &mut stretches[filled];
                if filled > self.filled || filled == 0 || stretch.worst == Health::Unknown {
                    (stretch.health, stretch.worst) = (*health, *health);
                }
            }
        }
        self.filled = self.filled.max(column);
    }
}

/// The one of two that an operator would rather hear of.
const fn worse(a: Health, b: Health) -> Health {
    if rank(a) >= rank(b) { a } else { b }
}

const fn rank(health: Health) -> u8 {
    match health {
        Health::Unknown => 0,
        Health::Up => 1,
        Health::Probation => 2,
        Health::Suspect => 3,
        Health::Down => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Kind;

    #[test]
    fn buckets_are_narrow_and_in_order() {
        let mut last = 0;
        for ms in 0..200_000 {
            let index = bucket(ms);
            assert!(index == last || index == last + 1, "{ms}");
            assert!(edge(index) >= ms && edge(index) <= ms + ms / 15, "{ms} in {index} to {}", edge(index));
            last = index;
        }
    }

    #[test]
    fn a_spread_tells_its_percentiles() {
        let mut spread = Spread::default();
        (1..=1_000).for_each(|ms| spread.add(Span::from_millis(ms)));
        assert!((500..=535).contains(&spread.permille(500).as_millis()), "{}", spread.permille(500));
        assert!((990..=1_000).contains(&spread.permille(990).as_millis()));
        assert_eq!((spread.max(), spread.count()), (Span::from_secs(1), 1_000));
    }

    #[test]
    fn a_down_without_its_outage_is_false() {
        let (start, end) = (Span::from_secs(10), Span::from_secs(20));
        let outage = Outage { trunk: "a".into(), kind: Kind::Silent, start, end, flap: None, harmless: false };
        let mut tally = Tally::new(Instant::ZERO, Span::from_secs(100), 2, vec![(0, outage)]);
        let at = |s: u64| Instant::ZERO + Span::from_secs(s);
        tally.health(at(13), 0, Health::Suspect);
        tally.health(at(14), 0, Health::Down);
        tally.health(at(15), 1, Health::Down);
        tally.health(at(60), 0, Health::Down);
        assert_eq!((tally.downs, tally.false_downs), (3, 2));
        let seen = tally.outages[0].2;
        assert_eq!((seen.suspect, seen.down), (Some(Span::from_secs(3)), Some(Span::from_secs(4))));
    }

    #[test]
    fn an_attempt_under_two_outages_is_one_that_was_touched() {
        let outage = |start: u64, end: u64| {
            let (start, end) = (Span::from_secs(start), Span::from_secs(end));
            (0, Outage { trunk: "a".into(), kind: Kind::Stall, start, end, flap: None, harmless: false })
        };
        let mut tally = Tally::new(Instant::ZERO, Span::from_secs(100), 1, vec![outage(0, 20), outage(10, 30)]);
        for s in [5, 15, 25, 35] {
            tally.attempt(Instant::ZERO + Span::from_secs(s), 0, true);
        }
        assert_eq!((tally.attempts, tally.touched), (4, 3));
        assert_eq!(tally.outages.iter().map(|(_, _, seen)| seen.attempts).collect::<Vec<_>>(), [2, 2]);
    }
}
