//! `fraud` of `[trunk.NAME]`: what calls from a trunk may dial, and how many.

use super::edge::number;
use super::fault::Faults;
use super::reader::{Node, Reader, many};
use super::schema::{Section, other};
use super::value;
use act::InboundPolicy;

pub(super) static FRAUD: Section = Section {
    title: "fraud of [trunk.NAME]",
    example: "[trunk.acme.fraud]",
    about: "Whoever breaks into a PBX dials dear numbers, many at once. Calls from this trunk that go beyond are refused, recorded and an alarm; \
            emergency calls pass. The longest call is `session_max` of its `calls`.",
    keys: &[
        other(
            "deny",
            "list of prefixes",
            "any number may be dialled",
            "[\"+882\", \"900\"]",
            "Numbers, as dialled, that begin so are refused with 403, unless a longer prefix of `allow` fits.",
        ),
        other(
            "allow",
            "list of prefixes",
            "any number may be dialled",
            "[\"+47\", \"0\"]",
            "When written, every other number is refused with 403; a longer prefix of `deny` still holds.",
        ),
        other("concurrent", "count", "no limit", "20", "Calls from it at once; beyond them 603."),
        other("per_hour", "count", "no limit", "300", "Calls from it within any hour; beyond them 603."),
    ],
};

/// Prefixes of one list at most: each is compared with each number.
const PREFIXES_MAX: usize = 1_000;

/// The table, and the limit on haste, which is among the trunk's `limits`.
pub(super) fn read(trunk: &Reader<'_, '_>, limits: &'static Section, faults: &mut Faults<'_>) -> InboundPolicy {
    let mut policy = InboundPolicy::default();
    // What else is in there, and what is wrong with it, is told where it is read.
    let mut told = Faults::new("", "");
    if let Some(node) = trunk.get("limits")
        && let Some(reader) = Reader::open(node, &node.span(), limits, &mut told)
    {
        policy.cps = reader.read("cps_from", faults, value::count(1, 1_000_000));
    }
    let Some(node) = trunk.get("fraud") else { return policy };
    let Some(reader) = Reader::open(node, &node.span(), &FRAUD, faults) else { return policy };
    policy.deny = reader.get("deny").map(|node| prefixes(node, faults)).unwrap_or_default();
    policy.allow = reader.get("allow").map(|node| prefixes(node, faults)).unwrap_or_default();
    policy.concurrent = reader.read("concurrent", faults, value::count(1, 1_000_000));
    policy.per_hour = reader.read("per_hour", faults, value::count(1, 1_000_000));
    for prefix in policy.deny.iter().filter(|prefix| policy.allow.contains(prefix)) {
        let what = format!("{prefix} is in `allow` too; it is refused");
        faults.warn(&reader.place("deny"), what, "it in one of the two", None);
    }
    policy
}

fn prefixes(node: &Node<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    let all = many(node, faults, number);
    if all.len() > PREFIXES_MAX {
        let what = format!("{} prefixes are too many", all.len());
        faults.error(&node.span(), what, format!("at most {PREFIXES_MAX}"), None);
    }
    all.into_iter().map(|prefix| prefix.value).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::config::{Compiled, compile};
    use model::TrunkId;

    const EXAMPLE: &str = include_str!("../../../../examples/two-carriers.toml");

    fn with(more: &str) -> Compiled {
        let text = EXAMPLE.replacen("[trunk.office]", &format!("[trunk.office]\n{more}"), 1);
        compile(&text, "edge.toml", &|_| None, None)
    }

    #[test]
    fn every_key_reaches_the_trunk() {
        let settings = with(
            "limits = { cps_from = 7 }\nfraud = { deny = [\"+882\"], allow = [\"+47\", \"0\"], concurrent = 20, per_hour = 300 }",
        )
        .settings
        .unwrap();
        let inbound = &settings.profiles.trunk(TrunkId(0)).unwrap().inbound;
        assert_eq!(
            (&inbound.deny[..], &inbound.allow[..]),
            (&["+882".to_owned()][..], &["+47".into(), "0".into()][..])
        );
        assert_eq!((inbound.concurrent, inbound.per_hour, inbound.cps), (Some(20), Some(300), Some(7)));
    }

    #[test]
    fn what_cannot_be_meant_is_said_once() {
        let said = |more: &str| with(more).faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said("fraud = { deny = [\"+47\"], allow = [\"+47\"] }").contains("+47 is in `allow` too"));
        assert!(said("fraud = { deny = [\"Peru\"] }").contains("is no number to dial"));
        assert_eq!(said("limits = { cps_form = 7 }").matches("unknown key").count(), 1);
    }
}
