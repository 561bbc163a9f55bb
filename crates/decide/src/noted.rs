//! What was seen of the audio of a live call, and done about it: kept with the call, for who asks why.
//!
//! A call has so many notes and no more. Refuses to know: the words they are told in.

use crate::midcall::Whose;
use alloc::vec::Vec;
use model::{CallRef, Instant, Mos, Span};
use serde::{Deserialize, Serialize};

/// One thing that was seen or done about the audio of a live call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// When.
    pub at: Instant,
    /// About whose audio.
    pub whose: Whose,
    /// What.
    pub what: Note,
}

/// What was seen or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// Nothing came although it might have.
    Silent {
        /// For so long.
        after: Span,
        /// Nothing had come since the answer.
        never: bool,
        /// The other party was heard all the while.
        other_speaks: bool,
    },
    /// It sounds worse than its trunk is held to.
    Poor {
        /// Estimated.
        mos: Mos,
        /// What its trunk is held to.
        limit: Mos,
    },
    /// By its reports nothing of what it is sent arrives.
    Deaf {
        /// For so long.
        after: Span,
    },
    /// By its reports it arrives again.
    Hears,
    /// It is heard again.
    Back {
        /// So long after it was heard last.
        after: Span,
    },
    /// Another source was let in.
    Relatched,
    /// It has answered in its dialog.
    Alive {
        /// Within.
        after: Span,
    },
    /// It knows the call no more.
    Refused {
        /// SIP status code.
        code: u16,
    },
    /// It did not answer.
    NoReply {
        /// Its time.
        after: Span,
    },
    /// The network refused the question.
    Unreachable,
    /// It was asked to send to another interface of ours, and does.
    Moved {
        /// It took so long.
        after: Span,
    },
    /// It does not.
    NotMoved {
        /// SIP status code; none when no answer came, or no port was free.
        code: Option<u16>,
    },
    /// Nothing of it can be heard, nor can it hear: the handshake for its keys has not given any.
    NotKeyed {
        /// Why not.
        why: Keyless,
    },
    /// It has offered, or answered, without the security that its trunk wants.
    NotSecured,
    /// It was let go and is called again.
    Called {
        /// By this call.
        call: CallRef,
    },
    /// It was reached again.
    Reached {
        /// After so long.
        after: Span,
    },
    /// It could not be reached again.
    NotReached {
        /// SIP status code of that call.
        code: u16,
    },
}

impl Note {
    /// One word for tables and statistics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Silent { .. } => "silent",
            Self::Poor { .. } => "poor",
            Self::Deaf { .. } => "deaf",
            Self::Hears => "hears",
            Self::Back { .. } => "back",
            Self::Relatched => "relatched",
            Self::Alive { .. } => "alive",
            Self::Refused { .. } => "refused",
            Self::NoReply { .. } => "no_reply",
            Self::Unreachable => "unreachable",
            Self::Moved { .. } => "moved",
            Self::NotMoved { .. } => "not_moved",
            Self::NotKeyed { .. } => "not_keyed",
            Self::NotSecured => "not_secured",
            Self::Called { .. } => "called",
            Self::Reached { .. } => "reached",
            Self::NotReached { .. } => "not_reached",
        }
    }
}

/// Why a handshake has given no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keyless {
    /// It is not over.
    Unfinished,
    /// It failed, or was given up.
    Failed,
    /// By another certificate than the description names.
    Foreign,
}

/// Notes of a call at most: what is left out is counted by what follows from it.
const NOTES_MAX: usize = 24;

/// Adds a note, unless a call has so many that nobody would read on.
pub fn note(notes: &mut Vec<Noted>, noted: Noted) {
    if notes.len() < NOTES_MAX {
        notes.push(noted);
    }
}
