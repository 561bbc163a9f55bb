//! What the edge tells others by itself: alarms by webhook, decisions by the log.
#![allow(clippy::expect_used, clippy::panic)]

use interop::agents::{agent, plays};
use interop::edge::{CONFIG, Edge};
use interop::receiver::{Manner, receiver, told};
use interop::{http, namespace, wait_until};
use model::Wall;
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
const SECRET: &str = "0123456789abcdef0123";
const PROBED: &str =
    "at = \"sip:127.0.0.31:5060\"\nprobe = { deadline = \"500ms\", every = \"1s\" }\nhealth = { dwell = \"3s\" }";

fn config(extra: &str) -> String {
    let probed = CONFIG.replace("at = \"sip:127.0.0.31:5060\"", PROBED);
    probed.replace("name = \"test\"", "name = \"test\"\nlog = \"json\"") + extra
}

#[test]
fn an_alarm_is_posted_when_it_is_raised_and_when_it_is_over_whatever_the_receiver_does() {
    namespace::enter();
    let sulky = receiver(9_001, &[Manner::Answers(500), Manner::Answers(500), Manner::Hangs, Manner::Answers(204)]);
    let picky = receiver(9_002, &[Manner::Answers(200)]);
    let [_office, acme, _globex] =
        [("office", 20), ("acme", 31), ("globex", 32)].map(|(user, last)| agent(user, last, plays(1_000)));
    let hooks = "[webhook.sulky]\nurl = \"http://127.0.0.1:9001/alarms?of=edge\"\nsecret = \"env:HOOK\"\ntimeout = \"2s\"\n\
        alarms = [\"group_has_nobody\"]\n[webhook.picky]\nurl = \"http://127.0.0.1:9002\"\nalarms = [\"registrar_gone\"]\n";
    let edge = Edge::start_knowing(&config(hooks), &[("HOOK", SECRET)]);
    wait_until("both are up", LIMIT, || ["acme", "globex"].map(http::health) == ["up", "up"]);
    drop(acme);
    wait_until("acme is down", LIMIT, || http::health("acme") == "down");
    assert!(edge.command(&["trunk", "globex", "out"]).1, "now nobody is left");
    wait_until("the alarm has been taken", LIMIT, || sulky.lock().expect("requests").len() >= 4);
    assert!(edge.command(&["trunk", "globex", "restore"]).1);
    wait_until("its end is posted", LIMIT, || told(&sulky).len() >= 2);

    let [raised, over] = &told(&sulky)[..] else { panic!("{:?}", told(&sulky)) };
    assert_eq!((&raised["status"], &over["status"]), (&"raised".into(), &"over".into()));
    assert_eq!((&raised["kind"], &raised["group"]), (&"group_has_nobody".into(), &"carriers".into()));
    assert_eq!((&over["id"], &over["since"]), (&raised["id"], &raised["since"]));
    assert_eq!((&raised["severity"], &raised["edge"]), (&"critical".into(), &"test".into()));
    let requests = sulky.lock().expect("requests").clone();
    assert!(
        requests.len() >= 5 && requests[..4].iter().all(|one| one.body == requests[0].body),
        "four tries of the first"
    );
    for request in &requests {
        assert_eq!(request.line, "POST /alarms?of=edge HTTP/1.1");
        let seconds = request
            .header("throughline-signature")
            .strip_prefix("t=")
            .and_then(|rest| rest.split_once(','))
            .expect("a time")
            .0;
        let at = Wall::from_micros(seconds.parse::<i64>().expect("seconds") * 1_000_000);
        assert_eq!(request.header("throughline-signature"), edge::webhook::signature(SECRET, at, &request.body));
    }
    assert!(picky.lock().expect("requests").is_empty(), "it wants another kind");
    let posts = |what: &str| {
        let (_, metrics) = http::ask("GET", "/metrics").expect("metrics");
        let is_it =
            |line: &&str| ["throughline_webhook_posts_total", "\"sulky\"", what].iter().all(|part| line.contains(part));
        let line = metrics.lines().find(is_it).unwrap_or_else(|| panic!("no {what} in {metrics}"));
        line.rsplit(' ').next().and_then(|count| count.parse::<u32>().ok()).expect("a count")
    };
    wait_until("both are counted as taken", LIMIT, || posts("\"taken\"") == 2);
    assert!(posts("\"again\"") >= 3 && posts("\"dropped_late\"") == 0 && posts("\"dropped_refused\"") == 0);
    lines_tell_what_why_tells(&edge, raised);
}

fn lines_tell_what_why_tells(edge: &Edge, raised: &Value) {
    let log = edge.log();
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect("each line is one object")).collect();
    let of = |event: &str| lines.iter().filter(move |line| line["event"] == event).collect::<Vec<_>>();
    let is_down = |line: &&Value| line["trunk"] == "acme" && line["to"] == "Down" && line["enforced"] == true;
    let down = of("decision").into_iter().find(is_down).unwrap_or_else(|| panic!("no decision in {log}"));
    let why = http::sentences("/v1/why/trunk/acme");
    assert!(why.iter().any(|sentence| down["message"] == sentence.as_str()), "{down} in {why:?}");
    assert!(down["seq"].is_u64() && down["time"].is_string() && down["level"] == "info", "{down}");
    let alarm = of("alarm").into_iter().find(|line| line["status"] == "raised").expect("a line");
    assert_eq!((&alarm["message"], &alarm["seq"]), (&raised["sentence"], &raised["seq"]));
    assert_eq!((&alarm["level"], of("start").len()), (&"warn".into(), 1));
}

