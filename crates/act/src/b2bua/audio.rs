//! Who of an answered call is heard: looked at by a timer of the call, told to those who judge trunks, and acted on.
//!
//! What is to be done is decided in `decide`; here it is seen and done. A party that is heard no more is asked in its dialog whether it is
//! there: audio that stopped alone may come back, and a peer that is gone for good will not. Refuses to know: when silence is a fault.

use super::call::{Call, Side};
use super::challenge::Again;
use super::ear::{Ear, Question};
use super::reanchor::{Moving, places_after};
use super::{B2bua, Due, World, attempt, headers};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::discriminant;
use decide::{AudioPolicy, Midcall, Note, Noted, Rescue, Step, Whose};
use media::PairId;
use model::{Health, Instant, MediaOutcome, Observed, Span, TargetId, TrunkId};
use sip::{ClientKey, Failure, Message, Method, TimerId, TimerSet};
use smallvec::SmallVec;

/// When it is looked for the first time after the answer.
const FIRST_LOOK: Span = Span::from_secs(1);
/// A peer has at least so long to answer: its question is repeated twice meanwhile.
const ANSWERS_WITHIN: Span = Span::from_secs(1);
/// The first repetition of the question.
const T1: Span = Span::from_millis(250);
/// Reports come so often at least (RFC 3550 §6.2).
const REPORTS: Span = Span::from_secs(15);
/// Steps at one look at most; each leads to the next at once, or to none.
const STEPS_MAX: usize = 4;
/// How often what is to be done is put off in one call, and for how long, while there is no port for it: more are opened meanwhile.
const WAITS_MAX: u8 = 20;
const PUT_OFF: Span = Span::from_millis(100);
/// How often a party of a call may be called again.
const RESCUES_MAX: u8 = 2;
/// Why a call ends whose party is gone.
const LOST: &str = "a party was heard no more and did not answer";
/// Why a call ends in which nobody is heard.
const DEAD: &str = "no audio came from either party";

/// Who of a call is heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Listening {
    timer: Option<TimerId>,
    /// The caller's and the callee's; none before the answer, or when its audio is not anchored.
    pub(super) ears: Option<[Ear; 2]>,
    /// A side's audio is being moved to another interface.
    pub(super) moving: Option<Box<Moving>>,
    /// How often that met an offer of its peer.
    pub(super) glared: u8,
    /// The INVITE itself, when the party it led to may be called again.
    pub(super) invite: Option<Box<Message>>,
    pub(super) notes: Vec<Noted>,
    /// How often one of its parties was called again.
    pub(super) rescues: u8,
    /// How often what is to be done was put off, since there was no port for it.
    waited: u8,
}

impl Listening {
    pub(super) fn ear(&self, side: Side) -> Option<&Ear> {
        self.ears.as_ref().map(|ears| &ears[place(side)])
    }

    pub(super) fn ear_mut(&mut self, side: Side) -> Option<&mut Ear> {
        self.ears.as_mut().map(|ears| &mut ears[place(side)])
    }

    pub(super) fn tells_mut(&mut self, side: Side) -> Option<&mut bool> {
        self.ear_mut(side).map(|ear| &mut ear.tells)
    }

    /// A peer was asked by this request whether it is there, or its audio is moved by it.
    pub(super) fn waits_for(&self, client: ClientKey) -> bool {
        self.moves_by(client) || self.asks_by(client)
    }

    pub(super) fn moves_by(&self, client: ClientKey) -> bool {
        self.moving.as_ref().is_some_and(|moving| moving.waits_for(client))
    }

    fn asks_by(&self, client: ClientKey) -> bool {
        self.ears.iter().flatten().any(|ear| ear.question.client() == Some(client))
    }
}

pub(super) const fn place(side: Side) -> usize {
    match side {
        Side::Caller => 0,
        Side::Callee => 1,
    }
}

pub(super) const fn whose(side: Side) -> Whose {
    match side {
        Side::Caller => Whose::Caller,
        Side::Callee => Whose::Callee,
    }
}

