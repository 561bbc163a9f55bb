//! Test calls in the simulator: placed by the schedule, carried out by shards against agents, every packet through the network.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::network::Weather;
use crate::town::{CONFIG, TEST_NUMBER, Town, works};
use agent::{Behaviour, Failing};
use edge::{NoVerdict, Tested};
use model::{Instant, Span, TestCallResult, TrunkId};
use std::sync::Arc;

const ACME: usize = 1;

/// A town whose acme gets these test calls and behaves so, two minutes later.
fn after(test_call: &str, behaviour: Behaviour) -> (Town, Vec<Tested>) {
    let written = format!("test_call = {{ number = \"{TEST_NUMBER}\", every = \"30s\"{test_call} }}");
    let text = CONFIG.replace(&format!("test_call = {{ number = \"{TEST_NUMBER}\", every = \"30s\" }}"), &written);
    assert!(text.contains(&written));
    let compiled = edge::config::compile(&text, "sim.toml", &|_| None, None);
    let mut town = Town::new(Arc::new(compiled.settings.unwrap()), 2, Weather::CALM, 5);
    town.behave(ACME, behaviour);
    town.run_until(Instant::ZERO + Span::from_secs(120));
    let ended = town.oracle.test_calls().to_vec();
    assert!((2..=5).contains(&ended.len()), "at its pace: {ended:?}");
    assert!(ended.iter().all(|tested| tested.target.trunk == TrunkId(1)));
    (town, ended)
}

fn results(ended: &[Tested]) -> Vec<TestCallResult> {
    ended.iter().map(|tested| tested.outcome.unwrap().result).collect()
}

/// Nothing of a test call is left at the edge, nor at a carrier that works.
fn at_rest(mut town: Town) {
    town.behave(ACME, works());
    let quiet = CONFIG.replace("\nat = ", "\nprobe = { on = false }\nat = ").replace("\ntest_call = ", "\n# ");
    let before = town.control().snapshot().settings.clone();
    let compiled = edge::config::compile(&quiet, "sim.toml", &|_| None, Some(&before));
    town.reload(Arc::new(compiled.settings.unwrap()));
    let end = town.now() + Span::from_secs(120);
    town.run_until(end);
    let left: Vec<_> = town.left().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(left, []);
    let oracle = core::mem::take(&mut town.oracle);
    assert_eq!(oracle.verdict(&[]), []);
}

#[test]
fn an_echo_number_proves_both_directions_and_the_times_are_those_of_the_carrier() {
    let (town, ended) = after("", works());
    for tested in &ended {
        let outcome = tested.outcome.unwrap();
        let heard = outcome.heard.unwrap();
        let (ringback, answer) = (outcome.ringback.unwrap(), outcome.answer.unwrap());
        assert!((20..60).contains(&ringback.as_millis()), "rings after 20 ms and the way there and back: {ringback}");
        assert!((200..260).contains(&answer.as_millis()), "{answer}");
        assert_eq!(outcome.result, TestCallResult::Good { ringback: Some(ringback), answer: Some(answer) });
        assert!(heard.from_target && heard.to_target && heard.echo >= Span::from_millis(500), "{heard:?}");
        assert!(heard.loud >= heard.echo + Span::from_millis(800), "its own tone first: {heard:?}");
    }
    at_rest(town);
}

#[test]
fn no_audio_and_audio_one_way_are_told_apart() {
    let (town, ended) = after("", Behaviour { failing: Some(Failing::NoRtp), ..works() });
    let silent = TestCallResult::NoTone { from_target: false, to_target: false };
    assert!(results(&ended).iter().all(|result| *result == silent), "{ended:?}");
    at_rest(town);
    let one_way = Behaviour { echo_number: None, ..works() };
    let (town, ended) = after("", one_way);
    let unproven = TestCallResult::NoTone { from_target: true, to_target: false };
    assert!(results(&ended).iter().all(|result| *result == unproven), "{ended:?}");
    at_rest(town);
    let (town, ended) = after(", tone = \"from\"", one_way);
    assert!(results(&ended).iter().all(|result| matches!(result, TestCallResult::Good { .. })), "{ended:?}");
    at_rest(town);
}

#[test]
fn a_class_that_is_expected_is_good_and_another_code_is_not() {
    let busy = |code| Behaviour { refuse: Some(code), ..works() };
    let expect = ", expect = [\"486\", \"404\"]";
    let (town, ended) = after(expect, busy(486));
    let good = TestCallResult::Good { ringback: None, answer: None };
    assert!(results(&ended).iter().all(|result| *result == good), "{ended:?}");
    at_rest(town);
    let (town, ended) = after(expect, busy(503));
    assert!(results(&ended).iter().all(|result| *result == TestCallResult::Refused { code: 503 }), "{ended:?}");
    at_rest(town);
    let (town, ended) = after(expect, works());
    assert!(results(&ended).iter().all(|result| *result == TestCallResult::Refused { code: 200 }), "{ended:?}");
    at_rest(town);
}

#[test]
fn silence_and_endless_ringing_end_by_the_deadline_and_leave_no_call_behind() {
    for behaviour in [
        Behaviour { failing: Some(Failing::Silent), ..works() },
        Behaviour { failing: Some(Failing::Stall), ..works() },
        Behaviour { answer_after: None, ..works() },
    ] {
        let (town, ended) = after("", behaviour);
        // Until its INVITE is over, which silence makes last longer than the rest, the next one has to wait.
        let busy = Err(NoVerdict::Busy);
        let told: Vec<Tested> = ended.into_iter().filter(|tested| tested.outcome != busy).collect();
        let silence = TestCallResult::NoReply { after: Span::from_secs(20) };
        assert!(!told.is_empty() && results(&told).iter().all(|result| *result == silence), "{told:?}");
        at_rest(town);
    }
}

#[test]
fn an_answer_that_crosses_the_cancel_is_ended() {
    // From well before the deadline to well after, in steps smaller than the way there and back.
    for late_us in (19_998_000..20_002_000).step_by(200) {
        let (town, ended) = after("", Behaviour { answer_after: Some(Span::from_micros(late_us)), ..works() });
        assert!(!ended.is_empty());
        at_rest(town);
    }
}
