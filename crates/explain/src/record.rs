//! Records: everything the edge decides or does to a call, as one numbered value each.
//!
//! They carry names beside ids, so that they read the same after a reload or a restart.

use crate::alarm::AlarmRecord;
use crate::stream::StreamRecord;
use alloc::string::String;
use alloc::vec::Vec;
use decide::{Decision, NoPlan, Noted, Plan, TrunkFrame};
use model::{AttemptOutcome, Begun, CallRef, DrillFault, Instant, Name, Seq, Span, TargetId, TrunkId, Wall};
use serde::{Deserialize, Serialize};

/// A record with its number and wall-clock time: one line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number; grows by one.
    pub seq: Seq,
    /// When it was written down.
    pub wall: Wall,
    /// What it says.
    pub record: Record,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The edge began with, or changed to, this configuration.
    Configured {
        /// Fingerprint of the configuration.
        fingerprint: u32,
        /// Names by id at that time, so that decisions can be replayed.
        names: Names,
        /// False for a reload.
        start: bool,
        /// What the trunk table became by it. None in older records, which are replayed by their configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frames: Option<Frames>,
    },
    /// The names of a trunk lead elsewhere than before.
    Located(Located),
    /// Health, share, throttle: judged.
    Decision {
        /// Names of the trunk and target.
        who: Who,
        /// The decision.
        decision: Decision,
    },
    /// The operator acted.
    Operator(Operator),
    /// A call ended.
    Call(alloc::boxed::Box<CallRecord>),
    /// Something an operator should hear of, or the end of it.
    Alarm(AlarmRecord),
    /// What a second policy would have decided. Never enforced, whatever the decision itself says: its veto is the second
    /// policy's own.
    Shadow {
        /// Names of the trunk and target.
        who: Who,
        /// The decision.
        decision: Decision,
    },
    /// A line of the journal that this version cannot read.
    Unreadable {
        /// What the reader said.
        error: String,
    },
}

/// Names by id.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Names {
    /// By `TrunkId`; empty names are holes.
    pub trunks: Vec<Name>,
    /// By `GroupId`.
    pub groups: Vec<Name>,
}

/// What the trunk table goes by.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Frames {
    /// Since when; of what is new, nothing is known before.
    pub at: Instant,
    /// By `TrunkId`.
    pub trunks: Vec<Option<TrunkFrame>>,
}

/// Where the names of a trunk lead from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// When.
    pub at: Instant,
    /// The trunk.
    pub trunk: Name,
    /// Its number.
    pub id: TrunkId,
    /// Its names, as configured.
    pub names: Vec<Name>,
    /// All its targets, best first; with those that are configured as addresses.
    pub targets: Vec<LocatedTarget>,
    /// Addresses that it had before.
    pub gone: Vec<String>,
}

/// One target of a trunk with names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocatedTarget {
    /// Its number.
    pub number: u8,
    /// Its address.
    pub addr: String,
    /// The name that leads to it; none when it is configured as an address.
    pub name: Option<Name>,
}

/// Names of a decision's subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Who {
    /// The trunk; empty when the decision is about a group.
    pub trunk: Name,
    /// The group, when the decision is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// Address of the target as text, when the decision is about one.
    pub target: Option<String>,
    /// The trunk has only this target, so that naming it would be noise.
    pub only_target: bool,
}

/// The operator's act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operator {
    /// On which trunk, if on one.
    pub trunk: Option<Name>,
    /// What.
    pub act: Act,
    /// Where from: `api`, `signal`.
    pub via: String,
    /// Who, when that is known: name of a token, or `local`. Empty in older records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
    /// Why, in the operator's own words, when he gave any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What an operator can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Keep live calls, take no new ones.
    Drain,
    /// Take none.
    Out,
    /// As health allows again, at once.
    Restore,
    /// All its targets are probed at once.
    Probe,
    /// A test call now.
    TestCall,
    /// A tier of a group is tried before the others.
    Force {
        /// The group.
        group: Name,
        /// The tier, 0 the best.
        tier: u8,
        /// For how long at most.
        length: Span,
    },
    /// No tier of a group is tried out of its turn any more.
    Release {
        /// The group.
        group: Name,
    },
    /// A webhook is told that nothing is the matter, to see whether it takes that.
    TestPost {
        /// Its name.
        webhook: Name,
    },
    /// A source that the guard kept out is heard again.
    Forgive {
        /// Its address, its network for IPv6, address and port of a phone.
        source: String,
    },
    /// New configuration taken.
    Reload {
        /// Its fingerprint.
        fingerprint: u32,
    },
    /// New configuration refused; the old one stays.
    ReloadRefused {
        /// How many faults it has.
        faults: u32,
        /// The first of them.
        first: String,
    },
    /// The whole edge drains.
    Stop,
    /// A drill began.
    DrillBegin {
        /// Trunks that it may break.
        trunks: Vec<Name>,
        /// It breaks them for every call.
        all_calls: bool,
        /// When it ends at the latest.
        limit: Span,
    },
    /// The drill breaks a trunk.
    DrillBreak {
        /// How.
        fault: DrillFault,
        /// For every call.
        all_calls: bool,
    },
    /// The drill breaks a trunk no more.
    DrillMend,
    /// The drill is over.
    DrillEnd {
        /// Why: it was done, or what ended it.
        why: String,
        /// Lines of it that passed.
        passed: u32,
        /// Lines of it that failed.
        failed: u32,
        /// Trunks that it might break. Empty in older records.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        trunks: Vec<Name>,
    },
}

