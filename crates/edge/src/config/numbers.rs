//! Numbers of a trunk's targets: an address keeps its number for as long as it is in the list, wherever it stands there.
//!
//! Health, evidence and pace are held by number, so they follow the address and never pass to another one. Attempts and calls may still
//! name a number whose address is gone: it is given away again only when all others have had their turn. Refuses to know: trunks, order.

use super::value::SipAddress;

/// The numbers of one trunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetNumbers {
    known: Vec<(SipAddress, u8)>,
    /// Where the search for a free one begins.
    next: u8,
}

impl TargetNumbers {
    /// Follows a new list of addresses, each of them named once and far fewer than there are numbers.
    pub(super) fn follow(&mut self, addrs: impl Iterator<Item = SipAddress> + Clone) {
        self.known.retain(|(addr, _)| addrs.clone().any(|new| new == *addr));
        for addr in addrs {
            if self.of(addr).is_none()
                && let Some(free) = self.free()
            {
                self.known.push((addr, free));
                self.next = free.wrapping_add(1);
            }
        }
    }

    /// The same, and their numbers in the order of the list.
    pub(super) fn numbered(&mut self, addrs: impl Iterator<Item = SipAddress> + Clone) -> Vec<u8> {
        self.follow(addrs.clone());
        addrs.filter_map(|addr| self.of(addr)).collect()
    }

    /// The number of an address in the list.
    pub(super) fn of(&self, addr: SipAddress) -> Option<u8> {
        self.known.iter().find(|(known, _)| *known == addr).map(|(_, number)| *number)
    }

    fn free(&self) -> Option<u8> {
        let mut all = (0..=u8::MAX).map(|step| self.next.wrapping_add(step));
        all.find(|number| self.known.iter().all(|(_, taken)| taken != number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, SocketAddr};
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use sip::Transport;
    use std::collections::BTreeMap;

    fn addr(host: u8) -> SipAddress {
        SipAddress { transport: Transport::Udp, addr: SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), 5060)) }
    }

    #[test]
    fn the_first_list_is_numbered_in_its_order() {
        let mut numbers = TargetNumbers::default();
        numbers.follow([7, 3, 5].into_iter().map(addr));
        assert_eq!([7, 3, 5].map(|host| numbers.of(addr(host))), [Some(0), Some(1), Some(2)]);
        assert_eq!(numbers.of(addr(9)), None);
    }

    /// One host by two transports is two ways, each with a health of its own.
    #[test]
    fn transports_of_a_host_have_their_own_numbers() {
        let mut numbers = TargetNumbers::default();
        let by = |transport| SipAddress { transport, ..addr(7) };
        numbers.follow([by(Transport::Tls), by(Transport::Udp)].into_iter());
        assert_eq!([by(Transport::Tls), by(Transport::Udp)].map(|addr| numbers.of(addr)), [Some(0), Some(1)]);
    }

    proptest! {
        /// Over any row of lists: an address that stays keeps its number, no two have the same, and a number whose address has gone
        /// rests until at least 200 others have been given.
        #[test]
        fn numbers_stay_are_unique_and_rest(
            lists in proptest::collection::vec(proptest::collection::btree_set(0u8..40, 0..=8), 1..200),
        ) {
            let mut numbers = TargetNumbers::default();
            let mut held: BTreeMap<u8, u8> = BTreeMap::new();
            let mut given = 0_u32;
            let mut left: BTreeMap<u8, u32> = BTreeMap::new();
            for list in lists {
                numbers.follow(list.iter().copied().map(addr));
                let now: BTreeMap<u8, u8> =
                    list.iter().map(|host| (*host, numbers.of(addr(*host)).unwrap())).collect();
                let mut unique: Vec<u8> = now.values().copied().collect();
                unique.sort_unstable();
                unique.dedup();
                prop_assert_eq!(unique.len(), now.len());
                for (host, number) in &held {
                    match now.get(host) {
                        Some(same) => prop_assert_eq!(same, number),
                        None => { left.insert(*number, given); }
                    }
                }
                for number in now.iter().filter(|(host, _)| !held.contains_key(host)).map(|(_, number)| number) {
                    given += 1;
                    if let Some(at) = left.remove(number) {
                        prop_assert!(given - at > 200, "number {} rested for {}", number, given - at);
                    }
                }
                held = now;
            }
        }
    }
}
