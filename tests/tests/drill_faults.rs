//! Each way in which a drill breaks a trunk, and each of ten faults planted in what stands in: the drill fails with the line of that
//! fault, and passes on a sound edge.
//!
//! | planted | line | fails with it |
//! |---|---|---|
//! | another codec at the backup | `codec` | |
//! | its RTP is blocked | `audio-from` | what needs its sound: `audio-to`, `dtmf-event` |
//! | it takes digits in one way alone | `dtmf-event`, or `dtmf-info` | |
//! | it may carry less than the primary | `capacity_short` | |
//! | it wants credentials that nobody has | `stand-in` | all that a call would show: `ringback`, `answer`, `audio` |
//! | timers that let callers wait | `ringback` | |
//! | one name server for both | `same_resolver` | |
//! | NAT: it tells an address where nobody listens | `re-invite` | what is asked inside the call too: `dtmf-info` |
//! | one-way audio: it hears nothing | `audio-to` | what it should have heard: `dtmf-event`, `dtmf-info` |
//! | calls do not come back | `failback` | |
#![allow(clippy::expect_used)]

use agent::{Behaviour, DigitWay, Failing, Law};
use interop::dns::{self, NameServer};
use interop::drills::{Bench, bench, checks, config, echoes, failed, fate, start, step};
use interop::{http, namespace};
use node::lab::Order;

/// Health that is found out and forgiven quickly.
const QUICK: &str = "health = { dwell = \"3s\" }\nprobe = { every = \"1s\" }";

#[test]
fn a_sound_edge_passes_whatever_breaks_and_no_trunk_suffers() {
    let bench = bench("", "", "");
    let (found, good) = bench.drill_with_config(&["refuse", "503", "silent", "stall", "grey", "dns"]);
    assert!(good, "{found:#}");
    assert_eq!((found["failed"].as_u64(), found["steps"].as_array().map(Vec::len)), (Some(0), Some(9)), "{found:#}");
    assert_eq!(checks(fate(&found), "passed"), ["shared-fate"]);
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

/// A fault of the trunk that stands in: its line, and those that fail with it.
struct Planted {
    what: &'static str,
    behaviour: Behaviour,
    line: &'static str,
    others: &'static [&'static str],
}

fn planted() -> [Planted; 7] {
    let well = echoes(850);
    let one = |what, behaviour, line, others| Planted { what, behaviour, line, others };
    let digits = |way| Behaviour { only_digits: Some(way), ..well };
    // An address of this machine where nobody listens, as a private one does that is somebody else's.
    let inside = Some([127, 0, 9, 9].into());
    [
        one("codec", Behaviour { only_law: Some(Law::Mu), ..well }, "codec", &[]),
        one("RTP", Behaviour { failing: Some(Failing::NoRtp), ..well }, "audio-from", &["audio-to", "dtmf-event"]),
        one("INFO alone", digits(DigitWay::Info), "dtmf-event", &[]),
        one("events alone", digits(DigitWay::Event), "dtmf-info", &[]),
        one("credentials", Behaviour { refuse: Some(401), ..well }, "stand-in", &["ringback", "answer", "audio"]),
        one("NAT", Behaviour { says: inside, ..well }, "re-invite", &["dtmf-info"]),
        one("one way", Behaviour { echo_number: None, ..well }, "audio-to", &["dtmf-event", "dtmf-info"]),
    ]
}

#[test]
fn what_is_wrong_with_the_stand_in_fails_its_line() {
    let bench = bench("", "", "");
    for Planted { what, behaviour, line, others } in planted() {
        bench.globex.order(Order::Behave(behaviour));
        let (found, good) = bench.drill(&["503"]);
        let broken = step(&found, "acme broken: 503");
        assert_eq!(failed(broken), [&[line], others].concat(), "{what}: {found:#}");
        // Nothing else is wrong: acme is what it was.
        for well in ["acme as it is", "acme mended"] {
            assert!(failed(step(&found, well)).is_empty(), "{what}: {found:#}");
        }
        assert!(!good && found["cut"].is_null(), "{what}: {found:#}");
        if what == "credentials" {
            assert!(broken["why"].to_string().contains("401"), "whoever reads learns which: {broken:#}");
        }
    }
}

#[test]
fn what_is_wrong_with_the_trunk_itself_fails_before_anything_is_broken() {
    let bench = bench("", "", "");
    bench.acme.order(Order::Behave(Behaviour { refuse: Some(503), ..echoes(440) }));
    let (found, _) = bench.drill(&["503"]);
    assert_eq!(failed(step(&found, "acme as it is")), ["sound"], "{found:#}");
}

/// A fault that no call shows: the look at the configuration fails by this line alone, and every call passes.
fn shows(bench: &Bench, line: &str) {
    let (found, good) = bench.drill_with_config(&["503"]);
    assert!(!good && failed(fate(&found)) == [line], "{found:#}");
    assert_eq!(found["failed"].as_u64(), Some(1), "{found:#}");
}

#[test]
fn a_backup_that_may_carry_less_than_the_primary_fails_its_line() {
    shows(&bench("limits = { calls = 40 }", "limits = { calls = 10 }", ""), "capacity_short");
}

#[test]
fn one_name_server_for_primary_and_backup_fails_its_line() {
    namespace::enter();
    let _server = NameServer::start("sip.acme A 127.0.0.31\nsip.globex A 127.0.1.32\n");
    let named = config("", "", "")
        .replacen("[listen.lan]", &format!("[dns]\nservers = [\"{}:53\"]\n\n[listen.lan]", dns::AT), 1)
        .replace("sip:127.0.0.31:", "sip:sip.acme.example:")
        .replace("sip:127.0.1.32:", "sip:sip.globex.example:");
    shows(&start(&named), "same_resolver");
}

#[test]
fn deadlines_that_hurt_callers_fail_their_lines() {
    let bench = bench("calls = { progress = \"10s\" }", "", "");
    let (found, good) = bench.drill(&["stall"]);
    assert!(!good && failed(step(&found, "acme broken: stall")) == ["ringback"], "{found:#}");
    assert_eq!(found["failed"].as_u64(), Some(1), "{found:#}");
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
