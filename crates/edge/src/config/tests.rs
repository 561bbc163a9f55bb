//! What a configuration compiles to, and what is said about each way to get it wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use decide::{AttemptPolicy, Failback, GroupPolicy, HealthPolicy, Hedge, Learned};
use media::sdp::{DigitsBy, Transcode};
use model::{GroupId, Span, TrunkId};
use proptest::prelude::*;
use sense::{CodeClass, ProbePolicy};

const EXAMPLE: &str = include_str!("../../../../examples/two-carriers.toml");

mod audio;
mod faults;
mod listens;
mod names;
mod peers;

fn env(name: &str) -> Option<String> {
    match name {
        "ACME_SECRET" | "PHONE_201" | "HEP_PASSWORD" => Some(String::from("hunter2")),
        "OTEL_EXPORTER_OTLP_HEADERS" => Some(String::from("authorization=Bearer%20hunter2")),
        "DESK_ANNA" | "PAGER_SECRET" => Some(String::from("hunter2-hunter2-hunter2")),
        _ => None,
    }
}

fn compiled(text: &str) -> Compiled {
    compile(text, "edge.toml", &env, None)
}

fn settings(text: &str) -> Settings {
    let Compiled { settings, faults } = compiled(text);
    settings.unwrap_or_else(|| panic!("{}", render(&faults, text, "edge.toml")))
}

/// Each fault as `line:column severity what | fix`.
fn said(text: &str) -> Vec<String> {
    let tell = |fault: &Fault| {
        let fix = fault.fix.as_deref().map(|fix| format!(" | {fix}")).unwrap_or_default();
        format!("{}:{} {} {}{fix}", fault.line, fault.column, fault.severity.word(), fault.what)
    };
    compiled(text).faults.iter().map(tell).collect()
}

/// The example with one thing replaced, and what is said about it.
fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(EXAMPLE.contains(from), "{from}");
    said(&EXAMPLE.replacen(from, to, 1))
}

#[test]
fn the_example_compiles_without_a_word_and_is_short() {
    assert_eq!(said(EXAMPLE), Vec::<String>::new());
    assert!(EXAMPLE.lines().count() < 30);
    let settings = settings(EXAMPLE);
    assert_eq!(
        settings.names.trunks.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["office", "acme", "globex"]
    );
    assert_eq!(settings.api, "127.0.0.1:8060".parse().ok());
    let [lan, wan] = settings.sockets.as_slice() else { panic!("two sockets") };
    assert_eq!((lan.id.0, lan.listen.0, wan.id.0, wan.listen.0), (0, 0, 1, 1));
    assert_eq!(wan.sent_by, "198.51.100.10:5060".parse().unwrap());
    let media = settings.listens[1].media.unwrap();
    assert_eq!((media.first, media.last, media.bind == media.advertised), (30_000, 39_999, true));
    let globex = settings.profiles.trunk(TrunkId(2)).unwrap();
    assert_eq!((globex.targets[0].addr, globex.targets[0].socket.0), ("203.0.113.77:5060".parse().unwrap(), 1));
    let tiers: Vec<u16> = settings.shape.groups()[0].tiers.iter().map(|tier| tier[0].trunk.0).collect();
    assert_eq!(tiers, [1, 2]);
    assert_eq!(settings.shape.routes()[1].from, [TrunkId(1), TrunkId(2)]);
    assert_eq!(settings.shape.routes()[1].to, GroupId(1));
    assert_eq!(settings.probes.len(), 3);
}

/// The example of the documentation, whole, with addresses for names and UDP for TCP and TLS.
const EVERYTHING: &str = r#"[edge]
name = "edge-1"
api  = "127.0.0.1:8060"
data = "/var/lib/throughline"
emergency = ["112"]

[listen.lan]
sip   = ["udp:192.0.2.10:5060"]
media = "192.0.2.10:20000-29999"

[listen.wan]
sip       = ["udp:198.51.100.10:5060", "udp:[2001:db8::10]:5060"]
media     = "198.51.100.10:30000-39999"
advertise = "203.0.113.7"

