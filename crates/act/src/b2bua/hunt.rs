//! The hunt: one attempt after the other, each with its deadlines, each left exactly.
//!
//! What an outcome means for the hunt is decided in `decide`; what it says about the trunk goes to control as a signal, where the blame
//! is laid. An attempt is left by CANCEL once it has shown a provisional response; a 2xx that still comes is acknowledged and ended.
//! Refuses to know: why a trunk is better than another.

use super::call::{Attempt, Call, Phase};
use super::{ASK_EVERY, ASKS, B2bua, Due, Side, WATCH, World, headers, reason};
use crate::profile::{Target, TrunkProfile, is_service};
use alloc::format;
use alloc::vec::Vec;
use decide::{AttemptPolicy, Next, SoFar, TargetState};
use model::{AttemptOutcome, Health, Observed, Span, TargetId, TransportFault};
use sip::auth::{self, Asked};
use sip::{Answer, ClientKey, Draft, Flow, Message, Method, TimerSet};

impl B2bua {
    /// Tries the next candidate of the plan.
    pub(super) fn next_attempt(&mut self, world: &mut World<'_>, slot: usize) {
        loop {
            let Some(call) = self.calls.get_mut(slot) else { return };
            let candidate = call.plan.as_ref().ok().and_then(|plan| plan.attempts.get(call.next)).copied();
            let Some(candidate) = candidate else { return self.give_up(world, slot, None) };
            call.next += 1;
            // A reload may have taken the target away since the plan was made.
            let Some((profile, target)) = profile_of(world, candidate.target) else { continue };
            // Audio that is anchored already cannot leave by a listen without an address for it.
            if !call.audio.streams.is_empty() && world.profiles.media_of(candidate.target.trunk).is_none() {
                continue;
            }
            // Others have begun calls since the plan was made; what it said of the first attempt still holds.
            if !call.attempts.is_empty() && !has_room(world, call, candidate.target) {
                self.counters.passed_over += 1;
                continue;
            }
            let (timers, flow) = (profile.timers, flow_of(target));
            let attempt = Attempt {
                target: candidate.target,
                client: None,
                flow,
                call_id: world.endpoint.minter().call_id().as_bytes().to_vec(),
                tag: world.endpoint.minter().tag().as_bytes().to_vec(),
                cseq: 1,
                sent: world.now,
                first_reply: None,
                progress: None,
                took: Span::ZERO,
                outcome: None,
                authorised: 0,
                rings_with: None,
                asked: 0,
                session: world.rng.next_u64() >> 20,
                shown: Vec::new(),
                deadline: None,
                watch: None,
            };
            self.counters.attempts += 1;
            self.counters.hunted += u64::from(!call.attempts.is_empty());
            call.attempts.push(attempt);
            return self.send_attempt(world, slot, &timers, None);
        }
    }

    /// Sends the running attempt's INVITE; `authorization` answers its challenge.
    fn send_attempt(&mut self, world: &mut World<'_>, slot: usize, timers: &TimerSet, authorization: Option<&[u8]>) {
        let body = match self.offer(world, slot) {
            Ok(body) => body,
            Err(code) => return self.refuse_unsent(world, slot, code),
        };
        let Some(call) = self.calls.get_mut(slot) else { return };
        let (Some(invite), Some(attempt)) = (call.invite.as_ref(), call.attempts.last_mut()) else { return };
        let Some(sent_by) = world.endpoint.sent_by(attempt.flow.socket) else {
            return self.attempt_over(world, slot, AttemptOutcome::Unreachable { fault: TransportFault::Local }, None);
        };
        let mut draft = attempt_draft(invite, attempt, &call.called, sent_by, authorization, body);
        let target = attempt.target;
        draft.overload = world.profiles.trunk(target.trunk).is_some_and(|profile| profile.overload);
        let first = authorization.is_none();
        let sent = world.endpoint.request(world.now, attempt.flow, draft, timers);
        attempt.client = sent.ok();
        if first {
            world.load.begin(world.now, target.trunk);
            let call = call.call;
            world.signal(target, Observed::AttemptStarted { call });
        }
        let Ok(client) = sent else {
            return self.attempt_over(world, slot, AttemptOutcome::Unreachable { fault: TransportFault::Local }, None);
        };
        self.by_client.insert(client, slot);
        if first {
            let policy = policy_of(world, target);
            let limit = self.within_hunt(world, slot, &policy, policy.first_reply);
            self.arm_deadline(slot, world.now + limit);
            self.arm_watch(slot, world.now + WATCH);
        }
    }

