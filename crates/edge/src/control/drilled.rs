//! Drills: begun and ended on somebody's word, written down, and told to the shards.
//!
//! What it guards, and when it ends by itself, is kept in `drill.rs`. Refuses to know: how the word arrived.

use super::Control;
use crate::drill::{DrillAct, DrillOrder, DrillRefused, DrillView};
use crate::io::{By, ControlOutput, Snapshot};
use decide::{Change, Decision, Subject};
use explain::Act;
use model::{Health, Instant, Name, TargetId, TrunkId};
use std::collections::BTreeSet;
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
                let done = self.drills.done(id);
                if done.is_ok() {
                    let why = self.drills.last().map(Name::to_string).unwrap_or_default();
                    self.operator(None, Act::DrillEnd { why, passed, failed }, &by);
                    self.tell_drill();
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
            self.end_drill(&why);
        }
    }

    /// It ends, whoever began it: what was broken is so no more.
    pub(super) fn end_drill(&mut self, why: &str) {
        if self.drills.end(why) {
            self.operator(None, Act::DrillEnd { why: why.to_string(), passed: 0, failed: 0 }, &By::way("edge"));
            self.tell_drill();
        }
    }

    /// A trunk that goes Down while a drill runs is more important than the drill: its name, when one does.
    pub(super) fn harmed(&self, decision: &Decision) -> Option<Name> {
        let (Subject::Target(TargetId { trunk, .. }) | Subject::Trunk(trunk)) = decision.subject;
        let falls = matches!(decision.change, Change::Health { to: Health::Down, .. }) && decision.enforced();
        (falls && self.drills.is_harm(trunk)).then(|| self.trunk_name(trunk))
    }

    fn tell_drill(&mut self) {
        let drill = self.drills.drill();
        self.snapshot = Arc::new(Snapshot { drill, ..Snapshot::clone(&self.snapshot) });
        self.out.push_back(ControlOutput::Update(self.snapshot.clone()));
    }
}
