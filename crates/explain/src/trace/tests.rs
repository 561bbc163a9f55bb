use super::*;
use crate::samples;
use alloc::vec;
use decide::{NoPlan, Note};
use model::{CallRef, TransportFault};
use proptest::prelude::*;

const ENDED: Wall = samples::WALL;

fn told(call: &CallRecord) -> Trace {
    let address = |target: TargetId| (target.trunk.0 == 1).then(|| SocketAddr::from(([192, 0, 2, 31], 5_060)));
    trace(call, ENDED, address)
}

fn value<'t>(about: &'t [Attribute], name: &str) -> Option<&'t TraceValue> {
    about.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn is_text(span: &TraceSpan, name: &str, wanted: &str) -> bool {
    value(&span.attributes, name) == Some(&TraceValue::Text(wanted.into()))
}

fn ms_after(start: Wall, at: Wall) -> i64 {
    (at.as_micros() - start.as_micros()) / 1_000
}

#[test]
fn a_call_by_failover_is_its_plan_two_attempts_and_the_talk() {
    let mut call = samples::call();
    call.attempts[1].sent = samples::at_ms(101_000);
    call.attempts[1].took = Span::from_millis(2_100);
    let trace = told(&call);
    let [root, route, acme, globex, talk] = &trace.spans[..] else { panic!("{trace:#?}") };
    assert_eq!(root.parent, None);
    assert!(trace.spans[1..].iter().all(|span| span.parent == Some(root.id)));
    let names = [root, route, acme, globex, talk].map(|span| span.name.as_str());
    assert_eq!(names, ["call from office", "route", "attempt acme", "attempt globex", "talk"]);
    let times = trace.spans.iter().map(|span| (ms_after(root.start, span.start), ms_after(root.start, span.end)));
    let wanted = [(0, 123_100), (0, 0), (0, 2_000), (1_000, 3_100), (3_100, 123_100)];
    assert_eq!(times.collect::<Vec<_>>(), wanted);
    assert_eq!(root.end, ENDED);

    assert!(is_text(root, "throughline.call", "00000000deadbeef") && is_text(root, "throughline.trunk", "globex"));
    assert_eq!(value(&root.attributes, "sip.response.status_code"), Some(&TraceValue::Whole(200)));
    assert_eq!(value(&root.attributes, "throughline.pdd_ms"), Some(&TraceValue::Real(1_400.0)));
    assert_eq!((&root.fault, root.kind), (&None, SpanKind::Server), "the caller noticed nothing");
    let events: Vec<_> = root.events.iter().map(|event| (event.name, ms_after(root.start, event.at))).collect();
    assert_eq!(events, [("ringing", 1_400), ("answered", 3_100)]);

    assert_eq!(acme.fault.as_deref(), Some("no reply in 1 s"));
    assert!(is_text(acme, "error.type", "no_reply") && is_text(acme, "network.peer.address", "192.0.2.31"));
    assert_eq!(value(&acme.attributes, "network.peer.port"), Some(&TraceValue::Whole(5_060)));
    assert_eq!((acme.kind, &globex.fault), (SpanKind::Client, &None));
    assert!(value(&globex.attributes, "network.peer.address").is_none(), "nobody knows where it is");
    assert_eq!(value(&globex.attributes, "throughline.first_reply_ms"), Some(&TraceValue::Real(20.0)));
    assert_eq!(value(&globex.attributes, "throughline.progress_ms"), Some(&TraceValue::Real(300.0)));
    assert_eq!(value(&talk.attributes, "throughline.caller.mos"), Some(&TraceValue::Real(4.27)));
    let TraceValue::Text(plan) = value(&route.attributes, "throughline.plan").unwrap() else { panic!() };
    assert!(plan.contains("initech is Down") && plan.contains("acme (Suspect), then globex"), "{plan}");
}

#[test]
fn the_id_is_the_time_and_the_reference_so_that_a_row_of_the_call_names_its_trace() {
    let call = samples::call();
    let row = crate::cdr(&call, ENDED);
    let id = format!("{:032x}", told(&call).id);
    assert_eq!(id, format!("{:016x}{}", row.invited.as_micros(), row.call));
}

#[test]
fn numbers_of_people_are_cut() {
    let trace = told(&samples::call());
    let all = format!("{trace:?}");
    assert!(!all.contains("90123456") && !all.contains("22334455"), "{all}");
    assert!(
        is_text(&trace.spans[0], "throughline.called", "…455")
            && is_text(&trace.spans[0], "throughline.caller", "…456")
    );
}

#[test]
fn what_peers_write_at_length_is_cut() {
    let mut call = samples::call();
    call.call_id = "å".repeat(60_000);
    assert!(is_text(&told(&call).spans[0], "sip.call_id", &"å".repeat(TEXT_MAX)));
}

#[test]
fn what_was_done_about_audio_is_told_where_it_happened() {
    let mut call = samples::call();
    let noted = |at, what| Noted { at: samples::at_ms(at), whose: Whose::Callee, what };
    call.notes = vec![
        noted(102_000, Note::NotSecured),
        noted(120_000, Note::Silent { after: Span::from_secs(3), never: false, other_speaks: true }),
        noted(121_000, Note::Moved { after: Span::from_millis(20) }),
    ];
    let trace = told(&call);
    let names = |span: &TraceSpan| span.events.iter().map(|event| event.name).collect::<Vec<_>>();
    assert_eq!(names(&trace.spans[0]), ["ringing", "not_secured", "answered"], "in order");
    let talk = trace.spans.last().unwrap();
    assert_eq!(names(talk), ["silent", "moved"]);
    let TraceValue::Text(sentence) = value(&talk.events[0].attributes, "throughline.sentence").unwrap() else {
        panic!()
    };
    assert_eq!(sentence, "audio of globex stopped 3 s ago while office kept sending");
}

