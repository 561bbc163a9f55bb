//! Every kind of sentence, as people read it: a committed snapshot, so that a change of words is a readable diff.
//!
//! Each closed enum is listed with a sample per variant. A variant without a sample does not compile; a sample of another
//! variant fails the test. On a difference the new text is written beside the build; copy it over `sentences.txt` when it
//! says what you mean.
#![allow(clippy::panic, clippy::expect_used)]

use decide::{Candidate, Cause, Change, Decision, Excluded, Exclusion, Forced, NoPlan, Plan, Subject, Veto, Word};
use explain::{
    Act, Alarm, AlarmRecord, AttemptRecord, CallRecord, Direction, Ending, Entry, MediaRecord, Names, Operator, Record,
    Who, sentence, why_call,
};
use model::{
    Admin, AttemptOutcome, Begun, CallEvidence, CallRef, DrillFault, Epoch, Evidence, GroupId, Health, Instant,
    MediaEvidence, MediaOutcome, Mos, Name, ProbeEvidence, ProbeResult, RegistrationEvidence, RegistrationState,
    RouteId, Seq, Span, TargetId, TestCallEvidence, TestCallResult, TransportEvidence, TransportFault, TrunkId, Wall,
    Wish,
};
use std::path::Path;

const WALL: Wall = Wall::from_micros(1_795_521_847_112_345);

/// A sample per variant, in the order given.
macro_rules! each {
    ($kind:ty: $($variant:pat => $sample:expr),+ $(,)?) => {{
        // What has no sample does not compile.
        fn complete(value: &$kind) {
            match value { $($variant => ()),+ }
        }
        let samples: Vec<$kind> = vec![$({
            let sample: $kind = $sample;
            assert!(matches!(sample, $variant), "the sample of {} is another", stringify!($variant));
            complete(&sample);
            sample
        }),+];
        samples
    }};
}

