//! The answer: the callee's 2xx becomes ours, the legs are joined, the ACKs are sent when they are due.
//!
//! With an early offer the callee is acknowledged at once. With a late offer its 200 carries the offer, and its ACK waits for the
//! caller's, which carries the answer (RFC 3264 §4, RFC 3261 §13.2.1). Refuses to know: how the attempt was chosen.

use super::call::{Leg, Phase, Side};
use super::session::Keeping;
use super::way::By;
use super::{B2bua, Due, Effect, World, between, body, headers, party};
use model::AttemptOutcome;
use sip::{Answer, ClientKey, Dialog, Flow, Message, ServerKey};
use smallvec::SmallVec;

/// Why the others are left: their phones show no missed call then (RFC 3326 §2).
const ELSEWHERE: &[u8] = b"SIP;cause=200;text=\"Call completed elsewhere\"";

impl B2bua {
    /// A 2xx of an attempt: the first one wins, and whatever runs beside it is left.
    pub(super) fn answered(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        index: usize,
        client: ClientKey,
        message: &Message,
    ) {
        let unusable = AttemptOutcome::Refused { code: 502, q850: None, retry_after: None };
        let Ok(mut dialog) = Dialog::uac(message) else {
            // Without a Contact it can be neither acknowledged nor ended; it is as if it had not answered (RFC 3261 §12.1.1).
            return self.attempt_over(world, slot, index, unusable, None);
        };
        let early = self.calls.get(slot).and_then(|call| call.attempt(index)?.early(&dialog.remote_tag).cloned());
        if let Some(early) = &early {
            // Requests of the early dialog have used numbers up (§12.2.1.1).
            dialog.local_seq = early.dialog.local_seq.max(dialog.local_seq);
            dialog.remote_seq = early.dialog.remote_seq;
        }
        let described = early.and_then(|early| early.described);
        let bridged = if self.promote(world, slot, index) {
            self.show_face(world, slot, index, &dialog.remote_tag);
            self.bridge_answer(world, slot, message, described.as_deref()).ok()
        } else {
            None
        };
        let Some((body, source)) = bridged else {
            let flow = self.calls.get(slot).and_then(|call| call.attempt(index)).map(|attempt| attempt.to.flow);
            let misfit = self.calls.get(slot).and_then(|call| call.audio.terms.misfit);
            if let Some(flow) = flow {
                self.end_stray(world, client, flow, message, misfit.unwrap_or(super::TOO_LATE));
            }
            if misfit.is_some() {
                return self.cannot_join(world, slot, index);
            }
            return self.attempt_over(world, slot, index, unusable, None);
        };
        for other in self.running(slot) {
            if other != index {
                self.outrun(world, slot, other, index, ELSEWHERE);
            }
        }
        let owes = described.is_none() && body::description(message).is_some();
        self.join(world, slot, index, (client, owes), dialog, message);
        self.answer_caller(world, slot, message, source, body);
        self.counters.answered += 1;
    }

