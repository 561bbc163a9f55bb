//! Which evidence counts: what is news, and how much of each kind it takes.

use super::*;

#[test]
fn a_failing_share_of_an_outage_that_is_over_is_no_news() {
    let mut engine = all_up(&[&[0, 1]]);
    let outcome = AttemptOutcome::NoReply { after: Span::from_secs(1) };
    let share = |heard| {
        let window = Share { part: 90, of: 100 };
        let calls = CallEvidence { window, last_bad: Some((at(9), outcome)), ..CallEvidence::default() };
        Evidence { calls, last_bad: Some(at(9)), heard, ..good(at(10)) }
    };
    assert_eq!(engine.consider(at(10), trunk(0), &share(Some(at(10)))), None, "heard since");
    let down = engine.consider(at(10), trunk(0), &share(Some(at(9)))).unwrap();
    assert_eq!(down.cause, Cause::FailureShare { percent: 90, limit: 50, of: 100 });
}

#[test]
fn calls_that_get_no_reply_at_all_take_more_of_them_or_longer_than_those_that_stall() {
    let late = |engine: &mut Engine, late, unheard, silent_ms: u64| {
        let now = at(20);
        let calls = CallEvidence { late, unheard, ..CallEvidence::default() };
        let silent_since = (silent_ms > 0).then(|| Instant::from_micros(now.as_micros() - silent_ms * 1_000));
        let seen = Evidence { calls, last_bad: Some(now), heard: Some(now), silent_since, ..good(now) };
        engine.consider(now, trunk(0), &seen).map(|decision| decision.cause)
    };
    let alone = || all_up(&[&[0]]);
    assert_eq!(late(&mut alone(), 5, 0, 0), Some(Cause::CallsLate { count: 5, limit: 5 }), "stalled");
    assert_eq!(late(&mut alone(), 9, 9, 800), None, "slow for a moment");
    assert_eq!(late(&mut alone(), 10, 10, 300), Some(Cause::CallsLate { count: 10, limit: 10 }), "many at once");
    assert_eq!(late(&mut alone(), 3, 3, 1_000), Some(Cause::CallsLate { count: 3, limit: 3 }), "long enough");
}

/// The 100 of the next call, or its answer, is no excuse for those that fail by what the trunk says or leaves unsaid after it.
#[test]
fn a_trunk_that_is_heard_is_excused_of_its_silence_only() {
    let ms = |ms: u64| Instant::ZERO + Span::from_millis(ms);
    let judged = |calls: CallEvidence| {
        let seen = Evidence { calls, last_bad: Some(ms(20_000)), heard: Some(ms(20_002)), ..good(at(20)) };
        all_up(&[&[0]]).consider(ms(20_005), trunk(0), &seen).map(|decision| decision.cause)
    };
    let late = |late, unheard| CallEvidence { late, unheard, ..CallEvidence::default() };
    assert_eq!(judged(late(5, 0)), Some(Cause::CallsLate { count: 5, limit: 5 }), "stalled");
    assert_eq!(judged(late(10, 10)), None, "it replies again");
    let failing = |outcome| CallEvidence {
        window: Share { part: 60, of: 100 },
        last_bad: Some((ms(20_000), outcome)),
        ..CallEvidence::default()
    };
    let refused = AttemptOutcome::Refused { code: 500, q850: None, retry_after: None };
    let share = Some(Cause::FailureShare { percent: 60, limit: 50, of: 100 });
    assert_eq!(judged(failing(refused)), share);
    assert_eq!(judged(failing(AttemptOutcome::Stalled { after: Span::from_secs(2) })), share);
    assert_eq!(judged(failing(AttemptOutcome::NoReply { after: Span::from_secs(1) })), None);
}

#[test]
fn audio_that_is_not_heard_takes_a_trunk_down_for_media() {
    let mut engine = all_up(&[&[0, 1]]);
    let media = |part, of| {
        let last_bad = Some((at(9), MediaOutcome::Silent { after: Span::from_secs(5) }));
        let media = MediaEvidence { silent: Share { part, of }, last_bad, ..MediaEvidence::default() };
        Evidence { media, last_bad: Some(at(9)), ..good(at(9)) }
    };
    assert_eq!(engine.consider(at(9), trunk(0), &media(1, 1)), None, "one call says nothing");
    assert_eq!(engine.consider(at(9), trunk(0), &media(3, 7)), None, "most are heard");
    let doubt = engine.consider(at(9), trunk(0), &media(2, 3)).unwrap();
    assert_eq!(
        (change(&doubt), doubt.cause),
        ((Health::Up, Health::Suspect), Cause::MediaSilent { count: 2, limit: 2, of: 3 })
    );
    let down = engine.consider(at(9), trunk(0), &media(3, 4)).unwrap();
    assert_eq!(
        (change(&down), down.cause),
        ((Health::Suspect, Health::Down), Cause::MediaSilent { count: 3, limit: 3, of: 4 })
    );
}

