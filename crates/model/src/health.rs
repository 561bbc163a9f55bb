//! Three different things about a trunk, in three types: what we see, what the operator wants, what the peer asks.

use crate::{Instant, Span};
use serde::{Deserialize, Serialize};

/// What we see of a target, by evidence alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing seen yet. May carry calls: a fresh edge must work before its first probe returns.
    #[default]
    Unknown,
    /// Carries calls.
    Up,
    /// In doubt: used after every trunk that is up, probed faster.
    Suspect,
    /// Carries no call, unless nothing else is left.
    Down,
    /// Back, on trial: carries a growing share.
    Probation,
}

/// What the operator wants. Ended only by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admin {
    /// Take calls as health allows.
    #[default]
    InService,
    /// Keep live calls, take no new ones.
    Draining,
    /// Take none and expect none.
    OutOfService,
}

/// What the peer asks until some time: no calls (503 with Retry-After, RFC 3261 §20.33), or fewer (overload control, RFC 7339).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// First instant at which calls may be offered as before.
    pub until: Instant,
    /// For how long it was asked.
    pub asked: Span,
    /// What is asked.
    #[serde(default)]
    pub wish: Wish,
}

/// How many calls less a peer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// None at all.
    #[default]
    NoCalls,
    /// So many percent of them fewer (RFC 7339 §7).
    Loss {
        /// 0 is no wish, 100 none at all.
        percent: u8,
    },
    /// No more than so many (RFC 7415).
    Rate {
        /// Calls per second.
        cps: u32,
    },
}

impl Wish {
    /// Whether it leaves no call at all.
    pub const fn bars(self) -> bool {
        matches!(self, Self::NoCalls | Self::Loss { percent: 100.. } | Self::Rate { cps: 0 })
    }
}

impl Health {
    /// The word people see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Up => "Up",
            Self::Suspect => "Suspect",
            Self::Down => "Down",
            Self::Probation => "Probation",
        }
    }
}

impl Admin {
    /// The words people see.
    pub const fn words(self) -> &'static str {
        match self {
            Self::InService => "in service",
            Self::Draining => "draining",
            Self::OutOfService => "out of service",
        }
    }
}
