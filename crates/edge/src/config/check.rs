//! What no single table can know: names that lead nowhere, addresses claimed twice, groups that are one carrier deep.
//!
//! Errors are what cannot work; warnings are what works, but hardly as meant.

use super::calls::PATIENCE;
use super::draft::Draft;
use super::fault::Faults;
use super::group::GroupDraft;
use super::listen::ListenDraft;
use super::reader::At;
use super::suggest::{did_you_mean, list};
use super::trunk::TrunkDraft;
use super::value::{SipAddress, short};
use crate::names::Spot;
use core::net::IpAddr;
use model::Span;
use sip::Transport;

pub(super) fn check(draft: &Draft, faults: &mut Faults<'_>) {
    complete(draft, faults);
    if too_many(draft, faults) {
        return;
    }
    names(draft, faults);
    listens(draft, faults);
    super::guard::check(draft, faults);
    for (index, trunk) in draft.trunks.iter().enumerate() {
        way_out(draft, trunk, faults);
        large_way_out(draft, trunk, faults);
        for earlier in &draft.trunks[..index] {
            claims(earlier, trunk, faults);
        }
        reachable(draft, trunk, faults);
        super::test_call::check(draft, trunk, faults);
        super::audio::check(draft, trunk, faults);
    }
    for group in &draft.groups {
        depth(draft, group, faults);
        patience(draft, group, faults);
        super::window::long_enough(draft, group, faults);
        led_to(draft, group, faults);
    }
    shadowed(draft, faults);
    phones(draft, faults);
}

/// One trunk stands for the phones, and they register somewhere.
fn phones(draft: &Draft, faults: &mut Faults<'_>) {
    let mut trunks = draft.trunks.iter().filter(|trunk| trunk.registered);
    let Some(first) = trunks.next() else { return };
    let behind = draft.registrar.as_ref().and_then(|registrar| registrar.behind.as_ref());
    if let Some(behind) = behind.filter(|behind| behind.value == first.name.value) {
        let what = format!("trunk `{}` stands for the phones, and nobody behind it knows them", behind.value);
        faults.error(&behind.at, what, "the trunk of the PBX", None);
    }
    if draft.registrar.is_none() {
        let what = format!("nobody registers for trunk `{}`", first.name.value);
        faults.error(&first.name.at, what, "a [registrar]", None);
    }
    for other in trunks {
        let what = format!("trunk `{}` stands for the phones already", first.name.value);
        faults.error(&other.name.at, what, "one trunk with `at = \"registered\"`", None);
    }
}

/// The least that an edge needs.
fn complete(draft: &Draft, faults: &mut Faults<'_>) {
    let missing = [
        (draft.listens.is_empty(), "[listen.NAME]", "nobody can reach the edge"),
        (draft.trunks.is_empty(), "[trunk.NAME]", "there is nobody to carry calls"),
    ];
    for (_, title, why) in missing.iter().filter(|(missing, ..)| *missing) {
        faults.error(&(0..0), format!("there is no good {title}: {why}"), format!("at least one {title}"), None);
    }
    if draft.routes.is_empty() {
        faults.warn(&(0..0), "there is no [[route]]: every call will be refused", "at least one [[route]]", None);
    }
}

/// Tables are compared with each other below, so their number is bounded first.
fn too_many(draft: &Draft, faults: &mut Faults<'_>) -> bool {
    // Numbers of trunks and the like are two bytes; long before that, a file is made by mistake.
    let most = [
        (draft.listens.len(), 100, "listens"),
        (draft.listens.iter().map(|listen| listen.sockets.len()).sum(), 1_000, "SIP addresses"),
        (draft.trunks.len(), 4_000, "trunks"),
        (draft.groups.len(), 4_000, "groups"),
        (draft.routes.len(), 10_000, "routes"),
    ];
    for (count, limit, what) in most.iter().filter(|(count, limit, _)| count > limit) {
        faults.error(&(0..0), format!("{count} {what} are too many"), format!("at most {limit}"), None);
    }
    most.iter().any(|(count, limit, _)| count > limit)
}