#[test]
fn a_call_has_failed_by_a_trunk_or_by_us_and_not_by_who_is_busy_or_gives_up() {
    let mut call = samples::call();
    (call.answered, call.progressed) = (None, None);
    call.attempts.truncate(1);
    call.attempts[0].outcome = AttemptOutcome::Refused { code: 486, q850: None, retry_after: None };
    for (ending, failed) in [
        (Ending::Refused { code: 486 }, false),
        (Ending::Refused { code: 404 }, false),
        (Ending::Refused { code: 603 }, false),
        (Ending::Refused { code: 503 }, true),
        (Ending::Refused { code: 504 }, true),
        (Ending::OutOfRetries { code: 486 }, true),
        (Ending::Cancelled, false),
        (Ending::Bye { by: Direction::Callee }, false),
        (Ending::Ended { why: "stopped".into() }, true),
    ] {
        call.ending = ending;
        let root = told(&call).spans.remove(0);
        assert_eq!((root.fault.is_some(), call.stands_out()), (failed, failed), "{:?}", call.ending);
        assert_eq!(value(&root.attributes, "error.type").is_some(), failed, "{:?}", call.ending);
    }
    call.ending = Ending::Bye { by: Direction::Caller };
    call.notes = vec![Noted { at: samples::at_ms(1), whose: Whose::Caller, what: Note::Relatched }];
    assert!(call.stands_out(), "something was done about its audio");
    call.notes.clear();
    call.attempts.push(call.attempts[0].clone());
    assert!(call.stands_out(), "it took two attempts");
}

#[test]
fn a_call_that_nobody_may_take_is_its_plan_alone() {
    let mut call = samples::call();
    call.plan = Err(NoPlan::NobodyLeft { group: model::GroupId(0), excluded: Vec::new(), unnamed: 0 });
    (call.answered, call.progressed, call.media) = (None, None, None);
    call.attempts.clear();
    call.ending = Ending::Refused { code: 503 };
    let trace = told(&call);
    let [root, route] = &trace.spans[..] else { panic!("{trace:#?}") };
    assert!(is_text(root, "error.type", "503") && root.fault.is_some());
    assert_eq!(route.fault.as_deref(), Some("nobody in group carriers may take it"));
}

fn outcomes() -> impl Strategy<Value = AttemptOutcome> {
    let after = Span::from_secs(1);
    prop_oneof![
        Just(AttemptOutcome::Answered),
        Just(AttemptOutcome::NoReply { after }),
        Just(AttemptOutcome::Unreachable { fault: TransportFault::PortUnreachable }),
        Just(AttemptOutcome::Outrun { after, progressed: true }),
        (300..700_u16).prop_map(|code| AttemptOutcome::Refused { code, q850: None, retry_after: None }),
    ]
}

prop_compose! {
    /// Whatever its times are: some lie before its INVITE or after its end.
    fn calls()(
        call: u64,
        times in proptest::collection::vec(0..400_000_u64, 4),
        answered in proptest::option::of(0..400_000_u64),
        attempts in proptest::collection::vec((0..400_000_u64, 0..400_000_u64, outcomes()), 0..90),
        notes in proptest::collection::vec(0..400_000_u64, 0..24),
    ) -> CallRecord {
        let mut record = samples::call();
        let sample = record.attempts[0].clone();
        record.call = CallRef(call);
        (record.invited, record.ended) = (samples::at_ms(times[0]), samples::at_ms(times[1]));
        (record.progressed, record.answered) = (Some(samples::at_ms(times[2])), answered.map(samples::at_ms));
        record.attempts = attempts
            .into_iter()
            .map(|(sent, took, outcome)| {
                let (sent, took) = (samples::at_ms(sent), Span::from_millis(took));
                AttemptRecord { sent, took, outcome, ..sample.clone() }
            })
            .collect();
        record.notes = notes
            .into_iter()
            .map(|at| Noted { at: samples::at_ms(at), whose: Whose::Caller, what: Note::Relatched })
            .collect();
        record
    }
}

proptest! {
    #[test]
    fn spans_lie_within_their_parents_end_after_they_begin_and_have_ids_of_their_own(call in calls()) {
        let trace = told(&call);
        let root = &trace.spans[0];
        prop_assert!(root.parent.is_none() && trace.id != 0);
        let mut ids: Vec<u64> = trace.spans.iter().map(|span| span.id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert!(ids.len() == trace.spans.len() && !ids.contains(&0));
        for span in &trace.spans {
            prop_assert!(span.start <= span.end, "{:?}", span);
            prop_assert!(root.start <= span.start && span.end <= root.end, "{:?} in {:?}", span, root);
            prop_assert!(span.id == root.id || span.parent == Some(root.id));
            for event in &span.events {
                prop_assert!(span.start <= event.at && event.at <= span.end, "{:?} in {:?}", event, span);
            }
        }
        let attempts = trace.spans.iter().filter(|span| span.kind == SpanKind::Client).count();
        prop_assert_eq!(attempts, call.attempts.len().min(ATTEMPTS_MAX));
        let talks = trace.spans.iter().filter(|span| span.name == "talk").count();
        prop_assert_eq!(talks, usize::from(call.answered.is_some()));
    }
}
