//! After an attempt: hunt on, or stop and with which code for the caller.
//!
//! "Hunt on?" is another question than "whose fault?": a 403 may be nobody's fault at the trunk and still worth another
//! one. Refuses to know: how an attempt is left, who is next.

use crate::load::Load;
use crate::plan::{Next, SoFar};
use crate::policy::{AttemptPolicy, LATE_FACTOR};
use crate::shape::Shape;
use crate::table::TrunkTable;
use model::{Admin, AttemptOutcome, Instant, Pace, Span, TrunkId, Wish};

/// What the caller hears when nobody could be reached (RFC 3261 §21.5.4). Without Retry-After it does not ask the caller
/// to stay away, and it lets the caller's own failover work.
const NOBODY_REACHED: u16 = 503;

/// Q.850 causes that speak of the network and its resources, not of a person (ITU-T Q.850 §2.2.7.2).
const NETWORK_CAUSES: [u8; 6] = [34, 38, 41, 42, 44, 47];

/// An attempt is not late before this, however quick its target usually is.
const LATE_FLOOR: Span = Span::from_millis(250);
/// Late while the target's own pace is not known.
const LATE_COLD: Span = Span::from_millis(500);

/// From when on an attempt without any reply is late: four times the 95th percentile of its target, 250 ms at least; 500 ms while
/// that is not known.
pub fn late_after(pace: Pace) -> Span {
    pace.first_reply.map_or(LATE_COLD, |usual| usual.times(LATE_FACTOR).max(LATE_FLOOR))
}

/// Whether a trunk that was free when the plan was made may still be offered the call. Between the plan and an attempt others were
/// offered calls, the operator may have acted, the trunk may have asked for rest. An emergency call passes what the trunk and its limits
/// say (RFC 5031), as in the plan.
pub fn may_take(shape: &Shape, table: &TrunkTable, load: &Load, emergency: bool, now: Instant, trunk: TrunkId) -> bool {
    match table.admin(trunk) {
        Admin::InService => {}
        Admin::Draining => return emergency,
        Admin::OutOfService => return false,
    }
    let limits = shape.trunk(trunk).map(|trunk| trunk.limits).unwrap_or_default();
    let wish = table.throttle(trunk).filter(|throttle| throttle.until > now).map(|throttle| throttle.wish);
    let rests = wish.is_some_and(|wish| match wish {
        Wish::Rate { cps } => load.offered(now, trunk) >= load.part(cps, trunk),
        other => other.bars(),
    });
    emergency || (!rests && load.has_room(now, trunk, &limits))
}

/// The verdict after one attempt. `Stop` carries the code by this attempt alone; when candidates have run out, the
/// better answer may be among the earlier ones: see [`final_code`].
pub fn after(policy: &AttemptPolicy, outcome: &AttemptOutcome, so_far: &SoFar) -> Next {
    let stop = Next::Stop { code: caller_code(outcome) };
    if !moves_on(policy, outcome) {
        return stop;
    }
    // What rang on a trunk that is gone rings nowhere any more: the caller need not hear it for ever.
    let gone = matches!(outcome, AttemptOutcome::WentSilent { .. });
    let heard_ringing = so_far.progress_relayed && !policy.hunt_after_progress && !gone;
    if so_far.left == 0 || heard_ringing || so_far.elapsed >= policy.hunt { stop } else { Next::Next }
}

/// The answer for the caller when the hunt is over without success: a word about the called party wins over any trunk's
/// trouble, for it is true whichever trunk carries the call (RFC 3261 §16.7 step 6 prefers likewise). Among trunks'
/// troubles the last one that was answered; 503 when nobody was reached.
pub fn final_code(outcomes: &[AttemptOutcome]) -> u16 {
    let spoken = |outcome: &&AttemptOutcome| !is_trunk_trouble(outcome) && !is_left_behind(outcome);
    match outcomes.iter().rev().find(spoken) {
        Some(outcome) => caller_code(outcome),
        None => outcomes.iter().rev().find(|outcome| said_something(outcome)).map_or(NOBODY_REACHED, caller_code),
    }
}

