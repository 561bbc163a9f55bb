//! What is said of each fault, and of each danger that is none.

use super::*;

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
        (
            "codecs = { allow = [\"PCMA\"], require = [\"G722\"] }",
            "18:40 error `require` names `G722`, which the trunk is never shown",
        ),
        ("codecs = { allow = \"PCMA\", strip = \"PCMA\" }", "18:36 error nothing is left of `allow`"),
        (
            "codecs = { prefers = \"PCMA\" }",
            "18:12 error unknown key `prefers` in codecs of [trunk.NAME] | did you mean `prefer`?",
        ),
        ("ptime = \"25ms\"", "18:9 error packets of 25 ms are no whole frames | write \"30ms\""),
        ("transcode = \"allways\"", "18:13 error this is the text \"allways\" | did you mean `always`?"),
        ("dtmf = \"inbant\"", "18:8 error this is the text \"inbant\" | did you mean `inband`?"),
        ("ptime = \"5ms\"", "18:9 error 5 ms is too short"),
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
        ("name = \"edge-1\"", String::from("api = \"0.0.0.0:8060\""), "3:7 warning the API is not encrypted"),
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
fn a_size_has_its_unit_and_its_bounds() {
    let said_of = |size: &str| said(&EXAMPLE.replace("name = \"edge-1\"", &format!("capture = {size}")));
    let bounds = [("\"63KiB\"", "63KiB is too little"), ("\"2 GiB\"", "2GiB is too much")];
    for (size, wanted) in bounds {
        assert_eq!(said_of(size), [format!("3:11 error {wanted}")]);
    }
    for (size, found, fix) in [
        ("16", "the number 16", " | write \"16MiB\" or \"16KiB\""),
        ("\"16MB\"", "the text \"16MB\"", " | write \"16MiB\""),
        ("\"64 kb\"", "the text \"64 kb\"", " | write \"64KiB\""),
        ("\"MiB\"", "the text \"MiB\"", ""),
        ("\"16\"", "the text \"16\"", ""),
        ("\"99999999999999999999MiB\"", "the text \"99999999999999999999MiB\"", ""),
        ("true", "`true`", ""),
    ] {
        assert_eq!(said_of(size), [format!("3:11 error {found} is no size{fix}")]);
    }
    let size_of = |size: &str| settings(&EXAMPLE.replace("name = \"edge-1\"", &format!("capture = {size}"))).capture;
    assert_eq!([size_of("false"), size_of("\"64KiB\""), size_of("\"1 GiB\"")], [0, 64 << 10, 1 << 30]);
    assert_eq!(settings(EXAMPLE).capture, 16 << 20);
}

#[test]
fn a_collector_is_told_by_udp() {
    let said_of = |lines: &str| said(&format!("{EXAMPLE}[hep]\n{lines}\n"));
    let at = EXAMPLE.lines().count() + 2;
    for (to, fix) in [
        ("192.0.2.60:9060", " | write \"udp:192.0.2.60:9060\""),
        ("192.0.2.60", " | write \"udp:192.0.2.60:9060\""),
        ("udp:[2001:db8::60]", " | write \"udp:[2001:db8::60]:9060\""),
        ("tcp:192.0.2.60:9061", " | write \"udp:192.0.2.60:9061\""),
        ("udp:homer.example:9060", ""),
    ] {
        let wanted = format!("{at}:6 error the text \"{to}\" is no collector{fix}");
        assert_eq!(said_of(&format!("to = \"{to}\"")), [wanted]);
    }
    assert!(said_of("id = 7")[0].starts_with(&format!("{}:1 error `to` is missing in [hep] | add, ", at - 1)));
    let all = said_of("to = 5\nid = 0\npassword = \"env:NOPE\"");
    assert_eq!(all.len(), 3, "all at once: {all:?}");
    let good = format!("{EXAMPLE}[hep]\nto = \"udp:[2001:db8::60]:9060\"\nid = 7\n");
    let hep = settings(&good).hep.unwrap();
    assert_eq!((hep.to.to_string().as_str(), hep.id, hep.password.as_str()), ("[2001:db8::60]:9060", 7, ""));
    assert!(settings(EXAMPLE).hep.is_none());
}
