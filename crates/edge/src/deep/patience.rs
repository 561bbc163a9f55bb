//! What callers wait for when the primary fails, and whether traffic comes back.
//!
//! Refuses to know: what an attempt does.

use super::{Report, Weight};
use decide::{AttemptPolicy, Failback, GroupPolicy, Rescue};
use model::{Span, TrunkId};

/// A caller who hears nothing for longer hangs up, or dials again.
const SILENCE: Span = Span::from_secs(8);
/// People take so long to get to a phone.
const RING_SHORT: Span = Span::from_secs(25);
/// Nobody waits longer, and a line is held all the while.
const RING_LONG: Span = Span::from_secs(300);
/// Without a call, an outage should be seen within this time.
const NOTICED: Span = Span::from_secs(60);

pub(super) fn look(report: &mut Report<'_>, group: &GroupPolicy) {
    let trunks = report.trunks(group);
    for primary in trunks.iter().take(trunks.len().saturating_sub(1)) {
        timers(report, *primary);
    }
    trunks.iter().for_each(|trunk| ring(report, *trunk));
    trunks.iter().for_each(|trunk| noticed(report, *trunk));
    if group.failback == Failback::Manual {
        let first = trunks[0];
        let what = format!("calls never return to {} by themselves", report.name(first));
        let advice =
            "set `failback = { after = \"60s\" }`, or let somebody who is awake run `throughline trunk NAME restore`";
        report.say(Weight::Warning, "no_failback", &[first], what, advice);
    }
    rescue(report, &trunks);
}

fn seconds(span: Span) -> String {
    let tenths = span.as_micros() / 100_000;
    if tenths.is_multiple_of(10) { format!("{} s", tenths / 10) } else { format!("{}.{} s", tenths / 10, tenths % 10) }
}

/// The longest that a silent trunk may hold a caller while another one is left.
fn first_reply(policy: &AttemptPolicy) -> Span {
    policy.learned.map_or(policy.first_reply, |learned| learned.cap)
}

fn timers(report: &mut Report<'_>, trunk: TrunkId) {
    let Some(policy) = report.settings.shape.trunk(trunk).map(|shape| &shape.attempt) else { return };
    let name = report.name(trunk);
    let (reply, stalled) = (first_reply(policy), policy.first_reply.max(first_reply(policy)) + policy.progress);
    if reply > SILENCE {
        let what = format!(
            "a caller hears nothing for {} when {name} is silent, and hangs up before the backup is tried",
            seconds(reply)
        );
        report.say(
            Weight::Danger,
            "slow_first_reply",
            &[trunk],
            what,
            format!("set `first_reply` of {name} to \"learned\", or 2 s at most"),
        );
    } else if stalled >= policy.hunt && policy.progress >= policy.hunt {
        let what = format!(
            "when {name} answers 100 and nothing more, `progress` ({}) uses up `hunt` ({}): the backup is never tried",
            seconds(policy.progress),
            seconds(policy.hunt)
        );
        report.say(
            Weight::Danger,
            "no_time_for_backup",
            &[trunk],
            what,
            format!("set `progress` of {name} to 6 s, or `hunt` to more"),
        );
    } else if stalled > SILENCE + Span::from_secs(1) {
        let what = format!(
            "when {name} answers 100 and nothing more, its caller waits {} before the backup is tried",
            seconds(stalled)
        );
        report.say(
            Weight::Warning,
            "slow_progress",
            &[trunk],
            what,
            format!("set `progress` of {name} to 6 s or less"),
        );
    }
}

fn ring(report: &mut Report<'_>, trunk: TrunkId) {
    let Some(ring) = report.settings.shape.trunk(trunk).map(|shape| shape.attempt.ring) else { return };
    let name = report.name(trunk);
    if ring < RING_SHORT {
        let what = format!("{name} may ring for {} only: people do not get to their phone", seconds(ring));
        report.say(Weight::Warning, "short_ring", &[trunk], what, format!("set `ring` of {name} to 60 s or more"));
    } else if ring > RING_LONG {
        let what = format!("{name} may ring for {}: a line is held that nobody waits at", seconds(ring));
        report.say(Weight::Note, "long_ring", &[trunk], what, format!("set `ring` of {name} to 180 s"));
    }
}

/// How long an outage goes unseen while nobody calls.
fn noticed(report: &mut Report<'_>, trunk: TrunkId) {
    let Some(Some((probe, _))) = report.settings.watches.get(trunk.index()) else { return };
    let name = report.name(trunk);
    if !probe.on {
        let what = format!("{name} is not probed: that it is dead is learned from calls that fail");
        report.say(
            Weight::Warning,
            "not_probed",
            &[trunk],
            what,
            format!("set `probe = {{ on = true }}` at {name}, or give it a `test_call`"),
        );
        return;
    }
    // The first failure after `every`, the others faster.
    let fall = report.settings.shape.trunk(trunk).map_or(1, |shape| shape.health.fall);
    let seen = probe.every + (probe.deadline + probe.fast).times(u64::from(fall));
    if seen > NOTICED {
        let what = format!("an outage of {name} is seen after {} when nobody calls", seconds(seen));
        report.say(Weight::Warning, "slow_probes", &[trunk], what, format!("let `probe` of {name} ask every 5 s"));
    }
}

/// A live call whose party is lost is called again through the other trunk, if that is wanted.
fn rescue(report: &mut Report<'_>, trunks: &[TrunkId]) {
    let off =
        |trunk: &&TrunkId| report.settings.shape.trunk(**trunk).is_some_and(|shape| shape.audio.rescue == Rescue::Off);
    let without: Vec<TrunkId> = trunks.iter().filter(off).copied().collect();
    if without.len() == trunks.len() {
        let what = "live calls are lost with the trunk that carries them, though another one is there".to_owned();
        report.say(
            Weight::Note,
            "no_rescue",
            &without,
            what,
            "set `rescue = \"on\"` at its trunks, so that the called party is called again",
        );
    }
}
