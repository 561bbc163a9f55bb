//! From signals to evidence: what counts, what ends what, and when a probe is ordered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use model::*;
use sense::*;

const TARGET: TargetId = TargetId { trunk: TrunkId(0), index: 0 };

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

fn sensor() -> Sensor {
    let mut sensor = Sensor::new(1);
    sensor.install(at(0), &[(TARGET, ProbePolicy { jitter_percent: 0, ..ProbePolicy::default() })]);
    sensor
}

fn see(sensor: &mut Sensor, ms: u64, what: Observed) {
    sensor.observe(at(ms), &Signal { at: at(ms), target: TARGET, what });
}

fn start(sensor: &mut Sensor, ms: u64, call: u64) {
    see(sensor, ms, Observed::AttemptStarted { call: CallRef(call) });
}

fn end(sensor: &mut Sensor, ms: u64, call: u64, outcome: AttemptOutcome) {
    see(sensor, ms, Observed::Attempt { call: CallRef(call), outcome });
}

/// Waits so long that it is late where nothing is known yet.
fn late(sensor: &mut Sensor, ms: u64, call: u64, trying: bool) {
    let after = Span::from_millis(if trying { 4_000 } else { 500 });
    see(sensor, ms, Observed::Waiting { call: CallRef(call), after, trying });
}

const SILENCE: AttemptOutcome = AttemptOutcome::NoReply { after: Span::from_millis(1_000) };
const BUSY: AttemptOutcome = AttemptOutcome::Refused { code: 486, q850: None, retry_after: None };
const ERROR: AttemptOutcome = AttemptOutcome::Refused { code: 500, q850: None, retry_after: None };

fn probe(sensor: &mut Sensor, ms: u64) -> ProbeOrder {
    sensor.tick(at(ms));
    sensor.poll().expect("a probe is due")
}

fn answered(sensor: &mut Sensor, ms: u64, order: u64, code: u16) {
    see(sensor, ms, Observed::Probe { order, result: ProbeResult::Answered { code, rtt: Span::from_millis(5) } });
}

#[test]
fn a_probe_fails_by_its_own_deadline_and_its_late_answer_counts_for_nothing() {
    let mut sensor = sensor();
    let order = probe(&mut sensor, 1_000);
    assert_eq!((order.target, order.deadline), (TARGET, Span::from_millis(1_500)));
    sensor.tick(at(2_500));
    assert_eq!(sensor.dirty(), Some(TARGET));
    let seen = sensor.evidence(at(2_500), TARGET);
    assert_eq!((seen.probe.bad, seen.probe.bad_fast, seen.last_bad), (1, 0, Some(at(2_500))));
    answered(&mut sensor, 2_600, order.order, 200);
    assert_eq!(sensor.evidence(at(2_600), TARGET).probe.bad, 1);
    assert_eq!(sensor.counters().late_answers, 1);
}

#[test]
fn first_probes_are_spread_and_repeatable() {
    let targets: Vec<_> =
        (0..100).map(|id| (TargetId { trunk: TrunkId(id), index: 0 }, ProbePolicy::default())).collect();
    let first = |seed| {
        let mut sensor = Sensor::new(seed);
        sensor.install(at(0), &targets);
        let mut times = vec![];
        while let Some(due) = sensor.deadline().filter(|due| *due < at(1_000)) {
            sensor.tick(due);
            while let Some(order) = sensor.poll() {
                times.push((due, order.target));
                let result = ProbeResult::Answered { code: 200, rtt: Span::ZERO };
                let what = Observed::Probe { order: order.order, result };
                sensor.observe(due, &Signal { at: due, target: order.target, what });
            }
        }
        times
    };
    let times = first(3);
    assert_eq!(times.len(), 100, "all within the first second");
    let fifth = |n: u64| times.iter().filter(|(due, _)| due.as_micros() / 200_000 == n).count();
    assert!((0..5).all(|n| (8..=35).contains(&fifth(n))), "and spread over it");
    assert_eq!(times, first(3));
    assert_ne!(times, first(4));
}

#[test]
fn a_good_probe_does_not_erase_failing_calls_nor_the_other_way_round() {
    let mut sensor = sensor();
    let order = probe(&mut sensor, 1_000);
    for call in 0..3 {
        start(&mut sensor, 1_000 + call, call);
        end(&mut sensor, 1_010 + call, call, ERROR);
    }
    answered(&mut sensor, 1_100, order.order, 404);
    let seen = sensor.evidence(at(1_100), TARGET);
    assert_eq!((seen.calls.blamed_in_row, seen.probe.good), (3, 1));
    start(&mut sensor, 1_200, 9);
    end(&mut sensor, 1_300, 9, BUSY);
    let seen = sensor.evidence(at(1_300), TARGET);
    assert_eq!((seen.calls.blamed_in_row, seen.calls.good_in_row, seen.probe.good), (0, 1, 1));
    assert_eq!(seen.calls.window, Share { part: 3, of: 4 });
}

