//! Names in `at`, and `[dns]`.

use super::{EXAMPLE, said, settings};
use crate::names::Spot;
use model::{Span, TrunkId};
use sip::Transport;

#[test]
fn a_trunk_may_be_at_names_and_at_addresses() {
    let at = |list: &str| EXAMPLE.replacen("\"sip:203.0.113.5:5060\"", list, 1);
    let acme = TrunkId(1);
    let settings =
        settings(&at("[\"sip:SBC.acme.example.\", \"sip:203.0.113.50\", \"sip:b-1.acme.example:5080;transport=udp\"]"));
    let spots = &settings.named[&acme].spots;
    let named = |spot: &Spot| match spot {
        Spot::Named(named) => Some((named.host.to_string(), named.port, named.transport)),
        Spot::At(..) => None,
    };
    let expected = [
        Some(("sbc.acme.example".to_owned(), None, None)),
        None,
        Some(("b-1.acme.example".to_owned(), Some(5080), Some(Transport::Udp))),
    ];
    assert_eq!(spots.iter().map(named).collect::<Vec<_>>(), expected);
    let targets = &settings.profiles.trunk(acme).unwrap().targets;
    assert_eq!(targets.iter().map(|target| target.addr.to_string()).collect::<Vec<_>>(), ["203.0.113.50:5060"]);
    assert_eq!(settings.probes.iter().filter(|(target, _)| target.trunk == acme).count(), 1);
    let no_address = super::settings(&at("\"sip:sbc.acme.example\""));
    assert!(no_address.shape.trunk(acme).unwrap().targets.is_empty());
}

#[test]
fn names_that_cannot_be_meant_are_said() {
    let said = |list: &str| said(&EXAMPLE.replacen("\"sip:203.0.113.5:5060\"", list, 1)).remove(0);
    for (written, told) in [
        (
            "\"sip:sbc.acme.example:0\"",
            "has no good port | write \"sip:sbc.acme.example:5060\", or no port to find it by SRV",
        ),
        ("\"sips:sbc.acme.example;transport=udp\"", "`sips:` is never reached by UDP"),
        ("\"sip:sbc.acme.example;lr\"", "only `;transport=` with udp, tcp or tls has a meaning here"),
        (
            "\"sip:sbc.acme.example;transport=tcp\"",
            "listen `wan` does not speak TCP, by which sbc.acme.example is reached",
        ),
        ("\"sip:sbc..example\"", "is no SIP address"),
        ("\"sip:203.0.113\"", "is no SIP address"),
        ("[\"sip:a.example\", \"sip:A.example\"]", "a.example is named twice"),
    ] {
        assert!(said(written).contains(told), "{written}: {}", said(written));
    }
    let twice = EXAMPLE
        .replace("\"sip:203.0.113.5:5060\"", "\"sip:x.example\"")
        .replace("\"sip:203.0.113.77:5060\"", "\"sip:x.example\"");
    assert!(super::said(&twice)[0].contains("x.example is also where trunk `acme` is"), "{:?}", super::said(&twice));
}

#[test]
fn every_key_of_the_name_service_is_taken() {
    let text = format!(
        "{EXAMPLE}\n[dns]\nservers = \"192.0.2.53:53\"\ntimeout = \"1s\"\nfloor = \"6s\"\nceiling = \"2h\"\nnegative = \"30s\"\n\
         retry = \"20s\"\nstale = \"72h\"\n"
    );
    let dns = settings(&text).dns;
    let spans = [dns.timeout, dns.floor, dns.ceiling, dns.negative, dns.retry, dns.stale].map(Span::as_secs);
    assert_eq!((spans, dns.servers), ([1, 6, 7_200, 30, 20, 259_200], vec!["192.0.2.53:53".parse().unwrap()]));
    assert_eq!(settings(EXAMPLE).dns, crate::names::DnsSettings::default());
    let wrong = said(&format!("{EXAMPLE}\n[dns]\nfloor = \"2min\"\nceiling = \"1min\"\n"));
    assert!(
        wrong[0].contains("answers hold 60 s at most and 120 s at least") || wrong[0].contains("at most and"),
        "{wrong:?}"
    );
}
