//! How each trunk's audio was of late: the calls that ended within five minutes, in both directions.
//!
//! What counts against a trunk's health is evidence and goes by `sense`; this is for people and for /metrics. Refuses to know: RTP.

use crate::view::{HeardView, HearingView};
use explain::{CallRecord, MediaRecord, StreamRecord};
use model::{AttemptOutcome, Instant, Mos, Name, Span};
use std::collections::{BTreeMap, VecDeque};

/// A call counts for so long.
const WINDOW: Span = Span::from_secs(300);
/// Calls remembered of one trunk; of more, the newest.
const CALLS: usize = 1_024;
/// Packets of the one side that show that a call had audio at all: a second of them.
const SPOKEN: u64 = 50;

/// One call, as one trunk had it.
#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    /// What was heard of the trunk.
    from: Option<Stream>,
    /// What it was sent, as that came in from the other side.
    to: Option<Stream>,
    one_way: bool,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    expected: u64,
    unplayed: u64,
    jitter: Option<Span>,
    mos: Option<Mos>,
}

/// The windows of all trunks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hearing {
    trunks: BTreeMap<Name, VecDeque<Sample>>,
}

impl Hearing {
    /// A call is over. Only answered ones with audio through the edge tell anything.
    pub(crate) fn push(&mut self, now: Instant, call: &CallRecord) {
        let (Some(media), Some(_)) = (&call.media, call.answered) else { return };
        let carried = call.attempts.iter().rev().find(|attempt| attempt.outcome == AttemptOutcome::Answered);
        self.note(now, &call.from, media, media.caller.as_ref(), media.callee.as_ref());
        if let Some(carried) = carried {
            self.note(now, &carried.trunk, media, media.callee.as_ref(), media.caller.as_ref());
        }
    }

    fn note(
        &mut self,
        now: Instant,
        trunk: &Name,
        media: &MediaRecord,
        own: Option<&StreamRecord>,
        other: Option<&StreamRecord>,
    ) {
        // Fax and the like are relayed without being measured: nothing is heard of either side.
        if own.is_none() && other.is_none() && media.from_caller + media.from_callee > 0 {
            return;
        }
        let one_way = own.is_none() && other.is_some_and(|other| other.packets >= SPOKEN);
        let kept = self.trunks.entry(trunk.clone()).or_default();
        if kept.len() >= CALLS {
            kept.pop_front();
        }
        kept.push_back(Sample { at: now, from: own.map(stream), to: other.map(stream), one_way });
    }

    /// What it comes to for one trunk; none while no call of it has ended of late.
    pub(crate) fn of(&mut self, now: Instant, trunk: &Name) -> Option<HearingView> {
        let kept = self.trunks.get_mut(trunk)?;
        while kept.pop_front_if(|sample| now.since(sample.at) >= WINDOW).is_some() {}
        if kept.is_empty() {
            self.trunks.remove(trunk);
            return None;
        }
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        Some(HearingView {
            calls: count(kept.len()),
            one_way: count(kept.iter().filter(|sample| sample.one_way).count()),
            from: direction(kept.iter().filter_map(|sample| sample.from)),
            to: direction(kept.iter().filter_map(|sample| sample.to)),
        })
    }

    /// Trunks that are no more are forgotten.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&Name) -> bool) {
        self.trunks.retain(|name, _| is_there(name));
    }
}

fn stream(record: &StreamRecord) -> Stream {
    let StreamRecord { expected, missing, late, jitter, mos, .. } = record;
    Stream { expected: *expected, unplayed: missing + late, jitter: *jitter, mos: *mos }
}

fn direction(streams: impl Iterator<Item = Stream>) -> Option<HeardView> {
    let (mut expected, mut unplayed, mut calls) = (0u64, 0u64, 0u32);
    let (mut scores, mut jitters) = (Vec::new(), Vec::new());
    for stream in streams {
        calls += 1;
        expected += stream.expected;
        unplayed += stream.unplayed;
        scores.extend(stream.mos);
        jitters.extend(stream.jitter);
    }
    scores.sort_unstable();
    jitters.sort_unstable();
    (calls > 0).then(|| HeardView {
        calls,
        loss_permille: (unplayed * 1_000).checked_div(expected).map_or(0, |permille| permille.min(1_000) as u16),
        jitter: reached(&jitters, 50),
        mos_p10: reached(&scores, 10),
        mos_p50: reached(&scores, 50),
    })
}

