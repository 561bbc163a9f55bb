//! Early dialogs on both sides, and which of the caller's belongs to which of the callee's (RFC 3261 §12.1, §13.2.1).
//!
//! The caller sees one dialog for as long as that does no harm: as long as none of its responses has carried a description, whoever comes
//! forward goes on in it. Once it was told one, that is the answer to its offer in this dialog, and whoever describes himself otherwise,
//! another branch of a fork or the next attempt of a hunt, is a new early dialog with a To tag of its own. Refuses to know: who is tried.

use super::call::{Attempt, Call, Leg, Relayed, Side};
use super::challenge::Again;
use super::{B2bua, Effect, World, body, headers, party};
use alloc::boxed::Box;
use alloc::vec::Vec;
use model::CallRef;
use sip::{Answer, Arrived, ClientKey, Dialog, Draft, Flow, Message, Method, ServerKey, knows};

/// Early dialogs of one attempt, as many as its transaction takes 2xx of.
const FORKS_MAX: usize = 8;
/// Early dialogs towards one caller. Whoever comes after them goes on in the last one.
const FACES_MAX: usize = 16;

/// An early dialog with the callee.
#[derive(Clone, Debug)]
pub(super) struct Early {
    pub(super) dialog: Dialog,
    /// RSeq of its last reliable response.
    rseq: Option<u32>,
    /// The reliable response that carried its description: the answer to our offer, or the offer that a late offer asks for.
    pub(super) described: Option<Box<Message>>,
    /// A reliable offer of its own waits for this PRACK, which the caller's will answer.
    pub(super) owed: Option<u32>,
    /// It knows UPDATE.
    updates: Option<bool>,
}

/// A PRACK under way that may be challenged.
#[derive(Clone, Debug)]
pub(super) struct Pracked {
    slot: usize,
    call: CallRef,
    /// The attempt, and the To tag of its early dialog.
    index: usize,
    tag: Vec<u8>,
    again: Again,
}

/// An early dialog towards the caller.
#[derive(Clone, Debug)]
pub(super) struct Face {
    pub(super) tag: Vec<u8>,
    /// The callee's dialog behind it: attempt and To tag.
    of: Option<(usize, Vec<u8>)>,
    remote_seq: Option<u32>,
    session: u64,
    version: u64,
    shown: Vec<u8>,
    /// A reliable response has told it a description.
    pub(super) firm: bool,
}

impl Face {
    /// What the caller was shown in it last.
    pub(super) fn shown(&self) -> &[u8] {
        &self.shown
    }

    /// The first one, as the caller's leg is.
    pub(super) fn first(leg: &Leg) -> Self {
        Self {
            tag: leg.dialog.local_tag.clone(),
            of: None,
            remote_seq: leg.dialog.remote_seq,
            session: leg.session,
            version: leg.version,
            shown: Vec::new(),
            firm: false,
        }
    }
}

impl Call {
    /// The face the caller sees now.
    pub(super) fn face_mut(&mut self) -> Option<&mut Face> {
        let tag = &self.caller.dialog.local_tag;
        self.faces.iter_mut().find(|face| face.tag == *tag)
    }

    /// The place of the face a request of the caller is for.
    fn face_of(&self, tag: &[u8]) -> Option<usize> {
        self.faces.iter().position(|face| face.tag == tag)
    }

    /// A request of the caller belongs to an early dialog of this call.
    pub(super) fn has_face_for(&self, message: &Message) -> bool {
        let dialog = &self.caller.dialog;
        self.answered.is_none()
            && message.call_id() == dialog.call_id
            && message.from().tag().unwrap_or_default() == dialog.remote_tag
            && message.to().tag().is_some_and(|tag| self.face_of(tag).is_some())
    }

    /// A request of the caller is in order in its own early dialog: each has its own row of numbers (RFC 3261 §12.2.2).
    pub(super) fn face_accepts(&mut self, message: &Message) -> bool {
        let number = message.cseq().number;
        let place = message.to().tag().and_then(|tag| self.face_of(tag));
        let Some(face) = place.and_then(|at| self.faces.get_mut(at)) else { return false };
        let in_order = face.remote_seq.is_none_or(|seen| number >= seen);
        if in_order {
            face.remote_seq = Some(number);
        }
        in_order
    }
}

impl Attempt {
    fn early_mut(&mut self, tag: &[u8]) -> Option<&mut Early> {
        self.early.iter_mut().find(|early| early.dialog.remote_tag == tag)
    }

