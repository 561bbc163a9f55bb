//! `probe = { … }` of a trunk: OPTIONS, and how many of them make an opinion.

use super::fault::Faults;
use super::reader::{At, Reader, many};
use super::schema::{Section, is, other};
use super::value;
use decide::HealthPolicy;
use model::Span;
use sense::{CodeClass, ProbePolicy};

pub(super) static PROBE: Section = Section {
    title: "probe of [trunk.NAME]",
    example: "[trunk.acme.probe]",
    about: "OPTIONS to each target, from the very socket that calls use.",
    keys: &[
        is(
            "on",
            "true or false",
            "true",
            "Without probes only calls tell, and a trunk without calls is never seen to fail.",
        ),
        is("every", "duration", "\"5s\"", "Probe to probe. Shorter finds silence sooner and costs the peer more."),
        is(
            "jitter",
            "share",
            "\"20%\"",
            "More or less than `every` by up to this, so that many trunks do not fall into step.",
        ),
        is("fast", "duration", "\"1s\"", "Probe to probe while in doubt."),
        is(
            "deadline",
            "duration",
            "\"1.5s\"",
            "Probe to answer, at most. Two lost packets are still repaired within it.",
        ),
        is(
            "learned",
            "true or false",
            "true",
            "Whether the deadline follows the target's own round trip: four times its 95th percentile, between 1 s and `deadline`.",
        ),
        is(
            "idle_only",
            "true or false",
            "false",
            "Whether probes rest while calls get through. Kind to a peer that counts them; a probe is evidence of its own, though.",
        ),
        is("fall", "count", "3", "Probes that fail in a row before the target is Down; one lost packet is weather."),
        is("rise", "count", "3", "Good probes in a row before it may come back."),
        other(
            "alive",
            "list of codes and classes",
            "any answer but 503",
            "[\"2xx\", \"404\", \"405\"]",
            "Answers that count as alive. Who refuses OPTIONS has read it.",
        ),
    ],
};

pub(super) fn read(
    trunk: &Reader<'_, '_>,
    probe: &mut ProbePolicy,
    health: &mut HealthPolicy,
    faults: &mut Faults<'_>,
) {
    let Some(node) = trunk.get("probe") else { return };
    let Some(reader) = Reader::open(node, &node.span(), &PROBE, faults) else { return };
    let pace = value::span(Span::from_millis(100), Span::from_secs(3_600));
    reader.set("on", &mut probe.on, faults, value::flag);
    reader.set("every", &mut probe.every, faults, &pace);
    reader.set("jitter", &mut probe.jitter_percent, faults, value::percent(0));
    reader.set("fast", &mut probe.fast, faults, &pace);
    reader.set("deadline", &mut probe.deadline, faults, value::span(Span::from_millis(10), Span::from_secs(32)));
    reader.set("learned", &mut probe.learned, faults, value::flag);
    reader.set("idle_only", &mut probe.idle_only, faults, value::flag);
    reader.set("fall", &mut health.fall, faults, value::count(1, 1_000));
    reader.set("rise", &mut health.rise, faults, value::count(1, 1_000));
    if let Some(node) = reader.get("alive") {
        probe.alive =
            many(node, faults, value::code_class).into_iter().map(|class: At<CodeClass>| class.value).collect();
    }
    dangers(&reader, probe, health, faults);
}

fn dangers(reader: &Reader<'_, '_>, probe: &ProbePolicy, health: &HealthPolicy, faults: &mut Faults<'_>) {
    if !probe.on {
        let what = "without probes a trunk that carries no calls is never seen to fail, nor to be well again";
        faults.warn(&reader.place("on"), what, "true", None);
    }
    if probe.deadline >= probe.every {
        let what = format!("a probe is waited for ({}) until the next one is due ({})", probe.deadline, probe.every);
        faults.warn(&reader.place("deadline"), what, "a deadline shorter than `every`", None);
    }
    if health.fall == 1 {
        let what = "one lost probe takes the trunk down";
        faults.warn(&reader.place("fall"), what, "2 or more", Some(String::from("write fall = 3")));
    }
    if health.rise == 1 {
        let what = "one good probe brings the trunk back: a trunk that flaps will drag calls along";
        faults.warn(&reader.place("rise"), what, "2 or more", Some(String::from("write rise = 3")));
    }
    let alive = |code| probe.is_alive(&model::ProbeResult::Answered { code, rtt: Span::ZERO });
    if !alive(200) {
        let what = "an answer of 200 would not count as alive";
        faults.warn(&reader.place("alive"), what, "a list that holds \"2xx\"", None);
    }
}