    /// The call cannot be offered to anyone: its SDP is nonsense, or no port is free.
    fn refuse_unsent(&mut self, world: &mut World<'_>, slot: usize, code: u16) {
        if let Some(call) = self.calls.get_mut(slot) {
            // Nothing was sent, so nothing is an attempt.
            call.attempts.pop();
        }
        self.refuse_call(world, slot, code, None);
    }

    /// A response to the running attempt.
    pub(super) fn attempt_response(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        client: ClientKey,
        code: u16,
        message: &Message,
    ) {
        self.note_first_reply(world, slot);
        self.note_overload(world, slot, message);
        if self.still_rings(slot, code) {
            return;
        }
        match code {
            0..=100 => {}
            101..=199 => self.progress(world, slot, message),
            200..=299 => {
                self.note_progress(world, slot);
                self.answered(world, slot, client, message);
            }
            300..=399 => self.attempt_over(world, slot, AttemptOutcome::Redirected { code }, Some(message)),
            401 | 407 if self.authorise(world, slot, message) => {}
            _ => {
                let outcome =
                    AttemptOutcome::Refused { code, q850: message.q850(), retry_after: message.retry_after() };
                self.attempt_over(world, slot, outcome, Some(message));
            }
        }
    }

    /// Any response shows that the attempt lives. True when it only says again, because it was asked, that it rings.
    fn still_rings(&mut self, slot: usize, code: u16) -> bool {
        let Some(attempt) = self.calls.get_mut(slot).and_then(Call::running_mut) else { return false };
        let was_asked = core::mem::take(&mut attempt.asked) > 0;
        let again = was_asked && attempt.rings_with == Some(code);
        if (101..200).contains(&code) {
            attempt.rings_with = Some(code);
        }
        again
    }

    /// Any response may say how many calls its trunk wants, 100 too (RFC 7339 §5.11).
    fn note_overload(&self, world: &mut World<'_>, slot: usize, message: &Message) {
        let Some(attempt) = self.calls.get(slot).and_then(|call| call.attempts.last()) else { return };
        let target = attempt.target;
        let heeded = world.profiles.trunk(target.trunk).is_some_and(|profile| profile.overload);
        if let Some(told) = message.overload().filter(|_| heeded) {
            world.signal(target, Observed::Overload { wish: told.wish, validity: told.validity, seq: told.seq });
        }
    }

    fn note_first_reply(&mut self, world: &mut World<'_>, slot: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let id = call.call;
        let Some(attempt) = call.running_mut().filter(|attempt| attempt.first_reply.is_none()) else { return };
        let after = world.now.since(attempt.sent);
        attempt.first_reply = Some(after);
        let target = attempt.target;
        world.signal(target, Observed::FirstReply { call: id, after });
        let policy = policy_of(world, target);
        let limit = self.within_hunt(world, slot, &policy, policy.progress);
        self.arm_deadline(slot, world.now + limit);
    }

    /// A provisional response other than 100: the caller hears of it, and from now on the ring deadline counts.
    fn progress(&mut self, world: &mut World<'_>, slot: usize, message: &Message) {
        if let Some(target) = self.note_progress(world, slot) {
            let ring = policy_of(world, target).ring;
            self.arm_deadline(slot, world.now + ring);
        }
        self.relay_progress(world, slot, message);
    }

