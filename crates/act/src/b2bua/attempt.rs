//! One attempt: its INVITE, its responses, its deadlines, and how it is left.
//!
//! An attempt is left by CANCEL once it has shown a provisional response (RFC 3261 §9.1); a 2xx that still comes is acknowledged and
//! ended (§13.2.2.4). Refuses to know: which attempt comes next, and why.

use super::bridge::{NotOffered, release_side};
use super::call::{Attempt, Call, CalleeSide, Destination, Phase};
use super::hunt::is_doubtful;
use super::reliable::Wanted;
use super::way::destination_of;
use super::{B2bua, Due, Effect, Left, Side, World, between, headers, session};
use crate::dialog_policy::EarlyMedia;
use crate::interworking::{self, Crossing, Shown};
use crate::profile::{Challenge, Profiles, Target, TrunkProfile};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use decide::AttemptPolicy;
use model::{AttemptOutcome, Begun, Instant, Observed, Pace, Span, TargetId, TransportFault};
use sip::auth;
use sip::{Answer, ClientKey, Draft, Flow, HeaderLines, Message, Method, TimerSet};

/// T1 of an attempt is never shorter: the 95th percentile of a quick trunk is far below what a busy one may need once.
const T1_FLOOR: Span = Span::from_millis(80);
/// Attempts that were left before any response and are still listened to. Each is a transaction too, which Timer B ends.
const LEFT_MAX: usize = 8_192;
/// An attempt's INVITE is sent so often at most: with credentials, and with a longer session.
const CSEQ_MAX: u32 = 6;

impl B2bua {
    /// Begins an attempt. With `aside` it has ports of its own; when no other runs it is the front one.
    pub(super) fn begin_attempt(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        target: TargetId,
        begun: Begun,
        aside: Option<Box<CalleeSide>>,
    ) {
        let phone = self.calls.get(slot).and_then(|call| call.way(world, target)).map(|way| way.to.clone());
        let Some(to) = phone.or_else(|| destination_of(world, target)) else { return };
        self.begin_attempt_to(world, slot, target, to, begun, aside);
    }

