//! `timers = { … }` of a trunk: the base values of RFC 3261 §17.1.1.1.

use super::fault::Faults;
use super::reader::Reader;
use super::schema::{Section, is};
use super::value;
use model::Span;
use sip::TimerSet;

pub(super) static TIMERS: Section = Section {
    title: "timers of [trunk.NAME]",
    example: "[trunk.acme.timers]",
    about: "Base values of the SIP timers towards this trunk. They repair lost packets; how long a caller waits is said in `calls`.",
    keys: &[
        is(
            "t1",
            "duration",
            "\"500ms\"",
            "Round-trip estimate: first repetition of a request. A lower one repairs a loss sooner. The INVITE of a call goes by the trunk's own pace once that is known: twice its 95th percentile, 80 ms at least and never longer than this.",
        ),
        is("t2", "duration", "\"4s\"", "Longest pause between repetitions."),
        is("t4", "duration", "\"5s\"", "Longest life of a packet in the network."),
        is("timer_b", "duration", "\"32s\"", "When a request counts as lost, if nothing else ends it before."),
    ],
};

pub(super) fn read(trunk: &Reader<'_, '_>, timers: &mut TimerSet, faults: &mut Faults<'_>) {
    let Some(node) = trunk.get("timers") else { return };
    let Some(reader) = Reader::open(node, &node.span(), &TIMERS, faults) else { return };
    let wait = value::span(Span::from_millis(20), Span::from_secs(300));
    reader.set("t1", &mut timers.t1, faults, &wait);
    reader.set("t2", &mut timers.t2, faults, &wait);
    reader.set("t4", &mut timers.t4, faults, &wait);
    reader.set("timer_b", &mut timers.timer_b, faults, &wait);
    if timers.t2 < timers.t1 {
        let what = format!("t2 ({}) is the longest pause and t1 ({}) the first", timers.t2, timers.t1);
        faults.error(&reader.place("t2"), what, "t2 not shorter than t1", None);
    }
}
