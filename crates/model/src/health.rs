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

/// What the peer asks: no new call before `until` (503 with Retry-After, RFC 3261 §20.33).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// First instant at which a call may be offered again.
    pub until: Instant,
    /// What was asked.
    pub asked: Span,
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
