//! Values of the fast loop: what is known of a call, the plan for it, and the verdict after an attempt.

use crate::forced::Forced;
use alloc::string::String;
use alloc::vec::Vec;
use model::{CallRef, Epoch, GroupId, Health, Instant, RouteId, Span, TargetId, TrunkId, Wish};
use serde::{Deserialize, Serialize};

/// What routing may know of a call.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Trunk the call came from.
    pub from: TrunkId,
    /// Called number: user part of the request URI, without parameters.
    pub number: &'a str,
    /// An emergency call (RFC 5031) passes every gate but the operator's *out of service*.
    pub emergency: bool,
}

/// The order in which targets are tried, and who is not tried and why. From one epoch of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Epoch of the table.
    pub epoch: Epoch,
    /// The route that matched.
    pub route: RouteId,
    /// The group it points to.
    pub group: GroupId,
    /// Best first; never empty.
    pub attempts: Vec<Candidate>,
    /// Members of the group that are not tried, or (`OutsideShare`, `Headroom`) not in their turn; at most sixteen. Tiers behind as many
    /// good candidates as a plan holds are not asked.
    pub excluded: Vec<Excluded>,
    /// How many more are not tried than are named.
    #[serde(default)]
    pub unnamed: u32,
    /// Every candidate is Down: tried all the same, since nothing is better.
    pub last_resort: bool,
    /// An emergency call: limits, throttles and draining did not count.
    #[serde(default)]
    pub emergency: bool,
    /// The tier that the operator had put first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<Forced>,
}

/// One target to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Whom.
    pub target: TargetId,
    /// Its tier, 0 the best.
    pub tier: u8,
    /// Its health when the plan was made.
    pub health: Health,
}

/// One trunk that is not tried in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// Whom.
    pub trunk: TrunkId,
    /// Why.
    pub cause: Exclusion,
}

/// Why a trunk is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// All its targets are Down.
    Down {
        /// Since when the best of them.
        since: Instant,
    },
    /// On Probation, and this call is not in its share: it is tried after everyone else.
    OutsideShare {
        /// The share in percent; 0 before failback.
        share: u8,
    },
    /// It has no address: the names that stand for it have led nowhere yet.
    NoAddress,
    /// A drill plays that the names that stand for it lead nowhere.
    Drilled,
    /// It stands for phones, and the called user has registered none.
    NobodyThere,
    /// The operator drains it.
    Draining,
    /// The operator took it out.
    OutOfService,
    /// It asked for no calls.
    Throttled {
        /// Until when.
        until: Instant,
    },
    /// It asked for fewer calls, and this is one of those it does not get.
    Overloaded {
        /// How many fewer.
        wish: Wish,
    },
    /// The call came from it.
    CameFromIt,
    /// It has lost the party in mid-call, who is called again.
    LostTheParty,
    /// It carries as many calls as it may.
    CallLimit {
        /// The limit.
        limit: u32,
        /// The shard's part of it, which it was compared with.
        part: u32,
    },
    /// It has been offered as many calls within a second as it may.
    RateLimit {
        /// The limit in calls per second.
        limit: u32,
        /// The shard's part of it, which it was compared with.
        part: u32,
    },
    /// What is left of its limits is kept for calls that another trunk has failed, and for emergency calls.
    Headroom {
        /// The share that is kept, in percent.
        percent: u8,
    },
}

impl Exclusion {
    /// It is there, and may be asked again soon: it has no room now, or wants fewer calls.
    pub const fn is_for_now(&self) -> bool {
        match self {
            Self::CallLimit { .. }
            | Self::RateLimit { .. }
            | Self::Headroom { .. }
            | Self::Throttled { .. }
            | Self::Overloaded { .. } => true,
            Self::Down { .. }
            | Self::OutsideShare { .. }
            | Self::NoAddress
            | Self::Drilled
            | Self::NobodyThere
            | Self::Draining
            | Self::OutOfService
            | Self::LostTheParty
            | Self::CameFromIt => false,
        }
    }
}

/// Why a trunk may not place a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Barred {
    /// The number begins with a prefix that it may not dial.
    Prefix {
        /// Which.
        prefix: String,
    },
    /// The number begins with none of the prefixes that it may dial.
    NotAllowed,
    /// It has as many calls at once as it may.
    AtOnce {
        /// The limit.
        limit: u32,
        /// The shard's part of it, which was reached.
        part: u32,
    },
    /// It has begun as many calls within an hour as it may.
    PerHour {
        /// The limit.
        limit: u32,
        /// The shard's part of it, which was reached.
        part: u32,
    },
    /// It has begun as many calls within a second as it may.
    Rate {
        /// The limit in calls per second.
        limit: u32,
        /// The shard's part of it, which was reached.
        part: u32,
    },
}

impl Barred {
    /// What the caller hears: 403 for a number, which trying elsewhere will not help (RFC 3261 §21.4.4); 603 for a limit that smells of fraud,
    /// so that his own failover looks for no other way (§21.6.2); 503 for haste, which is over in a moment (§21.5.4).
    pub const fn code(&self) -> u16 {
        match self {
            Self::Prefix { .. } | Self::NotAllowed => 403,
            Self::AtOnce { .. } | Self::PerHour { .. } => 603,
            Self::Rate { .. } => 503,
        }
    }
}

/// Why there is no plan at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoPlan {
    /// No route matches.
    NoRoute,
    /// The trunk it came from may not place it.
    Barred {
        /// Why.
        why: Barred,
    },
    /// Nobody need be sought: a transfer has joined its parties, who were in calls already.
    Joined {
        /// The call in another shard that has one of them, once it is known; none when this one has both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other: Option<CallRef>,
    },
    /// A route matches, and nobody in its group may take the call.
    NobodyLeft {
        /// The group.
        group: GroupId,
        /// Why, one by one; at most sixteen.
        excluded: Vec<Excluded>,
        /// How many more there are than are named.
        #[serde(default)]
        unnamed: u32,
    },
}

/// How far a hunt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoFar {
    /// Time since the caller's INVITE.
    pub elapsed: Span,
    /// Candidates not yet tried.
    pub left: usize,
    /// A provisional response of this attempt, other than 100, was relayed to the caller.
    pub progress_relayed: bool,
}

/// What to do after an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Try the next candidate now.
    Next,
    /// Tell the caller the best final response so far.
    Stop {
        /// SIP status code for the caller.
        code: u16,
    },
}