fn s(seconds: u64) -> Span {
    Span::from_secs(seconds)
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

fn causes() -> Vec<Cause> {
    each!(Cause:
        Cause::FirstSeen => Cause::FirstSeen,
        Cause::ProbesFailed { .. } => Cause::ProbesFailed { count: 3, limit: 3 },
        Cause::CallsLate { .. } => Cause::CallsLate { count: 5, limit: 5 },
        Cause::CallsFailed { .. } => Cause::CallsFailed { count: 3, limit: 3 },
        Cause::CallsSilent { .. } => Cause::CallsSilent { count: 4, limit: 3 },
        Cause::Refused { .. } => Cause::Refused { count: 2, limit: 2 },
        Cause::FailureShare { .. } => Cause::FailureShare { percent: 60, limit: 50, of: 25 },
        Cause::MediaSilent { .. } => Cause::MediaSilent { count: 3, limit: 3, of: 4 },
        Cause::MediaLossy { .. } => Cause::MediaLossy { count: 3, limit: 3, of: 5 },
        Cause::MediaPoor { .. } => Cause::MediaPoor { count: 3, limit: 3, of: 5 },
        Cause::RegistrationLost { .. } => Cause::RegistrationLost { count: 2, limit: 2 },
        Cause::TestCallsFailed { .. } => Cause::TestCallsFailed { count: 2, limit: 2 },
        Cause::Overload { .. } => Cause::Overload { validity: s(5) },
        Cause::EarnedByTestCall { .. } => Cause::EarnedByTestCall { count: 1 },
        Cause::Calm { .. } => Cause::Calm { probes: 3, calm: s(10) },
        Cause::DwellOver { .. } => Cause::DwellOver { dwell: s(30), probes: 3 },
        Cause::Stable { .. } => Cause::Stable { held: s(60) },
        Cause::EarnedByCalls { .. } => Cause::EarnedByCalls { count: 5 },
        Cause::EarnedByTime { .. } => Cause::EarnedByTime { held: s(20) },
        Cause::Relapse => Cause::Relapse,
        Cause::RetryAfter => Cause::RetryAfter,
        Cause::Operator => Cause::Operator,
        Cause::TimeOver => Cause::TimeOver,
        Cause::Reconfigured => Cause::Reconfigured,
    )
}

fn vetoes() -> Vec<Veto> {
    each!(Veto:
        Veto::LastUsable => Veto::LastUsable,
        Veto::TooManyOut { .. } => Veto::TooManyOut { percent: 66, limit: 50 },
        Veto::TooManyFlips { .. } => Veto::TooManyFlips { count: 7, limit: 6 },
        Veto::SuspectOurselves { .. } => Veto::SuspectOurselves { trunks: 3 },
        Veto::ManualFailback => Veto::ManualFailback,
        Veto::OutsideWindow { .. } => Veto::OutsideWindow { opens_in: Some(s(11_520)) },
    )
}

fn healths() -> Vec<Health> {
    each!(Health:
        Health::Unknown => Health::Unknown,
        Health::Up => Health::Up,
        Health::Suspect => Health::Suspect,
        Health::Down => Health::Down,
        Health::Probation => Health::Probation,
    )
}

fn admins() -> Vec<Admin> {
    each!(Admin:
        Admin::InService => Admin::InService,
        Admin::Draining => Admin::Draining,
        Admin::OutOfService => Admin::OutOfService,
    )
}

fn changes() -> Vec<Change> {
    each!(Change:
        Change::Health { .. } => Change::Health { from: Health::Up, to: Health::Suspect },
        Change::Share { .. } => Change::Share { from: 5, to: 25 },
        Change::Admin { .. } => Change::Admin { from: Admin::InService, to: Admin::Draining },
        Change::Throttle { .. } => Change::Throttle { asked: s(5), wish: Wish::Loss { percent: 30 } },
        Change::Force { .. } => Change::Force { from: None, to: 1, length: s(1_800) },
        Change::Release { .. } => Change::Release { from: 1 },
    )
}

fn exclusions() -> Vec<Exclusion> {
    each!(Exclusion:
        Exclusion::Down { .. } => Exclusion::Down { since: at(60_000) },
        Exclusion::OutsideShare { .. } => Exclusion::OutsideShare { share: 5 },
        Exclusion::Drilled => Exclusion::Drilled,
        Exclusion::NoAddress => Exclusion::NoAddress,
        Exclusion::NobodyThere => Exclusion::NobodyThere,
        Exclusion::Draining => Exclusion::Draining,
        Exclusion::OutOfService => Exclusion::OutOfService,
        Exclusion::Throttled { .. } => Exclusion::Throttled { until: at(104_000) },
        Exclusion::CameFromIt => Exclusion::CameFromIt,
        Exclusion::LostTheParty => Exclusion::LostTheParty,
        Exclusion::CallLimit { .. } => Exclusion::CallLimit { limit: 50, part: 25 },
        Exclusion::RateLimit { .. } => Exclusion::RateLimit { limit: 5, part: 5 },
        Exclusion::Headroom { .. } => Exclusion::Headroom { percent: 10 },
        Exclusion::Overloaded { .. } => Exclusion::Overloaded { wish: Wish::Rate { cps: 20 } },
    )
}

fn outcomes() -> Vec<AttemptOutcome> {
    each!(AttemptOutcome:
        AttemptOutcome::Answered => AttemptOutcome::Answered,
        AttemptOutcome::Redirected { .. } => AttemptOutcome::Redirected { code: 302 },
        AttemptOutcome::Refused { .. } => AttemptOutcome::Refused { code: 503, q850: Some(41), retry_after: Some(s(5)) },
        AttemptOutcome::NoReply { .. } => AttemptOutcome::NoReply { after: s(1) },
        AttemptOutcome::Stalled { .. } => AttemptOutcome::Stalled { after: s(6) },
        AttemptOutcome::RingTimeout { .. } => AttemptOutcome::RingTimeout { after: s(180) },
        AttemptOutcome::WentSilent { .. } => AttemptOutcome::WentSilent { after: s(7) },
        AttemptOutcome::CutShort { .. } => AttemptOutcome::CutShort { after: s(1), replied: true },
        AttemptOutcome::Unreachable { .. } => AttemptOutcome::Unreachable { fault: TransportFault::PortUnreachable },
        AttemptOutcome::Abandoned { .. } => AttemptOutcome::Abandoned { after: s(8), progressed: true },
        AttemptOutcome::Outrun { .. } => AttemptOutcome::Outrun { after: s(2), progressed: false },
    )
}

fn endings() -> Vec<Ending> {
    each!(Ending:
        Ending::Refused { .. } => Ending::Refused { code: 503 },
        Ending::OutOfRetries { .. } => Ending::OutOfRetries { code: 503 },
        Ending::Cancelled => Ending::Cancelled,
        Ending::Bye { .. } => Ending::Bye { by: Direction::Callee },
        Ending::Ended { .. } => Ending::Ended { why: "no audio from either side for 60 s".into() },
    )
}

fn registrations() -> Vec<RegistrationState> {
    each!(RegistrationState:
        RegistrationState::Registered => RegistrationState::Registered,
        RegistrationState::Refused { .. } => RegistrationState::Refused { code: 403 },
        RegistrationState::NoReply { .. } => RegistrationState::NoReply { after: s(4) },
        RegistrationState::Expired => RegistrationState::Expired,
    )
}

fn alarms() -> Vec<Alarm> {
    let names = || ["acme", "globex", "initech"].map(Name::from).to_vec();
    each!(Alarm:
        Alarm::SuspectOurselves { .. } => Alarm::SuspectOurselves { trunks: 3, names: names() },
        Alarm::SharedFailure { .. } => Alarm::SharedFailure { names: names() },
        Alarm::GroupHasNobody { .. } => Alarm::GroupHasNobody { group: "carriers".into() },
        Alarm::RegistrationLost { .. } => Alarm::RegistrationLost { trunk: "acme".into(), state: RegistrationState::Expired },
        Alarm::DrillFailed { .. } => Alarm::DrillFailed { trunks: names(), failed: 3 },
        Alarm::ProberStalled { .. } => Alarm::ProberStalled { count: 4 },
        Alarm::JournalDropped { .. } => Alarm::JournalDropped { count: 7, why: "the disk cannot keep up".into() },
        Alarm::EmergencyUsed { .. } => Alarm::EmergencyUsed {
            call: CallRef(0xdead_beef),
            from: "office".into(),
            number: "…456".into(),
        },
        Alarm::SourceShutOut { .. } => Alarm::SourceShutOut {
            source: "203.0.113.9".into(),
            cause: explain::ShutOutCause::Malformed,
            count: 40,
            within: s(10),
            length: s(300),
        },
        Alarm::ForeignRequest { .. } => Alarm::ForeignRequest { source: "203.0.113.9:5060".into() },
        Alarm::CredentialsRefused { .. } => Alarm::CredentialsRefused { trunk: "acme".into(), code: 403 },
        Alarm::RegistrarMoved { .. } => Alarm::RegistrarMoved {
            trunk: "pbx".into(),
            before: "192.0.2.20:5060".into(),
            now: "192.0.2.21:5060".into(),
        },
        Alarm::RegistrarGone { .. } => Alarm::RegistrarGone { trunk: "pbx".into() },
        Alarm::CallsBarred { .. } => Alarm::CallsBarred { trunk: "office".into(), why: decide::Barred::PerHour { limit: 60, part: 30 } },
        Alarm::NameFails { .. } => Alarm::NameFails { trunk: "acme".into(), name: "sbc.acme.example".into(), why: "no such name".into(), kept: Some(s(86_400)) },
        Alarm::Text { .. } => Alarm::Text { text: "words of an earlier version".into() },
    )
}

/// The severity that the alert rules for Prometheus give to an alarm of this kind.
fn ruled<'a>(rules: &'a str, kind: &str) -> Option<&'a str> {
    let rule = rules.split("- alert:").find(|rule| rule.contains(&format!("kind=\"{kind}\"")))?;
    Some(rule.split("severity:").nth(1)?.split('}').next()?.trim())
}

