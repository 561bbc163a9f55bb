//! Media port pairs of a shard: opened ahead of need, taken in order of rest, kept quiet for a while after use.
//!
//! Opening a socket is never on a call's way: when the stock of a listen runs low, more are ordered. A pair that was just released may
//! still receive packets of its last call, so it rests first; when nothing else is left it is used all the same, since the latch refuses
//! strangers anyway. Refuses to know: sockets.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use media::PairId;
use model::{Instant, ListenId, Span};

/// How long a released pair rests.
const QUARANTINE: Span = Span::from_secs(3);
/// Fewer ready than this, and more are ordered.
const LOW: usize = 24;
/// Fewest ordered at once.
const ORDER: u32 = 32;
/// A listen that could have no more is asked again after this: its range may be used up, or the system may have had no socket to spare.
const ASK_AGAIN: Span = Span::from_secs(10);

#[derive(Clone, Debug, Default)]
struct Stock {
    ready: VecDeque<(PairId, SocketAddr)>,
    resting: VecDeque<(Instant, PairId, SocketAddr)>,
    in_use: usize,
    ordered: bool,
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
        stock.ordered = false;
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

    /// A listen that runs low, and how many pairs it wants. Asked once until they come.
    pub fn want(&mut self) -> Option<(ListenId, u32)> {
        let (index, stock) = self.stocks.iter_mut().enumerate().find(|(_, stock)| {
            !stock.ordered && stock.ask_again.is_none() && stock.ready.len() < LOW.max(stock.in_use / 4)
        })?;
        stock.ordered = true;
        // In step with use, so that a rush is met by few orders.
        let count = ORDER.max((stock.in_use / 2) as u32).min(512);
        Some((ListenId(index as u16), count))
    }

    /// Pairs ready.
    pub fn ready(&self) -> usize {
        self.stocks.iter().map(|stock| stock.ready.len()).sum()
    }

    /// Pairs in use or resting.
    pub fn used(&self) -> usize {
        self.stocks.iter().map(|stock| stock.in_use + stock.resting.len()).sum()
    }

    fn of(&mut self, listen: ListenId) -> &mut Stock {
        if self.stocks.len() <= listen.index() {
            self.stocks.resize_with(listen.index() + 1, Stock::default);
        }
        &mut self.stocks[listen.index()]
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
    fn a_low_stock_orders_once_and_after_an_empty_answer_not_for_a_while() {
        let mut ports = Ports::new(1_000);
        let now = Instant::from_micros(1);
        ports.stock(now, LISTEN, &pairs(0, 4));
        assert_eq!(ports.want(), Some((ListenId(0), 32)), "a listen that has none");
        assert_eq!(ports.want(), Some((LISTEN, 32)), "and one that has few");
        assert_eq!(ports.want(), None);
        ports.stock(now, LISTEN, &[]);
        ports.stock(now, ListenId(0), &[]);
        assert_eq!(ports.want(), None);
        ports.expire(now + ASK_AGAIN.percent(99));
        assert_eq!(ports.want(), None);
        ports.expire(now + ASK_AGAIN);
        assert_eq!(ports.want(), Some((ListenId(0), 32)), "a failure to open is not for ever");
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