    /// An early dialog by its To tag.
    pub(super) fn early_dialog_mut(&mut self, tag: &[u8]) -> Option<&mut Dialog> {
        self.early_mut(tag).map(|early| &mut early.dialog)
    }

    /// The early dialog that a 2xx confirms.
    pub(super) fn early(&self, tag: &[u8]) -> Option<&Early> {
        self.early.iter().find(|early| early.dialog.remote_tag == tag)
    }
}

impl B2bua {
    /// A provisional response of the callee makes or keeps an early dialog, and is acknowledged when it is to arrive (RFC 3262 §4). False
    /// when it is to be dropped.
    pub(super) fn hear_early(&mut self, world: &mut World<'_>, slot: usize, index: usize, message: &Message) -> bool {
        let Some(call) = self.calls.get_mut(slot) else { return false };
        let late = call.late_offer;
        let Some(attempt) = call.attempt_mut(index) else { return false };
        let (Some(tag), Ok(dialog)) = (message.to().tag(), Dialog::uac(message)) else { return true };
        if attempt.early(tag).is_none() && attempt.early.len() < FORKS_MAX {
            attempt.early.push(Early { dialog, rseq: None, described: None, owed: None, updates: None });
        }
        let Some(early) = attempt.early_mut(tag) else { return true };
        early.updates = knows(message, Method::Update).or(early.updates);
        match sip::arrived(message, &mut early.rseq) {
            Arrived::Unreliably => true,
            Arrived::OutOfOrder => {
                self.counters.provisionals_repeated += 1;
                false
            }
            Arrived::New(rseq) => {
                let first = body::description(message).is_some() && early.described.is_none();
                if first {
                    early.described = Some(Box::new(message.clone()));
                }
                if first && late {
                    early.owed = Some(rseq);
                } else {
                    self.send_prack(world, slot, index, tag, rseq, None);
                }
                true
            }
        }
    }

    /// PRACK for a reliable response of the callee. Its answer is of interest only when it is a challenge: should it be lost, it is
    /// repeated by its transaction.
    pub(super) fn send_prack(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        index: usize,
        tag: &[u8],
        rseq: u32,
        answer: Option<(&Message, Vec<u8>)>,
    ) {
        let Some(owner) = self.calls.get_mut(slot) else { return };
        let call = owner.call;
        let Some(attempt) = owner.attempt_mut(index) else { return };
        let (flow, trunk, cseq) = (attempt.to.flow, attempt.target.trunk, attempt.cseq);
        let Some(early) = attempt.early_mut(tag) else { return };
        let mut draft = early.dialog.request(Method::Prack);
        draft.headers.push("RAck", &sip::rack_value(rseq, cseq));
        if let Some((from, body)) = answer.filter(|(_, body)| !body.is_empty()) {
            headers::push_body_type(from, &mut draft.headers);
            draft.body = body;
        }
        let (to, timers) = (world.way_of(Some(trunk), &early.dialog, flow), world.timers_of(trunk));
        self.counters.pracks += 1;
        let again = Again::new(Some(trunk), draft, to, timers);
        self.prack_with(world, Pracked { slot, call, index, tag: tag.to_vec(), again });
    }

    /// Without a transaction for it the callee repeats its response, and the next repeat is dropped: it gives up by itself.
    fn prack_with(&mut self, world: &mut World<'_>, mut pracked: Pracked) {
        let sent = pracked.again.send(world);
        if let Some(client) = sent.filter(|_| pracked.again.can_be_signed(world)) {
            self.pracked.insert(client, pracked);
        }
    }

    /// A challenge to a PRACK is answered, or the callee would never know that its response has arrived (RFC 3262 §3 ends its INVITE then).
    pub(super) fn prack_signed(&mut self, world: &mut World<'_>, client: ClientKey, response: &Message) {
        let Some(mut pracked) = self.pracked.remove(&client) else { return };
        let call = self.calls.get_mut(pracked.slot).filter(|call| call.call == pracked.call);
        let attempt = call.and_then(|call| call.attempt_mut(pracked.index));
        // Once its INVITE has had a final answer, the callee waits for no PRACK any more.
        let Some(dialog) = attempt.and_then(|attempt| attempt.early_dialog_mut(&pracked.tag)) else { return };
        if let Some(fresh) = pracked.again.answer(world, dialog, response) {
            self.pracked.insert(fresh, pracked);
        }
    }

