//! What one side of an anchored stream speaks and understands, as its offer and answer came to.
//!
//! Two of these, one for each side, say what has to be done to the packets between them: nothing, when both speak the same.
//! Refuses to know: SDP, packets, how sound is encoded.

use smallvec::SmallVec;

/// An encoding of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711, A-law.
    Pcma,
    /// G.711, mu-law.
    Pcmu,
    /// G.722 at 64 kbit/s.
    G722,
    /// Sixteen bits a sample, big-endian (RFC 3551 §4.5.11).
    L16,
    /// RFC 6716, RFC 7587.
    Opus,
    /// G.729, Annex A or not.
    G729,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Pcma, Self::Pcmu, Self::G722, Self::L16, Self::Opus, Self::G729];

    /// Its encoding name (RFC 3551 §6, RFC 7587 §7).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
            Self::G722 => "G722",
            Self::L16 => "L16",
            Self::Opus => "opus",
            Self::G729 => "G729",
        }
    }

    /// By its encoding name, in any case.
    pub fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| name.eq_ignore_ascii_case(codec.name().as_bytes()))
    }

    /// The payload type it has without an `rtpmap`, at 8 kHz (RFC 3551 §6).
    pub const fn fixed_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::G729 => Some(18),
            Self::L16 | Self::Opus => None,
        }
    }

    /// Ticks of its RTP clock in a second, when it has but one: 8000 for G.722 too, an error that became the rule (RFC 3551 §4.5.2).
    pub const fn clock(self) -> Option<u32> {
        match self {
            Self::Pcma | Self::Pcmu | Self::G722 | Self::G729 => Some(8_000),
            Self::Opus => Some(48_000),
            Self::L16 => None,
        }
    }
}

/// One format of a media line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// The encoding.
    pub codec: Codec,
    /// Its payload type, as this side numbers it.
    pub payload_type: u8,
    /// Ticks of its RTP clock in a second.
    pub clock: u32,
    /// Milliseconds of sound in each packet that this side wants to receive.
    pub packet_ms: u8,
}

/// How a side tells and is told of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digits {
    /// As telephone-events of RFC 4733.
    Events {
        /// Their payload type, as this side numbers it.
        payload_type: u8,
        /// Ticks of their clock in a second.
        clock: u32,
    },
    /// By INFO requests: the packets carry none.
    Info,
    /// As tones in the sound.
    Inband,
}

/// What a side speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Speech {
    /// What it may send, and what it understands; it is spoken to in the first. Empty when nothing of it is known: then all passes as it is.
    pub formats: SmallVec<[Format; 4]>,
    /// How it tells of digits.
    pub digits: Digits,
    /// Payload type of comfort noise, when it understands it (RFC 3389).
    pub noise: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_found_by_its_name_in_any_case() {
        for codec in Codec::ALL {
            assert_eq!(Codec::of(codec.name().to_ascii_lowercase().as_bytes()), Some(codec));
        }
        assert_eq!(Codec::of(b"telephone-event"), None);
    }
}
