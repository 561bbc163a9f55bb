//! Control as people see it: trunks, targets, groups, registrations.
//!
//! Refuses to know: how it is shown, and to whom.

use super::Control;
use crate::view::{RegistrationView, TargetView, TrunkView};
use explain::GroupView;
use model::{GroupId, Instant, ProbeResult, RegistrationState, Span, TargetId, TrunkId, Wish};

impl Control {
    /// A group as it is now; none when there is none by this name.
    pub fn group(&self, now: Instant, name: &str) -> Option<GroupView> {
        let settings = &self.snapshot.settings;
        let index = settings.names.groups.iter().position(|known| known.as_str() == name)?;
        let id = GroupId(u16::try_from(index).ok()?);
        explain::group_view(&self.engine, id, &settings.names, now)
    }

    /// Every trunk as people see it; `calls` by trunk id.
    pub fn view(&mut self, now: Instant, calls: &[u32]) -> Vec<TrunkView> {
        let snapshot = self.snapshot.clone();
        let trunks = snapshot.settings.profiles.trunks.iter().enumerate();
        trunks
            .filter_map(|(index, profile)| profile.as_ref().map(|profile| (TrunkId(index as u16), profile)))
            .map(|(id, profile)| {
                let targets = self.target_views(now, id, profile);
                let best = self.best_target(id);
                let table = self.engine.table();
                let throttle = table.throttle(id).filter(|throttle| throttle.until > now);
                TrunkView {
                    name: profile.name.clone(),
                    health: table.trunk_health(id),
                    admin: table.admin(id),
                    share: best.map_or(0, |target| table.share(target)),
                    held: best.map_or(Span::ZERO, |target| now.since(table.since(target))),
                    throttled: throttle.filter(|t| t.wish == Wish::NoCalls).map(|t| t.until.since(now)),
                    wish: throttle.map(|t| t.wish).filter(|wish| *wish != Wish::NoCalls),
                    calls: calls.get(id.index()).copied().unwrap_or(0),
                    names: self.name_views(now, id),
                    registration: self.registration(now, id),
                    test_calls: snapshot.settings.test_call(id).map(|_| self.tests.of(now, id)),
                    hearing: self.hearing.of(now, &profile.name),
                    targets,
                }
            })
            .collect()
    }

    /// Our registration at a trunk that has one.
    fn registration(&self, now: Instant, trunk: TrunkId) -> Option<RegistrationView> {
        self.snapshot.settings.registrations.get(trunk.index())?.as_ref()?;
        let known = self.registrations.get(&trunk);
        let held = known.map_or(Span::ZERO, |known| now.since(known.since));
        let (state, until) = (known.map(|known| known.state), known.and_then(|known| known.until));
        let sentence = match state {
            Some(RegistrationState::Registered) => match until {
                Some(until) => format!("registered until {until}"),
                None => String::from("registered"),
            },
            Some(state) => format!("not registered: {}", explain::words::alarm::registration(state)),
            None => String::from("not registered yet"),
        };
        Some(RegistrationView { state, held, until, sentence })
    }

    /// The first of a trunk's targets that is as well as the trunk.
    pub(super) fn best_target(&self, trunk: TrunkId) -> Option<TargetId> {
        let table = self.engine.table();
        let best = table.targets(trunk).iter().find(|target| target.health() == table.trunk_health(trunk))?;
        Some(TargetId { trunk, index: best.index() })
    }

    fn target_views(&mut self, now: Instant, trunk: TrunkId, profile: &act::TrunkProfile) -> Vec<TargetView> {
        let shapes = self.snapshot.settings.shape.clone();
        let shape = shapes.trunk(trunk);
        let mut views = Vec::with_capacity(profile.targets.len());
        for target in &profile.targets {
            let id = TargetId { trunk, index: target.index };
            let seen = self.sensor.evidence(now, id);
            let table = self.engine.table();
            let shape = shape.and_then(|shape| shape.targets.iter().find(|shape| shape.number == target.index));
            views.push(TargetView {
                addr: target.addr.to_string(),
                name: self.snapshot.settings.name_of(trunk, target),
                priority: shape.map_or(0, |shape| shape.priority),
                weight: shape.map_or(0, |shape| shape.weight),
                health: table.health(id),
                held: now.since(table.since(id)),
                probes_good: seen.probe.good,
                probes_bad: seen.probe.bad,
                rtt: match seen.probe.last {
                    Some((_, ProbeResult::Answered { rtt, .. })) => Some(rtt),
                    _ => None,
                },
                attempts: seen.calls.window.of,
                blamed: seen.calls.window.part,
            });
        }
        views
    }
}
