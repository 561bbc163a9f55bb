//! What a configuration compiles to, and what is said about each way to get it wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use decide::{AttemptPolicy, Failback, GroupPolicy, HealthPolicy, Hedge, Learned};
use model::{GroupId, Span, TrunkId};
use proptest::prelude::*;
use sense::{CodeClass, ProbePolicy};

const EXAMPLE: &str = include_str!("../../../../examples/two-carriers.toml");

mod names;
mod peers;

fn env(name: &str) -> Option<String> {
    matches!(name, "ACME_SECRET" | "PHONE_201").then(|| String::from("hunter2"))
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
}

#[test]
fn what_is_not_acted_on_is_said() {
    let list = said(EVERYTHING);
    assert_eq!(list.len(), 3, "{list:#?}");
    assert!(list[0].starts_with("25:10 warning `codecs` is accepted but not acted on yet"), "{}", list[0]);
    assert!(list[1].starts_with("26:10 warning `dtmf` is accepted but not acted on yet"), "{}", list[1]);
    assert!(list[2].starts_with("41:8 warning group `pbx` has one trunk with one target"), "{}", list[2]);
}

#[test]
fn a_trunk_by_name_needs_a_side_that_speaks_its_transport() {
    let text = EVERYTHING.replace("[\"sip:203.0.113.50\", \"sip:[2001:db8::50]:5080\"]", "\"sips:sbc.acme.example\"");
    let errors: Vec<String> = said(&text).into_iter().filter(|line| line.contains(" error ")).collect();
    assert_eq!(errors, ["21:10 error listen `wan` does not speak TLS, by which sbc.acme.example is reached"]);
}

/// A listen for browsers says whose pages may connect, and where load balancers are that speak for others.
#[test]
fn a_listen_for_browsers_and_behind_load_balancers() {
    let with = |sip: &str, more: &str| {
        let text = EVERYTHING
            .replace("sip   = [\"udp:192.0.2.10:5060\"]", &format!("sip   = [\"udp:192.0.2.10:5060\", {sip}]\n{more}"));
        let said: Vec<String> =
            said(&text).into_iter().filter(|line| line.starts_with("8:") || line.starts_with("9:")).collect();
        (said, compile(&text, "edge.toml", &env, None).settings)
    };
    let (said, settings) = with(
        "\"wss:192.0.2.10:443\"",
        "origins = [\"https://phone.example\", \"http://[::1]:8080\"]\nproxy_protocol = \"192.0.2.4/31\"\ntls = { certificate = \"a.pem\", key = \"a.key\" }",
    );
    assert_eq!(said, [""; 0]);
    let settings = settings.expect("settings");
    let streams = &settings.listen_streams[0];
    assert_eq!(*streams.origins, ["https://phone.example", "http://[::1]:8080"]);
    assert!(streams.is_proxy("192.0.2.5".parse().unwrap()) && !streams.is_proxy("192.0.2.6".parse().unwrap()));
    assert_eq!(settings.listen_streams[1], ListenStreams::default());
    for (sip, more, wanted) in [
        (
            "\"wss:192.0.2.10:443\"",
            "origins = []",
            "8:33 error TLS needs a certificate | add `tls = { certificate = \"FILE\", key = \"FILE\" }` to this listen",
        ),
        (
            "\"ws:192.0.2.10:80\"",
            "",
            "8:33 error nobody says whose pages may connect | add `origins = [\"https://HOST\"]`, the pages your phones are on",
        ),
        (
            "\"ws:192.0.2.10:80\"",
            "origins = \"*\"",
            "9:11 warning any page on the web may connect, from the browser of whoever looks at it | name the pages of your phones: \"https://phone.example\"",
        ),
        (
            "\"ws:192.0.2.10:80\"",
            "origins = \"phone.example\"",
            "9:11 error the text \"phone.example\" is no origin of a page | write \"https://phone.example\"",
        ),
        (
            "\"ws:192.0.2.10:80\"",
            "origins = \"https://phone.example/call\"",
            "9:11 error the text \"https://phone.example/call\" is no origin of a page | write \"https://phone.example\", without any path",
        ),
        (
            "\"tcp:192.0.2.10:5060\"",
            "origins = \"https://phone.example\"",
            "9:11 warning this listen has no address for WebSockets | add \"wss:ADDRESS:443\" to `sip`",
        ),
        (
            "\"udp:192.0.2.10:5070\"",
            "proxy_protocol = \"192.0.2.5\"",
            "9:18 warning this listen has no address that anybody connects to | add \"tls:ADDRESS:5061\" to `sip`, or leave `proxy_protocol` away",
        ),
        (
            "\"ws:192.0.2.10\"",
            "",
            "8:33 error the text \"ws:192.0.2.10\" is no listening address | write \"ws:192.0.2.10:80\"",
        ),
    ] {
        assert_eq!(with(sip, more).0, [wanted], "{sip} {more}");
    }
}

