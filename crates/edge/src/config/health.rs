//! `health = { … }` of a trunk: thresholds of the judge, besides `fall` and `rise` of its probes.

use super::fault::Faults;
use super::reader::Reader;
use super::schema::{Section, is};
use super::value;
use decide::HealthPolicy;
use model::Span;

pub(super) static HEALTH: Section = Section {
    title: "health of [trunk.NAME]",
    example: "[trunk.acme.health]",
    about: "When a target's health changes. Each number is the one that sentences quote.",
    keys: &[
        is(
            "suspect_after",
            "count",
            "2",
            "Probes that fail in a row before Suspect: used after every trunk that is up.",
        ),
        is(
            "late_calls",
            "count",
            "5",
            "Calls stalled within 10 s before Suspect, and twice as many without any reply; fewer, and a trunk that is slow for a moment is one.",
        ),
        is(
            "silence",
            "duration",
            "\"1s\"",
            "Nothing heard at all for so long, and `silent_calls` late ones are enough for Suspect.",
        ),
        is(
            "blamed_calls",
            "count",
            "3",
            "Calls in a row that failed by the trunk's fault before Suspect: OPTIONS may answer all the while.",
        ),
        is(
            "silent_calls",
            "count",
            "3",
            "Calls in a row without any reply, and a fast probe that fails too, before Down.",
        ),
        is("refusals", "count", "2", "Refusals by the network (ICMP) in a row before Down; one can be stale."),
        is(
            "failure_share",
            "share",
            "\"50%\"",
            "Share of calls within 60 s that failed by the trunk's fault, before Down.",
        ),
        is("doubt_share", "share", "\"20%\"", "The same before Suspect: failures few enough never to come in a row."),
        is(
            "failure_min",
            "count",
            "20",
            "Calls within 60 s before either share counts: a share of three calls says nothing.",
        ),
        is(
            "media_calls",
            "count",
            "3",
            "Calls within 5 min in which nothing was heard of it or arrived there, before it is Down for media; two, or as many with holes, before Suspect.",
        ),
        is("media_share", "share", "\"50%\"", "And their share of the calls of those 5 min."),
        is(
            "registration_failures",
            "count",
            "2",
            "Renewals of our registration in a row that failed, before Suspect; one lost answer is weather.",
        ),
        is("test_calls", "count", "2", "Test calls in a row that failed, before Down; one fewer before Suspect."),
        is(
            "calm",
            "duration",
            "\"10s\"",
            "Time without anything bad before Suspect ends; doubles for a trunk that flaps.",
        ),
        is("dwell", "duration", "\"30s\"", "Time Down before it may be tried again; doubles per relapse."),
        is("dwell_max", "duration", "\"30min\"", "Longest dwell."),
        is("forgive", "duration", "\"10min\"", "Time Up after which one doubling is forgiven."),
        is("canary_calls", "count", "5", "Good calls that earn the next step of the ramp."),
        is("canary_time", "duration", "\"20s\"", "Time without anything bad that earns it when calls are few."),
    ],
};

pub(super) fn read(trunk: &Reader<'_, '_>, health: &mut HealthPolicy, faults: &mut Faults<'_>) {
    let Some(node) = trunk.get("health") else { return };
    let Some(reader) = Reader::open(node, &node.span(), &HEALTH, faults) else { return };
    // Of late calls and of silent ones so many are remembered, and twice as many late ones are looked for: a limit above it would never
    // be reached.
    reader.set("late_calls", &mut health.late_calls, faults, value::count(1, 32));
    reader.set("media_calls", &mut health.media_calls, faults, value::count(1, 64));
    let counts = [
        ("suspect_after", &mut health.suspect_after),
        ("blamed_calls", &mut health.blamed_calls),
        ("silent_calls", &mut health.silent_calls),
        ("refusals", &mut health.refusals),
        ("failure_min", &mut health.failure_min),
        ("registration_failures", &mut health.registration_failures),
        ("test_calls", &mut health.test_calls),
        ("canary_calls", &mut health.canary_calls),
    ];
    for (key, slot) in counts {
        reader.set(key, slot, faults, value::count(1, 10_000));
    }
    let spans = [
        ("silence", &mut health.silence),
        ("calm", &mut health.calm),
        ("dwell", &mut health.dwell),
        ("dwell_max", &mut health.dwell_max),
        ("forgive", &mut health.forgive),
        ("canary_time", &mut health.canary_time),
    ];
    for (key, slot) in spans {
        reader.set(key, slot, faults, value::span(Span::from_millis(100), Span::from_secs(86_400)));
    }
    let shares = [
        ("failure_share", &mut health.failure_share),
        ("doubt_share", &mut health.doubt_share),
        ("media_share", &mut health.media_share),
    ];
    for (key, slot) in shares {
        reader.set(key, slot, faults, |node, faults| value::percent(1)(node, faults).map(u32::from));
    }
    if health.dwell > health.dwell_max {
        let what = format!("dwell ({}) is longer than dwell_max ({})", health.dwell, health.dwell_max);
        faults.error(&reader.place("dwell"), what, "dwell not longer than dwell_max", None);
    }
    if health.suspect_after > health.fall {
        let what = format!(
            "suspect_after ({}) is above fall ({}): the trunk is Down before it is in doubt",
            health.suspect_after, health.fall
        );
        faults.warn(&reader.place("suspect_after"), what, "a count below `fall` of its probe", None);
    }
}
