//! Who a request comes from: its source address names the trunk, or nobody.
//!
//! A trunk's own targets speak for it, and whoever `accept` lists. What the request says about itself is not asked. Refuses to know:
//! what the caller wants.

use crate::profile::Profiles;
use core::net::{IpAddr, SocketAddr};
use model::{SocketId, TrunkId};

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

impl Profiles {
    /// The trunk a request comes from: the one with this very address as target, else one with this host, else one that accepts it
    /// most narrowly. Only trunks of the listen it came in by are asked.
    pub fn admit(&self, socket: SocketId, peer: SocketAddr) -> Option<TrunkId> {
        let mut best: Option<(u32, TrunkId)> = None;
        for (index, trunk) in self.trunks.iter().enumerate() {
            let Some(trunk) = trunk else { continue };
            if !self.listen(trunk.listen).is_some_and(|listen| listen.sockets.contains(&socket)) {
                continue;
            }
            let exact = trunk.targets.iter().any(|target| target.addr == peer).then_some(1_000);
            let host = || trunk.targets.iter().any(|target| target.addr.ip() == peer.ip()).then_some(900);
            let range = || {
                trunk
                    .accept
                    .iter()
                    .filter(|range| range.contains(peer.ip()))
                    .map(|range| u32::from(range.bits) + 1)
                    .max()
            };
            if let Some(rank) = exact.or_else(host).or_else(range)
                && best.is_none_or(|(before, _)| rank > before)
            {
                best = Some((rank, TrunkId(index as u16)));
            }
        }
        best.map(|(_, trunk)| trunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ListenProfile, Target, TrunkProfile};
    use model::{ListenId, Name, Span};
    use sip::{TimerSet, Transport};
    use std::vec;
    use std::vec::Vec;

    fn trunk(name: &str, target: &str, accept: &[(&str, u8)]) -> Option<TrunkProfile> {
        let accept: Vec<Cidr> =
            accept.iter().map(|(addr, bits)| Cidr { addr: addr.parse().unwrap(), bits: *bits }).collect();
        Some(TrunkProfile {
            name: Name::from(name),
            targets: vec![Target { addr: target.parse().unwrap(), transport: Transport::Udp, socket: SocketId(0) }],
            listen: ListenId(0),
            timers: TimerSet::default(),
            auth: None,
            accept,
            overload: false,
            session_max: Span::from_secs(1),
        })
    }

    #[test]
    fn the_narrowest_claim_wins_and_strangers_are_nobody() {
        let profiles = Profiles {
            emergency: Vec::new(),
            trunks: vec![
                trunk("wide", "192.0.2.1:5060", &[("0.0.0.0", 0)]),
                None,
                trunk("narrow", "192.0.2.2:5060", &[("203.0.113.0", 24)]),
                trunk("same-host", "192.0.2.2:5080", &[]),
            ],
            listens: vec![ListenProfile { name: Name::from("l"), sockets: vec![SocketId(0)], media: None }],
        };
        let admit = |peer: &str| profiles.admit(SocketId(0), peer.parse().unwrap()).map(|trunk| trunk.0);
        assert_eq!(admit("192.0.2.1:9999"), Some(0));
        assert_eq!(admit("203.0.113.7:5060"), Some(2));
        assert_eq!(admit("192.0.2.2:5080"), Some(3));
        assert_eq!(admit("8.8.8.8:5060"), Some(0));
        assert_eq!(admit("[2001:db8::1]:5060"), None, "0.0.0.0/0 is no IPv6");
        assert_eq!(profiles.admit(SocketId(1), "192.0.2.1:5060".parse().unwrap()), None, "another listen");
    }
}
