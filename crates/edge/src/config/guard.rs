//! `[guard]`: who is kept out, and for how long.

use super::draft::Draft;
use super::fault::Faults;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, is};
use super::value::{self, Network};
use crate::guard::{GuardPolicy, PUT_OFF, Strangers};
use act::Cidr;
use model::Span;

pub(super) static GUARD: Section = Section {
    title: "[guard]",
    example: "[guard]",
    about: "Who is kept out. Whoever is no trunk and no registered phone is a stranger; trunks are never shut out.",
    keys: &[
        is(
            "deny",
            "list of addresses and networks",
            "[]",
            "What comes from there is dropped before anything else. No trunk may be among them.",
        ),
        is(
            "strangers",
            "\"refuse\" or \"silent\"",
            "\"refuse\"",
            "Whether a stranger's request is answered as the rules have it (403, 481), or not at all. Silence shows a scanner nothing, and \
             leaves whoever has mistyped an address to wonder.",
        ),
        is(
            "answers",
            "count",
            "50",
            "Answers a second to all strangers together. Whoever forges a sender has our answers sent there, and this is all he gets.",
        ),
        is(
            "scanners",
            "list of texts",
            "[\"friendly-scanner\", \"friendly-request\", \"sipvicious\", \"sipcli\", \"sip-scan\", \"sipscan\", \"sipsak\", \"sundayddr\", \
             \"iwar\", \"vaxsipuseragent\", \"vaxasip\", \"pplsip\"]",
            "A stranger whose User-Agent has one of these in it, in any case, is shut out by his first message.",
        ),
        is("malformed", "count", "20", "Broken messages of a stranger within `window` that shut him out."),
        is("requests", "count", "200", "Messages of a stranger within `window` beyond which he is shut out."),
        is(
            "failures",
            "count",
            "10",
            "Failed authentications, and requests inside calls that are not his, within `window` that shut a stranger out.",
        ),
        is(
            "registers",
            "count",
            "2000",
            "REGISTERs of a stranger within `window` that are served, where a registrar is; more are dropped, and nobody is shut out for \
             them. Phones that are registered behind the same address add to it.",
        ),
        is(
            "phone",
            "count",
            "1000",
            "Messages outside calls that a registered phone may send within `window`; more are dropped. Its calls go on.",
        ),
        is("window", "duration", "\"10s\"", "What all of these count within."),
        is("ban", "duration", "\"5min\"", "How long the first shut-out lasts. Each further one lasts twice as long."),
        is("longest", "duration", "\"24h\"", "The longest one; whoever behaves for as long is forgiven."),
    ],
};

/// Entries of a list of networks at most.
const NETWORKS_MAX: usize = 10_000;
/// Names of scanners at most: each is looked for in each message of a stranger.
const SCANNERS_MAX: usize = 64;

/// `[guard]` as read.
#[derive(Debug, Default)]
pub(super) struct GuardDraft {
    pub(super) policy: GuardPolicy,
    pub(super) deny: Vec<At<Network>>,
}

pub(super) fn read(root: &Reader<'_, '_>, faults: &mut Faults<'_>) -> GuardDraft {
    let mut draft = GuardDraft::default();
    let Some(node) = root.get("guard") else { return draft };
    let Some(reader) = Reader::open(node, &node.span(), &GUARD, faults) else { return draft };
    if let Some(node) = reader.get("deny") {
        draft.deny = networks(node, faults);
    }
    let policy = &mut draft.policy;
    reader.set("strangers", &mut policy.strangers, faults, |node, faults| {
        let word = value::word(&["refuse", "silent"])(node, faults)?;
        Some(if word == "silent" { Strangers::Silent } else { Strangers::Refuse })
    });
    reader.set("answers", &mut policy.answers, faults, value::count(1, 1_000_000));
    if let Some(node) = reader.get("scanners") {
        policy.scanners = scanners(node, faults);
    }
    reader.set("malformed", &mut policy.malformed, faults, value::count(1, 1_000_000));
    reader.set("requests", &mut policy.requests, faults, value::count(1, 1_000_000));
    reader.set("failures", &mut policy.failures, faults, value::count(1, 1_000_000));
    reader.set("registers", &mut policy.registers, faults, value::count(1, 1_000_000));
    reader.set("phone", &mut policy.phone, faults, value::count(1, 1_000_000));
    let week = Span::from_secs(7 * 86_400);
    reader.set("window", &mut policy.window, faults, value::span(Span::from_secs(1), Span::from_secs(3_600)));
    reader.set("ban", &mut policy.ban, faults, value::span(Span::from_secs(1), week));
    reader.set("longest", &mut policy.longest, faults, value::span(Span::from_secs(1), week));
    if policy.longest < policy.ban {
        let what = format!("the longest shut-out ({}) is shorter than the first ({})", policy.longest, policy.ban);
        faults.error(&reader.place("longest"), what, "at least as long as `ban`", None);
    }
    draft
}

/// A list of networks that is not too long.
pub(super) fn networks(node: &Node<'_>, faults: &mut Faults<'_>) -> Vec<At<Network>> {
    let all = many(node, faults, value::network);
    if all.len() > NETWORKS_MAX {
        let what = format!("{} networks are too many", all.len());
        faults.error(&node.span(), what, format!("at most {NETWORKS_MAX}; a firewall holds more"), None);
    }
    all
}