#[test]
fn a_pager_that_reads_metrics_is_told_as_urgently_as_one_that_is_posted_to() {
    let rules = include_str!("../../../packaging/prometheus/alerts.yml");
    for alarm in alarms().iter().filter(|alarm| !matches!(alarm, Alarm::Text { .. })) {
        assert_eq!(ruled(rules, alarm.kind()), Some(alarm.severity().word()), "{}", alarm.kind());
    }
}

fn acts() -> Vec<Act> {
    each!(Act:
        Act::Drain => Act::Drain,
        Act::Out => Act::Out,
        Act::Restore => Act::Restore,
        Act::Probe => Act::Probe,
        Act::TestCall => Act::TestCall,
        Act::Force { .. } => Act::Force { group: "carriers".into(), tier: 1, length: s(1_800) },
        Act::Release { .. } => Act::Release { group: "carriers".into() },
        Act::TestPost { .. } => Act::TestPost { webhook: "pager".into() },
        Act::Forgive { .. } => Act::Forgive { source: "203.0.113.9".into() },
        Act::Reload { .. } => Act::Reload { fingerprint: 0xbeef },
        Act::ReloadRefused { .. } => Act::ReloadRefused { faults: 2, first: "unknown key `listne`".into() },
        Act::Stop => Act::Stop,
        Act::DrillBegin { .. } => Act::DrillBegin {
            trunks: ["acme", "globex"].map(Name::from).to_vec(),
            all_calls: false,
            limit: Span::from_secs(600),
        },
        Act::DrillBreak { .. } => Act::DrillBreak { fault: DrillFault::Silent, all_calls: false },
        Act::DrillMend => Act::DrillMend,
        Act::DrillEnd { .. } => Act::DrillEnd { why: "it is done".into(), passed: 7, failed: 1, trunks: vec!["acme".into()] },
    )
}