fn moves_on(policy: &AttemptPolicy, outcome: &AttemptOutcome) -> bool {
    match outcome {
        AttemptOutcome::Answered | AttemptOutcome::Abandoned { .. } | AttemptOutcome::Outrun { .. } => false,
        AttemptOutcome::RingTimeout { .. } => policy.hunt_after_progress,
        AttemptOutcome::NoReply { .. }
        | AttemptOutcome::Stalled { .. }
        | AttemptOutcome::WentSilent { .. }
        | AttemptOutcome::CutShort { .. }
        | AttemptOutcome::Unreachable { .. } => true,
        // No contact could be followed: this trunk will not carry the call, another may.
        AttemptOutcome::Redirected { code } => !policy.stop.contains(code),
        AttemptOutcome::Refused { code, q850, .. } => {
            if policy.stop.contains(code) {
                return false;
            }
            policy.move_on.contains(code) || is_server_trouble(*code) || is_challenge(*code) || no_circuit(*code, *q850)
        }
    }
}

/// One that nobody could answer: between this trunk and us something is set up wrongly, and nothing is said of the call.
const fn is_challenge(code: u16) -> bool {
    matches!(code, 401 | 407)
}

const fn is_server_trouble(code: u16) -> bool {
    matches!(code, 408 | 500 | 502 | 503 | 504)
}

/// "No circuit" said in a 403, 480 or 488 is about the trunk, and another trunk has circuits (RFC 3326 carries the cause).
fn no_circuit(code: u16, q850: Option<u8>) -> bool {
    matches!(code, 403 | 480 | 488) && q850.is_some_and(|cause| NETWORK_CAUSES.contains(&cause))
}

const fn is_trunk_trouble(outcome: &AttemptOutcome) -> bool {
    match outcome {
        AttemptOutcome::NoReply { .. }
        | AttemptOutcome::Stalled { .. }
        | AttemptOutcome::WentSilent { .. }
        | AttemptOutcome::CutShort { .. }
        | AttemptOutcome::Unreachable { .. }
        | AttemptOutcome::Redirected { .. } => true,
        AttemptOutcome::Refused { code, .. } => is_server_trouble(*code) || is_challenge(*code),
        AttemptOutcome::Answered
        | AttemptOutcome::RingTimeout { .. }
        | AttemptOutcome::Abandoned { .. }
        | AttemptOutcome::Outrun { .. } => false,
    }
}

/// It was refused, or 100 had come.
const fn said_something(outcome: &AttemptOutcome) -> bool {
    matches!(
        outcome,
        AttemptOutcome::Refused { .. }
            | AttemptOutcome::Stalled { .. }
            | AttemptOutcome::CutShort { replied: true, .. }
    )
}

/// It said nothing, since we did not wait for it.
const fn is_left_behind(outcome: &AttemptOutcome) -> bool {
    matches!(outcome, AttemptOutcome::Outrun { .. })
}

/// One outcome as the caller should hear it.
const fn caller_code(outcome: &AttemptOutcome) -> u16 {
    match outcome {
        AttemptOutcome::Answered => 200,
        // A contact behind a carrier is of no use to the caller.
        AttemptOutcome::Redirected { .. } => 480,
        // A challenge is ours to answer, not the caller's; 408 says "I waited" where 504 says "someone behind me did not answer".
        AttemptOutcome::Refused { code: 401 | 407, .. } => 403,
        AttemptOutcome::Refused { code: 408, .. }
        | AttemptOutcome::Stalled { .. }
        | AttemptOutcome::CutShort { replied: true, .. }
        | AttemptOutcome::WentSilent { .. } => 504,
        AttemptOutcome::Refused { code, .. } => *code,
        AttemptOutcome::NoReply { .. }
        | AttemptOutcome::CutShort { .. }
        | AttemptOutcome::Unreachable { .. }
        | AttemptOutcome::Outrun { .. } => NOBODY_REACHED,
        AttemptOutcome::RingTimeout { .. } => 480,
        AttemptOutcome::Abandoned { .. } => 487,
    }
}