    /// The running attempt's first response other than 100; its target, when this was it.
    fn note_progress(&mut self, world: &mut World<'_>, slot: usize) -> Option<TargetId> {
        let call = self.calls.get_mut(slot)?;
        let id = call.call;
        let attempt = call.running_mut().filter(|attempt| attempt.progress.is_none())?;
        let (target, after) = (attempt.target, world.now.since(attempt.sent));
        attempt.progress = Some(after);
        world.signal(target, Observed::Progress { call: id, after });
        Some(target)
    }

    fn relay_progress(&mut self, world: &mut World<'_>, slot: usize, message: &Message) {
        // An SDP that cannot be read is left out: the answer of the 200 is the one that counts (RFC 3261 §13.2.1).
        let body = self.bridge(world, slot, Side::Callee, message).unwrap_or_default();
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(server) = call.server else { return };
        call.phase = Phase::Ringing;
        call.progressed.get_or_insert(world.now);
        let mut answer = Answer::new(message.status().unwrap_or(180));
        answer.phrase = Some(message.reason_phrase().to_vec());
        answer.to_tag = Some(call.caller.dialog.local_tag.clone());
        headers::pass(message, &mut answer.headers);
        if let Some(sent_by) = world.endpoint.sent_by(call.caller.flow.socket) {
            headers::push_contact(&mut answer.headers, sent_by);
        }
        if !body.is_empty() {
            headers::push_body_type(message, &mut answer.headers);
            answer.body = body;
        }
        world.endpoint.respond(world.now, server, answer);
    }

    /// Answers a challenge with the trunk's credentials: once, and once more when only the nonce was too old.
    fn authorise(&mut self, world: &mut World<'_>, slot: usize, challenge: &Message) -> bool {
        let Some(call) = self.calls.get_mut(slot) else { return false };
        let called = call.called.clone();
        let tries = if auth::is_stale(challenge) { 2 } else { 1 };
        let Some(attempt) = call.running_mut().filter(|attempt| attempt.authorised < tries) else { return false };
        let Some(profile) = world.profiles.trunk(attempt.target.trunk) else { return false };
        let Some(credentials) = profile.auth.as_ref() else { return false };
        let uri = request_uri(&called, attempt);
        let cnonce = format!("{:016x}", world.rng.next_u64());
        let asked = Asked { method: "INVITE", uri: &uri, cnonce: &cnonce, count: 1 };
        let Ok(line) = auth::answer(challenge, credentials, asked) else { return false };
        attempt.authorised += 1;
        attempt.cseq += 1;
        if let Some(old) = attempt.client.take() {
            self.by_client.remove(&old);
        }
        let timers = profile.timers;
        self.send_attempt(world, slot, &timers, Some(&line));
        true
    }

    /// The running attempt's deadline has passed.
    pub(super) fn attempt_overdue(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        let Some(call) = self.calls.get_mut(slot).filter(|call| call.attempts.len() == index + 1) else { return };
        let Some(attempt) = call.running_mut() else { return };
        attempt.deadline = None;
        let after = world.now.since(attempt.sent);
        let outcome = match (attempt.first_reply, attempt.progress) {
            (_, Some(_)) => AttemptOutcome::RingTimeout { after },
            (Some(_), None) => AttemptOutcome::Stalled { after },
            (None, None) => AttemptOutcome::NoReply { after },
        };
        self.leave(world, slot, outcome);
    }

    /// The running attempt is looked at. While it shows no progress, control is told how long it waits, and it is left for a
    /// better trunk as soon as the table says that its own is in doubt: so a trunk that falls silent costs those in flight no
    /// more than those who come later.
    pub(super) fn watch_attempt(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        let Some(call) = self.calls.get_mut(slot).filter(|call| call.attempts.len() == index + 1) else { return };
        let id = call.call;
        let Some(attempt) = call.running_mut() else { return };
        attempt.watch = None;
        let (target, after, trying) = (attempt.target, world.now.since(attempt.sent), attempt.first_reply.is_some());
        let rings = attempt.progress.is_some();
        if !rings {
            world.signal(target, Observed::Waiting { call: id, after, trying });
        }
        if self.has_better(world, slot, target) {
            if rings && world.table.target(target).is_some_and(TargetState::is_silent) {
                return self.ask_after(world, slot);
            }
            if rings {
                return self.arm_watch(slot, world.now + WATCH);
            }
            let outcome = if trying { AttemptOutcome::Stalled { after } } else { AttemptOutcome::NoReply { after } };
            return self.leave(world, slot, outcome);
        }
        self.arm_watch(slot, world.now + WATCH);
    }