/// A trunk that takes large requests by TCP needs a side that speaks it.
#[test]
fn large_requests_go_by_tcp_where_both_ends_speak_it() {
    let globex = "at     = \"sip:198.51.100.77:5060;transport=udp\"";
    let large = EVERYTHING.replace(globex, &format!("{globex}\nlarge = \"tcp\""));
    let errors: Vec<String> = said(&large).into_iter().filter(|line| line.contains(" error ")).collect();
    let wanted = "33:10 error listen `wan` does not speak TCP, by which large requests go to 198.51.100.77:5060 | \
        add \"tcp:198.51.100.10:5060\" to its `sip`, or leave `large` away";
    assert_eq!(errors, [wanted]);
    let tcp = large.replace("\"udp:198.51.100.10:5060\"", "\"udp:198.51.100.10:5060\", \"tcp:198.51.100.10:5061\"");
    let settings = compile(&tcp, "edge.toml", &env, None).settings.expect("settings");
    let [(from, by)] = settings.large_ways()[..] else { panic!("one way: {:?}", settings.large_ways()) };
    assert_eq!((from.peer, by.peer), ("198.51.100.77:5060".parse().unwrap(), from.peer));
    let transports = [from, by].map(|flow| settings.sockets[flow.socket.index()].transport);
    assert_eq!(transports, [sip::Transport::Udp, sip::Transport::Tcp]);
    let unsaid = compile(&tcp.replace("large = \"tcp\"", "large = \"udp\""), "edge.toml", &env, None).settings;
    assert_eq!(unsaid.expect("settings").large_ways(), []);
    let in_vain = tcp.replace("77:5060;transport=udp", "77:5060;transport=tcp");
    assert!(
        said(&in_vain).iter().any(|line| line.starts_with("34:9 warning no target of this trunk is reached by UDP")),
        "{:?}",
        said(&in_vain)
    );
}

/// The example of the documentation with TCP and TLS.
fn by_streams() -> String {
    EVERYTHING
        .replace("\"udp:192.0.2.10:5060\"", "\"udp:192.0.2.10:5060\", \"tcp:192.0.2.10:5060\"")
        .replace("\"udp:[2001:db8::10]:5060\"]", "\"udp:[2001:db8::10]:5060\", \"tls:198.51.100.10:5061\"]\ntls = { certificate = \"a.pem\", key = \"a.key\", min = \"1.3\" }")
        .replace("[\"sip:192.0.2.20:5060\"]", "[\"sip:192.0.2.20;transport=tcp\", \"sip:192.0.2.20:5080\"]")
        .replace("sip:198.51.100.77:5060;transport=udp\"", "sips:198.51.100.77\"\ntls = { trust = \"ca.pem\", name = \"sbc.globex.example\" }")
        + "\n[streams]\nconnect = \"500ms\"\nper_source = 9\n"
}

#[test]
fn each_target_leaves_by_the_socket_of_its_transport() {
    let settings = settings(&by_streams());
    let by: Vec<(sip::Transport, u16)> = settings.sockets.iter().map(|one| (one.transport, one.bind.port())).collect();
    use sip::Transport::{Tcp, Tls, Udp};
    assert_eq!(by, [(Udp, 5060), (Tcp, 5060), (Udp, 5060), (Udp, 5060), (Tls, 5061)]);
    let targets = |trunk: usize| {
        let profile = settings.profiles.trunks[trunk].as_ref().unwrap();
        profile.targets.iter().map(|target| (target.transport, target.addr.port(), target.socket.0)).collect::<Vec<_>>()
    };
    assert_eq!(targets(0), [(Tcp, 5060, 1), (Udp, 5080, 0)]);
    assert_eq!(targets(2), [(Tls, 5061, 4)], "the default port of its transport");
    assert!(settings.listen_tls[0].is_none() && settings.listen_tls[1].as_ref().unwrap().only_1_3);
    let tls = &settings.trunk_tls[2];
    assert_eq!(
        (tls.trust.as_deref(), tls.name.as_deref(), tls.verify),
        (Some("ca.pem"), Some("sbc.globex.example"), true)
    );
    assert_eq!((settings.streams.connect, settings.streams.per_source), (model::Span::from_millis(500), 9));
}