#[test]
fn an_old_call_that_is_answered_now_does_not_excuse_new_ones_that_fail() {
    let mut sensor = sensor();
    start(&mut sensor, 100, 1);
    for call in 10..13 {
        start(&mut sensor, 5_000 + call, call);
        end(&mut sensor, 5_020 + call, call, ERROR);
    }
    see(&mut sensor, 5_100, Observed::Progress { call: CallRef(1), after: Span::from_secs(5) });
    end(&mut sensor, 5_200, 1, AttemptOutcome::Answered);
    assert_eq!(sensor.evidence(at(5_200), TARGET).calls.blamed_in_row, 3);
}

#[test]
fn a_late_call_orders_a_fast_probe_and_more_of_them_no_more_than_one_a_second() {
    let mut sensor = sensor();
    let order = probe(&mut sensor, 1_000);
    answered(&mut sensor, 1_005, order.order, 200);
    for call in 0..3 {
        start(&mut sensor, 2_000 + call * 20, call);
    }
    assert_eq!(sensor.deadline(), Some(at(6_000)), "not yet");
    for call in 0..3 {
        late(&mut sensor, 2_500 + call * 20, call, false);
    }
    assert_eq!(sensor.deadline(), Some(at(2_500)), "at once");
    let seen = sensor.evidence(at(2_540), TARGET);
    assert_eq!((seen.calls.late, seen.calls.late_by), (3, Some(Span::from_millis(500))));
    assert_eq!(seen.silent_since, Some(at(2_000)), "the first of them was sent then");
    probe(&mut sensor, 2_540);
    for call in 0..3 {
        end(&mut sensor, 3_000 + call * 20, call, SILENCE);
    }
    assert_eq!(sensor.deadline(), Some(at(2_540 + 750)), "it gets company when half of its deadline is over");
    let seen = sensor.evidence(at(3_040), TARGET);
    assert_eq!((seen.calls.late, seen.calls.silent_in_row, seen.calls.blamed_in_row), (3, 3, 0), "late once each");
    sensor.tick(at(4_040));
    let seen = sensor.evidence(at(4_040), TARGET);
    assert_eq!((seen.probe.bad_fast, seen.heard), (1, Some(at(1_005))));
}

/// A slow trunk is not a silent one.
#[test]
fn a_reply_to_an_attempt_that_was_left_takes_its_silence_back() {
    let mut sensor = sensor();
    for call in 0..3 {
        start(&mut sensor, 100 * call, call);
        end(&mut sensor, 100 * call + 250, call, AttemptOutcome::NoReply { after: Span::from_millis(250) });
    }
    assert_eq!(sensor.evidence(at(450), TARGET).calls.silent_in_row, 3);
    see(&mut sensor, 800, Observed::FirstReply { call: CallRef(0), after: Span::from_millis(800) });
    let seen = sensor.evidence(at(800), TARGET);
    assert_eq!((seen.calls.silent_in_row, seen.calls.late, seen.silent_since), (0, 2, None));
}

#[test]
fn a_silence_that_is_over_takes_its_share_of_failures_along_and_one_lost_packet_is_no_silence() {
    let mut sensor = sensor();
    start(&mut sensor, 0, 0);
    see(&mut sensor, 20, Observed::FirstReply { call: CallRef(0), after: Span::from_millis(20) });
    for call in 1..30 {
        start(&mut sensor, 200 * call, call);
        end(&mut sensor, 200 * call + 250, call, AttemptOutcome::NoReply { after: Span::from_millis(250) });
    }
    let seen = sensor.evidence(at(6_100), TARGET);
    assert_eq!((seen.silent_since, seen.calls.window.part), (Some(at(200)), 29));
    start(&mut sensor, 6_200, 30);
    see(&mut sensor, 6_220, Observed::FirstReply { call: CallRef(30), after: Span::from_millis(20) });
    let seen = sensor.evidence(at(6_220), TARGET);
    assert_eq!((seen.silent_since, seen.calls.window.part), (None, 0));
    start(&mut sensor, 6_210, 31);
    end(&mut sensor, 6_460, 31, AttemptOutcome::NoReply { after: Span::from_millis(250) });
    assert_eq!(sensor.evidence(at(6_460), TARGET).silent_since, None, "sent before another was answered");
}

