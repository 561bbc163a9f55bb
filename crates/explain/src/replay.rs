//! Replay: the trunk table, folded from the journal.
//!
//! Works because nothing else than a decision changes the table. Refuses to know: evidence, clocks, how decisions came about.

use crate::record::{Entry, Record};
use alloc::vec::Vec;
use decide::{Shape, TrunkTable};
use model::{Epoch, Instant};

/// A fold under way. For an older journal, which does not say how a reload changed the trunks, call [`Replay::reshape`] at that entry.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    shape: &'a Shape,
    table: TrunkTable,
    missed: u64,
}

impl<'a> Replay<'a> {
    /// Begins with an edge that has just been started with this configuration; the record of its start tells better, if it is there.
    pub fn new(shape: &'a Shape) -> Self {
        Self { shape, table: TrunkTable::new(shape), missed: 0 }
    }

    /// Takes the next entry. A start begins anew; a reload keeps what is held.
    pub fn entry(&mut self, entry: &Entry) {
        match &entry.record {
            Record::Configured { start, frames: Some(frames), .. } if !start => {
                self.table.reframe(frames.at, &frames.trunks)
            }
            Record::Configured { frames: Some(frames), .. } => self.table = TrunkTable::framed(&frames.trunks),
            Record::Located(located) => {
                let numbers: Vec<u8> = located.targets.iter().map(|target| target.number).collect();
                self.table.relocate(located.at, located.id, &numbers);
            }
            // Older records tell of no frames.
            Record::Configured { start: true, .. } => *self = Self { missed: self.missed, ..Self::new(self.shape) },
            // The trunks stay the same, so the instant, which only new trunks take, does not matter.
            Record::Configured { start: false, .. } => self.table.reshape(Instant::ZERO, self.shape),
            Record::Decision { decision, .. } => {
                if decision.enforced() && decision.epoch != Epoch(self.table.epoch().0 + 1) {
                    self.missed += 1;
                }
                self.table.apply(decision);
            }
            Record::Operator(_)
            | Record::Call(_)
            | Record::Alarm(_)
            | Record::Shadow { .. }
            | Record::Unreadable { .. } => {}
        }
    }

    /// Instead of the entry of a reload that changed the trunks: what it changed them to, and when.
    pub fn reshape(&mut self, now: Instant, shape: &'a Shape) {
        self.shape = shape;
        self.table.reshape(now, shape);
    }

    /// The table after the entries so far.
    pub const fn table(&self) -> &TrunkTable {
        &self.table
    }

