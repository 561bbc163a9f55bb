//! What an operator does with a running edge: look, drain, reload, stop, start again.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, namespace, wait_until};
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const LIMIT: Duration = Duration::from_secs(60);

fn call(scenario: &str) -> bool {
    Sipp::caller(scenario, "127.0.0.20", LAN, "+4722334455", 5, 10).finished(LIMIT)
}

/// Sentences of the last call in the journal.
fn last_call() -> (String, String) {
    let mut found = None;
    wait_until("the calls are recorded", LIMIT, || {
        let journal = http::get("/v1/journal?from=1&limit=1000");
        let entries = journal["entries"].as_array().cloned().unwrap_or_default();
        found = entries.iter().rev().find_map(|entry| entry["record"].get("call").cloned());
        found.is_some()
    });
    let call = found.expect("a call");
    let id = call["call"].as_str().expect("its reference").to_owned();
    (id.clone(), http::sentences(&format!("/v1/why/call/{id}")).join("\n"))
}

#[test]
fn commands_show_and_explain() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let edge = Edge::start(CONFIG);
    assert!(call("caller_brief"));
    let (id, sentences) = last_call();
    assert!(sentences.contains("acme"), "{sentences}");
    for (args, wanted) in [
        (vec!["trunks"], "globex"),
        (vec!["trunks", "--json"], "\"acme\""),
        (vec!["calls"], ""),
        (vec!["calls", "--json"], "["),
        (vec!["why", "call", id.as_str()], "acme"),
        (vec!["why", "trunk", "acme"], "acme"),
        (vec!["why", "trunk", "acme", "--shadow"], "acme"),
        (vec!["why", "group", "carriers"], "tier 1 (acme) carries calls"),
        (vec!["route", "+4722334455", "--from", "office"], "acme"),
        (vec!["route", "+4722334455", "--from", "office", "--json"], "\"globex\""),
    ] {
        let (text, good) = edge.command(&args);
        assert!(good && text.contains(wanted), "{args:?}: {text}");
    }
    let (text, good) = edge.command(&["why", "trunk", "nobody"]);
    assert!(!good && text.contains("nobody"), "{text}");
    let (code, metrics) = http::ask("GET", "/metrics").expect("metrics");
    assert!(code == 200 && metrics.contains("\n# TYPE throughline_calls gauge\n"), "{metrics}");
}

#[test]
fn drain_and_restore_move_new_calls_only() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let globex = Sipp::server("server", "127.0.0.32");
    let edge = Edge::start(CONFIG);
    let mut live = Sipp::caller("caller", "127.0.0.20", LAN, "+4722334455", 1, 1);
    wait_until("the call is up", LIMIT, || edge.held().0 == 1.0);
    for act in ["drain", "out"] {
        let (text, good) = edge.command(&["trunk", "acme", act]);
        assert!(good, "{text}");
        let mut caller = Sipp::caller("caller_brief", "127.0.0.21", LAN, "+4722334455", 1, 1);
        // A stranger's address: only the PBX may call.
        assert!(!caller.finished(LIMIT));
    }
    assert!(live.finished(LIMIT), "the live call ends as if nothing had happened: {}", live.errors());
    assert!(call("caller_brief"));
    let (_, sentences) = last_call();
    assert!(sentences.contains("globex") && sentences.contains("out of service"), "{sentences}");
    assert!(edge.command(&["trunk", "acme", "restore"]).1);
    wait_until("acme is preferred again", LIMIT, || {
        let (text, _) = edge.command(&["route", "+4722334455", "--from", "office", "--json"]);
        text.find("acme").unwrap_or(usize::MAX) < text.find("globex").unwrap_or(usize::MAX) && {
            call("caller_brief") && !last_call().1.contains("out of service")
        }
    });
    drop(globex);
}

