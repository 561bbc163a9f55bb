//! The back-to-back user agent of one shard: every call it holds, and the way each event takes to its call.
//!
//! Two dialogs per call, one towards the caller and one towards the callee; what happens on one is done on the other. Refuses to know:
//! sockets, threads, how trunks are judged.

mod answer;
mod arrival;
mod ask;
mod attempt;
mod audio;
mod beside;
mod between;
mod body;
mod bridge;
mod bye;
mod call;
mod challenge;
mod closing;
mod connectivity;
mod counters;
mod digits;
mod drilled;
mod ear;
mod early;
mod early_media;
mod ended;
mod glare;
mod headers;
mod hunt;
mod indialog;
mod invite;
mod keyless;
mod locks;
mod notify;
mod page;
mod parting;
mod party;
mod phones;
mod reanchor;
mod redirect;
mod refer;
mod reinvite;
mod reliable;
mod replaces;
mod rescue;
mod session;
mod speech;
mod streams;
mod telling;
mod transfer;
mod way;

pub use arrival::CallPlace;
pub use call::{Phase, Side};
pub(crate) use challenge::push_challenges;
pub use counters::Counters;
pub use ended::{EndedAttempt, EndedCall, Ending, LiveAttempt, LiveCall};
pub use headers::{ALLOW, is_of_a_leg};
pub use phones::Phones;
pub(crate) use way::reach;
pub use way::way_anew;

use crate::drill::Drill;
use crate::nonces::Nonces;
use crate::ports::Ports;
use crate::profile::Profiles;
use crate::registrar::Bound;
use crate::service_routes::ServiceRoutes;
use crate::tolls::Tolls;
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use call::{Call, Leg};
use challenge::{Again, LastWord};
use core::net::SocketAddr;
use decide::{Barred, Load, RetryBudget, Shape, TrunkTable};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use media::Relay;
use model::{AttemptOutcome, CallRef, Health, Instant, Observed, Paces, Rng, ShardId, Signal, TargetId};
use sip::{
    Answer, ClientKey, Dialog, Endpoint, Event, Failure, Flow, Message, Method, ServerKey, TimerId, TimerSet, Timers,
};
use slab::Slab;

/// Timers per call at most: deadline, watch and hedge of three attempts; those of an answered call come when those are over.
const TIMERS_PER_CALL: usize = 10;
/// More requests than that are never sent inside an early dialog.
const STRAY_SKIP: u32 = 64;
/// Tables for fewer calls are not worth shrinking.
const SMALL: usize = 256;

/// What the B2BUA acts on and decides by, for one event.
pub struct World<'a> {
    /// Now.
    pub now: Instant,
    /// SIP.
    pub endpoint: &'a mut Endpoint,
    /// Audio.
    pub relay: &'a mut Relay,
    /// Media ports.
    pub ports: &'a mut Ports,
    /// Trunks and listens.
    pub profiles: &'a Profiles,
    /// Policies.
    pub shape: &'a Shape,
    /// Health.
    pub table: &'a TrunkTable,
    /// How soon targets usually react.
    pub paces: &'a Paces,
    /// The ways that registrars want our calls to go.
    pub service_routes: &'a ServiceRoutes,
    /// Who has registered, when phones do here.
    pub phones: Option<Phones<'a>>,
    /// What trunks carry.
    pub load: &'a mut Load,
    /// The drill under way.
    pub drill: Option<&'a Drill>,
    /// Challenges of trunks.
    pub nonces: &'a mut Nonces,
    /// For weights and numbers.
    pub rng: &'a mut Rng,
    /// What follows from the event.
    pub out: &'a mut Vec<Effect>,
}

/// What follows from an event, besides messages.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Something was seen of a target.
    Signal(Signal),
    /// A call has a leg of this Call-ID from now on.
    Leg(CallRef, Vec<u8>),
    /// A call is over.
    Ended(Box<EndedCall>),
    /// A call from a trunk was refused as fraud would be.
    Barred(model::TrunkId, Barred),
    /// A trunk refuses our credentials, with this code.
    CredentialsRefused(model::TrunkId, u16),
    /// Somebody who is not its party sent a request with the identifiers of a dialog.
    Foreign(Flow),
    /// A phone's bindings have changed.
    Bound(Bound),
    /// Somebody failed to prove who he is.
    AuthFailed(Flow),
    /// REGISTERs of phones are served by another target of the trunk behind than before.
    RegistrarMoved {
        /// The trunk.
        trunk: model::TrunkId,
        /// Which target served them before.
        before: SocketAddr,
        /// Which does now.
        now: SocketAddr,
    },
    /// No target of the trunk behind serves REGISTERs of phones.
    RegistrarGone(model::TrunkId),
}

