//! How a recovered trunk gets its calls back. Failback belongs to the group, not to the trunk: a trunk may be well long
//! before it is preferred again. Refuses to know: evidence.

use crate::policy::{Failback, GroupPolicy};
use crate::shape::Shape;
use crate::table::TrunkTable;
use model::{Admin, Health, Span, TrunkId};

/// The terms on which a trunk on Probation gets calls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms<'a> {
    /// Before the first step.
    pub wait: Wait,
    /// The steps, in percent.
    pub ramp: &'a [u8],
}

/// How long a trunk on Probation gets no share of calls at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: nobody else is there to carry the calls.
    Nothing,
    /// So long without anything bad.
    Quiet(Span),
    /// Until the operator restores it.
    Operator,
}

/// The terms for one trunk. A member of several groups waits as the most patient of them asks, unless one of them has
/// nobody else.
pub fn terms<'a>(shape: &'a Shape, table: &TrunkTable, trunk: TrunkId) -> Terms<'a> {
    let mut terms = Terms { wait: Wait::Nothing, ramp: &[] };
    for group in shape.groups_of(trunk) {
        if terms.ramp.is_empty() {
            terms.ramp = &group.ramp;
        }
        if !others_carry(group, table, trunk) {
            return Terms { wait: Wait::Nothing, ..terms };
        }
        terms.wait = match (terms.wait, &group.failback) {
            (Wait::Operator, _) | (_, Failback::Manual) => Wait::Operator,
            (Wait::Quiet(known), Failback::After(span)) => Wait::Quiet(known.max(*span)),
            (Wait::Nothing, Failback::After(span)) => Wait::Quiet(*span),
        };
    }
    terms
}

/// Whether calls can go elsewhere meanwhile: to a trunk of the same tier or a worse one that is well. A better tier that
/// is well takes the calls anyway.
fn others_carry(group: &GroupPolicy, table: &TrunkTable, trunk: TrunkId) -> bool {
    let own = group.tiers.iter().position(|tier| tier.iter().any(|member| member.trunk == trunk)).unwrap_or(0);
    group.tiers[own..].iter().flatten().any(|member| {
        member.trunk != trunk
            && table.admin(member.trunk) == Admin::InService
            && matches!(table.trunk_health(member.trunk), Health::Up | Health::Unknown)
    })
}