fn drained() -> Operator {
    let (via, who, why) = ("api".into(), "anna".into(), "works until noon".into());
    Operator { trunk: Some("acme".into()), act: Act::Drain, via, who, why }
}

fn records() -> Vec<Record> {
    let names =
        Names { trunks: ["office", "acme", "globex"].map(Name::from).to_vec(), groups: vec!["carriers".into()] };
    each!(Record:
        Record::Configured { .. } => Record::Configured { fingerprint: 0xa91f_3c20, names, start: true, frames: None },
        Record::Located(_) => Record::Located(located()),
        Record::Decision { .. } => decided(decision(changes()[0], causes()[1])),
        Record::Operator(_) => Record::Operator(drained()),
        Record::Call(_) => Record::Call(Box::new(call())),
        Record::Alarm(_) => Record::Alarm(AlarmRecord { what: alarms().remove(0), over: false }),
        Record::Shadow { .. } => Record::Shadow { who: who(), decision: decision(changes()[0], causes()[1]) },
        Record::Unreadable { .. } => Record::Unreadable { error: "unknown variant `moon`".into() },
    )
}

fn located() -> explain::Located {
    let target = |number, addr: &str, name: Option<&str>| explain::LocatedTarget {
        number,
        addr: addr.into(),
        name: name.map(Name::from),
    };
    explain::Located {
        at: at(400_000),
        trunk: "acme".into(),
        id: TrunkId(1),
        names: vec!["sbc.acme.example".into(), "old.acme.example".into()],
        targets: vec![
            target(1, "192.0.2.7:5060", Some("sbc.acme.example")),
            target(2, "192.0.2.8:5060", Some("sbc.acme.example")),
            target(3, "192.0.2.9:5060", None),
        ],
        gone: vec!["192.0.2.5:5060".into()],
    }
}

#[test]
fn where_names_lead_is_one_sentence() {
    let entry = Entry { seq: Seq(1), wall: WALL, record: Record::Located(located()) };
    let told = sentence(&entry);
    let words = "sbc.acme.example leads to 192.0.2.7:5060 and 192.0.2.8:5060; old.acme.example leads nowhere; 192.0.2.5:5060 is gone";
    assert!(told.starts_with("trunk acme at ") && told.ends_with(words), "{told}");
}

fn who() -> Who {
    Who { trunk: "acme".into(), group: None, target: Some("192.0.2.31:5060".into()), only_target: true }
}

fn decided(decision: Decision) -> Record {
    let who = match decision.subject {
        Subject::Group(_) => Who { trunk: "".into(), group: Some("carriers".into()), target: None, only_target: true },
        Subject::Target(_) | Subject::Trunk(_) => who(),
    };
    Record::Decision { who, decision }
}

fn target(trunk: u16) -> TargetId {
    TargetId { trunk: TrunkId(trunk), index: 0 }
}

