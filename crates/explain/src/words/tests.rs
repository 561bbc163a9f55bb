use super::*;
use crate::samples::{at_ms, call, configured, decided, decision, entry};
use alloc::vec::Vec;
use decide::{Cause, Change, Decision, Exclusion, NoPlan, Veto};
use model::{
    Admin, AttemptOutcome, CallEvidence, Evidence, Health, ProbeEvidence, ProbeResult, Span, TransportEvidence,
    TransportFault, Wish,
};
use proptest::prelude::*;

fn say(decision: Decision) -> String {
    sentence(&entry(decided(decision)))
}

fn health(from: Health, to: Health, cause: Cause) -> Decision {
    decision(Change::Health { from, to }, cause)
}

fn silent_probe() -> ProbeEvidence {
    let last = Some((at_ms(399_000), ProbeResult::NoReply { after: Span::from_millis(1_500) }));
    ProbeEvidence { good: 0, bad: 3, bad_fast: 0, last }
}

#[test]
fn the_sentence_of_a_fall() {
    let mut fall = health(Health::Up, Health::Down, Cause::ProbesFailed { count: 3, limit: 3 });
    fall.evidence = Some(Evidence { probe: silent_probe(), ..Evidence::default() });
    fall.next_look = Some(Span::from_secs(30));
    assert_eq!(
        say(fall.clone()),
        "trunk acme Up → Down at 2026-11-24T12:04:07.112Z: 3 probes in a row failed (limit 3), last: no reply in 1.5 s; \
         it gets no calls for 30 s at least, then it is on trial as soon as probes are answered; policy a91f3c20"
    );
    fall.veto = Some(Veto::LastUsable);
    fall.next_look = None;
    assert_eq!(
        say(fall),
        "trunk acme Up → Down held back at 2026-11-24T12:04:07.112Z: 3 probes in a row failed (limit 3), last: no reply in \
         1.5 s; but it is the last usable trunk of a group, so it stays Up and is used after trunks that are Up; otherwise \
         that group would have had nobody; policy a91f3c20"
    );
}

#[test]
fn every_cause_has_its_words_and_its_last_observation() {
    let last_bad = Some((at_ms(399_500), AttemptOutcome::Refused { code: 503, q850: Some(41), retry_after: None }));
    let seen = Evidence {
        probe: ProbeEvidence {
            good: 4,
            bad: 0,
            bad_fast: 0,
            last: Some((at_ms(398_000), ProbeResult::Answered { code: 200, rtt: Span::from_millis(12) })),
        },
        calls: CallEvidence { last_bad, last: last_bad, ..CallEvidence::default() },
        transport: TransportEvidence { in_row: 2, last: Some((at_ms(399_000), TransportFault::PortUnreachable)) },
        ..Evidence::default()
    };
    let (ten, minute) = (Span::from_secs(10), Span::from_secs(60));
    let expected = [
        (
            Cause::FirstSeen,
            "first good sign of a target never seen before, last: call: refused with 503, Q.850 cause 41",
        ),
        (Cause::ProbesFailed { count: 1, limit: 1 }, "1 probe failed (limit 1), last: 200 in 12 ms"),
        (
            Cause::CallsLate { count: 3, limit: 3 },
            "3 calls within 10 s were late, silent or stalled (limit 3), last: refused with 503, Q.850 cause 41",
        ),
        (
            Cause::CallsFailed { count: 3, limit: 3 },
            "3 calls in a row failed by the trunk's fault (limit 3), last: refused with 503, Q.850 cause 41",
        ),
        (
            Cause::CallsSilent { count: 4, limit: 3 },
            "4 calls in a row got no reply (limit 3) and a fast probe failed too, last: refused with 503, Q.850 cause 41",
        ),
        (
            Cause::Refused { count: 2, limit: 2 },
            "2 packets in a row refused by the network (limit 2), last: port unreachable",
        ),
        (
            Cause::FailureShare { percent: 60, limit: 50, of: 25 },
            "60 % of 25 calls within 60 s failed by the trunk's fault (limit 50 %), last: refused with 503, Q.850 cause 41",
        ),
        (
            Cause::Calm { probes: 3, calm: ten },
            "3 probes in a row answered and nothing bad for 10 s, last: probe: 200 in 12 ms",
        ),
        (
            Cause::DwellOver { dwell: minute, probes: 3 },
            "dwell of 1 min over and 3 probes in a row answered, last: probe: 200 in 12 ms",
        ),
        (Cause::Stable { held: minute }, "on Probation for 1 min without a fault, last: probe: 200 in 12 ms"),
        (
            Cause::EarnedByCalls { count: 5 },
            "5 good calls since the last step, last: call: refused with 503, Q.850 cause 41",
        ),
        (Cause::EarnedByTime { held: ten }, "nothing bad for 10 s, last: probe: 200 in 12 ms"),
        (Cause::Relapse, "a fault while on Probation, last: call: refused with 503, Q.850 cause 41"),
    ];
    for (cause, words) in expected {
        let mut one = health(Health::Suspect, Health::Down, cause);
        one.evidence = Some(seen.clone());
        let said = say(one);
        let told = said.strip_prefix("trunk acme Suspect → Down at 2026-11-24T12:04:07.112Z: ").unwrap_or(&said);
        assert_eq!(
            told.strip_suffix("; it gets no calls until it is on trial; policy a91f3c20"),
            Some(words),
            "{cause:?}"
        );
    }
}

