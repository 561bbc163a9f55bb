//! A call as plain data: two legs, the attempts between, audio, times.
//!
//! It can be printed, copied and stored; nothing in it runs. Refuses to know: how any of it changes.

use super::audio::Listening;
use super::body;
use super::challenge::Again;
use super::early::{Early, Face};
use super::ended::EndedAttempt;
use super::phones::Way;
use super::redirect::Redirected;
use super::reliable::Reliable;
use super::session::Keeping;
pub(super) use super::streams::{Audio, CalleeSide, Stream, Told};
use super::transfer::Bond;
use super::way::By;
use crate::interworking::Crossing;
use crate::profile::Profiles;
use crate::tolls::Counted;
use alloc::boxed::Box;
use alloc::vec::Vec;
use decide::{Candidate, NoPlan, Plan};
use model::{AttemptOutcome, Begun, CallRef, DrillFault, Instant, Span, TargetId, TrunkId};
use sip::{ClientKey, Dialog, Draft, Flow, Message, ServerKey, TimerId, Uri};
use smallvec::SmallVec;

/// One side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The side that sent the INVITE.
    Caller,
    /// The side that answered it.
    Callee,
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Attempts are made; nothing rings yet.
    Trying,
    /// A provisional response was relayed.
    Ringing,
    /// Answered.
    Up,
}

/// One leg.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) dialog: Dialog,
    /// The way its messages come and go.
    pub(super) flow: Flow,
    /// What leads to it.
    pub(super) by: By,
    pub(super) trunk: TrunkId,
    /// Number of our session in its SDP.
    pub(super) session: u64,
    /// Version of it.
    pub(super) version: u64,
    /// What this leg was shown last, so that the version rises only with a change.
    pub(super) shown: Vec<u8>,
    /// The lines that signed the INVITE we have sent it, which its ACK repeats.
    pub(super) signed: Vec<Vec<u8>>,
    /// What it was shown before that, and in which version, for an offer that is refused.
    pub(super) before: (u64, Vec<u8>),
    /// The highest version of an offer that was refused: none that comes after it is as low.
    pub(super) refused: u64,
    /// What keeps its session alive.
    pub(super) keeping: Keeping,
    /// A 2xx of ours that waits for its ACK, and the CSeq number of its INVITE.
    pub(super) acking: Option<(ServerKey, u32)>,
    /// Its peer has ended it, and the call goes on without: a transferor that did not wait.
    pub(super) gone: bool,
}

impl Leg {
    /// One whose peer was shown nothing yet, reached at its Contact.
    pub(super) const fn new(dialog: Dialog, flow: Flow, trunk: TrunkId, session: u64, keeping: Keeping) -> Self {
        Self {
            dialog,
            flow,
            by: By::Address,
            trunk,
            session,
            version: 0,
            shown: Vec::new(),
            signed: Vec::new(),
            before: (0, Vec::new()),
            refused: 0,
            keeping,
            acking: None,
            gone: false,
        }
    }

    /// Where its requests go.
    pub(super) fn way(&self) -> Flow {
        self.by.way(&self.dialog, self.flow)
    }
}

/// Where an attempt goes.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// The way its INVITE leaves.
    pub(super) flow: Flow,
    /// Its request URI; none is the called number at the peer's address.
    pub(super) uri: Option<Vec<u8>>,
    /// Values of its Route header, the first hop first (RFC 3261 §8.1.2).
    pub(super) routes: Vec<Vec<u8>>,
}

impl Destination {
    /// A target by its own address.
    pub(super) const fn by(flow: Flow) -> Self {
        Self { flow, uri: None, routes: Vec::new() }
    }
}

