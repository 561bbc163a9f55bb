//! Session timers of both legs, each for itself (RFC 4028): refreshed by UPDATE or re-INVITE, ended when nobody refreshes.
//!
//! A leg whose peer has crashed, or which we have forgotten, ends by this. Refuses to know: what is agreed how (`sip` does), descriptions.

use super::call::{Leg, Side};
use super::challenge::Again;
use super::{B2bua, Due, World, headers};
use alloc::boxed::Box;
use model::{Instant, Span, TrunkId};
use sip::{
    Answer, ClientKey, Failure, HeaderLines, Message, Method, Refresher, ServerKey, SessionPolicy, SessionTimer,
    TimerId, TooShort, knows, min_se,
};

/// Why a call ends that nobody refreshed.
const NOT_REFRESHED: &str = "the session was not refreshed";
/// When a refresh cannot be sent now, or was refused for now, it is tried again so much later.
const AGAIN: Span = Span::from_secs(5);

/// What keeps the session of a leg alive.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    /// What was agreed; none is a session without an end of its own.
    agreed: Option<SessionTimer>,
    /// Its last refresh.
    since: Instant,
    /// The shortest interval its way bears, as a 422 has told us.
    least: Span,
    /// A refresh of our own that waits for its answer.
    own: Option<Refresh>,
    timer: Option<TimerId>,
    /// The peer knows UPDATE; none when it has not said what it knows.
    pub(super) updates: Option<bool>,
}

/// A refresh of our own.
#[derive(Clone, Debug)]
struct Refresh {
    client: ClientKey,
    method: Method,
    cseq: u32,
    /// What it takes to answer a challenge.
    again: Box<Again>,
}

impl Keeping {
    /// A leg whose peer has sent this so far; `least` is what a 422 has told of its way.
    pub(super) fn of(message: &Message, now: Instant, least: Span) -> Self {
        Self { agreed: None, since: now, least, own: None, timer: None, updates: knows(message, Method::Update) }
    }

    /// A re-INVITE of ours is on its way.
    pub(super) fn invites(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.method == Method::Invite)
    }

    /// The refresh that waits for this answer is ours.
    pub(super) fn waits_for(&self, client: ClientKey) -> bool {
        self.own.as_ref().is_some_and(|own| own.client == client)
    }

    /// The shortest interval its way bears is longer than we knew (RFC 4028 §7.3). False when that is no news.
    pub(super) fn lengthen(&mut self, refusal: &Message) -> bool {
        let news = min_se(refusal).filter(|least| *least > self.least);
        self.least = news.unwrap_or(self.least);
        news.is_some()
    }

    /// It is over: what waits is named, to be forgotten.
    pub(super) fn end(&mut self) -> (Option<TimerId>, Option<ClientKey>) {
        (self.timer.take(), self.own.take().map(|own| own.client))
    }
}

/// What a trunk's sessions are to be like.
pub(super) fn policy_of(world: &World<'_>, trunk: TrunkId) -> Option<SessionPolicy> {
    world.profiles.trunk(trunk).and_then(|trunk| trunk.dialogs.session)
}

/// Headers of an INVITE of ours that begins a dialog.
pub(super) fn push_first(policy: Option<SessionPolicy>, least: Span, to: &mut HeaderLines) {
    if let Some(policy) = policy {
        to.push("Supported", b"timer");
        policy.push_request(None, least, to);
    }
}

/// Headers of an INVITE or UPDATE of ours inside a dialog.
pub(super) fn push_request(policy: Option<SessionPolicy>, leg: &Leg, to: &mut HeaderLines) {
    if let Some(policy) = policy {
        to.push("Supported", b"timer");
        policy.push_request(leg.keeping.agreed.as_ref(), leg.keeping.least, to);
    }
}

/// Refuses an INVITE or UPDATE whose session would be shorter than the trunk's may be (RFC 4028 §9). False when it is not.
pub(super) fn refuse_short(world: &mut World<'_>, trunk: TrunkId, server: ServerKey, message: &Message) -> bool {
    let Some(policy) = policy_of(world, trunk) else { return false };
    let Err(TooShort { min_se }) = SessionTimer::accept(&policy, message) else { return false };
    let mut answer = Answer::new(422);
    answer.headers.push("Min-SE", alloc::format!("{}", min_se.as_secs()).as_bytes());
    world.endpoint.respond(world.now, server, answer);
    true
}