#[test]
fn holes_in_audio_and_lost_registrations_are_doubts_and_no_more() {
    let mut engine = all_up(&[&[0, 1]]);
    let last_bad = Some((at(9), MediaOutcome::Lossy { permille: 80 }));
    let media = MediaEvidence { lossy: Share { part: 9, of: 9 }, last_bad, ..MediaEvidence::default() };
    let lossy = Evidence { media, last_bad: Some(at(9)), ..good(at(9)) };
    let doubt = engine.consider(at(9), trunk(0), &lossy).unwrap();
    assert_eq!(doubt.cause, Cause::MediaLossy { count: 9, limit: 3, of: 9 });
    assert_eq!(engine.consider(at(9), trunk(0), &lossy), None, "not Down");
    let last = Some((at(9), RegistrationState::Refused { code: 403 }));
    let poor = MediaOutcome::Poor { mos: Mos::from_tenths(27), limit: Mos::from_tenths(31) };
    let poor_of = |lossy, poor_calls| {
        let (lossy, poor_calls) = (Share { part: lossy, of: 5 }, Share { part: poor_calls, of: 5 });
        let media =
            MediaEvidence { lossy, poor: poor_calls, last_bad: Some((at(9), poor)), ..MediaEvidence::default() };
        Evidence { media, last_bad: Some(at(9)), ..good(at(9)) }
    };
    let mut other = all_up(&[&[0, 1]]);
    assert_eq!(other.consider(at(9), trunk(0), &poor_of(2, 2)), None, "two are few");
    let doubt = other.consider(at(9), trunk(0), &poor_of(2, 3)).unwrap();
    assert_eq!(doubt.cause, Cause::MediaPoor { count: 3, limit: 3, of: 5 }, "holes and a low score together");
    assert_eq!(other.consider(at(9), trunk(0), &poor_of(2, 5)), None, "not Down");
    let registration = RegistrationEvidence { good: 0, bad: 2, last };
    let lost = Evidence { registration, last_bad: Some(at(9)), ..good(at(9)) };
    let doubt = engine.consider(at(9), trunk(1), &lost).unwrap();
    assert_eq!(
        (change(&doubt), doubt.cause),
        ((Health::Up, Health::Suspect), Cause::RegistrationLost { count: 2, limit: 2 })
    );
    assert_eq!(engine.consider(at(9), trunk(1), &lost), None);
}

#[test]
fn synthetic_calls_doubt_condemn_and_earn() {
    let mut engine = all_up(&[&[0, 1]]);
    let tested = |now: Instant, good_calls, bad| {
        let result = TestCallResult::NoTone { from_target: false, to_target: true };
        let test_calls = TestCallEvidence { good: good_calls, bad, last: Some((now, result)) };
        Evidence { test_calls, last_bad: Some(at(9)), ..good(now) }
    };
    let doubt = engine.consider(at(9), trunk(0), &tested(at(9), 0, 1)).unwrap();
    assert_eq!(
        (change(&doubt), doubt.cause),
        ((Health::Up, Health::Suspect), Cause::TestCallsFailed { count: 1, limit: 1 })
    );
    let down = engine.consider(at(9), trunk(0), &tested(at(9), 0, 2)).unwrap();
    assert_eq!(change(&down), (Health::Suspect, Health::Down));
    let trial = engine.consider(at(39), trunk(0), &good(at(39))).unwrap();
    assert_eq!(change(&trial), (Health::Down, Health::Probation));
    let first = engine.consider(at(99), trunk(0), &good(at(99))).unwrap();
    assert_eq!(first.change, Change::Share { from: 0, to: 5 });
    let step = engine.consider(at(100), trunk(0), &tested(at(100), 1, 0)).unwrap();
    assert_eq!((step.change, step.cause), (Change::Share { from: 5, to: 25 }, Cause::EarnedByTestCall { count: 1 }));
    let relapse = engine.consider(at(101), trunk(0), &tested(at(101), 0, 1)).unwrap();
    assert_eq!((change(&relapse), relapse.cause), ((Health::Probation, Health::Down), Cause::Relapse));
}

#[test]
fn of_a_region_that_falls_at_once_each_is_judged_a_few_times_and_not_once_for_each_other() {
    let region: Vec<u16> = (0..500).collect();
    let mut engine = all_up(&[&region]);
    let (now, mut judged, mut held_back) = (at(5), 0, 0);
    let mut judge = |engine: &mut Engine, target: TargetId| {
        let decision = engine.consider(now, target, &refused(now, 2));
        judged += 1;
        held_back += usize::from(decision.is_some_and(|decision| decision.veto.is_some()));
    };
    for id in region {
        judge(&mut engine, trunk(id));
        while let Some(target) = engine.due(now) {
            judge(&mut engine, target);
        }
    }
    assert!(held_back >= 490, "so many at once are our own fault: {held_back}");
    assert!(judged < 2_500, "{judged} judgements of five hundred");
}
