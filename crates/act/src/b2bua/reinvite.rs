//! Re-INVITE either way: hold, resume, a new address. Offered to the other leg, answered as it answers.
//!
//! One exchange at a time: whoever comes while one runs gets 491, or 500 when it is the same side (RFC 3261 §14.1, §14.2). A failure leaves
//! the session as it was, unless it says that the dialog is gone. Refuses to know: what the descriptions say.

use super::call::{Exchange, Leg, Side};
use super::challenge::Again;
use super::{B2bua, World, body, headers, session};
use crate::interworking::Crossing;
use alloc::boxed::Box;
use alloc::vec::Vec;
use model::Span;
use sip::{Answer, Draft, Flow, Message, Method, ServerKey, TimerSet};

impl B2bua {
    /// A re-INVITE of one side.
    pub(super) fn reinvite(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        side: Side,
        server: ServerKey,
        message: &Message,
    ) {
        let Some(call) = self.calls.get(slot) else { return };
        let near = call.leg(side).map_or(call.caller.trunk, |leg| leg.trunk);
        if session::refuse_short(world, near, server, message) {
            return;
        }
        let busy = call.exchange.as_ref().map(|exchange| exchange.from);
        // An answer that still waits for its ACK is an INVITE in progress too (§14.1).
        let waits = |leg: Option<&Leg>| leg.is_none_or(|leg| leg.acking.is_some() || leg.keeping.invites());
        let unfinished = waits(Some(&call.caller)) || waits(call.callee.as_ref()) || call.offer_is_open();
        match busy {
            Some(from) if from == side => return world.refuse_for_now(server, 500),
            Some(_) => {
                self.counters.glare += 1;
                return world.refuse(server, 491);
            }
            None if unfinished => {
                self.counters.glare += 1;
                return world.refuse(server, 491);
            }
            None => {}
        }
        let body = match self.bridge_offer(world, slot, side, message) {
            Ok(body) => body,
            Err(code) => return world.refuse(server, code),
        };
        let Some((draft, to, timers)) = self.draft_for(world, slot, side.other(), Method::Invite, message, body) else {
            return world.refuse(server, 500);
        };
        let trunk = self.calls.get(slot).and_then(|call| call.leg(side.other())).map(|leg| leg.trunk);
        let mut again = Again::new(trunk, draft, to, timers);
        let Some(client) = again.send(world) else { return world.refuse_for_now(server, 500) };
        let again = again.can_be_signed(world).then(|| Box::new(again));
        let Some(call) = self.calls.get_mut(slot) else { return };
        let cseq = call.leg(side.other()).map_or(0, |leg| leg.dialog.local_seq);
        if let Some(leg) = call.leg_mut(side) {
            leg.dialog.refresh_target(message);
        }
        call.exchange = Some(Exchange {
            from: side,
            server,
            client,
            asked_seq: message.cseq().number,
            cseq,
            late: body::description(message).is_none(),
            answered: false,
            again,
            update: message.method() == Method::Update,
            tries: 1,
            retry: None,
        });
        self.by_client.insert(client, slot);
        self.by_server.insert(server, slot);
    }

    /// A request inside the dialog of `towards`, with what passes of `message`.
    pub(super) fn draft_for(
        &mut self,
        world: &World<'_>,
        slot: usize,
        towards: Side,
        method: Method,
        message: &Message,
        body: Vec<u8>,
    ) -> Option<(Draft, Flow, TimerSet)> {
        let call = self.calls.get_mut(slot)?;
        let crossing = call.crossing(world.profiles, towards.other());
        let up = call.callee.is_some();
        draft_in(world, call.leg_mut(towards)?, (method, up), message, &crossing, body)
    }

