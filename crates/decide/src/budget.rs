//! How much may change at once: what holds a judgement back although the evidence supports it.
//!
//! Pure. Refuses to know: evidence. A target that is held back from Down is demoted to Suspect all the same, so a veto
//! costs nothing while anyone better is left.

use crate::decision::{Change, Veto};
use crate::policy::GroupPolicy;
use crate::shape::Shape;
use crate::table::TrunkTable;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use model::{Admin, Health, Instant, Span, TargetId, TrunkId};

/// Trunks that fall within this time of one another may have one cause, and it may be ours.
pub(crate) const SAME_TIME: Span = Span::from_secs(1);
/// So many trunks at once are not their carriers' fault.
const TOO_MANY_AT_ONCE: usize = 3;
/// Falls are counted over this time.
pub(crate) const FLIP_SPAN: Span = Span::from_secs(600);

/// What holds `change` of `target` back, if anything. `fallen` are the trunks that fell within [`SAME_TIME`], each with when.
pub(crate) fn veto(
    shape: &Shape,
    table: &TrunkTable,
    target: TargetId,
    change: Change,
    fallen: &BTreeMap<TrunkId, Instant>,
    now: Instant,
) -> Option<Veto> {
    match change {
        Change::Health { to: Health::Down, .. } => down(shape, table, target, fallen),
        Change::Health { from: Health::Suspect, to: Health::Up } | Change::Health { to: Health::Probation, .. } => {
            flips(shape, table, target, now)
        }
        Change::Health { .. }
        | Change::Share { .. }
        | Change::Admin { .. }
        | Change::Throttle { .. }
        | Change::Force { .. }
        | Change::Release { .. } => None,
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

fn down(shape: &Shape, table: &TrunkTable, target: TargetId, fallen: &BTreeMap<TrunkId, Instant>) -> Option<Veto> {
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
fn ourselves(shape: &Shape, table: &TrunkTable, trunk: TrunkId, fallen: &BTreeMap<TrunkId, Instant>) -> Option<Veto> {
    let trunks = fallen.len() + usize::from(!fallen.contains_key(&trunk));
    let suspects = Some(Veto::SuspectOurselves { trunks: trunks as u32 });
    // Of a region of which hundreds fall at once this is asked for each, whenever one of them has fallen.
    if trunks >= TOO_MANY_AT_ONCE {
        return suspects;
    }
    if trunks < 2 {
        return None;
    }
    let together = |id: &TrunkId| *id == trunk || fallen.contains_key(id);
    let in_service = |id: &TrunkId| table.admin(*id) == Admin::InService;
    let mut all = (0u16..).zip(&shape.trunks).filter(|(_, trunk)| trunk.is_some()).map(|(id, _)| TrunkId(id));
    let everyone = all.all(|id| !in_service(&id) || together(&id));
    let holds = |group: &GroupPolicy, id: TrunkId| group.members().any(|member| member.trunk == id);
    let related = |group: &GroupPolicy| holds(group, trunk) && fallen.keys().all(|id| holds(group, *id));
    suspects.filter(|_| everyone && !shape.groups().iter().any(related))
}

fn group_limit(group: &GroupPolicy, table: &TrunkTable, trunk: TrunkId) -> Option<Veto> {
    if !group.members().any(|other| other.trunk != trunk && table.usable(other.trunk)) {
        return Some(Veto::LastUsable);
    }
    let mut members: Vec<TrunkId> = group.members().map(|member| member.trunk).collect();
    members.sort_unstable();
    members.dedup();
    let in_service = members.into_iter().filter(|id| table.admin(*id) == Admin::InService);
    let (mut total, mut out) = (0, 1);
    for id in in_service {
        total += 1;
        out += usize::from(id != trunk && table.trunk_health(id) == Health::Down);
    }
    let percent = (out * 100 / total.max(1)) as u32;
    (out > 1 && percent > group.eject_share).then_some(Veto::TooManyOut { percent, limit: group.eject_share })
}

/// One that falls again and again waits before it may rise again, unless nobody else is left.
fn flips(shape: &Shape, table: &TrunkTable, target: TargetId, now: Instant) -> Option<Veto> {
    let limit = shape.groups_of(target.trunk).map(|group| group.flips).min()?;
    let count = table.target(target)?.falls_within(now, FLIP_SPAN);
    (count > limit && !is_last(shape, table, target.trunk, now)).then_some(Veto::TooManyFlips { count, limit })
}
