//! The way of a dialog's requests: to its Contact or route set, by the connection its peer opened, or by the flow a phone has registered by;
//! and what becomes of it when a connection dies.
//!
//! Refuses to know: how connections are opened; whoever sends does that when there is none.

use super::{B2bua, World};
use model::{Name, Observed, TargetId, TransportFault, TrunkId};
use sip::{Dialog, Flow};

/// Where a request inside a dialog goes: the route set's or target's address; but when that is a private one and the peer is not, the
/// peer wrote it from behind NAT, and its own address is the way.
pub(crate) fn reach(dialog: &Dialog, flow: Flow) -> Flow {
    match dialog.next_hop(flow.transport) {
        Some(hop) if hop.is_ipv4() == flow.peer.is_ipv4() && !is_behind_nat(hop.ip(), flow.peer.ip()) => {
            Flow { peer: hop, ..flow }
        }
        _ => flow,
    }
}

fn is_behind_nat(written: core::net::IpAddr, seen: core::net::IpAddr) -> bool {
    is_private(written) && !is_private(seen)
}

fn is_private(ip: core::net::IpAddr) -> bool {
    match ip {
        core::net::IpAddr::V4(ip) => ip.is_private() || ip.is_unspecified(),
        core::net::IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unspecified(),
    }
}

/// What leads to the peer of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Its Contact or route set, as they stand.
    Address,
    /// The connection by which it called, while that lives, whatever its Contact says (RFC 5923 §1): behind NAT there is no other way.
    Connection,
    /// The flow by which this user's phone has registered, and nothing else (RFC 5626 §5.3).
    Binding(Name),
}

impl By {
    /// What leads to a caller: a phone, or whoever has called by this flow.
    pub(super) fn of(user: Option<Name>, flow: Flow) -> Self {
        match user {
            Some(user) => Self::Binding(user),
            None if flow.transport.is_reliable() => Self::Connection,
            None => Self::Address,
        }
    }

    /// Whose phone is led to.
    pub(super) const fn user(&self) -> Option<&Name> {
        match self {
            Self::Binding(user) => Some(user),
            Self::Address | Self::Connection => None,
        }
    }

    /// Where a request inside a dialog goes.
    pub(super) fn way(&self, dialog: &Dialog, flow: Flow) -> Flow {
        if *self == Self::Address { reach(dialog, flow) } else { flow }
    }
}

impl World<'_> {
    /// What leads to whoever is reached at a target: a phone of this user, or a trunk.
    pub(super) fn way_of(&self, trunk: Option<TrunkId>, dialog: &Dialog, flow: Flow) -> Flow {
        // Who answers, and is no trunk, is a phone when there are any.
        let is_phone = trunk.map_or(self.phones.is_some(), |trunk| self.is_phones(trunk));
        if is_phone { flow } else { reach(dialog, flow) }
    }

    /// The first target of a trunk that is reached by the socket of this flow.
    fn home_of(&self, trunk: TrunkId, flow: Flow) -> Option<Flow> {
        let targets = &self.profiles.trunk(trunk)?.targets;
        let home = targets.iter().find(|target| target.socket == flow.socket)?;
        Some(Flow { peer: home.addr, ..flow })
    }

    /// Every target that is reached by this flow.
    fn targets_of(&self, flow: Flow) -> impl Iterator<Item = TargetId> + use<'_> {
        let trunks =
            (0_u16..).zip(&self.profiles.trunks).filter_map(|(id, trunk)| Some((TrunkId(id), trunk.as_ref()?)));
        trunks.flat_map(move |(trunk, profile)| {
            let here = move |target: &&crate::Target| (target.socket, target.addr) == (flow.socket, flow.peer);
            profile.targets.iter().filter(here).map(move |target| TargetId { trunk, index: target.index })
        })
    }
}

impl B2bua {
    /// A connection is dead. The dialogs that lived on it go on by a new one: to where the peer's Contact says, or else to its trunk.
    /// That a connection was closed says nothing of a trunk, for many close what is idle; a peer that has fallen silent on it does.
    pub fn broken(&mut self, world: &mut World<'_>, flow: Flow, fault: TransportFault) {
        for (_, call) in &mut self.calls {
            for leg in core::iter::once(&mut call.caller).chain(call.callee.as_mut()) {
                if leg.by != By::Connection || leg.flow != flow {
                    continue;
                }
                leg.by = By::Address;
                self.counters.moved += 1;
                if leg.way() == flow
                    && let Some(home) = world.home_of(leg.trunk, flow)
                {
                    leg.flow = home;
                }
            }
        }
        if matches!(fault, TransportFault::TimedOut | TransportFault::NotRead) {
            let silent: alloc::vec::Vec<TargetId> = world.targets_of(flow).collect();
            for target in silent {
                world.signal(target, Observed::Transport { fault });
            }
        }
    }
}
