//! How a recovered trunk gets its calls back. Failback belongs to the group, not to the trunk: a trunk may be well long
//! before it is preferred again, and stands by as a backup meanwhile. Refuses to know: evidence, clocks (whether a window is
//! open it is told).

use crate::policy::{Failback, GroupPolicy};
use crate::shape::Shape;
use crate::table::TrunkTable;
use alloc::collections::BTreeMap;
use model::{Admin, GroupId, Health, Instant, Span, TrunkId};

/// A group's failback window, as the clock of its time zone has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Window {
    /// It is open now.
    pub open: bool,
    /// When that changes; none for never, or not known.
    pub changes: Option<Instant>,
}

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
    /// So long without anything bad, and until a window opens.
    Closed {
        /// Time without anything bad.
        after: Span,
        /// When the window opens; none when nobody knows.
        opens: Option<Instant>,
    },
    /// Until the operator restores it.
    Operator,
}

/// The terms for one trunk. A member of several groups waits as the most patient of them asks, unless one of them has
/// nobody else. A group's window that is not in `windows` is closed. Only the first step of the ramp asks: what has begun
/// goes on after a window has closed, for a trunk left at 5 % all day would be on trial without end.
pub fn terms<'a>(
    shape: &'a Shape,
    table: &TrunkTable,
    windows: &BTreeMap<GroupId, Window>,
    trunk: TrunkId,
) -> Terms<'a> {
    let mut terms = Terms { wait: Wait::Nothing, ramp: &[] };
    for group in shape.groups_of(trunk) {
        if terms.ramp.is_empty() {
            terms.ramp = &group.ramp;
        }
        if !others_carry(group, table, trunk) {
            return Terms { wait: Wait::Nothing, ..terms };
        }
        let window = windows.get(&group.id).copied().unwrap_or_default();
        terms.wait = terms.wait.and(match group.failback {
            Failback::After(after) => Wait::Quiet(after),
            Failback::Window { after } if window.open => Wait::Quiet(after),
            Failback::Window { after } => Wait::Closed { after, opens: window.changes },
            Failback::Manual => Wait::Operator,
        });
    }
    terms
}

impl Wait {
    /// Until both are over.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Operator, _) | (_, Self::Operator) => Self::Operator,
            (Self::Nothing, wait) | (wait, Self::Nothing) => wait,
            (Self::Quiet(a), Self::Quiet(b)) => Self::Quiet(a.max(b)),
            (Self::Closed { after, opens }, Self::Quiet(quiet))
            | (Self::Quiet(quiet), Self::Closed { after, opens }) => Self::Closed { after: after.max(quiet), opens },
            (Self::Closed { after: a, opens: one }, Self::Closed { after: b, opens: other }) => {
                Self::Closed { after: a.max(b), opens: one.zip(other).map(|(one, other)| one.max(other)) }
            }
        }
    }
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