    /// The same to somewhere else than the target's own address; the target is still whom it counts on.
    pub(super) fn begin_attempt_to(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        target: TargetId,
        to: Destination,
        begun: Begun,
        aside: Option<Box<CalleeSide>>,
    ) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let attempt = Attempt {
            target,
            client: None,
            to,
            call_id: world.endpoint.minter().call_id().as_bytes().to_vec(),
            tag: world.endpoint.minter().tag().as_bytes().to_vec(),
            cseq: 1,
            begun,
            sent: world.now,
            first_reply: None,
            progress: None,
            took: Span::ZERO,
            outcome: None,
            fault: None,
            authorised: 0,
            signed: Vec::new(),
            min_se: Span::ZERO,
            early: Vec::new(),
            rings_with: None,
            authorises: false,
            cut: false,
            asked: 0,
            asked_at: world.now,
            vouched: false,
            heard: false,
            unheard: None,
            aside,
            session: world.rng.next_u64() >> 20,
            version: 0,
            shown: Vec::new(),
            deadline: None,
            watch: None,
            hedge: None,
        };
        self.counters.attempts += 1;
        self.counters.hunted += u64::from(!call.attempts.is_empty());
        let index = call.attempts.len();
        if call.running().next().is_none() {
            call.front = index;
        }
        self.by_tag.insert(attempt.tag.clone(), (slot, Side::Callee));
        call.attempts.push(attempt);
        self.send_attempt(world, slot, index, true);
    }

    /// Sends an attempt's INVITE, signed with what is known of its trunk's challenges; the `first` time, or to answer one.
    fn send_attempt(&mut self, world: &mut World<'_>, slot: usize, index: usize, first: bool) {
        let body = match self.offer(world, slot, index) {
            Ok(body) => body,
            Err(NotOffered::NoPorts) => return self.pass_over(world, slot, index, |call| call.full = true),
            Err(NotOffered::Unfit) => return self.pass_over(world, slot, index, Call::is_unfit),
            Err(NotOffered::Nonsense(code)) => return self.refuse_unsent(world, slot, index, code),
        };
        if first && self.play(world, slot, index) {
            return;
        }
        let Some(call) = self.calls.get(slot) else { return };
        let (Some(invite), Some(attempt)) = (call.invite.as_ref(), call.attempt(index)) else { return };
        let unsendable = AttemptOutcome::Unreachable { fault: TransportFault::Local };
        let profile = world.profiles.trunk(attempt.target.trunk);
        let sent_by = world.endpoint.sent_by(attempt.to.flow.socket);
        let (Some(profile), Some(sent_by)) = (profile, sent_by) else {
            return self.attempt_over(world, slot, index, unsendable, None);
        };
        let crossing = crossing_of(world.profiles, call, attempt.target);
        if interworking::cannot_hide(invite, &crossing, !call.audio.streams.is_empty()) {
            // RFC 3323 §5: who insists on privacy is refused rather than shown; another trunk may be able to give it.
            self.counters.not_hidden += 1;
            return self.pass_over(world, slot, index, |call| call.exposed = true);
        }
        let (mut draft, unsigned) = attempt_draft(call, invite, &crossing, attempt, &sent_by, body);
        self.counters.signatures_dropped += u64::from(unsigned);
        draft.overload = profile.overload;
        push_abilities(profile, call, attempt, &mut draft);
        self.push_half(slot, attempt.target, &mut draft);
        let mut signed = world.nonces.sign(attempt.target.trunk, profile.auth.as_ref(), &mut draft);
        let carried = world.carried(attempt.target.trunk, invite);
        carried.iter().for_each(|line| draft.headers.push_raw(line));
        signed.extend(carried);
        let (id, target, flow, left) = (call.call, attempt.target, attempt.to.flow, call.coming.len());
        let pace = world.paces.of(target);
        let sent = world.endpoint.request(world.now, flow, draft, &paced(&profile.timers, pace)).ok();
        let outward = first && target != between::TARGET;
        if let Some(attempt) = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index)) {
            (attempt.client, attempt.signed) = (sent, signed);
            world.out.extend(outward.then(|| Effect::Leg(id, attempt.call_id.clone())));
        }
        if outward {
            world.load.begin(world.now, target.trunk);
            world.signal(target, Observed::AttemptStarted { call: id });
        }
        self.gate(world, slot);
        let Some(client) = sent else { return self.attempt_over(world, slot, index, unsendable, None) };
        self.by_client.insert(client, slot);
        if first {
            self.arm_first(world, slot, index, left);
        }
    }

    /// This trunk cannot be offered the call, and why is noted; the next one may: it leaves by a listen that has ports, or hides the caller.
    fn pass_over(&mut self, world: &mut World<'_>, slot: usize, index: usize, why: fn(&mut Call)) {
        if !self.is_unsent(world, slot, index) {
            return;
        }
        if let Some(call) = self.calls.get_mut(slot) {
            why(call);
            if call.running().next().is_none() {
                self.next_attempt(world, slot);
            }
        }
    }

    /// It cannot be offered to anyone: its SDP is nonsense.
    fn refuse_unsent(&mut self, world: &mut World<'_>, slot: usize, index: usize, code: u16) {
        let alone = self.calls.get(slot).is_some_and(|call| call.running().count() == 1);
        if self.is_unsent(world, slot, index) && alone {
            self.refuse_call(world, slot, code, None);
        }
    }

    /// What was never sent is no attempt, and is taken back. False when it had been sent before: then it is over.
    fn is_unsent(&mut self, world: &mut World<'_>, slot: usize, index: usize) -> bool {
        let Some(call) = self.calls.get_mut(slot) else { return false };
        if call.attempt(index).is_some_and(|attempt| attempt.client.is_some() || attempt.cseq > 1) {
            let outcome = AttemptOutcome::Unreachable { fault: TransportFault::Local };
            self.attempt_over(world, slot, index, outcome, None);
            return false;
        }
        let unsent = call.attempts.pop();
        if let Some(unsent) = &unsent {
            self.by_tag.remove(&unsent.tag);
        }
        if let Some(side) = unsent.and_then(|attempt| attempt.aside) {
            release_side(world, &side);
        }
        true
    }

    /// A response to an attempt.
    pub(super) fn attempt_response(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        index: usize,
        client: ClientKey,
        message: &Message,
    ) {
        let code = message.status().unwrap_or(0);
        self.note_first_reply(world, slot, index);
        self.note_overload(world, slot, index, message);
        self.note_credentials(world, slot, index, message);
        if self.still_rings(world, slot, index, code) {
            return;
        }
        if (101..200).contains(&code) && !self.hear_early(world, slot, index, message) {
            return;
        }
        match code {
            // RFC 6228: a 199 says that a branch below is over; the others go on, and it rings nobody.
            0..=100 | 199 => {}
            101..=198 => self.progress(world, slot, index, message),
            200..=299 => {
                self.note_progress(world, slot, index);
                self.answered(world, slot, index, client, message);
            }
            300..=399 => {
                self.redirected(world, slot, index, code, message);
            }
            422 if self.lengthen(world, slot, index, message) => {}
            401 | 407 if self.authorise(world, slot, index, message) => {}
            401 | 407 if self.asks_caller(world, slot, index, message) => {}
            _ => {
                let outcome =
                    AttemptOutcome::Refused { code, q850: message.q850(), retry_after: message.retry_after() };
                self.attempt_over(world, slot, index, outcome, Some(message));
            }
        }
    }

    /// Any response may say how many calls its trunk wants, 100 too (RFC 7339 §5.11).
    fn note_overload(&self, world: &mut World<'_>, slot: usize, index: usize, message: &Message) {
        let Some(attempt) = self.calls.get(slot).and_then(|call| call.attempt(index)) else { return };
        let target = attempt.target;
        let heeded = world.profiles.trunk(target.trunk).is_some_and(|profile| profile.overload);
        if let Some(told) = message.overload().filter(|_| heeded) {
            world.signal(target, Observed::Overload { wish: told.wish, validity: told.validity, seq: told.seq });
        }
    }

    pub(super) fn note_first_reply(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let id = call.call;
        let Some(attempt) = call.attempt_mut(index).filter(|attempt| attempt.first_reply.is_none()) else { return };
        let after = world.now.since(attempt.sent);
        attempt.first_reply = Some(after);
        let target = attempt.target;
        let hedge = attempt.hedge.take();
        self.cancel_timer(hedge);
        world.signal(target, Observed::FirstReply { call: id, after });
        let policy = policy_of(world, target);
        self.arm_within_hunt(world, slot, index, &policy, policy.progress);
    }

    /// A provisional response other than 100. From the first one on the ring deadline counts; whether the caller hears of it depends on
    /// what runs beside it.
    fn progress(&mut self, world: &mut World<'_>, slot: usize, index: usize, message: &Message) {
        if let Some(target) = self.note_progress(world, slot, index) {
            let ring = policy_of(world, target).ring;
            self.arm_deadline(slot, index, world.now + ring);
        }
        if self.comes_forward(world, slot, index) {
            self.relay_progress(world, slot, message);
            self.leave_younger(world, slot, index);
        } else if let Some(attempt) = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index)) {
            attempt.unheard = Some(Box::new(message.clone()));
        }
    }

    /// An attempt's first response other than 100; its target, when this was it.
    fn note_progress(&mut self, world: &mut World<'_>, slot: usize, index: usize) -> Option<TargetId> {
        let call = self.calls.get_mut(slot)?;
        let id = call.call;
        let attempt = call.attempt_mut(index).filter(|attempt| attempt.progress.is_none())?;
        let (target, after) = (attempt.target, world.now.since(attempt.sent));
        attempt.progress = Some(after);
        // It came although something was held against its trunk: that is as good as an answer to a question.
        attempt.vouched = is_doubtful(world.table.health(target));
        world.signal(target, Observed::Progress { call: id, after });
        Some(target)
    }

    /// The caller hears the front attempt's progress.
    pub(super) fn relay_progress(&mut self, world: &mut World<'_>, slot: usize, message: &Message) {
        // An SDP that cannot be read is left out: the answer of the 200 is the one that counts (RFC 3261 §13.2.1).
        let Some(front) = self.calls.get(slot).map(|call| call.front) else { return };
        self.hear_authorisation(slot, front, message);
        let silent = self.is_gated(world, slot) && super::body::description(message).is_some();
        let described = super::body::description(message).is_some() && !silent;
        let heard = self.calls.get(slot).is_some_and(|call| call.server.is_some());
        if let Some(tag) = message.to().tag().filter(|_| heard) {
            self.show_face(world, slot, front, tag);
        }
        let body =
            if silent { Vec::new() } else { self.bridge(world, slot, Side::Callee, message).unwrap_or_default() };
        self.gate(world, slot);
        let Some(call) = self.calls.get_mut(slot) else { return };
        if call.server.is_none() {
            return self.target_rings(world, slot, message);
        }
        call.phase = Phase::Ringing;
        call.progressed.get_or_insert(world.now);
        if let Some(attempt) = call.attempt_mut(front) {
            attempt.heard = true;
            attempt.unheard = None;
        }
        let mut answer = Answer::new(if silent { 180 } else { message.status().unwrap_or(180) });
        answer.phrase = (!silent).then(|| message.reason_phrase().to_vec());
        answer.to_tag = Some(call.caller.dialog.local_tag.clone());
        headers::pass(message, &call.crossing(world.profiles, Side::Callee), None, &mut answer.headers);
        if let Some(sent_by) = world.endpoint.sent_by(call.caller.flow.socket) {
            headers::push_contact(&mut answer.headers, &sent_by);
        }
        if !body.is_empty() {
            headers::push_body_type(message, &mut answer.headers);
            answer.body = body;
        }
        answer.headers.push("Allow", headers::ALLOW);
        let firm = described && message.requires(b"100rel");
        self.tell_caller(world, slot, answer, firm);
    }

    /// The trunk's way bears longer sessions only: its INVITE is sent again with one (RFC 4028 §7.3). False when that is no news.
    fn lengthen(&mut self, world: &mut World<'_>, slot: usize, index: usize, refusal: &Message) -> bool {
        let Some(attempt) = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index)) else { return false };
        let least = sip::min_se(refusal).filter(|least| *least > attempt.min_se && attempt.cseq < CSEQ_MAX);
        let Some(least) = least else { return false };
        attempt.min_se = least;
        attempt.authorised = 0;
        attempt.cseq += 1;
        attempt.early.clear();
        if let Some(old) = attempt.client.take() {
            self.by_client.remove(&old);
        }
        self.send_attempt(world, slot, index, false);
        true
    }

    /// Answers a challenge with the trunk's credentials: once, and once more when only the nonce was too old.
    fn authorise(&mut self, world: &mut World<'_>, slot: usize, index: usize, challenge: &Message) -> bool {
        let tries = if auth::is_stale(challenge) { 2 } else { 1 };
        let Some(attempt) = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index)) else { return false };
        let trunk = attempt.target.trunk;
        let credentials = world.profiles.trunk(trunk).and_then(|profile| profile.auth.as_ref());
        let Some(credentials) = credentials else {
            // Nobody here can answer it: told as what it is, a trunk that is not set up.
            if world.profiles.trunk(trunk).is_some_and(|profile| profile.challenge == Challenge::Answer) {
                world.credentials_refused(trunk, challenge.status().unwrap_or(0));
            }
            return false;
        };
        if attempt.authorised >= tries || !world.nonces.challenged(trunk, credentials, challenge, world.rng) {
            world.credentials_refused(trunk, challenge.status().unwrap_or(0));
            return false;
        }
        attempt.authorised += 1;
        attempt.cseq += 1;
        if let Some(old) = attempt.client.take() {
            self.by_client.remove(&old);
        }
        self.send_attempt(world, slot, index, false);
        true
    }

    /// A trunk whose challenges are the caller's to answer: the hunt is over, and he comes again with what it asks for. While another
    /// attempt runs beside it, that one may need no answer.
    fn asks_caller(&mut self, world: &mut World<'_>, slot: usize, index: usize, challenge: &Message) -> bool {
        let Some(call) = self.calls.get(slot) else { return false };
        let Some(attempt) = call.attempt(index) else { return false };
        let (alone, waits, trunk) = (call.running().count() == 1, call.server.is_some(), attempt.target.trunk);
        if !alone || !waits || !world.passes_challenge(trunk, challenge) {
            return false;
        }
        let code = challenge.status().unwrap_or(401);
        self.counters.challenges_passed += 1;
        self.close_attempt(world, slot, index, AttemptOutcome::Refused { code, q850: None, retry_after: None });
        self.refuse_call(world, slot, code, Some(challenge));
        true
    }

    /// What a response says of the credentials that its INVITE bore. A 403 right after a challenge was answered, from a trunk that has
    /// never taken them, is about them; later it is about the call.
    fn note_credentials(&self, world: &mut World<'_>, slot: usize, index: usize, response: &Message) {
        let Some(attempt) = self.calls.get(slot).and_then(|call| call.attempt(index)) else { return };
        let (trunk, code) = (attempt.target.trunk, response.status().unwrap_or(0));
        if attempt.signed.is_empty() || matches!(code, 0..=100 | 401 | 407) {
            return;
        }
        if code == 403 && attempt.authorised > 0 && !world.nonces.are_proven(trunk) {
            world.credentials_refused(trunk, code);
        } else if code != 403 {
            world.nonces.accepted(trunk, response);
        }
    }

    /// Its deadline has passed.
    pub(super) fn attempt_overdue(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        let Some(attempt) = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index)) else { return };
        attempt.deadline = None;
        let after = world.now.since(attempt.sent);
        let outcome = match (attempt.first_reply, attempt.progress) {
            (_, Some(_)) => AttemptOutcome::RingTimeout { after },
            (replied, None) if attempt.cut => AttemptOutcome::CutShort { after, replied: replied.is_some() },
            (Some(_), None) => AttemptOutcome::Stalled { after },
            (None, None) => AttemptOutcome::NoReply { after },
        };
        self.leave(world, slot, index, outcome);
    }

    /// It is left, and the hunt goes on.
    pub(super) fn leave(&mut self, world: &mut World<'_>, slot: usize, index: usize, outcome: AttemptOutcome) {
        self.cancel_attempt(world, slot, index, &super::reason(408, "left for another trunk"));
        self.attempt_over(world, slot, index, outcome, None);
    }

    /// It is left since attempt `by` of the call is ahead of it. One that had shown nothing at a trunk in doubt, and was overtaken by one
    /// begun later, says what it lacked, and that is evidence; any other lost a race, and that is none.
    pub(super) fn outrun(&mut self, world: &mut World<'_>, slot: usize, index: usize, by: usize, reason: &[u8]) {
        let Some(attempt) = self.calls.get(slot).and_then(|call| call.attempt(index)) else { return };
        let (after, progressed) = (world.now.since(attempt.sent), attempt.progress.is_some());
        let overtaken = by > index && !progressed && is_doubtful(world.table.health(attempt.target));
        let outcome = match attempt.first_reply {
            Some(_) if overtaken => AttemptOutcome::Stalled { after },
            None if overtaken => AttemptOutcome::NoReply { after },
            _ => AttemptOutcome::Outrun { after, progressed },
        };
        self.cancel_attempt(world, slot, index, reason);
        self.close_attempt(world, slot, index, outcome);
        self.counters.outrun += 1;
    }

    /// CANCEL, at once or after its first provisional response. One that has said nothing so far is listened to: what it says after all
    /// shows that its trunk is slow and not dead.
    pub(super) fn cancel_attempt(&mut self, world: &mut World<'_>, slot: usize, index: usize, reason: &[u8]) {
        let Some(call) = self.calls.get(slot) else { return };
        let Some(attempt) = call.attempt(index) else { return };
        let Some(client) = attempt.client else { return };
        if attempt.first_reply.is_none() && self.left.len() < LEFT_MAX {
            self.left.insert(client, Left { target: attempt.target, call: call.call, sent: attempt.sent });
        }
        let passes = crossing_of(world.profiles, call, attempt.target).passes_reason();
        world.endpoint.cancel(world.now, client, Some(reason).filter(|_| passes));
    }

    /// Marks an attempt as over, tells control, and gives back what it held.
    pub(super) fn close_attempt(&mut self, world: &mut World<'_>, slot: usize, index: usize, outcome: AttemptOutcome) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let id = call.call;
        let Some(attempt) = call.attempt_mut(index) else { return };
        attempt.outcome = Some(outcome);
        attempt.took = world.now.since(attempt.sent);
        attempt.unheard = None;
        let tag = attempt.tag.clone();
        let (target, client, aside) = (attempt.target, attempt.client, attempt.aside.take());
        let timers = [attempt.deadline.take(), attempt.watch.take(), attempt.hedge.take()];
        world.signal(target, Observed::Attempt { call: id, outcome });
        self.note_way(world, slot, target, outcome);
        if outcome != AttemptOutcome::Answered {
            world.load.end(target.trunk);
            self.by_tag.remove(&tag);
        }
        if let Some(client) = client {
            self.by_client.remove(&client);
        }
        if let Some(side) = aside {
            release_side(world, &side);
        }
        timers.into_iter().for_each(|timer| self.cancel_timer(timer));
    }

    /// The rest of the hunt's time is its deadline, when that is less than its own limit; then it is cut short by it.
    pub(super) fn arm_within_hunt(
        &mut self,
        world: &World<'_>,
        slot: usize,
        index: usize,
        policy: &AttemptPolicy,
        limit: Span,
    ) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let rest = policy.hunt - world.now.since(call.hunt_from);
        if let Some(attempt) = call.attempt_mut(index) {
            attempt.cut = rest < limit;
        }
        self.arm_deadline(slot, index, world.now + limit.min(rest));
    }

    fn arm_deadline(&mut self, slot: usize, index: usize, at: Instant) {
        self.arm(slot, index, at, Due::Deadline, |attempt| &mut attempt.deadline);
    }

    pub(super) fn arm_watch(&mut self, slot: usize, index: usize, at: Instant) {
        self.arm(slot, index, at, Due::Watch, |attempt| &mut attempt.watch);
    }

    pub(super) fn arm_hedge(&mut self, slot: usize, index: usize, at: Instant) {
        self.arm(slot, index, at, Due::Hedge, |attempt| &mut attempt.hedge);
    }

    /// Sets one of an attempt's timers in the place of the one before.
    fn arm(
        &mut self,
        slot: usize,
        index: usize,
        at: Instant,
        due: Due,
        place: fn(&mut Attempt) -> &mut Option<sip::TimerId>,
    ) {
        let timer = self.set_timer(slot, index, at, due);
        let attempt = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index));
        let old = attempt.map_or(timer, |attempt| core::mem::replace(place(attempt), timer));
        self.cancel_timer(old);
    }
}

