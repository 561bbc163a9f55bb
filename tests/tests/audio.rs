//! Audio through the built edge, checked by its content: each side must hear the other's tone.
//!
//! The carriers listen before the edge starts: its first probes would find a trunk refused and, rightly, leave it out.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{Behaviour, CallNo, Report};
use interop::agents::{agent, dial, ended, expect, plays};
use interop::edge::{CONFIG, Edge};
use interop::{let_pass, namespace};
use model::Span;
use node::lab::Order;
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const WAN: &str = "127.0.0.11:5060";
const LIMIT: Duration = Duration::from_secs(60);
/// What counts as an interruption: far more than a busy machine keeps an agent from sending, far less than any failover.
const INTERRUPTION: Span = Span::from_millis(300);

fn answered(report: &Report) -> Option<CallNo> {
    match report {
        Report::Answered { call, .. } => Some(*call),
        _ => None,
    }
}

#[test]
fn both_sides_hear_each_other_in_both_directions() {
    heard_both_ways("portable");
}

#[test]
fn both_sides_hear_each_other_by_io_uring_too() {
    heard_both_ways("io-uring");
}

fn heard_both_ways(media_io: &str) {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = agent("acme", 31, plays(440));
    let _edge = Edge::start(&CONFIG.replace("[edge]", &format!("[edge]\nmedia_io = \"{media_io}\"")));
    for (caller, callee, to, caller_hz, callee_hz) in
        [(&office, &acme, LAN, 1_300, 440), (&acme, &office, WAN, 620, 1_000)]
    {
        caller.order(dial(to, caller_hz, Some(Span::from_secs(2))));
        let caller_heard = expect(caller, "the caller's end", ended);
        let callee_heard = expect(callee, "the callee's end", ended);
        assert_eq!(caller_heard.tone_hz, Some(callee_hz), "{caller_heard:?}");
        assert_eq!(callee_heard.tone_hz, Some(caller_hz), "{callee_heard:?}");
        assert!(caller_heard.tone_for >= Span::from_secs(1), "{caller_heard:?}");
        assert!(callee_heard.tone_for >= Span::from_secs(1), "{callee_heard:?}");
    }
}

#[test]
fn a_held_call_is_silent_and_a_resumed_one_is_not() {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = agent("acme", 31, plays(440));
    let _edge = Edge::start(CONFIG);
    office.order(dial(LAN, 1_300, None));
    let call = expect(&office, "the answer", answered);
    let reinvited = |report: &Report| match report {
        Report::Reinvited { code, .. } => Some(*code),
        _ => None,
    };
    let_pass(Duration::from_secs(1));
    office.order(Order::Hold(call, true));
    assert_eq!(expect(&office, "the hold", reinvited), 200);
    let_pass(Duration::from_secs(1));
    office.order(Order::Hold(call, false));
    assert_eq!(expect(&office, "the resume", reinvited), 200);
    let_pass(Duration::from_secs(1));
    office.order(Order::HangUp(call));
    let heard = expect(&office, "the end", ended);
    assert_eq!(heard.tone_hz, Some(440), "{heard:?}");
    assert!(heard.tone_for >= Span::from_millis(1_500), "before the hold and after it: {heard:?}");
    assert!(heard.longest_gap >= Span::from_millis(500), "while held nothing came: {heard:?}");
    let heard = expect(&acme, "the end", ended);
    assert_eq!(heard.tone_hz, Some(1_300), "{heard:?}");
}

/// One side wants to go on by fax, the other has none: the offerer has stopped speaking, and both are heard again at once.
#[test]
fn a_fax_that_is_declined_leaves_audio_in_both_directions() {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = agent("acme", 31, plays(440));
    let _edge = Edge::start(CONFIG);
    let code = |report: &Report| match report {
        Report::Reinvited { code, .. } => Some(*code),
        _ => None,
    };
    office.order(dial(LAN, 1_300, None));
    let (call, its) = (expect(&office, "the answer", answered), expect(&acme, "the same", answered));
    let_pass(Duration::from_secs(1));
    for (offerer, call) in [(&acme, its), (&office, call)] {
        offerer.order(Order::Fax(call));
        assert_eq!(expect(offerer, "what becomes of the fax", code), 488);
        let_pass(Duration::from_secs(1));
    }
    let until = (office.now(), acme.now());
    office.order(Order::HangUp(call));
    let heard = (expect(&office, "the end", ended), expect(&acme, "the end", ended));
    for (heard, tone, now) in [(&heard.0, 440, until.0), (&heard.1, 1_300, until.1)] {
        println!("{heard:?}");
        assert_eq!(heard.tone_hz, Some(tone));
        assert!(heard.longest_gap <= INTERRUPTION, "{heard:?}");
        let last = heard.spells.last().expect("it was heard");
        assert!(last.tone_hz == Some(tone) && now.since(last.until) <= INTERRUPTION, "{heard:?}");
        assert_eq!(heard.stream.changes, 0, "{heard:?}");
    }
}