#[test]
fn audio_and_registrations_have_rows_of_their_own() {
    let mut sensor = sensor();
    let silent = MediaOutcome::Silent { after: Span::from_secs(5) };
    see(&mut sensor, 100, Observed::Media { call: CallRef(1), outcome: silent });
    see(
        &mut sensor,
        200,
        Observed::Registration { state: RegistrationState::Refused { code: 403 }, holds: Span::ZERO },
    );
    let order = probe(&mut sensor, 1_000);
    answered(&mut sensor, 1_010, order.order, 200);
    start(&mut sensor, 1_100, 2);
    end(&mut sensor, 1_200, 2, AttemptOutcome::Answered);
    let seen = sensor.evidence(at(1_200), TARGET);
    assert_eq!(seen.media.silent, Share { part: 1, of: 1 }, "a good answer does not make it heard");
    assert_eq!((seen.registration.bad, seen.last_bad), (1, Some(at(200))));
    see(
        &mut sensor,
        1_300,
        Observed::Registration { state: RegistrationState::Registered, holds: Span::from_secs(600) },
    );
    see(&mut sensor, 6_000, Observed::Media { call: CallRef(2), outcome: MediaOutcome::Good });
    let seen = sensor.evidence(at(6_000), TARGET);
    assert_eq!((seen.registration.bad, seen.registration.good), (0, 1));
    assert_eq!((seen.media.silent, seen.heard), (Share { part: 1, of: 2 }, Some(at(1_200))));
}

#[test]
fn late_calls_expire_and_a_reply_excuses_lack_of_a_reply_only() {
    let mut sensor = sensor();
    start(&mut sensor, 1_000, 1);
    start(&mut sensor, 1_000, 2);
    late(&mut sensor, 1_500, 1, false);
    late(&mut sensor, 3_000, 2, true);
    start(&mut sensor, 3_100, 3);
    see(&mut sensor, 3_110, Observed::FirstReply { call: CallRef(3), after: Span::from_millis(10) });
    assert_eq!(sensor.evidence(at(3_110), TARGET).calls.late, 1, "a 100 excuses silence, not a stall");
    assert_eq!(sensor.evidence(at(13_000), TARGET).calls.late, 0, "ten seconds");
}

/// Abroad it may take three seconds until it rings; that is a stall only where it never does.
#[test]
fn what_is_late_is_learned_from_the_targets_own_past() {
    for (usual, is_late) in [(100, true), (3_000, false)] {
        let mut sensor = sensor();
        for call in 0..150 {
            start(&mut sensor, 10 * call, call);
            let after = Span::from_millis(usual);
            see(&mut sensor, 10 * call + usual, Observed::Progress { call: CallRef(call), after });
        }
        start(&mut sensor, 10_000, 1_000);
        for (wait, late) in [(500, false), (1_000, is_late), (2_500, is_late)] {
            let (call, after) = (CallRef(1_000), Span::from_millis(wait));
            see(&mut sensor, 10_000 + wait, Observed::Waiting { call, after, trying: true });
            let seen = sensor.evidence(at(10_000 + wait), TARGET);
            assert_eq!(seen.calls.late == 1, late, "usual {usual} ms, waited {wait} ms");
        }
    }
}

#[test]
fn progress_of_a_later_call_excuses_lateness_of_both_kinds_and_of_an_earlier_one_does_not() {
    let mut sensor = sensor();
    for call in [1, 2, 3] {
        start(&mut sensor, 1_000 * call, call);
    }
    late(&mut sensor, 4_000, 2, true);
    see(&mut sensor, 4_100, Observed::Progress { call: CallRef(1), after: Span::from_millis(3_100) });
    assert_eq!(sensor.evidence(at(4_100), TARGET).calls.late, 1);
    see(&mut sensor, 4_200, Observed::Progress { call: CallRef(3), after: Span::from_millis(1_200) });
    assert_eq!(sensor.evidence(at(4_200), TARGET).calls.late, 0);
}

#[test]
fn any_answer_ends_a_row_of_refusals_and_our_own_faults_are_none() {
    let mut sensor = sensor();
    let refused = |fault| AttemptOutcome::Unreachable { fault };
    end(&mut sensor, 10, 1, refused(TransportFault::Local));
    end(&mut sensor, 11, 2, refused(TransportFault::TooLarge));
    let seen = sensor.evidence(at(12), TARGET);
    assert_eq!((seen.transport.in_row, seen.calls.blamed_in_row, seen.last_bad), (0, 0, None));
    end(&mut sensor, 20, 3, refused(TransportFault::PortUnreachable));
    see(&mut sensor, 30, Observed::Transport { fault: TransportFault::HostUnreachable });
    assert_eq!(sensor.evidence(at(30), TARGET).transport.in_row, 2);
    end(&mut sensor, 40, 4, ERROR);
    assert_eq!(sensor.evidence(at(40), TARGET).transport.in_row, 0, "a 500 is an answer");
}

