//! Requests inside a dialog: which call they belong to, whether they are in order, and where they go.
//!
//! INFO, UPDATE and MESSAGE are passed to the other leg and answered as it answers; OPTIONS asks about us and is answered here. Refuses to
//! know: what is in them, but for an SDP that must be bridged.

use super::call::{Relayed, Side};
use super::challenge::Again;
use super::{ALLOW, B2bua, Effect, World, body, headers, party};
use alloc::boxed::Box;
use sip::{Answer, ClientKey, Flow, Message, Method, ServerKey};

/// Requests of one call under way at once.
const RELAYED_MAX: usize = 8;

impl B2bua {
    /// The call and side an in-dialog request belongs to.
    pub(super) fn leg_of(&self, message: &Message) -> Option<(usize, Side)> {
        let (slot, side) = self.by_tag.get(message.to().tag()?).copied()?;
        let leg = self.calls.get(slot)?.leg(side)?;
        leg.dialog.matches(message).then_some((slot, side))
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
            self.counters.unknown_dialogs += 1;
            return world.refuse(server, 481);
        };
        let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)) else {
            return world.refuse(server, 481);
        };
        if !party::is_party(world.profiles, leg, flow) {
            // The very answer of an unknown dialog: it says nothing about the call.
            self.counters.foreign_requests += 1;
            world.out.push(Effect::Foreign(flow));
            return world.refuse(server, 481);
        }
        if leg.dialog.accepts(message).is_err() {
            // 12.2.2: a request older than one already served.
            return world.refuse(server, 500);
        }
        // A peer whose NAT gave it another port is still the peer: its dialog proves it.
        leg.flow = Flow { peer: flow.peer, ..leg.flow };
        match message.method() {
            Method::Bye => self.bye(world, slot, side, server, message),
            Method::Invite => self.reinvite(world, slot, side, server, message),
            Method::Options => {
                let mut answer = Answer::new(200);
                answer.headers.push("Allow", ALLOW);
                world.endpoint.respond(world.now, server, answer);
            }
            Method::Info | Method::Update | Method::Message => self.relay_request(world, slot, side, server, message),
            _ => {
                let mut answer = Answer::new(405);
                answer.headers.push("Allow", ALLOW);
                world.endpoint.respond(world.now, server, answer);
            }
        }
    }

    fn relay_request(&mut self, world: &mut World<'_>, slot: usize, side: Side, server: ServerKey, message: &Message) {
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
        let body = if offers { self.bridge_offer(world, slot, side, message) } else { Ok(message.body().to_vec()) };
        let body = match body {
            Ok(body) => body,
            Err(code) => return world.refuse(server, code),
        };
        let drafted = self.draft_for(world, slot, side.other(), message.method(), message, body);
        let trunk = self.calls.get(slot).and_then(|call| call.leg(side.other())).map(|leg| leg.trunk);
        let mut again = drafted.map(|(draft, to, timers)| Again::new(trunk, draft, to, timers));
        let sent = again.as_mut().and_then(|again| again.send(world));
        let again = again.filter(|again| again.can_be_signed(world)).map(Box::new);
        let (Some(client), Some(call)) = (sent, self.calls.get_mut(slot)) else {
            return world.refuse_for_now(server, 500);
        };
        if let Some(leg) = call.leg_mut(side) {
            leg.dialog.refresh_target(message);
        }
        call.relayed.push(Relayed { from: side, offers, server, client, again });
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
        let body = if relayed.offers && code < 300 {
            self.accept_offer(world, slot);
            self.bridge(world, slot, towards, message).unwrap_or_default()
        } else {
            message.body().to_vec()
        };
        let mut answer = Answer::new(if matches!(code, 401 | 407) { 403 } else { code });
        if let Some(call) = self.calls.get(slot) {
            headers::pass(message, &call.crossing(world.profiles, towards), None, &mut answer.headers);
        }
        if message.method() == Method::Update
            && let Some(call) = self.calls.get_mut(slot)
        {
            if let Some(leg) = call.leg_mut(towards) {
                leg.dialog.refresh_target(message);
            }
            // RFC 3311 §5.2: a 2xx to UPDATE says where we are.
            let sent_by = call.leg(relayed.from).and_then(|leg| world.endpoint.sent_by(leg.flow.socket));
            if let Some(sent_by) = sent_by {
                headers::push_contact(&mut answer.headers, sent_by);
            }
        }
        if !body.is_empty() {
            headers::push_body_type(message, &mut answer.headers);
            answer.body = body;
        }
        world.endpoint.respond(world.now, relayed.server, answer);
    }

    /// A request that was passed on, or a re-INVITE, ended without an answer.
    pub(super) fn relay_failed(&mut self, world: &mut World<'_>, slot: usize, client: ClientKey) {
        if let Some(relayed) = self.take_relayed(slot, client) {
            return world.refuse(relayed.server, 408);
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
