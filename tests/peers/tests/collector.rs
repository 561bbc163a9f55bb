//! A call as a trace, as a collector of another maker understands it.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{namespace, wait_until};
use peers::matrix::{ACME, FAR, GLOBEX, LAN, LIMIT, OFFICE, recorded};
use peers::rotel::{self, Rotel, Span};

#[test]
fn a_collector_has_a_call_with_its_plan_both_attempts_and_the_talk() {
    namespace::enter();
    let collector = Rotel::start();
    let _acme = Sipp::server("server_503", ACME);
    let _globex = Sipp::server("server", GLOBEX);
    let edge = Edge::start(&format!("{CONFIG}[traces]\nurl = \"{}\"\n", rotel::URL));
    let mut caller = Sipp::caller("caller", OFFICE, LAN, FAR, 1, 1);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    let call = recorded(1).remove(0)["call"].as_str().expect("its reference").to_owned();
    wait_until("all of it has come", LIMIT, || collector.spans().len() >= 5);
    let spans = collector.spans();
    let told: Vec<[&str; 3]> = spans.iter().map(|span| [&*span.name, &*span.kind, &*span.status]).collect();
    let (internal, client, unset) = ("SPAN_KIND_INTERNAL", "SPAN_KIND_CLIENT", "STATUS_CODE_UNSET");
    assert_eq!(
        told,
        [
            ["call from office", "SPAN_KIND_SERVER", unset],
            ["route", internal, unset],
            ["attempt acme", client, "STATUS_CODE_ERROR"],
            ["attempt globex", client, unset],
            ["talk", internal, unset],
        ]
    );
    let first = &spans[0];
    assert!(first.parent.is_empty() && first.trace.len() == 32 && first.trace.ends_with(&call), "{first:?}");
    let within = |span: &Span| first.start <= span.start && span.start <= span.end && span.end <= first.end;
    let parts = spans[1..].iter().all(|span| (&span.trace, &span.parent) == (&first.trace, &first.id) && within(span));
    assert!(parts, "{spans:?}");
    for (span, attribute) in [
        (0, format!("throughline.call: Str({call})")),
        (0, "throughline.attempts: Int(2)".to_owned()),
        (2, "sip.response.status_code: Int(503)".to_owned()),
        (3, format!("network.peer.address: Str({GLOBEX})")),
    ] {
        assert!(spans[span].attributes.contains(&attribute), "{attribute}: {:?}", spans[span].attributes);
    }
}