/// Calls succeed, and the last of them is on record as `wanted` says.
fn calls_go(why: &str, wanted: &str) -> String {
    assert!(call("caller_brief"), "{why}");
    let mut said = String::new();
    wait_until(why, LIMIT, || {
        said = last_call().1;
        said.contains(wanted)
    });
    said
}

#[test]
fn a_forced_tier_carries_new_calls_until_it_is_released_or_its_time_is_over() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let globex = Sipp::server("server", "127.0.0.32");
    let edge = Edge::start(CONFIG);
    calls_go("the first tier carries calls", "attempt 1 to acme");
    let (text, good) = edge.command(&["group", "force", "carriers", "2", "--for", "30min", "--why", "one-way audio"]);
    assert!(good && text.contains("operator local (api) forces group carriers to tier 2"), "{text}");
    let said = calls_go("the primary is sound, and is not tried first", "attempt 1 to globex");
    assert!(
        said.contains("operator local forces tier 2 for another") && said.contains("(\"one-way audio\")"),
        "{said}"
    );
    let (text, _) = edge.command(&["why", "group", "carriers"]);
    let told = [
        "tier 2 (globex) carries calls, since the operator forces it",
        "forces tier 2 for another",
        "forced to tier 2",
    ];
    assert!(told.iter().all(|told| text.contains(told)), "{text}");
    let (_, metrics) = http::ask("GET", "/metrics").expect("metrics");
    assert!(metrics.contains("throughline_group_forced_tier{group=\"carriers\"} 2"), "{metrics}");

    // A word of the operator about a trunk holds beside it.
    assert!(edge.command(&["trunk", "globex", "drain"]).1);
    calls_go("a drained trunk gets no call, forced or not", "attempt 1 to acme");
    assert!(edge.command(&["trunk", "globex", "restore"]).1);
    calls_go("the tier is still forced", "attempt 1 to globex");
    let (text, good) = edge.command(&["group", "release", "carriers"]);
    assert!(good && text.contains("releases group carriers"), "{text}");
    calls_go("they go back at once", "attempt 1 to acme");
    let (text, good) = edge.command(&["group", "release", "carriers"]);
    assert!(good && text.contains("no tier of it was forced"), "{text}");

    assert!(edge.command(&["group", "force", "carriers", "2", "--for", "2s"]).1);
    wait_until("its time is over", LIMIT, || edge.command(&["why", "group", "carriers"]).0.contains("said so is over"));
    calls_go("nothing of it is left", "attempt 1 to acme");

    // Dead when it is forced: each call is answered by the next tier, and hardly one waits for it.
    drop(globex);
    assert!(edge.command(&["group", "force", "carriers", "2", "--for", "10min"]).1);
    calls_go("a dead tier loses no call", "attempt");
    wait_until("it is known to be Down", LIMIT, || {
        edge.command(&["why", "group", "carriers"]).0.contains("globex is Down")
    });
    let said = calls_go("one that is Down is passed over", "attempt 1 to acme");
    assert!(said.contains("forces tier 2") && said.contains("globex is Down"), "{said}");
    let (text, good) = edge.command(&["group", "force", "carriers", "3", "--for", "1min"]);
    assert!(!good && text.contains("has not got that tier"), "{text}");
}

#[test]
fn a_bad_file_changes_nothing_and_a_good_one_takes_effect() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let _globex = Sipp::server("server", "127.0.0.32");
    let edge = Edge::start(CONFIG);
    edge.rewrite(&CONFIG.replace("[[\"acme\"], [\"globex\"]]", "[[\"acmee\"], [\"globex\"]]"));
    edge.signal(libc::SIGHUP);
    wait_until("the refusal is in the log", LIMIT, || edge.log().contains("acmee"));
    assert!(call("caller_brief"));
    edge.rewrite(&CONFIG.replace("[[\"acme\"], [\"globex\"]]", "[[\"globex\"], [\"acme\"]]"));
    let mut live = Sipp::caller("caller", "127.0.0.20", LAN, "+4722334455", 1, 1);
    wait_until("the call is up", LIMIT, || edge.held().0 == 1.0);
    assert!(edge.command(&["reload"]).1);
    assert!(live.finished(LIMIT), "a live call does not notice: {}", live.errors());
    assert!(call("caller_brief"));
    let (_, sentences) = last_call();
    assert!(sentences.contains("globex"), "{sentences}");
}