/// The value that so many percent of the others do not reach.
fn reached<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use explain::{AttemptRecord, Direction, Ending};
    use model::{Begun, CallRef, TargetId, TrunkId};

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_secs(s)
    }

    fn heard(missing: u64, mos: u16, jitter_ms: u64) -> StreamRecord {
        StreamRecord {
            packets: 1_000 - missing,
            expected: 1_000,
            missing,
            mos: Some(Mos::from_hundredths(mos)),
            jitter: Some(Span::from_millis(jitter_ms)),
            ..StreamRecord::default()
        }
    }

    fn call(caller: Option<StreamRecord>, callee: Option<StreamRecord>) -> CallRecord {
        let attempt = AttemptRecord {
            fault: None,
            target: TargetId { trunk: TrunkId(1), index: 0 },
            trunk: Name::from("acme"),
            call_id: String::new(),
            begun: Begun::InTurn,
            sent: at(1),
            first_reply: None,
            progress: None,
            took: Span::from_secs(1),
            outcome: AttemptOutcome::Answered,
        };
        CallRecord {
            drilled: false,
            notes: Vec::new(),
            call: CallRef(1),
            call_id: String::new(),
            from: Name::from("office"),
            caller: String::new(),
            called: String::new(),
            invited: at(0),
            progressed: None,
            answered: Some(at(1)),
            ended: at(9),
            plan: Err(decide::NoPlan::NoRoute),
            trunks: Vec::new(),
            tiers: Vec::new(),
            group: None,
            attempts: vec![attempt],
            ending: Ending::Bye { by: Direction::Caller },
            media: Some(MediaRecord { from_caller: 1, caller, callee, ..MediaRecord::default() }),
        }
    }

    #[test]
    fn each_trunk_has_what_was_heard_of_it_and_what_it_was_sent() {
        let mut hearing = Hearing::default();
        for n in 0..10u16 {
            let record = call(Some(heard(0, 440, 1)), Some(heard(u64::from(n) * 10, 440 - n * 20, u64::from(n))));
            hearing.push(at(10), &record);
        }
        let acme = hearing.of(at(10), &Name::from("acme")).unwrap();
        let from = acme.from.unwrap();
        assert_eq!((acme.calls, acme.one_way, from.calls, from.loss_permille), (10, 0, 10, 45));
        assert_eq!((from.mos_p10, from.mos_p50), (Some(Mos::from_hundredths(280)), Some(Mos::from_hundredths(360))));
        assert_eq!((from.jitter, acme.to.unwrap().loss_permille), (Some(Span::from_millis(5)), 0));
        let office = hearing.of(at(10), &Name::from("office")).unwrap();
        assert_eq!((office.from, office.to), (acme.to, acme.from));
        assert_eq!(hearing.of(at(310), &Name::from("acme")), None, "five minutes later");
        assert_eq!(hearing.of(at(10), &Name::from("globex")), None);
    }

    #[test]
    fn one_way_is_counted_at_the_side_that_is_silent() {
        let mut hearing = Hearing::default();
        hearing.push(at(10), &call(Some(heard(0, 440, 1)), None));
        hearing.push(at(10), &call(None, None));
        hearing.push(at(10), &CallRecord { answered: None, ..call(Some(heard(0, 440, 1)), None) });
        let of = |hearing: &mut Hearing, name| hearing.of(at(11), &Name::from(name)).unwrap();
        assert_eq!((of(&mut hearing, "acme").one_way, of(&mut hearing, "acme").calls), (1, 1));
        assert_eq!(of(&mut hearing, "office").one_way, 0);
        hearing.retain(|name| name.as_str() != "acme");
        assert_eq!(hearing.of(at(11), &Name::from("acme")), None);
    }

    #[test]
    fn the_newest_calls_are_kept() {
        let mut hearing = Hearing::default();
        (0..CALLS + 100).for_each(|_| hearing.push(at(10), &call(Some(heard(0, 440, 1)), None)));
        assert_eq!(hearing.of(at(11), &Name::from("acme")).unwrap().calls as usize, CALLS);
    }
}