/// A decision with everything seen that a cause may rest on.
fn decision(change: Change, cause: Cause) -> Decision {
    let last_bad = Some((at(399_500), AttemptOutcome::Refused { code: 503, q850: None, retry_after: None }));
    let no_reply = ProbeResult::NoReply { after: Span::from_millis(1_500) };
    let good = ProbeResult::Answered { code: 200, rtt: Span::from_millis(12) };
    let (good_row, bad_row, last) = match cause {
        Cause::ProbesFailed { .. } | Cause::CallsSilent { .. } | Cause::Relapse => (0, 3, no_reply),
        _ => (3, 0, good),
    };
    let probe = ProbeEvidence { good: good_row, bad: bad_row, bad_fast: 0, last: Some((at(399_000), last)) };
    let called = Some((at(398_000), AttemptOutcome::Answered));
    let calls = CallEvidence { last_bad, last: called, ..CallEvidence::default() };
    let transport = TransportEvidence { in_row: 2, last: Some((at(398_500), TransportFault::PortUnreachable)) };
    let heard = match cause {
        Cause::MediaPoor { .. } => {
            MediaOutcome::Poor { mos: Mos::from_hundredths(268), limit: Mos::from_hundredths(310) }
        }
        Cause::MediaLossy { .. } => MediaOutcome::Lossy { permille: 124 },
        _ => MediaOutcome::Silent { after: s(6) },
    };
    let last_bad = Some((at(399_000), heard));
    let media = MediaEvidence { last_bad, ..MediaEvidence::default() };
    let last = Some((at(399_000), RegistrationState::Refused { code: 403 }));
    let registration = RegistrationEvidence { good: 0, bad: 2, last };
    let result = if matches!(cause, Cause::EarnedByTestCall { .. }) {
        TestCallResult::Good { ringback: Some(Span::from_millis(900)), answer: Some(s(2)) }
    } else {
        TestCallResult::NoTone { from_target: false, to_target: true }
    };
    let test_calls = TestCallEvidence { good: 0, bad: 2, last: Some((at(399_000), result)) };
    let evidence = Evidence { probe, calls, transport, media, registration, test_calls, ..Evidence::default() };
    let bare = Decision::bare(at(400_000), Epoch(18), subject(change), change, cause);
    Decision { evidence: Some(evidence), policy: 0xa91f_3c20, ..bare }
}

fn subject(change: Change) -> Subject {
    match change {
        Change::Force { .. } | Change::Release { .. } => Subject::Group(GroupId(0)),
        _ => Subject::Target(target(1)),
    }
}

/// As an engine would pair them: which change a cause leads to, and when the subject is looked at again.
fn usual(cause: Cause) -> (Change, Option<Span>) {
    let health = |from, to| Change::Health { from, to };
    match cause {
        Cause::FirstSeen => (health(Health::Unknown, Health::Up), None),
        Cause::CallsLate { .. } | Cause::CallsFailed { .. } => (health(Health::Up, Health::Suspect), Some(s(10))),
        Cause::Calm { .. } => (health(Health::Suspect, Health::Up), None),
        Cause::DwellOver { .. } => (health(Health::Down, Health::Probation), Some(s(60))),
        Cause::MediaLossy { .. } | Cause::MediaPoor { .. } | Cause::RegistrationLost { .. } => {
            (health(Health::Up, Health::Suspect), Some(s(10)))
        }
        Cause::Overload { .. } => (Change::Throttle { asked: s(5), wish: Wish::Loss { percent: 30 } }, Some(s(5))),
        Cause::EarnedByTestCall { .. } => (Change::Share { from: 5, to: 25 }, Some(s(20))),
        Cause::Stable { .. } => (Change::Share { from: 0, to: 5 }, Some(s(20))),
        Cause::EarnedByCalls { .. } => (Change::Share { from: 25, to: 100 }, Some(s(20))),
        Cause::EarnedByTime { .. } => (health(Health::Probation, Health::Up), None),
        Cause::Relapse => (health(Health::Probation, Health::Down), Some(s(60))),
        Cause::RetryAfter => (Change::Throttle { asked: s(5), wish: Wish::NoCalls }, Some(s(5))),
        Cause::Operator => (Change::Admin { from: Admin::InService, to: Admin::OutOfService }, None),
        Cause::TimeOver | Cause::Reconfigured => (Change::Release { from: 1 }, None),
        _ => (health(Health::Suspect, Health::Down), Some(s(30))),
    }
}

fn held_back(by: Veto) -> Decision {
    let health = |from, to| Change::Health { from, to };
    let (change, cause) = match by {
        Veto::TooManyFlips { .. } => (health(Health::Suspect, Health::Up), Cause::Calm { probes: 3, calm: s(10) }),
        Veto::ManualFailback | Veto::OutsideWindow { .. } => {
            (Change::Share { from: 0, to: 5 }, Cause::Stable { held: s(60) })
        }
        _ => (health(Health::Suspect, Health::Down), Cause::ProbesFailed { count: 3, limit: 3 }),
    };
    Decision { veto: Some(by), ..decision(change, cause) }
}

