//! Audio that is lost while signalling lives, on real sockets: found, explained as audio, steered around, and acted on in live calls.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{Behaviour, CallNo, Heard, Report};
use interop::agents::{agent, dial, ended, expect, plays};
use interop::edge::{CONFIG, Edge};
use interop::namespace::{self, Way};
use interop::{http, journal, let_pass, wait_until};
use model::Span;
use node::lab::{LiveAgent, Order};
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const LIMIT: Duration = Duration::from_secs(60);
/// Acme's line of the configuration.
const AT: &str = "at = \"sip:127.0.0.31:5060\"";

/// Acme's audio may go by another interface as well.
fn by_two_interfaces() -> String {
    let second = "[listen.wan2]\nsip = [\"udp:127.0.0.12:5060\"]\nmedia = \"127.0.0.12:30000-37999\"\n\n[trunk.office]";
    CONFIG.replace(AT, &format!("{AT}\nmedia = [\"wan\", \"wan2\"]")).replace("[trunk.office]", second)
}

fn answered(report: &Report) -> Option<CallNo> {
    match report {
        Report::Answered { call, .. } => Some(*call),
        _ => None,
    }
}

/// The office hangs up: what it has heard and what acme has, each the tone of the other at the end.
fn hung_up(office: &LiveAgent, acme: &LiveAgent, call: CallNo) -> (Heard, Heard) {
    office.order(Order::HangUp(call));
    let (there, here) = (expect(office, "its end", ended), expect(acme, "its end", ended));
    assert_eq!((there.tone_hz, here.tone_hz), (Some(440), Some(1_300)), "{there:?} {here:?}");
    (there, here)
}

/// The office has so many calls up at once.
fn calls(office: &LiveAgent, count: usize) -> Vec<CallNo> {
    for _ in 0..count {
        office.order(dial(LAN, 1_300, None));
    }
    (0..count).map(|_| expect(office, "an answer", answered)).collect()
}

fn why(trunk: &str) -> String {
    http::sentences(&format!("/v1/why/trunk/{trunk}")).join("\n")
}

/// When a trunk went down, and when a call of the journal was answered, by the edge's own clock.
fn went_down(trunk: &str) -> u64 {
    let down = journal::records("decision")
        .into_iter()
        .find(|record| record["who"]["trunk"] == trunk && record["decision"]["change"]["health"]["to"] == "down");
    down.expect("it went down")["decision"]["at"].as_u64().expect("when")
}

/// E1: the carrier's signalling is well and nothing of its audio comes. Its first calls show it within five seconds.
#[test]
fn a_carrier_whose_audio_is_blocked_is_down_for_audio_on_its_first_calls() {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let _acme = agent("acme", 31, plays(440));
    let globex = agent("globex", 32, plays(850));
    let edge = Edge::start(CONFIG);
    namespace::mute("127.0.0.31", &[Way::From]);
    let up = calls(&office, 4);
    wait_until("acme is down for its audio", LIMIT, || why("acme").contains("→ Down"));
    let told = why("acme");
    assert!(told.contains("nothing heard"), "{told}");
    office.order(dial(LAN, 1_300, Some(Span::from_secs(1))));
    let heard = expect(&office, "a call that is heard", ended);
    assert_eq!(heard.tone_hz, Some(850), "new calls go through globex: {heard:?}");
    expect(&globex, "the same", ended);
    for call in up {
        office.order(Order::HangUp(call));
        let heard = expect(&office, "a call that was not", ended);
        assert_eq!(heard.tone_hz, None, "{heard:?}");
    }
    wait_until("all are recorded", LIMIT, || journal::calls().len() == 5);
    let first = journal::calls().iter().filter_map(|call| call["answered"].as_u64()).min().expect("an answer");
    let found = Span::from_micros(went_down("acme").saturating_sub(first));
    println!("found {found} after the first answer");
    assert!(found <= Span::from_secs(5), "found {found} after the first answer");
    let calls = journal::calls();
    let silent: Vec<_> = calls.iter().filter(|call| !call["notes"].is_null()).collect();
    assert_eq!(silent.len(), 4, "each says so: {calls:?}");
    let id = silent[0]["call"].as_str().map(str::to_owned).unwrap_or_default();
    let told = http::sentences(&format!("/v1/why/call/{id}")).join("\n");
    drop(edge);
    assert!(told.contains("nothing was heard of acme") && told.contains("while office kept sending"), "{told}");
}

