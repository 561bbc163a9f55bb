//! What the endpoint tells its user, and how it refuses.

use super::{ClientKey, ServerKey};
use crate::message::{Malformed, Message};
use crate::transport::Flow;
use alloc::vec::Vec;
use model::TransportFault;

/// Something the user of the endpoint must know.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new request, in or out of a dialog; never ACK or CANCEL. An INVITE was answered 100 already. A method the
    /// endpoint does not know comes as `Method::Other`: whether it is 405, 501 or passed on is the user's to say.
    Request {
        /// Answer by this key.
        server: ServerKey,
        /// The way it came.
        flow: Flow,
        /// The request.
        message: Message,
    },
    /// The INVITE was cancelled; the CANCEL is answered, the INVITE is owed a 487 (9.2). Told once.
    Cancelled {
        /// The INVITE.
        server: ServerKey,
        /// Why, in the CANCEL's own words (RFC 3326 §2).
        reason: Option<Vec<u8>>,
    },
    /// An ACK for a 2xx, or one that belongs to no transaction of ours: compare its dialog and CSeq before acting on it.
    Ack {
        /// The way it came.
        flow: Flow,
        /// The ACK.
        message: Message,
    },
    /// A response: every provisional, the final, and each further 2xx that has another To tag.
    Response {
        /// To which request.
        client: ClientKey,
        /// The way it came.
        flow: Flow,
        /// The response.
        message: Message,
    },
    /// The request ended without a final response. When the network refused a repeated INVITE, a 2xx to an earlier copy may still
    /// come, and must be acknowledged and ended.
    ClientFailed {
        /// Which.
        client: ClientKey,
        /// Why.
        why: Failure,
    },
    /// A reliable provisional response was repeated for 64*T1 and never acknowledged: refuse the INVITE by a 5xx (RFC 3262 §3).
    PrackMissing {
        /// The INVITE.
        server: ServerKey,
    },
    /// The 2xx was repeated for 64*T1 and never acknowledged: end the dialog by BYE (13.3.1.4).
    AckMissing {
        /// The INVITE.
        server: ServerKey,
    },
}

/// Why a request has no final response. Local causes stay local: neither is spelled as a SIP code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Time ran out.
    NoReply,
    /// The network refused it.
    Unreachable(TransportFault),
}

/// No transaction is free; try another way or refuse the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Why a datagram went no further. It was answered where the RFC asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// Not a SIP message, or one without what every message must have; answered when there was enough to answer.
    Malformed(Malformed),
    /// A response to nothing we asked.
    StrayResponse,
    /// A response with several Vias, or with a Via that is not ours (8.1.3.3).
    MisroutedResponse,
    /// An ACK for an INVITE without an answer.
    StrayAck,
    /// A CANCEL for nothing we know; answered 481.
    StrayCancel,
    /// A CANCEL from another host than its INVITE's; answered 481.
    ForeignCancel,
    /// A response from a host that was not asked.
    ForeignResponse,
    /// It passed us before; answered 482.
    Loop,
    /// It came by another path too; answered 482.
    Merged,
    /// Max-Forwards was 0; answered 483.
    TooManyHops,
    /// The Request-URI's scheme is neither sip, sips nor tel; answered 416.
    UnknownScheme,
    /// It requires an extension we lack; answered 420.
    UnknownExtension,
    /// The transaction table is full; answered 503 with Retry-After.
    Overloaded,
}

impl Rejected {
    /// All names for counters, so that each can be shown before it is needed.
    pub const REASONS: [&str; 27] = [
        "address",
        "content_length",
        "cseq",
        "foreign_cancel",
        "foreign_response",
        "header_line",
        "loop",
        "lower_via",
        "max_forwards",
        "merged",
        "misrouted_response",
        "missing_header",
        "overloaded",
        "repeated_header",
        "request_line",
        "start_line",
        "stray_ack",
        "stray_cancel",
        "stray_response",
        "too_long",
        "too_many_headers",
        "too_many_hops",
        "truncated",
        "unknown_extension",
        "unknown_scheme",
        "version",
        "via",
    ];

    /// A name for counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.reason(),
            Self::StrayResponse => "stray_response",
            Self::MisroutedResponse => "misrouted_response",
            Self::StrayAck => "stray_ack",
            Self::StrayCancel => "stray_cancel",
            Self::ForeignCancel => "foreign_cancel",
            Self::ForeignResponse => "foreign_response",
            Self::Loop => "loop",
            Self::Merged => "merged",
            Self::TooManyHops => "too_many_hops",
            Self::UnknownScheme => "unknown_scheme",
            Self::UnknownExtension => "unknown_extension",
            Self::Overloaded => "overloaded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes after one; a variant that is not named here does not compile.
    fn next(rejected: Rejected) -> Option<Rejected> {
        use crate::message::Malformed as M;
        let malformed = |malformed| Some(Rejected::Malformed(malformed));
        match rejected {
            Rejected::Malformed(M::TooLong) => malformed(M::StartLine),
            Rejected::Malformed(M::StartLine) => malformed(M::RequestLine),
            Rejected::Malformed(M::RequestLine) => malformed(M::Version),
            Rejected::Malformed(M::Version) => malformed(M::Truncated),
            Rejected::Malformed(M::Truncated) => malformed(M::HeaderLine),
            Rejected::Malformed(M::HeaderLine) => malformed(M::TooManyHeaders),
            Rejected::Malformed(M::TooManyHeaders) => malformed(M::Repeated),
            Rejected::Malformed(M::Repeated) => malformed(M::Missing),
            Rejected::Malformed(M::Missing) => malformed(M::Via),
            Rejected::Malformed(M::Via) => malformed(M::LowerVia),
            Rejected::Malformed(M::LowerVia) => malformed(M::Address),
            Rejected::Malformed(M::Address) => malformed(M::CSeq),
            Rejected::Malformed(M::CSeq) => malformed(M::ContentLength),
            Rejected::Malformed(M::ContentLength) => malformed(M::MaxForwards),
            Rejected::Malformed(M::MaxForwards) => Some(Rejected::StrayResponse),
            Rejected::StrayResponse => Some(Rejected::MisroutedResponse),
            Rejected::MisroutedResponse => Some(Rejected::StrayAck),
            Rejected::StrayAck => Some(Rejected::StrayCancel),
            Rejected::StrayCancel => Some(Rejected::ForeignCancel),
            Rejected::ForeignCancel => Some(Rejected::ForeignResponse),
            Rejected::ForeignResponse => Some(Rejected::Loop),
            Rejected::Loop => Some(Rejected::Merged),
            Rejected::Merged => Some(Rejected::TooManyHops),
            Rejected::TooManyHops => Some(Rejected::UnknownScheme),
            Rejected::UnknownScheme => Some(Rejected::UnknownExtension),
            Rejected::UnknownExtension => Some(Rejected::Overloaded),
            Rejected::Overloaded => None,
        }
    }

    #[test]
    fn every_reason_is_among_all_of_them() {
        let first = Rejected::Malformed(Malformed::TooLong);
        let mut reasons: Vec<&str> =
            core::iter::successors(Some(first), |one| next(*one)).map(|one| one.reason()).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, Rejected::REASONS);
    }
}