    /// Gaps found: places where an epoch does not follow the one before, since entries are missing. Above zero, the
    /// table is a guess.
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

/// The table after all entries of a journal that begins with a start, or else with the trunks of `shape`.
pub fn replay<'e>(shape: &Shape, entries: impl IntoIterator<Item = &'e Entry>) -> TrunkTable {
    let mut replay = Replay::new(shape);
    entries.into_iter().for_each(|entry| replay.entry(entry));
    replay.table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use alloc::sync::Arc;
    use decide::{Cause, Engine, GroupPolicy, Member, TargetShape, TrunkShape, Word};
    use model::{Admin, Evidence, ForceLength, GroupId, ProbeEvidence, ProbeResult, Span, TargetId, TrunkId};

    fn shape() -> Shape {
        let trunk = TrunkShape { targets: TargetShape::in_order([0]), ..TrunkShape::default() };
        let tier = |id| [Member { trunk: TrunkId(id), weight: 1 }].to_vec();
        let group = GroupPolicy::new(GroupId(0), [tier(0), tier(2)].to_vec());
        Shape::new([Some(trunk.clone()), None, Some(trunk)].to_vec(), [group].to_vec(), Vec::new())
    }

    /// What an edge lives through: probes fail and return, the operator acts on a trunk and on a group, a peer asks for rest, a reload.
    fn lived() -> (Shape, Engine, Vec<Entry>) {
        let shape = shape();
        let word = || Word { who: "ann".into(), why: "works".into() };
        let length = ForceLength::new(Span::from_secs(10)).unwrap();
        let mut engine = Engine::new(Arc::new(shape.clone()));
        let mut entries = [samples::entry(samples::configured(true))].to_vec();
        for second in 1..200u64 {
            let now = Instant::ZERO + Span::from_secs(second);
            let target = TargetId { trunk: TrunkId(if second % 2 == 0 { 0 } else { 2 }), index: 0 };
            let (bad, good) = if second % 100 < 40 { (second as u32 % 40, 0) } else { (0, second as u32 % 60) };
            let after = Span::from_millis(1_500);
            let last = Some((now, ProbeResult::NoReply { after }));
            let probe = ProbeEvidence { good, bad, bad_fast: 0, last };
            let seen = Evidence { probe, last_bad: Some(Instant::ZERO), ..Evidence::default() };
            let judged = engine.consider(now, target, &seen);
            let acted = match second {
                40 | 199 => engine.force(now, GroupId(0), 1, length, word()),
                50 => engine.force_over(now),
                55 => engine.force(now, GroupId(0), 0, length, word()),
                58 => engine.release(now, GroupId(0), Cause::Operator),
                60 => engine.operator(now, TrunkId(2), Admin::Draining),
                90 => engine.operator(now, TrunkId(2), Admin::InService),
                120 => engine.throttle(now, TrunkId(0), Span::from_secs(9)),
                150 => {
                    engine.reshape(now, Arc::new(shape.clone()));
                    entries.push(samples::entry(samples::configured(false)));
                    None
                }
                _ => None,
            };
            let made = judged.into_iter().chain(acted);
            entries.extend(made.map(|decision| samples::entry(samples::decided(decision))));
        }
        (shape, engine, entries)
    }

    #[test]
    fn the_journal_gives_the_live_table() {
        let (shape, engine, entries) = lived();
        let decisions = entries.iter().filter(|entry| matches!(entry.record, Record::Decision { .. })).count();
        assert!(decisions > 8, "the story must have some: {decisions}");
        assert!(engine.table().forced(GroupId(0)).is_some(), "the last word is in the table");
        assert_eq!(replay(&shape, &entries), *engine.table());
    }

    #[test]
    fn what_has_been_through_json_replays_the_same() {
        let (shape, engine, entries) = lived();
        let text = serde_json::to_string(&entries).unwrap();
        let read: Vec<Entry> = serde_json::from_str(&text).unwrap();
        assert_eq!(read, entries);
        assert_eq!(replay(&shape, &read), *engine.table());
    }

    #[test]
    fn a_missing_decision_is_noticed() {
        let (shape, engine, mut entries) = lived();
        let lost = entries
            .iter()
            .position(|entry| matches!(&entry.record, Record::Decision { decision, .. } if decision.enforced()));
        entries.remove(lost.unwrap());
        let mut replay = Replay::new(&shape);
        entries.iter().for_each(|entry| replay.entry(entry));
        assert_eq!(replay.missed(), 1);
        assert_ne!(replay.table(), engine.table(), "which is why the gap is told");
    }

    #[test]
    fn a_start_forgets_what_was_held() {
        let (shape, _, mut entries) = lived();
        entries.push(samples::entry(samples::configured(true)));
        assert_eq!(replay(&shape, &entries), TrunkTable::new(&shape));
    }

    /// A journal that tells its frames needs no configuration: trunks come by reload, addresses by their names.
    #[test]
    fn frames_and_addresses_are_told_by_the_journal() {
        use crate::record::{Frames, Located, LocatedTarget};
        let told = |at: Instant, shape: &Shape, start| {
            let mut record = samples::configured(start);
            if let Record::Configured { frames, .. } = &mut record {
                *frames = Some(Frames { at, trunks: shape.frames() });
            }
            samples::entry(record)
        };
        let at = |second| Instant::ZERO + Span::from_secs(second);
        let fall = |engine: &mut Engine, second, index| {
            let last = Some((at(second), ProbeResult::NoReply { after: Span::from_millis(1_500) }));
            let probe = ProbeEvidence { good: 0, bad: 9, bad_fast: 0, last };
            let seen = Evidence { probe, last_bad: Some(at(second)), ..Evidence::default() };
            let target = TargetId { trunk: TrunkId(2), index };
            samples::entry(samples::decided(engine.consider(at(second), target, &seen).unwrap()))
        };
        let first = shape().with_targets(TrunkId(0), Vec::new());
        let mut engine = Engine::new(Arc::new(first.clone()));
        let mut entries = std::vec![told(Instant::ZERO, &first, true), fall(&mut engine, 5, 0)];
        let second = first.with_targets(TrunkId(2), TargetShape::in_order([3, 0]));
        engine.reshape(at(7), Arc::new(second.clone()));
        let targets = [3, 0].map(|number| LocatedTarget { number, addr: "192.0.2.7:5060".into(), name: None });
        entries.push(samples::entry(Record::Located(Located {
            at: at(7),
            trunk: "globex".into(),
            id: TrunkId(2),
            names: Vec::new(),
            targets: targets.to_vec(),
            gone: Vec::new(),
        })));
        entries.push(fall(&mut engine, 9, 3));
        let mut trunks = second.trunks.clone();
        trunks.push(trunks[2].clone());
        let third = Shape::new(trunks, Vec::new(), Vec::new());
        engine.reshape(at(11), Arc::new(third.clone()));
        entries.push(told(at(11), &third, false));
        let mut replay = Replay::new(&third);
        entries.iter().for_each(|entry| replay.entry(entry));
        assert_eq!((replay.table(), replay.missed()), (engine.table(), 0));
    }
}