    /// The body of our 2xx, and the message its type is in. A callee whose reliable response has carried the answer need not repeat it
    /// (RFC 3262 §5); a caller who was not told it reliably still needs it. An offer that a PRACK has answered is not repeated.
    fn bridge_answer<'m>(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        message: &'m Message,
        described: Option<&'m Message>,
    ) -> Result<(alloc::vec::Vec<u8>, &'m Message), u16> {
        let Some(call) = self.calls.get_mut(slot) else { return Err(500) };
        let (late, firm) = (call.late_offer, call.face_mut().is_some_and(|face| face.firm));
        let source = match described {
            Some(_) if late => return Ok((alloc::vec::Vec::new(), message)),
            Some(described) if !firm && body::description(message).is_none() => described,
            _ => message,
        };
        Ok((self.bridge(world, slot, Side::Callee, source)?, source))
    }

    /// The attempt becomes the callee's leg.
    fn join(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        index: usize,
        (client, owes): (ClientKey, bool),
        dialog: Dialog,
        message: &Message,
    ) {
        self.close_attempt(world, slot, index, AttemptOutcome::Answered);
        self.setting_up.remove(&slot);
        let user = self.user_of(world, slot, index);
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(attempt) = call.attempts.get_mut(index) else { return };
        let leg = Leg {
            dialog,
            flow: attempt.to.flow,
            by: user.map_or(By::Address, By::Binding),
            trunk: attempt.target.trunk,
            session: attempt.session,
            version: attempt.version.max(1),
            shown: core::mem::take(&mut attempt.shown),
            signed: core::mem::take(&mut attempt.signed),
            before: (0, alloc::vec::Vec::new()),
            refused: 0,
            keeping: Keeping::of(message, world.now, attempt.min_se),
            acking: None,
            gone: false,
        };
        let (cseq, trunk) = (message.cseq().number, leg.trunk);
        let tag = attempt.tag.clone();
        if call.late_offer && owes {
            call.owes_ack = Some((client, cseq));
        } else {
            let ack = leg.ack(cseq);
            world.endpoint.ack(world.now, client, leg.way(), ack);
        }
        call.callee = Some(leg);
        call.phase = Phase::Up;
        self.gate(world, slot);
        let Some(call) = self.calls.get_mut(slot) else { return };
        call.answered = Some(world.now);
        // Whoever may be called again is called as he was.
        let again = super::audio::policy_of(world, trunk).rescue != decide::Rescue::Off || call.emergency;
        call.listening.invite = call.invite.take().filter(|_| again).map(alloc::boxed::Box::new);
        if !call.late_offer {
            call.audio.terms.close();
        }
        call.coming = SmallVec::new();
        let longest = world.profiles.trunk(call.caller.trunk).map(|trunk| trunk.session_max);
        self.by_tag.insert(tag, (slot, Side::Callee));
        self.drop_faces(slot);
        self.renew_by_response(world, slot, Side::Callee, message);
        if let Some(longest) = longest {
            let timer = self.set_timer(slot, 0, world.now + longest, Due::Session);
            if let Some(call) = self.calls.get_mut(slot) {
                call.session_timer = timer;
            }
        }
    }

    pub(super) fn answer_caller(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        message: &Message,
        source: &Message,
        body: alloc::vec::Vec<u8>,
    ) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(server) = call.server.take() else { return self.target_answered(world, slot, source) };
        call.caller.acking = Some((server, call.invite_seq));
        let mut answer = Answer::new(message.status().unwrap_or(200));
        answer.to_tag = Some(call.caller.dialog.local_tag.clone());
        headers::pass(message, &call.crossing(world.profiles, Side::Callee), None, &mut answer.headers);
        if let Some(sent_by) = world.endpoint.sent_by(call.caller.flow.socket) {
            headers::push_contact(&mut answer.headers, &sent_by);
        }
        answer.headers.push("Allow", headers::ALLOW);
        if call.caller.is_between_shards() {
            answer.headers.push(between::HALF, call.half(call.caller.trunk).written().as_bytes());
        }
        if !body.is_empty() {
            headers::push_body_type(source, &mut answer.headers);
            answer.body = body;
        }
        self.renew_by_answer(world, slot, Side::Caller, server, &mut answer.headers);
        self.answer_or_hold(world, slot, server, answer);
        self.listen(world, slot);
    }

    /// An ACK for a 2xx of ours, of an INVITE or a re-INVITE.
    pub(super) fn acknowledged(&mut self, world: &mut World<'_>, flow: Flow, message: &Message) {
        let Some((slot, side)) = self.leg_of(message) else { return };
        let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)) else { return };
        if !party::is_party(world, leg, flow) {
            self.counters.foreign_requests += 1;
            return world.out.push(Effect::Foreign(flow));
        }
        // 13.2.2.4: an ACK bears the CSeq number of its INVITE. A late repeat of an older one confirms nothing.
        let Some((server, _)) = leg.acking.take_if(|(_, cseq)| *cseq == message.cseq().number) else { return };
        self.by_server.remove(&server);
        world.endpoint.confirm(world.now, server);
        self.pass_ack(world, slot, side, message);
    }

    /// The ACK the far side still waits for, with the answer it carries.
    fn pass_ack(&mut self, world: &mut World<'_>, slot: usize, side: Side, message: &Message) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let owed = match (side, call.owes_ack) {
            (Side::Caller, Some(owed)) => {
                call.owes_ack = None;
                Some(owed)
            }
            _ => match call.exchange.as_ref() {
                Some(exchange) if exchange.from == side && exchange.answered => {
                    let owed = exchange.late.then_some((exchange.client, exchange.cseq));
                    let done = exchange.client;
                    call.exchange = None;
                    self.by_client.remove(&done);
                    owed
                }
                _ => None,
            },
        };
        let Some((client, cseq)) = owed else { return };
        // An ACK cannot be refused: an answer that is nonsense leaves the far side without one, and it will end the call.
        let body = self.bridge(world, slot, side, message).unwrap_or_default();
        let Some(leg) = self.calls.get(slot).and_then(|call| call.leg(side.other())) else { return };
        let mut ack = leg.ack(cseq);
        if !body.is_empty() {
            headers::push_body_type(message, &mut ack.headers);
            ack.body = body;
        }
        world.endpoint.ack(world.now, client, leg.way(), ack);
    }

    /// No ACK came for a 2xx of ours: the session is taken down (RFC 3261 §13.3.1.4).
    pub(super) fn ack_missing(&mut self, world: &mut World<'_>, server: ServerKey) {
        let Some(slot) = self.by_server.remove(&server) else { return };
        let waits = |leg: &Leg| leg.acking.is_some_and(|(waiting, _)| waiting == server);
        if self.calls.get(slot).is_some_and(|call| call.callee.iter().chain([&call.caller]).any(waits)) {
            self.counters.acks_missing += 1;
            self.end_both(world, slot, "no ACK came for the answer");
        }
    }
}
