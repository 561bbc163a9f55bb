//! How a drill breaks a trunk, one layer at a time.
//!
//! A value that travels from whoever asks for it to the shard that plays it, and into the records of the calls that met it. Refuses to know:
//! how it is played.

use alloc::format;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// How a trunk is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillFault {
    /// The names that stand for it lead nowhere.
    Dns,
    /// Nobody listens there: a port that is closed, a connection that is refused.
    Refuse,
    /// What it is sent is answered by nothing.
    Silent,
    /// It refuses every request with this code.
    Code(u16),
    /// An INVITE gets 100 and nothing after; OPTIONS are answered.
    Stall,
    /// An INVITE gets 500; OPTIONS are answered.
    Grey,
    /// Calls are answered, and no audio comes from it.
    RtpFrom,
    /// Calls are answered, and no audio arrives there.
    RtpTo,
}

impl DrillFault {
    /// Those that have a word of their own.
    const WORDS: [(Self, &'static str); 7] = [
        (Self::Dns, "dns"),
        (Self::Refuse, "refuse"),
        (Self::Silent, "silent"),
        (Self::Stall, "stall"),
        (Self::Grey, "grey"),
        (Self::RtpFrom, "rtp-from"),
        (Self::RtpTo, "rtp-to"),
    ];

    /// The word of plans and command lines: a code is its own.
    pub fn word(self) -> String {
        match self {
            Self::Code(code) => format!("{code}"),
            other => {
                let known = Self::WORDS.iter().find(|(fault, _)| *fault == other);
                String::from(known.map_or("", |(_, word)| word))
            }
        }
    }

    /// From that word.
    pub fn from_word(word: &str) -> Option<Self> {
        let named = Self::WORDS.iter().find(|(_, known)| *known == word).map(|(fault, _)| *fault);
        // A number that dials somewhere else, or that is no refusal, breaks nothing (RFC 3261 §21).
        let code = || word.parse().ok().filter(|code| (400..700).contains(code)).map(Self::Code);
        named.or_else(code)
    }

    /// It is about audio: signalling goes on as ever.
    pub const fn is_of_audio(self) -> bool {
        matches!(self, Self::RtpFrom | Self::RtpTo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_found_by_its_word_and_nothing_else_is_one() {
        for (fault, word) in DrillFault::WORDS {
            assert_eq!((DrillFault::from_word(word), fault.word().as_str()), (Some(fault), word));
        }
        assert_eq!(DrillFault::from_word("503"), Some(DrillFault::Code(503)));
        assert_eq!(DrillFault::Code(503).word(), "503");
        for nothing in ["", "200", "302", "700", "Silent", "rtp"] {
            assert_eq!(DrillFault::from_word(nothing), None, "{nothing}");
        }
    }
}