/// What we are able to do, as this trunk is told (RFC 3261 §20.37). A late offer is answered in the PRACK, so that a caller without
/// 100rel must not lead to a callee with it.
fn push_abilities(profile: &TrunkProfile, call: &Call, attempt: &Attempt, draft: &mut Draft) {
    session::push_first(profile.dialogs.session, attempt.min_se, &mut draft.headers);
    if profile.dialogs.reliable && (!call.late_offer || call.reliable.wanted != Wanted::Never) {
        draft.headers.push("Supported", b"100rel");
    }
    let asked = call.invite.as_ref().is_some_and(|invite| invite.named("P-Early-Media").is_some());
    if profile.dialogs.early_media == EarlyMedia::Authorised && !asked {
        draft.headers.push("P-Early-Media", b"supported");
    }
}

/// T1 is an estimate of the round trip (RFC 3261 §17.1.1.1), and of this one something is known: twice the 95th percentile of the first
/// reply, so that a lost INVITE is repeated before a learned deadline. It is never longer than configured; Timer B stays as it is.
fn paced(timers: &TimerSet, pace: Pace) -> TimerSet {
    let t1 = pace.first_reply.map_or(timers.t1, |usual| usual.times(2).max(T1_FLOOR).min(timers.t1));
    TimerSet { t1, ..*timers }
}