[trunk.office]
at     = ["sip:192.0.2.20:5060"]
listen = "lan"

[trunk.acme]
at     = ["sip:203.0.113.50", "sip:[2001:db8::50]:5080"]
listen = "wan"
accept = ["203.0.113.0/24"]
auth   = { user = "u1001", secret = "env:ACME_SECRET" }
codecs = ["PCMA", "PCMU"]
dtmf   = "rfc4733"
limits = { calls = 200, cps = 20, headroom = "10%" }
probe  = { every = "4s", deadline = "1.2s", fall = 4, rise = 2, alive = ["2xx", 404] }
calls  = { first_reply = "learned", progress = "5s", ring = "90s", move_on = [480], hedge = "5%" }
overload = true

[trunk.globex]
at     = "sip:198.51.100.77:5060;transport=udp"
listen = "wan"

[group.carriers]
tiers    = [["acme*3", "globex"]]
strategy = "least-loaded"
failback = { after = "90s", ramp = ["10%", "100%"] }

[group.pbx]
tiers = [["office"]]

[[route]]
from = ["office"]
prefixes = ["+47"]
to   = "carriers"

[[route]]
from = ["acme", "globex"]
to   = "pbx"
"#;

#[test]
fn every_key_reaches_the_settings() {
    let settings = settings(EVERYTHING);
    let acme = settings.shape.trunk(TrunkId(1)).unwrap();
    assert_eq!(acme.targets, decide::TargetShape::in_order([0, 1]));
    assert_eq!((acme.limits.calls, acme.limits.cps, acme.limits.headroom), (Some(200), Some(20), 10));
    assert_eq!((acme.health.fall, acme.health.rise), (4, 2));
    assert_eq!(acme.attempt.first_reply, Span::from_secs(1));
    assert_eq!((acme.attempt.progress, acme.attempt.ring), (Span::from_secs(5), Span::from_secs(90)));
    assert_eq!(acme.attempt.move_on, [480]);
    assert_eq!((acme.attempt.learned, acme.attempt.hedge), (Some(Learned::default()), Some(Hedge { share: 5 })));
    let (target, probe) = &settings.probes[1];
    assert_eq!((target.trunk, target.index), (TrunkId(1), 0));
    assert_eq!((probe.every, probe.deadline), (Span::from_secs(4), Span::from_millis(1_200)));
    assert_eq!(probe.alive, [CodeClass::Class(2), CodeClass::Code(404)]);
    let profile = settings.profiles.trunk(TrunkId(1)).unwrap();
    assert!(profile.overload);
    assert_eq!(profile.targets[0].addr, "203.0.113.50:5060".parse().unwrap());
    assert_eq!(profile.targets[0].socket.0, 1);
    assert_eq!(profile.targets[1].socket.0, 2, "IPv6 leaves by the IPv6 socket");
    assert_eq!(profile.accept[0].bits, 24);
    assert_eq!(profile.auth.as_ref().unwrap().secret, "hunter2");
    assert_eq!(settings.sockets[1].sent_by, "203.0.113.7:5060".parse().unwrap());
    assert_eq!(settings.sockets[2].sent_by, "[2001:db8::10]:5060".parse().unwrap());
    assert_eq!(settings.profiles.listens[1].media, "203.0.113.7".parse().ok());
    let group = &settings.shape.groups()[0];
    assert_eq!((group.tiers[0][0].weight, group.tiers[0][1].weight), (3, 1));
    assert_eq!(group.failback, Failback::After(Span::from_secs(90)));
    assert_eq!(group.ramp, [10, 100]);
    assert_eq!(group.strategy, decide::Strategy::LeastLoaded);
    let by = |word| self::settings(&EVERYTHING.replace("least-loaded", word)).shape.groups()[0].strategy;
    assert_eq!((by("quality"), by("weighted")), (decide::Strategy::Quality, decide::Strategy::Weighted));
    assert_eq!(settings.shape.routes()[0].prefixes, ["+47"]);
    assert_eq!(settings.profiles.emergency, [b"112"]);
    assert_eq!(settings.data.as_deref(), Some("/var/lib/throughline"));
    let by =
        |word| self::settings(&EVERYTHING.replacen("[edge]", &format!("[edge]\nmedia_io = \"{word}\""), 1)).media_io;
    assert_eq!([by("io-uring"), by("portable"), by("auto")], [MediaIo::IoUring, MediaIo::Portable, MediaIo::Auto]);
    assert_eq!(settings.media_io, MediaIo::Auto);
}