fn names(draft: &Draft, faults: &mut Faults<'_>) {
    let listens = || draft.listens.iter().map(|listen| listen.name.value.as_str());
    let trunks = || draft.trunks.iter().map(|trunk| trunk.name.value.as_str());
    let groups = || draft.groups.iter().map(|group| group.name.value.as_str());
    let registrar = draft.registrar.iter().flat_map(|registrar| &registrar.listens);
    let media = draft.trunks.iter().flat_map(|trunk| &trunk.audio.media);
    for listen in draft.trunks.iter().filter_map(|trunk| trunk.listen.as_ref()).chain(registrar).chain(media) {
        known("listen", &listen.value, &listen.at, listens(), faults);
    }
    if let Some(behind) = draft.registrar.as_ref().and_then(|registrar| registrar.behind.as_ref()) {
        known("trunk", &behind.value, &behind.at, trunks(), faults);
    }
    for member in draft.groups.iter().flat_map(|group| group.tiers.iter().flatten()) {
        known("trunk", &member.value.trunk, &member.at, trunks(), faults);
    }
    for route in &draft.routes {
        for from in &route.from {
            known("trunk", &from.value, &from.at, trunks(), faults);
        }
        if let Some(to) = &route.to {
            if groups().any(|group| group == to.value) || !trunks().any(|trunk| trunk == to.value) {
                known("group", &to.value, &to.at, groups(), faults);
                continue;
            }
            let fix = format!("write a group with tiers = [[\"{}\"]], and its name here", to.value);
            let what = format!("`{}` is a trunk, and routes lead to groups", to.value);
            faults.error(&to.at, what, "the name of a group", Some(fix));
        }
    }
}

fn known<'a>(
    noun: &str,
    name: &str,
    at: &core::ops::Range<usize>,
    names: impl Iterator<Item = &'a str> + Clone,
    faults: &mut Faults<'_>,
) {
    if names.clone().any(|known| known == name) {
        return;
    }
    let fix = did_you_mean(name, names.clone());
    faults.error(at, format!("there is no {noun} `{}`", short(name)), list(names), fix);
}

fn listens(draft: &Draft, faults: &mut Faults<'_>) {
    for (index, listen) in draft.listens.iter().enumerate() {
        let sockets =
            |listen: &'_ ListenDraft| listen.sockets.iter().map(|socket| socket.value).collect::<Vec<SipAddress>>();
        let mut taken: Vec<_> = draft.listens[..index].iter().flat_map(sockets).collect();
        for socket in &listen.sockets {
            if taken.iter().any(|other| other.meets(socket.value)) {
                faults.error(&socket.at, format!("{} is listened on already", socket.value), "each address once", None);
            }
            taken.push(socket.value);
        }
        let Some(media) = &listen.media else { continue };
        for earlier in &draft.listens[..index] {
            let Some(other) = earlier.media.as_ref().filter(|other| overlap(&media.value, &other.value)) else {
                continue;
            };
            let what = format!(
                "media ports {}-{} are also those of listen `{}`: each side will find some taken",
                media.value.first.max(other.value.first),
                media.value.last.min(other.value.last),
                earlier.name.value
            );
            faults.warn(&media.at, what, "ranges that do not overlap", None);
        }
        let within = |port: u16| (media.value.first..=media.value.last).contains(&port);
        for socket in draft.listens.iter().flat_map(|listen| &listen.sockets) {
            if !socket.value.transport.is_reliable()
                && within(socket.value.addr.port())
                && same_host(socket.value.addr.ip(), media.value.bind)
            {
                let what = format!("the media ports include {}, where SIP is listened for", socket.value.addr.port());
                faults.warn(&media.at, what, "ports that SIP does not use", None);
            }
        }
    }
}

fn overlap(a: &super::settings::MediaRange, b: &super::settings::MediaRange) -> bool {
    same_host(a.bind, b.bind) && a.first <= b.last && b.first <= a.last
}

fn same_host(a: IpAddr, b: IpAddr) -> bool {
    a == b || a.is_unspecified() || b.is_unspecified()
}

/// Large requests by TCP need a socket of TCP on the trunk's side.
fn large_way_out(draft: &Draft, trunk: &TrunkDraft, faults: &mut Faults<'_>) {
    let Some(listen) = trunk.listen.as_ref().and_then(|name| draft.listen(&name.value)) else { return };
    let speaks = |ipv4: bool| {
        let by_tcp = |socket: &&At<SipAddress>| socket.value.transport == Transport::Tcp;
        listen.sockets.iter().filter(by_tcp).any(|socket| socket.value.addr.is_ipv4() == ipv4)
    };
    let needed = trunk.targets.iter().filter(|target| target.value.transport == Transport::Udp);
    if let Some(target) = needed.filter(|_| trunk.large_by_tcp).find(|target| !speaks(target.value.addr.is_ipv4())) {
        let what = format!(
            "listen `{}` does not speak TCP, by which large requests go to {}",
            listen.name.value, target.value
        );
        let at =
            listen.sockets.first().map_or_else(|| String::from("ADDRESS:5060"), |socket| socket.value.addr.to_string());
        let fix = Some(format!("add \"tcp:{at}\" to its `sip`, or leave `large` away"));
        faults.error(&target.at, what, "a listen with an address of TCP in the target's family", fix);
    }
}