/// The office's own audio does not reach the edge: no carrier is blamed for it.
#[test]
fn an_office_whose_audio_is_blocked_is_blamed_itself() {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = agent("acme", 31, plays(440));
    let _edge = Edge::start(CONFIG);
    namespace::mute("127.0.0.20", &[Way::From]);
    let up = calls(&office, 4);
    wait_until("each is missed", LIMIT, || http::metric("throughline_call_audio_silent") >= 4.0);
    for call in up {
        office.order(Order::HangUp(call));
        expect(&acme, "its end", ended);
    }
    wait_until("all are recorded", LIMIT, || journal::calls().len() == 4);
    let calls = journal::calls();
    let blamed = calls.iter().filter(|call| call["notes"][0]["whose"] == "caller").count();
    assert_eq!(blamed, 4, "{calls:?}");
    let told = why("acme");
    assert!(!told.contains("→ Down") && !told.contains("→ Suspect"), "{told}");
}

/// SIP and audio of the carrier are gone at once: it is noticed, and its parties are called again through the backup.
#[test]
fn parties_of_a_carrier_that_is_killed_under_live_calls_are_reached_through_the_backup() {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let _acme = agent("acme", 31, plays(440));
    let globex = agent("globex", 32, plays(850));
    let _edge = Edge::start(&CONFIG.replace(AT, &format!("{AT}\nrescue = \"on\"")));
    let up = calls(&office, 5);
    let_pass(Duration::from_secs(1));
    namespace::black_hole("127.0.0.31");
    namespace::mute("127.0.0.31", &[Way::From, Way::To]);
    for _ in &up {
        expect(&globex, "a call of the backup", answered);
    }
    wait_until("all are joined", LIMIT, || http::metric("throughline_call_rescued") >= 5.0);
    let_pass(Duration::from_secs(4));
    for call in up {
        office.order(Order::HangUp(call));
        let heard = expect(&office, "its end", ended);
        assert_eq!(heard.tone_hz, Some(850), "{heard:?}");
        expect(&globex, "its end", ended);
    }
    wait_until("all are recorded", LIMIT, || journal::calls().len() == 10);
    let lost: Vec<_> = journal::calls().into_iter().filter(|call| !call["notes"].is_null()).collect();
    assert_eq!(lost.len(), 5, "{lost:?}");
    let id = lost[0]["call"].as_str().map(str::to_owned).unwrap_or_default();
    let told = http::sentences(&format!("/v1/why/call/{id}")).join("\n");
    println!("{told}");
    assert!(told.contains("asked acme: no reply") && told.contains("was reached again after"), "{told}");
}

/// The path of the audio to one of our interfaces dies while signalling lives: each call goes on by the other one.
#[test]
fn audio_of_live_calls_moves_to_the_other_interface() {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = agent("acme", 31, plays(440));
    let _edge = Edge::start(&by_two_interfaces());
    let up = calls(&office, 20);
    let_pass(Duration::from_secs(1));
    namespace::cut_audio("127.0.0.31", "127.0.0.11");
    wait_until("all have moved", LIMIT, || http::metric("throughline_call_audio_moved") >= 20.0);
    let_pass(Duration::from_secs(1));
    for call in up {
        let (there, here) = hung_up(&office, &acme, call);
        for heard in [there, here] {
            // Three seconds are the limit, two more what may be done within.
            assert!(heard.longest_gap >= Span::from_secs(2) && heard.longest_gap <= Span::from_secs(5), "{heard:?}");
        }
    }
}

/// What the edge sends to the carrier does not arrive, and all else does: the carrier's own reports say so, and each call goes on by the
/// other interface.
#[test]
fn a_carrier_that_reports_that_it_hears_nothing_has_its_audio_moved() {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = agent("acme", 31, Behaviour { reports: true, ..plays(440) });
    let _edge = Edge::start(&by_two_interfaces());
    let up = calls(&office, 4);
    let_pass(Duration::from_secs(3));
    namespace::cut_audio_to("127.0.0.11", "127.0.0.31");
    wait_until("all have moved", LIMIT, || http::metric("throughline_call_audio_moved") >= 4.0);
    let_pass(Duration::from_secs(1));
    for call in up {
        let (there, here) = hung_up(&office, &acme, call);
        assert!(there.longest_gap < Span::from_secs(1), "the office has heard acme all the while: {there:?}");
        // Reports of a second, and three of them for the limit.
        assert!(here.longest_gap >= Span::from_secs(2) && here.longest_gap <= Span::from_secs(10), "{here:?}");
    }
    wait_until("all are recorded", LIMIT, || journal::calls().len() == 4);
    let call = journal::calls().swap_remove(0);
    let id = call["call"].as_str().map(str::to_owned).unwrap_or_default();
    let told = http::sentences(&format!("/v1/why/call/{id}")).join("\n");
    println!("{told}");
    assert!(told.contains("acme reports that nothing of what it is sent has arrived for"), "{told}");
}