#[test]
fn each_word_of_a_trunk_s_audio_reaches_its_policy() {
    let media_of = |text: &str| settings(text).profiles.trunk(TrunkId(1)).unwrap().media.clone();
    let media = |line: &str| media_of(&EVERYTHING.replace("overload = true", line));
    let transcode = |word| media(&format!("transcode = \"{word}\"")).transcode;
    let words = [transcode("when-needed"), transcode("always"), transcode("never")];
    assert_eq!(words, [Transcode::WhenNeeded, Transcode::Always, Transcode::Never]);
    assert_eq!(media("").transcode, Transcode::WhenNeeded);
    assert!(media("rtcp_xr = true").rtcp_xr && !media("").rtcp_xr);
    let digits = |word| media_of(&EVERYTHING.replace("\"rfc4733\"", &format!("\"{word}\""))).digits;
    let words = [digits("auto"), digits("rfc4733"), digits("info"), digits("inband")];
    assert_eq!(words, [DigitsBy::Auto, DigitsBy::Events, DigitsBy::Info, DigitsBy::Inband]);
    assert_eq!(media_of(&EVERYTHING.replace("dtmf   = \"rfc4733\"\n", "")).digits, DigitsBy::Auto);
}

#[test]
fn what_works_but_was_hardly_meant_is_said() {
    let list = said(EVERYTHING);
    assert_eq!(list.len(), 1, "{list:#?}");
    assert!(list[0].starts_with("41:8 warning group `pbx` has one trunk with one target"), "{}", list[0]);
}

#[test]
fn the_first_reply_is_learned_unless_a_duration_is_written() {
    let with = |keys: &str| {
        let text = EXAMPLE.replacen(
            "listen = \"wan\"\n[trunk.globex]",
            &format!("listen = \"wan\"\n{keys}\n[trunk.globex]"),
            1,
        );
        settings(&text).shape.trunk(TrunkId(1)).unwrap().attempt.clone()
    };
    let default = AttemptPolicy::default();
    for keys in ["", "calls = { first_reply = \"learned\" }"] {
        let attempt = with(keys);
        assert_eq!((attempt.learned, attempt.first_reply), (default.learned, Span::from_secs(1)), "{keys}");
        assert!(attempt.learned.is_some());
    }
    let fixed = with("calls = { first_reply = \"800ms\" }");
    assert_eq!((fixed.learned, fixed.first_reply, fixed.hedge), (None, Span::from_millis(800), None));
}

#[test]
fn a_trunk_without_group_and_route_is_noticed() {
    let text = format!("{EXAMPLE}\n[trunk.spare]\nat = \"sip:203.0.113.99\"\nlisten = \"wan\"\n");
    assert_eq!(
        said(&text),
        ["31:8 warning trunk `spare` is in no group and no route: it neither gets nor brings calls"]
    );
}

#[test]
fn silence_of_many_is_counted_up() {
    let more = "[\"sip:203.0.113.5\", \"sip:203.0.113.6\", \"sip:203.0.113.7\"]\ncalls = { first_reply = \"2s\" }";
    let list = changed("\"sip:203.0.113.5:5060\"", more);
    assert_eq!(list[0], "16:10 warning when trunk `acme` is silent, a caller waits 6 s on its 3 targets (2 s each)");
    assert!(
        list[1]
            .contains("when the others of group `carriers` are silent, a caller waits 6 s until the last one's turn")
    );
}

