//! Every threshold the edge decides by: unit, default, reason.
//!
//! Times are spans, shares are percent, the rest are counts. A reload replaces whole policies; nothing else writes them.

use alloc::string::String;
use alloc::vec::Vec;
use model::{GroupId, Pace, Span, TrunkId};
use serde::{Deserialize, Serialize};

/// When a target's health changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthPolicy {
    /// Probes that fail in a row before Suspect. Default 2: one lost packet is weather.
    pub suspect_after: u32,
    /// Probes that fail in a row before Down. Default 3.
    pub fall: u32,
    /// Good probes in a row before Suspect or Down ends. Default 3.
    pub rise: u32,
    /// Call attempts stalled within 10 s before Suspect, and twice as many without any reply. Default 5: on a trunk that is slow for a
    /// moment, several calls are late at once, and each of them hunts on by its own deadline anyway.
    pub late_calls: u32,
    /// Nothing heard at all for so long, and it takes only `silent_calls` late ones. Default 1 s: a trunk that is slow by less for a
    /// moment stays in.
    pub silence: Span,
    /// Call attempts blamed on the trunk in a row before Suspect. Default 3: a grey failure shows in calls alone.
    pub blamed_calls: u32,
    /// Call attempts in a row without any reply (and a fast probe that fails too) before Down. Default 3.
    pub silent_calls: u32,
    /// Refusals by the network in a row before Down. Default 2: ICMP is a strong word, but one can be stale.
    pub refusals: u32,
    /// Trunk-blamed share of attempts, in percent, before Down. Default 50.
    pub failure_share: u32,
    /// Trunk-blamed share of attempts, in percent, before Suspect. Default 20: failures that are few enough never to come in a row.
    pub doubt_share: u32,
    /// Attempts in the window before either share counts. Default 20: a share of three calls says nothing.
    pub failure_min: u32,
    /// Calls of the last five minutes in which nothing was heard of the target, before it is Down for media; two of them, or as many with
    /// holes, before Suspect. Default 3.
    pub media_calls: u32,
    /// And their share of those calls, in percent. Default 50.
    pub media_share: u32,
    /// Renewals of our registration in a row that failed, before Suspect. Default 2: one lost answer is weather.
    pub registration_failures: u32,
    /// Synthetic calls in a row that failed, before Down; one fewer before Suspect. Default 2.
    pub test_calls: u32,
    /// Time without anything bad before Suspect ends. Default 10 s: shorter, and a trunk that flaps drags traffic along.
    /// Doubles each time doubt returns before that is forgiven.
    pub calm: Span,
    /// Time Down before Probation. Default 30 s; doubles each time it goes Down again before that is forgiven.
    pub dwell: Span,
    /// Longest dwell. Default 30 min.
    pub dwell_max: Span,
    /// Time Up after which one doubling is forgiven. Default 10 min.
    pub forgive: Span,
    /// Good calls that earn a canary step. Default 5.
    pub canary_calls: u32,
    /// Time without anything bad that earns a canary step when calls are few. Default 20 s.
    pub canary_time: Span,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            suspect_after: 2,
            fall: 3,
            rise: 3,
            late_calls: 5,
            silence: Span::from_secs(1),
            blamed_calls: 3,
            silent_calls: 3,
            refusals: 2,
            failure_share: 50,
            doubt_share: 20,
            failure_min: 20,
            media_calls: 3,
            media_share: 50,
            registration_failures: 2,
            test_calls: 2,
            calm: Span::from_secs(10),
            dwell: Span::from_secs(30),
            dwell_max: Span::from_secs(30 * 60),
            forgive: Span::from_secs(10 * 60),
            canary_calls: 5,
            canary_time: Span::from_secs(20),
        }
    }
}

impl HealthPolicy {
    /// Names the policy in records: equal policies have equal fingerprints (FNV-1a over the values in order).
    pub fn fingerprint(&self) -> u32 {
        let counts = [
            self.suspect_after,
            self.fall,
            self.rise,
            self.late_calls,
            self.blamed_calls,
            self.silent_calls,
            self.refusals,
            self.failure_share,
            self.doubt_share,
            self.failure_min,
            self.media_calls,
            self.media_share,
            self.registration_failures,
            self.test_calls,
            self.canary_calls,
        ];
        let spans = [self.silence, self.calm, self.dwell, self.dwell_max, self.forgive, self.canary_time];
        let values = counts.into_iter().map(u64::from).chain(spans.into_iter().map(Span::as_micros));
        values
            .flat_map(u64::to_le_bytes)
            .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
}

/// How long one attempt may take, and what moves the hunt on. Per trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptPolicy {
    /// INVITE to the first response of any kind, while the target's own pace is not known or not asked. Default 1000 ms: a
    /// lost packet is repaired after T1 (500 ms) and answered within it.
    pub first_reply: Span,
    /// The same learned from the target's own past. Default on.
    pub learned: Option<Learned>,
    /// 100 to progress. Default 6 s.
    pub progress: Span,
    /// Ringing to answer. Default 180 s.
    pub ring: Span,
    /// The whole hunt, until something rings. Default 12 s: a caller hangs up soon after.
    pub hunt: Span,
    /// Status codes that move on, besides 401, 407, 408, 500, 502, 503, 504.
    pub move_on: Vec<u16>,
    /// Status codes that stop, though they would move on.
    pub stop: Vec<u16>,
    /// Move on even after ringing was relayed. Default no: the caller has heard someone's phone.
    pub hunt_after_progress: bool,
    /// Try the next trunk beside this one when it is slower than usual. Default no: it costs attempts that were not needed.
    #[serde(default)]
    pub hedge: Option<Hedge>,
}