    /// An attempt rings at a trunk of which nothing is heard any more. Whether it still does, its own transaction tells: it answers a repeated INVITE
    /// with its last provisional response (RFC 3261 §17.2.1). A trunk that refuses calls is not asked: it may refuse this one too,
    /// which it would have put through. One that says it rings is left in peace; one that has nothing to say any
    /// more would keep its caller listening to a ringback for ever.
    fn ask_after(&mut self, world: &mut World<'_>, slot: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(attempt) = call.running_mut() else { return };
        if attempt.asked >= ASKS {
            let after = world.now.since(attempt.sent);
            // Its caller has a hunt before him again.
            call.hunt_from = world.now;
            return self.leave(world, slot, AttemptOutcome::WentSilent { after });
        }
        if attempt.client.is_some_and(|client| world.endpoint.ask_again(client)) {
            attempt.asked += 1;
            self.counters.asked_after += 1;
        }
        self.arm_watch(slot, world.now + ASK_EVERY);
    }

    /// The target of the running attempt is in doubt or down, and a candidate to come is not, nor is it on Probation: whoever is
    /// outside its share is tried after those in doubt.
    fn has_better(&self, world: &World<'_>, slot: usize, target: TargetId) -> bool {
        let doubtful = |health: Health| matches!(health, Health::Suspect | Health::Down);
        let good = |health: Health| matches!(health, Health::Up | Health::Unknown);
        let Some(call) = self.calls.get(slot) else { return false };
        let coming = call.plan.as_ref().ok().and_then(|plan| plan.attempts.get(call.next..)).unwrap_or_default();
        doubtful(world.table.health(target))
            && coming.iter().any(|next| {
                next.target.trunk != target.trunk
                    && good(world.table.health(next.target))
                    && has_room(world, call, next.target)
            })
    }

    /// Leaves the running attempt: CANCEL, at once or after its first provisional response.
    fn leave(&mut self, world: &mut World<'_>, slot: usize, outcome: AttemptOutcome) {
        if let Some(client) = self.calls.get(slot).and_then(|call| call.running()).and_then(|attempt| attempt.client) {
            world.endpoint.cancel(world.now, client, Some(&reason(408, "left for another trunk")));
        }
        self.attempt_over(world, slot, outcome, None);
    }

    /// The running attempt is over; the verdict says what follows.
    pub(super) fn attempt_over(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        outcome: AttemptOutcome,
        said: Option<&Message>,
    ) {
        self.close_attempt(world, slot, outcome);
        let Some(call) = self.calls.get(slot) else { return };
        let Some(target) = call.attempts.last().map(|attempt| attempt.target) else { return };
        let so_far = SoFar {
            elapsed: world.now.since(call.hunt_from),
            left: call.plan.as_ref().map_or(0, |plan| plan.attempts.len().saturating_sub(call.next)),
            progress_relayed: call.progressed.is_some(),
        };
        match decide::after(&policy_of(world, target), &outcome, &so_far) {
            Next::Next => self.next_attempt(world, slot),
            Next::Stop { .. } => self.give_up(world, slot, said),
        }
    }

    /// Marks the running attempt as over, and tells control.
    pub(super) fn close_attempt(&mut self, world: &mut World<'_>, slot: usize, outcome: AttemptOutcome) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let id = call.call;
        let Some(attempt) = call.running_mut() else { return };
        attempt.outcome = Some(outcome);
        attempt.took = world.now.since(attempt.sent);
        let (target, client) = (attempt.target, attempt.client);
        let timers = [attempt.deadline.take(), attempt.watch.take()];
        world.signal(target, Observed::Attempt { call: id, outcome });
        if outcome != AttemptOutcome::Answered {
            world.load.end(target.trunk);
        }
        if let Some(client) = client {
            self.by_client.remove(&client);
        }
        timers.into_iter().for_each(|timer| self.cancel_timer(timer));
    }

