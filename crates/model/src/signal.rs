//! Signals: what a shard saw, sent to the one place that judges.

use crate::{
    AttemptOutcome, CallRef, Instant, MediaOutcome, ProbeResult, RegistrationState, Span, TargetId, TestCallResult,
    TransportFault, Wish,
};

/// One thing seen about one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal {
    /// When it was seen.
    pub at: Instant,
    /// About whom.
    pub target: TargetId,
    /// What.
    pub what: Observed,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observed {
    /// A probe ended. `order` is the number of the probe order it answers.
    Probe {
        /// Number of the probe order.
        order: u64,
        /// How it ended.
        result: ProbeResult,
    },
    /// An attempt was sent.
    AttemptStarted {
        /// The call.
        call: CallRef,
    },
    /// An attempt got its first response of any kind.
    FirstReply {
        /// The call.
        call: CallRef,
        /// INVITE to first response.
        after: Span,
    },
    /// An attempt is still waited for; told once it has waited long for its target, and every half second or sooner from then on. What is
    /// late at this target, its own past says.
    Waiting {
        /// The call.
        call: CallRef,
        /// INVITE until now.
        after: Span,
        /// It has seen a 100, so progress is awaited rather than the first reply.
        trying: bool,
    },
    /// An attempt got a provisional response other than 100, or 2xx: INVITE to then is the post-dial delay (RFC 6076 §4.3).
    Progress {
        /// The call.
        call: CallRef,
        /// INVITE to progress.
        after: Span,
    },
    /// An attempt ended.
    Attempt {
        /// The call.
        call: CallRef,
        /// How it ended.
        outcome: AttemptOutcome,
    },
    /// What is heard of the audio that the target sends in a call: told when that changes, and at the end of the call.
    Media {
        /// The call.
        call: CallRef,
        /// What is heard.
        outcome: MediaOutcome,
    },
    /// Our registration there has changed.
    Registration {
        /// To what.
        state: RegistrationState,
        /// For how long it was granted; zero when it was not.
        holds: Span,
    },
    /// A synthetic call ended. `order` is the number of the order it answers.
    TestCall {
        /// Number of the order.
        order: u64,
        /// How it ended.
        result: TestCallResult,
    },
    /// A response told how many calls it wants (RFC 7339).
    Overload {
        /// What it asks; a loss of 0 % takes a wish back.
        wish: Wish,
        /// For how long; zero takes a wish back.
        validity: Span,
        /// Its place in the order of what this target has told (§4.4), when given.
        seq: Option<u64>,
    },
    /// The network refused a packet of a live call, outside any attempt.
    Transport {
        /// How.
        fault: TransportFault,
    },
}

impl Observed {
    /// The call it was seen in, when it was seen in one.
    pub const fn call(&self) -> Option<CallRef> {
        match self {
            Self::AttemptStarted { call }
            | Self::FirstReply { call, .. }
            | Self::Waiting { call, .. }
            | Self::Progress { call, .. }
            | Self::Attempt { call, .. }
            | Self::Media { call, .. } => Some(*call),
            Self::Probe { .. }
            | Self::Registration { .. }
            | Self::TestCall { .. }
            | Self::Overload { .. }
            | Self::Transport { .. } => None,
        }
    }
}