#[test]
fn sigterm_drains_and_the_journal_survives() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let mut edge = Edge::start(CONFIG);
    let folder = edge.folder();
    let mut live = Sipp::caller("caller", "127.0.0.20", LAN, "+4722334455", 1, 1);
    wait_until("the call is up", LIMIT, || edge.held().0 == 1.0);
    edge.signal(libc::SIGTERM);
    wait_until("it says it is not ready", LIMIT, || http::ask("GET", "/readyz").is_none_or(|(code, _)| code == 503));
    let mut late = Sipp::caller("caller_expects_503", "127.0.0.20", LAN, "+4722334455", 1, 1);
    assert!(live.finished(LIMIT), "the live call is served to its end: {}", live.errors());
    assert_eq!(edge.ended(LIMIT), Some(0));
    late.kill();
    let copy = folder.with_extension("again");
    std::fs::rename(&folder, &copy).expect("the store can be moved");
    let _again = Edge::start_in(copy, CONFIG);
    let (_, sentences) = last_call();
    assert!(sentences.contains("acme"), "{sentences}");
}

#[test]
fn check_shows_every_fault_at_once() {
    namespace::enter();
    let edge = Edge::start(CONFIG);
    edge.rewrite(&CONFIG.replace("listen = \"wan\"", "listne = \"wan\"").replace("to = \"pbx\"", "to = \"pxb\""));
    let path = edge.folder().join("edge.toml");
    let (text, good) = edge.command(&["check", path.to_str().expect("a path in text")]);
    assert!(!good);
    assert!(
        text.matches("listne").count() >= 2 && text.contains("listen") && text.contains("pxb") && text.contains("pbx"),
        "{text}"
    );
}

/// What rules and dashboard ask for by its labels is in a scrape of an edge that has just started: a name that nobody ever has would make an
/// alert silent for ever, and of what begins at 1 Prometheus knows no rise.
#[test]
fn what_rules_and_dashboard_ask_for_is_there_from_the_start() {
    namespace::enter();
    let _edge = Edge::start(CONFIG);
    let (code, scrape) = http::ask("GET", "/metrics").expect("metrics");
    assert_eq!(code, 200);
    let asked = [
        include_str!("../../packaging/prometheus/alerts.yml"),
        include_str!("../../packaging/grafana/throughline.json"),
    ];
    let selectors: Vec<(String, Vec<String>)> =
        asked.iter().flat_map(|text| selectors(&text.replace('\\', ""))).collect();
    assert!(selectors.len() > 40, "{selectors:?}");
    for (name, labels) in selectors {
        let mut samples = scrape.lines().filter(|line| line.split(['{', ' ']).next() == Some(&name)).peekable();
        // Some are there once there is something to tell of, a certificate or a test call.
        let matches =
            samples.peek().is_none() || samples.any(|line| labels.iter().all(|label| line.contains(label.as_str())));
        assert!(matches, "{name} never has {labels:?}");
    }
}

/// The metrics a text asks for, each with the labels that it must have.
fn selectors(text: &str) -> Vec<(String, Vec<String>)> {
    let parts = text.match_indices("throughline_").map(|(at, _)| &text[at..]);
    let word = |part: &str| part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
    parts
        .map(|part| {
            let (name, rest) = part.split_at(word(part));
            let within = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(within, _)| within);
            let labels = within.split(',').filter(|label| label.contains("=\"") && !label.contains('$'));
            (name.to_owned(), labels.map(str::to_owned).collect())
        })
        .collect()
}
