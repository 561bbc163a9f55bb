//! A sound configuration has no finding; each fault planted in it has its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::config::compile;

const SOUND: &str = r#"
[listen.lan]
sip = "udp:192.0.2.10:5060"
media = "192.0.2.10:20000-20999"
[listen.one]
sip = "udp:198.51.100.10:5060"
media = "198.51.100.10:20000-20999"
[listen.two]
sip = "udp:203.0.113.10:5060"
media = "203.0.113.10:20000-20999"

[trunk.office]
at = "sip:192.0.2.20:5060"
listen = "lan"
[trunk.acme]
at = "sip:198.51.100.50:5060"
listen = "one"
limits = { calls = 200, cps = 20 }
codecs = ["PCMA", "PCMU"]
rescue = "on"
[trunk.globex]
at = "sip:203.0.113.50:5060"
listen = "two"
limits = { calls = 200, cps = 20 }
codecs = ["PCMA", "PCMU"]
rescue = "on"

[group]
carriers = { tiers = [["acme"], ["globex"]] }
pbx = { tiers = [["office"]], alone = true }
[[route]]
from = "office"
to = "carriers"
[[route]]
from = ["acme", "globex"]
to = "pbx"
"#;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Two uplinks, two resolvers, ports that are free, a certificate that lasts, a peak that fits.
fn world() -> Facts {
    let way = |local: &str, interface: &str| Some(Way { local: ip(local), interface: Some(interface.to_owned()) });
    let free = Ports::Tried { taken: 0, first: None };
    Facts {
        resolvers: vec!["192.0.2.53:53".parse().unwrap(), "198.51.100.53:53".parse().unwrap()],
        ways: [
            (ip("192.0.2.20"), way("192.0.2.10", "eth0")),
            (ip("198.51.100.50"), way("198.51.100.10", "eth1")),
            (ip("203.0.113.50"), way("203.0.113.10", "eth2")),
        ]
        .into(),
        certificates: vec![("edge.pem".to_owned(), 90)],
        ports: (0..3).map(|listen| (ListenId(listen), free.clone())).collect(),
        peaks: [("acme".to_owned(), 150)].into(),
    }
}

fn findings(changes: &[(&str, &str)], facts: &Facts) -> Vec<Finding> {
    let text = changes.iter().fold(SOUND.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    let compiled = compile(&text, "edge.toml", &|_| None, None);
    let settings = compiled.settings.unwrap_or_else(|| panic!("{:?}", compiled.faults));
    look(&settings, facts)
}

/// What one change of the configuration leads to: weight, kind, trunks, words.
#[track_caller]
fn leads_to(changes: &[(&str, &str)], weight: Weight, kind: &str, words: &str) {
    let found = findings(changes, &world());
    let kinds: Vec<&str> = found.iter().map(|finding| finding.kind).collect();
    let finding =
        found.iter().find(|finding| finding.kind == kind).unwrap_or_else(|| panic!("{kind} is not in {kinds:?}"));
    assert_eq!(finding.weight, weight, "{finding}");
    assert!(finding.to_string().contains(words), "{finding}");
    assert!(!finding.advice.is_empty(), "{finding}");
}

/// What one fact leads to, and that it leads to nothing else.
#[track_caller]
fn fact_leads_to(change: impl FnOnce(&mut Facts), weight: Weight, kind: &str, words: &str) {
    let mut facts = world();
    change(&mut facts);
    let found = findings(&[], &facts);
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((finding.weight, finding.kind), (weight, kind), "{finding}");
    assert!(finding.to_string().contains(words), "{finding}");
}

const GLOBEX: &str = "at = \"sip:203.0.113.50:5060\"";
const ACME: &str = "at = \"sip:198.51.100.50:5060\"";
const TIERS: &str = "[[\"acme\"], [\"globex\"]] }";

#[test]
fn a_sound_configuration_has_no_finding() {
    assert_eq!(findings(&[], &world()), []);
    assert!(findings(&[], &Facts::default()).is_empty(), "what is not known is not told");
}

#[test]
fn addresses_and_networks_in_common() {
    leads_to(&[(GLOBEX, "at = \"sip:198.51.100.50:5070\"")], Weight::Danger, "same_address", "both at 198.51.100.50");
    leads_to(&[(GLOBEX, "at = \"sip:198.51.100.77:5060\"")], Weight::Warning, "same_subnet", "one /24");
    let both = findings(&[(GLOBEX, "at = \"sip:198.51.100.50:5070\"")], &world());
    assert!(both.iter().all(|finding| finding.kind != "same_subnet"), "one fault is told once: {both:?}");
    assert_eq!(both[0].group.as_deref(), Some("carriers"));
    assert_eq!(both[0].trunks, [Name::from("acme"), Name::from("globex")]);
}

#[test]
fn a_network_of_ipv6_has_64_bits() {
    let listens = [
        ("udp:198.51.100.10:5060", "udp:[2001:db8:1::10]:5060"),
        ("198.51.100.10:20000", "[2001:db8:1::10]:20000"),
        ("udp:203.0.113.10:5060", "udp:[2001:db8:2::10]:5060"),
        ("203.0.113.10:20000", "[2001:db8:2::10]:20000"),
    ];
    let with = |acme, globex| [&listens[..], &[(ACME, acme), (GLOBEX, globex)]].concat();
    leads_to(
        &with("at = \"sip:[2001:db8:5::1]\"", "at = \"sip:[2001:db8:5::2]\""),
        Weight::Warning,
        "same_subnet",
        "/64",
    );
    let apart = findings(&with("at = \"sip:[2001:db8:5::1]\"", "at = \"sip:[2001:db8:5:1::1]\""), &world());
    assert_eq!(apart, []);
}

#[test]
fn names_of_one_domain_and_one_resolver() {
    let names = [(ACME, "at = \"sip:a.carrier.example\""), (GLOBEX, "at = \"sip:b.carrier.example\"")];
    leads_to(&names, Weight::Warning, "same_domain", "carrier.example");
    let apart = [(ACME, "at = \"sip:acme.example\""), (GLOBEX, "at = \"sip:globex.example\"")];
    let kinds = |facts: &Facts| findings(&apart, facts).iter().map(|finding| finding.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&world()), ["name_unknown", "name_unknown"], "nobody has looked them up");
    let mut one = world();
    one.resolvers.truncate(1);
    assert!(kinds(&one).contains(&"same_resolver"));
    one.resolvers.push("192.0.2.54:53".parse().unwrap());
    assert!(kinds(&one).contains(&"same_resolver"), "two of one network are no two");
    let beside =
        [(ACME, "at = [\"sip:acme.example\", \"sip:198.51.100.50\"]"), (GLOBEX, "at = \"sip:globex.example\"")];
    assert!(findings(&beside, &one).iter().all(|finding| finding.kind != "same_resolver"), "one has an address too");
}

