//! `[dns]`: how the names of trunks are looked up.

use super::fault::Faults;
use super::reader::{Reader, many};
use super::schema::{Section, is, other};
use super::value;
use crate::names::DnsSettings;
use model::Span;

pub(super) static DNS: Section = Section {
    title: "[dns]",
    example: "[dns]",
    about: "How names in `at` of trunks are looked up (RFC 3263). No call waits for it: names are looked up ahead of need, and what was found \
            stays in use while nobody answers.",
    keys: &[
        other(
            "servers",
            "list of \"ADDRESS:PORT\"",
            "those of the system",
            "[\"192.0.2.53:53\", \"198.51.100.53:53\"]",
            "Name servers. Several are asked at once, and the first good answer counts. At most 8.",
        ),
        is("timeout", "duration", "\"2s\"", "How long one question may take before it counts as not answered."),
        is(
            "floor",
            "duration",
            "\"5s\"",
            "An answer holds so long at least, whatever its TTL: a TTL of zero is no reason to ask for each call.",
        ),
        is("ceiling", "duration", "\"1h\"", "And so long at most: a carrier that moves is found within this time."),
        is("negative", "duration", "\"1min\"", "How long \"there is none\" holds at most (RFC 2308)."),
        is("retry", "duration", "\"30s\"", "How soon a question that nobody answered is asked again."),
        is(
            "stale",
            "duration",
            "\"24h\"",
            "How long the last addresses stay in use when nobody answers any more, or when the name leads nowhere (RFC 8767). An alarm \
             tells of it all the while.",
        ),
    ],
};

/// Servers asked at once at most.
const SERVERS_MAX: usize = 8;

pub(super) fn read(root: &Reader<'_, '_>, faults: &mut Faults<'_>) -> DnsSettings {
    let mut dns = DnsSettings::default();
    let Some(node) = root.get("dns") else { return dns };
    let Some(reader) = Reader::open(node, &node.span(), &DNS, faults) else { return dns };
    if let Some(node) = reader.get("servers") {
        let servers = many(node, faults, value::socket);
        if servers.len() > SERVERS_MAX {
            let what = format!("{} servers are more than are asked at once", servers.len());
            faults.error(&node.span(), what, format!("at most {SERVERS_MAX}"), None);
        }
        dns.servers = servers.into_iter().map(|server| server.value).collect();
    }
    let (s, day) = (Span::from_secs, 86_400);
    reader.set("timeout", &mut dns.timeout, faults, value::span(Span::from_millis(100), s(30)));
    reader.set("floor", &mut dns.floor, faults, value::span(s(1), s(3_600)));
    reader.set("ceiling", &mut dns.ceiling, faults, value::span(s(1), s(day)));
    reader.set("negative", &mut dns.negative, faults, value::span(s(1), s(3_600)));
    reader.set("retry", &mut dns.retry, faults, value::span(s(1), s(3_600)));
    // RFC 8767 §5 advises one to three days.
    reader.set("stale", &mut dns.stale, faults, value::span(s(0), s(3 * day)));
    if dns.ceiling < dns.floor {
        let what = format!("answers hold {} at most and {} at least", dns.ceiling, dns.floor);
        faults.error(&reader.place("ceiling"), what, "a ceiling not below the floor", None);
    }
    dns
}
