//! Each way in which a drill breaks a trunk, and each fault planted in what stands in.
#![allow(clippy::expect_used)]

use agent::{Behaviour, DigitWay, Failing};
use interop::drills::{Bench, bench, checks, echoes, failed, step};
use interop::http;
use node::lab::Order;

/// Health that is found out and forgiven quickly.
const QUICK: &str = "health = { dwell = \"3s\" }\nprobe = { every = \"1s\" }";

#[test]
fn a_sound_edge_passes_whatever_breaks_and_no_trunk_suffers() {
    let bench = bench("", "", "");
    let (found, good) = bench.drill(&["refuse", "503", "silent", "stall", "grey", "dns"]);
    assert!(good, "{found:#}");
    assert_eq!((found["failed"].as_u64(), found["steps"].as_array().map(Vec::len)), (Some(0), Some(8)), "{found:#}");
    assert_eq!(found["unproven"].as_u64(), Some(0), "{found:#}");
    let silent = step(&found, "acme broken: silent");
    assert!(silent["ringback"].as_u64() > step(&found, "acme as it is")["ringback"].as_u64(), "{silent:#}");
    assert_eq!((http::health("acme").as_str(), http::health("globex").as_str()), ("up", "up"));
}

#[test]
fn blocked_audio_is_noticed_in_each_direction() {
    let bench = bench("", "", "");
    let (found, good) = bench.drill(&["rtp-from", "rtp-to"]);
    assert!(good, "{found:#}");
    for way in ["rtp-from", "rtp-to"] {
        let step = step(&found, &format!("acme broken: {way}"));
        assert!(checks(step, "passed").contains(&"noticed"), "{step:#}");
        assert_eq!(checks(step, "unproven"), ["rescue"], "nobody is called again here: {step:#}");
    }
    assert!(http::metric("throughline_media_dropped_drilled_total") > 100.0);
    assert_eq!(http::health("acme"), "up");
}

#[test]
fn a_caller_who_is_kept_hears_noise_and_then_the_next_trunk() {
    let bench = bench("rescue = \"on\"", "rescue = \"on\"", "");
    let (found, good) = bench.drill(&["rtp-from"]);
    let step = step(&found, "acme broken: rtp-from");
    assert!(good && checks(step, "passed").contains(&"rescue"), "{step:#}");
    let told = step["lines"].to_string();
    assert!(told.contains("noise for") && told.contains("850 Hz for"), "{told}");
}

fn stand_in(bench: &Bench, behaviour: Behaviour) -> Vec<String> {
    bench.globex.order(Order::Behave(behaviour));
    let (found, good) = bench.drill(&["503"]);
    assert!(!good && failed(step(&found, "acme as it is")).is_empty(), "{found:#}");
    failed(step(&found, "acme broken: 503")).into_iter().map(str::to_owned).collect()
}

#[test]
fn what_is_wrong_with_the_stand_in_fails_its_lines() {
    let bench = bench("", "", "");
    let mute = Behaviour { failing: Some(Failing::NoRtp), ..echoes(850) };
    assert_eq!(stand_in(&bench, mute), ["audio-from", "audio-to", "dtmf-event"], "its audio is blocked");
    let one_way = Behaviour { echo_number: None, ..echoes(850) };
    assert_eq!(
        stand_in(&bench, one_way),
        ["audio-to", "dtmf-event", "dtmf-info"],
        "it says something and hears nothing"
    );
    let credentials = stand_in(&bench, Behaviour { refuse: Some(401), ..echoes(850) });
    assert!(
        credentials.iter().any(|check| check == "stand-in"),
        "nobody has configured what it wants: {credentials:?}"
    );
    for (way, check) in [(DigitWay::Info, "dtmf-event"), (DigitWay::Event, "dtmf-info")] {
        assert_eq!(stand_in(&bench, Behaviour { only_digits: Some(way), ..echoes(850) }), [check]);
    }
    // And the trunk itself, while nothing is broken.
    bench.globex.order(Order::Behave(echoes(850)));
    bench.acme.order(Order::Behave(Behaviour { refuse: Some(503), ..echoes(440) }));
    let (found, _) = bench.drill(&["503"]);
    assert_eq!(failed(step(&found, "acme as it is")), ["sound"], "{found:#}");
}

#[test]
fn deadlines_that_hurt_callers_fail_their_lines() {
    let bench = bench("calls = { progress = \"10s\" }", "", "");
    let (found, good) = bench.drill(&["stall"]);
    assert!(!good && failed(step(&found, "acme broken: stall")) == ["ringback"], "{found:#}");
}

#[test]
fn calls_leave_a_trunk_that_comes_and_goes_once_and_come_back() {
    let bench = bench(QUICK, QUICK, "failback = { after = \"5s\", ramp = [\"100%\"] }");
    let (found, good) = bench.drill_as(&["--fault", "silent", "--all-calls", "--yes"]);
    let step = step(&found, "acme broken for every call: silent, 3 times");
    assert!(good && checks(step, "passed") == ["away", "flips", "failback"], "{found:#}");
}

#[test]
fn calls_that_never_come_back_fail_their_line() {
    let bench = bench(QUICK, QUICK, "failback = { manual = true }");
    let plan = bench.edge.folder().join("drill.toml");
    let text = "[drill]\nall_calls = true\nfailback = \"20s\"\n\
         [[line]]\ntrunk = \"acme\"\nfrom = \"office\"\nnumber = \"+4722000000\"\nfaults = [\"refuse\"]\n";
    std::fs::write(&plan, text).expect("a plan");
    let (found, good) = bench.drill_as(&[plan.to_str().expect("a path"), "--yes"]);
    let step = step(&found, "acme broken for every call: refuse, 3 times");
    assert!(!good && failed(step) == ["failback"], "{found:#}");
}