#[test]
fn a_reload_changes_who_is_told_and_in_which_form() {
    namespace::enter();
    let late = receiver(9_001, &[Manner::Answers(200)]);
    let mut edge = Edge::start(&config(""));
    edge.rewrite(
        &(config(
            "[webhook.late]\nurl = \"http://127.0.0.1:9001/\"\nalarms = [\"group_has_nobody\"]\n\
         [webhook.dead]\nurl = \"http://127.0.0.1:9003/\"\nalarms = [\"group_has_nobody\"]\n",
        )
        .replace("\"json\"", "\"text\"")),
    );
    assert!(edge.command(&["reload"]).1);
    assert!(edge.command(&["trunk", "acme", "out"]).1 && edge.command(&["trunk", "globex", "out"]).1);
    wait_until("the alarm is posted", LIMIT, || !told(&late).is_empty());
    let first = &told(&late)[0];
    assert_eq!((&first["kind"], &first["status"]), (&"group_has_nobody".into(), &"raised".into()));
    assert!(
        late.lock().expect("requests")[0].header("throughline-signature").is_empty(),
        "without a secret nothing is signed"
    );
    let sentence = first["sentence"].as_str().expect("a sentence").to_owned();
    let line = edge.log().lines().find(|line| line.contains(&sentence)).map(str::to_owned).expect("a line");
    assert!(!line.starts_with('{') && line.contains(" WARN "), "{line}");
    edge.signal(libc::SIGTERM);
    assert_eq!(edge.ended(LIMIT), Some(0), "who does not answer holds up no end");
    let log = edge.log();
    assert!(
        log.contains("webhook dead has not taken 1 of its posts") && !log.contains("webhook late has not"),
        "{log}"
    );
}

#[test]
fn a_test_post_goes_the_way_of_alarms_beside_what_waits_and_is_on_record() {
    namespace::enter();
    let pager = receiver(9_001, &[Manner::Answers(204), Manner::Answers(410), Manner::Answers(500)]);
    let hooks = "[webhook.pager]\nurl = \"http://127.0.0.1:9001/\"\nsecret = \"env:HOOK\"\nseverity = \"critical\"\n\
        alarms = [\"group_has_nobody\"]\n\
        [webhook.dead]\nurl = \"http://127.0.0.1:9003/\"\nalarms = [\"registrar_gone\"]\n\
        [webhook.stuck]\nurl = \"http://127.0.0.1:9002/\"\ntimeout = \"60s\"\n\
        alarms = [\"group_has_nobody\"]\n";
    let stuck = receiver(9_002, &[Manner::Hangs, Manner::Answers(204)]);
    let edge = Edge::start_knowing(&config(hooks), &[("HOOK", SECRET)]);
    let (said, taken) = edge.command(&["webhook", "test", "pager", "--why", "a new secret"]);
    assert!(taken && said.contains("webhook pager has taken a test post: it answers 204 after "), "{said}");
    let post = &told(&pager)[0];
    assert_eq!((&post["status"], &post["kind"], &post["edge"]), (&"test".into(), &"test".into(), &"test".into()));
    let sentence = post["sentence"].as_str().expect("a sentence").to_owned();
    assert!(
        sentence.contains("operator local (api) has webhook pager tested") && sentence.contains("(\"a new secret\")")
    );
    let request = pager.lock().expect("requests")[0].clone();
    let seconds = request.header("throughline-signature").strip_prefix("t=").and_then(|rest| rest.split_once(','));
    let at = Wall::from_micros(seconds.expect("a time").0.parse::<i64>().expect("seconds") * 1_000_000);
    assert_eq!(request.header("throughline-signature"), edge::webhook::signature(SECRET, at, &request.body));
    let mut entry = Value::Null;
    wait_until("the act is in the journal", LIMIT, || {
        entry = http::get(&format!("/v1/journal?from={}&limit=1", post["seq"]))["entries"][0].clone();
        !entry.is_null()
    });
    let act = &entry["record"]["operator"];
    assert_eq!((&act["act"]["test_post"]["webhook"], &act["who"]), (&"pager".into(), &"local".into()), "{entry}");

    for wanted in ["it answers 410 after ", "it answers 500 after "] {
        let (said, taken) = edge.command(&["webhook", "test", "pager"]);
        assert!(!taken && said.contains("has not taken a test post: ") && said.contains(wanted), "{said}");
    }
    let (said, taken) = edge.command(&["webhook", "test", "dead"]);
    assert!(!taken && said.contains("an alarm would be tried again"), "{said}");
    let (said, taken) = edge.command(&["webhook", "test", "nobody"]);
    assert!(!taken && said.contains("there is no webhook `nobody`"), "{said}");
    assert_eq!(pager.lock().expect("requests").len(), 3, "each is tried once");
    let (_, metrics) = http::ask("GET", "/metrics").expect("metrics");
    let counted = metrics.lines().filter(|line| line.starts_with("throughline_webhook_posts_total"));
    assert!(
        counted.clone().count() >= 10 && counted.clone().all(|line| line.ends_with(" 0")),
        "they are no alarms: {metrics}"
    );

    assert!(edge.command(&["trunk", "acme", "out"]).1 && edge.command(&["trunk", "globex", "out"]).1);
    wait_until("an alarm hangs", LIMIT, || stuck.lock().expect("requests").len() == 1);
    assert!(edge.command(&["webhook", "test", "stuck"]).1, "it does not wait for what waits");
    let posts: Vec<Value> = told(&stuck).iter().map(|post| post["kind"].clone()).collect();
    assert_eq!(posts, ["group_has_nobody", "test"]);
}
