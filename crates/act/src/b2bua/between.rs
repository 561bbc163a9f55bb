//! A transfer that joins calls of two shards (RFC 5589 §7.3): each shard keeps its half, and a call between the shards joins them.
//!
//! Tags steer, so that no dialog can change its shard. The shard that was asked has the party that stays; it calls the shard of the other
//! call, with the Replaces as the transferor wrote it, and there the far party is fetched as for any INVITE that takes another's place
//! (RFC 3891). From there on it is a transfer like any other. The way between shards is no socket, and what a half is told of the other
//! (a header that is left out wherever a message goes on) counts on that way alone: nobody outside can take the one or say the other.
//! Who comes by it leads nowhere but to a call that is here, so that nothing goes round in circles. Refuses to know: how a message gets
//! to another shard.

use super::call::{Call, Destination, Leg};
use super::refer::Wanted;
use super::replaces::Replaces;
use super::{B2bua, Effect, World};
use crate::profile::bare_number;
use alloc::format;
use alloc::string::String;
use decide::{AttemptPolicy, Facts, NoPlan, Plan};
use model::{AttemptOutcome, Begun, CallRef, ShardId, Span, TargetId, TrunkId};
use sip::{Draft, Flow, HeaderName, Message, Params, Uri};

/// What the halves tell each other by.
pub(super) const HALF: &str = "Between-Shards";
/// The other half as a target.
pub(super) const TARGET: TargetId = TargetId { trunk: TrunkId::BETWEEN_SHARDS, index: 0 };
/// A shard that has not even said 100 by then is not at work.
const FIRST_REPLY: Span = Span::from_secs(5);
/// The far party has 64·T1 for its answer, and may have to be asked again: 491 three times, of up to four seconds each.
const ANSWER: Span = Span::from_secs(60);

/// Where the target of a transfer is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sought {
    /// By the routes, or in a call of this shard.
    #[default]
    Here,
    /// In a call of another shard.
    There,
    /// By the routes after all: there is no such call, or it is not answered yet.
    Anew,
}

/// What one half says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Half {
    /// Its call.
    pub(super) call: CallRef,
    /// The trunk of whoever asked for the transfer.
    pub(super) asks: TrunkId,
    /// Its audio passes through the edge.
    pub(super) anchored: bool,
}

impl Half {
    pub(super) fn written(&self) -> String {
        let anchored = if self.anchored { ";anchored" } else { "" };
        format!("{};asks={}{anchored}", self.call, self.asks.0)
    }

    /// What a message of another shard says.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let value = message.named(HALF)?;
        let end = memchr::memchr(b';', value)?;
        let params = Params::of(&value[end + 1..]);
        let text = |bytes: &[u8]| core::str::from_utf8(bytes).ok().map(String::from);
        let call = text(&value[..end])?.parse().ok()?;
        let asks = TrunkId(text(params.get("asks")?)?.parse().ok()?);
        Some(Self { call, asks, anchored: params.get("anchored").is_some() })
    }
}

/// How long the other half is waited for.
pub(super) fn patience() -> AttemptPolicy {
    AttemptPolicy {
        first_reply: FIRST_REPLY,
        learned: None,
        progress: ANSWER,
        hunt: ANSWER,
        ..AttemptPolicy::default()
    }
}

impl Leg {
    /// It leads to the other half.
    pub(super) const fn is_between_shards(&self) -> bool {
        self.trunk.0 == TrunkId::BETWEEN_SHARDS.0
    }
}

impl Call {
    /// What the other half is told of this one.
    pub(super) fn half(&self, asks: TrunkId) -> Half {
        Half { call: self.call, asks, anchored: self.audio.anchored }
    }

    /// What whoever waits for the far party hears of its refusal. 481 would say to another shard that there was no such call.
    pub(super) const fn told_other_half(&self, code: u16) -> u16 {
        if code == 481 && self.caller.is_between_shards() { 480 } else { code }
    }

    /// The Replaces that an attempt's INVITE bears: one that names nothing of ours, or something of the shard it goes to.
    pub(super) fn names<'m>(&self, invite: &'m Message) -> Option<&'m [u8]> {
        let is_void = self.errand().is_some_and(|errand| errand.sought == Sought::Anew);
        invite.header(HeaderName::Replaces).filter(|_| !is_void)
    }

    /// It goes by this plan from now on.
    pub(super) fn follow(&mut self, plan: Result<Plan, NoPlan>) {
        self.coming = plan.as_ref().map(|plan| plan.attempts.iter().copied().collect()).unwrap_or_default();
        self.full = plan.as_ref().is_ok_and(|plan| plan.excluded.iter().any(|out| out.cause.is_for_now()));
        self.plan = plan;
    }
}

