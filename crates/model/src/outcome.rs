//! How a probe or a call attempt ended, as the far side did it.
//!
//! Our own deadline is never spelled 408 and a transport error never 503: those are things a peer says.

use crate::{Mos, Span};
use serde::{Deserialize, Serialize};

/// How the network refused to carry a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportFault {
    /// ICMP port unreachable, or a refused connection: nobody listens.
    PortUnreachable,
    /// ICMP host or network unreachable.
    HostUnreachable,
    /// ICMP administratively prohibited.
    Prohibited,
    /// The message is larger than the path carries.
    TooLarge,
    /// The connection broke: reset, or closed by the peer.
    Broken,
    /// The connection was not there in time, or the peer gave no sign of life on it any more.
    TimedOut,
    /// The peer did not read what we sent.
    NotRead,
    /// Its certificate has expired, or is not yet valid.
    CertificateExpired,
    /// Its certificate was issued by nobody we trust.
    CertificateUntrusted,
    /// Its certificate is another host's.
    CertificateOfAnother,
    /// TLS could not be agreed on for another reason.
    TlsFailed,
    /// The local socket could not send (no route, no buffer). Ours, not theirs.
    Local,
}

/// How one OPTIONS probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeResult {
    /// A final response came.
    Answered {
        /// SIP status code.
        code: u16,
        /// Request to response.
        rtt: Span,
    },
    /// Nothing came by the probe's own deadline.
    NoReply {
        /// The deadline.
        after: Span,
    },
    /// The network refused it.
    Unreachable {
        /// How.
        fault: TransportFault,
    },
}

/// Why an attempt was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begun {
    /// Its turn had come: it is the first, or those before it had failed.
    #[default]
    InTurn,
    /// Beside one whose trunk was in doubt or down.
    Beside,
    /// Beside one that was slower than usual.
    Hedge,
    /// With another phone of the called user.
    Forked,
}

impl Begun {
    /// One word: `in_turn`, `beside`, `hedge`, `forked`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::InTurn => "in_turn",
            Self::Beside => "beside",
            Self::Hedge => "hedge",
            Self::Forked => "forked",
        }
    }
}

/// How one attempt of a call towards one target ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// 2xx.
    Answered,
    /// 3xx.
    Redirected {
        /// SIP status code.
        code: u16,
    },
    /// 4xx, 5xx, 6xx.
    Refused {
        /// SIP status code.
        code: u16,
        /// Q.850 cause of the Reason header (RFC 3326), when given.
        q850: Option<u8>,
        /// Retry-After, when given.
        retry_after: Option<Span>,
    },
    /// No response at all by the first-reply deadline.
    NoReply {
        /// The deadline.
        after: Span,
    },
    /// 100 seen and nothing after by the progress deadline.
    Stalled {
        /// The deadline.
        after: Span,
    },
    /// It rang and nobody answered by the ring deadline.
    RingTimeout {
        /// The deadline.
        after: Span,
    },
    /// It rang, then its trunk fell silent: the INVITE was asked after again and again, and nothing came any more.
    WentSilent {
        /// INVITE until it was given up.
        after: Span,
    },
    /// The time for the whole hunt was over before its own deadline: nothing can be said against the trunk beyond what was late already.
    CutShort {
        /// How long it had waited.
        after: Span,
        /// 100 had come, and nothing more.
        replied: bool,
    },
    /// The network refused it.
    Unreachable {
        /// How.
        fault: TransportFault,
    },
    /// The caller gave up first, so nothing can be said against the trunk.
    Abandoned {
        /// How long the attempt had been waiting.
        after: Span,
        /// A provisional response other than 100 had come.
        progressed: bool,
    },
    /// Another attempt of the same call answered, or rang, first: it was left, and nothing can be said against the trunk unless it had been
    /// overdue after its 100. One that is overtaken by a later one, having shown nothing at a trunk that is in doubt already, has stalled
    /// or not replied instead.
    Outrun {
        /// How long the attempt had been waiting.
        after: Span,
        /// A provisional response other than 100 had come.
        progressed: bool,
    },
}

impl AttemptOutcome {
    /// One word for tables and statistics: `answered`, `refused`, `no_reply` and so on.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Redirected { .. } => "redirected",
            Self::Refused { .. } => "refused",
            Self::NoReply { .. } => "no_reply",
            Self::Stalled { .. } => "stalled",
            Self::RingTimeout { .. } => "ring_timeout",
            Self::WentSilent { .. } => "went_silent",
            Self::CutShort { .. } => "cut_short",
            Self::Unreachable { .. } => "unreachable",
            Self::Abandoned { .. } => "abandoned",
            Self::Outrun { .. } => "outrun",
        }
    }

    /// SIP status code of the refusal or the redirection.
    pub const fn code(&self) -> Option<u16> {
        match self {
            Self::Redirected { code } | Self::Refused { code, .. } => Some(*code),
            Self::Answered
            | Self::NoReply { .. }
            | Self::Stalled { .. }
            | Self::RingTimeout { .. }
            | Self::WentSilent { .. }
            | Self::CutShort { .. }
            | Self::Unreachable { .. }
            | Self::Abandoned { .. }
            | Self::Outrun { .. } => None,
        }
    }
}

/// What is known of a target's audio in one call. Hold, T.38 and pauses of a talker who sends comfort noise are not silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaOutcome {
    /// It is heard.
    Good,
    /// Nothing comes from it although the other side is sending: one-way audio, or none.
    Silent {
        /// Since the answer, or since the last packet.
        after: Span,
    },
    /// It is heard, and reports that nothing of what it is sent arrives: one-way audio towards it.
    Deaf {
        /// For so long, by its reports.
        after: Span,
    },
    /// It comes with holes.
    Lossy {
        /// Packets lost, per thousand.
        permille: u16,
    },
    /// It comes, and sounds worse than it is held to.
    Poor {
        /// Estimated over the last seconds.
        mos: Mos,
        /// What it is held to.
        limit: Mos,
    },
}

/// What has become of our registration at a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    /// It holds.
    Registered,
    /// The registrar refused it.
    Refused {
        /// SIP status code.
        code: u16,
    },
    /// The registrar did not reply.
    NoReply {
        /// The deadline.
        after: Span,
    },
    /// It ran out before it could be renewed.
    Expired,
}

/// How one synthetic call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestCallResult {
    /// As expected; when answered, the tone was heard in both directions.
    Good {
        /// INVITE to ringback, if it rang.
        ringback: Option<Span>,
        /// INVITE to answer, if one was expected.
        answer: Option<Span>,
    },
    /// A final response of another class than expected.
    Refused {
        /// SIP status code.
        code: u16,
    },
    /// No final response by the deadline.
    NoReply {
        /// The deadline.
        after: Span,
    },
    /// Answered, but the tone was not heard both ways.
    NoTone {
        /// We heard theirs.
        from_target: bool,
        /// Ours came back, or was reported as heard.
        to_target: bool,
    },
    /// The network refused it.
    Unreachable {
        /// How.
        fault: TransportFault,
    },
}

/// Whose fault an outcome is. "Hunt on?" is another question, asked in `decide`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// Nobody's: it worked.
    None,
    /// The trunk's.
    Trunk,
    /// The called party's.
    Called,
    /// The caller's.
    Caller,
    /// Ours.
    Us,
}