/// Each target needs a socket of its address family.
fn way_out(draft: &Draft, trunk: &TrunkDraft, faults: &mut Faults<'_>) {
    let Some(listen) = trunk.listen.as_ref().and_then(|name| draft.listen(&name.value)) else { return };
    if listen.sockets.is_empty() {
        return;
    }
    for spot in &trunk.spots {
        let Spot::Named(named) = &spot.value else { continue };
        let fits = named.transports();
        if !fits.iter().any(|transport| speaks(listen, *transport)) {
            let by = fits.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
            let what =
                format!("listen `{}` does not speak {by}, by which {} is reached", listen.name.value, named.host);
            faults.error(&spot.at, what, format!("a listen with an address of {by}"), None);
        }
    }
    for target in &trunk.targets {
        let (family, transport) = (target.value.addr.is_ipv4(), target.value.transport);
        let of_family = || listen.sockets.iter().filter(|socket| socket.value.addr.is_ipv4() == family);
        if of_family().next().is_none() {
            let what = format!("listen `{}` has no address that can reach {}", listen.name.value, target.value);
            let expected = if family { "a listen with an IPv4 address" } else { "a listen with an IPv6 address" };
            faults.error(&target.at, what, expected, None);
        } else if !of_family().any(|socket| socket.value.transport == transport) {
            let word = transport.to_string().to_ascii_lowercase();
            let what = format!(
                "listen `{}` does not speak {transport}, by which {} is reached",
                listen.name.value, target.value
            );
            let fix = format!("add \"{word}:ADDRESS:{}\" to `sip` of that listen", transport.default_port());
            faults.error(&target.at, what, format!("a listen with an address of {transport}"), Some(fix));
        }
    }
}

fn speaks(listen: &ListenDraft, transport: Transport) -> bool {
    listen.sockets.iter().any(|socket| socket.value.transport == transport)
}

/// Two trunks of one listen must not claim the same source of calls.
fn claims(earlier: &TrunkDraft, trunk: &TrunkDraft, faults: &mut Faults<'_>) {
    let listen = |trunk: &TrunkDraft| trunk.listen.as_ref().map(|listen| listen.value.clone());
    if listen(earlier).is_none() || listen(earlier) != listen(trunk) {
        return;
    }
    let other = &earlier.name.value;
    for target in &trunk.targets {
        let hosts = earlier.targets.iter().map(|target| target.value.addr);
        if hosts.clone().any(|addr| addr == target.value.addr) {
            let what =
                format!("{} is also a target of trunk `{other}`: nobody can tell their calls apart", target.value);
            faults.error(&target.at, what, "an address that is one trunk's", None);
        } else if hosts.clone().any(|addr| addr.ip() == target.value.addr.ip()) {
            let what = format!(
                "trunk `{other}` is on {} too: calls from a port that is neither's are taken as `{other}`",
                target.value.addr.ip()
            );
            faults.warn(&target.at, what, "a host of its own", None);
        }
    }
    for spot in trunk.spots.iter().filter(|spot| matches!(spot.value, Spot::Named(_))) {
        if let Spot::Named(named) = &spot.value
            && earlier.spots.iter().any(|theirs| theirs.value == spot.value)
        {
            let what = format!("{} is also where trunk `{other}` is: nobody can tell their calls apart", named.host);
            faults.error(&spot.at, what, "a name that is one trunk's", None);
        }
    }
    for network in &trunk.accept {
        for theirs in earlier.accept.iter().filter(|theirs| theirs.value.meets(network.value)) {
            if theirs.value == network.value {
                let what = format!("trunk `{other}` accepts {} too: nobody can tell their calls apart", network.value);
                faults.error(&network.at, what, "a network that is one trunk's", None);
            } else {
                let what =
                    format!("{} overlaps {} of trunk `{other}`; the narrower one wins", network.value, theirs.value);
                faults.warn(&network.at, what, "networks that do not overlap", None);
            }
        }
    }
}

fn reachable(draft: &Draft, trunk: &TrunkDraft, faults: &mut Faults<'_>) {
    let name = &trunk.name.value;
    let grouped = draft.groups.iter().flat_map(|group| group.tiers.iter().flatten()).any(|m| m.value.trunk == *name);
    let routed =
        draft.routes.iter().any(|route| route.from.is_empty() || route.from.iter().any(|from| from.value == *name));
    if !grouped && !routed {
        let what = format!("trunk `{name}` is in no group and no route: it neither gets nor brings calls");
        faults.warn(&trunk.name.at, what, "its name in a group's tiers, or in a route's `from`", None);
    }
}