fn scanners(node: &Node<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    let all = many(node, faults, |node, faults| {
        let text = value::text(node, faults)?;
        if text.trim().len() < 3 {
            let what = "so short a name is part of many an honest one";
            faults.error(&node.span(), what, "at least three letters", None);
            return None;
        }
        Some(text.trim().to_lowercase())
    });
    if all.len() > SCANNERS_MAX {
        let what = format!("{} names are too many: each message of a stranger is searched for all of them", all.len());
        faults.error(&node.span(), what, format!("at most {SCANNERS_MAX}"), None);
    }
    all.into_iter().map(|name| name.value).collect()
}

/// Nobody means to deny a trunk, and a trunk in there would never be heard again.
pub(super) fn check(draft: &Draft, faults: &mut Faults<'_>) {
    for denied in &draft.guard.deny {
        for trunk in &draft.trunks {
            let targets = trunk.targets.iter().map(|target| Network::one(target.value.addr.ip()));
            let mut own = targets.chain(trunk.accept.iter().map(|net| net.value));
            if own.any(|net| net.meets(denied.value)) {
                let what =
                    format!("{} has addresses of trunk `{}`: it would never be heard", denied.value, trunk.name.value);
                faults.error(&denied.at, what, "networks without any trunk", None);
            }
        }
    }
}

/// With the lists of the listens, which the guard keeps as well.
pub(super) fn policy(draft: &Draft) -> GuardPolicy {
    let set = |list: &[At<Network>]| list.iter().map(|net| cidr(net.value)).collect();
    GuardPolicy {
        deny: set(&draft.guard.deny),
        registrations: draft.registrar.as_ref().map_or(0, |registrar| registrar.rate.saturating_mul(PUT_OFF)),
        allow: draft.listens.iter().map(|listen| set(&listen.allow)).collect(),
        ..draft.guard.policy.clone()
    }
}

fn cidr(net: Network) -> Cidr {
    Cidr { addr: net.addr, bits: net.bits }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::config::{Compiled, compile};
    use crate::guard::{GuardPolicy, Strangers};
    use model::Span;

    const EXAMPLE: &str = include_str!("../../../../examples/two-carriers.toml");

    fn with(more: &str) -> Compiled {
        compile(&format!("{EXAMPLE}\n{more}"), "edge.toml", &|_| None, None)
    }

    fn faults(more: &str) -> Vec<String> {
        with(more).faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_key_reaches_the_guard() {
        let text = "[guard]\ndeny = [\"100.64.0.0/10\", \"2001:db8:bad::/48\"]\nstrangers = \"silent\"\nanswers = 7\nscanners = \"NMAP\"\n\
                    malformed = 3\nrequests = 4\nfailures = 5\nregisters = 8\nphone = 9\nwindow = \"6s\"\nban = \"1min\"\nlongest = \"2h\"\n";
        let guard = with(text).settings.unwrap().guard;
        assert!(guard.deny.contains("100.127.0.1".parse().unwrap()));
        assert!(!guard.deny.contains("100.128.0.1".parse().unwrap()));
        assert_eq!(
            (guard.strangers, guard.answers, guard.scanners.clone()),
            (Strangers::Silent, 7, vec!["nmap".to_owned()])
        );
        assert_eq!((guard.malformed, guard.requests, guard.failures), (3, 4, 5));
        assert_eq!((guard.registers, guard.phone), (8, 9));
        let spans = [guard.window, guard.ban, guard.longest].map(Span::as_secs);
        assert_eq!(spans, [6, 60, 7_200]);
        let written = "scanners = [\"friendly-scanner\"]";
        assert_eq!(with(&format!("[guard]\n{written}")).settings.unwrap().guard.scanners.len(), 1);
        let bare = with("").settings.unwrap();
        assert_eq!(*bare.guard, GuardPolicy { allow: bare.guard.allow.clone(), ..GuardPolicy::default() });
        assert!(bare.guard.allow.iter().all(|list| list.is_empty()));
    }

    #[test]
    fn a_listen_has_a_list_of_its_own() {
        let text = EXAMPLE.replacen("[listen.lan]", "[listen.lan]\nallow = \"192.0.2.0/24\"", 1);
        let guard = compile(&text, "edge.toml", &|_| None, None).settings.unwrap().guard;
        let told = guard.allow.iter().map(|list| list.contains("192.0.2.77".parse().unwrap())).collect::<Vec<_>>();
        assert_eq!(told.iter().filter(|one| **one).count(), 1, "{told:?}");
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        let of = |more: &str| faults(more).into_iter().find(|fault| fault.contains("error")).unwrap_or_default();
        let denied = of("[guard]\ndeny = [\"203.0.113.0/26\"]");
        assert!(denied.contains("has addresses of trunk"), "{denied}");
        let shorter = of("[guard]\nban = \"2h\"\nlongest = \"1h\"");
        assert!(shorter.contains("is shorter than the first"), "{shorter}");
        assert!(of("[guard]\nscanners = [\"a\"]").contains("so short a name"));
        assert!(of("[guard]\nstrangers = \"tarpit\"").contains("error"));
        assert!(of("[guard]\ndney = []").contains("did you mean `deny`"));
    }
}