pub(super) fn profile_of<'a>(world: &World<'a>, target: TargetId) -> Option<(&'a TrunkProfile, Target)> {
    let profile = world.profiles.trunk(target.trunk)?;
    Some((profile, *profile.target(target.index)?))
}

pub(super) fn flow_of(target: Target) -> Flow {
    Flow { socket: target.socket, peer: target.addr, transport: target.transport }
}

pub(super) fn policy_of(world: &World<'_>, target: TargetId) -> AttemptPolicy {
    let own = || world.shape.trunk(target.trunk).map(|trunk| trunk.attempt.clone()).unwrap_or_default();
    if target == between::TARGET { between::patience() } else { own() }
}

/// The terms of the caller's trunk and of the one that is tried: each candidate has its own.
pub(super) fn crossing_of<'p>(profiles: &'p Profiles, call: &Call, target: TargetId) -> Crossing<'p> {
    profiles.crossing(Some(call.caller.trunk), Some(target.trunk), call.emergency)
}

/// Its INVITE, and whether the caller's signature was left behind.
fn attempt_draft(
    call: &Call,
    invite: &Message,
    crossing: &Crossing<'_>,
    attempt: &Attempt,
    sent_by: &sip::SentBy,
    body: Vec<u8>,
) -> (Draft, bool) {
    let mut shown = Shown::of(invite, crossing, &call.number, format!("{}", sent_by.host()).as_bytes());
    shown.divert(crossing, call.redirected.diverted());
    let uri = headers::request_uri(crossing.to, &shown.called, attempt);
    let mut headers = HeaderLines::new();
    for route in &attempt.to.routes {
        headers.push("Route", route);
    }
    headers::push_addresses(&mut headers, crossing, &shown, attempt, &uri, sent_by);
    let unsigned = headers::pass(invite, crossing, Some(&shown), &mut headers);
    headers::push_referred_by(&mut headers, invite, crossing, sent_by);
    if let Some(name) = call.names(invite) {
        headers.push("Replaces", name);
    }
    let mut draft = Draft::new(Method::Invite, uri);
    draft.headers = headers;
    // RFC 3261 §16.6 step 3: a B2BUA counts hops too, or two of them could call each other for ever.
    draft.max_forwards = invite.max_forwards().map_or(70, |hops| hops.saturating_sub(1));
    if !body.is_empty() {
        headers::push_body_type(invite, &mut draft.headers);
        draft.body = body;
    }
    (draft, unsigned)
}
