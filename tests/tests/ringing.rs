//! A carrier is lost while calls ring through it: those very calls are moved. Their callers get an answer and no error, and hear the
//! voice of the second carrier.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{Behaviour, Dial, Failing, Heard, Report};
use interop::edge::{CONFIG, Edge};
use interop::pauses::steadily;
use interop::sipp::Sipp;
use interop::{agents, journal, let_pass, namespace, wait_until};
use model::Span;
use node::lab::{LiveAgent, Order};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

const RATE: u32 = 50;
/// Four hundred calls: the carriers' usual delays are known.
const WARM: Duration = Duration::from_secs(8);
/// A doubt in the warm-up, since the machine stood still, is over by then.
const STANDING: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
enum Loss {
    /// Packets vanish.
    Silent,
    /// Its port is closed. Nothing is sent to a call that rings, so no ICMP comes for it before it is asked whether it still does.
    Killed,
}

#[test]
fn calls_that_ring_at_a_trunk_that_falls_silent_are_moved() {
    steadily(|| rescues(Loss::Silent));
}

#[test]
fn calls_that_ring_at_a_trunk_that_is_killed_are_moved() {
    steadily(|| rescues(Loss::Killed));
}

/// So long a carrier rings in these tests: fifty calls a second, so a hundred ring at any moment.
const RINGS_FOR: Span = Span::from_secs(2);
const SECOND_TONE_HZ: u16 = 850;

/// Calls that rang at acme when it was lost.
fn caught_ringing(calls: &[Value], lost: u64) -> Vec<&Value> {
    let caught = |attempt: &Value| journal::rang(attempt) && journal::over(attempt) >= lost;
    calls.iter().filter(|call| journal::lost_at(call, "acme").any(caught)).collect()
}

/// The primary is lost while calls ring there, and those very calls are followed.
fn rescues(loss: Loss) {
    namespace::enter();
    let slow = Behaviour { tone_hz: 440, answer_after: Some(RINGS_FOR), ..Behaviour::default() };
    let acme = agents::agent("acme", 31, slow);
    let _globex = agents::agent("globex", 32, Behaviour { tone_hz: SECOND_TONE_HZ, ..Behaviour::default() });
    let phone = agents::start("phone", SocketAddr::from(([127, 0, 0, 20], 5070)), Behaviour::default());
    let edge = Edge::start(CONFIG);
    let seconds = 30;
    let mut caller = Sipp::caller("caller_brief", "127.0.0.20", "127.0.0.10:5060", "+4722334455", RATE * seconds, RATE);
    let_pass(WARM);
    wait_until("both are in good standing", STANDING, || journal::stands("acme") && journal::stands("globex"));
    phone.order(Order::Dial(Dial {
        to: SocketAddr::from(([127, 0, 0, 10], 5060)),
        number: "+4722334456".to_owned(),
        mark: String::new(),
        late_offer: false,
        tone_hz: 1_300,
        presses: Vec::new(),
        hang_up_after: Some(Span::from_secs(3)),
        give_up_after: None,
    }));
    let_pass(Duration::from_millis(700));
    let lost = journal::now();
    match loss {
        Loss::Killed => acme.order(Order::Behave(Behaviour { failing: Some(Failing::Closed), ..slow })),
        Loss::Silent => namespace::black_hole("127.0.0.31"),
    }
    let heard = ended(&phone);
    assert!(caller.finished(Duration::from_secs(120)), "{:?}\n{}", caller.counts(), caller.errors());
    let total = usize::try_from(RATE * seconds).expect("a count") + 1;
    wait_until("every call is recorded", Duration::from_secs(60), || journal::calls().len() >= total);
    let calls = journal::calls();
    let ringing = caught_ringing(&calls, lost);
    let moved = |call: &&&Value| {
        !call["answered"].is_null()
            && journal::attempts_at(call, "globex").any(|attempt| attempt["outcome"] == "answered")
    };
    let saved = ringing.iter().filter(moved).count();
    println!("{loss:?}: {} calls rang at the trunk when it was lost, {saved} were answered elsewhere", ringing.len());
    assert!(ringing.len() >= 25, "{loss:?}: {} calls rang", ringing.len());
    assert!(saved * 10 >= ringing.len() * 9, "{loss:?}: {saved} of {} were answered", ringing.len());
    assert_eq!(caller.counts().1, 0, "{loss:?}: no caller gets an error");
    assert!(ringing.iter().any(|call| call["called"] == "+4722334456"), "{loss:?}: the phone's call is one of them");
    assert_eq!(heard.tone_hz, Some(SECOND_TONE_HZ), "{loss:?}: {heard:?}");
    assert!(heard.tone_for >= Span::from_secs(1), "{loss:?}: {heard:?}");
    drop(edge);
}

/// What the phone has heard when its call is over.
fn ended(phone: &LiveAgent) -> Heard {
    loop {
        let report = phone.reports.recv_timeout(Duration::from_secs(60)).expect("the phone's call ends");
        match report {
            Report::Ended { heard, .. } => return heard,
            Report::Refused { .. } | Report::Failed { .. } => panic!("the phone's call was lost: {report:?}"),
            _ => {}
        }
    }
}