fn members<'a>(draft: &'a Draft, group: &'a GroupDraft) -> impl Iterator<Item = &'a TrunkDraft> {
    group.tiers.iter().flatten().filter_map(|member: &At<_>| draft.trunk(&member.value.trunk))
}

/// One trunk with one target is a single point of failure, and so are several on one host. One listen for all carriers is one
/// too, but nearly every edge has no more than one uplink, and a warning that is always there is none.
fn depth(draft: &Draft, group: &GroupDraft, faults: &mut Faults<'_>) {
    let hosts: Vec<IpAddr> =
        members(draft, group).flat_map(|trunk| &trunk.targets).map(|target| target.value.addr.ip()).collect();
    let written: usize = group.tiers.iter().map(Vec::len).sum();
    let one_host = hosts.first().filter(|first| hosts.iter().all(|host| host == *first));
    let (Some(host), false) = (one_host, group.alone) else { return };
    let name = &group.name.value;
    let what = match (written, hosts.len()) {
        (1, 1) => format!("group `{name}` has one trunk with one target: when that fails, its calls fail"),
        // Where a trunk is not known, or had no good target, that is the fault to repair.
        (_, 1) => return,
        // Several on one machine are a lab, and its loopback fails with the edge.
        _ if host.is_loopback() => return,
        _ => format!("all targets of group `{name}` are on {host}: when that host fails, its calls fail"),
    };
    let fix = Some(String::from("add a second one elsewhere, or say `alone = true` if that is meant"));
    faults.warn(&group.name.at, what, "a second trunk or target, on another host", fix);
}

/// What the last candidate's caller has waited for when every one before is silent.
fn patience(draft: &Draft, group: &GroupDraft, faults: &mut Faults<'_>) {
    let costs = members(draft, group).flat_map(|trunk| {
        let each = (trunk.attempt.first_reply, trunk.attempt.hunt);
        core::iter::repeat_n(each, trunk.targets.len())
    });
    let costs: Vec<(Span, Span)> = costs.collect();
    let Some((_, before)) = costs.split_last() else { return };
    let waited = before.iter().fold(Span::ZERO, |sum, (first_reply, _)| sum + *first_reply);
    let hunt = costs.iter().map(|(_, hunt)| *hunt).min().unwrap_or(Span::MAX);
    let name = &group.name.value;
    // One trunk that is too slow by itself has been told so already.
    if before.len() < 2 || waited <= PATIENCE {
        return;
    }
    let fix = Some(String::from("shorten `first_reply` of its trunks, or take fewer"));
    let what = if waited >= hunt {
        format!(
            "when the others of group `{name}` are silent, the hunt is over ({hunt}) before the last one's turn ({waited})"
        )
    } else {
        format!("when the others of group `{name}` are silent, a caller waits {waited} until the last one's turn")
    };
    faults.warn(&group.name.at, what, format!("at most {PATIENCE}"), fix);
}

fn led_to(draft: &Draft, group: &GroupDraft, faults: &mut Faults<'_>) {
    let used = draft.routes.iter().any(|route| route.to.as_ref().is_some_and(|to| to.value == group.name.value));
    if !used && !draft.routes.is_empty() {
        let what = format!("no route leads to group `{}`", group.name.value);
        faults.warn(&group.name.at, what, "a [[route]] to it", None);
    }
}

/// A route behind one that takes everything it could take.
fn shadowed(draft: &Draft, faults: &mut Faults<'_>) {
    for (index, route) in draft.routes.iter().enumerate() {
        let covers = |earlier: &&super::route::RouteDraft| {
            let from = earlier.from.is_empty()
                || (!route.from.is_empty()
                    && route.from.iter().all(|name| earlier.from.iter().any(|other| other.value == name.value)));
            let number = |prefix: &String| earlier.prefixes.iter().any(|other| prefix.starts_with(other.as_str()));
            let prefixes =
                earlier.prefixes.is_empty() || (!route.prefixes.is_empty() && route.prefixes.iter().all(number));
            from && prefixes
        };
        if draft.routes[..index].iter().any(|earlier| covers(&earlier)) {
            let what = "no call reaches this route: an earlier one takes all of them";
            faults.warn(&route.at, what, "narrower routes first", Some(String::from("move it up, or remove it")));
        }
    }
}