impl Wanted {
    /// The other shard that has the named call. A name that a trunk was told in a REFER has our tag on its other side.
    pub(super) fn shard(&self, world: &mut World<'_>) -> Option<ShardId> {
        let name = self.replaces.as_deref().and_then(Replaces::parse)?;
        let minter = world.endpoint.minter();
        minter.sibling(&name.to).or_else(|| minter.sibling(&name.from))
    }
}

impl B2bua {
    /// Calls the shard of the other call.
    pub(super) fn call_shard(&mut self, world: &mut World<'_>, slot: usize, shard: ShardId) {
        self.counters.transfers_apart += 1;
        let to = Destination::by(Flow::to_shard(shard));
        self.begin_attempt_to(world, slot, TARGET, to, Begun::InTurn, None);
    }

    /// Tells the other half of this one.
    pub(super) fn push_half(&self, slot: usize, target: TargetId, draft: &mut Draft) {
        let call = self.calls.get(slot).filter(|_| target == TARGET);
        if let (Some(call), Some((asks, _))) = (call, self.asks(slot)) {
            draft.headers.push(HALF, call.half(asks).written().as_bytes());
        }
    }

    /// The trunk of whoever asked for an errand.
    pub(super) fn asks(&self, slot: usize) -> Option<(TrunkId, Flow)> {
        let (of, stays) = self.calls.get(slot)?.errand()?.of?;
        self.calls.get(of)?.leg(stays.other()).map(|leg| (leg.trunk, leg.flow))
    }

    /// The other shard has answered: which call the far party is in there.
    pub(super) fn note_half(&mut self, slot: usize, answer: &Message) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        if call.errand().is_some_and(|errand| errand.sought == Sought::There) {
            call.plan = Err(NoPlan::Joined { other: Half::of(answer).map(|half| half.call) });
        }
    }

    /// The other shard will not. It knows no such answered call: then the target is called anew, as if the call had been here (a name that
    /// nobody knows may have been true a moment ago, and what rings has been left there). It says that the name is not the asker's to give:
    /// then he is told of as here.
    pub(super) fn shard_refused(&mut self, world: &mut World<'_>, slot: usize) -> bool {
        let said = |call: &Call| {
            let there = call.errand()?.sought == Sought::There;
            call.attempts.last()?.outcome.filter(|_| there)
        };
        match self.calls.get(slot).and_then(said) {
            Some(AttemptOutcome::Refused { code: 481, .. }) => self.call_anew(world, slot).is_some(),
            Some(AttemptOutcome::Refused { code: 403, .. }) => {
                if let Some((_, flow)) = self.asks(slot) {
                    self.counters.foreign_requests += 1;
                    world.out.push(Effect::Foreign(flow));
                }
                false
            }
            _ => false,
        }
    }

    /// The target is called by the routes of whoever asked.
    fn call_anew(&mut self, world: &mut World<'_>, slot: usize) -> Option<()> {
        let (from, _) = self.asks(slot)?;
        let call = self.calls.get(slot)?;
        let number = core::str::from_utf8(bare_number(&call.number)).ok().map(String::from)?;
        let facts = Facts { from, number: &number, emergency: call.emergency };
        let (toll, plan) = self.plan_of(world, &facts);
        self.count(slot, toll);
        let call = self.calls.get_mut(slot)?;
        let uri = call.invite.as_ref().map(|invite| invite.uri().to_vec())?;
        // What was asked of the other shard was no attempt at anybody.
        call.attempts.clear();
        (call.front, call.settled, call.hunt_from) = (0, false, world.now);
        call.follow(plan);
        let anchored = call.audio.anchored;
        call.coming.retain(|candidate| !anchored || world.profiles.media_of(candidate.target.trunk).is_some());
        if let Ok(uri) = Uri::parse(&uri) {
            call.find_phones(world, &uri);
        }
        call.errand_mut()?.sought = Sought::Anew;
        self.begin(world, slot);
        Some(())
    }
}