#[test]
fn two_trunks_cannot_accept_the_same_network() {
    let both = |acme: &str, globex: &str| {
        let text = EXAMPLE
            .replace("at     = \"sip:203.0.113.5:5060\"", &format!("at = \"sip:203.0.113.5\"\naccept = \"{acme}\""));
        text.replace("at     = \"sip:203.0.113.77:5060\"", &format!("at = \"sip:203.0.113.77\"\naccept = \"{globex}\""))
    };
    assert_eq!(
        said(&both("10.0.0.0/8", "10.0.0.0/8")),
        ["21:10 error trunk `acme` accepts 10.0.0.0/8 too: nobody can tell their calls apart"]
    );
    assert_eq!(
        said(&both("10.0.0.0/8", "10.1.0.0/16")),
        ["21:10 warning 10.1.0.0/16 overlaps 10.0.0.0/8 of trunk `acme`; the narrower one wins"]
    );
    assert_eq!(said(&both("10.0.0.0/9", "10.128.0.0/9")), Vec::<String>::new());
}

#[test]
fn an_empty_text_says_what_is_the_least() {
    let list = said("");
    assert_eq!(list.len(), 3, "{list:?}");
    assert!(list[0].starts_with("1:1 error there is no good [listen.NAME]"));
}

#[test]
fn addresses_keep_their_numbers_whatever_becomes_of_the_list() {
    let with = |addrs: &str, previous: Option<&Settings>| {
        let text = EXAMPLE.replace("at     = \"sip:203.0.113.5:5060\"", &format!("at = [{addrs}]"));
        compile(&text, "edge.toml", &env, previous).settings.expect("good")
    };
    let numbers = |settings: &Settings| {
        let targets = &settings.profiles.trunk(TrunkId(1)).unwrap().targets;
        assert_eq!(
            settings.shape.trunk(TrunkId(1)).unwrap().targets,
            decide::TargetShape::in_order(targets.iter().map(|t| t.index))
        );
        let probed = settings.probes.iter().filter(|(target, _)| target.trunk == TrunkId(1)).count();
        assert_eq!(probed, targets.len());
        targets.iter().map(|target| (target.addr.ip().to_string(), target.index)).collect::<Vec<_>>()
    };
    let is = |list: &[(&str, u8)]| list.iter().map(|(ip, index)| (String::from(*ip), *index)).collect::<Vec<_>>();
    let first = with(r#""sip:203.0.113.5", "sip:203.0.113.6""#, None);
    assert_eq!(numbers(&first), is(&[("203.0.113.5", 0), ("203.0.113.6", 1)]));
    let second = with(r#""sip:203.0.113.8", "sip:203.0.113.6""#, Some(&first));
    assert_eq!(numbers(&second), is(&[("203.0.113.8", 2), ("203.0.113.6", 1)]));
    assert_eq!(second.profiles.trunk(TrunkId(1)).unwrap().target(0), None, "nobody took its number");
    // Another port is another address, and one that comes back is new: what was held of it is long out of date.
    let third = with(r#""sip:203.0.113.6", "sip:203.0.113.8:5070", "sip:203.0.113.5""#, Some(&second));
    assert_eq!(numbers(&third), is(&[("203.0.113.6", 1), ("203.0.113.8", 3), ("203.0.113.5", 4)]));
}

#[test]
fn trunks_keep_their_ids_by_name() {
    let first = settings(EXAMPLE);
    // acme goes, initech comes and stands first.
    let initech = "[trunk.initech]\nat = \"sip:203.0.113.9\"\nlisten = \"wan\"\n[trunk.office]";
    let text = EXAMPLE
        .replace("[trunk.office]", initech)
        .replace("[trunk.acme]\nat     = \"sip:203.0.113.5:5060\"\nlisten = \"wan\"\n", "")
        .replace("acme", "initech");
    let second = compile(&text, "edge.toml", &env, Some(&first)).settings.expect("good");
    assert_eq!(
        second.names.trunks.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["office", "", "globex", "initech"]
    );
    assert!(second.profiles.trunk(TrunkId(1)).is_none() && second.shape.trunk(TrunkId(1)).is_none());
    assert_eq!(&*second.profiles.trunk(TrunkId(3)).unwrap().name, "initech");
    assert_eq!(second.shape.groups()[0].tiers[0][0].trunk, TrunkId(3));
    let third = compile(EXAMPLE, "edge.toml", &env, Some(&second)).settings.expect("good");
    assert_eq!(
        third.names.trunks.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["office", "", "globex", "", "acme"]
    );
    assert_eq!(first.fingerprint, third.fingerprint);
    assert_ne!(first.fingerprint, second.fingerprint);
}

#[test]
fn a_running_edge_keeps_its_listens() {
    let first = settings(EXAMPLE);
    let text = EXAMPLE.replace("198.51.100.10:5060", "198.51.100.11:5060");
    let faults = compile(&text, "edge.toml", &env, Some(&first)).faults;
    assert_eq!((faults.len(), faults[0].line, faults[0].column), (1, 8, 9));
    assert!(faults[0].what.contains("listens cannot change while the edge runs"));
}

#[test]
fn listens_may_move_in_the_text_and_api_waits_for_the_next_start() {
    let first = settings(EXAMPLE);
    let wan = "[listen.wan]                              # where the carriers reach it
sip   = \"udp:198.51.100.10:5060\"
media = \"198.51.100.10:30000-39999\"
";
    assert!(EXAMPLE.contains(wan));
    let moved = EXAMPLE.replace(wan, "") + wan;
    let Compiled { settings, faults } = compile(&moved, "edge.toml", &env, Some(&first));
    assert_eq!((settings.expect("good").sockets, faults.len()), (first.sockets.clone(), 0));
    let other = EXAMPLE.replace("name = \"edge-1\"", "api = \"127.0.0.1:8061\"");
    let Compiled { settings, faults } = compile(&other, "edge.toml", &env, Some(&first));
    assert!(settings.is_some());
    assert_eq!((faults.len(), faults[0].line, faults[0].severity), (1, 3, Severity::Warning));
    assert_eq!(faults[0].what, "the new `api` is taken when the edge is started anew");
    let other = EXAMPLE.replace("name = \"edge-1\"", "media_io = \"io-uring\"");
    let faults = compile(&other, "edge.toml", &env, Some(&first)).faults;
    assert_eq!((faults.len(), faults[0].severity), (1, Severity::Warning));
    assert_eq!(faults[0].what, "the new `media_io` is taken when the edge is started anew");
}

#[test]
fn a_file_made_by_mistake_is_refused_not_followed() {
    let routes = "[[route]]\nfrom = \"office\"\nto = \"carriers\"\n".repeat(70_000);
    assert!(said(&format!("{EXAMPLE}{routes}")).iter().any(|line| line.contains("70002 routes are too many")));
    let deep = format!("x = {}", "[".repeat(100_000));
    assert!(!said(&deep).is_empty());
}

#[test]
fn printed_defaults_compile_to_the_defaults() {
    let text = print_defaults();
    let settings = settings(&text);
    let trunk = settings.shape.trunk(TrunkId(0)).unwrap();
    assert_eq!(trunk.health, HealthPolicy::default());
    assert_eq!(trunk.attempt, AttemptPolicy::default());
    assert_eq!(trunk.limits, decide::CallLimits::default());
    assert_eq!(settings.probes[0].1, ProbePolicy::default());
    let profile = settings.profiles.trunk(TrunkId(0)).unwrap();
    assert_eq!(profile.timers, sip::TimerSet::default());
    let mut terms = profile.interworking.clone();
    // It matters with a `format` alone.
    assert_eq!(core::mem::take(&mut terms.numbers.international), b"00");
    assert_eq!(core::mem::take(&mut terms.identity.host), b"198.51.100.10:5060", "where the trunk reaches us");
    assert_eq!(terms, act::Interworking::NEUTRAL);
    let group = &settings.shape.groups()[0];
    assert_eq!(*group, GroupPolicy::new(GroupId(0), group.tiers.clone()));
    // What is not written anywhere has the same defaults as what is written out.
    let bare = self::settings(EXAMPLE);
    assert_eq!(bare.profiles.trunk(TrunkId(0)).unwrap().session_max, profile.session_max);
    assert_eq!(
        (bare.api, &bare.profiles.emergency, &bare.data),
        (settings.api, &settings.profiles.emergency, &settings.data)
    );
    let name = settings.name.as_str();
    assert_eq!(self::settings(&EXAMPLE.replace("name = \"edge-1\"", "")).name.as_str(), name);
}

/// RFC 3261 §8.1.1.1: what URIs to a trunk name, and what it reads of us.
#[test]
fn a_trunk_is_called_by_its_name_and_reads_ours() {
    for (at, host) in [
        ("at = \"sip:203.0.113.5:5060\"", ""),
        ("at = \"sip:203.0.113.5:5060\"\nhost = \"acme.pstn.example:5070\"", "acme.pstn.example:5070"),
        ("at = \"sip:Acme.Example\"", "acme.example"),
        ("at = \"sip:acme.example:5080;transport=udp\"", "acme.example:5080"),
        ("at = \"sip:acme.example\"\nhost = \"203.0.113.5\"", "203.0.113.5"),
        ("at = [\"sip:acme.example\", \"sip:203.0.113.9\"]", ""),
    ] {
        let text = EXAMPLE.replace("at     = \"sip:203.0.113.5:5060\"", at);
        let text = text.replace("[listen.wan]", "[listen.wan]\nhost = \"sbc.example.com\"");
        let settings = settings(&text);
        let acme = settings.profiles.trunk(TrunkId(1)).unwrap();
        assert_eq!(String::from_utf8_lossy(&acme.interworking.host), host, "{at}");
        assert_eq!(acme.interworking.identity.host, b"sbc.example.com");
        let seen: Vec<String> = settings.sockets.iter().map(|socket| socket.seen_as().host().to_string()).collect();
        assert_eq!(seen, ["192.0.2.10:5060", "sbc.example.com:5060"]);
    }
    let wrong = EXAMPLE.replace("[listen.wan]", "[listen.wan]\nhost = \"198.51.100.10\"");
    assert!(
        compiled(&wrong).faults.iter().any(|fault| fault.to_string().contains("host name")),
        "an address is no name"
    );
}

#[test]
fn examples_in_comments_compile_too() {
    let uncomment = |line: &str| {
        let key = line
            .strip_prefix("# ")
            .filter(|rest| (rest.contains(" = ") || rest.starts_with('[')) && !rest.contains('('));
        key.filter(|rest| !rest.starts_with("Tables")).unwrap_or(line).to_owned()
    };
    let text = print_defaults().lines().map(uncomment).collect::<Vec<_>>().join("\n");
    let text =
        text.replace("from = [\"office\"]", "from = [\"acme\"]").replace("behind = \"pbx\"", "behind = \"acme\"");
    let settings = settings(&text);
    assert_eq!(settings.shape.trunk(TrunkId(0)).unwrap().limits.calls, Some(200));
    assert!(settings.profiles.trunk(TrunkId(0)).unwrap().auth.is_some());
}

#[test]
fn the_reference_page_is_up_to_date() {
    let page = include_str!("../../../../docs/reference/configuration.md");
    assert!(page == reference(), "write it anew: throughline check --reference > docs/reference/configuration.md");
}

#[test]
fn faults_look_like_a_compilers() {
    let text = EXAMPLE.replace("listen = \"lan\"", "listne = \"lan\"");
    let faults = compiled(&text).faults;
    let shown = render(&faults, &text, "edge.toml");
    let wanted = "edge.toml:14:1: error: unknown key `listne` in [trunk.NAME]
   |
14 | listne = \"lan\"
   | ^^^^^^ expected one of `at`, `listen`, `accept`, `host`, `ptime`, `transcode`, `dtmf`, `srtp`, `rtcp_xr`, `overload`, `transfer`, `redirect`, `challenge`, `large`, `media`, `rescue`, `auth`, `tls`, `codecs`, `limits`, `register`, `headers`, `numbers`, `identity`, `causes`, `fraud`, `probe`, `test_call`, `calls`, `audio`, `session`, `timers` or `health`
   = help: did you mean `listen`?
";
    assert!(shown.contains(wanted), "{shown}");
    assert!(shown.ends_with("edge.toml: 1 error\n"), "{shown}");
    assert_eq!(
        faults[0].to_string(),
        "edge.toml:14:1: error: unknown key `listne` in [trunk.NAME]; did you mean `listen`?"
    );
}

#[test]
fn secrets_are_never_printed() {
    for auth in [
        "auth = { user = \"u\", secret = \"sesame77\" }",
        "auth = { user = \"u\", secrt = \"sesame77\" }",
        "auth = { user = \"u\", password = \"sesame77\", secret = 5 }",
        "auth = { user = \"u\", secret = \"sesame77\", secret = \"sesame77\" }",
        "auth = { secret = \"sesame77",
        "auth = { user = 5, secret = ['sesame77'] }",
    ] {
        let text = EXAMPLE.replacen("listen = \"wan\"", &format!("listen = \"wan\"\n{auth}"), 1);
        let compiled = compiled(&text);
        assert!(!compiled.faults.is_empty(), "{auth}");
        let shown = render(&compiled.faults, &text, "edge.toml");
        assert!(!shown.contains("sesame77"), "{shown}");
        assert!(!format!("{compiled:?}").contains("sesame77"), "{auth}");
    }
    let resolved = compiled(EVERYTHING);
    assert!(!format!("{resolved:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}|[\\[\\]=\"'{}.,a-z0-9\\n #]{0,200}") {
        let faults = compiled(&text).faults;
        prop_assert!(render(&faults, &text, "x.toml").ends_with('\n'));
    }

    #[test]
    fn any_change_of_a_good_text_is_answered(
        at in 0..EVERYTHING.len(),
        cut in 0..12_usize,
        put in "[\\[\\]=\"'{}.,:*%a-z0-9\\n ø-]{0,6}",
    ) {
        let end = (at + cut).min(EVERYTHING.len());
        let text = format!("{}{put}{}", &EVERYTHING[..at], &EVERYTHING[end..]);
        let Compiled { settings, faults } = compiled(&text);
        let errors = faults.iter().filter(|fault| fault.severity == Severity::Error).count();
        prop_assert_eq!(settings.is_none(), errors > 0, "either settings or an error");
        for fault in &faults {
            let line = text.split('\n').nth(fault.line as usize - 1);
            let columns = line.map_or(0, |line| line.chars().count());
            prop_assert!(fault.column as usize <= columns + 1, "{:?}", fault);
        }
        prop_assert!(!render(&faults, &text, "x.toml").contains("hunter2"));
    }
}

#[test]
fn dialogs_are_as_the_trunk_says() {
    let with = |more: &str| EXAMPLE.replacen("listen = \"wan\"", &format!("listen = \"wan\"\n{more}"), 1);
    let dialogs = |more: &str| {
        let settings = settings(&with(more));
        let trunk = settings.profiles.trunks.iter().flatten().find(|trunk| trunk.name.as_str() == "acme").unwrap();
        trunk.dialogs
    };
    assert_eq!(dialogs(""), act::DialogPolicy::default());
    let told = dialogs(
        "session = { expires = \"10min\", min_se = \"2min\", refresher = \"us\" }\ncalls = { prack = false, early_media = \"supported\" }",
    );
    let session = sip::SessionPolicy {
        expires: Span::from_secs(600),
        min_se: Span::from_secs(120),
        refresher: Some(sip::Refresher::Us),
    };
    let wanted =
        act::DialogPolicy { session: Some(session), reliable: false, early_media: act::EarlyMedia::Authorised };
    assert_eq!(told, wanted);
    assert_eq!(dialogs("session = { timers = false }").session, None);
    for (bad, what) in [
        ("session = { expires = \"60s\" }", "too short"),
        ("session = { expires = \"2min\", min_se = \"5min\" }", "shortest"),
        ("session = { refresher = \"uac\" }", "uac"),
        ("calls = { early_media = \"yes\" }", "yes"),
    ] {
        let faults = said(&with(bad));
        assert!(faults.iter().any(|fault| fault.contains("error") && fault.contains(what)), "{bad}: {faults:?}");
    }
}
