//! Audio after a failover: codecs, digits and security that differ, and the ports it needs.
//!
//! Refuses to know: how one is made of the other.

use super::{Ports, Report, Weight};
use decide::GroupPolicy;
use media::sdp::{DigitsBy, MediaPolicy, Srtp, Transcode};
use model::{ListenId, TrunkId};

pub(super) fn differences(report: &mut Report<'_>, group: &GroupPolicy) {
    for (primary, backup) in report.pairs(group) {
        let (Some(ours), Some(theirs)) = (report.profile(primary), report.profile(backup)) else { continue };
        codecs(report, (primary, &ours.media), (backup, &theirs.media));
        digits(report, (primary, &ours.media), (backup, &theirs.media));
        security(report, (primary, &ours.media), (backup, &theirs.media));
    }
}

fn list(codecs: &[&str]) -> String {
    codecs.join(", ")
}

/// What the primary speaks and the backup does not.
fn codecs(
    report: &mut Report<'_>,
    (primary, ours): (TrunkId, &MediaPolicy),
    (backup, theirs): (TrunkId, &MediaPolicy),
) {
    let admits = |policy: &MediaPolicy, codec: &str| {
        (policy.allow.is_empty() || policy.allow.contains(&codec)) && !policy.strip.contains(&codec)
    };
    let (first, second) = (report.name(primary), report.name(backup));
    let both = [primary, backup];
    let spoken: Vec<&str> = ours.allow.iter().copied().filter(|codec| admits(ours, codec)).collect();
    let missing: Vec<&str> = spoken.iter().copied().filter(|codec| !admits(theirs, codec)).collect();
    let unmet = theirs.require.iter().copied().find(|codec| !admits(ours, codec));
    if let Some(codec) = unmet {
        let what = format!(
            "{second} requires {codec}, which {first} does not allow: a caller who offers only what suits {first} cannot be moved"
        );
        report.say(
            Weight::Warning,
            "codecs_differ",
            &both,
            what,
            format!("take {codec} out of `require` of {second}, or allow it at {first}"),
        );
    }
    if missing.is_empty() {
        return;
    }
    let advice = format!("allow {} at {second} too, or set `transcode` to \"when-needed\" at both", list(&missing));
    if missing.len() == spoken.len() && (theirs.transcode == Transcode::Never || ours.transcode == Transcode::Never) {
        let what = format!(
            "{first} allows {}, {second} none of them, and sound is not made anew: its calls cannot go by {second}",
            list(&spoken)
        );
        report.say(Weight::Danger, "codecs_differ", &both, what, advice);
    } else if missing.len() == spoken.len() {
        let what = format!(
            "{first} allows {}, {second} none of them: every call by {second} is made anew, at the cost of processor time and quality",
            list(&spoken)
        );
        report.say(Weight::Warning, "codecs_differ", &both, what, advice);
    } else {
        let what = format!("{second} does not allow {}, which {first} does", list(&missing));
        report.say(Weight::Note, "codecs_differ", &both, what, advice);
    }
}

/// A menu that works by the primary and not by the backup is found on the worst day.
fn digits(
    report: &mut Report<'_>,
    (primary, ours): (TrunkId, &MediaPolicy),
    (backup, theirs): (TrunkId, &MediaPolicy),
) {
    if ours.digits == theirs.digits {
        return;
    }
    let (first, second) = (report.name(primary), report.name(backup));
    let stays = ours.transcode == Transcode::Never || theirs.transcode == Transcode::Never;
    let word = |by| match by {
        DigitsBy::Auto => "auto",
        DigitsBy::Events => "rfc4733",
        DigitsBy::Info => "info",
        DigitsBy::Inband => "inband",
    };
    let what = format!("digits go to {first} by `{}` and to {second} by `{}`", word(ours.digits), word(theirs.digits));
    let in_band = ours.digits == DigitsBy::Inband || theirs.digits == DigitsBy::Inband;
    if in_band && stays {
        let what = format!(
            "{what}, and tones are neither made nor found where `transcode` is \"never\": menus stop working after a failover"
        );
        report.say(
            Weight::Danger,
            "dtmf_differs",
            &[primary, backup],
            what,
            "let both have `dtmf` alike, or drop `transcode = \"never\"`",
        );
    } else {
        let what = format!("{what}: the edge makes one of the other, which a test call to a menu should show");
        report.say(
            Weight::Warning,
            "dtmf_differs",
            &[primary, backup],
            what,
            "let both have `dtmf` alike where the carriers can",
        );
    }
}

