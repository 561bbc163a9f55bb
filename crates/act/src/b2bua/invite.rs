//! A new call: who calls, may he, where could it go, and the first attempt.
//!
//! Refuses to know: what happens after the first attempt is sent.

use super::between::Half;
use super::call::Call;
use super::ended::Ending;
use super::phones::Answered;
use super::reliable::{Reliable, Wanted};
use super::session::{self, Keeping};
use super::way::By;
use super::{B2bua, Effect, Leg, Side, World};
use crate::profile::{bare_number, is_urn};
use crate::tolls::Counted;
use alloc::borrow::Cow;
use decide::{Barred, Exclusion, Facts, NoPlan, Plan};
use model::{Name, Span, TrunkId};
use sip::{Answer, Dialog, Flow, Message, ServerKey, Uri};

impl B2bua {
    /// An INVITE outside any dialog.
    pub(super) fn invite(&mut self, world: &mut World<'_>, server: ServerKey, flow: Flow, message: &Message) {
        let Some((from, user)) = self.origin(world, server, flow, message) else { return };
        if self.draining || self.calls.len() >= self.limit {
            self.counters.turned_away += 1;
            return world.refuse_for_now(server, 503);
        }
        let Ok(uri) = Uri::parse(message.uri()) else { return world.refuse(server, 400) };
        let called = if is_urn(message.uri()) { message.uri() } else { world.name_dialled(from, &uri) };
        // Routes are about numbers as the edge knows them; who dials for help is understood as he dials, and never rewritten.
        let known = number_of(world, from, called);
        let Ok(number) = core::str::from_utf8(bare_number(&known)) else { return world.refuse(server, 484) };
        let facts = Facts { from, number, emergency: world.profiles.is_emergency(&known) };
        let dialled = core::str::from_utf8(bare_number(called)).unwrap_or_default();
        let drilled = match self.is_drilled(world, flow, message, [number, dialled]) {
            Ok(drilled) => drilled,
            Err(code) => return world.refuse(server, code),
        };
        let Some(wanted) = extensions(world, from, server, message) else { return };
        let tag = world.endpoint.minter().tag();
        let Ok(dialog) = Dialog::uas(message, tag.as_bytes()) else { return world.refuse(server, 400) };
        let keeping = Keeping::of(message, world.now, Span::ZERO);
        let by = By::of(user, flow);
        let leg = Leg { by, ..Leg::new(dialog, flow, from, world.rng.next_u64() >> 20, keeping) };
        let taken = match self.taken_over(world, &leg, message) {
            Ok(taken) => taken,
            Err(code) => return world.refuse(server, code),
        };
        // Who takes a place seeks nobody, but what he dials is counted; another shard has counted its transferor's call.
        let half = Half::of(message).filter(|_| flow.is_between_shards());
        let (toll, plan) = match half {
            Some(half) => (None, Err(NoPlan::Joined { other: Some(half.call) })),
            None => self.plan_of(world, &facts),
        };
        let call = self.next_call(world.rng);
        if drilled {
            self.remember_drilled(call);
        } else {
            self.retries.call(world.now);
        }
        let mut opened = Call::open(call, leg, message, (called, &known), plan, world.now);
        (opened.server, opened.reliable) = (Some(server), Reliable::new(wanted, server));
        (opened.emergency, opened.drilled) = (facts.emergency, drilled);
        super::drilled::unname(world, &mut opened);
        opened.tolls.extend(toll);
        if let Some(asked_by) = world.nonces.asked_by(message) {
            // Whoever answers a challenge that was passed to him answers it to that trunk.
            opened.coming.sort_by_key(|candidate| candidate.target.trunk != asked_by);
        }
        opened.audio.anchored = half.map_or(world.profiles.media_of(from).is_some(), |half| half.anchored);
        opened.find_phones(world, &uri);
        world.out.push(Effect::Leg(call, message.call_id().to_vec()));
        let slot = self.calls.insert(opened);
        self.by_tag.insert(tag.as_bytes().to_vec(), (slot, Side::Caller));
        self.by_server.insert(server, slot);
        self.setting_up.insert(slot);
        count_in(world, from);
        match taken {
            Some(found) => {
                self.counters.transfers += 1;
                self.fetch(world, slot, found);
            }
            None => self.begin(world, slot),
        }
    }

