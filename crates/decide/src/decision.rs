//! A decision: what changes about whom, by which evidence, and what happens next.
//!
//! Built only by `judge`, `Engine` and the operator's acts; the trunk table takes nothing else.

use crate::forced::Word;
use alloc::sync::Arc;
use model::{
    Admin, AttemptOutcome, Epoch, Evidence, GroupId, Health, Instant, ProbeResult, Span, TargetId, TrunkId, Wish,
};
use serde::{Deserialize, Serialize};

/// One change of the trunk table, or one that was held back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Instant,
    /// Epoch of the table after it; the same as before when not enforced.
    pub epoch: Epoch,
    /// About whom.
    pub subject: Subject,
    /// What changes.
    pub change: Change,
    /// Why.
    pub cause: Cause,
    /// What had been seen, for those causes that rest on it.
    pub evidence: Option<Evidence>,
    /// What held it back; none when it was enforced.
    pub veto: Option<Veto>,
    /// When the subject is looked at again, if a time is set.
    pub next_look: Option<Span>,
    /// Fingerprint of the policy it was judged by.
    pub policy: u32,
    /// Whose word it is, when the table keeps that: of a tier that is forced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Arc<Word>>,
}

impl Decision {
    /// One that was enforced, and of which no more is known: no evidence, no policy, no look at a set time, nobody's word.
    pub const fn bare(at: Instant, epoch: Epoch, subject: Subject, change: Change, cause: Cause) -> Self {
        Self { at, epoch, subject, change, cause, evidence: None, veto: None, next_look: None, policy: 0, word: None }
    }
}

/// About whom a decision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// One target of a trunk.
    Target(TargetId),
    /// A whole trunk.
    Trunk(TrunkId),
    /// A group.
    Group(GroupId),
}

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Health as seen.
    Health {
        /// Before.
        from: Health,
        /// After.
        to: Health,
    },
    /// Share of its calls that a target on Probation gets, in percent.
    Share {
        /// Before.
        from: u8,
        /// After.
        to: u8,
    },
    /// What the operator wants.
    Admin {
        /// Before.
        from: Admin,
        /// After.
        to: Admin,
    },
    /// The peer asked for no calls, or fewer.
    Throttle {
        /// For how long; zero takes a wish back.
        asked: Span,
        /// How many fewer.
        #[serde(default)]
        wish: Wish,
    },
    /// One tier of a group is tried before the others.
    Force {
        /// The tier that was, if one was; 0 the best.
        from: Option<u8>,
        /// The tier that is.
        to: u8,
        /// For how long at most.
        length: Span,
    },
    /// No tier of a group is tried out of its turn any more.
    Release {
        /// The tier that was.
        from: u8,
    },
}

