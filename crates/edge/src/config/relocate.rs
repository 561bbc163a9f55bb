//! Settings in which trunks with names have the targets that their names lead to now.
//!
//! The same configuration as before in all else; an address that stays keeps its number, and so everything held of it. Refuses to know:
//! names, answers, TOML.

use super::settings::Settings;
use super::value::SipAddress;
use crate::names::Place;
use crate::names::locate::Located;
use act::Target;
use decide::{Shape, TargetShape};
use model::{Name, TargetId, TrunkId};
use sense::BlamePolicy;
use std::sync::Arc;

impl Settings {
    /// What the entries of these trunks lead to now.
    #[must_use]
    pub(crate) fn relocated(&self, moves: Vec<(TrunkId, Vec<Vec<Located>>)>) -> Self {
        let mut settings = self.clone();
        let mut shapes = self.shape.trunks.clone();
        let mut profiles = (*self.profiles).clone();
        for (id, located) in moves {
            let Some(targets) = settings.targets(id, &located) else { continue };
            settings.located.insert(id, located);
            settings.watched(id, &targets);
            if let (Some(Some(shape)), Some(Some(profile))) =
                (shapes.get_mut(id.index()), profiles.trunks.get_mut(id.index()))
            {
                shape.targets = targets.iter().map(|(_, shape)| *shape).collect();
                profile.targets = targets.into_iter().map(|(target, _)| target).collect();
            }
        }
        settings.probes.sort_by_key(|(target, _)| *target);
        profiles.reindex();
        settings.profiles = Arc::new(profiles);
        settings.shape = Arc::new(Shape::new(shapes, self.shape.groups().to_vec(), self.shape.routes().to_vec()));
        settings
    }

    /// With the places and numbers of the running edge, which may have moved since this text was read; none when no trunk has names.
    pub(crate) fn following(&self, running: &Self) -> Option<Self> {
        let mut settings = self.clone();
        let mut moves = Vec::new();
        for (id, named) in &self.named {
            let name = self.names.trunks.get(id.index());
            let numbers =
                running.target_numbers.get(id.index()).filter(|_| running.names.trunks.get(id.index()) == name);
            if let (Some(slot), Some(numbers)) = (settings.target_numbers.get_mut(id.index()), numbers) {
                slot.clone_from(numbers);
                let before = running.named.get(id).zip(running.located.get(id));
                let none = || vec![Vec::new(); named.spots.len()];
                moves.push((*id, before.map_or_else(none, |(old, located)| old.kept(located, named))));
            }
        }
        if moves.is_empty() {
            return None;
        }
        let mut settings = settings.relocated(moves);
        settings.shadow = self.shadow.as_ref().map(|shadow| Arc::new(shadow.follow(&settings)));
        Some(settings)
    }

    /// The configured name that leads to a target of a trunk; none when its address itself is configured.
    pub fn name_of(&self, trunk: TrunkId, target: &Target) -> Option<Name> {
        let places = self.named.get(&trunk)?.places(self.located.get(&trunk)?);
        places.into_iter().find(|place| (place.addr, place.transport) == (target.addr, target.transport))?.name
    }

    /// Targets of a trunk with their numbers and sockets; none for a trunk that has no names.
    fn targets(&mut self, id: TrunkId, located: &[Vec<Located>]) -> Option<Vec<(Target, TargetShape)>> {
        let places = self.named.get(&id)?.places(located);
        let listen = self.profiles.trunk(id)?.listen;
        let numbers = self.target_numbers.get_mut(id.index())?;
        let way = |place: &Place| SipAddress { transport: place.transport, addr: place.addr };
        numbers.follow(places.iter().map(way));
        let target = |place: &Place| {
            let socket = self.sockets.iter().find(|socket| {
                (socket.listen, socket.transport) == (listen, place.transport)
                    && socket.bind.is_ipv4() == place.addr.is_ipv4()
            })?;
            let number = numbers.of(way(place))?;
            let target = Target { index: number, addr: place.addr, transport: place.transport, socket: socket.id };
            Some((target, TargetShape { number, priority: place.priority, weight: place.weight }))
        };
        Some(places.iter().filter_map(target).collect())
    }

    /// Who of a trunk is probed, and whose table of blame is its own.
    fn watched(&mut self, id: TrunkId, targets: &[(Target, TargetShape)]) {
        self.probes.retain(|(target, _)| target.trunk != id);
        self.blames.retain(|(target, _)| target.trunk != id);
        let Some(Some((probe, blame))) = self.watches.get(id.index()) else { return };
        let ids = || targets.iter().map(|(target, _)| TargetId { trunk: id, index: target.index });
        self.probes.extend(ids().map(|target| (target, probe.clone())));
        if *blame != BlamePolicy::default() {
            self.blames.extend(ids().map(|target| (target, blame.clone())));
        }
    }
}
