//! Calls from and to phones that have registered here: who calls, and by which ways the called one is rung.
//!
//! To a plan all phones are one target; here it becomes the called user's bindings, the preferred first. Those of equal preference
//! ring together and the first answer wins (RFC 3261 §16.6, §16.7); a MESSAGE goes to one after the other. What a phone does says
//! nothing about any trunk. Refuses to know: how bindings come to be.

use super::call::{Call, Destination};
use super::{B2bua, Effect, World};
use crate::profile::bare_number;
use crate::registrar::{Binding, Bound, Caller, Registrar, RegistrarRules, Token};
use alloc::vec::Vec;
use decide::{Candidate, Excluded, Exclusion};
use model::{AttemptOutcome, Begun, Name, TargetId, TrunkId};
use sip::{Flow, Message, ServerKey, Uri};
use smallvec::SmallVec;

/// Phones that ring at once for one call.
const TOGETHER: usize = 4;

/// The registrar and what it works by.
#[derive(Debug)]
pub struct Phones<'a> {
    /// Who is where.
    pub registrar: &'a mut Registrar,
    /// The configuration.
    pub rules: &'a RegistrarRules,
}

/// One way to the called user.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) aor: Name,
    pub(super) to: Destination,
    q: u16,
}

impl Way {
    fn of(aor: &Name, binding: &Binding) -> Self {
        let routes = binding.path.iter().map(|value| value.to_vec()).collect();
        let to = Destination { flow: binding.flow, uri: Some(binding.contact.to_vec()), routes };
        Self { aor: aor.clone(), to, q: binding.q }
    }
}

impl World<'_> {
    /// Whether a trunk stands for the phones.
    pub(super) fn is_phones(&self, trunk: TrunkId) -> bool {
        self.phones.as_ref().is_some_and(|phones| phones.rules.phones == Some(trunk))
    }

    /// Whether a way leads to this user's phones now: one that has moved has registered by its new flow, and goes on with its calls by it.
    pub(super) fn has_moved_to(&self, user: Option<&Name>, flow: Flow) -> bool {
        let phones = self.phones.as_ref().zip(user);
        phones.is_some_and(|(phones, user)| phones.registrar.is_at(self.now, user, flow))
    }

    /// The trunk of a caller who is a phone, and whose. Otherwise he has been answered, unless phones do not call here: then he is a
    /// stranger.
    pub(super) fn phone(
        &mut self,
        server: ServerKey,
        flow: Flow,
        message: &Message,
    ) -> Result<(TrunkId, Name), Answered> {
        let Some(phones) = &mut self.phones else { return Err(Answered(false)) };
        let of = |listen| self.profiles.listen(listen).is_some_and(|listen| listen.sockets.contains(&flow.socket));
        let trunk = phones.rules.phones.filter(|_| phones.rules.listens.iter().any(|listen| of(*listen)));
        let Some(trunk) = trunk else { return Err(Answered(false)) };
        match phones.registrar.caller(self.now, phones.rules, flow, message) {
            Caller::User(user) => Ok((trunk, user)),
            Caller::Challenge { answer, failed } => {
                self.out.extend(failed.then_some(Effect::AuthFailed(flow)));
                self.endpoint.respond(self.now, server, answer);
                Err(Answered(true))
            }
        }
    }

    /// What became of a way: one behind which nobody is must not be tried again, one that is silent only after all others.
    pub(super) fn note_way(&mut self, way: &Way, outcome: AttemptOutcome) {
        let (Some(contact), Some(phones)) = (&way.to.uri, &mut self.phones) else { return };
        let bound: Option<Bound> = match outcome {
            AttemptOutcome::Unreachable { .. } => phones.registrar.dead(self.now, &way.aor, contact, way.to.flow),
            AttemptOutcome::NoReply { .. } => phones.registrar.suspect(self.now, &way.aor, contact, way.to.flow),
            _ => None,
        };
        self.out.extend(bound.map(Effect::Bound));
    }

    /// The name or number that a caller means: the trunk behind the registrar calls phones by the Contacts it was given, where a token
    /// follows the name.
    pub(super) fn name_dialled<'u>(&self, from: TrunkId, uri: &Uri<'u>) -> &'u [u8] {
        let user = uri.user();
        let is_behind = self.phones.as_ref().is_some_and(|phones| phones.rules.behind == Some(from));
        Token::split(bare_number(user)).filter(|_| is_behind).map_or(user, |(name, _)| name)
    }

    /// By the name as dialled, or else by the number as the edge knows it. A token names one of the user's phones, and no other is rung
    /// in its place.
    fn ways_to(&self, from: TrunkId, uri: &Uri<'_>, number: &str) -> Vec<Way> {
        let dialled = core::str::from_utf8(bare_number(self.name_dialled(from, uri))).ok();
        let (Some(dialled), Some(phones)) = (dialled, &self.phones) else { return Vec::new() };
        let is_user = |name: &str| match phones.rules.behind {
            Some(_) => phones.registrar.find(self.now, name).next().is_some(),
            None => phones.rules.users.contains_key(name),
        };
        let user = if is_user(dialled) { dialled } else { number };
        let token = Token::split(bare_number(uri.user())).filter(|_| phones.rules.behind == Some(from));
        let is_meant = |binding: &&Binding| token.is_none_or(|(name, token)| token == Token::of(name, binding));
        let aor = Name::from(user);
        // RFC 5627 §5.5: a GRUU names one of the user's phones.
        let gr = uri.params().get("gr");
        let named = |binding: &&Binding| gr.is_none_or(|gr| binding.instance.as_deref().is_some_and(|i| is_gr(i, gr)));
        phones
            .registrar
            .find(self.now, user)
            .filter(named)
            .filter(is_meant)
            .map(|binding| Way::of(&aor, binding))
            .collect()
    }
}