const fn side_of(whose: Whose) -> Side {
    match whose {
        Whose::Caller => Side::Caller,
        Whose::Callee => Side::Callee,
    }
}

impl Call {
    /// Our pair at which a side's audio comes in: the first stream is the audio.
    pub(super) fn pair_of(&self, side: Side) -> Option<PairId> {
        let stream = self.audio.streams.iter().flatten().next()?;
        Some(match side {
            Side::Caller => stream.caller.0,
            Side::Callee => stream.callee.0,
        })
    }

    pub(super) fn note(&mut self, at: Instant, side: Side, what: Note) {
        decide::note(&mut self.listening.notes, Noted { at, whose: whose(side), what });
    }

    /// The target of a trunk that a leg is at, when it is at one.
    pub(super) fn target_of(&self, world: &World<'_>, side: Side) -> Option<TargetId> {
        let leg = self.leg(side)?;
        let way = leg.way();
        let exactly = || world.target_at(leg.trunk, way);
        // One that calls from another port than it is called at is the same peer.
        let by_host = || {
            let targets = &world.profiles.trunk(leg.trunk)?.targets;
            let target = targets.iter().find(|target| target.addr.ip() == way.peer.ip())?;
            Some(TargetId { trunk: leg.trunk, index: target.index })
        };
        exactly().or_else(by_host)
    }
}

impl B2bua {
    /// The call has two parties from now on: it is listened to, when its audio comes by us.
    pub(super) fn listen(&mut self, world: &mut World<'_>, slot: usize) {
        self.believe_tellers(world, slot);
        let Some(call) = self.calls.get_mut(slot) else { return };
        let presence = |side| world.relay.presence(world.now, call.pair_of(side)?);
        let (Some(caller), Some(callee)) = (presence(Side::Caller), presence(Side::Callee)) else { return };
        call.listening.ears = Some([Ear::new(world.now, &caller), Ear::new(world.now, &callee)]);
        self.look_again(slot, world.now + FIRST_LOOK);
    }

    fn look_again(&mut self, slot: usize, at: Instant) {
        let timer = self.set_timer(slot, 0, at, Due::Audio);
        let old = self.calls.get_mut(slot).and_then(|call| core::mem::replace(&mut call.listening.timer, timer));
        self.cancel_timer(old);
    }

    /// It is time to look who is heard.
    pub(super) fn audio_due(&mut self, world: &mut World<'_>, slot: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        call.listening.timer = None;
        let (back, forgotten) = hear(world, call);
        self.counters.audio_back += back;
        for client in forgotten {
            self.by_client.remove(&client);
        }
        self.hear_tellers(world, slot, false);
        let waited = self.waited(slot);
        for _ in 0..STEPS_MAX {
            let Some(state) = self.state_of(world, slot) else { return };
            self.note_silence(world, slot, &state);
            if let Some(call) = self.calls.get_mut(slot) {
                self.counters.audio_poor += tell(world, call, &state, false);
            }
            let verdict = decide::midcall(&state);
            if verdict.step == Step::Leave {
                return self.look_again(slot, world.now + verdict.look);
            }
            self.take_step(world, slot, verdict.step);
            if self.calls.get(slot).is_none_or(|call| call.listening.ears.is_none()) {
                return;
            }
            if self.waited(slot) > waited {
                return self.look_again(slot, world.now + PUT_OFF);
            }
        }
        self.look_again(slot, world.now + T1);
    }

    fn waited(&self, slot: usize) -> u8 {
        self.calls.get(slot).map_or(0, |call| call.listening.waited)
    }

    /// There is no port for what is to be done. False when that was so too often: then it is to fail.
    pub(super) fn put_off(&mut self, slot: usize) -> bool {
        let Some(call) = self.calls.get_mut(slot).filter(|call| call.listening.waited < WAITS_MAX) else {
            return false;
        };
        call.listening.waited += 1;
        self.counters.audio_waited += 1;
        true
    }

