//! Ends: BYE of one side, CANCEL, a call that is too old; and what is given back afterwards.
//!
//! The side that leaves is answered at once; the other is told by BYE. The call is over here and now: what is left of it are transactions,
//! which end by their own timers. Refuses to know: why anyone hangs up.

use super::call::{Call, Side};
use super::challenge::Again;
use super::ended::{EndedAttempt, EndedCall, Ending};
use super::{B2bua, Effect, World, between, headers, reason};
use alloc::boxed::Box;
use media::AnchorCounters;
use sip::{Answer, HeaderName, Message, Method, ServerKey};

impl B2bua {
    /// A BYE.
    pub(super) fn bye(&mut self, world: &mut World<'_>, slot: usize, side: Side, server: ServerKey, message: &Message) {
        world.endpoint.respond(world.now, server, Answer::new(200));
        if self.calls.get(slot).is_some_and(|call| call.callee.is_none()) {
            // A caller may end an early dialog by BYE (RFC 3261 §15); its INVITE is owed a final answer all the same.
            let why = message.header(HeaderName::Reason).map(<[u8]>::to_vec);
            return self.abandon(world, slot, why.as_deref());
        }
        self.drop_pending(world, slot);
        self.send_bye(world, slot, side.other(), Some(message), None);
        self.finish(world, slot, Ending::Bye(side));
    }

    /// The caller's CANCEL, or that of a re-INVITE.
    pub(super) fn cancelled(&mut self, world: &mut World<'_>, server: ServerKey, why: Option<&[u8]>) {
        let Some(slot) = self.by_server.get(&server).copied() else { return world.refuse(server, 487) };
        let Some(call) = self.calls.get(slot) else { return };
        if call.server == Some(server) {
            return self.abandon(world, slot, why);
        }
        if call.reliable.holds() && call.caller.acking.is_some_and(|(held, _)| held == server) {
            return self.give_up_held(world, slot);
        }
        // A re-INVITE: its own final answer, most likely 487, is passed back when it comes.
        if let Some(exchange) = call.exchange.as_ref().filter(|exchange| exchange.server == server) {
            if exchange.retry.is_some() {
                self.close_exchange(slot);
                return world.refuse(server, 487);
            }
            let passes = call.crossing(world.profiles, exchange.from).passes_reason();
            world.endpoint.cancel(world.now, exchange.client, why.filter(|_| passes));
        }
    }

    /// The caller has given up before an answer. His own reason goes on: who learns that the call was taken elsewhere shows no missed one.
    pub(super) fn abandon(&mut self, world: &mut World<'_>, slot: usize, why: Option<&[u8]>) {
        let ours = reason(487, "the caller gave up");
        let why = why.unwrap_or(&ours);
        self.abandon_attempts(world, slot, why);
        let Some(call) = self.calls.get_mut(slot) else { return };
        if let Some(server) = call.server.take() {
            let mut answer = Answer::new(487);
            answer.to_tag = Some(call.caller.dialog.local_tag.clone());
            self.by_server.remove(&server);
            world.endpoint.respond(world.now, server, answer);
        }
        if self.is_fetching(slot) {
            return;
        }
        self.drop_bond(world, slot);
        self.finish(world, slot, Ending::Cancelled);
    }

    /// The edge ends the call towards both sides.
    pub(super) fn end_both(&mut self, world: &mut World<'_>, slot: usize, why: &'static str) {
        self.drop_pending(world, slot);
        for side in [Side::Caller, Side::Callee] {
            self.send_bye(world, slot, side, None, Some(why));
        }
        self.finish(world, slot, Ending::Ended(why));
    }

    /// Requests under way between the legs are answered, since nobody else will.
    pub(super) fn drop_pending(&mut self, world: &mut World<'_>, slot: usize) {
        self.drop_bond(world, slot);
        let Some(call) = self.calls.get_mut(slot) else { return };
        let relayed = core::mem::take(&mut call.relayed);
        let owed = call.owes_ack.take();
        if let Some((client, cseq)) = owed
            && let Some(leg) = call.callee.as_ref()
        {
            // The callee's 200 must be acknowledged before it is ended.
            world.endpoint.ack(world.now, client, leg.way(), leg.ack(cseq));
        }
        let exchange = call.exchange.clone();
        for relayed in relayed {
            self.by_client.remove(&relayed.client);
            world.refuse(relayed.server, 481);
        }
        if let Some(exchange) = exchange {
            if !exchange.answered {
                world.endpoint.cancel(world.now, exchange.client, None);
                world.refuse(exchange.server, 487);
            } else if exchange.late
                && let Some(leg) = self.calls.get(slot).and_then(|call| call.leg(exchange.from.other()))
            {
                let (to, ack) = (leg.way(), leg.ack(exchange.cseq));
                world.endpoint.ack(world.now, exchange.client, to, ack);
            }
            self.close_exchange(slot);
        }
    }