fn security(
    report: &mut Report<'_>,
    (primary, ours): (TrunkId, &MediaPolicy),
    (backup, theirs): (TrunkId, &MediaPolicy),
) {
    let secured = |policy: &MediaPolicy| matches!(policy.srtp, Srtp::Sdes | Srtp::Dtls);
    if secured(ours) != secured(theirs) {
        let (open, locked) = if secured(ours) { (backup, primary) } else { (primary, backup) };
        let what = format!(
            "audio is secured by {} and not by {}: a failover changes who may listen",
            report.name(locked),
            report.name(open)
        );
        report.say(
            Weight::Warning,
            "security_differs",
            &[primary, backup],
            what,
            "let both have `srtp = \"sdes\"`, or know that they differ",
        );
    }
}

/// Whether the media ports are there, and enough of them.
pub(super) fn ports(report: &mut Report<'_>) {
    for (index, listen) in (0_u16..).zip(&report.settings.listens) {
        let Some(range) = listen.media else { continue };
        let name = listen.name.as_str();
        let pairs = (u32::from(range.last) + 1).saturating_sub(u32::from(range.first)) / 2;
        match report.facts.ports.get(&ListenId(index)) {
            Some(Ports::Foreign) => {
                let what = format!(
                    "{} in `media` of listen {name} is no address of this machine: its calls have no audio",
                    range.bind
                );
                report.say(Weight::Danger, "ports_foreign", &[], what, "write an address that `ip address` shows here");
            }
            Some(Ports::Tried { taken, first: Some(first) }) => {
                let what = format!(
                    "{taken} of {pairs} pairs of media ports of listen {name} belong to other programs, from {first} on"
                );
                report.say(
                    Weight::Warning,
                    "ports_taken",
                    &[],
                    what,
                    "take a range that nothing else uses; `ss -ulpn` shows who does",
                );
            }
            _ => {}
        }
        let (needed, why) = needed(report, ListenId(index));
        if needed > pairs {
            let what =
                format!("listen {name} has {pairs} pairs of media ports, and its trunks {why} {needed} calls at once");
            report.say(
                Weight::Danger,
                "ports_few",
                &[],
                what,
                format!("widen `media` of listen {name} to {} ports or more", needed.saturating_mul(2)),
            );
        }
    }
}

/// Calls that trunks of a listen may have at once by their limits, or have had, whichever is more.
fn needed(report: &Report<'_>, listen: ListenId) -> (u32, &'static str) {
    let profiles = (0_u16..)
        .zip(&report.settings.profiles.trunks)
        .filter_map(|(id, profile)| Some((TrunkId(id), profile.as_ref()?)));
    let here =
        profiles.filter(|(_, profile)| profile.interfaces.first().map_or(profile.listen, |first| *first) == listen);
    let (mut limit, mut peak) = (0_u32, 0_u32);
    for (trunk, _) in here {
        let may = report.settings.shape.trunk(trunk).and_then(|shape| shape.limits.calls).unwrap_or(0);
        limit = limit.saturating_add(may);
        peak = peak.max(report.facts.peaks.get(report.name(trunk)).copied().unwrap_or(0));
    }
    if peak > limit { (peak, "have carried") } else { (limit, "may carry") }
}
