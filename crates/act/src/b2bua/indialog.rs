//! Requests inside a dialog: which call they belong to, whether they are in order, and where they go.
//!
//! INFO, UPDATE, MESSAGE, SUBSCRIBE and NOTIFY are passed to the other leg and answered as it answers, but for digits that are told it
//! otherwise; OPTIONS asks about us and is answered here; REFER is acted on. Refuses to know: what is in them, but for an SDP that must be bridged.

use super::call::{Relayed, Side};
use super::challenge::Again;
use super::notify::status_line;
use super::{ALLOW, B2bua, Effect, World, body, headers, party};
use alloc::boxed::Box;
use sip::{Answer, ClientKey, Failure, Flow, HeaderName, Message, Method, ServerKey};

/// Requests of one call under way at once.
const RELAYED_MAX: usize = 8;

impl B2bua {
    /// The call and side an in-dialog request belongs to.
    pub(super) fn leg_of(&self, message: &Message) -> Option<(usize, Side)> {
        let (slot, side) = self.by_tag.get(message.to().tag()?).copied()?;
        let call = self.calls.get(slot)?;
        let known = match (side, call.leg(side)) {
            (Side::Caller, Some(leg)) => leg.dialog.matches(message) || call.has_face_for(message),
            (Side::Callee, Some(leg)) => leg.dialog.matches(message),
            // An attempt's early dialogs are looked at one by one.
            (_, None) => true,
        };
        known.then_some((slot, side))
    }

    /// A request with a To tag.
    pub(super) fn request_in_dialog(
        &mut self,
        world: &mut World<'_>,
        server: ServerKey,
        flow: Flow,
        message: &Message,
    ) {
        let Some((slot, side)) = self.leg_of(message) else {
            return self.request_unknown(world, server, flow, message);
        };
        let Some(call) = self.calls.get_mut(slot) else { return world.refuse(server, 481) };
        let early = side == Side::Caller && call.has_face_for(message);
        let Some(leg) = call.leg_mut(side) else {
            return self.request_of_callee_early(world, slot, server, flow, message);
        };
        if !party::is_party(world, leg, flow) {
            // The very answer of an unknown dialog: it says nothing about the call.
            self.counters.foreign_requests += 1;
            world.out.push(Effect::Foreign(flow));
            return world.refuse(server, 481);
        }
        // What belongs to one of several early dialogs has a row of numbers of its own.
        let in_order = if early {
            call.face_accepts(message)
        } else {
            call.leg_mut(side).is_some_and(|leg| leg.dialog.accepts(message).is_ok())
        };
        if !in_order {
            // 12.2.2: a request older than one already served.
            return world.refuse(server, 500);
        }
        // A peer whose NAT gave it another port is still the peer: its dialog proves it.
        if let Some(leg) = call.leg_mut(side) {
            // A phone that has moved is reached where it is now, be it by another socket.
            leg.flow = if leg.by.user().is_some() { flow } else { Flow { peer: flow.peer, ..leg.flow } };
        }
        if self.request_in_transfer(world, slot, side, server, message) {
            return;
        }
        match message.method() {
            Method::Refer => self.refer(world, slot, side, server, message),
            Method::Bye => self.bye(world, slot, side, server, message),
            Method::Invite => self.reinvite(world, slot, side, server, message),
            Method::Options => {
                let mut answer = Answer::new(200);
                answer.headers.push("Allow", ALLOW);
                world.endpoint.respond(world.now, server, answer);
            }
            Method::Prack if side == Side::Caller => self.prack(world, slot, server, message),
            Method::Prack => world.refuse(server, 481),
            Method::Update => self.update(world, slot, side, server, message),
            Method::Info => self.info(world, slot, side, server, message),
            Method::Message => self.relay_request(world, slot, side, server, message),
            Method::Subscribe | Method::Notify if names_dialogs(message) => world.refuse(server, 489),
            Method::Subscribe | Method::Notify => self.relay_request(world, slot, side, server, message),
            _ => {
                let mut answer = Answer::new(405);
                answer.headers.push("Allow", ALLOW);
                world.endpoint.respond(world.now, server, answer);
            }
        }
    }

