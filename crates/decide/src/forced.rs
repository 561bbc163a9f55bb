//! A tier that the operator has put first in its group, for a time and on his word.
//!
//! Refuses to know: how the word arrived, what the tier is good for.

use alloc::string::String;
use alloc::sync::Arc;
use model::Instant;
use serde::{Deserialize, Serialize};

/// Whose word something is. A plan carries it, so that a call can tell it without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Word {
    /// Who, when that is known: name of a token, or `local`.
    pub who: String,
    /// Why, in his own words; empty when he gave none.
    pub why: String,
}

/// The tier that is tried first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forced {
    /// Which, 0 the best.
    pub tier: u8,
    /// First instant at which it is so no more.
    pub until: Instant,
    /// On whose word.
    pub word: Arc<Word>,
}
