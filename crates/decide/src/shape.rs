//! The configuration as `decide` needs it: trunks, groups and routes with their policies.
//!
//! One immutable value per configuration, so that a table, a plan and a replay can be made from the same one. What a call asks of it
//! (its route, the groups of a trunk) is looked up, not searched for. Refuses to know: names, addresses, files.

use crate::load::CallLimits;
use crate::midcall::AudioPolicy;
use crate::plan::Facts;
use crate::policy::{AttemptPolicy, GroupPolicy, HealthPolicy, RouteRule};
use crate::routes::Routes;
use alloc::vec::Vec;
use model::{GroupId, ListenId, RouteId, Span, TrunkId};
use serde::{Deserialize, Serialize};

/// Trunks, groups and routes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Shape {
    /// By `TrunkId`; a removed trunk leaves a hole.
    pub trunks: Vec<Option<TrunkShape>>,
    groups: Vec<GroupPolicy>,
    routes: Vec<RouteRule>,
    /// By `TrunkId`: the groups it is a member of.
    groups_of: Vec<Vec<GroupId>>,
    /// Made of `routes`.
    index: Routes,
}

/// One trunk.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrunkShape {
    /// Its targets, best first: none while the names of its addresses have led nowhere yet.
    pub targets: Vec<TargetShape>,
    /// When its health changes.
    pub health: HealthPolicy,
    /// How one attempt to it goes.
    pub attempt: AttemptPolicy,
    /// How much it may carry.
    pub limits: CallLimits,
    /// When its audio counts as lost in a live call.
    #[serde(default)]
    pub audio: AudioPolicy,
    /// It stands for many, who may call each other: a call that came from it may go to it.
    #[serde(default)]
    pub many: bool,
    /// The local side it is reached from. Trunks of one side share its uplink, and can tell for each other whether it works.
    pub side: ListenId,
}

/// One target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetShape {
    /// Its number. An address keeps its number over reloads and new answers of the name service, and so what is held of it; a number whose
    /// address is gone is not given to another until all others have had their turn.
    pub number: u8,
    /// Its place among those that are as well as it is; lower ones are tried first.
    pub priority: u8,
    /// Its weight among those of its priority: each call draws.
    pub weight: u16,
}

impl TargetShape {
    /// Targets that are tried in this order, whatever the call.
    pub fn in_order(numbers: impl IntoIterator<Item = u8>) -> Vec<Self> {
        (0..=u8::MAX).zip(numbers).map(|(priority, number)| Self { number, priority, weight: 0 }).collect()
    }
}

/// As much of a trunk as the trunk table goes by; the journal has it, so that replaying needs no configuration.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrunkFrame {
    /// Numbers of its targets, best first.
    pub targets: Vec<u8>,
    /// The time Up by which a relapse is forgiven.
    pub forgive: Span,
}

impl TrunkShape {
    /// As much of it as the trunk table goes by.
    pub fn frame(&self) -> TrunkFrame {
        TrunkFrame { targets: self.targets.iter().map(|target| target.number).collect(), forgive: self.health.forgive }
    }
}

impl Shape {
    /// As much of every trunk as the trunk table goes by, by `TrunkId`.
    pub fn frames(&self) -> Vec<Option<TrunkFrame>> {
        self.trunks.iter().map(|trunk| trunk.as_ref().map(TrunkShape::frame)).collect()
    }

    /// The same with other targets of one trunk.
    #[must_use]
    pub fn with_targets(&self, trunk: TrunkId, targets: Vec<TargetShape>) -> Self {
        let mut shape = self.clone();
        if let Some(Some(trunk)) = shape.trunks.get_mut(trunk.index()) {
            trunk.targets = targets;
        }
        shape
    }

    /// `trunks` by `TrunkId`, `groups` by `GroupId`, `routes` by `RouteId`: of the routes the first match wins.
    pub fn new(trunks: Vec<Option<TrunkShape>>, groups: Vec<GroupPolicy>, routes: Vec<RouteRule>) -> Self {
        let mut groups_of: Vec<Vec<GroupId>> = Vec::new();
        for (id, group) in (0u16..).zip(&groups) {
            for member in group.members() {
                let index = member.trunk.index();
                if groups_of.len() <= index {
                    groups_of.resize(index + 1, Vec::new());
                }
                if groups_of[index].last() != Some(&GroupId(id)) {
                    groups_of[index].push(GroupId(id));
                }
            }
        }
        Self { trunks, index: Routes::new(&routes), groups, routes, groups_of }
    }

    /// The groups, by `GroupId`.
    pub fn groups(&self) -> &[GroupPolicy] {
        &self.groups
    }

    /// The routes, by `RouteId`.
    pub fn routes(&self) -> &[RouteRule] {
        &self.routes
    }

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
        self.groups_of.get(trunk.index()).into_iter().flatten().filter_map(|id| self.group(*id))
    }

    /// The route of a call and the group it leads to.
    pub(crate) fn route(&self, facts: &Facts<'_>) -> Option<(RouteId, &GroupPolicy)> {
        let route = self.index.find(facts.from, facts.number)?;
        Some((route, self.group(self.routes.get(route.index())?.to)?))
    }

    /// Every group that some call from a trunk can be led to.
    pub(crate) fn groups_from(&self, from: TrunkId) -> impl Iterator<Item = &GroupPolicy> {
        self.index.groups_from(from).filter_map(|id| self.group(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Member;
    use alloc::vec;

    #[test]
    fn a_trunk_knows_its_groups() {
        let member = |trunk| Member { trunk: TrunkId(trunk), weight: 1 };
        let group =
            |id, members: &[u16]| GroupPolicy::new(GroupId(id), vec![members.iter().map(|id| member(*id)).collect()]);
        let shape = Shape::new(vec![None; 4], vec![group(0, &[1, 2]), group(1, &[2, 2, 3])], vec![]);
        let groups = |trunk| shape.groups_of(TrunkId(trunk)).map(|group| group.id.0).collect::<Vec<_>>();
        assert_eq!(
            [groups(0), groups(1), groups(2), groups(3), groups(9)],
            [vec![], vec![0], vec![0, 1], vec![1], vec![]]
        );
    }
}