#[test]
fn a_call_that_is_still_waited_for_is_told_as_such() {
    let mut doubt = health(Health::Up, Health::Suspect, Cause::CallsLate { count: 3, limit: 3 });
    let calls = CallEvidence { late_by: Some(Span::from_millis(800)), ..CallEvidence::default() };
    doubt.evidence = Some(Evidence { calls, ..Evidence::default() });
    assert!(
        say(doubt).contains(
            "(limit 3), last: still waiting after 800 ms; it gets calls only after trunks that are Up; policy"
        )
    );
}

#[test]
fn every_veto_has_its_words() {
    let expected = [
        (Veto::LastUsable, "it is the last usable trunk of a group"),
        (Veto::TooManyOut { percent: 66, limit: 50 }, "66 % of a group would be out (limit 50 %)"),
        (Veto::TooManyFlips { count: 7, limit: 6 }, "it has fallen 7 times within 10 min (limit 6)"),
        (Veto::SuspectOurselves { trunks: 3 }, "3 trunks failed together and the fault is likely ours"),
        (Veto::ManualFailback, "failback is manual and waits for the operator"),
        (Veto::OutsideWindow { opens_in: Some(Span::from_secs(11_520)) }, "its failback window opens in 3 h 12 min"),
        (Veto::OutsideWindow { opens_in: Some(Span::from_secs(45)) }, "its failback window opens in 45 s"),
        (Veto::OutsideWindow { opens_in: None }, "its failback window is closed"),
    ];
    for (veto, words) in expected {
        let mut one = health(Health::Up, Health::Down, Cause::Relapse);
        one.veto = Some(veto);
        let said = say(one);
        assert!(
            said.contains(&format!(
                " held back at 2026-11-24T12:04:07.112Z: a fault while on Probation; but {words}, so it"
            )),
            "{said}"
        );
    }
}