impl B2bua {
    /// A request of this side is about to be answered 2xx: what that agrees on, in its headers and in the leg.
    pub(super) fn renew_by_answer(
        &mut self,
        world: &World<'_>,
        slot: usize,
        side: Side,
        server: ServerKey,
        to: &mut HeaderLines,
    ) {
        let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)) else { return };
        let (Some(policy), Some(request)) = (policy_of(world, leg.trunk), world.endpoint.request_of(server)) else {
            return;
        };
        leg.keeping.updates = knows(request, Method::Update).or(leg.keeping.updates);
        let agreed = SessionTimer::accept(&policy, request).ok().flatten();
        to.push("Supported", b"timer");
        if let Some(agreed) = agreed {
            agreed.push_answer(to);
        }
        self.keep(world.now, slot, side, agreed);
    }

    /// This side has answered 2xx: what that agrees on.
    pub(super) fn renew_by_response(&mut self, world: &World<'_>, slot: usize, side: Side, message: &Message) {
        let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)) else { return };
        leg.keeping.updates = knows(message, Method::Update).or(leg.keeping.updates);
        let Some(policy) = policy_of(world, leg.trunk) else { return };
        let held = leg.keeping.agreed;
        let asked = policy.asked(held.as_ref(), leg.keeping.least);
        // A refresher that gets no Session-Expires back goes on as before: the session must not outlive its peer.
        let ours = held.filter(|held| held.refresher == Refresher::Us);
        let agreed = SessionTimer::settle(&policy, asked, message).or(ours);
        self.keep(world.now, slot, side, agreed);
    }

    /// The leg was refreshed now.
    fn keep(&mut self, now: Instant, slot: usize, side: Side, agreed: Option<SessionTimer>) {
        let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)) else { return };
        leg.keeping.agreed = agreed;
        leg.keeping.since = now;
        self.keep_on(slot, side);
    }

    /// The leg goes on as was agreed with its last refresh; in another call, perhaps.
    pub(super) fn keep_on(&mut self, slot: usize, side: Side) {
        let Some(leg) = self.calls.get(slot).and_then(|call| call.leg(side)) else { return };
        let after = leg.keeping.agreed.map(|agreed| match agreed.refresher {
            Refresher::Us => agreed.refresh_after(),
            Refresher::Them => agreed.lapse_after(),
        });
        let at = after.map(|after| leg.keeping.since + after);
        self.arm_keeping(slot, side, at);
    }

    fn arm_keeping(&mut self, slot: usize, side: Side, at: Option<Instant>) {
        let timer = at.and_then(|at| self.set_timer(slot, 0, at, Due::Keep(side)));
        let leg = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side));
        let old = leg.and_then(|leg| core::mem::replace(&mut leg.keeping.timer, timer));
        self.cancel_timer(old);
    }

    /// A leg is to be refreshed by us, or was not by its peer (RFC 4028 §10).
    pub(super) fn keeping_due(&mut self, world: &mut World<'_>, slot: usize, side: Side) {
        let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)) else { return };
        leg.keeping.timer = None;
        let Some(agreed) = leg.keeping.agreed else { return };
        if agreed.refresher == Refresher::Them || world.now >= leg.keeping.since + agreed.lapse_after() {
            self.counters.not_refreshed += 1;
            return self.end_both(world, slot, NOT_REFRESHED);
        }
        self.refresh(world, slot, side);
    }

    /// Refreshes a leg: by UPDATE without a description, or by a re-INVITE with the one it has, unchanged (RFC 4028 §7.4).
    fn refresh(&mut self, world: &mut World<'_>, slot: usize, side: Side) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let busy = call.exchange.is_some() || call.offer_is_open();
        let Some(leg) = call.leg_mut(side) else { return };
        let method = match leg.keeping.updates {
            Some(true) => Method::Update,
            // Without a description of ours there is nothing to offer again.
            _ if leg.shown.is_empty() => Method::Update,
            _ => Method::Invite,
        };
        let policy = policy_of(world, leg.trunk);
        let sent_by = world.endpoint.sent_by(leg.flow.socket);
        let waits = leg.keeping.own.is_some() || (method == Method::Invite && (busy || leg.acking.is_some()));
        let (Some(sent_by), false) = (sent_by, waits) else { return self.refresh_later(world, slot, side, AGAIN) };
        let mut draft = leg.dialog.request(method);
        headers::push_contact(&mut draft.headers, &sent_by);
        draft.headers.push("Allow", headers::ALLOW);
        // A reload may have taken the trunk away: what was agreed with it holds.
        push_request(Some(policy.unwrap_or_default()), leg, &mut draft.headers);
        if method == Method::Invite {
            draft.headers.push("Content-Type", b"application/sdp");
            draft.body.clone_from(&leg.shown);
        }
        let cseq = leg.dialog.local_seq;
        let (to, timers) = (leg.way(), world.timers_of(leg.trunk));
        let mut again = Box::new(Again::new(Some(leg.trunk), draft, to, timers));
        if let Some(client) = again.send(world) {
            leg.keeping.own = Some(Refresh { client, method, cseq, again });
            self.counters.refreshed += 1;
            self.by_client.insert(client, slot);
        }
        self.refresh_later(world, slot, side, AGAIN);
    }

    /// Looks at the leg again then, or when its session has lapsed.
    fn refresh_later(&mut self, world: &World<'_>, slot: usize, side: Side, after: Span) {
        let Some(leg) = self.calls.get(slot).and_then(|call| call.leg(side)) else { return };
        let Some(agreed) = leg.keeping.agreed else { return };
        let lapse = leg.keeping.since + agreed.lapse_after();
        self.arm_keeping(slot, side, Some(lapse.min(world.now + after)));
    }

    /// The answer to a refresh of ours.
    pub(super) fn refreshed(&mut self, world: &mut World<'_>, slot: usize, client: ClientKey, message: &Message) {
        let code = message.status().unwrap_or(0);
        if code < 200 {
            return;
        }
        let Some((side, own)) = self.take_refresh(slot, client) else { return };
        let Some(own) = self.refresh_signed(world, slot, side, own, message) else { return };
        match code {
            200..300 => self.refresh_accepted(world, slot, side, own, message),
            // RFC 3261 §12.2.1.2: the dialog is gone on the far side.
            408 | 481 => self.end_both(world, slot, "the far side no longer knows the call"),
            405 | 501 if own.method == Method::Update => {
                if let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)) {
                    leg.keeping.updates = Some(false);
                }
                self.refresh(world, slot, side);
            }
            422 => {
                let leg = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side));
                if leg.is_some_and(|leg| leg.keeping.lengthen(message)) {
                    self.refresh(world, slot, side);
                } else {
                    self.refresh_later(world, slot, side, AGAIN);
                }
            }
            491 => {
                let pause = super::glare::pause(world.rng, side);
                self.refresh_later(world, slot, side, pause);
            }
            _ => self.refresh_later(world, slot, side, AGAIN),
        }
    }

    /// A challenge to a refresh is answered, or the session would lapse by it; what is left of it when it was none.
    fn refresh_signed(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        side: Side,
        mut own: Refresh,
        message: &Message,
    ) -> Option<Refresh> {
        let leg = self.calls.get_mut(slot)?.leg_mut(side)?;
        let Some(client) = own.again.answer(world, &mut leg.dialog, message) else { return Some(own) };
        let cseq = leg.dialog.local_seq;
        leg.keeping.own = Some(Refresh { client, cseq, ..own });
        self.by_client.insert(client, slot);
        None
    }

    fn refresh_accepted(&mut self, world: &mut World<'_>, slot: usize, side: Side, own: Refresh, message: &Message) {
        if let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)) {
            leg.dialog.refresh_target(message);
            if own.method == Method::Invite {
                leg.signed.clone_from(&own.again.signed);
                let ack = leg.ack(own.cseq);
                world.endpoint.ack(world.now, own.client, leg.way(), ack);
            }
        }
        if own.method == Method::Invite {
            self.bridge_aside(world, slot, side, message);
        }
        self.renew_by_response(world, slot, side, message);
    }

    /// A refresh of ours got no answer: no reply at all ends the call (RFC 4028 §10); what the network says may pass.
    pub(super) fn refresh_failed(&mut self, world: &mut World<'_>, slot: usize, client: ClientKey, why: Failure) {
        let Some((side, _)) = self.take_refresh(slot, client) else { return };
        match why {
            Failure::NoReply => self.end_both(world, slot, NOT_REFRESHED),
            Failure::Unreachable(_) => self.refresh_later(world, slot, side, AGAIN),
        }
    }

    fn take_refresh(&mut self, slot: usize, client: ClientKey) -> Option<(Side, Refresh)> {
        self.by_client.remove(&client);
        let call = self.calls.get_mut(slot)?;
        [Side::Caller, Side::Callee].into_iter().find_map(|side| {
            let own = call.leg_mut(side)?.keeping.own.take_if(|own| own.client == client)?;
            Some((side, own))
        })
    }
}
