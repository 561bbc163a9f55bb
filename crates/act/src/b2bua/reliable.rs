//! Responses to the caller's INVITE: which arrive for sure, which wait for a PRACK, and the final one that waits with them (RFC 3262).
//!
//! The caller's 100rel and the callee's are two things: each side is served as it can be. Refuses to know: what is described.

use super::call::Side;
use super::ended::Ending;
use super::{B2bua, World, body, reason};
use alloc::collections::VecDeque;
use sip::{Answer, Message, ServerKey};

/// Provisional responses that wait for their turn; of more the oldest is left out.
const QUEUE_MAX: usize = 4;

/// Why a call ends whose caller acknowledges nothing.
const NO_PRACK: &str = "no PRACK came for what the caller was told";

/// Which provisional responses a caller gets reliably.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Wanted {
    /// It does not know how, or its trunk is not to.
    #[default]
    Never,
    /// It can: those that tell it a description.
    Described,
    /// It requires it (§3).
    Always,
}

/// A reliable response on its way to the caller.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// It carries a description: no 2xx before its PRACK (§5).
    described: bool,
    /// The description is the callee's offer, which the PRACK answers.
    offer: bool,
}

/// What the caller is told before the answer, and how.
#[derive(Clone, Debug, Default)]
pub(super) struct Reliable {
    pub(super) wanted: Wanted,
    /// The caller's INVITE, for as long as a PRACK may come for it.
    server: Option<ServerKey>,
    pending: Option<Pending>,
    queue: VecDeque<(Answer, bool)>,
    /// The final 2xx, which waits for a PRACK.
    held: Option<Answer>,
}

impl Reliable {
    pub(super) fn new(wanted: Wanted, server: ServerKey) -> Self {
        Self { wanted, server: Some(server), ..Self::default() }
    }

    /// A description on its way has not been acknowledged.
    pub(super) fn waits(&self) -> bool {
        self.pending.is_some_and(|pending| pending.described)
    }

    /// The 2xx has not been sent yet.
    pub(super) fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// The INVITE whose 2xx was never sent, when the call ends before.
    pub(super) fn take_held(&mut self) -> Option<ServerKey> {
        self.held.take().and(self.server)
    }
}

impl B2bua {
    /// A provisional response for the caller. `firm` says that the callee's was reliable; only then may an offer that a late offer asked
    /// for pass (RFC 3261 §13.2.1: an offer is in a reliable response).
    pub(super) fn tell_caller(&mut self, world: &mut World<'_>, slot: usize, mut answer: Answer, firm: bool) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(server) = call.server else { return };
        let offer = call.late_offer && firm && !answer.body.is_empty();
        let reliably = match call.reliable.wanted {
            Wanted::Never => false,
            Wanted::Described => !answer.body.is_empty() && (firm || !call.late_offer),
            Wanted::Always => true,
        };
        if !reliably {
            return world.endpoint.respond(world.now, server, answer);
        }
        if call.late_offer && !firm {
            answer.body.clear();
        }
        if call.reliable.pending.is_some() {
            if call.reliable.queue.len() >= QUEUE_MAX {
                call.reliable.queue.pop_front();
                self.counters.provisionals_dropped += 1;
            }
            call.reliable.queue.push_back((answer, offer));
            return;
        }
        self.send_reliably(world, slot, server, answer, offer);
    }

    fn send_reliably(&mut self, world: &mut World<'_>, slot: usize, server: ServerKey, answer: Answer, offer: bool) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let described = !answer.body.is_empty();
        let tag = answer.to_tag.clone();
        if world.endpoint.respond_reliably(world.now, server, answer) {
            call.reliable.pending = Some(Pending { described, offer });
            if let Some(face) = call.faces.iter_mut().find(|face| described && Some(&face.tag) == tag.as_ref()) {
                face.firm = true;
            }
        }
    }