#[test]
fn shares_throttles_and_the_operator() {
    let share = decision(Change::Share { from: 5, to: 25 }, Cause::EarnedByCalls { count: 5 });
    assert!(say(share).starts_with("trunk acme share 5 % → 25 % at 2026-11-24T12:04:07.112Z: 5 good calls since"));
    let mut throttle = decision(Change::Throttle { asked: Span::from_secs(5), wish: Wish::NoCalls }, Cause::RetryAfter);
    throttle.next_look = Some(Span::from_secs(5));
    assert_eq!(
        say(throttle),
        "trunk acme throttled for 5 s at 2026-11-24T12:04:07.112Z: it answered 503 with Retry-After; it gets no calls for 5 s, \
         then as before"
    );
    let (asked, validity) = (Span::from_secs(60), Span::from_secs(5));
    let overload = Cause::Overload { validity };
    assert_eq!(
        say(decision(Change::Throttle { asked, wish: Wish::Loss { percent: 30 } }, overload)),
        "trunk acme asks for 30 % fewer calls at 2026-11-24T12:04:07.112Z: overload control in its responses, for 5 s unless \
         it says so again"
    );
    let rate = say(decision(Change::Throttle { asked, wish: Wish::Rate { cps: 20 } }, overload));
    assert!(rate.starts_with("trunk acme asks for at most 20 calls a second at "), "{rate}");
    let (asked, wish) = (Span::ZERO, Wish::Rate { cps: 20 });
    assert_eq!(
        say(decision(Change::Throttle { asked, wish }, Cause::Overload { validity: Span::ZERO })),
        "trunk acme takes all its calls again at 2026-11-24T12:04:07.112Z: overload control, its wish is over"
    );
    let admin = decision(Change::Admin { from: Admin::InService, to: Admin::OutOfService }, Cause::Operator);
    assert_eq!(
        say(admin),
        "trunk acme in service → out of service at 2026-11-24T12:04:07.112Z: the operator said so; it gets no calls until the operator restores it"
    );
}

#[test]
fn a_target_is_named_when_the_trunk_has_several() {
    let Record::Decision { mut who, decision } = decided(health(Health::Up, Health::Suspect, Cause::Relapse)) else {
        unreachable!("a decision")
    };
    who.only_target = false;
    let said = sentence(&entry(Record::Decision { who, decision }));
    assert!(said.starts_with("target 192.0.2.31:5060 of trunk acme Up → Suspect at "), "{said}");
}