    fn take_step(&mut self, world: &mut World<'_>, slot: usize, step: Step) {
        match step {
            Step::Leave => {}
            Step::Relatch(whose) => self.relatch(world, slot, side_of(whose)),
            Step::Ask(whose) => self.ask_peer(world, slot, side_of(whose)),
            Step::Move(whose) => self.move_audio(world, slot, side_of(whose)),
            Step::Rescue(whose) => self.rescue(world, slot, side_of(whose)),
            Step::Lost(_) => {
                self.counters.audio_lost += 1;
                self.end_both(world, slot, LOST);
            }
            Step::Dead => {
                self.counters.audio_dead += 1;
                self.end_both(world, slot, DEAD);
            }
        }
    }

    /// The call as it is judged; none when it is not listened to.
    fn state_of(&self, world: &World<'_>, slot: usize) -> Option<Midcall> {
        let call = self.calls.get(slot)?;
        let party = |side: Side| {
            let trunk = call.leg(side)?.trunk;
            let policy = policy_of(world, trunk);
            let mut party = call.listening.ear(side)?.party(world.now, policy);
            let target = call.target_of(world, side);
            party.doubted =
                target.is_some_and(|target| matches!(world.table.health(target), Health::Suspect | Health::Down));
            let allowed = match side {
                Side::Callee => policy.rescue != Rescue::Off || call.emergency,
                Side::Caller => policy.rescue == Rescue::Both,
            };
            let is_trunk = !world.is_phones(trunk) && trunk != TrunkId::BETWEEN_SHARDS;
            party.may_be_called = allowed && is_trunk && self.may_rescue(world, call, side);
            let moves = call.listening.ear(side).map_or(0, |ear| ear.moves);
            party.interfaces = if is_trunk { places_after(world, trunk, moves, call, side) } else { 0 };
            Some(party)
        };
        Some(Midcall {
            caller: party(Side::Caller)?,
            callee: party(Side::Callee)?,
            occupied: call.is_occupied() || !call.relayed.is_empty(),
            rescues: RESCUES_MAX.saturating_sub(call.listening.rescues),
        })
    }

    fn note_silence(&mut self, world: &World<'_>, slot: usize, state: &Midcall) {
        for side in [Side::Caller, Side::Callee] {
            let (party, other) = (state.party(whose(side)), state.party(whose(side.other())));
            self.note_keyless(world, slot, side, party.is_silent());
            let Some(call) = self.calls.get_mut(slot) else { return };
            let Some(ear) = call.listening.ear_mut(side) else { return };
            let heard = if party.is_deaf() && other.speaks() && !ear.deaf {
                ear.deaf = true;
                self.counters.audio_deaf += 1;
                Some(Note::Deaf { after: party.unheard.unwrap_or_default() })
            } else if ear.deaf && party.expected && party.unheard.is_none() {
                ear.deaf = false;
                // Who reports no more has not said that anything arrives.
                party.reported.is_some_and(|ago| ago < REPORTS).then_some(Note::Hears)
            } else {
                None
            };
            if let Some(what) = heard {
                call.note(world.now, side, what);
            }
            let Some(ear) = call.listening.ear_mut(side) else { return };
            // While nobody was ever heard nobody is missed.
            if party.is_silent() && !ear.silent && (party.ever || other.ever) {
                ear.silent = true;
                self.counters.audio_silent += 1;
                let what = Note::Silent { after: party.quiet, never: !party.ever, other_speaks: other.speaks() };
                call.note(world.now, side, what);
            }
        }
    }

    /// The call is over: what was heard of it until now.
    pub(super) fn hear_out(&mut self, world: &mut World<'_>, slot: usize) {
        self.hear_tellers(world, slot, true);
        let Some(call) = self.calls.get_mut(slot) else { return };
        let (_, forgotten) = hear(world, call);
        for client in forgotten {
            self.by_client.remove(&client);
        }
        if let Some(state) = self.state_of(world, slot) {
            // Whoever ends a call without a word heard may not have waited for its limit.
            [Side::Caller, Side::Callee].into_iter().for_each(|side| self.note_keyless(world, slot, side, true));
            let Some(call) = self.calls.get_mut(slot) else { return };
            self.counters.audio_poor += tell(world, call, &state, true);
        }
        self.drop_moving(world, slot);
        self.stop_listening(slot);
    }

