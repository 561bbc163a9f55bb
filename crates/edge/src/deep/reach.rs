//! Whether the far side can send to the addresses that it is told, and we to theirs.
//!
//! Refuses to know: what an address translator does.

use super::{Report, Weight};
use core::net::IpAddr;
use model::{ListenId, TrunkId};

pub(super) fn look(report: &mut Report<'_>) {
    for index in 0..report.settings.profiles.trunks.len() {
        let trunk = TrunkId(u16::try_from(index).unwrap_or(u16::MAX));
        let Some(profile) = report.profile(trunk) else { continue };
        no_way(report, trunk);
        unfound(report, trunk);
        behind_nat(report, trunk, profile.listen);
    }
}

fn no_way(report: &mut Report<'_>, trunk: TrunkId) {
    let lost = report.addresses(trunk).into_iter().find(|address| report.facts.ways.get(address) == Some(&None));
    if let Some(address) = lost {
        let what = format!("this machine has no way from the listen of {} to {address}", report.name(trunk));
        report.say(
            Weight::Danger,
            "no_route",
            &[trunk],
            what,
            format!("look at `ip route get {address}`, and at the address of its listen"),
        );
    }
}

fn unfound(report: &mut Report<'_>, trunk: TrunkId) {
    if report.settings.named.contains_key(&trunk) && report.addresses(trunk).is_empty() {
        let what = format!("the names of {} lead nowhere now", report.name(trunk));
        report.say(
            Weight::Danger,
            "name_unknown",
            &[trunk],
            what,
            "look at its `at` and at the name servers; the edge asks again and again, and calls pass it over",
        );
    }
}

/// A private address told to somebody outside: no answer, no audio.
fn behind_nat(report: &mut Report<'_>, trunk: TrunkId, listen: ListenId) {
    let Some(outside) = report.addresses(trunk).into_iter().find(|address| !is_private(*address)) else { return };
    let profile = report.profile(trunk);
    let media = profile.and_then(|profile| profile.interfaces.first().copied()).unwrap_or(listen);
    let told = |listen: ListenId| report.settings.listens.get(listen.index());
    let family = |ip: &IpAddr| ip.is_ipv4() == outside.is_ipv4();
    let sip = report.settings.sockets.iter().filter(|socket| socket.listen == listen).map(|socket| socket.sent_by.ip());
    let audio = told(media).and_then(|listen| listen.media).map(|range| range.advertised);
    let inside = sip.chain(audio).filter(family).find(|ip| is_private(*ip));
    if let Some(inside) = inside {
        let name = told(listen).map_or("", |listen| listen.name.as_str());
        let what =
            format!("{} at {outside} is told to send to {inside}, which nobody outside can reach", report.name(trunk));
        let advice = format!(
            "add `advertise = \"ADDRESS\"` to listen {name}: the address that the carrier sees, its ports mapped one to one"
        );
        report.say(Weight::Danger, "behind_nat", &[trunk], what, advice);
    }
}

/// Addresses that no network outside knows: RFC 1918, RFC 6598, RFC 4193, and those of one link or one machine.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