    pub(super) fn send_bye(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        side: Side,
        because: Option<&Message>,
        why: Option<&str>,
    ) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let crossing = call.crossing(world.profiles, side.other());
        if side == Side::Caller && call.reliable.holds() {
            // Nobody ends an early dialog by BYE but who began it (RFC 3261 §15); its INVITE is refused by `finish`.
            return;
        }
        let Some(leg) = call.leg_mut(side) else { return };
        // A transferor may have left before.
        if leg.gone {
            return;
        }
        let mut draft = leg.dialog.request(Method::Bye);
        if let Some(because) = because {
            headers::pass(because, &crossing, None, &mut draft.headers);
            world.carried(leg.trunk, because).iter().for_each(|line| draft.headers.push_raw(line));
        }
        if let Some(why) = why.filter(|_| crossing.passes_reason()) {
            draft.headers.push("Reason", &reason(480, why));
        }
        let (to, timers, dialog) = (leg.way(), world.timers_of(leg.trunk), leg.dialog.clone());
        let (trunk, target) = (leg.trunk, world.target_at(leg.trunk, to));
        self.last_word(world, dialog, Again::new(Some(trunk), draft, to, timers), target);
    }

    /// What early dialogs and refreshes have left behind.
    fn forget_early(&mut self, world: &mut World<'_>, call: &mut Call) {
        for face in call.faces.drain(..) {
            self.by_tag.remove(&face.tag);
        }
        if let Some(server) = call.reliable.take_held() {
            world.refuse(server, 487);
        }
        for relayed in call.relayed.drain(..) {
            self.by_client.remove(&relayed.client);
            world.refuse(relayed.server, 481);
        }
        for leg in [Some(&mut call.caller), call.callee.as_mut()].into_iter().flatten() {
            let (timer, client) = leg.keeping.end();
            self.cancel_timer(timer);
            if let Some(client) = client {
                self.by_client.remove(&client);
            }
        }
    }

    /// Gives everything back and tells of the call.
    pub(super) fn finish(&mut self, world: &mut World<'_>, slot: usize, ending: Ending) {
        self.hear_out(world, slot);
        let Some(mut call) = self.calls.try_remove(slot) else { return };
        self.setting_up.remove(&slot);
        self.give_back();
        self.cancel_timer(call.session_timer);
        self.by_tag.remove(&call.caller.dialog.local_tag);
        self.forget_early(world, &mut call);
        if let Some(leg) = &call.callee {
            self.by_tag.remove(&leg.dialog.local_tag);
            world.load.end(leg.trunk);
        }
        world.load.end(call.caller.trunk);
        call.tolls.iter().for_each(|counted| self.tolls.end(*counted));
        for leg in call.callee.iter().chain([&call.caller]) {
            if let Some((server, _)) = leg.acking {
                self.by_server.remove(&server);
                // Its 2xx need not be repeated any more: the BYE says all.
                world.endpoint.confirm(world.now, server);
            }
        }
        let mut media: Option<AnchorCounters> = call.audio.counted;
        for stream in call.audio.streams.iter().flatten() {
            let counted = world.relay.release(stream.caller.0);
            world.ports.release(world.now, stream.caller.0);
            world.ports.release(world.now, stream.callee.0);
            // The first stream is the audio.
            media.get_or_insert(counted);
        }
        // To ask another shard is no attempt at anybody: what came of it is told of as the plan.
        let sent = call.attempts.iter().filter(|attempt| attempt.target != between::TARGET);
        let attempts = sent.filter_map(|attempt| Some(attempt.ended(attempt.outcome?)));
        let attempts: alloc::vec::Vec<EndedAttempt> = attempts.collect();
        world.out.push(Effect::Ended(Box::new(EndedCall {
            call: call.call,
            call_id: call.caller.dialog.call_id,
            from: call.caller.trunk,
            caller: call.caller_number,
            called: call.called,
            invited: call.invited,
            progressed: call.progressed,
            answered: call.answered,
            ended: world.now,
            plan: call.plan,
            attempts,
            ending,
            media,
            notes: call.listening.notes,
            drilled: call.drilled,
        })));
    }
}