#[test]
fn operators_configurations_and_alarms() {
    let act = |act, trunk: Option<&str>| {
        let trunk = trunk.map(Name::from);
        sentence(&entry(Record::Operator(Operator {
            trunk,
            act,
            via: "api".into(),
            who: String::new(),
            why: String::new(),
        })))
    };
    let at = "at 2026-11-24T12:04:07.112Z";
    let refused = Act::ReloadRefused { faults: 2, first: "unknown key `listne`".into() };
    let said = [
        act(Act::Drain, Some("acme")),
        act(Act::Out, Some("acme")),
        act(Act::Restore, Some("acme")),
        act(Act::Forgive { source: "203.0.113.9".into() }, None),
        act(Act::Reload { fingerprint: 0xbeef }, None),
        act(refused, None),
        act(Act::Stop, None),
        sentence(&entry(configured(true))),
        sentence(&entry(configured(false))),
        sentence(&entry(Record::Alarm(crate::AlarmRecord {
            what: crate::Alarm::Text { text: "the disk is full".into() },
            over: false,
        }))),
    ];
    let expected = [
        format!("operator (api) drains trunk acme {at}: its calls stay, it gets no new ones"),
        format!("operator (api) takes trunk acme out of service {at}: it gets no calls"),
        format!("operator (api) restores trunk acme {at}: it gets calls as health allows, at once"),
        format!("operator (api) forgives source 203.0.113.9 {at}: nothing is held against it any more"),
        format!("operator (api) reloads the configuration {at}: 0000beef is taken"),
        format!(
            "operator (api) reloads the configuration {at}: refused for 2 faults, first: unknown key `listne`; the old one stays"
        ),
        format!("operator (api) stops the edge {at}: new calls get 503, live ones are served to their end"),
        format!("the edge started {at}: configuration a91f3c20 with trunks office, acme, globex; groups carriers"),
        format!(
            "the edge changed its configuration {at}: configuration a91f3c20 with trunks office, acme, globex; groups carriers"
        ),
        format!("alarm {at}: the disk is full"),
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_call_in_the_log_shows_no_number_in_full() {
    let said = sentence(&entry(Record::Call(call().into())));
    assert_eq!(
        said,
        "call 00000000deadbeef from office to …455 over at 2026-11-24T12:04:07.112Z: rang after 1.4 s, answered by globex \
         after 3.1 s, talked 2 min, ended by the caller (before that acme: no reply in 1 s)"
    );
}

#[test]
fn attempts_beside_each_other_are_told() {
    let mut raced = call();
    raced.attempts[0].outcome = model::AttemptOutcome::Outrun { after: Span::from_millis(900), progressed: true };
    raced.attempts[1].begun = model::Begun::Beside;
    let said = crate::why_call(&raced, crate::samples::WALL);
    assert!(said[1].ends_with("left after 900 ms of ringing, since another attempt was ahead of it"), "{said:?}");
    assert!(said[2].starts_with("attempt 2 to globex, beside one whose trunk was in doubt: "), "{said:?}");
    raced.attempts[1].begun = model::Begun::Hedge;
    assert!(
        crate::why_call(&raced, crate::samples::WALL)[2]
            .starts_with("attempt 2 to globex, beside one that was slower than usual: ")
    );
    let log = sentence(&entry(Record::Call(raced.into())));
    assert!(
        log.ends_with(
            "ended by the caller (beside that acme: left after 900 ms of ringing, since another attempt was ahead of it)"
        ),
        "{log}"
    );
}

#[test]
fn a_call_that_the_retry_budget_ended_says_so() {
    let mut lost = call();
    (lost.progressed, lost.answered, lost.media) = (None, None, None);
    lost.attempts.truncate(1);
    lost.ending = crate::Ending::OutOfRetries { code: 503 };
    let said = crate::why_call(&lost, crate::samples::WALL);
    let wanted = "the caller got 503 after 123.1 s and no other trunk was tried: too many calls were being tried again";
    assert!(said.iter().any(|sentence| sentence == wanted), "{said:?}");
}

#[test]
fn calls_without_a_plan_and_without_an_answer() {
    let mut lost = call();
    (lost.plan, lost.progressed, lost.answered, lost.media) = (Err(NoPlan::NoRoute), None, None, None);
    lost.attempts.clear();
    lost.ending = crate::Ending::Refused { code: 404 };
    assert_eq!(
        crate::why_call(&lost, crate::samples::WALL),
        [
            "call 00000000deadbeef from office: +4790123456 calls +4722334455; no route matches",
            "the caller got 404 after 123.1 s"
        ]
    );
    let excluded = call().plan.map(|plan| plan.excluded).unwrap_or_default();
    lost.plan = Err(NoPlan::NobodyLeft { group: model::GroupId(0), excluded, unnamed: 3 });
    let said = crate::why_call(&lost, crate::samples::WALL);
    let wanted =
        "; nobody in group carriers may take it; left out: initech is Down for 40 s, umbrella is draining, and 3 more";
    assert!(said[0].ends_with(wanted), "{said:?}");
}

#[test]
fn what_is_full_is_told_with_its_limit() {
    let told = |cause| super::outcome::exclusion(cause, at_ms(0));
    assert_eq!(told(Exclusion::CallLimit { limit: 200, part: 200 }), "carries as many calls as it may (limit 200)");
    assert_eq!(
        told(Exclusion::RateLimit { limit: 20, part: 10 }),
        "was offered as many calls within a second as it may (10 on this shard, of a limit of 20)"
    );
    assert_eq!(
        told(Exclusion::Headroom { percent: 10 }),
        "is nearly full, and its last 10 % are kept for calls that another trunk has failed"
    );
    let Some(mut plan) = call().plan.ok() else { unreachable!("a plan") };
    (plan.emergency, plan.unnamed) = (true, 2);
    let said = call::plan(&plan, None, &[], at_ms(100_000));
    assert!(said.contains("; an emergency call, which no limit holds back; left out: "), "{said}");
    assert!(said.ends_with("trunk number 5 is draining, and 2 more"), "{said}");
}

#[test]
fn an_attempt_under_way_is_told_in_the_same_words() {
    assert_eq!(call::waiting(2, "globex", Span::from_millis(300)), "attempt 2 to globex: waiting for 300 ms");
    let Some(first) = call().attempts.into_iter().next() else { unreachable!("two attempts") };
    assert_eq!(call::attempt(1, &first), "attempt 1 to acme: no reply in 1 s");
}

#[test]
fn a_last_resort_and_several_targets_are_told() {
    let mut plan = call().plan.ok();
    let Some(plan) = plan.as_mut() else { unreachable!("a plan") };
    plan.last_resort = true;
    plan.excluded.clear();
    plan.attempts[0].health = Health::Down;
    plan.attempts[1] = plan.attempts[0];
    plan.attempts[1].target.index = 1;
    assert_eq!(
        call::plan(plan, None, &[], at_ms(0)),
        "group number 0 by route 1 at epoch 17: trunk number 1 target 1 (Down), then trunk number 1 target 2 (Down); a \
         last resort, since every one of them is Down"
    );
}

/// Fields that hold microseconds, as many as there may be.
const TIMES: [&str; 9] = ["invited", "progressed", "answered", "ended", "after", "took", "asked", "since", "until"];

/// Any record at all, as far as JSON can spell it: numbers, names and texts are replaced at random.
fn scrambled(record: &Record, numbers: &[u64], text: &str) -> Option<Record> {
    let mut value = serde_json::to_value(record).ok()?;
    let mut at = 0usize;
    scramble(&mut value, numbers, text, &mut at);
    serde_json::from_value(value).ok()
}

fn scramble(value: &mut serde_json::Value, numbers: &[u64], text: &str, at: &mut usize) {
    use serde_json::Value;
    match value {
        Value::Number(number) => {
            *at += 1;
            let new = numbers[*at % numbers.len()];
            // Kept within the narrowest width that holds the old value.
            *value = match number.as_u64() {
                Some(0..=0xff) => (new & 0xff).into(),
                Some(0x100..=0xffff) => (new & 0xffff).into(),
                Some(_) => (new & 0xffff_ffff).into(),
                None => (-((new & 0x7f) as i64)).into(),
            };
        }
        Value::Array(values) => values.iter_mut().for_each(|value| scramble(value, numbers, text, at)),
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                match value {
                    Value::String(old)
                        if ["text", "caller", "called", "why", "via", "trunk"].contains(&key.as_str()) =>
                    {
                        *old = text.into();
                    }
                    Value::Number(_) if TIMES.contains(&key.as_str()) => {
                        *at += 1;
                        *value = numbers[*at % numbers.len()].into();
                    }
                    value => scramble(value, numbers, text, at),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

proptest! {
    #[test]
    fn words_never_panic(numbers in proptest::collection::vec(any::<u64>(), 1..40), text in ".{0,40}", wall in any::<i64>()) {
        let mut fall = health(Health::Up, Health::Down, Cause::FailureShare { percent: 60, limit: 50, of: 25 });
        fall.evidence = Some(Evidence { probe: silent_probe(), ..Evidence::default() });
        let records: Vec<Record> = [
            decided(fall),
            decided(decision(Change::Throttle { asked: Span::MAX, wish: Wish::NoCalls }, Cause::RetryAfter)),
            configured(true),
            Record::Call(call().into()),
            Record::Alarm(crate::AlarmRecord { what: crate::Alarm::Text { text: text.clone() }, over: false }),
        ].iter().filter_map(|record| scrambled(record, &numbers, &text)).collect();
        prop_assert!(records.len() == 5, "scrambling must leave them readable: {}", records.len());
        for record in records {
            if let Record::Call(call) = &record {
                let told = crate::why_call(call, Wall::from_micros(wall)).len();
                prop_assert!((call.attempts.len() + 2..=call.attempts.len() + 5).contains(&told));
                let _ = crate::cdr(call, Wall::from_micros(wall));
            }
            let said = sentence(&crate::Entry { seq: model::Seq(1), wall: Wall::from_micros(wall), record });
            prop_assert!(!said.is_empty());
        }
    }
}