#[test]
fn a_caller_who_gave_up_on_silence_left_a_late_trunk_behind() {
    let mut sensor = sensor();
    let gone = |after| AttemptOutcome::Abandoned { after: Span::from_millis(after), progressed: false };
    start(&mut sensor, 0, 1);
    end(&mut sensor, 400, 1, gone(400));
    assert_eq!(sensor.evidence(at(400), TARGET).calls.late, 0, "the caller was quick");
    start(&mut sensor, 1_000, 2);
    end(&mut sensor, 3_000, 2, gone(2_000));
    let seen = sensor.evidence(at(3_000), TARGET);
    assert_eq!((seen.calls.late, seen.calls.blamed_in_row), (1, 0));
}

#[test]
fn a_return_begins_with_a_clean_sheet_and_a_fall_does_not() {
    let mut sensor = sensor();
    for call in 0..3 {
        start(&mut sensor, call, call);
        end(&mut sensor, 10 + call, call, ERROR);
    }
    sensor.mark(at(12), TARGET);
    assert_eq!(sensor.evidence(at(12), TARGET).calls.blamed_in_row, 3, "it has just fallen by these");
    start(&mut sensor, 5_000, 7);
    sensor.mark(at(10_000), TARGET);
    let seen = sensor.evidence(at(10_000), TARGET);
    assert_eq!((seen.calls.blamed_in_row, seen.calls.window.of), (0, 0));
    see(&mut sensor, 10_100, Observed::Progress { call: CallRef(7), after: Span::from_millis(5_100) });
    start(&mut sensor, 10_200, 8);
    see(&mut sensor, 10_300, Observed::Progress { call: CallRef(8), after: Span::from_millis(100) });
    assert_eq!(sensor.evidence(at(10_300), TARGET).calls.good_since_mark, 1, "only what started after the mark earns");
}

#[test]
fn the_pace_is_learned_from_a_hundred_replies_and_told_when_it_changes() {
    let mut sensor = sensor();
    for call in 0..100 {
        assert!(!sensor.learned());
        start(&mut sensor, call, call);
        see(&mut sensor, call + 20, Observed::FirstReply { call: CallRef(call), after: Span::from_millis(20) });
    }
    assert!(sensor.learned());
    let usual = sensor.paces().of(TARGET);
    assert_eq!(usual, Pace { first_reply: Some(Span::from_millis(24)), progress: None }, "the edge of its bucket");
    assert_eq!(sensor.evidence(at(200), TARGET).calls.usual, usual);
    assert!(!sensor.learned(), "told once");
}

#[test]
fn late_replies_to_what_was_sent_into_a_silence_teach_no_pace() {
    let mut sensor = sensor();
    let quick = Some(Span::from_millis(24));
    for call in 0..100 {
        start(&mut sensor, call, call);
        see(&mut sensor, call + 20, Observed::FirstReply { call: CallRef(call), after: Span::from_millis(20) });
    }
    assert_eq!(sensor.paces().of(TARGET).first_reply, quick);
    // A second and a half of silence; its thirty calls are answered when it is over, by their repeats.
    for call in 1_000..1_030 {
        start(&mut sensor, 1_000 + 50 * (call - 1_000), call);
        late(&mut sensor, 1_500 + 50 * (call - 1_000), call, false);
    }
    for call in 1_000..1_030 {
        let after = Span::from_millis(3_000 - (1_000 + 50 * (call - 1_000)));
        see(&mut sensor, 3_000, Observed::FirstReply { call: CallRef(call), after });
    }
    assert_eq!(sensor.paces().of(TARGET).first_reply, quick);
    // One that has become slow, and is called seldom, is late each time and yet learned.
    for call in 2_000..2_010 {
        let ms = 2_000 * (call - 1_000);
        start(&mut sensor, ms, call);
        late(&mut sensor, ms + 500, call, false);
        see(&mut sensor, ms + 800, Observed::FirstReply { call: CallRef(call), after: Span::from_millis(800) });
    }
    assert!(sensor.paces().of(TARGET).first_reply >= Some(Span::from_millis(800)));
}