    /// The caller is shown the early dialog of this callee from now on.
    pub(super) fn show_face(&mut self, world: &mut World<'_>, slot: usize, index: usize, tag: &[u8]) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let is_it = |face: &Face| face.of.as_ref().is_some_and(|(attempt, known)| *attempt == index && known == tag);
        let described = !call.caller.shown.is_empty();
        let full = call.faces.len() >= FACES_MAX;
        let Some(current) = call.face_mut() else { return };
        if is_it(current) {
            return;
        }
        if current.of.is_none() || !described {
            current.of = Some((index, tag.to_vec()));
            return;
        }
        let known = call.faces.iter().position(is_it);
        if known.is_none() && full {
            return;
        }
        let chosen = known.unwrap_or_else(|| {
            let fresh = world.endpoint.minter().tag().as_bytes().to_vec();
            self.by_tag.insert(fresh.clone(), (slot, Side::Caller));
            call.faces.push(Face {
                tag: fresh,
                of: Some((index, tag.to_vec())),
                remote_seq: Some(call.invite_seq),
                session: world.rng.next_u64() >> 20,
                version: 0,
                shown: Vec::new(),
                firm: false,
            });
            self.counters.early_dialogs += 1;
            call.faces.len() - 1
        });
        let leg = &mut call.caller;
        if let Some(current) = call.faces.iter_mut().find(|face| face.tag == leg.dialog.local_tag) {
            (current.session, current.version) = (leg.session, leg.version);
            current.shown = core::mem::take(&mut leg.shown);
        }
        if let Some(face) = call.faces.get_mut(chosen) {
            leg.dialog.local_tag.clone_from(&face.tag);
            (leg.session, leg.version) = (face.session, face.version);
            leg.shown = core::mem::take(&mut face.shown);
        }
    }

    /// The call is answered: of the caller's early dialogs one is left, the confirmed one.
    pub(super) fn drop_faces(&mut self, slot: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        for face in core::mem::take(&mut call.faces) {
            if face.tag == call.caller.dialog.local_tag {
                call.caller.dialog.remote_seq = face.remote_seq.max(call.caller.dialog.remote_seq);
            } else {
                self.by_tag.remove(&face.tag);
            }
        }
    }

    /// UPDATE before the answer, or an offer in a PRACK (RFC 3311 §5.1, RFC 3262 §5): bridged when both early dialogs have had their answer
    /// reliably, so that another offer may be made at all.
    pub(super) fn update_early(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        side: Side,
        server: ServerKey,
        message: &Message,
    ) {
        if body::description(message).is_none() {
            return self.update_here(world, slot, side, server);
        }
        if self.calls.get(slot).is_none_or(Call::offer_is_open) {
            self.counters.glare += 1;
            return world.refuse(server, 491);
        }
        let Some((index, tag)) = self.both_firm(slot, side, message) else {
            // The answer to the first offer is still to come (RFC 3311 §5.2); an offer in a PRACK cannot be put off.
            return if message.method() == Method::Prack {
                world.refuse(server, 488)
            } else {
                world.refuse_for_now(server, 500)
            };
        };
        let body = match self.bridge_offer(world, slot, side, message) {
            Ok(body) => body,
            Err(code) => return world.refuse(server, code),
        };
        let drafted = match side {
            Side::Caller => self.draft_early(world, slot, index, &tag, message, body),
            Side::Callee => self.draft_for(world, slot, Side::Caller, Method::Update, message, body),
        };
        let Some(call) = self.calls.get_mut(slot) else { return };
        let trunk = match side {
            Side::Caller => call.attempt(index).map(|attempt| attempt.target.trunk),
            Side::Callee => Some(call.caller.trunk),
        };
        let mut again = drafted.map(|(draft, to, timers)| Box::new(Again::new(trunk, draft, to, timers)));
        let Some(client) = again.as_mut().and_then(|again| again.send(world)) else {
            return world.refuse_for_now(server, 500);
        };
        let early = (side == Side::Caller).then_some((index, tag));
        let again = again.filter(|again| again.can_be_signed(world));
        call.relayed.push(Relayed { from: side, offers: true, server, client, again, early });
        self.by_client.insert(client, slot);
    }