/// From office: acme does not reply, globex answers.
fn call() -> CallRecord {
    let candidate = |trunk, tier| Candidate { target: target(trunk), tier, health: Health::Up };
    let attempt = |trunk: u16, name: &str, ms: u64, took, outcome| AttemptRecord {
        fault: None,
        target: target(trunk),
        trunk: name.into(),
        call_id: "leg".into(),
        begun: Begun::InTurn,
        sent: at(ms),
        first_reply: (outcome != AttemptOutcome::NoReply { after: s(1) }).then_some(Span::from_millis(20)),
        progress: None,
        took,
        outcome,
    };
    CallRecord {
        drilled: false,
        call: CallRef(0xdead_beef),
        call_id: "abc@192.0.2.20".into(),
        from: "office".into(),
        caller: "+4790123456".into(),
        called: "+4722334455".into(),
        invited: at(100_000),
        progressed: Some(at(101_400)),
        answered: Some(at(103_000)),
        ended: at(223_100),
        plan: Ok(Plan {
            epoch: Epoch(17),
            route: RouteId(0),
            group: GroupId(0),
            attempts: vec![candidate(1, 0), candidate(2, 1), candidate(3, 2)],
            excluded: Vec::new(),
            unnamed: 0,
            last_resort: false,
            emergency: false,
            forced: None,
        }),
        trunks: [(1, "acme"), (2, "globex"), (3, "umbrella"), (4, "initech")]
            .map(|(id, name)| (TrunkId(id), name.into()))
            .to_vec(),
        tiers: vec![(TrunkId(4), 1)],
        group: Some("carriers".into()),
        attempts: vec![
            attempt(1, "acme", 100_000, s(1), AttemptOutcome::NoReply { after: s(1) }),
            attempt(2, "globex", 101_000, s(2), AttemptOutcome::Answered),
        ],
        ending: Ending::Bye { by: Direction::Caller },
        notes: Vec::new(),
        media: Some(MediaRecord { from_caller: 6_000, from_callee: 5_990, ..MediaRecord::default() }),
    }
}

/// A call whose last attempt ended so, with one candidate not reached.
fn ended_with(outcome: AttemptOutcome) -> CallRecord {
    let mut call = call();
    if let Some(last) = call.attempts.last_mut() {
        last.outcome = outcome;
    }
    match outcome {
        AttemptOutcome::Answered => {}
        AttemptOutcome::Abandoned { .. } => (call.answered, call.ending, call.media) = (None, Ending::Cancelled, None),
        _ => {
            (call.answered, call.progressed, call.media) = (None, None, None);
            call.ending = Ending::Refused { code: 503 };
        }
    }
    call
}

fn left_out(cause: Exclusion) -> CallRecord {
    let mut call = call();
    if let Ok(plan) = &mut call.plan {
        plan.attempts.truncate(2);
        plan.excluded.push(Excluded { trunk: TrunkId(4), cause });
    }
    call
}

/// Globex is of the forced tier; by somebody who said why, and by nobody known.
fn forced() -> Vec<CallRecord> {
    let by = |who: &str, why: &str| {
        let mut call = call();
        call.attempts.remove(0);
        if let Ok(plan) = &mut call.plan {
            plan.attempts.swap(0, 1);
            let word = Word { who: who.into(), why: why.into() };
            plan.forced = Some(Forced { tier: 1, until: at(1_300_000), word: word.into() });
        }
        call
    };
    vec![by("ann", "one-way audio at acme"), by("", "")]
}

fn unplanned() -> Vec<CallRecord> {
    let refused = |plan| CallRecord {
        plan: Err(plan),
        attempts: Vec::new(),
        answered: None,
        progressed: None,
        media: None,
        ended: at(100_004),
        ending: Ending::Refused { code: 503 },
        ..call()
    };
    let excluded = vec![Excluded { trunk: TrunkId(1), cause: Exclusion::OutOfService }];
    let plans = each!(NoPlan:
        NoPlan::NoRoute => NoPlan::NoRoute,
        NoPlan::Joined { .. } => NoPlan::Joined { other: Some(CallRef(0x0100_0000_0000_0007)) },
        NoPlan::Barred { .. } => NoPlan::Barred { why: decide::Barred::Prefix { prefix: "+882".into() } },
        NoPlan::NobodyLeft { .. } => NoPlan::NobodyLeft { group: GroupId(0), excluded, unnamed: 0 },
    );
    plans.into_iter().map(refused).collect()
}