    /// Where a call may go, and what of its trunk's limits it uses.
    pub(super) fn plan_of(
        &mut self,
        world: &mut World<'_>,
        facts: &Facts<'_>,
    ) -> (Option<Counted>, Result<Plan, NoPlan>) {
        match self.toll(world, facts) {
            Ok(toll) => (toll, decide::plan(world.shape, world.table, world.load, facts, world.now, world.rng)),
            Err(why) => (None, Err(NoPlan::Barred { why })),
        }
    }

    /// What the trunk it comes from may dial. Whoever calls for help may.
    pub(super) fn toll(&mut self, world: &mut World<'_>, facts: &Facts<'_>) -> Result<Option<Counted>, Barred> {
        let policy = world.profiles.trunk(facts.from).map(|trunk| &trunk.inbound);
        let Some(policy) = policy.filter(|_| !facts.emergency) else { return Ok(None) };
        let admitted = self.tolls.admit(world.now, world.load, (facts.from, policy), facts.number);
        if let Err(why) = &admitted {
            self.bar(world, facts.from, why.clone());
        }
        admitted
    }

    /// A call that a trunk may not place is told of.
    pub(super) fn bar(&mut self, world: &mut World<'_>, from: TrunkId, why: Barred) {
        self.counters.barred += 1;
        // Haste is no fraud, and 503 says so.
        if !matches!(why, Barred::Rate { .. }) {
            world.out.push(Effect::Barred(from, why));
        }
    }

    /// The trunk a call or a MESSAGE comes from: by its address, or as a phone. Otherwise the caller has been answered.
    pub(super) fn origin(
        &mut self,
        world: &mut World<'_>,
        server: ServerKey,
        flow: Flow,
        message: &Message,
    ) -> Option<(TrunkId, Option<Name>)> {
        if flow.is_between_shards() {
            return Some((TrunkId::BETWEEN_SHARDS, None));
        }
        let drilled = world.drill.and_then(|drill| drill.caller(flow.peer, message.call_id()));
        let known = drilled.or_else(|| world.profiles.admit(flow.socket, flow.peer));
        let known = known.map(|trunk| (trunk, None)).ok_or(Answered(false));
        let phone = |(trunk, user)| (trunk, Some(user));
        match known.or_else(|_| world.phone(server, flow, message).map(phone)) {
            Ok(from) => Some(from),
            Err(Answered(true)) => None,
            Err(Answered(false)) => {
                self.counters.strangers += 1;
                world.refuse(server, 403);
                None
            }
        }
    }

    /// A call counts among those of a trunk, and once: however often it was sent on there, it is one.
    pub(super) fn count(&mut self, slot: usize, toll: impl IntoIterator<Item = Counted>) {
        for counted in toll {
            match self.calls.get_mut(slot).filter(|call| !call.tolls.contains(&counted)) {
                Some(call) => call.tolls.push(counted),
                None => self.tolls.end(counted),
            }
        }
    }

    /// The first attempt, or the refusal when there is no plan.
    pub(super) fn begin(&mut self, world: &mut World<'_>, slot: usize) {
        let absent = |plan: &Plan| plan.excluded.iter().any(|out| out.cause == Exclusion::NobodyThere);
        let nobody =
            self.calls.get(slot).is_some_and(|call| call.coming.is_empty() && call.plan.as_ref().is_ok_and(absent));
        let code = match self.calls.get(slot).map(|call| &call.plan) {
            // RFC 3261 §16.5: whom nobody has registered for is not here now.
            Some(Ok(_)) if nobody => 480,
            Some(Ok(_)) => return self.next_attempt(world, slot),
            Some(Err(NoPlan::NoRoute | NoPlan::Joined { .. })) => 404,
            Some(Err(NoPlan::Barred { why })) => why.code(),
            _ => 503,
        };
        self.refuse_call(world, slot, code, None);
    }