#[test]
fn tls_that_cannot_work_says_what_it_lacks() {
    let text = by_streams();
    for (from, to, wanted) in [
        (
            "tls = { certificate = \"a.pem\", key = \"a.key\", min = \"1.3\" }\n",
            "",
            "error TLS needs a certificate | add `tls = {",
        ),
        (", key = \"a.key\", min", ", min", "error `key` is missing in tls of [listen.NAME]"),
        (", \"tls:198.51.100.10:5061\"", ", \"tcp:198.51.100.10:5060\"", "warning this listen has no address for TLS"),
        ("name = \"sbc.globex.example\"", "verify = false", "warning the certificate of this trunk is not verified"),
        ("name = \"sbc.globex.example\"", "name = \"sip:a@b\"", "error the text \"sip:a@b\" is no name of a host"),
        (
            "\"tcp:192.0.2.10:5060\"",
            "\"tcp:192.0.2.10\"",
            "error the text \"tcp:192.0.2.10\" is no listening address | write \"tcp:192.0.2.10:5060\"",
        ),
        (
            "\"tcp:192.0.2.10:5060\"",
            "\"tcp:192.0.2.10:5060\", \"tcp:192.0.2.10:5060\"",
            "error 192.0.2.10:5060 is listened on already",
        ),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from}");
        let said = said(&broken);
        assert!(said.iter().any(|line| line.contains(wanted)), "{wanted}: {said:?}");
    }
}

#[test]
fn all_faults_at_once_in_the_order_of_the_text() {
    let text = EXAMPLE
        .replace("listen = \"wan\"\n[trunk.globex]", "listne = \"wan\"\n[trunk.globex]")
        .replace("to   = \"pbx\"", "to   = \"pxb\"")
        .replace("[\"globex\"]]", "[\"globx\"]]")
        .replace("30000-39999", "39999-30000");
    let list = said(&text);
    assert_eq!(
        list,
        [
            "10:9 error the range ends before it begins | write \"198.51.100.10:30000-39999\"",
            "17:1 error unknown key `listne` in [trunk.NAME] | did you mean `listen`?",
            "22:34 error there is no trunk `globx` | did you mean `globex`?",
            "23:1 warning no route leads to group `pbx`",
            "29:8 error there is no group `pxb` | did you mean `pbx`?",
        ]
    );
    assert!(compiled(&text).settings.is_none());
}

#[test]
fn each_fault_says_where_and_what_is_likely_meant() {
    let trunk = "listen = \"wan\"\n[trunk.globex]";
    let with = |line: &str| changed(trunk, &format!("listen = \"wan\"\n{line}\n[trunk.globex]"));
    for (line, wanted) in [
        (
            "probe = { every = \"2m\" }",
            "18:19 error the text \"2m\" is no duration | write \"2min\"; `m` could be taken for milliseconds",
        ),
        ("probe = { every = \"1ms\" }", "18:19 error 1 ms is too short"),
        (
            "probe = { evry = \"5s\" }",
            "18:11 error unknown key `evry` in probe of [trunk.NAME] | did you mean `every`?",
        ),
        ("probe = 5", "18:9 error probe of [trunk.NAME] is the number 5"),
        ("fall = 3", "18:1 error unknown key `fall` in [trunk.NAME] | it belongs in probe of [trunk.NAME]"),
        ("limits = { calls = \"200\" }", "18:20 error this is the text \"200\" | write 200, without quotes"),
        ("limits = { calls = 0 }", "18:20 error this is the number 0"),
        (
            "limits = { headroom = \"10%\" }",
            "18:23 warning headroom of a trunk without limits keeps nothing | set `calls` or `cps`",
        ),
        ("limits = { calls = 9, headroom = 10 }", "18:34 error this is the number 10 | write \"10%\""),
        ("calls = { move_on = [999] }", "18:22 error this is the number 999"),
        (
            "calls = { hunt_after_progress = \"yes\" }",
            "18:33 error this is the text \"yes\" | write true, without quotes",
        ),
        (
            "auth = { user = \"u\", secret = \"env:NOPE\" }",
            "18:31 error the environment has no NOPE | set NOPE where the edge is started",
        ),
        ("auth = { user = \"u\" }", "18:8 error `secret` is missing in auth of [trunk.NAME]"),
        ("accept = [\"203.0.113.0/99\"]", "18:11 error the text \"203.0.113.0/99\" is no network"),
        ("codecs = [\"PCAM\"]", "18:11 error this is the text \"PCAM\" | did you mean `PCMA`?"),
        ("health = { dwell = \"2h\" }", "18:20 error dwell (120 min) is longer than dwell_max (30 min)"),
        ("timers = { t1 = \"5s\" }", "18:10 error t2 (4 s) is the longest pause and t1 (5 s) the first"),
    ] {
        assert_eq!(with(line).iter().map(String::as_str).collect::<Vec<_>>()[0], wanted, "{line}");
    }
}