    /// Nobody listens any more.
    pub(super) fn stop_listening(&mut self, slot: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let timer = call.listening.timer.take();
        let asked = call.listening.ears.take();
        for client in asked.iter().flatten().filter_map(|ear| ear.question.client()) {
            self.by_client.remove(&client);
        }
        self.cancel_timer(timer);
    }

    /// Its audio is taken from whoever at its address sends it.
    fn relatch(&mut self, world: &mut World<'_>, slot: usize, side: Side) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let pairs = call.audio.streams.iter().flatten().map(|stream| match side {
            Side::Caller => stream.caller.0,
            Side::Callee => stream.callee.0,
        });
        pairs.for_each(|pair| world.relay.relatch(pair));
        let refused = call.pair_of(side).and_then(|pair| world.relay.presence(world.now, pair)).map(|now| now.refused);
        let Some(ear) = call.listening.ear_mut(side) else { return };
        (ear.relatched, ear.tried) = (true, Some(world.now));
        // Where nobody else has knocked nothing was changed by it.
        if refused.is_some_and(|refused| refused > ear.refused) {
            self.counters.audio_relatched += 1;
            call.note(world.now, side, Note::Relatched);
        }
    }

    /// It is asked in its dialog whether it is there: by OPTIONS, which changes nothing (RFC 3261 §11).
    fn ask_peer(&mut self, world: &mut World<'_>, slot: usize, side: Side) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let target = call.target_of(world, side);
        let Some(leg) = call.leg_mut(side).filter(|leg| !leg.gone) else { return };
        let mut draft = leg.dialog.request(Method::Options);
        if let Some(sent_by) = world.endpoint.sent_by(leg.flow.socket) {
            headers::push_contact(&mut draft.headers, &sent_by);
        }
        draft.headers.push("Accept", b"application/sdp");
        let timers = world.timers_of(leg.trunk);
        let timers = TimerSet { t1: timers.t1.min(T1), ..timers };
        let mut again = Again::new(Some(leg.trunk), draft, leg.way(), timers);
        let sent = again.send(world);
        let within = target.map_or(ANSWERS_WITHIN, |target| {
            // It is no last candidate: what it usually takes is enough.
            attempt::policy_of(world, target).first_reply_within(world.paces.of(target), 1).max(ANSWERS_WITHIN)
        });
        let Some(ear) = call.listening.ear_mut(side) else { return };
        // What could not be sent here says nothing of who is there.
        ear.question = sent.map_or(Question::Alive(world.now), |client| Question::Sent {
            client,
            at: world.now,
            until: world.now + within,
        });
        if let Some(client) = sent {
            self.counters.audio_asked += 1;
            self.by_client.insert(client, slot);
        }
    }

    /// A peer that was asked says something. That it wants credentials, or does not know the method, shows that it is there.
    pub(super) fn peer_replied(&mut self, world: &mut World<'_>, slot: usize, client: ClientKey, code: u16) {
        if code < 200 {
            return;
        }
        self.by_client.remove(&client);
        // RFC 3261 §12.2.1.2: the dialog is gone on the far side.
        if matches!(code, 408 | 481) {
            self.settle_question(world, slot, client, Question::Dead(None), |_| Note::Refused { code });
        } else {
            self.settle_question(world, slot, client, Question::Alive(world.now), |after| Note::Alive { after });
        }
    }

    /// It did not reply, or could not be reached.
    pub(super) fn peer_failed(&mut self, world: &mut World<'_>, slot: usize, client: ClientKey, why: Failure) {
        self.by_client.remove(&client);
        let side = self.calls.get(slot).and_then(|call| call.asked_by(client));
        let target = side.and_then(|side| self.calls.get(slot)?.target_of(world, side));
        if let (Failure::Unreachable(fault), Some(target)) = (why, target) {
            world.signal(target, Observed::Transport { fault });
        }
        self.settle_question(world, slot, client, Question::Dead(None), |after| match why {
            Failure::Unreachable(_) => Note::Unreachable,
            Failure::NoReply => Note::NoReply { after },
        });
    }

    fn settle_question(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        client: ClientKey,
        question: Question,
        note: impl FnOnce(Span) -> Note,
    ) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(side) = call.asked_by(client) else { return };
        let Some(ear) = call.listening.ear_mut(side) else { return };
        let sent = core::mem::replace(&mut ear.question, question);
        // What is known already is not noted again.
        match sent {
            Question::Sent { at, .. } => call.note(world.now, side, note(world.now.since(at))),
            Question::Dead(_) if matches!(question, Question::Alive(_)) => {
                let after = call.listening.ear(side).map_or(Span::ZERO, |ear| world.now.since(ear.since));
                call.note(world.now, side, note(after));
            }
            _ => {}
        }
        self.audio_due(world, slot);
    }
}

