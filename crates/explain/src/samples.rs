//! Records that tests speak of.

use crate::record::{AttemptRecord, CallRecord, Direction, Ending, Entry, MediaRecord, Names, Record, Who};
use crate::stream::StreamRecord;
use decide::{Candidate, Cause, Change, Decision, Excluded, Exclusion, Plan, Subject};
use model::{
    AttemptOutcome, CallRef, Epoch, GroupId, Health, Instant, Mos, Name, RouteId, Seq, Span, TargetId, TrunkId, Wall,
};

pub(crate) const WALL: Wall = Wall::from_micros(1_795_521_847_112_345);

pub(crate) fn entry(record: Record) -> Entry {
    Entry { seq: Seq(1), wall: WALL, record }
}

pub(crate) fn configured(start: bool) -> Record {
    let trunks = ["office", "acme", "", "globex"].map(Name::from).to_vec();
    Record::Configured {
        fingerprint: 0xa91f_3c20,
        names: Names { trunks, groups: [Name::from("carriers")].to_vec() },
        start,
        frames: None,
    }
}

pub(crate) fn decided(decision: Decision) -> Record {
    let who = Who { trunk: "acme".into(), group: None, target: Some("192.0.2.31:5060".into()), only_target: true };
    Record::Decision { who, decision }
}

pub(crate) fn decision(change: Change, cause: Cause) -> Decision {
    let bare = Decision::bare(at_ms(400_000), Epoch(18), Subject::Target(target(1)), change, cause);
    Decision { policy: 0xa91f_3c20, ..bare }
}

pub(crate) const fn at_ms(ms: u64) -> Instant {
    Instant::from_micros(ms * 1_000)
}

pub(crate) const fn target(trunk: u16) -> TargetId {
    TargetId { trunk: TrunkId(trunk), index: 0 }
}

/// From office: acme in doubt and silent, globex answers; two others left out.
pub(crate) fn call() -> CallRecord {
    let plan = Plan {
        epoch: Epoch(17),
        route: RouteId(0),
        group: GroupId(0),
        attempts: [
            Candidate { target: target(1), tier: 0, health: Health::Suspect },
            Candidate { target: target(3), tier: 1, health: Health::Up },
        ]
        .to_vec(),
        excluded: [
            Excluded { trunk: TrunkId(4), cause: Exclusion::Down { since: at_ms(60_000) } },
            Excluded { trunk: TrunkId(5), cause: Exclusion::Draining },
        ]
        .to_vec(),
        unnamed: 0,
        last_resort: false,
        emergency: false,
        forced: None,
    };
    let trunks = [(1, "acme"), (3, "globex"), (4, "initech"), (5, "umbrella")];
    CallRecord {
        drilled: false,
        call: CallRef(0xdead_beef),
        call_id: "abc@192.0.2.20".into(),
        from: "office".into(),
        caller: "+4790123456".into(),
        called: "+4722334455".into(),
        invited: at_ms(100_000),
        progressed: Some(at_ms(101_400)),
        answered: Some(at_ms(103_100)),
        ended: at_ms(223_100),
        plan: Ok(plan),
        trunks: trunks.map(|(id, name)| (TrunkId(id), name.into())).to_vec(),
        tiers: [(TrunkId(4), 0), (TrunkId(5), 1)].to_vec(),
        group: Some("carriers".into()),
        attempts: [
            tried(1, "acme", None, AttemptOutcome::NoReply { after: Span::from_secs(1) }),
            tried(3, "globex", Some((20, 300)), AttemptOutcome::Answered),
        ]
        .to_vec(),
        ending: Ending::Bye { by: Direction::Caller },
        notes: [].to_vec(),
        media: Some(MediaRecord {
            from_caller: 6_000,
            from_callee: 5_990,
            refused: 3,
            gap_from_caller: Span::from_millis(40),
            gap_from_callee: Span::from_millis(60),
            caller: Some(stream()),
            callee: None,
        }),
    }
}

/// Two in a thousand lost, and as many late.
pub(crate) fn stream() -> StreamRecord {
    StreamRecord {
        packets: 4_210,
        bytes: 724_120,
        expected: 4_220,
        missing: 10,
        late: 8,
        jitter: Some(Span::from_micros(2_900)),
        jitter_max: Some(Span::from_millis(9)),
        bursts: 2,
        burst_density: 64,
        rating: Some(88),
        mos: Some(Mos::from_hundredths(427)),
        level: Some(-24),
        quiet_permille: Some(400),
        clipped_permille: Some(0),
        first: Some(Span::from_millis(12)),
        last: Some(Span::from_millis(8)),
        codec: Some("PCMA".into()),
        payload_type: Some(8),
        ..StreamRecord::default()
    }
}

fn tried(trunk: u16, name: &str, replies: Option<(u64, u64)>, outcome: AttemptOutcome) -> AttemptRecord {
    AttemptRecord {
        fault: None,
        target: target(trunk),
        trunk: name.into(),
        call_id: "leg".into(),
        begun: model::Begun::InTurn,
        sent: at_ms(100_000),
        first_reply: replies.map(|(first, _)| Span::from_millis(first)),
        progress: replies.map(|(_, progress)| Span::from_millis(progress)),
        took: Span::from_secs(2),
        outcome,
    }
}
