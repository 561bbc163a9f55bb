//! Who a request comes from: its source address names the trunk, or nobody.
//!
//! A trunk's own targets speak for it, and whoever `accept` lists. What the request says about itself is not asked. Refuses to know:
//! what the caller wants.

use crate::profile::{ListenProfile, Profiles, TrunkProfile};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{ListenId, SocketId, TrunkId};

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// Any address in it.
    pub addr: IpAddr,
    /// How many leading bits count.
    pub bits: u8,
}

impl Cidr {
    /// Whether an address is in it. IPv4 and IPv6 never contain each other.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.addr, addr) {
            (IpAddr::V4(net), IpAddr::V4(addr)) => {
                let shift = 32u32.saturating_sub(u32::from(self.bits));
                shift >= 32 || net.to_bits() >> shift == addr.to_bits() >> shift
            }
            (IpAddr::V6(net), IpAddr::V6(addr)) => {
                let shift = 128u32.saturating_sub(u32::from(self.bits));
                shift >= 128 || net.to_bits() >> shift == addr.to_bits() >> shift
            }
            _ => false,
        }
    }
}

/// Every address that speaks for a trunk, by address: a datagram from a known trunk costs one look, however many trunks there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// The listen of each socket.
    listens: Vec<Option<ListenId>>,
    exact: HashMap<(ListenId, SocketAddr), TrunkId, FixedState>,
    hosts: ByHost,
    /// Ranges by their length, the narrowest first; each by its first address.
    ranges: Vec<(u8, ByHost)>,
}

type ByHost = HashMap<(ListenId, IpAddr), TrunkId, FixedState>;

impl Index {
    /// Of equal claims the first trunk's holds.
    pub(crate) fn new(trunks: &[Option<TrunkProfile>], listens: &[ListenProfile]) -> Self {
        let mut index = Self::default();
        for (id, listen) in (0_u16..).zip(listens) {
            for socket in &listen.sockets {
                if index.listens.len() <= socket.index() {
                    index.listens.resize(socket.index() + 1, None);
                }
                index.listens[socket.index()].get_or_insert(ListenId(id));
            }
        }
        for (id, trunk) in (0_u16..).zip(trunks) {
            let Some(trunk) = trunk else { continue };
            for target in &trunk.targets {
                index.exact.entry((trunk.listen, target.addr)).or_insert(TrunkId(id));
                index.hosts.entry((trunk.listen, target.addr.ip())).or_insert(TrunkId(id));
            }
            for range in &trunk.accept {
                let known = index.ranges.iter().position(|(bits, _)| *bits == range.bits);
                let place = known.unwrap_or_else(|| {
                    index.ranges.push((range.bits, HashMap::default()));
                    index.ranges.len() - 1
                });
                let first = masked(range.addr, range.bits);
                index.ranges[place].1.entry((trunk.listen, first)).or_insert(TrunkId(id));
            }
        }
        index.ranges.sort_by_key(|(bits, _)| core::cmp::Reverse(*bits));
        index
    }

    fn listen_of(&self, socket: SocketId) -> Option<ListenId> {
        self.listens.get(socket.index()).copied().flatten()
    }

    fn admit(&self, socket: SocketId, peer: SocketAddr) -> Option<TrunkId> {
        let listen = self.listen_of(socket)?;
        let host = || self.hosts.get(&(listen, peer.ip()));
        let range = || self.ranges.iter().find_map(|(bits, first)| first.get(&(listen, masked(peer.ip(), *bits))));
        self.exact.get(&(listen, peer)).or_else(host).or_else(range).copied()
    }
}

/// The first address of the range of this length that an address is in.
pub fn masked(addr: IpAddr, bits: u8) -> IpAddr {
    match addr {
        IpAddr::V4(addr) => {
            let free = 32u32.saturating_sub(u32::from(bits));
            IpAddr::V4(addr.to_bits().checked_shr(free).map_or(0, |kept| kept << free).into())
        }
        IpAddr::V6(addr) => {
            let free = 128u32.saturating_sub(u32::from(bits));
            IpAddr::V6(addr.to_bits().checked_shr(free).map_or(0, |kept| kept << free).into())
        }
    }
}

impl Profiles {
    /// The trunk a request comes from: the one with this very address as target, else one with this host, else one that accepts it
    /// most narrowly. Only trunks of the listen it came in by are asked.
    pub fn admit(&self, socket: SocketId, peer: SocketAddr) -> Option<TrunkId> {
        self.index.admit(socket, peer)
    }

    /// Whether an address may speak for this trunk at a socket: a host of its targets, or one it accepts.
    pub fn speaks_for(&self, trunk: TrunkId, socket: SocketId, peer: SocketAddr) -> bool {
        self.trunk(trunk).is_some_and(|profile| {
            self.index.listen_of(socket) == Some(profile.listen)
                && (profile.targets.iter().any(|target| target.addr.ip() == peer.ip())
                    || profile.accept.iter().any(|range| range.contains(peer.ip())))
        })
    }

    /// Whether two addresses are one peer's: a peer of several addresses may answer from another than it was asked at.
    pub fn is_one_peer(&self, socket: SocketId, asked: SocketAddr, came: SocketAddr) -> bool {
        let owner = self.admit(socket, asked);
        asked.ip() == came.ip() || owner.is_some_and(|trunk| self.speaks_for(trunk, socket, came))
    }

