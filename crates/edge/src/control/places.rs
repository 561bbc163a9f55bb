//! Control and the names of trunks: lookups ordered, new addresses followed as a reload is, each change on record.
//!
//! The record has what the trunk table became by it, so that replaying the journal needs no answer of any server. Refuses to know: DNS
//! itself, which is in `names`.

use super::Control;
use crate::config::Settings;
use crate::io::{ControlOutput, Snapshot};
use crate::names::Spot;
use crate::names::locate::Located as Found;
use crate::view::NameView;
use explain::{Located, LocatedTarget, Record};
use model::{Instant, Name, TrunkId};
use std::string::ToString;
use std::sync::Arc;

impl Control {
    /// Answers that nobody had asked for.
    pub fn unasked_answers(&self) -> u64 {
        self.unasked
    }

    /// Start and reload: the names there are.
    pub(super) fn install_names(&mut self, now: Instant) {
        let settings = self.snapshot.settings.clone();
        self.names.install(now, &settings.dns, settings.named.iter().map(|(id, named)| (*id, named)));
    }

    /// Orders lookups that are due, and follows what answers have changed.
    pub(super) fn follow_names(&mut self, now: Instant) {
        while let Some(question) = self.names.due(now) {
            self.out.push_back(ControlOutput::Lookup(question));
        }
        let mut moves: Vec<(TrunkId, Vec<Vec<Found>>)> = Vec::new();
        while let Some((trunk, located)) = self.names.poll() {
            let states = self.names.states(now, trunk);
            let name = self.trunk_name(trunk);
            self.alarms.names(now, self.wall, &name, &states);
            if self.snapshot.settings.located.get(&trunk) != Some(&located) {
                moves.push((trunk, located));
            }
        }
        if !moves.is_empty() {
            self.relocate(now, moves);
        }
    }

    fn relocate(&mut self, now: Instant, moves: Vec<(TrunkId, Vec<Vec<Found>>)>) {
        let before = self.snapshot.settings.clone();
        let trunks: Vec<TrunkId> = moves.iter().map(|(trunk, _)| *trunk).collect();
        let mut settings = before.relocated(moves);
        settings.shadow = before.shadow.as_ref().map(|shadow| Arc::new(shadow.follow(&settings)));
        let settings = Arc::new(settings);
        for trunk in trunks {
            let targets = |settings: &Settings| settings.shape.trunk(trunk).map(|trunk| trunk.targets.clone());
            if targets(&before) != targets(&settings) {
                self.engine.relocate(now, trunk, settings.shape.clone());
                self.write(Record::Located(located(now, trunk, &before, &settings)));
            }
        }
        self.watch(now, &settings);
        let Snapshot { paces, qualities, service_routes, drill, .. } = Snapshot::clone(&self.snapshot);
        let table = Arc::new(self.engine.table().clone());
        self.snapshot = Arc::new(Snapshot { settings, table, paces, qualities, service_routes, drill });
        self.follow_shadow(now);
        self.look_at_groups(now);
        self.out.push_back(ControlOutput::Update(self.snapshot.clone()));
    }

    pub(super) fn name_views(&self, now: Instant, trunk: TrunkId) -> Vec<NameView> {
        let states = self.names.states(now, trunk).into_iter();
        let view = |state: crate::names::book::NameState| NameView {
            name: state.name,
            left: state.left,
            trouble: state.trouble,
            kept: state.kept,
        };
        states.map(view).collect()
    }
}

/// What is told of a change.
fn located(now: Instant, trunk: TrunkId, before: &Settings, after: &Settings) -> Located {
    let addrs = |settings: &Settings| {
        let targets = settings.profiles.trunk(trunk).map(|profile| profile.targets.clone());
        targets.unwrap_or_default()
    };
    let (old, new) = (addrs(before), addrs(after));
    let spots = after.named.get(&trunk).map(|named| named.spots.as_slice()).unwrap_or_default();
    let names = spots.iter().filter_map(|spot| match spot {
        Spot::Named(named) => Some(named.host.clone()),
        Spot::At(..) => None,
    });
    let targets = new.iter().map(|target| LocatedTarget {
        number: target.index,
        addr: target.addr.to_string(),
        name: after.name_of(trunk, target),
    });
    let gone = old.iter().filter(|old| new.iter().all(|new| new.addr != old.addr)).map(|old| old.addr.to_string());
    let name = after.names.trunks.get(trunk.index()).cloned().unwrap_or_else(|| Name::from("?"));
    Located {
        at: now,
        trunk: name,
        id: trunk,
        names: names.collect(),
        targets: targets.collect(),
        gone: gone.collect(),
    }
}
