//! Media port pairs of a shard: opened ahead of need, taken in order of rest, kept quiet for a while after use.
//!
//! Opening a socket is never on a call's way: when the stock of a listen runs low, more are ordered. A pair that was just released may
//! still receive packets of its last call, so it rests first; when nothing else is left it is used all the same, since the latch refuses
//! strangers anyway. A pair stays open, so what is open of a listen is what was in use and resting at once at the busiest moment, and
//! the spare pairs of that moment: an order counts what is still to come. Refuses to know: sockets.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use media::PairId;
use model::{Instant, ListenId, Span};

/// How long a released pair rests.
const QUARANTINE: Span = Span::from_secs(3);
/// Pairs that are ready besides those that calls have: an eighth of those, within these limits. More are ordered when half of them are left.
const SPARE: (usize, usize) = (56, 512);
/// A listen that could have no more is asked again after this: its range may be used up, or the system may have had no socket to spare.
const ASK_AGAIN: Span = Span::from_secs(10);

#[derive(Clone, Debug, Default)]
struct Stock {
    ready: VecDeque<(PairId, SocketAddr)>,
    resting: VecDeque<(Instant, PairId, SocketAddr)>,
    in_use: usize,
    /// Ordered, and not yet here.
    coming: usize,
    /// It could have no more: it is asked again then.
    ask_again: Option<Instant>,
}

/// All pairs of a shard.
#[derive(Clone, Debug)]
pub struct Ports {
    stocks: Vec<Stock>,
    /// Whose they are, by `PairId`.
    owners: Vec<Option<(ListenId, SocketAddr)>>,
    limit: usize,
}

impl Ports {
    /// None yet; pairs are numbered below `limit`.
    pub const fn new(limit: usize) -> Self {
        Self { stocks: Vec::new(), owners: Vec::new(), limit }
    }

    /// Pairs have been opened. None at all means that no more can be had for now.
    pub fn stock(&mut self, now: Instant, listen: ListenId, pairs: &[(PairId, SocketAddr)]) {
        let limit = self.limit;
        for (pair, rtp) in pairs.iter().filter(|(pair, _)| (pair.0 as usize) < limit) {
            let index = pair.0 as usize;
            if self.owners.len() <= index {
                self.owners.resize(index + 1, None);
            }
            self.owners[index] = Some((listen, *rtp));
            self.of(listen).ready.push_back((*pair, *rtp));
        }
        let stock = self.of(listen);
        stock.coming = if pairs.is_empty() { 0 } else { stock.coming.saturating_sub(pairs.len()) };
        stock.ask_again = pairs.is_empty().then_some(now + ASK_AGAIN);
    }

    /// A pair for a call, and the address of its RTP port.
    pub fn take(&mut self, listen: ListenId) -> Option<(PairId, SocketAddr)> {
        let stock = self.stocks.get_mut(listen.index())?;
        let pair = stock.ready.pop_front().or_else(|| stock.resting.pop_front().map(|(_, pair, rtp)| (pair, rtp)))?;
        stock.in_use += 1;
        Some(pair)
    }

    /// A call could have a pair now.
    pub fn has(&self, listen: ListenId) -> bool {
        self.stocks.get(listen.index()).is_some_and(|stock| !stock.ready.is_empty() || !stock.resting.is_empty())
    }

    /// A call has ended; the pair rests.
    pub fn release(&mut self, now: Instant, pair: PairId) {
        let Some(Some((listen, rtp))) = self.owners.get(pair.0 as usize).copied() else { return };
        let stock = self.of(listen);
        stock.in_use = stock.in_use.saturating_sub(1);
        stock.resting.push_back((now + QUARANTINE, pair, rtp));
    }

    /// A pair that was taken and shown to nobody: it need not rest.
    pub fn put_back(&mut self, pair: PairId) {
        let Some(Some((listen, rtp))) = self.owners.get(pair.0 as usize).copied() else { return };
        let stock = self.of(listen);
        stock.in_use = stock.in_use.saturating_sub(1);
        stock.ready.push_front((pair, rtp));
    }

    /// Pairs that have rested are ready again, and who had no more may be asked again.
    pub fn expire(&mut self, now: Instant) {
        for stock in &mut self.stocks {
            stock.ask_again = stock.ask_again.filter(|at| *at > now);
            while let Some((_, pair, rtp)) = stock.resting.pop_front_if(|(until, ..)| *until <= now) {
                stock.ready.push_back((pair, rtp));
            }
        }
    }

    /// When `expire` is due. Nobody is woken to ask again: who needs ports has calls that come and go.
    pub fn deadline(&self) -> Option<Instant> {
        self.stocks.iter().filter_map(|stock| stock.resting.front().map(|(until, ..)| *until)).min()
    }

    /// A listen that runs low, and how many pairs are to come for it: what was ordered before and has not come is among them.
    pub fn want(&mut self) -> Option<(ListenId, u32)> {
        let (index, stock) = self.stocks.iter_mut().enumerate().find(|(_, stock)| stock.runs_low())?;
        stock.coming = stock.spare() - stock.ready.len();
        Some((ListenId(index as u16), stock.coming as u32))
    }

    /// Orders may have been dropped with the ranges that they were for: what still lacks is ordered again.
    pub fn reorder(&mut self) {
        for stock in &mut self.stocks {
            stock.coming = 0;
        }
    }

    /// Pairs ready.
    pub fn ready(&self) -> usize {
        self.stocks.iter().map(|stock| stock.ready.len()).sum()
    }

    /// Pairs in use or resting.
    pub fn used(&self) -> usize {
        self.stocks.iter().map(|stock| stock.in_use + stock.resting.len()).sum()
    }

    /// Pairs in quarantine.
    pub fn resting(&self) -> usize {
        self.stocks.iter().map(|stock| stock.resting.len()).sum()
    }