impl Call {
    /// The side that was asked by this request.
    fn asked_by(&self, client: ClientKey) -> Option<Side> {
        let asked = |side: &Side| self.listening.ear(*side).is_some_and(|ear| ear.question.client() == Some(client));
        [Side::Caller, Side::Callee].into_iter().find(asked)
    }
}

pub(super) fn policy_of(world: &World<'_>, trunk: TrunkId) -> AudioPolicy {
    world.shape.trunk(trunk).map(|trunk| trunk.audio).unwrap_or_default()
}

/// What came since it was looked at last. What one was asked who is heard again, or need not be, is of no interest any more: its requests
/// are to be forgotten. How many are heard again.
fn hear(world: &World<'_>, call: &mut Call) -> (u64, SmallVec<[ClientKey; 2]>) {
    let (mut back, mut forgotten) = (0, SmallVec::new());
    for side in [Side::Caller, Side::Callee] {
        let Some(pair) = call.pair_of(side) else { continue };
        let (presence, heard) = (world.relay.presence(world.now, pair), world.relay.heard(world.now, pair));
        let is_held = call.leg(side).is_some_and(|leg| policy_of(world, leg.trunk).mos.is_some());
        let (Some(presence), Some(ear)) = (presence, call.listening.ear_mut(side)) else { continue };
        let missed = ear.hear(world.now, &presence);
        let heard = heard.unwrap_or_default();
        (ear.pauses, ear.loss) = (heard.pauses, heard.loss_permille);
        ear.mos = is_held.then(|| world.relay.mos(world.now, pair)).flatten();
        if !ear.silent {
            ear.refused = presence.refused;
            forgotten.extend(core::mem::take(&mut ear.question).client());
        }
        if let Question::Sent { client, until, at } = ear.question
            && world.now >= until
        {
            ear.question = Question::Dead(Some(client));
            call.note(world.now, side, Note::NoReply { after: until.since(at) });
        }
        if let Some(after) = missed {
            back += 1;
            call.note(world.now, side, Note::Back { after });
        }
    }
    (back, forgotten)
}

/// What is heard of each party is told to those who judge its trunk, when it changes and at the end. How many sound poor for the first time.
fn tell(world: &mut World<'_>, call: &mut Call, state: &Midcall, last: bool) -> u64 {
    let mut poor = 0;
    for side in [Side::Caller, Side::Callee] {
        let outcome = decide::outcome(state.party(whose(side)), state.party(whose(side.other())));
        let (Some(outcome), Some(target)) = (outcome, call.target_of(world, side)) else { continue };
        let Some(ear) = call.listening.ear_mut(side) else { continue };
        if last || ear.told.is_none_or(|told| discriminant(&told) != discriminant(&outcome)) {
            ear.told = Some(outcome);
            world.signal(target, Observed::Media { call: call.call, outcome });
        }
        if let MediaOutcome::Poor { mos, limit } = outcome
            && !core::mem::replace(&mut ear.poor, true)
        {
            poor += 1;
            call.note(world.now, side, Note::Poor { mos, limit });
        }
    }
    poor
}