    /// The 2xx for the caller, at once, or when what it was told reliably has arrived (RFC 3262 §3, §5).
    pub(super) fn answer_or_hold(&mut self, world: &mut World<'_>, slot: usize, server: ServerKey, answer: Answer) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        call.reliable.queue.clear();
        if call.reliable.waits() || call.offer_is_open() {
            call.reliable.held = Some(answer);
        } else {
            world.endpoint.respond(world.now, server, answer);
        }
    }

    /// A PRACK of the caller (RFC 3262 §3).
    pub(super) fn prack(&mut self, world: &mut World<'_>, slot: usize, server: ServerKey, message: &Message) {
        let Some((rseq, cseq)) = sip::rack(message) else { return world.refuse(server, 400) };
        let Some(call) = self.calls.get_mut(slot) else { return };
        let invite = call.reliable.server.filter(|_| call.invite_seq == cseq);
        if !invite.is_some_and(|invite| world.endpoint.acknowledge(world.now, invite, rseq)) {
            self.counters.stray_pracks += 1;
            return world.refuse(server, 481);
        }
        let pending = call.reliable.pending.take();
        if pending.is_some_and(|pending| pending.offer) {
            self.answer_in_prack(world, slot, message);
            world.endpoint.respond(world.now, server, Answer::new(200));
        } else if body::description(message).is_some() {
            self.update_early(world, slot, Side::Caller, server, message);
        } else {
            world.endpoint.respond(world.now, server, Answer::new(200));
        }
        self.tell_more(world, slot);
    }

    /// The caller's answer to the callee's reliable offer passes in our own PRACK.
    fn answer_in_prack(&mut self, world: &mut World<'_>, slot: usize, message: &Message) {
        let body = self.bridge(world, slot, Side::Caller, message).unwrap_or_default();
        let Some(call) = self.calls.get_mut(slot) else { return };
        let front = call.front;
        let owed = call.attempt_mut(front).and_then(|attempt| {
            attempt.early.iter_mut().find_map(|early| Some((early.dialog.remote_tag.clone(), early.owed.take()?)))
        });
        if let Some((tag, rseq)) = owed {
            self.send_prack(world, slot, front, &tag, rseq, Some((message, body)));
        }
    }

    /// What has waited for a PRACK, or for the answer to an offer.
    pub(super) fn tell_more(&mut self, world: &mut World<'_>, slot: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(server) = call.reliable.server.filter(|_| call.reliable.pending.is_none()) else { return };
        if let Some((answer, offer)) = call.reliable.queue.pop_front() {
            return self.send_reliably(world, slot, server, answer, offer);
        }
        if !call.offer_is_open()
            && let Some(answer) = call.reliable.held.take()
        {
            world.endpoint.respond(world.now, server, answer);
        }
    }

    /// No PRACK came: the INVITE is refused (RFC 3262 §3), and whoever rings or has answered is left.
    pub(super) fn prack_missing(&mut self, world: &mut World<'_>, server: ServerKey) {
        let Some(slot) = self.by_server.get(&server).copied() else { return };
        let Some(call) = self.calls.get_mut(slot).filter(|call| call.reliable.server == Some(server)) else { return };
        self.counters.pracks_missing += 1;
        if call.reliable.holds() {
            self.drop_pending(world, slot);
            self.send_bye(world, slot, Side::Callee, None, Some(NO_PRACK));
            if let Some(call) = self.calls.get_mut(slot) {
                call.reliable.take_held();
            }
            world.refuse(server, 504);
            return self.finish(world, slot, Ending::Ended(NO_PRACK));
        }
        self.abandon_attempts(world, slot, &reason(504, "the caller acknowledges nothing"));
        self.refuse_call(world, slot, 504, None);
    }

    /// The caller gives up between the callee's answer and the PRACK that would have let it pass.
    pub(super) fn give_up_held(&mut self, world: &mut World<'_>, slot: usize) {
        self.drop_pending(world, slot);
        self.send_bye(world, slot, Side::Callee, None, Some("the caller gave up"));
        self.finish(world, slot, Ending::Cancelled);
    }
}