impl Default for AttemptPolicy {
    fn default() -> Self {
        Self {
            first_reply: Span::from_millis(1_000),
            learned: Some(Learned::default()),
            progress: Span::from_secs(6),
            ring: Span::from_secs(180),
            hunt: Span::from_secs(12),
            move_on: Vec::new(),
            stop: Vec::new(),
            hunt_after_progress: false,
            hedge: None,
        }
    }
}

/// A first-reply deadline that follows the target: so many times its 95th percentile, within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// Never shorter. Default 250 ms: T1 follows the round trip, so that a lost packet is repaired before it.
    pub floor: Span,
    /// Never longer. Default 2000 ms.
    pub cap: Span,
}

impl Default for Learned {
    fn default() -> Self {
        Self { floor: Span::from_millis(250), cap: Span::from_millis(2_000) }
    }
}

/// When no response of any kind has come by the target's own 95th percentile, the next candidate is tried beside it; who answers
/// first carries the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hedge {
    /// At most this share of the shard's calls of the last 60 s, in percent: one in twenty is slower than the 95th percentile by its
    /// very meaning, and an outage, which makes all of them slow, is the hunt's business.
    pub share: u8,
}

/// Late is what is rare by far, not the slowest twentieth: so many times the 95th percentile.
pub(crate) const LATE_FACTOR: u64 = 4;

impl AttemptPolicy {
    /// How long an attempt waits for its first reply. `left` are the candidates after it: the last one gets all the time there is, for
    /// leaving it early helps nobody.
    pub fn first_reply_within(&self, pace: Pace, left: usize) -> Span {
        match (self.learned, pace.first_reply) {
            (Some(learned), _) if left == 0 => learned.cap.max(self.first_reply),
            (Some(learned), Some(usual)) => usual.times(LATE_FACTOR).max(learned.floor).min(learned.cap),
            _ => self.first_reply,
        }
    }
}

/// A trunk in a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The trunk.
    pub trunk: TrunkId,
    /// Its share of the tier's calls relative to the others. Default 1; never 0.
    pub weight: u16,
}

/// Who of a tier is tried first, among those that are equally well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Drawn at random, each with a chance in proportion to its weight.
    #[default]
    Weighted,
    /// Whoever carries least for its size: calls at once by its limit of calls, or by its weight unless all members of the tier
    /// have a limit. Among equals, drawn by weight.
    LeastLoaded,
    /// Drawn at random, each with a chance in proportion to its weight times its quality in percent (`model::Qualities`). One whose
    /// every call fails still gets one in a hundred of its share: how else would it be seen that it is well again.
    Quality,
}

/// When a recovered trunk of a better tier is preferred again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failback {
    /// Once it has been on Probation and free of faults for so long. Default 60 s.
    After(Span),
    /// The same, and only while the group's window is open; the time free of faults counts outside it too. Default of that
    /// time 60 s, as above.
    Window {
        /// Time on Probation free of faults.
        after: Span,
    },
    /// Only when the operator restores it.
    Manual,
}

/// A group: tiers of members, and how traffic comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPolicy {
    /// The group's place in the list of groups.
    pub id: GroupId,
    /// Best tier first.
    pub tiers: Vec<Vec<Member>>,
    /// Who of a tier is tried first. Default weighted.
    pub strategy: Strategy,
    /// When a recovered trunk is preferred again.
    pub failback: Failback,
    /// Canary steps in percent of its share, ascending, the last one 100. Default 5, 25, 100.
    pub ramp: Vec<u8>,
    /// At most this share of the group's trunks may be Down by decision, in percent, but one always may, and the last usable
    /// one never. Default 50: of two trunks one may go; whoever is held back stays Suspect and so is used last.
    pub eject_share: u32,
    /// Falls (from Up, Unknown or Probation to worse) per target within 10 min, beyond which a change upward waits.
    /// Default 6: falls are counted and not all changes, since one outage with its return is four of those.
    pub flips: u32,
}

impl GroupPolicy {
    /// A group with the default strategy, failback, ramp and budget.
    pub fn new(id: GroupId, tiers: Vec<Vec<Member>>) -> Self {
        let failback = Failback::After(Span::from_secs(60));
        Self {
            id,
            tiers,
            strategy: Strategy::Weighted,
            failback,
            ramp: [5, 25, 100].to_vec(),
            eject_share: 50,
            flips: 6,
        }
    }

    /// Its members, best tier first.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.tiers.iter().flatten()
    }
}

/// One `[[route]]`: calls from these trunks, and with these number prefixes if any, go to that group. First match wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRule {
    /// Trunks the call may come from; empty means any.
    pub from: Vec<TrunkId>,
    /// Prefixes of the called number, `+` included when written; empty means any.
    pub prefixes: Vec<String>,
    /// Where it goes.
    pub to: GroupId,
}