    /// UPDATE (RFC 3311): passed on to who knows the method. To who does not, an offer goes as a re-INVITE; what offers nothing concerns
    /// this leg alone, and is answered here.
    fn update(&mut self, world: &mut World<'_>, slot: usize, side: Side, server: ServerKey, message: &Message) {
        let Some(call) = self.calls.get(slot) else { return };
        let Some(far) = call.leg(side.other()) else { return self.update_early(world, slot, side, server, message) };
        let (far, near) = (far.keeping.updates, call.leg(side).map_or(call.caller.trunk, |leg| leg.trunk));
        if super::session::refuse_short(world, near, server, message) {
            return;
        }
        if let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)) {
            leg.dialog.refresh_target(message);
        }
        match (far, body::description(message).is_some()) {
            (Some(false), true) => self.reinvite(world, slot, side, server, message),
            (Some(false), false) => self.update_here(world, slot, side, server),
            _ => self.relay_request(world, slot, side, server, message),
        }
    }

    /// The far side does not know UPDATE after all. False before the answer, when there is no other way.
    fn update_otherwise(&mut self, world: &mut World<'_>, slot: usize, relayed: &Relayed) -> bool {
        let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(relayed.from.other())) else {
            return false;
        };
        leg.keeping.updates = Some(false);
        let Some(request) = world.endpoint.request_of(relayed.server).cloned() else { return false };
        self.update(world, slot, relayed.from, relayed.server, &request);
        true
    }

    pub(super) fn relay_request(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        side: Side,
        server: ServerKey,
        message: &Message,
    ) {
        let Some(call) = self.calls.get(slot) else { return };
        if call.callee.is_none() || call.relayed.len() >= RELAYED_MAX {
            return world.refuse_for_now(server, 500);
        }
        // RFC 3311 §5.2: an offer while another one is open is glare.
        let offers = message.method() == Method::Update && body::description(message).is_some();
        if offers && (call.exchange.is_some() || call.offer_is_open()) {
            self.counters.glare += 1;
            return world.refuse(server, 491);
        }
        let body = match message.content_type() {
            _ if offers => self.bridge_offer(world, slot, side, message),
            Some(kind) if is_fragment(kind) => Ok(status_line(message.body())),
            _ => Ok(message.body().to_vec()),
        };
        let body = match body {
            Ok(body) => body,
            Err(code) => return world.refuse(server, code),
        };
        let drafted = self.draft_for(world, slot, side.other(), message.method(), message, body);
        let refer_to = self.refer_to(world, slot, side, message);
        let trunk = self.calls.get(slot).and_then(|call| call.leg(side.other())).map(|leg| leg.trunk);
        let mut again = drafted.map(|(mut draft, to, timers)| {
            if let Some(refer_to) = refer_to {
                draft.headers.push("Refer-To", &refer_to);
            }
            Again::new(trunk, draft, to, timers)
        });
        let sent = again.as_mut().and_then(|again| again.send(world));
        let again = again.filter(|again| again.can_be_signed(world)).map(Box::new);
        let (Some(client), Some(call)) = (sent, self.calls.get_mut(slot)) else {
            return world.refuse_for_now(server, 500);
        };
        if let Some(leg) = call.leg_mut(side) {
            leg.dialog.refresh_target(message);
        }
        call.relayed.push(Relayed { from: side, offers, server, client, again, early: None });
        self.by_client.insert(client, slot);
    }

    /// The far side answers a request that was passed on.
    pub(super) fn relayed_response(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        client: ClientKey,
        code: u16,
        message: &Message,
    ) {
        if code < 200 {
            return;
        }
        let Some(relayed) = self.take_relayed(slot, client) else { return };
        let towards = relayed.from.other();
        if relayed.offers && code >= 300 {
            self.withdraw_offer(slot, towards);
        }
        if message.method() == Method::Update
            && matches!(code, 405 | 501)
            && self.update_otherwise(world, slot, &relayed)
        {
            return;
        }
        let body = if relayed.offers && code < 300 {
            self.accept_offer(world, slot);
            self.bridge(world, slot, towards, message).unwrap_or_default()
        } else {
            message.body().to_vec()
        };
        let mut answer = self.refusal(world, slot, towards, (code, 403), message);
        if let Some(call) = self.calls.get(slot) {
            headers::pass(message, &call.crossing(world.profiles, towards), None, &mut answer.headers);
        }
        if headers::says_where(message.method())
            && let Some(call) = self.calls.get_mut(slot)
        {
            if let Some(leg) = call.leg_mut(towards) {
                leg.dialog.refresh_target(message);
            }
            // RFC 3311 §5.2, RFC 6665 §4.1.2.1: a 2xx says where we are.
            let sent_by = call.leg(relayed.from).and_then(|leg| world.endpoint.sent_by(leg.flow.socket));
            if let Some(sent_by) = sent_by {
                headers::push_contact(&mut answer.headers, &sent_by);
            }
            if code < 300 && self.calls.get(slot).is_some_and(|call| call.callee.is_some()) {
                self.renew_by_response(world, slot, towards, message);
                self.renew_by_answer(world, slot, relayed.from, relayed.server, &mut answer.headers);
            }
        }
        if !body.is_empty() {
            headers::push_body_type(message, &mut answer.headers);
            answer.body = body;
        }
        world.endpoint.respond(world.now, relayed.server, answer);
        if matches!(code, 408 | 481) && self.calls.get(slot).is_some_and(|call| call.callee.is_some()) {
            // RFC 3261 §12.2.1.2, RFC 5057 §5.1: the dialog is gone on the far side, and the call with it.
            return self.end_both(world, slot, "the far side no longer knows the call");
        }
        self.tell_more(world, slot);
    }

    /// A request that was passed on, or a re-INVITE, ended without an answer. What the network refuses may get through next time; whoever
    /// says nothing at all is gone (RFC 3261 §12.2.1.2).
    pub(super) fn relay_failed(&mut self, world: &mut World<'_>, slot: usize, client: ClientKey, why: Failure) {
        if let Some(relayed) = self.take_relayed(slot, client) {
            if relayed.offers {
                self.withdraw_offer(slot, relayed.from.other());
            }
            world.refuse(relayed.server, 504);
            if why == Failure::NoReply && self.calls.get(slot).is_some_and(|call| call.callee.is_some()) {
                return self.end_both(world, slot, "the far side does not answer any more");
            }
            return self.tell_more(world, slot);
        }
        let Some(exchange) = self.calls.get(slot).and_then(|call| call.exchange.clone()) else { return };
        if exchange.client == client {
            self.close_exchange(slot);
            world.refuse(exchange.server, 408);
            // RFC 3261 §12.2.1.2: no answer at all counts as 408, and a 408 ends the dialog.
            self.end_both(world, slot, "the far side does not answer any more");
        }
    }

    fn take_relayed(&mut self, slot: usize, client: ClientKey) -> Option<Relayed> {
        let call = self.calls.get_mut(slot)?;
        let index = call.relayed.iter().position(|relayed| relayed.client == client)?;
        self.by_client.remove(&client);
        Some(call.relayed.swap_remove(index))
    }
}

/// A package whose bodies name dialogs by Call-ID and tags (RFC 4235): those of one leg mean nothing on the other, and are not its business.
fn names_dialogs(message: &Message) -> bool {
    let event = message.header(HeaderName::Event).unwrap_or_default();
    let package = event.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    package.eq_ignore_ascii_case(b"dialog")
}

/// A message of the other side's, or its head (RFC 3420).
fn is_fragment(kind: &[u8]) -> bool {
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"message/sipfrag") || kind.eq_ignore_ascii_case(b"message/sip")
}