impl World<'_> {
    fn signal(&mut self, target: TargetId, what: Observed) {
        // Neither phones nor the way between shards are anybody to be judged.
        if !self.is_phones(target.trunk) && target.trunk != model::TrunkId::BETWEEN_SHARDS {
            self.out.push(Effect::Signal(Signal { at: self.now, target, what }));
        }
    }

    /// The target of a trunk that is reached there, if one of its targets is.
    fn target_at(&self, trunk: model::TrunkId, to: Flow) -> Option<TargetId> {
        let target = self
            .profiles
            .trunk(trunk)?
            .targets
            .iter()
            .find(|target| (target.addr, target.transport) == (to.peer, to.transport))?;
        Some(TargetId { trunk, index: target.index })
    }

    /// Timers of a trunk, for messages inside a dialog.
    fn timers_of(&self, trunk: model::TrunkId) -> TimerSet {
        self.profiles.trunk(trunk).map(|trunk| trunk.timers).unwrap_or_default()
    }

    fn refuse(&mut self, server: ServerKey, code: u16) {
        self.endpoint.respond(self.now, server, Answer::new(code));
    }

    fn refuse_for_now(&mut self, server: ServerKey, code: u16) {
        let mut answer = Answer::new(code);
        answer.headers.push("Retry-After", self.retry_after().as_bytes());
        self.endpoint.respond(self.now, server, answer);
    }

    /// Seconds a caller should wait whom nobody may take now; he counts as refused.
    fn retry_after(&mut self) -> String {
        self.load.refuse(self.now);
        let excess = self.load.excess(self.now);
        decide::retry_after(self.rng, excess).as_secs().to_string()
    }
}

/// What a timer of a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// First reply, progress or ring: which of them, the attempt knows.
    Deadline,
    /// A re-INVITE of a transfer that met another one goes out again.
    AskAgain,
    /// Look how the attempt is doing, and whether another trunk is better by now.
    Watch,
    /// The attempt has said nothing by the time its target usually has.
    Hedge,
    /// The call is too old.
    Session,
    /// A leg is to be refreshed, or was not.
    Keep(Side),
    /// A re-INVITE that met another is offered again.
    Again,
    /// Who of an answered call is heard is to be looked at.
    Audio,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    slot: usize,
    call: CallRef,
    attempt: usize,
    due: Due,
}

/// An attempt that was left before it had said anything.
#[derive(Clone, Copy, Debug)]
struct Left {
    target: TargetId,
    call: CallRef,
    sent: Instant,
}

/// All calls of a shard.
#[derive(Debug)]
pub struct B2bua {
    shard: ShardId,
    limit: usize,
    calls: Slab<Call>,
    by_tag: HashMap<Vec<u8>, (usize, Side), FixedState>,
    by_client: HashMap<ClientKey, usize, FixedState>,
    by_server: HashMap<ServerKey, usize, FixedState>,
    /// BYEs under way, of calls that are over: each ends by a response or a failure, so they are no more than transactions.
    byes: HashMap<ClientKey, LastWord, FixedState>,
    /// Attempts that were left in silence: each ends by a response or a failure, as BYEs do.
    left: HashMap<ClientKey, Left, FixedState>,
    /// Legs of transferors whose last NOTIFY is under way: the BYE follows it.
    leaving: HashMap<ClientKey, Leg, FixedState>,
    /// NOTIFYs that may be challenged: each ends by a response or a failure, as BYEs do.
    told: HashMap<ClientKey, notify::Told, FixedState>,
    /// INFOs with digits that wait for their answer: each ends by a response or a failure, as BYEs do.
    tells: HashMap<ClientKey, digits::Tells, FixedState>,
    /// PRACKs that may be challenged: each ends by a response or a failure, as BYEs do.
    pracked: HashMap<ClientKey, early::Pracked, FixedState>,
    /// MESSAGEs outside a call that wait for their answer.
    pages: HashMap<ClientKey, (page::Page, page::Attempt), FixedState>,
    /// Calls that are not answered yet, by their place.
    setting_up: BTreeSet<usize>,
    /// Targets that were in doubt or down when the table was last looked at, in order.
    doubted: Vec<(TargetId, Health)>,
    /// The last calls of a drill.
    drilled: VecDeque<CallRef>,
    retries: RetryBudget,
    tolls: Tolls,
    /// Trunks that report what they hear.
    telling: telling::Telling,
    /// Transfers under way.
    transfers: usize,
    timers: Timers<Timer>,
    serial: u32,
    draining: bool,
    /// All calls are being ended, the next of them then.
    closing: Option<Instant>,
    counters: Counters,
}