/// What acme sends does not arrive, from the answer on, and all else does.
#[test]
fn a_carrier_that_is_heard_by_nobody_is_found_on_its_first_calls() {
    one_way(("127.0.0.31", "127.0.0.11"), "nothing heard for");
}

/// What acme is sent does not arrive, from the answer on, and all else does: it reports as it always has, and leaves out what it hears.
#[test]
fn a_carrier_that_hears_nobody_is_found_on_its_first_calls() {
    one_way(("127.0.0.11", "127.0.0.31"), "by its reports nothing of what it was sent arrived");
}

/// Audio passes one way only: found within five seconds of the answer, named as what it is, new calls go elsewhere, and those that are up go
/// on by the other interface.
fn one_way((from, to): (&str, &str), named: &str) {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = agent("acme", 31, Behaviour { reports: true, ..plays(440) });
    let globex = agent("globex", 32, plays(850));
    let _edge = Edge::start_with(&by_two_interfaces(), &["--shards", "1"]);
    let well = calls(&office, 4);
    let_pass(Duration::from_secs(3));
    for call in well {
        office.order(Order::HangUp(call));
        expect(&acme, "the end of a call that is well", ended);
        expect(&office, "the same", ended);
    }
    namespace::cut_audio_to(from, to);
    let up = calls(&office, 4);
    wait_until("acme is down for its audio", LIMIT, || why("acme").contains("→ Down"));
    let told = why("acme");
    println!("{told}");
    assert!(told.contains(named), "{told}");
    office.order(dial(LAN, 1_300, Some(Span::from_secs(1))));
    let heard = expect(&globex, "a call that is steered elsewhere", ended);
    assert_eq!(heard.tone_hz, Some(1_300), "{heard:?}");
    assert_eq!(expect(&office, "the same", ended).tone_hz, Some(850));
    wait_until("those that are up have moved", LIMIT, || http::metric("throughline_call_audio_moved") >= 4.0);
    let_pass(Duration::from_secs(1));
    for call in up {
        hung_up(&office, &acme, call);
    }
    wait_until("all are recorded", LIMIT, || journal::calls().len() == 9);
    let calls = journal::calls();
    let noted: Vec<_> = calls.iter().filter(|call| !call["notes"].is_null()).collect();
    assert_eq!(noted.len(), 4, "{calls:?}");
    let first = noted.iter().filter_map(|call| call["answered"].as_u64()).min().expect("an answer");
    let found = Span::from_micros(went_down("acme").saturating_sub(first));
    println!("found {found} after the first answer");
    assert!(found <= Span::from_secs(5), "found {found} after the first answer");
}

/// Nobody may be called again here: the call ends within five seconds, towards the party that is left too, and its record says why.
#[test]
fn a_far_side_that_dies_in_mid_call_is_noticed_and_its_call_ended_with_the_reason() {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = agent("acme", 31, plays(440));
    let _edge = Edge::start(CONFIG);
    calls(&office, 3);
    let_pass(Duration::from_secs(1));
    namespace::black_hole("127.0.0.31");
    namespace::mute("127.0.0.31", &[Way::From, Way::To]);
    for _ in 0..3 {
        let (by_us, heard) = expect(&office, "the end", |report| match report {
            Report::Ended { by_us, heard, .. } => Some((*by_us, heard.clone())),
            _ => None,
        });
        let last = heard.spells.last().expect("it was heard").until;
        let noticed = office.now().since(last);
        println!("noticed {noticed} after its last packet");
        assert!(!by_us && heard.tone_hz == Some(440), "{heard:?}");
        assert!(noticed <= Span::from_secs(5), "noticed {noticed} after its last packet");
    }
    wait_until("all are recorded", LIMIT, || journal::calls().len() == 3);
    for call in journal::calls() {
        let why = call["ending"].to_string();
        assert!(why.contains("a party was heard no more and did not answer"), "{why}");
        let id = call["call"].as_str().map(str::to_owned).unwrap_or_default();
        let told = http::sentences(&format!("/v1/why/call/{id}")).join("\n");
        assert!(told.contains("audio of acme stopped") && told.contains("asked acme: no reply"), "{told}");
    }
    drop(acme);
}