/// One attempt.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) target: TargetId,
    pub(super) client: Option<ClientKey>,
    pub(super) to: Destination,
    pub(super) call_id: Vec<u8>,
    pub(super) tag: Vec<u8>,
    pub(super) cseq: u32,
    pub(super) begun: Begun,
    pub(super) sent: Instant,
    pub(super) first_reply: Option<Span>,
    pub(super) progress: Option<Span>,
    pub(super) took: Span,
    pub(super) outcome: Option<AttemptOutcome>,
    /// How a drill has broken it.
    pub(super) fault: Option<DrillFault>,
    /// How many challenges were answered.
    pub(super) authorised: u8,
    /// The lines that signed its INVITE, which its ACK repeats (RFC 3261 §13.2.2.4).
    pub(super) signed: Vec<Vec<u8>>,
    /// The shortest session its way bears, as a 422 has told (RFC 4028 §7.3).
    pub(super) min_se: Span,
    /// Its early dialogs, one per branch that rings.
    pub(super) early: Vec<Early>,
    /// The last provisional response other than 100.
    pub(super) rings_with: Option<u16>,
    /// Its trunk has authorised early media (RFC 5009 §8).
    pub(super) authorises: bool,
    /// Its deadline is the hunt's end, which comes before its own.
    pub(super) cut: bool,
    /// How often it was asked whether it still rings, since it last said so.
    pub(super) asked: u8,
    /// When it was asked last.
    pub(super) asked_at: Instant,
    /// It has said so when it was asked: whatever is held of its trunk, this call is not lost.
    pub(super) vouched: bool,
    /// The caller was told of its progress.
    pub(super) heard: bool,
    /// Its last progress, while another attempt is the one the caller hears.
    pub(super) unheard: Option<Box<Message>>,
    /// Its own media ports while it is not the one the caller hears.
    pub(super) aside: Option<Box<CalleeSide>>,
    pub(super) session: u64,
    /// Version of what it was offered.
    pub(super) version: u64,
    /// What the callee was offered, for the leg it may become.
    pub(super) shown: Vec<u8>,
    pub(super) deadline: Option<TimerId>,
    pub(super) watch: Option<TimerId>,
    pub(super) hedge: Option<TimerId>,
}

/// A re-INVITE on its way from one side to the other.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) from: Side,
    pub(super) server: ServerKey,
    pub(super) client: ClientKey,
    /// CSeq number on the leg it came by.
    pub(super) asked_seq: u32,
    /// CSeq number on the leg it was passed to.
    pub(super) cseq: u32,
    /// It carried no SDP: the 200 offers, the ACK answers.
    pub(super) late: bool,
    /// The far side has answered 2xx and still waits for its ACK.
    pub(super) answered: bool,
    /// What it takes to answer a challenge.
    pub(super) again: Option<Box<Again>>,
    /// It was asked for by an UPDATE, which the far side does not know (RFC 3311 §5.1).
    pub(super) update: bool,
    /// How often it was offered.
    pub(super) tries: u8,
    /// It is offered again then.
    pub(super) retry: Option<TimerId>,
}

/// Another request inside the dialog on its way from one side to the other.
#[derive(Clone, Debug)]
pub(super) struct Relayed {
    pub(super) from: Side,
    /// It carries an offer.
    pub(super) offers: bool,
    pub(super) server: ServerKey,
    pub(super) client: ClientKey,
    /// What it takes to answer a challenge.
    pub(super) again: Option<Box<Again>>,
    /// The callee's early dialog it was sent in, by attempt and To tag, when it was sent before the answer.
    pub(super) early: Option<(usize, Vec<u8>)>,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) call: CallRef,
    pub(super) phase: Phase,
    pub(super) caller: Leg,
    pub(super) callee: Option<Leg>,
    /// The caller's INVITE while it waits for its final answer.
    pub(super) server: Option<ServerKey>,
    /// Its CSeq number, which its ACK will bear.
    pub(super) invite_seq: u32,
    /// The INVITE itself, for attempts to come; gone once answered.
    pub(super) invite: Option<Message>,
    pub(super) late_offer: bool,
    /// What the caller is told reliably before the answer.
    pub(super) reliable: Reliable,
    /// Early dialogs towards the caller, in the order they were made.
    pub(super) faces: Vec<Face>,
    /// The callee's 2xx waits for an ACK with the caller's answer.
    pub(super) owes_ack: Option<(ClientKey, u32)>,
    pub(super) caller_number: Vec<u8>,
    pub(super) called: Vec<u8>,
    /// The called number as the edge knows it: by the terms of the trunk it came from.
    pub(super) number: Vec<u8>,
    pub(super) plan: Result<Plan, NoPlan>,
    /// Candidates not yet tried, in the plan's order.
    pub(super) coming: SmallVec<[Candidate; 4]>,
    /// Ways to the called user, when he has registered; a candidate's index is its place here.
    pub(super) ways: Vec<Way>,
    /// In the order they were sent. Several may run at once.
    pub(super) attempts: Vec<Attempt>,
    /// The attempt whose progress the caller hears; its ports are the callee's side of the anchor.
    pub(super) front: usize,
    /// No further attempt follows those that run.
    pub(super) settled: bool,
    /// A candidate was passed over because its trunk has no room.
    pub(super) full: bool,
    /// A candidate was passed over because its trunk cannot hide a caller who insists on it.
    pub(super) exposed: bool,
    /// A further attempt was refused because too many calls are being tried again.
    pub(super) held_back: bool,
    /// The hunt ended by that.
    pub(super) spared: bool,
    /// It passes throttles, limits and the retry budget (RFC 5031).
    pub(super) emergency: bool,
    /// It is one of a drill.
    pub(super) drilled: bool,
    /// It counts among those of these trunks: the one it came from, and those that have sent it on.
    pub(super) tolls: SmallVec<[Counted; 1]>,
    /// What redirections have made of it.
    pub(super) redirected: Redirected,
    /// What it has to do with another call, while one of them is being transferred.
    pub(super) bond: Option<Bond>,
    pub(super) exchange: Option<Exchange>,
    pub(super) relayed: SmallVec<[Relayed; 1]>,
    pub(super) audio: Audio,
    /// Who of it is heard, once it is answered.
    pub(super) listening: Listening,
    pub(super) session_timer: Option<TimerId>,
    pub(super) invited: Instant,
    /// From when the hunt's time counts.
    pub(super) hunt_from: Instant,
    pub(super) progressed: Option<Instant>,
    pub(super) answered: Option<Instant>,
}