#[test]
fn ways_out_of_the_machine() {
    let eth = |address: &'static str, interface: Option<&str>| {
        let way = interface.map(|name| Way { local: ip("192.0.2.10"), interface: Some(name.to_owned()) });
        move |facts: &mut Facts| {
            facts.ways.insert(ip(address), way);
        }
    };
    fact_leads_to(eth("203.0.113.50", Some("eth1")), Weight::Note, "same_interface", "both reached by eth1");
    fact_leads_to(eth("203.0.113.50", None), Weight::Danger, "no_route", "no way from the listen of globex");
}

#[test]
fn certificates_that_end() {
    let days = |days| move |facts: &mut Facts| facts.certificates = vec![("edge.pem".to_owned(), days)];
    fact_leads_to(days(12), Weight::Warning, "certificate_expires", "expires in 12 days");
    fact_leads_to(days(0), Weight::Danger, "certificate_expires", "has expired");
    let mut facts = world();
    days(31)(&mut facts);
    assert_eq!(findings(&[], &facts), []);
}

#[test]
fn codecs_digits_and_security_that_differ() {
    const CODECS: &str = "codecs = [\"PCMA\", \"PCMU\"]\nrescue = \"on\"\n\n[group]";
    let globex = |line: &'static str| [(CODECS, line)];
    leads_to(&globex("codecs = [\"G729\"]\nrescue = \"on\"\n\n[group]"), Weight::Warning, "codecs_differ", "made anew");
    leads_to(
        &globex("codecs = [\"G729\"]\ntranscode = \"never\"\nrescue = \"on\"\n\n[group]"),
        Weight::Danger,
        "codecs_differ",
        "cannot go by globex",
    );
    leads_to(
        &globex("codecs = [\"PCMA\"]\nrescue = \"on\"\n\n[group]"),
        Weight::Note,
        "codecs_differ",
        "does not allow PCMU",
    );
    leads_to(
        &globex("codecs = { require = [\"G722\"] }\nrescue = \"on\"\n\n[group]"),
        Weight::Warning,
        "codecs_differ",
        "requires G722",
    );
    let digits = |line: &'static str| [("rescue = \"on\"\n[trunk.globex]", line)];
    leads_to(
        &digits("rescue = \"on\"\ndtmf = \"info\"\n[trunk.globex]"),
        Weight::Warning,
        "dtmf_differs",
        "to acme by `info` and to globex by `auto`",
    );
    leads_to(
        &digits("rescue = \"on\"\ndtmf = \"inband\"\ntranscode = \"never\"\n[trunk.globex]"),
        Weight::Danger,
        "dtmf_differs",
        "menus stop working",
    );
    leads_to(
        &digits("rescue = \"on\"\nsrtp = \"sdes\"\n[trunk.globex]"),
        Weight::Warning,
        "security_differs",
        "by acme and not by globex",
    );
}

