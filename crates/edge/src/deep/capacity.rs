//! Whether the backup can carry what the primary does.
//!
//! Refuses to know: how the peak was measured.

use super::{Report, Weight};
use decide::GroupPolicy;
use model::TrunkId;

pub(super) fn look(report: &mut Report<'_>, group: &GroupPolicy) {
    let trunks = report.trunks(group);
    for primary in &trunks {
        let others: Vec<TrunkId> = trunks.iter().copied().filter(|trunk| trunk != primary).collect();
        // A backup carries for those before it; who is before nobody is nobody's burden. In a tier of several each carries for each.
        let burden = group.tiers.first().is_some_and(|tier| tier.iter().any(|member| member.trunk == *primary));
        if burden {
            calls(report, *primary, &others);
            rate(report, *primary, &others);
        }
    }
}

/// Together; none when one of them has no limit.
fn together(report: &Report<'_>, trunks: &[TrunkId], limit: impl Fn(decide::CallLimits) -> Option<u32>) -> Option<u32> {
    let limits = trunks.iter().map(|trunk| report.settings.shape.trunk(*trunk).and_then(|shape| limit(shape.limits)));
    limits.sum()
}

fn names(report: &Report<'_>, trunks: &[TrunkId]) -> String {
    trunks.iter().map(|trunk| report.name(*trunk)).collect::<Vec<_>>().join(" and ")
}

fn calls(report: &mut Report<'_>, primary: TrunkId, others: &[TrunkId]) {
    let Some(room) = together(report, others, |limits| limits.calls) else { return };
    let peak = report.facts.peaks.get(report.name(primary)).copied();
    let limit = report.settings.shape.trunk(primary).and_then(|shape| shape.limits.calls);
    let (first, rest) = (report.name(primary), names(report, others));
    let about: Vec<TrunkId> = [&[primary], others].concat();
    if let Some(peak) = peak.filter(|peak| *peak > room) {
        let what = format!(
            "{first} has carried {peak} calls at once, and {rest} may carry {room}: the rest is refused when {first} fails"
        );
        report.say(
            Weight::Danger,
            "capacity_short",
            &about,
            what,
            format!("raise `limits` of {rest} to {peak} calls or more, or add a trunk"),
        );
    } else if let Some(limit) = limit.filter(|limit| *limit > room) {
        let what = format!("{first} may carry {limit} calls at once and {rest} {room}: a full {first} does not fit");
        report.say(
            Weight::Warning,
            "capacity_short",
            &about,
            what,
            format!("raise `limits` of {rest} to {limit} calls, or add a trunk"),
        );
    }
}

fn rate(report: &mut Report<'_>, primary: TrunkId, others: &[TrunkId]) {
    let Some(room) = together(report, others, |limits| limits.cps) else { return };
    let limit = report.settings.shape.trunk(primary).and_then(|shape| shape.limits.cps);
    if let Some(limit) = limit.filter(|limit| *limit > room) {
        let (first, rest) = (report.name(primary), names(report, others));
        let about: Vec<TrunkId> = [&[primary], others].concat();
        let what = format!(
            "{first} may be offered {limit} calls a second and {rest} {room}: after a failover newcomers are refused"
        );
        report.say(
            Weight::Warning,
            "rate_short",
            &about,
            what,
            format!("raise `cps` of {rest} to {limit}, or add a trunk"),
        );
    }
}
