//! Evidence: what `sense` distils from signals about one target and `decide` judges.
//!
//! Each kind is kept apart: a good OPTIONS does not erase failing calls, and a 404 for one number does not
//! erase failing probes.

use crate::{
    AttemptOutcome, Instant, MediaOutcome, Pace, ProbeResult, RegistrationState, Span, TestCallResult, TransportFault,
};
use serde::{Deserialize, Serialize};

/// Everything seen about one target that still counts.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// OPTIONS probes.
    pub probe: ProbeEvidence,
    /// Call attempts.
    pub calls: CallEvidence,
    /// Refusals by the network.
    pub transport: TransportEvidence,
    /// Audio of recent calls.
    pub media: MediaEvidence,
    /// Our registration.
    pub registration: RegistrationEvidence,
    /// Synthetic calls.
    pub test_calls: TestCallEvidence,
    /// Last time the target answered anything at all.
    pub heard: Option<Instant>,
    /// Sending time of the first probe or call since then that was not answered in time. While it is set, the target is silent.
    pub silent_since: Option<Instant>,
    /// Last time anything counted against the target.
    pub last_bad: Option<Instant>,
}

/// Streaks of probes. `good` and `bad` are never both above zero.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct ProbeEvidence {
    /// Accepted answers in a row.
    pub good: u32,
    /// Failures in a row.
    pub bad: u32,
    /// Of `bad`, those ordered because calls failed (a *fast probe*).
    pub bad_fast: u32,
    /// The last one.
    pub last: Option<(Instant, ProbeResult)>,
}

/// Call attempts: streaks, and a window.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CallEvidence {
    /// Attempts in a row that ended without any reply, or stalled; a reply that comes after all ends the row.
    pub silent_in_row: u32,
    /// Attempts within the correlation window (10 s) that are late, silent or stalled, with no good one after them.
    pub late: u32,
    /// Of `late`, those without any reply at all.
    pub unheard: u32,
    /// Attempts in a row blamed on the trunk for any reason but silence, which has its own row; and those that were left for another one
    /// when they were overdue after their 100.
    pub blamed_in_row: u32,
    /// Attempts in a row that reached someone (answered, ringing, or refused by the called party).
    pub good_in_row: u32,
    /// Good attempts that *started* after the last change of health; earns canary steps.
    pub good_since_mark: u32,
    /// Attempts and trunk-blamed failures in the window (60 s).
    pub window: Share,
    /// The last one that was blamed on the trunk.
    pub last_bad: Option<(Instant, AttemptOutcome)>,
    /// The last one of any kind.
    pub last: Option<(Instant, AttemptOutcome)>,
    /// How soon it usually reacts.
    pub usual: Pace,
    /// Last attempt that was late and is still waited for, and for how long it has been.
    pub late_by: Option<Span>,
}

/// Refusals by the network, over calls, probes and live calls together.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct TransportEvidence {
    /// Refusals in a row; any answer from the target ends the row.
    pub in_row: u32,
    /// The last one.
    pub last: Option<(Instant, TransportFault)>,
}

/// Audio of the calls of the last five minutes, the newest 64 of them.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct MediaEvidence {
    /// Calls in which nothing was heard of the target, and all of them.
    pub silent: Share,
    /// Calls that had holes, and all of them.
    pub lossy: Share,
    /// Calls that had holes or sounded poor by their estimated score, and all of them.
    #[serde(default)]
    pub poor: Share,
    /// The last one that was not good.
    pub last_bad: Option<(Instant, MediaOutcome)>,
}

/// Our registration. `good` and `bad` are never both above zero.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct RegistrationEvidence {
    /// Renewals in a row that worked.
    pub good: u32,
    /// Attempts in a row that did not, or a registration that ran out.
    pub bad: u32,
    /// The last change.
    pub last: Option<(Instant, RegistrationState)>,
}

/// Synthetic calls. `good` and `bad` are never both above zero.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct TestCallEvidence {
    /// As expected, in a row.
    pub good: u32,
    /// Otherwise, in a row.
    pub bad: u32,
    /// The last one.
    pub last: Option<(Instant, TestCallResult)>,
}

/// A share of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// How many of `of`.
    pub part: u32,
    /// The whole.
    pub of: u32,
}

impl Share {
    /// In percent, rounded down; zero of nothing is zero.
    pub const fn percent(self) -> u32 {
        if self.of == 0 { 0 } else { (self.part as u64 * 100 / self.of as u64) as u32 }
    }
}