    fn of(&mut self, listen: ListenId) -> &mut Stock {
        if self.stocks.len() <= listen.index() {
            self.stocks.resize_with(listen.index() + 1, Stock::default);
        }
        &mut self.stocks[listen.index()]
    }
}

impl Stock {
    fn spare(&self) -> usize {
        (self.in_use / 8).clamp(SPARE.0, SPARE.1)
    }

    fn runs_low(&self) -> bool {
        self.ask_again.is_none() && self.ready.len() + self.coming < self.spare() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const LISTEN: ListenId = ListenId(1);

    fn pairs(from: u32, count: u32) -> Vec<(PairId, SocketAddr)> {
        (from..from + count).map(|n| (PairId(n), SocketAddr::from(([127, 0, 0, 1], 20_000 + 2 * n as u16)))).collect()
    }

    #[test]
    fn a_low_stock_orders_what_lacks_once_and_after_an_empty_answer_not_for_a_while() {
        let mut ports = Ports::new(1_000);
        let now = Instant::from_micros(1);
        ports.stock(now, LISTEN, &pairs(0, 4));
        assert_eq!(ports.want(), Some((ListenId(0), 56)), "a listen that has none");
        assert_eq!(ports.want(), Some((LISTEN, 52)), "and one that has few");
        assert_eq!(ports.want(), None);
        ports.stock(now, LISTEN, &pairs(4, 1));
        assert_eq!(ports.want(), None, "the others are still to come");
        ports.reorder();
        assert_eq!(ports.want(), Some((ListenId(0), 56)));
        assert_eq!(ports.want(), Some((LISTEN, 51)), "all that lack, not those of two orders");
        ports.stock(now, LISTEN, &[]);
        ports.stock(now, ListenId(0), &[]);
        assert_eq!(ports.want(), None);
        ports.expire(now + ASK_AGAIN.percent(99));
        assert_eq!(ports.want(), None);
        ports.expire(now + ASK_AGAIN);
        assert_eq!(ports.want(), Some((ListenId(0), 56)), "a failure to open is not for ever");
    }

    /// What is ordered for the listen. The other one has no media: its order is nobody's.
    fn ordered(ports: &mut Ports) -> u32 {
        core::iter::from_fn(|| ports.want()).filter(|(listen, _)| *listen == LISTEN).map(|(_, count)| count).sum()
    }

    /// Five hundred calls a second of two hundred milliseconds beside a hundred a second of thirty seconds, with `opened` pairs in each
    /// millisecond at most. Gives back the pairs that are open at the end, and how many were in use or resting at the busiest moment.
    fn rush(opened: u32) -> (usize, usize) {
        let mut ports = Ports::new(100_000);
        let (mut open, mut wanted, mut busiest) = (0, SPARE.0 as u32, 0);
        let mut ends: VecDeque<(u64, PairId)> = VecDeque::new();
        let mut long_ends = ends.clone();
        for ms in 0..60_000_u64 {
            let now = Instant::from_micros(1_000 * ms);
            ports.expire(now);
            for ends in [&mut ends, &mut long_ends] {
                while let Some((_, pair)) = ends.pop_front_if(|(end, _)| *end <= ms) {
                    ports.release(now, pair);
                }
            }
            if ms >= 1_000 && ms % 2 == 0 {
                ends.push_back((ms + 200, ports.take(LISTEN).expect("a pair for each call").0));
            }
            if ms >= 1_000 && ms % 10 == 0 {
                long_ends.push_back((ms + 30_000, ports.take(LISTEN).expect("a pair for each call").0));
            }
            busiest = busiest.max(ports.used());
            for _ in 0..opened.min(wanted) {
                ports.stock(now, LISTEN, &[(PairId(open), SocketAddr::from(([127, 0, 0, 1], 20_000)))]);
                (open, wanted) = (open + 1, wanted - 1);
                wanted = wanted.max(ordered(&mut ports));
            }
            wanted = wanted.max(ordered(&mut ports));
        }
        (open as usize, busiest)
    }

    #[test]
    fn no_more_pairs_are_open_than_were_in_use_and_resting_at_once_and_the_spare_ones() {
        for opened in [1, 4, 1_000] {
            let (open, busiest) = rush(opened);
            assert_eq!(
                busiest, 4_900,
                "3,000 long calls and 100 brief ones, and those of the last three seconds at rest"
            );
            assert!(open <= busiest + 3_100 / 8, "an eighth of those in use is spare, and no more: {open}");
        }
    }

    #[test]
    fn a_released_pair_rests_unless_nothing_else_is_left() {
        let mut ports = Ports::new(1_000);
        let now = Instant::from_micros(1);
        ports.stock(now, LISTEN, &pairs(0, 2));
        let (first, _) = ports.take(LISTEN).unwrap();
        ports.release(now, first);
        assert_eq!((ports.ready(), ports.used()), (1, 1));
        let (second, _) = ports.take(LISTEN).unwrap();
        assert_ne!(second, first);
        assert!(ports.has(LISTEN) && !ports.has(ListenId(7)));
        assert_eq!(ports.take(LISTEN).map(|(pair, _)| pair), Some(first), "better than no call");
        assert_eq!((ports.take(LISTEN), ports.has(LISTEN)), (None, false));
        ports.release(now, first);
        assert!(ports.has(LISTEN));
        ports.expire(now + QUARANTINE);
        assert_eq!((ports.ready(), ports.used(), ports.deadline()), (1, 1, None));
        assert_eq!(ports.take(LISTEN).map(|(pair, _)| pair), Some(first));
        ports.put_back(first);
        assert_eq!((ports.ready(), ports.used(), ports.deadline()), (1, 1, None), "nobody has seen it");
    }
}
