//! The operator's word: on record with who and why, then done. It wins over all evidence and ends only by the operator.
//!
//! Refuses to know: how a word arrived, and whether who gave it may.

use super::Control;
use crate::io::{By, TrunkAct};
use explain::{Act, Entry, Operator, Record};
use model::{Admin, Instant, Name, TargetId, TrunkId};
use std::sync::Arc;

impl Control {
    pub(super) fn operate(&mut self, now: Instant, trunk: TrunkId, act: TrunkAct, by: &By) {
        let (admin, word) = match act {
            TrunkAct::Drain => (Some(Admin::Draining), Act::Drain),
            TrunkAct::Out => (Some(Admin::OutOfService), Act::Out),
            TrunkAct::Restore => (Some(Admin::InService), Act::Restore),
            TrunkAct::Probe => (None, Act::Probe),
        };
        let name = self.trunk_name(trunk);
        let entry = self.operator(Some(name), word, by);
        if let Some(admin) = admin {
            self.causes.insert(trunk, entry);
            if let Some(decision) = self.engine.operator(now, trunk, admin) {
                self.decided(now, decision);
            }
            if let Some(shadow) = &mut self.shadow {
                shadow.operator(now, trunk, admin);
            }
        }
        let settings = self.snapshot.settings.clone();
        let targets: Vec<TargetId> =
            settings.probes.iter().map(|(target, _)| *target).filter(|target| target.trunk == trunk).collect();
        for target in targets {
            match act {
                TrunkAct::Restore => {
                    self.sensor.forgive(now, target);
                    self.sensor.hurry(now, target, true);
                }
                TrunkAct::Probe => self.sensor.probe_now(now, target),
                TrunkAct::Drain | TrunkAct::Out => {}
            }
        }
        if act == TrunkAct::Probe {
            self.sensor.tick(now);
        }
    }

    pub(super) fn operator(&mut self, trunk: Option<Name>, act: Act, by: &By) -> Arc<Entry> {
        let By { via, who, why } = by;
        self.write(Record::Operator(Operator { trunk, act, via: via.to_string(), who: who.clone(), why: why.clone() }))
    }
}
