//! What is told of a call: when it is over, and while it is in progress to those who look.
//!
//! Refuses to know: how any of it came to be.

use super::call::{Phase, Side};
use alloc::vec::Vec;
use decide::{NoPlan, Noted, Plan};
use media::AnchorCounters;
use model::{AttemptOutcome, Begun, CallRef, DrillFault, Instant, Span, TargetId, TrunkId};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Never answered: the caller got this code.
    Refused(u16),
    /// Never answered: the caller got this code, since too many calls were being tried again for this one to be.
    OutOfRetries(u16),
    /// The caller gave up.
    Cancelled,
    /// BYE by one side.
    Bye(Side),
    /// The edge ended it, for this reason.
    Ended(&'static str),
}

/// A call that is over.
#[derive(Clone, Debug)]
pub struct EndedCall {
    /// The call.
    pub call: CallRef,
    /// Call-ID of the caller's leg.
    pub call_id: Vec<u8>,
    /// Trunk it came from.
    pub from: TrunkId,
    /// Calling number.
    pub caller: Vec<u8>,
    /// Called number.
    pub called: Vec<u8>,
    /// INVITE received.
    pub invited: Instant,
    /// First provisional response relayed.
    pub progressed: Option<Instant>,
    /// Answered.
    pub answered: Option<Instant>,
    /// Over.
    pub ended: Instant,
    /// The plan, or why there was none.
    pub plan: Result<Plan, NoPlan>,
    /// Attempts on the wire.
    pub attempts: Vec<EndedAttempt>,
    /// How it ended.
    pub ending: Ending,
    /// It was one of a drill.
    pub drilled: bool,
    /// Audio, when it was anchored: the caller's side first.
    pub media: Option<AnchorCounters>,
    /// What was seen and done about its audio, in order.
    pub notes: Vec<Noted>,
}

/// One attempt of a call that is over.
#[derive(Clone, Debug)]
pub struct EndedAttempt {
    /// To whom.
    pub target: TargetId,
    /// Our Call-ID.
    pub call_id: Vec<u8>,
    /// Why it was begun.
    pub begun: Begun,
    /// Sent.
    pub sent: Instant,
    /// INVITE to first response.
    pub first_reply: Option<Span>,
    /// INVITE to first response other than 100.
    pub progress: Option<Span>,
    /// INVITE to the end of the attempt.
    pub took: Span,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// How a drill has broken it.
    pub fault: Option<DrillFault>,
}

/// A call in progress, for those who look.
#[derive(Clone, Debug)]
pub struct LiveCall {
    /// The call.
    pub call: CallRef,
    /// Trunk it came from.
    pub from: TrunkId,
    /// Trunk that carries it, or is being tried.
    pub to: Option<TrunkId>,
    /// Calling number.
    pub caller: Vec<u8>,
    /// Called number.
    pub called: Vec<u8>,
    /// How far it has come.
    pub phase: Phase,
    /// INVITE received.
    pub invited: Instant,
    /// Answered.
    pub answered: Option<Instant>,
    /// The plan it follows.
    pub plan: Option<Plan>,
    /// Attempts so far.
    pub attempts: Vec<LiveAttempt>,
    /// What was seen and done about its audio so far, in order.
    pub notes: Vec<Noted>,
}

/// One attempt of a call in progress.
#[derive(Clone, Debug)]
pub enum LiveAttempt {
    /// It is over.
    Over(EndedAttempt),
    /// It waits for this trunk since then.
    Waiting(TrunkId, Instant),
}
