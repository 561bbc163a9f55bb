//! What a drill does to calls: its own are marked, and attempts at a trunk that it breaks are played instead of sent.
//!
//! A fault is played where the network would have shown it, so that everything after it is what a real one leads to: deadlines, verdicts,
//! the next attempt, the record. Refuses to know: what the drill finds out.

use super::attempt::policy_of;
use super::call::Call;
use super::{B2bua, World};
use crate::drill::AT_ONCE;
use alloc::vec::Vec;
use decide::{Excluded, Exclusion};
use media::Blocked;
use model::{AttemptOutcome, CallRef, DrillFault, Observed, TransportFault, TrunkId};
use sip::{Flow, Message};

/// What an attempt that is not sent comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Played {
    /// This, at once.
    Over(AttemptOutcome),
    /// Nothing, until its deadline.
    Nothing,
    /// 100, and nothing after.
    Trying,
}

/// None when the attempt is sent all the same: it is its audio that is broken.
const fn played(fault: DrillFault) -> Option<Played> {
    match fault {
        DrillFault::Dns => Some(Played::Over(AttemptOutcome::Unreachable { fault: TransportFault::HostUnreachable })),
        DrillFault::Refuse => {
            Some(Played::Over(AttemptOutcome::Unreachable { fault: TransportFault::PortUnreachable }))
        }
        DrillFault::Code(code) => Some(Played::Over(AttemptOutcome::Refused { code, q850: None, retry_after: None })),
        DrillFault::Grey => Some(Played::Over(AttemptOutcome::Refused { code: 500, q850: None, retry_after: None })),
        DrillFault::Silent => Some(Played::Nothing),
        DrillFault::Stall => Some(Played::Trying),
        DrillFault::RtpFrom | DrillFault::RtpTo => None,
    }
}

impl World<'_> {
    fn fault_of(&self, trunk: TrunkId, drilled: bool) -> Option<DrillFault> {
        self.drill?.fault(trunk, drilled)
    }
}

impl B2bua {
    /// Whether an INVITE begins a call of the drill; the code it is refused with when it may not.
    pub(super) fn is_drilled(
        &self,
        world: &World<'_>,
        flow: Flow,
        message: &Message,
        numbers: [&str; 2],
    ) -> Result<bool, u16> {
        let Some(drill) = world.drill.filter(|drill| drill.caller(flow.peer, message.call_id()).is_some()) else {
            return Ok(false);
        };
        // Who drills dials numbers for testing, and nobody else's phone.
        if !numbers.iter().any(|number| drill.may_dial(number)) {
            return Err(403);
        }
        let up = self.calls.iter().filter(|(_, call)| call.drilled).count();
        if up < AT_ONCE { Ok(true) } else { Err(503) }
    }

    /// Whether what is seen of a call says nothing about its trunks: it is the drill's, and its faults may be too.
    pub fn is_of_drill(&self, call: CallRef) -> bool {
        self.drilled.contains(&call)
    }

    /// Its signals are told apart by its number, also those that it leaves when it ends.
    pub(super) fn remember_drilled(&mut self, call: CallRef) {
        if self.drilled.len() >= REMEMBERED {
            self.drilled.pop_front();
        }
        self.drilled.push_back(call);
    }

    /// An attempt at a trunk that is broken is played. False when it is to be sent.
    pub(super) fn play(&mut self, world: &mut World<'_>, slot: usize, index: usize) -> bool {
        let Some(call) = self.calls.get_mut(slot) else { return false };
        let (id, drilled, left) = (call.call, call.drilled, call.coming.len());
        let Some(attempt) = call.attempt_mut(index) else { return false };
        let target = attempt.target;
        let Some(fault) = world.fault_of(target.trunk, drilled) else { return false };
        attempt.fault = Some(fault);
        self.counters.drill_faults += 1;
        let Some(played) = played(fault) else { return false };
        world.load.begin(world.now, target.trunk);
        world.signal(target, Observed::AttemptStarted { call: id });
        self.gate(world, slot);
        match played {
            Played::Over(outcome) => self.attempt_over(world, slot, index, outcome, None),
            Played::Nothing => self.arm_first(world, slot, index, left),
            Played::Trying => {
                self.arm_first(world, slot, index, left);
                self.note_first_reply(world, slot, index);
            }
        }
        true
    }

    /// The relay keeps to what is blocked of a call's audio.
    pub(super) fn block(&self, world: &mut World<'_>, slot: usize) {
        let Some(call) = self.calls.get(slot) else { return };
        let of = |trunk: Option<TrunkId>| {
            let fault = trunk.and_then(|trunk| world.fault_of(trunk, call.drilled));
            Blocked { from: fault == Some(DrillFault::RtpFrom), to: fault == Some(DrillFault::RtpTo) }
        };
        let (caller, callee) = (of(Some(call.caller.trunk)), of(call.carrier()));
        for stream in call.audio.streams.iter().flatten() {
            world.relay.block(stream.caller.0, caller);
            world.relay.block(stream.callee.0, callee);
        }
    }

    /// The drill breaks something else than before, or has ended.
    pub fn drill_changed(&mut self, world: &mut World<'_>) {
        let slots: Vec<usize> = self.calls.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.block(world, slot);
        }
    }

    /// The first deadlines of an attempt that has been sent, or is played.
    pub(super) fn arm_first(&mut self, world: &World<'_>, slot: usize, index: usize, left: usize) {
        let Some(target) = self.calls.get(slot).and_then(|call| call.attempt(index)).map(|attempt| attempt.target)
        else {
            return;
        };
        let (pace, policy) = (world.paces.of(target), policy_of(world, target));
        self.arm_within_hunt(world, slot, index, &policy, policy.first_reply_within(pace, left));
        self.arm_watch(slot, index, world.now + decide::late_after(pace));
        if let (Some(_), Some(usual)) = (policy.hedge, pace.first_reply) {
            self.arm_hedge(slot, index, world.now + usual);
        }
    }
}

/// Calls of the drill whose signals are known as its own: more than may be up.
const REMEMBERED: usize = 16 * AT_ONCE;

/// Trunks whose names lead nowhere are no candidates, and the plan says so.
pub(super) fn unname(world: &World<'_>, call: &mut Call) {
    let Ok(plan) = &mut call.plan else { return };
    let gone = |trunk: TrunkId| world.fault_of(trunk, call.drilled) == Some(DrillFault::Dns);
    for trunk in plan.attempts.iter().map(|candidate| candidate.target.trunk).filter(|trunk| gone(*trunk)) {
        if !plan.excluded.iter().any(|out| out.trunk == trunk) {
            plan.excluded.push(Excluded { trunk, cause: Exclusion::Drilled });
        }
    }
    plan.attempts.retain(|candidate| !gone(candidate.target.trunk));
    call.coming.retain(|candidate| !gone(candidate.target.trunk));
}