#[test]
fn each_wrong_transport_says_how_it_is_written() {
    for (from, to, wanted) in [
        (
            "sip:203.0.113.5:5060",
            "sips:203.0.113.5",
            "16:10 error listen `wan` does not speak TLS, by which 203.0.113.5:5061 is reached | add \"tls:ADDRESS:5061\" to `sip` of that listen",
        ),
        (
            "sip:203.0.113.5:5060",
            "sip:203.0.113.5;transport=tcp",
            "16:10 error listen `wan` does not speak TCP, by which 203.0.113.5:5060 is reached | add \"tcp:ADDRESS:5060\" to `sip` of that listen",
        ),
        (
            "sip:203.0.113.5:5060",
            "sips:203.0.113.5;transport=udp",
            "16:10 error `sips:` is never reached by UDP | write \"sips:203.0.113.5\"",
        ),
        (
            "sip:203.0.113.5:5060",
            "sip:203.0.113.5;transport=ws",
            "16:10 error trunks are reached by udp, tcp or tls | write \"sip:203.0.113.5;transport=tcp\"",
        ),
    ] {
        let list = changed(from, to);
        assert!(list.iter().any(|line| line.starts_with(wanted)), "{to}\nwanted {wanted}\n{list:#?}");
    }
}

#[test]
fn each_wrong_address_says_how_it_is_written() {
    for (from, to, wanted) in [
        ("sip:203.0.113.5:5060", "sip:203.0.113.5:0", "16:10 error the text \"sip:203.0.113.5:0\" is no SIP address"),
        (
            "sip:203.0.113.5:5060",
            "sip:[2001:db8::5]",
            "16:10 error listen `wan` has no address that can reach [2001:db8::5]:5060",
        ),
        ("sip:203.0.113.5:5060", "sip:0.0.0.0", "16:10 error nobody is at 0.0.0.0"),
        (
            "sip:203.0.113.77:5060",
            "sip:203.0.113.5:5060",
            "19:10 error 203.0.113.5:5060 is also a target of trunk `acme`: nobody can tell their calls apart",
        ),
        (
            "udp:192.0.2.10:5060",
            "udp:0.0.0.0:5060",
            "6:9 error peers would be told to answer to 0.0.0.0 | add `advertise = \"ADDRESS\"`, the address peers send to",
        ),
        ("udp:198.51.100.10:5060", "udp:192.0.2.10:5060", "9:9 error 192.0.2.10:5060 is listened on already"),
        ("[trunk.globex]", "[trunk.\"glob ex\"]", "18:8 error `glob ex` is no good name"),
        (
            "[listen.lan]",
            "[listens.lan]",
            "5:2 error unknown key `listens` in the top of the file | did you mean `listen`?",
        ),
        ("from = \"office\"", "from = []", "25:8 error `from` is empty | remove `from` if any is meant"),
        (
            "to   = \"carriers\"",
            "to   = \"acme\"",
            "26:8 error `acme` is a trunk, and routes lead to groups | write a group with tiers = [[\"acme\"]], and its name here",
        ),
        (
            "[[\"acme\"], [\"globex\"]]",
            "[\"acme\", \"globex\"]",
            "22:22 error tiers are lists in a list | write [[\"acme\"], [\"globex\"]] for one after the other, or [[\"acme\", \"globex\"]] to share calls",
        ),
        ("[\"acme\"]", "[\"acme*0\"]", "22:24 error the weight in \"acme*0\" is no weight"),
        (
            "alone = true",
            "failback = { window = \"22:00-06:00\" }",
            "23:58 error this window has no time zone | add the place whose clock is meant: \"22:00-06:00 Europe/Oslo\", or UTC",
        ),
        (
            "alone = true",
            "failback = { ramp = [\"25%\", \"5%\"] }",
            "23:56 error a ramp climbs, and ends at 100% | write [\"5%\", \"25%\", \"100%\"]",
        ),
        ("name = \"edge-1\"", "name = edge-1", "3:8 error this is not TOML"),
    ] {
        let list = changed(from, to);
        assert!(list.iter().any(|line| line.starts_with(wanted)), "{to}\nwanted {wanted}\n{list:#?}");
    }
}

