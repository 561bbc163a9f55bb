//! Shared fate: what primary and backup have in common, so that one failure takes both.
//!
//! Refuses to know: how an address was found.

use super::{Report, Weight};
use crate::names::Spot;
use core::net::IpAddr;
use decide::GroupPolicy;
use model::TrunkId;

/// Days before the end of a certificate at which there is still time to renew it calmly.
const DAYS: i64 = 30;

pub(super) fn look(report: &mut Report<'_>, group: &GroupPolicy) {
    for (primary, backup) in report.pairs(group) {
        addresses(report, primary, backup);
        zone(report, primary, backup);
        ways(report, primary, backup);
    }
    resolver(report, group);
}

/// The same address, or the same network: one machine, one rack, one router.
fn addresses(report: &mut Report<'_>, primary: TrunkId, backup: TrunkId) {
    let (ours, theirs) = (report.addresses(primary), report.addresses(backup));
    let (first, second) = (report.name(primary), report.name(backup));
    if let Some(same) = ours.iter().find(|ours| theirs.contains(ours)) {
        let what = format!("{first} and {second} are both at {same}: what takes one down takes the other");
        let advice = "ask the carrier for a second address of another site, or take another carrier as backup";
        report.say(Weight::Danger, "same_address", &[primary, backup], what, advice);
        return;
    }
    let near = ours
        .iter()
        .find_map(|ours| theirs.iter().find(|theirs| network(**theirs) == network(*ours)).map(|theirs| (ours, theirs)));
    if let Some((ours, theirs)) = near {
        let length = if ours.is_ipv4() { 24 } else { 64 };
        let what = format!(
            "{first} ({ours}) and {second} ({theirs}) are in one /{length}: likely one site, behind one router"
        );
        let advice = "ask where they stand; a backup belongs to another network";
        report.say(Weight::Warning, "same_subnet", &[primary, backup], what, advice);
    }
}

/// What usually hangs on one router: 24 bits of IPv4, 64 of IPv6.
fn network(ip: IpAddr) -> (bool, u64) {
    match ip {
        IpAddr::V4(ip) => (true, u64::from(ip.to_bits() >> 8)),
        IpAddr::V6(ip) => (false, (ip.to_bits() >> 64) as u64),
    }
}

/// Names of one zone are served by the same name servers, and changed by the same hand.
fn zone(report: &mut Report<'_>, primary: TrunkId, backup: TrunkId) {
    let (ours, theirs) = (zones(report, primary), zones(report, backup));
    if let Some(same) = ours.iter().find(|zone| theirs.contains(zone)) {
        let what = format!(
            "{} and {} are found by names of one domain, {same}: when it is lost or wrong, so are both",
            report.name(primary),
            report.name(backup)
        );
        let advice = "give the backup another carrier's name, or write an address of it beside the name";
        report.say(Weight::Warning, "same_domain", &[primary, backup], what, advice);
    }
}

/// The domains of a trunk's names, when it has nothing but names.
fn zones(report: &Report<'_>, trunk: TrunkId) -> Vec<String> {
    let Some(named) = report.settings.named.get(&trunk) else { return Vec::new() };
    let mut zones = Vec::new();
    for spot in &named.spots {
        match spot {
            Spot::At(..) => return Vec::new(),
            Spot::Named(name) => zones.push(domain(name.host.as_str())),
        }
    }
    zones
}

/// The last two labels, and one more where they are those of a registry (`co.uk`, `com.au`).
fn domain(host: &str) -> String {
    let labels: Vec<&str> = host.rsplit('.').take(3).collect();
    let registry = labels.len() == 3 && labels[0].len() == 2 && labels[1].len() <= 3;
    let kept = if registry { 3 } else { 2 };
    labels.into_iter().take(kept).rev().collect::<Vec<_>>().join(".")
}

/// The same way out of this machine.
fn ways(report: &mut Report<'_>, primary: TrunkId, backup: TrunkId) {
    let interfaces = |report: &Report<'_>, trunk| -> Option<Vec<String>> {
        let ways = report.addresses(trunk).into_iter().filter_map(|address| report.facts.ways.get(&address)?.clone());
        let named: Option<Vec<String>> = ways.map(|way| way.interface).collect();
        named.filter(|named| !named.is_empty())
    };
    let (Some(ours), Some(theirs)) = (interfaces(report, primary), interfaces(report, backup)) else { return };
    if ours.iter().all(|name| theirs.contains(name)) && theirs.iter().all(|name| ours.contains(name)) {
        let what = format!(
            "{} and {} are both reached by {}: one cable, one uplink",
            report.name(primary),
            report.name(backup),
            ours[0]
        );
        let advice = "where a second uplink exists, give the backup a listen on it and a route by it";
        report.say(Weight::Note, "same_interface", &[primary, backup], what, advice);
    }
}

/// All by name, and one server for all names.
fn resolver(report: &mut Report<'_>, group: &GroupPolicy) {
    let trunks = report.trunks(group);
    let by_name = trunks.iter().all(|trunk| !zones(report, *trunk).is_empty());
    let servers = &report.facts.resolvers;
    let mut networks: Vec<_> = servers.iter().map(|server| network(server.ip())).collect();
    networks.sort_unstable();
    networks.dedup();
    let [server, ..] = servers.as_slice() else { return };
    if by_name && networks.len() == 1 {
        let which = if servers.len() == 1 {
            format!("one name server, {}", server.ip())
        } else {
            format!("name servers of one network, that of {}", server.ip())
        };
        let what = format!("all its trunks are found by name, and {which} knows them");
        let advice = "write a second one of another network into `servers` of [dns], or an address beside a name";
        report.say(Weight::Warning, "same_resolver", &trunks, what, advice);
    }
}

/// Certificates that end soon.
pub(super) fn certificates(report: &mut Report<'_>) {
    for (file, days) in &report.facts.certificates {
        if *days <= DAYS {
            let (weight, what) = match days {
                ..=0 => (Weight::Danger, format!("{file} has expired: who verifies it refuses every call by TLS")),
                _ => (Weight::Warning, format!("{file} expires in {days} days")),
            };
            let advice = "put a new certificate in its place and reload; let something renew it";
            report.say(weight, "certificate_expires", &[], what, advice);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_domain_is_what_somebody_has_registered() {
        for (host, domain) in [
            ("sip.acme.example", "acme.example"),
            ("a.b.acme.example", "acme.example"),
            ("sip.acme.co.uk", "acme.co.uk"),
            ("acme.example", "acme.example"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(super::domain(host), domain, "{host}");
        }
    }
}