/// A call from its INVITE to its end: plan, attempts, times, media. The CDR is cut from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The call.
    pub call: CallRef,
    /// Call-ID of the caller's leg.
    pub call_id: String,
    /// Trunk it came from.
    pub from: Name,
    /// Calling number as sent.
    pub caller: String,
    /// Called number as sent.
    pub called: String,
    /// INVITE received.
    pub invited: Instant,
    /// First provisional response other than 100 relayed.
    pub progressed: Option<Instant>,
    /// 2xx relayed.
    pub answered: Option<Instant>,
    /// Over.
    pub ended: Instant,
    /// The plan, or why there was none.
    pub plan: Result<Plan, NoPlan>,
    /// Names of all trunks the plan mentions, as (id, name).
    pub trunks: Vec<(model::TrunkId, Name)>,
    /// Tiers of the trunks that the plan left out, as (id, tier), 0 the best. Empty in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<(model::TrunkId, u8)>,
    /// Name of the plan's group.
    pub group: Option<Name>,
    /// Attempts on the wire, in order.
    pub attempts: Vec<AttemptRecord>,
    /// How it ended.
    pub ending: Ending,
    /// Audio, when it was anchored.
    pub media: Option<MediaRecord>,
    /// What was seen and done about its audio while it was up, in order. Empty in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Noted>,
    /// It was one of a drill.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub drilled: bool,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// To which target.
    pub target: TargetId,
    /// Its trunk.
    pub trunk: Name,
    /// Our Call-ID of that leg.
    pub call_id: String,
    /// Why it was begun.
    #[serde(default)]
    pub begun: Begun,
    /// INVITE sent.
    pub sent: Instant,
    /// INVITE to the first response.
    pub first_reply: Option<Span>,
    /// INVITE to the first response other than 100.
    pub progress: Option<Span>,
    /// INVITE to the end of the attempt.
    pub took: Span,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// How a drill has broken it: then its outcome is the drill's doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<DrillFault>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Never answered: the caller got this code.
    Refused {
        /// SIP status code.
        code: u16,
    },
    /// Never answered: the caller got this code, since too many calls were being tried again for this one to be.
    OutOfRetries {
        /// SIP status code.
        code: u16,
    },
    /// The caller gave up before an answer.
    Cancelled,
    /// BYE by one side.
    Bye {
        /// By whom.
        by: Direction,
    },
    /// The edge ended it.
    Ended {
        /// Why, in a few words.
        why: String,
    },
}

/// One side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The side that sent the INVITE.
    Caller,
    /// The side that answered it.
    Callee,
}

/// Audio of a call, per direction.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MediaRecord {
    /// Packets relayed caller to callee.
    pub from_caller: u64,
    /// Packets relayed callee to caller.
    pub from_callee: u64,
    /// Packets dropped because they came from a third party or before the latch.
    pub refused: u64,
    /// Longest time between two packets of the caller that were relayed.
    pub gap_from_caller: Span,
    /// Longest time between two packets of the callee that were relayed.
    pub gap_from_callee: Span,
    /// What was heard of the caller; none when nothing ever was, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<StreamRecord>,
    /// The same of the callee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee: Option<StreamRecord>,
}

impl CallRecord {
    /// Wall-clock time of a moment of this call, which was over at `ended`.
    pub fn wall(&self, at: Instant, ended: Wall) -> Wall {
        let before = i64::try_from(self.ended.since(at).as_micros()).unwrap_or(i64::MAX);
        Wall::from_micros(ended.as_micros().saturating_sub(before))
    }

    /// The attempt that answered, if one did.
    pub fn carried(&self) -> Option<&AttemptRecord> {
        self.attempts.iter().rev().find(|attempt| attempt.outcome == AttemptOutcome::Answered)
    }

    /// Status code the caller got. None when the edge ended the call before any answer.
    pub const fn code(&self) -> Option<u16> {
        match &self.ending {
            Ending::Refused { code } | Ending::OutOfRetries { code } => Some(*code),
            _ if self.answered.is_some() => Some(200),
            // RFC 3261 §9.2: an INVITE that is cancelled is answered with 487.
            Ending::Cancelled => Some(487),
            Ending::Bye { .. } | Ending::Ended { .. } => None,
        }
    }
}

impl Operator {
    /// On which group, if on one.
    pub const fn group(&self) -> Option<&Name> {
        match &self.act {
            Act::Force { group, .. } | Act::Release { group } => Some(group),
            _ => None,
        }
    }
}

impl Ending {
    /// One word for tables and statistics: `refused`, `out_of_retries`, `cancelled`, `bye_caller`, `bye_callee`, `ended`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::OutOfRetries { .. } => "out_of_retries",
            Self::Cancelled => "cancelled",
            Self::Bye { by: Direction::Caller } => "bye_caller",
            Self::Bye { by: Direction::Callee } => "bye_callee",
            Self::Ended { .. } => "ended",
        }
    }
}

impl Record {
    /// Every word that [`Record::kind`] gives.
    pub const KINDS: [&str; 8] =
        ["configured", "located", "decision", "operator", "call", "alarm", "shadow", "unreadable"];

    /// One word for tables and statistics: one of [`Record::KINDS`].
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Configured { .. } => "configured",
            Self::Located(_) => "located",
            Self::Decision { .. } => "decision",
            Self::Operator(_) => "operator",
            Self::Call(_) => "call",
            Self::Alarm(_) => "alarm",
            Self::Shadow { .. } => "shadow",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}
