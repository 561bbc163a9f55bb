//! Which media port pair to open next: each shard has its own part of every range.
//!
//! The ranges of a configuration are dealt out pair by pair, so that RTP never changes shard. Pairs are opened a few in a
//! turn of the loop, ahead of need: a call never waits for a bind. Refuses to know: sockets, calls.

use edge::config::Listen;
use model::{ListenId, ShardId};
use std::net::IpAddr;

/// A pair of ports to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// For which listen.
    pub(crate) listen: ListenId,
    /// Address to bind.
    pub(crate) bind: IpAddr,
    /// Address the far side sees.
    pub(crate) advertised: IpAddr,
    /// The RTP port; RTCP is the next one.
    pub(crate) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    listen: ListenId,
    bind: IpAddr,
    advertised: IpAddr,
    /// First even port and number of pairs in the whole range.
    first: u16,
    pairs: u32,
    /// The next pair of this shard, and how many are wanted.
    next: u32,
    wanted: u32,
}

/// Ranges of one shard, and how far each has been used.
#[derive(Debug)]
pub(crate) struct Stock {
    shard: ShardId,
    shards: u32,
    ranges: Vec<Range>,
    exhausted: u64,
}

impl Stock {
    /// No ranges yet; this shard is one of `shards`.
    pub(crate) fn new(shard: ShardId, shards: u8) -> Self {
        Self { shard, shards: u32::from(shards.max(1)), ranges: Vec::new(), exhausted: 0 }
    }

    /// Takes the ranges of a configuration. One that is as before goes on where it was; of a new one, `first_stock` pairs
    /// are wanted at once.
    pub(crate) fn configure(&mut self, listens: &[Listen], first_stock: u32) {
        let mut ranges = Vec::new();
        for (index, listen) in listens.iter().enumerate() {
            let Some(media) = &listen.media else { continue };
            let first = media.first.saturating_add(media.first % 2);
            let fresh = Range {
                listen: ListenId(index as u16),
                bind: media.bind,
                advertised: media.advertised,
                first,
                pairs: (u32::from(media.last) + 1).saturating_sub(u32::from(first)) / 2,
                next: u32::from(self.shard.0),
                wanted: first_stock,
            };
            let before = self.ranges.iter().find(|old| old.same_ports(&fresh));
            ranges.push(before.map_or(fresh, |old| Range { next: old.next, wanted: old.wanted, ..fresh }));
        }
        self.ranges = ranges;
    }

    /// So many are to come for this listen, with those that were wanted before.
    pub(crate) fn want(&mut self, listen: ListenId, count: u32) {
        if let Some(range) = self.ranges.iter_mut().find(|range| range.listen == listen) {
            range.wanted = range.wanted.max(count);
        }
    }

    /// The next pair to open, if any is wanted and left.
    pub(crate) fn next(&mut self) -> Option<Wish> {
        let range = self.ranges.iter_mut().find(|range| range.wanted > 0 && range.next < range.pairs)?;
        let port = range.first + (range.next * 2) as u16;
        range.next += self.shards;
        Some(Wish { listen: range.listen, bind: range.bind, advertised: range.advertised, port })
    }

    /// A listen that wants more than its range has left; told once for each time more was wanted.
    pub(crate) fn used_up(&mut self) -> Option<ListenId> {
        let range = self.ranges.iter_mut().find(|range| range.wanted > 0 && range.next >= range.pairs)?;
        range.wanted = 0;
        self.exhausted += 1;
        Some(range.listen)
    }

    /// A pair was opened for this listen.
    pub(crate) fn opened(&mut self, listen: ListenId) {
        if let Some(range) = self.ranges.iter_mut().find(|range| range.listen == listen) {
            range.wanted = range.wanted.saturating_sub(1);
        }
    }

    /// No more can be opened for this listen now: forget what it wants until it asks again, which it does after a while.
    pub(crate) fn give_up(&mut self, listen: ListenId) {
        if let Some(range) = self.ranges.iter_mut().find(|range| range.listen == listen) {
            range.wanted = 0;
        }
    }

    /// Something is wanted.
    pub(crate) fn wants(&self) -> bool {
        self.ranges.iter().any(|range| range.wanted > 0)
    }

    /// Times a range had no pair left.
    pub(crate) fn exhausted(&self) -> u64 {
        self.exhausted
    }
}

impl Range {
    fn same_ports(&self, other: &Self) -> bool {
        (self.bind, self.first, self.pairs) == (other.bind, other.first, other.pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge::config::MediaRange;
    use model::Name;
    use proptest::prelude::*;

    fn listen(first: u16, last: u16) -> Listen {
        let ip = IpAddr::from([127, 0, 0, 84]);
        Listen { name: Name::from("lan"), media: Some(MediaRange { bind: ip, advertised: ip, first, last }) }
    }

    fn all(stock: &mut Stock) -> Vec<u16> {
        stock.want(ListenId(0), u32::MAX);
        std::iter::from_fn(|| stock.next()).map(|wish| wish.port).collect()
    }

    proptest! {
        #[test]
        fn shards_share_a_range_without_overlap_and_without_rest(first in 1_024u16.., length in 0u16..300, shards in 1u8..9) {
            let last = first.saturating_add(length);
            let mut ports: Vec<u16> = Vec::new();
            for shard in 0..shards {
                let mut stock = Stock::new(ShardId(shard), shards);
                stock.configure(&[listen(first, last)], 0);
                ports.extend(all(&mut stock));
                prop_assert_eq!(stock.used_up(), Some(ListenId(0)));
                prop_assert_eq!(stock.used_up(), None);
            }
            ports.sort_unstable();
            let even = (u32::from(first)..u32::from(last)).filter(|port| port % 2 == 0);
            prop_assert_eq!(ports.into_iter().map(u32::from).collect::<Vec<_>>(), even.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_reload_goes_on_where_the_range_was_and_begins_a_new_one() {
        let mut stock = Stock::new(ShardId(0), 1);
        stock.configure(&[listen(20_000, 20_009)], 2);
        let wish = stock.next().expect("a pair");
        stock.opened(wish.listen);
        stock.configure(&[listen(20_000, 20_009)], 2);
        assert_eq!(stock.next().map(|wish| wish.port), Some(20_002), "one of the two is still wanted");
        stock.opened(ListenId(0));
        assert!(!stock.wants());
        stock.configure(&[listen(30_000, 30_009)], 1);
        assert_eq!(stock.next().map(|wish| wish.port), Some(30_000));
        stock.give_up(ListenId(0));
        assert_eq!((stock.next(), stock.used_up()), (None, None));
    }
}
