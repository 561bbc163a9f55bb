//! How an agent treats calls and probes: well, or in one of the ways trunks fail.
//!
//! Each way of failing is one that carriers really show. Refuses to know: how it is done in SIP.

use crate::digits::DigitWay;
use core::net::IpAddr;
use media::player::Law;
use model::Span;

/// How an agent treats calls that reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// INVITE to 180.
    pub ring_after: Span,
    /// INVITE to 200; none rings for ever.
    pub answer_after: Option<Span>,
    /// What it plays, in hertz; 0 is silence packets.
    pub tone_hz: u16,
    /// Sends 183 with SDP and plays its tone before the answer.
    pub early_media: bool,
    /// Says by RTCP how far it has come in what it hears; most do, and who does not is the harder case.
    pub reports: bool,
    /// Calls to this number are echoed: they get its tone for a second, and then what they say themselves.
    pub echo_number: Option<&'static str>,
    /// It takes digits told in this way alone; none takes them in any. Calls that are echoed get them back as they came.
    pub only_digits: Option<DigitWay>,
    /// It speaks this G.711 alone and refuses calls without it (488); none speaks both.
    pub only_law: Option<Law>,
    /// The host that its Contact and its descriptions name, as behind a NAT that nobody has told it of; none is its own.
    pub says: Option<IpAddr>,
    /// Ends the call so long after the answer.
    pub hang_up_after: Option<Span>,
    /// Refuses every call with this code, as a called party would (486, 404, 603).
    pub refuse: Option<u16>,
    /// Fails as a trunk.
    pub failing: Option<Failing>,
}

/// How a trunk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// Drops everything without a word.
    Silent,
    /// Its port is closed: ICMP. The driver closes the socket; the agent itself hears nothing.
    Closed,
    /// 503 to every request.
    Unavailable,
    /// 100 to INVITE and nothing after; OPTIONS are fine.
    Stall,
    /// 500 to INVITE; OPTIONS are fine.
    Grey,
    /// Calls are answered, and no audio comes.
    NoRtp,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            ring_after: Span::from_millis(20),
            answer_after: Some(Span::from_millis(200)),
            tone_hz: 440,
            early_media: false,
            reports: false,
            echo_number: None,
            only_digits: None,
            only_law: None,
            says: None,
            hang_up_after: None,
            refuse: None,
            failing: None,
        }
    }
}

impl Failing {
    /// The word of the lab's command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Closed => "refuse",
            Self::Unavailable => "503",
            Self::Stall => "stall",
            Self::Grey => "grey",
            Self::NoRtp => "no-rtp",
        }
    }

    /// From the word of the lab's command line.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Silent, Self::Closed, Self::Unavailable, Self::Stall, Self::Grey, Self::NoRtp]
            .into_iter()
            .find(|failing| failing.word() == word)
    }
}