/// Why. The counts and limits are those that were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// First good probe or call of a target never seen before.
    FirstSeen,
    /// Probes failed in a row.
    ProbesFailed {
        /// How many.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// Calls late, silent or stalled within the correlation window.
    CallsLate {
        /// How many.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// Calls blamed on the trunk in a row.
    CallsFailed {
        /// How many.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// Calls in a row without any reply, and a fast probe failed too.
    CallsSilent {
        /// How many.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// The network refused packets in a row.
    Refused {
        /// How many.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// Share of failed calls.
    FailureShare {
        /// In percent.
        percent: u32,
        /// The limit in percent.
        limit: u32,
        /// Attempts counted.
        of: u32,
    },
    /// Nothing was heard of the target, or arrived there, in that many recent calls although they were answered.
    MediaSilent {
        /// How many.
        count: u32,
        /// The limit.
        limit: u32,
        /// Calls of the last five minutes.
        of: u32,
    },
    /// Audio of that many recent calls has holes.
    MediaLossy {
        /// How many.
        count: u32,
        /// The limit.
        limit: u32,
        /// Calls of the last five minutes.
        of: u32,
    },
    /// Audio of that many recent calls has holes, or a score below what the trunk is held to.
    MediaPoor {
        /// How many.
        count: u32,
        /// The limit.
        limit: u32,
        /// Calls of the last five minutes.
        of: u32,
    },
    /// Our registration there failed in a row.
    RegistrationLost {
        /// How often.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// Synthetic calls failed in a row.
    TestCallsFailed {
        /// How many.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// Doubt is over: probes good in a row and nothing bad for the calm time. Leads to Up; to Probation when calls had
    /// failed and none has succeeded since.
    Calm {
        /// Good probes in a row.
        probes: u32,
        /// Time without anything bad.
        calm: Span,
    },
    /// Dwell over and probes good in a row.
    DwellOver {
        /// The dwell.
        dwell: Span,
        /// Good probes in a row.
        probes: u32,
    },
    /// The group's failback time is over.
    Stable {
        /// Time on Probation without anything bad.
        held: Span,
    },
    /// Good calls earned a canary step.
    EarnedByCalls {
        /// How many.
        count: u32,
    },
    /// A synthetic call earned a canary step.
    EarnedByTestCall {
        /// Good ones in a row.
        count: u32,
    },
    /// Quiet time earned a canary step.
    EarnedByTime {
        /// How long.
        held: Span,
    },
    /// Something bad while on Probation.
    Relapse,
    /// 503 with Retry-After.
    RetryAfter,
    /// Overload control in its responses (RFC 7339).
    Overload {
        /// How long its word holds, unless it is renewed.
        validity: Span,
    },
    /// The operator said so.
    Operator,
    /// The time for which the operator said so is over.
    TimeOver,
    /// A new configuration has not got what the decision before was about, or has it elsewhere.
    Reconfigured,
}

/// What held a decision back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Veto {
    /// It would take the last usable trunk of a group.
    LastUsable,
    /// It would take more of the group than allowed.
    TooManyOut {
        /// Share that would be out, in percent.
        percent: u32,
        /// The limit in percent.
        limit: u32,
    },
    /// The trunk has changed too often lately.
    TooManyFlips {
        /// Changes within 10 min.
        count: u32,
        /// The limit.
        limit: u32,
    },
    /// Unrelated trunks failed within the same second, or fell silent and nobody else on this side was heard since: the fault is
    /// likely ours.
    SuspectOurselves {
        /// How many.
        trunks: u32,
    },
    /// A trunk given back by hand waits for the operator.
    ManualFailback,
    /// Its group's failback window is closed.
    OutsideWindow {
        /// Until it opens, where that is known.
        opens_in: Option<Span>,
    },
}

impl Cause {
    /// What calls showed, as against what probes or the network did.
    pub const fn rests_on_calls(&self) -> bool {
        matches!(
            self,
            Self::CallsLate { .. }
                | Self::CallsFailed { .. }
                | Self::CallsSilent { .. }
                | Self::FailureShare { .. }
                | Self::MediaSilent { .. }
                | Self::MediaLossy { .. }
                | Self::MediaPoor { .. }
                | Self::TestCallsFailed { .. }
        )
    }
}

impl Decision {
    /// A synthetic call tells what real ones would find out: whether a doubt raised by one is more than that, and whether a trunk on trial
    /// puts calls through, where real calls may be long in coming.
    pub fn wants_test_call(&self) -> bool {
        let on_trial = matches!(self.change, Change::Share { .. });
        let doubted = matches!(self.cause, Cause::TestCallsFailed { .. });
        self.enforced() && (on_trial || doubted)
    }

    /// Whether it rests on a target that says nothing any more, as against one that refuses.
    pub fn is_of_silence(&self) -> bool {
        let seen = self.evidence.as_ref();
        match self.cause {
            Cause::CallsSilent { .. } | Cause::Refused { .. } => true,
            // Stalled ones were heard.
            Cause::CallsLate { .. } => seen.is_some_and(|seen| seen.silent_since.is_some()),
            Cause::Relapse if seen.is_some_and(|seen| seen.silent_since.is_some()) => true,
            Cause::ProbesFailed { .. } => seen
                .and_then(|seen| seen.probe.last)
                .is_some_and(|(_, result)| !matches!(result, ProbeResult::Answered { .. })),
            Cause::CallsFailed { .. } | Cause::FailureShare { .. } | Cause::Relapse => {
                seen.and_then(|seen| seen.calls.last_bad).is_some_and(|(_, outcome)| {
                    matches!(
                        outcome,
                        AttemptOutcome::NoReply { .. }
                            | AttemptOutcome::WentSilent { .. }
                            | AttemptOutcome::Unreachable { .. }
                    )
                })
            }
            _ => false,
        }
    }

    /// Whether the table changed by it.
    pub const fn enforced(&self) -> bool {
        self.veto.is_none()
    }
}