    /// The caller gets a final refusal, and the call is over. `said` is the callee's own refusal, whose reasons pass on.
    pub(super) fn refuse_call(&mut self, world: &mut World<'_>, slot: usize, code: u16, said: Option<&Message>) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(server) = call.server.take() else { return self.errand_failed(world, slot, code) };
        self.by_server.remove(&server);
        let terms = world.profiles.crossing(call.refused_by(code), Some(call.caller.trunk), call.emergency);
        let mut answer = Answer::new(terms.to.causes.answer(code));
        answer.to_tag = Some(call.caller.dialog.local_tag.clone());
        let said = said.filter(|said| said.status() == Some(code));
        if let Some(said) = said {
            answer.phrase = (answer.code == code).then(|| said.reason_phrase().to_vec());
            super::headers::pass(said, &terms, None, &mut answer.headers);
            if matches!(answer.code, 401 | 407) {
                super::challenge::push_challenges(said, &mut answer.headers);
            }
            if let (300..400, Some(sent_by)) = (answer.code, world.endpoint.sent_by(call.caller.flow.socket)) {
                super::redirect::push_contacts(said, &mut answer.headers, &terms, &sent_by);
            }
        } else {
            terms.to.causes.push_cause(code, &mut answer.headers);
        }
        if call.exposed && code == 500 && said.is_none() {
            // RFC 3261 §20.43: a name will do for whoever warns.
            answer.headers.push("Warning", b"399 edge \"the privacy that is critical cannot be given\"");
        }
        if said.is_none() && code == 503 && (call.plan.is_err() || call.full || call.spared) {
            answer.headers.push("Retry-After", world.retry_after().as_bytes());
        }
        let ending = if call.spared { Ending::OutOfRetries(code) } else { Ending::Refused(code) };
        world.endpoint.respond(world.now, server, answer);
        self.drop_bond(world, slot);
        self.finish(world, slot, ending);
    }
}

/// The called number by the terms of the trunk it came from, but as dialled when that is a call for help.
pub(super) fn number_of<'m>(world: &World<'_>, from: TrunkId, called: &'m [u8]) -> Cow<'m, [u8]> {
    match world.profiles.trunk(from) {
        Some(trunk) if !world.profiles.is_emergency(called) => trunk.interworking.numbers.read(called),
        _ => Cow::Borrowed(called),
    }
}

/// What the caller's extensions come to; none when it was refused for one that its trunk is not to have, or for its session's length.
fn extensions(world: &mut World<'_>, from: TrunkId, server: ServerKey, message: &Message) -> Option<Wanted> {
    let Some(wanted) = wanted(world, from, message) else {
        // RFC 3261 §8.2.2.3.
        let mut answer = Answer::new(420);
        answer.headers.push("Unsupported", b"100rel");
        world.endpoint.respond(world.now, server, answer);
        return None;
    };
    (!session::refuse_short(world, from, server, message)).then_some(wanted)
}

/// Which provisional responses the caller gets reliably (RFC 3262 §3); none when it requires what its trunk is not to have.
fn wanted(world: &World<'_>, from: TrunkId, message: &Message) -> Option<Wanted> {
    let allowed = world.profiles.trunk(from).is_some_and(|trunk| trunk.dialogs.reliable);
    match (message.requires(b"100rel"), message.supports(b"100rel")) {
        (true, _) => allowed.then_some(Wanted::Always),
        (false, true) if allowed => Some(Wanted::Described),
        _ => Some(Wanted::Never),
    }
}

/// The call also counts on the trunk it came from.
pub(super) fn count_in(world: &mut World<'_>, from: TrunkId) {
    if let Some(calls) = world.load.calls.get_mut(from.index()) {
        *calls = calls.saturating_add(1);
    }
}