    /// Whether both sockets belong to one local side of the edge.
    pub fn is_one_side(&self, a: SocketId, b: SocketId) -> bool {
        a == b || self.index.listen_of(a).is_some_and(|listen| self.index.listen_of(b) == Some(listen))
    }

    /// The local side a socket belongs to.
    pub fn side_of(&self, socket: SocketId) -> Option<ListenId> {
        self.index.listen_of(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ListenProfile, Target, TrunkProfile};
    use model::{Name, Span};
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use sip::{TimerSet, Transport};
    use std::vec;
    use std::vec::Vec;

    fn trunk(name: &str, target: &str, accept: &[(&str, u8)]) -> Option<TrunkProfile> {
        let accept: Vec<Cidr> =
            accept.iter().map(|(addr, bits)| Cidr { addr: addr.parse().unwrap(), bits: *bits }).collect();
        Some(TrunkProfile {
            name: Name::from(name),
            targets: vec![Target {
                index: 0,
                addr: target.parse().unwrap(),
                transport: Transport::Udp,
                socket: SocketId(0),
            }],
            listen: ListenId(0),
            interfaces: Vec::new(),
            timers: TimerSet::default(),
            auth: None,
            accept,
            overload: false,
            large_by_tcp: false,
            dialogs: crate::dialog_policy::DialogPolicy::default(),
            session_max: Span::from_secs(1),
            interworking: crate::interworking::Interworking::NEUTRAL,
            media: media::sdp::MediaPolicy::NEUTRAL,
            inbound: crate::InboundPolicy::default(),
            transfer: crate::profile::Transfer::Act,
            redirect: crate::profile::Redirect::Follow,
            challenge: crate::profile::Challenge::Answer,
        })
    }

    #[test]
    fn the_narrowest_claim_wins_and_strangers_are_nobody() {
        let profiles = Profiles::new(
            vec![
                trunk("wide", "192.0.2.1:5060", &[("0.0.0.0", 0)]),
                None,
                trunk("narrow", "192.0.2.2:5060", &[("203.0.113.0", 24)]),
                trunk("same-host", "192.0.2.2:5080", &[]),
            ],
            vec![ListenProfile { name: Name::from("l"), sockets: vec![SocketId(0)], media: None, media_bind: None }],
            Vec::new(),
        );
        let admit = |peer: &str| profiles.admit(SocketId(0), peer.parse().unwrap()).map(|trunk| trunk.0);
        assert_eq!(admit("192.0.2.1:9999"), Some(0));
        assert_eq!(admit("203.0.113.7:5060"), Some(2));
        assert_eq!(admit("192.0.2.2:5080"), Some(3));
        assert_eq!(admit("8.8.8.8:5060"), Some(0));
        assert_eq!(admit("[2001:db8::1]:5060"), None, "0.0.0.0/0 is no IPv6");
        assert_eq!(profiles.admit(SocketId(1), "192.0.2.1:5060".parse().unwrap()), None, "another listen");
    }

    /// The rule as one would write it down: every trunk is asked.
    fn by_asking_all(profiles: &Profiles, peer: SocketAddr) -> Option<TrunkId> {
        let mut best: Option<(u32, TrunkId)> = None;
        for (index, trunk) in profiles.trunks.iter().enumerate() {
            let Some(trunk) = trunk else { continue };
            let exact = trunk.targets.iter().any(|target| target.addr == peer).then_some(1_000);
            let host = || trunk.targets.iter().any(|target| target.addr.ip() == peer.ip()).then_some(900);
            let ranges = trunk.accept.iter().filter(|range| range.contains(peer.ip()));
            let range = || ranges.map(|range| u32::from(range.bits) + 1).max();
            if let Some(rank) = exact.or_else(host).or_else(range)
                && best.is_none_or(|(before, _)| rank > before)
            {
                best = Some((rank, TrunkId(index as u16)));
            }
        }
        best.map(|(_, trunk)| trunk)
    }

    proptest! {
        #[test]
        fn the_index_says_what_asking_all_would(
            trunks in proptest::collection::vec((0u8..8, 1u16..4, proptest::collection::vec((0u8..8, 0u8..=32), 0..3)), 0..8),
            peers in proptest::collection::vec((0u8..8, 1u16..4), 32),
        ) {
            let of = |host: u8, port: u16| SocketAddr::from(([192, 0, 2 + host % 2, host], port));
            let profile = |(host, port, accept): (u8, u16, Vec<(u8, u8)>)| {
                let mut one = trunk("t", "192.0.2.1:1", &[])?;
                one.targets[0].addr = of(host, port);
                one.accept = accept.into_iter().map(|(host, bits)| Cidr { addr: of(host, 1).ip(), bits }).collect();
                Some(one)
            };
            let listen = ListenProfile { name: Name::from("l"), sockets: vec![SocketId(0)], media: None, media_bind: None };
            let profiles = Profiles::new(trunks.into_iter().map(profile).collect(), vec![listen], Vec::new());
            for (host, port) in peers {
                let peer = of(host, port);
                let found = profiles.admit(SocketId(0), peer);
                prop_assert_eq!(found, by_asking_all(&profiles, peer));
                prop_assert!(found.is_none_or(|trunk| profiles.speaks_for(trunk, SocketId(0), peer)));
            }
        }
    }
}