    /// The far side answers a re-INVITE.
    pub(super) fn exchange_response(&mut self, world: &mut World<'_>, slot: usize, code: u16, message: &Message) {
        if code < 200 {
            // 100 was sent already, and a provisional answer to a re-INVITE says nothing new.
            return;
        }
        let Some(call) = self.calls.get(slot) else { return };
        let Some(exchange) = call.exchange.clone() else { return };
        let crossing = call.crossing(world.profiles, exchange.from.other());
        let towards = exchange.from.other();
        if code >= 300 {
            self.withdraw_offer(slot, towards);
            if self.may_offer_again(world, slot, towards, message) {
                return;
            }
            self.close_exchange(slot);
            let mut answer = self.refusal(world, slot, towards, (code, 488), message);
            headers::pass(message, &crossing, None, &mut answer.headers);
            world.endpoint.respond(world.now, exchange.server, answer);
            // RFC 3261 §12.2.1.2: the dialog is gone on the far side.
            if matches!(code, 408 | 481) {
                self.end_both(world, slot, "the far side no longer knows the call");
            }
            return;
        }
        self.accept_offer(world, slot);
        let body = self.bridge(world, slot, towards, message).unwrap_or_default();
        let Some(call) = self.calls.get_mut(slot) else { return };
        if let Some(leg) = call.leg_mut(towards) {
            leg.dialog.refresh_target(message);
            leg.signed = match (exchange.again.as_ref(), world.endpoint.request_of(exchange.server)) {
                (Some(again), _) => again.signed.clone(),
                (None, Some(request)) => world.carried(leg.trunk, request),
                (None, None) => Vec::new(),
            };
            if !exchange.late {
                let ack = leg.ack(exchange.cseq);
                world.endpoint.ack(world.now, exchange.client, leg.way(), ack);
            }
        }
        if let Some(exchange) = call.exchange.as_mut() {
            exchange.answered = true;
        }
        let Some(leg) = call.leg_mut(exchange.from) else { return };
        if !exchange.update {
            leg.acking = Some((exchange.server, exchange.asked_seq));
        }
        let mut answer = Answer::new(code);
        headers::pass(message, &crossing, None, &mut answer.headers);
        if let Some(sent_by) = world.endpoint.sent_by(leg.flow.socket) {
            headers::push_contact(&mut answer.headers, &sent_by);
        }
        if !body.is_empty() {
            headers::push_body_type(message, &mut answer.headers);
            answer.body = body;
        }
        self.renew_by_response(world, slot, towards, message);
        self.renew_by_answer(world, slot, exchange.from, exchange.server, &mut answer.headers);
        world.endpoint.respond(world.now, exchange.server, answer);
        if exchange.update {
            // An UPDATE has no ACK to wait for.
            self.close_exchange(slot);
        }
    }

    /// A refusal of one side for the other: a challenge is passed when the trunk's are, and is `otherwise` this code.
    pub(super) fn refusal(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        towards: Side,
        (code, otherwise): (u16, u16),
        message: &Message,
    ) -> Answer {
        if !matches!(code, 401 | 407) {
            return Answer::new(code);
        }
        let trunk = self.calls.get(slot).and_then(|call| call.leg(towards)).map(|leg| leg.trunk);
        if !trunk.is_some_and(|trunk| world.passes_challenge(trunk, message)) {
            return Answer::new(otherwise);
        }
        self.counters.challenges_passed += 1;
        let mut answer = Answer::new(code);
        super::challenge::push_challenges(message, &mut answer.headers);
        answer
    }

    /// 491: the other leg has an exchange of its own (RFC 3261 §14.1). 422: its way bears longer sessions only (RFC 4028 §7.3).
    fn may_offer_again(&mut self, world: &mut World<'_>, slot: usize, towards: Side, message: &Message) -> bool {
        match message.status() {
            Some(491) => {
                let pause = super::glare::pause(world.rng, towards);
                self.offer_later(world, slot, pause)
            }
            Some(422) => {
                let leg = self.calls.get_mut(slot).and_then(|call| call.leg_mut(towards));
                leg.is_some_and(|leg| leg.keeping.lengthen(message)) && self.offer_later(world, slot, Span::ZERO)
            }
            _ => false,
        }
    }

    /// The exchange is over without an answer.
    pub(super) fn close_exchange(&mut self, slot: usize) {
        if let Some(exchange) = self.calls.get_mut(slot).and_then(|call| call.exchange.take()) {
            self.by_client.remove(&exchange.client);
            self.by_server.remove(&exchange.server);
            self.cancel_timer(exchange.retry);
        }
    }
}

/// A request inside the dialog of a leg, which is `up` or early, with what passes of `message`.
pub(super) fn draft_in(
    world: &World<'_>,
    leg: &mut Leg,
    (method, up): (Method, bool),
    message: &Message,
    crossing: &Crossing<'_>,
    body: Vec<u8>,
) -> Option<(Draft, Flow, TimerSet)> {
    let mut draft = leg.dialog.request(method);
    draft.max_forwards = message.max_forwards().map_or(70, |hops| hops.saturating_sub(1));
    let sent_by = world.endpoint.sent_by(leg.flow.socket)?;
    if headers::says_where(method) {
        headers::push_contact(&mut draft.headers, &sent_by);
    }
    if matches!(method, Method::Invite | Method::Update) {
        draft.headers.push("Allow", headers::ALLOW);
        if up {
            session::push_request(session::policy_of(world, leg.trunk), leg, &mut draft.headers);
        }
    }
    headers::pass(message, crossing, None, &mut draft.headers);
    world.carried(leg.trunk, message).iter().for_each(|line| draft.headers.push_raw(line));
    headers::push_referred_by(&mut draft.headers, message, crossing, &sent_by);
    if !body.is_empty() {
        headers::push_body_type(message, &mut draft.headers);
        draft.body = body;
    }
    Some((draft, leg.way(), world.timers_of(leg.trunk)))
}