/// Or a trunk that was Down by its probes when they were turned off would wait for good ones for ever.
#[test]
fn a_reload_that_ends_probes_ends_what_they_have_said() {
    let mut sensor = sensor();
    let order = probe(&mut sensor, 1_000);
    sensor.tick(at(2_500));
    assert_eq!(sensor.evidence(at(2_500), TARGET).probe.bad, 1);
    sensor.install(at(3_000), &[(TARGET, ProbePolicy { on: false, ..ProbePolicy::default() })]);
    assert_eq!(sensor.evidence(at(3_000), TARGET).probe, ProbeEvidence::default());
    answered(&mut sensor, 3_100, order.order, 200);
    assert_eq!(sensor.evidence(at(3_100), TARGET).probe, ProbeEvidence::default());
}

#[test]
fn the_operators_word_ends_rows_even_of_what_has_just_failed() {
    let mut sensor = sensor();
    for call in 0..5 {
        start(&mut sensor, 1_000 + call, call);
        end(&mut sensor, 1_100 + call, call, ERROR);
    }
    probe(&mut sensor, 1_200);
    sensor.tick(at(2_700));
    sensor.mark(at(2_710), TARGET);
    assert_eq!(sensor.evidence(at(2_710), TARGET).probe.bad, 1, "a fall forgets nothing");
    sensor.forgive(at(2_720), TARGET);
    let seen = sensor.evidence(at(2_720), TARGET);
    assert_eq!((seen.probe.bad, seen.calls.blamed_in_row, seen.calls.window.of), (0, 0, 0));
}

#[test]
fn a_reload_keeps_evidence_and_forgets_strangers() {
    let mut sensor = sensor();
    end(&mut sensor, 10, 1, ERROR);
    sensor.install(at(20), &[(TARGET, ProbePolicy { on: false, ..ProbePolicy::default() })]);
    assert_eq!(sensor.evidence(at(20), TARGET).calls.blamed_in_row, 1);
    assert_eq!(sensor.deadline(), None, "probes are off now");
    sensor.install(at(30), &[]);
    end(&mut sensor, 40, 2, ERROR);
    assert_eq!(sensor.evidence(at(40), TARGET), Evidence::default());
    assert_eq!((sensor.counters().strangers, sensor.dirty()), (1, None));
}

/// The end of a hunt is no deadline of the trunk that was tried last: only its own lateness counts against it.
#[test]
fn what_the_hunts_end_cut_short_is_held_against_nobody() {
    let mut sensor = sensor();
    let cut = |replied| AttemptOutcome::CutShort { after: Span::from_millis(400), replied };
    for call in 0..6 {
        start(&mut sensor, 1_000 + call, call);
        end(&mut sensor, 1_400 + call, call, cut(call % 2 == 0));
    }
    let seen = sensor.evidence(at(2_000), TARGET);
    assert_eq!((seen.calls.blamed_in_row, seen.calls.silent_in_row, seen.calls.last_bad), (0, 0, None));
    assert_eq!(seen.calls.window.of, 0, "it is no attempt to count by");
    start(&mut sensor, 3_000, 9);
    late(&mut sensor, 7_000, 9, true);
    end(&mut sensor, 7_100, 9, AttemptOutcome::CutShort { after: Span::from_millis(4_100), replied: true });
    assert_eq!(sensor.evidence(at(7_200), TARGET).calls.blamed_in_row, 1, "it was overdue after its 100");
}

/// One that says 100 and no more is left for another as soon as it is in doubt, so no attempt at it ever reaches its own deadline.
#[test]
fn a_stalled_call_that_was_left_for_another_is_one_not_carried() {
    let mut sensor = sensor();
    let outrun = |progressed| AttemptOutcome::Outrun { after: Span::from_millis(4_100), progressed };
    for call in 0..3 {
        start(&mut sensor, 1_000 + call, call);
        late(&mut sensor, 5_000 + call, call, true);
    }
    start(&mut sensor, 4_900, 3);
    let doubted = sensor.evidence(at(5_010), TARGET).last_bad;
    for call in 0..4 {
        end(&mut sensor, 5_100 + call, call, outrun(false));
    }
    let seen = sensor.evidence(at(5_200), TARGET);
    assert_eq!(seen.calls.blamed_in_row, 3, "the fourth was not overdue");
    assert_eq!((seen.last_bad, seen.calls.last_bad), (doubted, None), "and it is no news");
    start(&mut sensor, 6_000, 4);
    see(&mut sensor, 6_300, Observed::Progress { call: CallRef(4), after: Span::from_millis(300) });
    assert_eq!(sensor.evidence(at(6_400), TARGET).calls.blamed_in_row, 0, "a call that rings ends the row");
}
