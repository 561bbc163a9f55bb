#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::Address;
use explain::{Alarm, Severity};
use model::Seq;
use proptest::prelude::*;

fn plan(give_up_s: u64) -> Webhook {
    Webhook {
        name: "pager".into(),
        address: Address {
            secure: false,
            host: "h".to_owned(),
            port: 80,
            authority: "h".to_owned(),
            path: "/".to_owned(),
        },
        secret: None,
        severity: Severity::Info,
        alarms: Vec::new(),
        timeout: Span::from_secs(5),
        give_up: Span::from_secs(give_up_s),
    }
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

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
fn the_signature_is_hmac_sha256_of_time_and_body() {
    // `printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef`
    let value = signature("0123456789abcdef", Wall::from_micros(1_700_000_000_999_999), "{}");
    assert_eq!(value, "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e");
}

#[test]
fn a_status_says_whether_to_come_again() {
    for (status, tried) in [
        (200, Tried::Taken),
        (204, Tried::Taken),
        (302, Tried::Refused),
        (400, Tried::Refused),
        (408, Tried::Later),
        (410, Tried::Refused),
        (429, Tried::Later),
        (500, Tried::Later),
        (503, Tried::Later),
    ] {
        assert_eq!(Tried::of_status(status), tried, "{status}");
    }
}

#[test]
fn rests_double_and_are_drawn_between_half_and_whole() {
    let (mut line, plan) = (Line::new(1), plan(3_600));
    line.push(at(0), "a".into());
    let mut now = at(0);
    let mut rests = Vec::new();
    for _ in 0..9 {
        assert_eq!(line.poll(now).as_deref(), Some("a"));
        assert_eq!((line.poll(now), line.deadline()), (None, None), "one at a time");
        line.tried(now, &plan, Tried::Later);
        let due = line.deadline().unwrap();
        rests.push(due.since(now).as_millis());
        now = due;
    }
    let bounds = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000];
    for (rest, whole) in rests.iter().zip(bounds) {
        assert!((whole / 2..=whole).contains(rest), "{rests:?}");
    }
}

#[test]
fn what_nobody_takes_is_dropped_in_time_and_the_next_has_its_turn() {
    let (mut line, plan) = (Line::new(1), plan(10));
    line.push(at(0), "a".into());
    line.push(at(0), "b".into());
    let mut now = at(0);
    while line.poll(now).as_deref() == Some("a") {
        line.tried(now, &plan, Tried::Later);
        now = line.deadline().unwrap().max(now);
        assert!(now.since(at(0)) <= Span::from_secs(10));
    }
    assert_eq!(line.counts().late, 1);
    line.tried(now, &plan, Tried::Taken);
    assert!(line.waiting() == 0 && line.counts().taken == 1);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Try(Tried),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let tried = prop_oneof![Just(Tried::Taken), Just(Tried::Later), Just(Tried::Refused)];
    let step =
        prop_oneof![6 => Just(Step::Push), 3 => tried.prop_map(Step::Try), 1 => (0..90_000_u64).prop_map(Step::Pass)];
    proptest::collection::vec(step, 0..1_500)
}

proptest! {
    #[test]
    fn posts_keep_their_order_their_limit_and_are_all_accounted_for(seed: u64, steps in steps()) {
        let (mut line, plan) = (Line::new(seed), plan(600));
        let (mut now, mut pushed, mut last) = (0, 0_u64, None);
        for step in steps {
            match step {
                Step::Push => {
                    line.push(at(now), pushed.to_string().into());
                    pushed += 1;
                }
                Step::Pass(ms) => now += ms,
                Step::Try(tried) => {
                    if let Some(body) = line.poll(at(now)) {
                        let number: u64 = body.parse().unwrap();
                        prop_assert!(last.is_none_or(|last| last <= number), "{last:?} {number}");
                        last = Some(number);
                        line.tried(at(now), &plan, tried);
                    }
                }
            }
            let counts = line.counts();
            let gone = counts.taken + counts.full + counts.late + counts.refused;
            prop_assert_eq!(gone + line.waiting() as u64, pushed);
            prop_assert!(line.waiting() <= WAITING);
            prop_assert!(line.deadline().is_none_or(|due| due <= at(now) + REST_MOST));
        }
    }

    #[test]
    fn the_one_that_is_being_tried_is_never_the_one_that_makes_room(extra in 0..600_usize) {
        let (mut line, plan) = (Line::new(1), plan(600));
        line.push(at(0), "first".into());
        line.poll(at(0)).unwrap();
        (0..extra).for_each(|_| line.push(at(0), "more".into()));
        line.tried(at(1), &plan, Tried::Taken);
        prop_assert_eq!(line.counts().taken, 1);
        let next = line.poll(at(1));
        prop_assert_ne!(next.as_deref(), Some("first"));
    }
}