    /// The caller hears the best of all refusals.
    fn give_up(&mut self, world: &mut World<'_>, slot: usize, said: Option<&Message>) {
        let Some(call) = self.calls.get(slot) else { return };
        let outcomes: Vec<AttemptOutcome> = call.attempts.iter().filter_map(|attempt| attempt.outcome).collect();
        let code = decide::final_code(&outcomes);
        self.refuse_call(world, slot, code, said);
    }

    /// The rest of the hunt's time, when that is less.
    fn within_hunt(&self, world: &World<'_>, slot: usize, policy: &AttemptPolicy, limit: Span) -> Span {
        let elapsed = self.calls.get(slot).map_or(Span::ZERO, |call| world.now.since(call.hunt_from));
        limit.min(policy.hunt - elapsed)
    }

    fn arm_deadline(&mut self, slot: usize, at: model::Instant) {
        let timer = self.set_timer(slot, at, Due::Deadline);
        let old = self
            .calls
            .get_mut(slot)
            .and_then(|call| call.running_mut())
            .map(|attempt| core::mem::replace(&mut attempt.deadline, timer));
        self.cancel_timer(old.flatten());
    }

    fn arm_watch(&mut self, slot: usize, at: model::Instant) {
        let timer = self.set_timer(slot, at, Due::Watch);
        let old = self
            .calls
            .get_mut(slot)
            .and_then(|call| call.running_mut())
            .map(|attempt| core::mem::replace(&mut attempt.watch, timer));
        self.cancel_timer(old.flatten());
    }
}

fn profile_of<'a>(world: &World<'a>, target: TargetId) -> Option<(&'a TrunkProfile, Target)> {
    let profile = world.profiles.trunk(target.trunk)?;
    Some((profile, *profile.targets.get(usize::from(target.index))?))
}

/// Whether a trunk may still be offered this call, which another one has failed.
fn has_room(world: &World<'_>, call: &Call, target: TargetId) -> bool {
    let emergency = call.plan.as_ref().is_ok_and(|plan| plan.emergency);
    let limits = world.shape.trunk(target.trunk).map(|trunk| trunk.limits).unwrap_or_default();
    emergency || world.load.has_room(world.now, target.trunk, &limits)
}

fn flow_of(target: Target) -> Flow {
    Flow { socket: target.socket, peer: target.addr, transport: target.transport }
}

fn policy_of(world: &World<'_>, target: TargetId) -> AttemptPolicy {
    world.shape.trunk(target.trunk).map(|trunk| trunk.attempt.clone()).unwrap_or_default()
}

fn request_uri(called: &[u8], attempt: &Attempt) -> Vec<u8> {
    let mut uri = b"sip:".to_vec();
    if !called.is_empty() {
        uri.extend_from_slice(called);
        uri.push(b'@');
    }
    uri.extend_from_slice(format!("{}", attempt.flow.peer).as_bytes());
    uri
}

fn attempt_draft(
    invite: &Message,
    attempt: &Attempt,
    called: &[u8],
    sent_by: core::net::SocketAddr,
    authorization: Option<&[u8]>,
    body: Vec<u8>,
) -> Draft {
    let uri = if is_service(invite.uri()) { invite.uri().to_vec() } else { request_uri(called, attempt) };
    let mut draft = Draft::new(Method::Invite, uri);
    // RFC 3261 §16.6 step 3: a B2BUA counts hops too, or two of them could call each other for ever.
    draft.max_forwards = invite.max_forwards().map_or(70, |hops| hops.saturating_sub(1));
    headers::push_addresses(&mut draft.headers, invite, attempt, called, sent_by);
    headers::pass(invite, &mut draft.headers);
    if let Some(line) = authorization {
        draft.headers.push_raw(line);
    }
    if !body.is_empty() {
        headers::push_body_type(invite, &mut draft.headers);
        draft.body = body;
    }
    draft
}