#[test]
fn each_danger_is_a_warning_and_no_more() {
    let carriers = "[[\"acme\"], [\"globex\"]]";
    let acme = "listen = \"wan\"\n[trunk.globex]";
    let with = |keys: &str| format!("listen = \"wan\"\n{keys}\n[trunk.globex]");
    for (from, to, wanted) in [
        (
            acme,
            with("calls = { first_reply = \"6s\" }"),
            "18:25 warning a caller waits 6 s in silence before a silent trunk is left",
        ),
        (
            acme,
            with("calls = { hunt = \"500ms\" }"),
            "18:18 warning the hunt ends (500 ms) before the first trunk's deadline (1 s)",
        ),
        (
            acme,
            with("calls = { hedge = \"30%\" }"),
            "18:19 warning 30% of the calls will hardly be hedged: the retry budget allows a fifth of them in all",
        ),
        (acme, with("calls = { move_on = [486] }"), "18:21 warning 486 is the called party's word"),
        (acme, with("probe = { fall = 1 }"), "18:18 warning one lost probe takes the trunk down"),
        (acme, with("probe = { rise = 1 }"), "18:18 warning one good probe brings the trunk back"),
        (
            acme,
            with("probe = { deadline = \"5s\" }"),
            "18:22 warning a probe is waited for (5 s) until the next one is due (5 s)",
        ),
        (acme, with("probe = { on = false }"), "18:16 warning without probes"),
        (acme, with("probe = { alive = [404] }"), "18:19 warning an answer of 200 would not count as alive"),
        (acme, with("auth = { user = \"u\", secret = \"hunter2\" }"), "18:31 warning the secret itself is in the file"),
        (", alone = true", String::new(), "23:1 warning group `pbx` has one trunk with one target"),
        (
            "sip:203.0.113.77:5060",
            String::from("sip:203.0.113.5:5070"),
            "22:1 warning all targets of group `carriers` are on 203.0.113.5: when that host fails, its calls fail",
        ),
        (
            carriers,
            String::from("[[\"acme\"], [\"acme\", \"globex\"]]"),
            "22:34 warning trunk `acme` is in these tiers already",
        ),
        ("media = \"192.0.2.10:20000-29999\"", String::new(), "5:9 warning listen `lan` has no media ports"),
        (
            "\"198.51.100.10:30000-39999\"",
            String::from("\"192.0.2.10:25000-39999\""),
            "10:9 warning media ports 25000-29999 are also those of listen `lan`",
        ),
        (
            "\"192.0.2.10:20000-29999\"",
            String::from("\"192.0.2.10:5000-5999\""),
            "7:9 warning the media ports include 5060, where SIP is listened for",
        ),
        ("name = \"edge-1\"", String::from("api = \"0.0.0.0:8060\""), "3:7 warning the API has no passwords"),
        (
            "sip:203.0.113.77:5060",
            String::from("sip:203.0.113.5:5080"),
            "19:10 warning trunk `acme` is on 203.0.113.5 too",
        ),
        ("from = \"office\"\n", String::new(), "26:1 warning no call reaches this route"),
    ] {
        let text = EXAMPLE.replacen(from, &to, 1);
        let list = said(&text);
        assert!(list.iter().any(|line| line.starts_with(wanted)), "{to}\nwanted {wanted}\n{list:#?}");
        assert!(compiled(&text).settings.is_some(), "{to} only deserves a warning: {list:#?}");
    }
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
   | ^^^^^^ expected one of `at`, `listen`, `accept`, `codecs`, `dtmf`, `overload`, `transfer`, `redirect`, `challenge`, `large`, `auth`, `tls`, `limits`, `register`, `headers`, `numbers`, `identity`, `causes`, `fraud`, `probe`, `test_call`, `calls`, `session`, `timers` or `health`
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
