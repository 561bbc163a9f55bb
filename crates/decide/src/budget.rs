//! How much may change at once: what holds a judgement back although the evidence supports it.
//!
//! Pure. Refuses to know: evidence. A target that is held back from Down is demoted to Suspect all the same, so a veto
//! costs nothing while anyone better is left.

use crate::decision::{Change, Veto};
use crate::policy::GroupPolicy;
use crate::shape::Shape;
use crate::table::TrunkTable;
use alloc::collections::BTreeSet;
use model::{Admin, Health, Instant, Span, TargetId, TrunkId};

/// Trunks that fall within this time of one another may have one cause, and it may be ours.
pub(crate) const SAME_TIME: Span = Span::from_secs(1);
/// So many trunks at once are not their carriers' fault.
const TOO_MANY_AT_ONCE: usize = 3;
/// Falls are counted over this time.
pub(crate) const FLIP_SPAN: Span = Span::from_secs(600);

/// What holds `change` of `target` back, if anything. `fallen` are the trunks that fell within [`SAME_TIME`].
pub(crate) fn veto(
    shape: &Shape,
    table: &TrunkTable,
    target: TargetId,
    change: Change,
    fallen: &BTreeSet<TrunkId>,
    now: Instant,
) -> Option<Veto> {
    match change {
        Change::Health { to: Health::Down, .. } => down(shape, table, target, fallen),
        Change::Health { from: Health::Suspect, to: Health::Up } | Change::Health { to: Health::Probation, .. } => {
            flips(shape, table, target, now)
        }
        Change::Health { .. } | Change::Share { .. } | Change::Admin { .. } | Change::Throttle { .. } => None,
    }
}

/// Whether in some group nobody but this trunk is left to take calls at `now`.
pub(crate) fn is_last(shape: &Shape, table: &TrunkTable, trunk: TrunkId, now: Instant) -> bool {
    let free =
        |other: TrunkId| table.throttle(other).is_none_or(|throttle| throttle.until <= now || !throttle.wish.bars());
    shape.groups_of(trunk).any(|group| {
        !group.members().any(|other| other.trunk != trunk && table.usable(other.trunk) && free(other.trunk))
    })
}

fn down(shape: &Shape, table: &TrunkTable, target: TargetId, fallen: &BTreeSet<TrunkId>) -> Option<Veto> {
    let trunk = target.trunk;
    let mut others = table.targets(trunk).iter().filter(|other| other.index() != target.index);
    if others.any(|other| other.health() != Health::Down) {
        // The trunk stays in by another of its targets.
        return None;
    }
    ourselves(shape, table, trunk, fallen)
        .or_else(|| shape.groups_of(trunk).find_map(|group| group_limit(group, table, trunk)))
}

/// Unrelated trunks that fail together: three, or all there are when no group holds them all. The trunks of one group
/// are never compared among fewer than three, so that one carrier's death is not held back by another's.
fn ourselves(shape: &Shape, table: &TrunkTable, trunk: TrunkId, fallen: &BTreeSet<TrunkId>) -> Option<Veto> {
    let mut together = fallen.clone();
    together.insert(trunk);
    let in_service = |id: &TrunkId| table.admin(*id) == Admin::InService;
    let all = (0u16..).zip(&shape.trunks).filter(|(_, trunk)| trunk.is_some()).map(|(id, _)| TrunkId(id));
    let everyone = all.filter(in_service).all(|id| together.contains(&id));
    let related = |group: &GroupPolicy| together.iter().all(|id| group.members().any(|member| member.trunk == *id));
    let unrelated = together.len() >= 2 && everyone && !shape.groups().iter().any(related);
    let trunks = together.len();
    (trunks >= TOO_MANY_AT_ONCE || unrelated).then_some(Veto::SuspectOurselves { trunks: trunks as u32 })
}

fn group_limit(group: &GroupPolicy, table: &TrunkTable, trunk: TrunkId) -> Option<Veto> {
    let members: BTreeSet<TrunkId> = group.members().map(|member| member.trunk).collect();
    if !members.iter().any(|other| *other != trunk && table.usable(*other)) {
        return Some(Veto::LastUsable);
    }
    let in_service = members.iter().copied().filter(|id| table.admin(*id) == Admin::InService);
    let total = in_service.clone().count().max(1);
    let out = in_service.filter(|id| *id != trunk && table.trunk_health(*id) == Health::Down).count() + 1;
    let percent = (out * 100 / total) as u32;
    (out > 1 && percent > group.eject_share).then_some(Veto::TooManyOut { percent, limit: group.eject_share })
}

/// One that falls again and again waits before it may rise again, unless nobody else is left.
fn flips(shape: &Shape, table: &TrunkTable, target: TargetId, now: Instant) -> Option<Veto> {
    let limit = shape.groups_of(target.trunk).map(|group| group.flips).min()?;
    let count = table.target(target)?.falls_within(now, FLIP_SPAN);
    (count > limit && !is_last(shape, table, target.trunk, now)).then_some(Veto::TooManyFlips { count, limit })
}