/// All of it, under headings.
fn text() -> String {
    let mut text = String::new();
    let say = |record: Record| sentence(&Entry { seq: Seq(1), wall: WALL, record });
    let mut part = |title: &str, lines: Vec<String>| {
        text += &format!("# {title}\n{}\n\n", lines.join("\n"));
    };
    part("Records", records().into_iter().map(say).collect());
    let causes = causes().into_iter().map(|cause| {
        let (change, next_look) = usual(cause);
        say(decided(Decision { next_look, ..decision(change, cause) }))
    });
    part("Decisions, by cause", causes.collect());
    let healths = healths().into_iter().map(|to| {
        let from = if to == Health::Up { Health::Suspect } else { Health::Up };
        say(decided(decision(Change::Health { from, to }, Cause::Relapse)))
    });
    part("Decisions, by new health, without a time", healths.collect());
    let admins = admins()
        .into_iter()
        .map(|to| say(decided(decision(Change::Admin { from: Admin::Draining, to }, Cause::Operator))));
    part("Decisions, by what the operator wants", admins.collect());
    part(
        "Decisions, by change",
        changes().into_iter().map(|change| say(decided(decision(change, Cause::Relapse)))).collect(),
    );
    part("Decisions held back, by veto", vetoes().into_iter().map(|by| say(decided(held_back(by)))).collect());
    let vetoed = changes()
        .into_iter()
        .map(|change| say(decided(Decision { veto: Some(Veto::LastUsable), ..decision(change, Cause::Relapse) })));
    part("Decisions held back, by change", vetoed.collect());
    let by_operator = |act| {
        Record::Operator(Operator {
            trunk: Some("acme".into()),
            act,
            via: "api".into(),
            who: String::new(),
            why: String::new(),
        })
    };
    part("Operator", acts().into_iter().map(|act| say(by_operator(act))).collect());
    let moments = |what: Alarm| [false, true].map(|over| say(Record::Alarm(AlarmRecord { what: what.clone(), over })));
    part("Alarms, raised and over", alarms().into_iter().flat_map(moments).collect());
    let lost = |state| {
        Record::Alarm(AlarmRecord { what: Alarm::RegistrationLost { trunk: "acme".into(), state }, over: false })
    };
    part("Registrations", registrations().into_iter().map(|state| say(lost(state))).collect());
    let ended = endings().into_iter().map(|ending| say(Record::Call(Box::new(CallRecord { ending, ..call() }))));
    part("Calls in the log, by ending", ended.collect());
    part("Why a call", why_call(&call(), WALL));
    let whole = |call: CallRecord| why_call(&call, WALL).join("\n") + "\n";
    part("Why a call, by the outcome of its last attempt", outcomes().into_iter().map(ended_with).map(whole).collect());
    part("Why a call, by who was left out", exclusions().into_iter().map(left_out).map(whole).collect());
    part("Why a call whose group is forced", forced().into_iter().map(whole).collect());
    part("Why a call without a plan", unplanned().into_iter().map(whole).collect());
    text
}

#[test]
fn every_kind_of_sentence_reads_as_committed() {
    let (text, committed) = (text(), include_str!("sentences.txt"));
    if text != committed {
        let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sentences.txt");
        std::fs::write(&new, &text).expect("the new text can be written");
        let line = text.lines().zip(committed.lines()).position(|(new, old)| new != old).unwrap_or(0);
        panic!(
            "sentences differ from line {} on; the new text is {}\n new: {}\n old: {}",
            line + 1,
            new.display(),
            text.lines().nth(line).unwrap_or_default(),
            committed.lines().nth(line).unwrap_or_default()
        );
    }
}

#[test]
fn every_kind_is_listed_for_filters_and_metrics() {
    let records: Vec<&str> = records().iter().map(Record::kind).collect();
    assert_eq!(records, Record::KINDS);
    let alarms: Vec<&str> = alarms().iter().map(Alarm::kind).filter(|kind| *kind != "text").collect();
    assert_eq!(alarms, Alarm::KINDS);
}

#[test]
fn no_decision_lacks_a_cause_and_no_sentence_shows_a_number_in_full() {
    for record in records() {
        let said = sentence(&Entry { seq: Seq(1), wall: WALL, record });
        assert!(!said.contains("+47") && !said.ends_with('.'), "{said}");
    }
}