/// A caller who is no phone: whether he has been answered.
pub(super) struct Answered(pub(super) bool);

fn is_gr(instance: &[u8], gr: &[u8]) -> bool {
    instance.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")).unwrap_or(instance) == gr
}

/// In a plan the candidate that stands for phones becomes the ways to the called user.
pub(super) fn unfold(
    world: &World<'_>,
    coming: &mut SmallVec<[Candidate; 4]>,
    from: TrunkId,
    uri: &Uri<'_>,
    number: &str,
) -> Vec<Way> {
    let Some(place) = coming.iter().position(|candidate| world.is_phones(candidate.target.trunk)) else {
        return Vec::new();
    };
    let candidate = coming.remove(place);
    let ways = world.ways_to(from, uri, number);
    for (index, _) in (0u8..).zip(&ways) {
        let target = TargetId { index, ..candidate.target };
        coming.insert(place + usize::from(index), Candidate { target, ..candidate });
    }
    ways
}

impl Call {
    /// The candidate that stands for phones becomes the ways to the called user.
    pub(super) fn find_phones(&mut self, world: &World<'_>, uri: &Uri<'_>) {
        let phones = self.coming.iter().map(|candidate| candidate.target.trunk).find(|trunk| world.is_phones(*trunk));
        let number = core::str::from_utf8(bare_number(&self.number)).unwrap_or_default();
        self.ways = unfold(world, &mut self.coming, self.caller.trunk, uri, number);
        let nobody = self.ways.is_empty() && self.attempts.is_empty();
        if let (Some(trunk), true, Ok(plan)) = (phones, nobody, &mut self.plan) {
            // What the plan took for one target is none, and whoever asks why must hear so.
            plan.attempts.retain(|candidate| candidate.target.trunk != trunk);
            plan.excluded.push(Excluded { trunk, cause: Exclusion::NobodyThere });
        }
    }

    /// Where a candidate that is a phone is reached.
    pub(super) fn way(&self, world: &World<'_>, target: TargetId) -> Option<&Way> {
        self.ways.get(usize::from(target.index)).filter(|_| world.is_phones(target.trunk))
    }

    /// Both are phones of the called user: they ring together, and neither leaves the other.
    pub(super) fn ring_together(&self, world: &World<'_>, one: usize, other: usize) -> bool {
        let is_phone = |index: usize| self.attempts.get(index).is_some_and(|a| world.is_phones(a.target.trunk));
        is_phone(one) && is_phone(other)
    }
}

impl B2bua {
    /// Rings the called user's other phones of the same preference beside the one just begun.
    pub(super) fn fork(&mut self, world: &mut World<'_>, slot: usize, first: TargetId) {
        let Some(call) = self.calls.get(slot) else { return };
        let Some(q) = call.way(world, first).map(|way| way.q) else { return };
        let equal = |candidate: &&Candidate| call.way(world, candidate.target).is_some_and(|way| way.q == q);
        let others: SmallVec<[TargetId; 4]> =
            call.coming.iter().filter(equal).map(|candidate| candidate.target).take(TOGETHER - 1).collect();
        for target in others {
            // Without ports of its own it comes in its turn.
            let Ok(aside) = self.take_aside(world, slot, target.trunk) else { return };
            self.take_candidate(slot, target);
            self.begin_attempt(world, slot, target, Begun::Forked, aside);
        }
    }

    /// Whose phone an attempt rings, when it is one.
    pub(super) fn user_of(&self, world: &World<'_>, slot: usize, index: usize) -> Option<Name> {
        let call = self.calls.get(slot)?;
        Some(call.way(world, call.attempts.get(index)?.target)?.aor.clone())
    }

    /// More phones of the called user are to be tried: that one of them is busy or declines does not end the call, unless he declines
    /// for all (RFC 3261 §16.7 step 5).
    pub(super) fn has_other_phones(&self, world: &World<'_>, slot: usize, outcome: AttemptOutcome) -> bool {
        let Some(call) = self.calls.get(slot) else { return false };
        let declined = matches!(outcome, AttemptOutcome::Refused { code: 600.., .. });
        !declined && call.coming.iter().any(|candidate| call.way(world, candidate.target).is_some())
    }

    /// What became of a way that a call has tried.
    pub(super) fn note_way(&mut self, world: &mut World<'_>, slot: usize, target: TargetId, outcome: AttemptOutcome) {
        if let Some(way) = self.calls.get(slot).and_then(|call| call.way(world, target)) {
            world.note_way(way, outcome);
        }
    }
}
