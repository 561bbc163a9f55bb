//! The way of a call to its target, and of a dialog's requests: to its Contact or route set, by the connection its peer opened, or by the
//! flow a phone has registered by; and what becomes of it when a connection dies.
//!
//! Refuses to know: how connections are opened; whoever sends does that when there is none.

use super::attempt::{flow_of, profile_of};
use super::call::Destination;
use super::{B2bua, World};
use crate::profile::Profiles;
use core::net::{IpAddr, SocketAddr};
use model::{Name, Observed, TargetId, TransportFault, TrunkId};
use sip::{Dialog, Flow};

/// Where a request inside a dialog goes: the route set's or target's address; but when that is a private one and the peer is not, the
/// peer wrote it from behind NAT, and its own address is the way.
pub(crate) fn reach(dialog: &Dialog, flow: Flow) -> Flow {
    toward(dialog.next_hop(flow.transport), flow)
}

/// Where what went by this flow goes when its connection is dead: to where it says it goes; when that is where it came from by the
/// connection, or cannot be reached, to the target of the trunk that it came from.
pub fn way_anew(profiles: &Profiles, flow: Flow, hop: Option<SocketAddr>) -> Flow {
    let way = toward(hop, flow);
    if way != flow {
        return way;
    }
    let home = profiles.admit(flow.socket, flow.peer).and_then(|trunk| home_of(profiles, trunk, flow));
    home.unwrap_or(flow)
}

/// A target of a trunk that is reached by the socket of this flow: the one that the flow leads to, or else the first on that host, or else
/// the first.
fn home_of(profiles: &Profiles, trunk: TrunkId, flow: Flow) -> Option<Flow> {
    let targets = || profiles.trunk(trunk).into_iter().flat_map(|trunk| &trunk.targets);
    let here = || targets().filter(|target| target.socket == flow.socket);
    let exact = here().find(|target| target.addr == flow.peer);
    let home = exact.or_else(|| here().find(|target| target.addr.ip() == flow.peer.ip())).or_else(|| here().next())?;
    Some(Flow { peer: home.addr, ..flow })
}

/// A target by its own address, and by the way that its registrar wants (RFC 3608 §6.1): the address is the proxy before that way.
pub(super) fn destination_of(world: &World<'_>, target: TargetId) -> Option<Destination> {
    let (_, at) = profile_of(world, target)?;
    let routes = world.service_routes.of(target).iter().map(|value| value.to_vec()).collect();
    Some(Destination { routes, ..Destination::by(flow_of(at)) })
}

fn toward(hop: Option<SocketAddr>, flow: Flow) -> Flow {
    match hop {
        Some(hop) if hop.is_ipv4() == flow.peer.is_ipv4() && !is_behind_nat(hop.ip(), flow.peer.ip()) => {
            Flow { peer: hop, ..flow }
        }
        _ => flow,
    }
}

fn is_behind_nat(written: IpAddr, seen: IpAddr) -> bool {
    is_private(written) && !is_private(seen)
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unspecified(),
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
                    && let Some(home) = home_of(world.profiles, leg.trunk, flow)
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