    /// The callee's early dialog that takes part in an exchange before the answer, when both have had a reliable answer and know UPDATE.
    fn both_firm(&self, slot: usize, side: Side, message: &Message) -> Option<(usize, Vec<u8>)> {
        let call = self.calls.get(slot)?;
        let face = match side {
            Side::Caller => call.faces.get(call.face_of(message.to().tag()?)?)?,
            Side::Callee => call.faces.iter().find(|face| face.tag == call.caller.dialog.local_tag)?,
        };
        let (index, tag) = face.of.clone()?;
        let early = call.attempt(index)?.early(&tag)?;
        let shown = face.tag == call.caller.dialog.local_tag && index == call.front;
        let answered = early.described.is_some() && early.owed.is_none() && face.firm && !call.reliable.waits();
        let able = match side {
            Side::Caller => early.updates == Some(true),
            Side::Callee => call.caller.keeping.updates == Some(true) && Some(tag.as_slice()) == message.from().tag(),
        };
        (shown && answered && able).then_some((index, tag))
    }

    /// An UPDATE in the callee's early dialog.
    fn draft_early(
        &mut self,
        world: &World<'_>,
        slot: usize,
        index: usize,
        tag: &[u8],
        message: &Message,
        body: Vec<u8>,
    ) -> Option<(Draft, Flow, sip::TimerSet)> {
        let attempt = self.calls.get_mut(slot)?.attempt_mut(index)?;
        let (flow, trunk) = (attempt.to.flow, attempt.target.trunk);
        let early = attempt.early_mut(tag)?;
        let mut draft = early.dialog.request(Method::Update);
        headers::push_contact(&mut draft.headers, &world.endpoint.sent_by(flow.socket)?);
        headers::push_body_type(message, &mut draft.headers);
        draft.body = body;
        Some((draft, world.way_of(Some(trunk), &early.dialog, flow), world.timers_of(trunk)))
    }

    /// A request of the callee inside an early dialog: its UPDATE is served, anything else has no place there.
    pub(super) fn request_of_callee_early(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        server: ServerKey,
        flow: Flow,
        message: &Message,
    ) {
        let tag = message.from().tag().unwrap_or_default();
        let is_its = |attempt: &Attempt| Some(attempt.tag.as_slice()) == message.to().tag();
        let of = |call: &Call| Some(call.running().find(|(_, attempt)| is_its(attempt))?.0);
        let index = self.calls.get(slot).and_then(of);
        let user = index.and_then(|index| self.user_of(world, slot, index));
        let attempt = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index?));
        let way = attempt.as_ref().map(|attempt| (attempt.target.trunk, attempt.to.flow));
        let early = attempt.and_then(|attempt| attempt.early_mut(tag)).filter(|early| early.dialog.matches(message));
        let (Some(early), Some(way)) = (early, way) else {
            self.counters.unknown_dialogs += 1;
            return world.refuse(server, 481);
        };
        if !party::belongs(world.profiles, way, &early.dialog, flow) && !world.has_moved_to(user.as_ref(), flow) {
            self.counters.foreign_requests += 1;
            world.out.push(Effect::Foreign(flow));
            return world.refuse(server, 481);
        }
        if early.dialog.accepts(message).is_err() {
            return world.refuse(server, 500);
        }
        match message.method() {
            Method::Update => self.update_early(world, slot, Side::Callee, server, message),
            Method::Options => {
                let mut answer = Answer::new(200);
                answer.headers.push("Allow", headers::ALLOW);
                world.endpoint.respond(world.now, server, answer);
            }
            // RFC 3261 §15: the called side ends an early dialog by its final response, never by BYE.
            Method::Bye => world.refuse(server, 403),
            _ => world.refuse_for_now(server, 500),
        }
    }

    /// Answers an UPDATE that offers nothing: its target is refreshed, and its session (RFC 3311 §5.2, RFC 4028 §9).
    pub(super) fn update_here(&mut self, world: &mut World<'_>, slot: usize, side: Side, server: ServerKey) {
        let Some(call) = self.calls.get(slot) else { return };
        let socket = match side {
            Side::Caller => Some(call.caller.flow.socket),
            Side::Callee => call
                .callee
                .as_ref()
                .map(|leg| leg.flow.socket)
                .or_else(|| call.attempt(call.front).map(|attempt| attempt.to.flow.socket)),
        };
        let up = call.callee.is_some();
        let mut answer = Answer::new(200);
        if let Some(sent_by) = socket.and_then(|socket| world.endpoint.sent_by(socket)) {
            headers::push_contact(&mut answer.headers, &sent_by);
        }
        answer.headers.push("Allow", headers::ALLOW);
        if up {
            self.renew_by_answer(world, slot, side, server, &mut answer.headers);
        }
        world.endpoint.respond(world.now, server, answer);
    }
}