#[test]
fn media_ports_that_are_not_there_or_too_few() {
    let ports = |ports: Ports| {
        move |facts: &mut Facts| {
            facts.ports.insert(ListenId(1), ports);
        }
    };
    fact_leads_to(
        ports(Ports::Tried { taken: 3, first: Some(20_010) }),
        Weight::Warning,
        "ports_taken",
        "from 20010 on",
    );
    fact_leads_to(ports(Ports::Foreign), Weight::Danger, "ports_foreign", "no address of this machine");
    leads_to(
        &[("198.51.100.10:20000-20999", "198.51.100.10:20000-20199")],
        Weight::Danger,
        "ports_few",
        "may carry 200 calls",
    );
    let mut facts = world();
    facts.peaks.insert("office".to_owned(), 600);
    let found = findings(&[], &facts);
    assert!(
        found.iter().any(|finding| finding.kind == "ports_few" && finding.what.contains("have carried 600")),
        "{found:?}"
    );
}

#[test]
fn a_backup_too_small_for_what_was_or_may_be() {
    const LIMITS: &str =
        "limits = { calls = 200, cps = 20 }\ncodecs = [\"PCMA\", \"PCMU\"]\nrescue = \"on\"\n\n[group]";
    let globex = |line: &'static str| [(LIMITS, line)];
    leads_to(
        &globex("limits = { calls = 100, cps = 20 }\n[group]"),
        Weight::Danger,
        "capacity_short",
        "has carried 150",
    );
    leads_to(
        &globex("limits = { calls = 180, cps = 20 }\n[group]"),
        Weight::Warning,
        "capacity_short",
        "may carry 200",
    );
    leads_to(
        &globex("limits = { calls = 200, cps = 10 }\n[group]"),
        Weight::Warning,
        "rate_short",
        "20 calls a second",
    );
    let without = findings(&globex("\n[group]"), &world());
    assert!(without.iter().all(|finding| !finding.kind.ends_with("_short")), "no limit, no shortage: {without:?}");
}

#[test]
fn timers_that_callers_do_not_wait_for() {
    let acme = |line: &'static str| [("rescue = \"on\"\n[trunk.globex]", line)];
    leads_to(
        &acme("rescue = \"on\"\ncalls = { first_reply = \"9s\" }\n[trunk.globex]"),
        Weight::Danger,
        "slow_first_reply",
        "nothing for 9 s",
    );
    leads_to(
        &acme("rescue = \"on\"\ncalls = { progress = \"10s\" }\n[trunk.globex]"),
        Weight::Warning,
        "slow_progress",
        "waits 12 s",
    );
    leads_to(
        &acme("rescue = \"on\"\ncalls = { progress = \"12s\" }\n[trunk.globex]"),
        Weight::Danger,
        "no_time_for_backup",
        "never tried",
    );
    leads_to(
        &acme("rescue = \"on\"\ncalls = { ring = \"10s\" }\n[trunk.globex]"),
        Weight::Warning,
        "short_ring",
        "for 10 s",
    );
    leads_to(
        &acme("rescue = \"on\"\ncalls = { ring = \"600s\" }\n[trunk.globex]"),
        Weight::Note,
        "long_ring",
        "for 600 s",
    );
    leads_to(
        &acme("rescue = \"on\"\nprobe = { on = false }\n[trunk.globex]"),
        Weight::Warning,
        "not_probed",
        "acme is not probed",
    );
    leads_to(
        &acme("rescue = \"on\"\nprobe = { every = \"120s\" }\n[trunk.globex]"),
        Weight::Warning,
        "slow_probes",
        "seen after",
    );
}

#[test]
fn traffic_that_never_returns_and_calls_that_nobody_rescues() {
    let manual = [(TIERS, "[[\"acme\"], [\"globex\"]], failback = { manual = true } }")];
    leads_to(&manual, Weight::Warning, "no_failback", "never return to acme");
    let off = [("rescue = \"on\"", ""), ("rescue = \"on\"", "")];
    leads_to(&off, Weight::Note, "no_rescue", "live calls are lost");
    assert_eq!(findings(&off[..1], &world()), [], "one that is rescued is enough");
}

#[test]
fn a_private_address_towards_a_public_one() {
    let inside = [("udp:198.51.100.10:5060", "udp:10.0.0.10:5060"), ("198.51.100.10:20000", "10.0.0.10:20000")];
    leads_to(&inside, Weight::Danger, "behind_nat", "told to send to 10.0.0.10");
    let told =
        [inside[0], ("\"198.51.100.10:20000-20999\"", "\"10.0.0.10:20000-20999\"\nadvertise = \"198.51.100.10\"")];
    assert_eq!(findings(&told, &world()), []);
    let within = [&inside[..], &[(ACME, "at = \"sip:10.0.0.50:5060\"")]].concat();
    assert!(findings(&within, &world()).is_empty(), "a private peer reaches a private address");
}

#[test]
fn the_worst_is_told_first_and_a_report_has_an_end() {
    let found = findings(
        &[(GLOBEX, "at = \"sip:198.51.100.50:5070\""), ("rescue = \"on\"", ""), ("rescue = \"on\"", "")],
        &world(),
    );
    let weights: Vec<Weight> = found.iter().map(|finding| finding.weight).collect();
    assert!(weights.is_sorted() && weights.len() >= 2, "{weights:?}");
    assert!(found[0].to_string().starts_with("danger: group carriers: acme and globex are both at"), "{}", found[0]);
}