impl B2bua {
    /// No calls yet, and never more than `limit`.
    pub fn new(limit: usize, shard: ShardId, seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            shard,
            limit,
            calls: Slab::new(),
            by_tag: HashMap::with_hasher(hasher.clone()),
            by_client: HashMap::with_hasher(hasher.clone()),
            by_server: HashMap::with_hasher(hasher.clone()),
            byes: HashMap::with_hasher(hasher.clone()),
            left: HashMap::with_hasher(hasher.clone()),
            leaving: HashMap::with_hasher(hasher.clone()),
            tells: HashMap::with_hasher(hasher.clone()),
            told: HashMap::with_hasher(hasher.clone()),
            pracked: HashMap::with_hasher(hasher.clone()),
            pages: HashMap::with_hasher(hasher),
            transfers: 0,
            setting_up: BTreeSet::new(),
            doubted: Vec::new(),
            retries: RetryBudget::default(),
            tolls: Tolls::default(),
            telling: telling::Telling::default(),
            timers: Timers::new(limit.saturating_mul(TIMERS_PER_CALL)),
            serial: 0,
            drilled: VecDeque::new(),
            draining: false,
            closing: None,
            counters: Counters::default(),
        }
    }

    /// Takes no new calls from now on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Calls.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// No call is left, and no BYE waits for its answer: one that is lost is repeated (RFC 3261 §17.1.2.2), or its peer's leg would live on.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.byes.is_empty() && self.leaving.is_empty()
    }

    /// What was counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// When `expire` is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.deadline().into_iter().chain(self.closing).min()
    }

    /// One thing the endpoint says.
    pub fn event(&mut self, world: &mut World<'_>, event: Event) {
        match event {
            Event::Request { server, flow, message } => self.request(world, server, flow, &message),
            Event::Cancelled { server, reason } => self.cancelled(world, server, reason.as_deref()),
            Event::Ack { flow, message } => self.acknowledged(world, flow, &message),
            Event::Response { client, flow, message } => self.response(world, client, flow, &message),
            Event::ClientFailed { client, why } => self.failed(world, client, why),
            Event::AckMissing { server } => self.ack_missing(world, server),
            Event::PrackMissing { server } => self.prack_missing(world, server),
        }
    }

    /// Time has passed.
    pub fn expire(&mut self, world: &mut World<'_>) {
        self.close_some(world);
        while let Some(timer) = self.timers.pop(world.now) {
            if self.calls.get(timer.slot).is_none_or(|call| call.call != timer.call) {
                continue;
            }
            match timer.due {
                Due::Deadline => self.attempt_overdue(world, timer.slot, timer.attempt),
                Due::Watch => self.watch_attempt(world, timer.slot, timer.attempt),
                Due::Hedge => self.hedge(world, timer.slot, timer.attempt),
                Due::Keep(side) => self.keeping_due(world, timer.slot, side),
                Due::Audio => self.audio_due(world, timer.slot),
                Due::Again => self.offer_again(world, timer.slot),
                Due::AskAgain => self.ask_again(world, timer.slot),
                Due::Session => {
                    self.counters.expired += 1;
                    self.end_both(world, timer.slot, "longer than a call may be");
                }
            }
        }
    }

    /// A call in progress.
    pub fn live(&self, call: CallRef) -> Option<LiveCall> {
        self.calls.iter().find(|(_, known)| known.call == call).map(|(_, known)| live(known))
    }

    /// Call-IDs of a call in progress: the caller's leg, then each attempt.
    pub fn call_ids(&self, call: CallRef) -> Option<Vec<Vec<u8>>> {
        let (_, call) = self.calls.iter().find(|(_, known)| known.call == call)?;
        let attempts = call.attempts.iter().map(|attempt| &attempt.call_id);
        Some(core::iter::once(&call.caller.dialog.call_id).chain(attempts).cloned().collect())
    }

    /// Calls in progress in the order of their arrival: the first `limit` behind `after`.
    pub fn all(&self, after: Option<CallPlace>, limit: usize) -> Vec<LiveCall> {
        let placed = self.calls.iter().map(|(_, call)| ((call.invited, call.call), call));
        arrival::first(placed, after, limit).into_iter().map(live).collect()
    }

    fn request(&mut self, world: &mut World<'_>, server: ServerKey, flow: Flow, message: &Message) {
        if message.to().tag().is_some() {
            return self.request_in_dialog(world, server, flow, message);
        }
        match message.method() {
            Method::Invite => {
                self.counters.invites += 1;
                self.invite(world, server, flow, message);
            }
            Method::Message => self.page(world, server, flow, message),
            // Outside a dialog there is nothing to end, update or inform.
            Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Notify => world.refuse(server, 481),
            // RFC 6665 §4.1.2.2, RFC 3903 §6: we keep no state that could be asked for.
            Method::Subscribe | Method::Publish => world.refuse(server, 489),
            // Outside a call nobody is transferred (RFC 3515 §2.4.2 leaves it to us).
            Method::Refer => world.refuse(server, 603),
            _ => {
                let mut answer = Answer::new(405);
                answer.headers.push("Allow", ALLOW);
                world.endpoint.respond(world.now, server, answer);
            }
        }
    }

    fn response(&mut self, world: &mut World<'_>, client: ClientKey, flow: Flow, message: &Message) {
        let code = message.status().unwrap_or(0);
        let Some(slot) = self.by_client.get(&client).copied() else {
            if self.page_response(world, client, code, message) || self.digit_response(world, client, message) {
                return;
            }
            self.late_reply(world, client);
            if code >= 200 {
                self.part(world, client, message);
                self.prack_signed(world, client, message);
                self.bye_response(world, client, message);
            }
            if (200..300).contains(&code) && message.method() == Method::Invite {
                self.end_stray(world, client, flow, message, TOO_LATE);
            }
            return;
        };
        let Some(call) = self.calls.get(slot) else { return };
        if let Some(index) = call.attempt_by(client) {
            return self.attempt_response(world, slot, index, client, message);
        }
        if self.is_sent_again(world, slot, client, message) {
            return;
        }
        let Some(call) = self.calls.get(slot) else { return };
        if call.is_bound_by(client) {
            return self.bond_response(world, slot, code, message);
        }
        if call.listening.waits_for(client) {
            if call.listening.moves_by(client) {
                return self.move_response(world, slot, code, message);
            }
            return self.peer_replied(world, slot, client, code);
        }
        if call.exchange.as_ref().is_some_and(|exchange| exchange.client == client) {
            return self.exchange_response(world, slot, code, message);
        }
        if call.legs().any(|leg| leg.keeping.waits_for(client)) {
            return self.refreshed(world, slot, client, message);
        }
        self.relayed_response(world, slot, client, code, message);
    }

    /// An attempt that was left in silence speaks after all: its trunk is slow, and not dead.
    fn late_reply(&mut self, world: &mut World<'_>, client: ClientKey) {
        let Some(Left { target, call, sent }) = self.left.remove(&client) else { return };
        self.counters.late_replies += 1;
        world.signal(target, Observed::FirstReply { call, after: world.now.since(sent) });
    }

    fn failed(&mut self, world: &mut World<'_>, client: ClientKey, why: Failure) {
        self.left.remove(&client);
        self.parted(world, client);
        self.pracked.remove(&client);
        self.page_failed(world, client, why);
        self.digit_failed(world, client, why);
        if let Some(word) = self.byes.remove(&client) {
            if let (Some(target), Failure::Unreachable(fault)) = (word.target, why) {
                world.signal(target, Observed::Transport { fault });
            }
            return;
        }
        let Some(slot) = self.by_client.get(&client).copied() else { return };
        let Some(call) = self.calls.get(slot) else { return };
        if let Some(index) = call.attempt_by(client) {
            let sent = call.attempts[index].sent;
            let outcome = match why {
                Failure::Unreachable(fault) => AttemptOutcome::Unreachable { fault },
                Failure::NoReply => AttemptOutcome::NoReply { after: world.now.since(sent) },
            };
            return self.attempt_over(world, slot, index, outcome, None);
        }
        if call.is_bound_by(client) {
            return self.bond_failed(world, slot);
        }
        if call.listening.waits_for(client) {
            if call.listening.moves_by(client) {
                return self.move_failed(world, slot);
            }
            return self.peer_failed(world, slot, client, why);
        }
        // Whoever could not be reached is the side the request was passed to.
        let exchanged =
            call.exchange.as_ref().filter(|exchange| exchange.client == client).map(|exchange| exchange.from);
        let relayed = || call.relayed.iter().find(|relayed| relayed.client == client).map(|relayed| relayed.from);
        let leg = exchanged.or_else(relayed).and_then(|from| call.leg(from.other()));
        if let (Failure::Unreachable(fault), Some(leg)) = (why, leg)
            && let Some(target) = world.target_at(leg.trunk, leg.way())
        {
            world.signal(target, Observed::Transport { fault });
        }
        if self.calls.get(slot).is_some_and(|call| call.legs().any(|leg| leg.keeping.waits_for(client))) {
            return self.refresh_failed(world, slot, client, why);
        }
        self.relay_failed(world, slot, client, why);
    }

    /// A 2xx nobody waits for any more: an attempt that was left, or a fork. It is acknowledged and ended (RFC 3261 §13.2.2.4, §15).
    fn end_stray(&mut self, world: &mut World<'_>, client: ClientKey, flow: Flow, message: &Message, why: &[u8]) {
        self.counters.late_answers += 1;
        let Ok(mut dialog) = Dialog::uac(message) else { return };
        let trunk = world.profiles.admit(flow.socket, flow.peer);
        let to = world.way_of(trunk, &dialog, flow);
        let ack = dialog.ack(message.cseq().number);
        world.endpoint.ack(world.now, client, to, ack);
        // Its early dialog may have had requests of ours; numbers may skip, and may not come again (§12.2.1.1).
        dialog.local_seq = dialog.local_seq.wrapping_add(STRAY_SKIP);
        let mut bye = dialog.request(Method::Bye);
        bye.headers.push("Reason", why);
        self.last_word(world, dialog, Again::new(trunk, bye, to, TimerSet::default()), None);
    }

    /// After a rush, when the last call has ended, its memory is given back.
    fn give_back(&mut self) {
        if self.calls.is_empty() && self.calls.capacity() > SMALL {
            self.calls.shrink_to_fit();
            self.by_tag.shrink_to_fit();
            self.by_client.shrink_to_fit();
            self.by_server.shrink_to_fit();
            self.byes.shrink_to_fit();
            self.left.shrink_to_fit();
            self.leaving.shrink_to_fit();
            self.told.shrink_to_fit();
            self.pracked.shrink_to_fit();
        }
    }

    fn set_timer(&mut self, slot: usize, attempt: usize, at: Instant, due: Due) -> Option<TimerId> {
        let call = self.calls.get(slot)?;
        Some(self.timers.set(at, Timer { slot, call: call.call, attempt, due }))
    }

    fn cancel_timer(&mut self, timer: Option<TimerId>) {
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
    }

    /// A number for a call: shard, a random part, a serial.
    fn next_call(&mut self, rng: &mut Rng) -> CallRef {
        self.serial = self.serial.wrapping_add(1);
        let random = rng.next_u64() & 0x00ff_ffff;
        CallRef(u64::from(self.shard.0) << 56 | random << 32 | u64::from(self.serial))
    }
}

fn live(call: &Call) -> LiveCall {
    let attempts = call.attempts.iter().map(|attempt| match attempt.outcome {
        Some(outcome) => LiveAttempt::Over(attempt.ended(outcome)),
        None => LiveAttempt::Waiting(attempt.target.trunk, attempt.sent),
    });
    LiveCall {
        call: call.call,
        from: call.caller.trunk,
        to: call.carrier(),
        caller: call.caller_number.clone(),
        called: call.called.clone(),
        phase: call.phase,
        invited: call.invited,
        answered: call.answered,
        plan: call.plan.as_ref().ok().cloned(),
        attempts: attempts.collect(),
        notes: call.listening.notes.clone(),
    }
}

/// Why a callee is let go that nobody waits for any more.
const TOO_LATE: &[u8] = b"SIP;cause=487;text=\"answered too late\"";

/// Longest a CANCEL or BYE explains itself.
fn reason(code: u16, text: &str) -> Vec<u8> {
    alloc::format!("SIP;cause={code};text=\"{text}\"").into_bytes()
}
