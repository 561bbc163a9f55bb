//! Where phones are: by which flows, and how many of them behind each address.
//!
//! Whoever guards the door asks here. A flow that somebody has registered by is no stranger's, and an address that phones are behind is
//! no unknown one, also for an hour after the last of them has gone: after a power cut they come back by other ports. An address is one of
//! IPv4, or a network of 64 bits of IPv6, which is what one subscriber has. As large as the bindings are many, and so many memories more.
//! Of a connection it is also known whose it is: with it end all bindings by it, of which a proxy's has many. It stays a phone's until it ends,
//! also when nobody is bound by it any more. Refuses to know: what follows from it.

use crate::admission::masked;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use model::{Instant, Name, Span};
use sip::Flow;

/// How long an address is remembered that no phone is behind any more: the longest usual expiry.
const MEMORY: Span = Span::from_secs(3_600);
/// So many of these at most; the first to be forgotten goes.
const REMEMBERED: usize = 65_536;

/// Flows of bindings, and the addresses they come from.
#[derive(Debug)]
pub(super) struct Flows {
    flows: HashMap<Flow, u32, FixedState>,
    /// Users by connection, each with the number of his bindings by it.
    connections: HashMap<Flow, BTreeMap<Name, u32>, FixedState>,
    /// Connections that somebody was bound by, and nobody is, and that have not ended.
    parted: HashSet<Flow, FixedState>,
    homes: HashMap<IpAddr, Home, FixedState>,
    /// Addresses that were left, with the moment when they may be forgotten.
    left: VecDeque<(Instant, IpAddr)>,
}

#[derive(Clone, Copy, Debug)]
struct Home {
    /// Bindings from there now.
    phones: u32,
    /// Most of them that there were since it was new.
    most: u32,
    /// When the last of them went.
    empty: Instant,
    /// It stands among those that were left.
    listed: bool,
}

impl Flows {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            flows: HashMap::with_hasher(FixedState::with_seed(seed)),
            connections: HashMap::with_hasher(FixedState::with_seed(seed ^ 2)),
            parted: HashSet::with_hasher(FixedState::with_seed(seed ^ 3)),
            homes: HashMap::with_hasher(FixedState::with_seed(seed ^ 1)),
            left: VecDeque::new(),
        }
    }

    /// Somebody is reached by a flow.
    pub(super) fn add(&mut self, now: Instant, flow: Flow, user: &Name) {
        *self.flows.entry(flow).or_insert(0) += 1;
        if flow.transport.is_reliable() {
            self.parted.remove(&flow);
            *self.connections.entry(flow).or_default().entry(user.clone()).or_insert(0) += 1;
        }
        let fresh = Home { phones: 0, most: 0, empty: now, listed: false };
        let home = self.homes.entry(home_of(flow.peer.ip())).or_insert(fresh);
        home.phones += 1;
        home.most = home.most.max(home.phones);
    }

    /// And is not any more.
    pub(super) fn remove(&mut self, now: Instant, flow: Flow, user: &Name) {
        self.leave_connection(flow, user);
        let Some(bindings) = self.flows.get_mut(&flow) else { return };
        *bindings -= 1;
        if *bindings == 0 {
            self.flows.remove(&flow);
        }
        let addr = home_of(flow.peer.ip());
        let Some(home) = self.homes.get_mut(&addr) else { return };
        home.phones = home.phones.saturating_sub(1);
        if home.phones == 0 {
            home.empty = now;
            if !core::mem::replace(&mut home.listed, true) {
                self.left.push_back((now + MEMORY, addr));
            }
        }
        if self.left.len() > REMEMBERED
            && let Some((_, oldest)) = self.left.pop_front()
        {
            self.drop_home(oldest);
        }
    }

    fn leave_connection(&mut self, flow: Flow, user: &Name) {
        let Some(users) = self.connections.get_mut(&flow) else { return };
        if let Some(bindings) = users.get_mut(user) {
            *bindings -= 1;
            if *bindings == 0 {
                users.remove(user);
            }
        }
        if users.is_empty() {
            self.connections.remove(&flow);
            if self.parted.len() < REMEMBERED {
                self.parted.insert(flow);
            }
        }
    }

    /// A connection has ended: whoever comes by the same addresses again is somebody else.
    pub(super) fn ended(&mut self, flow: Flow) {
        self.parted.remove(&flow);
    }

    /// Who is reached by a connection.
    pub(super) fn users_of(&self, flow: Flow) -> Vec<Name> {
        self.connections.get(&flow).into_iter().flat_map(|users| users.keys().cloned()).collect()
    }

    /// Forgets the addresses that were left long ago.
    pub(super) fn forget(&mut self, now: Instant) {
        while let Some((_, addr)) = self.left.pop_front_if(|(due, _)| *due <= now) {
            match self.homes.get_mut(&addr) {
                // Left, come back to, and left again.
                Some(home) if home.phones == 0 && home.empty + MEMORY > now => {
                    let due = home.empty + MEMORY;
                    self.left.push_back((due, addr));
                }
                _ => self.drop_home(addr),
            }
        }
    }

    fn drop_home(&mut self, addr: IpAddr) {
        match self.homes.get_mut(&addr) {
            Some(home) if home.phones > 0 => home.listed = false,
            _ => {
                self.homes.remove(&addr);
            }
        }
    }

    /// Whether somebody is reached by it.
    pub(super) fn holds(&self, flow: Flow) -> bool {
        self.flows.contains_key(&flow)
    }

    /// Whether somebody is reached by it, or was by this connection, which has not ended.
    pub(super) fn has_held(&self, flow: Flow) -> bool {
        self.holds(flow) || self.parted.contains(&flow)
    }

    /// Phones that are behind an address, or were when it was last in use.
    pub(super) fn behind(&self, addr: IpAddr) -> u32 {
        self.homes.get(&home_of(addr)).map_or(0, |home| home.most)
    }
}

