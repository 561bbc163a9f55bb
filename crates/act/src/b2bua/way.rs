//! The way of a dialog's requests: to its Contact or route set, or by the connection its peer opened, and what becomes of it when that
//! connection dies.
//!
//! Refuses to know: how connections are opened; whoever sends does that when there is none.

use super::{B2bua, World};
use model::{Observed, TargetId, TransportFault, TrunkId};
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

impl World<'_> {
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
                if !leg.kept || leg.flow != flow {
                    continue;
                }
                leg.kept = false;
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