/// The caller has heard the first trunk's early media when that trunk falls silent; the edge asks in vain whether it still rings.
#[test]
fn early_media_of_a_trunk_that_fails_does_not_break_the_next() {
    namespace::enter();
    let at = "at = \"sip:127.0.0.31:5060\"";
    let office = agent("office", 20, plays(1_000));
    let _acme = agent("acme", 31, Behaviour { early_media: true, answer_after: None, ..plays(440) });
    let globex = agent("globex", 32, Behaviour { early_media: true, ..plays(850) });
    let _edge = Edge::start(&CONFIG.replace(at, &format!("{at}\nprobe = {{ every = \"1s\", deadline = \"500ms\" }}")));
    office.order(dial(LAN, 1_300, Some(Span::from_secs(8))));
    let progress = |report: &Report| matches!(report, Report::Progress { code: 183, .. }).then_some(());
    expect(&office, "early media of acme", progress);
    let_pass(Duration::from_secs(1));
    namespace::black_hole("127.0.0.31");
    expect(&office, "the answer of globex", answered);
    let heard = expect(&office, "the end", ended);
    assert_eq!(heard.tone_hz, Some(850), "{heard:?}");
    let heard = expect(&globex, "the end", ended);
    assert_eq!(heard.tone_hz, Some(1_300), "{heard:?}");
    assert!(heard.tone_for >= Span::from_secs(5), "{heard:?}");
}

#[test]
fn an_established_call_outlives_its_carriers_signalling() {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = agent("acme", 31, plays(440));
    let _globex = agent("globex", 32, plays(850));
    let edge = Edge::start(CONFIG);
    office.order(dial(LAN, 1_300, None));
    let call = expect(&office, "the answer", answered);
    let_pass(Duration::from_secs(1));
    // SIP towards acme is gone; its audio is not.
    namespace::black_hole("127.0.0.31");
    let_pass(Duration::from_secs(8));
    office.order(dial(LAN, 1_300, Some(Span::from_secs(1))));
    let second = expect(&office, "the second call's end", ended);
    assert_eq!(second.tone_hz, Some(850), "new calls go through globex: {second:?}");
    office.order(Order::HangUp(call));
    let heard = expect(&office, "the first call's end", ended);
    assert_eq!(heard.tone_hz, Some(440), "{heard:?}");
    assert!(heard.tone_for >= Span::from_secs(8), "audio went on: {heard:?}");
    namespace::heal();
    expect(&acme, "the BYE that is repeated until it arrives", ended);
    let record = gaps(&edge);
    println!("longest gaps at the relay, both calls, both directions: {record:?}");
    assert!(record.iter().all(|gap| *gap <= INTERRUPTION), "gaps at the relay: {record:?}");
}

/// Longest gaps of the records of all ended calls, both directions.
fn gaps(edge: &Edge) -> Vec<Span> {
    interop::wait_until("both calls are recorded", LIMIT, || calls(edge).len() == 2);
    let side = |call: &serde_json::Value, name: &str| call["media"][name].as_u64().map(Span::from_micros);
    calls(edge)
        .iter()
        .flat_map(|call| [side(call, "gap_from_caller"), side(call, "gap_from_callee")])
        .map(|gap| gap.expect("media of an anchored call"))
        .collect()
}

fn calls(_edge: &Edge) -> Vec<serde_json::Value> {
    let journal = interop::http::get("/v1/journal?from=1&limit=1000");
    let entries = journal["entries"].as_array().cloned().unwrap_or_default();
    entries.into_iter().filter_map(|entry| entry["record"].get("call").cloned()).collect()
}
