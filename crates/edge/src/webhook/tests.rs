#![allow(clippy::unwrap_used)]

use super::*;
use explain::Alarm;
use model::Seq;

fn group(seq: u64, second: i64, over: bool) -> Entry {
    let what = Alarm::GroupHasNobody { group: "carriers".into() };
    Entry {
        seq: Seq(seq),
        wall: Wall::from_micros(second * 1_000_000),
        record: Record::Alarm(AlarmRecord { what, over }),
    }
}

#[test]
fn the_end_of_an_alarm_has_the_number_of_its_beginning_and_another_alarm_has_another() {
    let mut writer = Writer::default();
    let mut told = |entry: &Entry| -> serde_json::Value {
        serde_json::from_str(&writer.body(&"oslo".into(), entry).unwrap().1).unwrap()
    };
    let (raised, over, again) = (told(&group(7, 100, false)), told(&group(8, 160, true)), told(&group(9, 200, false)));
    assert_eq!(raised["id"], "oslo:group_has_nobody:carriers:100000");
    assert_eq!((&raised["status"], &over["status"]), (&"raised".into(), &"over".into()));
    assert_eq!((&over["id"], &over["since"]), (&raised["id"], &raised["since"]));
    assert_ne!(again["id"], raised["id"]);
    assert_eq!(
        (&raised["severity"], &raised["group"], &raised["trunk"]),
        (&"critical".into(), &"carriers".into(), &().into())
    );
    assert_eq!(
        (&over["at"], &over["seq"], &over["edge"]),
        (&"1970-01-01T00:02:40.000Z".into(), &8.into(), &"oslo".into())
    );
    assert_eq!(raised["sentence"], sentence(&group(7, 100, false)).as_str());
    let reload = Record::Unreadable { error: String::new() };
    assert!(Writer::default().body(&"oslo".into(), &Entry { record: reload, ..group(1, 1, false) }).is_none());
}

#[test]
fn a_test_post_has_the_fields_of_an_alarm_and_is_none() {
    let act = explain::Act::TestPost { webhook: "pager".into() };
    let (who, why) = ("anna".to_owned(), "a new pager".to_owned());
    let record = Record::Operator(explain::Operator { trunk: None, act, via: "api".into(), who, why });
    let entry = Entry { record, ..group(7, 100, false) };
    let test: serde_json::Value = serde_json::from_str(&test_body(&"oslo".into(), &entry)).unwrap();
    let alarm = Writer::default().body(&"oslo".into(), &group(7, 100, false)).unwrap().1;
    let alarm: serde_json::Value = serde_json::from_str(&alarm).unwrap();
    let fields = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&test), fields(&alarm));
    assert_eq!((&test["status"], &test["kind"], &test["severity"]), (&"test".into(), &"test".into(), &"info".into()));
    assert_eq!((&test["id"], &test["seq"]), (&"oslo:test:100000".into(), &7.into()));
    let sentence = test["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("anna") && sentence.contains("a new pager") && sentence.contains("nothing is the matter")
    );
    assert!(!explain::Alarm::KINDS.contains(&"test"));
}

#[test]
fn the_signature_is_hmac_sha256_of_time_and_body() {
    // `printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef`
    let value = signature("0123456789abcdef", Wall::from_micros(1_700_000_000_999_999), "{}");
    assert_eq!(value, "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e");
}

#[test]
fn a_status_says_whether_to_come_again() {
    for (status, wanted) in [
        (200, Tried::Taken { except: 0 }),
        (204, Tried::Taken { except: 0 }),
        (302, Tried::Refused),
        (400, Tried::Refused),
        (408, Tried::Later),
        (410, Tried::Refused),
        (429, Tried::Later),
        (500, Tried::Later),
        (503, Tried::Later),
    ] {
        assert_eq!(tried(status), wanted, "{status}");
    }
}
