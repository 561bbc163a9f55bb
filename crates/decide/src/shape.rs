//! The configuration as `decide` needs it: trunks, groups and routes with their policies, and the load that limits are
//! compared with.
//!
//! One immutable value per configuration, so that a table, a plan and a replay can be made from the same one. Refuses to
//! know: names, addresses, files.

use crate::policy::{AttemptPolicy, GroupPolicy, HealthPolicy, RouteRule};
use alloc::vec::Vec;
use model::{GroupId, Instant, ListenId, TrunkId};
use serde::{Deserialize, Serialize};

/// Trunks, groups and routes.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shape {
    /// By `TrunkId`; a removed trunk leaves a hole.
    pub trunks: Vec<Option<TrunkShape>>,
    /// By `GroupId`.
    pub groups: Vec<GroupPolicy>,
    /// By `RouteId`; first match wins.
    pub routes: Vec<RouteRule>,
}

/// One trunk.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrunkShape {
    /// How many targets it has.
    pub targets: u8,
    /// When its health changes.
    pub health: HealthPolicy,
    /// How one attempt to it goes.
    pub attempt: AttemptPolicy,
    /// How much it may carry.
    pub limits: CallLimits,
    /// The local side it is reached from. Trunks of one side share its uplink, and can tell for each other whether it works.
    pub side: ListenId,
}

/// How much a trunk may carry. `None` is no limit. Each shard holds its own share of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallLimits {
    /// Calls at once.
    pub calls: Option<u32>,
    /// Calls offered per second.
    pub cps: Option<u32>,
}

impl Shape {
    /// A trunk, if there is one by this id.
    pub fn trunk(&self, id: TrunkId) -> Option<&TrunkShape> {
        self.trunks.get(id.index()).and_then(Option::as_ref)
    }

    /// A group, if there is one by this id.
    pub fn group(&self, id: GroupId) -> Option<&GroupPolicy> {
        self.groups.get(id.index())
    }

    /// The groups a trunk is a member of.
    pub fn groups_of(&self, trunk: TrunkId) -> impl Iterator<Item = &GroupPolicy> {
        self.groups.iter().filter(move |group| group.members().any(|member| member.trunk == trunk))
    }
}

/// What trunks carry right now, kept by the shard that asks for plans.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Load {
    /// Calls at once, by `TrunkId`.
    pub calls: Vec<u32>,
    /// Calls offered in the second `second`, by `TrunkId`.
    pub offered_this_second: Vec<u32>,
    /// The second that `offered_this_second` speaks of; in any other second nothing has been offered yet.
    pub second: u64,
}

impl Load {
    /// Room for `trunks` trunks; counts of those that stay are kept.
    pub fn resize(&mut self, trunks: usize) {
        self.calls.resize(trunks, 0);
        self.offered_this_second.resize(trunks, 0);
    }

    /// A call is offered to a trunk and counts until [`Load::end`].
    pub fn begin(&mut self, now: Instant, trunk: TrunkId) {
        let second = second_of(now);
        if second != self.second {
            self.second = second;
            self.offered_this_second.fill(0);
        }
        if let Some(offered) = self.offered_this_second.get_mut(trunk.index()) {
            *offered = offered.saturating_add(1);
        }
        if let Some(calls) = self.calls.get_mut(trunk.index()) {
            *calls = calls.saturating_add(1);
        }
    }

    /// A call, or an attempt that came to nothing, has left a trunk.
    pub fn end(&mut self, trunk: TrunkId) {
        if let Some(calls) = self.calls.get_mut(trunk.index()) {
            *calls = calls.saturating_sub(1);
        }
    }

    /// Calls a trunk carries.
    pub fn calls(&self, trunk: TrunkId) -> u32 {
        self.calls.get(trunk.index()).copied().unwrap_or(0)
    }

    /// Calls offered to a trunk in the second of `now`.
    pub fn offered(&self, now: Instant, trunk: TrunkId) -> u32 {
        if second_of(now) != self.second {
            return 0;
        }
        self.offered_this_second.get(trunk.index()).copied().unwrap_or(0)
    }
}

const fn second_of(now: Instant) -> u64 {
    now.as_micros() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;

    #[test]
    fn load_forgets_a_second_but_not_a_call() {
        let (mut load, trunk) = (Load::default(), TrunkId(1));
        load.resize(2);
        let now = Instant::ZERO + Span::from_millis(400);
        load.begin(now, trunk);
        load.begin(now, trunk);
        assert_eq!((load.calls(trunk), load.offered(now, trunk)), (2, 2));
        let next = now + Span::from_secs(1);
        assert_eq!((load.calls(trunk), load.offered(next, trunk)), (2, 0));
        load.begin(next, trunk);
        load.end(trunk);
        assert_eq!((load.calls(trunk), load.offered(next, trunk)), (2, 1));
        load.end(TrunkId(7));
        assert_eq!(load.offered(next, TrunkId(7)), 0, "unknown trunks carry nothing");
    }
}