impl Leg {
    /// The ACK for its 2xx.
    pub(super) fn ack(&self, cseq: u32) -> Draft {
        let mut ack = self.dialog.ack(cseq);
        self.signed.iter().for_each(|line| ack.headers.push_raw(line));
        ack
    }
}

impl Call {
    /// The side a request under way came from, and what it takes to send it again, when there is any.
    pub(super) fn take_again(&mut self, client: ClientKey) -> Option<(Side, Box<Again>)> {
        if let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.client == client) {
            return Some((exchange.from, exchange.again.take()?));
        }
        let relayed = self.relayed.iter_mut().find(|relayed| relayed.client == client)?;
        Some((relayed.from, relayed.again.take()?))
    }

    /// The dialog in which a request under way goes out again: that of the leg, or the early one it was sent in.
    pub(super) fn dialog_of(&mut self, client: ClientKey, side: Side) -> Option<&mut Dialog> {
        if side == Side::Caller || self.callee.is_some() {
            return self.leg_mut(side).map(|leg| &mut leg.dialog);
        }
        let (index, tag) = self.relayed.iter().find(|relayed| relayed.client == client)?.early.clone()?;
        self.attempt_mut(index)?.early_dialog_mut(&tag)
    }

    /// Puts it back; `sent` is the transaction and CSeq number it runs by from now on, when it was sent again.
    pub(super) fn put_again(&mut self, client: ClientKey, again: Box<Again>, sent: Option<(ClientKey, u32)>) {
        if let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.client == client) {
            exchange.again = Some(again);
            if let Some(sent) = sent {
                (exchange.client, exchange.cseq) = sent;
            }
        } else if let Some(relayed) = self.relayed.iter_mut().find(|relayed| relayed.client == client) {
            relayed.again = Some(again);
            relayed.client = sent.map_or(client, |(fresh, _)| fresh);
        }
    }

    /// One that begins now with this INVITE, by this plan; `called` as dialled, and as the edge knows it.
    pub(super) fn open(
        call: CallRef,
        caller: Leg,
        invite: &Message,
        (called, number): (&[u8], &[u8]),
        plan: Result<Plan, NoPlan>,
        now: Instant,
    ) -> Self {
        Self {
            call,
            phase: Phase::Trying,
            reliable: Reliable::default(),
            faces: alloc::vec![Face::first(&caller)],
            caller,
            callee: None,
            server: None,
            invite_seq: invite.cseq().number,
            invite: Some(invite.clone()),
            late_offer: body::description(invite).is_none(),
            owes_ack: None,
            caller_number: Uri::parse(invite.from().uri).map(|uri| uri.user().to_vec()).unwrap_or_default(),
            called: called.to_vec(),
            number: number.to_vec(),
            coming: plan.as_ref().map(|plan| plan.attempts.iter().copied().collect()).unwrap_or_default(),
            full: plan.as_ref().is_ok_and(|plan| plan.excluded.iter().any(|out| out.cause.is_for_now())),
            plan,
            ways: Vec::new(),
            attempts: Vec::new(),
            front: 0,
            settled: false,
            exposed: false,
            held_back: false,
            spared: false,
            emergency: false,
            drilled: false,
            tolls: SmallVec::new(),
            redirected: Redirected::default(),
            bond: None,
            exchange: None,
            relayed: SmallVec::new(),
            audio: Audio::default(),
            listening: Listening::default(),
            session_timer: None,
            invited: now,
            hunt_from: now,
            progressed: None,
            answered: None,
        }
    }

    /// An attempt that runs.
    pub(super) fn attempt(&self, index: usize) -> Option<&Attempt> {
        self.attempts.get(index).filter(|attempt| attempt.outcome.is_none())
    }

    /// An attempt that runs.
    pub(super) fn attempt_mut(&mut self, index: usize) -> Option<&mut Attempt> {
        self.attempts.get_mut(index).filter(|attempt| attempt.outcome.is_none())
    }

    /// The attempts that run, the oldest first.
    pub(super) fn running(&self) -> impl DoubleEndedIterator<Item = (usize, &Attempt)> {
        self.attempts.iter().enumerate().filter(|(_, attempt)| attempt.outcome.is_none())
    }

    /// The running attempt whose INVITE this is.
    pub(super) fn attempt_by(&self, client: ClientKey) -> Option<usize> {
        self.running().find(|(_, attempt)| attempt.client == Some(client)).map(|(index, _)| index)
    }

    /// The legs there are.
    pub(super) fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.callee.iter().chain([&self.caller])
    }

    pub(super) fn leg(&self, side: Side) -> Option<&Leg> {
        match side {
            Side::Caller => Some(&self.caller),
            Side::Callee => self.callee.as_ref(),
        }
    }

    pub(super) fn leg_mut(&mut self, side: Side) -> Option<&mut Leg> {
        match side {
            Side::Caller => Some(&mut self.caller),
            Side::Callee => self.callee.as_mut(),
        }
    }

    /// By which terms a message of one side goes to the other.
    pub(super) fn crossing<'p>(&self, profiles: &'p Profiles, writer: Side) -> Crossing<'p> {
        let (caller, callee) = (Some(self.caller.trunk), self.carrier());
        match writer {
            Side::Caller => profiles.crossing(caller, callee, self.emergency),
            Side::Callee => profiles.crossing(callee, caller, self.emergency),
        }
    }

    /// An UPDATE with an offer is on its way (RFC 3311 §5.2), or an offer of our own.
    pub(super) fn offer_is_open(&self) -> bool {
        self.listening.moving.is_some() || self.relayed.iter().any(|relayed| relayed.offers)
    }

    /// The trunk whose refusal this code is.
    pub(super) fn refused_by(&self, code: u16) -> Option<TrunkId> {
        let said_so = |attempt: &&Attempt| match attempt.outcome {
            Some(AttemptOutcome::Refused { code: said, .. } | AttemptOutcome::Redirected { code: said }) => {
                said == code
            }
            _ => false,
        };
        self.attempts.iter().rev().find(said_so).map(|attempt| attempt.target.trunk)
    }

    /// Trunk that carries it, or is being tried.
    pub(super) fn carrier(&self) -> Option<TrunkId> {
        self.callee
            .as_ref()
            .map(|leg| leg.trunk)
            .or_else(|| self.attempt(self.front).map(|attempt| attempt.target.trunk))
    }
}

impl Attempt {
    pub(super) fn ended(&self, outcome: AttemptOutcome) -> EndedAttempt {
        EndedAttempt {
            target: self.target,
            call_id: self.call_id.clone(),
            begun: self.begun,
            sent: self.sent,
            first_reply: self.first_reply,
            progress: self.progress,
            took: self.took,
            outcome,
            fault: self.fault,
        }
    }
}
