//! A set of networks, asked by address: one look for each length of prefix in it.

use act::Cidr;
use core::net::IpAddr;
use std::collections::BTreeSet;

/// Networks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Ranges {
    by_length: Vec<(u8, BTreeSet<IpAddr>)>,
}

impl Ranges {
    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_length.is_empty()
    }

    /// Whether an address is in one of them.
    pub(crate) fn contains(&self, addr: IpAddr) -> bool {
        self.by_length.iter().any(|(bits, first)| first.contains(&act::masked(addr, *bits)))
    }
}

impl FromIterator<Cidr> for Ranges {
    fn from_iter<T: IntoIterator<Item = Cidr>>(all: T) -> Self {
        let mut ranges = Self::default();
        for Cidr { addr, bits } in all {
            let first = act::masked(addr, bits);
            match ranges.by_length.iter_mut().find(|(known, _)| *known == bits) {
                Some((_, known)) => {
                    known.insert(first);
                }
                None => ranges.by_length.push((bits, BTreeSet::from([first]))),
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn it_says_what_asking_each_would(
            nets in proptest::collection::vec((0u32..16, 0u8..=32, proptest::bool::ANY), 0..6),
            hosts in proptest::collection::vec((0u32..16, proptest::bool::ANY), 32),
        ) {
            let addr = |host: u32, v6: bool| {
                if v6 { IpAddr::V6((u128::from(host) << 96).into()) } else { IpAddr::V4((host << 28).into()) }
            };
            let nets: Vec<Cidr> = nets.into_iter().map(|(host, bits, v6)| Cidr { addr: addr(host, v6), bits }).collect();
            let ranges: Ranges = nets.iter().copied().collect();
            for (host, v6) in hosts {
                let host = addr(host, v6);
                prop_assert_eq!(ranges.contains(host), nets.iter().any(|net| net.contains(host)));
            }
        }
    }
}
