//! Drills: begun and ended on somebody's word, written down, and told to the shards.
//!
//! What it guards, and when it ends by itself, is kept in `drill.rs`. Refuses to know: how the word arrived.

use super::Control;
use crate::drill::{DONE, DrillAct, DrillOrder, DrillRefused, DrillResult, DrillView};
use crate::io::{By, ControlOutput, Snapshot};
use decide::{Change, Decision, GroupPolicy, Subject};
use explain::{Act, Entry, Operator, Record};
use model::{Health, Instant, Name, TargetId, TrunkId};
use std::collections::{BTreeMap, BTreeSet};
use std::string::{String, ToString};
use std::sync::Arc;

impl Control {
    /// Something is to be done with a drill; the answer is an output.
    pub(super) fn drill(&mut self, now: Instant, act: DrillAct) {
        let answer = match act {
            DrillAct::Begin(order) => self.begin_drill(now, order),
            DrillAct::Break { id, trunk, fault } => self.break_trunk(now, id, trunk, fault),
            DrillAct::Keep { id } => self.drills.keep(now, id),
            DrillAct::End { id, passed, failed } => {
                let by = self.beginner();
                let done = self.drills.keep(now, id);
                if done.is_ok() {
                    self.over(now, DONE, (passed, failed), &by);
                }
                done
            }
        };
        self.out.push_back(ControlOutput::Drill(answer));
    }

    /// The drill under way, as people see it.
    pub fn drill_view(&self, now: Instant) -> Option<DrillView> {
        self.drills.view(now, |trunk| self.trunk_name(trunk))
    }

    /// Why the last drill ended.
    pub fn last_drill(&self) -> Option<&Name> {
        self.drills.last()
    }

    /// What may be dialled in a drill: the numbers of test calls.
    pub fn drill_numbers(&self) -> Vec<String> {
        let plans = self.snapshot.settings.test_calls.iter().flatten();
        let numbers: BTreeSet<String> =
            plans.map(|plan| String::from_utf8_lossy(&plan.script.number).into_owned()).collect();
        numbers.into_iter().collect()
    }

    fn begin_drill(&mut self, now: Instant, order: Box<DrillOrder>) -> Result<(), DrillRefused> {
        let profiles = &self.snapshot.settings.profiles;
        let targets = profiles.trunks.iter().flatten().flat_map(|trunk| &trunk.targets);
        let taken = |addr| targets.clone().any(|target| target.addr == addr);
        if let Some((addr, _)) = order.callers.iter().find(|(addr, _)| taken(*addr)) {
            return Err(DrillRefused::Taken(*addr));
        }
        let by = order.by.clone();
        let (all_calls, limit) = (order.all_calls, order.limit);
        let trunks = order.trunks.iter().map(|trunk| self.trunk_name(*trunk)).collect();
        self.drills.begin(now, order, self.drill_numbers())?;
        self.operator(None, Act::DrillBegin { trunks, all_calls, limit }, &by);
        self.tell_drill();
        Ok(())
    }

    /// Who breaks, mends and ends: the one who holds its number, and whose reason was told when it began.
    fn beginner(&self) -> By {
        self.drills.by().map_or_else(|| By::way("api"), |by| By { why: String::new(), ..by })
    }

    fn break_trunk(
        &mut self,
        now: Instant,
        id: u64,
        trunk: TrunkId,
        fault: Option<model::DrillFault>,
    ) -> Result<(), DrillRefused> {
        if !self.drills.set(now, id, trunk, fault)? {
            return Ok(());
        }
        let all_calls = self.drills.drill().is_some_and(|drill| drill.all_calls);
        let act = fault.map_or(Act::DrillMend, |fault| Act::DrillBreak { fault, all_calls });
        let name = self.trunk_name(trunk);
        let by = self.beginner();
        self.operator(Some(name), act, &by);
        self.tell_drill();
        Ok(())
    }

    /// It ends when it must.
    pub(super) fn settle_drill(&mut self, now: Instant) {
        if let Some(why) = self.drills.must_end(now) {
            self.end_drill(now, &why);
        }
    }

    /// It ends, whoever began it: what was broken is so no more.
    pub(super) fn end_drill(&mut self, now: Instant, why: &str) {
        self.over(now, why, (0, 0), &By::way("edge"));
    }

    /// The end of the drill under way, if there is one, with so many lines that passed and that failed.
    fn over(&mut self, now: Instant, why: &str, lines: (u32, u32), by: &By) {
        let Some(order) = self.drills.end(why) else { return };
        let trunks: Vec<Name> = order.trunks.iter().map(|trunk| self.trunk_name(*trunk)).collect();
        self.drills.remember(self.wall, &trunks, why, lines);
        let (passed, failed) = lines;
        self.operator(None, Act::DrillEnd { why: why.to_string(), passed, failed, trunks }, by);
        self.look_at_drills(now);
        self.tell_drill();
    }

    /// What drills came to before this edge began: the ends of them among these records, oldest first.
    pub fn recall_drills(&mut self, now: Instant, entries: &[Entry]) {
        for entry in entries {
            let Record::Operator(Operator { act: Act::DrillEnd { why, passed, failed, trunks }, .. }) = &entry.record
            else {
                continue;
            };
            self.drills.remember(entry.wall, trunks, why, (*passed, *failed));
        }
        self.keep_drills(now);
    }

    /// Of trunks that are configured no more nothing is kept.
    pub(super) fn keep_drills(&mut self, now: Instant) {
        self.drills.retain(&self.snapshot.settings.names.trunks);
        self.look_at_drills(now);
    }

    fn look_at_drills(&mut self, now: Instant) {
        let results = self.drills.results().iter();
        let failing = results.map(|(trunk, result)| (trunk, result.failed)).filter(|(_, failed)| *failed > 0);
        self.alarms.drilled(now, self.wall, failing);
    }

    /// What came of the last drill of each trunk that was drilled.
    pub fn drilled(&self) -> &BTreeMap<Name, DrillResult> {
        self.drills.results()
    }

    /// Whether drills can show that others stand in for a trunk: it has a number for testing, and is the first choice of a group with others.
    pub fn is_drillable(&self, trunk: TrunkId) -> bool {
        let settings = &self.snapshot.settings;
        let first = |group: &GroupPolicy| {
            let is_first = group.tiers.first().is_some_and(|tier| tier.iter().any(|member| member.trunk == trunk));
            is_first && group.members().any(|member| member.trunk != trunk)
        };
        settings.test_call(trunk).is_some() && settings.shape.groups().iter().any(first)
    }

    /// A trunk that goes Down while a drill runs is more important than the drill: its name, when one does.
    pub(super) fn harmed(&self, decision: &Decision) -> Option<Name> {
        let (Subject::Target(TargetId { trunk, .. }) | Subject::Trunk(trunk)) = decision.subject else { return None };
        let falls = matches!(decision.change, Change::Health { to: Health::Down, .. }) && decision.enforced();
        (falls && self.drills.is_harm(trunk)).then(|| self.trunk_name(trunk))
    }

    fn tell_drill(&mut self) {
        let drill = self.drills.drill();
        self.snapshot = Arc::new(Snapshot { drill, ..Snapshot::clone(&self.snapshot) });
        self.out.push_back(ControlOutput::Update(self.snapshot.clone()));
    }
}
