//! Kinds of outage: what a trunk does to INVITE and OPTIONS while it fails.

use model::Span;
use std::fmt;

/// How a trunk fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Packets vanish, in both directions.
    Silent,
    /// Nobody listens: ICMP port unreachable. Calls that ring there are forgotten.
    Refuse,
    /// 503 to everything, with this Retry-After if any (RFC 3261 §20.33).
    Unavailable {
        /// What it asks for.
        retry_after: Option<Span>,
    },
    /// Everything takes longer by so much, to and fro together.
    Slow {
        /// How much.
        added: Span,
    },
    /// Packets are lost at random, in each direction.
    Lossy {
        /// Of a thousand.
        permille: u32,
    },
    /// OPTIONS is answered, INVITE gets 100 and nothing after.
    Stall,
    /// OPTIONS is answered, INVITE is refused.
    Grey {
        /// With this code.
        code: u16,
        /// Only when the called number begins so.
        prefix: Option<String>,
        /// For so many calls of a hundred.
        share: u8,
    },
    /// Its name leads nowhere: sending fails at once.
    Dns,
    /// Calls are answered, and no audio comes.
    NoAudio,
    /// Its capacity, in calls and in calls per second, falls to so many percent; what is beyond it gets 503.
    Capacity {
        /// In percent.
        share: u8,
    },
}

impl Kind {
    /// Below this, loss is weather: repeats repair nearly all of it.
    const WEATHER: u32 = 200;

    /// Whether a good policy leaves the trunk in: Down is then a false alarm.
    pub fn is_harmless(&self) -> bool {
        match self {
            Self::Slow { added } => *added <= Span::from_secs(1),
            Self::Lossy { permille } => *permille < Self::WEATHER,
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("silent"),
            Self::Refuse => f.write_str("refuse"),
            Self::Unavailable { retry_after: None } => f.write_str("503"),
            Self::Unavailable { retry_after: Some(asked) } => write!(f, "503, Retry-After {asked}"),
            Self::Slow { added } => write!(f, "slow by {added}"),
            Self::Lossy { permille } => write!(f, "{}.{} % of packets lost", permille / 10, permille % 10),
            Self::Stall => f.write_str("stall"),
            Self::Grey { code, prefix, share } => {
                write!(f, "grey: {code}")?;
                if *share < 100 {
                    write!(f, " to {share} % of calls")?;
                }
                prefix.as_ref().map_or(Ok(()), |prefix| write!(f, " to {prefix}…"))
            }
            Self::Dns => f.write_str("dns"),
            Self::NoAudio => f.write_str("no audio"),
            Self::Capacity { share } => write!(f, "{share} % of capacity"),
        }
    }
}
