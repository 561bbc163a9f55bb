//! Registrations of a shard, both ways: phones at us or through us at a trunk, and ours at trunks.
//!
//! Refuses to know: calls.

use super::Shard;
use crate::io::{Bound, Output};
use crate::steer::home_of_user;
use act::{Effect, PassageWorld, Passages, Registering, RegistrantWorld, Registrants};
use model::{Instant, ListenId, TrunkId};
use sip::{Flow, Message, ServerKey};

impl Shard {
    /// Each trunk's registration is one shard's, the same that probes it.
    pub(super) fn follow_registrations(&mut self, now: Instant) {
        let settings = self.snapshot.settings.clone();
        let all = (0u16..).map(TrunkId).zip(&settings.registrations);
        let mine = all.filter(|(trunk, _)| trunk.index() % usize::from(self.shards) == self.shard.index());
        let plans: Vec<_> = mine.filter_map(|(trunk, plan)| Some((trunk, plan.clone()?))).collect();
        self.registrations(now, |all, world| all.install(world, plans.into_iter()));
    }

    pub(super) fn registrations(&mut self, now: Instant, act: impl FnOnce(&mut Registrants, &mut RegistrantWorld<'_>)) {
        let (mut signals, mut routes) = (Vec::new(), Vec::new());
        let mut world = RegistrantWorld {
            now,
            endpoint: &mut self.endpoint,
            profiles: &self.snapshot.settings.profiles,
            nonces: &mut self.nonces,
            rng: &mut self.rng,
            out: &mut signals,
            routes: &mut routes,
        };
        act(&mut self.registrants, &mut world);
        self.out.extend(routes.into_iter().map(Output::ServiceRoute));
        self.out.extend(signals.into_iter().map(Output::Signal));
    }

    /// Whether phones register at this socket.
    pub(super) fn registers(&self, flow: Flow) -> bool {
        let settings = &self.snapshot.settings;
        let of =
            |listen: &ListenId| settings.profiles.listen(*listen).is_some_and(|l| l.sockets.contains(&flow.socket));
        settings.registrar.as_ref().is_some_and(|rules| rules.listens.iter().any(of))
    }

    pub(super) fn register(&mut self, now: Instant, server: ServerKey, flow: Flow, message: &Message) {
        let (Some(rules), Some(sent_by)) = (&self.snapshot.settings.registrar, self.endpoint.sent_by(flow.socket))
        else {
            return;
        };
        if let Some(trunk) = rules.behind {
            let door = (server, flow, sent_by);
            return self.passing(now, |passages, world| passages.pass(world, trunk, door, message));
        }
        let registering = Registering { now, rules, rng: &mut self.rng, flow, sent_by, message };
        let registered = self.registrar.register(registering);
        self.out.extend(registered.bound.map(Output::Bound));
        self.effects.extend(registered.failed.then_some(Effect::AuthFailed(flow)));
        self.endpoint.respond(now, server, registered.answer);
    }

    /// With a connection the bindings by it are over, and the REGISTERs that have come by it. Every shard hears of its end; the one where a
    /// user's REGISTERs meet tells what is left him all the same, since an older word of its may still be on the way to the others.
    pub(super) fn unbind(&mut self, now: Instant, flow: Flow) {
        self.passing(now, |passages, world| passages.broken(world, flow));
        let (key, shards, shard) = (self.key, self.shards, self.shard);
        let mine = |bound: &Bound| home_of_user(key, shards, bound.aor.as_str().as_bytes()) == shard;
        self.out.extend(self.registrar.broken(now, flow).into_iter().filter(mine).map(Output::Bound));
    }

    pub(super) fn passing(&mut self, now: Instant, act: impl FnOnce(&mut Passages, &mut PassageWorld<'_>)) {
        let settings = &self.snapshot.settings;
        let Some(rules) = settings.registrar.as_deref() else {
            // A reload has taken the registrar away: what was under way ends with its transactions.
            self.passages = Passages::default();
            return;
        };
        let mut world = PassageWorld {
            now,
            endpoint: &mut self.endpoint,
            profiles: &settings.profiles,
            shape: &settings.shape,
            table: &self.snapshot.table,
            registrar: &mut self.registrar,
            rules,
            rng: &mut self.rng,
            out: &mut self.effects,
        };
        act(&mut self.passages, &mut world);
    }
}