fn home_of(addr: IpAddr) -> IpAddr {
    if addr.is_ipv6() { masked(addr, 64) } else { addr }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SocketId;
    use sip::Transport;

    fn flow(host: u32, port: u16) -> Flow {
        let peer = core::net::SocketAddr::from((core::net::Ipv4Addr::from_bits(host), port));
        Flow { socket: SocketId(0), peer, transport: Transport::Udp }
    }

    fn user() -> Name {
        Name::from("201")
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn a_flow_of_two_bindings_is_known_until_both_have_gone() {
        let mut flows = Flows::new(1);
        flows.add(at(0), flow(1, 5_060), &user());
        flows.add(at(0), flow(1, 5_060), &user());
        flows.remove(at(1), flow(1, 5_060), &user());
        assert!(flows.holds(flow(1, 5_060)) && !flows.holds(flow(1, 5_061)) && !flows.holds(flow(2, 5_060)));
        flows.remove(at(2), flow(1, 5_060), &user());
        assert!(!flows.holds(flow(1, 5_060)) && flows.flows.is_empty());
        flows.remove(at(2), flow(1, 5_060), &user());
        assert_eq!(flows.behind(flow(1, 0).peer.ip()), 2, "whence phones came is not forgotten at once");
    }

    #[test]
    fn a_connection_is_a_phones_until_it_ends() {
        let mut flows = Flows::new(1);
        let tcp = |port| Flow { transport: Transport::Tcp, ..flow(1, port) };
        flows.add(at(0), tcp(1), &user());
        flows.remove(at(1), tcp(1), &user());
        assert!(flows.has_held(tcp(1)) && !flows.holds(tcp(1)) && !flows.has_held(tcp(2)));
        // Registered anew by it, then by another, and only then over.
        flows.add(at(2), tcp(1), &user());
        assert!(flows.has_held(tcp(1)) && flows.parted.is_empty());
        flows.remove(at(3), tcp(1), &user());
        flows.ended(tcp(1));
        assert!(!flows.has_held(tcp(1)) && flows.parted.is_empty());
        flows.add(at(4), flow(1, 1), &user());
        flows.remove(at(5), flow(1, 1), &user());
        assert!(!flows.has_held(flow(1, 1)), "UDP has no end, so nothing would forget it");
    }

    #[test]
    fn an_address_is_remembered_for_an_hour_after_its_last_phone() {
        let mut flows = Flows::new(1);
        let ip = flow(1, 0).peer.ip();
        flows.add(at(0), flow(1, 1), &user());
        flows.remove(at(10), flow(1, 1), &user());
        flows.add(at(1_000), flow(1, 2), &user());
        flows.remove(at(2_000), flow(1, 2), &user());
        for (now, behind) in [(3_610, 1), (5_599, 1), (5_600, 0)] {
            flows.forget(at(now));
            assert_eq!(flows.behind(ip), behind, "{now}");
        }
        assert!(flows.homes.is_empty() && flows.left.is_empty());
        flows.add(at(0), flow(1, 1), &user());
        flows.forget(at(1_000_000));
        assert_eq!(flows.behind(ip), 1, "one that phones are behind is never forgotten");
    }

    #[test]
    fn memories_are_so_many_and_no_more() {
        let mut flows = Flows::new(1);
        for host in 0..2 * REMEMBERED as u32 {
            let tcp = Flow { transport: Transport::Tcp, ..flow(host, 1) };
            flows.add(at(0), tcp, &user());
            flows.remove(at(1), tcp, &user());
        }
        assert_eq!((flows.homes.len(), flows.left.len(), flows.flows.len()), (REMEMBERED, REMEMBERED, 0));
        assert_eq!((flows.parted.len(), flows.connections.len()), (REMEMBERED, 0));
        assert_eq!(flows.behind(flow(0, 1).peer.ip()), 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let mut flows = Flows::new(1);
        let peer = "[2001:db8:1:2::9]:5060".parse().unwrap();
        flows.add(at(0), Flow { peer, ..flow(0, 0) }, &user());
        assert_eq!(flows.behind("2001:db8:1:2:ffff::1".parse().unwrap()), 1);
        assert_eq!(flows.behind("2001:db8:1:3::1".parse().unwrap()), 0);
    }
}
